"""What a TZID means: an IANA zone, a Windows name, or the VTIMEZONE that came along.

Notes writes names such as "Pacific" with a VTIMEZONE of its own; when its rules are an IANA zone's,
that zone is used for reckoning and the spelling is kept for writing (facts: caldav-and-notes).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from io import StringIO
from zoneinfo import ZoneInfo, available_timezones

from connectors.caldav.lines import BadCalendar, Component
from syncd.model.span import zone_named

#: Tried first, so that a VTIMEZONE without a place's name gets the name that people expect.
_LIKELY = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Moscow",
    "Europe/Helsinki",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Australia/Sydney",
)


def zone_of(root: Component, tzid: str) -> tzinfo:
    """The zone that a TZID means in this object. Raises BadCalendar when nobody could know."""
    known = zone_named(tzid) or zone_named("/".join(tzid.rsplit("/", 2)[-2:]) if tzid.startswith("/") else "")
    if known is not None:
        return known
    for component in root.components("VTIMEZONE"):
        line = component.line("TZID")
        if line is not None and line.value.strip('"') == tzid:
            return _by_rules("\r\n".join(component.walk()))
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    windows = zone_named(WINDOWS_TO_OLSON.get(tzid, ""))
    if windows is not None:
        return windows
    raise BadCalendar("a time names a zone that the object does not define")


@lru_cache(maxsize=256)
def _by_rules(text: str) -> tzinfo:
    from dateutil.tz import tzical

    clean = re.sub(r'TZID[^:\r\n]*:"?([^"\r\n]*)"?', r"TZID:zone", text)
    try:
        zones = tzical(StringIO(clean.replace("\r\n", "\n") + "\n"))
        zone = zones.get()
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadCalendar(f"a VTIMEZONE cannot be read ({type(error).__name__})") from None
    if zone is None:
        raise BadCalendar("a VTIMEZONE defines no zone")
    return _named_like(zone) or zone


def _named_like(zone: tzinfo) -> ZoneInfo | None:
    """The IANA zone with the same offsets in the years around now, if there is one."""
    year = datetime.now(UTC).year
    coarse = [datetime(year + y, m, 15, 12, tzinfo=UTC) for y in (-1, 0, 1) for m in range(1, 13)]
    fine = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(4 * 365 * 2)]
    want = [m.astimezone(zone).utcoffset() for m in coarse]
    names = [*_LIKELY, *sorted(n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "posix")))]
    for name in names:
        candidate = ZoneInfo(name)
        if [m.astimezone(candidate).utcoffset() for m in coarse] == want and all(
            m.astimezone(candidate).utcoffset() == m.astimezone(zone).utcoffset() for m in fine
        ):
            return candidate
    return None


def vtimezone(name: str) -> Component:
    """A VTIMEZONE for an IANA zone that the object lacks."""
    from icalendar import Timezone

    from connectors.caldav.lines import parse

    text = Timezone.from_tzid(name).to_ical().decode()
    return parse(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n").components("VTIMEZONE")[0]
