"""secret set | get-ref | rm: where passwords are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.app import ConfigOption, app, fail
from syncd.secrets import SecretFault, keep, reference_of, remove

secret = typer.Typer(help="Keep passwords where they belong, and refer to them.", no_args_is_help=True)
app.add_typer(secret, name="secret")


def _folder(config: Path | None) -> Path:
    return config.resolve().parent if config else Path.cwd()


def read_secret(prompt: str) -> str:
    """A password: typed unseen on a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


@secret.command("set")
def set_(
    name: str,
    config: ConfigOption = None,
    place: Annotated[str, typer.Option("--in", help="keyring or file; the keyring where there is one.")] = "",
) -> None:
    """Keep a secret (typed, or the first line of standard input) and print its reference."""
    if place not in ("", "keyring", "file"):
        raise fail("a secret is kept in: keyring or file")
    value = read_secret(f"Secret for {name}")
    if not value:
        raise fail("the secret is empty")
    try:
        typer.echo(keep(name, value, _folder(config), place=place))
    except SecretFault as error:
        raise fail(str(error)) from None


@secret.command("get-ref")
def get_ref(name: str, config: ConfigOption = None) -> None:
    """Print the reference of a secret for the configuration; never the secret."""
    found = reference_of(name, _folder(config))
    if found is None:
        raise fail(f"no secret is called {name}")
    typer.echo(found)


@secret.command("rm")
def rm(name: str, config: ConfigOption = None) -> None:
    """Forget a secret."""
    if not remove(name, _folder(config)):
        raise fail(f"no secret is called {name}")
    typer.echo(f"{name}: forgotten")
