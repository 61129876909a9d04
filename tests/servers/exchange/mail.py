"""A mail that arrives, as Exchange stores it: the properties of its headers, its body, its attachments."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from lxml import etree

from tests.servers.exchange.schema import T
from tests.servers.exchange.store import Item, Mailbox, element, stamp

_SENSITIVITY = {"personal": "Personal", "private": "Private", "company-confidential": "Confidential"}


def deliver(box: Mailbox, mail: bytes, folder: str) -> Item:
    """Puts a message into a folder."""
    raw = email.message_from_bytes(mail, policy=compat32)
    parsed = email.message_from_bytes(mail, policy=default)
    assert isinstance(parsed, EmailMessage)
    item = Item(box.new_id("I"), "Message", box.distinguished(folder).id, {})
    props = item.props
    props["item:Subject"] = element("Subject", _words(raw.get("Subject", ""))[:255])
    body, kind = _body(parsed)
    props["item:Body"] = element("Body", body, BodyType=kind)
    try:
        sent = parsedate_to_datetime(str(raw.get("Date"))).astimezone(UTC)
    except (ValueError, TypeError):
        sent = datetime.now(UTC)
    props["item:DateTimeSent"] = element("DateTimeSent", stamp(sent))
    props["item:DateTimeReceived"] = element("DateTimeReceived", stamp(datetime.now(UTC)))
    props["item:Size"] = element("Size", str(len(mail)))
    for name, path in (("From", "message:From"), ("Sender", "message:Sender")):
        found = _people(raw.get_all(name, []) or raw.get_all("From", []))
        if found:
            props[path] = element(name)
            props[path].append(found[0])
    for name, header in (
        ("ToRecipients", "To"),
        ("CcRecipients", "Cc"),
        ("BccRecipients", "Bcc"),
        ("ReplyTo", "Reply-To"),
    ):
        found = _people(raw.get_all(header, []))
        if found:
            props[f"message:{name}"] = element(name)
            props[f"message:{name}"].extend(found)
    for name, header in (("InternetMessageId", "Message-ID"), ("References", "References")):
        if raw.get(header):
            props[f"message:{name}"] = element(name, " ".join(str(raw[header]).split()))
    if raw.get("In-Reply-To"):
        props["item:InReplyTo"] = element("InReplyTo", " ".join(str(raw["In-Reply-To"]).split()))
    word = _SENSITIVITY.get(str(raw.get("Sensitivity", "")).strip().lower())
    if word:
        props["item:Sensitivity"] = element("Sensitivity", word)
    importance = str(raw.get("Importance", "")).strip().title()
    if importance in ("Low", "High"):
        props["item:Importance"] = element("Importance", importance)
    if folder != "sentitems":  # what was sent from here never crossed the transport: it has no headers
        props["item:InternetMessageHeaders"] = _headers(raw)
    props["item:ItemClass"] = element("ItemClass", "IPM.Note")
    _special(item, parsed)
    item.files = list(_files(parsed))
    item.read = folder == "sentitems"
    return box.put(item)


def _words(text: str) -> str:
    try:
        return _xml(" ".join(str(make_header(decode_header(text))).split()))
    except (LookupError, ValueError):
        return _xml(" ".join(str(text).split()))


def _xml(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def _people(values: list[Any]) -> list[Any]:
    found = []
    for name, address in getaddresses([str(v) for v in values]):
        if "@" in address:
            box = element("Mailbox")
            box.append(element("Name", _words(name) or address))
            box.append(element("EmailAddress", _xml(address)))
            box.append(element("RoutingType", "SMTP"))
            found.append(box)
    return found


def _headers(raw: Any) -> Any:
    made = element("InternetMessageHeaders")
    for name, value in raw.items():
        made.append(element("InternetMessageHeader", _xml(" ".join(str(value).split())), HeaderName=_xml(name)))
    return made


def _body(parsed: EmailMessage) -> tuple[str, str]:
    part = parsed.get_body(("html", "plain"))
    if part is None:
        return "", "Text"
    try:
        content = str(part.get_content())
    except (LookupError, UnicodeError):
        content = (part.get_payload(decode=True) or b"").decode("latin-1")  # type: ignore[union-attr]
    return _xml(content), "HTML" if part.get_content_subtype() == "html" else "Text"


def _special(item: Item, parsed: EmailMessage) -> None:
    kind = parsed.get_content_type()
    if kind == "multipart/report":
        item.props["item:ItemClass"] = element("ItemClass", "REPORT.IPM.Note.NDR")
    elif kind in ("application/pkcs7-mime", "multipart/encrypted"):
        item.props["item:ItemClass"] = element("ItemClass", "IPM.Note.SMIME")
    for part in parsed.walk():
        if part.get_content_type() == "text/calendar" and part.get_param("method"):
            request = str(part.get_param("method")).upper() == "REQUEST"
            item.kind = "MeetingRequest" if request else "MeetingCancellation"
            for line in str(part.get_content()).replace("\r\n ", "").splitlines():
                if line.upper().startswith("UID:"):
                    item.props["calendar:UID"] = element("UID", line[4:].strip())
            item.props["item:ItemClass"] = element(
                "ItemClass", "IPM.Schedule.Meeting.Request" if request else "IPM.Schedule.Meeting.Canceled"
            )


def _files(parsed: EmailMessage) -> Any:
    for part in parsed.iter_attachments():
        if part.get_content_type() == "text/calendar":
            continue
        name = _xml(part.get_filename() or "attachment")
        payload = part.get_payload(decode=True)
        yield name, part.get_content_type(), payload if isinstance(payload, bytes) else b""


__all__ = ["T", "deliver", "etree"]
