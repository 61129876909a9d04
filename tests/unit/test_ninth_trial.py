"""What fresh minds, and the soak, found in a ninth trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import delete, select

from connectors.caldav.read import read
from syncd.engine.pairing import Employee
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, moment_key
from syncd.store import tables
from tests.memory import crm
from tests.unit.test_cases import beside, only, passed, two_calendars, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_series import WEEKLY, after, thing
from tests.unit.test_seventh_trial import ORDERS, mark_e1
from tests.unit.test_sixth_trial import hand_over, people


def drag(world: World, here: str, there: str) -> None:
    """Somebody drags the only entry of a calendar into another one."""
    world.now += timedelta(minutes=1)
    (held,) = world.calendars[here].records.values()
    world.calendars[here].remove(held.ref)
    world.calendars[there].put(f"{there}-{held.ref[-2:]}", "event", held.fields, uid=held.uid)
    settled(world, 4)


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_an_appointment_without_a_time_stands_in_no_calendar(owner: str) -> None:
    """The untitled leftover of what others have made private again, for one."""
    world = World("ann", "bob")
    both = People([Participant("ann@us.example"), Participant("bob@us.example")])
    ref = world.appointment(owner=owner, subject="", time=None, participants=both, categories=frozenset({"C"}))
    settled(world)
    assert world.items("ann") == world.items("bob") == []
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, time=span(MON), subject="Visit")
    settled(world)
    assert [i["summary"] for n in ("ann", "bob") for i in world.items(n)] == ["Visit", "Visit"]
    world.quiet()


# -- nobody but a person opens a date ----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "CLASS:PUBLIC", "X-CALENDARSERVER-ACCESS:PUBLIC"])
@pytest.mark.parametrize("how", ["edited", "private for a while", "private with its series for a while"])
def test_a_date_that_syncd_has_written_is_no_more_public_than_its_series(word: str, how: str) -> None:
    text = thing((*WEEKLY, "SUMMARY:Weekly", *([word] if word else [])))
    shown = read(text).fields
    key = moment_key(shown["time"].start + timedelta(days=7))

    def written_date(text: str, **fields: str) -> str:
        seen = read(text).fields
        there = MappingProxyType({key: MappingProxyType(fields)} if fields else {})
        return after(text, {"recurrence": replace(seen["recurrence"], overrides=there)}, seen)

    text = written_date(text, location="Room 7")
    if how == "private for a while":
        text = written_date(text, location="Room 7", sensitivity="private")
        assert read(text).fields["recurrence"].overrides[key]["sensitivity"] == "private"
        text = written_date(text, location="Room 7", sensitivity="public")
    elif how == "private with its series for a while":
        text = after(after(text, {"sensitivity": "private"}), {"sensitivity": "public"})
    assert "sensitivity" not in read(text).fields["recurrence"].overrides[key]
    master, others = text.split("END:VEVENT", 1)
    assert "RECURRENCE-ID" not in master and not any(w in others for w in ("CLASS", "ACCESS"))
    name = word.partition(":")[0] or "CLASS"
    master = "".join(line + "\r\n" for line in master.split("\r\n") if line and not line.startswith(name))
    private = read(f"{master}{name}:{'CONFIDENTIAL' if 'ACCESS' in name else 'PRIVATE'}\r\nEND:VEVENT{others}").fields
    assert private["sensitivity"] != "public"
    assert "sensitivity" not in private["recurrence"].overrides[key], "the date is as private as its series"


# -- an own calendar is no colleague's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["ann", "bob"])
@pytest.mark.parametrize("dragged", ["before", "after", "there and back", "under its former name"])
@pytest.mark.parametrize("then", ["typed", "moved", "deleted"])
def test_what_was_dragged_between_own_calendars_can_be_handed_over_all_the_same(
    first: str, dragged: str, then: str
) -> None:
    world = two_calendars("bob")
    world.pairings = [replace(p, id="ann/home") if p.id == "home" else p for p in world.pairings]
    if first == "bob":
        world.pairings.sort(key=lambda p: p.employee.id, reverse=True)

    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    ref = only(world)
    if dragged != "after":
        drag(world, "ann", "home")
    if dragged == "there and back":
        drag(world, "home", "ann")
    if dragged == "under its former name":
        world.pairings = [replace(p, id="ann/diary") if p.id == "ann/home" else p for p in world.pairings]
        settled(world)
    hand_over(world, ref, "bob")
    settled(world)
    if dragged == "after":
        drag(world, "ann", "home")
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.now += timedelta(minutes=1)
    (where,) = [n for n in ("ann", "home") if world.calendars[n].records]
    (held,) = world.calendars[where].records
    if then == "typed":
        world.crm.edit(ref, location="Hall")
    elif then == "moved":
        world.calendars[where].edit(held, time=span(MON + timedelta(hours=3)))
    else:
        world.calendars[where].remove(held)
    settled(world, 5)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [i["location"] for i in world.items("bob") if then == "typed"] == (["Hall"] if then == "typed" else [])
    assert len(world.items("bob")) == 1
    world.quiet()


# -- another rule for what is private ----------------------------------------------------------------------------------


def test_what_was_taken_back_is_a_block_of_time_once_nobody_else_shows_it(tmp_path: Path) -> None:
    """It was dragged, and made private, while the clock was wrong."""
    world = with_mapping(two_calendars(), tmp_path, privacy={"private": "busy-only"})
    world.event("home", "e1", uid="hers", summary="Surgery")
    settled(world)
    (held,) = world.calendars["home"].records.values()
    world.calendars["home"].remove("e1")
    world.calendars["ann"].put("e1", "event", held.fields, uid="hers")
    passed(world, "ann")
    right, world.now = world.now, world.now + timedelta(days=400)
    passed(world, "ann")
    world.now = right + timedelta(minutes=10)
    world.calendars["ann"].edit("e1", sensitivity="private")
    passed(world, "ann")
    right, world.now = world.now, world.now + timedelta(days=100)
    passed(world, "home")
    world.now = right + timedelta(minutes=10)
    world.sync(full=True)
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Busy"]
    assert "Surgery" not in repr([world.activities, world.crm.history])
    world.quiet()


# -- what a former owner has brought, while the new one keeps it from everybody ----------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rule", ["withhold", "busy-only"])
@pytest.mark.parametrize("again", [True, False])
def test_a_former_owners_private_words_go_also_while_the_new_one_keeps_it_private(
    again: bool, rule: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": rule})
    world.event("ann", summary="Zebra", location="Zoo", description="zebra notes")
    settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    settled(world)
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, private=True)
    settled(world)
    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world)
    if again:
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, private=False)
        settled(world)
    words = repr([world.activities, world.crm.history, world.items("bob")]).lower()
    assert "zebra" not in words and "zoo" not in words
    assert [(a["status"], bool(a["private"])) for a in world.activities if a.get("subject") != "Busy"] == [
        ("open", not again)
    ]
    assert len(world.items("bob")) == 1
    world.quiet()


# -- what is held, and until when --------------------------------------------------------------------------------------


def readdressed(world: World, number: int, gone: int) -> None:
    """The server gives all entries new addresses, but for the first `gone` of them."""
    ann = world.calendars["ann"]
    for n in range(number):
        fields = dict(ann.records[f"e{n}"].fields)
        ann.remove(f"e{n}")
        if n >= gone:
            ann.put(f"new{n}", "event", fields, uid=f"u{n}")


def busy(number: int) -> World:
    world = World("ann")
    for n in range(number):
        world.event("ann", f"e{n}", uid=f"u{n}", summary=f"Mine {n}", time=span(MON + n * timedelta(hours=2)))
    settled(world)
    return world


def test_what_was_deleted_while_a_server_gave_new_addresses_holds_nothing_up() -> None:
    world = busy(6)
    readdressed(world, 6, 1)
    world.sync(full=True)
    settled(world)
    world.sync(full=True)  # nothing more has arrived by the night
    settled(world)
    world.calendars["ann"].remove("new5")
    settled(world)
    assert [r.held for r in world.sync(full=True)] == [0]
    assert {a["subject"] for a in world.activities if a["status"] == "rejected"} == {"Mine 0", "Mine 5"}


@pytest.mark.parametrize("number", [4, 6, 12])
def test_of_a_calendar_that_has_half_arrived_nothing_is_cancelled(number: int) -> None:
    world = busy(number)
    before = [dict(world.calendars["ann"].records[f"e{n}"].fields) for n in range(number)]
    readdressed(world, number, number // 2)
    world.sync(full=True)
    settled(world)
    assert {a["status"] for a in world.activities} == {"open"}
    assert [r.held for r in world.sync(full=True)] == [number // 2]
    for n in range(number // 2):
        world.calendars["ann"].put(f"new{n}", "event", before[n], uid=f"u{n}")
    settled(world)
    assert [r.held for r in world.sync(full=True)] == [0]
    assert {a["status"] for a in world.activities} == {"open"}
    assert len(world.activities) == number


@pytest.mark.parametrize("held", [1, 2])
def test_the_last_of_a_few_entries_is_deleted_like_any_other(held: int) -> None:
    """Also where a server shows no more than that something has changed."""
    world = World("ann")
    for n in range(held):
        world.event("ann", f"e{n}", summary=f"Mine {n}", time=span(MON + n * timedelta(hours=2)))
    settled(world)
    for n in range(held):
        world.calendars["ann"].remove(f"e{n}")
        world.sync(full=True)
    world.event("ann", "new", summary="New")
    settled(world)
    world.calendars["ann"].remove("new")
    world.sync(full=True)
    assert [r.held for r in world.sync(full=True)] == [0]
    assert {a["status"] for a in world.activities} == {"rejected"}


# -- dragged there and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("private", ["a date", "for a while", ""])
@pytest.mark.parametrize("then", ["people", "handed over", "deleted"])
def test_what_was_dragged_there_and_back_is_like_any_other(then: str, private: str, order: tuple[str, str]) -> None:
    world = two_calendars("bob")
    if order[0] == "bob":
        world.pairings.sort(key=lambda p: p.employee.id, reverse=True)
    key = moment_key(MON + timedelta(days=14))
    date = {key: MappingProxyType({"summary": "Oncologist", "sensitivity": "private"})} if private == "a date" else {}
    series = (
        Recurrence("FREQ=WEEKLY;COUNT=4", overrides=MappingProxyType(date)) if private == "a date" else Recurrence()
    )
    world.event("ann", uid="hers", summary="Weekly", recurrence=series)
    settled(world)
    ref = only(world)
    where = "ann"
    for n, there in enumerate(("home", "ann")):
        world.now += timedelta(minutes=1)
        (held,) = world.calendars[where].records.values()
        world.calendars[where].remove(held.ref)
        world.calendars[there].put(f"d{n}", "event", held.fields, uid=held.uid)
        settled(world)
        where = there
    if private == "for a while":
        for word in ("private", "public"):
            world.now += timedelta(minutes=1)
            world.calendars["ann"].edit("d1", sensitivity=word)
            settled(world)
        ref = only(world)
    world.now += timedelta(minutes=1)
    if then == "people":
        world.crm.edit(ref, participants=people("ann", "bob"))
    elif then == "handed over":
        hand_over(world, ref, "bob")
    else:
        world.calendars["ann"].remove("d1")
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == (["Weekly"] if then != "deleted" else [])
    assert [a["status"] for a in world.activities] == ["rejected" if then == "deleted" else "open"]
    assert "Oncologist" not in repr([world.activities, world.crm.history, world.items("bob")])
    world.quiet()


@pytest.mark.parametrize("then", ["people", "deleted"])
def test_a_series_for_a_crm_without_series_that_was_dragged_there_and_back_is_like_any_other(then: str) -> None:
    world = World("ann", "bob", hub=crm(lambda: NOW, series=False))
    beside(world)
    world.event("ann", uid="hers", summary="Weekly", recurrence=Recurrence("FREQ=WEEKLY;COUNT=2"))
    settled(world)
    for n, (here, there) in enumerate((("ann", "home"), ("home", "ann"))):
        world.now += timedelta(minutes=1)
        (held,) = world.calendars[here].records.values()
        world.calendars[here].remove(held.ref)
        time = span(MON + (n + 1) * timedelta(hours=1))
        world.calendars[there].put(f"d{n}", "event", {**held.fields, "time": time}, uid=held.uid)
        settled(world)
    assert [a["status"] for a in world.activities] == ["open"] * 2
    world.now += timedelta(minutes=1)
    if then == "people":
        for ref in list(world.crm.records):
            world.crm.edit(ref, participants=people("ann", "bob"))
    else:
        world.calendars["ann"].remove("d1")
    settled(world)
    assert len(world.items("bob")) == (2 if then == "people" else 0)
    assert [a["status"] for a in world.activities] == ["rejected" if then == "deleted" else "open"] * 2
    world.quiet()


# -- a series becomes private, and one of its dates says that it is public ---------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("part", [(), ("ann", "bob")])
@pytest.mark.parametrize(
    "own", [{"summary": "Open day"}, {"location": "Room 7"}, {"time": span(MON + timedelta(days=8))}]
)
@pytest.mark.parametrize("then", ["public again", "the date too", ""])
def test_of_a_series_that_becomes_private_the_public_date_alone_stays(
    then: str, own: dict[str, object], part: tuple[str, ...], order: tuple[str, str]
) -> None:
    world = World(*order)
    key = moment_key(MON + timedelta(days=7))
    words = MappingProxyType({key: MappingProxyType({**own, "sensitivity": "public"})})
    series = Recurrence("FREQ=WEEKLY;COUNT=4", overrides=words)
    world.event("ann", summary="Weekly", description="agenda", recurrence=series)
    settled(world)
    ref = only(world)
    if part:
        world.crm.edit(ref, participants=people(*part))
        settled(world)
    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world)
    fields = [*world.activities, *world.items("bob")]
    assert len(fields) == 1 + bool(part)
    for shown in fields:
        there = shown["recurrence"]
        assert isinstance(there, Recurrence) and isinstance(shown["time"], Span)
        found = {
            moment_key(m) for m in starts(shown["time"], there, MON - timedelta(days=30), MON + timedelta(days=90))
        }
        assert found == {key}, "nothing tells when the others are"
    assert "2026-11-30" not in repr(world.crm.history)
    world.quiet()
    world.now += timedelta(minutes=1)
    if then == "public again":
        mark_e1(world, "public")
        settled(world)
        (activity,) = world.activities
        assert isinstance(activity["recurrence"], Recurrence)
        assert activity["recurrence"].rule == "FREQ=WEEKLY;COUNT=4"
    elif then == "the date too":
        world.calendars["ann"].edit("e1", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
        settled(world)
        assert "agenda" not in repr([world.activities, world.crm.history, world.items("bob")])
        assert "Open day" not in repr([world.activities, world.crm.history, world.items("bob")])
    world.quiet()


# -- from a colleague's calendar, and on -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["dragged on", "renamed", "dragged on and back"])
def test_what_came_from_a_colleague_stays_hers_wherever_she_puts_it(how: str, order: tuple[str, str]) -> None:
    world = two_calendars("bob")
    world.pairings = [replace(p, id="ann/home") if p.id == "home" else p for p in world.pairings]
    if order[0] == "bob":
        world.pairings.sort(key=lambda p: p.employee.id, reverse=True)

    world.event("bob", "e1", uid="his", summary="Visit")
    settled(world)
    ref = only(world)
    drag(world, "bob", "home")
    if how == "renamed":
        world.pairings = [replace(p, id="ann/diary") if p.id == "ann/home" else p for p in world.pairings]
        settled(world)
    else:
        drag(world, "home", "ann")
    if how == "dragged on and back":
        drag(world, "ann", "home")
    with world.store.transaction() as tx:  # as after some months
        tx.connection.execute(delete(tables.explain))
    for place in ("Hall", "Roof"):
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, location=place)
        settled(world)
    assert world.items("bob") == []
    assert [i["location"] for i in (*world.items("ann"), *world.items("home"))] == ["Roof"]
    world.sync(full=True)
    world.quiet()


def test_a_copy_that_was_made_while_it_was_at_a_colleagues_goes_when_it_is_back() -> None:
    world = two_calendars("bob")
    world.event("home", "e1", uid="hers", summary="Visit")
    settled(world)
    ref = only(world)
    (held,) = world.calendars["home"].records.values()
    world.calendars["home"].remove("e1")
    world.calendars["bob"].put("b1", "event", held.fields, uid="hers")
    for who in ("home", "bob", "home", "bob"):
        passed(world, who)
    world.calendars["bob"].remove("b1")
    world.crm.edit(ref, location="Hall")
    passed(world, "bob")
    passed(world, "ann")
    world.calendars["home"].put("e2", "event", held.fields, uid="hers")
    passed(world, "home")
    settled(world)
    entries = [i["summary"] for n in ("ann", "home", "bob") for i in world.items(n)]
    assert entries == ["Visit"]
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("path", "to"),
    [(("ann", "bob"), "cid"), (("ann", "bob", "ann"), "cid"), (("ann", "bob", "ann"), "bob"), (("ann",), "bob")],
)
@pytest.mark.parametrize("then", ["typed", "deleted"])
@pytest.mark.parametrize("months", [0, 2])
def test_what_was_dragged_to_a_colleague_can_be_handed_over_all_the_same(
    months: int, then: str, path: tuple[str, ...], to: str, order: tuple[str, str]
) -> None:
    world = World(*order, "cid")
    world.event("ann", "e1", uid="hers", summary="Visit", time=span(MON + timedelta(days=70)))
    settled(world)
    ref = only(world)
    for here, there in pairwise(path):
        drag(world, here, there)
    assert [n for n in ("ann", "bob", "cid") if world.items(n)] == [path[-1]]
    world.now += timedelta(days=30 * months, minutes=1)
    settled(world)
    hand_over(world, ref, to)
    settled(world, 4)
    assert [i["summary"] for i in world.items(to)] == ["Visit"]
    world.now += timedelta(minutes=1)
    (held,) = world.calendars[path[-1]].records.values()
    if then == "typed":
        world.crm.edit(ref, location="Hall")
    else:
        world.calendars[path[-1]].remove(held.ref)
    settled(world, 4)
    world.sync(full=True)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [i["location"] for i in world.items(to)] == ["Hall"] if then == "typed" else len(world.items(to)) == 1
    world.quiet()


@pytest.mark.parametrize("private", ["from the start", "later"])
@pytest.mark.parametrize("part", [(), ("ann", "bob")])
@pytest.mark.parametrize("where", ["home", "ann"])
def test_the_public_date_of_a_private_series_goes_along_when_that_is_dragged(
    where: str, part: tuple[str, ...], private: str
) -> None:
    world = two_calendars("bob")
    key = moment_key(MON + timedelta(days=7))
    words = MappingProxyType({key: MappingProxyType({"summary": "Open day", "sensitivity": "public"})})
    series = Recurrence("FREQ=WEEKLY;COUNT=4", overrides=words)
    first = "private" if private == "from the start" else "public"
    world.event("ann", "e1", uid="hers", summary="Weekly", sensitivity=first, recurrence=series)
    settled(world)
    ref = only(world)
    if part:
        world.crm.edit(ref, participants=people(*part))
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    bobs = len(world.items("bob"))
    world.now += timedelta(minutes=1)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove("e1")
    world.calendars[where].put("d1", "event", held.fields, uid=held.uid)
    settled(world, 4)
    assert list(world.crm.records) == [ref]
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Open day", "open")]
    assert len(world.items("bob")) == bobs
    assert "Weekly" not in repr([world.activities, world.crm.history, world.items("bob")])
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("part", [(), ("ann", "bob")])
@pytest.mark.parametrize("meanwhile", ["", "place", "another date"])
def test_a_series_that_is_private_for_a_while_keeps_the_words_of_its_public_date(
    meanwhile: str, part: tuple[str, ...], order: tuple[str, str]
) -> None:
    world = World(*order)
    keys = [moment_key(MON + timedelta(days=7 * n)) for n in range(4)]
    open_day = MappingProxyType({"summary": "Open day", "sensitivity": "public"})
    series = Recurrence("FREQ=WEEKLY;COUNT=4", overrides=MappingProxyType({keys[1]: open_day}))
    world.event("ann", summary="Weekly", location="Zoo", recurrence=series)
    settled(world)
    ref = only(world)
    if part:
        world.crm.edit(ref, participants=people(*part))
        settled(world)

    def dates(who: str) -> list[list[object]]:
        found = []
        for item in world.items(who):
            there = item["recurrence"]
            assert isinstance(there, Recurrence) and isinstance(item["time"], Span)
            window = (MON - timedelta(days=30), MON + timedelta(days=90))
            names = {moment_key(m): item["summary"] for m in starts(item["time"], there, *window)}
            found.append([there.overrides.get(k, {}).get("summary", name) for k, name in names.items()])
        return found

    world.now += timedelta(minutes=1)
    mark_e1(world, "private")
    settled(world)
    if meanwhile == "place":
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, location="Hall")
        settled(world)
    elif meanwhile == "another date":
        both = MappingProxyType({keys[1]: open_day, keys[2]: MappingProxyType({"sensitivity": "public"})})
        world.calendars["ann"].edit("e1", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4", overrides=both))
        settled(world)
        assert dates("bob") == ([["Open day", "Weekly"]] if part else [])
    world.now += timedelta(minutes=1)
    mark_e1(world, "public")
    settled(world, 4)
    assert dates("ann") == [["Weekly", "Open day", "Weekly", "Weekly"]]
    assert dates("bob") == ([["Weekly", "Open day", "Weekly", "Weekly"]] if part else [])
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("handed", ["before", "after"])
@pytest.mark.parametrize("how", ["another id", "a successor", "dragged on"])
@pytest.mark.parametrize("then", ["typed", "deleted"])
def test_what_is_handed_over_stays_so_whoever_reads_the_calendar_then(
    then: str, how: str, handed: str, order: tuple[str, str]
) -> None:
    world = World(*order, "cid")
    world.event("ann", "e1", uid="hers", summary="Visit")
    settled(world)
    ref = only(world)
    if handed == "before":
        hand_over(world, ref, "bob")
        settled(world)
    place = "ann"
    if how == "dragged on":
        (held,) = world.calendars["ann"].records.values()
        world.calendars["ann"].remove("e1")
        world.calendars["cid"].put("c1", "event", held.fields, uid="hers")
        place = "cid"
    else:
        addresses = ("ann@us.example",) if how == "another id" else ("dan@us.example",)
        employee = Employee("anna", addresses)
        world.pairings = [replace(p, id="anna/work", employee=employee) if p.id == "ann" else p for p in world.pairings]
    settled(world, 4)
    if handed == "after":
        hand_over(world, ref, "bob")
        settled(world, 4)
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.now += timedelta(minutes=1)
    (mine,) = world.calendars[place].records
    if then == "typed":
        world.crm.edit(ref, location="Hall")
    else:
        world.calendars[place].remove(mine)
    settled(world, 4)
    world.sync(full=True)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [i["location"] for i in world.items("bob")] == ["Hall"] if then == "typed" else len(world.items("bob")) == 1
    world.quiet()


def given_to_bob(order: tuple[str, str]) -> tuple[World, str]:
    """Ann has dragged her visit into Bob's calendar."""
    world = World(*order, "cid")
    world.event("ann", "e1", uid="hers", summary="Visit")
    settled(world)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove("e1")
    world.calendars["bob"].put("b1", "event", held.fields, uid="hers")
    settled(world, 4)
    assert [n for n in ("ann", "bob", "cid") if world.items(n)] == ["bob"]
    return world, only(world)


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_given_to_a_colleague_can_be_given_back_in_the_crm(order: tuple[str, str]) -> None:
    world, ref = given_to_bob(order)
    for to in ("bob", "ann"):
        world.now += timedelta(minutes=1)
        hand_over(world, ref, to)
        settled(world, 4)
    assert [i["summary"] for i in world.items("ann")] == ["Visit"]
    world.calendars["bob"].remove("b1")
    settled(world, 4)
    assert [a["status"] for a in world.activities] == ["open"]
    assert len(world.items("ann")) == 1
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("who", ["bob", "ann"])
@pytest.mark.parametrize("what", ["id", "address", "both, one after the other"])
def test_what_was_given_to_a_colleague_stays_there_whoever_is_called_something_else(
    what: str, who: str, order: tuple[str, str]
) -> None:
    world, ref = given_to_bob(order)
    changes = ["id", "address"] if what.startswith("both") else [what]
    for change in changes:
        (pairing,) = (p for p in world.pairings if p.employee.addresses[0].startswith(who))
        old = pairing.employee
        address = f"{who}.new@us.example" if change == "address" else old.addresses[0]
        new = Employee(f"{who}2" if change == "id" else old.id, (address,))
        called = f"{new.id}/work" if change == "id" else pairing.id
        world.pairings = [replace(p, id=called, employee=new) if p is pairing else p for p in world.pairings]
        if change == "address" and who == "ann":
            world.crm.records[ref] = replace(world.crm.records[ref], owner=address)
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, location=f"Hall {change}")
        settled(world, 4)
    assert [n for n in ("ann", "bob", "cid") if world.items(n)] == ["bob"]
    world.sync(full=True)
    world.quiet()


@pytest.mark.parametrize("then", ["typed", "handed over"])
def test_a_mark_of_before_that_names_nobody_is_of_whoever_the_crm_names(then: str) -> None:
    world, ref = given_to_bob(ORDERS[0])
    with world.store.transaction() as tx:
        names = select(tables.setting.c.name).where(tables.setting.c.name.startswith("came"))
        (name,) = [n for (n,) in tx.connection.execute(names)]
        tx.set_setting(name, "")
    world.crm.edit(ref, location="Hall")
    settled(world, 4)
    assert world.items("ann") == []
    if then == "handed over":
        hand_over(world, ref, "cid")
        settled(world, 4)
        assert [i["summary"] for i in world.items("cid")] == ["Visit"]
    world.quiet()
