"""What is settled together: a unit, its parts, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.engine.look import Look
from syncd.engine.plan import GUARDED, Decision, Item, Rule
from syncd.engine.sides import Merge
from syncd.store import Link, Pending, Row


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
        """What waits until somebody makes the change in the calendar, where guests are told."""
        return ("deletion",) if self.decision.rule is Rule.WAIT else tuple(sorted(self.merge.waits))

    @property
    def counted(self) -> bool:
        """True while that can still be done: what is over rests."""
        return bool(self.waits) and not self.look.sides.may.over
