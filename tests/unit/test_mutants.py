"""The faults that are put into the engine by hand stand where they are meant to."""

from __future__ import annotations

import pytest

from tests.properties.mutants import MUTANTS, ROOT

pytestmark = pytest.mark.either


@pytest.mark.parametrize("name", MUTANTS)
def test_each_fault_has_its_place(name: str) -> None:
    file, there, instead = MUTANTS[name]
    assert (ROOT / "syncd" / file).read_text(encoding="utf-8").count(there) == 1
    assert there != instead
