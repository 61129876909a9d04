"""Fixtures that every test may use; CI=true turns a missing server into a failure."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, event

from tests.depth import DEEP, MANY, STRIDE
from tests.stores import close_all

# In CI the same examples each time, so that a commit is judged by what it changed; elsewhere new ones.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")

if DEEP:

    @event.listens_for(Engine, "connect")
    def _unordered(connection: object, _record: object) -> None:
        """What a statement does not order comes in any order, as it does from PostgreSQL: here in the reverse one."""
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA reverse_unordered_selects=ON")


def need(module: str, what: str) -> None:
    """Skips, or in CI fails, when a server's package is not installed."""
    if importlib.util.find_spec(module) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is not installed")
        pytest.skip(f"{what} is not installed")


def need_program(there: bool, what: str) -> None:
    """Skips, or in CI fails, when a program of Debian's is not installed."""
    if not there:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is not installed")
        pytest.skip(f"{what} is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no worker is left alone with it at the end. Of what the fast tests tell in
    many stories, the fast run plays a part (`tests.depth`)."""
    stories = Counter(_test(item) for item in items)
    grids = {name for name, number in stories.items() if number >= MANY and name.startswith("tests/unit/")}
    for item in items:
        if _test(item) in grids or (DEEP and "properties" in item.path.parts):
            item.add_marker("grid")
    if not DEEP:
        count: Counter[str] = Counter()
        for item in list(items):
            if item.get_closest_marker("grid") is not None and count[_test(item)] % STRIDE:
                items.remove(item)
            count[_test(item)] += 1
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def _test(item: pytest.Item) -> str:
    """The name of the test that tells this story."""
    return item.nodeid.partition("[")[0]


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:
    yield
    close_all()
