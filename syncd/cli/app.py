"""The command's frame: options that all commands share, and what becomes of errors.

Exit status: 0 done, 1 some links parked, 2 wrong use or configuration, 3 a server or sign-in failed.
Everything heavy is imported by the command that needs it: ``syncd --help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from syncd import __version__

app = typer.Typer(
    name="syncd",
    help="Keeps employees' groupware and the activities of a CRM in step, both ways.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file (else syncd.yaml here, ~/.config/syncd, /etc/syncd)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


def fail(message: str, status: int = 2) -> typer.Exit:
    """Says what is wrong, on standard error, and ends with the status."""
    for line in message.splitlines():
        typer.echo(f"syncd: {line}", err=True)
    return typer.Exit(status)


def configuration(given: Path | None) -> Any:
    """The configuration, or an end with status 2 and every fault with its place."""
    from syncd.settings import find, load_configuration
    from syncd.strict_yaml import BadDocument

    try:
        return load_configuration(find(given))
    except BadDocument as error:
        raise unfit(error) from None


def unfit(error: Any) -> typer.Exit:
    """Says each fault of a document with its place, and ends with status 2."""
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    return typer.Exit(2)


def house(given: Path | None, only: list[str] | None = None) -> Any:
    """Store, CRM and pairings, opened; or an end with status 2."""
    from syncd.database import StoreFault
    from syncd.secrets import SecretFault
    from syncd.service.assemble import NoConnector, open_house
    from syncd.strict_yaml import BadDocument

    found = configuration(given)
    try:
        made = open_house(found, only or ())
    except BadDocument as error:
        raise unfit(error) from None
    except (SecretFault, StoreFault, NoConnector) as error:
        raise fail(str(error)) from None
    if only and not made.chosen:
        made.close()
        raise fail(f"no employee or pairing is called {', '.join(only)}")
    return made


def print_json(value: Any) -> None:
    """One JSON document, on standard output."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit


@app.callback()
def _frame(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps employees' groupware and the activities of a CRM in step, both ways."""
