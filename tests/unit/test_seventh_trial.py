"""What the seventh trial found, each as its shortest story."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.engine.context import Context
from syncd.engine.pairing import Employee, Moment
from syncd.engine.passes import run_pass
from syncd.mapping.loader import load, shipped
from syncd.mapping.schema import warnings_of
from syncd.model.fields import with_answer
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from syncd.ports import Telling, Transient
from tests.memory import calendar, crm
from tests.stores import new_store
from tests.unit.test_cases import GUESTS, only, two_calendars, waiting, with_mapping
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_mail_engine import Office
from tests.unit.test_sixth_trial import hand_over, people, settled

ORDERS = [("ann", "bob"), ("bob", "ann")]
CUSTOMER = "kim@acme.example"


def shared_meeting(
    order: tuple[str, ...], organiser: str, tmp_path: Path, private: str, *, series: bool = True
) -> World:
    """One meeting of Ann, Bob and a customer in both calendars; nothing has been read."""
    hub = crm(lambda: NOW, series=series)
    world = with_mapping(World(*order, hub=hub), tmp_path, privacy={"private": private})
    guests = People([*people("ann", "bob").values(), Participant(CUSTOMER)])
    for name in order:
        world.event(name, name, uid="shared", owner=organiser, summary="Review", attendees=guests)
    return world


def mark(world: World, who: str, word: str) -> None:
    world.calendars[who].edit(who, sensitivity=word)


def subjects(world: World) -> list[object]:
    return [a["subject"] for a in world.activities if a.get("status") != "rejected"]


# -- a colleague's private copy says nothing of a meeting that others speak for --------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("private", ["busy-only", "withhold", "full"])
def test_a_private_copy_does_not_rename_the_meeting_that_others_show(
    private: str, who: str, organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, private)
    settled(world)
    assert subjects(world) == ["Review"]
    mark(world, who, "private")
    settled(world)
    assert subjects(world) == ["Review"] or private == "full"
    assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2
    mark(world, who, "public")
    settled(world)
    assert subjects(world) == ["Review"]
    assert {str(a["owner"]) for a in map(vars, world.crm.records.values())} == {
        "ann@us.example"
    } or organiser == CUSTOMER
    assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("series", [True, False])
def test_a_private_copy_of_a_series_does_not_rename_it_either(
    series: bool, who: str, organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, "busy-only", series=series)
    for name in order:
        world.calendars[name].edit(name, recurrence=Recurrence("FREQ=WEEKLY;COUNT=2"))
    settled(world)
    number = 1 if series else 2
    assert subjects(world) == ["Review"] * number
    for word in ("private", "public"):
        mark(world, who, word)
        settled(world)
        assert subjects(world) == ["Review"] * number
        assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("again", ORDERS)
def test_a_meeting_that_is_private_for_everybody_shows_nothing_and_comes_back_once(
    again: tuple[str, str], organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, "busy-only")
    settled(world)
    for name in again:
        mark(world, name, "private")
        settled(world)
    assert "Review" not in subjects(world)
    assert "Review" not in repr(world.crm.history)
    for name in again:
        mark(world, name, "public")
        settled(world)
    assert subjects(world) == ["Review"]


# -- a meeting that was private when it was first seen is one meeting when it is public ------------------------


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("whose", [("ann", "bob"), ("bob", "ann"), ("ann",), ("bob",)])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("private", ["busy-only", "withhold"])
def test_a_meeting_that_was_private_from_the_start_is_one_when_it_is_public(
    private: str, at_once: bool, whose: tuple[str, ...], organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, private)
    for name in whose:
        mark(world, name, "private")
    settled(world)
    for name in whose:
        mark(world, name, "public")
        if not at_once:
            settled(world)
    settled(world)
    assert subjects(world) == ["Review"]
    assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2
    assert len(world.activities) == 1
    world.crm.edit(only(world), notes="Bring the plan")
    settled(world)
    world.calendars["ann"].edit("ann", summary="Review, at last")
    world.calendars["bob"].edit("bob", summary="Review, at last")
    settled(world)
    assert subjects(world) == ["Review, at last"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("series", [True, False])
def test_a_series_that_was_private_from_the_start_is_one_when_it_is_public(
    series: bool, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, "ann@us.example", tmp_path, "busy-only", series=series)
    for name in order:
        world.calendars[name].edit(name, recurrence=Recurrence("FREQ=WEEKLY;COUNT=2"), sensitivity="private")
    settled(world)
    for name in order:
        mark(world, name, "public")
    settled(world)
    assert subjects(world) == ["Review"] * (1 if series else 2)
    assert len(world.activities) == (1 if series else 2)


@pytest.mark.parametrize("order", ORDERS)
def test_what_somebody_typed_on_a_block_that_gives_way_stays_to_be_read(order: tuple[str, str], tmp_path: Path) -> None:
    world = shared_meeting(order, "ann@us.example", tmp_path, "busy-only")
    for name in order:
        mark(world, name, "private")
    settled(world)
    for ref in list(world.crm.records):
        world.now += timedelta(minutes=10)
        world.crm.edit(ref, notes=f"Call back {ref}")
    settled(world)
    for name in order:
        mark(world, name, "public")
    settled(world)
    assert subjects(world) == ["Review"]
    text = repr([world.crm.records, world.crm.history])
    assert text.count("Call back") >= 2
    assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2


# -- a block that a colleague cleared out of the CRM, and then the entry is public -----------------------------


@pytest.mark.grid
@pytest.mark.parametrize("ended", ["deleted", "rejected"])
@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("falls", ["entry", "rule"])
@pytest.mark.parametrize("series", [False, True])
def test_what_stood_behind_a_block_that_was_cleared_away_crosses_when_it_is_public(
    series: bool, falls: str, between: bool, ended: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    more: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=2")} if series else {}
    world.event("ann", summary="Talk", location="Here", sensitivity="private", **more)
    settled(world)
    if ended == "deleted":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), status="rejected")
    if between:
        settled(world)
    assert [i["summary"] for i in world.items("ann")] == ["Talk"]
    if falls == "entry":
        world.calendars["ann"].edit("e1", sensitivity="public")
    else:
        with_mapping(world, tmp_path, privacy={"private": "full"})
    settled(world)
    assert [(a["subject"], a["location"]) for a in world.activities] == [("Talk", "Here")]
    world.calendars["ann"].edit("e1", summary="Talk, again")
    settled(world)
    assert subjects(world) == ["Talk, again"]


# -- ended on both sides at once, and reopened -----------------------------------------------------------------


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("status", ["rejected", "completed"])
@pytest.mark.parametrize("first", ["both", "crm", "calendar"])
def test_what_was_ended_on_both_sides_comes_back_when_it_takes_place(first: str, status: str, ours: bool) -> None:
    world = World("ann")
    if ours:
        world.appointment(subject="Talk")
    else:
        world.event("ann", summary="Talk")
    settled(world)
    ref = only(world)
    (item,) = world.calendars["ann"].records
    for side in ("crm", "calendar") if first != "calendar" else ("calendar", "crm"):
        if side == "crm":
            world.crm.edit(ref, status=status)
        else:
            world.calendars["ann"].remove(item)
        if first != "both":
            settled(world)
    settled(world)
    assert world.items("ann") == []
    world.crm.edit(ref, status="open", time=span(MON + timedelta(days=3)))
    settled(world)
    assert [(i["summary"], i["time"]) for i in world.items("ann")] == [("Talk", span(MON + timedelta(days=3)))]


def test_what_was_deleted_before_it_was_rejected_does_not_come_back(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, deletions={"item-gone": "keep"})
    world.event("ann", summary="Talk")
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    for status in ("rejected", "open"):
        world.crm.edit(only(world), status=status)
        settled(world)
    assert world.items("ann") == []


# -- a stricter rule shows nothing that was private under the one before ---------------------------------------


@pytest.mark.parametrize("stricter", ["withhold", "busy-only"])
@pytest.mark.parametrize("by", ["calendar", "crm"])
@pytest.mark.parametrize("typed", ["while it was private", "before", "in the calendar"])
def test_a_stricter_rule_makes_nothing_public(typed: str, by: str, stricter: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": "full"})
    if by == "crm":
        world.appointment(subject="Talk", participants=people("ann", "bob"))
    else:
        world.event("ann", summary="Talk")
        world.quiet()
        world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    ref = only(world)
    if typed == "before":
        world.crm.edit(ref, location="Zebra")
        settled(world)
    (mine,) = world.calendars["ann"].records
    world.calendars["ann"].edit(mine, sensitivity="private")
    settled(world)
    if typed == "while it was private":
        world.crm.edit(ref, location="Zebra", notes="Zebra notes")
    elif typed == "in the calendar":
        world.calendars["ann"].edit(mine, location="Zebra", description="Zebra notes")
    settled(world)
    assert world.items("bob") == []
    with_mapping(world, tmp_path, privacy={"private": stricter})
    settled(world)
    assert [i["summary"] for i in world.items("bob")] in ([], ["Busy"])
    assert "Zebra" not in repr(world.items("bob"))
    for activity in world.activities:
        assert activity.get("private") or "Zebra" not in repr(activity)
    world.calendars["ann"].edit(mine, sensitivity="public")
    settled(world)
    assert [i["summary"] for i in world.items("ann")] == ["Talk"]
    assert subjects(world) == ["Talk"]
    assert not world.activities[0].get("private")


# -- both accounts of an employee get other names --------------------------------------------------------------


def called(world: World, names: dict[str, str], employee: str = "ann") -> None:
    """Ann's accounts have these names from now on, and she that id."""
    calendars = {id(world.calendars[where]): name for where, name in names.items()}
    world.pairings = [
        replace(p, id=f"{employee}/{calendars[id(p.replica)]}", employee=replace(p.employee, id=employee))
        if id(p.replica) in calendars
        else p
        for p in world.pairings
    ]


