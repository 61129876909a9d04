"""A task of EWS -> the fields of a to-do."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from connectors.exchange.event import categories
from connectors.exchange.series import nearest_day
from connectors.exchange.xml import KEY, T, extended, item_id, moment, number, property_uri, said, words
from syncd.model.record import Record
from syncd.outlook.words import IMPORTANCE, SENSITIVITY, TASK_STATUS
from syncd.ports import Rejected

URIS = (
    "item:ParentFolderId", "item:Subject", "item:Sensitivity", "item:Body",
    "item:Categories", "item:Importance", "item:LastModifiedTime",
    "task:DueDate", "task:PercentComplete", "task:Recurrence", "task:Status",
)  # fmt: skip


def properties() -> list[Any]:
    """Properties that have no path of their own."""
    return [property_uri(KEY)]


def task_record(ref: str, item: Any) -> Record:
    """The record of a task. Raises Rejected for one that repeats: completing it makes another, which no CRM
    task can follow."""
    if item.find(T + "Recurrence") is not None:
        raise Rejected("a task that repeats, or is made again when it is done, cannot be kept in step")
    status = TASK_STATUS.get(said(item, "Status") or "NotStarted", "needs-action")
    return Record(
        ref=ref,
        version=item_id(item)[1],
        kind="todo",
        fields={
            "summary": said(item, "Subject"),
            "description": words(item.find(T + "Body")),
            "due": _due(item),
            "status": status,
            "priority": IMPORTANCE.get(said(item, "Importance"), 0),
            "percent": _percent(number(item, "PercentComplete")),
            "sensitivity": SENSITIVITY.get(said(item, "Sensitivity") or "Normal", "private"),
            "categories": categories(item),
        },
        key=extended(item).get(KEY, ""),
        modified=moment(said(item, "LastModifiedTime"), ZoneInfo("UTC")) if said(item, "LastModifiedTime") else None,
        native=item,
    )


def _percent(told: int) -> int:
    """A percentage; one server writes 50 as 5000 (seen on a server of another make, 2026-11-26)."""
    return max(0, told if told <= 100 else min(100, told // 100))


def _due(item: Any) -> date | None:
    """The day: Exchange keeps a midnight, which some servers tell in the mailbox's zone."""
    text = said(item, "DueDate")
    return nearest_day(moment(text, ZoneInfo("UTC"))) if text else None
