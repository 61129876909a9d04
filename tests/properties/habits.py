"""A second world for the engine: fewer faults than `world`, more habits of people and systems.

Values that resemble each other, edits while a link rests, conditions that turn, clocks that jump, UIDs that strangers
share, employees with two calendars, items that move, private occurrences and blocks, text around our block, accounts
that are read only, directions, and guests on servers of all three kinds. Each thing carries a mark ("T17") in its
subject; the oracles know the rules of the house in words of their own and ask the engine nothing but its links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.engine.window import over
from syncd.mapping import blocks
from syncd.mapping.lens import Lens
from syncd.mapping.loader import digest_of
from syncd.mapping.schema import MappingFile
from syncd.model.fields import Fields, kind_of, normal_text, same
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, as_instant, moment_key, parse_moment
from syncd.ports import Capabilities, PortError, Telling, Transient
from syncd.store.journal import approve, parked
from tests.memory import MemoryCrm, MemoryReplica, Write
from tests.properties.world import Broken
from tests.stores import close_all, new_store

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARK = re.compile(r"T\d+")
#: Activity field -> item field, of the plain fields that are followed one by one.
PLAIN = {"subject": "summary", "location": "location", "notes": "description", "time": "time", "status": "status"}
#: What guests act on.
ACTED_ON = ("time", "location", "status")
PRIVATE_WORD = "SECRET"
DORA = "dora@cust.example"
STATUS = {"confirmed": "open", "tentative": "open", "cancelled": "rejected"}


@dataclass(frozen=True)
class Habits:
    """What kind of world it is."""

    direction: str
    fields: Mapping[str, str]
    guests: str
    servers: tuple[Telling, ...]
    read_only: tuple[bool, ...]
    private: str
    excludes_contacts: bool
    merge_notes: bool
    series: bool
    word: str
    item_gone: str
    activity_gone: str
    rejected: str
    faults: float

    @classmethod
    def any(cls, rng: Random) -> Habits:
        return cls(
            direction=rng.choice(["both", "both", "both", "to-crm", "to-groupware"]),
            fields={n: rng.choice(["both", "both", "to-crm", "to-groupware"]) for n in ("location", "notes")},
            guests=rng.choice(["wait", "wait", "quiet", "tell"]),
            servers=tuple(rng.choice(list(Telling)) for _ in range(3)),
            read_only=tuple(rng.random() < 0.12 for _ in range(3)),
            private=rng.choice(["withhold", "withhold", "busy-only", "full"]),
            excludes_contacts=rng.random() < 0.4,
            merge_notes=rng.random() < 0.5,
            series=rng.random() < 0.75,
            word=rng.choice(["newest", "crm", "groupware"]),
            item_gone=rng.choice(["cancel", "cancel", "delete", "keep"]),
            activity_gone=rng.choice(["delete", "delete", "keep"]),
            rejected=rng.choice(["cancel", "delete"]),
            faults=rng.choice([0.0, 0.0, 0.02]),
        )


def lens_of(habits: Habits, *, wide: bool = False) -> Lens:
    """The mapping; `wide`: with everything woken that a window or a filter had sent to sleep."""

    def allowed(name: str) -> str:
        own = habits.fields.get(name, "both")
        return own if habits.direction == "both" else habits.direction if own == "both" else own

    exclude: list[dict[str, Any]] = [] if wide else [{"category": ["Skip"]}]
    if habits.excludes_contacts and not wide:
        exclude.append({"attendee": "known-contact"})
    notes = {"from": "description", "direction": allowed("notes"), "merge": "text" if habits.merge_notes else "value"}
    mapping = MappingFile.model_validate(
        {
            "version": 1, "item": "event", "activity": "appointment", "direction": habits.direction,
            "window": {"past": "3000d" if wide else "30d", "future": "3000d" if wide else "60d"},
            "exclude": exclude, "privacy": {"private": habits.private}, "guests": habits.guests,
            "fields": {
                "subject": "summary", "time": "time", "recurrence": "recurrence", "notes": notes,
                "location": {"from": "location", "direction": allowed("location")},
                "categories": "categories",
                "status": {"from": "status", "values": STATUS, "back": {"open": "confirmed", "rejected": "cancelled"}},
                "private": {"from": "sensitivity", "values": {"public": "false", "private": "true"}},
                "participants": {"from": "attendees", "direction": "to-crm"},
            },
            "conflicts": {"default": habits.word, "status": "crm"},
            "deletions": {
                "item-gone": habits.item_gone, "activity-gone": habits.activity_gone,
                "activity-rejected": habits.rejected,
            },
        }
    )  # fmt: skip
    return Lens(mapping, digest_of(mapping))


@dataclass
class Typed:
    """What a person typed into one field of one record, and whether the other side has ever held it."""

    value: Any
    delivered: bool = False
    #: What stood there before anything was typed that is still to be delivered; None: nothing, or unknown.
    origin: Any = None


@dataclass
class HabitWorld:
    """Ann with two calendars, Bob with one, a CRM, a store, and what people did."""

    rng: Random
    habits: Habits
    now: datetime = START
    number: int = 0
    trail: list[str] = field(default_factory=list)
    #: (side or calendar, ref, activity field) -> what was typed there last.
    typed: dict[tuple[str, str, str], Typed] = field(default_factory=dict)
    #: The same -> what both sides held alike last.
    agreed: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    #: Marks of things that a person ended in the CRM, in a calendar, or hid; of those hidden ones words may go.
    ended_crm: set[str] = field(default_factory=set)
    ended_item: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    #: Marks that a person put into another calendar.
    went: set[str] = field(default_factory=set)
    #: What was deleted in a calendar: ref -> calendar, record, and what had been typed into it.
    trash: dict[str, tuple[str, Record, dict[tuple[str, str, str], Typed]]] = field(default_factory=dict)
    #: Marks of bookings under a UID that somebody else's event has too.
    booked: set[str] = field(default_factory=set)
    #: Marks that went to somebody else: those of the two calendars that have not been read since, and when the first
    #: of them was; and the marks for which the other one was not read within the day for which a question stands, or
    #: not read again within the days in which a thing that has gone may turn up.
    moving: dict[str, tuple[frozenset[str], str, datetime | None]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    #: UIDs that Bob has had.
    bobs: set[str] = field(default_factory=set)
    checked: dict[str, int] = field(default_factory=dict)
    armed: bool = False

    def __post_init__(self) -> None:
        caps = Capabilities(frozenset({"appointment"}), series="series" if self.habits.series else "none", history=True)
        self.crm = MemoryCrm("crm", caps, lambda: self.now, page=7)
        self.crm.gate = self._gate
        self.store = new_store()
        self.calendars: dict[str, MemoryReplica] = {}
        self.pairings: list[Pairing] = []
        lens = lens_of(self.habits)
        for at, (name, who) in enumerate((("ann", "ann"), ("home", "ann"), ("bob", "bob"))):
            caps = Capabilities(frozenset({"event"}), writable=not self.habits.read_only[at])
            replica = MemoryReplica(name, caps, lambda: self.now, page=7, server=self.habits.servers[at])
            replica.gate = self._gate
            self.calendars[name] = replica
            employee = Employee(who, (f"{who}@us.example",))
            default = name != "home"
            self.pairings.append(Pairing(name, employee, replica, self.crm, "crm", lens, default=default))

    def _gate(self, when: str, call: str) -> None:
        if self.armed and when == "before" and self.rng.random() < self.habits.faults:
            raise Transient("later")

    def say(self, text: str) -> None:
        self.trail.append(text)

    # -- what people do ------------------------------------------------------------------------------------------

    def edit(self) -> None:
        actions: list[Callable[[], None]] = [
            self.new_event, self.new_event, self.new_activity, self.edit_item, self.edit_item, self.edit_item,
            self.edit_activity, self.edit_activity, self.edit_activity, self.delete_item, self.delete_activity,
            self.reject, self.hide, self.filter, self.know, self.pass_time, self.move, self.strangers_uid,
            self.below_the_block, self.occurrence, self.occurrence_in_crm, self.invite, self.restore,
            self.there_and_back,
        ]  # fmt: skip
        self.rng.choice(actions)()

    def _mark(self) -> str:
        self.number += 1
        return f"T{self.number}"

    def _span(self) -> Span:
        start = self.now.replace(minute=0, second=0, microsecond=0)
        start += timedelta(days=self.rng.randint(-8, 80), hours=self.rng.randint(0, 20), minutes=self.number % 59)
        return Span(start, start + timedelta(hours=1), "UTC")

    def _like(self, old: str, mark: str = "") -> str:
        """A value that resembles the old one."""
        words = old.removeprefix(mark).strip()
        made = self.rng.choice(
            [
                words[: max(1, len(words) // 2)], f"{words} and more", words.upper(), words.replace(" ", "  "), "",
                words.swapcase(), "review", "review with Borealis", words, f"{words} {self.rng.randint(1, 3)}",
            ]
        )  # fmt: skip
        return f"{mark} {made}".strip() if mark else made.strip()

    def _own(self, name: str) -> list[Record]:
        me = self._me(name)
        return [r for r in self.calendars[name].records.values() if r.owner in ("", me)]

    def _me(self, name: str) -> str:
        return "bob@us.example" if name == "bob" else "ann@us.example"

    def _typed(self, side: str, ref: str, changes: Fields, before: Fields | None = None) -> None:
        """Somebody typed this; the same once more is nothing new."""
        names = {item: name for name, item in PLAIN.items()} if side != "crm" else {n: n for n in PLAIN}
        for each, value in changes.items():
            if each not in names:
                continue
            held = before.get(each) if before is not None else None
            held = blocks.cut(str(held or "")) if each in ("notes", "description") else held
            old = self.typed.get((side, ref, names[each]))
            if before is not None and same(names[each], held, value) and (old is None or old.delivered):
                continue
            key = (side, ref, names[each])
            resting = old is not None and not old.delivered and same(names[each], old.value, held)
            origin = old.origin if old is not None and resting else held
            back = key in self.agreed and same(names[each], self.agreed[key], value)
            back |= resting and origin is not None and same(names[each], origin, value)
            self.typed[key] = Typed(value, delivered=back, origin=origin)  # back to what it was is nothing new

    def _forget(self, side: str, ref: str) -> None:
        """Who deletes a record does not mind what was typed into it."""
        self.typed = {key: found for key, found in self.typed.items() if key[:2] != (side, ref)}

    def _put(self, name: str, ref: str, fields: dict[str, Any], **more: Any) -> None:
        self.calendars[name].put(ref, "event", fields, **more)
        self._typed(name, ref, fields)

    def new_event(self) -> None:
        name, mark = self.rng.choice(list(self.calendars)), self._mark()
        private = self.rng.random() < 0.15
        word = PRIVATE_WORD if private and self.habits.private != "full" else "review with Borealis"
        fields: dict[str, Any] = {
            "summary": f"{mark} {word}", "location": self.rng.choice(["", "Room 7", word]), "description": word,
            "time": self._span(), "status": "confirmed", "sensitivity": "private" if private else "public",
            "categories": frozenset(),
        }  # fmt: skip
        if self.rng.random() < 0.25:
            fields["recurrence"] = Recurrence("FREQ=WEEKLY;COUNT=4")
        owner = ""
        if self.rng.random() < 0.3:
            owner = self._me(name)
            fields["attendees"] = People([Participant(DORA), Participant(owner, answer="accepted")])
        if private:
            self.hidden.add(mark)
        if name == "bob":
            self.bobs.add(f"uid-{mark}")
        self.say(f"{name} makes {mark}{' private' if private else ''}{' with guests' if owner else ''}"
                 f"{' weekly' if 'recurrence' in fields else ''}")  # fmt: skip
        self._put(name, f"{name}/{mark}", fields, uid=f"uid-{mark}", owner=owner)

    def new_activity(self) -> None:
        owner, mark = self.rng.choice(["ann", "bob"]), self._mark()
        other = "bob" if owner == "ann" else "ann"
        with_other = self.rng.random() < 0.4
        fields = {
            "subject": f"{mark} visit", "location": "", "notes": "agenda", "time": self._span(), "status": "open",
            "private": False, "categories": frozenset[str](), "recurrence": Recurrence(),
            "participants": People([Participant(f"{other}@us.example")] if with_other else []),
        }  # fmt: skip
        self.say(f"crm makes {mark} for {owner}{' and the other' if with_other else ''}")
        self.crm.put(mark, "appointment", fields, owner=f"{owner}@us.example")
        self._typed("crm", mark, fields)

    def edit_item(self) -> None:
        name = self.rng.choice(list(self.calendars))
        mine = self._own(name)
        if not mine:
            return
        record = self.rng.choice(mine)
        mark = mark_of(record)
        if record.fields.get("sensitivity", "public") != "public" and self.habits.private != "full":
            return  # what is typed into what is hidden is nobody's question; non-interference asks it
        which = self.rng.choice(["summary", "summary", "location", "description", "time"])
        value: Any
        if which == "time":
            value = self._span()
        elif which == "summary":
            value = self._like(str(record.fields["summary"]), mark)
        elif which == "description":
            held = str(record.fields.get("description") or "")
            value = blocks.attach(self._like(blocks.cut(held)), blocks.lines_of(held))
        else:
            value = self._like(str(record.fields.get(which) or ""))
        self.say(f"{name} edits {which} of {mark}")
        self.calendars[name].edit(record.ref, **{which: value})
        self._typed(name, record.ref, {which: blocks.cut(value) if which == "description" else value}, record.fields)

    def edit_activity(self, of: str = "") -> None:
        """Of the mark `of`, or any."""
        records = [r for r in self.crm.records.values() if not of or mark_of(r) == of]
        if not records:
            return
        record = self.rng.choice(records)
        mark = mark_of(record)
        which = self.rng.choice(["subject", "subject", "location", "notes", "time", "private"])
        if which == "private":
            if record.owner == "" or not record.key:
                return
            which = "location"
        value: Any = self._span() if which == "time" else self._like(
            str(record.fields.get(which) or ""), mark if which == "subject" else ""
        )  # fmt: skip
        self.say(f"crm edits {which} of {mark} ({record.ref})")
        self.crm.edit(record.ref, **{which: value})
        self._typed("crm", record.ref, {which: value}, record.fields)

    def delete_item(self) -> None:
        name = self.rng.choice(list(self.calendars))
        if self.calendars[name].records and self.rng.random() < 0.6:
            record = self.rng.choice(list(self.calendars[name].records.values()))
            self.say(f"{name} deletes {mark_of(record)}")
            self.ended_item.add(mark_of(record))
            if not record.key and not record.guests:
                self.trash[record.ref] = (
                    name,
                    record,
                    {k: t for k, t in self.typed.items() if k[:2] == (name, record.ref)},
                )
            self.calendars[name].remove(record.ref)
            self._forget(name, record.ref)

    def restore(self) -> None:
        """Out of the trash; somebody may have worked on the activity meanwhile."""
        uids = {r.uid for c in self.calendars.values() for r in c.records.values()}
        found = sorted(ref for ref, (_, r, _) in self.trash.items() if r.uid not in uids)
        if not found:
            return
        ref = self.rng.choice(found)
        name, record, typed = self.trash.pop(ref)
        self.say(f"{name} restores {mark_of(record)}")
        self.went.add(mark_of(record))  # what was made in its place is one too many
        self.calendars[name].bring_back(record, same_version=self.rng.random() < 0.5)
        self.typed |= typed

    def delete_activity(self) -> None:
        if self.crm.records and self.rng.random() < 0.6:
            record = self.rng.choice(list(self.crm.records.values()))
            self.say(f"crm deletes {mark_of(record)} ({record.ref})")
            self.ended_crm |= self._called(record)
            self.crm.remove(record.ref)
            self._forget("crm", record.ref)

    def _called(self, record: Record) -> set[str]:
        """By which an activity is known: one that shows a block of time has no mark, but its items have."""
        with self.store.reading() as tx:
            rows = tx.rows_by_ref("crm", [record.ref]).values()
            refs = [(k.pairing, k.item_ref) for row in rows for k in tx.links_of_row(row.id)]
        items = [held for name, ref in refs if (held := self.calendars[name].records.get(ref or "")) is not None]
        return {mark_of(record), record.ref, *(mark_of(item) for item in items)} - {""}

    def reject(self) -> None:
        if self.crm.records:
            record = self.rng.choice(list(self.crm.records.values()))
            status = "rejected" if record.fields.get("status", "open") == "open" else "open"
            self.say(f"crm says {status} of {mark_of(record)} ({record.ref})")
            self.ended_crm |= self._called(record)
            self.crm.edit(record.ref, status=status)
            self._typed("crm", record.ref, {"status": status}, record.fields)

    def hide(self) -> None:
        """Private, or public again with words that may be seen."""
        name = self.rng.choice(list(self.calendars))
        mine = [r for r in self._own(name) if not r.key]
        if not mine:
            return
        record = self.rng.choice(mine)
        mark = mark_of(record)
        self.hidden.add(mark)
        hidden = record.fields.get("sensitivity", "public") != "public"
        words: dict[str, Any] = {"sensitivity": "public" if hidden else "private"}
        if self.habits.private != "full":
            new = "shown again" if hidden else PRIVATE_WORD
            words |= {"summary": f"{mark} {new}", "location": new, "description": new}
        self.say(f"{name} makes {mark} {words['sensitivity']}")
        self.calendars[name].edit(record.ref, **words)
        self._typed(name, record.ref, words, record.fields)

    def filter(self) -> None:
        name = self.rng.choice(list(self.calendars))
        mine = self._own(name)
        if mine:
            record = self.rng.choice(mine)
            self.say(f"{name} filters {mark_of(record)}")
            self.calendars[name].edit(record.ref, categories=record.fields["categories"] ^ {"Skip"})

    def know(self) -> None:
        """The CRM learns, or forgets, a contact."""
        self.say("the CRM knows Dora" if DORA not in self.crm.people else "the CRM forgets Dora")
        if self.crm.people.pop(DORA, None) is None:
            self.crm.people[DORA] = "contact"

    def pass_time(self) -> None:
        self.now += timedelta(days=self.rng.choice([0, 0, 1, 9]), minutes=self.rng.randint(1, 300))

    def move(self) -> None:
        """Into another calendar: of the same person, or of a colleague."""
        found = self._movable()
        if found:
            name, record = self.rng.choice(found)
            self._carry(record, name, self.rng.choice([n for n in self.calendars if n != name]))

    def there_and_back(self) -> None:
        """As `move`, and back; on the way, and while it is there, somebody may work on the activity."""
        found = self._movable()
        if not found:
            return
        name, record = self.rng.choice(found)
        to = self.rng.choice([n for n in self.calendars if n != name])
        if not self._carry(record, name, to):
            return
        moved = next(reversed(self.calendars[to].records.values()))
        for _ in range(self.rng.randint(0, 8)):
            self.read(self.rng.choice(self.pairings))
        if moved.ref in self.calendars[to].records:
            self._carry(self.calendars[to].records[moved.ref], to, name)

    def _movable(self) -> list[tuple[str, Record]]:
        own = [(n, r) for n in self.calendars for r in self._own(n)]
        return [(n, r) for n, r in own if not r.key and not r.guests and mark_of(r) not in self.booked]

    def _carry(self, record: Record, name: str, to: str) -> bool:
        mark = mark_of(record)
        theirs = ["bob"] if to == "bob" else ["ann", "home"]
        if any(r.uid == record.uid for n in theirs if n != name for r in self.calendars[n].records.values()):
            return False  # one person's two things under one UID are one thing
        if to == "bob" and record.uid in self.bobs:
            return False
        self.went.add(mark)
        new = [self.typed.get((name, record.ref, each)) for each in ("subject", "time")]
        if (to == "bob") is not (name == "bob") and all(n is not None and not n.delivered for n in new):
            self.late.add(mark)  # nothing of it is as it was: it is another's
        if (to == "bob") is not (name == "bob"):
            self.moving[mark] = frozenset({name, to}), to, None
        if to == "bob":
            self.bobs.add(record.uid)
        ref = f"{to}/{mark}-{self.number}-{len(self.trail)}"
        self.say(f"{mark} moves from {name} to {to}")
        self.calendars[to].put(ref, "event", record.fields, uid=record.uid, owner=record.owner)
        self.calendars[name].remove(record.ref)
        for each in PLAIN:
            found = self.typed.pop((name, record.ref, each), None)
            if found is not None:
                self.typed[to, ref, each] = found
        if self.rng.random() < 0.6:
            self.edit_activity(mark)
        return True

    def strangers_uid(self) -> None:
        """Bob's booking system gives its bookings the numbers that Ann's gives hers."""
        anns = [r for n in ("ann", "home") for r in self._own(n) if not r.key and not r.guests]
        if not anns:
            return
        uid, mark = self.rng.choice(anns).uid, self._mark()
        if uid in self.bobs:  # one person's two things under one UID are one thing
            return
        self.bobs.add(uid)
        fields = {
            "summary": f"{mark} booking", "location": "", "description": "", "time": self._span(),
            "status": "confirmed", "sensitivity": "public", "categories": frozenset[str](),
        }  # fmt: skip
        self.booked.add(mark)
        self.say(f"bob books {mark} under {uid}")
        self._put("bob", f"bob/{mark}", fields, uid=uid, owner="")

    def below_the_block(self) -> None:
        copies = [(n, r) for n, c in self.calendars.items() for r in c.records.values() if r.key]
        copies = [(n, r) for n, r in copies if blocks.has(str(r.fields.get("description") or ""))]
        if copies:
            name, record = self.rng.choice(copies)
            self.number += 1
            text = f"{record.fields['description']}\nbelow {self.number}"
            self.say(f"{name} types below the block of {mark_of(record)}")
            self.calendars[name].edit(record.ref, description=text)
            self._typed(name, record.ref, {"description": blocks.cut(text)}, record.fields)

    def _series(self) -> list[tuple[str, Record]]:
        return [
            (n, r) for n in self.calendars for r in self._own(n)
            if not (r.fields.get("recurrence") or Recurrence()).empty and r.fields.get("sensitivity") == "public"
        ]  # fmt: skip

    def _key(self, record: Record) -> str:
        far = (self.now - timedelta(days=800), self.now + timedelta(days=800))
        found = [moment_key(s) for s in starts(record.fields["time"], record.fields["recurrence"], *far)]
        return self.rng.choice(found) if found else ""

    def occurrence(self) -> None:
        """One occurrence is renamed, or becomes private, in the calendar."""
        found = self._series()
        key = ""
        if found:
            name, record = self.rng.choice(found)
            key = self._key(record)
        if not key:
            return
        series: Recurrence = record.fields["recurrence"]
        held = dict(series.overrides.get(key, {}))
        if self.rng.random() < 0.5 and self.habits.private != "full":
            held |= {"sensitivity": "private", "summary": PRIVATE_WORD, "description": PRIVATE_WORD}
        else:
            held |= {"summary": f"{mark_of(record)} otherwise"}
            if held.get("sensitivity") == "private":
                return
        self.say(f"{name} edits an occurrence of {mark_of(record)}: {held.get('sensitivity', 'public')}")
        if held.get("sensitivity") == "private":
            self.hidden.add(mark_of(record))
        self.calendars[name].edit(record.ref, recurrence=replace(series, overrides={**series.overrides, key: held}))

    def occurrence_in_crm(self) -> None:
        """One occurrence is renamed, left out, or the rule changed, in the CRM."""
        found = [r for r in self.crm.records.values() if not (r.fields.get("recurrence") or Recurrence()).empty]
        key = ""
        if found:
            record = self.rng.choice(found)
            key = self._key(record)
        if not key:
            return
        series: Recurrence = record.fields["recurrence"]
        self.say(f"crm edits an occurrence of {mark_of(record)}")
        if self.rng.random() < 0.5:
            held = {**series.overrides.get(key, {}), "subject": f"{mark_of(record)} in the CRM"}
            made = replace(series, overrides={**series.overrides, key: held})
        else:
            left = {k: v for k, v in series.overrides.items() if k != key}
            made = replace(series, exdates=series.exdates | {key}, overrides=left)
        self.crm.edit(record.ref, recurrence=made)

    def invite(self) -> None:
        """Guests come, or go."""
        name = self.rng.choice(list(self.calendars))
        mine = [r for r in self._own(name) if not r.key and r.owner]
        if not mine:
            return
        record = self.rng.choice(mine)
        me = self._me(name)
        people = People() if record.guests else People([Participant(DORA), Participant(me, answer="accepted")])
        self.say(f"{name}: guests {'come to' if people else 'leave'} {mark_of(record)}")
        self.calendars[name].records[record.ref] = replace(record, guests=frozenset())
        self.calendars[name].edit(record.ref, attendees=people)

    # -- the engine ----------------------------------------------------------------------------------------------

    def sync(self, pairing: Pairing, *, full: bool = False) -> Report | None:
        self.now += timedelta(seconds=40)
        marks = {n: len(r.log) for n, r in (("crm", self.crm), *self.calendars.items())}
        context = Context(pairing, self.store, Moment(self.now), b"k" * 32, self.pairings, full=full)
        report: Report | None = None
        try:
            report = run_pass(context)
        except PortError:
            report = None
        finally:
            self.check_writes(marks)
            self.note_delivered(pairing)
        for mark, (unread, to, since) in list(self.moving.items()):
            if pairing.id in unread and report is not None:
                limit = timedelta(days=13) if len(unread) == 1 and to in unread else timedelta(hours=23)
                self.late |= {mark} if since is not None and abs(self.now - since) > limit else set()
                left = unread - {pairing.id} or (
                    {to} if pairing.id != to else frozenset()
                )  # it has asked, and reads on
                self.moving[mark] = frozenset(left), to, self.now
        return report

    def step(self) -> None:
        roll = self.rng.random()
        if roll < 0.62:
            self.edit()
            return
        pairing = self.rng.choice(self.pairings)
        right = self.now
        ahead = roll > 0.97
        if ahead:
            self.now += timedelta(days=self.rng.choice([-90, 100, 400]))
        if 0.955 < roll <= 0.97:
            self.rng.choice([self.crm, *self.calendars.values()]).expire()
        self.read(pairing, f" with the clock at {self.now:%Y-%m-%d}" if ahead else "")
        if ahead:
            self.now = right + timedelta(minutes=1)

    def read(self, pairing: Pairing, how: str = "") -> None:
        """A pass, in which servers may fail."""
        self.say(f"pass {pairing.id}{how}")
        self.armed = True
        self.sync(pairing)
        self.armed = False

    # -- the oracles ---------------------------------------------------------------------------------------------

    def note_delivered(self, read: Pairing) -> None:
        """What both sides show alike has been delivered; they have agreed on it once a pass has read both."""
        for pairing, item, activity in self._pairs():
            mine, theirs = self._views(pairing.id, item, activity)
            for name in PLAIN:
                if name in mine and name in theirs and same(name, mine[name], theirs[name]):
                    for key in ((pairing.id, item.ref, name), ("crm", activity.ref, name)):
                        if pairing.id == read.id:
                            self.agreed[key] = mine[name]
                        found = self.typed.get(key)
                        if found is not None:
                            found.delivered = True

    def _pairs(self) -> list[tuple[Pairing, Record, Record]]:
        found = []
        with self.store.reading() as tx:
            for pairing in self.pairings:
                records = self.calendars[pairing.id].records
                for link in tx.links_by_item(pairing.id, list(records)):
                    row = tx.row(link.activity)
                    activity = self.crm.records.get(row.crm_ref or "") if row is not None else None
                    alone = not link.occurrence or link.ours  # a copy of one date is an entry of its own
                    if activity is not None and alone:
                        found.append((pairing, records[link.item_ref or ""], activity))
        return found

    def _views(self, name: str, item: Record, activity: Record) -> tuple[dict[str, Any], dict[str, Any]]:
        lens = self.pairings[0].lens
        return lens.from_item(item.fields), lens.from_activity(activity.fields)

    def check_writes(self, marks: Mapping[str, int]) -> None:
        for write in self.crm.log[marks["crm"] :]:  # what has just reached the CRM is delivered
            for (side, ref, name), found in self.typed.items():
                if side != "crm" and mark_in(write.after) in self._marks(side, ref) and name in write.after:
                    found.delivered |= same(name, write.after[name], found.value)
        for name, replica in (("crm", self.crm), *self.calendars.items()):
            for write in replica.log[marks[name] :]:
                overrides = (write.after.get("recurrence") or Recurrence()).overrides.values() if name != "crm" else ()
                for changed in overrides:  # and what of a single activity has reached its occurrence
                    for (side, ref, each), found in self.typed.items():
                        held = self.crm.records.get(ref) if side == "crm" else None
                        if held is not None and mark_of(held) == mark_in(write.after) and PLAIN[each] in changed:
                            found.delivered |= same(each, changed[PLAIN[each]], found.value)
                if name == "crm":
                    self._check_crm(write)
                else:
                    self._check_item(name, write)
        self._check_secrets()

    def _check_secrets(self) -> None:
        if self.habits.private == "full":
            return
        for record in self.crm.records.values():
            if PRIVATE_WORD in repr({n: v for n, v in record.fields.items() if n != "recurrence"}):
                raise Broken(f"{record.ref} shows what is private")
            overrides = (record.fields.get("recurrence") or Recurrence()).overrides
            if PRIVATE_WORD in repr({k: dict(v) for k, v in overrides.items()}):
                raise Broken(f"an occurrence of {record.ref} shows what is private")
        if any(PRIVATE_WORD in text for text in self.crm.remembered):
            raise Broken("the history keeps what is private")

    def _check_item(self, name: str, write: Write) -> None:
        """An engine's write into a calendar: was it allowed, and was nothing lost?"""
        replica, mark = self.calendars[name], mark_in(write.before) or mark_in(write.after)
        if not replica.caps.writable:
            raise Broken(f"{name}: {write.op} of {mark} although the account is read only")
        if self.habits.direction == "to-crm":
            raise Broken(f"{name}: {write.op} of {mark} against the mapping's direction")
        if write.op == "create":
            before = self.went | self.ended_item | self.ended_crm  # it is made again where it had been
            if name == "home" and mark not in before:
                raise Broken(f"{mark} is copied into the calendar that takes nothing from the CRM")
            return
        hidden = write.before.get("sensitivity") != "public" and "/T" in write.ref and self.habits.private != "full"
        if hidden:
            raise Broken(f"{name}: {write.op} of {mark}, which is private")
        secret = private_keys(write.before) if self.habits.private != "full" else set()
        guests = bool(set(write.before.get("attendees") or ()) - {self._me(name)})
        tells = replica.server is Telling.TELLS
        if guests and tells and self.habits.guests != "tell":
            raise Broken(f"{name}: {write.op} of {mark} tells its guests")
        if write.op == "delete":
            mark = mark or self._showed(name, write.ref)  # what went with something private was made less first
            self._check_deleted(name, write, mark, secret, guests)
            return
        changed = {n for n in PLAIN if not same(PLAIN[n], write.before.get(PLAIN[n]), write.after.get(PLAIN[n]))}
        if guests and self.habits.guests == "wait" and changed & set(ACTED_ON):
            raise Broken(f"{name}: {sorted(changed)} of {mark} changed although its guests must be told")
        for each in changed:
            if self._way(each) not in ("both", "to-groupware"):
                raise Broken(f"{name}: {each} of {mark} went against its direction")
            self._check_kept(name, write.ref, each, write.before.get(PLAIN[each]), write.after.get(PLAIN[each]))
        was, now = (f.get("recurrence") or Recurrence() for f in (write.before, write.after))
        # one that is over goes along with its series
        length = write.before["time"].length
        secret = {k for k in secret if as_instant(parse_moment(k)) + length > self.now or "time" not in changed}
        for key in secret:
            if dict(now.overrides.get(key, {})) != dict(was.overrides[key]) or key in now.exdates:
                raise Broken(f"{name}: a private occurrence of {mark} was written")
        if secret and (was.rule != now.rule or "time" in changed):
            raise Broken(f"{name}: the series {mark} was moved with its private occurrence")

    def _check_deleted(self, name: str, write: Write, mark: str, secret: set[str], guests: bool) -> None:
        if secret:
            raise Broken(f"{name}: {mark} was deleted with a private occurrence")
        if guests and self.habits.guests == "wait":
            raise Broken(f"{name}: {mark} was deleted although its guests must be told")
        moved = mark in self.went and "/T" not in write.ref  # a copy beside what was moved is one too many
        ends = self.habits.item_gone == "delete" or (self.habits.item_gone, self.habits.rejected) == (
            "cancel",
            "delete",
        )
        with_it = mark in self.ended_item and ends  # who answers for it deleted his copy
        if mark not in self.ended_crm and not moved and not with_it:
            raise Broken(f"{name}: {mark} was deleted and nobody had ended it in the CRM")
        for each in PLAIN:
            found = self.typed.get((name, write.ref, each))
            if found is not None and not found.delivered and self._way(each) in ("both", "to-crm") and found.value:
                if each != "status" and not self._is_kept(found.value) and not self._shows(mark, each, found.value):
                    raise Broken(f"{name}: {mark} was deleted with an edit of {each} that nobody has seen")
        self._forget(name, write.ref)  # a copy that is made again has its ref

    def _showed(self, name: str, ref: str) -> str:
        """The mark that a record had before the engine wrote into it."""
        found = [mark_in(w.before) for w in self.calendars[name].log if w.ref == ref]
        return next((mark for mark in reversed(found) if mark), "")

    def _shows(self, mark: str, field: str, value: Any) -> bool:
        """True when somebody has typed the same in the CRM."""
        of_it = (r for r in self.crm.records.values() if mark_of(r) == mark)
        return any(same(field, r.fields.get(field), value) for r in of_it)

    def _way(self, name: str) -> str:
        own = self.habits.fields.get(name, "both")
        if self.habits.direction == "both":
            return own
        return self.habits.direction if own in ("both", self.habits.direction) else "none"

    def _check_kept(self, side: str, ref: str, name: str, before: Any, after: Any) -> None:
        """A value that a person typed and that never reached the other side is not overwritten without a trace."""
        found = self.typed.get((side, ref, name))
        if found is None or found.delivered or name == "status" or not found.value:
            return
        if name == "notes":
            before, after = blocks.cut(str(before or "")), blocks.cut(str(after or ""))
        if not same(name, before, found.value) or self._is_kept(before):
            return
        lines = {x.strip() for x in normal_text(str(after or "")).split("\n")}
        if name == "notes" and {x.strip() for x in normal_text(str(before)).split("\n")} <= lines:
            return
        if mark_in({"summary": after}) in self.hidden or self._hidden_ref(ref):
            return
        raise Broken(f"{side}: {name} of {ref} was overwritten and is nowhere kept")

    def _marks(self, side: str, ref: str) -> set[str]:
        record = self.calendars[side].records.get(ref)
        gone = next((w.before for w in reversed(self.calendars[side].log) if w.ref == ref), {})
        return {mark_of(record) if record is not None else mark_in(gone), *MARK.findall(ref)}

    def _is_hidden(self, mark: str) -> bool:
        """True for what is, or was, private, and for what is left of it in the CRM, which has no mark any more."""
        return mark in self.hidden or (not mark and self.habits.private != "full")

    def _hidden_ref(self, ref: str) -> bool:
        for replica in (self.crm, *self.calendars.values()):
            if ref in replica.records and mark_of(replica.records[ref]) in self.hidden:
                return True
        return bool(set(MARK.findall(ref)) & self.hidden)

    def _is_kept(self, value: Any) -> bool:
        if isinstance(value, Span):
            text = f"{value.start.isoformat()} - {value.end.isoformat()}"
            return text in self.crm.remembered
        return any(normal_text(str(value)) == normal_text(x) for x in self.crm.remembered)

    def _check_crm(self, write: Write) -> None:
        mark = mark_in(write.before) or mark_in(write.after)
        if self.habits.direction == "to-groupware" and write.op != "redact":
            raise Broken(f"crm: {write.op} of {mark} against the mapping's direction")
        if write.op in ("create", "redact"):
            return
        if write.op == "delete":
            if mark not in self.ended_item | self.went and not self._is_hidden(mark):
                raise Broken(f"crm: {mark} was deleted and nobody had deleted anything")
            return
        changed = {n for n in PLAIN if not same(n, write.before.get(n), write.after.get(n))}
        for each in changed:
            if each == "status":
                continue
            if self._way(each) not in ("both", "to-crm"):
                raise Broken(f"crm: {each} of {mark} went against its direction")
            self._check_kept("crm", write.ref, each, write.before.get(each), write.after.get(each))
        if "status" in changed and write.after.get("status") == "rejected":
            if mark not in self.ended_item | self.ended_crm | self.went and not self._is_hidden(mark):
                raise Broken(f"crm: {mark} was cancelled and nobody had ended it")

    # -- the end ---------------------------------------------------------------------------------------------------

    def quiesce(self) -> None:
        """Everything is woken; then nothing moves any more, and all is where it belongs."""
        self.say("rest")
        lens = lens_of(self.habits, wide=True)
        self.pairings = [replace(p, lens=lens) for p in self.pairings]
        for number in range(16):
            reports = []
            for pairing in self.pairings:
                report = self.sync(pairing, full=number % 3 == 0)
                assert report is not None, "a pass without faults ended early"
                reports.append(report)
                if report.held:
                    with self.store.transaction() as tx:
                        approve(tx, pairing.id, report.held)
            if number and not any(r.writes or r.held or r.again for r in reports):
                break
        else:
            raise Broken("it does not come to rest")
        for pairing in self.pairings:
            report = self.sync(pairing, full=True)
            assert report is not None
            if report.writes:
                raise Broken(f"the next pass over {pairing.id} is not silent: {report.numbers()}")
        self._check_doubles()
        self._check_parked()
        self._check_agreement()
        self._check_typed()
        self._check_still_there()
        self._check_outbox()

    def _check_outbox(self) -> None:
        for name, replica in self.calendars.items():
            if replica.outbox and self.habits.guests != "tell":
                raise Broken(f"{name}: guests were told of {replica.outbox}")

    def _check_doubles(self) -> None:
        awake = [r for r in self.crm.records.values() if r.fields.get("status") != "rejected"]
        if self.habits.series:
            twice = {mark_of(r): [a for a in awake if mark_of(a) == mark_of(r)] for r in awake}
            changed = {
                m for m, found in twice.items() if m in self.went and not any(alike(found[0], r) for r in found[1:])
            }
            self._once("crm", [mark_of(r) for r in awake if mark_of(r) not in changed])
        for who in (("ann", "home"), ("bob",)):
            held = [r for n in who for r in self.calendars[n].records.values()]
            self._once(who[0], [mark_of(r) for r in held if not self._takes_place_after_all(r, held)])

    def _takes_place_after_all(self, copy: Record, held: Sequence[Record]) -> bool:
        """A single date that was made again for its activity, beside its series, in which it is called off, or which
        is gone."""
        if self.habits.series or "/T" in copy.ref:
            return False
        of_it = [r for r in held if mark_of(r) == mark_of(copy)]
        if not any("/T" in r.ref for r in of_it):
            times = [r.fields["time"] for r in of_it]
            return len({r.key for r in of_it}) == len(of_it) and times.count(copy.fields["time"]) == 1
        series = (r.fields.get("recurrence") or Recurrence() for r in of_it)
        return any(s.exdates or any(o.get("status") == "cancelled" for o in s.overrides.values()) for s in series)

    def _once(self, where: str, marks: list[str]) -> None:
        twice = {m for m in marks if m and marks.count(m) > 1} - self.hidden - self.late
        if twice and where != "crm":  # moved back before the copy in its place was taken away: a person is asked
            with self.store.reading() as tx:
                asked = {p.ref for p in parked(tx) if "is the same meeting" in p.reason}
            found = [r for c in self.calendars.values() for r in c.records.values() if r.ref in asked]
            twice -= {mark_of(r) for r in found} & self.went
        if twice:
            raise Broken(f"{where}: {sorted(twice)} stand there twice")

    def _check_parked(self) -> None:
        with self.store.reading() as tx:
            odd = [p for p in parked(tx) if "another entry of this calendar" not in p.reason]
        if odd and self.habits.series:
            raise Broken(f"parked: {odd[0].ref}: {odd[0].reason}")

    def _check_agreement(self) -> None:
        with self.store.reading() as tx:
            links = {(k.pairing, k.item_ref): k for p in self.pairings
                     for k in tx.links_by_item(p.id, list(self.calendars[p.id].records))}  # fmt: skip
        for pairing, item, activity in self._pairs():
            link = links[pairing.id, item.ref]
            if link.rest or link.role not in ("own", "copy"):
                continue
            mine, theirs = self._views(pairing.id, item, activity)
            for name in PLAIN:
                up, down = self._may(pairing, item, name)
                if not (up and down) or same(name, mine.get(name), theirs.get(name)):
                    continue
                empty = kind_of(name).empty
                if name == "status" or (same(name, mine.get(name, empty), theirs.get(name, empty))):
                    continue
                raise Broken(f"{pairing.id}: {item.ref} and {activity.ref} differ in {name}")
            self.checked["agreement"] = self.checked.get("agreement", 0) + 1

    def _may(self, pairing: Pairing, item: Record, name: str) -> tuple[bool, bool]:
        """Whether the field may go up, and down."""
        way = self._way(name)
        up, down = way in ("both", "to-crm"), way in ("both", "to-groupware")
        replica = self.calendars[pairing.id]
        down = down and replica.caps.writable
        if self.habits.private != "full":
            if item.fields.get("sensitivity", "public") != "public" and not item.key:
                return False, False
            if private_keys(item.fields) and name == "time":
                down = False
        if set(item.guests) - {self._me(pairing.id)}:
            if self.habits.guests == "wait" and name in ACTED_ON:
                down = False
            tell = self.habits.guests == "tell" and not over(item.fields, self.now, UTC)
            if replica.server is Telling.TELLS and not tell:
                down = False
        return up, down

    def _check_typed(self) -> None:
        """What was typed last stands where it was typed, or has reached the other side, or is kept."""
        with self.store.reading() as tx:
            waiting = {k.item_ref for p in self.pairings for k in tx.waiting(p.id)}
        pairs = self._pairs()
        for (side, ref, name), found in self.typed.items():
            replica = self.crm if side == "crm" else self.calendars[side]
            record = replica.records.get(ref)
            if found.delivered or record is None or name == "status" or self._is_hidden(mark_of(record)):
                continue
            held = record.fields.get(name if side == "crm" else PLAIN[name])
            held = blocks.cut(str(held or "")) if name == "notes" else held
            if not same(name, held, found.value):
                lines = {x.strip() for x in normal_text(str(held or "")).split("\n")}
                if name == "notes" and {x.strip() for x in normal_text(str(found.value)).split("\n")} <= lines:
                    continue
                if found.value and not self._is_kept(found.value):
                    raise Broken(f"{side}: {name} that was typed into {ref} is gone")
                continue
            if side == "crm" and self.habits.guests == "wait" and self.habits.series:
                self._check_counted(ref, name, found, pairs, waiting)

    def _check_counted(
        self, ref: str, name: str, found: Typed, pairs: list[tuple[Pairing, Record, Record]], waiting: set[str | None]
    ) -> None:
        for pairing, item, activity in pairs:
            if activity.ref != ref or name not in ACTED_ON or not set(item.guests) - {self._me(pairing.id)}:
                continue
            ahead = item.fields["time"].start > self.now + timedelta(days=1)
            open_ = self._way(name) in ("both", "to-groupware") and self.calendars[pairing.id].caps.writable
            masked = bool(private_keys(item.fields)) or item.fields.get("sensitivity", "public") != "public"
            if ahead and open_ and not masked and item.ref not in waiting:
                raise Broken(f"{name} of {ref} waits for its guests and is not counted")
            self.checked["waiting"] = self.checked.get("waiting", 0) + 1

    def _check_still_there(self) -> None:
        """What stands in a calendar as one's own is in the CRM, and open there unless somebody ended it."""
        if self.habits.direction == "to-groupware" or not self.habits.series:
            return
        with self.store.reading() as tx:
            stuck = {p.ref for p in parked(tx)}
            for pairing in self.pairings:
                for record in self._own(pairing.id):
                    mark = mark_of(record)
                    hidden = record.fields.get("sensitivity", "public") != "public" and self.habits.private != "full"
                    if hidden or record.key or record.ref in stuck or record.fields["status"] == "cancelled":
                        continue
                    links = tx.links_by_item(pairing.id, [record.ref])
                    if not links:
                        raise Broken(f"{pairing.id}: {record.ref} never crossed")
                    row = tx.row(links[0].activity)
                    activity = self.crm.records.get(row.crm_ref or "") if row is not None else None
                    if activity is None or {mark, activity.ref} & self.ended_crm:
                        continue
                    if activity.fields.get("private") and activity.owner != self._me(pairing.id):
                        continue  # it moved to a colleague while it was private (`full`)
                    if activity.fields["status"] == "rejected":
                        raise Broken(f"{mark} stands in {pairing.id} and is rejected in the CRM")
                    self.checked["there"] = self.checked.get("there", 0) + 1


def alike(one: Record, other: Record) -> bool:
    """What moved to somebody else while all of it was changed in the CRM is not known for the same any more."""
    return any(one.fields.get(n) == other.fields.get(n) for n in ("subject", "time") if one.fields.get(n))


def mark_of(record: Record) -> str:
    """The thing's mark."""
    return mark_in(record.fields)


def mark_in(fields: Fields) -> str:
    found = MARK.search(str(fields.get("summary") or fields.get("subject") or ""))
    return found[0] if found else ""


def private_keys(fields: Fields) -> set[str]:
    """Original starts of the occurrences that are private."""
    overrides = (fields.get("recurrence") or Recurrence()).overrides
    return {k for k, changed in overrides.items() if changed.get("sensitivity") == "private"}


def run_habits(seed: int, steps: int) -> HabitWorld:
    """One history. Raises Broken."""
    rng = Random(seed)
    world = HabitWorld(rng, Habits.any(rng))
    try:
        for _ in range(steps):
            world.step()
        world.quiesce()
    except BaseException as error:
        tail = "\n  ".join(world.trail[-60:])
        error.add_note(f"seed {seed}, {world.habits}\n  {tail}")
        raise
    finally:
        close_all()
    return world
