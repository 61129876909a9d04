"""Every field that crosses: its name, type, equality and how it merges, declared once.

A field's *kind* answers four questions: is a value of this type (`check`), which text stands for
it in a digest (`canonical`, or `elements` for what is compared piece by piece), and what a server
with a limit makes of it (`shape`). Knows nothing of sides, mappings or servers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Any

from syncd.model.files import Files
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Moment, Span, moment_key, rounded

Value = Any  # str | int | bool | Span | Moment | frozenset[str] | People | Recurrence | Files | None
Fields = Mapping[str, Value]


@dataclass(frozen=True)
class Limit:
    """What a server does to a value that it is given."""

    #: Longest text, in characters; longer ones are cut there.
    length: int | None = None
    #: Resolution of times, in seconds.
    seconds: int = 1
    #: Floating times are not held: they become times of this zone.
    zone: tzinfo | None = None
    #: Only days are held: an instant becomes its day in this zone.
    days_in: tzinfo | None = None
    #: Number -> what becomes of it.
    numbers: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


_TRAILING = re.compile(r"[^\S\n](?:\n|\Z)")


def normal_text(text: str) -> str:
    """Text as it is compared: LF, no trailing blanks, NFC (design §3)."""
    if text.isascii() and "\n" not in text and "\r" not in text:
        return text.rstrip()  # the same, for the many that are one plain line
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _TRAILING.search(text) is None:  # a long text is not taken to pieces for nothing
        return text.strip("\n")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


class Kind:
    """How one type of field is compared, digested and shaped."""

    name = "value"
    #: Compared and merged element by element.
    keyed = False
    #: None is a value: there is none, and that crosses. Of other kinds it means that nothing can be said.
    optional = False
    empty: Value = None

    def canonical(self, value: Value) -> str:
        """Text that is equal exactly for equal values."""
        return "" if value is None else str(value)

    def nothing(self, value: Value) -> bool:
        """True for a value that means the same as the empty one."""
        return not value

    def elements(self, value: Value) -> dict[str, str]:
        """For a keyed kind: element key -> canonical text of the element."""
        raise TypeError(f"{self.name} has no elements")

    def rebuild(self, picked: Mapping[str, Value]) -> Value:
        """For a keyed kind: the value made of these elements (key -> the value that holds it)."""
        raise TypeError(f"{self.name} has no elements")

    def shape(self, value: Value, limit: Limit) -> Value:
        """What a server with `limit` holds after it was given `value`."""
        return value


class Text(Kind):
    """Words of one line or many."""

    name = "text"
    empty = ""

    def canonical(self, value: Value) -> str:
        return normal_text(value or "")

    def nothing(self, value: Value) -> bool:
        return not value or not normal_text(value)

    def shape(self, value: Value, limit: Limit) -> Value:
        if value is None or limit.length is None or len(value) <= limit.length:
            return value
        return value[: limit.length]


class Choice(Text):
    """One word of a list that the replica knows."""

    name = "choice"


class Number(Kind):
    """A whole number."""

    name = "number"
    empty = 0

    def canonical(self, value: Value) -> str:
        return str(int(value or 0))

    def shape(self, value: Value, limit: Limit) -> Value:
        return limit.numbers.get(int(value or 0), value) if limit.numbers else value


class Flag(Kind):
    """Yes or no."""

    name = "flag"
    empty = False

    def canonical(self, value: Value) -> str:
        return "yes" if value else "no"


class When(Kind):
    """A span of time: one value, so that no merge makes an end before its start."""

    name = "span"

    def canonical(self, value: Value) -> str:
        return value.key() if value is not None else ""

    def shape(self, value: Value, limit: Limit) -> Value:
        if value is None:
            return None
        if limit.zone is not None and value.floating:
            value = Span(value.start.replace(tzinfo=limit.zone), value.end.replace(tzinfo=limit.zone), value.zone)
        return rounded(value, limit.seconds)


class Day(Kind):
    """A date, or an instant (a task's due date)."""

    name = "day"
    optional = True

    def canonical(self, value: Value) -> str:
        return moment_key(value) if value is not None else ""

    def shape(self, value: Value, limit: Limit) -> Value:
        if not isinstance(value, datetime):
            return value
        if limit.days_in is not None:
            return (value.astimezone(limit.days_in) if value.tzinfo is not None else value).date()
        return rounded(Span(value, value), limit.seconds).start


class Words(Kind):
    """A set of words (categories)."""

    name = "words"
    keyed = True
    empty: frozenset[str] = frozenset()

    def canonical(self, value: Value) -> str:
        return "\n".join(sorted(value or ()))

    def elements(self, value: Value) -> dict[str, str]:
        return dict.fromkeys(value or (), "")

    def rebuild(self, picked: Mapping[str, Value]) -> Value:
        return frozenset(picked)


class Participants(Kind):
    """People with their answers."""

    name = "people"
    keyed = True
    empty = People()

    def canonical(self, value: Value) -> str:
        return "\n".join(f"{a} {value[a].answer}" for a in value or ())

    def elements(self, value: Value) -> dict[str, str]:
        return {a: value[a].answer for a in value or ()}

    def rebuild(self, picked: Mapping[str, Value]) -> Value:
        return People([holder[address] for address, holder in picked.items()])


class Series(Kind):
    """A recurrence; its elements are the rule, each date, and each field of each override."""

    name = "recurrence"
    keyed = True
    empty = Recurrence()

    def canonical(self, value: Value) -> str:
        return "\n".join(f"{k}={v}" for k, v in sorted(self.elements(value).items()))

    def nothing(self, value: Value) -> bool:
        return not self.elements(value)

    def elements(self, value: Value) -> dict[str, str]:
        recurrence: Recurrence = value or Recurrence()
        found = {"rule": recurrence.rule} if recurrence.rule else {}
        found |= {f"rdate {key}": "" for key in recurrence.rdates}
        found |= {f"exdate {key}": "" for key in recurrence.exdates}
        for key, fields in recurrence.overrides.items():
            for name, part in fields.items():
                found[f"over {key} {name}"] = kind_of(name).canonical(part)
        return found

    def rebuild(self, picked: Mapping[str, Value]) -> Value:
        rule, rdates, exdates = "", set(), set()
        overrides: dict[str, dict[str, Value]] = {}
        for element, holder in picked.items():
            what, _, rest = element.partition(" ")
            if what == "rule":
                rule = holder.rule
            elif what == "rdate":
                rdates.add(rest)
            elif what == "exdate":
                exdates.add(rest)
            else:
                key, _, name = rest.partition(" ")
                overrides.setdefault(key, {})[name] = holder.overrides[key][name]
        for key in exdates:
            overrides.pop(key, None)
        return Recurrence(rule, frozenset(rdates), frozenset(exdates), MappingProxyType(overrides))

    def shape(self, value: Value, limit: Limit) -> Value:
        return value


class Attachments(Kind):
    """Files: what each is called, of which type and how large."""

    name = "files"
    keyed = True
    empty = Files()

    def canonical(self, value: Value) -> str:
        return "\n".join(sorted(self.elements(value)))

    def elements(self, value: Value) -> dict[str, str]:
        return {f"{f.name} {f.type} {f.size}": "" for f in value or ()}

    def rebuild(self, picked: Mapping[str, Value]) -> Value:
        found = []
        for key, holder in picked.items():
            found += [f for f in holder if f"{f.name} {f.type} {f.size}" == key][:1]
        return Files(found)


TEXT, CHOICE, NUMBER, FLAG = Text(), Choice(), Number(), Flag()
SPAN, DAY, WORDS, PEOPLE, SERIES, FILES = When(), Day(), Words(), Participants(), Series(), Attachments()

#: Fields of groupware items, by item kind (RFC 5545's and RFC 5322's words).
ITEM_FIELDS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "event": MappingProxyType(
            {
                "summary": TEXT,
                "description": TEXT,
                "location": TEXT,
                "time": SPAN,
                "recurrence": SERIES,
                "status": CHOICE,
                "priority": NUMBER,
                "sensitivity": CHOICE,
                "categories": WORDS,
                "attendees": PEOPLE,
                "show-as": CHOICE,
            }
        ),
        "todo": MappingProxyType(
            {
                "summary": TEXT,
                "description": TEXT,
                "due": DAY,
                "status": CHOICE,
                "priority": NUMBER,
                "percent": NUMBER,
                "sensitivity": CHOICE,
                "categories": WORDS,
            }
        ),
        "message": MappingProxyType(
            {
                "subject": TEXT,
                "text": TEXT,
                "date": SPAN,
                #: in: it came to the employee; out: an employee wrote it.
                "direction": CHOICE,
                #: Author and recipients, but for blind copies.
                "correspondents": PEOPLE,
                "attachments": FILES,
                "priority": NUMBER,
                "sensitivity": CHOICE,
                #: Keywords that people, or their rules, gave it.
                "categories": WORDS,
                "flagged": FLAG,
                #: UID of the appointment that it speaks of (RFC 6047).
                "invitation": TEXT,
                #: Where the engine files it (see `syncd.engine.filing`).
                "account": CHOICE,
                "contact": CHOICE,
                "transactions": WORDS,
            }
        ),
    }
)

