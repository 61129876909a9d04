"""What is wanted of a series' occurrences, worked out before anything is written. Pure.

A recurrence is applied as the difference from what the engine was shown, so that an occurrence that it was not
shown stays as it is. Whatever cannot be written is refused here, before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from connectors.exchange.plan import apply, same_value, tag_of
from connectors.exchange.series import Starts
from connectors.exchange.xml import Edit, T, yes
from syncd.model.fields import same
from syncd.model.recurrence import Recurrence, shifted
from syncd.model.span import Moment
from syncd.ports import Unsupported

#: The properties in which an occurrence may differ from its series (MS-OXOCAL §2.2.1.44.2), beside its time.
OWN = (
    "item:Subject", "item:Sensitivity", "item:Body", "item:Categories", "item:Importance", "item:ReminderIsSet",
    "item:ReminderMinutesBeforeStart", "calendar:LegacyFreeBusyStatus", "calendar:Location",
)  # fmt: skip
#: Asked of occurrences that are about to be written again: what can be written, and what can not.
URIS_OF_OWN = (*OWN, "item:HasAttachments")
TIMES = (
    "calendar:Start", "calendar:End", "calendar:IsAllDayEvent", "calendar:StartTimeZone", "calendar:EndTimeZone",
)  # fmt: skip
#: Field -> the properties that hold it.
PROPERTIES: Mapping[str, Sequence[str]] = {
    "summary": ("item:Subject",),
    "description": ("item:Body",),
    "location": ("calendar:Location",),
    "time": TIMES,
    "status": ("calendar:LegacyFreeBusyStatus",),
    "show-as": ("calendar:LegacyFreeBusyStatus",),
    "priority": ("item:Importance",),
    "sensitivity": ("item:Sensitivity",),
    "categories": ("item:Categories",),
}
#: The edits of some fields of what stands there now.
Edits = Callable[[Mapping[str, Any], Any], Iterable[Edit]]


def applied(full: Recurrence, seen: Recurrence, wanted: Recurrence) -> Recurrence:
    """`full` with what `wanted` has otherwise than `seen`."""
    exdates = (full.exdates - (seen.exdates - wanted.exdates)) | (wanted.exdates - seen.exdates)
    overrides: dict[str, Mapping[str, Any]] = {}
    for key in full.overrides.keys() | wanted.overrides.keys() | seen.overrides.keys():
        old, new = seen.overrides.get(key, {}), wanted.overrides.get(key, {})
        made = {n: v for n, v in full.overrides.get(key, {}).items() if not (n in old and n not in new)}
        made |= {n: v for n, v in new.items() if not (n in old and same(n, old[n], v))}
        if made and key not in exdates:
            overrides[key] = made
    return Recurrence(wanted.rule, frozenset(), exdates, overrides)


def settled(recurrence: Recurrence, starts: Starts, moved: Mapping[str, str] | None = None) -> Recurrence:
    """The recurrence by the keys of the occurrences that there are. A date that is none excludes nothing (RFC 5545
    §3.8.5.1). `moved`: the key that an original start of before the series moved has now. Raises Unsupported when
    what differs is no occurrence."""

    def named(key: str) -> str:
        return starts.named(key) or starts.named((moved or {}).get(key, key))

    exdates = frozenset(found for key in recurrence.exdates if (found := named(key)))
    overrides: dict[str, Mapping[str, Any]] = {}
    for key, fields in recurrence.overrides.items():
        found = named(key)
        if not found:
            raise Unsupported("the series has no occurrence with this original start")
        if found not in exdates:
            overrides[found] = fields
    return Recurrence(recurrence.rule, frozenset(), exdates, overrides)


def renamed(keys: Iterable[str], rule: str, before: Moment, after: Moment) -> dict[str, str]:
    """Original start -> the one that it has after the series' start moved."""
    marked = Recurrence(rule, overrides={key: {"summary": key} for key in keys})
    return {str(fields["summary"]): key for key, fields in shifted(marked, before, after).overrides.items()}


def lost(series: Any, there: Mapping[str, Any]) -> str:
    """What of the occurrences that are to stay could not be written again; "" for nothing."""
    for one in there.values():
        if yes(one, "HasAttachments") and not yes(series, "HasAttachments"):
            return "an occurrence has attachments of its own, which a change of the series would lose"
        if _guests(one) != _guests(series):
            return "an occurrence has guests of its own, whom a change of the series would lose"
    return ""


def _guests(item: Any) -> set[str]:
    names = ("RequiredAttendees", "OptionalAttendees", "Resources")
    return {(box.text or "").casefold() for name in names for box in item.iterfind(f"{T}{name}//{T}EmailAddress")}


def whole_edits(
    fields: Mapping[str, Any], was: Mapping[str, Any], old: Any, before: Any, after: Any, edits: Edits
) -> list[Edit]:
    """All in which an occurrence is to differ from its series. What was not changed is taken over as it stands,
    with what of it we do not know: formatted text, a reminder, "out of office".

    Args:
        fields, was: in which fields it is to differ, and differed.
        old: the occurrence as it stands, None for one that did not differ.
        before, after: the series, as it stands and as it is going to be.
    """
    made: dict[Any, Any] = {}
    if old is not None:
        for uri in OWN:
            mine, theirs = old.find(tag_of(uri, None)), before.find(tag_of(uri, None))
            if not same_value(mine, theirs) and not (mine is None and uri == "item:Sensitivity"):
                made[uri] = deepcopy(mine)
    for name in was.keys() - fields.keys():
        for uri in PROPERTIES.get(name, ()):
            made.pop(uri, None)
    stays = {n for n in fields if n in was and same(n, was[n], fields[n]) and n not in ("time", "status")}
    basis = deepcopy(after)
    apply(basis, made.items())
    made |= dict(edits({n: v for n, v in fields.items() if n not in stays and n != "attendees"}, basis))
    return list(made.items())


def changed_fields(before: Mapping[str, Any], wanted: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one occurrence that are to be written; one that no longer differs gets the series' value."""
    found = {n: v for n, v in wanted.items() if not (n in before and same(n, before[n], v))}
    found |= {n: usual.get(n) for n in before if n not in wanted}
    return {n: v for n, v in found.items() if n != "attendees"}
