"""Two people work on one series, one in the calendar, one in the CRM: each moves it, edits, leaves out and restores
occurrences of it between two passes. An oracle that counts occurrences, and knows nothing of how they are called,
says what must stand on both sides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, as_instant, moment_key
from tests.depth import worlds
from tests.stores import close_all
from tests.unit.test_engine import MON, World, span

COUNT = 8
#: No whole weeks: what begins a week later may keep its dates (tests/unit/test_dates.py).
MOVES = (timedelta(hours=1), timedelta(hours=-3), timedelta(days=1), timedelta(days=2, hours=1), timedelta(days=16))


@dataclass
class Person:
    """What somebody did since the last pass: occurrence -> his words for it, or None for left out, "" for as the
    series says."""

    done: dict[int, str | None] = field(default_factory=dict)
    moved: bool = False


class Desk:
    """One series on two sides."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World("ann")
        self.words = 0
        #: What both agreed on.
        self.agreed: dict[int, str | None] = {}
        self.trail = [f"seed {seed}"]
        self.world.event("ann", recurrence=Recurrence(f"FREQ=WEEKLY;COUNT={COUNT}"))
        self.world.sync()
        (self.ref,) = self.world.crm.records

    def shown(self, side: str) -> tuple[Span, Recurrence]:
        held = self.world.crm.records[self.ref] if side == "crm" else self.world.calendars["ann"].records["e1"]
        return held.fields["time"], held.fields["recurrence"]

    def keys(self, side: str) -> list[str]:
        time, recurrence = self.shown(side)
        plain = Recurrence(recurrence.rule)
        far = timedelta(days=400)
        return [moment_key(s) for s in starts(time, plain, as_instant(time.start) - far, as_instant(time.start) + far)]

    def edit(self, side: str, **fields: Any) -> None:
        if side == "crm":
            self.world.crm.edit(self.ref, **fields)
        else:
            self.world.calendars["ann"].edit("e1", **fields)

    def act(self, side: str, person: Person) -> None:
        time, recurrence = self.shown(side)
        if not person.moved and self.rng.random() < 0.4:
            later = self.rng.choice(MOVES)
            self.trail.append(f"{side} moves it by {later}")
            person.moved = True
            self.edit(side, time=time.moved_to(time.start + later))
            return
        number = self.rng.randrange(1, COUNT)
        key = self.keys(side)[number]
        name = "subject" if side == "crm" else "summary"
        overrides, exdates = dict(recurrence.overrides), set(recurrence.exdates)
        if key in exdates or number in person.done or self.rng.random() < 0.3:
            overrides.pop(key, None)
            if key in exdates:
                exdates.discard(key)
                person.done[number] = ""
            else:
                exdates.add(key)
                person.done[number] = None
        elif key in overrides and self.rng.random() < 0.3:
            del overrides[key]
            person.done[number] = ""
        else:
            self.words += 1
            overrides[key] = MappingProxyType({name: f"word {self.words}"})
            person.done[number] = f"word {self.words}"
        self.trail.append(f"{side} {number}: {person.done[number]!r}")
        made = replace(recurrence, exdates=frozenset(exdates), overrides=MappingProxyType(overrides))
        self.edit(side, recurrence=made)

    def held(self, side: str) -> dict[int, str | None]:
        """Occurrence -> what this side says of it; raises for a date that is none of the series'."""
        keys = self.keys(side)
        _, recurrence = self.shown(side)
        name = "subject" if side == "crm" else "summary"
        stray = {*recurrence.exdates, *recurrence.overrides} - set(keys)
        assert not stray, (side, stray, self.trail)
        found: dict[int, str | None] = {keys.index(k): str(v.get(name)) for k, v in recurrence.overrides.items()}
        return found | {keys.index(k): None for k in recurrence.exdates}

    def round(self) -> None:
        people = {"crm": Person(), "calendar": Person()}
        for _ in range(self.rng.randint(1, 6)):
            side = self.rng.choice(["crm", "calendar"])
            self.world.now += timedelta(minutes=self.rng.choice([0, 1, 30]))
            self.act(side, people[side])
        self.trail.append("passes")
        for _ in range(3):
            self.world.sync(full=self.rng.random() < 0.3)
        here, there = self.held("calendar"), self.held("crm")
        assert here == there, self.trail
        assert self.shown("calendar")[0] == self.shown("crm")[0], self.trail
        both_moved = all(p.moved for p in people.values())
        for number in range(COUNT):
            said = [p.done[number] for p in people.values() if number in p.done]
            wanted = self.expected(number, said, both_moved=both_moved)
            assert here.get(number, "") in wanted, (number, here.get(number, ""), wanted, self.trail)
        assert [r.writes for r in self.world.sync()] == [0], self.trail
        self.agreed = here

    def expected(self, number: int, said: list[str | None], *, both_moved: bool) -> set[str | None]:
        """What may stand there: what the one who did something said, of two either one's word; an edit beats a
        deletion. Where both moved the series nobody can tell what the other side's words were before: what one of
        them took back may stay, nothing that was typed is lost."""
        before = self.agreed.get(number, "")
        if not said:
            return {before}
        words: set[str | None] = {s for s in said if s}
        if len(said) == 2 and words and None in said:
            return words
        return {*said, *({before} if both_moved else ())}


@pytest.mark.parametrize("block", worlds(range(8)))
def test_both_sides_have_the_same_occurrences_and_each_persons_word_on_them(block: int) -> None:
    written = 0
    for seed in range(block * 12, block * 12 + 12):
        desk = Desk(seed)
        for _ in range(4):
            desk.round()
        close_all()
        written += desk.words
    assert written


def test_the_series_is_where_it_was_typed() -> None:
    assert Desk(0).shown("crm")[0] == span(MON)
