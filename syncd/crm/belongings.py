"""What hangs on an activity: the transactions that it follows, its files, and the appointment of an invitation.

Functions on an open connection, as in `syncd.crm.activities`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select
from sqlalchemy import delete as sql_delete

from syncd.crm import tables as t
from syncd.crm.access import Viewer, of_visible, visible
from syncd.crm.people import TRANSACTION_TYPES
from syncd.model.files import File


class NotFound(Exception):
    """No such activity, for this viewer."""


def predecessors(connection: Connection, guids: Sequence[str]) -> dict[str, list[str]]:
    """GUID -> the transactions that it follows; of activities that somebody may see."""
    f = t.follow_up.c
    found: dict[str, list[str]] = {}
    wanted = select(f.follower, f.predecessor_type, f.predecessor)
    wanted = wanted.where(f.follower.in_(guids), f.predecessor_type.in_(TRANSACTION_TYPES))
    for guid, type_, number in connection.execute(wanted) if guids else ():
        found.setdefault(guid, []).append(f"{type_} {number}")
    return found


def files(connection: Connection, guids: Sequence[str]) -> dict[str, list[File]]:
    """GUID -> its files, without their octets; of activities that somebody may see."""
    a = t.attachment.c
    found: dict[str, list[File]] = {}
    wanted = select(a.activity, a.name, a.type, a.size).where(a.activity.in_(guids)).order_by(a.activity, a.position)
    for guid, name, type_, size in connection.execute(wanted) if guids else ():
        found.setdefault(guid, []).append(File(name, type_, size))
    return found


def attachments(connection: Connection, guid: str, viewer: Viewer) -> list[dict[str, Any]]:
    """The files of an activity."""
    a = t.attachment.c
    where = (a.activity == guid) & of_visible(a.activity, viewer)
    found = connection.execute(select(t.attachment).where(where).order_by(a.position)).mappings()
    return [{"number": r["position"], **{k: r[k] for k in ("name", "type", "size", "stored")}} for r in found]


def pieces(connection: Connection, guid: str, number: int, viewer: Viewer) -> Iterator[bytes]:
    """The octets of a file, in pieces. Raises NotFound when they are not here."""
    a, p = t.attachment.c, t.attachment_piece.c
    where = (a.activity == guid) & (a.position == number) & a.stored & of_visible(a.activity, viewer)
    found = connection.execute(select(a.id).where(where)).scalar()
    if found is None:
        raise NotFound(f"{guid} {number}")
    count = connection.execute(select(func.count()).where(p.attachment == found)).scalar_one()
    for at in range(count):
        yield bytes(connection.execute(select(p.content).where(p.attachment == found, p.number == at)).scalar_one())


def documents(connection: Connection, type: str, id: str, viewer: Viewer) -> dict[str, list[tuple[str, str]]]:
    """The document history of a transaction or activity, as far as the viewer may see its other ends."""
    f = t.follow_up.c
    made: dict[str, list[tuple[str, str]]] = {}
    for side, (kind, other), mine in (
        ("predecessors", (f.predecessor_type, f.predecessor), (f.follower_type == type) & (f.follower == id)),
        ("followers", (f.follower_type, f.follower), (f.predecessor_type == type) & (f.predecessor == id)),
    ):
        seen = or_(kind.in_(TRANSACTION_TYPES), of_visible(other, viewer))
        found = connection.execute(select(kind, other).where(mine, seen).order_by(f.id))
        made[side] = [(str(k), str(o)) for k, o in found]
    for side, several in _invitations(connection, type, id, viewer).items():
        made[side] += [pair for pair in several if pair not in made[side]]
    return made


def _invitations(connection: Connection, type: str, guid: str, viewer: Viewer) -> dict[str, list[tuple[str, str]]]:
    """What an e-mail and the appointment that it speaks of are to each other: neither knew the other when
    it came, so they are found by the UID."""
    a, seen = t.activity.c, visible(viewer)
    if type == "appointment":
        mine = connection.execute(select(a.uid, a.key).where(a.guid == guid, seen)).first()
        uids = [u for u in mine or () if u]
        wanted = select(a.kind, a.guid).where(a.appointment.in_(uids), seen).order_by(a.guid)
        found = connection.execute(wanted) if uids else ()
        return {"predecessors": [(str(r[0]), str(r[1])) for r in found]}
    uid = connection.execute(select(a.appointment).where(a.guid == guid, seen)).scalar()
    about = (a.kind == "appointment") & or_(a.uid == uid, a.key == uid) & seen
    found = connection.execute(select(a.kind, a.guid).where(about).order_by(a.guid)) if uid else ()
    return {"followers": [(str(r[0]), str(r[1])) for r in found]}


def follow(connection: Connection, predecessor: tuple[str, str], follower: tuple[str, str]) -> None:
    """Both show each other from now on; done twice it is done once."""
    names = ("predecessor_type", "predecessor", "follower_type", "follower")
    values = dict(zip(names, (*predecessor, *follower), strict=True))
    if connection.execute(select(t.follow_up.c.id).filter_by(**values)).first() is None:
        connection.execute(insert(t.follow_up).values(**values))


def set_transactions(connection: Connection, several: Sequence[tuple[str, str, Iterable[str]]]) -> None:
    """The activities follow these transactions, and no others."""
    f = t.follow_up.c
    if not several:
        return
    old = f.follower.in_([g for g, _, _ in several]) & f.predecessor_type.in_(TRANSACTION_TYPES)
    connection.execute(sql_delete(t.follow_up).where(old))
    rows = [
        {
            "predecessor_type": x.partition(" ")[0],
            "predecessor": x.partition(" ")[2],
            "follower_type": kind,
            "follower": g,
        }
        for g, kind, wanted in several
        for x in sorted(set(wanted))
    ]
    if rows:
        connection.execute(insert(t.follow_up), rows)


def set_files(connection: Connection, several: Sequence[tuple[str, Iterable[File]]]) -> None:
    """The activities have these files; what a file of the same name and size holds already stays."""
    a = t.attachment.c
    for guid, files in several:
        held = {(r.name, r.type, r.size): r for r in connection.execute(select(t.attachment).where(a.activity == guid))}
        wanted = list(files)
        keep = [held[k].id for k in ((f.name, f.type, f.size) for f in wanted) if k in held]
        gone = [r.id for r in held.values() if r.id not in keep]
        if gone:
            connection.execute(sql_delete(t.attachment_piece).where(t.attachment_piece.c.attachment.in_(gone)))
            connection.execute(sql_delete(t.attachment).where(a.id.in_(gone)))
        for position, file in enumerate(wanted):
            if (file.name, file.type, file.size) in held:
                continue
            row = {"activity": guid, "position": position, "name": file.name, "type": file.type, "size": file.size}
            stored = file.content is not None
            made = connection.execute(insert(t.attachment).values(**row, stored=stored).returning(a.id)).scalar_one()
            for number, piece in enumerate(file.content or ()):
                values = {"attachment": made, "number": number, "content": piece}
                connection.execute(insert(t.attachment_piece).values(**values))
