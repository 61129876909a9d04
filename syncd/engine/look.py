"""Looks at both sides of a link: what each holds in the activity's terms, and in which state it is.

Reads no store and no port; what it needs was fetched before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.engine.allowed import Allowed, allowed, has_guests
from syncd.engine.came import OWNED, came_from_a_colleague, names_of
from syncd.engine.context import Context
from syncd.engine.digest import Digester
from syncd.engine.given import given_of
from syncd.engine.owners import for_colleague, private_dates
from syncd.engine.plan import Activity, Item, Situation
from syncd.engine.roles import GUESTS
from syncd.engine.sides import Sides
from syncd.engine.text import image
from syncd.engine.window import inside, over
from syncd.mapping.conditions import taken
from syncd.model.fields import Fields, kind_of, normal_text, same, says_nothing
from syncd.model.people import People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Moment, Span, as_instant, parse_moment
from syncd.privacy import Admission
from syncd.store import Link


@dataclass(frozen=True)
class Look:
    """Both sides of one link, ready to be decided on."""

    link: Link
    situation: Situation
    sides: Sides
    activity: Record | None
    #: The item's fields as admitted (of one occurrence, when the series is expanded).
    item_fields: Fields | None

    @property
    def is_shown(self) -> bool:
        """True when the item is seen as it is, not as a block of time."""
        may = self.sides.may
        return self.item_fields is not None and may.role != "block" and self.link.occurrence not in may.masked


#: Stands among the fields that a link brought while its item, our copy, shows more of the activity than became private
#: than there is: it is written wherever it lies.
LESS = "less"
#: Stands among the fields that a link brought when its item is our copy of what has become private.
RETRACT = "retract"
#: Among what a link has written: its item is gone, and its activity was rejected, or done, by then.
ENDED = "ended"
#: Among what a link has written: its item said that the activity is private, and what is left of that in the CRM still
#: is: the item takes that word back itself.
STILL_PRIVATE = "still-private"


def item_view(ctx: Context, fields: Fields) -> dict[str, Any]:
    """The item in the activity's terms, as far as both sides can hold it."""
    seen = ctx.pairing.lens.from_item(fields)
    names = ctx.pairing.names - ({"recurrence"} if ctx.pairing.expands else set())
    if ctx.pairing.lens.mapping.item == "message":  # what was not read, or may not cross, is not empty
        names = frozenset(n for n in names if ctx.pairing.lens.rules[n].item in fields)
    return {name: value for name, value in seen.items() if name in names}


def crm_view(ctx: Context, record: Record, link: Link | None = None) -> dict[str, Any]:
    """The activity's mapped fields, as far as both sides can hold them, and as far as the link's employee may see
    them: an occurrence may be its owner's alone."""
    whole = link is None or _responsible(ctx, link, record)
    seen = ctx.pairing.lens.from_activity(record.fields if whole else for_colleague(record.fields))
    return {name: value for name, value in seen.items() if name in ctx.pairing.names}


def in_scope(ctx: Context, record: Record, *, ours: bool) -> bool:
    """True when the activity is this employee's to see: a private one is its owner's alone, and
    what syncd copied into a calendar belongs there while the employee takes part."""
    employee = ctx.pairing.employee
    mine = record.owner in employee.addresses
    if record.fields.get("private") and not mine:
        return False
    return mine or not ours or bool(employee.among(record.fields.get("participants") or {}))  # type: ignore[arg-type]


def has_declined(ctx: Context, activity: Record) -> bool:
    """True for what the employee merely takes part in, and has said no to."""
    people = activity.fields.get("participants") or People()
    me = ctx.pairing.employee.among(people)
    return activity.owner not in ctx.pairing.employee.addresses and bool(me) and people[me].answer == "declined"


def is_leftover(activity: Record) -> bool:
    """True for what is left of an activity that became private, where somebody in the CRM had added something: an
    appointment without a time, or a private activity without a subject (the CRM may have moved it, and has then said
    itself when it is)."""
    if "time" in activity.fields and activity.fields["time"] is None:
        return True
    return bool(activity.fields.get("private")) and not activity.fields.get("subject")


