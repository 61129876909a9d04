"""A desk: a configuration folder, real calendars on Radicale, and the `syncd` command as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import inspect, text

from syncd.cli.radicale import Server, radicale
from syncd.database import open_engine
from tests.conftest import need, need_program
from tests.depth import DEEP
from tests.scenarios.typed import Typist, typist
from tests.servers import cyrus as cyrus_of_debian
from tests.servers.cyrus import Cyrus, cyrus
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot
from tests.servers.exchange import ExchangeServer, exchange
from tests.servers.exchange.outlook import Outlook
from tests.servers.postgres import fresh_database

ROOT = Path(__file__).resolve().parents[2]
USERS = {name: name for name in ("ann", "bob", "cid", "dora", "eve")}
MONDAY = (datetime.now(UTC) + timedelta(days=7)).replace(hour=10, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="session", autouse=True)
def _typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands are typed by one who has the program at hand; of a deep run each starts an interpreter."""
    if DEEP:
        yield
        return
    with typist(tmp_path_factory.mktemp("typist")) as who:
        Desk.typist = who
        yield
        Desk.typist = None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need("radicale", "Radicale")
    with radicale(tmp_path_factory.mktemp("radicale"), USERS) as running:
        yield running


@pytest.fixture(scope="session")
def cyrus_server() -> Iterator[Cyrus]:
    """The server that schedules; what it sends stays in its sink."""
    need_program(cyrus_of_debian.available(), "Cyrus")
    with cyrus(USERS) as running:
        yield running


