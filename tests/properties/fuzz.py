"""Readers under noise: whatever arrives, a reader answers or says what is wrong; it neither raises
anything else nor takes long.

``python -m tests.properties.fuzz --seconds 600 --seed 1`` goes on for a while; the tests do a little of it.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from connectors.caldav.dav import Listing, _parsed
from connectors.caldav.lines import BadCalendar, parse, written
from connectors.caldav.read import read
from connectors.caldav.write import apply
from syncd.engine.occurrences import expand
from syncd.engine.window import inside, over, wakes
from syncd.mapping.loader import load_text, shipped
from syncd.model.recurrence import BadRule
from syncd.ports import PortError
from syncd.strict_yaml import BadDocument
from syncd.strict_yaml import parse as parse_yaml

#: No single answer may take longer; seconds. Generous, as the machine may be busy.
LONGEST = 10.0
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WINDOW = (NOW - timedelta(days=30), NOW + timedelta(days=365))

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Lotus Development Corporation//NONSGML Notes 8.5.2//EN_S
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Pacific
BEGIN:STANDARD
DTSTART:19501105T020000
TZOFFSETFROM:-0700
TZOFFSETTO:-0800
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=1SU;BYMONTH=11
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19500312T020000
TZOFFSETFROM:-0800
TZOFFSETTO:-0700
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=2SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:8F3A@Lotus_Notes_Generated
DTSTART;TZID="Pacific":20261123T090000
DTEND;TZID="Pacific":20261123T100000
RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=10;BYDAY=MO,WE
RDATE;TZID="Pacific":20261231T090000
EXDATE:20261207T170000Z
SUMMARY;LANGUAGE=en:A weekly\\, long meeting
DESCRIPTION;ALTREP="CID:<1>":Line one\\nline two
ORGANIZER;CN="Ann/Us":mailto:ann@us.example
ATTENDEE;ROLE=CHAIR;PARTSTAT=ACCEPTED;CN="Kim, ACME";RSVP=FALSE:mailto:kim@acme.example
CATEGORIES:Red,Blue
CLASS:PUBLIC
PRIORITY:5
STATUS:CONFIRMED
TRANSP:OPAQUE
SEQUENCE:2
X-LOTUS-UPDATE-SEQ:2
BEGIN:VALARM
TRIGGER:-PT15M
ACTION:DISPLAY
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:8F3A@Lotus_Notes_Generated
RECURRENCE-ID:20261125T170000Z
DTSTART;TZID="Pacific":20261125T110000
DURATION:PT30M
SUMMARY:Moved
END:VEVENT
END:VCALENDAR
"""
TODO = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VTODO
UID:t
DUE;VALUE=DATE:20261201
PERCENT-COMPLETE:50
STATUS:IN-PROCESS
SUMMARY:Call
END:VTODO
END:VCALENDAR
"""
MULTISTATUS = (
    '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/a/b%20c.ics</D:href><D:propstat><D:prop>'
    '<D:getetag>"1"</D:getetag></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response>'
    "<D:href>/a/gone.ics</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>"
    "<D:sync-token>http://x/1</D:sync-token></D:multistatus>"
)
WORDS = (
    "\x00", "\x85", "\u2028", "\ud800", "\ufeff", "\t", " ", "\\", "\"", "TZID=\"", "\xe9", "\U0001f600", ";",
    ":", ",", "=", "^n", "%", "&x;", "<", "[", "{", "*a", "&a", "!!python/object:os.system",
    "99999999999999999999", "-1", "0", "1e400", "NaN", "true", "null", "2026-13-45", "00010101T000000",
    "99991231T235959Z", "99991231", "00010101", "20261301T250000", "20260229", "19700101T000000Z", "30d",
    "-30d", "mailto:", "+9999", "P", "-P99999999W", "P1Y", "PT0S", "FREQ=SECONDLY",
    "FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2", "FREQ=DAILY;COUNT=1000000", "-2500",
    "FREQ=DAILY;UNTIL=99991231T235959Z", "FREQ=HOURLY;BYHOUR=25", "FREQ=WEEKLY;BYDAY=9MO", "INTERVAL=0",
    "INTERVAL=999999999", "COUNT=-1", "BYSETPOS=0", "BYWEEKNO=53", "UNTIL=garbage", "TZID=Nowhere/Land",
    "VALUE=DATE", "VALUE=PERIOD", "TZOFFSETTO:+2400", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE",
    "END:VCALENDAR", "RECURRENCE-ID:20261125",
)  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """The text with some damage."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        how = rng.randrange(9)
        if how == 0:
            del lines[at]
        elif how == 1:
            lines.insert(at, rng.choice(lines))
        elif how == 2:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == 3:
            spot = rng.randint(0, len(lines[at]))
            lines[at] = lines[at][:spot] + rng.choice(WORDS) + lines[at][spot:]
        elif how == 4:
            name, colon, _ = lines[at].partition(":")
            lines[at] = name + (colon or ":") + rng.choice(WORDS)
        elif how == 5:
            spot = rng.randint(0, len(lines[at]))
            lines[at] = lines[at][:spot] + lines[at][spot + rng.randint(1, 9) :]
        elif how == 6:
            lines[at] = rng.choice(WORDS)
        elif how == 7:
            lines[at] = lines[at] * rng.choice((2, 50))
        else:
            lines = lines[: at + 1]
        text = "\n".join(lines) or " "
    return text


