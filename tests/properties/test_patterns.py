"""RRULE -> Exchange's pattern -> RRULE: the same occurrences over ten years, or a refusal.

Exchange's side is reckoned by the server's own expansion (tests.servers.exchange.occurrences), which knows
nothing of rules.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connectors.exchange.series import read_pattern, write_rule
from syncd.model.recurrence import BadRule, normal_rule, parsed_rule
from syncd.model.span import Moment
from syncd.outlook.recurrence import DAYS, CannotHold, pattern_of, rule_of
from syncd.ports import Rejected, Unsupported
from tests.depth import examples
from tests.servers.exchange.occurrences import occurrences
from tests.servers.exchange.schema import violations

pytestmark = pytest.mark.either
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia")
YEARS = timedelta(days=3653)


def days_of(start: Moment, rule: str) -> list[Moment]:
    """The rule's occurrences in ten years, as RFC 5545 has them."""
    last = (start if isinstance(start, datetime) else datetime.combine(start, time())) + YEARS
    found = []
    for each in parsed_rule(start, rule):
        if each > last:
            break
        found.append(each if isinstance(start, datetime) else each.date())
    return found


def exchange_days(start: Moment, element: Any) -> list[Moment]:
    """The pattern's occurrences in ten years, as Exchange has them."""
    first = start if isinstance(start, datetime) else datetime.combine(start, time())
    found = []
    for each in occurrences(element, first, 6000):
        if each > first + YEARS:
            break
        found.append(each if isinstance(start, datetime) else each.date())
    return found


@st.composite
def starts(draw: st.DrawFn) -> Moment:
    day = draw(st.dates(date(2020, 1, 1), date(2030, 12, 31)))
    if draw(st.booleans()):
        return day
    clock = draw(st.times()).replace(second=0, microsecond=0)
    return datetime.combine(day, clock, tzinfo=ZoneInfo(draw(st.sampled_from(ZONES))))


def weekdays() -> st.SearchStrategy[str]:
    several = st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True)
    fixed = st.sampled_from([list(DAYS), list(DAYS[:5]), list(DAYS[5:])])
    return st.one_of(several, fixed).map(lambda d: ",".join(sorted(d, key=DAYS.index)))


