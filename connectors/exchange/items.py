"""Items by their ids: read in tens, found by our key, made, changed and deleted one at a time."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from connectors.exchange.edit import updates
from connectors.exchange.guard import said_to_guests
from connectors.exchange.soap import Mailbox
from connectors.exchange.xml import KEY, Edit, M, T, children, el, item_id, property_uri, said, shape
from syncd.model.names import one_form
from syncd.ports import Gone, PortError, Rejected, Stale, Transient

#: Items a GetItem: each batch has a minute of the server's time (Microsoft: mailbox synchronization and EWS).
BATCH = 10
#: So many items in a row for which the server is not ready: it is the server.
IN_A_ROW = 3
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
            batch = refs[start : start + BATCH]
            answers = self.look([el("t:ItemId", Id=ref) for ref in batch], uris, extra, most=most)
            found |= dict(zip(batch, answers, strict=True))
        return found

    def look(
        self, places: Sequence[Any], uris: Sequence[str], extra: Sequence[Any] = (), *, most: int = 0
    ) -> list[Any]:
        """What stands at each place (an ItemId or an OccurrenceItemId; no more than a batch): the element, or why
        there is none. Where one spoils the whole, or the answers are not as many, each by itself. What is not
        spoken of is not gone: only ErrorItemNotFound and the like say that."""
        ids = el("m:ItemIds", *(deepcopy(place) for place in places))
        try:
            answers = self.mailbox.call(el("m:GetItem", shape(uris, [deepcopy(e) for e in extra], most=most), ids))
        except (Gone, Rejected) as error:
            answers = [error] if len(places) == 1 else []
        except Transient as error:
            if error.retry_after is not None:
                raise
            answers = [error] if len(places) == 1 else []
        if len(answers) != len(places):
            if len(places) == 1:
                return [Rejected("the server says nothing of it")]
            return self._each(places, uris, extra, most)
        found = [a if isinstance(a, PortError) else next(children(a, "Items"), None) for a in answers]
        return [Rejected("the server says nothing of it") if item is None else item for item in found]

    def _each(self, places: Sequence[Any], uris: Sequence[str], extra: Sequence[Any], most: int) -> list[Any]:
        """Each by itself. Raises Transient when the server is not ready for several in a row: then it is the server."""
        made: list[Any] = []
        for place in places:
            made += self.look([place], uris, extra, most=most)
            last = made[-IN_A_ROW:]
            if len(last) == IN_A_ROW and all(isinstance(a, Transient) for a in last):
                raise last[0]
        return made

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
        wanted = one_form(name.strip("/"))
        for path, ref in sorted(paths.items(), key=lambda p: p[0].count("/")):
            if one_form(path) == wanted or one_form(path).endswith("/" + wanted):
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

    def update(self, ref: str, version: str, kind: str, edits: Iterable[Edit], *, tell: bool = False) -> str | None:
        """Writes these properties into the item if it is still at this change key: the new one, None when
        the server does not say. `tell`: its guests may be told. Raises Stale, Gone."""
        change = updates(kind, edits)
        if not len(change):
            return version
        heeds, version = self._heeds(ref, version)
        if not heeds:
            self.check(ref, version)
        return self.write(el("t:ItemId", Id=ref, ChangeKey=version), change, tell=tell)

    def write(self, place: Any, change: Any, *, tell: bool = False) -> str | None:
        """Writes changes (`edit.updates`) at a place, an item's or an occurrence's: its new change key."""
        answer = self.mailbox.one(
            el(
                "m:UpdateItem",
                el("m:ItemChanges", el("t:ItemChange", place, change)),
                ConflictResolution="NeverOverwrite",
                MessageDisposition="SaveOnly",
                SendMeetingInvitationsOrCancellations=said_to_guests("UpdateItem", tell=tell),
                SuppressReadReceipts="true",
            ),
            tell=tell,
        )
        return _only_id(answer)[1] or None

    def version(self, ref: str) -> str:
        """The item's change key. Raises Gone and what else stands in the way."""
        (found,) = self.look([el("t:ItemId", Id=ref)], ())
        if isinstance(found, PortError):
            raise found
        return item_id(found)[1]

    def check(self, ref: str, version: str) -> None:
        """Raises Stale or Gone unless the item is at this change key."""
        if self.version(ref) != version:
            raise Stale("changed meanwhile")

    def delete(self, place: Any, *, tell: bool = False) -> None:
        """Moves an item to Deleted Items, or takes an occurrence out of its series. `tell`: the guests may be
        told."""
        self.mailbox.one(
            el(
                "m:DeleteItem",
                el("m:ItemIds", place),
                DeleteType="MoveToDeletedItems",
                SendMeetingCancellations=said_to_guests("DeleteItem", tell=tell),
                AffectedTaskOccurrences="SpecifiedOccurrenceOnly",
                SuppressReadReceipts="true",
            ),
            tell=tell,
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
            version = self.write(el("t:ItemId", Id=ref, ChangeKey=_never(version)), probe) or version
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
