"""The engine under everything at once: the oracles of design §5 over random histories.

10,000 steps from fixed seeds, named when they fail; `make soak` makes a million.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.depth import examples, worlds
from tests.properties.world import Choices, World, run_world
from tests.stores import close_all

STEPS = 50


@pytest.mark.parametrize("first", worlds(range(1, 201, 10)))
def test_whatever_happens_nothing_is_lost_doubled_or_deleted_by_nobody(first: int) -> None:
    agreed = 0
    for seed in range(first, first + 10):
        agreed += run_world(seed, STEPS).checked.get("agreement", 0)
    assert agreed > 0, "the worlds agreed on nothing, so nothing was tested"


@settings(max_examples=examples(40))
@given(st.randoms(use_true_random=False), st.integers(5, 25))
def test_the_same_from_histories_that_hypothesis_makes_and_shrinks(rng: Random, steps: int) -> None:
    world = World(rng, Choices.any(rng))
    for _ in range(steps):
        world.step()
    world.quiesce()
    close_all()
