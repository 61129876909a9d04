"""Whose calendar it is: the principal that owns it, its addresses, and whether it has boxes for scheduling
(RFC 3744 §5.1, RFC 6638 §2). Asked only where something depends on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from connectors.caldav.dav import Dav, InternalError, Resource
from syncd.model.people import normal_address
from syncd.ports import AuthFailed, Gone, Rejected

_WHO = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:owner/><D:current-user-principal/>'
    "</D:prop></D:propfind>"
)
_PRINCIPAL = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop>'
    "<C:calendar-user-address-set/><C:schedule-inbox-URL/><C:schedule-outbox-URL/><C:calendar-home-set/>"
    "</D:prop></D:propfind>"
)
_ADDRESSES = "C:calendar-user-address-set"
_BOXES = ("C:schedule-inbox-URL", "C:schedule-outbox-URL")
_HOMES = ("C:calendar-home-set", "C:schedule-inbox-URL")


@dataclass(frozen=True)
class Owner:
    """The principal of a calendar, as its server describes it."""

    #: The calendar user addresses that are the employee's, as `calendar_user` spells them.
    addresses: frozenset[str]
    #: The owner, or whoever is signed in, has an inbox or an outbox for scheduling.
    boxes: bool
    #: Where the employee's collections lie, the inbox by itself where it lies elsewhere.
    homes: tuple[str, ...] = ()

    @property
    def mail(self) -> list[str]:
        """Those of the addresses to which mail goes."""
        return sorted(a for a in self.addresses if "@" in a and "/" not in a and ":" not in a)


def calendar_user(value: str, url: str = "") -> str:
    """A calendar user's address (RFC 5545 §3.3.3) as it is compared: an e-mail address without its scheme, one
    on the server `url` as its path, anything else as it is; case-folded, but for paths."""
    text = value.strip()
    if text.startswith("/") or text[:7].lower() in ("http://", "https:/"):
        parts = urlsplit(text)
        if parts.hostname in (None, urlsplit(url).hostname):
            return unquote(parts.path).rstrip("/") + "/"
    return normal_address(text)


def owner_of(dav: Dav, path: str, employee: Collection[str]) -> Owner | None:
    """The owner of the collection; None when its server does not say. A calendar may be somebody else's who
    shares it, or be opened by a service account: of a principal that is not both its owner and signed in
    the addresses count only where one of them is the employee's. Raises Transient, AuthFailed."""
    try:
        found, _ = dav.multistatus("PROPFIND", quote(path), _WHO, "0")
        signed_in = [urlsplit(h).path for r in found for h in r.hrefs("D:current-user-principal")]
        owners = [urlsplit(h).path for r in found for h in r.hrefs("D:owner")] or signed_in
        addresses, boxes, homes = set[str](), False, list[str]()
        for principal in dict.fromkeys([*owners, *signed_in]):
            described = _described(dav, principal)
            if not described or any(r.status != 200 or any(map(r.refuses, _BOXES)) for r in described):
                return None
            boxes = boxes or any(r.has(name) for r in described for name in _BOXES)
            names = _names([principal, *(h for r in described for h in r.hrefs(_ADDRESSES))], dav.url)
            if names & set(employee) or all(
                _names([principal], dav.url) <= _names(them, dav.url) for them in (owners, signed_in)
            ):
                addresses |= names
                homes += [h for r in described for name in _HOMES for h in r.hrefs(name)]
        return Owner(frozenset(addresses), boxes, tuple(homes)) if owners else None
    except (Gone, Rejected, InternalError, ValueError):
        return None


def _described(dav: Dav, principal: str) -> list[Resource]:
    try:
        return dav.multistatus("PROPFIND", principal, _PRINCIPAL, "0")[0]
    except AuthFailed:  # the calendar itself was shown: it is this principal that is nobody else's business
        return []


def _names(hrefs: Iterable[str], url: str) -> set[str]:
    return {calendar_user(href, url) for href in hrefs} - {"", "/"}
