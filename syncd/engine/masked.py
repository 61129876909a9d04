"""Items of which less is seen than they are, beside others that show the same meeting.

A block of time stands in the CRM for what nobody else shows. Of a meeting that a colleague's copy shows too there
is nothing to stand for: the private copy says nothing there, as if it were withheld.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from syncd.engine.context import Context
from syncd.engine.look import Look, changed, showed
from syncd.engine.newcomers import mark_row, marks_of
from syncd.engine.roles import ABSENT, makers, of_one_date
from syncd.engine.writes import Wait
from syncd.model.fields import Fields, says_nothing
from syncd.model.record import Record
from syncd.store import Link, Row


def is_covered(ctx: Context, link: Link, row: Row, others: Sequence[Link]) -> bool:
    """True for an item that is masked while somebody else's speaks for the activity, or did when it became private:
    the activity is not made of it."""
    if link.role != "block" and link.rest == "private" and not showed(link) and row.maker != link.id:
        return True
    return any(
        k.id != link.id
        and k.role != "block"
        and k.rest not in ABSENT
        and k.item_ref is not None
        and ctx.speaks(k.pairing)
        and not (k.ours and row.maker in makers(link, others))  # such a copy shows what this item brought
        for k in of_one_date(others, link)
    )


def known_beside(ctx: Context, seen: Record, link: Link, row: Row) -> Row | None:
    """The row of the meeting for which a block of time stood, now that the item is seen: the one that a colleague's
    copy has made. Without one, this row is the meeting's from now on. Raises Wait."""
    marks = marks_of(ctx, seen, link.occurrence)
    if marks.claim is None:
        return None
    try:
        with ctx.store.transaction() as tx:
            found = tx.rows_by_key([seen.uid]).get(seen.uid) if not link.occurrence else None
            found = found or tx.rows_by_claim(ctx.pairing.crm_name, [marks.claim]).get(marks.claim)
            if found is None:
                mark_row(tx, row, marks)
            elif found.id != row.id and found.crm_ref is not None and tx.links_of_row(found.id):
                return found
    except IntegrityError:
        raise Wait from None
    return None


def typed_in(at: Look) -> Fields:
    """What somebody has typed into an item since both sides agreed: the fields that say something."""
    view, base, digester = at.sides.item, at.sides.item_base, at.sides.digester
    return {n: v for n, v in view.items() if not says_nothing(n, v) and not digester.holds(base, n, v)}


def typed_on(at: Look) -> bool:
    """True where somebody in the CRM has added something to a block of time, in fields that cross or in others."""
    if changed(at.sides.digester, at.sides.crm_base, at.sides.crm) or at.sides.local.get("crm"):
        return True
    fields = at.activity.fields if at.activity is not None else {}
    return any(not says_nothing(n, v) for n, v in fields.items() if n not in at.sides.crm)
