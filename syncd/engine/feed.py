"""Feed: put what the sides announce into *pending* and move the cursor, in one transaction a page.

A version that a link already holds is our own echo and is dropped unread. A full comparison is the
same feed from its beginning: what the listing did not name counts as gone only when the listing is
complete (design §4, CursorExpired).
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.context import Context
from syncd.engine.guard import ALL, holding
from syncd.engine.pairing import Pairing, item_feed
from syncd.mapping.conditions import needs_people
from syncd.ports import Change, CursorExpired, Knowing, Lasting, Page
from syncd.store import Link, Transaction
from syncd.store.journal import parked

#: Why an announcement may be put off, where no day can be named: whom the CRM knows decides.
PEOPLE = "~people"


def crm_feed(crm: str) -> str:
    """The name of a CRM's feed in the store."""
    return f"crm {crm}"


def seed_feed(crm: str, pairing: str) -> str:
    """The name under which a pairing remembers that it has seen all of the CRM once."""
    return f"crm {crm} for {pairing}"


def feed_items(ctx: Context) -> None:
    """Announces what happened in the replica since the last pass."""
    pairing, name = ctx.pairing, item_feed(ctx.pairing.id)
    with ctx.store.reading() as tx:
        place = tx.feed(name)
    digest = pairing.reading
    listing = "all" if place is None or place["mapping"] != digest or ctx.anew else place["listing"]
    if listing in ("", "emptied", "another") and ctx.full:
        listing = "compare"
    generation = place["generation"] if place else 0
    cursor = place["cursor"] if place else ""
    ctx.heal = place is not None and place["mapping"] == pairing.lens.digest  # without a way: from before there was one
    if listing in ("all", "compare"):
        generation, cursor = generation + 1, ""
    for attempt in (1, 2):
        try:
            _read_items(ctx, name, cursor, listing, generation)
            return
        except CursorExpired:
            if attempt == 2 or cursor == "":
                raise
            listing, generation, cursor = "compare", generation + 1, ""


def _read_items(ctx: Context, name: str, cursor: str, listing: str, generation: int) -> None:
    pairing, seen, known = ctx.pairing, 0, 0
    for page in ctx.items.changes(cursor):
        if not listing and not page.changes and page.cursor == cursor:
            continue  # nothing happened: nothing is written
        with ctx.store.transaction() as tx:
            refs = [c.ref for c in page.changes]
            links: dict[str, list[Link]] = {}
            for link in tx.links_by_item(pairing.id, refs):
                links.setdefault(link.item_ref or "", []).append(link)
            waiting = _parked_refs(tx, pairing.id) if any(c.gone for c in page.changes) else frozenset()
            fresh = [
                c.ref
                for c in page.changes
                if (listing == "all" and (not c.gone or c.ref in links))  # a server may name what was there once
                or c.ref in waiting
                or not _echo(c, links.get(c.ref, []))
            ]
            tx.announce(pairing.id, "item", fresh)
            ctx.listed -= {c.ref for c in page.changes if c.gone}
            ctx.listed |= {c.ref for c in page.changes if not c.gone and c.ref in links}
            done = listing
            if listing in ("all", "compare"):
                seen += sum(not c.gone for c in page.changes) + len(page.there)
                known += sum(not c.gone and c.ref in links for c in page.changes) + len(page.there)
                tx.mark_seen(pairing.id, [*(c.ref for c in page.changes if not c.gone), *page.there], generation)
                if page.complete:
                    missing, news = tx.unseen(pairing.id, generation)
                    ctx.missing.update(missing)
                    tx.announce(pairing.id, "item", [*missing, *sorted(_parked_refs(tx, pairing.id) - set(missing))])
                    another = not known and news >= ALL  # nothing that was there: it may be another calendar
                    done = ("another" if seen else "emptied") if another else ""
            elif listing in ("emptied", "another") and any(not c.gone for c in page.changes):
                done = ""
            values = {"cursor": page.cursor, "generation": generation, "listing": done}
            tx.set_feed(name, **values, mapping=pairing.reading)


