"""What the seventh trial found, each as its shortest story."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.model.fields import with_answer
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from syncd.ports import Telling
from tests.memory import calendar, crm
from tests.unit.test_cases import only, two_calendars, waiting, with_mapping
from tests.unit.test_mail_engine import Office
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_sixth_trial import people, settled

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
        replace(p, id=f"{who}/other", employee=replace(p.employee, id=who))
        if p.replica is box
        else p
        for p in office.pairings
    ]
    office.sync(3)
    assert set(office.logged()) == {"Offer"}
