"""The HTTP stack that is installed is the one that was chosen."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version

import pytest
import urllib3


def test_case_o6_urllib3_is_urllib3() -> None:
    """niquests brings a fork that takes urllib3's place for everybody, and that waits for ever where a server answers
    twice."""
    assert set(packages_distributions()["urllib3"]) == {"urllib3"}
    assert vars(urllib3)["__version__"] == version("urllib3")
    for name in ("urllib3-future", "niquests"):
        with pytest.raises(PackageNotFoundError):
            version(name)
