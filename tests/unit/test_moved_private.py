"""An entry that goes from one calendar to another of its employee's, step by step as programs do it, and is private
there sooner or later: nothing of it stays in the CRM, nor in what syncd has made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.unit.test_cases import DAY, beside, with_mapping
from tests.unit.test_engine import MON, World

SECRET: dict[str, Any] = {"summary": "Secret", "description": "Clinic", "location": "Clinic"}
SERIES = Recurrence("FREQ=WEEKLY;COUNT=3", overrides={moment_key(MON + 7 * DAY): {"summary": "Secret too"}})
PLAIN = Recurrence()


def passes(world: World, number: int = 4) -> None:
    for _ in range(number):
        world.sync()


class Tale(World):
    """Two calendars of Ann's, and what stands in the first."""

    fields: dict[str, Any]


def put(world: Tale, sensitivity: str = "public") -> None:
    world.event("home", "h1", uid="u", sensitivity=sensitivity, **world.fields)


def take(world: Tale) -> None:
    world.calendars["ann"].remove("e1")


def private(world: Tale) -> None:
    world.calendars["home"].edit("h1", sensitivity="private")


def copied(world: Tale) -> None:
    put(world)
    passes(world)
    take(world)
    passes(world)
    private(world)


def copied_and_edited(world: Tale) -> None:
    put(world)
    passes(world)
    take(world)
    world.calendars["home"].edit("h1", location="Clinic, second floor")
    passes(world)
    private(world)


def private_copy(world: Tale) -> None:
    put(world, "private")
    passes(world, 1)
    take(world)


def private_copy_that_is_public_for_a_while(world: Tale) -> None:
    put(world, "private")
    passes(world)
    take(world)
    world.calendars["home"].edit("h1", sensitivity="public")
    passes(world)
    private(world)


def one_of_two_is_private(world: Tale) -> None:
    put(world)
    passes(world)
    private(world)
    passes(world)
    take(world)


def the_other_of_two_is_private_first(world: Tale) -> None:
    put(world)
    passes(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    passes(world)
    private(world)


def made_again_meanwhile(world: Tale) -> None:
    for ref in list(world.crm.records):
        world.crm.edit(ref, priority=1)
    take(world)
    passes(world, 1)
    put(world, "private")


def made_again_before(world: Tale) -> None:
    for ref in list(world.crm.records):
        world.crm.edit(ref, priority=1)
    take(world)
    passes(world)
    put(world, "private")


STORIES: list[Callable[[Tale], None]] = [
    copied,
    copied_and_edited,
    private_copy,
    private_copy_that_is_public_for_a_while,
    one_of_two_is_private,
    the_other_of_two_is_private_first,
    made_again_meanwhile,
    made_again_before,
]


def left(world: World) -> list[str]:
    shown = [repr(a) for a in world.activities] + [repr(h) for h in world.crm.history.values()]
    shown += [repr(r.fields) for r in world.calendars["ann"].records.values() if r.fields["sensitivity"] == "public"]
    return [text for text in shown if "Secret" in text or "Clinic" in text]


@pytest.mark.grid
@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", ["plain", "series", "single activities"])
@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_nothing_stays(policy: str, first: str, kind: str, story: Callable[[Tale], None], tmp_path: Path) -> None:
    world = Tale("ann")
    beside(world)
    with_mapping(world, tmp_path, privacy={"private": policy})
    if kind == "single activities":
        world.crm.caps = replace(world.crm.caps, series="none")
    world.fields = {**SECRET, "recurrence": PLAIN if kind == "plain" else SERIES}
    world.pairings.sort(key=lambda p: p.id != first)
    world.event("ann", uid="u", **world.fields)
    passes(world)
    assert left(world) != []
    story(world)
    passes(world, 6)
    assert left(world) == []
    world.sync(full=True)
    assert left(world) == []
    world.quiet()
    assert "h1" in world.calendars["home"].records


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_what_an_invited_employee_has_declined_is_the_others_alone(policy: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    people = People([Participant(f"{n}@us.example") for n in ("ann", "bob")])
    for name in ("ann", "bob"):
        world.event(name, f"e-{name}", uid="theirs", owner="eve@cust.example", attendees=people, **SECRET)
    passes(world)
    world.calendars["ann"].remove("e-ann")
    passes(world)
    world.calendars["bob"].edit("e-bob", sensitivity="private")
    passes(world)
    assert left(world) == []
