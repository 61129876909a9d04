"""Public became private: take back what this link alone brought, now (design §5, note 5).

Privacy beats every other rule. The link rests with empty bases and wakes as if adopted. What a
colleague's copy also shows stays theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial

from syncd.engine.again import remembered
from syncd.engine.agreed import shown_for, with_handed
from syncd.engine.came import OWNED
from syncd.engine.context import Context
from syncd.engine.digest import Digester
from syncd.engine.look import LESS, RETRACT, STILL_PRIVATE, Look, was_handed_over
from syncd.engine.marks import wanted
from syncd.engine.plan import HOLDERS, RECEIVERS
from syncd.engine.roles import ABSENT, makers, speaks
from syncd.engine.writes import HISTORY, OVER, attempt, journal, overs
from syncd.mapping import blocks
from syncd.model.fields import Fields, Value, kind_of, normal_text, same, says_nothing
from syncd.model.record import Record
from syncd.store import Link, Row, Transaction
from syncd.store.journal import close_conflicts

_TIMES = frozenset({"time", "recurrence", "due"})


def redact(ctx: Context, at: Look, row: Row) -> None:
    """Takes the item's content back from the CRM, its history too, and empties the link."""
    link, activity = at.link, at.activity
    with ctx.store.reading() as tx:
        beside = [k for k in tx.links_of_row(row.id) if k.id != link.id]
    others = [k for k in beside if k.rest not in ABSENT]
    others = [k for k in others if ctx.speaks(k.pairing)]
    handed = was_handed_over(ctx, link, activity)
    made = handed or row.maker in makers(link, beside)
    copies = [k for k in others if k.ours and made]  # they show what this item brought
    speaking = [k for k in others if k not in copies]
    if not speaking and link.role not in HOLDERS:
        link, at, row = _with_declined(ctx, at, row)
    becomes_block = at.item_fields is not None and link.role not in HOLDERS and not link.ours and not handed
    anothers = not made and any(k.id == row.maker for k in beside)  # who may have it again
    becomes_block = becomes_block and not anothers
    intent, kept, still = None, None, False
    check: dict[str, object] = {}
    taken: list[str] = []
    theirs = _shown_by(ctx, at, speaking) if activity is not None else frozenset()
    if handed:  # when it is, and whether at all, is for the one who is responsible now
        theirs |= _TIMES | {"status"} | _typed_over(at)
    else:
        theirs |= _said_since(ctx, at, speaking)
    if activity is not None and (row.maker == link.id or link.brought):
        alone = not speaking and not handed
        over = _typed_over(at) if alone and not becomes_block and "private" in ctx.pairing.names else frozenset[str]()
        shown = partial(_shows, ctx, speaking)
        kept = _kept(at, theirs, over, shown, made_here=row.maker == link.id and alone, block=becomes_block)
        shell = alone and "private" in ctx.pairing.names and _is_shell(activity.fields, kept, block=becomes_block)
        if shell:
            kept["private"] = True
        if "recurrence" in kept:
            kept["recurrence"] = _dates(ctx, at, kept["recurrence"], speaking)
        if becomes_block and _shows_dates_alone(at):
            kept |= {n: at.sides.item[n] for n in ("time", "recurrence") if n in kept and n in at.sides.item}
        if link.role in HOLDERS and not speaking and _empty(kept):
            kept = {}
        still = bool(kept.get("private")) and ("private" in link.brought or bool(over) or shell)
        check = _check(at, kept)
        taken = sorted(n for n, v in activity.fields.items() if not same(n, v, kept.get(n, kind_of(n).empty)))
        if check or HISTORY in link.brought or not speaking:
            with ctx.store.transaction() as tx:
                moves = {"check": check, "block": becomes_block, "private": still, "handed": handed, "taken": taken}
                intent = journal(ctx, tx, link, "crm", "redact", expected=activity.version, moves=moves)
                for other in copies:  # with the activity they go too; what is left of one is the CRM's, and stays
                    marked = other.brought - {RETRACT, LESS} | {RETRACT if kept == {} else LESS}
                    tx.set_link(other.id, brought=marked)
            left = kept
            attempt(ctx, [intent], lambda: ctx.pairing.crm.redact(activity, left))
            ctx.report.redacted += 1
    with ctx.store.transaction() as tx:  # one step: what was taken back must not look like an edit
        if intent is not None:
            tx.close_intent(intent.id)
            if kept == {}:
                not_there(tx, link, row)
            ctx.crossed(tx, link, "taken-back", sorted(n for n in link.brought if not n.startswith(OVER)), "private")
        for other in copies:
            ctx.touch(tx, other, row)
        if speaking:
            _hand_over(tx, link, row, speaking[0], theirs)
            show_colleagues(tx, link, row, check)
        forget_agreement(tx, link, block=becomes_block, private=still, handed=handed, taken=taken)
        if wanted(ctx) and link.item_ref is not None:
            tx.note_marks(link.pairing, [link.item_ref], logged=False)
        if becomes_block and not _shows_dates_alone(at):
            tx.set_row(row.id, claim=None, uid_digest=None)  # for a block of time no meeting is known
        if becomes_block:
            ctx.touch(tx, link, row)


