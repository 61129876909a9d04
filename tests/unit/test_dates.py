"""The dates of a series: where one side moves it while the other edits, leaves out or brings back an occurrence, and
where an occurrence is its owner's alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import moment_key
from syncd.store.journal import conflicts, decide
from tests.unit.test_cases import DAY, only, passed, waiting, with_mapping
from tests.unit.test_engine import MON, World, span

WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)


def date(number: int, later: timedelta = timedelta(0)) -> str:
    """The original start of an occurrence of the weekly series."""
    return moment_key(MON + number * WEEK + later)


def weekly(exdates: tuple[str, ...] = (), /, **overrides: Any) -> Recurrence:
    held = {key.removeprefix("on_"): MappingProxyType(fields) for key, fields in overrides.items()}
    return Recurrence("FREQ=WEEKLY;COUNT=6", frozenset(), frozenset(exdates), MappingProxyType(held))


def on(key: str) -> str:
    return f"on_{key}"


def series_of(world: World, who: str) -> Recurrence:
    (item,) = world.items(who)
    assert isinstance(item["recurrence"], Recurrence)
    return item["recurrence"]


def held(world: World) -> Recurrence:
    (activity,) = world.activities
    assert isinstance(activity["recurrence"], Recurrence)
    return activity["recurrence"]


def words(recurrence: Recurrence, name: str) -> dict[str, Any]:
    return {key: fields[name] for key, fields in recurrence.overrides.items() if name in fields}


# -- one side moves the series ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [HOUR, DAY, 2 * WEEK + HOUR])
def test_the_calendar_moves_a_series_of_which_the_crm_edits_and_leaves_out_occurrences(later: timedelta) -> None:
    world = World("ann")
    before = weekly((date(1),), **{on(date(2)): {"location": "Room 2"}})
    world.event("ann", summary="Review", recurrence=before)
    world.quiet()
    was = held(world)
    world.calendars["ann"].edit("e1", time=span(MON + later))
    edited = weekly((date(1), date(4)), **{on(date(2)): {"location": "Room 22"}, on(date(3)): {"subject": "Third"}})
    world.crm.edit(only(world), recurrence=edited)
    assert was.exdates == {date(1)}
    world.sync()
    world.sync()
    for recurrence, name in ((held(world), "subject"), (series_of(world, "ann"), "summary")):
        assert recurrence.exdates == {date(1, later), date(4, later)}
        assert words(recurrence, "location") == {date(2, later): "Room 22"}
        assert words(recurrence, name) == {date(3, later): "Third"}
    assert world.activities[0]["time"] == span(MON + later)
    world.quiet()


@pytest.mark.parametrize("later", [HOUR, DAY, 2 * WEEK + HOUR])
def test_the_crm_moves_a_series_of_which_the_calendar_edits_and_leaves_out_occurrences(later: timedelta) -> None:
    world = World("ann")
    world.event("ann", summary="Review", recurrence=weekly((date(1),), **{on(date(2)): {"location": "Room 2"}}))
    world.quiet()
    world.crm.edit(only(world), time=span(MON + later))
    edited = weekly((date(1), date(4)), **{on(date(2)): {"location": "Room 22"}, on(date(3)): {"summary": "Third"}})
    world.calendars["ann"].edit("e1", recurrence=edited)
    world.sync()
    world.sync()
    for recurrence, name in ((held(world), "subject"), (series_of(world, "ann"), "summary")):
        assert recurrence.exdates == {date(1, later), date(4, later)}
        assert words(recurrence, "location") == {date(2, later): "Room 22"}
        assert words(recurrence, name) == {date(3, later): "Third"}
    assert world.items("ann")[0]["time"] == span(MON + later)
    world.quiet()


@pytest.mark.parametrize("side", ["calendar", "crm"])
def test_an_occurrence_that_is_restored_while_the_other_side_moves_the_series_is_there_again(side: str) -> None:
    world = World("ann")
    world.event("ann", recurrence=weekly((date(1), date(3))))
    world.quiet()
    if side == "calendar":
        world.calendars["ann"].edit("e1", recurrence=weekly((date(3),)))
        world.crm.edit(only(world), time=span(MON + HOUR))
    else:
        world.crm.edit(only(world), recurrence=weekly((date(3),)))
        world.calendars["ann"].edit("e1", time=span(MON + HOUR))
    world.sync()
    world.sync()
    assert held(world).exdates == series_of(world, "ann").exdates == {date(3, HOUR)}
    world.quiet()


def test_both_move_a_series_of_which_each_leaves_out_a_date() -> None:
    """Whose time holds, the dates of both are left out there."""
    world = World("ann")
    world.event("ann", recurrence=weekly((date(1),)))
    world.quiet()
    world.crm.edit(only(world), time=span(MON + HOUR))
    world.crm.edit(only(world), recurrence=weekly((date(1, HOUR), date(2, HOUR))))
    world.now += timedelta(hours=1)
    world.calendars["ann"].edit("e1", time=span(MON + 2 * HOUR))
    world.calendars["ann"].edit("e1", recurrence=weekly((date(1, 2 * HOUR), date(3, 2 * HOUR))))
    world.sync()
    world.sync()
    every = {date(n, 2 * HOUR) for n in (1, 2, 3)}
    assert held(world).exdates == series_of(world, "ann").exdates == every
    world.quiet()


def test_a_series_that_begins_a_week_later_keeps_the_dates_that_are_left_out() -> None:
    """Its dates did not move with it: the calendar's word on which date is left out counts in the CRM as well."""
    world = World("ann")
    world.event("ann", recurrence=weekly((date(2),), **{on(date(4)): {"summary": "Special"}}))
    world.quiet()
    kept = weekly((date(2),), **{on(date(4)): {"summary": "Special"}})
    world.calendars["ann"].edit("e1", time=span(MON + WEEK), recurrence=kept)
    world.sync()
    world.sync()
    assert held(world).exdates == series_of(world, "ann").exdates == {date(2)}
    assert words(held(world), "subject") == words(series_of(world, "ann"), "summary") == {date(4): "Special"}
    world.quiet()


