"""An iCalendar object -> the fields of an event or a to-do.

One object is one item: the master and its overrides, in any order, or overrides without a master
(an invitation to one occurrence). Raises BadCalendar for what cannot be read; never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Any

from connectors.caldav.lines import BadCalendar, Component, Line, parse, split_list, unescape
from connectors.caldav.people import NOBODYS, Whose, guests_of, organizer_of, people_of
from connectors.caldav.zones import zone_of
from syncd.model.fields import ITEM_WORDS, same
from syncd.model.recurrence import MOST_OCCURRENCES, BadRule, Recurrence, normal_rule, parsed_rule
from syncd.model.span import Moment, Span, like, moment_key, parse_moment, zone_named

_UNTIL = re.compile(r"\bUNTIL=([0-9T]+Z?)")
_DURATION = re.compile(r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
COMPONENTS = {"VEVENT": "event", "VTODO": "todo"}
#: Apple's property beside CLASS; RESTRICTED shows when, what and where, but not the notes.
ACCESS = "X-CALENDARSERVER-ACCESS"
_WORDS = ("CLASS", ACCESS)
#: How strict a word is; one that is not known is handed on, and counts as private.
_STRICT = {"public": 0, "confidential": 1, "private": 2}


class NoEntry(BadCalendar):
    """A calendar object of another kind: a journal, free and busy times, zones alone."""


@dataclass(frozen=True)
class Entry:
    """What was read of an object."""

    kind: str
    uid: str
    owner: str
    fields: dict[str, Any]
    modified: datetime | None
    root: Component
    guests: frozenset[str]


def read(text: str, whose: Whose = NOBODYS) -> Entry:
    """The item in the text, as it stands in somebody's calendar. Raises BadCalendar."""
    try:
        return _read(text, whose)
    except OverflowError:
        raise BadCalendar("a date lies beyond the years 1 to 9999") from None


def _read(text: str, whose: Whose) -> Entry:
    if "\x00" in text:
        raise BadCalendar("the object holds NUL characters")
    root = parse(text, whose.zone)
    entries = root.components(*COMPONENTS)
    if not entries:
        raise NoEntry("the object holds neither an event nor a to-do")
    uids = {_value(c, "UID") for c in entries}
    if len(uids) > 1:
        raise BadCalendar("the object holds entries with different UIDs")
    kind = COMPONENTS[entries[0].name]
    overrides = [c for c in entries if c.line("RECURRENCE-ID") is not None]
    if len(entries) - len(overrides) > 1:
        raise BadCalendar("the object holds several entries with one UID")
    head = head_of(root, entries)
    fields = fields_of(root, head, whose=whose)
    if kind == "event":
        _series(root, head, overrides, fields, whose)
    organizer = head.line("ORGANIZER")
    for component in entries if organizer is None and len(entries) > 1 else ():
        if _sensitivity(root, component, head) == "public":
            organizer = organizer or component.line("ORGANIZER")  # a private occurrence says nothing of its series
    owner = organizer_of(organizer, whose)
    return Entry(kind, next(iter(uids)), owner, fields, _modified(head), root, guests_of(entries, whose))


def head_of(root: Component, entries: list[Component]) -> Component:
    """The master; without one the occurrence whose original start comes first. Raises BadCalendar."""
    if len(entries) == 1:
        return entries[0]
    masters = [c for c in entries if c.line("RECURRENCE-ID") is None]
    if masters or entries[0].name != "VEVENT":
        return (masters or entries)[0]
    span = span_of(root, entries[0])
    return min(entries, key=lambda c: original_start(root, c, span))


def usual_span(root: Component, head: Component) -> Span:
    """When the series begins: of several occurrences without their master, when the first of them would have
    been; how long it would have taken only it can say. Raises BadCalendar."""
    span = span_of(root, head)
    if head.line("RECURRENCE-ID") is None:
        return span
    return span.moved_to(like(parse_moment(original_start(root, head, span)), span.start))


def _value(component: Component, name: str) -> str:
    line = component.line(name)
    return line.value.strip() if line is not None else ""


