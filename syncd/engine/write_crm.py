"""Writes into the CRM: activities made, changed and deleted for their items (the three beats: `writes`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syncd.engine.came import OWNED, names_of
from syncd.engine.context import Context
from syncd.engine.digest import anew
from syncd.engine.look import Look, crm_view
from syncd.engine.marks import note_mark
from syncd.engine.owners import with_private
from syncd.engine.plan import HOLDERS
from syncd.engine.roles import GUESTS
from syncd.engine.sides import Merge
from syncd.engine.writes import (
    HIDDEN,
    HISTORY,
    Moves,
    Wait,
    arrived,
    attempt,
    confirm,
    created,
    edited,
    finish,
    journal,
    moves_of,
    overs,
    seen,
)
from syncd.mapping import blocks
from syncd.model.fields import Fields, kind_of, same, says_nothing
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.span import Span
from syncd.ports import (
    AuthFailed,
    Batching,
    Create,
    Crm,
    Exists,
    PortError,
    Rejected,
    Transient,
    Written,
)
from syncd.store import Intent, Link, Row, Transaction


@dataclass(frozen=True)
class Meant:
    """A create of an activity: what is sent, how the bases move, and what stands in the body."""

    #: The item's values that go up.
    sent: Fields
    #: The same as the CRM will hold them.
    fields: Fields
    body: Fields
    moves: Moves


def meant_for_crm(ctx: Context, look: Look, owner: str) -> Meant:
    """What a new activity of this link is to hold; `owner` is to answer for it."""
    view = look.sides.item
    up = {n: v for n, v in view.items() if look.sides.may.up(n)}
    caps = ctx.pairing.crm.capabilities
    lens, digester = ctx.pairing.lens, look.sides.digester
    fields = {n: lens.on_crm(n, v, caps) for n, v in up.items()}
    mail = look.link.role in HOLDERS  # a message does not change: an empty field of it is its word as well
    base, told = digester.base(view), overs(ctx, edited(fields.get("recurrence")))
    made = {n: base[n] if fields.get(n) is view[n] else digester.of(n, fields.get(n, kind_of(n).empty)) for n in view}
    moves: Moves = {
        "item": anew(look.link.item_base, base),
        "crm": anew(look.link.crm_base, made),  # one that is made again has not what the one before had besides
        "texts": {n: str(v or "") for n, v in up.items() if lens.rules[n].merge == "text"},
        "brought": sorted({n for n, v in fields.items() if mail or not says_nothing(n, v)} | told),
        "unconfirmed": ["crm", sorted(fields)],
        "local": ["item", sorted(view.keys() - up.keys())],
    }
    if look.link.role in GUESTS:  # nothing else says later that it was handed over
        moves[OWNED] = sorted(names_of(ctx, owner))
    dressed = lens.dress_crm(dict(up), {}, caps)
    body = {n: dressed[n] if n == "notes" and n in dressed else fields.get(n, v) for n, v in dressed.items()}
    return Meant(up, fields, body, moves)


def made_before(ctx: Context, tx: Transaction, intent: Intent, ref: str) -> bool:
    """True where the create has found an activity that is known already: it was made of this item before the store was
    lost, and another calendar has shown it first. The link goes over to it, and is compared as a new one."""
    link = tx.link(intent.link)
    other = tx.rows_by_ref(ctx.pairing.crm_name, [ref]).get(ref)
    if link is None or other is None or other.id == link.activity:
        return False
    row = tx.row(link.activity)
    tx.close_intent(intent.id)
    tx.drop_link(link)
    beside = tx.links_of_row(other.id)
    made = tx.add_link(
        pairing=link.pairing,
        activity=other.id,
        item_ref=link.item_ref,
        occurrence=link.occurrence,
        role=link.role,
        brought=frozenset(intent.moves.get("brought", ())),
    )
    if other.maker is None:
        tx.set_row(other.id, maker=made.id)
    if row is not None and other.claim is None and tx.row(row.id) is None:
        tx.set_row(other.id, claim=row.claim, uid_digest=row.uid_digest)
    for each in [made, *(k for k in beside if k.ours and k.item_ref is not None)]:
        tx.announce(each.pairing, "item", [each.item_ref or ""])
    return True


def create_activity(ctx: Context, look: Look, row: Row, uid: str, organizer: str = "") -> Link:
    """Makes the activity of a link, under the row's key."""
    link, owner = look.link, ctx.responsible(organizer, look.link.role)
    meant = meant_for_crm(ctx, look, owner)
    with ctx.store.transaction() as tx:
        current = tx.row(row.id)
        if current is None or current.crm_ref != row.crm_ref or tx.open_creates(row.id):
            raise Wait
        intent = whole = journal(ctx, tx, link, "crm", "create", meant.sent, key=row.key, uid=uid, moves=meant.moves)
        note_mark(ctx, tx, link)
    crm = ctx.pairing.crm
    intent, written = created(
        ctx, intent, meant.sent, lambda: crm.create(meant.body, row.key, kind=row.kind, uid=uid, owner=owner)
    )
    if written.version is None and (look.sides.may.role == "block" or link.occurrence in look.sides.may.masked):
        intent = seen(whole)
        _show_no_more(ctx, written.ref, meant)
    intent, written = confirm(ctx, "crm", written, intent, meant.sent, lambda found: crm_view(ctx, found, link))
    with ctx.store.transaction() as tx:
        known = made_before(ctx, tx, intent, written.ref)
        if not known:
            link = _account_for(ctx, tx, link, row, intent, written, meant)
    if known:
        raise Wait
    ctx.report.created_crm += 1
    return link


