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
from tests.servers.proxy import Reply, Verbatim, proxy

MakeDesk = Callable[..., Desk]


@pytest.mark.everywhere
@pytest.mark.long
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


# -- F3: the calendar is not what it was -----------------------------------------------------------------


def filled(desk: Desk, number: int) -> list[str]:
    """That many events, and a first pass; returns their paths."""
    paths = [desk.put("ann", f"e{n}", f"SUMMARY:E{n}", start=MONDAY + timedelta(hours=n)) for n in range(number)]
    desk.sync()
    return paths


def open_ones(desk: Desk) -> int:
    return sum(a["status"] == "open" for a in desk.activities())


def test_f3_a_token_that_expired_deletes_only_what_was_deleted(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    refused: list[bytes] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if (
            method == "REPORT"
            and b"sync-collection" in body
            and b"http://" in body.split(b"sync-token>")[1]
            and not refused
        ):
            refused.append(body)
            return 403, {"Content-Type": "text/xml"}, b'<D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>'
        return None

    with proxy(desk.server, rule) as server:
        desk.through(server)
        paths = filled(desk, 15)
        desk.delete("ann", paths[3])
        desk.change("ann", paths[4], "SUMMARY:E4", "SUMMARY:Changed")
        done = desk.sync(status=0)["ann"]
        assert refused
        assert done["updated"]["crm"] == 2  # one is cancelled, one renamed
        assert open_ones(desk) == 14
        desk.quiet()


@pytest.mark.everywhere
def test_f3_an_emptied_calendar_is_held_and_goes_when_it_is_approved(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    for path in filled(desk, 3):
        desk.delete("ann", path)
    assert desk.sync(status=(0, 1))["ann"]["held"] in (0, 3)
    desk = make_desk("ann")
    paths = filled(desk, 15)
    for path in paths:
        desk.delete("ann", path)
    for _ in range(2):
        assert desk.sync(status=1)["ann"]["held"] == 15
    assert open_ones(desk) == 15
    assert "syncd approve ann/cal" in desk.run("status", status=1).out
    desk.run("approve", "ann/cal")
    assert desk.sync(status=0)["ann"]["held"] == 0
    assert open_ones(desk) == 0
    desk.quiet()


def test_f3_a_calendar_that_is_gone_deletes_nothing_and_goes_on_when_it_is_back(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    paths = filled(desk, 12)
    texts = {path: desk.get("ann", path) for path in paths}
    assert desk.server.request("ann", "DELETE", desk.paths["ann"])[0] in (200, 204)
    done = desk.sync(status=3)
    assert done["ann"]["outcome"] == "server failed"
    assert done["bob"]["outcome"] == "ok"
    assert "calendar" in done["ann"]["error"]
    assert open_ones(desk) == 12
    desk.server.calendar("ann", desk.paths["ann"].strip("/").rpartition("/")[2])
    assert desk.sync(status=1)["ann"]["held"] == 12  # it is there again, and empty
    for path, held in texts.items():
        assert desk.server.put("ann", path, held) == 201
    assert desk.sync(status=0)["ann"]["held"] == 0
    desk.quiet()
    assert open_ones(desk) == 12
    assert len(desk.calendar("ann")) == 12


@pytest.mark.everywhere
def test_f3_a_calendar_put_back_from_an_older_backup_is_asked_about(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    paths = filled(desk, 12)
    backup = {path: desk.get("ann", path) for path in paths}
    later = [desk.put("ann", f"n{n}", f"SUMMARY:N{n}", start=MONDAY + timedelta(days=5, hours=n)) for n in range(14)]
    desk.change("ann", paths[0], "SUMMARY:E0", "SUMMARY:E0 renamed")
    desk.delete("ann", paths[1])
    desk.sync()
    assert open_ones(desk) == 25
    newer = {path: desk.get("ann", path) for path in later}
    for path in later:
        desk.delete("ann", path)
    for path, held in backup.items():
        assert desk.server.put("ann", path, held) in (201, 204)
    done = desk.sync(status=1)["ann"]
    assert done["held"] == 14
    assert open_ones(desk) == 26  # what the backup holds is there again, what it lacks is not gone
    subjects = [a["subject"] for a in desk.activities() if a["status"] == "open"]
    assert sorted(subjects) == sorted({*subjects})
    for path, held in newer.items():  # somebody notices, and brings back the rest
        assert desk.server.put("ann", path, held) == 201
    assert desk.sync(status=0)["ann"]["held"] == 0
    desk.quiet()
    assert open_ones(desk) == 26
    assert len(desk.calendar("ann")) == 26


# -- F4 --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_f4_one_broken_event_among_two_thousand_is_named_and_goes_on_when_it_is_mended(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    events = []
    for n in range(2000):
        start = MONDAY + timedelta(hours=n / 8)
        events += ["BEGIN:VEVENT", f"UID:e{n}", "DTSTAMP:20261101T000000Z", f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
                   "DURATION:PT1H", f"SUMMARY:Event {n}", "END:VEVENT"]  # fmt: skip
    whole = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Client//EN", *events, "END:VCALENDAR", ""])
    calendar = {"Content-Type": "text/calendar"}
    assert desk.server.request("ann", "PUT", desk.paths["ann"], whole, **calendar)[0] == 201
    path = next(p for p in desk.names("ann") if "UID:e77\n" in desk.get("ann", p))
    whole = desk.get("ann", path).replace("\n", "\r\n")
    held = Verbatim(desk.server)
    held.keep("ann", path, whole.replace("DTSTART:", "DTSTART:Thursday"))
    with proxy(desk.server, held.rule) as server:
        desk.through(server)
        done = desk.sync(status=1)["ann"]
        assert (done["created"]["crm"], done["parked"]) == (1999, 1)
        ((parked,),) = [p["parked"] for p in desk.run("status", "--json", status=1).json["pairings"]]
        assert parked["ref"] == path
        assert "DTSTART" in parked["reason"] and "Thursday" not in parked["reason"]
        desk.quiet()
        held.keep("ann", path, whole)
        assert desk.sync(status=0)["ann"]["created"]["crm"] == 1
        assert desk.run("status").out.count("parked") == 0
        desk.quiet()
