"""A park ends with its cause, whichever side announces that it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from syncd.ports import Rejected
from syncd.store.journal import parked
from tests.unit.test_engine import MON, World, span


@pytest.fixture
def world() -> Iterator[World]:
    made = World("ann")
    yield made
    made.store.close()


def reasons(world: World) -> list[tuple[str, str]]:
    with world.store.reading() as tx:
        return [(p.side, p.reason) for p in parked(tx)]


def refuses(world: World, side: str, call: str, times: int = 1) -> None:
    """The next calls of that kind are refused."""
    left = [Rejected("no") for _ in range(times)]

    def gate(when: str, name: str) -> None:
        if (when, name) == ("before", call) and left:
            raise left.pop()

    (world.crm if side == "crm" else world.calendars["ann"]).gate = gate


def test_case_e10_what_the_crm_said_is_parked_and_goes_on_when_the_item_shows_it(world: World) -> None:
    world.event("ann")
    world.quiet()
    (ref,) = world.crm.records
    world.crm.edit(ref, subject="Visit")
    refuses(world, "item", "update")
    world.sync()
    assert reasons(world) == [("crm", "no")]
    world.calendars["ann"].edit("e1", summary="Visit")  # somebody makes the same change there
    world.quiet()
    assert reasons(world) == []


def test_case_e10_what_the_item_said_is_parked_and_goes_on_when_the_crm_shows_it(world: World) -> None:
    world.event("ann")
    world.quiet()
    (ref,) = world.crm.records
    world.calendars["ann"].edit("e1", location="Roof")
    refuses(world, "crm", "update")
    world.sync()
    assert reasons(world) == [("item", "no")]
    world.crm.edit(ref, location="Roof")
    world.quiet()
    assert reasons(world) == []


def test_case_e10_a_copy_that_was_refused_and_is_made_later_is_parked_no_longer(world: World) -> None:
    ref = world.appointment()
    refuses(world, "item", "create")
    world.sync()
    assert reasons(world) == [("crm", "no")]
    world.crm.edit(ref, location="Roof")
    world.quiet()
    assert len(world.items("ann")) == 1
    assert reasons(world) == []


def test_case_e10_a_park_ends_when_its_activity_and_its_item_are_gone(world: World) -> None:
    world.event("ann")
    world.quiet()
    (ref,) = world.crm.records
    world.crm.edit(ref, subject="Visit")
    refuses(world, "item", "update")
    world.sync()
    assert len(reasons(world)) == 1
    world.calendars["ann"].remove("e1")
    world.crm.remove(ref)
    world.quiet()
    assert reasons(world) == []


def test_case_e10_what_is_still_refused_stays_parked(world: World) -> None:
    world.event("ann")
    world.event("ann", "e2", summary="Other", time=span(MON + timedelta(days=1)))
    world.quiet()
    first = next(r for r, a in world.crm.records.items() if a.fields["subject"] == "Meeting")
    world.crm.edit(first, subject="Visit")
    refuses(world, "item", "update", times=9)
    world.sync()
    world.calendars["ann"].edit("e1", location="Roof")  # something else of it goes on
    world.sync()
    assert ("crm", "no") in reasons(world)
    world.calendars["ann"].edit("e2", location="Roof")  # and another one is none of its business
    world.sync()
    assert ("crm", "no") in reasons(world)


def test_case_e10_what_is_no_longer_anybodys_business_is_parked_no_longer(world: World) -> None:
    """It was refused before it had a link, and is private to somebody else when it is looked at again."""
    from syncd.store import Parked
    from syncd.store.journal import park

    ref = world.appointment(owner="bob")
    with world.store.transaction() as tx:
        park(tx, Parked("ann", "crm", ref, None, "no", "2026-11-24T12:00:00Z"))
        tx.announce("ann", "crm", [ref])
    world.sync()
    assert reasons(world) == []
