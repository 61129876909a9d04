"""The server of tests.servers.exchange, proved by a client that others wrote: DavMail reads and writes a
calendar through it, and our connector sees the same."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox as Soap
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from tests.conformance.conftest import access
from tests.conformance.test_exchange import SPAN, make, read
from tests.conftest import need_program
from tests.servers.davmail import PROGRAM, davmail
from tests.servers.exchange import exchange

pytestmark = pytest.mark.either
WHO = "ann"
_EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Client//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20261101T000000Z
DTSTART:20261201T100000Z
DTEND:20261201T110000Z
SUMMARY:{summary}
{more}END:VEVENT
END:VCALENDAR
"""


def test_davmail_reads_and_writes_a_calendar_through_the_server(tmp_path: Path) -> None:
    need_program(PROGRAM is not None, "DavMail")
    with exchange() as double:
        double.add_user(WHO, address="ann@us.example")
        replica = ExchangeReplica(Soap(access(double, WHO)))
        with davmail(tmp_path, double.url) as server:
            calendar = "/users/ann@us.example/calendar/"
            single = _EVENT.format(uid="one", summary="By DavMail", more="LOCATION:Their office\n")
            weekly = _EVENT.format(uid="many", summary="Weekly", more="RRULE:FREQ=WEEKLY;COUNT=5;BYDAY=TU\n")
            assert server.put(WHO, f"{calendar}one.ics", single) == 201
            assert server.put(WHO, f"{calendar}many.ics", weekly) == 201
            pages = list(replica.changes(""))
            cursor = pages[-1].cursor
            found = replica.fetch([c.ref for p in pages for c in p.changes])
            by_uid = {r.uid: r for r in found.values() if isinstance(r, Record)}
            assert by_uid.keys() == {"one", "many"}
            assert by_uid["one"].fields["location"] == "Their office"
            assert by_uid["many"].fields["recurrence"] == Recurrence("FREQ=WEEKLY;COUNT=5;BYDAY=TU")
            replica.update(by_uid["one"], {"summary": "By syncd"})
            status, text = server.request(WHO, "GET", f"{calendar}one.ics")
            assert status == 200
            assert "SUMMARY:By syncd" in text
            mine = make(replica, summary=f"Ours {uuid.uuid4().hex}")
            body = (
                '<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/>'
                '<C:calendar-data/></D:prop><C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>'
            )
            status, text = server.request(WHO, "REPORT", calendar, body, Depth="1")
            assert status == 207
            assert mine.fields["summary"] in text
            assert server.request(WHO, "DELETE", f"{calendar}one.ics")[0] in (200, 204)
            gone = [c.ref for p in replica.changes(cursor) for c in p.changes if c.gone]
            assert gone == [by_uid["one"].ref]
            assert read(replica, mine.ref).fields["time"] == SPAN
        assert double.refused == [], "DavMail keeps to the schema too"
