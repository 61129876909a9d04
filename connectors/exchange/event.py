"""A calendar item of EWS -> the fields of an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors.exchange.plan import believed, plan_of
from connectors.exchange.series import Starts, changed_occurrences, deleted_occurrences, nearest_day, read_rule
from connectors.exchange.xml import (
    KEY,
    MEETING,
    PLAN,
    RECEIVED,
    RULE,
    UID_THEN,
    T,
    address_in,
    extended,
    item_id,
    moment,
    number,
    property_uri,
    said,
    words,
    yes,
)
from connectors.exchange.zones import zone_in
from syncd.model.fields import same
from syncd.model.people import Participant, People, normal_address
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span, like, moment_key, parse_moment
from syncd.outlook.words import ANSWER, IMPORTANCE, SENSITIVITY, SHOW_AS
from syncd.ports import Rejected

#: What is asked of each calendar item; never more, as each property costs the server.
URIS = (
    "item:ParentFolderId", "item:Subject", "item:Sensitivity", "item:Body",
    "item:Categories", "item:Importance", "item:LastModifiedTime",
    "calendar:UID", "calendar:Start", "calendar:End", "calendar:IsAllDayEvent", "calendar:LegacyFreeBusyStatus",
    "calendar:Location", "calendar:IsMeeting", "calendar:IsCancelled", "calendar:CalendarItemType",
    "calendar:MyResponseType", "calendar:Organizer", "calendar:RequiredAttendees", "calendar:OptionalAttendees",
    "calendar:Resources", "calendar:AppointmentState", "calendar:Recurrence", "calendar:ModifiedOccurrences",
    "calendar:DeletedOccurrences",
    "calendar:StartTimeZone", "calendar:EndTimeZone",
)  # fmt: skip
_VCAL = "7643616C2D55696401000000"
_GLOBAL = "040000008200E00074C5B7101A82E008"


def properties() -> list[Any]:
    """Properties that have no path of their own."""
    return [property_uri(name) for name in (KEY, UID_THEN, RULE, PLAN)]


@dataclass(frozen=True)
class Series:
    """The master of a series, as it was read."""

    item: Any
    #: The zone in which it stands.
    where: tzinfo
    fields: Mapping[str, Any]
    rule: str
    starts: Starts
    #: Original start -> item id of each occurrence that differs.
    exceptions: Mapping[str, str]
    #: Of those, whose original start the server tells by another hour.
    odd: frozenset[str]
    deleted: frozenset[str]

    @property
    def span(self) -> Span:
        """Its own time."""
        found: Span = self.fields["time"]
        return found

    @property
    def name(self) -> tuple[str, str]:
        """By which a plan knows it: its rule and start."""
        return series_name(self.rule, self.span)

    def usual(self, key: str) -> Span:
        """The time of an occurrence that was not moved."""
        return self.span.moved_to(like(parse_moment(key), self.span.start))

    def bounds(self, key: str) -> tuple[datetime, datetime]:
        """The same as Exchange has it: a day begins at midnight in the series' zone."""
        start, end = (
            m if isinstance(m, datetime) else datetime.combine(m, time(), tzinfo=self.where)
            for m in (self.usual(key).start, self.usual(key).end)
        )
        return start, end

    def at(self, key: str, element: Any) -> dict[str, Any]:
        """The fields of an occurrence. What does not say how private it is, is as private as its series; and the
        time of one that was not moved, told by the same hour as its original start, is no other time."""
        found, _ = _fields(element, self.where)
        if element.find(T + "Sensitivity") is None:
            found["sensitivity"] = self.fields["sensitivity"]
        usual, held = self.usual(key), found["time"]
        if key in self.odd and isinstance(usual.start, datetime) and isinstance(held.start, datetime):
            first: Any = self.span.start
            apart = (usual.start.utcoffset() or timedelta()) - (first.utcoffset() or timedelta())
            if (held.start.astimezone(UTC) - usual.start.astimezone(UTC), held.length) == (apart, usual.length):
                found["time"] = usual
        return found


def series_name(rule: str, span: Span) -> tuple[str, str]:
    """By which a plan knows its series."""
    return rule, moment_key(span.start)


