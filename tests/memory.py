"""Replicas in memory that keep the port's promises, with a server's bad habits to switch on.

They know nothing of the engine. Everything they are told is kept in `log`, for the oracles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from syncd.model.fields import Fields, Limit, kind_of, same
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence, shifted
from syncd.model.span import Span
from syncd.ports import (
    Capabilities,
    Change,
    CursorExpired,
    Exists,
    Gone,
    Page,
    PortError,
    Rejected,
    Stale,
    Telling,
    Transient,
    Unsupported,
    Written,
)


@dataclass
class Write:
    """One write that arrived: what stood there before, and what does now."""

    op: str
    ref: str
    before: Fields
    after: Fields


def applied(old: Fields, seen: Fields, changes: Fields) -> dict[str, Any]:
    """The changes in place: the dates of a series move with it; a recurrence is applied as the difference from
    what was seen."""
    made = {**old, **changes}
    held: Recurrence = old.get("recurrence") or Recurrence()
    shown: Recurrence = seen.get("recurrence") or Recurrence()
    if isinstance(changes.get("time"), Span) and isinstance(old.get("time"), Span):
        before, after = old["time"].start, changes["time"].start
        held, shown = shifted(held, before, after), shifted(shown, before, after)
        made["recurrence"] = held
    if "recurrence" in changes:
        kind = kind_of("recurrence")
        was, new = kind.elements(shown), kind.elements(changes["recurrence"])
        have = dict.fromkeys(kind.elements(held), held)
        for key in was.keys() - new.keys():
            have.pop(key, None)
        for key in new:
            if was.get(key) != new[key]:
                have[key] = changes["recurrence"]
        made["recurrence"] = kind.rebuild(have)
    return made


@dataclass
class MemoryReplica:
    """A calendar in memory."""

    name: str
    caps: Capabilities
    clock: Callable[[], datetime]
    #: Answers no version to a write.
    silent: bool = False
    #: Changes a page.
    page: int = 50
    #: Cuts texts to this without saying so in its capabilities.
    secretly: int | None = None
    records: dict[str, Record] = field(default_factory=dict)
    feed: list[tuple[int, str]] = field(default_factory=list)
    log: list[Write] = field(default_factory=list)
    #: Called before and after each call: the tests crash, fail and edit there.
    gate: Callable[[str, str], None] = lambda when, call: None
    number: int = 0
    oldest: int = 0
    unreadable: set[str] = field(default_factory=set)
    #: Of which the server says that they are not to be had just now.
    unready: set[str] = field(default_factory=set)
    calls: int = 0
    #: What its server does with a write into a meeting that has guests, and what it has sent: (ref, what).
    server: Telling = Telling.NOBODY
    outbox: list[tuple[str, str]] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return self.caps

    @property
    def requests(self) -> int:
        return self.calls

    def telling(self) -> Telling:
        return self.server

    def _tell(self, held: Record, what: str, *, tell: bool) -> None:
        """The last guard of a connector: without a word nobody is told, or nothing is written."""
        if not held.guests or self.server is Telling.NOBODY:
            return
        if not tell and self.server is Telling.TELLS:
            raise Unsupported("the server would tell the guests")
        if tell:
            self.outbox.append((held.ref, what))

    # -- what a person does -------------------------------------------------------------------------

    def put(self, ref: str, kind: str, fields: Fields, **more: Any) -> Record:
        """A person makes or changes the record."""
        self.number += 1
        old = self.records.get(ref)
        record = Record(ref, str(self.number), kind, dict(fields), modified=self.clock(), **more)
        if old is not None and not more:
            record = replace(record, uid=old.uid, key=old.key, owner=old.owner, guests=old.guests)
        if "attendees" in record.fields:  # the last one may have been taken out
            guests = frozenset(record.fields["attendees"] or ()) - {f"{self.name}@us.example"}
            record = replace(record, guests=guests)
        self.records[ref] = record
        self._announce(ref)
        return record

    def edit(self, ref: str, **changes: Any) -> None:
        """A person changes some fields; a series' dates move with it."""
        old = self.records[ref].fields
        if "time" in changes and "recurrence" not in changes and old.get("recurrence") and old.get("time"):
            changes["recurrence"] = shifted(old["recurrence"], old["time"].start, changes["time"].start)
        self.put(ref, self.records[ref].kind, {**old, **changes})

    def remove(self, ref: str) -> None:
        """A person deletes the record."""
        del self.records[ref]
        self.number += 1
        self._announce(ref)

    def bring_back(self, record: Record, *, same_version: bool) -> None:
        """A person takes the record out of the trash; a server may make versions of the content alone."""
        self.number += 1
        self.records[record.ref] = record if same_version else replace(record, version=str(self.number))
        self._announce(record.ref)

    def expire(self) -> None:
        """The server forgets every cursor."""
        self.oldest = self.number + 1

    def _announce(self, ref: str) -> None:
        self.feed = [(n, r) for n, r in self.feed if r != ref]
        self.feed.append((self.number, ref))

    # -- the port -------------------------------------------------------------------------------------

    def _call(self, call: str) -> None:
        self.calls += 1
        self.gate("before", call)

    def changes(self, cursor: str) -> Iterator[Page]:
        self._call("changes")
        if cursor and int(cursor) < self.oldest:
            raise CursorExpired("too old")
        since = int(cursor or 0)
        known = [(n, r) for n, r in self.feed if n > since and (cursor or r in self.records)]
        end = self.number
        for start in range(0, len(known), self.page):
            part = known[start : start + self.page]
            last = start + self.page >= len(known)
            yield Page([self._change(r) for _, r in part], str(end if last else part[-1][0]), last and not cursor)
            self.gate("after", "changes")
        if not known:
            yield Page([], str(end), not cursor)
            self.gate("after", "changes")

    def _change(self, ref: str) -> Change:
        record = self.records.get(ref)
        return Change(ref, gone=True) if record is None else Change(ref, record.version, kind=record.kind)

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        self._call("fetch")
        found: dict[str, Record | PortError] = {}
        for ref in refs:
            if ref in self.unreadable:
                found[ref] = Rejected("line 3 cannot be read")
            elif ref in self.unready:
                found[ref] = Transient("the server is not ready (503)")
            else:
                held = self.records.get(ref)
                found[ref] = self._as_read(held) if held is not None else Gone("not there")
        self.gate("after", "fetch")
        return found

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        self._call("create")
        ref = f"{self.name}/{key}"
        if any(r.key == key for r in self.records.values()):
            raise Exists("there already")
        self._hold(fields)
        self.number += 1
        made = self._shaped(fields)
        self.records[ref] = Record(ref, str(self.number), kind, made, uid, key, owner, self.clock())
        self._announce(ref)
        self.log.append(Write("create", ref, {}, made))
        version = self.records[ref].version
        self.gate("after", "create")
        return Written(ref, None if self.silent else version)

    def _hold(self, fields: Fields) -> None:
        recurrence = fields.get("recurrence")
        if self.caps.series == "none" and recurrence is not None and not recurrence.empty:
            raise Unsupported("holds no series")

    def _shaped(self, fields: Fields) -> dict[str, Any]:
        made = {n: kind_of(n).shape(v, self.caps.limit(n)) for n, v in fields.items()}
        if self.secretly is not None:
            made = {n: v[: self.secretly] if isinstance(v, str) else v for n, v in made.items()}
        return made

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        self._call("update")
        held = self.records.get(record.ref)
        if held is None:
            raise Gone("not there")
        if held.version != record.version:
            raise Stale("changed meanwhile")
        self._tell(held, "update", tell=tell)
        self.number += 1
        made = self._shaped(applied(held.fields, record.fields, changes))
        self.records[record.ref] = replace(held, version=str(self.number), fields=made, modified=self.clock())
        self._announce(record.ref)
        self.log.append(Write("update", record.ref, held.fields, made))
        version = str(self.number)
        self.gate("after", "update")
        return Written(record.ref, None if self.silent else version)

    def delete(self, record: Record, *, tell: bool = False) -> None:
        self._call("delete")
        held = self.records.get(record.ref)
        if held is None:
            raise Gone("not there")
        if held.version != record.version:
            raise Stale("changed meanwhile")
        self._tell(held, "cancel", tell=tell)
        self.log.append(Write("delete", record.ref, held.fields, {}))
        del self.records[record.ref]
        self.number += 1
        self._announce(record.ref)
        self.gate("after", "delete")

    def find(self, key: str, uid: str) -> Record | None:
        self._call("find")
        found = next((r for r in self.records.values() if r.key == key), None)
        self.gate("after", "find")
        return self._as_read(found) if found is not None else None

    def _as_read(self, record: Record) -> Record:
        """Of its dates, what differs from the series: that is what a connector can tell of them."""
        series = record.fields.get("recurrence")
        if not series or not any(n in record.fields for f in series.overrides.values() for n in f if n != "time"):
            return record
        overrides = {
            key: {n: v for n, v in fields.items() if n == "time" or not same(n, v, record.fields.get(n))}
            for key, fields in series.overrides.items()
        }
        overrides = {key: fields for key, fields in overrides.items() if fields}
        return replace(record, fields={**record.fields, "recurrence": replace(series, overrides=overrides)})


