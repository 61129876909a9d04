"""What the CRM has made private is not withheld from it, wherever the entry stands, and under whatever ref."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.unit.test_cases import DAY, only, two_calendars, with_mapping
from tests.unit.test_engine import MON, World, span

#: Where the entry goes: to the other calendar, under another ref in the same one, or into the trash and back.
WAYS = ["moves", "put beside first", "renamed", "restored", "moves after a pass"]


def goes(world: World, how: str) -> None:
    (ref,) = world.calendars["ann"].records
    item = world.calendars["ann"].records[ref]
    to = "ann" if how in ("renamed", "restored") else "home"
    if how == "put beside first":
        world.calendars[to].put("new", "event", item.fields, uid=item.uid)
        world.sync()
    world.calendars["ann"].remove(ref)
    if how in ("restored", "moves after a pass"):
        world.sync()
    if how != "put beside first":
        world.calendars[to].put("new", "event", item.fields, uid=item.uid)


@pytest.mark.grid
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("origin", ["calendar", "crm"])
@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("edits", [False, True])
def test_it_takes_its_activity_along(
    how: str, origin: str, first: str, policy: str, edits: bool, tmp_path: Path
) -> None:
    world = with_mapping(two_calendars(), tmp_path, privacy={"private": policy})
    world.pairings.sort(key=lambda p: p.id != first)
    if origin == "calendar":
        world.event("ann", summary="Visit")
    else:
        world.appointment(subject="Visit")
    for _ in range(3):
        world.sync()
    ref = only(world)
    people = People([Participant("kim@cust.example")])
    world.crm.edit(ref, private=True, participants=people)
    for _ in range(3):
        world.sync()
    if edits and how != "put beside first":
        world.crm.edit(ref, location="Room of the CRM")
    goes(world, how)
    if edits and how == "put beside first":
        world.crm.edit(ref, location="Room of the CRM")
    for _ in range(6):
        world.sync()
    assert only(world) == ref
    (activity,) = world.activities
    assert (activity["subject"], activity["status"], activity["private"]) == ("Visit", "open", True)
    assert list(activity["participants"]) == ["kim@cust.example"]  # type: ignore[call-overload]
    entries = world.items("ann") + world.items("home")
    copies = [("Visit", "private")] * len(entries)  # two, where it was made again as the CRM worked on it meanwhile
    again = edits and origin == "crm" and how == "moves after a pass"
    assert [(e["summary"], e["sensitivity"]) for e in entries] == copies and len(copies) in ((1, 2) if again else (1,))
    if edits:
        assert {activity["location"], *(e["location"] for e in entries)} == {"Room of the CRM"}
    world.crm.edit(ref, private=False, subject="Visit again")
    for _ in range(3):
        world.sync()
    entries = world.items("ann") + world.items("home")
    assert [(e["summary"], e["sensitivity"]) for e in entries] == [("Visit again", "public")] * len(copies)
    world.quiet()


@pytest.mark.parametrize("weeks", [1, 2, -1])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_the_crms_word_for_one_date_is_no_word_for_another(policy: str, weeks: int, tmp_path: Path) -> None:
    """The series moves by whole weeks, and what was called so before is private for the person now."""
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy})
    keys = [moment_key(MON + n * 7 * DAY) for n in range(-1, 8)]
    second = keys[2]
    world.event("ann", summary="Open", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    world.quiet()
    held = world.crm.records[only(world)].fields["recurrence"]
    world.crm.edit(
        only(world), recurrence=replace(held, overrides={second: {"subject": "Of the CRM", "private": True}})
    )
    for _ in range(3):
        world.sync()
    moved = keys[2 + weeks]
    overrides = {
        moved: {"summary": "Of the CRM", "sensitivity": "private"},
        second: {"summary": "Secret", "sensitivity": "private"},
    }
    time = span(MON + weeks * 7 * DAY)
    world.calendars["ann"].edit("e1", time=time, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4", overrides=overrides))
    for _ in range(4):
        world.sync()
    assert "Secret" not in repr(world.activities) + repr(world.crm.history)
    assert "Of the CRM" in repr(world.activities)
    world.quiet()


@pytest.mark.grid
@pytest.mark.parametrize("how", ["moves", "renamed", "restored", "moves after a pass"])
@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_a_single_activity_of_a_series_goes_along_as_well(how: str, first: str, policy: str, tmp_path: Path) -> None:
    """For a CRM without series, where one of its activities is private by the CRM's word."""
    world = with_mapping(two_calendars(), tmp_path, privacy={"private": policy})
    world.crm.caps = replace(world.crm.caps, series="none")
    world.pairings.sort(key=lambda p: p.id != first)
    world.event("ann", summary="Visit", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    for _ in range(3):
        world.sync()
    before = sorted(world.crm.records)
    second = sorted(world.crm.records.values(), key=lambda r: r.fields["time"].key())[1].ref
    world.crm.edit(second, private=True, subject="Of the CRM")
    for _ in range(3):
        world.sync()
    goes(world, how)
    for _ in range(6):
        world.sync()
    assert sorted(world.crm.records) == before
    held = world.crm.records[second].fields
    assert (held["subject"], held["status"], held["private"]) == ("Of the CRM", "open", True)
    assert {a["status"] for a in world.activities} == {"open"}
    world.quiet()
