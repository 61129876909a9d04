"""What a fresh mind found in a thirteenth trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import permutations
from pathlib import Path

import pytest

from syncd.mapping.loader import load, shipped
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.ports import Capabilities
from tests.memory import MemoryReplica
from tests.stores import new_store
from tests.unit.test_cases import only, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import World
from tests.unit.test_sixth_trial import hand_over
from tests.unit.test_twelfth_trial import add, takes_out

ORDERS = list(permutations(("ann", "bob", "cid")))
KIM = "kim@acme.example"


def invited(*names: str, by: str = KIM) -> People:
    """These of ours, and the customer."""
    return People([Participant(f"{n}@us.example") for n in names] + ([Participant(KIM)] if by == KIM else []))


def meeting(world: World, *names: str, by: str = KIM, private: str = "", weekly: bool = False) -> None:
    """One to which these are invited; each has it in the calendar."""
    for name in names:
        world.event(name, name, uid="theirs", summary="Visit", owner=by, attendees=invited(*names, by=by),
                    sensitivity="private" if name == private else "public",
                    recurrence=Recurrence("FREQ=WEEKLY;COUNT=4") if weekly else Recurrence())  # fmt: skip
    settled(world)


# Left: who answers for a customer's meeting, as his invitation was read first, does so when the customer takes him out,
# and has no entry of it, also where the CRM names him again.


def visits(world: World) -> list[str]:
    """The refs of the activities that say what the meeting is about."""
    return [ref for ref, held in world.crm.records.items() if held.fields["subject"] == "Visit"]


def wanted(world: World, name: str, then: str) -> None:
    """The CRM wants somebody to take part."""
    (ref,) = visits(world)
    if then == "added":
        now = world.crm.records[ref].fields["participants"]
        assert isinstance(now, People)
        kept = [p for p in now.values() if not p.address.startswith(name)]
        world.crm.edit(ref, participants=People([*kept, Participant(f"{name}@us.example")]))
    else:
        hand_over(world, ref, name)
    settled(world)
    world.sync(full=True)
    settled(world)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("hidden", ["from the start", "later"])
@pytest.mark.parametrize("then", ["added", "handed over"])
def test_whom_a_customer_took_out_has_a_copy_beside_somebodys_private_invitation(
    order: tuple[str, ...], policy: str, weekly: bool, hidden: str, then: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", "cid", private="ann" if hidden == "from the start" else "", weekly=weekly)
    if hidden == "later":
        world.calendars["ann"].edit("ann", sensitivity="private")
        settled(world)
    for name in ("ann", "bob"):
        world.calendars[name].edit(name, attendees=invited("ann", "bob"))
    settled(world)
    world.calendars["cid"].remove("cid")
    settled(world)
    answers = world.crm.records[visits(world)[0]].owner.startswith("cid")
    wanted(world, "cid", then)
    if answers:  # left: see above
        return
    assert [i["summary"] for i in world.items("cid")] == ["Visit"]
    assert len(visits(world)) == 1
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("by", ["bob@us.example", KIM])
@pytest.mark.parametrize("hidden", ["from the start", "later"])
@pytest.mark.parametrize("then", ["added", "handed over"])
def test_whose_private_invitation_was_withdrawn_has_a_copy_of_what_the_crm_wants_from_them(
    order: tuple[str, ...], policy: str, by: str, hidden: str, then: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", by=by, private="ann" if hidden == "from the start" else "")
    if hidden == "later":
        world.calendars["ann"].edit("ann", sensitivity="private")
        settled(world)
    world.calendars["bob"].edit("bob", attendees=invited("bob", by=by))
    world.calendars["ann"].remove("ann")
    settled(world)
    answers = world.crm.records[visits(world)[0]].owner.startswith("ann")
    wanted(world, "ann", then)
    if answers:  # left: see above
        return
    assert [i["summary"] for i in world.items("ann")] == ["Visit"]
    assert len(visits(world)) == 1
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("by", ["ann@us.example", KIM])
@pytest.mark.parametrize("who", ["who has a copy", "another"])
@pytest.mark.parametrize("then", ["", "hers is public again", "his is private too", "his is gone"])
def test_a_public_invitation_makes_its_activity_beside_what_is_left_of_a_private_one(
    order: tuple[str, ...], policy: str, by: str, who: str, then: str, tmp_path: Path
) -> None:
    """The CRM had added Bob to Ann's before it was private."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    name = "bob" if who == "who has a copy" else "cid"
    meeting(world, "ann", by=by)
    add(world, "bob")
    settled(world)
    world.calendars["ann"].edit("ann", sensitivity="private")
    settled(world)
    assert not any("Visit" in str(a) for a in world.activities)
    world.calendars["ann"].edit("ann", attendees=invited("ann", name, by=by))
    world.event(name, "inv", uid="theirs", summary="Visit", owner=by, attendees=invited("ann", name, by=by))
    settled(world)
    world.sync(full=True)
    shown = [a for a in world.activities if a["subject"] == "Visit"]
    assert [(a["status"], bool(a["private"]), a["time"] is None) for a in shown] == [("open", False, False)]
    world.calendars[name].edit("inv", location="Park")
    settled(world)
    assert [a["location"] for a in world.activities if a["subject"] == "Visit"] == ["Park"]
    if (policy, name) == ("busy-only", "bob"):  # left: his copy of what is hers goes on saying that she is busy
        return
    assert len(world.items(name)) == 1
    if then == "hers is public again":
        world.calendars["ann"].edit("ann", sensitivity="public", location="Park")
    elif then == "his is private too":
        world.calendars[name].edit("inv", sensitivity="private")
    elif then:
        world.calendars[name].remove("inv")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert len(world.items("ann")) == 1 and len(world.items(name)) == (then != "his is gone")
    found = [a["subject"] for a in world.activities]
    if then == "hers is public again":
        assert found.count("Visit") == 1
    elif then and (policy, by, then) != ("busy-only", KIM, "his is gone"):  # left: for a block no meeting is known
        assert "Visit" not in found and not any("Park" in str(a) for a in world.activities)
        assert not any("Visit" in str(words) for words in world.crm.history.values())
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by", ["ann@us.example", KIM])
@pytest.mark.parametrize("how", ["taken out", "invited meanwhile"])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("more", [False, True])
def test_a_lost_store_doubles_nothing_where_somebody_is_invited_whom_the_crm_does_not_list(
    order: tuple[str, ...], by: str, how: str, weekly: bool, more: bool
) -> None:
    """`more`: there is more than one that nobody knows, so many are looked at together."""
    world = World(*order)
    if how == "taken out":
        meeting(world, "ann", "bob", "cid", by=by, weekly=weekly)
        takes_out(world, "bob")
        settled(world)
    else:
        meeting(world, "ann", by=by, weekly=weekly)
        world.calendars["ann"].edit("ann", attendees=invited("ann", "bob", by=by))
        world.event("bob", "bob", uid="theirs", summary="Visit", owner=by, attendees=invited("ann", "bob", by=by),
                    recurrence=Recurrence("FREQ=WEEKLY;COUNT=4") if weekly else Recurrence())  # fmt: skip
    for number in range(3 if more else 0):
        world.event("bob", f"more{number}", summary=f"More {number}")
    world.store = new_store()
    settled(world)
    world.sync(full=True)
    settled(world)
    assert len([a for a in world.activities if a["subject"] == "Visit"]) == 1
    held = {n: len([i for i in world.items(n) if i["summary"] == "Visit"]) for n in ("ann", "bob", "cid")}
    assert held == {"ann": 1, "bob": 1, "cid": how == "taken out"}
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("others", [("ann", "cid"), ("ann",)])
@pytest.mark.parametrize("then", ["moved", "called off"])
def test_a_copy_that_is_deleted_ends_no_customers_meeting_whoever_answers_for_it(
    order: tuple[str, ...], weekly: bool, others: tuple[str, ...], then: str
) -> None:
    world = World(*order)
    meeting(world, *others, weekly=weekly)
    hand_over(world, only(world), "bob")
    settled(world)
    (his,) = world.calendars["bob"].records
    world.calendars["bob"].remove(his)
    settled(world)
    world.sync(full=True)
    assert [a["status"] for a in world.activities] == ["open"] and world.items("bob") == []
    for name in others:
        if then == "moved":
            world.calendars[name].edit(name, location="Park")
        else:
            world.calendars[name].edit(name, status="cancelled")
    settled(world)
    (activity,) = world.activities
    assert activity["location"] == "Park" if then == "moved" else activity["status"] == "rejected"
    assert world.items("bob") == [] and [len(world.items(n)) for n in others] == [1] * len(others)
    world.quiet()