def look(
    ctx: Context,
    link: Link,
    admission: Admission | None,
    fields: Fields | None,
    activity: Record | None,
    known: Mapping[str, str],
    decided: Mapping[str, str],
    *,
    begins: bool = False,
    answered: bool = False,
    hidden: bool = False,
    told_private: bool = False,
) -> Look:
    """The link with both sides' states.

    Args:
        admission: what the privacy filter let through; None when the item is gone.
        fields: the item's fields (of the occurrence); None when it, or the occurrence, is gone.
        activity: None when it is gone.
        known: whom the CRM knows, for the mapping's conditions.
        decided: a person's words on conflicts.
        begins: this copy begins to speak for a meeting of which somebody else's copy was read first.
        answered: whoever is responsible for the activity has it in a calendar too.
        hidden: the item says nothing of the activity; what it said is to be taken back.
        told_private: a calendar has said that the activity is private, and this one may take that back.
    """
    pairing, lens = ctx.pairing, ctx.pairing.lens
    record = admission.record if admission else None
    item = item_view(ctx, fields) if fields is not None else {}
    crm = crm_view(ctx, activity, link) if activity is not None else {}
    responsible = activity is None or _responsible(ctx, link, activity, answered=answered)
    completed = activity is not None and _completed(ctx, activity)
    past = _past(ctx, item or crm) or completed
    ended = completed or (past and (not crm or _past(ctx, crm)))
    answers = responsible and (activity is not None or link.role != "copy")  # of one that is gone nobody knows who did
    lately = activity is not None and _answered_until_now(ctx, link, activity)
    may = _may(ctx, link, admission, item, responsible=responsible, lately=lately, answers=answers, ended=ended)
    sides = Sides(
        item=item,
        crm=crm,
        item_base=link.item_base,
        crm_base=link.crm_base,
        texts=link.texts,
        lens=lens,
        caps=(pairing.replica.capabilities, pairing.crm.capabilities),
        digester=ctx.digester(link.id),
        may=may,
        heal=ctx.heal,
        shown_again=link.rest == "private" or begins,
        item_modified=record.modified if record else None,
        crm_modified=activity.modified if activity else None,
        organizer=bool(record and record.owner and record.owner in pairing.employee.addresses),
        decided=decided,
        local={k.removeprefix("local-"): frozenset(v) for k, v in link.unconfirmed.items() if k.startswith("local-")},
    )
    told = STILL_PRIVATE in link.unconfirmed or told_private
    if told and item and not hidden and "private" not in sides.item_base:
        agreed = {"private": sides.digester.of("private", value=True)}
        sides = replace(
            sides, item_base={**sides.item_base, **agreed}, crm_base={**sides.crm_base, **agreed}, shown_again=True
        )
    sides = _accept_shaping(ctx, sides, link, record, activity)
    own = bool(item.get("private")) and not link.private_copy and was_handed_over(ctx, link, activity)
    situation = Situation(
        item=Item.PRIVATE if hidden or own else _item_state(ctx, link, sides, admission, fields, crm, known),
        activity=_activity_state(ctx, sides, link, activity, told=told),
        role=link.role,
        rest=link.rest,
        past=past,
        responsible=responsible,
        ours=link.ours,
        left=_left(ctx, admission, fields),
        edited=_edited(sides, link),
        fresh=not link.item_base,
        rejected=activity is not None and pairing.crm.statuses().get(str(activity.fields.get("status"))) == "rejected",
        brought=bool(link.brought),
        reopened=_reopened(ctx, link, sides),
        declined=activity is not None and has_declined(ctx, activity),
        answered=activity is None and _was_only_answered(sides.digester, sides.item, sides.item_base),
        replied=fields is None and _was_only_answered(sides.digester, sides.crm, sides.crm_base),
        hidden=activity is not None and not _may_see(ctx, link, activity, ours=False),
        may=may,
    )
    return Look(link, situation, sides, activity, fields)


