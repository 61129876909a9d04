"""Exchange Web Services on servers of another make, and what a series costs when it is written in pieces.

What such a server does is a `Quirk` of the server of tests.servers.exchange, each with its source in
docs/exchange-double.md. The names are those of the cases.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from connectors.exchange.event import guests_of, owner_of
from connectors.exchange.guard import refuse_to_send
from connectors.exchange.items import _HEEDING
from connectors.exchange.mailbox import ExchangeMailbox
from connectors.exchange.message import message_record
from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox as Soap
from connectors.exchange.watch import Streams
from connectors.exchange.xml import PLAN, el, extended
from syncd.mail.choice import Choice
from syncd.model.fields import same
from syncd.model.record import UNREAD, Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import AuthFailed, Rejected, Telling, Transient, Unsupported, telling_of
from tests.conformance.conftest import access
from tests.conformance.test_exchange import (
    BERLIN,
    SPAN,
    TEN,
    box,
    calendar,
    heard,
    item_of,
    make,
    put,
    read,
    watching,
)
from tests.scenarios.mail import message
from tests.servers.exchange import ExchangeServer, Trouble, exchange
from tests.servers.exchange.schema import T
from tests.servers.exchange.store import Item, element

pytestmark = [
    pytest.mark.either,
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def double() -> Iterator[ExchangeServer]:
    """A server with Ann's mailbox and a service account; at its end nobody else has heard anything."""
    with exchange() as server:
        server.add_user("ann")
        server.users["service"] = "service"
        server.services.add("service")
        _HEEDING[server.url] = True
        yield server
    _HEEDING.pop(server.url, None)


def week(number: int, *, days: int = 0, hour: int = 10) -> datetime:
    """Ten o'clock in Berlin, so many weeks after the first."""
    return (TEN + timedelta(days=7 * number + days)).replace(hour=hour)


def key(number: int, hour: int = 10) -> str:
    """The original start of an occurrence of the weekly series."""
    return week(number, hour=hour).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def at(start: datetime) -> Span:
    return Span(start, start + timedelta(hours=1), "Europe/Berlin")


def held(replica: ExchangeReplica, ref: str) -> tuple[str, set[str], dict[str, dict[str, Any]]]:
    """Rule, left-out dates, and in what occurrences differ."""
    found: Recurrence = read(replica, ref).fields["recurrence"]
    return found.rule, set(found.exdates), {k: dict(v) for k, v in found.overrides.items()}


def state(server: ExchangeServer, record: Record) -> Any:
    """Everything that the server holds of an item."""
    item = item_of(server, record)

    def show(props: Any) -> Any:
        return {p: e if isinstance(e, str) else etree.tostring(e) for p, e in props.items()}

    return show(item.props), {s: show(p) for s, p in item.exceptions.items()}, set(item.deleted)


def weekly(replica: ExchangeReplica, count: int = 4, **more: Any) -> Record:
    """A weekly series; of the second a moved one, the third left out."""
    recurrence = Recurrence(
        f"FREQ=WEEKLY;COUNT={count}",
        exdates=frozenset({key(2)}),
        overrides={key(1): {"time": at(week(1, days=1, hour=14))}},
    )
    return make(replica, recurrence=recurrence, **more)


# -- E1: one plan --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirk", ["", "keeps_exceptions", "whole_exceptions"])
def test_case_e1_a_series_that_moves_takes_its_occurrences_along(double: ExchangeServer, quirk: str) -> None:
    """Also L6: the original starts move with the series, what was moved stays where it was put."""
    if quirk:
        setattr(double.quirks, quirk, True)
    replica = calendar(double)
    record = weekly(replica)
    replica.update(read(replica, record.ref), {"time": at(week(0, hour=11))})
    moved = {key(1, 11): {"time": at(week(1, days=1, hour=14))}}
    assert held(replica, record.ref) == ("FREQ=WEEKLY;COUNT=4", {key(2, 11)}, moved)
    assert PLAN not in extended(read(replica, record.ref).native)


def test_case_l6_dates_of_somebody_who_does_not_know_that_the_series_moved_move_too(double: ExchangeServer) -> None:
    """The same change moves the series and says something of its occurrences, by where they were."""
    replica = calendar(double)
    record = weekly(replica)
    old = read(replica, record.ref).fields["recurrence"]
    more = replace(old, exdates=old.exdates | {key(3)}, overrides={**old.overrides, key(0): {"summary": "First"}})
    replica.update(read(replica, record.ref), {"time": at(week(0, hour=11)), "recurrence": more})
    assert held(replica, record.ref)[1:] == (
        {key(2, 11), key(3, 11)},
        {key(0, 11): {"summary": "First"}, key(1, 11): {"time": at(week(1, days=1, hour=14))}},
    )
    replica.update(
        read(replica, record.ref), {"time": at(week(0, hour=9)), "recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")}
    )
    assert held(replica, record.ref)[1:] == (set(), {}), "and who knows it is taken at the word"


