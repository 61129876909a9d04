"""Do the fast tests catch what they are for? Puts faults into copies of the program, one at a time.

``make mutants`` prints, for each fault, which unit test spoke, or after how many worlds an oracle did; scenarios and
real servers have no part in it. Each fault is a rule of the house broken as a tired maintainer would break it: file,
what stands there, what to put in its place.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The tests that are asked, in this order, the quick ones first; then the property tests.
FAST = (
    "tests/unit/test_cases.py",
    "tests/unit/test_engine.py",
    "tests/unit/test_recovery.py",
    "tests/unit/test_moving.py",
    "tests/unit/test_mail_engine.py",
    "tests/unit/test_mapping.py",
    "tests/unit/test_window.py",
    "tests/unit/test_gate.py",
    "tests/unit/test_trials.py",
    "tests/unit/test_dates.py",
    "tests/unit/test_second_trial.py",
    "tests/unit/test_third_trial.py",
    "tests/unit/test_sixth_trial.py",
    "tests/unit/test_dav_writes.py",
    "tests/unit/test_lost_store.py",
    "tests/unit/test_seventh_trial.py",
    "tests/unit/test_eighth_trial.py",
    "tests/unit/test_ninth_trial.py",
    "tests/unit/test_tenth_trial.py",
    "tests/unit/test_eleventh_trial.py",
    "tests/unit/test_twelfth_trial.py",
    "tests/unit/test_thirteenth_trial.py",
    "tests/unit/test_fourteenth_trial.py",
    "tests/unit/test_fifteenth_trial.py",
    "tests/unit/test_sixteenth_trial.py",
    "tests/unit/test_two_addresses.py",
    "tests/unit/test_series_private.py",
)

MUTANTS: dict[str, tuple[str, str, str]] = {
    "the cursor moves before the page's changes are kept (fine print 1)": (
        "engine/feed.py",
        "        with ctx.store.transaction() as tx:\n            refs = [c.ref for c in page.changes]",
        "        with ctx.store.transaction() as tx:\n"
        "            tx.set_feed(name, cursor=page.cursor, generation=generation,"
        " listing='', mapping=pairing.reading)\n"
        "        with ctx.store.transaction() as tx:\n            refs = [c.ref for c in page.changes]",
    ),
    "a change that came meanwhile is cleared with the old one (2)": (
        "store/transaction.py",
        '    t.pending.c.seq == bindparam("p_seq"),\n',
        '    t.pending.c.seq >= 0 * bindparam("p_seq"),\n',
    ),
    "the base is what a read-back shows (3)": (
        "engine/writes.py",
        "        if ours or known or (shaping and image(held[name], sent.get(name))):",
        "        if True:",
    ),
    "recover takes an update for arrived without looking (4)": (
        "engine/recover.py",
        "record.version != intent.expected and _holds(ctx, intent, link, record):",
        "True:",
    ),
    "recover never finds what a create made (5)": (
        "engine/recover.py",
        "    source = _source(ctx, intent, link, row) if found is not None else {}",
        "    found = None\n    source: Fields = {}",
    ),
    "a stale write is made all the same (6)": (
        "engine/write_crm.py",
        "    written = attempt(ctx, [intent], lambda: ctx.pairing.crm.update(record, changes))",
        "    now = ctx.pairing.crm.fetch([record.ref])[record.ref]\n"
        "    written = attempt(ctx, [intent], lambda: ctx.pairing.crm.update("
        "now if isinstance(now, Record) else record, changes))",
    ),
    "every calendar's copy is a meeting of its own (7)": (
        "engine/join.py",
        "            row = tx.rows_by_claim(ctx.pairing.crm_name, [marks.claim]).get(marks.claim)",
        "            marks = Marks(None, None)",
    ),
    "a link is dropped when its item is gone (8)": (
        "engine/plan.py",
        'return Decision(_R.CANCEL, "item-gone")',
        "return Decision(_R.DROP)",
    ),
    "a create of an activity does not wait for another's": (
        "store/transaction.py",
        'return [f[0] for f in self.connection.execute(_OPEN_CREATES, {"row": row})]',
        "return []",
    ),
    "what leaves the window counts as deleted": (
        "engine/look.py",
        "        return Item.OUT\n",
        "        return Item.GONE\n",
    ),
    "what loses a conflict is not kept": (
        "engine/write_crm.py",
        "    if not merge.losers:\n        return\n",
        "    if merge is not None:\n        return\n",
    ),
    "what lost a conflict stays in the history of what became private": (
        "engine/write_crm.py",
        "            if not told <= link.brought and (link.id == look.link.id or link.brought):",
        "            if look is None:",
    ),
    "an attendee's copy is written to": (
        "engine/allowed.py",
        'return self.writable and self.role not in (*GUESTS, "block")',
        'return self.writable and self.role not in ("block",)',
    ),
    "the CRM's base ignores what the CRM cuts": (
        "mapping/lens.py",
        "return _cut_text(name, kind_of(name).shape(value, side.limit(name)))",
        "return _cut_text(name, value)",
    ),
    "nothing is adopted at a first run": (
        "engine/adopting.py",
        "    if len(free) != 1:",
        "    if True:",
    ),
    "the privacy filter lets everything through": (
        "privacy.py",
        "    if given.whole:  # an occurrence",
        "    if True:  # an occurrence",
    ),
    # -- what may be written ---------------------------------------------
    "an account that is read only is written to": (
        "engine/allowed.py",
        "return self.writable and self.role",
        "return self.role",
    ),
    "a direction holds for fields, not for deletions": (
        "engine/allowed.py",
        'if self.lens.mapping.direction == "to-crm" or not self._item_is_open:',
        "if not self._item_is_open:",
    ),
    "a mirror's copy that is deleted ends the activity": (
        "engine/allowed.py",
        """        \"\"\"True when the item's end may be an end, or an answer, in the CRM.\"\"\"
        return self.lens.mapping.direction != "to-groupware\"""",
        """        \"\"\"True when the item's end may be an end, or an answer, in the CRM.\"\"\"
        return True""",
    ),
    "what is only seen in part may be deleted": (
        "engine/allowed.py",
        "if not self.whole and (not self.occurrence or self.occurrence in self.masked):",
        "if self.lens is None:",
    ),
    "a masked occurrence is written to": (
        "engine/allowed.py",
        "        if self._touches_masked(name, element) or self.moves_masked(name, element):",
        "        if self.moves_masked(name, element):",
    ),
    "a series is moved with its private occurrence": (
        "engine/allowed.py",
        'moves = item == "time" or (',
        "moves = (",
    ),
    "guests are told what waits": (
        "engine/allowed.py",
        '        if policy == "wait" and acted_on:\n            return May.WAITS',
        "        pass",
    ),
    "a server of which nothing is known tells nobody": (
        "engine/allowed.py",
        "return May.WAITS if self.telling() is Telling.TELLS else May.YES",
        "return May.YES",
    ),
    "a place is nothing that guests act on": (
        "engine/allowed.py",
        'ACTED_ON = frozenset({"time", "due", "start", "location", "recurrence", "status"})',
        'ACTED_ON = frozenset({"time", "due", "start", "recurrence", "status"})',
    ),
    "a cancelled occurrence is nothing that guests act on": (
        "engine/allowed.py",
        'if item == "recurrence" and element.startswith("over "):',
        'if item == "recurrence" and " " in element:',
    ),
    "what waits moves its base": (
        "engine/merge.py",
        "    elif crm_changed and down is May.WAITS:\n        made.waits.add(name)",
        "    elif crm_changed and down is May.WAITS:\n        _stay(sides, made, name, item_changed, crm_changed)",
    ),
    "the dates of a series go where its time may not": (
        "engine/elements.py",
        'if "time" in made.waits:',
        "if not made:",
    ),
    "the administrator's word to tell is lost on the way": (
        "engine/write_item.py",
        "    tell = any(_is_told(look, merge, after) for look, merge, after in parts)\n",
        "    tell = False\n",
    ),
    "guests hear of dates that are over": (
        "engine/allowed.py",
        '        return not (what in ("exdate", "rdate", "over") and self.passed(rest.partition(" ")[0]))',
        "        return True",
    ),
    "a guest's answer is an edit that beats a deletion": (
        "engine/plan.py",
        "    if at.activity is _A.GONE and at.item is _I.CHANGED and at.answered:",
        "    if False:",
    ),
    "guests whose meeting was called off are left out when it comes back": (
        "engine/plan.py",
        " and not at.elsewhere and not at.scheduled)",
        " and not at.elsewhere)",
    ),
    "a former account's blocks of time are not known again": (
        "engine/heirs.py",
        "    unknown = row.uid_digest is None and row.claim is None and not link.ours",
        "    unknown = False",
    ),
    "what was gone before an account had another name is forgotten": (
        "engine/heirs.py",
        "        if _reads_the_same(ctx, name, found[:PROBES]):",
        "        if False:",
    ),
    "a lost store takes back what a colleague still shows": (
        "engine/adopting.py",
        "    if asks_colleagues(ctx, found.ref, who_may_show_it(ctx, activity)):",
        "    if False:",
    ),
    "who has declined gets a copy again": (
        "engine/look.py",
        'employee.addresses and bool(me) and people[me].answer == "declined"',
        "employee.addresses and False",
    ),
    "all of it crosses although nobody would know that it is private": (
        "engine/pairing.py",
        'if rule == "full" and not marked[word] else rule',
        "if False else rule",
    ),
    "an unknown copy of ours writes back what was taken back": (
        "engine/moving.py",
        "            return _as_taken_back(ctx, tx, made, record, links) if made.ours else made",
        "            return made",
    ),
    "what was typed over a private entry is everybody's": (
        "engine/redact.py",
        '        kept["private"] = True  # what was added',
        '        kept["private"] = False  # what was added',
    ),
    "a copy beside what was made by hand does not inherit what it shows": (
        "engine/close.py",
        "        tx.set_row(link.activity, maker=heirs[0].id)",
        "        pass",
    ),
    "an item that came with a successor is copied back to who had it": (
        "engine/heirs.py",
        "for k in links if not is_of_employee(k.pairing, ctx.pairing.employee.id)]",
        "for k in links if False]",
    ),
    "an answer that nobody has given replaces one": (
        "engine/elements.py",
        "        if each.here == each.there or (fresh and _is_no_answer(item, crm, key)):",
        "        if each.here == each.there:",
    ),
    "a copy of ours that moves and becomes private is not known": (
        "engine/moving.py",
        "        mine += [(copied, [k]) for k in tx.links_of_row(copied.id) if k.ours] if copied is not None else []",
        "        mine += []",
    ),
    "an organiser without an address is the employee": (
        "engine/roles.py",
        "    if not record.owner or record.owner in employee.addresses",
        '    if "@" not in record.owner or record.owner in employee.addresses',
    ),
    "a rejection deletes what may not be deleted": (
        "engine/plan.py",
        "may = at.may is None or at.may.ends_item is May.YES",
        "may = True",
    ),
    "a meeting that its organiser has cancelled is made again": (
        "engine/plan.py",
        'at.role == "block" or (at.scheduled and not at.ours)',
        'at.role == "block"',
    ),
    # -- when an announcement may be cleared ---------------------------------------------
    "a version is kept of what was not dealt with": (
        "engine/close.py",
        '        values["item_version"] = "" if open_item else version\n',
        '        values["item_version"] = version\n',
    ),
    "what lies ahead is cleared, not postponed": (
        "engine/close.py",
        "            if outcome.due:  # of either side",
        '            if outcome.due and entry.side == ("item" if unit.ref is not None else "crm"):  # of either side',
    ),
    "nothing wakes when the CRM knows others": (
        "engine/feed.py",
        "            tx.wake(ctx.pairing.id, PEOPLE)\n",
        "",
    ),
    "a clock that was ahead is believed": (
        "engine/passes.py",
        "return bool(last) and last >",
        "return bool(last) and not last >",
    ),
    "a store of before is not looked at anew": (
        "engine/pairing.py",
        'return f"{WAY} {self.lens.digest}',
        'return f"always {str()}',
    ),
    "a later version is still taken for the server's shaping": (
        "engine/look.py",
        'if side not in bases or versions[side][0] not in ("", versions[side][1]):',
        "if side not in bases:",
    ),
    "what a server does under our own version is an edit": (
        "engine/look.py",
        "            if under_ours or (unchanged",
        "            if (unchanged",
    ),
    "linked anew, one text that begins like the other is the other": (
        "engine/merge.py",
        "return (not sides.caps[1].exact and image(crm, item)) or (not sides.caps[0].exact and image(item, crm))",
        "return image(crm, item) or image(item, crm)",
    ),
    "the item's base is not the shaped image": (
        "engine/merge.py",
        "made.with_item[0][name] = sides.digester.of(name, sides.lens.on_item(name, value, sides.caps[0]))",
        "made.with_item[0][name] = sides.digester.of(name, value)",
    ),
    # -- what is the same thing ---------------------------------------------
    "one UID is one meeting for everybody": (
        "engine/newcomers.py",
        '    scope = record.owner if meeting else f"\\0{ctx.pairing.employee.id}"',
        '    scope = record.owner if meeting else ""',
    ),
    "adoption takes the first of two candidates": (
        "engine/adopting.py",
        "    if len(free) != 1:",
        "    if not free:",
    ),
    "an activity that carries the UID of a stranger's item is that item": (
        "engine/adopting.py",
        "record.uid and c.uid == record.uid and _under_one_organiser(ctx, record, c)",
        "record.uid and c.uid == record.uid",
    ),
    "what moved to a colleague is a new thing": (
        "engine/moving.py",
        "        if _has_left(ctx, row, links[row.id]):",
        "        if False:",
    ),
    "each of an employee's calendars takes what comes from the CRM": (
        "engine/join.py",
        "if not (ctx.items.capabilities.writable and pairing.default):",
        "if not ctx.items.capabilities.writable:",
    ),
    "what the employee has in another calendar is copied": (
        "engine/join.py",
        "if any(_had(ctx, k) for k in links):",
        "if row is None and ctx.full is None:",
    ),
    "what is gone here and stands in another calendar ends the activity": (
        "engine/plan.py",
        "if made.rule in (_R.CANCEL, _R.DELETE_CRM, _R.DECLINE, _R.CREATE_ITEM) and at.twice:",
        "if at.may is None:",
    ),
    "a copy beside the employee's own item stays": (
        "engine/plan.py",
        "    if at.ours and at.doubled and at.item is _I.SAME:",
        "    if at.ours is None:",
    ),
    "a system with new UIDs makes everything anew": (
        "engine/adopting.py",
        "return link.item_ref in ctx.missing or isinstance(ctx.items.one(link.item_ref), Gone)",
        "return False",
    ),
    # -- roles and deletions ---------------------------------------------
    "what the window left counts as gone": (
        "engine/plan.py",
        "    _I.OUT:     (_R.REST,      _R.REST,           _R.REST,           _R.REST),",
        "    _I.OUT:     (_R.CANCEL,    _R.REST,           _R.REST,           _R.REST),",
    ),
    "a stand-in's deletion cancels the meeting": (
        "engine/plan.py",
        "    if guest or not (at.responsible or block):\n        return Decision(_R.DECLINE",
        '    if at.role == "attendee" or not (at.responsible or block):\n        return Decision(_R.DECLINE',
    ),
    "what might not cross when it was typed never does": (
        "engine/sides.py",
        "        if not alone or name not in self.item or name not in self.crm:",
        "        if name:",
    ),
    "a copy says which dates there are for everybody": (
        "engine/allowed.py",
        '        return not (self.responsible or self.lately) and what != "over"',
        "        return False",
    ),
    "an invitation that was our copy is still ours": (
        "engine/roles.py",
        "if link is not None and link.ours and not is_invitation(record, employee):",
        "if link is not None and link.ours:",
    ),
    "of an occurrence edited here and left out there the deletion counts": (
        "engine/elements.py",
        'if name != "recurrence":',
        "if name:",
    ),
    "the organiser's word is one among others where an attendee's copy was read first": (
        "engine/unit.py",
        "known, decided, begins=begins, answered=answered, hidden=hidden,",
        "known, decided, answered=answered, hidden=hidden,",
    ),
    "an attendee's copy brings back what somebody deleted": (
        "engine/unit.py",
        "        stays = covered or beside is not None or was_ended(ctx, link, row, others, activities)",
        "        stays = covered or beside is not None",
    ),
    "words that stand in the history alone are not taken back": (
        "engine/redact.py",
        "        if check or HISTORY in link.brought or not speaking:",
        "        if check or not speaking:",
    ),
    "an occurrence's own word of privacy counts for nothing in a series that the CRM made private": (
        "privacy.py",
        '_with_judged_overrides(record, recurrence, policy, names, usual="public")',
        "(record, frozenset())",
    ),
    "who is not configured just now misses what the CRM does": (
        "engine/feed.py",
        "                _forget_absent(tx, everyone)",
        "                pass",
    ),
    "what is listed and not shown counts as deleted": (
        "engine/settle.py",
        "    return ref in ctx.listed or (not told and ref not in ctx.missing)",
        "    return not ref and told",
    ),
    "a time that stays takes the dates along": (
        "engine/dates.py",
        "    if move.written:",
        "    if move is not None:",
    ),
    "a series that becomes single takes the other side's work with it": (
        "engine/elements.py",
        "    ended = _ended(sides, name, found)",
        '    ended = ""',
    ),
    "the dates of a series that moves are compared as they are called since": (
        "engine/dates.py",
        "    if move is None:",
        "    if move is None or made:",
    ),
    "dates move along with whatever begins later": (
        "engine/dates.py",
        "    if kept != called_anew:",
        "    if kept >= 0:\n        return True\n    if kept != called_anew:",
    ),
    "a colleague sees the occurrences that are the owner's alone": (
        "engine/look.py",
        "    whole = link is None or _responsible(ctx, link, record)",
        "    whole = True",
    ),
    "a colleague's word on a series removes its private occurrences": (
        "engine/write_crm.py",
        "    if not look.sides.may.responsible:",
        "    if not changes:",
    ),
    "nobody is asked about the dates of a series": (
        "engine/elements.py",
        '        if wins == "ask":',
        '        if wins == "nobody":',
    ),
    "what only the private copy showed is handed over with the rest": (
        "engine/redact.py",
        "theirs = _shown_by(ctx, at, speaking) if activity is not None else frozenset()",
        "theirs = frozenset(activity.fields) if activity is not None and speaking else frozenset()",
    ),
    "an item is deleted at a version that was fetched just before": (
        "engine/gate.py",
        "        if version != shown.version:",
        "        if version is None:",
    ),
    "a second mail copy overwrites a correction": (
        "engine/merge.py",
        "        if up and same(name, there, empty) and not same(name, here, empty):",
        "        if up and not same(name, here, empty):",
    ),
    # -- privacy and texts ---------------------------------------------
    "a word of sensitivity that nobody knows is let through": (
        "privacy.py",
        "    record = _in_known_words(record)\n",
        "",
    ),
    "a block of time keeps what guests it has": (
        "privacy.py",
        'uid="", owner="", guests=frozenset())',
        'uid="", owner="")',
    ),
    "what becomes a block of time is overwritten, its history stays": (
        "engine/look.py",
        '    if admission.read_only and link.role != "block" and (link.ours or showed(link)):',
        '    if admission.read_only and link.role == "nobody":',
    ),
    "the history keeps the words of an occurrence that became private": (
        "engine/unit.py",
        "part.exposed = ERASE in link.brought or exposes(ctx, seen_both, part.hidden)",
        "part.exposed = False",
    ),
    "what people type below the block is ours": (
        "mapping/blocks.py",
        "        ours, behind = lines[:end], lines[end + 1 :]",
        "        ours, behind = lines[:end], []",
    ),
    "a long subject stays in the notes when the CRM shortens it": (
        "engine/carry.py",
        "    if part.merge.to_crm or _keeps_an_old_subject(ctx, part):",
        "    if part.merge.to_crm:",
    ),
    "what never crossed is overwritten without a trace": (
        "engine/write_item.py",
        '        "local": ["crm", sorted(view.keys() - down.keys())],\n',
        "",
    ),
    "an invitation whose activity was deleted is forgotten with it": (
        "engine/plan.py",
        "if at.role in RECEIVERS and at.deleted else Decision(_R.DROP)",
        "if at.role in HOLDERS and at.deleted else Decision(_R.DROP)",
    ),
    "what moves back is taken for the copy that was made in its place": (
        "engine/moving.py",
        "next((k for k in mine if ours or not k.ours), None)",
        "next(iter(mine), None)",
    ),
    "an item that is gone is not looked for in the employee's other calendars": (
        "engine/leaving.py",
        "if rule not in _FOLLOWS or",
        "if rule in _FOLLOWS or",
    ),
    "what an item was in another calendar is not asked for before it is linked": (
        "engine/moving.py",
        "        if shown and _asked(ctx, row, shown, record.ref):",
        "        if False:",
    ),
    "a CRM that is another one is believed": (
        "engine/feed.py",
        '    if place is not None and place["cursor"] and isinstance(pairing.crm, Lasting):',
        "    if False:",
    ),
    "what may be back under another ref is made again": (
        "engine/unit.py",
        "or (decision.rule is Rule.CREATE_ITEM and _may_be_back(ctx)):",
        "or not ctx:",
    ),
    "every beginning of a text is a cut": (
        "engine/merge.py",
        "        if not (up if item_changed else down is not May.NO):",
        "        if True:",
    ),
    "an occurrence that the CRM made private is withheld from it": (
        "privacy.py",
        'rule = "full" if key in given else',
        'rule = "full" if key is None else',
    ),
    "what the CRM made private once is the CRM's for ever": (
        "engine/writes.py",
        '        if name in moves:\n            values["unconfirmed"]',
        '        if moves.get(name):\n            values["unconfirmed"]',
    ),
    "few enough of what is held goes": (
        "engine/guard.py",
        "not emptied and not waiting and",
        "not emptied and",
    ),
    "a CRM that is empty all at once has deleted everything": (
        "engine/feed.py",
        "if not seen and len(missing) >= ALL:",
        "if seen < 0:",
    ),
    "an entry that cannot be had just now stops the calendar": (
        "engine/settle.py",
        "if len(ctx.late) > IN_A_ROW:",
        "if True:",
    ),
    "what people in the CRM had added goes with what became private": (
        "engine/redact.py",
        "        if not added or block:\n            kept = {**added, **times}",
        "        kept = times",
    ),
    "a private copy says busy of the meeting that a colleague's shows": (
        "engine/unit.py",
        "    covered = masked and is_covered(ctx, link, row, others)",
        "    covered = False",
    ),
    "a block of time that is seen stands beside the same meeting": (
        "engine/masked.py",
        "            elif found.id != row.id and found.crm_ref is not None and tx.links_of_row(found.id):",
        "            elif False:",
    ),
    "what somebody typed on a block goes with it": (
        "engine/unit.py",
        "    if beside is not None and decision.rule is Rule.REDACT and typed_on(seen_both):",
        "    if False:",
    ),
    "a stricter rule takes the flag back that hid what was typed under it": (
        "engine/redact.py",
        '    if kept and not block and (fields.get("private") or over):',
        "    if False:",
    ),
    "a calendar that is still to be read has nothing that another could show": (
        "engine/join.py",
        " or any(_is_unread(ctx, tx, p) for p in ctx.siblings):",
        ":",
    ),
    "what was deleted before it was rejected comes back with it": (
        "engine/close.py",
        '    elif at.link.rest != "item-gone":',
        "    else:",
    ),
    "what was completed is cancelled when it leaves the calendar": (
        "engine/look.py",
        ' == "completed"\n',
        ' == "nothing"\n',
    ),
    "what the CRM took back and somebody brings back is not seen": (
        "engine/feed.py",
        'link.rest in ("item-gone", "declined", "taken-back")',
        'link.rest in ("item-gone", "declined")',
    ),
    "a block of time shows the occurrences that are withheld": (
        "privacy.py",
        "exdates=recurrence.exdates | hidden\n        )\n    return replace(record, fields=fields, uid",
        "exdates=recurrence.exdates\n        )\n    return replace(record, fields=fields, uid",
    ),
    "a date is added to a series with a private occurrence": (
        "engine/allowed.py",
        'what in ("", "rule", "rdate")',
        'what in ("", "rule")',
    ),
    "two servers' clocks are one": (
        "engine/sides.py",
        "if abs(apart) > NO_DIFFERENCE:",
        "if abs(apart) > timedelta(0):",
    ),
    "words that wait for a word to the guests are merged": (
        "engine/merge.py",
        "name not in sides.decided and down is May.YES:",
        "name not in sides.decided:",
    ),
    "one occurrence that is gone makes it no wonder that all are": (
        "engine/settle.py",
        "all(link.rest in ABSENT for link in links)",
        "any(link.rest in ABSENT for link in links)",
    ),
    "a block of time keeps the UID of its entry": (
        "privacy.py",
        'return replace(record, fields=fields, uid="", owner="", guests=frozenset())',
        'return replace(record, fields=fields, owner="", guests=frozenset())',
    ),
    "a private entry takes over a colleague's activity": (
        "engine/moving.py",
        'if (record.fields.get("sensitivity") or "public") != "public":',
        "if False:",
    ),
    "what was held stays held when its entry is back": (
        "engine/settle.py",
        "found = _still_linked(ctx, _once_each(found))",
        "found = _once_each(found)",
    ),
    "what the CRM made private waits for somebody's word": (
        "engine/parts.py",
        "return self.decision.rule in GUARDED and not privacy",
        "return self.decision.rule in GUARDED",
    ),
    "what a link brought is forgotten with it": (
        "engine/close.py",
        "tx.set_link(heirs[0].id, brought=heirs[0].brought | link.brought)",
        "tx.set_link(heirs[0].id, brought=heirs[0].brought)",
    ),
    "a copy is made before the employee's other calendars were read": (
        "engine/leaving.py",
        "waiting = bool(asked) and _asks(",
        "waiting = False and _asks(",
    ),
    "a create that finds a known activity takes it for its own": (
        "engine/write_crm.py",
        "if link is None or other is None or other.id == link.activity:",
        "if True:",
    ),
    "what the CRM made private is the person's under another ref": (
        "engine/moving.py",
        "if given == NOTHING_GIVEN:",
        "if True:",
    ),
    "a date that leaves a private series is only gone": (
        "engine/look.py",
        "return bool(link.occurrence) and (",
        "return False and (",
    ),
    "a block of time keeps the words of its edited dates": (
        "engine/redact.py",
        'if not what.startswith("over ") or name in _SAYS_NOTHING:',
        "if True:",
    ),
    "a park outlives its cause": (
        "engine/close.py",
        'return refs | {("crm", part.row.crm_ref) for part in parts if part.row.crm_ref is not None}',
        "return {(entry.side, entry.ref) for entry in unit.entries}",
    ),
    "whom the CRM adds to a meeting with guests gets no copy": (
        "engine/join.py",
        '    if row.scheduled and "participants" not in ctx.pairing.names:',
        "    if row.scheduled:",
    ),
    "whom the organiser's entry invites gets a copy beside the invitation": (
        "engine/join.py",
        "        return any(invites(ctx, k) for k in speaking)",
        "        return any(invites(ctx, k) for k in speaking if k.ours)",
    ),
    "a participant's copy silences who stands in for a customer": (
        "engine/speaking.py",
        '    if (row.maker is None and row.origin != "groupware") or not record.owner:',
        "    if True:",
    ),
    "what the organiser's private copy takes back is not made of a copy that is shown meanwhile": (
        "engine/redact.py",
        ' or any(k.role in RECEIVERS and k.rest == "private" for k in tx.links_of_row(row.id)):',
        ":",
    ),
    "whom the organiser took out has no copy when the CRM adds him": (
        "engine/unit.py",
        '    ended = decision.rule is Rule.DECLINE or link.rest == "declined"',
        "    ended = False",
    ),
    "whoever cleared his copy away has none when the CRM adds him again": (
        "engine/unit.py",
        '    ended = decision.rule is Rule.DECLINE or link.rest == "declined"',
        "    ended = decision.rule is Rule.DECLINE",
    ),
    "an employee is looked for by one address": (
        "engine/context.py",
        "        for address in self.pairing.employee.addresses:\n            for known",
        "        for address in self.pairing.employee.addresses[:1]:\n            for known",
    ),
    "whoever was invited gets a copy when the one who showed it has declined": (
        "engine/join.py",
        '    return any(invites(ctx, k) or (k.rest == "private" and not k.ours) for k in links)',
        '    return any(k.rest == "private" and not k.ours for k in links)',
    ),
    "who has declined is forgotten with the words of a private copy": (
        "engine/unit.py",
        '    if not any(k.rest == "private" or k.role == "block" for k in beside):',
        "    if True:",
    ),
    "what is left of a private meeting is copied beside a colleague's invitation": (
        "engine/join.py",
        '    return any(invites(ctx, k) or (k.rest == "private" and not k.ours) for k in links)',
        "    return any(invites(ctx, k) for k in links)",
    ),
    "a guest who hides or clears his invitation speaks for whom it invites": (
        "engine/join.py",
        "    if speaking:\n        return any(invites",
        "    if len(speaking) == len(links):\n        return any(invites",
    ),
    "all who take part go with one guest's private invitation": (
        "engine/redact.py",
        "                or shown(name, k)\n",
        "",
    ),
    "whom the CRM had added goes with a guest's private invitation": (
        "engine/redact.py",
        "or (isinstance(seen, dict) and not _was_brought(digester, name, k, seen))",
        "or False",
    ),
    "what the CRM says of a meeting goes with one guest's private invitation": (
        "engine/redact.py",
        "        theirs |= _said_since(ctx, at, speaking)",
        "        pass",
    ),
    "a copy keeps what those who have declined had brought": (
        "engine/roles.py",
        'return {link.id, *(k.id for k in others if k.rest == "declined")}',
        "return {link.id}",
    ),
    "who is invited to one date speaks for a customer's series": (
        "engine/roles.py",
        '        standing = [o for o in standing if o.item_base.get("recurrence") or not o.item_base]',
        "        pass",
    ),
    "where each date is an activity, each invitation to the series speaks": (
        "engine/speaking.py",
        "series=series and not ctx.pairing.expands)",
        "series=series)",
    ),
    "where no mapping says what repeats, each invitation to a series speaks": (
        "engine/speaking.py",
        ' and "recurrence" in ctx.pairing.names\n',
        "\n",
    ),
    "who is invited to one date goes on speaking beside the series": (
        "engine/roles.py",
        '    elif any(o.item_base.get("recurrence") for o in standing):',
        "    elif False:",
    ),
    "whom a customer takes out has declined beside a private invitation": (
        "engine/unit.py",
        " or leave_out(ctx, speaking)",
        "",
    ),
    "whose private invitation is withdrawn has had enough": (
        "engine/unit.py",
        ' or decision == Decision(Rule.REST, "item-gone")\n    if not ended',
        "\n    if not ended",
    ),
    "whose invitation spoke has declined when the customer takes him out": (
        "engine/unit.py",
        "part.taken_out = decision.rule is Rule.DECLINE and",
        "part.taken_out = False and",
    ),
    "whoever is taken out as his invitation spoke gets no copy": (
        "engine/close.py",
        "    if part.taken_out:  # no answer",
        "    if False:  # no answer",
    ),
    "an item that is gone may still be the one that another has lost": (
        "engine/leaving.py",
        '                tx.set_link(link.id, rest="")\n',
        "",
    ),
    "what is left of a private meeting hides a colleague's invitation": (
        "engine/unit.py",
        "    if not hidden and fields is not None and is_anothers_shell(link, activity, others):",
        "    if False:",
    ),
    "what an invitation says of what was left is the private entry's": (
        "engine/unit.py",
        "            tx.set_row(row.id, maker=link.id)\n",
        "            pass\n",
    ),
    "a participant's copy answers for a colleague's meeting": (
        "engine/speaking.py",
        'if link.role != "copy" or link.pairing in theirs]',
        'if link.role != "copy" or theirs]',
    ),
    "a copy that its holder deletes ends a customer's meeting": (
        "engine/plan.py",
        "at.elsewhere or _is_answer(at) or",
        "at.elsewhere or",
    ),
    "after a loss an invitation is known by its own employee alone": (
        "engine/adopting.py",
        "    if not same_uid and not occurrence and",
        "    if False and",
    ),
    "after a loss many invitations are known by their own employee alone": (
        "engine/fresh.py",
        "        found = [[*mine, *others] for mine, others in zip(found, theirs, strict=True)]\n",
        "",
    ),
    "a due date that is taken away in the calendar stays in the CRM": (
        "mapping/lens.py",
        "if value is not None or kind_of(name).optional}",
        "if value is not None}",
    ),
    "a due date that is taken away in the CRM stays in the calendar": (
        "engine/merge.py",
        " is None and not kind_of(name).optional:",
        " is None:",
    ),
}

