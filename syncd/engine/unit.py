"""Settles one unit: an item with all its links, read once, planned together, written once.

For most items that is one link. An expanded series is one item with a link an occurrence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from syncd.engine.adopting import is_another_persons, takes_part, went_private_unseen
from syncd.engine.again import crms_word, is_as_it_was
from syncd.engine.allowed import ACTED_ON
from syncd.engine.came import came_from_a_colleague, came_from_another, came_once, note_owner
from syncd.engine.carry import write_history_first, write_item, write_rest
from syncd.engine.close import close
from syncd.engine.context import Context
from syncd.engine.feed import PEOPLE
from syncd.engine.heirs import taken_over
from syncd.engine.join import join_item
from syncd.engine.leaving import asks_first, just_asked, look_beside, moving, went_private
from syncd.engine.look import LESS, RETRACT, Look, crm_view, in_scope, is_hidden, look, showed
from syncd.engine.masked import is_covered, known_beside, typed_in, typed_on
from syncd.engine.merge import merge, second_copy
from syncd.engine.moving import as_given, moved_here, private_here, series_here
from syncd.engine.newcomers import Marks, known_people, marks_of
from syncd.engine.occurrences import expand, inside_key, later_keys, next_start, rekeyed
from syncd.engine.pairing import day_text
from syncd.engine.parts import PRIVATE_DATE, Outcome, Part, Unit
from syncd.engine.plan import HOLDERS, RECEIVERS, SPEAKING, Activity, Decision, Item, Rule, decide
from syncd.engine.redact import ERASE, exposes, gives_back, heal_block
from syncd.engine.roles import ABSENT, GUESTS, of_one_date, speaks, stands_for_another
from syncd.engine.sides import Merge, Sides
from syncd.engine.speaking import (
    as_they_answered,
    goes_on_without,
    is_anothers_shell,
    leave_out,
    made_by_a_guest,
    new_role,
    role_among,
    said_private,
    was_ended,
)
from syncd.engine.window import ends_on, enters, wakes
from syncd.engine.write_item import TELLING_APART
from syncd.engine.writes import WAS, Wait
from syncd.mapping.conditions import needs_people
from syncd.model.fields import Fields, kind_of, with_answer
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.recurrence import BadRule
from syncd.model.span import moment_key
from syncd.ports import Gone, PortError
from syncd.privacy import Admission
from syncd.store import Link, Row, Transaction
from syncd.store.journal import conflicts

_T = TypeVar("_T")


def settle_unit(
    ctx: Context,
    unit: Unit,
    result: Admission | PortError | None,
    activities: Mapping[str, Record | PortError],
    *,
    deletions: bool,
) -> Outcome:
    """Brings the item and its activities into step, as far as the table and the guard allow.

    Raises PortErrors, BadRule, Wait; nothing is lost by that, the announcements stay.
    """
    if any(link.id in ctx.unsure for link in unit.links):
        raise Wait
    outcome = Outcome()
    admission = _there(result)
    links = unit.links
    if admission is not None and not links:
        links = unit.links = taken_over(ctx, admission)
        if links:  # what the CRM has made private of it is known by them
            ctx.report.again.add(ctx.pairing.id)
            raise Wait
    if admission is not None and not links and (not admission.whole or admission.says_private):
        admission = as_given(ctx, admission)
    if admission is not None:
        if admission.verdict == "withheld" and not any(k.rest != "private" for k in links):
            ctx.report.withheld += 1
        if not links and not admission.whole:
            links = unit.links = moved_here(ctx, admission) or went_private_unseen(ctx, admission)
        elif not admission.whole and all(k.role == "block" or not showed(k) for k in links):
            private_here(ctx, admission)
        if not links and _is_expanded(ctx, admission):
            links = unit.links = series_here(ctx, admission)
        if not links and admission.verdict == "withheld":
            close(ctx, unit, [], None, outcome)
            return outcome
    links, shown = _shown(ctx, admission, links, outcome)
    parts: list[Part] = []
    for link in links:
        if link.occurrence not in shown:
            continue
        part = _part(ctx, link, admission, shown[link.occurrence], activities)
        parts.append(part)
        if part.guarded and not deletions:
            outcome.deferred += 1
        if part.decision.rule is Rule.REST and part.look.situation.item is Item.OUT:
            _wake(ctx, part.look.sides.item, outcome)
            _wake(ctx, part.look.sides.crm, outcome)
            if not outcome.due and needs_people(ctx.pairing.lens.mapping):
                outcome.due = PEOPLE
        if part.waits:
            _wake_when_over(ctx, part, outcome)
    todo = [p for p in parts if deletions or not p.guarded]
    write_history_first(ctx, todo)
    if admission is not None and admission.record is not None:
        write_item(ctx, admission.record, todo)
    for part in todo:
        write_rest(ctx, part, admission)
    close(ctx, unit, todo, admission.version if admission is not None else None, outcome)
    return outcome


def _is_expanded(ctx: Context, admission: Admission) -> bool:
    """True for a series of which each date is an activity of its own."""
    recurrence = admission.record.fields.get("recurrence") if admission.record is not None else None
    return ctx.pairing.expands and recurrence is not None and not recurrence.empty and admission.whole


def _there(result: _T | PortError | None) -> _T | None:
    """What was read; None when it is gone. Raises why it could not be."""
    if isinstance(result, Gone) or result is None:
        return None
    if isinstance(result, PortError):
        raise result
    return result


def _wake_when_over(ctx: Context, part: Part, outcome: Outcome) -> None:
    """What waits for a word to the guests waits no longer than the meeting is ahead: it is looked at again on
    the day after it."""
    try:
        ends = [
            ends_on(v, ctx.moment.now, ctx.pairing.employee.zone)
            for v in (part.look.sides.item, part.look.sides.crm)
            if v
        ]
    except BadRule:
        return
    day = max((d for d in ends if d is not None), default=None)
    if day is not None and (not outcome.due or day_text(day) < outcome.due):
        outcome.due = day_text(day)


def _wake(ctx: Context, fields: Fields, outcome: Outcome) -> None:
    if not fields:
        return
    day = wakes(fields, ctx.moment.bounds(ctx.pairing.lens), ctx.moment.now, ctx.pairing.employee.zone)
    if day and (not outcome.due or day_text(day) < outcome.due):
        outcome.due = day_text(day)


def _shown(
    ctx: Context, admission: Admission | None, links: Sequence[Link], outcome: Outcome
) -> tuple[list[Link], dict[str, Fields | None]]:
    """The links, new ones too, and for each occurrence what the item shows of it (None: gone)."""
    seen = admission.record if admission else None
    if seen is None:
        return list(links), {k.occurrence: None for k in links}
    recurrence = seen.fields.get("recurrence")
    present: dict[str, Fields | None]
    bounds = ctx.moment.bounds(ctx.pairing.lens)
    if ctx.pairing.expands and recurrence is not None and not recurrence.empty:
        present = dict(expand(seen.fields, bounds))
        following = next_start(seen.fields, bounds[1])
        if following is not None:
            outcome.due = day_text(enters(following, bounds, ctx.moment.now))
        links = _rekey(ctx, links, list(present), seen, bounds)
    else:
        present = {"": seen.fields}
        links = _single(ctx, links, seen)
    have = {k.occurrence for k in links}
    made = list(links)
    waits = False
    for key, fields in list(present.items()):
        if key in have or fields is None:
            continue
        try:
            joined, due = join_item(ctx, seen, key, fields, adopts=admission is None or admission.verdict != "busy")
        except Wait:
            waits = True  # each occurrence asks for itself
            continue
        if joined is not None:
            made.append(joined)
        elif due and (not outcome.due or due < outcome.due):
            outcome.due = due
    if waits:
        raise Wait
    for link in links:
        hidden = admission is not None and is_hidden(link, admission)  # privacy waits for no window
        if link.occurrence not in present and (hidden or inside_key(link.occurrence, bounds)):
            present[link.occurrence] = None
    return made, present


def _rekey(ctx: Context, links: Sequence[Link], present: list[str], seen: Record, bounds: Any) -> list[Link]:
    """Links of a series that was moved as a whole follow their occurrences."""
    series = seen.fields
    known = [k.occurrence for k in links]
    gone = [k for k in known if k and k not in present]
    later = later_keys(series, bounds[1], len(gone)) if gone else []
    change = rekeyed(known, present, later, series["recurrence"].exdates, bounds)
    if any(not k.occurrence for k in links):  # what was a single event has become a series
        change[""] = moment_key(series["time"].start)
    return _renamed(ctx, links, change, seen)


def _single(ctx: Context, links: Sequence[Link], seen: Record) -> list[Link]:
    """What was a series has become a single event: the link of that date carries on."""
    if any(not k.occurrence for k in links) or not links:
        return list(links)
    span = seen.fields.get("time")
    near = sorted(links, key=lambda k: (span is None or k.occurrence[:8] != moment_key(span.start)[:8], k.occurrence))
    return _renamed(ctx, links, {near[0].occurrence: ""}, seen)


def _renamed(ctx: Context, links: Sequence[Link], change: Mapping[str, str], seen: Record) -> list[Link]:
    """The links under the new names of their dates, and their activities with what they are known by: where the series
    goes next, it has the new ones."""
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
        _mark_anew(ctx, tx, [k for k in links if k.occurrence in change and not k.ours], change, seen)
    return [k for k in found if k is not None]


def _mark_anew(ctx: Context, tx: Transaction, links: Sequence[Link], change: Mapping[str, str], seen: Record) -> None:
    marked: list[tuple[Row, Marks]] = []
    for link in links:
        row, before = tx.row(link.activity), marks_of(ctx, seen, link.occurrence)
        if row is not None and before.uid is not None and row.uid_digest == before.uid:
            marked.append((row, marks_of(ctx, seen, change[link.occurrence])))
            tx.set_row(row.id, claim=None, uid_digest=None)
    claims = [marks.claim for _, marks in marked if marks.claim]
    taken = tx.rows_by_claim(ctx.pairing.crm_name, claims)
    for row, marks in marked:
        tx.set_row(row.id, claim=None if marks.claim in taken else marks.claim, uid_digest=marks.uid)


def _part(
    ctx: Context,
    link: Link,
    admission: Admission | None,
    fields: Fields | None,
    activities: Mapping[str, Record | PortError],
) -> Part:
    """Looks at one link and decides."""
    seen = admission.record if admission else None
    with ctx.store.reading() as tx:
        row = tx.row(link.activity)
        others = tx.links_of_row(link.activity)
        decided = {c.field: c.word for c in conflicts(tx, link=link.id) if c.word}
        creating = tx.open_creates(link.activity)
    if row is None or (row.crm_ref is None and any(k != link.id for k in creating)):
        raise Wait
    scheduled, was_block = False, link.role == "block"
    masked = seen is not None and admission is not None and admission.read_only and not link.ours
    covered = masked and is_covered(ctx, link, row, others)
    wakes_up = was_block or (link.rest == "private" and not showed(link) and not link.ours)
    beside = known_beside(ctx, seen, link, row) if seen is not None and not masked and wakes_up else None
    if beside is not None and link.rest in ("private", "item-gone"):
        _let_go(ctx, link)
        raise Wait  # what was a block of time is the other's now
    if seen is not None and not masked and stands_for_another(link, row, others):
        _let_go(ctx, link)
        raise Wait
    if seen is not None:
        role = "block" if masked else role_among(ctx, seen, link, row, others)
        stays = covered or beside is not None or was_ended(ctx, link, row, others, activities)
        if role != link.role and not stays:
            link = new_role(ctx, link, role)
        scheduled = bool(seen.fields.get("attendees") or seen.guests)
        if row.scheduled != scheduled and role in ("own", "stand-in"):
            with ctx.store.transaction() as tx:
                tx.set_row(row.id, scheduled=scheduled)
    if gives_back(ctx, link, row, others):
        raise Wait
    activity = None
    if row.crm_ref is not None:
        found = activities.get(row.crm_ref) or ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
        activity = _there(found)
        if activity is None:  # or it went because a colleague's copy became private, which is not accounted for yet
            with ctx.store.reading() as tx:
                if any(k != link.id for k in tx.open_redactions(row.id)):
                    raise Wait
    if seen is not None and _is_a_strangers(ctx, link, row, seen, others):
        if activity is None or not takes_part(ctx, activity):
            _let_go(ctx, link)
            raise Wait
    if ctx.heal and activity is not None and link.role == "block" and heal_block(ctx, activity):
        ctx.report.again.add(ctx.pairing.id)
        raise Wait
    if fields is not None and link.role in ("own", "stand-in") and not link.ours:
        fields = as_they_answered(ctx, link.role, fields, activity, others)
    taken_out = seen is not None and fields is not None and goes_on_without(ctx, seen, link, others)
    if taken_out and fields is not None:
        fields = {**fields, "attendees": _without(ctx, fields.get("attendees") or People())}
    known = known_people(ctx, fields) if fields is not None else {}
    if activity is not None and link.role == "own" and not link.ours and activity.version != link.crm_version:
        note_owner(ctx, row.id, activity.owner)
    theirs = crms_word(ctx, link, activity) if activity is not None else frozenset[str]()
    if theirs:
        decided |= dict.fromkeys(theirs, "crm")
    elif activity is not None and link.role == "own" and not link.ours and not link.item_base:
        decided |= dict.fromkeys(_as_before_the_move(ctx, link, activity, others), "groupware")
        if scheduled:  # guests have been told what the calendar says
            decided |= {n: "groupware" for n, rule in ctx.pairing.lens.rules.items() if rule.item in ACTED_ON}
    begins = link.role == "own" and not link.ours and not link.item_base
    begins = begins and (was_block or made_by_a_guest(row, others))
    whose = {p.id for p in ctx.everyone if activity is not None and activity.owner in p.employee.addresses}
    answered = any(k.pairing in whose and k.id != link.id and k.rest not in ABSENT and k.item_ref for k in others)
    hidden = covered or beside is not None
    told_private = begins and not was_block and said_private(row, others)
    if not hidden and fields is not None and is_anothers_shell(link, activity, others):
        told_private = True
        with ctx.store.transaction() as tx:  # what it says of that is its own, and goes with it
            tx.set_row(row.id, maker=link.id)
    shown = None if hidden else fields
    seen_both = look(
        ctx, link, admission, shown, activity, known, decided, begins=begins, answered=answered, hidden=hidden,
        told_private=told_private,
    )  # fmt: skip
    if taken_out and activity is not None:
        seen_both = _speaking_of_himself(ctx, seen_both, activity)
    awake = [k for k in others if k.id != link.id and k.rest not in ABSENT and k.item_ref is not None]
    awake = of_one_date(awake, link)
    people = activity.fields.get("participants") if activity is not None else None
    mine = {ctx.pairing.id, *ctx.siblings}
    moved_on = link.ours and not ctx.pairing.employee.among(people or People())
    if moved_on:
        with ctx.store.reading() as tx:
            there = of_one_date([k for k in others if k.id != link.id], link)
            moved_on = came_from_another(ctx, tx, row, there, activity.owner if activity is not None else "")
    more: dict[str, Any] = {
        "retracted": RETRACT in link.brought,
        "unmade": row.crm_ref is None,
        "untouched": is_as_it_was(ctx, link, seen_both.sides.item),
        "anew": ctx.anew,
        "scheduled": row.scheduled and link.role == "own",
        "waited": bool(link.waits) and PRIVATE_DATE not in link.waits.split(","),
        "elsewhere": any(k.role == "own" and not _gave_it_away(ctx, row, k, activity) for k in awake)
        or (seen is None and _is_moving(ctx, row)),
        "twice": any(k.pairing in mine for k in awake),
        "attended": any(k.role == "stand-in" and not k.ours and speaks(k) for k in awake),
        "doubled": moved_on or any(not k.ours and k.pairing in mine for k in awake),
    }
    if link.role in RECEIVERS:
        private = any(k.rest == "private" and (k.id == link.id or not k.ours) for k in others)
        more["deleted"] = row.crm_ref is not None and (link.role in HOLDERS or not private)
    elif link.role == "copy" and not any(k.rest == "private" and not k.ours for k in others):
        more["deleted"] = row.crm_ref is not None and RETRACT not in link.brought
    if admission is None and _is_private_elsewhere(ctx, link, [k for k in others if k.pairing in mine]):
        more["item"] = Item.PRIVATE
    seen_both = replace(seen_both, situation=replace(seen_both.situation, **more))
    decision = decide(seen_both.situation, ctx.pairing.lens.mapping.deletions)
    if admission is None and link.role not in HOLDERS:
        look_beside(ctx, link)
        if asks_first(ctx, link, decision.rule) or (decision.rule is Rule.CREATE_ITEM and _may_be_back(ctx)):
            raise Wait
    if decision.rule is Rule.CREATE_ITEM and activity is not None and not in_scope(ctx, activity, ours=True):
        _offer(ctx, activity)  # what we made would not be this employee's
        decision = Decision(Rule.REST, "item-gone")
    if seen is None and activity is not None and _takes_part_no_more(ctx, link, others, activity, decision):
        decision = Decision(Rule.DROP)
    if link.rest == "private" and not link.brought and decision.rule in (Rule.REDACT, Rule.UNFILE):
        decision = Decision(Rule.REST, "private")
    if beside is not None and decision.rule is Rule.REDACT and typed_on(seen_both):
        decision = Decision(Rule.CANCEL, "item-gone")  # what somebody typed on it stays to be read
    part = Part(seen_both, row, decision)
    if decision.rule not in (Rule.REDACT, Rule.UNFILE, Rule.DROP):
        part.hidden = admission.masked if admission is not None else frozenset[str]()
        part.exposed = ERASE in link.brought or exposes(ctx, seen_both, part.hidden)
    if decision.rule is Rule.TAKE_BACK and activity is not None and seen_both.situation.item is Item.CHANGED:
        part.merge.losers = dict(typed_in(seen_both))  # the copy goes; what somebody has typed on it is kept
        return part
    if decision.rule is Rule.REST and _says_private(seen_both):
        part.merge = merge(_only(seen_both.sides, "private"))
        return part
    if part.exposed and decision.rule is Rule.REST and activity is not None:  # privacy waits for no window
        part.merge = merge(_only(seen_both.sides, "recurrence"))
        part.merge.to_item.clear()
        return part
    if link.role in HOLDERS and seen_both.situation.fresh and decision.rule in SPEAKING:
        part.merge = second_copy(seen_both.sides)
    elif decision.rule in SPEAKING:
        part.merge = merge(seen_both.sides)
        if LESS in link.brought and not part.merge.to_item:
            with ctx.store.transaction() as tx:
                tx.set_link(link.id, brought=link.brought - {LESS})
    elif decision.rule in (Rule.CANCEL, Rule.DECLINE):
        part.taken_out = decision.rule is Rule.DECLINE and _is_named_no_more(ctx, link, others)
        part.merge = _ending(ctx, seen_both, decision.rule, out=part.taken_out)
    return part


def _takes_part_no_more(ctx: Context, link: Link, others: Sequence[Link], activity: Record, decision: Decision) -> bool:
    """True for what somebody had whom the organiser, or the CRM, has taken out, and has no more: that was no answer of
    his, or is none any longer. Should the CRM add him again, he has it like everybody whom it adds. Where somebody's
    copy is private, and no other's names whom it invites, the list of people may have been taken back."""
    ended = decision.rule is Rule.DECLINE or link.rest == "declined" or decision == Decision(Rule.REST, "item-gone")
    if not ended or link.role not in (*GUESTS, "copy") or takes_part(ctx, activity):
        return False
    beside = [k for k in others if k.id != link.id]
    speaking = [k for k in beside if speaks(k)]
    if link.role == "stand-in" and not speaking:
        return False
    if not any(k.rest == "private" or k.role == "block" for k in beside):
        return True
    return any(k.role == "own" for k in speaking) or leave_out(ctx, speaking)


