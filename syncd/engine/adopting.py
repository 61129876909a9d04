"""An item and an activity that were typed by hand on both sides, or known from a calendar that has been replaced: when
exactly one activity is the same meeting, it is taken for it (design §5, adopt).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from syncd.engine.agreed import as_agreed
from syncd.engine.came import hand_over
from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.leaving import as_block, asks_colleagues
from syncd.engine.look import STILL_PRIVATE, crm_view, equal_meeting, is_leftover
from syncd.engine.newcomers import (
    add_link,
    as_activity,
    copied_of,
    made_by_us,
    mark_row,
    marks_of,
    new_row,
    row_of,
)
from syncd.engine.pairing import is_of_employee
from syncd.engine.roles import ABSENT, GUESTS
from syncd.engine.writes import Wait
from syncd.model.fields import Fields, says_nothing
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import Gone
from syncd.privacy import Admission
from syncd.store import Link, Row, Transaction


def adopted(ctx: Context, record: Record, occurrence: str, view: Fields) -> tuple[Row | None, frozenset[str]]:
    """The row of the one activity that is this item, typed by hand on both sides, or known from a calendar that
    has been replaced by this one; and what of it the item has brought, if it was made of the item before the store was
    lost: all that it could have."""
    (found,) = ctx.candidates([as_activity(ctx, record, view)])
    same_uid = [c for c in found if record.uid and c.uid == record.uid and _under_one_organiser(ctx, record, c)]
    if not same_uid and not occurrence and record.kind != "message":
        same_uid = [c for c in ctx.of_colleagues([record])[0] if _under_one_organiser(ctx, record, c)]
    alike = [] if record.kind == "message" else [c for c in found if equal_meeting(ctx, view, c)]
    likely = same_uid or alike  # two messages of one second may have one subject
    with ctx.store.reading() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, [c.ref for c in likely])
        links = {row.id: tx.links_of_row(row.id) for row in rows.values()}
    shared = {c.ref for c in alike if takes_part(ctx, c)}
    free = [c for c in likely if c.ref not in rows or _is_free(ctx, rows[c.ref], record, occurrence, links, shared)]
    if len(free) != 1:
        return None, frozenset()
    brought = could_have_brought(ctx, free[0]) if _was_made_of(ctx, record, occurrence, free[0]) else frozenset[str]()
    with ctx.store.transaction() as tx:
        return rows.get(free[0].ref) or row_of(ctx, tx, free[0]), brought


def block_before(ctx: Context, record: Record, occurrence: str, view: Fields) -> Link | None:
    """The link of a block of time that this entry had already, under another address: the entry it was made of is gone
    from where it was, and whatever stands behind them, two blocks of one time say the same."""
    if not ctx.former and not ctx.missing:
        return None
    (found,) = ctx.candidates([as_activity(ctx, record, view)])
    alike = [c.ref for c in found if equal_meeting(ctx, view, c)]
    me = ctx.pairing.employee.id
    with ctx.store.reading() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, alike)
        links = [k for ref in alike if ref in rows for k in tx.links_of_row(rows[ref].id)]
    for link in links:
        former = link.pairing in ctx.former and is_of_employee(link.pairing, me)
        if link.role == "block" and link.occurrence == occurrence and (former or _was_here(ctx, link)):
            with ctx.store.transaction() as tx:
                ctx.moved.add(link.id)
                here = {"item_ref": record.ref, "item_version": "", "rest": ""}
                return hand_over(tx, link, ctx.pairing.id, **here)
    return None


def _was_here(ctx: Context, link: Link) -> bool:
    return link.pairing == ctx.pairing.id and _is_missing(ctx, link)


#: What stands for the fields that an item could have brought, where they have been taken back.
LEFT = frozenset({"left"})
#: What the link of an item remembers whose activity is what is left of it: that this is private is the item's word.
WAS_PRIVATE = {STILL_PRIVATE: ["private"]}


def with_brought(tx: Transaction, row: Row, link: Link, brought: frozenset[str]) -> Link:
    """The link as the one that has brought these, and made the activity, unless another has; of a leftover as one that
    was private until now."""
    if brought == LEFT:
        return tx.set_link(link.id, rest="private", unconfirmed={**link.unconfirmed, **WAS_PRIVATE})
    if not brought:
        return link
    if row.maker is None:
        tx.set_row(row.id, maker=link.id)
    return tx.set_link(link.id, brought=link.brought | brought)


def could_have_brought(ctx: Context, activity: Record) -> frozenset[str]:
    """All that an item may have brought to an activity of which nobody knows what it did; `LEFT` where it was taken
    back since."""
    if is_leftover(activity):
        return LEFT
    return frozenset(n for n, v in crm_view(ctx, activity).items() if not says_nothing(n, v))


def _was_made_of(ctx: Context, record: Record, occurrence: str, activity: Record) -> bool:
    """True for an activity that carries what only a create for this item of the employee's has given it."""
    if record.kind == "message":
        return True
    if activity.owner not in ctx.pairing.employee.addresses:  # it was handed over since
        return bool(record.uid) and activity.uid == record.uid and _is_shared(ctx, activity)
    blank = replace(record, uid="")  # so it was called while it was a block of time
    made = {new_row(ctx, r, occurrence, marks_of(ctx, r, occurrence))["key"] for r in (record, blank)}
    return bool(record.uid and activity.uid == record.uid) or activity.key in made


