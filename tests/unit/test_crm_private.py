"""What the CRM has made private is not withheld from it, wherever the entry stands, and under whatever ref."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.model.people import Participant, People
from tests.unit.test_cases import only, two_calendars, with_mapping
from tests.unit.test_engine import World

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
    assert [(e["summary"], e["sensitivity"]) for e in entries] == [("Visit", "private")]
    if edits:
        assert (activity["location"], entries[0]["location"]) == ("Room of the CRM", "Room of the CRM")
    world.crm.edit(ref, private=False, subject="Visit again")
    for _ in range(3):
        world.sync()
    entries = world.items("ann") + world.items("home")
    assert [(e["summary"], e["sensitivity"]) for e in entries] == [("Visit again", "public")]
    world.quiet()
