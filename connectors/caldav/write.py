"""Field changes -> edits of the iCalendar object, in place.

Nothing that is not being changed is touched: TZIDs, VTIMEZONEs, alarms, attachments and X- properties
stay as they came (lesson 11, facts: caldav-and-notes). ATTENDEE and ORGANIZER are never written. What is
written into a series goes on to those of its occurrences that had the same there; `series` does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from connectors.caldav.edit import edit, edit_as_series
from connectors.caldav.lines import Component, Line
from connectors.caldav.read import COMPONENTS, fields_of, head_of, original_start, own_words, span_of, usual_span
from connectors.caldav.series import edit_series, hidden, moved
from syncd.model.fields import Fields, same
from syncd.model.recurrence import Recurrence, shifted
from syncd.model.span import moment_key
from syncd.ports import Unsupported

PRODID = "-//syncd//syncd//EN"


def new_object(kind: str, uid: str, fields: Fields, now: datetime) -> Component:
    """A whole object for a record that is being created."""
    entry = Component({"event": "VEVENT", "todo": "VTODO"}[kind])
    entry.parts = [Line("UID", {}, uid), Line("DTSTAMP", {}, moment_key(now))]
    root = Component("VCALENDAR", [Line("VERSION", {}, "2.0"), Line("PRODID", {}, PRODID), entry])
    apply(root, {}, {k: v for k, v in fields.items() if v not in (None, "")}, now, fresh=True)
    return root


def apply(
    root: Component,
    seen: Fields,
    changes: Fields,
    now: datetime,
    *,
    fresh: bool = False,
    fields: Collection[str] | None = None,
) -> None:
    """Edits the object. A recurrence is applied as the difference from what was `seen`: an occurrence that the
    engine was not shown as it is moves with its series, and is not touched otherwise. `fields`: those that may
    be written at all (None: any); of others nothing is known from a recurrence that lacks them. Raises
    Unsupported."""
    entries = root.components(*COMPONENTS)
    head = head_of(root, entries)
    others = [c for c in entries if c is not head]
    if changes.get("attendees"):
        raise Unsupported("participants are never written into a CalDAV calendar: map them to-crm")
    if others and head.line("RECURRENCE-ID") is not None and "time" in changes:
        raise Unsupported("single occurrences of a series that is not here cannot be moved together")
    if head.name == "VTODO" and changes.keys() & {"status", "percent", "due"} and _repeats(head, others):
        raise Unsupported("a to-do that repeats is completed, and put off, in its calendar")
    plain = {n: v for n, v in changes.items() if n not in ("recurrence", "time")}
    shown = seen.get("recurrence") or Recurrence()
    unseen = hidden(root, head, others, shown) if head.name == "VEVENT" else set()
    touched = [head] if changes.keys() - {"recurrence"} else []
    touched += _edit_with_followers(root, head, [c for c in others if id(c) not in unseen], plain, shown)
    if "time" in changes:
        before = span_of(root, head).start if head.line("DTSTART") is not None else None
        touched += moved(root, head, others, changes["time"])
        if before is not None:
            shown = shifted(shown, before, span_of(root, head).start)
    if "recurrence" in changes:
        touched += edit_series(root, head, shown, changes["recurrence"], fields, unseen)
    for component in {id(c): c for c in touched}.values():
        _stamp(component, now, moved=not fresh and ("time" in changes or "recurrence" in changes))


def _repeats(head: Component, others: list[Component]) -> bool:
    return bool(others) or any(head.line(name) is not None for name in ("RRULE", "RDATE"))


def _edit_with_followers(
    root: Component, head: Component, others: list[Component], changes: Mapping[str, Any], shown: Recurrence
) -> list[Component]:
    """Edits the series, and each of its occurrences where it had the series' value; returns those. An
    occurrence that says nothing of its privacy follows by saying nothing; one that was `shown` with a word of its
    own keeps it, also where the series says the same for a while."""
    old = fields_of(root, head) if others and changes else {}
    span = usual_span(root, head) if others and "sensitivity" in changes else None
    following = []
    for component in others if changes else []:
        there = fields_of(root, component, head)
        follows = {n: v for n, v in changes.items() if n in old and same(n, there[n], old[n])}
        key = original_start(root, component, span) if span is not None else ""
        if not own_words(component) or "sensitivity" in shown.overrides.get(key, {}):
            follows.pop("sensitivity", None)
        if follows:
            following.append((component, follows))
    edit(root, head, changes, whole=True)
    for component, follows in following:
        edit_as_series(root, component, follows)
    return [component for component, _ in following]


def _stamp(component: Component, now: datetime, *, moved: bool) -> None:
    component.put("DTSTAMP", moment_key(now))
    component.put("LAST-MODIFIED", moment_key(now))
    if moved:
        line = component.line("SEQUENCE")
        number = int(line.value) if line is not None and line.value.isdigit() else 0
        component.put("SEQUENCE", str(number + 1))
        for part in component.lines("X-LOTUS-UPDATE-SEQ"):
            part.set(str(number + 1))
