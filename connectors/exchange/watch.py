"""One thread that watches every mailbox by streaming notifications (EWS GetStreamingEvents).

A mailbox subscribes to one folder; the subscriptions of a server are put into groups, and each group has one
long answer in which the server writes as things happen. The thread reads of it only for which subscription
something happened, never what. Subscribing and opening take long, so a few helpers do that. What is lost
(the connection, a subscription, an hour of sleep) is made anew, and whoever was in it is told to look: the
cursor knows what was missed. A server that cannot stream is asked at intervals, as if nobody watched.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from connectors.exchange.access import Access, session_of
from connectors.exchange.soap import Mailbox, envelope
from connectors.exchange.stream import Stream
from connectors.exchange.xml import M, el
from syncd.ports import AuthFailed, PortError, Rejected

#: Mailboxes a stream (Microsoft: groups of at most 200 that share an affinity).
GROUP = 200
#: Minutes of one stream; Exchange takes 1 to 30.
MINUTES = 29
#: Seconds without a sign of life: Exchange gives one every 45 or so.
SILENCE = 150.0
#: Seconds until what was lost is made anew: at first, and at most; after a refused sign-in.
FIRST, LONGEST, REFUSED = 2.0, 300.0, 1800.0
#: Seconds that new mailboxes are waited for, so that they come into one group.
GATHER = 0.5
#: Seconds after which a stream that ends was a good one.
STEADY = 60.0
_WHAT = ("NewMailEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "CopiedEvent")


@dataclass(eq=False)
class Watch:
    """One mailbox that is watched."""

    access: Access
    folder: Callable[[Mailbox], Any]
    changed: Callable[[], None]
    subscription: str = ""
    due: float = 0.0
    failures: int = 0
    busy: bool = False
    ended: bool = False
    #: The server would not have it in a stream with others: it is kept by another machine.
    alone: bool = False


class Streams:
    """Watches mailboxes in a thread of its own, which begins with the first and ends with the last."""

    def __init__(self, *, minutes: int = MINUTES, silence: float = SILENCE, first: float = FIRST) -> None:
        self.minutes, self.silence, self.first = minutes, silence, first
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._streams: set[Stream] = set()
        self._arrived: list[Stream] = []
        self._added = 0.0
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None

    def add(self, access: Access, folder: Callable[[Mailbox], Any], changed: Callable[[], None]) -> Callable[[], None]:
        """Watches a folder: `changed` is called from the thread, soon after something happened in it, and
        whenever something may have been missed. Returns what ends it."""
        watch = Watch(access, folder, changed, due=time.monotonic() + GATHER)
        with self._lock:
            self._watches.add(watch)
            self._added = time.monotonic()
            if self._thread is None:
                near, self._bell = socket.socketpair()
                self._bell.setblocking(False)
                self._thread = threading.Thread(target=self._run, args=(near,), name="ews-streams", daemon=True)
                self._thread.start()
        self._poke()
        return lambda: self._remove(watch)

    def watching(self) -> int:
        """How many mailboxes are in a stream that is open."""
        with self._lock:
            return sum(len(s.watches) for s in self._streams)

    def open_streams(self) -> int:
        """How many streams are open."""
        with self._lock:
            return len(self._streams)

    def _remove(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)
            watch.ended = True
        self._poke()

    def _poke(self) -> None:
        with self._lock, suppress(OSError):
            if self._bell is not None:
                self._bell.send(b"x")

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self, near: socket.socket) -> None:
        selector = selectors.DefaultSelector()
        near.setblocking(False)
        selector.register(near, selectors.EVENT_READ)
        with ThreadPoolExecutor(4, thread_name_prefix="ews-subscribe") as helpers:
            while True:
                with self._lock:
                    over = not self._watches
                    if over:
                        bell, self._bell, self._thread = self._bell, None, None
                if over:
                    break
                self._took_up(selector)
                now = time.monotonic()
                self._begin(helpers, now)
                for stream in [s for s in self._streams if now - s.heard > self.silence]:
                    self._lost(selector, stream)
                for stream in [s for s in self._streams if all(w.ended for w in s.watches)]:
                    self._drop(selector, stream)
                for key, _ in selector.select(self._pause(now)):
                    if key.data is None:
                        with suppress(OSError):
                            near.recv(4096)
                    else:
                        self._read_safely(selector, key.data)
        for stream in list(self._streams):
            self._drop(selector, stream)
        with self._lock:
            late, self._arrived = self._arrived, []
        for stream in late:
            stream.close()
        selector.close()
        for end in (near, bell):
            if end is not None:
                end.close()

    def _pause(self, now: float) -> float:
        with self._lock:
            following = min((max(w.due, self._added + GATHER) for w in self._watches if not w.busy), default=now + 60)
        return max(0.01, min(following - now, 5.0))

    def _begin(self, helpers: ThreadPoolExecutor, now: float) -> None:
        """Groups those who are due by server and account, and has their streams opened."""
        with self._lock:
            due = [w for w in self._watches if not w.busy and w.due <= now]
            if due and now < self._added + GATHER and now < min(w.due for w in due) + GATHER * 20:
                return  # more are coming: they go into the same streams
            for watch in due:
                watch.busy = True
        groups: dict[tuple[Any, ...], list[Watch]] = {}
        for watch in due:
            a = watch.access
            alone = a.mailbox if watch.alone or a.how != "impersonation" else ""
            groups.setdefault((a.endpoint, a.username, a.how, a.auth, alone), []).append(watch)
        for several in groups.values():
            for start in range(0, len(several), GROUP):
                helpers.submit(self._open, several[start : start + GROUP])

    def _open(self, watches: list[Watch]) -> None:
        """In a helper: subscribes each, and opens one stream for all of them."""
        ready, wait = [], -1.0
        anchor = Mailbox(watches[0].access)
        for watch in watches:
            if watch.ended:
                continue
            try:
                watch.subscription = _subscribed(watch, anchor)
                ready.append(watch)
            except PortError as error:
                self._later(watch, _wait(error))
            except Exception:  # whatever it was, the watcher must hear of it, or it would wait for ever
                self._later(watch, -1.0)
        if not ready:
            return
        stream = Stream(ready)
        try:
            stream.response = _opened(anchor, ready, self.minutes)
        except PortError as error:
            wait = _wait(error)
        except Exception:
            wait = -1.0
        if stream.response is None:
            for watch in ready:
                self._later(watch, wait)
            return
        with self._lock:
            self._arrived.append(stream)
        self._poke()

    def _later(self, watch: Watch, wait: float) -> None:
        if wait < 0:
            wait = min(self.first * 2 ** min(watch.failures, 12), LONGEST)
            watch.failures += 1
        with self._lock:
            watch.busy, watch.due = False, time.monotonic() + wait
        self._poke()

    def _took_up(self, selector: selectors.BaseSelector) -> None:
        """Streams that helpers have opened: whatever happened before is looked for now."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
            self._streams |= set(arrived)
        for stream in arrived:
            stream.begun = stream.heard = time.monotonic()
            try:
                stream.begin()
                selector.register(stream.fileno(), selectors.EVENT_READ, stream)
            except (OSError, ValueError, KeyError, AttributeError):
                self._lost(selector, stream)
                continue
            for watch in stream.watches:
                if not watch.ended:
                    watch.changed()
            self._read_safely(selector, stream)  # something may have come with the headers already

    def _read_safely(self, selector: selectors.BaseSelector, stream: Stream) -> None:
        try:
            self._read(selector, stream)
        except Exception:  # one stream that nobody understands must not end the thread for all
            self._lost(selector, stream)

    def _read(self, selector: selectors.BaseSelector, stream: Stream) -> None:
        """What came on a stream: which subscriptions it names, and whether it is over."""
        data, ended = stream.came()
        if data:
            stream.heard = time.monotonic()
        for note in stream.notes(data):
            refused = [w for w in stream.watches if w.subscription in note.refused]
            for watch in stream.watches:
                if watch.subscription in note.named and not watch.ended:
                    watch.changed()
            for watch in refused:
                watch.alone |= len(stream.watches) > 1
            ended |= note.closed
            if refused and not ended:
                self._left(stream, refused)
        if ended:
            self._lost(selector, stream)

    def _left(self, stream: Stream, refused: list[Watch]) -> None:
        """The stream goes on without these: some servers drop whom they do not know and say so in passing."""
        with self._lock:
            stream.watches = [w for w in stream.watches if w not in refused]
        for watch in refused:
            self._later(watch, -1.0)

    def _lost(self, selector: selectors.BaseSelector, stream: Stream) -> None:
        """The stream is over: those who were in it subscribe anew, and look for what they may have missed."""
        self._drop(selector, stream)
        now = time.monotonic()
        lasted = now - stream.begun > STEADY
        with self._lock:
            for watch in stream.watches:
                watch.failures = 0 if lasted else watch.failures + 1
                wait = min(self.first * 2 ** min(watch.failures - 1, 12), LONGEST) if watch.failures else GATHER
                watch.busy, watch.due = False, now + wait

    def _drop(self, selector: selectors.BaseSelector, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)
        with suppress(KeyError, ValueError, OSError, AttributeError):
            selector.unregister(stream.fileno())
        stream.close()


