"""A person's Outlook on the server, for tests that speak iCalendar: what they put, get and delete becomes
items and comes from items. It writes the server's store by its own operations and shares nothing with the
connector but the reading of iCalendar, so that a scenario can be told once for every groupware.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lxml import etree

from connectors.caldav.lines import BadCalendar, escape
from connectors.caldav.read import NoEntry, read
from connectors.caldav.zones import vtimezone
from connectors.exchange.series import read_pattern
from syncd.model.recurrence import Recurrence
from syncd.model.span import Moment, parse_moment
from syncd.outlook.recurrence import CannotHold, pattern_of, rule_of
from syncd.outlook.zones import iana_of, windows_of
from tests.servers.exchange.handlers import Caller, Fault
from tests.servers.exchange.http import ExchangeServer
from tests.servers.exchange.schema import M, T
from tests.servers.exchange.store import Item, Mailbox, element, moment, stamp

_DAYS = dict(zip(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
                 "Saturday", "Sunday"), strict=True))  # fmt: skip
_ANSWERS = {"accepted": "Accept", "declined": "Decline", "tentative": "Tentative", "needs-action": "NoResponseReceived"}
_STATUS = {"needs-action": "NotStarted", "in-process": "InProgress", "completed": "Completed"}


_PATHS = {
    "summary": ("item:Subject",),
    "description": ("item:Body",),
    "location": ("calendar:Location",),
    "time": ("calendar:Start", "calendar:End", "calendar:IsAllDayEvent"),
    "sensitivity": ("item:Sensitivity",),
    "categories": ("item:Categories",),
    "priority": ("item:Importance",),
    "show-as": ("calendar:LegacyFreeBusyStatus",),
    "status": ("calendar:LegacyFreeBusyStatus",),
}


@dataclass
class Outlook:
    """What the tests' desk takes for a server of calendars."""

    double: ExchangeServer
    #: (user, path) -> item id; of what syncd made the path is made of the id.
    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.double.url

    def calendar(self, user: str, name: str, component: str = "VEVENT") -> str:
        """The user's calendar or task list; asked for once more, another one beside it."""
        box = self.double.store.mailboxes.get(f"{user}@us.example") or self.double.add_user(user)
        folder = box.distinguished("calendar" if component == "VEVENT" else "tasks")
        if getattr(box, "handed_out", False):
            box.add_folder(name, folder.element, folder.id)
            return f"/{folder.name}/{name}/"
        box.handed_out = True  # type: ignore[attr-defined]
        return f"/{folder.name}/"

    def request(self, user: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        """GET of an item or a folder, DELETE, and PROPFIND that lists the items' paths."""
        box = self.double.store.mailbox(f"{user}@us.example")
        with self.double.store.lock:
            if method == "PROPFIND":
                listed = "".join(f"<href>{p}</href>" for p, _ in self._listed(user, box, path))
                return 207, f"<multistatus>{listed}</multistatus>"
            if path.endswith("/"):
                return 200, "".join(self.render(box, item) for _, item in self._listed(user, box, path))
            item = self._at(user, box, path)
            if item is None:
                return 404, ""
            if method == "DELETE":
                self._ask(user, _delete(element("ItemId", Id=item.id)))
                return 204, ""
            return 200, self.render(box, item)

    def put(self, user: str, path: str, text: str) -> int:
        """Writes an item; 201 for a new one, 204 for a change, 415 for what Outlook cannot hold."""
        box = self.double.store.mailbox(f"{user}@us.example")
        try:
            entry = read(text.strip().replace("\r\n", "\n").replace("\n", "\r\n") + "\r\n")
        except (BadCalendar, NoEntry):
            return 415
        fields = entry.fields
        kind = "CalendarItem" if entry.kind == "event" else "Task"
        with self.double.store.lock:
            item = self._at(user, box, path)
            props = list(_event(fields) if kind == "CalendarItem" else _task(fields))
            recurrence: Recurrence = fields.get("recurrence") or Recurrence()
            if item is None:
                made = self._create(user, box, path, kind, props, entry.uid, fields, recurrence)
                item = box.items[made]
                self.paths[user, path] = made
                status = 201
            else:
                self._update(user, item, kind, props, fields, recurrence)
                status = 204
            if kind == "CalendarItem":
                self._people(item, entry.owner, fields, f"{user}@us.example")
                self._occurrences(user, item, fields, recurrence)
            return status

    # -- writing --------------------------------------------------------------------------------------------------

    def _create(
        self, user: str, box: Mailbox, path: str, kind: str, props: list[Any], uid: str, fields: Any, rule: Recurrence
    ) -> str:
        made = element(kind)
        if uid and kind == "CalendarItem":
            props.append(element("UID", uid))
        if rule.rule:
            props.append(_rule(rule.rule, fields["time"].start))
        from tests.servers.exchange.schema import order_of

        made.extend(sorted(props, key=lambda p: order_of(kind).index(p.tag.rpartition("}")[2])))
        request = etree.Element(f"{M}CreateItem", MessageDisposition="SaveOnly", SendMeetingInvitations="SendToNone")
        where = etree.SubElement(request, f"{M}SavedItemFolderId")
        where.append(element("FolderId", Id=self._folder(box, path)))
        etree.SubElement(request, f"{M}Items").append(made)
        answer = self._ask(user, request)
        ref = str(answer.find(f".//{T}ItemId").get("Id"))
        self.rules[ref] = rule.rule
        return ref

    def _update(self, user: str, item: Item, kind: str, props: list[Any], fields: Any, rule: Recurrence) -> None:
        from tests.servers.exchange.schema import path_of

        if kind == "CalendarItem" and rule.rule != self.rules.get(item.id, ""):
            props += [_rule(rule.rule, fields["time"].start)] if rule.rule else []
            self.rules[item.id] = rule.rule
        now = {path_of(kind, p.tag.rpartition("}")[2]): p for p in props}
        same_time = all(p not in now or item.text(p) == now[p].text for p in ("calendar:Start", "calendar:End"))
        if same_time and kind == "CalendarItem":
            for path in ("calendar:Start", "calendar:End", "calendar:StartTimeZone", "calendar:EndTimeZone"):
                now.pop(path, None)
        gone = {"calendar:Location", "item:Body", "item:Categories"} & item.props.keys() - now.keys()
        self._ask(user, _change(element("ItemId", Id=item.id, ChangeKey=item.change_key), kind, now, gone))

    def _people(self, item: Item, owner: str, fields: Any, me: str) -> None:
        """Who takes part: Exchange itself writes this when an invitation comes, no client can."""
        people = {a: p for a, p in (fields.get("attendees") or {}).items() if a != owner}
        item.props.pop("calendar:RequiredAttendees", None)
        if people:
            listed = element("RequiredAttendees")
            for address, person in people.items():
                one = etree.SubElement(listed, f"{T}Attendee")
                box = etree.SubElement(one, f"{T}Mailbox")
                box.append(element("Name", person.name or address))
                box.append(element("EmailAddress", address))
                box.append(element("RoutingType", "SMTP"))
                one.append(element("ResponseType", _ANSWERS.get(person.answer, "Unknown")))
            item.props["calendar:RequiredAttendees"] = listed
        if owner:
            item.props["organizer"] = owner
            mine = people.get(me)
            item.props["answer"] = _ANSWERS.get(mine.answer, "Unknown") if mine else "NoResponseReceived"
        if fields.get("status") == "cancelled":
            item.props["ext:Appointment/33303"] = _cancelled()

    def _occurrences(self, user: str, item: Item, fields: Any, recurrence: Recurrence) -> None:
        if not recurrence.rule:
            return
        starts = list(item.starts(600))
        for key in recurrence.exdates:
            original = _original(key, item)
            if original in starts and original not in item.deleted:
                self._ask(user, _delete(_occurrence(item, original)))
        for key, changed in recurrence.overrides.items():
            original = _original(key, item)
            if original not in starts:
                continue  # Outlook has no occurrence that does not occur
            usual = fields["time"].moved_to(parse_moment(key))
            now = {**{k: v for k, v in fields.items() if k != "recurrence"}, "time": usual, **changed}
            wanted = {path for name in changed for path in _PATHS.get(name, ())}
            props = {_path(p): p for p in _event(now) if _path(p) in wanted}
            if original in item.exceptions and all(
                p in item.exceptions[original] and etree.tostring(item.exceptions[original][p]) == etree.tostring(e)
                for p, e in props.items()
            ):
                continue
            self._ask(user, _change(_occurrence(item, original), "CalendarItem", props, set()))
            if changed.get("status") == "cancelled":  # the organiser took this one out
                item.exceptions[original]["ext:Appointment/33303"] = _cancelled()

    def _ask(self, user: str, request: Any) -> Any:
        """One operation, as the server does it for anybody."""
        answer = self.double.operations.answer(request, Caller(user, f"{user}@us.example"))
        bad = answer.find(".//*[@ResponseClass='Error']")
        if bad is not None:
            raise Fault(bad.findtext(f"{M}ResponseCode") or "")
        return answer

    # -- reading --------------------------------------------------------------------------------------------------

    def _folder(self, box: Mailbox, path: str) -> str:
        parts = path.strip("/").split("/")
        if path.endswith(".ics"):
            parts = parts[:-1]
        ref = box.distinguished("msgfolderroot").id
        for name in parts:
            ref = next(f.id for f in box.folders.values() if f.parent == ref and f.name == name)
        return ref

    def _at(self, user: str, box: Mailbox, path: str) -> Item | None:
        found = box.items.get(self.paths.get((user, path), ""))
        if found is not None and found.folder == self._folder(box, path):
            return found
        return next((i for p, i in self._listed(user, box, path.rpartition("/")[0] + "/") if p == path), None)

    def _listed(self, user: str, box: Mailbox, path: str) -> Iterator[tuple[str, Item]]:
        folder = self._folder(box, path)
        known = {ref: p for (who, p), ref in self.paths.items() if who == user}
        for item in list(box.items.values()):
            if item.folder == folder:
                yield known.get(item.id) or f"{path}{item.id.replace('/', '_')}.ics", item

    def render(self, box: Mailbox, item: Item) -> str:
        """The item as iCalendar."""
        component = "VEVENT" if item.kind == "CalendarItem" else "VTODO"
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Outlook//EN"]
        lines += self._component(component, self.double.operations.values(box, item), item, None)
        for original in sorted(item.exceptions):
            values = self.double.operations.values(box, item, original)
            lines += self._component(component, values, item, original)
        return "\r\n".join([*lines, "END:VCALENDAR", ""])

    def _component(self, component: str, values: dict[str, Any], item: Item, original: datetime | None) -> list[str]:
        def said(path: str) -> str:
            found = values.get(path)
            return "" if found is None else (found.text or "")

        lines = [f"BEGIN:{component}", f"UID:{said('calendar:UID') or item.id}", "DTSTAMP:20261101T000000Z"]
        whole = said("calendar:IsAllDayEvent") == "true"
        if component == "VEVENT":
            for name, path in (("DTSTART", "Start"), ("DTEND", "End")):
                lines.append(_moment(name, moment(said(f"calendar:{path}")), item.zone, whole))
            if original is not None:
                lines.append(_moment("RECURRENCE-ID", original, item.zone, whole))
            elif item.series:
                lines.append(f"RRULE:{self.rules.get(item.id) or _syncds(values) or _told(item)}")
                lines += [_moment("EXDATE", d, item.zone, whole) for d in sorted(item.deleted)]
            lines += ["STATUS:CANCELLED"] if said("calendar:IsCancelled") == "true" else []
            lines.append("TRANSP:TRANSPARENT" if said("calendar:LegacyFreeBusyStatus") == "Free" else "TRANSP:OPAQUE")
        else:
            lines += self._task_lines(said)
        body = values.get("item:TextBody")
        words = (("SUMMARY", said("item:Subject")), ("LOCATION", said("calendar:Location")),
                 ("DESCRIPTION", (body.text or "") if body is not None else ""))  # fmt: skip
        lines += [f"{n}:{escape(v)}" for n, v in words if v]
        sensitivity = {"Private": "PRIVATE", "Personal": "PRIVATE", "Confidential": "CONFIDENTIAL"}
        lines.append(f"CLASS:{sensitivity.get(said('item:Sensitivity'), 'PUBLIC')}")
        priority = {"High": 1, "Low": 9}.get(said("item:Importance"))
        lines += [f"PRIORITY:{priority}"] if priority else []
        categories = values.get("item:Categories")
        if categories is not None:
            lines.append("CATEGORIES:" + ",".join(escape(c.text or "") for c in categories))
        lines += self._people_lines(values, item)
        return [*lines, f"END:{component}"]

    def _task_lines(self, said: Any) -> list[str]:
        lines = [f"DUE;VALUE=DATE:{moment(said('task:DueDate')):%Y%m%d}"] if said("task:DueDate") else []
        status = {v: k for k, v in _STATUS.items()}.get(said("task:Status"), "needs-action")
        lines += [f"STATUS:{status.upper()}", f"PERCENT-COMPLETE:{said('task:PercentComplete')}"]
        return lines + ([f"COMPLETED:{stamp(datetime.now(UTC))}"] if status == "completed" else [])

    def _people_lines(self, values: dict[str, Any], item: Item) -> list[str]:
        listed = values.get("calendar:RequiredAttendees")
        if listed is None:
            return []
        lines = [f"ORGANIZER:mailto:{item.props.get('organizer') or values['calendar:Organizer'][0][1].text}"]
        words = {v: k for k, v in _ANSWERS.items()}
        for one in listed:
            answer = words.get(one.findtext(f"{T}ResponseType") or "", "needs-action").upper()
            lines.append(f"ATTENDEE;PARTSTAT={answer}:mailto:{one.findtext(f'{T}Mailbox/{T}EmailAddress')}")
        return lines


def _moment(name: str, at: datetime, zone: Any, whole: bool) -> str:
    key = str(getattr(zone, "key", "UTC"))
    if whole:
        return f"{name};VALUE=DATE:{(at.astimezone(zone) + timedelta(hours=12)).date():%Y%m%d}"
    if key in ("UTC", "Etc/UTC"):
        return f"{name}:{at:%Y%m%dT%H%M%SZ}"
    return f"{name};TZID={key}:{at.astimezone(zone):%Y%m%dT%H%M%S}"


def _syncds(values: dict[str, Any]) -> str:
    """The rule as syncd was given it; "" of an item that it did not make."""
    for path, found in values.items():
        if path.endswith("/SyncdRule"):
            return str(found.findtext(f"{T}Value"))
    return ""


def _told(item: Item) -> str:
    """The rule of the pattern."""
    start = item.moment("calendar:Start").astimezone(item.zone)
    return rule_of(*read_pattern(item.props["calendar:Recurrence"]), start)


def of_calendar(text: str) -> list[Any]:
    """The properties that iCalendar as MIME content gives an item."""
    entry = read(text)
    props = list(_event(entry.fields))
    props.append(element("UID", entry.uid))
    recurrence: Recurrence = entry.fields.get("recurrence") or Recurrence()
    if recurrence.rule:
        props.append(_rule(recurrence.rule, entry.fields["time"].start))
    return props


def as_calendar(operations: Any, box: Mailbox, item: Item) -> str:
    """What Exchange gives as a calendar item's MIME content: iCalendar with the zone's rules."""
    from types import SimpleNamespace

    outlook = Outlook(SimpleNamespace(operations=operations))  # type: ignore[arg-type]
    head, _, rest = outlook.render(box, item).partition("BEGIN:VEVENT")
    name = str(getattr(item.zone, "key", "UTC"))
    zone = "\r\n".join(vtimezone(name).walk()) if name != "UTC" else _UTC_ZONE
    return f"{head}{zone.strip()}\r\nBEGIN:VEVENT{rest}"


_UTC_ZONE = "\r\n".join(
    ("BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:16010101T000000", "TZOFFSETFROM:+0000",
     "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE")
)  # fmt: skip


def _cancelled() -> Any:
    value = element("ExtendedProperty")
    uri = {"DistinguishedPropertySetId": "Appointment", "PropertyId": "33303", "PropertyType": "Integer"}
    value.append(element("ExtendedFieldURI", **uri))
    value.append(element("Value", "4"))
    return value


def _path(prop: Any) -> str:
    from tests.servers.exchange.schema import path_of

    return path_of("CalendarItem", prop.tag.rpartition("}")[2])


def _original(key: str, item: Item) -> datetime:
    at = parse_moment(key)
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=item.zone)
    return (at.replace(tzinfo=item.zone) if at.tzinfo is None else at).astimezone(UTC)


