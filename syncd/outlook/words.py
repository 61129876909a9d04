"""Exchange's words for what RFC 5545 says with other words, both ways.

Exchange has more words in some places and fewer in others. A word is written only when it means something
else than the one that stands there, so that "working elsewhere" survives as long as nobody says "free".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Sensitivity -> CLASS (MS-OXCICAL 2.1.3.1.1.20.4: Personal has no word of its own there).
SENSITIVITY: Mapping[str, str] = MappingProxyType(
    {"Normal": "public", "Private": "private", "Personal": "private", "Confidential": "confidential"}
)
#: Importance -> PRIORITY (RFC 5545 §3.8.1.9); who says nothing says Normal.
IMPORTANCE: Mapping[str, int] = MappingProxyType({"High": 1, "Normal": 0, "Low": 9})
#: What becomes of a priority that Exchange holds as one of three.
PRIORITIES: Mapping[int, int] = MappingProxyType({1: 1, 2: 1, 3: 1, 4: 1, 5: 0, 6: 9, 7: 9, 8: 9})
#: Free/busy status -> whether others see the time as taken.
SHOW_AS: Mapping[str, str] = MappingProxyType(
    {"Free": "free", "Tentative": "busy", "Busy": "busy", "OOF": "busy", "WorkingElsewhere": "busy", "NoData": "busy"}
)
#: A task's status -> STATUS of a VTODO.
TASK_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "NotStarted": "needs-action",
        "InProgress": "in-process",
        "Completed": "completed",
        "WaitingOnOthers": "in-process",
        "Deferred": "needs-action",
    }
)
#: What somebody answered -> PARTSTAT.
ANSWER: Mapping[str, str] = MappingProxyType(
    {
        "Accept": "accepted",
        "Decline": "declined",
        "Tentative": "tentative",
        "Organizer": "accepted",
        "NoResponseReceived": "needs-action",
        "Unknown": "needs-action",
    }
)


def word_for(table: Mapping[str, object], meaning: object, now: str = "", *, otherwise: str = "") -> str:
    """The word of the table with this meaning: the one that stands there `now` if it has it already, else
    the table's first; `otherwise` when there is none."""
    if now and table.get(now) == meaning:
        return now
    return next((word for word, means in table.items() if means == meaning), otherwise)


def importance(priority: int) -> str:
    """The importance that a priority of RFC 5545 becomes."""
    return word_for(IMPORTANCE, PRIORITIES.get(priority, priority), otherwise="Normal")
