"""Servers as people have them: each oddity once, before the real engine (lessons 5, 7, 9, 25-27)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.caldav import CaldavReplica, dav
from connectors.caldav.dav import Dav
from connectors.caldav.discover import discover
from connectors.caldav.transport import Library, Plain, SignIn
from syncd.cli.radicale import Server
from syncd.model.record import Record
from syncd.ports import AuthFailed, Gone, PortError, Rejected, Transient, Unsupported
from tests.servers.odd import DAV, MONDAY, Desk, multiget, odd, rewriting, sync_collection
from tests.servers.proxy import Reply, Verbatim, forward, proxy

pytestmark = pytest.mark.either


@pytest.fixture
def real(radicale_server: Server) -> Server:
    return radicale_server


def in_step(desk: Desk, count: int) -> None:
    """So many events, so many activities, and nothing more to do."""
    desk.quiet()
    assert len(desk.calendar()) == len(desk.crm.records) == count


def works(desk: Desk) -> None:
    """News of every kind, both ways."""
    desk.several(5)
    in_step(desk, 5)
    desk.change("e1", "SUMMARY:Event 1", "SUMMARY:Event 1 renamed")
    desk.put("e9", "SUMMARY:Event 9", start=MONDAY + timedelta(days=1))
    desk.edit("Event 2", location="Room 2")
    desk.appointment("From the CRM")
    in_step(desk, 7)
    assert "Event 1 renamed" in desk.activities
    assert "LOCATION:Room 2" in desk.get("e2")
    desk.delete("e3")
    desk.sync()
    in_step_but(desk, "Event 3")
    assert len(desk.calendar()) == 6


def in_step_but(desk: Desk, rejected: str) -> None:
    assert {s for s, a in desk.activities.items() if a["status"] == "rejected"} == {rejected}


# -- lesson 25: tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500, 501])
def test_lesson_25_a_server_without_sync_tokens_answers_with_an_error(real: Server, status: int) -> None:
    def rule(method: str, _path: str, _headers: dict[str, str], body: bytes) -> Reply | None:
        return (status, {}, b"not here") if sync_collection(method, body) else None

    with odd(real, rule) as desk:
        works(desk)


def test_lesson_25_a_server_that_forgets_to_give_a_token(real: Server) -> None:
    def change(tree: Any, _body: bytes) -> None:
        tree.remove(tree.find(f"{DAV}sync-token"))

    with odd(real, rewriting(real, sync_collection, change)) as desk:
        works(desk)


def test_lesson_25_zero_is_a_token(real: Server) -> None:
    tokens = {b"": b""}

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if not sync_collection(method, body):
            return None
        short = re.search(rb"<D:sync-token>(.*?)</D:sync-token>", body)[1]  # type: ignore[index]
        status, sent, content = forward(
            real,
            method,
            path,
            headers,
            body.replace(b">" + short + b"</D:sync-token>", b">" + tokens[short] + b"</D:sync-token>"),
        )
        long = re.search(rb"<sync-token>(.*?)</sync-token>", content)[1]  # type: ignore[index]
        name = next((k for k, v in tokens.items() if v == long), str(len(tokens) - 1).encode())
        tokens[name] = long
        return status, sent, content.replace(long, name)

    with odd(real, rule) as desk:
        works(desk)
    assert b"0" in tokens


def test_lesson_25_a_change_that_a_token_of_seconds_hides_is_found_by_the_nightly_comparison(real: Server) -> None:
    hidden: list[str] = []

    def change(tree: Any, body: bytes) -> None:
        if re.search(rb"<D:sync-token>.+</D:sync-token>", body):
            for response in tree.findall(f"{DAV}response"):
                if any(name in response.findtext(f"{DAV}href") for name in hidden):
                    tree.remove(response)

    with odd(real, rewriting(real, sync_collection, change)) as desk:
        desk.several(3)
        in_step(desk, 3)
        hidden.append("e1.ics")
        desk.change("e1", "SUMMARY:Event 1", "SUMMARY:Hidden")
        desk.sync()
        assert "Hidden" not in desk.activities
        desk.sync(full=True)
        assert "Hidden" in desk.activities
        in_step(desk, 3)


@pytest.mark.parametrize("status", [403, 409, 412, 418, 500, 507])
@pytest.mark.parametrize("precondition", [True, False])
def test_lesson_25_a_token_that_is_refused_deletes_nothing(real: Server, status: int, precondition: bool) -> None:
    refuse: list[bool] = []
    said = b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>' if precondition else b""

    def rule(method: str, _path: str, _headers: dict[str, str], body: bytes) -> Reply | None:
        if sync_collection(method, body) and b"<D:sync-token></D:sync-token>" not in body and refuse:
            refuse.clear()
            return status, {"Content-Type": "text/xml"}, said
        return None

    with odd(real, rule) as desk:
        desk.several(15)
        in_step(desk, 15)
        desk.put("new", "SUMMARY:Made meanwhile", start=MONDAY + timedelta(days=2))
        refuse.append(True)
        desk.sync(outcome="server not ready" if status == 507 and not precondition else "ok")
        in_step(desk, 16)
        assert all(a["status"] == "open" for a in desk.activities.values())


# -- lesson 26: multistatus ----------------------------------------------------------------------------


def test_lesson_26_a_404_in_a_propstat_is_a_missing_property(real: Server) -> None:
    def change(tree: Any, _body: bytes) -> None:
        for response in tree.findall(f"{DAV}response"):
            propstat = response.find(f"{DAV}propstat")
            if propstat is not None:
                propstat.find(f"{DAV}status").text = "HTTP/1.1 404 Not Found"
                for element in propstat.iter(f"{DAV}getetag"):
                    element.text = None

    with odd(real, rewriting(real, sync_collection, change)) as desk:
        works(desk)


def test_lesson_26_the_collection_itself_is_no_item(real: Server) -> None:
    def change(tree: Any, _body: bytes) -> None:
        own = etree.SubElement(tree, f"{DAV}response")
        found = tree.find(f"{DAV}response/{DAV}href")
        etree.SubElement(own, f"{DAV}href").text = found.text.rsplit("/", 1)[0] + "/" if found is not None else "/x/"
        propstat = etree.SubElement(own, f"{DAV}propstat")
        etree.SubElement(etree.SubElement(propstat, f"{DAV}prop"), f"{DAV}getetag").text = '"collection"'
        etree.SubElement(propstat, f"{DAV}status").text = "HTTP/1.1 200 OK"

    with odd(real, rewriting(real, sync_collection, change)) as desk:
        works(desk)


def test_lesson_26_pages_that_end_with_507(real: Server) -> None:
    rest: dict[str, tuple[list[Any], str]] = {}
    asked: list[str] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if not sync_collection(method, body):
            return None
        token = re.search(r"<D:sync-token>(.*?)</D:sync-token>", body.decode())[1]  # type: ignore[index]
        asked.append(token)
        if token in rest:
            responses, following = rest[token]
        else:
            _, _, content = forward(real, method, path, headers, body)
            tree = etree.fromstring(content)
            responses, following = tree.findall(f"{DAV}response"), tree.findtext(f"{DAV}sync-token") or ""
        made = etree.Element(f"{DAV}multistatus")
        made.extend(responses[:2])
        if len(responses) > 2:
            name = f"page-{len(rest)}"
            rest[name] = (responses[2:], following)
            cut = etree.SubElement(made, f"{DAV}response")
            etree.SubElement(cut, f"{DAV}href").text = path
            etree.SubElement(cut, f"{DAV}status").text = "HTTP/1.1 507 Insufficient Storage"
            following = name
        etree.SubElement(made, f"{DAV}sync-token").text = following
        return 207, {"Content-Type": "text/xml"}, etree.tostring(made)

    with odd(real, rule) as desk:
        works(desk)
    assert any(token.startswith("page-") for token in asked)


@pytest.mark.parametrize("name", ["a b", "100%", "ann@home", "ünï", "a+b&c", "%41"])
def test_lesson_26_names_that_must_be_escaped(real: Server, name: str) -> None:
    from urllib.parse import quote

    with odd(real, lambda *_: None) as desk:
        desk.put(desk.path + quote(name, safe="") + ".ics", "SUMMARY:Odd name", uid="odd")
        in_step(desk, 1)
        desk.edit("Odd name", location="Room 1")
        desk.sync()
        status, text = real.request("ann", "GET", desk.path + quote(name, safe="") + ".ics")
        assert status == 200 and "LOCATION:Room 1" in text
        in_step(desk, 1)


# -- lesson 27: ETags -------------------------------------------------------------------------------------


def _no_etags(tree: Any, _body: bytes) -> None:
    for prop in tree.iter(f"{DAV}prop"):
        for etag in prop.findall(f"{DAV}getetag"):
            prop.remove(etag)


def _weak_etags(tree: Any, _body: bytes) -> None:
    for etag in tree.iter(f"{DAV}getetag"):
        etag.text = f"W/{etag.text}"


@pytest.mark.parametrize("change", [_no_etags, _weak_etags])
@pytest.mark.parametrize("everywhere", [True, False])
def test_lesson_27_answers_without_an_etag_or_with_weak_ones(real: Server, change: Any, everywhere: bool) -> None:
    wanted = (lambda m, b: m in ("REPORT", "PROPFIND")) if everywhere else multiget
    inner = rewriting(real, wanted, change)

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == "PUT":
            headers.pop("If-Match", None)
            status, sent, content = forward(real, method, path, headers, body)
            return status, {k: v for k, v in sent.items() if k.lower() != "etag"}, content
        return inner(method, path, headers, body)

    with odd(real, rule) as desk:
        works(desk)


def test_lesson_27_without_etags_an_edit_made_meanwhile_is_not_overwritten(real: Server) -> None:
    inner, edits = rewriting(real, lambda m, b: m in ("REPORT", "PROPFIND"), _no_etags), list[Any]()

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        answer = inner(method, path, headers, body)
        if multiget(method, body) and edits:
            edits.pop()()  # a person edits just after we have looked
        return answer

    with odd(real, rule) as desk:
        desk.several(1)
        in_step(desk, 1)
        desk.edit("Event 0", location="Room 1")
        edits.append(lambda: desk.change("e0", "SUMMARY:Event 0", "SUMMARY:Edited meanwhile"))
        in_step(desk, 1)
        assert "SUMMARY:Edited meanwhile" in desk.get("e0") and "LOCATION:Room 1" in desk.get("e0")
        assert "Edited meanwhile" in desk.activities


def test_lesson_27_a_read_only_calendar_whose_etags_change_while_they_are_read(real: Server) -> None:
    numbers = itertools.count()

    def change(tree: Any, _body: bytes) -> None:
        for etag in tree.iter(f"{DAV}getetag"):
            etag.text = f'"{next(numbers)}"'

    inner = rewriting(real, lambda m, b: m in ("REPORT", "PROPFIND"), change)

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        return (403, {}, b"") if method in ("PUT", "DELETE") else inner(method, path, headers, body)

    with odd(real, rule) as desk:
        desk.replica = CaldavReplica(desk.replica.dav, desk.path, read_only=True)
        desk.several(4)
        in_step(desk, 4)
        desk.edit("Event 2", location="Stays in the CRM")
        desk.appointment("Stays there too")
        desk.quiet()
        assert len(desk.calendar()) == 4 and len(desk.crm.records) == 5
        desk.change("e1", "SUMMARY:Event 1", "SUMMARY:Moved on")
        desk.sync(full=True)
        assert "Moved on" in desk.activities


def test_lesson_27_a_uid_that_exists_elsewhere_in_the_account(real: Server) -> None:
    def rule(method: str, _path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == "PUT" and b"Taken elsewhere" in body:
            return 409, {}, b'<?xml version="1.0"?><error xmlns="DAV:"/>'
        return None

    with odd(real, rule) as desk:
        desk.appointment("Taken elsewhere")
        desk.appointment("Free")
        done = desk.sync()
        assert done.report.parked == 1 and desk.calendar() == ["Free"]
        assert desk.sync().report.writes == 0
        assert len(desk.crm.records) == 2


# -- what a server makes of a write ---------------------------------------------------------------------


@pytest.mark.parametrize("says", [True, False])
def test_a_put_that_changes_what_it_is_given_does_not_come_back(real: Server, says: bool) -> None:
    """A server that cuts titles at 20 characters; with an ETag it lies (RFC 4791 §5.3.4)."""

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method != "PUT":
            return None
        text = body.decode().replace("\r\n ", "")
        cut = re.sub(r"(?m)^(SUMMARY[^:\r\n]*:)([^\r\n]*)", lambda m: m[1] + m[2][:20], text)
        status, sent, content = forward(real, method, path, headers, cut.encode())
        return status, sent if says else {k: v for k, v in sent.items() if k.lower() != "etag"}, content

    long = "A title that is much longer than twenty characters"
    with odd(real, rule) as desk:
        desk.appointment(long)
        desk.quiet()
        assert desk.calendar() == [long[:20]] and set(desk.activities) == {long}
        desk.edit(long, location="Room 1")
        desk.quiet()
        assert set(desk.activities) == {long}
        (name,) = [r.removeprefix(desk.path).removesuffix(".ics") for p in desk.replica.changes("") for r in
                   (c.ref for c in p.changes)]  # fmt: skip
        desk.change(name, "LOCATION:Room 1", "LOCATION:Room 2")
        desk.quiet()
        assert desk.activities[long]["location"] == "Room 2"


def test_lesson_7_an_answer_that_was_lost_makes_no_second_item(real: Server) -> None:
    lost = [True]

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == "PUT" and lost:
            lost.clear()
            forward(real, method, path, headers, body)
            return 502, {}, b"it arrived, but who knows"
        return None

    with odd(real, rule) as desk:
        desk.appointment("Once")
        desk.sync(outcome="server not ready")
        in_step(desk, 1)


@pytest.mark.parametrize("said", ["schedules", "sabre", "nothing"])
def test_lesson_9_what_a_server_would_send_is_not_caused(real: Server, said: str) -> None:
    """Cases S1 to S3: one that can be asked to keep quiet is asked; one that would tell is written nothing."""
    written: list[tuple[str, str | None]] = []
    dav = "1, 2, calendar-access" + (", calendar-auto-schedule" if said != "nothing" else "")

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if method == "OPTIONS":
            return 200, {"DAV": dav, **({"X-Sabre-Version": "4.7.1"} if said == "sabre" else {})}, b""
        if method in ("PUT", "DELETE"):
            written.append((method, headers.get("Schedule-Reply")))
        return None

    with odd(real, rule) as desk:
        desk.put("m", "SUMMARY:Meeting", "ORGANIZER:mailto:ann@us.example",
                 "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example", "ATTENDEE:mailto:kim@acme.example")  # fmt: skip
        before = [x for x in desk.get("m").split("\r\n") if x.startswith(("ORGANIZER", "ATTENDEE"))]
        (record,) = desk.replica.fetch([f"{desk.path}m.ics"]).values()
        assert isinstance(record, Record) and record.guests == {"ann@us.example", "kim@acme.example"}
        if said == "schedules":
            with pytest.raises(Unsupported):
                desk.replica.update(record, {"location": "Room 1"})
            with pytest.raises(Unsupported):
                desk.replica.delete(record)
            assert written == []
            return
        desk.replica.update(record, {"location": "Room 1"})
        assert [x for x in desk.get("m").split("\r\n") if x.startswith(("ORGANIZER", "ATTENDEE"))] == before
        assert "LOCATION:Room 1" in desk.get("m")
        (record,) = desk.replica.fetch([f"{desk.path}m.ics"]).values()
        assert isinstance(record, Record)
        desk.replica.delete(record)
    asked = "F" if said == "sabre" else None
    assert written == [("PUT", asked), ("DELETE", asked)]


def test_lesson_5_one_uid_several_times_is_linked_once_and_the_others_are_named(real: Server) -> None:
    with odd(real, lambda *_: None) as desk:
        held = Verbatim(real)
        for name in ("one", "two", "three"):
            lines = ("BEGIN:VEVENT", "UID:the-same", "DTSTART:20261201T100000Z", f"SUMMARY:Copy {name}", "END:VEVENT")
            text = "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", *lines, "END:VCALENDAR", ""))
            held.keep("ann", f"{desk.path}{name}.ics", text)
        desk.several(3)
        with proxy(real, held.rule) as server:
            desk.replica = CaldavReplica(Dav(server.url, "ann", "ann"), desk.path)
            desk.quiet()
            assert len(desk.crm.records) == 4
            from syncd.store.journal import parked

            with desk.store.reading() as tx:
                found = parked(tx)
            assert len(found) == 2
            assert all("same UID" in p.reason and desk.path in p.reason for p in found)
            desk.replica.close()


# -- who we talk to ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_on_the_same_host_is_followed(real: Server, status: int) -> None:
    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if path.startswith("/old/") and not (method == "PUT" and status < 307):
            return status, {"Location": path.replace("/old/", "/ann/")}, b""
        return None

    with odd(real, rule) as desk:
        desk.several(2)
        desk.replica = CaldavReplica(desk.replica.dav, desk.path.replace("/ann/", "/old/"))
        found, _ = desk.replica.dav.multistatus("PROPFIND", desk.replica.path, _PROPFIND, "0")
        assert found[0].href.startswith("/ann/")


_PROPFIND = '<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>'


def test_a_redirect_to_another_host_is_refused_and_no_password_goes_there(real: Server) -> None:
    seen: list[dict[str, str]] = []

    def there(_m: str, _p: str, headers: dict[str, str], _b: bytes) -> Reply | None:
        seen.append(headers)
        return None

    with proxy(real, there) as other:

        def here(_m: str, path: str, _h: dict[str, str], _b: bytes) -> Reply:
            return 307, {"Location": other.url.replace("127.0.0.1", "localhost").rstrip("/") + path}, b""

        with odd(real, here) as desk:
            assert "another host (localhost)" in desk.sync(outcome="server failed").error
            assert not seen
        with odd(real, here, also=("localhost",)) as desk:
            desk.several(2)
            in_step(desk, 2)
            assert seen


def test_a_redirect_in_a_circle_ends(real: Server) -> None:
    with odd(real, lambda _m, path, _h, _b: (302, {"Location": path}, b"")) as desk:
        assert "redirects too often" in desk.sync(outcome="server failed").error


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_digest_authentication(real: Server, algorithm: str) -> None:
    """RFC 7616: the proxy checks the digest by its own reckoning, and signs in to Radicale itself."""
    digest = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def h(text: str) -> str:
        return digest(text.encode()).hexdigest()

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        given = headers.get("Authorization", "")
        words = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', given)}
        if given.startswith("Digest "):
            tail = f"{words['nonce']}:{words['nc']}:{words['cnonce']}:{words['qop']}"
            if words["response"] == h(f"{h('ann:calendars:ann')}:{tail}:{h(method + ':' + words['uri'])}"):
                headers["Authorization"] = "Basic YW5uOmFubg=="
                return None
        challenge = f'Digest realm="calendars", nonce="{uuid.uuid4().hex}", qop="auth", algorithm={algorithm}'
        return 401, {"WWW-Authenticate": challenge}, b""

    with odd(real, rule, auth="digest") as desk:
        works(desk)
    with odd(real, rule, auth="digest", password="wrong") as desk:
        desk.sync(outcome="sign-in failed")


@pytest.mark.parametrize("way", ["plain", "library"])
@pytest.mark.parametrize(
    ("sign_in", "said"),
    [
        (SignIn("änn", "пароль"), "Basic " + base64.b64encode("änn:пароль".encode()).decode()),
        (SignIn("ann", "x", "basic"), "Basic YW5uOng="),
        (SignIn("", "token", "bearer"), "Bearer token"),
        (SignIn(), ""),
    ],
    ids=["any-script", "basic", "bearer", "nobody"],
)
def test_both_ways_sign_in_alike_and_at_once(real: Server, way: str, sign_in: SignIn, said: str) -> None:
    heard: list[str] = []

    def rule(_m: str, _p: str, headers: dict[str, str], _b: bytes) -> Reply:
        heard.append(headers.get("Authorization", ""))
        return 204, {}, b""

    with proxy(real, rule) as other:
        url = other.url.rstrip("/")
        transport = Plain(sign_in, True, 20) if way == "plain" else Library(url, sign_in, True, 20)
        with closing(transport), closing(transport.ask("OPTIONS", url + "/", b"", {})) as asked:
            reply = asked.answer()
            assert (reply.status, list(reply.chunks)) == (204, [])
    assert heard == [said]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ssl.SSLContext]]:
    """A certificate authority of a server of one's own, and a server's certificate from it."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder, now = tmp_path_factory.mktemp("authority"), datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of our own")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    def signed(subject: x509.Name, public: Any, ca: bool) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(root_name).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        made = made.not_valid_after(now + timedelta(days=30))
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        made = made.add_extension(x509.BasicConstraints(ca, None), critical=True).add_extension(usage, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        return made.add_extension(issuer, critical=False)

    root = signed(root_name, root_key.public_key(), True).sign(root_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    own = signed(name, key.public_key(), False).add_extension(names, critical=False).sign(root_key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "own.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    yield folder / "ca.pem", context


def test_a_certificate_authority_of_ones_own(real: Server, authority: tuple[Path, ssl.SSLContext]) -> None:
    ca, context = authority
    with proxy(real, lambda *_: None, context) as server:
        with odd(real, lambda *_: None, url=server.url, verify=str(ca)) as desk:
            works(desk)
        with odd(real, lambda *_: None, url=server.url) as desk:
            told = desk.sync(outcome="sign-in failed")
            assert "certificate of 127.0.0.1 is not trusted" in told.error


# -- what an answer may cost, and what is no answer -----------------------------------------------------


def refused(real: Server, reply: Reply, **options: Any) -> PortError:
    """What the feed says of that answer."""
    with odd(real, lambda *_: reply, **options) as desk:
        with pytest.raises(PortError) as caught:
            list(desk.replica.changes(""))
        return caught.value


def test_an_answer_may_be_so_long(real: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dav, "LARGEST_LISTING", 100_000)
    one = b"<D:response><D:href>/x</D:href></D:response>"
    body = b'<D:multistatus xmlns:D="DAV:">' + one * 5000 + b"</D:multistatus>"
    assert "longer than" in str(refused(real, (207, {}, body)))


def test_an_answer_may_take_so_long(real: Server) -> None:
    began = time.monotonic()
    error = refused(real, (207, {"X-Drip": "0.2"}, b"<?xml version='1.0'?>" + b" " * 100), timeout=0.5)
    assert isinstance(error, Transient) and time.monotonic() - began < 10


def test_a_server_that_hangs(real: Server) -> None:
    error = refused(real, (207, {"X-Drip": "5"}, b"12"), timeout=0.5)
    assert isinstance(error, Transient) and "does not answer" in str(error)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_half_a_multistatus_deletes_nothing(real: Server, cut: int) -> None:
    armed: list[bool] = []

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if armed and (sync_collection(method, body) or multiget(method, body)):
            armed.clear()
            status, sent, content = forward(real, method, path, headers, body)
            return status, {**sent, "X-Cut": str(cut)}, content
        return None

    with odd(real, rule) as desk:
        desk.several(15)
        in_step(desk, 15)
        for full in (False, True):
            desk.change("e1", "SUMMARY:Event 1", "SUMMARY:Event 1x")
            armed.append(True)
            desk.sync(full=full, outcome="server not ready")
            in_step(desk, 15)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
<!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;">]>
<D:multistatus xmlns:D="DAV:"><D:response><D:href>&f;</D:href></D:response></D:multistatus>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<D:multistatus xmlns:D="DAV:"><D:response><D:href>&x;</D:href></D:response></D:multistatus>"""


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Please sign in</body></html>", b"garbage \x00\xff", BOMB, FILE, b"<a/>", b"{}",
     b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>' + b"x" * 11_000_000 + b"</D:href></D:response>"],
    ids=["nothing", "html", "garbage", "bomb", "file", "other", "json", "long"],
)  # fmt: skip
def test_what_is_no_multistatus_is_refused_in_words(real: Server, body: bytes) -> None:
    error = refused(real, (207, {"Content-Type": "text/xml"}, body))
    assert isinstance(error, Rejected | Transient) and "sign in" not in str(error)


def test_an_html_page_instead_of_a_calendar(real: Server) -> None:
    error = refused(real, (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><p>Welcome</html>"))
    assert "is the address right?" in str(error)


def test_a_path_that_is_not_there_deletes_nothing(real: Server) -> None:
    with odd(real, lambda *_: None) as desk:
        desk.several(12)
        in_step(desk, 12)
        assert real.request("ann", "DELETE", desk.path)[0] == 200
        told = desk.sync(outcome="server failed")
        assert "not there" in told.error
        assert all(a["status"] == "open" for a in desk.activities.values())


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 412, 423, 425, 429, 500, 502, 503, 504, 507])
def test_f2_every_error_has_its_treatment(real: Server, status: int) -> None:
    """A write, then everything, is answered with the error for a while; then all goes on by itself."""
    mode: list[str] = []

    def rule(method: str, _path: str, _headers: dict[str, str], _body: bytes) -> Reply | None:
        if mode and (mode[0] == "all" or method == mode[0]):
            return status, {"Retry-After": "7"}, b"no"
        return None

    with odd(real, rule) as desk:
        desk.several(12)
        in_step(desk, 12)
        mode.append("PUT")
        desk.edit("Event 3", location="Room 3")
        desk.edit("Event 4", location="Room 4")
        for _ in range(3):
            one = desk.replica
            from syncd.engine.pairing import Employee, Pairing
            from syncd.service.runner import run_one

            pairing = Pairing("ann/cal", Employee("ann", ("ann@us.example",)), one, desk.crm, "crm", desk.lens)
            desk.now[0] += timedelta(minutes=5)
            done = run_one(pairing, [pairing], desk.store, b"k" * 32, desk.now[0])
            assert not done.error.startswith("unexpected")
            if status in (408, 423, 425, 429, 500, 502, 503, 504, 507):
                assert (done.outcome, done.retry_after) == ("server not ready", 7)
        mode[0] = "all"
        desk.now[0] += timedelta(minutes=5)
        done = run_one(pairing, [pairing], desk.store, b"k" * 32, desk.now[0])
        assert done.outcome == {401: "sign-in failed"}.get(
            status, "server failed" if status in (403, 404, 409, 412) else "server not ready")  # fmt: skip
        mode.clear()
        for room in (3, 4):  # what was parked goes on when its record changes, or is looked at once more
            desk.edit(f"Event {room}", categories=frozenset({"Again"}))
        in_step(desk, 12)
        assert "LOCATION:Room 3" in desk.get("e3") and "LOCATION:Room 4" in desk.get("e4")
        assert all(a["status"] == "open" for a in desk.activities.values())


def test_discovery_refuses_what_is_no_caldav_server(real: Server) -> None:
    answers: list[tuple[Reply, type[PortError]]] = [
        ((200, {}, b"<html/>"), Rejected), ((404, {}, b""), Gone), ((401, {}, b""), AuthFailed)]  # fmt: skip
    for reply, error in answers:
        with proxy(real, lambda *_, reply=reply: reply) as server, closing(Dav(server.url, "ann", "ann")) as client:
            with pytest.raises(error) as told:
                discover(client)
            assert str(told.value)
    real.calendar("ann", "found")
    with closing(Dav(real.url, "ann", "ann")) as client:
        calendars = [c for c in discover(client) if "event" in c.kinds]
    assert calendars and all(c.writable for c in calendars)
