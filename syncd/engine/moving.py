"""An item that is known under another ref: moved to another folder, another calendar of the employee, or a colleague's.

Its UID says that it may be the same; the calendar in which it was is asked before it is taken for a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.engine.came import came_once, hand_over, note_came
from syncd.engine.context import Context
from syncd.engine.digest import uid_digest
from syncd.engine.given import given_of
from syncd.engine.leaving import beside, has_left, just_asked, leaving, moving, questions_of, went_private
from syncd.engine.look import LESS, RETRACT, has_declined, in_scope, item_view, showed
from syncd.engine.marks import note_mark
from syncd.engine.newcomers import Marks, add_link, mark_row, message_mark
from syncd.engine.pairing import is_of_employee
from syncd.engine.plan import Rule
from syncd.engine.roles import ABSENT, is_invitation, of_one_date, stands_for_another
from syncd.engine.sides import NO_DIFFERENCE
from syncd.engine.write_item import TELLING_APART
from syncd.engine.writes import WAS, Wait
from syncd.model.fields import Fields
from syncd.model.record import Record
from syncd.ports import Gone, PortError, Rejected
from syncd.privacy import NOTHING_GIVEN, Admission
from syncd.store import Link, Row, Transaction
from syncd.store.journal import decisions, note_decision


def moved(ctx: Context, tx: Transaction, link: Link, record: Record) -> Link:
    """The link's item is under another ref now, of this pairing. A link whose item was gone rests until it is
    looked at: its activity may have gone with the item, and is made again then."""
    ctx.moved.add(link.id)
    values: dict[str, Any] = {"rest": _as_moved(link)}
    row = tx.row(link.activity)
    older = link.ours and _is_older(ctx, tx, link, record)
    if older or (row is not None and stands_for_another(link, row, tx.links_of_row(row.id))):
        values |= {"item_base": {}, "crm_base": {}, "texts": {}}
    made = tx.set_link(link.id, item_ref=record.ref, item_version="", **values)
    if row is not None:
        _arrived(ctx, tx, row, record.ref, link)
    note_mark(ctx, tx, made)
    return made


def _is_older(ctx: Context, tx: Transaction, link: Link, record: Record) -> bool:
    """True for our copy as it was before we last wrote it: of a calendar that was put back, or in whose place another
    had been read. What it says is nobody's edit, and is compared as something new."""
    wrote = {Rule.CREATE_ITEM.value, Rule.TO_ITEM.value, Rule.MERGE.value}
    last = next((d["at"] for d in decisions(tx, link.activity) if d["link"] == link.id and d["rule"] in wrote), None)
    if last is None or record.modified is None:
        return False
    return record.modified < datetime.fromisoformat(last) - NO_DIFFERENCE


#: Why a link rests whose item is gone.
_GONE = ("item-gone", "declined")
#: How long after an item has gone the same UID in a colleague's calendar is that item, moved there.
JUST = timedelta(days=14)


def by_uid(ctx: Context, record: Record, occurrence: str, marks: Marks, view: Fields) -> Row | None:
    """The row of the same meeting under another claim: the employee's own from before its organiser was known, a
    meeting of one of ours who organises it, or an item that has just moved here. Raises Wait while that has to
    be asked of its old calendar."""
    if marks.uid is None or record.kind == "message":
        return None
    meeting = bool(record.owner) and bool(record.fields.get("attendees") or record.guests)
    with ctx.store.reading() as tx:
        rows = tx.rows_by_uid(ctx.pairing.crm_name, [marks.uid], ctx.activity).get(marks.uid, [])
        links = {row.id: of_one_date(tx.links_of_row(row.id), occurrence=occurrence) for row in rows}
    mine = {ctx.pairing.id, *ctx.siblings}
    organiser = {p.id for p in ctx.everyone if meeting and record.owner in p.employee.addresses}
    for row in rows:
        if any(k.pairing in organiser or (k.pairing in mine and not _is_over(k)) for k in links[row.id]):
            return row
    if meeting:
        return next((row for row in rows if row.claim == row.uid_digest), None)  # from before claims
    if (record.fields.get("sensitivity") or "public") != "public":
        return None  # its activity is private to whoever had it
    links = {row: [k for k in found if _resembles(ctx, k, view)] for row, found in links.items()}
    for row in rows:
        if _has_left(ctx, row, links[row.id]):
            note_came(ctx, row, [k.pairing for k in links[row.id] if _was_its_own(k)])
            return row
    for row in rows:
        if _may_have_left(ctx, row, links[row.id], record.ref):
            raise Wait
    return None


