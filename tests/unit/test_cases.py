"""What strangers' calendars, servers and habits did to the engine, each by the name of its row.

The rows are those of the project's list of cases; each stands for its kind, so beside the row itself stand its
relatives.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import delete, update

from syncd.engine.context import Context, Report
from syncd.engine.digest import Digester
from syncd.engine.feed import seed_feed
from syncd.engine.pairing import Moment, item_feed
from syncd.engine.passes import run_pass
from syncd.engine.write_item import copy_key
from syncd.mapping.blocks import MARK
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.model.fields import Limit
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import Telling
from syncd.store import tables
from syncd.store.journal import decisions, parked
from tests.memory import MemoryCrm, calendar, crm
from tests.unit.test_engine import MON, NOW, World, span

DAY = timedelta(days=1)
GUESTS = People([Participant("dora@cust.example"), Participant("bob@us.example")])


def lens(tmp_path: Path, **changes: Any) -> Lens:
    """The shipped mapping of appointments with these keys changed."""
    text = yaml.safe_load(shipped()["appointments"].read_text(encoding="utf-8"))
    for key, value in changes.items():
        name = key.replace("_", "-") if key != "fields" else key
        text[name] = {**text[name], **value} if isinstance(value, dict) and name in text else value
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return load(path)


def with_mapping(world: World, tmp_path: Path, **changes: Any) -> World:
    """The world under another mapping."""
    made = lens(tmp_path, **changes)
    world.pairings = [replace(p, lens=made) for p in world.pairings]
    return world


def only(world: World) -> str:
    """The ref of the one activity."""
    (ref,) = world.crm.records
    return ref


def passed(world: World, who: str, *, full: bool = False) -> Report:
    """One pass over one pairing."""
    world.now += timedelta(minutes=5)
    pairing = next(p for p in world.pairings if p.id == who)
    return run_pass(Context(pairing, world.store, Moment(world.now), b"k" * 32, world.pairings, full=full))


def nothing_is_parked(world: World) -> None:
    with world.store.reading() as tx:
        assert parked(tx) == []


def waiting(world: World, who: str = "ann") -> list[str]:
    with world.store.reading() as tx:
        return [k.waits for k in tx.waiting(who)]


# -- S: nobody is mailed --------------------------------------------------------------------------------------


def meeting(server: Telling, policy: str, tmp_path: Path) -> World:
    world = with_mapping(World("ann"), tmp_path, guests=policy)
    world.calendars["ann"].server = server
    world.event("ann", owner="ann@us.example", attendees=GUESTS, description="Agenda", location="Here")
    world.quiet()
    world.calendars["ann"].log.clear()
    return world


@pytest.mark.parametrize("server", Telling)
@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
def test_case_s1_notes_of_a_meeting_with_guests_go_where_nobody_is_told(
    server: Telling, policy: str, tmp_path: Path
) -> None:
    world = meeting(server, policy, tmp_path)
    world.crm.edit(only(world), notes="Agenda, longer", priority=1)
    world.sync()
    nothing_is_parked(world)
    item = world.items("ann")[0]
    goes = policy == "tell" or server is not Telling.TELLS
    assert item["description"] == ("Agenda, longer" if goes else "Agenda")
    assert waiting(world) == ([] if goes else ["notes,priority" if "priority" in item else "notes"])
    told = policy == "tell" and server is not Telling.NOBODY
    assert bool(world.calendars["ann"].outbox) is told
    assert [r.writes for r in world.sync()] == [0]


@pytest.mark.parametrize("server", Telling)
@pytest.mark.parametrize("policy", ["wait", "quiet", "tell"])
@pytest.mark.parametrize("change", ["move", "place", "series", "reject", "delete"])
def test_case_s3_what_guests_act_on_waits_until_it_is_made_in_the_calendar(
    server: Telling, policy: str, change: str, tmp_path: Path
) -> None:
    world = meeting(server, policy, tmp_path)
    changes: dict[str, dict[str, Any]] = {
        "move": {"time": span(MON + DAY)},
        "place": {"location": "There"},
        "series": {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=3")},
        "reject": {"status": "rejected"},
    }
    before = dict(world.items("ann")[0])
    ref = only(world)
    if change == "delete":
        world.crm.remove(ref)
    else:
        world.crm.edit(ref, **changes[change])
    world.sync()
    nothing_is_parked(world)
    goes = policy == "tell" or (policy == "quiet" and server is not Telling.TELLS)
    replica = world.calendars["ann"]
    assert bool(replica.log) is goes
    assert bool(replica.outbox) is (policy == "tell" and server is not Telling.NOBODY)
    if goes:
        assert world.items("ann") == [] if change == "delete" else world.items("ann")[0] != before
        return
    assert world.items("ann") == [before]
    assert waiting(world) == [
        {"move": "time", "place": "location", "series": "recurrence", "reject": "status", "delete": "deletion"}[change]
    ]
    assert [r.waiting for r in world.sync(full=True)] == [1]
    assert replica.log == []


def test_case_s3_it_ends_when_somebody_makes_the_same_change_in_the_calendar(tmp_path: Path) -> None:
    world = meeting(Telling.TELLS, "wait", tmp_path)
    world.crm.edit(only(world), time=span(MON + DAY))
    world.sync()
    assert waiting(world) == ["time"]
    world.calendars["ann"].edit("e1", time=span(MON + DAY))
    world.sync()
    assert waiting(world) == []
    assert world.activities[0]["time"] == span(MON + DAY)
    world.quiet()


def test_case_s3_it_ends_when_it_is_taken_back_in_the_crm(tmp_path: Path) -> None:
    world = meeting(Telling.NOBODY, "wait", tmp_path)
    world.crm.edit(only(world), time=span(MON + DAY))
    world.sync()
    world.crm.edit(only(world), time=span())
    world.sync()
    assert waiting(world) == []
    assert world.items("ann")[0]["time"] == span()
    world.quiet()


def test_case_s3_it_ends_when_the_guests_are_gone(tmp_path: Path) -> None:
    world = meeting(Telling.TELLS, "wait", tmp_path)
    world.crm.edit(only(world), time=span(MON + DAY), location="There")
    world.sync()
    replica = world.calendars["ann"]
    replica.records["e1"] = replace(replica.records["e1"], guests=frozenset())
    replica.edit("e1", attendees=People())
    world.sync()
    assert waiting(world) == []
    assert (world.items("ann")[0]["time"], world.items("ann")[0]["location"]) == (span(MON + DAY), "There")
    world.quiet()


def test_case_s3_once_the_meeting_is_over_it_rests_and_is_not_counted(tmp_path: Path) -> None:
    world = meeting(Telling.NOBODY, "wait", tmp_path)
    world.crm.edit(only(world), location="There")
    world.sync()
    assert waiting(world) == ["location"]
    world.now = MON + 2 * DAY
    assert [r.waiting for r in world.sync()] == [0]
    assert world.items("ann")[0]["location"] == "Here"
    assert world.activities[0]["location"] == "There"


def test_case_s3_a_meeting_that_its_organiser_cancels_in_the_calendar_does_not_come_back_for_what_waits(
    tmp_path: Path,
) -> None:
    world = meeting(Telling.TELLS, "wait", tmp_path)
    world.crm.edit(only(world), time=span(MON + DAY))
    world.sync()
    world.calendars["ann"].remove("e1")
    world.sync()
    assert world.items("ann") == []
    assert world.activities[0]["status"] == "rejected"
    world.quiet()


def test_case_s3_what_waits_in_the_crm_yields_to_a_newer_change_in_the_calendar_and_is_kept(tmp_path: Path) -> None:
    world = meeting(Telling.NOBODY, "wait", tmp_path)
    world.crm.edit(only(world), location="There")
    world.sync()
    world.now += timedelta(hours=1)
    world.calendars["ann"].edit("e1", location="Elsewhere")
    world.sync()
    assert world.activities[0]["location"] == "Elsewhere"
    assert [t for _, f, t in world.crm.history[only(world)]] == ["There"]
    assert waiting(world) == []


def test_case_s3_one_occurrence_of_a_series_with_guests_waits_in_a_crm_without_series(tmp_path: Path) -> None:
    hub = crm(lambda: NOW, series=False)
    world = with_mapping(World("ann", hub=hub), tmp_path)
    world.event("ann", owner="ann@us.example", attendees=GUESTS, recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"))
    world.quiet()
    first, second, _ = sorted(world.crm.records, key=lambda r: world.crm.records[r].fields["time"].start)
    world.crm.edit(first, status="rejected")
    world.crm.edit(second, location="There", notes="Bring the plan")
    world.calendars["ann"].log.clear()
    world.sync()
    series = world.items("ann")[0]["recurrence"]
    assert isinstance(series, Recurrence)
    assert series.exdates == frozenset()
    assert [dict(f) for f in series.overrides.values()] == [{"description": "Bring the plan"}]
    assert sorted(waiting(world)) == ["location", "status"]


@pytest.mark.parametrize("owner", ["cn:boss", "/o=firm/cn=boss", "/1002/principal/"])
def test_case_s4_an_organiser_without_an_address_is_somebody_else(owner: str) -> None:
    world = World("ann")
    world.event("ann", owner=owner, attendees=People([Participant("ann@us.example"), Participant("dora@cust.example")]))
    world.quiet()
    world.calendars["ann"].log.clear()
    world.crm.edit(only(world), subject="Mine now", time=span(MON + DAY))
    world.sync()
    assert world.calendars["ann"].log == []
    world.calendars["ann"].remove("e1")
    world.sync()
    assert world.activities[0]["status"] == "open"


# -- L: nothing is lost ------------------------------------------------------------------------------------------


def test_case_l1_a_shortened_subject_crosses_from_either_side() -> None:
    world = World("ann")
    world.event("ann", summary="Quarterly review with Borealis about pricing")
    world.quiet()
    world.crm.edit(only(world), subject="Quarterly review")
    world.sync()
    assert world.items("ann")[0]["summary"] == "Quarterly review"
    world.quiet()
    world.appointment("a2", subject="Visit to the plant at Borealis", time=span(MON + DAY))
    world.quiet()
    copy = next(r for r in world.calendars["ann"].records if r != "e1")
    world.calendars["ann"].edit(copy, summary="Visit")
    world.sync()
    assert world.crm.records["a2"].fields["subject"] == "Visit"


@pytest.mark.parametrize("second", ["QUARTERLY REVIEW", "Quarterly  review", "", "Q", "Quarterly review and more"])
def test_case_l1_whatever_resembles_what_was_there_is_an_edit(second: str) -> None:
    world = World("ann")
    world.event("ann", summary="Quarterly review", location="Quarterly review")
    world.sync()
    world.crm.edit(only(world), subject=second, location=second)
    world.sync()
    assert (world.items("ann")[0]["summary"], world.items("ann")[0].get("location") or "") == (second, second)
    world.quiet()


def test_case_l1_a_side_that_cuts_without_saying_so_is_still_no_editor() -> None:
    hub = MemoryCrm("crm", replace(crm(lambda: NOW).caps, exact=False), lambda: NOW, secretly=10)
    world = World("ann", hub=hub)
    world.event("ann", summary="Quarterly review")
    world.quiet()
    assert world.items("ann")[0]["summary"] == "Quarterly review"
    world.crm.edit(only(world), subject="Quart")
    world.sync()
    assert world.items("ann")[0]["summary"] == "Quart"


def test_case_l7_what_the_crm_writes_into_a_series_changes_no_other_word_of_its_occurrences() -> None:
    world = World("ann")
    first = {"status": "tentative", "show-as": "free", "summary": "Perhaps"}
    world.event("ann", recurrence=weekly({"20261207T100000Z": first}))
    world.quiet()
    ref = only(world)
    shown = world.crm.records[ref].fields["recurrence"]
    other = {**shown.overrides, "20261214T100000Z": {"subject": "Renamed"}}
    world.crm.edit(ref, recurrence=replace(shown, overrides=other))
    world.sync()
    held = world.calendars["ann"].records["e1"].fields["recurrence"].overrides
    assert dict(held["20261207T100000Z"]) == first
    assert dict(held["20261214T100000Z"]) == {"summary": "Renamed"}
    world.crm.edit(ref, time=span(MON + timedelta(hours=1)))
    world.sync()
    held = world.calendars["ann"].records["e1"].fields["recurrence"].overrides
    assert dict(held["20261207T110000Z"]) == first
    world.quiet()


@pytest.mark.parametrize("side", ["crm", "calendar"])
def test_case_l2_what_was_edited_while_it_lay_beyond_the_window_arrives_on_the_day(side: str) -> None:
    world = World("ann")
    world.appointment()
    world.quiet()
    (copy,) = world.calendars["ann"].records
    world.crm.edit("a1", time=span(NOW + timedelta(days=400)))
    world.quiet()
    if side == "crm":
        world.crm.edit("a1", location="There")
    else:
        world.calendars["ann"].edit(copy, location="There")
    world.quiet()
    world.now = NOW + timedelta(days=60)
    world.sync()
    assert world.items("ann")[0]["location"] == "There"
    assert world.crm.records["a1"].fields["location"] == "There"


@pytest.mark.parametrize("full", [True, False])
def test_case_l3_what_was_edited_while_a_condition_left_it_out_arrives(full: bool, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, include={"any": [{"attendee": "known-contact"}]})
    world.crm.people["dora@cust.example"] = "contact"
    dora = People([Participant("ann@us.example"), Participant("dora@cust.example")])
    world.event("ann", owner="ann@us.example", attendees=dora)
    world.quiet()
    del world.crm.people["dora@cust.example"]
    world.calendars["ann"].edit("e1", summary="Renamed")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Meeting"]
    if full:
        world.pairings = [replace(p, crm=Unknowing(world.crm)) for p in world.pairings]
    world.crm.people["dora@cust.example"] = "contact"
    world.sync(full=full)
    assert [a["subject"] for a in world.activities] == ["Renamed"]


class Unknowing:
    """A CRM that does not say when it knows others."""

    def __init__(self, real: MemoryCrm) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name == "people_version":
            raise AttributeError(name)
        return getattr(self._real, name)


def test_case_l3_a_new_contact_lets_an_event_cross_that_was_there_before(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, include={"any": [{"attendee": "known-contact"}]})
    dora = People([Participant("ann@us.example"), Participant("dora@cust.example")])
    world.event("ann", owner="ann@us.example", attendees=dora)
    world.quiet()
    assert world.activities == []
    world.crm.people["dora@cust.example"] = "contact"
    world.sync()
    assert len(world.activities) == 1


def test_case_l3_a_clock_that_was_far_ahead_for_one_pass_loses_nothing() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    right = world.now
    world.now += timedelta(days=400)
    world.calendars["ann"].edit("e1", summary="Renamed")
    world.event("ann", "e2", summary="New")
    world.crm.edit(only(world), location="There")
    world.appointment("a2", subject="Later", time=span(MON + 3 * DAY))
    world.sync()
    world.now = right
    world.sync()
    assert {a["subject"] for a in world.activities} == {"Renamed", "New", "Later"}
    assert {i["summary"] for i in world.items("ann")} == {"Renamed", "New", "Later"}
    assert world.items("ann")[0]["location"] == "There"
    world.quiet()


def test_case_l4_two_people_with_different_events_under_one_uid_have_two_activities() -> None:
    world = World("ann", "bob")
    world.event("ann", "x", uid="booking-1", summary="Ann's flight", time=span(MON))
    world.event("bob", "y", uid="booking-1", summary="Bob's hotel", time=span(MON + 2 * DAY))
    world.sync()
    world.sync()
    assert sorted(str(a["subject"]) for a in world.activities) == ["Ann's flight", "Bob's hotel"]
    assert [i["summary"] for i in world.items("bob")] == ["Bob's hotel"]
    world.calendars["ann"].remove("x")
    world.sync()
    world.quiet()
    assert [i["summary"] for i in world.items("bob")] == ["Bob's hotel"]
    by = {str(a["subject"]): a["status"] for a in world.activities}
    assert by == {"Ann's flight": "rejected", "Bob's hotel": "open"}


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_case_l4_two_people_who_imported_one_file_do_not_delete_each_others(order: tuple[str, str]) -> None:
    world = World(*order)
    world.event("ann", "x", uid="holiday-1", summary="Holiday")
    world.event("bob", "y", uid="holiday-1", summary="Holiday")
    for _ in range(3):
        world.sync()
    assert len(world.activities) == 2
    world.calendars["ann"].remove("x")
    for _ in range(3):
        world.sync()
    assert [i["summary"] for i in world.items("bob")] == ["Holiday"]
    assert sorted(str(a["status"]) for a in world.activities) == ["open", "rejected"]


def test_case_l4_a_meeting_of_one_organiser_is_one_activity_however_many_attend() -> None:
    world = World("ann", "bob", "cid")
    people = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("kim@cust.example")])
    for who in ("ann", "bob"):
        world.event(who, uid="m", owner="kim@cust.example", attendees=people)
    world.quiet()
    assert len(world.activities) == 1
    other = People([Participant("cid@us.example"), Participant("lee@cust.example")])
    world.event("cid", "e2", uid="m", owner="lee@cust.example", attendees=other, time=span(MON + DAY))
    world.sync()
    assert len(world.activities) == 2


def test_case_l4_an_event_that_gets_guests_later_stays_one_meeting() -> None:
    world = World("ann", "bob")
    world.event("ann", uid="m", owner="ann@us.example")
    world.quiet()
    people = People([Participant("ann@us.example"), Participant("bob@us.example")])
    world.calendars["ann"].edit("e1", attendees=people)
    world.event("bob", "m", uid="m", owner="ann@us.example", attendees=people)
    world.sync()
    world.quiet()
    assert len(world.activities) == 1


def test_case_l5_a_line_below_the_block_of_participants_is_kept() -> None:
    world = World("ann", "bob", "cid")
    bob = People([Participant("bob@us.example", "Bob")])
    world.appointment(participants=bob, notes="Agenda")
    world.quiet()
    (copy,) = world.calendars["ann"].records
    text = str(world.items("ann")[0]["description"])
    assert MARK in text
    world.calendars["ann"].edit(copy, description=text + "\nBring the contract")
    world.crm.edit("a1", participants=People([*bob.values(), Participant("cid@us.example", "Cid")]))
    world.sync()
    world.sync()
    text = str(world.items("ann")[0]["description"])
    assert "Bring the contract" in text
    assert "Cid <cid@us.example>" in text
    assert world.crm.records["a1"].fields["notes"] == "Agenda\nBring the contract"
    world.quiet()


def test_case_l5_a_block_from_before_it_had_an_end_gives_back_what_stands_below_it() -> None:
    from syncd.mapping import blocks

    old = f"Agenda\n\n{MARK}\nParticipants:\n  Bob <bob@us.example>\n  cid@us.example\nBring the contract\n  and a pen"
    assert blocks.cut(old) == "Agenda\nBring the contract\n  and a pen"
    assert blocks.lines_of(old) == ["Participants:", "  Bob <bob@us.example>", "  cid@us.example"]


def test_case_l11_an_employee_with_two_calendars_has_each_thing_once() -> None:
    world = two_calendars()
    world.event("ann", "e1", summary="At work")
    world.event("home", "e2", summary="At home", time=span(MON + DAY))
    world.appointment(time=span(MON + 2 * DAY))
    world.sync()
    world.quiet()
    assert sorted(str(i["summary"]) for i in world.items("ann")) == ["At work", "Visit"]
    assert [i["summary"] for i in world.items("home")] == ["At home"]
    assert len(world.activities) == 3


def two_calendars(*others: str) -> World:
    """Ann with the calendars ann and home."""
    world = World("ann", *others)
    beside(world)
    return world


def beside(world: World) -> None:
    """Gives Ann the calendar home too."""
    home = calendar("home", lambda: world.now)
    world.calendars["home"] = home
    world.pairings.append(replace(world.pairings[0], id="home", replica=home, default=False))


@pytest.mark.parametrize("first", ["ann", "home"])
@pytest.mark.parametrize("between", [True, False])
def test_case_l12_an_event_moved_to_another_calendar_of_the_same_employee_goes_on(first: str, between: bool) -> None:
    world = two_calendars()
    if first == "home":
        world.pairings.reverse()
    world.event("ann", uid="u", summary="Mine", description="Words")
    world.quiet()
    world.calendars["ann"].remove("e1")
    if between:
        world.sync()
        world.sync()  # when the other calendar has said that it is not there either
        assert world.activities[0]["status"] == "rejected"
    world.event("home", "h1", uid="u", summary="Mine", description="Words")
    for _ in range(3):
        world.sync()
    assert [a["status"] for a in world.activities] == ["open"]
    assert [(i["summary"], i["status"]) for i in world.items("home")] == [("Mine", "confirmed")]
    assert world.items("ann") == []
    world.quiet()
    world.calendars["home"].edit("h1", summary="Renamed")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Renamed"]
    world.calendars["home"].remove("h1")
    world.sync()
    world.sync()
    assert [a["status"] for a in world.activities] == ["rejected"]


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
@pytest.mark.parametrize("between", [True, False])
def test_case_l12_an_event_moved_to_a_colleagues_calendar_goes_on(order: tuple[str, str], between: bool) -> None:
    world = World(*order)
    world.event("ann", uid="u", summary="Handed over")
    world.quiet()
    world.calendars["ann"].remove("e1")
    if between:
        world.sync()
    world.event("bob", "b1", uid="u", summary="Handed over")
    for _ in range(3):
        world.sync()
    assert [(a["subject"], a["status"]) for a in world.activities] == [("Handed over", "open")]
    assert not any(a.get("participants") for a in world.activities)
    assert [(i["summary"], i["status"]) for i in world.items("bob")] == [("Handed over", "confirmed")]
    world.quiet()
    with world.store.reading() as tx:
        (row,) = tx.rows_by_ref("crm", [only(world)]).values()
        assert any(d["rule"].startswith("moved here") for d in decisions(tx, row.id)) or not between


def test_case_l12_put_then_delete_is_a_move_too() -> None:
    world = two_calendars()
    world.event("ann", uid="u", summary="Mine")
    world.quiet()
    world.event("home", "h1", uid="u", summary="Mine")
    world.sync()
    world.calendars["ann"].remove("e1")
    world.sync()
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


def test_case_l12_an_event_that_is_moved_and_made_private_at_once_is_taken_back() -> None:
    world = World("ann")
    world.event("ann", uid="u", summary="Mine", location="Known place")
    world.quiet()
    world.calendars["ann"].remove("e1")
    world.event("ann", "e2", uid="u", summary="Secret", sensitivity="private")
    world.sync()
    assert world.activities == []
    world.quiet()


# -- P and G: privacy, and settings that do what they say ------------------------------------------------------------

PRIVATE_SECOND = {"20261207T100000Z": {"sensitivity": "private", "summary": "Doctor", "description": "Secret"}}


def weekly(overrides: dict[str, dict[str, Any]], exdates: frozenset[str] = frozenset()) -> Recurrence:
    return Recurrence("FREQ=WEEKLY;COUNT=4", frozenset(), exdates, overrides)


def test_case_p2_a_masked_occurrence_is_read_only(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.event("ann", recurrence=weekly(PRIVATE_SECOND))
    world.quiet()
    ref = only(world)
    shown = world.crm.records[ref].fields["recurrence"]
    assert shown.overrides["20261207T100000Z"]["subject"] == "Busy"
    changed = {**shown.overrides, "20261207T100000Z": {**shown.overrides["20261207T100000Z"], "subject": "Mine"}}
    world.crm.edit(ref, recurrence=replace(shown, overrides=changed), location="There")
    world.calendars["ann"].log.clear()
    world.sync()
    held = world.calendars["ann"].records["e1"].fields
    assert held["recurrence"].overrides["20261207T100000Z"] == PRIVATE_SECOND["20261207T100000Z"]
    assert held["location"] == "There"
    assert world.crm.records[ref].fields["recurrence"].overrides["20261207T100000Z"]["subject"] == "Mine"
    nothing_is_parked(world)


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("change", ["exclude", "delete", "rule", "move"])
def test_case_p2_nothing_done_to_a_series_in_the_crm_touches_its_private_occurrence(
    policy: str, change: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy})
    world.event("ann", recurrence=weekly(PRIVATE_SECOND))
    world.quiet()
    ref, key = only(world), "20261207T100000Z"
    shown = world.crm.records[ref].fields["recurrence"]
    if change == "delete":
        world.crm.remove(ref)
    elif change == "move":
        world.crm.edit(ref, time=span(MON + timedelta(hours=2)))
    elif change == "rule":
        world.crm.edit(ref, recurrence=replace(shown, rule="FREQ=DAILY;COUNT=2"))
    else:
        left = {k: v for k, v in shown.overrides.items() if k != key}
        world.crm.edit(ref, recurrence=replace(shown, exdates=shown.exdates | {key}, overrides=left))
    world.sync()
    held = world.calendars["ann"].records["e1"].fields["recurrence"]
    assert held.overrides == PRIVATE_SECOND
    assert held.exdates == frozenset()
    assert held.rule == "FREQ=WEEKLY;COUNT=4"
    nothing_is_parked(world)
    assert [r.writes for r in world.sync()] == [0]


@pytest.mark.parametrize("change", ["delete", "reject"])
@pytest.mark.parametrize("series", [True, False])
def test_case_g1_a_busy_block_that_is_deleted_or_rejected_in_the_crm_deletes_nothing(
    change: str, series: bool, tmp_path: Path
) -> None:
    world = with_mapping(
        World("ann"), tmp_path, privacy={"private": "busy-only"}, deletions={"activity-rejected": "delete"}
    )
    world.event("ann", sensitivity="private", recurrence=weekly({}) if series else Recurrence())
    world.quiet()
    if change == "delete":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), status="rejected")
    world.calendars["ann"].log.clear()
    world.sync()
    world.sync(full=True)
    assert world.calendars["ann"].log == []
    assert [i["summary"] for i in world.items("ann")] == ["Meeting"]
    nothing_is_parked(world)


@pytest.mark.parametrize("change", ["delete", "reject"])
def test_case_g2_the_one_public_occurrence_of_a_private_series_takes_nothing_with_it(
    change: str, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, deletions={"activity-rejected": "delete"})
    public: dict[str, dict[str, Any]] = {"20261207T100000Z": {"sensitivity": "public", "summary": "Open house"}}
    world.event("ann", sensitivity="private", recurrence=weekly(public))
    world.quiet()
    assert [a["subject"] for a in world.activities] == ["Open house"]
    if change == "delete":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), status="rejected")
    world.calendars["ann"].log.clear()
    world.sync()
    assert world.calendars["ann"].log == []
    nothing_is_parked(world)


def test_case_l8_the_first_public_occurrence_of_a_private_series_that_was_moved_is_one_activity(tmp_path: Path) -> None:
    world = World("ann", hub=crm(lambda: NOW, series=False))
    public: dict[str, dict[str, Any]] = {
        "20261207T100000Z": {"sensitivity": "public", "summary": "One", "time": span(MON + 8 * DAY)},
        "20261214T100000Z": {"sensitivity": "public", "summary": "Two"},
    }
    world.event("ann", sensitivity="private", recurrence=weekly(public))
    world.quiet()
    assert sorted(str(a["subject"]) for a in world.activities) == ["One", "Two"]


@pytest.mark.parametrize("change", ["edit", "reject", "delete", "new"])
def test_case_g3_read_only_means_that_nothing_is_written_and_nothing_parked(change: str) -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    replica = world.calendars["ann"]
    replica.caps = replace(replica.caps, writable=False)
    ref = only(world)
    if change == "edit":
        world.crm.edit(ref, subject="Other", time=span(MON + DAY), categories=frozenset({"X"}))
    elif change == "reject":
        world.crm.edit(ref, status="rejected")
    elif change == "delete":
        world.crm.remove(ref)
    else:
        world.appointment()
    replica.log.clear()
    world.sync()
    world.sync(full=True)
    assert replica.log == []
    assert [i["summary"] for i in world.items("ann")] == ["Meeting"]
    nothing_is_parked(world)
    if change == "edit":  # and what is changed in the calendar still goes to the CRM
        world.calendars["ann"].edit("e1", location="There")
        world.sync()
        assert world.activities[0]["location"] == "There"
        assert world.activities[0]["subject"] == "Other"


@pytest.mark.parametrize("change", ["delete", "reject"])
def test_case_g4_a_direction_holds_for_deletions_too(change: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, direction="to-crm", deletions={"activity-rejected": "delete"})
    world.event("ann")
    world.quiet()
    if change == "delete":
        world.crm.remove(only(world))
    else:
        world.crm.edit(only(world), status="rejected")
    world.sync()
    assert [i["status"] for i in world.items("ann")] == ["confirmed"]
    nothing_is_parked(world)
    world.quiet()


@pytest.mark.parametrize("word", ["cancel", "delete"])
def test_case_g4_a_mirror_that_loses_a_copy_leaves_the_activity_alone(word: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, direction="to-groupware", deletions={"item-gone": word})
    world.appointment()
    world.quiet()
    (copy,) = world.calendars["ann"].records
    world.calendars["ann"].remove(copy)
    world.sync()
    world.crm.edit("a1", location="There")
    world.sync(full=True)
    assert [a["status"] for a in world.activities] == ["open"]
    nothing_is_parked(world)


@pytest.mark.parametrize("word", ["secret", "x-odd", "personal"])
def test_case_g5_a_word_that_is_not_known_is_private(word: str, tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "full", "confidential": "full"})
    odd: dict[str, dict[str, Any]] = {"20261207T100000Z": {"sensitivity": word}}
    world.event("ann", sensitivity=word)
    world.event("ann", "e2", recurrence=weekly(odd), time=span(MON))
    world.quiet()
    assert sorted(bool(a["private"]) for a in world.activities) == [False, True]
    (series,) = (a["recurrence"] for a in world.activities if not a["private"])
    assert isinstance(series, Recurrence)
    assert series.overrides["20261207T100000Z"]["private"] is True
    assert world.calendars["ann"].records["e1"].fields["sensitivity"] == word


def test_case_g6_what_becomes_private_under_busy_only_leaves_no_words_in_the_history(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.event("ann", summary="Merger talks", description="With Borealis")
    world.quiet()
    ref = only(world)
    world.crm.remember(ref, {"subject": "Merger talks"}, "k")
    world.calendars["ann"].edit("e1", sensitivity="private")
    world.sync()
    world.sync()
    assert [(a["subject"], a.get("notes") or "") for a in world.activities] == [("Busy", "")]
    assert world.crm.history.get(only(world), []) == []
    world.quiet()


def test_case_g6_a_mapping_that_shows_less_takes_back_what_it_showed(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "full"})
    world.event("ann", summary="Merger talks", sensitivity="private")
    world.quiet()
    world.crm.remember(only(world), {"subject": "Merger talks"}, "k")
    with_mapping(world, tmp_path, privacy={"private": "busy-only"})
    world.sync()
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Busy"]
    assert world.crm.history.get(only(world), []) == []


@pytest.mark.parametrize("policy", ["withhold", "busy-only"])
@pytest.mark.parametrize("resting", [False, True])
def test_case_g6_an_occurrence_that_becomes_private_takes_its_words_out_of_the_history(
    policy: str, resting: bool, tmp_path: Path
) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": policy}, exclude=[{"category": ["Skip"]}])
    key = "20261207T100000Z"
    world.event("ann", recurrence=weekly({key: {"summary": "Merger talks"}}))
    world.quiet()
    ref = only(world)
    world.crm.remember(ref, {"recurrence": "Merger talks"}, "k")
    hidden = weekly({key: {"summary": "Merger talks", "sensitivity": "private"}})
    skip = frozenset({"Skip"}) if resting else frozenset()
    world.calendars["ann"].edit("e1", recurrence=hidden, categories=skip)
    world.sync()
    world.sync()
    text = repr({k: dict(v) for k, v in world.crm.records[ref].fields["recurrence"].overrides.items()})
    assert "Merger" not in text
    assert world.crm.history.get(ref, []) == []
    assert [r.writes for r in world.sync()] == [0]


def test_case_g6_a_copy_that_its_owner_makes_private_leaves_the_activity_as_it_was(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.appointment(subject="Visit", notes="Agenda")
    world.quiet()
    (copy,) = world.calendars["ann"].records
    world.calendars["ann"].edit(copy, sensitivity="private", description="Mine alone")
    world.sync()
    world.sync()
    assert [(a["subject"], a["notes"]) for a in world.activities] == [("Visit", "Agenda")]
    assert [r.writes for r in world.sync()] == [0]


@pytest.mark.parametrize("full", [True, False])
def test_case_g8_a_system_that_gives_new_uids_is_linked_by_time_and_subject(full: bool) -> None:
    world = World("ann")
    world.event("ann", "e1", uid="old-1", summary="One")
    world.event("ann", "e2", uid="old-2", summary="Two", time=span(MON + DAY))
    world.appointment(subject="Three", time=span(MON + 2 * DAY))
    world.quiet()
    old = world.calendars["ann"]
    for number, record in enumerate(list(old.records.values())):
        old.remove(record.ref)
        old.put(f"new-{number}", "event", record.fields, uid=f"new-{number}")
    old.expire()
    world.sync(full=full)
    world.quiet()
    assert sorted(str(a["subject"]) for a in world.activities) == ["One", "Three", "Two"]
    assert {a["status"] for a in world.activities} == {"open"}
    assert len(world.items("ann")) == 3


def test_case_g12_the_line_that_keeps_a_long_subject_goes_when_the_crm_shortens_it(tmp_path: Path) -> None:
    world = World("ann", hub=crm(lambda: NOW, subject=20))
    with_mapping(world, tmp_path, fields={"subject": {"from": "summary", "overflow": "note-line"}})
    long = "Quarterly review with Borealis about pricing"
    world.event("ann", summary=long, description="Agenda")
    world.quiet()
    ref = only(world)
    assert f"Subject: {long}" in world.crm.records[ref].fields["notes"]
    world.crm.edit(ref, subject="Review")
    world.sync()
    assert world.items("ann")[0]["summary"] == "Review"
    assert world.crm.records[ref].fields["notes"] == "Agenda"
    world.quiet()


def test_case_e10_a_park_ends_with_its_cause_whichever_side_it_was_seen_from() -> None:
    world = World("ann")
    world.event("ann")
    world.quiet()
    ref = only(world)
    world.crm.unreadable.add(ref)
    world.crm.edit(ref, location="There")
    world.sync()
    with world.store.reading() as tx:
        assert len(parked(tx)) == 1
    world.crm.unreadable.clear()
    world.calendars["ann"].edit("e1", summary="Renamed")
    world.sync()
    nothing_is_parked(world)


def test_a_time_far_in_the_past_waits_for_nothing() -> None:
    world = World("ann")
    world.event("ann", time=Span(datetime(2020, 1, 1, 9, tzinfo=UTC), datetime(2020, 1, 1, 10, tzinfo=UTC), "UTC"))
    world.quiet()
    assert world.activities == []


# -- a store of before -------------------------------------------------------------------------------------------------


def as_it_was(world: World) -> None:
    """The store as an earlier release left it: feeds read in its way, versions kept of what had not crossed, nothing
    announced."""
    with world.store.transaction() as tx:
        for pairing in world.pairings:
            tx.connection.execute(delete(tables.pending))
            for name in (item_feed(pairing.id), seed_feed("crm", pairing.id)):
                tx.connection.execute(
                    update(tables.feed).where(tables.feed.c.name == name).values(mapping=pairing.lens.digest)
                )
            for ref, record in world.calendars[pairing.id].records.items():
                for link in tx.links_by_item(pairing.id, [ref]):
                    row = tx.row(link.activity)
                    assert row is not None and row.crm_ref is not None
                    tx.set_link(
                        link.id, item_version=record.version, crm_version=world.crm.records[row.crm_ref].version
                    )
                    tx.set_row(row.id, claim=row.uid_digest)


def test_a_store_of_before_is_healed_by_its_first_pass() -> None:
    world = World("ann")
    world.event("ann", summary="Quarterly review with Borealis")
    world.event("ann", "e2", summary="Two", time=span(MON + DAY))
    world.quiet()
    by = {str(r.fields["subject"]): ref for ref, r in world.crm.records.items()}
    world.crm.edit(by["Quarterly review with Borealis"], subject="Quarterly review")
    world.calendars["ann"].edit("e2", location="There")
    as_it_was(world)
    world.sync()
    assert sorted(str(i["summary"]) for i in world.items("ann")) == ["Quarterly review", "Two"]
    assert "There" in {a.get("location") for a in world.activities}
    world.quiet()


def test_a_store_of_before_in_which_two_peoples_events_were_one_is_taken_apart() -> None:
    world = World("ann", "bob")
    world.event("ann", "x", uid="booking-1", summary="Flight")
    world.quiet()
    world.event("bob", "y", uid="booking-1", summary="Flight")
    with world.store.transaction() as tx:
        (row,) = tx.rows_by_ref("crm", [only(world)]).values()
        (anns,) = tx.links_of_row(row.id)
        tx.add_link(
            pairing="bob", activity=row.id, item_ref="y", role="own", item_base=anns.item_base, crm_base=anns.crm_base
        )
    as_it_was(world)
    for _ in range(3):
        world.sync()
    assert len(world.activities) == 2
    world.calendars["ann"].edit("x", summary="Ann's flight")
    world.sync()
    world.sync()
    assert [i["summary"] for i in world.items("bob")] == ["Flight"]
    world.quiet()


def test_copies_that_an_earlier_release_made_in_the_other_calendar_are_taken_away() -> None:
    world = two_calendars()
    world.event("ann", summary="Mine")
    world.quiet()
    with world.store.transaction() as tx:
        (row,) = tx.rows_by_ref("crm", [only(world)]).values()
        assert len(tx.links_of_row(row.id)) == 1
        key = copy_key(row, "home")
        fields = world.calendars["ann"].records["e1"].fields
        world.calendars["home"].put(f"home/{key}", "event", fields, uid=row.key, key=key)
        made = tx.add_link(pairing="home", activity=row.id, item_ref=f"home/{key}", role="copy", ours=True)
        bases = {"item_base": Digester(b"k" * 32, f"link {made.id}").base({"subject": "Mine"})}
        tx.set_link(made.id, **bases, crm_base=bases["item_base"])
    as_it_was(world)
    for _ in range(3):
        world.sync()
    assert [len(world.items(n)) for n in ("ann", "home")] == [1, 0]
    assert [a["status"] for a in world.activities] == ["open"]
    world.quiet()


@pytest.mark.parametrize("edited", [False, True])
def test_a_private_entry_that_an_earlier_release_had_copied_into_the_other_calendar_is_taken_back(edited: bool) -> None:
    """Its copy there was taken for somebody's own, that vouches for the words."""
    world = two_calendars()
    world.event("ann", summary="Surgery")
    world.quiet()
    (ref,) = world.crm.records
    with world.store.transaction() as tx:
        (row,) = tx.rows_by_ref("crm", [ref]).values()
        (own,) = tx.links_of_row(row.id)
        key = copy_key(row, "home")
        fields = world.calendars["ann"].records["e1"].fields
        world.calendars["home"].put(f"home/{key}", "event", fields, uid=row.key, key=key)
        made = tx.add_link(pairing="home", activity=row.id, item_ref=f"home/{key}", role="copy", ours=True)
        bases = {"item_base": Digester(b"k" * 32, f"link {made.id}").base({"subject": "Surgery"})}
        tx.set_link(made.id, **bases, crm_base=bases["item_base"], brought=own.brought)
        tx.set_row(row.id, maker=made.id)
        tx.set_link(own.id, item_base={}, crm_base={}, texts={}, brought=frozenset(), rest="private")
    world.calendars["ann"].edit("e1", sensitivity="private")
    as_it_was(world)
    if edited:
        world.calendars["home"].edit(f"home/{key}", categories=frozenset({"Red"}))
    for _ in range(4):
        world.sync()
    assert "Surgery" not in repr(world.activities) + repr(world.crm.history) + repr(world.items("home"))
    assert (world.activities, world.items("home")) == ([], [])
    assert world.items("ann")[0]["summary"] == "Surgery"
    world.quiet()


