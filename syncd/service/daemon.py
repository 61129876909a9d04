"""The service: a pool of workers takes pairings that are due; APScheduler ticks, and cleans up at night.

SIGTERM and SIGINT let each worker finish the batch in hand; whatever is left is still announced in
the store and is settled at the next start. SIGHUP reads the configuration anew: a bad one is refused
with its faults in the log, and the old one stays.
"""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from typing import Any

from syncd.database import StoreFault
from syncd.engine.pairing import Pairing
from syncd.logs import logger
from syncd.ports import Watchable
from syncd.secrets import SecretFault
from syncd.service.assemble import House, NoConnector
from syncd.service.health import Health, Listener
from syncd.service.runner import FORGOTTEN, Result, run_one
from syncd.service.schedule import TICK, Entry, Schedule
from syncd.settings import Service
from syncd.store.journal import retire
from syncd.strict_yaml import BadDocument

#: What may be wrong with a configuration that is read anew.
FAULTS = (BadDocument, SecretFault, StoreFault, NoConnector, FileNotFoundError)
#: For how long an account whose sign-in was refused is left alone, unless its secret changes: servers
#: lock accounts that try too often.
REFUSED = 1800.0
#: Seconds after which the store is tried again: it is ours, and nobody minds.
STORE_AGAIN = 2.0


class Stopping(BaseException):
    """The service is to end, or to change its configuration: leaves the pass between two batches."""


