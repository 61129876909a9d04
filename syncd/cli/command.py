"""Puts the commands together and runs them: ``syncd``, or ``python -m syncd.cli.command``."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import typer

from syncd.cli.app import app

#: Modules that add their commands to the app, in the order of the help text.
COMMANDS = ("init", "sync", "inspect", "crm", "crm_follow", "secret", "demo")


def run() -> None:
    """Runs the command line: errors are one line, never a traceback, never content."""
    for name in COMMANDS:
        import_module(f"syncd.cli.{name}")
    # A pass makes many small objects and hardly any cycles: looking for cycles seldom saves a tenth.
    gc.set_threshold(20_000, 20, 50)
    try:
        app()
    except KeyboardInterrupt:
        typer.echo("syncd: interrupted; what was done is done, the rest waits for the next pass", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("SYNCD_TRACEBACK"):
            raise
        typer.echo(f"syncd: unexpected {type(error).__name__}; SYNCD_TRACEBACK=1 shows where", err=True)
        sys.exit(3)


if __name__ == "__main__":
    run()
