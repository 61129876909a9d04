"""Every connector, one suite: a new one joins by a fixture here and its name in `BENCHES`."""

from __future__ import annotations

import gc
import os
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.builtin import BuiltinCrm
from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from connectors.exchange.access import Access
from connectors.exchange.mailbox import ExchangeMailbox
from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox as Soap
from connectors.imap.connect import SignIn, connect
from connectors.imap.replica import ImapReplica
from connectors.imap.session import Session
from syncd.cli.pymap import pymap
from syncd.cli.radicale import Server, radicale
from syncd.crm.database import Crm
from syncd.mail.choice import Choice
from syncd.ports import Replica
from tests.conftest import need, need_program
from tests.memory import calendar
from tests.memory import crm as memory_crm
from tests.servers import cyrus as cyrus_of_debian
from tests.servers.cyrus import Cyrus, cyrus
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot
from tests.servers.exchange import ExchangeServer, exchange
from tests.servers.postgres import fresh_database
from tests.servers.proxy import proxy, with_token_only, without_sync_collection
from tests.servers.start import loopback, xandikos

_PLANNERS = (
    "memory", "radicale", "xandikos", "cyrus", "loopback", "etags", "token", "exchange", "memory-crm", "builtin",
)  # fmt: skip
MAILBOXES = ("dovecot", "pymap")
#: A real Exchange server, when one is named (docs/how-to/exchange.md).
LIVE = ("exchange-live",) if os.environ.get("SYNCD_LIVE_EWS_URL") else ()
PLANNERS = (*_PLANNERS, *LIVE)
BENCHES = (*PLANNERS, *MAILBOXES, "exchange-mail", "exchange-tasks")


@dataclass
class Bench:
    """An empty replica, and a second hand in the same collection (another client, a person)."""

    replica: Replica
    other: Replica
    kind: str
    #: Makes the server forget every cursor, where the test can.
    expire: Callable[[], None] | None = None
    #: False: the server takes an escaped comma in a list for one that separates (libical, before version 4).
    commas: bool = True

    @property
    def title(self) -> str:
        return "summary" if self.kind in ("event", "todo") else "subject"

    @property
    def time(self) -> str:
        return {"message": "date", "todo": "due"}.get(self.kind, "time")

    def fields(self, **more: Any) -> dict[str, Any]:
        return {self.title: "A meeting", **more}

    def edit(self, title: str) -> dict[str, Any]:
        """A change that a record of this kind takes: of a message only the flag."""
        return {"flagged": True} if self.kind == "message" else {self.title: title}

    def uid(self, key: str) -> str:
        """The UID that a record created under the key has: of a message the key itself."""
        return key if self.kind == "message" else f"{key}@test"


@pytest.fixture(scope="session")
def radicale_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need("radicale", "Radicale")
    with radicale(tmp_path_factory.mktemp("radicale"), {"ann": "ann"}) as server:
        yield server


@pytest.fixture(scope="session")
def xandikos_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need("xandikos", "Xandikos")
    with xandikos(tmp_path_factory.mktemp("xandikos"), "ann") as server:
        yield server


@pytest.fixture(scope="session")
def cyrus_server() -> Iterator[Cyrus]:
    """The one that schedules: what it sends stays in its sink."""
    need_program(cyrus_of_debian.available(), "Cyrus")
    with cyrus({"ann": "ann", "bob": "bob"}) as server:
        yield server


@pytest.fixture(scope="session")
def loopback_server() -> Iterator[Server]:
    """The measurements' own server: it is held to what the real ones do."""
    with loopback(0, 0) as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_server() -> Iterator[Dovecot]:
    need_program(PROGRAM is not None, "Dovecot")
    with dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def pymap_server() -> Iterator[Server]:
    need("pymap", "pymap")
    with pymap("ann", "ann") as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pools_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What exchangelib and requests keep of a server that is gone goes with the test: collected later, its
    sockets would complain in a test that has nothing to do with them."""
    yield
    if "exchange" not in request.node.nodeid and "davmail" not in request.node.nodeid:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if "exchangelib.protocol" in sys.modules:
            sys.modules["exchangelib.protocol"].close_connections()
        gc.collect()


@pytest.fixture(scope="session")
def exchange_server() -> Iterator[ExchangeServer]:
    with exchange() as server:
        yield server


def access(server: ExchangeServer, user: str, **more: Any) -> Access:
    """How a user of the server opens the own mailbox."""
    address = server.addresses.get(user, f"{user}@us.example")
    usual: dict[str, Any] = {"auth": "basic", "zone": "Europe/Berlin", "timeout": 20.0}
    return Access(server.url, user, lambda: server.users[user], address, **{**usual, **more})


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from _bench(str(request.param), request, tmp_path)


@pytest.fixture(params=PLANNERS)
def planner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Those that hold times, series and words that may be changed."""
    yield from _bench(str(request.param), request, tmp_path)


