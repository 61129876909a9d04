"""The built-in CRM as an object: open it, and work with activities under its access rules.

A private activity is its owner's: for everybody else it does not exist (design §8). Every change
raises the activity's version and takes the next number of the change feed; a write that expects an
older version is refused, so that nobody overwrites what they have not seen.
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
from syncd.crm.activities import Activity, Duplicate, Invalid, New, NotFound
from syncd.crm.people import TRANSACTION_TYPES, Party, import_csv, listing, resolve
from syncd.database import connected, open_engine, prepare

#: The newest revision under migrations/versions.
HEAD = "0002"

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

    def create(self, kind: str, values: Mapping[str, Any], *, by: str, key: str | None = None) -> Activity:
        """A new activity. Raises `activities.Duplicate` when the key is taken, Invalid."""
        (made,) = self.create_all([New(kind, values, key)], by=by)
        if isinstance(made, Exception):
            raise made
        return self.many([made])[made]

    def create_all(self, several: Sequence[New], *, by: str) -> list[str | Duplicate | Invalid]:
        """New activities: each one's GUID, or why it was not made."""
        try:
            with self.writing() as connection:
                return activities.create_all(connection, several, by=by, at=self._stamp)
        except IntegrityError:  # somebody took a key at the same moment: they are known now
            with self.writing() as connection:
                return activities.create_all(connection, several, by=by, at=self._stamp)

    def employees(self, addresses: Iterable[str]) -> dict[str, str]:
        """Address -> id of the employees among them."""
        wanted = {a for a in addresses if a}
        if not wanted:
            return {}
        columns = select(t.employee.c.address, t.employee.c.id)
        with self.reading() as connection:
            return {f.address: f.id for f in connection.execute(columns.where(t.employee.c.address.in_(wanted)))}

    def edit(self, guid: str, values: Mapping[str, Any], *, by: str, expected: int | None = None) -> Activity:
        """Changes fields; what stood there goes into the history. Raises NotFound, Conflict, Invalid."""
        with self.writing() as connection:
            self._may(connection, guid, by)
            return activities.edit(connection, guid, values, by=by, expected=expected, at=self._stamp)

    def delete(self, guid: str, *, by: str, expected: int | None = None) -> None:
        """Removes an activity with its history. Raises NotFound, Conflict."""
        with self.writing() as connection:
            self._may(connection, guid, by)
            activities.delete(connection, guid, expected=expected)

    def get(self, guid: str, *, viewer: str) -> Activity:
        """One activity. Raises NotFound, also for somebody else's private one."""
        with self.reading() as connection:
            return self._may(connection, guid, viewer)

    def many(self, guids: Iterable[str]) -> dict[str, Activity]:
        """These activities, as far as they are there; for the synchronisation."""
        with self.reading() as connection:
            return activities.load(connection, list(guids))

    def _may(self, connection: Connection, guid: str, viewer: str) -> Activity:
        found = activities.load(connection, [guid]).get(guid)
        if found is None or not visible(found, viewer):
            raise NotFound(guid)
        return found

    def search(self, *, viewer: str, **criteria: Any) -> list[Activity]:
        """Activities that meet the criteria (see `activities.search`) and that the viewer may see."""
        with self.reading() as connection:
            return [a for a in activities.search(connection, **criteria) if visible(a, viewer)]

    def history(self, guid: str, *, viewer: str) -> list[dict[str, Any]]:
        """What stood in an activity's fields before, oldest first. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            return activities.history(connection, guid)

    # -- document history -------------------------------------------------------------------------------

    def follow(self, predecessor: tuple[str, str], follower: tuple[str, str]) -> None:
        """`follower` (type, id) came of `predecessor`; both show each other. Raises Invalid."""
        values = {
            "predecessor_type": predecessor[0],
            "predecessor": predecessor[1],
            "follower_type": follower[0],
            "follower": follower[1],
        }
        with self.writing() as connection:
            for type_, id_ in (predecessor, follower):
                self._exists(connection, type_, id_)
            if connection.execute(select(t.follow_up.c.id).filter_by(**values)).first() is None:
                connection.execute(insert(t.follow_up).values(**values))

    def _exists(self, connection: Connection, type_: str, id_: str) -> None:
        if type_ in activities.KINDS:
            known = connection.execute(select(t.activity.c.guid).filter_by(guid=id_, kind=type_)).first()
        elif type_ in TRANSACTION_TYPES:
            known = connection.execute(select(t.transaction.c.id).filter_by(id=id_, type=type_)).first()
        else:
            raise activities.Invalid(f"{type_!r} is none of {', '.join((*TRANSACTION_TYPES, *activities.KINDS))}")
        if known is None:
            raise activities.Invalid(f"no {type_} {id_!r}")

    def documents(self, type: str, id: str) -> dict[str, list[tuple[str, str]]]:
        """The document history of a transaction or activity: predecessors and followers."""
        f = t.follow_up.c
        with self.reading() as connection:
            before = connection.execute(
                select(f.predecessor_type, f.predecessor)
                .where(f.follower_type == type, f.follower == id)
                .order_by(f.id)
            )
            after = connection.execute(
                select(f.follower_type, f.follower)
                .where(f.predecessor_type == type, f.predecessor == id)
                .order_by(f.id)
            )
            found = {
                "predecessors": [(str(r[0]), str(r[1])) for r in before],
                "followers": [(str(r[0]), str(r[1])) for r in after],
            }
            for side, several in belongings.invitations(connection, type, id).items():
                found[side] += [pair for pair in several if pair not in found[side]]
            return found

    def attachments(self, guid: str, *, viewer: str) -> list[dict[str, Any]]:
        """The files of an activity: id, name, type, size, and whether their octets are here. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            return belongings.attachments(connection, guid)

    def attachment(self, guid: str, number: int, *, viewer: str) -> Iterator[bytes]:
        """The octets of one file, in pieces. Raises NotFound."""
        with self.reading() as connection:
            self._may(connection, guid, viewer)
            yield from belongings.pieces(connection, guid, number)


#: The viewer that the synchronisation works as; privacy is then the gate's business.
SYSTEM = "groupware"


def visible(activity: Activity, viewer: str) -> bool:
    """True when the viewer (an employee's id) may see the activity."""
    return not activity.private or viewer in (SYSTEM, activity.owner)
