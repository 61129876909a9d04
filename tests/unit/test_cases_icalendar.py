"""iCalendar to the letter: the cases of strangers' files, and what is of their kind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.caldav.lines import BadCalendar, split_list
from connectors.caldav.people import Whose
from connectors.caldav.read import read
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import moment_key
from syncd.outlook.recurrence import pattern_of
from syncd.ports import Unsupported
from tests.unit.test_series import after, thing

BERLIN, ANGELES = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles")
FROM, TO = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
HEAD = ("DTSTART;TZID=Europe/Berlin:20261201T100000", "DTEND;TZID=Europe/Berlin:20261201T110000")
WEEKLY = (*HEAD, "RRULE:FREQ=WEEKLY;COUNT=4")


def days(text: str, whose: Whose | None = None) -> list[str]:
    """The keys of the occurrences' original starts."""
    fields = read(text, whose or Whose()).fields
    return [moment_key(m) for m in starts(fields["time"], fields["recurrence"], FROM, TO)]


# -- I1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "until", "number"),
    [
        ("DTSTART;TZID=America/Los_Angeles:20261201T200000", "20261208", 2),
        ("DTSTART;TZID=Europe/Berlin:20261201T003000", "20261207", 1),
        ("DTSTART;TZID=Europe/Berlin:20261201T003000", "20261208", 2),
        ("DTSTART:20261201T200000", "20261208", 2),
        ("DTSTART:20261201T200000Z", "20261208", 2),
        ("DTSTART;TZID=Pacific/Kiritimati:20261201T010000", "20261208", 2),
        ("DTSTART;VALUE=DATE:20261201", "20261208", 2),
        ("DTSTART;VALUE=DATE:20261201", "20261208T000000Z", 2),
    ],
)
def test_case_i1_a_series_that_ends_on_a_day_ends_with_that_day_where_it_begins(
    start: str, until: str, number: int
) -> None:
    text = thing((start, f"RRULE:FREQ=WEEKLY;UNTIL={until}"))
    assert len(days(text)) == number
    fields = read(text).fields
    end = pattern_of(fields["recurrence"].rule, fields["time"].start)[1].until
    assert end is not None
    first = fields["time"].start
    assert (end - (first.date() if isinstance(first, datetime) else first)) // timedelta(days=7) == number - 1


def test_case_i1_the_day_goes_along_when_the_series_moves() -> None:
    text = thing((*HEAD, "RRULE:FREQ=WEEKLY;UNTIL=20261215"))
    assert len(days(text)) == 3
    span = read(text).fields["time"]
    moved = after(text, {"time": span.moved_to(span.start + timedelta(days=1, hours=9))})
    assert "UNTIL=20261216" in moved
    assert len(days(moved)) == 3


# -- I2 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True])
def test_case_i2_an_occurrence_that_changes_those_that_follow_is_parked_with_the_reason(alone: bool) -> None:
    changed = ("RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20261208T100000",
               "DTSTART;TZID=Europe/Berlin:20261208T120000")  # fmt: skip
    other = ("RECURRENCE-ID;TZID=Europe/Berlin:20261222T100000", "DTSTART;TZID=Europe/Berlin:20261222T120000")
    with pytest.raises(BadCalendar, match="RANGE"):
        read(thing(other if alone else WEEKLY, changed))


# -- I3 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=4", "FREQ=WEEKLY;UNTIL=20261222T235959Z"])
def test_case_i3_what_a_rule_leaves_out_is_left_out(rule: str) -> None:
    text = thing((*HEAD, f"RRULE:{rule}", "EXRULE:FREQ=WEEKLY;INTERVAL=2"))
    assert days(text) == ["20261208T090000Z", "20261222T090000Z"]
    span = read(text).fields["time"]
    moved = after(text, {"time": span.moved_to(span.start + timedelta(hours=1))})
    assert days(moved) == ["20261208T100000Z", "20261222T100000Z"]
    shown = read(text).fields
    with pytest.raises(Unsupported, match="EXRULE"):
        after(text, {"recurrence": Recurrence(shown["recurrence"].rule)}, shown)


def test_case_i3_what_a_rule_without_end_leaves_out_of_one_without_end_is_parked() -> None:
    with pytest.raises(BadCalendar, match="EXRULE"):
        read(thing((*HEAD, "RRULE:FREQ=WEEKLY", "EXRULE:FREQ=WEEKLY;INTERVAL=2")))
    assert days(thing((*HEAD, "RRULE:FREQ=WEEKLY;COUNT=2", "EXRULE:FREQ=WEEKLY;COUNT=1"))) == ["20261208T090000Z"]


