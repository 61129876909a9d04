"""``make bench``: one JSON line a bar: name, ours, theirs, ratio, bar, holds.

Rows 1 to 7 of the costs that we hold ourselves to (docs/background.md). *theirs* is vdirsyncer, icalendar or mbsync,
measured in turns in the same run; where a bar is a limit of its own (requests, milliseconds, bytes),
*theirs* is that limit and the bar 1. ``python -m bench quick`` leaves out 50,000 events and 10,000 pairings.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.desk import Cost, Desk, configure
from bench.mail import FEW as MAILS
from bench.mail import MANY as MAILS_MANY
from bench.mail import available, measure
from bench.many import INTERVAL, watch
from bench.server import event
from syncd.cli.radicale import Server, radicale
from tests.servers.start import loopback

FEW, MANY, PAIRINGS = 2_000, 50_000, 10_000
#: Whole processes are run so often, in turns; the least of each counts.
TURNS = 3


def bar(name: str, ours: float, theirs: float, bar: float = 1.0) -> None:
    """Prints one line."""
    ratio = ours / theirs
    values = {"name": name, "ours": round(ours, 5), "theirs": round(theirs, 5), "ratio": round(ratio, 2)}
    print(json.dumps({**values, "bar": bar, "holds": ratio <= bar}), flush=True)


def first_runs(desks: list[Desk], what: str) -> Cost:
    """Row 1: each desk is new; the last one's cost of ours is returned."""
    costs = [(desk.ours(), desk.theirs()) for desk in desks]
    bar(f"first run, {what}, seconds against vdirsyncer", min(o.wall for o, _ in costs), min(t.wall for _, t in costs))
    return costs[-1][0]


def quiet(desk: Desk, what: str) -> None:
    """Row 2: nothing changed."""
    desk.ours()  # takes note of its own writes
    turns = [(desk.ours().wall, desk.theirs().wall) for _ in range(TURNS)]
    ours, theirs = min(o for o, _ in turns), min(t for _, t in turns)
    bar(f"quiet pass as a process, {what}, seconds against vdirsyncer", ours, theirs, 0.5)


def at_radicale(folder: Path) -> None:
    """Rows 1 and 2 at a server that people run; its folder is filled beforehand."""
    with radicale(folder / "server", {"ann": "ann"}) as server:
        path = server.calendar("ann", "big")
        place = folder / "server/collections/collection-root/ann/big"
        for number in range(FEW):
            (place / f"bench-{number}.ics").write_bytes(event(number, datetime.now(UTC)).encode())
        _warm(server, path)
        desks = [Desk(folder / f"radicale{n}", server, path) for n in range(2)]
        first_runs(desks, f"{FEW} events at Radicale")
        quiet(desks[0], f"{FEW} events at Radicale")


def _warm(server: Server, path: str) -> None:
    """Radicale reads each file once and keeps what it found: neither of the two pays for that."""
    prop = "<prop><getetag/></prop>"
    server.request("ann", "PROPFIND", path, f'<propfind xmlns="DAV:">{prop}</propfind>', Depth="1")
    asked = f'<sync-collection xmlns="DAV:"><sync-token/><sync-level>1</sync-level>{prop}</sync-collection>'
    server.request("ann", "REPORT", path, asked, Depth="1")


def at_once(folder: Path, sizes: list[int]) -> None:
    """Rows 1 to 5 at a server that answers at once."""
    memory, changed = [], []
    for size in sizes:
        with loopback(2, size) as server:
            server.request("ann", "PROPFIND", "/u0/cal/", "", Depth="0")  # nobody pays for the server's start
            desks = [Desk(folder / f"{size}-{n}", server, "/u0/cal/") for n in range(2 if size == FEW else 1)]
            memory.append(first_runs(desks, f"{size} events").memory)
            quiet(desks[0], f"{size} events")
            inside = desks[0].inside("quiet")
            bar(f"quiet pass, {size} events, requests against 1", inside["requests"], 1)
            bar(f"quiet pass inside the service, {size} events, CPU ms against 5", inside["cpu"] * 1000, 5)
            changed.append(desks[0].inside("changed"))
            bar(f"one changed event of {size}, requests against 3", changed[-1]["requests"], 3)
            size_of_store = sum(p.stat().st_size for p in desks[0].folder.glob("store.db*"))
            bar(f"store, bytes a link of {size} against 2048", size_of_store / size, 2048)
    if len(sizes) > 1:
        bar(f"one changed event, CPU at {MANY} events against {FEW}", changed[1]["cpu"], changed[0]["cpu"], 1.25)
        bar(f"peak memory of a first run, {MANY} events against {FEW}", memory[1], memory[0], 1.1)


def one_event(folder: Path) -> None:
    """Row 4: the CPU of a new event, feed to settled, against icalendar's own reading of it."""
    with loopback(2, FEW) as server:
        small = server.calendar("ann", "u0/few")
        for number in range(3):
            server.put("ann", f"{small}e{number}.ics", event(number, datetime.now(UTC), 7))
        desk = Desk(folder / "fresh", server, "/u1/cal/")
        configure(desk.folder, server.url, [("bob", small), ("ann", "/u1/cal/")])
        found = desk.inside("fresh", FEW)
        bar("a new event, CPU seconds against icalendar's from_ical", found["ours"], found["theirs"], 3)


def many(folder: Path) -> None:
    """Row 6: quiet pairings in one process."""
    place = folder / "many"
    place.mkdir()
    with loopback(PAIRINGS, 2) as server:
        seen = watch(place, server, PAIRINGS, 2)
    bar(f"{PAIRINGS} quiet pairings, seconds behind at worst against {INTERVAL}", seen.behind, INTERVAL)
    bar(f"{PAIRINGS} quiet pairings every {INTERVAL} s, processor cores against 1", seen.cores, 1)


def mail(folder: Path, sizes: list[int]) -> None:
    """Row 7, where Dovecot and mbsync are installed."""
    if not available():
        print(json.dumps({"name": "mail", "skipped": "needs Debian's dovecot-imapd and isync"}), flush=True)
        return
    for name, ours, theirs, limit in measure(folder, sizes[0], sizes[1] if len(sizes) > 1 else 0):
        bar(name, ours, theirs, limit)


def main() -> None:
    """Measures and prints."""
    quick = sys.argv[1:] == ["quick"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        at_radicale(folder)
        at_once(folder, [FEW] if quick else [FEW, MANY])
        one_event(folder)
        mail(folder, [MAILS] if quick else [MAILS, MAILS_MANY])
        if not quick:
            many(folder)


if __name__ == "__main__":
    main()
