"""What becomes of writes whose answer was lost: single cases that the soak of the property test found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.ports import Rejected, Stale
from tests.memory import MemoryCrm, crm
from tests.unit.test_cases import passed
from tests.unit.test_engine import MON, NOW, World, span


class Crash(BaseException):
    """The process ends here."""


def once(when: str, call: str, error: BaseException) -> Callable[[str, str], None]:
    """A gate that fails at the first such call."""
    left = [error]

    def gate(at: str, name: str) -> None:
        if (at, name) == (when, call) and left:
            raise left.pop()

    return gate


def crashed(world: World) -> None:
    with pytest.raises(Crash):
        world.sync()


def everything(world: World) -> str:
    hub = world.crm
    return repr([r.fields for r in hub.records.values()]) + repr(hub.history) + repr(world.items("ann"))


def test_words_typed_into_a_copy_are_not_lost_when_its_participants_are_brought_up_to_date() -> None:
    world = World("ann")
    ref = world.appointment(notes="From the CRM")
    world.quiet()
    (item,) = world.calendars["ann"].records
    text = str(world.calendars["ann"].records[item].fields.get("description") or "")
    world.calendars["ann"].edit(item, description=text.replace("From the CRM", "Typed by Ann"))
    world.crm.edit(ref, participants=People([Participant("bob@us.example", "Bob", "needs-action")]))
    world.crm.gate = once("before", "update", Crash())
    crashed(world)
    world.now += timedelta(hours=1)
    world.crm.edit(ref, notes="Typed in the CRM")
    world.quiet()
    assert "Typed by Ann" in everything(world) and "Typed in the CRM" in everything(world)


def test_our_own_cut_words_do_not_come_back_after_a_read_back_that_failed() -> None:
    hub = crm(lambda: NOW)
    hub.caps = replace(hub.caps, exact=False)
    hub.secretly = 14
    world = World("ann", hub=hub)
    world.event("ann", summary="Short")
    world.quiet()
    world.calendars["ann"].edit("e1", summary="A subject that is far too long")
    fetches = [0]

    def gate(when: str, call: str) -> None:
        if (when, call) == ("before", "update"):
            fetches[0] = 1
        elif (when, call) == ("after", "fetch") and fetches[0] == 1:
            fetches[0] = 2
            raise Stale("somebody was faster, it says")

    world.crm.gate = gate
    world.quiet()
    assert fetches[0] == 2
    assert [i["summary"] for i in world.items("ann")] == ["A subject that is far too long"]


def test_elements_that_arrived_before_the_crash_are_taken_back_as_ours() -> None:
    world = World("ann")
    world.event("ann", categories=frozenset({"Red"}))
    world.quiet()
    world.calendars["ann"].edit("e1", categories=frozenset({"Red", "Secret plan"}))
    world.crm.gate = once("after", "update", Crash())
    crashed(world)
    (ref,) = world.crm.records
    there = world.crm.records[ref].fields["categories"]
    world.crm.edit(ref, categories=frozenset({*there, "Blue"}))
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.quiet()
    assert "Secret plan" not in repr(world.activities)
    assert "Blue" in repr(world.activities)


def without_series() -> MemoryCrm:
    return crm(lambda: NOW, series=False)


@pytest.mark.parametrize("crash", [True, False])
def test_an_occurrence_edited_here_and_rejected_there_keeps_its_words(crash: bool) -> None:
    world = World("ann", hub=without_series())
    world.event("ann", recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    world.quiet()
    item = world.calendars["ann"].records["e1"]
    second = sorted(world.crm.records.values(), key=lambda r: str(r.fields["time"].start))[1]
    world.crm.edit(second.ref, status="rejected")
    key = "20261207T100000Z"
    overrides = {key: {"summary": "Only this once"}}
    edited = replace(item.fields["recurrence"], overrides=overrides)
    world.calendars["ann"].edit("e1", recurrence=edited)
    if crash:
        world.calendars["ann"].gate = once("after", "update", Crash())
        crashed(world)
    world.quiet()
    assert key in world.items("ann")[0]["recurrence"].exdates  # type: ignore[attr-defined]
    assert "Only this once" in repr(world.activities) + repr(world.crm.history)


def test_an_intent_that_cannot_be_asked_about_stops_nobody_else() -> None:
    world = World("ann")
    world.event("ann", "e1")
    world.event("ann", "e2", time=span(hours=2))
    world.quiet()
    world.calendars["ann"].edit("e1", summary="One")
    world.crm.gate = once("after", "update", Crash())
    crashed(world)
    world.calendars["ann"].edit("e2", summary="Two")
    refuse = [True]

    def gate(when: str, call: str) -> None:
        if (when, call) == ("before", "fetch") and refuse:
            refuse.clear()
            raise Rejected("not now")

    world.crm.gate = gate
    world.sync()
    assert "Two" in {a["subject"] for a in world.activities}
    world.quiet()
    assert {a["subject"] for a in world.activities} == {"One", "Two"}


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_a_crash_right_after_taking_back_does_not_empty_the_calendar(commit: int) -> None:
    world = World("ann")
    world.event("ann", summary="Dentist")
    world.quiet()
    (ref,) = world.crm.records
    world.crm.edit(ref, location="Room 7")
    world.calendars["ann"].edit("e1", sensitivity="private")

    commits = [0]

    def watch(moment: str) -> None:
        commits[0] += moment == "before commit" and any(w.op == "redact" for w in world.crm.log)
        if commits[0] == commit:
            world.watch = lambda moment: None
            raise Crash

    world.watch = watch
    crashed(world)
    world.calendars["ann"].edit("e1", sensitivity="public")
    world.crm.edit(ref, location="Room 8")
    world.quiet()
    assert world.items("ann")[0]["summary"] == "Dentist"
    assert world.activities[0]["subject"] == "Dentist" and world.activities[0]["status"] == "open"


def test_next_weeks_occurrence_is_no_successor_of_a_rejected_one() -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    world.event("ann", time=span(NOW), recurrence=Recurrence("FREQ=WEEKLY"))
    world.quiet()
    before = set(world.crm.records)
    last = max(before, key=lambda ref: world.crm.records[ref].fields["time"].start)
    when = world.crm.records[last].fields["time"]
    world.crm.edit(last, status="rejected", notes="Typed in the CRM")
    world.calendars["ann"].gate = once("after", "update", Crash())
    crashed(world)
    world.now += timedelta(days=7)
    world.quiet()
    assert world.crm.records[last].fields["time"] == when
    assert world.crm.records[last].fields["notes"] == "Typed in the CRM"
    assert set(world.crm.records) > before


def test_a_copy_out_of_the_trash_does_not_replace_what_the_crm_says_now() -> None:
    """It comes back in the instant in which it is made again, with the words of then."""
    world = World("ann")
    ref = world.appointment(location="Room 1")
    world.quiet()
    (record,) = world.calendars["ann"].records.values()
    world.calendars["ann"].remove(record.ref)
    world.crm.edit(ref, location="Room 2")

    def gate(when: str, call: str) -> None:
        if (when, call) == ("before", "create"):
            world.calendars["ann"].bring_back(record, same_version=False)

    world.calendars["ann"].gate = gate
    world.quiet()
    assert "Room 2" in everything(world)
    assert world.activities[0]["location"] == world.items("ann")[0]["location"]


@pytest.mark.parametrize("commit", range(1, 12))
@pytest.mark.parametrize("first", [True, False])
def test_whichever_commit_is_not_made_what_was_announced_still_crosses(commit: int, first: bool) -> None:
    """Cursor and announcements of a page are one transaction (design §5, fine print 1); no full comparison helps."""
    world = World("ann")
    if not first:
        world.event("ann", "before")
        world.quiet()
    world.event("ann", "e1", summary="New", time=span(MON + timedelta(days=2)))
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
    world.sync()
    world.sync()
    assert "New" in {a["subject"] for a in world.activities}
    world.quiet()


def at_once(when: str, call: str, act: Callable[[], None]) -> Callable[[str, str], None]:
    """A gate at which a person acts, at the first such call."""
    left = [act]

    def gate(at: str, name: str) -> None:
        if (at, name) == (when, call) and left:
            left.pop()()

    return gate


def test_what_is_announced_anew_while_it_is_settled_is_settled_again() -> None:
    world = World("ann", "bob")
    ref = world.appointment(participants=People([Participant("bob@us.example")]))
    world.quiet()
    world.crm.edit(ref, subject="First")

    def meanwhile() -> None:
        world.crm.edit(ref, subject="Second")
        passed(world, "bob")  # reads the feed that both share

    world.calendars["ann"].gate = at_once("before", "update", meanwhile)
    passed(world, "ann")
    passed(world, "ann")
    assert [i["summary"] for i in world.items("ann")] == ["Second"]


def test_what_a_person_types_before_our_write_is_read_back_is_no_servers_shaping() -> None:
    world = World("ann")
    ref = world.appointment(subject="Visit")
    world.quiet()
    replica = world.calendars["ann"]
    replica.silent = True
    (item,) = replica.records
    world.crm.edit(ref, subject="Visit ACME")
    replica.gate = at_once("after", "update", lambda: replica.edit(item, summary="Typed by Ann"))
    world.sync()
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Typed by Ann"]
    assert [i["summary"] for i in world.items("ann")] == ["Typed by Ann"]


def test_an_item_that_is_deleted_before_its_create_is_accounted_for_takes_the_activity_along() -> None:
    world = World("ann")
    world.event("ann")
    world.crm.gate = once("after", "create", Crash())
    crashed(world)
    world.calendars["ann"].remove("e1")
    world.sync()
    world.sync()
    assert [a["status"] for a in world.activities] == ["rejected"]


def test_what_a_person_types_between_our_reading_and_our_writing_is_not_overwritten() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    (ref,) = world.crm.records
    world.calendars["ann"].edit("e1", summary="In the calendar")
    world.now += timedelta(hours=1)
    world.crm.gate = at_once("after", "fetch", lambda: world.crm.edit(ref, subject="In the CRM"))
    world.sync()
    world.sync()
    assert "In the CRM" in everything(world) and "In the calendar" in everything(world)


def test_who_attends_waits_until_the_organisers_create_is_accounted_for() -> None:
    world = World("ann", "bob")
    people = People([Participant("ann@us.example"), Participant("bob@us.example")])
    for who in ("ann", "bob"):
        world.event(who, f"{who}1", uid="u", owner="ann@us.example", attendees=people)
    world.crm.gate = once("before", "create", Crash())
    crashed(world)
    world.pairings.reverse()  # Bob is first
    world.sync()
    with world.store.reading() as tx:
        assert [k.rest for k in tx.links_by_item("bob", ["bob1"])] in ([], [""])
    world.quiet()
    assert len(world.activities) == 1