@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("how", ["both names", "her id", "one name"])
@pytest.mark.parametrize("bob", [True, False])
def test_two_calendars_that_get_other_names_hold_what_they_held(bob: bool, how: str, first: str) -> None:
    world = two_calendars("bob")
    if first == "home":
        world.pairings.reverse()
    called(world, {"ann": "work", "home": "private"})
    world.event("ann", "w", summary="At work")
    for number in range(4):
        world.event("home", f"h{number}", summary=f"Second {number}")
    settled(world)
    if bob:
        for ref in list(world.crm.records):
            world.crm.edit(ref, participants=people("ann", "bob"))
        settled(world)
    if how == "her id":
        called(world, {"ann": "work", "home": "private"}, "ann.miller")
    else:
        called(world, {"ann": "office", "home": "own" if how == "both names" else "private"})
    settled(world)
    assert (len(world.items("ann")), len(world.items("home"))) == (1, 4)
    assert len(world.items("bob")) == (5 if bob else 0)
    for ref, record in list(world.crm.records.items()):
        world.crm.edit(ref, location=f"Room {record.fields['subject']}")
    settled(world)
    assert all(str(i["location"]).startswith("Room") for n in ("ann", "home") for i in world.items(n))


# -- an answer is no edit ----------------------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
@pytest.mark.parametrize("server", Telling)
@pytest.mark.parametrize("when", ["before the pass", "while it waits"])
def test_a_guests_answer_does_not_undo_a_deletion(when: str, server: Telling, policy: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests=policy)
    world.calendars["ann"].server = server
    guests = People([Participant("ann@us.example"), Participant(CUSTOMER)])
    world.event("ann", owner="ann@us.example", attendees=guests)
    settled(world)
    world.crm.remove(only(world))
    if when == "while it waits":
        settled(world)
    if world.items("ann"):
        answered = with_answer(guests, CUSTOMER, "accepted")
        world.calendars["ann"].edit("e1", attendees=answered)
    settled(world)
    assert world.activities == []
    waits = policy == "wait" or (policy == "quiet" and server is Telling.TELLS)
    assert waiting(world) == (["deletion"] if waits else [])
    assert len(world.items("ann")) == waits
    if waits:  # whoever changes the meeting wants it
        world.calendars["ann"].edit("e1", attendees=People([*guests.values(), Participant("dora@cust.example")]))
        settled(world)
        assert len(world.activities) == 1