def test_words_that_an_earlier_release_left_in_a_block_of_time_are_taken_back(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, privacy={"private": "busy-only"})
    world.event("ann", sensitivity="private", recurrence=weekly({}))
    world.quiet()
    (ref,) = world.crm.records
    series = weekly({"20261207T100000Z": {"subject": "Oncologist", "time": span(MON + 7 * DAY + timedelta(hours=1))}})
    world.crm.edit(ref, recurrence=series)
    world.quiet()
    assert "Oncologist" in repr(world.activities)
    as_it_was(world)
    for _ in range(3):
        world.sync()
    (activity,) = world.activities
    assert (activity["subject"], "Oncologist" in repr(activity) + repr(world.crm.history)) == ("Busy", False)
    world.quiet()


# -- what mutants showed to be untested --------------------------------------------------


def test_case_s3_the_dates_of_a_series_wait_with_its_time(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path)
    world.event(
        "ann",
        owner="ann@us.example",
        attendees=GUESTS,
        recurrence=weekly({"20261207T100000Z": {"summary": "Otherwise"}}),
    )
    world.quiet()
    world.calendars["ann"].log.clear()
    world.crm.edit(only(world), time=span(MON + timedelta(hours=2)))
    world.sync()
    assert world.calendars["ann"].log == []
    assert waiting(world) == ["time"]  # what is known by its dates moves with it
    there = world.activities[0]["recurrence"]
    assert isinstance(there, Recurrence)
    world.crm.edit(only(world), recurrence=replace(there, exdates=frozenset({"20261214T120000Z"})))
    world.sync()
    assert world.calendars["ann"].log == []
    assert waiting(world) == ["recurrence,time"]


