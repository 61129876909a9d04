"""People, known by their e-mail address (case-folded), and their answers to a meeting.

Knows nothing of calendars' or the CRM's own ids for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

#: RFC 5545 §3.2.12 PARTSTAT, as far as both sides know it.
ANSWERS = ("needs-action", "accepted", "declined", "tentative", "delegated")


def normal_address(address: str) -> str:
    """The address as people are compared: no ``mailto:``, no blanks around it, case-folded."""
    text = address.strip()
    if text[:7].lower() == "mailto:":
        text = text[7:]
    return text.strip().casefold()


@dataclass(frozen=True)
class Participant:
    """One who takes part."""

    address: str
    #: The name to show; never part of equality, as every system spells it otherwise.
    name: str = field(default="", compare=False)
    answer: str = "needs-action"
    #: In a message: from, to or cc; no part of equality, as a list may name somebody twice.
    role: str = field(default="", compare=False)


class People(Mapping[str, Participant]):
    """Participants by address; equal when the same people gave the same answers."""

    __slots__ = ("_by_address",)

    def __init__(self, people: Iterable[Participant] = ()) -> None:
        self._by_address = {normal_address(p.address): p for p in people if normal_address(p.address)}

    def __getitem__(self, address: str) -> Participant:
        return self._by_address[address]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._by_address))

    def ordered(self) -> list[str]:
        """The addresses as they were given, not sorted."""
        return list(self._by_address)

    def __len__(self) -> int:
        return len(self._by_address)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, People):
            return NotImplemented
        return {a: p.answer for a, p in self.items()} == {a: p.answer for a, p in other.items()}

    def __hash__(self) -> int:
        return hash(tuple((a, self[a].answer) for a in self))

    def __repr__(self) -> str:
        return f"People({len(self)})"
