"""Who speaks for an activity: which of several copies, what of another's it shows, and how a copy begins to.

An attendee's copy says what its owner answers; the organiser's, or the one that stands in for it, says the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.engine.context import Context
from syncd.engine.look import STILL_PRIVATE, is_leftover, showed
from syncd.engine.pairing import is_of_employee
from syncd.engine.roles import ABSENT, GUESTS, role_of
from syncd.model.fields import Fields, with_answer
from syncd.model.people import UNANSWERED, People
from syncd.model.record import Record
from syncd.ports import Gone, PortError
from syncd.store import Link, Row


def as_they_answered(
    ctx: Context, role: str, fields: Fields, activity: Record | None, others: Sequence[Link]
) -> Fields:
    """The meeting with the answers of our other employees. Who has taken the own copy out has declined, whatever this
    copy shows. Where it stands in for the organiser's, the CRM's word counts too: each one's own copy says it there,
    what another's shows of it is old, and that it shows none is no answer."""
    shown = fields.get("attendees") or People()
    told = (activity.fields.get("participants") if activity is not None else None) or People()
    for pairing in (p for p in ctx.everyone if p.employee.id != ctx.pairing.employee.id):
        here, there = pairing.employee.among(shown), pairing.employee.among(told)
        theirs = [k for k in others if k.pairing == pairing.id or is_of_employee(k.pairing, pairing.employee.id)]
        answers = any(k.role in GUESTS for k in theirs)
        if role == "stand-in" and here and there and (answers or shown[here].answer == UNANSWERED):
            shown = with_answer(shown, here, told[there].answer)
        elif here and any(k.rest == "declined" for k in theirs):
            shown = with_answer(shown, here, "declined")
    return {**fields, "attendees": shown} if shown else fields


def _speaking_among(ctx: Context, record: Record, row: Row, others: Sequence[Link]) -> Sequence[Link]:
    """Of an activity's links those that may be its organiser's. Where an entry has made the activity, the copies that
    the CRM's participants have of it are nobody's word, unless it is the organiser's."""
    if (row.maker is None and row.origin != "groupware") or not record.owner:
        return others
    theirs = {p.id for p in (*ctx.everyone, ctx.pairing) if record.owner in p.employee.addresses}
    return [link for link in others if link.role != "copy" or link.pairing in theirs]


def role_among(ctx: Context, record: Record, link: Link | None, row: Row, others: Sequence[Link]) -> str:
    """The role of an item among the links of its activity."""
    recurrence = record.fields.get("recurrence")
    series = recurrence is not None and not recurrence.empty and "recurrence" in ctx.pairing.names
    speaking = _speaking_among(ctx, record, row, others)
    if link is not None and link.role in GUESTS and not link.ours:
        if _steps_back(ctx, record, link, others):
            return "attendee"
        speaking = [k for k in speaking if not _is_called_off_for(ctx, record, k)]
    return role_of(record, ctx.pairing.employee, link, speaking, series=series and not ctx.pairing.expands)


def _steps_back(ctx: Context, record: Record, link: Link, others: Sequence[Link]) -> bool:
    """True for an invitation that does not speak for the meeting, as others do."""
    if goes_on_without(ctx, record, link, others) or _was_taken_out(ctx, record, link):
        return True
    return _says_less(ctx, record, link, others)


def _says_cancelled(ctx: Context, link: Link) -> bool:
    """True for an entry that says that the meeting is cancelled."""
    rule = ctx.pairing.lens.rules.get("status")
    status = rule.forward("cancelled") if rule is not None else None
    return status is not None and ctx.digester(link.id).holds(link.item_base, "status", status)


def goes_on_without(ctx: Context, record: Record, link: Link, others: Sequence[Link]) -> bool:
    """True for a cancelled invitation beside others that are not, which say whom they invite, and not this employee:
    the organiser has taken him out (in Outlook, by a cancellation of his alone), and the meeting is not off."""
    if record.fields.get("status") != "cancelled" or link.role not in GUESTS or link.ours:
        return False
    beside = [k for k in others if k.id != link.id and k.role in GUESTS and not k.ours]
    there = [k for k in beside if k.item_ref is not None and k.rest not in ABSENT and not _says_cancelled(ctx, k)]
    return leave_out(ctx, there)


def _was_taken_out(ctx: Context, record: Record, link: Link) -> bool:
    """True for a cancelled invitation that names the employee no more and that did not speak for the meeting so far: it
    does not begin to, now that no other one is there."""
    people = record.fields.get("attendees") or People()
    off = record.fields.get("status") == "cancelled" and link.role == "attendee"
    return off and bool(people) and not ctx.pairing.employee.among(people)


