"""A server of access tokens on this machine: it gives them out (RFC 6749 §6) and says whether they hold
(RFC 7662). A refresh token is a word; each access token is new.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs


@dataclass
class TokenServer:
    """A running one."""

    port: int
    #: Refresh token -> user.
    users: dict[str, str]
    #: Access token -> user, of those that hold.
    given: dict[str, str] = field(default_factory=dict)
    #: For how long tokens are said to hold, seconds.
    lasting: int = 3600
    #: How many were asked for.
    asked: int = 0

    @property
    def url(self) -> str:
        """The token endpoint."""
        return f"http://127.0.0.1:{self.port}/token"

    @property
    def introspection(self) -> str:
        """The introspection endpoint."""
        return f"http://127.0.0.1:{self.port}/introspect"

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """(status, body) of a request."""
        if path == "/introspect":
            user = self.given.get(form.get("token", ""))
            return 200, {"active": user is not None, "username": user or "", "scope": "mail"}
        self.asked += 1
        if form.get("grant_type") != "refresh_token" or form.get("client_id") != "syncd":
            return 400, {"error": "invalid_request"}
        user = self.users.get(form.get("refresh_token", ""))
        if user is None:
            return 400, {"error": "invalid_grant"}
        token = uuid.uuid4().hex
        self.given[token] = user
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lasting}


@contextmanager
def token_server(users: dict[str, str]) -> Iterator[TokenServer]:
    """A server for these refresh tokens (token -> user)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, said = made.answer(self.path, {k: v[0] for k, v in parse_qs(body).items()})
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = TokenServer(server.server_address[1], users)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
