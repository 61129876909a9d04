"""What a TZID means: an IANA zone, a Windows name, or the VTIMEZONE that came along.

Notes writes names such as "Pacific" with a VTIMEZONE of its own; when its rules are an IANA zone's,
that zone is used for reckoning and the spelling is kept for writing (facts: caldav-and-notes).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from connectors.caldav.lines import BadCalendar, Component
from syncd.model.recurrence import BadRule, normal_rule, parsed_rule
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

#: No zone's rule names more days or months than this.
MOST_CHANGES = 12
#: Decades in which zones are compared; earlier and later times are reckoned by the nearest.
_FIRST, _LAST = 1970, 2040


def zone_of(root: Component, tzid: str, year: int) -> tzinfo:
    """The zone that a TZID means in this object, for a time in that year. Raises BadCalendar when
    nobody could know."""
    for name in _names_in(tzid):
        known = zone_named(name)
        if known is not None:
            return known
    for component in root.components("VTIMEZONE"):
        line = component.line("TZID")
        if line is not None and line.value.strip('"') == tzid:
            _check(component)
            return _by_rules("\r\n".join(component.walk()), min(max(year // 10 * 10, _FIRST), _LAST))
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    windows = zone_named(WINDOWS_TO_OLSON.get(tzid, ""))
    if windows is not None:
        return windows
    raise BadCalendar("a time names a zone that the object does not define")


def _check(component: Component) -> None:
    """Zones change a few times a year; rules that repeat more often would be walked for ever."""
    for part in component.components("STANDARD", "DAYLIGHT"):
        for line in part.lines("RRULE"):
            rule = normal_rule(line.value)
            if not rule.startswith(("FREQ=YEARLY", "FREQ=MONTHLY")) or rule.count(",") > MOST_CHANGES:
                raise BadCalendar("a VTIMEZONE changes too often")
            try:
                parsed_rule(datetime(1970, 1, 1), rule)  # noqa: DTZ001 - local time by definition
            except BadRule:
                raise BadCalendar("a VTIMEZONE has a rule that cannot be read") from None


def _names_in(tzid: str) -> list[str]:
    """The TZID, and of a globally unique one ("/registry/Area/Place") its endings."""
    parts = tzid.split("/") if tzid.startswith("/") else []
    return [tzid, *("/".join(parts[-n:]) for n in (3, 2) if len(parts) > n)]


@lru_cache(maxsize=256)
def _by_rules(text: str, decade: int) -> tzinfo:
    from icalendar import Timezone

    try:
        read = Timezone.from_ical(text)
        assert isinstance(read, Timezone)
        zone = read.to_tz(lookup_tzid=False)
        return _named_like(zone, decade) or zone
    except Exception as error:  # the library answers a bad VTIMEZONE with whatever it stumbled over
        raise BadCalendar(f"a VTIMEZONE cannot be read ({type(error).__name__})") from None


def _named_like(zone: tzinfo, decade: int) -> ZoneInfo | None:
    """The IANA zone with the same offsets in the eleven years from then, if there is one."""
    months = _months(decade)
    offsets = tuple(m.astimezone(zone).utcoffset() for m in months)
    fine = _around_changes(zone, list(zip(months, offsets, strict=True)))
    for candidate in _zones_with(decade).get(offsets, ()):
        if all(m.astimezone(candidate).utcoffset() == offset for m, offset in fine):
            return candidate
    return None


_Offsets = tuple[timedelta | None, ...]


def _months(decade: int) -> list[datetime]:
    return [datetime(decade + y, m, 15, 12, tzinfo=UTC) for y in range(11) for m in range(1, 13)]


@lru_cache(maxsize=16)
def _zones_with(decade: int) -> dict[_Offsets, list[ZoneInfo]]:
    """The offsets of each month -> the zones that have them, the likely ones first."""
    months, found = _months(decade), dict[_Offsets, list[ZoneInfo]]()
    others = sorted(n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "posix")))
    for name in dict.fromkeys([*_LIKELY, *others]):
        zone = ZoneInfo(name)
        found.setdefault(tuple(m.astimezone(zone).utcoffset() for m in months), []).append(zone)
    return found


def _around_changes(
    zone: tzinfo, offsets: list[tuple[datetime, timedelta | None]]
) -> list[tuple[datetime, timedelta | None]]:
    """The offsets in the last minute before each change and in the first one after it."""
    minute, found = timedelta(minutes=1), []
    for (before, old), (after, new) in pairwise(offsets):
        if old == new:
            continue
        while after - before > minute:
            middle = before + (after - before) // minute // 2 * minute
            if middle.astimezone(zone).utcoffset() == old:
                before = middle
            else:
                after = middle
        found += [(m, m.astimezone(zone).utcoffset()) for m in (before, after)]
    return found


def vtimezone(name: str) -> Component:
    """A VTIMEZONE for an IANA zone that the object lacks."""
    from icalendar import Timezone

    from connectors.caldav.lines import parse

    text = Timezone.from_tzid(name).to_ical().decode()
    return parse(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n").components("VTIMEZONE")[0]
