"""What was left after the second trial, and what the third one found, each as its shortest story."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from syncd.engine.allowed import Allowed
from syncd.engine.context import Context
from syncd.engine.digest import Digester
from syncd.engine.feed import seed_feed
from syncd.engine.pairing import Moment, item_feed
from syncd.engine.passes import run_pass
from syncd.engine.sides import Sides, winner
from syncd.mapping.loader import load, shipped
from syncd.mapping.schema import Privacy
from syncd.model.fields import Limit
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.ports import Gone, Replaced, Telling, Transient
from syncd.privacy import admit
from syncd.store.journal import approve, forget, parked
from tests.memory import MemoryCrm, crm
from tests.unit.test_cases import DAY, only, two_calendars, with_mapping
from tests.unit.test_engine import MON, NOW, World, span

HOUR = timedelta(hours=1)

#: Somebody else's meeting, to which Ann, and in one story Bob, is invited.
GUESTS = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("eve@cust.example")])


def settled(world: World) -> None:
    for _ in range(3):
        world.sync()
    world.quiet()


def invitation(ref: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return ref, {"uid": "theirs", "owner": "eve@cust.example", "attendees": GUESTS, **fields}


# -- an invitation whose activity somebody deleted ---------------------------------------------------------------------


@pytest.mark.parametrize("passes", [0, 1, 3])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("who", [("ann",), ("ann", "bob")])
def test_an_invitation_whose_activity_was_deleted_does_not_come_back_under_another_ref(
    passes: int, changed: bool, who: tuple[str, ...]
) -> None:
    world = World(*who)
    for name in who:
        ref, fields = invitation(f"e-{name}")
        world.event(name, ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    for name in who:
        world.calendars[name].remove(f"e-{name}")
    for _ in range(passes):
        world.sync()
    for name in who:
        ref, fields = invitation(f"again-{name}", **({"subject": "Agenda"} if changed else {}))
        world.event(name, ref, **fields)
    settled(world)
    assert world.activities == []


@pytest.mark.parametrize("at_once", [False, True])
def test_an_invitation_whose_activity_was_deleted_does_not_come_back_when_it_was_private_for_a_while(
    at_once: bool,
) -> None:
    world = World("ann")
    ref, fields = invitation("e1")
    world.event("ann", ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    if not at_once:
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    world.calendars["ann"].edit("e1", sensitivity="public")
    settled(world)
    assert world.activities == []


@pytest.mark.parametrize("where", ["home", "bob"])
def test_an_invitation_whose_activity_was_deleted_does_not_come_back_from_another_calendar(where: str) -> None:
    """The employee's own, or a colleague's."""
    world = two_calendars("bob")
    ref, fields = invitation("e1")
    world.event("ann", ref, **fields)
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    ref, fields = invitation("f1")
    world.event(where, ref, **fields)
    settled(world)
    assert world.activities == []


def test_an_own_meeting_that_was_deleted_on_both_sides_may_be_made_again() -> None:
    world = World("ann")
    world.event("ann", "e1", uid="mine", start=MON + DAY)
    settled(world)
    world.crm.remove(only(world))
    world.calendars["ann"].remove("e1")
    settled(world)
    world.event("ann", "e2", uid="mine", start=MON + DAY)
    settled(world)
    assert len(world.activities) == 1


# -- an item that is moved, or taken out of the trash, after a copy was made in its place ------------------------------


def moved_while_edited(world: World, first: str, second: str) -> None:
    """Ann's event goes from calendar `first` to `second`, while somebody edits its activity."""
    uid, words = "hers", {"summary": "Mine", "description": "Words"}
    (ref,) = [r for r, rec in world.calendars[first].records.items() if rec.uid == uid]
    words |= {n: v for n, v in world.calendars[first].records[ref].fields.items() if n in ("summary", "location")}
    world.calendars[first].remove(ref)
    world.event(second, f"{second}-{ref}", uid=uid, **words)


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("edit", [{"location": "Hall"}, {"subject": "Mine, renamed"}, {}])
@pytest.mark.parametrize("again", [True, False])
def test_what_moves_to_another_calendar_while_the_crm_edits_it_and_back_stays(
    order: tuple[str, str], edit: dict[str, str], again: bool
) -> None:
    world = two_calendars()
    if order[0] == "home":
        world.pairings.reverse()
    world.event("ann", uid="hers", summary="Mine", description="Words")
    settled(world)
    moved_while_edited(world, "ann", "home")
    if edit:
        world.crm.edit(only(world), **edit)
    settled(world)
    moved_while_edited(world, "home", "ann")
    if again and edit:
        world.crm.edit(only(world), **{n: f"{v} again" for n, v in edit.items()})
    settled(world)
    ((ref, item),) = world.calendars["ann"].records.items()
    assert item.uid == "hers" or (again and edit)  # a copy stands for it only if both sides worked at once
    assert world.calendars["home"].records == {}
    (activity,) = world.activities
    assert activity["status"] == "open"
    for name, value in edit.items():
        assert activity[name] == (f"{value} again" if again else value)
    assert item.fields["summary"] == activity["subject"]
    assert item.fields.get("location", "") == activity["location"]
    assert ref


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_what_moves_to_a_colleague_while_the_crm_edits_it_and_back_stays(order: tuple[str, str]) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Mine", description="Words")
    settled(world)
    moved_while_edited(world, "ann", "bob")
    world.crm.edit(only(world), location="Hall")
    settled(world)
    moved_while_edited(world, "bob", "ann")
    settled(world)
    (item,) = world.calendars["ann"].records.values()
    assert item.uid == "hers"
    assert world.calendars["bob"].records == {}
    assert [(a["status"], a["location"]) for a in world.activities] == [("open", "Hall")]


