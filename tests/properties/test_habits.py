"""The engine among people and systems with habits: `habits` over fixed seeds, named when they fail."""

from __future__ import annotations

import pytest

from tests.depth import worlds
from tests.properties.habits import Habits, HabitWorld, lens_of, run_habits

STEPS = 50


#: On PostgreSQL, where each world takes a database of its own, a few of them.
FIRST = [1, *(pytest.param(first, marks=pytest.mark.either) for first in range(11, 101, 10))]


@pytest.mark.parametrize("first", worlds(FIRST))
def test_whatever_people_do_nobody_is_told_nothing_is_lost_and_nothing_private_crosses(first: int) -> None:
    checked: dict[str, int] = {}
    for seed in range(first, first + 10):
        for name, count in run_habits(seed, STEPS).checked.items():
            checked[name] = checked.get(name, 0) + count
    assert checked.get("agreement"), "nothing agreed, so nothing was tested"
    assert checked.get("there"), "nothing was there, so nothing was tested"


def test_the_worlds_are_of_every_kind() -> None:
    """A world that never met read-only accounts, or guests on a server that tells, would prove nothing of them."""
    from random import Random

    drawn = [Habits.any(Random(seed)) for seed in range(1, 151)]
    assert {w.direction for w in drawn} == {"both", "to-crm", "to-groupware"}
    assert {w.guests for w in drawn} == {"wait", "quiet", "tell"}
    assert {w.private for w in drawn} == {"withhold", "busy-only", "full"}
    assert len({s for w in drawn for s in w.servers}) == 3
    assert any(any(w.read_only) for w in drawn)
    assert {w.series for w in drawn} == {True, False}
    for habits in drawn:
        assert lens_of(habits, wide=True).mapping.exclude == []
    assert HabitWorld(Random(1), drawn[0]).pairings[1].default is False