def test_case_l4_of_two_activities_that_are_alike_none_is_adopted() -> None:
    world = World("ann")
    world.appointment("a1", subject="Visit")
    world.appointment("a2", subject="Visit")
    for pairing in world.pairings:
        assert pairing.default
    world.pairings = [replace(p, default=False) for p in world.pairings]  # nothing comes down while we look
    world.event("ann", summary="Visit")
    world.quiet()
    assert len(world.activities) == 3


def test_an_attendee_who_becomes_the_speaker_is_compared_as_if_it_were_new() -> None:
    world = World("ann", "bob")
    people = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("dora@cust.example")])
    for who in ("ann", "bob"):
        world.event(who, uid="m", owner="ann@us.example", attendees=people)
    world.quiet()
    world.calendars["bob"].edit("e1", summary="As Bob was told")
    world.sync()
    assert [a["subject"] for a in world.activities] == ["Meeting"]
    world.calendars["ann"].edit("e1", sensitivity="private")
    for _ in range(3):
        world.sync()
    assert [a["subject"] for a in world.activities] == ["As Bob was told"]


def test_an_attendee_who_speaks_for_a_meeting_of_somebody_outside_says_what_he_was_told() -> None:
    world = World("ann", "bob")
    people = People([Participant("ann@us.example"), Participant("bob@us.example"), Participant("dora@cust.example")])
    for who in ("ann", "bob"):
        world.event(who, f"{who}1", uid="m", owner="dora@cust.example", attendees=people)
    world.quiet()
    world.calendars["bob"].edit("bob1", location="As Bob was told")
    world.sync()
    assert not world.activities[0].get("location")
    world.calendars["ann"].remove("ann1")  # she declines
    world.sync()
    world.calendars["bob"].edit("bob1", description="Bring the plans")
    for _ in range(2):
        world.sync()
    assert [a["location"] for a in world.activities] == ["As Bob was told"]


