"""What a server does with a write into a meeting that has guests, by what it says of itself, and what keeps it
quiet (RFC 6638). It sends nothing itself, and it trusts nobody who is silent.

There is no standard way for an organiser to keep a server from telling the guests: an attendee's
SCHEDULE-AGENT that changes makes it send a cancellation (§3.2.1.2), and `Schedule-Reply` is about an
attendee's reply (§8.1). So what is done goes by this table, first row that holds:

| evidence                                                                           | what it does            |
|------------------------------------------------------------------------------------|-------------------------|
| OPTIONS or the principal cannot be asked, or OPTIONS tells of no calendar access   | tells                   |
| a probe of just this server has seen it tell                                       | tells                   |
| no `calendar-auto-schedule` in `DAV`, no scheduling inbox or outbox                | nobody                  |
| `X-Sabre-Version` of 2.1 or later                                                  | can be asked: `SABRE`   |
| `Server: Cyrus-HTTP/` of 3.0 or later                                              | can be asked: `CYRUS`   |
| a probe of just this server has seen it keep quiet                                 | can be asked: both      |
| anything else                                                                      | tells                   |

sabre/dav has heeded its switch on PUT and DELETE since it schedules at all (2.1), measured on 4.7.1;
Cyrus its own since 3.0, measured on 3.6.1 by tests/conformance/test_scheduling.py. Nextcloud is sabre's and
hides it, so it needs the probe (`syncd check --live --probe-guests`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote

from connectors.caldav.dav import Dav, InternalError
from connectors.caldav.owner import Owner
from connectors.caldav.transport import listed
from syncd.ports import AuthFailed, CursorExpired, Gone, Rejected, Stale, Telling

#: Header by which sabre/dav keeps quiet, and everything that is made of it.
SABRE: Mapping[str, str] = MappingProxyType({"Schedule-Reply": "F"})
#: Header by which Cyrus keeps quiet.
CYRUS: Mapping[str, str] = MappingProxyType({"Scheduling-Enabled": "F"})
#: All that is known: what a probe tries, and what is sent where a probe has seen it work.
SWITCHES: Mapping[str, str] = MappingProxyType({**SABRE, **CYRUS})


@dataclass(frozen=True)
class Evidence:
    """What a server says of itself."""

    #: Elements of its `DAV` header, in lower case.
    classes: frozenset[str]
    #: `Server`, `X-Sabre-Version`, `X-Powered-By`; "" where it does not say.
    server: str = ""
    sabre: str = ""
    powered: str = ""
    #: The owner of the calendar has an inbox or an outbox for scheduling.
    boxes: bool = False

    @property
    def schedules(self) -> bool:
        """True when it says that it does."""
        return "calendar-auto-schedule" in self.classes or self.boxes

    @property
    def identity(self) -> str:
        """What is another text when it is another server, or another version of it."""
        parts = (self.server, self.sabre, self.powered, ", ".join(sorted(self.classes)), "boxes" if self.boxes else "")
        return " | ".join(parts)


@dataclass(frozen=True)
class Probed:
    """What a probe with two mailboxes of the administrator's has seen."""

    #: Of the server that was probed; the result holds for no other.
    identity: str
    quiet: bool


@dataclass(frozen=True)
class Manner:
    """What a server does, and the headers that keep it quiet where it can be asked."""

    telling: Telling
    quiet: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def evidence_of(dav: Dav, path: str, owner: Owner | None) -> Evidence | None:
    """What the server of a calendar says of itself; None when it cannot be asked. Raises Transient."""
    if owner is None:
        return None
    try:
        said = dav.request("OPTIONS", quote(path)).headers
    except (AuthFailed, CursorExpired, Gone, InternalError, Rejected, Stale):
        return None
    classes = frozenset(word.lower() for word in listed(said.get("dav", "")))
    if "calendar-access" not in classes:  # RFC 4791 §5.1: whoever answers here is not the calendar server
        return None
    return Evidence(
        classes, said.get("server", ""), said.get("x-sabre-version", ""), said.get("x-powered-by", ""), owner.boxes
    )


def manner_of(evidence: Evidence | None, probed: Probed | None = None) -> Manner:
    """The table above."""
    if evidence is None:
        return Manner(Telling.TELLS)
    result = probed.quiet if probed is not None and probed.identity == evidence.identity else None
    if result is False:
        return Manner(Telling.TELLS)
    if not evidence.schedules:
        return Manner(Telling.NOBODY)
    if _version(evidence.sabre, "") >= (2, 1):
        return Manner(Telling.CAN_BE_ASKED, SABRE)
    if _version(evidence.server, "Cyrus-HTTP/") >= (3, 0):
        return Manner(Telling.CAN_BE_ASKED, CYRUS)
    if result:
        return Manner(Telling.CAN_BE_ASKED, SWITCHES)
    return Manner(Telling.TELLS)


def _version(text: str, before: str) -> tuple[int, int]:
    found = re.match(re.escape(before) + r"(\d{1,4})\.(\d{1,4})(?!\d)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
