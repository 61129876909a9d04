"""``python -m tests.scenarios.later DAYS WORDS...``: the `syncd` command on another day."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import time_machine

if __name__ == "__main__":
    day = datetime.now(UTC) + timedelta(days=float(sys.argv[1]))
    sys.argv = ["syncd", *sys.argv[2:]]
    with time_machine.travel(day, tick=True):
        from syncd.cli.command import run

        run()
