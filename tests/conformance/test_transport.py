"""Connections: kept open, shared, asked ahead, and dropped by servers, before a real one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from syncd.cli.radicale import Server
from syncd.model.record import Record
from syncd.ports import Transient
from tests.servers.odd import odd
from tests.servers.proxy import Reply, proxy


@pytest.fixture
def real(radicale_server: Server) -> Server:
    return radicale_server


def test_what_was_asked_ahead_is_answered_with_one_request(real: Server) -> None:
    with odd(real, lambda *_: None) as desk:
        desk.several(3)
        refs = [c.ref for page in desk.replica.changes("") for c in page.changes]
        before = desk.replica.requests
        desk.replica.expect(refs)
        found = desk.replica.fetch(refs)
        assert desk.replica.requests == before + 1
        assert all(isinstance(r, Record) for r in found.values()) and len(found) == 3


def test_another_question_than_the_expected_one_is_answered_too(real: Server) -> None:
    with odd(real, lambda *_: None) as desk:
        desk.several(3)
        refs = [c.ref for page in desk.replica.changes("") for c in page.changes]
        desk.replica.expect(refs)
        assert list(desk.replica.fetch(refs[:1])) == refs[:1]
        assert len(desk.replica.fetch(refs)) == 3
        desk.replica.expect(refs)  # and nobody ever asks: the connection is closed, not used again


def test_a_first_run_asks_ahead_and_needs_no_more_requests_for_it(real: Server) -> None:
    asked: list[bytes] = []

    def rule(method: str, _path: str, _headers: dict[str, str], body: bytes) -> Reply | None:
        asked.append(body)
        return None

    with odd(real, rule) as desk:
        desk.several(250)
        done = desk.sync()
        assert done.report.created_crm == 250
        reads = [b for b in asked if b"calendar-multiget" in b]
        assert len(reads) == 3 and len(set(reads)) == 3


def test_a_server_that_fails_what_was_asked_ahead_is_tried_again_later(real: Server) -> None:
    reads = 0

    def rule(_method: str, _path: str, _headers: dict[str, str], body: bytes) -> Reply | None:
        nonlocal reads
        if b"calendar-multiget" in body:
            reads += 1
            if reads == 2:
                return 503, {"Retry-After": "7"}, b""
        return None

    with odd(real, rule) as desk:
        desk.several(150)
        done = desk.sync(outcome="server not ready")
        assert (done.report.created_crm, done.retry_after) == (100, 7)
        assert desk.sync().report.created_crm == 50
        desk.quiet()


@contextmanager
def closing(real: Server) -> Iterator[Server]:
    """Passes bytes on and closes each connection after its first answer, without saying so before."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", real.port)) as there:
            there.settimeout(5)
            client.settimeout(5)
            there.sendall(_message(client))
            client.sendall(_message(there))

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    port = int(listener.getsockname()[1])
    try:
        yield Server(f"http://127.0.0.1:{port}/", port)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _message(there: socket.socket) -> bytes:
    """One HTTP message with its body."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += there.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    sizes = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while sizes and len(body) < sizes[0]:
        body += there.recv(65536)
    return head + b"\r\n\r\n" + body


def test_a_kept_connection_that_its_server_closed_is_opened_again(real: Server) -> None:
    with odd(real, lambda *_: None) as desk, proxy(real, lambda *_: None) as plain, closing(plain) as server:
        desk.several(2)
        replica = CaldavReplica(Dav(server.url, "ann", "ann"), desk.path)
        for _ in range(4):
            refs = [c.ref for page in replica.changes("") for c in page.changes]
            assert len(refs) == 2
        replica.close()


def test_a_server_that_is_not_there_is_named_without_a_traceback(real: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    replica = CaldavReplica(Dav(f"http://127.0.0.1:{port}/", "ann", "ann"), "/ann/x/")
    with pytest.raises(Transient, match="does not answer"):
        list(replica.changes(""))
    replica.close()


def test_words_beyond_ascii_sign_in(real: Server) -> None:
    seen: list[str] = []

    def rule(_method: str, _path: str, headers: dict[str, str], _body: bytes) -> Reply | None:
        seen.append(headers.get("Authorization", ""))
        return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""

    with odd(real, rule, username="änn", password="pässword") as desk:
        desk.sync(outcome="sign-in failed")
    assert seen == ["Basic w6Rubjpww6Rzc3dvcmQ="]  # UTF-8 (RFC 7617 §2.1)
