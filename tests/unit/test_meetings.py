"""Whose meeting an iCalendar object is, who takes part, and who would have to be told."""

from __future__ import annotations

import pytest

from connectors.caldav.owner import calendar_user
from connectors.caldav.people import Whose, hears
from connectors.caldav.read import Entry, read

pytestmark = pytest.mark.either

ANN = "ann@firm.example"
PATH = "/1002/principal/"


def event(*lines: str) -> str:
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:x", "DTSTART:20261201T100000Z",
            "DTEND:20261201T110000Z", *lines, "END:VEVENT", "END:VCALENDAR"]  # fmt: skip
    return "\r\n".join(body) + "\r\n"


def of_ann(*hers: str) -> tuple[Whose, list[str]]:
    """Ann's calendar on a server that knows her by these, and what the server was asked."""
    asked: list[str] = []

    def says(value: str) -> bool:
        asked.append(value)
        return calendar_user(value) in {calendar_user(h) for h in hers}

    return Whose((ANN, "ann@home.example"), says), asked


def in_anns(*lines: str, hers: tuple[str, ...] = (PATH, "mailto:ann@alias.example")) -> Entry:
    return read(event(*lines), of_ann(*hers)[0])


OTHERS = ("ATTENDEE:mailto:ann@firm.example", "ATTENDEE:mailto:dora@cust.example")


@pytest.mark.parametrize(
    "line",
    [
        "ORGANIZER;CN=Boss:mailto:",
        "ORGANIZER;CN=Boss:MAILTO: ",
        "ORGANIZER;CN=Boss:",
        "ORGANIZER:mailto:",
        "ORGANIZER;CN=ann@firm.example:mailto:",
        "ORGANIZER;CN=Ann;EMAIL=ann@firm.example:mailto:",
        "ORGANIZER;EMAIL=ann@firm.example:mailto:boss@firm.example",
        "ORGANIZER;CN=Boss:invalid:nomail",
        "ORGANIZER;CN=Boss:/1001/principal/",
        "ORGANIZER;CN=Boss:/users/ann@firm.example/",
        "ORGANIZER;CN=Boss:https://dav.firm.example/users/ann@firm.example",
        "ORGANIZER;CN=Boss:urn:uuid:0000-11",
        "ORGANIZER:mailto:ann",
        "ORGANIZER:mailto:ann@",
        "ORGANIZER:mailto:<ann@firm.example>",
    ],
)
def test_case_s4_an_organizer_without_an_address_is_somebody_else(line: str) -> None:
    entry = in_anns(line, *OTHERS)
    assert entry.owner
    assert entry.owner not in (ANN, "ann@home.example")
    assert entry.owner == "boss@firm.example" or "@" not in entry.owner
    assert "" not in entry.fields["attendees"]
    assert set(entry.fields["attendees"]) <= {ANN, "dora@cust.example", "boss@firm.example"}


@pytest.mark.parametrize("line", ["ORGANIZER;CN=Boss:mailto:", "ORGANIZER;CN=Boss:urn:uuid:0000-11"])
def test_case_s4_the_same_organizer_is_known_again_in_every_copy(line: str) -> None:
    assert in_anns(line, *OTHERS).owner == read(event(line), Whose(("bob@firm.example",))).owner
    assert in_anns(line).owner != in_anns("ORGANIZER;CN=Another:mailto:").owner


@pytest.mark.parametrize(
    "line",
    [
        f"ORGANIZER;CN=Ann;EMAIL=ann@firm.example:{PATH}",
        f"ORGANIZER;CN=Ann:{PATH}",
        "ORGANIZER;CN=Ann:/1002/principal",
        "ORGANIZER;CN=Ann:mailto:Ann@Alias.example",
        "ORGANIZER;CN=Ann:mailto:Ann@Firm.Example",
        "ORGANIZER;CN=Ann:ann@firm.example",
        "ORGANIZER;CN=Ann;EMAIL=ann@firm.example:/1003/principal/",
        "ORGANIZER;CN=Ann;EMAIL=somebody@else.example:/1002/principal/",
    ],
)
def test_case_s5_her_own_meeting_is_hers_however_the_server_spells_her(line: str) -> None:
    assert in_anns(line, *OTHERS).owner == ANN


