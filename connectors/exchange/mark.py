"""Shows in a mailbox what was logged: a category, a copy, a move. Done twice it is done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.exchange.event import categories
from connectors.exchange.items import Items
from connectors.exchange.xml import T, el, item_id, said
from syncd.model.names import one_form
from syncd.ports import Gone, PortError, Rejected, Stale, Transient

#: How often a message that changes meanwhile is looked at anew.
TRIES = 3


def show(
    items: Items, folders: Callable[[], Mapping[str, str]], refs: Sequence[str], choice: Any, *, logged: bool
) -> None:
    """Shows that these are logged, or, for a category, no longer. What is gone is passed over. Raises
    Rejected when the server takes no such mark."""
    found = items.get(refs, ("item:Categories", "item:ParentFolderId", "message:InternetMessageId"))
    there = {ref: item for ref, item in found.items() if not isinstance(item, PortError)}
    for fault in found.values():
        if isinstance(fault, PortError) and not isinstance(fault, Gone):
            raise fault
    if choice.keyword:
        for ref, item in there.items():
            _category(items, ref, item, choice.keyword, logged)
    if logged and (choice.copy or choice.move):
        known = {one_form(name): ref for name, ref in folders().items()}
        for wanted, act in ((choice.copy, "CopyItem"), (choice.move, "MoveItem")):
            if wanted:
                _elsewhere(items, known, wanted, act, there)


def _category(items: Items, ref: str, item: Any, name: str, logged: bool) -> None:
    """Sets or takes away a category; beside a person who is at the message just now, once more. Raises Transient."""
    for _ in range(TRIES):
        have = categories(item)
        wanted = have | {name} if logged else have - {name}
        if wanted == have:
            return
        strings = [el("t:String", text=w) for w in sorted(wanted)]
        edit = ("item:Categories", el("t:Categories", *strings) if strings else None)
        try:
            items.update(ref, item_id(item)[1], "Message", [edit])
            return
        except Gone:
            return
        except Stale:
            item = items.get([ref], ("item:Categories",))[ref]
            if isinstance(item, Gone):
                return
            if isinstance(item, PortError):
                raise item from None
    raise Transient("a message keeps changing; it is marked in the next pass")


def _elsewhere(items: Items, known: dict[str, str], wanted: str, act: str, there: Mapping[str, Any]) -> None:
    target = known.get(one_form(wanted)) or _made(items, known, wanted)
    for ref, item in there.items():
        parent = item.find(T + "ParentFolderId")
        if parent is not None and parent.get("Id") == target:
            continue
        number = said(item, "InternetMessageId")
        if act == "CopyItem" and number:
            condition = el(
                "t:IsEqualTo",
                el("t:FieldURI", FieldURI="message:InternetMessageId"),
                el("t:FieldURIOrConstant", el("t:Constant", Value=number)),
            )
            if items.search(items.mailbox.folder(target, "t:FolderId"), condition):
                continue
        to = el("m:ToFolderId", items.mailbox.folder(target, "t:FolderId"))
        try:
            items.mailbox.one(el(f"m:{act}", to, el("m:ItemIds", el("t:ItemId", Id=ref))))
        except Gone:
            continue


def _made(items: Items, known: dict[str, str], wanted: str) -> str:
    """The folder's id; it is made, and those above it, where there is none."""
    above, _, name = wanted.rpartition("/")
    parent = items.mailbox.folder("msgfolderroot")
    if above:
        parent = items.mailbox.folder(known.get(one_form(above)) or _made(items, known, above), "t:FolderId")
    folder = el("t:Folder", el("t:FolderClass", text="IPF.Note"), el("t:DisplayName", text=name))
    answer = items.mailbox.one(el("m:CreateFolder", el("m:ParentFolderId", parent), el("m:Folders", folder)))
    found = answer.find(f".//{T}FolderId")
    if found is None:
        raise Rejected("the server made no folder")
    known[one_form(wanted)] = found.get("Id", "")
    return known[one_form(wanted)]
