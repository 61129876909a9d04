"""People, known by their e-mail address in one form, and their answers to a meeting.

Knows nothing of calendars' or the CRM's own ids for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

#: RFC 5545 §3.2.12 PARTSTAT, as far as both sides know it.
ANSWERS = ("needs-action", "accepted", "declined", "tentative", "delegated")
#: Of one who has not answered.
UNANSWERED = ANSWERS[0]


def normal_address(address: str) -> str:
    """The address as people are compared: no ``mailto:``, no blanks around it, case-folded before the @, and
    behind it as `normal_domain`. Dots before the @ are left alone: they mean what the mail server says."""
    text = address.strip()
    if text[:7].lower() == "mailto:":
        text = text[7:].strip()
    if text.isascii() and "xn--" not in text and not text.endswith(".") and "%" not in text:
        return text.lower()  # the same, for the many that are plain
    local, at, domain = text.rpartition("@")
    return f"{local.casefold()}@{normal_domain(domain)}" if at else text.casefold()


@lru_cache(4096)
def normal_domain(domain: str) -> str:
    """The domain in the one form in which domains are compared: the ASCII form of UTS 46, non-transitional
    (ß and a final sigma stay letters of their own), without a dot at its end. What UTS 46 does not know stays
    as it is, case-folded."""
    import idna

    text = domain.rstrip(".")
    if "%" in text:  # RFC 6068 §2: in a mailto: it may be percent-encoded UTF-8
        text = _decoded(text)
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return text.casefold()
    return ".".join(_ascii(label) for label in mapped.rstrip(".").split("."))


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _ascii(label: str) -> str:
    """A label that UTS 46 has mapped, in ASCII. IDNA 2008 refuses some that are in use all the same (signs
    and pictures, underscores): they are spelt by Punycode (RFC 3492) as browsers spell them."""
    import idna

    shown = label
    if label.startswith("xn--"):
        try:
            shown = idna.uts46_remap(label[4:].encode().decode("punycode"), std3_rules=False, transitional=False)
        except (idna.IDNAError, UnicodeError):
            return label
    if shown.isascii():
        return label
    try:
        return idna.alabel(shown).decode()
    except (idna.IDNAError, UnicodeError):
        made = f"xn--{shown.encode('punycode').decode()}"
        return made if len(made) <= 63 else label


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
