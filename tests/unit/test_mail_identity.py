"""Which message is which, and that every message is in one count."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Moment
from syncd.engine.passes import run_pass
from syncd.mail.headers import read_headers, sent_at
from syncd.mail.same import same_subject, same_text
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.model.record import Record
from syncd.ports import Gone, PortError
from syncd.store.journal import parked
from tests.memory_mail import MemoryMailbox, fields
from tests.unit.test_mail_engine import NOW, Office

SENT = NOW - timedelta(hours=1)
A = ("Your order 1", "Dear Ann,\nyour order 1 is on its way.\nThe shop")
B = ("Your invoice", "Dear Ann,\nplease pay 20 euro.\nThe shop")


def put(office: Office, box: str, ref: str, words: tuple[str, str], folder: str = "INBOX", **more: Any) -> None:
    """A message of a program that gives each of them one Message-ID, in one second."""
    content = fields(words[0], SENT, text=words[1])
    office.boxes[box].deliver(ref, content, owner="kim@acme.example", uid="one@shop", folder=folder, **more)


def words(office: Office) -> list[tuple[str, str]]:
    return sorted((str(r.fields["subject"]), str(r.fields.get("notes", ""))) for r in office.crm.records.values())


def run(office: Office, name: str = "ann") -> Report:
    """A pass; what it counted."""
    pairing = next(p for p in office.pairings if p.id == f"{name}/mail")
    office.now += timedelta(minutes=1)
    return run_pass(Context(pairing, office.store, Moment(office.now), b"k" * 32, office.pairings))


@pytest.mark.parametrize("apart", [False, True])
def test_case_l9_two_mails_that_share_neither_subject_nor_text_are_two_activities(apart: bool) -> None:
    office = Office()
    put(office, "ann", "m1", A)
    if apart:
        office.sync()
    put(office, "ann", "m2", B)
    office.sync()
    assert words(office) == [B, A]
    before = len(office.crm.log)
    office.sync(2)
    assert len(office.crm.log) == before


@pytest.mark.parametrize(
    "other",
    [
        ("[shop] Re: Your order 1", "CAUTION: from outside\n" + A[1]),
        ("***SPAM*** Your order 1", "something else"),
        ("WG: Your order 1", ""),
        ("Rewritten by a gateway", "> Dear Ann,\n> your order 1 is on its way.\n> The shop\n-- \nthe list's footer"),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_case_l9_the_same_mail_by_a_list_or_with_a_banner_stays_one(other: tuple[str, str], apart: bool) -> None:
    office = Office()
    put(office, "ann", "m1", A)
    if apart:
        office.sync()
    put(office, "ann", "m2", other)
    report = run(office)
    assert words(office) == [A]
    assert report.passed_over == {"copy": 1}


@pytest.mark.grid
@pytest.mark.parametrize("order", list(itertools.permutations(["a1", "a2", "b1", "b2"])))
def test_case_l9_two_mails_in_two_mailboxes_are_two_activities_in_any_order(order: Sequence[str]) -> None:
    """Each once, whoever reads which first."""
    office = Office()
    for ref in order:
        put(office, {"a": "ann", "b": "bob"}[ref[0]], ref, A if ref[1] == "1" else B)
        office.sync()
    office.sync()
    assert words(office) == [B, A]
    with office.store.reading() as tx:
        rows = {k.item_ref: k.activity for r in ("a1", "a2") for k in tx.links_by_item("ann/mail", [r])}
        rows |= {k.item_ref: k.activity for r in ("b1", "b2") for k in tx.links_by_item("bob/mail", [r])}
    assert rows["a1"] == rows["b1"] != rows["a2"] == rows["b2"]


def test_case_l9_what_the_crm_corrected_is_still_the_same_mail() -> None:
    office = Office()
    put(office, "ann", "m1", A)
    office.sync()
    office.crm.edit(next(iter(office.crm.records)), subject="Corrected", notes="By hand")
    put(office, "bob", "n1", ("[shop] Your order 1", "Banner\n" + A[1]))
    office.sync()
    assert words(office) == [("Corrected", "By hand")]


def test_case_l9_each_is_moved_and_taken_back_by_itself() -> None:
    """Of what lies in an excluded folder nothing but the identity is read."""
    office = Office()
    box = office.boxes["ann"]
    box.excluded = frozenset({"Private"})
    put(office, "ann", "m1", A)
    put(office, "ann", "m2", B)
    office.sync()
    box.move("m2", "m3", "Other")
    box.move("m1", "m4", "Other")
    office.sync()
    assert words(office) == [B, A]
    box.move("m3", "m5", "Private")
    office.sync()
    assert words(office) == [A]
    box.move("m4", "m6", "Private")
    office.sync()
    assert words(office) == []


def test_case_l9_both_moved_to_private_at_once_are_both_taken_back() -> None:
    office = Office()
    office.boxes["ann"].excluded = frozenset({"Private"})
    put(office, "ann", "m1", A)
    put(office, "ann", "m2", B)
    office.sync()
    office.boxes["ann"].move("m1", "p1", "Private")
    office.boxes["ann"].move("m2", "p2", "Private")
    office.sync()
    assert words(office) == []


def test_case_l9_a_copy_of_what_is_excluded_crosses_no_more_than_before() -> None:
    """Nobody can compare it with what may not be read: it is taken for the same."""
    office = Office()
    office.boxes["ann"].excluded = frozenset({"Private"})
    put(office, "ann", "m1", A)
    office.sync()
    office.boxes["ann"].move("m1", "p1", "Private")
    office.sync()
    put(office, "ann", "m2", B)
    assert run(office).passed_over == {"copy": 1}
    assert words(office) == []


def test_case_l9_without_texts_the_subject_decides() -> None:
    mapping = load(shipped()["mail"]).mapping
    mail = mapping.mail.model_copy(update={"content": "headers-only"})
    office = Office(Lens(mapping.model_copy(update={"mail": mail}), "d"))
    put(office, "ann", "m1", A)
    put(office, "ann", "m2", B)
    put(office, "ann", "m3", (f"[list] {A[0]}", "other"))
    office.sync()
    assert [s for s, _ in words(office)] == [B[0], A[0]]
    assert office.boxes["ann"].asked == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Offer", "AW: offer", True), ("Offer", "[list] Offer", True), ("Offer", "Counteroffer", False),
        ("Offer", "Offer 2", False), ("", "", False), ("", "Offer", False), ("Re:", "Re:", False),
    ],
)  # fmt: skip
def test_case_l9_shared_subjects(one: str, other: str, same: bool) -> None:
    assert same_subject(one, other) is same_subject(other, one) is same


def test_case_l9_shared_texts() -> None:
    assert same_text("a\n\nb ", "banner\n> A\n>  b\nfooter")
    assert not same_text("a\nb\nc", "a\nb\nd")
    assert not same_text("", "a")


# -- odd dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "arrived", "counts"),
    [
        ("Thu, 01 Jan 1970 00:00:00 +0000", NOW, NOW),
        ("Sun, 31 Dec 1989 23:59:59 +0000", NOW, NOW),
        ("Thu, 01 Jan 1903 00:00:00 +0000", NOW, NOW),
        ("Tue, 24 Nov 2099 13:00:00 +0000", NOW, NOW),
        ("Fri, 27 Nov 2026 13:00:00 +0000", NOW, NOW),
        ("nonsense", NOW, NOW),
        ("Mon, 23 Nov 2026 12:00:00 +0000", NOW, NOW - timedelta(days=1)),
        ("Wed, 25 Nov 2026 11:00:00 +0000", NOW, NOW + timedelta(hours=23)),
        ("Tue, 24 Nov 2026 12:00:00 +0000", datetime(1970, 1, 1, tzinfo=UTC), NOW),
        ("Tue, 24 Nov 2026 12:00:00 +0000", None, NOW),
    ],
)
def test_case_l10_an_absurd_date_gives_way_to_the_arrival(
    date: str, arrived: datetime | None, counts: datetime
) -> None:
    assert sent_at(read_headers(f"Date: {date}\r\n\r\n".encode()), arrived) == counts


# -- counts ---------------------------------------------------------------------------------------------------------


class Blind(MemoryMailbox):
    """A mailbox that lists messages and does not show them."""

    hidden: frozenset[str] = frozenset()
    #: Deleted as soon as they are asked for.
    fleeting: frozenset[str] = frozenset()

    def fetch(self, refs: Sequence[str]) -> dict[str, Record | PortError]:
        for ref in self.fleeting & self.records.keys() & set(refs):
            self.remove(ref)
        return {r: Gone("not there") if r in self.hidden else f for r, f in super().fetch(refs).items()}


def blind(office: Office) -> Blind:
    box = Blind("ann", office.boxes["ann"].caps, lambda: office.now)
    office.boxes["ann"] = box
    office.pairings[0] = replace(office.pairings[0], replica=box)
    return box


def reasons(office: Office) -> list[str]:
    with office.store.reading() as tx:
        return [p.reason for p in parked(tx, "ann/mail")]


def test_case_l10_what_is_listed_and_not_shown_is_parked_until_it_is_shown_or_gone() -> None:
    office = Office()
    box = blind(office)
    office.deliver("m1", "Seen", "ann")
    office.deliver("m2", "Not shown", "ann")
    office.deliver("m3", "Not shown either", "ann")
    box.hidden = frozenset({"m2", "m3"})
    assert run(office).parked == 2
    assert reasons(office) == ["the server lists it and shows nothing of it"] * 2
    assert list(office.logged()) == ["Seen"]
    run(office)
    assert len(reasons(office)) == 2
    box.remove("m3")
    assert run(office).parked == 1
    box.hidden = frozenset()
    box.expire()
    assert run(office).parked == 0
    assert set(office.logged()) == {"Seen", "Not shown"}


def test_case_l10_what_is_parked_and_no_longer_listed_is_gone() -> None:
    office = Office()
    box = blind(office)
    office.deliver("m1", "Not shown", "ann")
    box.hidden = frozenset({"m1"})
    run(office)
    del box.records["m1"]  # without a word of the feed
    box.feed = []
    box.expire()
    assert run(office).parked == 0


def test_case_l10_what_goes_between_listing_and_reading_is_no_fault() -> None:
    office = Office()
    blind(office).fleeting = frozenset({"m1"})
    office.deliver("m1", "Gone in a moment", "ann")
    report = run(office)
    assert (report.parked, report.passed_over) == (0, {"gone": 1})
    assert run(office).passed_over == {}


@pytest.mark.parametrize("full", [False, True])
def test_case_l10_every_message_read_is_in_exactly_one_count(full: bool) -> None:
    mapping = load(shipped()["mail"]).mapping
    mail = mapping.mail.model_copy(update={"unknown": "park"})
    lens = Lens(mapping.model_copy(update={"mail": mail}), "d")
    office = Office(lens)
    box = blind(office)
    office.pairings[0] = replace(office.pairings[0], lens=lens)
    for n in range(3):
        office.deliver(f"new{n}", f"New {n}", "ann")
    put(office, "ann", "twice1", A)
    put(office, "ann", "twice2", (f"[x] {A[0]}", A[1]))
    office.deliver("stranger", "Who", "ann", sender="who@new.example")
    office.deliver("inside", "Among us", "ann", sender="bob@us.example")
    office.deliver("hidden", "Hidden", "ann")
    office.deliver("fleeting", "Fleeting", "ann")
    box.hidden, box.fleeting = frozenset({"hidden"}), frozenset({"fleeting"})
    old = fields("Old", NOW - timedelta(days=400), sender="kim@acme.example")
    box.deliver("old", old, owner="kim@acme.example")
    robot = fields("Robot", SENT, sender="kim@acme.example")
    box.deliver("robot", robot, owner="kim@acme.example", traits={"automatic", "list"})
    box.deliver("private", fields("P", SENT, categories=frozenset({"Private"})), owner="kim@acme.example")
    total = len(box.records)
    report = run(office)
    counts = report.numbers()
    passed = {"copy": 1, "internal": 1, "gone": 1, "outside-window": 1, "automatic": 1}
    assert report.passed_over == passed
    assert (counts["read"], counts["created_crm"], counts["withheld"], counts["parked"]) == (total, 4, 1, 2)
    assert sum(passed.values()) + counts["created_crm"] + counts["withheld"] + counts["parked"] == total
    if full:
        box.expire()
        again = run(office)
        assert again.passed_over == {k: v for k, v in passed.items() if k != "gone"}
        assert (again.withheld, again.parked, again.created_crm) == (1, 2, 0)


def test_case_l10_a_moved_message_is_no_copy_even_when_everything_is_listed_anew() -> None:
    office = Office()
    office.deliver("m1", "Ours", "ann")
    office.sync()
    box = office.boxes["ann"]
    box.move("m1", "m2", "Other")
    box.expire()
    assert run(office).passed_over == {}
    with office.store.reading() as tx:
        assert len(tx.links_by_item("ann/mail", ["m2"])) == 1
