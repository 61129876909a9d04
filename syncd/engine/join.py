"""A record without a link: is it something that we know already, something typed on both sides, or new?

An item is known by its UID (or the key it carries); else it is adopted when exactly one activity has
the same start, end and subject (design §5, adopt); else it gets a row of its own, whose uniqueness
in the store is the claim that keeps two pairings from making two activities.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from syncd.engine.adopting import (
    adopted,
    block_before,
    could_have_brought,
    left_out,
    who_may_show_it,
    with_brought,
)
from syncd.engine.came import came_from_another
from syncd.engine.context import Context
from syncd.engine.leaving import as_block, asks_colleagues, asks_for_new, just_asked, moving, newly, unread
from syncd.engine.look import crm_view, has_declined, in_scope, item_view, within
from syncd.engine.moving import by_uid, known, moved
from syncd.engine.newcomers import (
    Marks,
    add_link,
    copied_of,
    known_people,
    made_by_us,
    makes_nothing,
    mark_row,
    marks_of,
    new_row,
    outside,
    row_of,
)
from syncd.engine.pairing import day_text, is_of_employee, item_feed
from syncd.engine.roles import ABSENT, speaks
from syncd.engine.speaking import invites
from syncd.engine.window import wakes
from syncd.engine.writes import Wait
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.model.record import Record
from syncd.store import Link, Row, Transaction


def join_item(
    ctx: Context, record: Record, occurrence: str, fields: Fields, *, adopts: bool = True
) -> tuple[Link | None, str]:
    """The link of an item, or of an occurrence, that has none yet. A block of time adopts nothing: it has no words by
    which it could be known for what somebody typed in the CRM.

    Returns (link, ""), or (None, due): it does not cross, and is to be looked at again on the day
    `due` ("" for never). Raises Wait, Rejected.
    """
    lens = ctx.pairing.lens
    view = item_view(ctx, fields)
    due = outside(ctx, fields, view, known_people(ctx, fields))
    if due is not None and record.kind == "message":
        return None, due
    marks = marks_of(ctx, record, occurrence)
    if due is not None:
        row = _known_row(ctx, record, occurrence, marks, view)
        if row is not None and _is_the_employees(ctx, record, row):
            return known(ctx, record, occurrence, row, marks), due
        return (left_out(ctx, record, occurrence, view) if row is None else None), due
    row = _known_row(ctx, record, occurrence, marks, view)
    if row is not None:
        return known(ctx, record, occurrence, row, marks), ""
    row, brought = _made_before(ctx, record, occurrence, marks)
    if row is not None:
        link = known(ctx, record, occurrence, row, marks)
        with ctx.store.transaction() as tx:
            return with_brought(tx, row, link, brought) if link is not None else None, ""
    if adopts:
        row, brought = adopted(ctx, record, occurrence, view)
    else:
        link = block_before(ctx, record, occurrence, view)
        if link is not None:
            return link, ""
    if row is None and (lens.mapping.direction == "to-groupware" or makes_nothing(ctx, fields)):
        return None, ""
    try:
        with ctx.store.transaction() as tx:
            if row is None:
                row = tx.add_row(**new_row(ctx, record, occurrence, marks))
            else:
                mark_row(tx, row, marks)
                for link in tx.links_of_rows(ctx.pairing.id, [row.id]):
                    if link.occurrence == occurrence:  # its item went with the server that gave it another UID
                        return moved(ctx, tx, link, record), ""
            return with_brought(tx, row, add_link(ctx, tx, row, record, occurrence, ours=False), brought), ""
    except IntegrityError:
        raise Wait from None


def _known_row(ctx: Context, record: Record, occurrence: str, marks: Marks, view: Fields) -> Row | None:
    """The row that the item has, by whatever it is known. Raises Wait."""
    with ctx.store.reading() as tx:
        row = tx.rows_by_key([record.uid]).get(record.uid) if record.uid and not occurrence else None
        if row is None and marks.claim:
            row = tx.rows_by_claim(ctx.pairing.crm_name, [marks.claim]).get(marks.claim)
    return row or (_copied(ctx, record) if not occurrence else None) or by_uid(ctx, record, occurrence, marks, view)


def _is_the_employees(ctx: Context, record: Record, row: Row) -> bool:
    """True for what is the employee's, wherever it was before; false for an invitation that was never linked here."""
    if not (record.fields.get("attendees") or record.guests):
        return True
    with ctx.store.reading() as tx:
        return any(k.pairing in {ctx.pairing.id, *ctx.siblings} for k in tx.links_of_row(row.id))


