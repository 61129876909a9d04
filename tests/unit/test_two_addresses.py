"""One calendar that is read under two addresses: two accounts of an employee, an alias of the server, a colleague's
calendar that is shared. Nobody can see that from the configuration, and nothing may be lost by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from tests.memory import MemoryReplica
from tests.unit.test_cases import DAY, only
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span


class Address(MemoryReplica):
    """The same calendar; `writable`: under this address."""

    def __init__(self, calendar: MemoryReplica, *, writable: bool) -> None:
        self.__dict__ = {**calendar.__dict__, "caps": replace(calendar.caps, writable=writable)}
        self._calendar = calendar

    def __getattribute__(self, name: str) -> Any:
        if name in ("caps", "_calendar", "__dict__", "capabilities"):
            return super().__getattribute__(name)
        return getattr(self._calendar, name)


def twice(world: World, whose: str, *, writable: bool, first: bool) -> World:
    """Ann's calendar, which another account of hers, or of Bob, shows too."""
    shown = Address(world.calendars["ann"], writable=writable)
    employee = next(p.employee for p in world.pairings if p.id == whose)
    second = replace(world.pairings[0], id="again", employee=employee, replica=shown, default=False)
    world.pairings.insert(0 if first else len(world.pairings), second)
    return world


WEEKLY = Recurrence("FREQ=WEEKLY;COUNT=4")
WAYS = [
    "",
    "edited in the CRM",
    "edited in the calendar",
    "deleted in the CRM",
    "deleted in the calendar",
    "private for a while",
    "moved",
]


@pytest.mark.parametrize("whose", ["ann", "bob"])
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("later", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("weekly", [True, False])
@pytest.mark.parametrize("then", WAYS)
def test_what_the_crm_makes_stays_in_a_calendar_that_is_read_twice(
    whose: str, writable: bool, first: bool, later: bool, both: bool, weekly: bool, then: str
) -> None:
    """`both`: Ann and Bob take part; `later`: the second address is read once the first one is in step."""
    world = World("ann", "bob")
    if not later:
        twice(world, whose, writable=writable, first=first)
    names = ("ann", "bob") if both else ("ann",)
    people = People([Participant(f"{n}@us.example") for n in names])
    world.appointment(participants=people, recurrence=WEEKLY if weekly else Recurrence())
    settled(world)
    if later:
        twice(world, whose, writable=writable, first=first)
    settled(world, 5)
    world.sync(full=True)
    settled(world)
    ann = world.calendars["ann"]
    assert [i["summary"] for i in world.items("ann")] == ["Visit"]
    assert [i["summary"] for i in world.items("bob")] == (["Visit"] if both else [])
    assert [a["status"] for a in world.activities] == ["open"]
    (ref,) = ann.records
    if then == "edited in the CRM":
        world.crm.edit("a1", location="Here")
    elif then == "edited in the calendar":
        ann.edit(ref, location="Here")
    elif then == "deleted in the CRM":
        world.crm.remove("a1")
    elif then == "deleted in the calendar":
        ann.remove(ref)
    elif then == "private for a while":
        ann.edit(ref, sensitivity="private")
        settled(world)
        ann.edit(ref, sensitivity="public")
    elif then == "moved":
        ann.edit(ref, time=span(MON + DAY))
    settled(world, 5)
    world.sync(full=True)
    settled(world)
    status = [a["status"] for a in world.activities]
    if then == "deleted in the CRM":
        assert (status, world.items("ann"), world.items("bob")) == ([], [], [])
    elif then == "deleted in the calendar":
        assert (status, world.items("ann")) == (["rejected"], [])
    else:
        assert (status, len(world.items("ann")), len(world.items("bob"))) == (["open"], 1, both)
        place = [world.activities[0].get("location"), *(i.get("location") for i in world.items("ann"))]
        assert [p or "" for p in place] == ["Here" if then.startswith("edited") else ""] * 2
        assert world.activities[0]["time"] == world.items("ann")[0]["time"]
    world.quiet()


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("guests", ["nobody", "a customer", "by a customer"])
@pytest.mark.parametrize("weekly", [True, False])
@pytest.mark.parametrize("then", WAYS)
def test_what_stands_in_a_calendar_that_is_read_twice_is_in_the_crm_once(
    writable: bool, first: bool, guests: str, weekly: bool, then: str, tmp_path: Path
) -> None:
    world = twice(World("ann", "bob"), "ann", writable=writable, first=first)
    people = People([Participant("ann@us.example"), Participant("kim@acme.example")] if guests != "nobody" else [])
    owner = {"nobody": "", "a customer": "ann@us.example", "by a customer": "kim@acme.example"}[guests]
    rule = WEEKLY if weekly else Recurrence()
    world.event("ann", "e1", summary="Visit", owner=owner, attendees=people, recurrence=rule)
    settled(world)
    ann = world.calendars["ann"]
    ref = only(world)
    told = guests == "nobody" and "CRM" in then
    if then == "edited in the CRM":
        world.crm.edit(ref, location="Here")
    elif then == "edited in the calendar":
        ann.edit("e1", location="Here")
    elif then == "deleted in the CRM":
        world.crm.remove(ref)
    elif then == "deleted in the calendar":
        ann.remove("e1")
    elif then == "private for a while":
        ann.edit("e1", sensitivity="private")
        settled(world)
        assert "Visit" not in str(world.activities)
        ann.edit("e1", sensitivity="public")
    elif then == "moved":
        ann.edit("e1", time=span(MON + DAY))
    settled(world, 5)
    world.sync(full=True)
    settled(world)
    if then == "deleted in the CRM":
        assert (len(world.activities), len(world.items("ann"))) == (0, not told)
    elif then == "deleted in the calendar":
        assert world.items("ann") == [] and len(world.activities) == 1
    else:
        assert [a["status"] for a in world.activities] == ["open"] and len(world.items("ann")) == 1
        assert world.activities[0]["time"] == world.items("ann")[0]["time"]
        if then == "edited in the CRM":
            assert (world.activities[0]["location"], world.items("ann")[0].get("location")) == (
                "Here", "Here" if told else None
            )  # fmt: skip
    world.quiet()
