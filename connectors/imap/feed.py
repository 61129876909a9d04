"""The feed of a mailbox: what came, changed and went in each folder since the cursor.

With QRESYNC (RFC 7162) one FETCH tells all; with CONDSTORE only what changed, and what went is found by
comparing UIDs; without either, UIDs and the few flags that matter are compared. The cursor is JSON: for
each folder its UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and, where the server has to be compared with what
was, UIDs as ranges. A folder that is gone, or whose UIDVALIDITY is another, expires the cursor: the
engine compares in full then and knows messages again by their identity.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from connectors.imap.folders import ref_of
from connectors.imap.session import Session, as_set, ranges, runs
from syncd.mail.folders import Folder
from syncd.mail.headers import EARLIEST
from syncd.model.names import one_forms
from syncd.ports import Change, CursorExpired, Page

#: Changes a page.
PAGE = 500
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Ranges = list[tuple[int, int]]


#: What is asked of a message for its version.
STATE = ("UID", "FLAGS", "RFC822.SIZE")


@dataclass(frozen=True)
class Watch:
    """What of the flags counts: \\Seen and \\Answered do not, or each reading of a mail would be a change."""

    flags: frozenset[str]

    def version(self, flags: Iterable[Any]) -> str:
        """A message's flags that count."""
        have = one_forms(f.decode("utf-8", "replace") if isinstance(f, bytes) else str(f) for f in flags)
        return " ".join(sorted(have & self.flags)) or "-"

    def version_of(self, state: Mapping[bytes, Any]) -> str:
        """The version of a message of which `STATE` was asked: its flags that count, and its size. A mailbox that was
        put back from a backup may have another message under a UID that was given out already."""
        return f"{self.version(state.get(b'FLAGS', ()))} {state.get(b'RFC822.SIZE', '-')}"


@dataclass
class _Place:
    """How far one folder has been read."""

    validity: int
    next: int
    modseq: int = 0
    excluded: bool = False
    #: UIDs that were there, and flag -> UIDs that had it; where the server must be compared.
    uids: str | None = None
    flagged: dict[str, str] | None = None

    def packed(self) -> dict[str, Any]:
        made: dict[str, Any] = {"v": self.validity, "n": self.next}
        made |= {"m": self.modseq} if self.modseq else {}
        made |= {"x": 1} if self.excluded else {}
        made |= {"u": self.uids} if self.uids is not None else {}
        return made | ({"f": self.flagged} if self.flagged is not None else {})


def _unpacked(found: dict[str, Any]) -> _Place:
    return _Place(found["v"], found["n"], found.get("m", 0), bool(found.get("x")), found.get("u"), found.get("f"))


