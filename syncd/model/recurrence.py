"""Series: a rule, extra and left-out dates, and occurrences that differ (RFC 5545 §3.8.5).

An occurrence is known by the key of its original start (`moment_key`), so it stays the same
occurrence however its zone is spelt (lesson 22, 23). Expansion is by wall clock in the zone of
the start, as RFC 5545 wants it; dateutil does the calendar arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from dateutil.rrule import rrulestr

from syncd.model.span import Moment, Span, as_instant, like, moment_key, parse_moment

#: No expansion looks at more starts than this: a rule by the second is a fault, not a calendar.
MOST_OCCURRENCES = 5000


@dataclass(frozen=True)
class Recurrence:
    """What makes an entry a series."""

    #: RRULE's value, normalised by `normal_rule`; "" for a series of single dates.
    rule: str = ""
    rdates: frozenset[str] = frozenset()
    exdates: frozenset[str] = frozenset()
    #: Original start's key -> the fields in which that occurrence differs from the series.
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    def __hash__(self) -> int:
        return hash((self.rule, self.rdates, self.exdates, tuple(sorted(self.overrides))))

    @property
    def empty(self) -> bool:
        """True when there is nothing that repeats."""
        return not self.rule and not self.rdates


class BadRule(ValueError):
    """A rule that dateutil and RFC 5545 cannot read; the text is not quoted."""


def normal_rule(rule: str) -> str:
    """The rule with its parts in one order, so that equal rules are equal text.

    ``INTERVAL=1`` and ``WKST=MO`` are the defaults of RFC 5545 and go.
    """
    parts = {}
    for part in rule.strip().split(";"):
        name, _, value = part.partition("=")
        if value:
            parts[name.strip().upper()] = value.strip().upper()
    if parts.get("INTERVAL") == "1":
        del parts["INTERVAL"]
    if parts.get("WKST") == "MO":
        del parts["WKST"]
    order = ("FREQ", "INTERVAL", "COUNT", "UNTIL")
    names = [n for n in order if n in parts] + sorted(n for n in parts if n not in order)
    return ";".join(f"{n}={parts[n]}" for n in names)


def starts(span: Span, recurrence: Recurrence, after: datetime, before: datetime) -> Iterator[Moment]:
    """Original starts of the series that begin in [after, before), in order, EXDATEs left out.

    Raises BadRule when the rule cannot be read or yields more than `MOST_OCCURRENCES`.
    """
    found: dict[str, Moment] = {}
    if recurrence.rule:
        for moment in _by_rule(span.start, recurrence.rule, after, before):
            found.setdefault(moment_key(moment), moment)
    elif not recurrence.rdates or after <= as_instant(span.start) < before:
        found[moment_key(span.start)] = span.start
    for key in recurrence.rdates:
        moment = like(parse_moment(key), span.start)
        if after <= as_instant(moment) < before:
            found.setdefault(key, moment)
    for key in sorted(found, key=lambda k: as_instant(found[k])):
        if key not in recurrence.exdates:
            yield found[key]


def _by_rule(start: Moment, rule: str, after: datetime, before: datetime) -> Iterator[Moment]:
    timed = isinstance(start, datetime)
    zone = start.tzinfo if isinstance(start, datetime) else None
    first = start if isinstance(start, datetime) else datetime(start.year, start.month, start.day)  # noqa: DTZ001
    try:
        parsed = rrulestr(_until_like(rule, first), dtstart=first)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise BadRule("the recurrence rule cannot be read") from error
    lower = after.astimezone(zone) if zone else after.astimezone(UTC).replace(tzinfo=None)
    upper = before.astimezone(zone) if zone else before.astimezone(UTC).replace(tzinfo=None)
    for number, moment in enumerate(parsed.xafter(lower - timedelta(seconds=1), inc=False)):
        if moment >= upper:
            return
        if number >= MOST_OCCURRENCES:
            raise BadRule(f"the series has more than {MOST_OCCURRENCES} occurrences in its window")
        yield moment if timed else moment.date()


def _until_like(rule: str, first: datetime) -> str:
    """UNTIL in the form that dateutil wants: UTC for a zoned start, naive otherwise."""
    parts = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name.upper() == "UNTIL":
            if first.tzinfo is None:
                value = value.rstrip("Z")
            elif len(value) == 8:
                value += "T235959Z"
            elif not value.endswith("Z"):
                wall = datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=first.tzinfo)
                value = wall.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
            part = f"UNTIL={value}"
        parts.append(part)
    return ";".join(parts)
