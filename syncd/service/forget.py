"""Removes every trace of a person from the store (design §7)."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.feed import item_feed, seed_feed
from syncd.store import Store
from syncd.store.journal import forget


def forget_employee(store: Store, pairings: Sequence[str], crm: str, mark: str) -> int:
    """Removes the pairings' links, announcements, records and places; returns how many links went.

    What is left is `mark`, a keyed digest by which later passes know to leave the person alone.
    """
    feeds = [f for p in pairings for f in (item_feed(p), seed_feed(crm, p))]
    with store.transaction() as tx:
        count = forget(tx, pairings, feeds)
        tx.set_setting(mark, "")
    store.vacuum()
    return count
