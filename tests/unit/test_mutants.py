"""The faults that are put into the engine by hand stand where they are meant to."""

from __future__ import annotations

import pytest

from tests.properties.mutants import MUTANTS, ROOT, noticed

pytestmark = pytest.mark.either


@pytest.mark.parametrize("name", MUTANTS)
def test_each_fault_has_its_place(name: str) -> None:
    file, there, instead = MUTANTS[name]
    assert (ROOT / "syncd" / file).read_text(encoding="utf-8").count(there) == 1
    assert there != instead


def test_who_noticed_a_fault_the_last_time_is_kept_for_faults_that_there_are() -> None:
    assert noticed().keys() <= MUTANTS.keys()
