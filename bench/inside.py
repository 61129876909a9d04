"""What is measured inside one process of ours, apart from its start: ``python -m bench.inside WHAT FOLDER ...``.

Prints one JSON object. CPU is the process's own, so what the server needs is not in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.server import event
from syncd.logs import silent
from syncd.service.assemble import House, open_house
from syncd.service.runner import Result, run_one
from syncd.settings import load_configuration

#: How often a short thing is done, to take the least.
TIMES = 40


def _pass(house: House, number: int = 0) -> Result:
    pairing = house.chosen[number]
    result = run_one(pairing, house.pairings, house.store, house.key, datetime.now(UTC))
    assert result.outcome == "ok", result.error
    return result


def _least(do: Callable[[], Any], times: int = TIMES) -> float:
    """CPU seconds, the least of several."""
    found = []
    for _ in range(times):
        began = time.process_time()
        do()
        found.append(time.process_time() - began)
    return min(found)


def quiet(house: House) -> dict[str, float]:
    """A pass in which nothing happened, in a process that runs already."""
    _pass(house)
    return {"cpu": _least(lambda: _pass(house)), "requests": _pass(house).requests[0]}


def changed(house: House) -> dict[str, float]:
    """One event changed in the calendar, then a pass; and one in the CRM, then a pass."""
    _pass(house)
    replica: Any = house.chosen[0].replica
    refs = [c.ref for page in replica.changes("") for c in page.changes][:TIMES]
    found: dict[str, list[float]] = {"cpu": [], "requests": []}
    for ref in refs:
        text = str(replica.fetch([ref])[ref].native).replace("LOCATION:", "LOCATION:Not ")
        replica.dav.request("PUT", ref, text, {"Content-Type": "text/calendar"})
        began = time.process_time()
        result = _pass(house)
        found["cpu"].append(time.process_time() - began)
        found["requests"].append(result.requests[0])
        assert result.report.updated_crm == 1, result.report
    return {"cpu": min(found["cpu"]), "requests": max(found["requests"])}


def fresh(house: House, events: int) -> dict[str, float]:
    """A new event, feed to settled, and icalendar's own reading of the same text, in turns."""
    from icalendar import Calendar

    _pass(house, 0)  # a calendar of a few events: everything is imported and signed in
    texts = [event(number, datetime.now(UTC)) for number in range(events)]
    began = time.process_time()
    result = _pass(house, 1)
    ours = time.process_time() - began
    assert result.report.created_crm == events, result.report
    began = time.process_time()
    for text in texts:
        Calendar.from_ical(text)
    return {"ours": ours / events, "theirs": (time.process_time() - began) / events}


def main() -> None:
    """Opens the folder's configuration and measures."""
    what, folder, *words = sys.argv[1:]
    silent()
    measures: dict[str, Callable[..., dict[str, float]]] = {"quiet": quiet, "changed": changed, "fresh": fresh}
    with open_house(load_configuration(Path(folder) / "syncd.yaml")) as house:
        print(json.dumps(measures[what](house, *map(int, words))))


if __name__ == "__main__":
    main()