def _may(
    ctx: Context,
    link: Link,
    admission: Admission | None,
    view: Fields,
    *,
    responsible: bool,
    lately: bool,
    answers: bool,
    ended: bool,
) -> Allowed:
    """What this link may write. The server is asked what it tells only where there is something to be told."""
    record = admission.record if admission is not None else None
    masked = admission is not None and admission.read_only
    own_dates = _own_private_dates(link, view) if record is not None and not answers else frozenset[str]()
    guests = record is not None and has_guests(record, ctx.pairing.employee)
    return allowed(
        ctx.pairing.lens,
        ctx.pairing.employee,
        "block" if masked else link.role,
        writable=ctx.items.capabilities.writable,
        admission=admission,
        own_dates=own_dates,
        occurrence=link.occurrence,
        guests=guests and link.role in ("own", "copy"),
        telling=ctx.items.telling,
        view=view,
        responsible=responsible,
        lately=lately,
        over=ended,
        passed=_passes(ctx, view, admission.ends if admission is not None else {}),
    )


def _own_private_dates(link: Link, view: Fields) -> frozenset[str]:
    """The dates that somebody who does not answer for the series has made private in the own calendar: also where all
    of private things crosses, they are nobody else's."""
    series = view.get("recurrence")
    if not isinstance(series, Recurrence):
        return frozenset()
    private = private_dates(series)
    return private - given_of([link]).names(view.get("time"), private)


def _passes(ctx: Context, view: Fields, ends: Mapping[str, Moment]) -> Callable[[str], bool]:
    """Says of the original start of a date whether that is over, as far as the series says when it ends; `ends`: of
    dates that are less than shown, and not at their usual time."""
    span, zone = view.get("time"), ctx.pairing.employee.zone

    def passed(key: str) -> bool:
        if key in ends:
            return as_instant(ends[key], zone) <= ctx.moment.now
        return isinstance(span, Span) and as_instant(parse_moment(key), zone) + span.length <= ctx.moment.now

    return passed


def _responsible(ctx: Context, link: Link, activity: Record, *, answered: bool = False) -> bool:
    """True for the employee responsible, and for one in whose calendar alone it stands and who does not merely
    take part in it (it was moved there)."""
    employee = ctx.pairing.employee
    if activity.owner in employee.addresses:
        return True
    people = activity.fields.get("participants") or People()
    alone = link.role == "own" and not link.ours and not answered and not employee.among(people)
    return alone and not was_handed_over(ctx, link, activity)


def _answered_until_now(ctx: Context, link: Link, activity: Record) -> bool:
    """True for whoever holds our copy of what somebody else answers for now, and did not merely take part in it when
    both sides last agreed: which dates it leaves out crosses as it would have a little earlier."""
    if not link.ours or link.rest or not link.item_base or link.crm_version == activity.version:
        return False
    if "participants" not in ctx.pairing.names:
        return False
    took_part: Mapping[str, str] = link.crm_base.get("participants", {})
    addresses, digester = ctx.pairing.employee.addresses, ctx.digester(link.id)
    return not any(digester.element("participants", each) in took_part for each in addresses)


def was_handed_over(ctx: Context, link: Link, activity: Record | None) -> bool:
    """True for an entry, the employee's own or an invitation, whose activity has got another employee responsible in
    the CRM."""
    if activity is None or link.ours or not activity.owner or activity.owner in ctx.pairing.employee.addresses:
        return False
    if link.role in GUESTS:  # of what a customer or a colleague organises nobody else knows whose it was at first
        return OWNED in link.unconfirmed and not names_of(ctx, activity.owner) & set(link.unconfirmed[OWNED])
    if link.role != "own":
        return False
    with ctx.store.reading() as tx:  # or it came from the one who is responsible, or from a predecessor
        return not came_from_a_colleague(ctx, tx, link.activity, [ctx.pairing.id], activity.owner)


def _past(ctx: Context, view: Fields) -> bool:
    return bool(view) and over(view, ctx.moment.now, ctx.pairing.employee.zone)


