"""Shows in a mailbox what was logged: a keyword, a copy, a move. Done twice it is done once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.imap.session import Session
from syncd.mail.folders import plain_names
from syncd.mail.headers import read_headers
from syncd.model.names import one_form
from syncd.ports import Rejected


@dataclass(frozen=True)
class Place:
    """Messages of one folder."""

    folder: str
    #: As configurations write it.
    name: str
    validity: int
    uids: Sequence[int]


def show(session: Session, at: Place, *, keyword: str, copy: str, move: str, logged: bool) -> None:
    """Shows that these are logged, or, for a keyword, no longer. What is gone is passed over. Raises
    Rejected when the server takes no such mark."""
    try:
        state = session.select(at.folder, writing=True)
    except Rejected:
        return
    if state.get("UIDVALIDITY") != at.validity:
        return
    if keyword:
        _keyword(session, at.uids, keyword, logged)
    if logged and copy and one_form(at.name) != one_form(copy):
        _copy(session, at, copy)
    if logged and move and one_form(at.name) != one_form(move):
        _move(session, at, move)


def _keyword(session: Session, uids: Sequence[int], keyword: str, logged: bool) -> None:
    with session.talking() as client:
        session.requests += 1
        if not session.takes_keyword(keyword):
            raise Rejected(f"the mailbox takes no keyword {keyword}")
        act = client.add_flags if logged else client.remove_flags
        act(list(uids), [keyword.encode()], silent=True)


def _target(session: Session, wanted: str) -> str:
    """The folder's name on the server; it is made where there is none."""
    listed, _ = session.listed()
    prefixes = session.prefixes(listed)
    asked = one_form(wanted)
    known = [(n, [one_form(p) for p in plain_names(n, d, prefixes)]) for _, d, n in listed]
    name = next((n for at in (0, 1) for n, plain in known if asked in plain[at : at + 1]), "")
    if not name:
        name = next(iter(prefixes), "") + wanted.replace("/", next((d for _, d, _ in listed if d), "/"))
        with session.talking() as client:
            session.requests += 1
            client.create_folder(name)
    return name


def _copy(session: Session, at: Place, wanted: str) -> None:
    """Copies what is not in the target yet (a run that was interrupted begins anew)."""
    target = _target(session, wanted)
    for uid in at.uids:
        session.open(at.folder, writing=True)
        found = session.fetch(str(uid), ["UID", "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"]).get(uid)
        if found is None:
            continue
        section = next((v for k, v in found.items() if k.startswith(b"HEADER") and isinstance(v, bytes)), b"")
        message_id = read_headers(section).message_id
        session.select(target)
        if message_id and session.search("HEADER", "Message-ID", _quoted(message_id)):
            continue
        session.open(at.folder, writing=True)
        with session.talking() as client:
            session.requests += 1
            client.copy([uid], target)


def _move(session: Session, at: Place, wanted: str) -> None:
    target = _target(session, wanted)
    session.open(at.folder, writing=True)
    with session.talking() as client:
        if not client.has_capability("MOVE"):
            raise Rejected("the server cannot move messages (RFC 6851)")
        session.requests += 1
        client.move(list(at.uids), target)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
