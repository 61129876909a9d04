"""Edits of a series: it moves as a whole, dates are left out or added, occurrences differ.

An occurrence is known by its original start, so every line that names one (RECURRENCE-ID, EXDATE, RDATE, and
the rule's end) moves with the series, and keeps its spelling: UTC, a zone, a date.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection
from datetime import date, datetime

from connectors.caldav.edit import OTHER_FORMS, edit, edit_as_series, is_said, set_time, unsay_public, wall
from connectors.caldav.lines import Component, Line
from connectors.caldav.read import (
    ACCESS,
    by_start,
    fields_of,
    in_terms,
    left_out_by_rule,
    moment_of,
    moments_of,
    original_start,
    span_of,
    usual_span,
)
from syncd.model.fields import kind_of, same
from syncd.model.recurrence import Recurrence, shifted, shifted_key
from syncd.model.span import Moment, Span, as_instant, like, moment_key, parse_moment
from syncd.ports import Unsupported

_UNTIL = re.compile(r"(?i)\bUNTIL=([0-9]{8}(?:T[0-9]{6}Z?)?)")
#: Lines that tell one occurrence from another, or that a write renews.
_OWN = frozenset({"UID", "DTSTAMP", "CREATED", "LAST-MODIFIED", "SEQUENCE", "RECURRENCE-ID", "DTSTART", "DTEND",
                  "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE", "X-LOTUS-UPDATE-SEQ"})  # fmt: skip
#: Field -> the lines in which it stands.
_LINES = {"summary": ("SUMMARY",), "description": ("DESCRIPTION", *OTHER_FORMS["DESCRIPTION"]),
          "location": ("LOCATION", *OTHER_FORMS["LOCATION"]),
          "priority": ("PRIORITY",), "status": ("STATUS",), "sensitivity": ("CLASS", ACCESS),
          "show-as": ("TRANSP",), "categories": ("CATEGORIES",)}  # fmt: skip


# -- a series moves -----------------------------------------------------------------------------------


def moved(root: Component, head: Component, others: list[Component], span: Span) -> list[Component]:
    """Writes when the series is. What names its occurrences moves with it, and so do occurrences that are at
    their usual time; one that was moved stays where it is. Returns the other entries that were edited."""
    if head.line("DTSTART") is None:
        set_time(root, head, span)
        return []
    old = span_of(root, head)
    originals = [original_start(root, c, old) for c in others]
    usual = [span_of(root, c) == _at(old, key) for c, key in zip(others, originals, strict=True)]
    set_time(root, head, span)
    new = span_of(root, head)
    if new == old:
        return []
    pattern = head.line("DTSTART")
    assert pattern is not None
    begins_elsewhere = moment_key(old.start) != moment_key(new.start)
    if begins_elsewhere:
        originals_of = (line for component in others for line in component.lines("RECURRENCE-ID"))
        for line in (*head.lines("EXDATE"), *head.lines("RDATE"), *originals_of):
            _move_line(root, line, old, new, pattern)
        for line in (*head.lines("RRULE"), *head.lines("EXRULE")):
            line.set(_UNTIL.sub(lambda m: shifted(Recurrence(m[0].upper()), old.start, new.start).rule, line.value))
    for component, key, follows in zip(others, originals, usual, strict=True):
        if follows:
            set_time(root, component, _at(new, _moved_key(key, old, new)))
    return [c for c, follows in zip(others, usual, strict=True) if follows or begins_elsewhere]


def _at(span: Span, key: str) -> Span:
    """When the occurrence of that original start usually is."""
    return span.moved_to(like(parse_moment(key), span.start))


def _moved_key(key: str, old: Span, new: Span) -> str:
    return shifted_key(key, old.start, new.start)


def _move_line(root: Component, line: Line, old: Span, new: Span, pattern: Line) -> None:
    """Moves each date or period of a line. Where the series is no longer of the same type (days, times, times
    without a zone), it is spelt as DTSTART is."""
    other = _type(old.start) != _type(new.start)
    twice = False  # one of them is the second of two moments that the line's clock shows alike

    def one(text: str, *, utc: bool) -> str:
        nonlocal twice
        moment, _ = moment_of(root, line, text)
        terms = in_terms(root, moment, old)
        key = _moved_key(moment_key(terms), old, new)
        if other:
            return _like_start(key, new, pattern)
        after = like(parse_moment(key), new.start)
        if isinstance(moment, datetime) and not isinstance(after, datetime):  # a moment that stands for its day
            after = moment + (after - _day(terms))
        shown = like(after, moment)
        twice = twice or (isinstance(shown, datetime) and not is_said(shown))
        return moment_key(as_instant(after)) if utc else _spelt_as(text, moment, after)

    def all_of(*, utc: bool) -> str:
        found = []
        for part in (p.strip() for p in line.value.split(",") if p.strip()):
            begin, _, end = part.partition("/")
            if end and not other:
                length = end.lstrip("+-").upper().startswith("P")
                found.append(f"{one(begin, utc=utc)}/{end if length else one(end, utc=utc)}")
            else:
                found.append(one(begin, utc=utc))
        return ",".join(found)

    value = all_of(utc=False)
    if "TZID" in line.params and twice:
        value = all_of(utc=True)
        line.params = {k: v for k, v in line.params.items() if k != "TZID"}
        line.raw = ""
    if other:
        line.params = {k: v for k, v in line.params.items() if k not in ("TZID", "VALUE")} | dict(pattern.params)
        line.raw = ""
    line.set(value)


def _day(moment: Moment) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _type(moment: Moment) -> str:
    return "day" if not isinstance(moment, datetime) else "floating" if moment.tzinfo is None else "instant"


def _spelt_as(text: str, before: Moment, after: Moment) -> str:
    """`after` as `text`, which means `before`, was spelt."""
    if not isinstance(after, datetime):
        return moment_key(after)
    if not isinstance(before, datetime):
        return moment_key(after.date())
    if text.endswith("Z"):
        return moment_key(after) if after.tzinfo is not None else wall(after) + "Z"
    return wall(like(after, before))


def hidden(root: Component, head: Component, others: list[Component], shown: Recurrence) -> set[int]:
    """The ids (of `id`) of occurrences that the engine was not shown as they are, because of what is private:
    left out where the object does not leave them out, or with other words than they have."""
    if not others:
        return set()
    span = usual_span(root, head)
    found = set()
    for component in others:
        key = original_start(root, component, span)
        there = fields_of(root, component, head)
        words = {n: v for n, v in shown.overrides.get(key, {}).items() if n != "attendees"}
        left_out = key in shown.exdates and not _left_out(root, head, key, span)
        if left_out or not all(same(n, there.get(n), v) for n, v in words.items()):
            found.add(id(component))
    return found


# -- what of a series differs ---------------------------------------------------------------------------


def edit_series(
    root: Component,
    master: Component,
    seen: Recurrence,
    wanted: Recurrence,
    fields: Collection[str] | None = None,
    unseen: Collection[int] = (),
) -> list[Component]:
    """Applies the difference of two recurrences; returns the components that were edited. `fields`: those of
    which `wanted` speaks at all; `unseen`: what `hidden` found. Raises Unsupported."""
    _leave_alone(root, master, seen, wanted, unseen)
    if master.line("RECURRENCE-ID") is not None:
        return _edit_detached(root, master, seen, wanted, fields)
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
        if name == "EXDATE" and (before - after) & left_out_by_rule(root, master, span):
            raise Unsupported("a date that a rule leaves out (EXRULE) cannot be put back")
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
    touched += _edit_overrides(root, master, seen, wanted, span, fields)
    return list({id(c): c for c in touched}.values())


def _leave_alone(
    root: Component, master: Component, seen: Recurrence, wanted: Recurrence, unseen: Collection[int]
) -> None:
    """Raises Unsupported where a write is meant for an occurrence that was not shown as it is."""
    kind = kind_of("recurrence")
    was, new = kind.elements(seen), kind.elements(wanted)
    differs = {k.split(" ")[1] for k in was.keys() | new.keys() if " " in k and was.get(k) != new.get(k)}
    for key, component in _overrides(root, usual_span(root, master)).items():
        if id(component) in unseen and key in differs:
            raise Unsupported("an occurrence that is not shown as it is is not written")


def _behind_lines(component: Component) -> int:
    return max((i for i, p in enumerate(component.parts) if isinstance(p, Line)), default=-1) + 1


def _like_start(key: str, span: Span, pattern: Line | None) -> str:
    """The occurrence's original start, spelt as DTSTART is."""
    moment = like(parse_moment(key), span.start)
    if isinstance(moment, datetime) and moment.tzinfo is not None and pattern is not None and "TZID" in pattern.params:
        return wall(moment)
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
    return by_start(root, (c for c in root.components("VEVENT") if c.line("RECURRENCE-ID") is not None), span)


