"""What is not in one calendar of an employee may stand in another.

An item that is gone may stand in another calendar of the same employee: whoever moves it takes it out of one and
puts it into the other, and either may be read first. So nothing follows from its being gone before each of the
others has been read once more; until then it is leaving, and whichever shows it takes over its link. And what
the CRM has, and nobody knows yet, may stand in a calendar that has never been read.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from syncd.engine.context import Context
from syncd.engine.feed import item_feed
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


def unread(pairing: str) -> str:
    """The setting that says since when a calendar is waited for that has never been read as a whole."""
    return f"unread\n{pairing}\n"


def others_unread(ctx: Context) -> bool:
    """True while another calendar of the employee has not been read as a whole: what the CRM has may stand there. A
    calendar that cannot be read is waited for a day."""
    if ctx.others_unread is None:
        with ctx.store.transaction() as tx:
            waited = [_is_waited_for(ctx, tx, sibling) for sibling in sorted(ctx.siblings)]
        ctx.others_unread = any(waited)
    return ctx.others_unread


def _is_waited_for(ctx: Context, tx: Transaction, sibling: str) -> bool:
    place, name = tx.feed(item_feed(sibling)), unread(sibling)
    if place is not None and place["listing"] != "all" and not tx.unlinked_items(sibling, ctx.moment.today):
        tx.drop_setting(name)
        return False
    since = tx.setting(name)
    if since is None:
        tx.set_setting(name, ctx.moment.text)
        tx.set_setting(f"{questions(sibling)}{ctx.pairing.id}\n", ctx.pairing.id)
        ctx.report.again.add(sibling)
    return since is None or just_asked(ctx, since)


def dealt_with(ctx: Context, tx: Transaction, ref: str) -> None:
    """The item is there, or what follows from its being gone has been done."""
    if ctx.siblings:
        tx.drop_setting(leaving(ctx.pairing.id, ref))
        tx.drop_setting(went_private(ctx.pairing.id, ref))
