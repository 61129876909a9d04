"""Settles one unit: an item with all its links, read once, planned together, written once.

For most items that is one link. An expanded series is one item with a link an occurrence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncd.engine.context import Context
from syncd.engine.join import join_item, known_people
from syncd.engine.look import Look, look
from syncd.engine.merge import Merge, merge
from syncd.engine.occurrences import expand, inside_key, next_start, rekeyed, with_occurrences
from syncd.engine.pairing import day_text, participants_lines
from syncd.engine.plan import GUARDED, Activity, Decision, Item, Rule, decide
from syncd.engine.redact import redact
from syncd.engine.roles import role_of
from syncd.engine.window import wakes
from syncd.engine.writes import (
    Wait,
    create_activity,
    create_item,
    delete_activity,
    delete_item,
    update_activity,
    update_item,
)
from syncd.mapping import blocks
from syncd.model.fields import Fields, kind_of, with_answer
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.span import moment_key
from syncd.ports import Gone, PortError
from syncd.privacy import Admission, admit
from syncd.store import Link, Pending, Row, Transaction
from syncd.store.journal import close_conflicts, conflicts, keep_conflict, unpark


@dataclass
class Unit:
    """An item, its links, and the announcements that it settles."""

    ref: str | None
    links: list[Link] = field(default_factory=list)
    entries: list[Pending] = field(default_factory=list)
    #: The activity's ref, for a unit that begins with an activity that nobody knows yet.
    crm_ref: str | None = None


@dataclass
class Outcome:
    """What became of a unit."""

    #: Deletions that wait for the guard.
    deferred: int = 0
    #: When it must be looked at again ("" for not).
    due: str = ""


@dataclass
class _Part:
    """One link on its way through the unit."""

    look: Look
    row: Row
    decision: Decision
    merge: Merge = field(default_factory=Merge)
    item_written: bool = False
    crm_written: bool = False
    link: Link | None = None
    dropped: bool = False


def settle_unit(
    ctx: Context,
    unit: Unit,
    result: Record | PortError | None,
    activities: Mapping[str, Record | PortError],
    *,
    deletions: bool,
) -> Outcome:
    """Brings the item and its activities into step, as far as the table and the guard allow.

    Raises PortErrors, BadRule, Wait; nothing is lost by that, the announcements stay.
    """
    outcome = Outcome()
    record = _record(result)
    links = unit.links
    admission = None
    if record is not None:
        admission = admit(record, ctx.pairing.lens.mapping.privacy, ours=any(k.private_copy for k in links))
        if admission.verdict == "withheld" and not any(k.rest != "private" for k in links):
            ctx.report.withheld += 1
        if not links and admission.verdict == "withheld":
            _close(ctx, unit, [], None, outcome)
            return outcome
    links, shown = _shown(ctx, record, admission, links, outcome)
    parts: list[_Part] = []
    for link in links:
        if link.occurrence not in shown:
            continue
        part = _part(ctx, link, admission, shown[link.occurrence], activities)
        parts.append(part)
        if part.decision.rule in GUARDED and not deletions:
            outcome.deferred += 1
        if part.decision.rule is Rule.REST and part.look.situation.item is Item.OUT:
            _wake(ctx, part.look.sides.item, outcome)
    todo = [p for p in parts if deletions or p.decision.rule not in GUARDED]
    _write_crm_first(ctx, todo)
    if admission is not None and admission.record is not None:
        _write_item(ctx, admission.record, todo)
    for part in todo:
        _write_rest(ctx, part, admission)
    _close(ctx, unit, todo, record, outcome)
    return outcome


def _record(result: Record | PortError | None) -> Record | None:
    if isinstance(result, Gone) or result is None:
        return None
    if isinstance(result, PortError):
        raise result
    return result


def _wake(ctx: Context, fields: Fields, outcome: Outcome) -> None:
    if not fields:
        return
    day = wakes(fields, ctx.moment.bounds(ctx.pairing.lens), ctx.moment.now, ctx.pairing.employee.zone)
    if day and (not outcome.due or day_text(day) < outcome.due):
        outcome.due = day_text(day)


def _shown(
    ctx: Context, record: Record | None, admission: Admission | None, links: Sequence[Link], outcome: Outcome
) -> tuple[list[Link], dict[str, Fields | None]]:
    """The links, new ones too, and for each occurrence what the item shows of it (None: gone)."""
    seen = admission.record if admission else None
    if record is None or seen is None:
        return list(links), {k.occurrence: None for k in links}
    recurrence = seen.fields.get("recurrence")
    present: dict[str, Fields | None]
    bounds = ctx.moment.bounds(ctx.pairing.lens)
    if ctx.pairing.expands and recurrence is not None and not recurrence.empty:
        present = dict(expand(seen.fields, bounds))
        following = next_start(seen.fields, bounds[1])
        if following is not None:
            outcome.due = day_text((ctx.moment.now + (following - bounds[1])).date())
            outcome.due = max(outcome.due, day_text(ctx.moment.now.date().fromordinal(ctx.moment.now.toordinal() + 1)))
        links = _rekey(ctx, links, list(present), moment_key(seen.fields["time"].start), bounds)
    else:
        present = {"": seen.fields}
        links = _single(ctx, links, seen.fields)
    have = {k.occurrence for k in links}
    made = list(links)
    for key, fields in list(present.items()):
        if key in have or fields is None:
            continue
        joined, due = join_item(ctx, seen, key, fields)
        if joined is not None:
            made.append(joined)
        elif due and (not outcome.due or due < outcome.due):
            outcome.due = due
    for link in links:
        if link.occurrence not in present and inside_key(link.occurrence, bounds):
            present[link.occurrence] = None
    return made, present


def _rekey(ctx: Context, links: Sequence[Link], present: list[str], first: str, bounds: Any) -> list[Link]:
    """Links of a series that was moved as a whole follow their occurrences."""
    change = rekeyed([k.occurrence for k in links], present, bounds)
    if any(not k.occurrence for k in links):  # what was a single event has become a series
        change[""] = first
    return _renamed(ctx, links, change)


def _single(ctx: Context, links: Sequence[Link], fields: Fields) -> list[Link]:
    """What was a series has become a single event: the link of that date carries on."""
    if any(not k.occurrence for k in links) or not links:
        return list(links)
    span = fields.get("time")
    near = sorted(links, key=lambda k: (span is None or k.occurrence[:8] != moment_key(span.start)[:8], k.occurrence))
    return _renamed(ctx, links, {near[0].occurrence: ""})


def _renamed(ctx: Context, links: Sequence[Link], change: Mapping[str, str]) -> list[Link]:
    if not change:
        return list(links)
    with ctx.store.transaction() as tx:
        for link in links:  # by way of a name that nobody has, as two may swap theirs
            if link.occurrence in change:
                tx.set_link(link.id, occurrence=f"moving {link.id}")
        for link in links:
            if link.occurrence in change:
                tx.set_link(link.id, occurrence=change[link.occurrence])
        found = [tx.link(link.id) for link in links]
    return [k for k in found if k is not None]


def _part(
    ctx: Context,
    link: Link,
    admission: Admission | None,
    fields: Fields | None,
    activities: Mapping[str, Record | PortError],
) -> _Part:
    """Looks at one link and decides."""
    seen = admission.record if admission else None
    with ctx.store.reading() as tx:
        row = tx.row(link.activity)
        others = tx.links_of_row(link.activity)
        decided = {c.field: c.word for c in conflicts(tx, link=link.id) if c.word}
        creating = tx.open_creates(link.activity)
    if row is None or (row.crm_ref is None and any(k != link.id for k in creating)):
        raise Wait
    if seen is not None:
        role = "block" if admission and admission.read_only else role_of(seen, ctx.pairing.employee, link, others)
        if role != link.role:
            link = _new_role(ctx, link, role)
        if row.scheduled != bool(seen.fields.get("attendees")) and role in ("own", "stand-in"):
            with ctx.store.transaction() as tx:
                tx.set_row(row.id, scheduled=bool(seen.fields.get("attendees")))
    activity = None
    if row.crm_ref is not None:
        found = activities.get(row.crm_ref) or ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
        activity = _record(found)
    known = known_people(ctx, fields) if fields is not None else {}
    seen_both = look(ctx, link, admission, fields, activity, known, decided)
    decision = decide(seen_both.situation, ctx.pairing.lens.mapping.deletions)
    if link.rest == "private" and not link.brought and decision.rule is Rule.REDACT:
        decision = Decision(Rule.REST, "private")
    part = _Part(seen_both, row, decision)
    if decision.rule in (Rule.NOTHING, Rule.TO_ITEM, Rule.TO_CRM, Rule.MERGE):
        part.merge = merge(seen_both.sides)
    elif decision.rule in (Rule.CANCEL, Rule.DECLINE):
        part.merge = _ending(ctx, seen_both, decision.rule)
    return part


def _new_role(ctx: Context, link: Link, role: str) -> Link:
    """A copy that begins to speak for the meeting is compared as if it were new: what it shows may
    never have crossed. One that became a block of time is taken back first."""
    values: dict[str, Any] = {"role": role}
    if link.role == "attendee" and role in ("own", "stand-in"):
        values |= {"item_base": {}, "crm_base": {}}
    if role == "block" and link.role != "block":
        values.pop("role")
    with ctx.store.transaction() as tx:
        tx.set_link(link.id, **values)
        found = tx.link(link.id)
    assert found is not None
    return found


def _ending(ctx: Context, at: Look, rule: Rule) -> Merge:
    """The item is gone: the activity is cancelled, or the employee's answer is "declined"."""
    made = Merge()
    if at.activity is None:
        return made
    if rule is Rule.CANCEL:
        status = ctx.pairing.lens.rules.get("status")
        made.to_crm["status"] = (status.forward("cancelled") if status else None) or "rejected"
    else:
        people: People = at.activity.fields.get("participants") or People()
        me = ctx.pairing.employee.among(people) or ctx.pairing.employee.addresses[0]
        made.to_crm["participants"] = with_answer(people, me, "declined")
    for name, value in list(made.to_crm.items()):
        if kind_of(name).canonical(value) == kind_of(name).canonical(at.activity.fields.get(name)):
            del made.to_crm[name]
            continue
        digest = at.sides.digester.of(name, value)
        made.with_crm[1][name] = digest
    return made


