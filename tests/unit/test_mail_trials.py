"""Mail, as a trial with people has found it: what each of them saw, by itself."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lxml.etree import fromstring

from connectors.exchange.message import message_record
from connectors.exchange.xml import T
from connectors.imap.feed import Watch
from connectors.imap.read import MOST_HEADERS, record_of
from syncd.mail.folders import chosen, unmatched
from syncd.mail.headers import read_headers
from syncd.mapping.conditions import met
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.mapping.mail import Mail, contradictions, faults
from syncd.mapping.schema import Condition
from syncd.model.names import one_forms
from syncd.model.record import Record
from syncd.privacy import excluded
from tests.memory_mail import fields
from tests.properties.mail_world import lens as drop_lens
from tests.properties.world import Crash
from tests.unit.test_mail_engine import NOW, Office
from tests.unit.test_mail_identity import A, put, words

pytestmark = pytest.mark.either
#: One name as two keyboards write it.
COMPOSED, APART = "Priv\u00e9", "Prive\u0301"


def office_of(**mail: object) -> Office:
    """An office whose mapping says this of mail."""
    mapping = load(shipped()["mail"]).mapping
    section = Mail.model_validate({**mapping.mail.model_dump(by_alias=True), **mail})
    return Office(Lens(mapping.model_copy(update={"mail": section}), "d"))


# -- names ------------------------------------------------------------------------------------------------------------

NAMES = ["[Gmail]/Private", "Home [ours]", "[a-z]", "[!x]", COMPOSED]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delimiter", ["/", "."])
def test_an_excluded_folder_is_excluded_whatever_signs_its_name_holds(name: str, delimiter: str) -> None:
    there = name.replace("/", delimiter)
    (found,) = chosen([(frozenset(), delimiter, there)], ["*"], [name])
    assert found.excluded


@pytest.mark.parametrize(("configured", "there"), [(COMPOSED, APART), (APART, COMPOSED), (COMPOSED.upper(), APART)])
def test_an_excluded_folder_is_excluded_however_its_letters_are_composed(configured: str, there: str) -> None:
    for pattern, name in ((configured, there), (f"{configured}/*", f"{there}/Doctor"), (f"?{configured[1:]}", there)):
        assert [f.excluded for f in chosen([(frozenset(), "/", name)], ["*"], [pattern])] == [True]
        assert [f.name for f in chosen([(frozenset(), "/", name)], [pattern], [])] == [name]
        assert unmatched([(frozenset(), "/", name)], [pattern]) == []


def test_brackets_are_no_pattern_that_means_other_folders() -> None:
    (found,) = chosen([(frozenset(), "/", "Home o")], ["*"], ["Home [ours]"])
    assert not found.excluded


@pytest.mark.parametrize(("configured", "there"), [("[Private]", "[private]"), (COMPOSED, APART)])
def test_conditions_keywords_and_drop_folders_mean_names_in_the_same_way(configured: str, there: str) -> None:
    assert met(Condition.model_validate({"folder": [configured]}), {"folder": there}, {})
    assert met(Condition.model_validate({"category": [configured]}), {"categories": frozenset({there})}, {})
    mail = Mail.model_validate(
        {"exclude-folders": [configured], "folders": [there], "drop-folders": {there: {"account": "a"}},
         "write-back": {"copy": there}}
    )  # fmt: skip
    assert [place for place, _ in faults(mail)] == [("write-back", "copy")]
    assert [place for place, _ in contradictions(mail, ())] == [("folders",), ("drop-folders", there)]


def test_an_excluded_keyword_and_a_drop_folder_are_known_however_they_are_composed() -> None:
    office = office_of(**{"exclude-keywords": [COMPOSED], "drop-folders": {f"CRM/{COMPOSED}": {"account": "beta"}}})
    content = fields("Private", NOW, categories=frozenset({APART}))
    office.boxes["ann"].deliver("m1", content, owner="kim@acme.example")
    office.deliver("m2", "Dropped", "ann", sender="who@new.example", folder=f"CRM/{APART}")
    office.sync()
    assert office.logged() == {"Dropped": "beta"}


def test_a_keyword_in_letters_of_its_own_is_news_when_a_message_gets_it() -> None:
    assert Watch(one_forms([COMPOSED])).version([APART.encode()]) == COMPOSED.casefold()


# -- who is blocked ---------------------------------------------------------------------------------------------------

BLOCKED = [
    "'x@doctor.example'",
    "\"'x@doctor.example'\" <'x@doctor.example'>",
    "Kim (Acme <kim@acme.example>, Dr <x@doctor.example>",
    '5" Screens Ltd <kim@acme.example>, Dr <x@doctor.example>',
    ", ".join(f"a{n}@acme.example" for n in range(500)) + ", x@doctor.example",
    ", ".join(f"{'a' * 200}{n}@acme.example" for n in range(500)) + ", x@doctor.example",
    "Kim <kim@acme.example>; Dr <x@doctor.example>",
    "Kim <kim@acme.example> Dr <X@Doctor.Example.>",
    "<kim@acme.example, x@doctor.example",
    "Team: kim@acme.example, x @ doctor.example",
    "undisclosed: =?utf-8?q?x=40doctor=2Eexample?= <>",
    '"x"@doctor.example',
    "<@relay.example:x@doctor.example>",
    "<mailto:x@doctor.example>",
]


@pytest.mark.grid
@pytest.mark.parametrize("to", BLOCKED)
@pytest.mark.parametrize("field", ["To", "Cc", "Bcc", "Sender", "Reply-To", "Resent-To", "Mail-Followup-To"])
@pytest.mark.parametrize("party", ["doctor.example", "x@doctor.example"])
def test_who_is_blocked_is_found_however_broken_the_list_is(to: str, field: str, party: str) -> None:
    office = office_of(block=[party])
    headers = read_headers(f"From: kim@acme.example\r\n{field}: {to}\r\n".encode())
    office.boxes["ann"].deliver(
        "m1",
        fields("Blocked", NOW, sender=headers.sender) | {"correspondents": headers.people},
        owner=headers.sender,
        mentioned=headers.mentioned,
    )
    office.sync()
    assert office.logged() == {}


def test_who_is_only_mentioned_takes_no_part() -> None:
    headers = read_headers(b"From: kim@acme.example\r\nTo: Lee (Beta <lee@beta.example>, Dr <x@doctor.example>\r\n")
    assert "x@doctor.example" in headers.mentioned
    assert "x@doctor.example" not in headers.people
    assert read_headers(b'From: Kim <kim@acme.example>\r\nTo: "Lee" <lee@beta.example>\r\n').mentioned == frozenset()


@pytest.mark.parametrize("name", ["o'neil@acme.example", "'o'neil@acme.example'"])
def test_an_address_in_quotes_is_the_address(name: str) -> None:
    assert list(read_headers(f"To: {name}\r\n".encode()).people) == ["o'neil@acme.example"]


def test_a_long_line_without_addresses_takes_no_time() -> None:
    begun = time.monotonic()
    read_headers(b"To: " + b"a" * 500_000 + b"@" * 5 + b" " * 100_000 + b"\r\n")
    assert time.monotonic() - begun < 120  # a pattern that tries everything would take for ever


@pytest.mark.parametrize("octets", [100, MOST_HEADERS])
@pytest.mark.parametrize("blocks", [True, False])
def test_where_a_list_was_cut_somebody_blocked_may_be_in_the_rest_of_it(octets: int, blocks: bool) -> None:
    parts: dict[bytes, Any] = {b"HEADER": b"From: kim@acme.example\r\n", b"HEADER 2": b"To: ".ljust(octets, b"a")}
    found = record_of("m1", "-", "INBOX", "INBOX", 1, parts)
    assert isinstance(found, Record)
    rules = Mail.model_validate({"block": ["doctor.example"] if blocks else []})
    assert excluded(found, load(shipped()["mail"]).mapping.privacy, [rules]) is (blocks and octets == MOST_HEADERS)


@pytest.mark.parametrize("name", ["ToRecipients", "CcRecipients", "BccRecipients", "ReplyTo"])
def test_exchange_looks_for_who_is_blocked_in_its_properties_and_in_names(name: str) -> None:
    for box in ("<t:EmailAddress>x@doctor.example</t:EmailAddress>", "<t:Name>'x@doctor.example'</t:Name>"):
        item = fromstring(
            f'<t:Message xmlns:t="{T.strip("{}")}"><t:InternetMessageHeaders>'
            '<t:InternetMessageHeader HeaderName="To">kim@acme.example</t:InternetMessageHeader>'
            f"</t:InternetMessageHeaders><t:{name}><t:Mailbox>{box}</t:Mailbox></t:{name}></t:Message>"
        )
        record = message_record("m1", item, "INBOX")
        assert "x@doctor.example" in {*record.mentioned, *record.fields["correspondents"]}


# -- a log that somebody deleted --------------------------------------------------------------------------------------


def unlogged() -> Office:
    """An office in which a log has been deleted by hand."""
    office = Office()
    office.boxes["ann"].excluded = frozenset({"Private"})
    put(office, "ann", "m1", A)
    office.sync()
    office.crm.remove(next(iter(office.crm.records)))
    return office


@pytest.mark.grid
@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("listed_anew", [True, False])
@pytest.mark.parametrize(
    "way",
    [
        ["move Other"],
        ["move Private"],
        ["move Private", "sync", "move INBOX"],
        ["move Private", "remove", "sync", "put ann"],
        ["move Private", "sync", "remove", "sync", "put ann"],
        ["remove", "sync", "put ann"],
        ["remove", "put ann"],
        ["remove", "sync", "put bob"],
        ["remove", "put bob"],
        ["keep bob", "sync", "remove", "sync", "put ann"],
        ["mark", "sync", "unmark"],
        ["mark", "sync", "move Other", "sync", "unmark"],
        ["remove", "sync", "put ann", "sync", "move Private", "sync", "move Other", "sync", "edit"],
    ],
)
def test_a_log_that_was_deleted_stays_deleted_wherever_its_mail_goes(
    way: list[str], noticed: bool, listed_anew: bool
) -> None:
    office = unlogged()
    if noticed:
        office.sync(2)
    box, at = office.boxes["ann"], "m1"
    for number, step in enumerate(way):
        act, _, where = step.partition(" ")
        if act == "move":
            box.move(at, f"m{number}x", where)
            at = f"m{number}x"
        elif act == "remove":
            box.remove(at)
        elif act == "put":
            at = f"n{number}"
            put(office, where, at, A)
        elif act == "keep":
            put(office, where, f"k{number}", A)
        elif act in ("mark", "unmark"):
            office.private("ann", at, on=act == "mark")
        elif act == "edit":
            box.edit(at, flagged=True)
        else:
            office.sync(2)
        if listed_anew:
            box.expire()
    office.sync(3)
    assert office.crm.records == {}
    before = len(office.crm.log)
    office.sync(2)
    assert len(office.crm.log) == before


def test_a_log_that_was_deleted_after_its_mail_stays_deleted_when_that_comes_back() -> None:
    office = Office()
    put(office, "ann", "m1", A)
    office.sync()
    office.boxes["ann"].remove("m1")
    office.sync(2)
    office.crm.remove(next(iter(office.crm.records)))
    office.sync(2)
    put(office, "ann", "m2", A)
    office.sync(2)
    assert office.crm.records == {}


def test_of_a_log_that_was_deleted_nothing_is_remembered_but_that_it_was() -> None:
    """When its mail becomes private; and one link stays, however often it goes and comes."""
    office = unlogged()
    for number in range(5):
        office.boxes["ann"].move("m1" if not number else f"m{number}", f"m{number + 1}", "Private")
        office.sync(2)
    with office.store.reading() as tx:
        (link,) = tx.links_by_item("ann/mail", ["m5"])
        assert tx.count_links("ann/mail") == 1
    assert (link.item_base, link.crm_base, link.texts, link.brought) == ({}, {}, {}, frozenset())


# -- a log of two -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["ann", "bob"])
@pytest.mark.parametrize("corrected", [{}, {"subject": "Corrected"}, {"subject": "Corrected", "notes": "by hand"}])
def test_what_one_makes_private_still_shows_what_his_colleague_holds(first: str, corrected: dict[str, str]) -> None:
    office = Office()
    other = {"ann": "bob", "bob": "ann"}[first]
    for name in (first, other):
        put(office, name, f"{name}1", A)
        office.sync(2)
    if corrected:
        office.crm.edit(next(iter(office.crm.records)), **corrected)
    office.sync(2)
    office.private(first, f"{first}1")
    office.sync(3)
    assert words(office) == [A]
    before = len(office.crm.log)
    office.sync(2)
    assert len(office.crm.log) == before
    office.private(other, f"{other}1")
    office.sync(2)
    assert office.crm.records == {}


@pytest.mark.parametrize("corrected", [{"subject": "Corrected"}, {"subject": "Corrected", "notes": "by hand"}])
def test_a_crash_while_it_is_taken_back_leaves_nobodys_log_empty(corrected: dict[str, str]) -> None:
    office = Office()
    put(office, "ann", "ann1", A)
    put(office, "bob", "bob1", A)
    office.sync(2)
    office.crm.edit(next(iter(office.crm.records)), **corrected)
    office.sync(2)
    office.private("ann", "ann1")

    def crash(when: str, call: str) -> None:
        if (when, call) == ("after", "redact"):
            raise Crash

    office.crm.gate = crash
    with pytest.raises(Crash):
        office.sync()
    office.crm.gate = lambda when, call: None
    office.sync(3)
    assert words(office) == [A]
    office.private("bob", "bob1")
    office.sync(2)
    assert office.crm.records == {}


# -- a log that somebody edited, and its drop folder ------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"subject": "TYPED"}, {"notes": "TYPED"}, {"account": "beta"}, {"notes": ""}])
@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("to", ["", "INBOX"])
def test_what_somebody_typed_into_a_log_stays_when_its_mail_leaves_the_drop_folder(
    change: dict[str, str], noticed: bool, to: str
) -> None:
    office = Office(drop_lens())
    office.deliver("d1", "Of a stranger", "ann", sender="who@new.example", folder="CRM")
    office.sync()
    office.crm.edit(next(iter(office.crm.records)), **change)
    if noticed:
        office.sync(2)
    if to:
        office.boxes["ann"].move("d1", "d2", to)
    else:
        office.boxes["ann"].remove("d1")
    office.sync(2)
    (record,) = office.crm.records.values()
    assert change.items() <= record.fields.items()
    before = len(office.crm.log)
    office.boxes["ann"].expire()
    office.sync(2)
    assert len(office.crm.log) == before


def test_what_nobody_edited_goes_and_what_is_private_goes_even_if_somebody_did() -> None:
    for edited, place in ((False, "INBOX"), (True, "Home"), (True, "Private")):
        office = Office(drop_lens())
        office.boxes["ann"].excluded = frozenset({"Home"})
        office.deliver("d1", "Of a stranger", "ann", sender="who@new.example", folder="CRM")
        office.sync()
        if edited:
            office.crm.edit(next(iter(office.crm.records)), subject="Typed")
            office.sync()
        if place == "Private":
            office.private("ann", "d1")
        else:
            office.boxes["ann"].move("d1", "d2", place)
        office.sync(3)
        assert office.crm.records == {}, (edited, place)


@pytest.mark.parametrize("passes", [0, 1])
@pytest.mark.parametrize("moves", [False, True])
def test_a_log_that_two_hold_and_one_has_made_private_stays_deleted_when_that_ends(moves: bool, passes: int) -> None:
    office = Office()
    office.deliver("m", "Both have it", "ann", "bob")
    office.sync(2)
    office.private("ann", "m")
    office.sync(2)
    office.crm.remove(next(iter(office.crm.records)))
    office.sync(passes)
    office.private("ann", "m", on=False)
    if moves:
        office.boxes["ann"].move("m", "m2", "Archive")
    office.sync(3)
    assert office.crm.records == {}


def test_a_message_that_moves_is_the_same_when_nothing_of_its_words_was_agreed_on() -> None:
    """The colleague's copy became private and its log was emptied, before this one was looked at."""
    office = Office(drop_lens())
    office.deliver("m", "Both have it", "ann", "bob")
    ann, bob = office.pairings
    office.pairings = [ann]
    office.sync()
    office.pairings = [bob, ann]
    office.sync()
    (ref,) = office.crm.records
    office.crm.edit(ref, transactions=frozenset({"opportunity OPP-1"}))
    office.private("ann", "m")
    office.boxes["bob"].move("m", "m2", "Archive")
    office.sync(4)
    assert len(office.crm.records) == 1
    assert "words" in str(next(iter(office.crm.records.values())).fields["notes"])
