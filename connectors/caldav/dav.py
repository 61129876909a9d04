"""Talks WebDAV: a server's answers become the port's errors, with limits on what an answer may cost in
bytes and seconds. `transport` brings the requests there.

Nothing is retried here: the engine decides when to come back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from lxml import etree

from connectors.caldav.transport import Asked, NoAnswer, SignIn, Transport, Untrusted, offered, transport
from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected, Stale, Transient

#: No answer of a server is longer than this, in bytes; one that is read piece by piece, than that.
LARGEST, LARGEST_LISTING = 64_000_000, 512_000_000
#: Seconds without a word of the server; a whole answer may take this many times as long.
TIMEOUT, WHOLE = 60.0, 5
#: How many redirects are followed.
MOST_HOPS = 5
#: Method, address, body, headers.
_Request = tuple[str, str, bytes, Mapping[str, str]]
NS = {"D": "DAV:", "C": "urn:ietf:params:xml:ns:caldav", "CS": "http://calendarserver.org/ns/"}


def _clark(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{NS[prefix]}}}{local}"


_HREF, _STATUS, _PROPSTAT, _PROP = (_clark(f"D:{name}") for name in ("href", "status", "propstat", "prop"))


class InternalError(Transient):
    """The server answers 500: it may be out of order, or not able to do just this."""


@dataclass(frozen=True)
class Answer:
    """A server's answer that was not an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Resource:
    """One response of a multistatus."""

    href: str
    #: The response's own status; 404 is a deletion, one inside a propstat is a missing property.
    status: int
    #: {namespace}name -> element, of propstats with 200.
    props: Mapping[str, Any]
    #: Names of those that it has and does not show: of propstats with neither 200 nor 404.
    kept_back: frozenset[str] = frozenset()

    @property
    def collection(self) -> bool:
        """True for a folder."""
        types = self.props.get(_clark("D:resourcetype"))
        return isinstance(types, etree._Element) and types.find("D:collection", NS) is not None

    def text(self, name: str) -> str:
        """A property's text, e.g. ``D:getetag``."""
        found = self.props.get(_clark(name))
        return (found.text or "").strip() if found is not None else ""

    def has(self, name: str) -> bool:
        """True when the property is there, empty or not."""
        return _clark(name) in self.props

    def refuses(self, name: str) -> bool:
        """True when the property may be there, and is not shown."""
        return _clark(name) in self.kept_back

    def hrefs(self, name: str) -> list[str]:
        """The addresses in a property."""
        found = self.props.get(_clark(name))
        texts = (e.text or "" for e in found.iter(_HREF)) if isinstance(found, etree._Element) else ()
        return [text.strip() for text in texts if text.strip()]


