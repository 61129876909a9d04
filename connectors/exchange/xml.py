"""Elements of EWS: how they are read and made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from syncd.outlook.html import text_of

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
#: Properties of our own on an item: one namespace for all (a MAPI named property).
PROPERTY_SET = "8f0f7d52-6b5c-4f0e-9d1c-3a9e5d0c7a61"
#: The key under which syncd made the item; its UID then (a copy made in Outlook has another); the rule
#: as it was written, which a pattern may spell otherwise; what a write still owes to the occurrences (`plan`).
KEY, UID_THEN, RULE, PLAN = "SyncdKey", "SyncdUid", "SyncdRule", "SyncdPlan"
#: PidLidAppointmentStateFlags (MS-OXOCAL §2.2.1.10); its bit 4 says that the meeting is cancelled, 1 that it is
#: one, 2 that it came from somebody else.
STATE = "33303"
CANCELLED, MEETING, RECEIVED = 4, 1, 2
#: A change of one property: (FieldURI or element of a path, the element with the value or None to take it away).
Edit = tuple[Any, Any]


def el(name: str, *children: Any, text: str | None = None, **attributes: str) -> Any:
    """An element: "m:Items" or "t:Subject"."""
    from lxml import etree

    prefix, _, local = name.partition(":")
    made = etree.Element((M if prefix == "m" else T) + local, attributes)
    if text is not None:
        made.text = xml_text(text)
    made.extend(c for c in children if c is not None)
    return made


def xml_text(text: str) -> str:
    """The text without what XML cannot hold (XML 1.0 §2.2)."""
    if text.isprintable():
        return text
    return "".join(
        c for c in text if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )


def said(element: Any, name: str) -> str:
    """The text of a child, or of a child's child ("Organizer/Mailbox/EmailAddress"); "" without one."""
    found = element.find("/".join(T + part for part in name.split("/")))
    return (found.text or "") if found is not None else ""


def words(body: Any) -> str:
    """The words of a Body element, whichever form it has; "" without one."""
    if body is None or not body.text:
        return ""
    return text_of(body.text) if body.get("BodyType") == "HTML" else str(body.text)


def yes(element: Any, name: str) -> bool:
    """A boolean child (xs:boolean: true or 1)."""
    return said(element, name).strip() in ("true", "1")


def number(element: Any, name: str, default: int = 0) -> int:
    """A number, its fraction cut off."""
    try:
        return int(float(said(element, name)))
    except (ValueError, OverflowError):
        return default


def moment(text: str, zone: Any) -> datetime:
    """A dateTime; without an offset it is local to `zone`. Fractions of a second go. Raises ValueError."""
    found = datetime.fromisoformat(text.strip())
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    return found.astimezone(UTC).replace(microsecond=0)


def written(value: datetime) -> str:
    """An instant as EWS takes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def address_in(box: Any) -> str:
    """The SMTP address in a Mailbox element, as it stands; "" for somebody who has none: the word for it is in
    whatever case the server likes (seen in lower case on a server of another make, 2026-11-26)."""
    address = said(box, "EmailAddress").strip()
    routing = said(box, "RoutingType").strip().upper() or "SMTP"
    return address if routing == "SMTP" and "@" in address else ""


def item_id(element: Any) -> tuple[str, str]:
    """Id and change key of an item; "" and "" without."""
    found = element.find(T + "ItemId")
    return (found.get("Id", ""), found.get("ChangeKey", "")) if found is not None else ("", "")


def local(element: Any) -> str:
    """The element's name without its namespace; of what is no element, nothing."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def extended(element: Any) -> Mapping[str, str]:
    """Extended properties: name, or tag or id, -> value."""
    found = {}
    for each in element.iterfind(T + "ExtendedProperty"):
        uri, value = each.find(T + "ExtendedFieldURI"), each.find(T + "Value")
        if uri is not None and value is not None:
            name = uri.get("PropertyName") or uri.get("PropertyTag", "").lower() or uri.get("PropertyId") or ""
            found[name] = value.text or ""
    return found


def property_uri(name: str) -> Any:
    """The path of a property of our own."""
    return el("t:ExtendedFieldURI", PropertySetId=PROPERTY_SET, PropertyName=name, PropertyType="String")


def tag_uri(tag: str, kind: str) -> Any:
    """The path of a MAPI property by its tag."""
    return el("t:ExtendedFieldURI", PropertyTag=tag, PropertyType=kind)


def extended_value(uri: Any, value: str) -> Any:
    """An extended property with its value."""
    return el("t:ExtendedProperty", uri, el("t:Value", text=value))


def shape(uris: Iterable[str], extra: Iterable[Any] = (), *, most: int = 0) -> Any:
    """Which properties an answer shall hold beside the id; `most`: the longest body, in octets."""
    more = [*(el("t:FieldURI", FieldURI=uri) for uri in uris), *extra]
    longest = el("t:MaximumBodySize", text=str(most)) if most else None
    return el(
        "m:ItemShape", el("t:BaseShape", text="IdOnly"), longest, el("t:AdditionalProperties", *more) if more else None
    )


def children(element: Any, name: str) -> Iterator[Any]:
    """The elements inside a child: "Changes", "Items"; none without it."""
    found = element.find(M + name)
    if found is None:
        found = element.find(T + name)
    yield from (() if found is None else (c for c in found if isinstance(c.tag, str)))
