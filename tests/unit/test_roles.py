"""Whose meeting it is, by what a record says of its organiser and of those who are invited."""

from __future__ import annotations

import pytest

from syncd.engine.pairing import Employee
from syncd.engine.roles import role_of
from syncd.model.people import Participant, People
from syncd.model.record import Record

ANN = Employee("ann", ("ann@us.example",))


@pytest.mark.parametrize(
    ("owner", "people", "guests", "role"),
    [
        ("", (), (), "own"),
        ("ann@us.example", ("kim@acme.example",), ("kim@acme.example",), "own"),
        ("boss@us.example", ("ann@us.example",), (), "stand-in"),
        ("ex:/o=us/cn=boss", ("ann@us.example",), (), "stand-in"),
        ("ex:/o=us/cn=boss", (), ("ex:/o=us/cn=ann",), "stand-in"),
    ],
)
def test_case_s4_a_meeting_is_somebody_elses_also_where_nobody_has_an_address(
    owner: str, people: tuple[str, ...], guests: tuple[str, ...], role: str
) -> None:
    fields = {"attendees": People([Participant(a) for a in people])}
    record = Record("r", "1", "event", fields, owner=owner, guests=frozenset(guests))
    assert role_of(record, ANN, None, ()) == role
