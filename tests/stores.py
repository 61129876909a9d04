"""An empty store for a test: in memory, or in the PostgreSQL that SYNCD_TEST_DATABASE names."""

from __future__ import annotations

from collections.abc import Callable

from syncd.database import open_engine
from syncd.store import Store
from syncd.store import tables as t
from tests.servers.postgres import fresh_database

_opened: list[Store] = []


def close_all() -> None:
    """Gives back what a test left open."""
    while _opened:
        _opened.pop().close()


def new_store(watch: Callable[[str], None] | None = None) -> Store:
    """An empty store; it is closed at the end of the test."""
    url = fresh_database()
    if url:
        engine = open_engine(url)
        t.metadata.create_all(engine)
        made = Store(engine, watch)
    else:
        made = Store.in_memory(watch)
    _opened.append(made)
    return made
