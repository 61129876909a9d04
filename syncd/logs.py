"""Logs: ids and counts, never synced content. Console lines for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any


def set_up(*, json: bool, verbose: bool) -> None:
    """Configures structlog; everything goes to standard error."""
    import structlog

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
    import structlog

    return structlog.get_logger().bind(**values)
