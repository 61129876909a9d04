"""A mailbox from the options of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.imap.connect import SignIn
from connectors.imap.replica import ImapReplica
from connectors.imap.session import Session
from syncd.mail.choice import choice_of
from syncd.tokens import secret_of


def connector(options: Mapping[str, Any]) -> ImapReplica:
    """The mailbox of an account (see docs/reference/configuration.md for the options)."""
    sign_in = SignIn(
        url=str(options["url"]),
        username=str(options.get("username") or ""),
        secret=secret_of(options),
        auth=str(options.get("auth") or ""),
        mailbox=str(options.get("mailbox") or ""),
        master=str(options.get("master") or "sasl"),
        ca=options.get("ca"),
        timeout=float(options.get("timeout") or 60),
    )
    return ImapReplica(Session(sign_in), choice_of(options), bool(options.get("read-only")))
