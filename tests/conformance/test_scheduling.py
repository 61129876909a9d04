"""A server that schedules: nobody is told what syncd writes, unless that is meant (RFC 6638).

On Cyrus, with somebody of the same server and somebody from elsewhere invited.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers.cyrus import DOMAIN, Cyrus

pytestmark = pytest.mark.either

MONDAY = (datetime.now(UTC) + timedelta(days=7)).replace(hour=10, minute=0, second=0, microsecond=0)
ANN, BOB, CARL = f"ann@{DOMAIN}", f"bob@{DOMAIN}", "carl@elsewhere.example"


def stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


@dataclass
class Meeting:
    """A meeting of ann's that bob and carl know of."""

    server: Cyrus
    path: str
    uid: str

    @property
    def text(self) -> str:
        """As it stands in ann's calendar."""
        status, text = self.server.request("ann", "GET", self.path)
        assert status == 200, status
        return text.replace("\r\n ", "")

    def forget(self) -> None:
        """What has left so far counts no more."""
        self.server.sink.mails.clear()

    def told(self) -> list[tuple[str, str]]:
        """Whom of elsewhere the server has told since."""
        return self.server.sink.told()


def lines(uid: str, *more: str, summary: str = "Review") -> str:
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Client//EN", "BEGIN:VEVENT", f"UID:{uid}",
            "DTSTAMP:20261101T000000Z", f"DTSTART:{stamp(MONDAY)}", f"DTEND:{stamp(MONDAY + timedelta(hours=1))}",
            f"SUMMARY:{summary}", "DESCRIPTION:Notes", *more, "END:VEVENT", "END:VCALENDAR"]  # fmt: skip
    return "\r\n".join(body) + "\r\n"


PEOPLE = (f"ORGANIZER;CN=Ann:mailto:{ANN}", f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{ANN}",
          f"ATTENDEE;RSVP=TRUE:mailto:{BOB}", f"ATTENDEE;RSVP=TRUE:mailto:{CARL}")  # fmt: skip


@pytest.fixture
def meeting(cyrus_server: Cyrus) -> Iterator[Meeting]:
    """Ann invites; the invitations have gone out and count no more."""
    folder, uid = cyrus_server.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), uuid.uuid4().hex
    made = Meeting(cyrus_server, f"{folder}{uid}.ics", uid)
    assert cyrus_server.put("ann", made.path, lines(uid, *PEOPLE)) == 201
    assert made.told() == [(CARL, "REQUEST")]
    assert any(uid in href for href in cyrus_server.held("bob"))
    made.forget()
    yield made
    cyrus_server.request("ann", "DELETE", made.path, Scheduling_Enabled="F")
    made.forget()


# -- the server itself: what the connector's table stands on ---------------------------------------------------


@pytest.mark.parametrize("what", ["notes", "time", "delete"])
@pytest.mark.parametrize("asked", [True, False])
def test_the_server_tells_the_guests_unless_it_is_asked_not_to(meeting: Meeting, what: str, asked: bool) -> None:
    quiet = {"Scheduling_Enabled": "F"} if asked else {}
    before = meeting.server.held("bob")
    if what == "delete":
        status, _ = meeting.server.request("ann", "DELETE", meeting.path, **quiet)
    else:
        old, new = ("DESCRIPTION:Notes", "DESCRIPTION:More") if what == "notes" else (
            f"DTSTART:{stamp(MONDAY)}", f"DTSTART:{stamp(MONDAY + timedelta(minutes=15))}")  # fmt: skip
        text = meeting.text
        assert old in text
        status, _ = meeting.server.request(
            "ann", "PUT", meeting.path, text.replace(old, new), Content_Type="text/calendar", **quiet
        )
    assert status in (200, 201, 204)
    assert (meeting.told() == []) == asked
    assert (meeting.server.held("bob") == before) == asked
