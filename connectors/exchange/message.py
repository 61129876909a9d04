"""A message of EWS -> the fields of a message, as IMAP's are: by its headers.

What came by the internet has its header section (InternetMessageHeaders); what was sent from here has none,
so its properties are written as headers. Then one reader serves both, and the same mail in a mailbox behind
IMAP is known to be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr
from typing import Any

from connectors.exchange.event import categories, plain_uid
from connectors.exchange.xml import T, address_in, extended, item_id, moment, said, tag_uri, yes
from syncd.mail.headers import WANTED, clean, identity, mentioned, own_key, read_headers, sent_at
from syncd.mail.text import from_html
from syncd.model.files import File, Files
from syncd.model.record import CONVERSATION, UNREAD, Record
from syncd.model.span import Span
from syncd.outlook.words import SENSITIVITY

URIS = (
    "item:ItemClass", "item:Subject", "item:Sensitivity", "item:DateTimeReceived", "item:DateTimeSent",
    "item:Categories", "item:Importance", "item:InReplyTo", "item:IsDraft", "item:InternetMessageHeaders",
    "item:HasAttachments", "item:ParentFolderId", "item:Size", "item:ConversationId", "message:From", "message:Sender",
    "message:ToRecipients", "message:CcRecipients", "message:BccRecipients", "message:ReplyTo",
    "message:InternetMessageId", "message:References",
)  # fmt: skip
#: Of a message in an excluded folder: only what tells which message it is.
URIS_OF_EXCLUDED = ("item:DateTimeSent", "item:ParentFolderId", "message:From", "message:InternetMessageId")
#: PidTagFlagStatus (MS-OXPROPS 2.729): 2 is a flag that has not been dealt with.
FLAG, FLAGGED = "0x1090", "2"


def properties() -> list[Any]:
    """Properties that have no path of their own."""
    return [tag_uri(FLAG, "Integer")]


def section_of(item: Any) -> bytes:
    """The header section, as far as it is wanted: as it came, else as the properties tell it."""
    wanted = {name.lower() for name in WANTED}
    lines: list[tuple[str, str]] = []
    headers = item.find(T + "InternetMessageHeaders")
    for header in headers if headers is not None else ():
        name = header.get("HeaderName", "")
        if name.lower() in wanted:
            lines.append((name, header.text or ""))
    have = {name.lower() for name, _ in lines}
    lines += [(name, value) for name, value in _told(item) if value and name.lower() not in have]
    return "\r\n".join(f"{name}: {' '.join(value.split())}" for name, value in lines).encode("utf-8", "replace")


def _told(item: Any) -> Iterator[tuple[str, str]]:
    sent = said(item, "DateTimeSent")
    if sent:
        yield "Date", format_datetime(moment(sent, UTC))
    yield "From", ", ".join(_mailboxes(item, "From"))
    yield "Sender", ", ".join(_mailboxes(item, "Sender"))
    yield "To", ", ".join(_mailboxes(item, "ToRecipients"))
    yield "Cc", ", ".join(_mailboxes(item, "CcRecipients"))
    yield "Bcc", ", ".join(_mailboxes(item, "BccRecipients"))
    yield "Subject", said(item, "Subject")
    yield "Message-ID", said(item, "InternetMessageId")
    yield "In-Reply-To", said(item, "InReplyTo")
    yield "References", said(item, "References")
    if said(item, "Importance") in ("High", "Low"):
        yield "Importance", said(item, "Importance")


def _mailboxes(item: Any, name: str) -> Iterator[str]:
    element = item.find(T + name)
    for box in element if element is not None else ():
        address = address_in(box)
        if address:
            yield formataddr((" ".join(said(box, "Name").split()), address))


def _named(item: Any) -> Iterator[str]:
    """Whatever the properties say of people. They are asked even where there are headers: a server may list somebody
    whom it could not write into these."""
    for name in ("From", "Sender", "ReplyTo", "ToRecipients", "CcRecipients", "BccRecipients"):
        element = item.find(T + name)
        for box in element if element is not None else ():
            yield said(box, "EmailAddress")
            yield said(box, "Name")


def _somebody_unread(item: Any) -> bool:
    """True when somebody takes part who has no address that could be read, and no header names them all."""
    headers = item.find(T + "InternetMessageHeaders")
    told = {header.get("HeaderName", "").lower() for header in (headers if headers is not None else ())}
    for name, header in (("From", "from"), ("ToRecipients", "to"), ("CcRecipients", "cc"), ("BccRecipients", "bcc")):
        element = item.find(T + name)
        if header not in told and any(not address_in(box) for box in (element if element is not None else ())):
            return True
    return False


def message_record(ref: str, item: Any, folder: str) -> Record:
    """The message's record; `folder` as configurations write it."""
    headers = read_headers(section_of(item))
    when = sent_at(headers, _received(item))
    key = own_key(headers)
    flags = extended(item)
    conversation = item.find(T + "ConversationId")
    thread = (headers.message_id, *headers.references)
    if conversation is not None and conversation.get("Id"):
        thread = (*thread, CONVERSATION + conversation.get("Id"))
    return Record(
        ref=ref,
        version=item_id(item)[1],
        kind="message",
        fields={
            "subject": headers.subject,
            "date": Span(when, when, ""),
            "correspondents": headers.people,
            "priority": headers.priority,
            "sensitivity": _sensitivity(item, headers.sensitivity),
            "categories": categories(item),
            "flagged": flags.get(FLAG) == FLAGGED,
        },
        uid=key or identity(headers, int(said(item, "Size") or 0) if not headers.message_id else 0),
        key=key,
        owner=headers.sender,
        thread=thread,
        folder=folder,
        traits=headers.traits | set(_traits(item)),
        mentioned=headers.mentioned | (mentioned(_named(item)) - {headers.sender, *headers.people}),
    )