def calendar(text: str) -> None:
    """Reads an object, walks its series, edits it, and reads it again."""
    try:
        entry = read(text)
    except BadCalendar:
        return
    with suppress(BadRule):
        inside(entry.fields, WINDOW, UTC)
        over(entry.fields, NOW, UTC)
        wakes(entry.fields, WINDOW, NOW, UTC)
        if entry.kind == "event" and not entry.fields["recurrence"].empty:
            expand(entry.fields, WINDOW)
    root = parse(text)
    try:
        apply(root, entry.fields, {"summary": "Edited"}, NOW)
    except (BadCalendar, BadRule):
        return
    again = read(written(root))
    assert again.fields["summary"] == "Edited"
    rest = {n: v for n, v in again.fields.items() if n != "summary"}
    assert rest.keys() == entry.fields.keys() - {"summary"}


def multistatus(text: str) -> None:
    """Reads a listing in pieces."""
    data = text.encode("utf-8", "replace")
    with suppress(PortError):
        for resource in _parsed(iter([data[n : n + 7] for n in range(0, len(data), 7)]), Listing()):
            assert isinstance(resource.href, str)


def mapping(text: str) -> None:
    """Reads a mapping; every fault has a place in the file."""
    try:
        load_text(text, "own.yaml")
    except BadDocument as error:
        assert error.problems
        assert all(1 <= p.line <= lines_of(text) + 1 and p.column >= 1 for p in error.problems)


def yaml(text: str) -> None:
    """Reads any YAML."""
    with suppress(BadDocument):
        parse_yaml(text, "x.yaml")


def lines_of(text: str) -> int:
    """How many lines a reader of YAML counts (1.1 §5.4): other breaks end one too."""
    return len(re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text))


def targets() -> list[tuple[str, Callable[[str], None], str]]:
    """Name, reader, and a good text to begin with."""
    shipped_mapping = shipped()["appointments"].read_text(encoding="utf-8")
    return [
        ("calendar", calendar, CALENDAR),
        ("to-do", calendar, TODO),
        ("multistatus", multistatus, MULTISTATUS.replace("><", ">\n<")),
        ("mapping", mapping, shipped_mapping),
        ("yaml", yaml, shipped_mapping),
    ]


def attempt(name: str, reader: Callable[[str], None], good: str, seed: int) -> str | None:
    """One damaged text; what went wrong, if anything did."""
    text = mutated(good, random.Random(f"{name} {seed}"))
    began = time.monotonic()
    try:
        reader(text)
    except Exception as error:
        return f"{name} {seed}: {type(error).__name__}: {str(error)[:200]}"
    seconds = time.monotonic() - began
    return f"{name} {seed}: {seconds:.1f} s" if seconds > LONGEST else None


def main() -> int:
    """Goes on for a while."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    end, seed, failed = time.monotonic() + words.seconds, words.seed, 0
    while time.monotonic() < end and failed < 20:
        for name, reader, good in targets():
            told = attempt(name, reader, good, seed)
            if told:
                failed += 1
                print(told, flush=True)
        seed += 1
    print(f"seeds {words.seed} to {seed - 1}: {failed} failed")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
