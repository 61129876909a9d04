"""Spans and series mean the same instants on both sides, over ten years, in every spelling of a zone.

Oracles: recurring-ical-events (with icalendar's own reading of zones) for what an object means, as it
came and as syncd writes it again from what the CRM holds; dateutil for rules in zones with a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connectors.builtin.convert import columns_of
from connectors.caldav.lines import written
from connectors.caldav.read import read
from connectors.caldav.write import new_object
from syncd.crm.series import recurrence_from
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, as_instant, parse_moment, zone_named
from tests.depth import examples

pytestmark = pytest.mark.either

BEGIN, END = datetime(2019, 6, 1, tzinfo=UTC), datetime(2029, 6, 1, tzinfo=UTC)
NAMES = ("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Sydney", "Asia/Kolkata",
         "Africa/Casablanca", "Asia/Kathmandu", "Pacific/Chatham", "Atlantic/Azores", "America/St_Johns")  # fmt: skip
WINDOWS = ("W. Europe Standard Time", "Pacific Standard Time", "India Standard Time", "AUS Eastern Standard Time")
#: Between these series begin; by the wall clock.
FIRST, LAST = datetime(2019, 6, 1), datetime(2028, 6, 1)  # noqa: DTZ001
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _offset(minutes: int) -> str:
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"


@st.composite
def vtimezones(draw: st.DrawFn) -> tuple[str, str]:
    """(TZID, VTIMEZONE): one of a sender's own, quoted as Notes does or not, with or without a summer."""
    name = draw(st.sampled_from(["Pacific", "(UTC+01:00) Amsterdam, Berlin", "Our own zone", "CET/summer"]))
    base = draw(st.sampled_from([-480, -300, -210, 0, 60, 120, 330, 345, 570, 765]))
    parts = []
    if draw(st.booleans()):
        summer = base + draw(st.sampled_from([60, 30]))
        months = draw(st.sampled_from([(3, 10), (3, 11), (10, 4), (9, 4)]))
        weeks = draw(st.sampled_from([("-1SU", "-1SU"), ("2SU", "1SU"), ("1SU", "1SU"), ("-1FR", "-1SA")]))
        for kind, month, week, before, after in (("DAYLIGHT", months[0], weeks[0], base, summer),
                                                 ("STANDARD", months[1], weeks[1], summer, base)):  # fmt: skip
            parts += [f"BEGIN:{kind}", f"DTSTART:19700101T0{draw(st.sampled_from([1, 2, 3]))}0000",
                      f"RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY={week}", f"TZOFFSETFROM:{_offset(before)}",
                      f"TZOFFSETTO:{_offset(after)}", f"END:{kind}"]  # fmt: skip
    else:
        parts = ["BEGIN:STANDARD", "DTSTART:19700101T000000", f"TZOFFSETFROM:{_offset(base)}",
                 f"TZOFFSETTO:{_offset(base)}", "END:STANDARD"]  # fmt: skip
    name = f"{name} {crc32(repr(parts).encode())}"  # icalendar remembers zones by name, whatever they say later
    return name, "\r\n".join(["BEGIN:VTIMEZONE", f"TZID:{name}", *parts, "END:VTIMEZONE"])


def _named(name: str) -> tuple[str, str]:
    return name, ""


zones = st.one_of(
    st.sampled_from(["", "Z", "date"]).map(_named),
    st.sampled_from(NAMES + WINDOWS).map(_named),
    vtimezones(),
)


