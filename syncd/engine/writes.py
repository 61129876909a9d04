"""Carries decisions out: journal the intent, write with the expected version, keep what was meant.

Every write has the same three beats, so that a crash at any point leaves either nothing done, or an
intent that `recover` can ask about: (1) the intent, with the digests of the values that it means;
(2) the call; (3) one transaction that moves the bases to what was meant and closes the intent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from syncd.engine.context import Context
from syncd.engine.digest import apply_moves
from syncd.engine.look import Look, crm_view, item_view
from syncd.engine.merge import Merge, image, one_line
from syncd.engine.pairing import participants_lines
from syncd.mapping import blocks
from syncd.model.fields import Fields, kind_of
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.span import Span
from syncd.ports import (
    AuthFailed,
    Batching,
    Create,
    Crm,
    Exists,
    Gone,
    PortError,
    Rejected,
    Stale,
    Transient,
    Unsupported,
    Written,
)
from syncd.store import Intent, Link, Row, Transaction

Moves = dict[str, Any]
#: How a side's record looks in the activity's terms.
View = Callable[[Record], Fields]


class Wait(Exception):
    """Another link is at the same activity just now: look again in the next pass."""


def copy_key(row: Row, pairing: str) -> str:
    """The idempotent key of one employee's copy of an activity."""
    return str(uuid5(UUID(row.key), pairing))


def moves_of(merge: Merge, place: tuple[dict[str, Any], dict[str, Any]], **more: Any) -> Moves:
    """The journalled form of how the bases move."""
    texts = {n: t for n, t in merge.texts.items() if n in place[0] or n in place[1]}
    return {"item": place[0], "crm": place[1], "texts": texts, **more}


def moved(link: Link, moves: Mapping[str, Any]) -> dict[str, Any]:
    """The link's columns after the moves."""
    values: dict[str, Any] = {
        "item_base": apply_moves(link.item_base, moves.get("item", {})),
        "crm_base": apply_moves(link.crm_base, moves.get("crm", {})),
    }
    if moves.get("texts"):
        values["texts"] = {**link.texts, **moves["texts"]}
    if moves.get("brought"):
        values["brought"] = link.brought | frozenset(moves["brought"])
    if "private_copy" in moves:
        values["private_copy"] = moves["private_copy"]
    if moves.get("unconfirmed"):
        side, names = moves["unconfirmed"]
        values["unconfirmed"] = {**link.unconfirmed, side: sorted({*link.unconfirmed.get(side, []), *names})}
        local = set(link.unconfirmed.get(f"local-{side}", [])) - set(names)
        values["unconfirmed"][f"local-{side}"] = sorted(local)
    return values


#: Of a text sent to a side that may cut it without saying so, the digests of this many beginnings
#: are journalled: if the answer is lost, `recover` still knows its own words when they come back cut.
_IMAGES = 512


def intent_of(
    ctx: Context, link: Link, side: str, op: str, sent: Fields | None = None, **values: Any
) -> dict[str, Any]:
    """The first beat's columns."""
    replica = ctx.pairing.crm if side == "crm" else ctx.pairing.replica
    if sent and not replica.capabilities.exact:
        digester = ctx.digester(link.id)
        texts = {n: one_line(v)[:_IMAGES] for n, v in sent.items() if isinstance(v, str)}
        images = {n: [digester.text(t[:k]) for k in range(1, len(t) + 1)] for n, t in texts.items()}
        values["moves"] = {**values["moves"], "images": images}
    return {"pairing": ctx.pairing.id, "link": link.id, "side": side, "op": op, **values}


def journal(
    ctx: Context, tx: Transaction, link: Link, side: str, op: str, sent: Fields | None = None, **values: Any
) -> Intent:
    """The first beat."""
    return tx.journal(**intent_of(ctx, link, side, op, sent, **values))