def _says_less(ctx: Context, record: Record, link: Link, others: Sequence[Link]) -> bool:
    """True for an invitation that is private, where all of private things crosses, beside a public one: what a guest
    hides is his copy's affair, and the other one speaks."""
    if (record.fields.get("sensitivity") or "public") == "public":
        return False
    beside = [k for k in others if k.id != link.id and k.role in GUESTS and not k.ours]
    return any(k.item_ref is not None and not k.rest and not _says_private(ctx, k) for k in beside)


def _says_private(ctx: Context, link: Link) -> bool:
    return ctx.digester(link.id).holds(link.item_base, "private", True)


def invites(ctx: Context, link: Link) -> bool:
    """True for an entry that invites the employee, as far as both sides have agreed on it."""
    asked, digester = link.item_base.get("participants", {}), ctx.digester(link.id)
    mine = (digester.element("participants", address) for address in ctx.pairing.employee.addresses)
    return any(each in asked for each in mine)


def leave_out(ctx: Context, links: Sequence[Link]) -> bool:
    """True where entries of these say whom they invite, and none of them this employee."""
    saying = [k for k in links if not k.ours and k.item_base.get("participants")]
    return bool(saying) and not any(invites(ctx, k) for k in saying)


def _is_called_off_for(ctx: Context, record: Record, link: Link) -> bool:
    """True for a cancelled invitation of somebody whom this one, which is not, invites no more."""
    if record.fields.get("status") == "cancelled" or link.role != "stand-in" or not _says_cancelled(ctx, link):
        return False
    people = record.fields.get("attendees") or People()
    whose = [p.employee for p in ctx.everyone if p.id == link.pairing or is_of_employee(link.pairing, p.employee.id)]
    return bool(people and whose) and not any(e.among(people) for e in whose)


def made_by_a_guest(row: Row, others: Sequence[Link]) -> bool:
    """True for an activity that was made of an attendee's copy, as that was read first, be it a block by now."""
    return any(k.id == row.maker and k.role in (*GUESTS, "block") for k in others)


def said_private(row: Row, others: Sequence[Link]) -> bool:
    """True where the copy of which the activity was made has marked it private."""
    return any(k.id == row.maker and "private" in k.brought for k in others)


def is_anothers_shell(link: Link, activity: Record | None, others: Sequence[Link]) -> bool:
    """True for an invitation to what is left, without time and words, of a meeting that became private in a colleague's
    calendar: this one shows it."""
    if activity is None or link.ours or link.role not in ("own", "stand-in") or not is_leftover(activity):
        return False
    return any(STILL_PRIVATE in k.unconfirmed and not k.ours and k.id != link.id for k in others)


def was_ended(
    ctx: Context, link: Link, row: Row, others: Sequence[Link], activities: Mapping[str, Record | PortError]
) -> bool:
    """True for an attendee's copy of a meeting whose activity somebody has deleted, or that its organiser, one of ours,
    has deleted and so cancelled: that there is no copy of his does not make this one speak, and bring it back."""
    if link.role != "attendee" or row.crm_ref is None:
        return False
    found = activities.get(row.crm_ref) or ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
    if not isinstance(found, Record):
        return isinstance(found, Gone) or found is None
    rejected = ctx.pairing.crm.statuses().get(str(found.fields.get("status"))) == "rejected"
    return rejected and any(k.role in ("own", "copy") and k.rest == "item-gone" for k in others)


def new_role(ctx: Context, link: Link, role: str) -> Link:
    """A copy that begins to speak for the meeting is compared as if it were new: what it shows may
    never have crossed. Of what was a block of time the item's words count: whoever typed on that has not seen
    them. One that became a block of time is taken back first."""
    values: dict[str, Any] = {"role": role}
    if link.role == "attendee" and role in ("own", "stand-in"):
        values |= {"item_base": {}, "crm_base": {}}
    if link.role == "block":
        values |= {"texts": {}, "rest": link.rest or "private"}
    if link.role == "block" and link.rest in ("activity-gone", "not-allowed"):
        values |= {"rest": "private", "item_base": {}, "crm_base": {}}  # nobody has deleted what stood behind it
    if role == "block" and showed(link):
        values.pop("role")
    with ctx.store.transaction() as tx:
        return tx.set_link(link.id, **values)