def test_a_date_left_out_in_the_crm_is_that_date_when_the_calendar_lets_the_series_begin_a_week_later() -> None:
    world = World("ann")
    world.event("ann", recurrence=weekly())
    world.quiet()
    world.calendars["ann"].edit("e1", time=span(MON + WEEK))
    world.crm.edit(only(world), recurrence=weekly((date(3),)))
    world.sync()
    world.sync()
    assert held(world).exdates == series_of(world, "ann").exdates == {date(3)}
    world.quiet()


@pytest.mark.parametrize("take", ["crm", "groupware"])
def test_a_person_is_asked_about_one_occurrence_and_the_others_cross(take: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, conflicts={"default": "ask"})
    world.event("ann", recurrence=weekly(**{on(date(1)): {"location": "Room 1"}}))
    world.quiet()
    here = weekly(**{on(date(1)): {"location": "Here"}, on(date(2)): {"summary": "Second"}})
    there = weekly(**{on(date(1)): {"location": "There"}, on(date(3)): {"subject": "Third"}})
    world.calendars["ann"].edit("e1", recurrence=here)
    world.crm.edit(only(world), recurrence=there)
    world.sync()
    world.sync()
    with world.store.reading() as tx:
        (asked,) = conflicts(tx)
    assert asked.field == "recurrence"
    assert ("Here" in asked.item_value, "There" in asked.crm_value) == (True, True)
    assert "Second" not in asked.item_value
    assert words(held(world), "location") == {date(1): "There"}
    assert words(series_of(world, "ann"), "location") == {date(1): "Here"}
    for recurrence, name in ((held(world), "subject"), (series_of(world, "ann"), "summary")):
        assert words(recurrence, name) == {date(2): "Second", date(3): "Third"}
    with world.store.transaction() as tx:
        decide(tx, asked.id, take)
    world.sync(full=True)
    taken = {date(1): "There" if take == "crm" else "Here"}
    assert words(held(world), "location") == words(series_of(world, "ann"), "location") == taken
    with world.store.reading() as tx:
        assert conflicts(tx) == []
    world.quiet()