def test_case_l1_what_was_added_to_a_set_beside_our_write_crosses_although_the_other_write_had_to_be_planned_anew() -> (
    None
):
    world = World("ann")
    world.event("ann", categories=frozenset({"one"}))
    world.quiet()
    ref = only(world)
    world.crm.edit(ref, categories=frozenset({"one", "of the CRM"}))
    world.calendars["ann"].edit("e1", categories=frozenset({"one", "of Ann"}))
    once: list[str] = []

    def meanwhile(when: str, call: str) -> None:
        if (when, call) == ("before", "update") and not once:
            once.append(call)
            world.crm.edit(ref, location="There")  # the write that is under way is refused

    world.crm.gate = meanwhile
    world.sync()
    world.quiet()
    every = {"one", "of the CRM", "of Ann"}
    assert (world.activities[0]["categories"], world.items("ann")[0]["categories"]) == (every, every)


def test_case_s3_an_occurrence_that_the_crm_cancels_waits_for_the_guests(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests="wait")
    world.event("ann", owner="ann@us.example", attendees=GUESTS, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    world.quiet()
    before = dict(world.items("ann")[0])
    left_out = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({"20261207T100000Z"}))
    world.crm.edit(only(world), recurrence=left_out)
    world.sync()
    nothing_is_parked(world)
    assert world.items("ann") == [before]
    assert waiting(world) == ["recurrence"]