def _modified(component: Component) -> datetime | None:
    text = _value(component, "LAST-MODIFIED")
    try:
        found = parse_moment(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else None


def moment_of(root: Component, line: Line, text: str | None = None) -> tuple[Moment, str]:
    """The moment that a line holds, and its zone's spelling. Raises BadCalendar."""
    value = (line.value if text is None else text).strip()
    tzid = line.params.get("TZID", "")
    try:
        moment = parse_moment(value)
    except ValueError:
        raise BadCalendar(f"{line.name} is no date or time") from None
    if not 2 <= moment.year <= 9997:
        raise BadCalendar(f"{line.name} lies beyond the years that can be reckoned with")
    if isinstance(moment, datetime) and moment.tzinfo is None and tzid:
        return moment.replace(tzinfo=zone_of(root, tzid, moment.year)), tzid
    return moment, tzid if isinstance(moment, datetime) and not value.endswith("Z") else ""


def span_of(root: Component, component: Component) -> Span:
    """DTSTART with DTEND or DURATION (RFC 5545 §3.6.1). Raises BadCalendar."""
    line = component.line("DTSTART")
    if line is None:
        raise BadCalendar("an event has no DTSTART")
    start, zone = moment_of(root, line)
    end_line, length = component.line("DTEND"), component.line("DURATION")
    end: Moment
    if end_line is not None:
        end, _ = moment_of(root, end_line)
        if isinstance(end, datetime) != isinstance(start, datetime):
            raise BadCalendar("DTSTART and DTEND are of different types")
        if isinstance(start, datetime) and isinstance(end, datetime) and (start.tzinfo is None) != (end.tzinfo is None):
            end = end.replace(tzinfo=start.tzinfo) if start.tzinfo else end.replace(tzinfo=None)
        end = max(start, end) if _comparable(start, end) else end
    elif length is not None:
        end = _after(start, *duration_of(length.value))
    else:
        end = start if isinstance(start, datetime) else start + timedelta(days=1)
    if not isinstance(start, datetime) and end == start:
        end = start + timedelta(days=1)
    return Span(start, end, zone)


def _comparable(one: Moment, other: Moment) -> bool:
    return isinstance(one, datetime) == isinstance(other, datetime)


def duration_of(text: str) -> tuple[timedelta, timedelta]:
    """A DURATION value: its weeks and days, which are counted by the calendar, and the rest, which passes by the
    clock (RFC 5545 §3.3.6). Raises BadCalendar."""
    found = _DURATION.fullmatch(text.strip().upper())
    if found is None or not any(found.groups()[1:]):
        raise BadCalendar("DURATION cannot be read")
    weeks, days, hours, minutes, seconds = (int(n or 0) for n in found.groups()[1:])
    sign = -1 if found[1] == "-" else 1
    try:
        return sign * timedelta(weeks=weeks, days=days), sign * timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise BadCalendar("DURATION is too long") from None


def _after(start: Moment, days: timedelta, clock: timedelta) -> Moment:
    """The moment so many days of the calendar, then so much time, later."""
    there = start + days
    if isinstance(there, datetime) and there.tzinfo is not None:
        return (there.astimezone(UTC) + clock).astimezone(there.tzinfo)
    return there + clock


def fields_of(
    root: Component, component: Component, head: Component | None = None, whose: Whose = NOBODYS
) -> dict[str, Any]:
    """The fields of an entry, or of an occurrence of the series that `head` stands for. Raises BadCalendar."""
    kind = COMPONENTS[component.name]
    fields: dict[str, Any] = {
        "summary": unescape(_value(component, "SUMMARY")),
        "description": unescape(_value(component, "DESCRIPTION")),
        "sensitivity": _sensitivity(root, component, head),
        "priority": _number(component, "PRIORITY"),
        "categories": frozenset(
            w.strip() for x in component.lines("CATEGORIES") for w in split_list(x.value) if w.strip()
        ),
    }
    status = _value(component, "STATUS").lower()
    words = ITEM_WORDS[kind]["status"]
    fields["status"] = status if status in words else words[0]
    if kind == "todo" and not status and (component.line("COMPLETED") or _number(component, "PERCENT-COMPLETE") == 100):
        fields["status"] = "completed"
    if kind == "todo":
        due = component.line("DUE")
        fields["due"] = moment_of(root, due)[0] if due is not None else None
        fields["percent"] = _number(component, "PERCENT-COMPLETE")
        return fields
    fields["location"] = unescape(_value(component, "LOCATION"))
    fields["show-as"] = "free" if _value(component, "TRANSP").upper() == "TRANSPARENT" else "busy"
    fields["time"] = span_of(root, component)
    fields["attendees"] = people_of(component, whose)
    fields["recurrence"] = Recurrence()
    return fields


def own_words(component: Component) -> list[str]:
    """What a component says of its privacy itself, in lower case: CLASS, and Apple's word for it."""
    found = []
    for part in component.parts:
        if part.name in _WORDS and isinstance(part, Line):
            word = part.value.strip().lower()
            found.append("confidential" if word == "restricted" and part.name == ACCESS else word)
    return [word for word in found if word]


def _sensitivity(root: Component, component: Component, head: Component | None) -> str:
    """The strictest of what is said: a component may say it twice, and the object once for all. An occurrence
    that says nothing has its series' word: only an explicit PUBLIC opens it."""
    own = own_words(component) or (own_words(head) if head is not None else [])
    said = [*own, *own_words(root)]
    return max(said, key=lambda w: (_STRICT.get(w, 3), w), default="public")


def _number(component: Component, name: str) -> int:
    text = _value(component, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _series(root: Component, head: Component, overrides: list[Component], fields: dict[str, Any], whose: Whose) -> None:
    """Makes the fields those of a series, where it is one."""
    if not overrides and not any(part.name in ("RRULE", "RDATE") for part in head.parts):
        return
    if any(c.lines("RECURRENCE-ID")[0].params.get("RANGE") for c in overrides):
        raise BadCalendar("an occurrence changes those that follow it too (RANGE)")
    alone = head.line("RECURRENCE-ID") is not None
    if alone and len(overrides) == 1:
        return  # an invitation to one occurrence is a single event
    if alone:
        fields["time"] = usual_span(root, head)
    span: Span = fields["time"]
    rule, rdates, exdates = "", set(), set()
    changed: dict[str, MappingProxyType[str, Any]] = {}
    if not alone:
        rule = _rule_of(root, head, "RRULE", span)
        rdates = {moment_key(m) for m in moments_of(root, head, "RDATE", span)}
        exdates = {moment_key(m) for m in moments_of(root, head, "EXDATE", span)} | left_out_by_rule(root, head, span)
        if not rule and rdates:
            rdates.add(moment_key(span.start))
        periods = _periods_of(root, head, span)
        changed = {k: MappingProxyType({"time": v}) for k, v in periods.items() if v.length != span.length}
    for key, component in by_start(root, overrides, span).items():
        there = fields_of(root, component, head, whose)
        del there["recurrence"]
        base = {**fields, "time": span.moved_to(like(parse_moment(key), span.start))}
        changed[key] = MappingProxyType({n: v for n, v in there.items() if not same(n, v, base.get(n))})
        if alone:
            rdates.add(key)
    if rule or rdates:
        known = {k: v for k, v in changed.items() if v and k not in exdates}
        fields["recurrence"] = Recurrence(rule, frozenset(rdates), frozenset(exdates), MappingProxyType(known))


def by_start(root: Component, overrides: Iterable[Component], span: Span) -> dict[str, Component]:
    """Original start's key -> the occurrence as it was written last: of two for one start the one with the higher
    SEQUENCE, then the later one. Raises BadCalendar."""
    found: dict[str, Component] = {}
    for component in overrides:
        key = original_start(root, component, span)
        if key not in found or _written(component) >= _written(found[key]):
            found[key] = component
    return found


def _written(component: Component) -> tuple[int, str]:
    number = _value(component, "SEQUENCE")
    return int(number) if number.isascii() and number.isdigit() else 0, _value(component, "LAST-MODIFIED")


def _rule_of(root: Component, head: Component, name: str, span: Span) -> str:
    """The rule, normalised; of a series of days it ends on a day. Raises BadCalendar."""
    rules = head.lines(name)
    if len(rules) > 1:
        raise BadCalendar(f"an event has more than one {name}")
    if not rules:
        return ""
    rule = normal_rule(rules[0].value)
    if not isinstance(span.start, datetime):
        rule = _UNTIL.sub(lambda m: f"UNTIL={moment_key(in_terms(root, parse_moment(m[1]), span))}", rule)
    try:
        parsed_rule(span.start, rule)
    except (BadRule, ValueError) as error:
        raise BadCalendar(str(error) if isinstance(error, BadRule) else f"the end of an {name} is no date") from None
    return rule


def left_out_by_rule(root: Component, head: Component, span: Span) -> set[str]:
    """The dates that an EXRULE leaves out (RFC 2445 §4.8.5.2; RFC 5545 has dropped it). Raises BadCalendar where
    neither rule ends, so that they cannot be named."""
    without = _rule_of(root, head, "EXRULE", span)
    if not without:
        return set()
    rule = _rule_of(root, head, "RRULE", span)
    ending = [r for r in (rule, without) if "COUNT=" in r or "UNTIL=" in r]
    if not ending:
        raise BadCalendar("dates are left out by a rule without end (EXRULE)")
    last = max(islice(parsed_rule(span.start, ending[0]), MOST_OCCURRENCES), default=None)

    def known(rule: str) -> set[str]:
        moments = islice(parsed_rule(span.start, rule), MOST_OCCURRENCES)
        upto = takewhile(lambda m: last is not None and m <= last, moments)
        return {moment_key(m if isinstance(span.start, datetime) else m.date()) for m in upto}

    return known(rule) & known(without)


def _periods_of(root: Component, head: Component, span: Span) -> dict[str, Span]:
    """Of dates that are added with a length of their own (RDATE;VALUE=PERIOD): when they are. Raises BadCalendar."""
    found = {}
    for line in head.lines("RDATE"):
        for part in (p.strip() for p in line.value.split(",")):
            begin, slash, end = part.partition("/")
            if not slash:
                continue
            start = in_terms(root, moment_of(root, line, begin)[0], span)
            if end.lstrip("+-").upper().startswith("P"):
                until = _after(start, *duration_of(end))
            else:
                until = in_terms(root, moment_of(root, line, end)[0], span)
            found[moment_key(start)] = Span(start, until, span.zone)
    return found


def original_start(root: Component, component: Component, span: Span) -> str:
    """The key of the occurrence that an override is about; a RECURRENCE-ID in UTC, or a date for a
    timed series, is read in the series' own terms (lessons 22, 23)."""
    line = component.line("RECURRENCE-ID")
    if line is None:
        raise BadCalendar("an override has no RECURRENCE-ID")
    return moment_key(in_terms(root, moment_of(root, line)[0], span))


def _zone_of_days(root: Component) -> tzinfo:
    """The zone in which an object that tells of days tells moments: its own, else its reader's."""
    line = root.line("X-WR-TIMEZONE")
    named = zone_named(line.value.strip()) if line is not None else None
    if named is not None:
        return named
    zones = root.components("VTIMEZONE")
    if len(zones) == 1 and zones[0].line("TZID") is not None:
        try:
            return zone_of(root, unescape(zones[0].lines("TZID")[0].value), datetime.now(UTC).year)
        except BadCalendar:
            pass
    return root.zone


def _day(moment: datetime, zone: tzinfo) -> date:
    """The day that a moment stands for: the one that begins then, in the zone or on the world's clock."""
    if moment.tzinfo is None or moment.tzinfo is not UTC:
        return moment.date()
    there = moment.astimezone(zone)
    return moment.date() if moment.time() == time() and there.time() != time() else there.date()


def in_terms(root: Component, moment: Moment, span: Span) -> Moment:
    """A moment as the series reckons: in days, in times of a zone, in times without one."""
    start = span.start
    if isinstance(start, datetime) and not isinstance(moment, datetime):
        return datetime.combine(moment, start.time(), tzinfo=start.tzinfo)
    if not isinstance(start, datetime) and isinstance(moment, datetime):
        return _day(moment, _zone_of_days(root))
    if isinstance(start, datetime) and isinstance(moment, datetime):
        if start.tzinfo is not None and moment.tzinfo is None:
            return moment.replace(tzinfo=start.tzinfo)
        if start.tzinfo is None and moment.tzinfo is not None:
            return moment.replace(tzinfo=None)
    return moment


def moments_of(root: Component, component: Component, name: str, span: Span) -> list[Moment]:
    """All moments of the lines of that name, in the series' terms; of periods their starts."""
    found: list[Moment] = []
    for line in component.lines(name):
        for part in line.value.split(","):
            if part.strip():
                moment, _ = moment_of(root, line, part.strip().split("/")[0])
                found.append(in_terms(root, moment, span))
    return found