def confirm(
    ctx: Context, side: str, written: Written, intent: Intent, sent: Fields, view: View
) -> tuple[Intent, Written]:
    """Reads a write back where the server may have shaped it, or gave no version (fine print 3).

    A field that we wrote and that differs moves its base to what is held only if that is an image of
    what we sent, or if nobody can have written since; otherwise it is an edit: the base stays as
    meant, and the version stays unknown, so that the edit is looked at.
    """
    replica = ctx.pairing.crm if side == "crm" else ctx.pairing.replica
    if written.version is not None and replica.capabilities.exact:
        return intent, written
    found = replica.fetch([written.ref]).get(written.ref)
    if not isinstance(found, Record):
        return intent, Written(written.ref, None)
    ours = written.version is not None and found.version == written.version
    held = view(found)
    moves, edited = shaped_moves(ctx, intent, side, held, sent, ours=ours)
    with ctx.store.reading() as tx:
        link = tx.link(intent.link)
    old = (link.item_base if side == "item" else link.crm_base) if link is not None else {}
    base, digester = apply_moves(old, moves.get(side, {})), ctx.digester(intent.link)
    edited = edited or any(not digester.holds(base, n, v) for n, v in held.items())
    return replace(intent, moves=moves), Written(written.ref, None if edited else found.version)


def shaped_moves(
    ctx: Context,
    intent: Intent,
    side: str,
    held: Fields,
    sent: Fields,
    *,
    ours: bool = False,
    before: Mapping[str, Any] | None = None,
) -> tuple[Mapping[str, Any], bool]:
    """The intent's moves with the bases of what the server shaped; and whether somebody edited.

    Args:
        before: the base before the write, when it may never have arrived: what is as it was then is
            no beginning of what was sent, but what was there.
    """
    digester = ctx.digester(intent.link)
    base = dict(intent.moves.get(side, {}))
    edited = False
    images = intent.moves.get("images", {})
    for name in sorted(sent.keys() | images.keys()):
        if name not in held or name not in base or digester.of(name, held[name]) == base[name]:
            continue
        if kind_of(name).keyed:
            continue
        if before is not None and digester.of(name, held[name]) == before.get(name):
            continue
        known = digester.text(one_line(held[name])) in images.get(name, ())
        if ours or known or image(held[name], sent.get(name)):
            base[name] = digester.of(name, held[name])
        else:
            edited = True
    return {**intent.moves, side: base}, edited


def finish(ctx: Context, tx: Transaction, intent: Intent, written: Written | None, **more: Any) -> Link:
    """The third beat: the bases hold what was meant, the intent is closed."""
    link = tx.link(intent.link)
    assert link is not None
    values = moved(link, intent.moves) | more
    if intent.op != "update" or intent.after:
        values["rest"] = intent.after
    if written is not None:
        values["item_version" if intent.side == "item" else "crm_version"] = written.version or ""
    tx.close_intent(intent.id)
    return tx.set_link(link.id, **values)


def attempt(ctx: Context, intents: list[Intent], call: Callable[[], Any]) -> Any:
    """The second beat. A write that was refused for certain leaves no intent behind; one whose
    outcome is unknown (Transient, a crash) stays open for `recover`."""
    try:
        return call()
    except Exists:
        raise  # it is there: whoever asked finds out under which ref
    except (Stale, Gone, Rejected, Unsupported, AuthFailed):
        drop(ctx, intents)
        raise


def drop(ctx: Context, intents: list[Intent]) -> None:
    """These writes were certainly not made."""
    with ctx.store.transaction() as tx:
        for intent in intents:
            tx.close_intent(intent.id)


# -- the CRM's side --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meant:
    """A create of an activity: what is sent, how the bases move, and what stands in the body."""

    #: The item's values that go up.
    sent: Fields
    #: The same as the CRM will hold them.
    fields: Fields
    body: Fields
    moves: Moves


