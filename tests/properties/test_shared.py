"""One meeting that several employees hold: `shared` over fixed seeds, named when they fail."""

from __future__ import annotations

from random import Random

import pytest

from tests.depth import worlds
from tests.properties.shared import Meeting, run_meeting

STEPS = 12


@pytest.mark.parametrize("first", worlds(range(1, 251, 10)))
def test_whoever_marks_a_copy_private_the_meeting_is_one_and_says_no_more_than_it_may(first: int) -> None:
    for seed in range(first, first + 10):
        run_meeting(seed, STEPS)


def test_the_meetings_are_of_every_kind() -> None:
    drawn = [Meeting(Random(seed)) for seed in range(1, 101)]
    assert {m.private for m in drawn} == {"withhold", "busy-only", "full"}
    assert {m.guests for m in drawn} == {"wait", "quiet", "tell"}
    assert {(m.series, m.repeats) for m in drawn} == {(a, b) for a in (True, False) for b in (True, False)}
    assert len({m.organiser for m in drawn}) == 2
    assert len({tuple(p.employee.id for p in m.pairings) for m in drawn}) == 6
