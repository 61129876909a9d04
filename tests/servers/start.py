"""Starts real CalDAV servers for the tests, each once a worker, each in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.cli.radicale import Server, free_port, serving


@contextmanager
def xandikos(folder: Path, user: str) -> Iterator[Server]:
    """A Xandikos with one principal; it asks for no password."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        sys.executable, "-W", "ignore", "-m", "xandikos", "serve", "-d", str(folder / "data"), "-l", "127.0.0.1",
        "-p", str(port), "--current-user-principal", f"/{user}/", "--autocreate", "--no-detect-systemd",
    ]  # fmt: skip
    with (folder / "log").open("w") as log, serving(command, port, log) as server:
        yield server


@contextmanager
def loopback(calendars: int, events: int) -> Iterator[Server]:
    """The CalDAV server of the measurements (see `bench.server`), in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "bench.server", str(port), str(calendars), str(events)]
    with serving(command, port, cwd=Path(__file__).resolve().parents[2]) as server:
        yield server
