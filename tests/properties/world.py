"""A world to shake the engine in: people who edit, servers with bad habits, faults and crashes.

Every value that a person writes is unique (a token), so that the oracles can say what became of it:
nothing lost, nothing doubled, nothing deleted that nobody deleted, nothing cut on the way back
(design §5). All chance comes from one `random.Random`, so a seed is a whole history.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.engine.write_item import copy_key
from syncd.mapping.lens import Lens
from syncd.mapping.loader import digest_of
from syncd.mapping.schema import MappingFile
from syncd.model.fields import Fields, Limit, kind_of, with_answer
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import AuthFailed, Capabilities, Gone, PortError, Rejected, Stale, Transient, Unsupported
from syncd.store.journal import approve, conflicts, decide, parked
from tests.memory import MemoryCrm, MemoryReplica, Write
from tests.stores import close_all, new_store

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOKEN = re.compile(r"[slnc]\d+\.")
TEXTS = ("summary", "location", "description")
CRM_TEXTS = ("subject", "location", "notes")


class Crash(BaseException):
    """The process dies here."""


class Broken(AssertionError):
    """An oracle was contradicted."""


@dataclass
class Choices:
    """What kind of world it is."""

    calendars: int
    series: bool
    cut: int | None
    silent_crm: bool
    silent_items: bool
    secretly: int | None
    seconds: int
    word: Any
    item_gone: str
    merge_notes: bool
    faults: float
    history: bool

    @classmethod
    def any(cls, rng: Random) -> Choices:
        secretly = rng.choice([None, None, None, 14])
        return cls(
            calendars=rng.randint(1, 4),
            series=rng.random() < 0.7,
            cut=rng.choice([None, None, 12]),
            silent_crm=rng.random() < 0.2,
            silent_items=rng.random() < 0.2,
            secretly=secretly,
            seconds=rng.choice([1, 1, 60]),
            word=rng.choice(["newest", "crm", "groupware", ["organizer", "newest"], "ask"]),
            item_gone=rng.choice(["cancel", "cancel", "delete", "keep"]),
            merge_notes=rng.random() < 0.5,
            faults=rng.choice([0.0, 0.05, 0.2]),
            # what keeps its history in its notes and cuts those without saying so keeps none
            history=rng.random() < 0.8 or secretly is not None,
        )


def lens_of(choices: Choices) -> Lens:
    mapping = MappingFile.model_validate(
        {
            "version": 1,
            "item": "event",
            "activity": "appointment",
            "window": {"past": "30d", "future": "60d"},
            "guests": "quiet",
            "exclude": [{"category": ["Skip"]}],
            "fields": {
                "subject": "summary",
                "time": "time",
                "recurrence": "recurrence",
                "location": "location",
                "notes": {"from": "description", "merge": "text" if choices.merge_notes else "value"},
                "categories": "categories",
                "status": {
                    "from": "status",
                    "values": {"confirmed": "open", "tentative": "open", "cancelled": "rejected"},
                    "back": {"open": "confirmed", "completed": "confirmed", "rejected": "cancelled"},
                },
                "private": {
                    "from": "sensitivity",
                    "values": {"public": "false", "private": "true", "confidential": "true"},
                    "back": {"true": "private", "false": "public"},
                },
                "participants": {"from": "attendees", "direction": "to-crm"},
            },
            "conflicts": {"default": choices.word, "status": "crm", "private": "crm"},
            "deletions": {"item-gone": choices.item_gone},
        }
    )
    return Lens(mapping, digest_of(mapping))


@dataclass
class World:
    """Calendars, a CRM, a store, and what people did."""

    rng: Random
    choices: Choices
    now: datetime = START
    armed: bool = False
    mixing: bool = False
    counter: int = 0
    full_values: dict[str, str] = field(default_factory=dict)
    groupware_ever: set[str] = field(default_factory=set)
    crm_ever: set[str] = field(default_factory=set)
    secret: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    redacted: set[str] = field(default_factory=set)
    trail: list[str] = field(default_factory=list)
    #: Values that a person typed in a calendar (the CRM's are short).
    typed_here: set[str] = field(default_factory=set)
    #: The pairing whose pass is under way.
    at_work: str = ""
    #: Values that came into a calendar from the CRM: there they may be as short as the CRM holds them.
    contested: set[str] = field(default_factory=set)
    inside: bool = False
    checked: dict[str, int] = field(default_factory=dict)
    remembered: set[str] = field(default_factory=set)
    #: What people deleted in their calendars.
    trash: list[tuple[str, Record]] = field(default_factory=list)
    #: What they brought back while a pass was under way, which may just have made it again.
    restored: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        c = self.choices
        caps = Capabilities(
            frozenset({"appointment"}),
            limits={
                **({"subject": Limit(length=c.cut)} if c.cut else {}),
                "time": Limit(seconds=c.seconds),
            },
            series="series" if c.series else "none",
            history=c.history,
            exact=c.secretly is None,
        )
        self.crm = MemoryCrm("crm", caps, lambda: self.now, silent=c.silent_crm, secretly=c.secretly, page=7)
        self.crm.gate = self._gate
        self.store = new_store(self._commit)
        self.lens = lens_of(c)
        self.calendars: dict[str, MemoryReplica] = {}
        self.pairings: list[Pairing] = []
        for number in range(c.calendars):
            name = f"p{number}"
            replica = MemoryReplica(
                name, Capabilities(frozenset({"event"})), lambda: self.now, silent=c.silent_items, page=7
            )
            replica.gate = self._gate
            self.calendars[name] = replica
            employee = Employee(name, (f"{name}@us.example",))
            self.pairings.append(Pairing(name, employee, replica, self.crm, "crm", self.lens))

    # -- chance -------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self.trail.append(text)

    def token(self, letter: str, *, short: bool = False, secret: bool = False) -> str:
        self.counter += 1
        mark = f"{letter}{self.counter}."
        value = mark + ("" if short else "x" * self.rng.choice([0, 3, 30]))
        self.full_values[mark] = value
        if secret:
            self.secret.add(mark)
        if not short or letter == "c":
            self.typed_here.add(mark)
        return value

    def span(self) -> Span:
        start = self.now.replace(second=0, microsecond=0) + timedelta(
            days=self.rng.randint(-10, 70), hours=self.rng.randint(0, 23), seconds=self.rng.choice([0, 0, 17])
        )
        self.counter += 1
        start += timedelta(minutes=self.counter % 53)
        return Span(start, start + timedelta(hours=1), "UTC")

    def _gate(self, when: str, call: str) -> None:
        if self.mixing and len(self.pairings) > 1 and self.rng.random() < 0.03:
            self._meanwhile()
        if self.mixing and when == "before" and self.rng.random() < 0.05:
            armed, self.armed, self.mixing, self.inside = self.armed, False, False, True
            try:
                self.edit()
            finally:
                self.armed, self.mixing, self.inside = armed, True, False
        if not self.armed or self.rng.random() > self.choices.faults:
            return
        self.say(f"fault {when} {call}")
        if when == "after":
            raise self.rng.choice([Transient("lost answer"), Crash(), ZeroDivisionError()])
        faults: list[BaseException] = [Transient("later", 5.0), Crash(), AuthFailed("no"), ZeroDivisionError()]
        if call in ("update", "delete", "create"):
            faults += [Rejected("no"), Unsupported("no")]
            faults += [Stale("moved"), Gone("not there")] if call != "create" else []
        raise self.rng.choice(faults)

    def _meanwhile(self) -> None:
        """Another worker makes a pass over another pairing, in the middle of this one."""
        armed, self.armed, self.mixing, self.inside = self.armed, False, False, True
        others = [p for p in self.pairings if p.id != self.at_work]
        mine = self.at_work
        try:
            other = self.rng.choice(others)
            self.say(f"meanwhile {other.id}")
            self.sync(other)
        finally:
            self.armed, self.mixing, self.inside, self.at_work = armed, True, False, mine

    def _commit(self, moment: str) -> None:
        if self.armed and self.rng.random() < self.choices.faults / 2:
            self.say(f"crash {moment}")
            raise Crash

    # -- what people do ---------------------------------------------------------------------------------

    def edit(self) -> None:
        actions: list[Callable[[], None]] = [
            self.new_event, self.new_event, self.new_activity, self.edit_event, self.edit_event, self.edit_event,
            self.edit_activity, self.edit_activity, self.edit_activity, self.delete_event, self.delete_activity,
            self.toggle_private, self.toggle_filter, self.new_meeting, self.organizer_edits, self.answer,
            self.change_participants, self.both_by_hand, self.series_edit, self.pass_time, self.reject,
            self.bring_back,
        ]  # fmt: skip
        self.rng.choice(actions)()
        self.note_values()

    def note_values(self) -> None:
        """What stands where just now has been there."""
        for replica in self.calendars.values():
            for record in replica.records.values():
                self.groupware_ever |= tokens(record)
        for record in self.crm.records.values():
            self.crm_ever |= tokens(record)

    def new_event(self) -> None:
        who = self.rng.choice(list(self.calendars))
        secret = self.rng.random() < 0.15
        self.counter += 1
        ref = f"{who}/e{self.counter}"
        fields = self._event(secret)
        if self.rng.random() < 0.15:
            fields["recurrence"] = Recurrence("FREQ=WEEKLY;COUNT=3")
        self.say(f"{who} makes {ref}{' (private)' if secret else ''}")
        self.calendars[who].put(ref, "event", fields, uid=f"uid-{self.counter}")

    def _event(self, secret: bool = False) -> dict[str, Any]:
        return {
            "summary": self.token("s", secret=secret),
            "location": self.token("l", secret=secret),
            "description": self.token("n", secret=secret),
            "time": self.span(),
            "status": "confirmed",
            "sensitivity": "private" if secret else "public",
            "categories": frozenset({self.token("c", short=True, secret=secret)}),
        }

    def new_activity(self) -> None:
        owner = self.rng.choice(list(self.calendars))
        others = [n for n in self.calendars if n != owner and self.rng.random() < 0.4]
        self.counter += 1
        ref = f"a{self.counter}"
        fields = {
            "subject": self.token("s", short=True),
            "location": self.token("l", short=True),
            "notes": self.token("n", short=True),
            "time": self._crm_span(),
            "status": "open",
            "private": self.rng.random() < 0.1,
            "participants": People([Participant(f"{o}@us.example") for o in others]),
        }
        self.say(f"crm makes {ref} for {owner} {others}")
        self.crm.put(ref, "appointment", fields, owner=f"{owner}@us.example")

    def _crm_span(self) -> Span:
        return kind_of("time").shape(self.span(), Limit(seconds=self.choices.seconds))  # type: ignore[no-any-return]

    def _own(self, who: str) -> list[Record]:
        me = f"{who}@us.example"
        return [r for r in self.calendars[who].records.values() if not r.owner or r.owner == me]

    def edit_event(self) -> None:
        who = self.rng.choice(list(self.calendars))
        mine = self._own(who)
        if mine:
            self._edit_item(who, self.rng.choice(mine))

    def _edit_item(self, who: str, record: Record) -> None:
        hidden = record.fields["sensitivity"] != "public" and not record.key
        name = self.rng.choice(["summary", "location", "description", "time", "categories"])
        letter = {"summary": "s", "location": "l", "description": "n", "categories": "c"}.get(name, "")
        value: Any = self.span() if name == "time" else self.token(letter, secret=hidden, short=name == "categories")
        if name == "categories":
            value = (
                record.fields.get("categories", frozenset()) | {value}
                if self.rng.random() < 0.6
                else frozenset({value})
            )
        if name == "time" and not record.fields.get("recurrence", Recurrence()).empty:
            return
        # a second line, which a CRM that cuts without saying so would never see, is not asked of it
        if name == "description" and self.choices.merge_notes and not self.choices.secretly and self.rng.random() < 0.6:
            value = value + "\n" + record.fields.get("description", "")
        self.say(f"{who} edits {record.ref} {name}")
        self.calendars[who].edit(record.ref, **{name: value})

    def edit_activity(self) -> None:
        if not self.crm.records:
            return
        record = self.rng.choice(list(self.crm.records.values()))
        name = self.rng.choice(["subject", "location", "notes", "time", "categories"])
        if name == "time" and not record.fields.get("recurrence", Recurrence()).empty:
            return
        letter = {"subject": "s", "location": "l", "notes": "n", "categories": "c"}.get(name, "")
        value: Any = self._crm_span() if name == "time" else self.token(letter, short=True)
        if name == "categories":
            self.typed_here -= set(TOKEN.findall(value))
            value = record.fields.get("categories", frozenset()) | {value}
        self.say(f"crm edits {record.ref} {name}")
        self.crm.edit(record.ref, **{name: value})

    def _end(self, record: Record) -> None:
        """A person ended this, on whichever side: what follows of it is meant."""
        self.ended |= {record.ref, record.uid, *tokens(record)}
        with self.store.reading() as tx:
            rows = [*tx.rows_by_ref("crm", [record.ref]).values()]
            for pairing in self.pairings:
                rows += [r for k in tx.links_by_item(pairing.id, [record.ref]) if (r := tx.row(k.activity))]
            self.ended |= {f"row {r.id}" for r in rows} | {r.key for r in rows} | {r.crm_ref or "-" for r in rows}
            # every copy of it, whose link may be gone, and whose words may be old, when it is deleted
            self.ended |= {f"{p.id}/{copy_key(r, p.id)}" for r in rows for p in self.pairings}
            self.ended |= {k.item_ref for r in rows for k in tx.links_of_row(r.id) if k.item_ref is not None}

    def delete_event(self) -> None:
        if self.rng.random() < 0.5:
            return
        who = self.rng.choice(list(self.calendars))
        if self.calendars[who].records:
            record = self.rng.choice(list(self.calendars[who].records.values()))
            self._end(record)
            self.say(f"{who} deletes {record.ref}")
            self.calendars[who].remove(record.ref)
            self.trash.append((who, record))

    def bring_back(self) -> None:
        """Out of the trash, or out of a backup; the server may give it the version that it had."""
        if not self.trash:
            return
        who, record = self.trash.pop(self.rng.randrange(len(self.trash)))
        if any(tokens(r) & tokens(record) for r in self.calendars[who].records.values()):
            return  # it is there again, as somebody edited it in the CRM
        self.say(f"{who} brings back {record.ref}")
        if self.inside:
            self.restored.add(record.ref)
        self.calendars[who].bring_back(record, same_version=self.rng.random() < 0.5)

    def delete_activity(self) -> None:
        if self.crm.records and self.rng.random() < 0.5:
            record = self.rng.choice(list(self.crm.records.values()))
            self._end(record)
            self.say(f"crm deletes {record.ref}")
            self.crm.remove(record.ref)

    def reject(self) -> None:
        if self.crm.records and self.rng.random() < 0.5:
            record = self.rng.choice(list(self.crm.records.values()))
            self._end(record)
            self.say(f"crm rejects {record.ref}")
            self.crm.edit(record.ref, status="rejected")

    def toggle_private(self) -> None:
        who = self.rng.choice(list(self.calendars))
        mine = self._own(who)
        if not mine:
            return
        record = self.rng.choice(mine)
        hidden = record.fields["sensitivity"] != "public"
        if hidden:
            self.secret -= tokens(record)
        else:
            self._end(record)
            self.redacted |= tokens(record)
        self.say(f"{who} makes {record.ref} {'public' if hidden else 'private'}")
        self.calendars[who].edit(record.ref, sensitivity="public" if hidden else "private")

    def toggle_filter(self) -> None:
        who = self.rng.choice(list(self.calendars))
        mine = self._own(who)
        if mine:
            record = self.rng.choice(mine)
            categories = record.fields.get("categories", frozenset()) ^ {"Skip"}
            self.say(f"{who} filters {record.ref}")
            self.calendars[who].edit(record.ref, categories=categories)

    def new_meeting(self) -> None:
        """Somebody invites; the servers put the same meeting into every copy."""
        names = [*self.calendars, "kim"]
        organizer = self.rng.choice(names)
        guests = [n for n in self.calendars if n != organizer and self.rng.random() < 0.7]
        if not guests:
            return
        self.counter += 1
        uid, ref = f"uid-{self.counter}", f"m{self.counter}"
        at = {n: f"{n}@us.example" if n != "kim" else "kim@acme.example" for n in names}
        people = People([*(Participant(at[g]) for g in guests), Participant(at[organizer], answer="accepted")])
        fields = {**self._event(), "attendees": people}
        self.say(f"{organizer} invites {guests} to {ref}")
        for name in [organizer, *guests]:
            if name in self.calendars:
                self.calendars[name].put(f"{name}/{ref}", "event", fields, uid=uid, owner=at[organizer])

    def _meetings(self) -> dict[str, list[tuple[str, Record]]]:
        found: dict[str, list[tuple[str, Record]]] = {}
        for name, replica in self.calendars.items():
            for record in replica.records.values():
                if record.fields.get("attendees"):
                    found.setdefault(record.uid, []).append((name, record))
        return found

    def organizer_edits(self) -> None:
        meetings = self._meetings()
        if not meetings:
            return
        copies = self.rng.choice(list(meetings.values()))
        value = self.token("s")
        self.say(f"the organiser renames {copies[0][1].uid}")
        for name, record in copies:
            self.calendars[name].edit(record.ref, summary=value)

    def answer(self) -> None:
        meetings = self._meetings()
        if not meetings:
            return
        copies = self.rng.choice(list(meetings.values()))
        name = self.rng.choice(copies)[0]
        answer = self.rng.choice(["accepted", "declined", "tentative"])
        self.say(f"{name} answers {answer}")
        for who, record in copies:
            owner = record.owner == f"{who}@us.example"
            if who == name or owner:
                people = with_answer(record.fields["attendees"], f"{name}@us.example", answer)
                self.calendars[who].edit(record.ref, attendees=people)

    def change_participants(self) -> None:
        made_here = [r for r in self.crm.records.values() if not r.key]
        if not made_here:
            return
        record = self.rng.choice(made_here)
        people: People = record.fields.get("participants") or People()
        address = f"{self.rng.choice(list(self.calendars))}@us.example"
        if address == record.owner:
            return
        if address in people:
            self._end(record)
            changed = People([p for a, p in people.items() if a != address])
        else:
            changed = People([*people.values(), Participant(address)])
        self.say(f"crm: {address} {'leaves' if address in people else 'joins'} {record.ref}")
        self.crm.edit(record.ref, participants=changed)

    def both_by_hand(self) -> None:
        """The same appointment typed on both sides between two passes."""
        who = self.rng.choice(list(self.calendars))
        fields = self._event()
        if self.choices.secretly or self.choices.cut or self.inside:
            return
        self.counter += 1
        soon = self.now.replace(second=0, microsecond=0) + timedelta(days=self.rng.randint(1, 20), minutes=self.counter)
        span = Span(soon, soon + timedelta(hours=1), "UTC")
        self.say(f"{who} types h{self.counter} on both sides")
        self.calendars[who].put(f"{who}/h{self.counter}", "event", {**fields, "time": span}, uid=f"uid-{self.counter}")
        there = {"subject": fields["summary"], "time": span, "status": "open", "private": False}
        self.typed_here -= tokens_of(there)
        self.crm.put(f"h{self.counter}", "appointment", there, owner=f"{who}@us.example")
        # before anybody edits one of the two, they are found to be the same
        self.sync(next(p for p in self.pairings if p.id == who))

    def series_edit(self) -> None:
        """One occurrence is renamed or left out in the calendar."""
        for who, replica in self.calendars.items():
            for record in self._own(who):
                series: Recurrence = record.fields.get("recurrence") or Recurrence()
                if series.empty or record.fields["sensitivity"] != "public":
                    continue
                from syncd.model.recurrence import starts
                from syncd.model.span import moment_key

                far = (self.now - timedelta(days=400), self.now + timedelta(days=400))
                keys = [moment_key(s) for s in starts(record.fields["time"], series, *far)]
                if not keys:
                    continue
                key = self.rng.choice(keys)
                if self.rng.random() < 0.6:
                    overrides = {**series.overrides, key: {**series.overrides.get(key, {}), "summary": self.token("s")}}
                    changed = replace(series, overrides=overrides)
                else:
                    left = {k: v for k, v in series.overrides.items() if k != key}
                    changed = replace(series, exdates=series.exdates | {key}, overrides=left)
                    self._end(record)
                self.say(f"{who} edits an occurrence of {record.ref}")
                replica.edit(record.ref, recurrence=changed)
                return

    def pass_time(self) -> None:
        self.now += timedelta(days=self.rng.choice([0, 0, 0, 1, 9]), minutes=self.rng.randint(1, 200))

    # -- the engine -----------------------------------------------------------------------------------

    def sync(self, pairing: Pairing, *, full: bool = False) -> Report | None:
        """One pass; None when it was cut short."""
        self.now += timedelta(seconds=30)
        self.at_work = pairing.id
        self.note_values()
        marks = {id(r): len(r.log) for r in (self.crm, *self.calendars.values())}
        try:
            return run_pass(
                Context(pairing, self.store, Moment(self.now), b"k" * 32, self.pairings, full=full, approved=0)
            )
        except Crash:
            return None
        except PortError as error:
            if isinstance(error, Gone):
                raise
            return None
        except ZeroDivisionError:
            return None
        finally:
            self.check_writes(marks)
            self.note_values()

    def step(self) -> None:
        """Something happens: mostly people, sometimes a pass with faults."""
        roll = self.rng.random()
        if roll < 0.62:
            self.edit()
        elif roll < 0.64:
            self.rng.choice([self.crm, *self.calendars.values()]).expire()
        else:
            pairing = self.rng.choice(self.pairings)
            self.say(f"pass {pairing.id}")
            self.armed, self.mixing = True, True
            try:
                self.sync(pairing)
            finally:
                self.armed, self.mixing = False, False

    # -- the oracles ------------------------------------------------------------------------------------

    def check_writes(self, marks: dict[int, int]) -> None:
        """Each write that arrived since the marks, judged by what people did."""
        kept = {t for text in self.crm.remembered for t in TOKEN.findall(text)}
        kept |= {t for r in self.crm.records.values() for t in TOKEN.findall(str(r.fields.get("notes") or ""))}
        self.remembered |= kept
        for name, replica in {"crm": self.crm, **self.calendars}.items():
            for write in replica.log[marks[id(replica)] :]:  # it stood there, if only for a moment
                (self.crm_ever if name == "crm" else self.groupware_ever).update(tokens_of(write.after))
        for name, replica in {"crm": self.crm, **self.calendars}.items():
            for write in replica.log[marks[id(replica)] :]:
                self._check_write(name, replica, write)

    def _check_write(self, name: str, replica: MemoryReplica, write: Write) -> None:
        side = "crm" if name == "crm" else "item"
        if write.op == "redact":
            self.remembered |= tokens_of(write.before)
            return
        other = self.groupware_ever if side == "crm" else self.crm_ever
        lost = tokens_of(write.before) - tokens_of(write.after) - other - self.remembered - self.redacted
        if lost and not (write.op == "delete" and self._meant(write)):
            raise Broken(f"{name}: {write.op} of {write.ref} loses {sorted(lost)}")
        if write.op == "delete" and not self._meant(write):
            raise Broken(f"{name}: {write.ref} was deleted and nobody had deleted anything")
        if side == "crm" and write.before.get("status") == "open" and write.after.get("status") == "rejected":
            if not self._meant(write):
                raise Broken(f"{write.ref} was cancelled and nobody had deleted anything")
        if side == "item":
            self._check_whole(name, write)
            if write.op == "create":
                self.contested |= tokens_of(write.after)
        if side == "item" and write.op == "update":
            held = replica.records.get(write.ref)
            if held is not None and held.owner and held.owner != f"{name}@us.example":
                raise Broken(f"{name}: something was written into somebody else's meeting {write.ref}")

    def _check_whole(self, name: str, write: Write) -> None:
        self._check_texts(name, write, write.before, write.after)
        was, now = (fields.get("recurrence") or Recurrence() for fields in (write.before, write.after))
        for key, fields in now.overrides.items():
            self._check_texts(name, write, was.overrides.get(key, {}), fields)

    def _check_texts(self, name: str, write: Write, before: Fields, after: Fields) -> None:
        """No text that stood in full comes back cut; one that comes in from the CRM may be."""
        for field_ in TEXTS:
            for line in str(after.get(field_) or "").split("\n"):
                mark = TOKEN.match(line)
                stood = mark and self.full_values.get(mark[0]) in str(before.get(field_) or "").split("\n")
                if mark and not stood and line not in str(before.get(field_) or "").split("\n"):
                    self.contested.add(mark[0])
                if mark and stood and self.full_values[mark[0]] != line:
                    raise Broken(f"{name}: {mark[0]} of {write.ref} came back cut")

    def _meant(self, write: Write) -> bool:
        with self.store.reading() as tx:
            rows = {f"row {r.id}" for r in tx.rows_by_ref("crm", [write.ref]).values()}
            for pairing in self.pairings:
                rows |= {f"row {k.activity}" for k in tx.links_by_item(pairing.id, [write.ref])}
        return bool((rows | {write.ref} | tokens_of(write.before)) & self.ended)

    def _announced(self) -> set[tuple[str, str, str]]:
        """What is still to be looked at: what one pass has left to the next."""
        today = self.now.strftime("%Y-%m-%d")
        with self.store.reading() as tx:
            return {
                (p.id, side, entry.ref)
                for p in self.pairings
                for side in ("item", "crm")
                for entry in tx.pending(p.id, side, 0, today, 100)
            }

    def quiesce(self) -> None:
        """People rest, nothing fails: everything settles, and then nothing moves any more."""
        self.armed = self.mixing = False
        thorough = self.rng.random() < 0.5  # a full comparison would hide what an announcement lost
        self.say(f"rest{', after a full comparison' if thorough else ''}")
        if (self.now + timedelta(hours=1)).date() != self.now.date():
            self.now += timedelta(hours=1)  # at midnight windows move on
        before: set[tuple[str, str, str]] = set()
        for round_ in range(12):
            reports = []
            for pairing in self.pairings:
                report = self.sync(pairing, full=round_ == 0 and thorough)
                assert report is not None, "a pass without faults ended early"
                reports.append(report)
                with self.store.transaction() as tx:
                    if report.held:
                        approve(tx, pairing.id, report.held)
                    for c in conflicts(tx, pairing.id):
                        decide(tx, c.id, self.rng.choice(["crm", "groupware"]))
                        link = tx.link(c.link)
                        if link is not None and link.item_ref is not None:
                            tx.announce(pairing.id, "item", [link.item_ref])
            left, before = self._announced() - before, self._announced()
            if round_ and not any(r.writes or r.held or r.conflicts for r in reports) and not left:
                break
        else:
            raise Broken("it does not come to rest")
        for pairing in self.pairings:
            report = self.sync(pairing)
            assert report is not None
            if report.writes:
                raise Broken(f"the second pass over {pairing.id} is not silent: {report.numbers()}")
        self.check_state()

    def check_state(self) -> None:
        self._check_doubles()
        for name, replica in self.calendars.items():
            for record in replica.records.values():
                if not record.owner and self._cut(record):
                    raise Broken(f"{name}: a value of {record.ref} came back cut")
        leaked = self.secret & self.crm_ever
        if leaked:
            raise Broken(f"private values crossed: {sorted(leaked)}")
        with self.store.reading() as tx:
            if any(tx.intents(p.id) for p in self.pairings):
                raise Broken("an intent was left open")
        for pairing in self.pairings:
            self._check_agreement(pairing)
        if len(self.pairings) == 1:
            self._check_taken_back()

    def _check_taken_back(self) -> None:
        """What is private now and was typed in the calendar stands nowhere in the CRM, its history too."""
        held = {t for r in self.crm.records.values() for t in tokens(r)}
        held |= {t for lines in self.crm.history.values() for _, _, text in lines for t in TOKEN.findall(text)}
        for record in self.calendars["p0"].records.values():
            hidden = record.fields["sensitivity"] != "public" and not record.key
            if hidden and tokens(record) & self.typed_here & held:
                raise Broken(f"{record.ref} became private and its words are still in the CRM")
            self.checked["private"] = self.checked.get("private", 0) + hidden

    def _cut(self, record: Record) -> bool:
        """True when the item holds a value cut although no conflict put the CRM's form there."""
        marks = [TOKEN.match(text) for text in words_of(record)]
        short = [m[0] for m, text in zip(marks, words_of(record), strict=True) if m and self.full_values[m[0]] != text]
        return bool(short) and not any(m in self.remembered or m in self.contested for m in short)

    def _check_doubles(self) -> None:
        for name, replica in {"crm": self.crm, **self.calendars}.items():
            seen: dict[str, str] = {}
            dates: set[tuple[str, Any]] = set()
            field_ = "subject" if name == "crm" else "summary"
            with self.store.reading() as tx:
                asked = {p.ref for p in parked(tx, name) if "is the same meeting" in p.reason} & self.restored
            hidden = {r.ref for r in replica.records.values() if r.fields.get("sensitivity") not in (None, "public")}
            asked |= hidden & self.restored  # what has become private since is nobody's question any more
            back = {str(r.fields.get(field_)) for r in replica.records.values() if r.ref in self.restored}
            copies = {r.ref for r in replica.records.values() if r.key and str(r.fields.get(field_)) in back}
            asked |= hidden & copies  # so is a copy that its owner has made private before what it stood for was back
            for record in replica.records.values():
                mark = TOKEN.match(str(record.fields.get(field_) or ""))
                if mark is None or (name == "crm" and not self.choices.series):
                    continue
                if record.ref in asked:  # brought back in the instant in which it was made again: a person is asked
                    continue
                date = record.fields.get("time") if record.key and not self.choices.series else None
                if date is not None:  # single dates that were edited while their series was deleted are made again
                    if (mark[0], date) in dates:
                        raise Broken(f"{name}: {mark[0]} stands twice at one time: {record.ref}")
                    dates.add((mark[0], date))
                    continue
                if mark[0] in seen:
                    raise Broken(f"{name}: {mark[0]} stands twice: {seen[mark[0]]}, {record.ref}")
                seen[mark[0]] = record.ref
            beside = sorted(m for m, _ in dates if m in seen)
            if beside:
                raise Broken(f"{name}: a copy of {beside[0]} stands beside it: {seen[beside[0]]}")

    def _check_agreement(self, pairing: Pairing) -> None:
        lens, caps = self.lens, (pairing.replica.capabilities, self.crm.capabilities)
        with self.store.reading() as tx:
            links = tx.links_by_item(pairing.id, list(self.calendars[pairing.id].records))
            stuck = {p.ref for p in parked(tx, pairing.id)}  # a person sees it, and the next full comparison tries
            for link in links:
                row = tx.row(link.activity)
                assert row is not None
                item, activity = self.calendars[pairing.id].records.get(link.item_ref or ""), None
                if row.crm_ref is not None:
                    activity = self.crm.records.get(row.crm_ref)
                if {link.item_ref, row.crm_ref} & stuck:
                    continue
                if link.rest or link.role not in ("own", "copy") or link.occurrence or item is None or activity is None:
                    continue
                mine, theirs = lens.from_item(item.fields), lens.from_activity(activity.fields)
                for name in ("subject", "time", "location", "status", "categories"):
                    if self.choices.secretly and name in CRM_TEXTS:
                        continue
                    if name in theirs and not lens.agree(name, mine.get(name), theirs.get(name), caps):
                        raise Broken(f"{pairing.id}: {link.item_ref} and {row.crm_ref} differ in {name}")
                self.checked["agreement"] = self.checked.get("agreement", 0) + 1
        self._check_everything_crossed(pairing)

    def _check_everything_crossed(self, pairing: Pairing) -> None:
        """Every public event in the window has its activity."""
        from syncd.engine.look import within
        from syncd.mapping.conditions import taken

        ctx = Context(pairing, self.store, Moment(self.now), b"k" * 32)
        with self.store.reading() as tx:
            stuck = {p.ref for p in parked(tx, pairing.id)}
            for ref, record in self.calendars[pairing.id].records.items():
                public = record.fields["sensitivity"] == "public" and record.fields.get("status") != "cancelled"
                if not public or ref in stuck or not taken(self.lens.mapping, record.fields, {}):
                    continue
                if not within(ctx, self.lens.from_item(record.fields)) or tx.links_by_item(pairing.id, [ref]):
                    continue
                if not self.choices.series and not (record.fields.get("recurrence") or Recurrence()).empty:
                    continue
                raise Broken(f"{pairing.id}: {ref} never crossed")


