"""A mailbox in memory: what people do with mail, and the port's promises for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from syncd.model.fields import Fields
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.span import Span
from syncd.ports import Capabilities, Correspondent, Gone, PortError
from tests.memory import MemoryCrm, MemoryReplica

#: What a mailbox tells only when it is asked for.
PARTS = ("text", "attachments", "invitation")


@dataclass
class MemoryMailbox(MemoryReplica):
    """A mailbox; its folders that are excluded show only which messages lie there."""

    excluded: frozenset[str] = frozenset()
    #: What was asked of which message.
    asked: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    marked: dict[str, bool] = field(default_factory=dict)

    def deliver(
        self, ref: str, fields: Fields, *, folder: str = "INBOX", traits: Iterable[str] = (), **more: Any
    ) -> None:
        """A message arrives, or is put there."""
        uid = more.pop("uid", f"{ref}@mail")
        thread = (uid, *more.pop("answers", ()))
        self.put(ref, "message", fields, uid=uid, folder=folder, traits=frozenset(traits), thread=thread, **more)

    def put(self, ref: str, kind: str, fields: Fields, **more: Any) -> Record:
        """A person makes or changes the record; what a message is stays when its flags change."""
        old = self.records.get(ref)
        made = super().put(ref, kind, fields, **more)
        if old is not None and not more:
            made = replace(made, thread=old.thread, folder=old.folder, traits=old.traits)
            self.records[ref] = made
        return made

    def move(self, ref: str, to: str, folder: str) -> None:
        """A person moves a message: it is another there."""
        record = self.records[ref]
        self.remove(ref)
        self.put(
            to, "message", record.fields, uid=record.uid, folder=folder, traits=record.traits,
            thread=record.thread, owner=record.owner,
        )  # fmt: skip

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        found = dict(super().fetch(refs))
        for ref, record in found.items():
            if isinstance(record, Record) and record.folder in self.excluded:
                fields: Fields = {"sensitivity": "excluded"}
                found[ref] = Record(ref, record.version, "message", fields, record.uid, folder=record.folder)
            elif isinstance(record, Record):
                found[ref] = replace(record, fields={n: v for n, v in record.fields.items() if n not in PARTS})
        return found

    def complete(self, records: Sequence[Record], wanted: frozenset[str]) -> Sequence[Fields | PortError]:
        self._call("complete")
        self.asked += [(r.ref, wanted) for r in records]
        names = wanted | ({"attachments"} if "contents" in wanted else frozenset())
        there = [self.records.get(r.ref) for r in records]
        made = [Gone("not there") if t is None else {n: t.fields[n] for n in names if n in t.fields} for t in there]
        self.gate("after", "complete")
        return made

    def mark(self, refs: Sequence[str], *, logged: bool) -> None:
        self._call("mark")
        self.marked |= dict.fromkeys([r for r in refs if r in self.records], logged)
        self.gate("after", "mark")


@dataclass
class MemoryFilingCrm(MemoryCrm):
    """A CRM in memory that files."""

    parties: dict[str, Correspondent] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    leads: dict[str, str] = field(default_factory=dict)

    def correspondents(self, addresses: Iterable[str]) -> Mapping[str, Correspondent]:
        return {a: self.parties[a] for a in addresses if a in self.parties}

    def accounts_at(self, domains: Iterable[str]) -> Mapping[str, str]:
        found: dict[str, set[str]] = {}
        for address, party in self.parties.items():
            if party.account:
                found.setdefault(address.rpartition("@")[2], set()).add(party.account)
        return {d: next(iter(found[d])) for d in domains if len(found.get(d, ())) == 1}

    def transactions(self, numbers: Iterable[str]) -> Mapping[str, str]:
        return {n: self.numbers[n] for n in numbers if n in self.numbers}

    def lead(self, address: str, name: str, key: str) -> str:
        return self.leads.setdefault(address, f"lead {len(self.leads) + 1}")


def mailbox(name: str, clock: Callable[[], datetime], **more: Any) -> MemoryMailbox:
    """An empty mailbox."""
    return MemoryMailbox(name, Capabilities(frozenset({"message"}), series="none"), clock, **more)


def filing_crm(clock: Callable[[], datetime]) -> MemoryFilingCrm:
    """A CRM that knows Kim of Acme and Lee of Beta."""
    caps = Capabilities(frozenset({"e-mail", "task", "appointment"}), history=True)
    made = MemoryFilingCrm("crm", caps, clock)
    made.parties = {
        "kim@acme.example": Correspondent("contact", "kim", "acme"),
        "lee@beta.example": Correspondent("contact", "lee", "beta"),
    }
    made.numbers = {"OPP-1": "opportunity OPP-1", "OPP-2": "opportunity OPP-2"}
    return made


def fields(
    subject: str, sent: datetime, *, sender: str = "kim@acme.example", to: str = "ann@us.example", **more: Any
) -> dict[str, Any]:
    """A message's fields."""
    several = [Participant(a.strip(), role="to") for a in to.split(",")]
    people = People([Participant(sender, role="from"), *several])
    return {
        "subject": subject,
        "date": Span(sent, sent),
        "correspondents": people,
        "sensitivity": "public",
        "priority": 0,
        "categories": frozenset(),
        "flagged": False,
        "text": "",
        **more,
    }