def _is_over(link: Link) -> bool:
    """True for the link of our copy that is not there any more: taken back, or cleared away."""
    return link.ours and link.rest in ABSENT


def _was_its_own(link: Link) -> bool:
    """True for the link of what a person has moved away, also where a copy was made in its place."""
    return WAS in link.unconfirmed if link.ours else link.rest in _GONE


def _resembles(ctx: Context, link: Link, view: Fields) -> bool:
    """True when the item still shows something that the link's had: what moves keeps its words, and a stranger's
    system that gives out the same UID has others."""
    digester = ctx.digester(link.id)
    shown = {n: view[n] for n in TELLING_APART if view.get(n)}
    was = link.unconfirmed.get(WAS, ())
    return any(
        digester.holds(link.item_base, name, value) or digester.of(name, value) in was for name, value in shown.items()
    )


def _has_left(ctx: Context, row: Row, links: Sequence[Link]) -> bool:
    """True when the item was in a colleague's calendar until a short while ago, and is in none now, or only as what
    we made in its place, as somebody had edited it in the CRM."""
    own = [k for k in links if k.role == "own" or (k.ours and row.origin == "groupware")]
    if not own or any(k.rest not in ("item-gone", "declined") for k in own if not k.ours):
        return False
    since = (ctx.moment.now - JUST).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with ctx.store.reading() as tx:
        last = [d for d in decisions(tx, row.id)[:9] if d["at"] >= since]
    gone = {k.id for k in own if not k.ours}
    again = {k.id for k in own if k.ours}
    made = Rule.CREATE_ITEM.value
    return any(d["link"] in gone or (d["link"] in again and d["rule"] == made) for d in last)


def given(ctx: Context, record: Record, row: Row) -> Link | None:
    """The link of our copy in the calendar of whoever answers for the activity, where that one has moved it into this
    calendar of a colleague, who has nothing to do with it in the CRM; or of what somebody was given so, and has moved
    on, or back: it is this employee's own entry now. Raises Wait while the other calendar has to be asked."""
    if row.key != record.uid or row.crm_ref is None or record.kind == "message":
        return None
    mine = {ctx.pairing.id, *ctx.siblings}
    with ctx.store.reading() as tx:
        links = tx.links_of_row(row.id)
    theirs = [k for k in links if k.pairing not in mine and (k.ours or k.role == "own")]
    if not theirs or any(k.pairing in mine and k.rest not in (*_GONE, "taken-back") for k in links):
        return None
    activity = ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref)
    if not isinstance(activity, Record):
        return None
    if in_scope(ctx, activity, ours=True) and not has_declined(ctx, activity):  # then what was given away comes back
        theirs = [k for k in theirs if not k.ours]
    owners = {p.id for p in ctx.everyone if activity.owner in p.employee.addresses}
    since = (ctx.moment.now - JUST).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with ctx.store.reading() as tx:
        lately = {d["link"] for d in decisions(tx, row.id)[:9] if d["at"] >= since}
        held = [k for k in theirs if (k.pairing in owners if k.ours else came_once(tx, row.id, k.pairing))]
    gone = [k for k in held if k.id in lately and (k.rest in _GONE or (k.ours and WAS in k.unconfirmed))]
    there = [k for k in held if k not in gone and k.rest not in ABSENT and k.item_ref is not None]
    if gone and not any(not k.ours for k in there):
        note_came(ctx, row, [k.pairing for k in gone])
        return min(gone, key=lambda k: k.ours)
    if there and _asked(ctx, row, there, record.ref):
        raise Wait
    return None


#: The decision that is noted of an item that has moved to another calendar.
MOVED_HERE = "moved here from another calendar"


