"""A server that schedules: nobody is told what syncd writes, unless that is meant (RFC 6638).

On Cyrus, with somebody of the same server and somebody from elsewhere invited.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from connectors.caldav.transport import Library, Plain, SignIn
from syncd.cli.radicale import Server
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import Telling, Unsupported
from tests.servers.cyrus import DOMAIN, Cyrus
from tests.servers.proxy import Reply, forward, proxy

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

    def replica(self, way: str = "plain", url: str = "") -> CaldavReplica:
        """Ann's calendar, reached by one of the two ways."""
        dav = Dav(url or self.server.url, "ann", "ann")
        if way == "library":
            dav._transport = Library(dav.url, SignIn("ann", "ann"), True, 20)
        return CaldavReplica(dav, self.path.rpartition("/")[0], addresses=[ANN])

    def read(self, replica: CaldavReplica) -> Record:
        """As syncd reads it."""
        found = replica.fetch([self.path])[self.path]
        assert isinstance(found, Record), found
        return found

    def people(self) -> list[str]:
        """Its lines about people, with what the server has noted there."""
        return [x for x in self.text.split("\r\n") if x.startswith(("ORGANIZER", "ATTENDEE"))]

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


# -- what syncd does ------------------------------------------------------------------------------------------

LATER = Span(MONDAY + timedelta(hours=3), MONDAY + timedelta(hours=4))
EDITS: dict[str, dict[str, object]] = {
    "notes": {"description": "More notes"},
    "subject": {"summary": "Another name"},
    "place": {"location": "Room 1"},
    "time": {"time": LATER},
    "cancelled": {"status": "cancelled"},
    "recurrence": {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=3")},
    "private": {"sensitivity": "private"},
}


@pytest.mark.parametrize("way", ["plain", "library"])
def test_case_s1_a_server_that_schedules_is_known_though_it_says_so_in_several_lines(
    meeting: Meeting, way: str
) -> None:
    url, path = meeting.server.url.rstrip("/"), meeting.path
    sign_in = SignIn("ann", "ann")
    transport = Plain(sign_in, True, 20) if way == "plain" else Library(url, sign_in, True, 20)
    reply = transport.ask("OPTIONS", url + path, b"", {}).answer()
    assert list(reply.chunks) == []
    transport.close()
    assert {"calendar-access", "calendar-auto-schedule", "inbox-availability"} <= set(reply.headers["dav"].split(", "))
    replica = meeting.replica(way)
    assert replica.telling() is Telling.CAN_BE_ASKED
    replica.close()


@pytest.mark.parametrize("way", ["plain", "library"])
@pytest.mark.parametrize("edit", EDITS)
def test_case_s1_s2_nobody_hears_of_a_write_into_a_meeting(meeting: Meeting, edit: str, way: str) -> None:
    replica, people = meeting.replica(way), meeting.people()
    with meeting.server.untouched("bob"):
        replica.update(meeting.read(replica), EDITS[edit])
    written = meeting.read(replica)
    (name, value) = next(iter(EDITS[edit].items()))
    assert written.fields[name] == value
    assert meeting.people() == people  # no SCHEDULE-AGENT, no other status: as the server left them
    replica.close()


@pytest.mark.parametrize("way", ["plain", "library"])
def test_case_s3_nobody_hears_of_a_deletion(meeting: Meeting, way: str) -> None:
    replica = meeting.replica(way)
    with meeting.server.untouched("bob"):
        replica.delete(meeting.read(replica))
    assert meeting.server.request("ann", "GET", meeting.path)[0] == 404
    replica.close()


def test_where_it_is_meant_the_server_tells_the_guests(meeting: Meeting) -> None:
    replica, before = meeting.replica(), meeting.server.held("bob")
    replica.update(meeting.read(replica), EDITS["time"], tell=True)
    assert meeting.told() == [(CARL, "REQUEST")]
    moved = meeting.server.held("bob")
    assert moved != before
    meeting.forget()
    replica.delete(meeting.read(replica), tell=True)
    assert meeting.told() == [(CARL, "CANCEL")]
    assert meeting.server.held("bob") != moved
    replica.close()


def test_case_s2_those_who_are_invited_to_one_occurrence_are_guests_too(cyrus_server: Cyrus) -> None:
    folder, uid = cyrus_server.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), uuid.uuid4().hex
    one = ("END:VEVENT", "BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z",
           f"RECURRENCE-ID:{stamp(MONDAY + timedelta(days=7))}", f"DTSTART:{stamp(MONDAY + timedelta(days=7))}",
           f"DTEND:{stamp(MONDAY + timedelta(days=7, hours=1))}", "SUMMARY:Review", *PEOPLE)  # fmt: skip
    made = Meeting(cyrus_server, f"{folder}{uid}.ics", uid)
    assert cyrus_server.put("ann", made.path, lines(uid, "RRULE:FREQ=WEEKLY;COUNT=3", *one)) == 201
    made.forget()
    replica = made.replica()
    assert made.read(replica).guests == {BOB, CARL}
    with cyrus_server.untouched("bob"):
        replica.update(made.read(replica), {"time": LATER})
        replica.update(made.read(replica), {"description": "More"})
        replica.delete(made.read(replica))
    replica.close()


