"""Carries decisions out: journal the intent, write with the expected version, keep what was meant.

Every write has the same three beats, so that a crash at any point leaves either nothing done, or an
intent that `recover` can ask about: (1) the intent, with the digests of the values that it means;
(2) the call; (3) one transaction that moves the bases to what was meant and closes the intent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from syncd.engine.came import OWNED
from syncd.engine.context import Context
from syncd.engine.digest import Digester, apply_moves
from syncd.engine.given import GIVEN, KEPT, given_by
from syncd.engine.look import crm_view, item_view
from syncd.engine.sides import Merge
from syncd.engine.text import image, one_line
from syncd.model.fields import Fields, kind_of
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.ports import (
    AuthFailed,
    Capabilities,
    Exists,
    Gone,
    Rejected,
    Stale,
    Unsupported,
    Written,
)
from syncd.privacy import Admission, Given
from syncd.store import Intent, Link, Transaction
from syncd.store.journal import note_decision

Moves = dict[str, Any]
#: How a side's record looks in the activity's terms.
View = Callable[[Record], Fields]


class Wait(Exception):
    """Another link is at the same activity just now: look again in the next pass."""


def moves_of(merge: Merge, place: tuple[dict[str, Any], dict[str, Any]], **more: Any) -> Moves:
    """The journalled form of how the bases move."""
    texts = {n: t for n, t in merge.texts.items() if n in place[0] or n in place[1]}
    return {"item": place[0], "crm": place[1], "texts": texts, **more}


def moved(link: Link, moves: Mapping[str, Any]) -> dict[str, Any]:
    """The link's columns after the moves."""
    values: dict[str, Any] = {
        "item_base": apply_moves(link.item_base, moves.get("item", {})),
        "crm_base": apply_moves(link.crm_base, moves.get("crm", {})),
    }
    if moves.get("texts"):
        values["texts"] = {**link.texts, **moves["texts"]}
    if moves.get("brought"):
        values["brought"] = link.brought | frozenset(moves["brought"])
    if moves.get("given-up"):  # what somebody else's words have replaced in an entry is no longer what it brought
        values["brought"] = values.get("brought", link.brought) - frozenset(moves["given-up"])
    if "private_copy" in moves:
        values["private_copy"] = moves["private_copy"]
    values |= _alone(link, moves)
    for name in (WAS, GIVEN, KEPT, OWNED):
        if name in moves:
            values["unconfirmed"] = {**values.get("unconfirmed", link.unconfirmed), name: moves[name]}
    return values


def _alone(link: Link, moves: Mapping[str, Any]) -> dict[str, Any]:
    """What was written and not seen yet, and what stands on one side alone as it may not cross: whatever
    replaces that later keeps it, and it crosses when it may."""
    values: dict[str, Any] = {}
    local_side, local_names = moves.get("local") or ("", [])
    if local_names:
        alone = f"local-{local_side}"
        values["unconfirmed"] = {**link.unconfirmed, alone: sorted({*link.unconfirmed.get(alone, []), *local_names})}
        link = replace(link, unconfirmed=values["unconfirmed"])
    if moves.get("unconfirmed") or moves.get("crossed"):
        side, names = moves.get("unconfirmed") or moves["crossed"]
        held = {k: v for k, v in link.unconfirmed.items() if k != side}
        if moves.get("unconfirmed"):
            known = link.item_version if side == "item" else link.crm_version
            before = [] if known else link.unconfirmed.get(side, [])  # under a version of before, nothing is ours now
            held[side] = sorted({*before, *names})
        for alone in ("local-item", "local-crm"):  # it was sent, or replaced
            left = [n for n in held.pop(alone, []) if not _has_crossed(n, names, moves.get(side, {}))]
            if left:
                held[alone] = left
        values["unconfirmed"] = held
    return values


def _has_crossed(local: str, names: Sequence[str], moves: Mapping[str, Any]) -> bool:
    """True when what stood on a side alone (a field, or one element of it) has been written there."""
    name, _, element = local.partition(" ")
    return local in names or (bool(element) and element in (moves.get(name) or {}))


#: What an item showed that is gone, and that was made again as the CRM had it: in digests, to know it where it went.
WAS = "was"

#: Names in `explain` what a server did not take, without saying so.
NOT_TAKEN = "not taken"

#: Stands among the fields that a link brought when values of its item were put into the activity's history.
HISTORY = "history"

#: So begin, among the fields that a link brought, the digests of occurrences of which words have crossed: they stand in
#: the activity's history, whatever becomes of them in the item.
OVER = "over "


def overs(ctx: Context, occurrences: Iterable[str]) -> frozenset[str]:
    """How links remember that words of these occurrences (original starts) have crossed."""
    digester = Digester(ctx.key, "over")
    return frozenset(OVER + digester.text(key) for key in occurrences)


def edited(series: Any) -> Iterable[str]:
    """The occurrences of a recurrence that have something of their own."""
    return series.overrides if isinstance(series, Recurrence) else ()


