"""What a mailbox promises beyond the port, on Dovecot (QRESYNC, CONDSTORE) and on pymap (neither)."""

from __future__ import annotations

import base64
import quopri
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from connectors.imap import connector
from connectors.imap.connect import SignIn, connect
from connectors.imap.feed import read_cursor
from connectors.imap.replica import ImapReplica
from connectors.imap.session import Session
from syncd.mail.choice import Choice
from syncd.model.record import Record
from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected
from tests.conformance.conftest import Bench
from tests.scenarios.mail import message
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.tokens import token_server
from tests.servers.wire import stripped

pytestmark = pytest.mark.either
EVERYTHING = frozenset({"text", "attachments", "invitation"})


def mailbox_of(bench: Bench) -> ImapReplica:
    assert isinstance(bench.replica, ImapReplica)
    return bench.replica


@contextmanager
def program(bench: Bench) -> Iterator[IMAPClient]:
    """The person's mail program."""
    client = connect(mailbox_of(bench).session.sign_in)
    try:
        yield client
    finally:
        client.logout()


def deliver(bench: Bench, *mails: bytes, folder: str = "INBOX", flags: Sequence[bytes] = ()) -> None:
    with program(bench) as client:
        if not client.folder_exists(folder):
            client.create_folder(folder)
        for mail in mails:
            client.append(folder, mail, flags)


def subjects(replica: ImapReplica, cursor: str) -> tuple[dict[str, bool], str]:
    """Subject (or "gone") of what the feed announces."""
    pages = list(replica.changes(cursor))
    refs = {c.ref: c.gone for p in pages for c in p.changes}
    found = replica.fetch([r for r, gone in refs.items() if not gone])
    named = {str(f.fields["subject"]): False for f in found.values() if isinstance(f, Record)}
    return named | ({"gone": True} if any(refs.values()) else {}), pages[-1].cursor


def test_reading_changes_no_flag_and_asks_only_for_what_is_wanted(mailbox: Bench) -> None:
    deliver(mailbox, message("One", "words\n", files={"a.pdf": b"x" * 100_000}))
    replica = mailbox_of(mailbox)
    refs = [c.ref for p in replica.changes("") for c in p.changes]
    (record,) = replica.fetch(refs).values()
    assert isinstance(record, Record)
    assert "text" not in record.fields
    (fields,) = replica.complete([record], EVERYTHING)
    assert not isinstance(fields, PortError)
    assert str(fields["text"]).strip() == "words"
    assert [(f.name, f.content) for f in fields["attachments"]] == [("a.pdf", None)]
    with program(mailbox) as client:
        client.select_folder("INBOX", readonly=True)
        assert set(client.fetch(client.search(), ["FLAGS"]).popitem()[1][b"FLAGS"]) <= {b"\\Recent"}


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_attachments_come_octet_for_octet(mailbox: Bench, encoding: str) -> None:
    letters = (
        range(256) if encoding == "base64" else range(32, 256) if encoding == "quoted-printable" else range(32, 127)
    )
    content = bytes(letters) * 9_000
    head = (
        b"From: kim@acme.example\r\nTo: ann@us.example\r\nSubject: file\r\nMessage-ID: <f@x>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n--b\r\n'
        b"Content-Type: application/x; name=file\r\nContent-Disposition: attachment; filename=file\r\n"
    )
    if encoding == "8bit":
        content = content.replace(b"x", b"\r\n")
    written: dict[str, Callable[[bytes], bytes]] = {
        "base64": base64.encodebytes,
        "quoted-printable": quopri.encodestring,
        "8bit": bytes,
    }
    body = written[encoding](content)
    if encoding != "8bit":
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    deliver(mailbox, head + f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body + b"\r\n--b--\r\n")
    replica = mailbox_of(mailbox)
    (record,) = replica.fetch([c.ref for p in replica.changes("") for c in p.changes]).values()
    assert isinstance(record, Record)
    (fields,) = replica.complete([record], frozenset({"contents"}))
    assert not isinstance(fields, PortError)
    (file,) = fields["attachments"]
    read = b"".join(file.content)
    if encoding != "base64":  # the line break before the boundary: some count it
        read, content = (x.replace(b"\r\n", b"\n").rstrip(b"\n") for x in (read, content))
    assert read == content