def _may_have_left(ctx: Context, row: Row, links: Sequence[Link], ref: str) -> bool:
    """True while a colleague's calendar has still to be asked whether its item of this UID is there. It is asked
    once, and waited for a day at most: two people may have imported one file."""
    asked = {p.id for p in ctx.everyone}
    others = [
        k
        for k in links
        if k.pairing in asked and not k.ours and k.role == "own" and k.rest not in ABSENT and k.item_ref is not None
    ]
    return bool(others) and _asked(ctx, row, others, ref)


def _question(ctx: Context, row: Row, ref: str) -> str:
    """The setting that says since when the item `ref` waits for another calendar's word on the row's item."""
    return f"{questions_of(ctx.pairing.id, ref)}{row.id}"


def _asked(ctx: Context, row: Row, others: Sequence[Link], ref: str) -> bool:
    """True while the calendars of these links have still to be asked for the item `ref`: what another one was told,
    which has gone again, is no answer."""
    name = _question(ctx, row, ref)
    with ctx.store.transaction() as tx:
        at = tx.setting(name)
        waiting = at is None or (
            just_asked(ctx, at)
            and any(tx.is_due(k.pairing, "item", k.item_ref or "", ctx.moment.today) for k in others)
        )
        if at is None:
            tx.set_setting(name, ctx.moment.text)
            tx.set_setting(moving(row.id), ctx.moment.text)
            for link in others:
                tx.announce(link.pairing, "item", [link.item_ref or ""])
        elif not waiting:  # it is still there, or nobody looks: this one is another's
            tx.drop_setting(name)
            tx.drop_setting(moving(row.id))
    if waiting:
        ctx.report.again |= {ctx.pairing.id, *(k.pairing for k in others)}
    return waiting


def known(ctx: Context, record: Record, occurrence: str, row: Row, marks: Marks) -> Link | None:
    """The item belongs to a row that we know: another employee's meeting, our own copy, or an item
    that has moved to another place, in this replica or from another one."""
    with ctx.store.reading() as tx:
        links = of_one_date(tx.links_of_row(row.id), occurrence=occurrence)
        open_ = {i.link for k in links for i in tx.intents(k.pairing)}
    gift = given(ctx, record, row)
    link = _its_own(ctx, record, row, links) if gift is None else None
    if link is not None and link.item_ref not in (None, record.ref):
        there = ctx.items.one(link.item_ref or "")
        if link.id in ctx.moved and record.kind == "message":
            raise Wait  # another message stands there now
        if isinstance(there, Admission) and record.kind == "message":
            if "filed" not in record.traits or there.record is None or "filed" in there.record.traits:
                return None  # another copy of it in the same mailbox
        elif isinstance(there, Admission):
            same = "has the same UID" if there.uid == record.uid else "is the same meeting"
            raise Rejected(f"another entry of this calendar {same}: {link.item_ref}: delete one of the two")
        if isinstance(there, PortError) and not isinstance(there, Gone):
            raise there
    elsewhere = [k for k in links if k.pairing != ctx.pairing.id]
    with ctx.store.reading() as tx:
        left = [k for k in elsewhere if k.pairing in ctx.siblings and (k.rest in _GONE or has_left(tx, k))]
    me = ctx.pairing.employee.id
    before = {k.pairing for k in elsewhere if k.pairing in ctx.former and is_of_employee(k.pairing, me)}
    left += [k for k in elsewhere if k.pairing in before and record.kind != "message"]
    mine = {*ctx.siblings, *before}
    left += [k for k in elsewhere if k.pairing not in mine and k.rest in _GONE]
    invited = bool(record.fields.get("attendees") or record.guests)
    left = [k for k in left if k.pairing in mine or not (k.ours or (row.scheduled and invited))]
    left = left if gift is None else [gift] if gift.rest in _GONE else []
    if link is None and left and any(k.id in open_ for k in left):
        raise Wait
    if link is None and not left and record.kind != "message":
        shown = [k for k in elsewhere if k.pairing in ctx.siblings and k.rest not in ABSENT and k.item_ref is not None]
        if shown and _asked(ctx, row, shown, record.ref):
            raise Wait  # it may be there no more: then it brings along what both sides have agreed on
    with ctx.store.transaction() as tx:
        mark_row(tx, row, marks)
        if link is not None:
            if link.ours and row.key != record.uid:  # it is a person's, whatever we had made in its place
                values: dict[str, Any] = {"item_base": {}, "crm_base": {}, "texts": {}}
                values["brought"] = link.brought - {LESS, RETRACT}
                link = tx.set_link(link.id, ours=False, occurrence=occurrence, **values)
            return moved(ctx, tx, link, record)
        if not left or (record.kind == "message" and left[0].pairing not in ctx.siblings):
            _no_longer_asked(ctx, tx, row, record.ref)
            ours = gift is None and record.uid == row.key and not is_invitation(record, ctx.pairing.employee)
            made = add_link(ctx, tx, row, record, occurrence, ours=ours)
            if gift is not None:  # what was made again in its place is one too many
                ctx.touch(tx, gift, row)
                ctx.report.again.add(gift.pairing)
            return _as_taken_back(ctx, tx, made, record, links) if made.ours else made
        if marks.claim is not None and not row.scheduled:
            tx.set_row(row.id, claim=marks.claim)
        _arrived(ctx, tx, row, record.ref, left[0])
        ctx.moved.add(left[0].id)
        rest = left[0].rest if left[0].rest == "item-gone" else ""  # see `moved`
        place: dict[str, Any] = {"item_ref": record.ref, "item_version": "", "occurrence": occurrence}
        if gift is not None:
            place |= {"ours": False, "role": "own", "private_copy": False}
        made = hand_over(tx, left[0], ctx.pairing.id, **place, rest=rest)
        note_decision(
            tx,
            at=ctx.moment.text,
            pairing=ctx.pairing.id,
            link=made.id,
            row=row.id,
            rule=MOVED_HERE,
            detail={"from": left[0].pairing},
        )
        note_mark(ctx, tx, made)
        return made


