"""Opens connections to IMAP servers: TLS, sign-in, and bounds on what a server may make us hold."""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from syncd.ports import AuthFailed

#: No answer to one of our questions is longer, in octets: we ask for pieces.
LARGEST = 32 * 1024 * 1024


@dataclass(frozen=True)
class SignIn:
    """How to reach a mailbox, and as whom."""

    url: str
    username: str
    #: Password, or access token; asked for at each sign-in, as tokens run out.
    secret: Callable[[], str]
    #: plain, login, xoauth2, oauthbearer; "" for whatever the server offers for a password.
    auth: str = ""
    #: Whose mailbox, when `username` is a service account; "" for the account's own.
    mailbox: str = ""
    #: How a master user is named: "sasl" (authorization identity, RFC 4616) or a pattern such as
    #: "{user}*{master}" that makes one name of both.
    master: str = "sasl"
    ca: str | None = None
    timeout: float = 60.0


class _TooLarge(ValueError):
    """An answer larger than what we asked for (imaplib takes errors of its own kind for refusals)."""


class _Bounded:
    """Readers that refuse what nobody asked for."""

    def read(self, size: int) -> bytes:
        if size > LARGEST:
            raise _TooLarge
        return super().read(size)  # type: ignore[misc,no-any-return]

    def readline(self) -> bytes:
        file = getattr(self, "_file", None) or self.file  # type: ignore[attr-defined]
        line = file.readline(LARGEST + 1)
        if len(line) > LARGEST:
            raise _TooLarge
        return line  # type: ignore[no-any-return]


class _Plain(_Bounded, IMAP4WithTimeout):  # type: ignore[misc]
    pass


class _Tls(_Bounded, IMAP4_TLS):  # type: ignore[misc]
    pass


class Client(IMAPClient):  # type: ignore[misc]
    def _create_IMAP4(self) -> imaplib.IMAP4:
        seconds = getattr(self._timeout, "connect", None)
        if self.ssl:
            return _Tls(self.host, self.port, self.ssl_context, seconds)
        return _Plain(self.host, self.port, seconds)


def connect(sign_in: SignIn) -> Client:
    """A connection that is signed in. Raises what `errors` translates."""
    parts = urlsplit(sign_in.url)
    tls = parts.scheme == "imaps"
    context = ssl.create_default_context(cafile=sign_in.ca)
    client = Client(
        parts.hostname or "",
        parts.port or (993 if tls else 143),
        ssl=tls,
        ssl_context=context,
        timeout=SocketTimeout(min(sign_in.timeout, 30), sign_in.timeout),
    )
    try:
        client.socket().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not tls and not local(parts.hostname or ""):
            if not client.has_capability("STARTTLS"):
                raise AuthFailed("the server offers no encryption: the password would go in the clear")
            client.starttls(context)
        _sign_in(client, sign_in)
        client.capabilities()  # what is offered after the sign-in counts
    except BaseException:
        drop(client)
        raise
    return client


def local(host: str) -> bool:
    """This machine itself: nobody listens on the way."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _sign_in(client: Client, sign_in: SignIn) -> None:
    secret, user, mailbox = sign_in.secret(), sign_in.username, sign_in.mailbox
    offered = {c.decode().removeprefix("AUTH=").lower() for c in client.capabilities() if c.startswith(b"AUTH=")}
    how = sign_in.auth
    if mailbox and sign_in.master != "sasl":
        user = sign_in.master.replace("{user}", mailbox).replace("{master}", user)
        mailbox = ""
    if how == "xoauth2":
        client.oauth2_login(mailbox or user, secret)
    elif how == "oauthbearer":
        client.oauthbearer_login(mailbox or user, secret)
    elif how == "plain" or mailbox or (not how and not user.isascii()) or (not how and not secret.isascii()):
        client.plain_login(user, secret, mailbox or None)
    elif how == "login" or not client.has_capability("LOGINDISABLED"):
        client.login(user, secret)
    elif "plain" in offered:
        client.plain_login(user, secret)
    else:
        raise AuthFailed("the server takes no password here: set auth to what it offers, or use imaps://")


def drop(client: IMAPClient) -> None:
    with suppress(OSError, IMAPClientError, AttributeError):
        client.shutdown()
