"""What probes of servers have found, in a file beside the state: one entry for each profile and server.

`syncd check --live --probe-guests` writes it, whoever opens a connector hands it on. A result names the
server as that one described itself; the connector holds it for no other.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from syncd.ports import Probe
from syncd.settings import Configuration


def probes_path(configuration: Configuration) -> Path:
    """Where the results lie."""
    return configuration.state / "guests.json"


def probed(configuration: Configuration, profile: str) -> dict[str, Any] | None:
    """What is known of a profile's server: identity, quiet, on. None where nothing, or nothing readable, is:
    such a server is taken to tell the guests."""
    url = configuration.settings.profiles[profile].url
    found = _read(configuration).get(_name(profile, url))
    if not isinstance(found, dict) or not isinstance(found.get("identity"), str):
        return None
    return found if isinstance(found.get("quiet"), bool) else None


def remember(configuration: Configuration, profile: str, found: Probe, *, quiet: bool, on: datetime) -> None:
    """Keeps a result in the place of an older one; the file is replaced as a whole."""
    url = configuration.settings.profiles[profile].url
    known = _read(configuration)
    known[_name(profile, url)] = {"identity": found.identity, "quiet": quiet, "on": on.strftime("%Y-%m-%dT%H:%M:%SZ")}
    path = probes_path(configuration)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        made.unlink()
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2, sort_keys=True)
        file.write("\n")
    made.replace(path)


def _name(profile: str, url: str) -> str:
    return f"{profile} {url}"


def _read(configuration: Configuration) -> dict[str, Any]:
    try:
        found = json.loads(probes_path(configuration).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
