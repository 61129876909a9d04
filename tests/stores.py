"""An empty store for a test: in memory, or in the PostgreSQL that SYNCD_TEST_DATABASE names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from syncd.database import open_engine
from syncd.store import Store
from syncd.store import tables as t
from tests.servers.postgres import fresh_database

_opened: list[Store] = []
#: Engines of stores in memory that are closed: their statements are compiled already, which is most of the time that a
#: short test takes. What they held went with their connection.
_spare: list[Engine] = []


def close_all() -> None:
    """Gives back what a test left open."""
    while _opened:
        store = _opened.pop()
        store.close()
        if store._engine.url.database is None:
            _spare.append(store._engine)


@cache
def _schema() -> str:
    """What makes the tables, for SQLite."""
    dialect = sqlite.dialect()
    made = [CreateTable(table).compile(dialect=dialect) for table in t.metadata.sorted_tables]
    made += [CreateIndex(i).compile(dialect=dialect) for table in t.metadata.sorted_tables for i in table.indexes]
    return ";\n".join(str(each) for each in made)


def _in_memory() -> Engine:
    engine = _spare.pop() if _spare else open_engine("sqlite://")
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.executescript(_schema())
    return engine


def new_store(watch: Callable[[str], None] | None = None) -> Store:
    """An empty store; it is closed at the end of the test."""
    url = fresh_database()
    if url:
        engine = open_engine(url)
        t.metadata.create_all(engine)
        made = Store(engine, watch)
    else:
        made = Store(_in_memory(), watch)
    _opened.append(made)
    return made
