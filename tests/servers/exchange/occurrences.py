"""Occurrences of a series as Exchange reckons them: written from its documentation, not from syncd's converter.

A day of the month that a month has not is its last day (MS-OXCICAL §2.1.3.2.2.3); weeks begin on
FirstDayOfWeek; a range ends on a date of the series' zone.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from tests.servers.exchange.schema import T, local

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = list(calendar.month_name)
_SETS = {"Day": set(range(7)), "Weekday": set(range(5)), "WeekendDay": {5, 6}}


def occurrences(recurrence: Any, start: datetime, limit: int = 4000) -> Iterator[datetime]:
    """Local starts of the series (naive or in one zone), in order, deleted ones included."""
    parts = {local(c): c for c in recurrence}
    pattern = next(c for n, c in parts.items() if n.endswith("Recurrence") and n[:3] in ("Dai", "Wee", "Abs", "Rel"))
    ends = next(c for n, c in parts.items() if n in ("NoEndRecurrence", "EndDateRecurrence", "NumberedRecurrence"))
    count = int(ends.findtext(T + "NumberOfOccurrences") or limit)
    until = ends.findtext(T + "EndDate")
    last = date.fromisoformat(until[:10]) if until else date.max
    made = 0
    for day in _days(pattern, start.date()):
        if day < start.date():
            continue
        if day > last or made >= min(count, limit):
            return
        made += 1
        yield datetime.combine(day, start.time(), tzinfo=start.tzinfo)


def _days(pattern: Any, first: date) -> Iterator[date]:
    kind = local(pattern)
    interval = int(pattern.findtext(T + "Interval") or 1)
    words = (pattern.findtext(T + "DaysOfWeek") or "").split()
    wanted = set().union(*(_SETS.get(w) or {_DAYS.index(w)} for w in words)) if words else set()
    if kind == "DailyRecurrence":
        day = first
        while day.year < 2200:
            yield day
            day += timedelta(days=interval)
    elif kind == "WeeklyRecurrence":
        begins = _DAYS.index(pattern.findtext(T + "FirstDayOfWeek") or "Sunday")
        week = first - timedelta(days=(first.weekday() - begins) % 7)
        while week.year < 2200:
            yield from (d for n in range(7) if (d := week + timedelta(days=n)).weekday() in wanted)
            week += timedelta(weeks=interval)
    else:
        yield from _months(pattern, kind, first, interval, wanted)


def _months(pattern: Any, kind: str, first: date, interval: int, wanted: set[int]) -> Iterator[date]:
    yearly = kind.endswith("YearlyRecurrence")
    month = _MONTHS.index(pattern.findtext(T + "Month")) if yearly else first.month
    year, step = first.year, 12 if yearly else interval
    while year < 2200:
        length = calendar.monthrange(year, month)[1]
        if kind.startswith("Absolute"):
            yield date(year, month, min(int(pattern.findtext(T + "DayOfMonth")), length))
        else:
            fitting = [d for n in range(1, length + 1) if (d := date(year, month, n)).weekday() in wanted]
            index = ("First", "Second", "Third", "Fourth", "Last").index(pattern.findtext(T + "DayOfWeekIndex"))
            yield fitting[-1 if index == 4 else index]
        month += step
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
