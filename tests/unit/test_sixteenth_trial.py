"""What fresh minds found in a sixteenth trial, and what is of its kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.builtin import BuiltinCrm
from syncd.crm.database import Crm
from syncd.engine.digest import uid_digest
from syncd.engine.pairing import Employee, Pairing
from syncd.mail.folders import chosen
from syncd.mapping.loader import load, shipped
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.ports import Capabilities, Telling
from syncd.service.runner import run_one
from syncd.store import Store
from tests.memory import MemoryReplica, calendar
from tests.stores import new_store
from tests.unit.test_cases import lens, nothing_is_parked, only, passed, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span
from tests.unit.test_sixth_trial import hand_over, people
from tests.unit.test_thirteenth_trial import KIM

PAIR = [("ann", "bob"), ("bob", "ann")]


# -- an appointment and a task of one UID -----------------------------------------------------------------------------


def with_tasks(world: World, tmp_path: Path, policy: str, first: str) -> World:
    """The world with a task list beside Ann's calendar."""
    world = with_mapping(world, tmp_path, privacy={"private": policy})
    world.crm.caps = replace(world.crm.caps, kinds=frozenset({"appointment", "task"}))
    (ann,) = world.pairings
    tasks = MemoryReplica("tasks", Capabilities(frozenset({"todo"})), lambda: world.now)
    world.calendars["tasks"] = tasks
    listed = replace(ann, id="tasks", replica=tasks, lens=load(shipped()["tasks"]))
    world.pairings = [ann, listed] if first == "ann" else [listed, ann]
    return world


def told(world: World) -> list[tuple[str, object, object]]:
    return sorted((r.kind, r.fields["subject"], r.fields["status"]) for r in world.crm.records.values())


@pytest.mark.parametrize("first", ["ann", "tasks"])
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("guests", [(), (KIM,)])
@pytest.mark.parametrize("act", ["", "event private", "task private", "event gone", "task gone", "store lost", "done"])
def test_an_appointment_and_a_task_of_one_uid_are_two_things(
    first: str, policy: str, guests: tuple[str, ...], act: str, tmp_path: Path
) -> None:
    """A program that exports both under the number of a ticket."""
    world = with_tasks(World("ann"), tmp_path, policy, first)
    invited = People([Participant(g) for g in guests])
    by = "ann@us.example" if guests else ""
    world.event("ann", uid="ticket-7", owner=by, summary="Visit", description="of the visit", attendees=invited)
    fields = {"summary": "Prepare", "description": "of the task", "due": date(2026, 12, 4), "status": "needs-action"}
    fields |= {"sensitivity": "public", "attendees": invited}
    world.calendars["tasks"].put("t", "todo", fields, uid="ticket-7", owner=by)
    settled(world)
    both = [("appointment", "Visit", "open"), ("task", "Prepare", "open")]
    assert told(world) == both
    if act == "event private":
        world.calendars["ann"].edit("e1", sensitivity="private")
    elif act == "task private":
        world.calendars["tasks"].edit("t", sensitivity="private")
    elif act == "event gone":
        world.calendars["ann"].remove("e1")
    elif act == "task gone":
        world.calendars["tasks"].remove("t")
    elif act == "store lost":
        world.store = new_store()
    elif act == "done":
        world.calendars["tasks"].edit("t", status="completed", percent=100)
    settled(world)
    world.sync(full=True)
    settled(world)
    said = repr([(r.kind, dict(r.fields)) for r in world.crm.records.values()])
    if act == "event private" and policy != "full":
        assert "of the visit" not in said and ("task", "Prepare", "open") in told(world)
    elif act == "task private":
        assert "of the task" not in said and told(world) == both[:1]
    elif act in ("event gone", "task gone", "done"):
        ended = {"event gone": "rejected", "task gone": "rejected", "done": "completed"}[act]
        kind = "appointment" if act == "event gone" else "task"
        assert told(world) == [(k, s, ended if k == kind else "open") for k, s, _ in both]
    else:
        assert [(k, s) for k, s, _ in told(world)] == [(k, s) for k, s, _ in both]
    world.quiet()


