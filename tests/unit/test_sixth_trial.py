"""What the sixth trial found, each as its shortest story."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from tests.memory import crm
from tests.unit.test_cases import only, with_mapping
from tests.unit.test_engine import MON, NOW, World, span


def people(*names: str) -> People:
    return People([Participant(f"{name}@us.example") for name in names])


def settled(world: World, number: int = 4) -> None:
    for _ in range(number):
        world.sync()
    world.quiet()


def hand_over(world: World, ref: str, to: str) -> None:
    """Somebody changes the employee responsible, in the CRM."""
    held = world.crm.records[ref]
    world.crm.records[ref] = replace(held, owner=f"{to}@us.example")
    world.crm.edit(ref, priority=(held.fields.get("priority") or 0) + 1)


# -- an activity that is handed over in the CRM ----------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("by", ["calendar", "crm"])
@pytest.mark.parametrize("taking_part", [(), ("ann",), ("bob",), ("ann", "bob")])
def test_what_is_handed_over_in_the_crm_is_its_new_owners(
    taking_part: tuple[str, ...], by: str, order: tuple[str, str]
) -> None:
    world = World(*order)
    if by == "calendar":
        world.event("ann", summary="Talk")
    else:
        world.appointment(subject="Talk")
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, participants=people(*taking_part))
    hand_over(world, ref, "bob")
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Talk"]
    world.crm.edit(ref, location="Room 9")
    settled(world)
    assert [i["location"] for i in world.items("bob")] == ["Room 9"]
    for own in list(world.calendars["ann"].records):
        world.calendars["ann"].remove(own)  # it is not hers any more
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [(i["summary"], i["status"]) for i in world.items("bob")] == [("Talk", "confirmed")]
    hand_over(world, ref, "ann")
    settled(world)
    assert [i["summary"] for i in world.items("ann")] == ["Talk"]
    assert [a["status"] for a in world.activities] == ["open"]


# -- a cancelled appointment that was cleared away, and takes place after all ------------------------------------


@pytest.mark.parametrize("by", ["calendar", "crm"])
@pytest.mark.parametrize("cleared", ["ann", "bob", "both"])
def test_what_was_cleared_away_when_it_was_cancelled_comes_back_when_it_takes_place(by: str, cleared: str) -> None:
    world = World("ann", "bob")
    if by == "calendar":
        world.event("ann", summary="Talk")
        world.quiet()
        world.crm.edit(only(world), participants=people("ann", "bob"))
    else:
        world.appointment(subject="Talk", participants=people("ann", "bob"))
    settled(world)
    ref = only(world)
    world.crm.edit(ref, status="rejected")
    settled(world)
    assert [world.items(n)[0]["status"] for n in ("ann", "bob")] == ["cancelled"] * 2
    for name in ("ann", "bob"):
        if cleared in (name, "both"):
            (mine,) = world.calendars[name].records
            world.calendars[name].remove(mine)
    settled(world)
    assert "declined" not in {p.answer for p in world.activities[0]["participants"].values()}  # type: ignore[attr-defined]
    world.crm.edit(ref, status="open", time=span(MON + timedelta(days=2)))
    settled(world)
    for name in ("ann", "bob"):
        assert [(i["time"], i["status"]) for i in world.items(name)] == [(span(MON + timedelta(days=2)), "confirmed")]


def test_what_somebody_has_declined_does_not_come_back_with_an_edit() -> None:
    world = World("ann", "bob")
    world.appointment(subject="Talk", participants=people("ann", "bob"))
    settled(world)
    (copy,) = world.calendars["bob"].records
    world.calendars["bob"].remove(copy)
    settled(world)
    world.crm.edit(only(world), status="rejected")
    settled(world)
    world.crm.edit(only(world), status="open", time=span(MON + timedelta(days=2)))
    settled(world)
    assert (len(world.items("ann")), world.items("bob")) == (1, [])


# -- whoever types on a block of time has not seen what is behind it -------------------------------------------


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("falls", ["the rule", "the entry", "the entry, without a date"])
def test_what_was_typed_on_a_block_does_not_replace_what_is_behind_it(falls: str, series: bool, tmp_path: Path) -> None:
    world = with_mapping(World("ann", hub=crm(lambda: NOW, series=False)), tmp_path, privacy={"private": "busy-only"})
    more: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=2")} if series else {}
    words: dict[str, Any] = {"summary": "Doctor", "description": "Ask this", "location": "Clinic"}
    world.event("ann", sensitivity="private", **words, **more)
    world.quiet()
    for ref in list(world.crm.records):
        time = world.crm.records[ref].fields["time"]
        later = span(time.start + timedelta(hours=3))
        world.now += timedelta(days=1)
        world.crm.edit(ref, subject="Away", notes="Call her", location="Elsewhere", time=later)
    settled(world)
    assert {k: world.items("ann")[0][k] for k in words} == words
    if falls == "the rule":
        with_mapping(world, tmp_path, privacy={"private": "full"})
        world.sync(full=True)
    else:
        world.calendars["ann"].edit("e1", sensitivity="public")
        if falls != "the entry":
            record = world.calendars["ann"].records["e1"]
            world.calendars["ann"].records["e1"] = replace(record, modified=None)
    settled(world)
    (item,) = world.items("ann")
    assert {k: item[k] for k in (*words, "time")} == {**words, "time": span()}
    assert not getattr(item.get("recurrence"), "overrides", {})
    assert {(a["subject"], a["notes"], a["location"]) for a in world.activities} == {("Doctor", "Ask this", "Clinic")}
    history = repr(world.crm.history)
    assert "Away" in history and "Call her" in history


# -- privacy waits for no window -------------------------------------------------------------------------------


@pytest.mark.parametrize("also", ["", "Skip"])
@pytest.mark.parametrize("where", [timedelta(days=60), timedelta(days=-400), timedelta(0)])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("who", ["the CRM", "the entry", "the entry, with words of the CRM"])
def test_what_is_made_private_out_of_the_window_is_private_everywhere(
    who: str, policy: str, where: timedelta, also: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"privacy": {"private": policy}, "exclude": [{"category": ["Skip"]}]}
    world = with_mapping(World("ann", "bob"), tmp_path, **changes)
    world.event("ann", summary="Talk about Meier", description="Words")
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, participants=people("ann", "bob"))
    settled(world)
    assert len(world.items("bob")) == 1
    if who.endswith("CRM") and who != "the CRM":
        world.crm.edit(ref, location="The CRM's")
        settled(world)
    if where > timedelta(0):
        world.now += where
    elif where:
        world.crm.edit(ref, time=span(MON - where))
        settled(world)
    settled(world)
    skip = {"categories": frozenset({also})} if also else {}
    if who == "the CRM":
        world.crm.edit(ref, private=True)
    else:
        world.calendars["ann"].edit("e1", sensitivity="private", **skip)
    settled(world, 6)
    assert "Meier" not in repr(world.items("bob")) and "Words" not in repr(world.items("bob"))
    readable = [a for a in world.activities if not a["private"]]
    assert "Meier" not in repr(readable) and "Words" not in repr(readable)
    assert [i["sensitivity"] for i in world.items("ann")] == ["private"]
    assert [i["summary"] for i in world.items("ann")] == ["Talk about Meier"]


@pytest.mark.parametrize("edited", [False, True])
def test_a_colleagues_copy_of_what_the_crm_made_private_goes_although_it_was_edited(edited: bool) -> None:
    world = World("ann", "bob")
    world.appointment(subject="Talk about Meier", participants=people("ann", "bob"))
    settled(world)
    (copy,) = world.calendars["bob"].records
    world.crm.edit(only(world), private=True)
    if edited:
        world.calendars["bob"].edit(copy, location="Room 4")
    settled(world)
    assert world.items("bob") == []