def gives_back(ctx: Context, link: Link, row: Row, others: Sequence[Link]) -> bool:
    """True where a copy that we made speaks for what its item had brought, as an earlier release left it when that item
    became private: the item does again, and what it brought is taken back, the copy with it."""
    if not link.ours or row.maker is None:
        return False
    if any(k.id == row.maker and k.rest == "private" and k.brought and not k.ours for k in others):
        return True  # it is about to be
    if row.maker != link.id:
        return False
    own = [k for k in others if k.role == "own" and not k.ours and k.rest == "private" and not k.brought]
    if not own:
        return False
    with ctx.store.transaction() as tx:
        tx.set_row(row.id, maker=own[0].id)
        tx.set_link(own[0].id, brought=link.brought)
        tx.set_link(link.id, brought=frozenset())
        ctx.touch(tx, own[0], row)
    ctx.report.again.add(own[0].pairing)
    return True


def _with_declined(ctx: Context, at: Look, row: Row) -> tuple[Link, Look, Row]:
    """The link, with what colleagues have brought who have declined since: nobody shows it any more."""
    with ctx.store.transaction() as tx:
        declined = [k for k in tx.links_of_row(row.id) if k.rest == "declined" and k.id != at.link.id]
        theirs = frozenset[str]().union(*(shown_for(k) for k in declined))
        if not theirs:
            return at.link, at, row
        link = tx.set_link(at.link.id, brought=at.link.brought | theirs)
        if any(row.maker == k.id for k in declined):
            tx.set_row(row.id, maker=link.id)
        for other in declined:
            tx.set_link(other.id, brought=other.brought - shown_for(other))
        return link, replace(at, link=link), tx.row(row.id) or row


#: Stands among the fields that a link brought while words of one of its occurrences, which is private now, may
#: still be in the activity's history.
ERASE = "erase"


def exposes(ctx: Context, at: Look, masked: Iterable[str]) -> bool:
    """True when something crossed of an occurrence that is masked now and shows less than it did."""
    base = at.link.item_base.get("recurrence")
    if at.link.brought & overs(ctx, masked):
        return True
    if at.link.occurrence in masked and at.link.occurrence:  # an activity of its own
        agreed, view = at.link.item_base, at.sides.item
        return any(n in agreed and not at.sides.digester.holds(agreed, n, v) for n, v in view.items())
    if not isinstance(base, dict) or not masked:
        return False
    digester, kind = at.sides.digester, kind_of("recurrence")
    shown = kind.elements(at.sides.item.get("recurrence"))
    for key in masked:
        for name in ctx.pairing.lens.rules:
            element = f"over {key} {name}"
            held = base.get(digester.element("recurrence", element))
            now = digester.content("recurrence", element, shown[element]) if element in shown else None
            if held is not None and held != now:
                return True
    return False


def note_exposed(ctx: Context, at: Look, occurrences: Iterable[str]) -> None:
    """Before the occurrence is taken out of the activity: a crash in between must not leave its words behind."""
    brought = (at.link.brought | {ERASE}) - overs(ctx, occurrences)
    if brought != at.link.brought:
        with ctx.store.transaction() as tx:
            tx.set_link(at.link.id, brought=brought)


def erase_history(ctx: Context, link: Link, row: Row) -> None:
    """What the activity's fields were is forgotten; what they are stays."""
    found = ctx.pairing.crm.fetch([row.crm_ref]).get(row.crm_ref) if row.crm_ref is not None else None
    if isinstance(found, Record):
        ctx.pairing.crm.redact(found, {n: v for n, v in found.fields.items() if v is not None})
        ctx.report.redacted += 1
    with ctx.store.transaction() as tx:
        held = tx.link(link.id)
        if held is not None:
            seen = {k: v for k, v in held.unconfirmed.items() if k != "crm"}  # what it is now, somebody may have typed
            tx.set_link(link.id, brought=held.brought - {ERASE}, crm_version="", unconfirmed=seen)
            ctx.crossed(tx, held, "taken-back", ["history"], "private")
        if row.crm_ref is not None:
            tx.announce(link.pairing, "crm", [row.crm_ref])


