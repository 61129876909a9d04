"""Scenarios P1, P2, P3 and P5 on Radicale and the built-in CRM, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.scenarios.conftest import MONDAY, Desk

MakeDesk = Callable[..., Desk]
SECRETS = ("Oncologist", "Ward9", "Bring-results", "drno@clinic.example", "Health-matters", "scan.pdf", "Xsecret")


def private(desk: Desk, sensitivity: str = "PRIVATE") -> str:
    return desk.put(
        "ann", "secret", f"SUMMARY:{SECRETS[0]}", f"LOCATION:{SECRETS[1]}", f"DESCRIPTION:{SECRETS[2]}",
        f"ATTENDEE:mailto:{SECRETS[3]}", "ORGANIZER:mailto:ann@us.example", f"CATEGORIES:{SECRETS[4]}",
        f"ATTACH:https://files.example/{SECRETS[5]}", f"X-NOTE:{SECRETS[6]}", f"CLASS:{sensitivity}",
    )  # fmt: skip


def leaks(desk: Desk, *outputs: str) -> list[str]:
    held = desk.everything_written() + "".join(outputs).encode()
    return [s for s in SECRETS if s.lower().encode() in held.lower()]


@pytest.mark.everywhere
def test_p1_a_withheld_event_leaves_no_trace(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = private(desk)
    private_too = desk.put("ann", "c", "SUMMARY:Xsecret", "CLASS:CONFIDENTIAL")
    outputs = [
        d.out + d.err
        for d in (
            desk.run("plan"),
            desk.run("sync", "-v"),
            desk.run("status"),
            desk.run("explain", desk.ref("ann", path)),
        )
    ]
    assert desk.activities() == []
    assert leaks(desk, *outputs) == []
    assert desk.sync()["ann"]["withheld"] == 0  # nothing new
    desk.change("ann", private_too, "DTSTAMP", "X-Y:1\nDTSTAMP")
    assert desk.sync()["ann"]["withheld"] == 1
    assert leaks(desk) == []


@pytest.mark.everywhere
def test_p1_busy_only_is_a_block_named_as_configured_and_nothing_else(make_desk: MakeDesk) -> None:
    desk = make_desk(
        "ann", one="private: withhold => private: busy-only", two="busy-subject: Busy => busy-subject: Not available"
    )
    path = private(desk)
    desk.sync()
    made = desk.only()
    assert (made["subject"], made["notes"], made["location"], made["participants"]) == ("Not available", "", "", [])
    assert leaks(desk) == []
    before = desk.get("ann", path)
    desk.edit(made["guid"], "--subject", "What is this?")
    desk.sync()
    assert desk.get("ann", path) == before
    desk.quiet()


@pytest.mark.everywhere
def test_p2_public_to_private_takes_the_copy_back_and_the_ledger_says_so(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = private(desk, "PUBLIC")
    desk.sync()
    guid = desk.only()["guid"]
    desk.change("ann", path, "SUMMARY:Oncologist", "SUMMARY:Health-matters")
    desk.sync()
    assert desk.show(guid)["history"] != []
    desk.change("ann", path, "CLASS:PUBLIC", "CLASS:PRIVATE")
    assert desk.sync()["ann"]["redacted"] == 1
    assert desk.activities() == []
    assert leaks(desk) == []
    assert "crossed taken-back" in desk.run("explain", desk.ref("ann", path)).out
    desk.quiet()
    desk.change("ann", path, "CLASS:PRIVATE", "CLASS:PUBLIC")
    desk.sync()
    assert desk.only()["subject"] == "Health-matters"
    desk.quiet()


@pytest.mark.everywhere
def test_p2_what_the_crm_added_stays_there(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    path = private(desk, "PUBLIC")
    desk.sync()
    guid = desk.only()["guid"]
    desk.change("ann", path, "CLASS:PUBLIC", "CLASS:PRIVATE")
    desk.edit(guid, "--notes", "Our own note", "--priority", "1")
    desk.sync()
    kept = desk.show(guid)
    assert (kept["notes"], kept["priority"], kept["subject"], kept["location"]) == ("Our own note", 1, "", "")
    assert leaks(desk) == []
    assert f"{MONDAY:%Y%m%dT}" not in kept["starts"]


@pytest.mark.everywhere
def test_p3_a_private_appointment_is_its_owners_alone(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    desk.create("--subject", "Salary talk", "--from", f"{MONDAY:%Y-%m-%d %H:%M}", "--private",
                "--to", f"{MONDAY + timedelta(hours=1):%Y-%m-%d %H:%M}", "--participant", "bob@us.example")  # fmt: skip
    desk.sync()
    (event,) = desk.calendar("ann")
    assert "CLASS:PRIVATE" in event
    assert desk.calendar("bob") == []
    desk.quiet()
    assert len(desk.activities()) == 1  # its private copy did not take it back
    assert desk.activities(as_="bob") == []


@pytest.mark.everywhere
def test_p5_forget_leaves_no_byte_and_the_next_pass_brings_nobody_back(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    hers = desk.put("ann", "a", "SUMMARY:Of Ann")
    his = desk.put("bob", "b", "SUMMARY:Of Bob", start=MONDAY + timedelta(hours=4))
    desk.sync()
    desk.run("forget", "ann", "--yes")
    store = desk.store_bytes()
    assert b"ann" not in store.replace(b"planned", b"")
    assert desk.ref("ann", hers).encode() not in store
    assert "bob" in desk.sync()
    assert "ann" not in desk.sync()
    store = desk.store_bytes()
    assert desk.ref("ann", hers).encode() not in store
    assert desk.ref("bob", his).encode() in store
