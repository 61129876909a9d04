"""Recurrence patterns of Exchange and Microsoft Graph, and RRULE (RFC 5545 §3.3.10), both ways.

A pattern is a strict subset of a rule (MS-OXCICAL 2.1.3.2.2). What does not fit exactly is refused with a
reason and never approximated: a meeting on the wrong day is worse than one that is not there.

The traps: Exchange moves day 29 to 31 to the last day of a shorter month, RFC 5545 skips the month; a
range ends on a local date, UNTIL at an instant; a week begins on Sunday unless it is said otherwise.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Literal

from syncd.model.recurrence import BadRule, normal_rule, parsed_rule
from syncd.model.span import Moment

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAYS, _WEEKEND = DAYS[:5], DAYS[5:]
#: Largest interval of days, of weeks or months, and most occurrences (EWS types.xsd).
MOST_DAYS, MOST, MOST_COUNT = 999, 99, 999
_YEAR = 12


PatternKind = Literal["daily", "weekly", "absolute-monthly", "relative-monthly", "absolute-yearly", "relative-yearly"]


class CannotHold(ValueError):
    """Exchange has no pattern that means exactly this rule; the text says which part."""


@dataclass(frozen=True)
class Pattern:
    """How often, and on which days. `days` are those of RFC 5545, Monday first."""

    kind: PatternKind
    interval: int = 1
    days: tuple[str, ...] = ()
    first_day: str = "MO"
    #: Day of the month; 29 to 31 mean the last day where a month is shorter.
    day: int = 0
    #: 1 to 4, or -1 for the last.
    index: int = 0
    month: int = 0


@dataclass(frozen=True)
class Range:
    """How long: a number of occurrences, until a date in the series' zone (included), or for ever."""

    count: int | None = None
    until: date | None = None


def weekly(interval: int, days: tuple[str, ...], first_day: str) -> Pattern:
    """Some days of every so many weeks; on which day a week begins counts only where weeks are left out."""
    return Pattern("weekly", interval, days, first_day if interval > 1 and len(days) > 1 else "MO")


def pattern_of(rule: str, start: Moment) -> tuple[Pattern, Range]:
    """The pattern that gives exactly the rule's occurrences from `start` on. Raises CannotHold."""
    parts = dict(part.split("=", 1) for part in normal_rule(rule).split(";") if "=" in part)
    frequency = parts.pop("FREQ", "")
    interval = _number(parts.pop("INTERVAL", "1"))
    span = _range(parts.pop("COUNT", ""), parts.pop("UNTIL", ""), start)
    week = parts.pop("WKST", "MO")
    _drop_clock(parts, start)
    build = {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly}.get(frequency)
    if build is None:
        raise CannotHold(f"Exchange has no series that repeats {frequency.lower() or 'without a frequency'}")
    pattern = build(parts, interval, week, start)
    if parts:
        raise CannotHold(f"Exchange has no {sorted(parts)[0]} in such a series")
    _check_interval(pattern)
    _check_first(rule, start)
    return pattern, span


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CannotHold("the recurrence rule cannot be read") from None


def _range(count: str, until: str, start: Moment) -> Range:
    if count:
        number = _number(count)
        if number > MOST_COUNT:
            raise CannotHold(f"Exchange has at most {MOST_COUNT} occurrences in a series that counts them")
        return Range(count=number)
    return Range(until=_last_date(until, start)) if until else Range()


def _last_date(until: str, start: Moment) -> date:
    """The last local date on which an occurrence may begin: UNTIL is an instant (RFC 5545 §3.3.10); a date is that
    whole day, in the zone of the start."""
    if len(until) == 8:
        until += "T235959"
    try:
        moment = datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - its zone comes next
    except ValueError:
        raise CannotHold("the recurrence rule cannot be read") from None
    if not isinstance(start, datetime):
        return moment.date()
    if until.endswith("Z") and start.tzinfo is not None:
        moment = moment.replace(tzinfo=UTC).astimezone(start.tzinfo)
    return moment.date() if moment.time() >= start.time() else moment.date() - timedelta(days=1)


