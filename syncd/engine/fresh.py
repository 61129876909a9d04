"""Items that nobody knows yet, many at a time: a first run, or a morning's new appointments.

The same three beats as for one (see `writes`), each of them once for a batch: (1) rows, links and
intents, (2) the creates, (3) the book-keeping. Whatever is not plainly new (a known UID, a possible
twin in the CRM, a series that the CRM does not hold, a claim lost to another pairing) is left to
`unit.settle_unit`, which knows every case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from syncd.engine.adopting import by_its_uid, forgotten
from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.look import Look, crm_view, item_view, look
from syncd.engine.marks import wanted
from syncd.engine.moving import series_of
from syncd.engine.newcomers import (
    Marks,
    as_activity,
    copied_of,
    makes_nothing,
    marks_of,
    message_mark,
    new_row,
    note_thread,
    outside,
)
from syncd.engine.parts import Unit
from syncd.engine.plan import Rule, decide
from syncd.engine.roles import role_of
from syncd.engine.write_crm import Meant, created_all, made_before, meant_for_crm
from syncd.engine.writes import confirm, drop, intent_of, moved
from syncd.mapping.conditions import needs_people
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import Create, PortError, Written
from syncd.privacy import Admission
from syncd.store import Intent, Link, Pending, Row, Transaction
from syncd.store.journal import note_crossings, unpark_all


@dataclass
class _New:
    """One item on its way."""

    unit: Unit
    admission: Admission
    record: Record
    marks: Marks
    view: Fields
    row: Row | None = None
    look: Look | None = None
    meant: Meant | None = None
    intent: Intent | None = None

    @property
    def link(self) -> Link:
        assert self.look is not None
        return self.look.link


def settle_fresh(ctx: Context, units: Sequence[Unit], items: Mapping[str, Admission | PortError]) -> list[Unit]:
    """Settles the units that are plainly new, or plainly none of our business; returns the others.

    Raises Transient and AuthFailed; the intents stay then, for `recover`. Whatever else it raises
    (another pairing has claimed one of the meetings; an item that nobody foresaw): each for itself.
    """
    admitted, left, closed = _admitted(ctx, units, items)
    new = _unknown(ctx, admitted, left)
    if new:
        with ctx.store.transaction() as tx:
            _first_beat(ctx, tx, new)
    making = [n for n in new if n.intent is not None]
    left += [n.unit for n in new if n.intent is None]
    written = _second_beat(ctx, making)
    refused = [n for n, answer in zip(making, written, strict=True) if isinstance(answer, PortError)]
    done = [(n, answer) for n, answer in zip(making, written, strict=True) if isinstance(answer, Written)]
    if done or closed:
        with ctx.store.transaction() as tx:
            known = tx.rows_by_ref(ctx.pairing.crm_name, [written.ref for _, written in done])
            for n, answer in done:
                if answer.ref in known and n.intent is not None:
                    made_before(ctx, tx, n.intent, answer.ref)
            done = [(n, answer) for n, answer in done if answer.ref not in known]
            _third_beat(ctx, tx, done)
            _closed(ctx, tx, closed)
    if refused:
        drop(ctx, [n.intent for n in refused if n.intent is not None])
        left += [n.unit for n in refused]
    return left


def _admitted(
    ctx: Context, units: Sequence[Unit], items: Mapping[str, Admission | PortError]
) -> tuple[list[_New], list[Unit], list[tuple[Pending, str]]]:
    """What may be new; what is for others to settle; and announcements of what does not cross."""
    mapping = ctx.pairing.lens.mapping
    maybe: list[tuple[Unit, Admission, Record]] = []
    left: list[Unit] = []
    closed: list[tuple[Pending, str]] = []
    withheld: list[tuple[Unit, Admission]] = []
    former = _under_former_names(ctx, [unit.ref for unit in units if unit.ref is not None])
    for unit in units:
        admission = items.get(unit.ref or "")
        if unit.links or unit.ref in former or not isinstance(admission, Admission):
            left.append(unit)
        elif admission.verdict == "withheld":
            withheld.append((unit, admission))
        elif admission.record is None or admission.read_only or _expanded(ctx, admission.record):
            left.append(unit)
        else:
            maybe.append((unit, admission, admission.record))
    closed += _withheld(ctx, withheld, left)
    known: Mapping[str, str] = {}
    if maybe and needs_people(mapping):
        people = {a for _, _, record in maybe for a in record.fields.get("attendees") or People()}
        known = ctx.pairing.crm.known(people)
    made = []
    out: list[tuple[Unit, Record, str]] = []
    for unit, admission, record in maybe:
        view = item_view(ctx, record.fields)
        due = outside(ctx, record.fields, view, known)
        if due is None:
            made.append(_New(unit, admission, record, marks_of(ctx, record, ""), view))
        else:
            out.append((unit, record, due))
    once = _made_once(ctx, [record.uid for _, record, _ in out])
    known_here = _known_uids(ctx, [record for _, record, _ in out])
    for unit, record, due in out:
        if record.uid in once | known_here or copied_of(ctx, record.uid) is not None:
            left.append(unit)
        else:
            closed += [(entry, due) for entry in unit.entries]
    return made, left, closed


def _known_uids(ctx: Context, records: Sequence[Record]) -> set[str]:
    """Those of the UIDs of items that do not cross which the store knows: they may have been elsewhere."""
    marks = {r.uid: uid_digest(ctx.key, r.uid, "") for r in records if r.uid and r.kind != "message"}
    if not marks:
        return set()
    with ctx.store.reading() as tx:
        same = tx.rows_by_uid(ctx.pairing.crm_name, list(marks.values()), ctx.activity)
        keys = tx.rows_by_key(list(marks))
    return {uid for uid, mark in marks.items() if mark in same or uid in keys}


def _under_former_names(ctx: Context, refs: Sequence[str]) -> set[str | None]:
    """Those that have links under a pairing that is not read any more."""
    if not ctx.former:
        return set()
    with ctx.store.reading() as tx:
        return {k.item_ref for name in ctx.former for k in tx.links_by_item(name, refs)}


def _made_once(ctx: Context, uids: Sequence[str]) -> set[str]:
    """Those of the UIDs of items that do not cross under which the CRM has an activity that nobody knows."""
    asked = sorted({uid for uid in uids if uid})
    return {uid for uid, made in zip(asked, forgotten(ctx, [by_its_uid(ctx, u) for u in asked]), strict=True) if made}


def _withheld(ctx: Context, several: Sequence[tuple[Unit, Admission]], left: list[Unit]) -> list[tuple[Pending, str]]:
    """Items of which nothing crosses: those that were linked before (they were moved) are taken back by
    `unit.settle_unit`; of the others there is nothing to do."""
    marks = {unit.ref: _mark(ctx, found) for unit, found in several}
    wanted = [m for m in marks.values() if m]
    with ctx.store.reading() as tx:
        crm = ctx.pairing.crm_name
        rows = {*tx.rows_by_claim(crm, wanted), *tx.rows_by_uid(crm, wanted, ctx.activity)}
        copies = tx.rows_by_key([found.uid for _, found in several if found.uid])
    closed: list[tuple[Pending, str]] = []
    once = _made_once(ctx, [found.uid for _, found in several])
    for unit, admission in several:
        if (
            marks[unit.ref] in rows
            or admission.uid in once
            or copied_of(ctx, admission.uid) is not None
            or admission.uid in copies
            or (admission.kind != "message" and series_of(ctx, admission.uid) is not None)
        ):
            left.append(unit)
        else:
            ctx.report.withheld += 1
            closed += [(entry, "") for entry in unit.entries]
    return closed


def _mark(ctx: Context, found: Admission) -> str | None:
    if not found.uid:
        return None
    return message_mark(ctx, found.uid) if found.kind == "message" else uid_digest(ctx.key, found.uid, "")


def _expanded(ctx: Context, record: Record) -> bool:
    recurrence = record.fields.get("recurrence")
    return ctx.pairing.expands and recurrence is not None and not recurrence.empty


def _unknown(ctx: Context, maybe: Sequence[_New], left: list[Unit]) -> list[_New]:
    """Those whose UID nobody has, here or in the store, and that have no twin in the CRM."""
    mapping = ctx.pairing.lens.mapping
    claims = [n.marks.claim for n in maybe if n.marks.claim]
    uids = [n.record.uid for n in maybe if n.record.uid]
    with ctx.store.reading() as tx:
        keys = tx.rows_by_key(uids)
        rows = tx.rows_by_claim(ctx.pairing.crm_name, claims)
        same = tx.rows_by_uid(ctx.pairing.crm_name, [n.marks.uid for n in maybe if n.marks.uid], ctx.activity)
        made = {n.record.ref: str(new_row(ctx, n.record, "", n.marks)["key"]) for n in maybe}
        before = tx.rows_by_key(list(made.values()))
    count = Counter(claims)
    plain: list[_New] = []
    for n in maybe:
        known = (
            n.record.uid in keys
            or made[n.record.ref] in before
            or copied_of(ctx, n.record.uid) is not None
            or n.marks.claim in rows
            or n.marks.uid in same
        )
        twice = n.marks.claim is not None and count[n.marks.claim] > 1
        stays = mapping.direction == "to-groupware" or makes_nothing(ctx, n.record.fields)
        if known or twice or stays:
            left.append(n.unit)
        else:
            plain.append(n)
    if not plain:
        return []
    records = [as_activity(ctx, n.record, n.view) for n in plain]
    found = ctx.candidates(records)
    if ctx.pairing.lens.mapping.item != "message":
        theirs = ctx.of_colleagues([n.record for n in plain])
        found = [[*mine, *others] for mine, others in zip(found, theirs, strict=True)]
    left += [n.unit for n, twins in zip(plain, found, strict=True) if twins]
    return [n for n, twins in zip(plain, found, strict=True) if not twins]


def _first_beat(ctx: Context, tx: Transaction, new: Sequence[_New]) -> None:
    """Rows, links, and an intent for each create that the table asks for."""
    rows = tx.add_rows([new_row(ctx, n.record, "", n.marks) for n in new])
    links = tx.add_links(
        [
            {
                "pairing": ctx.pairing.id,
                "activity": row.id,
                "item_ref": n.record.ref,
                "role": role_of(n.record, ctx.pairing.employee, None, ()),
            }
            for n, row in zip(new, rows, strict=True)
        ]
    )
    ctx.report.linked += len(links)
    note_thread(ctx, tx, {row.id: n.record for n, row in zip(new, rows, strict=True)})
    if wanted(ctx):
        tx.note_marks(ctx.pairing.id, [n.record.ref for n in new], logged=True)
    values: list[dict[str, Any]] = []
    making: list[_New] = []
    for n, row, link in zip(new, rows, links, strict=True):
        n.row, n.look = row, look(ctx, link, n.admission, n.record.fields, None, {}, {})
        n.unit.links = [link]
        if decide(n.look.situation, ctx.pairing.lens.mapping.deletions).rule is not Rule.CREATE_CRM:
            continue
        n.meant = meant_for_crm(ctx, n.look, ctx.responsible(n.record.owner, link.role))
        uid = n.record.uid
        values.append(intent_of(ctx, link, "crm", "create", n.meant.sent, key=row.key, uid=uid, moves=n.meant.moves))
        making.append(n)
    for n, intent in zip(making, tx.journal_all(values) if values else (), strict=True):
        n.intent = intent


def _second_beat(ctx: Context, making: Sequence[_New]) -> list[Written | PortError]:
    creates, intents = [], []
    for n in making:
        assert n.row is not None and n.meant is not None and n.intent is not None
        owner = ctx.responsible(n.record.owner, n.link.role)
        creates.append(Create(n.meant.body, n.row.key, n.row.kind, n.record.uid, owner))
        intents.append((n.intent, n.meant.sent))
    answers: list[Written | PortError] = []
    for n, (intent, answer) in zip(making, created_all(ctx, creates, intents) if creates else [], strict=True):
        if isinstance(answer, Written) and n.meant is not None:
            view = partial(crm_view, ctx, link=n.link)
            intent, answer = confirm(ctx, "crm", answer, intent, n.meant.sent, view)
        n.intent = intent
        answers.append(answer)
    return answers


def _third_beat(ctx: Context, tx: Transaction, done: Sequence[tuple[_New, Written]]) -> None:
    """The bases hold what was meant, the intents are closed, the announcements are dealt with."""
    links: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for n, written in done:
        assert n.row is not None and n.intent is not None
        values = {"texts": {}, "brought": frozenset(), "unconfirmed": {}} | moved(n.link, n.intent.moves)
        versions = {"item_version": n.record.version, "crm_version": written.version or ""}
        links.append({"id": n.link.id, **values, **versions})
        rows.append({"id": n.row.id, "crm_ref": written.ref, "maker": n.link.id})
    tx.set_rows(rows)
    tx.set_links(links)
    tx.close_intents([n.intent.id for n, _ in done if n.intent is not None])
    refs = {n.row.id: written.ref for n, written in done if n.row is not None}
    for other in tx.links_elsewhere(ctx.pairing.id, list(refs)):
        tx.announce(other.pairing, "crm", [refs[other.activity]])
    tx.announce(ctx.pairing.id, "crm", [written.ref for _, written in done if written.version is None])
    crossed = [(n.link.id, sorted(n.meant.fields)) for n, _ in done if n.meant is not None]
    note_crossings(tx, at=ctx.moment.text, pairing=ctx.pairing.id, way="to-crm", rule="full", crossed=crossed)
    _closed(ctx, tx, [(entry, "") for n, _ in done for entry in n.unit.entries])
    ctx.report.created_crm += len(done)


def _closed(ctx: Context, tx: Transaction, closed: Sequence[tuple[Pending, str]]) -> None:
    tx.clear(ctx.pairing.id, [entry for entry, due in closed if not due])
    for entry, due in closed:
        if due:
            tx.postpone(ctx.pairing.id, entry, due)
    unpark_all(tx, ctx.pairing.id, [entry for entry, _ in closed])