def test_a_copy_has_no_people_in_it_and_nobody_hears_of_it(cyrus_server: Cyrus) -> None:
    folder, key = cyrus_server.calendar("ann", f"c{uuid.uuid4().hex[:12]}"), uuid.uuid4().hex
    replica = CaldavReplica(Dav(cyrus_server.url, "ann", "ann"), folder, addresses=[ANN])
    with cyrus_server.untouched("bob"):
        fields = {"summary": "From the CRM", "time": LATER, "description": f"{BOB}, {CARL}"}
        ref = replica.create(fields, key, kind="event", uid=f"{key}@crm", owner=ANN).ref
        text = cyrus_server.request("ann", "GET", ref)[1]
        assert "ORGANIZER" not in text and "ATTENDEE" not in text
        found = replica.fetch([ref])[ref]
        assert isinstance(found, Record) and (found.owner, found.guests) == ("", frozenset())
        replica.update(found, {"summary": "Renamed"})
        found = replica.fetch([ref])[ref]
        assert isinstance(found, Record)
        replica.delete(found)
        assert replica.requests == 5  # what a server does with guests is not asked where there are none
    replica.close()


# -- servers that are not known -------------------------------------------------------------------------------


def other(server: Cyrus, method: str, path: str, headers: dict[str, str], body: bytes, **said: str) -> Reply:
    """What the server answers, under another name."""
    status, sent, content = forward(server, method, path, headers, body)
    return status, {**{k: v for k, v in sent.items() if k != "Server"}, **said}, content


def test_case_s2_a_server_that_does_not_say_who_it_is_is_written_nothing(meeting: Meeting) -> None:
    asked: list[str] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        asked.append(method)
        return other(meeting.server, method, path, headers, body, Server="nginx")

    with proxy(meeting.server, rule) as server:
        replica = meeting.replica(url=server.url)
        assert replica.telling() is Telling.TELLS
        before = meeting.text
        for edit in EDITS.values():
            with meeting.server.untouched("bob"), pytest.raises(Unsupported, match="would tell the guests"):
                replica.update(meeting.read(replica), edit)
        with meeting.server.untouched("bob"), pytest.raises(Unsupported, match="would tell the guests"):
            replica.delete(meeting.read(replica))
        assert meeting.text == before and not {"PUT", "DELETE"} & set(asked)
        assert asked.count("OPTIONS") == 1  # for all of them
        replica.update(meeting.read(replica), EDITS["time"], tell=True)
        assert meeting.told() == [(CARL, "REQUEST")]
        replica.close()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
@pytest.mark.parametrize("refused", ["OPTIONS", "PROPFIND", "principal", "in part", "boxes", "no DAV header"])
def test_case_s2_what_cannot_be_asked_tells(meeting: Meeting, refused: str, status: int) -> None:
    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == refused or (refused == "principal" and "/principals/" in path):
            return status, {}, b""
        if refused == "no DAV header" and method == "OPTIONS":
            return 204, {"Allow": "GET, PUT", "Server": "Cyrus-HTTP/3.6.1"}, b""
        if refused == "in part" and "/principals/" in path:
            inner = f"<D:response><D:href>{path}</D:href><D:status>HTTP/1.1 {status} No</D:status></D:response>"
            return 207, {}, f'<D:multistatus xmlns:D="DAV:">{inner}</D:multistatus>'.encode()
        if refused == "boxes" and "/principals/" in path:
            answer, sent, content = forward(meeting.server, method, path, headers, body)
            return answer, sent, content.replace(b"200 OK", b"403 Forbidden")
        return None

    if (refused, status) == ("PROPFIND", 401):
        return  # then nobody is signed in at all

    with proxy(meeting.server, rule) as server:
        replica = meeting.replica(url=server.url)
        assert replica.telling() is Telling.TELLS
        with meeting.server.untouched("bob"), pytest.raises(Unsupported):
            replica.delete(meeting.read(replica))
        replica.close()


