"""Activities: appointments, tasks and interaction logs, with versions, history and a change feed.

Functions on an open connection, so that several can be one transaction. Times are text as
`syncd.model.span.moment_key` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from syncd.crm import tables as t
from syncd.crm.people import resolve
from syncd.model.fields import normal_text
from syncd.model.people import ANSWERS, Participant, People, normal_address
from syncd.model.span import parse_moment

KINDS = ("appointment", "task", "call", "visit", "e-mail", "letter")
LOGS = ("call", "visit", "e-mail", "letter")
_LISTS = ("categories",)
#: Fields that people edit; the rest is the CRM's own.
FIELDS = (
    "direction",
    "subject",
    "notes",
    "location",
    "starts",
    "ends",
    "zone",
    "recurrence",
    "due",
    "status",
    "priority",
    "completion",
    "private",
    "categories",
    "owner",
    "account",
    "contact",
    "participants",
)


class NotFound(Exception):
    """No such activity, for this viewer."""


class Conflict(Exception):
    """The activity has been changed since it was read."""


class Duplicate(Exception):
    """An activity with this key exists."""


class Invalid(ValueError):
    """A value that the CRM does not take; says which field and what would do."""


@dataclass(frozen=True)
class Activity:
    """One activity, as it stands."""

    guid: str
    kind: str
    direction: str
    subject: str
    notes: str
    location: str
    starts: str
    ends: str
    zone: str
    recurrence: str
    due: str
    status: str
    priority: int
    completion: int
    private: bool
    categories: tuple[str, ...]
    #: The employee responsible (id), and that employee's address.
    owner: str | None
    owner_address: str
    account: str | None
    contact: str | None
    participants: People
    uid: str
    key: str | None
    version: int
    created: str
    changed: str
    seq: int


def _activity(row: RowMapping, people: People) -> Activity:
    values = {name: row[name] for name in Activity.__dataclass_fields__ if name in row}
    values["categories"] = tuple(json.loads(row["categories"]))
    values["owner_address"] = row["owner_address"] or ""
    return Activity(**values, participants=people)


def load(connection: Connection, guids: Sequence[str]) -> dict[str, Activity]:
    """GUID -> activity, for those that are there."""
    joined = t.activity.outerjoin(t.employee, t.activity.c.owner == t.employee.c.id)
    columns = [*t.activity.c, t.employee.c.address.label("owner_address")]
    statement = select(*columns).select_from(joined).where(t.activity.c.guid.in_(guids))
    rows = connection.execute(statement).mappings().all()
    people: dict[str, list[Participant]] = {}
    found = connection.execute(select(t.participant).where(t.participant.c.activity.in_(guids))).mappings()
    for p in found:
        people.setdefault(p["activity"], []).append(Participant(p["address"], p["name"], p["answer"]))
    return {r["guid"]: _activity(r, People(people.get(r["guid"], ()))) for r in rows}


def next_seq(connection: Connection) -> int:
    """The next number of the change feed."""
    where = t.counter.c.name == "seq"
    if connection.execute(update(t.counter).where(where).values(value=t.counter.c.value + 1)).rowcount == 0:
        connection.execute(insert(t.counter).values(name="seq", value=1))
    return int(connection.execute(select(t.counter.c.value).where(where)).scalar_one())


def checked(connection: Connection, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as columns. Raises Invalid."""
    made = {k: v for k, v in values.items() if k != "participants"}
    for name in made:
        if name not in FIELDS and name != "uid":
            raise Invalid(f"unknown field {name!r}")
    if kind not in KINDS:
        raise Invalid(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if made.get("direction", "") not in ("", "in", "out"):
        raise Invalid("direction is in or out")
    if not 0 <= int(made.get("priority", 0)) <= 3:
        raise Invalid("priority is 0 (none), 1 (high), 2 or 3 (low)")
    if not 0 <= int(made.get("completion", 0)) <= 100:
        raise Invalid("completion is 0 to 100 percent")
    for name in ("starts", "ends", "due"):
        if made.get(name):
            try:
                parse_moment(made[name])
            except ValueError:
                raise Invalid(f"{name} is no date or time") from None
    if made.get("starts") and made.get("ends") and made["ends"] < made["starts"]:
        raise Invalid("the end lies before the start")
    for name, table in (("owner", t.employee), ("account", t.account), ("contact", t.contact)):
        if made.get(name) and connection.execute(select(table.c.id).where(table.c.id == made[name])).first() is None:
            raise Invalid(f"no {name} {made[name]!r}")
    if (
        "status" in made
        and connection.execute(select(t.status).where(t.status.c.code == made["status"])).first() is None
    ):
        codes = [r[0] for r in connection.execute(select(t.status.c.code).order_by(t.status.c.position))]
        raise Invalid(f"status {made['status']!r} is none of {', '.join(codes)}")
    for name in _LISTS:
        if name in made:
            made[name] = json.dumps(sorted(made[name]), ensure_ascii=False)
    return made


def create(
    connection: Connection, kind: str, values: Mapping[str, Any], *, by: str, key: str | None, at: str
) -> Activity:
    """A new activity; the account and contact are found by the participants' addresses."""
    made = checked(connection, kind, values)
    if key is not None and connection.execute(select(t.activity.c.guid).where(t.activity.c.key == key)).first():
        raise Duplicate(key)
    guid = str(uuid4())
    people = values.get("participants") or People()
    made = {"account": None, "contact": None, **made}
    if made["account"] is None and made["contact"] is None:
        made |= _customer(connection, people)
    elif made["account"] is None:
        made["account"] = connection.execute(
            select(t.contact.c.account).where(t.contact.c.id == made["contact"])
        ).scalar()
    own = {"guid": guid, "kind": kind, "key": key, "version": 1, "created": at, "changed": at}
    try:
        connection.execute(insert(t.activity).values(**made, **own, seq=next_seq(connection)))
    except IntegrityError:
        raise Duplicate(key) from None
    _set_people(connection, guid, people)
    return load(connection, [guid])[guid]


def _customer(connection: Connection, people: People) -> dict[str, str | None]:
    known = resolve(connection, people)
    contact = next((p for p in known.values() if p.type == "contact"), None)
    account = next((p for p in known.values() if p.type == "account"), None)
    return {
        "contact": contact.id if contact else None,
        "account": contact.account if contact else account.id if account else None,
    }


def _set_people(connection: Connection, guid: str, people: Iterable[str] | People) -> None:
    connection.execute(sql_delete(t.participant).where(t.participant.c.activity == guid))
    rows = [
        {"activity": guid, "address": normal_address(p.address), "name": p.name, "answer": p.answer}
        for p in (people.values() if isinstance(people, People) else [Participant(a) for a in people])
    ]
    if any(r["answer"] not in ANSWERS for r in rows):
        raise Invalid(f"an answer is one of {', '.join(ANSWERS)}")
    if rows:
        connection.execute(insert(t.participant), rows)


def edit(
    connection: Connection, guid: str, values: Mapping[str, Any], *, by: str, expected: int | None, at: str
) -> Activity:
    """Changes fields and keeps what stood there in the history."""
    old = load(connection, [guid]).get(guid)
    if old is None:
        raise NotFound(guid)
    if expected is not None and old.version != expected:
        raise Conflict(guid)
    made = checked(connection, old.kind, values)
    if ("starts" in made or "ends" in made) and made.get("ends", old.ends) < made.get("starts", old.starts):
        raise Invalid("the end lies before the start")
    for name in values:
        before = getattr(old, name, None)
        text = ", ".join(f"{a} ({p.answer})" for a, p in before.items()) if isinstance(before, People) else before
        text = ", ".join(before) if isinstance(before, tuple) else text
        same = before == values[name] or (isinstance(before, tuple) and set(before) == set(values[name]))
        if same or text in (None, "", False, 0):
            continue
        remember(connection, guid, {name: str(text)}, by=by, at=at, key=None)
    stamp = {"version": old.version + 1, "changed": at, "seq": next_seq(connection)}
    still = (t.activity.c.guid == guid) & (t.activity.c.version == old.version)
    if connection.execute(update(t.activity).where(still).values(**made, **stamp)).rowcount == 0:
        raise Conflict(guid)
    if "participants" in values:
        _set_people(connection, guid, values["participants"])
    return load(connection, [guid])[guid]


def remember(connection: Connection, guid: str, lines: Mapping[str, str], *, by: str, at: str, key: str | None) -> None:
    """Adds values to the history; with a key, once."""
    h = t.history
    if key is not None:
        known = select(h.c.id).where(h.c.activity == guid, h.c.key == key)
        if connection.execute(known).first() is not None:
            return
    rows = [{"activity": guid, "at": at, "by": by, "field": f, "text": x, "key": key} for f, x in lines.items()]
    if rows:
        connection.execute(insert(h), rows)


def history(connection: Connection, guid: str) -> list[dict[str, Any]]:
    """What stood in the fields before, oldest first."""
    found = connection.execute(select(t.history).where(t.history.c.activity == guid).order_by(t.history.c.id))
    return [{k: r[k] for k in ("at", "by", "field", "text")} for r in found.mappings()]


def delete(connection: Connection, guid: str, *, expected: int | None) -> None:
    """Removes an activity, its participants and its history; the feed tells of it."""
    old = load(connection, [guid]).get(guid)
    if old is None:
        raise NotFound(guid)
    if expected is not None and old.version != expected:
        raise Conflict(guid)
    for table in (t.participant, t.history):
        connection.execute(sql_delete(table).where(table.c.activity == guid))
    f = t.follow_up.c
    connection.execute(sql_delete(t.follow_up).where(or_(f.predecessor == guid, f.follower == guid)))
    still = (t.activity.c.guid == guid) & (t.activity.c.version == old.version)
    if connection.execute(sql_delete(t.activity).where(still)).rowcount == 0:
        raise Conflict(guid)
    connection.execute(insert(t.gone).values(guid=guid, seq=next_seq(connection)))


def erase_history(connection: Connection, guid: str) -> None:
    """Forgets what stood in the fields before (an item became private)."""
    connection.execute(sql_delete(t.history).where(t.history.c.activity == guid))


def feed(connection: Connection, since: int, limit: int, *, listing: bool) -> list[tuple[int, str, bool]]:
    """(number, GUID, gone) of what happened after `since`, in order; a listing names only what is there."""
    a, g = t.activity.c, t.gone.c
    here = select(a.seq, a.guid).where(a.seq > since).order_by(a.seq).limit(limit)
    found = [(int(s), str(guid), False) for s, guid in connection.execute(here)]
    if not listing:
        there = select(g.seq, g.guid).where(g.seq > since).order_by(g.seq).limit(limit)
        found += [(int(s), str(guid), True) for s, guid in connection.execute(there)]
    return sorted(found)[:limit]


def last_seq(connection: Connection) -> int:
    """The number of the latest change."""
    return int(connection.execute(select(t.counter.c.value).where(t.counter.c.name == "seq")).scalar() or 0)


def search(
    connection: Connection,
    *,
    text: str = "",
    kinds: Sequence[str] = (),
    status: Sequence[str] = (),
    owner: str = "",
    address: str = "",
    account: str = "",
    after: str = "",
    before: str = "",
    limit: int = 200,
) -> list[Activity]:
    """Activities by words (all of them, in subject, notes, place or people), kind, status, owner,
    participant's address, account and time, by time."""
    a, p = t.activity.c, t.participant.c
    statement = select(a.guid).order_by(func.coalesce(func.nullif(a.starts, ""), a.due), a.guid).limit(limit)
    for word in normal_text(text).split():
        pattern = f"%{word.replace('%', '').replace('_', '')}%"
        people = select(p.activity).where(or_(p.address.ilike(pattern), p.name.ilike(pattern)))
        accounts = select(t.account.c.id).where(t.account.c.name.ilike(pattern))
        statement = statement.where(
            or_(
                a.subject.ilike(pattern),
                a.notes.ilike(pattern),
                a.location.ilike(pattern),
                a.guid.in_(people),
                a.account.in_(accounts),
            )
        )
    for column, wanted in ((a.kind, kinds), (a.status, status)):
        if wanted:
            statement = statement.where(column.in_(wanted))
    for column, value in ((a.owner, owner), (a.account, account)):
        if value:
            statement = statement.where(column == value)
    if address:
        mine = select(p.activity).where(p.address == address)
        owned = select(t.employee.c.id).where(t.employee.c.address == address)
        statement = statement.where(or_(a.guid.in_(mine), a.owner.in_(owned)))
    if after:
        statement = statement.where(or_(a.ends >= after, a.due >= after))
    if before:
        statement = statement.where(or_((a.starts != "") & (a.starts < before), (a.due != "") & (a.due < before)))
    guids = [r[0] for r in connection.execute(statement)]
    found = load(connection, guids)
    return [found[g] for g in guids]
