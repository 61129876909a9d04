"""Recover: every write that may or may not have arrived is asked for, before anything else.

It arrived: finish the book-keeping with what was *meant* then, not what stands there now (fine
print 4 and 5). It did not: drop the intent. Either way both sides are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from syncd.engine.context import IN_A_ROW, Context
from syncd.engine.digest import apply_moves
from syncd.engine.given import given_of
from syncd.engine.look import crm_view, item_view
from syncd.engine.occurrences import expand
from syncd.engine.redact import forget_agreement, not_there, show_colleagues
from syncd.engine.write_crm import made_before
from syncd.engine.write_item import is_anothers
from syncd.engine.writes import find_made, finish, seen, shaped_moves
from syncd.model.fields import Fields, kind_of
from syncd.model.record import Record
from syncd.ports import AuthFailed, Gone, PortError, Rejected, Transient, Written
from syncd.privacy import Admission
from syncd.store import Intent, Link, Row, Transaction


def recover(ctx: Context) -> int:
    """Settles every open intent of the pairing; returns how many there were."""
    with ctx.store.reading() as tx:
        intents = tx.intents(ctx.pairing.id)
    late = 0
    for intent in intents:
        with ctx.store.reading() as tx:
            link = tx.link(intent.link)
            row = tx.row(link.activity) if link else None
        if link is None or row is None:
            with ctx.store.transaction() as tx:
                tx.close_intent(intent.id)
            continue
        try:
            _BY_OP[intent.op](ctx, intent, link, row)
            late = 0
        except AuthFailed:
            raise
        except PortError as error:  # asked again in the next pass; the others go on
            ctx.unsure.add(link.id)
            late += isinstance(error, Transient)
            if late == IN_A_ROW:
                raise
    return len(intents)


def _create(ctx: Context, intent: Intent, link: Link, row: Row) -> None:
    crm = intent.side == "crm"
    found = find_made(ctx, intent)
    if found is not None and not crm and is_anothers(ctx, link, found[0]):
        found = None
    source = _source(ctx, intent, link, row) if found is not None else {}
    with ctx.store.transaction() as tx:
        if found is None:
            tx.close_intent(intent.id)
            _look_again(ctx, tx, link, row)
            return
        ref, view = found
        intent = _shaped(ctx, intent, link, view, source)
        if crm and made_before(ctx, tx, intent, ref):
            return
        if crm:
            tx.set_row(row.id, crm_ref=ref, **({"maker": link.id} if row.maker is None else {}))
            link = finish(ctx, tx, intent, Written(ref, None))
            for other in tx.links_of_row(row.id):
                tx.announce(other.pairing, "crm", [ref])
        else:
            link = finish(ctx, tx, intent, Written(ref, None), item_ref=ref, ours=True, role="copy")
            tx.announce(link.pairing, "item", [ref])
        _look_again(ctx, tx, link, row)


def _update(ctx: Context, intent: Intent, link: Link, row: Row) -> None:
    record = _fetch(ctx, intent.side, link, row)
    if record is not None and record.version != intent.expected:
        intent = _shaped(ctx, intent, link, record.view, _source(ctx, intent, link, row))
    with ctx.store.transaction() as tx:
        if record is not None and record.version != intent.expected and _holds(ctx, intent, link, record):
            finish(ctx, tx, intent, Written(record.ref, None))
        else:
            tx.close_intent(intent.id)
            if record is not None and record.version != intent.expected:
                _partly(ctx, tx, intent, link, record)
        _look_again(ctx, tx, link, row)


def _partly(ctx: Context, tx: Transaction, intent: Intent, link: Link, record: _Held) -> None:
    """The record does not hold all that was meant: somebody has edited since, or it never arrived.
    The fields and elements that it does hold are ours all the same, and must not count as that
    person's."""
    digester, view = ctx.digester(link.id), record.view
    bases = {"item": link.item_base, "crm": link.crm_base}
    ours: dict[str, dict[str, Any]] = {"item": {}, "crm": {}}
    for name, move in intent.moves.get(intent.side, {}).items():
        held = digester.of(name, view[name]) if name in view else None
        if isinstance(move, dict) and isinstance(held, dict):
            arrived = {e for e, content in move.items() if content is not None and held.get(e) == content}
            for side in ours:
                elements = intent.moves.get(side, {}).get(name, {})
                if arrived & elements.keys():
                    ours[side][name] = {e: elements[e] for e in arrived & elements.keys()}
        elif held == move and held != bases[intent.side].get(name):
            for side in ours:
                if name in intent.moves.get(side, {}):
                    ours[side][name] = intent.moves[side][name]
    names = ours[intent.side].keys()
    if not names:
        return
    values: dict[str, Any] = {f"{side}_base": apply_moves(bases[side], moves) for side, moves in ours.items()}
    if intent.side == "crm":
        values["brought"] = link.brought | names
    texts = {n: t for n, t in intent.moves.get("texts", {}).items() if n in names}
    tx.set_link(link.id, **values, texts={**link.texts, **texts})


