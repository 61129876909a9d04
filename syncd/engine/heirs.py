"""What a pairing held that is not read any more: its account has another name, or its employee another id.

An item that stands where it stood takes its links with it when it is read (`moving.taken_over`). One that is not there
any more is read by nobody: where this pairing reads the same collection, its links come over too, and it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.context import Context
from syncd.engine.feed import item_feed
from syncd.engine.moving import is_still
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
    if not ctx.former:
        return
    with ctx.store.reading() as tx:
        place = tx.feed(item_feed(ctx.pairing.id))
        listed = set(tx.pending_refs(ctx.pairing.id, "item"))
        held = {name: tx.linked_refs(name) for name in sorted(ctx.former)}
    if place is None or place["listing"]:
        return
    for name, refs in held.items():
        there = sorted(refs & listed)
        if there and _reads_the_same(ctx, name, there[:PROBES]):
            gone = sorted(refs - listed)
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
                tx.hand_over(link, ctx.pairing.id)
                tx.announce(ctx.pairing.id, "item", [link.item_ref or ""])


def _has_one(ctx: Context, tx: Transaction, link: Link) -> bool:
    links = tx.links_of_rows(ctx.pairing.id, [link.activity])
    return any(k.occurrence == link.occurrence for k in links)
