"""Carries out what was decided for a unit: one write into the item, then the CRM's side of each link."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.context import Context
from syncd.engine.look import Look
from syncd.engine.merge import Merge
from syncd.engine.occurrences import with_occurrences
from syncd.engine.pairing import participants_lines
from syncd.engine.parts import Part
from syncd.engine.plan import Rule
from syncd.engine.redact import redact
from syncd.engine.writes import create_activity, create_item, delete_activity, delete_item, update_activity, update_item
from syncd.mapping import blocks
from syncd.model.fields import Fields
from syncd.model.record import Record
from syncd.privacy import Admission


def write_history_first(ctx: Context, parts: Sequence[Part]) -> None:
    """Losers are kept before anything replaces them: a part that only writes to the item has its
    history written here."""
    for part in parts:
        if part.merge.losers and not part.merge.to_crm and part.look.activity is not None:
            part.link = update_activity(ctx, part.look, Merge(losers=part.merge.losers))
            part.crm_written = not ctx.pairing.crm.capabilities.history
            part.merge.losers = {}


def write_item(ctx: Context, record: Record, parts: Sequence[Part]) -> None:
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


def write_rest(ctx: Context, part: Part, admission: Admission | None) -> None:
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
