"""The built-in CRM: versions, history, access rules, feed, document history, imports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.builtin import BuiltinCrm
from syncd.crm.activities import Conflict, Duplicate, Invalid, NotFound
from syncd.crm.database import Crm
from syncd.crm.people import BadSheet, read_statuses
from syncd.model.people import Participant, People
from tests.servers.postgres import fresh_database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    made = Crm.open(fresh_database() or "sqlite://", lambda: NOW)
    for kind, text in {
        "employees": "id,name,address\nann,Ann,Ann@us.example\nbob,Bob,bob@us.example\n",
        "accounts": "id,name\nacme,Acme\n",
        "contacts": "id,name,account,address\nkim,Kim,acme,kim@acme.example\n",
        "transactions": "id,type,description,account\nop1,opportunity,Big deal,acme\n",
    }.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(text)
        made.import_csv(kind, path)
    yield made
    made.close()


def test_a_visit_finds_its_contact_and_account_by_the_address(crm: Crm) -> None:
    made = crm.create("visit", {"subject": "x", "participants": People([Participant("KIM@acme.example")])}, by="ann")
    assert (made.contact, made.account, made.version) == ("kim", "acme", 1)


def test_an_edit_keeps_what_stood_there_and_refuses_an_old_version(crm: Crm) -> None:
    made = crm.create("task", {"subject": "Old", "owner": "ann"}, by="ann")
    crm.edit(made.guid, {"subject": "New", "priority": 1}, by="ann", expected=1)
    assert [(h["field"], h["text"]) for h in crm.history(made.guid, viewer="ann")] == [("subject", "Old")]
    with pytest.raises(Conflict):
        crm.edit(made.guid, {"subject": "Newer"}, by="bob", expected=1)


def test_a_private_activity_does_not_exist_for_others(crm: Crm) -> None:
    made = crm.create("appointment", {"subject": "Secret", "owner": "ann", "private": True}, by="ann")
    with pytest.raises(NotFound):
        crm.get(made.guid, viewer="bob")
    with pytest.raises(NotFound):
        crm.edit(made.guid, {"subject": "x"}, by="bob")
    assert crm.search(viewer="bob", text="Secret") == []
    assert [a.guid for a in crm.search(viewer="ann", text="Secret")] == [made.guid]


def test_a_key_makes_one_activity(crm: Crm) -> None:
    crm.create("task", {"subject": "x"}, by="ann", key="k")
    with pytest.raises(Duplicate):
        crm.create("task", {"subject": "x"}, by="ann", key="k")


@pytest.mark.parametrize(
    "values",
    [{"status": "nonsense"}, {"priority": 7}, {"completion": 101}, {"starts": "soon"}, {"owner": "nobody"},
     {"starts": "20261201T100000Z", "ends": "20261201T090000Z"}, {"direction": "up"}, {"colour": "red"}],
)  # fmt: skip
def test_nonsense_is_refused(crm: Crm, values: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        crm.create("call", values, by="ann")


def test_both_ends_of_a_follow_up_show_each_other(crm: Crm) -> None:
    made = crm.create("call", {"subject": "Call back"}, by="ann")
    crm.follow(("opportunity", "op1"), ("call", made.guid), by="ann")
    assert crm.documents("opportunity", "op1", viewer="ann")["followers"] == [("call", made.guid)]
    assert crm.documents("call", made.guid, viewer="ann")["predecessors"] == [("opportunity", "op1")]


def test_a_follow_up_of_what_does_not_exist_is_refused(crm: Crm) -> None:
    made = crm.create("call", {"subject": "x"}, by="ann")
    for predecessor in (("opportunity", "op9"), ("order", "op1"), ("lead", "op1")):
        with pytest.raises(Invalid):
            crm.follow(predecessor, ("call", made.guid), by="ann")


def test_the_status_list_is_the_companys_own(crm: Crm, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("code,name,meaning\nE0001,Open,open\nE0007,Rejected,rejected\n")
    crm.set_statuses(read_statuses(path))
    assert crm.statuses()["E0007"] == "rejected"
    assert crm.create("task", {"status": "E0001"}, by="ann").status == "E0001"
    path.write_text("code,name,meaning\nE1,Open,opn\n,x,open\n")
    with pytest.raises(BadSheet) as caught:
        read_statuses(path)
    assert [p.removeprefix(f"{path}:").split(":")[0] for p in caught.value.problems] == ["3", "2"]


def test_words_of_account_people_and_place_find_an_activity(crm: Crm) -> None:
    people = People([Participant("kim@acme.example", "Kim Sato")])
    made = crm.create("visit", {"subject": "Yearly", "location": "Lyon", "participants": people}, by="ann")
    for text in ("yearly lyon", "sato", "acme", "kim@acme"):
        assert [a.guid for a in crm.search(viewer="ann", text=text)] == [made.guid], text
    assert crm.search(viewer="ann", text="yearly paris") == []


def test_a_deletion_is_announced_even_to_who_began_with_an_empty_crm(crm: Crm) -> None:
    replica = BuiltinCrm(crm)
    cursor = list(replica.changes(""))[-1].cursor
    made = crm.create("task", {"subject": "x"}, by="ann")
    crm.delete(made.guid, by="ann")
    assert [(c.ref, c.gone) for p in replica.changes(cursor) for c in p.changes] == [(made.guid, True)]


def test_every_bad_line_of_a_sheet_is_named_and_nothing_is_taken(crm: Crm, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("id,name,account,address\nnew,New,acme,\nx,,nowhere,no-address\n")
    with pytest.raises(BadSheet) as caught:
        crm.import_csv("contacts", path)
    assert [p.split(": ", 1)[0] for p in caught.value.problems] == [f"{path}:3"] * 3
    assert [c["id"] for c in crm.listing("contacts")] == ["kim"]


def test_all_revisions_together_are_what_the_tables_describe(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from syncd import crm as crm_package
    from syncd import store as store_package
    from syncd.crm import tables as crm_tables
    from syncd.database import open_engine, upgrade
    from syncd.store import tables as store_tables

    engine = open_engine(fresh_database() or f"sqlite:///{tmp_path / 'both.db'}")
    packages = {crm_package: crm_tables.metadata, store_package: store_tables.metadata}
    for package in packages:
        assert package.__file__ is not None
        upgrade(engine, Path(package.__file__).parent / "migrations", f"{package.__name__[6:]}_version")
    known = {name for metadata in packages.values() for name in metadata.tables}
    with engine.connect() as connection:
        for metadata in packages.values():
            context = MigrationContext.configure(connection)
            found = [d for d in compare_metadata(context, metadata) if not _foreign(d, known)]
            assert found == []
    engine.dispose()


def _foreign(difference: object, known: set[str]) -> bool:
    """A table of the other of the two, or Alembic's own."""
    return isinstance(difference, tuple) and str(difference[0]).startswith("remove_")
