"""Runs one pass over each pairing and says what became of it. One pairing's failure is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.logs import logger
from syncd.ports import AuthFailed, PortError, Transient
from syncd.store import Store


@dataclass(frozen=True)
class Result:
    """A pass over one pairing."""

    pairing: str
    report: Report
    #: ok, held, sign-in failed, server not ready, server failed, failed.
    outcome: str
    requests: tuple[int, int]
    error: str = ""
    retry_after: float | None = None

    @property
    def failed(self) -> bool:
        """True when the pass did not come to its end."""
        return self.outcome not in ("ok", "held")

    def as_json(self) -> dict[str, Any]:
        """The pass in the documented, stable form (docs/reference-json.md)."""
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
            "redacted": n["redacted"],
            "resting": n["resting"],
            "parked": n["parked"],
            "conflicts": n["conflicts"],
            "held": n["held"],
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
) -> Result:
    """One pass. Raises nothing: what went wrong stands in the result."""
    ctx = Context(pairing, store, Moment(now), key, everyone, full=full, progress=progress)
    before = (pairing.replica.requests, pairing.crm.requests)
    outcome, error, retry = "ok", "", None
    log = logger(pairing=pairing.id)
    try:
        run_pass(ctx)
        outcome = "held" if ctx.report.held else "ok"
    except AuthFailed as fault:
        outcome, error = "sign-in failed", str(fault)
    except Transient as fault:
        outcome, error, retry = "server not ready", str(fault), fault.retry_after
    except PortError as fault:
        outcome, error = "server failed", str(fault)
    except Exception as fault:
        outcome, error = "failed", f"unexpected {type(fault).__name__}"
    requests = (pairing.replica.requests - before[0], pairing.crm.requests - before[1])
    if error:
        log.warning("pass failed", outcome=outcome, error=error)
    else:
        log.info("pass", **{k: v for k, v in ctx.report.numbers().items() if v})
    return Result(pairing.id, ctx.report, outcome, requests, error, retry)


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
    results = []
    for pairing in everyone:

        def note(done: int, pairing: Pairing = pairing) -> None:
            progress(pairing.id, done)

        results.append(run_one(pairing, everyone, store, key, now(), full=full, progress=note))
    return results


def exit_status(results: Iterable[Result]) -> int:
    """0 done, 1 some links parked, held or in conflict, 3 a server or sign-in failed."""
    found = list(results)
    if any(r.failed for r in found):
        return 3
    return 1 if any(r.report.parked or r.report.held or r.report.conflicts for r in found) else 0