@pytest.mark.parametrize("full", [False, True])
def test_what_is_taken_out_of_the_trash_after_a_copy_was_made_takes_the_place_of_the_copy(full: bool) -> None:
    world = World("ann")
    world.event("ann", uid="hers", summary="Mine", description="Words")
    settled(world)
    gone = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    world.crm.edit(only(world), location="Hall")
    settled(world)
    world.calendars["ann"].bring_back(gone, same_version=False)
    world.sync(full=full)
    settled(world)
    (item,) = world.calendars["ann"].records.values()
    assert item.uid == "hers"
    assert [(a["status"], a["subject"]) for a in world.activities] == [("open", "Mine")]
    assert item.fields["location"] == world.activities[0]["location"] == "Hall"
    world.calendars["ann"].remove("e1")
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    assert world.calendars["ann"].records == {}


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("way", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("crm_edits", [{}, {"location": "Hall"}])
def test_what_is_edited_while_it_moves_is_as_it_was_edited(
    order: tuple[str, str], way: tuple[str, str], crm_edits: dict[str, str]
) -> None:
    """As calendar programs save it: out of one calendar, and into the other as it is now."""
    world = two_calendars()
    if order[0] == "home":
        world.pairings.reverse()
    world.event(way[0], uid="hers", summary="Mine", description="Words", time=span())
    settled(world)
    world.calendars[way[0]].remove("e1")
    if crm_edits:
        world.crm.edit(only(world), **crm_edits)
    world.event(way[1], "e2", uid="hers", summary="Yours", description="Words", time=span(MON + 4 * HOUR))
    settled(world)
    (item,), (activity,) = world.items(way[1]), world.activities
    assert world.items(way[0]) == []
    assert item["summary"] == activity["subject"] == "Yours"
    assert item["time"] == activity["time"] == span(MON + 4 * HOUR)
    assert item.get("location", "") == activity["location"] == crm_edits.get("location", "")
    assert (activity["status"], world.crm.history) == ("open", {})


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("crm_edits", [{}, {"location": "Hall"}])
def test_what_moves_and_becomes_private_at_once_is_taken_back_though_the_crm_edits_it(
    order: tuple[str, str], crm_edits: dict[str, str]
) -> None:
    world = two_calendars()
    if order[0] == "home":
        world.pairings.reverse()
    world.event("ann", uid="hers", summary="Mine", description="Words")
    settled(world)
    world.calendars["ann"].remove("e1")
    if crm_edits:
        world.crm.edit(only(world), **crm_edits)
    world.event("home", "h1", uid="hers", summary="Mine", description="Words", sensitivity="private")
    settled(world)
    assert world.items("ann") == []
    assert "Mine" not in repr(world.activities)
    assert "Words" not in repr(world.activities)


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("edits", ["", "crm", "item", "both"])
def test_a_copy_that_is_moved_to_another_calendar_while_both_work_on_it_is_one(
    order: tuple[str, str], edits: str
) -> None:
    world = two_calendars()
    if order[0] == "home":
        world.pairings.reverse()
    world.appointment(subject="Visit")
    settled(world)
    ((ref, copy),) = world.calendars["ann"].records.items()
    world.calendars["ann"].remove(ref)
    if edits in ("crm", "both"):
        world.crm.edit("a1", location="Hall")
    words = {**copy.fields, **({"summary": "Call"} if edits in ("item", "both") else {})}
    world.event("home", "h1", uid=copy.uid, **words)
    settled(world)
    (item,), (activity,) = world.items("home"), world.activities
    assert world.items("ann") == []
    assert item["summary"] == activity["subject"] == ("Call" if edits in ("item", "both") else "Visit")
    assert item.get("location", "") == activity.get("location", "") == ("Hall" if edits in ("crm", "both") else "")
    assert activity["status"] == "open"


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
def test_what_was_completed_while_it_moved_is_completed(order: tuple[str, str]) -> None:
    world = two_calendars()
    if order[0] == "home":
        world.pairings.reverse()
    guests = People([Participant("eve@cust.example")])
    world.event("ann", uid="hers", owner="ann@us.example", attendees=guests)
    settled(world)
    world.calendars["ann"].remove("e1")
    world.crm.edit(only(world), status="completed")
    world.event("home", "h1", uid="hers", owner="ann@us.example", attendees=guests)
    settled(world)
    assert [a["status"] for a in world.activities] == ["completed"]


def test_a_deletion_waits_no_longer_than_a_day_for_a_calendar_that_does_not_answer() -> None:
    world = two_calendars()
    world.event("ann", uid="hers")
    settled(world)
    world.calendars["ann"].remove("e1")
    ann = world.pairings[0]
    world.pairings = [ann]  # the other one is not read by this service
    everyone = [ann, replace(ann, id="home", replica=world.calendars["home"], default=False)]
    for hours, status in ((0, "open"), (2, "open"), (25, "rejected")):
        world.now += hours * HOUR
        run_pass(Context(ann, world.store, Moment(world.now), b"k" * 32, everyone))
        assert [a["status"] for a in world.activities] == [status]


# -- a server that shapes what it is given, and a beginning that is no cut ---------------------------------------------


@pytest.mark.parametrize(
    ("item", "crm"), [("Berlin", "Berlin, Room 5"), ("Berlin, Room 5", "Berlin"), ("Berlin", "Berlin, berlin")]
)
@pytest.mark.parametrize("shapes", ["item", "crm", "both", "none"])
def test_two_texts_of_which_one_begins_the_other_agree_once_they_are_linked(item: str, crm: str, shapes: str) -> None:
    """Where the shorter one may be what a server has cut, the longer one counts; else the mapping's word, the CRM."""
    meant = item if len(item) > len(crm) and shapes in ("crm", "both") else crm
    world = World("ann")
    if shapes in ("item", "both"):
        world.calendars["ann"].caps = replace(world.calendars["ann"].caps, exact=False)
    if shapes in ("crm", "both"):
        world.crm.caps = replace(world.crm.caps, exact=False)
    world.appointment(subject="Meeting", location=crm)
    world.event("ann", summary="Meeting", location=item)
    settled(world)
    assert [a["location"] for a in world.activities] == [meant]
    assert [i["location"] for i in world.items("ann")] == [meant]


# -- an occurrence that the CRM makes private --------------------------------------------------------------------------

WEEKLY = Recurrence("FREQ=WEEKLY;COUNT=5")
SECOND = "20261207T100000Z"


def series_of(origin: str, policy: str, tmp_path: Path) -> World:
    """Ann's weekly series, made in the calendar or in the CRM."""
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy})
    if origin == "calendar":
        world.event("ann", recurrence=WEEKLY)
    else:
        world.appointment(recurrence=WEEKLY)
    settled(world)
    return world


