"""What was agreed on under one link, in the scope of another: of an entry that is gone, and that a private one beside
it had shown too. What the CRM has said itself since is known by it, and is not taken back with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncd.engine.context import Context
from syncd.engine.digest import Digester
from syncd.model.fields import Fields, kind_of
from syncd.store import Link

#: Among what the link of our copy has written: the fields that it was handed when another entry, which had brought
#: them, became private.
HANDED = "handed"


def with_handed(link: Link, names: Iterable[str]) -> dict[str, list[str]]:
    """What the link has written, with the fields that it is handed."""
    held = {name: list(found) for name, found in link.unconfirmed.items()}
    return {**held, HANDED: sorted({*held.get(HANDED, ()), *names})}


def shown_for(link: Link) -> frozenset[str]:
    """The fields that nobody shows any more once the entry is gone, and a private one beside it has shown too: what it
    has brought; of our copy what it was handed, as what its employee has typed on it is the CRM's."""
    return frozenset(link.unconfirmed.get(HANDED, ())) if link.ours else link.brought


def as_agreed(ctx: Context, link: Link, to: Link, crm: Fields) -> dict[str, Any]:
    """The columns of the link `to` after it has what was agreed on under `link`; `crm`: what the activity says now."""
    was, now = ctx.digester(link.id), ctx.digester(to.id)
    unconfirmed = {name: list(held) for name, held in to.unconfirmed.items()}
    alone = _names(link.unconfirmed.get("local-crm", ()), crm, was, now)
    if alone:
        unconfirmed["local-crm"] = alone
    return {
        "item_base": _base(link.item_base, crm, was, now),
        "crm_base": _base(link.crm_base, crm, was, now),
        "texts": link.texts,
        "unconfirmed": unconfirmed,
    }


def _base(base: Mapping[str, Any], crm: Fields, was: Digester, now: Digester) -> dict[str, Any]:
    """A base, as far as what the activity says tells what it is made of: what differs from that still does; of a set
    only elements that are there are known."""
    made: dict[str, Any] = {}
    for name, held in base.items():
        if isinstance(held, dict) and kind_of(name).keyed:
            made[name] = _set(name, held, crm, was, now)
        else:
            same = name in crm and was.holds(base, name, crm[name])
            made[name] = now.of(name, crm[name]) if same else held
    return made


def _set(name: str, held: Mapping[str, str], crm: Fields, was: Digester, now: Digester) -> dict[str, str]:
    made = {}
    for key, text in kind_of(name).elements(crm.get(name)).items():
        old = held.get(was.element(name, key))
        if old is not None:
            made[now.element(name, key)] = now.content(name, key, text) if old == was.content(name, key, text) else old
    return made


def _names(names: Iterable[str], crm: Fields, was: Digester, now: Digester) -> list[str]:
    """Names of fields, and of elements of sets: the field's name, a blank, and the element's digest."""
    made = []
    for name, _, digest in (entry.partition(" ") for entry in names):
        keys = kind_of(name).elements(crm.get(name)) if digest else ()
        here = [f"{name} {now.element(name, k)}" for k in keys if was.element(name, k) == digest]
        made += here if digest else [name]
    return sorted(made)