# -- writing ------------------------------------------------------------------------------------------


def _write_crm_first(ctx: Context, parts: Sequence[_Part]) -> None:
    """Losers are kept before anything replaces them: a part that only writes to the item has its
    history written here."""
    for part in parts:
        if part.merge.losers and not part.merge.to_crm and part.look.activity is not None:
            part.link = update_activity(ctx, part.look, Merge(losers=part.merge.losers))
            part.crm_written = not ctx.pairing.crm.capabilities.history
            part.merge.losers = {}


def _write_item(ctx: Context, record: Record, parts: Sequence[_Part]) -> None:
    """One write into the item for all its links."""
    writing: list[tuple[Look, Merge, str]] = []
    for part in parts:
        merged, at = part.merge, part.look
        if at.link.role == "copy" and "participants" in merged.now[1]:
            lens, caps = ctx.pairing.lens, ctx.pairing.replica.capabilities
            if "notes" in lens.rules and "notes" not in merged.to_item and at.activity is not None:
                lines = participants_lines(at.activity.fields)
                held = str(record.fields.get("description") or "")
                if blocks.attach(held, lines, caps.limit("description").length) != held:
                    merged.to_item["notes"] = blocks.cut(held)
                    digest = at.sides.digester.of("notes", merged.to_item["notes"])
                    merged.with_item[0].setdefault("notes", digest)
                    if at.sides.digester.holds(at.sides.crm_base, "notes", at.sides.crm.get("notes")):
                        merged.with_item[1].setdefault(
                            "notes", at.sides.digester.of("notes", at.sides.crm.get("notes"))
                        )
                    else:
                        merged.with_item[0].pop("notes", None)
        if merged.to_item:
            writing.append((at, merged, ""))
    lens, caps = ctx.pairing.lens, ctx.pairing.replica.capabilities
    if ctx.pairing.expands and record.fields.get("recurrence") is not None and not record.fields["recurrence"].empty:
        removed = [p for p in parts if p.decision.rule in (Rule.TAKE_BACK, Rule.DELETE_ITEM) and p.look.link.occurrence]
        back = [p for p in parts if p.decision.rule is Rule.CREATE_ITEM and p.look.link.occurrence]
        changes: dict[str, Fields] = {}
        cut: set[str] = {p.look.link.occurrence for p in removed}
        for at, merged, _ in writing:
            made = lens.to_item(merged.to_item)
            if made.get("status") == "cancelled" or merged.to_item.get("status") == "rejected":
                cut.add(at.link.occurrence)
            else:
                changes[at.link.occurrence] = made
        for part in back:
            down = {n: v for n, v in part.look.sides.crm.items() if lens.rules[n].direction in ("both", "to-groupware")}
            part.merge.to_item = down
            part.merge.with_item = (
                {
                    n: part.look.sides.digester.of(n, lens.on_item(n, v, caps))
                    for n, v in down.items()
                    if lens.on_item(n, v, caps) is not None
                },
                part.look.sides.digester.base(part.look.sides.crm),
            )
            changes[part.look.link.occurrence] = lens.to_item(down)
            writing.append((part.look, part.merge, ""))
        for part in removed:
            writing.append((part.look, Merge(), part.decision.rest))
        if not writing:
            return
        writing = [(a, m, "taken-back" if a.link.occurrence in cut and m.to_item else r) for a, m, r in writing]
        series = with_occurrences(record.fields, changes, cut, [p.look.link.occurrence for p in back])
        written = update_item(ctx, record, {"recurrence": series}, writing)
    elif writing:
        changes = lens.to_item(writing[0][1].to_item)
        if writing[0][0].link.role == "copy" and writing[0][0].activity is not None:
            lens.dress_item(changes, participants_lines(writing[0][0].activity.fields), caps)
        if not changes:
            return
        written = update_item(ctx, record, changes, writing)
    else:
        return
    by_id = {link.id: link for link in written}
    for part in parts:
        if part.look.link.id in by_id:
            part.item_written = True
            part.link = by_id[part.look.link.id]


