"""What a fresh mind found in a fifteenth trial, and what is of its kind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from syncd.model.people import People
from tests.unit.test_cases import only, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import World
from tests.unit.test_fourteenth_trial import CAL
from tests.unit.test_sixth_trial import hand_over
from tests.unit.test_thirteenth_trial import KIM, ORDERS, invited, meeting

PAIR = [("ann", "bob"), ("bob", "ann")]


def again(world: World) -> None:
    settled(world)
    world.sync(full=True)
    settled(world)


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("guests", ["wait", "quiet"])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("customer", [False, True])
@pytest.mark.parametrize("hidden", ["before", "with it", "after"])
@pytest.mark.parametrize("back", ["same", "new", "", "made public first"])
def test_what_a_guest_hides_writes_nothing_over_the_meeting_of_its_organiser(
    order: tuple[str, ...],
    policy: str,
    guests: str,
    weekly: bool,
    customer: bool,
    hidden: str,
    back: str,
    tmp_path: Path,
) -> None:
    """She deletes it, and has it out of the trash again; he has left his in the calendar."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy}, guests=guests)
    by = "ann@us.example"
    meeting(world, "ann", "bob", by=by, weekly=weekly)
    if customer:
        for name in order:
            world.calendars[name].edit(name, attendees=People([*invited("ann", "bob").values()]))
        settled(world)
    ann, bob = world.calendars["ann"], world.calendars["bob"]
    if hidden == "before":
        bob.edit("bob", sensitivity="private")
        settled(world)
    held = ann.records["ann"]
    ann.remove("ann")
    if hidden == "with it":
        bob.edit("bob", sensitivity="private")
    settled(world)
    if hidden == "after":
        bob.edit("bob", sensitivity="private")
        settled(world)
    if back == "made public first":
        bob.edit("bob", sensitivity="public")
        settled(world)
    if back:
        ann.bring_back(held, same_version=back == "same")
        again(world)
        assert [i["summary"] for i in world.items("ann")] == ["Visit"]
        assert [a["status"] for a in world.activities if a["subject"] == "Visit"] == ["open"]
        assert [a["subject"] for a in world.activities].count("Visit") == 1
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("by", [KIM, CAL, "ann@us.example", ""])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("then", ["", "public again", "back to her", "he moves it"])
def test_what_was_handed_over_stays_its_new_owners_whoever_had_organised_it(
    order: tuple[str, ...], policy: str, by: str, weekly: bool, then: str, tmp_path: Path
) -> None:
    """Ann's invitation becomes private once Bob, who is not invited, answers for it."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    if by:
        meeting(world, "ann", by=by, weekly=weekly)
    else:
        world.event("ann", "ann", uid="theirs", summary="Visit")
        settled(world)
    ref = only(world)
    hand_over(world, ref, "bob")
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    world.crm.edit(ref, notes="Bring the offer")
    settled(world)
    if then == "back to her":
        hand_over(world, ref, "ann")
        settled(world)
    world.calendars["ann"].edit("ann", sensitivity="private")
    again(world)
    if then == "back to her":
        assert policy == "full" or "Visit" not in str(world.activities) + str(world.items("bob"))
        return
    (activity,) = world.activities
    assert (activity["subject"], activity["notes"], activity["status"]) == ("", "Bring the offer", "open")
    assert activity["time"] is not None
    (his,) = world.items("bob")
    assert (his["summary"], his["description"], his["sensitivity"]) == ("", "Bring the offer", "public")
    if then == "public again":
        world.calendars["ann"].edit("ann", sensitivity="public")
        again(world)
        assert [a["subject"] for a in world.activities] == ["Visit"] and len(world.items("bob")) == 1
    elif then == "he moves it":
        (mine,) = world.calendars["bob"].records
        time = his["time"]
        moved = type(time)(time.start + timedelta(days=1), time.end + timedelta(days=1), time.zone)  # type: ignore
        world.calendars["bob"].edit(mine, time=moved)
        again(world)
        assert [a["time"] for a in world.activities] == [moved]
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by", [KIM, CAL])
@pytest.mark.parametrize("how", ["deleted", "private", "invited again"])
@pytest.mark.parametrize("names", [("ann", "bob"), ("ann", "bob", "cid")])
def test_a_cancelled_entry_of_whom_a_customer_took_out_never_begins_to_speak(
    order: tuple[str, ...], by: str, how: str, names: tuple[str, ...]
) -> None:
    world = World(*order)
    meeting(world, *names, by=by)
    rest = [n for n in names if n != "bob"]
    people = invited(*rest, by=by)
    world.calendars["bob"].edit("bob", status="cancelled", attendees=people)
    for name in rest:
        world.calendars[name].edit(name, attendees=people)
    settled(world)
    held = {n: world.calendars[n].records[n] for n in rest}
    for name in rest:
        if how == "private":
            world.calendars[name].edit(name, sensitivity="private")
        else:
            world.calendars[name].remove(name)
        settled(world)
    assert [a["status"] for a in world.activities if a["status"] == "rejected"] == []
    for name in rest:
        if how == "private":
            world.calendars[name].edit(name, sensitivity="public")
        elif how == "deleted":
            world.calendars[name].bring_back(held[name], same_version=False)
        else:
            world.event(name, "again", uid="theirs", summary="Visit", owner=by, attendees=people)
        settled(world)
    again(world)
    for name in rest:
        (ref,) = world.calendars[name].records
        world.calendars[name].edit(ref, location="Park")
    again(world)
    assert [(a["status"], a["location"]) for a in world.activities] == [("open", "Park")]
    world.calendars["bob"].remove("bob")
    again(world)
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("by", [KIM, CAL])
@pytest.mark.parametrize(("name", "value"), [("location", "Our canteen"), ("subject", "Pricing talk")])
@pytest.mark.parametrize("weekly", [False, True])
def test_what_somebody_typed_over_an_invitation_is_kept_when_that_is_private_for_a_while(
    passes: int, by: str, name: str, value: str, weekly: bool
) -> None:
    world = World("ann", "bob")
    meeting(world, "ann", by=by, weekly=weekly)
    world.calendars["ann"].edit("ann", location="Hall 3")
    settled(world)
    ref = only(world)
    world.crm.edit(ref, **{name: value})
    settled(world, passes)
    world.calendars["ann"].edit("ann", sensitivity="private")
    settled(world)
    (left,) = world.activities
    assert (left[name], left["private"]) == (value, True)
    assert "Hall 3" not in str(left) and "Visit" not in str(left)
    assert world.items("bob") == []
    world.calendars["ann"].edit("ann", sensitivity="public")
    again(world)
    assert [(a["subject"], a["location"], a["private"]) for a in world.activities] == [("Visit", "Hall 3", False)]
    assert [(n, t) for _, n, t in world.crm.history[ref]] == [(name, value)]
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["full", "withhold"])
@pytest.mark.parametrize("gone", ["", "ann", "cid"])
@pytest.mark.parametrize("how", ["declined", "taken out"])
@pytest.mark.parametrize("when", ["from the start", "later"])
def test_of_a_customers_meeting_a_public_invitation_speaks_before_a_private_one(
    order: tuple[str, ...], policy: str, gone: str, how: str, when: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", "cid", private="bob" if when == "from the start" else "")
    if when == "later":
        world.calendars["bob"].edit("bob", sensitivity="private")
        settled(world)
    rest = [n for n in ("ann", "bob", "cid") if n != gone]
    if gone:
        world.calendars[gone].remove(gone)
    if how == "taken out":
        for name in rest:
            world.calendars[name].edit(name, attendees=invited(*rest))
    settled(world)
    for name in rest:
        world.calendars[name].edit(name, location="Park")
    again(world)
    (activity,) = [a for a in world.activities if a["subject"] == "Visit"]
    assert activity["location"] == "Park"
    if policy == "withhold" or order[0] != "bob":  # else he answers for it, and his mark is everybody's
        assert activity["private"] is False
    world.quiet()
