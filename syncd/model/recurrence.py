"""Series: a rule, extra and left-out dates, and occurrences that differ (RFC 5545 §3.8.5).

An occurrence is known by the key of its original start (`moment_key`), so it stays the same
occurrence however its zone is spelt (lesson 22, 23). Expansion is by wall clock in the zone of
the start, as RFC 5545 wants it; dateutil does the calendar arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from dateutil.rrule import rrulestr

from syncd.model.span import Moment, Span, as_instant, like, moment_key, parse_moment

#: No window holds more starts than this: a rule by the minute is a fault, not a calendar.
MOST_OCCURRENCES = 5000
#: Nor does an expansion look at more starts before its window.
MOST_BEFORE = 100_000
#: Days, over which the dates of every rule repeat often enough to see whether it ever occurs.
_LONG = [date(2000, 1, 1) + timedelta(days=n) for n in range(366 * 9)]


@dataclass(frozen=True)
class Recurrence:
    """What makes an entry a series."""

    #: RRULE's value, normalised by `normal_rule`; "" for a series of single dates.
    rule: str = ""
    rdates: frozenset[str] = frozenset()
    exdates: frozenset[str] = frozenset()
    #: Original start's key -> the fields in which that occurrence differs from the series.
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    def __hash__(self) -> int:
        return hash((self.rule, self.rdates, self.exdates, tuple(sorted(self.overrides))))

    @property
    def empty(self) -> bool:
        """True when there is nothing that repeats."""
        return not self.rule and not self.rdates


class BadRule(ValueError):
    """A rule that dateutil and RFC 5545 cannot read; the text is not quoted."""


def normal_rule(rule: str) -> str:
    """The rule with its parts in one order, so that equal rules are equal text.

    ``INTERVAL=1`` and ``WKST=MO`` are the defaults of RFC 5545 and go.
    """
    parts = {}
    for part in rule.strip().split(";"):
        name, _, value = part.partition("=")
        if value:
            parts[name.strip().upper()] = value.replace(" ", "").upper()
    if parts.get("INTERVAL") == "1":
        del parts["INTERVAL"]
    if parts.get("WKST") == "MO":
        del parts["WKST"]
    order = ("FREQ", "INTERVAL", "COUNT", "UNTIL")
    names = [n for n in order if n in parts] + sorted(n for n in parts if n not in order)
    return ";".join(f"{n}={parts[n]}" for n in names)


def shifted(recurrence: Recurrence, before: Moment, after: Moment) -> Recurrence:
    """The recurrence of a series whose start moved from `before` to `after`: its extra and left-out dates and
    the original starts of its overrides move with it, by the clock on the wall, and so does the rule's end.
    What an override says of its own time stays. A date that cannot move (beyond the years) stays."""
    if moment_key(before) == moment_key(after) or recurrence.empty:
        return recurrence

    return renamed(
        recurrence, _until_moved(recurrence.rule, before, after), lambda key: shifted_key(key, before, after)
    )


def renamed(recurrence: Recurrence, rule: str, name: Callable[[str], str]) -> Recurrence:
    """The recurrence under another rule, each original start called as `name` says."""
    return Recurrence(
        rule,
        frozenset(name(key) for key in recurrence.rdates),
        frozenset(name(key) for key in recurrence.exdates),
        MappingProxyType({name(key): fields for key, fields in recurrence.overrides.items()}),
    )


def shifted_key(key: str, before: Moment, after: Moment) -> str:
    """The original start of an occurrence of a series whose start moved from `before` to `after`."""
    try:
        return moment_key(_moved(like(parse_moment(key), before), before, after))
    except (OverflowError, ValueError):
        return key


def _moved(moment: Moment, before: Moment, after: Moment) -> Moment:
    """The moment as far from `after`, in days and by the clock, as it was from `before`."""
    apart = _wall(moment) - _wall(before)
    if not isinstance(after, datetime):
        return after + timedelta(days=apart.days)
    if not isinstance(before, datetime) or not isinstance(moment, datetime):
        apart = timedelta(days=apart.days)
    return (after.replace(tzinfo=None) + apart).replace(tzinfo=after.tzinfo)


def _wall(moment: Moment) -> datetime:
    """What the clock on the wall shows."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001


def _until_moved(rule: str, before: Moment, after: Moment) -> str:
    parts = rule.split(";")
    for n, part in enumerate(parts):
        name, _, value = part.partition("=")
        if name == "UNTIL":
            try:
                end = like(parse_moment(value), before)
                if not isinstance(end, datetime):
                    end = end + timedelta(days=(_wall(after).date() - _wall(before).date()).days)
                elif isinstance(after, datetime):
                    end = _moved(end, before, after)
                else:
                    end = (_wall(after) + (_wall(end) - _wall(before))).date()
                parts[n] = f"UNTIL={moment_key(end)}"
            except (OverflowError, ValueError):
                pass
    return ";".join(parts)