# -- under `tell` no guest hears of a date that is over ---------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("server", Telling)
@pytest.mark.parametrize("series", [True, False])
@pytest.mark.parametrize("change", ["left out", "moved", "place"])
@pytest.mark.parametrize("also", [False, True])
def test_no_guest_hears_of_a_date_that_is_over(
    also: bool, change: str, series: bool, server: Telling, tmp_path: Path
) -> None:
    hub = crm(lambda: NOW, series=series)
    world = with_mapping(World("ann", hub=hub), tmp_path, guests="tell")
    world.calendars["ann"].server = server
    guests = People([Participant("ann@us.example"), Participant(CUSTOMER)])
    began = NOW - timedelta(days=15)
    world.event(
        "ann", owner="ann@us.example", attendees=guests, time=span(began), recurrence=Recurrence("FREQ=WEEKLY;COUNT=9")
    )
    settled(world)
    world.calendars["ann"].outbox.clear()
    past, ahead = began + timedelta(days=7), began + timedelta(days=28)
    dates = [past, ahead] if also else [past]
    changes: dict[str, Any] = {
        "moved": {"time": span(past + timedelta(hours=1))},
        "place": {"location": "Room 9"},
        "left out": {},
    }
    if series:
        held = world.crm.records[only(world)].fields["recurrence"]
        keys = [moment_key(d) for d in dates]
        if change == "left out":
            wanted = replace(held, exdates=frozenset(keys))
        else:
            overrides = {
                k: {"time": span(d + timedelta(hours=1))} if change == "moved" else {"location": "Room 9"}
                for k, d in zip(keys, dates, strict=True)
            }
            wanted = replace(held, overrides=overrides)
        world.crm.edit(only(world), recurrence=wanted)
    else:
        for ref, record in list(world.crm.records.items()):
            start = record.fields["time"].start
            if start in dates and change == "left out":
                world.crm.remove(ref)
            elif start in dates:
                fields = {"time": span(start + timedelta(hours=1))} if change == "moved" else changes[change]
                world.crm.edit(ref, **fields)
    settled(world)
    told = also and server is not Telling.NOBODY
    assert bool(world.calendars["ann"].outbox) is told


# -- what a former account held goes on, blocks of time and what is gone too ----------------------------------------


NEW = {"the name": ("ann", {"ann": "office"}), "her id": ("ann.miller", {"ann": "work"})}


@pytest.mark.grid
@pytest.mark.parametrize("how", NEW)
@pytest.mark.parametrize("series", ["none", "one", "single"])
@pytest.mark.parametrize("word", ["stays", "public", "moved", "deleted", "touched"])
def test_a_block_of_time_goes_on_under_the_accounts_other_name(
    word: str, series: str, how: str, tmp_path: Path
) -> None:
    hub = crm(lambda: NOW, series=series != "single")
    world = with_mapping(World("ann", hub=hub), tmp_path, privacy={"private": "busy-only"})
    called(world, {"ann": "work"})
    more: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=2")} if series != "none" else {}
    number = 2 if series == "single" else 1
    world.event("ann", summary="Doctor", sensitivity="private", **more)
    world.event("ann", "other", summary="Talk", time=span(MON + timedelta(days=1)))
    settled(world)
    assert subjects(world).count("Busy") == number
    replica = world.calendars["ann"]
    if word == "public":
        replica.edit("e1", sensitivity="public")
    elif word == "moved":
        replica.edit("e1", time=span(MON + timedelta(hours=3)))
    elif word == "touched":
        replica.edit("e1", summary="Dentist")
    elif word == "deleted":
        replica.remove("e1")
    employee, names = NEW[how]
    called(world, names, employee)
    settled(world)
    title = "Doctor" if word == "public" else "Busy"
    assert sorted(map(str, subjects(world))) == sorted([*([title] * number if word != "deleted" else []), "Talk"])
    assert [i["summary"] for i in world.items("ann")].count("Busy") == 0
    assert len(world.items("ann")) == (1 if word == "deleted" else 2)


