"""What the sixth trial found, each as its shortest story."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.engine.context import Context
from syncd.engine.feed import seed_feed
from syncd.engine.pairing import Employee, Moment, item_feed
from syncd.engine.passes import run_pass
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.ports import Telling
from syncd.service.rehearsal import RehearsedReplica, planned, rehearsed
from syncd.store.journal import forget
from tests.memory import crm
from tests.memory_mail import fields
from tests.unit.test_cases import beside, only, passed, two_calendars, with_mapping
from tests.unit.test_engine import MON, NOW, World, span
from tests.unit.test_mail_engine import Office


def people(*names: str) -> People:
    return People([Participant(f"{name}@us.example") for name in names])


def settled(world: World, number: int = 4) -> None:
    for _ in range(number):
        world.sync()
    world.quiet()


def hand_over(world: World, ref: str, to: str) -> None:
    """Somebody changes the employee responsible, in the CRM."""
    held = world.crm.records[ref]
    world.crm.records[ref] = replace(held, owner=f"{to}@us.example")
    world.crm.edit(ref, priority=(held.fields.get("priority") or 0) + 1)


# -- an activity that is handed over in the CRM ----------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("by", ["calendar", "crm"])
@pytest.mark.parametrize("taking_part", [(), ("ann",), ("bob",), ("ann", "bob")])
def test_what_is_handed_over_in_the_crm_is_its_new_owners(
    taking_part: tuple[str, ...], by: str, order: tuple[str, str]
) -> None:
    world = World(*order)
    if by == "calendar":
        world.event("ann", summary="Talk")
    else:
        world.appointment(subject="Talk")
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, participants=people(*taking_part))
    hand_over(world, ref, "bob")
    settled(world)
    assert [i["summary"] for i in world.items("bob")] == ["Talk"]
    world.crm.edit(ref, location="Room 9")
    settled(world)
    assert [i["location"] for i in world.items("bob")] == ["Room 9"]
    for own in list(world.calendars["ann"].records):
        world.calendars["ann"].remove(own)  # it is not hers any more
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    assert [(i["summary"], i["status"]) for i in world.items("bob")] == [("Talk", "confirmed")]
    hand_over(world, ref, "ann")
    settled(world)
    assert [i["summary"] for i in world.items("ann")] == ["Talk"]
    assert [a["status"] for a in world.activities] == ["open"]


# -- a cancelled appointment that was cleared away, and takes place after all ------------------------------------


@pytest.mark.parametrize("by", ["calendar", "crm"])
@pytest.mark.parametrize("cleared", ["ann", "bob", "both"])
def test_what_was_cleared_away_when_it_was_cancelled_comes_back_when_it_takes_place(by: str, cleared: str) -> None:
    world = World("ann", "bob")
    if by == "calendar":
        world.event("ann", summary="Talk")
        world.quiet()
        world.crm.edit(only(world), participants=people("ann", "bob"))
    else:
        world.appointment(subject="Talk", participants=people("ann", "bob"))
    settled(world)
    ref = only(world)
    world.crm.edit(ref, status="rejected")
    settled(world)
    assert [world.items(n)[0]["status"] for n in ("ann", "bob")] == ["cancelled"] * 2
    for name in ("ann", "bob"):
        if cleared in (name, "both"):
            (mine,) = world.calendars[name].records
            world.calendars[name].remove(mine)
    settled(world)
    told = world.activities[0]["participants"]
    assert isinstance(told, People)
    assert "declined" not in {p.answer for p in told.values()}
    world.crm.edit(ref, status="open", time=span(MON + timedelta(days=2)))
    settled(world)
    for name in ("ann", "bob"):
        assert [(i["time"], i["status"]) for i in world.items(name)] == [(span(MON + timedelta(days=2)), "confirmed")]


def test_what_somebody_has_declined_does_not_come_back_with_an_edit() -> None:
    world = World("ann", "bob")
    world.appointment(subject="Talk", participants=people("ann", "bob"))
    settled(world)
    (copy,) = world.calendars["bob"].records
    world.calendars["bob"].remove(copy)
    settled(world)
    world.crm.edit(only(world), status="rejected")
    settled(world)
    world.crm.edit(only(world), status="open", time=span(MON + timedelta(days=2)))
    settled(world)
    assert (len(world.items("ann")), world.items("bob")) == (1, [])


# -- whoever types on a block of time has not seen what is behind it -------------------------------------------


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("falls", ["the rule", "the entry", "the entry, without a date"])
def test_what_was_typed_on_a_block_does_not_replace_what_is_behind_it(falls: str, series: bool, tmp_path: Path) -> None:
    world = with_mapping(World("ann", hub=crm(lambda: NOW, series=False)), tmp_path, privacy={"private": "busy-only"})
    more: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=2")} if series else {}
    words: dict[str, Any] = {"summary": "Doctor", "description": "Ask this", "location": "Clinic"}
    world.event("ann", sensitivity="private", **words, **more)
    world.quiet()
    for ref in list(world.crm.records):
        world.now += timedelta(days=1)
        world.crm.edit(ref, subject="Away", notes="Call her", location="Elsewhere")
    settled(world)
    assert {k: world.items("ann")[0][k] for k in words} == words
    if falls == "the rule":
        with_mapping(world, tmp_path, privacy={"private": "full"})
        world.sync(full=True)
    else:
        world.calendars["ann"].edit("e1", sensitivity="public")
        if falls != "the entry":
            record = world.calendars["ann"].records["e1"]
            world.calendars["ann"].records["e1"] = replace(record, modified=None)
    settled(world)
    (item,) = world.items("ann")
    assert {k: item[k] for k in (*words, "time")} == {**words, "time": span()}
    assert not getattr(item.get("recurrence"), "overrides", {})
    assert {(a["subject"], a["notes"], a["location"]) for a in world.activities} == {("Doctor", "Ask this", "Clinic")}
    history = repr(world.crm.history)
    assert "Away" in history and "Call her" in history


# -- privacy waits for no window -------------------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("also", ["", "Skip"])
@pytest.mark.parametrize("where", [timedelta(days=60), timedelta(days=-400), timedelta(0)])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("who", ["the CRM", "the entry", "the entry, with words of the CRM"])
def test_what_is_made_private_out_of_the_window_is_private_everywhere(
    who: str, policy: str, where: timedelta, also: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"privacy": {"private": policy}, "exclude": [{"category": ["Skip"]}]}
    world = with_mapping(World("ann", "bob"), tmp_path, **changes)
    world.event("ann", summary="Talk about Meier", description="Words")
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, participants=people("ann", "bob"))
    settled(world)
    assert len(world.items("bob")) == 1
    if who.endswith("CRM") and who != "the CRM":
        world.crm.edit(ref, location="The CRM's")
        settled(world)
    if where > timedelta(0):
        world.now += where
    elif where:
        world.crm.edit(ref, time=span(MON - where))
        settled(world)
    settled(world)
    skip = {"categories": frozenset({also})} if also else {}
    if who == "the CRM":
        world.crm.edit(ref, private=True)
    else:
        world.calendars["ann"].edit("e1", sensitivity="private", **skip)
    settled(world, 6)
    assert "Meier" not in repr(world.items("bob")) and "Words" not in repr(world.items("bob"))
    readable = [a for a in world.activities if not a["private"]]
    assert "Meier" not in repr(readable) and "Words" not in repr(readable)
    assert [i["sensitivity"] for i in world.items("ann")] == ["private"]
    assert [i["summary"] for i in world.items("ann")] == ["Talk about Meier"]


@pytest.mark.parametrize("edited", [False, True])
def test_a_colleagues_copy_of_what_the_crm_made_private_goes_although_it_was_edited(edited: bool) -> None:
    world = World("ann", "bob")
    world.appointment(subject="Talk about Meier", participants=people("ann", "bob"))
    settled(world)
    (copy,) = world.calendars["bob"].records
    world.crm.edit(only(world), private=True)
    if edited:
        world.calendars["bob"].edit(copy, location="Room 4")
    settled(world)
    assert world.items("bob") == []


# -- meetings that are over -------------------------------------------------------------------------------------

GUESTS = people("ann")
KIM = People([*GUESTS.values(), Participant("kim@cust.example")])

WHAT_THE_CRM_DID: dict[str, dict[str, Any]] = {
    "moved within the past": {"time": span(MON + timedelta(hours=3))},
    "rejected": {"status": "rejected"},
    "another place": {"location": "Elsewhere"},
    "deleted": {},
}


@pytest.mark.parametrize("server", [Telling.CAN_BE_ASKED, Telling.TELLS])
@pytest.mark.parametrize("before", ["wait", "quiet", "tell"])
@pytest.mark.parametrize("did", WHAT_THE_CRM_DID)
def test_no_guest_is_told_of_a_meeting_that_is_over(did: str, before: str, server: Telling, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests=before)
    world.calendars["ann"].server = server
    world.event("ann", summary="Talk", owner="ann@us.example", attendees=KIM)
    settled(world)
    if before == "tell":
        world.now += timedelta(days=12)
    if did == "deleted":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), **WHAT_THE_CRM_DID[did])
    settled(world)
    world.now += timedelta(days=12)
    with_mapping(world, tmp_path, guests="tell")
    settled(world)
    world.sync(full=True)
    assert world.calendars["ann"].outbox == []


def test_a_meeting_that_is_over_and_is_moved_to_next_week_is_told(tmp_path: Path) -> None:
    for policy in ("wait", "tell"):
        world = with_mapping(World("ann"), tmp_path, guests=policy)
        world.calendars["ann"].server = Telling.CAN_BE_ASKED
        world.event("ann", summary="Talk", owner="ann@us.example", attendees=KIM)
        settled(world)
        world.now += timedelta(days=12)
        world.crm.edit(only(world), time=span(MON + timedelta(days=20)))
        (report,) = world.sync()
        assert (bool(world.calendars["ann"].outbox), report.waiting) == (policy == "tell", 0 if policy == "tell" else 1)
        world.store.close()


# -- whose answer it is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("answer", ["declined", "accepted"])
def test_each_employees_answer_is_that_of_the_own_copy(answer: str, order: tuple[str, str]) -> None:
    world = World(*order)
    asked = People([Participant(f"{n}@us.example", answer="needs-action") for n in ("ann", "bob")])
    for name in order:
        world.event(name, uid="theirs", owner="kim@acme.example", attendees=asked)
    settled(world)
    if answer == "declined":
        world.calendars["ann"].remove("e1")
    else:
        mine = People([Participant("ann@us.example", answer="accepted"), asked["bob@us.example"]])
        world.calendars["ann"].edit("e1", attendees=mine)
    settled(world)
    world.calendars["bob"].edit("e1", location="Elsewhere")
    settled(world)
    told = world.activities[0]["participants"]
    assert isinstance(told, People)
    assert {a: p.answer for a, p in told.items()} == {
        "ann@us.example": answer,
        "bob@us.example": "needs-action",
    }


# -- a calendar that was another for a while --------------------------------------------------------------------


def test_copies_of_a_calendar_that_is_back_do_not_undo_what_the_crm_has_done_meanwhile() -> None:
    world = World("ann")
    for number in range(2):
        world.appointment(f"a{number}", subject=f"Visit {number}", time=span(MON + timedelta(days=number)))
    world.quiet()
    replica = world.calendars["ann"]
    right = dict(replica.records)
    for ref in right:
        replica.remove(ref)
    world.now += timedelta(days=1)
    world.crm.edit("a0", location="L", notes="Bring the contract")
    world.crm.edit("a1", time=span(MON + timedelta(days=9)))
    settled(world)
    assert len(world.items("ann")) == 2
    world.now += timedelta(days=1)
    for ref in list(replica.records):
        replica.remove(ref)
    for ref, record in right.items():
        held = replica.put(f"{ref}-old", record.kind, record.fields, uid=record.uid, key=record.key)
        replica.records[f"{ref}-old"] = replace(held, modified=record.modified)
    settled(world)
    now = {str(a["subject"]): a for a in world.activities}
    assert (now["Visit 0"]["location"], now["Visit 0"]["notes"]) == ("L", "Bring the contract")
    assert now["Visit 1"]["time"] == span(MON + timedelta(days=9))
    shown = {str(i["summary"]): i for i in world.items("ann")}
    assert (shown["Visit 0"]["location"], shown["Visit 1"]["time"]) == ("L", span(MON + timedelta(days=9)))


# -- a mailbox that was put back --------------------------------------------------------------------------------


@pytest.mark.parametrize("private", [False, True])
def test_another_message_under_a_ref_that_was_given_out_already_is_that_other_one(private: bool) -> None:
    office = Office()
    office.deliver("m4", "Of Monday", "ann")
    office.sync(2)
    assert set(office.logged()) == {"Of Monday"}
    office.boxes["ann"].remove("m4")
    office.now += timedelta(hours=1)
    content = fields("Of Tuesday", office.now, text="other words")
    office.boxes["ann"].deliver("m4", content, owner="kim@acme.example", uid="m5@mail")
    if private:
        office.private("ann", "m4")
    office.sync(3)
    assert set(office.logged()) == ({"Of Monday"} if private else {"Of Monday", "Of Tuesday"})
    office.boxes["ann"].deliver(  # it waited in the queue
        "m9", fields("Of Monday", NOW - timedelta(hours=1), text="words"), owner="kim@acme.example", uid="m4@mail"
    )
    office.sync(3)
    assert len(office.crm.records) == (1 if private else 2)


# -- what stands twice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "cid"), ("cid", "ann")])
@pytest.mark.parametrize("edited", [False, True])
def test_a_colleague_who_is_added_in_the_crm_and_then_invited_has_the_meeting_once(
    edited: bool, order: tuple[str, str]
) -> None:
    world = World(*order)
    world.event("ann", uid="m", summary="Talk")
    world.quiet()
    world.crm.edit(only(world), participants=people("ann", "cid"))
    settled(world)
    assert len(world.items("cid")) == 1
    if edited:
        (copy,) = world.calendars["cid"].records
        world.calendars["cid"].edit(copy, location="Room 3")
    guests: dict[str, Any] = {"owner": "ann@us.example", "attendees": people("ann", "cid")}
    world.event("ann", uid="m", summary="Talk", **guests)
    world.event("cid", "c1", uid="m", summary="Talk", **guests)
    settled(world, 6)
    assert list(world.calendars["cid"].records) == ["c1"]
    assert [a["subject"] for a in world.activities] == ["Talk"]
    if edited:
        assert world.activities[0]["location"] == "Room 3"


def test_a_calendar_that_was_emptied_and_put_back_has_nothing_twice() -> None:
    world = World("ann")
    for number in range(20):
        world.event("ann", f"e{number}", summary=f"Own {number}", time=span(MON + timedelta(hours=number)))
    settled(world)
    replica = world.calendars["ann"]
    whole = dict(replica.records)
    for ref in whole:
        replica.remove(ref)
    world.sync()
    for ref, record in list(world.crm.records.items())[:12]:
        assert record.fields["status"] == "open"
        world.crm.edit(ref, location="New")
    settled(world)
    assert len(world.items("ann")) == 12
    for ref, record in whole.items():
        held = replica.put(ref, record.kind, record.fields, uid=record.uid, owner=record.owner)
        replica.records[ref] = replace(held, modified=record.modified)
    settled(world, 6)
    assert sorted(str(i["summary"]) for i in world.items("ann")) == sorted(f"Own {n}" for n in range(20))
    assert sum(i.get("location") == "New" for i in world.items("ann")) == 12
    assert len(world.activities) == 20


# -- an account under another name ------------------------------------------------------------------------------


def renamed(world: World, name: str) -> None:
    """Ann's account has another name from now on."""
    (old,) = [p for p in world.pairings if p.employee.id == "ann"]
    world.pairings = [replace(old, id=name), *(p for p in world.pairings if p is not old)]


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("bob", [False, True])
def test_what_became_private_while_its_account_was_renamed_is_taken_back(
    bob: bool, policy: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    renamed(world, "ann/work")
    world.event("ann", summary="Doctor", description="Words")
    settled(world)
    if bob:
        world.crm.edit(only(world), participants=people("ann", "bob"))
        settled(world)
    world.calendars["ann"].edit("e1", sensitivity="private")
    renamed(world, "ann/cloud")
    settled(world, 6)
    everywhere = repr([world.activities, world.items("bob"), world.crm.history])
    assert "Doctor" not in everywhere and "Words" not in everywhere
    assert [i["summary"] for i in world.items("ann")] == ["Doctor"]


@pytest.mark.parametrize("change", ["nothing", "private"])
@pytest.mark.parametrize("keeps", ["id", "nothing"])
def test_an_account_that_goes_to_a_successor_or_to_another_name_has_nothing_twice(keeps: str, change: str) -> None:
    """The same calendar, under another employee of the configuration: a leaver's, or one whose name has changed."""
    world = World("ann")
    renamed(world, "ann/work")
    world.event("ann", summary="Talk", description="Words")
    settled(world)
    (old,) = world.pairings
    who = Employee("ann" if keeps == "id" else "eve", ("eve@us.example", "ann@us.example")[: 2 if keeps == "id" else 1])
    world.pairings = [replace(old, id=f"{who.id}/new", employee=who)]
    if change == "private":
        world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    assert [a["subject"] for a in world.activities] == (["Talk"] if change == "nothing" else [])
    assert len(world.items("ann")) == 1
    world.calendars["ann"].edit("e1", sensitivity="public", location="There")
    settled(world)
    assert [(a["subject"], a["location"]) for a in world.activities] == [("Talk", "There")]
    world.calendars["ann"].remove("e1")
    settled(world)
    assert [a["status"] for a in world.activities] == ["rejected"]


@pytest.mark.parametrize("rests", ["private", "left out", "private in the CRM", "unreadable", "unready"])
@pytest.mark.parametrize("by", ["crm", "calendar"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
def test_what_rests_while_its_account_is_renamed_has_nothing_beside_it(
    policy: str, by: str, rests: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"privacy": {"private": policy}, "exclude": [{"category": ["Skip"]}]}
    world = with_mapping(World("ann"), tmp_path, **changes)
    renamed(world, "ann/work")
    if by == "crm":
        world.appointment(subject="Talk")
    else:
        world.event("ann", summary="Talk")
    settled(world)
    replica = world.calendars["ann"]
    (ref,) = replica.records
    if rests == "private":
        replica.edit(ref, sensitivity="private")
    elif rests == "left out":
        replica.edit(ref, categories=frozenset({"Skip"}))
    elif rests == "private in the CRM":
        world.crm.edit(only(world), private=True)
    settled(world)
    if rests in ("unreadable", "unready"):
        getattr(replica, rests).add(ref)
    before = len(world.activities)
    renamed(world, "ann/cloud")
    for _ in range(6):
        world.sync()
    assert (len(world.items("ann")), len(world.activities)) == (1, before)
    replica.unreadable.clear()
    replica.unready.clear()
    replica.edit(ref, sensitivity="public", categories=frozenset(), location="There")
    if rests == "private in the CRM":
        world.crm.edit(only(world), private=False)
    settled(world, 6)
    assert [(i["summary"], i["location"]) for i in world.items("ann")] == [("Talk", "There")]
    assert [(a["subject"], a["location"]) for a in world.activities] == [("Talk", "There")]


def test_what_was_deleted_when_it_was_over_does_not_come_back_under_another_name() -> None:
    world = World("ann")
    renamed(world, "ann/work")
    world.event("ann", summary="Of last week")
    settled(world)
    world.now += timedelta(days=8)
    world.calendars["ann"].remove("e1")
    settled(world)
    assert [a["status"] for a in world.activities] == ["open"]
    renamed(world, "ann/cloud")
    settled(world)
    assert world.items("ann") == []


# -- what a rehearsal says --------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["create", "update", "delete", "make private", "make public"])
def test_a_rehearsal_says_no_word_of_what_is_private(op: str) -> None:
    world = World("ann")
    for side, replica, name in (("crm", world.crm, "subject"), ("groupware", world.calendars["ann"], "summary")):
        key = {"crm": "private", "groupware": "sensitivity"}[side]
        hidden, shown = {"crm": (True, False), "groupware": ("private", "public")}[side]
        rehearsed = RehearsedReplica(replica, side)
        words: dict[str, Any] = {name: "Talk about Meier", key: shown if op == "make private" else hidden}
        held = replica.put("x", "event", words)
        if op == "create":
            rehearsed.create(words, "k", kind="event", uid="u", owner="")
        elif op == "delete":
            rehearsed.delete(held)
        else:
            changes = {"make private": {key: hidden}, "make public": {key: shown}}.get(op, {"location": "There"})
            rehearsed.update(held, changes)
        assert [p.title for p in rehearsed.planned] == ["(private)"]


# -- who is forgotten -------------------------------------------------------------------------------------------


def test_nothing_in_the_store_names_who_was_forgotten() -> None:
    """Not what was asked of the other calendars either, nor what a colleague's record says of where an entry was."""
    world = World("ann", "bob")
    beside(world)
    for number in range(3):
        world.event("ann", f"secret{number}", uid=f"u{number}", summary="Mine", time=span(MON + timedelta(days=number)))
    settled(world)
    for number, to in ((0, "bob"), (1, "home")):
        record = world.calendars["ann"].records[f"secret{number}"]
        world.calendars["ann"].remove(f"secret{number}")
        passed(world, "ann")  # it is asked for in the other calendar, and that is not read
        world.calendars[to].put(f"there{number}", "event", record.fields, uid=record.uid)
    passed(world, "bob")
    passed(world, "ann")
    passed(world, "bob")
    world.calendars["ann"].remove("secret2")
    passed(world, "ann")
    with world.store.reading() as tx:
        assert any("secret" in name for name in tx.settings(""))
    assert '"ann"' in repr(world.store.dump())
    with world.store.transaction() as tx:
        forget(tx, ["ann", "home"], [item_feed("ann"), item_feed("home")])
    left = repr(world.store.dump()).replace(seed_feed("crm", "ann"), "").replace(seed_feed("crm", "home"), "")
    assert "secret" not in left
    assert '"ann"' not in left and "'ann'" not in left


# -- what rests, and moves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ann", "home"), ("home", "ann")])
@pytest.mark.parametrize("rests", ["over", "left out", "ahead"])
@pytest.mark.parametrize("goes", ["home", "another ref", "nowhere"])
def test_what_rests_and_was_edited_in_the_crm_is_one_thing_when_it_moves(
    goes: str, rests: str, order: tuple[str, str], tmp_path: Path
) -> None:
    world = with_mapping(two_calendars("bob"), tmp_path, exclude=[{"category": ["Skip"]}])
    world.pairings.sort(key=lambda p: (p.id == "bob", p.id != order[0]))
    world.event("ann", uid="u", summary="Talk")
    settled(world)
    if rests == "over":
        world.now += timedelta(days=60)
    elif rests == "left out":
        world.calendars["ann"].edit("e1", categories=frozenset({"Skip"}))
    else:
        world.calendars["ann"].edit("e1", time=span(MON + timedelta(days=900)))
        settled(world)
    settled(world)
    world.crm.edit(only(world), notes="What we said")
    record = world.calendars["ann"].records["e1"]
    world.calendars["ann"].remove("e1")
    if goes != "nowhere":
        to = "home" if goes == "home" else "ann"
        world.calendars[to].put("e2", "event", record.fields, uid="u")
    settled(world, 6)
    there = {name: len(world.items(name)) for name in ("ann", "home")}
    if goes == "nowhere":
        assert there["home"] == 0
        assert there["ann"] == (0 if rests == "over" else 1)
    else:
        assert there == {"ann": int(goes != "home"), "home": int(goes == "home")}
    assert [(a["subject"], a["notes"]) for a in world.activities] == [("Talk", "What we said")]


@pytest.mark.parametrize("bob", [False, True])
@pytest.mark.parametrize(
    "again",
    [{"m4": 5}, {"m5": 4}, {"m4": 9, "m5": 4, "m6": 5}, {"m4": 5, "m5": 4}, {"m4": 9, "m5": 8}, {"m4": 5, "m5": 9}],
)
def test_a_mailbox_that_was_put_back_leaves_each_log_as_it_was(again: dict[str, int], bob: bool) -> None:
    office = Office()

    def deliver(box: str, ref: str, number: int) -> None:
        content = fields(f"Subject {number}", NOW - timedelta(hours=20 - number), text=f"Words {number}")
        office.boxes[box].deliver(ref, content, owner="kim@acme.example", uid=f"{number}@mail")

    for number in range(1, 6):
        for box in ("ann", *(["bob"] if bob else [])):
            deliver(box, f"m{number}", number)
    office.sync(3)
    for ref in ("m4", "m5"):
        office.boxes["ann"].remove(ref)
    for ref, number in again.items():
        deliver("ann", ref, number)
    for _ in range(4):
        for pairing in office.pairings:
            office.now += timedelta(minutes=1)
            run_pass(Context(pairing, office.store, Moment(office.now), b"k" * 32, office.pairings, full=True))
    told = sorted((str(r.fields["subject"]), str(r.fields["notes"])) for r in office.crm.records.values())
    numbers = sorted({*range(1, 6), *again.values()})
    assert told == [(f"Subject {n}", f"Words {n}") for n in numbers]


@pytest.mark.parametrize("who", ["the CRM", "the entry"])
def test_a_rehearsal_does_not_name_a_colleagues_copy_of_what_is_private_now(who: str) -> None:
    world = World("ann", "bob")
    world.event("ann", summary="Talk about Meier")
    settled(world)
    world.crm.edit(only(world), participants=people("ann", "bob"))
    settled(world)
    if who == "the CRM":
        world.crm.edit(only(world), private=True)
    else:
        world.calendars["ann"].edit("e1", sensitivity="private")
    pretending = rehearsed(world.pairings)
    copy = world.store.copy()
    said = []
    for _ in range(2):
        for pairing in pretending:
            world.now += timedelta(minutes=1)
            run_pass(Context(pairing, copy, Moment(world.now), b"k" * 32, pretending))
            said += planned(pairing)
    copy.close()
    assert said
    assert "Meier" not in repr([each.title for each in said])


# -- what never crossed -------------------------------------------------------------------------------------------


def test_what_the_crm_has_and_may_not_send_is_kept_when_the_copy_says_something_else(tmp_path: Path) -> None:
    up = {"location": {"from": "location", "direction": "to-crm"}}
    world = with_mapping(World("ann"), tmp_path, fields=up)
    world.appointment(subject="Talk", location="The CRM's room")
    settled(world)
    (copy,) = world.calendars["ann"].records
    assert not world.items("ann")[0].get("location")
    world.calendars["ann"].edit(copy, location="Ann's room")
    settled(world)
    assert world.activities[0]["location"] == "Ann's room"
    assert "The CRM's room" in repr(world.crm.history)