#: Fields that every activity has: they are nobody's addition.
_SAYS_NOTHING = _TIMES | {"status", "private"}

#: Fields of a log that say nothing without the others.
_NO_WORDS = frozenset({"time", "direction", "status", "account", "contact", "transactions"})


def _empty(kept: Fields) -> bool:
    """True for a log that would say nothing but that there was a message, and where it was filed."""
    return all(says_nothing(n, v) for n, v in kept.items() if n not in _NO_WORDS)


def not_there(tx: Transaction, link: Link, row: Row) -> None:
    """The activity of a message, or of a meeting of several, went because it was taken back, not because somebody
    wanted none: a colleague's copy, or this one when it is public again, makes it anew."""
    if link.role in RECEIVERS or any(k.role in RECEIVERS and k.rest == "private" for k in tx.links_of_row(row.id)):
        tx.set_row(row.id, crm_ref=None)


def _hand_over(tx: Transaction, link: Link, row: Row, to: Link, theirs: frozenset[str]) -> None:
    """What a colleague's copy also shows is theirs now: if that becomes private too, it is taken back
    with it."""
    handed = link.brought & (theirs | {HISTORY, ERASE})
    tx.set_link(to.id, brought=to.brought | handed, unconfirmed=with_handed(to, handed))
    if to.item_ref is not None:  # it may speak for the meeting now
        tx.announce(to.pairing, "item", [to.item_ref])
    if row.maker == link.id:
        tx.set_row(row.id, maker=to.id)


def show_colleagues(tx: Transaction, link: Link, row: Row, taken: Iterable[str]) -> None:
    """Of a message that a colleague holds too, whose copy is public: what was taken back, as somebody had corrected
    what both copies say, is filled in from that copy, as if nothing had been agreed on about these fields. The rest
    is the colleague's from now on."""
    others = [k for k in tx.links_of_row(row.id) if k.id != link.id and k.role in HOLDERS and k.rest not in ABSENT]
    if link.role not in HOLDERS or not others or others[0].item_ref is None:
        return
    there, names = others[0], set(taken)
    bases = {n: {k: v for k, v in getattr(there, n).items() if k not in names} for n in ("item_base", "crm_base")}
    texts = {k: v for k, v in there.texts.items() if k not in names}
    brought = there.brought | (link.brought - names)
    tx.set_link(there.id, **bases, texts=texts, brought=brought, item_version="", crm_version="")
    if row.maker == link.id:
        tx.set_row(row.id, maker=there.id)
    tx.announce(there.pairing, "item", [there.item_ref or ""])


def forget_agreement(
    tx: Transaction, link: Link, *, block: bool, private: bool, handed: bool, taken: Collection[str]
) -> None:
    """The link of a redacted activity remembers nothing of it but that what is left stays `private`; it wakes as if
    adopted. One that was `handed` over in the CRM is no longer made of the item; `taken`: the fields that were taken
    back."""
    if handed:
        tx.set_row(link.activity, maker=None)
    owned = {n: v for n, v in link.unconfirmed.items() if n == OWNED}
    values: dict[str, object] = {
        "item_base": {},
        "crm_base": {},
        "texts": {},
        "unconfirmed": ({STILL_PRIVATE: ["private"]} if private else {}) | remembered(link, taken) | owned,
        "brought": frozenset(),
        "rest": "" if block else "private",
    }
    if block:
        values["role"] = "block"
    tx.set_link(link.id, **values)
    close_conflicts(tx, link.id, ())


def _check(at: Look, kept: Fields) -> dict[str, object]:
    """By which `recover` sees that the redaction has arrived: what it changes, in digests."""
    fields, digester = at.activity.fields if at.activity is not None else {}, at.sides.digester
    meant = {n: digester.of(n, kept.get(n, kind_of(n).empty)) for n in at.link.brought & fields.keys() - {"time"}}
    return {n: digest for n, digest in meant.items() if digest != digester.of(n, fields[n])}


