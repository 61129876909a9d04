"""A PostgreSQL of Debian's packages, in a folder of its own, for tests.

``python -m tests.servers.postgres COMMAND...`` starts one, names it in SYNCD_TEST_DATABASE, runs the
command and stops it: so the same suites run on both databases.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from syncd.cli.radicale import free_port

VARIABLE = "SYNCD_TEST_DATABASE"


def programs() -> Path | None:
    """The folder with PostgreSQL's programs; None when it is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


@dataclass
class Postgres:
    """A running server."""

    bin: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def control(self, *words: str) -> None:
        """pg_ctl, as a user who is not root: PostgreSQL refuses to be that."""
        _as_somebody([str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words])

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
        self.control("-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.control("-m", "immediate", "stop")


def _as_somebody(command: list[str]) -> None:
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", timeout=120)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with a user "tester" who needs no password."""
    found = programs()
    assert found is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="syncd-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(found, folder, free_port())
    try:
        _as_somebody([str(found / "initdb"), "-D", str(folder / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "-N"])  # fmt: skip
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database() -> str:
    """The URL of an empty place in the server that SYNCD_TEST_DATABASE names; "" when it names none."""
    base = os.environ.get(VARIABLE, "")
    if not base:
        return ""
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(base.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{base}?options=-csearch_path%3D{name}"


def main() -> int:
    """Runs a command with a server."""
    with postgres() as server:
        return subprocess.run(sys.argv[1:], env={**os.environ, VARIABLE: server.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
