"""Subjects without what programs put before them when people answer or forward."""

from __future__ import annotations

import re

#: Re, Fwd and what they are called elsewhere; with a count ("Re[2]", "AW (3)"), a colon of either width.
_PREFIX = re.compile(
    r"^\s*(re|aw|antw|antwort|sv|vs|ref|rif|odp|ynt|回复|回覆|答复|ответ|отв|r|fw|fwd|wg|tr|rv|enc|i|转发|переслать|vb|doorst)"
    r"\s*(?:[\[(]\d{1,3}[\])]|\^\d{1,3})?\s*[:：]\s*",
    re.IGNORECASE,
)
_FORWARDS = frozenset({"fw", "fwd", "wg", "tr", "rv", "enc", "i", "转发", "переслать", "vb", "doorst"})


def bare_subject(subject: str) -> str:
    """The subject as a thread shares it: no prefixes, one blank between words, case-folded."""
    text = subject
    for _ in range(50):
        match = _PREFIX.match(text)
        if match is None:
            break
        text = text[match.end() :]
    return " ".join(text.split()).casefold()


def is_reply(subject: str) -> bool:
    """True when its first prefix says that it answers something."""
    match = _PREFIX.match(subject)
    return match is not None and match[1].casefold() not in _FORWARDS