def _was_only_answered(digester: Digester, view: Fields, base: Mapping[str, Any]) -> bool:
    """True when all that changed on this side is what those who take part have answered: who took part before, and who
    has declined."""
    was, now = base.get("participants"), view.get("participants")
    if not isinstance(was, dict) or not isinstance(now, People):
        return False
    if [n for n, v in view.items() if changed(digester, base, {n: v})] != ["participants"]:
        return False
    new = {key for key in now if digester.element("participants", key) not in was}
    return len(now) - len(new) == len(was) and all(now[key].answer == "declined" for key in new)


def _reopened(ctx: Context, link: Link, sides: Sides) -> bool:
    """True for an activity that was rejected when both sides last agreed, or over when its item was seen to be gone,
    and that is open again."""
    meaning = ctx.pairing.crm.statuses()
    if meaning.get(str(sides.crm.get("status"))) != "open":
        return False
    ended = [name for name, what in meaning.items() if what == "rejected"]
    return ENDED in link.unconfirmed or any(sides.digester.holds(link.crm_base, "status", name) for name in ended)


def has_ended(ctx: Context, activity: Record | None) -> bool:
    """True for what was rejected, or is done."""
    meaning = ctx.pairing.crm.statuses()
    return activity is not None and meaning.get(str(activity.fields.get("status"))) in ("rejected", "completed")


def _completed(ctx: Context, activity: Record) -> bool:
    """What has taken place is over, whatever the calendar says."""
    return ctx.pairing.crm.statuses().get(str(activity.fields.get("status"))) == "completed"


def within(ctx: Context, *views: Fields) -> bool:
    """True when any of the views touches the window: what one side moved out of it still crosses."""
    bounds = ctx.moment.bounds(ctx.pairing.lens)
    return any(inside(view, bounds, ctx.pairing.employee.zone) for view in views if view)


def is_hidden(link: Link, admission: Admission) -> bool:
    """True for an occurrence of which nothing may be seen: of a private series each one that is not shown, whatever
    has become of its date. A block of time has nothing to hide."""
    if link.occurrence in admission.masked:
        return True
    block = link.role == "block" or not showed(link)
    return bool(link.occurrence) and (admission.verdict == "partial" or (admission.verdict == "busy" and not block))


def showed(link: Link) -> bool:
    """True for a link that has brought, or agreed on, more than a block of time shows."""
    return bool(link.brought or link.item_base)


def _item_state(
    ctx: Context,
    link: Link,
    sides: Sides,
    admission: Admission | None,
    fields: Fields | None,
    crm: Fields,
    known: Mapping[str, str],
) -> Item:
    if admission is None:
        return Item.GONE
    if admission.verdict == "withheld":
        return Item.PRIVATE
    if fields is None:  # of a series with single activities: an occurrence that is hidden is not gone
        return Item.PRIVATE if is_hidden(link, admission) else Item.GONE
    if admission.read_only and link.role != "block" and (link.ours or showed(link)):
        return Item.PRIVATE
    if LESS in link.brought and fields is not None:
        return Item.CHANGED if changed(sides.digester, sides.item_base, sides.item) else Item.SAME
    if not within(ctx, sides.item, crm) or not taken(ctx.pairing.lens.mapping, fields, known):
        return Item.OUT
    moved = changed(sides.digester, sides.item_base, sides.item) or sides.any_freed("item")
    return Item.CHANGED if moved else Item.SAME


def _left(ctx: Context, admission: Admission | None, fields: Fields | None) -> bool:
    """True for a message that is there and may cross, but that the mapping's conditions leave out."""
    if ctx.pairing.lens.mapping.item != "message" or admission is None or admission.verdict == "withheld":
        return False
    return fields is not None and not taken(ctx.pairing.lens.mapping, fields, {})


def _edited(sides: Sides, link: Link) -> bool:
    """True when the CRM holds other words than the item brought there: since this pass, or since an earlier one,
    which let them stay where they were typed."""
    stayed = {name.partition(" ")[0] for name in sides.local.get("crm", ())}
    return any(
        name in stayed or not sides.digester.holds(sides.crm_base, name, sides.crm[name])
        for name in sides.crm.keys() & sides.crm_base.keys()
        if name in link.brought or sides.may.up(name)
    )


