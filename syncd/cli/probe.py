"""check --live: what each calendar server does with the guests of a meeting, by its word or by a trial."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from syncd.cli.app import fail

#: What the meetings of a trial are called.
ALOUD, QUIET = "syncd trial (you may hear of this)", "syncd trial (you must not hear of this)"
_SAYS = {
    "nobody": "tells nobody",
    "can be asked": "can be asked to tell nobody",
    "tells": "tells them, or nobody knows that it does not",
}


def say_telling(opened: Any) -> int:
    """What each server does with a write into a meeting that has guests; returns how many could not be asked."""
    from syncd.ports import PortError, telling_of
    from syncd.service.assemble import Shut

    bad = 0
    for pairing in opened.pairings:
        replica = opened.replica(pairing.id)
        if pairing.lens.mapping.item != "event" or isinstance(replica, Shut):  # it was said that it is shut
            _close(replica)
            continue
        try:
            typer.echo(f"{pairing.id}: of a meeting with guests its server {_SAYS[telling_of(replica).value]}")
        except PortError as error:
            bad += 1
            typer.echo(f"{pairing.id}: {error}", err=True)
        finally:
            _close(replica)
    return bad


def probe_guests(opened: Any, host: str, guest: str, wait: float) -> None:
    """Tries out whether the server of two mailboxes keeps quiet, and keeps the result with its profile."""
    from syncd.ports import PortError, Probing
    from syncd.service.probe import probes_path, remember

    one, other = _two(opened, host, guest)
    profile = opened.accounts[one].profile
    if opened.accounts[one].read_only:
        raise fail(f"{one} is read-only: the trial would write there")
    replicas = [opened.replica(name) for name in (one, other)]
    try:
        if not all(isinstance(r, Probing) for r in replicas):
            raise fail(f"{one} and {other} cannot be tried: there is no such trial for this kind of server, "
                       "or an account cannot be signed in to")  # fmt: skip
        typer.echo(f'{other} is invited by {one} to "{ALOUD}"; of "{QUIET}" nothing must be heard')
        found = replicas[0].probe(replicas[1], aloud=ALOUD, quiet=QUIET, wait=wait)
    except PortError as error:
        raise fail(f"{profile}: {error}", 3) from None
    finally:
        for replica in replicas:
            _close(replica)
    if not found.conclusive:
        raise fail(f"{other} did not hear of an ordinary invitation either, so nothing is known: "
                   f"the server of {profile} counts as one that tells", 3)  # fmt: skip
    for line in found.heard:
        typer.echo(f"  {line}")
    quiet = not found.heard and not _mailed(other)
    remember(opened.configuration, profile, found, quiet=quiet, on=datetime.now(UTC))
    says = "keeps quiet when it is asked to" if quiet else "tells the guests"
    typer.echo(f"the server of {profile} {says}; kept in {probes_path(opened.configuration)}")


def _mailed(guest: str) -> bool:
    """Mail is seen by a person only."""
    typer.echo(f"nothing was seen in the calendars and the inbox of {guest}; now look for mail there")
    try:
        return typer.confirm(f'Has mail about "{QUIET}" come?', default=None)
    except typer.Abort:
        raise fail("nobody has said whether mail came, so nothing is kept: answer y or n") from None


def _two(opened: Any, host: str, guest: str) -> tuple[str, str]:
    """The two pairings: calendars of different people at one profile."""
    found = []
    for name in (host, guest):
        those = [
            p.id for p in opened.pairings if name in (p.id, opened.owners[p.id].id) and p.lens.mapping.item == "event"
        ]
        if not those:
            raise fail(f"no employee with a calendar, and no calendar (employee/account), is called {name}")
        found.append(those)
    if {opened.owners[p].id for p in found[0]} == {opened.owners[p].id for p in found[1]}:
        raise fail("name two mailboxes of different people: one invites the other")
    pairs = [(a, b) for a in found[0] for b in found[1] if opened.accounts[a].profile == opened.accounts[b].profile]
    if not pairs:
        raise fail(f"{host} and {guest} have no calendars at the same profile: the trial is of one profile's server")
    if len({opened.accounts[a].profile for a, _ in pairs}) > 1:
        raise fail(f"{host} and {guest} meet at several profiles: name the accounts, such as {' '.join(pairs[0])}")
    return pairs[0]


def _close(replica: Any) -> None:
    if hasattr(replica, "close"):
        replica.close()
