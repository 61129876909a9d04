"""Changed fields -> the properties of an item that are written, and no others.

A property that is not named here is never written: attachments, reminders, online-meeting links and
attendees stay as they are. Each edit is (path, element) with None for a property that is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from connectors.exchange.xml import (
    CANCELLED,
    STATE,
    Edit,
    T,
    el,
    extended_value,
    number,
    property_uri,
    said,
    written,
    yes,
)
from connectors.exchange.zones import zone_in
from syncd.model.span import Span
from syncd.outlook.html import edited
from syncd.outlook.words import SENSITIVITY, SHOW_AS, TASK_STATUS, importance, word_for
from syncd.outlook.zones import windows_of
from syncd.ports import Unsupported

#: The order in which types.xsd wants the properties of a new item.
ORDER = (
    "Subject", "Sensitivity", "Body", "Categories", "Importance", "ReminderIsSet", "ExtendedProperty",
    "UID", "Start", "End", "IsAllDayEvent", "LegacyFreeBusyStatus", "Location", "Recurrence", "StartTimeZone",
    "EndTimeZone",
    "DueDate", "PercentComplete", "Status",
    "ToRecipients", "CcRecipients", "From", "InternetMessageId", "IsRead",
)  # fmt: skip
#: Longest subject and place (MS-OXCMSG §2.2.1.46; EWS answers ErrorPropertyTooLarge).
LONGEST = 255


def event_edits(changes: Mapping[str, Any], item: Any, zone: str, *, series: bool = False) -> Iterator[Edit]:
    """The edits of a calendar item; `item` is what stands there now, None for a new one. Raises Unsupported."""
    for name, value in changes.items():
        if name == "summary":
            yield "item:Subject", el("t:Subject", text=one_line(value))
        elif name == "location":
            yield "calendar:Location", el("t:Location", text=one_line(value)) if value else None
        elif name == "time":
            yield from _time(value, item, zone, series)
        elif name == "status":
            yield from _status(value, item)
        elif name == "show-as":
            yield from _show_as(value, item, changes)
        elif name == "attendees":
            if value:
                raise Unsupported("participants are never written into a calendar: map them to-crm")
        elif name != "recurrence":
            yield from common_edits(name, value, item)


def task_edits(changes: Mapping[str, Any], item: Any, zone: str) -> Iterator[Edit]:
    """The edits of a task; as `event_edits`."""
    for name, value in changes.items():
        if name == "summary":
            yield "item:Subject", el("t:Subject", text=one_line(value))
        elif name == "due":
            yield "task:DueDate", el("t:DueDate", text=_day(value, zone)) if value is not None else None
        elif name == "status":
            now = said(item, "Status") if item is not None else ""
            word = word_for(TASK_STATUS, value, now)
            if not word:
                raise Unsupported("an Exchange task cannot be cancelled")
            if word != now:
                yield "task:Status", el("t:Status", text=word)
        elif name == "percent":
            if changes.get("status") != "completed":  # completing says 100 by itself
                yield "task:PercentComplete", el("t:PercentComplete", text=str(min(100, max(0, int(value or 0)))))
        else:
            yield from common_edits(name, value, item)


def common_edits(name: str, value: Any, item: Any) -> Iterator[Edit]:
    """The properties that every item has."""
    if name == "description":
        body = body_of(str(value or ""), item)
        if body is not None:
            yield "item:Body", body
    elif name == "sensitivity":
        now = said(item, "Sensitivity") if item is not None else ""
        word = word_for(SENSITIVITY, value, now, otherwise="Private")
        if word != now:
            yield "item:Sensitivity", el("t:Sensitivity", text=word)
    elif name == "priority":
        yield "item:Importance", el("t:Importance", text=importance(int(value or 0)))
    elif name == "categories":
        names = [el("t:String", text=w) for w in sorted(value or ())]
        yield "item:Categories", el("t:Categories", *names) if names else None


def one_line(text: Any) -> str:
    """As Exchange holds a subject: one line, and not longer than it may be."""
    return " ".join(str(text or "").split("\n"))[:LONGEST]


def body_of(text: str, item: Any) -> Any:
    """The body with this text: of HTML what was not changed stays HTML."""
    body = item.find(T + "Body") if item is not None else None
    if body is not None and body.get("BodyType") == "HTML" and body.text:
        return el("t:Body", text=edited(body.text, text), BodyType="HTML")
    return el("t:Body", text=text.replace("\r\n", "\n"), BodyType="Text")


def _time(span: Span, item: Any, zone: str, series: bool) -> Iterator[Edit]:
    """Start and end, each with its zone: a start that comes without one is put into UTC by the server."""
    where, windows = zone_for(span, item, zone, series=series)
    start, end = (_instant(m, where) for m in (span.start, span.end))
    yield "calendar:Start", el("t:Start", text=written(start))
    yield "calendar:End", el("t:End", text=written(end))
    if item is None or yes(item, "IsAllDayEvent") is not span.all_day:
        yield "calendar:IsAllDayEvent", el("t:IsAllDayEvent", text="true" if span.all_day else "false")
    yield "calendar:StartTimeZone", el("t:StartTimeZone", Id=windows)
    yield "calendar:EndTimeZone", el("t:EndTimeZone", Id=windows)


def zone_for(span: Span, item: Any, zone: str, *, series: bool = False) -> tuple[tzinfo, str]:
    """The zone in which the item stands already, else the span's own, else the mailbox's, and Windows' name
    of it. A zone that only this item knows cannot be written: then instants stay right, but not a series.
    Raises Unsupported."""
    mailbox = ZoneInfo(zone)
    if item is not None:
        where, windows = zone_in(item, "StartTimeZone", mailbox)
        if windows and (yes(item, "IsAllDayEvent") is span.all_day or series):
            return where, windows
        if not windows and series and not span.all_day:
            raise Unsupported("the series stands in a time zone of its own, which cannot be written back")
    at = span.start.tzinfo if isinstance(span.start, datetime) else None
    key = "UTC" if at is UTC else str(getattr(at, "key", ""))
    windows = windows_of(key) if key else ""
    if series and isinstance(span.start, datetime) and span.start.tzinfo is not None and not windows:
        raise Unsupported("the series stands in a time zone that Exchange does not know")
    if windows and (series or windows != "UTC"):
        return ZoneInfo(key), windows
    return mailbox, windows_of(zone) or "UTC"


def _instant(moment: date | datetime, zone: tzinfo) -> datetime:
    """A day begins at midnight in the zone; a floating time is the zone's own; seconds are not kept."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time(), tzinfo=zone)
    found = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return found.replace(second=0, microsecond=0)


