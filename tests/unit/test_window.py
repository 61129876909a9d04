"""The window, and when what lies ahead comes into it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.engine.pairing import Moment
from syncd.engine.window import inside, wakes
from syncd.mapping.loader import load, shipped
from syncd.model.span import Span

LENS = load(shipped()["appointments"])
minutes = st.integers(0, 60 * 24 * 800)

pytestmark = pytest.mark.either


@given(minutes, minutes)
def test_it_wakes_on_the_very_day_on_which_the_window_reaches_it(now: int, ahead: int) -> None:
    moment = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(minutes=now)
    start = moment + timedelta(minutes=ahead)
    fields = {"time": Span(start, start + timedelta(hours=1), "UTC")}
    day = wakes(fields, Moment(moment).bounds(LENS), moment, UTC)
    if day is None:
        assert inside(fields, Moment(moment).bounds(LENS), UTC)
        return
    on = datetime(day.year, day.month, day.day, 0, 1, tzinfo=UTC)
    assert inside(fields, Moment(on).bounds(LENS), UTC)
    assert not inside(fields, Moment(on - timedelta(minutes=2)).bounds(LENS), UTC)
