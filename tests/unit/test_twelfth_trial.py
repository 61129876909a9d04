"""What fresh minds found in a twelfth trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from syncd.engine.pairing import Employee
from syncd.mapping.loader import load, shipped
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from tests.memory import crm
from tests.stores import new_store
from tests.unit.test_cases import only, passed, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_eleventh_trial import EACH, invite, listed
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_sixth_trial import hand_over, people


def add(world: World, name: str) -> None:
    """Somebody adds a participant in the CRM."""
    now = world.crm.records[only(world)].fields.get("participants") or People()
    assert isinstance(now, People)
    world.crm.edit(only(world), participants=People([*now.values(), Participant(f"{name}@us.example")]))


def guests_of(world: World, name: str) -> People:
    """Whom the only entry of the employee's invites."""
    (entry,) = world.items(name)
    found = entry.get("attendees") or People()
    assert isinstance(found, People)
    return found


def meeting(world: World, by: str, *, series: bool = False) -> None:
    """One with a customer that was made in a calendar: Ann's own, or the customer's, who has invited her."""
    weekly = Recurrence("FREQ=WEEKLY;COUNT=4") if series else Recurrence()
    world.event("ann", uid="hers", summary="Visit", recurrence=weekly)
    invite(world, "e1", kim="needs-action")
    if by == "kim":
        ann = world.calendars["ann"]
        ann.records["e1"] = replace(ann.records["e1"], owner="kim@acme.example")
        ann.edit("e1")
    settled(world)


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("by", ["ann", "kim"])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("then", ["", "moved", "taken out", "full"])
def test_whom_the_crm_adds_to_a_meeting_with_guests_has_it_in_the_calendar(
    order: tuple[str, ...], by: str, series: bool, then: str
) -> None:
    world = World(*order)
    meeting(world, by, series=series)
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, 0, 0]
    add(world, "bob")
    settled(world)
    (copy,) = world.items("bob")
    assert copy["summary"] == "Visit" and not copy.get("attendees")
    if then == "moved":
        world.calendars["ann"].edit("e1", location="Zoo")
        settled(world)
        assert [i["location"] for i in world.items("bob")] == ["Zoo"]
    elif then == "taken out":
        now = world.crm.records[only(world)].fields["participants"]
        assert isinstance(now, People)
        world.crm.edit(only(world), participants=People([p for p in now.values() if not p.address.startswith("bob")]))
        settled(world)
        assert world.items("bob") == []
    elif then == "full":
        world.sync(full=True)
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, then != "taken out", 0]
    assert "bob@us.example" not in guests_of(world, "ann")
    assert not any(c.outbox for c in world.calendars.values())
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("first", ["added", "invited"])
def test_added_in_the_crm_while_a_customer_is_invited_has_it_in_whatever_order(
    order: tuple[str, ...], first: str
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    settled(world)
    for act in ("added", "invited") if first == "added" else ("invited", "added"):
        if act == "added":
            add(world, "bob")
        else:
            invite(world, "e1", kim="needs-action")
    settled(world)
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, 1, 0]
    assert {"bob", "kim"} <= listed(world).keys()
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("then", ["", "cleared away", "kim is taken out", "bob moves it"])
def test_a_meeting_with_guests_that_is_handed_over_is_in_the_new_owners_calendar(
    order: tuple[str, ...], then: str
) -> None:
    world = World(*order)
    meeting(world, "ann")
    hand_over(world, only(world), "bob")
    settled(world)
    assert len(world.items("bob")) == 1
    if then == "cleared away":
        world.calendars["ann"].remove("e1")
    elif then == "kim is taken out":
        invite(world, "e1")
    elif then:
        (his,) = world.calendars["bob"].records
        world.calendars["bob"].edit(his, location="Zoo")
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    assert activity["status"] == "open" and len(world.items("bob")) == 1
    assert not any(c.outbox for c in world.calendars.values())
    if then == "bob moves it":
        assert activity["location"] == "Zoo" and not world.items("ann")[0].get("location")  # it waits for the guests
    else:
        world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("invited", ["with kim", "later", "before the CRM adds"])
