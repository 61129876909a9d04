"""A replica of an Exchange mailbox from the options of a configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.exchange.access import Access
from connectors.exchange.mailbox import ExchangeMailbox
from connectors.exchange.replica import ExchangeReplica
from connectors.exchange.soap import Mailbox
from syncd.mail.choice import choice_of
from syncd.tokens import secret_of


def connector(options: Mapping[str, Any]) -> ExchangeReplica | ExchangeMailbox:
    """The calendar, task list or mail of an account (see docs/reference/configuration.md for the options)."""
    mailbox = Mailbox(access_of(options))
    kind, read_only = str(options.get("kind") or "event"), bool(options.get("read-only"))
    if kind == "message":
        return ExchangeMailbox(mailbox, choice_of(options), read_only)
    return ExchangeReplica(mailbox, kind=kind, folder=str(options.get("calendar") or ""), read_only=read_only)


def access_of(options: Mapping[str, Any]) -> Access:
    """How the options open a mailbox: a token where one is configured, else name and password."""
    tokens = bool(options.get("oauth") or options.get("token-command"))
    return Access(
        endpoint=str(options["url"]),
        username=str(options.get("username") or ""),
        secret=secret_of(options),
        mailbox=str(options.get("mailbox") or options.get("address") or options.get("username") or ""),
        how=str(options.get("access") or "own"),
        auth="bearer" if tokens else str(options.get("auth") or ""),
        ca=options.get("ca"),
        timeout=float(options.get("timeout") or 60),
        connections=int(options.get("connections") or 8),
        mark=_mark(options),
        autodiscover=bool(options.get("autodiscover")),
        zone=str(options.get("zone") or "UTC"),
    )


def _mark(options: Mapping[str, Any]) -> str:
    """Tells one source of access tokens from another, so that replaced credentials are used at once."""
    said = repr([options.get(key) for key in ("oauth", "token-command", "password")])
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()