def meant_for_crm(ctx: Context, look: Look) -> Meant:
    """What a new activity of this link is to hold."""
    view = look.sides.item
    up = {n: v for n, v in view.items() if look.sides.directions[n] in ("both", "to-crm")}
    caps = ctx.pairing.crm.capabilities
    lens, digester = ctx.pairing.lens, look.sides.digester
    fields = {n: lens.on_crm(n, v, caps) for n, v in up.items()}
    base = digester.base(view)
    moves: Moves = {
        "item": base,
        "crm": {
            n: base[n] if fields.get(n) is view[n] else digester.of(n, fields.get(n, kind_of(n).empty)) for n in view
        },
        "texts": {n: str(v or "") for n, v in up.items() if lens.rules[n].merge == "text"},
        "brought": sorted(fields),
        "unconfirmed": ["crm", sorted(fields)],
    }
    dressed = lens.dress_crm(dict(up), {}, caps)
    body = {n: dressed[n] if n == "notes" and n in dressed else fields.get(n, v) for n, v in dressed.items()}
    return Meant(up, fields, body, moves)


def create_activity(ctx: Context, look: Look, row: Row, uid: str, organizer: str = "") -> Link:
    """Makes the activity of a link, under the row's key."""
    link, meant = look.link, meant_for_crm(ctx, look)
    with ctx.store.transaction() as tx:
        current = tx.row(row.id)
        if current is None or current.crm_ref != row.crm_ref or tx.open_creates(row.id):
            raise Wait
        intent = journal(ctx, tx, link, "crm", "create", meant.sent, key=row.key, uid=uid, moves=meant.moves)
    owner = ctx.responsible(organizer, link.role)
    crm = ctx.pairing.crm
    intent, written = _created(
        ctx, intent, meant.sent, lambda: crm.create(meant.body, row.key, kind=row.kind, uid=uid, owner=owner)
    )
    intent, written = confirm(ctx, "crm", written, intent, meant.sent, lambda found: crm_view(ctx, found))
    with ctx.store.transaction() as tx:
        tx.set_row(row.id, crm_ref=written.ref, **({"maker": link.id} if row.maker is None else {}))
        link = finish(ctx, tx, intent, written)
        ctx.crossed(tx, link, "to-crm", sorted(meant.fields))
        for other in tx.links_of_row(row.id):
            if other.id != link.id:
                tx.announce(other.pairing, "crm", [written.ref])
        if written.version is None:
            tx.announce(link.pairing, "crm", [written.ref])
    ctx.report.created_crm += 1
    return link


def _created(ctx: Context, intent: Intent, sent: Fields, call: Callable[[], Written]) -> tuple[Intent, Written]:
    try:
        return intent, attempt(ctx, [intent], call)
    except Exists:
        found = _arrived(ctx, intent, sent)
        if found is None:
            drop(ctx, [intent])
            raise Rejected(_HIDDEN) from None
        return found


_HIDDEN = "the server says that this exists already, but does not show it"


def _arrived(ctx: Context, intent: Intent, sent: Fields) -> tuple[Intent, Written] | None:
    """A create that was refused because its key exists has arrived before: perhaps long before, and
    what was meant then is forgotten (a deleted copy came out of the trash, a store out of a backup).
    Of a field that differs from what is meant now, nobody knows who changed it: its bases stay as they
    were, so that the two are merged, and the one that loses is kept."""
    crm = intent.side == "crm"
    found = (ctx.pairing.crm if crm else ctx.pairing.replica).find(intent.key, intent.uid)
    if found is None:
        return None
    digester, held = ctx.digester(intent.link), crm_view(ctx, found) if crm else item_view(ctx, found.fields, "copy")
    differ = {
        n
        for n, meant in intent.moves.get(intent.side, {}).items()
        if n in held and digester.of(n, held[n]) != meant and not image(held[n], sent.get(n))
    }
    agreed = {
        part: {n: v for n, v in intent.moves.get(part, {}).items() if n not in differ}
        for part in ("item", "crm", "texts")
    }
    return replace(intent, moves={**intent.moves, **agreed}), Written(found.ref, None)