@dataclass
class MemoryCrm(MemoryReplica):
    """A CRM in memory."""

    people: dict[str, str] = field(default_factory=dict)
    #: ref -> [(key, field, text)]
    history: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    #: Every line that ever stood there; a redaction takes the history along.
    remembered: list[str] = field(default_factory=list)

    def _as_read(self, record: Record) -> Record:
        """A CRM knows what was said of a date, also where the series says the same."""
        return record

    def _change(self, ref: str) -> Change:
        record = self.records.get(ref)
        if record is None:
            return Change(ref, gone=True)
        people = frozenset({record.owner, *(record.fields.get("participants") or People())})
        return Change(ref, record.version, people=people, kind=record.kind)

    def candidates(self, records: Sequence[Record], owner: str) -> Sequence[Sequence[Record]]:
        self._call("candidates")
        found = [[held for held in self.records.values() if self._likely(held, r, owner)] for r in records]
        self.gate("after", "candidates")
        return found

    def _likely(self, held: Record, record: Record, owner: str) -> bool:
        mine = owner == held.owner or owner in (held.fields.get("participants") or People())
        time: Span | None = held.fields.get("time")
        same = (record.uid and held.uid == record.uid) or (time is not None and time == record.fields.get("time"))
        return bool(mine and same and held.kind == record.kind)

    def known(self, addresses: Iterable[str]) -> Mapping[str, str]:
        return {a: self.people[a] for a in addresses if a in self.people}

    def people_version(self) -> str:
        return repr(sorted(self.people.items()))

    def statuses(self) -> Mapping[str, str]:
        return {"open": "open", "in-process": "open", "completed": "completed", "rejected": "rejected"}

    def remove(self, ref: str) -> None:
        super().remove(ref)
        self.history.pop(ref, None)

    def remember(self, ref: str, lines: Mapping[str, str], key: str) -> None:
        self._call("remember")
        held = self.history.setdefault(ref, [])
        if not any(k == key for k, _, _ in held):
            held += [(key, n, t) for n, t in lines.items()]
            self.remembered += lines.values()
        self.gate("after", "remember")

    def redact(self, record: Record, kept: Fields) -> Written | None:
        self._call("redact")
        held = self.records.get(record.ref)
        if held is None:
            raise Gone("not there")
        if held.version != record.version:
            raise Stale("changed meanwhile")
        self.history.pop(record.ref, None)
        if not kept:
            del self.records[record.ref]
        else:
            fields = {n: kept.get(n, kind_of(n).empty) for n in held.fields}
            logged = held.kind != "appointment"
            if logged and fields.get("time") is None and isinstance(held.fields.get("time"), Span):
                day = held.modified.date() if held.modified else date(2026, 1, 1)
                fields["time"] = Span(day, day + timedelta(days=1))
            self.number += 1
            self.records[record.ref] = replace(held, version=str(self.number), fields=fields)
        self.log.append(Write("redact", record.ref, held.fields, {}))
        self.number += 1
        self._announce(record.ref)
        self.gate("after", "redact")
        return None


def calendar(name: str, clock: Callable[[], datetime], **more: Any) -> MemoryReplica:
    """A calendar that holds everything."""
    return MemoryReplica(name, Capabilities(frozenset({"event"})), clock, **more)


def crm(clock: Callable[[], datetime], *, series: bool = True, subject: int | None = None, **more: Any) -> MemoryCrm:
    """A CRM; `subject` is the longest subject that it holds."""
    limits = {"subject": Limit(length=subject)} if subject else {}
    caps = Capabilities(
        frozenset({"appointment", "task"}), limits=limits, series="series" if series else "none", history=True
    )
    return MemoryCrm("crm", caps, clock, **more)
