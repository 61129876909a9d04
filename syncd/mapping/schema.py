"""The mapping file's schema: every key an administrator may write, its type and its default.

One file an item kind (design §6). The JSON Schema for editors is made from these classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from syncd.mapping.mail import Mail, Trait, contradictions, faults, passed_over
from syncd.mapping.strict import Strict
from syncd.model.fields import ACTIVITY_FIELDS, ITEM_FIELDS, ITEM_WORDS, Kind
from syncd.strict_yaml import Place, nearest

Word = Literal["crm", "groupware", "newest", "organizer", "ask"]
Direction = Literal["both", "to-crm", "to-groupware"]
_DURATION = re.compile(r"(\d{1,5})([dwmy])")
#: How a flag is written in a value table.
FLAG_WORDS = ("true", "false")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


def _days(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value))
    if not match:
        raise ValueError(f'"{value}" is no duration: write a number and d, w, m or y, such as 30d')
    return timedelta(days=int(match[1]) * _DAYS[match[2]])


Duration = Annotated[timedelta, BeforeValidator(_days, json_schema_input_type=str)]


class Window(Strict):
    """How far back and ahead records cross; outside it links rest."""

    #: A number and d, w, m (30 days) or y (365 days), such as 30d.
    past: Duration = timedelta(days=30)
    #: The same, ahead.
    future: Duration = timedelta(days=365)


class Condition(Strict):
    """One test of an item; exactly one key."""

    #: It carries one of these categories.
    category: list[str] | None = None
    #: It is one of these.
    sensitivity: list[Literal["public", "private", "confidential"]] | None = None
    #: Its status is one of these, in the words of iCalendar.
    status: list[str] | None = None
    #: It blocks time, or does not.
    show_as: list[Literal["busy", "free"]] | None = Field(None, alias="show-as")
    #: Whom the CRM knows takes part; anybody does; nobody does.
    attendee: Literal["known-contact", "any", "none"] | None = None
    #: It lasts whole days, or does not.
    all_day: bool | None = Field(None, alias="all-day")
    #: It lies in one of these folders; * and ? stand for any words.
    folder: list[str] | None = None
    #: It is flagged, or is not.
    flagged: bool | None = None
    #: It is mail of one of these kinds.
    kind: list[Trait] | None = None

    @model_validator(mode="after")
    def _one(self) -> Condition:
        if len(self.model_fields_set) != 1:
            raise ValueError("a condition has exactly one key")
        return self


class Include(Strict):
    """Which items cross: those that meet any, or all, of the conditions. Nothing said: everything."""

    #: Crosses when one of these holds.
    any: list[Condition] = []
    #: Crosses only when all of these hold.
    all: list[Condition] = []


class Privacy(Strict):
    """What may cross of private things."""

    #: No trace of it; a block of time; all of it, where the field `private` carries the mark.
    private: Literal["withhold", "busy-only", "full"] = "withhold"
    #: The same for confidential ones; as `private` if left out.
    confidential: Literal["withhold", "busy-only", "full"] | None = None
    #: What a block of time is called.
    busy_subject: str = Field("Busy", alias="busy-subject")


class FieldRule(Strict):
    """How one activity field is fed."""

    #: The item field.
    from_: str = Field(alias="from")
    #: Which way it crosses; as the mapping if left out.
    direction: Direction | None = None
    #: value: one side's value wins whole; text: line by line, both sides' edits are kept, unless at one place.
    merge: Literal["value", "text"] = "value"
    #: What to do with words that the CRM has no room for: cut them (the long form stays in the
    #: groupware), or also keep them whole in a marked line of the notes.
    overflow: Literal["cut", "note-line"] = "cut"
    #: Item word to activity word; a word that is not here does not cross.
    values: dict[str, str] | None = None
    #: Activity word to item word, where `values` read backwards is not enough.
    back: dict[str, str] | None = None


class Deletions(Strict):
    """What a deletion on one side does on the other."""

    #: An item is deleted: its activity is cancelled, deleted, or kept.
    item_gone: Literal["cancel", "delete", "keep"] = Field("cancel", alias="item-gone")
    #: An activity is deleted: its item goes too, or is kept.
    activity_gone: Literal["delete", "keep"] = Field("delete", alias="activity-gone")
    #: An activity is rejected: its item is marked cancelled, or deleted.
    activity_rejected: Literal["cancel", "delete"] = Field("cancel", alias="activity-rejected")
    #: What is over stays in the CRM whatever happens to the item; or as what lies ahead.
    past: Literal["keep", "same"] = "keep"


#: What is done with a meeting of the employee's own that has guests.
Guests = Literal["wait", "quiet", "tell"]


class MappingFile(Strict):
    """A whole mapping file."""

    #: The form of this file.
    version: Literal[1]
    #: What it is in the groupware.
    item: Literal["event", "todo", "message"]
    #: What it is in the CRM.
    activity: Literal["appointment", "task", "e-mail"]
    #: Which way records cross.
    direction: Direction = "both"
    #: How far back and ahead.
    window: Window = Window()
    #: Which items cross; all of them if left out.
    include: Include = Include()
    #: Which of those do not.
    exclude: list[Condition] = []
    #: What may cross of private things.
    privacy: Privacy = Field(default_factory=lambda: Privacy.model_validate({}))
    #: For messages: which mail is the CRM's business, what of it crosses, where it is filed.
    mail: Mail = Field(default_factory=lambda: Mail.model_validate({}))
    #: What the CRM may change of a meeting to which the employee has invited guests.
    #: wait: what they act on (time, place, recurrence, cancellation, deletion) waits until somebody makes the
    #: change in the calendar, where guests are told; the rest goes where the server tells nobody.
    #: quiet: all of it goes where the server tells nobody, or can be asked not to; else it waits.
    #: tell: all of it goes, and the server tells the guests what it tells them, but for a meeting that is over.
    guests: Guests = "wait"
    #: Activity field to item field, or to a field rule.
    fields: dict[str, FieldRule | str]
    #: Activity field, or `default`, to whose word counts: crm, groupware, newest, organizer, ask.
    conflicts: dict[str, Word | list[Word]] = {}
    #: What a deletion does on the other side.
    deletions: Deletions = Field(default_factory=lambda: Deletions.model_validate({}))


#: What an item of each kind may be in the CRM; a flagged message may be a task.
PAIRS = {"event": ("appointment",), "todo": ("task",), "message": ("e-mail", "task")}

#: A fault in a mapping: its place there, and what is wrong.
Fault = tuple[Place, str]


def problems_of(mapping: MappingFile) -> list[Fault]:
    """Faults that need more than types: unknown fields, two rules for one item field, kinds that
    do not fit. Each with its place."""
    found: list[Fault] = []
    if mapping.activity not in PAIRS[mapping.item]:
        words = " or ".join(f'"{a}"' for a in PAIRS[mapping.item])
        found.append((("activity",), f'item "{mapping.item}" goes with activity {words}'))
        return found
    if "mail" in mapping.model_fields_set and mapping.item != "message":
        found.append((("mail",), '"mail" is for messages'))
    if mapping.item == "message":
        for key in ("private", "confidential"):
            if getattr(mapping.privacy, key) == "busy-only":
                found.append((("privacy", key), "a message is no block of time: withhold or full"))
        if "item_gone" in mapping.deletions.model_fields_set and mapping.deletions.item_gone != "keep":
            found.append((("deletions", "item-gone"), "mail that is deleted stays in the CRM: keep"))
        found += [(("mail", *place), message) for place, message in faults(mapping.mail)]
    item_fields, activity_fields = ITEM_FIELDS[mapping.item], ACTIVITY_FIELDS[mapping.activity]
    fed: dict[str, str] = {}
    for name, rule in mapping.fields.items():
        source = rule if isinstance(rule, str) else rule.from_
        place: Place = ("fields", name) if isinstance(rule, str) else ("fields", name, "from")
        if name not in activity_fields:
            found.append((("fields", name), f'unknown field "{name}"{nearest(name, list(activity_fields))}'))
            continue
        if source not in item_fields:
            found.append((place, f'unknown field "{source}"{nearest(source, list(item_fields))}'))
            continue
        if source in fed:
            found.append((place, f'"{source}" feeds "{fed[source]}" already'))
        fed[source] = name
        mine, theirs = activity_fields[name], item_fields[source]
        tabled = not isinstance(rule, str) and rule.values is not None
        if mine.name != theirs.name and not tabled:
            message = f'"{source}" ({theirs.name}) does not fit "{name}" ({mine.name}) without "values"'
            found.append((place, message))
        if tabled and (mine.keyed or theirs.keyed):
            found.append((("fields", name, "values"), f'"{name}" takes no value table'))
        if isinstance(rule, str):
            continue
        if rule.merge == "text" and mine.name != "text":
            found.append((("fields", name, "merge"), f'"{name}" is no text'))
        if rule.overflow == "note-line" and name != "subject":
            found.append((("fields", name, "overflow"), f'only "subject" takes "note-line", not "{name}"'))
        if rule.back is not None and rule.values is None:
            found.append((("fields", name, "back"), '"back" needs "values"'))
        if rule.values is not None and not mine.keyed and not theirs.keyed:
            found += _table_problems(
                ("fields", name), rule, (theirs, ITEM_WORDS[mapping.item].get(source)), (mine, None)
            )
    found += _condition_problems(mapping)
    found += [
        (("conflicts", name), f'unknown field "{name}"{nearest(name, ["default", *mapping.fields])}')
        for name in mapping.conflicts
        if name != "default" and name not in mapping.fields
    ]
    needed = {"appointment": ("subject", "time"), "task": ("subject",), "e-mail": ("subject", "time")}[mapping.activity]
    found += [(("fields",), f'"{name}" must be mapped') for name in needed if name not in mapping.fields]
    return found


#: A field's kind, and the words that it takes (None: any).
_Holds = tuple[Kind, Sequence[str] | None]


def _table_problems(at: Place, rule: FieldRule, item: _Holds, activity: _Holds) -> Iterator[Fault]:
    """Words in a value table that its two fields cannot hold."""
    tables = (("values", rule.values, item, activity), ("back", rule.back, activity, item))
    for key, table, left, right in tables:
        for one, other in (table or {}).items():
            for word, (kind, words) in ((one, left), (other, right)):
                fault = _word_fault(word, kind, words)
                if fault:
                    yield (*at, key, one), fault


def _word_fault(word: str, kind: Kind, words: Sequence[str] | None) -> str:
    if kind.name == "flag" and word not in FLAG_WORDS:
        return f'"{word}" is neither "true" nor "false"'
    if kind.name == "number" and not word.removeprefix("-").isdecimal():
        return f'"{word}" is no whole number'
    if words is not None and word not in words:
        return f'"{word}" is no valid word here{nearest(word, words)}'
    return ""


def _condition_problems(mapping: MappingFile) -> Iterator[Fault]:
    valid = ITEM_WORDS[mapping.item].get("status", ())
    places: list[tuple[Place, Sequence[Condition]]] = [
        (("include", "any"), mapping.include.any),
        (("include", "all"), mapping.include.all),
        (("exclude",), mapping.exclude),
    ]
    for place, conditions in places:
        for number, condition in enumerate(conditions):
            key = next(iter(condition.model_fields_set))
            of_mail = key in ("folder", "flagged", "kind")
            if of_mail != (mapping.item == "message") and key not in ("category", "sensitivity"):
                yield (*place, number), f'"{key.replace("_", "-")}" says nothing of a {mapping.item}'
            for at, word in enumerate(condition.status or ()):
                if word not in valid:
                    yield (*place, number, "status", at), f'"{word}" is no valid word here{nearest(word, valid)}'


def crm_problems_of(mapping: MappingFile, words: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Words that this CRM's fields do not take (`Capabilities.words`), such as a status it has not."""
    found: list[Fault] = []
    for name, rule in mapping.fields.items():
        valid = words.get(name)
        if isinstance(rule, str) or valid is None:
            continue
        of_crm = [("values", k, v) for k, v in (rule.values or {}).items()] + [("back", k, k) for k in rule.back or {}]
        found += [
            (("fields", name, key, entry), f'the CRM has no {name} "{word}"{nearest(word, valid)}')
            for key, entry, word in of_crm
            if word not in valid
        ]
    return found


