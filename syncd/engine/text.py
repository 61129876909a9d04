"""Texts: merged line by line, and known again when a server has cut them. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher

from syncd.model.fields import Value, normal_text


def merge_text(base: str, one: str, other: str) -> str | None:
    """Both sides' edits of `base` in one text, or None where both touched the same lines.

    Texts are compared as `normal_text`. Lines are the unit; edits that merely touch each other
    (both at the same place) do not merge, as nobody could say in which order they belong.
    """
    old, left, right = (normal_text(t).split("\n") if t else [] for t in (base, one, other))
    if left == right:
        return "\n".join(left)
    edits = sorted([*_edits(old, left), *_edits(old, right)], key=lambda e: (e[0], e[1]))
    merged: list[str] = []
    at = 0
    previous: tuple[int, int, list[str]] | None = None
    for start, end, lines in edits:
        if previous == (start, end, lines):
            continue
        if previous is not None and (start < at or (start == at and (start, end) == previous[:2])):
            return None
        if previous is not None and start == previous[1] and (start == end or previous[0] == previous[1]):
            return None
        merged += old[at:start] + lines
        at = end
        previous = (start, end, lines)
    return "\n".join(merged + old[at:])


def _edits(old: list[str], new: list[str]) -> list[tuple[int, int, list[str]]]:
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    return [(i1, i2, new[j1:j2]) for op, i1, i2, j1, j2 in matcher.get_opcodes() if op != "equal"]


def image(held: Value, sent: Value) -> bool:
    """True when `held` is what a server may have made of the text `sent`: cut off or trimmed."""
    if not isinstance(held, str) or not isinstance(sent, str):
        return False
    return bool(one_line(held)) and one_line(sent).startswith(one_line(held))


def one_line(text: Value) -> str:
    """The words of a text with single blanks between them."""
    return " ".join(normal_text(str(text or "")).split())
