"""The built-in CRM's feed of changes: nothing that happens while it is read is missed, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from connectors.builtin import BuiltinCrm, replica
from syncd.crm.access import SYSTEM
from syncd.crm.activities import feed, next_seq
from syncd.crm.database import Crm
from syncd.database import open_engine
from syncd.model.record import Record
from syncd.ports import Gone, Page, Replaced
from tests.conftest import need_program
from tests.servers.postgres import fresh_database, postgres, programs

pytestmark = pytest.mark.either


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL; the URL of its database."""
    need_program(programs() is not None, "PostgreSQL")
    with postgres() as running:
        yield running.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    monkeypatch.setenv("SYNCD_TEST_DATABASE", request.getfixturevalue("server"))
    return fresh_database()


@pytest.fixture
def crm(url: str) -> Iterator[Crm]:
    made = Crm.open(url)
    yield made
    made.close()


def task(crm: Crm, subject: str) -> str:
    return crm.create("task", {"subject": subject}, by="").guid


@contextmanager
def after_each_select(crm: Crm, act: Callable[[int], None]) -> Iterator[None]:
    """Whatever the feed selects, something happens in the CRM behind it (the first time, the second, ...)."""
    state = {"number": 0, "busy": False}

    def done(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not state["busy"] and statement.lstrip().startswith("SELECT") and "crm_" in statement:
            state["busy"] = True
            state["number"] += 1
            act(int(state["number"]))
            state["busy"] = False

    event.listen(crm._engine, "after_cursor_execute", done)
    try:
        yield
        assert state["number"] >= 4  # the counter, the feed, the activities, their people
    finally:
        event.remove(crm._engine, "after_cursor_execute", done)


def told(pages: list[Page]) -> dict[str, str]:
    """Ref -> the version that was announced last, or "gone"."""
    return {c.ref: "gone" if c.gone else c.version for p in pages for c in p.changes}


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_case_d2_an_edit_and_a_deletion_while_the_feed_is_read_are_both_announced(
    crm: Crm, url: str, moment: int
) -> None:
    kept, goes, before, other = task(crm, "kept"), task(crm, "goes"), task(crm, "before"), Crm.open(url)
    box = BuiltinCrm(crm)
    cursor = list(box.changes(""))[-1].cursor
    crm.edit(before, {"subject": "edited"}, by="")

    def meanwhile(number: int) -> None:
        if number == moment:
            other.edit(kept, {"subject": "meanwhile"}, by="")
            other.delete(goes, by="")

    with after_each_select(crm, meanwhile):
        pages = list(box.changes(cursor))
    pages += list(box.changes(pages[-1].cursor))
    other.close()
    assert told(pages) == {before: "2", kept: "2", goes: "gone"}


def test_case_d2_a_deletion_during_a_listing_is_announced(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing names no deletions, so what follows it begins where it began."""
    monkeypatch.setattr(replica, "PAGE", 2)
    guids = [task(crm, str(n)) for n in range(3)]
    box = BuiltinCrm(crm)
    pages = []
    for page in box.changes(""):
        pages.append(page)
        if len(pages) == 1:
            crm.delete(guids[0], by="")
            guids.append(task(crm, "new"))
    assert pages[-1].complete
    pages += list(box.changes(pages[-1].cursor))
    assert told(pages) == {guids[0]: "gone"} | dict.fromkeys(guids[1:], "1")


def test_case_d2_numbers_become_visible_in_their_order(crm: Crm, url: str) -> None:
    """Whoever takes a number holds the counter until the end of the transaction: nobody takes a higher one before,
    so none is ever waited for."""
    guid, second = task(crm, "one"), Crm.open(url)
    entered = threading.Event()
    took: list[int] = []

    def later() -> None:
        with second.writing() as connection:
            entered.set()
            took.append(next_seq(connection))

    with crm.writing() as first:
        mine = next_seq(first)
        thread = threading.Thread(target=later)
        thread.start()
        if "postgresql" in url:
            assert entered.wait(10)
            _refused_the_counter(url)
        else:
            assert not entered.wait(0.5)
        assert took == []
        with second.reading() as connection:
            assert [n for n, _, _ in feed(connection, 0, 10, SYSTEM, listing=False)] == [mine - 1]
        first.execute(text("UPDATE crm_activity SET seq = :n WHERE guid = :g"), {"n": mine, "g": guid})
    thread.join(30)
    second.close()
    assert took == [mine + 1]


def _refused_the_counter(url: str) -> None:
    """Another transaction cannot have the counter's row now."""
    engine = open_engine(url)
    with engine.connect() as connection, pytest.raises(OperationalError, match="lock"):
        connection.execute(text("SET lock_timeout = '200ms'"))
        next_seq(connection)
    engine.dispose()


def test_case_d2_under_many_writers_every_last_state_is_announced(crm: Crm, url: str) -> None:
    guids = [task(crm, str(n)) for n in range(8)]
    seen: dict[str, str] = {}
    box = BuiltinCrm(crm)
    done = threading.Event()

    def work(first: int) -> None:
        mine = Crm.open(url)
        for n in range(25):
            for guid in guids[first::2]:
                mine.edit(guid, {"subject": str(n)}, by="")
            extra = mine.create("task", {"subject": "short"}, by="").guid
            mine.delete(extra, by="")
        mine.close()

    writers = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for writer in writers:
        writer.start()
    cursor = ""
    while not done.is_set():
        if not any(w.is_alive() for w in writers):
            done.set()
        pages = list(box.changes(cursor))
        cursor = pages[-1].cursor
        seen |= told(pages)
    assert {g: seen[g] for g in guids} == dict.fromkeys(guids, "26")
    assert {v for g, v in seen.items() if g not in guids} <= {"gone"}


def test_a_database_that_is_an_older_state_of_itself_has_deleted_nothing(tmp_path: Path) -> None:
    crm = Crm.open(f"sqlite:///{tmp_path / 'crm.db'}")
    old = crm.create("task", {"subject": "Old"}, by=SYSTEM)
    crm.close()
    (tmp_path / "backup.db").write_bytes((tmp_path / "crm.db").read_bytes())
    crm = Crm.open(f"sqlite:///{tmp_path / 'crm.db'}")
    made, ended = (crm.create("task", {"subject": subject}, by=SYSTEM) for subject in ("New", "Ended"))
    crm.delete(ended.guid, by=SYSTEM)
    before = BuiltinCrm(crm)
    cursor = [page.cursor for page in before.changes("")][-1]
    before.recognise(cursor)
    found = before.fetch([old.guid, made.guid, ended.guid])
    assert [type(found[a.guid]) for a in (old, made, ended)] == [Record, Record, Gone]
    crm.close()
    crm = Crm.open(f"sqlite:///{tmp_path / 'backup.db'}")
    made_anew = BuiltinCrm(crm)
    for _ in range(3):  # also when it has grown beyond that point since
        with pytest.raises(Replaced):
            made_anew.recognise(cursor)
        crm.create("task", {"subject": "Later"}, by=SYSTEM)
    found = made_anew.fetch([old.guid, made.guid])
    assert isinstance(found[old.guid], Record)
    assert "nobody has deleted it there" in str(found[made.guid])
    assert not isinstance(found[made.guid], Gone)
    crm.close()
