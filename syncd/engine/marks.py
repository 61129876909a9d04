"""Shows people in their mailbox what was logged: a keyword, a copy or a move, as the mapping asks.

What is to be shown is noted in the transaction that makes it so, and shown afterwards as often as it
takes: showing it twice shows it once.
"""

from __future__ import annotations

from syncd.engine.context import Context
from syncd.engine.plan import HOLDERS
from syncd.logs import logger
from syncd.ports import Rejected
from syncd.store import Link, Transaction

#: Messages at a time.
BATCH = 200


def wanted(ctx: Context) -> bool:
    """True when the mapping asks for marks and somebody can set them."""
    mapping = ctx.pairing.lens.mapping
    back = mapping.mail.write_back
    asked = bool(back.keyword or back.copy_ or back.move)
    return mapping.item == "message" and asked and ctx.items.capabilities.writable


def show_marks(ctx: Context) -> None:
    """Raises Transient and AuthFailed; the marks stay noted then. A mailbox that takes no such mark is
    said so in the log, once a pass."""
    real = ctx.items.marking()
    if real is None or not wanted(ctx):
        return
    after = ""
    while True:
        with ctx.store.reading() as tx:
            marks = tx.marks(ctx.pairing.id, after, BATCH)
            links = {k.item_ref: k for k in tx.links_by_item(ctx.pairing.id, list(marks))}
        if not marks:
            return
        after = max(marks)
        waiting = [ref for ref, logged in marks.items() if logged and ref in links and _open(links[ref])]
        there = [ref for ref, logged in marks.items() if logged and ref in links and not links[ref].rest]
        for logged, refs in (
            (True, [r for r in there if r not in waiting]),
            (False, [r for r in marks if not marks[r]]),
        ):
            try:
                if refs:
                    real.mark(refs, logged=logged)
            except Rejected as error:
                logger(pairing=ctx.pairing.id).warning("cannot show what was logged", error=str(error))
        with ctx.store.transaction() as tx:
            tx.clear_marks(ctx.pairing.id, [ref for ref in marks if ref not in waiting])


def _open(link: Link) -> bool:
    """True while what makes it logged has still to be done."""
    return not link.item_base


def note_mark(ctx: Context, tx: Transaction, link: Link) -> None:
    """The message of the link is to be shown as logged, once it is."""
    if link.role in HOLDERS and link.item_ref is not None and wanted(ctx):
        tx.note_marks(link.pairing, [link.item_ref], logged=True)


__all__ = ["note_mark", "show_marks", "wanted"]
