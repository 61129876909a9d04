"""One transaction on the store: every read and write that the engine's steps are made of.

Nothing here decides; it keeps and finds. Statements are built once, so that a step costs what the
database takes and little more.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row as Found
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql import Executable

from syncd.store import tables as t
from syncd.store.rows import Intent, Link, Pending, Row

_JSON = ("item_base", "crm_base", "unconfirmed")


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...]) -> Executable:
    """Each dialect is imported by whoever uses it: together they take as long as all the rest."""
    made: Any = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    keys = [c.name for c in table.primary_key]
    changed = {name: made.excluded[name] for name in columns if name not in keys}
    return cast(Executable, made.on_conflict_do_update(index_elements=keys, set_=changed))


@cache
def _beginning(dialect: str, name: ColumnElement[str], value: ColumnElement[str]) -> Executable:
    """Compared as bytes, also where the database sorts by a language."""
    exact = name if dialect == "sqlite" else name.collate("C")
    return select(name, value).where(exact >= bindparam("first"), exact < bindparam("after"))


def pack(text: str) -> bytes:
    """Words as they stand in the store."""
    return zlib.compress(text.encode())


def unpack(raw: bytes) -> str:
    """What `pack` made."""
    return zlib.decompress(raw).decode()


_ROW = [t.row.c[name] for name in Row.__dataclass_fields__]
_LINK = [t.link.c[name] for name in Link.__dataclass_fields__]
_INTENT = [t.intent.c[name] for name in Intent.__dataclass_fields__]

_INTENTS = select(*_INTENT).where(t.intent.c.pairing == bindparam("pairing")).order_by(t.intent.c.id)

#: Why a link rests whose item is known not to be there.
_NOT_THERE = ("item-gone", "taken-back", "declined")
_FEED = select(t.feed).where(t.feed.c.name == bindparam("name"))
_PENDING = (
    select(t.pending.c.side, t.pending.c.ref, t.pending.c.seq)
    .where(t.pending.c.pairing == bindparam("pairing"), t.pending.c.side == bindparam("side"))
    .where(t.pending.c.seq > bindparam("after"), t.pending.c.due <= bindparam("today"))
    .order_by(t.pending.c.seq)
    .limit(bindparam("most"))
)
_EXACTLY = and_(
    t.pending.c.pairing == bindparam("p_pairing"),
    t.pending.c.side == bindparam("p_side"),
    t.pending.c.ref == bindparam("p_ref"),
    t.pending.c.seq == bindparam("p_seq"),
)
_CLEAR = delete(t.pending).where(_EXACTLY)
_CHANGE_PENDING = update(t.pending).where(_EXACTLY)
_ROW_BY_ID = select(*_ROW).where(t.row.c.id == bindparam("id"))
_ROWS_BY_ID = select(*_ROW).where(t.row.c.id.in_(bindparam("ids", expanding=True)))
_ROWS_BY_REF = select(*_ROW).where(
    t.row.c.crm == bindparam("crm"), t.row.c.crm_ref.in_(bindparam("refs", expanding=True))
)
_ROWS_BY_CLAIM = select(*_ROW).where(
    t.row.c.crm == bindparam("crm"), t.row.c.claim.in_(bindparam("claims", expanding=True))
)
_ROWS_BY_UID = (
    select(*_ROW)
    .where(t.row.c.crm == bindparam("crm"), t.row.c.kind == bindparam("kind"))
    .where(t.row.c.uid_digest.in_(bindparam("uids", expanding=True)))
    .order_by(t.row.c.id)
)
_ROWS_BY_KEY = select(*_ROW).where(t.row.c.key.in_(bindparam("keys", expanding=True))).order_by(t.row.c.id)
_ADD_ROWS = insert(t.row)
_SET_ROW = update(t.row).where(t.row.c.id == bindparam("b_id"))
_LINK_BY_ID = select(*_LINK).where(t.link.c.id == bindparam("id"))
_LINKS_BY_ITEM = (
    select(*_LINK)
    .where(t.link.c.pairing == bindparam("pairing"), t.link.c.item_ref.in_(bindparam("refs", expanding=True)))
    .order_by(t.link.c.id)
)
_LINKS_OF_ROW = select(*_LINK).where(t.link.c.activity == bindparam("row")).order_by(t.link.c.id)
_LINKS_OF_ROWS = (
    select(*_LINK)
    .where(t.link.c.pairing == bindparam("pairing"), t.link.c.activity.in_(bindparam("rows", expanding=True)))
    .order_by(t.link.c.id)
)
_LINKS_ELSEWHERE = (
    select(*_LINK)
    .where(t.link.c.pairing != bindparam("pairing"), t.link.c.activity.in_(bindparam("rows", expanding=True)))
    .order_by(t.link.c.id)
)
_ADD_LINKS = insert(t.link)
_SET_LINK = update(t.link).where(t.link.c.id == bindparam("b_id"))
_SET_LINK_AND_SHOW = _SET_LINK.returning(*_LINK)
_JOURNAL = insert(t.intent)
_INTENTS_OF_LINKS = (
    select(*_INTENT).where(t.intent.c.link.in_(bindparam("links", expanding=True))).order_by(t.intent.c.id)
)
_CLOSE_INTENT = delete(t.intent).where(t.intent.c.id == bindparam("b_id"))
_OPEN_CREATES = select(t.intent.c.link).where(
    t.intent.c.link.in_(select(t.link.c.id).where(t.link.c.activity == bindparam("row"))),
    t.intent.c.side == "crm",
    t.intent.c.op == "create",
)
#: Something waits; said so that an index finds it.
WAITS = t.link.c.waits > ""
_SETTINGS_OF = select(t.setting.c.name, t.setting.c.value).where(
    t.setting.c.name.in_(bindparam("names", expanding=True))
)
_SETTING = select(t.setting.c.value).where(t.setting.c.name == bindparam("name"))


def _link(found: Found[Any]) -> Link:
    values: dict[str, Any] = dict(found._mapping)
    for name in _JSON:
        values[name] = json.loads(values[name]) if values[name] != "{}" else {}
    values["brought"] = frozenset(json.loads(values["brought"])) if values["brought"] != "[]" else frozenset()
    values["texts"] = json.loads(unpack(values["texts"])) if values["texts"] else {}
    return Link(**values)


def _link_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(values)
    for name in _JSON:
        if name in made:
            made[name] = json.dumps(made[name], sort_keys=True, separators=(",", ":"))
    if "brought" in made:
        made["brought"] = json.dumps(sorted(made["brought"]))
    if "texts" in made:
        made["texts"] = pack(json.dumps(made["texts"], sort_keys=True)) if made["texts"] else None
    return made


def _intent(found: Found[Any]) -> Intent:
    values: dict[str, Any] = dict(found._mapping)
    values["moves"] = json.loads(values["moves"])
    return Intent(**values)


class Transaction:
    """Reads and writes of one step."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _all(self, statement: Executable) -> Sequence[RowMapping]:
        return self.connection.execute(statement).mappings().all()

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds the rows; one whose primary key is there is changed. All name the same columns."""
        if not rows:
            return
        statement = _upsert(self.connection.dialect.name, table, tuple(rows[0]))
        self.connection.execute(statement, list(rows))

    # -- feeds ------------------------------------------------------------------------------------

    def feed(self, name: str) -> RowMapping | None:
        """The feed's place, or None before its first page."""
        return self.connection.execute(_FEED, {"name": name}).mappings().first()

    def set_feed(self, name: str, **values: Any) -> None:
        """Moves the feed's place."""
        self.set_feeds([{"name": name, **values}])

    def set_feeds(self, places: Sequence[Mapping[str, Any]]) -> None:
        """Moves several feeds' places."""
        self.upsert(t.feed, places)

    def drop_feed(self, name: str) -> None:
        """Forgets the feed's place: it is read from its beginning the next time."""
        self.connection.execute(delete(t.feed).where(t.feed.c.name == name))

    def feed_mappings(self, prefix: str) -> dict[str, str]:
        """Of the feeds whose names begin so: name -> the mapping under which they were read."""
        return self._beginning(t.feed.c.name, t.feed.c.mapping, prefix)

    # -- pending ------------------------------------------------------------------------------------

    def announce(self, pairing: str, side: str, refs: Iterable[str], due: str = "") -> None:
        """These refs have news; an earlier announcement of the same is replaced, its number too."""
        wanted = list(dict.fromkeys(refs))
        if not wanted:
            return
        same = {"pairing": pairing, "side": side, "due": due, "held": False}
        numbers = self._numbers(len(wanted))
        self.upsert(t.pending, [{**same, "ref": r, "seq": n} for r, n in zip(wanted, numbers, strict=True)])

    def _numbers(self, count: int) -> Sequence[int]:
        """Numbers that no announcement has had. SQLite has one writer at a time, so a row will do."""
        if self.connection.dialect.name == "postgresql":
            statement = select(t.announcements.next_value()).select_from(func.generate_series(1, count))
            return [int(n) for (n,) in self.connection.execute(statement)]
        found = self.setting("sequence")
        first = int(found) if found else 1
        self.set_setting("sequence", str(first + count))
        return range(first, first + count)

    def pending(self, pairing: str, side: str, after: int, today: str, limit: int) -> list[Pending]:
        """The next announcements that are due, oldest first."""
        values = {"pairing": pairing, "side": side, "after": after, "today": today, "most": limit}
        return [Pending(*f) for f in self.connection.execute(_PENDING, values)]

    def pending_refs(self, pairing: str, side: str) -> list[str]:
        """What has been announced of a side, of whatever day."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.side == side)
        return [f[0] for f in self.connection.execute(select(t.pending.c.ref).where(where))]

    def unlinked_items(self, pairing: str, today: str) -> int:
        """How many announced items no link knows yet; what is parked is not waited for."""
        known = select(t.link.c.item_ref).where(t.link.c.pairing == pairing, t.link.c.item_ref.is_not(None))
        stuck = select(t.parked.c.ref).where(t.parked.c.pairing == pairing, t.parked.c.side == "item")
        where = and_(t.pending.c.pairing == pairing, t.pending.c.side == "item", t.pending.c.due <= today)
        statement = (
            select(func.count())
            .select_from(t.pending)
            .where(where, t.pending.c.ref.not_in(known), t.pending.c.ref.not_in(stuck))
        )
        return int(self.connection.execute(statement).scalar_one())

    def unread_items(self, pairings: Collection[str]) -> bool:
        """Whether items are parked that no link knows: they may be anything."""
        known = select(t.link.c.item_ref).where(t.link.c.pairing.in_(pairings), t.link.c.item_ref.is_not(None))
        where = and_(t.parked.c.pairing.in_(pairings), t.parked.c.side == "item", t.parked.c.ref.not_in(known))
        return self.connection.execute(select(t.parked.c.ref).where(where).limit(1)).first() is not None

    def clear(self, pairing: str, done: Iterable[Pending]) -> None:
        """These announcements are dealt with, unless a newer one has taken their place."""
        exactly = [_exactly(pairing, entry) for entry in done]
        if exactly:
            self.connection.execute(_CLEAR, exactly)

    def postpone(self, pairing: str, entry: Pending, due: str) -> None:
        """Look at it again on that day (``2026-11-24``), or when that reason ends (``~people``, see `wake`),
        unless a newer announcement came."""
        self.connection.execute(_CHANGE_PENDING, {**_exactly(pairing, entry), "due": due})

    def hold(self, pairing: str, entries: Iterable[Pending]) -> None:
        """These wait for an administrator's word."""
        for entry in entries:
            self.connection.execute(_CHANGE_PENDING, {**_exactly(pairing, entry), "held": True})

    def held(self, pairing: str) -> int:
        """How many announcements wait for an administrator's word."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.held.is_(True))
        return int(self.connection.execute(select(func.count()).select_from(t.pending).where(where)).scalar_one())

    # -- activities and links --------------------------------------------------------------------------

    def row(self, id: int) -> Row | None:
        """The activity's row."""
        found = self.connection.execute(_ROW_BY_ID, {"id": id}).first()
        return Row(*found) if found else None

    def rows(self, ids: Sequence[int]) -> dict[int, Row]:
        """Id -> row."""
        return {f[0]: Row(*f) for f in self.connection.execute(_ROWS_BY_ID, {"ids": ids})} if ids else {}

    def rows_by_ref(self, crm: str, refs: Sequence[str]) -> dict[str, Row]:
        """CRM ref -> row."""
        if not refs:
            return {}
        found = [Row(*f) for f in self.connection.execute(_ROWS_BY_REF, {"crm": crm, "refs": refs})]
        return {row.crm_ref: row for row in found if row.crm_ref is not None}

    def rows_by_claim(self, crm: str, claims: Sequence[str]) -> dict[str, Row]:
        """Claim -> the row of the meeting."""
        if not claims:
            return {}
        found = [Row(*f) for f in self.connection.execute(_ROWS_BY_CLAIM, {"crm": crm, "claims": claims})]
        return {row.claim: row for row in found if row.claim is not None}

    def rows_by_uid(self, crm: str, digests: Sequence[str], kind: str) -> dict[str, list[Row]]:
        """UID's digest -> the rows of that kind of activity that carry it: strangers may have the same, and an
        appointment and a task that do are two things (not all programs keep RFC 5545 §3.8.4.7)."""
        if not digests:
            return {}
        made: dict[str, list[Row]] = {}
        for found in self.connection.execute(_ROWS_BY_UID, {"crm": crm, "uids": digests, "kind": kind}):
            row = Row(*found)
            made.setdefault(row.uid_digest or "", []).append(row)
        return made

    def rows_by_key(self, keys: Sequence[str]) -> dict[str, Row]:
        """Key -> the row whose creates carry it."""
        if not keys:
            return {}
        return {row.key: row for row in (Row(*f) for f in self.connection.execute(_ROWS_BY_KEY, {"keys": keys}))}

    def add_row(self, **values: Any) -> Row:
        """A new row; raises IntegrityError when another pairing claimed the same meeting first."""
        return self.add_rows([values])[0]

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """New rows, in their order; raises IntegrityError when one of the meetings is claimed."""
        self.connection.execute(_ADD_ROWS, list(rows))  # RETURNING would insert them one by one
        made = self.rows_by_key([r["key"] for r in rows])
        return [made[r["key"]] for r in rows]

    def set_row(self, id: int, **values: Any) -> None:
        """Changes a row."""
        self.connection.execute(_SET_ROW, {"b_id": id, **values})

    def set_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Changes several; each has an id, all change the same columns."""
        if rows:
            self.connection.execute(_SET_ROW, [_keyed(r) for r in rows])

    def link(self, id: int) -> Link | None:
        """One link."""
        found = self.connection.execute(_LINK_BY_ID, {"id": id}).first()
        return _link(found) if found else None

    def links_by_item(self, pairing: str, refs: Sequence[str]) -> list[Link]:
        """The links of these items."""
        if not refs:
            return []
        return [_link(f) for f in self.connection.execute(_LINKS_BY_ITEM, {"pairing": pairing, "refs": refs})]

    def occurrences(self, pairings: Collection[str]) -> list[tuple[str, str, str, str]]:
        """Of the links of single occurrences: pairing, the item's ref, the occurrence, and the digest by which the row
        knows the UID and the date."""
        columns = (t.link.c.pairing, t.link.c.item_ref, t.link.c.occurrence, t.row.c.uid_digest)
        where = (t.link.c.pairing.in_(sorted(pairings)), t.link.c.occurrence != "", t.link.c.item_ref.is_not(None))
        chosen = select(*columns).join_from(t.link, t.row).where(*where, t.row.c.uid_digest.is_not(None))
        return [tuple(f) for f in self.connection.execute(chosen.order_by(t.link.c.id))]

    def links_of_row(self, row: int) -> list[Link]:
        """Every link that hangs on an activity."""
        return [_link(f) for f in self.connection.execute(_LINKS_OF_ROW, {"row": row})]

    def links_of_rows(self, pairing: str, rows: Sequence[int]) -> list[Link]:
        """One pairing's links on these activities."""
        if not rows:
            return []
        return [_link(f) for f in self.connection.execute(_LINKS_OF_ROWS, {"pairing": pairing, "rows": rows})]

    def links_elsewhere(self, pairing: str, rows: Sequence[int]) -> list[Link]:
        """Other pairings' links on these activities."""
        if not rows:
            return []
        return [_link(f) for f in self.connection.execute(_LINKS_ELSEWHERE, {"pairing": pairing, "rows": rows})]

    def waiting(self, pairing: str) -> list[Link]:
        """Links of which something waits until guests have been told."""
        statement = select(*_LINK).where(t.link.c.pairing == pairing, WAITS).order_by(t.link.c.id)
        return [_link(f) for f in self.connection.execute(statement)]

    def has_news(self, pairing: str, side: str, ref: str) -> bool:
        """True when an announcement of this ref has still to be settled."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.side == side, t.pending.c.ref == ref)
        return self.connection.execute(select(t.pending.c.seq).where(where)).first() is not None

    def is_due(self, pairing: str, side: str, ref: str, today: str) -> bool:
        """True when an announcement of this ref has still to be settled, and not on a later day only."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.side == side, t.pending.c.ref == ref)
        due = and_(where, t.pending.c.due <= today)
        return self.connection.execute(select(t.pending.c.seq).where(due)).first() is not None

    def wake(self, pairing: str, reason: str) -> None:
        """What was put off until this reason ends is due."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.due == reason)
        self.connection.execute(update(t.pending).where(where).values(due=""))

    def hand_over(self, link: Link, pairing: str, **values: Any) -> Link:
        """The link goes over to another pairing, with its conflicts."""
        self.connection.execute(update(t.conflict).where(t.conflict.c.link == link.id).values(pairing=pairing))
        return self.set_link(link.id, pairing=pairing, **values)

    def linked_refs(self, pairing: str) -> set[str]:
        """The items that a pairing has links of."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.is_not(None))
        return {ref for (ref,) in self.connection.execute(select(t.link.c.item_ref).where(where).distinct())}

    def linked_and_announced(self, pairings: Collection[str], here: str) -> dict[str, list[str]]:
        """Of these pairings those with links of items that are announced in the pairing `here`: which, in order."""
        announced = select(t.pending.c.ref).where(t.pending.c.pairing == here, t.pending.c.side == "item")
        where = and_(t.link.c.pairing.in_(pairings), t.link.c.item_ref.in_(announced))
        found: dict[str, list[str]] = {}
        columns = (t.link.c.pairing, t.link.c.item_ref)
        for pairing, ref in self.connection.execute(select(*columns).where(where).distinct().order_by(*columns)):
            found.setdefault(pairing, []).append(ref)
        return found

    def count_links(self, pairing: str) -> int:
        """How many links a pairing has whose item is there."""
        where = and_(t.link.c.pairing == pairing, t.link.c.rest.not_in(_NOT_THERE))
        return int(self.connection.execute(select(func.count()).select_from(t.link).where(where)).scalar_one())

    def add_link(self, **values: Any) -> Link:
        """A new link."""
        return self.add_links([values])[0]

    def add_links(self, links: Sequence[Mapping[str, Any]]) -> list[Link]:
        """New links, in their order: all of one pairing, each of another activity that had none there."""
        self.connection.execute(_ADD_LINKS, [_link_columns(v) for v in links])
        made = {k.activity: k for k in self.links_of_rows(links[0]["pairing"], [v["activity"] for v in links])}
        return [made[v["activity"]] for v in links]

    def set_link(self, id: int, **values: Any) -> Link:
        """Changes a link; returns it as it is then."""
        if not values:
            return cast(Link, self.link(id))
        return _link(self.connection.execute(_SET_LINK_AND_SHOW, {"b_id": id, **_link_columns(values)}).one())

    def set_links(self, links: Sequence[Mapping[str, Any]]) -> None:
        """Changes several; each has an id, all change the same columns."""
        if links:
            self.connection.execute(_SET_LINK, [_keyed(_link_columns(v)) for v in links])

    def drop_link(self, link: Link) -> None:
        """Both records are gone: the link goes, and its row when nothing hangs on it any more."""
        self.connection.execute(delete(t.link).where(t.link.c.id == link.id))
        self.connection.execute(delete(t.conflict).where(t.conflict.c.link == link.id))
        left = select(func.count()).select_from(t.link).where(t.link.c.activity == link.activity)
        if self.connection.execute(left).scalar_one() == 0:
            self.connection.execute(delete(t.thread).where(t.thread.c.activity == link.activity))
            self.connection.execute(delete(t.row).where(t.row.c.id == link.activity))

    # -- full comparison ---------------------------------------------------------------------------------

    def mark_seen(self, pairing: str, refs: Sequence[str], generation: int) -> None:
        """These items were named by the listing under way."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.in_(refs))
        self.connection.execute(update(t.link).where(where).values(seen=generation))

    def unseen(self, pairing: str, generation: int) -> tuple[list[str], int]:
        """Items with a link that the listing did not name, and of how many of them nobody knew that they are gone."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.is_not(None), t.link.c.seen < generation)
        columns = (t.link.c.item_ref, t.link.c.rest)
        found = self._all(select(*columns).where(where).distinct().order_by(*columns))
        news = {f["item_ref"] for f in found if f["rest"] not in _NOT_THERE}
        return list(dict.fromkeys(f["item_ref"] for f in found)), len(news)

    def mark_rows_seen(self, crm: str, refs: Sequence[str], generation: int) -> None:
        """These activities were named by the listing under way."""
        where = and_(t.row.c.crm == crm, t.row.c.crm_ref.in_(refs))
        self.connection.execute(update(t.row).where(where).values(seen=generation))

    def rows_unseen(self, crm: str, generation: int) -> list[Row]:
        """Rows whose activity the listing did not name."""
        where = and_(t.row.c.crm == crm, t.row.c.crm_ref.is_not(None), t.row.c.seen < generation)
        return [Row(*f) for f in self.connection.execute(select(*_ROW).where(where).order_by(t.row.c.id))]

    # -- intents ----------------------------------------------------------------------------------------

    def journal(self, **values: Any) -> Intent:
        """A write about to be made."""
        return self.journal_all([values])[0]

    def journal_all(self, writes: Sequence[Mapping[str, Any]]) -> list[Intent]:
        """Writes about to be made, in their order; each of another link."""
        rows = [{**w, "moves": json.dumps(w.get("moves", {}), sort_keys=True)} for w in writes]
        self.connection.execute(_JOURNAL, rows)
        found = self.connection.execute(_INTENTS_OF_LINKS, {"links": [w["link"] for w in writes]})
        made = {intent.link: intent for intent in map(_intent, found)}
        return [made[w["link"]] for w in writes]

    def intents(self, pairing: str) -> list[Intent]:
        """Writes of a pairing that may or may not have arrived."""
        return [_intent(f) for f in self.connection.execute(_INTENTS, {"pairing": pairing})]

    def open_creates(self, row: int) -> list[int]:
        """Links with an open create of this activity."""
        return [f[0] for f in self.connection.execute(_OPEN_CREATES, {"row": row})]

    def open_redactions(self, row: int) -> list[int]:
        """Links that are just taking the content of this activity back."""
        mine = select(t.link.c.id).where(t.link.c.activity == row)
        where = and_(t.intent.c.link.in_(mine), t.intent.c.side == "crm", t.intent.c.op == "redact")
        return [f[0] for f in self.connection.execute(select(t.intent.c.link).where(where))]

    def close_intent(self, id: int) -> None:
        """The write is accounted for."""
        self.close_intents([id])

    def close_intents(self, ids: Sequence[int]) -> None:
        """These writes are accounted for."""
        if ids:
            self.connection.execute(_CLOSE_INTENT, [{"b_id": i} for i in ids])

    # -- mail ---------------------------------------------------------------------------------------------

    def note_threads(self, crm: str, messages: Mapping[str, int]) -> None:
        """Message digest -> activity; a digest that is known keeps its activity."""
        known = self.threads(crm, list(messages))
        rows = [{"crm": crm, "digest": d, "activity": a} for d, a in messages.items() if d not in known]
        self.upsert(t.thread, rows)

    def threads(self, crm: str, digests: Sequence[str]) -> dict[str, int]:
        """Message digest -> activity, of those that are known."""
        if not digests:
            return {}
        where = and_(t.thread.c.crm == crm, t.thread.c.digest.in_(digests))
        return {f["digest"]: f["activity"] for f in self._all(select(t.thread).where(where))}

    def note_marks(self, pairing: str, refs: Sequence[str], *, logged: bool) -> None:
        """The mailbox is to show that these messages are logged, or no longer."""
        self.upsert(t.mark, [{"pairing": pairing, "ref": r, "logged": logged} for r in dict.fromkeys(refs)])

    def marks(self, pairing: str, after: str, limit: int) -> dict[str, bool]:
        """Marks that are still to be shown, by their refs."""
        where = and_(t.mark.c.pairing == pairing, t.mark.c.ref > after)
        found = self._all(select(t.mark).where(where).order_by(t.mark.c.ref).limit(limit))
        return {f["ref"]: f["logged"] for f in found}

    def clear_marks(self, pairing: str, refs: Sequence[str]) -> None:
        """These are shown."""
        self.connection.execute(delete(t.mark).where(t.mark.c.pairing == pairing, t.mark.c.ref.in_(refs)))

    # -- settings -----------------------------------------------------------------------------------------

    def setting(self, name: str) -> str | None:
        """A named value."""
        found = self.connection.execute(_SETTING, {"name": name}).first()
        return found[0] if found else None

    def settings(self, prefix: str) -> dict[str, str]:
        """The named values whose names begin so; all of them for ""."""
        return self._beginning(t.setting.c.name, t.setting.c.value, prefix)

    def settings_of(self, names: Collection[str]) -> dict[str, str]:
        """The values of these names, as far as there are any."""
        return {f[0]: f[1] for f in self.connection.execute(_SETTINGS_OF, {"names": list(names)})}

    def _beginning(self, name: ColumnElement[str], value: ColumnElement[str], prefix: str) -> dict[str, str]:
        """Name -> value where the name begins so. By the index: LIKE would look through the whole table."""
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
        statement = _beginning(self.connection.dialect.name, name, value)
        return {found[0]: found[1] for found in self.connection.execute(statement, {"first": prefix, "after": after})}

    def drop_setting(self, name: str) -> None:
        """Forgets a named value."""
        self.connection.execute(delete(t.setting).where(t.setting.c.name == name))

    def set_setting(self, name: str, value: str) -> None:
        """Keeps a named value."""
        self.upsert(t.setting, [{"name": name, "value": value}])


def _exactly(pairing: str, entry: Pending) -> dict[str, Any]:
    return {"p_pairing": pairing, "p_side": entry.side, "p_ref": entry.ref, "p_seq": entry.seq}


def _keyed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"b_id" if name == "id" else name: value for name, value in values.items()}
