"""Two sides of one link, field by field: who changed what, and what each side should hold. Pure.

A field has changed on a side when it differs from that side's own base. Changed on one side: that
side counts. On both to the same value: nothing. Sets go by element, text by line where the mapping
says so, the rest by the mapping's word; whatever loses is named, so that it can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.engine.allowed import May
from syncd.engine.dates import merge_dates
from syncd.engine.elements import by_element
from syncd.engine.sides import Merge, Sides, winner
from syncd.engine.text import image, merge_text
from syncd.mapping.lens import Rule
from syncd.model.fields import Value, kind_of, same, says_nothing


def merge(sides: Sides) -> Merge:
    """The merge of all fields that either side shows."""
    made = Merge()
    names = sides.item.keys() | sides.crm.keys()
    for name in sorted(names, key=lambda n: (n != "time", n == "recurrence", n)):  # dates go only with the time
        if name == "recurrence":
            merge_dates(sides, made)
        elif kind_of(name).keyed:
            by_element(sides, made, name)
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
    crm_changed = crm_changed or sides.freed("crm", name) or _was_emptied(sides, name)
    if sides.heal and not item_changed and not crm_changed and _was_taken_for_cut(sides, name, item, crm):
        item_changed = crm_changed = True  # an edit of either side that never crossed: the mapping's word decides
    if not item_changed and not crm_changed:
        return
    rule = sides.lens.rules[name]
    if name in sides.item and name in sides.crm and sides.lens.agree(name, item, crm, sides.caps):
        _agreed(sides, made, name)
        return
    up, down = sides.may.up(name), sides.may.down(name) if name in sides.crm else May.NO
    if down is not May.NO and sides.lens.on_item(name, crm, sides.caps[0]) is None and not kind_of(name).optional:
        down = May.NO
    if name not in sides.item_base and name not in sides.crm_base and _one_is_cut(sides, item, crm):
        if name not in sides.decided:  # linked anew: nobody can say whether a server has cut it, and more says more
            item_changed, crm_changed = not image(item, crm), image(item, crm)
        if not (up if item_changed else down is not May.NO):
            _agreed(sides, made, name)
            return
        if item_changed is not crm_changed and down is not May.WAITS:
            _lost(made, name, item if crm_changed else crm)
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
        return not says_nothing(name, value)
    return not sides.digester.holds(base, name, value)


def _was_emptied(sides: Sides, name: str) -> bool:
    """True where the CRM's word counts and is that there is nothing."""
    return name in sides.crm and name not in sides.crm_base and sides.decided.get(name) == "crm"


def _was_taken_for_cut(sides: Sides, name: str, item: Value, crm: Value) -> bool:
    exact = sides.caps[0].exact and sides.caps[1].exact
    if not exact or name not in sides.item or name not in sides.crm or sides.lens.agree(name, item, crm, sides.caps):
        return False
    return image(item, crm) or image(crm, item)


def _one_is_cut(sides: Sides, item: Value, crm: Value) -> bool:
    """Only a side that may shape what it is given without saying so has cut anything."""
    return (not sides.caps[1].exact and image(crm, item)) or (not sides.caps[0].exact and image(item, crm))


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
    wins = winner(sides, rule)
    if wins == "ask":
        made.asks[name] = (item, crm)
    elif wins == "item":
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
