"""What may cross: the only way from an item to the engine (design §7).

`admit` takes an item and the policy and returns all of it, a block of time, or nothing. What it
withholds the engine never holds, so it cannot reach the CRM, the store, a log or an error. Every
occurrence of a series is judged by itself. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

from syncd.model.fields import Fields, Value
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span, like, parse_moment

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
    (the connector says so), has an excluded keyword, or is from or to somebody who is blocked."""
    if _rule(record.fields.get("sensitivity"), policy) != "full":
        return True
    keywords = {k.casefold() for k in record.fields.get("categories") or ()}
    people = [*(record.fields.get("correspondents") or ()), record.owner]
    for rule in rules:
        if keywords & {k.casefold() for k in rule.exclude_keywords}:
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
    """What the engine may see of an item. `busy` and `partial` are never written back to."""

    verdict: Verdict
    record: Record | None = None

    @property
    def read_only(self) -> bool:
        """True when what is seen is not the item itself, so nothing may be written into it."""
        return self.verdict in ("busy", "partial")


def admit(record: Record, policy: Policy, *, ours: bool = False) -> Admission:
    """What may cross of the item. `ours`: it is the copy of a CRM activity that is itself
    private; that came from the CRM and has nothing to hide from it."""
    if ours:
        return Admission("full", record)
    rule = _rule(record.fields.get("sensitivity"), policy)
    recurrence: Recurrence = record.fields.get("recurrence") or Recurrence()
    if rule == "withhold":
        return _public_occurrences(record, recurrence, policy)
    if rule == "busy-only":
        return Admission("busy", _block(record, recurrence, policy))
    return Admission("full", _with_judged_overrides(record, recurrence, policy))


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
    return replace(record, fields=fields, uid="", owner="", native=None)


def _with_judged_overrides(record: Record, recurrence: Recurrence, policy: Policy) -> Record:
    if not any("sensitivity" in changed for changed in recurrence.overrides.values()):
        return record
    overrides: dict[str, Mapping[str, Value]] = {}
    hidden: set[str] = set()
    for key, changed in recurrence.overrides.items():
        rule = _rule(changed.get("sensitivity", record.fields.get("sensitivity")), policy)
        if rule == "withhold":
            hidden.add(key)
        elif rule == "busy-only":
            blank: dict[str, Value] = {"summary": policy.busy_subject, "description": "", "location": ""}
            overrides[key] = blank | ({"time": changed["time"]} if "time" in changed else {})
        else:
            overrides[key] = changed
    seen = replace(recurrence, overrides=MappingProxyType(overrides), exdates=recurrence.exdates | hidden)
    return replace(record, fields={**record.fields, "recurrence": seen})


def _public_occurrences(record: Record, recurrence: Recurrence, policy: Policy) -> Admission:
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
        return Admission("withheld")
    first = min(public)
    recurrence = Recurrence(rdates=frozenset(public), overrides=MappingProxyType(public))
    fields = {**public[first], "recurrence": recurrence}
    return Admission("partial", replace(record, fields=fields, native=None))