def created_all(
    ctx: Context, creates: Sequence[Create], intents: Sequence[tuple[Intent, Fields]]
) -> list[tuple[Intent, Written | PortError]]:
    """The second beat of many (intents with what is sent): each one's answer. Raises Transient,
    AuthFailed; the intents stay."""
    crm = ctx.pairing.crm
    answers = list(crm.create_all(creates)) if isinstance(crm, Batching) else [_made(crm, c) for c in creates]
    found: list[tuple[Intent, Written | PortError]] = []
    for answer, (intent, sent) in zip(answers, intents, strict=True):
        if isinstance(answer, Exists):
            found.append(_arrived(ctx, intent, sent) or (intent, Rejected(_HIDDEN)))
        else:
            found.append((intent, answer))
    return found


def _made(crm: Crm, new: Create) -> Written | PortError:
    try:
        return crm.create(new.fields, new.key, kind=new.kind, uid=new.uid, owner=new.owner)
    except (Transient, AuthFailed):
        raise
    except PortError as error:
        return error


def update_activity(ctx: Context, look: Look, merge: Merge, after: str = "") -> Link:
    """Writes the merge's fields into the activity; what loses goes into its history first."""
    link, record = look.link, look.activity
    assert record is not None
    lens, caps = ctx.pairing.lens, ctx.pairing.crm.capabilities
    changes = lens.dress_crm(dict(merge.to_crm), record.fields, caps)
    keep_losers(ctx, look, merge, record, changes)
    if not changes:
        return link
    names = sorted(merge.to_crm)
    check = {n: look.sides.digester.of(n, v) for n, v in merge.to_crm.items()}
    moves = moves_of(merge, merge.with_crm, check=check, brought=names, unconfirmed=["crm", names])
    with ctx.store.transaction() as tx:
        intent = journal(
            ctx, tx, link, "crm", "update", merge.to_crm, expected=record.version, moves=moves, after=after
        )
    written = attempt(ctx, [intent], lambda: ctx.pairing.crm.update(record, changes))
    intent, written = confirm(ctx, "crm", written, intent, merge.to_crm, lambda found: crm_view(ctx, found))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, written)
        if names:
            ctx.crossed(tx, link, "to-crm", names)
        if written.version is None:
            tx.announce(link.pairing, "crm", [record.ref])
    ctx.report.updated_crm += 1
    return link


def keep_losers(ctx: Context, look: Look, merge: Merge, record: Record, changes: dict[str, Any]) -> None:
    """Values that lose are kept where people find them: the activity's history, else its notes."""
    if not merge.losers:
        return
    lines = {name: describe(value) for name, value in merge.losers.items()}
    if ctx.pairing.crm.capabilities.history:
        token = "".join(f"{n}\0{kind_of(n).canonical(v)}\0" for n, v in sorted(merge.losers.items()))
        ctx.pairing.crm.remember(record.ref, lines, look.sides.digester.text(token))
        return
    before = str(changes.get("notes", record.fields.get("notes")) or "")
    held = str(record.fields.get("notes") or "")
    old = held[held.find(blocks.MARK) :].split("\n")[1:] if blocks.has(held) else []
    new = [f"Replaced {name}: {text}" for name, text in lines.items()]
    changes["notes"] = blocks.attach(before, [*old, *(n for n in new if n not in old)])


def describe(value: Any) -> str:
    """A value in words, for the history."""
    if isinstance(value, Span):
        return f"{value.start.isoformat()} - {value.end.isoformat()}"
    if isinstance(value, People):
        return ", ".join(f"{a} ({p.answer})" for a, p in value.items())
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return value if isinstance(value, str) else str(value)


