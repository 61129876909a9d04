"""The dates of a series that one side has moved and the other has not yet. Pure.

Extra and left-out dates and overrides are known by original starts, and these move with the series: under the
new time the same occurrence has another name. So they are compared under the names that they have where the series
was not moved, and what comes of it is said in the names of the side that it goes to. A series that only begins
earlier or later keeps its dates as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from syncd.engine.allowed import May
from syncd.engine.digest import Digester, apply_moves
from syncd.engine.elements import by_element, date_of
from syncd.engine.sides import Merge, Sides
from syncd.model.fields import kind_of
from syncd.model.recurrence import Recurrence, renamed, shifted, shifted_key, starts
from syncd.model.span import Moment, Span, as_instant, moment_key

_NAME = "recurrence"
_KIND = kind_of(_NAME)
Side = Literal["item", "crm"]
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Move:
    """Who has moved the series, and how an occurrence of before is called since."""

    moved: Side
    #: Where the series begins on the side that did not move it, and on the one that did.
    before: Moment
    after: Moment
    #: False where the dates are as they were.
    along: bool
    #: The merge writes the time to the side that has not moved it; else the times stay apart.
    written: bool = True
    #: Old name -> new name, of the dates that the side that moved it shows.
    shown: Mapping[str, str] = field(default_factory=dict)
    #: The rule there, before and since (its end moves too).
    rules: tuple[str, str] = ("", "")

    @property
    def stayed(self) -> Side:
        """The side that has not moved it."""
        return "crm" if self.moved == "item" else "item"

    def back(self, key: str) -> str:
        """The old name of an occurrence."""
        return shifted_key(key, self.after, self.before) if self.along else key

    def forth(self, key: str) -> str:
        """Its new name."""
        return self.shown.get(key) or (shifted_key(key, self.before, self.after) if self.along else key)

    def forth_rule(self, rule: str) -> str:
        """The rule, where its end has moved with the series."""
        if rule == self.rules[0]:
            return self.rules[1]
        return shifted(Recurrence(rule), self.before, self.after).rule if self.along else rule

    def forth_all(self, value: Recurrence) -> Recurrence:
        """A recurrence in the new names."""
        return renamed(value, self.forth_rule(value.rule), self.forth)

    def forth_element(self, element: str, text: str) -> tuple[str, str]:
        """An element with its text, in the new names."""
        if not date_of(element):
            return element, self.forth_rule(text)
        return _called(element, self.forth(date_of(element))), text


def merge_dates(sides: Sides, made: Merge) -> None:
    """Merges the recurrence, after the time. Raises BadRule."""
    move = _moved(sides, made)
    if move is None:
        by_element(sides, made, _NAME)
        return
    if "time" in made.asks:
        return  # whose dates they are is known once somebody has said whose time it is
    old = _under_old_names(sides, move)
    inner = Merge(waits=set(made.waits), asks=dict(made.asks))  # a time that stays keeps no date: they are told apart
    by_element(old, inner, _NAME)
    made.waits |= inner.waits
    if _NAME in inner.asks:
        item, crm = inner.asks[_NAME]
        made.asks[_NAME] = (move.forth_all(item), move.forth_all(crm))
    if _NAME in inner.losers:
        made.losers[_NAME] = move.forth_all(inner.losers[_NAME])
    if move.written:
        _with_the_time(sides, old, made, inner, move)
    else:
        _apart(sides, old, made, inner, move)


# -- which side -------------------------------------------------------------------------------------------------------


def _moved(sides: Sides, made: Merge) -> _Move | None:
    """The move, where both sides show a series and its times differ, as one of them was moved now, or as the time may
    not cross."""
    item, crm = sides.item.get("time"), sides.crm.get("time")
    if not isinstance(item, Span) or not isinstance(crm, Span) or moment_key(item.start) == moment_key(crm.start):
        return None
    if any(side.get(_NAME) is None or side[_NAME].empty for side in (sides.item, sides.crm)):
        return None
    if "time" in made.to_crm:
        return _as_moved(sides, "item", crm, item, written=True)
    if "time" not in made.to_item and "time" not in made.asks and sides.lens.agree("time", item, crm, sides.caps):
        return None
    return _as_moved(sides, "crm", item, crm, written="time" in made.to_item)


def _as_moved(sides: Sides, moved: Side, was: Span, now: Span, *, written: bool) -> _Move:
    shown, other = (sides.item, sides.crm) if moved == "item" else (sides.crm, sides.item)
    move = _Move(moved, was.start, now.start, along=True, written=written)
    base = sides.item_base if moved == "item" else sides.crm_base
    if written and not sides.digester.holds(base, "time", now):  # it has just been moved
        names: Collection[str] = _base(base)
    else:  # they were apart before, and each side's base is in its own names
        names = {sides.digester.element(_NAME, e) for e in _KIND.elements(other[_NAME])}
    along = _went_along(sides.digester, names, move, shown[_NAME], other[_NAME], (was, now))
    move = replace(move, along=along)
    keys = {move.back(key): key for key in _dates(shown[_NAME])}
    rule: str = shown[_NAME].rule
    before = shifted(Recurrence(rule), now.start, was.start).rule if along else rule
    return replace(move, shown=keys, rules=(before, rule))


def _went_along(
    digester: Digester,
    base: Collection[str],
    move: _Move,
    shown: Recurrence,
    other: Recurrence,
    times: tuple[Span, Span],
) -> bool:
    """Whether the dates moved with the series: by which of its old names are still there, or called anew; else it
    only begins earlier or later, if the one begin is a date of the series with the other."""
    known = {e for e in _KIND.elements(shown) if date_of(e)}
    kept = sum(digester.element(_NAME, e) in base for e in known)
    called_anew = sum(digester.element(_NAME, _called(e, move.back(date_of(e)))) in base for e in known)
    if kept != called_anew:
        return called_anew > kept
    was, now = times
    early, rule, late = (was, other, now) if as_instant(was.start) < as_instant(now.start) else (now, shown, was)
    begin = as_instant(late.start)
    series = replace(rule, exdates=frozenset(), overrides=MappingProxyType({}))
    return moment_key(late.start) not in {moment_key(s) for s in starts(early, series, begin, begin + _DAY)}


def _called(element: str, key: str) -> str:
    """The same element of another occurrence."""
    what, _, rest = element.partition(" ")
    _, blank, name = rest.partition(" ")
    return f"{what} {key}{blank}{name}"


def _dates(recurrence: Recurrence) -> set[str]:
    return {*recurrence.rdates, *recurrence.exdates, *recurrence.overrides}


def _under_old_names(sides: Sides, move: _Move) -> Sides:
    shown = sides.item if move.moved == "item" else sides.crm
    was = renamed(shown[_NAME], move.rules[0], move.back)
    if move.moved == "crm":
        old = replace(sides, crm={**sides.crm, _NAME: was})
    else:
        may = replace(sides.may, masked=frozenset(move.back(k) for k in sides.may.masked))
        old = replace(sides, item={**sides.item, _NAME: was}, may=may)
    names = _Names(old, move)
    item_base = {**old.item_base, _NAME: names.old_base(_base(old.item_base))}
    return replace(old, item_base=item_base, crm_base={**old.crm_base, _NAME: names.old_base(_base(old.crm_base))})


def _base(base: Mapping[str, Any]) -> Mapping[str, Any]:
    return base.get(_NAME) or {}


# -- what is written --------------------------------------------------------------------------------------------------


def _apart(sides: Sides, old: Sides, made: Merge, inner: Merge, move: _Move) -> None:
    """The times stay apart, for good or until somebody changes the calendar: each side's base is in its own names."""
    names = _Names(old, move)
    if _NAME in inner.to_item:
        made.to_item[_NAME] = inner.to_item[_NAME]
    if _NAME in inner.to_crm:
        made.to_crm[_NAME] = move.forth_all(inner.to_crm[_NAME])
    made.stays |= {(side, names.stay(stay) if side == "crm" else stay) for side, stay in inner.stays}
    mine, theirs = _base(old.item_base), names.base(_base(old.crm_base))
    for n, (base, held) in enumerate(((mine, _base(sides.item_base)), (theirs, _base(sides.crm_base)))):
        if base != held:
            made.now[n][_NAME] = dict.fromkeys(held) | dict(base)
        for there, here in ((made.now, inner.now), (made.with_item, inner.with_item), (made.with_crm, inner.with_crm)):
            if _NAME in here[n]:
                moves = here[n][_NAME] if n == 0 else names.moves(here[n][_NAME])
                there[n][_NAME] = {**there[n].get(_NAME, {}), **moves}


