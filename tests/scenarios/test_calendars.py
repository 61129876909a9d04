"""Scenarios A6, A8, A13, P4, and every calendar of the corpus: what people's calendars really hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.caldav.lines import BadCalendar, Component, parse, written
from connectors.caldav.read import NoEntry, read
from syncd.cli.story_data import notes_event
from syncd.crm.database import SYSTEM, Crm
from syncd.model.recurrence import BadRule, starts
from syncd.model.span import parse_moment
from tests.scenarios.conftest import MONDAY, Desk
from tests.servers.proxy import Verbatim, proxy

MakeDesk = Callable[..., Desk]
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "ics"
YEAR = MONDAY.year + 1
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


def by_subject(desk: Desk) -> dict[str, dict[str, object]]:
    return {a["subject"]: a for a in desk.activities()}


#: name -> lines of an event, and the CRM's start and end (a date, or an instant in UTC).
DATES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "all day": ((f"DTSTART;VALUE=DATE:{YEAR}0105", f"DTEND;VALUE=DATE:{YEAR}0106"), f"{YEAR}0105", f"{YEAR}0106"),
    "three days": ((f"DTSTART;VALUE=DATE:{YEAR}0327", f"DTEND;VALUE=DATE:{YEAR}0330"), f"{YEAR}0327", f"{YEAR}0330"),
    "berlin winter": (
        (f"DTSTART;TZID=Europe/Berlin:{YEAR}0110T093000", f"DTEND;TZID=Europe/Berlin:{YEAR}0110T103000"),
        f"{YEAR}0110T083000Z",
        f"{YEAR}0110T093000Z",
    ),
    "berlin summer": (
        (f"DTSTART;TZID=Europe/Berlin:{YEAR}0610T093000", f"DTEND;TZID=Europe/Berlin:{YEAR}0610T103000"),
        f"{YEAR}0610T073000Z",
        f"{YEAR}0610T083000Z",
    ),
    "sydney summer": (
        (f"DTSTART;TZID=Australia/Sydney:{YEAR}0110T093000", "DURATION:PT45M"),
        f"{YEAR}0109T223000Z",
        f"{YEAR}0109T231500Z",
    ),
    "sydney winter": (
        (f"DTSTART;TZID=Australia/Sydney:{YEAR}0610T093000", "DURATION:PT45M"),
        f"{YEAR}0609T233000Z",
        f"{YEAR}0610T001500Z",
    ),
    "over the change": (  # the night in which Berlin's clocks go forward is 23 hours long
        ("DTSTART;TZID=Europe/Berlin:20270327T220000", "DTEND;TZID=Europe/Berlin:20270328T080000"),
        "20270327T210000Z",
        "20270328T060000Z",
    ),
    "floating": (
        (f"DTSTART:{YEAR}0112T080000", f"DTEND:{YEAR}0112T090000"),
        f"{YEAR}0112T080000",
        f"{YEAR}0112T090000",
    ),
    "windows zone": (
        (f"DTSTART;TZID=W. Europe Standard Time:{YEAR}0113T080000", "DURATION:PT1H"),
        f"{YEAR}0113T070000Z",
        f"{YEAR}0113T080000Z",
    ),
}


def test_a6_lesson_21_dates_and_instants_are_the_same_on_both_sides_and_zones_keep_their_spelling(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk("ann", window="future: 365d => future: 3y")
    paths = {
        name: desk.put("ann", name.replace(" ", "-"), f"SUMMARY:{name}", *lines)
        for name, (lines, _, _) in DATES.items()
    }
    paths["notes"] = f"{desk.paths['ann']}notes.ics"
    assert desk.server.put("ann", paths["notes"], notes_event(datetime.now(UTC))) == 201
    before = {name: desk.get("ann", path) for name, path in paths.items()}
    desk.sync()
    found = by_subject(desk)
    for name, (_, start, end) in DATES.items():
        assert (found[name]["starts"], found[name]["ends"]) == (start, end), name
    notes = next(a for s, a in found.items() if s not in DATES)
    own = read(before["notes"]).fields["time"]
    assert parse_moment(str(notes["starts"])) == own.start
    for activity in found.values():
        desk.edit(str(activity["guid"]), "--location", "Room 9")
    desk.sync()
    for name, path in paths.items():
        assert left(desk.get("ann", path), "LOCATION") == left(before[name], "LOCATION"), name
        assert "LOCATION:Room 9" in desk.get("ann", path)
    desk.quiet()
    assert {n: (a["starts"], a["ends"]) for n, a in by_subject(desk).items()} == {
        n: (a["starts"], a["ends"]) for n, a in found.items()
    }


def left(text: str, *edited: str) -> list[str]:
    """The lines of an object but for those that an edit may touch."""
    usual = ("DTSTAMP", "LAST-MODIFIED", *edited)
    return sorted(line for line in text.split("\n") if line.strip() and not line.upper().startswith(usual))


@pytest.mark.everywhere
def test_a8_tomorrows_window_brings_tomorrows_occurrence_and_takes_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", crm=", series: false", window="past: 30d, future: 365d => past: 2d, future: 10d")
    start = (datetime.now(UTC) - timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    path = desk.put("ann", "daily", "SUMMARY:Daily", "RRULE:FREQ=DAILY", start=start)
    desk.sync()
    first = {a["starts"] for a in desk.activities()}
    assert len(first) == 12  # yesterday, today, and ten days more
    for days in (1, 2, 5):
        desk.days = days
        desk.sync()
        now = {a["starts"] for a in desk.activities()}
        assert first < now
        assert len(now) == 12 + days
        desk.quiet()
    assert {a["status"] for a in desk.activities()} == {"open"}
    assert "EXDATE" not in desk.get("ann", path)


@pytest.mark.everywhere
@pytest.mark.parametrize("same_account", [True, False])
def test_a13_lesson_4_an_employee_moves_to_another_groupware(make_desk: MakeDesk, same_account: bool) -> None:
    desk = make_desk("ann")
    for n in range(4):
        desk.put("ann", f"e{n}", f"SUMMARY:Event {n}", f"UID:notes-{n}", start=MONDAY + timedelta(days=n))
    desk.create("--subject", "From the CRM", "--from", f"{MONDAY:%Y-%m-%d} 15:00", "--to", f"{MONDAY:%Y-%m-%d} 16:00")
    desk.sync()
    assert len(desk.activities()) == 5
    # the migration copies every event, UIDs kept, into a calendar of the new system, under other names
    old, new = desk.paths["ann"], desk.server.calendar("ann", f"new-{MONDAY:%f}-{same_account}-{id(desk)}")
    for n, path in enumerate(desk.names("ann")):
        assert desk.server.put("ann", f"{new}migrated-{n}.ics", desk.get("ann", path)) == 201
    file = desk.folder / "syncd.yaml"
    text = file.read_text().replace(old, new)
    if not same_account:
        text = text.replace("  cal: {", "  exchange: {").replace("profile: cal,", "profile: exchange,")
    file.write_text(text)
    desk.paths["ann"] = new
    done = desk.sync()["ann"]
    assert done["created"] == {"crm": 0, "groupware": 0}
    assert done["deleted"] == {"crm": 0, "groupware": 0}
    desk.quiet()
    assert len(desk.activities()) == 5
    assert {a["status"] for a in desk.activities()} == {"open"}
    assert len(desk.calendar("ann")) == 5
    guid = next(a["guid"] for a in desk.activities() if a["subject"] == "Event 2")
    desk.edit(guid, "--subject", "Event two")
    desk.sync()
    assert sum("SUMMARY:Event two" in event for event in desk.calendar("ann")) == 1
    desk.quiet()


SERIES = ("RRULE:FREQ=DAILY;COUNT=4",)


@pytest.mark.everywhere
@pytest.mark.parametrize("series", [True, False])
def test_p4_one_private_occurrence_of_a_public_series(make_desk: MakeDesk, series: bool) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    second = MONDAY + timedelta(days=1)
    desk.put("ann", "s", "SUMMARY:Weekly talk", "UID:s", *SERIES, "END:VEVENT", "BEGIN:VEVENT", "UID:s",
             f"RECURRENCE-ID:{second:%Y%m%dT%H%M%SZ}", "SUMMARY:Xylophone lesson", "CLASS:PRIVATE",
             f"DTSTART:{second:%Y%m%dT%H%M%SZ}", f"DTEND:{second + timedelta(hours=2):%Y%m%dT%H%M%SZ}")  # fmt: skip
    desk.sync()
    desk.quiet()
    assert b"ylophone" not in desk.everything_written()
    found = desk.activities()
    assert {a["subject"] for a in found} == {"Weekly talk"}
    assert len(found) == (1 if series else 3)


@pytest.mark.everywhere
@pytest.mark.parametrize("series", [True, False])
def test_p4_one_public_occurrence_of_a_private_series(make_desk: MakeDesk, series: bool) -> None:
    desk = make_desk("ann", crm="" if series else ", series: false")
    second = MONDAY + timedelta(days=1)
    desk.put("ann", "s", "SUMMARY:Xylophone lessons", "CLASS:PRIVATE", "UID:s", *SERIES, "END:VEVENT", "BEGIN:VEVENT",
             "UID:s", f"RECURRENCE-ID:{second:%Y%m%dT%H%M%SZ}", "SUMMARY:Concert for customers", "CLASS:PUBLIC",
             f"DTSTART:{second:%Y%m%dT%H%M%SZ}", f"DTEND:{second + timedelta(hours=2):%Y%m%dT%H%M%SZ}")  # fmt: skip
    desk.sync()
    desk.quiet()
    assert b"ylophone" not in desk.everything_written()
    assert [a["subject"] for a in desk.activities()] == ["Concert for customers"]


@pytest.mark.everywhere
@pytest.mark.parametrize("private", ["withhold", "busy-only", "full"])
def test_p4_an_own_private_date_of_a_series_that_the_crm_makes_private_for_a_while(
    make_desk: MakeDesk, private: str
) -> None:
    desk = make_desk("ann", "bob", one=f"private: withhold => private: {private}")
    second = MONDAY + timedelta(days=1)
    path = desk.put(
        "ann", "s", "SUMMARY:Weekly talk", "UID:s", *SERIES, "END:VEVENT", "BEGIN:VEVENT", "UID:s",
        f"RECURRENCE-ID:{second:%Y%m%dT%H%M%SZ}", "SUMMARY:Xylophone lesson", "CLASS:PRIVATE",
        f"DTSTART:{second:%Y%m%dT%H%M%SZ}", f"DTEND:{second + timedelta(hours=2):%Y%m%dT%H%M%SZ}",
    )  # fmt: skip
    desk.sync()
    guid = desk.only()["guid"]
    seen = []
    for words in (("--private",), ("--notes", "Agenda"), ("--public",)):
        desk.edit(guid, *words)
        seen += [desk.activities(as_="bob")]
        desk.sync()
        seen += [desk.activities(as_="bob")]
    desk.quiet()
    assert "ylophone" not in repr([seen, desk.activities(as_="bob")])
    assert private == "full" or b"ylophone" not in desk.everything_written()
    text = desk.get("ann", path)
    assert "Agenda" in text
    assert [("Xylophone" in part, "CLASS:PRIVATE" in part) for part in text.split("BEGIN:VEVENT")[1:]] == [
        (False, False), (True, True)
    ]  # fmt: skip


# -- the corpus -----------------------------------------------------------------------------------------


def objects(text: str) -> list[str]:
    """A file's entries as a server holds them: one object a UID, with the zones."""
    if "BEGIN:VCALENDAR" not in text.upper():
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Client//EN\r\n{text.strip()}\r\nEND:VCALENDAR\r\n"
    try:
        root = parse(text)
    except BadCalendar:
        return [text]
    entries: dict[tuple[str, str], list[Component]] = {}
    for component in root.components("VEVENT", "VTODO"):
        uid = component.line("UID")
        entries.setdefault((component.name, uid.value if uid else ""), []).append(component)
    rest = [p for p in root.parts if not (isinstance(p, Component) and p.name in ("VEVENT", "VTODO"))]
    return [written(Component("VCALENDAR", [*rest, *group])) for group in entries.values()] or [text]


