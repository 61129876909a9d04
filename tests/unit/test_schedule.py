"""Which pairing is due: fairness, one run a pairing, limits a server, back-off, adaptive polling."""

from __future__ import annotations

import pytest

from syncd.service.schedule import Schedule

pytestmark = pytest.mark.either


def made(*pairings: tuple[str, str], interval: float = 60, quiet: float = 300, per_server: int = 2) -> Schedule:
    schedule = Schedule(interval, quiet, per_server)
    schedule.set(pairings, 0.0)
    return schedule


def taken(schedule: Schedule, now: float) -> list[str]:
    found = []
    while (entry := schedule.take(now)) is not None:
        found.append(entry.pairing)
    return found


def test_new_pairings_begin_spread_over_one_interval() -> None:
    schedule = made(*((f"p{n}", f"s{n}") for n in range(6)))
    assert [taken(schedule, n * 10.0) for n in range(6)] == [[f"p{n}"] for n in range(6)]


def test_a_pairing_that_is_running_is_not_taken_again() -> None:
    schedule = made(("p", "s"))
    assert taken(schedule, 0) == ["p"]
    assert taken(schedule, 1e6) == []
    schedule.done("p", 10, news=True)
    assert taken(schedule, 53) == []
    assert taken(schedule, 54) == ["p"]  # counted from when the pass began, with time to wait in line


def test_a_pass_that_takes_long_leaves_a_moment_before_the_next() -> None:
    schedule = made(("p", "s"), interval=2)
    assert taken(schedule, 0) == ["p"]
    assert schedule.done("p", 100, news=True) == 1


def test_a_server_gets_no_more_passes_at_a_time_than_it_may() -> None:
    schedule = made(*((f"p{n}", "one") for n in range(5)), ("q", "other"), interval=1)
    assert taken(schedule, 100) == ["p0", "p1", "q"]
    schedule.done("p0", 101, news=True)
    assert taken(schedule, 101) == ["p2"]


def test_who_has_waited_longest_comes_first_whatever_the_server() -> None:
    schedule = made(("a", "s1"), ("b", "s2"), ("c", "s1"), ("d", "s2"), interval=4, per_server=1)
    assert taken(schedule, 100) == ["a", "b"]
    schedule.done("b", 100, news=True)
    assert taken(schedule, 100) == ["d"]


def test_quiet_pairings_are_looked_at_less_and_news_brings_them_back() -> None:
    schedule, now, waits = made(("p", "s")), 0.0, []
    for _ in range(6):
        assert taken(schedule, now) == ["p"]
        waits.append(schedule.done("p", now, news=False))
        now += waits[-1]
    assert waits == pytest.approx([w * 0.9 for w in (90, 135, 202.5, 300, 300, 300)])
    taken(schedule, now)
    assert schedule.done("p", now, news=True) == 54


def test_failures_wait_longer_each_time_or_as_long_as_the_server_says() -> None:
    schedule, now, waits = made(("p", "s")), 0.0, []
    for _ in range(10):
        taken(schedule, now)
        waits.append(schedule.done("p", now, news=False, failed=True))
        now += waits[-1]
    assert waits[:3] == [15, 30, 60] and waits[-1] == 3600
    taken(schedule, now)
    assert schedule.done("p", now, news=False, failed=True, retry_after=7) == 7
    schedule.wake("p", now + 1)
    assert taken(schedule, now + 1) == []  # its server wants to be left alone
    assert taken(schedule, now + 7) == ["p"]


def test_what_changes_while_it_runs_is_looked_at_once_more() -> None:
    schedule = made(("p", "s"))
    taken(schedule, 0)
    schedule.wake("p", 1)
    assert schedule.done("p", 2, news=False) == 0
    assert taken(schedule, 2) == ["p"]
    schedule.done("p", 3, news=False)
    schedule.wake("p", 4)
    assert taken(schedule, 4) == ["p"]


def test_a_full_comparison_that_failed_or_came_while_running_is_made_up_for() -> None:
    schedule = made(("p", "s"))
    schedule.compare_all()
    first = schedule.take(0)
    assert first is not None and first.comparing
    schedule.done("p", 1, news=False, failed=True)
    second = schedule.take(1000)
    assert second is not None and second.comparing
    schedule.compare_all()
    schedule.done("p", 1001, news=False)
    third = schedule.take(2000)
    assert third is not None and third.comparing
    schedule.done("p", 2001, news=False)
    fourth = schedule.take(3000)
    assert fourth is not None and not fourth.comparing


def test_a_new_configuration_keeps_what_is_known_and_forgets_the_rest() -> None:
    schedule = made(("a", "s"), ("b", "s"), interval=10)
    assert taken(schedule, 100) == ["a", "b"]
    schedule.set([("b", "s"), ("c", "s")], 100)
    schedule.done("a", 100, news=False)
    assert taken(schedule, 100) == ["c"]
    assert schedule.waiting() == {"all": 2, "running": 2, "backing off": 0}
    schedule.done("b", 101, news=True)
    assert taken(schedule, 111) == ["b"]


def test_ten_thousand_are_each_served_inside_their_interval() -> None:
    schedule = made(*((f"p{n}", f"s{n % 7}") for n in range(10_000)), interval=100, quiet=100, per_server=4)
    last: dict[str, float] = {}
    for second in range(300):
        while (entry := schedule.take(float(second))) is not None:
            assert second - last.get(entry.pairing, second) <= 101
            last[entry.pairing] = second
            schedule.done(entry.pairing, float(second), news=False)
    assert len(last) == 10_000