def _is_named_no_more(ctx: Context, link: Link, others: Sequence[Link]) -> bool:
    """True for somebody whose own invitation spoke for a customer's meeting, and whom none of those that are there
    names: the customer has taken him out, and he has said nothing."""
    guests = [k for k in others if k.id != link.id and k.role in GUESTS]
    there = [k for k in guests if k.item_ref is not None and k.rest not in ABSENT]
    return link.role == "stand-in" and leave_out(ctx, there)


def _gave_it_away(ctx: Context, row: Row, link: Link, activity: Record | None) -> bool:
    """True for the entry of which the activity was made, of somebody who has handed it over to this employee: it is no
    answer to what becomes of it now."""
    if activity is None or activity.owner not in ctx.pairing.employee.addresses or link.ours:
        return False
    if link.pairing in {ctx.pairing.id, *ctx.siblings}:
        return False
    made_of_it = row.origin == "groupware" and row.maker in (link.id, None)
    with ctx.store.reading() as tx:
        if not made_of_it and not came_once(tx, row.id, link.pairing):
            return False
        return not came_from_a_colleague(ctx, tx, row.id, [link.pairing], activity.owner)


def _speaking_of_himself(ctx: Context, at: Look, activity: Record) -> Look:
    """The look at an entry that names the employee no more, which may say so of him."""
    me = ctx.pairing.employee.among(activity.fields.get("participants") or People())
    return replace(at, sides=replace(at.sides, may=replace(at.sides.may, me=me)))


