"""Two worlds that differ only in what the policy withholds: every byte written anywhere is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.builtin import BuiltinCrm
from syncd.crm.database import Crm
from syncd.engine.pairing import Employee, Pairing
from syncd.mapping.lens import Lens
from syncd.mapping.loader import digest_of
from syncd.mapping.schema import MappingFile
from syncd.model.fields import kind_of
from syncd.model.people import Participant, People, normal_address
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.service.runner import run_one
from tests.depth import examples
from tests.memory import MemoryCrm, calendar, crm
from tests.stores import close_all, new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

#: Names of one person whose domain is not ASCII, as programs spell them, and of others.
SPELT = (
    "kim@bücher.example",
    "kim@xn--bcher-kva.example",
    "Kim@BÜCHER.example.",
    "bob@straße.example",
    "bob@пример.example",
)

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
contents = st.fixed_dictionaries(
    {
        "summary": words,
        "description": words,
        "location": words,
        "categories": st.frozensets(words.filter(bool), max_size=2),
        "status": st.sampled_from(["confirmed", "tentative"]),
        "priority": st.integers(0, 9),
        "attendees": st.lists(
            st.from_regex(r"[a-z]{3}@[a-z]{3}\.example", fullmatch=True) | st.sampled_from(SPELT), max_size=2
        ).map(lambda found: People([Participant(normal_address(a)) for a in found])),
    }
)
hidden = st.tuples(
    contents, contents, st.integers(0, 40), st.integers(0, 40), st.sampled_from(["private", "confidential", "x-odd"])
)


def lens(policy: str) -> Lens:
    mapping = MappingFile.model_validate(
        {
            "version": 1, "item": "event", "activity": "appointment",
            "privacy": {"private": policy},
            "fields": {
                "subject": "summary", "time": "time", "recurrence": "recurrence", "location": "location",
                "notes": {"from": "description", "merge": "text"}, "categories": "categories",
                "participants": {"from": "attendees", "direction": "to-crm"},
            },
        }
    )  # fmt: skip
    return Lens(mapping, digest_of(mapping))


class Recorder:
    """Everything that would be logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, _logger: Any, _name: str, event: Any) -> Any:
        self.lines.append(json.dumps(event, default=str, sort_keys=True))
        raise structlog.DropEvent


def written(
    policy: str, secrets: list[tuple[dict[str, Any], int, str]], override: dict[str, Any]
) -> tuple[object, ...]:
    """Every byte of a world with these secrets: CRM, store, logs, results."""
    now = NOW
    hub = crm(lambda: now)
    replica = calendar("ann", lambda: now)
    store = new_store()
    recorder = Recorder()
    structlog.configure(processors=[recorder])
    pairing = Pairing("ann/cal", Employee("ann", ("ann@us.example",)), replica, hub, "crm", lens(policy))
    results = []

    def sync() -> None:
        nonlocal now
        now += timedelta(minutes=5)
        results.append(json.dumps(run_one(pairing, [pairing], store, b"k" * 32, now).as_json()))

    def at(hours: int) -> Span:
        start = NOW + timedelta(days=2, hours=hours)
        return Span(start, start + timedelta(hours=1), "UTC")

    replica.put("public", "event", {"summary": "Known", "time": at(1), "sensitivity": "public"}, uid="public")
    series = Recurrence(
        "FREQ=WEEKLY;COUNT=3", overrides={f"{NOW + timedelta(days=9, hours=5):%Y%m%dT%H%M%SZ}": override}
    )
    replica.put("series", "event", {"summary": "Series", "time": at(5), "recurrence": series}, uid="series")
    for number, (fields, hours, sensitivity) in enumerate(secrets):
        time = at(hours) if policy == "withhold" else at(number)
        replica.put(f"s{number}", "event", {**fields, "time": time, "sensitivity": sensitivity}, uid=f"uid-{number}")
    sync()
    for number, (fields, hours, sensitivity) in enumerate(secrets):
        time = at(hours + 1) if policy == "withhold" else at(number)
        replica.put(f"s{number}", "event", {**fields, "time": time, "sensitivity": sensitivity, "summary": "again"})
    sync()
    replica.expire()
    sync()
    structlog.reset_defaults()
    dump = store.dump()
    close_all()
    activities = {r: (a.fields, a.uid, a.owner) for r, a in hub.records.items()}
    return dump, repr(sorted(activities.items(), key=lambda i: i[0])), hub.history, recorder.lines, results


