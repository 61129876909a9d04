"""Two sides of one link, field by field: who changed what, and what each side should hold. Pure.

A field has changed on a side when it differs from that side's own base. Changed on one side: that
side counts. On both to the same value: nothing. Sets go by element, text by line where the mapping
says so, the rest by the mapping's word; whatever loses is named, so that it can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncd.engine.allowed import Allowed, May
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
    #: What may be written.
    may: Allowed
    item_modified: datetime | None = None
    crm_modified: datetime | None = None
    organizer: bool = False
    #: field -> "crm" | "groupware": a person's word on a conflict.
    decided: Mapping[str, str] = field(default_factory=dict)
    #: The item was private until now: what stands in the CRM in its place is what was left, or filled in.
    shown_again: bool = False
    #: The store is of an earlier release, which took every beginning of a text for a server's cut.
    heal: bool = False
    #: Fields, and elements as "field element's digest", whose value on that side never crossed, as it might not.
    local: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def freed(self, side: str, name: str, key: str = "") -> bool:
        """True when what this side shows of the field (or of an element of it) might not cross when it was put there
        (into a block of time, under an account that was read only), and may now."""
        alone = self.local.get(side, frozenset())
        if not alone or name not in self.item or name not in self.crm:
            return False
        if name not in alone and not (key and f"{name} {self.digester.element(name, key)}" in alone):
            return False
        if not (self.may.up(name, key) if side == "item" else self.may.down(name, key) is not May.NO):
            return False
        if key:
            mine, theirs = (kind_of(name).elements(view[name]) for view in (self.item, self.crm))
            return mine.get(key) != theirs.get(key)
        return not self.lens.agree(name, self.item[name], self.crm[name], self.caps)

    def any_freed(self, side: str) -> bool:
        """True when there is such a field, or element, on this side."""
        names = {alone.partition(" ")[0] for alone in self.local.get(side, ())}
        for name in names & self.item.keys() & self.crm.keys():
            keys = _keys(self, name) if kind_of(name).keyed else [""]
            if any(self.freed(side, name, key) for key in keys):
                return True
        return False


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
    #: Fields whose value in the CRM waits until somebody makes the change in the calendar.
    waits: set[str] = field(default_factory=set)


def merge(sides: Sides) -> Merge:
    """The merge of all fields that either side shows."""
    made = Merge()
    names = sides.item.keys() | sides.crm.keys()
    for name in sorted(names, key=lambda n: (n != "time", n)):  # a series' dates go only with its time
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
        up = sides.may.up(name) and name in sides.item
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
    item_changed = item_changed or sides.freed("item", name)
    crm_changed = crm_changed or sides.freed("crm", name)
    if sides.heal and not item_changed and not crm_changed and _was_taken_for_cut(sides, name, item, crm):
        item_changed = crm_changed = True  # an edit of either side that never crossed: the mapping's word decides
    if not item_changed and not crm_changed:
        return
    rule = sides.lens.rules[name]
    if name in sides.item and name in sides.crm and sides.lens.agree(name, item, crm, sides.caps):
        _agreed(sides, made, name)
        return
    if name not in sides.item_base and name not in sides.crm_base and _one_is_cut(sides, item, crm):
        _agreed(sides, made, name)  # linked anew: a text that a server has cut is no other text
        return
    up, down = sides.may.up(name), sides.may.down(name) if name in sides.crm else May.NO
    if down is not May.NO and sides.lens.on_item(name, crm, sides.caps[0]) is None:
        down = May.NO
    if item_changed and crm_changed and up and down is not May.NO:
        _conflict(sides, made, rule, item, crm, down)
    elif item_changed and up:
        if crm_changed or name in sides.local.get("crm", ()):
            _lost(made, name, crm)
        _to_crm(sides, made, name, item)
    elif crm_changed and down is May.YES:
        if item_changed or name in sides.local.get("item", ()):
            _lost(made, name, item)
        _to_item(sides, made, name, crm)
    elif crm_changed and down is May.WAITS:
        made.waits.add(name)
    else:  # it may not: it stays where it was made and only its base moves
        _stay(sides, made, name, item_changed, crm_changed)


def _changed(sides: Sides, base: Mapping[str, Any], name: str, value: Value) -> bool:
    """True when a side's value is not what it held when both agreed. Where they never did, nothing is
    no change: it does not replace what the other side has."""
    if name not in base:
        return not same(name, value, kind_of(name).empty)
    return not sides.digester.holds(base, name, value)


def _was_taken_for_cut(sides: Sides, name: str, item: Value, crm: Value) -> bool:
    exact = sides.caps[0].exact and sides.caps[1].exact
    if not exact or name not in sides.item or name not in sides.crm or sides.lens.agree(name, item, crm, sides.caps):
        return False
    return image(item, crm) or image(crm, item)


def _one_is_cut(sides: Sides, item: Value, crm: Value) -> bool:
    """Only a side that may shape what it is given without saying so has cut anything."""
    return (not sides.caps[1].exact and image(crm, item)) or (not sides.caps[0].exact and image(item, crm))


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


def _conflict(sides: Sides, made: Merge, rule: Rule, item: Value, crm: Value, down: May) -> None:
    name = rule.activity
    if rule.merge == "text" and name in sides.texts and name not in sides.decided and down is May.YES:
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
    elif down is May.WAITS:
        made.waits.add(name)
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
    if sides.shown_again:
        return "item"
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
    """Merges a set element by element."""
    kind, digester = kind_of(name), sides.digester
    item, crm = sides.item.get(name), sides.crm.get(name)
    found = _elements(sides, name)
    downs = {each.key: _down(sides, made, name, each) for each in found}
    if name == "recurrence" and May.WAITS in downs.values():  # its dates mean something only together
        downs = dict.fromkeys(downs, May.WAITS)
    new_item: dict[str, Value] = dict.fromkeys(kind.elements(item), item)
    new_crm: dict[str, Value] = dict.fromkeys(kind.elements(crm), crm)
    lost: dict[str, Value] = {}
    changed_item = changed_crm = False
    edited = _edited_and_left_out(sides, name, found, downs)
    for each in found:
        key, element = each.key, digester.element(name, each.key)
        up, down = sides.may.up(name, key) and name in sides.item, downs[key]
        wins = ""
        if each.here == each.there:
            made.now[0].setdefault(name, {})[element] = each.here
            made.now[1].setdefault(name, {})[element] = each.there
            continue
        if each.item_changed and each.crm_changed and up and down is not May.NO:
            wins = _element_winner(sides, name, each.here, each.there)
        elif edited.get(_date(each.key)) == "item" and up:
            wins = "item"
        elif edited.get(_date(each.key)) == "crm" and down is not May.NO:
            wins = "crm"
        elif each.item_changed and up:
            wins = "item"
        elif each.crm_changed and down is not May.NO:
            wins = "crm"
        if wins == "item":
            if each.there is not None and (each.crm_changed or f"{name} {element}" in sides.local.get("crm", ())):
                lost[key] = crm
            _move(new_crm, key, item if each.here is not None else None)
            made.with_crm[0].setdefault(name, {})[element] = each.here
            made.with_crm[1].setdefault(name, {})[element] = each.here
            changed_crm = True
        elif wins == "crm" and down is May.WAITS:
            made.waits.add(name)
        elif wins == "crm":
            if each.here is not None and (each.item_changed or f"{name} {element}" in sides.local.get("item", ())):
                lost[key] = item
            _move(new_item, key, crm if each.there is not None else None)
            made.with_item[0].setdefault(name, {})[element] = each.there
            made.with_item[1].setdefault(name, {})[element] = each.there
            changed_item = True
        else:
            if each.item_changed:
                made.now[0].setdefault(name, {})[element] = each.here
                if down is not May.NO:
                    made.stays.add(("item", f"{name} {element}"))
            if each.crm_changed:
                made.now[1].setdefault(name, {})[element] = each.there
                if up:
                    made.stays.add(("crm", f"{name} {element}"))
    for element in _gone_from_both(sides, name):
        made.now[0].setdefault(name, {})[element] = None
        made.now[1].setdefault(name, {})[element] = None
    if changed_crm:
        made.to_crm[name] = kind.rebuild(new_crm)
    if changed_item:
        made.to_item[name] = kind.rebuild(new_item)
    if lost:
        made.losers[name] = kind.rebuild(lost)


def _date(element: str) -> str:
    """The original start that an element of a recurrence is about, "" for the rule."""
    return element.partition(" ")[2].partition(" ")[0]


def _edited_and_left_out(
    sides: Sides, name: str, found: Sequence[_Element], downs: Mapping[str, May]
) -> dict[str, str]:
    """Original start -> the side that edited the occurrence while the other left it out: an edit beats a deletion, as
    it does for whole records."""
    if name != "recurrence":
        return {}
    made: dict[str, str] = {}
    for key in {_date(each.key) for each in found} - {""}:
        about = [each for each in found if _date(each.key) == key]
        gone = next((each for each in about if each.key.startswith("exdate ")), None)
        words = [each for each in about if each.key.startswith("over ")]
        if gone is None:
            continue
        if gone.crm_changed and gone.there is not None and any(e.item_changed and e.here is not None for e in words):
            if all(sides.may.up(name, e.key) for e in about):
                made[key] = "item"
        if gone.item_changed and gone.here is not None and any(e.crm_changed and e.there is not None for e in words):
            if all(downs[e.key] is not May.NO for e in about):
                made[key] = "crm"
    return made


@dataclass(frozen=True)
class _Element:
    """One element that has changed on a side, with its digest on each (None where it is not)."""

    key: str
    here: str | None
    there: str | None
    item_changed: bool
    crm_changed: bool


def _elements(sides: Sides, name: str) -> list[_Element]:
    """The elements of a keyed field that have changed on either side since both agreed."""
    kind, digester = kind_of(name), sides.digester
    mine, theirs = kind.elements(sides.item.get(name)), kind.elements(sides.crm.get(name))
    item_base, crm_base = sides.item_base.get(name) or {}, sides.crm_base.get(name) or {}
    found = []
    for key in _keys(sides, name):
        element = digester.element(name, key)
        here = digester.content(name, key, mine[key]) if key in mine else None
        there = digester.content(name, key, theirs[key]) if key in theirs else None
        item_changed = (name in sides.item and here != item_base.get(element)) or sides.freed("item", name, key)
        crm_changed = (name in sides.crm and there != crm_base.get(element)) or sides.freed("crm", name, key)
        if item_changed or crm_changed:
            found.append(_Element(key, here, there, item_changed, crm_changed))
    return found


def _keys(sides: Sides, name: str) -> list[str]:
    kind = kind_of(name)
    return sorted({*kind.elements(sides.item.get(name)), *kind.elements(sides.crm.get(name))})


def _gone_from_both(sides: Sides, name: str) -> set[str]:
    """Elements of the bases that neither side has any more."""
    if name not in sides.item or name not in sides.crm:
        return set()
    kind, digester = kind_of(name), sides.digester
    there = {*kind.elements(sides.item[name]), *kind.elements(sides.crm[name])}
    bases = {*(sides.item_base.get(name) or {}), *(sides.crm_base.get(name) or {})}
    return bases - {digester.element(name, key) for key in there} if bases else set()


def _down(sides: Sides, made: Merge, name: str, each: _Element) -> May:
    """Whether the element may go to the item. The dates of a series go only where its time goes, or they would
    stand for other occurrences there."""
    if name not in sides.crm:
        return May.NO
    answer = sides.may.down(name, each.key)
    if name == "recurrence" and answer is May.YES:
        if "time" in made.waits:
            return May.WAITS
        if ("crm", "time") in made.stays or "time" in made.asks:
            return May.NO
    return answer


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
