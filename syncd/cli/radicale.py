"""Starts a Radicale (GPL, so it runs beside us) in a folder, on a free port of this machine.

For the demo, and for whoever wants to try syncd without a server.
"""

from __future__ import annotations

import base64
import http.client
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    port: int

    def request(self, user: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        """What a person's calendar client sends; returns (status, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        token = base64.b64encode(f"{user}:{user}".encode()).decode()
        sent = {"Authorization": f"Basic {token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            connection.request(method, path, body.encode(), sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def calendar(self, user: str, name: str, component: str = "VEVENT") -> str:
        """Makes a calendar; returns its path."""
        path = f"/{user}/{name}/"
        body = (
            '<?xml version="1.0"?><C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{name}</D:displayname><C:supported-calendar-component-set>"
            f'<C:comp name="{component}"/></C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>'
        )
        self.request(user, "MKCALENDAR", path, body)
        return path

    def put(self, user: str, path: str, text: str) -> int:
        """Writes an object; returns the status."""
        body = text.strip().replace("\r\n", "\n").replace("\n", "\r\n") + "\r\n"
        return self.request(user, "PUT", path, body, Content_Type="text/calendar")[0]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def installed() -> bool:
    """True when Radicale can be started."""
    return importlib.util.find_spec("radicale") is not None


@contextmanager
def radicale(folder: Path, users: Mapping[str, str]) -> Iterator[Server]:
    """A server with these users (name -> password); it stops at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "users").write_text("".join(f"{u}:{p}\n" for u, p in users.items()), encoding="utf-8")
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder / 'users'}\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder / 'collections'}\n[logging]\nlevel = error\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-W", "ignore", "-m", "radicale", "-C", str(folder / "config")]
    with (folder / "log").open("w") as log, serving(command, port, log) as server:
        yield server


@contextmanager
def serving(command: Sequence[str], port: int, log: IO[str] | None = None, cwd: Path | None = None) -> Iterator[Server]:
    """The server that a command starts on a port; it is terminated at the end."""
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=cwd)
    try:
        wait_for(port, process)
        yield Server(f"http://127.0.0.1:{port}/", port)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Until the server takes connections. Raises RuntimeError when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")
