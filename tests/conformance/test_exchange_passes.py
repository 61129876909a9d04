"""The engine on an Exchange server that is odd, or breaks between two requests: whole passes, a CRM in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from connectors.exchange.items import _HEEDING
from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox as Soap
from connectors.exchange.xml import PLAN
from syncd.engine.context import Report
from syncd.mapping.loader import load, shipped
from syncd.model.fields import same
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import Transient
from syncd.store.journal import decisions, parked
from tests.conformance.conftest import access
from tests.conformance.test_exchange import BERLIN, box
from tests.servers.exchange import ExchangeServer, Trouble, exchange
from tests.servers.exchange.store import Item
from tests.unit.test_engine import World

pytestmark = [
    pytest.mark.either,
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
TEN = datetime(2026, 12, 1, 10, tzinfo=BERLIN)


def at(start: datetime, hours: float = 1) -> Span:
    return Span(start, start + timedelta(hours=hours), "Europe/Berlin")


def day(number: int, *, hour: int = 10) -> datetime:
    return (TEN + timedelta(days=7 * number)).replace(hour=hour)


def key(number: int, hour: int = 10) -> str:
    return day(number, hour=hour).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass
class Office:
    """Ann's calendar on Exchange, and a CRM."""

    double: ExchangeServer
    world: World
    kind: str

    def passes(self, *, full: bool = False) -> Report:
        (report,) = self.world.sync(full=full)
        return report

    def quiet(self, passes: int = 1) -> None:
        """Both agree: the pass after these writes nothing, nor does a full one."""
        for _ in range(passes):
            self.passes()
        for full in (False, True):
            assert self.passes(full=full).writes == 0
        with self.world.store.reading() as tx:
            assert [p.reason for p in parked(tx)] == []

    @property
    def crm(self) -> Any:
        return self.world.crm

    @property
    def activity(self) -> dict[str, Any]:
        (found,) = self.crm.records.values()
        return dict(found.fields)

    @property
    def item(self) -> Item:
        folder = box(self.double).distinguished("tasks" if self.kind == "todo" else "calendar")
        (found,) = [i for i in box(self.double).items.values() if i.folder == folder.id]
        return found

    def record(self) -> Any:
        """The item as somebody else reads it."""
        return ExchangeReplica(Soap(access(self.double, "ann")), kind=self.kind).look([self.item.id])[self.item.id]


@pytest.fixture
def office(request: pytest.FixtureRequest) -> Iterator[Office]:
    kind = getattr(request, "param", "event")
    lens = load(shipped()["tasks" if kind == "todo" else "appointments"])
    with exchange() as double:
        double.add_user("ann")
        _HEEDING[double.url] = True
        world = World("ann", lens=lens)
        world.now = datetime(2026, 11, 26, 12, tzinfo=UTC)
        replica = ExchangeReplica(Soap(access(double, "ann")), kind=kind)
        world.pairings = [replace(world.pairings[0], replica=replica)]
        yield Office(double, world, kind)
        world.store.close()
    _HEEDING.pop(double.url, None)
    assert double.refused == []


def series(office: Office, **more: Any) -> str:
    """A series of the CRM's: the second occurrence moved, the third left out; in step."""
    recurrence = Recurrence(
        "FREQ=WEEKLY;COUNT=5",
        exdates=frozenset({key(2)}),
        overrides={key(1): {"time": at(day(1, hour=14))}},
    )
    ref = office.world.appointment(time=at(TEN), recurrence=recurrence, **more)
    office.quiet()
    return ref


