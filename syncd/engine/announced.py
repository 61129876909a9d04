"""What a feed has said in this pass of what is there and what is gone.

A message that is listed and then not shown is either gone since, and the feed will say so, or it cannot be
read, and somebody must know. Keeps no more than a few refs in memory, however many are listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from syncd.ports import CursorExpired, Page, Replica
from syncd.store.journal import parked

if TYPE_CHECKING:
    from syncd.engine.context import Context


class Announced:
    """The feed of a replica, listened to. Lives for one pass."""

    def __init__(self, ctx: Context, real: Replica) -> None:
        self._ctx, self._real = ctx, real
        self._gone: set[str] = set()
        #: What is parked, and has not been listed in this pass.
        self._parked: set[str] | None = None
        #: True when all was listed from the beginning.
        self.anew = False
        #: How far the feed has been read; None before.
        self._cursor: str | None = None

    def changes(self, cursor: str) -> Iterator[Page]:
        """See `syncd.ports.Replica`."""
        self._parked = None
        for page in self._real.changes(cursor):
            self._heard(page)
            yield page

    def _heard(self, page: Page) -> None:
        there = {c.ref for c in page.changes if not c.gone}
        self._gone = (self._gone - there) | {c.ref for c in page.changes if c.gone}
        if page.changes or page.there or page.complete:  # a quiet pass asks nothing
            self._parked = (self._waiting() if self._parked is None else self._parked) - {*there, *page.there}
        self.anew |= page.complete
        self._cursor = page.cursor

    def _waiting(self) -> set[str]:
        with self._ctx.store.reading() as tx:
            return {p.ref for p in parked(tx, self._ctx.pairing.id) if p.side == "item"}

    def gone(self, ref: str) -> bool:
        """True when the feed has said so, or a whole listing did not name what is parked."""
        return ref in self._gone or (self.anew and ref in (self._parked or ()))

    def still_there(self, ref: str) -> bool:
        """True for what was listed and is not shown, if the feed still does not call it gone. Raises
        Transient, AuthFailed."""
        if self._cursor is None or self.gone(ref):
            return False
        try:
            for page in self._real.changes(self._cursor):
                self._heard(page)
        except CursorExpired:  # everything is listed anew in the next pass, which ends what was parked for nothing
            return True
        return ref not in self._gone
