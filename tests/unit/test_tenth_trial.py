"""What fresh minds found in a tenth trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from syncd.engine.again import SAID
from syncd.engine.context import Context
from syncd.engine.pairing import Moment
from syncd.engine.passes import run_pass
from syncd.mapping.loader import load, shipped
from syncd.model.fields import normal_text
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.stores import new_store
from tests.unit.test_cases import only, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span
from tests.unit.test_ninth_trial import busy, drag, readdressed
from tests.unit.test_sixth_trial import hand_over, people

# -- what is done in one interval --------------------------------------------------------------------------------------

ORDERS = [("ann", "bob", "cid"), ("cid", "bob", "ann"), ("bob", "ann", "cid")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("first", "between"), [("handed over", 0), ("handed over", 1), ("deleted", 0)])
@pytest.mark.parametrize("series", [False, True])
def test_whoever_hands_it_over_may_clear_hers_away_in_the_same_interval(
    order: tuple[str, ...], first: str, between: int, series: bool
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    settled(world)
    (held,) = world.calendars["ann"].records
    ref = only(world)

    def deleted() -> None:
        world.calendars["ann"].remove(held)

    acts = {"handed over": lambda: hand_over(world, ref, "cid"), "deleted": deleted}
    world.now += timedelta(minutes=1)
    acts[first]()
    for _ in range(between):
        world.sync()
    acts["deleted" if first == "handed over" else "handed over"]()
    settled(world)
    world.now += timedelta(days=2)
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    assert {n: len(c.records) for n, c in world.calendars.items()} == {"ann": 0, "bob": 0, "cid": 1}
    world.quiet()


def sync_but(world: World, name: str) -> None:
    """A pass over all calendars but this one, whose server does not answer."""
    world.now += timedelta(minutes=5)
    for pairing in world.pairings:
        if pairing.id != name:
            run_pass(Context(pairing, world.store, Moment(world.now), b"k" * 32, world.pairings))


@pytest.mark.parametrize("to", ["bob", "dan"])
@pytest.mark.parametrize("days", [0, 3])
def test_her_deletion_is_no_end_of_what_somebody_answers_for_whose_calendar_is_not_read(to: str, days: int) -> None:
    """Bob's server does not answer; Dan has none."""
    world = World("ann", "bob")
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    (held,) = world.calendars["ann"].records
    hand_over(world, only(world), to)
    for _ in range(3):
        sync_but(world, "bob")
    world.now += timedelta(days=days)
    world.calendars["ann"].remove(held)
    for _ in range(3):
        sync_but(world, "bob")
    world.now += timedelta(days=days)
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, to == "bob"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("first", ["edited", "dragged"])
@pytest.mark.parametrize("between", [0, 1])
def test_what_is_edited_in_the_crm_and_dragged_to_a_colleague_stands_there_alone(
    order: tuple[str, ...], first: str, between: int
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    ref = only(world)
    world.now += timedelta(minutes=1)
    if first == "edited":
        world.crm.edit(ref, location="Hall")
    (held,) = world.calendars["ann"].records.values()
    for _ in range(between if first == "edited" else 0):
        world.sync()
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove(held.ref)
    world.calendars["bob"].put("e2", "event", held.fields, uid="hers")
    if first == "dragged":
        for _ in range(between):
            world.sync()
        world.crm.edit(ref, location="Hall")
    for _ in range(3):
        settled(world)
        assert world.items("ann") == []
        assert [i["location"] for i in world.items("bob")] == ["Hall"]
        assert [a["status"] for a in world.activities] == ["open"]
        world.now += timedelta(days=1)
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("made", ["calendar", "crm"])
@pytest.mark.parametrize("series", [False, True])
def test_whoever_takes_part_may_decline_while_its_owner_deletes_it(
    order: tuple[str, ...], made: str, series: bool
) -> None:
    """What others answer is no edit that would beat the deletion."""
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    if made == "calendar":
        world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    else:
        world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people("ann", "bob"))
    settled(world)
    world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    for name in order:
        (held,) = world.calendars[name].records
        world.calendars[name].remove(held)
    settled(world)
    assert [world.items(n) for n in order] == [[], []]
    assert [a["status"] for a in world.activities] == ["rejected"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("between", [0, 1, 4])
@pytest.mark.parametrize("made", ["crm", "ann", "handed over"])
@pytest.mark.parametrize("series", [False, True])
def test_what_the_crm_deletes_goes_everywhere_though_somebody_has_made_his_private(
    order: tuple[str, ...], between: int, made: str, series: bool
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people("ann", "bob"))
    else:
        world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    settled(world)
    ref = only(world)
    if made == "ann":
        world.crm.edit(ref, participants=people("ann", "bob"))
    elif made == "handed over":
        hand_over(world, ref, "bob")
    settled(world)
    assert [len(world.items(n)) for n in order] == [1, 1]
    world.now += timedelta(minutes=1)
    who = "ann" if made == "handed over" else "bob"
    (held,) = world.calendars[who].records
    world.calendars[who].edit(held, sensitivity="private")
    for _ in range(between):
        world.sync()
    world.crm.remove(ref)
    settled(world)
    world.now += timedelta(days=2)
    settled(world)
    assert world.activities == []
    assert {n: [i["sensitivity"] for i in world.items(n)] for n in order if n != who} == {
        n: [] for n in order if n != who
    }
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("field", ["subject", "location"])
@pytest.mark.parametrize("between", [0, 1])
def test_what_is_typed_in_the_crm_stays_though_the_former_owner_makes_hers_private(
    order: tuple[str, ...], field: str, between: int
) -> None:
    """It has been handed over: whatever the CRM's people type is no word of her entry."""
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit", location="Zoo")
    settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    settled(world)
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, **{field: "Typed"})
    (held,) = world.calendars["ann"].records
    for _ in range(between):
        world.sync()
    world.calendars["ann"].edit(held, sensitivity="private")
    settled(world)
    assert [a[field] for a in world.activities] == ["Typed"]
    assert [i["summary" if field == "subject" else field] for i in world.items("bob")] == ["Typed"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("taking_part", [(), ("ann", "bob")])
@pytest.mark.parametrize("who", ["bob", "both", "both, one by one", "bob and the CRM edits"])
def test_whoever_answers_for_it_now_ends_it_though_the_former_owner_has_it_still(
    order: tuple[str, ...], series: bool, taking_part: tuple[str, ...], who: str
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    settled(world)
    if taking_part:
        world.crm.edit(ref, participants=people(*taking_part))
        settled(world)
    for name in ("ann", "bob") if "both" in who else ("bob",):
        world.now += timedelta(minutes=1)
        (held,) = world.calendars[name].records
        world.calendars[name].remove(held)
        if "one by one" in who:
            settled(world)
    if "edits" in who:
        world.crm.edit(ref, location="Hall")
    settled(world)
    world.now += timedelta(days=1)
    settled(world)
    ended = "edits" not in who
    assert [a["status"] for a in world.activities] == ["rejected" if ended else "open"]
    assert [i["location"] for i in world.items("bob")] == ([] if ended else ["Hall"])
    world.quiet()


# -- dragged to somebody who has had a copy before ---------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("before", ["handed over and back", "took part", "took part and declined"])
@pytest.mark.parametrize("then", ["nothing", "edited", "his is gone"])
def test_what_is_dragged_to_a_colleague_who_once_had_a_copy_stands_there_alone(
    order: tuple[str, ...], before: str, then: str
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    ref = only(world)
    if before == "handed over and back":
        for name in ("bob", "ann"):
            hand_over(world, ref, name)
            settled(world)
            assert len(world.items("bob")) == (name == "bob")
    else:
        world.crm.edit(ref, participants=people("ann", "bob"))
        settled(world)
        (copy,) = world.calendars["bob"].records
        if before == "took part and declined":
            world.calendars["bob"].remove(copy)
            settled(world)
        world.crm.edit(ref, participants=people())
        settled(world)
        assert world.items("bob") == []
    drag(world, "ann", "bob")
    if then == "edited":
        world.crm.edit(ref, location="Hall")
    elif then == "his is gone":
        world.calendars["bob"].remove(next(iter(world.calendars["bob"].records)))
    settled(world)
    world.now += timedelta(days=1)
    settled(world)
    assert world.items("ann") == []
    shown = {"nothing": [""], "edited": ["Hall"], "his is gone": []}[then]
    assert [i.get("location", "") for i in world.items("bob")] == shown
    assert [a["status"] for a in world.activities] == ["rejected" if then == "his is gone" else "open"]
    world.quiet()


# -- a calendar that arrives in parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [6, 12, 30])
@pytest.mark.parametrize("parts", [(0.0, 0.5), (0.5,), (0.2, 0.5, 0.9), (0.9,)])
def test_what_was_deleted_while_a_calendar_arrived_in_parts_holds_nothing_up(
    number: int, parts: tuple[float, ...]
) -> None:
    world = busy(number)
    before = [dict(world.calendars["ann"].records[f"e{n}"].fields) for n in range(number)]
    readdressed(world, number, number)  # all is gone
    arrived = 1  # the first was really deleted
    for part in (*parts, 1.0):
        for n in range(arrived, max(arrived, round(number * part))):
            world.calendars["ann"].put(f"new{n}", "event", before[n], uid=f"u{n}")
        arrived = max(arrived, round(number * part))
        world.sync(full=part == parts[0])
        settled(world, 2)
        gone = {a["subject"] for a in world.activities if a["status"] != "open"}
        assert gone <= {"Mine 0"}
    for _ in range(2):
        world.sync(full=True)
    assert [r.held for r in world.sync(full=True)] == [0]
    world.calendars["ann"].remove(f"new{number - 1}")
    settled(world)
    assert [r.held for r in world.sync(full=True)] == [0]
    gone = {a["subject"] for a in world.activities if a["status"] != "open"}
    assert gone == {"Mine 0", f"Mine {number - 1}"}


@pytest.mark.parametrize("few", [1, 2])
def test_a_few_new_entries_do_not_make_another_calendar_the_same(few: int) -> None:
    world = busy(12)
    readdressed(world, 12, 12)
    world.sync(full=True)
    for n in range(40):
        world.event("ann", f"x{n}", uid=f"x{n}", summary=f"Other {n}", time=span(MON + n * timedelta(hours=3)))
        if n % few == 0:
            world.sync()
    settled(world)
    assert [r.held for r in world.sync(full=True)] == [12]
    assert {a["status"] for a in world.activities} == {"open"}


# -- the people of a copy ----------------------------------------------------------------------------------------------


def named(world: World, who: str) -> list[str]:
    """Whom the list in the copy's description names."""
    (item,) = world.items(who)
    return [n for n in ("ann", "bob", "eve") if f"{n}@" in str(item["description"])]


@pytest.mark.parametrize("notes", ["", "Bring the plans"])
def test_the_list_of_a_copy_names_whoever_takes_part_now(notes: str) -> None:
    world = World("ann", "bob")
    ref = world.appointment("a1", "ann", notes=notes, participants=people("ann", "bob", "eve"))
    settled(world)
    assert named(world, "ann") == named(world, "bob") == ["ann", "bob", "eve"]
    for names in (("ann", "eve"), ("ann",), ("ann", "bob"), ("ann", "bob", "eve")):
        world.now += timedelta(minutes=1)
        world.crm.edit(ref, participants=people(*names))
        settled(world)
        assert named(world, "ann") == list(names)
        assert [named(world, "bob") for _ in world.items("bob")] == [list(names)] * ("bob" in names)
        assert notes in str(world.items("ann")[0]["description"])
        world.quiet()
    assert world.activities[0]["notes"] == notes


# -- private, opened, and private again --------------------------------------------------------------------------------


def told(world: World) -> str:
    """All that the CRM and Bob's calendar say."""
    fields = [*world.activities, *world.items("bob")]
    return f"{fields}{dict(world.crm.history)}"


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("meanwhile", ["nothing", "renamed", "his words"])
@pytest.mark.parametrize("full", [False, True])
def test_what_was_handed_over_is_taken_back_each_time_it_becomes_private(
    order: tuple[str, ...], series: bool, meanwhile: str, full: bool
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Surgery", description="Knee", recurrence=weekly)
    settled(world)
    hand_over(world, only(world), "bob")
    settled(world)
    (held,) = world.calendars["ann"].records
    for number in range(3):
        world.now += timedelta(minutes=1)
        world.calendars["ann"].edit(held, sensitivity="private")
        settled(world)
        world.sync(full=full)
        assert len(world.items("bob")) == 1
        assert not {"Surgery", "Knee"} & {w for w in ("Surgery", "Knee") if w in told(world)}, number
        world.now += timedelta(minutes=1)
        world.calendars["ann"].edit(held, sensitivity="public")
        settled(world)
        assert "Knee" in told(world)
        if meanwhile == "renamed":
            world.calendars["ann"].edit(held, summary="Surgery again")
        elif meanwhile == "his words":
            (his,) = world.calendars["bob"].records
            world.calendars["bob"].edit(his, summary=f"Talk {number}")
        settled(world)
    if meanwhile == "his words":
        assert [a["subject"] for a in world.activities] == ["Talk 2"]


# -- what is left of what became private -------------------------------------------------------------------------------


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("added", ["people", "a title"])
@pytest.mark.parametrize("lost", ["all", "older"])
@pytest.mark.parametrize("opened", ["", "meanwhile", "later"])
def test_a_leftover_is_known_by_a_store_that_is_lost(series: bool, added: str, lost: str, opened: str) -> None:
    """It is private, but not by the CRM's word: the entry goes on being withheld, and is as it was."""
    world = World("ann", "bob")
    backup = world.store.copy()
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Surgery", description="Knee", recurrence=weekly)
    settled(world)
    ref = only(world)
    if added == "people":
        world.crm.edit(ref, participants=people("ann", "bob"))
        settled(world)
    world.now += timedelta(minutes=1)
    (held,) = world.calendars["ann"].records
    world.calendars["ann"].edit(held, sensitivity="private")
    if added == "a title":
        world.crm.edit(ref, subject="Typed")
    settled(world)
    (left,) = world.activities
    assert left["private"] and "Surgery" not in told(world)
    before = dict(world.calendars["ann"].records[held].fields)
    world.store = backup if lost == "older" else new_store(lambda moment: world.watch(moment))
    if opened == "meanwhile":
        world.calendars["ann"].edit(held, sensitivity="public")
    settled(world)
    if opened == "later":
        assert world.calendars["ann"].records[held].fields == before
        assert [a["private"] for a in world.activities] == [True] and "Surgery" not in told(world)
        world.calendars["ann"].edit(held, sensitivity="public")
        settled(world)
    world.sync(full=True)
    settled(world)
    entry = world.calendars["ann"].records[held].fields
    assert entry["time"] == before["time"] and entry["recurrence"] == before["recurrence"]
    (now,) = world.activities
    assert (now["private"], now["time"] == before["time"]) == (not opened, bool(opened))
    assert entry["sensitivity"] == ("public" if opened else "private")
    assert (("Knee" in told(world)) is bool(opened)) and [len(world.items(n)) for n in ("ann", "bob")] == [
        1,
        bool(opened) and added == "people",
    ]
    world.quiet()


@pytest.mark.parametrize("lost", ["all", "older"])
def test_what_the_crm_has_added_to_a_leftover_stays_when_the_store_is_lost(lost: str) -> None:
    world = World("ann")
    backup = world.store.copy()
    world.event("ann", uid="hers", summary="Surgery")
    settled(world)
    (held,) = world.calendars["ann"].records
    world.crm.edit(only(world), location="Hall")
    world.calendars["ann"].edit(held, sensitivity="private")
    settled(world)
    assert [a["location"] for a in world.activities] == ["Hall"] and "Surgery" not in str(world.activities)
    world.store = backup if lost == "older" else new_store(lambda moment: world.watch(moment))
    settled(world)
    world.sync(full=True)
    assert [a["location"] for a in world.activities] == ["Hall"] and "Surgery" not in str(world.activities)
    assert world.calendars["ann"].records[held].fields["sensitivity"] == "private"
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("cid", "bob", "ann")])
@pytest.mark.parametrize("whom", [("cid",), ("ann", "cid"), ("ann", "bob", "cid")])
def test_a_leftover_of_what_was_dragged_to_a_colleague_comes_back_with_it(
    order: tuple[str, ...], whom: tuple[str, ...]
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Talk")
    settled(world)
    ref = only(world)
    drag(world, "ann", "bob")
    world.crm.edit(ref, participants=people(*whom))
    settled(world)
    (his,) = world.calendars["bob"].records
    had = {n: len(world.items(n)) for n in order}
    world.calendars["bob"].edit(his, sensitivity="private")
    settled(world)
    assert {n: len(world.items(n)) for n in order} == {"ann": 0, "bob": 1, "cid": 0}
    world.calendars["bob"].edit(his, sensitivity="public")
    settled(world)
    world.sync(full=True)
    assert {n: len(world.items(n)) for n in order} == had
    assert [(a["subject"], a["private"]) for a in world.activities] == [("Talk", False)]
    assert {i["summary"] for n in order for i in world.items(n)} == {"Talk"}
    world.quiet()


# -- what was made in the CRM and is dragged to a colleague ------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("bob", "ann", "cid"), ("cid", "bob", "ann")])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("with_cid", [False, True])
@pytest.mark.parametrize("edited", ["", "before", "before, and crossed", "after, at once", "after"])
def test_a_copy_that_is_dragged_to_a_colleague_takes_its_activity_along(
    order: tuple[str, ...], series: bool, with_cid: bool, edited: str
) -> None:
    """As an entry that was made in the calendar does: he alone has it, and nothing is called off."""
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    whom = people("cid") if with_cid else people()
    ref = world.appointment("a1", "ann", subject="Visit", notes="Bring it", recurrence=weekly, participants=whom)
    settled(world)
    world.now += timedelta(minutes=1)
    if edited.startswith("before"):
        world.crm.edit(ref, location="Hall")
    if edited == "before, and crossed":
        settled(world)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove(held.ref)
    world.calendars["bob"].put("dragged", "event", held.fields, uid=held.uid)
    if edited == "after, at once":
        world.crm.edit(ref, location="Hall")
    settled(world)
    if edited == "after":
        world.crm.edit(ref, location="Hall")
    settled(world)
    world.now += timedelta(days=1)
    settled(world)
    assert [(a["status"], a.get("location", "")) for a in world.activities] == [("open", "Hall" if edited else "")]
    assert {n: len(world.items(n)) for n in order} == {"ann": 0, "bob": 1, "cid": int(with_cid)}
    assert {i.get("location", "") for n in order for i in world.items(n)} == {"Hall" if edited else ""}
    world.now += timedelta(minutes=1)
    world.calendars["bob"].edit("dragged", time=span(MON + timedelta(hours=7)))
    settled(world)
    assert [a["time"] for a in world.activities] == [span(MON + timedelta(hours=7))]
    assert (world.activities[0]["notes"], world.activities[0]["participants"]) == ("Bring it", whom)
    world.calendars["bob"].remove("dragged")
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    assert world.items("ann") == world.items("bob") == []
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("then", ["back", "handed over", "handed to her"])
def test_a_copy_that_was_dragged_to_a_colleague_is_like_any_other_entry(order: tuple[str, ...], then: str) -> None:
    world = World(*order)
    ref = world.appointment("a1", "ann", subject="Visit")
    settled(world)
    drag(world, "ann", "bob")
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    if then == "back":
        drag(world, "bob", "ann")
    else:
        hand_over(world, ref, "bob")
        settled(world)
        if then == "handed to her":
            hand_over(world, ref, "ann")
    settled(world)
    wanted = {"back": [1, 0], "handed over": [0, 1], "handed to her": [1, 1]}
    assert [len(world.items(n)) for n in ("ann", "bob")] == wanted[then]
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_a_copy_that_stands_in_a_colleagues_calendar_as_well_is_still_hers(order: tuple[str, ...]) -> None:
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit")
    settled(world)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["bob"].put("copied", "event", held.fields, uid=held.uid)
    for _ in range(3):
        settled(world)
        world.now += timedelta(days=1)
    assert [len(world.items(n)) for n in ("ann", "bob")] == [1, 1]
    world.calendars["ann"].remove(held.ref)
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]


# -- a copy that was edited in the interval in which it is nobody's here any more --------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("first", ["edited", "handed over"])
@pytest.mark.parametrize("field", ["time", "location", "description"])
@pytest.mark.parametrize("how", ["handed over", "taken out"])
def test_what_is_edited_while_it_is_handed_over_crosses_and_goes(
    order: tuple[str, ...], first: str, field: str, how: str
) -> None:
    """Field by field, as if it had been edited a little earlier."""
    world = World(*order)
    who, other = ("ann", "bob") if how == "handed over" else ("bob", "ann")
    ref = world.appointment("a1", "ann", participants=people("ann", "bob") if how == "taken out" else people())
    settled(world)
    (held,) = world.calendars[who].records
    value = span(MON + timedelta(hours=6)) if field == "time" else "Typed"

    def edited() -> None:
        world.calendars[who].edit(held, **{field: value})

    def handed() -> None:
        if how == "handed over":
            hand_over(world, ref, "bob")
        else:
            world.crm.edit(ref, participants=people("ann"))

    for act in (edited, handed) if first == "edited" else (handed, edited):
        world.now += timedelta(minutes=1)
        act()
    settled(world)
    world.now += timedelta(days=1)
    settled(world)
    assert world.items(who) == []
    (item,) = world.items(other)
    (activity,) = world.activities
    assert activity["notes" if field == "description" else field] == value
    assert item[field] == value or str(item[field]).startswith(str(value))
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_what_is_done_while_it_is_handed_over_is_done(order: tuple[str, ...]) -> None:
    world = World(*order, lens=load(shipped()["tasks"]))
    world.crm.put("t1", "task", {"subject": "Call", "due": MON, "status": "open"}, owner="ann@us.example")
    settled(world)
    (held,) = world.calendars["ann"].records
    world.calendars["ann"].edit(held, status="completed", completion=100)
    hand_over(world, "t1", "bob")
    settled(world)
    assert [a["status"] for a in world.activities] == ["completed"]
    assert world.items("ann") == []
    assert [i["status"] for i in world.items("bob")] in ([], ["completed"])


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("who", ["crm", "ann"])
def test_what_was_typed_into_a_date_that_is_taken_out_is_in_the_history(order: tuple[str, ...], who: str) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit", recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    settled(world)
    ref = only(world)
    world.crm.edit(ref, participants=people("ann", "bob"))
    settled(world)
    key = moment_key(MON + timedelta(days=7))
    (his,) = world.calendars["bob"].records.values()
    (hers,) = world.calendars["ann"].records.values()
    words = MappingProxyType({key: MappingProxyType({"summary": "Typed by him"})})
    world.calendars["bob"].edit(his.ref, recurrence=replace(his.fields["recurrence"], overrides=words))
    if who == "crm":
        held = world.crm.records[ref].fields["recurrence"]
        world.crm.edit(ref, recurrence=replace(held, exdates=frozenset({key})))
    else:
        world.calendars["ann"].edit(hers.ref, recurrence=replace(hers.fields["recurrence"], exdates=frozenset({key})))
    settled(world)
    for name in order:
        assert [key in str(i) or "Typed by him" in str(i) for i in world.items(name)] == [True]
    assert "Typed by him" in f"{world.activities}{dict(world.crm.history)}"
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_what_was_dragged_to_a_colleague_is_not_called_off_by_the_copy_of_who_gave_it(order: tuple[str, ...]) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    world.crm.edit(only(world), participants=people("ann"))
    settled(world)
    drag(world, "ann", "bob")
    world.crm.edit(only(world), location="Hall")
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob")] == [1, 1]
    (copy,) = world.calendars["ann"].records
    world.calendars["ann"].remove(copy)
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    world.quiet()


EACH = [
    ("ann", "bob", "cid"),
    ("ann", "cid", "bob"),
    ("bob", "ann", "cid"),
    ("cid", "ann", "bob"),
    ("cid", "bob", "ann"),
]


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("then", ["", "back to him", "back to her", "handed over", "handed over and ended", "deleted"])
def test_what_was_dragged_to_a_colleague_may_be_dragged_on(
    order: tuple[str, ...], made: str, series: bool, then: str
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", recurrence=weekly)
    else:
        world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    settled(world)
    drag(world, "ann", "bob")
    world.now += timedelta(hours=3)
    if then.startswith("handed over"):
        hand_over(world, only(world), "cid")
        settled(world)
        assert {n: len(world.items(n)) for n in order} == {"ann": 0, "bob": 1, "cid": 1}
        if then == "handed over and ended":
            world.calendars["cid"].remove(next(iter(world.calendars["cid"].records)))
            settled(world)
        assert [a["status"] for a in world.activities] == ["rejected" if "ended" in then else "open"]
        world.quiet()
        return
    drag(world, "bob", "cid")
    last = {"back to him": "bob", "back to her": "ann"}.get(then, "cid")
    if last != "cid":
        drag(world, "cid", last)
    if then == "deleted":
        world.calendars["cid"].remove(next(iter(world.calendars["cid"].records)))
    settled(world)
    world.now += timedelta(hours=3)
    settled(world)
    held = "" if then == "deleted" else last
    assert {n: len(world.items(n)) for n in order} == {n: int(n == held) for n in order}
    assert [a["status"] for a in world.activities] == ["open" if held else "rejected"]
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
def test_the_copy_of_a_participant_that_is_dragged_on_is_left_where_it_is(order: tuple[str, ...], made: str) -> None:
    """Who merely takes part has nothing to give; but nobody deletes what a person has put there."""
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", participants=people("ann", "bob"))
    else:
        world.event("ann", uid="hers", summary="Visit")
        settled(world)
        world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    drag(world, "bob", "cid")
    settled(world)
    world.sync(full=True)
    world.crm.edit(only(world), location="Hall")
    settled(world)
    assert {n: len(world.items(n)) for n in order} == {"ann": 1, "bob": 0, "cid": 1}
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("made", ["crm", "calendar"])
def test_what_was_dragged_to_a_colleague_and_is_private_there_stays_there(order: tuple[str, ...], made: str) -> None:
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit")
    else:
        world.event("ann", uid="hers", summary="Visit")
    settled(world)
    drag(world, "ann", "bob")
    world.now += timedelta(minutes=1)
    (held,) = world.calendars["bob"].records
    world.calendars["bob"].edit(held, sensitivity="private")
    settled(world)
    if made == "crm":
        world.crm.edit(only(world), location="Hall")
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    world.calendars["bob"].edit(held, sensitivity="public")
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Visit", "open")]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("had", ["taking part", "taking part, declined", "handed over and back", "taken out again", ""])
@pytest.mark.parametrize("series", [False, True])
def test_a_private_entry_that_is_dragged_to_who_once_had_a_copy_is_his(
    order: tuple[str, ...], had: str, series: bool
) -> None:
    """Nobody deletes it when he opens it."""
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Visit", description="Words", recurrence=weekly)
    settled(world)
    ref = only(world)
    if had.startswith("tak"):
        world.crm.edit(ref, participants=people("ann", "bob"))
        settled(world)
    if had == "taking part, declined":
        world.calendars["bob"].remove(next(iter(world.calendars["bob"].records)))
    elif had == "taken out again":
        world.crm.edit(ref, participants=people("ann"))
    elif had:
        for name in ("bob", "ann") if had.startswith("handed") else ():
            hand_over(world, ref, name)
            settled(world)
    settled(world)
    (held,) = world.calendars["ann"].records
    world.calendars["ann"].edit(held, sensitivity="private")
    settled(world)
    assert world.items("bob") == [] and "Words" not in told(world)
    drag(world, "ann", "bob")
    world.now += timedelta(minutes=1)
    assert [i["sensitivity"] for i in world.items("bob")] == ["private"]
    assert "Words" not in f"{world.activities}{dict(world.crm.history)}{world.items('ann')}"
    (his,) = world.calendars["bob"].records
    world.calendars["bob"].edit(his, sensitivity="public")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert [(i["summary"], str(i["description"])[:5]) for i in world.items("bob")] == [("Visit", "Words")]
    assert [(a["subject"], a["notes"], a["status"]) for a in world.activities] == [("Visit", "Words", "open")]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("made", ["crm", "calendar"])
def test_what_is_dragged_to_who_has_declined_is_his_all_the_same(order: tuple[str, ...], made: str) -> None:
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", participants=people("bob"))
    else:
        world.event("ann", uid="hers", summary="Visit")
        settled(world)
        world.crm.edit(only(world), participants=people("bob"))
    settled(world)
    world.calendars["bob"].remove(next(iter(world.calendars["bob"].records)))
    settled(world)
    drag(world, "ann", "bob")
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("change", ["time", "subject", "rejected", "deleted by its owner"])
def test_a_copy_that_was_private_for_a_while_undoes_nothing(order: tuple[str, ...], made: str, change: str) -> None:
    """What it says when its employee opens it is old; whoever answers for the meeting has gone on."""
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", location="Zoo", participants=people("ann", "bob"))
    else:
        world.event("ann", uid="hers", summary="Visit", location="Zoo")
        settled(world)
        world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    ref = only(world)
    (his,) = world.calendars["bob"].records
    world.calendars["bob"].edit(his, sensitivity="private")
    settled(world)
    world.now += timedelta(hours=1)
    later = span(MON + timedelta(hours=5))
    if change == "deleted by its owner":
        world.calendars["ann"].remove(next(iter(world.calendars["ann"].records)))
    elif change == "rejected":
        world.crm.edit(ref, status="rejected")
    else:
        world.crm.edit(ref, **{change: later if change == "time" else "Renamed"})
    settled(world)
    world.now += timedelta(days=1)
    world.calendars["bob"].edit(his, sensitivity="public")
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    ended = change in ("rejected", "deleted by its owner")
    assert activity["status"] == ("rejected" if ended else "open")
    assert (activity["time"], activity["subject"]) == (
        later if change == "time" else span(),
        "Renamed" if change == "subject" else "Visit",
    )
    if not ended:
        assert {(str(i["summary"]), i["time"] == activity["time"]) for n in order for i in world.items(n)} == {
            (str(activity["subject"]), True)
        }
        assert [len(world.items(n)) for n in order] == [1, 1]
    if change == "deleted by its owner":
        assert world.items("ann") == []
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize(
    "way", [("bob", "ann", "bob"), ("bob", "ann", "cid"), ("bob", "hand bob", "cid"), ("bob", "ann")]
)
def test_whatever_way_it_is_dragged_who_has_it_last_has_it(
    order: tuple[str, ...], made: str, way: tuple[str, ...]
) -> None:
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit")
    else:
        world.event("ann", uid="hers", summary="Visit")
    settled(world)
    where, owner = "ann", "ann"
    for step in way:
        world.now += timedelta(hours=1)
        if step.startswith("hand"):
            owner = step.split()[1]
            hand_over(world, only(world), owner)
            settled(world)
        else:
            drag(world, where, step)
            where = step
        settled(world)
        assert [a["status"] for a in world.activities] == ["open"], step
        assert len(world.items(where)) == 1, step
    world.now += timedelta(minutes=1)
    (held,) = world.calendars[where].records
    world.calendars[where].edit(held, time=span(MON + timedelta(hours=6)))
    settled(world)
    assert [a["time"] for a in world.activities] == [span(MON + timedelta(hours=6))]
    assert {n: len(world.items(n)) for n in order} == {n: int(n == where) for n in order}
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("whom", [(), ("cid",), ("ann", "bob", "cid")])
def test_what_is_dragged_to_a_colleague_and_made_private_at_once_is_taken_back(
    order: tuple[str, ...], whom: tuple[str, ...]
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    if whom:
        world.crm.edit(only(world), participants=people(*whom))
        settled(world)
    world.now += timedelta(minutes=1)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].edit(held.ref, description="Surgery")
    settled(world)
    world.now += timedelta(minutes=1)
    (held,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove(held.ref)
    world.calendars["bob"].put("e2", "event", {**held.fields, "sensitivity": "private"}, uid=held.uid)
    settled(world, 4)
    world.sync(full=True)
    settled(world)
    seen = f"{world.activities}{dict(world.crm.history)}{world.items('ann')}{world.items('cid')}"
    assert "Surgery" not in seen
    assert "e2" in world.calendars["bob"].records


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("change", ["time", "subject", "location", "emptied", "rejected", "by a colleague"])
@pytest.mark.parametrize("typed", ["", "notes"])
def test_a_copy_that_was_private_for_a_while_takes_what_the_others_have_changed_meanwhile(
    order: tuple[str, ...], who: str, named: bool, change: str, typed: str
) -> None:
    """Of each field the word that was said last: whoever answers for it had the mark on it, or a colleague."""
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit", location="Zoo", notes="Words", participants=people("ann", "bob"))
    settled(world)
    other = "bob" if who == "ann" else "ann"
    ref, (held,) = only(world), world.calendars[who].records
    if named:
        world.calendars[who].edit(held, location="Park")
        settled(world)
    world.now += timedelta(hours=1)
    world.calendars[who].edit(held, sensitivity="private")
    settled(world)
    world.now += timedelta(hours=1)
    later = span(MON + timedelta(hours=5))
    if change == "by a colleague":
        world.calendars[other].edit(next(iter(world.calendars[other].records)), time=later)
    elif change == "rejected":
        world.crm.edit(ref, status="rejected")
    else:
        said = {"time": later, "subject": "Renamed", "location": "Tower"}
        world.crm.edit(ref, **({"location": ""} if change == "emptied" else {change: said[change]}))
    settled(world)
    if typed:
        world.calendars[who].edit(held, description="Typed")
        settled(world)
    assert "Typed" not in f"{world.activities}{world.items(other)}{dict(world.crm.history)}"
    world.now += timedelta(days=1)
    world.calendars[who].edit(held, sensitivity="public")
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    assert activity["status"] == ("rejected" if change == "rejected" else "open")
    assert activity["time"] == (later if change in ("time", "by a colleague") else span())
    assert activity["subject"] == ("Renamed" if change == "subject" else "Visit")
    if change != "rejected":
        places = {"location": "Tower", "emptied": ""}
        assert (activity["location"] or "") == places.get(change, "Park" if named else "Zoo")
        assert activity["notes"] == ("Typed" if typed else "Words")
        assert {
            (i["summary"], i["time"], i["location"] or "", normal_text(str(i["description"])).split("\n")[0])
            for n in order for i in world.items(n)
        } == {(activity["subject"], activity["time"], activity["location"] or "", activity["notes"])}  # fmt: skip
        assert [len(world.items(n)) for n in order] == [1, 1]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("full", [False, True])
def test_what_the_crm_has_deleted_is_not_made_anew_of_a_copy_that_was_private(
    order: tuple[str, ...], who: str, full: bool
) -> None:
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit", participants=people("ann", "bob"))
    settled(world)
    (held,) = world.calendars[who].records
    world.calendars[who].edit(held, sensitivity="private")
    settled(world)
    world.crm.remove(only(world))
    settled(world)
    world.sync(full=full)
    world.now += timedelta(days=10)
    world.calendars[who].edit(held, sensitivity="public")
    settled(world)
    world.sync(full=full)
    assert world.activities == [] and [len(world.items(n)) for n in order] == [n == who for n in order]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("bob", "cid", "ann"), ("cid", "ann", "bob")])
@pytest.mark.parametrize("invited", [False, True])
@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("ended", ["deleted", "rejected"])
def test_of_a_file_that_a_colleague_imported_no_activity_is_made_when_the_crms_is_deleted(
    order: tuple[str, ...], invited: bool, edited: bool, ended: str
) -> None:
    """Ann forwards our copy to Bob, who does not take part: the same UID in his calendar."""
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit", participants=people("ann", *["cid"] * invited))
    settled(world)
    (hers,) = world.calendars["ann"].records.values()
    world.now += timedelta(minutes=1)
    world.calendars["bob"].put("imported", "event", dict(hers.fields), uid=hers.uid, owner=hers.owner)
    settled(world)
    world.now += timedelta(days=1)
    if edited:
        world.crm.edit(only(world), location="Zoo")
        settled(world)
    if ended == "deleted":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), status="rejected")
    settled(world)
    world.sync(full=True)
    assert [a["status"] for a in world.activities] == ["rejected"] * (ended == "rejected")
    assert [str(i["summary"]) for i in world.items("bob")] == ["Visit"]
    if ended == "deleted":
        assert world.items("ann") == world.items("cid") == []
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("then", ["", "opened", "moved by its owner", "moved by him", "moved in the CRM"])
def test_where_private_things_cross_too_what_a_participant_marks_private_is_his_copy_alone(
    order: tuple[str, ...], made: str, series: bool, then: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": "full"})
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people("bob", "cid"))
    else:
        world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
        settled(world)
        world.crm.edit(only(world), participants=people("bob", "cid"))
    settled(world)
    (his,), (hers,) = world.calendars["bob"].records, world.calendars["ann"].records
    world.calendars["bob"].edit(his, sensitivity="private")
    settled(world)
    later = span(MON + timedelta(hours=4))
    if then == "opened":
        world.calendars["bob"].edit(his, sensitivity="public")
    elif then == "moved in the CRM":
        world.crm.edit(only(world), time=later)
    elif then:
        world.calendars["bob" if then == "moved by him" else "ann"].edit(
            his if then == "moved by him" else hers, time=later
        )
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    assert (activity["private"], activity["time"]) == (False, later if then.startswith("moved") else span())
    assert [(i["time"], i["sensitivity"]) for n in ("ann", "bob", "cid") for i in world.items(n)] == [
        (activity["time"], "public"),
        (activity["time"], "public" if then == "opened" else "private"),
        (activity["time"], "public"),
    ]
    world.quiet()


