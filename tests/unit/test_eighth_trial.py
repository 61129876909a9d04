"""What fresh minds found in an eighth trial, and what is of its kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from connectors.caldav.read import read
from syncd.model.fields import Limit
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from syncd.service.explain import waiting
from tests.memory import calendar
from tests.unit.test_cases import only, two_calendars, with_mapping
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_recovery import Crash
from tests.unit.test_series import WEEKLY, after, thing
from tests.unit.test_seventh_trial import ORDERS, mark_e1
from tests.unit.test_sixth_trial import hand_over, people

WEEK = timedelta(days=7)
KEYS = [moment_key(MON + n * WEEK) for n in range(4)]


def settled(world: World, passes: int = 3) -> None:
    for _ in range(passes):
        world.sync()


# -- a date that is private within a series that the CRM makes private for a while -------------------------------------


def recurrence_of(world: World) -> Recurrence:
    """The only activity's."""
    (made,) = (a["recurrence"] for a in world.activities)
    assert isinstance(made, Recurrence)
    return made


def a_series(**override: Any) -> Recurrence:
    return Recurrence("FREQ=WEEKLY;COUNT=4", overrides=MappingProxyType({KEYS[2]: MappingProxyType(override)}))


@pytest.mark.parametrize("moved", ["", "in the CRM", "in the calendar", "at once"])
@pytest.mark.parametrize("private", ["withhold", "busy-only", "full"])
def test_an_own_private_date_stays_one_when_the_crm_makes_its_series_private_for_a_while(
    private: str, moved: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": private})
    world.event("ann", summary="Weekly", recurrence=a_series(summary="Oncologist", sensitivity="private"))
    settled(world)
    ref = only(world)

    def dates() -> list[Any]:
        """What colleagues see of the date, whatever is said of the series."""
        held = world.crm.records[ref].fields["recurrence"]
        return [
            "Oncologist" for f in held.overrides.values() if f.get("subject") == "Oncologist" and not f.get("private")
        ]

    later = span(MON + timedelta(hours=3))
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, private=True, **({"time": later} if moved == "at once" else {}))
    settled(world)
    assert world.items("ann")[0]["sensitivity"] == "private"
    assert dates() == []
    if moved in ("in the CRM", "in the calendar"):
        world.now += timedelta(minutes=1)
        where, at = (world.crm, ref) if moved == "in the CRM" else (world.calendars["ann"], "e1")
        where.edit(at, time=later)
        settled(world)
        assert dates() == []
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, private=False)
    assert dates() == []
    settled(world)
    assert dates() == []
    item: Any = world.items("ann")[0]
    assert item["sensitivity"] == "public"
    assert [(f["summary"], f["sensitivity"]) for f in item["recurrence"].overrides.values()] == [
        ("Oncologist", "private")
    ]
    world.quiet()
    world.now += timedelta(minutes=1)
    (key,) = item["recurrence"].overrides
    open_ = Recurrence("FREQ=WEEKLY;COUNT=4", overrides=MappingProxyType({key: MappingProxyType({"summary": "Open"})}))
    world.calendars["ann"].edit("e1", recurrence=open_)
    settled(world)
    assert [f.get("subject") for f in recurrence_of(world).overrides.values()] == ["Open"]