def _with_the_time(sides: Sides, old: Sides, made: Merge, inner: Merge, move: _Move) -> None:
    """The time is written to the side that did not move the series: its dates move with it there, and the bases of
    both sides are said in the new names by that write."""
    wanted = {
        "item": move.forth_all(inner.to_item[_NAME] if _NAME in inner.to_item else old.item[_NAME]),
        "crm": move.forth_all(inner.to_crm[_NAME] if _NAME in inner.to_crm else old.crm[_NAME]),
    }
    to, inner_to = {"item": made.to_item, "crm": made.to_crm}, {"item": inner.to_item, "crm": inner.to_crm}
    held = (old.item if move.stayed == "item" else old.crm)[_NAME]
    by_itself = shifted(held, move.before, move.after)
    differs = _KIND.elements(wanted[move.stayed]) != _KIND.elements(by_itself)
    if _NAME in inner_to[move.stayed] or ((differs or _dates(by_itself)) and _may(sides, move.stayed)):
        to[move.stayed][_NAME] = wanted[move.stayed]
    if _NAME in inner_to[move.moved]:
        to[move.moved][_NAME] = wanted[move.moved]
    with_stayed, with_moved = made.with_item, made.with_crm
    inner_stayed, inner_moved = inner.with_item, inner.with_crm
    if move.stayed == "crm":
        with_stayed, with_moved, inner_stayed, inner_moved = with_moved, with_stayed, inner_moved, inner_stayed
    item_first = move.stayed == "crm" and not made.losers  # see `carry.write_history_first`
    names = _Names(old, move)
    for n, base in enumerate((_base(old.item_base), _base(old.crm_base))):
        after = base
        for moves in (inner.now, inner_stayed, *((inner_moved,) if item_first else ())):
            after = apply_moves({_NAME: after}, {_NAME: moves[n].get(_NAME, {})})[_NAME]
        held_before = _base(sides.item_base if n == 0 else sides.crm_base)
        with_stayed[n][_NAME] = dict.fromkeys(held_before) | names.base(after)
        if _NAME in inner_moved[n]:
            with_moved[n][_NAME] = names.moves(inner_moved[n][_NAME])
    made.stays |= {(side, names.stay(stay)) for side, stay in inner.stays}


