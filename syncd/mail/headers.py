"""The headers of a message, read as far as a CRM needs them; whatever they hold, reading never fails.

Headers come as the bytes of a header section (RFC 5322 §2.2), cut off where they are too long.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime

from syncd.mail.charset import as_text
from syncd.model.people import Participant, People, normal_address

#: The header fields that are asked for; nothing else of a header section is read.
WANTED = (
    "Date", "From", "Sender", "To", "Cc", "Subject", "Message-ID", "In-Reply-To", "References",
    "Sensitivity", "Importance", "X-Priority", "Auto-Submitted", "X-Auto-Response-Suppress", "Precedence",
    "List-Id", "Return-Path", "X-Spam-Flag", "X-Spam-Status", "Content-Type", "X-Failed-Recipients",
    "Bcc", "Reply-To", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc",
    "Mail-Followup-To", "Mail-Reply-To", "Apparently-To", "Disposition-Notification-To", "Errors-To", "X-Original-To",
    "Delivered-To",
)  # fmt: skip
#: Where people are named (RFC 5322 3.6.2, 3.6.3, 3.6.6, RFC 8098, reports of what could not be delivered, and what
#: programs write of their own); who is blocked is looked for in all of it.
_NAMING = (
    "from", "sender", "reply-to", "to", "cc", "bcc", "return-path", "x-failed-recipients",
    "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc",
    "mail-followup-to", "mail-reply-to", "apparently-to", "disposition-notification-to", "errors-to", "x-original-to",
    "delivered-to",
)  # fmt: skip
#: More people than this are no correspondence; the rest of the list takes no part.
MOST_PEOPLE = 500
#: Longest subject, in characters; longest list of references.
LONGEST, MOST_REFERENCES = 998, 100
_ID = re.compile(r"<([^<>\s]{1,998})>")


@dataclass(frozen=True)
class Headers:
    """What the header section of one message says."""

    subject: str
    #: When it was sent, UTC; None when it does not say, or nonsense.
    date: datetime | None
    #: Address and name of the author, normalised; "" when there is none.
    sender: str
    sender_name: str
    #: Author and recipients, each with its role (from, to, cc); blind copies are nobody's business.
    people: People
    #: Without angle brackets; "" when there is none.
    message_id: str
    #: Message-IDs that it answers, the first of the thread first.
    references: tuple[str, ...]
    #: public, private (RFC 4021: Private, Personal) or confidential (Company-Confidential).
    sensitivity: str
    #: 0 none said, 1 high, 5 as ordinary, 9 low (RFC 5545's scale).
    priority: int
    #: list, automatic, bounce, spam, encrypted: what kind of mail the headers show.
    traits: frozenset[str]
    #: Whatever else in the lists of people looks like an address: see `mentioned`.
    mentioned: frozenset[str] = frozenset()


def read_headers(section: bytes) -> Headers:
    """The headers in a header section; a message without any is a message all the same."""
    parsed = BytesHeaderParser(policy=compat32).parsebytes(section.replace(b"\0", b""))
    every: dict[str, list[str]] = {}
    for name, value in parsed.raw_items():
        every.setdefault(name.lower(), []).append(_plain(value))

    def one(name: str) -> str:
        return every.get(name, [""])[0]

    people, sender, sender_name = _people(every)
    return Headers(
        subject=words(one("subject"))[:LONGEST],
        date=_date(one("date")),
        sender=sender,
        sender_name=sender_name,
        people=people,
        message_id=_first_id(one("message-id")),
        references=_references(one("references"), one("in-reply-to")),
        sensitivity=_sensitivity(every.get("sensitivity", ())),
        priority=_priority(one("importance"), one("x-priority")),
        traits=frozenset(_traits(every)),
        mentioned=mentioned(text for name in _NAMING for text in every.get(name, ())) - {sender, *people},
    )


def _plain(value: object) -> str:
    """A raw value as text: bytes that are no ASCII are UTF-8 or else Latin-1; folding goes."""
    raw = str(value).encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return re.sub(r"[\r\n]+[ \t]*", " ", text).strip()


def words(text: str) -> str:
    """Encoded words (RFC 2047) decoded; what cannot be read as such stays as it stands."""
    if "=?" in text:
        try:
            pieces = decode_header(text)
        except (HeaderParseError, ValueError):
            pieces = []
        text = "".join(p if isinstance(p, str) else _word(p, charset) for p, charset in pieces) or text
    return clean(" ".join(text.split()))


def _word(piece: bytes, charset: str | None) -> str:
    return as_text(piece, charset) if charset else piece.decode("raw-unicode-escape", "replace")


def clean(text: str) -> str:
    """Text without what no database and no screen takes: NUL, other controls (C1 too), halves of characters."""
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8")


_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160)])


#: A year of four digits below 1000, which the library takes for one of two: what programs write that know none.
_NO_YEAR = re.compile(r"(?<![\d:+-])0\d{3}\s+\d{1,2}:")


def _date(text: str) -> datetime | None:
    if _NO_YEAR.search(text):
        return None
    try:
        found = parsedate_to_datetime(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(microsecond=0) if 1970 <= found.year <= 9000 else None


def _people(every: Mapping[str, Sequence[str]]) -> tuple[People, str, str]:
    found: dict[str, Participant] = {}
    author, author_name = "", ""
    for role in ("from", "to", "cc"):
        for name, address in _addresses(every.get(role, ())):
            if role == "from" and not author:
                author, author_name = address, name
            if address not in found and len(found) < MOST_PEOPLE:
                found[address] = Participant(address, name, role=role)
    if not author:
        author, author_name = next(((a, n) for n, a in _addresses(every.get("sender", ()))), ("", ""))
        author_name = author_name[:200]
    return People(found.values()), author, author_name


def _addresses(values: Iterable[str]) -> Iterable[tuple[str, str]]:
    """(name, normalised address) of each mailbox; what is no address is left out."""
    for value in values:
        try:
            pairs = getaddresses([value[:100_000]])
        except (ValueError, IndexError, RecursionError):
            continue
        for name, address in pairs[: MOST_PEOPLE * 2]:
            address = normal_address(clean(words(address)).strip("'"))  # some programs put it into quotes
            if "@" in address and " " not in address and len(address) <= 320:
                yield words(name)[:200], address


def mentioned(texts: Iterable[str]) -> frozenset[str]:
    """Every word that looks like an address, normalised, however broken the list is in which it stands.

    No list of participants: whoever writes a stray quote or bracket makes a parser overlook people, and who is
    blocked must be found all the same. So quotes count as what they are, as blanks and as nothing; what was meant
    is among these. Words are split, not matched, as a pattern would take for ever over a long line without an @.
    """
    found: set[str] = set()
    for raw in texts:
        if "@" not in raw and "=?" not in raw:
            continue
        alone = _ALONE.fullmatch(raw) if len(raw) < 256 else None
        if alone is not None:  # as nearly all lines are
            found.add(normal_address(alone[1]))
            continue
        plain = raw.isascii() and raw.isprintable() and "=?" not in raw  # nothing in it to be decoded or left out
        for text in (raw,) if plain else {raw, words(raw)}:
            near = " ".join(text.replace("\\", "").split()).replace(" @", "@").replace("@ ", "@")
            quoted = not _QUOTED.isdisjoint(near)
            for form in {near, near.translate(_QUOTES_AS_BLANKS), near.translate(_NO_QUOTES)} if quoted else (near,):
                for word in _BETWEEN.split(form):
                    if "@" in word:
                        found |= _as_addresses(word)
    return frozenset(found)


def _as_addresses(word: str) -> set[str]:
    """The addresses in a word without blanks; of several @, what stands around each."""
    parts = word.split("@")
    domains = (_BEHIND.split(part)[0].strip(f"{_QUOTES}.-") for part in parts[1:])
    pairs = [(local.strip(_QUOTES), domain) for local, domain in zip(parts, domains, strict=False)]
    return {normal_address(f"{local}@{domain}") for local, domain in pairs if domain and len(domain) < 256}


_QUOTES = "'\"`´‘’‚“”„«»"
#: One address, perhaps with a name before it, and nothing that could be read in two ways.
_ALONE = re.compile(r"(?:[A-Za-z0-9 .,_-]*<)?([A-Za-z0-9.+_-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)>?")
_QUOTED = frozenset(_QUOTES)
_QUOTES_AS_BLANKS, _NO_QUOTES = str.maketrans(dict.fromkeys(_QUOTES, " ")), str.maketrans(dict.fromkeys(_QUOTES, ""))
#: What stands between the words of a list, and what ends the name of a domain.
_BETWEEN, _BEHIND = re.compile(r"[\s<>()\[\],;:]+"), re.compile(r"[^\w.\-\u0300-\u036f'\"`]")


def _first_id(text: str) -> str:
    found = _ID.search(text)
    return clean(found[1]) if found else ""


def _references(references: str, in_reply_to: str) -> tuple[str, ...]:
    found = [clean(i) for i in _ID.findall(references[:200_000])]
    found += [i for i in (_first_id(in_reply_to),) if i and i not in found]
    if len(found) > MOST_REFERENCES:  # the first, and those nearest to this message (RFC 5322 §3.6.4)
        found = [found[0], *found[1 - MOST_REFERENCES :]]
    return tuple(dict.fromkeys(found))


def _sensitivity(values: Iterable[str]) -> str:
    """The strictest of what is said (RFC 4021 2.1.55: Personal, Private, Company-Confidential; other programs write
    Confidential, and Normal); however it is spelt, and a word that nobody knows is private."""
    plain = (re.sub(r"\([^()]*\)", "", words(value)) for value in values)
    said = {_SENSITIVITY.get("".join(re.findall(r"[^\W_]+", value)).lower(), "private") for value in plain}
    return next((word for word in ("private", "confidential") if word in said), "public")


_SENSITIVITY = {
    "": "public", "normal": "public", "none": "public", "public": "public",
    "personal": "private", "private": "private",
    "companyconfidential": "confidential", "confidential": "confidential",
}  # fmt: skip


def _priority(importance: str, x_priority: str) -> int:
    word = importance.strip().lower()
    if word in ("high", "normal", "low"):
        return {"high": 1, "normal": 5, "low": 9}[word]
    return {"1": 1, "2": 1, "3": 5, "4": 9, "5": 9}.get(x_priority.strip()[:1], 0)


def _traits(every: Mapping[str, Sequence[str]]) -> Iterable[str]:
    def one(name: str) -> str:
        return every.get(name, [""])[0].strip().lower()

    if one("list-id") or one("precedence") == "list":
        yield "list"
    automatic = one("auto-submitted").split(";")[0].strip()  # RFC 3834 §5
    robot = automatic not in ("", "no") or one("precedence") in ("bulk", "junk", "auto_reply")
    if robot or _suppressed(one("x-auto-response-suppress")):
        yield "automatic"
    kind = one("content-type")
    report = kind.startswith("multipart/report") and ("delivery-status" in kind or "disposition" in kind)
    null_path = "return-path" in every and one("return-path").replace(" ", "") == "<>"
    if report or null_path or one("x-failed-recipients"):
        yield "bounce"
    if one("x-spam-flag") == "yes" or one("x-spam-status").startswith("yes"):
        yield "spam"
    if kind.startswith(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")):
        signed_only = "smime-type=signed-data" in kind.replace('"', "").replace(" ", "")
        if not signed_only:
            yield "encrypted"


def _suppressed(value: str) -> bool:
    """X-Auto-Response-Suppress (MS-OXCMAIL §2.2.3.2.14): with "All" or "OOF" it asks robots not to answer,
    which robots write; "DR", "RN" or "NRN" alone is written by people's programs too."""
    words = {w.strip() for w in value.split(",")}
    return bool(words & {"all", "oof", "autoreply"})


