"""How requests reach a server: plainly over the standard library's HTTP client, or through the caldav
library's session where the plain way is not enough (digest sign-in, a proxy in the environment).

Both send exactly one request and follow nothing: redirects, limits and errors are `dav`'s. The plain
one exists because it costs a tenth (docs/dependencies.md) and because it can *ask ahead*: send a
request now and read its answer later, while the server works on it.
"""

from __future__ import annotations

import base64
import http.client
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

#: Bytes that are read at a time.
PIECE = 65536
#: No more idle connections than this are kept to one server.
MOST_IDLE = 16
#: What stands in an address as it is (RFC 3986 §2.2), and the sign of what is escaped already.
_SAFE = "/?:@!$&'()*+,;=~%-._"
#: Headers of one value, as far as they are read here; every other one is a list or may be read as one.
_NO_LISTS = frozenset({"content-length", "content-type", "date", "etag", "last-modified", "location", "retry-after"})
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
#: scheme, host, port
Origin = tuple[str, str, int | None]
#: May be sent once more when a connection that was kept open turns out to be dead: they change nothing.
_READING = ("GET", "OPTIONS", "PROPFIND", "REPORT")


class NoAnswer(Exception):
    """The server cannot be reached, hangs, or ends an answer before its end; the message names the
    kind of fault only."""


class Dropped(NoAnswer):
    """The connection was closed before a word of the answer came."""


class Untrusted(Exception):
    """The server's certificate does not hold."""


@dataclass
class Reply:
    """An answer whose body is still to be read."""

    status: int
    #: Lower-case name -> value, as `joined` makes them.
    headers: Mapping[str, str]
    #: The body in pieces. Raises NoAnswer.
    chunks: Iterator[bytes]


class Asked(Protocol):
    """A request that is on its way."""

    def answer(self) -> Reply:
        """Waits for the answer's head. Raises NoAnswer, Untrusted."""

    def close(self) -> None:
        """Ends it: what was not read is not wanted."""


class Transport(Protocol):
    """Sends requests to any host that it is told to."""

    def ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Sends a request. Raises NoAnswer, Untrusted."""

    def close(self) -> None:
        """Gives the connections back."""


@dataclass(frozen=True)
class SignIn:
    """Who asks, and how."""

    username: str = ""
    password: str = field(default="", repr=False)
    #: basic, digest, bearer; "" is basic until the server asks for something else.
    scheme: str = ""


def transport(url: str, sign_in: SignIn, verify: bool | str, timeout: float) -> Transport:
    """The way that this server needs. `verify` is False, True, or a file of authorities."""
    if sign_in.scheme == "digest" or _proxied(url):
        return Library(url, sign_in, verify, timeout)
    return Plain(sign_in, verify, timeout)


def _proxied(url: str) -> bool:
    parts = urlsplit(url)
    proxies = getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.hostname or "")


def joined(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header lines by lower-case name. A list may come in several lines, which are one list in their order
    (RFC 9110 §5.2); of what is no list the last line counts."""
    found: dict[str, str] = {}
    for name, value in ((n.lower(), v.strip()) for n, v in lines):
        before = found.get(name) if name not in _NO_LISTS else None
        found[name] = f"{before}, {value}" if before and value else before or value
    return found


def listed(value: str) -> list[str]:
    """The elements of a list header, but for empty ones (RFC 9110 §5.6.1)."""
    return [part.strip() for part in value.split(",") if part.strip()]


def offered(challenge: str) -> set[str]:
    """The schemes of a WWW-Authenticate header, in lower case (RFC 9110 §11.6.1)."""
    elements = listed(_QUOTED.sub("", challenge))
    first = [element.split()[0] for element in elements]
    return {word.lower() for word in first if "=" not in word}


# -- plain ------------------------------------------------------------------------------------------------


class Plain:
    """Connections of the standard library, kept open and used again."""

    def __init__(self, sign_in: SignIn, verify: bool | str, timeout: float) -> None:
        self._headers = {"User-Agent": "syncd", "Accept": "*/*", **_authorization(sign_in)}
        self._pool = _Pool.shared(verify, timeout)

    def ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Asked:
        parts = urlsplit(url)
        target = quote(parts.path + (f"?{parts.query}" if parts.query else ""), safe=_SAFE) or "/"
        origin = (parts.scheme, parts.hostname or "", parts.port)
        sent = {**self._headers, **headers, "Content-Length": str(len(body))}
        return _PlainAsked(self._pool, origin, method, target, body, sent)

    def close(self) -> None:
        self._pool.leave()


