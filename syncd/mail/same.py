"""Whether two messages of one identity are one message that came two ways, or two. Pure.

A list puts its name before the subject and a line below the text, a gateway a warning above it: either the
subject or the text is still there. Programs that give several messages one Message-ID leave neither.
"""

from __future__ import annotations

import re

from syncd.mail.subject import bare_subject


def share(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """True when two messages (subject, text) share their subject or their text."""
    return same_subject(one[0], other[0]) or same_text(one[1], other[1])


def same_subject(one: str, other: str) -> bool:
    """True when one subject is the other with something before it; an empty one is none."""
    short, long = sorted((bare_subject(one), bare_subject(other)), key=len)
    if not short or not long.endswith(short):
        return False
    before = long[: len(long) - len(short)]
    return not before or not before[-1].isalnum()


def same_text(one: str, other: str) -> bool:
    """True when every line of one stands in the other; an empty text is none."""
    short, long = sorted((_lines(one), _lines(other)), key=len)
    return bool(short) and short <= long


def _lines(text: str) -> set[str]:
    lines = (re.sub(r"[\s>]+", " ", line).strip().casefold() for line in text.splitlines())
    return {line for line in lines if line}