def _drop_clock(parts: dict[str, str], start: Moment) -> None:
    """BYHOUR and the like say nothing when they name the start's own time."""
    for name, unit in (("BYHOUR", "hour"), ("BYMINUTE", "minute"), ("BYSECOND", "second")):
        if name in parts and isinstance(start, datetime) and parts[name] == str(getattr(start, unit)):
            del parts[name]


def _daily(parts: dict[str, str], interval: int, week: str, start: Moment) -> Pattern:
    if "BYDAY" in parts and interval == 1:  # every day that is a Monday to Friday: that is a week
        return weekly(1, _plain_days(parts.pop("BYDAY")), week)
    return Pattern("daily", interval)


def _weekly(parts: dict[str, str], interval: int, week: str, start: Moment) -> Pattern:
    days = _plain_days(parts.pop("BYDAY")) if "BYDAY" in parts else (DAYS[start.weekday()],)
    return weekly(interval, days, week)


def _monthly(parts: dict[str, str], interval: int, week: str, start: Moment) -> Pattern:
    if "BYDAY" in parts:
        days, index = _relative(parts)
        return Pattern("relative-monthly", interval, days, index=index)
    return Pattern("absolute-monthly", interval, day=_day(parts, start, month=0))


def _yearly(parts: dict[str, str], interval: int, week: str, start: Moment) -> Pattern:
    if "BYDAY" in parts and "BYMONTH" not in parts:
        raise CannotHold("Exchange has no weekday of a year without its month")
    if "BYMONTHDAY" in parts and "BYMONTH" not in parts:
        raise CannotHold("Exchange has no day of every month in a series of years")
    month = _number(parts.pop("BYMONTH", str(start.month)))
    if not 1 <= month <= _YEAR:
        raise CannotHold("the recurrence rule cannot be read")
    if "BYDAY" in parts:
        days, index = _relative(parts)
        if interval == 1:
            return Pattern("relative-yearly", 1, days, index=index, month=month)
        return Pattern("relative-monthly", _YEAR * interval, days, index=index)
    day = _day(parts, start, month=month)
    if interval == 1:
        return Pattern("absolute-yearly", 1, day=day, month=month)
    return Pattern("absolute-monthly", _YEAR * interval, day=day)  # types.xsd has no interval of years


def _plain_days(text: str) -> tuple[str, ...]:
    named = set(text.split(","))
    if not named <= set(DAYS):
        raise CannotHold("Exchange has no numbered weekdays in such a series")
    return tuple(d for d in DAYS if d in named)


def _relative(parts: dict[str, str]) -> tuple[tuple[str, ...], int]:
    """Weekdays and which of them: 2TU, or TU with BYSETPOS=2."""
    text = parts.pop("BYDAY")
    first = text.split(",")[0]
    if first[-2:] in DAYS and first[:-2] and "," not in text:
        days: tuple[str, ...] = (first[-2:],)
        index = _number(first[:-2])
        if "BYSETPOS" in parts:
            raise CannotHold("Exchange has no BYSETPOS beside a numbered weekday")
    elif "BYSETPOS" in parts:
        days, index = _plain_days(text), _number(parts.pop("BYSETPOS"))
    else:
        raise CannotHold("Exchange has no series of several weekdays in a month")
    if index not in (1, 2, 3, 4, -1):
        raise CannotHold("Exchange counts weekdays of a month from first to fourth, or takes the last")
    if len(days) > 1 and days not in (DAYS, _WEEKDAYS, _WEEKEND):
        raise CannotHold("Exchange has only one weekday, all days, working days or weekends in a month")
    return days, index


