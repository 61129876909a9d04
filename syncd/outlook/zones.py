"""Windows' names of time zones (Unicode CLDR, as tzlocal has it) and IANA's.

Windows knows some 140 zones, IANA some 600: Amsterdam comes back as Berlin. That is no edit (a span is
compared by its instants), but a name that both spell the same way is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

from syncd.model.span import zone_named

#: IANA zones that CLDR's table does not name, by one that keeps the same time.
_SAME = {
    "GMT": "Europe/London",
    "CST6CDT": "America/Chicago",
    "EST5EDT": "America/New_York",
    "MST7MDT": "America/Denver",
    "PST8PDT": "America/Los_Angeles",
    "US/East-Indiana": "America/Indianapolis",
    "Europe/Uzhgorod": "Europe/Kiev",
    "Europe/Zaporozhye": "Europe/Kiev",
}
#: Names that older programs write, and CLDR has dropped.
_OLD = {"Kamchatka Standard Time": "Asia/Kamchatka", "Mid-Atlantic Standard Time": "Etc/GMT+2"}
_UTC = frozenset({"UTC", "Etc/UTC", "Etc/GMT", "Z"})


def iana_of(name: str) -> tzinfo | None:
    """The zone that Windows calls so, or IANA; None when neither does."""
    if name in _UTC:
        return zone_named("UTC")
    known = win_tz.get(name) or _OLD.get(name)
    return zone_named(known) if known else (zone_named(name) if "/" in name else None)


def windows_of(name: str) -> str:
    """What Windows calls the IANA zone; "" when it has no such zone."""
    if name in _UTC:
        return "UTC"
    found = tz_win.get(name) or tz_win.get(_SAME.get(name, ""))
    return found or _by_offsets(name)


@lru_cache(maxsize=256)
def _by_offsets(name: str) -> str:
    """For a zone that the table lacks: the one with the same clock through these ten years."""
    zone = zone_named(name)
    if zone is None:
        return ""
    wanted = _clock(zone)
    return next((w for w, iana in win_tz.items() if _known(iana) and _clock(ZoneInfo(iana)) == wanted), "")


def _known(iana: str) -> bool:
    return zone_named(iana) is not None


def _clock(zone: tzinfo) -> tuple[object, ...]:
    days = (datetime(year, month, day, 12, tzinfo=UTC) for year in range(2024, 2034) for month in range(1, 13)
            for day in (1, 15, 28))  # fmt: skip
    return tuple(moment.astimezone(zone).utcoffset() for moment in days)