def words_of(record: Record) -> list[str]:
    """The texts of a record, line by line, those of its overrides too."""
    texts = [str(record.fields.get(n) or "") for n in {*TEXTS, *CRM_TEXTS}]
    for changed in (record.fields.get("recurrence") or Recurrence()).overrides.values():
        texts += [str(v) for n, v in changed.items() if n in TEXTS or n in CRM_TEXTS]
    return [line for text in texts for line in text.split("\n")]


def tokens(record: Record) -> set[str]:
    return tokens_of(record.fields)


def tokens_of(fields: Any) -> set[str]:
    """Every token in the fields."""
    found = {t for n in {*TEXTS, *CRM_TEXTS} for t in TOKEN.findall(str(fields.get(n) or ""))}
    found |= {t for word in fields.get("categories") or () for t in TOKEN.findall(word)}
    for changed in (fields.get("recurrence") or Recurrence()).overrides.values():
        found |= {t for n, v in changed.items() for t in TOKEN.findall(str(v)) if isinstance(v, str)}
    return found


def run_world(seed: int, steps: int) -> World:
    """One history: steps, and a rest in the middle and at the end. Raises Broken."""
    rng = Random(seed)
    world = World(rng, Choices.any(rng))
    try:
        for number in range(steps):
            world.step()
            if number == steps // 2:
                world.quiesce()
        world.quiesce()
    except BaseException as error:
        tail = "\n  ".join(world.trail[-60:])
        error.add_note(f"seed {seed}, {world.choices}\n  {tail}")
        raise
    finally:
        close_all()
    return world
