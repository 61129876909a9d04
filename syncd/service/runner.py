"""Runs one pass over each pairing and says what became of it. One pairing's failure is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.logs import logger
from syncd.ports import AuthFailed, PortError, Tidying, Transient
from syncd.service.forget import forgotten, remove
from syncd.store import Fenced, Store, StoreFault, Transaction, lease

#: The outcome for an employee whom `syncd forget` has removed while the service ran.
FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Result:
    """A pass over one pairing."""

    pairing: str
    report: Report
    #: ok, held, busy, forgotten, sign-in failed, server not ready, server failed, store not ready, failed.
    outcome: str
    requests: tuple[int, int]
    error: str = ""
    retry_after: float | None = None

    @property
    def failed(self) -> bool:
        """True when the pass did not come to its end."""
        return self.outcome not in ("ok", "held", "busy", FORGOTTEN)

    def as_json(self) -> dict[str, Any]:
        """The pass in the documented, stable form (docs/reference/json.md)."""
        n = self.report.numbers()
        return {
            "pairing": self.pairing,
            "outcome": self.outcome,
            "error": self.error or None,
            "read": n["read"],
            "created": {"crm": n["created_crm"], "groupware": n["created_groupware"]},
            "updated": {"crm": n["updated_crm"], "groupware": n["updated_groupware"]},
            "deleted": {"crm": n["deleted_crm"], "groupware": n["deleted_groupware"]},
            "linked": n["linked"],
            "withheld": n["withheld"],
            **({"passed-over": self.report.passed_over} if self.report.passed_over else {}),
            "redacted": n["redacted"],
            "resting": n["resting"],
            "parked": n["parked"],
            "conflicts": n["conflicts"],
            "held": n["held"],
            "waiting": n["waiting"],
            "requests": {"groupware": self.requests[0], "crm": self.requests[1]},
        }


def run_one(
    pairing: Pairing,
    everyone: Sequence[Pairing],
    store: Store,
    key: bytes,
    now: datetime,
    *,
    full: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    crm_just_read: bool = False,
) -> Result:
    """One pass, under the pairing's lease. Raises nothing: what went wrong stands in the result."""
    ctx = Context(pairing, store, Moment(now), key, everyone, full, progress=progress, crm_just_read=crm_just_read)
    before = (pairing.replica.requests, pairing.crm.requests)
    outcome, error, retry = "ok", "", None
    log = logger(pairing=pairing.id)
    try:
        with _leased(ctx) as other:
            if other == FORGOTTEN:
                outcome, error = FORGOTTEN, "the employee was forgotten and is left alone"
            elif other:
                outcome, error = "busy", f"another syncd is at work on it ({other})"
            else:
                run_pass(ctx)
                outcome = "held" if ctx.report.held else "ok"
    except AuthFailed as fault:
        outcome, error = "sign-in failed", str(fault)
    except Transient as fault:
        outcome, error, retry = "server not ready", str(fault), fault.retry_after
    except PortError as fault:
        outcome, error = "server failed", str(fault)
    except StoreFault as fault:
        outcome, error = "store not ready", str(fault)
    except Fenced as fault:
        outcome, error = "busy", str(fault)
    except Exception as fault:
        outcome, error = "failed", f"unexpected {type(fault).__name__}"
    _tidy(pairing, store, ctx.report)
    requests = (pairing.replica.requests - before[0], pairing.crm.requests - before[1])
    if error:
        log.warning("pass failed" if outcome not in ("busy", FORGOTTEN) else "left alone", outcome=outcome, error=error)
    else:
        counts = {k: v for k, v in ctx.report.numbers().items() if v}
        (log.info if counts else log.debug)("pass", **counts)
    return Result(pairing.id, ctx.report, outcome, requests, error, retry)


def _tidy(pairing: Pairing, store: Store, report: Report) -> None:
    """What was taken back goes from the databases' files too, while they are open."""
    if not (report.redacted or store.untidy):
        return
    store.untidy = True
    with suppress(StoreFault, PortError):
        emptied = store.tidy()
        store.untidy = not (emptied and (not isinstance(pairing.crm, Tidying) or pairing.crm.tidy()))


@contextmanager
def _leased(ctx: Context) -> Iterator[str]:
    """Holds the pairing's lease, renewed at each batch; yields who has it when it is another's. Who was forgotten since
    the configuration was read is not taken part in, nor told of what happens in the CRM."""
    store, name, began = ctx.store, lease.lease_name(ctx.pairing.id), monotonic()
    with store.transaction() as tx:
        gone = forgotten(tx, ctx.key, {p.employee.id for p in ctx.everyone})
        if ctx.pairing.employee.id in gone:  # what others have noted of the person meanwhile goes too
            remove(tx, [ctx.pairing.id], ctx.pairing.crm_name)
            held: lease.Lease | str = FORGOTTEN
        else:
            held = lease.take(tx, name, lease.this_process(), ctx.moment.now)
    if isinstance(held, str):
        yield held
        return
    ctx.everyone = [p for p in ctx.everyone if p.employee.id not in gone]
    told, back = ctx.progress, list[bool]()

    def progress(done: int) -> None:
        with store.transaction() as tx:
            lease.renew(tx, held, ctx.moment.now + timedelta(seconds=monotonic() - began))
        told(done)

    def at_end(tx: Transaction) -> None:
        lease.give_back(tx, held)
        back.append(True)

    ctx.store, ctx.progress, ctx.at_end = store.fenced(held), progress, at_end
    try:
        yield ""
    finally:
        if not back:
            with suppress(StoreFault), store.transaction() as tx:
                lease.give_back(tx, held)


def run_all(
    pairings: Iterable[Pairing],
    store: Store,
    key: bytes,
    now: Callable[[], datetime],
    *,
    full: bool = False,
    progress: Callable[[str, int], None] = lambda pairing, done: None,
) -> list[Result]:
    """One pass over each pairing, one after the other."""
    everyone = list(pairings)
    found: dict[str, Result] = {}
    for pairing in everyone:

        def note(done: int, pairing: Pairing = pairing) -> None:
            progress(pairing.id, done)

        found[pairing.id] = run_one(pairing, everyone, store, key, now(), full=full, progress=note)
    return list(found.values())


def once_more(results: Iterable[Result], chosen: Iterable[Pairing]) -> list[Pairing]:
    """The pairings that are to make another pass at once, as one has asked another a question (is an item that
    is new here still there?): first those that were asked, then those that asked."""
    asked = [(r.pairing, r.report.again) for r in results if r.report.again]
    who = {pairing for pairing, _ in asked}
    every = who.union(*(again for _, again in asked))
    return sorted((p for p in chosen if p.id in every), key=lambda p: p.id in who)


def exit_status(results: Iterable[Result]) -> int:
    """0 done, 1 something waits for a person (parked, held, in conflict, guests to be told), 3 a server or
    sign-in failed."""
    found = list(results)
    if any(r.failed for r in found):
        return 3
    waits = (n for r in found for n in (r.report.parked, r.report.held, r.report.conflicts, r.report.waiting))
    return 1 if any(waits) else 0
