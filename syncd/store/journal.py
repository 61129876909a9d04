"""What people look at: conflicts, parked links, explain records, the ledger, runs; and `forget`.

Functions on a `Transaction`, apart from the engine's own bookkeeping.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from syncd.store import tables as t
from syncd.store.lease import lease_name
from syncd.store.rows import Conflict, Parked, Pending
from syncd.store.transaction import WAITS, Transaction, pack, unpack

_EXPLAIN, _LEDGER = insert(t.explain), insert(t.ledger)
_UNPARK = delete(t.parked).where(
    t.parked.c.pairing == bindparam("b_pairing"),
    t.parked.c.side == bindparam("b_side"),
    t.parked.c.ref == bindparam("b_ref"),
)
_SETTLED = delete(t.conflict).where(
    t.conflict.c.link == bindparam("b_link"), t.conflict.c.field.not_in(bindparam("still", expanding=True))
)

#: Explain records kept for one activity; older ones go.
MOST_EXPLAINED = 50


def note_decision(
    tx: Transaction, *, at: str, pairing: str, link: int, row: int, rule: str, detail: Mapping[str, Any]
) -> None:
    """A short record of why: rule, fields, sides; no content."""
    text = json.dumps(detail, sort_keys=True)
    values = {"at": at, "pairing": pairing, "link": link, "activity": row, "rule": rule, "detail": text}
    tx.connection.execute(_EXPLAIN, values)


def decisions(tx: Transaction, row: int) -> list[dict[str, Any]]:
    """The decisions on an activity, newest first."""
    statement = select(t.explain).where(t.explain.c.activity == row).order_by(t.explain.c.id.desc())
    found = tx.connection.execute(statement.limit(MOST_EXPLAINED)).mappings().all()
    return [{**dict(f), "detail": json.loads(f["detail"])} for f in found]


def note_crossing(
    tx: Transaction, *, at: str, pairing: str, link: int, way: str, fields: Iterable[str], rule: str
) -> None:
    """The ledger's line for one crossing."""
    names = ",".join(sorted(fields))
    values = {"at": at, "pairing": pairing, "link": link, "way": way, "fields": names, "rule": rule}
    tx.connection.execute(_LEDGER, values)


def note_crossings(
    tx: Transaction, *, at: str, pairing: str, way: str, rule: str, crossed: Sequence[tuple[int, Iterable[str]]]
) -> None:
    """The ledger's lines for many: (link, fields)."""
    same = {"at": at, "pairing": pairing, "way": way, "rule": rule}
    rows = [{**same, "link": link, "fields": ",".join(sorted(names))} for link, names in crossed]
    if rows:
        tx.connection.execute(_LEDGER, rows)


def crossings(tx: Transaction, links: Iterable[int]) -> list[dict[str, Any]]:
    """The ledger's lines for these links, oldest first."""
    statement = select(t.ledger).where(t.ledger.c.link.in_(list(links))).order_by(t.ledger.c.id)
    return [dict(f) for f in tx.connection.execute(statement).mappings()]


def park(tx: Transaction, entry: Parked) -> None:
    """It cannot go on by itself; the first time counts as since when."""
    where = (t.parked.c.pairing == entry.pairing) & (t.parked.c.side == entry.side) & (t.parked.c.ref == entry.ref)
    since = tx.connection.execute(select(t.parked.c.since).where(where)).scalar()
    tx.upsert(t.parked, [{**vars(entry), "since": since or entry.since}])


def unpark(tx: Transaction, pairing: str, side: str, ref: str) -> None:
    """It went on."""
    tx.connection.execute(_UNPARK, {"b_pairing": pairing, "b_side": side, "b_ref": ref})


def unpark_all(tx: Transaction, pairing: str, entries: Iterable[Pending]) -> None:
    """They went on."""
    rows = [{"b_pairing": pairing, "b_side": e.side, "b_ref": e.ref} for e in entries]
    if rows:
        tx.connection.execute(_UNPARK, rows)


def parked(tx: Transaction, pairing: str | None = None) -> list[Parked]:
    """What is parked."""
    statement = select(t.parked).order_by(t.parked.c.since, t.parked.c.ref)
    if pairing is not None:
        statement = statement.where(t.parked.c.pairing == pairing)
    return [Parked(**dict(f)) for f in tx.connection.execute(statement).mappings()]


def keep_conflict(tx: Transaction, *, pairing: str, link: int, field: str, since: str, item: str, crm: str) -> None:
    """Both values wait for a person's word; asked again, the values are brought up to date."""
    values = {"item_value": pack(item), "crm_value": pack(crm)}
    where = (t.conflict.c.link == link) & (t.conflict.c.field == field)
    if tx.connection.execute(update(t.conflict).where(where).values(**values)).rowcount == 0:
        tx.connection.execute(insert(t.conflict).values(pairing=pairing, link=link, field=field, since=since, **values))


def close_conflicts(tx: Transaction, link: int, still: Iterable[str]) -> None:
    """Conflicts of the link that are settled: all but these fields."""
    tx.connection.execute(_SETTLED, {"b_link": link, "still": list(still)})


