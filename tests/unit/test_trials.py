"""What fresh minds found who tried to break it, as the shortest story of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.caldav.edit import edit
from connectors.caldav.lines import written as rendered
from connectors.caldav.people import Whose
from connectors.caldav.read import read
from syncd.engine.allowed import ACTED_ON
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from tests.unit.test_cases import DAY, only, passed, waiting, with_mapping
from tests.unit.test_engine import MON, World, span

BOTH = People([Participant("ann@us.example"), Participant("bob@us.example")])
SECOND = "20261207T100000Z"


def series(**overrides: Any) -> Recurrence:
    return Recurrence("FREQ=WEEKLY;COUNT=4", overrides={SECOND: overrides} if overrides else {})


def without(key: str = SECOND) -> Recurrence:
    return Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key}))


def copies(world: World, **fields: Any) -> str:
    """An appointment of Ann's in which Bob takes part; each has a copy."""
    ref = world.appointment(participants=BOTH, **fields)
    world.quiet()
    return ref


def copy_of(world: World, who: str) -> str:
    (ref,) = world.calendars[who].records
    return ref


# -- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["bob leaves in the CRM", "bob edits his"])
@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
def test_a_copy_that_a_server_made_an_invitation_is_an_attendees(policy: str, change: str, tmp_path: Path) -> None:
    """Ann invites Bob from her own copy, and the server makes Bob's copy, which has the same UID, his invitation."""
    world = with_mapping(World("ann", "bob"), tmp_path, guests=policy)
    ref = copies(world)
    for who in ("ann", "bob"):
        replica = world.calendars[who]
        record = replica.records[copy_of(world, who)]
        replica.records[record.ref] = replace(record, owner="ann@us.example")
        replica.edit(record.ref, attendees=People([*BOTH.values(), Participant("carl@cust.example")]))
    world.sync()
    if change == "bob edits his":
        world.calendars["bob"].edit(copy_of(world, "bob"), summary="Bob's own title")
    else:
        world.crm.edit(ref, participants=People([Participant("ann@us.example")]))
    before = dict(world.items("bob")[0])
    world.calendars["bob"].log.clear()
    for _ in range(3):
        world.sync()
    assert not world.calendars["bob"].log
    assert world.items("bob") == [before]
    assert world.activities[0]["subject"] == "Visit"
    assert world.items("ann")[0]["summary"] == "Visit"


def test_a_date_that_a_colleague_leaves_out_of_his_copy_stays_everybody_elses() -> None:
    world = World("ann", "bob")
    copies(world, recurrence=series())
    world.calendars["bob"].edit(copy_of(world, "bob"), recurrence=without())
    for _ in range(2):
        world.sync()
    assert world.activities[0]["recurrence"] == series()
    assert world.items("ann")[0]["recurrence"] == series()
    assert world.items("bob")[0]["recurrence"] == without()
    world.quiet()


