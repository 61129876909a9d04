"""What was moved to an employee's calendar from a colleague's. The CRM goes on naming whoever had it, and nobody has
handed it over: it is not put back into that one's calendar. That ends when the CRM names somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.pairing import is_of_employee
from syncd.engine.roles import ABSENT
from syncd.model.record import Record
from syncd.store import Link, Row, Transaction

#: Among what the link has written of which the activity was made: who answered for that at first, as keyed digests.
OWNED = "owned"
#: The mark of what was handed over since: it names nobody.
OVER = "over"


def _name(pairing: str, row: int) -> str:
    return f"came\n{pairing}\n{row}"


def names_of(ctx: Context, owner: str) -> set[str]:
    """By which whoever answers for an activity is known, as keyed digests: an address may change, or an id."""
    whose = [p.employee for p in ctx.everyone if owner in p.employee.addresses]
    said = {owner} | {name for e in whose for name in (f"id {e.id}", *e.addresses)}
    return {uid_digest(ctx.key, name, "owner") for name in said if owner}


def _is(ctx: Context, mark: str, owner: str) -> bool:
    """True where the CRM names the same owner as when the mark was made; an old mark, which names nobody, is taken for
    one of whoever it names now."""
    return not mark or bool(names_of(ctx, owner) & set(mark.split()))


def note_came(ctx: Context, row: Row, left: Collection[str]) -> None:
    """The row's item has come to this calendar from those of a colleague, in which nobody has it any more. It counts
    where the CRM names that colleague, or one who has left: what was handed over before is the new owner's. Raises
    PortErrors."""
    found = ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref) if row.crm_ref is not None else None
    owner = found.owner if isinstance(found, Record) else ""
    whose = [p for p in ctx.everyone if owner in p.employee.addresses]
    if whose:
        gave = any(p.id == name or is_of_employee(name, p.employee.id) for p in whose for name in left)
    else:
        gave = not all(ctx.is_configured(name) for name in left)
    with ctx.store.transaction() as tx:
        if gave and owner not in ctx.pairing.employee.addresses:
            tx.set_setting(_name(ctx.pairing.id, row.id), " ".join(sorted(names_of(ctx, owner))))
        else:
            tx.drop_setting(_name(ctx.pairing.id, row.id))


def note_owner(ctx: Context, row: int, owner: str) -> None:
    """The CRM names `owner` now: where that is another one than when the item came here, it has been handed over; the
    same one may be called something else by now."""
    name = _name(ctx.pairing.id, row)
    with ctx.store.reading() as tx:
        mark = tx.setting(name)
    if mark in (None, OVER):
        return
    names = names_of(ctx, owner)
    if not _is(ctx, mark, owner):
        with ctx.store.transaction() as tx:
            tx.set_setting(name, OVER)
    elif names != set(mark.split()):
        with ctx.store.transaction() as tx:
            tx.set_setting(name, " ".join(sorted(names)))


def came_from_a_colleague(ctx: Context, tx: Transaction, row: int, pairings: Iterable[str], owner: str) -> bool:
    """True where one of these calendars has the item from a colleague's, and the CRM names the same owner as then."""
    said = (tx.setting(_name(pairing, row)) for pairing in pairings)
    return any(_is(ctx, mark, owner) for mark in said if mark is not None)


def came_once(tx: Transaction, row: int, pairing: str) -> bool:
    """True where this calendar has the item from a colleague's, whoever answers for it by now."""
    return tx.setting(_name(pairing, row)) is not None


def came_from_another(ctx: Context, tx: Transaction, row: Row, links: Sequence[Link], owner: str) -> bool:
    """True for an activity whose item was moved from a colleague's calendar to that of somebody who has it now, and
    that the CRM has not handed over to `owner` since."""
    held = [k.pairing for k in links if k.role in ("own", "copy") and (k.rest not in ABSENT or k.rest == "private")]
    return came_from_a_colleague(ctx, tx, row.id, held, owner)


def hand_over(tx: Transaction, link: Link, pairing: str, **values: Any) -> Link:
    """The link goes over to another calendar; that its item came from a colleague's goes along."""
    mark = tx.setting(_name(link.pairing, link.activity)) if link.pairing != pairing else None
    if mark is not None:
        tx.drop_setting(_name(link.pairing, link.activity))
        if tx.setting(_name(pairing, link.activity)) in (None, OVER):  # else it is known already from whom it came
            tx.set_setting(_name(pairing, link.activity), mark)
    return tx.hand_over(link, pairing, **values)
