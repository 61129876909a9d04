"""One entry that moves between an employee's two calendars and a colleague's, while people work on both sides.

Small worlds, many of them: a few steps each, as close together as they can come. At the end there is one entry and
one activity, both open and alike, and what was typed last stands, or is in the history.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from syncd.model.fields import normal_text
from syncd.model.record import Record
from tests.depth import worlds
from tests.stores import close_all
from tests.unit.test_cases import two_calendars
from tests.unit.test_engine import World

#: Field of the activity -> of the event.
NAMES = {"subject": "summary", "location": "location", "notes": "description"}


@dataclass
class Story:
    """A world, and what was done in it."""

    rng: Random
    world: World = field(default_factory=lambda: two_calendars("bob"))
    trail: list[str] = field(default_factory=list)
    #: Field -> what was typed last, by whomever.
    last: dict[str, str] = field(default_factory=dict)
    number: int = 0
    #: It was made in the calendar; what came from the CRM is Ann's, and nothing to a colleague.
    from_calendar: bool = True
    #: Where people have put it: calendar and ref.
    place: tuple[str, str] = ("ann", "")

    def begin(self) -> None:
        self.rng.shuffle(self.world.pairings)
        self.from_calendar = self.rng.random() < 0.5
        if self.from_calendar:
            self.world.event("ann", "T", uid="T", summary="Begun", location="", description="First line")
        else:
            self.world.appointment("T", subject="Begun", location="", notes="First line")
        self.passes(3)

    def say(self, text: str) -> None:
        self.trail.append(text)

    def held(self) -> tuple[str, Record] | None:
        """The calendar and the entry that people see there, not a copy that stands beside it."""
        name, ref = self.place
        if ref in self.world.calendars[name].records:
            return name, self.world.calendars[name].records[ref]
        return next(((n, r) for n, c in self.world.calendars.items() for r in c.records.values()), None)

    def step(self) -> None:
        steps = [
            self.move,
            self.move,
            self.edit_item,
            self.edit_crm,
            self.edit_crm,
            self.one_pass,
            self.one_pass,
            self.all,
        ]
        self.rng.choice([*steps, self.restore])()

    def one_pass(self) -> None:
        pairing = self.rng.choice(self.world.pairings)
        self.say(f"pass {pairing.id}")
        everyone, self.world.pairings = self.world.pairings, [pairing]
        try:
            self._sync(everyone)
        finally:
            self.world.pairings = everyone

    def _sync(self, everyone: list[Any]) -> None:
        from syncd.engine.context import Context
        from syncd.engine.pairing import Moment
        from syncd.engine.passes import run_pass

        self.world.now += timedelta(minutes=1)
        for pairing in list(self.world.pairings):
            run_pass(Context(pairing, self.world.store, Moment(self.world.now), b"k" * 32, everyone))

    def all(self) -> None:
        self.passes(1)

    def passes(self, number: int) -> None:
        self.say(f"{number} passes")
        for _ in range(number):
            self._sync(self.world.pairings)

    def word(self) -> str:
        self.number += 1
        return self.rng.choice([f"Word {self.number}", f"Word {self.number} and more"])

    def move(self) -> None:
        found = self.held()
        if found is None:
            return
        name, record = found
        to = self.rng.choice([n for n in self.world.calendars if n != name and (n != "bob" or self.from_calendar)])
        if self._is_taken(record.uid, to):
            return
        changed: dict[str, Any] = {}
        if self.rng.random() < 0.3:  # as calendar programs save it
            which = self.rng.choice(sorted(NAMES))
            changed[NAMES[which]] = self.last[which] = self.word()
        self.say(f"moves from {name} to {to} {changed or ''}")
        self.number += 1
        self.place = to, f"{to}-{self.number}"
        self.world.calendars[name].remove(record.ref)
        self.world.calendars[to].put(self.place[1], "event", {**record.fields, **changed}, uid=record.uid)

    def edit_item(self) -> None:
        found = self.held()
        if found is None:
            return
        name, record = found
        which = self.rng.choice(sorted(NAMES))
        self.last[which] = self.word()
        self.say(f"{name} edits {which}: {self.last[which]}")
        self.world.calendars[name].edit(record.ref, **{NAMES[which]: self.last[which]})

    def edit_crm(self) -> None:
        for ref in list(self.world.crm.records):
            which = self.rng.choice(sorted(NAMES))
            self.last[which] = self.word()
            self.say(f"crm edits {which}: {self.last[which]}")
            self.world.crm.edit(ref, **{which: self.last[which]})

    def restore(self) -> None:
        """Deleted and, before or after the next passes, taken out of the trash."""
        found = self.held()
        if found is None:
            return
        name, record = found
        self.say(f"{name} deletes it")
        self.place = name, record.ref
        self.world.calendars[name].remove(record.ref)
        for _ in range(self.rng.randint(0, 3)):
            self.rng.choice([self.one_pass, self.edit_crm])()
        if self._is_taken(record.uid, name):
            return
        self.say(f"{name} restores it")
        self.world.calendars[name].bring_back(record, same_version=self.rng.random() < 0.5)

    def _is_taken(self, uid: str, calendar: str) -> bool:
        """A server does not take two entries with one UID (RFC 4791 §5.3.2.1)."""
        return any(r.uid == uid for r in self.world.calendars[calendar].records.values())

    # -- the oracle --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.passes(6)
        self.world.sync(full=True)
        self.passes(2)
        found = [(n, r) for n, c in self.world.calendars.items() for r in c.records.values()]
        assert len(found) == 1, f"{len(found)} entries"
        assert len(self.world.crm.records) == 1, f"{len(self.world.crm.records)} activities"
        (_, item), (activity,) = found[0], self.world.crm.records.values()
        assert activity.fields["status"] == "open"
        assert item.fields.get("status", "confirmed") == "confirmed"
        kept = [normal_text(str(text)) for lines in self.world.crm.history.values() for _, _, text in lines]
        for name, there in NAMES.items():
            stands = normal_text(str(activity.fields.get(name) or ""))
            assert normal_text(str(item.fields.get(there) or "")) == stands, name
            assert name not in self.last or self.last[name] in stands or any(self.last[name] in k for k in kept), name
        assert [r.writes for r in self.world.sync()] == [0] * len(self.world.pairings)


def run_moves(seed: int, steps: int = 7) -> None:
    """One story."""
    story = Story(Random(seed))
    try:
        story.begin()
        for _ in range(steps):
            story.step()
        story.check()
    except BaseException as error:
        error.add_note(f"seed {seed}\n" + "\n".join(f"  {line}" for line in story.trail))
        raise
    finally:
        with suppress(Exception):
            close_all()


@pytest.mark.parametrize("seed", worlds(range(48)))
def test_whatever_moves_while_people_work_on_it_is_one_thing_at_the_end(seed: int) -> None:
    run_moves(seed)
