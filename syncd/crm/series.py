"""Series in the CRM: a recurrence as JSON, what becomes of it when the series changes, and what of it
is its owner's alone.

An occurrence holds only what differs from its series; what it does not say it inherits. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from syncd.model.fields import kind_of
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence, shifted
from syncd.model.span import Moment, Span, like, moment_key, parse_moment, zone_named


def in_zone(key: str, zone: str) -> Moment:
    """The moment of a key, by the clock of the zone where it names one."""
    moment = parse_moment(key)
    tz = zone_named(zone)
    if isinstance(moment, datetime) and moment.tzinfo is not None and tz is not None:
        return moment.astimezone(tz)
    return moment


def span_of(starts: str, ends: str, zone: str) -> Span:
    """The columns as a span."""
    return Span(in_zone(starts, zone), in_zone(ends or starts, zone), zone)


def recurrence_text(recurrence: Recurrence) -> str:
    """A recurrence as JSON; "" where nothing repeats."""
    if recurrence.empty:
        return ""
    overrides = {
        key: {name: _plain(name, value) for name, value in fields.items()}
        for key, fields in recurrence.overrides.items()
    }
    parts = {
        "rule": recurrence.rule,
        "rdates": sorted(recurrence.rdates),
        "exdates": sorted(recurrence.exdates),
        "overrides": overrides,
    }
    return json.dumps(parts, sort_keys=True, ensure_ascii=False)


def recurrence_from(text: str) -> Recurrence:
    """What `recurrence_text` made. Raises ValueError for any other text."""
    if not text:
        return Recurrence()
    try:
        parts = json.loads(text)
        overrides = {
            key: MappingProxyType({name: _value(name, value) for name, value in fields.items()})
            for key, fields in parts["overrides"].items()
        }
        rdates, exdates = frozenset(parts["rdates"]), frozenset(parts["exdates"])
        return Recurrence(parts["rule"], rdates, exdates, MappingProxyType(overrides))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"this is no recurrence ({type(error).__name__})") from None


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Span):
        return [moment_key(value.start), moment_key(value.end), value.zone]
    if isinstance(value, People):
        return [[p.address, p.name, p.answer] for p in value.values()]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


def _value(name: str, value: Any) -> Any:
    kind = kind_of(name).name
    if kind == "span":
        return span_of(value[0], value[1], value[2])
    if kind == "people":
        return People([Participant(a, n, x) for a, n, x in value])
    if kind == "words":
        return frozenset(value)
    return value


# -- when the series changes -------------------------------------------------------------------------------------


def followed(text: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The recurrence of a series that is changed from `old` to `new` (both the series' own fields; a `time`
    is a Span or None) by somebody who says nothing of its recurrence: an occurrence whose field equals the
    series' old value follows; and when the start moves, all that is counted from it moves along. What says of itself
    that it is private stays so: that the series was as well, for a while, makes it nobody else's."""
    recurrence = recurrence_from(text)
    changed = {name for name, value in new.items() if name in old and not _same(name, old[name], value)}
    if _zone(old) != _zone(new):
        changed.add("time")
    before, after = old.get("time"), new.get("time")
    overrides: dict[str, Mapping[str, Any]] = {}
    for key, fields in recurrence.overrides.items():
        series = {**old, "time": _natural(before, key)}
        stay = {n: v for n, v in fields.items() if n not in changed or not _same(n, series.get(n), v)}
        if fields.get("private"):
            stay["private"] = True
        if stay or not fields:
            overrides[key] = MappingProxyType(stay)
    made = replace(recurrence, overrides=MappingProxyType(overrides))
    if before is not None and after is not None:
        made = _moved(made, before.start, after.start)
    return recurrence_text(made)


def _same(name: str, one: Any, other: Any) -> bool:
    kind = kind_of(name)
    return kind.canonical(one) == kind.canonical(other)


def _zone(fields: Mapping[str, Any]) -> str:
    span: Span | None = fields.get("time")
    return span.zone if span is not None else ""


def _natural(span: Span | None, key: str) -> Span | None:
    """When the occurrence is, unless it says something else."""
    return span.moved_to(like(parse_moment(key), span.start)) if span is not None else None


def _moved(recurrence: Recurrence, before: Moment, after: Moment) -> Recurrence:
    """As `shifted`; and where the series begins at the same instant by the clock of another zone, what
    follows is as many days and hours away by that clock as it was by the old one."""
    if moment_key(before) != moment_key(after):
        return shifted(recurrence, before, after)
    if not isinstance(before, datetime) or not isinstance(after, datetime) or str(before.tzinfo) == str(after.tzinfo):
        return recurrence
    aside = (after.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=after.tzinfo)
    return shifted(shifted(recurrence, before, aside), aside, after)


# -- what is its owner's alone -----------------------------------------------------------------------------------


def hidden(text: str) -> frozenset[str]:
    """The occurrences that say of themselves that they are private."""
    if '"private"' not in text:
        return frozenset()
    return frozenset(key for key, fields in recurrence_from(text).overrides.items() if fields.get("private"))


def for_others(text: str) -> str:
    """The recurrence as everybody but the owner sees it: a private occurrence is not there."""
    keys = hidden(text)
    if not keys:
        return text
    whole = recurrence_from(text)
    shown = {key: fields for key, fields in whole.overrides.items() if key not in keys}
    return recurrence_text(replace(whole, exdates=whole.exdates | keys, overrides=MappingProxyType(shown)))


def with_hidden(given: str, held: str) -> str:
    """What somebody else makes of a recurrence, with the private occurrences that were not shown."""
    keys = hidden(held)
    if not keys or not given:
        return given
    made, whole = recurrence_from(given), recurrence_from(held)
    overrides = {**made.overrides, **{key: whole.overrides[key] for key in keys}}
    exdates = (made.exdates - keys) | (whole.exdates & keys)
    return recurrence_text(replace(made, exdates=exdates, overrides=MappingProxyType(overrides)))
