"""The last transaction of a unit: what moved without a write, versions, rests, and the announcements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncd.engine.again import SAID
from syncd.engine.agreed import HANDED, as_agreed, shown_for
from syncd.engine.came import hand_over
from syncd.engine.context import Context
from syncd.engine.digest import apply_moves
from syncd.engine.given import GIVEN, still_given
from syncd.engine.leaving import dealt_with
from syncd.engine.look import ENDED, STILL_PRIVATE, changed, has_ended
from syncd.engine.marks import note_mark
from syncd.engine.parts import Outcome, Part, Unit
from syncd.engine.plan import HOLDERS, SPEAKING, Activity, Decision, Item, Rule
from syncd.engine.roles import ABSENT, GUESTS, of_one_date, speaks
from syncd.model.fields import kind_of
from syncd.store import Link, Transaction
from syncd.store.journal import close_conflicts, keep_conflict, unpark


def close(ctx: Context, unit: Unit, parts: Sequence[Part], version: str | None, outcome: Outcome) -> None:
    """The last transaction: bases that moved without a write, versions, rests, and the announcements.

    Args:
        version: the item's, as it was read; None when it is gone.
    """
    with ctx.store.transaction() as tx:
        for part in parts:
            _close_part(ctx, tx, part, version)
        if outcome.deferred:
            return
        for entry in unit.entries:
            if outcome.due:  # of either side: what was announced is not dealt with before that day
                tx.postpone(ctx.pairing.id, entry, outcome.due)
            else:
                tx.clear(ctx.pairing.id, [entry])
        if unit.ref is not None:
            dealt_with(ctx, tx, unit.ref)
        for side, ref in _sides(unit, parts):
            unpark(tx, ctx.pairing.id, side, ref)
        dropped = any(part.decision.rule is Rule.DROP and part.look.item_fields is not None for part in parts)
        if dropped and unit.ref is not None:  # of an item that shows a block of time in its place
            tx.announce(ctx.pairing.id, "item", [unit.ref])


def _sides(unit: Unit, parts: Sequence[Part]) -> set[tuple[str, str]]:
    """What may have been parked of a unit that has come to its end: both of its sides, whichever of them was
    announced, as the other one may have been when it could not go on."""
    refs = {(entry.side, entry.ref) for entry in unit.entries}
    refs |= {("item", unit.ref)} if unit.ref is not None else set()
    return refs | {("crm", part.row.crm_ref) for part in parts if part.row.crm_ref is not None}


def _close_part(ctx: Context, tx: Transaction, part: Part, version: str | None) -> None:
    at, decision = part.look, part.decision
    link = tx.link(at.link.id)
    if link is None:
        return
    rule = decision.rule
    both_gone = rule is Rule.DELETE_ITEM and at.situation.activity is Activity.GONE
    if rule is Rule.DROP or both_gone:
        if not _takes_the_place(ctx, tx, link):
            _hand_on(ctx, tx, part, link)
            if rule is Rule.DROP and at.situation.item is Item.PRIVATE:
                if not _shown_beside(tx, link):  # its activity was taken back, nobody deleted it
                    tx.set_row(link.activity, crm_ref=None)
                if version is not None:  # a block of time may stand for it
                    tx.announce(link.pairing, "item", [link.item_ref or ""])
            tx.drop_link(link)
        ctx.explain(tx, link, decision)
        return
    values = _settled(ctx, part, link, version)
    current = {n: getattr(link, n) for n in values}
    changed = {n: v for n, v in values.items() if current[n] != v}
    settled = tx.set_link(link.id, **changed)
    if part.taken_out:  # no answer of his: once another's entry speaks, nothing is left of it
        ctx.touch(tx, settled, part.row)
        ctx.report.again.add(link.pairing)
    if settled.rest == "item-gone" and link.rest not in ABSENT and not link.ours:
        for copy in tx.links_of_row(link.activity):  # one too many while this one was there
            if copy.ours and copy.rest == "taken-back":
                ctx.touch(tx, copy, part.row)
                ctx.report.again.add(copy.pairing)
    if settled.rest in ("declined", "item-gone", "taken-back"):
        _give_back(ctx, tx, part, settled)
    if link.rest == "private" and values.get("rest") == "":
        note_mark(ctx, tx, link)
    asks = part.merge.asks
    for name, (item, crm) in asks.items():
        kind = kind_of(name)
        keep_conflict(
            tx,
            pairing=link.pairing,
            link=link.id,
            field=name,
            since=ctx.moment.text,
            item=kind.canonical(item),
            crm=kind.canonical(crm),
        )
    close_conflicts(tx, link.id, asks)
    ctx.report.conflicts += len(asks)
    ctx.report.resting += rule is Rule.REST
    wrote = {"to-groupware": sorted(part.merge.to_item), "to-crm": sorted(part.merge.to_crm)}
    stays = sorted({f"{name.partition(' ')[0]} ({side})" for side, name in part.merge.stays})
    waits = list(part.waits) if ",".join(part.waits) != at.link.waits else []
    detail = {k: v for k, v in {**wrote, "stays": stays, "asks": sorted(asks), "waits": waits}.items() if v}
    made = rule in (Rule.CREATE_CRM, Rule.CREATE_ITEM)
    if detail or made or (rule is not Rule.NOTHING and decision.rest != at.link.rest):
        ctx.explain(tx, link, decision, **detail)


def _shown_beside(tx: Transaction, link: Link) -> bool:
    """True where another calendar shows the activity too: that it is gone is still to be said there."""
    beside = (k for k in tx.links_of_row(link.activity) if k.id != link.id)
    return any(k.item_ref is not None and k.rest not in ABSENT for k in beside)


def _takes_the_place(ctx: Context, tx: Transaction, link: Link) -> bool:
    """True where the link goes on as the one under which the employee has the item now, of which nothing was agreed on
    yet: it was read there before it was seen to have left this place."""
    mine = {ctx.pairing.id, *ctx.siblings}
    beside = [k for k in tx.links_of_row(link.activity) if k.id != link.id and k.pairing in mine and not k.ours]
    heir = next((k for k in beside if k.occurrence == link.occurrence and k.item_ref and not k.item_base), None)
    if heir is None or not link.item_base or link.ours or heir.rest not in ("", "out") or heir.brought:
        return False
    tx.drop_link(heir)
    hand_over(tx, link, heir.pairing, item_ref=heir.item_ref, item_version="", rest=heir.rest)
    tx.announce(heir.pairing, "item", [heir.item_ref or ""])
    return True


def _hand_on(ctx: Context, tx: Transaction, part: Part, link: Link) -> None:
    """What the link brought is what the employee's other copy shows: it goes when that becomes private."""
    if link.role in HOLDERS:
        return
    mine = {ctx.pairing.id, *ctx.siblings}
    beside = [k for k in tx.links_of_row(link.activity) if k.id != link.id and k.pairing in mine]
    if not beside and part.look.situation.item is Item.GONE:  # of one who takes part no more, what others show too
        beside = [k for k in tx.links_of_row(link.activity) if k.id != link.id and speaks(k)]
    heirs = sorted((k for k in beside if k.item_ref is not None and k.rest not in ABSENT), key=lambda k: k.ours)
    if not heirs:
        return
    tx.set_link(heirs[0].id, brought=heirs[0].brought | link.brought)
    if part.row.maker == link.id:
        tx.set_row(link.activity, maker=heirs[0].id)


