"""Carries out what was decided for a unit: one write into the item, then the CRM's side of each link."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.engine.allowed import May
from syncd.engine.context import Context
from syncd.engine.look import Look, item_view
from syncd.engine.occurrences import in_items_words, with_occurrences
from syncd.engine.pairing import participants_lines
from syncd.engine.parts import Part
from syncd.engine.plan import SPEAKING, Rule
from syncd.engine.redact import erase_history, note_exposed, redact
from syncd.engine.sides import Merge
from syncd.engine.text import image
from syncd.engine.write_crm import create_activity, delete_activity, update_activity
from syncd.engine.write_item import create_item, delete_item, update_item
from syncd.mapping import blocks
from syncd.model.fields import Fields, Value
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.privacy import Admission
from syncd.store import Link


def write_history_first(ctx: Context, parts: Sequence[Part]) -> None:
    """Losers are kept before anything replaces them: where a value lost, and where an occurrence goes
    whose words are still to cross, the CRM's side is written before the item's."""
    for part in parts:
        if part.exposed:
            note_exposed(ctx, part.look, part.hidden)
        goes = _goes(part)
        if goes:  # nobody can be asked about an occurrence that is no longer there: the CRM's word holds
            part.merge.losers |= {name: item for name, (item, _) in part.merge.asks.items()}
            part.merge.asks.clear()
        if part.look.activity is not None and (part.merge.losers or (goes and part.merge.to_crm)):
            part.link = update_activity(ctx, part.look, part.merge, part.decision.rest)
            part.kept_first = True
            part.crm_written = bool(part.merge.to_crm) or not ctx.pairing.crm.capabilities.history


def _goes(part: Part) -> bool:
    """True for an occurrence that the CRM has rejected: its series is to lose it."""
    return bool(part.look.link.occurrence) and "status" in part.merge.to_item and part.look.situation.rejected


def write_item(ctx: Context, record: Record, parts: Sequence[Part]) -> None:
    """One write into the item for all its links."""
    for part in parts:
        _refresh_block(ctx, record, part)
    series = record.fields.get("recurrence")
    if ctx.pairing.expands and series is not None and not series.empty:
        _write_series(ctx, record, parts)
        return
    for part in parts:
        if part.merge.to_item:
            _write_single(ctx, record, part)


def _refresh_block(ctx: Context, record: Record, part: Part) -> None:
    """The participants of a copy changed: its description is written with them at the end, although
    nobody changed the words above."""
    at, merged = part.look, part.merge
    if at.link.role != "copy" or "participants" not in merged.now[1] or at.activity is None:
        return
    if "notes" not in ctx.pairing.lens.rules or "notes" in merged.to_item:
        return
    held = str(record.fields.get("description") or "")
    if at.sides.may.down("notes") is not May.YES or at.sides.may.quietly is not May.YES:
        return  # guests are told what somebody has said, not whom the CRM lists by now
    limit = ctx.items.capabilities.limit("description").length
    if blocks.attach(held, participants_lines(at.activity.fields), limit) == held:
        return
    merged.to_item["notes"] = blocks.cut(held)
    crm, item, digester = at.sides.crm.get("notes"), at.sides.item.get("notes"), at.sides.digester
    agreed = digester.holds(at.sides.crm_base, "notes", crm) and digester.holds(at.sides.item_base, "notes", item)
    if agreed:  # else the words wait for their own write
        merged.with_item[0]["notes"] = at.sides.digester.of("notes", merged.to_item["notes"])
        merged.with_item[1]["notes"] = at.sides.digester.of("notes", crm)


def _write_single(ctx: Context, record: Record, part: Part) -> None:
    """The item is one record of one link."""
    lens, activity = ctx.pairing.lens, part.look.activity
    changes = lens.to_item(part.merge.to_item)
    if "recurrence" in changes:
        name = lens.named("recurrence")
        shown, wanted = part.look.sides.item.get(name) or Recurrence(), part.merge.to_item[name]
        changes["recurrence"] = in_items_words(record.fields, shown, wanted, lens, changes.get("time"))
    if part.look.link.role == "copy" and activity is not None:
        lens.dress_item(changes, participants_lines(activity.fields), ctx.items.capabilities)
    if changes:
        _written([part], update_item(ctx, record, changes, [(part.look, part.merge, "")]))


def _write_series(ctx: Context, record: Record, parts: Sequence[Part]) -> None:
    """The item is a series whose occurrences are single activities: an edited one becomes an override,
    one that is over or rejected an EXDATE, one that comes back loses its EXDATE."""
    lens = ctx.pairing.lens
    edited: dict[str, Fields] = {}
    removed: set[str] = set()
    restored: list[str] = []
    writing: list[tuple[Part, Merge, str]] = []
    for part in parts:
        key, rule = part.look.link.occurrence, part.decision.rule
        if rule in (Rule.TAKE_BACK, Rule.DELETE_ITEM):
            removed.add(key)
            writing.append((part, Merge(), part.decision.rest))
        elif rule is Rule.CREATE_ITEM:
            part.merge = _restoring(ctx, record, part.look)
            edited[key] = lens.to_item(part.merge.to_item)
            restored.append(key)
            writing.append((part, part.merge, ""))
        elif _goes(part):
            removed.add(key)
            writing.append((part, part.merge, "taken-back"))
        elif part.merge.to_item:
            edited[key] = lens.to_item(part.merge.to_item)
            writing.append((part, part.merge, ""))
    if writing:
        series = with_occurrences(record.fields, edited, removed, restored)
        looks = [(part.look, merged, after) for part, merged, after in writing]
        _written([part for part, _, _ in writing], update_item(ctx, record, {"recurrence": series}, looks))


def _restoring(ctx: Context, record: Record, at: Look) -> Merge:
    """What the activity shows, for an occurrence that comes back. What the series itself says already,
    in full where the CRM has it cut, is left to the series."""
    lens, caps, digester = ctx.pairing.lens, ctx.items.capabilities, at.sides.digester
    down = {n: v for n, v in at.sides.crm.items() if at.sides.may.down(n) is May.YES}
    images = {n: lens.on_item(n, v, caps) for n, v in down.items()}
    series = item_view(ctx, record.fields)
    same = {n for n, v in down.items() if n in series and n != "time" and _says(ctx, n, series[n], v)}
    made = Merge(to_item={n: v for n, v in down.items() if n not in same})
    base = {n: series[n] if n in same else there for n, there in images.items() if there is not None}
    made.with_item = ({n: digester.of(n, v) for n, v in base.items()}, digester.base(at.sides.crm))
    return made


def _says(ctx: Context, name: str, series: Value, crm: Value) -> bool:
    caps = (ctx.items.capabilities, ctx.pairing.crm.capabilities)
    return ctx.pairing.lens.agree(name, series, crm, caps) or (not caps[1].exact and image(crm, series))


def _written(parts: Sequence[Part], links: Sequence[Link]) -> None:
    for part, link in zip(parts, links, strict=True):
        part.item_written, part.link = True, link


def _keeps_an_old_subject(ctx: Context, part: Part) -> bool:
    """True when somebody has changed the subject in the CRM, and its notes still keep the long one."""
    at = part.look
    if at.activity is None or part.decision.rule not in SPEAKING or not at.sides.may.up("subject"):
        return False
    return ctx.pairing.lens.is_stale(at.activity.fields, ctx.pairing.crm.capabilities)


def write_rest(ctx: Context, part: Part, admission: Admission | None) -> None:
    """The CRM's side, and what concerns the item as a whole."""
    at = part.look
    if not part.kept_first or part.decision.rule is Rule.TAKE_BACK:
        _write_rest(ctx, part, admission)
    if part.exposed:
        erase_history(ctx, at.link, part.row)
        part.crm_written = True


def _write_rest(ctx: Context, part: Part, admission: Admission | None) -> None:
    at, rule = part.look, part.decision.rule
    seen = admission.record if admission else None
    if part.merge.to_crm or _keeps_an_old_subject(ctx, part):
        part.link = update_activity(ctx, at, part.merge, part.decision.rest)
        part.crm_written = True
    elif rule is Rule.CREATE_CRM:
        uid = seen.uid if seen and not at.link.occurrence else ""
        part.link = create_activity(ctx, at, part.row, uid, seen.owner if seen else "")
        part.crm_written = True
    elif rule is Rule.CREATE_ITEM and not part.item_written and (not at.link.occurrence or seen is None):
        part.link = create_item(ctx, at, part.row)
        part.item_written = part.crm_written = True
    elif rule is Rule.DELETE_CRM:
        delete_activity(ctx, at, part.decision.rest)
    elif rule in (Rule.REDACT, Rule.UNFILE):
        redact(ctx, at, part.row)
    elif rule in (Rule.DELETE_ITEM, Rule.TAKE_BACK) and seen is not None and not part.item_written:
        part.link = delete_item(ctx, at, seen, part.decision.rest)
        part.item_written = True