def test_the_feed_tells_what_came_changed_and_went(mailbox: Bench) -> None:
    replica = mailbox_of(mailbox)
    deliver(mailbox, message("one"), message("two"), message("three"))
    found, cursor = subjects(replica, "")
    assert set(found) == {"one", "two", "three"}
    assert subjects(replica, cursor)[0] == {}
    with program(mailbox) as client:
        client.select_folder("INBOX")
        client.add_flags(client.search(["SUBJECT", "two"]), [b"\\Flagged"])
        client.delete_messages(client.search(["SUBJECT", "one"]))
        client.expunge()
    deliver(mailbox, message("four"))
    found, cursor = subjects(replica, cursor)
    assert found == {"two": False, "four": False, "gone": True}
    assert subjects(replica, cursor)[0] == {}


def test_what_is_older_is_there_but_no_news(mailbox: Bench) -> None:
    replica = mailbox_of(mailbox)
    replica.today = lambda: datetime.now(UTC).date() + timedelta(days=100)
    deliver(mailbox, message("old"))
    pages = list(replica.changes(""))
    assert [c for p in pages for c in p.changes] == []
    (ref,) = [r for p in pages for r in p.there]
    assert isinstance(replica.fetch([ref])[ref], Record)


def test_a_folder_that_is_another_expires_the_cursor(mailbox: Bench) -> None:
    replica = ImapReplica(Session(mailbox_of(mailbox).session.sign_in), Choice(folders=("INBOX", "Work")))
    name = f"W{uuid.uuid4().hex[:6]}"
    deliver(mailbox, message("x"), folder="Work")
    cursor = list(replica.changes(""))[-1].cursor
    assert "Work" in read_cursor(cursor)
    with program(mailbox) as client:
        client.rename_folder("Work", name)
    with pytest.raises(CursorExpired):
        list(replica.changes(cursor))
    with program(mailbox) as client:
        client.delete_folder(name)
    replica.close()


def test_an_excluded_folder_shows_which_message_and_nothing_of_it(mailbox: Bench) -> None:
    mail = message("Very secret", files={"secret.pdf": b"x"})
    deliver(mailbox, mail)
    deliver(mailbox, mail, folder="Home")
    replica = ImapReplica(Session(mailbox_of(mailbox).session.sign_in), Choice(excluded=("Home",)))
    refs = [c.ref for p in replica.changes("") for c in p.changes]
    found = replica.fetch(refs)
    home, inbox = (found[r] for r in sorted(refs))
    assert isinstance(home, Record)
    assert isinstance(inbox, Record)
    assert dict(home.fields) == {"sensitivity": "excluded"}
    assert home.uid == inbox.uid
    assert "secret" not in repr(home).lower()
    replica.close()


def test_an_old_ref_is_gone(mailbox: Bench) -> None:
    deliver(mailbox, message("x"))
    replica = mailbox_of(mailbox)
    (ref,) = [c.ref for p in replica.changes("") for c in p.changes]
    other = ref.replace("UIDVALIDITY=", "UIDVALIDITY=9")
    elsewhere = ref.replace("INBOX", "Nowhere")
    found = replica.fetch([ref, other, elsewhere, "no ref at all"])
    assert isinstance(found[ref], Record)
    assert all(isinstance(found[r], Gone) for r in (other, elsewhere, "no ref at all"))


def test_a_keyword_that_the_mailbox_does_not_take_is_said_so(pymap_server: Any) -> None:
    """pymap has no keywords in PERMANENTFLAGS."""
    sign_in = SignIn(f"imap://127.0.0.1:{pymap_server.port}", "ann", lambda: "ann")
    replica = ImapReplica(Session(sign_in), Choice(keyword="$SyncdLogged"))
    client = connect(sign_in)
    client.append("INBOX", message("x"))
    (*_, ref) = [c.ref for p in replica.changes("") for c in p.changes]
    with pytest.raises(Rejected, match="takes no keyword"):
        replica.mark([ref], logged=True)
    client.logout()
    replica.close()