def _shown_by(ctx: Context, at: Look, speaking: Iterable[Link]) -> frozenset[str]:
    """The fields that a colleague's item shows just as the CRM does; a set counts as a whole."""
    fields = at.activity.fields if at.activity is not None else {}
    view = {**fields, **at.sides.crm}
    return frozenset(
        name for name in fields for k in speaking if ctx.digester(k.id).holds(k.item_base, name, view.get(name))
    ) | (_TIMES if speaking else frozenset())


def _dates(ctx: Context, at: Look, series: Value, speaking: Iterable[Link]) -> Value:
    """The series without the words of its edited occurrences: the CRM's own stay, and those that a colleague's item
    shows too."""
    kind, digester, base = kind_of("recurrence"), at.sides.digester, at.link.crm_base.get("recurrence")
    alone = at.sides.local.get("crm", frozenset())
    if "recurrence" not in at.link.brought:
        return series
    theirs = [(ctx.digester(k.id), k.item_base.get("recurrence")) for k in speaking]

    def stays(element: str) -> bool:
        what, _, name = element.rpartition(" ")
        if not what.startswith("over ") or name in _SAYS_NOTHING:
            return True
        if isinstance(base, dict) and not _was_brought(digester, "recurrence", element, base):
            return True
        if f"recurrence {digester.element('recurrence', element)}" in alone:
            return True
        return any(isinstance(there, dict) and d.element("recurrence", element) in there for d, there in theirs)

    return kind.rebuild({e: series for e in kind.elements(series) if stays(e)})


def _shows_dates_alone(at: Look) -> bool:
    """True for a series of which no more than the dates are seen that say themselves that they are public: when the
    others are, its rule would tell."""
    seen, held = (side.get("recurrence") for side in (at.sides.item, at.sides.crm))
    return bool(seen and held and held.rule and not seen.rule)


def heal_block(ctx: Context, activity: Record) -> bool:
    """Of a block of time, as an earlier release left it: the words of its edited dates go. Returns whether there
    were any."""
    kind, series = kind_of("recurrence"), activity.fields.get("recurrence")
    elements = kind.elements(series)
    words = [e for e in elements if e.startswith("over ") and e.rpartition(" ")[2] not in _SAYS_NOTHING]
    if not words:
        return False
    dates = kind.rebuild({e: series for e in elements if e not in words})
    ctx.pairing.crm.redact(activity, {**activity.fields, "recurrence": dates})
    ctx.report.redacted += 1
    return True


def _typed_over(at: Look) -> frozenset[str]:
    """The fields in which somebody in the CRM has put another value in the place of the entry's, which has not crossed,
    or never will: who wrote that may have seen the entry's words, so it is nobody's any more but the responsible
    employee's."""
    alone = at.sides.local.get("crm", frozenset())
    fields, base, digester = at.activity.fields if at.activity is not None else {}, at.link.crm_base, at.sides.digester
    return frozenset(
        n
        for n in at.link.brought & fields.keys() & base.keys() - {"private", "status"} - at.link.texts.keys()
        if not kind_of(n).keyed
        and not says_nothing(n, fields[n])
        and (n in alone or not digester.holds(base, n, at.sides.crm.get(n, fields[n])))
    )


def _said_since(ctx: Context, at: Look, speaking: Iterable[Link]) -> frozenset[str]:
    """The fields of which somebody in the CRM has said something else since a colleague's entry, that speaks for the
    meeting and shows them to all, agreed with it."""
    fields = at.activity.fields if at.activity is not None else {}
    bases = [(ctx.digester(k.id), k.crm_base) for k in speaking if speaks(k) and not k.ours]
    return frozenset(
        n
        for n, v in fields.items()
        if n not in {"private", "status", *at.link.texts} and not kind_of(n).keyed and not says_nothing(n, v)
        if any(n in base and not digester.holds(base, n, at.sides.crm.get(n, v)) for digester, base in bases)
    )


def _shows(ctx: Context, speaking: Iterable[Link], name: str, element: str) -> bool:
    """True for one of several (a person, a category) that a colleague's item shows too."""
    bases = ((ctx.digester(k.id), k.item_base.get(name)) for k in speaking)
    return any(isinstance(base, dict) and digester.element(name, element) in base for digester, base in bases)


