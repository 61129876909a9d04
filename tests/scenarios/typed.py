"""The `syncd` command as a user types it: each time a process of its own, without the wait for imports.

Half of what a short command takes is the interpreter and its imports. ``python -m tests.scenarios.typed SOCKET`` does
that once and forks for each command that `Typist.run` asks for: the same program, in a process that has its own
folder, environment, files, exit status and end. What depends on a start of one's own (environment variables that the
interpreter reads, a signal to the process) is started by the tests themselves. multiprocessing's fork server would
import pytest's main module into each child, and end it without the interpreter's own end.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STREAMS = ("in", "out", "err")
#: What the program imports when it needs it.
LATE = ("yaml", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg", "encodings.idna")


class Typist:
    """Types commands; each is a process forked from one that has imported the program."""

    def __init__(self, address: Path) -> None:
        self.address = str(address)

    def run(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: str, days: float, timeout: float
    ) -> tuple[int, str, str]:
        """Exit status (negative: the signal that ended it), what was printed, and what was printed as errors."""
        with tempfile.TemporaryDirectory() as folder:
            files = {stream: Path(folder, stream) for stream in STREAMS}
            files["in"].write_text(stdin, encoding="utf-8")
            asked = {"words": list(words), "cwd": str(cwd), "env": dict(env), "days": days,
                     "streams": [str(files[s]) for s in STREAMS]}  # fmt: skip
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(self.address)
                connection.sendall(json.dumps(asked).encode() + b"\n")
                answers = connection.makefile("r", encoding="ascii")
                pid = int(answers.readline())
                try:
                    status = int(answers.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise
                finally:
                    answers.close()
            return status, files["out"].read_text(encoding="utf-8"), files["err"].read_text(encoding="utf-8")


@contextmanager
def typist(folder: Path) -> Iterator[Typist]:
    """One that types until the block ends; its socket lies in the folder."""
    address = folder / "typist"
    server = subprocess.Popen([sys.executable, "-m", __name__, str(address)], cwd=ROOT)
    try:
        while not address.exists():
            assert server.poll() is None, "what types the commands did not start"
            time.sleep(0.01)
        yield Typist(address)
    finally:
        server.terminate()
        server.wait()


def _next_command(address: str) -> dict[str, Any]:
    """Listens for ever; returns in a process of its own for each command that somebody asks for."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".new")
        listener.listen()
        Path(address + ".new").rename(address)
        waiting = 0
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
            waiting += 1
            while waiting and os.waitpid(-1, os.WNOHANG)[0]:
                waiting -= 1
    asked: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        return asked
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _take_over(asked: dict[str, Any]) -> None:
    """The folder, environment, words and files of the command."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv = ["syncd", *asked["words"]]
    for number, name in enumerate(asked["streams"]):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)


def _import_all() -> None:
    for package in ("syncd", "connectors"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if "migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)


if __name__ == "__main__":
    _import_all()
    from syncd.cli.command import run
    from tests.scenarios.later import on_day

    gc.collect()
    gc.freeze()
    command = _next_command(sys.argv[1])
    _take_over(command)
    with on_day(command["days"]):
        run()
