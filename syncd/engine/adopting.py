"""An item and an activity that were typed by hand on both sides, or known from a calendar that has been replaced: when
exactly one activity is the same meeting, it is taken for it (design §5, adopt).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.look import equal_meeting
from syncd.engine.newcomers import as_activity, row_of
from syncd.engine.roles import ABSENT
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import Gone
from syncd.store import Link, Row


def adopted(ctx: Context, record: Record, occurrence: str, view: Fields) -> Row | None:
    """The row of the one activity that is this item, typed by hand on both sides, or known from a calendar that
    has been replaced by this one."""
    owner = ctx.pairing.employee.addresses[0]
    (found,) = ctx.pairing.crm.candidates([as_activity(ctx, record, view)], owner)
    same_uid = [c for c in found if record.uid and c.uid == record.uid and _under_one_organiser(ctx, record, c)]
    alike = [] if record.kind == "message" else [c for c in found if equal_meeting(ctx, view, c)]
    likely = same_uid or alike  # two messages of one second may have one subject
    with ctx.store.reading() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, [c.ref for c in likely])
        links = {row.id: tx.links_of_row(row.id) for row in rows.values()}
    shared = {c.ref for c in alike if takes_part(ctx, c)}
    free = [c for c in likely if c.ref not in rows or _is_free(ctx, rows[c.ref], record, occurrence, links, shared)]
    if len(free) != 1:
        return None
    with ctx.store.transaction() as tx:
        return rows.get(free[0].ref) or row_of(ctx, tx, free[0])


def _under_one_organiser(ctx: Context, record: Record, activity: Record) -> bool:
    """Whether an activity that carries the item's UID is that item: the employee's own, or a meeting whose
    organiser has it, or takes part in it."""
    if record.kind == "message" or activity.owner in ctx.pairing.employee.addresses:
        return True
    people = activity.fields.get("participants") or People()
    return bool(record.owner) and (record.owner == activity.owner or record.owner in people)


def _is_free(
    ctx: Context,
    row: Row,
    record: Record,
    occurrence: str,
    links: Mapping[int, Sequence[Link]],
    shared: Collection[str],
) -> bool:
    """True when the employee has no item of the activity, or had one in a calendar in which it is no more; `shared`:
    meetings of several employees, of which each holds a copy, be it under one UID."""
    for link in links[row.id]:
        if link.pairing in ctx.siblings and link.rest not in ABSENT:
            return False
        if link.pairing == ctx.pairing.id:
            if link.occurrence != occurrence or not _is_missing(ctx, link):
                return False
    return row.crm_ref in shared or not is_another_persons(ctx, row, record, occurrence, links[row.id])


def takes_part(ctx: Context, activity: Record) -> bool:
    """True for an activity that is the employee's too: what its other people hold under one UID are copies of it, made
    by a store that is lost, or by another service."""
    people = activity.fields.get("participants") or People()
    return activity.owner in ctx.pairing.employee.addresses or bool(ctx.pairing.employee.among(people))


def is_another_persons(ctx: Context, row: Row, record: Record, occurrence: str, links: Sequence[Link]) -> bool:
    """True for an item that has the UID of another employee's own, and that neither of them organises: it is an
    appointment of its own."""
    if record.owner or not record.uid or row.uid_digest is None or record.kind == "message":
        return False
    if row.uid_digest != uid_digest(ctx.key, record.uid, occurrence):
        return False
    others = {p.id for p in ctx.everyone} - {ctx.pairing.id, *ctx.siblings}
    theirs = [k for k in links if k.pairing in others and k.occurrence == occurrence]
    return any(not k.ours and k.role == "own" and k.rest not in ABSENT for k in theirs)


def _is_missing(ctx: Context, link: Link) -> bool:
    if link.item_ref is None or link.rest in ("taken-back", "private"):
        return False
    return link.item_ref in ctx.missing or isinstance(ctx.items.one(link.item_ref), Gone)
