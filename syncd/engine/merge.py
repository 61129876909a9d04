"""Two sides of one link, field by field: who changed what, and what each side should hold. Pure.

A field has changed on a side when it differs from that side's own base. Changed on one side: that
side counts. On both to the same value: nothing. Sets go by element, text by line where the mapping
says so, the rest by the mapping's word; whatever loses is named, so that it can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncd.engine.digest import Digester
from syncd.engine.text import merge_text
from syncd.mapping.lens import Lens, Rule
from syncd.model.fields import Fields, Value, kind_of, normal_text, same
from syncd.ports import Capabilities

#: Two changes no further apart than this happened at the same time: servers' clocks differ.
NO_DIFFERENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class Sides:
    """Everything that a merge depends on."""

    item: Fields
    crm: Fields
    item_base: Mapping[str, Any]
    crm_base: Mapping[str, Any]
    texts: Mapping[str, str]
    lens: Lens
    caps: tuple[Capabilities, Capabilities]
    digester: Digester
    #: field -> both | to-crm | to-groupware | none, after the role.
    directions: Mapping[str, str]
    #: For keyed fields: the only elements that may cross (an attendee's own answer).
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    item_modified: datetime | None = None
    crm_modified: datetime | None = None
    organizer: bool = False
    #: field -> "crm" | "groupware": a person's word on a conflict.
    decided: Mapping[str, str] = field(default_factory=dict)
    #: Fields whose value on that side never crossed, as their direction forbids it.
    local: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Merge:
    """What is to be written, and how the bases move when it has been."""

    to_item: dict[str, Value] = field(default_factory=dict)
    to_crm: dict[str, Value] = field(default_factory=dict)
    #: Moves of (item base, crm base) that need no write, come with the item's, with the CRM's.
    now: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    with_item: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    with_crm: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    #: Values that lose, by field: they go to the activity's history.
    losers: dict[str, Value] = field(default_factory=dict)
    #: Fields that wait for a person.
    asks: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    #: New common words of ``merge: text`` fields, and with which write they hold.
    texts: dict[str, str] = field(default_factory=dict)
    #: Fields that stay on the side where they are: (side, name).
    stays: set[tuple[str, str]] = field(default_factory=set)


def merge(sides: Sides) -> Merge:
    """The merge of all fields that either side shows."""
    made = Merge()
    for name in sorted(sides.item.keys() | sides.crm.keys()):
        if kind_of(name).keyed:
            _by_element(sides, made, name)
        else:
            _whole(sides, made, name)
    return made


def second_copy(sides: Sides) -> Merge:
    """Another mailbox's copy of a message that the CRM has already: it adds what is missing there, and
    changes nothing that anybody may have corrected."""
    made = Merge()
    for name in sorted(sides.item.keys() | sides.crm.keys()):
        empty = kind_of(name).empty
        here, there = sides.item.get(name, empty), sides.crm.get(name, empty)
        up = sides.directions[name] in ("both", "to-crm") and name in sides.item
        if up and same(name, there, empty) and not same(name, here, empty):
            _to_crm(sides, made, name, here)
            continue
        if name in sides.item:
            made.now[0][name] = sides.digester.of(name, here)
        if name in sides.crm:
            made.now[1][name] = sides.digester.of(name, there)
    return made


def _whole(sides: Sides, made: Merge, name: str) -> None:
    item, crm = sides.item.get(name), sides.crm.get(name)
    item_changed = name in sides.item and _changed(sides, sides.item_base, name, item)
    crm_changed = name in sides.crm and _changed(sides, sides.crm_base, name, crm)
    if not item_changed and not crm_changed:
        return
    rule = sides.lens.rules[name]
    if name in sides.item and name in sides.crm and sides.lens.agree(name, item, crm, sides.caps):
        _agreed(sides, made, name)
        return
    if name not in sides.item_base and name not in sides.crm_base and _one_is_cut(item, crm):
        _agreed(sides, made, name)  # linked anew: a text that a server has cut is no other text
        return
    up = sides.directions[name] in ("both", "to-crm")
    down = sides.directions[name] in ("both", "to-groupware") and name in sides.crm
    down = down and sides.lens.on_item(name, crm, sides.caps[0]) is not None
    if item_changed and crm_changed and up and down:
        _conflict(sides, made, rule, item, crm)
    elif item_changed and up:
        if crm_changed or name in sides.local.get("crm", ()):
            _lost(made, name, crm)
        _to_crm(sides, made, name, item)
    elif crm_changed and down:
        if item_changed or name in sides.local.get("item", ()):
            _lost(made, name, item)
        _to_item(sides, made, name, crm)
    else:  # the direction forbids it: it stays where it was made and only its base moves
        _stay(sides, made, name, item_changed, crm_changed)


def _changed(sides: Sides, base: Mapping[str, Any], name: str, value: Value) -> bool:
    """True when a side's value is not what it held when both agreed. Where they never did, nothing is
    no change: it does not replace what the other side has."""
    if name not in base:
        return not same(name, value, kind_of(name).empty)
    return not sides.digester.holds(base, name, value)


def _one_is_cut(item: Value, crm: Value) -> bool:
    return image(crm, item) or image(item, crm)


def image(held: Value, sent: Value) -> bool:
    """True when `held` is what a server may have made of the text `sent`: cut off or trimmed."""
    if not isinstance(held, str) or not isinstance(sent, str):
        return False
    return bool(one_line(held)) and one_line(sent).startswith(one_line(held))


def one_line(text: Value) -> str:
    """The words of a text with single blanks between them."""
    return " ".join(normal_text(str(text or "")).split())


def _agreed(sides: Sides, made: Merge, name: str) -> None:
    made.now[0][name] = sides.digester.of(name, sides.item[name])
    made.now[1][name] = sides.digester.of(name, sides.crm[name])
    if sides.lens.rules[name].merge == "text":
        made.texts[name] = str(sides.item[name] or "")


def _stay(sides: Sides, made: Merge, name: str, item_changed: bool, crm_changed: bool) -> None:
    if item_changed:
        made.now[0][name] = sides.digester.of(name, sides.item[name])
        made.stays.add(("item", name))
    if crm_changed:
        made.now[1][name] = sides.digester.of(name, sides.crm[name])
        made.stays.add(("crm", name))


def _to_crm(sides: Sides, made: Merge, name: str, value: Value) -> None:
    there = sides.lens.on_crm(name, value, sides.caps[1])
    made.to_crm[name] = there
    made.with_crm[0][name] = sides.digester.of(name, sides.item[name])
    made.with_crm[1][name] = sides.digester.of(name, there)
    if sides.lens.rules[name].merge == "text":
        made.texts[name] = str(value or "")


def _to_item(sides: Sides, made: Merge, name: str, value: Value) -> None:
    made.to_item[name] = value
    made.with_item[0][name] = sides.digester.of(name, sides.lens.on_item(name, value, sides.caps[0]))
    made.with_item[1][name] = sides.digester.of(name, sides.crm[name])
    if sides.lens.rules[name].merge == "text":
        made.texts[name] = str(value or "")


def _conflict(sides: Sides, made: Merge, rule: Rule, item: Value, crm: Value) -> None:
    name = rule.activity
    if rule.merge == "text" and name in sides.texts and name not in sides.decided:
        merged = merge_text(sides.texts[name], str(item or ""), str(crm or ""))
        if merged is not None:
            _both(sides, made, name, merged)
            return
    winner = _winner(sides, rule)
    if winner == "ask":
        made.asks[name] = (item, crm)
    elif winner == "item":
        _lost(made, name, crm)
        _to_crm(sides, made, name, item)
    else:
        _lost(made, name, item)
        _to_item(sides, made, name, crm)


def _both(sides: Sides, made: Merge, name: str, merged: str) -> None:
    """Merged words go to each side that lacks them. While the first of two writes is made, the
    bases stay: a crash between the two merges again, and finds one side's words in the other's."""
    there, here = sides.lens.on_crm(name, merged, sides.caps[1]), sides.lens.on_item(name, merged, sides.caps[0])
    moves = ({name: sides.digester.of(name, here)}, {name: sides.digester.of(name, there)})
    if not same(name, sides.item[name], merged):
        made.to_item[name] = merged
    if not same(name, sides.crm[name], there):
        made.to_crm[name] = there
    place = made.with_crm if name in made.to_crm else made.with_item if name in made.to_item else made.now
    place[0].update(moves[0])
    place[1].update(moves[1])
    made.texts[name] = merged


def _lost(made: Merge, name: str, value: Value) -> None:
    if value not in (None, "", False) and kind_of(name).canonical(value):
        made.losers[name] = value


def _winner(sides: Sides, rule: Rule) -> str:
    """item, crm or ask, by a person's word or the mapping's, asked in order."""
    if rule.activity in sides.decided:
        return {"groupware": "item"}.get(sides.decided[rule.activity], "crm")
    for word in rule.words:
        if word == "crm":
            return "crm"
        if word == "groupware":
            return "item"
        if word == "ask":
            return "ask"
        if word == "organizer" and sides.organizer:
            return "item"
        if word == "newest" and sides.item_modified and sides.crm_modified:
            apart = sides.item_modified - sides.crm_modified
            if abs(apart) > NO_DIFFERENCE:
                return "item" if apart > timedelta(0) else "crm"
    return "crm"


def _by_element(sides: Sides, made: Merge, name: str) -> None:
    """Merges a set element by element; only elements that `only` names may cross."""
    kind, digester = kind_of(name), sides.digester
    item, crm = sides.item.get(name), sides.crm.get(name)
    mine, theirs = kind.elements(item), kind.elements(crm)
    item_base = sides.item_base.get(name) or {}
    crm_base = sides.crm_base.get(name) or {}
    up = sides.directions[name] in ("both", "to-crm") and name in sides.item
    down = sides.directions[name] in ("both", "to-groupware") and name in sides.crm
    new_item: dict[str, Value] = dict.fromkeys(mine, item)
    new_crm: dict[str, Value] = dict.fromkeys(theirs, crm)
    allowed = sides.only.get(name)
    lost: dict[str, Value] = {}
    changed_item = changed_crm = False
    for key in sorted(mine.keys() | theirs.keys()):
        if allowed is not None and key not in allowed:
            continue
        element = digester.element(name, key)
        here = digester.content(name, key, mine[key]) if key in mine else None
        there = digester.content(name, key, theirs[key]) if key in theirs else None
        item_changed = name in sides.item and here != item_base.get(element)
        crm_changed = name in sides.crm and there != crm_base.get(element)
        if not item_changed and not crm_changed:
            continue
        if here == there:
            made.now[0].setdefault(name, {})[element] = here
            made.now[1].setdefault(name, {})[element] = there
            continue
        if item_changed and crm_changed and up and down:
            item_wins = _element_winner(sides, name, here, there) == "item"
        else:
            item_wins = item_changed and up
        if item_wins:
            if crm_changed and key in theirs:
                lost[key] = crm
            _move(new_crm, key, item if key in mine else None)
            made.with_crm[0].setdefault(name, {})[element] = here
            made.with_crm[1].setdefault(name, {})[element] = here
            changed_crm = True
        elif crm_changed and down:
            if item_changed and key in mine:
                lost[key] = item
            _move(new_item, key, crm if key in theirs else None)
            made.with_item[0].setdefault(name, {})[element] = there
            made.with_item[1].setdefault(name, {})[element] = there
            changed_item = True
        else:
            if item_changed:
                made.now[0].setdefault(name, {})[element] = here
            if crm_changed:
                made.now[1].setdefault(name, {})[element] = there
    if changed_crm:
        made.to_crm[name] = kind.rebuild(new_crm)
    if changed_item:
        made.to_item[name] = kind.rebuild(new_item)
    if lost:
        made.losers[name] = kind.rebuild(lost)


def _element_winner(sides: Sides, name: str, here: str | None, there: str | None) -> str:
    """Changed here and removed there: the change counts. Changed on both: the mapping's word."""
    if here is None or there is None:
        return "crm" if here is None else "item"
    return "item" if _winner(sides, sides.lens.rules[name]) == "item" else "crm"


def _move(elements: dict[str, Value], key: str, holder: Value) -> None:
    if holder is None:
        elements.pop(key, None)
    else:
        elements[key] = holder