def _show_no_more(ctx: Context, ref: str, meant: Meant) -> None:
    """An activity that was made of the same entry before the store was lost, and that the entry shows less of now: what
    it said then goes."""
    found = ctx.pairing.crm.fetch([ref]).get(ref)
    if not isinstance(found, Record):
        return
    names = (ctx.pairing.names & found.fields.keys()) - ({"status"} - meant.fields.keys())  # it is never empty
    now = {n: meant.fields.get(n, kind_of(n).empty) for n in names}
    if any(not same(n, v, found.fields[n]) for n, v in now.items()):
        ctx.pairing.crm.redact(found, {n: v for n, v in {**found.fields, **now}.items() if v is not None})
        ctx.report.redacted += 1


def _account_for(
    ctx: Context, tx: Transaction, link: Link, row: Row, intent: Intent, written: Written, meant: Meant
) -> Link:
    """The third beat of a create."""
    tx.set_row(row.id, crm_ref=written.ref, **({"maker": link.id} if row.maker is None else {}))
    link = finish(ctx, tx, intent, written)
    ctx.crossed(tx, link, "to-crm", sorted(meant.fields))
    for other in tx.links_of_row(row.id):
        if other.id != link.id:
            tx.announce(other.pairing, "crm", [written.ref])
    if written.version is None:
        tx.announce(link.pairing, "crm", [written.ref])
    return link


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
            found.append(arrived(ctx, intent, sent) or (intent, Rejected(HIDDEN)))
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
    if not look.sides.may.responsible:
        with_private(changes, record.fields)
    keep_losers(ctx, look, merge, record, changes)
    if not changes:
        return link
    names = sorted(merge.to_crm)
    check = {n: look.sides.digester.of(n, v) for n, v in merge.to_crm.items()}
    brought = sorted({*names, *overs(ctx, edited(merge.to_crm.get("recurrence")))})
    moves = moves_of(merge, merge.with_crm, check=check, brought=brought, unconfirmed=["crm", names])
    with ctx.store.transaction() as tx:
        intent = journal(
            ctx, tx, link, "crm", "update", merge.to_crm, expected=record.version, moves=moves, after=after
        )
    written = attempt(ctx, [intent], lambda: ctx.pairing.crm.update(record, changes))
    intent, written = confirm(ctx, "crm", written, intent, merge.to_crm, lambda found: crm_view(ctx, found, link))
    with ctx.store.transaction() as tx:
        link = finish(ctx, tx, intent, written)
        if names:
            ctx.crossed(tx, link, "to-crm", names)
        if written.version is None:
            tx.announce(link.pairing, "crm", [record.ref])
    ctx.report.updated_crm += 1
    return link


def keep_losers(ctx: Context, look: Look, merge: Merge, record: Record, changes: dict[str, Any]) -> None:
    """Values that lose are kept where people find them: the activity's history, else its notes. The link
    remembers it first: if the item becomes private, they are taken back like what it brought."""
    if not merge.losers:
        return
    told = {HISTORY, *overs(ctx, edited(merge.losers.get("recurrence")))}
    with ctx.store.transaction() as tx:  # what loses may be a colleague's words
        for link in tx.links_of_row(look.link.activity):
            if not told <= link.brought and (link.id == look.link.id or link.brought):
                tx.set_link(link.id, brought=link.brought | told)
    lines = {name: describe(value) for name, value in merge.losers.items()}
    if ctx.pairing.crm.capabilities.history:
        token = "".join(f"{n}\0{kind_of(n).canonical(v)}\0" for n, v in sorted(merge.losers.items()))
        ctx.pairing.crm.remember(record.ref, lines, look.sides.digester.text(token))
        return
    before = str(changes.get("notes", record.fields.get("notes")) or "")
    old = blocks.lines_of(before)
    new = "\n".join(f"Replaced {name}: {_indented(text)}" for name, text in lines.items()).split("\n")
    if "\n".join(new) not in "\n".join(old):
        changes["notes"] = blocks.attach(before, [*old, *new])


def _indented(text: str) -> str:
    """A value in the block: its further lines show that they belong to it."""
    return f"\n{blocks.MORE}".join(line for line in text.split("\n") if line.strip())


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