def test_case_e1_what_is_written_again_keeps_what_we_do_not_know(double: ExchangeServer) -> None:
    """Formatted text, a reminder, "out of office" of one occurrence."""
    replica = calendar(double)
    record = weekly(replica)
    item = item_of(double, record)
    (original,) = item.exceptions
    item.exceptions[original] |= {
        "item:Body": element("Body", "<p><b>Bring</b> the plan</p>", BodyType="HTML"),
        "item:ReminderIsSet": element("ReminderIsSet", "true"),
        "item:ReminderMinutesBeforeStart": element("ReminderMinutesBeforeStart", "90"),
        "calendar:LegacyFreeBusyStatus": element("LegacyFreeBusyStatus", "OOF"),
    }
    box(double).touch(item)
    replica.update(read(replica, record.ref), {"time": at(week(0, hour=11)), "summary": "Another"})
    (props,) = item_of(double, record).exceptions.values()
    assert "<b>Bring</b>" in props["item:Body"].text
    assert props["item:ReminderMinutesBeforeStart"].text == "90"
    assert props["calendar:LegacyFreeBusyStatus"].text == "OOF"
    assert held(replica, record.ref)[2] == {
        key(1, 11): {"time": at(week(1, days=1, hour=14)), "description": "Bring the plan"}
    }


@pytest.mark.parametrize("what", ["attachments", "guests"])
def test_case_e1_what_cannot_be_written_again_stops_the_first_write(double: ExchangeServer, what: str) -> None:
    replica = calendar(double)
    record = weekly(replica)
    item = item_of(double, record)
    (original,) = item.exceptions
    if what == "attachments":
        item.exceptions[original]["item:HasAttachments"] = element("HasAttachments", "true")
    else:
        item.exceptions[original]["calendar:RequiredAttendees"] = people("kim@acme.example")
    box(double).touch(item)
    before = state(double, record)
    with pytest.raises(Unsupported, match=f"{what} of its own|{what} of its own, whom"):
        replica.update(read(replica, record.ref), {"time": at(week(0, hour=11))})
    assert state(double, record) == before
    replica.update(read(replica, record.ref), {"summary": "Nothing goes"})
    assert item_of(double, record).text("item:Subject") == "Nothing goes"


def people(*addresses: str, routing: str = "SMTP", name: str = "RequiredAttendees") -> Any:
    made = element(name)
    for address in addresses:
        one = etree.SubElement(made, f"{T}Attendee")
        inside = etree.SubElement(one, f"{T}Mailbox")
        inside.append(element("Name", "Somebody"))
        inside.append(element("EmailAddress", address))
        inside.append(element("RoutingType", routing))
        one.append(element("ResponseType", "Accept"))
    return made


FAULTS = [
    Trouble("500", "DeleteItem"),
    Trouble("500", "UpdateItem", after=1),
    Trouble("500", "UpdateItem", after=2),
    Trouble("drop", "DeleteItem"),
    Trouble("lost", "UpdateItem"),
    Trouble("lost", "DeleteItem"),
    Trouble("500", "GetItem", after=2),
]


@pytest.mark.parametrize("trouble", FAULTS, ids=lambda t: f"{t.kind}-{t.operation}-{t.after}")
@pytest.mark.parametrize("how", ["move", "create"])
def test_case_e1_a_half_written_series_is_as_it_was_meant_and_is_finished(
    double: ExchangeServer, trouble: Trouble, how: str
) -> None:
    """Whatever breaks between two requests: who reads it sees no missing occurrence, and the next read for good
    finishes it. Looking alone writes nothing, nor does a mailbox that is read only."""
    replica = calendar(double)
    wanted = Recurrence(
        "FREQ=WEEKLY;COUNT=4",
        exdates=frozenset({key(2, 11)}),
        overrides={key(1, 11): {"time": at(week(1, days=1, hour=14)), "summary": "Other"}},
    )
    identity = str(uuid.uuid4())
    fields = {"summary": "A meeting", "time": at(week(0, hour=11)), "recurrence": wanted}
    if how == "move":
        first = replace(
            wanted,
            exdates=frozenset({key(2)}),
            overrides={key(1): {"time": at(week(1, days=1, hour=14)), "summary": "Other"}},
        )
        record = make(replica, recurrence=first)
    double.troubles.append(replace(trouble))
    broke = True
    try:
        if how == "move":
            replica.update(read(replica, record.ref), {"time": fields["time"]})
        else:
            replica.create(fields, identity, kind="event", uid="u@x", owner="")
        broke = False
    except Transient:
        pass
    double.troubles.clear()
    fresh = calendar(double)
    if how == "create":
        arrived = fresh.find(identity, "u@x")
        assert arrived is not None
        record = arrived
    asked = len(double.log)
    seen = fresh.look([record.ref])[record.ref]
    assert isinstance(seen, Record)
    assert not {name for name, _ in double.log[asked:]} & {"UpdateItem", "DeleteItem"}
    began = same("time", seen.fields["time"], fields["time"])  # the first request did arrive
    assert began or (how == "move" and trouble.operation == "GetItem")
    if began:
        assert same("recurrence", seen.fields["recurrence"], wanted)
        only = ExchangeReplica(Soap(access(double, "ann")), read_only=True)
        asked = len(double.log)
        assert same("recurrence", read(only, record.ref).fields["recurrence"], wanted)
        assert not {name for name, _ in double.log[asked:]} & {"UpdateItem", "DeleteItem"}
        assert same("recurrence", read(fresh, record.ref).fields["recurrence"], wanted)
        item = item_of(double, record)
        assert (len(item.exceptions), len(item.deleted)) == (1, 1), "it stands on the server too"
        assert PLAN not in extended(fresh.look([record.ref])[record.ref].native)  # type: ignore[union-attr]
    assert broke or (how, trouble.after) == ("create", 2), "there are no more requests"