# -- what a colleague has typed on a copy that is taken back -----------------------------------------------------------


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("history", [True, False])
def test_what_was_typed_on_a_copy_as_the_crm_made_its_activity_private_is_kept(
    order: tuple[str, ...], weekly: bool, history: bool
) -> None:
    world = World(*order)
    world.crm.caps = replace(world.crm.caps, history=history)
    series: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")} if weekly else {}
    world.appointment("a1", subject="Visit", notes="Agenda", participants=people("bob"), **series)
    settled(world)
    (ref,) = world.calendars["bob"].records
    world.calendars["bob"].edit(ref, description="Minutes of Bob", location="There")
    world.crm.edit("a1", private=True, subject="Secret")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert world.items("bob") == []
    kept = repr(world.crm.history) + repr(dict(world.crm.records["a1"].fields))
    assert "Minutes of Bob" in kept and "There" in kept
    assert world.crm.records["a1"].fields["subject"] == "Secret" and world.crm.records["a1"].fields["private"]
    assert [i["summary"] for i in world.items("ann")] == ["Secret"]
    assert "Secret" not in repr(world.calendars["bob"].log)
    world.quiet()


# -- a private one that was dragged to a colleague ---------------------------------------------------------------------


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("shown", ["public", "later"])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("by", ["crm", "calendar"])
def test_what_its_owner_has_dragged_to_a_colleague_is_deleted_by_nobody_though_it_is_private_in_the_crm(
    order: tuple[str, ...], shown: str, between: bool, weekly: bool, by: str
) -> None:
    world = World(*order)
    series: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")} if weekly else {}
    if by == "crm":
        world.appointment(subject="Visit", private=True, **series)
    else:
        world.event("ann", summary="Visit", **series)
    settled(world)
    if by == "calendar":
        world.crm.edit(only(world), private=True)
        settled(world)
    ((ref, held),) = world.calendars["ann"].records.items()
    world.calendars["ann"].remove(ref)
    if between:
        world.sync()
    bob = world.calendars["bob"]
    sensitivity = "public" if shown == "public" else "private"
    bob.put("m1", "event", {**held.fields, "sensitivity": sensitivity}, uid=held.uid)
    settled(world)
    world.now += timedelta(days=1)
    bob.edit("m1", sensitivity="public", description="Words of Bob")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert [(i["summary"], i["description"]) for i in world.items("bob")] == [("Visit", "Words of Bob")]
    assert world.items("ann") == []
    world.quiet()


