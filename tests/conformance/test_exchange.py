"""What an Exchange mailbox promises beyond the port, and that it holds on servers that are odd, busy or lie.

On the server of tests.servers.exchange; the same tests run against a real server in test_exchange_live.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from connectors.exchange import connector
from connectors.exchange.access import Access
from connectors.exchange.event import plain_uid, wrapped_uid
from connectors.exchange.guard import refuse_to_send
from connectors.exchange.items import _HEEDING
from connectors.exchange.mailbox import ExchangeMailbox
from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox as Soap
from connectors.exchange.watch import Streams
from connectors.exchange.xml import el
from syncd.mail.choice import Choice
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected, Stale, Transient, Unsupported
from tests.conformance.conftest import access
from tests.conformance.test_mailbox import certificate
from tests.scenarios.mail import message
from tests.servers.exchange import ExchangeServer, Trouble, exchange
from tests.servers.exchange.store import Item, Mailbox, element
from tests.servers.tokens import token_server

#: A connection that is lost in the middle of an answer is left to the garbage collector by requests.
_LOST = pytest.mark.filterwarnings("ignore:.*unclosed <socket:", "ignore::pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.either, _LOST]
BERLIN = ZoneInfo("Europe/Berlin")
TEN = datetime(2026, 11, 30, 10, tzinfo=BERLIN)
SPAN = Span(TEN, TEN + timedelta(hours=1), "Europe/Berlin")


@pytest.fixture
def double() -> Iterator[ExchangeServer]:
    """A server of its own, with Ann's mailbox and a service account."""
    with exchange() as server:
        server.add_user("ann")
        server.users["service"] = "service"
        server.services.add("service")
        _HEEDING[server.url] = True
        yield server
    _HEEDING.pop(server.url, None)
    assert server.told == []


def calendar(server: ExchangeServer, user: str = "ann", kind: str = "event", **more: Any) -> ExchangeReplica:
    return ExchangeReplica(Soap(access(server, user, **more)), kind=kind)


def make(replica: ExchangeReplica, **fields: Any) -> Record:
    key = str(uuid.uuid4())
    kind = replica.kind
    usual: dict[str, Any] = {"summary": "A meeting", **({"time": SPAN} if kind == "event" else {})}
    written = replica.create({**usual, **fields}, key, kind=kind, uid=f"{key}@test", owner="")
    return read(replica, written.ref)


def read(replica: ExchangeReplica, ref: str) -> Record:
    found = replica.fetch([ref])[ref]
    assert isinstance(found, Record), found
    return found


def box(server: ExchangeServer, user: str = "ann") -> Mailbox:
    return server.store.mailbox(server.addresses[user])


def item_of(server: ExchangeServer, record: Record, user: str = "ann") -> Item:
    return box(server, user).items[record.ref]


# -- costs -------------------------------------------------------------------------------------------------------


def test_a_quiet_mailbox_costs_one_request(double: ExchangeServer) -> None:
    make(calendar(double))
    cursor = list(calendar(double).changes(""))[-1].cursor
    double.log.clear()
    fresh = calendar(double)
    (page,) = fresh.changes(cursor)
    assert page.changes == []
    assert [name for name, _ in double.log] == ["SyncFolderItems"]
    assert fresh.requests == 1


def test_two_thousand_new_items_cost_a_page_for_512_and_a_request_for_ten(double: ExchangeServer) -> None:
    with double.store.lock:
        for n in range(2000):
            put(double, n)
    replica = calendar(double)
    pages = list(replica.changes(""))
    refs = [c.ref for p in pages for c in p.changes]
    assert len(refs) == 2000
    assert [p.complete for p in pages] == [False] * 3 + [True]
    found = replica.fetch(refs)
    assert all(isinstance(f, Record) for f in found.values())
    assert replica.requests <= 2000 / 512 + 1 + 2000 / 10 + 3