@pytest.mark.parametrize("period", ["20261203T080000Z/PT3H", "20261203T080000Z/20261203T110000Z"])
def test_case_i3_a_period_has_its_own_length(period: str) -> None:
    text = thing((*WEEKLY, f"RDATE;VALUE=PERIOD:{period}"))
    found: Recurrence = read(text).fields["recurrence"]
    (key,) = found.rdates
    assert found.overrides[key]["time"].length == timedelta(hours=3)
    assert len(days(text)) == 5


@pytest.mark.parametrize("count", ["-1", "0", "x"])
def test_case_i3_a_series_without_occurrences_is_parked(count: str) -> None:
    with pytest.raises(BadCalendar):
        read(thing((*HEAD, f"RRULE:FREQ=WEEKLY;COUNT={count}")))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_case_i3_of_two_forms_of_one_occurrence_the_one_written_last_counts(order: tuple[int, int]) -> None:
    forms = [("RECURRENCE-ID:20261208T090000Z", f"SEQUENCE:{n}", f"SUMMARY:Form {n}", *HEAD) for n in (1, 2)]
    text = thing((*WEEKLY, "SUMMARY:All"), *(forms[n] for n in order))
    shown = read(text).fields
    (there,) = shown["recurrence"].overrides.values()
    assert there["summary"] == "Form 2"
    without = after(
        text, {"recurrence": Recurrence(shown["recurrence"].rule, frozenset(), frozenset({"20261208T090000Z"}))}, shown
    )
    assert "Form" not in without


# -- I4 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "end"),
    [("P1D", datetime(2027, 3, 28, 12, tzinfo=BERLIN)), ("P1W", datetime(2027, 4, 3, 12, tzinfo=BERLIN)),
     ("PT24H", datetime(2027, 3, 28, 13, tzinfo=BERLIN)), ("P1DT1H", datetime(2027, 3, 28, 13, tzinfo=BERLIN))],
)  # fmt: skip
def test_case_i4_days_are_counted_by_the_calendar_and_hours_by_the_clock(length: str, end: datetime) -> None:
    text = thing(("DTSTART;TZID=Europe/Berlin:20270327T120000", f"DURATION:{length}"))
    assert read(text).fields["time"].end == end


# -- I5 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [("Europe/Berlin", "230000Z"), ("America/New_York", "050000Z"), ("UTC", "000000Z"), ("America/New_York", "000000Z"),
     ("Europe/Berlin", "000000Z")],
)  # fmt: skip
@pytest.mark.parametrize("said", ["owner", "X-WR-TIMEZONE"])
def test_case_i5_a_moment_stands_for_the_day_that_begins_then(said: str, zone: str, midnight: str) -> None:
    def at(day: int) -> str:
        return f"202612{day - 1 if midnight == '230000Z' else day:02}T{midnight}"

    series = ("DTSTART;VALUE=DATE:20261201", "SUMMARY:All", f"RRULE:FREQ=WEEKLY;UNTIL={at(22)}", f"EXDATE:{at(15)}")
    other = (f"RECURRENCE-ID:{at(8)}", "DTSTART;VALUE=DATE:20261209", "SUMMARY:Moved")
    text = thing(series, other, root=(f"X-WR-TIMEZONE:{zone}",) if said != "owner" else ())
    whose = Whose(zone=ZoneInfo(zone)) if said == "owner" else Whose()
    assert days(text, whose) == ["20261201", "20261208", "20261222"]
    assert list(read(text, whose).fields["recurrence"].overrides) == ["20261208"]


# -- I6, I7, I8, I9: to-dos ------------------------------------------------------------------------------------------


def todo(*lines: str) -> str:
    return thing(lines, name="VTODO")


@pytest.mark.parametrize(
    ("lines", "status"),
    [(("COMPLETED:20261201T100000Z",), "completed"), (("PERCENT-COMPLETE:100",), "completed"),
     (("PERCENT-COMPLETE:50",), "needs-action"), ((), "needs-action"),
     (("STATUS:IN-PROCESS", "PERCENT-COMPLETE:100"), "in-process")],
)  # fmt: skip
def test_case_i6_a_to_do_that_was_completed_is_completed(lines: tuple[str, ...], status: str) -> None:
    assert read(todo("SUMMARY:Call", *lines)).fields["status"] == status