def excluded_record(ref: str, item: Any, folder: str) -> Record:
    """A message in an excluded folder: which one it is, and that it is nobody's business."""
    headers = read_headers(section_of(item))
    uid = own_key(headers) or (identity(headers, 0) if headers.message_id else "")
    return Record(ref, "-", "message", {"sensitivity": "excluded"}, uid, folder=folder)


def _sensitivity(item: Any, otherwise: str) -> str:
    """The item's own word; one that says nothing leaves it to the headers."""
    word = SENSITIVITY.get(said(item, "Sensitivity") or "Normal", "private")
    return otherwise if word == "public" else word


def _received(item: Any) -> datetime | None:
    text = said(item, "DateTimeReceived")
    return moment(text, UTC) if text else None


def _traits(item: Any) -> Iterator[str]:
    kind = said(item, "ItemClass").lower()
    if yes(item, "IsDraft"):
        yield "draft"
    if kind.startswith("report."):
        yield "bounce"
    if kind.startswith("ipm.note.smime") and "multipartsigned" not in kind:
        yield "encrypted"
    if kind.startswith("ipm.schedule."):
        yield "invitation"
    if kind.startswith("ipm.note.rules."):
        yield "automatic"
    if yes(item, "HasAttachments"):
        yield "attachment"
    if _somebody_unread(item):
        yield UNREAD


# -- what is asked for later ----------------------------------------------------------------------------------------


def text_of(item: Any) -> str:
    """The message's words."""
    body = item.find(T + "Body")
    if body is None or not body.text:
        return ""
    return from_html(body.text) if body.get("BodyType") == "HTML" else clean(body.text.replace("\r\n", "\n"))


def spoken_of(item: Any) -> str:
    """The UID of the appointment that an invitation speaks of."""
    return clean(plain_uid(said(item, "UID")))


def file_elements(item: Any) -> list[Any]:
    """The attachments that are files or items; pictures in the text are none."""
    element = item.find(T + "Attachments")
    return [a for a in (element if element is not None else ()) if isinstance(a.tag, str) and not yes(a, "IsInline")]


def files_of(item: Any, contents: dict[str, Any] | None = None) -> Files:
    """The attachments, with their octets where they were read."""
    made = []
    for each in file_elements(item):
        at = each.find(T + "AttachmentId")
        ref = at.get("Id", "") if at is not None else ""
        is_item = each.tag == T + "ItemAttachment"
        kind = "message/rfc822" if is_item else said(each, "ContentType") or "application/octet-stream"
        name = " ".join(clean(said(each, "Name")).replace("\\", "/").rsplit("/", 1)[-1].split())[:200]
        size = said(each, "Size")
        made.append(
            File(name or ("message" if is_item else "attachment"), kind.lower(), int(size) if size.isdigit() else 0,
                 (contents or {}).get(ref))
        )  # fmt: skip
    return Files(made)