@pytest.mark.parametrize("how", ["a new name", "the old name"])
@pytest.mark.parametrize("number", [1, 2])
def test_blocks_of_time_at_a_new_address_are_those_that_were_there(how: str, number: int, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    called(world, {"ann": "work"})
    for each in range(number):
        world.event("ann", f"e{each}", summary=f"Doctor {each}", sensitivity="private")
    settled(world)
    before = set(world.crm.records)
    elsewhere = calendar("elsewhere", lambda: world.now)
    elsewhere.number = elsewhere.oldest = 100  # another calendar than the one that was read
    for each in range(number):
        held = dict(world.calendars["ann"].records[f"e{each}"].fields)
        elsewhere.put(f"new{each}", "event", held, uid=f"other-{each}")
    world.calendars["ann"] = elsewhere
    (old,) = world.pairings
    world.pairings = [replace(old, id="ann/office" if how == "a new name" else old.id, replica=elsewhere)]
    settled(world)
    assert set(world.crm.records) == before
    assert subjects(world) == ["Busy"] * number
    assert len(world.items("ann")) == number


@pytest.mark.parametrize("how", NEW)
@pytest.mark.parametrize("by", ["calendar", "crm", "invitation", "the second calendar"])
def test_what_went_before_the_account_had_its_other_name_is_gone(by: str, how: str) -> None:
    world = two_calendars("bob")
    called(world, {"ann": "work", "home": "private"})
    where = "home" if by == "the second calendar" else "ann"
    if by == "crm":
        world.appointment(subject="Talk")
    elif by == "invitation":
        guests = People([Participant(CUSTOMER), *people("ann", "bob").values()])
        for name in ("ann", "bob"):
            world.event(name, name, uid="shared", owner=CUSTOMER, summary="Talk", attendees=guests)
    else:
        world.event(where, summary="Talk")
    world.event(where, "stays", summary="Stays", time=span(MON + timedelta(days=1)))
    settled(world)
    (gone,) = [r for r, held in world.calendars[where].records.items() if held.fields["summary"] == "Talk"]
    world.calendars[where].remove(gone)
    employee, names = NEW[how]
    called(world, {"ann": names["ann"], "home": "own" if how == "the name" else "private"}, employee)
    settled(world)
    assert [i["summary"] for i in world.items("ann") + world.items("home")] == ["Stays"]
    (talk,) = [a for a in world.activities if a["subject"] == "Talk"]
    if by == "invitation":
        told = talk["participants"]
        assert isinstance(told, People) and told["ann@us.example"].answer == "declined"
    else:
        assert talk["status"] == "rejected"


@pytest.mark.parametrize("how", ["name", "id"])
def test_mail_that_was_moved_to_an_excluded_folder_before_its_box_had_another_name_is_taken_back(how: str) -> None:
    office = Office()
    office.boxes["ann"].excluded = frozenset({"Home"})
    office.deliver("m", "Lab results", "ann")
    office.deliver("n", "Offer", "ann")
    office.sync(2)
    assert set(office.logged()) == {"Lab results", "Offer"}
    box = office.boxes["ann"]
    box.move("m", "m2", "Home")
    who = "ann" if how == "name" else "ann.miller"
    office.pairings = [
        replace(p, id=f"{who}/other", employee=replace(p.employee, id=who)) if p.replica is box else p
        for p in office.pairings
    ]
    office.sync(3)
    assert set(office.logged()) == {"Offer"}


# -- what somebody typed in the CRM over the entry's own words ------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("field", ["location", "subject", "time"])
@pytest.mark.parametrize("why", ["just now", "waits", "to-crm"])
@pytest.mark.parametrize("bob", [False, True])
def test_what_was_typed_over_an_entry_that_becomes_private_is_its_owners_alone(
    bob: bool, why: str, field: str, policy: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"privacy": {"private": policy}} | ({"direction": "to-crm"} if why == "to-crm" else {})
    world = with_mapping(World("ann", "bob"), tmp_path, **changes)
    more: dict[str, Any] = {"owner": "ann@us.example", "attendees": People([*people("ann").values(), *GUESTS.values()])}
    world.event("ann", summary="Doctor", location="Clinic", **(more if why == "waits" else {}))
    settled(world)
    ref = only(world)
    if bob:
        told = world.crm.records[ref].fields.get("participants") or People()
        world.crm.edit(ref, participants=People([*told.values(), *people("ann", "bob").values()]))
        settled(world)
    typed: dict[str, Any] = {"location": "Zebra", "subject": "Zebra", "time": span(MON + timedelta(days=3))}
    world.now += timedelta(minutes=10)
    world.crm.edit(ref, **{field: typed[field]})
    if why == "waits":
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    everything = repr([world.activities, world.crm.history, world.items("bob")])
    assert "Doctor" not in everything and "Clinic" not in everything
    for activity in world.activities:
        assert activity.get("private") or "Zebra" not in repr(activity)
        assert activity.get("private") or activity.get("subject") or activity.get("notes") or bob
    assert "Zebra" not in repr(world.items("bob"))
    if policy == "withhold" and (why, field) != ("waits", "subject"):  # that one has crossed
        assert [a.get(field) for a in world.activities] == [typed[field]]
    world.calendars["ann"].edit("e1", sensitivity="public")
    settled(world)
    kept = repr([world.activities, world.crm.history, world.items("ann")])
    assert policy == "busy-only" or field == "time" or "Zebra" in kept or (why, field) == ("waits", "subject")
    assert not any(a.get("private") for a in world.activities)


# -- a lost or older store: whose a meeting is by then ----------------------------------------------------------------


def lose(world: World) -> None:
    """The store is moved away."""
    world.store = new_store()


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_a_lost_store_takes_nothing_back_that_a_colleague_shows(
    policy: str, who: str, organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, policy)
    settled(world)
    world.crm.edit(only(world), location="Room 9", categories=frozenset({"Key account"}))
    settled(world)
    mark(world, who, "private")
    settled(world)
    lose(world)
    settled(world, 6)
    (activity,) = world.activities
    assert (activity["subject"], activity["location"]) == ("Review", "Room 9")
    assert "Key account" in repr(activity["categories"])
    mark(world, who, "public")
    settled(world)
    assert subjects(world) == ["Review"]
    assert [i["summary"] for n in order for i in world.items(n)] == ["Review"] * 2
    for name in order:
        mark(world, name, "private")
    settled(world)
    assert "Review" not in repr([world.activities, world.crm.history])


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("part", [("ann", "bob"), ("ann",)])
@pytest.mark.parametrize("when", ["later", "at once", "before"])
def test_what_was_handed_over_before_the_store_was_lost_is_taken_back_when_it_becomes_private(
    when: str, part: tuple[str, ...], guests: bool, order: tuple[str, str]
) -> None:
    world = World(*order)
    more: dict[str, Any] = {"owner": "ann@us.example", "attendees": GUESTS} if guests else {}
    world.event("ann", summary="Zebra", description="Words", **more)
    settled(world)
    ref = only(world)
    world.crm.edit(ref, participants=people(*part))
    hand_over(world, ref, "bob")
    settled(world)
    if when == "before":
        mark_e1(world, "private")
        settled(world)
    lose(world)
    if when == "later":
        settled(world, 6)
        assert (len(world.items("ann")), len(world.items("bob"))) == (1, 0 if guests else 1)
    if when != "before":
        mark_e1(world, "private")
    settled(world, 6)
    everything = repr([world.activities, world.crm.history, world.items("bob")])
    assert "Zebra" not in everything and "Words" not in everything
    assert len(world.items("ann")) == 1


def test_an_invitation_that_reads_otherwise_is_known_by_its_uid_when_the_store_is_lost() -> None:
    world = World("ann", "bob")
    for name in ("ann", "bob"):
        world.event(name, name, uid="shared", owner=CUSTOMER, summary="Review", attendees=people("ann", "bob"))
    settled(world)
    lose(world)
    world.calendars["bob"].edit("bob", summary="Mine: review")
    world.calendars["ann"].remove("ann")
    settled(world, 6)
    assert [i["summary"] for i in world.items("bob")] == ["Mine: review"]
    assert len(world.activities) == 1


def test_a_private_entry_takes_nothing_back_of_what_was_not_made_of_it() -> None:
    """The same UID, in something that somebody made in the CRM, and in which the employee takes part."""
    world = World("ann")
    base = {"subject": "Their visit", "time": span(MON + timedelta(days=1)), "status": "open", "private": False}
    world.crm.put("a1", "appointment", {**base, "participants": people("ann")}, owner="carla@us.example", uid="u")
    world.event("ann", uid="u", summary="Dentist", sensitivity="private")
    settled(world)
    assert [a["subject"] for a in world.activities] == ["Their visit"]
    mark_e1(world, "public")
    settled(world)
    assert sorted(str(a["subject"]) for a in world.activities) == ["Dentist", "Their visit"]


def mark_e1(world: World, word: str) -> None:
    world.calendars["ann"].edit("e1", sensitivity=word)


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rests", ["left out", "ahead", "unreadable", "unready"])
@pytest.mark.parametrize("part", [("ann", "bob"), ("ann",), ()])
@pytest.mark.parametrize("home", [False, True])
def test_what_was_handed_over_and_rests_when_the_store_is_lost_has_no_copy_beside_it(
    home: bool, part: tuple[str, ...], rests: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = two_calendars("bob")
    world.pairings.sort(key=lambda p: (*order, "home").index(p.id))
    with_mapping(world, tmp_path, exclude=[{"category": ["Skip"]}])
    replica = world.calendars["home" if home else "ann"]
    world.event("home" if home else "ann", summary="Talk")
    settled(world)
    ref = only(world)
    if part:
        world.crm.edit(ref, participants=people(*part))
    hand_over(world, ref, "bob")
    settled(world)
    if rests == "left out":
        replica.edit("e1", categories=frozenset({"Skip"}))
    elif rests == "ahead":
        replica.edit("e1", time=span(MON + timedelta(days=900)))
    else:
        getattr(replica, rests).add("e1")
    lose(world)
    for _ in range(6):
        world.now += timedelta(minutes=5)
        for pairing in world.pairings:
            with suppress(Transient):
                run_pass(Context(pairing, world.store, Moment(world.now), b"k" * 32, world.pairings))
    assert len(world.items("ann")) + len(world.items("home")) == 1
    assert len(world.activities) == 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["crm", CUSTOMER, "ann@us.example"])
def test_what_somebody_has_declined_stays_so_when_the_store_is_lost(
    how: str, order: tuple[str, str], tmp_path: Path
) -> None:
    if how == "crm":
        world = World(*order)
        world.appointment(subject="Review", participants=people("ann", "bob"))
    else:
        world = shared_meeting(order, how, tmp_path, "withhold")
    settled(world)
    (copy,) = world.calendars["bob"].records
    world.calendars["bob"].remove(copy)
    settled(world)

    def answer() -> str:
        told = world.activities[0]["participants"]
        assert isinstance(told, People)
        return told["bob@us.example"].answer

    assert answer() == "declined"
    lose(world)
    settled(world, 6)
    assert (answer(), world.items("bob"), len(world.items("ann"))) == ("declined", [], 1)
    held = world.crm.records[only(world)].fields["participants"]
    world.crm.edit(only(world), participants=with_answer(held, "bob@us.example", "accepted"))
    settled(world)
    assert len(world.items("bob")) == (1 if how == "crm" else 0)


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("cid", "bob", "ann")])
def test_what_one_has_declined_is_not_undone_when_another_copy_speaks(order: tuple[str, ...], tmp_path: Path) -> None:
    world = World(*order)
    guests = People([*people("ann", "bob", "cid").values(), Participant(CUSTOMER)])
    for name in order:
        world.event(name, name, uid="shared", owner=CUSTOMER, summary="Review", attendees=guests)
    settled(world)
    world.calendars["bob"].remove("bob")
    settled(world)
    for name in ("ann", "cid"):
        mark(world, name, "private")
        settled(world)
        for activity in world.activities:
            told = activity["participants"]
            assert isinstance(told, People)
            assert not told or told["bob@us.example"].answer == "declined"
        mark(world, name, "public")
        settled(world)


