"""Field changes -> edits of the iCalendar object, in place.

Nothing that is not being changed is touched: TZIDs, VTIMEZONEs, alarms, attachments and X- properties
stay as they came (lesson 11, facts: caldav-and-notes). ATTENDEE and ORGANIZER are never written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.caldav.lines import Component, Line, escape
from connectors.caldav.read import moment_of, moments_of, original_start, span_of
from connectors.caldav.zones import vtimezone
from syncd.model.fields import Fields, kind_of
from syncd.model.recurrence import Recurrence
from syncd.model.span import Moment, Span, like, moment_key, parse_moment
from syncd.ports import Unsupported

PRODID = "-//syncd//syncd//EN"
_TEXTS = {"summary": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION"}
_NUMBERS = {"priority": "PRIORITY", "percent": "PERCENT-COMPLETE"}


def new_object(kind: str, uid: str, fields: Fields, now: datetime) -> Component:
    """A whole object for a record that is being created."""
    entry = Component({"event": "VEVENT", "todo": "VTODO"}[kind])
    entry.parts = [Line("UID", {}, uid), Line("DTSTAMP", {}, moment_key(now))]
    root = Component("VCALENDAR", [Line("VERSION", {}, "2.0"), Line("PRODID", {}, PRODID), entry])
    apply(root, {}, {k: v for k, v in fields.items() if v not in (None, "")}, now, fresh=True)
    return root


def apply(root: Component, seen: Fields, changes: Fields, now: datetime, *, fresh: bool = False) -> None:
    """Edits the object. A recurrence is applied as the difference from what was `seen`, so an
    occurrence that the engine was not shown is not touched. Raises Unsupported."""
    entries = root.components("VEVENT", "VTODO")
    master = next((c for c in entries if c.line("RECURRENCE-ID") is None), entries[0])
    if changes.get("attendees"):
        raise Unsupported("participants are never written into a CalDAV calendar: map them to-crm")
    touched = [master] if changes.keys() - {"recurrence"} else []
    _edit(root, master, {k: v for k, v in changes.items() if k != "recurrence"})
    if "recurrence" in changes:
        touched += _edit_series(root, master, seen.get("recurrence") or Recurrence(), changes["recurrence"])
    for component in touched:
        _stamp(component, now, moved=not fresh and ("time" in changes or "recurrence" in changes))


def _stamp(component: Component, now: datetime, *, moved: bool) -> None:
    component.put("DTSTAMP", moment_key(now))
    component.put("LAST-MODIFIED", moment_key(now))
    if moved:
        line = component.line("SEQUENCE")
        number = int(line.value) if line is not None and line.value.isdigit() else 0
        component.put("SEQUENCE", str(number + 1))
        for part in component.lines("X-LOTUS-UPDATE-SEQ"):
            part.set(str(number + 1))


def _edit(root: Component, component: Component, changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name in _TEXTS:
            _text(component, _TEXTS[name], value)
        elif name in _NUMBERS:
            _number(component, _NUMBERS[name], value)
        elif name == "time":
            _time(root, component, value)
        elif name == "due":
            _due(root, component, value)
        elif name == "status":
            _status(component, value)
        elif name == "sensitivity":
            if value != "public" or component.line("CLASS") is not None:
                component.put("CLASS", value.upper())
        elif name == "show-as":
            component.put("TRANSP", "TRANSPARENT" if value == "free" else "OPAQUE")
        elif name == "categories":
            component.remove("CATEGORIES")
            if value:
                component.put("CATEGORIES", ",".join(escape(w) for w in sorted(value)))


def _text(component: Component, name: str, value: str | None) -> None:
    if not value:
        component.remove(name)
        return
    line = component.put(name, escape(value))
    if not line.raw and "ALTREP" in line.params:  # the other form no longer says the same
        del line.params["ALTREP"]
    if name == "DESCRIPTION" and not line.raw:
        component.remove("X-ALT-DESC")


def _number(component: Component, name: str, value: int) -> None:
    if value:
        component.put(name, str(value))
    else:
        component.remove(name)


def _status(component: Component, value: str) -> None:
    component.put("STATUS", value.upper())
    if component.name != "VTODO":
        return
    if value == "completed" and component.line("COMPLETED") is None:
        component.put("COMPLETED", moment_key(datetime.now(UTC)))
    elif value != "completed":
        component.remove("COMPLETED")


def _time(root: Component, component: Component, span: Span) -> None:
    _moment(root, component, "DTSTART", span.start, span.zone)
    pattern = component.line("DTSTART")
    if component.line("DTEND") is None and component.line("DURATION") is not None:
        component.remove("DURATION")
    if component.line("DTEND") is None and pattern is not None:
        component.put("DTEND", "", dict(pattern.params))
    _moment(root, component, "DTEND", span.end, span.zone)


def _due(root: Component, component: Component, value: Moment | None) -> None:
    if value is None:
        component.remove("DUE")
    else:
        _moment(root, component, "DUE", value, "")
        start, due = component.line("DTSTART"), component.line("DUE")
        if start is not None and due is not None and ("VALUE" in start.params) != ("VALUE" in due.params):
            component.remove("DTSTART")  # RFC 5545 §3.8.2.3: both of one type


def _moment(root: Component, component: Component, name: str, moment: Moment, zone: str) -> None:
    """Writes a moment, in the zone in which the line had it, else in the zone named."""
    line = component.line(name)
    if not isinstance(moment, datetime):
        component.put(name, moment_key(moment), {"VALUE": "DATE"})
        return
    if moment.tzinfo is None:
        component.put(name, moment_key(moment), {})
        return
    if line is not None and line.value and "TZID" in line.params:
        old, _ = moment_of(root, line)
        line.set(_wall(like(moment, old)))
        return
    if line is not None and line.value.endswith("Z"):
        component.put(name, moment_key(moment), {})
        return
    key = str(getattr(moment.tzinfo, "key", ""))
    if line is not None and not line.value and line.params.get("TZID"):
        key = line.params["TZID"]
        start = component.line("DTSTART")
        pattern = moment_of(root, start)[0] if start is not None else moment
        line.set(_wall(like(moment, pattern)))
        return
    if key and key not in ("UTC", "Etc/UTC"):
        if not any((c.line("TZID") or Line("", {}, "")).value == key for c in root.components("VTIMEZONE")):
            root.parts.insert(next(i for i, p in enumerate(root.parts) if isinstance(p, Component)), vtimezone(key))
        component.put(name, _wall(moment), {"TZID": key})
    else:
        component.put(name, moment_key(moment), {})


def _wall(moment: Moment) -> str:
    return moment.strftime("%Y%m%dT%H%M%S")


# -- series ---------------------------------------------------------------------------------------


def _edit_series(root: Component, master: Component, seen: Recurrence, wanted: Recurrence) -> list[Component]:
    """Applies the difference of two recurrences; returns the components that were edited."""
    kind = kind_of("recurrence")
    was, new = kind.elements(seen), kind.elements(wanted)
    touched: list[Component] = []
    span = span_of(root, master)
    if was.get("rule") != new.get("rule"):
        if wanted.rule:
            master.put("RRULE", wanted.rule, {})
        else:
            master.remove("RRULE")
        touched.append(master)
    for name, word in (("EXDATE", "exdate"), ("RDATE", "rdate")):
        before = {k.split(" ")[1] for k in was if k.startswith(word + " ")}
        after = {k.split(" ")[1] for k in new if k.startswith(word + " ")}
        if name == "RDATE" and not wanted.rule:
            after -= {moment_key(span.start)}
            before -= {moment_key(span.start)}
        for key in sorted(before - after):
            _drop_date(root, master, name, key, span)
        for key in sorted(after - before):
            pattern = master.line("DTSTART")
            params = dict(pattern.params) if pattern is not None else {}
            value = _like_start(key, span, pattern)
            master.parts.insert(_behind_lines(master), Line(name, params, value))
        if before != after:
            touched.append(master)
        if name == "EXDATE":
            for key in after - before:
                _drop_override(root, key, span)
    touched += _edit_overrides(root, master, seen, wanted, span)
    return list({id(c): c for c in touched}.values())


def _behind_lines(component: Component) -> int:
    return max((i for i, p in enumerate(component.parts) if isinstance(p, Line)), default=-1) + 1


def _like_start(key: str, span: Span, pattern: Line | None) -> str:
    """The occurrence's original start, spelt as DTSTART is."""
    moment = like(parse_moment(key), span.start)
    if isinstance(moment, datetime) and moment.tzinfo is not None and pattern is not None and "TZID" in pattern.params:
        return _wall(moment)
    return moment_key(moment)


