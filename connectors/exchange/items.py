"""Items by their ids: read in tens, found by our key, made, changed and deleted one at a time."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from connectors.exchange.edit import Edit, updates
from connectors.exchange.soap import Mailbox
from connectors.exchange.xml import KEY, M, T, children, el, item_id, property_uri, said, shape
from syncd.ports import Gone, PortError, Rejected, Stale, Transient

#: Items a GetItem: each batch has a minute of the server's time (Microsoft: mailbox synchronization and EWS).
BATCH = 10
#: Ids a FindItem (EWSFindCountLimit is 1000 by default).
PAGE = 1000


class Items:
    """The items of one mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    def get(
        self, refs: Sequence[str], uris: Iterable[str], extra: Iterable[Any] = (), *, most: int = 0
    ) -> dict[str, Any]:
        """Ref -> the element, or the PortError that says why there is none. `extra`: paths of properties that
        are no FieldURI; `most`: the longest body that is read."""
        found: dict[str, Any] = {}
        uris, extra = tuple(uris), tuple(extra)
        for start in range(0, len(refs), BATCH):
            found |= self._get(refs[start : start + BATCH], uris, extra, most)
        return found

    def _get(self, refs: Sequence[str], uris: Sequence[str], extra: Sequence[Any], most: int = 0) -> dict[str, Any]:
        """A batch; where one of it spoils the whole, or the answers are not as many, each by itself. What is
        not spoken of is not gone: only ErrorItemNotFound and the like say that."""
        ids = el("m:ItemIds", *(el("t:ItemId", Id=ref) for ref in refs))
        try:
            answers = self.mailbox.call(el("m:GetItem", shape(uris, [deepcopy(e) for e in extra], most=most), ids))
        except (Gone, Rejected) as error:
            answers = [error] if len(refs) == 1 else []
        if len(answers) != len(refs):
            if len(refs) == 1:
                return {refs[0]: Rejected("the server says nothing of it")}
            return {k: v for ref in refs for k, v in self._get([ref], uris, extra, most).items()}
        found: dict[str, Any] = {}
        for ref, answer in zip(refs, answers, strict=True):
            item = answer if isinstance(answer, PortError) else next(children(answer, "Items"), None)
            found[ref] = item if item is not None else Rejected("the server says nothing of it")
        return found

    def with_key(self, key: str, folder: Any) -> list[str]:
        """Ids of the items in a folder that carry the key."""
        value = el("t:FieldURIOrConstant", el("t:Constant", Value=key))
        return self.search(folder, el("t:IsEqualTo", property_uri(KEY), value))

    def search(self, folder: Any, condition: Any) -> list[str]:
        """Ids of the items in a folder that meet the condition, page by page."""

        def page(offset: int) -> Any:
            return el(
                "m:FindItem",
                shape(()),
                el("m:IndexedPageItemView", MaxEntriesReturned=str(PAGE), Offset=str(offset), BasePoint="Beginning"),
                el("m:Restriction", deepcopy(condition)),
                el("m:ParentFolderIds", deepcopy(folder)),
                Traversal="Shallow",
            )

        found = (item_id(item)[0] for root in self._pages(page) for item in children(root, "Items"))
        return [ref for ref in found if ref]

    def _pages(self, page: Callable[[int], Any]) -> Iterator[Any]:
        """The RootFolder of each page of a FindItem or FindFolder. A server that gives no way on has said all."""
        offset = 0
        while True:
            root = self.mailbox.one(page(offset)).find(M + "RootFolder")
            if root is None:
                raise Transient("the server's answer cannot be read (it has no list)")
            yield root
            following = root.get("IndexedPagingOffset", "")
            last = root.get("IncludesLastItemInRange", "true") in ("true", "1")
            if last or not following.isdigit() or int(following) <= offset:
                return
            offset = int(following)

    def folder_id(self, folder: Any) -> str:
        """The id of a folder that is known by another name. Raises Gone."""
        shape_ = el("m:FolderShape", el("t:BaseShape", text="IdOnly"))
        answer = self.mailbox.one(el("m:GetFolder", shape_, el("m:FolderIds", folder)))
        found = answer.find(f".//{T}FolderId")
        return found.get("Id", "") if found is not None else ""

    def folder_named(self, name: str) -> str:
        """The id of a folder by its path below the mailbox's root ("Calendar/Customers"), or by its end.
        Raises Gone."""
        paths = self.folders()
        wanted = name.strip("/").casefold()
        for path, ref in sorted(paths.items(), key=lambda p: p[0].count("/")):
            if path.casefold() == wanted or path.casefold().endswith("/" + wanted):
                return ref
        raise Gone("there is no folder of this name in the mailbox")

    def folders(self) -> dict[str, str]:
        """Path -> id of every folder that people see. One request for most mailboxes."""

        def page(offset: int) -> Any:
            names = (el("t:FieldURI", FieldURI=f"folder:{name}") for name in ("DisplayName", "ParentFolderId"))
            return el(
                "m:FindFolder",
                el("m:FolderShape", el("t:BaseShape", text="IdOnly"), el("t:AdditionalProperties", *names)),
                el("m:IndexedPageFolderView", MaxEntriesReturned=str(PAGE), Offset=str(offset), BasePoint="Beginning"),
                el("m:ParentFolderIds", self.mailbox.folder("msgfolderroot")),
                Traversal="Deep",
            )

        found: dict[str, tuple[str, str]] = {}
        for root in self._pages(page):
            for folder in children(root, "Folders"):
                own, parent = folder.find(T + "FolderId"), folder.find(T + "ParentFolderId")
                if own is not None:
                    found[own.get("Id", "")] = (
                        said(folder, "DisplayName"),
                        "" if parent is None else parent.get("Id", ""),
                    )
        return {_path(ref, found): ref for ref in found}

    def create(self, item: Any, folder: Any) -> tuple[str, str]:
        """Makes an item: its id and change key."""
        answer = self.mailbox.one(
            el(
                "m:CreateItem",
                el("m:SavedItemFolderId", folder),
                el("m:Items", item),
                MessageDisposition="SaveOnly",
                SendMeetingInvitations="SendToNone",
            )
        )
        return _only_id(answer)

    def update(self, ref: str, version: str, kind: str, edits: Iterable[Edit]) -> str | None:
        """Writes these properties into the item if it is still at this change key: the new one, None when
        the server does not say. Raises Stale, Gone."""
        change = updates(kind, edits)
        if not len(change):
            return version
        heeds, version = self._heeds(ref, version)
        if not heeds:
            self.check(ref, version)
        return self._update(el("t:ItemId", Id=ref, ChangeKey=version), change)

    def update_occurrence(self, master: str, index: int, kind: str, edits: Iterable[Edit]) -> None:
        """Writes properties of one occurrence; it becomes an exception."""
        self._update(el("t:OccurrenceItemId", RecurringMasterId=master, InstanceIndex=str(index)), updates(kind, edits))

    def _update(self, at: Any, change: Any) -> str | None:
        answer = self.mailbox.one(
            el(
                "m:UpdateItem",
                el("m:ItemChanges", el("t:ItemChange", at, change)),
                ConflictResolution="NeverOverwrite",
                MessageDisposition="SaveOnly",
                SendMeetingInvitationsOrCancellations="SendToNone",
                SuppressReadReceipts="true",
            )
        )
        return _only_id(answer)[1] or None

    def check(self, ref: str, version: str) -> None:
        """Raises Stale or Gone unless the item is at this change key."""
        found = self._get([ref], (), ())[ref]
        if isinstance(found, PortError):
            raise found
        if item_id(found)[1] != version:
            raise Stale("changed meanwhile")

    def delete(self, ref: str) -> None:
        """Moves the item to Deleted Items; nobody is told."""
        self._delete(el("t:ItemId", Id=ref))

    def delete_occurrence(self, master: str, index: int) -> None:
        """Takes one occurrence out of a series."""
        self._delete(el("t:OccurrenceItemId", RecurringMasterId=master, InstanceIndex=str(index)))

    def _delete(self, at: Any) -> None:
        self.mailbox.one(
            el(
                "m:DeleteItem",
                el("m:ItemIds", at),
                DeleteType="MoveToDeletedItems",
                SendMeetingCancellations="SendToNone",
                AffectedTaskOccurrences="SpecifiedOccurrenceOnly",
                SuppressReadReceipts="true",
            )
        )

    # -- servers that ignore change keys ----------------------------------------------------------------------------

    def _heeds(self, ref: str, version: str) -> tuple[bool, str]:
        """Whether this server refuses a write under an old change key, and the item's change key now. It is
        asked once in the life of a process, with an edit of which people see nothing: a property of our own is
        taken away, which is not there, under a change key that never was. A server that takes it would
        overwrite what a person wrote between our reading and our writing; there every write is preceded by a
        look."""
        server = self.mailbox.access.endpoint
        with _LOCK:
            known = _HEEDING.get(server)
        if known is not None:
            return known, version
        uri = property_uri("SyncdProbe")
        probe = el("t:Updates", el("t:DeleteItemField", uri))
        self.check(ref, version)
        try:
            version = self._update(el("t:ItemId", Id=ref, ChangeKey=_never(version)), probe) or version
            heeds = False
        except Stale:
            heeds = True
        except Rejected:  # for another reason, which says nothing of change keys
            return False, version
        with _LOCK:
            _HEEDING[server] = heeds
        return heeds, version


_LOCK = threading.Lock()
#: Server -> whether it refuses writes under an old change key.
_HEEDING: dict[str, bool] = {}


def _never(version: str) -> str:
    """A change key like this one that no item ever had: of the bytes behind the base64, the last is another."""
    try:
        data = bytearray(base64.b64decode(version, validate=True))
        data[-1] ^= 0xFF
        return base64.b64encode(bytes(data)).decode()
    except (binascii.Error, ValueError, IndexError):
        return version[:-1] + ("A" if version[-1:] != "A" else "B")


def _only_id(answer: Any) -> tuple[str, str]:
    for item in children(answer, "Items"):
        return item_id(item)
    return "", ""


def _path(ref: str, folders: Mapping[str, tuple[str, str]]) -> str:
    names: list[str] = []
    while ref in folders and len(names) < 50:
        name, ref = folders[ref]
        names.append(name)
    return "/".join(reversed(names))