def answers_of(activity: dict[str, object]) -> list[str]:
    found = activity["participants"]
    return [p.answer for p in found.values()] if isinstance(found, People) else []


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    "then", ["", "accepts", "deletes", "the CRM moves it", "she moves it", "she deletes hers", "both go"]
)
def test_whom_an_employee_invites_to_what_the_crm_has_made_takes_part_and_answers(
    order: tuple[str, ...], together: bool, then: str
) -> None:
    """The invitation has the UID of our copy; it is no copy of ours."""
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit")
    settled(world)
    ann, bob = world.calendars["ann"], world.calendars["bob"]
    (hers,) = ann.records
    ann.records[hers] = replace(ann.records[hers], owner="ann@us.example")
    ann.edit(hers, attendees=people("bob"))
    if not together:
        settled(world)
    shown = ann.records[hers]
    bob.put("inv", "event", dict(shown.fields), uid=shown.uid, owner="ann@us.example")
    settled(world)
    (activity,) = world.activities
    assert answers_of(activity) == ["needs-action"]
    later = span(MON + timedelta(hours=4))
    if then == "accepts":
        bob.edit("inv", attendees=People([Participant("bob@us.example", answer="accepted")]))
    elif then == "deletes":
        bob.remove("inv")
    elif then == "the CRM moves it":
        world.crm.edit(only(world), time=later)
    elif then == "she moves it":
        for replica, ref in ((ann, hers), (bob, "inv")):
            replica.edit(ref, time=later)
    elif then:  # a server that schedules takes Bob's along
        ann.remove(hers)
        if then == "both go":
            bob.remove("inv")
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    answers = {"accepts": "accepted", "deletes": "declined"}
    if then != "both go":
        assert answers_of(activity) == [answers.get(then, "needs-action")]
    ended = then in ("she deletes hers", "both go")
    assert activity["status"] == ("rejected" if ended else "open")
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [not ended, then not in ("deletes", "both go"), 0]
    if then == "the CRM moves it":  # the guests must be told first
        assert [i["time"] for n in ("ann", "bob") for i in world.items(n)] == [span(), span()]
    world.quiet()