def _day(parts: dict[str, str], start: Moment, *, month: int) -> int:
    """The day of the month, as Exchange counts it; `month` 0 for any."""
    text = parts.pop("BYMONTHDAY", str(start.day))
    shortest = _shortest(month)
    longest = 31 if not month else calendar.monthrange(2024, month)[1]
    several = [_number(t) for t in text.split(",")]
    if len(several) > 1 and parts.get("BYSETPOS") == "-1":  # the last of 28 to n: day n, or the month's last
        if sorted(several) == list(range(28, max(several) + 1)) and max(several) in (29, 30, 31):
            del parts["BYSETPOS"]
            return max(several)
    if len(several) > 1:
        raise CannotHold("Exchange has no series of several days of a month")
    day = several[0]
    if day == -1:
        return longest
    if day < 1:
        raise CannotHold("Exchange does not count days from the end of a month")
    if day > shortest:
        raise CannotHold(f"Exchange would move day {day} to the last day of a shorter month")
    return day


def _shortest(month: int) -> int:
    return 28 if not month else calendar.monthrange(2023, month)[1]


def _check_interval(pattern: Pattern) -> None:
    most = MOST_DAYS if pattern.kind == "daily" else MOST
    if not 1 <= pattern.interval <= most:
        raise CannotHold(f"Exchange has no interval of {pattern.interval} in such a series")


def _check_first(rule: str, start: Moment) -> None:
    """The start must be one of the rule's own: Exchange would move the first occurrence."""
    naive = start if isinstance(start, datetime) else datetime.combine(start, time())
    try:
        first = next(iter(islice(parsed_rule(start, rule), 1)), None)
    except BadRule as error:
        raise CannotHold(str(error)) from None
    if first is None or first.replace(tzinfo=None) != naive.replace(tzinfo=None):
        raise CannotHold("the series does not begin with an occurrence of its own rule")


# -- back ------------------------------------------------------------------------------------------------------


def rule_of(pattern: Pattern, span: Range, start: Moment) -> str:
    """The rule, normalised, that gives exactly the pattern's occurrences."""
    parts = [*_parts(pattern), *_end(span, start)]
    return normal_rule(";".join(parts))


def _parts(pattern: Pattern) -> list[str]:
    every = f"INTERVAL={pattern.interval}"
    if pattern.kind == "daily":
        return ["FREQ=DAILY", every]
    if pattern.kind == "weekly":
        return ["FREQ=WEEKLY", every, f"BYDAY={','.join(pattern.days)}", f"WKST={pattern.first_day}"]
    if pattern.kind == "absolute-monthly":
        return ["FREQ=MONTHLY", every, *_month_day(pattern.day, 0)]
    if pattern.kind == "absolute-yearly":
        return ["FREQ=YEARLY", every, f"BYMONTH={pattern.month}", *_month_day(pattern.day, pattern.month)]
    month = [f"BYMONTH={pattern.month}"] if pattern.kind == "relative-yearly" else []
    return ["FREQ=YEARLY" if month else "FREQ=MONTHLY", every, *month, *_nth(pattern)]


def _month_day(day: int, month: int) -> list[str]:
    """Day n, or the last day of a month that is shorter."""
    longest = 31 if not month else calendar.monthrange(2024, month)[1]
    day = min(day, longest)
    if day <= _shortest(month):
        return [f"BYMONTHDAY={day}"]
    if day == 31:
        return ["BYMONTHDAY=-1"]
    return [f"BYMONTHDAY={','.join(str(n) for n in range(28, day + 1))}", "BYSETPOS=-1"]


def _nth(pattern: Pattern) -> list[str]:
    if len(pattern.days) == 1:
        return [f"BYDAY={pattern.index}{pattern.days[0]}"]
    return [f"BYDAY={','.join(pattern.days)}", f"BYSETPOS={pattern.index}"]


def _end(span: Range, start: Moment) -> list[str]:
    if span.count is not None:
        return [f"COUNT={span.count}"]
    if span.until is None:
        return []
    if not isinstance(start, datetime):
        return [f"UNTIL={span.until:%Y%m%d}"]
    last = datetime.combine(span.until, time(23, 59, 59), tzinfo=start.tzinfo)
    if start.tzinfo is None:
        return [f"UNTIL={last:%Y%m%dT%H%M%S}"]
    return [f"UNTIL={last.astimezone(UTC):%Y%m%dT%H%M%SZ}"]