def _made_before(ctx: Context, record: Record, occurrence: str, marks: Marks) -> tuple[Row | None, frozenset[str]]:
    """The row of an activity that this item has made before the store was lost, and that is known from the CRM's side
    already; and all that it could have brought."""
    key = str(new_row(ctx, record, occurrence, marks)["key"])
    with ctx.store.reading() as tx:
        row = tx.rows_by_key([key]).get(key)
    if row is None or row.crm_ref is None:  # the latter is to be made again
        return row, frozenset()
    found = ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
    return row, could_have_brought(ctx, found) if isinstance(found, Record) else frozenset()


def _copied(ctx: Context, record: Record) -> Row | None:
    """The row of an activity of which the item is our copy, although the store has forgotten it."""
    ref = copied_of(ctx, record.uid)
    activity = ctx.pairing.crm.fetch([ref]).get(ref) if ref is not None else None
    if not isinstance(activity, Record):
        return None
    with ctx.store.transaction() as tx:
        return tx.rows_by_ref(ctx.pairing.crm_name, [activity.ref]).get(activity.ref) or row_of(ctx, tx, activity)


def _written_here(ctx: Context, activity: Record) -> bool:
    """True for an e-mail that its author wrote in the CRM, and that no mailbox holds: only that one is
    put into the author's Sent folder."""
    outgoing = activity.fields.get("direction") == "out" and activity.owner in ctx.pairing.employee.addresses
    if ctx.pairing.lens.mapping.activity != "e-mail" or not outgoing or activity.uid:
        return False
    with ctx.store.reading() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [activity.ref]).get(activity.ref)
        return row is None or not tx.links_of_row(row.id)


def _is_anothers(ctx: Context, tx: Transaction, activity: Record, row: Row) -> bool:
    """True for an activity that the employee answers for and does not take part in, and whose item was moved to a
    colleague's calendar."""
    people = activity.fields.get("participants") or People()
    return not ctx.pairing.employee.among(people) and came_from_another(
        ctx, tx, row, tx.links_of_row(row.id), activity.owner
    )


def _had(ctx: Context, link: Link) -> bool:
    """True for a link of another calendar of the employee: one that is read, or one that was read under another name,
    and from which the item was taken out."""
    if link.pairing in ctx.siblings:
        return True
    before = is_of_employee(link.pairing, ctx.pairing.employee.id) and not ctx.is_configured(link.pairing)
    return before and link.rest in ("item-gone", "declined")


def is_invited(ctx: Context, row: Row, links: Sequence[Link]) -> bool:
    """True for an employee whom an entry of the activity invites, be it our copy: the invitation is the copy, also one
    that is private. It is asked of those that speak for it; where none does, one that has gone, or is private, may have
    invited anybody; so may a meeting with guests where those who take part are not mapped."""
    if row.scheduled and "participants" not in ctx.pairing.names:
        return True
    speaking = [k for k in links if speaks(k) or _asks_along(k)]
    if speaking:
        return any(invites(ctx, k) for k in speaking)
    return any(invites(ctx, k) or (k.rest == "private" and not k.ours) for k in links)


def _asks_along(link: Link) -> bool:
    """True for our copy whose holder has invited somebody from it."""
    return (
        link.ours and link.item_ref is not None and link.rest not in ABSENT and bool(link.item_base.get("participants"))
    )


def _has_an_entry(ctx: Context, activity: Record, links: Sequence[Link]) -> bool:
    """True for an activity that stands in the employee's calendar, as far as anybody knows: it was made of an entry of
    which the store knows nothing (any more), or has one under a former name of an account, or of an employee."""
    if any(k.pairing in ctx.former and k.item_ref is not None and k.rest not in ABSENT for k in links):
        return True
    return bool(activity.uid) and all(k.ours or k.pairing in ctx.former for k in links)


