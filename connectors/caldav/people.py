"""ORGANIZER and ATTENDEE -> whose meeting it is, who takes part, and who would have to be told.

A calendar user's address (RFC 5545 §3.3.3) is often none to which mail could go: a path on the server, a
number, nothing. Whose meeting it is decides what may be written, so a parameter that anybody may set
(EMAIL=, RFC 7986 §6.2) never stands above an address; where there is none the server is asked first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from connectors.caldav.lines import Component, Line
from connectors.caldav.owner import calendar_user
from syncd.model.people import ANSWERS, Participant, People, normal_address

#: An e-mail address; without its scheme it must not look like a path or another URI.
_BARE = re.compile(r"[^@\s<>\"/:,;]+@[^@\s<>\"/:,;]+")
_MAILTO = re.compile(r"[^@\s<>\",;]+@[^@\s<>\"/:,;]+")


def _nobody(_value: str) -> bool:
    return False


@dataclass(frozen=True)
class Whose:
    """Whose calendar is read."""

    #: The employee's addresses; the first is the one that the CRM knows.
    addresses: tuple[str, ...] = ()
    #: Whether the server says that a calendar user's address is the calendar owner's. It costs requests.
    says: Callable[[str], bool] = _nobody
    #: In which the owner reads days.
    zone: tzinfo = UTC

    @property
    def name(self) -> str:
        """What stands for the owner."""
        return self.addresses[0] if self.addresses else ""


#: Of a calendar of which nobody says whose it is.
NOBODYS = Whose()


def _address(value: str) -> str:
    """The e-mail address that a value is, or ""."""
    text = value.strip()
    pattern = _MAILTO if _is_mailto(text) else _BARE
    address = normal_address(text)
    return address if pattern.fullmatch(address) else ""


def _is_mailto(value: str) -> bool:
    return value.strip()[:7].lower() == "mailto:"


def _known_as(line: Line) -> str:
    """What names somebody without an address; no address itself, and never nothing."""
    return (calendar_user(line.value) or normal_address(line.params.get("CN", "")) or "unknown").replace("@", " at ")


def organizer_of(line: Line | None, whose: Whose) -> str:
    """The organiser's address: the employee's where the server says that it is the calendar's owner. One without
    an address is known by whatever else names him, which is nobody's address; "" where there is none."""
    if line is None:
        return ""
    address = _address(line.value)
    if address in whose.addresses:
        return address
    if whose.name and calendar_user(line.value) and whose.says(line.value):
        return whose.name
    if not address and not _is_mailto(line.value):
        address = _address(line.params.get("EMAIL", ""))
    return address or _known_as(line)


def attendee_of(line: Line, whose: Whose) -> str:
    """An attendee's address, or "" where there is none."""
    address = _address(line.value)
    if address in whose.addresses:
        return address
    if not address and whose.name and calendar_user(line.value) and whose.says(line.value):
        return whose.name
    return _address(line.params.get("EMAIL", "")) or address


def people_of(component: Component, whose: Whose) -> People:
    """Attendees and, where there are any, the organiser."""
    lines = component.lines("ATTENDEE")
    if not lines:
        return People()
    found: list[Participant] = []
    for line in lines:
        answer = line.params.get("PARTSTAT", "").lower()
        answer = answer if answer in ANSWERS else "needs-action"
        found.append(Participant(attendee_of(line, whose), line.params.get("CN", ""), answer))
    organizer = component.line("ORGANIZER")
    address = organizer_of(organizer, whose)
    if organizer is not None and "@" in address and address not in {p.address for p in found}:
        found.append(Participant(address, organizer.params.get("CN", ""), "accepted"))
    return People(found)


def guests_of(entries: Sequence[Component], whose: Whose) -> frozenset[str]:
    """Everybody who is invited, in occurrences too, but for the calendar's owner."""
    return frozenset(_guests(entries, whose))


def _guests(entries: Sequence[Component], whose: Whose) -> Iterator[str]:
    for line in (x for component in entries for x in component.lines("ATTENDEE")):
        address = attendee_of(line, whose)
        if not address or address not in whose.addresses:
            yield address or _known_as(line)


def hears(entries: Sequence[Component], whose: Whose) -> bool:
    """True when a server that schedules may tell somebody what is written into these: anybody but the
    calendar's owner is invited, or has invited."""
    organizers = [x for component in entries for x in component.lines("ORGANIZER")]
    return any(organizer_of(x, whose) not in whose.addresses for x in organizers) or bool(guests_of(entries, whose))
