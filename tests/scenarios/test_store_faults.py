"""Scenarios F2 and F7: what becomes of a pass when the store fails (full disk, lock, damage, an older or
a newer release, PostgreSQL restarting under load), and F1 in a hundred runs of the real program."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert, inspect, text

import syncd.store.store
from syncd.database import StoreFault, open_engine
from syncd.store import Store
from syncd.store import tables as t
from tests.conftest import need_program
from tests.scenarios.conftest import MONDAY, Desk
from tests.scenarios.test_service import service, until
from tests.servers.postgres import fresh_database, postgres, programs

MakeDesk = Callable[..., Desk]


#: About SQLite's file.
on_sqlite = pytest.mark.either


def full_disk() -> None:
    """No file may grow beyond this: what a full disk does to a database."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))


@on_sqlite
def test_f2_a_full_disk_stops_the_pass_and_loses_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    for n in range(120):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", "DESCRIPTION:" + "x" * 2000, start=MONDAY + timedelta(hours=n))
    done = subprocess.run([sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder, capture_output=True,
                          text=True, preexec_fn=full_disk, timeout=120, check=False)  # fmt: skip
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "disk" in done.stderr and "Traceback" not in done.stderr
    desk.sync(status=0)
    assert sorted(a["subject"] for a in desk.activities()) == sorted(f"Event {n}" for n in range(120))
    desk.quiet()


@on_sqlite
def test_f2_a_locked_store_says_so_and_goes_on_when_it_is_free(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    file = desk.folder / "syncd.yaml"
    file.write_text(file.read_text() + "store: sqlite:///store.db?timeout=0.3\n")
    desk.sync()
    desk.put("ann", "e", "SUMMARY:Later")
    with sqlite3.connect(desk.folder / "store.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        told = desk.sync(status=3)["ann"]
        assert told["outcome"] == "store not ready" and "locked" in told["error"]
        other.execute("ROLLBACK")
    other.close()
    desk.sync(status=0)
    assert desk.only()["subject"] == "Later"


@on_sqlite
@pytest.mark.parametrize("damage", ["no database", "in the middle", "empty"])
def test_f2_a_damaged_store_is_named_and_nothing_is_deleted(make_desk: MakeDesk, damage: str) -> None:
    desk = make_desk("ann")
    for n in range(20):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=2 * n))
    desk.sync()
    store = desk.folder / "store.db"
    for other in desk.folder.glob("store.db-*"):
        other.unlink()
    backup = store.read_bytes()
    if damage == "no database":
        store.write_bytes(b"this was overwritten by something else " * 1000)
    elif damage == "in the middle":
        with store.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (len(backup) - 4096))
    else:  # a lost store is a new one: everything is found again and linked, nothing is doubled
        store.write_bytes(b"")
        desk.sync()
        assert len(desk.activities()) == len(desk.calendar("ann")) == 20
        desk.quiet()
        return
    done = desk.run("sync", status=(2, 3))
    assert ("damaged" in done.err or "no database" in done.err) and "backup" in done.err, done.err
    store.write_bytes(backup)
    desk.sync()
    assert len(desk.activities()) == len(desk.calendar("ann")) == 20
    desk.quiet()


@on_sqlite
def test_f3_a_store_put_back_from_an_older_backup_doubles_and_deletes_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    for n in range(10):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=2 * n))
    desk.sync()
    old = desk.folder / "old"
    old.mkdir()
    for file in desk.folder.glob("store.db*"):
        shutil.copy(file, old)
    for n in range(10, 20):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=2 * n))
        desk.create("--subject", f"Activity {n}", "--from", f"{MONDAY + timedelta(days=9, hours=n):%Y-%m-%d %H:%M}",
                    "--to", f"{MONDAY + timedelta(days=9, hours=n + 1):%Y-%m-%d %H:%M}")  # fmt: skip
    desk.change("ann", f"{desk.paths['ann']}e3.ics", "SUMMARY:Event 3", "SUMMARY:Event 3 moved on")
    desk.sync()
    for file in desk.folder.glob("store.db*"):
        file.unlink()
    for file in old.iterdir():
        shutil.copy(file, desk.folder)
    desk.sync()
    desk.sync()
    assert len(desk.activities()) == len(desk.calendar("ann")) == 30
    assert "Event 3 moved on" in {a["subject"] for a in desk.activities()}
    desk.quiet()


RELEASED = ["0001"]


