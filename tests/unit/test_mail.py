"""Mail, piece by piece: headers, structure, text, subjects, filing, folders, cursors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.imap.feed import Watch
from connectors.imap.folders import parse_ref, ref_of
from connectors.imap.session import as_set, ranges, runs
from syncd.mail.folders import chosen
from syncd.mail.headers import identity, read_headers, sent_at
from syncd.mail.providers import PUBLIC
from syncd.mail.structure import Part, attachments, invitation, texts, total
from syncd.mail.subject import bare_subject, is_reply
from syncd.mail.text import calendar_uid, decoded, from_html, undone, without_history

pytestmark = pytest.mark.either
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def section(**headers: str) -> bytes:
    return "".join(f"{n.replace('_', '-')}: {v}\r\n" for n, v in headers.items()).encode() + b"\r\n"


def test_headers_are_read() -> None:
    found = read_headers(
        section(
            From='"Kim, CFO" <KIM@Acme.example>', To="ann@us.example, Bob <bob@us.example>", Cc="ann@us.example",
            Subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_aus_K=F6ln?=", Date="Tue, 24 Nov 2026 13:00:00 +0100",
            Message_ID="<a@b>", References="<r1@x> <r2@x>", In_Reply_To="<r2@x>", Importance="high",
        )
    )  # fmt: skip
    assert found.sender == "kim@acme.example"
    assert [(a, p.name, p.role) for a, p in found.people.items()] == [
        ("ann@us.example", "", "to"),
        ("bob@us.example", "Bob", "to"),
        ("kim@acme.example", "Kim, CFO", "from"),
    ]
    assert found.subject == "Grüße aus Köln"
    assert found.date == NOON
    assert (found.message_id, found.references, found.priority) == ("a@b", ("r1@x", "r2@x"), 1)


@pytest.mark.parametrize(
    ("headers", "trait"),
    [
        ({"List-Id": "<l.x>"}, "list"),
        ({"Precedence": "list"}, "list"),
        ({"Precedence": "bulk"}, "automatic"),
        ({"Auto-Submitted": "auto-replied (vacation)"}, "automatic"),
        ({"X-Auto-Response-Suppress": "All"}, "automatic"),
        ({"Return-Path": "<>"}, "bounce"),
        ({"Content-Type": "multipart/report; report-type=delivery-status"}, "bounce"),
        ({"X-Spam-Flag": "YES"}, "spam"),
        ({"Content-Type": "application/pkcs7-mime; smime-type=enveloped-data"}, "encrypted"),
        ({"Content-Type": 'multipart/encrypted; protocol="application/pgp-encrypted"'}, "encrypted"),
    ],
)
def test_what_kind_of_mail_the_headers_show(headers: dict[str, str], trait: str) -> None:
    assert read_headers(section(**headers)).traits == {trait}


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "no"},
        {"X-Auto-Response-Suppress": "DR, RN"},
        {"Content-Type": "application/pkcs7-mime; smime-type=signed-data"},
        {"Return-Path": "<kim@acme.example>"},
        {"Precedence": "first-class"},
    ],
)
def test_people_write_such_mail_too(headers: dict[str, str]) -> None:
    assert read_headers(section(**headers)).traits == frozenset()


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("Private", "private"), ("personal", "private"), ("Company-Confidential", "confidential"), ("", "public"),
        ("Normal", "public"), ("normal (none)", "public"), ("Confidential", "confidential"),
        ("Company Confidential", "confidential"), ('"Private"', "private"), ("Private;", "private"),
        ("Private (to Ann)", "private"), ("=?utf-8?q?Private?=", "private"), ("Secret", "private"),
        ("Privat", "private"), ("Streng vertraulich", "private"),
        ("Normal\r\nSensitivity: Private", "private"), ("Company-Confidential\r\nSensitivity: Normal", "confidential"),
    ],
)  # fmt: skip
def test_sensitivity(said: str, means: str) -> None:
    assert read_headers(section(Sensitivity=said)).sensitivity == means


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("Mon, 01 Jan 0001 00:00:00 +0000", None), ("1 Jan 0026 00:00:00 +0000", None),
        ("1 Jan 26 00:00:00 +0000", 2026), ("1 Jan 2026 01:00:00 +0100", 2026), ("1 Jan 99 00:00:00 GMT", 1999),
    ],
)  # fmt: skip
def test_a_year_that_says_nothing_is_no_year(date: str, year: int | None) -> None:
    found = read_headers(section(Date=date)).date
    assert (found.year if found is not None else None) == year


@given(st.binary(max_size=400))
def test_any_octets_are_headers_of_some_kind(octets: bytes) -> None:
    found = read_headers(octets)
    assert "\0" not in found.subject + found.sender + found.message_id
    found.subject.encode()
    identity(found, 1)


@given(st.binary(max_size=300), st.sampled_from(["", "base64", "quoted-printable", "8bit"]), st.text(max_size=12))
def test_any_octets_are_a_text_of_some_kind(octets: bytes, encoding: str, charset: str) -> None:
    text = decoded(undone(octets, encoding), charset)
    assert "\0" not in text
    text.encode()


@given(st.text(max_size=300))
def test_any_page_is_a_text_of_some_kind(page: str) -> None:
    assert "\0" not in from_html(page)


def test_identity_joins_copies_and_parts_what_only_shares_a_message_id() -> None:
    """Lesson 6."""
    same = section(Message_ID="<x@y>", From="a@b.example", Date="Tue, 24 Nov 2026 13:00:00 +0100", Subject="s")
    copy = section(Received="by z", Date="Tue, 24 Nov 2026 12:00:00 GMT", From="A <a@b.example>", Message_ID="<x@y>")
    other = section(Message_ID="<x@y>", From="a@b.example", Date="Tue, 24 Nov 2026 13:00:01 +0100")
    one, two, three = (identity(read_headers(s), 5) for s in (same, copy, other))
    assert one == two != three
    nameless = section(From="a@b.example", To="c@d.example", Date="Tue, 24 Nov 2026 13:00:00 +0100", Subject="s")
    assert identity(read_headers(nameless), 5) == identity(read_headers(nameless), 5)
    assert identity(read_headers(nameless), 5) != identity(read_headers(nameless), 6)


def test_a_date_that_lies_ahead_is_not_believed() -> None:
    ahead = read_headers(section(Date="Tue, 24 Nov 2099 13:00:00 +0100"))
    assert sent_at(ahead, NOON) == NOON
    assert sent_at(read_headers(b""), NOON) == NOON
    assert sent_at(read_headers(section(Date="Mon, 23 Nov 2026 13:00:00 +0100")), NOON) == NOON - timedelta(days=1)


@pytest.mark.parametrize(
    ("subject", "bare", "reply"),
    [
        ("Re: Offer", "offer", True),
        ("AW: WG: Re[2]: Offer  two", "offer two", True),
        ("Fwd: Offer", "offer", False),
        ("Ответ: Offer", "offer", True),
        ("Regarding: Offer", "regarding: offer", False),
        ("Re:", "", True),
    ],
)
def test_subjects(subject: str, bare: str, reply: bool) -> None:
    assert (bare_subject(subject), is_reply(subject)) == (bare, reply)


def test_of_alternatives_the_plainest_is_the_text() -> None:
    plain, html = Part("1.1", "text/plain"), Part("1.2", "text/html")
    calendar = Part("1.3", "text/calendar", method="request")
    file = Part("2", "application/pdf", name="a.pdf", attached=True, octets=7)
    inner = Part("3", "message/rfc822", octets=5)
    both = Part("1", "multipart/alternative", parts=(plain, html, calendar))
    whole = Part("", "multipart/mixed", parts=(both, file, inner))
    assert texts(whole) == [plain]
    assert texts(Part("", "multipart/alternative", parts=(html, calendar))) == [html]
    assert attachments(whole) == [file, inner]
    assert invitation(whole) == calendar
    assert total(whole) == 12
    assert texts(Part("", "multipart/mixed", parts=(plain, Part("2", "image/png"), Part("3", "text/plain")))) == [
        plain,
        Part("3", "text/plain"),
    ]


def test_pages_of_the_web_become_words() -> None:
    assert from_html("<p>Hello <b>you</b>,</p><p>good&nbsp;day</p><script>x</script>").split() == [
        "Hello", "you,", "good", "day"
    ]  # fmt: skip


def test_a_signature_is_cut_and_a_text_of_quotes_alone_stays() -> None:
    text = "Fine.\n-- \nKim\nAcme\n"
    assert without_history(text, quotes=False, signature=True) == "Fine."
    assert without_history(text, quotes=False, signature=False) == text.rstrip()
    assert without_history("> only\n> quotes\n", quotes=True, signature=True).strip() != ""


def test_the_uid_of_an_invitation() -> None:
    assert calendar_uid("BEGIN:VEVENT\r\nUID:a-long\r\n  one@x\r\nEND:VEVENT") == "a-long one@x"
    assert calendar_uid("no uid") == ""


def test_public_providers_are_many() -> None:
    """Lesson 29."""
    assert {"gmail.com", "gmx.de", "mail.ru", "qq.com", "yahoo.co.jp"} <= PUBLIC


def test_folders() -> None:
    listed = [
        (frozenset({"\\hasnochildren"}), ".", "INBOX"),
        (frozenset({"\\sent"}), ".", "Gesendet"),
        (frozenset({"\\junk"}), ".", "Junk"),
        (frozenset(), ".", "Customers.Acme"),
        (frozenset(), ".", "Private.Doctor"),
        (frozenset({"\\noselect"}), ".", "Customers"),
        (frozenset({"\\all"}), ".", "All"),
    ]
    found = chosen(listed, ["inbox", "\\Sent", "Customers/*"], ["Private/*"])
    assert [(f.name, f.excluded) for f in found] == [
        ("INBOX", False),
        ("Customers.Acme", False),
        ("Gesendet", False),
        ("Private.Doctor", True),
    ]
    everything = {f.name for f in chosen(listed, ["*"], [])}
    assert everything == {"INBOX", "Gesendet", "Customers.Acme", "Private.Doctor"}
    assert [f.name for f in chosen([(frozenset(), "/", "Sent Items")], ["\\Sent"], [])] == ["Sent Items"]


@given(st.text(min_size=1, max_size=30), st.integers(1, 2**32), st.integers(1, 2**32))
def test_refs(folder: str, validity: int, uid: int) -> None:
    if folder.isprintable():
        assert parse_ref(ref_of(folder, validity, uid)) == (folder, validity, uid)


@given(st.sets(st.integers(1, 300)))
def test_sequence_sets(uids: set[int]) -> None:
    found = runs(sorted(uids))
    assert ranges(as_set(found)) == found
    assert {u for a, b in found for u in range(a, b + 1)} == uids


def test_only_flags_that_count_make_a_version() -> None:
    watch = Watch(frozenset({"\\deleted", "private"}))
    assert watch.version([b"\\Seen", b"\\Answered"]) == watch.version([])
    assert watch.version([b"Private", b"\\Seen"]) == "private"
    one, other = ({b"FLAGS": [b"\\Seen"], b"RFC822.SIZE": size} for size in (1000, 1001))
    assert watch.version_of(one) == watch.version_of({**one, b"FLAGS": []})
    assert watch.version_of(one) != watch.version_of(other)  # another message under a UID that was given out before
