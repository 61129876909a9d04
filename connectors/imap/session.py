"""One connection to an IMAP server: sign-in, the commands that we send, and errors in the port's words.

The only module that touches imaplib beneath imapclient: for what imapclient does not parse (VANISHED of
RFC 7162, LIST-STATUS of RFC 5819) and to bound what a server may make us hold.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError, ProtocolError
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.response_parser import parse_fetch_response, parse_response
from imapclient.tls import IMAP4_TLS

from syncd.ports import AuthFailed, PortError, Rejected, Transient

#: No answer to one of our questions is longer, in octets: we ask for pieces (`PIECE`).
LARGEST = 32 * 1024 * 1024
#: Response codes that say "not now" or "not you" (RFC 5530, RFC 9051 §7.1).
_LATER = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "THROTTLED", "OVERQUOTA")
_REFUSED = ("AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN")
_SECONDS = re.compile(r"(?:retry|wait|try again)\D{0,20}(\d{1,5}) ?(s|sec|m|min)", re.IGNORECASE)


@dataclass(frozen=True)
class SignIn:
    """How to reach a mailbox, and as whom."""

    url: str
    username: str
    #: Password, or access token; asked for at each sign-in, as tokens run out.
    secret: Callable[[], str]
    #: plain, login, xoauth2, oauthbearer; "" for whatever the server offers for a password.
    auth: str = ""
    #: Whose mailbox, when `username` is a service account; "" for the account's own.
    mailbox: str = ""
    #: How a master user is named: "sasl" (authorization identity, RFC 4616) or a pattern such as
    #: "{user}*{master}" that makes one name of both.
    master: str = "sasl"
    ca: str | None = None
    timeout: float = 60.0


class _TooLarge(ValueError):
    """An answer larger than what we asked for (imaplib takes errors of its own kind for refusals)."""


class _Bounded:
    """Readers that refuse what nobody asked for."""

    def read(self, size: int) -> bytes:
        if size > LARGEST:
            raise _TooLarge
        return super().read(size)  # type: ignore[misc,no-any-return]

    def readline(self) -> bytes:
        file = getattr(self, "_file", None) or self.file  # type: ignore[attr-defined]
        line = file.readline(LARGEST + 1)
        if len(line) > LARGEST:
            raise _TooLarge
        return line  # type: ignore[no-any-return]


class _Plain(_Bounded, IMAP4WithTimeout):  # type: ignore[misc]
    pass


class _Tls(_Bounded, IMAP4_TLS):  # type: ignore[misc]
    pass


class _Client(IMAPClient):  # type: ignore[misc]
    def _create_IMAP4(self) -> imaplib.IMAP4:
        seconds = getattr(self._timeout, "connect", None)
        if self.ssl:
            return _Tls(self.host, self.port, self.ssl_context, seconds)
        return _Plain(self.host, self.port, seconds)


@dataclass
class Session:
    """A connection that opens when it is needed, and anew when it was lost. Not for two threads at once."""

    sign_in: SignIn
    requests: int = 0
    _client: _Client | None = None
    _selected: tuple[str, bool] | None = None
    qresync: bool = False
    _keywords: frozenset[str] = frozenset()
    _validity: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # -- the connection ------------------------------------------------------------------------------------

    @property
    def client(self) -> _Client:
        """The open connection. Raises PortErrors."""
        if self._client is None:
            with errors():
                self._client = connect(self.sign_in)
                self._selected = None
                self.qresync = False
                if self._client.has_capability("QRESYNC") and self._client.has_capability("ENABLE"):
                    self.qresync = b"QRESYNC" in self._client.enable("QRESYNC")
        return self._client

    def has(self, capability: str) -> bool:
        """True when the server says that it can."""
        with self.talking() as client:
            return bool(client.has_capability(capability))

    def close(self) -> None:
        """Ends the connection; the next command opens another."""
        client, self._client, self._selected = self._client, None, None
        if client is not None:
            try:
                client.socket().settimeout(5)
                client.logout()
            except (IMAPClientError, OSError, ValueError):
                _drop(client)

    @contextmanager
    def talking(self) -> Iterator[_Client]:
        """The connection for one exchange; after an error that leaves it in doubt it is dropped."""
        with self._lock:
            try:
                with errors():
                    yield self.client
            except Rejected:
                raise
            except BaseException:
                client, self._client, self._selected = self._client, None, None
                if client is not None:
                    _drop(client)
                raise

    @property
    def is_open(self) -> bool:
        """True when a connection is there; the server may have ended it meanwhile."""
        return self._client is not None

    def leave(self) -> None:
        """Leaves the folder that is open: what STATUS says of that one may be old (RFC 3501 §6.3.10)."""
        if self._client is None or self._selected is None:
            return
        with suppress(Rejected), self.talking() as client:  # it may be gone, or have another name
            self.requests += 1
            self._selected = None
            if client.has_capability("UNSELECT"):
                client.unselect_folder()
            else:
                client.noop()

    def forget_selected(self) -> None:
        """Somebody opened a folder past `select`."""
        self._selected = None

    def takes_keyword(self, keyword: str) -> bool:
        """True when the folder that is open lets this keyword be set (PERMANENTFLAGS, RFC 3501 §7.1)."""
        return "\\*" in self._keywords or keyword.lower() in self._keywords

    # -- commands ------------------------------------------------------------------------------------------

    def select(self, folder: str, *, writing: bool = False) -> dict[str, int]:
        """Opens a folder, to read unless `writing`; what the server says of it. Raises Gone-like Rejected."""
        with self.talking() as client:
            self.requests += 1
            answer = client.select_folder(folder, readonly=not writing)
            self._selected = (folder, writing)
            self._validity = int(answer.get(b"UIDVALIDITY", 0))
            permanent = answer.get(b"PERMANENTFLAGS", ())
            self._keywords = frozenset(f.decode("ascii", "replace").lower() for f in permanent)
        return {k.decode(): v for k, v in answer.items() if isinstance(v, int)}

    def open(self, folder: str, *, writing: bool = False) -> int:
        """As `select`, unless it is open already; returns the folder's UIDVALIDITY."""
        if self._client is None or self._selected not in ((folder, True), (folder, writing)):
            self.select(folder, writing=writing)
        return self._validity

    def fetch(self, uids: str, items: Sequence[str], modifier: str = "") -> dict[int, dict[bytes, Any]]:
        """UID FETCH: UID -> item -> value. `uids` is a sequence set."""
        with self.talking() as client:
            self.requests += 1
            arguments = [uids, f"({' '.join(items)})", *([f"({modifier})"] if modifier else [])]
            client._imap.untagged_responses.pop("VANISHED", None)
            kind, data = client._imap.uid("FETCH", *arguments)
            if kind != "OK":
                raise _refusal("FETCH", data)
            return dict(parse_fetch_response(_shortened(data) or [None], normalise_times=False))

    def vanished(self) -> list[tuple[int, int]]:
        """Ranges of UIDs that the last FETCH with VANISHED called gone (RFC 7162 §3.2.10)."""
        with self.talking() as client:
            _, data = client._imap.response("VANISHED")
        return [r for line in data or () if line for r in ranges(line.decode("ascii", "replace").split()[-1])]

    def search(self, *criteria: str) -> list[tuple[int, int]]:
        """UID SEARCH: ranges of UIDs (RFC 4731 where the server can)."""
        with self.talking() as client:
            self.requests += 1
            compact = client.has_capability("ESEARCH")
            kind, data = client._imap.uid("SEARCH", *(("RETURN", "(ALL)") if compact else ()), *criteria)
            if kind != "OK":
                raise _refusal("SEARCH", data)
            extended = client._imap.response("ESEARCH")[1] if compact else None
        if compact and extended and extended[0]:
            found = re.search(rb"ALL ([\d,:]+)", extended[-1])
            return ranges(found[1].decode()) if found else []
        numbers = sorted({int(n) for line in data if line for n in line.split() if n.isdigit()})
        return runs(numbers)

    def status(self, folders: Sequence[str] | None) -> dict[str, dict[str, int]]:
        """Folder -> its numbers; of all folders in one round trip where the server can (RFC 5819)."""
        with self.talking() as client:
            wanted = ["UIDVALIDITY", "UIDNEXT", "MESSAGES"]
            if client.has_capability("CONDSTORE"):
                wanted.append("HIGHESTMODSEQ")
            found = {}
            for folder in folders or ():
                self.requests += 1
                answer = client.folder_status(folder, wanted)
                found[folder] = {k.decode(): int(v) for k, v in answer.items()}
            return found

    def listed(self) -> tuple[list[tuple[frozenset[str], str, str]], dict[str, dict[str, int]]]:
        """All folders: (attributes, delimiter, name), and their numbers when the server tells both at once."""
        with self.talking() as client:
            self.requests += 1
            if not client.has_capability("LIST-STATUS"):
                rows = client.list_folders()
                return [(_attributes(a), _text(d), n) for a, d, n in rows], {}
            modseq = " HIGHESTMODSEQ" if client.has_capability("CONDSTORE") else ""
            returns = f"(SPECIAL-USE STATUS (UIDVALIDITY UIDNEXT MESSAGES{modseq}))"
            imap = client._imap
            for name in ("LIST", "STATUS"):
                imap.untagged_responses.pop(name, None)
            imaplib.Commands.setdefault("LIST", ("AUTH", "SELECTED"))
            kind, data = imap._simple_command("LIST", '""', '"*"', "RETURN", returns)
            if kind != "OK":
                raise _refusal("LIST", data)
            _, rows = imap.response("LIST")
            _, numbers = imap.response("STATUS")
        folders = []
        for attributes, delimiter, name in _grouped(rows, 3):
            folders.append((_attributes(attributes or ()), _text(delimiter), _name(name)))
        states = {}
        for name, items in _grouped(numbers, 2):
            pairs = zip(items[::2], items[1::2], strict=False)
            states[_name(name)] = {k.decode().upper(): int(v) for k, v in pairs}
        return folders, states