def _parked_refs(tx: Transaction, pairing: str) -> frozenset[str]:
    return frozenset(p.ref for p in parked(tx, pairing) if p.side == "item")


def _echo(change: Change, links: Sequence[Link]) -> bool:
    """True when the links know it. An item that was brought back may have the version that it had."""
    known_gone = [link.rest in ("item-gone", "declined", "taken-back") for link in links]
    if change.gone:
        return all(known_gone)  # what nobody has linked may go without a word
    same = bool(change.version) and all(link.item_version == change.version for link in links)
    return bool(links) and same and not any(known_gone)


def is_another(ctx: Context) -> bool:
    """True while nothing was seen of what the calendar held before: it may be another one."""
    with ctx.store.reading() as tx:
        place = tx.feed(item_feed(ctx.pairing.id))
    return place is not None and place["listing"] in ("emptied", "another")


def found_again(pairing: str) -> str:
    """The setting that counts what was found under other refs, since nothing was seen of what the calendar held."""
    return f"again\n{pairing}"


def know_again(ctx: Context, left: int, before: str | None) -> None:
    """What was there before has been found under other refs, or its end was approved, but for what is `left` to be
    deleted. That may be on its way: where a full comparison finds nothing more, and no more than a fifth is left, it is
    the same calendar, and what is left is judged like any other deletion. `before`: what `found_again` says."""
    name = found_again(ctx.pairing.id)
    with ctx.store.reading() as tx:
        place = tx.feed(item_feed(ctx.pairing.id))
        if place is None or (before is None and place["listing"] not in ("emptied", "another")):
            return
        if not left and tx.pending_refs(ctx.pairing.id, "item"):
            return  # it is looked for what is missing
    found = int(before or 0) + len(ctx.moved)
    with ctx.store.transaction() as tx:
        if not left or (ctx.full and not ctx.moved and left * 4 <= found):
            tx.set_feeds([{**place, "listing": ""}])
            tx.drop_setting(name)
            tx.drop_setting(holding(ctx.pairing.id))
        elif before is None or ctx.moved:
            tx.set_setting(name, str(found))


def feed_crm(ctx: Context) -> None:
    """Announces what happened in the CRM, to every pairing that shares it."""
    pairing = ctx.pairing
    name = crm_feed(pairing.crm_name)
    with ctx.store.reading() as tx:
        place = tx.feed(name)
        unseeded = [] if _seeded(tx, pairing) else _all_unseeded(tx, _sharers(ctx))
    if place is not None and place["cursor"] and isinstance(pairing.crm, Lasting):
        pairing.crm.recognise(place["cursor"])
    if ctx.anew and pairing not in unseeded:
        unseeded = [*unseeded, pairing]
    generation = place["generation"] if place else 0
    listing = "all" if place is None else place["listing"]
    if not listing and ctx.full:
        listing = "compare"
    if place is not None and unseeded and not listing:
        for page in pairing.crm.changes(""):
            with ctx.store.transaction() as tx:
                _route(ctx, tx, page, unseeded, echoes=True)
                if page.complete:
                    _mark_seeded(tx, unseeded)
    elif ctx.crm_just_read and not listing:
        return
    cursor = place["cursor"] if place else ""
    if listing:
        generation, cursor = generation + 1, ""
    for attempt in (1, 2):
        try:
            _read_crm(ctx, name, cursor, listing, generation)
            return
        except CursorExpired:
            if attempt == 2 or cursor == "":
                raise
            listing, generation, cursor = "compare", generation + 1, ""


def feed_people(ctx: Context) -> None:
    """Wakes what a condition left out that asks whom the CRM knows, when the CRM knows others now."""
    crm = ctx.pairing.crm
    if not isinstance(crm, Knowing) or not needs_people(ctx.pairing.lens.mapping):
        return
    now, name = crm.people_version(), f"people {ctx.pairing.id}"
    with ctx.store.reading() as tx:
        known = tx.setting(name)
    if known != now:
        with ctx.store.transaction() as tx:
            tx.wake(ctx.pairing.id, PEOPLE)
            tx.set_setting(name, now)


