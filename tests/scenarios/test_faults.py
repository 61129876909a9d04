"""Scenario F1: kill -9 in the middle of a pass, then run again. The property test does it at every step."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.scenarios.conftest import MONDAY, Desk

MakeDesk = Callable[..., Desk]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_f1_killed_at_any_moment_the_end_is_the_same(make_desk: MakeDesk, seed: int) -> None:
    desk = make_desk("ann")
    for n in range(25):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=2 * n))
        day = MONDAY + timedelta(days=10, hours=2 * n)
        if n < 5:
            desk.create(
                "--subject", f"Activity {n}", "--from", f"{day:%Y-%m-%d %H:%M}", "--to", f"{day:%Y-%m-%d %H:%M}"
            )
    chance = random.Random(seed)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wanted = chance.randint(0, 24)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and _made(desk) < wanted:
            time.sleep(0.002)
        process.kill()
        process.wait()
    desk.sync(status=0)
    desk.sync(status=0)
    subjects = sorted(a["subject"] for a in desk.activities())
    assert subjects == sorted([f"Event {n}" for n in range(25)] + [f"Activity {n}" for n in range(5)])
    assert len(desk.calendar("ann")) == 30
    desk.quiet()


def _made(desk: Desk) -> int:
    import sqlite3

    db = sqlite3.connect(f"file:{desk.folder / 'crm.db'}?mode=ro", uri=True, timeout=10)
    try:
        return int(db.execute("SELECT count(*) FROM crm_activity WHERE subject LIKE 'Event%'").fetchone()[0])
    finally:
        db.close()


def test_the_service_syncs_and_ends_cleanly_on_sigterm(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    text = (desk.folder / "syncd.yaml").read_text() + "service: {interval: 1, workers: 2}\n"
    (desk.folder / "syncd.yaml").write_text(text)
    desk.put("ann", "e", "SUMMARY:While it runs")
    with (desk.folder / "service.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "run", "--json-logs"], cwd=desk.folder,
                                   stdout=log, stderr=log, env=os.environ.copy())  # fmt: skip
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and not desk.activities():
                pass
            assert desk.only()["subject"] == "While it runs"
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(30)
    assert status == 0
    assert "While it runs" not in (desk.folder / "service.log").read_text()
