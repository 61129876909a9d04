"""The built-in CRM as an object: open it, and work with activities under its access rules.

Whoever reads or writes says as whom: an employee's id, "" for nobody in particular, or `SYSTEM`, which
is the synchronisation (`syncd.crm.access`). Every change raises the activity's version and takes the
next number of the change feed; a write that expects an older version is refused, so that nobody
overwrites what they have not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from syncd.crm import activities, belongings
from syncd.crm import tables as t
from syncd.crm.access import SYSTEM, Viewer, visible
from syncd.crm.activities import Activity, Duplicate, Invalid, New, NotFound
from syncd.crm.people import TRANSACTION_TYPES, Party, import_csv, listing, resolve
from syncd.database import connected, open_engine, prepare, tidy
from syncd.model.people import normal_address

#: The newest revision under migrations/versions.
HEAD = "0003"

#: The standard profile (facts: SAP CRM §1); a company may change it with `set_statuses`.
STATUSES = (
    ("open", "Open", "open"),
    ("in-process", "In Process", "open"),
    ("released", "Released", "open"),
    ("completed", "Completed", "completed"),
    ("rejected", "Rejected", "rejected"),
)


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)


class Crm:
    """An open CRM. Thread-safe: each call has its own transaction."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self.now = now

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = utc_now) -> Crm:
        """The CRM at the URL, brought to the present schema. Raises StoreFault."""
        engine = open_engine(url)
        if url == "sqlite://":
            t.metadata.create_all(engine)
        else:
            prepare(engine, Path(__file__).parent / "migrations", "crm_version", HEAD, t.metadata)
        made = cls(engine, now)
        with made.writing() as connection:
            if connection.execute(select(t.status.c.code)).first() is None:
                made._statuses(connection, STATUSES)
        return made

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes. Raises StoreFault."""
        with connected(self._engine, writing=True) as connection:
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads. Raises StoreFault."""
        with connected(self._engine, writing=False) as connection:
            yield connection

    def close(self) -> None:
        """Gives back the connections."""
        self._engine.dispose()

    def tidy(self) -> bool:
        """See `syncd.database.tidy`."""
        return tidy(self._engine)

    @property
    def _stamp(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # -- people and lists -------------------------------------------------------------------------------

    def import_csv(self, kind: str, path: Path) -> tuple[int, int]:
        """See `people.import_csv`."""
        with self.writing() as connection:
            return import_csv(connection, kind, path)

    def listing(self, kind: str) -> list[dict[str, Any]]:
        """All employees, accounts, contacts or transactions."""
        with self.reading() as connection:
            return listing(connection, kind)

    def resolve(self, addresses: Iterable[str]) -> dict[str, Party]:
        """Whom the CRM knows by these addresses."""
        with self.reading() as connection:
            return resolve(connection, addresses)

    def statuses(self) -> dict[str, str]:
        """Status code -> what it means: open, completed or rejected."""
        with self.reading() as connection:
            found = connection.execute(select(t.status).order_by(t.status.c.position)).mappings()
            return {row["code"]: row["meaning"] for row in found}

    def set_statuses(self, statuses: Iterable[tuple[str, str, str]]) -> None:
        """Replaces the status list: (code, name, meaning). Codes in use must stay."""
        with self.writing() as connection:
            self._statuses(connection, statuses)

    def _statuses(self, connection: Connection, statuses: Iterable[tuple[str, str, str]]) -> None:
        for position, (code, name, meaning) in enumerate(statuses):
            values = {"name": name, "meaning": meaning, "position": position}
            if connection.execute(update(t.status).where(t.status.c.code == code).values(**values)).rowcount == 0:
                connection.execute(insert(t.status).values(code=code, **values))

    # -- activities ------------------------------------------------------------------------------------

    def create(
        self,
        kind: str,
        values: Mapping[str, Any],
        *,
        by: Viewer,
        key: str | None = None,
        follows: tuple[str, str] | None = None,
    ) -> Activity:
        """A new activity; a follow-up when `follows` (type, id) says of what. Raises
        `activities.Duplicate` when the key is taken, Invalid."""
        try:
            return self._created(New(kind, values, key), follows, by)
        except IntegrityError:  # somebody took the key at the same moment: it is known now
            return self._created(New(kind, values, key), follows, by)

    def _created(self, new: New, follows: tuple[str, str] | None, by: Viewer) -> Activity:
        with self.writing() as connection:
            if follows is not None:
                self._exists(connection, *follows, by)
            (made,) = activities.create_all(connection, [new], at=self._stamp)
            if isinstance(made, Exception):
                raise made
            if follows is not None:
                belongings.follow(connection, follows, (new.kind, made))
            return activities.load(connection, [made], SYSTEM)[made]

    def create_all(self, several: Sequence[New]) -> list[str | Duplicate | Invalid]:
        """New activities: each one's GUID, or why it was not made."""
        try:
            with self.writing() as connection:
                return activities.create_all(connection, several, at=self._stamp)
        except IntegrityError:  # somebody took a key at the same moment: they are known now
            with self.writing() as connection:
                return activities.create_all(connection, several, at=self._stamp)

    def employees(self, addresses: Iterable[str]) -> dict[str, str]:
        """Address -> id of the employees among them."""
        wanted = {normal_address(a): a for a in addresses if a}
        if not wanted:
            return {}
        columns = select(t.employee.c.address, t.employee.c.id)
        with self.reading() as connection:
            found = connection.execute(columns.where(t.employee.c.address.in_(wanted)))
            return {wanted[f.address]: f.id for f in found}

    def edit(self, guid: str, values: Mapping[str, Any], *, by: Viewer, expected: int | None = None) -> Activity:
        """Changes fields; what stood there goes into the history. Raises NotFound, Conflict, Invalid."""
        with self.writing() as connection:
            return activities.edit(connection, guid, values, by=by, expected=expected, at=self._stamp)

    def delete(self, guid: str, *, by: Viewer, expected: int | None = None) -> None:
        """Removes an activity with its history. Raises NotFound, Conflict."""
        with self.writing() as connection:
            activities.delete(connection, guid, by=by, expected=expected)

    def get(self, guid: str, *, viewer: Viewer) -> Activity:
        """One activity. Raises NotFound, also for somebody else's private one."""
        found = self.many([guid], viewer=viewer).get(guid)
        if found is None:
            raise NotFound(guid)
        return found

    def many(self, guids: Iterable[str], *, viewer: Viewer) -> dict[str, Activity]:
        """These activities, as far as they are there."""
        with self.reading() as connection:
            return activities.load(connection, list(guids), viewer)

    def search(self, *, viewer: Viewer, **criteria: Any) -> list[Activity]:
        """Activities that meet the criteria (see `activities.search`) and that the viewer may see."""
        with self.reading() as connection:
            return activities.search(connection, viewer, **criteria)

    def history(self, guid: str, *, viewer: Viewer) -> list[dict[str, Any]]:
        """What stood in an activity's fields before, oldest first. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            return activities.history(connection, guid, viewer)

    def _may(self, connection: Connection, guid: str, viewer: Viewer) -> None:
        if (
            connection.execute(select(t.activity.c.guid).where(t.activity.c.guid == guid, visible(viewer))).first()
            is None
        ):
            raise NotFound(guid)

    # -- document history -------------------------------------------------------------------------------

    def follow(self, predecessor: tuple[str, str], follower: tuple[str, str], *, by: Viewer) -> None:
        """`follower` (type, id) came of `predecessor`; both show each other. Raises Invalid, also for what
        the one who says so may not see."""
        with self.writing() as connection:
            for type_, id_ in (predecessor, follower):
                self._exists(connection, type_, id_, by)
            belongings.follow(connection, predecessor, follower)

    def _exists(self, connection: Connection, type_: str, id_: str, viewer: Viewer) -> None:
        a = t.activity.c
        if type_ in activities.KINDS:
            known = connection.execute(select(a.guid).where(a.guid == id_, a.kind == type_, visible(viewer))).first()
        elif type_ in TRANSACTION_TYPES:
            known = connection.execute(select(t.transaction.c.id).filter_by(id=id_, type=type_)).first()
        else:
            raise Invalid(f"{type_!r} is none of {', '.join((*TRANSACTION_TYPES, *activities.KINDS))}")
        if known is None:
            raise Invalid(f"no {type_} {id_!r}")

    def documents(self, type: str, id: str, *, viewer: Viewer) -> dict[str, list[tuple[str, str]]]:
        """The document history of a transaction or activity: predecessors and followers, as far as the viewer
        may see them. Raises NotFound for an activity that is not there for the viewer."""
        with self.reading() as connection:
            if type in activities.KINDS:
                self._may(connection, id, viewer)
            return belongings.documents(connection, type, id, viewer)

    def attachments(self, guid: str, *, viewer: Viewer) -> list[dict[str, Any]]:
        """The files of an activity: id, name, type, size, and whether their octets are here. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            return belongings.attachments(connection, guid, viewer)

    def attachment(self, guid: str, number: int, *, viewer: Viewer) -> Iterator[bytes]:
        """The octets of one file, in pieces. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            yield from belongings.pieces(connection, guid, number, viewer)


__all__ = ["SYSTEM", "Activity", "Crm", "NotFound", "Viewer"]
