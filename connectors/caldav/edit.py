"""Edits of one entry, line by line: what is not being changed stays as it came, spelling included.

It knows of no series; `series` and `write` say which entries are edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from connectors.caldav.lines import Component, Line, escape
from connectors.caldav.read import ACCESS, moment_of, own_words
from connectors.caldav.zones import vtimezone
from syncd.model.span import Moment, Span, as_instant, like, moment_key
from syncd.ports import Unsupported

_TEXTS = {"summary": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION"}
#: What says the same in another form, and would say what was before: a map shows one way to the old place.
OTHER_FORMS = {
    "DESCRIPTION": ("X-ALT-DESC", "STYLED-DESCRIPTION"),
    "LOCATION": ("GEO", "X-APPLE-STRUCTURED-LOCATION", "X-MICROSOFT-LOCATIONS"),
}
_NUMBERS = {"priority": "PRIORITY", "percent": "PERCENT-COMPLETE"}
_ACCESS_WORDS = {"public": "PUBLIC", "confidential": "CONFIDENTIAL"}


def edit(root: Component, component: Component, changes: Mapping[str, Any], *, whole: bool = False) -> None:
    """Writes the fields into an entry. `whole`: it is not one occurrence among others, so what the object says
    once for all may be written too. Raises Unsupported."""
    for name, value in changes.items():
        if name in _TEXTS:
            _text(component, _TEXTS[name], value)
        elif name in _NUMBERS:
            _number(component, _NUMBERS[name], value)
        elif name == "time":
            set_time(root, component, value)
        elif name == "due":
            _due(root, component, value)
        elif name == "status":
            component.put("STATUS", value.upper())
        elif name == "sensitivity":
            _classify(root, component, value, whole=whole)
        elif name == "show-as":
            component.put("TRANSP", "TRANSPARENT" if value == "free" else "OPAQUE")
        elif name == "categories":
            component.remove("CATEGORIES")
            if value:
                component.put("CATEGORIES", ",".join(escape(w) for w in sorted(value)))
    if component.name == "VTODO" and "status" in changes:
        _completion(component, changes)


def edit_as_series(root: Component, component: Component, changes: Mapping[str, Any]) -> None:
    """Writes into an occurrence what its series says too. That it is public it says by saying nothing: with a word of
    its own it would stay so when somebody makes the series private."""
    if changes.get("sensitivity") == "public":
        _say_nothing(component)
        changes = {n: v for n, v in changes.items() if n != "sensitivity"}
    edit(root, component, changes)


def unsay_public(component: Component) -> None:
    """Takes away a component's own word that it is public."""
    if all(w == "public" for w in own_words(component)):
        _say_nothing(component)


def _say_nothing(component: Component) -> None:
    component.remove("CLASS")
    component.remove(ACCESS)


def _classify(root: Component, component: Component, value: str, *, whole: bool) -> None:
    """Every word about its privacy says the same: the strictest of them would count."""
    if not whole and any(w != value for w in own_words(root)):
        raise Unsupported("the whole object says how private it is, so one occurrence cannot")
    if value != "public" or component.lines("CLASS") or not whole:
        component.put("CLASS", value.upper())
        first = component.line("CLASS")
        component.parts = [p for p in component.parts if p is first or p.name != "CLASS" or isinstance(p, Component)]
    for line in [*component.lines(ACCESS), *(root.lines(ACCESS) if whole else ())]:
        line.set(_ACCESS_WORDS.get(value, "PRIVATE"))


def _text(component: Component, name: str, value: str | None) -> None:
    if not value:
        for form in (name, *OTHER_FORMS.get(name, ())):
            component.remove(form)
        return
    line = component.put(name, escape(value))
    if not line.raw and "ALTREP" in line.params:  # the other form no longer says the same
        del line.params["ALTREP"]
    if not line.raw:
        for other in OTHER_FORMS.get(name, ()):
            component.remove(other)


def _number(component: Component, name: str, value: int) -> None:
    if value:
        component.put(name, str(value))
    else:
        component.remove(name)


