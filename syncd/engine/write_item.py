"""Writes into a calendar: copies made, items changed and deleted for their activities (the three beats:
`writes`)."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from syncd.engine.allowed import May
from syncd.engine.context import Context
from syncd.engine.digest import anew
from syncd.engine.given import GIVEN, KEPT, kept_private, made_private
from syncd.engine.look import Look, item_view, was_handed_over
from syncd.engine.pairing import participants_lines
from syncd.engine.sides import Merge
from syncd.engine.writes import WAS, Moves, attempt, confirm, created, drop, finish, journal, moves_of
from syncd.mapping import blocks
from syncd.model.fields import Fields, kind_of, same
from syncd.model.record import Record
from syncd.ports import Rejected, Written
from syncd.store import Intent, Link, Row

#: By which what has moved to a colleague is known again.
TELLING_APART = ("subject", "time", "due", "location", "notes")


def copy_key(row: Row, pairing: str) -> str:
    """The idempotent key of one employee's copy of an activity."""
    return str(uuid5(UUID(row.key), pairing))


def create_item(ctx: Context, look: Look, row: Row) -> Link:
    """Makes the copy of an activity in the employee's calendar."""
    link, record, lens = look.link, look.activity, ctx.pairing.lens
    assert record is not None
    caps = ctx.items.capabilities
    view = look.sides.crm
    down = {n: v for n, v in view.items() if look.sides.may.down(n) is May.YES and n != "participants"}
    fields = lens.to_item(down)
    digester = look.sides.digester
    item_base: dict[str, Any] = {}
    for name in view:
        if name == "participants":
            continue
        image = lens.on_item(name, view[name], caps) if name in down else None
        if image is None:
            image = lens.rules[name].forward(kind_of(lens.rules[name].item).empty)
        if image is not None:
            item_base[name] = digester.of(name, image)
    moves: Moves = {
        "item": anew(link.item_base, item_base),
        "crm": anew(link.crm_base, digester.base(view)),
        "texts": {n: str(v or "") for n, v in down.items() if lens.rules[n].merge == "text"},
        "private_copy": bool(record.fields.get("private")),
        GIVEN: made_private(link, {}, down.get("recurrence"), down.get("time")),
        KEPT: kept_private(bool(record.fields.get("private")), down, (), down.get("time")),
        "unconfirmed": ["item", sorted(down)],
        "local": ["crm", sorted(view.keys() - down.keys())],
    }
    if link.rest != "taken-back":  # what was there was somebody's, or had been moved away
        moves[WAS] = sorted(str(v) for n, v in link.item_base.items() if n in TELLING_APART)
    lens.dress_item(fields, participants_lines(record.fields), caps)
    if "description" not in fields and participants_lines(record.fields):
        fields["description"] = blocks.attach("", participants_lines(record.fields), caps.limit("description").length)
    key, uid = copy_key(row, ctx.pairing.id), row.key
    kind = lens.mapping.item
    with ctx.store.transaction() as tx:
        intent = journal(ctx, tx, link, "item", "create", down, key=key, uid=uid, moves=moves)
    intent, written = created(ctx, intent, down, lambda: ctx.items.create(fields, key, kind=kind, uid=uid))
    if is_anothers(ctx, link, written.ref):
        drop(ctx, [intent])
        raise Rejected(f"its copy is that of another activity: {written.ref}: delete one of the two")
    intent, written = confirm(ctx, "item", written, intent, down, lambda found: item_view(ctx, found.fields))
    with ctx.store.transaction() as tx:
        link = finish(
            ctx, tx, intent, written, item_ref=written.ref, crm_version=record.version, ours=True, role="copy"
        )
        ctx.crossed(tx, link, "to-groupware", sorted(down))
        if written.version is None:
            tx.announce(link.pairing, "item", [written.ref])
    ctx.report.created_groupware += 1
    return link