@dataclass
class Dav:
    """A signed-in connection to one server."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    #: basic, digest or bearer; "" lets the server choose.
    auth: str = ""
    verify: bool | str = True
    #: Other hosts to which a redirect may lead.
    also: tuple[str, ...] = ()
    #: Seconds without a word of the server.
    timeout: float = TIMEOUT
    requests: int = 0
    _transport: Transport | None = field(default=None, repr=False)
    #: A request whose answer will be wanted soon.
    _ahead: tuple[_Request, Asked] | None = field(default=None, repr=False)

    @property
    def transport(self) -> Transport:
        """How requests reach the server; opened when it is first needed."""
        if self._transport is None:
            sign_in = SignIn(self.username, self.password, self.auth)
            self._transport = transport(self.url, sign_in, self.verify, self.timeout)
        return self._transport

    def close(self) -> None:
        """Gives the connections back."""
        self._forget()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def request(self, method: str, href: str, body: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """One request. Raises the port's error for every answer that is none."""
        with self._exchange(method, href, body, headers or {}) as (status, found, chunks):
            answer = Answer(status, found, _whole(chunks))
        page = found.get("content-type", "").partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
        if method in ("PUT", "DELETE") and status == 200 and page and answer.body.strip():
            raise Transient("the answer to a write is a web page: something stands in front of the server")
        return answer

    def multistatus(self, method: str, href: str, body: str, depth: str) -> tuple[list[Resource], str]:
        """A PROPFIND or REPORT: its responses, and the sync-token if it has one."""
        listing = Listing()
        return list(self.listed(listing, method, href, body, depth)), listing.token

    def listed(self, listing: Listing, method: str, href: str, body: str, depth: str) -> Iterator[Resource]:
        """As `multistatus`, response by response: memory does not grow with the collection. At the
        end `listing` has the sync-token."""
        with self._exchange(method, href, body, {"Depth": depth}) as (_, _, chunks):
            yield from _parsed(chunks, listing)

    def ahead(self, method: str, href: str, body: str, depth: str) -> None:
        """Sends a request whose answer `multistatus` will ask for next: the server works on it
        meanwhile. One at a time; a fault shows when the answer is asked for."""
        self._forget()
        request = self._as_sent(method, href, body, {"Depth": depth})
        with suppress(NoAnswer, Untrusted, PortError):
            self._check_host(request[1])
            self._ahead = (request, self._send(request))

    def _forget(self) -> None:
        if self._ahead is not None:
            self._ahead[1].close()
            self._ahead = None

    @contextmanager
    def _exchange(
        self, method: str, href: str, body: str, headers: Mapping[str, str]
    ) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
        """The server's answer, after sign-in and redirects: status, headers, and its body in pieces."""
        request = self._as_sent(method, href, body, headers)
        try:
            for _ in range(MOST_HOPS + 1):
                self._check_host(request[1])
                asked = self._asked(request)
                reply = asked.answer()
                chunks = _limited(reply.chunks, self.timeout)
                try:
                    if reply.status == 401 and self._learn_to_sign_in(reply.headers):
                        _whole(chunks, 1_000_000)
                        continue
                    location = reply.headers.get("location")
                    if reply.status in (301, 302, 307, 308) and location and _may_follow(method, reply.status):
                        _whole(chunks, 1_000_000)
                        request = (method, urljoin(request[1], location), *request[2:])
                        continue
                    if reply.status >= 300:
                        _raise_for(Answer(reply.status, reply.headers, _whole(chunks, 1_000_000)))
                    yield reply.status, reply.headers, chunks
                    for _piece in chunks:  # so that the connection can be used again
                        pass
                    return
                except BaseException:
                    asked.close()
                    raise
            raise Rejected("the server redirects too often")
        except Untrusted:
            raise AuthFailed(f"the certificate of {urlsplit(request[1]).hostname} is not trusted") from None
        except NoAnswer as error:
            raise Transient(f"{urlsplit(request[1]).netloc} does not answer ({error})") from None

    def _as_sent(self, method: str, href: str, body: str, headers: Mapping[str, str]) -> _Request:
        sent = {"Content-Type": "application/xml; charset=utf-8", **headers}
        return method, urljoin(self.url, href), body.encode("utf-8", "surrogatepass"), sent

    def _asked(self, request: _Request) -> Asked:
        """The request on its way: the one that was sent ahead, if it is that."""
        if self._ahead is not None:
            (known, asked), self._ahead = self._ahead, None
            if known == request:
                return asked
            asked.close()
        return self._send(request)

    def _send(self, request: _Request) -> Asked:
        self.requests += 1
        return self.transport.ask(*request)

    def _check_host(self, target: str) -> None:
        """Credentials go to the configured host, and to hosts that the administrator has named."""
        here, there = urlsplit(self.url), urlsplit(target)
        named = there.hostname in self.also and (there.scheme == "https" or here.scheme == "http")
        if _origin(there) != _origin(here) and not named:
            raise Rejected(f"the server points to another host ({there.hostname}): allow it with also: [HOST]")

    def _learn_to_sign_in(self, said: Mapping[str, str]) -> bool:
        """The server says that it wants digest, where the configuration leaves it the choice."""
        if self.auth or not self.username or "digest" not in offered(said.get("www-authenticate", "")):
            return False
        self.auth = "digest"
        self.close()
        return True


@dataclass
class Listing:
    """What stands beside the responses of a multistatus."""

    token: str = ""


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = parts.port
    except ValueError:
        raise Rejected("the server points to an address that cannot be read") from None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _may_follow(method: str, status: int) -> bool:
    """301 and 302 may turn a write into a GET (RFC 9110 §15.4): only reading follows them."""
    return status in (307, 308) or method in ("GET", "OPTIONS", "PROPFIND", "REPORT")