def _under_one_organiser(ctx: Context, record: Record, activity: Record) -> bool:
    """Whether an activity that carries the item's UID is that item: the employee's own, or a meeting whose
    organiser has it, or takes part in it, or an invitation to something in which the employee takes part."""
    if record.kind == "message" or activity.owner in ctx.pairing.employee.addresses:
        return True
    people = activity.fields.get("participants") or People()
    if record.owner and record.owner not in ctx.pairing.employee.addresses and ctx.pairing.employee.among(people):
        return True
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


def forgotten(ctx: Context, several: Sequence[Record]) -> list[list[Record]]:
    """For items that do not cross, each as the activity that it would be (by its UID alone, or, where it has none, by
    what it shows): the employee's activities that it has made, where the store does not know so (any more). An item
    that came to be left out, or private, while the store was lost leaves nothing else by which its activity could be
    known; that one would be copied beside it."""
    if not several or ctx.pairing.lens.mapping.item == "message":
        return [[] for _ in several]
    me = ctx.pairing.employee.addresses
    answers = ctx.candidates(several)
    likely = [
        [
            c
            for c in found
            if (c.uid == r.uid and _is_shared(ctx, c) if r.uid else c.owner in me and equal_meeting(ctx, r.fields, c))
        ]
        for r, found in zip(several, answers, strict=True)
    ]
    mine = {ctx.pairing.id, *ctx.siblings}
    with ctx.store.reading() as tx:
        rows = tx.rows_by_ref(ctx.pairing.crm_name, [c.ref for found in likely for c in found])
        known = {ref for ref, row in rows.items() if any(k.pairing in mine for k in tx.links_of_row(row.id))}
    return [[c for c in found if c.ref not in known] for found in likely]


def _copy_unseen(ctx: Context, found: Admission, ref: str) -> list[Link]:
    """The link of our copy, which whoever holds it has made private, or the CRM. Raises Wait for the latter."""
    activity = ctx.pairing.crm.fetch([ref]).get(ref)
    if not isinstance(activity, Record):
        return []
    private = bool(activity.fields.get("private"))
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [ref]).get(ref) or row_of(ctx, tx, activity)
        if any(k.pairing in {ctx.pairing.id, *ctx.siblings} for k in tx.links_of_row(row.id)):
            return []
        values: dict[str, Any] = {"role": "copy", "ours": True, "private_copy": private}
        link = tx.add_link(pairing=ctx.pairing.id, activity=row.id, item_ref=found.ref, **values)
    if private:
        ctx.report.again.add(ctx.pairing.id)
        raise Wait
    return [link]


def by_its_uid(ctx: Context, uid: str) -> Record:
    """What `forgotten` is asked for an item of which no more is looked at."""
    return Record("", "", ctx.pairing.lens.mapping.activity, {}, uid)


def left_out(ctx: Context, record: Record, occurrence: str, view: Fields) -> Link | None:
    """The link of an item that the mapping leaves out, or that is not in the window, to the activity that it has made
    before: so that it rests like any that has been linked. None for one that has made none."""
    asked = by_its_uid(ctx, record.uid)
    if occurrence:  # a single activity carries no UID
        asked = replace(as_activity(ctx, record, view), uid="")
    elif not record.uid:
        return None
    (found,) = forgotten(ctx, [asked])
    if not found:
        return None
    own = _was_made_of(ctx, record, occurrence, found[0])
    brought = could_have_brought(ctx, found[0]) if own else frozenset[str]()
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [found[0].ref]).get(found[0].ref) or row_of(ctx, tx, found[0])
        mark_row(tx, row, marks_of(ctx, record, occurrence))
        return with_brought(tx, row, add_link(ctx, tx, row, record, occurrence, ours=False), brought)