def _occurrence(item: Item, original: datetime) -> Any:
    """A person points at it; how a server counts is nothing to her."""
    return element("ItemId", Id=f"{item.id}!{original:%Y%m%dT%H%M%SZ}", ChangeKey=item.change_key)


def _delete(at: Any) -> Any:
    request = etree.Element(f"{M}DeleteItem", DeleteType="MoveToDeletedItems", SendMeetingCancellations="SendToNone",
                            AffectedTaskOccurrences="AllOccurrences")  # fmt: skip
    etree.SubElement(request, f"{M}ItemIds").append(at)
    return request


def _change(at: Any, kind: str, props: dict[str, Any], gone: set[str]) -> Any:
    request = etree.Element(f"{M}UpdateItem", ConflictResolution="AlwaysOverwrite", MessageDisposition="SaveOnly",
                            SendMeetingInvitationsOrCancellations="SendToNone")  # fmt: skip
    change = etree.SubElement(etree.SubElement(request, f"{M}ItemChanges"), f"{T}ItemChange")
    change.append(at)
    updates = etree.SubElement(change, f"{T}Updates")
    for path, prop in props.items():
        field_ = etree.SubElement(updates, f"{T}SetItemField")
        field_.append(element("FieldURI", FieldURI=path))
        etree.SubElement(field_, T + kind).append(prop)
    for path in sorted(gone):
        etree.SubElement(updates, f"{T}DeleteItemField").append(element("FieldURI", FieldURI=path))
    return request


