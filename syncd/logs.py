"""Logs: ids and counts, never synced content. Console lines for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any

_silent = False


class _Withheld(logging.Handler):
    """Libraries log what they stumble over, which may be content: only who and where is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        where = f"{record.module}:{record.lineno}"
        logger().warning("a library's warning, its words withheld", library=record.name, where=where)


def silent() -> None:
    """For a command whose own lines say enough: nothing is logged, and no library's words."""
    global _silent
    logging.getLogger().handlers, _silent = [logging.NullHandler()], True


class _Nothing:
    """Takes every line and writes none."""

    def _line(self, event: str, **values: Any) -> None:
        """Nobody reads it."""

    debug = info = warning = error = _line


def set_up(*, json: bool, verbose: bool) -> None:
    """Configures structlog; everything goes to standard error."""
    import structlog

    global _silent
    _silent = False

    withheld = _Withheld(logging.WARNING)
    logging.getLogger().handlers = [withheld]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(**values: Any) -> Any:
    """A logger that adds these values to each line."""
    if _silent:  # structlog takes a while to import, and most commands need none of it
        return _Nothing()
    import structlog

    return structlog.get_logger().bind(**values)
