"""A server that does not take a value, and says nothing: it is said once, and is nobody's edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from syncd.model.fields import Fields
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.ports import Transient, Written
from syncd.store.journal import decisions
from tests.memory import MemoryReplica
from tests.unit.test_engine import MON, World, span


@dataclass
class Deaf(MemoryReplica):
    """A calendar that takes some fields no more, and one that a person may reach just after a write."""

    deaf: frozenset[str] = frozenset()
    after_update: Any = None

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        kept = {n: v for n, v in changes.items() if n not in self.deaf}
        written = super().update(record, kept, tell=tell)
        if self.after_update is not None:
            act, self.after_update = self.after_update, None
            act()
        return written

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        kept = {n: v for n, v in fields.items() if n not in self.deaf}
        return super().create(kept, key, kind=kind, uid=uid, owner=owner)


@pytest.fixture(params=["a version", "no version"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World("ann")
    old = made.calendars["ann"]
    deaf = Deaf(old.name, replace(old.caps, exact=False), old.clock, silent=request.param == "no version")
    made.calendars["ann"] = deaf
    made.pairings = [replace(made.pairings[0], replica=deaf)]
    yield made
    made.store.close()


def deaf(world: World, *names: str) -> Deaf:
    found = world.calendars["ann"]
    assert isinstance(found, Deaf)
    found.deaf = frozenset(names)
    return found


def said(world: World) -> list[Any]:
    with world.store.reading() as tx:
        rows = {k.activity for k in tx.links_by_item("ann", list(world.calendars["ann"].records))}
        return [d["detail"]["fields"] for row in rows for d in decisions(tx, row) if d["rule"] == "not taken"]


def test_case_e8_what_still_is_as_before_was_not_taken(world: World) -> None:
    world.event("ann", location="Room 1", categories=frozenset({"A"}))
    world.quiet()
    (ref,) = world.crm.records
    deaf(world, "location", "categories")
    world.crm.edit(ref, subject="Visit", location="Room 2", categories=frozenset({"A", "B"}))
    world.quiet()
    (activity,), (item,) = world.activities, world.items("ann")
    assert (activity["subject"], activity["location"], activity["categories"]) == ("Visit", "Room 2", {"A", "B"})
    assert (item["summary"], item["location"], item["categories"]) == ("Visit", "Room 1", {"A"})
    assert said(world) == [["categories", "location"]]
    world.calendars["ann"].edit("e1", location="Room of Ann's")
    world.quiet()
    assert world.activities[0]["location"] == "Room of Ann's", "a later edit is one"
    deaf(world)
    world.crm.edit(ref, location="Room 3")
    world.quiet()
    assert world.items("ann")[0]["location"] == "Room 3"
    assert said(world) == [["categories", "location"]], "once"


def test_case_e8_what_is_not_taken_when_it_is_made_is_no_edit_either(world: World) -> None:
    deaf(world, "location", "recurrence")
    ref = world.appointment(location="Room 2", recurrence=Recurrence("FREQ=DAILY;COUNT=3"))
    world.quiet()
    assert world.crm.records[ref].fields["location"] == "Room 2"
    assert world.crm.records[ref].fields["recurrence"].rule
    assert said(world) == [["location", "recurrence"]]


def test_case_e8_an_element_that_is_not_taken_leaves_the_others(world: World) -> None:
    """Of a series: by left-out date, and by field of an occurrence."""
    key = f"{MON + timedelta(days=1):%Y%m%dT%H%M%SZ}"
    series = Recurrence("FREQ=DAILY;COUNT=5", overrides={key: {"summary": "Other"}})
    world.event("ann", recurrence=series)
    world.quiet()
    (ref,) = world.crm.records
    deaf(world, "recurrence")
    moved = span(MON + timedelta(days=1, hours=4))
    wanted = replace(series, overrides={key: {"subject": "Other", "time": moved}})
    world.crm.edit(ref, recurrence=wanted, location="Roof")
    world.quiet()
    assert world.activities[0]["recurrence"] == wanted
    assert (world.items("ann")[0]["recurrence"], world.items("ann")[0]["location"]) == (series, "Roof")
    assert said(world) == [["recurrence"]]


def test_case_e8_what_somebody_types_just_after_the_write_is_an_edit(world: World) -> None:
    world.event("ann", location="Room 1")
    world.quiet()
    (ref,) = world.crm.records
    replica = deaf(world)
    replica.after_update = lambda: replica.edit("e1", location="Room of Ann's")
    world.now += timedelta(hours=1)
    world.crm.edit(ref, location="Room 2")
    for _ in range(2):
        world.sync()
    world.quiet()
    assert world.activities[0]["location"] == "Room of Ann's"
    assert said(world) == []


def test_case_e8_a_write_whose_answer_was_lost_and_that_never_arrived_is_made_again(world: World) -> None:
    """It holds the value from before, and that means nothing: nobody knows that it arrived."""
    world.event("ann", location="Room 1")
    world.quiet()
    (ref,) = world.crm.records
    left = [Transient("gone")]

    def gate(when: str, call: str) -> None:
        if (when, call) == ("before", "update") and left:
            raise left.pop()

    world.calendars["ann"].gate = gate
    world.crm.edit(ref, location="Room 2")
    with pytest.raises(Transient):
        world.sync()
    world.quiet()
    assert world.items("ann")[0]["location"] == "Room 2"
    assert said(world) == []


def test_case_e8_a_side_that_is_exact_takes_what_it_is_given() -> None:
    """There what stands as before is a person's doing."""
    made = World("ann")
    made.event("ann", location="Room 1")
    made.quiet()
    (ref,) = made.crm.records
    replica = made.calendars["ann"]
    replica.silent = True
    real, left = replica.update, [1]

    def update(record: Record, changes: Fields, *, tell: bool = False) -> Written:
        written = real(record, changes, tell=tell)
        if left and left.pop():
            replica.edit("e1", location="Room 1")
        return written

    replica.update = update  # type: ignore[method-assign]
    made.now += timedelta(hours=1)
    made.crm.edit(ref, location="Room 2")
    for _ in range(2):
        made.sync()
    made.quiet()
    assert made.activities[0]["location"] == "Room 1"
    assert said(made) == []
    made.store.close()
