"""A proxy on this machine in front of a real CalDAV server, to take away what some servers lack.

It passes everything on, and refuses or rewrites what the test names.
"""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from syncd.cli.radicale import Server

#: (method, path, headers, body) -> None to pass it on, or (status, headers, body) to answer.
Rule = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes] | None]


@contextmanager
def proxy(server: Server, rule: Rule) -> Iterator[Server]:
    """A server that answers as `server` does, but for the rule."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers.items())
            answer = rule(self.command, self.path, headers, body)
            if answer is None:
                answer = _forward(server, self.command, self.path, headers, body)
            status, sent, content = answer
            self.send_response(status)
            for name, value in sent.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_DELETE = do_OPTIONS = do_PROPFIND = do_REPORT = do_MKCALENDAR = _any

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    port = int(httpd.server_address[1])
    try:
        yield Server(f"http://127.0.0.1:{port}/", port)
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(10)


def _forward(
    server: Server, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        connection.request(method, path, body or None, kept)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def without_sync_collection(
    method: str, _path: str, _headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes] | None:
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

    def rule(
        _method: str, _path: str, headers: dict[str, str], _body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        if headers.get("Authorization") != f"Bearer {token}":
            return 401, {"WWW-Authenticate": "Bearer"}, b""
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{user}".encode()).decode()
        return None

    return rule