def _without(ctx: Context, people: People) -> People:
    """Those who take part without the employee."""
    me = ctx.pairing.employee.among(people)
    return People([p for p in people.values() if p.address != me])


def _let_go(ctx: Context, link: Link) -> None:
    """The item is looked at as one that nobody knows."""
    with ctx.store.transaction() as tx:
        tx.drop_link(link)
        if link.item_ref is not None:
            tx.announce(ctx.pairing.id, "item", [link.item_ref])
    ctx.report.again.add(ctx.pairing.id)


def _offer(ctx: Context, activity: Record) -> None:
    """Whoever answers for the activity looks at it again: the calendar to which its item had moved has it no more."""
    theirs = [p.id for p in ctx.everyone if activity.owner in p.employee.addresses]
    with ctx.store.transaction() as tx:
        for pairing in theirs:
            tx.announce(pairing, "crm", [activity.ref])
    ctx.report.again |= set(theirs)


def _only(sides: Sides, name: str) -> Sides:
    """The sides as far as one field goes."""
    return replace(sides, item=_field(sides.item, name), crm=_field(sides.crm, name))


def _field(side: Fields, name: str) -> Fields:
    return {name: side[name]} if name in side else {}


def _says_private(at: Look) -> bool:
    """True where one side has become private while the item is left out, or out of the window: the other side is told
    that, and nothing else."""
    item, crm = at.sides.item.get("private"), at.sides.crm.get("private")
    if at.situation.item is not Item.OUT or at.situation.activity not in (Activity.SAME, Activity.CHANGED):
        return False
    if item is None or crm is None or bool(item) is bool(crm):
        return False
    side, base = (at.sides.item, at.sides.item_base) if item else (at.sides.crm, at.sides.crm_base)
    return not at.sides.digester.holds(base, "private", side["private"])


