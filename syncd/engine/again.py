"""What is shown again after it was private for a while: of each field the word that was said last counts.

What became private forgets what both sides had agreed on. Of our copy the activity goes on without it; the link then
keeps, beside its empty bases, digests of what the CRM said when they last agreed: what it says otherwise since was
said later than what the copy shows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from syncd.engine.context import Context
from syncd.engine.digest import named
from syncd.engine.look import crm_view, was_handed_over
from syncd.model.fields import Fields, says_nothing
from syncd.model.record import Record
from syncd.store import Link

#: Among what a link has written: what the CRM said when its item became private.
SAID = "said"


def remembered(link: Link, taken_back: Collection[str]) -> dict[str, list[str]]:
    """What the link of our copy keeps when it becomes private, but for the fields that were taken back with it."""
    said = [named(name, digest) for name, digest in link.crm_base.items() if name not in taken_back]
    return {SAID: sorted(said)} if link.ours and said else {}


def is_as_it_was(ctx: Context, link: Link, item: Fields) -> bool:
    """True where our copy, shown again, says what the CRM said when it became private: nobody has edited it since."""
    if not link.ours or link.rest != "private" or link.item_base or SAID not in link.unconfirmed:
        return False
    known, digester = set(link.unconfirmed[SAID]), ctx.digester(link.id)
    names = {entry.partition(" ")[0] for entry in known} - {"participants"}
    return bool(item) and all(named(n, digester.of(n, v)) in known for n, v in item.items() if n in names)


def crms_word(ctx: Context, link: Link, activity: Record) -> frozenset[str]:
    """The fields of which the CRM's word counts, when the item is shown again: all where somebody else answers for
    what it was."""
    if link.rest != "private" or link.item_base:
        return frozenset()
    said: dict[str, Any] = crm_view(ctx, activity, link)
    if SAID in link.unconfirmed:
        known, digester = set(link.unconfirmed[SAID]), ctx.digester(link.id)
        names = {entry.partition(" ")[0] for entry in known}
        return frozenset(n for n, v in said.items() if n in names and named(n, digester.of(n, v)) not in known)
    anothers = (
        activity.owner not in ctx.pairing.employee.addresses if link.ours else was_handed_over(ctx, link, activity)
    )
    return frozenset(n for n, v in said.items() if anothers and not says_nothing(n, v))
