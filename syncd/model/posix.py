"""Zones without a name: two offsets and the two days of the year on which they change, as POSIX writes it.

``<+01>-1<+02>,M3.5.0/2,M10.5.0/3`` is what IEEE 1003.1 (§8.3, TZ) and RFC 8536 §3.3 call a TZ string.
A CRM keeps it like a zone's name, so a series keeps its wall clock there. Pure.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_OFFSET = r"<[+-]\d{4}>([+-]?)(\d{1,3})(?::(\d\d))?"
_DAY = r"M(\d{1,2})\.([1-5])\.([0-6])/(\d{1,2})(?::(\d\d))?"
_TEXT = re.compile(f"{_OFFSET}(?:{_OFFSET},{_DAY},{_DAY})?")
_WEEKDAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")


@dataclass(frozen=True)
class ChangeDay:
    """On which day of each year, and when by the clock until then, an offset begins."""

    month: int
    #: 1 to 4; 5 is the last one of the month.
    week: int
    #: 0 is Sunday.
    weekday: int
    minute: int

    def posix(self) -> str:
        """As a TZ string has it."""
        return f"M{self.month}.{self.week}.{self.weekday}/{self.minute // 60}" + _minutes(self.minute)

    def rrule(self) -> str:
        """As a VTIMEZONE has it."""
        week = -1 if self.week == 5 else self.week
        return f"FREQ=YEARLY;BYMONTH={self.month};BYDAY={week}{_WEEKDAYS[self.weekday]}"


@dataclass(frozen=True)
class PosixZone:
    """A zone by its rules."""

    standard: timedelta
    #: None: no clock is ever changed.
    daylight: timedelta | None = None
    begins: ChangeDay | None = None
    ends: ChangeDay | None = None

    def __str__(self) -> str:
        text = _named(self.standard)
        if self.daylight is None or self.begins is None or self.ends is None:
            return text
        return f"{text}{_named(self.daylight)},{self.begins.posix()},{self.ends.posix()}"


def _minutes(minute: int) -> str:
    return f":{minute % 60:02d}" if minute % 60 else ""


def _named(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    sign, size = ("-", -minutes) if minutes < 0 else ("+", minutes)
    west = "" if minutes <= 0 else "-"
    return f"<{sign}{size // 60:02d}{size % 60:02d}>{west}{size // 60}{_minutes(size)}"


def parsed(text: str) -> PosixZone | None:
    """The zone of such a text; None for any other."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    parts = match.groups()
    standard = _offset(parts[0:3])
    if parts[4] is None:
        return PosixZone(standard)
    return PosixZone(standard, _offset(parts[3:6]), _day(parts[6:11]), _day(parts[11:16]))


def _offset(parts: tuple[str | None, ...]) -> timedelta:
    size = timedelta(hours=int(parts[1] or 0), minutes=int(parts[2] or 0))
    return size if parts[0] == "-" else -size


def _day(parts: tuple[str | None, ...]) -> ChangeDay:
    month, week, weekday, hour, minute = (int(p or 0) for p in parts)
    return ChangeDay(month, week, weekday, hour * 60 + minute)


@lru_cache(maxsize=256)
def zone(text: str) -> ZoneInfo | None:
    """The zone to reckon with; its key is the text. None when the text is no such zone."""
    if parsed(text) is None:
        return None
    # a TZif file (RFC 8536) that holds nothing but its footer, which is this text
    counts = (0, 0, 0, 0, 1, 4)
    head = b"TZif2" + bytes(15) + b"".join(n.to_bytes(4, "big") for n in counts)
    block = head + bytes(4) + b"\0\0" + b"UTC\0"
    return ZoneInfo.from_file(io.BytesIO(block + block + b"\n" + text.encode() + b"\n"), key=text)