# -- what the CRM has made private and a person has opened since is that person's ---


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("rule", ["withhold", "busy-only"])
def test_what_a_person_makes_private_again_is_withheld_also_if_the_crm_had_done_so_before(
    rule: str, series: bool, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": rule})
    world.event("ann", summary="Visit", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4" if series else ""))
    settled(world)
    ref = only(world)
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, private=True)
    settled(world)
    world.now += timedelta(minutes=1)
    world.calendars["ann"].edit("e1", sensitivity="public")
    settled(world)
    assert [a["private"] for a in world.activities] == [False]
    world.now += timedelta(minutes=1)
    world.calendars["ann"].edit("e1", sensitivity="private", summary="Oncologist")
    settled(world)
    assert "Oncologist" not in repr([world.activities, world.crm.history])
    assert "Visit" not in repr([world.activities, world.crm.history])
    world.quiet()


# -- what says the same in another form goes with what it says ---


@pytest.mark.parametrize("new", ["Hall 2", ""])
@pytest.mark.parametrize(
    ("field", "line", "others"),
    [
        (
            "location",
            "LOCATION:Hall 1",
            ("GEO:52.5;13.4", "X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=Hall 1:geo:52.5,13.4",
             'X-MICROSOFT-LOCATIONS:[{"DisplayName":"Hall 1"}]'),
        ),
        ("description", "DESCRIPTION:Hall 1", ("X-ALT-DESC;FMTTYPE=text/html:<p>Hall 1</p>",
                                               "STYLED-DESCRIPTION;FMTTYPE=text/html:<p>Hall 1</p>")),
    ],
)  # fmt: skip
def test_another_form_of_what_is_changed_does_not_go_on_saying_what_was(
    field: str, line: str, others: tuple[str, ...], new: str
) -> None:
    text = thing((*WEEKLY, line, *others))
    seen = read(text).fields
    now = after(text, {field: new}, seen)
    assert "Hall 1" not in now and "52.5" not in now
    assert read(now).fields[field] == new
    same = after(text, {"summary": "Renamed", field: seen[field]}, seen)
    assert all(other.split(":")[0] in same for other in others)


# -- handed over in the CRM, and the former owner marks what is left in her calendar private ---


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rule", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("typed", ["crm", "calendar", "nothing"])
@pytest.mark.parametrize("holder", ["bob", "carla"])
@pytest.mark.parametrize("part", [(), ("ann",), ("ann", "bob")])
@pytest.mark.parametrize("again", ["public", "deleted", ""])
def test_what_was_handed_over_is_its_new_owners_also_when_the_former_owner_makes_hers_private(
    again: str, part: tuple[str, ...], holder: str, typed: str, rule: str, order: tuple[str, str], tmp_path: Path
) -> None:
    """Her own words go; the appointment, its hours and what others typed stay. Carla works in the CRM alone."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": rule})
    world.event("ann", summary="Zebra")
    settled(world)
    ref = only(world)
    hand_over(world, ref, holder)
    if part:
        world.crm.edit(ref, participants=people(*part))
    settled(world)
    world.now += timedelta(minutes=1)
    if typed == "crm" or (typed == "calendar" and holder == "carla"):
        world.crm.edit(ref, subject="Contract", notes="bring it", location="Hall")
    elif typed == "calendar":
        (copy,) = world.calendars["bob"].records
        world.calendars["bob"].edit(copy, summary="Contract", description="bring it", location="Hall")
    settled(world)
    when = world.activities[0]["time"]
    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world, 5)
    (activity,) = world.activities
    assert "Zebra" not in repr([activity, world.crm.history, world.items("bob")])
    assert (activity["time"], activity["status"], bool(activity.get("private"))) == (when, "open", False)
    if typed != "nothing":
        assert (activity["subject"], activity["notes"], activity["location"]) == ("Contract", "bring it", "Hall")
    bobs = [(i["summary"], i["location"]) for i in world.items("bob")]
    if holder == "bob":
        assert bobs == [("Contract", "Hall") if typed != "nothing" else ("", "")]
    assert len(world.items("ann")) == 1
    world.quiet()
    if not again:
        return
    world.now += timedelta(minutes=1)
    if again == "public":
        mark_e1(world, "public")
    else:
        world.calendars["ann"].remove("e1")
    settled(world, 5)
    assert [(a["status"], a["time"]) for a in world.activities] == [("open", when)]
    assert len(world.items("bob")) == len(bobs)
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("notes", ["", "CRM agenda"])
@pytest.mark.parametrize("series", [False, True])
def test_what_is_left_of_a_private_meeting_stands_in_no_colleagues_calendar(
    series: bool, notes: str, order: tuple[str, str]
) -> None:
    """To whom the CRM had added people: they have nothing of an hour without a title, on another day."""
    world = World(*order)
    world.event("ann", summary="Zebra", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4" if series else ""))
    settled(world)
    ref = only(world)
    world.crm.edit(ref, participants=people("ann", "bob"), notes=notes)
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Zebra"]
    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world, 5)
    assert world.items("bob") == []
    assert "Zebra" not in repr([world.activities, world.crm.history])
    assert [i["summary"] for i in world.items("ann")] == ["Zebra"]
    world.quiet()
    world.now += timedelta(minutes=1)
    mark_e1(world, "public")
    settled(world, 5)
    assert [i["summary"] for i in world.items("bob")] == ["Zebra"]
    assert [(a["subject"], bool(a["private"]), a["notes"]) for a in world.activities] == [("Zebra", False, notes)]


# -- a private date holds its series up while it is to come, and that is said -----------------------------------------


@pytest.mark.parametrize("how", ["time", "rule"])
@pytest.mark.parametrize("rule", ["withhold", "busy-only"])
def test_a_private_date_holds_its_series_up_until_it_is_over(rule: str, how: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": rule})
    series = Recurrence("FREQ=WEEKLY;COUNT=4", overrides={KEYS[1]: {"summary": "Dentist", "sensitivity": "private"}})
    world.event("ann", summary="Weekly", recurrence=series)
    settled(world)
    ref = only(world)
    later, shorter = span(MON + timedelta(hours=3)), "FREQ=WEEKLY;COUNT=3"
    held = world.crm.records[ref].fields["recurrence"]
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, **({"time": later} if how == "time" else {"recurrence": replace(held, rule=shorter)}))
    settled(world)
    assert [r.waiting for r in world.sync(full=True)] == [1]
    with world.store.reading() as tx:
        (link,) = tx.waiting("ann")
    said = waiting(link.waits)
    assert said["fields"] == ["time" if how == "time" else "recurrence"]
    assert said["why"] == "waits: one of its dates is private; change it in the calendar"
    item: Any = world.items("ann")[0]
    assert (item["time"], item["recurrence"].rule) == (span(MON), series.rule)
    world.now = NOW + timedelta(days=16)  # the private date was on the fourteenth day
    assert MON + WEEK < world.now < MON + 2 * WEEK
    world.sync(full=True)
    settled(world)
    (item,) = world.items("ann")
    assert (item["time"], item["recurrence"].rule) == ((later, series.rule) if how == "time" else (span(MON), shorter))
    (private,) = item["recurrence"].overrides.values()
    assert (private["summary"], private["sensitivity"]) == ("Dentist", "private")
    assert [r.waiting for r in world.sync(full=True)] == [0]
    assert "Dentist" not in repr([world.activities, world.crm.history])


# -- an account that is pointed at another calendar ------------------------------------------------------------------


@pytest.mark.parametrize("there", [0, 1, 5, 30])
@pytest.mark.parametrize("held", [3, 8])
def test_a_calendar_in_which_nothing_is_known_deletes_nothing_unasked(held: int, there: int) -> None:
    """However few entries it holds: somebody may have named the wrong one."""
    world = World("ann")
    for n in range(held):
        world.event("ann", f"e{n}", summary=f"Mine {n}", time=span(MON + n * timedelta(hours=2)))
    settled(world)
    other = calendar("ann", lambda: world.now)
    for n in range(there):
        when = span(MON + timedelta(days=1) + n * timedelta(hours=1))
        fields = {"summary": f"Other {n}", "status": "confirmed", "time": when}
        other.put(f"o{n}", "event", fields, uid=f"other-{n}")
    before = world.calendars["ann"]
    world.calendars["ann"] = other
    world.pairings[0] = replace(world.pairings[0], replica=other)
    other.expire()
    settled(world)
    assert [a["status"] for a in world.activities].count("open") == held + there
    assert [r.held for r in world.sync()] == [held]
    world.calendars["ann"] = before
    world.pairings[0] = replace(world.pairings[0], replica=before)
    before.number += 100
    before.expire()
    settled(world, 4)
    assert [a["status"] for a in world.activities if str(a["subject"]).startswith("Mine")] == ["open"] * held


# -- a place that the calendar cuts is whole in the CRM ---------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("word", ["Hall 9, second floor, on the left", "Hall\u00a09, second floor"])
def test_what_a_calendar_is_known_to_cut_is_no_edit_of_its_owners(word: str, silent: bool) -> None:
    """The base of a write is what the calendar will show of it: else the next edit of anything takes that for news."""
    world = World("ann")
    calendar_ = world.calendars["ann"]
    calendar_.caps = replace(calendar_.caps, limits={"location": Limit(length=10)})
    world.event("ann", summary="Talk")
    settled(world)
    ref = only(world)
    calendar_.silent = silent
    for n, place in enumerate((f"{word} and further", "Elsewhere, on the first floor", "Room 1")):
        world.crm.edit(ref, location=f"{word} {n}")
        world.sync()
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, location=place)
        world.now += timedelta(minutes=1)
        calendar_.edit("e1", summary=f"Talk {n}")  # later, so it would win
        world.sync()
        assert [i["location"] for i in world.items("ann")] == [place[:10]]
    assert "location" not in repr(world.crm.history)  # nobody's place has lost against another
    world.sync(full=True)
    settled(world)
    assert [(a["subject"], a["location"]) for a in world.activities] == [("Talk 2", "Room 1")]


@pytest.mark.parametrize("new_uids", [False, True])
@pytest.mark.parametrize("first", ["deleted", "edited", "nothing"])
def test_a_calendar_whose_entries_have_all_got_new_addresses_is_no_other(first: str, new_uids: bool) -> None:
    world = World("ann")
    for n in range(5):
        world.event("ann", f"e{n}", uid=f"u{n}", summary=f"Mine {n}", time=span(MON + n * timedelta(hours=2)))
    settled(world)
    ann = world.calendars["ann"]
    for n in range(5):
        fields = dict(ann.records[f"e{n}"].fields)
        ann.remove(f"e{n}")
        ann.put(f"new{n}", "event", fields, uid=f"v{n}" if new_uids else f"u{n}")
    world.sync(full=True)
    settled(world)
    if first == "edited":
        ann.edit("new1", location="Hall")
    elif first == "deleted":
        ann.remove("new1")
    settled(world)
    ann.remove("new2")
    settled(world)
    world.sync(full=True)
    assert [r.held for r in world.sync()] == [0]
    gone = {"Mine 2"} | ({"Mine 1"} if first == "deleted" else set())
    assert {a["subject"] for a in world.activities if a["status"] == "rejected"} == gone
    assert len(world.activities) == 5


@pytest.mark.grid
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rule", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("part", [(), ("ann", "bob")])
@pytest.mark.parametrize("does", ["moves", "renames", "deletes", "nothing"])
def test_what_the_new_owner_has_done_meanwhile_stands_when_the_former_one_shows_hers_again(
    does: str, part: tuple[str, ...], rule: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": rule})
    world.event("ann", summary="Zebra", location="Zoo")
    settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    if part:
        world.crm.edit(ref, participants=people(*part))
    settled(world)
    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world, 5)
    (copy,) = world.calendars["bob"].records
    later = span(MON + timedelta(hours=6))
    world.now += timedelta(minutes=1)
    if does == "moves":
        world.calendars["bob"].edit(copy, time=later)
    elif does == "renames":
        world.calendars["bob"].edit(copy, summary="Contract", location="Hall")
    elif does == "deletes":
        world.calendars["bob"].remove(copy)
    settled(world, 5)
    world.now += timedelta(minutes=1)
    mark_e1(world, "public")
    settled(world, 5)
    (activity,) = world.activities
    assert activity["status"] == ("rejected" if does == "deletes" else "open")
    assert len(world.items("bob")) == (0 if does == "deletes" else 1)
    assert activity["time"] == (later if does == "moves" else span(MON))
    words = ("Contract", "Hall") if does == "renames" else ("Zebra", "Zoo")
    assert (activity["subject"], activity["location"]) == words
    (hers,) = world.items("ann")
    assert (hers["summary"], hers["location"]) == words
    world.quiet()


# -- all of private things crosses, but not to colleagues ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("made", ["crm", "ann"])
@pytest.mark.parametrize("then", ["", "moved", "renamed", "deleted"])
def test_one_date_of_a_copy_that_its_holder_has_made_private_is_nobody_elses(
    then: str, made: str, order: tuple[str, str], tmp_path: Path
) -> None:
    """Under `full` too: the series is another employee's."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": "full"})
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4")
    if made == "crm":
        world.appointment(subject="Team", recurrence=weekly, participants=people("ann", "bob"))
        settled(world)
    else:
        world.event("ann", summary="Team", recurrence=weekly)
        settled(world)
        world.crm.edit(only(world), participants=people("ann", "bob"))
        settled(world)
    ref = only(world)
    (copy,) = world.calendars["bob"].records
    world.now += timedelta(minutes=1)
    world.calendars["bob"].edit(copy, recurrence=a_series(summary="Dentist", sensitivity="private"))
    settled(world, 4)
    assert "Dentist" not in repr([world.activities, world.crm.history, world.items("ann")])
    world.now += timedelta(minutes=1)
    if then == "moved":
        world.crm.edit(ref, time=span(MON + timedelta(hours=3)))
    elif then == "renamed":
        world.crm.edit(ref, subject="Team, new")
    elif then == "deleted":
        world.crm.remove(ref)
    settled(world, 4)
    assert "Dentist" not in repr([world.activities, world.crm.history, world.items("ann")])
    (kept,) = world.items("bob")
    assert "Dentist" in repr(kept)
    assert kept["summary"] == ("Team, new" if then == "renamed" else "Team")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("part", [(), ("ann",), ("ann", "bob")])
def test_a_series_that_is_handed_over_takes_no_private_date_of_its_former_owner_along(
    part: tuple[str, ...], order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": "full"})
    world.event("ann", summary="Weekly", recurrence=a_series(summary="Oncologist", sensitivity="private"))
    settled(world)
    ref = only(world)
    if part:
        world.crm.edit(ref, participants=people(*part))
    hand_over(world, ref, "bob")
    settled(world, 5)
    assert "Oncologist" in repr(world.items("ann"))
    world.calendars["ann"].edit("e1", location="Hall")
    settled(world, 5)
    assert "Oncologist" in repr(world.items("ann"))


@pytest.mark.parametrize("rule", ["withhold", "busy-only", "full"])
def test_a_private_date_that_was_put_off_holds_its_series_up_until_then(rule: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": rule})
    put_off = span(MON + 3 * WEEK + timedelta(days=1))
    words = {"summary": "Dentist", "sensitivity": "private", "time": put_off}
    series = Recurrence("FREQ=WEEKLY;COUNT=4", overrides={KEYS[1]: words})
    world.event("ann", summary="Weekly", recurrence=series)
    settled(world)
    ref = only(world)
    world.now = NOW + timedelta(days=16)
    world.crm.edit(ref, time=span(MON + timedelta(hours=3)))
    world.sync(full=True)
    settled(world)
    held = rule != "full"  # where all of it crosses, the date moves like any other
    assert world.items("ann")[0]["time"] == span(MON if held else MON + timedelta(hours=3))
    assert [r.waiting for r in world.sync(full=True)] == [1 if held else 0]
    world.now = MON + 3 * WEEK + timedelta(days=1, hours=2)
    world.sync(full=True)
    settled(world)
    assert world.items("ann")[0]["time"] == span(MON + timedelta(hours=3))


@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("to", ["ann", "home"])
@pytest.mark.parametrize("rule", ["withhold", "busy-only", "full"])
def test_an_own_private_date_stays_one_where_its_series_goes_meanwhile(
    rule: str, to: str, first: str, tmp_path: Path
) -> None:
    """To another calendar of the employee's, or under another address: no pass opens it."""
    world = with_mapping(two_calendars(), tmp_path, privacy={"private": rule})
    world.pairings.sort(key=lambda p: p.id != first)
    world.event("ann", uid="hers", summary="Weekly", recurrence=a_series(summary="Oncologist", sensitivity="private"))
    settled(world)
    ref = only(world)
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, private=True)
    settled(world)
    fields: dict[str, Any] = dict(world.calendars["ann"].records["e1"].fields)
    world.calendars["ann"].remove("e1")
    world.event(to, "e2", uid="hers", **fields)
    for step in range(6):
        if step == 3:
            world.now += timedelta(minutes=1)
            world.crm.edit(ref, private=False)
        world.sync()
        shown = [f for f in recurrence_of(world).overrides.values() if f.get("subject") == "Oncologist"]
        assert all(f.get("private") for f in shown) and len(shown) == (rule == "full")
    (item,) = world.items(to)
    assert "Oncologist" in repr(item) and item["sensitivity"] == "public"


@pytest.mark.parametrize("commit", range(1, 9))
@pytest.mark.parametrize("rule", ["withhold", "busy-only"])
def test_what_was_handed_over_stays_so_whenever_the_taking_back_is_cut_off(
    rule: str, commit: int, tmp_path: Path
) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": rule})
    world.event("ann", summary="Zebra")
    settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    settled(world)
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, location="Hall")
    settled(world)
    mark_e1(world, "private")
    made = 0

    def watch(moment: str) -> None:
        nonlocal made
        made += moment.startswith("before")
        if made == commit:
            raise Crash

    world.watch = watch
    with suppress(Crash):
        world.sync()
    world.watch = lambda moment: None
    settled(world, 5)
    (activity,) = world.activities
    assert (activity["subject"], activity["location"], activity["status"]) == ("", "Hall", "open")
    assert [(i["summary"], i["location"]) for i in world.items("bob")] == [("", "Hall")]
    assert "Zebra" not in repr([world.activities, world.crm.history])
    assert [i["summary"] for i in world.items("ann")] == ["Zebra"]
    world.quiet()
