"""What syncd remembers between passes: links, pending changes, intents, cursors; no content."""

from syncd.store.rows import Conflict, Intent, Link, Parked, Pending, Row
from syncd.store.store import Store, Transaction

__all__ = ["Conflict", "Intent", "Link", "Parked", "Pending", "Row", "Store", "Transaction"]