def put(server: ExchangeServer, number: int, **props: Any) -> Item:
    """An appointment that somebody made in Outlook."""
    owner = box(server)
    start = TEN.astimezone(UTC) + timedelta(hours=number)
    item = Item(owner.new_id("I"), "CalendarItem", owner.distinguished("calendar").id, {})
    item.props = {
        "item:Subject": element("Subject", f"Meeting {number}"),
        "calendar:UID": element("UID", owner.new_uid()),
        "calendar:Start": element("Start", f"{start:%Y-%m-%dT%H:%M:%SZ}"),
        "calendar:End": element("End", f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"),
        "calendar:StartTimeZone": element("StartTimeZone", Id="W. Europe Standard Time"),
        "calendar:EndTimeZone": element("EndTimeZone", Id="W. Europe Standard Time"),
        **props,
    }
    return owner.put(item)


def test_a_page_that_was_read_is_never_read_again(double: ExchangeServer) -> None:
    """Pitfall 2: the state is kept at each page, so a fault on the third page loses nothing of the first two."""
    with double.store.lock:
        for n in range(1200):
            put(double, n)
    double.troubles.append(Trouble("503", "SyncFolderItems", after=2))
    replica, seen, cursor = calendar(double), [], ""
    with pytest.raises(Transient):
        for page in replica.changes(""):
            seen += [c.ref for c in page.changes]
            cursor = page.cursor
    assert len(seen) == 1024
    rest = [c.ref for p in replica.changes(cursor) for c in p.changes]
    assert len(rest) == 176
    assert not set(rest) & set(seen)


def test_a_thousand_mailboxes_share_a_few_connections_and_none_starves_another(double: ExchangeServer) -> None:
    """Through one account; one mailbox is busy for an hour, another's every answer takes long."""
    for n in range(1000):
        double.add_user(f"m{n}")
    double.troubles.append(Trouble("busy", mailbox="m5@us.example", seconds=3600, times=10**6))
    double.troubles.append(Trouble("hang", mailbox="m6@us.example", seconds=2, times=1))
    done: dict[int, str] = {}

    def work(first: int) -> None:
        for n in range(first, 1000, 4):
            how = Access(double.url, "service", lambda: "service", f"m{n}@us.example", "impersonation", "basic",
                         timeout=20, connections=4)  # fmt: skip
            try:
                list(ExchangeReplica(Soap(how)).changes(""))
                done[n] = "read"
            except Transient as error:
                done[n] = f"later {error.retry_after}"

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(done) == 1000
    assert done[5] == "later 3600.0"
    assert sum(how == "read" for how in done.values()) >= 998
    assert time.monotonic() - begun < 110


def test_exchangelib_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys; from connectors.exchange import connector; "
        "connector({'url': 'https://mail.example.com', 'username': 'a@b.example', 'password': 'x'}); "
        "import syncd.cli.command; sys.exit(any(m.split('.')[0] in ('exchangelib', 'requests') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- nobody is mailed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        el("m:SendItem", SaveItemToFolder="true"),
        el("m:CreateItem", el("m:Items", el("t:CalendarItem")), MessageDisposition="SaveOnly",
           SendMeetingInvitations="SendToAllAndSaveCopy"),
        el("m:CreateItem", el("m:Items", el("t:CalendarItem")), MessageDisposition="SaveOnly"),
        el("m:CreateItem", el("m:Items", el("t:Message")), MessageDisposition="SendAndSaveCopy",
           SendMeetingInvitations="SendToNone"),
        el("m:CreateItem", el("m:Items", el("t:CancelCalendarItem")), MessageDisposition="SaveOnly",
           SendMeetingInvitations="SendToNone"),
        el("m:CreateItem", el("m:Items", el("t:AcceptItem")), MessageDisposition="SaveOnly",
           SendMeetingInvitations="SendToNone"),
        el("m:CreateItem", el("m:Items", el("t:CalendarItem", el("t:RequiredAttendees"))),
           MessageDisposition="SaveOnly", SendMeetingInvitations="SendToNone"),
        el("m:UpdateItem", MessageDisposition="SaveOnly", SuppressReadReceipts="true",
           SendMeetingInvitationsOrCancellations="SendOnlyToChanged"),
        el("m:UpdateItem", MessageDisposition="SaveOnly", SendMeetingInvitationsOrCancellations="SendToNone"),
        el("m:DeleteItem", DeleteType="HardDelete", SuppressReadReceipts="true"),
        el("m:CreateAttachment"),
    ],
)  # fmt: skip
def test_the_guard_lets_nothing_out_that_could_send(payload: Any) -> None:
    with pytest.raises(Rejected):
        refuse_to_send(payload)


