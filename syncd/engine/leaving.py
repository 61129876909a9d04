"""What is not in one calendar of an employee may stand in another.

An item that is gone may stand in another calendar of the same employee: whoever moves it takes it out of one and
puts it into the other, and either may be read first. So nothing follows from its being gone before each of the
others has been read once more; until then it is leaving, and whichever shows it takes over its link. And what
the CRM has, and nobody knows yet, may have been typed into another calendar too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from syncd.engine.context import Context
from syncd.engine.plan import Rule
from syncd.engine.roles import ABSENT
from syncd.store import Link, Transaction
from syncd.store.journal import decisions

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


def as_block(pairing: str, activity: str) -> str:
    """The setting of a colleague's activity whose meeting stands in this calendar as a private entry, for which the CRM
    has a block of time."""
    return f"block\n{pairing}\n{activity}"


def look_beside(ctx: Context, link: Link) -> None:
    """The link's item is gone: what is known to stand in another calendar under its UID is looked at again."""
    if link.item_ref is None:
        return
    name = beside(ctx.pairing.id, link.item_ref)
    with ctx.store.reading() as tx:
        there = tx.setting(name)
    if there is not None:
        pairing, _, ref = there.partition("\n")
        with ctx.store.transaction() as tx:
            tx.drop_setting(name)
            tx.announce(pairing, "item", [ref])
        ctx.report.again.add(pairing)


def asks_first(ctx: Context, link: Link, rule: Rule) -> bool:
    """True while another calendar of the employee has to be read before `rule` is carried out, as the item is gone."""
    if rule not in _FOLLOWS or not ctx.siblings or link.item_ref is None or link.rest in ABSENT:
        return False
    with ctx.store.transaction() as tx:
        own = f"{ctx.pairing.id}\n{link.item_ref}"
        return _asks(ctx, tx, leaving(ctx.pairing.id, link.item_ref), own, sorted(ctx.siblings))


def answer(ctx: Context, tx: Transaction) -> None:
    """The calendar has been read: whoever asked before goes on."""
    for name, asker in ctx.asked.items():
        tx.drop_setting(name)
        ctx.report.again.add(asker)
    if ctx.siblings:
        tx.drop_setting(unread(ctx.pairing.id))


def waits_of(pairing: str) -> str:
    """How the settings begin that say since when a calendar's items wait for another calendar's word."""
    return f"question\n{pairing}\n"


def questions_of(pairing: str, ref: str) -> str:
    """How the settings begin that say since when an item waits for another calendar's word on whether it is there."""
    return f"{waits_of(pairing)}{ref}\n"


def moving(row: int) -> str:
    """The setting that says since when a calendar shows an item of this row that another may just have lost."""
    return f"moving {row}"


def newly(pairing: str, ref: str) -> str:
    """The setting that says since when the employee's other calendars are asked for an activity that is new."""
    return f"new\n{pairing}\n{ref}"


def unread(pairing: str) -> str:
    """The setting that says that a calendar has not answered for a day."""
    return f"unread\n{pairing}\n"


def asks_for_new(ctx: Context, ref: str) -> bool:
    """True while another calendar of the employee has to be read before the CRM's activity, which nobody knows yet, is
    copied into this one: it may have been typed there too. One that has not answered for a day is not asked."""
    if not ctx.siblings:
        return False
    with ctx.store.transaction() as tx:
        asked = [s for s in sorted(ctx.siblings) if tx.setting(unread(s)) is None]
        waiting = bool(asked) and _asks(ctx, tx, newly(ctx.pairing.id, ref), f"{ctx.pairing.id}\ncrm {ref}", asked)
        if asked and not waiting:
            for sibling in asked:
                if tx.setting(f"{questions(sibling)}{ctx.pairing.id}\ncrm {ref}") is not None:
                    tx.set_setting(unread(sibling), "")
    return waiting


def asks_colleagues(ctx: Context, ref: str, colleagues: Sequence[str]) -> bool:
    """True while calendars of colleagues have to be read before what an item brought is taken back: theirs may show the
    same, and the store does not know so (any more)."""
    if not colleagues:
        return False
    with ctx.store.transaction() as tx:
        return _asks(ctx, tx, f"shown\n{ctx.pairing.id}\n{ref}", f"{ctx.pairing.id}\n{ref}", colleagues)


def _asks(ctx: Context, tx: Transaction, name: str, own: str, asked: Sequence[str]) -> bool:
    """Asks these calendars; True until each has been read since, for a day at most."""
    since = tx.setting(name)
    if since is None:
        tx.set_setting(name, ctx.moment.text)
        for sibling in asked:
            tx.set_setting(questions(sibling) + own, ctx.pairing.id)
        ctx.report.again |= set(asked)
        return True
    return just_asked(ctx, since) and any(tx.setting(questions(s) + own) is not None for s in asked)


def withdraw(ctx: Context, tx: Transaction) -> None:
    """What another calendar was asked for an item that is something else by now, or gone: what it had lost has not
    moved here, and what rested because of that is looked at again."""
    start = waits_of(ctx.pairing.id)
    for name, asked in tx.settings(start).items():
        ref, _, number = name.removeprefix(start).rpartition("\n")
        if tx.has_news(ctx.pairing.id, "item", ref):
            continue
        tx.drop_setting(name)
        tx.drop_setting(moving(int(number)))
        row, said = tx.row(int(number)), decisions(tx, int(number))
        for link in tx.links_of_row(int(number)):
            last = next((d for d in said if d["link"] == link.id), None)
            if link.rest == "item-gone" and last and last["rule"] == Rule.REST.value and last["at"] >= asked:
                tx.set_link(link.id, rest="")
                ctx.touch(tx, link, row)
                ctx.report.again.add(link.pairing)


def dealt_with(ctx: Context, tx: Transaction, ref: str) -> None:
    """The item is there, or what follows from its being gone has been done."""
    if ctx.siblings:
        tx.drop_setting(leaving(ctx.pairing.id, ref))
        tx.drop_setting(went_private(ctx.pairing.id, ref))
