"""A record without a link: is it something that we know already, something typed on both sides, or new?

An item is known by its UID (or the key it carries); else it is adopted when exactly one activity has
the same start, end and subject (design §5, adopt); else it gets a row of its own, whose uniqueness
in the store is the claim that keeps two pairings from making two activities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.feed import PEOPLE
from syncd.engine.filing import digests
from syncd.engine.look import crm_view, equal_meeting, in_scope, item_view, within
from syncd.engine.marks import note_mark
from syncd.engine.pairing import day_text
from syncd.engine.plan import Rule
from syncd.engine.roles import ABSENT, role_of
from syncd.engine.window import wakes
from syncd.engine.writes import Wait
from syncd.mapping.conditions import needs_people, taken
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import Gone, PortError, Rejected
from syncd.privacy import Admission
from syncd.store import Link, Row, Transaction
from syncd.store.journal import decisions, note_decision


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


def join_item(
    ctx: Context, record: Record, occurrence: str, fields: Fields, *, adopts: bool = True
) -> tuple[Link | None, str]:
    """The link of an item, or of an occurrence, that has none yet. A block of time adopts nothing: it has no words by
    which it could be known for what somebody typed in the CRM.

    Returns (link, ""), or (None, due): it does not cross, and is to be looked at again on the day
    `due` ("" for never). Raises Wait, Rejected.
    """
    lens = ctx.pairing.lens
    view = item_view(ctx, fields, "own")
    due = outside(ctx, fields, view, known_people(ctx, fields))
    if due is not None:
        return None, due
    marks = marks_of(ctx, record, occurrence)
    with ctx.store.reading() as tx:
        row = tx.rows_by_key([record.uid]).get(record.uid) if record.uid and not occurrence else None
        if row is None and marks.claim:
            row = tx.rows_by_claim(ctx.pairing.crm_name, [marks.claim]).get(marks.claim)
    row = row or _by_uid(ctx, record, occurrence, marks, view)
    if row is not None:
        return _known(ctx, record, occurrence, row, marks), ""
    row = _adopted(ctx, record, occurrence, view) if adopts else None
    if row is None and (lens.mapping.direction == "to-groupware" or makes_nothing(ctx, fields)):
        return None, ""
    try:
        with ctx.store.transaction() as tx:
            if row is None:
                row = tx.add_row(**new_row(ctx, record, occurrence, marks))
            else:
                _mark_row(tx, row, marks)
                for link in tx.links_of_rows(ctx.pairing.id, [row.id]):
                    if link.occurrence == occurrence:  # its item went with the server that gave it another UID
                        return _moved(ctx, tx, link, record), ""
            return _add(ctx, tx, row, record, occurrence, ours=False), ""
    except IntegrityError:
        raise Wait from None


def _mark_row(tx: Transaction, row: Row, marks: Marks) -> None:
    if marks.claim is not None and row.claim in (None, row.uid_digest):
        tx.set_row(row.id, claim=marks.claim, uid_digest=marks.uid)


def _moved(ctx: Context, tx: Transaction, link: Link, record: Record) -> Link:
    """The link's item is under another ref now, of this pairing. A link whose item was gone rests until it is
    looked at: its activity may have gone with the item, and is made again then."""
    ctx.moved.add(link.id)
    rest = "" if link.rest in ("declined", "taken-back") else link.rest
    made = tx.set_link(link.id, item_ref=record.ref, item_version="", rest=rest)
    note_mark(ctx, tx, made)
    return made


#: How long after an item has gone the same UID in a colleague's calendar is that item, moved there.
JUST = timedelta(days=14)


def _by_uid(ctx: Context, record: Record, occurrence: str, marks: Marks, view: Fields) -> Row | None:
    """The row of the same meeting under another claim: the employee's own from before its organiser was known, a
    meeting of one of ours who organises it, or an item that has just moved here. Raises Wait while that has to
    be asked of its old calendar."""
    if marks.uid is None or record.kind == "message":
        return None
    meeting = bool(record.owner) and bool(record.fields.get("attendees") or record.guests)
    with ctx.store.reading() as tx:
        rows = tx.rows_by_uid(ctx.pairing.crm_name, [marks.uid]).get(marks.uid, [])
        links = {row.id: [k for k in tx.links_of_row(row.id) if k.occurrence == occurrence] for row in rows}
    mine = {ctx.pairing.id, *ctx.siblings}
    organiser = {p.id for p in ctx.everyone if meeting and record.owner in p.employee.addresses}
    for row in rows:
        if any(k.pairing in mine for k in links[row.id]) or any(k.pairing in organiser for k in links[row.id]):
            return row
    if meeting:
        return next((row for row in rows if row.claim == row.uid_digest), None)  # from before claims
    if (record.fields.get("sensitivity") or "public") != "public":
        return None  # its activity is private to whoever had it
    links = {row: [k for k in found if _resembles(ctx, k, view)] for row, found in links.items()}
    for row in rows:
        if _has_left(ctx, row, links[row.id]):
            return row
    for row in rows:
        if _may_have_left(ctx, row, links[row.id]):
            raise Wait
    return None


def _resembles(ctx: Context, link: Link, view: Fields) -> bool:
    """True when the item still shows something that the link's had: what moves keeps its words, and a stranger's
    system that gives out the same UID has others."""
    digester = ctx.digester(link.id)
    shown = {n: view[n] for n in ("subject", "time", "due", "location", "notes") if view.get(n)}
    return any(digester.holds(link.item_base, name, value) for name, value in shown.items())


def _has_left(ctx: Context, row: Row, links: Sequence[Link]) -> bool:
    """True when the item was in a colleague's calendar until a short while ago, and is in none now, or only as what
    we made in its place, as somebody had edited it in the CRM."""
    own = [k for k in links if k.role == "own" or (k.ours and row.origin == "groupware")]
    if not own or any(k.rest not in ("item-gone", "declined") for k in own if not k.ours):
        return False
    since = (ctx.moment.now - JUST).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with ctx.store.reading() as tx:
        last = [d for d in decisions(tx, row.id)[:9] if d["at"] >= since]
    gone = {k.id for k in own if not k.ours}
    again = {k.id for k in own if k.ours}
    made = Rule.CREATE_ITEM.value
    return any(d["link"] in gone or (d["link"] in again and d["rule"] == made) for d in last)


def moving(row: Row) -> str:
    """The setting that says since when a calendar shows an item that another may just have lost."""
    return f"moving {row.id}"


#: How long the answer may take: the other calendar's server may not be ready.
ASKING = timedelta(days=1)


def just_asked(ctx: Context, at: str | None) -> bool:
    """True until an answer is no longer waited for."""
    return at is not None and at >= (ctx.moment.now - ASKING).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _may_have_left(ctx: Context, row: Row, links: Sequence[Link]) -> bool:
    """True while a colleague's calendar has still to be asked whether its item of this UID is there. It is asked
    once, and waited for a day at most: two people may have imported one file."""
    asked = {p.id for p in ctx.everyone}
    others = [
        k
        for k in links
        if k.pairing in asked and not k.ours and k.role == "own" and k.rest not in ABSENT and k.item_ref is not None
    ]
    if not others:
        return False
    with ctx.store.transaction() as tx:
        at = tx.setting(moving(row))
        waiting = at is None or (
            just_asked(ctx, at) and any(tx.has_news(k.pairing, "item", k.item_ref or "") for k in others)
        )
        if at is None:
            tx.set_setting(moving(row), ctx.moment.text)
            for link in others:
                tx.announce(link.pairing, "item", [link.item_ref or ""])
        elif not waiting:  # it is still there, or nobody looks: this one is another's
            tx.drop_setting(moving(row))
    if waiting:
        ctx.report.again |= {ctx.pairing.id, *(k.pairing for k in others)}
    return waiting


def _known(ctx: Context, record: Record, occurrence: str, row: Row, marks: Marks) -> Link | None:
    """The item belongs to a row that we know: another employee's meeting, our own copy, or an item
    that has moved to another place, in this replica or from another one."""
    with ctx.store.reading() as tx:
        links = [k for k in tx.links_of_row(row.id) if k.occurrence == occurrence]
        open_ = {i.link for k in links for i in tx.intents(k.pairing)}
    link = next((k for k in links if k.pairing == ctx.pairing.id), None)
    if link is not None and link.item_ref not in (None, record.ref):
        there = ctx.items.one(link.item_ref or "")
        if isinstance(there, Admission) and record.kind == "message":
            if "filed" not in record.traits or there.record is None or "filed" in there.record.traits:
                return None  # another copy of it in the same mailbox
        elif isinstance(there, Admission):
            same = "has the same UID" if there.uid == record.uid else "is the same meeting"
            raise Rejected(f"another entry of this calendar {same}: {link.item_ref}: delete one of the two")
        if isinstance(there, PortError) and not isinstance(there, Gone):
            raise there
    left = [k for k in links if k.pairing != ctx.pairing.id and k.rest in ("item-gone", "declined")]
    left = [k for k in left if k.pairing in ctx.siblings or not (k.ours or row.scheduled)]
    if link is None and left and any(k.id in open_ for k in left):
        raise Wait
    with ctx.store.transaction() as tx:
        _mark_row(tx, row, marks)
        if link is not None:
            return _moved(ctx, tx, link, record)
        if not left or (record.kind == "message" and left[0].pairing not in ctx.siblings):
            return _add(ctx, tx, row, record, occurrence, ours=record.uid == row.key)
        if marks.claim is not None and not row.scheduled:
            tx.set_row(row.id, claim=marks.claim)
        tx.drop_setting(moving(row))
        ctx.moved.add(left[0].id)
        rest = left[0].rest if left[0].rest == "item-gone" else ""  # see _moved
        made = tx.hand_over(left[0], ctx.pairing.id, item_ref=record.ref, item_version="", rest=rest)
        note_decision(
            tx,
            at=ctx.moment.text,
            pairing=ctx.pairing.id,
            link=made.id,
            row=row.id,
            rule="moved here from another calendar",
            detail={"from": left[0].pairing},
        )
        note_mark(ctx, tx, made)
        return made


def moved_here(ctx: Context, found: Admission) -> list[Link]:
    """The links of an item that was linked, and that was moved (to another folder, under another ref) and is
    withheld now: what it brought is to be taken back. Raises Wait while another calendar of the employee has to be
    asked whether it is still there."""
    if not found.uid:
        return []
    with ctx.store.reading() as tx:
        if found.kind == "message":
            digest = message_mark(ctx, found.uid)
            rows = [r for r in (tx.rows_by_claim(ctx.pairing.crm_name, [digest]).get(digest),) if r is not None]
        else:
            digest = uid_digest(ctx.key, found.uid, "")
            rows = tx.rows_by_uid(ctx.pairing.crm_name, [digest]).get(digest, [])
        mine = [(r, k) for r in rows for k in tx.links_of_row(r.id)]
    for row, link in mine:
        if link.pairing == ctx.pairing.id:
            there = ctx.items.one(link.item_ref) if link.item_ref else Gone("not there")
            left = isinstance(there, Gone)
        else:  # in another calendar of the employee, which has said that it is gone
            left = link.pairing in ctx.siblings and link.rest in ("item-gone", "declined")
        if left:
            with ctx.store.transaction() as tx:
                ctx.moved.add(link.id)
                return [tx.hand_over(link, ctx.pairing.id, item_ref=found.ref, item_version="", rest="")]
        if link.pairing in ctx.siblings and found.kind != "message" and _may_have_left(ctx, row, [link]):
            raise Wait
    return []


def _add(ctx: Context, tx: Transaction, row: Row, record: Record, occurrence: str, *, ours: bool) -> Link:
    others = tx.links_of_row(row.id)
    role = "copy" if ours else role_of(record, ctx.pairing.employee, None, others)
    ctx.report.linked += 1
    note_thread(ctx, tx, {row.id: record})
    for other in others:  # a copy beside it is one too many
        beside = other.pairing in ctx.siblings or row.origin == "groupware"
        if other.ours and beside and other.item_ref is not None:
            tx.announce(other.pairing, "item", [other.item_ref])
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


def _adopted(ctx: Context, record: Record, occurrence: str, view: Fields) -> Row | None:
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
    free = [c for c in likely if c.ref not in rows or _is_free(ctx, rows[c.ref], record, occurrence, links)]
    if len(free) != 1:
        return None
    with ctx.store.transaction() as tx:
        return rows.get(free[0].ref) or _row_of(ctx, tx, free[0])


def _under_one_organiser(ctx: Context, record: Record, activity: Record) -> bool:
    """Whether an activity that carries the item's UID is that item: the employee's own, or a meeting whose
    organiser has it, or takes part in it."""
    if record.kind == "message" or activity.owner in ctx.pairing.employee.addresses:
        return True
    people = activity.fields.get("participants") or People()
    return bool(record.owner) and (record.owner == activity.owner or record.owner in people)


def _is_free(ctx: Context, row: Row, record: Record, occurrence: str, links: Mapping[int, Sequence[Link]]) -> bool:
    """True when the employee has no item of the activity, or had one in a calendar in which it is no more."""
    for link in links[row.id]:
        if link.pairing in ctx.siblings and link.rest not in ABSENT:
            return False
        if link.pairing == ctx.pairing.id:
            if link.occurrence != occurrence or not _is_missing(ctx, link):
                return False
    return not is_another_persons(ctx, row, record, occurrence, links[row.id])


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


def _is_anothers(ctx: Context, activity: Record, links: Sequence[Link]) -> bool:
    """True for an activity that the employee answers for and does not take part in, and that stands in somebody
    else's calendar as that one's own."""
    people = activity.fields.get("participants") or People()
    held = any(k.role == "own" and not k.ours and k.rest not in ABSENT for k in links)
    return held and not ctx.pairing.employee.among(people)


def join_activity(ctx: Context, activity: Record) -> tuple[Link | None, str]:
    """As `join_item`, for an activity that has no item in this replica yet. Raises Wait."""
    pairing, lens = ctx.pairing, ctx.pairing.lens
    if lens.mapping.direction == "to-crm" or not in_scope(ctx, activity, ours=True):
        return None, ""
    if not (ctx.items.capabilities.writable and pairing.default):
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
        if row is not None and any(k.pairing in ctx.siblings for k in tx.links_of_row(row.id)):
            return None, ""  # the employee has it, or had it, in another calendar
        if row is not None and _is_anothers(ctx, activity, tx.links_of_row(row.id)):
            return None, ""  # it went to a colleague's calendar
        if row is not None and just_asked(ctx, tx.setting(moving(row))):
            raise Wait  # some calendar has shown it a moment ago
        if tx.unlinked_items(pairing.id, ctx.moment.today):
            raise Wait  # an item that we have not read yet may be this meeting
        row = row or _row_of(ctx, tx, activity)
        # until its create has arrived the link rests like one whose item we took back
        link = tx.add_link(pairing=pairing.id, activity=row.id, role="copy", ours=True, rest="taken-back")
        return link, ""
