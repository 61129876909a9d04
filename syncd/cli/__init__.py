"""The `syncd` command."""

from __future__ import annotations


def main() -> None:
    """Entry point of the installed script."""
    from syncd.cli.command import run

    run()


__all__ = ["main"]
