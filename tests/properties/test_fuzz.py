"""A little noise on every reader; `python -m tests.properties.fuzz` goes on for longer."""

from __future__ import annotations

import pytest

from tests.properties.fuzz import attempt, targets

pytestmark = pytest.mark.either


@pytest.mark.parametrize("number", range(len(targets())), ids=[name for name, _, _ in targets()])
def test_a_reader_answers_or_says_what_is_wrong(number: int) -> None:
    name, reader, good = targets()[number]
    reader(good)
    found = [attempt(name, reader, good, seed) for seed in range(200)]
    assert [told for told in found if told] == []
