"""The `syncd` command."""

from __future__ import annotations


def main() -> None:
    """Entry point: errors are one line, without a traceback."""
    from syncd.cli.app import run

    run()


__all__ = ["main"]