@pytest.mark.grid
@pytest.mark.parametrize("order", [("ann", "home", "bob"), ("bob", "home", "ann"), ("home", "ann", "bob")])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("between", ["nothing", "a pass between", "private first"])
def test_a_copy_that_moves_and_becomes_private_ends_nothing_for_others(
    between: str, policy: str, order: tuple[str, ...], tmp_path: Path
) -> None:
    world = two_calendars("bob")
    with_mapping(world, tmp_path, privacy={"private": policy})
    world.pairings.sort(key=lambda p: order.index(p.id))
    world.appointment(subject="Talk", participants=people("ann", "bob"))
    settled(world)
    (ref,) = world.calendars["ann"].records
    held = world.calendars["ann"].records[ref]
    if between == "private first":
        world.calendars["ann"].edit(ref, sensitivity="private")
        settled(world)
    world.calendars["ann"].remove(ref)
    fields = {**held.fields, "sensitivity": "private"}
    if between == "a pass between":
        world.calendars["home"].put("moved", "event", held.fields, uid=held.uid)
        settled(world)
        world.calendars["home"].edit("moved", sensitivity="private")
    else:
        world.calendars["home"].put("moved", "event", fields, uid=held.uid)
    settled(world, 6)
    assert [a["status"] for a in world.activities if a.get("subject") == "Talk"] == ["open"]
    assert [(i["summary"], i["status"]) for i in world.items("bob")] == [("Talk", "confirmed")]
    world.calendars["home"].edit("moved", sensitivity="public")
    settled(world, 6)
    assert subjects(world) == ["Talk"]
    assert [i["summary"] for i in world.items("ann") + world.items("home")] == ["Talk"]


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("how", NEW)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_what_moved_and_became_private_before_the_accounts_had_other_names_is_taken_back(
    policy: str, how: str, order: tuple[str, ...], tmp_path: Path
) -> None:
    world = two_calendars()
    with_mapping(world, tmp_path, privacy={"private": policy})
    world.pairings.sort(key=lambda p: order.index(p.id))
    called(world, {"ann": "work", "home": "private"})
    world.event("ann", summary="Zebra", description="Words")
    world.event("ann", "stays", summary="Stays", time=span(MON + timedelta(days=1)))
    settled(world)
    held = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.calendars["home"].put("moved", "event", {**held.fields, "sensitivity": "private"}, uid=held.uid)
    employee, names = NEW[how]
    called(world, {"ann": names["ann"], "home": "own" if how == "the name" else "private"}, employee)
    settled(world, 6)
    assert "Zebra" not in repr([world.activities, world.crm.history, world.items("ann")])
    assert len(world.items("ann")) + len(world.items("home")) == 2


