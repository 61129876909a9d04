"""One answer of GetStreamingEvents, which lasts half an hour: its bytes as they come, and what they say."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

#: Longest document of a stream, in octets.
LONGEST_DOCUMENT = 4 * 1024 * 1024
_END = b"Envelope>"
_NOTIFICATION = re.compile(
    rb"<(?:\w+:)?Notification\b[^>]*>\s*<(?:\w+:)?SubscriptionId[^>]*>([^<]+)<(.*?)</(?:\w+:)?Notification>", re.DOTALL
)
#: An event that is about an item. A StatusEvent is a sign of life (some servers send one of each subscription in
#: every document: seen on a server of another make, 2026-11-26), and one about a folder says that it counts.
_OF_ITEM = re.compile(rb"<(?:\w+:)?(?:Old)?ItemId\b")


@dataclass(frozen=True)
class Note:
    """One document of the stream."""

    #: Subscriptions in which something happened to an item, and those that the server does not know here.
    named: frozenset[str]
    refused: frozenset[str]
    closed: bool


@dataclass(eq=False)
class Stream:
    """One long answer, and the mailboxes in it. Its bytes are read as they come: who waited for the next piece
    of one would keep all the others waiting."""

    watches: list[Any]
    response: Any = None
    begun: float = 0.0
    heard: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)
    descriptor: int = -1
    _file: Any = None
    _socket: Any = None
    _chunks: bytearray = field(default_factory=bytearray)
    _left: int = 0

    def begin(self) -> None:
        """From here on nothing waits."""
        self._file, self._socket = self.response.raw._fp.fp, self._sock
        self._sock.setblocking(False)
        self.descriptor = int(self._sock.fileno())

    @property
    def _sock(self) -> Any:
        return self.response.raw.connection.sock

    def fileno(self) -> int:
        """Of the connection's socket, as it was when it was opened: the selector must be told the same at its end."""
        return self.descriptor

    def came(self) -> tuple[bytes, bool]:
        """The bytes that are there, and whether the connection is over."""
        data = self._read_ahead()
        try:
            while True:  # a TLS layer may hold more than the socket shows
                piece = self._sock.recv(65536)
                if not piece:
                    return data, True
                data += piece
                if len(data) > LONGEST_DOCUMENT:
                    return data, True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return data, False
        except (OSError, ValueError, AttributeError):  # closed meanwhile
            return data, True

    def _read_ahead(self) -> bytes:
        """What was read together with the headers."""
        try:
            return self.response.raw._fp.fp.read1(65536) or b""
        except (OSError, ValueError, AttributeError):
            return b""

    def plain(self, data: bytes) -> bytes:
        """The content of chunks (RFC 9112 §7.1). Raises ValueError for what is none."""
        if not self.response.raw.chunked:
            return data
        self._chunks += data
        found = b""
        while self._chunks:
            if self._left:
                piece = self._chunks[: self._left]
                found += piece
                self._left -= len(piece)
                del self._chunks[: len(piece)]
                continue
            line, end, _ = self._chunks.partition(b"\r\n")
            if not end:
                break
            del self._chunks[: len(line) + 2]
            self._left = int(line.split(b";")[0], 16) if line else 0
        return found

    def notes(self, data: bytes) -> Iterator[Note]:
        """What the documents say that are whole now. Raises ValueError for what is no stream."""
        self.buffer += self.plain(data)
        while (end := self.buffer.find(_END)) >= 0:
            document = bytes(self.buffer[: end + len(_END)])
            del self.buffer[: end + len(_END)]
            yield Note(news(document), frozenset(_refused(document)), b">Closed<" in document)
        if len(self.buffer) > LONGEST_DOCUMENT:
            raise ValueError("a document without end")

    def close(self) -> None:
        """Ends the answer, and the session that it was asked over."""
        with suppress(Exception):
            self.response.close()
        with suppress(Exception):
            self.response.syncd_session.close()
        for end in (self._file, self._socket):  # who else holds them lets go of them late
            with suppress(Exception):
                end.close()


def news(document: bytes) -> frozenset[str]:
    """Subscriptions in which something happened to an item."""
    told = _NOTIFICATION.findall(document)
    return frozenset(s.strip().decode("ascii", "replace") for s, events in told if _OF_ITEM.search(events))


def _refused(document: bytes) -> set[str]:
    """Subscriptions that the server does not know where the stream ends."""
    _, found, rest = document.partition(b"ErrorSubscriptionIds>")
    ids = re.findall(rb"SubscriptionId[^>]*>([^<]+)<", rest.partition(b"ErrorSubscriptionIds>")[0]) if found else []
    return {i.strip().decode("ascii", "replace") for i in ids}
