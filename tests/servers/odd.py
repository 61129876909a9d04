"""A calendar on Radicale behind a proxy that plays an odd server, in step with a CRM in memory: the real
connector and the real engine, in this process."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from syncd.cli.radicale import Server
from syncd.engine.pairing import Employee, Pairing
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.service.runner import Result, run_one
from syncd.store import Store
from tests.memory import MemoryCrm, crm
from tests.servers.proxy import Reply, Rule, forward, proxy
from tests.stores import new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, 10, tzinfo=UTC)
DAV = "{DAV:}"


@dataclass
class Desk:
    """One employee with one calendar, and what the test may do to it."""

    real: Server
    path: str
    replica: CaldavReplica
    crm: MemoryCrm
    store: Store
    lens: Lens
    now: list[datetime] = field(default_factory=lambda: [NOW])

    def sync(self, *, full: bool = False, outcome: str = "ok") -> Result:
        """A pass."""
        self.now[0] += timedelta(minutes=5)
        employee = Employee("ann", ("ann@us.example",))
        pairing = Pairing("ann/cal", employee, self.replica, self.crm, "crm", self.lens)
        done = run_one(pairing, [pairing], self.store, b"k" * 32, self.now[0], full=full)
        assert done.outcome == outcome, (done.outcome, done.error)
        return done

    def quiet(self) -> None:
        """The next pass but one writes nothing."""
        self.sync()
        done = self.sync()
        assert done.report.writes == 0, done.report.numbers()

    def put(self, name: str, *lines: str, uid: str = "", start: datetime = MONDAY) -> str:
        """A client writes an event."""
        path = name if name.startswith("/") else f"{self.path}{name}.ics"
        times = () if any(x.startswith("DTSTART") for x in lines) else (
            f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}")  # fmt: skip
        event = ("BEGIN:VEVENT", f"UID:{uid or name}", "DTSTAMP:20261101T000000Z", *times, *lines, "END:VEVENT")
        text = "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Client//EN", *event, "END:VCALENDAR"))
        assert self.real.put("ann", path, text) in (201, 204)
        return path

    def several(self, count: int) -> None:
        """That many events."""
        for n in range(count):
            self.put(f"e{n}", f"SUMMARY:Event {n}", start=MONDAY + timedelta(hours=n))

    def get(self, name: str) -> str:
        """An event as the real server holds it, unfolded."""
        status, text = self.real.request("ann", "GET", f"{self.path}{name}.ics")
        assert status == 200
        return text.replace("\r\n ", "")

    def change(self, name: str, old: str, new: str) -> None:
        """A client edits an event."""
        text = self.get(name)
        assert old in text
        assert self.real.put("ann", f"{self.path}{name}.ics", text.replace(old, new)) in (201, 204)

    def delete(self, name: str) -> None:
        """A client deletes an event."""
        assert self.real.request("ann", "DELETE", f"{self.path}{name}.ics")[0] in (200, 204)

    def calendar(self) -> list[str]:
        """The titles in the calendar."""
        text = self.real.request("ann", "GET", self.path)[1].replace("\r\n ", "")
        return sorted(re.findall(r"(?m)^SUMMARY[^:]*:(.*?)\r?$", text))

    @property
    def activities(self) -> dict[str, dict[str, Any]]:
        """Subject -> the activity's fields."""
        return {str(r.fields["subject"]): dict(r.fields) for r in self.crm.records.values()}

    def edit(self, subject: str, **changes: object) -> None:
        """Somebody edits the activity of that subject in the CRM."""
        (ref,) = [r.ref for r in self.crm.records.values() if r.fields["subject"] == subject]
        self.crm.edit(ref, **changes)

    def appointment(self, subject: str, **fields: object) -> None:
        """Somebody makes an appointment in the CRM."""
        from syncd.model.span import Span

        base = {"time": Span(MONDAY, MONDAY + timedelta(hours=1), "UTC"), "status": "open", "private": False}
        self.crm.put(f"a{uuid.uuid4().hex[:6]}", "appointment", {**base, "subject": subject, **fields},
                     owner="ann@us.example")  # fmt: skip


Listed = Callable[[Any], None]


@contextmanager
def odd(real: Server, rule: Rule, *, url: str = "", lens: Lens | None = None, **options: Any) -> Iterator[Desk]:
    """A desk whose calendar is reached through a server that plays by the rule."""
    path = real.calendar("ann", f"c{uuid.uuid4().hex[:10]}")
    now = [NOW]
    with proxy(real, rule) as server:
        given = {"username": "ann", "password": "ann", **options}
        replica = CaldavReplica(Dav(url or server.url, **given), path)
        hub = crm(lambda: now[0])
        yield Desk(real, path, replica, hub, new_store(), lens or load(shipped()["appointments"]), now)
        replica.close()


def rewriting(real: Server, wanted: Callable[[str, bytes], bool], change: Callable[[Any, bytes], None]) -> Rule:
    """A rule that changes the multistatus with which the real server answers the wanted requests."""

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if not wanted(method, body):
            return None
        status, sent, content = forward(real, method, path, headers, body)
        if status != 207:
            return status, sent, content
        tree = etree.fromstring(content)
        change(tree, body)
        return status, sent, etree.tostring(tree, encoding="utf-8", xml_declaration=True)

    return rule


def sync_collection(method: str, body: bytes) -> bool:
    """Asks for changes."""
    return method == "REPORT" and b"sync-collection" in body


def multiget(method: str, body: bytes) -> bool:
    """Asks for contents."""
    return method == "REPORT" and b"calendar-multiget" in body
