"""The recurrence of an item: elements of EWS, and a `Recurrence`, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from connectors.exchange.xml import RULE, T, el, extended, local, number, said
from syncd.model.recurrence import parsed_rule
from syncd.model.span import Moment, Span, like, moment_key, parse_moment
from syncd.outlook.recurrence import DAYS, CannotHold, Pattern, PatternKind, Range, pattern_of, rule_of, weekly
from syncd.ports import Rejected, Unsupported

_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_OF = dict(zip(_NAMES, DAYS, strict=True))
_GROUPS = {"Day": DAYS, "Weekday": DAYS[:5], "WeekendDay": DAYS[5:]}
_INDEX = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": -1}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_KINDS: dict[str, PatternKind] = {
    "DailyRecurrence": "daily",
    "WeeklyRecurrence": "weekly",
    "AbsoluteMonthlyRecurrence": "absolute-monthly",
    "RelativeMonthlyRecurrence": "relative-monthly",
    "AbsoluteYearlyRecurrence": "absolute-yearly",
    "RelativeYearlyRecurrence": "relative-yearly",
}
_ELEMENTS = {kind: name for name, kind in _KINDS.items()}


def read_pattern(element: Any) -> tuple[Pattern, Range]:
    """Pattern and range in a Recurrence element. Raises Rejected for one that we do not know."""
    parts = [c for c in element if isinstance(c.tag, str)]
    try:
        pattern = next(_pattern(c) for c in parts if local(c) in _KINDS)
        span = next(
            _range(c) for c in parts if local(c) in ("NoEndRecurrence", "EndDateRecurrence", "NumberedRecurrence")
        )
    except StopIteration:
        raise Rejected("the series has a recurrence pattern that syncd does not know") from None
    except (ValueError, KeyError):
        raise Rejected("the series has a recurrence pattern that cannot be read") from None
    return pattern, span


def _pattern(element: Any) -> Pattern:
    words = said(element, "DaysOfWeek").split()
    named = [d for w in words for d in _GROUPS.get(w, (_DAY_OF.get(w, ""),))]
    days = tuple(d for d in DAYS if d in named)
    if len(days) != len(set(named)):
        raise ValueError("a day without a name")
    month = said(element, "Month")
    index = said(element, "DayOfWeekIndex")
    kind = _KINDS[local(element)]
    if (kind.startswith("relative") or kind == "weekly") and not days:
        raise ValueError("no day of the week")
    interval = max(1, number(element, "Interval", 1))
    if kind == "weekly":
        return weekly(interval, days, _DAY_OF[said(element, "FirstDayOfWeek") or "Sunday"])  # as Exchange has it
    return Pattern(
        kind=kind,
        interval=interval,
        days=days,
        day=number(element, "DayOfMonth"),
        index=_INDEX[index] if index else 0,
        month=_MONTHS.index(month) + 1 if month else 0,
    )


def _range(element: Any) -> Range:
    if local(element) == "NumberedRecurrence":
        return Range(count=number(element, "NumberOfOccurrences", 1))
    if local(element) == "EndDateRecurrence":
        return Range(until=_date(said(element, "EndDate")))
    return Range()


def _date(text: str) -> date:
    """A date of a range; some servers put an offset or a time behind it, which means nothing."""
    return date.fromisoformat(text.strip()[:10])


def read_rule(item: Any, start: Moment) -> str:
    """The RRULE of an item's Recurrence: as it was written by us, if the pattern is still that one's."""
    element = item.find(T + "Recurrence")
    if element is None:
        return ""
    pattern, span = read_pattern(element)
    ours = extended(item).get(RULE, "")
    if ours:
        try:
            if pattern_of(ours, start) == (pattern, span):
                return ours
        except CannotHold:
            pass
    return rule_of(pattern, span, start)


def write_rule(rule: str, start: Moment) -> Any:
    """The Recurrence element of a rule. Raises Unsupported."""
    try:
        pattern, span = pattern_of(rule, start)
    except CannotHold as error:
        raise Unsupported(str(error)) from None
    first = start.date() if isinstance(start, datetime) else start
    return el("t:Recurrence", _pattern_element(pattern), _range_element(span, first))


def _pattern_element(pattern: Pattern) -> Any:
    made = el(f"t:{_ELEMENTS[pattern.kind]}")
    for child in _parts(pattern):
        made.append(child)
    return made


def _parts(pattern: Pattern) -> Iterator[Any]:
    """The children, in the order of types.xsd."""
    if not pattern.kind.endswith("yearly"):
        yield el("t:Interval", text=str(pattern.interval))
    if pattern.kind == "weekly":
        yield el("t:DaysOfWeek", text=" ".join(_NAMES[DAYS.index(d)] for d in pattern.days))
        yield el("t:FirstDayOfWeek", text=_NAMES[DAYS.index(pattern.first_day)])
    elif pattern.kind.startswith("relative"):
        group = next((name for name, days in _GROUPS.items() if days == pattern.days), "")
        yield el("t:DaysOfWeek", text=group or _NAMES[DAYS.index(pattern.days[0])])
        yield el("t:DayOfWeekIndex", text=next(n for n, i in _INDEX.items() if i == pattern.index))
    elif pattern.kind.startswith("absolute"):
        yield el("t:DayOfMonth", text=str(pattern.day))
    if pattern.kind.endswith("yearly"):
        yield el("t:Month", text=_MONTHS[pattern.month - 1])


def _range_element(span: Range, first: date) -> Any:
    begin = el("t:StartDate", text=first.isoformat())
    if span.count is not None:
        return el("t:NumberedRecurrence", begin, el("t:NumberOfOccurrences", text=str(span.count)))
    if span.until is not None:
        return el("t:EndDateRecurrence", begin, el("t:EndDate", text=span.until.isoformat()))
    return el("t:NoEndRecurrence", begin)


# -- occurrences -------------------------------------------------------------------------------------------------

#: No series is looked at further than this many occurrences.
MOST_OCCURRENCES = 20_000


def changed_occurrences(item: Any) -> list[tuple[str, str]]:
    """Of a master, (item id, original start as it stands) of each occurrence that differs."""
    found = []
    element = item.find(T + "ModifiedOccurrences")
    for each in element if element is not None else ():
        at = each.find(T + "ItemId")
        if at is not None:
            found.append((at.get("Id", ""), said(each, "OriginalStart")))
    return found


def deleted_occurrences(item: Any) -> list[str]:
    """Of a master, the original starts of the occurrences that were deleted, as they stand."""
    element = item.find(T + "DeletedOccurrences")
    return [said(each, "Start") for each in element] if element is not None else []


def nearest_day(local_time: datetime) -> date:
    """The day of a midnight, even when it was reckoned in a zone that is some hours off (lesson 21)."""
    return (local_time + timedelta(hours=12)).date()


class Starts:
    """The original starts of a series, by its rule: their keys, numbers and days. Worked out as far as is asked.

    No pattern of Exchange has two occurrences on one day, so a day says which occurrence is meant.
    """

    def __init__(self, span: Span, rule: str) -> None:
        self._first = span.start
        self._rest = iter(parsed_rule(span.start, rule))
        self._keys: list[str] = []
        self._numbers: dict[str, int] = {}
        self._days: dict[date, str] = {}
        self._last = date.min

    def number(self, key: str) -> int:
        """The number of the occurrence with this original start, from 1, the deleted ones counted too; 0 when
        the series has none."""
        try:
            self._reach(_day(like(parse_moment(key), self._first)))
        except ValueError:
            return 0
        return self._numbers.get(key, 0)

    def on(self, day: date) -> str:
        """The key of the occurrence of that day; "" when there is none."""
        self._reach(day)
        return self._days.get(day, "")

    def named(self, key: str) -> str:
        """The key of the occurrence that a date or time means: of itself (Exchange keeps no seconds), or, when one
        says a day and the other a time, of its day; "" when there is none."""
        try:
            moment = parse_moment(key)
        except ValueError:
            return ""
        whole = moment_key(moment.replace(second=0)) if isinstance(moment, datetime) else key
        if self.number(whole):
            return whole
        if isinstance(moment, datetime) is isinstance(self._first, datetime):
            return ""
        return self.on(_day(like(moment, self._first)))

    def reported(self, found: datetime, where: tzinfo) -> str:
        """The key of the occurrence whose original start a server tells as `found`. What is none goes by its day:
        of a series over the clocks' change some servers tell the hour by the offset that holds at the series'
        start, or the local midnight (seen on a server of another make, 2026-11-26), and of a whole day a midnight
        in a zone that is some hours off (lesson 21)."""
        here = found.astimezone(where)
        if not isinstance(self._first, datetime):
            days = [nearest_day(here), here.date()]
        else:
            key = moment_key(found)
            if self.number(key):
                return key
            as_first = (found.astimezone(UTC) + (self._first.utcoffset() or timedelta())).replace(tzinfo=None)
            days = [here.date(), nearest_day(here), as_first.date()]
            if as_first.time() in (self._first.time(), time()):
                days.insert(0, as_first.date())
            elif here.time() == time():
                days.insert(0, here.date())
        known = next((key for day in days if (key := self.on(day))), "")
        return known or (moment_key(days[0]) if not isinstance(self._first, datetime) else moment_key(found))

    def _reach(self, day: date) -> None:
        while self._last <= day and len(self._keys) < MOST_OCCURRENCES:
            each = next(self._rest, None)
            if each is None:
                self._last = date.max
                return
            key = moment_key(each if isinstance(self._first, datetime) else each.date())
            self._keys.append(key)
            self._numbers.setdefault(key, len(self._keys))
            self._days.setdefault(each.date(), key)
            self._last = each.date()


def _day(moment: Moment) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
