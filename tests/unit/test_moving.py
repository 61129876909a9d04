"""What moves between calendars and people while other things happen to it, and what a side held alone until it might
cross: found by long runs of the property tests, kept here as the shortest story of each.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.engine.occurrences import rekeyed
from syncd.model.recurrence import Recurrence
from syncd.store.journal import decisions, parked
from tests.unit.test_cases import DAY, only, passed, two_calendars, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span
from tests.unit.test_sixth_trial import people


def test_an_item_that_is_edited_in_the_crm_in_the_instant_in_which_it_moves_is_not_doubled() -> None:
    world = World("ann", "bob")
    world.event("ann", uid="u", summary="Handed over", location="Room 7")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Handed over", location="Room 7")
    world.crm.edit(only(world), location="Room 8")
    passed(world, "ann")
    for _ in range(3):
        world.sync()
    assert [a["subject"] for a in world.activities] == ["Handed over"]
    assert [i["location"] for i in world.items("bob")] == ["Room 8"]
    assert world.items("ann") == []
    world.quiet()
    with world.store.reading() as tx:
        (row,) = tx.rows_by_ref("crm", [only(world)]).values()
        assert "create the item" in [d["rule"] for d in decisions(tx, row.id)]


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_what_moves_to_a_colleague_is_not_deleted_with_the_activity_that_went_before(
    order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, deletions={"item-gone": "delete"})
    world.event("ann", uid="u", summary="Handed over")
    world.quiet()
    world.calendars["ann"].remove("e1")
    passed(world, "ann")
    assert world.activities == []
    world.event("bob", "b1", uid="u", summary="Handed over")
    for _ in range(3):
        world.sync()
    assert [i["summary"] for i in world.items("bob")] == ["Handed over"]
    assert [a["subject"] for a in world.activities] == ["Handed over"]
    world.quiet()


def test_what_moves_within_a_calendar_is_not_deleted_with_the_activity_that_went_before(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, deletions={"item-gone": "delete"})
    world.event("ann", uid="u", summary="Mine")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.sync()
    world.event("ann", "e2", uid="u", summary="Mine")
    world.sync()
    assert [i["summary"] for i in world.items("ann")] == ["Mine"]
    assert [a["subject"] for a in world.activities] == ["Mine"]
    world.quiet()


@pytest.mark.parametrize("first", ["ann", "home"])
def test_what_moves_to_ones_other_calendar_and_becomes_private_there_is_taken_back(first: str) -> None:
    world = two_calendars()
    world.event("home", uid="u", summary="Mine", location="Known place")
    world.quiet()
    world.crm.edit(only(world), priority=1)  # somebody works with it, so it would be made again
    world.calendars["home"].remove("e1")
    world.event("ann", "a1", uid="u", summary="Secret", sensitivity="private")
    passed(world, first)
    for _ in range(2):
        world.sync()
    assert "Mine" not in repr(world.activities)
    assert "Known place" not in repr(world.activities)


def test_a_stranger_who_is_given_the_uid_of_what_has_just_gone_is_no_heir() -> None:
    world = World("ann", "bob")
    world.event("ann", uid="u", summary="Dentist", location="Ring 3")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Parcel", time=span(MON + 3 * DAY))
    for _ in range(3):
        world.sync()
    assert sorted((a["subject"], a["status"]) for a in world.activities) == [
        ("Dentist", "rejected"),
        ("Parcel", "open"),
    ]


def test_an_activity_that_carries_a_uid_is_not_adopted_and_let_go_in_turn() -> None:
    """Bob had it first, it went to Ann, and now his booking system gives its number to something else."""
    world = World("ann", "bob")
    world.event("bob", uid="u", summary="Handed over")
    world.quiet()
    world.calendars["bob"].remove("e1")
    world.event("ann", "a1", uid="u", summary="Handed over")
    for _ in range(3):
        world.sync()
    world.event("bob", "b2", uid="u", summary="Parcel", time=span(MON + 3 * DAY))
    for _ in range(4):
        world.sync()
    assert sorted((a["subject"], a["status"]) for a in world.activities) == [
        ("Handed over", "open"),
        ("Parcel", "open"),
    ]
    world.quiet()


def test_an_item_that_a_condition_left_out_is_asked_for_too(tmp_path: Path) -> None:
    world = with_mapping(World("bob", "ann"), tmp_path, exclude=[{"category": ["Skip"]}])
    world.event("ann", uid="u", summary="Handed over", categories=frozenset())
    world.quiet()
    world.calendars["ann"].edit("e1", categories=frozenset({"Skip"}))
    world.sync()
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Handed over", categories=frozenset())
    for _ in range(3):
        world.sync()
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Handed over", "open")]


@pytest.mark.parametrize("to", ["ann", "bob"])
def test_what_lies_beyond_the_window_where_it_has_moved_to_is_not_deleted_once_that_reaches_it(
    to: str, tmp_path: Path
) -> None:
    """A clock that was wrong for one pass. The activity went with the entry when that left its first calendar: nobody
    has deleted it in the CRM."""
    window = {"past": "90d", "future": "60d"}
    world = with_mapping(World("ann", "bob"), tmp_path, window=window, deletions={"item-gone": "delete"})
    world.event("ann", uid="u", summary="Handed over")
    settled(world)
    world.calendars["ann"].remove("e1")
    passed(world, "ann")
    assert world.activities == []
    world.event(to, "b1", uid="u", summary="Handed over")
    world.now -= timedelta(days=80)
    passed(world, to)
    world.now += timedelta(days=80)
    settled(world)
    world.sync(full=True)
    settled(world)
    assert [i["summary"] for i in world.items(to)] == ["Handed over"]
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Handed over", "open")]
    world.quiet()


def test_a_colleagues_server_may_be_out_of_order_for_hours_and_what_moved_is_still_one() -> None:
    world = World("bob", "ann")
    world.event("ann", uid="u", summary="Handed over")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Handed over")
    for _ in range(6):
        passed(world, "bob")
        world.now += timedelta(hours=2)
    assert [a["subject"] for a in world.activities] == ["Handed over"]
    for _ in range(3):
        world.sync()
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Handed over", "open")]


def test_a_series_of_single_activities_that_moves_to_a_colleague_is_asked_for_at_once() -> None:
    world = World("bob", "ann")
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", uid="u", summary="Handed over", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    world.quiet()
    before = set(world.crm.records)
    assert len(before) == 3
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Handed over", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    for _ in range(4):
        world.sync()
    assert set(world.crm.records) == before
    assert {a["status"] for a in world.activities} == {"open"}


def test_a_series_that_is_moved_half_out_of_the_window_cancels_nothing() -> None:
    world = World("ann")
    world.crm.caps = replace(world.crm.caps, series="none")
    world.event("ann", summary="Review", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    world.quiet()
    before = set(world.crm.records)
    ahead = world.pairings[0].lens.mapping.window.future  # the last two of the four are behind it
    world.calendars["ann"].edit("e1", time=span(MON + timedelta(days=(ahead.days if ahead else 365) - 18)))
    world.sync()
    assert set(world.crm.records) == before
    assert {a["status"] for a in world.activities} == {"open"}


def test_of_a_series_of_which_something_stays_only_as_many_are_matched_as_are_new() -> None:
    bounds = (MON, MON + 90 * DAY)
    days = [f"202612{d:02}T100000Z" for d in (7, 14, 21, 28)]
    assert rekeyed(days, [days[0], "20261222T100000Z"], [], frozenset(), bounds) == {}
    moved = ["20261208T100000Z", "20261215T100000Z"]
    later = ["20270322T100000Z", "20270329T100000Z"]
    assert rekeyed(days, moved, later, frozenset(), bounds) == dict(zip(days, moved + later, strict=True))


# -- what stood on one side alone -------------------------------------------------------------------------------------


def test_what_was_changed_in_the_crm_under_a_block_of_time_crosses_once_the_item_is_public(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.event("ann", sensitivity="private", summary="Doctor")
    world.quiet()
    world.crm.edit(only(world), time=span(MON + DAY))
    world.sync()
    assert world.items("ann")[0]["time"] == span()
    world.calendars["ann"].edit("e1", sensitivity="public", summary="Lunch")
    world.sync()
    assert world.items("ann")[0]["time"] == world.activities[0]["time"] == span(MON + DAY)
    assert world.items("ann")[0]["summary"] == world.activities[0]["subject"] == "Lunch"
    world.quiet()


def test_what_was_changed_in_the_crm_while_the_account_was_read_only_crosses_once_it_is_not() -> None:
    world = World("ann")
    world.event("ann", categories=frozenset({"A"}))
    world.quiet()
    caps = world.calendars["ann"].caps
    world.calendars["ann"].caps = replace(caps, writable=False)
    world.crm.edit(only(world), subject="In the CRM", categories=frozenset({"A", "B"}))
    world.sync()
    assert world.items("ann")[0]["summary"] == "Meeting"
    world.quiet()
    world.calendars["ann"].caps = caps
    world.calendars["ann"].edit("e1", location="There")
    world.sync()
    item = world.items("ann")[0]
    assert (item["summary"], item["location"], item["categories"]) == ("In the CRM", "There", frozenset({"A", "B"}))
    assert world.activities[0]["location"] == "There"
    world.quiet()


def test_what_both_sides_changed_alone_is_a_conflict_and_the_loser_is_kept() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    caps = world.calendars["ann"].caps
    world.calendars["ann"].caps = replace(caps, writable=False)
    world.crm.edit(only(world), subject="In the CRM")
    world.sync()
    world.calendars["ann"].caps = caps
    world.calendars["ann"].edit("e1", summary="In the calendar")
    world.now += timedelta(hours=1)
    world.sync()
    assert world.items("ann")[0]["summary"] == world.activities[0]["subject"]
    lost = {"In the CRM", "In the calendar"} - {world.activities[0]["subject"]}
    assert lost <= set(world.crm.remembered)
    world.quiet()


# -- what comes back ---------------------------------------------------------------------------------------------------


def test_a_copy_brought_back_under_the_version_of_our_write_opens_the_activity_again() -> None:
    world = World("ann")
    ref = world.appointment()
    world.quiet()
    (item,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove(item.ref)
    world.sync()
    assert world.activities[0]["status"] == "rejected"
    world.calendars["ann"].bring_back(item, same_version=True)
    world.sync()
    assert world.crm.records[ref].fields["status"] == "open"
    world.quiet()


def test_a_private_item_whose_activity_was_deleted_meanwhile_shows_its_block_at_once(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.event("ann", summary="Lunch")
    world.quiet()
    world.calendars["ann"].edit("e1", sensitivity="private", summary="Doctor")
    world.crm.remove(only(world))
    world.sync()
    world.sync()
    assert len(world.activities) == 1
    assert "Doctor" not in repr(world.activities) and "Lunch" not in repr(world.activities)
    world.quiet()
    assert [r.writes for r in world.sync(full=True)] == [0]


def test_two_copies_in_one_calendar_are_a_persons_question() -> None:
    """Moved away, edited in the CRM, so a copy stood in its place; and moved back at once."""
    world = two_calendars()
    world.event("home", uid="u", summary="Mine")
    world.quiet()
    world.calendars["home"].remove("e1")
    world.crm.edit(only(world), subject="Mine, edited")
    passed(world, "home")
    world.event("home", "h2", uid="u", summary="Mine")
    passed(world, "home")
    with world.store.reading() as tx:
        assert all("delete one of the two" in p.reason for p in parked(tx))
    assert len(world.activities) == 1


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("edited", ["", "with it", "after"])
@pytest.mark.parametrize("part", [("ann",), ("ann", "bob")])
@pytest.mark.parametrize("invited", [(), ("ann",)])
def test_whoever_takes_part_in_what_came_from_a_colleague_ends_it_for_nobody_else(
    order: tuple[str, str], edited: str, part: tuple[str, ...], invited: tuple[str, ...]
) -> None:
    """Bob's entry is in Ann's calendar now, and the CRM says that she takes part: deleted, it is her answer."""
    world = World(*order)
    world.event("bob", "b1", uid="u", summary="Visit", attendees=people(*invited))
    settled(world)
    ref = only(world)
    if "bob" in part:
        world.crm.edit(ref, participants=people(*part))
        settled(world)
    world.calendars["bob"].remove("b1")
    world.event("ann", "a1", uid="u", summary="Visit")
    if edited == "with it":
        world.crm.edit(ref, location="There")
    settled(world)
    if "bob" not in part:
        world.crm.edit(ref, participants=people(*part))
        settled(world)
    if edited == "after":
        world.crm.edit(ref, location="There")
        settled(world)
    for own in list(world.calendars["ann"].records):
        world.calendars["ann"].remove(own)
    settled(world)
    world.sync(full=True)
    settled(world)
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Visit", "open")]
    assert world.items("ann") == []  # and what had been made for her of the CRM's is not back either
    if invited or "bob" not in part:  # else it depends on who is read first whether he has a copy of what he gave away
        assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.quiet()


def test_a_copy_that_was_one_too_many_is_looked_at_as_soon_as_the_other_goes() -> None:
    """Bob has dragged it to Ann while the CRM edited it, so he has it again; then hers goes, into which nothing may be
    written, and another calendar of hers is asked for it first."""
    world = two_calendars("bob")
    world.calendars["ann"].caps = replace(world.calendars["ann"].caps, writable=False)
    world.event("bob", "b1", uid="u", summary="Visit")
    settled(world)
    world.calendars["bob"].remove("b1")
    world.event("ann", "a1", uid="u", summary="Visit")
    world.crm.edit(only(world), location="There")
    passed(world, "bob")
    passed(world, "ann")
    world.calendars["ann"].remove("a1")
    passed(world, "ann")
    world.crm.edit(only(world), notes="Of the CRM")
    for who in ("bob", "home"):
        passed(world, who)
    assert "bob" in passed(world, "ann").again
    passed(world, "bob")
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.quiet()
