"""A series that becomes private, for a CRM that holds single activities: nothing of it stays there, whatever has become
of its dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.memory import crm
from tests.unit.test_cases import two_calendars, with_mapping
from tests.unit.test_engine import MON, NOW, World, span

WEEK = timedelta(days=7)
RULE = "FREQ=WEEKLY;COUNT=4"
KEYS = [moment_key(MON + n * WEEK) for n in range(4)]
OPEN: dict[str, Any] = {"sensitivity": "public", "summary": "Open", "location": "", "description": ""}

#: What is done in the edit that makes the series private.
EDITS: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "shortened": {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=3")},
    "one left out": {"recurrence": Recurrence(RULE, exdates=frozenset({KEYS[3]}))},
    "one stays public": {"recurrence": Recurrence(RULE, overrides={KEYS[1]: OPEN})},
    "the last stays public": {"recurrence": Recurrence(RULE, overrides={KEYS[3]: OPEN})},
    "a single event now": {"recurrence": Recurrence()},
    "another hour": {"time": span(MON + timedelta(hours=4))},
}


def words(world: World) -> list[str]:
    left = [repr(f) for f in world.activities] + [repr(h) for h in world.crm.history.values()]
    return [text for text in left if "Secret" in text or "Clinic" in text]


@pytest.mark.grid
@pytest.mark.parametrize("later", [0, 50])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_nothing_of_a_series_that_becomes_private_stays(policy: str, edit: str, later: int, tmp_path: Path) -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    with_mapping(world, tmp_path, privacy={"private": policy})
    world.event("ann", summary="Secret", location="Clinic", recurrence=Recurrence(RULE))
    world.quiet()
    assert len(words(world)) == 4
    world.now += timedelta(days=later)
    world.sync()
    world.calendars["ann"].edit("e1", sensitivity="private", **EDITS[edit])
    for _ in range(3):
        world.sync()
    assert words(world) == []
    world.quiet()
    world.calendars["ann"].edit("e1", location="Another")
    world.sync()
    world.quiet()
    assert "Another" not in repr(world.activities)


@pytest.mark.grid
@pytest.mark.parametrize("edit", ["nothing else", "one stays public", "another hour"])
@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("to", ["home", "ann"])
@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_a_series_that_moves_and_becomes_private_at_once(
    policy: str, first: str, to: str, passes: int, edit: str, tmp_path: Path
) -> None:
    world = with_mapping(two_calendars(), tmp_path, privacy={"private": policy})
    world.crm.caps = replace(world.crm.caps, series="none")
    world.pairings.sort(key=lambda p: p.id != first)
    world.event("ann", uid="hers", summary="Secret", location="Clinic", recurrence=Recurrence(RULE))
    world.quiet()
    world.calendars["ann"].remove("e1")
    for _ in range(passes):
        world.sync()
    changed: dict[str, Any] = {"summary": "Secret", "location": "Clinic", "recurrence": Recurrence(RULE), **EDITS[edit]}
    world.event(to, "h1", uid="hers", sensitivity="private", **changed)
    for _ in range(6):
        world.sync()
    assert words(world) == []
    if policy == "busy-only":
        assert len(world.activities) == 4
    world.quiet()


@pytest.mark.parametrize("how", ["at once", "the CRM works on it", "another ref"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_the_words_of_edited_dates_go_with_their_series(policy: str, how: str, tmp_path: Path) -> None:
    """For a CRM that holds series: of a block of time the dates stay."""
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy})
    edited = Recurrence(RULE, overrides={KEYS[1]: {"summary": "Secret", "location": "Clinic"}})
    world.event("ann", summary="Open", recurrence=edited)
    world.quiet()
    (ref,) = world.crm.records
    if how == "the CRM works on it":
        own = {"notes": "Of the CRM"}
        held = world.crm.records[ref].fields["recurrence"]
        over = {**held.overrides, KEYS[2]: own}
        world.crm.edit(ref, recurrence=replace(held, overrides=over), priority=1)
    if how == "another ref":
        world.calendars["ann"].remove("e1")
        world.event("ann", "e2", uid="uid-e1", summary="Open", sensitivity="private", recurrence=edited)
    else:
        world.calendars["ann"].edit("e1", sensitivity="private")
    for _ in range(4):
        world.sync()
    world.sync(full=True)
    assert words(world) == []
    if policy == "busy-only":
        (activity,) = world.activities
        assert activity["recurrence"].rule == RULE  # type: ignore[attr-defined]
        assert ("Of the CRM" in repr(activity)) == (how == "the CRM works on it")
    world.quiet()


@pytest.mark.parametrize("history", ["renamed and reset", "lost a conflict", "left out", "in the first edit"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_words_of_a_date_that_is_private_now_go_from_the_history_too(policy: str, history: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy}, conflicts={"default": "crm"})
    plain = Recurrence(RULE)
    edited = Recurrence(RULE, overrides={KEYS[1]: {"summary": "Secret"}})
    world.event("ann", summary="Open", recurrence=edited if history == "in the first edit" else plain)
    world.quiet()
    (ref,) = world.crm.records
    if history == "lost a conflict":
        held = world.crm.records[ref].fields["recurrence"]
        world.crm.edit(ref, recurrence=replace(held, overrides={KEYS[1]: {"subject": "Of the CRM"}}))
    if history != "in the first edit":
        world.calendars["ann"].edit("e1", recurrence=edited)
        world.quiet()
    reset = Recurrence(RULE, exdates=frozenset({KEYS[1]})) if history == "left out" else plain
    world.calendars["ann"].edit("e1", recurrence=reset)
    world.quiet()
    _note(world, ref)
    hidden = Recurrence(RULE, overrides={KEYS[1]: {"summary": "Open", "sensitivity": "private"}})
    world.calendars["ann"].edit("e1", recurrence=hidden)
    for _ in range(3):
        world.sync()
    assert words(world) == []
    world.quiet()
    world.crm.remember(ref, {"notes": "Of the CRM's people"}, "later")
    world.calendars["ann"].edit("e1", location="Roof")
    world.quiet()
    assert "Of the CRM's people" in repr(world.crm.history)  # once is enough


def _note(world: World, ref: str) -> None:
    """As the built-in CRM does: what a field was is in the history."""
    world.crm.remember(ref, {"recurrence": "Secret"}, "before")


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_a_single_activity_of_a_date_that_is_private_now_has_no_history(policy: str, tmp_path: Path) -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    with_mapping(world, tmp_path, privacy={"private": policy})
    edited = {KEYS[1]: {"summary": "Secret", "location": "Clinic"}}
    world.event("ann", summary="Open", recurrence=Recurrence(RULE, overrides=edited))
    world.quiet()
    for ref, record in world.crm.records.items():
        world.crm.remember(ref, {"subject": f"Was {record.fields['subject']}"}, "before")
    hidden = {KEYS[1]: {**edited[KEYS[1]], "sensitivity": "private"}}
    world.calendars["ann"].edit("e1", recurrence=Recurrence(RULE, overrides=hidden))
    for _ in range(3):
        world.sync()
    assert words(world) == []
    assert repr(world.crm.history).count("Was Open") == 3
    world.quiet()