def read_cursor(cursor: str) -> dict[str, _Place]:
    """Folder -> place. Raises CursorExpired for what is no cursor of ours."""
    try:
        return {name: _unpacked(place) for name, place in json.loads(cursor)["folders"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CursorExpired("the cursor cannot be read") from None


def _written(places: dict[str, _Place]) -> str:
    folders = {name: place.packed() for name, place in sorted(places.items())}
    return json.dumps({"folders": folders}, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Feed:
    """Reads the feed over one session."""

    session: Session
    watch: Watch
    #: Older messages are only there, no news.
    since: date

    def listing(self, folders: Sequence[Folder], states: dict[str, dict[str, int]]) -> Iterator[Page]:
        """Everything, from the beginning."""
        places: dict[str, _Place] = {}
        last: Page | None = None
        for folder in folders:
            state = states[folder.name]
            place = _Place(state["UIDVALIDITY"], state["UIDNEXT"], state.get("HIGHESTMODSEQ", 0), folder.excluded)
            for page in self._listed(folder, place, state):
                if last is not None:
                    yield last
                last = Page(page.changes, _written(places), there=page.there)
            places[folder.name] = place
        end = _written(places)
        yield Page(last.changes if last else (), end, complete=True, there=last.there if last else ())

    def _listed(self, folder: Folder, place: _Place, state: dict[str, int]) -> Iterator[Page]:
        if not state["MESSAGES"]:
            self._remember(folder, place, [])
            return
        self._enter(folder, place)
        every = self.session.search("ALL")
        # by arrival, and what says nothing of it: programs that move mail leave the beginning of time there
        news = self.session.search("OR", "SINCE", _imap_date(self.since), "BEFORE", _imap_date(EARLIEST.date()))
        if folder.excluded:  # whatever its age: it may have been logged before it was put there
            news = every
        self._remember(folder, place, every)
        recent = _Members(news)
        for chunk in _chunks(every):
            old = [ref_of(folder.name, place.validity, u) for u in chunk if u not in recent]
            if old:
                yield Page((), "", there=old)
        for chunk in _chunks(news):
            yield Page(list(self._changes(folder, place, chunk)), "")

    def _enter(self, folder: Folder, place: _Place) -> None:
        """Opens the folder; its own numbers are newer than what STATUS said. Raises CursorExpired."""
        said = self.session.select(folder.name)
        if said.get("UIDVALIDITY", place.validity) != place.validity:
            raise CursorExpired("a folder was made anew")
        place.next = max(place.next, said.get("UIDNEXT", 0))
        if place.modseq:
            place.modseq = max(place.modseq, said.get("HIGHESTMODSEQ", 0))

    def _changes(self, folder: Folder, place: _Place, uids: Sequence[int]) -> Iterator[Change]:
        found = self.session.fetch(as_set(_runs(uids)), STATE)
        for uid in uids:
            if uid in found:
                version = self.watch.version_of(found[uid])
                yield Change(ref_of(folder.name, place.validity, uid), version, kind="message")

    def since_then(
        self, folders: Sequence[Folder], states: dict[str, dict[str, int]], places: dict[str, _Place]
    ) -> Iterator[Page]:
        """What happened since the cursor. Raises CursorExpired."""
        for folder in folders:
            place, state = places.get(folder.name), states[folder.name]
            if place is not None and _another(place, state, folder):
                raise CursorExpired("a folder was made anew")
        gone = places.keys() - {f.name for f in folders}
        if gone:
            raise CursorExpired("a folder is no longer there, or no longer read")
        quiet = True
        for folder in folders:
            state = states[folder.name]
            before = places.get(folder.name)
            now = _Place(state["UIDVALIDITY"], state["UIDNEXT"], state.get("HIGHESTMODSEQ", 0), folder.excluded)
            if before is None:  # a folder that has come: all of it is news
                found: Iterable[Page] = self._listed(folder, now, state)
            elif self._still(before, now, state):
                continue
            else:
                found = [Page(c, "") for c in _pages(self._changed(folder, before, now))]
            last: Page | None = None
            for page in found:
                if last is not None:
                    yield Page(last.changes, _written(places), there=last.there)
                last = page
            places = {**places, folder.name: now}
            quiet = False
            yield Page(last.changes if last else (), _written(places), there=last.there if last else ())
        if quiet:
            yield Page((), _written(places))

    def _still(self, before: _Place, now: _Place, state: dict[str, int]) -> bool:
        """True when nothing that the numbers show has happened."""
        if before.modseq and now.modseq:
            return before.modseq == now.modseq and before.next == now.next
        same = before.next == now.next and _count(ranges(before.uids or "")) == state["MESSAGES"]
        if same and not self.watch.flags:
            now.uids, now.flagged = before.uids, before.flagged
            return True
        return False

    def _changed(self, folder: Folder, before: _Place, now: _Place) -> Iterator[Change]:
        validity = now.validity
        self._enter(folder, now)
        if before.modseq and now.modseq:
            told = self.session.qresync and before.uids is None
            modifier = f"CHANGEDSINCE {before.modseq}{' VANISHED' if told else ''}"
            found = self.session.fetch("1:*", STATE, modifier)
            vanished = self.session.vanished() if told else self._went(folder, before, now)
            for uid in _each(vanished, before.next):
                yield Change(ref_of(folder.name, validity, uid), gone=True)
            for uid in sorted(found):
                if b"FLAGS" in found[uid]:
                    version = self.watch.version_of(found[uid])
                    yield Change(ref_of(folder.name, validity, uid), version, kind="message")
            return
        for uid in _each(self._went(folder, before, now), before.next):
            yield Change(ref_of(folder.name, validity, uid), gone=True)
        old = _Members(ranges(before.uids or ""))
        touched = {u for u in _all(ranges(now.uids or "")) if u >= before.next or u not in old}
        was, is_ = before.flagged or {}, now.flagged or {}
        for flag in sorted(self.watch.flags):
            one, other = set(_all(ranges(was.get(flag, "")))), set(_all(ranges(is_.get(flag, ""))))
            touched |= one ^ other
        present = _Members(ranges(now.uids or ""))
        for chunk in _chunks(_runs(sorted(u for u in touched if u in present))):
            yield from self._changes(folder, now, chunk)

    def _went(self, folder: Folder, before: _Place, now: _Place) -> Ranges:
        every = self.session.search("ALL")
        self._remember(folder, now, every)
        have = _Members(every)
        return _runs([u for u in _all(ranges(before.uids or "")) if u not in have])

    def _remember(self, folder: Folder, place: _Place, every: Ranges) -> None:
        """Keeps what the server will not tell of: UIDs, and the UIDs of each flag that counts."""
        if place.modseq and self.session.qresync:
            return
        place.uids = as_set(every)
        if not place.modseq:
            flags = {}
            for flag in sorted(self.watch.flags) if every else ():
                flags[flag] = as_set(self.session.search(*_having(flag)))
            place.flagged = {k: v for k, v in flags.items() if v}


def _another(place: _Place, state: dict[str, int], folder: Folder) -> bool:
    """True when the folder is not the one that was read, or was put back from a backup."""
    older = state["UIDNEXT"] < place.next or bool(state.get("HIGHESTMODSEQ", 0) < place.modseq)
    return state["UIDVALIDITY"] != place.validity or older or folder.excluded is not place.excluded


def _having(flag: str) -> tuple[str, ...]:
    system = {"\\deleted": "DELETED", "\\draft": "DRAFT", "\\flagged": "FLAGGED", "\\seen": "SEEN"}
    return (system[flag],) if flag in system else ("KEYWORD", flag)


def _imap_date(day: date) -> str:
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year:04d}"


class _Members:
    """UIDs of ranges, to ask whether one is among them."""

    def __init__(self, several: Ranges) -> None:
        self._starts = [a for a, _ in several]
        self._ends = [b for _, b in several]

    def __contains__(self, uid: int) -> bool:
        at = bisect_right(self._starts, uid) - 1
        return at >= 0 and uid <= self._ends[at]


def _all(several: Ranges) -> Iterator[int]:
    for first, last in several:
        yield from range(first, last + 1)


def _each(several: Ranges, next_uid: int) -> Iterator[int]:
    """UIDs of ranges, as far as they existed when the folder was last read."""
    for first, last in several:
        yield from range(first, min(last, next_uid - 1) + 1)


def _count(several: Ranges) -> int:
    return sum(b - a + 1 for a, b in several)


def _runs(uids: Iterable[int]) -> Ranges:
    return runs(list(uids))


def _chunks(several: Ranges) -> Iterator[list[int]]:
    chunk: list[int] = []
    for uid in _all(several):
        chunk.append(uid)
        if len(chunk) == PAGE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _pages(changes: Iterator[Change]) -> Iterator[list[Change]]:
    page: list[Change] = []
    for change in changes:
        page.append(change)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
