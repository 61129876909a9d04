"""What is settled together: a unit, its parts, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.engine.look import Look
from syncd.engine.plan import GUARDED, Decision, Item, Rule
from syncd.engine.sides import Merge
from syncd.model.fields import same
from syncd.model.recurrence import Recurrence
from syncd.store import Link, Pending, Row

#: Stands among what waits where the reason is that a date of the series is private.
PRIVATE_DATE = "private-date"


@dataclass
class Unit:
    """An item, its links, and the announcements that it settles."""

    ref: str | None
    links: list[Link] = field(default_factory=list)
    entries: list[Pending] = field(default_factory=list)
    #: The activity's ref, for a unit that begins with an activity that nobody knows yet.
    crm_ref: str | None = None


@dataclass
class Outcome:
    """What became of a unit."""

    #: Deletions that wait for the guard.
    deferred: int = 0
    #: When it must be looked at again ("" for not).
    due: str = ""


@dataclass
class Part:
    """One link on its way through the unit."""

    look: Look
    row: Row
    decision: Decision
    merge: Merge = field(default_factory=Merge)
    item_written: bool = False
    crm_written: bool = False
    link: Link | None = None
    #: A value lost, so the CRM was written before the item.
    kept_first: bool = False
    #: The employee is invited no more: that the item is gone is no answer.
    taken_out: bool = False
    #: An occurrence that crossed is private now: its words go from the CRM's history too.
    exposed: bool = False
    #: The original starts of the item's private occurrences.
    hidden: frozenset[str] = frozenset()

    @property
    def guarded(self) -> bool:
        """True for a deletion, which goes through in bulk with a person's word only. What is private now, and not this
        employee's, is taken out of the calendar at once: nothing is more urgent. And what we made goes, unedited, where
        the same stands beside it: nothing is lost with that."""
        at = self.look.situation
        privacy = self.decision.rule is Rule.TAKE_BACK and (at.hidden or at.retracted)
        twice = self.decision.rule is Rule.TAKE_BACK and at.doubled and at.item is Item.SAME
        return self.decision.rule in GUARDED and not privacy and not twice

    @property
    def waits(self) -> tuple[str, ...]:
        """What waits until somebody makes the change in the calendar, where guests are told, or where a date of the
        series is private: then that is said too."""
        if self.decision.rule is Rule.WAIT:
            return ("deletion",)
        held = self._held_by_a_private_date()
        return (*sorted(self.merge.waits | held), *((PRIVATE_DATE,) if held else ()))

    def _held_by_a_private_date(self) -> set[str]:
        """Of when the series is, and how it repeats: what stands in the CRM alone, as a date of it is private."""
        sides = self.look.sides
        if self.look.activity is None:
            return set()
        alone = {*sides.local.get("crm", ()), *(name for side, name in self.merge.stays if side == "crm")}
        names = {name.partition(" ")[0] for name in alone} & sides.may.lens.rules.keys()

        def is_apart(name: str) -> bool:
            item, crm = sides.item.get(name), sides.crm.get(name)
            if isinstance(item, Recurrence) and isinstance(crm, Recurrence):
                return item.rule != crm.rule
            return not same(name, item, crm)

        return {name for name in names if sides.may.moves_masked(name) and is_apart(name)}

    @property
    def counted(self) -> bool:
        """True while that can still be done: what is over rests."""
        return bool(self.waits) and not self.look.sides.may.over
