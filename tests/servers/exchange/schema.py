"""What the server holds requests and answers to: Microsoft's schema where it lies beside the checkout, and
always a copy of the rules on which syncd relies (names and order are those of EWS types.xsd, messages.xsd).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
SHARED = Path(__file__).parents[4] / "shared" / "contract" / "ews"

_ITEM = [
    "MimeContent",
    "ItemId",
    "ParentFolderId",
    "ItemClass",
    "Subject",
    "Sensitivity",
    "Body",
    "Attachments",
    "DateTimeReceived",
    "Size",
    "Categories",
    "Importance",
    "InReplyTo",
    "IsSubmitted",
    "IsDraft",
    "IsFromMe",
    "IsResend",
    "IsUnmodified",
    "InternetMessageHeaders",
    "DateTimeSent",
    "DateTimeCreated",
    "ResponseObjects",
    "ReminderDueBy",
    "ReminderIsSet",
    "ReminderNextTime",
    "ReminderMinutesBeforeStart",
    "DisplayCc",
    "DisplayTo",
    "DisplayBcc",
    "HasAttachments",
    "ExtendedProperty",
    "Culture",
    "EffectiveRights",
    "LastModifiedName",
    "LastModifiedTime",
    "IsAssociated",
    "WebClientReadFormQueryString",
    "WebClientEditFormQueryString",
    "ConversationId",
    "UniqueBody",
    "Flag",
    "StoreEntryId",
    "InstanceKey",
    "NormalizedBody",
    "EntityExtractionResult",
    "PolicyTag",
    "ArchiveTag",
    "RetentionDate",
    "Preview",
    "TextBody",
    "IconIndex",
]
_CALENDAR = [
    "UID",
    "RecurrenceId",
    "DateTimeStamp",
    "Start",
    "End",
    "OriginalStart",
    "IsAllDayEvent",
    "LegacyFreeBusyStatus",
    "Location",
    "When",
    "IsMeeting",
    "IsCancelled",
    "IsRecurring",
    "MeetingRequestWasSent",
    "IsResponseRequested",
    "CalendarItemType",
    "MyResponseType",
    "Organizer",
    "RequiredAttendees",
    "OptionalAttendees",
    "Resources",
    "Duration",
    "TimeZone",
    "AppointmentReplyTime",
    "AppointmentSequenceNumber",
    "AppointmentState",
    "Recurrence",
    "FirstOccurrence",
    "LastOccurrence",
    "ModifiedOccurrences",
    "DeletedOccurrences",
    "MeetingTimeZone",
    "StartTimeZone",
    "EndTimeZone",
    "ConferenceType",
    "AllowNewTimeProposal",
    "IsOnlineMeeting",
    "MeetingWorkspaceUrl",
    "NetShowUrl",
    "EnhancedLocation",
    "JoinOnlineMeetingUrl",
    "IsOrganizer",
]
_TASK = [
    "ActualWork",
    "AssignedTime",
    "BillingInformation",
    "ChangeCount",
    "Companies",
    "CompleteDate",
    "Contacts",
    "DelegationState",
    "Delegator",
    "DueDate",
    "IsAssignmentEditable",
    "IsComplete",
    "IsRecurring",
    "IsTeamTask",
    "Mileage",
    "Owner",
    "PercentComplete",
    "Recurrence",
    "StartDate",
    "Status",
    "StatusDescription",
    "TotalWork",
]
_MESSAGE = [
    "Sender",
    "ToRecipients",
    "CcRecipients",
    "BccRecipients",
    "IsReadReceiptRequested",
    "IsDeliveryReceiptRequested",
    "ConversationIndex",
    "ConversationTopic",
    "From",
    "InternetMessageId",
    "IsRead",
    "IsResponseRequested",
    "References",
    "ReplyTo",
    "ReceivedBy",
    "ReceivedRepresenting",
]
_MEETING = [
    "AssociatedCalendarItemId",
    "IsDelegated",
    "IsOutOfDate",
    "HasBeenProcessed",
    "ResponseType",
    "UID",
    "RecurrenceId",
]
#: Item class -> its properties after those of every item, and the prefix of their paths.
CLASSES = {
    "CalendarItem": (_CALENDAR, "calendar"),
    "Task": (_TASK, "task"),
    "Message": (_MESSAGE, "message"),
    "MeetingRequest": ([*_MESSAGE, *_MEETING], "message"),
    "MeetingCancellation": ([*_MESSAGE, *_MEETING], "message"),
    "Item": ([], "item"),
    "PostItem": (_MESSAGE, "message"),
    "Contact": (["FileAs", "DisplayName", "GivenName", "CompanyName", "EmailAddresses"], "contacts"),
}


def order_of(kind: str) -> list[str]:
    """The names of an item's properties, in their order."""
    return [*_ITEM, *CLASSES[kind][0]]


def path_of(kind: str, name: str) -> str:
    """The FieldURI of a property."""
    if name in _ITEM:
        return f"item:{name}"
    if kind.startswith("Meeting") and name in _MEETING:
        return f"meeting:{name}" if name != "UID" else "calendar:UID"
    return f"{CLASSES[kind][1]}:{name}"