@dataclass
class Done:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """One administrator's folder."""

    folder: Path
    server: Server
    paths: dict[str, str] = field(default_factory=dict)
    #: PostgreSQL's URL; "" for SQLite files in the folder.
    database: str = ""
    #: On which day commands are typed, counted from today.
    days: float = 0
    #: Who types them; None starts an interpreter for each.
    typist: ClassVar[Typist | None] = None

    def run(self, *words: str, status: int | tuple[int, ...] | None = 0, stdin: str = "", **env: str) -> Done:
        """Types a command in the folder."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SYNCD_EMPLOYEE": "ann", **env}
        if self.typist is not None:
            done = Done(*self.typist.run(words, self.folder, environment, stdin, self.days, timeout=120))
        else:
            program = ["tests.scenarios.later", str(self.days)] if self.days else ["syncd.cli.command"]
            ended = subprocess.run(
                [sys.executable, "-m", *program, *words],
                cwd=self.folder,
                env=environment,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            done = Done(ended.returncode, ended.stdout, ended.stderr)
        allowed = (status,) if isinstance(status, int) else status
        if allowed is not None:
            assert done.status in allowed, f"{words}: {done.status}\n{done.out}{done.err}"
        return done

    def sync(self, *words: str, status: int | tuple[int, ...] = (0, 1)) -> dict[str, Any]:
        """A pass; the results by pairing."""
        done = self.run("sync", "--json", *words, status=status)
        return {p["pairing"].split("/")[0]: p for p in done.json["pairings"]}

    def quiet(self) -> None:
        """The next pass writes nothing."""
        for name, one in self.sync().items():
            wrote = sum(sum(one[k].values()) for k in ("created", "updated", "deleted"))
            assert wrote == 0, (name, one)

    def activities(self, *words: str, as_: str = "ann") -> list[dict[str, Any]]:
        """What the CRM lists."""
        found: list[dict[str, Any]] = self.run("crm", "list", "--json", "--as", as_, *words).json["activities"]
        return found

    def only(self) -> dict[str, Any]:
        """The one activity that there is."""
        found = self.activities()
        assert len(found) == 1, [a["subject"] for a in found]
        return found[0]

    def show(self, guid: str, as_: str = "ann") -> dict[str, Any]:
        """One activity with its history."""
        found: dict[str, Any] = self.run("crm", "show", guid, "--json", "--as", as_).json
        return found

    def edit(self, guid: str, *words: str) -> None:
        """A CRM user edits an activity."""
        self.run("crm", "edit", guid, *words)

    def create(self, *words: str, kind: str = "appointment", as_: str = "ann") -> str:
        """A CRM user makes an activity; returns its id."""
        return self.run("crm", "create", kind, "--as", as_, *words).out.strip()

    def through(self, server: Server) -> None:
        """From now on syncd reaches its calendars by way of that server."""
        file = self.folder / "syncd.yaml"
        file.write_text(file.read_text().replace(self.server.url, server.url))

    # -- calendars ------------------------------------------------------------------------------------

    def put(self, user: str, name: str, *lines: str, component: str = "VEVENT", start: datetime = MONDAY) -> str:
        """A calendar client writes an event; returns its path."""
        path = f"{self.paths[user]}{name}.ics"
        own = lines[: lines.index(f"END:{component}")] if f"END:{component}" in lines else lines
        have = {line.split(":")[0].split(";")[0] for line in own}
        usual = [] if "UID" in have else [f"UID:{name}@client"]
        if component == "VEVENT" and "DTSTART" not in have:
            usual += [f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}"]
        body = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Client//EN", f"BEGIN:{component}"]
        body += [*usual, "DTSTAMP:20261101T000000Z", *lines, f"END:{component}", "END:VCALENDAR"]
        status = self.server.put(user, path, "\n".join(body))
        assert status in (201, 204), status
        return path

    def get(self, user: str, path: str) -> str:
        """An event as it stands, unfolded."""
        status, text = self.server.request(user, "GET", path)
        assert status == 200, (path, status)
        return text.replace("\r\n ", "").replace("\r\n", "\n")

    def change(self, user: str, path: str, *pairs: str) -> None:
        """A client edits an event: old text and new, once or several times."""
        text = self.get(user, path)
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text, text
            text = text.replace(old, new)
        assert self.server.put(user, path, text) in (201, 204)

    @property
    def outlook(self) -> Outlook | None:
        """The person's Outlook, when the groupware is Exchange: it answers as a server of calendars does."""
        found: Any = self.server
        return found if isinstance(found, Outlook) else None

    def ref(self, user: str, path: str) -> str:
        """What syncd calls the item."""
        return self.outlook.paths[user, path] if self.outlook else path

    def delete(self, user: str, path: str) -> None:
        """A client deletes an event."""
        assert self.server.request(user, "DELETE", path)[0] in (200, 204)

    def calendar(self, user: str) -> list[str]:
        """All objects in a user's calendar, unfolded."""
        status, text = self.server.request(user, "GET", self.paths[user])
        assert status == 200
        text = text.replace("\r\n ", "").replace("\r\n", "\n")
        kind = "VTODO" if "BEGIN:VTODO" in text else "VEVENT"
        return [part.split(f"END:{kind}")[0] for part in text.split(f"BEGIN:{kind}\n")[1:]]

    def names(self, user: str) -> list[str]:
        """The objects' paths."""
        body = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        text = self.server.request(user, "PROPFIND", self.paths[user], body, Depth="1")[1]
        found = [part.split("</")[0] for part in text.split("<href>")[1:]]
        return [f for f in found if f.endswith(".ics")]

    def store_bytes(self) -> bytes:
        """What the store holds."""
        if self.database:
            return rows_of(self.database, but="crm_").encode()
        return b"".join(p.read_bytes() for p in self.folder.glob("store.db*"))

    def everything_written(self) -> bytes:
        """Every byte that syncd holds in its folder, the CRM's too; and every row of its database."""
        written = b"".join(p.read_bytes() for p in sorted(self.folder.rglob("*")) if p.is_file())
        return written + rows_of(self.database).encode() if self.database else written


def rows_of(database: str, but: str = "-") -> str:
    """Every row of a PostgreSQL database, as text, in one order (the server promises none); of tables that
    begin with `but`, none."""
    engine = open_engine(database)
    with engine.connect() as connection:
        tables = sorted(t for t in inspect(connection).get_table_names() if not t.startswith(but))
        rows = {t: connection.execute(text(f'SELECT * FROM "{t}"')).all() for t in tables}  # noqa: S608
        found = [(t, sorted(map(repr, rows[t]))) for t in tables]
    engine.dispose()
    return repr(found)