def test_a_date_that_the_one_responsible_leaves_out_of_her_copy_is_left_out() -> None:
    world = World("ann", "bob")
    copies(world, recurrence=series())
    world.calendars["ann"].edit(copy_of(world, "ann"), recurrence=without())
    for _ in range(2):
        world.sync()
    assert world.activities[0]["recurrence"] == without()
    assert world.items("bob")[0]["recurrence"] == without()


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("who", ["ann", "bob"])
def test_a_date_that_somebody_makes_private_in_a_copy_takes_nothing_from_anybody(
    who: str, policy: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    copies(world, recurrence=series(location="Room 7", notes="Agenda"), location="Here")
    words = {"location": "Room 7", "description": "Agenda", "sensitivity": "private", "summary": "Oncologist"}
    world.calendars[who].edit(copy_of(world, who), recurrence=series(**words))
    for _ in range(3):
        world.sync()
    assert world.activities[0]["recurrence"] == series(location="Room 7", notes="Agenda")
    other = "bob" if who == "ann" else "ann"
    held: Any = world.items(other)[0]["recurrence"]
    assert held.overrides[SECOND]["location"] == "Room 7"
    assert not held.exdates
    assert "Oncologist" not in repr((world.activities, world.items(other), world.crm.history))


@pytest.mark.parametrize("gone", ["delete", "keep"])
def test_what_becomes_private_is_taken_back_from_the_copies_that_we_made_of_it(gone: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, deletions={"activity-gone": gone})
    world.event("ann", summary="Bonus talk", description="Numbers")
    world.quiet()
    world.crm.edit(only(world), participants=BOTH)
    world.quiet()
    assert [i["summary"] for i in world.items("bob")] == ["Bonus talk"]
    world.calendars["ann"].edit("e1", sensitivity="private")
    for _ in range(3):
        world.sync()
    assert "Bonus talk" not in repr((world.activities, world.crm.history, world.items("bob")))
    assert "Numbers" not in repr((world.activities, world.crm.history, world.items("bob")))


def test_what_only_the_private_copy_of_a_meeting_showed_is_taken_back() -> None:
    world = World("ann", "bob")
    for who, more in (("ann", {"description": "fire Carl", "categories": frozenset({"Layoffs"})}), ("bob", {})):
        world.event(who, f"{who}1", uid="u", owner="ann@us.example", attendees=BOTH, **more)
    world.quiet()
    assert world.activities[0]["notes"] == "fire Carl"
    world.calendars["ann"].edit("ann1", sensitivity="private")
    for _ in range(3):
        world.sync()
    assert [a["subject"] for a in world.activities] == ["Meeting"]
    shown = repr((world.activities, world.crm.history))
    assert "fire Carl" not in shown
    assert "Layoffs" not in shown


@pytest.mark.parametrize("hidden", ["one", "all but one"])
def test_an_occurrence_that_becomes_private_leaves_no_words_in_a_crm_without_series(hidden: str) -> None:
    world = World("ann")
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", summary="Review", recurrence=series(summary="Oncologist", description="Ward 9"))
    world.quiet()
    if hidden == "one":
        held = series(summary="Oncologist", description="Ward 9", sensitivity="private")
        world.calendars["ann"].edit("e1", recurrence=held)
    else:
        words = {"sensitivity": "public", "summary": "Public one", "description": ""}
        public = Recurrence("FREQ=WEEKLY;COUNT=4", overrides={"20261214T100000Z": words})
        world.calendars["ann"].edit("e1", sensitivity="private", summary="Oncologist", recurrence=public)
    for _ in range(2):
        world.sync()
    assert "Oncologist" not in repr((world.activities, world.crm.history))
    assert "Ward 9" not in repr((world.activities, world.crm.history))
    if hidden == "one":
        assert len(world.activities) == 3
        assert {a["status"] for a in world.activities} == {"open"}


@pytest.mark.parametrize(
    ("brought", "typed"),
    [("Dr Lee 5pm", "Dr Lee 6pm"), ("PIN 4711", "PIN 4712"), ("Oncologist", "preOncologist"),
     ("明日は病院で検査です", "さて明日は病院で検査です")],
)  # fmt: skip
def test_a_private_line_that_somebody_changed_in_the_crm_is_private_still(brought: str, typed: str) -> None:
    world = World("ann")
    world.event("ann", description=f"{brought}\n", categories=frozenset({"Merger"}))
    world.quiet()
    world.crm.edit(only(world), notes=f"{typed}\nCall Acme back", categories=frozenset({"MERGER", "Ours"}))
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    assert [a["notes"] for a in world.activities] == ["Call Acme back"]
    assert world.activities[0]["categories"] == frozenset({"Ours"})


# -- an edit and a deletion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["crm", "groupware", "newest"])
@pytest.mark.parametrize("where", ["calendar", "crm"])
def test_an_occurrence_edited_here_and_left_out_there_stays(where: str, word: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, conflicts={"default": word})
    world.event("ann", recurrence=series(location="Old place"))
    world.quiet()
    if where == "calendar":
        edited = series(location="Old place", description="Bring the plans")
        world.calendars["ann"].edit("e1", recurrence=edited)
        world.crm.edit(only(world), recurrence=without())
    else:
        world.crm.edit(only(world), recurrence=series(location="Old place", notes="Bring the plans"))
        world.calendars["ann"].edit("e1", recurrence=without())
    world.sync()
    item: Any = world.items("ann")[0]["recurrence"]
    activity: Any = world.activities[0]["recurrence"]
    assert dict(item.overrides[SECOND]) == {"location": "Old place", "description": "Bring the plans"}
    assert dict(activity.overrides[SECOND]) == {"location": "Old place", "notes": "Bring the plans"}
    assert not item.exdates
    assert not activity.exdates
    world.quiet()


def test_what_is_shown_again_keeps_its_own_time() -> None:
    world = World("ann")
    world.event("ann", summary="Mine")
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, priority=1)
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    if ref in world.crm.records:  # what is left of it: a CRM asks for a time, and somebody has filled one in
        world.crm.edit(ref, time=span(MON + 40 * DAY))
    world.sync()
    world.calendars["ann"].edit("e1", sensitivity="public")
    for _ in range(2):
        world.sync()
    assert world.items("ann")[0]["time"] == span()
    assert [a["time"] for a in world.activities if a["subject"] == "Mine"] == [span()]


