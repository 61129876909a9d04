"""What of a mailbox is read, and how what was logged is shown there: the same for every kind of mailbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """What of a mailbox is read, and how what was logged is shown there."""

    folders: Sequence[str] = ("INBOX", "\\Sent")
    excluded: Sequence[str] = ()
    #: Keywords that count, as the mapping speaks of them.
    keywords: frozenset[str] = frozenset()
    flagged: bool = False
    #: Days back; older messages are no news.
    days: int = 30
    #: The largest attachment whose octets are read.
    largest: int = 10 * 1024 * 1024
    keyword: str = ""
    copy: str = ""
    move: str = ""

    @property
    def named(self) -> list[str]:
        """The folders that are to be there; one into which mail is copied or moved is made when it is needed."""
        return [name for name in dict.fromkeys((*self.folders, *self.excluded)) if name != self.move]


def choice_of(options: Mapping[str, Any]) -> Choice:
    """As mapping and employee say, in the options with which a connector is opened."""
    mail: Mapping[str, Any] = options.get("mail") or {}
    own: Mapping[str, Any] = options.get("own-mail") or {}
    back: Mapping[str, Any] = mail.get("write-back") or {}
    folders = list(own.get("folders") or mail.get("folders") or ("INBOX", "\\Sent"))
    return Choice(
        folders=[*folders, *(mail.get("drop-folders") or {}), *([back["move"]] if back.get("move") else [])],
        excluded=[*(mail.get("exclude-folders") or ()), *(own.get("exclude-folders") or ())],
        keywords=frozenset([*(mail.get("exclude-keywords") or ()), *(own.get("exclude-keywords") or ())]),
        flagged=bool(options.get("flagged")),
        days=int(options.get("days") or 30),
        largest=int(mail.get("largest-attachment") or 10) * 1024 * 1024,
        keyword=str(back.get("keyword") or ""),
        copy=str(back.get("copy") or ""),
        move=str(back.get("move") or ""),
    )