def _no_longer_asked(ctx: Context, tx: Transaction, row: Row, ref: str) -> None:
    """It is known what the item `ref` is, whatever another calendar was asked about it."""
    name = _question(ctx, row, ref)
    if tx.setting(name) is not None:
        tx.drop_setting(name)
        tx.drop_setting(moving(row.id))


def _arrived(ctx: Context, tx: Transaction, row: Row, ref: str, *links: Link) -> None:
    """The item `ref` is what these links were of: nobody is asked for it any more, and a copy that was made in its
    place in another of the employee's calendars is one too many."""
    for copy in tx.links_of_row(row.id):
        if copy.ours and copy.pairing in ctx.siblings and copy.item_ref is not None:
            ctx.touch(tx, copy, row)
            ctx.report.again.add(copy.pairing)
    tx.drop_setting(moving(row.id))
    tx.drop_setting(_question(ctx, row, ref))
    for link in links:
        if link.item_ref is not None:
            tx.drop_setting(leaving(link.pairing, link.item_ref))


def _as_taken_back(ctx: Context, tx: Transaction, copy: Link, record: Record, links: Sequence[Link]) -> Link:
    """A copy of ours that the store did not know, of an entry that has become private: what it shows of that is
    nobody's edit; it becomes what is left of the activity, or goes with it."""
    if not any((k.rest == "private" or k.role == "block") and not k.ours for k in links):
        return copy
    base = ctx.digester(copy.id).base(item_view(ctx, record.fields))
    return tx.set_link(copy.id, item_base=base, crm_base=base, brought=frozenset({LESS, RETRACT}))


def _its_own(ctx: Context, record: Record, row: Row, links: Sequence[Link]) -> Link | None:
    """This calendar's link of the item. What we made in the place of an item that was gone is another item: it does
    not become that one when that one is back, while it is still there or the item comes from somewhere else."""
    mine = [k for k in links if k.pairing == ctx.pairing.id]
    ours = row.key == record.uid or record.kind == "message"
    same = next((k for k in mine if ours or not k.ours), None)
    if same is not None or not mine:
        return same
    if any(k.role == "own" and not k.ours for k in links):
        return None
    copy = mine[0]
    return None if copy.item_ref and isinstance(ctx.items.one(copy.item_ref), Admission) else copy


