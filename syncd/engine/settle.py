"""Settle: work off what was announced, a batch at a time; one link's failure never stops the next.

Items first, then activities: an activity without an item is copied into the calendar only when no
unread item may still turn out to be the same meeting. Deletions wait until the guard has seen how
many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.exc import IntegrityError

from syncd.engine.context import IN_A_ROW, Context
from syncd.engine.feed import found_again, is_another, know_again
from syncd.engine.fresh import settle_fresh
from syncd.engine.given import given_of
from syncd.engine.guard import allows, holding
from syncd.engine.join import join_activity
from syncd.engine.pairing import item_feed
from syncd.engine.parts import Outcome, Unit
from syncd.engine.roles import ABSENT
from syncd.engine.unit import settle_unit
from syncd.engine.writes import Wait
from syncd.model.record import Record
from syncd.model.recurrence import BadRule
from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected, Stale, Transient
from syncd.privacy import Admission
from syncd.store import Fenced, Link, Parked, Pending, StoreFault
from syncd.store.journal import park, unpark

#: How many announcements are settled at a time; memory is bounded by this, not by the mailbox.
BATCH = 100
#: How often a unit is planned anew when its records move under it.
TRIES = 3
#: How often one record is looked at in a pass, however often it is announced again: the next pass goes on.
OFTEN = 20


def settle(ctx: Context) -> None:
    """Settles everything that is due. Raises Transient and AuthFailed, which stop the pairing."""
    name = f"late\n{ctx.pairing.id}"
    with ctx.store.reading() as tx:
        noted = tx.settings_of((name, holding(ctx.pairing.id), found_again(ctx.pairing.id)))
    before, again = noted.get(name, ""), False
    try:
        _settle(ctx, noted)
        again = bool(ctx.late) and all(_named(unit) in before.split("\n") for unit, _ in ctx.late)
        if ctx.late and not ctx.ready and (not again or len(ctx.late) >= IN_A_ROW):
            raise ctx.late[-1][1]  # nothing says that it is not the server; if it is these again, it is these
    finally:
        _leave(ctx, ready=ctx.ready or again)
        now = "\n".join(sorted(ctx.not_now))
        if now != before:
            with ctx.store.transaction() as tx:
                tx.set_setting(name, now)


def _settle(ctx: Context, noted: Mapping[str, str]) -> None:
    found: list[tuple[Unit, int]] = []
    for side in ("item", "crm"):
        _side(ctx, side, found)
    found = _still_linked(ctx, _once_each(found))
    held = holding(ctx.pairing.id)
    know_again(ctx, sum(count for _, count in found), noted.get(found_again(ctx.pairing.id)))
    if not found:
        if held in noted:
            with ctx.store.transaction() as tx:
                tx.drop_setting(held)
        return
    deferred, number = [unit for unit, _ in found], sum(count for _, count in found)
    with ctx.store.reading() as tx:
        waiting = tx.setting(held) is not None  # somebody may have said so just now
        links = tx.count_links(ctx.pairing.id)
    if allows(number, links, ctx.approved, emptied=is_another(ctx), waiting=waiting):
        if waiting:
            with ctx.store.transaction() as tx:
                tx.drop_setting(held)
        for start in range(0, len(deferred), BATCH):
            _units(ctx, deferred[start : start + BATCH], lambda unit, outcome: None, deletions=True)
        return
    ctx.report.held = number
    with ctx.store.transaction() as tx:
        tx.set_setting(held, ctx.moment.text)
        for unit in deferred:
            tx.hold(ctx.pairing.id, unit.entries)


def _once_each(found: Sequence[tuple[Unit, int]]) -> list[tuple[Unit, int]]:
    """What both sides have announced is one deletion."""
    units: dict[tuple[str | None, str | None], tuple[Unit, int]] = {}
    for unit, number in found:
        known, _ = units.setdefault((unit.ref, unit.crm_ref), (unit, number))
        if known is not unit:
            known.entries += unit.entries
    return list(units.values())


def _still_linked(ctx: Context, found: Sequence[tuple[Unit, int]]) -> list[tuple[Unit, int]]:
    """Of the deferred deletions those that are still to be made: an item that was put back, or moved, under
    another ref has taken its links with it, and its old ref says nothing any more."""
    kept: list[tuple[Unit, int]] = []
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        with ctx.store.reading() as tx:
            links = tx.links_by_item(ctx.pairing.id, [u.ref for u, _ in batch if u.ref is not None])
        linked = {link.item_ref for link in links}
        kept += [(u, n) for u, n in batch if u.ref is None or u.ref in linked]
        left = [u for u, _ in batch if u.ref is not None and u.ref not in linked]
        if left:
            _units(ctx, left, lambda unit, outcome: None, deletions=True)
    return kept


def _side(ctx: Context, side: str, deferred: list[tuple[Unit, int]]) -> None:
    after, times = 0, Counter[str]()
    while True:
        with ctx.store.reading() as tx:
            batch = tx.pending(ctx.pairing.id, side, after, ctx.moment.today, BATCH)
        if not batch:
            return
        after = batch[-1].seq
        times.update(entry.ref for entry in batch)
        batch = [entry for entry in batch if times[entry.ref] <= OFTEN]

        def note(unit: Unit, outcome: Outcome) -> None:
            if outcome.deferred:
                deferred.append((Unit(unit.ref, [], unit.entries, unit.crm_ref), outcome.deferred))

        units = _group(ctx, side, batch)
        _units(ctx, units, note, deletions=False, meanwhile=lambda after=after: _expect(ctx, side, after))  # type: ignore[misc]
        ctx.progress(len(batch))


def _expect(ctx: Context, side: str, after: int) -> None:
    """Lets the calendar's server work on the next batch while this one is settled."""
    if side == "item":
        with ctx.store.reading() as tx:
            refs = [entry.ref for entry in tx.pending(ctx.pairing.id, side, after, ctx.moment.today, BATCH)]
        ctx.items.expect(refs)


