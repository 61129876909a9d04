"""Occurrences of a series that differ or are left out, written one by one.

Exchange forgets both when the rule or the time of the series is written, and brings a deleted occurrence
back in no other way. So a series whose rule changes, or which gets an occurrence back, is written anew,
and then what is wanted of its occurrences is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.exchange.items import Items
from connectors.exchange.series import index_of
from syncd.model.fields import Fields, same
from syncd.model.recurrence import Recurrence
from syncd.model.span import like, parse_moment
from syncd.ports import Gone


def rewrites(seen: Recurrence, wanted: Recurrence, *, moved: bool) -> bool:
    """Whether the rule has to be written (again)."""
    if seen.rule != wanted.rule:
        return True
    return bool(wanted.rule) and (moved or bool(seen.exdates - wanted.exdates))


def edit_series(
    items: Items,
    master: str,
    usual: Fields,
    before: Recurrence,
    wanted: Recurrence,
    edits: Callable[[Mapping[str, Any], Any], Any],
) -> int:
    """Writes what `wanted` has of occurrences and `before` has not; how many were written. `usual` are the
    series' own fields, its time in the zone in which it stands. Raises PortErrors; Unsupported when an
    occurrence is not one of the rule's."""
    written, span = 0, usual["time"]
    for key in sorted(wanted.exdates - before.exdates):
        try:
            items.delete_occurrence(master, index_of(key, span, wanted))
            written += 1
        except Gone:
            pass  # left out already
    for key in sorted(wanted.overrides.keys() | before.overrides.keys()):
        if key in wanted.exdates:
            continue
        here = {**usual, "time": span.moved_to(like(parse_moment(key), span.start))}
        changes = _differs(before.overrides.get(key, {}), wanted.overrides.get(key, {}), here)
        made = edits(changes, None) if changes else []
        if made:
            items.update_occurrence(master, index_of(key, span, wanted), "CalendarItem", made)
            written += 1
    return written


def _differs(before: Mapping[str, Any], wanted: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one occurrence that are to be written; one that no longer differs gets the series' value."""
    found = {n: v for n, v in wanted.items() if not (n in before and same(n, before[n], v))}
    found |= {n: usual.get(n) for n in before if n not in wanted}
    return {n: v for n, v in found.items() if n != "attendees"}
