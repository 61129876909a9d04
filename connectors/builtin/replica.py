"""`syncd.crm` behind the port: its own change feed, versions and optimistic locking.

Options let it rehearse another CRM's limits: ``subject-length: 40`` and ``series: false`` make it as
narrow as SAP CRM (facts: sap-crm §2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from connectors.builtin.convert import columns_of, fields_of
from syncd.crm import activities, people
from syncd.crm import tables as t
from syncd.crm.access import SYSTEM
from syncd.crm.activities import Activity, Conflict, Duplicate, Invalid, New, NotFound
from syncd.crm.database import Crm
from syncd.database import StoreFault
from syncd.model.fields import ACTIVITY_FIELDS, Fields, Limit, kind_of
from syncd.model.people import normal_address
from syncd.model.record import Record
from syncd.ports import (
    Capabilities,
    Change,
    Correspondent,
    Create,
    Exists,
    Gone,
    Page,
    PortError,
    Rejected,
    Replaced,
    Stale,
    Transient,
    Unsupported,
    Written,
)

PAGE = 500
OLDER = (
    "the CRM's database is another one than before, or an older state of it: nothing is synced. Put the newer one "
    "back, or begin with a new store (docs/how-to/parked-and-held.md)"
)
#: Of what is not there and was not deleted either: nothing is deleted for that anywhere.
NEVER_DELETED = (
    "the CRM does not have this activity, and nobody has deleted it there: its database is another one, or an older "
    "state of it. Put the right one back, or begin with a new store"
)


class BuiltinCrm:
    """The activities of the built-in CRM."""

    def __init__(self, crm: Crm, *, subject_length: int | None = None, series: bool = True) -> None:
        self.crm = crm
        limits = {"subject": Limit(length=subject_length)} if subject_length else {}
        self._capabilities = Capabilities(
            kinds=frozenset(ACTIVITY_FIELDS),
            limits=MappingProxyType(limits),
            series="series" if series else "none",
            history=True,
            words=MappingProxyType({"status": tuple(crm.statuses())}),
        )
        self._statuses: dict[str, str] | None = None
        self._requests = 0

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def requests(self) -> int:
        return self._requests

    def recognise(self, cursor: str) -> None:
        """See `syncd.ports.Lasting`: the change that was the latest one then, or a later one of the same activity,
        is still there."""
        since, _, last = cursor.partition(" ")
        number, _, guid = last.partition(":")
        with _port_errors(), self.crm.reading() as connection:
            stands = not guid or activities.is_known(connection, guid, int(number), SYSTEM)
            end = activities.last_seq(connection)
        if int(since or 0) > end or not stands:
            raise Replaced(OLDER)

    def changes(self, cursor: str) -> Iterator[Page]:
        since = int(cursor.partition(" ")[0] or 0)
        with _port_errors(), self.crm.reading() as connection:
            end = activities.last_seq(connection)
        if cursor and since >= end:  # nothing has happened
            self._requests += 1
            yield Page([], cursor, complete=False)
            return
        while True:
            self._requests += 1
            with _port_errors(), self.crm.reading() as connection:
                found = activities.feed(connection, since, PAGE, SYSTEM, listing=not cursor)
                known = activities.load(connection, [g for _, g, gone in found if not gone], SYSTEM)
            last = len(found) < PAGE
            since = max(since, found[-1][0] if found else 0)
            if last:  # a listing names no deletions: what went while it was read is told from its beginning on
                since = max(end, since) if cursor else end
            page = [Change(g, gone=True) if gone else _change(known[g]) for _, g, gone in found if gone or g in known]
            yield Page(page, self._cursor(since), last and not cursor)
            if last:
                return

    def _cursor(self, since: int) -> str:
        with _port_errors(), self.crm.reading() as connection:
            last = activities.latest(connection, since, SYSTEM)
        return f"{since} {last[0]}:{last[1]}" if last is not None else str(since)

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        self._requests += 1
        with _port_errors():
            found = self.crm.many(refs, viewer=SYSTEM)
            missing = [ref for ref in refs if ref not in found]
            with self.crm.reading() as connection:
                deleted = activities.deleted(connection, missing, SYSTEM) if missing else frozenset()
        lost = {ref: Gone("not there") if ref in deleted else Rejected(NEVER_DELETED) for ref in missing}
        return {ref: record_of(found[ref]) if ref in found else lost[ref] for ref in refs}

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        (made,) = self.create_all([Create(fields, key, kind, uid, owner)])
        if isinstance(made, PortError):
            raise made
        return made

    def create_all(self, creates: Sequence[Create]) -> Sequence[Written | PortError]:
        self._requests += 1
        made: list[Written | PortError | None] = [self._refused(c.fields) for c in creates]
        open_ = [n for n, refused in enumerate(made) if refused is None]
        for n, result in zip(open_, self._made([creates[n] for n in open_]), strict=True):
            made[n] = result
        return [m for m in made if m is not None]

    def _made(self, creates: Sequence[Create]) -> list[Written | PortError]:
        with _port_errors():
            owners = self.crm.employees(c.owner for c in creates)
            several = []
            for c in creates:
                values = columns_of(c.fields) | {"uid": c.uid}
                if c.kind in activities.LOGS and "status" not in values:  # what was said is done
                    values["status"] = next((s for s, m in self.statuses().items() if m == "completed"), "open")
                if c.owner in owners:
                    values["owner"] = owners[c.owner]
                several.append(New(c.kind, values, c.key))
            found = self.crm.create_all(several)
        return [Written(x, "1") if isinstance(x, str) else _said(x) for x in found]

    def _refused(self, fields: Fields) -> PortError | None:
        recurrence = fields.get("recurrence")
        if self._capabilities.series == "none" and recurrence is not None and not recurrence.empty:
            return Unsupported("this CRM is set to hold no series")
        return None

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        self._requests += 1
        refused = self._refused(changes)
        if refused is not None:
            raise refused
        with _port_errors():
            made = self.crm.edit(record.ref, columns_of(changes), by=SYSTEM, expected=int(record.version))
        return Written(made.guid, str(made.version))

    def delete(self, record: Record, *, tell: bool = False) -> None:
        self._requests += 1
        with _port_errors():
            self.crm.delete(record.ref, by=SYSTEM, expected=int(record.version))

    def tidy(self) -> bool:
        with _port_errors():
            return self.crm.tidy()

    def find(self, key: str, uid: str) -> Record | None:
        self._requests += 1
        with _port_errors(), self.crm.reading() as connection:
            guid = connection.execute(select(t.activity.c.guid).where(t.activity.c.key == key)).scalar()
            found = activities.load(connection, [guid], SYSTEM) if guid else {}
        return record_of(found[guid]) if guid in found else None

    # -- what a CRM adds ----------------------------------------------------------------------------------

    def candidates(self, records: Sequence[Record], owner: str) -> Sequence[Sequence[Record]]:
        self._requests += 1
        several = [
            columns_of({n: v for n, v in r.fields.items() if n in ("time", "due")}) | {"kind": r.kind, "uid": r.uid}
            for r in records
        ]
        with _port_errors(), self.crm.reading() as connection:
            return [[record_of(x) for x in found] for found in activities.alike(connection, several, owner, SYSTEM)]

    def known(self, addresses: Iterable[str]) -> Mapping[str, str]:
        with _port_errors():
            return {address: party.type for address, party in self.crm.resolve(addresses).items()}

    def people_version(self) -> str:
        with _port_errors(), self.crm.reading() as connection:
            return str(people.version(connection))

    def correspondents(self, addresses: Iterable[str]) -> Mapping[str, Correspondent]:
        with _port_errors():
            found = self.crm.resolve(addresses)
        return {
            address: Correspondent(
                party.type,
                party.id if party.type == "contact" else "",
                party.account or "" if party.type != "employee" else "",
            )
            for address, party in found.items()
        }

    def accounts_at(self, domains: Iterable[str]) -> Mapping[str, str]:
        with _port_errors(), self.crm.reading() as connection:
            return people.accounts_at(connection, domains)

    def transactions(self, numbers: Iterable[str]) -> Mapping[str, str]:
        with _port_errors(), self.crm.reading() as connection:
            return people.transactions(connection, numbers)

    def lead(self, address: str, name: str, key: str) -> str:
        with _port_errors(), self.crm.writing() as connection:
            return people.lead(connection, address, name, key)

    def statuses(self) -> Mapping[str, str]:
        if self._statuses is None:
            with _port_errors():
                self._statuses = self.crm.statuses()
        return self._statuses

    def remember(self, ref: str, lines: Mapping[str, str], key: str) -> None:
        self._requests += 1
        with _port_errors(), self.crm.writing() as connection:
            if ref in activities.load(connection, [ref], SYSTEM):
                at = self.crm.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                activities.remember(connection, ref, lines, by=SYSTEM, at=at, key=key)

    def redact(self, record: Record, kept: Fields) -> Written | None:
        self._requests += 1
        at = self.crm.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        expected = int(record.version)
        values = columns_of(_left(record.fields, kept))
        if "time" in record.fields and "time" not in kept:  # lists want a date: the day on which it was made, for none
            day = str(record.native.created)[:10].replace("-", "")
            values |= {"starts": day, "ends": day, "zone": ""}
        with _port_errors(), self.crm.writing() as connection:
            if kept.get("subject") != record.fields.get("subject"):
                activities.unname_followers(connection, record.ref, at=at)
            if not kept:
                activities.delete(connection, record.ref, by=SYSTEM, expected=expected)
                return None
            made = activities.edit(connection, record.ref, values, by=SYSTEM, expected=expected, at=at)
            activities.erase_history(connection, record.ref)
        return Written(made.guid, str(made.version))


def _left(fields: Fields, kept: Fields) -> dict[str, Any]:
    """Field -> what a redaction writes: as kept, else nothing. A status and a direction are no content and
    stay; a series whose time may not stay is none, as its dates tell of it."""
    made = {n: kept.get(n, kind_of(n).empty) for n in fields if n in kept or n not in ("status", "time", "direction")}
    if "time" not in kept and "recurrence" in made:
        made["recurrence"] = kind_of("recurrence").empty
    return made


def _said(error: Exception) -> PortError:
    """What the CRM says, in the port's words."""
    if isinstance(error, Duplicate):
        return Exists("an activity with this key exists")
    if isinstance(error, NotFound):
        return Gone("not there")
    if isinstance(error, Conflict):
        return Stale("changed meanwhile")
    if isinstance(error, StoreFault):
        return Transient(f"the CRM's database: {error}")
    return Rejected(str(error))


@contextmanager
def _port_errors() -> Iterator[None]:
    try:
        yield
    except (Duplicate, Invalid, NotFound, Conflict, StoreFault) as error:
        raise _said(error) from None


def _change(found: Activity) -> Change:
    people = frozenset({normal_address(found.owner_address), *found.participants} - {""})
    return Change(found.guid, str(found.version), people=people, kind=found.kind)


def record_of(found: Activity) -> Record:
    """An activity of the CRM as the engine sees it."""
    changed = datetime.strptime(found.changed, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Record(
        ref=found.guid,
        version=str(found.version),
        kind=found.kind,
        fields=fields_of(found),
        uid=found.uid,
        key=found.key or "",
        owner=normal_address(found.owner_address),
        modified=changed,
        native=found,
    )


def connector(options: Mapping[str, Any]) -> BuiltinCrm:
    """The CRM of a configuration: url, subject-length, series."""
    return BuiltinCrm(
        Crm.open(str(options["url"])),
        subject_length=options.get("subject-length"),
        series=bool(options.get("series", True)),
    )
