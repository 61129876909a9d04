"""The parts of a message (RFC 2045, 2046), and which of them hold its text, an invitation, attachments. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
#: Deeper than this nobody looks: what lies there is part of an attachment.
DEEPEST = 60


@dataclass(frozen=True)
class Part:
    """One part, and the parts inside it."""

    #: As IMAP numbers it (RFC 3501 §6.4.5), "" for a multipart at the top.
    section: str
    #: "text/plain", lower case.
    type: str
    charset: str = ""
    #: Content-Transfer-Encoding, lower case.
    encoding: str = ""
    #: Octets as they are transferred.
    octets: int = 0
    #: File name, decoded; "" when it has none.
    name: str = ""
    attached: bool = False
    #: It has a Content-ID, by which HTML may show it (RFC 2392).
    identified: bool = False
    #: The iTIP method of a text/calendar part (RFC 6047 §2.4).
    method: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Octets of the content, about: base64 needs a line of 78 for 57 (RFC 2045 §6.8)."""
        return self.octets * 57 // 78 if self.encoding == "base64" else self.octets


def total(part: Part) -> int:
    """Octets of all leaves: the same in every copy of a message."""
    return sum(leaf.octets for leaf in leaves(part))


def leaves(part: Part, depth: int = 0) -> Iterator[Part]:
    """The parts that hold something themselves."""
    if not part.parts or depth > DEEPEST:
        yield part
        return
    for inner in part.parts:
        yield from leaves(inner, depth + 1)


def texts(part: Part, depth: int = 0) -> list[Part]:
    """The parts that together are the message's text, in their order: of alternatives the plainest; an
    attached text is none; a message inside the message is an attachment."""
    if part.attached or part.type.startswith("message/") or depth > DEEPEST:
        return []
    if part.type == "multipart/alternative":
        found = [texts(inner, depth + 1) for inner in part.parts]
        for wanted in ("text/plain", "text/html", "text/"):
            for several in found:
                if several and several[0].type.startswith(wanted):
                    return several
        return []
    if part.type in ("multipart/signed", "multipart/related"):
        return texts(part.parts[0], depth + 1) if part.parts else []
    if part.parts:
        return [leaf for inner in part.parts for leaf in texts(inner, depth + 1)]
    plain = part.type in ("text/plain", "text/html", "text/enriched", "text/markdown") or part.type == "text"
    return [part] if plain and not (part.name and part.type != "text/plain") else []


def attachments(part: Part) -> list[Part]:
    """The leaves that are files: attached, or with a name, or pictures, and messages inside; no signatures, and no
    pictures that the message's HTML shows (RFC 2387: related to it, with a Content-ID)."""
    found: list[Part] = []
    _attachments(part, found, 0, related=False)
    return found


def _attachments(part: Part, found: list[Part], depth: int, *, related: bool) -> None:
    if part.type.startswith("message/") and part.type not in ("message/delivery-status",):
        found.append(part)
        return
    if part.parts and depth <= DEEPEST:
        for inner in part.parts:
            _attachments(inner, found, depth + 1, related=related or part.type == "multipart/related")
        return
    picture = part.type.startswith("image/")
    if part.type in _SIGNATURES or (picture and related and part.identified and not part.attached):
        return
    if part.attached or part.name or picture:
        found.append(part)


def invitation(part: Part) -> Part | None:
    """The part that speaks of an appointment (RFC 6047): text/calendar with a method."""
    return next((p for p in leaves(part) if p.type == "text/calendar" and p.method), None)


def encrypted(part: Part) -> bool:
    """S/MIME or OpenPGP: nothing but the headers can be read (RFC 8551 §3.2, RFC 3156 §4)."""
    return part.type == "multipart/encrypted" or (
        part.type in ("application/pkcs7-mime", "application/x-pkcs7-mime") and "signed" not in part.method
    )
