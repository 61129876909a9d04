"""Finds an employee's calendars: well-known address, principal, home, collections (RFC 6764, 4791)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from connectors.caldav.dav import NS, Dav
from syncd.ports import Gone, PortError, Rejected

_PRINCIPAL = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
    "<D:prop><D:current-user-principal/><C:calendar-home-set/><D:resourcetype/></D:prop></D:propfind>"
)
_COLLECTIONS = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
    "<D:prop><D:resourcetype/><D:displayname/><C:supported-calendar-component-set/>"
    "<D:current-user-privilege-set/></D:prop></D:propfind>"
)


@dataclass(frozen=True)
class Collection:
    """A calendar or task list on a server."""

    path: str
    name: str
    #: "event", "todo"
    kinds: tuple[str, ...]
    writable: bool


def discover(dav: Dav) -> list[Collection]:
    """The collections of whoever is signed in. Raises AuthFailed, Transient, Rejected."""
    start = urlsplit(dav.url).path or "/"
    problem: PortError | None = None
    for place in dict.fromkeys((start, "/.well-known/caldav", "/")):
        try:
            home = _home(dav, place)
        except (Gone, Rejected) as error:
            problem = problem or error
            continue
        if home:
            return _collections(dav, home)
    raise problem or Rejected("no calendars found: is this the address of a CalDAV server?")


def _home(dav: Dav, place: str) -> str:
    found, _ = dav.multistatus("PROPFIND", quote(place), _PRINCIPAL, "0")
    for resource in found:
        home = _href(resource.props, "C:calendar-home-set")
        if home:
            return home
        principal = _href(resource.props, "D:current-user-principal")
        if principal and principal != place:
            there, _ = dav.multistatus("PROPFIND", quote(principal), _PRINCIPAL, "0")
            return next((h for r in there if (h := _href(r.props, "C:calendar-home-set"))), "")
    return ""


def _href(props: Any, name: str) -> str:
    prefix, _, local = name.partition(":")
    element = props.get(f"{{{NS[prefix]}}}{local}")
    text = element.findtext("D:href", default="", namespaces=NS) if element is not None else ""
    return unquote(urlsplit(urljoin("/", text.strip())).path) if text else ""


def _collections(dav: Dav, home: str) -> list[Collection]:
    found, _ = dav.multistatus("PROPFIND", quote(home), _COLLECTIONS, "1")
    made = []
    for resource in found:
        types = resource.props.get(f"{{{NS['D']}}}resourcetype")
        if types is None or types.find("C:calendar", NS) is None:
            continue
        components = resource.props.get(f"{{{NS['C']}}}supported-calendar-component-set")
        names = {c.get("name", "").upper() for c in components} if components is not None else {"VEVENT", "VTODO"}
        kinds = tuple(k for n, k in (("VEVENT", "event"), ("VTODO", "todo")) if n in names)
        rights = resource.props.get(f"{{{NS['D']}}}current-user-privilege-set")
        writable = rights is None or any(
            rights.find(f"D:privilege/D:{r}", NS) is not None for r in ("all", "write", "write-content", "bind")
        )
        name = resource.text("D:displayname") or resource.href.rstrip("/").rsplit("/", 1)[-1]
        made.append(Collection(resource.href, name, kinds, writable))
    return sorted(made, key=lambda c: c.path)
