"""iCalendar in place: what is not edited comes back as it was; what cannot be read says so."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.caldav.lines import BadCalendar, escape, fold, parse, unescape, written
from connectors.caldav.read import read
from connectors.caldav.transport import Library, Plain, SignIn, Transport, _silent, transport
from connectors.caldav.write import apply
from syncd.cli.story_data import notes_event
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import Unsupported

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "ics"

pytestmark = pytest.mark.either


def event(*lines: str) -> str:
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:x", *lines, "END:VEVENT", "END:VCALENDAR"]
    return "\r\n".join(body) + "\r\n"


def test_a_notes_zone_is_understood_and_its_spelling_is_kept() -> None:
    text = notes_event(NOW).replace("\n", "\r\n") + "\r\n"
    entry = read(text)
    span = entry.fields["time"]
    assert span.zone == "Pacific"
    assert span.start.tzinfo == ZoneInfo("America/Los_Angeles")
    root = parse(text)
    apply(root, entry.fields, {"time": span.moved_to(span.start + timedelta(hours=2)), "summary": "New"}, NOW)
    after = written(root)
    assert "DTSTART;TZID=Pacific:20261130T110000" in after
    assert "X-LOTUS-UPDATE-SEQ:1" in after
    assert "SEQUENCE:1" in after
    changed = ("SUMMARY", "DTSTART;TZID", "DTEND", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "X-LOTUS-UPDATE-SEQ")
    assert [x for x in text.split("\r\n") if x not in after.split("\r\n") and not x.startswith(changed)] == []


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (("DTSTART;VALUE=DATE:20261201",), date(2026, 12, 1), date(2026, 12, 2)),
        (("DTSTART;VALUE=DATE:20261201", "DTEND;VALUE=DATE:20261201"), date(2026, 12, 1), date(2026, 12, 2)),
        (("DTSTART:20261201T100000Z", "DURATION:P1DT1H"), datetime(2026, 12, 1, 10, tzinfo=UTC),
         datetime(2026, 12, 2, 11, tzinfo=UTC)),
        (("DTSTART:20261201T100000",), datetime(2026, 12, 1, 10), datetime(2026, 12, 1, 10)),  # noqa: DTZ001
        (("DTSTART;TZID=W. Europe Standard Time:20261201T100000", "DURATION:PT30M"),
         datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 1, 9, 30, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_every_way_to_say_when(lines: tuple[str, ...], start: date, end: date) -> None:
    assert read(event(*lines)).fields["time"] == Span(start, end)


def test_a_recurrence_id_in_utc_is_the_masters_occurrence() -> None:
    text = event("DTSTART;TZID=Europe/Berlin:20261201T100000", "RRULE;TZID=Eastern:FREQ=DAILY;COUNT=5").replace(
        "END:VCALENDAR",
        "BEGIN:VEVENT\r\nUID:x\r\nRECURRENCE-ID:20261202T090000Z\r\nDTSTART:20261202T120000Z\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    series = read(text).fields["recurrence"]
    assert series.rule == "FREQ=DAILY;COUNT=5"
    assert list(series.overrides) == ["20261202T090000Z"]


def test_leaving_an_occurrence_out_spells_it_as_the_start_is_spelt() -> None:
    text = event("DTSTART;TZID=Europe/Berlin:20261201T100000", "RRULE:FREQ=DAILY;COUNT=5")
    entry, root = read(text), parse(text)
    wanted = Recurrence("FREQ=DAILY;COUNT=5", exdates=frozenset({"20261203T090000Z"}))
    apply(root, entry.fields, {"recurrence": wanted}, NOW)
    assert "EXDATE;TZID=Europe/Berlin:20261203T100000\r\n" in written(root)
    assert read(written(root)).fields["recurrence"] == wanted


def test_attendees_are_never_written() -> None:
    from syncd.model.people import Participant, People

    text = event("DTSTART:20261201T100000Z")
    with pytest.raises(Unsupported):
        apply(parse(text), {}, {"attendees": People([Participant("a@b.example")])}, NOW)


@pytest.mark.parametrize(
    "text",
    ["", "BEGIN:VCALENDAR\r\n", event("no content line here"), event("DTSTART:soon"), event("SUMMARY:no start"),
     event("DTSTART;TZID=Nowhere/At All:20261201T100000"), event("DTSTART:20261201T100000Z", "RRULE:A=B", "RRULE:C=D"),
     "\x00" + event("DTSTART:20261201T100000Z"), event("DTSTART:20261201T100000Z", "DURATION:for ever")],
)  # fmt: skip
def test_what_cannot_be_read_says_so_and_quotes_nothing(text: str) -> None:
    with pytest.raises(BadCalendar) as caught:
        read(text)
    assert "Nowhere" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=300))
def test_words_survive_escaping_and_folding(text: str) -> None:
    folded = fold("SUMMARY:" + escape(text))
    assert all(len(line.encode()) <= 76 for line in folded.split("\r\n"))
    root = parse(event("DTSTART:20261201T100000Z", folded))
    assert unescape(root.components("VEVENT")[0].line("SUMMARY").value) == text  # type: ignore[union-attr]


def test_every_file_that_is_read_and_not_edited_comes_back_line_for_line() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real calendars lies beside the developers' checkouts only")
    same = 0
    for path in sorted(CORPUS.rglob("*.ics")):
        text = path.read_bytes().decode("utf-8", "replace").lstrip("\ufeff")
        try:
            root = parse(text)
        except BadCalendar:
            continue
        lines = [x for x in text.replace("\r\n", "\n").split("\n") if x.strip()]
        after = [x for x in written(root).replace("\r\n", "\n").split("\n") if x.strip()]
        assert [x.upper() if x.upper().startswith(("BEGIN", "END")) else x for x in lines] == [
            x.upper() if x.upper().startswith(("BEGIN", "END")) else x for x in after
        ], path.name
        same += 1
    assert same > 100


def test_connections_beyond_the_thousandth_are_looked_at_too() -> None:
    import fcntl
    import socket

    here, there = socket.socketpair()
    with here, there, socket.socket(fileno=fcntl.fcntl(here, fcntl.F_DUPFD, 1500)) as high:
        assert _silent(high)
        there.send(b"x")
        assert not _silent(high)


@pytest.mark.parametrize(
    "variables", [{"http_proxy": "http://proxy.example:3128"}, {"all_proxy": "http://proxy.example:3128"}]
)
def test_a_proxy_in_the_environment_is_the_librarys(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def way() -> type[Transport]:
        found = transport("http://dav.example/", SignIn("ann"), True, 1)
        found.close()
        return type(found)

    assert way() is Plain
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert way() is Library
    monkeypatch.setenv("no_proxy", "dav.example")
    assert way() is Plain