def _limited(chunks: Iterator[bytes], timeout: float) -> Iterator[bytes]:
    """The body in pieces. Raises Transient for one that trickles without end."""
    end = time.monotonic() + WHOLE * timeout
    for chunk in chunks:
        if time.monotonic() > end:
            raise Transient(f"an answer takes longer than {WHOLE * timeout:.0f} seconds")
        yield chunk


def _whole(chunks: Iterator[bytes], most: int = LARGEST) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > most:
            raise Rejected(f"an answer is longer than {most} bytes")
    return bytes(content)


def _parsed(chunks: Iterator[bytes], listing: Listing) -> Iterator[Resource]:
    """The responses of a multistatus as they arrive. Raises Rejected: no entity is ever resolved,
    nothing is fetched, and a text of more than 10 MB is refused by the parser."""
    response, token, root = _clark("D:response"), _clark("D:sync-token"), _clark("D:multistatus")
    parser: Any = etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    depth, size, began = 0, 0, False
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > LARGEST_LISTING:
                raise Rejected(f"an answer is longer than {LARGEST_LISTING} bytes")
            parser.feed(chunk)
            for event, element in parser.read_events():
                depth += 1 if event == "start" else -1
                if not began:
                    began = True
                    _check_root(element, root)
                if event == "end" and depth == 1:
                    if element.tag == response:
                        yield _resource(element)
                    elif element.tag == token:
                        listing.token = (element.text or "").strip()
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
        parser.close()
    except (etree.XMLSyntaxError, ValueError):
        raise _broken(began) from None
    if not began:
        raise Rejected("the server's answer is empty: is the address right?")


def _broken(began: bool) -> PortError:
    """Cut off in the middle: it may come whole the next time."""
    if began:
        return Transient("the server's answer breaks off or is no XML")
    return Rejected("the server's answer is no XML: is the address right?")


def _check_root(element: Any, root: str) -> None:
    if element.getroottree().docinfo.doctype:
        raise Rejected("the server's answer has a DOCTYPE: is the address right?")
    if element.tag != root:
        raise Rejected("this is no CalDAV server: the answer is no multistatus")


def _resource(response: Any) -> Resource:
    href = unquote(urlsplit(response.findtext(_HREF, default="").strip()).path)
    status = _status(response.findtext(_STATUS, default=""))
    props: dict[str, Any] = {}
    kept_back: list[str] = []
    for propstat in response.findall(_PROPSTAT):
        of_all = _status(propstat.findtext(_STATUS, default="HTTP/1.1 200"))
        for prop in (p for part in propstat.findall(_PROP) for p in part):
            if of_all == 200:
                props[prop.tag] = prop if len(prop) else _Text(prop.text)
            elif of_all != 404:
                kept_back.append(prop.tag)
    return Resource(href, status or 200, props, frozenset(kept_back))


@dataclass(frozen=True)
class _Text:
    """A property without elements of its own: its text outlives the tree that it stood in."""

    text: str | None


def _status(line: str) -> int:
    parts = line.split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _raise_for(answer: Answer) -> None:
    if b"valid-sync-token" in answer.body[:20000]:
        raise CursorExpired("the server no longer knows the sync-token")
    raise error_for(answer.status, answer.headers)


def error_for(status: int, headers: Mapping[str, str]) -> PortError:
    """The port's error for a status (design §4)."""
    if status == 401:
        return AuthFailed("the server refuses the sign-in (401)")
    if status in (404, 410):
        return Gone(f"not there ({status})")
    if status == 412:
        return Stale("changed meanwhile (412)")
    if status == 500:
        return InternalError("the server is not ready (500)", _retry_after(headers))
    if status in (408, 423, 425, 429, 502, 503, 504, 507):
        return Transient(f"the server is not ready ({status})", _retry_after(headers))
    if status < 400:
        return Rejected(f"the server redirects what cannot be redirected ({status})")
    return Rejected(f"the server refuses ({status})")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
