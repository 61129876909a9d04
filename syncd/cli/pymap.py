"""Starts a pymap (MIT) with one mailbox in memory, on a free port of this machine: for the demo, and for
whoever wants to try syncd with mail without a server.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.cli.radicale import Server, free_port, serving


def installed() -> bool:
    """True when pymap can be started."""
    return importlib.util.find_spec("pymap") is not None


@contextmanager
def pymap(user: str, password: str) -> Iterator[Server]:
    """A server with one mailbox: IMAP without CONDSTORE, SPECIAL-USE and keywords."""
    port = free_port()
    program = [sys.executable, "-c", "from pymap.main import main; main()"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-tls", "--no-service", "admin"]
    with serving([*program, *options, "dict", "--demo-user", user, "--demo-password", password], port) as server:
        yield server
