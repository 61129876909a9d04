"""What a fresh mind found in a fourteenth trial, and what is of its kind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.model.people import People
from syncd.ports import Telling
from tests.stores import new_store
from tests.unit.test_cases import meeting as with_guests
from tests.unit.test_cases import only, two_calendars, waiting, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import World
from tests.unit.test_thirteenth_trial import KIM, ORDERS, invited, meeting, visits

CAL = "cal@us.example"  # a colleague whose calendar nobody reads


def shown(world: World) -> list[tuple[object, object]]:
    """Of each activity its subject and status."""
    return sorted((str(a["subject"]), str(a.get("status"))) for a in world.activities)


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("by", [KIM, CAL, "bob@us.example"])
@pytest.mark.parametrize("hidden", ["from the start", "later", "while it is gone"])
@pytest.mark.parametrize("back", ["out of the trash", "as it was", "invited again", "under another ref"])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("then", ["", "edited", "gone again", "his is public again"])
def test_a_public_invitation_that_comes_back_beside_a_private_one_is_in_the_crm_again(
    order: tuple[str, ...], policy: str, by: str, hidden: str, back: str, weekly: bool, then: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", by=by, private="bob" if hidden == "from the start" else "", weekly=weekly)
    ann, bob = world.calendars["ann"], world.calendars["bob"]
    if hidden == "later":
        bob.edit("bob", sensitivity="private")
        settled(world)
    assert len(visits(world)) == 1
    held = ann.records["ann"]
    ann.remove("ann")
    if hidden == "while it is gone":
        bob.edit("bob", sensitivity="private")
    if back == "invited again":
        bob.edit("bob", attendees=invited("bob", by=by))
    settled(world)
    if back == "invited again":
        bob.edit("bob", attendees=invited("ann", "bob", by=by))
    ref = "other" if back == "under another ref" else "ann"
    if back in ("invited again", "under another ref"):
        world.event("ann", ref, uid="theirs", summary="Visit", owner=by, attendees=invited("ann", "bob", by=by),
                    recurrence=held.fields["recurrence"])  # fmt: skip
    else:
        ann.bring_back(held, same_version=back == "as it was")
    settled(world)
    world.sync(full=True)
    if then == "edited":
        ann.edit(ref, location="Here")
        settled(world)
        assert [a["location"] for a in world.activities if a["subject"] == "Visit"] == ["Here"]
    elif then == "gone again":
        ann.remove(ref)
        settled(world)
        world.sync(full=True)
        assert policy == "busy-only" or "Visit" not in str(world.activities)  # left: beside a block of its own
        return
    elif then == "his is public again":
        bob.edit("bob", sensitivity="public")
        settled(world)
        world.sync(full=True)
    assert [line for line in shown(world) if line[0] != "Busy"] == [("Visit", "open")]
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by", [KIM, CAL])
@pytest.mark.parametrize("first", ["his", "theirs", "both"])
@pytest.mark.parametrize("lists", ["with her", "without her"])
@pytest.mark.parametrize("then", ["", "cleared away", "invited again", "all are off"])
def test_whom_a_customer_takes_out_by_a_cancellation_is_out_and_the_meeting_goes_on(
    order: tuple[str, ...], by: str, first: str, lists: str, then: str
) -> None:
    """Outlook cancels the entry of whoever is taken out, be the others told or not; `lists`: whom that one names."""
    world = World(*order)
    meeting(world, *order, by=by)
    one = order[0]  # whose copy was read first
    people = invited(*order[1:], by=by)

    def cancelled() -> None:
        mine = invited(*order, by=by) if lists == "with her" else people
        world.calendars[one].edit(one, status="cancelled", attendees=mine)

    if first in ("his", "both"):
        cancelled()
    if first == "his":
        settled(world)
    for name in order[1:]:
        world.calendars[name].edit(name, attendees=people)
    if first == "theirs":
        settled(world)
        cancelled()
    settled(world)
    if then == "cleared away":
        world.calendars[one].remove(one)
    elif then == "invited again":
        for name in order:
            world.calendars[name].edit(name, status="confirmed", attendees=invited(*order, by=by))
    elif then == "all are off":
        for name in order[1:]:
            world.calendars[name].edit(name, status="cancelled")
    settled(world)
    world.sync(full=True)
    world.quiet()
    (activity,) = world.activities
    told = activity["participants"]
    assert isinstance(told, People)
    assert activity["status"] == ("rejected" if then == "all are off" else "open")
    if then == "all are off":
        return
    named = {p.address.partition("@")[0] for p in told.values() if p.address.endswith("us.example")} - {"cal"}
    assert named == {*order} if then == "invited again" else named == {*order[1:]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("by", [KIM, CAL])
@pytest.mark.parametrize("hidden", ["from the start", "later"])
@pytest.mark.parametrize("gone", [("ann", "cid"), ("cid", "ann")])
@pytest.mark.parametrize("back", [("ann", "cid"), ("cid", "ann"), ("cid",)])
def test_two_public_invitations_that_come_back_beside_a_private_one_are_one_meeting(
    order: tuple[str, ...],
    policy: str,
    by: str,
    hidden: str,
    gone: tuple[str, ...],
    back: tuple[str, ...],
    tmp_path: Path,
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", "cid", by=by, private="bob" if hidden == "from the start" else "")
    if hidden == "later":
        world.calendars["bob"].edit("bob", sensitivity="private")
        settled(world)
    held = {name: world.calendars[name].records[name] for name in gone}
    for name in gone:
        world.calendars[name].remove(name)
        settled(world)
    for name in back:
        world.calendars[name].bring_back(held[name], same_version=False)
        settled(world)
    world.sync(full=True)
    assert [line for line in shown(world) if line[0] != "Busy"] == [("Visit", "open")]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("policy", ["full", "withhold"])
@pytest.mark.parametrize("by", [KIM, "ann@us.example"])
def test_a_lost_store_doubles_nothing_that_the_crm_keeps_to_whoever_answers_for_it(
    order: tuple[str, ...], policy: str, by: str, tmp_path: Path
) -> None:
    """Bob was invited just before the store was lost, and the CRM knows nothing of that."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", by=by)
    world.crm.edit(only(world), private=True)
    people = invited("ann", "bob", by=by)
    world.calendars["ann"].edit("ann", attendees=people)
    world.event("bob", "bob", uid="theirs", summary="Visit", owner=by, attendees=people)
    world.store = new_store()
    settled(world)
    world.sync(full=True)
    settled(world)
    assert [(a["subject"], a["private"]) for a in world.activities] == [("Visit", True)]
    assert [[i["summary"] for i in world.items(name)] for name in order] == [["Visit"], ["Visit"]]
    world.quiet()