def as_given(ctx: Context, found: Admission) -> Admission:
    """An item that stands under another ref now, as it is seen where the CRM has made it private, or some of its
    occurrences: the link that says so is not the item's yet."""
    if not found.uid or found.kind == "message":
        return found
    digest = uid_digest(ctx.key, found.uid, "")
    mine = {ctx.pairing.id, *ctx.siblings}
    with ctx.store.reading() as tx:
        rows = tx.rows_by_uid(ctx.pairing.crm_name, [digest], ctx.activity).get(digest, [])
        rows = [*rows, *tx.rows_by_key([found.uid]).values()]
        links = [k for row in rows for k in tx.links_of_row(row.id) if k.pairing in mine]
    given = given_of(links)
    if given == NOTHING_GIVEN:
        return found
    seen = ctx.items.one(found.ref, given)
    if isinstance(seen, PortError):
        raise seen
    return seen


#: By so many of its dates a series is known again; more are not looked at.
DATES = 3


def series_of(ctx: Context, uid: str) -> tuple[str, str] | None:
    """Calendar and ref under which a series is known by its single activities, in this calendar or another of the
    employee's."""
    if not ctx.pairing.expands or not uid:
        return None
    if ctx.series is None:
        ctx.series = {}
        with ctx.store.reading() as tx:
            for pairing, ref, occurrence, digest in tx.occurrences({ctx.pairing.id, *ctx.siblings}):
                known = ctx.series.setdefault((pairing, ref), [])
                if len(known) < DATES:
                    known.append((occurrence, digest))
    for place, dates in ctx.series.items():
        if any(uid_digest(ctx.key, uid, occurrence) == digest for occurrence, digest in dates):
            return place
    return None


def _of_one_uid(ctx: Context, found: Admission) -> list[tuple[Row, list[Link]]]:
    """What the item's UID is known by: rows with links that have shown something, or that are a message's."""
    if not found.uid:
        return []
    if found.kind == "message":
        digest = message_mark(ctx, found.uid)
        with ctx.store.reading() as tx:
            row = tx.rows_by_claim(ctx.pairing.crm_name, [digest]).get(digest)
            return [(row, [k]) for k in tx.links_of_row(row.id)] if row is not None else []
    digest, place = uid_digest(ctx.key, found.uid, ""), series_of(ctx, found.uid)
    mine: list[tuple[Row, list[Link]]] = []
    with ctx.store.reading() as tx:
        rows = tx.rows_by_uid(ctx.pairing.crm_name, [digest], ctx.activity).get(digest, [])
        mine += [(r, [k]) for r in rows for k in tx.links_of_row(r.id)]
        copied = tx.rows_by_key([found.uid]).get(found.uid)
        mine += [(copied, [k]) for k in tx.links_of_row(copied.id) if k.ours] if copied is not None else []
        links = tx.links_by_item(place[0], [place[1]]) if place is not None else []
        row = tx.row(links[0].activity) if links else None
        mine += [(row, links)] if row is not None else []
    # what has shown nothing since it was taken back has nothing more to be taken back
    return [(r, links) for r, links in mine if any(showed(k) for k in links)]


def _is_not_there(ctx: Context, link: Link) -> bool:
    """True for a link of the employee's whose item is gone: from this calendar, or from another that has said so."""
    if link.pairing == ctx.pairing.id:
        return not link.item_ref or isinstance(ctx.items.one(link.item_ref), Gone)
    if link.pairing in ctx.former and is_of_employee(link.pairing, ctx.pairing.employee.id):
        return True  # under its account's other name it would have been read here
    with ctx.store.reading() as tx:
        return link.pairing in ctx.siblings and (link.rest in _GONE or has_left(tx, link))


