"""The faults that are put into the engine by hand stand where they are meant to."""

from __future__ import annotations

import pytest

from tests.properties.mutants import MUTANTS, ROOT, noticed

pytestmark = pytest.mark.either


def test_each_fault_has_its_place() -> None:
    """All of them in one test: of many stories only a part is tried, and one that has moved would be seen late."""
    texts = {file: (ROOT / "syncd" / file).read_text(encoding="utf-8") for file, _, _ in MUTANTS.values()}
    assert [name for name, (file, there, _) in MUTANTS.items() if texts[file].count(there) != 1] == []
    assert [name for name, (_, there, instead) in MUTANTS.items() if there == instead] == []


def test_of_each_fault_it_is_kept_who_noticed_it_the_last_time() -> None:
    assert sorted(noticed()) == sorted(MUTANTS)