def _completion(component: Component, changes: Mapping[str, Any]) -> None:
    """What says the same as the STATUS of a to-do: when it was completed, and that nothing is left of it (RFC 5545
    §3.8.2.1, §3.8.1.8)."""
    done = changes["status"] == "completed"
    if not done:
        component.remove("COMPLETED")
    elif component.line("COMPLETED") is None:
        component.put("COMPLETED", moment_key(datetime.now(UTC)))
    percent = component.line("PERCENT-COMPLETE")
    if percent is not None and "percent" not in changes and (done or percent.value.strip() == "100"):
        percent.set("100" if done else "0")


def set_time(root: Component, component: Component, span: Span) -> None:
    """Writes DTSTART and DTEND, each in the zone in which it stood."""
    _moment(root, component, "DTSTART", span.start, span.zone)
    pattern = component.line("DTSTART")
    if component.line("DTEND") is None and component.line("DURATION") is not None:
        component.remove("DURATION")
    if component.line("DTEND") is None and pattern is not None:
        component.put("DTEND", "", dict(pattern.params))
    _moment(root, component, "DTEND", span.end, span.zone)


def _due(root: Component, component: Component, value: Moment | None) -> None:
    """Writes DUE, or takes it away. Its DTSTART is of the same type and before it (RFC 5545 §3.8.2.3): it goes along
    where it would not be."""
    start, old = component.line("DTSTART"), component.line("DUE")
    before = moment_of(root, old)[0] if old is not None else None
    component.remove("DURATION")  # §3.6.2: one of the two says when it is due
    if value is None:
        component.remove("DUE")
        return
    _moment(root, component, "DUE", value, "")
    if start is None:
        return
    begins = moment_of(root, start)[0]
    if isinstance(begins, datetime) and not isinstance(value, datetime):
        _moment(root, component, "DTSTART", begins.date(), "")
    elif isinstance(value, datetime) and not isinstance(begins, datetime):
        _moment(root, component, "DTSTART", datetime.combine(begins, time(), value.tzinfo), "")
    begins = moment_of(root, component.lines("DTSTART")[0])[0]
    if as_instant(begins) < as_instant(value):
        return
    if any(component.line(name) is not None for name in ("RRULE", "RDATE")):
        raise Unsupported("a to-do that repeats is not due before it begins")
    apart = as_instant(before) - as_instant(begins) if before is not None else timedelta(0)
    if apart > timedelta(0) and as_instant(value - apart) < as_instant(value):  # less than a day before a day is none
        _moment(root, component, "DTSTART", value - apart, "")
    else:
        component.remove("DTSTART")


def _moment(root: Component, component: Component, name: str, moment: Moment, zone: str) -> None:
    """Writes a moment, in the zone in which the line had it, else in the zone named."""
    line = component.line(name)
    if not isinstance(moment, datetime):
        component.put(name, moment_key(moment), {"VALUE": "DATE"})
        return
    if moment.tzinfo is None:
        component.put(name, moment_key(moment), {})
        return
    named = str(getattr(moment.tzinfo, "key", ""))
    if line is not None and line.params.get("TZID"):  # as the line has it, or that by which it is told
        start = line if line.value else component.line("DTSTART")
        shown = like(moment, moment_of(root, start)[0]) if start is not None else moment
        if not isinstance(shown, datetime) or is_said(shown) or component.line("RRULE") is not None:
            line.set(wall(shown))
            return
    elif line is not None and line.value.endswith("Z"):
        named = ""
    if named in ("", "UTC", "Etc/UTC") or not is_said(moment):
        component.put(name, moment_key(moment), {})
        return
    if not any((c.line("TZID") or Line("", {}, "")).value == named for c in root.components("VTIMEZONE")):
        root.parts.insert(next(i for i, p in enumerate(root.parts) if isinstance(p, Component)), vtimezone(named))
    component.put(name, wall(moment), {"TZID": named})


def is_said(moment: datetime) -> bool:
    """False for the second of two moments that a zone's clock shows alike: what it shows means the first (RFC 5545
    §3.3.5), so that one is written in UTC."""
    return moment.replace(fold=0).utcoffset() == moment.utcoffset()


def wall(moment: Moment) -> str:
    """What the clock on the wall shows, as iCalendar writes it."""
    return moment.strftime("%Y%m%dT%H%M%S")
