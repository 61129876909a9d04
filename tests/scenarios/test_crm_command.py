"""The built-in CRM from the command line, without any groupware."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from syncd.crm.database import Crm
from syncd.crm.series import recurrence_from, recurrence_text
from syncd.model.recurrence import Recurrence
from syncd.model.span import moment_key
from tests.scenarios.conftest import Desk
from tests.servers.postgres import fresh_database

BERLIN = ZoneInfo("Europe/Berlin")
CONFIG = "version: 1\nstate: state\ncrm: {{connector: builtin, url: '{url}'}}\nprofiles: {{}}\nemployees: []\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An administrator's folder with a CRM that knows Ann and Bob."""
    server: Any = None
    made = Desk(tmp_path, server, database=fresh_database())
    (tmp_path / "syncd.yaml").write_text(CONFIG.format(url=made.database or "sqlite:///crm.db"))
    (tmp_path / "employees.csv").write_text("id,name,address\nann,Ann,ann@us.example\nbob,Bob,bob@us.example\n")
    made.run("crm", "import", "employees", "employees.csv")
    return made


AT = ("--from", "2026-12-01 10:00", "--to", "2026-12-01 11:00", "--zone", "Europe/Berlin")


def test_case_p6_a_name_that_is_no_employee_is_refused(desk: Desk) -> None:
    guid = desk.create("--subject", "Secret", "--private", *AT)
    for words in (
        ("list",), ("search", "Secret"), ("show", guid), ("edit", guid, "--subject", "x"), ("delete", guid),
        ("documents", "appointment", guid), ("follow-up", guid), ("attachments", guid), ("create", "task"),
    ):  # fmt: skip
        refused = desk.run("crm", *words, "--as", "groupware", status=2)
        assert 'no employee "groupware"' in refused.err
        assert "Secret" not in refused.out + refused.err
    assert 'no employee "SYSTEM"' in desk.run("crm", "list", SYNCD_EMPLOYEE="SYSTEM", status=2).err


def test_a_private_name_is_not_given_to_a_colleague_unasked(desk: Desk) -> None:
    guid = desk.create("--subject", "Secret", "--private", *AT)
    refused = desk.run("crm", "follow-up", guid, "task", "--owner", "bob", status=2)
    assert "--subject" in refused.err and "Secret" not in refused.err
    made = desk.run("crm", "follow-up", guid, "task", "--owner", "bob", "--subject", "Call me").out.strip()
    assert desk.show(made, as_="bob")["subject"] == "Call me"
    mine = desk.run("crm", "follow-up", guid, "task").out.strip()
    assert desk.show(mine)["subject"] == "Secret"


def test_case_p6_of_a_private_appointment_others_learn_nothing(desk: Desk) -> None:
    guid = desk.create("--subject", "Secret", "--private", *AT)
    task = desk.create("--subject", "After it", "--follows", f"appointment:{guid}", kind="task")
    for as_ in ("bob", ""):
        known = desk.run("crm", "documents", "appointment", guid, "--as", as_, SYNCD_EMPLOYEE="", status=2).err
        other = desk.run("crm", "documents", "appointment", "x", "--as", as_, SYNCD_EMPLOYEE="", status=2).err
        assert known.replace(guid, "x") == other
        assert desk.run("crm", "documents", "task", task, "--json", "--as", as_).json["predecessors"] == []
        follow = desk.run("crm", "follow-up", guid, "--as", as_, status=2)
        assert follow.err.strip() == f"syncd: no activity {guid}"
        refused = desk.run("crm", "create", "task", "--follows", f"appointment:{guid}", "--as", as_, status=2)
        assert f"no appointment '{guid}'" in refused.err
        assert [a["subject"] for a in desk.activities(as_=as_)] == ["After it"]
    assert desk.run("crm", "documents", "task", task, "--json").json["predecessors"] == [["appointment", guid]]


def test_case_p6_a_private_follow_up_may_be_somebody_elses(desk: Desk) -> None:
    guid = desk.create("--subject", "Secret", "--private", *AT)
    task = desk.run("crm", "follow-up", guid, "task", "--subject", "Book a room", "--owner", "bob").out.strip()
    assert [a["subject"] for a in desk.activities(as_="bob")] == ["Book a room"]
    assert desk.show(task, as_="bob")["predecessors"] == []
    assert desk.show(guid)["followers"] == []


def test_case_l6_l7_a_series_moved_and_renamed_by_command_line_takes_its_occurrences_along(desk: Desk) -> None:
    """And its zone: who gives a time means it by the clock of the appointment."""
    one = moment_key(datetime(2026, 12, 1, 10, tzinfo=BERLIN))
    third = moment_key(datetime(2026, 12, 15, 10, tzinfo=BERLIN))
    over = MappingProxyType({third: MappingProxyType({"subject": "Team", "location": "Room 9"})})
    recurrence = recurrence_text(Recurrence("FREQ=WEEKLY;COUNT=4", frozenset(), frozenset({one}), over))
    with closing(Crm.open(desk.database or f"sqlite:///{desk.folder / 'state' / 'crm.db'}")) as crm:
        values = {"subject": "Team", "starts": one, "ends": one, "zone": "Europe/Berlin", "recurrence": recurrence}
        guid = crm.create("appointment", values, by="").guid
    desk.edit(guid, "--from", "2026-12-01 11:00", "--to", "2026-12-01 12:00", "--subject", "Group")
    found = desk.show(guid)
    assert (found["starts"], found["zone"]) == ("20261201T100000Z", "Europe/Berlin")
    held = recurrence_from(found["recurrence"])
    assert held.exdates == {"20261201T100000Z"}
    assert {k: dict(f) for k, f in held.overrides.items()} == {"20261215T100000Z": {"location": "Room 9"}}


def test_case_g13_check_says_what_others_may_read(desk: Desk) -> None:
    assert "warning" not in desk.run("check", "--offline").out
    state = desk.folder / "state"
    state.mkdir(exist_ok=True)
    state.chmod(0o755)
    files = [state / "syncd.key", *([] if desk.database else [state / "crm.db"])]
    for file in files:
        file.touch()
        file.chmod(0o644)
    said = desk.run("check", "--offline").out
    assert f"warning: others may look into {state} (mode 0755): chmod 700 {state}" in said
    for file in files:
        assert f"warning: others may read {file} (mode 0644): chmod 600 {file}" in said


def test_case_p7_forget_with_another_key_is_refused(desk: Desk) -> None:
    text = (desk.folder / "syncd.yaml").read_text().replace("profiles: {}", PROFILE).replace("employees: []", ANN)
    (desk.folder / "syncd.yaml").write_text(text)
    desk.run("forget", "ann", "--yes")
    assert desk.run("status", "--json").json["pairings"] == []
    (desk.folder / "state" / "syncd.key").unlink()
    for words in (("forget", "ann", "--yes"), ("sync",), ("plan",), ("status",), ("run",)):
        assert "the key of this store is gone" in desk.run(*words, status=2).err
    assert not (desk.folder / "state" / "syncd.key").exists()


PROFILE = "profiles:\n  cal: {connector: caldav, url: 'http://127.0.0.1:9/'}"
ANN = "employees:\n  - {id: ann, addresses: ann@us.example, accounts: [{profile: cal, calendar: /ann/}]}"
