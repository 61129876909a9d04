"""Refs of messages: a message's part of an IMAP URL (RFC 5092), which is folder, UIDVALIDITY and UID."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_REF = re.compile(r"^(.*);UIDVALIDITY=(\d+)/;UID=(\d+)$", re.DOTALL)


def ref_of(folder: str, validity: int, uid: int) -> str:
    """The ref of a message."""
    return f"{quote(folder, safe='/ ')};UIDVALIDITY={validity}/;UID={uid}"


def parse_ref(ref: str) -> tuple[str, int, int]:
    """Folder, UIDVALIDITY, UID. Raises ValueError."""
    match = _REF.match(ref)
    if match is None:
        raise ValueError("no ref of a message")
    return unquote(match[1]), int(match[2]), int(match[3])