def test_case_s3_a_rejection_that_would_delete_waits_alone_and_what_else_was_typed_crosses(tmp_path: Path) -> None:
    world = with_mapping(World("ann"), tmp_path, guests="wait", deletions={"activity-rejected": "delete"})
    world.event("ann", owner="ann@us.example", attendees=GUESTS, description="Agenda")
    world.quiet()
    world.crm.edit(only(world), status="rejected", notes="Agenda, longer")
    world.sync()
    (item,) = world.items("ann")
    assert (item["status"], item["description"]) == ("confirmed", "Agenda, longer")
    assert waiting(world) == ["status"]


def test_what_a_server_makes_of_our_write_under_our_own_version_is_no_edit() -> None:
    world = World("ann")
    world.appointment(location="room 7")
    world.quiet()
    replica = world.calendars["ann"]
    (item,) = replica.records.values()
    replica.records[item.ref] = replace(item, fields={**item.fields, "location": "Building A, Room 7"})
    assert [r.writes for r in world.sync(full=True)] == [0]
    assert [a["location"] for a in world.activities] == ["room 7"]
    replica.edit(item.ref, location="Building B")  # and what comes after it is one
    world.sync()
    assert [a["location"] for a in world.activities] == ["Building B"]


@pytest.mark.parametrize(("item", "activity"), [("Agenda", "Agenda, longer"), ("Agenda, longer", "Agenda")])
def test_case_l1_typed_on_both_sides_a_text_that_begins_like_the_other_is_another(item: str, activity: str) -> None:
    world = World("ann")
    world.event("ann", summary="Visit", location=item)
    world.appointment(subject="Visit", location=activity)
    world.quiet()
    assert len(world.activities) == 1
    assert world.items("ann")[0]["location"] == world.activities[0]["location"]
    lost = {item, activity} - {world.activities[0]["location"]}
    assert lost <= set(world.crm.remembered)


