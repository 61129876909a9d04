"""What may cross: the only way from an item to the engine (design §7).

`admit` takes an item and the policy and returns all of it, a block of time, or nothing, and names the
occurrences of which less is shown than they are. What it withholds the engine never holds, so it cannot
reach the CRM, the store, a log or an error; `syncd.engine.gate` asks it for every item. A word of
sensitivity that nobody knows is private before anything else sees it (RFC 5545 §3.8.1.3). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, Protocol

from syncd.model.fields import Fields, Value, kind_of, same
from syncd.model.names import one_forms
from syncd.model.record import UNREAD, Record
from syncd.model.recurrence import Recurrence, shifted_key
from syncd.model.span import Moment, Span, like, parse_moment

Verdict = Literal["full", "busy", "partial", "withheld"]


class Policy(Protocol):
    """The mapping's section ``privacy``."""

    @property
    def private(self) -> Literal["withhold", "busy-only", "full"]:
        """For private items, and for every word that we do not know."""

    @property
    def confidential(self) -> Literal["withhold", "busy-only", "full"] | None:
        """For confidential ones; None: as for private ones."""

    @property
    def busy_subject(self) -> str:
        """What a block of time is called."""


#: The sensitivity of a message that an employee or the mapping excludes: whatever the policy says of
#: private things, nothing of it crosses.
EXCLUDED = "excluded"


class MailRules(Protocol):
    """What the mapping, or an employee, excludes of a mailbox."""

    @property
    def exclude_keywords(self) -> Sequence[str]:
        """Keywords of messages of which nothing crosses."""

    @property
    def block(self) -> Sequence[str]:
        """Addresses and domains of whom nothing crosses."""


def excluded(record: Record, policy: Policy, rules: Iterable[MailRules]) -> bool:
    """True when nothing of the message may cross: it says that it is private, lies in an excluded folder
    (the connector says so), has an excluded keyword, or is from or to somebody who is blocked, or perhaps: where
    not everybody could be read, somebody who is blocked may be among them."""
    if _rule(record.fields.get("sensitivity"), policy) != "full":
        return True
    keywords = one_forms(record.fields.get("categories") or ())
    people = [*(record.fields.get("correspondents") or ()), record.owner, *record.mentioned]
    for rule in rules:
        if keywords and keywords & one_forms(rule.exclude_keywords):
            return True
        if rule.block and UNREAD in record.traits:
            return True
        if any(is_of(address, party) for address in people for party in rule.block):
            return True
    return False


def is_of(address: str, party: str) -> bool:
    """True when the address is the party, or is at the domain, or below it."""
    if "@" in party:
        return address == party
    domain = address.rpartition("@")[2]
    return domain == party or domain.endswith(f".{party}")


def blank(record: Record) -> Record:
    """A message of which nothing crosses, as the engine may see it: that it is there."""
    return Record(record.ref, record.version, record.kind, {"sensitivity": EXCLUDED}, record.uid)


#: What a block of time shows; everything else of the item stays behind.
_OF_BLOCK = ("time", "show-as", "due")


@dataclass(frozen=True)
class Admission:
    """What the engine may see of an item: that it is there, under which ref, version and identity, and the
    record as far as it may cross. `busy` and `partial` are never written back to."""

    verdict: Verdict
    ref: str
    version: str
    kind: str
    uid: str
    record: Record | None = None
    #: Original starts of the occurrences that are not shown, or only as less than they are.
    masked: frozenset[str] = frozenset()
    #: When those of them end that are not at their usual time.
    ends: Mapping[str, Moment] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def read_only(self) -> bool:
        """True when what is seen is not the item itself, so nothing may be written into it."""
        return self.verdict in ("busy", "partial")

    @property
    def says_private(self) -> bool:
        """True for an item that is seen although it is private."""
        return self.record is not None and self.record.fields.get("sensitivity") not in (None, "", "public")

    @property
    def whole(self) -> bool:
        """True when all of the item is seen: only that may be deleted."""
        return self.verdict == "full" and not self.masked


