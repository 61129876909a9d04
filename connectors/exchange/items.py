"""Items by their ids: read in tens, found by our key, made, changed and deleted one at a time."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from connectors.exchange.edit import Edit, updates
from connectors.exchange.soap import Mailbox
from connectors.exchange.xml import KEY, M, T, children, el, item_id, local, property_uri, said, shape
from syncd.ports import Gone, PortError, Rejected, Stale, Transient

#: Items a GetItem: each batch has a minute of the server's time (Microsoft: mailbox synchronization and EWS).
BATCH = 10
#: Ids a FindItem (EWSFindCountLimit is 1000 by default).
PAGE = 1000


class Items:
    """The items of one mailbox."""

    def __init__(self, mailbox: Mailbox, kind: str) -> None:
        self.mailbox = mailbox
        self.kind = kind

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
        ids = el("m:ItemIds", *(el("t:ItemId", Id=ref) for ref in refs))
        try:
            answers = self.mailbox.call(el("m:GetItem", shape(uris, [deepcopy(e) for e in extra], most=most), ids))
        except PortError as error:
            if len(refs) > 1 and isinstance(error, Gone | Rejected):  # one of them spoils the whole request
                return {k: v for ref in refs for k, v in self._get([ref], uris, extra, most).items()}
            if isinstance(error, Gone | Rejected):
                return {refs[0]: error}
            raise
        found: dict[str, Any] = {}
        by_place = len(answers) == len(refs)
        for at, answer in enumerate(answers):
            if isinstance(answer, PortError):
                if by_place:
                    found[refs[at]] = answer
                continue
            for item in children(answer, "Items"):
                ref = item_id(item)[0]
                found[ref if ref in refs or not by_place else refs[at]] = item
        return {ref: found.get(ref, Gone("not there")) for ref in refs}

    def with_key(self, key: str, folder: Any) -> list[str]:
        """Ids of the items in a folder that carry the key."""
        value = el("t:FieldURIOrConstant", el("t:Constant", Value=key))
        return self.search(folder, el("t:IsEqualTo", property_uri(KEY), value))

    def search(self, folder: Any, condition: Any) -> list[str]:
        """Ids of the items in a folder that meet the condition, page by page."""
        found: list[str] = []
        offset = 0
        while True:
            answer = self.mailbox.one(
                el(
                    "m:FindItem",
                    shape(()),
                    el(
                        "m:IndexedPageItemView", MaxEntriesReturned=str(PAGE), Offset=str(offset), BasePoint="Beginning"
                    ),
                    el("m:Restriction", deepcopy(condition)),
                    el("m:ParentFolderIds", deepcopy(folder)),
                    Traversal="Shallow",
                )
            )
            root = answer.find(M + "RootFolder")
            if root is None:
                return found
            found += [ref for ref in (item_id(item)[0] for item in children(root, "Items")) if ref]
            following = root.get("IndexedPagingOffset", "")
            if root.get("IncludesLastItemInRange", "true") in ("true", "1") or not following.isdigit():
                return found
            if int(following) <= offset:
                return found
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
        found: dict[str, tuple[str, str, str]] = {}
        offset = 0
        while True:
            answer = self.mailbox.one(
                el(
                    "m:FindFolder",
                    el(
                        "m:FolderShape",
                        el("t:BaseShape", text="IdOnly"),
                        el(
                            "t:AdditionalProperties",
                            el("t:FieldURI", FieldURI="folder:DisplayName"),
                            el("t:FieldURI", FieldURI="folder:ParentFolderId"),
                        ),
                    ),
                    el("m:IndexedPageFolderView", MaxEntriesReturned="1000", Offset=str(offset), BasePoint="Beginning"),
                    el("m:ParentFolderIds", self.mailbox.folder("msgfolderroot")),
                    Traversal="Deep",
                )
            )
            root = answer.find(M + "RootFolder")
            if root is None:
                raise Transient("the server's answer cannot be read (it has no folders)")
            for folder in children(root, "Folders"):
                own, parent = folder.find(T + "FolderId"), folder.find(T + "ParentFolderId")
                if own is not None:
                    above = parent.get("Id", "") if parent is not None else ""
                    found[own.get("Id", "")] = (said(folder, "DisplayName"), above, local(folder))
            following = root.get("IndexedPagingOffset", "")
            if root.get("IncludesLastItemInRange", "true") in ("true", "1") or not following.isdigit():
                break
            if int(following) <= offset:
                break
            offset = int(following)
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
        try:
            self.check(ref, version)
            version = self._update(el("t:ItemId", Id=ref, ChangeKey=_never(version)), probe) or version
            heeds = False
        except Rejected:
            heeds = True
        except Stale as error:
            if error.args[0] == "changed meanwhile":
                raise
            heeds = True
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


def _path(ref: str, folders: Mapping[str, tuple[str, str, str]]) -> str:
    names: list[str] = []
    while ref in folders and len(names) < 50:
        name, ref, _ = folders[ref]
        names.append(name)
    return "/".join(reversed(names))
