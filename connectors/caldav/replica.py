"""One CalDAV collection behind the port.

Follows by sync-collection (RFC 6578); a server without it by CTag, then by the ETags of all. Reads by
calendar-multiget, writes under If-Match, creates under an href made from the key and If-None-Match,
so that a retry finds its own item.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.sax.saxutils import escape as xml

from connectors.caldav.dav import TIMEOUT, Dav, InternalError, Listing, Resource, error_for
from connectors.caldav.lines import BadCalendar, Component, parse, written
from connectors.caldav.owner import Owner, calendar_user, owner_of
from connectors.caldav.people import Whose, hears
from connectors.caldav.probe import probe
from connectors.caldav.read import COMPONENTS, Entry, NoEntry, read
from connectors.caldav.scheduling import Manner, Probed, evidence_of, manner_of
from connectors.caldav.write import apply, new_object
from syncd.model.fields import Fields
from syncd.model.people import normal_address
from syncd.model.record import Record
from syncd.model.span import zone_named
from syncd.ports import (
    Capabilities,
    Change,
    CursorExpired,
    Exists,
    Gone,
    Page,
    PortError,
    Probe,
    Rejected,
    Replica,
    Stale,
    Telling,
    Transient,
    Unsupported,
    Written,
)

#: How many objects one multiget asks for.
BATCH = 100
#: How many changes one page of a feed holds.
PAGE = 1000
_XMLNS = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
_SYNC = (
    '<?xml version="1.0" encoding="utf-8"?><D:sync-collection {ns}><D:sync-token>{token}</D:sync-token>'
    "<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"
)
_MULTIGET = (
    '<?xml version="1.0" encoding="utf-8"?><C:calendar-multiget {ns}><D:prop><D:getetag/><D:getlastmodified/>'
    "<C:calendar-data/></D:prop>{hrefs}</C:calendar-multiget>"
)
_ETAGS = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind {ns}><D:prop><D:getetag/><D:resourcetype/></D:prop></D:propfind>'
)
_CTAG = '<?xml version="1.0" encoding="utf-8"?><D:propfind {ns}><D:prop><CS:getctag/></D:prop></D:propfind>'
_BY_UID = (
    '<?xml version="1.0" encoding="utf-8"?><C:calendar-query {ns}><D:prop><D:getetag/><C:calendar-data/></D:prop>'
    '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="{component}"><C:prop-filter name="UID">'
    '<C:text-match collation="i;octet">{uid}</C:text-match></C:prop-filter></C:comp-filter></C:comp-filter>'
    "</C:filter></C:calendar-query>"
)


class CaldavReplica:
    """A calendar (events) or task list (to-dos)."""

    def __init__(
        self,
        dav: Dav,
        path: str,
        *,
        kind: str = "event",
        read_only: bool = False,
        addresses: Sequence[str] = (),
        probed: Probed | None = None,
        fields: Collection[str] | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        """`addresses`: the employee's, the first one the CRM's; `zone`: in which the employee reads days; `probed`:
        what a probe has found of the server; `fields`: those that may be written (None: all)."""
        self.dav = dav
        self.path = unquote(urlsplit(path).path).rstrip("/") + "/"
        self.kind = kind
        self._capabilities = Capabilities(kinds=frozenset({kind}), writable=not read_only)
        self._whose = Whose(tuple(normal_address(a) for a in addresses), self._is_owner, zone)
        self._probed = probed
        self._fields = frozenset(fields) if fields is not None else None
        self._manner: Manner | None = None
        self._owner: tuple[Owner | None] | None = None
        #: Stands in each cursor, so that another calendar's is never taken for this one's.
        self._here = hashlib.blake2b(urljoin(dav.url, self.path).encode(), digest_size=6).hexdigest()

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def requests(self) -> int:
        return self.dav.requests

    def close(self) -> None:
        """Gives the connection back."""
        self.dav.close()

    # -- following ---------------------------------------------------------------------------------------

    def changes(self, cursor: str) -> Iterator[Page]:
        self._manner = None  # another pass, and the server may have been told to schedule meanwhile
        try:
            yield from self._changes(cursor)
        except Gone as error:
            raise Gone(f"there is no calendar {self.path}: {error}") from None

    def _changes(self, cursor: str) -> Iterator[Page]:
        how, here, token = ("", self._here, "") if not cursor else cursor.split(" ", 2)
        if here != self._here:
            raise CursorExpired("this is another calendar than the one that was read")
        if how == "ctag":
            yield from self._unless_changed(token)
            return
        first, whole = True, not cursor
        while True:
            following, truncated = Listing(), False
            body = _SYNC.format(ns=_XMLNS, token=xml(token))
            part: list[Change] = []
            try:
                for resource in self.dav.listed(following, "REPORT", quote(self.path), body, "1"):
                    truncated |= resource.status == 507
                    if self._is_item(resource):
                        part.append(self._change(resource))
                    if len(part) >= PAGE:  # what has come is announced; the place is kept until the token comes
                        yield Page(part, cursor)
                        part, first = [], False
            except (Rejected, Gone, Stale, InternalError) as error:
                if not first or (cursor and isinstance(error, Gone)):
                    raise
                if cursor:
                    raise CursorExpired("the server refuses its own sync-token") from None
                yield from self._all_etags()
                return
            if not following.token:
                if cursor:
                    raise CursorExpired("the server gives no new sync-token")
                yield from self._all_etags()
                return
            place = f"sync {self._here} {following.token}"
            yield Page(part, place, complete=whole and not truncated)
            if not truncated:
                return
            if following.token == token:
                raise Transient("the server cuts its answer and gives no way on")
            token, cursor, first = following.token, place, False

    def _is_item(self, resource: Resource) -> bool:
        return resource.status != 507 and resource.href.startswith(self.path) and resource.href != self.path

    def _change(self, resource: Resource) -> Change:
        if resource.status in (404, 410):
            return Change(resource.href, gone=True)
        etag = resource.text("D:getetag")
        return Change(resource.href, etag if _strong(etag) else "", kind=self.kind)

    def _all_etags(self) -> Iterator[Page]:
        """A server without sync-collection: all ETags, and the CTag that says when to ask again."""
        tag, part = self._ctag(), list[Change]()
        for resource in self.dav.listed(Listing(), "PROPFIND", quote(self.path), _ETAGS.format(ns=_XMLNS), "1"):
            if self._is_item(resource) and resource.status == 200 and not resource.collection:
                part.append(self._change(resource))
            if len(part) >= PAGE:
                yield Page(part, "")
                part = []
        yield Page(part, f"ctag {self._here} {tag}", complete=True)

    def _unless_changed(self, known: str) -> Iterator[Page]:
        tag = self._ctag()
        if not tag or tag != known:
            raise CursorExpired("the calendar has changed; its server keeps no list of changes")
        yield Page([], f"ctag {self._here} {tag}")

    def _ctag(self) -> str:
        found, _ = self.dav.multistatus("PROPFIND", quote(self.path), _CTAG.format(ns=_XMLNS), "0")
        return found[0].text("CS:getctag") if found else ""

    # -- reading -----------------------------------------------------------------------------------------

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        found: dict[str, Record | PortError] = {}
        for start in range(0, len(refs), BATCH):
            part = refs[start : start + BATCH]
            resources, _ = self.dav.multistatus("REPORT", quote(self.path), _multiget(part), "1")
            by_href = {r.href: r for r in resources}
            for ref in part:
                found[ref] = self._record(ref, by_href.get(ref))
        return found

    def expect(self, refs: Sequence[str]) -> None:
        if refs:
            self.dav.ahead("REPORT", quote(self.path), _multiget(refs[:BATCH]), "1")

    def _record(self, ref: str, resource: Resource | None) -> Record | PortError:
        if resource is None or resource.status in (404, 410):
            return Gone("not there (404)")
        if resource.status >= 400:
            fault = error_for(resource.status, {})
            if not isinstance(fault, Transient):
                fault = Rejected(f"the server does not show it ({resource.status})")
            return fault
        data = resource.text("C:calendar-data")
        if not data:
            return Rejected("the server shows no content")
        try:
            entry = read(data, self._whose)
        except NoEntry:
            return Gone(f"no {self.kind}")
        except BadCalendar as error:
            return Rejected(str(error))
        except (ValueError, OverflowError, RecursionError) as error:
            return Rejected(f"cannot be read ({type(error).__name__})")
        if entry.kind != self.kind:
            return Gone(f"no {self.kind}")
        return self._as_record(ref, resource, entry, data)

    def _as_record(self, ref: str, resource: Resource, entry: Entry, data: str) -> Record:
        version = resource.text("D:getetag")
        modified = entry.modified
        if resource.text("D:getlastmodified"):
            try:
                modified = parsedate_to_datetime(resource.text("D:getlastmodified"))
            except (ValueError, TypeError):
                modified = entry.modified
        stem = ref.removeprefix(self.path).removesuffix(".ics")
        return Record(
            ref=ref,
            version=version if _strong(version) else _hashed(data),
            kind=entry.kind,
            fields=entry.fields,
            uid=entry.uid,
            key=stem,
            owner=entry.owner,
            modified=modified,
            guests=entry.guests,
            native=data,
        )

    def find(self, key: str, uid: str) -> Record | None:
        ref = self._href(key)
        found = self.fetch([ref])[ref]
        if isinstance(found, Record):
            return found
        if not isinstance(found, Gone | Rejected):
            raise found
        component = {"event": "VEVENT", "todo": "VTODO"}[self.kind]
        body = _BY_UID.format(ns=_XMLNS, component=component, uid=xml(uid))
        resources, _ = self.dav.multistatus("REPORT", quote(self.path), body, "1")
        for resource in resources:
            record = self._record(resource.href, resource)
            if isinstance(record, Record) and record.uid == uid:
                return record
        return None

    # -- writing -----------------------------------------------------------------------------------------

    def _href(self, key: str) -> str:
        return f"{self.path}{key}.ics"

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        root = new_object(kind, uid, fields, datetime.now(UTC))
        ref = self._href(key)
        try:
            version = self._put(ref, written(root), {"If-None-Match": "*"})
        except Stale:
            raise Exists("an item with this key is there already (412)") from None
        except Rejected as error:
            if "(409)" in str(error):  # the UID stands elsewhere in this calendar (lesson 27)
                raise Exists("an item with this UID is there already (409)") from None
            raise
        return Written(ref, version)

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        root = parse(str(record.native), self._whose.zone)
        headers = {} if tell else self._quiet(root)
        apply(root, record.fields, changes, datetime.now(UTC), fields=self._fields)
        headers |= self._expecting(record)
        version = self._put(record.ref, written(root), headers)
        more = record.kind == "todo" and "status" in changes and "percent" not in changes
        return Written(record.ref, None if more else version)

    def _put(self, ref: str, text: str, headers: Mapping[str, str]) -> str | None:
        """Writes the object; None when the server changed what it was given (RFC 4791 §5.3.4)."""
        sent = {"Content-Type": "text/calendar; charset=utf-8", **headers}
        etag = self.dav.request("PUT", quote(ref), text, sent).headers.get("etag", "")
        return etag if _strong(etag) else None

    def delete(self, record: Record, *, tell: bool = False) -> None:
        headers = {} if tell else self._quiet(parse(str(record.native)))
        headers |= self._expecting(record)
        self.dav.request("DELETE", quote(record.ref), "", headers)

    def _expecting(self, record: Record) -> dict[str, str]:
        """The condition of a write. A server without ETags, or with weak ones that no condition can
        name (RFC 9110 §13.1.1), is asked for the content once more, so that little can come between."""
        if _strong(record.version):
            return {"If-Match": record.version}
        found = self.fetch([record.ref])[record.ref]
        if isinstance(found, PortError):
            raise found
        if found.version != record.version:
            raise Stale("changed meanwhile")
        return {}

    def _is_owner(self, value: str) -> bool:
        """Whether the server says that this calendar user is the owner of the calendar; it is asked once."""
        owner = self._owner[0] if self._owner is not None else self.owner()
        return owner is not None and calendar_user(value, self.dav.url) in owner.addresses

    # -- guests ------------------------------------------------------------------------------------------

    def owner(self) -> Owner | None:
        """Whose calendar it is, asked anew. Raises Transient, AuthFailed."""
        self._owner = (owner_of(self.dav, self.path, self._whose.addresses),)
        return self._owner[0]

    def probe(self, guest: Replica, *, aloud: str, quiet: str, wait: float) -> Probe:
        if not isinstance(guest, CaldavReplica) or urlsplit(guest.dav.url).netloc != urlsplit(self.dav.url).netloc:
            raise Rejected("the two calendars are kept at different servers")
        names = (self._whose.name, guest._whose.name)
        evidence = evidence_of(self.dav, self.path, self.owner())
        return probe(self, guest, evidence, aloud=aloud, quiet=quiet, wait=wait, prefer=names)

    def telling(self) -> Telling:
        return self._telling().telling

    def _telling(self) -> Manner:
        if self._manner is None:
            self._manner = manner_of(evidence_of(self.dav, self.path, self.owner()), self._probed)
        return self._manner

    def _quiet(self, root: Component) -> dict[str, str]:
        """The headers with which nobody hears of a write into the object. Raises Unsupported where the server
        would tell its guests."""
        if not hears(root.components(*COMPONENTS), self._whose):
            return {}
        manner = self._telling()
        if manner.telling is Telling.TELLS:
            raise Unsupported("the server would tell the guests")
        return dict(manner.quiet)


def _multiget(refs: Sequence[str]) -> str:
    hrefs = "".join(f"<D:href>{xml(quote(ref))}</D:href>" for ref in refs)
    return _MULTIGET.format(ns=_XMLNS, hrefs=hrefs)


def _strong(version: str) -> bool:
    """True for an ETag that a condition can name."""
    return version.startswith('"')


def _hashed(text: str) -> str:
    """What stands for the version of an object without one."""
    return f"content {hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def connector(options: Mapping[str, Any]) -> CaldavReplica:
    """A collection of a configuration: url, username, password, auth, calendar, kind, read-only, ca, also, timeout;
    addresses and zone: the employee's; fields: those that the mapping writes; probed: what a probe has found of the
    server (`Probed`), or nothing."""
    url = str(options["url"])
    dav = Dav(
        url,
        username=str(options.get("username", "")),
        password=str(options.get("password", "")),
        auth=str(options.get("auth", "")),
        verify=options.get("ca") or options.get("verify", True),
        also=tuple(options.get("also") or ()),
        timeout=float(options.get("timeout") or TIMEOUT),
    )
    path = str(options.get("calendar") or urlsplit(url).path)
    probed = options.get("probed")
    return CaldavReplica(
        dav,
        path,
        kind=str(options.get("kind", "event")),
        read_only=bool(options.get("read-only")),
        addresses=tuple(options.get("addresses") or filter(None, [options.get("address")])),
        fields=options.get("fields"),
        zone=zone_named(str(options.get("zone", ""))) or UTC,
        probed=Probed(str(probed["identity"]), bool(probed["quiet"])) if probed else None,
    )