def _group(ctx: Context, side: str, batch: Sequence[Pending]) -> list[Unit]:
    """The announcements as units; one item is one unit however it was announced."""
    if side == "item":
        return [Unit(entry.ref, [], [entry]) for entry in batch]
    with ctx.store.reading() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, [e.ref for e in batch])
        links = tx.links_of_rows(ctx.pairing.id, [r.id for r in rows.values()])
    by_row: dict[int, list[Link]] = {}
    for link in links:
        by_row.setdefault(link.activity, []).append(link)
    units: dict[str, Unit] = {}
    for entry in batch:
        row = rows.get(entry.ref)
        mine = by_row.get(row.id, []) if row else []
        refs = {link.item_ref for link in mine}
        if not mine or refs == {None}:
            units[f"crm {entry.ref}"] = Unit(None, [], [entry], entry.ref)
        for ref in refs - {None}:
            unit = units.setdefault(f"item {ref}", Unit(ref))
            unit.entries.append(entry)
    return list(units.values())


def _units(
    ctx: Context,
    units: Sequence[Unit],
    note: Callable[[Unit, Outcome], None],
    *,
    deletions: bool,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Settles a batch: fetches what it needs at once, then goes from unit to unit."""
    refs = [u.ref for u in units if u.ref is not None]
    with ctx.store.reading() as tx:
        links: dict[str, list[Link]] = {}
        for link in tx.links_by_item(ctx.pairing.id, refs):
            links.setdefault(link.item_ref or "", []).append(link)
        crm_refs = [u.crm_ref for u in units if u.crm_ref is not None]
        for found in links.values():
            for link in found:
                row = tx.row(link.activity)
                if row is not None and row.crm_ref is not None:
                    crm_refs.append(row.crm_ref)
    items = ctx.items.fetch(refs, {ref: given_of(found) for ref, found in links.items()})
    for ref in [r for r in refs if isinstance(items.get(r), Gone) and _must_be_there(ctx, r, links.get(r, ()))]:
        items[ref] = _asked_once_more(ctx, ref)
    meanwhile()
    activities = ctx.pairing.crm.fetch(list(dict.fromkeys(crm_refs))) if crm_refs else {}
    ctx.report.read += len(units)
    for unit in units:
        unit.links = links.get(unit.ref or "", [])
    fresh = [u for u in units if u.ref is not None and not u.links and isinstance(items.get(u.ref), Admission)]
    if len(fresh) > 1:
        left = {id(u) for u in _fresh(ctx, fresh, items)}
        dealt = {id(u) for u in fresh} - left
        units = [u for u in units if id(u) not in dealt]
    for unit in units:
        if _named(unit) in ctx.not_now:
            continue
        try:
            outcome = _one(ctx, unit, items, activities, deletions=deletions)
        except Transient as error:
            ctx.late.append((unit, error))
            ctx.not_now.add(_named(unit))
            if len(ctx.late) > IN_A_ROW:
                raise
            if len(ctx.late) == IN_A_ROW:  # perhaps it is ready for others
                return
            continue
        _leave(ctx, ready=True)
        ctx.ready = True
        if outcome is not None:
            note(unit, outcome)


def _named(unit: Unit) -> str:
    return unit.ref if unit.ref is not None else f"crm {unit.crm_ref}"


def _leave(ctx: Context, *, ready: bool) -> None:
    """What the server was not ready for is parked, and tried again in each pass, where it is ready for others; else it
    is not the first thing that the next pass asks for."""
    for unit, error in ctx.late:
        if ready:
            _park(ctx, unit, str(error), again=True)
            ctx.retry_after = max(ctx.retry_after or 0.0, error.retry_after or 0.0) or None
            continue
        with ctx.store.transaction() as tx:
            for entry in unit.entries:
                tx.announce(ctx.pairing.id, entry.side, [entry.ref])
    ctx.late.clear()


def _must_be_there(ctx: Context, ref: str, links: Sequence[Link]) -> bool:
    """True for a linked entry of a calendar that its feed has just named, or of which it has said nothing, as it is
    the activity that has changed (for mail: see `mailroom`)."""
    if ctx.pairing.lens.mapping.item == "message" or all(link.rest in ABSENT for link in links):
        return False
    with ctx.store.reading() as tx:
        told = tx.has_news(ctx.pairing.id, "item", ref)
    return ref in ctx.listed or (not told and ref not in ctx.missing)


def _asked_once_more(ctx: Context, ref: str) -> Admission | PortError:
    """An item that was listed a moment ago and is not shown: it went in between, and the feed says so now; else nobody
    has deleted it, whatever the answer was. Raises Transient, AuthFailed."""
    with ctx.store.reading() as tx:
        place = tx.feed(item_feed(ctx.pairing.id))
    gone: bool | None = None
    try:
        for page in ctx.items.changes(place["cursor"] if place else ""):
            for change in page.changes:
                gone = change.gone if change.ref == ref else gone
    except CursorExpired:
        pass  # all is listed anew in the next pass
    if gone:
        return Gone("not there")
    found = ctx.items.one(ref)
    return found if isinstance(found, Admission) else Rejected("the server lists it and does not show it")


def _fresh(ctx: Context, units: Sequence[Unit], items: Mapping[str, Admission | PortError]) -> Sequence[Unit]:
    """The units that are left for one at a time: all of them, when one spoils the batch."""
    try:
        return settle_fresh(ctx, units, items)
    except (Transient, AuthFailed, StoreFault, Fenced):
        raise
    except Exception:
        ctx.doubt()
        with ctx.store.reading() as tx:
            links = tx.links_by_item(ctx.pairing.id, [u.ref for u in units if u.ref is not None])
        for unit in units:
            unit.links = [link for link in links if link.item_ref == unit.ref]
        return units


def _one(
    ctx: Context,
    unit: Unit,
    items: Mapping[str, Admission | PortError],
    activities: Mapping[str, Record | PortError],
    *,
    deletions: bool,
) -> Outcome | None:
    """One unit, with the treatment that each error has (design §4)."""
    if any(link.id in ctx.moved for link in unit.links):
        unit.links = _links(ctx, unit)
    for attempt in range(TRIES):
        try:
            if unit.ref is None:
                return _activity_unit(ctx, unit, activities, deletions=deletions)
            return settle_unit(ctx, unit, items.get(unit.ref), activities, deletions=deletions)
        except (Transient, AuthFailed, StoreFault, Fenced):
            raise
        except (Wait, IntegrityError):
            return None
        except (Stale, Gone):
            ctx.doubt()
            if attempt == TRIES - 1:
                return None  # it keeps moving: the announcement stays for the next pass
            items, activities = _again(ctx, unit), {}
        except (PortError, BadRule) as error:
            ctx.doubt()
            _park(ctx, unit, str(error))
            return None
        except Exception as error:
            ctx.doubt()
            _park(ctx, unit, f"unexpected {type(error).__name__}")
            return None
    return None


def _links(ctx: Context, unit: Unit) -> list[Link]:
    with ctx.store.reading() as tx:
        return tx.links_by_item(ctx.pairing.id, [unit.ref]) if unit.ref is not None else []


def _again(ctx: Context, unit: Unit) -> Mapping[str, Admission | PortError]:
    unit.links = _links(ctx, unit)
    if unit.ref is None:
        return {}
    found = ctx.items.one(unit.ref, given_of(unit.links))
    if any(link.id in ctx.moved for link in unit.links):
        unit.links = _links(ctx, unit)
    if isinstance(found, Gone) and _must_be_there(ctx, unit.ref, unit.links):
        found = _asked_once_more(ctx, unit.ref)
    return {unit.ref: found}


def _activity_unit(
    ctx: Context, unit: Unit, activities: Mapping[str, Record | PortError], *, deletions: bool
) -> Outcome:
    """An activity that has no item in this replica, or whose item's create is still open."""
    ref = unit.crm_ref or ""
    found = activities.get(ref) or ctx.pairing.crm.fetch([ref]).get(ref)
    if isinstance(found, PortError) and not isinstance(found, Gone):
        raise found
    with ctx.store.reading() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [ref]).get(ref)
        links = tx.links_of_rows(ctx.pairing.id, [row.id]) if row else []
    due = ""
    if not links and isinstance(found, Record):
        link, due = join_activity(ctx, found)
        links = [link] if link is not None else []
    unit.links = links
    if not links:
        with ctx.store.transaction() as tx:
            for entry in unit.entries:
                if due:
                    tx.postpone(ctx.pairing.id, entry, due)
                else:
                    tx.clear(ctx.pairing.id, [entry])
                unpark(tx, ctx.pairing.id, entry.side, entry.ref)
        return Outcome(due=due)
    items = _again(ctx, Unit(links[0].item_ref)) if links[0].item_ref else {}
    result = items.get(links[0].item_ref or "")
    return settle_unit(ctx, unit, result, {ref: found} if found is not None else {}, deletions=deletions)


def _park(ctx: Context, unit: Unit, reason: str, *, again: bool = False) -> None:
    """`again`: it is tried once more in each pass, as its cause may pass by itself."""
    ctx.report.parked += 1
    with ctx.store.transaction() as tx:
        for entry in unit.entries:
            link = unit.links[0].id if unit.links else None
            park(tx, Parked(ctx.pairing.id, entry.side, entry.ref, link, reason, ctx.moment.text))
            if not again:
                tx.clear(ctx.pairing.id, [entry])
