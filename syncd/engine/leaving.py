"""What is not in one calendar of an employee may stand in another.

An item that is gone may stand in another calendar of the same employee: whoever moves it takes it out of one and
puts it into the other, and either may be read first. So nothing follows from its being gone before each of the
others has been read once more; until then it is leaving, and whichever shows it takes over its link. And what
the CRM has, and nobody knows yet, may have been typed into another calendar too.
"""

from __future__ import annotations

import sys
from datetime import UTC, timedelta

from syncd.engine.context import Context
from syncd.engine.plan import Rule
from syncd.engine.roles import ABSENT
from syncd.store import Link, Transaction

#: How long an answer may take: the other calendar's server may not be ready.
ASKING = timedelta(days=1)
#: What would be done because an item is gone.
_FOLLOWS = frozenset({Rule.CANCEL, Rule.DELETE_CRM, Rule.DECLINE, Rule.CREATE_ITEM})


def just_asked(ctx: Context, at: str | None) -> bool:
    """True until an answer is no longer waited for."""
    return at is not None and at >= (ctx.moment.now - ASKING).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def leaving(pairing: str, ref: str) -> str:
    """The setting that says since when an item is gone from a calendar."""
    return f"leaving\n{pairing}\n{ref}"


def questions(pairing: str) -> str:
    """How the settings begin that ask a calendar to be read; the value is who asks."""
    return f"asked\n{pairing}\n"


def has_left(tx: Transaction, link: Link) -> bool:
    """True for a link whose item is gone, while nothing has followed from that."""
    return link.item_ref is not None and tx.setting(leaving(link.pairing, link.item_ref)) is not None


def beside(pairing: str, ref: str) -> str:
    """The setting that says where an item of another calendar stands that has the same UID, and is private there: when
    this one goes, that one is looked at again."""
    return f"beside\n{pairing}\n{ref}"


def went_private(pairing: str, ref: str) -> str:
    """The setting of an item that is gone and stands in another calendar as a private one."""
    return f"private\n{pairing}\n{ref}"


def asks_first(ctx: Context, link: Link, rule: Rule) -> bool:
    """True while another calendar of the employee has to be read before `rule` is carried out, as the item is gone."""
    if ctx.siblings and link.item_ref is not None:
        with ctx.store.transaction() as tx:
            there = tx.setting(beside(ctx.pairing.id, link.item_ref))
            if there is not None:
                pairing, _, ref = there.partition("\n")
                tx.drop_setting(beside(ctx.pairing.id, link.item_ref))
                tx.announce(pairing, "item", [ref])
                ctx.report.again.add(pairing)
    if rule not in _FOLLOWS or not ctx.siblings or link.item_ref is None or link.rest in ABSENT:
        return False
    name, own = leaving(ctx.pairing.id, link.item_ref), f"{ctx.pairing.id}\n{link.item_ref}"
    with ctx.store.transaction() as tx:
        since = tx.setting(name)
        if since is None:
            tx.set_setting(name, ctx.moment.text)
            for sibling in sorted(ctx.siblings):
                tx.set_setting(questions(sibling) + own, ctx.pairing.id)
            ctx.report.again |= ctx.siblings
            return True
        return just_asked(ctx, since) and any(tx.setting(questions(s) + own) is not None for s in ctx.siblings)


def answer(ctx: Context, tx: Transaction) -> None:
    """The calendar has been read: whoever asked before goes on."""
    for name, asker in ctx.asked.items():
        tx.drop_setting(name)
        ctx.report.again.add(asker)


def questions_of(pairing: str, ref: str) -> str:
    """How the settings begin that say since when an item waits for another calendar's word on whether it is there."""
    return f"question\n{pairing}\n{ref}\n"


def newly(pairing: str) -> str:
    """The setting that says up to which announcement of the CRM the employee's other calendars are asked, and since
    when."""
    return f"new\n{pairing}\n"


def asks_for_new(ctx: Context, ref: str) -> bool:
    """True while another calendar of the employee has to be read before the CRM's activity, which nobody knows yet, is
    copied into this one: it may have been typed there too. They are asked once for all that has been announced."""
    name, own = newly(ctx.pairing.id), f"{ctx.pairing.id}\n"
    if ctx.covered is None:
        with ctx.store.reading() as tx:
            covered, _, since = (tx.setting(name) or "0 ").partition(" ")
            asked = any(tx.setting(questions(s) + own) is not None for s in ctx.siblings)
        if asked:  # one that cannot be read is waited for a day, and no longer
            ctx.covered, ctx.asking = 0 if just_asked(ctx, since) else sys.maxsize, True
        else:
            ctx.covered = int(covered)
    with ctx.store.reading() as tx:
        if tx.number(ctx.pairing.id, "crm", ref) <= ctx.covered:
            return False
    if not ctx.asking:
        ctx.asking = True
        with ctx.store.transaction() as tx:
            tx.set_setting(name, f"{tx.last_number(ctx.pairing.id, 'crm')} {ctx.moment.text}")
            for sibling in sorted(ctx.siblings):
                tx.set_setting(questions(sibling) + own, ctx.pairing.id)
        ctx.report.again |= ctx.siblings
    return True


def dealt_with(ctx: Context, tx: Transaction, ref: str) -> None:
    """The item is there, or what follows from its being gone has been done."""
    if ctx.siblings:
        tx.drop_setting(leaving(ctx.pairing.id, ref))
        tx.drop_setting(went_private(ctx.pairing.id, ref))