def _may(sides: Sides, side: Side) -> bool:
    return sides.may.up(_NAME) if side == "crm" else sides.may.down(_NAME) is May.YES


class _Names:
    """Digests under the old names -> under the new ones, as far as either side shows what they stand for."""

    def __init__(self, old: Sides, move: _Move) -> None:
        digester = old.digester
        #: An element's digest -> its new one.
        self.called: dict[str, str] = {}
        self._contents: dict[str, dict[str, str]] = {}
        for side in (old.item, old.crm):
            for element, text in _KIND.elements(side[_NAME]).items():
                new, now = move.forth_element(element, text)
                key = digester.element(_NAME, element)
                self.called[key] = digester.element(_NAME, new)
                contents = self._contents.setdefault(key, {})
                contents[digester.content(_NAME, element, text)] = digester.content(_NAME, new, now)
        self._before = {new: key for key, new in self.called.items()}

    def old_base(self, held: Mapping[str, Any]) -> Mapping[str, Any]:
        """A base in the old names, whichever it is in; what neither side shows is left out where it is in the new."""
        if sum(e in self._before for e in held) <= sum(e in self.called for e in held):
            return held
        made: dict[str, str] = {}
        for e, content in held.items():
            old = self._before.get(e)
            words = {now: was for was, now in self._contents[old].items()} if old is not None else {}
            if old is not None and content in words:
                made[old] = words[content]
        return made

    def stay(self, name: str) -> str:
        """The name of an element that stays, in the new names."""
        field_name, _, element = name.partition(" ")
        return f"{field_name} {self.called.get(element, element)}"

    def base(self, held: Mapping[str, Any]) -> dict[str, str]:
        """A base in the new names; what neither side shows any more is left out."""
        found = {self.called[e]: self._contents[e].get(c) for e, c in held.items() if e in self.called}
        return {e: c for e, c in found.items() if c is not None}

    def moves(self, moves: Mapping[str, str | None]) -> dict[str, str | None]:
        """Moves of a base in the new names."""
        return {
            self.called[e]: self._contents[e].get(c) if c is not None else None
            for e, c in moves.items()
            if e in self.called
        }
