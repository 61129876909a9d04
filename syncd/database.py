"""Opens a database and brings it to the present schema with Alembic: the store's, and the CRM's.

Knows nothing of what stands in the tables.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool


class StoreFault(Exception):
    """The database cannot be used; the message says why and what to do."""


def open_engine(url: str) -> Engine:
    """An engine for the URL; an SQLite file's folder is made. ``sqlite://`` is one in memory."""
    if url == "sqlite://":
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    elif url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url)
    else:
        engine = create_engine(url, pool_pre_ping=True)
    if url.startswith("sqlite"):
        _prepare_sqlite(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, deleted content overwritten, and transactions that begin when we say so."""

    @event.listens_for(engine, "connect")
    def _connect(connection: object, _record: object) -> None:
        import sqlite3

        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None
        pragmas = (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "secure_delete=ON",
            "busy_timeout=30000",
            "foreign_keys=ON",
        )
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")


def upgrade(engine: Engine, migrations: Path, version_table: str, head: str) -> None:
    """Runs the revisions that the database lacks. Raises StoreFault."""
    if _revision(engine, version_table) == head:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = version_table
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except CommandError:
        raise StoreFault("the database was written by a newer release of syncd: install that release") from None
    except SQLAlchemyError as error:
        place = engine.url.render_as_string(hide_password=True)
        raise StoreFault(f"the database cannot be opened ({type(error).__name__}): {place}") from None


def _revision(engine: Engine, version_table: str) -> str | None:
    try:
        with engine.connect() as connection:
            statement = text(f"SELECT version_num FROM {version_table}")  # noqa: S608 - our own constant
            found = connection.execute(statement).scalar()
    except SQLAlchemyError:
        return None
    return str(found) if found else None