def event_fields(item: Any, zone: str) -> tuple[dict[str, Any], Series | None]:
    """The fields of a single event or a master, but for what concerns its occurrences; and the series that it
    is. `zone`: the mailbox's. Raises Rejected, and ValueError for what cannot be read."""
    fields, where = _fields(item, ZoneInfo(zone))
    rule = read_rule(item, fields["time"].start)
    if not rule:
        return fields, None
    starts = Starts(fields["time"], rule)
    exceptions: dict[str, str] = {}
    odd: set[str] = set()
    for ref, text in changed_occurrences(item):
        told = moment(text, where)
        key = starts.reported(told, where)
        exceptions.setdefault(key, ref)
        if isinstance(fields["time"].start, datetime) and key != moment_key(told):
            odd.add(key)
    deleted = frozenset(starts.reported(moment(text, where), where) for text in deleted_occurrences(item))
    return fields, Series(item, where, fields, rule, starts, exceptions, frozenset(odd), deleted)


def event_record(ref: str, item: Any, changed: Mapping[str, Any], zone: str, me: str) -> Record:
    """The record of a single event or a master. `changed`: item id -> the occurrence that differs; `zone`:
    the mailbox's; `me`: its address. Raises Rejected, and ValueError for what cannot be read."""
    kind = said(item, "CalendarItemType")
    if kind in ("Occurrence", "Exception"):
        raise Rejected("the server lists an occurrence as an item")
    fields, series = event_fields(item, zone)
    there = _there(series, changed) if series is not None else {}
    recurrence = _recurrence(series, there) if series is not None else Recurrence()
    uid, mine = plain_uid(said(item, "UID")), extended(item)
    key = mine.get(KEY, "")
    if mine.get(UID_THEN, uid) != uid:
        key = ""  # somebody copied what we had made
    owner = owner_of(item, me)
    return Record(
        ref=ref,
        version=item_id(item)[1],
        kind="event",
        fields={**fields, "recurrence": recurrence},
        uid=uid,
        key=key,
        owner=owner,
        guests=guests_of((item, *there.values()), owner, me),
        modified=moment(said(item, "LastModifiedTime"), ZoneInfo("UTC")) if said(item, "LastModifiedTime") else None,
        native=item,
    )


def _fields(item: Any, zone: tzinfo) -> tuple[dict[str, Any], tzinfo]:
    span, where = span_of(item, zone)
    status = "tentative" if said(item, "LegacyFreeBusyStatus") == "Tentative" else "confirmed"
    fields = {
        "summary": said(item, "Subject"),
        "description": words(item.find(T + "Body")),
        "location": said(item, "Location"),
        "time": span,
        "status": "cancelled" if yes(item, "IsCancelled") else status,
        "priority": IMPORTANCE.get(said(item, "Importance"), 0),
        "sensitivity": SENSITIVITY.get(said(item, "Sensitivity") or "Normal", "private"),
        "categories": categories(item),
        "attendees": _people(item),
        "show-as": SHOW_AS.get(said(item, "LegacyFreeBusyStatus"), "busy"),
    }
    return fields, where


def categories(item: Any) -> frozenset[str]:
    """The names of an item's categories."""
    found = item.find(T + "Categories")
    return frozenset(w for c in (found if found is not None else ()) if (w := (c.text or "").strip()))


def span_of(item: Any, zone: tzinfo) -> tuple[Span, tzinfo]:
    """Start and end in the item's zone, and that zone. Raises ValueError."""
    where, _ = zone_in(item, "StartTimeZone", zone)
    start, end = moment(said(item, "Start"), zone), moment(said(item, "End"), zone)
    if yes(item, "IsAllDayEvent"):
        first, last = nearest_day(start.astimezone(where)), nearest_day(end.astimezone(where))
        return Span(first, max(last, first + timedelta(days=1))), where
    span = Span(start.astimezone(where), max(start, end).astimezone(where), str(getattr(where, "key", "")))
    return span, where


def _people(item: Any) -> People:
    """Attendees and, where there are any, the organiser; who has no address is no participant."""
    found: list[Participant] = []
    for attendee in _attendees(item):
        box = attendee.find(T + "Mailbox")
        address = normal_address(address_in(box)) if box is not None else ""
        if address and address not in {p.address for p in found}:
            answer = ANSWER.get(said(attendee, "ResponseType"), "needs-action")
            found.append(Participant(address, said(box, "Name"), answer))
    box = item.find(f"{T}Organizer/{T}Mailbox")
    if found and box is not None:
        address = normal_address(address_in(box))
        if address and address not in {p.address for p in found}:
            found.append(Participant(address, said(box, "Name"), "accepted"))
    return People(found)


