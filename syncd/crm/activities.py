"""Activities: appointments, tasks and interaction logs, with versions, history and a change feed.

Functions on an open connection, so that several can be one transaction; whoever calls them says as
whom (`syncd.crm.access`). Times are text as `syncd.model.span.moment_key` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy import delete as sql_delete

from syncd.crm import belongings, series
from syncd.crm import tables as t
from syncd.crm.access import SYSTEM, System, Viewer, owns, visible, visible_to_address
from syncd.crm.belongings import NotFound as NotFound  # what looks for an activity looks here for the error
from syncd.crm.people import TRANSACTION_TYPES, Party, resolve
from syncd.model.fields import normal_text
from syncd.model.files import File, Files
from syncd.model.people import ANSWERS, Participant, People, normal_address, normal_domain
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
    "appointment",
    "transactions",
    "attachments",
)
#: Those that stand in tables of their own.
_ELSEWHERE = ("participants", "transactions", "attachments")


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
    #: "opportunity 4711": type and number of the transactions that it follows.
    transactions: tuple[str, ...]
    attachments: Files
    appointment: str
    uid: str
    key: str | None
    version: int
    created: str
    changed: str
    seq: int


def _activity(row: Mapping[str, Any], people: People, transactions: Iterable[str], files: Iterable[File]) -> Activity:
    values = {name: row[name] for name in Activity.__dataclass_fields__ if name in row}
    values["categories"] = tuple(json.loads(row["categories"]))
    values["owner_address"] = row["owner_address"] or ""
    values |= {"participants": people, "transactions": tuple(sorted(transactions)), "attachments": Files(files)}
    return Activity(**values)


def load(connection: Connection, guids: Sequence[str], viewer: Viewer) -> dict[str, Activity]:
    """GUID -> activity, for those that there are for the viewer."""
    return _loaded(connection, guids, viewer, visible(viewer))


def _loaded(
    connection: Connection, guids: Sequence[str], viewer: Viewer, which: ColumnElement[bool]
) -> dict[str, Activity]:
    """As `load`, of those for which the condition holds; in each, what is its owner's alone is left out."""
    if not guids:
        return {}
    joined = t.activity.outerjoin(t.employee, t.activity.c.owner == t.employee.c.id)
    columns = [*t.activity.c, t.employee.c.address.label("owner_address")]
    statement = (
        select(*columns).select_from(joined).where(t.activity.c.guid.in_(guids), which).order_by(t.activity.c.guid)
    )
    rows = [dict(r) for r in connection.execute(statement).mappings()]
    there = [r["guid"] for r in rows]
    people: dict[str, list[Participant]] = {}
    found = connection.execute(select(t.participant).where(t.participant.c.activity.in_(there))).mappings()
    for p in found:
        people.setdefault(p["activity"], []).append(Participant(p["address"], p["name"], p["answer"], p["role"]))
    for row in rows:
        if row["recurrence"] and not owns(viewer, row):
            row["recurrence"] = series.for_others(row["recurrence"])
    mails = [r["guid"] for r in rows if r["kind"] not in ("appointment", "task")]
    transactions, files = belongings.predecessors(connection, mails), belongings.files(connection, mails)
    return {
        g: _activity(r, People(people.get(g, ())), transactions.get(g, ()), files.get(g, ()))
        for r in rows
        for g in (r["guid"],)
    }


def next_seq(connection: Connection, count: int = 1) -> int:
    """The next number of the change feed; the first, when several are taken."""
    where = t.counter.c.name == "seq"
    if connection.execute(update(t.counter).where(where).values(value=t.counter.c.value + count)).rowcount == 0:
        connection.execute(insert(t.counter).values(name="seq", value=count))
    return int(connection.execute(select(t.counter.c.value).where(where)).scalar_one()) - count + 1


_REFERS = {"owner": t.employee, "account": t.account, "contact": t.contact}


@dataclass(frozen=True)
class Lists:
    """What values may refer to: status codes in their order, and those of the ids asked for that exist."""

    statuses: tuple[str, ...]
    ids: Mapping[str, frozenset[str]]


def lists(connection: Connection, several: Sequence[Mapping[str, Any]]) -> Lists:
    """Everything that checking these values needs, read at once."""
    codes = connection.execute(select(t.status.c.code).order_by(t.status.c.position))
    ids: dict[str, frozenset[str]] = {}
    for name, table in _REFERS.items():
        wanted = {v[name] for v in several if v.get(name)}
        found = connection.execute(select(table.c.id).where(table.c.id.in_(wanted))) if wanted else ()
        ids[name] = frozenset(f[0] for f in found)
    return Lists(tuple(c[0] for c in codes), ids)


