"""A pairing: one replica of one employee, joined with the CRM under one mapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property

from syncd.mapping.lens import Lens
from syncd.mapping.schema import Privacy, marks_private
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.ports import Crm, Replica

#: How records are read and compared; a store whose feeds were read in an older way is healed by its next pass.
WAY = "2"


def pairing_name(employee: str, account: str) -> str:
    """``employee/account``."""
    return f"{employee}/{account}"


def is_of_employee(pairing: str, employee: str) -> bool:
    """True for a pairing of that employee, also one that is not read any more."""
    return pairing.partition("/")[0] == employee


@dataclass(frozen=True)
class Employee:
    """Whose groupware it is."""

    id: str
    #: Normalised addresses; the first is the one that the CRM knows best.
    addresses: tuple[str, ...]
    #: In which dates and floating times are read.
    zone: tzinfo = UTC

    def among(self, people: People) -> str:
        """The address under which the employee takes part, or "" ."""
        return next((a for a in self.addresses if a in people), "")


@dataclass(frozen=True)
class OwnMail:
    """An employee's own word on a mailbox; it can only narrow what the mapping lets cross."""

    exclude_keywords: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    #: headers-only, text or full.
    content: str = "full"


@dataclass(frozen=True)
class Pairing:
    """What one pass works on."""

    id: str
    employee: Employee
    replica: Replica
    crm: Crm
    #: The CRM's name in the configuration: pairings with the same name share its activities.
    crm_name: str
    lens: Lens = field(repr=False)
    #: What the employee excludes of a mailbox, beside the mapping.
    own: OwnMail = OwnMail()
    #: Of an employee's several calendars the one that takes what comes from the CRM.
    default: bool = True
    #: Changes with what the configuration says of the employee and of the account; a keyed digest, as the store
    #: remembers it.
    settings: str = ""

    @cached_property
    def names(self) -> frozenset[str]:
        """Activity fields that are mapped and that both sides can hold."""
        mine, theirs = self.replica.capabilities.fields, self.crm.capabilities.fields
        return frozenset(
            name
            for name, rule in self.lens.rules.items()
            if (mine is None or rule.item in mine) and (theirs is None or name in theirs)
        )

    @cached_property
    def privacy(self) -> Privacy:
        """What may cross of private things. All of it may only where the activity is marked: else nothing does."""
        mapping = self.lens.mapping
        said = mapping.privacy
        marked = {w: "private" in self.names and marks_private(mapping, w) for w in ("private", "confidential")}
        rules = {"private": said.private, "confidential": said.confidential or said.private}
        return said.model_copy(
            update={word: "withhold" if rule == "full" and not marked[word] else rule for word, rule in rules.items()}
        )

    @property
    def reading(self) -> str:
        """Changes with the meaning of what was read: another mapping, another way of ours to look at it, an account
        that takes writes or does not, other words of the employee's on what crosses. Then everything is looked at
        anew."""
        told = f" {self.settings}" if self.settings else ""
        return f"{WAY} {self.lens.digest}{'' if self.replica.capabilities.writable else ' read-only'}{told}"

    @property
    def expands(self) -> bool:
        """True when the CRM holds no series, so that each occurrence is an activity of its own."""
        return self.crm.capabilities.series == "none" and self.replica.capabilities.series == "series"


@dataclass(frozen=True)
class Moment:
    """Now, as the pass sees it: one value for all of it, so that a test can choose it."""

    now: datetime

    @cached_property
    def text(self) -> str:
        """For the store."""
        return self.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @cached_property
    def today(self) -> str:
        """For due dates."""
        return self.now.astimezone(UTC).strftime("%Y-%m-%d")

    @cached_property
    def midnight(self) -> datetime:
        """The beginning of this day, UTC."""
        return self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def bounds(self, lens: Lens) -> tuple[datetime, datetime]:
        """The mapping's window, from midnight to midnight UTC, so that it moves once a day."""
        window = lens.mapping.window
        return self.midnight - window.past, self.midnight + window.future + timedelta(days=1)


def day_text(day: date) -> str:
    """A due date for the store."""
    return day.strftime("%Y-%m-%d")


def participants_lines(fields: Fields) -> list[str]:
    """The participants of an activity as lines of the block in a copy."""
    people: People = fields.get("participants") or People()
    if not people:
        return []
    return ["Participants:", *(f"  {people[a].name} <{a}>" if people[a].name else f"  {a}" for a in people)]


def item_feed(pairing: str) -> str:
    """The name of a pairing's item feed in the store."""
    return f"item {pairing}"