def _is_private_elsewhere(ctx: Context, link: Link, mine: Sequence[Link]) -> bool:
    """True for an item that is gone, and of which the employee has another copy that has become private."""
    beside = [k for k in mine if k.id != link.id and not k.ours and k.item_ref is not None]
    if any(k.rest == "private" or k.role == "block" for k in beside):
        return True
    with ctx.store.reading() as tx:
        return link.item_ref is not None and tx.setting(went_private(ctx.pairing.id, link.item_ref)) is not None


def _may_be_back(ctx: Context) -> bool:
    """True while an item that has not been read yet may be the one that is gone, under another ref."""
    with ctx.store.reading() as tx:
        return tx.unlinked_items(ctx.pairing.id, ctx.moment.today) > 0


def _is_moving(ctx: Context, row: Row) -> bool:
    """True when another calendar has just shown the item: it has moved, nobody has deleted it."""
    with ctx.store.reading() as tx:
        return just_asked(ctx, tx.setting(moving(row.id)))


def _is_a_strangers(ctx: Context, link: Link, row: Row, seen: Record, others: Sequence[Link]) -> bool:
    """True for an item that was once taken for another employee's, because it has the same UID."""
    before = [k for k in others if k.id < link.id and k.occurrence == link.occurrence]
    return not link.ours and link.role == "own" and is_another_persons(ctx, row, seen, link.occurrence, before)


