"""Scenario F1: kill -9 in the middle of a pass, then run again. The property test does it at every step."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from syncd.database import open_engine
from tests.scenarios.conftest import MONDAY, Desk
from tests.servers.proxy import proxy

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
    chance, engine = random.Random(seed), open_engine(desk.database or f"sqlite:///{desk.folder / 'crm.db'}")
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wanted = chance.randint(0, 24)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and _made(engine) < wanted:
            time.sleep(0.002)
        process.kill()
        process.wait()
    engine.dispose()
    desk.sync(status=0)
    desk.sync(status=0)
    subjects = sorted(a["subject"] for a in desk.activities())
    assert subjects == sorted([f"Event {n}" for n in range(25)] + [f"Activity {n}" for n in range(5)])
    assert len(desk.calendar("ann")) == 30
    desk.quiet()


def _made(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(
            connection.execute(text("SELECT count(*) FROM crm_activity WHERE subject LIKE 'Event%'")).scalar_one()
        )


def test_f5_two_syncd_on_one_store_share_the_work_and_a_paused_one_cannot_write(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    for n in range(30):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=2 * n))
    reached, go_on = threading.Event(), threading.Event()

    def slow_once(method: str, _path: str, _headers: dict[str, str], body: bytes) -> None:
        if method == "REPORT" and b"calendar-multiget" in body and not reached.is_set():
            reached.set()
            go_on.wait(60)

    with proxy(desk.server, slow_once) as server:
        desk.through(server)
        first = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert reached.wait(60)
        first.send_signal(signal.SIGSTOP)
        try:
            told = desk.run("sync", "--json").json["pairings"][0]
            assert told["outcome"] == "busy" and "another syncd" in told["error"]
            _expire_leases(desk)  # as if it had been paused for longer than its lease
            desk.sync(status=0)
            assert len(desk.activities()) == 30
            before = desk.store_bytes() if desk.database else b""
        finally:
            go_on.set()
            first.send_signal(signal.SIGCONT)
            _, err = first.communicate(timeout=60)
        assert "busy" in err
        assert len(desk.activities()) == 30
        if before:
            assert desk.store_bytes() == before
        desk.quiet()


def _expire_leases(desk: Desk) -> None:
    engine = open_engine(desk.database or f"sqlite:///{desk.folder / 'store.db'}")
    with engine.connect() as connection:
        connection.execute(text("UPDATE lease SET until = '2000-01-01T00:00:00Z' WHERE holder <> ''"))
        connection.commit()
    engine.dispose()