def test_dates_wait_for_a_persons_word_on_the_time_of_their_series(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, conflicts={"default": "ask"})
    world.event("ann", recurrence=weekly((date(1),)))
    world.quiet()
    world.calendars["ann"].edit("e1", time=span(MON + HOUR))
    world.crm.edit(only(world), time=span(MON + 2 * HOUR))
    world.crm.edit(only(world), recurrence=weekly((date(1, 2 * HOUR), date(2, 2 * HOUR))))
    world.sync()
    world.sync()
    assert series_of(world, "ann").exdates == {date(1, HOUR)}
    assert held(world).exdates == {date(1, 2 * HOUR), date(2, 2 * HOUR)}
    with world.store.transaction() as tx:
        (asked,) = conflicts(tx)
        decide(tx, asked.id, "groupware")
    world.sync(full=True)
    world.sync()
    assert held(world).exdates == series_of(world, "ann").exdates == {date(1, HOUR), date(2, HOUR)}
    world.quiet()


def test_while_a_move_waits_for_the_guests_the_calendars_dates_go_to_the_right_occurrences() -> None:
    world = World("ann")
    guests = People([Participant("ann@us.example"), Participant("guest@them.example")])
    world.event("ann", owner="ann@us.example", attendees=guests, recurrence=weekly((date(1),)))
    world.quiet()
    world.crm.edit(only(world), time=span(MON + HOUR))
    world.sync()
    assert waiting(world) == ["recurrence,time"] or waiting(world) == ["time"]
    world.calendars["ann"].edit("e1", recurrence=weekly((date(1), date(3))))
    world.sync()
    world.sync()
    assert held(world).exdates == {date(1, HOUR), date(3, HOUR)}
    assert series_of(world, "ann").exdates == {date(1), date(3)}
    world.calendars["ann"].edit("e1", time=span(MON + HOUR))
    world.sync()
    world.sync()
    assert held(world).exdates == series_of(world, "ann").exdates == {date(1, HOUR), date(3, HOUR)}
    assert waiting(world) == []
    world.quiet()


def takes_place(fields: dict[str, Any]) -> list[str]:
    """The days of a series."""
    found = starts(fields["time"], fields["recurrence"], MON - 99 * DAY, MON + 99 * DAY)
    return [start.strftime("%m-%d") for start in found]


def days_of(world: World) -> tuple[list[str], list[str]]:
    """On which days the series takes place, in the calendar and in the CRM."""
    (item,), (activity,) = world.items("ann"), world.activities
    return takes_place(item), takes_place(activity)


APART = ("a private occurrence", "the field goes up", "the mapping goes up", "a block of time", "a read-only account")


@pytest.mark.parametrize("why", APART)
def test_where_a_time_may_not_cross_each_side_keeps_its_dates_and_the_others_come(why: str, tmp_path: Path) -> None:
    """The CRM moves the series, which stays there; what is left out in the calendar later is that date in the CRM."""
    world = World("ann")
    hidden = {on(date(2)): {"summary": "Doctor", "sensitivity": "private"}} if why == APART[0] else {}
    if why == APART[1]:
        world = with_mapping(world, tmp_path, fields={"time": {"from": "time", "direction": "to-crm"}})
    if why == APART[2]:
        world = with_mapping(world, tmp_path, direction="to-crm")
    if why == APART[3]:
        world = with_mapping(world, tmp_path, privacy={"private": "busy-only"})
    world.event("ann", recurrence=weekly((date(1),), **hidden))
    world.quiet()
    if why == APART[3]:
        world.calendars["ann"].edit("e1", sensitivity="private")
        world.quiet()
    if why == APART[4]:
        world.calendars["ann"].caps = replace(world.calendars["ann"].caps, writable=False)
    world.crm.edit(only(world), time=span(MON + HOUR))
    world.sync()
    world.calendars["ann"].edit("e1", summary="Other")
    world.sync()
    world.calendars["ann"].edit("e1", recurrence=weekly((date(1), date(3)), **hidden))
    world.sync()
    world.sync()
    for shown in days_of(world):
        assert not {"12-07", "12-21"} & {*shown}
    assert world.items("ann")[0]["time"] == span()
    assert world.activities[0]["time"] == span(MON + HOUR)
    world.quiet()
    if why == APART[3]:  # and when it is public again, the two come together
        world.calendars["ann"].edit("e1", sensitivity="public")
        world.sync()
        world.sync()
        here, there = days_of(world)
        assert here == there == ["11-30", "12-14", "12-28", "01-04"]
        assert world.items("ann")[0]["time"] == span(MON + HOUR)
        world.quiet()


