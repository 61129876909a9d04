"""What syncd remembers between passes: links, pending changes, intents, cursors; no content."""

from syncd.database import StoreFault
from syncd.store.lease import Fenced, Lease
from syncd.store.rows import Conflict, Intent, Link, Parked, Pending, Row
from syncd.store.store import Store, Transaction

__all__ = [
    "Conflict", "Fenced", "Intent", "Lease", "Link", "Parked", "Pending", "Row", "Store", "StoreFault", "Transaction",
]  # fmt: skip
