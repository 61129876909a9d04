"""Which pairing is due: fair between servers, one run a pairing, limits a server. Pure but for its lock.

A busy pairing is looked at every `interval`; each pass that finds nothing makes the wait half as long
again, up to `quiet`. One whose server is not ready is left alone for as long as the server says, or
longer each time, an hour at most. Times are seconds of whatever clock the caller uses.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

#: A quiet pairing's wait grows by this.
GROWTH = 1.5
#: So often due pairings are looked for (seconds).
TICK = 1.0
#: After this part of an interval a pairing is due again; the rest is for ticks and for waiting in line, so
#: that it is served inside its interval.
SHARE = 0.9
FIRST_WAIT, LONGEST_WAIT = 15.0, 3600.0


@dataclass
class Entry:
    """What is known of one pairing."""

    pairing: str
    server: str
    due: float
    #: The present wait between two passes.
    wait: float
    strikes: int = 0
    running: bool = False
    #: When the present pass began: the wait counts from there.
    taken: float = 0.0
    #: Made due while it was running: once more as soon as it is done.
    again: bool = False
    #: The next pass compares everything; the present one does.
    full: bool = False
    comparing: bool = False


@dataclass
class _Server:
    running: int = 0
    #: (due, pairing); an entry that does not say the pairing's due any more is dropped when met.
    heap: list[tuple[float, str]] = field(default_factory=list)


class Schedule:
    """The pairings and when each is due. Thread-safe."""

    def __init__(self, interval: float, quiet: float, per_server: int) -> None:
        self.interval = interval
        self.quiet = max(interval, quiet)
        self.per_server = per_server
        self._entries: dict[str, Entry] = {}
        self._servers: dict[str, _Server] = {}
        self._lock = threading.Lock()

    def set(self, pairings: Iterable[tuple[str, str]], now: float) -> None:
        """These (pairing, server) and no others; new ones begin spread over one interval."""
        with self._lock:
            wanted = dict(pairings)
            old, new = self._entries, [p for p in wanted if p not in self._entries]
            begin = {p: now + self.interval * n / len(new) for n, p in enumerate(new)}
            self._entries, self._servers = {}, {}
            for pairing, server in wanted.items():
                entry = old.get(pairing) or Entry(pairing, server, begin[pairing], self.interval)
                entry.server, entry.wait = server, min(entry.wait, self.quiet)
                self._entries[pairing] = entry
                self._of(entry).running += entry.running
                if not entry.running:
                    self._push(entry)

    def take(self, now: float) -> Entry | None:
        """The pairing that has been due for longest at a server with room; it counts as running."""
        with self._lock:
            best: tuple[float, str] | None = None
            for server in self._servers.values():
                self._clean(server)
                if server.heap and server.running < self.per_server and server.heap[0][0] <= now:
                    best = min(best, server.heap[0]) if best else server.heap[0]
            if best is None:
                return None
            entry = self._entries[best[1]]
            server = self._of(entry)
            heapq.heappop(server.heap)
            server.running += 1
            entry.taken = now
            entry.running, entry.again, entry.comparing, entry.full = True, False, entry.full, False
            return entry

    def done(
        self, pairing: str, now: float, *, news: bool, failed: bool = False, retry_after: float | None = None
    ) -> float:
        """A pass has ended; returns how many seconds the pairing waits now."""
        with self._lock:
            entry = self._entries.get(pairing)
            if entry is None:  # taken out of the configuration meanwhile
                return 0.0
            self._of(entry).running -= 1
            entry.running = False
            if failed:
                entry.strikes += 1
                entry.full |= entry.comparing
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(entry.strikes - 1, 10))
                wait = retry_after if retry_after else wait
            else:
                entry.strikes = 0
                entry.wait = self.interval if news else min(self.quiet, entry.wait * GROWTH)
                wait = 0.0 if entry.again else max(min(TICK, entry.wait), entry.wait * SHARE - (now - entry.taken))
            entry.due = now + wait
            self._push(entry)
            return wait

    def wake(self, pairing: str, now: float) -> None:
        """Something changed there: it is due at once, unless its server wants to be left alone."""
        with self._lock:
            entry = self._entries.get(pairing)
            if entry is None or (entry.strikes and entry.due > now):
                return
            if entry.running:
                entry.again = True
            elif entry.due > now:
                entry.due = now
                self._push(entry)

    def compare_all(self) -> None:
        """The next pass of each compares everything."""
        with self._lock:
            for entry in self._entries.values():
                entry.full = True

    def following(self) -> float | None:
        """When the next one is due; None when there is none."""
        with self._lock:
            for server in self._servers.values():
                self._clean(server)
            return min((s.heap[0][0] for s in self._servers.values() if s.heap), default=None)

    def waiting(self) -> dict[str, int]:
        """How many are running, backing off, and all."""
        with self._lock:
            found = self._entries.values()
            return {
                "all": len(self._entries),
                "running": sum(e.running for e in found),
                "backing off": sum(bool(e.strikes) for e in found),
            }

    def _of(self, entry: Entry) -> _Server:
        return self._servers.setdefault(entry.server, _Server())

    def _push(self, entry: Entry) -> None:
        heapq.heappush(self._of(entry).heap, (entry.due, entry.pairing))

    def _clean(self, server: _Server) -> None:
        while server.heap:
            due, pairing = server.heap[0]
            entry = self._entries.get(pairing)
            if entry is not None and not entry.running and entry.due == due:
                return
            heapq.heappop(server.heap)
