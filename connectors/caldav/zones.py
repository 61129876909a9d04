"""What a TZID means: an IANA zone, a Windows name, or the VTIMEZONE that came along.

Notes writes names such as "Pacific" with a VTIMEZONE of its own; when its rules are an IANA zone's,
that zone is used for reckoning and the spelling is kept for writing (facts: caldav-and-notes).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from connectors.caldav.lines import BadCalendar, Component, Line, unescape
from syncd.model import posix
from syncd.model.posix import ChangeDay, PosixZone
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
        if line is not None and unescape(line.value.strip('"')) == unescape(tzid):
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
        return _named_like(zone, decade) or _by_change_days(zone, decade) or zone
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


def _by_change_days(zone: tzinfo, decade: int) -> tzinfo | None:
    """The zone described by the days of its changes, when it has the same offsets."""
    months = _months(decade)
    offsets = [(m, m.astimezone(zone).utcoffset() or timedelta(0)) for m in months]
    around = [(m, o or timedelta(0)) for m, o in _around_changes(zone, list(offsets))]
    if not around:
        return zone_named(str(PosixZone(offsets[0][1])))
    if len({o for _, o in offsets}) != 2:
        return None
    standard, daylight = sorted({o for _, o in offsets})
    changes = list(zip(around[::2], around[1::2], strict=True))
    days = {o: _change_day([(m, old) for (_, old), (m, new) in changes if new == o]) for o in (standard, daylight)}
    if days[standard] is None or days[daylight] is None:
        return None
    made = zone_named(str(PosixZone(standard, daylight, days[daylight], days[standard])))
    same = made is not None and all(m.astimezone(made).utcoffset() == o for m, o in [*offsets, *around])
    return made if same else None


def _change_day(changes: list[tuple[datetime, timedelta]]) -> ChangeDay | None:
    """The one rule by which the clock, which shows the old offset, changed at all these instants."""
    walls = [m.replace(tzinfo=None) + old for m, old in changes]
    if len({(w.month, w.weekday(), w.hour, w.minute) for w in walls}) != 1:
        return None
    first = walls[0]
    last = all((w + timedelta(days=7)).month != w.month for w in walls)
    week = 5 if last else (first.day - 1) // 7 + 1
    return ChangeDay(first.month, week, (first.weekday() + 1) % 7, first.hour * 60 + first.minute)


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
    """A VTIMEZONE for a zone that the object lacks: an IANA zone, or one by its rules."""
    rules = posix.parsed(name)
    if rules is not None:
        return _of_rules(name, rules)
    from icalendar import Timezone

    from connectors.caldav.lines import parse

    text = Timezone.from_tzid(name).to_ical().decode()
    return parse(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n").components("VTIMEZONE")[0]


def _of_rules(name: str, zone: PosixZone) -> Component:
    made = Component("VTIMEZONE", [Line("TZID", {}, name)])
    summer, other = zone.daylight or zone.standard, zone.standard
    for kind, day, before, after in (("STANDARD", zone.ends, summer, other), ("DAYLIGHT", zone.begins, other, summer)):
        if kind == "DAYLIGHT" and day is None:
            continue
        part = Component(kind, [])
        clock = f"{day.minute // 60:02d}{day.minute % 60:02d}" if day is not None else "0000"
        part.put("DTSTART", f"19700101T{clock}00")
        if day is not None:
            part.put("RRULE", day.rrule())
        part.put("TZOFFSETFROM", _clock(before))
        part.put("TZOFFSETTO", _clock(after))
        made.parts.append(part)
    return made


def _clock(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    sign, size = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{size // 60:02d}{size % 60:02d}"
