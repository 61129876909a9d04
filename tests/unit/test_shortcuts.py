"""Short ways that must say what the long ones say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from syncd.mail import headers
from syncd.model.fields import ACTIVITY_FIELDS, ITEM_FIELDS, kind_of, same, says_nothing
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence, starts
from syncd.model.span import Span

MON = datetime(2026, 11, 30, 10, tzinfo=UTC)
NAMES = sorted({n for table in (ITEM_FIELDS, ACTIVITY_FIELDS) for fields in table.values() for n in fields})
VALUES: dict[str, list[Any]] = {
    "text": ["", " ", "\n", "\u00a0", "x", None],
    "choice": ["", "open", None],
    "number": [0, 1, None],
    "value": [None, "x"],
    "span": [None, Span(MON, MON)],
    "people": [People(), People([Participant("a@b.example")]), None],
    "recurrence": [
        Recurrence(), Recurrence("FREQ=DAILY"), Recurrence("", overrides={"20261130": {}}),
        Recurrence("", overrides={"20261130": {"summary": "x"}}), None,
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_field_says_nothing_where_it_means_the_same_as_the_empty_one(name: str) -> None:
    kind = kind_of(name)
    for value in (kind.empty, *VALUES.get(kind.name, [])):
        assert says_nothing(name, value) is same(name, value, kind.empty), value


def test_a_line_with_one_address_mentions_what_it_mentions_read_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = Random(7)
    pieces = [
        *"ab.@<>,;:\"'`\\[]() \t\x01é=?“-",
        "kim@acme.example",
        "<kim@acme.example>",
        "Kim Lee <",
        "=?utf-8?q?a=40b.de?=",
    ]
    lines = ["".join(dice.choice(pieces) for _ in range(dice.randint(1, 7))) for _ in range(20_000)]
    short = [headers.mentioned([line]) for line in lines]
    assert sum(headers._ALONE.fullmatch(line) is not None for line in lines) > 200
    monkeypatch.setattr(headers, "_ALONE", re.compile(r"(?!)"))
    assert [headers.mentioned([line]) for line in lines] == short


@pytest.mark.parametrize(("day", "found"), [(-1, 0), (0, 1), (1, 0)])
def test_what_happens_once_begins_in_one_window_only(day: int, found: int) -> None:
    begin = MON + timedelta(days=day)
    assert len(list(starts(Span(MON, MON), Recurrence(), begin, begin + timedelta(days=1)))) == found