@pytest.mark.parametrize("single", ["calendar", "crm"])
@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=5", "FREQ=WEEKLY;COUNT=6"])
def test_a_series_that_becomes_single_while_the_other_side_works_on_it_stays_whole(single: str, rule: str) -> None:
    world = World("ann")
    world.event("ann", recurrence=weekly((date(1),), **{on(date(2)): {"summary": "Special"}}))
    world.quiet()
    name = "subject" if single == "calendar" else "summary"
    typed = weekly((date(1),), **{on(date(2)): {name: "Special"}, on(date(3)): {name: "Typed"}})
    typed = replace(typed, rule=rule)
    if single == "calendar":
        world.calendars["ann"].edit("e1", recurrence=Recurrence())
        world.crm.edit(only(world), recurrence=typed)
    else:
        world.crm.edit(only(world), recurrence=Recurrence())
        world.calendars["ann"].edit("e1", recurrence=typed)
    world.sync()
    world.sync()
    for recurrence, called in ((held(world), "subject"), (series_of(world, "ann"), "summary")):
        assert recurrence.rule == rule
        assert recurrence.exdates == {date(1)}
        assert words(recurrence, called) == {date(2): "Special", date(3): "Typed"}
    world.quiet()


def test_one_leaves_out_the_first_date_and_the_other_lets_the_series_begin_later() -> None:
    world = World("ann")
    world.event("ann", recurrence=weekly())
    world.quiet()
    world.crm.edit(only(world), recurrence=weekly((date(0), date(3))))
    world.calendars["ann"].edit("e1", time=span(MON + WEEK), recurrence=Recurrence("FREQ=WEEKLY;COUNT=5"))
    world.sync()
    world.sync()
    here, there = days_of(world)
    assert here == there == ["12-07", "12-14", "12-28", "01-04"]
    world.quiet()


def test_nothing_waits_for_guests_once_both_sides_show_the_same() -> None:
    world = World("ann")
    guests = People([Participant("ann@us.example"), Participant("guest@them.example")])
    world.event("ann", owner="ann@us.example", attendees=guests, recurrence=weekly((date(5),)))
    world.quiet()
    world.crm.edit(only(world), time=span(MON + HOUR))
    world.sync()
    world.calendars["ann"].edit("e1", recurrence=Recurrence())
    world.sync()
    world.calendars["ann"].edit("e1", time=span(MON + HOUR))
    world.sync()
    world.sync()
    assert world.activities[0]["time"] == world.items("ann")[0]["time"] == span(MON + HOUR)
    assert held(world).empty
    assert waiting(world) == []


# -- an occurrence is its owner's alone -------------------------------------------------------------------------------


def colleagues(tmp_path: Path) -> World:
    """Ann's weekly series in the CRM, in which Bob takes part."""
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": "full", "confidential": "full"})
    people = People([Participant("ann@us.example"), Participant("bob@us.example")])
    world.appointment(subject="Review", participants=people, recurrence=weekly((date(5),)))
    world.quiet()
    return world


SECRET = {"subject": "Doctor", "location": "Clinic", "notes": "Ward 9", "private": True}


def the_colleague_sees_nothing(world: World) -> None:
    assert not [w for w in ("Doctor", "Clinic", "Ward 9") if w in repr(world.items("bob"))]
    assert not [w for w in ("Doctor", "Clinic", "Ward 9") if w in repr(world.calendars["bob"].log[1:])]
    assert date(2) not in series_of(world, "bob").overrides


