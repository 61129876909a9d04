"""Makes and changes series: the series itself, then its occurrences.

Exchange has no request that writes both, and forgets moved and deleted occurrences when the time or the rule of
their series is written; a deleted one comes back in no other way. So everything is worked out first (`occurrences`),
the request that makes something go carries what is to stand in the end (`plan`), then the occurrences are written
(`writing`), and the plan is taken away. Whoever finds it there finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from connectors.exchange import edit, event
from connectors.exchange.event import Series, event_fields, recurrence_of, series_name
from connectors.exchange.items import Items
from connectors.exchange.occurrences import (
    URIS_OF_OWN,
    applied,
    changed_fields,
    lost,
    renamed,
    settled,
    whole_edits,
)
from connectors.exchange.plan import Plan, apply, held_before, plan_of
from connectors.exchange.series import Starts, write_rule
from connectors.exchange.writing import Writer, carry_out, discharge
from connectors.exchange.xml import PLAN, RULE, Edit, T, item_id
from syncd.model.fields import Fields, same
from syncd.model.record import Record
from syncd.model.recurrence import BadRule, Recurrence, shifted
from syncd.model.span import Span, rounded
from syncd.ports import PortError, Rejected, Stale, Unsupported, Written


class SeriesWrites:
    """The series of one calendar."""

    def __init__(self, items: Items, zone: str) -> None:
        self.items = items
        self.zone = zone

    def create(self, edits: list[Edit], recurrence: Recurrence, span: Span, folder: Any) -> Written:
        """Makes a series with these properties. Raises Unsupported before anything is made."""
        local = self._local(span, None)
        edits = [*edits, *_rule(recurrence, local, None)]
        wanted = settled(recurrence, _starts(local, recurrence.rule))
        made = edit.new_item("CalendarItem", edits)
        differing = {k: whole_edits(f, {}, None, made, made, self._edits) for k, f in wanted.overrides.items()}
        plan = Plan(series_name(recurrence.rule, local), wanted.exdates, differing, whole=True)
        if not plan:
            ref, version = self.items.create(made, folder)
            return Written(ref, version or None)
        ref, _ = self.items.create(edit.new_item("CalendarItem", [*edits, edit.stamp(PLAN, plan.text())]), folder)
        self._carry_out(ref, plan, tell=False)
        return Written(ref, None)

    def update(self, record: Record, changes: Fields, wanted: Recurrence, *, tell: bool) -> Written:
        """Writes changes into a series, or into what becomes one or ceases to be one. `wanted`: its recurrence
        afterwards; where the changes move the start and say nothing of the recurrence, as it was before."""
        item = record.native
        _, series = event_fields(item, self.zone)
        seen: Recurrence = record.fields.get("recurrence") or Recurrence()
        moved = "time" in changes
        if moved and series is not None and wanted.rule:
            new = changes["time"]
            moved = not same("time", series.span, new) and not same("time", series.span, self._local(new, item))
            changes = changes if moved else {n: v for n, v in changes.items() if n != "time"}
        edits = list(edit.event_edits(changes, item, self.zone, series=bool(wanted.rule)))
        if not wanted.rule:
            edits += _rule(wanted, record.fields["time"], item)
            return Written(record.ref, self._write(record, edits, tell=tell))
        restored = series is not None and bool(series.deleted & (seen.exdates - wanted.exdates))
        if series is not None and wanted.rule == series.rule and not (moved or restored or wanted.rdates):
            return self._in_place(record, series, edits, seen, wanted, changes, tell=tell)
        span = self._local(changes.get("time", record.fields["time"]), item)
        if series is not None and moved:
            seen = shifted(seen, self._local(series.span, item).start, span.start)
            wanted = wanted if "recurrence" in changes else seen
        _rule(wanted, span, item)  # what cannot be held at all is refused before anything else is asked
        return self._anew(record, series, edits, span, seen, wanted, tell=tell)

    def finish(self, ref: str) -> None:
        """Finishes what an earlier write has left half done. Raises PortErrors."""
        item, series, there = self._now(ref)
        plan = plan_of(item, series.name) if series is not None else None
        written = 0
        if plan is not None and series is not None:
            writer = Writer(self.items, ref, series, self._edits)
            carry_out(writer, plan, there, fresh=False)
            written = writer.written
        discharge(self.items, ref, "" if written else item_id(item)[1])

    # -- all of it: what the first request makes go is written again -----------------------------------------------

    def _anew(
        self,
        record: Record,
        series: Series | None,
        edits: list[Edit],
        span: Span,
        seen: Recurrence,
        wanted: Recurrence,
        *,
        tell: bool,
    ) -> Written:
        item: Any = record.native
        there: Mapping[str, Any] = {}
        was = Recurrence(wanted.rule)
        names: dict[str, str] = {}
        if series is not None:
            names = self._names(series, span, wanted)
            item, differing_now = self._read(record, series)
            full = recurrence_of(series, differing_now, series.deleted)
            there = {names.get(k, k): element for k, element in differing_now.items()}
            was = Recurrence(
                wanted.rule,
                frozenset(),
                frozenset(names.get(k, k) for k in full.exdates),
                {names.get(k, k): fields for k, fields in full.overrides.items()},
            )
        target = settled(applied(was, seen, wanted), _starts(span, wanted.rule), names)
        reason = lost(item, {k: e for k, e in there.items() if k in target.overrides})
        if reason:
            raise Unsupported(reason)
        edits = [*edits, *_rule(wanted, span, record.native)]
        after = deepcopy(item)
        apply(after, edits)
        differing = {
            k: whole_edits(fields, was.overrides.get(k, {}), there.get(k), item, after, self._edits)
            for k, fields in target.overrides.items()
        }
        for key in there.keys() - target.exdates:  # those that no longer differ say nothing of their own
            differing.setdefault(key, [])
        plan = Plan(series_name(wanted.rule, span), target.exdates, differing, whole=True)
        if not plan:
            return Written(record.ref, self._write(record, edits, tell=tell))
        self._write(record, [*edits, edit.stamp(PLAN, plan.text())], tell=tell)
        self._carry_out(record.ref, plan, tell=tell)
        return Written(record.ref, None)

    # -- in place: nothing goes --------------------------------------------------------------------------------------

    def _in_place(
        self,
        record: Record,
        series: Series,
        edits: list[Edit],
        seen: Recurrence,
        wanted: Recurrence,
        changes: Fields,
        *,
        tell: bool,
    ) -> Written:
        out = {key for each in wanted.exdates - seen.exdates if (key := series.starts.named(each))} - series.deleted
        own: dict[str, Mapping[str, Any]] = {}
        for each in (wanted.overrides.keys() | seen.overrides.keys()) - wanted.exdates:
            key = series.starts.named(each)
            usual = {**series.fields, **changes, "time": series.usual(key or each)}
            made = changed_fields(seen.overrides.get(each, {}), wanted.overrides.get(each, {}), usual)
            if made and not key:
                raise Unsupported("the series has no occurrence with this original start")
            if made and key not in out:
                own[key] = made
                self._edits(made, record.native)  # whatever cannot be written is refused now
        plan = Plan(
            series.name,
            differing=self._own_words(record, series, seen) if "sensitivity" in changes else {},
            before=held_before(record.native, edits) if series.exceptions else (),
        )
        if plan:
            edits = [*edits, edit.stamp(PLAN, plan.text())]
        version = self._write(record, edits, tell=tell)
        if not (plan or out or own):
            return Written(record.ref, version)
        if not edits:
            self.items.check(record.ref, record.version)
        if plan:
            self._carry_out(record.ref, plan, tell=tell, last=not (out or own))
        writer = Writer(self.items, record.ref, series, self._edits, tell)
        for key in sorted(out):
            writer.leave_out(key)
        for key, fields in sorted(own.items()):
            writer.write(key, lambda element, fields=fields: list(self._edits(fields, element)))  # type: ignore[misc]
        if plan and (out or own):
            discharge(self.items, record.ref)
        return Written(record.ref, None if plan or writer.written else version)

    def _own_words(self, record: Record, series: Series, seen: Recurrence) -> dict[str, list[Edit]]:
        """What occurrences say of their privacy themselves, also where the series says the same for a while: those
        that were `seen` with a word of their own, or not as they are."""
        _, there = self._read(record, series)
        shown = {series.starts.named(key): fields for key, fields in seen.overrides.items()}
        left_out = {series.starts.named(key) for key in seen.exdates}
        own: dict[str, list[Edit]] = {}
        for key, element in there.items():
            fields, words = series.at(key, element), shown.get(key, {})
            as_it_is = all(same(n, fields.get(n), v) for n, v in words.items() if n != "attendees")
            said = element.find(T + "Sensitivity")
            if said is not None and (key in left_out or not as_it_is or "sensitivity" in words):
                own[key] = [("item:Sensitivity", deepcopy(said))]
        return own

    # -- requests ------------------------------------------------------------------------------------------------------

    def _write(self, record: Record, edits: list[Edit], *, tell: bool) -> str | None:
        if not edits:
            return record.version
        return self.items.update(record.ref, record.version, "CalendarItem", edits, tell=tell)

    def _carry_out(self, ref: str, plan: Plan, *, tell: bool, last: bool = True) -> None:
        """Writes the occurrences of a series that was written just now."""
        item, series, there = self._now(ref)
        if series is None:
            raise Rejected("the server does not keep the series")
        writer = Writer(self.items, ref, series, self._edits, tell)
        carry_out(writer, plan, there, fresh=True)
        if last:
            discharge(self.items, ref, "" if writer.written else item_id(item)[1])

    def _now(self, ref: str) -> tuple[Any, Series | None, dict[str, Any]]:
        """The item as it stands, the series that it is, and its occurrences that differ. Raises PortErrors."""
        item = _element(self.items.get([ref], (*event.URIS, *URIS_OF_OWN), event.properties())[ref])
        _, series = event_fields(item, self.zone)
        return item, series, self._there(series) if series is not None else {}

    def _read(self, record: Record, series: Series) -> tuple[Any, dict[str, Any]]:
        """The series and its occurrences that differ, with all that could be lost of them. Raises Stale when they
        are not as they were read."""
        if not series.exceptions:
            return record.native, {}
        item, _, there = self._now(record.ref)
        if item_id(item)[1] != record.version:
            raise Stale("changed meanwhile")
        return item, there

    def _there(self, series: Series) -> dict[str, Any]:
        uris = tuple(dict.fromkeys((*event.URIS, *URIS_OF_OWN)))
        found = self.items.get(list(series.exceptions.values()), uris)
        return {key: _element(found[ref]) for key, ref in series.exceptions.items()}

    # -- terms ---------------------------------------------------------------------------------------------------------

    def _edits(self, changes: Mapping[str, Any], item: Any) -> list[Edit]:
        return list(edit.event_edits(changes, item, self.zone))

    def _names(self, series: Series, span: Span, wanted: Recurrence) -> dict[str, str]:
        """Original start -> the one that it has when the series begins with `span`: of what was deleted or differs,
        and of what is wanted by somebody who does not know that it moved."""
        keys = series.deleted | series.exceptions.keys() | wanted.exdates | wanted.overrides.keys()
        return renamed(keys, series.rule, self._local(series.span, series.item).start, span.start)

    def _local(self, span: Span, item: Any) -> Span:
        """The time of a series in the zone in which it stands, as Exchange holds it: its rule counts days there."""
        where, _ = edit.zone_for(span, item, self.zone, series=True)
        start, end = span.start, span.end
        if not isinstance(start, datetime) or not isinstance(end, datetime):
            return span
        if start.tzinfo is None or end.tzinfo is None:
            return rounded(Span(start.replace(tzinfo=where), end.replace(tzinfo=where), span.zone), 60)
        return rounded(Span(start.astimezone(where), end.astimezone(where), span.zone), 60)


def _starts(span: Span, rule: str) -> Starts:
    try:
        return Starts(span, rule)
    except BadRule as error:
        raise Unsupported(str(error)) from None


def _rule(recurrence: Recurrence, span: Span, item: Any) -> list[Edit]:
    """The edits that give an item this rule, or take its rule away. Raises Unsupported."""
    if recurrence.rdates:
        raise Unsupported("Exchange has no series with single dates beside its rule")
    if not recurrence.rule:
        return [("calendar:Recurrence", None)] if item is not None else []
    return [("calendar:Recurrence", write_rule(recurrence.rule, span.start)), edit.stamp(RULE, recurrence.rule)]


def _element(found: Any) -> Any:
    if isinstance(found, PortError):
        raise found
    return found
