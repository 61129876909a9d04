"""What fresh minds found in the second trial, each as its shortest story. (Dates of series: test_dates.py.)"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from syncd.engine.pairing import Pairing
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.ports import Gone, PortError
from syncd.store.journal import parked
from tests.unit.test_cases import DAY, only, passed, two_calendars, with_mapping
from tests.unit.test_engine import MON, World, span

BOTH = People([Participant("ann@us.example"), Participant("bob@us.example")])
HOUR = timedelta(hours=1)


def shown(world: World) -> str:
    """All that somebody can read in the CRM."""
    return repr(world.activities) + repr(world.crm.history)


def settled(world: World) -> None:
    for _ in range(3):
        world.sync()
    world.quiet()


def shared(world: World, ann: str, bob: str) -> None:
    """Ann's meeting, in her calendar and in Bob's, each with a note of its own."""
    for who, words in (("ann", ann), ("bob", bob)):
        world.event(who, f"e-{who}", uid="shared", owner="ann@us.example", attendees=BOTH, description=words)
    settled(world)


# -- shared meetings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("policy", ["quiet", "tell"])
def test_a_meeting_deleted_in_the_crm_does_not_come_back_from_a_colleagues_copy(
    order: tuple[str, str], policy: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, guests=policy)
    shared(world, "", "")
    world.crm.remove(only(world))
    settled(world)
    assert world.items("ann") == []
    assert world.activities == []


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_a_meeting_that_its_organiser_deletes_stays_off_while_a_colleague_has_the_invitation(
    order: tuple[str, str],
) -> None:
    world = World(*order)
    shared(world, "", "")
    world.calendars["ann"].remove("e-ann")
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    world.crm.edit(only(world), status="open")  # somebody says that it takes place all the same
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_the_organisers_words_count_whoever_is_read_first(order: tuple[str, str]) -> None:
    world = World(*order)
    shared(world, "organiser's words", "bob's diagnosis")
    assert world.items("ann")[0]["description"] == "organiser's words"
    assert world.activities[0]["notes"] == "organiser's words"
    assert world.items("bob")[0]["description"] == "bob's diagnosis"


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("who", ["ann", "bob"])
def test_of_a_shared_meeting_that_becomes_private_no_word_of_that_copy_stays(order: tuple[str, str], who: str) -> None:
    world = World(*order)
    shared(world, "please come", "please come")
    world.calendars[who].edit(f"e-{who}", description="my diagnosis")
    settled(world)
    world.calendars[who].edit(f"e-{who}", sensitivity="private")
    settled(world)
    assert "diagnosis" not in shown(world)
    assert "diagnosis" not in repr(world.items("bob" if who == "ann" else "ann"))


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_words_that_lost_when_the_other_copy_was_read_first_are_taken_back_too(who: str) -> None:
    world = World("bob", "ann")
    notes = {"ann": "please come", "bob": "please come"} | {who: "my diagnosis"}
    shared(world, notes["ann"], notes["bob"])
    world.calendars[who].edit(f"e-{who}", sensitivity="private")
    settled(world)
    assert "diagnosis" not in shown(world) + repr(world.items("bob" if who == "ann" else "ann"))


# -- privacy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["calendar", "crm"])
def test_a_private_occurrence_stays_private_when_the_crm_makes_the_series_private_and_public_again(origin: str) -> None:
    world = World("ann")
    weekly = Recurrence("FREQ=WEEKLY;COUNT=5")
    if origin == "calendar":
        world.event("ann", recurrence=weekly)
    else:
        world.appointment(recurrence=weekly)
    settled(world)
    (ref,) = world.calendars["ann"].records
    secret: dict[str, Any] = {"20261207T100000Z": MappingProxyType({"summary": "SECRET", "sensitivity": "private"})}
    world.calendars["ann"].edit(ref, recurrence=replace(weekly, overrides=MappingProxyType(secret)))
    settled(world)
    for private in (True, False):
        world.crm.edit(only(world), private=private)
        settled(world)
        assert "SECRET" not in shown(world)
        (item,) = world.items("ann")
        held = item["recurrence"]
        assert isinstance(held, Recurrence)
        assert held.overrides["20261207T100000Z"]["summary"] == "SECRET"
        assert held.overrides["20261207T100000Z"]["sensitivity"] == "private"


# -- moved ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_what_moves_to_a_colleague_at_another_hour_while_the_crm_renames_it_is_one(order: tuple[str, str]) -> None:
    world = World(*order)
    world.event("ann")
    world.quiet()
    world.crm.edit(only(world), subject="Renamed")
    held = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.calendars["bob"].put("e1", "event", {**held.fields, "time": span(MON + HOUR)}, uid=held.uid)
    settled(world)
    assert world.items("ann") == []
    assert [(i["summary"], i["time"]) for i in world.items("bob")] == [("Renamed", span(MON + HOUR))]
    assert len(world.activities) == 1


def test_what_was_private_before_it_moved_has_nothing_more_to_be_taken_back() -> None:
    world = two_calendars()
    world.event("home", uid="u", summary="Mine")
    world.quiet()
    world.crm.edit(only(world), subject="Ours")
    world.calendars["home"].edit("e1", sensitivity="private")
    settled(world)
    held = world.calendars["home"].records["e1"]
    world.calendars["home"].remove("e1")
    world.calendars["ann"].put("a1", "event", dict(held.fields), uid="u")
    settled(world)
    assert [r.redacted for r in world.sync(full=True)] == [0, 0]


# -- who is away ------------------------------------------------------------------------------------------------------


def away(world: World, who: str) -> Pairing:
    """The employee is taken out of the configuration."""
    gone = next(p for p in world.pairings if p.id == who)
    world.pairings.remove(gone)
    return gone


def test_an_employee_who_is_taken_out_and_put_back_sees_what_the_crm_did_meanwhile() -> None:
    world = World("ann", "bob")
    for ref in ("moved", "deleted", "private"):
        world.appointment(ref, subject=ref, participants=BOTH)
    settled(world)
    bob = away(world, "bob")
    world.crm.edit("moved", time=span(MON + DAY))
    world.crm.remove("deleted")
    world.crm.edit("private", subject="Doctor", private=True)
    world.appointment("new", subject="new", participants=BOTH)
    settled(world)
    world.pairings.append(bob)
    settled(world)
    assert sorted((i["summary"], i["time"]) for i in world.items("bob")) == [
        ("moved", span(MON + DAY)),
        ("new", span()),
    ]


def test_two_services_on_one_store_each_with_its_own_employees_miss_nothing() -> None:
    world = World("ann", "bob")
    world.appointment("a1", subject="First", participants=BOTH)
    settled(world)
    ann, bob = world.pairings
    for subject in ("Second", "Third"):
        world.crm.edit("a1", subject=subject)
        for alone in ([ann], [bob]):
            world.pairings = list(alone)
            world.sync()
        assert [i["summary"] for who in ("ann", "bob") for i in world.items(who)] == [subject, subject]


@pytest.mark.parametrize("full", [False, True])
def test_what_the_crm_changed_while_the_account_was_read_only_crosses_when_it_is_not(full: bool) -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    calendar = world.calendars["ann"]
    calendar.caps = replace(calendar.caps, writable=False)
    world.crm.edit(only(world), location="Room 7")
    settled(world)
    calendar.caps = replace(calendar.caps, writable=True)
    world.sync(full=full)
    assert world.items("ann")[0]["location"] == "Room 7"
    world.quiet()


# -- a server that contradicts itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["delete", "cancel"])
def test_an_entry_that_is_listed_and_not_shown_is_parked_and_nothing_is_deleted(gone: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, deletions={"item-gone": gone})
    world.event("ann", summary="Kept")
    world.event("ann", "e2", summary="Other", time=span(MON + DAY))
    world.quiet()
    calendar = world.calendars["ann"]
    real = calendar.fetch

    def broken(refs: Any) -> dict[str, Record | PortError]:
        return {ref: Gone("404") if ref == "e1" else found for ref, found in real(refs).items()}

    calendar.fetch = broken  # type: ignore[method-assign]
    calendar.edit("e1", location="Roof")
    calendar.edit("e2", location="Hall")
    settled(world)
    with world.store.reading() as tx:
        assert [p.ref for p in parked(tx)] == ["e1"]
    assert sorted((a["subject"], a["status"], a["location"]) for a in world.activities) == [
        ("Kept", "open", ""),
        ("Other", "open", "Hall"),
    ]
    calendar.fetch = real  # type: ignore[method-assign]
    passed(world, "ann", full=True)
    assert {a["location"] for a in world.activities} == {"Roof", "Hall"}
    with world.store.reading() as tx:
        assert parked(tx) == []


def test_an_entry_that_is_not_shown_when_its_activity_changes_is_parked(tmp_path: Path) -> None:
    world = World("ann")
    world.event("ann", summary="Kept")
    world.quiet()
    calendar = world.calendars["ann"]
    real = calendar.fetch
    calendar.fetch = lambda refs: {ref: Gone("404") for ref in refs}  # type: ignore[method-assign]
    world.crm.edit(only(world), location="Hall")
    settled(world)
    assert [(a["status"], a["location"]) for a in world.activities] == [("open", "Hall")]
    with world.store.reading() as tx:
        assert [p.side for p in parked(tx)] == ["crm"]
    calendar.fetch = real  # type: ignore[method-assign]
    passed(world, "ann", full=True)
    assert [i["location"] for i in world.items("ann")] == ["Hall"]
    with world.store.reading() as tx:
        assert parked(tx) == []


def test_an_entry_that_goes_between_the_list_and_the_reading_is_gone() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    calendar = world.calendars["ann"]
    calendar.edit("e1", location="Roof")

    def between(when: str, call: str) -> None:
        if (when, call) == ("before", "fetch") and "e1" in calendar.records:
            calendar.remove("e1")

    calendar.gate = between
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    with world.store.reading() as tx:
        assert parked(tx) == []