@settings(max_examples=examples(60))
@given(st.sampled_from(["withhold", "busy-only"]), st.lists(hidden, min_size=1, max_size=3), contents, contents)
def test_what_is_withheld_changes_no_byte_anywhere(
    policy: str,
    secrets: list[tuple[dict[str, Any], dict[str, Any], int, int, str]],
    one: dict[str, Any],
    two: dict[str, Any],
) -> None:
    first = written(policy, [(a, h, s) for a, _, h, _, s in secrets], {**one, "sensitivity": "private"})
    second = written(policy, [(b, h, s) for _, b, _, h, s in secrets], {**two, "sensitivity": "private"})
    assert first == second


def left_over(policy: str, words: dict[str, Any], what: str, *, singles: bool, edited: bool) -> tuple[object, ...]:
    """What is left in the CRM, its history and the store of an event, an occurrence, or a series with an edited date,
    that crossed with these words and has become private since."""
    now = NOW
    hub, store, replica = crm(lambda: now, series=not singles), new_store(), calendar("ann", lambda: now)
    pairing = Pairing("ann/cal", Employee("ann", ("ann@us.example",)), replica, hub, "crm", lens(policy))

    def sync() -> None:
        nonlocal now
        now += timedelta(minutes=5)
        run_one(pairing, [pairing], store, b"k" * 32, now)

    time = Span(NOW + timedelta(days=2), NOW + timedelta(days=2, hours=1), "UTC")
    key = f"{NOW + timedelta(days=9):%Y%m%dT%H%M%SZ}"
    rule = "FREQ=WEEKLY;COUNT=3"
    common: dict[str, Any] = {"time": time, "sensitivity": "public", "status": "confirmed", "categories": frozenset()}
    if what != "event":
        common |= {"summary": "Series", "recurrence": Recurrence(rule, overrides={key: words})}
    else:
        common |= words
    replica.put("e", "event", common, uid="e")
    sync()
    if edited:  # the words went through the history, as somebody changed them on both sides
        for ref, record in hub.records.items():
            if what != "occurrence" or not singles or record.fields["subject"] != "Series":
                hub.remember(ref, {"subject": str(words["summary"]), "recurrence": repr(words)}, "k")
    hidden = {**words, "sensitivity": "private"}
    if what == "occurrence":
        replica.edit("e", recurrence=Recurrence(rule, overrides={key: hidden}))
    else:
        replica.edit("e", sensitivity="private")
    for _ in range(3):
        sync()
    with store.reading() as tx:
        held = tx.links_by_item("ann/cal", ["e"])
        names = [sorted(k.brought) for k in held if not singles]  # names of fields are no secret (docs/background.md)
        links = [(k.item_base, k.crm_base, k.texts) for k in held]
    close_all()
    return shown(hub), hub.history, links, names


def shown(hub: MemoryCrm) -> list[tuple[str, list[tuple[str, str]]]]:
    """The CRM's records as text, whatever the order in which their fields were given."""
    return [
        (ref, sorted((name, kind_of(name).canonical(value)) for name, value in record.fields.items()))
        for ref, record in sorted(hub.records.items())
    ]


said = st.fixed_dictionaries({"summary": words.filter(str.strip), "description": words, "location": words})


@pytest.mark.either
@settings(max_examples=examples(60))
@given(
    st.sampled_from(["withhold", "busy-only"]),
    said,
    said,
    st.sampled_from(["event", "occurrence", "series"]),
    st.booleans(),
    st.booleans(),
)
def test_of_what_became_private_no_word_is_left_not_even_in_the_history(
    policy: str, one: dict[str, Any], two: dict[str, Any], what: str, singles: bool, edited: bool
) -> None:
    first = left_over(policy, one, what, singles=singles, edited=edited)
    assert first == left_over(policy, two, what, singles=singles, edited=edited)


@pytest.mark.either
@settings(max_examples=examples(40))
@given(contents, contents, st.sampled_from(["delete", "reject", "edit"]))
def test_what_the_crm_does_to_a_block_of_time_says_nothing_of_what_is_behind_it(
    one: dict[str, Any], two: dict[str, Any], change: str
) -> None:
    assert after_the_crm(one, change) == after_the_crm(two, change)