def _give_back(ctx: Context, tx: Transaction, part: Part, link: Link) -> None:
    """Where the last entry is gone that showed a meeting to all, and one that is private is still there: what the one
    has brought, or was handed as the other became private, is the other's, and is taken back with it. Of our copy that
    is what it was handed: what its employee has typed on it stays."""
    brought = shown_for(link)
    if not link.ours and (part.look.situation.item is not Item.GONE or link.role not in GUESTS):
        return
    if not brought and (link.ours or part.row.maker != link.id):
        return
    others = [k for k in tx.links_of_row(link.activity) if k.id != link.id and (link.ours or not k.ours)]
    beside = [k for k in of_one_date(others, link) if k.item_ref is not None and ctx.speaks(k.pairing)]
    hidden = [k for k in beside if k.rest == "private" or k.role == "block"]
    shown = [k for k in beside if k.rest not in ABSENT and k not in hidden]
    if not hidden or shown:
        return
    agreed = as_agreed(ctx, link, hidden[0], part.look.sides.crm)
    tx.set_link(hidden[0].id, brought=hidden[0].brought | brought, **agreed)
    rest = {name: list(held) for name, held in link.unconfirmed.items() if name != HANDED}
    tx.set_link(link.id, brought=link.brought - brought, unconfirmed=rest)
    if part.row.maker == link.id:
        tx.set_row(link.activity, maker=hidden[0].id)
    ctx.touch(tx, hidden[0], part.row)
    ctx.report.again.add(hidden[0].pairing)


