"""Scenarios A1-A5, A7, A9-A12 on Radicale and the built-in CRM, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.scenarios.conftest import MONDAY, Desk

MakeDesk = Callable[..., Desk]


def stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


PEOPLE = (
    "ORGANIZER;CN=Ann:mailto:ann@us.example",
    "ATTENDEE;CN=Bob;PARTSTAT=ACCEPTED:mailto:bob@us.example",
    "ATTENDEE;CN=Cid;PARTSTAT=NEEDS-ACTION:mailto:CID@us.example",
    "ATTENDEE;CN=Dora;PARTSTAT=NEEDS-ACTION:mailto:dora@us.example",
    "ATTENDEE;CN=Eve;PARTSTAT=TENTATIVE:mailto:eve@us.example",
)


@pytest.mark.everywhere
def test_a1_an_event_becomes_one_appointment_with_its_account(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    people = ("ORGANIZER:mailto:ann@us.example", "ATTENDEE;CN=Kim;PARTSTAT=ACCEPTED:mailto:kim@acme.example")
    desk.put("ann", "visit", "SUMMARY:Visit\\, with Kim", "LOCATION:Their office", *people)
    assert desk.sync()["ann"]["created"] == {"crm": 1, "groupware": 0}
    made = desk.only()
    assert (made["subject"], made["location"]) == ("Visit, with Kim", "Their office")
    assert (made["starts"], made["ends"]) == (stamp(MONDAY), stamp(MONDAY + timedelta(hours=1)))
    assert (made["contact"], made["account"], made["owner"]) == ("kim", "acme", "ann")
    assert {p["address"]: p["answer"] for p in made["participants"]}["kim@acme.example"] == "accepted"
    desk.quiet()


@pytest.mark.everywhere
def test_a2_an_appointment_becomes_an_event_and_invites_nobody(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    desk.create("--subject", "From the CRM", "--from", words(MONDAY), "--to", words(MONDAY + timedelta(hours=2)),
                "--participant", "kim@acme.example")  # fmt: skip
    desk.sync()
    (event,) = desk.calendar("ann")
    assert "SUMMARY:From the CRM" in event
    assert f"DTSTART:{stamp(MONDAY)}" in event
    assert "ATTENDEE" not in event
    assert "ORGANIZER" not in event
    assert "kim@acme.example" in event  # in the marked block
    desk.quiet()


@pytest.mark.everywhere
def test_a3_different_fields_merge_and_the_same_field_goes_by_the_mappings_word(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", edit="default: newest => default: crm")
    path = desk.put("ann", "m", "SUMMARY:Meeting")
    desk.sync()
    guid = desk.only()["guid"]
    later = MONDAY + timedelta(days=1)
    hour = timedelta(hours=1)
    desk.change("ann", path, stamp(MONDAY), stamp(later), stamp(MONDAY + hour), stamp(later + hour))
    desk.edit(guid, "--location", "Room 7")
    desk.sync()
    assert desk.only()["starts"] == stamp(later)
    assert "LOCATION:Room 7" in desk.get("ann", path)
    desk.quiet()
    desk.change("ann", path, "SUMMARY:Meeting", "SUMMARY:From the calendar")
    desk.edit(guid, "--subject", "From the CRM")
    desk.sync()
    assert "SUMMARY:From the CRM" in desk.get("ann", path)
    assert {"field": "subject", "text": "From the calendar"}.items() <= desk.show(guid)["history"][-1].items()
    desk.quiet()


@pytest.mark.everywhere
@pytest.mark.parametrize(("take", "expected"), [("crm", "Theirs"), ("groupware", "Ours")])
def test_a3_ask_waits_in_the_queue_until_a_person_decides(make_desk: MakeDesk, take: str, expected: str) -> None:
    desk = make_desk("ann", edit="default: newest => default: ask")
    path = desk.put("ann", "m", "SUMMARY:Meeting")
    desk.sync()
    guid = desk.only()["guid"]
    desk.change("ann", path, "SUMMARY:Meeting", "SUMMARY:Ours")
    desk.edit(guid, "--subject", "Theirs", "--location", "goes through")
    assert desk.run("sync", status=1).out.count("in conflict") == 1
    assert "LOCATION:goes through" in desk.get("ann", path)
    (waiting,) = desk.run("conflicts", "--json").json["conflicts"]
    assert (waiting["item_value"], waiting["crm_value"]) == ("Ours", "Theirs")
    desk.run("conflicts", str(waiting["id"]), "--take", take)
    desk.sync(status=0)
    assert desk.only()["subject"] == expected
    assert f"SUMMARY:{expected}" in desk.get("ann", path)
    assert desk.run("conflicts", "--json").json["conflicts"] == []
    desk.quiet()


@pytest.mark.everywhere
def test_a4_deletions_on_either_side(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    future = desk.put("ann", "future", "SUMMARY:Future")
    past = desk.put("ann", "past", "SUMMARY:Past", start=MONDAY - timedelta(days=14))
    kept = desk.put("ann", "edited", "SUMMARY:Edited", start=MONDAY + timedelta(hours=3))
    desk.put("ann", "crm-deletes", "SUMMARY:Gone in the CRM", start=MONDAY + timedelta(hours=5))
    rejected = desk.put("ann", "crm-rejects", "SUMMARY:Rejected in the CRM", start=MONDAY + timedelta(hours=7))
    desk.sync()
    by_subject = {a["subject"]: a["guid"] for a in desk.activities()}
    desk.delete("ann", future)
    desk.delete("ann", past)
    desk.run("crm", "delete", by_subject["Gone in the CRM"])
    desk.edit(by_subject["Rejected in the CRM"], "--status", "rejected")
    desk.run("crm", "delete", by_subject["Edited"])
    desk.change("ann", kept, "SUMMARY:Edited", "SUMMARY:Edited here")
    desk.sync()
    found = {a["subject"]: a["status"] for a in desk.activities()}
    assert found == {"Future": "rejected", "Past": "open", "Rejected in the CRM": "rejected", "Edited here": "open"}
    assert not any("Gone in the CRM" in e for e in desk.calendar("ann"))
    assert "STATUS:CANCELLED" in desk.get("ann", rejected)
    desk.quiet()


@pytest.mark.everywhere
def test_a5_a_long_subject_survives_a_crm_with_forty_characters(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", crm=", subject-length: 40")
    long = "A subject of ninety characters, which is longer than many a customer relationship takes it"
    assert len(long) == 90
    path = desk.put("ann", "m", "SUMMARY:" + long.replace(",", "\\,"))
    desk.sync()
    made = desk.only()
    assert made["subject"] == long[:40]
    desk.edit(made["guid"], "--notes", "A note")
    desk.sync()
    assert long.replace(",", "\\,") in desk.get("ann", path)
    desk.edit(made["guid"], "--subject", "Short")
    desk.sync()
    assert "SUMMARY:Short\n" in desk.get("ann", path)
    desk.quiet()


def _series(desk: Desk) -> str:
    return desk.put("ann", "weekly", "SUMMARY:Weekly", "RRULE:FREQ=WEEKLY;COUNT=4",
                    f"EXDATE:{stamp(MONDAY + timedelta(days=7))}",
                    "END:VEVENT", "BEGIN:VEVENT", "UID:weekly@client", "DTSTAMP:20261101T000000Z",
                    f"RECURRENCE-ID:{stamp(MONDAY + timedelta(days=14))}",
                    f"DTSTART:{stamp(MONDAY + timedelta(days=15))}",
                    f"DTEND:{stamp(MONDAY + timedelta(days=15, hours=1))}", "SUMMARY:Weekly")  # fmt: skip


@pytest.mark.everywhere
def test_a7_a_series_is_a_series_for_a_crm_that_has_them(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = _series(desk)
    desk.sync()
    made = desk.only()
    assert "FREQ=WEEKLY;COUNT=4" in made["recurrence"]
    assert stamp(MONDAY + timedelta(days=7)) in made["recurrence"]
    assert stamp(MONDAY + timedelta(days=15)) in made["recurrence"]
    desk.quiet()
    desk.edit(made["guid"], "--subject", "Every week")
    desk.sync()
    text = desk.get("ann", path)
    assert "SUMMARY:Every week" in text
    assert "RRULE:FREQ=WEEKLY;COUNT=4" in text
    desk.quiet()


@pytest.mark.everywhere
def test_a7_a_series_is_single_appointments_for_a_crm_without_series(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", crm=", series: false")
    path = _series(desk)
    desk.sync()
    days = [0, 15, 21]
    assert [a["starts"] for a in desk.activities()] == [stamp(MONDAY + timedelta(days=d)) for d in days]
    desk.quiet()
    first, _, last = desk.activities()
    desk.edit(first["guid"], "--subject", "The first one")
    desk.edit(last["guid"], "--status", "rejected")
    desk.sync()
    text = desk.get("ann", path)
    assert f"RECURRENCE-ID:{stamp(MONDAY)}" in text
    assert "SUMMARY:The first one" in text
    assert text.count("EXDATE") == 2
    assert f"EXDATE:{stamp(MONDAY + timedelta(days=21))}" in text
    desk.quiet()
    guids = {a["guid"] for a in desk.activities()}
    pairs = []
    for d in (0, 7, 14, 15, 21):  # the client moves the whole series by two hours, its exceptions too
        old, new = MONDAY + timedelta(days=d), MONDAY + timedelta(days=d, hours=2)
        if stamp(old) in desk.get("ann", path) and d != 15:
            pairs += [stamp(old), stamp(new)]
    ends = (f"DTEND:{stamp(MONDAY + timedelta(hours=n))}" for n in (1, 3))
    desk.change("ann", path, *pairs, *ends)
    desk.sync()
    after = desk.activities()
    assert {a["guid"] for a in after} == guids
    moved = {a["guid"]: a for a in after}[first["guid"]]
    assert (moved["subject"], moved["starts"]) == ("The first one", stamp(MONDAY + timedelta(hours=2)))
    assert {a["status"] for a in after if a["guid"] != last["guid"]} == {"open"}
    desk.quiet()


@pytest.mark.everywhere
def test_a9_lesson_1_five_employees_share_one_meeting(make_desk: MakeDesk) -> None:
    desk = make_desk("bob", "ann", "cid")
    paths = {u: desk.put(u, "shared", "SUMMARY:All hands", *PEOPLE) for u in ("bob", "ann", "cid")}
    desk.sync()
    desk.sync()
    made = desk.only()
    assert len(made["participants"]) == 5
    before = {u: desk.get(u, paths[u]) for u in ("bob", "cid")}
    desk.change("ann", paths["ann"], stamp(MONDAY), stamp(MONDAY + timedelta(minutes=30)))
    updates = [p["updated"] for p in desk.sync().values()]
    assert sum(u["crm"] for u in updates) == 1
    assert sum(u["groupware"] for u in updates) == 0
    assert {u: desk.get(u, paths[u]) for u in ("bob", "cid")} == before
    assert desk.only()["starts"] == stamp(MONDAY + timedelta(minutes=30))
    desk.change("bob", paths["bob"], "PARTSTAT=ACCEPTED:mailto:bob", "PARTSTAT=DECLINED:mailto:bob")
    desk.delete("cid", paths["cid"])
    desk.sync()
    answers = {p["address"].split("@")[0]: p["answer"] for p in desk.only()["participants"]}
    assert answers == {
        "ann": "accepted",
        "bob": "declined",
        "cid": "declined",
        "dora": "needs-action",
        "eve": "tentative",
    }
    assert desk.only()["status"] == "open"
    desk.change("bob", paths["bob"], "SUMMARY:All hands", "SUMMARY:My own words")
    desk.sync()
    assert desk.only()["subject"] == "All hands"
    desk.quiet()


@pytest.mark.everywhere
def test_a9_a_customers_meeting_comes_from_the_first_copy(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    ours = [line for line in PEOPLE if "Cid" not in line and "ORGANIZER" not in line]
    theirs = ("ORGANIZER:mailto:kim@acme.example", *ours, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example")
    paths = {u: desk.put(u, "theirs", "SUMMARY:Their meeting", *theirs) for u in ("ann", "bob")}
    desk.sync()
    guid = desk.only()["guid"]
    before = {u: desk.get(u, paths[u]) for u in paths}
    desk.edit(guid, "--location", "moved in the CRM")
    desk.sync()
    assert {u: desk.get(u, paths[u]) for u in paths} == before
    assert "changes in the CRM stay there" in desk.run("explain", guid).out
    for u in paths:
        desk.change(u, paths[u], "SUMMARY:Their meeting", "SUMMARY:Moved by the customer")
    desk.sync()
    assert desk.only()["subject"] == "Moved by the customer"
    desk.quiet()


@pytest.mark.everywhere
def test_a9_an_appointment_for_three_of_ours_is_three_plain_copies(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob", "cid")
    desk.create("--subject", "Workshop", "--from", words(MONDAY), "--to", words(MONDAY + timedelta(hours=1)),
                "--participant", "bob@us.example", "--participant", "cid@us.example")  # fmt: skip
    desk.sync()
    events = {u: desk.calendar(u) for u in ("ann", "bob", "cid")}
    assert {len(e) for e in events.values()} == {1}
    assert len({e[0].split("UID:")[1].split("\n")[0] for e in events.values()}) == 1
    assert not any("ATTENDEE" in e[0] for e in events.values())
    (path,) = desk.names("bob")
    desk.change("bob", path, "SUMMARY:Workshop", "SUMMARY:Workshop II")
    desk.sync()
    desk.sync()
    assert all("SUMMARY:Workshop II" in desk.calendar(u)[0] for u in events)
    assert desk.only()["subject"] == "Workshop II"
    desk.quiet()


@pytest.mark.everywhere
def test_a10_lesson_3_what_a_person_kept_in_step_by_hand_is_linked(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = desk.put("ann", "m", "SUMMARY:Budget  ", "LOCATION:Here", "DESCRIPTION:Ours")
    guid = desk.create("--subject", "Budget", "--from", words(MONDAY), "--to", words(MONDAY + timedelta(hours=1)))
    assert desk.sync()["ann"]["linked"] == 1
    made = desk.only()
    assert made["guid"] == guid
    assert made["location"] == "Here" or "LOCATION:Here" not in desk.get("ann", path)
    assert len(desk.calendar("ann")) == 1
    desk.quiet()


def test_a11_what_we_do_not_know_is_still_there(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    unknown = (
        'X-LOTUS-UPDATE-WISL:$S:1;$L:1', 'X-LOTUS-NOTESVERSION:2', 'X-CUSTOM;X-P="a;b":va\\,lue',
        "ATTACH;FMTTYPE=application/pdf:https://files.example/contract.pdf", "SEQUENCE:3",
        "GEO:52.5;13.4", "BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT15M", "DESCRIPTION:Soon", "END:VALARM",
    )  # fmt: skip
    path = desk.put("ann", "m", "SUMMARY:Old", *unknown)
    before = desk.get("ann", path)
    desk.sync()
    desk.edit(desk.only()["guid"], "--subject", "New")
    desk.sync()
    text = desk.get("ann", path)
    assert "SUMMARY:New" in text
    changed = ("SUMMARY", "DTSTAMP", "LAST-MODIFIED")
    assert [line for line in before.split("\n") if line not in text and not line.startswith(changed)] == []
    assert "X-LOTUS-UPDATE-WISL" in text and "BEGIN:VALARM" in text
    desk.quiet()


@pytest.mark.everywhere
def test_a12_tasks_go_both_ways(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", mapping="tasks", component="VTODO")
    due = MONDAY + timedelta(days=2)
    path = desk.put("ann", "t", "SUMMARY:Write offer", f"DUE:{stamp(due)}", "PRIORITY:1", component="VTODO")
    desk.sync()
    made = desk.only()
    when = f"{due:%Y%m%d}" if desk.outlook else stamp(due)  # Exchange keeps the day
    assert (made["kind"], made["subject"], made["due"], made["priority"]) == ("task", "Write offer", when, 1)
    desk.edit(made["guid"], "--status", "completed", "--completion", "100")
    desk.sync()
    text = desk.get("ann", path)
    assert "STATUS:COMPLETED" in text
    assert "PERCENT-COMPLETE:100" in text
    assert "COMPLETED:" in text
    desk.quiet()
    other = desk.create("--subject", "Call back", "--due", f"{due:%Y-%m-%d}", "--priority", "3", kind="task")
    desk.sync()
    (name,) = [n for n in desk.names("ann") if n != path]
    assert "PRIORITY:9" in desk.get("ann", name)
    assert f"DUE;VALUE=DATE:{due:%Y%m%d}" in desk.get("ann", name)
    desk.change("ann", name, "STATUS:NEEDS-ACTION", "STATUS:COMPLETED")
    desk.sync()
    assert desk.show(other)["status"] == "completed"
    desk.quiet()