#: As servers repeat the list of header fields in each answer: read piece by piece it takes longer than all else.
_FIELDS = re.compile(rb"BODY\[HEADER\.FIELDS \([^()]*\)\](?:<\d+>)?", re.IGNORECASE)


def _shortened(data: Sequence[Any]) -> list[Any]:
    """FETCH data with each list of header fields called HEADER1, HEADER2, ..."""
    made: list[Any] = []
    number = 0

    def name(_: re.Match[bytes]) -> bytes:
        nonlocal number
        number += 1
        return b"HEADER%d" % number

    for piece in data:
        if isinstance(piece, tuple):
            made.append((_FIELDS.sub(name, piece[0]), *piece[1:]))
        elif piece is not None:
            made.append(_FIELDS.sub(name, piece))
    return made


def _grouped(rows: Any, width: int) -> Iterator[tuple[Any, ...]]:
    flat = parse_response([r for r in rows or () if r is not None]) if rows and rows != [None] else ()
    for at in range(0, len(flat) - width + 1, width):
        yield tuple(flat[at : at + width])


def _attributes(found: Any) -> frozenset[str]:
    return frozenset(_text(a).lower() for a in found)


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


def _name(value: Any) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    try:
        return str(decode_utf7(raw))
    except (UnicodeDecodeError, ValueError):
        return raw.decode("utf-8", "replace")