def _attendees(item: Any) -> Iterator[Any]:
    for name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
        element = item.find(T + name)
        yield from element if element is not None else ()


def guests_of(items: Iterable[Any], owner: str, me: str) -> frozenset[str]:
    """Who is invited to any of these but the mailbox's own; to somebody else's meeting whose attendees the server does
    not name, its organiser at least."""
    found = frozenset(guest for each in items for guest in _invited(each)) - {normal_address(me)}
    return found or (frozenset({owner}) - {"", normal_address(me)})


def _invited(item: Any) -> Iterator[str]:
    """Everybody who is invited, also who cannot be named by an address."""
    for attendee in _attendees(item):
        yield _name_of(attendee.find(T + "Mailbox"))


def _name_of(box: Any) -> str:
    """The address, else what names somebody otherwise: never what could be taken for an address."""
    if box is None:
        return _NOBODY
    address = normal_address(address_in(box))
    if address:
        return address
    other = said(box, "EmailAddress").strip() or said(box, "Name").strip()
    return f"{said(box, 'RoutingType').strip().casefold()}:{other.replace('@', ' ')}" if other else _NOBODY


#: Stands for somebody who takes part and of whom the server says nothing at all.
_NOBODY = "somebody without a name"


def owner_of(item: Any, me: str) -> str:
    """The organiser of a meeting, "" for an appointment that has no attendees. It is the mailbox's own only when
    the server says so: by the answer, by the address, or as the meeting did not come from anybody else
    (MS-OXOCAL §2.2.1.10)."""
    if not yes(item, "IsMeeting") and not any(True for _ in _attendees(item)):
        return ""
    if said(item, "MyResponseType").strip().casefold() == "organizer":
        return normal_address(me)
    box = item.find(f"{T}Organizer/{T}Mailbox")
    if box is not None:
        return _name_of(box)
    state = number(item, "AppointmentState")
    return normal_address(me) if state & MEETING and not state & RECEIVED else _NOBODY


def _there(series: Series, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Original start -> the occurrence that differs. Raises Rejected for one that could not be read."""
    if not changed.keys() >= set(series.exceptions.values()):
        raise Rejected("an occurrence of the series cannot be read")
    return {key: changed[ref] for key, ref in series.exceptions.items()}


def _recurrence(series: Series, there: Mapping[str, Any]) -> Recurrence:
    """Rule, left-out dates and in what each occurrence differs; what a plan still owes is there already."""
    plan, deleted = plan_of(series.item, series.name), series.deleted
    if plan is not None:
        there = believed(plan, series.item, there, deleted, series.bounds)
        deleted = deleted | plan.without
    return recurrence_of(series, there, deleted)


def recurrence_of(series: Series, there: Mapping[str, Any], deleted: frozenset[str]) -> Recurrence:
    """The recurrence of a series with these occurrences."""
    overrides: dict[str, Mapping[str, Any]] = {}
    for key, element in there.items():
        base = {**series.fields, "time": series.usual(key)}
        differs = {n: v for n, v in series.at(key, element).items() if not same(n, v, base.get(n))}
        if differs and key not in deleted:
            overrides[key] = MappingProxyType(differs)
    return Recurrence(series.rule, frozenset(), deleted, MappingProxyType(overrides))


def plain_uid(text: str) -> str:
    """The UID as iCalendar has it: a foreign one is wrapped in Exchange's own (MS-OXCICAL §2.1.3.1.1.20.26)."""
    found = re.fullmatch(rf"{_GLOBAL}.{{48}}{_VCAL}((?:[0-9A-F]{{2}})*?)(?:00)+", text.strip().upper())
    if found is None:
        return text.strip()
    try:
        return bytes.fromhex(found[1]).decode("utf-8")
    except UnicodeDecodeError:
        return text.strip()


def wrapped_uid(uid: str) -> str:
    """The UID in the form that Exchange holds for certain: as it is when it is Exchange's own."""
    if uid.upper().startswith(_GLOBAL):
        return uid
    data = bytes.fromhex(_VCAL) + uid.encode() + b"\0"
    return f"{_GLOBAL}{'0' * 40}{len(data).to_bytes(4, 'little').hex()}{data.hex()}".upper()