# -- what a block is, whose a series is, what guests act on --------------------------------------------------


def test_a_block_of_time_is_nobodys_appointment(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    ref = world.appointment(subject="Busy", notes="Words of the CRM")
    world.event("ann", summary="Doctor", sensitivity="private")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.sync()
    assert world.crm.records[ref].fields["status"] == "open"


def test_the_organiser_of_a_private_occurrence_is_not_the_series_organiser() -> None:
    text = "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x",
         "BEGIN:VEVENT", "UID:u", "DTSTAMP:20261101T000000Z", "DTSTART:20261130T100000Z", "DTEND:20261130T110000Z",
         "RRULE:FREQ=WEEKLY;COUNT=4", "SUMMARY:Review", "END:VEVENT",
         "BEGIN:VEVENT", "UID:u", "DTSTAMP:20261101T000000Z", "RECURRENCE-ID:20261207T100000Z",
         "DTSTART:20261207T100000Z", "DTEND:20261207T110000Z", "CLASS:PRIVATE", "SUMMARY:Secret",
         "ORGANIZER:mailto:bob@us.example", "ATTENDEE:mailto:ann@us.example", "END:VEVENT", "END:VCALENDAR", ""]
    )  # fmt: skip
    entry = read(text, whose=Whose(("ann@us.example",)))
    assert entry.owner == ""


def test_guests_of_a_task_act_on_its_day() -> None:
    assert {"due", "start"} <= ACTED_ON


# -- what moves ------------------------------------------------------------------------------------------------


def test_a_rejection_that_waits_for_the_guests_goes_along_when_the_meeting_moves(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests="wait")
    guests = People([Participant("dora@cust.example")])
    world.event("ann", uid="u", owner="ann@us.example", attendees=guests)
    world.quiet()
    world.crm.edit(only(world), status="rejected")
    world.sync()
    assert waiting(world) == ["status"]
    world.calendars["ann"].remove("e1")
    passed(world, "ann")
    world.event("ann", "e2", uid="u", owner="ann@us.example", attendees=guests)
    for _ in range(2):
        world.sync()
    assert [a["status"] for a in world.activities] == ["rejected"]
    assert waiting(world) == ["status"]


def test_a_meeting_that_its_organiser_deletes_for_good_stays_rejected(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests="wait")
    world.event("ann", owner="ann@us.example", attendees=People([Participant("dora@cust.example")]))
    world.quiet()
    world.crm.edit(only(world), status="rejected")
    world.sync()
    world.calendars["ann"].remove("e1")
    world.now += timedelta(days=1)
    world.quiet()
    assert [a["status"] for a in world.activities] == ["rejected"]
    assert waiting(world) == []


