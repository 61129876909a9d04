"""Scenarios B1, B2, B3 and B5 through the command line."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.cli.radicale import Server
from tests.scenarios.conftest import MONDAY, Desk

MakeDesk = Callable[..., Desk]


def test_b1_from_nothing_to_a_first_sync(server: Server, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server)
    nothing = desk.run("sync", status=2)
    assert "syncd init" in nothing.err
    desk.paths["dora"] = server.calendar("dora", "work")
    server.calendar("dora", "todo", "VTODO")
    desk.put("dora", "e", "SUMMARY:First")
    said = desk.run(
        "init", "--url", server.url, "--username", "dora", "--address", "dora@us.example", "--name", "Dora",
        "--zone", "Europe/Berlin", "--calendar", "/dora/work/", "--secret-in", "file", stdin="dora\n",
    )  # fmt: skip
    assert "syncd plan" in said.out
    text = (tmp_path / "syncd.yaml").read_text()
    assert 'password: "file:secrets/' in text
    (secret,) = (tmp_path / "secrets").iterdir()
    assert secret.stat().st_mode & 0o777 == 0o600
    assert "1 created in the CRM" in desk.run("plan").out
    assert "1 created in the CRM" in desk.run("sync").out
    assert [a["owner"] for a in desk.activities(as_="dora")] == ["dora"]
    assert "signed in" in desk.run("check").out


def test_case_g13_what_the_quickstart_makes_is_its_owners_alone(server: Server, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        desk = Desk(tmp_path / "work", server)
        desk.folder.mkdir()
        server.calendar("cid", "work")
        desk.run(
            "init", "--url", server.url, "--username", "cid", "--address", "cid@us.example", "--name", "Cid",
            "--zone", "UTC", "--secret-in", "file", stdin="cid\n",
        )  # fmt: skip
        desk.run("sync")
        desk.run("crm", "list", "--as", "cid")
    finally:
        os.umask(before)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")}
    assert {"crm.db", "store.db", "syncd.key"} <= modes.keys()
    assert {n: m for n, m in modes.items() if n != "syncd.yaml" and m not in (0o600, 0o700)} == {}
    assert modes["work"] == 0o700
    assert "warning: others" not in desk.run("check", "--offline").out


def test_b1_asks_for_what_it_was_not_told_and_again_for_what_cannot_be(server: Server, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server)
    for name, kind in (("a", "VEVENT"), ("b", "VEVENT"), ("z", "VTODO")):
        server.calendar("eve", name, kind)
    answers = [server.url, "eve", "eve", "9", "2", "eve@us.example", "Eve", "Asia/Tokyo"]
    said = desk.run("init", "--secret-in", "file", stdin="\n".join(answers) + "\n")
    assert "9 holds no events; one of: 1, 2" in said.out
    text = (tmp_path / "syncd.yaml").read_text()
    assert 'calendar: "/eve/b/"' in text
    assert 'calendar: "/eve/z/"' in text
    assert "zone: Asia/Tokyo" in text
    assert "signed in" in desk.run("check").out


def test_b1_a_wrong_password_and_a_wrong_address_are_said(server: Server, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server)
    words = ("--username", "dora", "--address", "d@us.example", "--name", "D", "--zone", "UTC", "--secret-in", "file")
    wrong = desk.run("init", "--url", server.url, *words, stdin="wrong\n", status=3)
    assert "refuses the sign-in" in wrong.err
    wrong = desk.run("init", "--url", "http://127.0.0.1:9/", *words, stdin="x\n", status=3)
    assert "does not answer" in wrong.err
    assert not (tmp_path / "syncd.yaml").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("syncd.yaml", "profiles:", "profile:", 'unknown key "profile" (did you mean "profiles"?)'),
        ("syncd.yaml", "connector: caldav", "connector: caldv", '(did you mean "caldav"?)'),
        ("syncd.yaml", "profile: cal,", "profile: cla,", 'no profile "cla" (did you mean "cal"?)'),
        ("syncd.yaml", "password: 'file:", "password: 'hunter2", "never in plain text"),
        ("syncd.yaml", "mapping: own.yaml", "mapping: apointments", 'did you mean "appointments"'),
        ("own.yaml", "direction: both", "direction: booth", '(did you mean "both"?)'),
        ("own.yaml", "{from: summary", "{from: sumary", 'unknown field "sumary" (did you mean "summary"?)'),
        ("own.yaml", "past: 30d", "past: 30x", "is no duration"),
        ("own.yaml", "  default: newest", "  defalt: newest", 'did you mean "default"'),
        ("own.yaml", "version: 1", "version: 1\nversion: 1", "duplicate key"),
    ],
)  # fmt: skip
def test_b2_a_typo_is_named_with_its_place_and_nothing_is_touched(
    make_desk: MakeDesk, file: str, old: str, new: str, says: str
) -> None:
    desk = make_desk("ann", edit="status: crm => status: crm")
    desk.put("ann", "e", "SUMMARY:Untouched")
    path = desk.folder / file
    text = path.read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1 + new.count("\n")
    path.write_text(text.replace(old, new, 1))
    done = desk.run("sync", status=2)
    assert says in done.err
    assert f"{file}:{line}:" in done.err
    assert "hunter2" not in done.err
    assert not (desk.folder / "store.db").exists()
    assert desk.run("check", "--offline", status=2).err == done.err


def test_b3_plan_says_what_sync_then_does(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    desk.put("ann", "one", "SUMMARY:One")
    desk.put("ann", "two", "SUMMARY:Two", start=MONDAY + timedelta(hours=2))
    desk.put("ann", "secret", "SUMMARY:Secret", "CLASS:PRIVATE")
    at = f"{MONDAY + timedelta(days=1):%Y-%m-%d %H:%M}"
    desk.create("--subject", "Three", "--from", at, "--to", at, "--participant", "bob@us.example")
    before = (desk.calendar("ann"), desk.calendar("bob"), desk.activities())
    planned = {p["pairing"]: p for p in desk.run("plan", "--json").json["pairings"]}
    assert (desk.calendar("ann"), desk.calendar("bob"), desk.activities()) == before
    assert {p["links"] for p in desk.run("status", "--json").json["pairings"]} == {0}
    done = {p["pairing"]: p for p in desk.run("sync", "--json").json["pairings"]}
    keys = ("created", "updated", "deleted", "withheld", "linked", "parked", "conflicts", "held")
    assert {n: {k: p[k] for k in keys} for n, p in planned.items()} == {
        n: {k: p[k] for k in keys} for n, p in done.items()
    }
    assert (done["ann/cal"]["created"], done["ann/cal"]["withheld"]) == ({"crm": 2, "groupware": 1}, 1)
    assert "nothing to do" in desk.run("plan").out


def test_b5_explain_answers_why_it_is_or_is_not_in_a_calendar(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    path = desk.put("ann", "one", "SUMMARY:One")
    secret = desk.put("ann", "secret", "SUMMARY:Secret", "CLASS:PRIVATE")
    far = MONDAY + timedelta(days=700)
    late = desk.create("--subject", "Far", "--from", f"{far:%Y-%m-%d}", "--to", f"{far:%Y-%m-%d}")
    task = desk.create("--subject", "A task", kind="task")
    desk.sync()
    (guid,) = [a["guid"] for a in desk.activities() if a["subject"] == "One"]
    assert "ann/cal: in the calendar, in step both ways" in desk.run("explain", guid).out
    assert "bob/cal: not in the calendar: not a participant" in desk.run("explain", guid).out
    assert "in step both ways" in desk.run("explain", path).out
    assert "outside the mapping's window" in desk.run("explain", late).out
    assert "the mapping is about appointments" in desk.run("explain", task).out
    assert "private: nothing of it crosses" in desk.run("explain", secret).out
    desk.delete("ann", path)
    desk.sync()
    assert "its item was deleted in the groupware" in desk.run("explain", guid).out
    assert "known as" in desk.run("explain", "no-such-thing", status=2).err


def test_approve_lets_a_held_mass_deletion_through(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    paths = [desk.put("ann", f"e{n}", f"SUMMARY:E{n}", start=MONDAY + timedelta(hours=n)) for n in range(15)]
    desk.sync()
    for path in paths:
        desk.delete("ann", path)
    assert desk.sync()["ann"]["held"] == 15
    assert "syncd approve ann/cal" in desk.run("status", status=1).out
    assert {a["status"] for a in desk.activities()} == {"open"}
    assert "15 deletion(s)" in desk.run("approve", "ann/cal").out
    desk.sync(status=0)
    assert {a["status"] for a in desk.activities()} == {"rejected"}
    desk.quiet()


def test_a_wrong_password_stops_only_that_account(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    desk.put("ann", "a", "SUMMARY:A")
    desk.put("bob", "b", "SUMMARY:B")
    (desk.folder / "secrets" / "ann").write_text("wrong\n")
    done = desk.sync(status=3)
    assert done["ann"]["outcome"] == "sign-in failed"
    assert done["bob"]["created"]["crm"] == 1
    (desk.folder / "secrets" / "ann").chmod(0o644)
    assert "chmod 600" in desk.run("sync", status=3).err


def test_a_sync_of_one_employee_takes_nothing_from_the_others(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    path = desk.put("ann", "a", "SUMMARY:A")
    desk.sync()
    desk.edit(desk.only()["guid"], "--subject", "Changed in the CRM")
    at = f"{MONDAY + timedelta(days=1):%Y-%m-%d %H:%M}"
    desk.create("--subject", "New", "--from", at, "--to", at)
    assert set(desk.sync("bob")) == {"bob"}
    assert set(desk.sync("ann")) == {"ann"}
    assert "SUMMARY:Changed in the CRM" in desk.get("ann", path)
    assert len(desk.calendar("ann")) == 2