def test_case_l1_what_our_own_limit_cut_in_the_calendar_never_comes_back_cut() -> None:
    world = World("ann")
    replica = world.calendars["ann"]
    replica.caps = replace(replica.caps, limits={**replica.caps.limits, "location": Limit(length=10)})
    ref = world.appointment(location="Room 7")
    world.quiet()
    world.crm.edit(ref, location="Building A, third floor, Room 7")
    world.sync()
    (item,) = replica.records
    assert world.items("ann")[0]["location"] == "Building A"
    replica.edit(item, summary="Renamed")
    world.sync()
    assert world.activities[0]["subject"] == "Renamed"
    assert world.activities[0]["location"] == "Building A, third floor, Room 7"


def test_case_l4_an_activity_with_the_uid_of_an_event_of_ones_own_is_somebody_elses() -> None:
    world = World("ann")
    people = People([Participant("ann@us.example")])
    base = {"subject": "Their visit", "time": span(MON + DAY), "status": "open", "private": False}
    world.crm.put("a1", "appointment", {**base, "participants": people}, owner="carla@us.example", uid="u")
    world.event("ann", uid="u", summary="Dentist")
    world.sync()
    world.sync()
    assert world.crm.records["a1"].fields["subject"] == "Their visit"
    assert sorted(str(a["subject"]) for a in world.activities) == ["Dentist", "Their visit"]


def test_case_l11_what_was_deleted_from_ones_other_calendar_is_not_copied_into_the_first(tmp_path: Path) -> None:
    world = with_mapping(two_calendars(), tmp_path, deletions={"item-gone": "keep"})
    world.event("home", uid="u")
    world.quiet()
    world.calendars["home"].remove("e1")
    world.sync()
    world.crm.edit(only(world), location="There")
    world.sync()
    world.sync()
    assert world.items("ann") == []