# -- a question that is settled otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("act", ["", "deleted", "invites", "retitled", "private"])
def test_what_becomes_of_what_was_dragged_to_a_colleague_before_he_is_known_to_have_it(
    order: tuple[str, ...], policy: str, act: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    world.event("ann", uid="u", summary="Visit")
    world.quiet()
    ann, bob = world.calendars["ann"], world.calendars["bob"]
    held = ann.records["e1"]
    ann.remove("e1")
    bob.put("m1", "event", dict(held.fields), uid="u")
    world.sync()  # where Bob is read first, Ann's calendar is asked
    if act == "deleted":
        bob.remove("m1")
    elif act == "invites":
        bob.edit("m1", attendees=People([Participant("bob@us.example"), Participant(KIM)]))
        bob.records["m1"] = replace(bob.records["m1"], owner="bob@us.example")
    elif act == "retitled":
        bob.edit("m1", summary="Other", time=span(MON + timedelta(days=1)))
    elif act == "private":
        bob.edit("m1", sensitivity="private")
    settled(world)
    world.sync(full=True)
    settled(world)
    open_ = [a for a in world.activities if a["status"] == "open"]
    blocks = [a for a in open_ if a["subject"] != "Visit" and act == "private"]
    readable = [a for a in open_ if a not in blocks and not a.get("private")]
    assert len(readable) == (0 if act in ("deleted", "private") else 1)
    assert not [s for s, _ in world.store.dump()["setting"] if str(s).startswith(("question", "moving"))]
    world.quiet()


# -- what guests are told under `tell` ---------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [Telling.TELLS, Telling.CAN_BE_ASKED])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("then", ["taken out", "private", "handed over", "somebody is added", "called off", "moved"])
def test_under_tell_guests_of_a_copy_hear_what_somebody_has_said_and_nothing_else(
    server: Telling, weekly: bool, then: str, tmp_path: Path
) -> None:
    """Bob has invited a customer from his copy of a meeting of Ann's."""
    world = with_mapping(World("ann", "bob", "cid"), tmp_path, guests="tell")
    for each in world.calendars.values():
        each.server = server
    series: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")} if weekly else {}
    world.appointment("a1", subject="Visit", notes="Agenda", participants=people("bob"), **series)
    settled(world)
    bob = world.calendars["bob"]
    (ref,) = bob.records
    bob.edit(ref, attendees=People([Participant("bob@us.example"), Participant(KIM)]))
    bob.records[ref] = replace(bob.records[ref], owner="bob@us.example")
    settled(world)
    assert bob.outbox == []
    if then == "taken out":
        world.crm.edit("a1", participants=people())
    elif then == "private":
        world.crm.edit("a1", private=True)
    elif then == "handed over":
        hand_over(world, "a1", "bob")
    elif then == "somebody is added":
        world.crm.edit("a1", participants=people("bob", "cid"))
    elif then == "called off":
        world.crm.edit("a1", status="rejected")
    else:
        world.crm.edit("a1", time=span(MON + timedelta(days=1)))
    settled(world)
    world.sync(full=True)
    settled(world)
    meant = {"called off": [(ref, "update")], "moved": [(ref, "update")]}
    assert bob.outbox == meant.get(then, [])
    if then in ("taken out", "private"):  # where the server would tell them, it waits for Bob
        assert (world.items("bob") == []) is (server is Telling.CAN_BE_ASKED)
    nothing_is_parked(world)
    world.quiet()


# -- what lies below a folder of which nothing crosses -----------------------------------------------------------------


@pytest.mark.parametrize("delimiter", ["/", "."])
@pytest.mark.parametrize("excluded", ["Family", "family", "\\Archive", "Fam*"])
def test_below_an_excluded_folder_nothing_is_read(delimiter: str, excluded: str) -> None:
    archive = "Archive" if excluded == "\\Archive" else "Family"
    names = ["INBOX", archive, f"{archive}{delimiter}Kids", f"{archive}{delimiter}Kids{delimiter}School", "Familiar"]
    listed = [(frozenset[str](), delimiter, name) for name in names]
    found = {f.name: f.excluded for f in chosen(listed, ["*"], [excluded])}
    below = [n for n in names if n.startswith(f"{archive}{delimiter}")]
    assert all(found[name] for name in [archive, *below])
    assert not found["INBOX"] and found["Familiar"] is (excluded == "Fam*")


def test_an_excluded_inbox_is_not_all_that_a_server_keeps_below_it() -> None:
    listed = [(frozenset[str](), ".", name) for name in ("INBOX", "INBOX.Sent", "INBOX.Work")]
    assert [f.name for f in chosen(listed, ["*"], ["INBOX"]) if not f.excluded] == ["INBOX.Sent", "INBOX.Work"]


# -- the name of what follows ------------------------------------------------------------------------------------------


AT = {"starts": "20261201T100000Z", "ends": "20261201T110000Z"}


def company(folder: Path, url: str = "sqlite://") -> Crm:
    """A CRM that knows Ann and Bob."""
    base = Crm.open(url, lambda: datetime(2026, 11, 24, 12, tzinfo=UTC))
    sheet = folder / "employees.csv"
    sheet.write_text("id,name,address\nann,Ann,ann@us.example\nbob,Bob,bob@us.example\n", encoding="utf-8")
    base.import_csv("employees", sheet)
    return base


@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("owner", ["ann", "bob"])
@pytest.mark.parametrize("edited", [False, True])
def test_what_follows_an_entry_loses_the_name_that_it_has_of_it_when_that_becomes_private(
    policy: str, owner: str, edited: bool, tmp_path: Path
) -> None:
    base = company(tmp_path)
    world = World("ann", hub=None)
    replica = calendar("ann", lambda: world.now)
    world.calendars["ann"] = replica
    made = lens(tmp_path, privacy={"private": policy})
    world.pairings = [Pairing("ann", Employee("ann", ("ann@us.example",)), replica, BuiltinCrm(base), "crm", made)]
    world.event("ann", uid="u", summary="Job interview")
    settled(world)
    ((guid, first),) = {a.guid: a for a in base.search(text="Job", viewer="ann")}.items()
    assert first.subject == "Job interview"
    follows = base.create("task", {"subject": "Job interview", "owner": owner}, by="ann", follows=("appointment", guid))
    named = base.create("task", {"subject": "Prepare", "owner": "bob"}, by="ann", follows=("appointment", guid))
    second = base.create("call", {"subject": "Job interview", "owner": "bob"}, by="bob", follows=("task", follows.guid))
    if edited:
        base.edit(follows.guid, {"subject": "Something"}, by=owner)
        base.edit(follows.guid, {"subject": "Job interview"}, by=owner)
    replica.edit("e1", sensitivity="private")
    settled(world)
    seen = [base.get(f.guid, viewer="bob") for f in (named, second)]
    assert [a.subject for a in seen] == ["Prepare", "Follow-up"]
    assert "interview" not in repr([base.history(f.guid, viewer="bob") for f in (second,)])
    if owner == "bob":
        assert base.get(follows.guid, viewer="bob").subject == "Follow-up"
        assert "interview" not in repr(base.history(follows.guid, viewer="bob"))
    elif policy == "full":  # her own is private, too, and keeps its name
        assert base.get(follows.guid, viewer="ann").subject == "Job interview"
        assert base.get(follows.guid, viewer="ann").private
    assert not base.search(text="interview", viewer="bob")


# -- three faults that no test noticed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["location", "notes"])
def test_what_is_over_and_was_cleared_away_does_not_come_back_with_an_edit_of_the_crm(edit: str) -> None:
    world = World("ann")
    world.event("ann", summary="Visit")
    settled(world)
    world.now += timedelta(days=8)  # it is over
    world.crm.edit(only(world), **{edit: "Written afterwards"})
    world.calendars["ann"].remove("e1")
    settled(world)
    world.sync(full=True)
    settled(world)
    assert world.items("ann") == []
    assert [(a["subject"], a[edit]) for a in world.activities] == [("Visit", "Written afterwards")]


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize(("days", "one"), [(2, True), (12, True), (20, False)])
def test_what_moves_to_a_colleague_some_days_later_is_the_same(order: tuple[str, ...], days: int, one: bool) -> None:
    """Out of the trash, or of a mail with the file."""
    world = World(*order)
    world.event("ann", uid="u", summary="Visit", time=span(MON + timedelta(days=60)))
    settled(world)
    world.calendars["ann"].remove("e1")
    settled(world)
    world.now += timedelta(days=days)
    settled(world)
    world.event("bob", "b1", uid="u", summary="Visit", time=span(MON + timedelta(days=60)))
    settled(world)
    assert len(world.activities) == (1 if one else 2)
    assert [a["status"] for a in world.activities].count("open") == 1


# -- a second round ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [*Telling])
@pytest.mark.parametrize("what", ["time", "location"])
@pytest.mark.parametrize("guests", ["wait", "quiet"])
@pytest.mark.parametrize("colleague", [False, True])
def test_what_waits_for_guests_of_a_copy_does_not_bring_back_what_its_owner_has_called_off(
    server: Telling, what: str, guests: str, colleague: bool, tmp_path: Path
) -> None:
    world = with_mapping(World("ann", "bob"), tmp_path, guests=guests)
    ann = world.calendars["ann"]
    ann.server = server
    world.appointment("a1", subject="Visit", participants=people(*(["bob"] if colleague else [])))
    settled(world)
    (ref,) = ann.records
    ann.edit(ref, attendees=People([Participant("ann@us.example"), Participant(KIM)]))
    ann.records[ref] = replace(ann.records[ref], owner="ann@us.example")
    settled(world)
    world.crm.edit("a1", **{what: span(MON + timedelta(days=1)) if what == "time" else "There"})
    settled(world)
    world.now += timedelta(days=1)
    world.sync(full=True)
    ann.remove(ref)  # her client tells them
    settled(world)
    world.sync(full=True)
    settled(world)
    assert world.items("ann") == []
    assert [a["status"] for a in world.activities] == ["rejected"]
    assert ann.outbox == []
    world.quiet()


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann"), ("ann", "bob", "cid"), ("cid", "bob", "ann")])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("then", ["he deletes his", "he is taken out", "his is private too"])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("typed", ["", "same field", "another field"])
def test_what_somebody_typed_on_her_copy_goes_with_the_last_that_shows_it_once_hers_is_private(
    order: tuple[str, ...], policy: str, then: str, at_once: bool, typed: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    others = [n for n in order if n != "ann"]
    world.appointment("a1", subject="Visit", participants=people(*others))
    settled(world)
    ann = world.calendars["ann"]
    (hers,) = ann.records
    ann.edit(hers, description="Words of Ann", categories=frozenset({"Doctor"}))
    settled(world)
    if typed:
        (his,) = world.calendars["bob"].records
        words = {"description": "Words of Ann\nand of Bob"} if typed == "same field" else {"location": "Room of Bob"}
        world.calendars["bob"].edit(his, **words)
        settled(world)
    ann.edit(hers, sensitivity="private")
    if not at_once:
        settled(world)
    left = list(others)
    for name in others:
        (his,) = world.calendars[name].records
        if then == "he deletes his":
            world.calendars[name].remove(his)
        elif then == "his is private too":
            world.calendars[name].edit(his, sensitivity="private")
        else:
            left.remove(name)
            world.crm.edit("a1", participants=people(*left))
        if not at_once:
            settled(world)
    settled(world)
    world.sync(full=True)
    settled(world)
    said = repr([dict(r.fields) for r in world.crm.records.values()]) + repr(world.crm.history)
    assert "Words of Ann" not in said and "Doctor" not in said
    if typed == "another field" and then != "his is private too":
        assert "Room of Bob" in said
    (item,) = world.items("ann")
    assert str(item["description"]).startswith("Words of Ann" + "\nand of Bob" * (typed == "same field"))
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("before", ["public", "private"])
@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("by", ["ann@us.example", KIM])
@pytest.mark.parametrize("after", ["withhold", "busy-only"])
def test_of_what_several_have_as_private_nothing_is_left_when_the_policy_becomes_stricter(
    order: tuple[str, ...], before: str, noted: bool, by: str, after: str, tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": "full"})
    for name in order:
        world.calendars[name].put(
            name,
            "event",
            {
                "summary": "Visit",
                "location": "Known place",
                "time": span(),
                "status": "confirmed",
                "sensitivity": before,
                "attendees": People([Participant("ann@us.example"), Participant("bob@us.example")]),
            },
            uid="u",
            owner=by,
        )
    settled(world)
    for name in order:
        world.calendars[name].edit(name, sensitivity="private")
    settled(world)
    if noted:
        for ref in list(world.crm.records):
            world.crm.edit(ref, priority=2)
        settled(world)
    made = lens(tmp_path, privacy={"private": after})
    world.pairings = [replace(p, lens=made) for p in world.pairings]
    settled(world)
    world.sync(full=True)
    settled(world)
    said = repr([dict(r.fields) for r in world.crm.records.values()]) + repr(world.crm.history)
    assert "Visit" not in said and "Known place" not in said
    world.quiet()


@pytest.mark.parametrize("chain", [False, True])
def test_what_follows_loses_a_name_that_the_entry_had_before_too(chain: bool, tmp_path: Path) -> None:
    base = company(tmp_path)
    entry = base.create("appointment", {"subject": "Dismissal", "owner": "ann", **AT}, by="ann")
    first = base.create("task", {"subject": "Dismissal", "owner": "bob"}, by="ann", follows=("appointment", entry.guid))
    second = base.create("task", {"subject": "Dismissal", "owner": "bob"}, by="bob", follows=("task", first.guid))
    if chain:  # a name of its own in between
        base.edit(first.guid, {"subject": "Call somebody"}, by="bob")
    else:
        base.edit(entry.guid, {"subject": "Talk"}, by="ann")
    base.edit(entry.guid, {"private": True}, by="ann")
    said = repr([(base.get(f.guid, viewer="bob"), base.history(f.guid, viewer="bob")) for f in (first, second)])
    assert "Dismissal" not in said
    assert base.get(first.guid, viewer="bob").subject == ("Call somebody" if chain else "Follow-up")


@pytest.mark.either
def test_what_is_taken_back_goes_from_the_files_too_while_they_are_open(tmp_path: Path) -> None:
    base = company(tmp_path, f"sqlite:///{tmp_path}/crm.db")
    world = World("ann")
    world.store = Store.open(f"sqlite:///{tmp_path}/store.db")
    (ann,) = world.pairings
    ann = replace(ann, crm=BuiltinCrm(base))
    replica = world.calendars["ann"]
    world.event("ann", summary="Interview", description="Zebra crossing")

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()) if ".db" in path.name)

    def sync() -> None:
        world.now += timedelta(minutes=5)
        assert not run_one(ann, [ann], world.store, b"k" * 32, world.now).failed

    sync()
    sync()
    assert b"Interview" in files()
    replica.edit("e1", sensitivity="private")
    sync()
    assert b"Interview" not in files() and b"Zebra" not in files()
    world.store.close()
    base.close()


# -- a third round -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("part", [(), ("bob",)])
@pytest.mark.parametrize("change", [{"location": "Room 7"}, {"description": "Minutes"}, {"summary": "Visits"}])
@pytest.mark.parametrize("full", [False, True])
def test_what_an_edit_has_made_again_goes_when_its_owner_deletes_it(
    order: tuple[str, ...], part: tuple[str, ...], change: dict[str, str], full: bool
) -> None:
    """It had people whom the one that was made in its place has not: that is no edit of the CRM's."""
    world = World(*order)
    world.appointment("a1", subject="Visit", participants=people(*part))
    settled(world)
    ann = world.calendars["ann"]
    (ref,) = ann.records
    ann.edit(ref, **change)
    world.crm.remove("a1")
    settled(world)
    if full:
        world.now += timedelta(days=1)
        world.sync(full=True)
        settled(world)
    (ref,) = ann.records
    ann.remove(ref)
    settled(world)
    assert world.items("ann") == []
    assert [a["status"] for a in world.activities] == ["rejected"]
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("change", [{"location": "Clinic"}, {"description": "Clinic\nAgenda"}, {"summary": "Clinic"}])
def test_under_full_what_a_participant_types_on_his_private_copy_is_his_alone(
    order: tuple[str, ...], weekly: bool, at_once: bool, change: dict[str, str], tmp_path: Path
) -> None:
    world = with_mapping(World(*order), tmp_path, privacy={"private": "full"})
    series: dict[str, Any] = {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")} if weekly else {}
    world.appointment("a1", subject="Visit", notes="Agenda", location="", participants=people("bob"), **series)
    settled(world)
    bob = world.calendars["bob"]
    (ref,) = bob.records
    bob.edit(ref, sensitivity="private")
    if not at_once:
        settled(world)
    bob.edit(ref, **change)
    settled(world)
    world.sync(full=True)
    settled(world)
    assert "Clinic" in repr(world.items("bob"))
    assert "Clinic" not in repr(world.items("ann")) + repr(world.activities) + repr(world.crm.history)
    world.crm.edit("a1", time=span(MON + timedelta(days=1)))
    settled(world)
    assert [i["time"] for i in world.items("bob")] == [span(MON + timedelta(days=1))]
    assert "Clinic" in repr(world.items("bob"))
    bob.edit(ref, sensitivity="public")
    settled(world)
    assert "Clinic" in repr(world.items("ann")) and "Clinic" in repr(world.activities)
    world.quiet()


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_activities_that_follow_each_other_lose_the_name_once(owner: str, tmp_path: Path) -> None:
    base = company(tmp_path)
    entry = base.create("appointment", {"subject": "Dismissal", "owner": "ann", **AT}, by="ann")
    first = base.create("task", {"subject": "Dismissal", "owner": owner}, by="ann", follows=("appointment", entry.guid))
    base.follow(("task", first.guid), ("appointment", entry.guid), by="ann")
    base.edit(entry.guid, {"private": True, "subject": "Something else"}, by="ann")
    found = base.get(first.guid, viewer=owner)
    assert (found.subject, found.private) == (("Dismissal", True) if owner == "ann" else ("Follow-up", False))
    assert base.search(text="Dismissal", viewer="ann" if owner == "bob" else "bob") == []


@pytest.mark.parametrize("full", [False, True])
def test_a_task_that_an_earlier_release_has_claimed_as_an_appointment_is_known_where_it_moves_to(
    full: bool, tmp_path: Path
) -> None:
    world = with_tasks(World("ann"), tmp_path, "withhold", "ann")
    listed = next(p for p in world.pairings if p.id == "tasks")
    other = MemoryReplica("other", Capabilities(frozenset({"todo"})), lambda: world.now)
    world.calendars["other"] = other
    world.pairings.append(replace(listed, id="other", replica=other, default=False))
    fields = {"summary": "Prepare", "due": date(2026, 12, 4), "status": "needs-action", "sensitivity": "public"}
    world.calendars["tasks"].put("t", "todo", fields, uid="u")
    settled(world)
    with world.store.transaction() as tx:
        (row,) = tx.rows_by_ref("crm", [only(world)]).values()
        tx.set_row(row.id, claim=uid_digest(b"k" * 32, "u\0\0ann", ""))
    world.calendars["tasks"].remove("t")
    other.put("t2", "todo", fields, uid="u")
    for pairing in ("other", "tasks", "other"):
        passed(world, pairing, full=full)
    settled(world)
    assert told(world) == [("task", "Prepare", "open")] and len(world.items("other")) == 1
    world.quiet()
