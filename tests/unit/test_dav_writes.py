"""What goes out with a write to a CalDAV server, and what is no answer to one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.caldav.dav import Dav
from connectors.caldav.replica import CaldavReplica
from syncd.model.record import Record
from syncd.ports import Transient

pytestmark = pytest.mark.either

EVENT = "\r\n".join(
    ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:u", "DTSTAMP:20261201T100000Z",
     "DTSTART:20261201T100000Z", "DTEND:20261201T110000Z", "SUMMARY:Talk", "END:VEVENT", "END:VCALENDAR", ""]
)  # fmt: skip
PAGE = b"<html><body>Down for maintenance</body></html>"


@contextmanager
def server(status: int, kind: str, body: bytes) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A server that gives every write the same answer; and what it was asked."""
    heard: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.append((self.command, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}/", heard
    finally:
        served.shutdown()
        served.server_close()
        thread.join(5)


def held() -> Record:
    return Record("/c/a.ics", '"5"', "event", {"summary": "Talk"}, uid="u", native=EVENT)


@pytest.mark.parametrize("write", ["update", "delete"])
def test_a_write_names_the_version_that_was_looked_at(write: str) -> None:
    with server(204, "", b"") as (url, heard):
        replica = CaldavReplica(Dav(url, "ann", "ann"), "/c/")
        if write == "update":
            replica.update(held(), {"summary": "Talks"})
        else:
            replica.delete(held())
        replica.close()
    assert [(m, h.get("if-match")) for m, h in heard] == [("PUT" if write == "update" else "DELETE", '"5"')]


@pytest.mark.parametrize("write", ["create", "update", "delete"])
@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_no_answer_to_a_write(kind: str, write: str) -> None:
    with server(200, kind, PAGE) as (url, _):
        replica = CaldavReplica(Dav(url, "ann", "ann"), "/c/")
        with pytest.raises(Transient, match="web page"):
            if write == "create":
                replica.create({"summary": "Talk"}, "k", kind="event", uid="u", owner="")
            elif write == "update":
                replica.update(held(), {"summary": "Talks"})
            else:
                replica.delete(held())
        replica.close()


@pytest.mark.parametrize(
    ("status", "kind", "body"), [(201, "text/html", PAGE), (204, "text/html", b""), (200, "", b"")]
)
def test_what_servers_say_of_a_write_that_was_made(status: int, kind: str, body: bytes) -> None:
    """Some send a page with "created", or name a type of what they do not send."""
    with server(status, kind, body) as (url, _):
        replica = CaldavReplica(Dav(url, "ann", "ann"), "/c/")
        assert replica.update(held(), {"summary": "Talks"}).ref == "/c/a.ics"
        replica.close()