@pytest.mark.parametrize("status", ["needs-action", "in-process", "cancelled"])
def test_case_i7_a_to_do_that_is_reopened_is_not_completed(status: str) -> None:
    done = todo("SUMMARY:Call", "STATUS:COMPLETED", "COMPLETED:20261201T100000Z", "PERCENT-COMPLETE:100")
    text = after(done, {"status": status})
    assert "COMPLETED:" not in text and "PERCENT-COMPLETE:0\r\n" in text
    assert read(text).fields["status"] == status
    assert read(text).fields["percent"] == 0
    assert read(after(done, {"status": status, "percent": 40})).fields["percent"] == 40


def test_case_i7_a_to_do_that_is_finished_is_finished_altogether() -> None:
    text = after(todo("SUMMARY:Call", "STATUS:IN-PROCESS", "PERCENT-COMPLETE:50"), {"status": "completed"})
    assert "COMPLETED:2" in text and "PERCENT-COMPLETE:100\r\n" in text
    half = after(todo("SUMMARY:Call", "PERCENT-COMPLETE:50"), {"status": "in-process"})
    assert read(half).fields["percent"] == 50


@pytest.mark.parametrize("changes", [{"status": "completed"}, {"due": date(2026, 12, 9)}, {"percent": 100}])
@pytest.mark.parametrize("how", ["RRULE:FREQ=WEEKLY", "RDATE:20261208T100000Z"])
def test_case_i8_of_a_to_do_that_repeats_no_more_than_one_is_completed(how: str, changes: dict[str, Any]) -> None:
    text = todo("DTSTART:20261201T100000Z", "DUE:20261201T110000Z", how, "SUMMARY:Report")
    with pytest.raises(Unsupported, match="repeats"):
        after(text, changes)
    assert "SUMMARY:Weekly report" in after(text, {"summary": "Weekly report"})


@pytest.mark.parametrize("start", ["DTSTART;TZID=Europe/Berlin:20261201T100000", "DTSTART;VALUE=DATE:20261201", ""])
@pytest.mark.parametrize("end", ["DURATION:PT1H", "DURATION:P1D", "DUE:20261201T110000Z", ""])
@pytest.mark.parametrize(
    "due", [date(2026, 12, 9), date(2026, 12, 1), date(2026, 11, 20), datetime(2026, 12, 1, 9, tzinfo=UTC),
            datetime(2026, 11, 20, 9, tzinfo=UTC), None],
)  # fmt: skip
def test_case_i9_a_to_do_is_due_after_it_begins_and_says_so_once(start: str, end: str, due: Any) -> None:
    if "DATE" in start and end in ("DURATION:PT1H", "DUE:20261201T110000Z"):
        return  # no such to-do
    if not start and end.startswith("DURATION"):
        return
    text = after(todo("SUMMARY:Call", *(x for x in (start, end) if x)), {"due": due})
    assert read(text).fields["due"] == due
    assert not ("DURATION" in text or ("DUE" in text) != (due is not None))
    lines = {x.split(":")[0].split(";")[0]: x for x in text.split("\r\n")}
    if "DTSTART" in lines and due is not None:
        assert ("VALUE=DATE" in lines["DTSTART"]) == ("VALUE=DATE" in lines["DUE"])
        begins = read(thing((lines["DTSTART"],))).fields["time"].start
        assert begins < due
    else:
        assert due is None or not start or due != date(2026, 12, 9)


# -- I10 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [("AC\\\\,DC", ["AC\\", "DC"]), ("A\\,B,C", ["A,B", "C"]), ("A\\\\\\,B", ["A\\,B"]), (",A,,B,", ["A", "B"]),
     ("A\\", ["A\\"]), ("", [])],
)  # fmt: skip
def test_case_i10_a_backslash_that_is_escaped_escapes_nothing(text: str, words: list[str]) -> None:
    assert split_list(text) == words


@pytest.mark.parametrize("spelt", ['"(UTC+01:00) Amsterdam, Berlin"', '"(UTC+01:00) Amsterdam\\, Berlin"'])
def test_a_zone_whose_name_has_a_comma_is_found(spelt: str) -> None:
    zone = ["BEGIN:VTIMEZONE", "TZID:(UTC+01:00) Amsterdam\\, Berlin", "BEGIN:STANDARD", "DTSTART:19700101T000000",
            "TZOFFSETFROM:+0100", "TZOFFSETTO:+0100", "END:STANDARD", "END:VTIMEZONE"]  # fmt: skip
    text = thing((f"DTSTART;TZID={spelt}:20261201T100000",), root=tuple(zone))
    assert moment_key(read(text).fields["time"].start) == "20261201T090000Z"
