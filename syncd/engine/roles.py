"""A link's role (design §2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.engine.pairing import Employee
from syncd.model.people import People
from syncd.model.record import Record
from syncd.store import Link, Row

#: Roles that see somebody else's meeting: nothing is ever written into those copies.
GUESTS = ("attendee", "stand-in")

#: Kinds of mail that a drop folder makes the CRM's business all the same: who puts a message there knows
#: better than what its headers show.
OVERRULED = frozenset({"unknown", "internal", "list", "automatic", "bounce"})

#: Links whose item is not there any more, so they speak for nobody.
ABSENT = ("item-gone", "declined", "taken-back", "private")


def role_of(
    record: Record, employee: Employee, link: Link | None, others: Sequence[Link], *, series: bool = False
) -> str:
    """own, attendee, stand-in or copy; `others` are the links of the same activity; `series`: the record is one, and
    both sides say so."""
    if link is not None and link.ours and not is_invitation(record, employee):
        return "copy"  # else somebody has invited the employee to it, and the server has made it his invitation
    if record.kind == "message":
        return "filed" if "filed" in (record.fields.get("traits") or ()) or _left(record, link) else "holder"
    people: People = record.fields.get("attendees") or People()
    if not record.owner or record.owner in employee.addresses or not (people or record.guests):
        return "own"
    speaks = [o for o in others if (link is None or o.id != link.id) and o.rest not in ABSENT]
    if any(o.role in ("own", "copy") for o in speaks):
        return "attendee"
    standing = [o for o in speaks if o.role == "stand-in"]
    if series:  # who is invited to one of its dates says less
        standing = [o for o in standing if o.item_base.get("recurrence") or not o.item_base]
    elif any(o.item_base.get("recurrence") for o in standing):
        return "attendee"
    before = [o for o in standing if link is None or o.id < link.id or link.role != "stand-in"]
    return "attendee" if before else "stand-in"


def speaks(link: Link) -> bool:
    """True for the entry of the organiser, or one that stands in for it, that is there and shown."""
    return link.role in ("own", "stand-in") and link.item_ref is not None and link.rest not in ABSENT


def stands_for_another(link: Link, row: Row, others: Iterable[Link]) -> bool:
    """True for the activity of an entry that was gone, where it is a colleague's block of time by now."""
    gone = not link.ours and link.role != "block" and link.rest in ("declined", "item-gone")
    return gone and any(k.id == row.maker and k.role == "block" for k in others)


def makers(link: Link, others: Iterable[Link]) -> set[int]:
    """The ids of the links whose words are this one's by now: its own, and those of others who have declined since."""
    return {link.id, *(k.id for k in others if k.rest == "declined")}


def is_invitation(record: Record, employee: Employee) -> bool:
    """True for what somebody else organises, for others too: we make plain copies."""
    theirs = bool(record.owner) and record.owner not in employee.addresses
    return theirs and bool(record.fields.get("attendees") or record.guests)


def of_one_date(links: Sequence[Link], link: Link | None = None, *, occurrence: str = "") -> list[Link]:
    """Of the links of one activity those of the same date as `link`, or as that occurrence. What was made for an
    occurrence whose series was gone is an entry of its own."""
    date, ours = (link.occurrence, link.ours) if link is not None else (occurrence, False)
    return [k for k in links if k.occurrence == date or (k.ours and not k.occurrence) or (ours and not date)]


def _left(record: Record, link: Link | None) -> bool:
    """True for a message that a drop folder filed and that nothing else would let cross."""
    return link is not None and link.role == "filed" and bool(OVERRULED & set(record.fields.get("traits") or ()))
