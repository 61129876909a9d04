"""The service: APScheduler ticks, a pool of workers, one run a pairing at a time.

SIGTERM and SIGINT let each worker finish the link in hand; whatever is left is still announced in
the store and is settled at the next start.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType

from syncd.engine.pairing import Pairing
from syncd.logs import logger
from syncd.service.assemble import House
from syncd.service.runner import Result, run_one


class Stopping(BaseException):
    """The service is to end: leaves the pass between two batches."""


class Daemon:
    """Runs every pairing of a house again and again until it is told to stop."""

    def __init__(self, house: House, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.house = house
        self.now = now
        self._stop = threading.Event()
        self._busy: dict[str, threading.Lock] = {p.id: threading.Lock() for p in house.pairings}
        self._not_before: dict[str, datetime] = {}
        self._strikes: dict[str, int] = {}

    def stop(self) -> None:
        """Ends the service after the link in hand."""
        self._stop.set()

    def run(self) -> None:
        """Blocks until `stop`, SIGTERM or SIGINT."""
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        service = self.house.configuration.settings.service
        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(service.workers)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        begin = self.now()
        for number, pairing in enumerate(self.house.pairings):
            first = begin + timedelta(seconds=(number * service.interval) / max(1, len(self.house.pairings)))
            scheduler.add_job(
                self.tick, "interval", seconds=service.interval, args=[pairing], id=pairing.id, next_run_time=first
            )
        log = logger()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        scheduler.start()
        log.info("running", pairings=len(self.house.pairings), workers=service.workers, interval=service.interval)
        self._stop.wait()
        scheduler.shutdown(wait=True)
        log.info("stopped")

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def tick(self, pairing: Pairing) -> Result | None:
        """One pass, unless the pairing is busy, backing off, or the service is ending."""
        if self._stop.is_set() or self.now() < self._not_before.get(pairing.id, datetime.min.replace(tzinfo=UTC)):
            return None
        if not self._busy[pairing.id].acquire(blocking=False):
            return None
        try:
            result = run_one(
                pairing, self.house.pairings, self.house.store, self.house.key, self.now(), progress=self._between
            )
        except Stopping:
            return None
        finally:
            self._busy[pairing.id].release()
        self._back_off(pairing, result)
        return result

    def _between(self, _done: int) -> None:
        if self._stop.is_set():
            raise Stopping

    def _back_off(self, pairing: Pairing, result: Result) -> None:
        """A mailbox whose server is not ready is left alone, longer each time, an hour at most; as
        long as the server says, when it says so."""
        if not result.failed:
            self._strikes.pop(pairing.id, None)
            return
        strikes = self._strikes[pairing.id] = self._strikes.get(pairing.id, 0) + 1
        seconds = result.retry_after or min(3600.0, 15.0 * 2**strikes)
        self._not_before[pairing.id] = self.now() + timedelta(seconds=seconds)


__all__ = ["Daemon", "Stopping"]