MUTANTS |= {
    "a write into a CalDAV calendar names no version": (
        "../connectors/caldav/replica.py",
        'return {"If-Match": record.version}',
        "return {}",
    ),
    "a page of a gateway is the answer to a write": (
        "../connectors/caldav/dav.py",
        'if method in ("PUT", "DELETE") and status == 200 and page',
        "if False",
    ),
    "who takes part answers for what stands in his own calendar": (
        "engine/look.py",
        'alone = link.role == "own" and not link.ours and not answered and not employee.among(people)',
        'alone = link.role == "own" and not link.ours and not answered',
    ),
    "who had it before it was handed over ends it": (
        "engine/look.py",
        "not link.ours and not answered and not",
        "not link.ours and not",
    ),
    "what was handed over in the CRM counts as moved": (
        "engine/came.py",
        "    return came_from_a_colleague(ctx, tx, row.id, held, owner)",
        "    return bool(held)",
    ),
    "a date that was private before its series is not remembered": (
        "privacy.py",
        "    if given.whole and given.kept:",
        "    if given.whole and not given:",
    ),
    "what a person has opened stays the CRM's to close": (
        "engine/close.py",
        'if link.private_copy and not part.item_written and at.is_shown and at.sides.item.get("private") is False:',
        "if not link:",
    ),
    "what was handed over goes with its former owner's entry": (
        "engine/redact.py",
        "        alone = not speaking and not handed",
        "        alone = not speaking",
    ),
    "what others typed goes with the former owner's entry": (
        "engine/writes.py",
        '    if moves.get("given-up"):',
        "    if not link:",
    ),
    "a leftover of a private meeting stands in colleagues' calendars": (
        "engine/redact.py",
        'and bool(kept.get("participants"))',
        "and not fields",
    ),
    "a private date that is over holds its series up": (
        "engine/allowed.py",
        "any(not self.passed(key) for key in self.masked)",
        "bool(self.masked)",
    ),
    "a calendar in which nothing is known counts as tidied up": (
        "engine/feed.py",
        "another = not known and news >= ALL",
        "another = not known and news < 0",
    ),
    "a colleague's record keeps the name of who is forgotten": (
        "store/journal.py",
        "        tx.connection.execute(delete(t.explain).where(told))\n",
        "        pass\n",
    ),
    "a question keeps the name of who is forgotten": (
        "store/journal.py",
        'if set(s.split("\\n")) & set(names)]',
        "if s in names]",
    ),
    "an entry that is left out has never made anything": (
        "engine/join.py",
        "return (left_out(ctx, record, occurrence, view) if row is None else None), due",
        "return None, due",
    ),
    "what became private unseen stays": (
        "engine/unit.py",
        "moved_here(ctx, admission) or went_private_unseen(ctx, admission)",
        "moved_here(ctx, admission)",
    ),
    "what was cleared away does not come back": (
        "engine/plan.py",
        "if at.item is _I.GONE and _comes_back(at):",
        "if False:",
    ),
    "privacy waits for the window": (
        "engine/plan.py",
        "at.item in (_I.SAME, _I.CHANGED, _I.OUT) and _is_private_now(at)",
        "at.item in (_I.SAME, _I.CHANGED) and _is_private_now(at)",
    ),
    "what is left of a redacted activity waits for the window": (
        "engine/look.py",
        "if LESS in link.brought and fields is not None:",
        "if False:",
    ),
    "who says private out of the window is not heard": (
        "engine/unit.py",
        "if decision.rule is Rule.REST and _says_private(seen_both):",
        "if False:",
    ),
    "guests are told of what is over": (
        "engine/allowed.py",
        'self.lens.mapping.guests == "tell" and not self.over',
        'self.lens.mapping.guests == "tell"',
    ),
    "a colleague's copy of an invitation answers for others": (
        "engine/unit.py",
        'if fields is not None and link.role in ("own", "stand-in") and not link.ours:',
        "if False:",
    ),
    "an old copy that is back is an edit": (
        "engine/moving.py",
        "older = link.ours and _is_older(ctx, tx, link, record)",
        "older = False",
    ),
    "another message under a known ref is that one": (
        "engine/identity.py",
        "if row is None or row.claim is None or",
        "if True or row is None or row.claim is None or",
    ),
    "our copy stays beside an invitation": (
        "engine/unit.py",
        "or any(not k.ours and k.pairing in mine for k in awake)",
        'or any(k.role == "own" and not k.ours and k.pairing in mine for k in awake)',
    ),
    "what stands twice waits for somebody's word": (
        "engine/parts.py",
        "return self.decision.rule in GUARDED and not privacy and not twice",
        "return self.decision.rule in GUARDED and not privacy",
    ),
    "an account under another name is a stranger's": (
        "engine/heirs.py",
        "    if not ctx.former or not found.uid:",
        "    if True:",
    ),
    "who is not read any more speaks for what became private": (
        "engine/redact.py",
        "others = [k for k in others if ctx.speaks(k.pairing)]",
        "pass",
    ),
    "a rehearsal shows the titles of what is private": (
        "service/rehearsal.py",
        "return PRIVATE if any(_is_private(f) for f in several) else _words(several[0])",
        "return _words(several[0])",
    ),
    "what was typed on a block of time replaces what is behind it": (
        "engine/speaking.py",
        '"rest": link.rest or "private"}',
        '"rest": link.rest}',
    ),
    "the former owner's word replaces the new owner's": (
        "engine/again.py",
        "if link.ours else was_handed_over(ctx, link, activity)",
        "if link.ours else False",
    ),
    "a private date of a copy is everybody's where all of it crosses": (
        "engine/look.py",
        "if record is not None and not answers else frozenset[str]()",
        "if record is None else frozenset[str]()",
    ),
    "what a former owner marks private becomes the new owner's mark": (
        "engine/look.py",
        "item=Item.PRIVATE if hidden or own else",
        "item=Item.PRIVATE if hidden else",
    ),
    "a private date that was put off is over at its old time": (
        "engine/look.py",
        "        if key in ends:",
        "        if key in ():",
    ),
    "what is private where it goes is not asked for": (
        "engine/unit.py",
        "and (not admission.whole or admission.says_private):",
        "and not admission.whole:",
    ),
    "a calendar whose entries have new addresses is another for ever": (
        "engine/feed.py",
        "        if not left or (ctx.full and not",
        "        if False and (ctx.full and not",
    ),
    "an own calendar is a colleague's": (
        "engine/came.py",
        "    mark = tx.setting(_name(link.pairing, link.activity)) if link.pairing != pairing else None",
        '    mark = "" if link.pairing != pairing else None',
    ),
    "what is hidden from a former owner keeps her private words": (
        "engine/plan.py",
        "_I.PRIVATE: (_R.REDACT,    _R.REDACT,         _R.DROP,           _R.REDACT),",
        "_I.PRIVATE: (_R.REDACT,    _R.REDACT,         _R.DROP,           _R.REST),",
    ),
    "what was taken back is no block of time before the night": (
        "engine/close.py",
        "                if version is not None:  # a block",
        "                if False:  # a block",
    ),
    "a date that syncd has written says that it is public": (
        "../connectors/caldav/series.py",
        "    unsay_public(made)\n",
        "",
    ),
    "a date that goes back to its series says that it is public": (
        "../connectors/caldav/edit.py",
        '    if changes.get("sensitivity") == "public":\n',
        "    if False:\n",
    ),
    "the rule of a series that became private stays beside its public date": (
        "engine/redact.py",
        "if becomes_block and _shows_dates_alone(at):",
        "if False:",
    ),
    "a private date that was dragged back is moving for a day": (
        "engine/moving.py",
        "                _arrived(ctx, tx, row, found.ref, *links)\n                here",
        "                here",
    ),
    "one deletion keeps a calendar with new addresses another": (
        "engine/feed.py",
        "not ctx.moved and left * 4 <= found):",
        "not ctx.moved and not left):",
    ),
    "a series of single activities that was dragged back is moving for a day": (
        "engine/moving.py",
        "            _arrived(ctx, tx, row, found.ref, *links)\n            here",
        "            here",
    ),
    "what came from a colleague is nobody's when it is dragged on": (
        "engine/came.py",
        "        tx.set_setting(_name(pairing, link.activity), mark)\n",
        "",
    ),
    "what was dragged to a colleague is handed over to nobody any more": (
        "engine/came.py",
        "return any(_is(ctx, mark, owner) for",
        "return any(True for",
    ),
    "what was handed over before counts as given away by its new owner": (
        "engine/came.py",
        "        if gave and owner not in ctx.pairing.employee.addresses:",
        "        if owner not in ctx.pairing.employee.addresses:",
    ),
    "what was given to a colleague can never be given back": (
        "engine/came.py",
        "    if not _is(ctx, mark, owner):",
        "    if False:",
    ),
    "a copy stays beside what has come back from a colleague": (
        "engine/moving.py",
        "        if copy.ours and copy.pairing in ctx.siblings and",
        "        if False and",
    ),
    "who has handed it over cancels it until the new owner has it": (
        "engine/look.py",
        "    return alone and not was_handed_over(ctx, link, activity)",
        "    return alone",
    ),
    "who once had a copy of it cannot be given it": (
        "engine/moving.py",
        "    return link.ours and link.rest in ABSENT",
        "    return False",
    ),
    "what has not arrived yet of a calendar counts as deleted": (
        "engine/feed.py",
        "(ctx.full and not ctx.moved and left * 4",
        "(left * 4",
    ),
    "what arrived earlier is not counted with what arrives": (
        "engine/feed.py",
        "    found = int(before or 0) + len(ctx.moved)",
        "    found = len(ctx.moved)",
    ),
    "what others answer is an edit that beats a deletion": (
        "engine/plan.py",
        "    if at.item is _I.GONE and at.activity is _A.CHANGED and at.replied:",
        "    if False:",
    ),
    "what somebody has made private is deleted for nobody else": (
        "engine/close.py",
        "                if not _shown_beside(tx, link):",
        "                if True:",
    ),
    "what is typed after a hand-over goes with the former owner's words": (
        "engine/redact.py",
        '        theirs |= _TIMES | {"status"} | _typed_over(at)',
        '        theirs |= _TIMES | {"status"}',
    ),
    "what was handed over is taken back once": (
        "engine/redact.py",
        "made = handed or row.maker in makers(link, beside)",
        "made = row.maker == link.id",
    ),
    "a copy that is made again remembers who took part before": (
        "engine/write_item.py",
        '        "crm": anew(link.crm_base, digester.base(view)),',
        '        "crm": digester.base(view),',
    ),
    "a leftover is private by the CRM's word": (
        "engine/adopting.py",
        "    left = is_leftover(activity)\n",
        "    left = False\n",
    ),
    "an entry could have brought what was taken back": (
        "engine/adopting.py",
        "    if is_leftover(activity):\n        return LEFT",
        "    if False:\n        return LEFT",
    ),
    "of an appointment without a time there are copies": (
        "engine/look.py",
        '    nothing = link.ours and "time" in activity.fields and activity.fields["time"] is None',
        "    nothing = False",
    ),
    "a leftover is out of reach of the entry of which it is left": (
        "engine/look.py",
        "    of_it = told and not link.ours",
        "    of_it = False",
    ),
    "a former owner's entry speaks for what was handed over": (
        "engine/unit.py",
        "        return not came_from_a_colleague(ctx, tx, row.id, [link.pairing], activity.owner)\n\n\ndef _speaking",
        "        return False\n\n\ndef _speaking",
    ),
    "what was dragged to a colleague is a former owner's entry": (
        "engine/unit.py",
        "        return not came_from_a_colleague(ctx, tx, row.id, [link.pairing], activity.owner)\n\n\ndef _speaking",
        "        return True\n\n\ndef _speaking",
    ),
    "a copy that is dragged to a colleague is called off": (
        "engine/moving.py",
        "    if row.key != record.uid or row.crm_ref is None or record.kind",
        "    if True or record.kind",
    ),
    "a copy that is dragged to a colleague is not asked for where it was": (
        "engine/moving.py",
        "    if there and _asked(ctx, row, there, record.ref):\n        raise Wait\n    return None",
        "    return None",
    ),
    "a copy that was dragged and made again stays beside": (
        "engine/moving.py",
        "                ctx.touch(tx, gift, row)\n                ctx.report",
        "                ctx.report",
    ),
    "a copy that was dragged and made again is not what was dragged": (
        "engine/moving.py",
        "(k.rest in _GONE or (k.ours and WAS in k.unconfirmed))]",
        "k.rest in _GONE]",
    ),
    "what is edited while it is handed over stays where it was": (
        "engine/look.py",
        "        if not _was_edited_before(ctx, sides, link, activity):",
        "        if True:",
    ),
    "what was typed into a date that is taken out is gone": (
        "engine/elements.py",
        "    lost |= dict.fromkeys(_goes_with_its_date(found, beats), item)\n",
        "",
    ),
    "what nobody has agreed on was edited before it was handed over": (
        "engine/look.py",
        "    if not link.ours or link.rest or not link.item_base or not _may_see",
        "    if not link.ours or link.rest or not _may_see",
    ),
    "a copy that was private for a while speaks for everybody": (
        "engine/again.py",
        "if n in names and named(n, digester.of(n, v)) not in known)",
        "if n in names and n not in names)",
    ),
    "a private entry becomes the copy that its employee once had": (
        "engine/moving.py",
        "        if _is_over(link) and row.key != found.uid:",
        "        if False:",
    ),
    "what is made private as it is dragged to a colleague stays in the CRM": (
        "engine/moving.py",
        "            if _has_left(ctx, row, [link]):  # it was dragged here, and made private at once",
        "            if False:",
    ),
    "what is made private as it is dragged to a colleague is not waited for": (
        "engine/moving.py",
        "            if _may_have_left(ctx, row, [link], found.ref):\n                raise Wait\n            continue",
        "            continue",
    ),
    "what was dragged on comes from whoever had it first": (
        "engine/came.py",
        "        if tx.setting(_name(pairing, link.activity)) in (None, OVER):  # else",
        "        if True:  # else",
    ),
    "what was dragged to a colleague cannot come back to its owner": (
        "engine/moving.py",
        "        theirs = [k for k in theirs if not k.ours]\n",
        "        return None\n",
    ),
    "what was taken back is the CRM's word when the copy is shown again": (
        "engine/redact.py",
        "remembered(link, taken) |",
        "remembered(link) |",
    ),
    "what the CRM has deleted is made anew of a copy that nobody edited": (
        "engine/plan.py",
        "at.role in _DERIVED and at.fresh and at.deleted",
        'at.role == "stand-in" and at.fresh and at.deleted',
    ),
    "the link of a private copy is dropped when the CRM deletes the activity": (
        "engine/plan.py",
        'at.role in (*RECEIVERS, "copy") and at.deleted',
        "at.role in RECEIVERS and at.deleted",
    ),
    "what a participant hides in his calendar is hidden from everybody": (
        "engine/allowed.py",
        '        if item == "sensitivity" or name == "participants":',
        '        if item == "sensitivity":\n            return True\n        if name == "participants":',
    ),
    "what the CRM has emptied comes back with a copy that was private": (
        "engine/merge.py",
        "    return name in sides.crm and name not in sides.crm_base and sides.decided",
        "    return False and sides.decided",
    ),
    "a guest's copy brings back what its organiser has deleted of the CRM's": (
        "engine/speaking.py",
        'k.role in ("own", "copy") and k.rest == "item-gone"',
        'k.role == "own" and k.rest == "item-gone"',
    ),
    "whom a participant asks along takes part": (
        "engine/allowed.py",
        '        if item == "sensitivity" or name == "participants":',
        '        if name == "participants":\n            return True\n        if item == "sensitivity":',
    ),
    "whom its owner invites from a copy does not take part": (
        "engine/allowed.py",
        '        if item == "sensitivity" or name == "participants":',
        '        if name == "participants":\n            return False\n        if item == "sensitivity":',
    ),
    "a colleague who is invited from a copy gets one as well": (
        "engine/join.py",
        "        return any(invites(ctx, k) for k in speaking)",
        "        return any(invites(ctx, k) for k in speaking if not k.ours)",
    ),
    "a date that is taken out while its series is handed over is there again": (
        "engine/look.py",
        "        lately=lately,\n",
        "",
    ),
    "whoever took part has answered for it": (
        "engine/look.py",
        '    return not any(digester.element("participants", each) in took_part for each in addresses)',
        "    return True",
    ),
    "whoever is taken out while his copy is private keeps it": (
        "engine/plan.py",
        "at.activity is _A.OUT and at.untouched)",
        "False)",
    ),
    "what was typed on a private copy goes with it": (
        "engine/again.py",
        "    return bool(item) and all(",
        "    return bool(item) or all(",
    ),
    "what stands private beside a colleague's waits for a full comparison": (
        "engine/moving.py",
        "**here)]\n            _note_beside(ctx, found, link)\n",
        "**here)]\n",
    ),
    "a question is open although it is known what the item is": (
        "engine/moving.py",
        "            _no_longer_asked(ctx, tx, row, record.ref)\n",
        "",
    ),
    "what privacy took back is not made again of a public invitation that is back": (
        "engine/plan.py",
        '    if at.unmade and back and at.role == "stand-in":',
        "    if False:",
    ),
    "an invitation that is back goes on where it left off, as a colleague's block of time": (
        "engine/unit.py",
        "    if seen is not None and not masked and stands_for_another(link, row, others):",
        "    if False:",
    ),
    "an invitation that is back elsewhere goes on as a colleague's block of time": (
        "engine/moving.py",
        "    if older or (row is not None and stands_for_another(link, row, tx.links_of_row(row.id))):",
        "    if older:",
    ),
    "what a guest showed, who has it no more, was handed over": (
        "engine/adopting.py",
        'role = "stand-in" if any(k.id == row.maker and k.role in GUESTS for k in links) else "own"',
        'role = "own"',
    ),
    "whom a customer takes out by a cancellation calls the meeting off": (
        "engine/speaking.py",
        "    if goes_on_without(ctx, record, link, others) or _was_taken_out(ctx, record, link):",
        "    if _was_taken_out(ctx, record, link):",
    ),
    "a cancelled invitation speaks although another's goes on": (
        "engine/speaking.py",
        "        speaking = [k for k in speaking if not _is_called_off_for(ctx, record, k)]\n",
        "",
    ),
    "whom a customer takes out by a cancellation is still said to take part": (
        "engine/unit.py",
        "    if taken_out and activity is not None:\n",
        "    if False:\n",
    ),
    "what a guest hides is written over its organiser's meeting": (
        "engine/redact.py",
        "    becomes_block = becomes_block and not anothers\n",
        "",
    ),
    "an organiser's entry that is back is called as a guest's block of time": (
        "engine/roles.py",
        '    gone = not link.ours and link.role != "block" and link.rest',
        "    gone = link.role in GUESTS and link.rest",
    ),
    "an invitation that was handed over takes the appointment with it": (
        "engine/write_crm.py",
        "    if look.link.role in GUESTS:  # nothing else",
        "    if False:  # nothing else",
    ),
    "what was handed over is its former owner's again once that was private": (
        "engine/redact.py",
        "    owned = {n: v for n, v in link.unconfirmed.items() if n == OWNED}",
        "    owned: dict[str, Any] = {}",
    ),
    "the copy of a new owner silences the customer's invitation": (
        "engine/speaking.py",
        '(row.maker is None and row.origin != "groupware")',
        "row.maker is None",
    ),
    "whom a customer took out calls the meeting off once nobody else has it": (
        "engine/speaking.py",
        " or _was_taken_out(ctx, record, link):",
        ":",
    ),
    "a private invitation speaks beside public ones": (
        "engine/speaking.py",
        "    return _says_less(ctx, record, link, others)",
        "    return False",
    ),
    "what was typed over an invitation goes with it": (
        "engine/redact.py",
        "        and (n in alone or not digester",
        "        and (not digester",
    ),
    "what is left with the time that the CRM has said is something else": (
        "engine/look.py",
        '    return bool(activity.fields.get("private")) and not activity.fields.get("subject")',
        '    return "time" not in activity.fields and not activity.fields.get("subject")',
    ),
    "what waits for its day is waited for": (
        "engine/moving.py",
        'any(tx.is_due(k.pairing, "item", k.item_ref or "", ctx.moment.today)',
        'any(tx.has_news(k.pairing, "item", k.item_ref or "")',
    ),
    "what the CRM has typed goes with a private entry that nobody has seen": (
        "engine/adopting.py",
        "            link = tx.set_link(link.id, **agreed, brought=maker.brought)",
        "            link = tx.set_link(link.id, brought=link.brought)",
    ),
    "an account that has its former name again reads on where it was": (
        "engine/heirs.py",
        "            tx.drop_feed(item_feed(link.pairing))\n            taken",
        "            taken",
    ),
    "what a server names that went long ago is news": (
        "engine/feed.py",
        '(listing == "all" and (not c.gone or c.ref in links))',
        '(listing == "all")',
    ),
    "what has been declined comes back as the copy that was there before": (
        "engine/plan.py",
        "at.activity is _A.OUT or at.rejected or at.declined",
        "at.activity is _A.OUT or at.rejected",
    ),
    "an appointment and a task of one UID are one": (
        "store/transaction.py",
        't.row.c.kind == bindparam("kind")',
        't.row.c.kind != bindparam("kind") + "?"',
    ),
    "a task claims the appointment of its UID": (
        "engine/newcomers.py",
        '    if record.kind != "event":',
        '    if record.kind == "?":',
    ),
    "what was typed on a copy goes with it": (
        "engine/unit.py",
        "        part.merge.losers = dict(typed_in(seen_both))",
        "        part.merge.losers = {}",
    ),
    "what was dragged to a colleague is taken back as the CRM has it private": (
        "engine/moving.py",
        "    if not isinstance(activity, Record):\n        return None\n    if in_scope",
        '    if not isinstance(activity, Record) or activity.fields["private"]:\n        return None\n    if in_scope',
    ),
    "guests hear of a copy that is taken back": (
        "engine/write_item.py",
        '    return after == "taken-back" and not look.situation.rejected',
        "    return False",
    ),
    "a copy is taken back though the server tells its guests": (
        "engine/plan.py",
        "    ends = at.may.takes_back if made.rule is _R.TAKE_BACK and not at.rejected else at.may.ends_item",
        "    ends = at.may.ends_item",
    ),
    "guests hear whom the CRM lists by now": (
        "engine/carry.py",
        " or at.sides.may.quietly is not May.YES:",
        ":",
    ),
    "guests hear of the same words": (
        "engine/write_item.py",
        "        if not kind.keyed and same(name, shown, value):",
        "        if False:",
    ),
    "what is over comes back with an edit": (
        "engine/plan.py",
        "    if rule is _R.CREATE_ITEM and (at.rejected or at.past):",
        "    if rule is _R.CREATE_ITEM and at.rejected:",
    ),
    "what has gone is a stranger's the day after": (
        "engine/moving.py",
        "JUST = timedelta(days=14)",
        "JUST = timedelta(days=1)",
    ),
    "a folder below an excluded one is read": (
        "mail/folders.py",
        "        if left is None and delimiter and any(name.startswith(each) for each in above):",
        "        if False:",
    ),
    "what follows keeps the name of what became private": (
        "crm/activities.py",
        "            if follower.subject in names:",
        "            if False:",
    ),
    "what waits for guests brings back what was called off": (
        "engine/plan.py",
        "(at.scheduled and not at.ours) or at.waited):",
        "(at.scheduled and not at.ours)):",
    ),
    "what a copy was handed stays with the CRM": (
        "engine/close.py",
        '    if settled.rest in ("declined", "item-gone", "taken-back"):',
        '    if settled.rest in ("declined", "item-gone") and not settled.ours:',
    ),
    "what an employee has typed on a copy goes with a colleague's private one": (
        "engine/agreed.py",
        "    return frozenset(link.unconfirmed.get(HANDED, ())) if link.ours else link.brought",
        "    return link.brought",
    ),
    "each leaves it to the other to take back what is private to both": (
        "engine/plan.py",
        '    nothing = at.ours or (not at.brought and (at.fresh or at.role == "attendee"))',
        '    nothing = at.ours or at.fresh or at.role == "attendee"',
    ),
    "what follows keeps a name that the entry had before": (
        "crm/activities.py",
        ', *(text for (text,) in connection.execute(before))} - {""}',
        '} - {""}',
    ),
    "what was taken back stays in the files": (
        "service/runner.py",
        "    if not (report.redacted or store.untidy):",
        "    if True:",
    ),
    "what only a private entry shows stays where the other guest has declined": (
        "engine/close.py",
        '    if settled.rest in ("declined", "item-gone", "taken-back"):',
        '    if settled.ours and settled.rest in ("declined", "item-gone", "taken-back"):',
    ),
    "what the CRM has typed goes with the last public invitation": (
        "engine/close.py",
        ", **agreed)",
        ")",
    ),
    "what is left out where it has moved to is deleted": (
        "engine/plan.py",
        '    if at.rest == "item-gone" and at.item is _I.OUT and at.activity is _A.GONE:',
        "    if False:",
    ),
    "what is made again has the people of what was there before": (
        "engine/write_crm.py",
        '        "crm": anew(look.link.crm_base, made),',
        '        "crm": made,',
    ),
    "what is typed on a private copy is everybody's where all of it crosses": (
        "engine/allowed.py",
        "        if self.secret and not self.responsible and item not in _WHEN:",
        "        if False:",
    ),
    "a copy that was one too many waits for the night when the other goes": (
        "engine/close.py",
        '            if copy.ours and copy.rest == "taken-back":',
        "            if False:",
    ),
    "a due date that the CRM has given goes with its private task": (
        "engine/redact.py",
        ' else _SAYS_NOTHING - {"due"}',
        " else _SAYS_NOTHING",
    ),
}

