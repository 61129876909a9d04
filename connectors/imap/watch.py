"""One thread that watches every mailbox that is waiting in IDLE (RFC 2177), however many there are.

It reads only that something happened, never what. A connection is opened by one of a few helpers, as that
may take long; once it is in IDLE it belongs to the watcher, which renews it before servers grow tired of
it, and opens it anew when it ends, when it says nothing to a renewal (half open), or says what is no IMAP.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.imap.connect import SignIn, connect
from connectors.imap.faults import errors
from syncd.ports import AuthFailed, PortError

#: Seconds in IDLE before it is renewed: servers may end it after 29 minutes, routers often after 10.
RENEW = 9 * 60.0
#: Seconds for an answer to IDLE or DONE.
PATIENCE = 30.0
#: Seconds until a lost connection is opened again: at first, and at most; after a refused sign-in.
FIRST, LONGEST, REFUSED = 2.0, 300.0, 1800.0
#: Longest line that says that something happened.
LINE = 64 * 1024
_TAG = b"W1"


@dataclass(eq=False)
class Watch:
    """One mailbox that is watched."""

    sign_in: SignIn
    changed: Callable[[], None]
    #: connecting, entering, idling, leaving, resting or ended.
    state: str = "resting"
    client: Any = None
    #: When something is to be done about it.
    due: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)
    failures: int = 0


class Watcher:
    """Watches mailboxes in a thread of its own, which begins with the first and ends with the last."""

    def __init__(self, *, renew: float = RENEW, patience: float = PATIENCE, first: float = FIRST) -> None:
        self.renew, self.patience, self.first = renew, patience, first
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None
        #: Wakes the thread.
        self._bell: socket.socket | None = None
        self._arrived: list[tuple[Watch, Any, float]] = []

    def add(self, sign_in: SignIn, changed: Callable[[], None]) -> Callable[[], None]:
        """Watches a mailbox: `changed` is called from the watcher's thread, soon after something happened
        in INBOX, and whenever something may have been missed. Returns what ends it."""
        watch = Watch(sign_in, changed)
        with self._lock:
            self._watches.add(watch)
            if self._thread is None:
                near, self._bell = socket.socketpair()
                self._bell.setblocking(False)  # one that rings already need not be rung
                self._thread = threading.Thread(target=self._run, args=(near,), name="imap-idle", daemon=True)
                self._thread.start()
        self._poke()
        return lambda: self._remove(watch)

    def idling(self) -> int:
        """How many mailboxes are in IDLE now."""
        with self._lock:
            return sum(w.state == "idling" for w in self._watches)

    def _remove(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)
            watch.state = "ended"
        self._poke()

    def _poke(self) -> None:
        with self._lock, suppress(OSError):
            if self._bell is not None:
                self._bell.send(b"x")

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self, near: socket.socket) -> None:
        selector = selectors.DefaultSelector()
        near.setblocking(False)
        selector.register(near, selectors.EVENT_READ)
        known: set[Watch] = set()
        with ThreadPoolExecutor(4, thread_name_prefix="imap-connect") as helpers:
            while True:
                with self._lock:
                    current = set(self._watches)
                    arrived, self._arrived = self._arrived, []
                    over = not current and not arrived
                    if over:
                        bell, self._bell, self._thread = self._bell, None, None
                for watch in known - current:
                    self._drop(selector, watch)
                if over:
                    break
                known = current
                for watch, client, wait in arrived:
                    self._connected(selector, watch, client, wait)
                now = time.monotonic()
                for watch in current:
                    if watch.due <= now:
                        self._due(selector, helpers, watch, now)
                following = min((w.due for w in current), default=now + 1)
                for key, _ in selector.select(max(0.0, min(following - time.monotonic(), 60.0))):
                    if key.data is None:
                        with suppress(OSError):
                            near.recv(4096)
                    else:
                        self._read(selector, key.data)
        selector.close()
        for end in (near, bell):
            if end is not None:
                end.close()
        for _, client, _ in self._taken():  # a helper was still at it
            if client is not None:
                _close(client)

    def _taken(self) -> list[tuple[Watch, Any, float]]:
        with self._lock:
            if self._thread is not None:
                return []
            arrived, self._arrived = self._arrived, []
        return arrived

    def _due(self, selector: selectors.BaseSelector, helpers: ThreadPoolExecutor, watch: Watch, now: float) -> None:
        """Something is to be done, or has taken too long."""
        if watch.state == "resting":
            watch.state, watch.due = "connecting", float("inf")
            helpers.submit(self._connect, watch)
        elif watch.state == "idling":
            self._send(selector, watch, b"DONE\r\n", "leaving")
        else:
            self._again(selector, watch)

    def _connect(self, watch: Watch) -> None:
        """In a helper: a connection that has INBOX open, to read."""
        client, wait = None, 0.0
        try:
            with errors():
                client = connect(watch.sign_in)
                if not client.has_capability("IDLE"):
                    wait = float("inf")  # such a server is asked at intervals only
                else:
                    client.select_folder("INBOX", readonly=True)
        except PortError as error:
            wait = REFUSED if isinstance(error, AuthFailed) else -1.0
        except Exception:  # whatever it was, the watcher must hear of it, or it would wait for ever
            wait = -1.0
        if wait and client is not None:
            _close(client)
            client = None
        with self._lock:
            self._arrived.append((watch, client, wait))
        self._poke()

    def _connected(self, selector: selectors.BaseSelector, watch: Watch, client: Any, wait: float) -> None:
        if watch.state == "ended":
            if client is not None:
                _close(client)
            return
        if client is None:
            self._again(selector, watch, wait)
            return
        watch.client = client
        watch.buffer.clear()
        client.socket().setblocking(False)
        selector.register(client.socket(), selectors.EVENT_READ, watch)
        self._send(selector, watch, _TAG + b" IDLE\r\n", "entering")

    def _send(self, selector: selectors.BaseSelector, watch: Watch, line: bytes, state: str) -> None:
        watch.state, watch.due = state, time.monotonic() + self.patience
        try:
            watch.client.socket().send(line)
        except OSError:
            self._again(selector, watch)

    def _read(self, selector: selectors.BaseSelector, watch: Watch) -> None:
        """What came: lines, or the end."""
        ended = False
        try:
            while True:  # a TLS layer may hold more than the socket shows
                data = watch.client.socket().recv(65536)
                if not data:
                    ended = True
                    break
                watch.buffer += data
                if len(watch.buffer) > 16 * LINE:
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            ended = True
        happened = False
        while (end := watch.buffer.find(b"\n")) >= 0:
            line = bytes(watch.buffer[:end]).strip()
            del watch.buffer[: end + 1]
            happened |= _speaks_of_mail(line)
            ended |= not self._line(selector, watch, line)
            if watch.client is None:
                break
        if happened:
            watch.changed()
        if watch.client is not None and (ended or len(watch.buffer) > LINE):
            self._again(selector, watch)

    def _line(self, selector: selectors.BaseSelector, watch: Watch, line: bytes) -> bool:
        """Takes note of a line; False when the connection is of no more use."""
        if line.startswith(b"+") and watch.state == "entering":
            watch.state, watch.due, watch.failures = "idling", time.monotonic() + self.renew, 0
            watch.changed()  # whatever happened before
            return True
        if line.startswith(_TAG):
            if watch.state != "leaving" or not line[len(_TAG) :].strip().upper().startswith(b"OK"):
                return False
            self._send(selector, watch, _TAG + b" IDLE\r\n", "entering")
            return True
        return line.startswith(b"*") and not line.upper().startswith(b"* BYE")

    def _again(self, selector: selectors.BaseSelector, watch: Watch, wait: float = -1.0) -> None:
        """The connection is of no use: another, after a while that grows."""
        self._drop(selector, watch)
        if watch.state == "ended":
            return
        if wait < 0:
            wait = min(self.first * 2 ** min(watch.failures, 12), LONGEST)
            watch.failures += 1
        watch.state, watch.due = "resting", time.monotonic() + wait

    def _drop(self, selector: selectors.BaseSelector, watch: Watch) -> None:
        client, watch.client = watch.client, None
        if client is not None:
            with suppress(KeyError, ValueError):
                selector.unregister(client.socket())
            _close(client)


def _speaks_of_mail(line: bytes) -> bool:
    """EXISTS, EXPUNGE or VANISHED: mail came, or went. Who reads mail makes FETCH lines all day long."""
    words = line.upper().split()
    return len(words) > 1 and words[0] == b"*" and (words[-1] in (b"EXISTS", b"EXPUNGE") or words[1] == b"VANISHED")


def _close(client: Any) -> None:
    with suppress(Exception):
        client.shutdown()


#: The watcher of this process.
WATCHER = Watcher()