@dataclass(frozen=True)
class Given:
    """What of an item is private because the CRM says so: it came from there and has nothing to hide from it."""

    #: The item itself.
    whole: bool = False
    #: Original starts of single occurrences, as they were called when the series began at `start`.
    occurrences: frozenset[str] = frozenset()
    #: As a key of an occurrence; "" where it never moved.
    start: str = ""
    #: Of a whole series: the occurrences that were private before it was, as they were called when it began at
    #: `kept_start`. Their own mark says the same as the series' now, so nobody can read it there.
    kept: frozenset[str] = frozenset()
    kept_start: str = ""

    def names(self, span: Value, private: Collection[str]) -> frozenset[str]:
        """Those of the `private` occurrences that are the CRM's, as they are called when the series has this time."""
        return _called(self.occurrences, self.start, span, private)

    def kept_names(self, span: Value, changed: Collection[str]) -> frozenset[str]:
        """Those of the `changed` occurrences that were private before the series was."""
        return _called(self.kept, self.kept_start, span, changed) & frozenset(changed)


def _called(keys: frozenset[str], start: str, span: Value, there: Collection[str]) -> frozenset[str]:
    """What the occurrences are called when the series has this time. Whoever moves it moves their names, but for
    programs that do not: then none of those that are `there` has the moved name."""
    if not start or not isinstance(span, Span):
        return keys
    before = like(parse_moment(start), span.start)
    moved = frozenset(shifted_key(key, before, span.start) for key in keys)
    return moved if len(moved & set(there)) >= len(keys & set(there)) else keys


NOTHING_GIVEN = Given()


def admit(record: Record, policy: Policy, given: Given = NOTHING_GIVEN) -> Admission:
    """What may cross of the item."""
    record = _in_known_words(record)
    verdict, seen, masked = _judged(record, policy, given)
    shown = replace(seen, native=None) if seen is not None else None
    overrides = (record.fields.get("recurrence") or Recurrence()).overrides
    ends = {key: overrides[key]["time"].end for key in masked if "time" in overrides.get(key, ())}
    return Admission(verdict, record.ref, record.version, record.kind, record.uid, shown, masked, ends)


def _judged(record: Record, policy: Policy, given: Given) -> tuple[Verdict, Record | None, frozenset[str]]:
    recurrence: Recurrence = record.fields.get("recurrence") or Recurrence()
    if given.whole and given.kept:
        recurrence = _as_marked(record, recurrence, given)
        record = replace(record, fields={**record.fields, "recurrence": recurrence})
    said = [k for k, changed in recurrence.overrides.items() if "sensitivity" in changed]
    names = given.names(record.fields.get("time"), said) if given.occurrences else given.occurrences
    if given.whole:  # an occurrence that says it by itself was made so here
        return "full", *_with_judged_overrides(record, recurrence, policy, names, usual="public")
    rule = _rule(record.fields.get("sensitivity"), policy)
    if rule == "withhold":
        public = _public_occurrences(record, recurrence, policy)
        return ("withheld" if public is None else "partial"), public, frozenset()
    if rule == "busy-only":
        return "busy", _block(record, recurrence, policy), frozenset()
    return "full", *_with_judged_overrides(record, recurrence, policy, names, usual=record.fields.get("sensitivity"))


def _as_marked(record: Record, recurrence: Recurrence, given: Given) -> Recurrence:
    """The recurrence of a series that the CRM has made private, with the marks that its occurrences had before."""
    word = {"sensitivity": record.fields.get("sensitivity")}
    marked = {
        key: MappingProxyType({**word, **recurrence.overrides[key]})
        for key in given.kept_names(record.fields.get("time"), recurrence.overrides)
    }
    return replace(recurrence, overrides=MappingProxyType({**recurrence.overrides, **marked}))


_WORDS = (None, "", "public", "private", "confidential", EXCLUDED)


def _in_known_words(record: Record) -> Record:
    """The record with each sensitivity that nobody knows as private, in its occurrences too."""
    fields = dict(record.fields)
    recurrence: Recurrence = fields.get("recurrence") or Recurrence()
    odd = [k for k, changed in recurrence.overrides.items() if changed.get("sensitivity") not in _WORDS]
    if fields.get("sensitivity") in _WORDS and not odd:
        return record
    if fields.get("sensitivity") not in _WORDS:
        fields["sensitivity"] = "private"
    if odd:
        known = {k: MappingProxyType({**recurrence.overrides[k], "sensitivity": "private"}) for k in odd}
        overrides = MappingProxyType({**recurrence.overrides, **known})
        fields["recurrence"] = replace(recurrence, overrides=overrides)
    return replace(record, fields=fields)


