"""What came, changed and went in a folder since a state, page by page (SyncFolderItems)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.exchange.soap import Mailbox
from connectors.exchange.xml import M, T, children, el, item_id, local, shape
from syncd.ports import Change, CursorExpired, Transient

#: Changes a page: Exchange gives no more (EWS messages.xsd, MaxSyncChangesReturnedType).
PAGE = 512


def feed(mailbox: Mailbox, folder: Any, state: str, kind: str) -> Iterator[tuple[list[Change], str, bool]]:
    """Pages of (changes, the state behind them, whether it is the last). Reading or flagging a mail as read
    is no change. Raises CursorExpired, Transient, AuthFailed, Gone."""
    while True:
        answer = mailbox.one(
            el(
                "m:SyncFolderItems",
                shape(()),  # ids only: of bodies and recurrences Exchange says here that there are none
                el("m:SyncFolderId", folder),
                el("m:SyncState", text=state) if state else None,
                el("m:MaxChangesReturned", text=str(PAGE)),
            )
        )
        following = _text(answer, "SyncState")
        last = _text(answer, "IncludesLastItemInRange") in ("true", "1", "")
        if not following:
            raise (
                CursorExpired("the server gives no state to go on from")
                if state
                else Transient("the server's answer cannot be read (it has no sync state)")
            )
        yield list(_changes(answer, kind)), following, last
        if last:
            return
        if following == state:
            raise Transient("the server cuts its answer and gives no way on")
        state = following


def _changes(answer: Any, kind: str) -> Iterator[Change]:
    for change in children(answer, "Changes"):
        what = local(change)
        if what == "Delete":
            found = change.find(T + "ItemId")
            if found is not None and found.get("Id"):
                yield Change(found.get("Id"), gone=True)
        elif what in ("Create", "Update"):
            ref, version = item_id(change[0]) if len(change) else ("", "")
            if ref:
                yield Change(ref, version, kind=kind)


def _text(answer: Any, name: str) -> str:
    found = answer.find(M + name)
    return (found.text or "") if found is not None else ""
