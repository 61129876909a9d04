"""What an IMAP server says of a message -> records; the parts that may cross -> fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import Any

from imapclient.response_types import BodyData

from syncd.mail.charset import as_text
from syncd.mail.headers import WANTED, clean, identity, own_key, read_headers, sent_at, words
from syncd.mail.structure import Part, attachments, encrypted, invitation, total
from syncd.model.files import File, Files
from syncd.model.record import UNREAD, Record
from syncd.model.span import Span
from syncd.ports import Rejected

#: Octets that are read of a header section, and as many of its lists of recipients.
MOST_HEADERS = 64 * 1024
_LISTS = ("To", "Cc", "Bcc")
#: What is asked of each message before it is known whether it may cross.
ITEMS = (
    "UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "BODYSTRUCTURE",
    f"BODY.PEEK[HEADER.FIELDS ({' '.join(h.upper() for h in WANTED if h not in _LISTS)})]<0.{MOST_HEADERS}>",
    f"BODY.PEEK[HEADER.FIELDS ({' '.join(h.upper() for h in _LISTS)})]<0.{MOST_HEADERS}>",
)  # fmt: skip
#: Of a message in an excluded folder: only what tells which message it is.
ITEMS_OF_EXCLUDED = ("UID", "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM SENDER DATE)]<0.16384>")
_DEEPEST = 60


@dataclass(frozen=True)
class Native:
    """What the connector keeps of a message between two questions."""

    folder: str
    uid: int
    part: Part


def record_of(ref: str, version: str, folder: str, name: str, uid: int, found: dict[bytes, Any]) -> Record | Rejected:
    """The message's headers and structure as a record; `name` is the folder as configurations write it."""
    section = _section(found)
    if not section.strip():
        return Rejected("this is no message: it has none of a message's headers")
    headers = read_headers(section)
    part = part_of(found.get(b"BODYSTRUCTURE"))
    received = found.get(b"INTERNALDATE")
    flags = frozenset(_flags(found))
    when = sent_at(headers, _aware(received))
    key = own_key(headers)
    return Record(
        ref=ref,
        version=version,
        kind="message",
        fields={
            "subject": headers.subject,
            "date": Span(when, when, ""),
            "correspondents": headers.people,
            "priority": headers.priority,
            "sensitivity": headers.sensitivity,
            "categories": frozenset(f for f in flags if f[:1] not in ("\\", "$")),
            "flagged": "\\flagged" in {f.lower() for f in flags},
        },
        uid=key or identity(headers, total(part)),
        key=key,
        owner=headers.sender,
        thread=(headers.message_id, *headers.references),
        folder=name,
        traits=headers.traits | set(_traits(part, flags)) | ({UNREAD} if _cut(found) else set()),
        mentioned=headers.mentioned,
        native=Native(folder, uid, part),
    )


def excluded_record(ref: str, version: str, name: str, found: dict[bytes, Any]) -> Record:
    """A message in an excluded folder: which one it is, and that it is nobody's business. One without a
    Message-ID cannot be told from others by this, and was never known."""
    headers = read_headers(_section(found))
    uid = own_key(headers) or (identity(headers, 0) if headers.message_id else "")
    fields = {"sensitivity": "excluded"}
    return Record(ref, version, "message", fields, uid, folder=name)


def _section(found: dict[bytes, Any]) -> bytes:
    """The header fields of all answers as one section."""
    pieces = []
    for item, value in found.items():
        if item.startswith(b"HEADER") and value is not None:
            content = value if isinstance(value, bytes) else str(value).encode()  # digits only
            pieces.append(content.rstrip(b"\r\n"))
    return b"\r\n".join(p for p in pieces if p)


def _cut(found: dict[bytes, Any]) -> bool:
    """True where the server was not asked for all of the headers, as they are too long: somebody may be named in
    what was not read."""
    return any(
        len(value) >= MOST_HEADERS for i, value in found.items() if i.startswith(b"HEADER") and isinstance(value, bytes)
    )


def _aware(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC)


def _flags(found: dict[bytes, Any]) -> Iterator[str]:
    for flag in found.get(b"FLAGS", ()):
        yield clean(flag.decode("utf-8", "replace") if isinstance(flag, bytes) else str(flag))


