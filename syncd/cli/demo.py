"""syncd demo: the command; what it shows is in `story`."""

from __future__ import annotations

import typer

from syncd.cli.app import app, fail


@app.command()
def demo() -> None:
    """Show the main job on a server of its own: sync, mail, conflict, privacy, deletion, crash. Leaves nothing."""
    from syncd.cli import pymap, radicale

    if not radicale.installed() or not pymap.installed():
        raise fail("the demo needs the servers Radicale and pymap: pip install 'syncd[demo]'")
    from syncd.cli.story import tell

    if not tell(typer.echo):
        raise typer.Exit(1)