def _write_rest(ctx: Context, part: _Part, admission: Admission | None) -> None:
    """The CRM's side, and what concerns the item as a whole."""
    at, rule = part.look, part.decision.rule
    seen = admission.record if admission else None
    if part.merge.to_crm or (part.merge.losers and at.activity is not None):
        part.link = update_activity(ctx, at, part.merge, part.decision.rest)
        part.crm_written = True
    elif rule is Rule.CREATE_CRM:
        part.link = create_activity(ctx, at, part.row, seen.uid if seen and not at.link.occurrence else "")
        part.crm_written = True
    elif rule is Rule.CREATE_ITEM and not part.item_written and not at.link.occurrence:
        part.link = create_item(ctx, at, part.row)
        part.item_written = part.crm_written = True
    elif rule is Rule.DELETE_CRM:
        delete_activity(ctx, at, part.decision.rest)
    elif rule is Rule.REDACT:
        redact(ctx, at, part.row)
    elif rule in (Rule.DELETE_ITEM, Rule.TAKE_BACK) and seen is not None and not part.item_written:
        part.link = delete_item(ctx, at.link, seen, part.decision.rest)
        part.item_written = True


# -- closing ------------------------------------------------------------------------------------------


def _close(ctx: Context, unit: Unit, parts: Sequence[_Part], record: Record | None, outcome: Outcome) -> None:
    """The last transaction: bases that moved without a write, versions, rests, and the announcements."""
    with ctx.store.transaction() as tx:
        for part in parts:
            _close_part(ctx, tx, part, record)
        if outcome.deferred:
            return
        for entry in unit.entries:
            if outcome.due and entry.side == ("item" if unit.ref is not None else "crm"):
                tx.postpone(ctx.pairing.id, entry, outcome.due)
            else:
                tx.clear(ctx.pairing.id, [entry])
            unpark(tx, ctx.pairing.id, entry.side, entry.ref)