def is_anothers(ctx: Context, link: Link, ref: str) -> bool:
    """True where the item that a create has found is another link's."""
    with ctx.store.reading() as tx:
        there = tx.links_by_item(ctx.pairing.id, [ref])
    return any(k.id != link.id and k.occurrence == link.occurrence for k in there)


def update_item(ctx: Context, record: Record, changes: Fields, parts: list[tuple[Look, Merge, str]]) -> list[Link]:
    """Writes once into the item what all its links want of it.

    Args:
        parts: for each link: what it looked like, its merge, and why it rests afterwards.
    """
    intents: list[Intent] = []
    with ctx.store.transaction() as tx:
        for look, merge, after in parts:
            names = sorted(merge.to_item)
            images = {n: ctx.pairing.lens.on_item(n, v, ctx.items.capabilities) for n, v in merge.to_item.items()}
            check = {n: look.sides.digester.of(n, image) for n, image in images.items()}
            meant = [n for n in names if n in merge.with_item[0]]  # words beside a new block are a person's
            more: Moves = {"check": check, "unconfirmed": ["item", meant]}
            if "private" in merge.to_item:
                more["private_copy"] = private = bool(merge.to_item["private"])
                masked = look.sides.may.masked
                more[KEPT] = kept_private(private, look.sides.item, masked, look.sides.item.get("time"))
            if "recurrence" in merge.to_item:
                time = merge.to_item.get("time", look.sides.item.get("time"))
                more[GIVEN] = made_private(look.link, look.sides.item, merge.to_item["recurrence"], time)
            if was_handed_over(ctx, look.link, look.activity):
                more["given-up"] = [n for n in names if not kind_of(n).keyed and n not in look.link.texts]
            moves = moves_of(merge, merge.with_item, **more)
            intents.append(
                journal(ctx, tx, look.link, "item", "update", expected=record.version, moves=moves, after=after)
            )
    tell = any(_is_told(look, merge, after) for look, merge, after in parts)
    written: Written = attempt(ctx, intents, lambda: ctx.items.update(record, changes, tell=tell))
    if len(parts) == 1 and not parts[0][0].link.occurrence:
        sent = parts[0][1].to_item
        intents[0], written = confirm(
            ctx, "item", written, intents[0], sent, lambda found: item_view(ctx, found.fields)
        )
    links = []
    with ctx.store.transaction() as tx:
        for intent, (_look, merge, _) in zip(intents, parts, strict=True):
            link = finish(ctx, tx, intent, written)
            if merge.to_item:
                ctx.crossed(tx, link, "to-groupware", sorted(merge.to_item))
            links.append(link)
        if written.version is None:
            tx.announce(ctx.pairing.id, "item", [record.ref])
    ctx.report.updated_groupware += 1
    return links


def _is_told(look: Look, merge: Merge, after: str) -> bool:
    """True when the guests are to hear of what this link writes: not of dates that are over, nor of a block below the
    same words, nor of a copy that is taken back."""
    may = look.sides.may
    for name, value in merge.to_item.items():
        kind, shown = kind_of(name), look.sides.item.get(name)
        if not kind.keyed and same(name, shown, value):
            continue
        was, now = (kind.elements(v) for v in (shown, value)) if kind.keyed else ({}, {"": ""})
        if any(may.tells(name, key) for key in was.keys() | now.keys() if was.get(key) != now.get(key)):
            return True
    return not merge.to_item and may.tell and not _takes_back(look, after)


def _takes_back(look: Look, after: str) -> bool:
    """True where our copy goes, and the meeting goes on."""
    return after == "taken-back" and not look.situation.rejected


def delete_item(ctx: Context, look: Look, record: Record, after: str) -> Link:
    """Removes the item, at the version that was looked at."""
    link, tell = look.link, look.sides.may.tell and not _takes_back(look, after)
    with ctx.store.transaction() as tx:
        intent = journal(ctx, tx, link, "item", "delete", expected=record.version, after=after)
    ctx.listed.discard(record.ref)
    attempt(ctx, [intent], lambda: ctx.items.delete(record, tell=tell))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, None)
    ctx.report.deleted_groupware += 1
    return link