def ranges(text: str) -> list[tuple[int, int]]:
    """A sequence set as ranges, both ends included."""
    found = []
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        if first.isdigit() and (last or first).isdigit():
            a, b = int(first), int(last or first)
            found.append((min(a, b), max(a, b)))
    return sorted(found)


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Sorted numbers as ranges."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def as_set(several: Sequence[tuple[int, int]]) -> str:
    """Ranges as a sequence set."""
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in several)


# -- opening ---------------------------------------------------------------------------------------------------


def connect(sign_in: SignIn) -> _Client:
    """A connection that is signed in. Raises what `errors` translates."""
    parts = urlsplit(sign_in.url)
    tls = parts.scheme == "imaps"
    context = ssl.create_default_context(cafile=sign_in.ca)
    client = _Client(
        parts.hostname or "",
        parts.port or (993 if tls else 143),
        ssl=tls,
        ssl_context=context,
        timeout=SocketTimeout(min(sign_in.timeout, 30), sign_in.timeout),
    )
    try:
        client.socket().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not tls and not local(parts.hostname or ""):
            if not client.has_capability("STARTTLS"):
                raise AuthFailed("the server offers no encryption: the password would go in the clear")
            client.starttls(context)
        _sign_in(client, sign_in)
        client.capabilities()  # what is offered after the sign-in counts
    except BaseException:
        _drop(client)
        raise
    return client