def _may_see(ctx: Context, link: Link, activity: Record, *, ours: bool) -> bool:
    """True where the employee may see the activity; of an appointment without a time nobody has a copy."""
    nothing = link.ours and "time" in activity.fields and activity.fields["time"] is None
    return in_scope(ctx, activity, ours=ours) and not nothing


def _was_edited_before(ctx: Context, sides: Sides, link: Link, activity: Record) -> bool:
    """True for a copy that its employee edited in the interval in which the CRM took it away from him: that crosses, as
    it would have a little earlier, and then the copy goes."""
    if not link.ours or link.rest or not link.item_base or not _may_see(ctx, link, activity, ours=False):
        return False
    return bool(sides.item) and changed(sides.digester, sides.item_base, sides.item)


def _activity_state(ctx: Context, sides: Sides, link: Link, activity: Record | None, *, told: bool) -> Activity:
    if activity is None:
        return Activity.GONE
    of_it = told and not link.ours  # what is left of this very item, whoever has it
    if not of_it and not _may_see(ctx, link, activity, ours=link.ours):
        if not _was_edited_before(ctx, sides, link, activity):
            return Activity.OUT
    moved = changed(sides.digester, sides.crm_base, sides.crm) or sides.any_freed("crm")
    return Activity.CHANGED if moved else Activity.SAME


def changed(digester: Digester, base: Mapping[str, Any], view: Fields) -> bool:
    """True when the side differs from what it held at the last agreement. Of what was never agreed on,
    nothing is no change."""
    return any(
        not digester.holds(base, name, value)
        for name, value in view.items()
        if name in base or not says_nothing(name, value)
    )


def _accept_shaping(ctx: Context, sides: Sides, link: Link, record: Record | None, activity: Record | None) -> Sides:
    """A field that we wrote and that differs now is the server's shaping, not an edit, when it is
    an image of what we sent and the sender's side still holds what it sent (fine print 3): at the first look
    after a write that gave no version. Under the version of our own write whatever stands there is the
    server's doing. A later version is an edit."""
    if not link.unconfirmed:
        return sides
    bases = {"item": dict(sides.item_base), "crm": dict(sides.crm_base)}
    versions = {
        "item": (link.item_version, record.version if record is not None else None),
        "crm": (link.crm_version, activity.version if activity is not None else None),
    }
    for side, names in link.unconfirmed.items():
        if side not in bases or versions[side][0] not in ("", versions[side][1]):
            continue
        here, there = (sides.item, sides.crm) if side == "item" else (sides.crm, sides.item)
        other = bases["crm" if side == "item" else "item"]
        for name in names:
            if name not in here or sides.digester.holds(bases[side], name, here[name]):
                continue
            unchanged = name in there and sides.digester.holds(other, name, there[name])
            under_ours = bool(versions[side][0]) and not kind_of(name).keyed  # of a set we wrote elements only
            if under_ours or (unchanged and image(here[name], there[name])):
                bases[side][name] = sides.digester.of(name, here[name])
    return replace(sides, item_base=bases["item"], crm_base=bases["crm"])


def equal_meeting(ctx: Context, item: Fields, activity: Record) -> bool:
    """True when an unlinked item and an activity are the same meeting typed twice: same start,
    end and normalised subject (design §5, adopt)."""
    crm = crm_view(ctx, activity)
    name = "time" if "time" in item else "due"
    subject = normal_text(str(item.get("subject") or "")).casefold()
    caps = (ctx.pairing.replica.capabilities, ctx.pairing.crm.capabilities)
    there = normal_text(str(crm.get("subject") or "")).casefold()
    cut = normal_text(str(ctx.pairing.lens.on_crm("subject", item.get("subject"), caps[1]) or "")).casefold()
    return same(name, item.get(name), crm.get(name)) and there in (subject, cut)