@pytest.mark.long
def test_every_calendar_of_the_corpus_crosses_and_comes_back_line_for_line(make_desk: MakeDesk) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real calendars lies beside the developers' checkouts only")
    wide = "past: 30d, future: 365d => past: 60y, future: 20y"
    desk = make_desk("ann", window=wide, private="private: withhold => private: full")
    held, uids = Verbatim(desk.server), set[str]()
    for path in sorted(CORPUS.rglob("*.ics")):
        text = path.read_bytes().decode("utf-8", "replace").lstrip("\ufeff")
        for n, one in enumerate(objects(text)):
            uid = next(iter(re.findall(r"(?m)^UID[;:].*", one)), "")
            if uid in uids and uid:  # two files about one meeting: here they are two meetings
                one = one.replace(uid.rstrip(), f"{uid.rstrip()}-{path.stem}-{n}")
            uids.add(uid)
            held.keep("ann", f"{desk.paths['ann']}{path.stem}-{n}.ics", one)
    before = dict(held.texts)
    with proxy(desk.server, held.rule) as server:
        desk.through(server)
        desk.sync()
        desk.quiet()
        assert held.texts == before  # reading writes nothing
        (pairing,) = desk.run("status", "--json", status=(0, 1)).json["pairings"]
        parked = {p["ref"]: p["reason"] for p in pairing["parked"]}
        assert not [reason for reason in parked.values() if not reason or "unexpected" in reason]
        for ref, text in before.items():
            assert (ref in parked) == unreadable(text), (ref, parked.get(ref))
        with closing(Crm.open(desk.database or f"sqlite:///{desk.folder / 'crm.db'}")) as crm:
            activities = crm.search(viewer=SYSTEM, limit=1000)
            assert len(activities) > 60
            for activity in activities:
                crm.edit(activity.guid, {"subject": f"New {activity.guid}"}, by=SYSTEM)
        desk.sync()
        desk.quiet()
    changed = {ref for ref, text in held.texts.items() if re.search(r"(?m)^SUMMARY[^:]*:New ", text)}
    own = [ref for ref, text in before.items() if ref not in parked and not somebody_elses(text)]
    assert len(changed) > 60
    assert changed <= set(own)
    for ref, text in before.items():
        edits = ("SUMMARY", "DTSTAMP", "LAST-MODIFIED") if ref in changed else ()
        assert lines(held.texts[ref], edits) == lines(text, edits), ref


