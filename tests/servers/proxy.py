"""A proxy on this machine in front of a real CalDAV server, to take away what some servers lack.

It passes everything on, and refuses or rewrites what the test names.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from lxml import etree

from syncd.cli.radicale import Server

#: What is answered: status, headers, body. A header of several lines is one text with line breaks between them.
#: "X-Cut: N" ends the connection after N bytes of the body, "X-Drip: S" sends a byte every S seconds.
Reply = tuple[int, dict[str, str], bytes]
#: (method, path, headers, body) -> None to pass it on, or what to answer.
Rule = Callable[[str, str, dict[str, str], bytes], Reply | None]


@contextmanager
def proxy(server: Server, rule: Rule, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that answers as `server` does, but for the rule."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers.items())
            answer = rule(self.command, self.path, headers, body)
            if answer is None:
                answer = forward(server, self.command, self.path, headers, body)
            status, sent, content = answer
            self.send_response_only(status)  # it says nothing of itself
            for name, value in sent.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    for line in value.split("\n"):
                        self.send_header(name, line)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # whoever asked may have had enough
                for n, byte in enumerate(content if "X-Drip" in sent else (content,)):
                    if "X-Drip" in sent:
                        time.sleep(float(sent["X-Drip"]))
                        self.wfile.write(content[n : n + 1])
                    elif isinstance(byte, bytes):
                        self.wfile.write(byte[: int(sent.get("X-Cut", len(byte)))])
            if "X-Cut" in sent or "X-Drip" in sent:
                self.close_connection = True

        do_GET = do_PUT = do_DELETE = do_OPTIONS = do_PROPFIND = do_REPORT = do_MKCALENDAR = _any

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    port = int(httpd.server_address[1])
    try:
        yield Server(f"{'https' if tls else 'http'}://127.0.0.1:{port}/", port)
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(10)


def forward(server: Server, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
    """What the real server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        own = ("host", "connection", "accept-encoding", "content-length")
        kept = {k: v for k, v in headers.items() if k.lower() not in own}
        connection.request(method, path, body or None, kept)
        answer = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in answer.getheaders():
            found[name] = f"{found[name]}\n{value}" if name in found else value
        return answer.status, found, answer.read()
    finally:
        connection.close()


def without_sync_collection(method: str, _path: str, _headers: dict[str, str], body: bytes) -> Reply | None:
    """A server that knows no sync-collection (lesson 25: GMX, Posteo, Zimbra)."""
    if method == "REPORT" and b"sync-collection" in body:
        return (
            403,
            {"Content-Type": "text/xml"},
            b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:supported-report/></D:error>',
        )
    return None


def with_token_only(user: str, token: str) -> Rule:
    """A server that takes a bearer token and no password."""

    def rule(_method: str, _path: str, headers: dict[str, str], _body: bytes) -> Reply | None:
        if headers.get("Authorization") != f"Bearer {token}":
            return 401, {"WWW-Authenticate": "Bearer"}, b""
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{user}".encode()).decode()
        return None

    return rule


@dataclass
class Verbatim:
    """A server that keeps every object as it was given, readable or not: the real server holds a
    plain event in its place, with its own ETag; what is read and written goes by here."""

    server: Server
    texts: dict[str, str] = field(default_factory=dict)

    def rule(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        """See `Rule`."""
        ref = unquote(path)
        if method == "PUT" and ref in self.texts:
            status, sent, content = forward(self.server, method, path, headers, _plain(ref, len(body)).encode())
            if status in (201, 204):
                self.texts[ref] = body.decode()
            return status, sent, content
        if method == "REPORT" and b"calendar-multiget" in body:
            status, sent, content = forward(self.server, method, path, headers, body)
            return status, sent, self._shown(content)
        return None

    def keep(self, user: str, path: str, text: str) -> None:
        """An object stands there from now on, whatever stood there before."""
        self.server.request(user, "DELETE", path)
        assert self.server.put(user, path, _plain(path, len(text))) in (201, 204)
        self.texts[path] = text

    def _shown(self, content: bytes) -> bytes:
        tree = etree.fromstring(content)
        for response in tree.iter("{DAV:}response"):
            href = unquote(response.findtext("{DAV:}href") or "")
            for data in response.iter("{urn:ietf:params:xml:ns:caldav}calendar-data"):
                if href in self.texts:  # what XML cannot carry (control characters) no server can show
                    data.text = "".join(c for c in self.texts[href] if c >= " " or c in "\r\n\t")
        return etree.tostring(tree, encoding="utf-8", xml_declaration=True)


def _plain(ref: str, size: int) -> str:
    uid = ref.rsplit("/", 1)[-1]
    lines = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Client//EN", "BEGIN:VEVENT", f"UID:{uid}",
             "DTSTAMP:20261101T000000Z", "DTSTART:20261201T100000Z", f"COMMENT:{size} {time.monotonic_ns()}",
             "END:VEVENT", "END:VCALENDAR")  # fmt: skip
    return "\r\n".join(lines) + "\r\n"