#: Of a text sent to a side that may cut it without saying so, the digests of this many beginnings
#: are journalled: if the answer is lost, `recover` still knows its own words when they come back cut.
_IMAGES = 512


def intent_of(
    ctx: Context, link: Link, side: str, op: str, sent: Fields | None = None, **values: Any
) -> dict[str, Any]:
    """The first beat's columns."""
    if sent and not _caps(ctx, side).exact:
        digester = ctx.digester(link.id)
        texts = {n: one_line(v)[:_IMAGES] for n, v in sent.items() if isinstance(v, str)}
        images = {n: [digester.text(t[:k]) for k in range(1, len(t) + 1)] for n, t in texts.items()}
        values["moves"] = {**values["moves"], "images": images}
    return {"pairing": ctx.pairing.id, "link": link.id, "side": side, "op": op, **values}


def journal(
    ctx: Context, tx: Transaction, link: Link, side: str, op: str, sent: Fields | None = None, **values: Any
) -> Intent:
    """The first beat."""
    return tx.journal(**intent_of(ctx, link, side, op, sent, **values))


def confirm(
    ctx: Context, side: str, written: Written, intent: Intent, sent: Fields, view: View
) -> tuple[Intent, Written]:
    """Reads a write back where the server may have shaped it, or gave no version (fine print 3).

    A field that we wrote and that differs moves its base to what is held only if that is an image of
    what we sent, or if nobody can have written since; otherwise it is an edit: the base stays as
    meant, and the version stays unknown, so that the edit is looked at. What still is as it was before the
    write was not taken: that is no edit either, and is said once.
    """
    if written.version is not None and _caps(ctx, side).exact:
        return intent, written  # what stands there under this version is the server's doing, if it is looked at
    found = read_back(ctx, side, written.ref, _given(ctx, intent))
    if found is None:
        return intent, Written(written.ref, None)
    ours = written.version is not None and found.version == written.version
    if written.version is not None and not ours and found.version == intent.expected:
        return intent, Written(written.ref, None)  # the read came before the write
    held = view(found)
    with ctx.store.reading() as tx:
        link = tx.link(intent.link)
    old = (link.item_base if side == "item" else link.crm_base) if link is not None else {}
    before = None if _caps(ctx, side).exact else _before(ctx, intent, old, held)
    moves, edited = shaped_moves(ctx, intent, side, held, sent, ours=ours, shaping=True, before=before, arrived=True)
    base, digester = apply_moves(old, moves.get(side, {})), ctx.digester(intent.link)
    edited = edited or any(not digester.holds(base, n, v) for n, v in held.items())
    return seen(replace(intent, moves=moves)), Written(written.ref, None if edited else found.version)


def _caps(ctx: Context, side: str) -> Capabilities:
    return ctx.pairing.crm.capabilities if side == "crm" else ctx.items.capabilities


def seen(intent: Intent) -> Intent:
    """The write needs no later look: what differs from now on is an edit."""
    return replace(intent, moves={k: v for k, v in intent.moves.items() if k != "unconfirmed"} | _named(intent))


def _named(intent: Intent) -> Moves:
    """The fields that were written, by which what never crossed before is forgotten."""
    return {"crossed": intent.moves["unconfirmed"]} if intent.moves.get("unconfirmed") else {}


def _given(ctx: Context, intent: Intent) -> Given:
    with ctx.store.reading() as tx:
        return given_by(tx.link(intent.link), intent.moves)


def read_back(ctx: Context, side: str, ref: str, given: Given) -> Record | None:
    """What a side shows of a record now; None when it is not there, cannot be read, or may not be seen."""
    found = ctx.pairing.crm.fetch([ref]).get(ref) if side == "crm" else ctx.items.one(ref, given)
    if isinstance(found, Admission):
        return found.record if not found.read_only else None
    return found if isinstance(found, Record) else None


def _before(ctx: Context, intent: Intent, old: Mapping[str, Any], held: Fields) -> Mapping[str, Any]:
    """The base before the write; what was made just now was empty."""
    if intent.op != "create":
        return old
    digester = ctx.digester(intent.link)
    return {name: digester.of(name, kind_of(name).empty) for name in held}