def test_lesson_8_a_meeting_with_attendees_is_edited_and_deleted_without_a_mail(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = make(replica)
    item = item_of(double, record)
    people = element("RequiredAttendees")
    one = etree.SubElement(people, people.tag.replace("RequiredAttendees", "Attendee"))
    one.append(element("Mailbox"))
    one[0].append(element("EmailAddress", "kim@acme.example"))
    item.props["calendar:RequiredAttendees"] = people
    record = read(replica, record.ref)
    assert set(record.fields["attendees"]) == {"kim@acme.example", "ann@us.example"}
    assert record.owner == "ann@us.example"
    replica.update(
        record, {"summary": "Another", "status": "cancelled", "recurrence": Recurrence("FREQ=DAILY;COUNT=3")}
    )
    with pytest.raises(Unsupported):
        replica.update(read(replica, record.ref), {"attendees": record.fields["attendees"]})
    replica.delete(read(replica, record.ref))
    assert double.outbox == []


def test_the_outbox_would_have_noticed(double: ExchangeServer) -> None:
    """A client that invites is heard: the test above can fail."""
    from exchangelib import Attendee, CalendarItem, EWSDateTime, EWSTimeZone
    from exchangelib import Mailbox as Box
    from exchangelib.items import SEND_TO_ALL_AND_SAVE_COPY

    account = Soap(access(double, "ann")).account
    utc = EWSTimeZone("UTC")
    attendee = Attendee(mailbox=Box(email_address="kim@acme.example"), response_type="Unknown")
    start = EWSDateTime(2026, 12, 1, 10, tzinfo=utc)
    CalendarItem(account=account, folder=account.calendar, subject="Party", start=start, end=start + timedelta(hours=1),
                 required_attendees=[attendee]).save(send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY)  # fmt: skip
    assert [(o.why, o.to) for o in double.outbox] == [("CreateItem SendToAllAndSaveCopy", ("kim@acme.example",))]
    double.outbox.clear()


# -- calendars ---------------------------------------------------------------------------------------------------


def test_only_changed_fields_are_written_and_what_we_do_not_know_stays(double: ExchangeServer) -> None:
    """Pitfall 5, lesson 11: attachments, reminder, an online meeting, another program's property."""
    replica = calendar(double)
    record = make(replica, location="Room 7", description="One\nTwo")
    item = item_of(double, record)
    other = element("ExtendedProperty")
    other.append(element("ExtendedFieldURI", PropertySetId="11111111-2222-3333-4444-555555555555", PropertyName="X",
                         PropertyType="String"))  # fmt: skip
    other.append(element("Value", "theirs"))
    item.props |= {
        "item:ReminderIsSet": element("ReminderIsSet", "true"),
        "item:ReminderMinutesBeforeStart": element("ReminderMinutesBeforeStart", "45"),
        "calendar:JoinOnlineMeetingUrl": element("JoinOnlineMeetingUrl", "https://teams.microsoft.com/l/meetup-join/x"),
        "calendar:LegacyFreeBusyStatus": element("LegacyFreeBusyStatus", "OOF"),
        "item:Sensitivity": element("Sensitivity", "Personal"),
        "ext:11111111-2222-3333-4444-555555555555/X": other,
    }
    item.files.append(("plan.pdf", "application/pdf", b"x" * 10))
    box(double).touch(item)
    before = {path: etree.tostring(e) for path, e in item.props.items()}
    record = read(replica, record.ref)
    assert (record.fields["sensitivity"], record.fields["show-as"]) == ("private", "busy")
    replica.update(record, {"summary": "Renamed", "sensitivity": "private", "show-as": "busy"})
    after = {path: etree.tostring(e) for path, e in item_of(double, record).props.items()}
    assert {path for path in before | after if before.get(path) != after.get(path)} == {"item:Subject"}
    assert item_of(double, record).files == [("plan.pdf", "application/pdf", b"x" * 10)]


def test_html_is_compared_by_its_text_and_keeps_its_form_where_the_text_stays(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = make(replica)
    html = (
        "<p><b>Agenda</b></p><p>First point</p><p>Second point</p>"
        '<div>________<br><a href="https://teams.microsoft.com/l/meetup-join/19">Join the meeting</a></div>'
    )
    item_of(double, record).props["item:Body"] = element("Body", html, BodyType="HTML")
    record = read(replica, record.ref)
    text = record.fields["description"]
    assert text == "Agenda\nFirst point\nSecond point\n________\nJoin the meeting"
    replica.update(record, {"summary": "Only the subject"})
    assert item_of(double, record).text("item:Body") == html
    record = read(replica, record.ref)
    replica.update(record, {"description": text.replace("Second", "Another")})
    body = item_of(double, record).text("item:Body")
    assert "<b>Agenda</b>" in body
    assert "meetup-join/19" in body
    assert read(replica, record.ref).fields["description"] == text.replace("Second", "Another")
    replica.update(read(replica, record.ref), {"description": "All is new"})
    assert "meetup-join/19" in item_of(double, record).text("item:Body"), "the link stays"


CUSTOM = """<StartTimeZone xmlns="http://schemas.microsoft.com/exchange/services/2006/types" Id="{id}">
<Periods><Period Bias="-PT5H30M" Name="Standard" Id="s"/><Period Bias="-PT6H30M" Name="Daylight" Id="d"/></Periods>
<TransitionsGroups><TransitionsGroup Id="0">
<RecurringDayTransition><To Kind="Period">d</To><TimeOffset>PT2H</TimeOffset><Month>3</Month>
<DayOfWeek>Sunday</DayOfWeek><Occurrence>-1</Occurrence></RecurringDayTransition>
<RecurringDayTransition><To Kind="Period">s</To><TimeOffset>PT3H</TimeOffset><Month>10</Month>
<DayOfWeek>Sunday</DayOfWeek><Occurrence>-1</Occurrence></RecurringDayTransition>
</TransitionsGroup></TransitionsGroups>
<Transitions><Transition><To Kind="Group">0</To></Transition></Transitions></StartTimeZone>"""


@pytest.mark.parametrize("name", ["tzone://Microsoft/Custom", "Customized Time Zone", "Nowhere Standard Time"])
def test_one_odd_time_zone_stops_no_other_item(double: ExchangeServer, name: str) -> None:
    """Pitfall 7: an item's instants are right whatever its zone is called; its neighbours are read."""
    odd = put(double, 1, **{"calendar:StartTimeZone": element("StartTimeZone", Id=name)})
    own = put(double, 2, **{"calendar:StartTimeZone": etree.fromstring(CUSTOM.format(id=name))})
    fine = put(double, 3)
    replica = calendar(double)
    found = replica.fetch([odd.id, own.id, fine.id])
    for item, number in ((odd, 1), (own, 2), (fine, 3)):
        record = found[item.id]
        assert isinstance(record, Record)
        assert record.fields["time"].start == TEN + timedelta(hours=number)
    record = found[own.id]
    assert isinstance(record, Record)
    assert record.fields["time"].start.utcoffset() == timedelta(hours=5, minutes=30)
    later = Span(TEN + timedelta(days=1), TEN + timedelta(days=1, hours=1), "Europe/Berlin")
    replica.update(record, {"time": later})
    assert read(replica, own.id).fields["time"] == later
    with pytest.raises(Unsupported):
        replica.update(read(replica, odd.id), {"recurrence": Recurrence("FREQ=DAILY;COUNT=3")})


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo", "Pacific/Auckland", "UTC"])
@pytest.mark.parametrize("mailbox", ["Europe/Berlin", "Pacific/Honolulu"])
def test_lesson_21_an_all_day_event_is_that_day_whoever_made_it(
    double: ExchangeServer, zone: str, mailbox: str
) -> None:
    from syncd.outlook.zones import windows_of

    midnight = datetime(2026, 12, 24, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(2026, 12, 26, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    item = put(double, 1, **{
        "calendar:Start": element("Start", f"{midnight:%Y-%m-%dT%H:%M:%SZ}"),
        "calendar:End": element("End", f"{end:%Y-%m-%dT%H:%M:%SZ}"),
        "calendar:IsAllDayEvent": element("IsAllDayEvent", "true"),
        "calendar:StartTimeZone": element("StartTimeZone", Id=windows_of(zone)),
    })  # fmt: skip
    replica = calendar(double, zone=mailbox)
    record = read(replica, item.id)
    assert record.fields["time"] == Span(date(2026, 12, 24), date(2026, 12, 26))
    whole = Span(date(2027, 1, 5), date(2027, 1, 6))
    replica.update(record, {"time": whole})
    assert read(replica, item.id).fields["time"] == whole
    made = make(replica, time=whole)
    assert made.fields["time"] == whole


def test_fractions_of_a_second_and_offsets_are_read(double: ExchangeServer) -> None:
    """Pitfall 8."""
    item = put(double, 1, **{
        "calendar:Start": element("Start", "2026-11-30T10:00:00.123+01:00"),
        "calendar:End": element("End", "2026-11-30T12:00:00.0000000+02:00"),
    })  # fmt: skip
    assert read(calendar(double), item.id).fields["time"] == SPAN


def test_lesson_13_an_occurrence_that_cannot_be_read_is_not_deleted(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    key = (TEN + timedelta(days=7)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    moved = Span(TEN + timedelta(days=8), TEN + timedelta(days=8, hours=1), "Europe/Berlin")
    replica.update(record, {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4", overrides={key: {"time": moved}})})
    double.troubles.append(Trouble("code", "GetItem", after=1, code="ErrorItemCorrupt"))
    found = replica.fetch([record.ref])[record.ref]
    assert isinstance(found, Rejected)
    assert "occurrence" in str(found)
    assert set(read(replica, record.ref).fields["recurrence"].overrides) == {key}


def test_lesson_24_a_new_rule_keeps_the_occurrences_that_still_occur(double: ExchangeServer) -> None:
    """Exchange forgets moved and deleted occurrences when a rule is written: what is wanted of them is
    written again."""
    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    second, third = ((TEN + timedelta(days=d)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ") for d in (7, 14))
    own = {second: {"summary": "Special"}}
    first = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({third}), overrides=own)
    replica.update(record, {"recurrence": first})
    longer = Recurrence("FREQ=WEEKLY;COUNT=9", exdates=frozenset({third}), overrides=own)
    replica.update(read(replica, record.ref), {"recurrence": longer})
    held = read(replica, record.ref).fields["recurrence"]
    assert (held.rule, held.exdates, dict(held.overrides)) == (longer.rule, longer.exdates, own)
    back = Recurrence("FREQ=WEEKLY;COUNT=9", overrides=own)
    replica.update(read(replica, record.ref), {"recurrence": back})
    held = read(replica, record.ref).fields["recurrence"]
    assert (held.exdates, dict(held.overrides)) == (frozenset(), own), "a deleted occurrence is back"
    replica.update(read(replica, record.ref), {"recurrence": Recurrence()})
    assert read(replica, record.ref).fields["recurrence"].empty


def test_a_series_that_exchange_cannot_hold_is_refused_before_anything_is_written(double: ExchangeServer) -> None:
    replica = calendar(double)
    for rule in ("FREQ=MONTHLY;BYMONTHDAY=30", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "FREQ=HOURLY;COUNT=3"):
        with pytest.raises(Unsupported):
            make(replica, recurrence=Recurrence(rule))
    with pytest.raises(Unsupported):
        make(replica, recurrence=Recurrence("FREQ=DAILY;COUNT=3", rdates=frozenset({"20261224T090000Z"})))
    assert box(double).distinguished("calendar").born == {}


def test_a_uid_of_another_system_comes_back_as_it_was(double: ExchangeServer) -> None:
    """Lesson 4: a Notes calendar that was migrated keeps its UIDs, wrapped or not."""
    for uid in ("notes-1", "9F3C@example.com", "ÄÖ 🗓", "040000008200E00074C5B7101A82E00800000000AB"):
        assert plain_uid(wrapped_uid(uid)) == uid
    item = put(double, 1, **{"calendar:UID": element("UID", "CSDB-lotus-uid")})
    assert read(calendar(double), item.id).uid == "CSDB-lotus-uid"
    key = str(uuid.uuid4())
    replica = calendar(double)
    written = replica.create({"summary": "x", "time": SPAN}, key, kind="event", uid="shared@crm", owner="")
    assert read(replica, written.ref).uid == "shared@crm"


def test_lesson_5_a_copy_that_somebody_makes_of_ours_is_not_ours(double: ExchangeServer) -> None:
    """Outlook copies named properties: two items with one key. Ours has the UID that we gave it."""
    replica = calendar(double)
    record = make(replica)
    copied = box(double).copy(item_of(double, record), item_of(double, record).folder)
    assert read(replica, copied.id).key == ""
    found = replica.find(record.key, record.uid)
    assert found is not None
    assert found.ref == record.ref


def test_another_folder_is_another_calendar(double: ExchangeServer) -> None:
    owner = box(double)
    owner.add_folder("Customers", "CalendarFolder", owner.distinguished("calendar").id)
    mine = ExchangeReplica(Soap(access(double, "ann")), folder="Calendar/Customers")
    record = make(mine)
    assert isinstance(calendar(double).fetch([record.ref])[record.ref], Gone)
    assert list(calendar(double).changes(""))[-1].changes == []
    cursor = list(mine.changes(""))[-1].cursor
    with pytest.raises(CursorExpired):
        list(calendar(double).changes(cursor))
    with pytest.raises(Gone, match="no folder of this name"):
        list(ExchangeReplica(Soap(access(double, "ann")), folder="Nowhere").changes(""))


# -- tasks -------------------------------------------------------------------------------------------------------


def test_tasks_are_completed_and_opened_again(double: ExchangeServer) -> None:
    replica = calendar(double, kind="todo")
    record = make(replica, due=date(2026, 12, 1), priority=2, categories=frozenset({"CRM"}))
    assert record.fields["due"] == date(2026, 12, 1)
    assert record.fields["priority"] == 1, "one of three"
    replica.update(record, {"status": "completed"})
    done = read(replica, record.ref)
    assert (done.fields["status"], done.fields["percent"]) == ("completed", 100)
    replica.update(done, {"status": "in-process", "percent": 40})
    again = read(replica, record.ref)
    assert (again.fields["status"], again.fields["percent"]) == ("in-process", 40)
    item_of(double, record).props["task:Status"] = element("Status", "WaitingOnOthers")
    waiting = read(replica, record.ref)
    replica.update(waiting, {"status": "in-process", "summary": "x"})
    assert item_of(double, record).text("task:Status") == "WaitingOnOthers", "means the same"
    with pytest.raises(Unsupported):
        replica.update(read(replica, record.ref), {"status": "cancelled"})


def test_a_task_that_repeats_is_refused_with_a_reason(double: ExchangeServer) -> None:
    replica = calendar(double, kind="todo")
    record = make(replica)
    recurrence = el("t:Recurrence", el("t:DailyRegeneration", el("t:Interval", text="3")),
                    el("t:NoEndRecurrence", el("t:StartDate", text="2026-12-01")))  # fmt: skip
    item_of(double, record).props["task:Recurrence"] = recurrence
    found = replica.fetch([record.ref])[record.ref]
    assert isinstance(found, Rejected)
    assert "repeats" in str(found)


# -- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "expected", "seconds"),
    [
        (Trouble("401"), AuthFailed, None),
        (Trouble("403"), AuthFailed, None),
        (Trouble("404"), Transient, None),
        (Trouble("302"), Transient, None),
        (Trouble("429", seconds=17), Transient, 17),
        (Trouble("500"), Transient, None),
        (Trouble("502"), Transient, None),
        (Trouble("503", seconds=9), Transient, 9),
        (Trouble("busy", seconds=3.5), Transient, 3.5),
        (Trouble("message", seconds=1.5), Transient, 1.5),
        (Trouble("garbage"), Transient, None),
        (Trouble("half"), Transient, None),
        (Trouble("drop"), Transient, None),
        (Trouble("hang", seconds=3), Transient, None),
        (Trouble("code", code="ErrorInternalServerError"), Transient, None),
        (Trouble("code", code="ErrorMailboxMoveInProgress"), Transient, None),
        (Trouble("code", code="ErrorAccessDenied"), AuthFailed, None),
        (Trouble("code", code="ErrorInvalidSyncStateData"), CursorExpired, None),
        (Trouble("code", code="ErrorNotInTheSchemaYet"), Transient, None),
    ],
    ids=lambda t: f"{t.kind}-{t.code}" if isinstance(t, Trouble) else "",
)
def test_f2_each_fault_has_its_error_and_the_next_request_goes_well(
    double: ExchangeServer, trouble: Trouble, expected: type[PortError], seconds: float | None
) -> None:
    replica = calendar(double, timeout=1.0)
    list(replica.changes(""))
    double.troubles.append(trouble)
    asked = replica.requests
    with pytest.raises(PortError) as caught:
        list(replica.changes(""))
    assert type(caught.value) is expected, caught.value
    assert getattr(caught.value, "retry_after", None) == seconds
    assert replica.requests == asked + 1, "it is not asked again: that is the engine's to say"
    assert "us.example" not in str(caught.value)
    double.troubles.clear()
    assert list(replica.changes(""))
    double.faults_of_its_own.clear()  # an answer with a code that no schema knows


def test_lesson_7_an_item_whose_answer_was_lost_is_found_by_its_key(double: ExchangeServer) -> None:
    """Pitfall 3: the server made it, and nobody was told."""
    replica, key = calendar(double), str(uuid.uuid4())
    double.troubles.append(Trouble("lost", "CreateItem"))
    with pytest.raises(Transient):
        replica.create({"summary": "Once", "time": SPAN}, key, kind="event", uid="u@x", owner="")
    found = replica.find(key, "u@x")
    assert found is not None
    assert found.fields["summary"] == "Once"
    assert sum("Once" in i.text("item:Subject") for i in box(double).items.values()) == 1


def test_one_item_that_fails_stops_no_other(double: ExchangeServer) -> None:
    items = [put(double, n) for n in range(25)]
    del items[7].props["calendar:Start"]
    items[9].props["calendar:Start"] = element("Start", "never")
    double.faults_of_its_own.clear()
    found = calendar(double).fetch([i.id for i in items])
    assert sum(isinstance(f, Record) for f in found.values()) == 23
    assert {type(found[items[n].id]) for n in (7, 9)} == {Rejected}
    double.faults_of_its_own.clear()


@pytest.mark.parametrize("code", ["ErrorAccessDenied", "ErrorInternalServerError", "ErrorContentConversionFailed"])
@pytest.mark.parametrize("count", [1, 2])
def test_an_error_about_an_item_parks_it_whether_it_is_asked_for_alone_or_not(
    double: ExchangeServer, code: str, count: int
) -> None:
    items = [put(double, n) for n in range(count)]
    double.troubles.append(Trouble("code", "GetItem", code=code, times=count + 1))  # one answer for all of them
    found = calendar(double).fetch([i.id for i in items])
    assert {type(f) for f in found.values()} == {Rejected}, "and what is not spoken of is not gone"
    assert len(found) == count


@pytest.mark.parametrize("quirk", ["ignores_change_keys", "bumps_after_write"])
def test_servers_that_ignore_change_keys_are_noticed_and_nothing_is_overwritten(
    double: ExchangeServer, quirk: str
) -> None:
    _HEEDING.pop(double.url, None)
    setattr(double.quirks, quirk, True)
    replica, other = calendar(double), calendar(double)
    record = make(replica)
    replica.update(read(replica, record.ref), {"location": "Room 1"})
    mine = read(replica, record.ref)
    other.update(read(other, record.ref), {"summary": "Theirs"})
    with pytest.raises(Stale):
        replica.update(mine, {"summary": "Ours"})
    assert read(replica, record.ref).fields["summary"] == "Theirs"
    assert _HEEDING[double.url] is (quirk != "ignores_change_keys")


def test_an_older_server_is_spoken_to_in_its_own_version() -> None:
    server = ExchangeServer()
    server.quirks.versions, server.quirks.build = ("Exchange2013", "Exchange2010_SP2"), (15, 0, 1497, 2)
    with exchange(server):
        server.add_user("ann")
        replica = calendar(server)
        record = make(replica)
        replica.update(record, {"summary": "Older"})
        assert read(replica, record.ref).fields["summary"] == "Older"
        assert server.outbox == []


# -- access ------------------------------------------------------------------------------------------------------


def test_a_service_account_impersonates_or_is_a_delegate(double: ExchangeServer) -> None:
    double.add_user("bob")
    make(calendar(double))
    base = Access(double.url, "service", lambda: "service", "ann@us.example", "impersonation", "basic")
    assert len(list(ExchangeReplica(Soap(base)).changes(""))[-1].changes) == 1
    delegate = replace(base, username="bob", secret=lambda: "bob", how="delegate")
    with pytest.raises(AuthFailed, match="delegate"):
        list(ExchangeReplica(Soap(delegate)).changes(""))
    double.delegates["bob"] = {"ann@us.example"}
    replica = ExchangeReplica(Soap(delegate))
    assert len(list(replica.changes(""))[-1].changes) == 1
    replica.update(read(replica, make(replica).ref), {"summary": "By a delegate"})
    for wrong, words in (
        (replace(base, username="bob", secret=lambda: "bob"), "ApplicationImpersonation"),
        (replace(base, mailbox="nobody@us.example"), "no mailbox"),
        (replace(base, secret=lambda: "wrong"), "refuses the sign-in"),
    ):
        with pytest.raises(AuthFailed, match=words):
            list(ExchangeReplica(Soap(wrong)).changes(""))


def test_ntlm_signs_in(double: ExchangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real NTLM handshake: the server's side is pyspnego's acceptor."""
    users = tmp_path / "users"
    users.write_text("US:ann:secret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    double.schemes = ("NTLM", "Negotiate")
    for how in ("ntlm", ""):
        signs = access(double, "US\\ann", auth=how)
        good = replace(signs, secret=lambda: "secret", mailbox="ann@us.example")
        assert list(ExchangeReplica(Soap(good)).changes(""))
        with pytest.raises(AuthFailed):
            list(ExchangeReplica(Soap(replace(good, secret=lambda: "wrong"))).changes(""))


def test_the_server_says_how_to_sign_in(double: ExchangeServer) -> None:
    assert list(calendar(double, auth="").changes(""))
    double.schemes = ("Digest",)
    with pytest.raises(AuthFailed, match="no way to sign in"):
        list(ExchangeReplica(Soap(replace(access(double, "ann"), auth="", connections=3, username="x"))).changes(""))


def test_access_tokens_of_ones_own_server(double: ExchangeServer) -> None:
    """AD FS: a refresh token, the client's own credentials, or a command."""
    double.schemes = ("Bearer",)
    with token_server({"refresh-ann": "ann"}) as tokens:
        double.token = lambda token: "ann" if token in tokens.given else None
        options: dict[str, Any] = {"url": double.url, "username": "ann", "address": "ann@us.example", "kind": "event"}
        oauth = {"token-url": tokens.url, "client-id": "syncd"}
        assert list(connector({**options, "oauth": oauth, "password": "refresh-ann"}).changes(""))
        with pytest.raises(AuthFailed, match="invalid_grant"):
            list(connector({**options, "oauth": oauth, "password": "another"}).changes(""))
        (token, *_) = tokens.given
        by_command = {**options, "token-command": f"printf '%s\\n' {token}"}
        assert list(connector(by_command).changes(""))
        with pytest.raises(AuthFailed):
            list(connector({**options, "token-command": "printf nothing"}).changes(""))


def test_autodiscover_asks_the_configured_server_and_nobody_else(double: ExchangeServer) -> None:
    front = double.url.replace("/EWS/Exchange.asmx", "")
    options = {"url": front, "username": "ann", "password": "ann", "auth": "basic", "autodiscover": True}
    with exchange() as other:  # where Bob's mailbox is kept
        other.add_user("bob")
        double.add_user("bob")
        double.places = {
            "bob@us.example": other.url,
            "far@us.example": "far@us.onmicrosoft.com",
            "cloud@us.example": "https://outlook.office365.com/EWS/Exchange.asmx",
        }
        for _ in range(2):
            assert list(connector({**options, "address": "ann@us.example"}).changes(""))
        assert double.asked("GetUserSettings") == 1, "what was found is kept"
        for address, expected, words in (
            ("nobody@us.example", AuthFailed, "no mailbox"),
            ("far@us.example", Rejected, "Exchange Online"),
            ("cloud@us.example", Rejected, "Exchange Online"),
        ):
            with pytest.raises(expected, match=words):
                list(connector({**options, "address": address}).changes(""))
        # another machine is signed in to by TLS only: this one is not, so the configured server is asked instead
        bob = {**options, "username": "bob", "password": "bob", "address": "bob@us.example"}
        assert list(connector(bob).changes(""))
        assert other.log == []


def test_tls_is_verified_and_a_ca_of_ones_own_is_trusted(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with exchange(tls=(cert, key)) as server:
        server.add_user("ann")
        for auth in ("basic", ""):
            with pytest.raises(Transient, match="certificate cannot be trusted"):
                list(calendar(server, auth=auth).changes(""))
        with pytest.raises(Transient, match="certificate cannot be trusted"):
            elsewhere = replace(
                access(server, "ann", ca=str(cert)), endpoint=server.url.replace("localhost", "127.0.0.1")
            )
            list(ExchangeReplica(Soap(elsewhere)).changes(""))
        assert list(calendar(server, ca=str(cert)).changes(""))


@pytest.mark.parametrize("host", ["outlook.office365.com", "OUTLOOK.office.com", "eur.outlook.office365.com"])
def test_exchange_online_is_refused_with_a_reason(host: str) -> None:
    with pytest.raises(Rejected, match="Exchange Online has closed"):
        list(
            connector({"url": f"https://{host}/EWS/Exchange.asmx", "username": "a@b.example", "password": "x"}).changes(
                ""
            )
        )


# -- push --------------------------------------------------------------------------------------------------------


def watching(streams: Streams, count: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while streams.watching() < count and time.monotonic() < end:
        time.sleep(0.05)
    assert streams.watching() == count


def heard(bell: threading.Event, seconds: float = 5) -> bool:
    found = bell.wait(seconds)
    bell.clear()
    return found


def test_a_change_is_heard_within_seconds_and_streams_are_renewed(double: ExchangeServer) -> None:
    streams, bell = Streams(first=0.2), threading.Event()
    replica = calendar(double)
    stop = streams.add(replica.mailbox.access, replica.place_in, bell.set)
    watching(streams, 1)
    assert heard(bell), "whatever happened before is looked for"
    make(replica)
    assert heard(bell)
    double.operations.subscriptions.clear()  # the server has forgotten the subscription
    subscriptions = double.asked("Subscribe")
    for stream in list(streams._streams):
        stream._socket.shutdown(socket.SHUT_RDWR)  # the connection breaks
    end = time.monotonic() + 30
    while double.asked("Subscribe") == subscriptions and time.monotonic() < end:
        time.sleep(0.05)
    watching(streams, 1)
    assert heard(bell, 30), "whatever happened meanwhile is looked for"
    put(double, 5)
    assert heard(bell), "subscribed anew"
    stop()
    end = time.monotonic() + 5
    while streams._thread is not None and time.monotonic() < end:
        time.sleep(0.05)
    assert streams._thread is None


def test_a_stream_that_says_nothing_is_given_up(double: ExchangeServer) -> None:
    """Half open: the connection is there, the server is not."""
    double.heartbeat = 3600
    streams, bell = Streams(silence=1.5, first=0.2), threading.Event()
    replica = calendar(double)
    stop = streams.add(replica.mailbox.access, replica.place_in, bell.set)
    watching(streams, 1)
    assert heard(bell)
    subscriptions = double.asked("Subscribe")
    end = time.monotonic() + 15
    while double.asked("Subscribe") == subscriptions and time.monotonic() < end:
        time.sleep(0.1)
    assert double.asked("Subscribe") > subscriptions
    stop()


def test_mailboxes_on_different_machines_get_streams_of_their_own(double: ExchangeServer) -> None:
    double.quirks.one_machine_each = True
    streams, bells = Streams(first=0.2), [threading.Event() for _ in range(3)]
    stops, replicas = [], []
    for n, bell in enumerate(bells):
        double.add_user(f"d{n}")
        how = Access(double.url, "service", lambda: "service", f"d{n}@us.example", "impersonation", "basic")
        replicas.append(ExchangeReplica(Soap(how)))
        stops.append(streams.add(how, replicas[n].place_in, bell.set))
    end = time.monotonic() + 20
    while streams.open_streams() < 3 and time.monotonic() < end:
        time.sleep(0.05)
    assert (streams.open_streams(), streams.watching()) == (3, 3)
    for n, bell in enumerate(bells):
        bell.clear()
        make(replicas[n])
        assert heard(bell)
    for stop in stops:
        stop()


def test_a_thousand_mailboxes_are_watched_by_one_thread_in_a_few_streams(double: ExchangeServer) -> None:
    streams, bells = Streams(), [threading.Event() for _ in range(1000)]
    stops = []
    for n, bell in enumerate(bells):
        double.add_user(f"w{n}")
        how = Access(double.url, "service", lambda: "service", f"w{n}@us.example", "impersonation", "basic")
        replica = ExchangeReplica(Soap(how))
        stops.append(streams.add(how, replica.place_in, bell.set))
    watching(streams, 1000, 90)
    assert streams.open_streams() <= 16
    assert sum(t.name == "ews-streams" for t in threading.enumerate()) == 1
    for bell in bells:
        bell.clear()
    make(
        ExchangeReplica(
            Soap(Access(double.url, "service", lambda: "service", "w700@us.example", "impersonation", "basic"))
        )
    )
    assert heard(bells[700])
    assert sum(b.is_set() for b in bells) == 0, "and nobody else is woken"
    for stop in stops:
        stop()


# -- mail --------------------------------------------------------------------------------------------------------


def test_mail_is_read_as_behind_imap(double: ExchangeServer) -> None:
    """The same message, here and in a mailbox behind IMAP, is one: the identity is the same."""
    from syncd.mail.headers import identity, read_headers

    raw = message("Größe", "words\n", mid="m1@acme.example", answers="m0@acme.example", files={"a.pdf": b"x" * 1000})
    for folder in ("inbox", "sentitems"):
        double.deliver("ann@us.example", raw, folder)
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice())
    found = [r for p in mail.changes("") for r in mail.fetch([c.ref for c in p.changes]).values()]
    wanted = identity(read_headers(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"), 0)
    for record in found:
        assert isinstance(record, Record)
        assert record.uid == wanted
        assert record.thread[:2] == ("m1@acme.example", "m0@acme.example")
        assert record.fields["subject"] == "Größe"
    assert len(found) == 2
    (one, _) = mail.complete([r for r in found if isinstance(r, Record)], frozenset({"text", "contents"}))
    assert not isinstance(one, PortError)
    assert one["text"].strip() == "words"
    assert [(f.name, b"".join(f.content or ())) for f in one["attachments"]] == [("a.pdf", b"x" * 1000)]
    assert not box(double).items[next(iter(box(double).distinguished("inbox").born))].read, "reading marks nothing"


def test_reading_a_mail_is_no_change(double: ExchangeServer) -> None:
    item = double.deliver("ann@us.example", message("One"))
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice())
    cursor = list(mail.changes(""))[-1].cursor
    box(double).mark_read(item, True)
    assert [c for p in mail.changes(cursor) for c in p.changes] == []


def test_an_excluded_folder_shows_which_message_and_nothing_of_it(double: ExchangeServer) -> None:
    owner = box(double)
    home = owner.add_folder("Home", "Folder", owner.distinguished("msgfolderroot").id)
    owner.move(double.deliver("ann@us.example", message("Very secret", files={"secret.pdf": b"x"})), home.id)
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice(excluded=("Home",)))
    double.log.clear()
    ((record,),) = [list(mail.fetch([c.ref for c in p.changes]).values()) for p in mail.changes("") if p.changes]
    assert isinstance(record, Record)
    assert dict(record.fields) == {"sensitivity": "excluded"}
    assert record.uid
    assert "secret" not in repr(record).lower()
    assert double.asked("GetItem") == 1


def test_a_mail_moved_into_an_excluded_folder_that_is_new_is_seen_at_once(double: ExchangeServer) -> None:
    """The list of folders is believed for a while, but not when something has been moved away."""
    item = double.deliver("ann@us.example", message("Soon private"))
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice(excluded=("Private",)))
    cursor = list(mail.changes(""))[-1].cursor
    owner = box(double)
    private = owner.add_folder("Private", "Folder", owner.distinguished("msgfolderroot").id)
    moved = owner.move(item, private.id)
    changes = [c for p in mail.changes(cursor) for c in p.changes]
    assert {c.ref: c.gone for c in changes} == {item.id: True, moved.id: False}
    record = mail.fetch([moved.id])[moved.id]
    assert isinstance(record, Record)
    assert dict(record.fields) == {"sensitivity": "excluded"}
    double.log.clear()
    assert [c for p in mail.changes(list(mail.changes(cursor))[-1].cursor) for c in p.changes] == []


def test_a_mark_is_set_beside_a_person_who_is_at_the_message(double: ExchangeServer) -> None:
    item = double.deliver("ann@us.example", message("Logged"))
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice(keyword="In the CRM"))
    double.troubles.append(Trouble("code", "UpdateItem", code="ErrorIrresolvableConflict"))
    mail.mark([item.id], logged=True)
    assert [c.text for c in item.props["item:Categories"]] == ["In the CRM"]
    mail.mark([item.id], logged=False)
    double.troubles.append(Trouble("code", "UpdateItem", code="ErrorIrresolvableConflict", times=9))
    with pytest.raises(Transient):  # and it stays noted
        mail.mark([item.id], logged=True)
