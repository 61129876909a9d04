"""Nobody is mailed because of us whom the mapping did not mean: every request passes here before it leaves.

An allow-list, so that what nobody thought of is refused too. Exchange sends mail for a CreateItem, an
UpdateItem or a DeleteItem that does not say otherwise, and for each response object (AcceptItem,
CancelCalendarItem, ReplyToItem, ...), which are items of a CreateItem. What may tell the guests of a meeting
is a write into it, or its deletion, that was asked for as such (`syncd.ports.Replica.update`, `tell`); never
anything that is made.
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
#: Operation -> what a write that may tell the guests says instead: (attribute, value).
TELLING = {
    "UpdateItem": ("SendMeetingInvitationsOrCancellations", "SendToAllAndSaveCopy"),
    "DeleteItem": ("SendMeetingCancellations", "SendToAllAndSaveCopy"),
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


def said_to_guests(operation: str, *, tell: bool) -> str:
    """The word of a write about those who are invited: that nobody is told, or, where it is meant, all."""
    attribute, word = TELLING[operation]
    return word if tell else SILENT[attribute]


def refuse_to_send(payload: Any, *, tell: bool = False) -> None:
    """Raises Rejected when the request could make the server send mail to anybody. `tell`: the guests of the
    meeting that is written into may be told."""
    operation = _name(payload)
    if operation not in ALLOWED:
        raise Rejected(f"syncd never calls {operation}")
    meant = TELLING.get(operation) if tell else None
    for element in payload.iter():
        for attribute, value in element.attrib.items():
            if attribute in SILENT and value != SILENT[attribute]:
                if element is not payload or (attribute, value) != meant:
                    raise Rejected(f"syncd never sends mail ({attribute})")
        if _name(element) in PEOPLE:
            raise Rejected("syncd never invites anybody: participants are not written")
    for attribute in NEEDED.get(operation, ()):
        if payload.get(attribute) != SILENT[attribute] and (attribute, payload.get(attribute)) != meant:
            raise Rejected(f"syncd never sends mail ({operation} without {attribute})")
    if operation == "CreateItem":
        for items in (e for e in payload if _name(e) == "Items"):
            for item in items:
                if _name(item) not in MADE:
                    raise Rejected(f"syncd never answers anybody ({_name(item)})")


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
