"""Mappings: the lens, value tables, overflow, what would be lost; and that the shipped files are fine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.mapping import blocks
from syncd.mapping.loader import json_schema, load, shipped, warnings
from syncd.model.fields import Limit
from syncd.ports import Capabilities
from syncd.strict_yaml import BadDocument, parse

CALENDAR = Capabilities(frozenset({"event"}))
SAP = Capabilities(frozenset({"appointment"}), limits={"subject": Limit(length=40)}, series="none")

pytestmark = pytest.mark.either


def mapping(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    return path


HEAD = "version: 1\nitem: event\nactivity: appointment\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    path = mapping(tmp_path, text)
    with pytest.raises(BadDocument) as caught:
        load(path)
    return [str(p).removeprefix(f"{path}:") for p in caught.value.problems]


def test_what_we_ship_loads_and_loses_nothing() -> None:
    for path in shipped().values():
        load(path)
        assert list(warnings(path)) == []


def test_two_rules_for_one_field_and_a_missing_one(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + "fields:\n  subject: summary\n  notes: summary\n")
    assert sorted(found) == ['4:1: "time" must be mapped', '6:3: "summary" feeds "subject" already']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fields: {subject: summary, time: time, status: sensitivty}", "4:"),
        ("fields: {subject: summary, time: time, priority: summary}", "does not fit"),
        ("fields: {subject: summary, time: time}\nconflicts: {start: crm}", 'unknown field "start"'),
        ("fields: {subject: summary, time: time}\ninclude: {any: [{category: [A], status: [b]}]}", "exactly one key"),
        ("fields: &a {subject: summary, time: time}", "anchors and aliases"),
        ("fields: !!python/object:os.system {subject: summary}", "tags are not allowed"),
        ("fields: {subject: summary, time: time}\nwindow: {past: -3d}", "no duration"),
        ("fields:\n\tsubject: summary", "5:1:"),
        ("fields:", "fields: expected keys and values"),
        ("", '"fields" is missing'),
    ],
)
def test_nonsense_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    assert says in "\n".join(problems(tmp_path, HEAD + text))


def test_a_mapping_is_warned_of_what_it_would_lose(tmp_path: Path) -> None:
    text = HEAD + (
        "direction: to-crm\nfields:\n  subject: summary\n  time: time\n"
        "  location: {from: location, direction: to-groupware}\n"
        "  status: {from: status, values: {confirmed: open, tentative: open}, back: {open: confirmed}}\n"
    )
    found = [p.message for p in warnings(mapping(tmp_path, text))]
    assert any("never crosses" in m for m in found)
    assert any('"back" is never used' in m for m in found)
    assert any("series cross as their first occurrence" in m for m in found)


def test_values_go_through_the_table_and_back() -> None:
    lens = load(shipped()["tasks"])
    assert lens.from_item({"priority": 4, "status": "needs-action"})["priority"] == 1
    assert lens.to_item({"priority": 2, "status": "in-process"}) == {"priority": 5, "status": "in-process"}
    assert lens.on_item("priority", 3, Capabilities(frozenset({"todo"}))) == 3
    assert "status" not in lens.to_item({"status": "released"})


def test_a_cut_subject_is_still_that_subject() -> None:
    lens = load(shipped()["appointments"])
    long = "x" * 90
    assert lens.agree("subject", long, long[:40], (CALENDAR, SAP))
    assert not lens.agree("subject", long, "y" * 40, (CALENDAR, SAP))


def test_a_subject_that_overflows_stands_in_the_notes_and_is_cut_off_again(tmp_path: Path) -> None:
    text = HEAD + "fields:\n  subject: {from: summary, overflow: note-line}\n  time: time\n  notes: description\n"
    lens = load(mapping(tmp_path, text))
    long = "word " * 18
    written = lens.dress_crm({"subject": long, "notes": "Mine"}, {}, SAP)
    assert f"Subject: {long}" in written["notes"]
    assert lens.from_activity(written)["notes"] == "Mine"
    again = lens.dress_crm({"notes": "Other"}, written, SAP)
    assert f"Subject: {long.strip()}" in again["notes"]
    assert lens.dress_crm({"subject": "short"}, again, SAP)["notes"] == "Other"


@given(st.text(max_size=80), st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20), max_size=3))
def test_a_block_never_changes_what_a_person_wrote(text: str, lines: list[str]) -> None:
    body = blocks.cut(text)
    assert blocks.cut(blocks.attach(text, lines)).rstrip() == body.rstrip()


def test_editors_get_a_json_schema() -> None:
    schema = json_schema()
    assert set(schema["properties"]) >= {"fields", "window", "privacy", "conflicts"}
    json.dumps(schema)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_otherwise_than_by_saying_where(text: str) -> None:
    try:
        parse(text, "f.yaml")
    except BadDocument as error:
        assert all(p.line >= 1 and p.column >= 1 for p in error.problems)


def test_the_example_configuration_is_fine() -> None:
    from syncd.settings import load_configuration

    found = load_configuration(Path(__file__).resolve().parents[2] / "config" / "syncd.yaml")
    assert found.settings.employees[0].id == "ann"


@pytest.mark.parametrize(
    ("profile", "one", "other", "same"),
    [
        (
            "caldav, url: 'https://dav.example/'",
            "calendar: /team/cal/",
            "calendar: 'https://dav.example/team/cal'",
            True,
        ),
        ("caldav, url: 'https://dav.example/'", "calendar: /team/cal/", "calendar: /team/two/", False),
        ("caldav, url: 'https://dav.example/'", "username: ann", "username: ANN", True),
        ("caldav, url: 'https://dav.example/'", "username: ann", "username: bob", False),
        ("exchange, url: 'https://mail.example/EWS/Exchange.asmx'", "username: svc", "username: svc", False),
        (
            "caldav, url: 'https://dav.example/a/'}, q: {connector: caldav, url: 'https://dav.example/b/'",
            "username: svc",
            "username: svc, profile: q",
            False,
        ),
        (
            "exchange, url: 'https://mail.example/EWS/Exchange.asmx'",
            "mailbox: a@us.example",
            "mailbox: A@us.example",
            True,
        ),
    ],
)
def test_two_employees_do_not_have_one_calendar(profile: str, one: str, other: str, same: bool, tmp_path: Path) -> None:
    from syncd.settings import load_configuration

    text = ["version: 1", f"profiles: {{p: {{connector: {profile}}}}}", "employees:"]
    for who, account in (("ann", one), ("bob", other)):
        named = account if "profile:" in account else f"profile: p, {account}"
        text += [f"  - {{id: {who}, addresses: [{who}@us.example], accounts: [{{password: 'env:X', {named}}}]}}"]
    path = tmp_path / "syncd.yaml"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    if not same:
        load_configuration(path)
        return
    with pytest.raises(BadDocument, match='this is the calendar of "ann" too'):
        load_configuration(path)


@pytest.mark.parametrize(
    ("one", "other", "fine"),
    [
        ("calendar: /ann/work/", "calendar: /ann/home/", True),
        ("calendar: /ann/work/", "calendar: /ann/w%6frk, read-only: true", False),
        ("calendar: /ann/work/", "calendar: /ann/work/, profile: visits", True),
        ("calendar: /ann/work/", "calendar: /ann/work/, profile: todos", True),
    ],
)
def test_an_employee_does_not_have_one_calendar_twice_under_one_mapping(
    one: str, other: str, fine: bool, tmp_path: Path
) -> None:
    from syncd.settings import load_configuration

    (tmp_path / "mappings").mkdir()
    mapping = shipped()["appointments"].read_text(encoding="utf-8")
    (tmp_path / "mappings" / "visits.yaml").write_text(mapping, encoding="utf-8")
    url = "url: 'https://dav.example/'"
    text = ["version: 1", "profiles:", f"  p: {{connector: caldav, {url}}}",
            f"  visits: {{connector: caldav, {url}, mapping: mappings/visits.yaml}}",
            f"  todos: {{connector: caldav, {url}, mapping: tasks}}",
            "employees:", "  - id: ann", "    addresses: [ann@us.example]", "    accounts:"]  # fmt: skip
    for name, account in (("one", one), ("two", other)):
        profile = "" if "profile:" in account else "profile: p, "
        text.append(f"      - {{name: {name}, {profile}username: ann, password: 'env:X', {account}}}")
    path = tmp_path / "syncd.yaml"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    if fine:
        load_configuration(path)
        return
    with pytest.raises(BadDocument, match='this is the calendar of the account "one" too'):
        load_configuration(path)
