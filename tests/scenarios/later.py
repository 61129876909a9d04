"""``python -m tests.scenarios.later DAYS WORDS...``: the `syncd` command on another day."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import time_machine


@contextmanager
def on_day(days: float) -> Iterator[None]:
    """The clock shows a day that is so many days from now; 0 leaves it alone."""
    if not days:
        yield
        return
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days), tick=True):
        yield


if __name__ == "__main__":
    from syncd.cli.command import run

    days = float(sys.argv[1])
    sys.argv = ["syncd", *sys.argv[2:]]
    with on_day(days):
        run()