def _as_before_the_move(ctx: Context, link: Link, activity: Record, others: Sequence[Link]) -> set[str]:
    """Of what has moved here from a colleague's calendar, where it was made again meanwhile: the fields that nobody
    has changed in the CRM since."""
    view = crm_view(ctx, activity, link)
    return {
        name
        for k in others
        for name in TELLING_APART
        if name in view and ctx.digester(k.id).of(name, view[name]) in k.unconfirmed.get(WAS, ())
    }


def _ending(ctx: Context, at: Look, rule: Rule, *, out: bool) -> Merge:
    """The item is gone: the activity is cancelled, or the employee's answer is "declined", or the employee is taken
    `out`. The item's base moves along, as if it had said so itself: one that is brought back says something new."""
    made = Merge()
    if at.activity is None:
        return made
    digester = at.sides.digester
    if rule is Rule.CANCEL:
        status = ctx.pairing.lens.rules.get("status")
        name, value = "status", (status.forward("cancelled") if status else None) or "rejected"
        moves: Any = digester.of(name, value)
    else:
        people: People = at.activity.fields.get("participants") or People()
        name, me = "participants", ctx.pairing.employee.among(people)
        if not me:
            return made  # whoever takes no part declines nothing
        value = _without(ctx, people) if out else with_answer(people, me, "declined")
        moves = {digester.element(name, me): digester.content(name, me, "declined")}
    agreed = kind_of(name).canonical(value) == kind_of(name).canonical(at.activity.fields.get(name))
    if not agreed:
        made.to_crm[name] = value
    for moved in made.now if agreed else made.with_crm:
        moved[name] = moves
    return made
