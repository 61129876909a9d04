"""What was left after the second trial, and what the third one found, each as its shortest story."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.model.people import Participant, People
from tests.unit.test_cases import DAY, only, two_calendars
from tests.unit.test_engine import MON, World

#: Somebody else's meeting, to which Ann, and in one story Bob, is invited.
GUESTS = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("eve@cust.example")])


def settled(world: World) -> None:
    for _ in range(3):
        world.sync()
    world.quiet()


def invitation(ref: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return ref, {"uid": "theirs", "owner": "eve@cust.example", "attendees": GUESTS, **fields}


# -- an invitation whose activity somebody deleted ---------------------------------------------------------------------


@pytest.mark.parametrize("passes", [0, 1, 3])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("who", [("ann",), ("ann", "bob")])
def test_an_invitation_whose_activity_was_deleted_does_not_come_back_under_another_ref(
    passes: int, changed: bool, who: tuple[str, ...]
) -> None:
    world = World(*who)
    for name in who:
        ref, fields = invitation(f"e-{name}")
        world.event(name, ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    for name in who:
        world.calendars[name].remove(f"e-{name}")
    for _ in range(passes):
        world.sync()
    for name in who:
        ref, fields = invitation(f"again-{name}", **({"subject": "Agenda"} if changed else {}))
        world.event(name, ref, **fields)
    settled(world)
    assert world.activities == []


@pytest.mark.parametrize("at_once", [False, True])
def test_an_invitation_whose_activity_was_deleted_does_not_come_back_when_it_was_private_for_a_while(
    at_once: bool,
) -> None:
    world = World("ann")
    ref, fields = invitation("e1")
    world.event("ann", ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    if not at_once:
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    world.calendars["ann"].edit("e1", sensitivity="public")
    settled(world)
    assert world.activities == []


def test_an_invitation_whose_activity_was_deleted_does_not_come_back_from_the_employees_other_calendar() -> None:
    world = two_calendars()
    ref, fields = invitation("e1")
    world.event("ann", ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    ref, fields = invitation("h1")
    world.event("home", ref, **fields)
    settled(world)
    assert world.activities == []


def test_an_invitation_that_arrives_at_a_colleagues_later_does_not_bring_back_what_was_deleted() -> None:
    world = World("ann", "bob")
    ref, fields = invitation("e1")
    world.event("ann", ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    ref, fields = invitation("f1")
    world.event("bob", ref, **fields)
    settled(world)
    assert world.activities == []


def test_an_own_meeting_that_was_deleted_on_both_sides_may_be_made_again() -> None:
    world = World("ann")
    world.event("ann", "e1", uid="mine", start=MON + DAY)
    settled(world)
    world.crm.remove(only(world))
    world.calendars["ann"].remove("e1")
    settled(world)
    world.event("ann", "e2", uid="mine", start=MON + DAY)
    settled(world)
    assert len(world.activities) == 1
