"""A link's role, and how it narrows the directions of its fields (design §2). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.engine.pairing import Employee
from syncd.mapping.lens import Lens
from syncd.model.people import People
from syncd.model.record import Record
from syncd.store import Link

#: Roles that see somebody else's meeting: nothing is ever written into those copies.
GUESTS = ("attendee", "stand-in")

#: Kinds of mail that a drop folder makes the CRM's business all the same: who puts a message there knows
#: better than what its headers show.
OVERRULED = frozenset({"unknown", "internal", "list", "automatic", "bounce"})

#: Links whose item is not there any more, so they speak for nobody.
_GONE = ("item-gone", "declined", "taken-back", "private")


def role_of(record: Record, employee: Employee, link: Link | None, others: Sequence[Link]) -> str:
    """own, attendee, stand-in or copy; `others` are the links of the same activity."""
    if link is not None and link.ours:
        return "copy"
    if record.kind == "message":
        return "filed" if "filed" in (record.fields.get("traits") or ()) or _left(record, link) else "holder"
    people: People = record.fields.get("attendees") or People()
    if not record.owner or not (people or record.guests) or record.owner in employee.addresses:
        return "own"
    speaks = [o for o in others if (link is None or o.id != link.id) and o.rest not in _GONE]
    if any(o.role in ("own", "copy") for o in speaks):
        return "attendee"
    before = [o for o in speaks if o.role == "stand-in" and (link is None or o.id < link.id or link.role != "stand-in")]
    return "attendee" if before else "stand-in"


def _left(record: Record, link: Link | None) -> bool:
    """True for a message that a drop folder filed and that nothing else would let cross."""
    return link is not None and link.role == "filed" and bool(OVERRULED & set(record.fields.get("traits") or ()))


def directions(lens: Lens, role: str, *, read_only: bool) -> dict[str, str]:
    """Field -> direction, after the role."""
    made: dict[str, str] = {}
    for name, rule in lens.rules.items():
        way = rule.direction
        if role == "attendee":
            way = "to-crm" if name == "participants" and way in ("both", "to-crm") else "none"
        elif role == "stand-in" or read_only:
            way = "to-crm" if way in ("both", "to-crm") else "none"
        elif role == "copy" and name == "participants":
            way = "none"
        made[name] = way
    return made


def only(
    role: str, employee: Employee, item: Mapping[str, object], crm: Mapping[str, object]
) -> dict[str, frozenset[str]]:
    """The elements that may cross: of an attendee's copy, the employee's own answer."""
    if role != "attendee":
        return {}
    people = item.get("participants")
    mine = employee.among(people) if isinstance(people, People) else ""
    return {"participants": frozenset({mine} if mine else ())}
