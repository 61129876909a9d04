"""What a fresh mind found in a fifteenth trial, and what is of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from syncd.mapping.loader import load, shipped
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.ports import Page
from tests.memory import MemoryReplica, calendar
from tests.stores import new_store
from tests.unit.test_cases import only, with_mapping
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span
from tests.unit.test_fourteenth_trial import CAL
from tests.unit.test_sixth_trial import hand_over, renamed
from tests.unit.test_thirteenth_trial import KIM, ORDERS, invited, meeting

PAIR = [("ann", "bob"), ("bob", "ann")]


def again(world: World) -> None:
    settled(world)
    world.sync(full=True)
    settled(world)


def bobs_answer(world: World) -> str:
    """What he has answered, as the only activity says it."""
    (activity,) = world.activities
    people = activity["participants"]
    assert isinstance(people, People)
    return people["bob@us.example"].answer


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
        moved = span(MON + timedelta(days=1))
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


class NamesWhatWent(MemoryReplica):
    """A server whose first listing names what was there once, as Radicale's does."""

    def changes(self, cursor: str) -> Iterator[Page]:
        there = {ref for _, ref in self.feed}
        for page in super().changes(cursor):
            went = [self._change(ref) for ref in sorted(there - set(self.records))] if not cursor else []
            yield replace(page, changes=[*page.changes, *went])


@pytest.mark.parametrize("server", ["names what went", "names what is there"])
@pytest.mark.parametrize("names", [("job",), ("job", "work"), ("job", "work", "job")])
@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("second", ["", "before", "after"])
@pytest.mark.parametrize("others", [1, 12])
def test_an_account_that_has_other_names_in_turn_keeps_what_it_knows(
    server: str, names: tuple[str, ...], passes: int, second: str, others: int
) -> None:
    """`passes`: between two names; `second`: another calendar of hers is there with the last name, before or after it,
    and takes what comes from the CRM."""
    world = World("ann", "bob")
    if server == "names what went":
        made = NamesWhatWent("ann", world.calendars["ann"].caps, lambda: world.now)
        world.calendars["ann"] = made
        world.pairings[0] = replace(world.pairings[0], replica=made)
    renamed(world, "work")
    for number in range(others + 3):
        world.event("ann", f"e{number}", summary=f"E{number}")
    world.appointment(subject="Of the CRM", time=span(MON + timedelta(hours=6)))
    settled(world)
    for name in names[:-1]:
        renamed(world, name)
        settled(world, passes)
    ann = world.calendars["ann"]
    refs = {str(r.fields["subject"]): ref for ref, r in world.crm.records.items()}
    ann.remove("e0")
    ann.edit("e1", location="Of the calendar")
    world.crm.edit(refs["E2"], subject="E2, of the CRM")
    renamed(world, names[-1])
    if second:
        world.calendars["home"] = calendar("home", lambda: world.now)
        home = replace(world.pairings[0], id="home", replica=world.calendars["home"])
        world.pairings[0] = replace(world.pairings[0], default=False)
        world.pairings.insert(0 if second == "before" else 1, home)
    again(world)
    assert world.crm.records[refs["E0"]].fields["status"] == "rejected"
    found = sorted(str(i["summary"]) for i in world.items("ann"))
    assert found == sorted(["E1", "E2, of the CRM", "Of the CRM", *(f"E{n}" for n in range(3, others + 3))])
    assert not second or world.items("home") == []
    assert world.crm.records[refs["E1"]].fields["location"] == "Of the calendar"
    world.crm.remove(refs["E1"])
    again(world)
    assert "E1" not in {str(i["summary"]) for i in world.items("ann")}
    assert len(world.activities) == others + 3
    world.quiet()


