"""The service manager's unit: valid, and locked up as far as the program allows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need_program

pytestmark = pytest.mark.either
UNIT = Path(__file__).resolve().parents[2] / "systemd" / "syncd.service"
#: systemd-analyze rates exposure from 0.0 (safe) to 10.0; this in tenths.
MOST_EXPOSED = 15


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    need_program(shutil.which("systemd-analyze") is not None, "systemd-analyze (apt-get install systemd)")
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


def analysed(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_unit_is_valid(unit: Path) -> None:
    said = analysed("verify", "--man=no", str(unit))
    assert "syncd.service" not in said, said


def test_the_unit_is_locked_up(unit: Path) -> None:
    said = analysed("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit))
    assert "OK" in said or "SAFE" in said or "exposure level" in said


def test_the_unit_speaks_of_what_there_is() -> None:
    text = UNIT.read_text()
    assert "syncd run --config /etc/syncd/syncd.yaml --json-logs" in text
    for line in ("Type=notify", "WatchdogSec=", "ExecReload=/bin/kill -HUP $MAINPID", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "StateDirectory=syncd", "User=syncd", "LoadCredential="):  # fmt: skip
        assert line in text, line