def checked(known: Lists, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as columns. Raises Invalid."""
    made = {k: v for k, v in values.items() if k not in _ELSEWHERE}
    if values.get("transactions"):
        bad = [x for x in values["transactions"] if x.partition(" ")[0] not in TRANSACTION_TYPES]
        if bad:
            raise Invalid(f"a transaction is one of {', '.join(TRANSACTION_TYPES)} with its number")
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
    try:
        series.recurrence_from(made.get("recurrence", ""))
    except ValueError:
        raise Invalid("recurrence is none that the CRM has written") from None
    if made.get("starts") and made.get("ends") and made["ends"] < made["starts"]:
        raise Invalid("the end lies before the start")
    for name, ids in known.ids.items():
        if made.get(name) and made[name] not in ids:
            raise Invalid(f"no {name} {made[name]!r}")
    if "status" in made and made["status"] not in known.statuses:
        raise Invalid(f"status {made['status']!r} is none of {', '.join(known.statuses)}")
    people = values.get("participants")
    if isinstance(people, People) and any(p.answer not in ANSWERS for p in people.values()):
        raise Invalid(f"an answer is one of {', '.join(ANSWERS)}")
    for name in _LISTS:
        if name in made:
            made[name] = json.dumps(sorted(made[name]), ensure_ascii=False)
    return made


@dataclass(frozen=True)
class New:
    """An activity to be made."""

    kind: str
    values: Mapping[str, Any]
    key: str | None = None


def create_all(connection: Connection, several: Sequence[New], *, at: str) -> list[str | Duplicate | Invalid]:
    """New activities in their order: each one's GUID, or why it was not made.

    Raises IntegrityError when somebody takes one of the keys at the same moment.
    """
    known = lists(connection, [n.values for n in several])
    keys = [n.key for n in several if n.key is not None]
    taken = {k for (k,) in connection.execute(select(t.activity.c.key).where(t.activity.c.key.in_(keys)))}
    customers = resolve(connection, {a for n in several for a in n.values.get("participants") or ()})
    made: list[str | Duplicate | Invalid] = []
    rows: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    extras: list[tuple[str, str, Mapping[str, Any]]] = []
    for new in several:
        if new.key is not None and new.key in taken:
            made.append(Duplicate(new.key))
            continue
        try:
            values = checked(known, new.kind, new.values)
        except Invalid as error:
            made.append(error)
            continue
        if new.key is not None:
            taken.add(new.key)
        guid = str(uuid4())
        participants = new.values.get("participants") or People()
        values = _NOTHING | values | _customer(connection, values, participants, customers)
        rows.append({**values, "guid": guid, "kind": new.kind, "key": new.key, "created": at, "changed": at})
        people += _participants(guid, participants)
        extras.append((guid, new.kind, new.values))
        made.append(guid)
    if rows:
        first = next_seq(connection, len(rows))
        connection.execute(insert(t.activity), [{**row, "seq": first + n} for n, row in enumerate(rows)])
    if people:
        connection.execute(insert(t.participant), people)
    belongings.set_transactions(connection, [(g, k, v["transactions"]) for g, k, v in extras if v.get("transactions")])
    belongings.set_files(connection, [(g, v["attachments"]) for g, _, v in extras if v.get("attachments")])
    return made


#: What stands in a new activity where nothing is said; all rows of one INSERT name the same columns.
_NOTHING: dict[str, Any] = {
    c.name: c.default.arg  # type: ignore[attr-defined]
    for c in t.activity.columns
    if c.default is not None and not callable(c.default.arg)  # type: ignore[attr-defined]
} | {"version": 1, "owner": None, "account": None, "contact": None}


def _customer(
    connection: Connection, values: Mapping[str, Any], people: Iterable[str], known: Mapping[str, Party]
) -> dict[str, str | None]:
    """The account and contact of a new activity: as said, else found among its people."""
    if values.get("account"):
        return {}
    if values.get("contact"):
        account = select(t.contact.c.account).where(t.contact.c.id == values["contact"])
        return {"account": connection.execute(account).scalar()}
    parties = [known[a] for a in sorted(people) if a in known]
    contact = next((p for p in parties if p.type == "contact"), None)
    account_ = next((p for p in parties if p.type == "account"), None)
    return {
        "contact": contact.id if contact else None,
        "account": contact.account if contact else account_.id if account_ else None,
    }


def _participants(guid: str, people: Iterable[str] | People) -> list[dict[str, Any]]:
    return [
        {"activity": guid, "address": normal_address(p.address), "name": p.name, "answer": p.answer, "role": p.role}
        for p in (people.values() if isinstance(people, People) else [Participant(a) for a in people])
    ]


def _set_people(connection: Connection, guid: str, people: Iterable[str] | People) -> None:
    connection.execute(sql_delete(t.participant).where(t.participant.c.activity == guid))
    rows = _participants(guid, people)
    if rows:
        connection.execute(insert(t.participant), rows)


def edit(
    connection: Connection, guid: str, values: Mapping[str, Any], *, by: Viewer, expected: int | None, at: str
) -> Activity:
    """Changes fields and keeps what stood there in the history; what the values do not say of a series'
    recurrence follows (`series.followed`). Raises NotFound, Conflict, Invalid."""
    old = load(connection, [guid], by).get(guid)
    if old is None:
        raise NotFound(guid)
    if expected is not None and old.version != expected:
        raise Conflict(guid)
    held = str(connection.execute(select(t.activity.c.recurrence).where(t.activity.c.guid == guid)).scalar() or "")
    made = checked(lists(connection, [values]), old.kind, values)
    if ("starts" in made or "ends" in made) and made.get("ends", old.ends) < made.get("starts", old.starts):
        raise Invalid("the end lies before the start")
    if made.get("owner", old.owner) != old.owner and not owns(by, vars(old)) and _hides(connection, guid, held):
        raise Invalid("part of it is its owner's alone: only the owner can give it to somebody else")
    for name in sorted(values, key=lambda n: n == "private"):  # last: what stands before it was private too
        before = getattr(old, name, None)
        text = ", ".join(f"{a} ({p.answer})" for a, p in before.items()) if isinstance(before, People) else before
        text = ", ".join(before) if isinstance(before, tuple) else text
        text = ", ".join(f.name for f in before) if isinstance(before, Files) else text
        text = held if name == "recurrence" else text
        same = before == values[name] or (isinstance(before, tuple) and set(before) == set(values[name]))
        if same or text in (None, "", False, 0):
            continue
        remember(connection, guid, {name: str(text)}, by=by, at=at, key=None)
    if "recurrence" in made:
        made["recurrence"] = made["recurrence"] if owns(by, vars(old)) else series.with_hidden(made["recurrence"], held)
    elif held:
        made["recurrence"] = series.followed(held, _of_series(vars(old)), _of_series({**vars(old), **values}))
    stamp = {"version": old.version + 1, "changed": at, "seq": next_seq(connection)}
    still = (t.activity.c.guid == guid) & (t.activity.c.version == old.version)
    if connection.execute(update(t.activity).where(still).values(**made, **stamp)).rowcount == 0:
        raise Conflict(guid)
    if "participants" in values:
        _set_people(connection, guid, values["participants"])
    if "transactions" in values:
        belongings.set_transactions(connection, [(guid, old.kind, values["transactions"])])
    if "attachments" in values:
        belongings.set_files(connection, [(guid, values["attachments"])])
    if made.get("private") and not old.private:
        unname_followers(connection, guid, at=at, keeps=str(made.get("owner", old.owner) or ""))
    return _loaded(connection, [guid], by, true())[guid]  # also to whom it is gone by what it has become


def _of_series(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a series in which its occurrences may differ."""
    names = ("subject", "notes", "location", "status", "priority", "private")
    fields: dict[str, Any] = {name: columns[name] for name in names}
    people = columns["participants"]
    fields["participants"] = people if isinstance(people, People) else People([Participant(a) for a in people])
    fields["categories"] = frozenset(columns["categories"])
    zone, starts = columns["zone"], columns["starts"]
    fields["time"] = series.span_of(starts, columns["ends"], zone) if starts else None
    return fields


def _hides(connection: Connection, guid: str, recurrence: str) -> bool:
    """True when something of the activity is its owner's alone."""
    was = select(t.history.c.id).where(t.history.c.activity == guid, t.history.c.field == "private")
    return bool(series.hidden(recurrence)) or connection.execute(was.limit(1)).first() is not None


def remember(
    connection: Connection, guid: str, lines: Mapping[str, str], *, by: Viewer, at: str, key: str | None
) -> None:
    """Adds values to the history; with a key, once."""
    h = t.history
    if key is not None:
        known = select(h.c.id).where(h.c.activity == guid, h.c.key == key)
        if connection.execute(known).first() is not None:
            return
    rows = [{"activity": guid, "at": at, "by": str(by), "field": f, "text": x, "key": key} for f, x in lines.items()]
    if rows:
        connection.execute(insert(h), rows)


def history(connection: Connection, guid: str, viewer: Viewer) -> list[dict[str, Any]]:
    """What stood in the fields before, oldest first; to others than the owner not what stood there while the
    activity was private, nor its private occurrences."""
    h = t.history.c
    owner = connection.execute(select(t.activity.c.owner).where(t.activity.c.guid == guid, visible(viewer))).first()
    if owner is None:
        return []
    statement = select(t.history).where(h.activity == guid).order_by(h.id)
    whole = owns(viewer, {"owner": owner[0]})
    if not whole:
        private = select(func.coalesce(func.max(h.id), 0)).where(h.activity == guid, h.field == "private")
        statement = statement.where(h.id > private.scalar_subquery())
    found = [{k: r[k] for k in ("at", "by", "field", "text")} for r in connection.execute(statement).mappings()]
    return found if whole else [r for r in map(_for_others, found) if r is not None]


def _for_others(line: dict[str, Any]) -> dict[str, Any] | None:
    if line["field"] != "recurrence":
        return line
    try:
        return {**line, "text": series.for_others(line["text"])}
    except ValueError:  # words that lost a conflict: nobody knows of which occurrence
        return None


def delete(connection: Connection, guid: str, *, by: Viewer, expected: int | None) -> None:
    """Removes an activity, its participants and its history; the feed tells of it. Raises NotFound, Conflict."""
    old = load(connection, [guid], by).get(guid)
    if old is None:
        raise NotFound(guid)
    if expected is not None and old.version != expected:
        raise Conflict(guid)
    still = (t.activity.c.guid == guid) & (t.activity.c.version == old.version)
    belongings.set_files(connection, [(guid, ())])
    for table in (t.participant, t.history):
        connection.execute(sql_delete(table).where(table.c.activity == guid))
    f = t.follow_up.c
    connection.execute(sql_delete(t.follow_up).where(or_(f.predecessor == guid, f.follower == guid)))
    if connection.execute(sql_delete(t.activity).where(still)).rowcount == 0:
        raise Conflict(guid)
    connection.execute(insert(t.gone).values(guid=guid, seq=next_seq(connection)))


#: What an activity is called whose name was that of another, which may not be read any more.
UNNAMED = "Follow-up"


def unname_followers(connection: Connection, guid: str, *, at: str, keeps: str = "") -> None:
    """The activity's name may not be read any more by whoever reads it now: what follows it under that name, or one
    that it had before, which was copied, is private too where `keeps` (an employee) owns it, and has another name
    elsewhere."""
    f, h = t.follow_up.c, t.history.c
    old = load(connection, [guid], SYSTEM).get(guid)
    before = select(h.text).where(h.activity == guid, h.field == "subject")
    names = {old.subject if old is not None else "", *(text for (text,) in connection.execute(before))} - {""}
    seen, asked = {guid}, [guid]
    while asked:
        wanted = select(f.follower).where(f.predecessor == asked.pop(), f.follower_type.in_(KINDS)).order_by(f.id)
        found = [g for (g,) in connection.execute(wanted) if g not in seen]
        seen.update(found)
        asked += found
        for follower in load(connection, found, SYSTEM).values():
            if follower.subject in names:
                mine = bool(keeps) and follower.owner == keeps
                change = {"private": True} if mine else {"subject": UNNAMED}
                edit(connection, follower.guid, change, by=SYSTEM, expected=None, at=at)
            if not (keeps and follower.owner == keeps):
                said = (h.activity == follower.guid) & (h.field == "subject") & h.text.in_(names)
                connection.execute(sql_delete(t.history).where(said))


def erase_history(connection: Connection, guid: str) -> None:
    """Forgets what stood in the fields before (an item became private)."""
    connection.execute(sql_delete(t.history).where(t.history.c.activity == guid))


def feed(
    connection: Connection, since: int, limit: int, viewer: System, *, listing: bool
) -> list[tuple[int, str, bool]]:
    """(number, GUID, gone) of what happened after `since`, in order; a listing names only what is there.

    One statement, so one snapshot: of an activity that moves up between two of them, neither number would
    be seen. Numbers become visible in their order, as whoever takes one holds the counter's row (in SQLite
    the whole file) until the end of the transaction.
    """
    a, g = t.activity.c, t.gone.c
    here = select(a.seq.label("seq"), a.guid.label("guid"), literal(0).label("gone")).where(a.seq > since)
    there = select(g.seq, g.guid, literal(1)).where(g.seq > since)
    both = (here if listing else union_all(here, there)).subquery()
    found = connection.execute(select(both).order_by(both.c.seq).limit(limit))
    return [(int(seq), str(guid), bool(gone)) for seq, guid, gone in found]


def deleted(connection: Connection, guids: Sequence[str], viewer: System) -> frozenset[str]:
    """Of these activities, those that somebody has deleted."""
    return frozenset(str(g) for (g,) in connection.execute(select(t.gone.c.guid).where(t.gone.c.guid.in_(guids))))


def latest(connection: Connection, until: int, viewer: System) -> tuple[int, str] | None:
    """Number and GUID of the latest change up to a number."""
    found = [
        connection.execute(select(c.seq, c.guid).where(c.seq <= until).order_by(c.seq.desc()).limit(1)).first()
        for c in (t.activity.c, t.gone.c)
    ]
    return max(((int(f[0]), str(f[1])) for f in found if f is not None), default=None)


_KNOWN = [
    select(c.seq).where(c.guid == bindparam("guid"), c.seq >= bindparam("number")).limit(1)
    for c in (t.activity.c, t.gone.c)
]


def is_known(connection: Connection, guid: str, number: int, viewer: System) -> bool:
    """True when an activity has been changed or deleted with that number, or a later one."""
    return any(connection.execute(known, {"guid": guid, "number": number}).first() is not None for known in _KNOWN)


def alike(
    connection: Connection, several: Sequence[Mapping[str, Any]], address: str, viewer: System
) -> list[list[Activity]]:
    """For each of these values (kind, uid, starts, ends, due) the activities of the employee or
    participant that have the same UID, or the same kind and times; somebody else's private one is none."""
    a, p = t.activity.c, t.participant.c
    address = normal_address(address)
    names = ("uid", "starts", "due")
    wanted = {name: {v[name] for v in several if v.get(name)} for name in names}
    mine = or_(
        a.owner.in_(select(t.employee.c.id).where(t.employee.c.address == address)),
        exists().where(p.activity == a.guid, p.address == address),  # not IN: that would read all of the employee's
    )
    any_of = [getattr(a, name).in_(values) for name, values in wanted.items() if values]
    if not any_of:
        return [[] for _ in several]
    seen = visible_to_address(address)
    guids = [g for (g,) in connection.execute(select(a.guid).where(mine, seen, or_(*any_of)).order_by(a.guid))]
    found = load(connection, guids, viewer)
    by: dict[tuple[str, str], list[Activity]] = {}
    for activity in found.values():
        for name in names:
            if getattr(activity, name):
                by.setdefault((name, getattr(activity, name)), []).append(activity)
    made = []
    for values in several:
        same_uid = by.get(("uid", values.get("uid") or ""), [])
        likely = [*by.get(("starts", values.get("starts") or ""), ()), *by.get(("due", values.get("due") or ""), ())]
        times = [x for x in likely if all(getattr(x, n) == values.get(n, "") for n in ("starts", "ends", "due"))]
        both = {x.guid: x for x in [*same_uid, *times] if x.kind == values["kind"]}
        made.append(list(both.values()))
    return made


_LAST_SEQ = select(t.counter.c.value).where(t.counter.c.name == "seq")


def last_seq(connection: Connection) -> int:
    """The number of the latest change."""
    return int(connection.execute(_LAST_SEQ).scalar() or 0)


def _as_kept(word: str) -> str:
    """A word as it stands in an address, if it is one or the end of one."""
    local, at, domain = word.rpartition("@")
    return f"{local}{at}{normal_domain(domain)}" if at or "." in word else word


def search(
    connection: Connection,
    viewer: Viewer,
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
    """Activities that there are for the viewer, by words (all of them, in subject, notes, place or people),
    kind, status, owner, participant's address, account and time, by time."""
    a, p = t.activity.c, t.participant.c
    statement = select(a.guid).where(visible(viewer))
    statement = statement.order_by(func.coalesce(func.nullif(a.starts, ""), a.due), a.guid).limit(limit)
    for word in normal_text(text).split():
        pattern = f"%{word.replace('%', '').replace('_', '')}%"
        spelt = f"%{_as_kept(word).replace('%', '').replace('_', '')}%"
        people = select(p.activity).where(or_(p.address.ilike(pattern), p.address.ilike(spelt), p.name.ilike(pattern)))
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
        address = normal_address(address)
        mine = select(p.activity).where(p.address == address)
        owned = select(t.employee.c.id).where(t.employee.c.address == address)
        statement = statement.where(or_(a.guid.in_(mine), a.owner.in_(owned)))
    if after:
        statement = statement.where(or_(a.ends >= after, a.due >= after))
    if before:
        statement = statement.where(or_((a.starts != "") & (a.starts < before), (a.due != "") & (a.due < before)))
    guids = [r[0] for r in connection.execute(statement)]
    found = load(connection, guids, viewer)
    return [found[g] for g in guids if g in found]
