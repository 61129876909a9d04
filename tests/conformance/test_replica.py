"""The port's promises, kept by every connector on its real server."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncd.model.fields import same
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.ports import CursorExpired, Exists, Gone, Page, Replica, Stale
from tests.conformance.conftest import Bench

BERLIN = ZoneInfo("Europe/Berlin")
TEN = datetime(2026, 11, 30, 10, tzinfo=BERLIN)
SPAN = Span(TEN, TEN + timedelta(hours=1), "Europe/Berlin")


#: When mail was sent: nobody believes a date that lies ahead.
SENT = Span(TEN - timedelta(days=30), TEN - timedelta(days=30), "Europe/Berlin")


def span(bench: Bench) -> Span | date:
    """When a record of this kind is: a task's day, a message's moment."""
    return date(2026, 11, 30) if bench.kind == "todo" else SENT if bench.kind == "message" else SPAN


def begins(value: object) -> object:
    """A span's start; of a day itself."""
    return value.start if isinstance(value, Span) else value


def key() -> str:
    return str(uuid.uuid4())


def make(bench: Bench, name: str = "A meeting", **more: object) -> Record:
    k = key()
    written = bench.replica.create(
        {bench.title: name, bench.time: span(bench), **more}, k, kind=bench.kind, uid=f"{k}@test", owner=""
    )
    return read(bench.replica, written.ref)


def read(replica: Replica, ref: str) -> Record:
    found = replica.fetch([ref])[ref]
    assert isinstance(found, Record), found
    return found


def pages(replica: Replica, cursor: str = "") -> tuple[dict[str, bool], str, list[Page]]:
    found = list(replica.changes(cursor))
    return {c.ref: c.gone for p in found for c in p.changes}, found[-1].cursor, found


def news(replica: Replica, cursor: str, known: dict[str, str]) -> tuple[dict[str, bool], str]:
    """What happened since the cursor; from a side that cannot say, by comparing everything."""
    try:
        refs, cursor, found = pages(replica, cursor)
        assert not found[-1].complete
        return refs, cursor
    except CursorExpired:
        _, cursor, found = pages(replica)
        assert found[-1].complete
        there = {c.ref: c.version for p in found for c in p.changes if not c.gone}
        changed = {r: False for r, version in there.items() if known.get(r) != version}
        return changed | {r: True for r in known if r not in there}, cursor


def test_an_empty_collection_lists_nothing_and_says_that_it_is_complete(bench: Bench) -> None:
    refs, cursor, found = pages(bench.replica)
    assert refs == {}
    assert found[-1].complete
    assert cursor


def test_what_is_created_is_listed_fetched_and_found_by_its_key(bench: Bench) -> None:
    k = key()
    written = bench.replica.create(
        bench.fields(**{bench.time: span(bench)}), k, kind=bench.kind, uid=f"{k}@test", owner=""
    )
    refs, _, found = pages(bench.replica)
    assert refs == {written.ref: False}
    assert found[-1].complete
    record = read(bench.replica, written.ref)
    assert record.fields[bench.title] == "A meeting"
    assert begins(record.fields[bench.time]) == begins(span(bench))
    assert record.uid in (bench.uid(k), "" if bench.kind == "todo" else bench.uid(k))
    assert record.kind == bench.kind
    if written.version is not None:
        assert record.version == written.version
    by_key = bench.replica.find(k, f"{k}@test")
    assert by_key is not None
    assert by_key.ref == written.ref
    assert bench.replica.find(key(), "nobody@test") is None


def test_the_same_key_never_makes_a_second_record(bench: Bench) -> None:
    k = key()
    bench.replica.create(bench.fields(**{bench.time: span(bench)}), k, kind=bench.kind, uid=f"{k}@test", owner="")
    with pytest.raises(Exists):
        bench.replica.create(bench.fields(**{bench.time: span(bench)}), k, kind=bench.kind, uid=f"{k}@test", owner="")
    assert len(pages(bench.replica)[0]) == 1


def test_the_feed_tells_what_happened_since_the_cursor_and_nothing_else(bench: Bench) -> None:
    old = make(bench, "old")
    known, cursor = {old.ref: old.version}, pages(bench.replica)[1]
    assert pages(bench.replica, cursor)[0] == {}
    new = make(bench, "new")
    bench.other.update(read(bench.other, old.ref), bench.edit("changed"))
    refs, cursor = news(bench.replica, cursor, known)
    assert refs == {old.ref: False, new.ref: False}
    known = {r: read(bench.replica, r).version for r in refs}
    bench.other.delete(read(bench.other, new.ref))
    assert news(bench.replica, cursor, known)[0] == {new.ref: True}


def test_the_feed_names_the_version_that_a_fetch_shows(bench: Bench) -> None:
    record = make(bench)
    change = next(c for p in bench.replica.changes("") for c in p.changes)
    assert change.version == record.version


