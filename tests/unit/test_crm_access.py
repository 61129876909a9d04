"""Who sees what in the built-in CRM: a private activity is its owner's, for everybody else it does not exist."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import syncd.crm
from connectors.builtin import BuiltinCrm
from syncd.crm.access import SYSTEM
from syncd.crm.activities import Invalid, NotFound
from syncd.crm.database import Crm
from syncd.crm.series import recurrence_from, recurrence_text
from syncd.model.files import File, Files
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from tests.servers.postgres import fresh_database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OTHERS = ("bob", "groupware", "system", "SYSTEM", "", "nobody")
ONE, TWO = "20261201T100000Z", "20261208T100000Z"


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    made = Crm.open(fresh_database() or "sqlite://", lambda: NOW)
    for kind, text in {
        "employees": "id,name,address\nann,Ann,ann@us.example\nbob,Bob,bob@us.example\ngroupware,G,g@us.example\n",
        "accounts": "id,name\nacme,Acme\n",
        "transactions": "id,type,description,account\nop1,opportunity,Big deal,acme\n",
    }.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(text)
        made.import_csv(kind, path)
    yield made
    made.close()


def appointment(crm: Crm, subject: str, **more: Any) -> str:
    values = {"subject": subject, "owner": "ann", "starts": ONE, "ends": ONE, **more}
    return crm.create("appointment", values, by="ann").guid


def secret(crm: Crm, subject: str = "Secret", **more: Any) -> str:
    return appointment(crm, subject, private=True, **more)


@pytest.mark.parametrize("viewer", OTHERS)
def test_case_p6_no_name_sees_what_is_somebody_elses(crm: Crm, viewer: str) -> None:
    people = People([Participant("bob@us.example"), Participant("g@us.example")])
    guid = secret(crm, notes="Secret", participants=people)
    for read in (crm.get, crm.history, crm.attachments):
        with pytest.raises(NotFound):
            read(guid, viewer=viewer)
    with pytest.raises(NotFound):
        crm.documents("appointment", guid, viewer=viewer)
    with pytest.raises(NotFound):
        crm.edit(guid, {"subject": "Mine now"}, by=viewer)
    with pytest.raises(NotFound):
        crm.delete(guid, by=viewer)
    for criteria in (
        {},
        {"text": "Secret"},
        {"owner": "ann"},
        {"address": "bob@us.example"},
        {"kinds": ["appointment"]},
    ):
        assert crm.search(viewer=viewer, **criteria) == []
    assert crm.many([guid], viewer=viewer) == {}
    assert crm.get(guid, viewer="ann").version == crm.get(guid, viewer=SYSTEM).version == 1


def test_case_p6_a_limit_counts_only_what_the_viewer_may_see(crm: Crm) -> None:
    for n in range(2):
        secret(crm, f"Secret {n}")
    seen = appointment(crm, "Open to all", starts=TWO, ends=TWO)
    assert [a.guid for a in crm.search(viewer="bob", limit=2)] == [seen]


def test_case_p6_documents_link_only_to_what_the_viewer_may_see(crm: Crm) -> None:
    open_ = appointment(crm, "Open")
    hidden = crm.create(
        "task", {"subject": "x", "owner": "ann", "private": True}, by="ann", follows=("appointment", open_)
    ).guid
    crm.follow(("opportunity", "op1"), ("task", hidden), by="ann")
    assert crm.documents("appointment", open_, viewer="ann")["followers"] == [("task", hidden)]
    assert crm.documents("appointment", open_, viewer="bob") == {"predecessors": [], "followers": []}
    assert crm.documents("opportunity", "op1", viewer="ann")["followers"] == [("task", hidden)]
    assert crm.documents("opportunity", "op1", viewer="groupware")["followers"] == []
    with pytest.raises(Invalid, match="no task"):
        crm.follow(("task", hidden), ("appointment", open_), by="bob")
    with pytest.raises(Invalid, match="no task"):
        crm.create("call", {"subject": "x"}, by="bob", follows=("task", hidden))
    assert [a.guid for a in crm.search(viewer=SYSTEM, kinds=["call"])] == []


def test_case_p6_an_invitation_shows_no_private_appointment_and_no_private_mail(crm: Crm) -> None:
    meeting = secret(crm, "Hush")
    crm.edit(meeting, {"uid": "u1"}, by="ann")
    mail = crm.create("e-mail", {"subject": "Invitation", "appointment": "u1"}, by="ann").guid
    assert crm.documents("e-mail", mail, viewer="ann")["followers"] == [("appointment", meeting)]
    assert crm.documents("e-mail", mail, viewer="bob")["followers"] == []
    crm.edit(meeting, {"private": False}, by="ann")
    crm.edit(mail, {"private": True, "owner": "ann"}, by="ann")
    assert crm.documents("appointment", meeting, viewer="ann")["predecessors"] == [("e-mail", mail)]
    assert crm.documents("appointment", meeting, viewer="bob")["predecessors"] == []


def test_case_p6_files_of_a_private_mail_are_its_owners(crm: Crm) -> None:
    files = Files([File("plan.pdf", "application/pdf", 4, [b"plan"])])
    guid = crm.create("e-mail", {"subject": "x", "owner": "ann", "private": True, "attachments": files}, by="ann").guid
    assert b"".join(crm.attachment(guid, 0, viewer="ann")) == b"plan"
    for viewer in OTHERS:
        with pytest.raises(NotFound):
            list(crm.attachment(guid, 0, viewer=viewer))


def test_case_p6_a_private_activity_of_nobody_is_nobodys(crm: Crm) -> None:
    guid = crm.create("task", {"subject": "Lost", "private": True}, by="").guid
    for viewer in ("ann", *OTHERS):
        assert crm.many([guid], viewer=viewer) == {}


def test_case_p6_the_past_of_a_private_activity_stays_its_owners(crm: Crm) -> None:
    """What stood there while it was private is not told when it becomes public."""
    guid = secret(crm, "Oncologist")
    crm.edit(guid, {"subject": "Doctor"}, by="ann")
    crm.edit(guid, {"private": False, "subject": "Out of office"}, by="ann")
    crm.edit(guid, {"subject": "Away"}, by="ann")
    told = {v: [h["text"] for h in crm.history(guid, viewer=v)] for v in ("ann", "bob")}
    assert told == {"ann": ["Oncologist", "Doctor", "True", "Out of office"], "bob": ["Out of office"]}
    with pytest.raises(Invalid, match="its owner's alone"):
        crm.edit(guid, {"owner": "bob"}, by="bob")


def weekly(**over: Any) -> str:
    override = {"subject": "Oncologist", "private": True, **over}
    return recurrence_text(
        Recurrence("FREQ=WEEKLY;COUNT=4", overrides=MappingProxyType({TWO: MappingProxyType(override)}))
    )


def test_case_p6_a_private_occurrence_is_not_there_for_others(crm: Crm) -> None:
    guid = appointment(crm, "Team", zone="Europe/Berlin", recurrence=weekly())
    crm.edit(guid, {"recurrence": weekly(location="Room 1")}, by="ann")
    assert crm.get(guid, viewer="ann").recurrence == weekly(location="Room 1")
    for text in (
        crm.get(guid, viewer="bob").recurrence,
        crm.search(viewer="bob")[0].recurrence,
        crm.edit(guid, {"location": "Room 2"}, by="bob").recurrence,
        *(h["text"] for h in crm.history(guid, viewer="bob") if h["field"] == "recurrence"),
    ):
        assert "Oncologist" not in text
        assert recurrence_from(text) == Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({TWO}))


def test_case_p6_who_does_not_see_an_occurrence_does_not_destroy_it(crm: Crm) -> None:
    guid = appointment(crm, "Team", recurrence=weekly())
    seen = recurrence_from(crm.get(guid, viewer="bob").recurrence)
    changed = Recurrence("FREQ=WEEKLY;COUNT=5", exdates=seen.exdates)
    crm.edit(guid, {"recurrence": recurrence_text(changed)}, by="bob")
    held = recurrence_from(crm.get(guid, viewer="ann").recurrence)
    assert (held.rule, held.exdates, dict(held.overrides[TWO])) == (
        "FREQ=WEEKLY;COUNT=5", frozenset(), {"subject": "Oncologist", "private": True}
    )  # fmt: skip


def test_case_p6_a_private_meeting_is_no_candidate_for_a_participants_own_item(crm: Crm) -> None:
    secret(crm, "Hush", participants=People([Participant("bob@us.example")]))
    replica = BuiltinCrm(crm)
    (record,) = replica.fetch([a.guid for a in crm.search(viewer=SYSTEM)]).values()
    assert replica.candidates([record], "bob@us.example") == [[]]  # type: ignore[list-item]
    assert [len(c) for c in replica.candidates([record], "ann@us.example")] == [1]  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["appointment", "task", "e-mail"])
def test_case_g5_what_the_connector_calls_private_is_its_owners_in_the_crm(crm: Crm, kind: str) -> None:
    replica = BuiltinCrm(crm)
    span = Span(NOW, NOW + timedelta(hours=1))
    time: dict[str, Any] = {"due": NOW.date()} if kind == "task" else {"time": span}
    made = replica.create({"subject": "Hush", "private": True, **time}, "k", kind=kind, uid="u", owner="ann@us.example")
    assert crm.get(made.ref, viewer="ann").private
    assert [crm.many([made.ref], viewer=v) for v in OTHERS] == [{}] * len(OTHERS)
    public = replica.create(
        {"subject": "Open", "private": False, **time}, "l", kind=kind, uid="v", owner="ann@us.example"
    )
    record = replica.fetch([public.ref])[public.ref]
    replica.update(record, {"private": True})  # type: ignore[arg-type]
    assert [crm.many([public.ref], viewer=v) for v in OTHERS] == [{}] * len(OTHERS)


def test_case_p6_every_read_of_the_crm_takes_a_viewer() -> None:
    """Whatever selects from a table of activities is told as whom; what is handed guids by such a reader, and
    what changes nothing but its own row, is named here."""
    inner = {"predecessors", "files", "set_files", "follow", "_loaded", "_hides", "create_all", "last_seq"}
    tables = {"activity", "participant", "history", "follow_up", "attachment", "attachment_piece", "gone"}
    assert syncd.crm.__file__ is not None
    for file in sorted(Path(syncd.crm.__file__).parent.glob("*.py")):
        for function in [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef)]:
            reads = {
                a.attr
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "select"
                for a in ast.walk(call)
                if isinstance(a, ast.Attribute) and isinstance(a.value, ast.Name) and a.value.id == "t"
            }
            names = {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
            if reads & tables and function.name not in inner and file.name != "access.py":
                assert names & {"viewer", "by"}, f"{file.name}: {function.name}"
    for name in ("get", "many", "search", "history", "documents", "attachments", "attachment"):
        assert "viewer" in inspect.signature(getattr(Crm, name)).parameters, name
    for name in ("create", "edit", "delete", "follow"):
        assert "by" in inspect.signature(getattr(Crm, name)).parameters, name
