"""Calendars as strangers' clients write them, through the whole program: series, privacy, whose meeting it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from connectors.caldav.read import read
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import moment_key
from tests.scenarios.conftest import MONDAY, Desk

MakeDesk = Callable[..., Desk]
pytestmark = pytest.mark.either
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)


def stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def exception(original: datetime, start: datetime, *lines: str) -> tuple[str, ...]:
    return ("END:VEVENT", "BEGIN:VEVENT", "UID:s", "DTSTAMP:20261101T000000Z", f"RECURRENCE-ID:{stamp(original)}",
            f"DTSTART:{stamp(start)}", f"DTEND:{stamp(start + HOUR)}", *lines)  # fmt: skip


def occurrences(text: str) -> list[tuple[str, str]]:
    """When a series takes place, and what each occurrence is called."""
    fields = read(text.replace("\n", "\r\n")).fields
    series: Recurrence = fields["recurrence"]
    found = []
    for start in starts(fields["time"], series, datetime(2026, 1, 1, tzinfo=UTC), MONDAY + 100 * WEEK):
        there = series.overrides.get(moment_key(start), {})
        at = there["time"].start if "time" in there else start
        found.append((moment_key(at), str(there.get("summary", fields["summary"]))))
    return sorted(found)


SERIES = ("SUMMARY:Weekly", "UID:s", "RRULE:FREQ=WEEKLY;COUNT=4", f"EXDATE:{stamp(MONDAY + 2 * WEEK)}")
MOVED = exception(MONDAY + WEEK, MONDAY + WEEK + 4 * HOUR, "SUMMARY:Weekly")


def test_case_l6_a_series_that_the_crm_moves_keeps_what_was_left_out_and_moved(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = desk.put("ann", "s", *SERIES, *MOVED)
    desk.sync()
    desk.quiet()
    desk.edit(desk.only()["guid"], "--from", words(MONDAY + HOUR), "--to", words(MONDAY + 2 * HOUR))
    desk.sync()
    moved = [(stamp(MONDAY + at), "Weekly") for at in (HOUR, WEEK + 4 * HOUR, 3 * WEEK + HOUR)]
    assert occurrences(desk.get("ann", path)) == moved
    desk.quiet()
    assert occurrences(desk.get("ann", path)) == moved


@pytest.mark.parametrize(
    ("words_", "line"),
    [(("--subject", "New"), "SUMMARY:New"), (("--location", "Room 1"), "LOCATION:Room 1"),
     (("--status", "rejected"), "STATUS:CANCELLED")],
)  # fmt: skip
def test_case_l7_a_moved_occurrence_follows_what_the_crm_changes_of_its_series(
    make_desk: MakeDesk, words_: tuple[str, ...], line: str
) -> None:
    desk = make_desk("ann")
    path = desk.put("ann", "s", *SERIES, *MOVED)
    desk.sync()
    desk.edit(desk.only()["guid"], *words_)
    desk.sync()
    assert desk.get("ann", path).count(line) == 2
    desk.quiet()
    desk.change("ann", path, f"DTSTART:{stamp(MONDAY + WEEK + 4 * HOUR)}", f"DTSTART:{stamp(MONDAY + WEEK + 5 * HOUR)}",
                f"DTEND:{stamp(MONDAY + WEEK + 5 * HOUR)}", f"DTEND:{stamp(MONDAY + WEEK + 6 * HOUR)}")  # fmt: skip
    desk.sync()
    assert desk.get("ann", path).count(line) == 2  # a later touch undoes nothing
    assert line.partition(":")[2].lower() in str(desk.only()).lower() or "rejected" in str(desk.only())
    desk.quiet()


def test_case_l7_a_series_that_the_crm_makes_private_is_private_in_every_occurrence(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", e1="private: withhold => private: full", e2="confidential: withhold => confidential: full")
    lines = (*SERIES, "CLASS:PUBLIC", *MOVED, "CLASS:PUBLIC")
    path = desk.put("ann", "s", *lines)
    desk.sync()
    desk.edit(desk.only()["guid"], "--private")
    desk.sync()
    assert desk.get("ann", path).count("CLASS:PRIVATE") == 2
    assert "CLASS:PUBLIC" not in desk.get("ann", path)
    desk.quiet()


@pytest.mark.parametrize("make_desk", ["cyrus"], indirect=True)
def test_case_l8_two_occurrences_without_their_series_are_two_activities(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", crm=", series: false")
    moved = exception(MONDAY, MONDAY + 4 * HOUR, "SUMMARY:Talk")
    first = [x for x in moved[moved.index("UID:s") :] if not x.startswith("DTSTAMP")]
    desk.put("ann", "s", *first, *exception(MONDAY + WEEK, MONDAY + WEEK, "SUMMARY:Talk"))
    desk.sync()
    found = sorted(a["starts"] for a in desk.activities())
    assert found == [stamp(MONDAY + 4 * HOUR), stamp(MONDAY + WEEK)]
    desk.quiet()


@pytest.mark.parametrize(
    ("master", "one"),
    [
        (("CLASS:PRIVATE",), ()),
        (("CLASS:PUBLIC", "X-CALENDARSERVER-ACCESS:CONFIDENTIAL"), ()),
        (("X-CALENDARSERVER-ACCESS:PRIVATE",), ()),
        (("CLASS:SECRET",), ("CLASS:",)),
    ],
)
def test_case_p1_p3_nothing_of_a_private_series_crosses(
    make_desk: MakeDesk, master: tuple[str, ...], one: tuple[str, ...]
) -> None:
    desk = make_desk("ann")
    desk.put("ann", "s", *SERIES[:1], "LOCATION:Secret place", *SERIES[1:], *master,
             *exception(MONDAY + WEEK, MONDAY + WEEK + HOUR, "SUMMARY:Oncologist", *one))  # fmt: skip
    desk.sync()
    assert desk.activities() == []
    written = desk.everything_written()
    assert not any(word in written for word in (b"Oncologist", b"Secret place", b"Weekly"))


@pytest.mark.parametrize("organizer", ["ORGANIZER;CN=Boss:mailto:", "ORGANIZER;CN=Boss:urn:uuid:1-2-3"])
def test_case_s4_a_strangers_meeting_is_never_written(make_desk: MakeDesk, organizer: str) -> None:
    desk = make_desk("ann")
    path = desk.put("ann", "m", "SUMMARY:Meeting", organizer, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example",
                    "ATTENDEE:mailto:kim@acme.example")  # fmt: skip
    desk.sync()
    before, made = desk.get("ann", path), desk.only()
    desk.edit(made["guid"], "--notes", "Mine", "--subject", "Renamed")
    desk.sync()
    assert desk.get("ann", path) == before
    desk.delete("ann", path)
    desk.sync()
    assert desk.show(made["guid"])["status"] == "open"
    desk.quiet()


def test_case_s5_her_own_meeting_by_her_path_on_the_server_is_hers(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = desk.put("ann", "m", "SUMMARY:Meeting", "ORGANIZER;CN=Ann:/ann/", "ATTENDEE;PARTSTAT=ACCEPTED:/ann/",
                    "ATTENDEE;EMAIL=kim@acme.example:mailto:2_XYZ@imip.me.example")  # fmt: skip
    desk.sync()
    made = desk.only()
    assert made["owner"] == "ann"
    assert sorted(p["address"] for p in made["participants"]) == ["ann@us.example", "kim@acme.example"]
    desk.edit(made["guid"], "--notes", "From the CRM")
    desk.sync()
    assert "DESCRIPTION:From the CRM" in desk.get("ann", path)  # a server that schedules nothing tells nobody
    desk.quiet()


@pytest.mark.parametrize("series", [True, False])
@pytest.mark.parametrize("private", ["busy-only", "withhold"])
def test_case_p2_whatever_the_crm_does_to_a_series_its_private_occurrence_stays(
    make_desk: MakeDesk, series: bool, private: str
) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false", e1=f"private: withhold => private: {private}")
    secret = exception(MONDAY + WEEK, MONDAY + WEEK + HOUR, "SUMMARY:Oncologist", "DESCRIPTION:Results",
                       "LOCATION:Clinic", "CLASS:PRIVATE", "TRANSP:TRANSPARENT", "PRIORITY:1")  # fmt: skip
    path = desk.put("ann", "s", "SUMMARY:Weekly", "DESCRIPTION:Notes", "LOCATION:Here", "UID:s",
                    "RRULE:FREQ=WEEKLY;COUNT=4", *secret)  # fmt: skip
    desk.sync()
    (hidden,) = [part for part in desk.get("ann", path).split("BEGIN:VEVENT\n") if "Oncologist" in part]
    hidden = hidden.partition("END:VEVENT")[0]
    for made in desk.activities():
        desk.edit(made["guid"], "--notes", "From the CRM", "--location", "There", "--category", "A")
    desk.sync()
    desk.quiet()
    for made in desk.activities()[-1:]:
        desk.edit(made["guid"], "--subject", "Renamed")
    desk.sync()
    after = desk.get("ann", path)
    assert "DESCRIPTION:From the CRM" in after
    assert hidden in after
