"""A series in the built-in CRM that is moved, changed, or taken back in part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from connectors.builtin import BuiltinCrm
from syncd.crm.access import SYSTEM
from syncd.crm.activities import Invalid
from syncd.crm.database import Crm
from syncd.crm.series import followed, recurrence_from, recurrence_text
from syncd.crm.tables import activity
from syncd.model.fields import same
from syncd.model.people import Participant, People
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span, moment_key
from tests.servers.postgres import fresh_database

BERLIN = ZoneInfo("Europe/Berlin")
#: Four Tuesdays; winter time begins between the first and the second.
FIRST = datetime(2026, 10, 20, 10, tzinfo=BERLIN)


@pytest.fixture
def crm() -> Iterator[Crm]:
    made = Crm.open(fresh_database() or "sqlite://", lambda: datetime(2026, 10, 1, tzinfo=UTC))
    yield made
    made.close()


@pytest.fixture
def box(crm: Crm) -> BuiltinCrm:
    return BuiltinCrm(crm)


def hour(start: datetime, hours: float = 1) -> Span:
    return Span(start, start + timedelta(hours=hours), "Europe/Berlin")


def key(week: int, at: datetime = FIRST) -> str:
    return moment_key(at + timedelta(weeks=week))  # by the clock on the wall


def series(box: BuiltinCrm, overrides: dict[int, dict[str, Any]] | None = None, **more: Any) -> Record:
    """Weekly, four times; the second is left out."""
    over = {key(week): MappingProxyType(fields) for week, fields in (overrides or {}).items()}
    recurrence = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key(1)}), overrides=MappingProxyType(over))
    fields = {"subject": "Team", "location": "Room 1", "status": "open", "private": False, "time": hour(FIRST)}
    made = box.create({**fields, "recurrence": recurrence, **more}, "k", kind="appointment", uid="u", owner="")
    return read(box, made.ref)


def read(box: BuiltinCrm, ref: str) -> Record:
    found = box.fetch([ref])[ref]
    assert isinstance(found, Record)
    return found


def days(record: Record) -> list[str]:
    """Local starts of the occurrences, overrides included."""
    recurrence: Recurrence = record.fields["recurrence"]
    span: Span = record.fields["time"]
    found = []
    for start in starts(span, recurrence, FIRST - timedelta(days=9), FIRST + timedelta(days=90)):
        moved = recurrence.overrides.get(moment_key(start), {}).get("time")
        begin = moved.start if moved is not None else start
        assert isinstance(begin, datetime)
        found.append(f"{begin.astimezone(BERLIN):%m-%d %H:%M}")
    return sorted(found)


def test_case_l6_keys_move_with_the_series_in_the_crm_itself(crm: Crm, box: BuiltinCrm) -> None:
    record = series(box, {2: {"time": hour(FIRST.replace(hour=14) + timedelta(weeks=2))}})
    assert days(record) == ["10-20 10:00", "11-03 14:00", "11-10 10:00"]
    moved = hour(FIRST.replace(hour=11))
    crm.edit(record.ref, {"starts": moment_key(moved.start), "ends": moment_key(moved.end)}, by="")
    assert days(read(box, record.ref)) == ["10-20 11:00", "11-03 14:00", "11-10 11:00"]
    box.update(read(box, record.ref), {"time": hour(FIRST.replace(hour=9))})
    assert days(read(box, record.ref)) == ["10-20 09:00", "11-03 14:00", "11-10 09:00"]
    box.update(read(box, record.ref), {"time": hour(FIRST)})
    assert read(box, record.ref).fields["recurrence"] == record.fields["recurrence"]


def test_case_l6_a_recurrence_that_is_given_counts(box: BuiltinCrm) -> None:
    record = series(box)
    at = FIRST.replace(hour=11)
    given = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key(3, at)}))
    box.update(record, {"time": hour(at), "recurrence": given})
    assert read(box, record.ref).fields["recurrence"] == given
    box.update(read(box, record.ref), {"recurrence": Recurrence()})
    assert read(box, record.ref).fields["recurrence"].empty


def test_case_l6_another_zone_at_the_same_instant_keeps_the_same_occurrences(box: BuiltinCrm) -> None:
    record = series(box, {3: {"subject": "Last"}})
    there = FIRST.astimezone(ZoneInfo("Asia/Tokyo"))  # which has no winter time
    box.update(record, {"time": Span(there, there + timedelta(hours=1), "Asia/Tokyo")})
    found = read(box, record.ref)
    recurrence: Recurrence = found.fields["recurrence"]
    keys = [moment_key(there + timedelta(weeks=week)) for week in range(4)]
    assert (set(recurrence.exdates), set(recurrence.overrides)) == ({keys[1]}, {keys[3]})


def test_case_l6_a_day_becomes_an_hour_and_an_hour_a_day(box: BuiltinCrm) -> None:
    record = series(box, {2: {"subject": "Other"}})
    box.update(record, {"time": Span(FIRST.date(), FIRST.date() + timedelta(days=1))})
    recurrence: Recurrence = read(box, record.ref).fields["recurrence"]
    assert (set(recurrence.exdates), set(recurrence.overrides)) == ({"20261027"}, {"20261103"})
    box.update(read(box, record.ref), {"time": hour(FIRST)})
    assert read(box, record.ref).fields["recurrence"] == record.fields["recurrence"]


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("subject", "Team", "Group"), ("location", "Room 1", "Room 2"), ("status", "open", "rejected"),
        ("private", False, True), ("notes", "Agenda", ""), ("priority", 1, 2),
        ("categories", frozenset({"A"}), frozenset({"B"})),
        ("participants", People([Participant("a@x.example")]), People([Participant("b@x.example")])),
    ],
)  # fmt: skip
def test_case_l7_an_occurrence_that_says_what_the_series_said_follows(
    box: BuiltinCrm, field: str, old: Any, new: Any
) -> None:
    own = hour(FIRST.replace(hour=14) + timedelta(weeks=2))
    record = series(box, {2: {field: old, "time": own}, 3: {field: old}}, **{field: old})
    box.update(record, {field: new})
    found = read(box, record.ref)
    assert found.fields[field] == new
    assert {k: dict(f) for k, f in found.fields["recurrence"].overrides.items()} == {key(2): {"time": own}}


def test_case_l7_an_occurrence_that_says_something_of_its_own_keeps_it(box: BuiltinCrm) -> None:
    own = {"subject": "Special", "location": "Room 1", "private": True}
    record = series(box, {2: own})
    box.update(record, {"subject": "Group", "private": True})
    found = read(box, record.ref)
    assert dict(found.fields["recurrence"].overrides[key(2)]) == own
    box.update(found, {"location": "Room 2"})
    assert dict(read(box, record.ref).fields["recurrence"].overrides[key(2)]) == {"subject": "Special", "private": True}


def test_case_l7_an_occurrence_at_its_own_time_moves_along(box: BuiltinCrm) -> None:
    """One that says of its time what the series says anyway; and one with a time of its own, which stays."""
    own = hour(FIRST.replace(hour=14) + timedelta(weeks=3))
    record = series(box, {2: {"subject": "Other", "time": hour(FIRST + timedelta(weeks=2))}, 3: {"time": own}})
    box.update(record, {"time": hour(FIRST.replace(hour=11))})
    assert days(read(box, record.ref)) == ["10-20 11:00", "11-03 11:00", "11-10 14:00"]
    box.update(read(box, record.ref), {"time": hour(FIRST.replace(hour=11), 2)})
    assert read(box, record.ref).fields["recurrence"].overrides[key(3, FIRST.replace(hour=11))]["time"] == own


def test_nonsense_is_no_recurrence(crm: Crm, box: BuiltinCrm) -> None:
    record = series(box)
    for text in ("weekly", "{}", '{"rule": "", "rdates": [], "exdates": [], "overrides": {"x": {"colour": 1}}}'):
        with pytest.raises(Invalid):
            crm.edit(record.ref, {"recurrence": text}, by="")


# -- taken back in part ------------------------------------------------------------------------------------------


def test_case_g6_what_one_occurrence_brought_is_taken_back_and_no_history_tells_of_it(
    crm: Crm, box: BuiltinCrm
) -> None:
    record = series(box, {2: {"subject": "Oncologist"}, 3: {"subject": "Special"}})
    box.update(record, {"recurrence": record.fields["recurrence"], "subject": "Group"})
    crm.edit(record.ref, {"subject": "Ours"}, by="")
    box.remember(record.ref, {"recurrence": "Oncologist"}, "lost")
    record = read(box, record.ref)
    public = MappingProxyType({key(3): MappingProxyType({"subject": "Special"})})
    left = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({key(1), key(2)}), overrides=public)
    box.redact(record, {**record.fields, "recurrence": left})
    found = read(box, record.ref)
    assert found.fields == {**record.fields, "recurrence": left}
    assert crm.history(record.ref, viewer=SYSTEM) == []
    assert "Oncologist" not in str(crm.get(record.ref, viewer=SYSTEM))


def test_a_redaction_keeps_the_values_that_are_given(box: BuiltinCrm) -> None:
    record = series(box, {2: {"subject": "Oncologist"}})
    later = hour(FIRST + timedelta(days=1))
    box.redact(record, {"time": later, "status": "rejected"})
    found = read(box, record.ref).fields
    assert (found["time"], found["status"], found["subject"], found["recurrence"]) == (
        later,
        "rejected",
        "",
        Recurrence(),
    )


def test_a_series_whose_time_may_not_stay_is_none(box: BuiltinCrm) -> None:
    record = series(box)
    box.redact(record, {"notes": "Ours", "recurrence": record.fields["recurrence"]})
    found = read(box, record.ref).fields
    assert (found["notes"], found["recurrence"].empty) == ("Ours", True)
    assert found["time"] is None
    with box.crm.reading() as connection:  # lists want a date all the same
        assert connection.execute(select(activity.c.starts)).scalar() == "20261001"


def test_what_is_left_without_a_time_can_be_taken_back_once_more(box: BuiltinCrm) -> None:
    record = series(box)
    box.redact(record, {"notes": "Ours", "location": "Hall"})
    left = read(box, record.ref)
    box.redact(left, {n: v for n, v in left.fields.items() if n != "location"})
    left = read(box, record.ref)
    assert (left.fields["notes"], left.fields["location"], left.fields["time"]) == ("Ours", "", None)
    box.update(left, {"time": record.fields["time"], "subject": "Back"})
    assert same("time", read(box, record.ref).fields["time"], record.fields["time"])


def test_a_date_that_says_that_it_is_private_stays_so_when_its_series_is_public_again() -> None:
    """Whoever opens the series does not open what was closed before it."""
    made = {"subject": "Dentist", "private": True}
    text = recurrence_text(Recurrence("FREQ=WEEKLY;COUNT=4", overrides={"20261207T100000Z": made}))
    closed = followed(text, {"private": False}, {"private": True})
    opened = followed(closed, {"private": True}, {"private": False})
    assert recurrence_from(opened).overrides["20261207T100000Z"] == made