@pytest.mark.parametrize("by", ["ann@us.example", KIM])
@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("then", ["the store is lost", "the night", "another is invited", "public again"])
def test_what_is_left_with_the_time_that_the_crm_has_said_is_known_as_what_is_left(
    by: str, policy: str, then: str, tmp_path: Path
) -> None:
    """It waits, or never crosses, that the CRM has moved the meeting; then the entry is private."""
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    people = People([*invited("ann").values()])
    world.event("ann", "ann", uid="theirs", summary="Visit", description="Words", owner=by, attendees=people)
    settled(world)
    world.crm.edit(only(world), time=span(MON + timedelta(days=1)))
    settled(world)
    world.calendars["ann"].edit("ann", sensitivity="private")
    settled(world)
    if then == "the store is lost":
        world.store = new_store()
    elif then == "another is invited":
        both = People([*people.values(), *invited("bob").values()])
        world.calendars["ann"].edit("ann", attendees=both)
        world.event("bob", "bob", uid="theirs", summary="Visit", owner=by, attendees=both)
    elif then == "public again":
        world.calendars["ann"].edit("ann", sensitivity="public")
    again(world)
    found = str(world.activities) + str(world.crm.history)
    assert ("Words" in found) is (then == "public again")
    shown = [a["subject"] for a in world.activities].count("Visit")
    assert shown == (then in ("another is invited", "public again"))
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
def test_what_was_private_from_the_start_does_not_come_back_in_the_night(order: tuple[str, ...]) -> None:
    world = World(*order)
    meeting(world, "ann", "bob", by="ann@us.example", private="ann")
    world.crm.edit(only(world), time=span(MON + timedelta(days=1)))
    settled(world)
    world.calendars["bob"].edit("bob", sensitivity="private")
    again(world)
    again(world)
    assert "Visit" not in str(world.activities) + str(world.crm.history)
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
@pytest.mark.parametrize("by", ["ann@us.example", KIM, CAL])
@pytest.mark.parametrize("hidden", ["from the start", "later"])
@pytest.mark.parametrize("how", ["deleted", "taken out", "private"])
@pytest.mark.parametrize("weekly", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [("notes", "Kim wants a discount"), ("subject", "Typed title"), ("location", "Our canteen"), ("priority", 1)],
)
def test_what_the_crm_has_typed_stays_when_the_last_public_invitation_goes(
    order: tuple[str, ...], by: str, hidden: str, how: str, weekly: bool, name: str, value: object
) -> None:
    """Ann's is private, Bob's was not."""
    world = World(*order)
    meeting(world, "ann", "bob", by=by, private="ann" if hidden == "from the start" else "", weekly=weekly)
    if hidden == "later":
        world.calendars["ann"].edit("ann", sensitivity="private")
        settled(world)
    if name not in world.activities[0]:
        return
    world.crm.edit(only(world), **{name: value})
    settled(world)
    bob = world.calendars["bob"]
    if how == "taken out":
        world.calendars["ann"].edit("ann", attendees=invited("ann", by=by))
    if how == "private":
        bob.edit("bob", sensitivity="private")
    else:
        bob.remove("bob")
    again(world)
    assert [a[name] for a in world.activities] == [value]
    assert "Visit" not in str(world.activities) + str(world.crm.history)
    world.quiet()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", ["withhold", "busy-only", "full"])