@st.composite
def rules(draw: st.DrawFn, first: datetime) -> str:
    """A rule that the first start fits, as clients write them."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY", ""]))
    if not freq:
        return ""
    parts = [f"FREQ={freq}"]
    step = draw(st.integers(1, 4))
    parts += [f"INTERVAL={step}"] if step > 1 else []
    if freq == "WEEKLY" and draw(st.booleans()):
        days = draw(st.sets(st.sampled_from(DAYS), max_size=3)) | {DAYS[first.weekday()]}
        parts.append("BYDAY=" + ",".join(sorted(days, key=DAYS.index)))
    if freq == "MONTHLY":
        which = draw(
            st.sampled_from(["", f"BYMONTHDAY={first.day}", f"BYDAY={(first.day - 1) // 7 + 1}{DAYS[first.weekday()]}"])
        )
        parts += [which] if which else []
    parts.append(f"COUNT={draw(st.integers(1, 60))}" if draw(st.booleans()) else "UNTIL={until}")
    return ";".join(parts)


@st.composite
def events(draw: st.DrawFn) -> str:
    """An iCalendar object with one event or series."""
    zone, definition = draw(zones)
    first = draw(st.datetimes(FIRST, LAST)).replace(second=0, microsecond=0)
    first = first.replace(minute=first.minute // 15 * 15)
    minutes = draw(st.sampled_from([15, 60, 600, 1440, 4000]))
    rule = draw(rules(first))
    until = first + timedelta(days=draw(st.integers(2, 300)), minutes=7)  # between two starts, in any zone
    if zone == "date":
        first = first.replace(hour=0, minute=0)
        lines = [f"DTSTART;VALUE=DATE:{first:%Y%m%d}", f"DURATION:P{1 + minutes // 1440}D"]
        ends = f"{until:%Y%m%d}"
    else:
        quoted = f'"{zone}"' if set(zone) & set(":;,") else zone
        head = f"DTSTART;TZID={quoted}" if zone not in ("", "Z") else "DTSTART"
        lines = [f"{head}:{first:%Y%m%dT%H%M%S}{'Z' if zone == 'Z' else ''}", f"DURATION:PT{minutes}M"]
        ends = f"{until:%Y%m%dT%H%M%S}" + ("" if zone == "" else "Z")
    lines += ["RRULE:" + rule.format(until=ends)] if rule else []
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", definition, "BEGIN:VEVENT", "UID:x",
            "DTSTAMP:20200101T000000Z", *lines, "SUMMARY:x", "END:VEVENT", "END:VCALENDAR"]  # fmt: skip
    return "\r\n".join(line for line in body if line) + "\r\n"


def _same_clock(moment: date | datetime) -> Any:
    """An instant in UTC; dates and floating times as they are."""
    return moment.astimezone(UTC) if isinstance(moment, datetime) and moment.tzinfo else moment


def by_the_oracle(text: str) -> set[Any]:
    """When it begins. How long it lasts is the same each time (RFC 5545 §3.8.5.3), by an exact clock;
    the library counts by the wall clock."""
    calendar = icalendar.Calendar.from_ical(text)
    found = recurring_ical_events.of(calendar).between(BEGIN - timedelta(days=9), END + timedelta(days=9))
    begins = [e["DTSTART"].dt for e in found]
    return {_same_clock(b) for b in begins if BEGIN <= as_instant(b) < END}


def by_us(fields: Mapping[str, Any], length: timedelta) -> set[Any]:
    span: Span = fields["time"]
    moved = [span.moved_to(s) for s in starts(span, fields.get("recurrence") or Recurrence(), BEGIN, END)]
    assert {m.length for m in moved} <= {length}
    return {_same_clock(m.start) for m in moved}


def through_the_crm(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the built-in CRM gives back of a time and a series."""
    columns = columns_of({"time": fields["time"], "recurrence": fields["recurrence"]})
    tz = zone_named(columns["zone"])
    moments = [parse_moment(columns[n]) for n in ("starts", "ends")]
    here = [m.astimezone(tz) if tz and isinstance(m, datetime) and m.tzinfo else m for m in moments]
    recurrence = recurrence_from(columns["recurrence"]) if columns["recurrence"] else Recurrence()
    return {"time": Span(here[0], here[1], columns["zone"]), "recurrence": recurrence}


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_a_span_and_its_series_mean_the_same_instants_on_both_sides(text: str) -> None:
    meant = by_the_oracle(text)
    fields = read(text).fields
    length = fields["time"].length
    assert by_us(fields, length) == meant
    held = through_the_crm(fields)
    assert by_us(held, length) == meant
    again = written(new_object("event", "y", {"summary": "x", **held}, datetime(2026, 1, 1, tzinfo=UTC)))
    assert by_us(read(again).fields, length) == meant
    assert by_the_oracle(again) == meant


@settings(max_examples=examples(100), deadline=None)
@given(st.sampled_from(NAMES), st.datetimes(FIRST, LAST), st.data())
def test_rules_in_a_named_zone_are_dateutils_by_the_wall_clock(name: str, first: datetime, data: st.DataObject) -> None:
    first = first.replace(second=0, microsecond=0)
    rule = data.draw(rules(first))
    assume(rule and "UNTIL" not in rule)
    zone = ZoneInfo(name)
    span = Span(first.replace(tzinfo=zone), (first + timedelta(hours=1)).replace(tzinfo=zone), name)
    ours = [_same_clock(s) for s in starts(span, Recurrence(rule), BEGIN, END)]
    wall = [d.replace(tzinfo=zone).astimezone(UTC) for d in rrulestr(rule, dtstart=first)]
    assert ours == sorted({w for w in wall if BEGIN <= w < END})
