"""What the store knows of an item that is not linked yet: by which it is known again, and whether it crosses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.feed import PEOPLE
from syncd.engine.filing import digests
from syncd.engine.given import GIVEN, KEPT
from syncd.engine.look import within
from syncd.engine.marks import note_mark
from syncd.engine.pairing import day_text
from syncd.engine.speaking import role_among
from syncd.engine.window import wakes
from syncd.engine.writes import Wait
from syncd.mapping.conditions import needs_people, taken
from syncd.model.fields import Fields
from syncd.model.record import Record
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
    if taken(lens.mapping, fields, known):
        return None
    return PEOPLE if needs_people(lens.mapping) else ""


def as_activity(ctx: Context, record: Record, view: Fields) -> Record:
    """The item as the activity that it may be; a message is known by its identity alone."""
    view = {} if record.kind == "message" else view
    return Record(record.ref, "", ctx.pairing.lens.mapping.activity, view, record.uid)


def new_row(ctx: Context, record: Record, occurrence: str, marks: Marks) -> dict[str, Any]:
    """The row of an activity that an item brings."""
    return {
        "crm": ctx.pairing.crm_name,
        "kind": ctx.pairing.lens.mapping.activity,
        "key": new_key(ctx, f"item {ctx.pairing.id} {record.ref} {record.uid} {occurrence}"),
        "claim": marks.claim,
        "uid_digest": marks.uid,
        "scheduled": bool(record.fields.get("attendees") or record.guests),
        "origin": "groupware",
    }


@dataclass(frozen=True)
class Marks:
    """By which the store knows an item again, without its UID."""

    #: The same for two items exactly when they are the same meeting.
    claim: str | None
    #: The same for all items of one UID, strangers too.
    uid: str | None


def marks_of(ctx: Context, record: Record, occurrence: str) -> Marks:
    """The marks of an item. One UID is one meeting for all who were invited by the same organiser, and for one
    employee; what two people have imported from one file is two things. A message is known by its identity, but
    a task made of a flagged one is its employee's alone."""
    if not record.uid:
        return Marks(None, None)
    uid = uid_digest(ctx.key, record.uid, occurrence)
    if record.kind == "message":
        return Marks(message_mark(ctx, record.uid), uid)
    meeting = bool(record.owner) and bool(record.fields.get("attendees") or record.guests)
    scope = record.owner if meeting else f"\0{ctx.pairing.employee.id}"
    if record.kind != "event":  # a task may have the UID of an appointment
        scope += f"\0{record.kind}"
    return Marks(uid_digest(ctx.key, f"{record.uid}\0{scope}", occurrence), uid)


def message_mark(ctx: Context, uid: str) -> str:
    """By which a message is known that others hold too."""
    alone = ctx.pairing.lens.mapping.activity == "task"
    return uid_digest(ctx.key, f"{uid}\0{ctx.pairing.id}" if alone else uid, "")


def makes_nothing(ctx: Context, fields: Fields) -> bool:
    """A cancelled meeting is not made in the CRM, nor a task of a message that nobody flagged."""
    if ctx.pairing.lens.mapping.item == "message":
        return ctx.pairing.lens.mapping.activity == "task" and not fields.get("flagged")
    return bool(fields.get("status") == "cancelled")


def mark_row(tx: Transaction, row: Row, marks: Marks) -> None:
    if marks.claim is not None and row.claim in (None, row.uid_digest):
        tx.set_row(row.id, claim=marks.claim, uid_digest=marks.uid)


def note_thread(ctx: Context, tx: Transaction, messages: Mapping[int, Record]) -> None:
    """What answers these messages (activity -> message) will be filed like them."""
    found: dict[str, int] = {}
    for row, record in messages.items():
        if record.kind == "message" and ctx.pairing.lens.mapping.activity == "e-mail":
            for digest in digests(ctx, record, record.fields.get("outsiders") or ()):
                found.setdefault(digest, row)
    if found:
        tx.note_threads(ctx.pairing.crm_name, found)


def copied_of(ctx: Context, uid: str) -> str | None:
    """The activity of which an item is our copy, by the UID that we gave it, where the store knows nothing of it (any
    more). Of what the CRM has just said, or has under that key: from a key nothing can be read."""
    if not _FORM.fullmatch(uid):
        return None
    if ctx.copies is None:
        with ctx.store.reading() as tx:
            refs = tx.pending_refs(ctx.pairing.id, "crm")
        ctx.copies = {_key_of(ctx, ref): ref for ref in refs}
    if uid not in ctx.copies:
        made = ctx.pairing.crm.find(uid, "")  # of a colleague's entry: its copies are known by the activity's key
        ctx.copies[uid] = made.ref if made is not None else ""
    return ctx.copies[uid] or None


#: How the UIDs look that we give (`new_key`).
_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def _key_of(ctx: Context, ref: str) -> str:
    return new_key(ctx, f"activity {ctx.pairing.crm_name} {ref}")


def made_by_us(activity: Record) -> bool:
    """True for an activity with a key that we gave it: it was made of an item, before the store was lost perhaps."""
    return _FORM.fullmatch(activity.key) is not None


def row_of(ctx: Context, tx: Transaction, activity: Record) -> Row:
    if activity.key and tx.rows_by_key([activity.key]):
        raise Wait  # somebody's create that has arrived and is not accounted for yet
    key = activity.key if made_by_us(activity) else _key_of(ctx, activity.ref)
    kind = ctx.pairing.lens.mapping.activity
    return tx.add_row(crm=ctx.pairing.crm_name, kind=kind, key=key, crm_ref=activity.ref, origin="crm")


def new_key(ctx: Context, source: str) -> str:
    """A row's key: always the same for the same source, and nothing can be read from it."""
    return str(UUID(bytes=hashlib.blake2b(source.encode(), key=ctx.key, digest_size=16).digest(), version=5))


def add_link(ctx: Context, tx: Transaction, row: Row, record: Record, occurrence: str, *, ours: bool) -> Link:
    """A link of an item to a row that is known; what has a copy beside it is looked at again."""
    others = tx.links_of_row(row.id)
    role = "copy" if ours else role_among(ctx, record, None, row, others)
    if role == "stand-in" and any(o.role == "own" and o.rest == "item-gone" for o in others):
        role = "attendee"  # its organiser, one of ours, has it no more: it is looked at whether that has ended it
    ctx.report.linked += 1
    note_thread(ctx, tx, {row.id: record})
    for other in others:  # a copy beside it is one too many
        beside = other.pairing in (ctx.pairing.id, *ctx.siblings) or row.origin == "groupware"
        if other.ours and beside and other.item_ref is not None:
            tx.announce(other.pairing, "item", [other.item_ref])
    mine = [k for k in others if k.pairing in (ctx.pairing.id, *ctx.siblings)]
    made = tx.add_link(
        pairing=ctx.pairing.id,
        activity=row.id,
        item_ref=record.ref,
        occurrence=occurrence,
        role=role,
        ours=ours,
        private_copy=any(k.private_copy for k in mine),
        unconfirmed={
            name: next(k.unconfirmed[name] for k in mine if name in k.unconfirmed)
            for name in (GIVEN, KEPT)
            if any(name in k.unconfirmed for k in mine)
        },
    )
    note_mark(ctx, tx, made)
    return made