@pytest.mark.parametrize("policy", ["wait", "quiet"])
@pytest.mark.parametrize("later", ["CRM", "calendar"])
def test_words_of_both_sides_are_not_merged_where_the_guests_would_be_told(
    policy: str, later: str, tmp_path: Path
) -> None:
    world = with_guests(Telling.TELLS, policy, tmp_path)
    ref = only(world)
    if later == "CRM":
        world.calendars["ann"].edit("e1", description="Of the calendar\nAgenda")
        world.now += timedelta(hours=1)
    world.crm.edit(ref, notes="Agenda\nOf the CRM")
    if later == "calendar":
        world.now += timedelta(hours=1)
        world.calendars["ann"].edit("e1", description="Of the calendar\nAgenda")
    settled(world)
    assert world.items("ann")[0]["description"] == "Of the calendar\nAgenda"
    assert world.calendars["ann"].log == [] and waiting(world) == (["notes"] if later == "CRM" else [])
    lost = [text for _, name, text in world.crm.history.get(ref, ()) if name == "notes"]
    stands = world.crm.records[ref].fields["notes"]
    assert (stands, lost) == (
        ("Agenda\nOf the CRM", []) if later == "CRM" else ("Of the calendar\nAgenda", ["Agenda\nOf the CRM"])
    )


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("first", ["ann", "home"])
def test_what_one_of_two_entries_brought_goes_when_the_other_one_becomes_private(
    policy: str, first: str, tmp_path: Path
) -> None:
    """Bob's invitation goes on showing the meeting, and knows nothing of Ann's notes."""
    world = with_mapping(two_calendars("bob"), tmp_path, privacy={"private": policy})
    people = invited("ann", "bob")
    mine: dict[str, Any] = {
        "uid": "theirs",
        "summary": "Visit",
        "owner": KIM,
        "attendees": people,
        "description": "Of Ann alone",
    }
    other = "home" if first == "ann" else "ann"
    world.event(first, "one", **mine)
    settled(world)
    world.event(other, "two", **mine)
    world.event("bob", "bob", uid="theirs", summary="Visit", owner=KIM, attendees=people)
    settled(world)
    assert [a["notes"] for a in world.activities] == ["Of Ann alone"]
    world.calendars[first].remove("one")
    settled(world)
    world.calendars[other].edit("two", sensitivity="private")
    settled(world)
    assert [(a["subject"], a.get("notes") or "") for a in world.activities if a["subject"] == "Visit"] == [
        ("Visit", "")
    ]
    assert "Of Ann alone" not in str(world.activities) + str(world.crm.history)
    world.quiet()