def conflicts(tx: Transaction, pairing: str | None = None, link: int | None = None) -> list[Conflict]:
    """The conflict queue."""
    statement = select(t.conflict).order_by(t.conflict.c.id)
    if pairing is not None:
        statement = statement.where(t.conflict.c.pairing == pairing)
    if link is not None:
        statement = statement.where(t.conflict.c.link == link)
    found = []
    for f in tx.connection.execute(statement).mappings():
        values = dict(f)
        values["item_value"], values["crm_value"] = unpack(f["item_value"]), unpack(f["crm_value"])
        found.append(Conflict(**values))
    return found


_STANDING = select(
    *(
        select(func.count()).select_from(table).where(table.c.pairing == bindparam("pairing")).scalar_subquery()
        for table in (t.parked, t.conflict)
    ),
    select(func.count()).select_from(t.link).where(t.link.c.pairing == bindparam("pairing"), WAITS).scalar_subquery(),
)


def standing(tx: Transaction, pairing: str) -> tuple[int, int, int]:
    """How many entries of a pairing are parked, how many conflicts a person is asked about, and of how many links
    something waits until guests have been told."""
    found = tx.connection.execute(_STANDING, {"pairing": pairing}).one()
    return int(found[0]), int(found[1]), int(found[2])


def decide(tx: Transaction, conflict: int, word: str) -> None:
    """A person's word on a conflict: "crm" or "groupware"; the next pass carries it out."""
    tx.connection.execute(update(t.conflict).where(t.conflict.c.id == conflict).values(word=word))


def end_run(tx: Transaction, pairing: str, at: str, outcome: str, counts: Mapping[str, Any]) -> None:
    """A pass that began then has ended; outcome "ok" means both sides agree."""
    values: dict[str, Any] = {"started": at, "ended": at, "outcome": outcome}
    values["counts"] = json.dumps(counts, sort_keys=True)
    before = runs(tx, pairing).get(pairing, {}).get("totals", {})
    states = ("parked", "conflicts", "held", "resting", "waiting")
    totals = {n: before.get(n, 0) + counts.get(n, 0) for n in {*before, *counts} - set(states)}
    values["totals"] = json.dumps({n: v for n, v in totals.items() if v}, sort_keys=True)
    if outcome == "ok":
        values["agreed"] = at
    tx.upsert(t.run, [{"pairing": pairing, **values}])


_RUN = select(t.run).where(t.run.c.pairing == bindparam("pairing"))


def runs(tx: Transaction, pairing: str | None = None) -> dict[str, dict[str, Any]]:
    """Pairing -> its last pass, and what all passes together have done."""
    wanted, values = (select(t.run), {}) if pairing is None else (_RUN, {"pairing": pairing})
    found = tx.connection.execute(wanted, values).mappings().all()
    return {
        f["pairing"]: {**dict(f), "counts": json.loads(f["counts"]), "totals": json.loads(f["totals"])} for f in found
    }


def approve(tx: Transaction, pairing: str, number: int) -> None:
    """The next pass may delete that many."""
    changed = tx.connection.execute(update(t.run).where(t.run.c.pairing == pairing).values(approved=number))
    if changed.rowcount == 0:
        tx.upsert(t.run, [{"pairing": pairing, "started": "", "approved": number}])


def retire(tx: Transaction, *, decisions: datetime, ledger: datetime) -> tuple[int, int]:
    """Removes explain records and lines of the ledger that are older; returns how many of each."""
    gone = []
    for table, before in ((t.explain, decisions), (t.ledger, ledger)):
        text = before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        gone.append(tx.connection.execute(delete(table).where(table.c.at < text)).rowcount)
    return gone[0], gone[1]


def forget(tx: Transaction, pairings: Iterable[str], feeds: Iterable[str]) -> int:
    """Removes every trace of these pairings; returns how many links went."""
    names = list(pairings)
    mine = select(t.link.c.id).where(t.link.c.pairing.in_(names))
    rows = select(t.link.c.activity).where(t.link.c.pairing.in_(names))
    alone = [f for (f,) in tx.connection.execute(rows)]
    count = int(tx.connection.execute(select(func.count()).select_from(mine.subquery())).scalar_one())
    for table in (t.explain, t.ledger, t.conflict, t.parked, t.pending, t.intent, t.run, t.mark):
        tx.connection.execute(delete(table).where(table.c.pairing.in_(names)))
    for name in names:  # a colleague's record of what came from there
        told = t.explain.c.detail.contains(json.dumps(name), autoescape=True)
        tx.connection.execute(delete(t.explain).where(told))
    tx.connection.execute(delete(t.link).where(t.link.c.pairing.in_(names)))
    left = {f for (f,) in tx.connection.execute(select(t.link.c.activity).where(t.link.c.activity.in_(alone)))}
    gone = [row for row in alone if row not in left]
    tx.connection.execute(delete(t.explain).where(t.explain.c.activity.in_(gone)))
    tx.connection.execute(delete(t.thread).where(t.thread.c.activity.in_(gone)))
    tx.connection.execute(delete(t.row).where(t.row.c.id.in_(gone)))
    tx.connection.execute(delete(t.feed).where(t.feed.c.name.in_(list(feeds))))
    settings = [s for s in tx.settings("") if set(s.split("\n")) & set(names)]  # what, whose, and of whom, line by line
    settings += [f"people {name}" for name in names]
    tx.connection.execute(delete(t.setting).where(t.setting.c.name.in_(settings)))
    tx.connection.execute(delete(t.lease).where(t.lease.c.name.in_([lease_name(n) for n in names])))
    return count
