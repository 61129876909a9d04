"""A store that is lost, or was never there, while both sides are full: everything is found again, and nothing doubled
(docs/how-to/parked-and-held.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.engine.context import Context
from syncd.engine.pairing import Moment
from syncd.engine.passes import run_pass
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from syncd.ports import Capabilities, Transient
from tests.memory import MemoryCrm, crm
from tests.stores import new_store
from tests.unit.test_cases import two_calendars, with_mapping
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_mail_engine import Office

BOTH = People([Participant("ann@us.example"), Participant("bob@us.example")])


@dataclass
class Desk:
    """A world whose store and key may go."""

    world: World
    key: bytes = b"k" * 32

    def sync(self, number: int = 6) -> int:
        writes = 0
        for _ in range(number):
            self.world.now += timedelta(minutes=5)
            writes = 0
            for pairing in self.world.pairings:
                moment = Moment(self.world.now)
                with suppress(Transient):
                    context = Context(pairing, self.world.store, moment, self.key, self.world.pairings)
                    writes += run_pass(context).writes
        return writes

    def lose(self, *, key: bool) -> None:
        self.world.store.close()
        self.world.store = new_store(lambda moment: self.world.watch(moment))
        if key:
            self.key = b"n" * 32

    def entries(self) -> dict[str, int]:
        return {name: len(self.world.items(name)) for name in self.world.calendars}


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("first", ["ann", "home"])
def test_an_entry_of_the_second_calendar_is_found_again(first: str, key: bool) -> None:
    desk = Desk(two_calendars())
    desk.world.event("home", summary="Visit")
    desk.sync()
    desk.lose(key=key)
    desk.world.pairings.sort(key=lambda p: p.id != first)
    desk.sync()
    assert (len(desk.world.activities), desk.entries()) == (1, {"ann": 0, "home": 1})
    assert desk.sync(1) == 0


@pytest.mark.parametrize("first", ["ann", "home"])
def test_what_was_typed_in_the_crm_and_in_the_second_calendar_is_one(first: str) -> None:
    desk = Desk(two_calendars())
    desk.world.event("home", summary="Visit")
    desk.world.appointment(subject="Visit")
    desk.world.appointment("a2", subject="Another")
    desk.world.pairings.sort(key=lambda p: p.id != first)
    desk.sync()
    assert (len(desk.world.activities), desk.entries()) == (2, {"ann": 1, "home": 1})
    assert [i["summary"] for i in desk.world.items("ann")] == ["Another"]
    assert desk.sync(1) == 0


@pytest.mark.parametrize("first", ["ann", "home"])
def test_what_is_typed_in_the_crm_and_in_the_second_calendar_at_once_is_one(first: str) -> None:
    desk = Desk(two_calendars())
    desk.world.pairings.sort(key=lambda p: p.id != first)
    desk.world.event("home", "e0", summary="Before")
    desk.world.appointment("a0", subject="Long before", time=span(MON + timedelta(days=2)))
    desk.sync()
    desk.world.event("home", summary="Visit")
    desk.world.appointment(subject="Visit")
    desk.world.appointment("a2", subject="Another", time=span(MON + timedelta(days=3)))
    desk.sync()
    assert sorted(str(i["summary"]) for i in desk.world.items("ann")) == ["Another", "Long before"]
    assert sorted(str(i["summary"]) for i in desk.world.items("home")) == ["Before", "Visit"]
    assert len(desk.world.activities) == 4
    assert desk.sync(1) == 0


@pytest.mark.parametrize("made", ["first run", "lost", "key lost"])
def test_a_second_calendar_that_cannot_be_read_delays_the_first_by_a_day(made: str) -> None:
    desk = Desk(two_calendars())
    desk.world.event("home", summary="Visit")
    if made != "first run":
        desk.sync()
        desk.lose(key=made == "key lost")
    desk.world.appointment("a2", subject="Another")
    home = desk.world.calendars["home"]
    changes, home.changes = home.changes, _not_ready  # type: ignore[method-assign,assignment]
    desk.sync()
    assert desk.entries() == {"ann": 0, "home": 1}
    desk.world.now += timedelta(days=2)
    desk.sync()
    assert "Another" in [i["summary"] for i in desk.world.items("ann")]
    desk.world.appointment("a3", subject="At once", time=span(MON + timedelta(days=4)))
    desk.sync(2)
    assert "At once" in [i["summary"] for i in desk.world.items("ann")]
    desk.world.crm.remove("a3")
    desk.sync(2)
    home.changes = changes  # type: ignore[method-assign]
    desk.sync()
    if made != "key lost":  # nothing says then that they are one
        assert (len(desk.world.activities), desk.entries()) == (2, {"ann": 1, "home": 1})
    desk.world.event("home", "e2", summary="Later")
    desk.sync()
    assert "Later" in [a["subject"] for a in desk.world.activities]
    assert desk.sync(1) == 0


def _not_ready(cursor: str) -> Callable[[], None]:
    raise Transient("no answer")


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("first", ["ann", "bob"])
def test_a_meeting_of_two_employees_is_found_again_in_both_calendars(first: str, key: bool) -> None:
    desk = Desk(World("ann", "bob"))
    desk.world.appointment(subject="Visit", notes="Bring papers", participants=BOTH)
    desk.sync()
    assert desk.entries() == {"ann": 1, "bob": 1}
    desk.lose(key=key)
    desk.world.pairings.sort(key=lambda p: p.id != first)
    desk.sync()
    assert (len(desk.world.activities), desk.entries()) == (1, {"ann": 1, "bob": 1})
    assert desk.sync(1) == 0
    (activity,) = desk.world.activities
    assert (activity["subject"], activity["notes"]) == ("Visit", "Bring papers")
    desk.world.crm.edit(next(iter(desk.world.crm.records)), subject="Moved to you")
    desk.sync()
    assert [desk.world.items(n)[0]["summary"] for n in ("ann", "bob")] == ["Moved to you"] * 2
    (ref,) = desk.world.calendars["bob"].records
    desk.world.calendars["bob"].remove(ref)
    desk.sync()
    (activity,) = desk.world.activities
    assert (activity["status"], desk.entries()) == ("open", {"ann": 1, "bob": 0})


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_one_file_that_two_employees_have_imported_is_two_again(first: str) -> None:
    desk = Desk(World("ann", "bob"))
    for name in ("ann", "bob"):
        desk.world.event(name, f"e-{name}", uid="booking", summary="Flight")
    desk.sync()
    assert len(desk.world.activities) == 2
    desk.lose(key=True)
    desk.world.pairings.sort(key=lambda p: p.id != first)
    desk.sync()
    assert (len(desk.world.activities), desk.entries()) == (2, {"ann": 1, "bob": 1})
    assert desk.sync(1) == 0


@pytest.mark.parametrize("lost", ["new", "older"])
@pytest.mark.parametrize("side", ["calendar", "crm"])
@pytest.mark.parametrize("field", ["subject", "time"])
def test_a_copy_that_was_edited_since_is_known_by_its_uid(field: str, side: str, lost: str) -> None:
    """The key was kept; the store is a new one, or one from before the copy was made."""
    desk = Desk(World("ann"))
    if lost == "older":
        desk.sync()
    backup = desk.world.store.copy() if lost == "older" else None
    desk.world.appointment(subject="Visit")
    desk.sync()
    desk.lose(key=False)
    if backup is not None:
        desk.world.store = backup
    value: object = "Another" if field == "subject" else span(MON + timedelta(hours=5))
    if side == "crm":
        desk.world.crm.edit("a1", **{field: value})
    else:
        (ref,) = desk.world.calendars["ann"].records
        desk.world.calendars["ann"].edit(ref, **{"summary" if field == "subject" else "time": value})
    desk.sync()
    assert (len(desk.world.activities), desk.entries()) == (1, {"ann": 1})
    (activity,), (entry,) = desk.world.activities, desk.world.items("ann")
    assert (activity["subject"], activity["time"]) == (entry["summary"], entry["time"])
    kept = {repr(v) for v in (activity["subject"], activity["time"])} | {repr(t) for _, _, t in _history(desk)}
    assert repr(value) in kept or field == "time"
    assert desk.sync(1) == 0


def _history(desk: Desk) -> list[tuple[str, str, str]]:
    return [line for lines in desk.world.crm.history.values() for line in lines]


@pytest.mark.parametrize("key", [False, True])
def test_an_entry_that_the_crm_has_made_private_is_found_again(key: bool) -> None:
    desk = Desk(World("ann"))
    desk.world.event("ann", summary="Visit")
    desk.sync()
    (ref,) = desk.world.crm.records
    desk.world.crm.edit(ref, private=True)
    desk.sync()
    assert desk.world.items("ann")[0]["sensitivity"] == "private"
    desk.lose(key=key)
    desk.sync()
    assert (list(desk.world.crm.records), desk.entries()) == ([ref], {"ann": 1})
    assert desk.world.activities[0]["subject"] == "Visit"
    desk.world.crm.edit(ref, private=False, subject="Visit again")
    desk.sync()
    (entry,) = desk.world.items("ann")
    assert (entry["summary"], entry["sensitivity"]) == ("Visit again", "public")
    assert desk.sync(1) == 0


#: How an entry has come not to cross any more, since it did.
CHANGES: dict[str, dict[str, Any]] = {
    "left out": {"categories": frozenset({"Skip"})},
    "ahead of the window": {"time": span(MON + timedelta(days=900))},
    "long over": {"time": span(MON - timedelta(days=400))},
    "private": {"sensitivity": "private"},
    "confidential": {"sensitivity": "confidential", "description": "More"},
    "private and elsewhere": {"sensitivity": "private", "time": span(MON + timedelta(days=3))},
    "private and left out": {"sensitivity": "private", "categories": frozenset({"Skip"})},
}


@pytest.mark.grid
@pytest.mark.parametrize("where", ["ann", "home"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("lost", ["lost", "older", "key lost"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_entry_that_crosses_no_more_is_found_again(
    change: str, policy: str, lost: str, shared: bool, where: str, tmp_path: Path
) -> None:
    world = two_calendars("bob")
    desk = Desk(with_mapping(world, tmp_path, privacy={"private": policy}, exclude=[{"category": ["Skip"]}]))
    desk.sync()
    before = world.store.copy()
    guests: dict[str, Any] = {"attendees": BOTH} if shared else {}
    world.event(where, summary="Visit", description="Papers", location="Clinic", **guests)
    desk.sync()
    assert len(world.activities) == 1
    desk.lose(key=lost == "key lost")
    if lost == "older":
        world.store.close()
        world.store = before
    world.calendars[where].edit("e1", **CHANGES[change])
    desk.sync()
    other = "home" if where == "ann" else "ann"
    assert {n: desk.entries()[n] for n in (where, other)} == {where: 1, other: 0}
    assert len(world.activities) <= 1
    if "private" in change or change == "confidential":
        everywhere = repr([world.activities, world.items("bob"), world.crm.history])
        assert not [w for w in ("Visit", "Papers", "Clinic", "More") if w in everywhere]
    assert desk.sync(1) == 0
    world.calendars[where].edit("e1", sensitivity="public", categories=frozenset(), time=span())
    desk.sync()
    assert [a["subject"] for a in world.activities if a["status"] != "rejected"] == ["Visit"]
    assert {n: desk.entries()[n] for n in (where, other)} == {where: 1, other: 0}
    assert desk.sync(1) == 0


@pytest.mark.parametrize("lost", ["lost", "older", "key lost"])
@pytest.mark.parametrize("kind", ["unreadable", "unready"])
def test_an_entry_that_cannot_be_read_just_now_is_not_copied_beside_itself(kind: str, lost: str) -> None:
    desk = Desk(World("ann", "bob"))
    desk.sync(2)
    before = desk.world.store.copy()
    desk.world.event("ann", summary="Visit")
    desk.sync(3)
    desk.lose(key=lost == "key lost")
    if lost == "older":
        desk.world.store.close()
        desk.world.store = before
    calendar = desk.world.calendars["ann"]
    getattr(calendar, kind).add("e1")
    desk.world.appointment("a2", subject="Another", time=span(MON + timedelta(days=1)), participants=BOTH)
    desk.sync()
    assert desk.entries() == {"ann": 2, "bob": 1}  # the CRM's own is not kept waiting
    getattr(calendar, kind).discard("e1")
    calendar.edit("e1", location="There")
    desk.sync()
    assert desk.entries() == {"ann": 2, "bob": 1}
    assert {(a["subject"], a.get("location")) for a in desk.world.activities} >= {("Visit", "There")}
    assert desk.sync(1) == 0


@pytest.mark.parametrize("lost", ["lost", "older"])
def test_a_date_that_became_private_meanwhile_shows_no_more_than_a_block(lost: str, tmp_path: Path) -> None:
    """Of a series, for a CRM with single activities: and the pass comes to its end."""
    world = World("ann", hub=crm(lambda: NOW, series=False))
    desk = Desk(with_mapping(world, tmp_path, privacy={"private": "busy-only"}))
    desk.sync(2)
    before = world.store.copy()
    words = {"summary": "Secret", "description": "Words"}
    series = Recurrence("FREQ=WEEKLY;COUNT=3", overrides={moment_key(MON + timedelta(days=7)): words})
    world.event("ann", summary="Open", recurrence=series)
    desk.sync(3)
    desk.lose(key=False)
    if lost == "older":
        world.store.close()
        world.store = before
    hidden = {key: {**said, "sensitivity": "private"} for key, said in series.overrides.items()}
    world.calendars["ann"].edit("e1", recurrence=replace(series, overrides=hidden))
    desk.sync()
    assert not [w for w in words.values() if w in repr([world.activities, world.crm.history])]
    assert (len(world.items("ann")), len(world.activities)) == (1, 3)
    assert desk.sync(1) == 0


@pytest.mark.parametrize("lost", ["lost", "older", "key lost"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("found", ["as it was", "edited", "left out"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
def test_what_is_made_private_after_the_store_was_lost_is_taken_back(
    policy: str, found: str, shared: bool, lost: str, tmp_path: Path
) -> None:
    world = World("ann", "bob")
    desk = Desk(with_mapping(world, tmp_path, privacy={"private": policy}, exclude=[{"category": ["Skip"]}]))
    desk.sync(2)
    before = world.store.copy()
    world.event("ann", summary="Doctor", description="Words")
    desk.sync(3)
    if shared:
        world.crm.edit(next(iter(world.crm.records)), participants=BOTH)
        desk.sync(3)
    desk.lose(key=lost == "key lost")
    if lost == "older":
        world.store.close()
        world.store = before
    if found != "as it was":
        edit: dict[str, Any] = {"location": "Clinic"} if found == "edited" else {"categories": frozenset({"Skip"})}
        world.calendars["ann"].edit("e1", **edit)
    desk.sync()
    assert desk.sync(1) == 0
    assert len(world.activities) == 1
    world.now += timedelta(days=1)
    world.calendars["ann"].edit("e1", sensitivity="private")
    desk.sync()
    readable = repr([[a for a in world.activities if not a.get("private")], world.items("bob")])
    assert not [w for w in ("Doctor", "Words", "Clinic") if w in readable]
    assert [i["summary"] for i in world.items("ann")] == ["Doctor"]
    assert desk.sync(1) == 0


@pytest.mark.parametrize("bob", ["has it not", "has it", "makes it private too"])
def test_mail_that_is_made_private_after_the_store_was_lost_is_taken_back(bob: str) -> None:
    office = Office()
    office.deliver("m", "Of Kim", "ann", *(() if bob == "has it not" else ("bob",)))
    office.sync(2)
    office.store.close()
    office.store = new_store()
    office.sync(3)
    assert set(office.logged()) == {"Of Kim"}
    office.private("ann", "m")
    office.sync(3)
    assert set(office.logged()) == (set() if bob == "has it not" else {"Of Kim"})
    if bob == "makes it private too":
        office.private("bob", "m")
        office.sync(3)
        assert office.logged() == {}


@pytest.mark.parametrize("lost", ["lost", "older"])
@pytest.mark.parametrize("rests", ["private", "private in the CRM", "over", "left out"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
def test_our_copy_that_rests_is_found_again(policy: str, rests: str, lost: str, tmp_path: Path) -> None:
    world = World("ann")
    desk = Desk(with_mapping(world, tmp_path, privacy={"private": policy}, exclude=[{"category": ["Skip"]}]))
    desk.sync(2)
    before = world.store.copy()
    ref = world.appointment(subject="Talk")
    desk.sync(3)
    (copy,) = world.calendars["ann"].records
    if rests == "private":
        world.calendars["ann"].edit(copy, sensitivity="private")
    elif rests == "private in the CRM":
        world.crm.edit(ref, private=True)
    elif rests == "left out":
        world.calendars["ann"].edit(copy, categories=frozenset({"Skip"}))
    else:
        world.now += timedelta(days=60)
    desk.sync()
    desk.lose(key=False)
    if lost == "older":
        world.store.close()
        world.store = before
    desk.sync()
    assert (len(world.items("ann")), len(world.activities)) == (1, 1)
    assert desk.sync(1) == 0
    later = span(MON + timedelta(days=63))
    world.calendars["ann"].edit(copy, sensitivity="public", categories=frozenset(), time=later)
    if rests == "private in the CRM":
        world.crm.edit(ref, private=False)
    desk.sync()
    assert [(i["summary"], i["time"]) for i in world.items("ann")] == [("Talk", later)]
    assert [(a["subject"], a["time"]) for a in world.activities] == [("Talk", later)]
    assert desk.sync(1) == 0


def test_what_was_typed_in_the_crm_at_the_hour_of_a_date_that_is_left_out_stays_when_that_becomes_private(
    tmp_path: Path,
) -> None:
    """It resembles the date, and was not made of it."""
    world = World("ann", hub=crm(lambda: NOW, series=False))
    desk = Desk(with_mapping(world, tmp_path, exclude=[{"category": ["Skip"]}]))
    series = Recurrence("FREQ=WEEKLY;COUNT=2")
    world.event("ann", summary="Talk", recurrence=series, categories=frozenset({"Skip"}))
    world.appointment(subject="Talk", notes="Typed in the CRM")
    desk.sync()
    world.calendars["ann"].edit("e1", sensitivity="private")
    desk.sync()
    assert [(a["subject"], a["notes"]) for a in world.activities] == [("Talk", "Typed in the CRM")]


class ShowsNoKeys(MemoryCrm):
    """A CRM that finds a record by the key it was made with, and shows neither that nor a UID."""

    def _as_read(self, record: Record) -> Record:
        return replace(record, key="", uid="")

    def find(self, key: str, uid: str) -> Record | None:
        found = super().find(key, uid)
        return replace(found, key=key) if found is not None else None

    def candidates(self, records: Sequence[Record], owner: str) -> Sequence[Sequence[Record]]:
        return [[self._as_read(c) for c in found] for found in super().candidates(records, owner)]


@pytest.mark.parametrize("many", [0, 3])
@pytest.mark.parametrize("edited", ["calendar", "both"])
def test_what_only_the_create_finds_is_what_the_item_has_made_before(many: int, edited: str) -> None:
    """It was moved while the store was lost, so nothing but its key says that it is the same."""
    hub = ShowsNoKeys("crm", Capabilities(frozenset({"appointment"}), series="series"), lambda: NOW)
    world = World("ann", "bob", hub=hub)
    world.event("bob", "e1", summary="Visit")
    world.sync()
    (ref,) = hub.records
    hub.edit(ref, participants=People([Participant("ann@us.example"), Participant("bob@us.example")]))
    world.sync()
    for _ in range(3):
        world.sync()
    world.store = new_store()
    world.calendars["bob"].edit("e1", time=span(MON + timedelta(days=1)))
    if edited == "both":
        hub.edit(ref, location="Here")
    for number in range(many):
        world.event("bob", f"new{number}", summary=f"New {number}", time=span(MON + timedelta(days=number, hours=5)))
    for _ in range(4):
        world.sync()
    world.sync(full=True)
    assert [a["subject"] for a in world.activities].count("Visit") == 1
    assert [i["summary"] for i in world.items("bob")].count("Visit") == 1
    world.quiet()