class Daemon:
    """Runs every pairing of a house again and again until it is told to stop."""

    def __init__(
        self,
        house: House,
        reopen: Callable[[], House],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        notify: Callable[[str], object] | None = None,
    ) -> None:
        """`reopen` reads the configuration anew; `notify` tells the service manager (sd_notify(3))."""
        self.house = house
        self.now = now
        self._reopen = reopen
        self._notify = notify or _systemd()
        self._stop, self._hurry = threading.Event(), threading.Event()
        self._reload, self._woken = threading.Event(), threading.Event()
        self._pairings: dict[str, Pairing] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        #: Pairings whose server has taken the secret that is there.
        self._taken: set[str] = set()
        #: Pairing -> what ends its watch.
        self._watches: dict[str, Callable[[], None]] = {}
        self._crm_read = float("-inf")
        self._active, self._idle = 0, threading.Condition()
        self._ticked = time.monotonic()
        service = self._service
        self.schedule = Schedule(service.interval, service.quiet_interval, service.per_server)
        self.health = Health(now, service.late)
        self._settle_in()

    @property
    def _service(self) -> Service:
        return self.house.configuration.settings.service

    def _settle_in(self) -> None:
        """Takes over the house's pairings."""
        service = self._service
        self._pairings = {p.id: p for p in self.house.pairings}
        self.schedule.interval, self.schedule.per_server = service.interval, service.per_server
        self.schedule.quiet = max(service.interval, service.quiet_interval)
        self.schedule.set([(p, self.house.servers.get(p, "")) for p in self._pairings], time.monotonic())
        self.health.late_after = service.late
        self.health.set(self._pairings)
        self._refused.clear()
        self._taken.clear()

    def stop(self) -> None:
        """Ends the service after the batches in hand."""
        self._stop.set()
        self._hurry.set()
        self._woken.set()

    def run(self) -> None:
        """Blocks until `stop`, SIGTERM or SIGINT. Raises OSError when it cannot listen."""
        from apscheduler.executors.pool import ThreadPoolExecutor as Jobs
        from apscheduler.schedulers.background import BackgroundScheduler

        many_files()
        service, log = self._service, logger()
        listener = Listener(self.health, service.listen) if service.listen else None
        workers = ThreadPoolExecutor(service.workers, thread_name_prefix="worker")
        scheduler = BackgroundScheduler(
            executors={"default": Jobs(2)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        hour, minute = service.nightly.split(":")
        scheduler.add_job(self._tick, "interval", seconds=TICK, args=[workers], next_run_time=datetime.now(UTC))
        scheduler.add_job(self._night, "cron", hour=int(hour), minute=int(minute))
        before = {n: signal.signal(n, self._signalled) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        scheduler.start()
        self._notify("READY=1")
        at = {"health": f"port {listener.port}"} if listener is not None else {}
        log.info("running", pairings=len(self._pairings), workers=service.workers, interval=service.interval, **at)
        try:
            self._watch()
            self._attend()
        finally:
            self._unwatch()
            self._notify("STOPPING=1")
            scheduler.shutdown(wait=True)
            self._hurry.set()
            workers.shutdown(wait=True)
            if listener is not None:
                listener.close()
            for number, handler in before.items():
                signal.signal(number, handler)
            self.house.close()
            log.info("stopped")

    def _watch(self) -> None:
        """Collections that tell when something happens make their pairing due at once."""
        for pairing in self._pairings.values():
            if pairing.id not in self._watches and isinstance(pairing.replica, Watchable):
                self._watches[pairing.id] = pairing.replica.watch(partial(self._happened, pairing.id))

    def _happened(self, pairing: str) -> None:
        self.schedule.wake(pairing, time.monotonic())

    def _unwatch(self) -> None:
        for end in self._watches.values():
            end()
        self._watches.clear()

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload.set()
            self._woken.set()
        else:
            self.stop()

    def _attend(self) -> None:
        """The main thread: signals, and signs of life for the service manager."""
        while not self._stop.is_set():
            self._woken.wait(1.0)
            self._woken.clear()
            if self._reload.is_set():
                self._reload.clear()
                self.reload()
            if time.monotonic() - self._ticked < 60:
                states = self.schedule.waiting()
                status = f"{states['all']} pairings, {states['running']} running, {states['backing off']} backing off"
                self._notify(f"WATCHDOG=1\nSTATUS={status}")

    # -- work ---------------------------------------------------------------------------------------------

    def _tick(self, workers: ThreadPoolExecutor) -> None:
        """Sets idle workers to work, when something is due."""
        self._ticked = now = time.monotonic()
        following = self.schedule.following()
        if following is None or following > now or self._hurry.is_set():
            return
        with self._idle:
            idle = self._service.workers - self._active
            self._active += max(0, idle)
        for _ in range(idle):
            workers.submit(self._work)

    def _work(self) -> None:
        """Takes one pairing after the other until none is due."""
        try:
            while not self._hurry.is_set():
                entry = self.schedule.take(time.monotonic())
                if entry is None:
                    return
                try:
                    self._one(entry)
                except Stopping:
                    self.schedule.done(entry.pairing, time.monotonic(), news=True)
                except Exception as error:
                    logger(pairing=entry.pairing).error("pass failed", error=f"unexpected {type(error).__name__}")
                    self.schedule.done(entry.pairing, time.monotonic(), news=False, failed=True)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _one(self, entry: Entry) -> None:
        began = time.monotonic()
        pairing = self._signed_in(entry.pairing, began)
        if pairing is None:
            self.schedule.done(entry.pairing, began, news=False)
            return
        fresh = began - self._crm_read < min(5.0, self._service.interval / 2)
        known = pairing.id in self._taken  # else the secret may be replaced while the server refuses it
        mark = "" if known else self.house.secret_mark(pairing.id)
        result = run_one(
            pairing,
            self.house.pairings,
            self.house.store,
            self.house.key,
            self.now(),
            full=entry.comparing,
            progress=self._between,
            crm_just_read=fresh,
        )
        ended = time.monotonic()
        if not fresh and not result.failed:
            self._crm_read = began
        self.health.ended(result, ended - began)
        for other in result.report.again:  # one has asked another whether an item is still there
            self.schedule.wake(other, ended)
        if result.outcome == FORGOTTEN:
            self._leave_alone(pairing)
        else:
            self._account_for(pairing, result, ended, mark)

    def _leave_alone(self, pairing: Pairing) -> None:
        """The employee was forgotten while the service runs."""
        self._watches.pop(pairing.id, lambda: None)()
        self.house.pairings = [p for p in self.house.pairings if p.id != pairing.id]
        self._pairings = {p.id: p for p in self.house.pairings}
        self.schedule.set([(p, self.house.servers.get(p, "")) for p in self._pairings], time.monotonic())
        self.health.set(self._pairings)
        _close(pairing.replica)
        logger(pairing=pairing.id).info("forgotten")

    def _account_for(self, pairing: Pairing, result: Result, ended: float, mark: str) -> None:
        news = bool(result.report.read or result.report.writes)
        if result.outcome == "sign-in failed":
            self._taken.discard(pairing.id)
            self._refused[pairing.id] = (ended, mark or self.house.secret_mark(pairing.id))
            self.schedule.done(pairing.id, ended, news=False)
            return
        if not result.failed:
            self._taken.add(pairing.id)
        retry = STORE_AGAIN if result.outcome == "store not ready" else result.retry_after
        wait = self.schedule.done(pairing.id, ended, news=news, failed=result.failed, retry_after=retry)
        if result.failed:
            logger(pairing=pairing.id).info("left alone", seconds=round(wait))

    def _signed_in(self, name: str, now: float) -> Pairing | None:
        """The pairing; with a new sign-in when its secret was replaced after the old was refused.
        None while there is nothing new to try."""
        pairing = self._pairings[name]
        if name not in self._refused:
            return pairing
        since, mark = self._refused[name]
        if self.house.secret_mark(name) == mark and now - since < REFUSED:
            return None
        del self._refused[name]
        made = replace(pairing, replica=self.house.replica(name))
        self._watches.pop(name, lambda: None)()
        _close(pairing.replica)
        self._pairings[name] = made
        self._watch()
        self.house.pairings = [made if p.id == name else p for p in self.house.pairings]
        logger(pairing=name).info("signing in anew")
        return made

    def _between(self, _done: int) -> None:
        if self._hurry.is_set():
            raise Stopping

    # -- now and then ---------------------------------------------------------------------------------------

    def reload(self) -> bool:
        """Reads the configuration anew; False when it was refused and the old one stays."""
        log = logger()
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            made = self._reopen()
        except FAULTS as error:
            for line in str(error).splitlines():
                log.error("configuration refused; the old one stays", fault=line)
            self._notify("READY=1")
            return False
        self._hurry.set()
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0)
        self._unwatch()
        old, self.house = self.house, made
        self._settle_in()
        self._watch()
        old.close()
        if not self._stop.is_set():
            self._hurry.clear()
        log.info("configuration reloaded", pairings=len(self._pairings))
        self._notify("READY=1")
        return True

    def _night(self) -> None:
        """Every pairing is compared in full; what was kept long enough goes."""
        self.schedule.compare_all()
        service, now = self._service, self.now()
        try:
            with self.house.store.transaction() as tx:
                gone = retire(
                    tx,
                    decisions=now - timedelta(days=service.keep_decisions),
                    ledger=now - timedelta(days=service.keep_ledger),
                )
        except StoreFault as error:
            logger().warning("retention waits for the next night", error=str(error))
            return
        logger().info("night", decisions_removed=gone[0], ledger_lines_removed=gone[1])


def many_files() -> None:
    """As many open files as the system lets us have, within reason: mailboxes wait on a connection each, and
    shells and services begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _close(replica: Any) -> None:
    close = getattr(replica, "close", None)
    if close is not None:
        close()


def _systemd() -> Callable[[str], object]:
    import sdnotify

    return sdnotify.SystemdNotifier().notify  # type: ignore[no-any-return]
