"""Is it inside the window, when will it be, and is it over? Pure.

A link rests outside its window and nothing is deleted because time passes (design §5; lesson 14).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

from syncd.model.fields import Fields
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, as_instant


def inside(fields: Fields, bounds: tuple[datetime, datetime], zone: tzinfo) -> bool:
    """True when the record, or an occurrence of it, touches the window.

    A record without a time (a task without a due date) is always inside. Raises BadRule.
    """
    after, before = bounds
    span: Span | None = fields.get("time")
    if span is None:
        due = fields.get("due")
        return due is None or after <= as_instant(due, zone) < before
    recurrence: Recurrence = fields.get("recurrence") or Recurrence()
    if as_instant(span.start, zone) < before and as_instant(span.end, zone) >= after:
        return True
    if recurrence.empty:
        return False
    return next(iter(starts(span, recurrence, after - span.length, before)), None) is not None


def wakes(fields: Fields, bounds: tuple[datetime, datetime], now: datetime, zone: tzinfo) -> date | None:
    """The day on which a record that lies ahead of the window comes into it; None for the past."""
    span: Span | None = fields.get("time")
    begins = span.start if span is not None else fields.get("due")
    if begins is None:
        return None
    start = as_instant(begins, zone)
    return enters(start, bounds, now) if start >= bounds[1] else None


def enters(start: datetime, bounds: tuple[datetime, datetime], now: datetime) -> date:
    """The day on which the window, which moves at midnight UTC, reaches a start that lies ahead."""
    return now.astimezone(UTC).date() + timedelta(days=(start - bounds[1]).days + 1)


def ends_on(fields: Fields, now: datetime, zone: tzinfo) -> date | None:
    """The day after the one on which an appointment ends (a series: its last occurrence); None for one that is
    over, or has no end that can be seen."""
    span: Span | None = fields.get("time")
    if span is None:
        return None
    recurrence: Recurrence = fields.get("recurrence") or Recurrence()
    end = as_instant(span.end, zone)
    if not recurrence.empty:
        horizon = now + timedelta(days=800)
        ahead = list(starts(span, recurrence, now - span.length, horizon))
        if not ahead:
            return None
        end = as_instant(ahead[-1], zone) + span.length
    return end.astimezone(UTC).date() + timedelta(days=1) if end > now else None


def over(fields: Fields, now: datetime, zone: tzinfo) -> bool:
    """True when an appointment has ended (a series: its last occurrence), or a task is done."""
    span: Span | None = fields.get("time")
    if span is None:
        return fields.get("status") == "completed"
    recurrence: Recurrence = fields.get("recurrence") or Recurrence()
    if as_instant(span.end, zone) > now:
        return False
    if recurrence.empty:
        return True
    horizon = now + timedelta(days=3660)
    return next(iter(starts(span, recurrence, now - span.length, horizon)), None) is None
