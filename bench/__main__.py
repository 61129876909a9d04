"""``make bench``: one JSON line a bar: name, ours, theirs, ratio, bar, holds. Radicale serves both sides.

Times are wall seconds of whole processes, the least of three runs, ours and vdirsyncer's in turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from syncd.cli.radicale import Server, radicale

EVENTS = 200


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with radicale(folder / "server", {"ann": "ann"}) as server:
            path = server.calendar("ann", "big")
            server.request("ann", "PUT", path, _big(EVENTS), Content_Type="text/calendar")
            _config(folder, server, path)
            ours, theirs = _times(lambda: _sync(folder), lambda: _vdirsyncer(folder), once=True)
            _line(f"first run, {EVENTS} events", ours, theirs, 1.0)
            ours, theirs = _times(lambda: _sync(folder), lambda: _vdirsyncer(folder))
            _line("a pass in which nothing changed", ours, theirs, 0.5)


def _times(ours: Callable[[], None], theirs: Callable[[], None], *, once: bool = False) -> tuple[float, float]:
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 if once else 3):
        for place, run in zip(found, (ours, theirs), strict=True):
            began = time.monotonic()
            run()
            place.append(time.monotonic() - began)
    return min(found[0]), min(found[1])


def _line(name: str, ours: float, theirs: float, bar: float) -> None:
    ratio = ours / theirs
    values = {"name": name, "ours": round(ours, 3), "theirs": round(theirs, 3), "ratio": round(ratio, 2)}
    print(json.dumps({**values, "bar": bar, "holds": ratio <= bar}), flush=True)


def _big(count: int) -> str:
    events = [
        f"BEGIN:VEVENT\r\nUID:bench-{n}\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:Event number {n}\r\n"
        f"DTSTART;TZID=Europe/Berlin:{_day(n)}T{8 + n % 9:02}0000\r\nDURATION:PT1H\r\nLOCATION:Room {n % 7}\r\n"
        f"DESCRIPTION:What event {n} is about\\, in a few words.\r\nCATEGORIES:Work\r\nEND:VEVENT\r\n"
        for n in range(count)
    ]
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n" + "".join(events) + "END:VCALENDAR\r\n"


def _day(number: int) -> str:
    from datetime import UTC, datetime, timedelta

    return f"{datetime.now(UTC) + timedelta(days=number % 300):%Y%m%d}"


def _config(folder: Path, server: Server, path: str) -> None:
    secret = folder / "secret"
    secret.write_text("ann\n")
    secret.chmod(0o600)
    (folder / "syncd.yaml").write_text(
        f"version: 1\nprofiles:\n  cal: {{connector: caldav, url: '{server.url}'}}\nemployees:\n"
        f"  - id: ann\n    addresses: [ann@example.com]\n    accounts: [{{profile: cal, username: ann, "
        f"password: 'file:secret', calendar: {path}}}]\n"
    )
    (folder / "vdirsyncer").write_text(
        f'[general]\nstatus_path = "{folder}/status/"\n[pair p]\na = "a"\nb = "b"\ncollections = null\n'
        f'[storage a]\ntype = "caldav"\nurl = "{server.url.rstrip("/")}{path}"\nusername = "ann"\npassword = "ann"\n'
        f'[storage b]\ntype = "filesystem"\npath = "{folder}/files/"\nfileext = ".ics"\n'
    )
    (folder / "files").mkdir()
    _vdir(folder, "discover")


def _sync(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "syncd.cli.command", "sync"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def _vdirsyncer(folder: Path) -> None:
    _vdir(folder, "sync")


def _vdir(folder: Path, word: str) -> None:
    command = [str(Path(sys.executable).parent / "vdirsyncer"), "-c", str(folder / "vdirsyncer"), word]
    done = subprocess.run(command, capture_output=True, check=False, input=b"y\n", env=os.environ.copy())
    assert done.returncode == 0, done.stderr.decode()


if __name__ == "__main__":
    main()
