"""Which items a mapping takes: its include and exclude conditions, and its window.

Pure; judged in the item's own terms, after the privacy filter.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.mapping.mail import passed_over
from syncd.mapping.schema import Condition, MappingFile
from syncd.model.fields import Fields
from syncd.model.names import matches, one_forms
from syncd.model.people import People


def met(condition: Condition, fields: Fields, known: Mapping[str, str]) -> bool:
    """True when the item's fields meet the condition; `known` says whom the CRM knows."""
    if condition.category is not None:
        return bool(one_forms(condition.category) & one_forms(fields.get("categories") or ()))
    if condition.sensitivity is not None:
        return (fields.get("sensitivity") or "public") in condition.sensitivity
    if condition.status is not None:
        return fields.get("status") in condition.status
    if condition.show_as is not None:
        return (fields.get("show-as") or "busy") in condition.show_as
    if condition.all_day is not None:
        span = fields.get("time")
        return span is not None and span.all_day is condition.all_day
    if condition.folder is not None:
        folder = str(fields.get("folder") or "")
        return any(matches(folder, pattern) for pattern in condition.folder)
    if condition.flagged is not None:
        return bool(fields.get("flagged")) is condition.flagged
    if condition.kind is not None:
        return bool(set(condition.kind) & set(fields.get("traits") or ()))
    people: People = fields.get("attendees") or People()
    if condition.attendee == "none":
        return not people
    if condition.attendee == "any":
        return bool(people)
    return any(known.get(address) in ("contact", "account") for address in people)


def taken(mapping: MappingFile, fields: Fields, known: Mapping[str, str]) -> bool:
    """True when the mapping lets the item cross."""
    if mapping.item == "message" and passed_over(mapping.mail, mapping.activity) & set(fields.get("traits") or ()):
        return False
    if any(met(c, fields, known) for c in mapping.exclude):
        return False
    include = mapping.include
    if include.any and not any(met(c, fields, known) for c in include.any):
        return False
    return all(met(c, fields, known) for c in include.all)


def needs_people(mapping: MappingFile) -> bool:
    """True when a condition asks whom the CRM knows."""
    every = [*mapping.include.any, *mapping.include.all, *mapping.exclude]
    return any(c.attendee == "known-contact" for c in every)
