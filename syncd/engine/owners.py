"""Occurrences that the CRM keeps for the one who answers for the series: a colleague's calendar leaves them out,
and whatever he does with the series does not touch them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from syncd.model.fields import Fields
from syncd.model.recurrence import Recurrence, shifted
from syncd.model.span import Span


def private_dates(recurrence: Recurrence) -> frozenset[str]:
    """The original starts of occurrences that say of themselves that they are private."""
    return frozenset(key for key, fields in recurrence.overrides.items() if fields.get("private"))


def for_colleague(fields: Fields) -> Fields:
    """An activity's fields without its private occurrences."""
    held: Recurrence = fields.get("recurrence") or Recurrence()
    keys = private_dates(held)
    if not keys:
        return fields
    shown = {key: changed for key, changed in held.overrides.items() if key not in keys}
    seen = replace(held, exdates=held.exdates | keys, overrides=MappingProxyType(shown))
    return {**fields, "recurrence": seen}


def with_private(changes: dict[str, Any], fields: Fields) -> None:
    """Puts the private occurrences of an activity (its `fields`) back into what a colleague makes of its series; what
    he typed into one of them, before it was private, is kept there."""
    held: Recurrence = fields.get("recurrence") or Recurrence()
    keys = private_dates(held)
    made: Recurrence | None = changes.get("recurrence")
    if not keys or made is None or made.empty:
        return
    old, new = fields.get("time"), changes.get("time")
    if isinstance(old, Span) and isinstance(new, Span):
        held = shifted(held, old.start, new.start)
        keys = private_dates(held)
    hidden: dict[str, Mapping[str, Any]] = {
        key: MappingProxyType({**held.overrides[key], **made.overrides.get(key, {})}) for key in keys
    }
    exdates = (made.exdates - keys) | (held.exdates & keys)
    changes["recurrence"] = replace(made, exdates=exdates, overrides=MappingProxyType({**made.overrides, **hidden}))