def local(host: str) -> bool:
    """This machine itself: nobody listens on the way."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _sign_in(client: _Client, sign_in: SignIn) -> None:
    secret, user, mailbox = sign_in.secret(), sign_in.username, sign_in.mailbox
    offered = {c.decode().removeprefix("AUTH=").lower() for c in client.capabilities() if c.startswith(b"AUTH=")}
    how = sign_in.auth
    if mailbox and sign_in.master != "sasl":
        user = sign_in.master.replace("{user}", mailbox).replace("{master}", user)
        mailbox = ""
    if how == "xoauth2":
        client.oauth2_login(mailbox or user, secret)
    elif how == "oauthbearer":
        client.oauthbearer_login(mailbox or user, secret)
    elif how == "plain" or mailbox or (not how and not user.isascii()) or (not how and not secret.isascii()):
        client.plain_login(user, secret, mailbox or None)
    elif how == "login" or not client.has_capability("LOGINDISABLED"):
        client.login(user, secret)
    elif "plain" in offered:
        client.plain_login(user, secret)
    else:
        raise AuthFailed("the server takes no password here: set auth to what it offers, or use imaps://")


def _drop(client: IMAPClient) -> None:
    with suppress(OSError, IMAPClientError, AttributeError):
        client.shutdown()


# -- errors ----------------------------------------------------------------------------------------------------


@contextmanager
def errors() -> Iterator[None]:
    """Whatever goes wrong, in the port's words; a server's own words may quote what was asked."""
    try:
        yield
    except PortError:
        raise
    except LoginError as error:
        if isinstance(error.__context__, imaplib.IMAP4.abort):  # the line was lost, nobody refused
            raise _later(str(error), "the connection was lost") from None
        raise _sign_in_fault(str(error)) from None
    except ssl.SSLCertVerificationError as error:
        raise Transient(f"the server's certificate cannot be trusted: {error.verify_message}") from None
    except (IMAPClientAbortError, imaplib.IMAP4.abort) as error:
        raise _later(str(error), "the connection was lost") from None
    except ProtocolError:
        raise Garbled("the server's answer cannot be read") from None
    except IMAPClientError as error:
        raise _refusal("command", [str(error).encode()]) from None
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Garbled(f"the server's answer cannot be read ({type(error).__name__})") from None
    except TimeoutError:
        raise Transient("the server does not answer") from None
    except socket.gaierror:
        raise Transient("the server's name cannot be found") from None
    except OSError as error:
        raise Transient(f"the server cannot be reached ({error.strerror or type(error).__name__})") from None


class Garbled(Transient):
    """An answer that is no IMAP: about one message, perhaps, so the others are asked for without it."""


def _later(said: str, otherwise: str) -> Transient:
    found = _SECONDS.search(said)
    seconds = float(found[1]) * (60 if found and found[2].lower().startswith("m") else 1) if found else None
    return Transient("the server asks to wait" if found else otherwise, seconds)


def _sign_in_fault(said: str) -> PortError:
    if any(f"[{code}" in said for code in _LATER):
        return _later(said, "the server cannot sign anybody in now")
    return AuthFailed("the server refuses the sign-in")


def _refusal(command: str, data: Sequence[Any]) -> PortError:
    said = b" ".join(d for d in data if isinstance(d, bytes)).decode("ascii", "replace")
    if any(f"[{code}" in said for code in _LATER):
        return _later(said, "the server is not ready")
    if any(f"[{code}" in said for code in _REFUSED):
        return AuthFailed("the server refuses the sign-in")
    code = re.search(r"\[([A-Z-]{3,30})", said)
    return Rejected(f"the server refuses {command}{f' ({code[1]})' if code else ''}")