def test_whom_the_entry_invites_has_his_invitation_and_no_copy(order: tuple[str, ...], invited: str) -> None:
    world = World(*order)
    meeting(world, "ann")
    if invited != "later":
        invite(world, "e1", kim="needs-action", bob="needs-action")
        settled(world)
    if invited != "with kim":
        add(world, "bob")
        settled(world)
    if invited == "later":
        assert len(world.items("bob")) == 1
        invite(world, "e1", kim="needs-action", bob="needs-action")
        settled(world)
    else:
        assert world.items("bob") == []  # it is still on its way
    hers = world.calendars["ann"].records["e1"]
    world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
    settled(world)
    world.sync(full=True)
    assert [i["attendees"] is not None for i in world.items("bob")] == [True]
    assert len(world.activities) == 1
    world.quiet()


# -- taken out of an invitation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("answer", ["needs-action", "accepted"])
@pytest.mark.parametrize("again", [False, True])
def test_whom_the_organiser_takes_out_does_not_take_part_and_has_not_declined(
    order: tuple[str, ...], gap: bool, answer: str, again: bool
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    invite(world, "e1", kim="needs-action", bob=answer)
    hers = world.calendars["ann"].records["e1"]
    world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
    settled(world)
    assert listed(world) == {"ann": "accepted", "kim": "needs-action", "bob": answer}
    invite(world, "e1", kim="needs-action")
    if gap:
        settled(world)
    world.calendars["bob"].remove("his")  # the server's CANCEL
    settled(world)
    assert listed(world) == {"ann": "accepted", "kim": "needs-action"}
    if again:
        invite(world, "e1", kim="needs-action", bob="accepted")
        hers = world.calendars["ann"].records["e1"]
        world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
        settled(world)
        assert listed(world) == {"ann": "accepted", "kim": "needs-action", "bob": "accepted"}
        assert len(world.items("bob")) == 1
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("gone", [False, True])
def test_a_customers_meeting_is_followed_although_a_colleague_has_a_copy_of_it(
    order: tuple[str, ...], gone: bool
) -> None:
    """Kim has invited Ann and Cid; the CRM has added Bob."""
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    invite(world, "e1", cid="needs-action")
    for name, ref in (("ann", "e1"), ("cid", "e2")):
        fields = dict(world.calendars["ann"].records["e1"].fields)
        world.calendars[name].put(ref, "event", fields, uid="hers", owner="kim@acme.example")
    settled(world)
    add(world, "bob")
    settled(world)
    if gone:
        world.calendars["ann"].remove("e1")  # she clears hers away, which is her answer
        settled(world)
    for name in ("ann", "cid"):
        for ref in world.calendars[name].records:
            world.calendars[name].edit(ref, location="Zoo")
    settled(world)
    (activity,) = world.activities
    assert activity["location"] == "Zoo" and activity["status"] == "open"
    assert [i["location"] for i in world.items("bob")] == ["Zoo"]
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [not gone, 1, 1]
    world.quiet()


# -- private, and public again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("between", [(), ("his",), ("hers",), ("his", "hers")])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("first", ["hers", "his"])
def test_the_public_copy_of_somebody_invited_shows_whatever_the_organisers_was_before(
    order: tuple[str, ...], between: tuple[str, ...], policy: str, first: str, tmp_path: Path
) -> None:
    """Ann's is private in the end, Bob's was for a while."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    world.event("ann", uid="hers", summary="Visit")
    invite(world, "e1", kim="needs-action", bob="accepted")
    hers = world.calendars["ann"].records["e1"]
    world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
    settled(world)
    world.calendars["bob"].edit("his", sensitivity="private")
    if "his" in between:
        settled(world)
    for act in ("hers", "his") if first == "hers" else ("his", "hers"):
        if act == "hers":
            world.calendars["ann"].edit("e1", sensitivity="private")
        else:
            world.calendars["bob"].edit("his", sensitivity="public")
        if act in between:
            settled(world)
    settled(world)
    assert [a["status"] for a in world.activities if a["subject"] == "Visit"] == ["open"]
    assert len(world.items("bob")) == len(world.items("ann")) == 1
    world.quiet()


# -- taken out, and added after all -----------------------------------------------------------------------------------


def takes_out(world: World, name: str) -> None:
    """Somebody takes a participant out in the CRM."""
    now = world.crm.records[only(world)].fields["participants"]
    assert isinstance(now, People)
    world.crm.edit(only(world), participants=People([p for p in now.values() if not p.address.startswith(name)]))


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("then", ["added", "handed over"])
@pytest.mark.parametrize("answer", ["needs-action", "accepted"])
@pytest.mark.parametrize("gone", ["with it", "later"])
@pytest.mark.parametrize("again", [False, True])
def test_whom_the_organiser_took_out_and_the_crm_wants_in_has_a_copy(
    order: tuple[str, ...], then: str, answer: str, gone: str, again: bool
) -> None:
    world = World(*order)
    world.event("ann", uid="hers", summary="Visit")
    invite(world, "e1", kim="needs-action", bob=answer)
    hers = world.calendars["ann"].records["e1"]
    world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
    settled(world)
    invite(world, "e1", kim="needs-action")
    if gone == "later":
        settled(world)
    world.calendars["bob"].remove("his")
    settled(world)
    if then == "added":
        add(world, "bob")
    else:
        hand_over(world, only(world), "bob")
    settled(world)
    world.sync(full=True)
    (copy,) = world.items("bob")
    assert copy["summary"] == "Visit" and not copy.get("attendees")
    assert listed(world).get("bob", "needs-action") == "needs-action"
    if again:  # and his invitation arrives after all
        invite(world, "e1", kim="needs-action", bob="needs-action")
        settled(world)
        hers = world.calendars["ann"].records["e1"]
        world.calendars["bob"].put("his", "event", dict(hers.fields), uid="hers", owner="ann@us.example")
        settled(world)
        assert len(world.items("bob")) == 1 and listed(world)["bob"] == "needs-action"
    assert len(world.activities) == 1
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("made", ["crm", "calendar"])
@pytest.mark.parametrize("between", [False, True])
def test_whoever_cleared_his_copy_away_and_is_taken_out_and_added_again_has_it_again(
    order: tuple[str, ...], made: str, between: bool
) -> None:
    world = World(*order)
    if made == "crm":
        world.appointment("a1", "ann", subject="Visit", participants=people("bob"))
    else:
        world.event("ann", uid="hers", summary="Visit")
    settled(world)
    if made == "calendar":
        add(world, "bob")
        settled(world)
    (his,) = world.calendars["bob"].records
    world.calendars["bob"].remove(his)
    settled(world)
    assert listed(world)["bob"] == "declined" and world.items("bob") == []
    takes_out(world, "bob")
    if between:
        settled(world)
        assert "bob" not in listed(world)
    add(world, "bob")
    settled(world)
    assert listed(world)["bob"] == "needs-action"
    assert len(world.items("bob")) == (1 if between else 0)
    world.quiet()


@pytest.mark.parametrize("address", ["bob@us.example", "bob@old.example"])
@pytest.mark.parametrize("owns", [True, False])
def test_a_meeting_that_was_typed_on_both_sides_is_one_by_whichever_address_the_crm_knows_somebody(
    owns: bool, address: str
) -> None:
    world = World("bob")
    world.pairings = [
        replace(p, employee=Employee("bob", ("bob@us.example", "bob@old.example"))) for p in world.pairings
    ]
    world.event("bob", summary="Visit")
    told = {} if owns else {"participants": People([Participant(address)])}
    world.crm.put(
        "a1",
        "appointment",
        {"subject": "Visit", "time": span(), "status": "open", "private": False, **told},
        owner=address if owns else "kim@us.example",
    )
    settled(world)
    assert len(world.activities) == len(world.items("bob")) == 1
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("invited", ["later", "from the start"])
@pytest.mark.parametrize("address", ["bob@us.example", "bob@old.example"])
def test_a_meeting_is_one_when_the_store_is_lost_by_whichever_address_somebody_is_invited(
    order: tuple[str, ...], invited: str, address: str
) -> None:
    world = World(*order)
    world.pairings = [
        replace(p, employee=Employee("bob", ("bob@us.example", "bob@old.example"))) if p.id == "bob" else p
        for p in world.pairings
    ]
    world.event("ann", uid="hers", summary="Visit")
    if invited == "later":
        settled(world)
    ann = world.calendars["ann"]
    ann.records["e1"] = replace(ann.records["e1"], owner="ann@us.example")
    ann.edit("e1", attendees=People([Participant("ann@us.example", answer="accepted"), Participant(address)]))
    world.calendars["bob"].put("his", "event", dict(ann.records["e1"].fields), uid="hers", owner="ann@us.example")
    settled(world)
    assert len(world.activities) == 1
    world.store = new_store()
    settled(world)
    assert len(world.activities) == 1
    assert [len(world.items(n)) for n in ("ann", "bob", "cid")] == [1, 1, 0]
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("word", ["private", "confidential"])
@pytest.mark.parametrize("first", [True, False])
def test_whose_invitation_is_private_gets_no_copy_when_a_colleague_clears_hers_away(
    order: tuple[str, ...], policy: str, word: str, first: bool, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    both = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("kim@acme.example")])
    for name, ref in (("ann", "e1"), ("bob", "his")):
        hidden = word if name == "bob" and first else "public"
        world.event(name, ref, uid="theirs", summary="Visit", owner="kim@acme.example", attendees=both,
                    sensitivity=hidden)  # fmt: skip
    settled(world)
    world.calendars["bob"].edit("his", sensitivity=word)
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    world.sync(full=True)
    assert list(world.calendars["bob"].records) == ["his"] and world.items("ann") == []
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("first", ["declines", "hides"])
@pytest.mark.parametrize("between", [False, True])
def test_who_has_declined_has_so_when_the_meeting_was_private_for_a_while(
    order: tuple[str, ...], policy: str, first: str, between: bool, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    both = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("kim@acme.example")])
    for name, ref in (("ann", "e1"), ("bob", "his")):
        world.event(name, ref, uid="theirs", summary="Visit", owner="kim@acme.example", attendees=both)
    settled(world)
    for act in ("declines", "hides") if first == "declines" else ("hides", "declines"):
        if act == "declines":
            world.calendars["bob"].remove("his")
        else:
            world.calendars["ann"].edit("e1", sensitivity="private")
        if between:
            settled(world)
    settled(world)
    world.calendars["ann"].edit("e1", sensitivity="public")
    settled(world)
    if first == "declines" and between:  # else the CRM did not say any more who takes part
        assert listed(world)["bob"] == "declined"
    assert world.items("bob") == [] and len(world.items("ann")) == 1
    world.quiet()


@pytest.mark.parametrize("order", [("bob", "cid", "ann"), ("bob", "ann", "cid"), ("ann", "bob", "cid")])
@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("typed", [False, True])
def test_what_is_left_of_a_private_meeting_does_not_stand_beside_a_colleagues_invitation(
    order: tuple[str, ...], series: bool, typed: bool
) -> None:
    """Bob's is private; the store is lost, and the others' accounts have other names before they are read."""
    world = World(*order, hub=crm(lambda: NOW, series=series))
    invited = [Participant(f"{n}@us.example") for n in ("ann", "bob", "cid")]
    guests = People([*invited, Participant("kim@acme.example")])
    for name, word in (("ann", "public"), ("bob", "private"), ("cid", "public")):
        world.event(name, name, uid="theirs", summary="Visit", owner="kim@acme.example", attendees=guests,
                    sensitivity=word)  # fmt: skip
    bob = next(p for p in world.pairings if p.id == "bob")
    first = sorted(world.pairings, key=lambda p: p.id)
    everyone, world.pairings = world.pairings, first
    settled(world)
    if typed:
        world.crm.edit(only(world), categories=frozenset({"Typed"}))
        settled(world)
    world.store = new_store()
    world.pairings = everyone
    passed(world, "bob")
    world.pairings = [p if p is bob else replace(p, id=f"{p.id}/other") for p in everyone]
    passed(world, "bob")
    settled(world)
    world.sync(full=True)
    assert [list(world.calendars[n].records) for n in ("ann", "bob", "cid")] == [["ann"], ["bob"], ["cid"]]
    world.quiet()


# -- a colleague's copy is private, or gone ----------------------------------------------------------------------------


def together(world: World, owner: str, *guests: str) -> None:
    """A meeting with Kim that Ann, or Kim, organises; all of these are invited, and have it in their calendars."""
    everybody = [Participant(f"{n}@us.example") for n in ("ann", *guests)] + [Participant("kim@acme.example")]
    for name in ("ann", *guests):
        world.event(name, name, uid="theirs", summary="Visit", location="Zoo", owner=owner,
                    attendees=People(everybody))  # fmt: skip
    settled(world)


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("owner", ["ann@us.example", "kim@acme.example"])
@pytest.mark.parametrize("cid", ["private", "gone", "private later"])
@pytest.mark.parametrize("then", ["added", "handed over"])
def test_whom_the_crm_adds_has_a_copy_whatever_another_guest_does_with_his_invitation(
    order: tuple[str, ...], owner: str, cid: str, then: str
) -> None:
    world = World(*order)
    together(world, owner, "cid")
    before = listed(world).keys() | {"bob"}
    for act in ("bob", "cid") if cid == "private later" else ("cid", "bob"):
        if act == "cid" and cid == "gone":
            world.calendars["cid"].remove("cid")
        elif act == "cid":
            world.calendars["cid"].edit("cid", sensitivity="private")
        elif then == "added":
            add(world, "bob")
        else:
            hand_over(world, only(world), "bob")
        settled(world)
    world.sync(full=True)
    assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    (activity,) = world.activities
    assert activity["subject"] == "Visit" and activity["status"] == "open"
    if then == "added":
        assert listed(world).keys() == before
    if cid.startswith("private"):
        world.calendars["cid"].edit("cid", sensitivity="public")
        settled(world)
        assert len(world.activities) == 1 and len(world.items("bob")) == len(world.items("cid")) == 1
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("owner", ["ann@us.example", "kim@acme.example"])
@pytest.mark.parametrize("first", ["cid", "bob"])
@pytest.mark.parametrize("cid", ["private", "gone"])
@pytest.mark.parametrize("then", ["added", "handed over"])
def test_whom_the_organiser_took_out_has_a_copy_whatever_another_guest_does(
    order: tuple[str, ...], owner: str, first: str, cid: str, then: str
) -> None:
    world = World(*order)
    together(world, owner, "bob", "cid")
    without = People([p for p in guests_of(world, "ann").values() if not p.address.startswith("bob")])
    for act in ("cid", "bob") if first == "cid" else ("bob", "cid"):
        if act == "bob":
            for name in ("ann", "cid"):
                if name in world.calendars[name].records:
                    world.calendars[name].edit(name, attendees=without)
            settled(world)
            world.calendars["bob"].remove("bob")
        elif cid == "gone":
            world.calendars["cid"].remove("cid")
        else:
            world.calendars["cid"].edit("cid", sensitivity="private")
        settled(world)
    if then == "added":
        add(world, "bob")
    else:
        hand_over(world, only(world), "bob")
    settled(world)
    world.sync(full=True)
    if owner == "ann@us.example":
        assert [i["summary"] for i in world.items("bob")] == ["Visit"]
    assert len(world.items("bob")) <= 1 and len(world.activities) == 1
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("owner", ["ann@us.example", "kim@acme.example"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("field", ["subject", "location", "priority", "notes", "categories", "kim"])
def test_what_the_crm_says_of_a_meeting_stays_when_one_guests_invitation_is_private(
    order: tuple[str, ...], owner: str, policy: str, field: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    together(world, owner, "cid")
    values: dict[str, object] = {"subject": "Review", "location": "Hall", "priority": 1, "notes": "Words",
                                 "categories": frozenset({"Big"})}  # fmt: skip
    if field == "kim":
        takes_out(world, "kim")
    else:
        world.crm.edit(only(world), **{field: values[field]})
    settled(world)
    (before,) = world.activities
    world.calendars["cid"].edit("cid", sensitivity="private")
    settled(world)
    world.sync(full=True)
    (activity,) = [a for a in world.activities if a["subject"] != "Busy"]
    if owner == "ann@us.example" or order[0] != "cid":  # else Ann's entry begins to speak for a customer's meeting
        for name in (*values, "participants"):
            assert activity.get(name) == before.get(name), name
    world.quiet()


def private_and_gone(world: World, first: str, how: str) -> None:
    """Ann's becomes private, and Bob's goes, as he is taken out, or as he clears it away."""
    without = People([p for p in guests_of(world, "ann").values() if not p.address.startswith("bob")])
    taken_out = {"attendees": without} if how == "taken out" else {}
    if first == "at once":
        world.calendars["ann"].edit("ann", sensitivity="private", **taken_out)
        world.calendars["bob"].remove("bob")
    elif first == "private":
        world.calendars["ann"].edit("ann", sensitivity="private")
        settled(world)
        world.calendars["ann"].edit("ann", **taken_out)
        world.calendars["bob"].remove("bob")
    else:
        world.calendars["ann"].edit("ann", **taken_out)
        world.calendars["bob"].remove("bob")
        settled(world)
        world.calendars["ann"].edit("ann", sensitivity="private")
    settled(world)


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("owner", ["ann@us.example", "kim@acme.example"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("first", ["at once", "private", "gone"])
@pytest.mark.parametrize("how", ["taken out", "cleared away"])
@pytest.mark.parametrize("more", ["", "added", "typed"])
def test_what_only_a_private_entry_shows_is_nobodys_when_the_last_public_one_goes(
    order: tuple[str, ...], owner: str, policy: str, first: str, how: str, more: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    together(world, owner, "bob")
    if more == "added":
        add(world, "cid")
    elif more == "typed":
        world.crm.edit(only(world), categories=frozenset({"Typed"}))
    settled(world)
    private_and_gone(world, first, how)
    world.sync(full=True)
    assert not any("Visit" in str(a) or "Zoo" in str(a) or "kim" in str(a) for a in world.activities)
    assert not any("Visit" in str(words) or "Zoo" in str(words) for words in world.crm.history.values())
    assert world.items("bob") == [] and not any("Visit" in str(i) for i in world.items("cid"))
    world.calendars["ann"].edit("ann", sensitivity="public")
    settled(world)
    (activity,) = world.activities
    assert (activity["subject"], activity["location"], activity["status"]) == ("Visit", "Zoo", "open")
    assert world.items("bob") == [] and len(world.items("ann")) == 1
    assert not any(c.outbox for c in world.calendars.values())
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("how", ["taken out", "cleared away"])
def test_what_another_guest_still_shows_stays_when_one_goes_and_the_organisers_is_private(
    order: tuple[str, ...], policy: str, how: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    together(world, "ann@us.example", "bob", "cid")
    private_and_gone(world, "private", how)
    assert [a["status"] for a in world.activities if a["subject"] == "Visit"] == ["open"]
    world.calendars["cid"].remove("cid")
    settled(world)
    assert not any("Visit" in str(a) or "kim" in str(a) for a in world.activities)
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_what_the_organiser_has_told_nobody_goes_with_the_private_entry(
    order: tuple[str, ...], policy: str, tmp_path: Path
) -> None:
    """The other guests' invitations still show the place as it was."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    together(world, "ann@us.example", "bob", "cid")
    world.calendars["ann"].edit("ann", location="Hall")
    settled(world)
    assert [a["location"] for a in world.activities] == ["Hall"]
    world.calendars["ann"].edit("ann", sensitivity="private")
    settled(world)
    world.sync(full=True)
    assert not any("Hall" in str(a) for a in world.activities)
    assert [a["location"] for a in world.activities if a["subject"] == "Visit"] == ["Zoo"]
    world.quiet()


# -- invited to one date of somebody's series --------------------------------------------------------------------------


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", ["bob", "ann"])
@pytest.mark.parametrize("then", ["moved", "bob's is moved", "bob's is gone", "ann's is gone", "private", "full"])
def test_a_customers_series_is_in_the_crm_whoever_is_invited_to_one_of_its_dates(
    order: tuple[str, ...], together: bool, first: str, then: str
) -> None:
    """Kim has invited Ann to all of it, and Bob to its second date."""
    world = World(*order)
    guests = People([Participant("kim@acme.example"), Participant("ann@us.example")])
    weekly, second = Recurrence("FREQ=WEEKLY;COUNT=4"), span(MON + timedelta(days=7))
    both = People([*guests.values(), Participant("bob@us.example")])
    for name in ("bob", "ann") if first == "bob" else ("ann", "bob"):
        shown: dict[str, object] = {"attendees": guests, "recurrence": weekly, "time": span(MON)}
        if name == "bob":
            shown = {"attendees": both, "time": second}
        world.event(name, name, uid="theirs", summary="Visit", owner="kim@acme.example", **shown)
        if not together:
            settled(world)
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    assert (activity["recurrence"], activity["time"], activity["status"]) == (weekly, span(MON), "open")
    assert len(world.items("ann")) == len(world.items("bob")) == 1 and world.items("cid") == []
    later = span(MON + timedelta(hours=2))
    if then == "moved":
        world.calendars["ann"].edit("ann", time=later)
        world.calendars["bob"].edit("bob", time=span(MON + timedelta(days=7, hours=2)))
    elif then == "bob's is moved":
        world.calendars["bob"].edit("bob", time=later, summary="Another")
    elif then == "private":
        world.calendars["bob"].edit("bob", sensitivity="private")
    elif then != "full":
        world.calendars[then[:3]].remove(then[:3])
    settled(world)
    world.sync(full=True)
    (activity,) = world.activities
    assert activity["status"] == "open" and activity["recurrence"] == weekly and activity["subject"] == "Visit"
    if then != "ann's is gone":
        assert activity["time"] == (later if then == "moved" else span(MON))
    assert len(world.items("ann")) == (then != "ann's is gone") and len(world.items("bob")) == (then != "bob's is gone")
    assert not any(c.outbox for c in world.calendars.values())
    world.quiet()


@pytest.mark.parametrize("order", EACH)
@pytest.mark.parametrize("held", ["series", "dates", "nothing that repeats"])
def test_of_several_who_are_invited_to_a_series_one_speaks(order: tuple[str, ...], held: str, tmp_path: Path) -> None:
    world = World(*order, hub=crm(lambda: NOW, series=held != "dates"))
    if held == "nothing that repeats":
        text = yaml.safe_load(shipped()["appointments"].read_text(encoding="utf-8"))
        del text["fields"]["recurrence"]
        (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
        world.pairings = [replace(p, lens=load(tmp_path / "mapping.yaml")) for p in world.pairings]
    guests = People([Participant(f"{n}@us.example") for n in ("ann", "bob")] + [Participant("kim@acme.example")])
    for name in ("ann", "bob"):
        world.event(name, name, uid="theirs", summary="Visit", owner="kim@acme.example", attendees=guests,
                    recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))  # fmt: skip
    settled(world)
    world.sync(full=True)
    for name in ("ann", "bob"):
        world.calendars[name].edit(name, location="Zoo")
        settled(world)
    roles: dict[int, list[str]] = {}
    with world.store.reading() as tx:
        for pairing in ("ann", "bob"):
            for link in tx.links_by_item(pairing, [pairing]):
                roles.setdefault(link.activity, []).append(link.role)
    assert len(roles) == len(world.activities) == (4 if held == "dates" else 1)
    assert all(sorted(found) == ["attendee", "stand-in"] for found in roles.values())
    world.quiet()
