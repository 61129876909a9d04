"""What fresh minds found in an eleventh trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.unit.test_cases import only
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span
from tests.unit.test_sixth_trial import hand_over, people

EACH = [("ann", "bob", "cid"), ("cid", "bob", "ann"), ("bob", "ann", "cid")]


def listed(world: World) -> dict[str, str]:
    """Who takes part in the only activity, and what each has answered."""
    (activity,) = world.activities
    found = activity["participants"]
    return {p.address.partition("@")[0]: p.answer for p in found.values()} if isinstance(found, People) else {}


def invite(world: World, ref: str, **answers: str) -> None:
    """Ann invites from her entry; her program lists her too."""
    ann = world.calendars["ann"]
    asked = [Participant(f"{name}@us.example", answer=answer) for name, answer in answers.items()]
    hers = Participant("ann@us.example", answer="accepted")
    ann.records[ref] = replace(ann.records[ref], owner="ann@us.example")
    ann.edit(ref, attendees=People([hers, *asked] if asked else []))


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("part", [(), ("bob",), ("bob", "cid")])
@pytest.mark.parametrize("then", ["", "accepts", "taken out", "all go", "added in the CRM", "moved by a colleague"])
def test_whom_an_employee_invites_from_the_copy_of_her_own_meeting_takes_part(
    order: tuple[str, ...], series: bool, part: tuple[str, ...], then: str
) -> None:
    """Made in the CRM; customers are invited from the calendar. Those who take part by the CRM's word keep their
    copies, and are not invited."""
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people(*part))
    settled(world)
    (hers,) = world.calendars["ann"].records
    before = listed(world)
    invite(world, hers, kim="needs-action", lee="tentative")
    settled(world)
    asked = {"ann": "accepted", "kim": "needs-action", "lee": "tentative"}
    assert listed(world) == before | asked
    if then == "accepts":
        invite(world, hers, kim="accepted", lee="tentative")
        asked["kim"] = "accepted"
    elif then == "taken out":
        invite(world, hers, kim="needs-action")
        del asked["lee"]
    elif then == "all go":
        invite(world, hers)
        asked = {}
    elif then == "added in the CRM":
        now = world.crm.records[only(world)].fields["participants"]
        assert isinstance(now, People)
        world.crm.edit(only(world), participants=People([*now.values(), Participant("max@us.example")]))
        asked["max"] = "needs-action"
    elif then and part:
        (his,) = world.calendars["bob"].records
        world.calendars["bob"].edit(his, location="Zoo")
    settled(world)
    world.sync(full=True)
    assert listed(world) == before | asked
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, "bob" in part, "cid" in part]
    (item,) = world.items("ann")
    there = item["attendees"]
    assert "max@us.example" not in (there if isinstance(there, People) else {})
    assert not any(c.outbox for c in world.calendars.values())
    world.quiet()


# -- a date that is taken out while the series is handed over ----------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("first", ["taken out", "handed over"])
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("act", ["taken out", "renamed", "called off"])
def test_a_date_that_is_taken_out_while_its_series_is_handed_over_stays_out(
    order: tuple[str, ...], first: str, made: str, act: str
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4")
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", recurrence=weekly)
    else:
        world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    settled(world)
    (held,) = world.calendars["ann"].records
    date = moment_key(MON + timedelta(weeks=1))
    over = {"summary": "Renamed"} if act == "renamed" else {"status": "cancelled"}
    out = act == "taken out"
    changed = replace(weekly, exdates=frozenset({date})) if out else replace(weekly, overrides={date: over})
    for each in ("edited", "handed over") if first == "taken out" else ("handed over", "edited"):
        world.now += timedelta(minutes=1)
        if each == "edited":
            world.calendars["ann"].edit(held, recurrence=changed)
        else:
            hand_over(world, only(world), "bob")
    settled(world)
    world.now += timedelta(days=1)
    settled(world)
    (activity,), (item,) = world.activities, world.items("bob")
    for shown in (activity["recurrence"], item["recurrence"]):
        assert isinstance(shown, Recurrence)
        if act == "renamed":
            assert "Renamed" in repr(shown.overrides[date])
        else:
            assert date in shown.exdates or shown.overrides[date]["status"] in ("cancelled", "rejected")
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("first", ["taken out", "handed over"])
def test_who_merely_took_part_once_answers_for_what_he_does_until_it_is_handed_over(
    order: tuple[str, ...], first: str
) -> None:
    """She is one of those who take part in what is hers, and is taken out of them: of a copy no such list is shown."""
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4")
    world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people("ann"))
    settled(world)
    world.crm.edit("a1", participants=people())
    settled(world)
    (held,) = world.calendars["ann"].records
    date = moment_key(MON + timedelta(weeks=1))
    for each in ("edited", "handed over") if first == "taken out" else ("handed over", "edited"):
        world.now += timedelta(minutes=1)
        if each == "edited":
            world.calendars["ann"].edit(held, recurrence=replace(weekly, exdates=frozenset({date})))
        else:
            hand_over(world, "a1", "bob")
    settled(world)
    (activity,), (item,) = world.activities, world.items("bob")
    assert activity["recurrence"] == item["recurrence"] == replace(weekly, exdates=frozenset({date}))
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_a_date_that_a_participant_takes_out_as_he_is_taken_out_himself_is_nobody_elses_affair(
    order: tuple[str, ...],
) -> None:
    world = World(*order)
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4")
    world.appointment("a1", "ann", subject="Visit", recurrence=weekly, participants=people("bob"))
    settled(world)
    (his,) = world.calendars["bob"].records
    date = moment_key(MON + timedelta(weeks=1))
    world.calendars["bob"].edit(his, recurrence=replace(weekly, exdates=frozenset({date})))
    world.crm.edit(only(world), participants=people())
    settled(world)
    (activity,) = world.activities
    assert activity["recurrence"] == weekly and world.items("bob") == []
    world.quiet()


# -- taken out while his copy is private -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("meanwhile", ["", "moved", "renamed"])
@pytest.mark.parametrize("typed", ["", "before", "while it was private"])
@pytest.mark.parametrize("full", [False, True])
def test_whoever_is_taken_out_while_his_copy_is_private_has_none_once_it_is_shown_again(
    order: tuple[str, ...], made: str, meanwhile: str, typed: str, full: bool
) -> None:
    """Where he has typed on it meanwhile, that is his, and stays."""
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", location="Zoo", participants=people("bob", "cid"))
    else:
        world.event("ann", uid="hers", summary="Visit", location="Zoo")
        settled(world)
        world.crm.edit(only(world), participants=people("bob", "cid"))
    settled(world)
    (his,) = world.calendars["bob"].records
    if typed == "before":
        world.calendars["bob"].edit(his, location="Park")
        settled(world)
    world.calendars["bob"].edit(his, sensitivity="private")
    settled(world)
    if typed == "while it was private":
        world.calendars["bob"].edit(his, location="Park")
        settled(world)
    world.crm.edit(only(world), participants=people("cid"))
    settled(world)
    if meanwhile:
        world.crm.edit(
            only(world), **({"subject": "New"} if meanwhile == "renamed" else {"time": span(MON + timedelta(hours=5))})
        )
        settled(world)
    world.sync(full=full)
    assert len(world.items("bob")) == 1
    world.now += timedelta(days=2)
    world.calendars["bob"].edit(his, sensitivity="public")
    settled(world)
    world.sync(full=full)
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, typed == "while it was private", 1]
    (activity,) = world.activities
    assert (activity["status"], activity["private"]) == ("open", False)
    assert activity["location"] == ("Park" if typed == "before" else "Zoo")
    world.quiet()


# -- a private entry beside a colleague's of the same UID --------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("between", [0, 1, 3])
def test_what_a_program_copies_before_it_deletes_it_is_taken_back_at_once(order: tuple[str, ...], between: int) -> None:
    """Dragged to a colleague, who has it as a private one: the copy stands there for a pass or more before the first
    entry goes. No full comparison is waited for."""
    world = World(*order)
    world.event("ann", uid="hers", summary="Surgery", location="Clinic")
    settled(world)
    (held,) = world.calendars["ann"].records.values()
    world.now += timedelta(minutes=1)
    world.calendars["bob"].put("e2", "event", {**held.fields, "sensitivity": "private"}, uid=held.uid)
    for _ in range(between):
        world.sync()
    assert [a["subject"] for a in world.activities] == ["Surgery"]
    world.calendars["ann"].remove(held.ref)
    for _ in range(4):
        world.now += timedelta(minutes=5)
        world.sync()
    seen = f"{world.activities}{dict(world.crm.history)}"
    assert "Surgery" not in seen and "Clinic" not in seen
    assert [len(world.items(n)) for n in ("ann", "bob")] == [0, 1]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_whom_a_participant_asks_along_is_his_copys_affair(order: tuple[str, ...]) -> None:
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit", participants=people("bob"))
    settled(world)
    (his,) = world.calendars["bob"].records
    bob = world.calendars["bob"]
    bob.records[his] = replace(bob.records[his], owner="bob@us.example")
    bob.edit(his, attendees=people("kim"))
    settled(world)
    world.sync(full=True)
    assert listed(world) == {"bob": "needs-action"}
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("arrives", [True, False])
def test_a_colleague_who_is_invited_from_the_calendar_gets_no_copy_beside_the_invitation(
    order: tuple[str, ...], arrives: bool
) -> None:
    """It comes later than the CRM hears of it, or by mail alone; whom the CRM adds has his copy as before."""
    world = World(*order)
    world.appointment("a1", "ann", subject="Visit")
    settled(world)
    (hers,) = world.calendars["ann"].records
    invite(world, hers, bob="needs-action")
    settled(world)
    assert world.items("bob") == []
    if arrives:
        shown = world.calendars["ann"].records[hers]
        world.calendars["bob"].put("inv", "event", dict(shown.fields), uid=shown.uid, owner="ann@us.example")
        settled(world)
    now = world.crm.records[only(world)].fields["participants"]
    assert isinstance(now, People)
    world.crm.edit(only(world), participants=People([*now.values(), *people("cid").values()]))
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, arrives, 1]
    assert listed(world) == {"ann": "accepted", "bob": "needs-action", "cid": "needs-action"}
    world.calendars["ann"].remove(hers)
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("first", ["taken out", "handed over"])
def test_what_its_former_owner_does_not_see_any_more_stays_in_a_series_that_is_handed_over(
    order: tuple[str, ...], first: str
) -> None:
    """A date that is private in the CRM is now the new owner's alone."""
    world = World(*order)
    out, secret = (moment_key(MON + timedelta(weeks=n)) for n in (1, 2))
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4", overrides={secret: {"subject": "Of the CRM", "private": True}})
    world.appointment("a1", "ann", subject="Visit", recurrence=weekly)
    settled(world)
    (held,) = world.calendars["ann"].records.values()
    shown = held.fields["recurrence"]
    assert isinstance(shown, Recurrence) and secret in shown.overrides
    for each in ("edited", "handed over") if first == "taken out" else ("handed over", "edited"):
        world.now += timedelta(minutes=1)
        if each == "edited":
            world.calendars["ann"].edit(held.ref, recurrence=replace(shown, exdates=frozenset({out})))
        else:
            hand_over(world, only(world), "bob")
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    there = activity["recurrence"]
    assert isinstance(there, Recurrence)
    assert dict(there.overrides[secret]) == {"subject": "Of the CRM", "private": True}
    assert out in there.exdates and len(world.items("bob")) == 1
    world.quiet()