@pytest.mark.parametrize("where", ["crm", "calendar"])
def test_an_occurrence_that_is_private_is_not_in_a_colleagues_copy(where: str, tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    if where == "crm":
        world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    else:
        (ref,) = world.calendars["ann"].records
        secret = {"summary": "Doctor", "location": "Clinic", "description": "Ward 9", "sensitivity": "private"}
        world.calendars["ann"].edit(ref, recurrence=weekly((date(5),), **{on(date(2)): secret}))
    world.sync()
    world.sync()
    the_colleague_sees_nothing(world)
    assert words(held(world), "subject") == {date(2): "Doctor"}
    assert held(world).exdates == {date(5)}
    assert series_of(world, "ann").exdates == {date(5)}
    assert series_of(world, "bob").exdates == {date(2), date(5)}
    world.quiet()


def test_a_colleague_changes_the_series_and_the_private_occurrence_stays_the_owners(tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    world.quiet()
    (ref,) = world.calendars["bob"].records
    shown = series_of(world, "bob")
    mine = MappingProxyType({**shown.overrides, date(3): MappingProxyType({"location": "Roof"})})
    world.calendars["bob"].edit(ref, recurrence=Recurrence(shown.rule, shown.rdates, shown.exdates, mine))
    world.sync()
    world.sync()
    assert words(held(world), "location") == {date(2): "Clinic", date(3): "Roof"}
    assert words(series_of(world, "ann"), "location") == {date(2): "Clinic", date(3): "Roof"}
    assert held(world).exdates == {date(5)}
    the_colleague_sees_nothing(world)
    world.quiet()


def test_a_colleague_moves_the_series_and_the_private_occurrence_moves_with_it(tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    world.quiet()
    (ref,) = world.calendars["bob"].records
    world.calendars["bob"].edit(ref, time=span(MON + HOUR))
    world.sync()
    world.sync()
    assert world.activities[0]["time"] == span(MON + HOUR)
    assert words(held(world), "subject") == {date(2, HOUR): "Doctor"}
    assert held(world).exdates == {date(5, HOUR)}
    assert words(series_of(world, "ann"), "summary") == {date(2, HOUR): "Doctor"}
    assert series_of(world, "bob").exdates == {date(2, HOUR), date(5, HOUR)}
    the_colleague_sees_nothing(world)
    world.quiet()


def test_a_colleague_moves_the_series_and_edits_an_occurrence_of_it_at_once(tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    world.quiet()
    (ref,) = world.calendars["bob"].records
    world.calendars["bob"].edit(ref, time=span(MON + HOUR))
    shown = series_of(world, "bob")
    mine = MappingProxyType({**shown.overrides, date(3, HOUR): MappingProxyType({"location": "Roof"})})
    world.calendars["bob"].edit(ref, recurrence=Recurrence(shown.rule, shown.rdates, shown.exdates, mine))
    world.sync()
    world.sync()
    assert words(held(world), "location") == {date(2, HOUR): "Clinic", date(3, HOUR): "Roof"}
    assert words(series_of(world, "ann"), "location") == {date(2, HOUR): "Clinic", date(3, HOUR): "Roof"}
    assert words(series_of(world, "bob"), "location") == {date(3, HOUR): "Roof"}
    assert held(world).exdates == {date(5, HOUR)}
    the_colleague_sees_nothing(world)
    world.quiet()


def test_a_colleague_edits_an_occurrence_in_the_instant_in_which_it_becomes_private(tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    (ref,) = world.calendars["bob"].records
    typed = weekly((date(5),), **{on(date(2)): {"location": "Roof"}})
    world.calendars["bob"].edit(ref, recurrence=typed)
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    for who in ("bob", "ann", "bob", "ann"):
        passed(world, who)
    the_colleague_sees_nothing(world)
    assert words(held(world), "subject") == {date(2): "Doctor"}
    assert held(world).exdates == {date(5)}
    world.quiet()


def test_an_occurrence_that_is_public_again_is_in_the_colleagues_copy_again(tmp_path: Path) -> None:
    world = colleagues(tmp_path)
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): SECRET}))
    world.quiet()
    world.crm.edit(only(world), recurrence=weekly((date(5),), **{on(date(2)): {"subject": "Lunch"}}))
    world.sync()
    world.sync()
    assert words(series_of(world, "bob"), "summary") == {date(2): "Lunch"}
    assert series_of(world, "bob").exdates == {date(5)}
    world.quiet()


def test_a_colleague_gets_no_private_occurrence_with_the_copy_that_is_made_for_him(tmp_path: Path) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": "full", "confidential": "full"})
    people = People([Participant("ann@us.example"), Participant("bob@us.example")])
    secret = weekly((date(5),), **{on(date(2)): SECRET})
    world.appointment(subject="Review", participants=people, recurrence=secret)
    world.quiet()
    assert not [w for w in ("Doctor", "Clinic", "Ward 9") if w in repr(world.calendars["bob"].log)]
    assert series_of(world, "bob").exdates == {date(2), date(5)}
    assert words(series_of(world, "ann"), "summary") == {date(2): "Doctor"}
