"""The marked block that syncd keeps in a description or a note, and cuts off again.

It shows what has no field of its own on that side: who takes part in a copy (design §2), a subject
that was too long for the CRM (design §6, ``overflow: note-line``). Only the block is ours: everything that
people write above it or below it is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from syncd.model.fields import normal_text

#: The line that opens the block. What follows it, as far as it looks like what we write there, is never read back.
MARK = "---- syncd: kept up to date, changes below are not read ----"
#: The line that ends it; blocks from before it was written end with the last line that looks like ours.
END = "---- syncd: end ----"
#: How a line goes on that holds a value of several lines.
MORE = "  | "
#: What we write there: a heading, a participant, a subject that was too long, a value that lost a conflict.
_OURS = re.compile(r"Participants:|  (?:.* <\S+@\S+>|[^\s<>]+@[^\s<>]+)|Subject: .*|Replaced [a-z-]+: .*|  \| .*")


def _parts(text: str) -> tuple[str, list[str], str]:
    """What stands before the block, the block's own lines, and what people wrote behind it."""
    at = text.find(MARK)
    if at < 0:
        return text, [], ""
    lines = text[at:].replace("\r\n", "\n").split("\n")[1:]
    end = next((n for n, line in enumerate(lines) if line.strip() == END), None)
    if end is not None:
        ours, behind = lines[:end], lines[end + 1 :]
    else:  # from before there was an end
        last = next((n for n, line in enumerate(lines) if not _OURS.fullmatch(line.rstrip())), len(lines))
        ours, behind = lines[:last], lines[last:]
    return text[:at].rstrip(), [line.rstrip() for line in ours], "\n".join(behind).strip("\n").rstrip()


def cut(text: str) -> str:
    """The text that people wrote, without our block."""
    before, _, behind = _parts(text)
    if not behind:
        return before
    return f"{before}\n{behind}" if before else behind


def lines_of(text: str) -> list[str]:
    """The lines of the block that the text carries."""
    return _parts(text)[1]


def attach(text: str, lines: Sequence[str], limit: int | None = None) -> str:
    """The text with a block of these lines behind it; without lines, or without room, the text alone."""
    body = cut(text)
    if not lines:
        return body
    block = [MARK, *lines, END]
    whole = "\n".join([body, "", *block] if normal_text(body) else block)
    return whole if limit is None or len(whole) <= limit else body


def has(text: str) -> bool:
    """True when the text carries a block."""
    return MARK in text


__all__ = ["END", "MARK", "MORE", "attach", "cut", "has", "lines_of"]