def moved_here(ctx: Context, found: Admission) -> list[Link]:
    """The links of an item that was linked, and that was moved (to another folder, under another ref) and is
    withheld now: what it brought is to be taken back. Raises Wait while another calendar of the employee has to be
    asked whether it is still there."""
    for row, links in _of_one_uid(ctx, found):
        link = links[0]
        if _is_over(link) and row.key != found.uid:
            continue  # a copy that he once had is not what he has now
        if _is_not_there(ctx, link):
            with ctx.store.transaction() as tx:
                ctx.moved |= {k.id for k in links}
                _arrived(ctx, tx, row, found.ref, *links)
                here = {"item_ref": found.ref, "item_version": "", "rest": ""}
                return [hand_over(tx, k, ctx.pairing.id, **here) for k in links]
        if found.kind != "message" and link.pairing not in {ctx.pairing.id, *ctx.siblings}:
            if link.role != "own" or link.ours or not ctx.is_configured(link.pairing):
                continue
            if _has_left(ctx, row, [link]):  # it was dragged here, and made private at once
                note_came(ctx, row, [link.pairing])
                with ctx.store.transaction() as tx:
                    ctx.moved.add(link.id)
                    _arrived(ctx, tx, row, found.ref, link)
                    here = {"item_ref": found.ref, "item_version": "", "rest": ""}
                    return [hand_over(tx, link, ctx.pairing.id, **here)]
            _note_beside(ctx, found, link)
            if _may_have_left(ctx, row, [link], found.ref):
                raise Wait
            continue
        if found.kind == "message":
            continue
        if (
            link.ours and row.origin == "groupware" and row.key != found.uid
        ):  # we made it in the place of what is back, and private now
            with ctx.store.transaction() as tx:
                made = tx.add_link(
                    pairing=ctx.pairing.id, activity=row.id, item_ref=found.ref, role="own", brought=link.brought
                )
                tx.set_row(row.id, maker=made.id)
                tx.set_link(link.id, brought=frozenset())
            return [made]
        if link.pairing in ctx.siblings:
            _note_beside(ctx, found, link)
            if _may_have_left(ctx, row, [link], found.ref):
                raise Wait
    return []


def series_here(ctx: Context, found: Admission) -> list[Link]:
    """The links of a series that stood in another calendar of the employee, or under another ref, and is known by its
    single activities: none of its dates need be what it was. Raises Wait while that calendar has to be asked."""
    place = series_of(ctx, found.uid)
    if place is None or place == (ctx.pairing.id, found.ref):
        return []
    with ctx.store.reading() as tx:
        links = [k for k in tx.links_by_item(place[0], [place[1]]) if not k.ours]
        row = tx.row(links[0].activity) if links else None
    if row is None:
        return []
    if _is_not_there(ctx, links[0]):
        with ctx.store.transaction() as tx:
            ctx.moved |= {k.id for k in links}
            _arrived(ctx, tx, row, found.ref, *links)
            here = {"item_ref": found.ref, "item_version": ""}
            return [hand_over(tx, k, ctx.pairing.id, **here, rest=_as_moved(k)) for k in links]
    if links[0].pairing in ctx.siblings and _asked(ctx, row, links[:1], found.ref):
        raise Wait
    return []


def _as_moved(link: Link) -> str:
    """Why a link rests whose item is seen again somewhere else."""
    return "" if link.rest in ("declined", "taken-back") else link.rest


def private_here(ctx: Context, found: Admission) -> None:
    """Of an item that shows less than it is, under links of its own: what was known under its UID, and is gone from
    where it was, has become private too."""
    for row, links in _of_one_uid(ctx, found) if found.kind != "message" else ():
        link = links[0]
        if link.item_ref in (None, found.ref) or link.pairing not in {ctx.pairing.id, *ctx.siblings}:
            continue
        if not _is_not_there(ctx, link):
            _note_beside(ctx, found, link)
            continue
        with ctx.store.transaction() as tx:
            tx.set_setting(went_private(link.pairing, link.item_ref or ""), "")
            for each in links:
                ctx.touch(tx, each, row)
        ctx.report.again.add(link.pairing)


def _note_beside(ctx: Context, found: Admission, link: Link) -> None:
    if link.item_ref is not None:
        with ctx.store.transaction() as tx:
            tx.set_setting(beside(link.pairing, link.item_ref), f"{ctx.pairing.id}\n{found.ref}")
