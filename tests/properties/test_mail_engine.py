"""Mail under crashes at every call and commit: see `mail_world`."""

from __future__ import annotations

import pytest

from tests.properties.mail_world import run_mail_world


@pytest.mark.parametrize("seed", range(1, 81))
def test_mail_comes_to_the_same_end_whatever_happens(seed: int) -> None:
    run_mail_world(seed, 60)