def after_the_crm(words: dict[str, Any], change: str) -> tuple[object, ...]:
    """Every byte after somebody has deleted, rejected or edited a block of time in the CRM; and the event is whole."""
    now = NOW
    hub, store, replica = crm(lambda: now), new_store(), calendar("ann", lambda: now)
    pairing = Pairing("ann/cal", Employee("ann", ("ann@us.example",)), replica, hub, "crm", lens("busy-only"))
    results = []

    def sync() -> None:
        nonlocal now
        now += timedelta(minutes=5)
        results.append(json.dumps(run_one(pairing, [pairing], store, b"k" * 32, now).as_json()))

    time = Span(NOW + timedelta(days=2), NOW + timedelta(days=2, hours=1), "UTC")
    replica.put("e", "event", {**words, "time": time, "sensitivity": "private"}, uid="e")
    sync()
    (ref,) = hub.records
    if change == "delete":
        hub.remove(ref)
    else:
        hub.edit(ref, **({"status": "rejected"} if change == "reject" else {"subject": "Mine", "location": "There"}))
    sync()
    sync()
    assert replica.records["e"].fields == {**words, "time": time, "sensitivity": "private"}
    dump = store.dump()
    close_all()
    return dump, shown(hub), hub.history, results


def found_by_others(
    folder: Path, policy: str, secrets: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> list[object]:
    """What colleagues find in the built-in CRM, which holds a public appointment of Ann's and what may be shown of her
    private ones."""
    now = NOW
    base = Crm.open("sqlite://", lambda: now)
    people = folder / "employees.csv"
    people.write_text("id,name,address\nann,Ann,ann@us.example\nbob,Bob,bob@bücher.example\n", encoding="utf-8")
    base.import_csv("employees", people)
    replica, store = calendar("ann", lambda: now), new_store()
    pairing = Pairing("ann/cal", Employee("ann", ("ann@us.example",)), replica, BuiltinCrm(base), "crm", lens(policy))
    time = Span(NOW + timedelta(days=2), NOW + timedelta(days=2, hours=1), "UTC")
    guests = People([Participant(normal_address(SPELT[0]))])
    known = {"summary": "Known", "location": "Room 7", "time": time, "sensitivity": "public", "attendees": guests}
    replica.put("public", "event", known, uid="public")
    for number, secret in enumerate(secrets):
        later = time.moved_to(time.start + timedelta(hours=number + 1))
        replica.put(f"s{number}", "event", {**secret, "time": later, "sensitivity": "private"}, uid=f"uid-{number}")
    for _ in range(2):
        now += timedelta(minutes=5)
        run_one(pairing, [pairing], store, b"k" * 32, now)
    close_all()
    found: list[object] = []
    for criteria in asked:
        for viewer in ("bob", "nobody"):
            rows = base.search(viewer=viewer, **criteria)
            found.append([(a.subject, a.notes, a.location, sorted(a.participants), a.version) for a in rows])
            found += [[dict(line, at="") for line in base.history(a.guid, viewer=viewer)] for a in rows]
    base.close()
    return found


@pytest.mark.either
@settings(max_examples=examples(10), deadline=None)
@given(
    st.sampled_from(["withhold", "busy-only"]), st.lists(st.tuples(contents, contents), min_size=1, max_size=2), words
)
def test_no_search_of_a_colleague_finds_more_in_one_world_than_in_the_other(
    tmp_path_factory: pytest.TempPathFactory,
    policy: str,
    secrets: list[tuple[dict[str, Any], dict[str, Any]]],
    word: str,
) -> None:
    asked: list[dict[str, Any]] = [{}, {"text": word}, {"text": "Known"}, {"owner": "ann"}, {"kinds": ["appointment"]}]
    asked += [{"address": a} for a in SPELT] + [{"text": a} for a in SPELT]
    asked += [{"text": str(one[name])} for one, _ in secrets for name in ("summary", "location", "description")]
    folder = tmp_path_factory.mktemp("people")
    first = found_by_others(folder, policy, [a for a, _ in secrets], asked)
    second = found_by_others(folder, policy, [b for _, b in secrets], asked)
    assert first == second
    assert any("Known" in repr(rows) for rows in first)