def _close_part(ctx: Context, tx: Transaction, part: _Part, record: Record | None) -> None:
    at, decision = part.look, part.decision
    link = tx.link(at.link.id)
    if link is None:
        return
    rule = decision.rule
    both_gone = rule is Rule.DELETE_ITEM and at.situation.activity is Activity.GONE
    if rule is Rule.DROP or both_gone:
        tx.drop_link(link)
        ctx.explain(tx, link, decision)
        return
    values = _settled(ctx, part, link, record)
    current = {n: getattr(link, n) for n in values}
    changed = {n: v for n, v in values.items() if current[n] != v}
    tx.set_link(link.id, **changed)
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
    stays = sorted(f"{name} ({side})" for side, name in part.merge.stays)
    detail = {k: v for k, v in {**wrote, "stays": stays, "asks": sorted(asks)}.items() if v}
    if detail or (rule is not Rule.NOTHING and decision.rest != at.link.rest):
        ctx.explain(tx, link, decision, **detail)


def _settled(ctx: Context, part: _Part, link: Link, record: Record | None) -> dict[str, Any]:
    """The link's columns after the unit."""
    from syncd.engine.digest import apply_moves

    at, decision = part.look, part.decision
    values: dict[str, Any] = {}
    if decision.rule is Rule.REDACT:
        return {"item_version": record.version if record else "", "rest": link.rest}
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
    if record is not None and not part.item_written:
        values["item_version"] = record.version
        unconfirmed.pop("item", None)
    if at.activity is not None and not part.crm_written:
        values["crm_version"] = at.activity.version
        unconfirmed.pop("crm", None)
    for side, name in part.merge.stays:
        unconfirmed[f"local-{side}"] = sorted({*unconfirmed.get(f"local-{side}", []), name})
    values["unconfirmed"] = {k: v for k, v in unconfirmed.items() if v}
    if (not part.item_written and not part.crm_written) or decision.rule in (Rule.TO_ITEM, Rule.TO_CRM, Rule.MERGE):
        if not (part.item_written and link.rest == "taken-back"):
            values["rest"] = decision.rest
    if decision.rest == "private":
        values |= {"item_base": {}, "crm_base": {}, "texts": {}, "brought": frozenset()}
    return values
