"""Lessons: how other calendar syncs failed their users, each played against the whole program.

The numbers are those of our list of lessons. 3, 4, 19 and some others are scenarios of their own
and carry their number there; 5, 7, 9 and 25 to 27 are about servers (tests/conformance), 6 and 28 to 30
about mail (test_mail).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.scenarios.conftest import MONDAY, Desk
from tests.scenarios.test_appointments import stamp, words

MakeDesk = Callable[..., Desk]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ANN_INVITES = ("ORGANIZER:mailto:ann@us.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example")
BOB = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@us.example"
KIM_INVITES = ("ORGANIZER:mailto:kim@acme.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:kim@acme.example")


def statuses(desk: Desk) -> dict[str, int]:
    """How many activities there are of each status."""
    found = [a["status"] for a in desk.activities()]
    return {status: found.count(status) for status in found}


def calendars(desk: Desk) -> dict[str, list[str]]:
    return {user: desk.calendar(user) for user in desk.paths}


def exception(uid: str, original: str, *lines: str) -> tuple[str, ...]:
    """The lines that end a series' event and begin one of its exceptions."""
    return ("END:VEVENT", "BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z", original, *lines)


# -- doubles --------------------------------------------------------------------------------------------


@pytest.mark.everywhere
def test_lesson_1_who_was_invited_through_a_group_shares_the_one_appointment(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    team = ("SUMMARY:Team", "UID:team", *ANN_INVITES, "ATTENDEE;CUTYPE=GROUP:mailto:team@us.example")
    for user in ("ann", "bob"):
        desk.put(user, "team", *team)
    desk.sync()
    made = desk.only()
    assert made["owner"] == "ann"
    desk.quiet()
    assert desk.activities(as_="bob") == [made]
    before = desk.calendar("bob")
    desk.edit(made["guid"], "--notes", "Bring the plan")
    desk.sync()
    assert "DESCRIPTION:Bring the plan" in desk.calendar("ann")[0]
    assert desk.calendar("bob") == before  # the server brings him what the organizer's copy says
    desk.quiet()


@pytest.mark.everywhere
@pytest.mark.parametrize("series", [True, False])
def test_lesson_2_no_pass_adds_a_series_again_and_a_moved_occurrence_stands_once(
    make_desk: MakeDesk, series: bool
) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    moved = exception("s", f"RECURRENCE-ID:{stamp(MONDAY + DAY)}", f"DTSTART:{stamp(MONDAY + DAY + 3 * HOUR)}",
                      f"DTEND:{stamp(MONDAY + DAY + 4 * HOUR)}", "SUMMARY:Daily")  # fmt: skip
    path = desk.put("ann", "s", "SUMMARY:Daily", "UID:s", "RRULE:FREQ=DAILY;COUNT=3", *moved)
    before = desk.get("ann", path)
    for _ in range(3):
        desk.sync()
        found = desk.activities()
        if series:
            assert len(found) == 1
            assert stamp(MONDAY + DAY + 3 * HOUR) in found[0]["recurrence"]
        else:
            assert [a["starts"] for a in found] == [stamp(MONDAY + d) for d in (0 * DAY, DAY + 3 * HOUR, 2 * DAY)]
    desk.quiet()
    assert desk.get("ann", path) == before
    assert len(desk.names("ann")) == 1


# -- mail nobody wanted ---------------------------------------------------------------------------------


@pytest.mark.everywhere
def test_lesson_8_nothing_that_others_do_writes_into_a_meeting(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    file = desk.folder / "syncd.yaml"
    both = file.read_text()
    file.write_text(both[: both.index("  - id: bob")])
    lines = ("SUMMARY:Series", "UID:m", "RRULE:FREQ=WEEKLY;COUNT=5", *ANN_INVITES, BOB)
    paths = {user: desk.put(user, "m", *lines) for user in ("ann", "bob")}
    before = calendars(desk)
    desk.sync()
    assert calendars(desk) == before  # the first sync of a series
    file.write_text(both)
    desk.sync()
    desk.quiet()
    assert calendars(desk) == before  # the second user connects
    for user, path in paths.items():
        desk.change(user, path, "COUNT=5", "COUNT=6")
    before = calendars(desk)
    desk.sync()
    desk.quiet()
    assert calendars(desk) == before  # the rule changes
    assert "COUNT=6" in desk.only()["recurrence"]
    desk.edit(desk.only()["guid"], "--subject", "Renamed in the CRM")
    desk.sync()
    text = desk.get("ann", paths["ann"])
    assert "SUMMARY:Renamed in the CRM" in text
    assert [line for line in text.split("\n") if line.startswith(("ATTENDEE", "ORGANIZER"))] == [
        line for line in before["ann"][0].split("\n") if line.startswith(("ATTENDEE", "ORGANIZER"))
    ]
    assert desk.calendar("bob") == before["bob"]


@pytest.mark.everywhere
def test_lesson_10_a_deleted_private_copy_cancels_nothing_and_shows_no_address(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    ann = desk.put("ann", "m", "SUMMARY:Meeting", "UID:m", *ANN_INVITES)
    bob = desk.put("bob", "m", "SUMMARY:Meeting", "UID:m", *ANN_INVITES, "CLASS:PRIVATE",
                   "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob.at.home@private.example")  # fmt: skip
    desk.sync()
    before = desk.get("ann", ann)
    desk.delete("bob", bob)
    desk.sync()
    desk.quiet()
    assert desk.only()["status"] == "open"
    assert desk.get("ann", ann) == before
    assert b"bob.at.home" not in desk.everything_written()


# -- deletions ------------------------------------------------------------------------------------------


@pytest.mark.everywhere
def test_lesson_11_what_leaves_a_filter_rests_and_is_deleted_nowhere(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", filter="#exclude:\n#  - show-as: [free] => exclude:\n  - show-as: [free]")
    path = desk.put("ann", "m", "SUMMARY:Meeting", "TRANSP:OPAQUE", *ANN_INVITES, BOB)
    desk.sync()
    guid = desk.only()["guid"]
    desk.change("ann", path, "TRANSP:OPAQUE", "TRANSP:TRANSPARENT")
    desk.sync()
    desk.quiet()
    assert desk.only()["status"] == "open"
    assert "SUMMARY:Meeting" in desk.get("ann", path)
    desk.change("ann", path, "TRANSP:TRANSPARENT", "TRANSP:OPAQUE")
    desk.change("ann", path, "SUMMARY:Meeting", "SUMMARY:Back again")
    desk.sync()
    assert (desk.only()["guid"], desk.only()["subject"]) == (guid, "Back again")
    desk.quiet()


@pytest.mark.everywhere
def test_lesson_12_an_emptied_calendar_is_asked_about_first(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    for n in range(12):
        desk.put("ann", f"e{n}", f"SUMMARY:E{n}", start=MONDAY + n * HOUR)
    desk.put("bob", "b", "SUMMARY:B")
    desk.sync()
    for path in desk.names("ann"):
        desk.delete("ann", path)
    desk.put("bob", "c", "SUMMARY:C", start=MONDAY + DAY)
    for _ in range(2):
        done = desk.sync(status=1)
        assert (done["ann"]["held"], done["bob"]["held"]) == (12, 0)
        assert statuses(desk) == {"open": 14}


@pytest.mark.parametrize("series", [True, False])
def test_lesson_13_an_occurrence_that_cannot_be_read_is_not_deleted(make_desk: MakeDesk, series: bool) -> None:
    from tests.servers.proxy import Verbatim, proxy

    desk = make_desk("ann", crm="" if series else ", series: false")
    moved = exception("s", f"RECURRENCE-ID:{stamp(MONDAY + DAY)}", f"DTSTART:{stamp(MONDAY + DAY + 3 * HOUR)}",
                      "DURATION:PT1H", "SUMMARY:Special")  # fmt: skip
    path = desk.put("ann", "s", "SUMMARY:Daily", "UID:s", "RRULE:FREQ=DAILY;COUNT=3", *moved)
    desk.put("ann", "other", "SUMMARY:Other")
    desk.sync()
    before = desk.activities()
    held = Verbatim(desk.server)
    broken = desk.get("ann", path).replace(f"DTSTART:{stamp(MONDAY + DAY + 3 * HOUR)}", "DTSTART:soon")
    held.keep("ann", path, broken.replace("\n", "\r\n"))
    with proxy(desk.server, held.rule) as odd:
        desk.through(odd)
        done = desk.sync(status=1)["ann"]
    assert done["parked"] == 1
    assert desk.activities() == before
    ((parked,),) = [p["parked"] for p in desk.run("status", "--json", status=1).json["pairings"]]
    assert path in parked["ref"]


@pytest.mark.everywhere
def test_lesson_14_an_all_day_event_at_the_windows_end_comes_once(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", window="past: 30d, future: 365d => past: 2d, future: 10d")
    today = MONDAY - 7 * DAY
    for n in range(8, 13):
        day = today + n * DAY
        desk.put("ann", f"d{n}", f"SUMMARY:Day {n}", f"DTSTART;VALUE=DATE:{day:%Y%m%d}")
    before = calendars(desk)
    seen: dict[str, str] = {}
    for days in (0, 0.4, 1, 1.6, 3):
        desk.days = days
        desk.sync()
        now = {a["subject"]: a["guid"] for a in desk.activities()}
        assert seen.items() <= now.items()
        seen = now
    assert len(seen) == 5
    assert set(statuses(desk)) == {"open"}
    assert calendars(desk) == before


# -- wrong hands ----------------------------------------------------------------------------------------


@pytest.mark.everywhere
def test_lesson_15_an_attendees_sync_takes_no_series_from_its_organizer(make_desk: MakeDesk) -> None:
    desk = make_desk("bob", "ann")
    lines = ("SUMMARY:Series", "UID:m", "RRULE:FREQ=WEEKLY;COUNT=5", *ANN_INVITES, BOB)
    paths = {user: desk.put(user, "m", *lines) for user in ("bob", "ann")}
    before = calendars(desk)
    desk.sync()
    desk.sync()
    assert desk.only()["owner"] == "ann"
    desk.change("bob", paths["bob"], "SUMMARY:Series", "SUMMARY:Bob calls it so")
    desk.change("bob", paths["bob"], "COUNT=5", "COUNT=2")
    desk.sync()
    desk.quiet()
    assert (desk.only()["subject"], desk.only()["owner"]) == ("Series", "ann")
    assert "COUNT=5" in desk.only()["recurrence"]
    assert desk.calendar("ann") == before["ann"]


@pytest.mark.everywhere
@pytest.mark.parametrize("series", [True, False])
def test_lesson_16_an_occurrence_that_the_organizer_cancelled_stops_nothing(make_desk: MakeDesk, series: bool) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    people = (*KIM_INVITES, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example")
    gone = exception("m", f"RECURRENCE-ID:{stamp(MONDAY + DAY)}", f"DTSTART:{stamp(MONDAY + DAY)}",
                     f"DTEND:{stamp(MONDAY + DAY + HOUR)}", "SUMMARY:Series", "STATUS:CANCELLED", *people)  # fmt: skip
    series_of = ("SUMMARY:Series", "UID:m", "RRULE:FREQ=DAILY;COUNT=3", *people)
    desk.put("ann", "m", *series_of)
    desk.sync()
    desk.put("ann", "m", *series_of, *gone)
    desk.put("ann", "other", "SUMMARY:Other", start=MONDAY + 9 * HOUR)
    done = desk.sync(status=0)["ann"]
    assert done["parked"] == 0
    desk.quiet()
    found = desk.activities()
    if series:
        assert {a["subject"] for a in found} == {"Series", "Other"}
    else:
        assert {a["starts"]: a["status"] for a in found} == {
            stamp(MONDAY): "open",
            stamp(MONDAY + 9 * HOUR): "open",
            stamp(MONDAY + DAY): "rejected",
            stamp(MONDAY + 2 * DAY): "open",
        }


@pytest.mark.everywhere
def test_lesson_17_only_what_one_takes_part_in_comes_into_ones_calendar(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob", "cid")
    between = ("--from", words(MONDAY), "--to", words(MONDAY + HOUR))
    desk.create("--subject", "Of Bob", *between, as_="bob")
    desk.create("--subject", "Of Bob with Cid", *between, "--participant", "cid@us.example", as_="bob")
    assert len(desk.activities(as_="ann")) == 2  # she may see them all
    desk.sync()
    assert {user: len(events) for user, events in calendars(desk).items()} == {"ann": 0, "bob": 2, "cid": 1}


@pytest.mark.everywhere
def test_lesson_18_no_other_calendar_of_the_account_is_touched(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    named = desk.paths["ann"]
    desk.paths["ann"] = desk.server.calendar("ann", named.rstrip("/").rpartition("/")[2] + "-family")
    desk.put("ann", "birthday", "SUMMARY:Xylophone for Zoe")
    family, desk.paths["ann"] = desk.paths["ann"], named
    desk.put("ann", "work", "SUMMARY:Work")
    desk.create("--subject", "From the CRM", "--from", words(MONDAY), "--to", words(MONDAY + HOUR))
    desk.sync()
    assert sorted(a["subject"] for a in desk.activities()) == ["From the CRM", "Work"]
    assert b"ylophone" not in desk.everything_written()
    desk.paths["ann"] = family
    assert len(desk.calendar("ann")) == 1


@pytest.mark.everywhere
def test_lesson_20_when_private_things_may_no_longer_cross_their_copies_go(make_desk: MakeDesk) -> None:
    desk = make_desk(
        "ann", full="private: withhold  => private: full  ", also="confidential: withhold => confidential: full"
    )
    desk.put("ann", "p", "SUMMARY:Xylophone lesson", "LOCATION:Quetzal street", "CLASS:PRIVATE")
    desk.put("ann", "w", "SUMMARY:Work", start=MONDAY + 4 * HOUR)
    desk.sync()
    assert any("Xylophone" in str(a) for a in desk.activities())
    file = desk.folder / "own.yaml"
    file.write_text(file.read_text().replace("private: full", "private: withhold"))
    desk.sync()
    desk.quiet()
    written = desk.everything_written()
    assert b"ylophone" not in written and b"uetzal" not in written
    assert desk.only()["subject"] == "Work"
    assert len(desk.calendar("ann")) == 2


# -- time -----------------------------------------------------------------------------------------------


@pytest.mark.everywhere
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata"])
def test_lesson_21_an_all_day_event_is_that_day_for_everybody(make_desk: MakeDesk, zone: str) -> None:
    desk = make_desk("ann")
    file = desk.folder / "syncd.yaml"
    file.write_text(file.read_text().replace("    addresses:", f"    zone: {zone}\n    addresses:"))
    desk.put("ann", "day", "SUMMARY:All day", f"DTSTART;VALUE=DATE:{MONDAY:%Y%m%d}")
    desk.create(
        "--subject", "From the CRM", "--from", f"{MONDAY + DAY:%Y-%m-%d}", "--to", f"{MONDAY + 2 * DAY:%Y-%m-%d}"
    )
    desk.run("sync", status=(0, 1), TZ=zone)
    found = {a["subject"]: (a["starts"], a["ends"]) for a in desk.activities()}
    assert found["All day"] == (f"{MONDAY:%Y%m%d}", f"{MONDAY + DAY:%Y%m%d}")
    (made,) = [e for e in desk.calendar("ann") if "From the CRM" in e]
    assert f"DTSTART;VALUE=DATE:{MONDAY + DAY:%Y%m%d}\n" in made
    starts, ends = found["From the CRM"]
    length = (int(ends) - int(starts)) if starts[:6] == ends[:6] else 1
    assert starts == f"{MONDAY + DAY:%Y%m%d}" and length >= 1
    assert "nothing to do" in desk.run("plan", TZ=zone).out


@pytest.mark.everywhere
@pytest.mark.parametrize("series", [True, False])
def test_lesson_22_exceptions_of_all_day_series_go_by_date(make_desk: MakeDesk, series: bool) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    file = desk.folder / "syncd.yaml"
    file.write_text(file.read_text().replace("    addresses:", "    zone: America/Los_Angeles\n    addresses:"))
    special = exception("s", f"RECURRENCE-ID;VALUE=DATE:{MONDAY + DAY:%Y%m%d}", "SUMMARY:Special",
                        f"DTSTART;VALUE=DATE:{MONDAY + DAY:%Y%m%d}")  # fmt: skip
    out = f"EXDATE;VALUE=DATE:{MONDAY + 2 * DAY:%Y%m%d}"
    path = desk.put("ann", "s", "SUMMARY:Fair", "UID:s", f"DTSTART;VALUE=DATE:{MONDAY:%Y%m%d}",
                    "RRULE:FREQ=DAILY;COUNT=4", out, *special)  # fmt: skip
    desk.sync()
    desk.quiet()
    if series:
        assert "Special" in desk.only()["recurrence"] and f"{MONDAY + 2 * DAY:%Y%m%d}" in desk.only()["recurrence"]
        return
    assert {a["starts"]: a["subject"] for a in desk.activities()} == {
        f"{MONDAY:%Y%m%d}": "Fair",
        f"{MONDAY + DAY:%Y%m%d}": "Special",
        f"{MONDAY + 3 * DAY:%Y%m%d}": "Fair",
    }
    desk.edit(desk.activities()[-1]["guid"], "--status", "rejected")
    desk.sync()
    assert f"EXDATE;VALUE=DATE:{MONDAY + 3 * DAY:%Y%m%d}" in desk.get("ann", path)
    desk.quiet()


@pytest.mark.parametrize("series", [True, False])
def test_lesson_23_exceptions_in_another_zone_are_understood_and_ours_are_spelled_as_the_start(
    make_desk: MakeDesk, series: bool
) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    local = f"{MONDAY:%Y%m%d}T120000"
    utc = MONDAY.replace(hour=11)  # in winter; the test's days are made to be there
    utc = utc if MONDAY.month in (11, 12, 1, 2) else MONDAY.replace(hour=10)
    special = exception("s", f"RECURRENCE-ID:{stamp(utc + DAY)}", "SUMMARY:Special",
                        f"DTSTART:{stamp(utc + DAY + HOUR)}", "DURATION:PT1H")  # fmt: skip
    path = desk.put("ann", "s", "SUMMARY:Daily", "UID:s", f"DTSTART;TZID=Europe/Berlin:{local}", "DURATION:PT1H",
                    "RRULE:FREQ=DAILY;COUNT=4", f"EXDATE:{stamp(utc + 2 * DAY)}", *special)  # fmt: skip
    desk.sync()
    desk.quiet()
    if series:
        assert "Special" in desk.only()["recurrence"] and stamp(utc + 2 * DAY) in desk.only()["recurrence"]
        return
    assert {a["starts"]: a["subject"] for a in desk.activities()} == {
        stamp(utc): "Daily",
        stamp(utc + DAY + HOUR): "Special",
        stamp(utc + 3 * DAY): "Daily",
    }
    desk.edit(desk.activities()[0]["guid"], "--subject", "First")
    desk.edit(desk.activities()[2]["guid"], "--status", "rejected")
    desk.sync()
    text = desk.get("ann", path)
    assert f"RECURRENCE-ID;TZID=Europe/Berlin:{local}" in text
    assert f"EXDATE;TZID=Europe/Berlin:{MONDAY + 3 * DAY:%Y%m%d}T120000" in text
    assert text.count("RECURRENCE-ID") == 2
    desk.quiet()


@pytest.mark.everywhere
def test_lesson_24_overrides_whose_start_still_occurs_stay_and_the_others_go_into_the_history(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk("ann")
    two = [
        line
        for days in (1, 2)
        for line in exception("s", f"RECURRENCE-ID:{stamp(MONDAY + days * DAY)}", f"SUMMARY:Special {days}",
                              f"DTSTART:{stamp(MONDAY + days * DAY)}", "DURATION:PT1H")
    ]  # fmt: skip
    path = desk.put("ann", "s", "SUMMARY:Often", "UID:s", "RRULE:FREQ=DAILY;COUNT=9", *two)
    desk.sync()
    guid = desk.only()["guid"]
    desk.change("ann", path, "FREQ=DAILY;COUNT=9", "FREQ=DAILY;INTERVAL=2;COUNT=4")
    desk.sync()
    desk.quiet()
    shown = desk.show(guid)
    assert "INTERVAL=2" in shown["recurrence"]
    assert "Special 2" in str(shown["recurrence"])
    assert "Special 1" in str(shown["history"])


def test_a_folder_of_the_lessons_names_each_once() -> None:
    """Every lesson is a test by its number."""
    import re

    tests = Path(__file__).resolve().parents[1]
    text = "\n".join(p.read_text() for p in tests.rglob("test_*.py"))
    found = {
        int(n) for name in re.findall(r"def (test_\w*lesson_\w+)", text) for n in re.findall(r"lesson_(\d+)", name)
    }
    assert set(range(1, 31)) <= found