def went_private_unseen(ctx: Context, found: Admission) -> list[Link]:
    """The link of an item that shows less than it is to the activity that it has made before, when it was public: what
    it brought is to be taken back. Nobody knows what it brought: all that it could have. Raises Wait where the
    activity is private by the CRM's own word: then the item has nothing to hide from it."""
    if not found.uid or found.kind == "message" or found.verdict not in ("withheld", "busy"):
        return []
    copy = copied_of(ctx, found.uid)
    if copy is not None:
        return _copy_unseen(ctx, found, copy)
    (made,) = forgotten(ctx, [by_its_uid(ctx, found.uid)])
    if not made:
        return []
    activity = made[0]
    if _has_a_block(ctx, found):
        with ctx.store.transaction() as tx:
            tx.set_setting(as_block(ctx.pairing.id, activity.ref), "")
        return []
    if asks_colleagues(ctx, found.ref, who_may_show_it(ctx, activity)):
        raise Wait
    left = is_leftover(activity)
    private = not left and bool(activity.fields.get("private"))  # of its own: the entry would have taken it back
    brought = frozenset[str]() if private else could_have_brought(ctx, activity)
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [activity.ref]).get(activity.ref) or row_of(ctx, tx, activity)
        if row.uid_digest is None:  # whose meeting it is nobody has seen yet
            tx.set_row(row.id, uid_digest=uid_digest(ctx.key, found.uid, ""))
        links = tx.links_of_row(row.id)
        role = "stand-in" if any(k.id == row.maker and k.role in GUESTS for k in links) else "own"
        place: dict[str, Any] = {"pairing": ctx.pairing.id, "activity": row.id, "item_ref": found.ref, "role": role}
        if left:
            return [tx.add_link(**place, rest="private", unconfirmed=WAS_PRIVATE)]
        if not private and any(_shows(ctx, k) for k in links):
            return [tx.add_link(**place, rest="private")]  # a colleague's copy speaks for it
        link = tx.add_link(**place, private_copy=private, brought=brought)
        maker = tx.link(row.maker) if row.maker is not None else None
        if maker is not None and role == "stand-in" and not private and maker.rest in ("declined", "item-gone"):
            agreed = as_agreed(ctx, maker, link, crm_view(ctx, activity))
            link = tx.set_link(link.id, **agreed, brought=maker.brought)
        if not private and (maker is None or not ctx.is_configured(maker.pairing)):
            tx.set_row(row.id, maker=link.id)
        ctx.report.again.add(ctx.pairing.id)
    if private:
        raise Wait
    return [link]


def _is_shared(ctx: Context, activity: Record) -> bool:
    """True for the employee's own activity, and for one that was made of somebody's entry and is the employee's too: it
    was handed over, or is a meeting of several."""
    mine = activity.owner in ctx.pairing.employee.addresses
    return mine or (made_by_us(activity) and takes_part(ctx, activity))


def _has_a_block(ctx: Context, found: Admission) -> bool:
    """True for an entry that the CRM shows as a block of time, beside a meeting that a colleague's copy has made."""
    if found.verdict != "busy":
        return False
    seen = Record(found.ref, "", found.kind, {}, "")
    return ctx.pairing.crm.find(str(new_row(ctx, seen, "", marks_of(ctx, seen, ""))["key"]), "") is not None


def who_may_show_it(ctx: Context, activity: Record) -> list[str]:
    """The calendars of colleagues in which the same meeting may stand."""
    people, kind = activity.fields.get("participants") or People(), ctx.pairing.lens.mapping.item
    return sorted(
        p.id
        for p in ctx.everyone
        if p.employee.id != ctx.pairing.employee.id
        and p.lens.mapping.item == kind
        and (activity.owner in p.employee.addresses or p.employee.among(people))
    )


def _shows(ctx: Context, link: Link) -> bool:
    """True for a colleague's own copy of the meeting, which is there and not private."""
    theirs = link.pairing not in {ctx.pairing.id, *ctx.siblings} and ctx.speaks(link.pairing)
    return theirs and not link.ours and link.role != "block" and link.rest not in ABSENT and link.item_ref is not None


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