#: Name and test, a line each: who noticed a fault the last time. Written by ``--note``.
NOTICED = Path(__file__).with_name("noticed.txt")
#: Seconds after which a fault has shown itself by never coming to an end.
HANGS = 900


def main() -> int:
    """Tries each fault; the status is 1 when one of them was not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5_000, help="how long to look for each fault in the worlds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0, help="only that many of them")
    parser.add_argument("--only", default="", help="only those whose name holds this")
    parser.add_argument("--note", action="store_true", help=f"keep who noticed each of them in {NOTICED.name}")
    options = parser.parse_args()
    known = noticed()
    chosen = {name: fault for name, fault in MUTANTS.items() if options.only in name}
    if options.sample:
        chosen = dict([*chosen.items()][:: max(1, len(chosen) // options.sample)][: options.sample])
    missed = 0
    with ThreadPoolExecutor(os.cpu_count()) as several:
        tried = several.map(lambda name: _caught(name, known.get(name, ""), options.steps, options.seed), chosen)
        for name, found in zip(chosen, tried, strict=True):
            missed += not found
            if found.startswith("tests/"):
                known[name] = found
            if options.note:  # as it goes: whoever stops it keeps what is known
                NOTICED.write_text("".join(f"{n}\t{known[n]}\n" for n in MUTANTS if n in known), encoding="utf-8")
            print(f"{'caught  ' if found else 'MISSED  '} {name}\n           {found or 'nobody spoke'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught")
    return 1 if missed else 0


def noticed() -> dict[str, str]:
    """The test that noticed each fault the last time: it is asked first."""
    lines = NOTICED.read_text(encoding="utf-8").splitlines()
    said = {name: test for name, _, test in (line.partition("\t") for line in lines)}
    return {n: t if t.endswith("]") else t.partition("[")[0] for n, t in said.items()}  # a line may have been cut


def _caught(name: str, first: str, steps: int, seed: int) -> str:
    """Who noticed the fault, "" for nobody; `first`: whom to ask first, before all of them."""
    file, old, new = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        for part in ("syncd", "tests", "connectors", "mappings", "config", "docs"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        path = Path(folder) / "syncd" / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            return ""
        path.write_text(text.replace(old, new), encoding="utf-8")
        # all of their stories only where a part of them does not tell
        for depth, tests in (*((("deep", [first]),) if first else ()), ("", [*FAST]), ("deep", [*FAST])):
            asked = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "timeout=60", *tests]
            spoke = re.search(r"^(?:FAILED|ERROR) (tests.+?)(?: - |$)", _run(folder, asked, depth), re.MULTILINE)
            if spoke:
                return spoke[1]
        said = _run(folder, ["-m", "tests.properties.soak", "--stop", "--steps", str(steps), "--seed", str(seed)])
        spoke = re.search(r"^seed (\d+): (.*)$", said, re.MULTILINE)
        return f"seed {spoke[1]}: {spoke[2][:90]}" if spoke else ""


def _run(folder: str, command: list[str], depth: str = "deep") -> str:
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1", "SYNCD_TESTS": depth}
    environment["COLUMNS"] = "400"  # or names are cut
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS,
        )
    except subprocess.TimeoutExpired:
        return "FAILED tests that never end"
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