def _rule(sensitivity: Value, policy: Policy) -> str:
    """withhold, busy-only or full. A word that we do not know counts as private (RFC 5545 §3.8.1.3)."""
    if sensitivity in (None, "", "public"):
        return "full"
    if sensitivity == EXCLUDED:
        return "withhold"
    if sensitivity == "confidential" and policy.confidential is not None:
        return policy.confidential
    return policy.private


def _block(record: Record, recurrence: Recurrence, policy: Policy) -> Record:
    fields: dict[str, Value] = {k: record.fields[k] for k in _OF_BLOCK if k in record.fields}
    fields["summary"] = policy.busy_subject
    if not recurrence.empty:
        overrides: dict[str, Fields] = {}
        hidden: set[str] = set()
        for key, changed in recurrence.overrides.items():
            if "sensitivity" in changed and _rule(changed["sensitivity"], policy) == "withhold":
                hidden.add(key)
            else:
                overrides[key] = {k: v for k, v in changed.items() if k == "time"}
        overrides = {k: v for k, v in overrides.items() if v}
        fields["recurrence"] = replace(
            recurrence, overrides=MappingProxyType(overrides), exdates=recurrence.exdates | hidden
        )
    return replace(record, fields=fields, uid="", owner="", guests=frozenset())


def _with_judged_overrides(
    record: Record, recurrence: Recurrence, policy: Policy, given: frozenset[str], *, usual: Value
) -> tuple[Record, frozenset[str]]:
    if not any("sensitivity" in changed for changed in recurrence.overrides.values()):
        return record, frozenset()
    overrides: dict[str, Mapping[str, Value]] = {}
    hidden: set[str] = set()
    busy: set[str] = set()
    for key, changed in recurrence.overrides.items():
        rule = "full" if key in given else _rule(changed.get("sensitivity", usual), policy)
        if rule == "withhold":
            hidden.add(key)
        elif rule == "busy-only":
            busy.add(key)
            blank: dict[str, Value] = {"summary": policy.busy_subject, "description": "", "location": ""}
            overrides[key] = blank | ({"time": changed["time"]} if "time" in changed else {})
        else:
            overrides[key] = changed
    seen = replace(recurrence, overrides=MappingProxyType(overrides), exdates=recurrence.exdates | hidden)
    return replace(record, fields={**record.fields, "recurrence": seen}), frozenset(hidden | busy)


def _public_occurrences(record: Record, recurrence: Recurrence, policy: Policy) -> Record | None:
    """Of a withheld series: the occurrences that say of themselves that they are public."""
    public: dict[str, dict[str, Value]] = {}
    for key, changed in recurrence.overrides.items():
        if "sensitivity" in changed and _rule(changed["sensitivity"], policy) == "full":
            fields = {k: v for k, v in {**record.fields, **changed}.items() if k != "recurrence"}
            if "time" not in changed and isinstance(record.fields.get("time"), Span):
                span: Span = record.fields["time"]
                fields["time"] = span.moved_to(like(parse_moment(key), span.start))
            public[key] = fields
    if not public:
        return None
    first, usual = min(public), record.fields.get("time")
    series, overrides = dict(public[first]), dict[str, Mapping[str, Value]]()
    for key, shown in public.items():
        there = dict(series)
        if isinstance(usual, Span):  # the series counts from where its first occurrence was, not from where it went
            there["time"] = usual.moved_to(like(parse_moment(key), usual.start))
        every = {n: shown.get(n, kind_of(n).empty) for n in {*there, *shown}}
        overrides[key] = MappingProxyType({n: v for n, v in every.items() if not same(n, v, there.get(n))})
    if isinstance(usual, Span):
        series["time"] = usual.moved_to(like(parse_moment(first), usual.start))
    changed_ones = MappingProxyType({k: v for k, v in overrides.items() if v})
    series["recurrence"] = Recurrence(rdates=frozenset(public), overrides=changed_ones)
    return replace(record, fields=series, guests=frozenset(series.get("attendees") or ()))
