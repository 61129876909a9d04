"""Zones without a name, and lengths across the change of a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncd.model import posix
from syncd.model.posix import ChangeDay, PosixZone
from syncd.model.span import Span, zone_named

pytestmark = pytest.mark.either
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def test_a_span_has_its_length_on_the_worlds_clock_even_where_a_clock_changes() -> None:
    start = datetime(2026, 10, 25, 0, tzinfo=BERLIN)
    span = Span(start, datetime(2026, 10, 25, 8, tzinfo=BERLIN), "Europe/Berlin")
    assert span.length == 9 * HOUR
    assert span.moved_to(datetime(2026, 11, 1, 0, tzinfo=BERLIN)).end == datetime(2026, 11, 1, 9, tzinfo=BERLIN)


@pytest.mark.parametrize(
    "zone",
    [
        PosixZone(timedelta(0)),
        PosixZone(timedelta(minutes=345)),
        PosixZone(timedelta(minutes=-210)),
        PosixZone(HOUR, 2 * HOUR, ChangeDay(3, 5, 0, 120), ChangeDay(10, 5, 0, 180)),
        PosixZone(-8 * HOUR, -7 * HOUR, ChangeDay(3, 2, 0, 120), ChangeDay(11, 1, 0, 90)),
    ],
)
def test_a_zones_text_says_all_of_it(zone: PosixZone) -> None:
    assert posix.parsed(str(zone)) == zone
    made = zone_named(str(zone))
    assert made is not None
    winter = datetime(2026, 1, 15, tzinfo=UTC).astimezone(made).utcoffset()
    summer = datetime(2026, 7, 15, tzinfo=UTC).astimezone(made).utcoffset()
    assert (winter, summer) == (zone.standard, zone.daylight or zone.standard)


def test_berlin_by_its_rules_is_berlin() -> None:
    rules = zone_named("<+0100>-1<+0200>-2,M3.5.0/2,M10.5.0/3")
    for hour in range(0, 24 * 365 * 3, 5):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + hour * HOUR
        assert moment.astimezone(rules).utcoffset() == moment.astimezone(BERLIN).utcoffset()


@pytest.mark.parametrize("text", ["<", "<+01>-1", "<+0100>", "<+0100>-1,M3.5.0/2", "<script>"])
def test_other_texts_are_no_zones(text: str) -> None:
    assert zone_named(text) is None