# -- all of it crosses only where the CRM is told that it is private ---------------------------------------------------

CARRIED = {"from": "sensitivity", "values": {"public": "false", "private": "true", "confidential": "true"}}
NOT_CARRIED: dict[str, Any] = {
    "no field": None,
    "to the groupware only": {**CARRIED, "back": {"true": "private", "false": "public"}, "direction": "to-groupware"},
    "a value is missing": {"from": "sensitivity", "values": {"public": "false", "confidential": "true"}},
    "a value says no": {**CARRIED, "values": {"public": "false", "private": "false", "confidential": "true"}},
}


@pytest.mark.parametrize("why", NOT_CARRIED)
@pytest.mark.parametrize("late", [False, True])
def test_nothing_private_crosses_that_the_crm_would_show_to_everybody(why: str, late: bool, tmp_path: Path) -> None:
    text = yaml.safe_load(shipped()["appointments"].read_text(encoding="utf-8"))
    text["privacy"]["private"] = "full"
    del text["fields"]["private"]
    if NOT_CARRIED[why] is not None:
        text["fields"]["private"] = NOT_CARRIED[why]
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    made = load(tmp_path / "mapping.yaml")
    assert [m for place, m in warnings_of(made.mapping) if place == ("privacy", "private") and "needs a field" in m]
    world = World("ann", lens=made)
    world.event("ann", summary="Zebra", sensitivity="public" if late else "private")
    settled(world)
    mark_e1(world, "private")
    settled(world)
    assert "Zebra" not in repr([world.activities, world.crm.history])


def test_all_of_it_crosses_where_it_is_marked(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "full", "confidential": "full"})
    assert not [m for place, m in warnings_of(world.pairings[0].lens.mapping) if place[0] == "privacy"]
    for word in ("private", "confidential"):
        world.event("ann", word, summary=word, sensitivity=word, time=span(MON + timedelta(days=len(word))))
    settled(world)
    assert [(a["subject"], a["private"]) for a in world.activities] == [("private", True), ("confidential", True)]


def test_no_mail_crosses_that_is_private_unless_its_log_says_so(tmp_path: Path) -> None:
    text = yaml.safe_load(shipped()["mail"].read_text(encoding="utf-8"))
    text["privacy"] = {**text.get("privacy", {}), "private": "full"}
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    office = Office(load(tmp_path / "mapping.yaml"))
    office.deliver("m", "Zebra", "ann")
    office.boxes["ann"].edit("m", sensitivity="private")
    office.sync(2)
    assert office.crm.records == {}