@pytest.fixture(params=MAILBOXES)
def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Those that hold messages."""
    yield from _bench(str(request.param), request, tmp_path)


def _bench(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    clock = lambda: datetime(2026, 11, 24, 12, tzinfo=UTC)  # noqa: E731
    if name == "memory":
        made = calendar("ann", clock)
        yield Bench(made, made, "event", made.expire)
    elif name == "memory-crm":
        hub = memory_crm(clock)
        yield Bench(hub, hub, "appointment", hub.expire)
    elif name == "builtin":
        opened = Crm.open(fresh_database() or f"sqlite:///{tmp_path / 'crm.db'}")
        yield Bench(BuiltinCrm(opened), BuiltinCrm(opened), "appointment")
        opened.close()
    elif name == "exchange-live":
        yield from _live()
    elif name.startswith("exchange"):
        double: ExchangeServer = request.getfixturevalue("exchange_server")
        double.add_user(user := f"u{uuid.uuid4().hex[:12]}")
        kind = {"exchange-mail": "message", "exchange-tasks": "todo"}.get(name, "event")
        made_of: list[Any] = []
        for _ in range(2):
            soap = Soap(access(double, user))
            made_of.append(ExchangeMailbox(soap) if kind == "message" else ExchangeReplica(soap, kind=kind))
        yield Bench(made_of[0], made_of[1], kind)
        assert double.told == []
        assert double.refused == []
    elif name in MAILBOXES:
        mail: Any = request.getfixturevalue(f"{name}_server")
        user = f"u{uuid.uuid4().hex[:12]}" if name == "dovecot" else "ann"
        sign_in = SignIn(f"imap://127.0.0.1:{mail.port}", user, lambda: user)
        empty(sign_in)
        hands = [ImapReplica(Session(sign_in), Choice(flagged=True)) for _ in range(2)]
        yield Bench(hands[0], hands[1], "message")
        for hand in hands:
            hand.close()
    elif name in ("etags", "token"):  # Radicale without sync-collection; Radicale that takes a token only
        real: Server = request.getfixturevalue("radicale_server")
        rule = without_sync_collection if name == "etags" else with_token_only("ann", "a-token")
        with proxy(real, rule) as server:
            path = real.calendar("ann", f"c{uuid.uuid4().hex[:12]}")
            password, auth = ("a-token", "bearer") if name == "token" else ("ann", "")
            yield from _hands(server, path, password, auth)
    elif name == "cyrus":
        there: Cyrus = request.getfixturevalue("cyrus_server")
        with there.untouched("bob"):
            yield from _hands(there, there.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), "ann", commas=False)
    else:
        server = request.getfixturevalue(f"{name}_server")
        yield from _hands(server, server.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), "ann")


def _live() -> Iterator[Bench]:
    """A folder of its own in the calendar of a real mailbox; it is removed at the end."""
    from exchangelib.folders import Calendar

    env = os.environ
    how = Access(
        env["SYNCD_LIVE_EWS_URL"],
        env["SYNCD_LIVE_EWS_USER"],
        lambda: env["SYNCD_LIVE_EWS_PASSWORD"],
        env["SYNCD_LIVE_EWS_MAILBOX"],
        how=env.get("SYNCD_LIVE_EWS_ACCESS", "own"),
        auth=env.get("SYNCD_LIVE_EWS_AUTH", ""),
        ca=env.get("SYNCD_LIVE_EWS_CA"),
        zone=env.get("SYNCD_LIVE_EWS_ZONE", "Europe/Berlin"),
    )
    account = Soap(how).account
    folder = Calendar(parent=account.calendar, name=f"syncd test {uuid.uuid4().hex[:8]}")
    folder.save()
    try:
        hands = [ExchangeReplica(Soap(how), folder=folder.name) for _ in range(2)]
        yield Bench(hands[0], hands[1], "event")
    finally:
        folder.delete()


def empty(sign_in: SignIn) -> None:
    """Removes every message; where there is no folder for sent mail, there is one now."""
    client = connect(sign_in)
    if not client.folder_exists("Sent"):
        client.create_folder("Sent")
    for _, _, folder in client.list_folders():
        client.select_folder(folder)
        client.delete_messages(client.search())
        client.expunge()
    client.logout()


def _hands(server: Server, path: str, password: str, auth: str = "", *, commas: bool = True) -> Iterator[Bench]:
    hands = [CaldavReplica(Dav(server.url, "ann", password, auth), path) for _ in range(2)]
    yield Bench(hands[0], hands[1], "event", commas=commas)
    for hand in hands:
        hand.close()
