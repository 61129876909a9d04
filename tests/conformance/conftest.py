"""Every connector, one suite: a new one joins by a fixture here and its name in `BENCHES`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.builtin import BuiltinCrm
from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from syncd.cli.radicale import Server, radicale
from syncd.crm.database import Crm
from syncd.ports import Replica
from tests.conftest import need
from tests.memory import calendar
from tests.memory import crm as memory_crm
from tests.servers.postgres import fresh_database
from tests.servers.proxy import proxy, with_token_only, without_sync_collection
from tests.servers.start import loopback, xandikos

BENCHES = ("memory", "radicale", "xandikos", "loopback", "etags", "token", "memory-crm", "builtin")


@dataclass
class Bench:
    """An empty replica, and a second hand in the same collection (another client, a person)."""

    replica: Replica
    other: Replica
    kind: str
    #: Makes the server forget every cursor, where the test can.
    expire: Callable[[], None] | None = None

    @property
    def title(self) -> str:
        return "summary" if self.kind == "event" else "subject"

    def fields(self, **more: Any) -> dict[str, Any]:
        return {self.title: "A meeting", **more}


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
def loopback_server() -> Iterator[Server]:
    """The measurements' own server: it is held to what the real ones do."""
    with loopback(0, 0) as server:
        yield server


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    name = str(request.param)
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
    elif name in ("etags", "token"):  # Radicale without sync-collection; Radicale that takes a token only
        real: Server = request.getfixturevalue("radicale_server")
        rule = without_sync_collection if name == "etags" else with_token_only("ann", "a-token")
        with proxy(real, rule) as server:
            path = real.calendar("ann", f"c{uuid.uuid4().hex[:12]}")
            password, auth = ("a-token", "bearer") if name == "token" else ("ann", "")
            yield from _hands(server, path, password, auth)
    else:
        server = request.getfixturevalue(f"{name}_server")
        yield from _hands(server, server.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), "ann")


def _hands(server: Server, path: str, password: str, auth: str = "") -> Iterator[Bench]:
    hands = [CaldavReplica(Dav(server.url, "ann", password, auth), path) for _ in range(2)]
    yield Bench(hands[0], hands[1], "event")
    for hand in hands:
        hand.close()