def _is_leftover(ctx: Context, activity: Record) -> bool:
    """True for an appointment without a time: all that is left of one that was taken back, to which somebody in the
    CRM had added something. A calendar could only make an untitled day of it."""
    return ctx.pairing.lens.mapping.item == "event" and activity.fields.get("time") is None


def _was_a_block(ctx: Context, activity: Record, view: Fields) -> bool:
    """True for what looks like a block of time that was made of somebody's private entry."""
    rules = ctx.pairing.privacy
    blocks = "busy-only" in (rules.private, rules.confidential)
    return blocks and made_by_us(activity) and view.get("subject") == rules.busy_subject


def _is_unread(ctx: Context, tx: Transaction, pairing: str) -> bool:
    """True for a calendar that was never read to its end, or of which something is still to be looked at; one that has
    not answered for a day is not waited for."""
    if tx.setting(unread(pairing)) is not None:
        return False
    place = tx.feed(item_feed(pairing))
    if place is None or place["listing"] == "all" or tx.unlinked_items(pairing, ctx.moment.today):
        ctx.report.again.add(ctx.pairing.id)
        return True
    return False


def _is_known(ctx: Context, activity: Record) -> bool:
    """True for an activity that somebody's item shows."""
    with ctx.store.reading() as tx:
        row = tx.rows_by_ref(ctx.pairing.crm_name, [activity.ref]).get(activity.ref)
        return row is not None and bool(tx.links_of_row(row.id))


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
    if has_declined(ctx, activity):
        return None, ""
    if _is_leftover(ctx, activity):
        return None, ""
    view = crm_view(ctx, activity)
    if not within(ctx, view):
        day = wakes(view, ctx.moment.bounds(lens), ctx.moment.now, pairing.employee.zone)
        return None, day_text(day) if day else ""
    asks = bool(ctx.siblings) and lens.mapping.item != "message"
    if asks and not _is_known(ctx, activity) and asks_for_new(ctx, activity.ref):
        raise Wait
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(pairing.crm_name, [activity.ref]).get(activity.ref)
        links = tx.links_of_row(row.id) if row is not None else []
        if row is not None and is_invited(ctx, row, links):
            return None, ""  # their own invitation is their copy
        if any(k.role == "block" for k in links):
            return None, ""  # it stands for an entry of somebody's
        if _was_a_block(ctx, activity, view) and all(k.ours for k in links):
            return None, ""  # so it may, and the store knows nothing (any more) of what it stands for
        if tx.setting(as_block(pairing.id, activity.ref)) is not None:
            return None, ""  # the employee has it, as a private one
        if any(_had(ctx, k) for k in links):
            return None, ""  # the employee has it, or had it, in another calendar
        if row is not None and _is_anothers(ctx, tx, activity, row):
            return None, ""  # it went to a colleague's calendar
        if row is not None and just_asked(ctx, tx.setting(moving(row.id))):
            raise Wait  # some calendar has shown it a moment ago
        if tx.unlinked_items(pairing.id, ctx.moment.today):
            raise Wait  # an item that we have not read yet may be this meeting
        entry = _has_an_entry(ctx, activity, links)
        if entry:
            if tx.unread_items({pairing.id, *ctx.siblings}) or any(_is_unread(ctx, tx, p) for p in ctx.siblings):
                raise Wait  # one that cannot be read may be it, or one of a calendar that is to be read next
    if entry and activity.uid and asks_colleagues(ctx, activity.ref, who_may_show_it(ctx, activity)):
        raise Wait  # or a colleague's, who has invited the employee
    with ctx.store.transaction() as tx:
        row = tx.rows_by_ref(pairing.crm_name, [activity.ref]).get(activity.ref)
        if row is not None and is_invited(ctx, row, tx.links_of_row(row.id)):
            return None, ""
        row = row or row_of(ctx, tx, activity)
        if ctx.siblings:
            tx.drop_setting(newly(pairing.id, activity.ref))
        # until its create has arrived the link rests like one whose item we took back
        link = tx.add_link(pairing=pairing.id, activity=row.id, role="copy", ours=True, rest="taken-back")
        return link, ""
