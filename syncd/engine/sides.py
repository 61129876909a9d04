"""What a merge depends on, and what it yields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncd.engine.allowed import Allowed, May
from syncd.engine.digest import Digester
from syncd.mapping.lens import Lens, Rule
from syncd.model.fields import Fields, Value, kind_of
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
    #: The item's word counts: it was private until now, and what stands in the CRM in its place is what was left, or
    #: filled in; or it is the organiser's, and an attendee's was read first.
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
            keys = keys_of(self, name) if kind_of(name).keyed else [""]
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


def keys_of(sides: Sides, name: str) -> list[str]:
    kind = kind_of(name)
    return sorted({*kind.elements(sides.item.get(name)), *kind.elements(sides.crm.get(name))})


def winner(sides: Sides, rule: Rule) -> str:
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
