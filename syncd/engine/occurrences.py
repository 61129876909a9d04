"""A series as single occurrences, for a CRM that holds none, and single edits as a series again.

An expanded series is one item with many links, one an occurrence, each known by its original
start. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType

from syncd.mapping.lens import Lens
from syncd.model.fields import Fields, Value, same
from syncd.model.recurrence import Recurrence, shifted, starts
from syncd.model.span import Moment, Span, as_instant, like, moment_key, parse_moment


def expand(fields: Fields, bounds: tuple[datetime, datetime]) -> dict[str, dict[str, Value]]:
    """Original start's key -> the occurrence's fields, for those that touch the window.

    Raises BadRule.
    """
    span: Span = fields["time"]
    recurrence: Recurrence = fields["recurrence"]
    after, before = bounds
    found: dict[str, dict[str, Value]] = {}
    for start in starts(span, recurrence, after - span.length, before):
        found[moment_key(start)] = _occurrence(fields, span, recurrence, start)
    for key in recurrence.overrides:  # moved into the window from outside of it
        if key not in found and key not in recurrence.exdates:
            made = _occurrence(fields, span, recurrence, like(parse_moment(key), span.start))
            if after <= as_instant(made["time"].end) and as_instant(made["time"].start) < before:
                found[key] = made
    return found


def _occurrence(fields: Fields, span: Span, recurrence: Recurrence, start: Moment) -> dict[str, Value]:
    made = {name: value for name, value in fields.items() if name != "recurrence"}
    made["time"] = span.moved_to(start)
    made.update(recurrence.overrides.get(moment_key(start), {}))
    return made


def next_start(fields: Fields, before: datetime) -> datetime | None:
    """When the first occurrence behind the window begins; None when there is none for two years."""
    found = starts(fields["time"], fields["recurrence"], before, before + timedelta(days=800))
    return next((as_instant(start) for start in found), None)


def inside_key(key: str, bounds: tuple[datetime, datetime]) -> bool:
    """True when an occurrence with that original start lies in the window."""
    return bounds[0] <= as_instant(parse_moment(key)) < bounds[1]


def later_keys(fields: Fields, before: datetime, number: int) -> list[str]:
    """The keys of that many occurrences behind the window, as far as two years ahead."""
    found = starts(fields["time"], fields["recurrence"], before, before + timedelta(days=800))
    return [moment_key(start) for start in islice(found, number)]


def rekeyed(
    known: Sequence[str],
    present: Sequence[str],
    later: Sequence[str],
    removed: Collection[str],
    bounds: tuple[datetime, datetime],
) -> dict[str, str]:
    """Old key -> new key, where the series as a whole was moved.

    Known occurrences that are no longer there and new ones that nobody knows are matched: first by
    date, then, when there are as many of one as of the other, or none is where it was, in their order; those
    that the window leaves out with the ones that are `later`. So moving a series
    moves its activities instead of cancelling them all (scenario A7). An occurrence that was removed
    by name (an EXDATE) was not moved, whatever comes into the window on the same day.
    """
    whole = not set(known) & set(present)
    lost = sorted(k for k in known if k and k not in set(present) and k not in removed and inside_key(k, bounds))
    fresh = sorted(k for k in present if k not in set(known))
    matched: dict[str, str] = {}
    for key in list(lost):
        same_day = next((k for k in fresh if k[:8] == key[:8]), None)
        if same_day is not None:
            matched[key] = same_day
            fresh.remove(same_day)
            lost.remove(key)
    if len(lost) == len(fresh) or whole:
        matched.update(zip(lost, [*fresh, *(k for k in later if k not in set(known))], strict=False))
    return matched


def in_items_words(held: Fields, shown: Recurrence, wanted: Recurrence, lens: Lens, time: Span | None) -> Recurrence:
    """The recurrence to write, in the item's terms: only what was changed is said in the CRM's words. What the
    mapping does not know, or knows in fewer words (a tentative occurrence), stays as the item has it.

    Args:
        held: the item's fields as admitted.
        shown: its recurrence in the activity's terms; `wanted`: the same with the changes.
        time: where the series is moved to by the same write.
    """
    own: Recurrence = held.get("recurrence") or Recurrence()
    if time is not None and isinstance(held.get("time"), Span):
        before = held["time"].start
        own, shown = shifted(own, before, time.start), shifted(shown, before, time.start)
    overrides: dict[str, Mapping[str, Value]] = {}
    for key in {*own.overrides, *wanted.overrides} - wanted.exdates:
        was, now = shown.overrides.get(key, {}), wanted.overrides.get(key, {})
        if key in shown.overrides and key not in wanted.overrides:
            continue
        changed = {n: v for n, v in now.items() if n not in was or not same(n, was[n], v)}
        gone = {lens.rules[n].item for n in was.keys() - now.keys() if n in lens.rules}
        made = {n: v for n, v in own.overrides.get(key, {}).items() if n not in gone} | lens.to_item(changed)
        if made:
            overrides[key] = MappingProxyType(made)
    return Recurrence(wanted.rule, wanted.rdates, wanted.exdates, MappingProxyType(overrides))


def with_occurrences(
    fields: Fields, changes: Mapping[str, Fields], removed: Iterable[str], restored: Iterable[str] = ()
) -> Recurrence:
    """The series after single occurrences were edited (item fields by key), removed, or brought back."""
    recurrence: Recurrence = fields["recurrence"]
    overrides: dict[str, Mapping[str, Value]] = dict(recurrence.overrides)
    for key, changed in changes.items():
        overrides[key] = MappingProxyType({**overrides.get(key, {}), **changed})
    gone = set(removed)
    for key in gone:
        overrides.pop(key, None)
    exdates = (recurrence.exdates - frozenset(restored)) | gone
    return replace(recurrence, exdates=exdates, overrides=MappingProxyType(overrides))