#: Fields of CRM activities, by activity kind (SAP CRM's words; facts: sap-crm §1).
ACTIVITY_FIELDS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "appointment": MappingProxyType(
            {
                "subject": TEXT,
                "notes": TEXT,
                "location": TEXT,
                "time": SPAN,
                "recurrence": SERIES,
                "status": CHOICE,
                "priority": NUMBER,
                "private": FLAG,
                "categories": WORDS,
                "participants": PEOPLE,
            }
        ),
        "task": MappingProxyType(
            {
                "subject": TEXT,
                "notes": TEXT,
                "due": DAY,
                "status": CHOICE,
                "priority": NUMBER,
                "completion": NUMBER,
                "private": FLAG,
                "categories": WORDS,
            }
        ),
        "e-mail": MappingProxyType(
            {
                "subject": TEXT,
                "notes": TEXT,
                "time": SPAN,
                "direction": CHOICE,
                "status": CHOICE,
                "priority": NUMBER,
                "private": FLAG,
                "categories": WORDS,
                "participants": PEOPLE,
                "attachments": FILES,
                "account": CHOICE,
                "contact": CHOICE,
                #: "opportunity 4711": type and number of the business transactions that it belongs to.
                "transactions": WORDS,
                #: UID of the appointment that it speaks of.
                "appointment": TEXT,
            }
        ),
    }
)