@pytest.mark.parametrize("change", [{"location": "Room 7"}, {"time": span(MON + timedelta(days=1))}])
@pytest.mark.parametrize("then", ["added", "handed over"])
@pytest.mark.parametrize("passes", [0, 3])
def test_whom_the_crm_wants_in_has_a_copy_while_something_waits(
    order: tuple[str, ...], policy: str, change: dict[str, object], then: str, passes: int, tmp_path: Path
) -> None:
    """Ann's own meeting; Bob's invitation is private from the start."""
    world = with_mapping(World(*order), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", by="ann@us.example", private="bob")
    ref = next(r for r, held in world.crm.records.items() if held.fields["subject"] == "Visit")
    world.crm.edit(ref, **change)
    settled(world, passes)
    if then == "added":
        now = world.crm.records[ref].fields["participants"]
        assert isinstance(now, People)
        world.crm.edit(ref, participants=People([*now.values(), *invited("cid", by=CAL).values()]))
    else:
        hand_over(world, ref, "cid")
    settled(world, 5)
    assert [i["summary"] for i in world.items("cid")] == ["Visit"]
    world.quiet()


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("had", [False, True])
def test_a_due_date_that_the_crm_has_given_stays_when_its_task_is_private_for_a_while(passes: int, had: bool) -> None:
    world = World("ann", lens=load(shipped()["tasks"]))
    due = {"due": date(2026, 12, 1)} if had else {}
    world.calendars["ann"].put("t1", "todo", {"summary": "Call", "status": "needs-action", **due}, uid="t1")
    settled(world)
    ref = only(world)
    world.crm.edit(ref, due=date(2026, 12, 20))
    settled(world, passes)
    world.calendars["ann"].edit("t1", sensitivity="private")
    settled(world)
    world.calendars["ann"].edit("t1", sensitivity="public")
    again(world)
    (task,) = world.activities
    said = [task["due"], *(text for held in world.crm.history.values() for _, _, text in held)]
    assert any("2026-12-20" in str(each) for each in said)
    world.quiet()


@pytest.mark.parametrize("number", [1, 30])
@pytest.mark.parametrize("days", [0, 400])
def test_what_is_private_now_goes_from_a_colleagues_calendar_be_it_much_or_long_ago(number: int, days: int) -> None:
    """A guard holds many deletions, and what is out of the window rests: not where privacy asks for it."""
    world = World("ann", "bob")
    for one in range(number):
        world.event("ann", f"e{one}", summary=f"Secret {one}", time=span(MON + timedelta(hours=one)))
    settled(world)
    for ref in list(world.crm.records):
        world.crm.edit(ref, participants=People([Participant("ann@us.example"), Participant("bob@us.example")]))
    settled(world)
    assert len(world.items("bob")) == number
    world.now += timedelta(days=days)
    settled(world)
    for one in range(number):
        world.calendars["ann"].edit(f"e{one}", sensitivity="private")
    settled(world)
    assert "Secret" not in str(world.activities) + str(world.items("bob"))
    assert all(a["private"] for a in world.activities)  # who takes part is nobody else's affair
    world.quiet()


def test_what_is_left_without_a_time_is_copied_for_nobody() -> None:
    world = World("ann", "bob")
    world.event("ann", "e1", summary="Visit")
    settled(world)
    ref = only(world)
    world.crm.edit(ref, notes="Of the CRM")
    world.calendars["ann"].edit("e1", sensitivity="private")
    settled(world)
    assert [(a["notes"], a["time"]) for a in world.activities] == [("Of the CRM", None)]
    world.crm.edit(ref, participants=People([Participant("bob@us.example")]))
    again(world)
    assert world.items("bob") == []
    world.quiet()


@pytest.mark.parametrize("order", PAIR)
def test_who_has_taken_an_invitation_out_has_declined_whatever_anothers_copy_shows_later(
    order: tuple[str, ...],
) -> None:
    """He had accepted by mail; the customer's next update says so in the other's copy."""
    world = World(*order)
    meeting(world, "ann", "bob")
    world.calendars["bob"].remove("bob")
    settled(world)
    told = [
        p if not p.address.startswith("bob") else replace(p, answer="accepted") for p in invited("ann", "bob").values()
    ]
    world.calendars["ann"].edit("ann", attendees=People(told), location="Park")
    again(world)
    assert bobs_answer(world) == "declined"
    assert [a["location"] for a in world.activities] == ["Park"]
    world.quiet()


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("by", [KIM, "ann@us.example", CAL])
def test_an_account_that_is_read_no_more_shows_nothing(policy: str, by: str, tmp_path: Path) -> None:
    """Bob has left, and was invited too; then Ann's is private, of which the activity was made."""
    world = with_mapping(World("ann", "bob"), tmp_path, privacy={"private": policy})
    meeting(world, "ann", "bob", by=by)
    world.pairings = [p for p in world.pairings if p.id != "bob"]
    settled(world)
    world.calendars["ann"].edit("ann", sensitivity="private")
    again(world)
    assert "Visit" not in str(world.activities) + str(world.crm.history)
    world.quiet()


@pytest.mark.parametrize("weekly", [False, True])
def test_who_merely_takes_part_ends_nothing_with_what_he_had_typed_himself(weekly: bool) -> None:
    """Ann, whose calendar nobody reads, answers for it; Bob had written it down, and it was known for the same."""
    world = World("bob")
    rule = Recurrence("FREQ=WEEKLY;COUNT=4") if weekly else Recurrence()
    people = People([Participant("bob@us.example"), Participant("ann@us.example")])
    world.appointment(owner="ann", participants=people, recurrence=rule)
    world.event("bob", "e1", summary="Visit", recurrence=rule)
    settled(world)
    assert len(world.activities) == 1 and len(world.items("bob")) == 1
    world.calendars["bob"].remove("e1")
    again(world)
    assert bobs_answer(world) == "declined"
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()
