"""Mail under crashes at every call and commit: see `mail_world`."""

from __future__ import annotations

import pytest

from tests.depth import worlds
from tests.properties.mail_world import run_mail_world

#: On PostgreSQL, where each world takes a database of its own, a few of them.
SEEDS = [*range(1, 17), *(pytest.param(seed, marks=pytest.mark.either) for seed in range(17, 81))]


@pytest.mark.parametrize("seed", worlds(SEEDS))
def test_mail_comes_to_the_same_end_whatever_happens(seed: int) -> None:
    run_mail_world(seed, 60)