def test_case_s5_participants_are_known_by_their_addresses_and_nothing_else_is_one() -> None:
    entry = in_anns(
        f"ORGANIZER;CN=Ann;EMAIL=ann@firm.example:{PATH}",
        f"ATTENDEE;PARTSTAT=ACCEPTED;CN=Ann:{PATH}",
        "ATTENDEE;EMAIL=dora@cust.example;PARTSTAT=DECLINED:mailto:2_XYZ@imip.me.example",
        "ATTENDEE;CN=Room 7;CUTYPE=ROOM:urn:uuid:1234",
        "ATTENDEE;CN=Team:mailto:",
        "ATTENDEE:invalid:nomail",
    )
    people = entry.fields["attendees"]
    assert {a: p.answer for a, p in people.items()} == {ANN: "accepted", "dora@cust.example": "declined"}
    assert entry.guests == {"dora@cust.example", "urn:uuid:1234", "team", "invalid:nomail"}


def test_case_s5_the_parameter_does_not_take_her_answer_away() -> None:
    hers = "ATTENDEE;EMAIL=else@x.example;PARTSTAT=ACCEPTED:mailto:ann@home.example"
    people = in_anns("ORGANIZER:mailto:b@c.example", hers).fields["attendees"]
    assert set(people) == {"ann@home.example", "b@c.example"}


def test_guests_of_an_occurrence_are_guests_of_the_series() -> None:
    text = event("RRULE:FREQ=DAILY;COUNT=3", "ORGANIZER:mailto:ann@firm.example").replace(
        "END:VCALENDAR",
        "\r\n".join(["BEGIN:VEVENT", "UID:x", "RECURRENCE-ID:20261202T100000Z", "DTSTART:20261202T100000Z",
                     "ORGANIZER:mailto:ann@firm.example", "ATTENDEE:mailto:dora@cust.example", "END:VEVENT",
                     "END:VCALENDAR"]))  # fmt: skip
    entry = read(text, of_ann()[0])
    assert entry.guests == {"dora@cust.example"}
    assert hears(entry.root.components("VEVENT"), of_ann()[0])


def test_an_organizer_who_stands_in_an_occurrence_only_is_one() -> None:
    text = event("RRULE:FREQ=DAILY;COUNT=3").replace(
        "END:VCALENDAR",
        "\r\n".join(["BEGIN:VEVENT", "UID:x", "RECURRENCE-ID:20261202T100000Z", "DTSTART:20261202T100000Z",
                     "ORGANIZER:mailto:boss@firm.example", "END:VEVENT", "END:VCALENDAR"]))  # fmt: skip
    assert read(text, of_ann()[0]).owner == "boss@firm.example"


@pytest.mark.parametrize(
    ("lines", "heard"),
    [
        ((), False),
        (("ORGANIZER:mailto:ann@firm.example",), False),
        (("ORGANIZER:mailto:ann@firm.example", "ATTENDEE:mailto:ann@home.example"), False),
        ((f"ORGANIZER:{PATH}", f"ATTENDEE:{PATH}"), False),
        (("ORGANIZER:mailto:boss@firm.example",), True),
        (("ORGANIZER;CN=Boss:mailto:",), True),
        (("ATTENDEE:mailto:dora@cust.example",), True),
        (("ATTENDEE;CN=Room:mailto:",), True),
        (("ORGANIZER:mailto:ann@firm.example", "ATTENDEE;CUTYPE=ROOM:urn:uuid:1"), True),
    ],
)
def test_case_s2_whoever_is_not_the_calendars_owner_would_hear_of_it(lines: tuple[str, ...], heard: bool) -> None:
    assert hears(read(event(*lines)).root.components("VEVENT"), of_ann(PATH)[0]) == heard


def asked(*lines: str) -> set[str]:
    whose, questions = of_ann(PATH)
    read(event(*lines), whose)
    return set(questions)


def test_the_server_is_asked_only_where_something_depends_on_it() -> None:
    assert asked() == set()
    assert asked("ORGANIZER:mailto:ann@firm.example", *OTHERS) == set()
    assert asked("ATTENDEE:mailto:dora@cust.example") == set()
    assert asked("ORGANIZER:mailto:boss@firm.example") == {"mailto:boss@firm.example"}
    assert asked(f"ATTENDEE:{PATH}") == {PATH}
