"""A record without a link: is it something that we know already, something typed on both sides, or new?

An item is known by its UID (or the key it carries); else it is adopted when exactly one activity has
the same start, end and subject (design §5, adopt); else it gets a row of its own, whose uniqueness
in the store is the claim that keeps two pairings from making two activities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.filing import digests
from syncd.engine.look import crm_view, equal_meeting, in_scope, item_view, within
from syncd.engine.marks import note_mark
from syncd.engine.pairing import day_text
from syncd.engine.roles import role_of
from syncd.engine.window import wakes
from syncd.engine.writes import Wait
from syncd.mapping.conditions import needs_people, taken
from syncd.model.fields import Fields
from syncd.model.record import Record
from syncd.ports import Gone, PortError, Rejected
from syncd.store import Link, Row, Transaction


def known_people(ctx: Context, fields: Fields) -> dict[str, str]:
    """Whom of the item's people the CRM knows, when the mapping asks."""
    if not needs_people(ctx.pairing.lens.mapping):
        return {}
    return dict(ctx.pairing.crm.known(fields.get("attendees") or ()))


def outside(ctx: Context, fields: Fields, view: Fields, known: Mapping[str, str]) -> str | None:
    """None when the item (whose `item_view` is given) crosses; else the day on which it is to be
    looked at again ("" for never)."""
    lens = ctx.pairing.lens
    if not within(ctx, view):
        day = wakes(view, ctx.moment.bounds(lens), ctx.moment.now, ctx.pairing.employee.zone)
        return day_text(day) if day else ""
    return None if taken(lens.mapping, fields, known) else ""


def as_activity(ctx: Context, record: Record, view: Fields) -> Record:
    """The item as the activity that it may be; a message is known by its identity alone."""
    view = {} if record.kind == "message" else view
    return Record(record.ref, "", ctx.pairing.lens.mapping.activity, view, record.uid)


def new_row(ctx: Context, record: Record, occurrence: str, digest: str | None) -> dict[str, Any]:
    """The row of an activity that an item brings."""
    return {
        "crm": ctx.pairing.crm_name,
        "kind": ctx.pairing.lens.mapping.activity,
        "key": new_key(ctx, f"item {ctx.pairing.id} {record.ref} {record.uid} {occurrence}"),
        "uid_digest": digest,
        "scheduled": bool(record.fields.get("attendees")),
        "origin": "groupware",
    }


def meeting_digest(ctx: Context, record: Record, occurrence: str) -> str | None:
    """By which the store knows an item that others hold too; a task made of a flagged message is its
    employee's alone."""
    if not record.uid:
        return None
    mine = f"{record.uid}\0{ctx.pairing.id}" if ctx.pairing.lens.mapping.activity == "task" else record.uid
    return uid_digest(ctx.key, mine if record.kind == "message" else record.uid, occurrence)


def makes_nothing(ctx: Context, fields: Fields) -> bool:
    """A cancelled meeting is not made in the CRM, nor a task of a message that nobody flagged."""
    if ctx.pairing.lens.mapping.item == "message":
        return ctx.pairing.lens.mapping.activity == "task" and not fields.get("flagged")
    return bool(fields.get("status") == "cancelled")


def join_item(ctx: Context, record: Record, occurrence: str, fields: Fields) -> tuple[Link | None, str]:
    """The link of an item, or of an occurrence, that has none yet.

    Returns (link, ""), or (None, due): it does not cross, and is to be looked at again on the day
    `due` ("" for never). Raises Wait, Rejected.
    """
    lens = ctx.pairing.lens
    view = item_view(ctx, fields, "own")
    due = outside(ctx, fields, view, known_people(ctx, fields))
    if due is not None:
        return None, due
    digest = meeting_digest(ctx, record, occurrence)
    with ctx.store.reading() as tx:
        row = tx.rows_by_key([record.uid]).get(record.uid) if record.uid and not occurrence else None
        if row is None and digest:
            row = tx.rows_by_uid(ctx.pairing.crm_name, [digest]).get(digest)
    if row is not None:
        return _known(ctx, record, occurrence, row), ""
    row = _adopted(ctx, record, view)
    if row is None and (lens.mapping.direction == "to-groupware" or makes_nothing(ctx, fields)):
        return None, ""
    try:
        with ctx.store.transaction() as tx:
            if row is None:
                row = tx.add_row(**new_row(ctx, record, occurrence, digest))
            elif digest and row.uid_digest is None:
                tx.set_row(row.id, uid_digest=digest)
            return _add(ctx, tx, row, record, occurrence, ours=False), ""
    except IntegrityError:
        raise Wait from None


def _known(ctx: Context, record: Record, occurrence: str, row: Row) -> Link | None:
    """The item belongs to a row that we know: another employee's meeting, our own copy, or an item
    that has moved to another place in this replica."""
    with ctx.store.reading() as tx:
        mine = [k for k in tx.links_of_rows(ctx.pairing.id, [row.id]) if k.occurrence == occurrence]
    link = mine[0] if mine else None
    if link is not None and link.item_ref not in (None, record.ref):
        there = ctx.pairing.replica.fetch([link.item_ref or ""]).get(link.item_ref or "")
        if isinstance(there, Record) and record.kind == "message":
            if "filed" not in record.traits or "filed" in there.traits:
                return None  # another copy of it in the same mailbox
        elif isinstance(there, Record):
            same = "has the same UID" if there.uid == record.uid else "is the same meeting"
            raise Rejected(f"another entry of this calendar {same}: {link.item_ref}: delete one of the two")
        if isinstance(there, PortError) and not isinstance(there, Gone):
            raise there
    with ctx.store.transaction() as tx:
        if link is None:
            return _add(ctx, tx, row, record, occurrence, ours=record.uid == row.key)
        ctx.moved.add(link.id)
        rest = "" if link.rest in ("item-gone", "declined", "taken-back") else link.rest
        moved = tx.set_link(link.id, item_ref=record.ref, item_version="", rest=rest)
        note_mark(ctx, tx, moved)
        return moved


