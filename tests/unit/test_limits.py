"""What is too much: said in words, at once, in bounded memory."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.caldav import CaldavReplica
from connectors.caldav.dav import Dav
from connectors.caldav.lines import BadCalendar
from connectors.caldav.read import read
from syncd.model.recurrence import BadRule, Recurrence, starts
from syncd.model.span import Span
from syncd.ports import PortError, Rejected
from syncd.strict_yaml import BadDocument
from syncd.strict_yaml import read as read_yaml
from tests.unit.test_caldav import event

pytestmark = pytest.mark.either
BEGIN = datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize("rule", ["FREQ=HOURLY;COUNT=1000000", "FREQ=SECONDLY", "FREQ=MINUTELY;COUNT=1000000"])
def test_a_million_instances_are_refused(rule: str) -> None:
    with pytest.raises(BadRule):
        list(starts(Span(BEGIN, BEGIN), Recurrence(rule), BEGIN, BEGIN + timedelta(days=365)))


def test_a_series_that_began_a_million_instances_ago_is_refused() -> None:
    long_ago = datetime(1800, 1, 1, tzinfo=UTC)
    with pytest.raises(BadRule):
        list(starts(Span(long_ago, long_ago), Recurrence("FREQ=HOURLY"), BEGIN, BEGIN + timedelta(days=1)))


def test_a_line_of_ten_megabytes_is_refused_with_its_number() -> None:
    with pytest.raises(BadCalendar, match="line 5 is longer"):
        read(event("SUMMARY:" + "x" * 10_000_001, "DTSTART:20261201T100000Z"))


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_first_and_the_last_year_are_refused_in_words(year: str) -> None:
    for line in (f"DTSTART:{year}0101T000000Z", f"DTSTART;VALUE=DATE:{year}1231"):
        with pytest.raises(BadCalendar, match="years"):
            read(event(line))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "1:1: the file is empty"),
        (b"a: 1\na: 2\n", '2:1: duplicate key "a"'),
        (b"a: \xff\n", "1:4: not UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: not UTF-8"),
        (b"a:\n\tb: 1\n", "2:1:"),
        (b"a: &x [1]\nb: [*x, *x]\n", "1:4: anchors and aliases"),
        (b"a: " + b"[" * 60, "nested too deeply"),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document"),
        (b"a: \x00\n", "1:4:"),
        (b"- 1\n", "expected keys and values"),
        (b"? {a: 1}\n: 2\n", "a key is one word"),
        (b"#" * 16_000_001, "larger than"),
    ],
)
def test_yaml_that_cannot_be_meant_has_its_place(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(BadDocument) as caught:
        read_yaml(tmp_path / "f.yaml")
    assert says in str(caught.value)


@contextmanager
def flood(piece: bytes, times: int, status: bytes) -> Iterator[str]:
    """A server that answers whatever it is asked with that much."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                client.recv(65536)
                size = len(piece) * times
                client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(times):
                    client.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _highest() -> int:
    """Peak resident memory since it was last set back, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.parametrize("listing", [True, False], ids=["a listing", "an object"])
def test_an_answer_of_half_a_gigabyte_costs_no_more_memory_than_is_allowed(listing: bool) -> None:
    piece = b"<D:response xmlns:D='DAV:'><D:href>" + b"x" * 900_000 + b"</D:href></D:response>"
    with flood(piece, 600, b"207 Multi-Status") as url:
        dav = Dav(url, "ann", "ann")
        Path("/proc/self/clear_refs").write_text("5")
        before = _highest()
        with pytest.raises(PortError) as caught:
            if listing:
                list(CaldavReplica(dav, "/x/").changes(""))
            else:
                dav.request("GET", "/x/y.ics")
        dav.close()
        assert isinstance(caught.value, Rejected)
        assert _highest() - before < 150_000_000
