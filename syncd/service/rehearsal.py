"""A rehearsal: the real engine on a copy of the store and on replicas that only pretend to write.

So `syncd plan` says what `syncd sync` would do because it is what `syncd sync` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncd.engine.pairing import Pairing
from syncd.model.fields import Fields, kind_of
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import (
    Capabilities,
    Change,
    Correspondent,
    Crm,
    Filing,
    Finishing,
    Gone,
    Knowing,
    Lasting,
    Page,
    Partial,
    PortError,
    Replica,
    Telling,
    Written,
    telling_of,
)


@dataclass(frozen=True)
class Planned:
    """One write that would be made."""

    side: str
    op: str
    ref: str
    fields: tuple[str, ...]
    title: str


#: Stands for the title of what is private: who reads a rehearsal is somebody else.
PRIVATE = "(private)"


def _title(*several: Fields) -> str:
    """By which a person knows the record again; of what is private not a word, before the change or after it."""
    return PRIVATE if any(_is_private(f) for f in several) else _words(several[0])


def _is_private(fields: Fields) -> bool:
    return bool(fields.get("private")) or fields.get("sensitivity") not in (None, "public")


def _words(fields: Fields) -> str:
    return str(fields.get("summary") or fields.get("subject") or "")


class RehearsedReplica:
    """A replica that reads for real and keeps its writes to itself."""

    def __init__(self, real: Replica, side: str, secrets: set[str] | None = None) -> None:
        """`secrets`: titles of what is private on either side, or has just become so: copies that say nothing of that
        themselves have the same."""
        self.real = real
        self.side = side
        self.secrets = secrets if secrets is not None else set()
        self.planned: list[Planned] = []
        self._made: dict[str, Record | None] = {}
        self._number = 0
        self._told = 0

    @property
    def capabilities(self) -> Capabilities:
        return self.real.capabilities

    @property
    def requests(self) -> int:
        return self.real.requests

    def changes(self, cursor: str) -> Iterator[Page]:
        base, _, told = cursor.partition(" rehearsed ")
        for page in self.real.changes(base):
            yield replace(page, cursor=page.cursor + f" rehearsed {told or 0}")
            base = page.cursor
        fresh = [r for r in self._made.values() if r is not None and int(r.version.split("-")[1]) > int(told or 0)]
        if fresh:
            yield Page([self._change(r) for r in fresh], f"{base} rehearsed {self._number}")

    def _change(self, record: Record) -> Change:
        people = frozenset({record.owner, *(record.fields.get("participants") or People())} - {""})
        return Change(record.ref, record.version, people=people, kind=record.kind)

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        asked = [r for r in refs if r not in self._made]
        read = self.real.look if isinstance(self.real, Finishing) else self.real.fetch
        found = dict(read(asked)) if asked else {}
        for ref in refs:
            if ref in self._made:
                found[ref] = self._made[ref] or Gone("not there")
        self.secrets |= {_words(r.fields) for r in found.values() if isinstance(r, Record) and _is_private(r.fields)}
        return found

    def telling(self) -> Telling:
        """As the server does."""
        return telling_of(self.real)

    def complete(self, records: Sequence[Record], wanted: frozenset[str]) -> Sequence[Fields | PortError]:
        """Reads for real, where there is something to be read."""
        return self.real.complete(records, wanted) if isinstance(self.real, Partial) else [{} for _ in records]

    def _plan(self, op: str, ref: str, fields: Iterable[str], title: Any) -> None:
        self.planned.append(Planned(self.side, op, ref, tuple(sorted(fields)), str(title or "")))
        self._number += 1

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        ref = f"(new {self.side} {self._number + 1})"
        self._plan("create", ref, fields, _title(fields))
        shaped = {n: kind_of(n).shape(v, self.capabilities.limit(n)) for n, v in fields.items()}
        self._made[ref] = Record(ref, f"r-{self._number}", kind, shaped, uid, key, owner)
        return Written(ref, f"r-{self._number}")

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        self._plan("update", record.ref, changes, _title(record.fields, changes))
        self._made[record.ref] = replace(record, version=f"r-{self._number}", fields={**record.fields, **changes})
        return Written(record.ref, f"r-{self._number}")

    def delete(self, record: Record, *, tell: bool = False) -> None:
        self._plan("delete", record.ref, (), _title(record.fields))
        self._made[record.ref] = None

    def find(self, key: str, uid: str) -> Record | None:
        mine = next((r for r in self._made.values() if r is not None and r.key == key), None)
        return mine or self.real.find(key, uid)


class RehearsedCrm(RehearsedReplica):
    """As `RehearsedReplica`, for a CRM."""

    real: Crm

    def __init__(self, real: Crm, secrets: set[str] | None = None) -> None:
        super().__init__(real, "crm", secrets)

    def candidates(self, records: Sequence[Record], owner: str) -> Sequence[Sequence[Record]]:
        made: dict[str, list[Record]] = {}
        for r in self._made.values():
            if r is not None and r.uid:
                made.setdefault(r.uid, []).append(r)
        real = self.real.candidates(records, owner)
        return [
            [*made.get(record.uid, ()), *(r for r in found if r.ref not in self._made)]
            for record, found in zip(records, real, strict=True)
        ]

    def known(self, addresses: Iterable[str]) -> Mapping[str, str]:
        return self.real.known(addresses)

    def people_version(self) -> str:
        """As the CRM says; one that says nothing never changes."""
        return self.real.people_version() if isinstance(self.real, Knowing) else ""

    def recognise(self, cursor: str) -> None:
        """As the CRM says; one that cannot tell is what it was."""
        if isinstance(self.real, Lasting):
            self.real.recognise(cursor.partition(" rehearsed ")[0])

    def statuses(self) -> Mapping[str, str]:
        return self.real.statuses()

    def correspondents(self, addresses: Iterable[str]) -> Mapping[str, Correspondent]:
        """For real; a CRM that files nothing knows people all the same."""
        if isinstance(self.real, Filing):
            return self.real.correspondents(addresses)
        return {a: Correspondent(kind) for a, kind in self.real.known(addresses).items()}

    def accounts_at(self, domains: Iterable[str]) -> Mapping[str, str]:
        return self.real.accounts_at(domains) if isinstance(self.real, Filing) else {}

    def transactions(self, numbers: Iterable[str]) -> Mapping[str, str]:
        return self.real.transactions(numbers) if isinstance(self.real, Filing) else {}

    def lead(self, address: str, name: str, key: str) -> str:
        """Would be made."""
        return f"lead (new {key[:8]})"

    def remember(self, ref: str, lines: Mapping[str, str], key: str) -> None:
        """Would be kept."""

    def redact(self, record: Record, kept: Fields) -> Written | None:
        self._plan("redact", record.ref, (), "")
        self.secrets.add(_words(record.fields))
        if not kept:
            self._made[record.ref] = None
            return None
        fields = {n: kept.get(n, kind_of(n).empty) for n in record.fields}
        self._made[record.ref] = replace(record, version=f"r-{self._number}", fields=fields)
        return Written(record.ref, f"r-{self._number}")


def rehearsed(pairings: Sequence[Pairing]) -> list[Pairing]:
    """The same pairings on pretending replicas; those that share a CRM share its pretence."""
    crms: dict[str, RehearsedCrm] = {}
    secrets: set[str] = set()
    made = []
    for pairing in pairings:
        crm = crms.setdefault(pairing.crm_name, RehearsedCrm(pairing.crm, secrets))
        made.append(replace(pairing, replica=RehearsedReplica(pairing.replica, "groupware", secrets), crm=crm))
    return made


def planned(pairing: Pairing) -> list[Planned]:
    """What the last pass over a rehearsed pairing would have written."""
    assert isinstance(pairing.replica, RehearsedReplica)
    assert isinstance(pairing.crm, RehearsedCrm)
    hidden = pairing.replica.secrets - {""}
    found = [*pairing.replica.planned, *pairing.crm.planned]
    found = [replace(each, title=PRIVATE) if each.title in hidden else each for each in found]
    pairing.replica.planned, pairing.crm.planned = [], []
    return found


__all__ = ["Planned", "RehearsedCrm", "RehearsedReplica", "planned", "rehearsed"]
