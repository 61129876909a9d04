"""Brings a store to the present schema with Alembic, and refuses one from a newer release."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine


class StoreFault(Exception):
    """The store cannot be used; the message says why and what to do."""


def upgrade(engine: Engine) -> None:
    """Runs the revisions that the store lacks. Raises StoreFault."""
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except CommandError:
        raise StoreFault("the store was written by a newer release of syncd: install that release") from None
    except SQLAlchemyError as error:
        raise StoreFault(f"the store cannot be opened ({type(error).__name__}): {engine.url.database}") from None


def current(engine: Engine) -> bool:
    """True when the store already has the newest revision (then Alembic need not be imported)."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError:
        return False
    return found == HEAD


#: The newest revision under migrations/versions; a test holds the two together.
HEAD = "0001"