# -- there is none any more --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["calendar", "crm"])
@pytest.mark.parametrize("left", ["none", "out"])
@pytest.mark.parametrize("other", [False, True])
def test_a_due_date_that_is_taken_away_is_taken_away_on_the_other_side(side: str, left: str, other: bool) -> None:
    """`other`: the other side has changed something else meanwhile."""
    world = World("ann")
    ann = world.calendars["ann"] = MemoryReplica("ann", Capabilities(frozenset({"todo"})), lambda: world.now)
    world.pairings = [replace(world.pairings[0], replica=ann, lens=load(shipped()["tasks"]))]
    task = {"summary": "Call", "status": "needs-action", "sensitivity": "public", "description": "Words"}
    ann.put("t", "todo", {**task, "due": date(2026, 12, 1)}, uid="u")
    world.quiet()
    (ref,) = world.crm.records
    assert world.activities[0]["due"] == date(2026, 12, 1)
    if other:
        (world.crm.edit(ref, subject="Ring") if side == "calendar" else ann.edit("t", summary="Ring"))
    if side == "crm":
        world.crm.edit(ref, due=None)
    elif left == "none":
        ann.edit("t", due=None)
    else:
        ann.put("t", "todo", {**task, "summary": "Call"}, uid="u")
    settled(world)
    world.sync(full=True)
    assert world.items("ann")[0].get("due") is None and world.activities[0]["due"] is None
    assert world.items("ann")[0]["summary"] == world.activities[0]["subject"] == ("Ring" if other else "Call")
    world.quiet()
    world.crm.edit(ref, due=date(2026, 12, 8))
    settled(world)
    assert world.items("ann")[0]["due"] == date(2026, 12, 8)
    world.quiet()