def _drop_date(root: Component, master: Component, name: str, key: str, span: Span) -> None:
    for line in master.lines(name):
        parts = line.value.split(",")
        one = Component("X", [])
        kept = []
        for part in parts:
            one.parts = [Line(name, line.params, part)]
            if moment_key(moments_of(root, one, name, span)[0]) != key:
                kept.append(part)
        if not kept:
            master.parts.remove(line)
        elif len(kept) != len(parts):
            line.set(",".join(kept))


def _overrides(root: Component, span: Span) -> dict[str, Component]:
    found = {}
    for component in root.components("VEVENT"):
        if component.line("RECURRENCE-ID") is not None:
            found[original_start(root, component, span)] = component
    return found


def _drop_override(root: Component, key: str, span: Span) -> None:
    component = _overrides(root, span).get(key)
    if component is not None:
        root.parts = [p for p in root.parts if p is not component]


def _edit_overrides(
    root: Component, master: Component, seen: Recurrence, wanted: Recurrence, span: Span
) -> list[Component]:
    there = _overrides(root, span)
    touched = []
    for key in sorted(seen.overrides.keys() - wanted.overrides.keys() - wanted.exdates):
        if key in there:
            root.parts = [p for p in root.parts if p is not there[key]]
    for key, fields in sorted(wanted.overrides.items()):
        before = seen.overrides.get(key, {})
        changes = {
            n: v
            for n, v in fields.items()
            if n not in before or kind_of(n).canonical(before[n]) != kind_of(n).canonical(v)
        }
        if not changes:
            continue
        component = there.get(key) or _new_override(root, master, key, span)
        _edit(root, component, {n: v for n, v in changes.items() if n != "attendees"})
        touched.append(component)
    return touched


def _new_override(root: Component, master: Component, key: str, span: Span) -> Component:
    """The occurrence as the series has it, as an entry of its own."""
    made = copy.deepcopy(master)
    for name in ("RRULE", "RDATE", "EXDATE", "EXRULE"):
        made.remove(name)
    pattern = master.line("DTSTART")
    params = dict(pattern.params) if pattern is not None else {}
    made.put("RECURRENCE-ID", _like_start(key, span, pattern), params)
    _time(root, made, span.moved_to(like(parse_moment(key), span.start)))
    root.parts.insert(root.parts.index(master) + 1, made)
    return made