# -- what sleeps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [20, 60, 365])
@pytest.mark.parametrize("side", ["calendar", "crm"])
def test_a_deletion_that_was_first_seen_under_a_clock_far_ahead_crosses_when_it_is_right(side: str, days: int) -> None:
    world = World("ann")
    world.event("ann", summary="Off")
    world.event("ann", "e2", summary="Stays")
    world.quiet()
    if side == "calendar":
        world.calendars["ann"].remove("e1")
    else:
        world.crm.remove(next(r for r, a in world.crm.records.items() if a.fields["subject"] == "Off"))
    world.now += timedelta(days=days)
    world.sync()
    world.now -= timedelta(days=days)
    for _ in range(2):
        world.sync()
    assert [i["summary"] for i in world.items("ann")] == ["Stays"]
    assert [a["subject"] for a in world.activities if a["status"] == "open"] == ["Stays"]


def test_a_deletion_in_the_crm_is_made_up_for_once_the_account_takes_writes() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    caps = world.calendars["ann"].caps
    world.calendars["ann"].caps = replace(caps, writable=False)
    world.crm.remove(only(world))
    world.sync()
    assert len(world.items("ann")) == 1
    world.calendars["ann"].caps = caps
    world.sync(full=True)
    assert world.items("ann") == []


def test_an_edit_of_an_item_whose_activity_was_deleted_while_the_account_was_read_only_makes_it_anew() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    world.calendars["ann"].caps = replace(world.calendars["ann"].caps, writable=False)
    world.crm.remove(only(world))
    world.sync()
    world.calendars["ann"].edit("e1", summary="Edited")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Edited"]


def test_a_private_item_that_is_deleted_does_not_come_back_as_what_was_left_in_the_crm() -> None:
    world = World("ann")
    world.event("ann", summary="Mine")
    world.quiet()
    world.crm.edit(only(world), priority=1, notes="Words of the CRM")
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    world.calendars["ann"].remove("e1")
    for _ in range(2):
        world.sync()
    for ref in list(world.crm.records):
        world.crm.edit(ref, notes="More words")
    world.sync()
    assert world.items("ann") == []


@pytest.mark.parametrize(
    ("lines", "due", "expected"),
    [
        (["DTSTART:20261130T100000Z"], "day", ["DTSTART;VALUE=DATE:20261130", "DUE;VALUE=DATE:20261204"]),
        (["DTSTART;VALUE=DATE:20261130", "DUE;VALUE=DATE:20261201"], "hour",
         ["DTSTART:20261130T000000Z", "DUE:20261204T100000Z"]),
        (["DTSTART:20261130T100000Z", "DURATION:PT2H"], "hour", ["DTSTART:20261130T100000Z", "DUE:20261204T100000Z"]),
    ],
)  # fmt: skip
def test_a_task_whose_day_is_moved_keeps_its_start(lines: list[str], due: str, expected: list[str]) -> None:
    made = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VTODO", "UID:u", "DTSTAMP:20261101T000000Z", *lines]
    entry = read("\r\n".join([*made, "SUMMARY:T", "END:VTODO", "END:VCALENDAR", ""]), whose=Whose(("ann@us.example",)))
    moment = MON + 4 * DAY
    (component,) = entry.root.components("VTODO")
    edit(entry.root, component, {"due": moment if due == "hour" else moment.date()})
    written = [line for line in rendered(entry.root).splitlines() if line.startswith(("DTSTART", "DUE", "DURATION"))]
    assert sorted(written) == sorted(expected)


def test_in_a_mapping_that_only_goes_up_an_edit_makes_a_deleted_activity_again(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, direction="to-crm")
    world.event("ann")
    world.quiet()
    world.crm.remove(only(world))
    world.sync()
    assert world.activities == []
    world.calendars["ann"].edit("e1", summary="Edited")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Edited"]
    world.crm.remove(only(world))
    world.sync()
    with_mapping(world, tmp_path, direction="both")
    for _ in range(2):
        world.sync(full=True)
    assert [i["summary"] for i in world.items("ann")] == ["Edited"], "no late deletion because a mapping was changed"
