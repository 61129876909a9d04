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
from syncd.model.recurrence import Recurrence, shifted, shifted_key, starts
from syncd.model.span import Moment, Span, as_instant, moment_key, parse_moment

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
        return Recurrence(
            self.forth_rule(value.rule),
            frozenset(self.forth(k) for k in value.rdates),
            frozenset(self.forth(k) for k in value.exdates),
            MappingProxyType({self.forth(k): fields for k, fields in value.overrides.items()}),
        )

    def forth_element(self, element: str, text: str) -> tuple[str, str]:
        """An element with its text, in the new names."""
        what, _, rest = element.partition(" ")
        if what == "rule":
            return element, self.forth_rule(text)
        key, blank, name = rest.partition(" ")
        return f"{what} {self.forth(key)}{blank}{name}", text


def merge_dates(sides: Sides, made: Merge) -> None:
    """Merges the recurrence, after the time. Raises BadRule."""
    move = _moved(sides, made)
    if move is None:
        by_element(sides, made, _NAME)
        return
    if "time" in made.asks:
        return  # whose dates they are is known once somebody has said whose time it is
    old = _under_old_names(sides, move)
    inner = Merge(waits=set(made.waits), stays=set(made.stays), asks=dict(made.asks))
    by_element(old, inner, _NAME)
    made.waits |= inner.waits
    if _NAME in inner.asks:
        item, crm = inner.asks[_NAME]
        made.asks[_NAME] = (move.forth_all(item), move.forth_all(crm))
    if _NAME in inner.losers:
        made.losers[_NAME] = move.forth_all(inner.losers[_NAME])
    if "time" in made.waits:
        _while_it_waits(made, inner, move)
    else:
        _with_the_time(sides, old, made, inner, move)


# -- which side -------------------------------------------------------------------------------------------------------


def _moved(sides: Sides, made: Merge) -> _Move | None:
    """The move, where both sides show a series, and the merge of their times says whose time holds."""
    item, crm = sides.item.get("time"), sides.crm.get("time")
    if not isinstance(item, Span) or not isinstance(crm, Span) or moment_key(item.start) == moment_key(crm.start):
        return None
    if any(side.get(_NAME) is None or side[_NAME].empty for side in (sides.item, sides.crm)):
        return None
    if "time" in made.to_crm:
        return _as_moved(sides, "item", crm.start, item)
    if "time" in made.to_item or "time" in made.waits or "time" in made.asks:
        return _as_moved(sides, "crm", item.start, crm)
    return None


def _as_moved(sides: Sides, moved: Side, before: Moment, now: Span) -> _Move:
    shown, other = (sides.item, sides.crm) if moved == "item" else (sides.crm, sides.item)
    base = (sides.item_base if moved == "item" else sides.crm_base).get(_NAME) or {}
    move = _Move(moved, before, now.start, along=True)
    along = _went_along(sides.digester, base, move, shown[_NAME], other[_NAME], now)
    move = replace(move, along=along)
    keys = {move.back(key): key for key in _dates(shown[_NAME])}
    rule: str = shown[_NAME].rule
    was = shifted(Recurrence(rule), now.start, before).rule if along else rule
    return replace(move, shown=keys, rules=(was, rule))


def _went_along(
    digester: Digester, base: Collection[str], move: _Move, shown: Recurrence, other: Recurrence, now: Span
) -> bool:
    """Whether the dates moved with the series: by which of its old names are still there, or called anew; else by
    whether the other side's dates are still dates of the series."""
    known = {e for e in _KIND.elements(shown) if date_of(e)}
    kept = sum(digester.element(_NAME, e) in base for e in known)
    called_anew = sum(digester.element(_NAME, _renamed(e, move)) in base for e in known)
    if kept != called_anew:
        return called_anew > kept
    dates = _dates(other)
    if not dates:
        return True
    moments = sorted(as_instant(parse_moment(key)) for key in dates)
    plain = replace(shown, exdates=frozenset(), overrides=MappingProxyType({}))
    found = starts(now, plain, moments[0] - _DAY, moments[-1] + _DAY)
    return not dates <= {moment_key(start) for start in found}


def _renamed(element: str, move: _Move) -> str:
    what, _, rest = element.partition(" ")
    key, blank, name = rest.partition(" ")
    return f"{what} {move.back(key)}{blank}{name}"


def _dates(recurrence: Recurrence) -> set[str]:
    return {*recurrence.rdates, *recurrence.exdates, *recurrence.overrides}


def _under_old_names(sides: Sides, move: _Move) -> Sides:
    shown = sides.item if move.moved == "item" else sides.crm
    seen: Recurrence = shown[_NAME]
    was = Recurrence(
        move.rules[0],
        frozenset(move.back(k) for k in seen.rdates),
        frozenset(move.back(k) for k in seen.exdates),
        MappingProxyType({move.back(k): fields for k, fields in seen.overrides.items()}),
    )
    if move.moved == "crm":
        return replace(sides, crm={**sides.crm, _NAME: was})
    may = replace(sides.may, masked=frozenset(move.back(k) for k in sides.may.masked))
    return replace(sides, item={**sides.item, _NAME: was}, may=may)


# -- what is written --------------------------------------------------------------------------------------------------


def _while_it_waits(made: Merge, inner: Merge, move: _Move) -> None:
    """The time is not written yet, so the bases keep the old names; what goes to the CRM goes under its own."""
    if _NAME in inner.to_crm:
        made.to_crm[_NAME] = move.forth_all(inner.to_crm[_NAME])
    made.stays |= inner.stays
    for there, here in ((made.now, inner.now), (made.with_crm, inner.with_crm)):
        for n in (0, 1):
            if _NAME in here[n]:
                there[n][_NAME] = here[n][_NAME]


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
    for n, base in enumerate((sides.item_base.get(_NAME) or {}, sides.crm_base.get(_NAME) or {})):
        after = base
        for moves in (inner.now, inner_stayed, *((inner_moved,) if item_first else ())):
            after = apply_moves({_NAME: after}, {_NAME: moves[n].get(_NAME, {})})[_NAME]
        with_stayed[n][_NAME] = dict.fromkeys(base) | names.base(after)
        if _NAME in inner_moved[n]:
            with_moved[n][_NAME] = names.moves(inner_moved[n][_NAME])
    for side, stay in inner.stays - made.stays:
        field_name, _, element = stay.partition(" ")
        made.stays.add((side, f"{field_name} {names.called.get(element, element)}"))


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