#: The words that a groupware field may hold, by item kind (RFC 5545 §3.8.1.3, §3.8.1.11, §3.8.2.7).
ITEM_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "event": MappingProxyType(
            {
                "status": ("confirmed", "tentative", "cancelled"),
                "sensitivity": ("public", "private", "confidential"),
                "show-as": ("busy", "free"),
            }
        ),
        "todo": MappingProxyType(
            {
                "status": ("needs-action", "in-process", "completed", "cancelled"),
                "sensitivity": ("public", "private", "confidential"),
            }
        ),
        "message": MappingProxyType(
            {
                "direction": ("in", "out"),
                "sensitivity": ("public", "private", "confidential"),
                "status": (),
            }
        ),
    }
)

_KINDS: dict[str, Kind] = {
    name: kind for table in (ITEM_FIELDS, ACTIVITY_FIELDS) for fields in table.values() for name, kind in fields.items()
}


def kind_of(name: str) -> Kind:
    """The kind of a field; a name means the same type wherever it stands."""
    return _KINDS[name]


def same(name: str, one: Value, other: Value) -> bool:
    """True when both values of the field mean the same."""
    if one is other:
        return True
    kind = kind_of(name)
    return kind.canonical(one) == kind.canonical(other)


def says_nothing(name: str, value: Value) -> bool:
    """True where the field is empty."""
    return kind_of(name).nothing(value)


def only_answer_of(people: People, address: str) -> People:
    """The part of a list of participants that one of them may change: the own answer."""
    return People([people[address]]) if address in people else People()


def with_answer(people: People, address: str, answer: str) -> People:
    """The same people, one of them with this answer (added when missing)."""
    known = people[address] if address in people else Participant(address)
    return People([*(p for a, p in people.items() if a != address), replace(known, answer=answer)])


__all__ = [
    "ACTIVITY_FIELDS",
    "ITEM_FIELDS",
    "Fields",
    "Kind",
    "Limit",
    "Moment",
    "Value",
    "kind_of",
    "normal_text",
    "only_answer_of",
    "same",
    "with_answer",
]