@st.composite
def rules(draw: st.DrawFn, start: Moment) -> str:
    """Rules of every frequency, with the parts that Exchange might know and some that it does not."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 12))}"]
    own = DAYS[start.weekday()]
    if frequency in ("DAILY", "WEEKLY") and draw(st.booleans()):
        parts.append(f"BYDAY={draw(weekdays())}")
    if frequency == "WEEKLY" and draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    if frequency in ("MONTHLY", "YEARLY"):
        if frequency == "YEARLY" and draw(st.booleans()):
            parts.append(f"BYMONTH={start.month}")
        number = (start.day - 1) // 7 + 1
        choices = [
            "",
            f"BYMONTHDAY={start.day}",
            f"BYDAY={number}{own}",
            f"BYDAY=-1{own}",
            f"BYDAY={own};BYSETPOS={number}",
            "BYMONTHDAY=-1",
            f"BYMONTHDAY={','.join(str(n) for n in range(28, max(29, start.day) + 1))};BYSETPOS=-1",
            f"BYDAY={draw(weekdays())};BYSETPOS={draw(st.sampled_from([1, 2, 3, 4, -1]))}",
            "BYMONTHDAY=1,15",
            "BYYEARDAY=100",
        ]
        parts.append(draw(st.sampled_from(choices)))
    end = draw(st.sampled_from(["", "COUNT", "UNTIL"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 60))}")
    elif end == "UNTIL":
        after = start + timedelta(days=draw(st.integers(0, 2000)))
        if isinstance(after, datetime):
            after = after.astimezone(UTC) + timedelta(minutes=draw(st.integers(-700, 700)))
            parts.append(f"UNTIL={after:%Y%m%dT%H%M%SZ}")
        else:
            parts.append(f"UNTIL={after:%Y%m%d}")
    return normal_rule(";".join(p for p in parts if p))


@settings(
    max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(data=st.data(), start=starts())
def test_a_rule_that_exchange_takes_means_the_same_there_and_back(data: st.DataObject, start: Moment) -> None:
    rule = data.draw(rules(start))
    try:
        wanted = days_of(start, rule)
    except BadRule:
        return
    assume(len(wanted) < 4000)
    try:
        element = write_rule(rule, start)
    except Unsupported:
        return
    assert wanted, "an empty series was taken"
    assert _valid(element) == []
    assert exchange_days(start, element) == wanted, rule
    back = rule_of(*read_pattern(element), start)
    assert days_of(start, back) == wanted, (rule, back)
    assert pattern_of(back, start) == pattern_of(rule, start)


@st.composite
def elements(draw: st.DrawFn) -> Any:
    """Recurrence elements as an Exchange server may hold them, day 29 to 31 among them."""
    from connectors.exchange.xml import el

    kind = draw(
        st.sampled_from(["Daily", "Weekly", "AbsoluteMonthly", "RelativeMonthly", "AbsoluteYearly", "RelativeYearly"])
    )
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    some = " ".join(draw(st.lists(st.sampled_from(names), min_size=1, max_size=7, unique=True)))
    one = draw(st.sampled_from([*names, "Day", "Weekday", "WeekendDay"]))
    month = draw(st.sampled_from(("January", "February", "April", "June", "August", "December")))
    parts = {
        "Daily": [("Interval", str(draw(st.integers(1, 60))))],
        "Weekly": [
            ("Interval", str(draw(st.integers(1, 9)))),
            ("DaysOfWeek", some),
            ("FirstDayOfWeek", draw(st.sampled_from(names))),
        ],
        "AbsoluteMonthly": [("Interval", str(draw(st.integers(1, 24)))), ("DayOfMonth", str(draw(st.integers(1, 31))))],
        "RelativeMonthly": [
            ("Interval", str(draw(st.integers(1, 24)))),
            ("DaysOfWeek", one),
            ("DayOfWeekIndex", draw(st.sampled_from(["First", "Second", "Third", "Fourth", "Last"]))),
        ],
        "AbsoluteYearly": [("DayOfMonth", str(draw(st.integers(1, 31)))), ("Month", month)],
        "RelativeYearly": [
            ("DaysOfWeek", one),
            ("DayOfWeekIndex", draw(st.sampled_from(["First", "Second", "Third", "Fourth", "Last"]))),
            ("Month", month),
        ],
    }[kind]
    ends = draw(st.sampled_from(["No", "Numbered", "EndDate"]))
    begin = el("t:StartDate", text="2026-01-01")
    span = {
        "No": el("t:NoEndRecurrence", begin),
        "Numbered": el("t:NumberedRecurrence", begin, el("t:NumberOfOccurrences", text=str(draw(st.integers(1, 80))))),
        "EndDate": el(
            "t:EndDateRecurrence",
            begin,
            el("t:EndDate", text=str(date(2026, 1, 1) + timedelta(days=draw(st.integers(400, 3000))))),
        ),
    }[ends]
    return el("t:Recurrence", el(f"t:{kind}Recurrence", *(el(f"t:{n}", text=v) for n, v in parts)), span)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(element=elements(), start=starts())
def test_a_pattern_of_exchange_becomes_a_rule_with_the_same_occurrences(element: Any, start: Moment) -> None:
    first = next(iter(exchange_days(start, element)), None)
    if first is None:
        return
    days = exchange_days(first, element)
    rule = rule_of(*read_pattern(element), first)
    assert days_of(first, rule) == days, rule


def _valid(element: Any) -> list[str]:
    """What Microsoft's schema, or our copy of its rules, says of a Recurrence."""
    from connectors.exchange.xml import el

    item = el("t:CalendarItem", element)
    request = el("m:CreateItem", el("m:Items", item), SendMeetingInvitations="SendToNone")
    return violations(request, request=True)


def test_what_exchange_cannot_hold_is_refused_with_a_reason() -> None:
    start = datetime(2026, 1, 31, 10, tzinfo=ZoneInfo("Europe/Berlin"))
    for rule in (
        "FREQ=HOURLY", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=29", "FREQ=MONTHLY;BYMONTHDAY=1,15",
        "FREQ=YEARLY;BYWEEKNO=5", "FREQ=YEARLY;BYYEARDAY=31", "FREQ=MONTHLY;BYDAY=1MO,3WE", "FREQ=MONTHLY;BYDAY=5SA",
        "FREQ=WEEKLY;BYDAY=SA;BYSETPOS=1", "FREQ=DAILY;COUNT=1000", "FREQ=DAILY;INTERVAL=1000",
        "FREQ=YEARLY;BYMONTH=1,2",
        "FREQ=YEARLY;INTERVAL=9", "FREQ=WEEKLY;BYDAY=MO", "FREQ=DAILY;BYHOUR=8,10", "FREQ=MONTHLY;BYDAY=MO",
        "FREQ=YEARLY;BYDAY=5SA",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    ):  # fmt: skip
        try:
            pattern_of(rule, start)
        except CannotHold as error:
            assert str(error), rule
        else:
            raise AssertionError(rule)


def test_a_pattern_that_nobody_knows_is_refused() -> None:
    from connectors.exchange.xml import el

    begin = el("t:NoEndRecurrence", el("t:StartDate", text="2026-01-01"))
    for element in (
        el("t:Recurrence", begin),
        el("t:Recurrence", el("t:DailyRegeneration", el("t:Interval", text="1")), begin),
    ):
        try:
            read_pattern(element)
        except Rejected:
            continue
        raise AssertionError("taken")