_CHILDREN = {
    "GetItem": "ItemShape ItemIds",
    "FindItem": "ItemShape IndexedPageItemView FractionalPageItemView SeekToConditionPageItemView CalendarView "
    "ContactsView GroupBy DistinguishedGroupBy Restriction SortOrder ParentFolderIds QueryString",
    "SyncFolderItems": "ItemShape SyncFolderId SyncState Ignore MaxChangesReturned SyncScope",
    "CreateItem": "SavedItemFolderId Items",
    "UpdateItem": "SavedItemFolderId ItemChanges",
    "DeleteItem": "ItemIds",
    "MoveItem": "ToFolderId ItemIds ReturnNewItemIds",
    "CopyItem": "ToFolderId ItemIds ReturnNewItemIds",
    "GetFolder": "FolderShape FolderIds",
    "FindFolder": "FolderShape IndexedPageFolderView FractionalPageFolderView Restriction ParentFolderIds",
    "ItemShape": "BaseShape IncludeMimeContent BodyType UniqueBodyType NormalizedBodyType FilterHtmlContent "
    "ConvertHtmlCodePageToUTF8 InlineImageUrlTemplate BlockExternalImages AddBlankTargetToLinks MaximumBodySize "
    "AdditionalProperties",
    "GetStreamingEvents": "SubscriptionIds ConnectionTimeout",
    "DailyRecurrence": "Interval",
    "WeeklyRecurrence": "Interval DaysOfWeek FirstDayOfWeek",
    "AbsoluteMonthlyRecurrence": "Interval DayOfMonth",
    "RelativeMonthlyRecurrence": "Interval DaysOfWeek DayOfWeekIndex",
    "AbsoluteYearlyRecurrence": "DayOfMonth Month",
    "RelativeYearlyRecurrence": "DaysOfWeek DayOfWeekIndex Month",
    "NoEndRecurrence": "StartDate",
    "EndDateRecurrence": "StartDate EndDate",
    "NumberedRecurrence": "StartDate NumberOfOccurrences",
}
_WORDS = {
    "Sensitivity": "Normal Personal Private Confidential",
    "Importance": "Low Normal High",
    "LegacyFreeBusyStatus": "Free Tentative Busy OOF WorkingElsewhere NoData",
    "Status": "NotStarted InProgress Completed WaitingOnOthers Deferred",
    "DayOfWeekIndex": "First Second Third Fourth Last",
    "BaseShape": "IdOnly Default AllProperties PcxPeopleSearch",
    "IsAllDayEvent": "true false 1 0",
}
_ATTRIBUTES = {
    "MessageDisposition": "SaveOnly SendOnly SendAndSaveCopy",
    "SendMeetingInvitations": "SendToNone SendOnlyToAll SendToAllAndSaveCopy",
    "SendMeetingInvitationsOrCancellations": "SendToNone SendOnlyToAll SendOnlyToChanged SendToAllAndSaveCopy "
    "SendToChangedAndSaveCopy",
    "SendMeetingCancellations": "SendToNone SendOnlyToAll SendToAllAndSaveCopy",
    "ConflictResolution": "NeverOverwrite AutoResolve AlwaysOverwrite",
    "DeleteType": "HardDelete SoftDelete MoveToDeletedItems",
    "Traversal": "Shallow Deep SoftDeleted Associated",
    "BodyType": "HTML Text Best",
}
#: Attributes without which a request about calendar items is refused.
_NEEDED = {"UpdateItem": ["ConflictResolution"], "DeleteItem": ["DeleteType"], "FindItem": ["Traversal"]}


def local(element: Any) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def violations(body: Any, *, request: bool) -> list[str]:
    """What is wrong with the element inside a SOAP body."""
    found = list(_by_rules(body))
    schema = _schema()
    if schema is not None and not schema.validate(body):
        found += [str(e.message) for e in schema.error_log][:5]
    return found


def _by_rules(body: Any) -> Any:
    for attribute in _NEEDED.get(local(body), ()):
        if attribute not in body.attrib:
            yield f"{local(body)} needs {attribute}"
    for element in body.iter():
        if not isinstance(element.tag, str):
            continue
        name = local(element)
        order = order_of(name) if name in CLASSES and element.tag.startswith(T) else _CHILDREN.get(name, "").split()
        if order:
            places = []
            for child in (c for c in element if isinstance(c.tag, str)):
                if local(child) not in order:
                    yield f"{name} has no {local(child)}"
                    continue
                places.append(order.index(local(child)))
            if places != sorted(places):
                yield f"the parts of {name} are out of order"
        if name in _WORDS and element.text is not None and element.text.strip() not in _WORDS[name].split():
            yield f"{name} is none of its words"
        for attribute, value in element.attrib.items():
            if attribute in _ATTRIBUTES and value not in _ATTRIBUTES[attribute].split():
                yield f"{attribute} is none of its words"


@lru_cache(maxsize=1)
def _schema() -> Any:
    file = SHARED / "messages.xsd"
    return etree.XMLSchema(etree.parse(str(file))) if file.is_file() else None


def with_schema() -> bool:
    """True when Microsoft's schema is at hand."""
    return (SHARED / "messages.xsd").is_file()