def _traits(part: Part, flags: frozenset[str]) -> Iterator[str]:
    low = {f.lower() for f in flags}
    if "\\draft" in low:
        yield "draft"
    if "\\deleted" in low:
        yield "deleted"
    if low & {"$junk", "junk"} and not low & {"$notjunk", "notjunk", "nonjunk"}:
        yield "spam"
    if encrypted(part):
        yield "encrypted"
    if part.type == "multipart/report":
        yield "bounce"
    if invitation(part) is not None:
        yield "invitation"
    if attachments(part):
        yield "attachment"


# -- structure -------------------------------------------------------------------------------------------------


def part_of(found: Any) -> Part:
    """The parts of a BODYSTRUCTURE (RFC 3501 §7.4.2); one that cannot be read is one part of no known type."""
    try:
        return _part(found, "", 0) if isinstance(found, BodyData) else Part("1", "application/octet-stream")
    except (IndexError, TypeError, ValueError, RecursionError):
        return Part("1", "application/octet-stream")


def _part(found: Any, section: str, depth: int) -> Part:
    if isinstance(found[0], list):
        prefix = f"{section}." if section else ""
        inner = found[0] if depth <= _DEEPEST else []
        parts = tuple(_part(p, f"{prefix}{n}", depth + 1) for n, p in enumerate(inner, 1))
        return Part(section, f"multipart/{_word(found[1])}", parts=parts)
    kind = f"{_word(found[0])}/{_word(found[1])}"
    parameters = _pairs(found[2])
    octets = found[6] if isinstance(found[6], int) else 0
    where = 9 if kind == "text" or kind.startswith("text/") else 8
    if kind == "message/rfc822":
        where = 11
    disposition, said = _disposition(found[where] if len(found) > where else None)
    name = said.get("filename") or parameters.get("name") or ""
    return Part(
        section=section or "1",
        type=kind,
        charset=parameters.get("charset", ""),
        encoding=_word(found[5]),
        octets=octets,
        name=_file_name(name),
        attached=disposition == "attachment",
        identified=bool(found[3]),
        method=(parameters.get("method") or parameters.get("smime-type", "")).lower(),
    )


def _disposition(found: Any) -> tuple[str, dict[str, str]]:
    """Disposition and its parameters; some servers give the header field as it stands."""
    if isinstance(found, bytes):
        header = Message()
        header["Content-Disposition"] = found.decode("utf-8", "replace").replace("\\", "")
        name = header.get_filename()
        return (header.get_content_disposition() or "", {"filename": name} if name else {})
    if not isinstance(found, tuple) or not found:
        return "", {}
    return _word(found[0]), _pairs(found[1]) if len(found) > 1 else {}


def _word(value: Any) -> str:
    return value.decode("ascii", "replace").lower() if isinstance(value, bytes) else ""


def _pairs(found: Any) -> dict[str, str]:
    if not isinstance(found, tuple):
        return {}
    made = {}
    for name, value in zip(found[::2], found[1::2], strict=False):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
        made[_word(name)] = text
    return _continued(made)


def _continued(found: dict[str, str]) -> dict[str, str]:
    """Parameters in pieces, or with a charset (RFC 2231): name*0*, name*1, name*."""
    from email.utils import decode_params

    if not any("*" in name for name in found):
        return found
    try:
        decoded = decode_params([("", ""), *found.items()])[1:]
    except (ValueError, IndexError, TypeError):
        return found
    return {name: _value(value).strip('"') for name, value in decoded}


def _value(found: str | tuple[str | None, str | None, str]) -> str:
    """A parameter with the charset that it names."""
    if isinstance(found, str):
        return found
    charset, _, text = found
    return as_text(text.encode("raw-unicode-escape"), charset or "")


def _file_name(text: str) -> str:
    """A file's name, decoded, without folders in it."""
    name = words(text).replace("\\", "/").rsplit("/", 1)[-1]
    return " ".join(name.split())[:200]


def files_of(part: Part, contents: dict[str, Sequence[bytes]] | None = None) -> Files:
    """The attachments, with their octets where they were read."""
    made = []
    for found in attachments(part):
        name = found.name or ("message" if found.type.startswith("message/") else "attachment")
        made.append(File(name, found.type, found.size, (contents or {}).get(found.section)))
    return Files(made)
