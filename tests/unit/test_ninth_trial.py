"""What fresh minds, and the soak, found in a ninth trial, and what is of its kind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from syncd.model.people import Participant, People
from tests.unit.test_eighth_trial import settled
from tests.unit.test_engine import MON, World, span


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_an_appointment_without_a_time_stands_in_no_calendar(owner: str) -> None:
    """The untitled leftover of what others have made private again, for one."""
    world = World("ann", "bob")
    both = People([Participant("ann@us.example"), Participant("bob@us.example")])
    ref = world.appointment(owner=owner, subject="", time=None, participants=both, categories=frozenset({"C"}))
    settled(world)
    assert world.items("ann") == world.items("bob") == []
    world.now += timedelta(minutes=1)
    world.crm.edit(ref, time=span(MON), subject="Visit")
    settled(world)
    assert [i["summary"] for n in ("ann", "bob") for i in world.items(n)] == ["Visit", "Visit"]
    world.quiet()