def test_case_e1_a_series_that_the_crm_moves_keeps_its_occurrences_on_both_sides(office: Office) -> None:
    """Also L6, for a CRM that moves its own dates and for one that does not."""
    ref = series(office)
    office.crm.edit(ref, time=at(day(0, hour=11)))
    office.quiet(passes=2)
    wanted = Recurrence(
        "FREQ=WEEKLY;COUNT=5",
        exdates=frozenset({key(2, 11)}),
        overrides={key(1, 11): {"time": at(day(1, hour=14))}},
    )
    assert same("recurrence", office.record().fields["recurrence"], wanted)
    assert same("recurrence", office.activity["recurrence"], wanted)
    earlier = replace(wanted, exdates=frozenset({key(2, 9)}), overrides={key(1, 9): {"time": at(day(1, hour=14))}})
    office.crm.edit(ref, time=at(day(0, hour=9)), recurrence=earlier)
    office.quiet()
    assert same("recurrence", office.record().fields["recurrence"], earlier)
    assert same("recurrence", office.activity["recurrence"], earlier)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("after", range(14))
def test_case_e1_whichever_request_breaks_nothing_of_a_series_is_lost(office: Office, after: int, lost: bool) -> None:
    """The series moves and is renamed; at each of the requests that this takes the server breaks, or its answer is
    lost. The passes that follow bring what was wished to both sides, and nothing is parked for ever."""
    ref = series(office, subject="Weekly")
    office.crm.edit(ref, time=at(day(0, hour=11)), subject="Moved")
    office.double.troubles.append(Trouble("lost" if lost else "500", after=after))
    try:
        office.passes()
    except Transient:
        assert office.double.troubles[0].times == 0
    office.double.troubles.clear()
    wanted = Recurrence(
        "FREQ=WEEKLY;COUNT=5",
        exdates=frozenset({key(2, 11)}),
        overrides={key(1, 11): {"time": at(day(1, hour=14))}},
    )
    office.quiet(passes=2)
    for side in (office.record().fields, office.activity):
        assert same("recurrence", side["recurrence"], wanted)
        assert same("time", side["time"], at(day(0, hour=11)))
    assert office.activity["subject"] == "Moved"
    assert office.item.text("item:Subject") == "Moved"
    assert (len(office.item.exceptions), len(office.item.deleted)) == (1, 1)
    assert not any(path.endswith(PLAN) for path in office.item.props)


@pytest.mark.parametrize("after", range(9))
def test_case_e10_a_series_that_breaks_while_it_is_made_is_made_whole_and_no_park_stays(
    office: Office, after: int
) -> None:
    recurrence = Recurrence("FREQ=WEEKLY;COUNT=6", exdates=frozenset({key(1), key(3)}))
    office.world.appointment(time=at(TEN), recurrence=recurrence)
    office.double.troubles.append(Trouble("500", after=after))
    with suppress(Transient):
        office.passes()
    office.double.troubles.clear()
    office.quiet()
    assert same("recurrence", office.record().fields["recurrence"], recurrence)
    assert same("recurrence", office.activity["recurrence"], recurrence)


@pytest.mark.parametrize("whole", [False, True])
def test_case_l7_what_the_crm_changes_in_a_series_reaches_its_occurrences_and_stays(
    office: Office, whole: bool
) -> None:
    office.double.quirks.whole_exceptions = whole
    ref = series(office, subject="Weekly", location="Room 1")
    wanted = office.activity["recurrence"]
    office.crm.edit(ref, subject="Monthly report", location="Room 2", private=True)
    office.quiet()
    assert same("recurrence", office.activity["recurrence"], wanted)
    assert (office.activity["subject"], office.activity["private"]) == ("Monthly report", True)
    (start,) = office.item.exceptions
    shown = office.double.operations.values(box(office.double), office.item, start)
    assert [shown[p].text for p in ("item:Subject", "calendar:Location", "item:Sensitivity")] == [
        "Monthly report", "Room 2", "Private",
    ]  # fmt: skip
    box(office.double).touch(office.item)  # somebody touches it later
    office.quiet()
    assert office.activity["subject"] == "Monthly report"
    assert same("recurrence", office.activity["recurrence"], wanted)


