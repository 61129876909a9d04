"""One pass over one pairing: recover, feed, settle. Each can be interrupted at any point."""

from __future__ import annotations

from datetime import UTC, timedelta

from syncd.engine.context import Context, Report
from syncd.engine.feed import feed_crm, feed_items, feed_people
from syncd.engine.heirs import take_over_what_went
from syncd.engine.leaving import answer, questions, withdraw
from syncd.engine.mailroom import for_mail
from syncd.engine.marks import show_marks
from syncd.engine.recover import recover
from syncd.engine.settle import settle
from syncd.ports import AuthFailed, PortError, Transient
from syncd.store.journal import approve, end_run, runs, standing

#: A clock that was set back by less has changed nothing.
CLOCKS = timedelta(hours=1)


def run_pass(ctx: Context) -> Report:
    """Brings the pairing into step.

    Raises Transient (back off this mailbox), AuthFailed (stop this account) and other PortErrors of
    the feeds; what was done until then is done, and the rest is still announced.
    """
    for_mail(ctx)
    pairing = ctx.pairing.id
    with ctx.store.reading() as tx:
        last = runs(tx, pairing).get(pairing, {})
        ctx.asked = tx.settings(questions(pairing))
    ctx.approved = int(last.get("approved") or 0)
    ctx.anew = _clock_went_back(ctx, last.get("started", ""))
    outcome = "failed"
    try:
        recover(ctx)
        feed_items(ctx)
        take_over_what_went(ctx)
        feed_crm(ctx)
        feed_people(ctx)
        settle(ctx)
        show_marks(ctx)
        if ctx.retry_after is not None:
            raise Transient("the server asks for a break", ctx.retry_after)
        outcome = "held" if ctx.report.held else "ok"
    except AuthFailed:
        outcome = "sign-in failed"
        raise
    except Transient:
        outcome = "server not ready"
        raise
    except PortError:
        outcome = "server failed"
        raise
    finally:
        if outcome != "failed":
            _end(ctx, outcome)
    return ctx.report


def _clock_went_back(ctx: Context, last: str) -> bool:
    """True when the last pass was later than now: what it took for past, or for far ahead, is looked at anew."""
    return bool(last) and last > (ctx.moment.now + CLOCKS).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _end(ctx: Context, outcome: str) -> None:
    with ctx.store.transaction() as tx:
        ctx.report.parked, ctx.report.conflicts, ctx.report.waiting = standing(tx, ctx.pairing.id)
        if ctx.report.parked and outcome == "ok":
            outcome = "parked"
        if outcome in ("ok", "held", "parked"):
            answer(ctx, tx)
            withdraw(ctx, tx)
        if ctx.approved and outcome in ("ok", "parked"):
            approve(tx, ctx.pairing.id, 0)
        end_run(tx, ctx.pairing.id, ctx.moment.text, "ok" if outcome == "parked" else outcome, ctx.report.numbers())
        ctx.at_end(tx)
