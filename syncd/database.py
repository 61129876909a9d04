"""Opens a database and brings it to the present schema with Alembic: the store's, and the CRM's.

Knows nothing of what stands in the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, event, insert, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from syncd.rights import make_file, make_folder


class StoreFault(Exception):
    """The database cannot be used; the message says why and what to do."""


def open_engine(url: str) -> Engine:
    """An engine for the URL; an SQLite file and its folder are made, for their owner alone. ``sqlite://`` is
    one in memory. Raises StoreFault."""
    if url == "sqlite://":
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    elif url.startswith("sqlite:///"):
        path = file_of(url)
        try:
            make_folder(path.parent)
        except OSError as error:
            raise StoreFault(f"the database's folder cannot be made ({error.strerror}): {path.parent}") from None
        with suppress(OSError):  # SQLite says what is wrong with it
            make_file(path)
        wait = {} if "timeout=" in url else {"timeout": 30.0}
        engine = create_engine(url, connect_args=wait)
    else:
        engine = _server_engine(url)
    if url.startswith("sqlite"):
        _prepare_sqlite(engine)
    if url.startswith("sqlite:///"):
        _watch_file(engine, file_of(url))
    return engine


def file_of(url: str) -> Path:
    """The file of an SQLite URL."""
    return Path(url.removeprefix("sqlite:///").partition("?")[0])


def _server_engine(url: str) -> Engine:
    """PostgreSQL, by psycopg 3 however the URL spells it. Raises StoreFault."""
    for spelling in ("postgres://", "postgresql://"):
        if url.startswith(spelling):
            url = "postgresql+psycopg://" + url.removeprefix(spelling)
    if not url.startswith("postgresql+psycopg://"):
        raise StoreFault("a database is named sqlite:///file or postgresql://user@host/name")
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, deleted content overwritten, and transactions that begin when we say so."""

    @event.listens_for(engine, "connect")
    def _connect(connection: object, _record: object) -> None:
        import sqlite3

        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None
        pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "foreign_keys=ON")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")


def tidy(engine: Engine) -> bool:
    """SQLite overwrites what is deleted in its file (see `_prepare_sqlite`), but not in the log beside it: that is
    emptied. False where somebody is reading from it just now. Raises StoreFault."""
    if engine.dialect.name != "sqlite":
        return True
    with connected(engine, writing=False) as connection:
        (patience,) = connection.exec_driver_sql("PRAGMA busy_timeout").one()
        connection.exec_driver_sql("PRAGMA busy_timeout=200")
        try:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}")
    return not busy


def _watch_file(engine: Engine, path: Path) -> None:
    """A file that is taken away, or replaced, while it is open would be written to all the same, and nobody would
    ever see that."""
    seen: list[int] = []

    @event.listens_for(engine, "checkout")
    def _checkout(_connection: object, _record: object, _proxy: object) -> None:
        try:
            now = path.stat().st_ino
        except OSError:
            now = 0
        if not seen and now:
            seen.append(now)
        if seen and now != seen[0]:
            raise StoreFault(f"the database's file has been taken away or replaced: start syncd again ({path})")


@contextmanager
def connected(engine: Engine, *, writing: bool) -> Iterator[Connection]:
    """A connection, in a transaction of its own; the caller commits. Raises StoreFault for whatever
    the database itself cannot do (full disk, lock, lost connection, damage), in words without content.
    """
    try:
        with engine.connect() as connection:
            if writing and connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise fault_of(error) from None


#: What a driver's message contains -> what it means for people.
_MEANINGS = (
    ("locked", "another process holds it locked"),
    ("full", "the disk is full"),
    ("No space left", "the disk is full"),
    ("readonly", "it cannot be written to: check the owner and the rights of the file"),
    ("unable to open", "the file cannot be opened: check the folder and its rights"),
    ("malformed", "it is damaged: stop syncd and put back a backup"),
    ("not a database", "the file is no database: stop syncd and put back a backup"),
    ("disk I/O", "the disk cannot be read or written"),
    ("password authentication", "its server refuses the sign-in"),
    ("deadlock", "two steps waited for each other; the next pass goes on"),
    ("does not exist", "its server has no such database or table"),
)


def fault_of(error: DBAPIError) -> StoreFault:
    """The fault in words; a driver's own message may quote what was written, so it is never shown."""
    said = str(error.orig)
    for part, meaning in _MEANINGS:
        if part in said:
            return StoreFault(f"the database cannot be used: {meaning}")
    if error.connection_invalidated or "connect" in said or "terminating" in said or "starting up" in said:
        return StoreFault("the database cannot be used: its server does not answer")
    return StoreFault(f"the database cannot be used ({type(error.orig).__name__})")


def prepare(engine: Engine, migrations: Path, version_table: str, head: str, metadata: MetaData) -> None:
    """Brings the database to the revision `head`. A new one is made as the tables are described, which
    is what all revisions together come to, and takes no Alembic. Raises StoreFault."""
    if _revision(engine, version_table) != head and not _made_anew(engine, version_table, head, metadata):
        upgrade(engine, migrations, version_table)


def upgrade(engine: Engine, migrations: Path, version_table: str) -> None:
    """Runs the revisions that the database lacks. Raises StoreFault."""
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = version_table
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":  # all of it or nothing, and one process at a time
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except CommandError:
        raise StoreFault("the database was written by a newer release of syncd: install that release") from None
    except DBAPIError as error:
        raise StoreFault(f"{fault_of(error)}: {_place(engine)}") from None
    except SQLAlchemyError as error:
        raise StoreFault(f"the database cannot be opened ({type(error).__name__}): {_place(engine)}") from None


def _made_anew(engine: Engine, version_table: str, head: str, metadata: MetaData) -> bool:
    """Makes all tables where there is none of them; False where there is one."""
    version = Table(version_table, MetaData(), Column("version_num", String(32), primary_key=True))
    try:
        with connected(engine, writing=True) as connection:
            there = set(inspect(connection).get_table_names())
            if there & {version_table, *metadata.tables}:
                return False
            metadata.create_all(connection)
            version.create(connection)
            connection.execute(insert(version).values(version_num=head))
            connection.commit()
    except (StoreFault, IntegrityError) as fault:
        if _revision(engine, version_table) == head:  # another syncd was a moment earlier
            return True
        raise StoreFault(f"{fault if isinstance(fault, StoreFault) else 'half made'}: {_place(engine)}") from None
    return True


def _place(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _revision(engine: Engine, version_table: str) -> str | None:
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(version_table):
                return None
            statement = text(f"SELECT version_num FROM {version_table}")  # noqa: S608 - our own constant
            found = connection.execute(statement).scalar()
    except DBAPIError as error:
        raise StoreFault(f"{fault_of(error)}: {_place(engine)}") from None
    return str(found) if found else None