def _event(fields: Any) -> Iterator[Any]:
    yield from _common(fields)
    span = fields["time"]
    key = str(getattr(getattr(span.start, "tzinfo", None), "key", "UTC"))
    zone = iana_of(windows_of(key)) or UTC
    yield element("Start", stamp(_instant(span.start, zone)))
    yield element("End", stamp(_instant(span.end, zone)))
    yield element("IsAllDayEvent", "true" if span.all_day else "false")
    busy = {"tentative": "Tentative"}.get(
        str(fields.get("status")), "Free" if fields.get("show-as") == "free" else "Busy"
    )
    yield element("LegacyFreeBusyStatus", busy)
    if fields.get("location"):
        yield element("Location", fields["location"])
    for name in ("StartTimeZone", "EndTimeZone"):
        yield element(name, Id=windows_of(key) or "UTC")


def _instant(at: Moment, zone: Any) -> datetime:
    if isinstance(at, datetime):
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return datetime(at.year, at.month, at.day, tzinfo=zone)


def _task(fields: Any) -> Iterator[Any]:
    yield from _common(fields)
    due = fields.get("due")
    if due is not None:
        day = due.date() if isinstance(due, datetime) else due
        assert isinstance(day, date)
        yield element("DueDate", f"{day}T00:00:00Z")
    yield element("PercentComplete", str(fields.get("percent") or 0))
    yield element("Status", _STATUS.get(str(fields.get("status")), "NotStarted"))


def _common(fields: Any) -> Iterator[Any]:
    yield element("Subject", fields.get("summary") or "")
    word = {"private": "Private", "confidential": "Confidential"}.get(str(fields.get("sensitivity")), "Normal")
    yield element("Sensitivity", word)
    if fields.get("description"):
        yield element("Body", fields["description"], BodyType="Text")
    if fields.get("categories"):
        listed = element("Categories")
        listed.extend(element("String", c) for c in sorted(fields["categories"]))
        yield listed
    priority = int(fields.get("priority") or 0)
    yield element("Importance", "High" if 1 <= priority <= 4 else "Low" if priority >= 6 else "Normal")


def _rule(rule: str, start: Moment) -> Any:
    from connectors.exchange.series import write_rule

    try:
        pattern_of(rule, start)
    except CannotHold:
        raise Fault("ErrorInvalidRecurrencePattern") from None
    return write_rule(rule, start)
