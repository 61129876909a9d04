"""A mapping as two functions: an item in the activity's terms, and an activity's fields in the item's.

The engine compares and merges in the activity's terms only. What a write becomes on a side is
predicted here (`on_item`, `on_crm`): through the value table and back, cut, rounded. That image,
not the value, is that side's next base, so a lossy side never echoes (design §5, fine print 3).
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from syncd.mapping import blocks
from syncd.mapping.schema import FieldRule, MappingFile, Word
from syncd.model.fields import ACTIVITY_FIELDS, Fields, Kind, Value, kind_of, same
from syncd.model.recurrence import Recurrence
from syncd.ports import Capabilities

#: Text fields that may end in a marked block of ours.
_LONG = frozenset({"description", "notes"})
#: Begins the line that keeps a subject that is too long for the CRM.
_LINE = "Subject: "


@dataclass(frozen=True)
class Rule:
    """One field's way, both directions."""

    activity: str
    item: str
    direction: str
    merge: str
    overflow: str
    values: Mapping[str, str] | None
    back: Mapping[str, str] | None
    words: tuple[Word, ...]
    kind: Kind = field(compare=False)

    def forward(self, value: Value) -> Value:
        """The item's value in the activity's terms; None when the table does not know it."""
        if self.values is None or value is None:
            return value
        found = self.values.get(_text(value))
        return None if found is None else _typed(self.kind.name, found)

    def backward(self, value: Value) -> Value:
        """The activity's value in the item's terms; None when there is no way back."""
        if self.values is None or value is None:
            return value
        text = _text(value)
        found = (self.back or {}).get(text)
        if found is None:
            found = next((item for item, activity in self.values.items() if activity == text), None)
        return None if found is None else _typed(kind_of(self.item).name, found)


def _text(value: Value) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _typed(kind: str, text: str) -> Value:
    if kind == "flag":
        return text == "true"
    return int(text) if kind == "number" and text.lstrip("-").isdigit() else text


