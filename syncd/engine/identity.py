"""Which message is which, where several have one identity.

Message-ID, author and second tell messages apart (`syncd.mail.headers.identity`), but for programs that
give all three to several: those that share neither subject nor text with the first become a second, a
third. Each has the identity with a number behind it, so that what was moved to an excluded folder, of
which nothing but the identity is read, can still be found. What nobody can compare is taken for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncd.engine.look import crm_view, item_view
from syncd.engine.newcomers import message_mark
from syncd.engine.plan import HOLDERS
from syncd.mail.same import same_subject, share
from syncd.model.record import Record
from syncd.ports import Gone, PortError
from syncd.store import Link, Row

if TYPE_CHECKING:
    from syncd.engine.context import Context

#: More messages of one identity than this are taken for the last.
MOST = 50
#: Reasons to rest with which a link's item is not there any more.
GONE = ("item-gone", "declined", "taken-back")
#: The fields that tell two messages apart, in the activity's words.
_WORDS = ("subject", "notes")


def numbered(uid: str, number: int) -> str:
    """The identity of the first, the second, ... message."""
    return uid if number == 1 else f"{uid} #{number}"


@dataclass
class Identities:
    """The identities of one mailbox's messages, as the store knows them. Lives for one pass."""

    ctx: Context
    #: Reads headers of messages in this mailbox.
    fetch: Callable[[Sequence[str]], Mapping[str, Record | PortError]]
    #: Subject and text of a message; None where it may not be read.
    words: Callable[[Record], tuple[str, str] | None]
    _rows: dict[str, Row | None] = field(default_factory=dict)

    def of(self, records: Sequence[Record], linked: Mapping[str, Sequence[Link]]) -> dict[str, str]:
        """Ref -> identity, of messages that may cross; `linked`: ref -> its links."""
        self._rows = {}
        self._look_up(r for r in records if r.uid and not r.key)
        made: dict[str, str] = {}
        given: dict[str, list[tuple[str, Record]]] = {}
        for record in sorted(records, key=lambda r: (str(r.fields["date"].start), r.ref)):
            if not record.uid or record.key:
                made[record.ref] = record.uid
                continue
            mine = linked.get(record.ref, ())
            here = given.setdefault(record.uid, [])
            uid = self._linked(record, mine) if mine else self._told(record, here)
            here.append((uid, record))
            made[record.ref] = uid
        return made

    def of_excluded(self, records: Sequence[Record]) -> dict[str, str]:
        """Ref -> identity, of messages of which nothing but their identity is known: of several, one that was
        logged and is not where it was any more."""
        self._rows = {}
        asked = [r for r in records if r.uid and not r.key]
        self._look_up(asked, 2)
        made = {r.ref: r.uid for r in records}
        taken: set[str] = set()
        for record in asked:
            if self._row(record, 2) is None:
                continue
            for number in range(1, MOST + 1):
                row = self._row(record, number)
                uid = numbered(record.uid, number)
                if row is None:
                    break
                if uid not in taken and self._left(record, row):
                    made[record.ref] = uid
                    taken.add(uid)
                    break
        return made

    def detach(self, records: Iterable[Record], blank: Collection[str]) -> None:
        """A message that stands under the ref of another, as its mailbox was put back from a backup, is not that one:
        its link lets go of the ref. `blank`: refs of messages of which no more than the identity may be looked at;
        others are the same while subject and date are, should an identity ever be made in another way."""
        self._rows = {}
        asked = [r for r in records if r.uid and not r.key]
        with self.ctx.store.reading() as tx:
            links = tx.links_by_item(self.ctx.pairing.id, [r.ref for r in asked])
            rows = {k.activity: tx.row(k.activity) for k in links}
        held: dict[str, list[Link]] = {}
        for link in links:
            held.setdefault(link.item_ref or "", []).append(link)
        for record in asked:
            for link in held.get(record.ref, ()):
                row = rows.get(link.activity)
                if row is None or row.claim is None or link.role not in HOLDERS or not link.item_base:
                    continue
                if any(row.claim == self._digest(record, number) for number in range(1, MOST + 1)):
                    continue
                if record.ref in blank or self._differs(record, link):
                    with self.ctx.store.transaction() as tx:
                        tx.set_link(link.id, item_ref=None, item_version="", rest="item-gone")
                    self.ctx.moved.add(link.id)

    def _differs(self, record: Record, link: Link) -> bool:
        view = item_view(self.ctx, record.fields)
        digester = self.ctx.digester(link.id)
        said = [n for n in ("subject", "time") if n in view and n in link.item_base]
        return not all(digester.holds(link.item_base, n, view[n]) for n in said)

    # -- what the store knows ------------------------------------------------------------------------------------

    def _digest(self, record: Record, number: int) -> str:
        return message_mark(self.ctx, numbered(record.uid, number))

    def _look_up(self, records: Iterable[Record], number: int = 1) -> None:
        digests = [self._digest(r, number) for r in records]
        with self.ctx.store.reading() as tx:
            found = tx.rows_by_claim(self.ctx.pairing.crm_name, digests) if digests else {}
        self._rows |= {digest: found.get(digest) for digest in digests}

    def _row(self, record: Record, number: int) -> Row | None:
        digest = self._digest(record, number)
        if digest not in self._rows:
            self._look_up([record], number)
        return self._rows[digest]

    def row_of(self, record: Record, uid: str) -> Row | None:
        """The row of that identity."""
        return self._row(record, int(uid.removeprefix(record.uid).removeprefix(" #") or 1))

    def _links(self, row: Row) -> list[Link]:
        with self.ctx.store.reading() as tx:
            return tx.links_of_row(row.id)

    # -- telling apart -------------------------------------------------------------------------------------------

    def _linked(self, record: Record, links: Sequence[Link]) -> str:
        """The identity under which it was linked."""
        rows = {link.activity for link in links}
        for number in range(1, MOST + 1):
            row = self._row(record, number)
            if row is None:
                break
            if row.id in rows:
                return numbered(record.uid, number)
        return record.uid

    def _told(self, record: Record, here: Sequence[tuple[str, Record]]) -> str:
        mine = self.words(record)
        for uid, other in here:
            there = self.words(other)
            if mine is None or there is None or share(mine, there):
                return uid
        used = {uid for uid, _ in here}
        for number in range(1, MOST + 1):
            uid = numbered(record.uid, number)
            row = self._row(record, number)
            if row is None and uid not in used:
                return uid
            if row is not None and uid not in used and (mine is None or self._is(record, mine, row)):
                return uid
        return numbered(record.uid, MOST)

    def _is(self, record: Record, mine: tuple[str, str], row: Row) -> bool:
        """True when the message is the one of the row: by what was agreed on; by the other message in this
        mailbox; by what stands in the CRM, unless somebody changed it there."""
        links = self._links(row)
        view = item_view(self.ctx, record.fields)
        said = {name: view[name] for name in _WORDS if view.get(name)}
        if any(self.ctx.digester(k.id).holds(k.item_base, n, v) for k in links for n, v in said.items()):
            return True
        own = [k.item_ref for k in links if self._mine(k) and k.item_ref not in (None, record.ref)]
        for other in self.fetch([ref for ref in own if ref]).values() if own else ():
            if isinstance(other, Record):
                if same_subject(mine[0], str(other.fields.get("subject") or "")):
                    return True
                there = self.words(other)
                return there is None or share(mine, there)
        return self._in_crm(mine, row, links)

    def _mine(self, link: Link) -> bool:
        return link.pairing == self.ctx.pairing.id and link.rest not in GONE

    def _in_crm(self, mine: tuple[str, str], row: Row, links: Sequence[Link]) -> bool:
        if row.crm_ref is None:
            return True
        activity = self.ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
        if not isinstance(activity, Record):
            return True
        view = {name: value for name, value in crm_view(self.ctx, activity).items() if name in _WORDS}
        agreed = [k for k in links if k.item_base.keys() & set(_WORDS)]
        if not any(self._as_brought(k, view) for k in agreed):
            return True
        return share(mine, (str(view.get("subject") or ""), str(view.get("notes") or "")))

    def _as_brought(self, link: Link, view: Mapping[str, object]) -> bool:
        """True when the CRM still holds what the link's message said."""
        digester = self.ctx.digester(link.id)
        return all(
            digester.holds(link.item_base, name, value) for name, value in view.items() if name in link.item_base
        )

    def _left(self, record: Record, row: Row) -> bool:
        """True when the row's message in this mailbox is this one, or is not where it was."""
        refs = [k.item_ref for k in self._links(row) if self._mine(k) and k.item_ref]
        if record.ref in refs:
            return True
        found = self.fetch(refs) if refs else {}
        return any(isinstance(f, Gone) for f in found.values())
