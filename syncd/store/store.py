"""The store: one transaction is one step of the engine's protocol, so a crash falls between steps.

`Store.transaction()` yields a `Transaction` with every read and write the engine makes; nothing
else touches the tables. A `watch` function, if given, is called before and after each commit: the
property test crashes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select

from syncd.database import connected, open_engine, prepare, tidy
from syncd.store import lease
from syncd.store import tables as t
from syncd.store.transaction import Transaction

#: The newest revision under migrations/versions; a test holds the two together.
HEAD = "0004"


class Store:
    """An open store. Thread-safe: each transaction has its own connection."""

    def __init__(
        self, engine: Engine, watch: Callable[[str], None] | None = None, fence: lease.Lease | None = None
    ) -> None:
        self._engine = engine
        self._watch = watch or (lambda moment: None)
        self._fence = fence
        #: Something was taken back that may still stand in the file's log.
        self.untidy = False

    @classmethod
    def in_memory(cls, watch: Callable[[str], None] | None = None) -> Store:
        """A store that ends with the process; for tests and rehearsals."""
        engine = open_engine("sqlite://")
        t.metadata.create_all(engine)
        return cls(engine, watch)

    @classmethod
    def open(cls, url: str) -> Store:
        """The store at the URL, brought to the present schema. Raises StoreFault."""
        engine = open_engine(url)
        prepare(engine, Path(__file__).parent / "migrations", "syncd_version", HEAD, t.metadata)
        return cls(engine)

    def copy(self) -> Store:
        """A copy in memory, for a rehearsal."""
        made = Store.in_memory()
        rows = self.dump()
        with made.transaction() as tx:
            for table in t.metadata.sorted_tables:
                values = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows[table.name]]
                if values and table is not t.lease:
                    tx.connection.execute(insert(table), values)
        return made

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it happens, or none of it. Raises StoreFault; Fenced when the lease is lost."""
        with connected(self._engine, writing=True) as connection:
            tx = Transaction(connection)
            if self._fence is not None:
                lease.check(tx, self._fence)
            yield tx
            self._watch("before commit")
            connection.commit()
        self._watch("after commit")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Reads only: takes no lock that another writer would wait for. Raises StoreFault."""
        with connected(self._engine, writing=False) as connection:
            yield Transaction(connection)

    def fenced(self, held: lease.Lease) -> Store:
        """The same store for a holder of a lease: once it is lost, nothing is written any more."""
        return Store(self._engine, self._watch, held)

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table, for tests that search for what must not be there."""
        with self._engine.connect() as connection:
            return {
                table.name: [tuple(r) for r in connection.execute(select(table).order_by(*table.primary_key.columns))]
                for table in t.metadata.sorted_tables
            }

    def tidy(self) -> bool:
        """See `syncd.database.tidy`."""
        return tidy(self._engine)

    def vacuum(self) -> None:
        """Removes what deleted rows left in the file (after `forget`)."""
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in t.metadata.sorted_tables:
                    connection.exec_driver_sql(
                        f"VACUUM FULL {connection.dialect.identifier_preparer.format_table(table)}"
                    )

    def close(self) -> None:
        """Gives back the connections."""
        self._engine.dispose()


__all__ = ["Connection", "Store", "Transaction"]
