"""Does the property test catch what it is for? Puts faults into copies of the engine, one at a time.

``python -m tests.properties.mutants`` prints, for each fault, after how many worlds an oracle spoke.
Each fault is a rule of design §5 broken on purpose: file, what stands there, what to put in its place.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MUTANTS: dict[str, tuple[str, str, str]] = {
    "the cursor moves before the page's changes are kept (fine print 1)": (
        "engine/feed.py",
        "        with ctx.store.transaction() as tx:\n            refs = [c.ref for c in page.changes]",
        "        with ctx.store.transaction() as tx:\n"
        "            tx.set_feed(name, cursor=page.cursor, generation=generation,"
        " listing='', mapping=pairing.lens.digest)\n"
        "        with ctx.store.transaction() as tx:\n            refs = [c.ref for c in page.changes]",
    ),
    "a change that came meanwhile is cleared with the old one (2)": (
        "store/transaction.py",
        '    t.pending.c.seq == bindparam("p_seq"),\n',
        '    t.pending.c.seq >= 0 * bindparam("p_seq"),\n',
    ),
    "the base is what a read-back shows (3)": (
        "engine/writes.py",
        "        if ours or known or image(held[name], sent.get(name)):",
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
        "            row = tx.rows_by_uid(ctx.pairing.crm_name, [digest]).get(digest)",
        "            digest = None",
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
        "    if HISTORY not in look.link.brought:",
        "    if look is None:",
    ),
    "an attendee's copy is written to": (
        "engine/roles.py",
        '        if role == "attendee":',
        '        if role == "nobody":',
    ),
    "the CRM's base ignores what the CRM cuts": (
        "mapping/lens.py",
        "return _cut_text(name, kind_of(name).shape(value, side.limit(name)))",
        "return _cut_text(name, value)",
    ),
    "nothing is adopted at a first run": (
        "engine/join.py",
        "        if len(free) != 1:",
        "        if True:",
    ),
    "the privacy filter lets everything through": (
        "privacy.py",
        "    if ours:\n        return Admission",
        "    if True:\n        return Admission",
    ),
}


def main() -> int:
    """Tries each fault; the status is 1 when one of them was not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40_000, help="how long to look for each fault")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missed = 0
    for name, (file, old, new) in MUTANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            for part in ("syncd", "tests", "connectors", "mappings"):
                shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
            path = Path(folder) / "syncd" / file
            text = path.read_text(encoding="utf-8")
            if old not in text:
                print(f"STALE    {name}: {file} no longer has the text to change", flush=True)
                missed += 1
                continue
            path.write_text(text.replace(old, new), encoding="utf-8")
            command = [sys.executable, "-m", "tests.properties.soak", "--stop", "--steps", str(options.steps)]
            done = subprocess.run(
                [*command, "--seed", str(options.seed)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            found = re.search(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
            missed += found is None
            what = f"seed {found[1]}: {found[2][:90]}" if found else "no oracle spoke"
            print(f"{'caught  ' if found else 'MISSED  '} {name}\n           {what}", flush=True)
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} faults caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