def _settled(ctx: Context, part: Part, link: Link, version: str | None) -> dict[str, Any]:
    """The link's columns after the unit. A version is kept only of what the base speaks of: where something was
    not dealt with (it rests, it waits, a person is asked), the next full comparison looks again."""
    at, decision = part.look, part.decision
    values: dict[str, Any] = {"waits": ",".join(part.waits) if part.counted else ""}
    if decision.rule in (Rule.REDACT, Rule.UNFILE):
        return {"item_version": version or "", "rest": link.rest}
    accepted = {n: v for n, v in at.sides.item_base.items() if at.link.item_base.get(n) != v}
    accepted_crm = {n: v for n, v in at.sides.crm_base.items() if at.link.crm_base.get(n) != v}
    if decision.rule not in (Rule.CREATE_CRM, Rule.CREATE_ITEM):
        base = {
            n: v for n, v in accepted.items() if n not in part.merge.with_item[0] and n not in part.merge.with_crm[0]
        }
        crm_base = {
            n: v
            for n, v in accepted_crm.items()
            if n not in part.merge.with_item[1] and n not in part.merge.with_crm[1]
        }
        values["item_base"] = apply_moves({**link.item_base, **base}, part.merge.now[0])
        values["crm_base"] = apply_moves({**link.crm_base, **crm_base}, part.merge.now[1])
        texts = {n: t for n, t in part.merge.texts.items() if n in part.merge.now[0]}
        if texts:
            values["texts"] = {**link.texts, **texts}
    unconfirmed = {k: list(v) for k, v in link.unconfirmed.items()}
    open_item, open_crm = _open(part, link, values)
    if version is not None and not part.item_written:
        values["item_version"] = "" if open_item else version
        unconfirmed.pop("item", None)
    elif open_item:
        values["item_version"] = ""
    elif version is None and not part.item_written:
        unconfirmed.pop("item", None)  # one that is brought back, be it under the version of our write, is a person's
    if at.activity is not None and not part.crm_written:
        values["crm_version"] = "" if open_crm else at.activity.version
        unconfirmed.pop("crm", None)
    elif open_crm:
        values["crm_version"] = ""
    elif at.activity is None and not part.crm_written:
        unconfirmed.pop("crm", None)
    if decision.rule in SPEAKING:
        unconfirmed.pop(STILL_PRIVATE, None)
        unconfirmed.pop(SAID, None)
    if decision != Decision(Rule.REST, "item-gone") or not has_ended(ctx, at.activity):
        unconfirmed.pop(ENDED, None)
    elif at.link.rest != "item-gone":  # what was taken out of the calendar before it ended is not wanted there
        unconfirmed[ENDED] = ["status"]
    for side, name in part.merge.stays:
        unconfirmed[f"local-{side}"] = sorted({*unconfirmed.get(f"local-{side}", []), name})
    if GIVEN in unconfirmed and not part.item_written and at.item_fields is not None:
        unconfirmed[GIVEN] = still_given(link, at.sides.item)
    if link.private_copy and not part.item_written and at.is_shown and at.sides.item.get("private") is False:
        values["private_copy"] = False  # a person has opened it: what is made private from now on is a person's
    values["unconfirmed"] = {k: v for k, v in unconfirmed.items() if v}
    if (not part.item_written and not part.crm_written) or decision.rule in (Rule.TO_ITEM, Rule.TO_CRM, Rule.MERGE):
        if not (part.item_written and link.rest == "taken-back"):
            values["rest"] = decision.rest
    if decision.rest == "private" or (at.situation.item is Item.PRIVATE and at.situation.role in HOLDERS):
        values |= {"item_base": {}, "crm_base": {}, "texts": {}, "brought": frozenset()}
    return values


def _open(part: Part, link: Link, values: dict[str, Any]) -> tuple[bool, bool]:
    """Which side (item, activity) shows a change that has not been dealt with."""
    at, merge = part.look, part.merge
    if part.waits or merge.asks:
        return bool(merge.asks), True
    if part.decision.rule is not Rule.REST or part.decision.rest == "private":
        return False, False
    item_base, crm_base = values.get("item_base", link.item_base), values.get("crm_base", link.crm_base)
    item = changed(at.sides.digester, item_base, at.sides.item) and at.item_fields is not None
    return item, changed(at.sides.digester, crm_base, at.sides.crm) and at.activity is not None