def secret(words: str, private: bool = True) -> Recurrence:
    return replace(WEEKLY, overrides=MappingProxyType({SECOND: {"subject": words, "private": private}}))


def dates_of(world: World) -> tuple[Any, Any]:
    """The second occurrence on both sides."""
    (activity,), (item,) = world.crm.records.values(), world.calendars["ann"].records.values()
    here, there = activity.fields["recurrence"], item.fields["recurrence"]
    assert here.exdates == there.exdates == frozenset()
    return here.overrides, there.overrides


@pytest.mark.grid
@pytest.mark.parametrize("origin", ["calendar", "crm"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("then", ["full", "item", "crm", "moved item", "moved crm", "again", "there", "public"])
def test_an_occurrence_that_the_crm_makes_private_stays_in_both(
    origin: str, policy: str, then: str, tmp_path: Path
) -> None:
    world = series_of(origin, policy, tmp_path)
    world.crm.edit(only(world), recurrence=secret("Doctor"))
    settled(world)
    (ref,) = world.calendars["ann"].records
    expected, key, private = "Doctor", SECOND, True
    if then == "item":
        world.calendars["ann"].edit(ref, summary="Renamed")
    elif then == "crm":
        world.crm.edit(only(world), location="Hall")
    elif then.startswith("moved"):
        key = "20261207T120000Z"
        names = MappingProxyType({key: {("summary" if "item" in then else "subject"): "Doctor"}})
        hidden = {"sensitivity": "private"} if "item" in then else {"private": True}
        made = replace(WEEKLY, overrides=MappingProxyType({key: {**names[key], **hidden}}))
        changed: dict[str, Any] = {"time": span(MON + 2 * HOUR), "recurrence": made}
        if "item" in then:
            world.calendars["ann"].edit(ref, **changed)
        else:
            world.crm.edit(only(world), **changed)
    elif then == "again":
        expected = "Surgery"
        world.crm.edit(only(world), recurrence=secret(expected))
    elif then == "there":
        expected = "Surgery"
        (old,) = world.calendars["ann"].records.values()
        changed = {SECOND: {**old.fields["recurrence"].overrides[SECOND], "summary": expected}}
        world.calendars["ann"].edit(ref, recurrence=replace(WEEKLY, overrides=MappingProxyType(changed)))
    elif then == "public":
        private = False
        world.crm.edit(only(world), recurrence=secret(expected, private=False))
    world.sync(full=then == "full")
    settled(world)
    world.sync(full=True)
    settled(world)
    activity, item = dates_of(world)
    assert activity[key]["subject"] == item[key]["summary"] == expected
    assert bool(activity[key].get("private")) is private
    assert (item[key].get("sensitivity", "public") == "private") is private
    assert world.activities[0]["time"] == world.items("ann")[0]["time"]


def test_what_a_person_makes_private_of_it_later_is_withheld(tmp_path: Path) -> None:
    """The CRM's word holds for its own occurrence alone, and as long as it stands."""
    world = series_of("calendar", "withhold", tmp_path)
    world.crm.edit(only(world), recurrence=secret("Review"))
    settled(world)
    world.crm.edit(only(world), recurrence=secret("Review", private=False))
    settled(world)
    hidden = {SECOND: {"summary": "Doctor", "sensitivity": "private"}}
    (ref,) = world.calendars["ann"].records
    world.calendars["ann"].edit(ref, recurrence=replace(WEEKLY, overrides=MappingProxyType(hidden)))
    settled(world)
    assert "Doctor" not in repr(world.activities) + repr(world.crm.history)


def test_a_single_activity_of_a_series_that_the_crm_makes_private_stays_in_both(tmp_path: Path) -> None:
    """The CRM holds no series: an activity an occurrence."""
    world = with_mapping(World("ann", hub=crm(lambda: NOW, series=False)), tmp_path, privacy={"private": "withhold"})
    world.event("ann", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    settled(world)
    second = sorted(world.crm.records, key=lambda r: str(world.crm.records[r].fields["time"].start))[1]
    world.crm.edit(second, private=True, subject="Doctor")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert sorted(str(a["subject"]) for a in world.activities) == ["Doctor", "Meeting", "Meeting"]
    (item,) = world.calendars["ann"].records.values()
    assert item.fields["recurrence"].exdates == frozenset()


# -- deletions that nobody meant ---------------------------------------------------------------------------------------


def many(number: int) -> World:
    world = World("ann")
    for n in range(number):
        world.event("ann", f"e{n}", summary=f"E{n}", start=MON + n * DAY)
    settled(world)
    return world


def rejected(world: World) -> int:
    return sum(a["status"] == "rejected" for a in world.activities)


@pytest.mark.grid
@pytest.mark.parametrize("event", ["edit", "delete", "new", "full", "made again"])
@pytest.mark.parametrize(("number", "gone"), [(20, 11), (5, 5), (20, 20)])
def test_what_is_held_is_held_until_somebody_says_so(event: str, number: int, gone: int) -> None:
    world = many(number)
    if gone == number:
        world.calendars["ann"].expire()
    for n in range(gone):
        world.calendars["ann"].remove(f"e{n}")
    held = world.sync()[0].held
    if (number, gone) == (5, 5):
        assert held == 5
    assert held == gone
    assert rejected(world) == 0
    refs = {str(r.fields["subject"]): ref for ref, r in world.crm.records.items()}
    for n in range(4):
        if event == "edit":
            world.crm.edit(refs[f"E{n}"], location="Hall")
        elif event == "delete":
            world.crm.remove(refs[f"E{n}"])
    if event == "new":
        world.appointment("new", subject="New")
    elif event == "made again":
        world.event("ann", "again", summary="Other")
    for _ in range(3):
        world.sync(full=event == "full")
    assert rejected(world) == 0
    with world.store.transaction() as tx:
        approve(tx, "ann", gone)
    settled(world)
    assert rejected(world) == (gone - 4 if event in ("edit", "delete") else gone)
    world.calendars["ann"].remove(next(iter(world.calendars["ann"].records))) if event == "new" else None
    settled(world)  # and the next single one goes by itself


def test_what_is_held_and_put_back_is_as_before() -> None:
    world = many(20)
    kept = {n: world.calendars["ann"].records[f"e{n}"] for n in range(12)}
    for n in kept:
        world.calendars["ann"].remove(f"e{n}")
    settled(world)
    for record in kept.values():
        world.calendars["ann"].bring_back(record, same_version=False)
    settled(world)
    assert rejected(world) == 0
    world.calendars["ann"].remove("e19")
    settled(world)
    assert rejected(world) == 1


@pytest.mark.parametrize("who", [("ann",), ("ann", "bob")])
def test_a_crm_that_is_empty_all_at_once_empties_no_calendar(who: tuple[str, ...]) -> None:
    world = World(*who)
    for name in who:
        for n in range(3):
            world.event(name, f"{name}{n}", summary=f"E{n}", start=MON + n * DAY)
    settled(world)
    world.crm.records.clear()
    world.crm.expire()
    world.sync()
    world.appointment("new", subject="New")
    for _ in range(3):
        world.sync(full=True)
    assert [len(world.items(name)) for name in who] == [4 if name == "ann" else 3 for name in who]


def test_what_was_completed_in_the_crm_is_not_cancelled_when_it_leaves_the_calendar() -> None:
    world = World("ann")
    world.event("ann", summary="Visit")
    settled(world)
    world.crm.edit(only(world), status="completed")
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    assert [a["status"] for a in world.activities] == ["completed"]


# -- what a server does not give just now ------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [["e0"], ["e2"], ["e0", "e2"], ["e4"]])
def test_what_cannot_be_had_just_now_is_parked_the_rest_goes_on_and_it_goes_on_by_itself(bad: list[str]) -> None:
    world = World("ann")
    world.calendars["ann"].unready.update(bad)
    for n in range(5):
        world.event("ann", f"e{n}", summary=f"E{n}")
    for _ in range(3):
        with suppress(Transient):  # the last of a batch may not be told from a server that is not ready
            world.sync()
    world.event("ann", "e9", summary="E9")
    world.sync()
    assert len(world.activities) == 6 - len(bad)
    with world.store.reading() as tx:
        assert [p.ref for p in parked(tx)] == bad
    world.calendars["ann"].unready.clear()
    settled(world)
    assert len(world.activities) == 6
    with world.store.reading() as tx:
        assert parked(tx) == []


def test_a_server_that_is_not_ready_is_left_alone() -> None:
    world = World("ann")
    for n in range(50):
        world.event("ann", f"e{n}", summary=f"E{n}")
    world.calendars["ann"].unready.update(f"e{n}" for n in range(50))
    with pytest.raises(Transient):
        world.sync()
    with world.store.reading() as tx:
        assert parked(tx) == []
    world.calendars["ann"].unready.clear()
    settled(world)
    assert len(world.activities) == 50


# -- what becomes private, and what people in the CRM had added --------------------------------------------------------

ADDED: list[dict[str, Any]] = [
    {"notes": "Words\nTelephone Zebra"},
    {"participants": People([Participant("zebra@cust.example")])},
    {"categories": frozenset({"Alpha", "Zebra"})},
    {"priority": 1},
    {"account": "zebra"},
]


def _people_of(activity: dict[str, object]) -> list[str]:
    people = activity.get("participants")
    return list(people) if isinstance(people, People) else []


@pytest.mark.grid
@pytest.mark.parametrize("added", ADDED, ids=lambda a: next(iter(a)))
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("way", ["both", "to-crm"])
def test_what_people_in_the_crm_added_stays_when_the_item_becomes_private(
    added: dict[str, Any], policy: str, between: bool, way: str, tmp_path: Path
) -> None:
    fields = yaml.safe_load(shipped()["appointments"].read_text(encoding="utf-8"))["fields"]
    if way == "to-crm":
        for name, rule in fields.items():
            if name in ("notes", "participants", "categories"):
                fields[name] = {**(rule if isinstance(rule, dict) else {"from": rule}), "direction": "to-crm"}
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy}, fields=fields)
    world.event("ann", summary="Secret", description="Words", categories=frozenset({"Alpha"}), location="Clinic")
    settled(world)
    world.crm.edit(only(world), **added)
    if between:
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    people = [address for a in world.activities for address in _people_of(a)]
    everything = repr(world.activities) + repr(world.crm.history) + repr(people)
    assert "Secret" not in everything and "Clinic" not in everything and "Alpha" not in everything
    crossed = way == "both" and between and next(iter(added)) in ("notes", "categories")
    (name, value), shown = next(iter(added.items())), everything + (repr(world.items("ann")) if crossed else "")
    assert ("'priority': 1" if name == "priority" else "ebra") in shown, name
    assert value


# -- what nobody had noticed -------------------------------------------------------------------------------------------


def test_a_copy_that_was_taken_back_and_is_brought_back_is_seen() -> None:
    world = World("ann", "bob")
    world.appointment(subject="Visit")
    settled(world)
    ((_, copy),) = world.calendars["ann"].records.items()
    world.crm.records["a1"] = replace(world.crm.records["a1"], owner="bob@us.example")
    world.crm.edit("a1", location="Hall")
    settled(world)
    assert world.items("ann") == []
    world.calendars["ann"].bring_back(copy, same_version=True)
    settled(world)
    assert world.items("ann") == []


def test_a_block_of_time_leaves_out_what_is_withheld_altogether() -> None:
    hidden = MappingProxyType({SECOND: {"sensitivity": "confidential", "summary": "Doctor"}})
    fields = {"time": span(), "sensitivity": "private", "recurrence": replace(WEEKLY, overrides=hidden)}
    record = Record("e1", "1", "event", {"summary": "Talks", **fields})
    policy = Privacy.model_validate({"private": "busy-only", "confidential": "withhold"})
    shown = admit(record, policy).record
    assert shown is not None
    assert shown.fields["recurrence"] == replace(WEEKLY, exdates=frozenset({SECOND}))


def test_no_date_is_added_to_a_series_of_which_less_is_shown_than_there_is() -> None:
    world = World("ann")
    hidden = MappingProxyType({SECOND: {"sensitivity": "private", "summary": "Doctor"}})
    world.event("ann", recurrence=replace(WEEKLY, overrides=hidden))
    settled(world)
    series = world.crm.records[only(world)].fields["recurrence"]
    world.crm.edit(only(world), recurrence=replace(series, rdates=frozenset({"20261201T100000Z"})))
    settled(world)
    (item,) = world.calendars["ann"].records.values()
    assert item.fields["recurrence"].rdates == frozenset()


@pytest.mark.parametrize(("apart", "wins"), [(90, "crm"), (150, "item"), (-150, "crm")])
def test_changes_less_than_two_minutes_apart_are_of_one_time(apart: int, wins: str) -> None:
    lens = load(shipped()["appointments"])
    caps = crm(lambda: NOW).caps
    sides = Sides({}, {}, {}, {}, {}, lens, (caps, caps), Digester(b"k" * 32, "1"), Allowed(lens, "own"),
                  item_modified=NOW + timedelta(seconds=apart), crm_modified=NOW)  # fmt: skip
    assert winner(sides, lens.rules["subject"]) == wins


def test_words_that_wait_are_not_merged_into_the_item() -> None:
    world = World("ann")
    world.calendars["ann"].server = Telling.TELLS
    guests = People([Participant("eve@cust.example")])
    world.event("ann", owner="ann@us.example", attendees=guests, description="one\ntwo\nthree")
    settled(world)
    world.crm.edit(only(world), notes="one crm\ntwo\nthree")
    world.calendars["ann"].edit("e1", description="one\ntwo\nthree item")
    settled(world)
    assert world.items("ann")[0]["description"] == "one\ntwo\nthree item"
    assert "one crm" in repr(world.activities) + repr(world.crm.history)


def test_a_series_that_is_listed_and_not_shown_is_there_although_one_of_it_is_gone() -> None:
    """The CRM holds no series; one occurrence has been left out before."""
    world = World("ann", hub=crm(lambda: NOW, series=False))
    series = Recurrence("FREQ=WEEKLY;COUNT=3")
    world.event("ann", recurrence=series)
    settled(world)
    world.calendars["ann"].edit("e1", recurrence=replace(series, exdates=frozenset({SECOND})))
    settled(world)
    before = sorted(str(a["status"]) for a in world.activities)
    calendar = world.calendars["ann"]
    calendar.fetch = lambda refs: {ref: Gone("404") for ref in refs}  # type: ignore[method-assign]
    calendar.edit("e1", location="Roof")
    settled(world)
    assert sorted(str(a["status"]) for a in world.activities) == before == ["open", "open", "rejected"]
    with world.store.reading() as tx:
        assert [p.ref for p in parked(tx)] == ["e1"]


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("how", ["joins", "back"])
def test_a_meeting_that_its_organiser_deleted_is_not_opened_by_a_colleague_who_comes_later(
    renamed: bool, how: str
) -> None:
    world = World("bob", "ann")
    both = People([Participant("ann@us.example"), Participant("bob@us.example")])
    bob, ann = world.pairings
    if how == "joins":
        world.pairings = [bob]
    for name in ("bob", "ann"):
        world.event(name, f"e-{name}", uid="shared", owner="bob@us.example", attendees=both, summary="Shared")
    settled(world)
    if renamed:
        world.crm.edit(only(world), subject="Renamed")
        settled(world)
    world.calendars["bob"].remove("e-bob")
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    if how == "back":
        with world.store.transaction() as tx:
            forget(tx, ["ann"], [item_feed("ann"), seed_feed("crm", "ann")])
    world.pairings = [bob, ann]
    settled(world)
    assert [(a["status"], a["subject"]) for a in world.activities] == [("rejected", "Renamed" if renamed else "Shared")]


def test_while_a_move_of_a_series_waits_no_word_goes_to_another_of_its_occurrences() -> None:
    world = World("ann")
    guests = People([Participant("eve@cust.example")])
    world.event("ann", owner="ann@us.example", attendees=guests, recurrence=WEEKLY)
    settled(world)
    later = replace(WEEKLY, overrides=MappingProxyType({"20261207T120000Z": {"notes": "Of the second"}}))
    world.crm.edit(only(world), time=span(MON + 2 * HOUR), recurrence=later)
    settled(world)
    (item,) = world.calendars["ann"].records.values()
    assert item.fields["recurrence"].overrides == {}
    assert item.fields["time"] == span()
    world.calendars["ann"].edit("e1", time=span(MON + 2 * HOUR))
    settled(world)
    (item,) = world.calendars["ann"].records.values()
    assert {k: dict(v) for k, v in item.fields["recurrence"].overrides.items()} == {
        "20261207T120000Z": {"description": "Of the second"}
    }


@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
@pytest.mark.parametrize("apart", [-60, 0, 60])
def test_what_guests_were_told_counts_when_a_meeting_is_linked_anew(policy: str, apart: int, tmp_path: Path) -> None:
    """The store has been lost, and the calendar has moved the meeting meanwhile: nobody is told the old time again."""
    world = with_mapping(World("ann"), tmp_path, guests=policy)
    guests = People([Participant("eve@cust.example")])
    world.appointment(subject="Talks", location="Old room")
    world.crm.records["a1"] = replace(world.crm.records["a1"], uid="talks", modified=NOW + timedelta(minutes=apart))
    moved: dict[str, Any] = {"time": span(MON + 2 * HOUR), "location": "New room", "summary": "Talks"}
    world.event("ann", uid="talks", owner="ann@us.example", attendees=guests, **moved)
    settled(world)
    (item,), (activity,) = world.items("ann"), world.activities
    assert item["time"] == activity["time"] == moved["time"]
    assert item["location"] == activity["location"] == moved["location"]
    assert world.calendars["ann"].outbox == []


def test_what_stands_under_our_own_version_is_the_servers_doing() -> None:
    """An ETag promises that what was sent is held; a server that shapes it all the same edits nothing."""
    world = World("ann")
    world.event("ann", location="Roof")
    settled(world)
    calendar = world.calendars["ann"]
    real = calendar.update

    def shouting(record: Record, changes: Any, *, tell: bool = False) -> Any:
        written = real(record, changes, tell=tell)
        held = calendar.records[record.ref]
        calendar.records[record.ref] = replace(held, fields={**held.fields, "location": "HALL!"})
        return written

    calendar.update = shouting  # type: ignore[method-assign]
    world.crm.edit(only(world), location="Hall")
    settled(world)
    calendar.update = real  # type: ignore[method-assign]
    world.crm.edit(only(world), subject="Renamed")
    settled(world)
    assert world.activities[0]["location"] == "Hall"
    assert [(i["summary"], i["location"]) for i in world.items("ann")] == [("Renamed", "HALL!")]


# -- a CRM that is not the one it was ----------------------------------------------------------------------------------


class Recognising(MemoryCrm):
    """A CRM that can tell."""

    replaced = False

    def recognise(self, cursor: str) -> None:
        if self.replaced:
            raise Replaced("another one")


@pytest.mark.parametrize("full", [False, True])
def test_nothing_is_taken_from_a_crm_that_is_another_one_or_an_older_state_of_it(full: bool) -> None:
    hub = Recognising("crm", crm(lambda: NOW).caps, lambda: NOW)
    world = World("ann", hub=hub)
    world.event("ann", summary="Typed since")
    settled(world)
    hub.edit(only(world), subject="Of yesterday")
    hub.replaced = True
    for _ in range(2):
        with pytest.raises(Replaced):
            world.sync(full=full)
    assert [i["summary"] for i in world.items("ann")] == ["Typed since"]
    hub.replaced = False
    settled(world)
    assert [i["summary"] for i in world.items("ann")] == ["Of yesterday"]


def test_a_server_that_asks_for_a_break_because_of_one_entry_gets_it_when_the_rest_is_done() -> None:
    world = World("ann")
    calendar = world.calendars["ann"]
    real = calendar.fetch
    calendar.fetch = lambda refs: {  # type: ignore[method-assign]
        ref: Transient("later", 120.0) if ref == "e0" else found for ref, found in real(refs).items()
    }
    for n in range(5):
        world.event("ann", f"e{n}", summary=f"E{n}")
    with pytest.raises(Transient) as asked:
        world.sync()
    assert asked.value.retry_after == 120.0
    assert len(world.activities) == 4


def passed(world: World, *names: str) -> None:
    """These calendars are read, in this order."""
    everyone = world.pairings
    for name in names:
        world.now += timedelta(minutes=1)
        pairing = next(p for p in everyone if p.id == name)
        run_pass(Context(pairing, world.store, Moment(world.now), b"k" * 32, everyone))


@pytest.mark.parametrize("then", ["", "ann", "home", "the activity"])
def test_of_two_copies_none_is_deleted_and_both_are_in_step(then: str) -> None:
    """Both calendars have said that it is gone, so it is made again; and then somebody brings the first one back. Which
    is a copy, and which the same entry under another address, nobody can tell: none is taken away."""
    world = two_calendars()
    world.appointment(subject="Visit")
    settled(world)
    ((ref, copy),) = world.calendars["ann"].records.items()
    world.calendars["ann"].remove(ref)
    world.crm.edit("a1", location="Hall")
    passed(world, "ann", "home")
    world.event("home", "h1", uid=copy.uid, **copy.fields)
    settled(world)
    for name in ("ann", "home"):
        assert [(i["summary"], i["location"]) for i in world.items(name)] == [("Visit", "Hall")]
    world.crm.edit("a1", location="Park")
    settled(world)
    assert [i["location"] for i in world.items("ann") + world.items("home")] == ["Park", "Park"]
    if then == "the activity":
        world.crm.remove("a1")
        settled(world)
        assert world.items("ann") + world.items("home") == []
    elif then:
        (one,) = world.calendars[then].records
        world.calendars[then].remove(one)
        settled(world)
        assert [a["status"] for a in world.activities] == ["open"]
        assert [i["location"] for i in world.items("ann") + world.items("home")] == ["Park"]
    world.quiet()


def test_a_copy_that_is_moved_away_and_back_between_two_passes_is_not_made_again() -> None:
    world = two_calendars()
    world.appointment(subject="Visit")
    settled(world)
    ((ref, copy),) = world.calendars["ann"].records.items()
    world.calendars["ann"].remove(ref)
    passed(world, "ann")
    world.event("ann", "e2", uid=copy.uid, **copy.fields)
    world.crm.edit("a1", location="Hall")
    passed(world, "home", "ann")
    settled(world)
    assert [(i["summary"], i["location"]) for i in world.items("ann")] == [("Visit", "Hall")]


def test_a_deletion_that_both_sides_announce_is_counted_once() -> None:
    world = World("ann")
    for n in range(5):
        world.event("ann", f"e{n}", summary=f"M{n}", start=MON + n * HOUR)
    settled(world)
    for n in range(4):
        world.calendars["ann"].remove(f"e{n}")
    for ref, record in list(world.crm.records.items()):
        world.crm.edit(ref, subject=record.fields["subject"])
    world.sync()
    assert sorted(str(a["status"]) for a in world.activities) == ["open", *["rejected"] * 4]
    settled(world)
    for n in range(15):
        world.event("ann", f"f{n}", summary=f"N{n}", start=MON + DAY + n * HOUR)
    settled(world)
    for n in range(13):
        world.calendars["ann"].remove(f"f{n}")
    for ref, record in list(world.crm.records.items()):
        world.crm.edit(ref, subject=record.fields["subject"])
    for _ in range(2):
        assert world.sync()[0].held == 13
    with world.store.transaction() as tx:
        approve(tx, "ann", 13)
    world.sync()
    assert sorted(str(a["status"]) for a in world.activities) == [*["open"] * 3, *["rejected"] * 17]
    settled(world)


@pytest.mark.parametrize("how", ["at once", "waits", "read only"])
def test_what_the_crm_added_where_the_entry_had_nothing_stays_when_it_becomes_private(how: str) -> None:
    world = World("ann")
    guests: dict[str, Any] = {"owner": "ann@us.example", "attendees": People([Participant("eve@cust.example")])}
    world.event("ann", summary="Surgery", **(guests if how == "waits" else {}))
    settled(world)
    if how == "read only":
        calendar = world.calendars["ann"]
        calendar.caps = replace(calendar.caps, writable=False)
    world.crm.edit(only(world), location="Room of the CRM")
    if how != "at once":
        settled(world)
        assert world.items("ann")[0].get("location") in (None, "")
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    assert "Surgery" not in repr(world.activities) + repr(world.crm.history)
    assert [a["location"] for a in world.activities] == ["Room of the CRM"]


def test_what_the_crm_added_and_what_has_crossed_to_the_entry_goes_with_it() -> None:
    world = World("ann")
    world.event("ann", summary="Surgery")
    settled(world)
    world.crm.edit(only(world), location="Charite")
    settled(world)
    assert world.items("ann")[0]["location"] == "Charite"
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    assert world.activities == []


def test_an_edit_of_another_field_does_not_shorten_what_the_calendar_had_no_room_for() -> None:
    world = World("ann")
    calendar = world.calendars["ann"]
    calendar.caps = replace(calendar.caps, limits={**calendar.caps.limits, "location": Limit(length=10)})
    world.event("ann", location="Roof")
    settled(world)
    world.crm.edit(only(world), location="The long room at the end")
    settled(world)
    calendar.edit("e1", summary="Otherwise")
    settled(world)
    (activity,) = world.activities
    assert (activity["subject"], activity["location"]) == ("Otherwise", "The long room at the end")


def test_a_crm_that_is_empty_all_at_once_takes_nothing_from_people_with_few_entries() -> None:
    world = World("ann", "bob")
    for name in ("ann", "bob"):
        for n in range(2):
            world.event(name, f"{name}{n}", summary=f"{name} {n}", start=MON + n * DAY)
    settled(world)
    world.crm.records.clear()
    world.crm.expire()
    for _ in range(3):
        world.sync()
    world.sync(full=True)
    assert [len(world.items(name)) for name in ("ann", "bob")] == [2, 2]
    assert [r.held for r in world.sync()] == [2, 2]


@pytest.mark.parametrize("held", [False, True])
def test_what_the_crm_makes_private_leaves_other_peoples_calendars_at_once(held: bool) -> None:
    world = World("ann", "bob")
    both = People([Participant("ann@us.example"), Participant("bob@us.example")])
    for n in range(12):
        world.appointment(f"a{n}", subject=f"Plan {n}", participants=both, time=span(MON + n * HOUR))
    settled(world)
    if held:
        for n in range(4, 12):
            world.crm.remove(f"a{n}")
        for ref in list(world.calendars["bob"].records)[:2]:
            world.calendars["bob"].remove(ref)
    for n in range(4):
        world.crm.edit(f"a{n}", private=True)
    for _ in range(3):
        world.sync()
    shown = {str(i["summary"]) for i in world.items("bob")}
    assert shown & {f"Plan {n}" for n in range(4)} == set()
    for n in range(4):
        if f"a{n}" in world.crm.records:
            world.crm.edit(f"a{n}", private=False)
    for _ in range(3):
        world.sync()
    assert len({str(i["summary"]) for i in world.items("ann")} & {f"Plan {n}" for n in range(4)}) == 4


def test_a_private_entry_takes_over_no_activity_of_a_colleagues(tmp_path: Path) -> None:
    """With `private: full`: Bob's private entry has the UID of one that has gone from Ann's calendar."""
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": "full"})
    world.event("ann", uid="u", summary="Handed over")
    settled(world)
    ref = only(world)
    world.calendars["ann"].remove("e1")
    world.event("bob", "b1", uid="u", summary="Handed over", sensitivity="private")
    settled(world)
    assert world.crm.records[ref].fields["private"] is False
    assert [r.owner for r in world.crm.records.values() if r.fields["private"]] == ["bob@us.example"]


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_a_copy_made_for_a_colleague_goes_with_the_private_entry_of_which_it_was_made(
    policy: str, edited: bool, tmp_path: Path
) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    world.event("ann", summary="Surgery")
    settled(world)
    world.crm.edit(only(world), participants=People([Participant("ann@us.example"), Participant("bob@us.example")]))
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Surgery"]
    world.calendars["ann"].edit("e1", sensitivity="private")
    if edited:
        (ref,) = world.calendars["bob"].records
        world.calendars["bob"].edit(ref, categories=frozenset({"Red"}))
    settled(world)
    assert "Surgery" not in repr(world.items("bob")) + repr(world.activities)


def test_a_held_deletion_ends_when_the_entry_is_back_under_another_ref() -> None:
    world = World("ann")
    for n in range(5):
        world.event("ann", f"e{n}", uid=f"u{n}", summary=f"M{n}", start=MON + n * HOUR)
    settled(world)
    kept = [world.calendars["ann"].records[f"e{n}"] for n in range(5)]
    for n in range(5):
        world.calendars["ann"].remove(f"e{n}")
    assert world.sync()[0].held == 5
    for record in kept:
        world.calendars["ann"].put(f"back-{record.ref}", "event", record.fields, uid=record.uid)
    assert world.sync()[0].held == 0
    settled(world)
    assert {a["status"] for a in world.activities} == {"open"}
    world.calendars["ann"].remove("back-e0")
    world.sync()
    assert sorted(str(a["status"]) for a in world.activities) == [*["open"] * 4, "rejected"]
    settled(world)


def test_a_block_of_time_says_nothing_by_which_its_entry_could_be_known() -> None:
    fields = {"summary": "S", "time": span(), "sensitivity": "private"}
    record = Record("r", "1", "event", fields, "uid", "eve@cust.example")
    policy = Privacy.model_validate({"private": "busy-only"})
    seen = admit(record, policy).record
    assert seen is not None
    assert (seen.uid, seen.owner, seen.guests, seen.fields["summary"]) == ("", "", frozenset(), "Busy")


@pytest.mark.parametrize("back", ["e2", "h1"])
@pytest.mark.parametrize("first", ["home", "ann"])
def test_a_question_that_nobody_waits_for_any_more_answers_no_later_one(first: str, back: str) -> None:
    """It went to the other calendar and back, before that had its answer; later it goes to a colleague's, or there
    once more."""
    world = two_calendars("bob")
    world.pairings.sort(key=lambda p: p.id != first)
    world.event("ann", "e1", uid="u", summary="Moves")
    settled(world)
    item = world.calendars["ann"].records["e1"]
    world.calendars["home"].put("h1", "event", item.fields, uid="u")
    everyone = world.pairings
    world.pairings = [p for p in everyone if p.id == "home"]
    _alone(world, everyone)
    world.calendars["home"].remove("h1")
    _alone(world, everyone)
    world.pairings = everyone
    world.sync()
    world.calendars["ann"].remove("e1")
    to = "bob" if back == "e2" else "home"
    world.calendars[to].put(back, "event", item.fields, uid="u")
    world.pairings = sorted(everyone, key=lambda p: p.id != to)
    settled(world)
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Moves", "open")]
    assert [len(world.items(n)) for n in ("ann", "home", "bob")] == [0, int(to == "home"), int(to == "bob")]


def _alone(world: World, everyone: list[Any]) -> None:
    world.now += timedelta(minutes=5)
    for pairing in world.pairings:
        run_pass(Context(pairing, world.store, Moment(world.now), b"k" * 32, everyone))


def test_private_appointments_that_are_rejected_in_bulk_are_held_like_others(tmp_path: Path) -> None:
    """They are the employee's own: that they are private is no reason to take them out of the calendar."""
    world = with_mapping(World("ann"), tmp_path, deletions={"activity-rejected": "delete"})
    for n in range(12):
        world.appointment(f"a{n}", subject=f"Plan {n}", private=True, time=span(MON + n * HOUR))
    settled(world)
    for n in range(12):
        world.crm.edit(f"a{n}", status="rejected")
    assert world.sync()[0].held == 12
    assert len(world.items("ann")) == 12