@pytest.fixture
def make_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Makes a desk for some employees; `crm` and `mapping` are lines of YAML. A test that is marked
    `everywhere` is told for each groupware."""
    running: list[ExchangeServer] = []
    stack = ExitStack()
    servers = {"caldav": "server", "cyrus": "cyrus_server"}
    wanted = getattr(request, "param", "caldav")
    caldav = request.getfixturevalue(servers[wanted]) if wanted in servers else None

    def groupware() -> Any:
        if caldav is not None:
            return caldav
        running.append(stack.enter_context(exchange()))
        return Outlook(running[-1])

    def make(
        *users: str,
        crm: str = "",
        mapping: str = "appointments",
        component: str = "VEVENT",
        database: str = "",
        **edits: str,
    ) -> Desk:
        folder = tmp_path / uuid.uuid4().hex[:8]
        (folder / "secrets").mkdir(parents=True, mode=0o700)
        server = groupware()
        desk = Desk(folder, server, database=database or fresh_database())
        if edits:
            from syncd.mapping.loader import shipped

            content = shipped()[mapping].read_text(encoding="utf-8")
            for old, new in (e.split(" => ") for e in edits.values()):
                assert old in content, old
                content = content.replace(old, new)
            mapping = "own.yaml"
            (folder / mapping).write_text(content, encoding="utf-8")
        lines = ["version: 1", f"crm: {{connector: builtin, url: '{desk.database or 'sqlite:///crm.db'}'{crm}}}"]
        lines += [f"store: '{desk.database}'"] if desk.database else []
        lines.append("profiles:")
        how = "connector: caldav" if caldav is not None else "connector: exchange, auth: basic"
        lines += [f"  cal: {{{how}, url: '{server.url}', mapping: {mapping}}}", "employees:"]
        people = "id,name,address\n"
        for user in users:
            desk.paths[user] = server.calendar(user, f"c{uuid.uuid4().hex[:10]}", component)
            secret = folder / "secrets" / user
            secret.write_text(user + "\n")
            secret.chmod(0o600)
            lines += [
                f"  - id: {user}",
                f"    addresses: [{user}@us.example]",
                f"    accounts: [{{profile: cal, username: {user}, password: 'file:secrets/{user}',"
                f" calendar: {desk.paths[user]}}}]",
            ]
            people += f"{user},{user.title()},{user}@us.example\n"
        (folder / "syncd.yaml").write_text("\n".join(lines) + "\n")
        (folder / "employees.csv").write_text(people)
        (folder / "accounts.csv").write_text("id,name\nacme,Acme\n")
        (folder / "contacts.csv").write_text("id,name,account,address\nkim,Kim,acme,kim@acme.example\n")
        for sheet in ("employees", "accounts", "contacts"):
            desk.run("crm", "import", sheet, f"{sheet}.csv")
            (folder / f"{sheet}.csv").unlink()
        return desk

    with stack:
        yield make
    for double in running:
        assert double.outbox == [], "Exchange would have sent mail"
        assert double.refused == [], "a request broke the schema"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is marked `everywhere` is told for each groupware that the desk knows; what another groupware
    says of the store is the same."""
    outlook = pytest.param("exchange", marks=pytest.mark.either)
    if metafunc.definition.get_closest_marker("everywhere") and "desk_of" in metafunc.fixturenames:
        metafunc.parametrize("desk_of", ["imap", outlook], indirect=True)
    if metafunc.definition.get_closest_marker("everywhere") and "make_desk" in metafunc.fixturenames:
        metafunc.parametrize("make_desk", ["caldav", outlook], indirect=True)


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Dovecot]:
    need_program(PROGRAM is not None, "Dovecot")
    with dovecot() as running:
        yield running


@pytest.fixture
def desk_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes a desk with mailboxes (see `tests.scenarios.mail`); of a test that is marked `everywhere` on
    each server of mail that it knows."""
    from tests.scenarios.mail import make

    imap = request.getfixturevalue("mail_server") if getattr(request, "param", "imap") == "imap" else None
    running: list[ExchangeServer] = []
    with ExitStack() as stack:

        def made(*users: str, **more: Any) -> Any:
            server = more.pop("server", imap)
            if server is None:
                running.append(server := stack.enter_context(exchange()))
            return make(tmp_path / uuid.uuid4().hex[:8], server, *users, **more)

        yield made
    for double in running:
        assert double.outbox == [], "Exchange would have sent mail"
        assert double.refused == [], "a request broke the schema"