def shaped_moves(
    ctx: Context,
    intent: Intent,
    side: str,
    held: Fields,
    sent: Fields,
    *,
    ours: bool = False,
    shaping: bool = False,
    before: Mapping[str, Any] | None = None,
    arrived: bool = False,
) -> tuple[Mapping[str, Any], bool]:
    """The intent's moves with the bases of what the server shaped; and whether somebody edited.

    Args:
        ours: nobody can have written since.
        shaping: the side gave no version, or may shape what it is given: an image of what we sent is no edit.
        before: the base before the write. What is as it was then is no beginning of what was sent, but
            what was there: the write may never have arrived.
        arrived: it has arrived, so that what is as it was then was not taken: its base is what is held, by
            element; `refused` names the fields.
    """
    digester = ctx.digester(intent.link)
    base = dict(intent.moves.get(side, {}))
    edited, refused = False, set[str]()
    images = intent.moves.get("images", {})
    for name in sorted(sent.keys() | images.keys()):
        if name not in held or name not in base or digester.of(name, held[name]) == base[name]:
            continue
        if kind_of(name).keyed:
            if arrived and before is not None and isinstance(base[name], dict):
                now, was = digester.of(name, held[name]), before.get(name) or {}
                stays = {e: now.get(e) for e, c in base[name].items() if now.get(e) != c and now.get(e) == was.get(e)}  # type: ignore[union-attr]
                base[name] = {**base[name], **stays}
                refused |= {name} if stays else set()
            continue
        if before is not None and digester.of(name, held[name]) == before.get(name):
            if arrived:
                base[name] = digester.of(name, held[name])
                refused.add(name)
            continue
        known = digester.text(one_line(held[name])) in images.get(name, ())
        if ours or known or (shaping and image(held[name], sent.get(name))):
            base[name] = digester.of(name, held[name])
        else:
            edited = True
    moves = {**intent.moves, side: base}
    return ({**moves, "refused": sorted(refused)} if refused else moves), edited


def finish(ctx: Context, tx: Transaction, intent: Intent, written: Written | None, **more: Any) -> Link:
    """The third beat: the bases hold what was meant, the intent is closed."""
    link = tx.link(intent.link)
    assert link is not None
    values = moved(link, intent.moves) | more
    if intent.op != "update" or intent.after:
        values["rest"] = intent.after
    if written is not None:
        values["item_version" if intent.side == "item" else "crm_version"] = written.version or ""
    tx.close_intent(intent.id)
    if intent.moves.get("refused"):
        detail = {"side": intent.side, "fields": intent.moves["refused"]}
        at, row = ctx.moment.text, link.activity
        note_decision(tx, at=at, pairing=link.pairing, link=link.id, row=row, rule=NOT_TAKEN, detail=detail)
    return tx.set_link(link.id, **values)


def attempt(ctx: Context, intents: list[Intent], call: Callable[[], Any]) -> Any:
    """The second beat. A write that was refused for certain leaves no intent behind; one whose
    outcome is unknown (Transient, a crash) stays open for `recover`."""
    try:
        return call()
    except Exists:
        raise  # it is there: whoever asked finds out under which ref
    except (Stale, Gone, Rejected, Unsupported, AuthFailed):
        drop(ctx, intents)
        raise


def drop(ctx: Context, intents: list[Intent]) -> None:
    """These writes were certainly not made."""
    with ctx.store.transaction() as tx:
        for intent in intents:
            tx.close_intent(intent.id)


def created(ctx: Context, intent: Intent, sent: Fields, call: Callable[[], Written]) -> tuple[Intent, Written]:
    try:
        return intent, attempt(ctx, [intent], call)
    except Exists:
        found = arrived(ctx, intent, sent)
        if found is None:
            drop(ctx, [intent])
            raise Rejected(HIDDEN) from None
        return found


HIDDEN = "the server says that this exists already, but does not show it"


def arrived(ctx: Context, intent: Intent, sent: Fields) -> tuple[Intent, Written] | None:
    """A create that was refused because its key exists has arrived before: perhaps long before, and
    what was meant then is forgotten (a deleted copy came out of the trash, a store out of a backup).
    Of a field that differs from what is meant now, nobody knows who changed it: its bases stay as they
    were, so that the two are merged, and the one that loses is kept."""
    found = find_made(ctx, intent)
    if found is None:
        return None
    ref, held = found
    digester, exact = ctx.digester(intent.link), _caps(ctx, intent.side).exact
    differ = {
        n
        for n, meant in intent.moves.get(intent.side, {}).items()
        if n in held and digester.of(n, held[n]) != meant and (exact or not image(held[n], sent.get(n)))
    }
    agreed = {
        part: {n: v for n, v in intent.moves.get(part, {}).items() if n not in differ}
        for part in ("item", "crm", "texts")
    }
    return seen(replace(intent, moves={**intent.moves, **agreed})), Written(ref, None)


def find_made(ctx: Context, intent: Intent) -> tuple[str, Fields] | None:
    """What became of a create: where its record is, and what it shows of it in the activity's terms ({} where
    it may not be seen); None when it did not arrive."""
    if intent.side == "crm":
        record = ctx.pairing.crm.find(intent.key, intent.uid)
        with ctx.store.reading() as tx:
            link = tx.link(intent.link)
        return (record.ref, crm_view(ctx, record, link)) if record is not None else None
    admission = ctx.items.find(intent.key, intent.uid, given_by(None, intent.moves))
    if admission is None:
        return None
    shown = admission.record if admission.record is not None and not admission.read_only else None
    return admission.ref, item_view(ctx, shown.fields) if shown is not None else {}