@pytest.mark.parametrize("numbers", ["all", "visible"])
def test_case_e2_what_the_crm_says_of_occurrences_happens_to_those(office: Office, numbers: str) -> None:
    office.double.quirks.numbers = numbers
    wanted = Recurrence(
        "FREQ=WEEKLY;COUNT=8",
        exdates=frozenset({key(1), key(4)}),
        overrides={key(3): {"time": at(day(3, hour=15))}, key(6): {"subject": "Special"}},
    )
    office.world.appointment(time=at(TEN), recurrence=wanted)
    office.quiet()
    assert same("recurrence", office.activity["recurrence"], wanted)
    starts = list(office.item.starts())
    assert set(office.item.deleted) == {starts[1], starts[4]}
    assert set(office.item.exceptions) == {starts[3], starts[6]}


def test_case_e2_a_server_that_counts_otherwise_parks_that_link_and_changes_nothing(office: Office) -> None:
    ref = series(office)
    office.double.quirks.numbers = "other"
    changed = replace(office.activity["recurrence"], exdates=frozenset({key(2), key(3)}))
    office.crm.edit(ref, recurrence=changed)
    office.world.appointment("other", subject="Goes on", time=at(TEN + timedelta(days=1)))
    office.passes()
    with office.world.store.reading() as tx:
        (reason,) = [p.reason for p in parked(tx)]
    assert "does not show the occurrence" in reason
    subjects = sorted(i.text("item:Subject") for i in box(office.double).items.values())
    assert subjects == ["Goes on", "Visit"]
    assert same("recurrence", office.crm.records[ref].fields["recurrence"], changed), "and it is not taken back"
    office.double.quirks.numbers = "visible"
    office.crm.edit(ref, location="Room 1")
    office.quiet()


@pytest.mark.parametrize("how", ["first", "midnight"])
def test_case_e7_over_the_clocks_change_a_series_is_in_step_and_quiet(office: Office, how: str) -> None:
    office.double.quirks.original_starts = how
    begins = datetime(2027, 3, 15, 10, tzinfo=BERLIN)
    keys = [f"{(begins + timedelta(days=7 * n)).astimezone(UTC):%Y%m%dT%H%M%SZ}" for n in range(8)]
    wanted = Recurrence("FREQ=WEEKLY;COUNT=8", exdates=frozenset({keys[4]}), overrides={keys[5]: {"subject": "Other"}})
    ref = office.world.appointment(time=at(begins), recurrence=wanted)
    office.quiet()
    assert same("recurrence", office.activity["recurrence"], wanted)
    office.crm.edit(ref, location="Room 9")
    office.quiet()
    assert same("recurrence", office.activity["recurrence"], wanted)


def said(office: Office) -> list[Any]:
    """What `explain` knows of properties that the server has not taken."""
    with office.world.store.reading() as tx:
        (link,) = tx.links_by_item("ann", [office.item.id])
        return [d["detail"]["fields"] for d in decisions(tx, link.activity) if d["rule"] == "not taken"]


@pytest.mark.parametrize("quirk", ["", "bumps_after_write"])
def test_case_e8_free_busy_that_the_server_does_not_take_is_said_once_and_is_no_edit(
    office: Office, quirk: str
) -> None:
    """A rejected appointment stays rejected, although the calendar shows it as before."""
    ignored = frozenset({"calendar:LegacyFreeBusyStatus", "ext:Appointment/33303"})
    ref = office.world.appointment(time=at(TEN))
    office.quiet()
    if quirk:
        setattr(office.double.quirks, quirk, True)
    office.double.quirks.ignores = ignored
    office.crm.edit(ref, status="rejected", location="Room 7")
    office.passes()
    assert said(office) == [["status"]]
    office.quiet()
    assert (office.activity["status"], office.activity["location"]) == ("rejected", "Room 7")
    assert office.item.text("calendar:Location") == "Room 7"
    office.item.props["item:Subject"].text = "Typed by Ann"
    box(office.double).touch(office.item)
    office.quiet()
    assert (office.activity["status"], office.activity["subject"]) == ("rejected", "Typed by Ann")
    assert said(office) == [["status"]], "once"


