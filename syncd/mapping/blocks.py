"""The marked block that syncd keeps at the end of a description or a note, and cuts off again.

It shows what has no field of its own on that side: who takes part in a copy (design §2), a subject
that was too long for the CRM (design §6, ``overflow: note-line``).
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.model.fields import normal_text

#: The line that opens the block. What follows it is ours and is never read back.
MARK = "---- syncd: kept up to date, changes below are not read ----"


def cut(text: str) -> str:
    """The text that people wrote, without our block."""
    at = text.find(MARK)
    return text if at < 0 else text[:at].rstrip()


def attach(text: str, lines: Sequence[str], limit: int | None = None) -> str:
    """The text with a block of these lines; without lines, or without room, the text alone."""
    body = cut(text)
    if not lines:
        return body
    whole = "\n".join([body, "", MARK, *lines] if normal_text(body) else [MARK, *lines])
    return whole if limit is None or len(whole) <= limit else body


def has(text: str) -> bool:
    """True when the text carries a block."""
    return MARK in text