def test_case_e1_who_changes_a_half_written_series_is_believed(double: ExchangeServer) -> None:
    """What a person has done to an occurrence since counts before the plan, and a series that she has moved
    herself owes nothing to ours."""
    replica = calendar(double)
    record = weekly(replica, count=6)
    double.troubles.append(Trouble("500", "DeleteItem"))
    with pytest.raises(Transient):
        replica.update(read(replica, record.ref), {"time": at(week(0, hour=11))})
    item = item_of(double, record)
    starts = list(item.starts())
    item.exceptions[starts[1]] = {"item:Subject": element("Subject", "Hers")}
    item.deleted[starts[4]] = starts[4]
    box(double).touch(item)
    _, exdates, overrides = held(replica, record.ref)
    assert exdates == {key(2, 11), key(4, 11)}
    assert overrides == {key(1, 11): {"summary": "Hers"}}
    assert item_of(double, record).deleted.keys() == {starts[2], starts[4]}
    again = weekly(replica, count=6)
    double.troubles.append(Trouble("500", "DeleteItem"))
    with pytest.raises(Transient):
        replica.update(read(replica, again.ref), {"time": at(week(0, hour=11))})
    double.troubles.clear()
    item = item_of(double, again)
    for name, hour in (("Start", 16), ("End", 17)):
        item.props[f"calendar:{name}"] = element(name, f"{week(0, hour=hour).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    box(double).touch(item)
    assert held(replica, again.ref) == ("FREQ=WEEKLY;COUNT=6", set(), {})
    assert PLAN not in extended(read(replica, again.ref).native), "and nobody keeps on trying"


def test_case_e1_what_cannot_be_finished_is_said_and_hides_nothing_private(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = weekly(replica)
    double.troubles.append(Trouble("500", "DeleteItem"))
    with pytest.raises(Transient):
        replica.update(read(replica, record.ref), {"time": at(week(0, hour=11))})
    double.quirks.numbers = "other"
    found = calendar(double).fetch([record.ref])[record.ref]
    assert isinstance(found, Rejected)
    assert "half written" in str(found)
    item = item_of(double, record)
    item.props["item:Sensitivity"] = element("Sensitivity", "Private")
    box(double).touch(item)
    assert read(calendar(double), record.ref).fields["sensitivity"] == "private"
    double.quirks.numbers = "visible"
    assert held(replica, record.ref)[1] == {key(2, 11)}


def test_case_e1_a_series_in_a_zone_of_its_own_takes_what_is_not_about_its_time(double: ExchangeServer) -> None:
    """A relative: whatever cannot be written of a series stops only what needs it."""
    replica = calendar(double)
    record = weekly(replica)
    for name in ("StartTimeZone", "EndTimeZone"):
        item_of(double, record).props[f"calendar:{name}"] = element(name, Id="tzone://Microsoft/Custom")
    found = read(replica, record.ref)
    replica.update(found, {"summary": "Another", "time": found.fields["time"]})
    assert item_of(double, record).text("item:Subject") == "Another"
    assert len(item_of(double, record).exceptions) == 1
    with pytest.raises(Unsupported):
        replica.update(read(replica, record.ref), {"time": at(week(0, hour=12))})


# -- L7: what an occurrence has from its series follows ------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
def test_case_l7_occurrences_follow_their_series_in_what_they_have_from_it(double: ExchangeServer, whole: bool) -> None:
    """Also where an exception is a copy of the whole series: subject, place, status, and private, which would stay
    public for everybody who sees the calendar. What somebody gave the occurrence itself stays."""
    double.quirks.whole_exceptions = whole
    replica = calendar(double)
    record = weekly(replica, location="Room 1")
    own = replace(
        read(replica, record.ref).fields["recurrence"],
        overrides={
            key(1): {"time": at(week(1, days=1, hour=14))},
            key(3): {"location": "Elsewhere"},
        },
    )
    replica.update(read(replica, record.ref), {"recurrence": own})
    wanted = held(replica, record.ref)
    replica.update(
        read(replica, record.ref),
        {"summary": "New", "location": "Room 2", "status": "tentative", "sensitivity": "private"},
    )
    assert held(replica, record.ref) == wanted
    for start in item_of(double, record).exceptions:
        shown = double.operations.values(box(double), item_of(double, record), start)
        assert shown["item:Subject"].text == "New"
        assert shown["item:Sensitivity"].text == "Private"
        assert shown["calendar:LegacyFreeBusyStatus"].text == "Tentative"
    replica.update(read(replica, record.ref), {"status": "cancelled", "sensitivity": "public"})
    assert held(replica, record.ref) == wanted
    for start in item_of(double, record).exceptions:
        shown = double.operations.values(box(double), item_of(double, record), start)
        assert (shown["calendar:IsCancelled"].text, shown["item:Sensitivity"].text) == ("true", "Normal")


def test_case_l7_a_half_written_change_is_no_edit_of_the_occurrence(double: ExchangeServer) -> None:
    double.quirks.whole_exceptions = True
    replica = calendar(double)
    record = weekly(replica)
    wanted = held(replica, record.ref)
    double.troubles.append(Trouble("500", "UpdateItem", after=1))
    with pytest.raises(Transient):
        replica.update(read(replica, record.ref), {"summary": "New"})
    seen = replica.look([record.ref])[record.ref]
    assert isinstance(seen, Record)
    assert dict(seen.fields["recurrence"].overrides) == wanted[2]
    assert held(replica, record.ref) == wanted
    (props,) = item_of(double, record).exceptions.values()
    assert props["item:Subject"].text == "New"


# -- P1 ------------------------------------------------------------------------------------------------------------


def test_case_p1_an_occurrence_that_says_nothing_is_as_private_as_its_series(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = weekly(replica, sensitivity="private")
    item = item_of(double, record)
    (original,) = item.exceptions
    item.exceptions[original]["item:Subject"] = element("Subject", "Surgery")
    shown = copy.deepcopy(read(replica, record.ref).native)
    real = double.operations.values

    def silent(owner: Any, one: Item, start: datetime | None = None) -> Any:
        values = real(owner, one, start)
        if start is not None:
            values.pop("item:Sensitivity")
        return values

    double.operations.values = silent  # type: ignore[method-assign, assignment]
    box(double).touch(item)
    assert shown is not None
    (override,) = held(replica, record.ref)[2].values()
    assert "sensitivity" not in override
    assert override["summary"] == "Surgery"
    item.exceptions[original]["item:Sensitivity"] = element("Sensitivity", "Secret")
    double.operations.values = real  # type: ignore[method-assign]
    double.faults_of_its_own.clear()
    (override,) = held(replica, record.ref)[2].values()
    assert override.get("sensitivity", "private") == "private", "a word that is not known is private"
    double.faults_of_its_own.clear()


# -- E2: who is named by a number is looked at first ---------------------------------------------------------------


@pytest.mark.parametrize("numbers", ["all", "visible"])
def test_case_e2_the_occurrence_that_is_meant_is_written_however_a_server_counts(
    double: ExchangeServer, numbers: str
) -> None:
    double.quirks.numbers = numbers
    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=8"))
    wanted = Recurrence(
        "FREQ=WEEKLY;COUNT=8",
        exdates=frozenset({key(1), key(4)}),
        overrides={key(3): {"time": at(week(3, days=1, hour=15))}, key(6): {"summary": "Special"}},
    )
    replica.update(record, {"recurrence": wanted})
    assert same("recurrence", read(replica, record.ref).fields["recurrence"], wanted)
    more = replace(wanted, exdates=wanted.exdates | {key(5)}, overrides={**wanted.overrides, key(7): {"summary": "x"}})
    replica.update(read(replica, record.ref), {"recurrence": more})
    assert same("recurrence", read(replica, record.ref).fields["recurrence"], more)
    by_hand = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key(1), key(2)})))
    assert held(replica, by_hand.ref)[1] == {key(1), key(2)}


