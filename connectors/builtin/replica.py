"""`syncd.crm` behind the port: its own change feed, versions and optimistic locking.

Options let it rehearse another CRM's limits: ``subject-length: 40`` and ``series: false`` make it as
narrow as SAP CRM (facts: sap-crm §2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from connectors.builtin.convert import columns_of, fields_of
from syncd.crm import activities
from syncd.crm import tables as t
from syncd.crm.activities import Activity, Conflict, Duplicate, Invalid, NotFound
from syncd.crm.database import SYSTEM, Crm
from syncd.model.fields import ACTIVITY_FIELDS, Fields, Limit, kind_of
from syncd.model.people import normal_address
from syncd.model.record import Record
from syncd.ports import Capabilities, Change, Exists, Gone, Page, PortError, Rejected, Stale, Unsupported, Written

PAGE = 500


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
        )
        self._statuses: dict[str, str] | None = None
        self._requests = 0

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def requests(self) -> int:
        return self._requests

    def changes(self, cursor: str) -> Iterator[Page]:
        since = int(cursor or 0)
        with self.crm.reading() as connection:
            end = activities.last_seq(connection)
        while True:
            self._requests += 1
            with self.crm.reading() as connection:
                found = activities.feed(connection, since, PAGE, listing=not cursor)
                known = activities.load(connection, [g for _, g, gone in found if not gone])
            last = len(found) < PAGE
            since = max(end, found[-1][0] if found else 0) if last else found[-1][0]
            page = [Change(g, gone=True) if gone else _change(known[g]) for _, g, gone in found if gone or g in known]
            yield Page(page, str(since), last and not cursor)
            if last:
                return

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        self._requests += 1
        found = self.crm.many(refs)
        return {ref: record_of(found[ref]) if ref in found else Gone("not there") for ref in refs}

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        self._requests += 1
        self._hold(fields)
        values = columns_of(fields) | {"uid": uid}
        with self.crm.reading() as connection:
            found = connection.execute(select(t.employee.c.id).where(t.employee.c.address == owner)).scalar()
        if found is not None:
            values["owner"] = found
        try:
            made = self.crm.create(kind, values, by=SYSTEM, key=key)
        except Duplicate:
            raise Exists("an activity with this key exists") from None
        except Invalid as error:
            raise Rejected(str(error)) from None
        return Written(made.guid, str(made.version))

    def _hold(self, fields: Fields) -> None:
        recurrence = fields.get("recurrence")
        if self._capabilities.series == "none" and recurrence is not None and not recurrence.empty:
            raise Unsupported("this CRM is set to hold no series")

    def update(self, record: Record, changes: Fields) -> Written:
        self._requests += 1
        self._hold(changes)
        try:
            made = self.crm.edit(record.ref, columns_of(changes), by=SYSTEM, expected=int(record.version))
        except NotFound:
            raise Gone("not there") from None
        except Conflict:
            raise Stale("changed meanwhile") from None
        except Invalid as error:
            raise Rejected(str(error)) from None
        return Written(made.guid, str(made.version))

    def delete(self, record: Record) -> None:
        self._requests += 1
        try:
            self.crm.delete(record.ref, by=SYSTEM, expected=int(record.version))
        except NotFound:
            raise Gone("not there") from None
        except Conflict:
            raise Stale("changed meanwhile") from None

    def find(self, key: str, uid: str) -> Record | None:
        self._requests += 1
        with self.crm.reading() as connection:
            guid = connection.execute(select(t.activity.c.guid).where(t.activity.c.key == key)).scalar()
        found = self.crm.many([guid]) if guid else {}
        return record_of(found[guid]) if guid in found else None

    # -- what a CRM adds ----------------------------------------------------------------------------------

    def candidates(self, record: Record, owner: str) -> Sequence[Record]:
        self._requests += 1
        columns = columns_of({n: v for n, v in record.fields.items() if n in ("time", "due")})
        with self.crm.reading() as connection:
            a = t.activity.c
            guids = [g for (g,) in connection.execute(select(a.guid).where(a.uid == record.uid))] if record.uid else []
            statement = select(a.guid).where(a.kind == record.kind).limit(50)
            for name in ("starts", "ends", "due"):
                if columns.get(name):
                    statement = statement.where(getattr(a, name) == columns[name])
            if columns.get("starts") or columns.get("due"):
                guids += [g for (g,) in connection.execute(statement)]
            found = activities.load(connection, guids)
        mine = [x for x in found.values() if owner == x.owner_address or owner in x.participants]
        return [record_of(x) for x in mine if x.kind == record.kind]

    def known(self, addresses: Iterable[str]) -> Mapping[str, str]:
        return {address: party.type for address, party in self.crm.resolve(addresses).items()}

    def statuses(self) -> Mapping[str, str]:
        if self._statuses is None:
            self._statuses = self.crm.statuses()
        return self._statuses

    def remember(self, ref: str, lines: Mapping[str, str], key: str) -> None:
        self._requests += 1
        with self.crm.writing() as connection:
            if ref in activities.load(connection, [ref]):
                at = self.crm.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                activities.remember(connection, ref, lines, by=SYSTEM, at=at, key=key)

    def redact(self, record: Record, kept: Fields) -> Written | None:
        if not kept:
            self.delete(record)
            return None
        self._requests += 1
        usual = ("status", "time")
        values = columns_of({n: kept.get(n, kind_of(n).empty) for n in record.fields if n not in usual})
        if "time" in record.fields and "time" not in kept:
            day = str(record.native.created)[:10].replace("-", "")
            values |= {"starts": day, "ends": day, "zone": ""}
        try:
            with self.crm.writing() as connection:
                at = self.crm.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                made = activities.edit(connection, record.ref, values, by=SYSTEM, expected=int(record.version), at=at)
                activities.erase_history(connection, record.ref)
        except NotFound:
            raise Gone("not there") from None
        except Conflict:
            raise Stale("changed meanwhile") from None
        return Written(made.guid, str(made.version))


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
