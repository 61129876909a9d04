"""Shows people in their mailbox what was logged: a keyword, a copy or a move, as the mapping asks.

What is to be shown is noted in the transaction that makes it so, and shown afterwards as often as it
takes: showing it twice shows it once.
"""

from __future__ import annotations

from syncd.engine.context import Context
from syncd.logs import logger
from syncd.ports import Marking, PortError, Rejected

#: Messages at a time.
BATCH = 200


def wanted(ctx: Context) -> bool:
    """True when the mapping asks for marks and somebody can set them."""
    mapping = ctx.pairing.lens.mapping
    back = mapping.mail.write_back
    asked = bool(back.keyword or back.copy_ or back.move)
    return mapping.item == "message" and asked and ctx.pairing.replica.capabilities.writable


def show_marks(ctx: Context) -> None:
    """Raises Transient and AuthFailed; the marks stay noted then. A mailbox that takes no such mark is
    said so in the log, once a pass."""
    real = getattr(ctx.pairing.replica, "real", None)
    if not isinstance(real, Marking) or not wanted(ctx):
        return
    while True:
        with ctx.store.reading() as tx:
            marks = tx.marks(ctx.pairing.id, BATCH)
        if not marks:
            return
        for logged in (True, False):
            refs = [ref for ref, is_logged in marks.items() if is_logged is logged]
            try:
                if refs:
                    real.mark(refs, logged=logged)
            except Rejected as error:
                logger(pairing=ctx.pairing.id).warning("cannot show what was logged", error=str(error))
        with ctx.store.transaction() as tx:
            tx.clear_marks(ctx.pairing.id, list(marks))


__all__ = ["PortError", "show_marks", "wanted"]