def starts(span: Span, recurrence: Recurrence, after: datetime, before: datetime) -> Iterator[Moment]:
    """Original starts of the series that begin in [after, before), in order, EXDATEs left out.

    Raises BadRule when the rule cannot be read or yields more than `MOST_OCCURRENCES`.
    """
    found: dict[str, Moment] = {}
    if recurrence.rule:
        for moment in _by_rule(span.start, recurrence.rule, after, before):
            found.setdefault(moment_key(moment), moment)
    elif after <= as_instant(span.start) < before:
        found[moment_key(span.start)] = span.start
    for key in recurrence.rdates:
        moment = like(parse_moment(key), span.start)
        if after <= as_instant(moment) < before:
            found.setdefault(key, moment)
    for key in sorted(found, key=lambda k: as_instant(found[k])):
        if key not in recurrence.exdates:
            yield found[key]


def parsed_rule(start: Moment, rule: str) -> Iterable[datetime]:
    """The rule's starts, without end if it has none; of dates their midnights. Raises BadRule."""
    first = start if isinstance(start, datetime) else datetime(start.year, start.month, start.day)  # noqa: DTZ001
    _check(rule)
    try:
        return rrulestr(_until_like(rule, first), dtstart=first)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        raise BadRule("the recurrence rule cannot be read") from None


def _by_rule(start: Moment, rule: str, after: datetime, before: datetime) -> Iterator[Moment]:
    timed = isinstance(start, datetime)
    zone = start.tzinfo if isinstance(start, datetime) else None
    parsed = parsed_rule(start, rule)
    lower = after.astimezone(zone) if zone else after.astimezone(UTC).replace(tzinfo=None)
    upper = before.astimezone(zone) if zone else before.astimezone(UTC).replace(tzinfo=None)
    inside = 0
    for number, moment in enumerate(parsed):
        if moment >= upper:
            return
        if number >= MOST_BEFORE or inside >= MOST_OCCURRENCES:
            raise BadRule(
                f"the series has more than {MOST_OCCURRENCES} occurrences in its window, or began too long ago"
            )
        if moment >= lower:
            inside += 1
            yield moment if timed else moment.date()


def _check(rule: str) -> None:
    """Raises BadRule for what would be looked for without end: a rule by the minute, or one whose
    days no year has."""
    parts = dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)
    if parts.get("FREQ") in ("SECONDLY", "MINUTELY"):
        raise BadRule("the series repeats by the minute")
    try:
        if int(parts.get("INTERVAL", "1")) < 1:
            raise BadRule("the series repeats without an interval")
        if int(parts.get("COUNT", "1")) < 1:
            raise BadRule("the series has less than one occurrence")
        months = [int(n) for n in parts["BYMONTH"].split(",")] if "BYMONTH" in parts else []
        days = [int(n) for n in parts["BYMONTHDAY"].split(",")] if "BYMONTHDAY" in parts else []
        yeardays = [int(n) for n in parts["BYYEARDAY"].split(",")] if "BYYEARDAY" in parts else []
        positions = [abs(int(n)) for n in parts["BYSETPOS"].split(",")] if "BYSETPOS" in parts else []
    except ValueError:
        raise BadRule("the recurrence rule cannot be read") from None
    if not any(_on(day, months, days, yeardays) for day in _LONG):
        raise BadRule("the series never occurs")
    times = 1
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        times *= parts[name].count(",") + 1 if name in parts else 1
    most = {"HOURLY": times, "DAILY": times, "WEEKLY": 7 * times}.get(parts.get("FREQ", ""), 366 * times)
    if positions and min(positions) > most:
        raise BadRule("the series never occurs")


def _on(day: date, months: list[int], days: list[int], yeardays: list[int]) -> bool:
    if months and day.month not in months:
        return False
    length = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    if days and day.day not in days and day.day - length.day - 1 not in days:
        return False
    number = day.timetuple().tm_yday
    total = date(day.year, 12, 31).timetuple().tm_yday
    return not yeardays or number in yeardays or number - total - 1 in yeardays


def _until_like(rule: str, first: datetime) -> str:
    """UNTIL in the form that dateutil wants: UTC for a zoned start, naive otherwise. A date is that whole day, in the
    zone of the start."""
    parts = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name.upper() == "UNTIL":
            value = value if len(value) > 8 else value + "T235959"
            if first.tzinfo is None:
                value = value.rstrip("Z")
            elif not value.endswith("Z"):
                wall = datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=first.tzinfo)
                value = wall.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
            part = f"UNTIL={value}"
        parts.append(part)
    return ";".join(parts)