def _drop_override(root: Component, key: str, span: Span) -> None:
    """Takes an occurrence of its own out of the object, older forms of it too."""
    of_it = [c for c in root.components("VEVENT") if c.line("RECURRENCE-ID") and original_start(root, c, span) == key]
    root.parts = [p for p in root.parts if not any(p is c for c in of_it)]


def _edit_detached(
    root: Component, head: Component, seen: Recurrence, wanted: Recurrence, fields: Collection[str] | None
) -> list[Component]:
    """Occurrences of a series that is not here: they can differ and go, but no others can come."""
    if wanted.rule or wanted.rdates - seen.rdates:
        raise Unsupported("single occurrences of a series that is not here cannot become another series")
    span = usual_span(root, head)
    gone = (seen.rdates - wanted.rdates) | (wanted.exdates - seen.exdates)
    if gone >= _overrides(root, span).keys():
        raise Unsupported("of the occurrences one has to stay")
    touched = _edit_overrides(root, head, seen, wanted, span, fields)
    for key in gone:
        _drop_override(root, key, span)
    return touched


def _edit_overrides(
    root: Component,
    master: Component,
    seen: Recurrence,
    wanted: Recurrence,
    span: Span,
    fields: Collection[str] | None,
) -> list[Component]:
    there = _overrides(root, span)
    touched = []
    for key in sorted(seen.overrides.keys() - wanted.overrides.keys() - wanted.exdates):
        if key in there and master.line("RECURRENCE-ID") is None and _nothing_else(there[key], master, fields):
            _drop_override(root, key, span)
        elif key in there:
            touched += _reset(root, there[key], master, _at(span, key), _known(seen.overrides[key], fields))
    for key, wants in sorted(wanted.overrides.items()):
        before = seen.overrides.get(key, {})
        changes = {
            n: v
            for n, v in wants.items()
            if n != "attendees" and (n not in before or kind_of(n).canonical(before[n]) != kind_of(n).canonical(v))
        }
        if key in there:
            touched += _reset(root, there[key], master, _at(span, key), _known(before, fields) - wants.keys())
        if not changes:
            continue
        component = there.get(key) or _new_override(root, master, key, span)
        if changes.get("sensitivity") == "public" == fields_of(root, master)["sensitivity"]:
            edit_as_series(root, component, changes)
        else:
            edit(root, component, changes)
        touched.append(component)
    return touched