def _delete(ctx: Context, intent: Intent, link: Link, row: Row) -> None:
    record = _fetch(ctx, intent.side, link, row)
    with ctx.store.transaction() as tx:
        if record is None and intent.op == "delete":
            finish(ctx, tx, intent, None)
        elif intent.op == "redact" and _redacted(ctx, intent, link, record):
            tx.close_intent(intent.id)
            if record is None:
                not_there(tx, link, row)
            else:
                show_colleagues(tx, link, row, intent.moves.get("check", {}))
            said = {name: bool(intent.moves.get(name)) for name in ("block", "private", "handed")}
            forget_agreement(tx, link, **said, taken=intent.moves.get("taken", ()))
        else:
            tx.close_intent(intent.id)
        _look_again(ctx, tx, link, row)


_BY_OP = {"create": _create, "update": _update, "delete": _delete, "redact": _delete}


def _redacted(ctx: Context, intent: Intent, link: Link, record: _Held | None) -> bool:
    """True when the redaction has arrived: one of the fields that it takes back is as it was to be. One that
    takes back the history alone cannot be seen, and is made again."""
    if record is None or record.version == intent.expected:
        return record is None
    view, digester = record.fields, ctx.digester(link.id)
    check = intent.moves.get("check", {})
    return any(digester.of(n, view.get(n, kind_of(n).empty)) == meant for n, meant in check.items())


def _source(ctx: Context, intent: Intent, link: Link, row: Row) -> Fields:
    """What the side that the write came from shows now, as far as it still is what was sent."""
    side = "item" if intent.side == "crm" else "crm"
    record = _fetch(ctx, side, link, row)
    if record is None:
        return {}
    digester = ctx.digester(link.id)
    meant = intent.moves.get(side, {})
    return {n: v for n, v in record.view.items() if digester.of(n, v) == meant.get(n)}


def _shaped(ctx: Context, intent: Intent, link: Link, view: Fields, source: Fields) -> Intent:
    """The intent with the bases of what the server cut: an image of what was sent arrived too."""
    before = link.crm_base if intent.side == "crm" else link.item_base
    exact = (ctx.pairing.crm if intent.side == "crm" else ctx.items).capabilities.exact
    moves, _ = shaped_moves(
        ctx, intent, intent.side, view, source, shaping=not exact, before=None if intent.op == "create" else before
    )
    check = {n: moves.get(intent.side, {}).get(n, d) for n, d in moves.get("check", {}).items() if isinstance(d, str)}
    return seen(replace(intent, moves={**moves, "check": {**moves.get("check", {}), **check}}))


@dataclass(frozen=True)
class _Held:
    """What a side shows of a record now."""

    ref: str
    version: str
    #: In the activity's terms; {} for what may not be seen.
    view: Fields
    #: The view, with the fields of an activity that are not mapped.
    fields: Fields
    #: The item as admitted.
    item: Record | None = None


def _fetch(ctx: Context, side: str, link: Link, row: Row) -> _Held | None:
    ref = row.crm_ref if side == "crm" else link.item_ref
    if ref is None:
        return None
    found: Record | Admission | PortError
    if side == "crm":
        found = ctx.pairing.crm.fetch([ref]).get(ref, Gone("not there"))
    else:
        found = ctx.items.one(ref, given_of([link]))
    if isinstance(found, Gone | Rejected):
        return None
    if isinstance(found, PortError):
        raise found
    if isinstance(found, Record):
        view = crm_view(ctx, found, link)
        return _Held(ref, found.version, view, {**found.fields, **view})
    shown = found.record
    view = item_view(ctx, shown.fields) if shown is not None else {}
    return _Held(ref, found.version, view, view, shown)


def _holds(ctx: Context, intent: Intent, link: Link, record: _Held) -> bool:
    """True when the record holds every value that the write meant."""
    check = intent.moves.get("check", {})
    if link.occurrence and intent.side == "item":
        return _occurrence_holds(ctx, link, record.item, check)
    digester = ctx.digester(link.id)
    return bool(check) and all(
        digester.of(n, record.fields.get(n, kind_of(n).empty)) == meant for n, meant in check.items()
    )


def _occurrence_holds(ctx: Context, link: Link, shown: Record | None, check: dict[str, object]) -> bool:
    if shown is None or shown.fields.get("recurrence") is None:
        return False
    fields = expand(shown.fields, ctx.moment.bounds(ctx.pairing.lens)).get(link.occurrence)
    if fields is None:
        return not check or "status" in check
    view = item_view(ctx, fields)
    digester = ctx.digester(link.id)
    return bool(check) and all(digester.of(n, view.get(n)) == meant for n, meant in check.items())


def _look_again(ctx: Context, tx: Transaction, link: Link, row: Row) -> None:
    current = tx.row(row.id)
    ctx.touch(tx, tx.link(link.id) or link, current or row)
