"""Removes every trace of a person from the store (design §7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.engine.digest import Digester
from syncd.engine.feed import seed_feed
from syncd.engine.pairing import item_feed
from syncd.store import Store, Transaction
from syncd.store.journal import forget

_MARK = "forgotten "


def forgotten_mark(key: bytes, employee: str) -> str:
    """Under what the store remembers that an employee was forgotten, without naming the person."""
    return f"{_MARK}{Digester(key, 'forgotten').text(employee)}"


def forgotten(tx: Transaction, key: bytes, employees: Iterable[str]) -> frozenset[str]:
    """Who of them is to be left alone."""
    marks = tx.settings(_MARK)
    return frozenset(e for e in employees if forgotten_mark(key, e) in marks) if marks else frozenset()


def forget_employee(store: Store, pairings: Sequence[str], crm: str, mark: str) -> int:
    """Removes the pairings' links, announcements, records and places; returns how many links went.

    What is left is `mark`, a keyed digest by which later passes know to leave the person alone.
    """
    with store.transaction() as tx:
        count = remove(tx, pairings, crm)
        tx.set_setting(mark, "")
    store.vacuum()
    return count


def remove(tx: Transaction, pairings: Sequence[str], crm: str) -> int:
    """Every trace of these pairings; returns how many links went."""
    return forget(tx, pairings, [f for p in pairings for f in (item_feed(p), seed_feed(crm, p))])
