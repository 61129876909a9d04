"""One connection to an IMAP server, and the commands that we send over it.

The only module that asks imaplib beneath imapclient: for what imapclient does not parse (VANISHED of
RFC 7162, LIST-STATUS of RFC 5819).
"""

from __future__ import annotations

import imaplib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from imapclient.exceptions import IMAPClientError
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.response_parser import parse_fetch_response, parse_response

from connectors.imap.connect import Client, SignIn, connect, drop
from connectors.imap.faults import errors, refusal
from syncd.ports import Rejected


@dataclass
class Session:
    """A connection that opens when it is needed, and anew when it was lost. Not for two threads at once."""

    sign_in: SignIn
    requests: int = 0
    _client: Client | None = None
    _selected: tuple[str, bool] | None = None
    qresync: bool = False
    _keywords: frozenset[str] = frozenset()
    _validity: int = 0
    _prefixes: tuple[str, ...] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # -- the connection ------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
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
                drop(client)

    @contextmanager
    def talking(self) -> Iterator[Client]:
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
                    drop(client)
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
                raise refusal("FETCH", data)
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
                raise refusal("SEARCH", data)
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
                raise refusal("LIST", data)
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

    def prefixes(self, listed: Sequence[tuple[frozenset[str], str, str]]) -> tuple[str, ...]:
        """What the server puts before the names of one's own folders (NAMESPACE, RFC 2342), such as ``INBOX.``;
        asked once, and only where one of the listed names has more than one part."""
        if self._prefixes is None and any(d and d in name for _, d, name in listed):
            with self.talking() as client:
                if not client.has_capability("NAMESPACE"):
                    self._prefixes = ()
                else:
                    self.requests += 1
                    kind, data = client._imap.namespace()
                    self._prefixes = _personal(data) if kind == "OK" else ()
        return self._prefixes or ()


def _personal(data: Sequence[Any]) -> tuple[str, ...]:
    """The prefixes of the personal namespaces; each may have extensions behind its delimiter (RFC 2342 §6)."""
    found = parse_response([d for d in data if d is not None])
    own = found[0] if found and isinstance(found[0], tuple) else ()
    return tuple(_name(entry[0]) for entry in own if isinstance(entry, tuple) and entry and entry[0])


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
