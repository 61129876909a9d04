"""What a pairing held that is not read any more: its account has another name, or its employee another id.

An item that stands where it stood takes its links with it when it is read (`taken_over`). One that is not there
any more is read by nobody: where this pairing reads the same collection, its links come over too, and it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.came import hand_over, note_came
from syncd.engine.context import Context
from syncd.engine.newcomers import marks_of
from syncd.engine.pairing import is_of_employee, item_feed
from syncd.model.record import Record
from syncd.ports import Gone, Rejected
from syncd.privacy import Admission
from syncd.store import Link, Transaction

#: So many items are compared to see whether two pairings read the same collection.
PROBES = 3
#: Refs that are asked for at a time.
BATCH = 100


def take_over_what_went(ctx: Context) -> None:
    """Before the first listing of a pairing is settled: links of items that are gone come over from the pairing that
    has read this collection before. Raises PortErrors."""
    with ctx.store.reading() as tx:
        if not tx.pending(ctx.pairing.id, "item", 0, ctx.moment.today, 1):
            return
    if not ctx.former:
        return
    with ctx.store.reading() as tx:
        place = tx.feed(item_feed(ctx.pairing.id))
        there = tx.linked_and_announced(sorted(ctx.former), ctx.pairing.id)
    if place is None or place["listing"]:
        return
    for name, found in there.items():
        if _reads_the_same(ctx, name, found[:PROBES]):
            with ctx.store.reading() as tx:
                gone = sorted(tx.linked_refs(name) - set(tx.pending_refs(ctx.pairing.id, "item")))
            for start in range(0, len(gone), BATCH):
                _take_over(ctx, name, gone[start : start + BATCH])


def _reads_the_same(ctx: Context, name: str, refs: Sequence[str]) -> bool:
    """True when one of these items is what the former pairing had under this ref."""
    found = ctx.items.fetch(refs)
    with ctx.store.reading() as tx:
        for link in tx.links_by_item(name, refs):
            admission = found.get(link.item_ref or "")
            if isinstance(admission, Admission) and is_still(ctx, tx, link, admission):
                return True
    return False


def _take_over(ctx: Context, name: str, refs: Sequence[str]) -> None:
    """Those of the items that the listing did not name and that cannot be read: if one of them is there after all, it
    is looked at like any other."""
    gone = [ref for ref, found in ctx.items.fetch(refs).items() if isinstance(found, Gone | Rejected)]
    with ctx.store.transaction() as tx:
        for link in tx.links_by_item(name, gone):
            if not _has_one(ctx, tx, link):
                tx.drop_feed(item_feed(link.pairing))  # should it ever be read again, it is read from its beginning
                hand_over(tx, link, ctx.pairing.id)
                tx.announce(ctx.pairing.id, "item", [link.item_ref or ""])


def _has_one(ctx: Context, tx: Transaction, link: Link) -> bool:
    links = tx.links_of_rows(ctx.pairing.id, [link.activity])
    return any(k.occurrence == link.occurrence for k in links)


def is_still(ctx: Context, tx: Transaction, link: Link, found: Admission) -> bool:
    """True for an item that is what the link had under this ref. What was a block of time when it was read is known by
    its ref alone."""
    row = tx.row(link.activity)
    if row is None or not found.uid:
        return False
    marks = marks_of(ctx, Record(found.ref, "", found.kind, {}, found.uid), link.occurrence)
    unknown = row.uid_digest is None and row.claim is None and not link.ours
    return unknown or row.key == found.uid or marks.uid == row.uid_digest or marks.claim == row.claim


def taken_over(ctx: Context, found: Admission) -> list[Link]:
    """The links of an item under a pairing that is not read any more: its account has another name, or is another
    employee's. They go on here, with what both sides have agreed on."""
    if not ctx.former or not found.uid:
        return []
    shown = Record(found.ref, "", found.kind, {}, found.uid)
    taken: list[Link] = []
    with ctx.store.reading() as tx:
        links = [k for name in sorted(ctx.former) for k in tx.links_by_item(name, [found.ref])]
        theirs = [k for k in links if not is_of_employee(k.pairing, ctx.pairing.employee.id)]
        inherited = [(tx.row(k.activity), k.pairing) for k in theirs if is_still(ctx, tx, k, found)]
    for was, before in inherited:  # first: what is handed over and has no mark would be put back
        if was is not None:
            note_came(ctx, was, [before])
    with ctx.store.transaction() as tx:
        for link in links:
            row, marks = tx.row(link.activity), marks_of(ctx, shown, link.occurrence)
            if row is None or not is_still(ctx, tx, link, found):
                continue  # another thing has this address now
            if any(k.occurrence == link.occurrence for k in tx.links_of_rows(ctx.pairing.id, [row.id])):
                tx.drop_link(link)
                continue
            if row.key != found.uid and not row.scheduled and row.claim is not None and marks.claim is not None:
                tx.set_row(row.id, claim=marks.claim)
            ctx.moved.add(link.id)
            tx.drop_feed(item_feed(link.pairing))
            taken.append(hand_over(tx, link, ctx.pairing.id, item_version=""))
    return taken
