"""Restrictions and sort orders of FindItem, as far as clients use them."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Any

from tests.servers.exchange.schema import T, local
from tests.servers.exchange.store import Folder, Item, Mailbox, moment


def matches(server: Any, box: Mailbox, item: Item, condition: Any) -> bool:
    """Whether an item meets a restriction. A named property compares without regard to case."""
    from tests.servers.exchange.handlers import Fault

    name = local(condition)
    if name == "IsGreaterThanOrEqualTo" and server.quirks.refuses_or_equal:
        raise Fault("SOAP:Client", whole=True)  # [22]
    if name in ("And", "Or"):
        several = [matches(server, box, item, c) for c in condition]
        return all(several) if name == "And" else any(several)
    if name == "Not":
        return not matches(server, box, item, condition[0])
    value = _value(server, box, item, condition[0])
    if name == "Exists":
        return value is not None
    if name == "Contains":
        return value is not None and condition[1].get("Value", "").casefold() in value.casefold()
    wanted = condition.findtext(f"{T}FieldURIOrConstant/{T}Constant")
    constant = condition.find(f"{T}FieldURIOrConstant/{T}Constant")
    wanted = constant.get("Value", "") if constant is not None else (wanted or "")
    one, other = _comparable(value), _comparable(wanted)
    if name == "IsEqualTo":
        return value is not None and bool(one == other)
    if name == "IsNotEqualTo":
        return bool(one != other)
    if value is None or type(one) is not type(other):
        return False
    compare = {
        "IsGreaterThan": operator.gt,
        "IsGreaterThanOrEqualTo": operator.ge,
        "IsLessThan": operator.lt,
        "IsLessThanOrEqualTo": operator.le,
    }[name]
    return bool(compare(one, other))


def folder_matches(folder: Folder, condition: Any) -> bool:
    """Whether a folder meets a restriction by its name or class."""
    name = local(condition)
    if name in ("And", "Or"):
        several = [folder_matches(folder, c) for c in condition]
        return all(several) if name == "And" else any(several)
    if name == "Not":
        return not folder_matches(folder, condition[0])
    kinds = {"CalendarFolder": "IPF.Appointment", "TasksFolder": "IPF.Task", "ContactsFolder": "IPF.Contact"}
    values = {"folder:DisplayName": folder.name, "folder:FolderClass": kinds.get(folder.element, "IPF.Note")}
    value = values.get(condition[0].get("FieldURI", ""), "")
    constant = next(condition.iter(f"{T}Constant"), None)
    wanted = constant.get("Value", "") if constant is not None else ""
    if name == "Contains":
        return wanted.casefold() in value.casefold()
    return name == "Exists" or (name == "IsEqualTo") is (wanted.casefold() == value.casefold())


def sorted_by(
    server: Any, box: Mailbox, found: list[tuple[Item, datetime | None]], order: Any
) -> list[tuple[Item, datetime | None]]:
    """The items in a SortOrder."""
    for field in reversed(list(order) if order is not None else []):
        found = sorted(
            found,
            key=lambda f: str(_comparable(_value(server, box, f[0], field[0]) or "")),
            reverse=field.get("Order") == "Descending",
        )
    return found


def _value(server: Any, box: Mailbox, item: Item, path: Any) -> str | None:
    from tests.servers.exchange.handlers import path_of_element

    wanted = path_of_element(path)
    found = server.values(box, item).get(wanted)
    if found is None:
        return None
    if wanted.startswith("ext:"):
        return str(found.findtext(f"{T}Value") or "")
    return str(found.text or "") if len(found) == 0 else " ".join(c.text or "" for c in found)


def _comparable(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError:
        return text.casefold()