def _known(there: Collection[str], fields: Collection[str] | None) -> set[str]:
    """Those of the fields of which a recurrence without them says that they are the series'."""
    return {n for n in there if n != "attendees" and (fields is None or n in fields)}


def _reset(root: Component, component: Component, master: Component, usual: Span, names: set[str]) -> list[Component]:
    """Makes these fields of an occurrence the series' again."""
    series = {**fields_of(root, master), "time": usual}
    if component is master or not names:
        return []
    edit_as_series(root, component, {n: series[n] for n in names})
    return [component]


def _nothing_else(component: Component, master: Component, fields: Collection[str] | None) -> bool:
    """True when an occurrence holds nothing of its own beside these fields: no alarm, no answer, no line that
    the series has not."""
    names = {line for n, lines in _LINES.items() if fields is None or n in fields for line in lines} | _OWN
    return _rest(component, names) == _rest(master, names)


def _rest(component: Component, names: set[str]) -> list[str]:
    found = []
    for part in component.parts:
        if isinstance(part, Component):
            found.append("\n".join(part.walk()))
        elif part.name not in names:
            found.append(part.text())
    return sorted(found)


def _left_out(root: Component, master: Component, key: str, span: Span) -> bool:
    """True when the object itself leaves the occurrence out."""
    return key in {moment_key(m) for m in moments_of(root, master, "EXDATE", span)}


def _new_override(root: Component, master: Component, key: str, span: Span) -> Component:
    """The occurrence as the series has it, as an entry of its own; not with the word that it is public."""
    made = copy.deepcopy(master)
    for name in ("RRULE", "RDATE", "EXDATE", "EXRULE"):
        made.remove(name)
    unsay_public(made)
    pattern = master.line("DTSTART")
    params = dict(pattern.params) if pattern is not None else {}
    made.put("RECURRENCE-ID", _like_start(key, span, pattern), params)
    set_time(root, made, span.moved_to(like(parse_moment(key), span.start)))
    root.parts.insert(root.parts.index(master) + 1, made)
    return made
