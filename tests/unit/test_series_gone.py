"""A series that is gone from the calendar while somebody works on one of its activities, for a CRM without series: an
edit beats a deletion, so that one appointment is made again as an entry of its own (soak, seed 9603595)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.model.recurrence import Recurrence
from tests.memory import crm
from tests.unit.test_cases import two_calendars
from tests.unit.test_engine import MON, NOW, World, span

SERIES = Recurrence("FREQ=WEEKLY;COUNT=3")


def of_singles(*names: str) -> World:
    world = World(*names, hub=crm(lambda: NOW, series=False))
    world.event("ann", "e1", uid="u", summary="Weekly", recurrence=SERIES)
    world.quiet()
    return world


def rest(world: World) -> None:
    for _ in range(6):
        world.sync()
    world.quiet()


def second(world: World) -> str:
    return sorted(world.crm.records.values(), key=lambda r: r.fields["time"].key())[1].ref


def gone_and_edited(world: World, passes: int = 0) -> None:
    world.calendars["ann"].remove("e1")
    world.crm.edit(second(world), subject="Edited")
    for _ in range(passes):
        world.sync()


def shown(world: World, name: str = "ann") -> list[tuple[str, bool]]:
    found = world.calendars[name].records.values()
    return sorted((r.fields["summary"], "recurrence" in r.fields and not r.fields["recurrence"].empty) for r in found)


def statuses(world: World) -> list[tuple[str, str]]:
    return sorted((str(a["subject"]), str(a["status"])) for a in world.activities)


def test_the_edited_appointment_is_made_again_as_an_entry_of_its_own() -> None:
    world = of_singles("ann")
    gone_and_edited(world)
    rest(world)
    assert shown(world) == [("Edited", False)]
    assert statuses(world) == [("Edited", "open"), ("Weekly", "rejected"), ("Weekly", "rejected")]
    world.crm.edit(second(world), subject="Once more")
    rest(world)
    assert shown(world) == [("Once more", False)]
    (ref,) = world.calendars["ann"].records
    world.calendars["ann"].edit(ref, location="Here")
    rest(world)
    assert world.crm.records[second(world)].fields["location"] == "Here"
    world.calendars["ann"].remove(ref)
    rest(world)
    assert {status for _, status in statuses(world)} == {"rejected"}


@pytest.mark.parametrize("passes", [0, 1, 4])
def test_a_series_that_is_back_makes_no_doubles(passes: int) -> None:
    world = of_singles("ann")
    item = world.calendars["ann"].records["e1"]
    gone_and_edited(world, passes)
    world.calendars["ann"].bring_back(item, same_version=passes == 1)
    rest(world)
    assert len(world.activities) == 3
    assert shown(world) == [("Weekly", True)]
    assert {status for _, status in statuses(world)} == {"open"}
    (series,) = world.calendars["ann"].records.values()
    overrides = [dict(o) for o in series.fields["recurrence"].overrides.values()]
    assert statuses(world)[0][0] == "Edited"
    assert overrides == [{"summary": "Edited"}]
    assert series.fields["recurrence"].exdates == frozenset()


@pytest.mark.parametrize("passes", [0, 1, 4])
@pytest.mark.parametrize("where", ["home", "bob"])
def test_a_series_that_moves_while_the_crm_works_on_one_of_it(where: str, passes: int) -> None:
    world = two_calendars("bob")
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", "e1", uid="u", summary="Weekly", recurrence=SERIES)
    rest(world)
    gone_and_edited(world, passes)
    world.event(where, "f1", uid="u", summary="Weekly", recurrence=SERIES)
    rest(world)
    assert len(world.activities) == 3
    assert {status for _, status in statuses(world)} == {"open"}
    assert shown(world) == []
    assert shown(world, where) == [("Weekly", True)]


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("where", ["ann", "home"])
def test_a_series_that_is_back_when_its_stand_in_was_deleted(where: str, passes: int) -> None:
    world = two_calendars()
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", "e1", uid="u", summary="Weekly", recurrence=SERIES)
    rest(world)
    item = world.calendars["ann"].records["e1"]
    gone_and_edited(world, 4)
    (copy,) = world.calendars["ann"].records
    world.calendars["ann"].remove(copy)
    for _ in range(passes):
        world.sync()
    if where == "ann":
        world.calendars["ann"].bring_back(item, same_version=False)
    else:
        world.event("home", "f1", uid="u", summary="Weekly", recurrence=SERIES)
    rest(world)
    assert len(world.activities) == 3
    assert {status for _, status in statuses(world)} == {"open"}
    assert shown(world, where) == [("Weekly", True)]
    assert shown(world, "home" if where == "ann" else "ann") == []


@pytest.mark.grid
@pytest.mark.parametrize("passes", [0, 1, 4])
@pytest.mark.parametrize("where", ["home", "bob"])
@pytest.mark.parametrize("hours", [2, 7 * 24])
def test_a_series_that_was_moved_in_time_before_is_known_where_it_goes(hours: int, where: str, passes: int) -> None:
    """Soak, seed 9820129."""
    world = two_calendars("bob")
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", "e1", uid="u", summary="Weekly", recurrence=SERIES)
    rest(world)
    later = span(MON + timedelta(hours=hours))
    world.calendars["ann"].edit("e1", time=later)
    rest(world)
    before = {ref for ref, r in world.crm.records.items() if r.fields["status"] == "open"}
    assert len(before) == 3
    gone_and_edited(world, passes)
    world.event(where, "f1", uid="u", summary="Weekly", time=later, recurrence=SERIES)
    rest(world)
    assert {ref for ref, r in world.crm.records.items() if r.fields["status"] == "open"} == before
    assert shown(world) == []
    assert shown(world, where) == [("Weekly", True)]
