"""The watcher of mailboxes in IDLE: quick, many on one thread, and back again whatever happens to its lines."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connectors.imap.connect import SignIn, connect
from connectors.imap.watch import Watcher
from syncd.service.daemon import many_files
from tests.conftest import need_program
from tests.scenarios.mail import message
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot
from tests.servers.wire import Wire, wire

pytestmark = pytest.mark.either


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    need_program(PROGRAM is not None, "Dovecot")
    with dovecot() as running:
        yield running


class Bell:
    """Rings when a mailbox has changed."""

    def __init__(self) -> None:
        self.rung = 0
        self._lock = threading.Condition()

    def __call__(self) -> None:
        with self._lock:
            self.rung += 1
            self._lock.notify_all()

    def waits_for(self, number: int, seconds: float = 10) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: self.rung >= number, seconds)


def sign_in(port: int, user: str = "") -> SignIn:
    name = user or f"u{uuid.uuid4().hex[:12]}"
    return SignIn(f"imap://127.0.0.1:{port}", name, lambda: name, timeout=20)


@contextmanager
def watched(watcher: Watcher, who: SignIn) -> Iterator[Bell]:
    """A mailbox in IDLE."""
    bell = Bell()
    end = watcher.add(who, bell)
    assert bell.waits_for(1), "never came into IDLE"
    try:
        yield bell
    finally:
        end()
        assert until(lambda: not any(t.name == "imap-idle" for t in threading.enumerate()))


def deliver(who: SignIn, port: int) -> None:
    client = connect(SignIn(f"imap://127.0.0.1:{port}", who.username, who.secret))
    client.append("INBOX", message("x"))
    client.logout()


def until(true: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_mail_rings_at_once_and_reading_does_not(server: Dovecot) -> None:
    watcher, who = Watcher(), sign_in(server.port)
    with watched(watcher, who) as bell:
        began = time.monotonic()
        deliver(who, server.port)
        assert bell.waits_for(2, 5)
        assert time.monotonic() - began < 5
        rung = bell.rung
        client = connect(who)
        client.select_folder("INBOX")
        client.add_flags(client.search(), [b"\\Seen"])
        client.logout()
        assert not bell.waits_for(rung + 1, 1)
        client = connect(who)
        client.select_folder("INBOX")
        client.delete_messages(client.search())
        client.expunge()
        client.logout()
        assert bell.waits_for(rung + 1, 5)


@pytest.mark.long
def test_a_thousand_mailboxes_on_one_thread(server: Dovecot) -> None:
    many_files()
    watcher = Watcher()
    before = threading.active_count()
    bells: dict[str, tuple[SignIn, Bell]] = {}
    ends = []
    for n in range(1000):
        who = sign_in(server.port, f"many{n}")
        bell = Bell()
        bells[who.username] = (who, bell)
        ends.append(watcher.add(who, bell))
    assert until(lambda: watcher.idling() == 1000, 240), watcher.idling()
    assert threading.active_count() - before <= 5, "one thread, and four that open connections"
    for n in (0, 499, 999):
        who, bell = bells[f"many{n}"]
        rung = bell.rung
        deliver(who, server.port)
        assert bell.waits_for(rung + 1, 5)
    quiet = [b.rung for name, (_, b) in bells.items() if name not in ("many0", "many499", "many999")]
    assert set(quiet) == {1}
    for end in ends:
        end()
    assert until(lambda: threading.active_count() <= before)


def test_idle_is_renewed(server: Dovecot) -> None:
    """The renewal is answered, the line stays, and mail is seen afterwards."""
    watcher, who = Watcher(renew=0.3), sign_in(server.port)
    with wire(server.port) as line, watched(watcher, sign_in(line.port, who.username)) as bell:
        assert bell.waits_for(4), "renewed several times"
        assert line.opened == 1
        watcher.renew = 600
        deliver(who, server.port)
        assert bell.waits_for(bell.rung + 1, 5)


def dropped(line: Wire) -> None:
    line.cut()


def garbage(line: Wire) -> None:
    line.said = lambda data: b"\0\xff\r\nHTTP/1.1 200 OK\r\n" if line.opened == 1 else data


def endless(line: Wire) -> None:
    line.said = lambda data: b"x" * 200_000 if line.opened == 1 else data


def bye(line: Wire) -> None:
    line.said = lambda data: b"* BYE shutting down\r\n" if line.opened == 1 else data


def refused(line: Wire) -> None:
    line.said = lambda data: b"W1 BAD I know no such command\r\n" if line.opened == 1 else data


@pytest.mark.parametrize("happens", [dropped, garbage, endless, bye, refused])
def test_a_line_that_fails_or_lies_is_opened_again(server: Dovecot, happens: Callable[[Wire], None]) -> None:
    watcher = Watcher(first=0.1)
    with wire(server.port) as line:
        who = sign_in(line.port)
        with watched(watcher, who) as bell:
            happens(line)
            deliver(who, server.port)  # by it the server speaks
            assert until(lambda: line.opened >= 2), "opened again"
            assert bell.waits_for(2), "whatever was missed is looked for"
            rung = bell.rung
            deliver(who, server.port)
            assert bell.waits_for(rung + 1, 5)


def test_a_half_open_line_is_noticed(server: Dovecot) -> None:
    """Nothing comes and nobody says so: the renewal gets no answer."""
    watcher = Watcher(renew=0.5, patience=0.5, first=0.1)
    with wire(server.port) as line:
        who = sign_in(line.port)
        with watched(watcher, who) as bell:
            line.dead.set()
            watcher.patience = 0.5
            assert until(lambda: line.opened >= 2)
            line.dead.clear()
            line.cut()
            rung = bell.rung
            assert bell.waits_for(rung + 1)


def test_a_refused_sign_in_is_not_tried_again_and_again(server: Dovecot) -> None:
    watcher = Watcher(first=0.05)
    with wire(server.port) as line:
        bell = Bell()
        end = watcher.add(SignIn(f"imap://127.0.0.1:{line.port}", "ann", lambda: "wrong"), bell)
        assert until(lambda: line.opened == 1)
        assert not bell.waits_for(1, 1)
        assert line.opened == 1
        end()
        assert until(lambda: not any(t.name == "imap-idle" for t in threading.enumerate()))
