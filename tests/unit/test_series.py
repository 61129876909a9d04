"""A series in a CalDAV calendar: it moves with all that names its occurrences, and they follow its edits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectors.caldav.lines import BadCalendar, Component, Line, parse, written
from connectors.caldav.read import Entry, read
from connectors.caldav.write import apply
from syncd.model.fields import same
from syncd.model.recurrence import Recurrence, shifted, starts
from syncd.model.span import Span, as_instant, moment_key
from syncd.ports import Unsupported

pytestmark = pytest.mark.either

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "ics"
BERLIN = ZoneInfo("Europe/Berlin")
TEN = datetime(2026, 12, 1, 10, tzinfo=BERLIN)
ELEVEN = Span(TEN + timedelta(hours=1), TEN + timedelta(hours=2), "Europe/Berlin")
ZONED = ("DTSTART;TZID=Europe/Berlin:20261201T100000", "DTEND;TZID=Europe/Berlin:20261201T110000")


def thing(*components: tuple[str, ...], root: tuple[str, ...] = (), name: str = "VEVENT") -> str:
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", *root]
    for lines in components:
        body += [f"BEGIN:{name}", "UID:x", *lines, f"END:{name}"]
    return "\r\n".join([*body, "END:VCALENDAR"]) + "\r\n"


def after(text: str, changes: dict[str, Any], shown: dict[str, Any] | None = None, **more: Any) -> str:
    """The object after a write, unfolded."""
    root = parse(text)
    apply(root, shown or read(text).fields, changes, NOW, **more)
    return written(root).replace("\r\n ", "")


def occurrences(text: str) -> list[tuple[str, str]]:
    """When the series takes place in the next year, and what each occurrence is called."""
    fields = read(text).fields
    series: Recurrence = fields["recurrence"]
    found = []
    for start in starts(fields["time"], series, NOW, NOW + timedelta(days=400)):
        there = series.overrides.get(moment_key(start), {})
        at = there["time"].start if "time" in there else start
        found.append((moment_key(at), str(there.get("summary", fields["summary"]))))
    return sorted(found)


def moved(text: str) -> list[str]:
    return [at for at, _ in occurrences(text)]


WEEKLY = (*ZONED, "SUMMARY:Weekly", "RRULE:FREQ=WEEKLY;COUNT=4")
AT_TWO = ("RECURRENCE-ID;TZID=Europe/Berlin:20261208T100000", "DTSTART;TZID=Europe/Berlin:20261208T140000",
          "DTEND;TZID=Europe/Berlin:20261208T150000", "SUMMARY:Weekly")  # fmt: skip
AS_USUAL = ("RECURRENCE-ID;TZID=Europe/Berlin:20261208T100000", "DTSTART;TZID=Europe/Berlin:20261208T100000",
            "DTEND;TZID=Europe/Berlin:20261208T110000", "SUMMARY:Weekly")  # fmt: skip


def instead(component: tuple[str, ...], *lines: str) -> tuple[str, ...]:
    """The component with other lines of these names, and with what it lacked."""
    names = {line.split(":")[0].split(";")[0] for line in lines}
    return (*(x for x in component if x.split(":")[0].split(";")[0] not in names), *lines)


# -- L6: it moves ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_out", "then"),
    [
        ("EXDATE;TZID=Europe/Berlin:20261215T100000", "EXDATE;TZID=Europe/Berlin:20261215T110000"),
        ("EXDATE:20261215T090000Z", "EXDATE:20261215T100000Z"),
        ("EXDATE;VALUE=DATE:20261215", "EXDATE;VALUE=DATE:20261215"),
        ("EXDATE;TZID=America/New_York:20261215T040000", "EXDATE;TZID=America/New_York:20261215T050000"),
        ("EXDATE:20261215T100000", "EXDATE:20261215T110000"),
        ("EXDATE;X-WHY=holiday:20261215T090000Z,20270105T090000Z",
         "EXDATE;X-WHY=holiday:20261215T100000Z,20270105T100000Z"),
    ],
)  # fmt: skip
def test_case_l6_a_series_that_moves_takes_its_left_out_and_moved_occurrences_along(left_out: str, then: str) -> None:
    text = thing((*WEEKLY, left_out), AT_TWO)
    now = after(text, {"time": ELEVEN})
    assert moved(now) == ["20261201T100000Z", "20261208T130000Z", "20261222T100000Z"]
    assert f"{then}\r\n" in now
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20261208T110000\r\n" in now
    assert "DTSTART;TZID=Europe/Berlin:20261208T140000\r\n" in now  # what it says of its own time stays
    assert read(now).fields["recurrence"] == shifted(read(text).fields["recurrence"], TEN, ELEVEN.start)


@pytest.mark.parametrize(
    ("original", "then"),
    [
        ("RECURRENCE-ID:20261208T090000Z", "RECURRENCE-ID:20261208T100000Z"),
        ("RECURRENCE-ID;VALUE=DATE:20261208", "RECURRENCE-ID;VALUE=DATE:20261208"),
        ("RECURRENCE-ID;X-SAID=BEFORE:20261208T090000Z", "RECURRENCE-ID;X-SAID=BEFORE:20261208T100000Z"),
    ],
)
def test_case_l6_original_starts_keep_their_spelling(original: str, then: str) -> None:
    now = after(thing(WEEKLY, instead(AT_TWO, original)), {"time": ELEVEN})
    assert f"{then}\r\n" in now
    assert moved(now) == ["20261201T100000Z", "20261208T130000Z", "20261215T100000Z", "20261222T100000Z"]


def test_case_l6_an_occurrence_that_only_has_another_name_moves_along() -> None:
    text = thing(WEEKLY, instead(AS_USUAL, "SUMMARY:Special"))
    now = after(text, {"time": ELEVEN})
    assert ("20261208T100000Z", "Special") in occurrences(now)
    assert "DTSTART;TZID=Europe/Berlin:20261208T110000\r\n" in now
    longer = after(text, {"time": Span(TEN, TEN + timedelta(hours=3), "Europe/Berlin")})
    assert "DTEND;TZID=Europe/Berlin:20261208T130000\r\n" in longer
    assert read(longer).fields["recurrence"].overrides == {"20261208T090000Z": {"summary": "Special"}}


def test_case_l6_over_the_change_of_the_clocks_by_the_clock_on_the_wall() -> None:
    text = thing((*(x.replace("20261201", "20270316") for x in WEEKLY), "EXDATE:20270330T080000Z"))
    start = datetime(2027, 3, 16, 9, tzinfo=BERLIN)
    now = after(text, {"time": Span(start, start + timedelta(hours=1), "Europe/Berlin")})
    assert "EXDATE:20270330T070000Z\r\n" in now
    assert moved(now) == ["20270316T080000Z", "20270323T080000Z", "20270406T070000Z"]
    elsewhere = after(text, {"time": Span(start.astimezone(UTC), start.astimezone(UTC) + timedelta(hours=1))})
    assert moved(elsewhere) == moved(now)  # the CRM's zone is not the calendar's


def test_case_l6_extra_dates_periods_and_the_rules_end_move_too() -> None:
    rule = "RRULE:BYDAY=TU;UNTIL=20261222T090000Z;FREQ=WEEKLY"
    text = thing((*ZONED, rule, "RDATE;TZID=Europe/Berlin:20261203T100000",
                  "RDATE;VALUE=PERIOD:20261204T090000Z/PT3H,20261205T090000Z/20261205T120000Z"))  # fmt: skip
    now = after(text, {"time": ELEVEN})
    assert "RRULE:BYDAY=TU;UNTIL=20261222T100000Z;FREQ=WEEKLY\r\n" in now
    assert "RDATE;TZID=Europe/Berlin:20261203T110000\r\n" in now
    assert "RDATE;VALUE=PERIOD:20261204T100000Z/PT3H,20261205T100000Z/20261205T130000Z\r\n" in now
    assert len(moved(now)) == len(moved(text)) == 7


def test_case_l6_a_series_of_single_dates_moves() -> None:
    text = thing((*ZONED, "SUMMARY:Notes", "RDATE;TZID=Europe/Berlin:20261201T100000,20261203T100000"))
    assert moved(after(text, {"time": ELEVEN})) == ["20261201T100000Z", "20261203T100000Z"]


def test_case_l6_a_series_of_days_moves() -> None:
    series = ("DTSTART;VALUE=DATE:20261201", "RRULE:FREQ=WEEKLY;UNTIL=20261222", "EXDATE;VALUE=DATE:20261215")
    text = thing(series, ("RECURRENCE-ID;VALUE=DATE:20261208", "DTSTART;VALUE=DATE:20261208", "SUMMARY:Special"))
    now = after(text, {"time": Span(date(2026, 12, 2), date(2026, 12, 3))})
    assert moved(now) == ["20261202", "20261209", "20261223"]
    assert ("20261209", "Special") in occurrences(now)
    assert "UNTIL=20261223" in now
    utc = after(thing(("DTSTART;VALUE=DATE:20261201", "RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE:20261215T100000Z")),
                {"time": Span(date(2026, 12, 2), date(2026, 12, 3))})  # fmt: skip
    assert "EXDATE:20261216T100000Z\r\n" in utc


def test_case_l6_times_become_days_and_days_times() -> None:
    text = thing((*WEEKLY, "EXDATE;TZID=Europe/Berlin:20261215T100000,20261222T100000"), AT_TWO)
    days = after(text, {"time": Span(date(2026, 12, 2), date(2026, 12, 3))})
    assert "EXDATE;VALUE=DATE:20261216,20261223\r\n" in days
    assert "RECURRENCE-ID;VALUE=DATE:20261209\r\n" in days
    assert read(days).fields["recurrence"].exdates == {"20261216", "20261223"}
    back = after(days, {"time": ELEVEN})
    assert moved(back) == ["20261201T100000Z", "20261208T130000Z"]


def test_case_l6_time_and_recurrence_together() -> None:
    text = thing((*WEEKLY, "EXDATE;TZID=Europe/Berlin:20261215T100000"), AT_TWO)
    seen = read(text).fields
    with_it = shifted(seen["recurrence"], TEN, ELEVEN.start)
    assert after(text, {"time": ELEVEN, "recurrence": with_it}) == after(text, {"time": ELEVEN})
    wanted = Recurrence("FREQ=WEEKLY;COUNT=5", exdates=frozenset({"20261215T100000Z", "20261222T100000Z"}))
    now = after(text, {"time": ELEVEN, "recurrence": wanted})
    assert read(now).fields["recurrence"] == wanted
    assert moved(now) == ["20261201T100000Z", "20261208T100000Z", "20261229T100000Z"]
    assert now.count("BEGIN:VEVENT") == 1


def test_case_l6_an_occurrence_that_was_not_shown_moves_too() -> None:
    private = instead(AS_USUAL, "SUMMARY:Doctor", "CLASS:PRIVATE")
    text = thing(WEEKLY, private)
    seen = read(text).fields
    shown = {**seen, "recurrence": Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({"20261208T090000Z"}))}
    wanted = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({"20261208T100000Z", "20261215T100000Z"}))
    now = after(text, {"time": ELEVEN, "recurrence": wanted, "summary": "Renamed"}, shown)
    assert ("20261208T100000Z", "Doctor") in occurrences(now)
    assert read(now).fields["recurrence"].exdates == {"20261215T100000Z"}
    with pytest.raises(Unsupported):
        after(text, {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4",
                                              overrides={"20261208T090000Z": {"summary": "Mine"}})}, shown)  # fmt: skip


def test_case_p2_an_occurrence_that_was_shown_as_less_than_it_is_takes_nothing_but_the_move() -> None:
    text = thing(WEEKLY, (*AS_USUAL, "CLASS:PRIVATE", "DESCRIPTION:Results"))
    seen = read(text).fields
    key, later = "20261208T090000Z", "20261208T100000Z"
    blank = {"summary": "Busy", "description": "", "location": ""}
    shown = {**seen, "recurrence": Recurrence("FREQ=WEEKLY;COUNT=4", overrides={key: blank})}
    now = after(text, {"summary": "New", "location": "Room 1", "status": "cancelled", "sensitivity": "private"}, shown)
    occurrence = [part for part in text.split("BEGIN:VEVENT") if "Results" in part]
    assert [part for part in now.split("BEGIN:VEVENT") if "Results" in part] == occurrence
    wanted = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({"20261215T100000Z"}), overrides={later: blank})
    now = after(text, {"time": ELEVEN, "recurrence": wanted}, shown)
    assert ("20261208T100000Z", "Weekly") in occurrences(now) and "DESCRIPTION:Results" in now
    for meant in (Recurrence("FREQ=WEEKLY;COUNT=4", overrides={key: {**blank, "summary": "Mine"}}),
                  Recurrence("FREQ=WEEKLY;COUNT=4", overrides={key: {"summary": "Busy"}}),
                  Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key})),
                  Recurrence("FREQ=WEEKLY;COUNT=4")):  # fmt: skip
        with pytest.raises(Unsupported):
            after(text, {"recurrence": meant}, shown)


# -- L7: its occurrences follow -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "line", "other"),
    [
        ("summary", "New", "SUMMARY:New", "SUMMARY:Special"),
        ("location", "Room 1", "LOCATION:Room 1", "LOCATION:Elsewhere"),
        ("description", "New", "DESCRIPTION:New", "DESCRIPTION:Other"),
        ("status", "cancelled", "STATUS:CANCELLED", "STATUS:TENTATIVE"),
        ("priority", 3, "PRIORITY:3", "PRIORITY:9"),
        ("show-as", "free", "TRANSP:TRANSPARENT", ""),
        ("categories", frozenset({"A"}), "CATEGORIES:A", "CATEGORIES:B"),
        ("sensitivity", "private", "CLASS:PRIVATE", "CLASS:CONFIDENTIAL"),
    ],
)
def test_case_l7_an_occurrence_that_had_the_series_value_follows_and_one_that_had_its_own_keeps_it(
    field: str, value: object, line: str, other: str
) -> None:
    second = tuple(x.replace("20261208", "20261215") for x in AT_TWO)
    text = thing(WEEKLY, AT_TWO, instead(second, other) if other else second)
    before = read(text).fields["recurrence"].overrides
    now = after(text, {field: value})
    entry = read(now)
    assert entry.fields[field] == value
    key, own = "20261208T090000Z", "20261215T090000Z"
    assert entry.fields["recurrence"].overrides[key] == before[key]  # as before it differs in its time alone
    assert entry.fields["recurrence"].overrides[own] == before[own]
    own_class = field == "sensitivity"
    assert now.count(f"{line}\r\n") == (1 if own_class else 2 if other else 3)


def test_case_l7_an_explicit_public_follows_too_and_silence_follows_by_saying_nothing() -> None:
    silent, says = AT_TWO, tuple(x.replace("20261208", "20261215") for x in AT_TWO)
    text = thing((*WEEKLY, "CLASS:PUBLIC"), silent, (*says, "CLASS:PUBLIC"))
    now = after(text, {"sensitivity": "private"})
    assert all("sensitivity" not in o for o in read(now).fields["recurrence"].overrides.values())
    assert now.count("CLASS:PRIVATE\r\n") == 2 and "CLASS:PUBLIC" not in now
    again = after(now, {"sensitivity": "public"})
    assert all("sensitivity" not in o for o in read(again).fields["recurrence"].overrides.values())


def test_an_occurrence_with_a_word_of_its_own_keeps_it_when_its_series_says_the_same_for_a_while() -> None:
    own = thing((*WEEKLY, "CLASS:PUBLIC"), (*AT_TWO, "CLASS:PRIVATE"))
    shown = read(own).fields
    now = after(own, {"sensitivity": "private"}, shown)
    again = after(now, {"sensitivity": "public"}, {**shown, "sensitivity": "private"})
    (occurrence,) = read(again).fields["recurrence"].overrides.values()
    assert (read(again).fields["sensitivity"], occurrence["sensitivity"]) == ("public", "private")


def test_case_l7_on_reading_absence_stays_absence() -> None:
    text = thing((*WEEKLY, "LOCATION:Room 1", "CATEGORIES:A"), AT_TWO)
    over = read(text).fields["recurrence"].overrides["20261208T090000Z"]
    assert (over["location"], over["categories"]) == ("", frozenset())
    now = after(text, {"location": "Room 2"})
    assert read(now).fields["recurrence"].overrides["20261208T090000Z"] == over
    assert now.count("LOCATION") == 1


def test_case_l7_what_is_meant_for_one_occurrence_stands_above_what_follows() -> None:
    text = thing(WEEKLY, AT_TWO)
    seen = read(text).fields["recurrence"]
    over = {"20261208T090000Z": {**seen.overrides["20261208T090000Z"], "summary": "Weekly"}}
    now = after(text, {"summary": "Renamed", "recurrence": Recurrence(seen.rule, overrides=over)})
    assert ("20261208T130000Z", "Weekly") in occurrences(now)


def test_case_l7_an_occurrence_that_is_the_series_again_says_what_the_series_says() -> None:
    text = thing(WEEKLY, instead(AT_TWO, "SUMMARY:Special", "PRIORITY:5"))
    seen = read(text).fields["recurrence"]
    key = "20261208T090000Z"
    time = seen.overrides[key]["time"]
    wanted = Recurrence(seen.rule, overrides={key: {"time": time}})
    now = after(text, {"recurrence": wanted}, fields=("summary", "time", "recurrence"))
    assert read(now).fields["recurrence"].overrides == {key: {"time": time, "priority": 5}}
    assert read(after(text, {"recurrence": wanted})).fields["recurrence"] == wanted


def test_case_l7_an_occurrence_with_something_of_its_own_stays_when_it_no_longer_differs() -> None:
    alarm = "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nACTION:DISPLAY\r\nEND:VALARM"
    text = thing(WEEKLY, (*AT_TWO, "X-MINE:1", alarm))
    seen = read(text).fields["recurrence"]
    now = after(text, {"recurrence": Recurrence(seen.rule)})
    assert "X-MINE:1" in now and "TRIGGER:-PT5M" in now
    assert read(now).fields["recurrence"] == Recurrence(seen.rule)
    bare = after(thing(WEEKLY, AT_TWO), {"recurrence": Recurrence(seen.rule)})
    assert bare.count("BEGIN:VEVENT") == 1


def test_case_l7_a_series_of_tasks_too() -> None:
    task = (
        "DTSTART:20261201T100000Z",
        "DUE:20261202T100000Z",
        "SUMMARY:Report",
        "RRULE:FREQ=WEEKLY",
        "STATUS:NEEDS-ACTION",
    )
    one = ("RECURRENCE-ID:20261208T100000Z", "DUE:20261210T100000Z", "SUMMARY:Report", "STATUS:COMPLETED")
    now = after(thing(task, one, name="VTODO"), {"summary": "Renamed", "priority": 3})
    assert now.count("SUMMARY:Renamed") == 2
    assert now.count("STATUS:COMPLETED") == 1


# -- L8: occurrences without their series -----------------------------------------------------------------


def alone(day: int, hour: int, *more: str) -> tuple[str, ...]:
    return (f"RECURRENCE-ID:202612{day:02d}T090000Z", f"DTSTART:202612{day:02d}T{hour:02d}0000Z",
            f"DTEND:202612{day:02d}T{hour + 1:02d}0000Z", *more)  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_case_l8_two_occurrences_without_their_master_are_two(order: int) -> None:
    parts = (alone(8, 13, "SUMMARY:First"), alone(15, 9, "SUMMARY:Second"))[::order]
    text = thing(*parts)
    assert occurrences(text) == [("20261208T130000Z", "First"), ("20261215T090000Z", "Second")]
    fields = read(text).fields
    assert fields["time"].start == datetime(2026, 12, 8, 9, tzinfo=UTC)
    assert fields["summary"] == "First"


@pytest.mark.parametrize("hour", [9, 13])
def test_case_l8_one_occurrence_without_its_master_is_a_single_event(hour: int) -> None:
    fields = read(thing(alone(8, hour))).fields
    assert fields["recurrence"] == Recurrence()
    assert as_instant(fields["time"].start) == datetime(2026, 12, 8, hour, tzinfo=UTC)
    now = after(thing(alone(8, hour)), {"time": Span(TEN, TEN + timedelta(hours=1)), "summary": "New"})
    assert "RECURRENCE-ID:20261208T090000Z\r\n" in now
    with pytest.raises(Unsupported):
        after(thing(alone(8, hour)), {"recurrence": Recurrence("FREQ=DAILY;COUNT=2")})


def test_case_l8_what_is_written_into_them() -> None:
    text = thing(alone(15, 9, "SUMMARY:Talk"), alone(8, 13, "SUMMARY:Talk"), alone(22, 9, "SUMMARY:Other"))
    seen = read(text).fields["recurrence"]
    now = after(text, {"summary": "Renamed"})
    assert [name for _, name in occurrences(now)] == ["Renamed", "Renamed", "Other"]
    fewer = Recurrence(rdates=seen.rdates - {"20261215T090000Z"}, overrides=seen.overrides)
    assert [at for at, _ in occurrences(after(text, {"recurrence": fewer}))] == ["20261208T130000Z", "20261222T090000Z"]
    one = {**seen.overrides, "20261215T090000Z": {"summary": "Second"}}
    assert "Second" in after(text, {"recurrence": Recurrence(rdates=seen.rdates, overrides=one)})
    more = Recurrence(rdates=seen.rdates | {"20261229T090000Z"}, overrides=seen.overrides)
    for changes in ({"time": ELEVEN}, {"recurrence": more}, {"recurrence": Recurrence()}):
        with pytest.raises(Unsupported):
            after(text, changes)


# -- P1, P3: how private it is -----------------------------------------------------------------------------


def classes(entry: Entry) -> tuple[str, object]:
    series = entry.fields["recurrence"]
    return entry.fields["sensitivity"], next(iter(series.overrides.values())).get("sensitivity")


@pytest.mark.parametrize(
    ("master", "one", "root", "found"),
    [
        (("CLASS:PRIVATE",), (), (), ("private", None)),
        (("CLASS:PRIVATE",), ("CLASS:",), (), ("private", None)),
        (("CLASS:PRIVATE",), ("CLASS:PUBLIC",), (), ("private", "public")),
        (("CLASS:SECRET",), (), (), ("secret", None)),
        ((), ("CLASS:PRIVATE",), (), ("public", "private")),
        ((), (), ("X-CALENDARSERVER-ACCESS:PRIVATE",), ("private", None)),
        ((), ("CLASS:PUBLIC",), ("X-CALENDARSERVER-ACCESS:CONFIDENTIAL",), ("confidential", None)),
        (("X-CALENDARSERVER-ACCESS:PRIVATE",), (), (), ("private", None)),
        (("X-CALENDARSERVER-ACCESS:PRIVATE", "CLASS:PUBLIC"), ("CLASS:PUBLIC",), (), ("private", "public")),
        (("CLASS:PUBLIC", "CLASS:PRIVATE"), (), (), ("private", None)),
    ],
)
def test_case_p1_an_occurrence_that_says_nothing_is_as_private_as_its_series(
    master: tuple[str, ...], one: tuple[str, ...], root: tuple[str, ...], found: tuple[str, object]
) -> None:
    assert classes(read(thing((*WEEKLY, *master), (*AT_TWO, *one), root=root))) == found


@pytest.mark.parametrize("first", [("CLASS:PRIVATE",), ()])
def test_case_p1_occurrences_without_their_master_have_the_word_of_the_first(first: tuple[str, ...]) -> None:
    fields = read(thing(alone(8, 9, *first), alone(15, 9))).fields
    assert fields["sensitivity"] == ("private" if first else "public")
    assert not any("sensitivity" in o for o in fields["recurrence"].overrides.values())


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (("CLASS:PUBLIC", "CLASS:PRIVATE"), "private"),
        (("CLASS:PRIVATE", "CLASS:PUBLIC"), "private"),
        (("CLASS:PUBLIC", "CLASS:CONFIDENTIAL"), "confidential"),
        (("CLASS:CONFIDENTIAL", "CLASS:PRIVATE"), "private"),
        (("CLASS:PUBLIC", "X-CALENDARSERVER-ACCESS:PRIVATE"), "private"),
        (("CLASS:PUBLIC", "X-CALENDARSERVER-ACCESS:RESTRICTED"), "confidential"),
        (("X-CALENDARSERVER-ACCESS:CONFIDENTIAL",), "confidential"),
        (("X-CALENDARSERVER-ACCESS:OWNER-ONLY",), "owner-only"),
        (("CLASS:SECRET",), "secret"),
        (("CLASS:CONFIDENTIAL", "CLASS:SECRET"), "secret"),
        (("CLASS;X-A=b: Private ",), "private"),
        (("CLASS:",), "public"),
        ((), "public"),
    ],
)
@pytest.mark.parametrize("name", ["VEVENT", "VTODO"])
def test_case_p3_the_strictest_word_counts(lines: tuple[str, ...], word: str, name: str) -> None:
    assert read(thing((*ZONED, *lines), name=name)).fields["sensitivity"] == word


@pytest.mark.parametrize("value", ["public", "private", "confidential"])
def test_case_p3_what_is_written_is_what_is_read(value: str) -> None:
    root = ("X-CALENDARSERVER-ACCESS:RESTRICTED",)
    text = thing((*ZONED, "CLASS:PUBLIC", "CLASS:PRIVATE", "X-CALENDARSERVER-ACCESS:PRIVATE"), root=root)
    now = after(text, {"sensitivity": value})
    assert read(now).fields["sensitivity"] == value
    assert now.count("CLASS:") == 1 and now.count("X-CALENDARSERVER-ACCESS:") == 2
    series = thing((*WEEKLY, "CLASS:PRIVATE"), AT_TWO)
    seen = read(series).fields["recurrence"]
    key = "20261208T090000Z"
    wanted = Recurrence(seen.rule, overrides={key: {**seen.overrides[key], "sensitivity": value}})
    again = read(after(series, {"recurrence": wanted}))
    assert again.fields["recurrence"].overrides[key].get("sensitivity", "private") == value


def test_case_p3_one_occurrence_cannot_be_more_open_than_the_whole_object() -> None:
    text = thing(WEEKLY, AT_TWO, root=("X-CALENDARSERVER-ACCESS:PRIVATE",))
    seen = read(text).fields["recurrence"]
    key = "20261208T090000Z"
    wanted = Recurrence(seen.rule, overrides={key: {**seen.overrides[key], "sensitivity": "public"}})
    with pytest.raises(Unsupported):
        after(text, {"recurrence": wanted})


# -- as others write them, and as nobody has yet ------------------------------------------------------------


def foreign() -> list[tuple[str, str]]:
    """Every event of the corpus of real calendars as an object of its own."""
    found = []
    for path in sorted(CORPUS.rglob("*.ics")):
        text = path.read_bytes().decode("utf-8", "replace").lstrip("\ufeff")
        for one in text.split("BEGIN:VCALENDAR")[1:]:
            try:
                root = parse(f"BEGIN:VCALENDAR{one}")
                by_uid: dict[str, list[Component]] = {}
                for component in root.components("VEVENT"):
                    by_uid.setdefault((component.line("UID") or Line("", {}, "")).value, []).append(component)
                for entries in by_uid.values():
                    rest = [p for p in root.parts if p.name not in ("VEVENT", "VTODO")]
                    text = written(Component("VCALENDAR", [*rest, *entries]))
                    read(text)
                    found.append((path.name, text))
            except BadCalendar:
                continue
    return found


def test_case_l6_l7_every_real_event_takes_a_write_and_keeps_the_rest() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real calendars lies beside the developers' checkouts only")
    objects = foreign()
    assert len(objects) > 60
    for name, text in objects:
        fields = read(text).fields
        renamed = read(after(text, {"summary": "New"})).fields
        assert renamed["summary"] == "New"
        rest = {n: v for n, v in fields.items() if n not in ("summary", "recurrence")}
        assert all(same(n, v, renamed[n]) for n, v in rest.items()), name
        overrides = renamed["recurrence"].overrides
        assert {k: {n: v for n, v in o.items() if n != "summary"} for k, o in overrides.items()} == {
            k: {n: v for n, v in o.items() if n != "summary"} for k, o in fields["recurrence"].overrides.items()
        }, name
        time: Span = fields["time"]
        later = time.moved_to(time.start + (timedelta(days=1) if time.all_day else timedelta(hours=1)))
        now = read(after(text, {"time": later})).fields
        assert now["time"] == later, name
        if "VALUE=PERIOD" not in text:  # a date with a length of its own goes along with it
            assert same("recurrence", now["recurrence"], shifted(fields["recurrence"], time.start, later.start)), name
        private = read(after(text, {"sensitivity": "private"})).fields
        assert private["sensitivity"] == "private"
        assert not any(o.get("sensitivity") == "public" for o in private["recurrence"].overrides.values()), name


ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")


@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
    minutes=st.integers(-3 * 24 * 60, 3 * 24 * 60),
    spelt=st.lists(st.sampled_from(["utc", "zone", "other", "day"]), min_size=6, max_size=6),
    other=st.sampled_from(ZONES),
    weekly=st.booleans(),
)
@example(  # one of its dates falls on the hour that Sydney's clocks show twice
    zone="America/New_York",
    start=datetime(2026, 4, 2, 8),  # noqa: DTZ001
    minutes=-1183,
    spelt=["day", "other", "utc", "other", "utc", "utc"],
    other="Australia/Sydney",
    weekly=False,
)
def test_case_l6_any_series_that_moves_is_the_same_series_elsewhere(
    zone: str, start: datetime, minutes: int, spelt: list[str], other: str, weekly: bool
) -> None:
    first = start.replace(second=0, microsecond=0, tzinfo=ZoneInfo(zone))
    assume(first.astimezone(UTC).astimezone(first.tzinfo) == first)
    days = 7 if weekly else 1

    def line(name: str, number: int) -> str:
        moment = (first.replace(tzinfo=None) + timedelta(days=days * number)).replace(tzinfo=first.tzinfo)
        return {
            "utc": f"{name}:{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            "zone": f"{name};TZID={zone}:{moment.astimezone(UTC).astimezone(first.tzinfo):%Y%m%dT%H%M%S}",
            "other": f"{name};TZID={other}:{moment.astimezone(ZoneInfo(other)):%Y%m%dT%H%M%S}",
            "day": f"{name};VALUE=DATE:{moment:%Y%m%d}",
        }[spelt[number]]

    freq = "WEEKLY" if weekly else "DAILY"
    master = (f"DTSTART;TZID={zone}:{first:%Y%m%dT%H%M%S}", "DURATION:PT1H", "SUMMARY:S",
              f"RRULE:FREQ={freq};COUNT=30", line("EXDATE", 1), line("EXDATE", 2))  # fmt: skip
    plain = (first.replace(tzinfo=None) + timedelta(days=days * 4)).replace(tzinfo=first.tzinfo).astimezone(UTC)
    far = (f"{line('RECURRENCE-ID', 3)}", "DTSTART:20280101T100000Z", "DTEND:20280101T110000Z", "SUMMARY:S")
    named = (line("RECURRENCE-ID", 4), f"DTSTART:{plain:%Y%m%dT%H%M%SZ}", "DURATION:PT1H", "SUMMARY:N")
    text = thing(master, far, named)
    fields = read(text).fields
    to = (first.replace(tzinfo=None) + timedelta(minutes=minutes)).replace(tzinfo=first.tzinfo)
    assume(to.astimezone(UTC).astimezone(to.tzinfo) == to)
    now = read(after(text, {"time": fields["time"].moved_to(to)})).fields
    wanted = shifted(fields["recurrence"], first, to)
    assert now["recurrence"].exdates == wanted.exdates
    assert now["recurrence"].overrides.keys() == wanted.overrides.keys()
    assert same("recurrence", now["recurrence"], wanted)


@pytest.mark.parametrize("second", [False, True])
def test_an_hour_that_a_clock_shows_twice_is_the_hour_that_is_meant(second: bool) -> None:
    """Half past two, on the night on which summer ends."""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=int(second))
    text = thing(
        ("DTSTART;TZID=Europe/Berlin:20261024T090000", "DTEND;TZID=Europe/Berlin:20261024T100000", "SUMMARY:S")
    )
    now = read(after(text, {"time": read(text).fields["time"].moved_to(twice)})).fields["time"]
    assert (now.start.astimezone(UTC), now.length) == (twice.astimezone(UTC), timedelta(hours=1))
    back = read(after(text, {"time": Span(twice - timedelta(hours=2), twice, "Europe/Berlin")})).fields["time"]
    assert back.end.astimezone(UTC) == twice.astimezone(UTC)


def test_dates_of_one_line_are_all_told_alike_where_one_falls_on_an_hour_shown_twice() -> None:
    zone = ZoneInfo("America/New_York")
    text = thing(
        (
            "DTSTART;TZID=America/New_York:20260330T080000", "DURATION:PT1H", "SUMMARY:S", "RRULE:FREQ=DAILY;COUNT=30",
            "EXDATE;TZID=Australia/Sydney:20260402T230000,20260405T220000,20260408T220000",
        )
    )  # fmt: skip
    fields = read(text).fields
    assert len(fields["recurrence"].exdates) == 3
    to = datetime(2026, 3, 29, 12, 17, tzinfo=zone)
    written = after(text, {"time": fields["time"].moved_to(to)})
    wanted = shifted(fields["recurrence"], fields["time"].start, to)
    assert read(written).fields["recurrence"].exdates == wanted.exdates
    (line,) = [ln for ln in written.splitlines() if ln.startswith("EXDATE")]
    values = line.partition(":")[2].split(",")
    assert len({v.endswith("Z") for v in values}) == 1 and ("TZID" in line) is not values[0].endswith("Z")