def test_one_answer_that_is_too_large_or_cannot_be_read_stops_no_other(
    mailbox: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers with more than was asked for: that message is left, the others go on."""
    deliver(mailbox, *(message(f"fine {n}") for n in range(9)), message("huge " + "x" * 20_000), message("last"))
    replica = mailbox_of(mailbox)
    refs = [c.ref for p in replica.changes("") for c in p.changes]
    monkeypatch.setattr("connectors.imap.connect.LARGEST", 15_000)
    found = replica.fetch(refs)
    assert sum(isinstance(f, Record) for f in found.values()) == 10
    (fault,) = [f for f in found.values() if not isinstance(f, Record)]
    assert "cannot be read" in str(fault)
    assert "xxx" not in str(fault)


# -- signing in ------------------------------------------------------------------------------------------------


def sees(sign_in: SignIn) -> bool:
    session = Session(sign_in)
    try:
        return bool(session.listed()[0])
    finally:
        session.close()


def test_ways_to_sign_in(dovecot_server: Dovecot) -> None:
    base = SignIn(dovecot_server.url, "carl", lambda: "carl")
    assert sees(base)
    assert sees(replace(base, auth="plain"))
    assert sees(replace(base, auth="login"))
    for auth in ("", "plain", "login", "xoauth2", "oauthbearer"):
        with pytest.raises(AuthFailed):
            sees(replace(base, auth=auth, secret=lambda: "wrong"))


def test_a_service_account_opens_a_mailbox() -> None:
    """A master user, by SASL's authorization identity, and by one name made of both."""
    with dovecot(masters={"service": "secret"}) as server:
        one = SignIn(server.url, "service", lambda: "secret", mailbox="dora")
        assert sees(one)
        assert sees(replace(one, master="{user}*{master}"))
        with pytest.raises(AuthFailed):
            sees(replace(one, secret=lambda: "wrong"))


def test_tls_and_starttls_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of one's own authority is trusted by `ca` alone; a password never goes in the clear."""
    monkeypatch.setattr("connectors.imap.connect.local", lambda host: False)
    cert, key = certificate(tmp_path)
    with dovecot(tls=(cert, key)) as server:
        for url in (f"imaps://localhost:{server.tls_port}", f"imap://localhost:{server.port}"):
            with pytest.raises(PortError, match="certificate cannot be trusted"):
                sees(SignIn(url, "ann", lambda: "ann"))
            with pytest.raises(PortError, match="certificate cannot be trusted"):
                sees(SignIn(url.replace("localhost", "127.0.0.1"), "ann", lambda: "ann", ca=str(cert)))
            assert sees(SignIn(url, "ann", lambda: "ann", ca=str(cert)))
    with dovecot() as plain, pytest.raises(AuthFailed, match="no encryption"):
        sees(SignIn(plain.url, "ann", lambda: "ann"))


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_access_tokens() -> None:
    """Dovecot asks the issuer whether the token holds; from a refresh token, or from a command."""
    with token_server({"refresh-ann": "ann"}) as tokens, dovecot(introspection=tokens.introspection) as server:
        oauth = {"token-url": tokens.url, "client-id": "syncd"}
        for kind in ("xoauth2", "oauthbearer"):
            options = {"url": server.url, "username": "ann", "auth": kind}
            for _ in range(2):
                replica = connector({**options, "oauth": oauth, "password": "refresh-ann"})
                assert list(replica.changes(""))
                replica.close()
                assert list(replica.changes(""))
                replica.close()
            with pytest.raises(AuthFailed, match="invalid_grant"):
                list(connector({**options, "oauth": oauth, "password": "another"}).changes(""))
            with pytest.raises(AuthFailed):
                list(connector({**options, "password": "no-token"}).changes(""))
            (token, *_) = tokens.given
            replica = connector({**options, "token-command": f"printf '%s\\n' {token}"})
            assert list(replica.changes(""))
            replica.close()
        assert tokens.asked == 6, "a token is used until it runs out"
        tokens.lasting = 30
        replica = connector(
            {"url": server.url, "username": "ann", "auth": kind, "oauth": oauth, "password": "refresh-ann"}
        )
        assert list(replica.changes(""))
        replica.close()
        assert list(replica.changes(""))
        replica.close()
        assert tokens.asked == 8, "one that runs out is replaced"


# -- servers that can less, or lie --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "without", ["QRESYNC", "CONDSTORE QRESYNC", "CONDSTORE QRESYNC ESEARCH LIST-STATUS SPECIAL-USE"]
)
def test_servers_that_can_less_tell_the_same(dovecot_server: Dovecot, without: str) -> None:
    """Dovecot behind something that takes capabilities out of its answers."""
    user = f"u{uuid.uuid4().hex[:12]}"
    with stripped(dovecot_server.port, without.split()) as port:
        sign_in = SignIn(f"imap://127.0.0.1:{port}", user, lambda: user)
        replica = ImapReplica(Session(sign_in), Choice(flagged=True))
        test_the_feed_tells_what_came_changed_and_went(Bench(replica, replica, "message"))
        replica.close()
