"""How deep the property tests look.

A run of the fast tests takes a part of their examples and worlds, so that it stays below a minute; `make test` looks
once more at all of them (`SYNCD_TESTS=deep`), and so does whoever asks whether they notice a fault.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

DEEP = os.environ.get("SYNCD_TESTS") == "deep"
#: The fast run takes one example, or one world, of so many.
SHARE = 6
#: A fast test with so many stories, or one marked `grid`, is played in part:
MANY = 8
#: one story of so many: a prime, so that each of its parameters takes each value.
STRIDE = 7


def examples(number: int) -> int:
    """How many examples to make where a deep run makes `number`; never none."""
    return number if DEEP else max(1, number // SHARE)


def worlds(of: Sequence[T]) -> Sequence[T]:
    """Those of the given worlds that this run plays; never none."""
    return of if DEEP else of[::SHARE]
