"""The engine on replicas in memory: each promise once, in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from tests.memory import MemoryCrm, MemoryReplica, calendar, crm
from tests.stores import new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MON = datetime(2026, 11, 30, 10, tzinfo=UTC)


def span(start: datetime = MON, hours: float = 1) -> Span:
    return Span(start, start + timedelta(hours=hours), "UTC")


class World:
    """Some calendars, a CRM, and a clock that the test moves."""

    def __init__(self, *names: str, lens: Lens | None = None, hub: MemoryCrm | None = None) -> None:
        self.now = NOW
        self.crm = hub or crm(lambda: self.now)
        self.crm.clock = lambda: self.now
        #: Called before and after each commit.
        self.watch: Callable[[str], None] = lambda moment: None
        self.store = new_store(lambda moment: self.watch(moment))
        self.calendars: dict[str, MemoryReplica] = {}
        self.pairings: list[Pairing] = []
        self._uids = count(1)
        for name in names:
            replica = calendar(name, lambda: self.now)
            self.calendars[name] = replica
            employee = Employee(name, (f"{name}@us.example",))
            self.pairings.append(
                Pairing(name, employee, replica, self.crm, "crm", lens or load(shipped()["appointments"]))
            )

    def sync(self, *, full: bool = False) -> list[Report]:
        self.now += timedelta(minutes=5)
        return [
            run_pass(Context(p, self.store, Moment(self.now), b"k" * 32, self.pairings, full=full))
            for p in self.pairings
        ]

    def quiet(self) -> None:
        self.sync()
        assert [r.writes for r in self.sync()] == [0] * len(self.pairings)

    def event(self, who: str, ref: str = "e1", *, uid: str = "", owner: str = "", **fields: object) -> str:
        base = {"summary": "Meeting", "time": span(), "status": "confirmed", "sensitivity": "public"}
        self.calendars[who].put(ref, "event", base | fields, uid=uid or f"uid-{ref}", owner=owner)
        return ref

    def appointment(self, ref: str = "a1", owner: str = "ann", **fields: object) -> str:
        base = {"subject": "Visit", "time": span(), "status": "open", "private": False}
        self.crm.put(ref, "appointment", base | fields, owner=f"{owner}@us.example")
        return ref

    @property
    def activities(self) -> list[dict[str, object]]:
        return [dict(r.fields) for r in self.crm.records.values()]

    def items(self, who: str) -> list[dict[str, object]]:
        return [dict(r.fields) for r in self.calendars[who].records.values()]


@pytest.fixture
def world() -> Iterator[World]:
    made = World("ann")
    yield made
    made.store.close()


def test_an_event_becomes_one_appointment_and_the_second_pass_does_nothing(world: World) -> None:
    world.event("ann", summary="Lunch", location="Roof")
    world.sync()
    assert [(a["subject"], a["location"], a["status"]) for a in world.activities] == [("Lunch", "Roof", "open")]
    world.quiet()


def test_an_appointment_becomes_an_event(world: World) -> None:
    world.appointment(subject="Visit ACME")
    world.sync()
    assert [i["summary"] for i in world.items("ann")] == ["Visit ACME"]
    world.quiet()


def test_edits_of_different_fields_on_both_sides_are_both_kept(world: World) -> None:
    world.event("ann")
    world.quiet()
    ref = next(iter(world.crm.records))
    world.calendars["ann"].edit("e1", time=span(MON + timedelta(days=1)))
    world.crm.edit(ref, location="Room 7")
    world.sync()
    assert world.activities[0]["time"] == span(MON + timedelta(days=1))
    assert world.items("ann")[0]["location"] == "Room 7"
    world.quiet()


def test_a_conflict_keeps_the_loser_in_the_history(world: World) -> None:
    world.event("ann")
    world.quiet()
    ref = next(iter(world.crm.records))
    world.crm.edit(ref, subject="From the CRM")
    world.now += timedelta(hours=1)
    world.calendars["ann"].edit("e1", summary="From the calendar")
    world.sync()
    assert world.activities[0]["subject"] == "From the calendar"
    assert [(f, t) for _, f, t in world.crm.history[ref]] == [("subject", "From the CRM")]
    world.quiet()


def test_a_deleted_event_cancels_its_appointment(world: World) -> None:
    world.event("ann")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.sync()
    assert [a["status"] for a in world.activities] == ["rejected"]
    world.quiet()
    assert world.items("ann") == []


def test_a_deleted_appointment_deletes_its_event(world: World) -> None:
    world.event("ann")
    world.quiet()
    world.crm.remove(next(iter(world.crm.records)))
    world.sync()
    assert world.items("ann") == []
    world.quiet()


def test_an_edit_beats_a_deletion(world: World) -> None:
    world.event("ann")
    world.quiet()
    world.crm.remove(next(iter(world.crm.records)))
    world.calendars["ann"].edit("e1", summary="Still on")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Still on"]
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.crm.edit(next(iter(world.crm.records)), subject="On after all")
    world.sync()
    assert [i["summary"] for i in world.items("ann")] == ["On after all"]
    world.quiet()


def test_a_long_subject_survives_a_crm_with_forty_characters() -> None:
    world = World("ann", hub=crm(lambda: NOW, subject=40))
    long = "A subject of ninety characters " + "x" * 59
    world.event("ann", summary=long)
    world.quiet()
    ref = next(iter(world.crm.records))
    assert world.activities[0]["subject"] == long[:40]
    world.crm.edit(ref, notes="A note")
    world.quiet()
    assert world.items("ann")[0]["summary"] == long
    world.crm.edit(ref, subject="Short")
    world.quiet()
    assert world.items("ann")[0]["summary"] == "Short"


def test_a_private_event_never_crosses_and_a_public_one_is_taken_back(world: World) -> None:
    world.event("ann", sensitivity="private")
    world.quiet()
    assert world.activities == []
    world.calendars["ann"].edit("e1", sensitivity="public")
    world.quiet()
    assert len(world.activities) == 1
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    assert world.activities == []
    world.quiet()
    world.calendars["ann"].edit("e1", sensitivity="public")
    world.quiet()
    assert len(world.activities) == 1


def test_a_private_appointment_is_private_in_its_owners_calendar(world: World) -> None:
    world.appointment(private=True)
    world.quiet()
    assert [i["sensitivity"] for i in world.items("ann")] == ["private"]
    world.calendars["ann"].edit(next(iter(world.calendars["ann"].records)), summary="Changed")
    world.quiet()
    assert [a["subject"] for a in world.activities] == ["Changed"]


def test_first_run_links_what_stands_on_both_sides(world: World) -> None:
    world.event("ann", summary="Review", location="Here")
    world.appointment(subject="review ", location="There")
    world.quiet()
    assert len(world.activities) == len(world.items("ann")) == 1
    assert world.activities[0]["location"] == world.items("ann")[0]["location"]


def people(*names: str, organizer: str = "ann") -> People:
    found = [Participant(f"{n}@us.example", answer="needs-action") for n in names]
    return People([*found, Participant(f"{organizer}@us.example", answer="accepted")])


def test_five_employees_share_one_meeting() -> None:
    world = World("bob", "ann", "cid")
    guests = people("bob", "cid", "dora", "eve")
    for who in ("bob", "ann", "cid"):
        world.event(who, uid="shared", owner="ann@us.example", attendees=guests)
    world.quiet()
    assert len(world.activities) == 1
    assert len(world.activities[0]["participants"]) == 5  # type: ignore[arg-type]
    world.calendars["ann"].edit("e1", time=span(MON + timedelta(days=2)))
    for p in world.calendars.values():
        p.log.clear()
    world.crm.log.clear()
    world.quiet()
    assert len(world.crm.log) == 1
    assert [p.log for p in world.calendars.values()] == [[], [], []]
    world.calendars["cid"].remove("e1")
    world.quiet()
    joined = world.activities[0]["participants"]
    assert isinstance(joined, People)
    assert joined["cid@us.example"].answer == "declined"
    assert world.activities[0]["status"] == "open"
    world.calendars["bob"].edit("e1", summary="My own words")
    world.quiet()
    assert world.activities[0]["subject"] == "Meeting"


def test_an_appointment_for_three_of_ours_is_three_plain_copies() -> None:
    world = World("ann", "bob", "cid")
    world.appointment(participants=people("bob", "cid"))
    world.quiet()
    assert [len(world.items(w)) for w in ("ann", "bob", "cid")] == [1, 1, 1]
    assert not any(i.get("attendees") for w in ("ann", "bob", "cid") for i in world.items(w))
    assert "bob@us.example" in str(world.items("ann")[0]["description"])
    ref = next(iter(world.calendars["bob"].records))
    world.calendars["bob"].edit(ref, summary="Moved by Bob")
    world.sync()
    world.quiet()
    assert {str(i["summary"]) for w in ("ann", "bob", "cid") for i in world.items(w)} == {"Moved by Bob"}
    world.calendars["cid"].remove(next(iter(world.calendars["cid"].records)))
    world.quiet()
    assert world.activities[0]["status"] == "open"


def test_a_customers_meeting_comes_from_the_first_copy_only() -> None:
    world = World("ann", "bob")
    guests = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("kim@acme.example")])
    for who in ("ann", "bob"):
        world.event(who, uid="theirs", owner="kim@acme.example", attendees=guests)
    world.quiet()
    assert len(world.activities) == 1
    world.crm.edit(next(iter(world.crm.records)), time=span(MON + timedelta(days=3)))
    world.quiet()
    assert world.items("ann")[0]["time"] == span()
    world.calendars["ann"].edit("e1", time=span(MON + timedelta(days=4)))
    world.quiet()
    assert world.activities[0]["time"] == span(MON + timedelta(days=4))


def test_a_series_is_single_appointments_for_a_crm_without_series() -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    world.event("ann", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    world.quiet()
    assert len(world.activities) == 4
    second = sorted(world.crm.records.values(), key=lambda r: r.fields["time"].key())[1]
    world.crm.edit(second.ref, subject="Special")
    world.quiet()
    series = world.items("ann")[0]["recurrence"]
    assert isinstance(series, Recurrence)
    assert [dict(o) for o in series.overrides.values()] == [{"summary": "Special"}]
    third = sorted(world.crm.records.values(), key=lambda r: r.fields["time"].key())[2]
    world.crm.edit(third.ref, status="rejected")
    world.quiet()
    series = world.items("ann")[0]["recurrence"]
    assert isinstance(series, Recurrence)
    assert len(series.exdates) == 1
    world.quiet()


def test_a_moved_series_takes_its_appointments_along() -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    world.event("ann", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    world.quiet()
    refs = set(world.crm.records)
    world.calendars["ann"].edit("e1", time=span(MON + timedelta(hours=2)))
    world.quiet()
    assert set(world.crm.records) == refs
    assert {r.fields["time"].start.hour for r in world.crm.records.values()} == {12}
    assert {r.fields["status"] for r in world.crm.records.values()} == {"open"}


def test_mass_deletion_is_held_until_it_is_approved(world: World) -> None:
    from syncd.store.journal import approve

    for n in range(30):
        world.event("ann", f"e{n}", summary=f"M{n}", time=span(MON + timedelta(days=n)))
    world.quiet()
    for n in range(25):
        world.calendars["ann"].remove(f"e{n}")
    world.event("ann", "new", summary="goes on", time=span(MON + timedelta(hours=3)))
    reports = world.sync()
    assert reports[0].held == 25
    assert [a["status"] for a in world.activities].count("rejected") == 0
    assert any(a["subject"] == "goes on" for a in world.activities)
    with world.store.transaction() as tx:
        approve(tx, "ann", 25)
    world.sync()
    assert [a["status"] for a in world.activities].count("rejected") == 25
    world.quiet()


def test_an_emptied_calendar_after_a_lost_cursor_deletes_nothing(world: World) -> None:
    for n in range(3):
        world.event("ann", f"e{n}", summary=f"M{n}", time=span(MON + timedelta(days=n)))
    world.quiet()
    for n in range(3):
        world.calendars["ann"].remove(f"e{n}")
    world.calendars["ann"].expire()
    world.calendars["ann"].feed.clear()
    assert world.sync()[0].held == 3
    assert {a["status"] for a in world.activities} == {"open"}


def test_an_unreadable_event_is_parked_and_the_rest_goes_on(world: World) -> None:
    world.event("ann", "good", summary="Good")
    world.event("ann", "bad", summary="Bad")
    world.calendars["ann"].unreadable.add("bad")
    assert world.sync()[0].parked == 1
    assert [a["subject"] for a in world.activities] == ["Good"]
    world.calendars["ann"].unreadable.clear()
    world.calendars["ann"].edit("bad", summary="Mended", time=span(MON + timedelta(days=1)))
    assert world.sync()[0].parked == 0
    assert len(world.activities) == 2


def test_the_window_moves_and_nothing_is_deleted(world: World) -> None:
    world.event("ann", "far", time=span(NOW + timedelta(days=370)))
    world.event("ann", "soon", summary="Soon")
    world.quiet()
    assert len(world.activities) == 1
    world.now += timedelta(days=7)
    world.quiet()
    assert len(world.activities) == 2
    world.now += timedelta(days=60)
    world.quiet()
    assert len(world.activities) == 2
    assert {a["status"] for a in world.activities} == {"open"}


@pytest.mark.parametrize("over", [False, True])
def test_what_became_private_leaves_only_what_the_crm_added(world: World, over: bool) -> None:
    world.event("ann", description="Results of the scan\nsecond", categories=frozenset({"Health"}), location="Ward")
    world.quiet()
    ref = next(iter(world.crm.records))
    added = frozenset({"Health", "Customer"})
    words = {"subject": "Scan (moved)"} if over else {}
    world.crm.edit(ref, notes="Results of the scan, moved\nCall Kim first", categories=added, **words)
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    (left,) = world.activities
    assert (left["notes"], left["categories"], left["location"]) == ("Call Kim first", frozenset({"Customer"}), "")
    # what was typed over the entry's own words may hold some of them: it is its owner's alone
    assert (left["subject"], bool(left["private"])) == (("Scan (moved)", True) if over else ("", False))
    assert world.crm.history == {}
    world.quiet()


@pytest.mark.parametrize("history", [True, False])
def test_what_loses_is_kept_before_anything_replaces_it(history: bool) -> None:
    """A pass that dies between the two writes must not have replaced the loser already."""
    hub = crm(lambda: NOW)
    hub.caps = replace(hub.caps, history=history)
    world = World("ann", hub=hub)
    world.event("ann", summary="First", location="Here")
    world.quiet()
    ref = next(iter(world.crm.records))
    world.calendars["ann"].edit("e1", summary="Typed in the calendar", categories=frozenset({"Work"}))
    world.now += timedelta(minutes=30)
    world.crm.edit(ref, subject="Typed in the CRM")

    def die(when: str, call: str) -> None:
        if (when, call) in (("before", "remember"), ("before", "update")):
            raise KeyboardInterrupt

    world.crm.gate = die
    with pytest.raises(KeyboardInterrupt):
        world.sync()
    assert world.items("ann")[0]["summary"] == "Typed in the calendar"
    world.crm.gate = lambda when, call: None
    world.quiet()
    kept = [text for lines in world.crm.history.values() for _, _, text in lines]
    assert "Typed in the calendar" in " ".join([*kept, *(str(a.get("notes") or "") for a in world.activities)])
    assert world.items("ann")[0]["summary"] == "Typed in the CRM"
    assert "Work" in str(world.activities[0]["categories"])


@pytest.mark.parametrize("same_version", [True, False])
@pytest.mark.parametrize("deletion", ["cancel", "delete", "keep"])
def test_an_event_that_is_brought_back_is_on_again(deletion: str, same_version: bool, tmp_path: Path) -> None:
    text = shipped()["appointments"].read_text().replace("item-gone: cancel", f"item-gone: {deletion}")
    (tmp_path / "m.yaml").write_text(text)
    world = World("ann", lens=load(tmp_path / "m.yaml"))
    world.event("ann", summary="Lunch")
    world.quiet()
    was = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.quiet()
    world.calendars["ann"].bring_back(was, same_version=same_version)
    world.quiet()
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Lunch", "open")]
    assert [i["summary"] for i in world.items("ann")] == ["Lunch"]


def test_an_event_that_is_brought_back_before_its_activity_is_seen_to_be_gone(tmp_path: Path) -> None:
    text = shipped()["appointments"].read_text().replace("item-gone: cancel", "item-gone: delete")
    (tmp_path / "m.yaml").write_text(text)
    world = World("ann", lens=load(tmp_path / "m.yaml"))
    world.event("ann", summary="Lunch")
    world.quiet()
    was = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.sync()
    world.calendars["ann"].bring_back(was, same_version=True)
    world.quiet()
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Lunch", "open")]
    assert [i["summary"] for i in world.items("ann")] == ["Lunch"]


def answer_of(world: World, who: str) -> str:
    people = world.activities[0]["participants"]
    assert isinstance(people, People)
    return people[f"{who}@us.example"].answer


def test_a_copy_that_an_attendee_brings_back_is_accepted_again() -> None:
    world = World("ann", "bob")
    people = People([Participant("ann@us.example", "", "accepted"), Participant("bob@us.example", "", "accepted")])
    for who in ("ann", "bob"):
        world.event(who, f"{who}/m", uid="m", owner="ann@us.example", attendees=people)
    world.quiet()
    was = world.calendars["bob"].records["bob/m"]
    world.calendars["bob"].remove("bob/m")
    world.quiet()
    assert answer_of(world, "bob") == "declined"
    world.calendars["bob"].bring_back(was, same_version=True)
    world.quiet()
    assert answer_of(world, "bob") == "accepted"
    assert world.activities[0]["status"] == "open"


@pytest.mark.parametrize("history", [True, False])
def test_words_that_lost_a_conflict_are_taken_back_too_when_their_event_becomes_private(history: bool) -> None:
    hub = crm(lambda: NOW)
    hub.caps = replace(hub.caps, history=history)
    world = World("ann", hub=hub)
    world.appointment(subject="Visit", location="Room of the CRM")
    world.event("ann", summary="Visit", location="Room of Ann")
    world.quiet()
    assert "Room of Ann" in repr(world.crm.history) + repr(world.activities)
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.quiet()
    assert "Room of Ann" not in repr(world.crm.history) + repr(world.activities)
    assert "Room of the CRM" in repr(world.activities)


def test_an_original_that_comes_back_while_its_copy_goes_is_there_once(world: World) -> None:
    world.event("ann", summary="Visit")
    world.quiet()
    (ref,) = world.crm.records
    original = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.crm.edit(ref, location="Room 1")
    world.quiet()
    (copy,) = world.calendars["ann"].records
    world.calendars["ann"].bring_back(original, same_version=False)
    world.calendars["ann"].remove(copy)
    world.crm.edit(ref, location="Room 2")
    world.quiet()
    assert len(world.items("ann")) == 1
    assert len(world.activities) == 1