class _Pool:
    """Idle connections of all who talk alike: each request signs in by itself, so ten thousand
    mailboxes at one server need no more connections than there are workers. Thread-safe."""

    _all: ClassVar[dict[tuple[bool | str, float], _Pool]] = {}
    _lock = threading.Lock()

    def __init__(self, verify: bool | str, timeout: float) -> None:
        self._key = (verify, timeout)
        self._users = 0
        self._context: ssl.SSLContext | None = None
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}

    @classmethod
    def shared(cls, verify: bool | str, timeout: float) -> _Pool:
        """The pool of those who trust and wait alike."""
        with cls._lock:
            pool = cls._all.setdefault((verify, timeout), cls(verify, timeout))
            pool._users += 1
            return pool

    def leave(self) -> None:
        """The last one closes the connections."""
        with self._lock:
            self._users -= 1
            left = [] if self._users else [c for kept in self._idle.values() for c in kept]
            if not self._users:
                self._idle.clear()
                self._all.pop(self._key, None)
        for connection in left:
            connection.close()

    def take(self, origin: Origin, *, fresh: bool) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was used before."""
        while not fresh:
            with self._lock:
                kept = self._idle.get(origin)
                connection = kept.pop() if kept else None
            if connection is None:
                break
            if connection.sock is not None and _silent(connection.sock):
                return connection, True
            connection.close()
        scheme, host, port = origin
        verify, timeout = self._key
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls(verify)), False
        return http.client.HTTPConnection(host, port, timeout=timeout), False

    def keep(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        """A connection whose answer was read to its end."""
        with self._lock:
            kept = self._idle.setdefault(origin, [])
            if self._users and connection.sock is not None and len(kept) < MOST_IDLE:
                kept.append(connection)
                return
        connection.close()

    def _tls(self, verify: bool | str) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
            if verify is False:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context


def _silent(sock: socket.socket) -> bool:
    """False when its server has closed it, or talks out of turn."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _authorization(sign_in: SignIn) -> dict[str, str]:
    if sign_in.scheme == "bearer":
        return {"Authorization": f"Bearer {sign_in.password}"}
    if sign_in.username:
        pair = base64.b64encode(f"{sign_in.username}:{sign_in.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


class _PlainAsked:
    def __init__(
        self, home: _Pool, origin: Origin, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self._home, self._origin = home, origin
        self._request = (method, target, body, headers)
        self._read = False
        self._connection, self._used = home.take(origin, fresh=False)
        try:
            self._send()
        except Dropped:
            self._once_more()

    def _send(self) -> None:
        method, target, body, headers = self._request
        with _faults(self._connection):
            self._connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                self._connection.putheader(name, value)
            self._connection.endheaders(body or None)

    def _once_more(self) -> None:
        """A connection that had been idle may be dead without anybody having said so."""
        if not self._used or self._request[0] not in _READING:
            raise
        self._connection, self._used = self._home.take(self._origin, fresh=True)
        self._send()

    def answer(self) -> Reply:
        try:
            with _faults(self._connection):
                got = self._connection.getresponse()
        except Dropped:
            self._once_more()
            with _faults(self._connection):
                got = self._connection.getresponse()
        return Reply(got.status, joined(got.getheaders()), self._chunks(got))

    def _chunks(self, got: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            with _faults(self._connection):
                while piece := got.read1(PIECE):
                    yield piece
                if got.length:
                    raise http.client.IncompleteRead(b"", got.length)
            self._read = True
            got.close()
        finally:
            if self._read and not got.will_close:
                self._home.keep(self._origin, self._connection)
            else:
                self._connection.close()

    def close(self) -> None:
        if not self._read:
            self._connection.close()


class _faults:
    """Whatever goes wrong on a connection ends it, in the words of this module."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        self._connection.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Untrusted from None
        if isinstance(error, ConnectionResetError | BrokenPipeError | http.client.RemoteDisconnected):
            raise Dropped(type(error).__name__) from None
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            raise NoAnswer(type(error).__name__) from None


# -- the caldav library -----------------------------------------------------------------------------------


class Library:
    """The caldav library's client: every sign-in that it knows, and proxies."""

    def __init__(self, url: str, sign_in: SignIn, verify: bool | str, timeout: float) -> None:
        from caldav.davclient import DAVClient

        self._timeout, self._verify = timeout, verify
        self._client: Any = DAVClient(url, auth=_library_auth(sign_in), ssl_verify_cert=verify)

    def ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Asked:
        return _LibraryAsked(self, method, url, body, headers)

    def close(self) -> None:
        self._client.close()

    def send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """The library's answer."""
        return self._client.session.request(
            method,
            url,
            data=body or None,
            headers=dict(headers),
            auth=self._client.auth,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=False,
            stream=True,
        )


def _library_auth(sign_in: SignIn) -> Any:
    """What signs the library's requests, None for nobody. Made here: caldav 2.0.1 makes none of a scheme that it is
    told, only of one that a server asks for. Names and passwords are UTF-8 (RFC 7617 §2.1, RFC 7616 §4)."""
    from requests.auth import HTTPBasicAuth, HTTPDigestAuth

    from caldav.requests import HTTPBearerAuth

    if sign_in.scheme == "bearer":
        return HTTPBearerAuth(sign_in.password)
    if sign_in.scheme == "digest":
        return HTTPDigestAuth(sign_in.username, sign_in.password)
    if sign_in.username:
        return HTTPBasicAuth(sign_in.username.encode(), sign_in.password.encode())
    return None


class _LibraryAsked:
    """It is sent when its answer is wanted: the library cannot wait."""

    def __init__(self, home: Library, *request: Any) -> None:
        self._home, self._request = home, request
        self._found: Any = None

    def answer(self) -> Reply:
        import requests

        try:
            self._found = self._home.send(*self._request)
        except requests.exceptions.SSLError:
            raise Untrusted from None
        except requests.exceptions.RequestException as error:
            raise NoAnswer(type(error).__name__) from None
        lines = ((str(k), str(v)) for k, v in self._found.raw.headers.items())  # its own headers join all of them
        return Reply(int(self._found.status_code or 0), joined(lines), self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        import requests

        try:
            yield from self._found.iter_content(PIECE)
        except requests.exceptions.RequestException as error:
            raise NoAnswer(type(error).__name__) from None

    def close(self) -> None:
        if self._found is not None:
            self._found.close()