class Lens:
    """A compiled mapping."""

    def __init__(self, mapping: MappingFile, digest: str) -> None:
        self.mapping = mapping
        #: Changes with the mapping's meaning.
        self.digest = digest
        self.kinds = ACTIVITY_FIELDS[mapping.activity]
        self.rules: Mapping[str, Rule] = MappingProxyType(
            {name: self._rule(name, rule) for name, rule in mapping.fields.items()}
        )
        self._by_item = {rule.item: rule for rule in self.rules.values()}

    def _rule(self, name: str, rule: FieldRule | str) -> Rule:
        full = FieldRule.model_validate({"from": rule}) if isinstance(rule, str) else rule
        allowed = self.mapping.direction
        direction: str = full.direction or allowed
        if allowed != "both" and direction != allowed:
            direction = allowed if direction == "both" else "none"
        said = self.mapping.conflicts.get(name, self.mapping.conflicts.get("default", "newest"))
        words: tuple[Word, ...] = (said,) if isinstance(said, str) else tuple(said)
        if words[-1] in ("newest", "organizer"):  # both may fail to decide; then the CRM's word stands
            words = (*words, "crm")
        return Rule(
            name, full.from_, direction, full.merge, full.overflow, full.values, full.back, words, self.kinds[name]
        )

    def named(self, item: str) -> str:
        """The activity field that an item field feeds."""
        return self._by_item[item].activity

    # -- item -> activity's terms -------------------------------------------------------------

    def from_item(self, fields: Fields) -> dict[str, Value]:
        """The item's fields as the activity would hold them; fields without a value are left out, but for those of
        which that is one (a task has no due date any more)."""
        seen: dict[str, Value] = {}
        for name, rule in self.rules.items():
            value = fields.get(rule.item)
            if value is None:
                value = kind_of(rule.item).empty
            seen[name] = self._one_from_item(rule, value)
        return {name: value for name, value in seen.items() if value is not None or kind_of(name).optional}

    def _one_from_item(self, rule: Rule, value: Value) -> Value:
        if isinstance(value, Recurrence):
            overrides = {
                key: {
                    self._by_item[n].activity: self._one_from_item(self._by_item[n], v)
                    for n, v in fields.items()
                    if n in self._by_item and self._by_item[n].item != "recurrence"
                }
                for key, fields in value.overrides.items()
            }
            kept = {k: {n: v for n, v in f.items() if v is not None} for k, f in overrides.items()}
            return Recurrence(value.rule, value.rdates, value.exdates, MappingProxyType(kept))
        if rule.item in _LONG and isinstance(value, str):
            value = blocks.cut(value)
        return rule.forward(value)

    # -- activity's terms -> item ---------------------------------------------------------------

    def to_item(self, changes: Fields) -> dict[str, Value]:
        """The changes in the item's terms; a value that has no way back is left out."""
        made: dict[str, Value] = {}
        for name, value in changes.items():
            if name not in self.rules:
                continue
            rule = self.rules[name]
            there = self._one_to_item(rule, value)
            if there is not None or kind_of(rule.item).optional:
                made[rule.item] = there
        return made

    def _one_to_item(self, rule: Rule, value: Value) -> Value:
        if isinstance(value, Recurrence):
            overrides = {key: self.to_item(fields) for key, fields in value.overrides.items()}
            return Recurrence(value.rule, value.rdates, value.exdates, MappingProxyType(overrides))
        return rule.backward(value)

    def from_activity(self, fields: Fields) -> dict[str, Value]:
        """The mapped fields of an activity, without our block in its notes."""
        there = (n for n in self.rules if n in fields and (fields[n] is not None or kind_of(n).optional))
        seen = {name: fields[name] for name in there}
        for name in _LONG & seen.keys():
            seen[name] = blocks.cut(seen[name])
        return seen

    # -- what a write becomes --------------------------------------------------------------------

    def on_crm(self, name: str, value: Value, side: Capabilities) -> Value:
        """The activity's value after it was written there."""
        return _cut_text(name, kind_of(name).shape(value, side.limit(name)))

    def on_item(self, name: str, value: Value, side: Capabilities) -> Value:
        """The item's value, in the activity's terms, after it was written there."""
        rule = self.rules[name]
        there = self._one_to_item(rule, value)
        if there is None:
            return None
        return self._one_from_item(rule, kind_of(rule.item).shape(there, side.limit(rule.item)))

    def agree(self, name: str, item: Value, crm: Value, sides: tuple[Capabilities, Capabilities]) -> bool:
        """True when the two sides' values mean the same, each side's limits considered: a subject
        cut to 40 characters is still that subject (facts: sap-crm §5)."""
        if same(name, item, crm) or same(name, self.on_crm(name, item, sides[1]), crm):
            return True
        image = self.on_item(name, crm, sides[0])
        return image is not None and same(name, item, image)

    # -- marked blocks --------------------------------------------------------------------------

    def dress_item(self, changes: dict[str, Any], people: list[str], side: Capabilities) -> dict[str, Any]:
        """Item fields with the participants' block, when the description is being written."""
        if "description" in changes:
            limit = side.limit("description").length
            changes["description"] = blocks.attach(changes["description"] or "", people, limit)
        return changes

    def dress_crm(self, changes: dict[str, Any], current: Fields, side: Capabilities) -> dict[str, Any]:
        """Activity fields with the line that keeps a subject too long for the CRM; it follows the subject, or
        goes."""
        rule = self.rules.get("subject")
        if rule is None or rule.overflow != "note-line":
            return changes
        before = str(current.get("notes") or "")
        lines = blocks.lines_of(before)
        room = side.limit("subject").length
        subject = changes.get("subject")
        if subject is not None:
            lines = [line for line in lines if not line.startswith(_LINE)]
            lines += [_LINE + subject] if room is not None and len(subject) > room else []
        elif self.is_stale(current, side):
            lines = [line for line in lines if not line.startswith(_LINE)]
        if "notes" in changes or lines != blocks.lines_of(before):
            changes["notes"] = blocks.attach(str(changes.get("notes", before) or ""), lines, side.limit("notes").length)
        return changes

    def is_stale(self, current: Fields, side: Capabilities) -> bool:
        """True when the notes keep a long subject that is no longer this activity's."""
        rule = self.rules.get("subject")
        if rule is None or rule.overflow != "note-line":
            return False
        kept = [line.removeprefix(_LINE) for line in blocks.lines_of(str(current.get("notes") or ""))
                if line.startswith(_LINE)]  # fmt: skip
        held = current.get("subject") or ""
        return not all(
            same("subject", line, held) or same("subject", self.on_crm("subject", line, side), held) for line in kept
        )


def _cut_text(name: str, value: Value) -> Value:
    return blocks.cut(value) if name in _LONG and isinstance(value, str) else value
