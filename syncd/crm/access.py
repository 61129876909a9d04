"""Who looks, and what there is for whom: the one predicate of access.

A private activity is its owner's; for everybody else it does not exist (design §8). Whoever reads or
writes activities, or what hangs on them, does it as a viewer, and the predicate is part of the
statement: nothing is read first and left out afterwards, so that limits and counts hold too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select, true

from syncd.crm import tables as t


class System:
    """The synchronisation: it sees everything, as privacy is then the gate's business. There is one,
    `SYSTEM`; it is an object, so no text that anybody types can name it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "groupware"


SYSTEM: Final = System()

#: An employee's id ("": somebody who does not say who it is), or the synchronisation.
Viewer = str | System


def visible(viewer: Viewer) -> ColumnElement[bool]:
    """The activities that there are for the viewer."""
    if isinstance(viewer, System):
        return true()
    public = t.activity.c.private.is_(False)
    return or_(public, t.activity.c.owner == viewer) if viewer else public


def visible_to_address(address: str) -> ColumnElement[bool]:
    """As `visible`, for the employee with that address."""
    owner = select(t.employee.c.id).where(t.employee.c.address == address).scalar_subquery()
    return or_(t.activity.c.private.is_(False), t.activity.c.owner == owner)


def of_visible(guid: ColumnElement[str], viewer: Viewer) -> ColumnElement[bool]:
    """What belongs to an activity that there is for the viewer; `guid` is the column that names it."""
    if isinstance(viewer, System):
        return true()
    return guid.in_(select(t.activity.c.guid).where(visible(viewer)))


def owns(viewer: Viewer, activity: Mapping[str, Any]) -> bool:
    """True for whom nothing of the activity is hidden, not even its private occurrences and its past."""
    return isinstance(viewer, System) or (bool(viewer) and activity["owner"] == viewer)
