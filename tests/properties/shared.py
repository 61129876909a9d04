"""Random stories about one meeting that several employees hold: whoever marks a copy private, declines, edits, answers
or takes it out again, and whatever becomes of the store and of the accounts' names meanwhile.

`habits` plays many entries that are each somebody's own; here is one that is everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import permutations
from random import Random
from typing import Any

from syncd.engine.context import Context
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.engine.sides import NO_DIFFERENCE
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.model.fields import with_answer
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import Telling
from tests.memory import MemoryReplica, calendar, crm
from tests.properties.world import START, Broken
from tests.stores import close_all, new_store

NAMES = ("ann", "bob", "cid")
CUSTOMER = "kim@acme.example"
TITLE = "Review"
#: What each copy is called in its calendar, and the meeting everywhere.
UID = "shared-meeting"


@cache
def lens_of(private: str, guests: str) -> Lens:
    """The shipped mapping under these rules."""
    mapping = load(shipped()["appointments"]).mapping
    privacy = mapping.privacy.model_copy(update={"private": private, "confidential": private})
    return Lens(mapping.model_copy(update={"privacy": privacy, "guests": guests}), f"{private} {guests}")


@dataclass
class Meeting:
    """Ann, Bob and Cid with a calendar each, a CRM, and a meeting that Ann or a customer organises."""

    rng: Random
    now: datetime = START
    trail: list[str] = field(default_factory=list)
    #: Words that somebody typed into a copy of the own that was private by then.
    secrets: list[tuple[str, str]] = field(default_factory=list)
    #: Who has taken out a copy that was public and had been read; and of whom that has been read.
    leaving: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    #: Copies that are as they were when everything was settled last.
    read: set[str] = field(default_factory=set)
    number: int = 0
    #: Somebody has taken a copy out: what it had brought stays.
    left: bool = False
    #: And that has not been read yet.
    unread: bool = False
    lost: bool = False
    #: Nobody has been read to the end since: there are no bases.
    bare: bool = False
    #: Single dates of a series have been moved, and not every copy has been read since.
    moved: bool = False
    #: When somebody has edited a copy last, and when somebody has taken one out.
    edited: datetime | None = None
    gone: datetime = START
    #: Some copy has been private.
    masked: bool = False
    #: Whose copy was private when it was read last.
    hidden: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        rng = self.rng
        self.private = rng.choice(["withhold", "busy-only", "full"])
        self.guests = rng.choice(["wait", "quiet", "tell"])
        self.series = rng.random() < 0.7
        self.repeats = rng.random() < 0.3
        self.organiser = rng.choice(["ann@us.example", CUSTOMER])
        self.crm = crm(lambda: self.now, series=self.series)
        self.store = new_store()
        self.calendars: dict[str, MemoryReplica] = {}
        self.pairings: list[Pairing] = []
        lens = lens_of(self.private, self.guests)
        for name in rng.choice(list(permutations(NAMES))):
            replica = calendar(name, lambda: self.now)
            replica.server = rng.choice(list(Telling))
            self.calendars[name] = replica
            employee = Employee(name, (f"{name}@us.example",))
            self.pairings.append(Pairing(f"{name}/work", employee, replica, self.crm, "crm", lens))
        self.held = [n for n in NAMES if n == "ann" or rng.random() < 0.8]
        invited = [Participant(f"{n}@us.example") for n in self.held] + [Participant(CUSTOMER)]
        span = Span(START + timedelta(days=6), START + timedelta(days=6, hours=1), "UTC")
        fields: dict[str, Any] = {"summary": TITLE, "description": "Agenda", "time": span, "status": "confirmed"}
        if self.repeats:
            fields["recurrence"] = Recurrence("FREQ=WEEKLY;COUNT=2")
        for name in self.held:
            word = "private" if rng.random() < 0.25 else "public"
            self.masked |= word != "public"
            mine = {**fields, "sensitivity": word, "attendees": People(invited)}
            self.calendars[name].put(name, "event", mine, uid=UID, owner=self.organiser)

    # -- what people do -------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """For the trail of a failure."""
        self.trail.append(text)

    def _copies(self) -> list[str]:
        return [n for n in NAMES if n in self.calendars[n].records]

    def _edit(self, name: str, **values: Any) -> None:
        self.edited = self.now
        self.calendars[name].edit(name, **values)

    def _is_private(self, name: str) -> bool:
        return bool(self.calendars[name].records[name].fields["sensitivity"] != "public")

    def mark(self) -> None:
        """Somebody says of the own copy how private it is."""
        if self._copies() and not self.moved:
            name = self.rng.choice(self._copies())
            word = self.rng.choice(["private", "confidential", "public", "public"])
            self.say(f"{name}: {word}")
            self.read.discard(name)
            self.masked |= word != "public"
            self._edit(name, sensitivity=word)

    def update(self) -> None:
        """The organiser changes the meeting, and all copies with it."""
        which = self.rng.choice(["location", "description", "time"])
        self.number += 1
        value: Any = f"Room {self.number}"
        if which == "time" and not self.series:
            known = set(self._copies()) <= self.read and not any(self._is_private(n) for n in self._copies())
            which = "time" if known else "location"  # single dates of a series are known by their starts
            self.moved |= known
        if which == "time":
            start = START + timedelta(days=6, hours=self.rng.randrange(9))
            value = Span(start, start + timedelta(hours=1), "UTC")
        self.say(f"the organiser changes {which}")
        for name in self._copies():
            if not self._is_private(name) or which == "time":
                self._edit(name, **{which: value})

    def note(self) -> None:
        """Somebody writes into the own copy, which is private: nobody else is to read that."""
        mine = [n for n in self._copies() if self._is_private(n)]
        if mine:
            name, word = self.rng.choice(mine), f"secret{self.number}"
            self.number += 1
            self.say(f"{name} writes {word} into the private copy")
            self.secrets.append((name, word))
            self._edit(name, description=f"Agenda\n{word}")

    def answer(self) -> None:
        """Somebody answers; the organiser's copy shows it."""
        mine = [n for n in self._copies() if n != "ann"]
        if mine:
            name, word = self.rng.choice(mine), self.rng.choice(["accepted", "tentative"])
            self.say(f"{name}: {word}")
            for where in {name, "ann"} & set(self._copies()):
                people = self.calendars[where].records[where].fields["attendees"]
                self._edit(where, attendees=with_answer(people, f"{name}@us.example", word))

    def leave(self) -> None:
        """Somebody who is invited takes the own copy out."""
        mine = [n for n in sorted(self.read) if f"{n}@us.example" != self.organiser and n in self._copies()]
        if len(mine) > 1 or (mine and "ann" in self._copies() and self.organiser == "ann@us.example"):
            name = self.rng.choice(mine)
            self.say(f"{name} deletes the copy")
            self.left = self.unread = True
            self.gone = self.now
            if not any(self._is_private(n) for n in self._copies()):
                self.leaving.add(name)
            self.calendars[name].remove(name)

    def typed(self) -> None:
        """Somebody types in the CRM."""
        refs = [r.ref for r in self.crm.records.values() if r.fields.get("subject") == TITLE]
        if refs:
            self.number += 1
            which = self.rng.choice(["categories", "account", "priority"])
            values = {"categories": frozenset({f"C{self.number}"}), "account": "acme", "priority": self.number % 9}
            self.say(f"crm edits {which}")
            self.crm.edit(self.rng.choice(refs), **{which: values[which]})

    def lose(self) -> None:
        """The store is moved away."""
        single = self.repeats and not self.series
        if self.private == "busy-only" and self.masked:
            return  # of what was a block of time nothing says whose meeting it has become
        if not single and not self.unread and not self.lost:
            self.say("the store is lost")
            self.lost = self.bare = True
            self.read.clear()
            self.leaving.clear()
            self.store = new_store()

    def rename(self) -> None:
        """An account has another name. What was taken out of it is read before: of a calendar that is empty nothing
        says that it is the same."""
        if self.unread:
            return
        self.read.clear()
        at = self.rng.randrange(len(self.pairings))
        self.number += 1
        old = self.pairings[at]
        self.pairings[at] = replace(old, id=f"{old.employee.id}/a{self.number}")
        self.say(f"{old.id} is called {self.pairings[at].id}")

    def pass_over(self) -> None:
        """One pass over somebody."""
        pairing = self.rng.choice(self.pairings)
        self.say(f"pass {pairing.id}")
        self._pass(pairing)

    def _pass(self, pairing: Pairing) -> int:
        self.now += timedelta(seconds=40)
        before = {n: dict(c.records) for n, c in self.calendars.items()}
        context = Context(pairing, self.store, Moment(self.now), b"k" * 32, self.pairings)
        writes = run_pass(context).writes
        for name, records in before.items():
            invited = f"{name}@us.example" != self.organiser
            # who has declined is forgotten where a lost store and what was taken back said so
            forgotten = self.lost and self.left and name not in records
            if invited and self.calendars[name].records != records and not forgotten:
                raise Broken(f"{name}'s invitation was written into, or something stands beside it")
        me = pairing.employee.id
        self.hidden.discard(me)
        if me in self._copies() and self._is_private(me) and not self.bare:  # else the colleagues are read before
            self.hidden.add(me)
        self.check()
        return writes

    # -- the oracles ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What holds after every pass."""
        for name, replica in self.calendars.items():
            if replica.outbox and self.guests != "tell":
                raise Broken(f"{name}'s guests were told of {replica.outbox}")
            for record in replica.records.values():
                if record.fields["summary"] not in (TITLE, "" if self.lost and self.left else TITLE):
                    raise Broken(f"{name}'s copy is called something else")
        if self.private != "full":
            shown = repr([self.crm.records, self.crm.history])
            for name, word in self.secrets:
                if word in shown and name in self.hidden and name in self._copies() and self._is_private(name):
                    raise Broken(f"what {name} wrote into a private copy shows")

    def settle(self) -> None:
        """Everybody is read until there is nothing to do."""
        quiet = 0
        for _ in range(8):
            writes = [self._pass(pairing) for pairing in self.pairings]
            quiet = 0 if any(writes) else quiet + 1
            if quiet == 3:
                break
        if not quiet:
            raise Broken(f"it never comes to rest: {writes}")
        self.read = set(self._copies())
        self.unread = False
        self.declined |= self.leaving
        self.leaving.clear()
        public = [n for n in self._copies() if not self._is_private(n)]
        if self.lost and not public:
            self.declined.clear()  # who said so stood in what was taken back, and in the store that is lost
        if self.bare and self.edited is not None and self.edited >= self.gone - NO_DIFFERENCE:
            self.declined.clear()  # without a base the newer word stands, of two that are as new the calendar's
        self.bare = self.moved = False
        self.hidden = {n for n in self._copies() if self._is_private(n)}
        self.check()
        shown = [r for r in self.crm.records.values() if r.fields.get("subject") == TITLE]
        awake = [r for r in shown if r.fields.get("status") != "rejected"]
        number = 2 if self.repeats and not self.series else 1
        if self.private != "full" and not public and not self.left and (shown or TITLE in repr(self.crm.history)):
            raise Broken("what is private for everybody shows")
        if public and len(awake) != number and not (self.lost and self.left):
            raise Broken(f"{len(awake)} activities of one meeting")
        blocks = [r for r in self.crm.records.values() if r.fields.get("subject") == "Busy"]
        if blocks and self.private != "busy-only":
            raise Broken("a block of time under another rule")
        for record in awake if public and self.private != "full" else ():
            self._check_people(record.fields.get("participants") or People())

    def _check_people(self, told: People) -> None:
        for name in self.declined:
            if told and told[f"{name}@us.example"].answer != "declined":
                raise Broken(f"{name} has declined, and counts as {told[f'{name}@us.example'].answer}")

    def end(self) -> None:
        """Everything is shown, and each side says the same."""
        for name in self._copies():
            if self._is_private(name):
                self.calendars[name].edit(name, sensitivity="public", description="Agenda")
        self.say("all is public")
        self.settle()
        if self._copies() and not (self.lost and self.left):
            awake = [r for r in self.crm.records.values() if r.fields.get("status") != "rejected"]
            if self.lost:  # of a block of time, and of what somebody had added, nothing says for what it stood
                awake = [r for r in awake if r.fields.get("subject") not in ("Busy", "", None)]
            if len(awake) > (2 if self.repeats and not self.series else 1):
                raise Broken("something stands beside the meeting")


ACTIONS = [
    Meeting.mark, Meeting.mark, Meeting.mark, Meeting.update, Meeting.note, Meeting.answer, Meeting.leave,
    Meeting.typed, Meeting.lose, Meeting.rename, Meeting.settle, Meeting.settle, *[Meeting.pass_over] * 6,
]  # fmt: skip


def run_meeting(seed: int, steps: int) -> Meeting:
    """One story. Raises Broken with its trail."""
    meeting = Meeting(Random(seed))
    try:
        for _ in range(steps):
            meeting.rng.choice(ACTIONS)(meeting)
        meeting.settle()
        meeting.end()
    except Broken as broken:
        held = (meeting.private, meeting.guests, f"series={meeting.series}", f"repeats={meeting.repeats}")
        order = [p.employee.id for p in meeting.pairings]
        broken.add_note(f"seed {seed}, {held}, {meeting.organiser}, {order}, {meeting.held}")
        broken.add_note("\n  ".join(["", *meeting.trail]))
        raise
    finally:
        close_all()
    return meeting
