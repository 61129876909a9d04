"""The documentation says what is so: its reference is the program's, its links lead somewhere, its examples load."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

from docs.generate import GENERATED, REFERENCE
from syncd.cli.app import app
from syncd.cli.command import COMMANDS
from syncd.settings import load_configuration

pytestmark = pytest.mark.either

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])
NAMES = [str(p.relative_to(ROOT)) for p in PAGES]


@pytest.mark.parametrize("name", GENERATED)
def test_the_reference_is_what_the_program_says(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == GENERATED[name](), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"(?m)^#+ (.*)$", there.read_text(encoding="utf-8"))
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}, anchor


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_examples_of_configurations_are_fine(page: Path, tmp_path: Path) -> None:
    for block in re.findall(r"(?ms)^( *)```yaml\n(.*?)^ *```", page.read_text(encoding="utf-8")):
        lines = [line.removeprefix(block[0]) for line in block[1].splitlines()]
        (tmp_path / "our-ca.pem").touch()
        (tmp_path / "syncd.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        load_configuration(tmp_path / "syncd.yaml")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_named_exist(page: Path) -> None:
    for name in COMMANDS:
        import_module(f"syncd.cli.{name}")
    known = set(getattr(get_command(app), "commands", {}))
    text = page.read_text(encoding="utf-8")
    typed = "\n".join(re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", text))
    named = {*re.findall(r"`syncd ([a-z]+)", text), *re.findall(r"(?m)(?:^|/)syncd ([a-z]+)", typed)}
    assert named <= known, named - known


def test_every_page_can_be_reached() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / t).resolve() for t in re.findall(r"\]\(([^)#]+)", index)}
    assert {p for p in PAGES if p.parent != ROOT and p.name != "README.md"} <= linked
