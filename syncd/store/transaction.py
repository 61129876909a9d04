"""One transaction on the store: every read and write that the engine's steps are made of.

Nothing here decides; it keeps and finds.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql import ColumnElement, Executable

from syncd.store import tables as t
from syncd.store.rows import Intent, Link, Pending, Row

_JSON = ("item_base", "crm_base", "unconfirmed")


def pack(text: str) -> bytes:
    """Words as they stand in the store."""
    return zlib.compress(text.encode())


def unpack(raw: bytes) -> str:
    """What `pack` made."""
    return zlib.decompress(raw).decode()


def _row(found: RowMapping) -> Row:
    return Row(**{k: found[k] for k in Row.__dataclass_fields__})


def _link(found: RowMapping) -> Link:
    values: dict[str, Any] = {k: found[k] for k in Link.__dataclass_fields__}
    for name in _JSON:
        values[name] = json.loads(values[name])
    values["brought"] = frozenset(json.loads(values["brought"]))
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


class Transaction:
    """Reads and writes of one step."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _all(self, statement: Executable) -> Sequence[RowMapping]:
        return self.connection.execute(statement).mappings().all()

    def _one(self, statement: Executable) -> RowMapping | None:
        return self.connection.execute(statement).mappings().first()

    # -- feeds ------------------------------------------------------------------------------------

    def feed(self, name: str) -> RowMapping | None:
        """The feed's place, or None before its first page."""
        return self._one(select(t.feed).where(t.feed.c.name == name))

    def set_feed(self, name: str, **values: Any) -> None:
        """Moves the feed's place."""
        if self.connection.execute(update(t.feed).where(t.feed.c.name == name).values(**values)).rowcount == 0:
            self.connection.execute(insert(t.feed).values(name=name, **values))

    # -- pending ------------------------------------------------------------------------------------

    def announce(self, pairing: str, side: str, refs: Iterable[str], due: str = "") -> None:
        """These refs have news; an earlier announcement of the same is replaced, its number too."""
        number = self._next_number()
        for ref in refs:
            where = and_(t.pending.c.pairing == pairing, t.pending.c.side == side, t.pending.c.ref == ref)
            values = {"seq": number, "due": due, "held": False}
            if self.connection.execute(update(t.pending).where(where).values(**values)).rowcount == 0:
                self.connection.execute(insert(t.pending).values(pairing=pairing, side=side, ref=ref, **values))
            number += 1
        self._set_number(number)

    def _next_number(self) -> int:
        found = self.setting("sequence")
        return int(found) if found else 1

    def _set_number(self, number: int) -> None:
        self.set_setting("sequence", str(number))

    def pending(self, pairing: str, side: str, after: int, today: str, limit: int) -> list[Pending]:
        """The next announcements that are due, oldest first."""
        statement = (
            select(t.pending)
            .where(t.pending.c.pairing == pairing, t.pending.c.side == side)
            .where(t.pending.c.seq > after, t.pending.c.due <= today)
            .order_by(t.pending.c.seq)
            .limit(limit)
        )
        return [Pending(f["side"], f["ref"], f["seq"]) for f in self._all(statement)]

    def unlinked_items(self, pairing: str, today: str) -> int:
        """How many announced items no link knows yet."""
        known = select(t.link.c.item_ref).where(t.link.c.pairing == pairing, t.link.c.item_ref.is_not(None))
        where = and_(t.pending.c.pairing == pairing, t.pending.c.side == "item", t.pending.c.due <= today)
        statement = select(func.count()).select_from(t.pending).where(where, t.pending.c.ref.not_in(known))
        return int(self.connection.execute(statement).scalar_one())

    def clear(self, pairing: str, done: Iterable[Pending]) -> None:
        """These announcements are dealt with, unless a newer one has taken their place."""
        for entry in done:
            self.connection.execute(delete(t.pending).where(*self._exactly(pairing, entry)))

    def postpone(self, pairing: str, entry: Pending, due: str) -> None:
        """Look at it again on that day (``2026-11-24``), unless a newer announcement came."""
        self.connection.execute(update(t.pending).where(*self._exactly(pairing, entry)).values(due=due))

    def hold(self, pairing: str, entries: Iterable[Pending]) -> None:
        """These wait for an administrator's word."""
        for entry in entries:
            self.connection.execute(update(t.pending).where(*self._exactly(pairing, entry)).values(held=True))

    def _exactly(self, pairing: str, entry: Pending) -> list[ColumnElement[bool]]:
        p = t.pending.c
        return [p.pairing == pairing, p.side == entry.side, p.ref == entry.ref, p.seq == entry.seq]

    def held(self, pairing: str) -> int:
        """How many announcements wait for an administrator's word."""
        where = and_(t.pending.c.pairing == pairing, t.pending.c.held.is_(True))
        return int(self.connection.execute(select(func.count()).select_from(t.pending).where(where)).scalar_one())

    # -- activities and links --------------------------------------------------------------------------

    def row(self, id: int) -> Row | None:
        """The activity's row."""
        found = self._one(select(t.row).where(t.row.c.id == id))
        return _row(found) if found else None

    def rows_by_ref(self, crm: str, refs: Sequence[str]) -> dict[str, Row]:
        """CRM ref -> row."""
        found = self._all(select(t.row).where(t.row.c.crm == crm, t.row.c.crm_ref.in_(refs)))
        return {f["crm_ref"]: _row(f) for f in found}

    def row_by_uid(self, crm: str, uid_digest: str) -> Row | None:
        """The row of a meeting, known by its UID's digest."""
        found = self._one(select(t.row).where(t.row.c.crm == crm, t.row.c.uid_digest == uid_digest))
        return _row(found) if found else None

    def row_by_key(self, key: str) -> Row | None:
        """The row whose creates carry this key."""
        found = self._one(select(t.row).where(t.row.c.key == key))
        return _row(found) if found else None

    def add_row(self, **values: Any) -> Row:
        """A new row; raises IntegrityError when another pairing claimed the same meeting first."""
        result = self.connection.execute(insert(t.row).values(**values))
        return cast(Row, self.row(cast(Any, result.inserted_primary_key)[0]))

    def set_row(self, id: int, **values: Any) -> None:
        """Changes a row."""
        self.connection.execute(update(t.row).where(t.row.c.id == id).values(**values))

    def link(self, id: int) -> Link | None:
        """One link."""
        found = self._one(select(t.link).where(t.link.c.id == id))
        return _link(found) if found else None

    def links_by_item(self, pairing: str, refs: Sequence[str]) -> list[Link]:
        """The links of these items."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.in_(refs))
        return [_link(f) for f in self._all(select(t.link).where(where).order_by(t.link.c.id))]

    def links_of_row(self, row: int) -> list[Link]:
        """Every link that hangs on an activity."""
        return [_link(f) for f in self._all(select(t.link).where(t.link.c.activity == row).order_by(t.link.c.id))]

    def links_of_rows(self, pairing: str, rows: Sequence[int]) -> list[Link]:
        """One pairing's links on these activities."""
        where = and_(t.link.c.pairing == pairing, t.link.c.activity.in_(rows))
        return [_link(f) for f in self._all(select(t.link).where(where).order_by(t.link.c.id))]

    def count_links(self, pairing: str) -> int:
        """How many links a pairing has whose item is there."""
        where = and_(t.link.c.pairing == pairing, t.link.c.rest.not_in(("item-gone", "taken-back", "declined")))
        return int(self.connection.execute(select(func.count()).select_from(t.link).where(where)).scalar_one())

    def add_link(self, **values: Any) -> Link:
        """A new link."""
        result = self.connection.execute(insert(t.link).values(**_link_columns(values)))
        return cast(Link, self.link(cast(Any, result.inserted_primary_key)[0]))

    def set_link(self, id: int, **values: Any) -> None:
        """Changes a link."""
        if values:
            self.connection.execute(update(t.link).where(t.link.c.id == id).values(**_link_columns(values)))

    def drop_link(self, link: Link) -> None:
        """Both records are gone: the link goes, and its row when nothing hangs on it any more."""
        self.connection.execute(delete(t.link).where(t.link.c.id == link.id))
        self.connection.execute(delete(t.conflict).where(t.conflict.c.link == link.id))
        left = select(func.count()).select_from(t.link).where(t.link.c.activity == link.activity)
        if self.connection.execute(left).scalar_one() == 0:
            self.connection.execute(delete(t.row).where(t.row.c.id == link.activity))

    # -- full comparison ---------------------------------------------------------------------------------

    def mark_seen(self, pairing: str, refs: Sequence[str], generation: int) -> None:
        """These items were named by the listing under way."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.in_(refs))
        self.connection.execute(update(t.link).where(where).values(seen=generation))

    def unseen(self, pairing: str, generation: int) -> list[str]:
        """Items with a link that the listing did not name."""
        where = and_(t.link.c.pairing == pairing, t.link.c.item_ref.is_not(None), t.link.c.seen < generation)
        found = self._all(select(t.link.c.item_ref).where(where).distinct())
        return [f["item_ref"] for f in found]

    def mark_rows_seen(self, crm: str, refs: Sequence[str], generation: int) -> None:
        """These activities were named by the listing under way."""
        where = and_(t.row.c.crm == crm, t.row.c.crm_ref.in_(refs))
        self.connection.execute(update(t.row).where(where).values(seen=generation))

    def rows_unseen(self, crm: str, generation: int) -> list[Row]:
        """Rows whose activity the listing did not name."""
        where = and_(t.row.c.crm == crm, t.row.c.crm_ref.is_not(None), t.row.c.seen < generation)
        return [_row(f) for f in self._all(select(t.row).where(where))]

    # -- intents ----------------------------------------------------------------------------------------

    def journal(self, **values: Any) -> Intent:
        """A write about to be made."""
        values["moves"] = json.dumps(values.get("moves", {}), sort_keys=True)
        result = self.connection.execute(insert(t.intent).values(**values))
        key = cast(Any, result.inserted_primary_key)[0]
        return self._intent(cast(RowMapping, self._one(select(t.intent).where(t.intent.c.id == key))))

    def _intent(self, found: RowMapping) -> Intent:
        values: dict[str, Any] = dict(found)
        values["moves"] = json.loads(values["moves"])
        return Intent(**values)

    def intents(self, pairing: str) -> list[Intent]:
        """Writes of a pairing that may or may not have arrived."""
        statement = select(t.intent).where(t.intent.c.pairing == pairing).order_by(t.intent.c.id)
        return [self._intent(f) for f in self._all(statement)]

    def open_creates(self, row: int) -> list[int]:
        """Links with an open create of this activity."""
        links = select(t.link.c.id).where(t.link.c.activity == row)
        where = and_(t.intent.c.link.in_(links), t.intent.c.side == "crm", t.intent.c.op == "create")
        return [f["link"] for f in self._all(select(t.intent.c.link).where(where))]

    def close_intent(self, id: int) -> None:
        """The write is accounted for."""
        self.connection.execute(delete(t.intent).where(t.intent.c.id == id))

    # -- settings -----------------------------------------------------------------------------------------

    def setting(self, name: str) -> str | None:
        """A named value."""
        found = self._one(select(t.setting.c.value).where(t.setting.c.name == name))
        return found["value"] if found else None

    def set_setting(self, name: str, value: str) -> None:
        """Keeps a named value."""
        changed = self.connection.execute(update(t.setting).where(t.setting.c.name == name).values(value=value))
        if changed.rowcount == 0:
            self.connection.execute(insert(t.setting).values(name=name, value=value))