def test_case_e2_a_server_that_counts_otherwise_still_gets_no_write_on_trust(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=8"))
    double.quirks.numbers = "other"
    before = state(double, record)
    for change in (
        Recurrence("FREQ=WEEKLY;COUNT=8", exdates=frozenset({key(1)})),
        Recurrence("FREQ=WEEKLY;COUNT=8", overrides={key(3): {"summary": "Special"}}),
    ):
        with pytest.raises(Rejected, match="does not show the occurrence"):
            replica.update(read(replica, record.ref), {"recurrence": change})
        assert state(double, record) == before


def test_case_e2_an_occurrence_that_changes_between_look_and_write_is_not_overwritten(double: ExchangeServer) -> None:
    """It is written under the change key that the look has shown."""
    from syncd.ports import Stale

    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    real = double.operations._UpdateItem

    def beside(request: Any, caller: Any) -> Any:
        box(double).touch(item_of(double, record))
        return real(request, caller)

    double.operations._UpdateItem = beside  # type: ignore[method-assign]
    with pytest.raises(Stale):
        replica.update(record, {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4", overrides={key(1): {"summary": "x"}})})
    assert item_of(double, record).exceptions == {}


# -- E3: addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("routing", ["smtp", "Smtp"])
def test_case_e3_the_word_for_an_address_is_read_in_any_case(double: ExchangeServer, routing: str) -> None:
    double.quirks.routing = routing
    item = put(double, 1, **{"calendar:RequiredAttendees": people("kim@acme.example")})
    record = read(calendar(double), item.id)
    assert set(record.fields["attendees"]) == {"kim@acme.example", "ann@us.example"}
    assert (record.owner, set(record.guests)) == ("ann@us.example", {"kim@acme.example"})
    double.deliver("ann@us.example", message("Sent", sender="ann@us.example", to="kim@acme.example"), "sentitems")
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice())
    (sent,) = [r for p in mail.changes("") for r in mail.fetch([c.ref for c in p.changes]).values()]
    assert isinstance(sent, Record)
    assert set(sent.fields["correspondents"]) == {"ann@us.example", "kim@acme.example"}
    assert UNREAD not in sent.traits


@pytest.mark.parametrize("routing", ["EX", "ex", "FAX", "MAPIPDL"])
def test_case_e3_a_recipient_who_cannot_be_read_makes_no_mail_internal(routing: str) -> None:
    box_ = element("Mailbox")
    for name, text in (("Name", "Kim"), ("EmailAddress", "/o=Acme/cn=kim"), ("RoutingType", routing)):
        box_.append(element(name, text))
    item = element("Message")
    sender = etree.SubElement(item, f"{T}From")
    own = etree.SubElement(sender, f"{T}Mailbox")
    own.append(element("EmailAddress", "ann@us.example"))
    item.append(element("DateTimeSent", "2026-11-20T10:00:00Z"))
    etree.SubElement(item, f"{T}ToRecipients").append(box_)
    record = message_record("x", item, "Sent Items")
    assert set(record.fields["correspondents"]) == {"ann@us.example"}, "what is no address is nobody's"
    assert UNREAD in record.traits


# -- S4: whose meeting it is ---------------------------------------------------------------------------------------


def meeting(organizer: Any, answer: str = "", state: int | None = None) -> Any:
    item = element("CalendarItem")
    item.append(element("IsMeeting", "true"))
    if answer:
        item.append(element("MyResponseType", answer))
    if organizer is not None:
        item.append(organizer)
    item.append(people("ann@us.example", "kim@acme.example"))
    if state is not None:
        item.append(element("AppointmentState", str(state)))
    return item


def named(address: str = "", routing: str = "", name: str = "") -> Any:
    made = element("Organizer")
    inside = etree.SubElement(made, f"{T}Mailbox")
    for tag, text in (("Name", name), ("EmailAddress", address), ("RoutingType", routing)):
        if text:
            inside.append(element(tag, text))
    return made


@pytest.mark.parametrize(
    ("organizer", "answer", "state", "mine"),
    [
        (named("/o=Acme/cn=boss", "EX", "Boss"), "Accept", None, False),
        (named("/o=Acme/cn=ann", "ex", "Ann"), "Organizer", None, True),
        (named("/o=Acme/cn=boss", "EX"), "Unknown", None, False),
        (named("ann@us.example", "EX"), "NoResponseReceived", None, False),
        (named(name="ann@us.example"), "", None, False),
        (named(name="Boss"), "", None, False),
        (named(), "", None, False),
        (named("ann@us.example", "smtp"), "", None, True),
        (named("boss@us.example", "SMTP"), "Tentative", None, False),
        (None, "", None, False),
        (None, "", 3, False),
        (None, "", 1, True),
        (None, "organizer", None, True),
    ],
)
def test_case_s4_an_organiser_without_an_address_is_somebody_else(
    organizer: Any, answer: str, state: int | None, mine: bool
) -> None:
    found = owner_of(meeting(organizer, answer, state), "Ann@us.example")
    assert (found == "ann@us.example") is mine
    assert found
    assert mine or found == "boss@us.example" or "@" not in found, "it looks like nobody's address"


@pytest.mark.parametrize(("state", "mine"), [(3, False), (1, True)])
def test_case_s4_a_meeting_that_came_from_somebody_is_not_the_employees_although_nobody_is_named(
    state: int, mine: bool
) -> None:
    item = element("CalendarItem")
    item.append(element("IsMeeting", "true"))
    item.append(element("AppointmentState", str(state)))
    owner = owner_of(item, "ann@us.example")
    assert (owner == "ann@us.example", guests_of([item], owner, "ann@us.example") == frozenset()) == (mine, mine)


def test_case_s4_guests_are_all_who_are_invited_with_and_without_an_address(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = weekly(replica)
    item = item_of(double, record)
    item.props["calendar:RequiredAttendees"] = people("kim@acme.example", "ann@us.example")
    item.props["calendar:Resources"] = people("/o=Acme/cn=room7", routing="EX", name="Resources")
    (original,) = item.exceptions
    item.exceptions[original]["calendar:OptionalAttendees"] = people("pat@acme.example", name="OptionalAttendees")
    box(double).touch(item)
    found = read(replica, record.ref)
    assert found.guests == {"kim@acme.example", "pat@acme.example", "ex:/o=Acme/cn=room7"}
    assert set(found.fields["attendees"]) == {"kim@acme.example", "ann@us.example"}, "and a room is no participant"
    assert read(replica, make(replica).ref).guests == frozenset()


# -- S2, S3: who is told -------------------------------------------------------------------------------------------


def with_guests(server: ExchangeServer, replica: ExchangeReplica, **more: Any) -> Record:
    """A meeting of Ann's with Bob, who has a mailbox here, and Carl, who has not; both know of it."""
    server.add_user("bob")
    record = make(replica, **more)
    item = item_of(server, record)
    item.props["calendar:RequiredAttendees"] = people("bob@us.example", "carl@elsewhere.example")
    box(server).touch(item)
    copied = Item(
        box(server, "bob").new_id("I"),
        "CalendarItem",
        box(server, "bob").distinguished("calendar").id,
        {**copy.deepcopy(item.props), "organizer": "ann@us.example", "answer": "Accept"},
    )
    box(server, "bob").put(copied)
    return read(replica, record.ref)


def of_bob(server: ExchangeServer) -> list[Any]:
    owner = box(server, "bob")
    where = {f.id: f.distinguished for f in owner.folders.values()}
    return sorted((where[i.folder], i.kind, i.text("item:Subject"), i.version) for i in owner.items.values())


def test_case_s2_without_a_word_nobody_is_mailed_and_nobodys_calendar_changes(double: ExchangeServer) -> None:
    replica = calendar(double)
    assert telling_of(replica) is Telling.CAN_BE_ASKED
    assert telling_of(calendar(double, kind="todo")) is Telling.NOBODY
    record = with_guests(double, replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    before = of_bob(double)
    replica.update(record, {"description": "Only for us", "summary": "Another"})
    replica.update(read(replica, record.ref), {"time": at(week(0, hour=12)), "status": "cancelled"})
    out = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key(1, 12)}))
    replica.update(read(replica, record.ref), {"recurrence": out})
    replica.delete(read(replica, record.ref))
    assert of_bob(double) == before
    assert double.told == []


def test_case_s2_what_is_meant_to_be_told_is_told_and_just_that(double: ExchangeServer) -> None:
    replica = calendar(double)
    record = with_guests(double, replica)
    replica.update(record, {"time": at(week(0, hour=12))}, tell=True)
    assert [f"{o.why} {' '.join(o.to)}" for o in double.outbox] == [
        "UpdateItem SendToAllAndSaveCopy bob@us.example carl@elsewhere.example"
    ]
    assert [entry[:3] for entry in of_bob(double)] == [
        ("calendar", "CalendarItem", "A meeting"),
        ("inbox", "MeetingRequest", "A meeting"),
    ]
    assert len(double.forget_told()) == 4
    replica.delete(read(replica, record.ref), tell=True)
    assert [o.why for o in double.outbox] == ["DeleteItem SendToAllAndSaveCopy"]
    assert [entry[1] for entry in of_bob(double)] == ["CalendarItem", "MeetingCancellation", "MeetingRequest"]
    double.forget_told()


def test_case_s3_nobody_is_told_of_what_somebody_else_organises(double: ExchangeServer) -> None:
    """Exchange would answer the organiser."""
    replica = calendar(double)
    record = with_guests(double, replica)
    item_of(double, record).props["organizer"] = "boss@us.example"
    record = read(replica, record.ref)
    assert record.owner == "boss@us.example"
    replica.update(record, {"categories": frozenset({"CRM"})}, tell=True)
    replica.delete(read(replica, record.ref), tell=True)
    assert double.told == []


@pytest.mark.parametrize(
    "payload",
    [
        el("m:UpdateItem", MessageDisposition="SaveOnly", SuppressReadReceipts="true",
           SendMeetingInvitationsOrCancellations="SendToAllAndSaveCopy"),
        el("m:DeleteItem", DeleteType="MoveToDeletedItems", SuppressReadReceipts="true",
           SendMeetingCancellations="SendToAllAndSaveCopy"),
    ],
)  # fmt: skip
def test_case_s2_the_guard_lets_through_just_what_is_meant(payload: Any) -> None:
    with pytest.raises(Rejected):
        refuse_to_send(payload)
    refuse_to_send(payload, tell=True)
    for attribute, value in (("MessageDisposition", "SendAndSaveCopy"), ("SuppressReadReceipts", "false")):
        wrong = copy.deepcopy(payload)
        wrong.set(attribute, value)
        with pytest.raises(Rejected):
            refuse_to_send(wrong, tell=True)
    inside = copy.deepcopy(payload)
    inside.append(el("m:ItemChanges", el("t:CalendarItem", el("t:RequiredAttendees"))))
    with pytest.raises(Rejected):
        refuse_to_send(inside, tell=True)
    made = el("m:CreateItem", el("m:Items", el("t:CalendarItem")), MessageDisposition="SaveOnly",
              SendMeetingInvitations="SendToAllAndSaveCopy")  # fmt: skip
    with pytest.raises(Rejected):
        refuse_to_send(made, tell=True)


# -- E4: a client fault is about that request ----------------------------------------------------------------------


def test_case_e4_an_occurrence_that_is_a_client_fault_is_refused_and_the_others_go_on(double: ExchangeServer) -> None:
    double.quirks.ten_of_endless = True
    replica = calendar(double)
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY"))
    near = Recurrence("FREQ=WEEKLY", exdates=frozenset({key(8)}))
    replica.update(record, {"recurrence": near})
    with pytest.raises(Rejected, match="client fault"):
        replica.update(
            read(replica, record.ref),
            {"recurrence": replace(near, overrides={key(20): {"summary": "Far away"}})},
        )
    assert held(replica, record.ref) == ("FREQ=WEEKLY", {key(8)}, {})
    other = make(replica)
    replica.update(other, {"summary": "Goes on"})


def test_case_e4_a_mailbox_that_is_not_there_is_said_so(double: ExchangeServer) -> None:
    how = access(double, "service", how="impersonation")
    with pytest.raises(AuthFailed, match="no mailbox with this address"):
        list(ExchangeReplica(Soap(replace(how, mailbox="nobody@us.example"))).changes(""))
    double.quirks.faults_for_mailboxes = True
    for kind in ("event", "todo"):
        with pytest.raises(Rejected, match="is there a mailbox with this address"):
            list(ExchangeReplica(Soap(replace(how, mailbox="nobody@us.example")), kind=kind).changes(""))
    with pytest.raises(Rejected, match="is there a mailbox with this address"):
        list(ExchangeMailbox(Soap(replace(how, mailbox="nobody@us.example")), Choice()).changes(""))
    assert list(ExchangeReplica(Soap(replace(how, mailbox="ann@us.example"))).changes(""))


# -- E5: only what changes something is news -----------------------------------------------------------------------


def test_case_e5_a_sign_of_life_is_no_news(double: ExchangeServer) -> None:
    double.quirks.status_events, double.heartbeat = True, 0.3
    double.add_user("bob")
    streams, bells, stops = Streams(first=0.2), [threading.Event(), threading.Event()], []
    replicas = []
    for user, bell in zip(("ann", "bob"), bells, strict=True):
        how = access(double, "service", how="impersonation")
        replicas.append(ExchangeReplica(Soap(replace(how, mailbox=f"{user}@us.example"))))
        stops.append(streams.add(replicas[-1].mailbox.access, replicas[-1].place_in, bell.set))
    watching(streams, 2)
    assert all(heard(bell) for bell in bells), "whatever happened before is looked for"
    time.sleep(1.5)
    assert [bell.is_set() for bell in bells] == [False, False]
    put(double, 5)
    assert heard(bells[0])
    assert not bells[1].is_set()
    for stop in stops:
        stop()


def test_case_e5_what_concerns_a_folder_is_no_news_either() -> None:
    from connectors.exchange.stream import news

    event = b"<t:%b><t:TimeStamp>2026-11-26T10:00:00Z</t:TimeStamp><t:%b Id='x' ChangeKey='y'/></t:%b>"
    wrapped = (
        b"<m:Notifications><m:Notification><t:SubscriptionId>%b</t:SubscriptionId>%b</m:Notification></m:Notifications>"
    )
    counts = event % (b"ModifiedEvent", b"FolderId", b"ModifiedEvent")
    new = event % (b"NewMailEvent", b"ItemId", b"NewMailEvent")
    assert news(wrapped % (b"one", counts)) == frozenset()
    assert news(wrapped % (b"one", b"<t:StatusEvent/>")) == frozenset()
    assert news(wrapped % (b"one", counts) + wrapped % (b"two", counts + new)) == {"two"}
    assert news(wrapped.replace(b"t:", b"").replace(b"m:", b"") % (b"three", new.replace(b"t:", b""))) == {"three"}


def test_case_e5_who_is_dropped_from_a_stream_in_passing_is_heard_again(double: ExchangeServer) -> None:
    """A relative: the stream goes on for the others, and says once that it does not know somebody."""
    double.quirks.drops_in_passing = True
    double.add_user("bob")
    streams, bells, stops = Streams(first=0.2), [threading.Event(), threading.Event()], []
    for user, bell in zip(("ann", "bob"), bells, strict=True):
        how = replace(access(double, "service", how="impersonation"), mailbox=f"{user}@us.example")
        replica = ExchangeReplica(Soap(how))
        stops.append(streams.add(how, replica.place_in, bell.set))
    watching(streams, 2)
    assert all(heard(bell) for bell in bells)
    mine = next(r for r, s in double.operations.subscriptions.items() if s.mailbox is box(double))
    del double.operations.subscriptions[mine]
    assert heard(bells[0], 10), "it is looked for what may have been missed"
    put(double, 7)
    assert heard(bells[0], 10)
    for stop in stops:
        stop()


# -- E6 ------------------------------------------------------------------------------------------------------------


def test_case_e6_mail_is_read_where_or_equal_is_unknown(double: ExchangeServer) -> None:
    double.quirks.refuses_or_equal = True
    today = date(2026, 11, 26)
    first = datetime(2026, 11, 15, tzinfo=UTC)  # the midnight with which the days begin
    for n, moment in enumerate((first, first - timedelta(seconds=1))):
        item = double.deliver("ann@us.example", message(f"m{n}"))
        item.props["item:DateTimeReceived"] = element("DateTimeReceived", f"{moment:%Y-%m-%dT%H:%M:%SZ}")
    mail = ExchangeMailbox(Soap(access(double, "ann")), Choice(days=10), today=lambda: today)
    pages = list(mail.changes(""))
    assert sum(len(p.changes) for p in pages) == 1, "the day on which it begins is in it"
    assert sum(len(p.there) for p in pages) == 1


# -- E7: original starts by another hour ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["first", "midnight"])
@pytest.mark.parametrize(
    "begins", [datetime(2027, 3, 15, 10, tzinfo=BERLIN), datetime(2026, 10, 12, 23, 30, tzinfo=BERLIN)]
)
@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=8", "FREQ=DAILY;COUNT=40"])
def test_case_e7_occurrences_over_the_clocks_change_are_those_of_their_day(
    double: ExchangeServer, how: str, begins: datetime, rule: str
) -> None:
    """From winter into summer, and back, near midnight too."""
    double.quirks.original_starts = how
    replica = calendar(double)
    record = make(replica, time=at(begins), recurrence=Recurrence(rule))
    step = 7 if "WEEKLY" in rule else 1
    keys = [
        (begins + timedelta(days=n * step)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        for n in range(8 if step == 7 else 40)
    ]
    a, b, c = (1, 4, 6) if step == 7 else (10, 25, 30)
    moved = begins + timedelta(days=c * step, hours=-2)
    wanted = Recurrence(
        rule,
        exdates=frozenset({keys[b]}),
        overrides={keys[a]: {"summary": "Other"}, keys[b + 1]: {"summary": "Late"}, keys[c]: {"time": at(moved)}},
    )
    replica.update(record, {"recurrence": wanted})
    got = read(replica, record.ref)
    assert same("recurrence", got.fields["recurrence"], wanted)
    asked = len(double.log)
    replica.update(got, {"recurrence": wanted})
    assert not {name for name, _ in double.log[asked:]} & {"UpdateItem", "DeleteItem"}, "quiet afterwards"
    replica.update(read(replica, record.ref), {"recurrence": replace(wanted, overrides={})})
    assert held(replica, record.ref)[1:] == ({keys[b]}, {})


def test_case_e7_an_hour_that_somebody_moved_it_by_is_an_edit_where_the_server_tells_hours_rightly(
    double: ExchangeServer,
) -> None:
    replica = calendar(double)
    begins = datetime(2027, 3, 15, 10, tzinfo=BERLIN)
    record = make(replica, time=at(begins), recurrence=Recurrence("FREQ=WEEKLY;COUNT=8"))
    fifth = (begins + timedelta(days=28)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    later = at(begins + timedelta(days=28, hours=1))
    wanted = Recurrence("FREQ=WEEKLY;COUNT=8", overrides={fifth: {"time": later}})
    replica.update(record, {"recurrence": wanted})
    assert same("recurrence", read(replica, record.ref).fields["recurrence"], wanted)


# -- E8 ------------------------------------------------------------------------------------------------------------


def test_case_e8_a_percentage_that_a_server_multiplies_is_read_as_it_was_meant(double: ExchangeServer) -> None:
    double.quirks.percent_times = 100
    replica = calendar(double, kind="todo")
    record = make(replica, due=date(2026, 12, 1))
    replica.update(record, {"percent": 50})
    assert item_of(double, record).text("task:PercentComplete") == "5000"
    assert read(replica, record.ref).fields["percent"] == 50


# -- E9: everything is checked before the first write --------------------------------------------------------------


def test_case_e9_a_date_that_is_no_occurrence_excludes_nothing(double: ExchangeServer) -> None:
    replica = calendar(double)
    nothing = (TEN + timedelta(days=3)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    by_day = (TEN + timedelta(days=14)).strftime("%Y%m%d")
    exdates = frozenset({key(1), nothing, by_day, "19990101T000000Z", "20990101T000000Z"})
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4", exdates=exdates))
    assert held(replica, record.ref) == ("FREQ=WEEKLY;COUNT=4", {key(1), key(2)}, {})
    replica.update(read(replica, record.ref), {"summary": "Later edits cross"})
    found = read(replica, record.ref)
    more = replace(found.fields["recurrence"], exdates=found.fields["recurrence"].exdates | {nothing, key(3)})
    replica.update(found, {"recurrence": more})
    assert held(replica, record.ref)[1] == {key(1), key(2), key(3)}


def test_case_e9_a_series_in_plain_utc_is_held(double: ExchangeServer) -> None:
    """A relative: a CRM without zones has its series in UTC, and nothing else tells its name."""
    start = datetime(2026, 12, 1, 10, tzinfo=UTC)
    wanted = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({"20261208T100000Z"}))
    record = make(calendar(double), time=Span(start, start + timedelta(hours=1)), recurrence=wanted)
    assert same("recurrence", record.fields["recurrence"], wanted)
    assert item_of(double, record).props["calendar:StartTimeZone"].get("Id") == "UTC"


@pytest.mark.parametrize("how", ["create", "change", "rule"])
def test_case_e9_what_cannot_be_written_is_refused_before_anything_is(double: ExchangeServer, how: str) -> None:
    replica = calendar(double)
    nothing = (TEN + timedelta(days=3)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    wrong = Recurrence(
        "FREQ=WEEKLY;COUNT=5" if how == "rule" else "FREQ=WEEKLY;COUNT=4",
        exdates=frozenset({key(1)}),
        overrides={nothing: {"summary": "When?"}},
    )
    if how == "create":
        with pytest.raises(Unsupported, match="no occurrence with this original start"):
            make(replica, recurrence=wrong)
        assert box(double).distinguished("calendar").born == {}
        return
    record = make(replica, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    before = state(double, record)
    with pytest.raises(Unsupported, match="no occurrence with this original start"):
        replica.update(record, {"recurrence": wrong, "summary": "Half"})
    assert state(double, record) == before


def test_case_e10_a_series_that_broke_while_it_was_made_is_found_and_finished(double: ExchangeServer) -> None:
    replica, identity = calendar(double), str(uuid.uuid4())
    wanted = Recurrence("FREQ=WEEKLY;COUNT=6", exdates=frozenset({key(1), key(3)}))
    double.troubles.append(Trouble("500", "DeleteItem", after=1))
    with pytest.raises(Transient):
        replica.create(
            {"summary": "Once", "time": SPAN, "recurrence": wanted}, identity, kind="event", uid="u@x", owner=""
        )
    found = replica.find(identity, "u@x")
    assert found is not None
    assert same("recurrence", found.fields["recurrence"], wanted), "nothing is missing that somebody wished gone"
    assert same("recurrence", read(replica, found.ref).fields["recurrence"], wanted)
    assert len(item_of(double, found).deleted) == 2