def lines(text: str, edited: tuple[str, ...]) -> list[str]:
    """The lines in their order, unfolded, but for those that an edit may touch."""
    unfolded = re.sub(r"\r?\n[ \t]", "", text).replace("\r\n", "\n").split("\n")
    return [x for x in unfolded if x.strip() and not x.upper().startswith(edited or ("\0",))]


def somebody_elses(text: str) -> bool:
    try:
        entry = read(text)
    except NoEntry:
        return True
    return bool(entry.owner and entry.fields.get("attendees") and entry.owner != "ann@us.example")


def unreadable(text: str) -> bool:
    """True when the object, or the rule of its series, says of itself that it cannot be read."""
    try:
        fields = read(text).fields
        if "time" in fields and not fields["recurrence"].empty:
            list(starts(fields["time"], fields["recurrence"], LONG_AGO, LONG_AGO))
    except NoEntry:
        return False
    except (BadCalendar, BadRule):
        return True
    return False


def test_what_comes_from_the_crm_goes_into_a_calendar_that_takes_it(make_desk: MakeDesk) -> None:
    """The first one, of the whole team, is read-only."""
    desk = make_desk("ann")
    config = desk.folder / "syncd.yaml"
    config.write_text(
        config.read_text().replace(f"calendar: {desk.paths['ann']}", f"calendar: {desk.paths['ann']}, read-only: true")
    )
    at = f"{MONDAY:%Y-%m-%d}"
    guid = desk.create("--subject", "Visit", "--from", at, "--to", at)
    desk.sync()
    assert "it is read-only: what comes from the CRM goes nowhere" in desk.run("check").out
    assert "read-only, nothing is written there" in desk.run("explain", guid).out
    mine = desk.server.calendar("ann", "mine")
    account = f"name: mine, profile: cal, username: ann, password: 'file:secrets/ann', calendar: {mine}"
    config.write_text(config.read_text().replace(", read-only: true}]", f", read-only: true}}, {{{account}}}]"))
    desk.sync()
    assert "goes nowhere" not in desk.run("check").out
    assert desk.calendar("ann") == []
    desk.paths["ann"] = mine
    assert "SUMMARY:Visit" in "".join(desk.calendar("ann"))


def test_a_task_that_the_crm_completes_is_all_done_on_both_sides(make_desk: MakeDesk) -> None:
    """What goes along with its status, in the calendar, is the CRM's too."""
    desk = make_desk("ann", mapping="tasks", component="VTODO")
    desk.put("ann", "half", "UID:half", "SUMMARY:Report", "STATUS:IN-PROCESS", "PERCENT-COMPLETE:50", component="VTODO")
    desk.sync()
    guid = desk.only()["guid"]
    for status, percent in (("completed", 100), ("open", 0)):
        desk.edit(guid, "--status", status)
        desk.sync()
        desk.sync()
        desk.quiet()
        shown = desk.show(guid)
        assert (shown["status"], shown["completion"]) == (status, percent)
        (text,) = desk.calendar("ann")
        assert f"PERCENT-COMPLETE:{percent}" in text
