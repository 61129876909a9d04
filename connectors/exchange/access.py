"""Signing in to an Exchange server, and the connections that all its mailboxes share.

One pool of connections a server and account: a service account that opens a thousand mailboxes uses a few
connections for all of them. A pool never shrinks and never waits for a server: when a mailbox is asked to
back off, that mailbox waits and no other (see `syncd.ports.Transient`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from connectors.exchange.autodiscover import place_of
from connectors.exchange.faults import of_status
from syncd.outlook.hosts import ONLINE_MESSAGE, online
from syncd.outlook.zones import windows_of
from syncd.ports import AuthFailed, Rejected, Transient

PATH = "/EWS/Exchange.asmx"
#: A session is made anew after so many requests (memory grows in it).
WEARY = 1000


@dataclass(frozen=True)
class Access:
    """How one mailbox is opened."""

    endpoint: str
    username: str
    secret: Callable[[], str] = field(compare=False, repr=False)
    #: Address of the mailbox.
    mailbox: str
    #: "own", "impersonation" or "delegate".
    how: str = "own"
    #: Tells one source of access tokens from another.
    mark: str = ""
    #: basic, ntlm, kerberos, bearer; "" asks the server which it knows.
    auth: str = ""
    ca: str | None = None
    timeout: float = 60
    connections: int = 8
    #: Ask the server where the mailbox is kept.
    autodiscover: bool = False
    #: IANA name of the zone in which whole days and floating times of this mailbox are read.
    zone: str = "UTC"


def endpoint_of(url: str) -> str:
    """The address of the service: its usual path where none is given. Raises Rejected."""
    parts = urlsplit(url)
    if online(parts.hostname or ""):
        raise Rejected(ONLINE_MESSAGE)
    return url if parts.path.strip("/") else url.rstrip("/") + PATH


def account_of(access: Access) -> Any:
    """exchangelib's account for a mailbox. Raises PortErrors."""
    import exchangelib
    from exchangelib.version import EXCHANGE_2016, Version

    protocol = _protocol(access)
    if access.autodiscover:
        with session_of(protocol) as session:
            found = place_of(session, endpoint_of(access.endpoint), access.mailbox, access.timeout)
        protocol = _protocol(replace(access, endpoint=found))
    config = protocol.config
    if config.version is None:  # the newest that all these servers know; the answer tells the real one
        config.version = Version(build=EXCHANGE_2016)
    kind = exchangelib.IMPERSONATION if access.how == "impersonation" else exchangelib.DELEGATE
    zone = exchangelib.EWSTimeZone(access.zone) if windows_of(access.zone) else exchangelib.UTC
    try:
        return exchangelib.Account(
            access.mailbox, config=config, autodiscover=False, access_type=kind, default_timezone=zone
        )
    except ValueError:
        raise Rejected("the address of the mailbox is no e-mail address") from None


def session_of(protocol: Any) -> Any:
    """A signed-in session outside the pool, for an answer that lasts half an hour."""
    return protocol.create_session()


_LOCK = threading.Lock()


def _protocol(access: Access) -> Any:
    """The pool of this server and account; made before the account, so that the account finds it."""
    from exchangelib import Configuration, Credentials
    from exchangelib.transport import NOAUTH

    kind = _kinds()
    secret = access.secret() if access.auth != "bearer" else f"tokens {access.mark}"
    credentials = Credentials(access.username or access.mailbox, secret)
    config = Configuration(
        credentials=credentials,
        service_endpoint=endpoint_of(access.endpoint),
        auth_type=NOAUTH,
        retry_policy=kind.policy(),
        max_connections=access.connections,
    )
    with _LOCK:
        protocol = kind.pool(config=config)
        wanted = (access.auth, access.ca, access.timeout)
        if getattr(protocol, "wanted", None) != wanted:  # made just now, or the configuration is another
            protocol.wanted, protocol.how, protocol.verify = wanted, access.auth, access.ca or True
            protocol.sign_in, protocol.TIMEOUT = access.secret, access.timeout
            protocol.close()
        protocol.max_connections = access.connections
    return protocol


@dataclass(frozen=True)
class _Kinds:
    pool: Any
    policy: Any


def _kinds() -> _Kinds:
    """exchangelib's pool and policy with our ways; made once, as importing them takes seconds."""
    global _KINDS
    with _LOCK:
        if _KINDS is None:
            _KINDS = _made()
    return _KINDS


_KINDS: _Kinds | None = None


def _made() -> _Kinds:
    from exchangelib.protocol import FailFast, Protocol
    from exchangelib.util import is_xml

    class Policy(FailFast):  # type: ignore[misc]
        """Says what an answer that is no SOAP means, at once."""

        def raise_response_errors(self, response: Any) -> None:
            if response.status_code == 200:
                return
            if response.status_code == 500 and response.content:
                if is_xml(response.content):
                    return
                if b"specified server version is invalid" in response.content:
                    super().raise_response_errors(response)
            raise of_status(response.status_code, response.headers.get("Retry-After"))

    class Pool(Protocol):  # type: ignore[misc]
        """Sessions that sign in as the configuration says."""

        USERAGENT = "syncd"
        MAX_SESSION_USAGE_COUNT = WEARY

        def create_session(self) -> Any:
            session = self.raw_session(self.service_endpoint)
            session.verify = self.verify
            session.trust_env = False
            session.auth = _sign_in(self)
            session.session_id, session.usage_count = 0, 0
            return session

        def decrease_poolsize(self) -> None:
            """One busy mailbox takes no connection from the others."""

    return _Kinds(Pool, Policy)


def _sign_in(protocol: Any) -> Any:
    """How a session signs in; each request of a bearer asks for the token anew, as it may have run out."""
    how = protocol.how or _offered(protocol)
    if how == "bearer":
        return _Bearer(protocol.sign_in)
    name, secret = protocol.credentials.username, protocol.credentials.password
    if how == "basic":
        from requests.auth import HTTPBasicAuth

        return HTTPBasicAuth(name.encode(), secret.encode())
    if how == "ntlm":
        from requests_ntlm import HttpNtlmAuth

        return HttpNtlmAuth(name, secret)
    if how == "kerberos":
        try:
            from requests_gssapi import HTTPSPNEGOAuth  # type: ignore[import-not-found]
        except ImportError:
            raise AuthFailed("Kerberos needs the extra: pip install 'syncd[kerberos]'") from None
        return HTTPSPNEGOAuth()
    raise AuthFailed("the server offers no way to sign in that syncd knows")


class _Bearer:
    """Authorization: Bearer (RFC 6750)."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


def _offered(protocol: Any) -> str:
    """What the server asks for (RFC 9110 §11.6.1): the strongest that a name and a password can answer."""
    import requests

    try:
        with protocol.raw_session(protocol.service_endpoint) as session:
            session.verify, session.trust_env = protocol.verify, False
            answer = session.post(protocol.service_endpoint, timeout=protocol.TIMEOUT, allow_redirects=False)
            asked = answer.headers.get("WWW-Authenticate", "").lower()
            status = answer.status_code
    except requests.exceptions.SSLError:
        raise Transient("the server's certificate cannot be trusted") from None
    except requests.exceptions.RequestException as error:
        raise Transient(f"the server cannot be reached ({type(error).__name__})") from None
    for how in ("ntlm", "basic"):
        if how in asked:
            protocol.how = how
            return how
    if status != 401:
        raise of_status(status, answer.headers.get("Retry-After"))
    raise AuthFailed("the server offers no way to sign in that syncd knows")
