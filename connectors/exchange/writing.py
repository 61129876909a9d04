"""Writes the occurrences of a series, one by one.

An occurrence is named by its number in the series, and servers count otherwise: with those that were deleted, or
without. So whoever is named by a number is looked at first, and is written under the id and the change key that
this look has shown, if it is the one that was meant; else nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.exchange.edit import updates
from connectors.exchange.event import Series
from connectors.exchange.items import Items
from connectors.exchange.occurrences import OWN, TIMES, Edits
from connectors.exchange.plan import Plan, followed, occurrence, same_value, tag_of
from connectors.exchange.xml import PLAN, Edit, el, item_id, moment, property_uri, said
from syncd.ports import Gone, PortError, Rejected, Stale

#: By which an occurrence says which one it is.
_WHICH = ("calendar:Start", "calendar:CalendarItemType", "calendar:OriginalStart", "calendar:RecurrenceId")
#: What is asked of an occurrence before it is written.
_LOOK = (*_WHICH, *OWN, "calendar:End", "calendar:IsAllDayEvent", "calendar:StartTimeZone", "calendar:EndTimeZone",
         "calendar:IsCancelled", "calendar:AppointmentState")  # fmt: skip


@dataclass
class Writer:
    """The occurrences of one series, as it stands on the server now."""

    items: Items
    ref: str
    series: Series
    edits: Edits
    #: The guests may be told.
    tell: bool = False
    written: int = 0
    _deleted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._deleted = set(self.series.deleted)

    def leave_out(self, key: str) -> None:
        """Deletes an occurrence; one that is deleted already stays so. Raises PortErrors."""
        if key in self._deleted:
            return
        place, _ = self._place(key)
        self.items.delete(place, tell=self.tell)
        self._deleted.add(key)
        self.written += 1

    def write(self, key: str, made: Callable[[Any], Sequence[Edit]]) -> None:
        """Writes into an occurrence what `made` says of it as it stands. Raises PortErrors."""
        place, element = self._place(key)
        found = made(element)
        if found:
            self.items.write(place, updates("CalendarItem", found), tell=self.tell)
            self.written += 1

    def _place(self, key: str) -> tuple[Any, Any]:
        """Where an occurrence is, and what stands there. Raises Rejected when the server shows another one."""
        known = self.series.exceptions.get(key)
        number = self.series.starts.number(key)
        visible = number - sum(0 < self.series.starts.number(k) < number for k in self._deleted)
        asked = [el("t:ItemId", Id=known)] if known else []
        for n in dict.fromkeys((number, visible)) if not known and number else ():
            asked.append(el("t:OccurrenceItemId", RecurringMasterId=self.ref, InstanceIndex=str(n)))
        faults: list[PortError] = []
        for place, found in zip(asked, self.items.look(asked, _LOOK) if asked else (), strict=True):
            if isinstance(found, PortError):
                faults.append(found)
            elif self._is(key, found, known=bool(known)):
                ref, version = item_id(found)
                own = ref and ref != self.ref and said(found, "CalendarItemType") in ("Occurrence", "Exception")
                return (el("t:ItemId", Id=ref, ChangeKey=version) if own else place), found
        refused = next((f for f in faults if not isinstance(f, Gone)), None)
        raise refused or Rejected("the server does not show the occurrence of this series that is meant")

    def _is(self, key: str, found: Any, *, known: bool) -> bool:
        """Whether this is the occurrence with that original start. One of which a listing said so need not say
        it again."""
        text = said(found, "OriginalStart") or said(found, "RecurrenceId")
        if not text and said(found, "CalendarItemType") == "Occurrence":
            text = said(found, "Start")
        if not text:
            return known
        return self.series.starts.reported(moment(text, self.series.where), self.series.where) == key


def carry_out(writer: Writer, plan: Plan, there: Mapping[str, Any], *, fresh: bool) -> None:
    """Brings the occurrences to where a plan has them. `there`: those that differ, as they are; `fresh`: the series
    was written just now, so that what stands there is not yet what is meant; else what differs already is as
    somebody wants it. Raises PortErrors."""
    series = writer.series
    for key in sorted(plan.without):
        writer.leave_out(key)
    for key in sorted(plan.differing.keys() | there.keys()):
        if key in plan.without or key in series.deleted:
            continue
        edits = list(plan.differing.get(key, ()))
        if key in there:
            edits = [
                *followed(plan, series.item, there[key], key),
                *(_still(writer, plan, key, there[key]) if fresh else ()),
            ]
        if edits:
            writer.write(key, lambda element, edits=edits: edits)  # type: ignore[misc]


def _still(writer: Writer, plan: Plan, key: str, there: Any) -> list[Edit]:
    """What an occurrence that differs has to be given still, or to give up."""
    if key not in plan.differing:
        return []
    series, meant = writer.series, plan.differing[key]
    edits = [(uri, value) for uri, value in meant if uri not in TIMES and not _holds(there, uri, value)]
    timed = [(uri, value) for uri, value in meant if uri in TIMES]
    if any(not _at(series, there, uri, value) for uri, value in timed):
        edits += timed
    if not plan.whole:
        return edits
    usual = occurrence(series.item, *series.bounds(key))
    named = [uri for uri, _ in meant]
    for uri in OWN:
        theirs = usual.find(tag_of(uri, None))
        if uri not in named and not same_value(there.find(tag_of(uri, None)), theirs):
            edits.append((uri, theirs))
    if not timed and series.at(key, there)["time"] != series.usual(key):
        edits += writer.edits({"time": series.usual(key)}, there)
    return edits


def _holds(there: Any, uri: Any, value: Any) -> bool:
    return isinstance(uri, str) and same_value(there.find(tag_of(uri, value)), value)


def _at(series: Series, there: Any, uri: str, value: Any) -> bool:
    """Whether an occurrence is at this time already; whatever the zone is called, an instant is an instant."""
    held = there.find(tag_of(uri, value))
    if uri in ("calendar:Start", "calendar:End"):
        return held is not None and moment(held.text or "", series.where) == moment(value.text or "", series.where)
    return uri != "calendar:IsAllDayEvent" or same_value(held, value)


def discharge(items: Items, ref: str, version: str = "") -> None:
    """Takes the plan away, as all is written; where somebody is at the item just now, another time. `version`: the
    item's change key, if nothing was written since it was read."""
    try:
        change = updates("CalendarItem", [(property_uri(PLAN), None)])
        items.write(el("t:ItemId", Id=ref, ChangeKey=version or items.version(ref)), change)
    except (Stale, Gone):
        pass
