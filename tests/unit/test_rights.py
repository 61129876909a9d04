"""Whatever the umask says: files with content or keys are their owner's alone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from syncd.crm.database import Crm
from syncd.database import StoreFault, connected, open_engine
from syncd.rights import make_file, narrow_if_empty, too_wide
from syncd.secrets import keep, make_key
from syncd.store import Store

pytestmark = pytest.mark.either


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): stat.S_IMODE(p.stat().st_mode) for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_case_g13_databases_keys_and_secrets_are_their_owners_alone(tmp_path: Path, mask: int) -> None:
    base = tmp_path / "new" / "state"
    with umask(mask):
        crm, store = Crm.open(f"sqlite:///{base / 'crm.db'}"), Store.open(f"sqlite:///{base / 'store.db'}")
        crm.create("task", {"subject": "x"}, by="")
        with store.transaction() as tx:
            tx.set_setting("a", "b")
        make_key(base / "syncd.key")
        keep("ann", "swordfish", base, place="file")
        found = modes(tmp_path)
        crm.close()
        store.close()
    folders = {"new", "new/state", "new/state/secrets"}
    assert {name for name, mode in found.items() if mode == 0o700} == folders
    assert {name for name, mode in found.items() if mode == 0o600} == found.keys() - folders
    assert {"new/state/crm.db-wal", "new/state/crm.db-shm", "new/state/store.db-wal"} <= found.keys()


def test_case_g13_a_journal_is_too(tmp_path: Path) -> None:
    with umask(0o022):
        engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
        with engine.connect() as connection:
            connection.execute(text("PRAGMA journal_mode=DELETE"))
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.execute(text("CREATE TABLE x (y)"))
            found = modes(tmp_path)
        engine.dispose()
    assert found == {"a.db": 0o600, "a.db-journal": 0o600}


def test_case_g13_what_is_wider_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    folder, path = tmp_path / "state", tmp_path / "state" / "crm.db"
    folder.mkdir(mode=0o700)
    sqlite3.connect(path).close()
    path.touch()
    path.chmod(0o644)
    Crm.open(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(too_wide([path, tmp_path / "none"], [folder])) == [
        f"others may read {path} (mode 0644): chmod 600 {path}"
    ]
    folder.chmod(0o750)
    assert list(too_wide([], [folder])) == [f"others may look into {folder} (mode 0750): chmod 700 {folder}"]


def test_case_g13_only_an_empty_folder_of_ones_own_is_narrowed(tmp_path: Path) -> None:
    empty, full, shared = tmp_path / "empty", tmp_path / "full", tmp_path / "shared"
    for folder in (empty, full, shared):
        folder.mkdir()
        folder.chmod(0o755)
    (full / "letter").touch()
    shared.chmod(0o1777)
    for folder in (empty, full, shared):
        narrow_if_empty(folder)
    assert [stat.S_IMODE(f.stat().st_mode) for f in (empty, full, shared)] == [0o700, 0o755, 0o1777]


def test_a_database_in_use_keeps_its_locks_when_it_is_opened_once_more(tmp_path: Path) -> None:
    """As a service does that reads its configuration again. Without its locks, the next process that looks in believes
    that it is the last one, and takes away the journal into which the service goes on writing."""
    path = tmp_path / "store.db"
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
        connection.commit()
        open_engine(f"sqlite:///{path}").dispose()
        make_file(path)
        look = "import sqlite3, sys; made = sqlite3.connect(sys.argv[1]); made.execute('SELECT * FROM t'); made.close()"
        subprocess.run([sys.executable, "-c", look, str(path)], check=True)
        assert path.with_name("store.db-wal").exists()
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.commit()
    engine.dispose()
    with sqlite3.connect(path) as found:
        assert found.execute("SELECT a FROM t").fetchall() == [(1,)]
    found.close()


@pytest.mark.parametrize("how", ["away", "replaced"])
def test_a_database_that_is_taken_away_while_it_is_open_is_not_written_to(how: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = open_engine(f"sqlite:///{path}")
    with connected(engine, writing=True) as connection:
        connection.execute(text("CREATE TABLE t (a)"))
        connection.commit()
    path.rename(tmp_path / "old.db")
    if how == "replaced":
        path.write_bytes((tmp_path / "old.db").read_bytes())
    with pytest.raises(StoreFault, match="taken away or replaced"), connected(engine, writing=True):
        raise AssertionError
    engine.dispose()