@pytest.mark.parametrize("quirk", ["", "bumps_after_write"])
def test_case_e8_a_relative_nothing_of_a_write_is_taken(office: Office, quirk: str) -> None:
    ref = office.world.appointment(time=at(TEN), subject="Before", location="Room 1")
    office.quiet()
    if quirk:
        setattr(office.double.quirks, quirk, True)
    office.double.quirks.ignores = frozenset({"item:Subject", "calendar:Location", "item:Categories"})
    office.crm.edit(ref, subject="After", location="", categories=frozenset({"A"}))
    office.quiet()
    assert [office.activity[n] for n in ("subject", "location", "categories")] == ["After", "", {"A"}]
    assert said(office) == [["categories", "location", "subject"]]
    office.double.quirks.ignores = frozenset()
    office.crm.edit(ref, subject="After all")
    office.quiet()
    assert office.item.text("item:Subject") == "After all"


@pytest.mark.parametrize("ignored", ["calendar:Location", "item:Subject"])
def test_case_e8_a_relative_an_occurrence_is_not_taken(office: Office, ignored: str) -> None:
    ref = series(office, subject="Weekly", location="Room 1")
    office.double.quirks.ignores = frozenset({ignored})
    recurrence: Recurrence = office.activity["recurrence"]
    wanted = replace(
        recurrence,
        overrides={**recurrence.overrides, key(3): {"location": "Elsewhere", "subject": "Special"}},
    )
    office.crm.edit(ref, recurrence=wanted)
    office.quiet()
    assert same("recurrence", office.activity["recurrence"], wanted)
    assert said(office) == [["recurrence"]]


def test_case_e8_what_a_person_types_just_after_the_write_is_an_edit(office: Office) -> None:
    """It is not what stood there before, so nobody takes it for the server's doing."""
    ref = office.world.appointment(time=at(TEN), location="Room 1")
    office.quiet()
    real = office.double.operations._UpdateItem

    def beside(request: Any, caller: Any) -> Any:
        yield from list(real(request, caller))
        office.item.props["calendar:Location"].text = "Room of Ann's"
        box(office.double).touch(office.item)
        office.double.operations._UpdateItem = real  # type: ignore[method-assign]

    office.double.operations._UpdateItem = beside  # type: ignore[method-assign]
    office.crm.edit(ref, location="Room 2")
    office.quiet(passes=2)
    assert office.activity["location"] == "Room of Ann's"


@pytest.mark.parametrize("office", ["todo"], indirect=True)
@pytest.mark.parametrize("how", ["multiplied", "ignored"])
def test_case_e8_a_percentage_that_the_server_takes_otherwise_is_no_edit(office: Office, how: str) -> None:
    ref = "t1"
    fields = {"subject": "Call", "due": date(2026, 12, 1), "status": "open", "private": False, "completion": 0}
    office.crm.put(ref, "task", fields, owner="ann@us.example")
    office.quiet()
    if how == "multiplied":
        office.double.quirks.percent_times = 100
    else:
        office.double.quirks.ignores = frozenset({"task:PercentComplete"})
    office.crm.edit(ref, completion=50)
    office.quiet()
    assert office.activity["completion"] == 50
    office.crm.edit(ref, notes="More")
    office.quiet()
    assert office.activity["completion"] == 50


def test_case_e9_a_date_that_is_no_occurrence_costs_nothing_else(office: Office) -> None:
    nothing = f"{(TEN + timedelta(days=3)).astimezone(UTC):%Y%m%dT%H%M%SZ}"
    wanted = Recurrence("FREQ=WEEKLY;COUNT=5", exdates=frozenset({key(2), nothing}))
    ref = office.world.appointment(time=at(TEN), recurrence=wanted)
    office.quiet()
    assert len(office.item.deleted) == 1, "the valid one is left out"
    assert same("recurrence", office.activity["recurrence"], wanted), "and the CRM keeps what it had"
    office.crm.edit(ref, subject="Later edits cross")
    office.quiet()
    assert office.item.text("item:Subject") == "Later edits cross"
    office.crm.remove(ref)
    office.passes()
    assert office.crm.records == {}, "what was deleted is not made again"
    office.quiet()
    assert [
        i for i in box(office.double).items.values() if i.folder == box(office.double).distinguished("calendar").id
    ] == []
