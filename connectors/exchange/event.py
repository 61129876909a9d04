"""A calendar item of EWS -> the fields of an event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors.exchange.series import changed_occurrences, deleted_occurrences, nearest_day, original_key, read_rule
from connectors.exchange.xml import KEY, RULE, UID_THEN, T, extended, item_id, moment, property_uri, said, yes
from connectors.exchange.zones import zone_in
from syncd.model.fields import same
from syncd.model.people import Participant, People, normal_address
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span, like, parse_moment
from syncd.outlook.html import text_of
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
#: PidLidAppointmentStateFlags (MS-OXOCAL §2.2.1.10); its bit 4 says that the meeting is cancelled.
STATE = "33303"
CANCELLED = 4
_VCAL = "7643616C2D55696401000000"
_GLOBAL = "040000008200E00074C5B7101A82E008"


def properties() -> list[Any]:
    """Properties that have no path of their own."""
    return [property_uri(name) for name in (KEY, UID_THEN, RULE)]


def event_record(ref: str, item: Any, changed: Mapping[str, Any], zone: str, me: str) -> Record:
    """The record of a single event or a master. `changed`: item id -> the occurrence that differs; `zone`:
    the mailbox's; `me`: its address. Raises Rejected, and ValueError for what cannot be read."""
    kind = said(item, "CalendarItemType")
    if kind in ("Occurrence", "Exception"):
        raise Rejected("the server lists an occurrence as an item")
    fields, where = _fields(item, ZoneInfo(zone))
    fields["recurrence"] = _recurrence(item, changed, fields, where)
    uid, mine = plain_uid(said(item, "UID")), extended(item)
    key = mine.get(KEY, "")
    if mine.get(UID_THEN, uid) != uid:
        key = ""  # somebody copied what we had made
    return Record(
        ref=ref,
        version=item_id(item)[1],
        kind="event",
        fields=fields,
        uid=uid,
        key=key,
        owner=_owner(item, me),
        modified=moment(said(item, "LastModifiedTime"), ZoneInfo("UTC")) if said(item, "LastModifiedTime") else None,
        native=item,
    )


def _fields(item: Any, zone: tzinfo) -> tuple[dict[str, Any], tzinfo]:
    span, where = span_of(item, zone)
    status = "tentative" if said(item, "LegacyFreeBusyStatus") == "Tentative" else "confirmed"
    fields = {
        "summary": said(item, "Subject"),
        "description": body_text(item),
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


def body_text(item: Any) -> str:
    """The body as text, whichever form it has."""
    found = item.find(T + "Body")
    if found is None or not found.text:
        return ""
    return text_of(found.text) if found.get("BodyType") == "HTML" else str(found.text)


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
    """Attendees and, where there are any, the organiser."""
    found: list[Participant] = []
    for name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
        element = item.find(T + name)
        for attendee in element if element is not None else ():
            address = _address(attendee)
            if address and address not in {p.address for p in found}:
                answer = ANSWER.get(said(attendee, "ResponseType"), "needs-action")
                found.append(Participant(address, said(attendee, "Mailbox/Name"), answer))
    organizer = item.find(T + "Organizer")
    if found and organizer is not None:
        address = _address(organizer)
        if address and address not in {p.address for p in found}:
            found.append(Participant(address, said(organizer, "Mailbox/Name"), "accepted"))
    return People(found)


def _address(attendee: Any) -> str:
    """An SMTP address; somebody who has only an address inside the organisation is not known outside."""
    routing = said(attendee, "Mailbox/RoutingType") or "SMTP"
    address = normal_address(said(attendee, "Mailbox/EmailAddress"))
    return address if routing == "SMTP" and "@" in address else ""


def _owner(item: Any, me: str) -> str:
    """The organiser of a meeting; "" for an appointment that has no attendees."""
    if not yes(item, "IsMeeting") and not _people(item):
        return ""
    if said(item, "MyResponseType") == "Organizer":
        return normal_address(me)
    organizer = item.find(T + "Organizer")
    return _address(organizer) if organizer is not None else ""


def _recurrence(item: Any, changed: Mapping[str, Any], fields: dict[str, Any], where: tzinfo) -> Recurrence:
    span: Span = fields["time"]
    rule = read_rule(item, span.start)
    if not rule:
        return Recurrence()
    exdates = frozenset(original_key(text, span, where) for text in deleted_occurrences(item))
    overrides: dict[str, Mapping[str, Any]] = {}
    for ref, text in changed_occurrences(item):
        key = original_key(text, span, where)
        if ref not in changed:
            raise Rejected("an occurrence of the series cannot be read")
        there, _ = _fields(changed[ref], where)
        base = {**fields, "time": span.moved_to(like(parse_moment(key), span.start))}
        differs = {n: v for n, v in there.items() if not same(n, v, base.get(n))}
        if differs and key not in exdates:
            overrides[key] = MappingProxyType(differs)
    return Recurrence(rule, frozenset(), exdates, MappingProxyType(overrides))


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
