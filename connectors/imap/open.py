"""A mailbox from the options of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.imap.connect import SignIn
from connectors.imap.replica import Choice, ImapReplica
from connectors.imap.session import Session
from syncd.tokens import secret_of


def connector(options: Mapping[str, Any]) -> ImapReplica:
    """The mailbox of an account (see docs/reference/configuration.md for the options)."""
    mail: Mapping[str, Any] = options.get("mail") or {}
    own: Mapping[str, Any] = options.get("own-mail") or {}
    back: Mapping[str, Any] = mail.get("write-back") or {}
    drop = list(mail.get("drop-folders") or {})
    folders = list(own.get("folders") or mail.get("folders") or ("INBOX", "\\Sent"))
    targets = [t for t in (back.get("move"),) if t]
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
    choice = Choice(
        folders=[*folders, *drop, *targets],
        excluded=[*(mail.get("exclude-folders") or ()), *(own.get("exclude-folders") or ())],
        keywords=frozenset([*(mail.get("exclude-keywords") or ()), *(own.get("exclude-keywords") or ())]),
        flagged=bool(options.get("flagged")),
        days=int(options.get("days") or 30),
        largest=int(mail.get("largest-attachment") or 10) * 1024 * 1024,
        keyword=str(back.get("keyword") or ""),
        copy=str(back.get("copy") or ""),
        move=str(back.get("move") or ""),
    )
    return ImapReplica(Session(sign_in), choice, bool(options.get("read-only")))