def delete_activity(ctx: Context, look: Look, after: str) -> None:
    """Removes the activity."""
    link, record = look.link, look.activity
    assert record is not None
    with ctx.store.transaction() as tx:
        intent = journal(ctx, tx, link, "crm", "delete", expected=record.version, after=after)
    attempt(ctx, [intent], lambda: ctx.pairing.crm.delete(record))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, None)
        for other in tx.links_of_row(link.activity):
            tx.announce(other.pairing, "crm", [record.ref])
    ctx.report.deleted_crm += 1


# -- the groupware's side -----------------------------------------------------------------------------


def create_item(ctx: Context, look: Look, row: Row) -> Link:
    """Makes the copy of an activity in the employee's calendar."""
    link, record, lens = look.link, look.activity, ctx.pairing.lens
    assert record is not None
    caps = ctx.pairing.replica.capabilities
    view = look.sides.crm
    down = {
        n: v for n, v in view.items() if lens.rules[n].direction in ("both", "to-groupware") and n != "participants"
    }
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
        "item": item_base,
        "crm": digester.base(view),
        "texts": {n: str(v or "") for n, v in down.items() if lens.rules[n].merge == "text"},
        "private_copy": bool(record.fields.get("private")),
        "unconfirmed": ["item", sorted(down)],
    }
    lens.dress_item(fields, participants_lines(record.fields), caps)
    if "description" not in fields and participants_lines(record.fields):
        fields["description"] = blocks.attach("", participants_lines(record.fields), caps.limit("description").length)
    key, uid = copy_key(row, ctx.pairing.id), row.key
    kind = lens.mapping.item
    with ctx.store.transaction() as tx:
        intent = journal(ctx, tx, link, "item", "create", down, key=key, uid=uid, moves=moves)
    intent, written = _created(
        ctx, intent, down, lambda: ctx.pairing.replica.create(fields, key, kind=kind, uid=uid, owner="")
    )
    intent, written = confirm(ctx, "item", written, intent, down, lambda found: item_view(ctx, found.fields, "copy"))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, written, item_ref=written.ref, crm_version=record.version)
        ctx.crossed(tx, link, "to-groupware", sorted(down))
        if written.version is None:
            tx.announce(link.pairing, "item", [written.ref])
    ctx.report.created_groupware += 1
    return link


def update_item(ctx: Context, record: Record, changes: Fields, parts: list[tuple[Look, Merge, str]]) -> list[Link]:
    """Writes once into the item what all its links want of it.

    Args:
        parts: for each link: what it looked like, its merge, and why it rests afterwards.
    """
    intents: list[Intent] = []
    with ctx.store.transaction() as tx:
        for look, merge, after in parts:
            names = sorted(merge.to_item)
            images = {
                n: ctx.pairing.lens.on_item(n, v, ctx.pairing.replica.capabilities) for n, v in merge.to_item.items()
            }
            check = {n: look.sides.digester.of(n, image) for n, image in images.items()}
            more: Moves = {"check": check, "unconfirmed": ["item", names]}
            if "private" in merge.to_item:
                more["private_copy"] = bool(merge.to_item["private"])
            moves = moves_of(merge, merge.with_item, **more)
            intents.append(
                journal(ctx, tx, look.link, "item", "update", expected=record.version, moves=moves, after=after)
            )
    written: Written = attempt(ctx, intents, lambda: ctx.pairing.replica.update(record, changes))
    if len(parts) == 1 and not parts[0][0].link.occurrence:
        sent, role = parts[0][1].to_item, parts[0][0].link.role
        intents[0], written = confirm(
            ctx, "item", written, intents[0], sent, lambda found: item_view(ctx, found.fields, role)
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


def delete_item(ctx: Context, link: Link, record: Record, after: str) -> Link:
    """Removes the item."""
    with ctx.store.transaction() as tx:
        intent = journal(ctx, tx, link, "item", "delete", expected=record.version, after=after)
    attempt(ctx, [intent], lambda: ctx.pairing.replica.delete(record))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, None)
    ctx.report.deleted_groupware += 1
    return link