#: Begins the Message-ID of an e-mail that was written in the CRM; its key follows.
_OURS = "syncd."


def own_id(key: str) -> str:
    """The Message-ID that carries a key, in angle brackets (RFC 5322 §3.6.4)."""
    return f"<{_OURS}{key}@syncd.invalid>"


def own_key(headers: Headers) -> str:
    """The key of a message that syncd itself put into a mailbox; "" of any other."""
    mine = headers.message_id.startswith(_OURS)
    return headers.message_id.removeprefix(_OURS).partition("@")[0] if mine else ""


def identity(headers: Headers, octets: int) -> str:
    """What makes copies of one message in many mailboxes the same, and different messages different.

    The Message-ID with a digest of author and date, as there are programs that give every message the
    same Message-ID (lesson 6); without one, a digest of date, author, recipients, subject and the size
    of the body (`octets`; the size of the whole differs from copy to copy).
    """
    when = headers.date.isoformat() if headers.date else ""
    if headers.message_id:
        return f"{headers.message_id} {_digest(headers.sender, when)}"
    to = ",".join(sorted(headers.people))
    return f"hash:{_digest(when, headers.sender, to, headers.subject, str(octets))}"


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


#: Before this nobody wrote mail that a CRM is still asked for: a clock that was never set.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)


def sent_at(headers: Headers, received: datetime | None) -> datetime:
    """When it was sent: the Date; but the arrival, where the Date is missing or absurd: before 1990, or in the
    future of its arrival by more than a day. An arrival before 1990 says nothing."""
    if received is not None and received < EARLIEST:
        received = None
    if received is None:
        return headers.date or datetime(1970, 1, 1, tzinfo=UTC)
    received = received.astimezone(UTC).replace(microsecond=0)
    if headers.date is None or headers.date < EARLIEST or headers.date > received + timedelta(days=1):
        return received
    return headers.date