def _kept(
    at: Look,
    theirs: frozenset[str],
    over: frozenset[str],
    shown: Callable[[str, str], bool],
    *,
    made_here: bool,
    block: bool,
) -> dict[str, Value]:
    """What stays, field by field: nothing of a record that came from here and that nobody in the CRM
    touched, nor added anything to; else what this link did not bring, or a colleague's item shows too, and of the rest
    only the CRM's own additions. Values typed `over` those of the entry make it a private one."""
    fields = dict(at.activity.fields) if at.activity is not None else {}
    its_own = _of_the_entry(at, fields, made_here=made_here) - over
    kept = {n: v for n, v in fields.items() if n not in its_own or n in theirs}
    if HISTORY in at.link.brought and "notes" in kept:  # where the CRM has no history, it stands there
        kept["notes"] = blocks.cut(str(kept["notes"] or ""))
    for name in sorted(its_own - theirs):
        kind, base = kind_of(name), at.link.crm_base.get(name)
        if kind.keyed and isinstance(base, dict):
            digester, seen = at.sides.digester, at.link.item_base.get(name)
            alone = at.sides.local.get("crm", frozenset())
            own = [
                k
                for k in kind.elements(fields[name])
                if not _was_brought(digester, name, k, base)
                or f"{name} {digester.element(name, k)}" in alone
                or (isinstance(seen, dict) and not _was_brought(digester, name, k, seen))  # the entry never had it
                or shown(name, k)
            ]
            kept[name] = kind.rebuild(dict.fromkeys(own, fields[name]))
        elif name in at.link.texts:
            kept[name] = _own_lines(blocks.cut(str(fields[name] or "")), at.link.texts[name])
    if made_here:
        nothing = _SAYS_NOTHING | _NO_WORDS if at.link.role in HOLDERS else _SAYS_NOTHING - {"due"}
        added = {n: v for n, v in kept.items() if n in over or (n not in nothing and not says_nothing(n, v))}
        times = {n: v for n, v in fields.items() if n in _TIMES} if block else {}
        if not added or block:
            kept = {**added, **times}
    if kept and not block and (fields.get("private") or over):
        kept["private"] = True  # what was added to a private one was meant to be seen by nobody else
    return kept


def _of_the_entry(at: Look, fields: Fields, *, made_here: bool) -> frozenset[str]:
    """The fields that are the entry's: what it brought, and of an activity that was made of it what the CRM has added
    and what stands in the entry too."""
    link, digester = at.link, at.sides.digester
    names = link.brought & fields.keys()
    if not made_here or link.role in HOLDERS:
        return names
    added = {n: at.sides.crm.get(n, v) for n, v in fields.items() if n in link.item_base and n not in names}
    return names | {
        n
        for n, v in added.items()
        if kind_of(n).keyed or n in link.texts or (not says_nothing(n, v) and digester.holds(link.item_base, n, v))
    }


def _is_shell(fields: Fields, kept: Fields, *, block: bool) -> bool:
    """True for what is left of a meeting without its time and its words: it is nothing for the calendars of those whom
    the CRM had added to it."""
    return not block and "time" in fields and "time" not in kept and bool(kept.get("participants"))


def _was_brought(digester: Digester, name: str, key: str, base: Mapping[str, object]) -> bool:
    """True for an element that this link brought, also where somebody has changed its case."""
    spelt = {key, key.lower(), key.upper(), key.title(), key.capitalize()}
    return any(digester.element(name, each) in base for each in spelt)


#: Lines more alike than this are one line that somebody has changed; longer ones are known by their words.
ALIKE, LONGEST = 0.6, 400


def _own_lines(text: str, brought: str) -> str:
    """The lines that the CRM added: new ones, that share no longer word with what was brought, and resemble none of
    its lines."""
    known, old = _words(brought), [line.casefold() for line in normal_text(brought).split("\n") if line.strip()]
    return "\n".join(line for line in normal_text(text).split("\n") if not _is_of(line.casefold(), old, known))


def _is_of(line: str, old: Sequence[str], known: Sequence[str]) -> bool:
    if any(_begins(line, o) or o in line or _alike(line, o) for o in old):
        return True
    return any(k in line for k in known) or any(_begins(w, k) for w in _words(line) for k in known)


def _alike(one: str, other: str) -> bool:
    if max(len(one), len(other)) > LONGEST:
        return False
    match = SequenceMatcher(None, one, other)
    return match.real_quick_ratio() > ALIKE and match.quick_ratio() > ALIKE and match.ratio() > ALIKE


def _begins(one: str, other: str) -> bool:
    """True when one is the other, or what a server's cut has left of it."""
    return one.startswith(other) or (bool(one) and other.startswith(one))


def _words(text: str) -> list[str]:
    return [w for w in re.findall(r"\w+", text.casefold()) if len(w) > 3]