def warnings_of(mapping: MappingFile) -> list[Fault]:
    """What the mapping would lose, for `syncd check`."""
    found: list[Fault] = []
    for name, rule in mapping.fields.items():
        if isinstance(rule, str):
            continue
        direction = rule.direction or mapping.direction
        if {direction, mapping.direction} == {"to-crm", "to-groupware"}:
            found.append((("fields", name), f'"{name}" never crosses: its direction is against the mapping\'s'))
        if rule.values and direction != "to-crm":
            back = rule.back or {}
            counts: dict[str, int] = {}
            for value in rule.values.values():
                counts[value] = counts.get(value, 0) + 1
            for value, count in counts.items():
                if value not in back and count > 1:
                    text = f'"{value}" comes from {count} values and has no way back: it stays in the CRM'
                    found.append((("fields", name, "values"), text))
        if rule.back and direction == "to-crm":
            found.append((("fields", name, "back"), f'"{name}" goes to the CRM only: "back" is never used'))
    sources = {r if isinstance(r, str) else r.from_ for r in mapping.fields.values()}
    if mapping.item == "message":
        found += [(("mail", *place), message) for place, message in contradictions(mapping.mail, sources)]
        found += _never_met(mapping)
    for key, word in _unmarked(mapping):
        text = f'"{key}: full" needs a field "private" from "sensitivity" that goes to the CRM and says so of "{word}"'
        found.append((("privacy", key), f"{text}: nothing of these crosses"))
    for name in ITEM_FIELDS[mapping.item]:
        if name not in sources and name in ("recurrence", "attendees"):
            what = {"recurrence": "series cross as their first occurrence", "attendees": "nobody else takes part"}
            found.append((("fields",), f'"{name}" is not mapped: {what[name]}'))
    return found


def marks_private(mapping: MappingFile, word: str) -> bool:
    """True when an item of this sensitivity makes an activity that says itself that it is private, so that only its
    owner sees it."""
    rule = mapping.fields.get("private")
    if rule is None or isinstance(rule, str) or rule.from_ != "sensitivity":
        return False
    goes_up = "to-groupware" not in (rule.direction, mapping.direction)
    return goes_up and (rule.values or {}).get(word) == "true"


def _unmarked(mapping: MappingFile) -> Iterator[tuple[str, str]]:
    """Kinds of private items of which all would cross, and that the CRM would show to everybody."""
    for word in ("private", "confidential"):
        said = getattr(mapping.privacy, word)
        if (said or mapping.privacy.private) == "full" and not marks_private(mapping, word):
            yield ("private" if said is None else word), word


def _never_met(mapping: MappingFile) -> Iterator[Fault]:
    """Conditions that ask for what never crosses."""
    never = passed_over(mapping.mail, mapping.activity)
    for key, conditions in (("any", mapping.include.any), ("all", mapping.include.all)):
        for number, condition in enumerate(conditions):
            if condition.kind is not None and set(condition.kind) <= never:
                yield ("include", key, number, "kind"), "mail of this kind never crosses: the condition is never met"
