"""Dates and times as calendars mean them: all-day dates, instants in a named zone, floating times.

Equality is by instant and all-day-ness (design §3): the spelling of the zone is kept, but
writing the same instant in another zone is no edit. Knows nothing of iCalendar's syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from syncd.model import posix

Moment = date | datetime
_KEY = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?")


def moment_key(moment: Moment) -> str:
    """The moment as sortable text: ``20261124`` (a date), ``20261124T100000Z`` (an instant),
    ``20261124T100000`` (floating). Two spellings of one instant give the same key."""
    if not isinstance(moment, datetime):
        return moment.isoformat().replace("-", "")
    if moment.tzinfo is None:
        return _basic(moment)
    return _basic(moment.astimezone(UTC)) + "Z"


def _basic(moment: datetime) -> str:
    """20261124T120000; strftime does not fill up the years before 1000."""
    m = moment
    return f"{m.year:04}{m.month:02}{m.day:02}T{m.hour:02}{m.minute:02}{m.second:02}"


def parse_moment(key: str) -> Moment:
    """The moment of a key that `moment_key` made; instants come back in UTC.

    Raises ValueError for any other text.
    """
    if _KEY.fullmatch(key) is None:
        raise ValueError("this is no date or time")
    if len(key) == 8:
        return date.fromisoformat(key)
    return datetime.fromisoformat(key)


def as_instant(moment: Moment, floating: tzinfo = UTC) -> datetime:
    """The moment on the world's clock; dates and floating times are read in the zone `floating`."""
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=floating)
    return moment if moment.tzinfo else moment.replace(tzinfo=floating)


def like(moment: Moment, pattern: Moment) -> Moment:
    """`moment` in the zone of `pattern` (the same instant); dates and floating times stay."""
    if isinstance(moment, datetime) and moment.tzinfo and isinstance(pattern, datetime) and pattern.tzinfo:
        return moment.astimezone(pattern.tzinfo)
    return moment


@dataclass(frozen=True, eq=False)
class Span:
    """From `start` until `end` (exclusive); both dates, both aware, or both floating."""

    start: Moment
    end: Moment
    #: The zone as its owner spells it ("Europe/Berlin", "Pacific"); "" for UTC, dates, floating.
    zone: str = field(default="")

    @property
    def all_day(self) -> bool:
        """True when the span is made of whole dates."""
        return not isinstance(self.start, datetime)

    @property
    def floating(self) -> bool:
        """True for a time that means the same wall clock everywhere."""
        return isinstance(self.start, datetime) and self.start.tzinfo is None

    @property
    def length(self) -> timedelta:
        """How long it lasts, on the world's clock."""
        return as_instant(self.end).astimezone(UTC) - as_instant(self.start).astimezone(UTC)

    def key(self) -> str:
        """Equality as text: start and end keys."""
        return f"{moment_key(self.start)}/{moment_key(self.end)}"

    def moved_to(self, start: Moment) -> Span:
        """The same length from another start. Whole days stay whole days; a timed span
        keeps its length in elapsed time (RFC 5545 §3.8.5.3: an instance has the master's duration)."""
        if isinstance(start, datetime) and start.tzinfo is not None:
            end = (start.astimezone(UTC) + self.length).astimezone(start.tzinfo)
            return Span(start, end, self.zone)
        return Span(start, start + self.length, self.zone)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())


def rounded(span: Span, seconds: int) -> Span:
    """The span as a server with a resolution of `seconds` holds it (cut down, both ends)."""

    def cut(moment: Moment) -> Moment:
        if not isinstance(moment, datetime):
            return moment
        inside = (moment.minute * 60 + moment.second) % seconds
        return moment.replace(microsecond=0) - timedelta(seconds=inside)

    return Span(cut(span.start), cut(span.end), span.zone)


def zone_named(name: str) -> tzinfo | None:
    """The IANA zone of that name, or the one that a TZ string describes, or None."""
    if name.startswith("<"):
        return posix.zone(name)
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, KeyError):  # no such zone is a KeyError; a folder's name an OSError
        return None
