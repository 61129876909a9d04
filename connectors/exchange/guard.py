"""Nobody is ever mailed because of us: every request passes here before it leaves.

An allow-list, so that what nobody thought of is refused too. Exchange sends mail for a CreateItem, an
UpdateItem or a DeleteItem that does not say otherwise, and for each response object (AcceptItem,
CancelCalendarItem, ReplyToItem, ...), which are items of a CreateItem.
"""

from __future__ import annotations

from typing import Any

from syncd.ports import Rejected

#: What we call at all. SendItem is not among them.
ALLOWED = frozenset(
    {
        "SyncFolderItems", "GetItem", "FindItem", "FindFolder", "GetFolder", "GetAttachment",
        "CreateItem", "UpdateItem", "DeleteItem", "CopyItem", "MoveItem", "CreateFolder",
        "Subscribe", "Unsubscribe", "GetStreamingEvents",
    }
)  # fmt: skip
#: Attribute -> the only value that may stand in it.
SILENT = {
    "SendMeetingInvitations": "SendToNone",
    "SendMeetingInvitationsOrCancellations": "SendToNone",
    "SendMeetingCancellations": "SendToNone",
    "MessageDisposition": "SaveOnly",
    "SuppressReadReceipts": "true",
}
#: Operation -> attributes without which Exchange might send.
NEEDED = {
    "CreateItem": ("SendMeetingInvitations", "MessageDisposition"),
    "UpdateItem": ("SendMeetingInvitationsOrCancellations", "MessageDisposition", "SuppressReadReceipts"),
    "DeleteItem": ("SendMeetingCancellations", "SuppressReadReceipts"),
}
#: What may be made; anything else in a CreateItem is an answer to somebody.
MADE = frozenset({"CalendarItem", "Task", "Message"})
#: What of an item makes Exchange ask others.
PEOPLE = frozenset({"RequiredAttendees", "OptionalAttendees", "Resources"})


def refuse_to_send(payload: Any) -> None:
    """Raises Rejected when the request could make the server send mail to anybody."""
    operation = _name(payload)
    if operation not in ALLOWED:
        raise Rejected(f"syncd never calls {operation}")
    for element in payload.iter():
        for attribute, value in element.attrib.items():
            if attribute in SILENT and value != SILENT[attribute]:
                raise Rejected(f"syncd never sends mail ({attribute})")
        if _name(element) in PEOPLE:
            raise Rejected("syncd never invites anybody: participants are not written")
    for attribute in NEEDED.get(operation, ()):
        if payload.get(attribute) != SILENT[attribute]:
            raise Rejected(f"syncd never sends mail ({operation} without {attribute})")
    if operation == "CreateItem":
        for items in (e for e in payload if _name(e) == "Items"):
            for item in items:
                if _name(item) not in MADE:
                    raise Rejected(f"syncd never answers anybody ({_name(item)})")


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