def _sharers(ctx: Context) -> list[Pairing]:
    """The pairings that share this one's CRM, itself among them."""
    return [p for p in ctx.everyone if p.crm_name == ctx.pairing.crm_name] or [ctx.pairing]


def _read_crm(ctx: Context, name: str, cursor: str, listing: str, generation: int) -> None:
    crm = ctx.pairing.crm_name
    seen = 0
    for page in ctx.pairing.crm.changes(cursor):
        if not listing and not page.changes and page.cursor == cursor:
            continue
        everyone = _sharers(ctx)
        seen += sum(not c.gone for c in page.changes)
        with ctx.store.transaction() as tx:
            _route(ctx, tx, page, everyone, echoes=listing == "all", absent=True)
            if page.changes:
                _forget_absent(tx, everyone)
            done = listing
            if listing:
                tx.mark_rows_seen(crm, [c.ref for c in page.changes if not c.gone], generation)
                if page.complete:
                    missing = tx.rows_unseen(crm, generation)
                    for row in missing:
                        for link in tx.links_of_row(row.id):
                            tx.announce(link.pairing, "crm", [row.crm_ref or ""])
                            if not seen and len(missing) >= ALL:  # it is empty, and was not: somebody is asked first
                                tx.set_setting(holding(link.pairing), ctx.moment.text)
                    _mark_seeded(tx, everyone)
                    done = ""
            tx.set_feed(name, cursor=page.cursor, generation=generation, listing=done)


def _forget_absent(tx: Transaction, everyone: Sequence[Pairing]) -> None:
    """Who is not configured just now has not seen what the CRM says: all of it is shown to him when he is back."""
    crm, here = everyone[0].crm_name, {seed_feed(p.crm_name, p.id) for p in everyone}
    away = [n for n, mapping in tx.feed_mappings(seed_feed(crm, "")).items() if mapping and n not in here]
    tx.set_feeds([{"name": name, "mapping": ""} for name in away])


def _route(
    ctx: Context, tx: Transaction, page: Page, to: Sequence[Pairing], *, echoes: bool, absent: bool = False
) -> None:
    """Announces a page to the links of each activity, and to every employee who takes part in it. `absent`: to links of
    pairings that are not configured just now too."""
    by_id = {p.id: p for p in to}
    by_address: dict[str, list[Pairing]] = {}
    for p in to:
        for address in p.employee.addresses:
            by_address.setdefault(address, []).append(p)
    rows = tx.rows_by_ref(ctx.pairing.crm_name, [c.ref for c in page.changes])
    announced: dict[str, list[str]] = {}
    for change in page.changes:
        row = rows.get(change.ref)
        linked = tx.links_of_row(row.id) if row else []
        for link in linked:
            echo = not change.gone and bool(change.version) and link.crm_version == change.version
            if (absent or link.pairing in by_id) and (echoes or not echo):
                announced.setdefault(link.pairing, []).append(change.ref)
        if change.gone:
            continue
        mine = {link.pairing for link in linked}
        for address in change.people:
            for p in by_address.get(address, ()):
                if p.id not in mine and p.lens.mapping.activity == change.kind:
                    announced.setdefault(p.id, []).append(change.ref)
    for pairing, refs in announced.items():
        tx.announce(pairing, "crm", dict.fromkeys(refs))


def _seeded(tx: Transaction, pairing: Pairing) -> bool:
    place = tx.feed(seed_feed(pairing.crm_name, pairing.id))
    return place is not None and place["mapping"] == pairing.reading


def _all_unseeded(tx: Transaction, pairings: Sequence[Pairing]) -> list[Pairing]:
    """Those that have not seen all of the CRM yet, or not under their present mapping."""
    crm = pairings[0].crm_name
    seen = tx.feed_mappings(seed_feed(crm, ""))
    return [p for p in pairings if seen.get(seed_feed(crm, p.id)) != p.reading]


def _mark_seeded(tx: Transaction, pairings: Sequence[Pairing]) -> None:
    tx.set_feeds([{"name": seed_feed(p.crm_name, p.id), "mapping": p.reading} for p in pairings])