def test_what_becomes_private_when_nothing_goes_to_the_crm_any_more_is_taken_back(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "full"})
    world.event("ann", summary="Zebra")
    settled(world)
    with_mapping(world, tmp_path, privacy={"private": "full"}, direction="to-groupware")
    mark_e1(world, "private")
    settled(world)
    assert "Zebra" not in repr([world.activities, world.crm.history])


# -- a store that knows nothing (any more) of a colleague's copy ------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("store", ["lost", "older"])
@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("more", ["nothing", "place typed in the CRM", "bob's copy moved"])
def test_a_copy_that_the_store_does_not_know_brings_nothing_back(
    more: str, between: bool, store: str, policy: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    world.event("ann", summary="Zebra", description="Words")
    settled(world)
    before = world.store.copy()
    world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    if more == "place typed in the CRM":
        world.crm.edit(only(world), location="Room 9")
        settled(world)
    elif more == "bob's copy moved":
        (ref,) = world.calendars["bob"].records
        held = world.calendars["bob"].records[ref]
        world.calendars["bob"].remove(ref)
        world.calendars["bob"].put("elsewhere", "event", held.fields, uid=held.uid)
    world.store = new_store() if store == "lost" else before
    if between:
        settled(world, 6)
    mark_e1(world, "private")
    settled(world, 8)
    everything = repr([world.activities, world.crm.history, world.items("bob")])
    assert "Zebra" not in everything and "Words" not in everything
    assert [i["summary"] for i in world.items("ann")] == ["Zebra"]
    mark_e1(world, "public")
    settled(world, 6)
    assert subjects(world) == ["Zebra"]
    assert [i["summary"] for i in world.items("ann")] == ["Zebra"]
    assert len(world.items("bob")) <= 1


# -- an account with another name and another address at once ---------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("what", ["deleted", "rejected", "edited", "taken out", "private", "deleted there"])
@pytest.mark.parametrize("by", ["crm", "calendar"])
@pytest.mark.parametrize("name", ["ann/office", "ann/work"])
def test_what_changed_while_the_account_moved_is_not_undone(name: str, by: str, what: str) -> None:
    world = World("bob", "ann")
    world.pairings.reverse()
    called(world, {"ann": "work"})
    if by == "crm":
        world.appointment(subject="Talk", owner="bob", participants=people("ann", "bob"))
    else:
        world.event("ann", summary="Talk")
    world.event("bob", "other", summary="Other", time=span(MON + timedelta(days=1)))
    settled(world)
    (ref,) = [r for r, held in world.crm.records.items() if held.fields["subject"] == "Talk"]
    (pairing,) = [p for p in world.pairings if p.employee.id == "ann"]
    world.pairings.remove(pairing)
    settled(world)
    if what == "deleted":
        world.crm.remove(ref)
    elif what == "rejected":
        world.crm.edit(ref, status="rejected")
    elif what == "edited":
        world.crm.edit(ref, location="Zebra")
    elif what == "private":
        world.crm.edit(ref, private=True)
    elif what == "taken out":
        world.crm.edit(ref, participants=people("bob"))
    settled(world)
    elsewhere = calendar("elsewhere", lambda: world.now)
    elsewhere.number = elsewhere.oldest = 100  # another calendar than the one that was read
    if what != "deleted there":
        for held in world.calendars["ann"].records.values():
            elsewhere.put(
                f"new-{held.ref.rpartition('/')[2]}", "event", dict(held.fields), uid=held.uid, owner=held.owner
            )
    world.calendars["ann"] = elsewhere
    world.pairings.append(replace(pairing, id=name, replica=elsewhere))
    settled(world, 6)
    mine, talks = world.items("ann"), [a for a in world.activities if a["subject"] == "Talk"]
    gone = what == "deleted" or (by == "crm" and what in ("private", "taken out"))
    if what == "deleted":
        assert talks == []
    if gone:
        assert mine == []
    elif what == "edited":
        assert [i["location"] for i in mine] == ["Zebra"]
    elif what == "rejected":
        assert [i["status"] for i in mine] == ["cancelled"]
    assert len(talks) == (0 if what == "deleted" else 1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("organiser", ["ann@us.example", CUSTOMER])
@pytest.mark.parametrize("when", ["at first sight", "later"])
def test_an_invited_colleagues_private_copy_makes_nobody_elses_private(
    when: str, organiser: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = shared_meeting(order, organiser, tmp_path, "full")
    if when == "later":
        settled(world)
    mark(world, "bob", "private")
    settled(world)
    assert [i["sensitivity"] for i in world.items("ann")] == ["public"]
    if organiser == "ann@us.example":
        assert [(a["subject"], a["private"]) for a in world.activities] == [("Review", False)]


# -- what nobody had asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
def test_a_meeting_that_was_called_off_and_cleared_away_is_not_made_again_without_its_guests(
    policy: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, guests=policy)
    world.calendars["ann"].server = Telling.CAN_BE_ASKED
    guests = People([Participant("ann@us.example"), Participant(CUSTOMER)])
    world.event("ann", owner="ann@us.example", attendees=guests)
    settled(world)
    world.crm.edit(only(world), status="rejected")
    settled(world)
    if policy == "wait":
        world.calendars["ann"].edit("e1", status="cancelled")
        settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    world.crm.edit(only(world), status="open")
    settled(world)
    assert world.items("ann") == []


@pytest.mark.parametrize("order", ORDERS)
def test_words_that_lost_a_conflict_go_when_the_last_of_two_copies_becomes_private(
    order: tuple[str, str], tmp_path: Path
) -> None:
    """Whoever shows the meeting last answers for what an earlier copy had put into its history."""
    world = shared_meeting(order, "ann@us.example", tmp_path, "withhold")
    settled(world)
    ref = only(world)
    for name in ("ann", "bob"):
        world.calendars[name].edit(name, summary="Zebra")
    world.now += timedelta(minutes=10)
    world.crm.edit(ref, subject="Ours")
    settled(world)
    assert "Zebra" in repr(world.crm.history) or order[0] == "bob"
    for name in ("ann", "bob"):
        mark(world, name, "private")
        settled(world)
    assert "Zebra" not in repr([world.activities, world.crm.history])


def test_what_read_only_kept_back_is_asked_again(tmp_path: Path) -> None:
    """A deletion that could not be made is made once it may be, by a full comparison too."""
    world = with_mapping(World("ann"), tmp_path)
    world.event("ann", summary="Talk")
    settled(world)
    replica = world.calendars["ann"]
    replica.caps = replace(replica.caps, writable=False)
    world.crm.remove(only(world))
    settled(world)
    assert len(world.items("ann")) == 1
    replica.caps = replace(replica.caps, writable=True)
    settled(world)
    world.sync(full=True)
    assert world.items("ann") == []


@pytest.mark.parametrize("deleted", [True, False])
def test_a_successors_calendar_holds_what_the_leaver_answers_for_once(deleted: bool) -> None:
    world = World("ann", "bob")
    called(world, {"ann": "work"})
    world.event("ann", summary="Talk")
    settled(world)
    (old,) = [p for p in world.pairings if p.employee.id == "ann"]
    home = calendar("hers", lambda: world.now)
    world.calendars["hers"] = home
    eve = Employee("eve", ("eve@us.example",))
    at = world.pairings.index(old)
    world.pairings[at] = replace(old, id="eve/work", employee=eve)
    world.pairings.append(replace(old, id="ann/new", replica=home))
    settled(world, 6)
    if deleted:
        world.crm.edit(only(world), location="There")
        settled(world)
    assert (len(world.items("ann")), world.items("hers")) == (1, [])


# -- a series that moves, and is moved --------------------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize(("between", "edited"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("series", [True, False])
@pytest.mark.parametrize("shift", [timedelta(hours=2), timedelta(days=1)])
def test_a_series_that_goes_to_another_calendar_and_another_time_takes_its_activities_along(
    shift: timedelta, series: bool, edited: bool, between: bool, order: tuple[str, str]
) -> None:
    world = two_calendars()
    hub = crm(lambda: NOW, series=series)
    world.crm = hub
    hub.clock = lambda: world.now
    world.pairings = [replace(p, crm=hub) for p in world.pairings]
    world.pairings.sort(key=lambda p: order.index(p.id))
    world.event("ann", uid="u", summary="Round", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    settled(world)
    before = set(world.crm.records)
    held = world.calendars["ann"].records["e1"]
    if edited:
        world.now += timedelta(minutes=5)
        world.crm.edit(min(before), notes="Bring the plan")
    world.calendars["ann"].remove("e1")
    if between:
        settled(world)
    time = held.fields["time"]
    fields = {**held.fields, "time": time.moved_to(time.start + shift)}
    world.calendars["home"].put("moved", "event", fields, uid="u")
    settled(world, 6)
    awake = [a for a in world.activities if a["status"] != "rejected"]
    assert len(awake) == (1 if series else 3)
    assert len(world.items("ann")) + len(world.items("home")) == 1
    if not between:
        assert set(world.crm.records) == before
    assert ("Bring the plan" in repr([world.activities, world.crm.history])) is edited


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
def test_what_stands_in_both_calendars_goes_with_the_last_copy_that_becomes_private(order: tuple[str, str]) -> None:
    world = two_calendars()
    world.pairings.sort(key=lambda p: order.index(p.id))
    world.event("ann", summary="Zebra", uid="u")
    settled(world)
    world.event("home", "second", summary="Zebra", uid="u")
    settled(world)
    assert len(world.activities) == 1
    world.calendars["ann"].remove("e1")
    settled(world)
    assert subjects(world) == ["Zebra"]
    world.calendars["home"].edit("second", sensitivity="private")
    settled(world)
    assert world.activities == []


@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_meeting_that_is_called_busy_is_one_like_any_other(
    order: tuple[str, str], policy: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    world.event("ann", summary="Busy")
    settled(world)
    world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Busy"]


def test_what_was_read_at_its_new_place_first_keeps_what_both_had_agreed_on(tmp_path: Path) -> None:
    """An entry that moved, left out by then, while its old calendar was not read for more than a day."""
    world = with_mapping(two_calendars(), tmp_path, exclude=[{"category": ["Skip"]}])
    world.event("ann", summary="Talk", location="Here", uid="u", time=span(MON + timedelta(days=20)))
    settled(world)
    held = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    skipped = {**held.fields, "categories": frozenset({"Skip"})}
    world.calendars["home"].put("moved", "event", skipped, uid="u")
    home = [p for p in world.pairings if p.id == "home"]
    for days in (0, 3, 3):
        world.now += timedelta(days=days)
        run_pass(Context(home[0], world.store, Moment(world.now), b"k" * 32, world.pairings))
    world.crm.edit(only(world), location="")
    settled(world)
    world.calendars["home"].edit("moved", categories=frozenset())
    settled(world)
    assert [(i["summary"], i["location"] or "") for i in world.items("home")] == [("Talk", "")]
    assert world.items("ann") == []
