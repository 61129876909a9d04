"""The operations of the server. Each rule cites its source in docs/exchange-double.md by its number [n]."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from tests.servers.exchange.schema import CLASSES, M, T, local, order_of, path_of
from tests.servers.exchange.store import Folder, Item, Mailbox, Outgoing, Store, element, moment, stamp

#: Properties of items that the server reckons itself; a client cannot write them.
_COMPUTED = frozenset(
    {
        "calendar:CalendarItemType", "calendar:IsMeeting", "calendar:IsCancelled", "calendar:IsRecurring",
        "calendar:Organizer", "calendar:MyResponseType", "calendar:ModifiedOccurrences", "calendar:DeletedOccurrences",
        "calendar:FirstOccurrence", "calendar:LastOccurrence", "item:LastModifiedTime", "item:DateTimeCreated",
        "item:ParentFolderId", "item:HasAttachments", "item:Attachments", "item:Size", "item:TextBody",
        "calendar:AppointmentState", "task:CompleteDate", "task:IsComplete", "item:IsFromMe", "item:ConversationId",
        "calendar:RecurrenceId", "calendar:OriginalStart", "item:DisplayTo", "item:DisplayCc", "calendar:IsOrganizer",
    }
)  # fmt: skip
#: MAPI tag -> the property of EWS that shows it, and its element.
_TAGS = {
    "ext:0x0039": ("item:DateTimeSent", "DateTimeSent"),
    "ext:0x0e06": ("item:DateTimeReceived", "DateTimeReceived"),
    "ext:0x0e07": ("item:IsDraft", "IsDraft"),
}
_STATE = "ext:Appointment/33303"
#: What an exception may hold of its own.
_OF_EXCEPTIONS = frozenset(
    {
        "item:Subject", "item:Sensitivity", "item:Body", "item:Categories", "item:Importance", "item:ReminderIsSet",
        "item:ReminderMinutesBeforeStart", "calendar:LegacyFreeBusyStatus", "calendar:Location",
    }
)  # fmt: skip


class Fault(Exception):
    """A response code; in a response message, or for the whole request."""

    def __init__(self, code: str, text: str = "", *, whole: bool = False) -> None:
        super().__init__(code)
        self.code, self.text, self.whole = code, text or f"{code}.", whole


@dataclass
class Quirks:
    """What some servers do otherwise."""

    #: Change keys are taken and not compared (grommunio's early versions, emulations).
    ignores_change_keys: bool = False
    #: A write is followed by another change of the server's own: the change key in the answer is old already.
    bumps_after_write: bool = False
    #: The body comes back as HTML of the server's own making, whatever was written.
    rewrites_html: bool = True
    #: Every mailbox is kept by another machine: a stream takes the subscriptions of one of them only.
    one_machine_each: bool = False
    #: What an occurrence's number counts: "all" of the rule, those that are "visible" as they were not deleted, or
    #: something that nobody has thought of yet ("other") [21].
    numbers: str = "all"
    #: An occurrence of an endless series beyond the tenth is unknown, by a SOAP client fault [22].
    ten_of_endless: bool = False
    #: A mailbox that is not there is told by a SOAP client fault [22].
    faults_for_mailboxes: bool = False
    #: IsGreaterThanOrEqualTo is unknown, by a SOAP client fault [22].
    refuses_or_equal: bool = False
    #: The word for an address of the internet [23].
    routing: str = "SMTP"
    #: Each document of a stream holds a StatusEvent of every subscription in which nothing happened [24].
    status_events: bool = False
    #: A subscription that is unknown is dropped from its stream, which goes on [24].
    drops_in_passing: bool = False
    #: Properties that are not taken, without a word [25].
    ignores: frozenset[str] = frozenset()
    #: A percentage that was written is told so many times as large [25].
    percent_times: int = 1
    #: How original starts are told: "exact"; by the offset of the series' first start ("first"); as the midnight
    #: of their day by that offset ("midnight") [26].
    original_starts: str = "exact"
    #: An exception is a copy of the whole series: what is written into the series later does not reach it [27].
    whole_exceptions: bool = False
    #: Writing the pattern or the start of a series keeps its exceptions, with all that they hold [11].
    keeps_exceptions: bool = False
    #: API versions that are taken, newest first.
    versions: tuple[str, ...] = ("Exchange2016", "Exchange2015", "Exchange2013_SP1", "Exchange2013", "Exchange2010_SP2",
                                 "Exchange2010_SP1", "Exchange2010", "Exchange2007_SP1", "Exchange2007")  # fmt: skip
    #: ServerVersionInfo: Subscription Edition.
    build: tuple[int, int, int, int] = (15, 2, 2562, 17)


@dataclass
class Caller:
    """Who asks, and whose mailbox is meant."""

    user: str
    #: The mailbox whose folders are named without an owner.
    address: str
    #: Impersonates: may open everything of it.
    whole: bool = True


@dataclass
class Subscription:
    """A streaming or pull subscription."""

    id: str
    mailbox: Mailbox
    folders: frozenset[str]
    events: frozenset[str]
    since: int


@dataclass
class Operations:
    """Answers requests; its state is the store's."""

    store: Store
    quirks: Quirks = field(default_factory=Quirks)
    #: User -> addresses of mailboxes that the user may open as a delegate.
    delegates: dict[str, set[str]] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    def answer(self, request: Any, caller: Caller) -> Any:
        """The element of the answer. Raises Fault for the whole request."""
        name = local(request)
        handler: Callable[[Any, Caller], Iterator[Any]] | None = getattr(self, f"_{name}", None)
        if handler is None:
            raise Fault("ErrorInvalidRequest", whole=True)
        with self.store.lock:
            self.store.acting = frozenset({caller.address, *self.delegates.get(caller.user, ())})
            try:
                messages = list(handler(request, caller))
            finally:
                self.store.acting = frozenset()
        made = etree.Element(f"{M}{name}Response", nsmap={"m": M[1:-1], "t": T[1:-1]})
        etree.SubElement(made, f"{M}ResponseMessages").extend(messages)
        return made

    # -- messages -------------------------------------------------------------------------------------------------

    def _each(self, name: str, things: Any, act: Callable[[Any], list[Any]]) -> Iterator[Any]:
        """A response message for each thing; one that fails stops no other [1]."""
        for thing in things:
            try:
                yield self._message(name, *act(thing))
            except Fault as fault:
                if fault.whole:
                    raise
                yield self._refused(name, fault)

    def _message(self, name: str, *parts: Any) -> Any:
        made = etree.Element(f"{M}{name}ResponseMessage", ResponseClass="Success")
        etree.SubElement(made, f"{M}ResponseCode").text = "NoError"
        made.extend(parts)
        return made

    def _refused(self, name: str, fault: Fault) -> Any:
        made = etree.Element(f"{M}{name}ResponseMessage", ResponseClass="Error")
        for tag, text in (("MessageText", fault.text), ("ResponseCode", fault.code), ("DescriptiveLinkKey", "0")):
            etree.SubElement(made, M + tag).text = text
        if name in ("CreateItem", "UpdateItem", "GetItem"):
            etree.SubElement(made, f"{M}Items")
        if name in ("GetFolder", "CreateFolder"):
            etree.SubElement(made, f"{M}Folders")
        return made

    # -- whose ----------------------------------------------------------------------------------------------------

    def _folder(self, at: Any, caller: Caller) -> tuple[Mailbox, Folder]:
        """A FolderId or DistinguishedFolderId; a delegate names the mailbox in it [2]."""
        if local(at) == "DistinguishedFolderId":
            owner = at.findtext(f"{T}Mailbox/{T}EmailAddress")
            box = self._opened((owner or caller.address).lower(), caller)
            found = next((f for f in box.folders.values() if f.distinguished == at.get("Id")), None)
            if found is None:
                raise Fault("ErrorFolderNotFound")
            return box, found
        for box in self.store.mailboxes.values():
            if at.get("Id") in box.folders:
                return self._opened(box.address, caller), box.folders[at.get("Id")]
        raise Fault("ErrorFolderNotFound" if len(at.get("Id", "")) > 30 else "ErrorInvalidIdMalformed")

    def _opened(self, address: str, caller: Caller) -> Mailbox:
        if address not in self.store.mailboxes:
            if self.quirks.faults_for_mailboxes:
                raise Fault("SOAP:Client", whole=True)
            raise Fault("ErrorNonExistentMailbox")
        mine = address == caller.address
        if not mine and address not in self.delegates.get(caller.user, set()):
            raise Fault("ErrorAccessDenied")
        return self.store.mailboxes[address]

    def _item(self, at: Any, caller: Caller) -> tuple[Mailbox, Item, datetime | None]:
        """An ItemId, or an occurrence's [3]: (mailbox, item or master, original start of the occurrence)."""
        if local(at) == "OccurrenceItemId":
            box, item = self._by_id(at.get("RecurringMasterId", ""), caller)
            index = int(at.get("InstanceIndex", "0"))
            index += 2 * (self.quirks.numbers == "other")
            visible = self.quirks.numbers == "visible"
            counted = (s for s in item.starts() if not visible or s not in item.deleted) if item.series else iter(())
            endless = item.series and item.props["calendar:Recurrence"].find(f"{T}NoEndRecurrence") is not None
            if endless and self.quirks.ten_of_endless and index > 10:
                raise Fault("SOAP:Client", whole=True)
            start = next((s for n, s in enumerate(counted, 1) if n == index), None)
            if start is None:
                raise Fault("ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange")
            if start in item.deleted:
                raise Fault("ErrorCalendarOccurrenceIsDeletedFromRecurrence")
            return box, item, start
        if local(at) == "RecurringMasterItemId":
            box, item, _ = self._item(element("ItemId", Id=at.get("OccurrenceId", "")), caller)
            return box, item, None
        text = at.get("Id", "")
        if "!" in text:  # an occurrence that a listing has named
            master, _, when = text.partition("!")
            box, item = self._by_id(master, caller)
            start = datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            if start in item.deleted or start not in item.starts():
                raise Fault("ErrorItemNotFound")
            return box, item, start
        box, item = self._by_id(text, caller)
        return box, item, None

    def _by_id(self, text: str, caller: Caller) -> tuple[Mailbox, Item]:
        try:
            base64.b64decode(text, validate=True)
        except ValueError:
            raise Fault("ErrorInvalidIdMalformed") from None
        for box in self.store.mailboxes.values():
            if text in box.items:
                return self._opened(box.address, caller), box.items[text]
        raise Fault("ErrorItemNotFound")

    # -- folders --------------------------------------------------------------------------------------------------

    def _GetFolder(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, folder = self._folder(at, caller)
            made = etree.Element(f"{M}Folders")
            made.append(self._shown_folder(box, folder, request.find(f"{M}FolderShape")))
            return [made]

        return self._each("GetFolder", request.find(f"{M}FolderIds"), act)

    def _FindFolder(self, request: Any, caller: Caller) -> Iterator[Any]:
        from tests.servers.exchange.search import folder_matches

        def act(at: Any) -> list[Any]:
            box, folder = self._folder(at, caller)
            deep = request.get("Traversal") == "Deep"
            found = [f for f in box.folders.values() if f.id != folder.id and _under(box, f, folder.id, deep)]
            restriction = request.find(f"{M}Restriction")
            found = [f for f in found if restriction is None or folder_matches(f, restriction[0])]
            view = request.find(f"{M}IndexedPageFolderView")
            offset = int(view.get("Offset", "0")) if view is not None else 0
            most = int(view.get("MaxEntriesReturned", "1000")) if view is not None else 1000
            page = found[offset : offset + most]
            root = etree.Element(
                f"{M}RootFolder",
                TotalItemsInView=str(len(found)),
                IncludesLastItemInRange="true" if offset + most >= len(found) else "false",
                IndexedPagingOffset=str(offset + len(page)),
            )
            etree.SubElement(root, f"{T}Folders").extend(
                self._shown_folder(box, f, request.find(f"{M}FolderShape")) for f in page
            )
            return [root]

        return self._each("FindFolder", request.find(f"{M}ParentFolderIds"), act)

    def _CreateFolder(self, request: Any, caller: Caller) -> Iterator[Any]:
        box, parent = self._folder(request.find(f"{M}ParentFolderId")[0], caller)

        def act(at: Any) -> list[Any]:
            name = at.findtext(f"{T}DisplayName") or ""
            if any(f.parent == parent.id and f.name.casefold() == name.casefold() for f in box.folders.values()):
                raise Fault("ErrorFolderExists")
            kind = {"IPF.Appointment": "CalendarFolder", "IPF.Task": "TasksFolder"}.get(
                at.findtext(f"{T}FolderClass") or "", local(at)
            )
            made = etree.Element(f"{M}Folders")
            made.append(self._shown_folder(box, box.add_folder(name, kind, parent.id)))
            return [made]

        return self._each("CreateFolder", request.find(f"{M}Folders"), act)

    def _DeleteFolder(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, folder = self._folder(at, caller)
            if folder.distinguished:
                raise Fault("ErrorDeleteDistinguishedFolder")
            for item in [i for i in box.items.values() if i.folder == folder.id]:
                box.remove(item)
            del box.folders[folder.id]
            return []

        return self._each("DeleteFolder", request.find(f"{M}FolderIds"), act)

    def _shown_folder(self, box: Mailbox, folder: Folder, wanted: Any = None) -> Any:
        made = element(folder.element)
        made.append(element("FolderId", Id=folder.id, ChangeKey="AQAAAA=="))
        if folder.parent:
            made.append(element("ParentFolderId", Id=folder.parent, ChangeKey="AQAAAA=="))
        kinds = {"CalendarFolder": "IPF.Appointment", "TasksFolder": "IPF.Task", "ContactsFolder": "IPF.Contact"}
        made.append(element("FolderClass", kinds.get(folder.element, "IPF.Note")))
        made.append(element("DisplayName", folder.name))
        inside = [i for i in box.items.values() if i.folder == folder.id]
        made.append(element("TotalCount", str(len(inside))))
        made.append(element("ChildFolderCount", str(sum(f.parent == folder.id for f in box.folders.values()))))
        for path in wanted.iter(f"{T}ExtendedFieldURI") if wanted is not None else ():
            if path_of_element(path) == "ext:0x3613":  # PidTagContainerClass
                container = etree.SubElement(made, f"{T}ExtendedProperty")
                container.append(copy.deepcopy(path))
                container.append(element("Value", kinds.get(folder.element, "IPF.Note")))
        if folder.element in ("Folder", "TasksFolder"):
            made.append(element("UnreadCount", str(sum(not i.read for i in inside))))
        return made

    # -- reading --------------------------------------------------------------------------------------------------

    def _SyncFolderItems(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, folder = self._folder(at, caller)
            most = int(request.findtext(f"{M}MaxChangesReturned") or 0)
            if not 1 <= most <= 512:
                raise Fault("ErrorSchemaValidation", whole=True)  # [4]
            state = request.findtext(f"{M}SyncState") or ""
            try:
                page, behind, last = box.feed(folder, state, most)
            except ValueError:
                raise Fault("ErrorInvalidSyncStateData") from None
            changes = etree.Element(f"{M}Changes")
            for what, ref in page:
                changes.append(self._change(box, what, ref, request.find(f"{M}ItemShape")))
            return [_m("SyncState", behind), _m("IncludesLastItemInRange", "true" if last else "false"), changes]

        return self._each("SyncFolderItems", request.find(f"{M}SyncFolderId"), act)

    def _change(self, box: Mailbox, what: str, ref: str, wanted: Any) -> Any:
        made = element(what)
        if what in ("Delete", "ReadFlagChange"):
            made.append(
                element("ItemId", Id=ref, ChangeKey=box.items[ref].change_key if ref in box.items else "AQAAAA==")
            )
            if what == "ReadFlagChange":
                made.append(element("IsRead", "true" if box.items[ref].read else "false"))
            return made
        item = box.items[ref]
        shown = self._shown(box, item, None, wanted)
        for name in ("Body", "Attachments", "Recurrence", "ModifiedOccurrences", "DeletedOccurrences"):  # [5]
            for found in shown.findall(T + name):
                shown.remove(found)
        made.append(shown)
        return made

    def _GetItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, item, start = self._item(at, caller)
            made = etree.Element(f"{M}Items")
            made.append(self._shown(box, item, start, request.find(f"{M}ItemShape")))
            return [made]

        return self._each("GetItem", request.find(f"{M}ItemIds"), act)

    def _FindItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        from tests.servers.exchange.search import matches, sorted_by

        def act(at: Any) -> list[Any]:
            box, folder = self._folder(at, caller)
            there = [i for i in box.items.values() if i.folder == folder.id]
            view = request.find(f"{M}CalendarView")
            found: list[tuple[Item, datetime | None]]
            if view is not None:
                found = list(_in_view(there, moment(view.get("StartDate")), moment(view.get("EndDate"))))
            else:
                restriction = request.find(f"{M}Restriction")
                found = [(i, None) for i in there if restriction is None or matches(self, box, i, restriction[0])]
                found = sorted_by(self, box, found, request.find(f"{M}SortOrder"))
            paged = request.find(f"{M}IndexedPageItemView")
            if paged is None:
                paged = request.find(f"{M}FractionalPageItemView")
            offset = int(paged.get("Offset", "0")) if paged is not None else 0
            most = int(paged.get("MaxEntriesReturned") or 1000) if paged is not None else 1000
            page = found[offset : offset + most]
            root = etree.Element(
                f"{M}RootFolder",
                IndexedPagingOffset=str(offset + len(page)),
                TotalItemsInView=str(len(found)),
                IncludesLastItemInRange="true" if offset + most >= len(found) else "false",
            )
            items = etree.SubElement(root, f"{T}Items")
            for item, start in page:
                shown = self._shown(box, item, start, request.find(f"{M}ItemShape"))
                for body in shown.findall(f"{T}Body"):  # FindItem has no bodies [6]
                    shown.remove(body)
                items.append(shown)
            return [root]

        return self._each("FindItem", request.find(f"{M}ParentFolderIds"), act)

    def _GetAttachment(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            ref, _, number = at.get("Id", "").rpartition("#")
            _, item = self._by_id(ref, caller)
            if not number.isdigit() or int(number) >= len(item.files):
                raise Fault("ErrorInvalidAttachmentId")
            name, kind, content = item.files[int(number)]
            file = element("FileAttachment")
            file.append(element("AttachmentId", Id=at.get("Id", "")))
            file.append(element("Name", name))
            file.append(element("ContentType", kind))
            file.append(element("Content", base64.b64encode(content).decode()))
            made = etree.Element(f"{M}Attachments")
            made.append(file)
            return [made]

        return self._each("GetAttachment", request.find(f"{M}AttachmentIds"), act)

    def _GetUserConfiguration(self, request: Any, caller: Caller) -> Iterator[Any]:
        """Nobody has kept any options of a web client here."""
        yield self._refused("GetUserConfiguration", Fault("ErrorItemNotFound"))

    def _ConvertId(self, request: Any, caller: Caller) -> Iterator[Any]:
        """The same id in another format: here they are all alike."""

        def act(at: Any) -> list[Any]:
            xsi = "{http://www.w3.org/2001/XMLSchema-instance}type"
            made = etree.Element(f"{M}AlternateId", {xsi: "t:AlternateIdType"}, nsmap={"t": T[1:-1]})
            made.set("Format", request.get("DestinationFormat"))
            made.set("Id", at.get("Id"))
            made.set("Mailbox", caller.address)
            return [made]

        return self._each("ConvertId", request.find(f"{M}SourceIds"), act)

    # -- how an item is shown ---------------------------------------------------------------------------------------

    def _shown(self, box: Mailbox, item: Item, start: datetime | None, wanted: Any) -> Any:
        """The item with the properties that the shape asks for, in the schema's order."""
        values = self.values(box, item, start)
        base = wanted.findtext(f"{T}BaseShape")
        asked = {"item:ItemId"}
        if base == "AllProperties":
            asked |= {p for p in values if not p.startswith("ext:")} - {"item:TextBody"}
        elif base == "Default":
            asked |= {"item:Subject", "item:HasAttachments", "calendar:Start", "calendar:End", "calendar:Location",
                      "calendar:LegacyFreeBusyStatus", "calendar:CalendarItemType", "calendar:UID", "item:Body",
                      "calendar:Organizer", "message:From", "message:IsRead", "task:DueDate",
                      "task:Status"}  # fmt: skip
        extra = wanted.find(f"{T}AdditionalProperties")
        for path in extra if extra is not None else ():
            asked.add(path_of_element(path))
        if wanted.findtext(f"{T}IncludeMimeContent") in ("true", "1") and item.kind == "CalendarItem":
            from tests.servers.exchange.outlook import as_calendar

            text = base64.b64encode(as_calendar(self, box, item).encode()).decode()
            values["item:MimeContent"] = element("MimeContent", text, CharacterSet="UTF-8")
            asked.add("item:MimeContent")
        if wanted.findtext(f"{T}BodyType") == "Text" and "item:Body" in values:
            values["item:Body"] = _as_text(values["item:Body"])
        made = element(item.kind)
        if self.quirks.routing != "SMTP":
            values = {p: self._routed(e) for p, e in values.items()}
        for name in order_of(item.kind):
            if name == "ExtendedProperty":
                made.extend(copy.deepcopy(values[p]) for p in sorted(values) if p.startswith("ext:") and p in asked)
                continue
            path = path_of(item.kind, name)
            if path in asked and path in values:
                made.append(copy.deepcopy(values[path]))
        return made

    def _routed(self, value: Any) -> Any:
        """A property with this server's word for an address of the internet [23]."""
        if not isinstance(value, str) and value.find(f".//{T}RoutingType") is not None:
            value = copy.deepcopy(value)
            for each in value.iter(f"{T}RoutingType"):
                each.text = self.quirks.routing if each.text == "SMTP" else each.text
        return value

    def values(self, box: Mailbox, item: Item, start: datetime | None = None) -> dict[str, Any]:
        """All properties, those that the server reckons too; of one occurrence when `start` says which."""
        values = dict(item.props)
        ref, key = item.id, item.change_key
        if start is not None:
            length = item.moment("calendar:End") - item.moment("calendar:Start")
            begins = self._told(item, start, midnight=False)
            values |= {
                "calendar:Start": element("Start", stamp(begins)),
                "calendar:End": element("End", stamp(begins + length)),
            }
            values |= item.exceptions.get(start, {})
            values.pop("calendar:Recurrence", None)
            values["calendar:RecurrenceId"] = element("RecurrenceId", stamp(self._told(item, start)))
            if self.quirks.original_starts == "exact":
                values["calendar:OriginalStart"] = element("OriginalStart", stamp(start))
            ref = f"{item.id}!{start:%Y%m%dT%H%M%SZ}"
        values["item:ItemId"] = element("ItemId", Id=ref, ChangeKey=key)
        values["item:ParentFolderId"] = element("ParentFolderId", Id=item.folder, ChangeKey="AQAAAA==")
        values.setdefault("item:ItemClass", element("ItemClass", _item_class(item.kind)))
        values["item:LastModifiedTime"] = element("LastModifiedTime", stamp(item.modified))
        values["item:DateTimeCreated"] = element("DateTimeCreated", stamp(item.created))
        if "item:HasAttachments" not in values:
            values["item:HasAttachments"] = element("HasAttachments", "true" if item.files else "false")
        for path, name, otherwise in (
            ("item:Sensitivity", "Sensitivity", "Normal"),
            ("item:Importance", "Importance", "Normal"),
        ):
            values.setdefault(path, element(name, otherwise))
        article = element("ExtendedProperty")  # PidTagInternetArticleNumber: the server counts [18]
        article.append(element("ExtendedFieldURI", PropertyTag="0xe23", PropertyType="Integer"))
        article.append(element("Value", str(item.number)))
        values["ext:0x0e23"] = article
        if item.files:
            values["item:Attachments"] = _files(item)
        body = values.get("item:Body")
        if body is not None:
            values["item:Body"] = self._body(body)
            values["item:TextBody"] = element("TextBody", _as_text(body).text, BodyType="Text")
        if item.kind == "CalendarItem":
            recurring = element("ExtendedProperty")  # PidLidRecurring [18]
            uri = {"DistinguishedPropertySetId": "Appointment", "PropertyId": "33315", "PropertyType": "Boolean"}
            recurring.append(element("ExtendedFieldURI", **uri))
            recurring.append(element("Value", "true" if item.series else "false"))
            values["ext:Appointment/33315"] = recurring
            values |= self._calendar(box, item, start, values)
        elif item.kind == "Task":
            done = item.text("task:Status") == "Completed"
            values.setdefault("task:Status", element("Status", "NotStarted"))
            values.setdefault("task:PercentComplete", element("PercentComplete", "0"))
            values["task:IsComplete"] = element("IsComplete", "true" if done else "false")
        else:
            values.setdefault("item:DateTimeReceived", element("DateTimeReceived", stamp(item.created)))
            values["message:IsRead"] = element("IsRead", "true" if item.read else "false")
        return values

    def _told(self, item: Item, start: datetime, *, midnight: bool = True) -> datetime:
        """An original start as this server tells it [26]."""
        how = self.quirks.original_starts
        if how == "exact" or not item.series:
            return start
        first = item.moment("calendar:Start").astimezone(item.zone).utcoffset() or timedelta()
        local = start.astimezone(item.zone).replace(tzinfo=UTC)
        if how == "midnight" and midnight:
            local = local.replace(hour=0, minute=0)
        return local - first

    def _body(self, body: Any) -> Any:
        """HTML comes back as the server's own HTML [7]."""
        if body.get("BodyType") != "HTML" or not self.quirks.rewrites_html:
            return body
        text = body.text or ""
        if "<body" not in text.lower():
            text = f"<body>\r\n{text}\r\n</body>"
        if "exchange server" not in text.lower():
            head = '<head>\r\n<meta name="Generator" content="Microsoft Exchange Server">\r\n</head>'
            inner = text[text.lower().index("<body") :].rstrip()
            inner = inner[: -len("</html>")] if inner.lower().endswith("</html>") else inner
            text = f"<html>\r\n{head}\r\n{inner}\r\n</html>\r\n"
        return element("Body", text, BodyType="HTML")

    def _calendar(self, box: Mailbox, item: Item, start: datetime | None, values: dict[str, Any]) -> dict[str, Any]:
        kind = "Single"
        if item.series:
            kind = "RecurringMaster" if start is None else "Exception" if start in item.exceptions else "Occurrence"
        people = any(
            values.get(f"calendar:{n}") is not None for n in ("RequiredAttendees", "OptionalAttendees", "Resources")
        )
        organizer = item.props.get("organizer")
        address = organizer if isinstance(organizer, str) else box.address
        state = int((values[_STATE].findtext(f"{T}Value") if _STATE in values else "0") or 0)
        state |= (1 if people else 0) | (2 if address != box.address else 0)
        mine = "Organizer" if people else "Unknown"
        answer = mine if address == box.address else item.props.get("answer") or "NoResponseReceived"
        found = {
            "calendar:CalendarItemType": element("CalendarItemType", kind),
            "calendar:IsMeeting": element("IsMeeting", "true" if people else "false"),
            "calendar:IsCancelled": element("IsCancelled", "true" if state & 4 else "false"),
            "calendar:AppointmentState": element("AppointmentState", str(state)),
            "calendar:IsRecurring": element("IsRecurring", "true" if start is not None else "false"),
            "calendar:Organizer": _mailbox("Organizer", address),
            "calendar:MyResponseType": element("MyResponseType", answer),
        }
        values.pop("organizer", None), values.pop("answer", None)
        for path, name, otherwise in (
            ("calendar:IsAllDayEvent", "IsAllDayEvent", "false"),
            ("calendar:LegacyFreeBusyStatus", "LegacyFreeBusyStatus", "Busy"),
        ):
            if path not in values:
                found[path] = element(name, otherwise)
        if item.series and start is None:
            length = item.moment("calendar:End") - item.moment("calendar:Start")
            if item.exceptions:
                listed = element("ModifiedOccurrences")
                for original, props in sorted(item.exceptions.items()):
                    one = etree.SubElement(listed, f"{T}Occurrence")
                    one.append(element("ItemId", Id=f"{item.id}!{original:%Y%m%dT%H%M%SZ}", ChangeKey=item.change_key))
                    told = self._told(item, original, midnight=False)
                    begins = moment(props["calendar:Start"].text) if "calendar:Start" in props else told
                    ends = moment(props["calendar:End"].text) if "calendar:End" in props else begins + length
                    one.append(element("Start", stamp(begins)))
                    one.append(element("End", stamp(ends)))
                    one.append(element("OriginalStart", stamp(self._told(item, original))))
                found["calendar:ModifiedOccurrences"] = listed
            if item.deleted:
                listed = element("DeletedOccurrences")
                for original in sorted(item.deleted):
                    told = self._told(item, original, midnight=False)
                    etree.SubElement(listed, f"{T}DeletedOccurrence").append(element("Start", stamp(told)))
                found["calendar:DeletedOccurrences"] = listed
        return found

    # -- writing --------------------------------------------------------------------------------------------------

    def _CreateItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        saved = request.find(f"{M}SavedItemFolderId")

        def act(at: Any) -> list[Any]:
            kind = local(at)
            if kind in ("AcceptItem", "DeclineItem", "TentativelyAcceptItem", "CancelCalendarItem", "ReplyToItem",
                        "ReplyAllToItem", "ForwardItem"):  # fmt: skip
                self._send(f"CreateItem {kind}", ("organizer",), "")
                return [etree.Element(f"{M}Items")]
            if kind == "CalendarItem" and request.get("SendMeetingInvitations") is None:
                raise Fault("ErrorSendMeetingInvitationsRequired")  # [8]
            where = {"CalendarItem": "calendar", "Task": "tasks", "Contact": "contacts"}.get(kind, "drafts")
            target = saved[0] if saved is not None else element("DistinguishedFolderId", Id=where)
            box, folder = self._folder(target, caller)
            item = Item(box.new_id("I"), kind if kind in CLASSES else "Item", folder.id, {})
            for prop in _whole(item.kind, at):
                if path_of_property(item.kind, prop) not in self.quirks.ignores:
                    self._set(item, item.props, path_of_property(item.kind, prop), prop)
            self._complete(box, item)
            box.put(item)
            if request.get("MessageDisposition") in ("SendOnly", "SendAndSaveCopy"):
                self._send("CreateItem MessageDisposition", ("recipients",), item.text("item:Subject"))
            self._invite(box, item, request.get("SendMeetingInvitations"), "CreateItem")
            made = etree.Element(f"{M}Items")
            one = etree.SubElement(made, T + item.kind)
            one.append(element("ItemId", Id=item.id, ChangeKey=item.change_key))
            if self.quirks.bumps_after_write:
                box.touch(item)
            return [made]

        return self._each("CreateItem", request.find(f"{M}Items"), act)

    def _complete(self, box: Mailbox, item: Item) -> None:
        """What the server adds to a new item, and what it refuses."""
        if item.kind == "CalendarItem":
            if "calendar:Start" not in item.props:
                now = datetime.now(UTC).replace(minute=0, second=0)
                item.props["calendar:Start"] = element("Start", stamp(now))
                item.props["calendar:End"] = element("End", stamp(now + timedelta(minutes=30)))
            if item.moment("calendar:End") < item.moment("calendar:Start"):
                raise Fault("ErrorCalendarEndDateIsEarlierThanStartDate")
            item.props.setdefault("calendar:UID", element("UID", box.new_uid()))
            for name in ("StartTimeZone", "EndTimeZone"):
                item.props.setdefault(
                    f"calendar:{name}", element(name, Id="UTC", Name="(UTC) Coordinated Universal Time")
                )
            if item.series:
                self._shift(item)
        elif item.kind == "Task":
            self._status(item)

    def _shift(self, item: Item) -> None:
        """The first occurrence is the pattern's: a start that is none moves there [9]."""
        first = next(item.starts(1), None)
        if first is None:
            raise Fault("ErrorRecurrenceHasNoOccurrence")
        begins = item.moment("calendar:Start")
        if first != begins:
            ends = item.moment("calendar:End") + (first - begins)
            item.props["calendar:Start"] = element("Start", stamp(first))
            item.props["calendar:End"] = element("End", stamp(ends))

    def _status(self, item: Item) -> None:
        """Status and percentage of a task go together [10]."""
        done = item.text("task:Status") == "Completed" or item.text("task:PercentComplete") in ("100", "100.0")
        if done:
            item.props["task:Status"] = element("Status", "Completed")
            item.props["task:PercentComplete"] = element("PercentComplete", "100")
            item.props.setdefault("task:CompleteDate", element("CompleteDate", stamp(datetime.now(UTC))))
        else:
            item.props.pop("task:CompleteDate", None)

    def _set(self, item: Item, props: dict[str, Any], path: str, value: Any) -> None:
        if path in _COMPUTED:
            raise Fault("ErrorInvalidPropertySet")
        kept = copy.deepcopy(value)
        kept.tail = None
        if path in ("calendar:Start", "calendar:End", "calendar:StartTimeZone", "calendar:EndTimeZone"):
            if "TimeZone" not in path:
                kept.text = stamp(moment(kept.text or ""))
            else:
                from syncd.outlook.zones import iana_of

                if iana_of(kept.get("Id", "")) is None and not len(kept):
                    raise Fault("ErrorTimeZone")
        if path == "item:Subject" and len(kept.text or "") > 255:
            raise Fault("ErrorPropertyValidationFailure")
        if path == "task:DueDate":
            kept.text = stamp(moment(kept.text or "").replace(hour=0, minute=0, second=0))
        if path == "message:IsRead":
            item.read = kept.text == "true"
        if path in _TAGS:  # the same property by its MAPI name [17]
            alias, name = _TAGS[path]
            value_of = kept.findtext(f"{T}Value") or ""
            if name == "IsDraft":
                value_of = "false" if int(value_of) & 8 == 0 else "true"
            props[alias] = element(name, value_of)
        props[path] = kept

    def _UpdateItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, item, start = self._item(at[0], caller)
            if item.kind == "CalendarItem" and request.get("SendMeetingInvitationsOrCancellations") is None:
                raise Fault("ErrorSendMeetingInvitationsOrCancellationsRequired")
            self._expected(at[0], item, request.get("ConflictResolution"))
            trial = copy.deepcopy(item)
            props = self._exception(trial, start) if start is not None else trial.props
            paths = set()
            for change in at.find(f"{T}Updates"):
                path = path_of_element(change[0])
                paths.add(path)
                if path in self.quirks.ignores:
                    continue
                if local(change) == "DeleteItemField":
                    props.pop(path, None)
                elif path == "item:MimeContent":
                    for prop in _whole(trial.kind, change[1]):
                        self._set(trial, props, path_of_property(trial.kind, prop), prop)
                elif local(change) == "SetItemField":
                    self._set(trial, props, path, change[1][0])
                else:
                    raise Fault("ErrorInvalidPropertyAppend")
            self._checked(trial, start, paths, props, list(item.starts(200)) if item.series else [])
            item.props, item.exceptions, item.deleted, item.read = (
                trial.props,
                trial.exceptions,
                trial.deleted,
                trial.read,
            )
            if paths <= {"message:IsRead"}:
                box.mark_read(item, item.read)
            else:
                box.touch(item)
            self._invite(box, item, request.get("SendMeetingInvitationsOrCancellations"), "UpdateItem")
            made = etree.Element(f"{M}Items")
            one = etree.SubElement(made, T + item.kind)
            ref = item.id if start is None else f"{item.id}!{start:%Y%m%dT%H%M%SZ}"
            one.append(element("ItemId", Id=ref, ChangeKey=item.change_key))
            conflicts = etree.Element(f"{M}ConflictResults")
            conflicts.append(element("Count", "0"))
            if self.quirks.bumps_after_write:
                box.touch(item)
            return [made, conflicts]

        return self._each("UpdateItem", request.find(f"{M}ItemChanges"), act)

    def _exception(self, item: Item, start: datetime) -> dict[str, Any]:
        """The properties of an exception, which it becomes now; a copy of all of them on some servers [27]."""
        if start not in item.exceptions:
            own = {p: copy.deepcopy(e) for p, e in item.props.items() if p in _OF_EXCEPTIONS}
            item.exceptions[start] = own if self.quirks.whole_exceptions else {}
        return item.exceptions[start]

    def _checked(
        self, item: Item, start: datetime | None, paths: set[str], props: dict[str, Any], before: list[datetime]
    ) -> None:
        if item.kind == "Task":
            if (
                "task:Status" in paths
                and item.text("task:Status") != "Completed"
                and "task:PercentComplete" not in paths
            ):
                if item.text("task:PercentComplete") == "100":
                    item.props["task:PercentComplete"] = element("PercentComplete", "0")
            if "task:PercentComplete" in paths:
                told = float(item.text("task:PercentComplete") or 0) * self.quirks.percent_times
                item.props["task:PercentComplete"] = element("PercentComplete", f"{told:g}")
            if "task:PercentComplete" in paths and "task:Status" not in paths:
                if item.text("task:PercentComplete") != "100" and item.text("task:Status") == "Completed":
                    item.props["task:Status"] = element("Status", "InProgress")
            self._status(item)
            return
        if item.kind != "CalendarItem":
            return
        if start is not None:
            if "calendar:Recurrence" in paths:
                raise Fault("ErrorInvalidPropertySet")
            self._between_neighbours(item, start, props)
            return
        if item.moment("calendar:End") < item.moment("calendar:Start"):
            raise Fault("ErrorCalendarEndDateIsEarlierThanStartDate")
        if item.series:
            self._shift(item)
        if paths & {"calendar:Recurrence", "calendar:Start"}:  # exceptions are forgotten [11]
            kept = dict(zip(before, item.starts(200), strict=False)) if self.quirks.keeps_exceptions else {}
            item.exceptions = {kept[s]: p for s, p in item.exceptions.items() if s in kept}
            item.deleted = {kept[s]: kept[s] for s in item.deleted if s in kept}

    def _between_neighbours(self, item: Item, start: datetime, props: dict[str, Any]) -> None:
        """An occurrence cannot be moved past its neighbours [12]."""
        if "calendar:Start" not in props:
            return
        begins = moment(props["calendar:Start"].text).astimezone(item.zone).date()
        for other in item.starts():
            if other == start or other in item.deleted:
                continue
            there = item.exceptions.get(other, {})
            day = (
                (moment(there["calendar:Start"].text) if "calendar:Start" in there else other)
                .astimezone(item.zone)
                .date()
            )
            if (other < start) != (day < begins) or day == begins:
                raise Fault("ErrorOccurrenceCrossingBoundary")
            if other > start + timedelta(days=400):
                break

    def _expected(self, at: Any, item: Item, resolution: str | None) -> None:
        """Under NeverOverwrite the change key must be the item's [13]."""
        given = at.get("ChangeKey", "")
        if self.quirks.ignores_change_keys or local(at) != "ItemId":
            return
        if not given:
            raise Fault("ErrorChangeKeyRequired")
        if resolution == "NeverOverwrite" and given != item.change_key:
            raise Fault("ErrorIrresolvableConflict")

    def _DeleteItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box, item, start = self._item(at, caller)
            if item.kind == "CalendarItem" and request.get("SendMeetingCancellations") is None:
                raise Fault("ErrorSendMeetingCancellationsRequired")
            if item.kind == "Task" and request.get("AffectedTaskOccurrences") is None:
                raise Fault("ErrorAffectedTaskOccurrencesRequired")
            self._invite(box, item, request.get("SendMeetingCancellations"), "DeleteItem", over=start is None)
            if start is not None:
                item.exceptions.pop(start, None)
                item.deleted[start] = start
                box.touch(item)
            elif request.get("DeleteType") == "MoveToDeletedItems":
                box.move(item, box.distinguished("deleteditems").id)
            else:
                box.remove(item)
            return []

        return self._each("DeleteItem", request.find(f"{M}ItemIds"), act)

    def _MoveItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        return self._moved("MoveItem", request, caller)

    def _CopyItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        return self._moved("CopyItem", request, caller)

    def _moved(self, name: str, request: Any, caller: Caller) -> Iterator[Any]:
        _, folder = self._folder(request.find(f"{M}ToFolderId")[0], caller)

        def act(at: Any) -> list[Any]:
            box, item, _ = self._item(at, caller)
            there = box.move(item, folder.id) if name == "MoveItem" else box.copy(item, folder.id)
            made = etree.Element(f"{M}Items")
            one = etree.SubElement(made, T + there.kind)
            one.append(element("ItemId", Id=there.id, ChangeKey=there.change_key))
            return [made]

        return self._each(name, request.find(f"{M}ItemIds"), act)

    def _SendItem(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            _, item, _ = self._item(at, caller)
            self._send("SendItem", ("recipients",), item.text("item:Subject"))
            return []

        return self._each("SendItem", request.find(f"{M}ItemIds"), act)

    def _invite(self, box: Mailbox, item: Item, how: str | None, why: str, *, over: bool = False) -> None:
        """Exchange mails the attendees unless it is told SendToNone, and those who have a mailbox here find it in
        their calendar and inbox [8]."""
        people = []
        for name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
            found = item.props.get(f"calendar:{name}")
            people += [str(a.findtext(f".//{T}EmailAddress")) for a in found] if found is not None else []
        if not people or how in (None, "SendToNone"):
            return
        self._send(f"{why} {how}", tuple(people), item.text("item:Subject"))
        for address in people:
            there = self.store.mailboxes.get(address.lower())
            if there is not None and there is not box:
                self._scheduled(box, item, there, over=over)

    def _scheduled(self, organizer: Mailbox, item: Item, box: Mailbox, *, over: bool) -> None:
        """What the organiser's server brings an attendee of its own: a message, and the meeting."""
        kind, words = "MeetingCancellation" if over else "MeetingRequest", ("item:Subject", "calendar:UID")
        props = {p: copy.deepcopy(e) for p, e in item.props.items() if p in words}
        note = Item(box.new_id("I"), kind, box.distinguished("inbox").id, props, read=False)
        box.put(note)
        calendar = box.distinguished("calendar").id
        held = [
            i
            for i in box.items.values()
            if i.folder == calendar and i.text("calendar:UID") == item.text("calendar:UID")
        ]
        copied = held[0] if held else Item(box.new_id("I"), "CalendarItem", calendar, {})
        copied.props |= {p: copy.deepcopy(e) for p, e in item.props.items() if not p.startswith("ext:")}
        copied.props |= {"organizer": organizer.address, "answer": "NoResponseReceived"}
        if over:
            copied.props[_STATE] = _state(4)
        box.touch(copied) if held else box.put(copied)

    def _send(self, why: str, to: tuple[str, ...], subject: str) -> None:
        self.store.outbox.append(Outgoing(why, to, subject))

    # -- subscriptions ----------------------------------------------------------------------------------------------

    def _Subscribe(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            box = self._opened(caller.address, caller)
            folders = []
            for each in at.find(f"{T}FolderIds") if at.find(f"{T}FolderIds") is not None else ():
                box, folder = self._folder(each, caller)
                folders.append(folder.id)
            if not folders and at.get("SubscribeToAllFolders") not in ("true", "1"):
                raise Fault("ErrorInvalidSubscriptionRequest")
            wanted = frozenset(e.text or "" for e in at.find(f"{T}EventTypes"))
            ref = base64.b64encode(f"S:{box.address}:{next(self.store.counter)}".encode()).decode()
            since = box.events[-1][0] if box.events else 0
            self.subscriptions[ref] = Subscription(ref, box, frozenset(folders), wanted, since)
            parts = [_m("SubscriptionId", ref)]
            return parts if local(at) == "StreamingSubscriptionRequest" else [*parts, _m("Watermark", str(since))]

        return self._each("Subscribe", request, act)

    def _Unsubscribe(self, request: Any, caller: Caller) -> Iterator[Any]:
        def act(at: Any) -> list[Any]:
            if self.subscriptions.pop(at.text or "", None) is None:
                raise Fault("ErrorSubscriptionNotFound")
            return []

        return self._each("Unsubscribe", [request.find(f"{M}SubscriptionId")], act)

    def news(self, refs: list[str]) -> list[Any]:
        """Notification elements of what has happened since the last question."""
        made = []
        with self.store.lock:
            for ref in refs:
                sub = self.subscriptions.get(ref)
                if sub is None:
                    continue
                fresh = [e for e in sub.mailbox.events if e[0] > sub.since]
                if fresh:
                    sub.since = fresh[-1][0]
                wanted = [e for e in fresh if e[3] in sub.events and (not sub.folders or e[1] in sub.folders)]
                if wanted:
                    one = element("Notification")
                    one.append(element("SubscriptionId", ref))
                    for _, folder, item, what in wanted:
                        event = etree.SubElement(one, T + what)
                        event.append(element("TimeStamp", stamp(datetime.now(UTC))))
                        event.append(element("ItemId", Id=item, ChangeKey="AQAAAA=="))
                        event.append(element("ParentFolderId", Id=folder, ChangeKey="AQAAAA=="))
                    made.append(one)
                elif self.quirks.status_events:  # [24]
                    one = element("Notification")
                    one.append(element("SubscriptionId", ref))
                    etree.SubElement(one, f"{T}StatusEvent")
                    made.append(one)
        return made


def _whole(kind: str, at: Any) -> list[Any]:
    """The properties of an item that is given; of MIME content those that it says [19]."""
    from tests.servers.exchange.outlook import of_calendar

    found = []
    for prop in at:
        if local(prop) == "MimeContent" and kind == "CalendarItem":
            found += of_calendar(base64.b64decode(prop.text or "").decode())
        else:
            found.append(prop)
    return found


def _m(name: str, text: str) -> Any:
    made = etree.Element(M + name)
    made.text = text
    return made


def _under(box: Mailbox, folder: Folder, root: str, deep: bool) -> bool:
    if folder.parent == root:
        return True
    return deep and bool(folder.parent) and _under(box, box.folders[folder.parent], root, deep)


def _in_view(items: list[Item], begins: datetime, ends: datetime) -> Iterator[tuple[Item, datetime | None]]:
    """A calendar view: single items and occurrences that touch the time [14]."""
    found: list[tuple[datetime, Item, datetime | None]] = []
    for item in items:
        if item.kind != "CalendarItem":
            continue
        length = item.moment("calendar:End") - item.moment("calendar:Start")
        if not item.series:
            start = item.moment("calendar:Start")
            if start < ends and start + length > begins:
                found.append((start, item, None))
            continue
        for original in item.starts():
            if original > ends + timedelta(days=40):
                break
            props = item.exceptions.get(original, {})
            start = moment(props["calendar:Start"].text) if "calendar:Start" in props else original
            if original not in item.deleted and start < ends and start + length > begins:
                found.append((start, item, original))
    for _, item, at in sorted(found, key=lambda f: f[0]):
        yield item, at


def _state(value: int) -> Any:
    made = element("ExtendedProperty")
    uri = {"DistinguishedPropertySetId": "Appointment", "PropertyId": "33303", "PropertyType": "Integer"}
    made.append(element("ExtendedFieldURI", **uri))
    made.append(element("Value", str(value)))
    return made


def _item_class(kind: str) -> str:
    return {"CalendarItem": "IPM.Appointment", "Task": "IPM.Task", "Contact": "IPM.Contact",
            "MeetingRequest": "IPM.Schedule.Meeting.Request"}.get(kind, "IPM.Note")  # fmt: skip


def _files(item: Item) -> Any:
    made = element("Attachments")
    for number, (name, kind, content) in enumerate(item.files):
        one = etree.SubElement(made, f"{T}FileAttachment")
        one.append(element("AttachmentId", Id=f"{item.id}#{number}"))
        one.append(element("Name", name))
        one.append(element("ContentType", kind))
        one.append(element("Size", str(len(content))))
        one.append(element("IsInline", "false"))
    return made


def _mailbox(name: str, address: str) -> Any:
    made = element(name)
    box = etree.SubElement(made, f"{T}Mailbox")
    box.append(element("Name", address.partition("@")[0].title()))
    box.append(element("EmailAddress", address))
    box.append(element("RoutingType", "SMTP"))
    return made


def _as_text(body: Any) -> Any:
    from inscriptis import get_text

    text = body.text or ""
    return element("Body", get_text(text) if body.get("BodyType") == "HTML" else text, BodyType="Text")


def path_of_element(path: Any) -> str:
    """FieldURI, IndexedFieldURI or ExtendedFieldURI as one text."""
    if local(path) == "FieldURI":
        return str(path.get("FieldURI"))
    if local(path) == "IndexedFieldURI":
        return f"{path.get('FieldURI')}:{path.get('FieldIndex')}"
    if path.get("PropertyTag"):
        return f"ext:0x{int(path.get('PropertyTag'), 0):04x}"
    owner = path.get("DistinguishedPropertySetId") or path.get("PropertySetId", "").lower()
    return f"ext:{owner}/{path.get('PropertyName') or path.get('PropertyId')}"


def path_of_property(kind: str, prop: Any) -> str:
    """The path of a property that stands in a new item."""
    if local(prop) == "ExtendedProperty":
        return path_of_element(prop[0])
    return path_of(kind, local(prop))