def moved_here(ctx: Context, record: Record) -> list[Link]:
    """The link of a message that was logged, and that was moved to where nothing of it may cross."""
    digest = meeting_digest(ctx, record, "") if record.kind == "message" else None
    if digest is None:
        return []
    with ctx.store.reading() as tx:
        row = tx.rows_by_uid(ctx.pairing.crm_name, [digest]).get(digest)
        mine = tx.links_of_rows(ctx.pairing.id, [row.id]) if row else []
    for link in mine:
        there = ctx.pairing.replica.fetch([link.item_ref]).get(link.item_ref) if link.item_ref else Gone("not there")
        if isinstance(there, Gone):
            with ctx.store.transaction() as tx:
                ctx.moved.add(link.id)
                return [tx.set_link(link.id, item_ref=record.ref, item_version="", rest="")]
    return []


def _add(ctx: Context, tx: Transaction, row: Row, record: Record, occurrence: str, *, ours: bool) -> Link:
    others = tx.links_of_row(row.id)
    role = "copy" if ours else role_of(record, ctx.pairing.employee, None, others)
    ctx.report.linked += 1
    note_thread(ctx, tx, {row.id: record})
    made = tx.add_link(
        pairing=ctx.pairing.id, activity=row.id, item_ref=record.ref, occurrence=occurrence, role=role, ours=ours
    )
    note_mark(ctx, tx, made)
    return made


def note_thread(ctx: Context, tx: Transaction, messages: Mapping[int, Record]) -> None:
    """What answers these messages (activity -> message) will be filed like them."""
    found: dict[str, int] = {}
    for row, record in messages.items():
        if record.kind == "message" and ctx.pairing.lens.mapping.activity == "e-mail":
            for digest in digests(ctx, record, record.fields.get("outsiders") or ()):
                found.setdefault(digest, row)
    if found:
        tx.note_threads(ctx.pairing.crm_name, found)


def _adopted(ctx: Context, record: Record, view: Fields) -> Row | None:
    """The row of the one activity that is this item, typed by hand on both sides."""
    owner = ctx.pairing.employee.addresses[0]
    (found,) = ctx.pairing.crm.candidates([as_activity(ctx, record, view)], owner)
    same_uid = [c for c in found if record.uid and c.uid == record.uid]
    alike = [] if record.kind == "message" else [c for c in found if equal_meeting(ctx, view, c)]
    likely = same_uid or alike  # two messages of one second may have one subject
    with ctx.store.transaction() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, [c.ref for c in likely])
        free = [c for c in likely if c.ref not in rows or not tx.links_of_rows(ctx.pairing.id, [rows[c.ref].id])]
        if len(free) != 1:
            return None
        activity = free[0]
        return rows.get(activity.ref) or _row_of(ctx, tx, activity)


def _row_of(ctx: Context, tx: Transaction, activity: Record) -> Row:
    if activity.key and tx.rows_by_key([activity.key]):
        raise Wait  # somebody's create that has arrived and is not accounted for yet
    key = new_key(ctx, f"activity {ctx.pairing.crm_name} {activity.ref}")
    kind = ctx.pairing.lens.mapping.activity
    return tx.add_row(crm=ctx.pairing.crm_name, kind=kind, key=key, crm_ref=activity.ref, origin="crm")


def new_key(ctx: Context, source: str) -> str:
    """A row's key: always the same for the same source, and nothing can be read from it."""
    return str(UUID(bytes=hashlib.blake2b(source.encode(), key=ctx.key, digest_size=16).digest(), version=5))


def _written_here(ctx: Context, activity: Record) -> bool:
    """True for an e-mail that its author wrote in the CRM, and that no mailbox holds: only that one is
    put into the author's Sent folder."""
    outgoing = activity.fields.get("direction") == "out" and activity.owner in ctx.pairing.employee.addresses
    if ctx.pairing.lens.mapping.activity != "e-mail" or not outgoing or activity.uid:
        return False
    with ctx.store.reading() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [activity.ref]).get(activity.ref)
        return row is None or not tx.links_of_row(row.id)


def join_activity(ctx: Context, activity: Record) -> tuple[Link | None, str]:
    """As `join_item`, for an activity that has no item in this replica yet. Raises Wait."""
    pairing, lens = ctx.pairing, ctx.pairing.lens
    if lens.mapping.direction == "to-crm" or not in_scope(ctx, activity, ours=True):
        return None, ""
    if not pairing.replica.capabilities.writable:
        return None, ""
    if pairing.crm.statuses().get(str(activity.fields.get("status"))) == "rejected":
        return None, ""
    if lens.mapping.item == "message" and not _written_here(ctx, activity):
        return None, ""
    view = crm_view(ctx, activity)
    if not within(ctx, view):
        day = wakes(view, ctx.moment.bounds(lens), ctx.moment.now, pairing.employee.zone)
        return None, day_text(day) if day else ""
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(pairing.crm_name, [activity.ref]).get(activity.ref)
        if row is not None and row.scheduled:
            return None, ""  # their own invitation is their copy
        if tx.unlinked_items(pairing.id, ctx.moment.today):
            raise Wait  # an item that we have not read yet may be this meeting
        row = row or _row_of(ctx, tx, activity)
        # until its create has arrived the link rests like one whose item we took back
        link = tx.add_link(pairing=pairing.id, activity=row.id, role="copy", ours=True, rest="taken-back")
        return link, ""
