"""The words of a message's parts: transfer encoding and charset undone, HTML as text, quotes and
signature cut where that is asked. Whatever the octets are, a text comes out.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Sequence

from syncd.mail.charset import as_text
from syncd.mail.headers import clean

#: Longest text of a message that is read, in octets before decoding.
MOST_TEXT = 512 * 1024
_UID = re.compile(r"^UID(?:;[^:\r\n]*)?:(.{1,998}?)\s*$", re.MULTILINE | re.IGNORECASE)


def undone(content: bytes, encoding: str) -> bytes:
    """The content without its transfer encoding; a piece that was cut off is decoded as far as it goes, and what is no
    base64 is overlooked (RFC 2045 §6.8)."""
    if encoding == "base64":
        kept = _ELSE.sub(b"", content)
        kept = kept[: len(kept) - (1 if len(kept) % 4 == 1 else 0)]
        try:
            return base64.b64decode(kept + b"=" * (-len(kept) % 4))
        except (binascii.Error, ValueError):
            return b""
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    return content


def undone_text(content: bytes, encoding: str) -> bytes:
    """The same of a text, where there is nothing to be overlooked: what says that it is base64 and is not stays as it
    is, and so does what a mailing list has put below it."""
    if encoding != "base64":
        return undone(content, encoding)
    lines = content.splitlines()
    number = next((n for n, line in enumerate(lines) if not _BASE64.fullmatch(line)), len(lines))
    held, rest = b"".join(lines[:number]), b"\n".join(lines[number:])
    made = undone(held, encoding)
    if not _is_whole(held) or (rest.strip() and not _is_meant(lines[:number], made)):
        return content
    return made + b"\n" + rest if rest.strip() else made


_ELSE = re.compile(rb"[^A-Za-z0-9+/]")
#: A line of base64 (RFC 2045 §6.8).
_BASE64 = re.compile(rb"[ \t]*[A-Za-z0-9+/]*={0,2}[ \t]*")
#: More octets than this are a piece of something larger, which may end anywhere.
_SHORT = 1000


def _is_whole(content: bytes) -> bool:
    """False for a word that lacks characters to be base64."""
    kept = content.translate(None, b"= \t")
    return len(kept) % 4 == 0 or len(kept) >= _SHORT or b"=" in content


def _is_meant(lines: Sequence[bytes], made: bytes) -> bool:
    """True for lines that are base64 although other text follows: they end as base64 does, or are of one length, or
    say something. A plain word is none of that."""
    held = [line.strip() for line in lines if line.strip()]
    if not held:
        return False
    if held[-1].endswith(b"=") or (len(held) > 2 and len({len(line) for line in held[:-1]}) == 1 and len(held[0]) > 40):
        return True
    try:
        text = made.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def decoded(content: bytes, charset: str) -> str:
    """The content as text, whatever its charset is called."""
    return _lines(as_text(content, charset))


def _lines(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return clean(text.removeprefix("\ufeff"))


def from_html(html: str) -> str:
    """HTML as the text that a reader sees."""
    from inscriptis import get_text
    from inscriptis.css_profiles import CSS_PROFILES
    from inscriptis.model.config import ParserConfig

    try:
        text = get_text(html, ParserConfig(css=CSS_PROFILES["strict"]))
    except Exception:  # whatever a broken page does to the parser: its tags go, its words stay
        text = re.sub(r"<[^>]{0,2000}>", " ", html)
    return _lines(re.sub(r"\n{3,}", "\n\n", text.replace("\xa0", " "))).strip()


def without_history(text: str, *, quotes: bool, signature: bool) -> str:
    """The text without quoted earlier messages, without the signatures in it, as asked, and without empty
    lines around it. What is nothing but quotations stays."""
    kept = text
    if quotes and text.strip():
        from mailparser_reply import EmailReplyParser

        try:
            replies = EmailReplyParser(languages=["en", "de", "fr", "it", "es", "nl", "pl"]).read(text).replies
            kept = replies[0].content if replies and replies[0].content.strip() else text
        except Exception:  # whatever it stumbles over, the text stays whole
            kept = text
    if signature:
        kept = _SIGNATURE.sub("", kept)
    return kept.strip("\n") or text.strip("\n")


#: A line "-- " (RFC 3676 §4.3; trailing blanks get lost), and what follows up to a quotation or the end.
_SIGNATURE = re.compile(r"^-- ?\n(?:(?!>)[^\n]*\n?){0,25}?(?=^>|^[^\n]{0,200}:\n>|\Z)", re.MULTILINE)


def calendar_class(text: str) -> str:
    """The sensitivity of what an iMIP part speaks of (RFC 5545 §3.8.1.3: a word that nobody knows is private; of
    several the strictest)."""
    found = {word.strip().upper() for word in _CLASS.findall(re.sub(r"\r?\n[ \t]", "", text))} - {"PUBLIC", ""}
    return "public" if not found else "confidential" if found == {"CONFIDENTIAL"} else "private"


_CLASS = re.compile(r"^CLASS(?:;[^:\r\n]*)?:([^\r\n]*)", re.MULTILINE | re.IGNORECASE)


def calendar_uid(text: str) -> str:
    """The UID of the appointment that an iMIP part speaks of; "" when there is none."""
    found = _UID.search(re.sub(r"\r?\n[ \t]", "", text))
    return clean(found[1]).strip() if found else ""