def test_an_update_changes_its_fields_and_no_others(planner: Bench) -> None:
    record = make(planner, location="Room 7")
    written = planner.replica.update(record, {planner.title: "Another"})
    after = read(planner.replica, record.ref)
    assert after.fields[planner.title] == "Another"
    assert after.fields["location"] == "Room 7"
    assert same("time", after.fields["time"], SPAN)
    assert after.version != record.version
    assert written.version in (None, after.version)


def test_an_update_of_what_has_changed_meanwhile_is_refused(bench: Bench) -> None:
    record = make(bench)
    bench.other.update(read(bench.other, record.ref), bench.edit("first"))
    with pytest.raises(Stale):
        bench.replica.update(record, bench.edit("second"))
    assert read(bench.replica, record.ref).fields.items() >= bench.edit("first").items()
    with pytest.raises(Stale):
        bench.replica.delete(record)


def test_what_is_gone_is_gone_for_fetch_update_and_delete(bench: Bench) -> None:
    record = make(bench)
    bench.replica.delete(record)
    assert isinstance(bench.replica.fetch([record.ref])[record.ref], Gone)
    with pytest.raises((Gone, Stale)):
        bench.replica.update(record, bench.edit("x"))
    with pytest.raises((Gone, Stale)):
        bench.replica.delete(record)
    assert all(pages(bench.replica)[0].values())  # some servers name what is gone even in a first listing


def test_fetch_answers_for_every_ref(bench: Bench) -> None:
    records = [make(bench, f"n{n}") for n in range(60)]
    refs = [r.ref for r in records]
    found = bench.replica.fetch([*refs, refs[0][:-5] + "x.ics"])
    assert len(found) == 61
    assert sum(isinstance(f, Record) for f in found.values()) == 60


def test_moved_times_keep_their_meaning(planner: Bench) -> None:
    record = make(planner)
    later = Span(TEN + timedelta(days=1), TEN + timedelta(days=1, hours=2), "Europe/Berlin")
    planner.replica.update(record, {"time": later})
    record = read(planner.replica, record.ref)
    assert record.fields["time"] == later
    whole = Span(date(2026, 12, 1), date(2026, 12, 3))
    planner.replica.update(record, {"time": whole})
    record = read(planner.replica, record.ref)
    assert record.fields["time"] == whole
    planner.replica.update(record, {"time": SPAN})
    assert read(planner.replica, record.ref).fields["time"] == SPAN


def test_words_of_any_kind_come_back_as_they_were(planner: Bench) -> None:
    text = 'Комма, semi; "quotes" \\ back\nsecond line: Ünïcode 🗓  ' + "long " * 60
    notes = "description" if planner.kind == "event" else "notes"
    words = frozenset({"A, b" if planner.commas else "A; b", "Ц"})
    record = make(planner, "Titel, mit; Zeichen\\", **{notes: text, "categories": words})
    assert same(planner.title, record.fields[planner.title], "Titel, mit; Zeichen\\")
    assert same(notes, record.fields[notes], text)
    assert record.fields["categories"] == words


def test_a_series_keeps_its_rule_its_moved_and_its_left_out_occurrences(planner: Bench) -> None:
    assert planner.replica.capabilities.series == "series"
    record = make(planner, recurrence=Recurrence("FREQ=WEEKLY;COUNT=4"))
    second = (TEN + timedelta(days=7)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    third = (TEN + timedelta(days=14)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    moved = Span(TEN + timedelta(days=8), TEN + timedelta(days=8, hours=1), "Europe/Berlin")
    wanted = Recurrence("FREQ=WEEKLY;COUNT=4", exdates=frozenset({third}), overrides={second: {"time": moved}})
    planner.replica.update(record, {"recurrence": wanted})
    held = read(planner.replica, record.ref)
    assert same("recurrence", held.fields["recurrence"], wanted)
    planner.replica.update(held, {"recurrence": Recurrence("FREQ=WEEKLY;COUNT=4")})
    held = read(planner.replica, record.ref)
    assert same("recurrence", held.fields["recurrence"], Recurrence("FREQ=WEEKLY;COUNT=4"))


def test_a_forgotten_cursor_is_an_expired_one(bench: Bench) -> None:
    make(bench)
    _, cursor, _ = pages(bench.replica)
    if bench.expire is not None:
        bench.expire()
    elif bench.kind in ("event", "todo"):
        cursor = cursor[:-6] + "abcdef"
    elif bench.kind == "message":
        cursor = cursor[:-6]
    else:  # a feed by number knows every cursor
        assert pages(bench.replica, cursor)[0] == {}
        return
    with pytest.raises(CursorExpired):
        list(bench.replica.changes(cursor))
