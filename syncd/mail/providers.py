"""Providers at which anybody can have an address: their domains say nothing of whom one works for."""

from __future__ import annotations

from importlib.resources import files

#: Their domains, as listed beside this file.
PUBLIC = frozenset((files("syncd.mail") / "providers.txt").read_text("ascii").split())
