"""The engine has no way to an item but the gate, and the gate gives out nothing that was not admitted."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.engine.gate import Gate
from syncd.mapping.schema import Privacy
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.span import Span
from syncd.ports import Capabilities, Gone, Stale
from syncd.privacy import Admission
from tests.memory import MemoryReplica, calendar

ENGINE = Path(__file__).resolve().parents[2] / "syncd" / "engine"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
#: What may look at a replica itself: the gate, and the mailroom, which stands before it.
MAY = {"gate.py", "mailroom.py"}
#: What says nothing of an item.
HARMLESS = {"capabilities"}


@pytest.mark.either
@pytest.mark.parametrize("path", sorted(ENGINE.glob("*.py")), ids=lambda p: p.name)
def test_no_module_reaches_past_the_gate(path: Path) -> None:
    """`x.replica` is the collection itself; but for what it can hold, only the gate may ask it anything."""
    if path.name in MAY:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    asked = {a.attr for a in attributes if isinstance(a.value, ast.Attribute) and a.value.attr == "replica"}
    assert asked <= HARMLESS
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {f.id for f in calls if isinstance(f, ast.Name)}
    assert "admit" not in called, "the gate admits, and nobody else"


def gate(sensitivity: str) -> tuple[Gate, str]:
    replica = calendar("ann", lambda: NOW)
    span = Span(NOW, NOW + timedelta(hours=1), "UTC")
    fields = {"summary": "Secret", "time": span, "sensitivity": sensitivity, "status": "confirmed"}
    replica.records["e"] = Record("e", "first", "event", fields, uid="u", native="the whole object, Secret")
    return Gate(replica, Privacy.model_validate({})), "e"


@pytest.mark.either
@pytest.mark.parametrize("sensitivity", ["public", "private", "secret"])
def test_what_comes_through_holds_neither_what_is_withheld_nor_the_connectors_object(sensitivity: str) -> None:
    made, ref = gate(sensitivity)
    found = made.one(ref)
    assert isinstance(found, Admission)
    assert (found.record is not None) is (sensitivity == "public")
    assert "whole object" not in repr(found)
    if found.record is not None:
        assert found.record.native is None
    else:
        assert "Secret" not in repr(found)
    assert isinstance(made.one("other"), Gone)


@pytest.mark.either
def test_a_write_is_made_at_the_version_that_was_admitted_however_often_it_was_read_since() -> None:
    made, ref = gate("public")
    found = made.one(ref)
    assert isinstance(found, Admission) and found.record is not None
    replica = made._real
    replica.edit(ref, summary="Edited")  # type: ignore[attr-defined]
    made.one(ref)
    with pytest.raises(Stale):
        made.update(found.record, {"location": "There"}, tell=False)
    with pytest.raises(Stale):
        made.delete(found.record, tell=False)


class Blunt(MemoryReplica):
    """A server that deletes whatever it is given, at the version that the connector's own object says."""

    def delete(self, record: Record, *, tell: bool = False) -> None:
        del self.records[record.ref]


def test_what_was_shown_is_deleted_and_nothing_that_was_read_since() -> None:
    replica = Blunt("ann", Capabilities(frozenset({"event"})), lambda: NOW)
    replica.put("e1", "event", {"summary": "Shown", "sensitivity": "public"})
    gate = Gate(replica, Privacy.model_validate({}))
    first = gate.one("e1")
    assert isinstance(first, Admission)
    assert first.record is not None
    replica.edit("e1", summary="Edited meanwhile")
    gate.one("e1")
    with pytest.raises(Stale):
        gate.delete(first.record, tell=False)
    assert list(replica.records) == ["e1"]


def test_a_block_of_time_has_no_guests() -> None:
    replica = MemoryReplica("ann", Capabilities(frozenset({"event"})), lambda: NOW)
    people = People([Participant("doctor@clinic.example")])
    replica.put("e1", "event", {"summary": "Secret", "sensitivity": "private", "attendees": people})
    replica.records["e1"] = replace(replica.records["e1"], guests=frozenset(people), owner="ann@us.example")
    found = Gate(replica, Privacy.model_validate({"private": "busy-only"})).one("e1")
    assert isinstance(found, Admission)
    assert found.record is not None
    assert not found.record.guests
    assert not found.record.owner