def test_case_s1_a_server_that_begins_to_schedule_is_asked_anew_in_each_pass(meeting: Meeting) -> None:
    schedules: list[bool] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == "OPTIONS" and not schedules:
            return 200, {"DAV": "1, 2, calendar-access"}, b""
        if "/principals/" in path and not schedules:
            status, sent, content = forward(meeting.server, method, path, headers, body)
            return status, sent, content.replace(b"schedule-inbox-URL", b"x").replace(b"schedule-outbox-URL", b"y")
        return None

    with proxy(meeting.server, rule) as server:
        replica = meeting.replica(url=server.url)
        assert replica.telling() is Telling.NOBODY
        schedules.append(True)
        before = replica.requests
        list(replica.changes(""))
        assert replica.requests == before + 1  # a quiet pass asks nothing of this
        assert replica.telling() is Telling.CAN_BE_ASKED
        replica.close()


def test_case_s3_sabre_is_asked_in_its_own_way_on_put_and_delete(meeting: Meeting) -> None:
    """A server of sabre's behind its own header; it is told in sabre's way only (measured on sabre/dav 4.7.1)."""
    sent: list[tuple[str, str | None, str | None]] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method in ("PUT", "DELETE"):
            sent.append((method, headers.get("Schedule-Reply"), headers.get("Scheduling-Enabled")))
            headers["Scheduling-Enabled"] = "F"  # this one is Cyrus after all
        named = {"Server": "nginx", "X-Sabre-Version": "4.7.1"}
        return other(meeting.server, method, path, headers, body, **named)

    with proxy(meeting.server, rule) as server:
        replica = meeting.replica(url=server.url)
        with meeting.server.untouched("bob"):
            replica.update(meeting.read(replica), EDITS["notes"])
            replica.delete(meeting.read(replica))
        replica.close()
    assert sent == [("PUT", "F", None), ("DELETE", "F", None)]


# -- whose meeting it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["radicale", "xandikos"])
def test_case_s5_the_server_says_that_an_organizer_without_an_address_is_she(
    request: pytest.FixtureRequest, name: str
) -> None:
    server: Server = request.getfixturevalue(f"{name}_server")
    path = server.calendar("ann", f"c{uuid.uuid4().hex[:12]}")
    for n, organizer in enumerate(("/ann/", "/bob/", "mailto:")):
        text = lines(f"m{n}", f"ORGANIZER;CN=Somebody:{organizer}", f"ATTENDEE:mailto:{CARL}", "ATTENDEE;CN=Ann:/ann/")
        assert server.put("ann", f"{path}m{n}.ics", text) == 201
    replica = CaldavReplica(Dav(server.url, "ann", "ann"), path, addresses=["ann@firm.example"])
    refs = sorted(c.ref for page in replica.changes("") for c in page.changes)
    before = replica.requests
    owners = []
    for record in replica.fetch(refs).values():
        assert isinstance(record, Record)
        owners.append(record.owner)
        assert record.guests == {CARL} and "ann@firm.example" in record.fields["attendees"]
    assert owners == ["ann@firm.example", "/bob/", "somebody"]
    assert replica.requests == before + 3  # once: who owns it, and who that is
    replica.fetch(refs)
    list(replica.changes(""))
    assert replica.requests == before + 5
    replica.close()


def test_case_s4_the_server_knows_her_other_address(meeting: Meeting) -> None:
    replica = CaldavReplica(Dav(meeting.server.url, "ann", "ann"), meeting.path.rpartition("/")[0],
                            addresses=["ann@firm.example"])  # fmt: skip
    assert meeting.read(replica).owner == "ann@firm.example"
    replica.close()


def test_case_s4_a_calendar_that_bob_shares_does_not_make_his_meetings_hers(meeting: Meeting) -> None:
    """Ann's calendar, read by bob's account: the owner is somebody else than who signs in."""

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method != "PROPFIND" or b"current-user-principal" not in body:
            return None
        status, sent, content = forward(meeting.server, method, path, headers, body)
        whose = content.replace(b"<D:current-user-principal><D:href>/dav/principals/user/ann/",
                                b"<D:current-user-principal><D:href>/dav/principals/user/bob/")  # fmt: skip
        assert whose != content
        return status, sent, whose

    with proxy(meeting.server, rule) as server:
        path = meeting.path.rpartition("/")[0]
        for address, owner in ((BOB, ANN), ("bob@firm.example", ANN), (ANN, ANN)):
            replica = CaldavReplica(Dav(server.url, "ann", "ann"), path, addresses=[address])
            assert meeting.read(replica).owner == owner
            replica.close()
