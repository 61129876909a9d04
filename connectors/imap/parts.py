"""Which parts of a message are asked for, and what their octets say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.mail.structure import Part, invitation, texts
from syncd.mail.text import decoded, from_html, undone_text


def asked_parts(part: Part, wanted: frozenset[str]) -> list[Part]:
    """The parts whose beginning is to be read."""
    found = texts(part) if "text" in wanted else []
    spoken = invitation(part) if "invitation" in wanted else None
    return [*found, *([spoken] if spoken is not None and spoken not in found else [])][:20]


def body(answer: Mapping[bytes, Any], section: str) -> bytes:
    wanted = f"BODY[{section}]".encode()
    for item, value in answer.items():
        if item.startswith(wanted):
            return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
    return b""


def text_of(part: Part, answer: Mapping[bytes, Any]) -> str:
    text = decoded(undone_text(body(answer, part.section), part.encoding), part.charset)
    return from_html(text) if part.type == "text/html" else text


def decodable(piece: bytes, encoding: str, *, last: bool) -> tuple[bytes, bytes]:
    """What of a piece can be decoded by itself, and the rest, which belongs to the next."""
    if encoding == "base64":
        kept = piece.translate(None, b"\r\n \t")
        end = len(kept) if last else len(kept) // 4 * 4
        return kept[:end], kept[end:]
    if encoding == "quoted-printable" and not last:
        end = piece.rfind(b"\n") + 1
        return piece[:end], piece[end:]
    return piece, b""