def _wait(error: PortError) -> float:
    """Seconds until it is tried again: a server that cannot stream, or lets us not, is asked rarely."""
    if isinstance(error, AuthFailed | Rejected):
        return REFUSED
    return float(getattr(error, "retry_after", None) or -1.0)


def _subscribed(watch: Watch, anchor: Mailbox) -> str:
    """Subscribes to a folder, on the machine that keeps the anchor's mailbox, as all subscriptions of a stream
    must be there: the id of the subscription. Raises PortErrors."""
    mailbox = Mailbox(watch.access)
    mailbox.account.anchor = anchor.access.mailbox
    mailbox.account.affinity_cookie = anchor.account.affinity_cookie
    events = el("t:EventTypes", *(el("t:EventType", text=what) for what in _WHAT))
    request = el("t:FolderIds", watch.folder(mailbox))
    answer = mailbox.one(el("m:Subscribe", el("m:StreamingSubscriptionRequest", request, events)))
    found = answer.find(M + "SubscriptionId")
    if found is None or not found.text:
        raise Rejected("the server gives no subscription")
    anchor.account.affinity_cookie = mailbox.account.affinity_cookie
    return str(found.text)


def _opened(mailbox: Mailbox, watches: list[Watch], minutes: int) -> Any:
    """The long answer, on a connection of its own: those of the pool are for questions that end."""
    import requests

    ids = el("m:SubscriptionIds", *(el("t:SubscriptionId", text=w.subscription) for w in watches))
    payload = el("m:GetStreamingEvents", ids, el("m:ConnectionTimeout", text=str(minutes)))
    data, headers = envelope(mailbox, payload)
    headers = {**headers, "Accept-Encoding": "identity"}
    session = session_of(mailbox.account.protocol)
    try:
        answer = session.post(
            mailbox.account.protocol.service_endpoint,
            data=data,
            headers=headers,
            stream=True,
            timeout=(30, 30),
            allow_redirects=False,
        )
    except requests.exceptions.RequestException:
        session.close()
        return None
    if answer.status_code != 200:
        answer.close()
        session.close()
        return None
    answer.syncd_session = session
    return answer


#: The watcher of this process.
STREAMS = Streams()
