"""Two synchronisers at one calendar: the folder in which each keeps what it knows, and how it is run.

Whole processes, as a user would start them; their wall seconds, CPU seconds and peak memory are read
from the kernel's own accounts (wait4).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syncd.cli.radicale import Server


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    #: Seconds.
    wall: float
    cpu: float
    #: Peak resident memory, in bytes.
    memory: int
    out: str


def run(command: Sequence[str], folder: Path) -> Cost:
    """Runs a command to its end. Raises RuntimeError with its last words when it fails."""
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            err.seek(0)
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err.read()[-2000:]}")
        out.seek(0)
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out.read())


class Desk:
    """A folder with a configuration of both for one calendar, nothing synced yet."""

    def __init__(self, folder: Path, server: Server, path: str) -> None:
        folder.mkdir()
        self.folder = folder
        configure(folder, server.url, [("ann", path)])
        there = f"{server.url.rstrip('/')}{path}"
        (folder / "vdirsyncer").write_text(
            f'[general]\nstatus_path = "{folder}/status/"\n[pair p]\na = "a"\nb = "b"\ncollections = null\n'
            f'[storage a]\ntype = "caldav"\nurl = "{there}"\nusername = "ann"\npassword = "ann"\n'
            f'[storage b]\ntype = "filesystem"\npath = "{folder}/files/"\nfileext = ".ics"\n'
        )
        (folder / "files").mkdir()
        self._vdirsyncer("discover")

    def ours(self) -> Cost:
        """``syncd sync``."""
        return run([sys.executable, "-m", "syncd.cli.command", "sync", "--json"], self.folder)

    def theirs(self) -> Cost:
        """``vdirsyncer sync``."""
        return self._vdirsyncer("sync")

    def requests(self) -> int:
        """How many requests one more pass of ours sends to the calendar's server."""
        (pairing,) = json.loads(self.ours().out)["pairings"]
        return int(pairing["requests"]["groupware"])

    def inside(self, what: str, *words: object) -> dict[str, float]:
        """Measures inside one process of ours (see `bench.inside`)."""
        command = [sys.executable, "-m", "bench.inside", what, str(self.folder), *map(str, words)]
        found: dict[str, float] = json.loads(run(command, self.folder).out)
        return found

    def _vdirsyncer(self, word: str) -> Cost:
        return run([str(Path(sys.executable).parent / "vdirsyncer"), "-c", "vdirsyncer", word], self.folder)


def configure(folder: Path, url: str, accounts: Sequence[tuple[str, str]], service: str = "") -> None:
    """Writes syncd's configuration for these (employee, calendar) at one server."""
    secret = folder / "secret"
    secret.write_text("ann\n")
    secret.chmod(0o600)
    lines = ["version: 1", "profiles:", f"  cal: {{connector: caldav, url: '{url}'}}", "employees:"]
    lines += [
        f"  - {{id: {name}, addresses: ['{name}@us.example'], accounts: [{{profile: cal, username: {name}, "
        f"password: 'file:secret', calendar: {path}}}]}}"
        for name, path in accounts
    ]
    (folder / "syncd.yaml").write_text("\n".join([*lines, service]) + "\n")