@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("edited", ["his", "the CRM's"])
def test_each_time_that_a_copy_is_private_it_remembers_anew_what_the_crm_said(who: str, edited: str) -> None:
    world = World("ann", "bob")
    world.appointment("a1", "ann", subject="Visit", location="Zoo", participants=people("ann", "bob"))
    settled(world)
    (held,) = world.calendars[who].records
    for number in range(3):
        world.now += timedelta(hours=1)
        world.crm.edit(only(world), location=f"Room {number}")
        settled(world)
        world.calendars[who].edit(held, sensitivity="private")
        settled(world)
        world.now += timedelta(hours=1)
        if edited == "his":
            world.calendars[who].edit(held, location=f"Hall {number}")
        else:
            world.crm.edit(only(world), location=f"Hall {number}")
        settled(world)
        world.calendars[who].edit(held, sensitivity="public")
        settled(world)
        assert {str(i["location"]) for n in ("ann", "bob") for i in world.items(n)} == {f"Hall {number}"}
        assert [a["location"] for a in world.activities] == [f"Hall {number}"]
        with world.store.reading() as tx:
            row = tx.rows_by_ref("crm", [only(world)])[only(world)]
            assert all(SAID not in k.unconfirmed for k in tx.links_of_row(row.id))
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("edited", [False, True])
def test_what_was_taken_back_with_a_copy_that_became_private_comes_back_with_it(
    order: tuple[str, ...], shared: bool, edited: bool
) -> None:
    """The CRM has made it; she has named the place, and nobody else's calendar shows that while it is private."""
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit", participants=people("ann"))
    settled(world)
    (held,) = world.calendars["ann"].records
    world.calendars["ann"].edit(held, location="Clinic")
    settled(world)
    world.calendars["ann"].edit(held, sensitivity="private")
    settled(world)
    assert "Clinic" not in f"{world.activities}{dict(world.crm.history)}"
    if shared:
        world.crm.edit(only(world), participants=people("ann", "bob"))
        settled(world)
    if edited:
        world.crm.edit(only(world), subject="Renamed")
        settled(world)
    world.now += timedelta(days=1)
    world.calendars["ann"].edit(held, sensitivity="public")
    settled(world)
    assert [(a["subject"], a["location"]) for a in world.activities] == [("Renamed" if edited else "Visit", "Clinic")]
    assert [(i["summary"], i["location"]) for n in order for i in world.items(n)] == [
        ("Renamed" if edited else "Visit", "Clinic")
    ] * (2 if shared else 1)
    world.quiet()
