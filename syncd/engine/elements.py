"""Sets (people, categories, the dates of a series) merged element by element. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncd.engine.allowed import May
from syncd.engine.sides import Merge, Sides, keys_of, winner
from syncd.model.fields import Value, kind_of
from syncd.model.people import UNANSWERED, People


def by_element(sides: Sides, made: Merge, name: str) -> None:
    """Merges a set element by element."""
    kind, digester = kind_of(name), sides.digester
    item, crm = sides.item.get(name), sides.crm.get(name)
    found = _elements(sides, name)
    downs = {each.key: _down(sides, made, name, each) for each in found}
    if name == "recurrence" and May.WAITS in downs.values():  # its dates mean something only together
        told = any(sides.may.tells(name, e.key) for e in found if e.crm_changed)  # of what is ahead they hear
        downs = {k: May.NO if told and d is May.NO else May.YES if told else May.WAITS for k, d in downs.items()}
    new_item: dict[str, Value] = dict.fromkeys(kind.elements(item), item)
    new_crm: dict[str, Value] = dict.fromkeys(kind.elements(crm), crm)
    lost: dict[str, Value] = {}
    asked: list[str] = []
    changed_item = changed_crm = False
    fresh = name == "participants" and not sides.item_base and not sides.crm_base
    ended = _ended(sides, name, found)
    beats = (
        dict.fromkeys((date_of(e.key) for e in found), ended)
        if ended
        else _edited_and_left_out(sides, name, found, downs)
    )
    lost |= dict.fromkeys(_goes_with_its_date(found, beats), item)
    for each in found:
        key, element = each.key, digester.element(name, each.key)
        up, down = sides.may.up(name, key) and name in sides.item, downs[key]
        wins = ""
        if each.here == each.there or (fresh and _is_no_answer(item, crm, key)):
            made.now[0].setdefault(name, {})[element] = each.here
            made.now[1].setdefault(name, {})[element] = each.there
            continue
        if each.item_changed and each.crm_changed and up and down is not May.NO and not ended:
            wins = _element_winner(sides, name, each.here, each.there)
        elif beats.get(date_of(each.key)) == "item" and up:
            wins = "item"
        elif beats.get(date_of(each.key)) == "crm" and down is not May.NO:
            wins = "crm"
        elif each.item_changed and up:
            wins = "item"
        elif each.crm_changed and down is not May.NO:
            wins = "crm"
        if wins == "ask":
            asked.append(key)
        elif wins == "item":
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
        for now in made.now:
            now.setdefault(name, {})[element] = None
    if changed_crm:
        made.to_crm[name] = kind.rebuild(new_crm)
    if changed_item:
        made.to_item[name] = kind.rebuild(new_item)
    if asked:
        made.asks[name] = (kind.rebuild(dict.fromkeys(asked, item)), kind.rebuild(dict.fromkeys(asked, crm)))
    if lost:
        made.losers[name] = kind.rebuild(lost)


def _is_no_answer(item: Value, crm: Value, address: str) -> bool:
    """True where the item shows no answer of somebody's, and the CRM has one: that is old, or was said there."""
    here, there = (people.get(address) if isinstance(people, People) else None for people in (item, crm))
    return here is not None and there is not None and here.answer == UNANSWERED != there.answer


def date_of(element: str) -> str:
    """The original start that an element of a recurrence is about, "" for the rule."""
    return element.partition(" ")[2].partition(" ")[0]


def _ended(sides: Sides, name: str, found: Sequence[_Element]) -> str:
    """The side that worked on a series while it became a single event on the other: an edit beats that, and the series
    stays as that side has it, with all of its dates. "" where there is none."""
    if name != "recurrence" or name not in sides.item or name not in sides.crm:
        return ""
    item, crm = kind_of(name).elements(sides.item[name]), kind_of(name).elements(sides.crm[name])
    if crm and not item and sides.item_base.get(name) and any(each.crm_changed for each in found):
        return "crm"
    if item and not crm and sides.crm_base.get(name) and any(each.item_changed for each in found):
        return "item"
    return ""


def _edited_and_left_out(
    sides: Sides, name: str, found: Sequence[_Element], downs: Mapping[str, May]
) -> dict[str, str]:
    """Original start -> the side that edited the occurrence while the other left it out: an edit beats a deletion, as
    it does for whole records."""
    if name != "recurrence":
        return {}
    made: dict[str, str] = {}
    for key in {date_of(each.key) for each in found} - {""}:
        about = [each for each in found if date_of(each.key) == key]
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


def _goes_with_its_date(found: Sequence[_Element], beats: Mapping[str, str]) -> list[str]:
    """What was typed into dates of the item that the CRM leaves out now."""
    ends = {date_of(e.key) for e in found if e.key.startswith("exdate ") and e.crm_changed and e.there is not None}
    typed = (e.key for e in found if e.key.startswith("over ") and e.item_changed and e.here is not None)
    return [key for key in typed if date_of(key) in ends and beats.get(date_of(key)) != "item"]


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
    for key in keys_of(sides, name):
        element = digester.element(name, key)
        here = digester.content(name, key, mine[key]) if key in mine else None
        there = digester.content(name, key, theirs[key]) if key in theirs else None
        item_changed = (name in sides.item and here != item_base.get(element)) or sides.freed("item", name, key)
        crm_changed = (name in sides.crm and there != crm_base.get(element)) or sides.freed("crm", name, key)
        if item_changed or crm_changed:
            found.append(_Element(key, here, there, item_changed, crm_changed))
    return found


def _gone_from_both(sides: Sides, name: str) -> set[str]:
    """Elements of the bases that neither side has any more."""
    if name not in sides.crm or name not in sides.item:
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
    """Changed here and removed there: the change counts. Changed on both: the mapping's word, or "ask"."""
    if here is None or there is None:
        return "crm" if here is None else "item"
    return winner(sides, sides.lens.rules[name])


def _move(elements: dict[str, Value], key: str, holder: Value) -> None:
    if holder is None:
        elements.pop(key, None)
    else:
        elements[key] = holder
