"""What of an item is private because the CRM says so. It came from the CRM and is not withheld from it: the link
remembers it, for the item as a whole (`private_copy`) and for single occurrences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncd.engine.owners import private_dates
from syncd.model.fields import Value
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span, moment_key
from syncd.privacy import NOTHING_GIVEN, Given
from syncd.store import Link

#: Among what a link has written: where the series began, and the original starts of its occurrences that the CRM
#: has made private.
GIVEN = "given"
#: And where a series that the CRM has made private began, and its occurrences that were private before.
KEPT = "kept-private"


def given_of(links: Iterable[Link]) -> Given:
    """Of an item with these links."""
    made = NOTHING_GIVEN
    for link in links:
        said = link.unconfirmed
        made = _and(made, link.occurrence, link.private_copy, said.get(GIVEN, ()), said.get(KEPT, ()))
    return made


def given_by(link: Link | None, moves: Mapping[str, Any]) -> Given:
    """Of an item after a write that moves the link's base so."""
    private = bool(moves.get("private_copy", link is not None and link.private_copy))
    known = link.unconfirmed if link is not None else {}
    said, kept = (moves.get(name, known.get(name, ())) for name in (GIVEN, KEPT))
    return _and(NOTHING_GIVEN, link.occurrence if link is not None else "", private, said, kept)


def _and(made: Given, occurrence: str, private: bool, said: Iterable[str], kept: Iterable[str]) -> Given:
    start, *keys = said or ("",)
    kept_start, *before = kept or ("",)
    own = [occurrence] if private and occurrence else []
    return Given(
        made.whole or (private and not occurrence),
        made.occurrences | frozenset([*keys, *own]),
        start or made.start,
        made.kept | frozenset(before),
        kept_start or made.kept_start,
    )


def made_private(link: Link, before: Mapping[str, Value], recurrence: Value, time: Value) -> list[str]:
    """How a link remembers the occurrences that a write makes private in an item: not those that a person had made
    private there; [] of none."""
    private = _private(before.get("recurrence"))
    theirs = private - given_of([link]).names(before.get("time"), private)
    return _remembered(_private(recurrence) - theirs, time)


def still_given(link: Link, shown: Mapping[str, Value]) -> list[str]:
    """What the link remembers, in the names that the item has for it now: what a person has made public since is no
    longer the CRM's word."""
    time = shown.get("time")
    private = _private(shown.get("recurrence"))
    return _remembered(private & given_of([link]).names(time, private), time)


def kept_private(private: bool, before: Mapping[str, Value], masked: Iterable[str], time: Value) -> list[str]:
    """How a link remembers which occurrences were private `before` a write that makes the whole series so; [] of
    none, and of a write that makes it public. `masked`: those of which less was seen."""
    return _remembered(_private(before.get("recurrence")) | frozenset(masked), time) if private else []


def _private(recurrence: Value) -> frozenset[str]:
    return private_dates(recurrence) if isinstance(recurrence, Recurrence) else frozenset()


def _remembered(keys: frozenset[str], time: Value) -> list[str]:
    return [moment_key(time.start), *sorted(keys)] if keys and isinstance(time, Span) else []