@pytest.mark.parametrize("revision", RELEASED)
def test_f7_a_store_of_an_older_release_is_brought_up_to_date_with_what_it_holds(tmp_path: Path, revision: str) -> None:
    url = fresh_database() or f"sqlite:///{tmp_path / 'store.db'}"
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(syncd.store.store.__file__).parent / "migrations"))
    config.attributes["version_table"] = "syncd_version"
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        old = {"pairing": "p", "side": "item", "ref": "r", "seq": 41, "due": "", "held": False}
        connection.execute(insert(t.pending).values(old))
        for name, value in (("kept", "yes"), ("sequence", "42")):
            connection.execute(insert(t.setting).values(name=name, value=value))
        connection.commit()
        assert "lease" not in inspect(connection).get_table_names()
    engine.dispose()
    store = Store.open(url)
    with store.transaction() as tx:
        assert tx.setting("kept") == "yes"
        tx.announce("p", "item", ["later"])
        assert [e.ref for e in tx.pending("p", "item", 0, "2026-11-24", 10)] == ["r", "later"]
    fresh = Store.in_memory()
    assert store.dump().keys() == fresh.dump().keys()
    store.close()
    fresh.close()


def test_f7_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    url = fresh_database() or f"sqlite:///{tmp_path / 'store.db'}"
    Store.open(url).close()
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE syncd_version SET version_num = '9999'"))
        connection.commit()
    engine.dispose()
    with pytest.raises(StoreFault, match="newer release"):
        Store.open(url)


@on_sqlite
def test_f7_postgresql_restarts_under_load(make_desk: MakeDesk) -> None:
    need_program(programs() is not None, "PostgreSQL (apt-get install postgresql)")
    with postgres() as server:
        desk = make_desk("ann", "bob", database=server.url)
        with service(desk):
            for n in range(40):
                desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=n))
                desk.put("bob", f"f{n}", f"SUMMARY:Fest {n}", start=MONDAY + timedelta(hours=n))
                if n % 10 == 5:
                    server.stop()
                    server.start()
            until(lambda: len(desk.activities("--mine", as_="ann")) == 40, 120)
            until(lambda: len(desk.activities("--mine", as_="bob")) == 40, 120)
        desk.sync(status=0)
        desk.quiet()
        for who, word in (("ann", "Event"), ("bob", "Fest")):
            subjects = [a["subject"] for a in desk.activities("--mine", as_=who)]
            assert sorted(subjects) == sorted(f"{word} {n}" for n in range(40))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_f1_killed_at_random_moments_in_a_hundred_runs_the_end_is_the_same(make_desk: MakeDesk, seed: int) -> None:
    desk, chance = make_desk("ann"), random.Random(seed)
    paths, guids, titles, places = list[str](), list[str](), dict[str, str](), dict[str, str]()
    environment = {**os.environ}
    for run in range(25):
        start = MONDAY + timedelta(hours=3 * run)
        name = f"Event {run}"
        paths.append(desk.put("ann", f"e{run}", f"SUMMARY:{name}", f"LOCATION:Room {run}", start=start))
        titles[name], places[f"Room {run}"] = name, f"Room {run}"
        if run % 3 == 0:
            day = start + timedelta(days=30)
            name = f"Activity {run}"
            guids.append(desk.create("--subject", name, "--from", f"{day:%Y-%m-%d %H:%M}", "--to",
                                     f"{day + timedelta(hours=1):%Y-%m-%d %H:%M}"))  # fmt: skip
            titles[name] = name
        if run and chance.random() < 0.5:
            old = chance.choice(list(places))
            number = int(old.split()[1])
            new = f"Hall {number} {run}"
            desk.change("ann", paths[number], f"LOCATION:{places[old]}", f"LOCATION:{new}")
            places[old] = new
        if chance.random() < 0.5 and guids:
            guid = chance.choice(guids)
            old = f"Activity {3 * guids.index(guid)}"
            titles[old] = f"{old} edited {run}"
            desk.edit(guid, "--subject", titles[old])
        process = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder,
                                   env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        killer = threading.Timer(chance.uniform(0.15, 1.0), process.kill)
        killer.start()
        process.wait(60)
        killer.cancel()
    desk.sync(status=0)
    desk.sync(status=0)
    found = desk.activities()
    assert sorted(a["subject"] for a in found) == sorted(titles.values())
    calendar = desk.calendar("ann")
    assert len(calendar) == len(found)
    for words in (*titles.values(), *(f"LOCATION:{p}" for p in places.values())):
        assert sum(words + "\n" in event for event in calendar) == 1, words
    assert {a["location"] for a in found if a["location"]} == set(places.values())
    desk.quiet()


def test_the_clock_jumps_and_nothing_happens(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    desk.put("ann", "e", "SUMMARY:Now and then")
    desk.sync()
    for days in (20, -20, 400, 0):
        desk.days = days
        desk.sync(status=0)
        assert desk.calendar("ann") and time.monotonic()
    desk.quiet()
    assert desk.only()["status"] == "open"
