"""Keyed digests: what a link remembers instead of content.

The key lies outside the store, and every link has a scope of its own, so equal values of two links
have different digests and the store tells a thief nothing (design §5, Bases).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from syncd.model.fields import Fields, Value, kind_of

#: A field's digest: text, or for a keyed field element digest -> digest of its value.
Digest = str | dict[str, str]


class Digester:
    """Digests within one link."""

    def __init__(self, key: bytes, scope: str) -> None:
        own = hashlib.blake2b(scope.encode(), key=key, digest_size=32).digest()
        self._keyed = hashlib.blake2b(key=own, digest_size=12)

    def text(self, text: str) -> str:
        """The digest of a piece of text; 96 bits."""
        made = self._keyed.copy()
        made.update(text.encode("utf-8", "surrogatepass"))
        return made.hexdigest()

    def element(self, name: str, key: str) -> str:
        """The digest of an element's key."""
        return self.text(f"{name}\0{key}")

    def content(self, name: str, key: str, text: str) -> str:
        """The digest of an element with its value."""
        return self.text(f"{name}\0{key}\0{text}")

    def of(self, name: str, value: Value) -> Digest:
        """The digest of a field's value."""
        kind = kind_of(name)
        if kind.keyed:
            return {self.element(name, k): self.content(name, k, v) for k, v in kind.elements(value).items()}
        return self.text(f"{name}\0{kind.canonical(value)}")

    def base(self, fields: Fields) -> dict[str, Any]:
        """The digests of all fields."""
        return {name: self.of(name, value) for name, value in fields.items()}

    def holds(self, base: Mapping[str, Any], name: str, value: Value) -> bool:
        """True when the base has the field with just this value."""
        return name in base and base[name] == self.of(name, value)


def named(name: str, digest: Digest) -> str:
    """A field's name and its digest, in one word: for what a link remembers beside its bases."""
    return f"{name} {digest if isinstance(digest, str) else ' '.join(sorted(map('='.join, digest.items())))}"


def uid_digest(key: bytes, uid: str, occurrence: str) -> str:
    """By which a meeting is known across calendars, without its UID in the store."""
    return Digester(key, "uid").text(f"{uid}\0{occurrence}")


def anew(base: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """The moves after which the base says just what was `made`: elements of a set that it had besides are gone."""
    moves = dict(made)
    for name, held in base.items():
        if isinstance(held, dict) and isinstance(moves.get(name), dict):
            moves[name] = {**dict.fromkeys(held), **moves[name]}
    return moves


def apply_moves(base: Mapping[str, Any], moves: Mapping[str, Any]) -> dict[str, Any]:
    """The base after the moves: a text replaces; a dict changes elements (None removes one)."""
    made = dict(base)
    for name, move in moves.items():
        if isinstance(move, dict):
            elements = dict(made[name]) if isinstance(made.get(name), dict) else {}
            for element, content in move.items():
                if content is None:
                    elements.pop(element, None)
                else:
                    elements[element] = content
            made[name] = elements
        else:
            made[name] = move
    return made