def _status(value: str, item: Any) -> Iterator[Edit]:
    now = said(item, "LegacyFreeBusyStatus") if item is not None else ""
    if value == "cancelled" or (item is not None and yes(item, "IsCancelled")):
        yield from cancelled(value == "cancelled", item)
    if value == "cancelled":
        if now != "Free":
            yield "calendar:LegacyFreeBusyStatus", el("t:LegacyFreeBusyStatus", text="Free")
    elif value == "tentative" and now != "Tentative":
        yield "calendar:LegacyFreeBusyStatus", el("t:LegacyFreeBusyStatus", text="Tentative")
    elif value == "confirmed" and (now == "Tentative" or (item is not None and yes(item, "IsCancelled"))):
        yield "calendar:LegacyFreeBusyStatus", el("t:LegacyFreeBusyStatus", text="Busy")


def cancelled(wanted: bool, item: Any) -> Iterator[Edit]:
    """Marks a copy as cancelled, or no longer, as Outlook shows it; nobody hears of it. CancelCalendarItem
    would tell the attendees."""
    now = number(item, "AppointmentState") if item is not None else 0
    state = now | CANCELLED if wanted else now & ~CANCELLED
    yield _state_uri(), extended_value(_state_uri(), str(state))


def _state_uri() -> Any:
    return el("t:ExtendedFieldURI", DistinguishedPropertySetId="Appointment", PropertyId=STATE, PropertyType="Integer")


def _show_as(value: str, item: Any, changes: Mapping[str, Any]) -> Iterator[Edit]:
    if changes.get("status") in ("tentative", "cancelled"):
        return  # says it already
    now = said(item, "LegacyFreeBusyStatus") if item is not None else ""
    word = word_for({"Free": "free", "Busy": "busy"} | dict(SHOW_AS), value, now, otherwise="Busy")
    if word != now:
        yield "calendar:LegacyFreeBusyStatus", el("t:LegacyFreeBusyStatus", text=word)


def _day(value: date | datetime, zone: str) -> str:
    """A due date: Exchange keeps the day only."""
    if isinstance(value, datetime):
        value = value.astimezone(ZoneInfo(zone)).date() if value.tzinfo else value.date()
    return written(datetime.combine(value, time(), tzinfo=UTC))


# -- as elements ---------------------------------------------------------------------------------------------------


def stamp(name: str, value: str) -> Edit:
    """A property of our own."""
    return property_uri(name), extended_value(property_uri(name), value)


def new_item(kind: str, edits: Iterable[Edit]) -> Any:
    """The element of an item that is made: its properties in the schema's order, the last of two winning."""
    last: dict[str, Any] = {}
    for uri, element in edits:
        if element is not None:
            last[uri if isinstance(uri, str) else uri.get("PropertyName") or uri.get("PropertyTag") or STATE] = element
    elements = sorted(last.values(), key=lambda e: ORDER.index(e.tag.rpartition("}")[2]))
    return el(f"t:{kind}", *elements)


def updates(kind: str, edits: Iterable[Edit]) -> Any:
    """The Updates of an ItemChange: each path once, the last winning."""
    last: dict[str, Any] = {}
    for uri, element in edits:
        path = el("t:FieldURI", FieldURI=uri) if isinstance(uri, str) else uri
        name = uri if isinstance(uri, str) else "|".join(f"{k}={v}" for k, v in sorted(uri.attrib.items()))
        if element is None:
            last[name] = el("t:DeleteItemField", path)
        else:
            last[name] = el("t:SetItemField", path, el(f"t:{kind}", element))
    return el("t:Updates", *last.values())
