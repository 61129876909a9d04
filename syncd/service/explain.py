"""Why is this (not) in my calendar? Reads what was decided, and looks at what holds now."""

from __future__ import annotations

from typing import Any

from syncd.engine.context import Context
from syncd.engine.join import is_invited
from syncd.engine.look import crm_view, in_scope, within
from syncd.engine.mailroom import Mailroom, for_mail
from syncd.engine.pairing import Moment, Pairing
from syncd.engine.parts import PRIVATE_DATE
from syncd.mapping.mail import Mail, passed_over
from syncd.model.record import Record
from syncd.ports import PortError, Rejected
from syncd.privacy import Admission
from syncd.service.assemble import House
from syncd.service.rehearsal import rehearsed
from syncd.store.journal import crossings, decisions, parked
from syncd.store.rows import Link, Row

_RESTS = {
    "item-gone": "its item was deleted in the groupware; it stays deleted there",
    "declined": "the employee declined by deleting the invitation",
    "taken-back": "syncd took its copy back: the employee no longer takes part, or it was rejected",
    "activity-gone": "the activity was deleted; the item stays, as the mapping or the role says",
    "not-allowed": "the activity was deleted; the item stays, as nothing may be written there now",
    "private": "private in the groupware: nothing of it crosses",
    "out": "outside the window, not taken by the mapping's conditions, or not this employee's: it rests",
}
_ROLES = {
    "own": "in the calendar, in step both ways",
    "copy": "in the calendar, as a copy that syncd made, in step both ways",
    "attendee": "in the calendar as somebody else's meeting: only the answer goes to the CRM, nothing is written there",
    "stand-in": "in the calendar as a meeting of somebody outside: it goes to the CRM, changes in the CRM stay there",
    "block": "in the calendar as private: only the time goes to the CRM",
    "holder": "in the mailbox: logged in the CRM",
    "filed": "in the mailbox: logged in the CRM because it lies in a drop folder",
}

#: Why a message does not cross that is no kind of mail.
_PASSED = {
    "outside-window": "not taken: outside the mapping's window",
    "conditions": "not taken: the mapping's conditions leave it out",
    "copy": "another copy of it in this mailbox speaks for it",
    "unflagged": "not taken: nobody flagged it",
    "direction": "not taken: the mapping goes to the groupware only",
}


def explain(house: House, name: str) -> dict[str, Any] | None:
    """What is known about an activity (its id) or an item (its address); None for neither."""
    from datetime import UTC, datetime

    with house.store.reading() as tx:
        row = tx.rows_by_ref("crm", [name]).get(name)
        if row is None:
            for pairing in house.pairings:
                links = tx.links_by_item(pairing.id, [name])
                if links:
                    row = tx.row(links[0].activity)
        links = tx.links_of_row(row.id) if row else []
        known = decisions(tx, row.id) if row else []
        crossed = crossings(tx, [k.id for k in links])
    ref = row.crm_ref if row and row.crm_ref else name
    try:
        found = house.crm.fetch([ref]).get(ref)
    except (PortError, ValueError):
        found = None
    activity = found if isinstance(found, Record) else None
    if row is None and activity is None:
        return _item_only(house, name)
    now = Moment(datetime.now(UTC))
    calendars = [
        {"pairing": p.id, "why": _why(Context(p, house.store, now, house.key, house.pairings), p, row, links, activity)}
        for p in house.pairings
    ]
    keep = ("at", "pairing", "rule", "detail")
    return {
        "activity": ref if activity or row else None,
        "calendars": calendars,
        "decisions": [{k: d[k] for k in keep} for d in known],
        "crossings": [{k: c[k] for k in ("at", "pairing", "way", "fields", "rule")} for c in crossed],
    }


def waiting(waits: str) -> dict[str, Any]:
    """Of a link's `waits`: {"fields": names, "why": in words}."""
    names = waits.split(",")
    fields = [name for name in names if name != PRIVATE_DATE]
    reason = "one of its dates is private" if PRIVATE_DATE in names else "the guests must be told"
    return {"fields": fields, "why": f"waits: {reason}; change it in the calendar"}


def _why(ctx: Context, pairing: Pairing, row: Row | None, links: list[Link], activity: Record | None) -> str:
    mine = next((k for k in links if k.pairing == pairing.id), None)
    if mine is not None and mine.waits:
        said = waiting(mine.waits)
        return f"{_ROLES.get(mine.role, mine.role)}; {', '.join(said['fields'])} {said['why']}"
    if mine is not None:
        return _RESTS[mine.rest] if mine.rest in _RESTS else _ROLES.get(mine.role, mine.role)
    if activity is None:
        return "not in the calendar: the activity is gone"
    if activity.kind != pairing.lens.mapping.activity:
        return (
            f"not in this calendar: it is a {activity.kind}, and the mapping is about {pairing.lens.mapping.activity}s"
        )
    if not in_scope(ctx, activity, ours=True):
        private = bool(activity.fields.get("private"))
        return (
            "not in the calendar: it is private to its owner" if private else "not in the calendar: not a participant"
        )
    if pairing.lens.mapping.direction == "to-crm":
        return "not in the calendar: the mapping goes to the CRM only"
    if row is not None and is_invited(ctx, row, links):
        return "not copied: the employee's own invitation is the copy"
    if pairing.crm.statuses().get(str(activity.fields.get("status"))) == "rejected":
        return "not in the calendar: it is rejected"
    if any(k.pairing in ctx.siblings for k in links):
        return "not in this calendar: the employee has it, or had it, in another one"
    if not pairing.default:
        return "not in this calendar: another one of the employee's takes what comes from the CRM"
    if not pairing.replica.capabilities.writable:
        return "not in the calendar: the account is read-only, nothing is written there"
    if not within(ctx, crm_view(ctx, activity)):
        return "not in the calendar: outside the mapping's window"
    return "not in the calendar yet: the next pass brings it"


def _rules(pairing: Pairing) -> tuple[Mail, str]:
    return pairing.lens.mapping.mail, pairing.lens.mapping.activity


def _item_only(house: House, name: str) -> dict[str, Any] | None:
    """An item that has no link: does it cross?"""
    from datetime import UTC, datetime

    with house.store.reading() as tx:
        waiting = [p for p in parked(tx) if p.ref == name]
    if waiting:
        shown = [{"pairing": p.pairing, "why": f"parked: {p.reason}"} for p in waiting]
        return {"activity": None, "calendars": shown, "decisions": [], "crossings": []}
    for pairing in house.pairings:
        (looking,) = rehearsed([pairing])  # who asks makes no lead
        ctx = Context(looking, house.store, Moment(datetime.now(UTC)), house.key, house.pairings)
        for_mail(ctx)
        try:
            found = ctx.items.one(name)
        except PortError:
            continue
        if isinstance(found, Rejected):
            why = f"parked: {found}"
        elif not isinstance(found, Admission):
            continue
        elif found.record is None:
            why = "private: nothing of it crosses"
        elif kinds := sorted(
            found.record.traits & passed_over(pairing.lens.mapping.mail, pairing.lens.mapping.activity)
        ):
            why = f"not the CRM's business, as the mapping says: {', '.join(kinds)}"
        elif isinstance(ctx.pairing.replica, Mailroom) and ctx.pairing.replica.passed.get(name) in _PASSED:
            why = _PASSED[ctx.pairing.replica.passed[name]]
        else:
            why = "not taken: outside the window, or the mapping's conditions leave it out"
        return {"activity": None, "calendars": [{"pairing": pairing.id, "why": why}], "decisions": [], "crossings": []}
    return None
