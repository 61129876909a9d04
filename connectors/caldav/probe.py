"""Tries out what a server does with a meeting that has guests: with two people who know of it.

First what nobody should hear of: a meeting is made, edited, moved and deleted with every switch that is known
(`scheduling.SWITCHES`). Then the same with one to which the guest was invited aloud, which also shows that the
guest's calendars and inbox are where news would be seen. What has gone out as mail is not seen here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from connectors.caldav.dav import Dav
from connectors.caldav.lines import escape, fold
from connectors.caldav.owner import Owner
from connectors.caldav.scheduling import SWITCHES, Evidence
from syncd.ports import Gone, PortError, Probe, Rejected

#: How often a guest is looked at until two looks show the same.
MOST_LOOKS = 60
#: When the meetings are: far enough ahead to be in nobody's way.
AHEAD = timedelta(days=90)
_ETAGS = (
    '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><D:resourcetype/></D:prop>'
    "</D:propfind>"
)


class Side(Protocol):
    """One of the two: a calendar with its owner."""

    dav: Dav
    path: str

    def owner(self) -> Owner | None:
        """Whose it is."""


def probe(
    host: Side, guest: Side, evidence: Evidence | None, *, aloud: str, quiet: str, wait: float, prefer: tuple[str, str]
) -> Probe:
    """See `syncd.ports.Probing`. `prefer`: the addresses under which syncd knows the two."""
    if evidence is None:
        raise Rejected("the server does not say what it does with guests: it refuses OPTIONS, or shows no principal")
    if not evidence.schedules:
        raise Rejected("the server schedules nothing by itself: there is nothing to try, nobody is told")
    one, other = host.owner(), guest.owner()
    if one is None or other is None or not other.homes:
        raise Rejected("the server does not say whose these calendars are")
    if one.addresses & other.addresses:
        raise Rejected("both calendars belong to the same person: a guest is somebody else")
    people = (_one_of(one, prefer[0]), _one_of(other, prefer[1]))
    trial = _Trial(host, guest, tuple(unquote(urlsplit(h).path) for h in other.homes), people)
    trial.begin()
    try:
        heard = _made_quietly(trial, quiet, wait)
        if heard:
            return Probe(evidence.identity, True, tuple(heard))
        conclusive, heard = _invited(trial, aloud, quiet, wait)
        return Probe(evidence.identity, conclusive, tuple(heard))
    finally:
        trial.clear_up()


def _one_of(owner: Owner, preferred: str) -> str:
    """The address under which the server knows somebody; syncd's, where that is one of them."""
    return preferred if preferred in owner.mail or not owner.mail else owner.mail[0]


def _made_quietly(trial: _Trial, subject: str, wait: float) -> list[str]:
    """A meeting of which the guest hears nothing at all."""
    meeting = trial.meeting()
    steps: list[tuple[str, Callable[[], None]]] = [
        ("a meeting was made", lambda: trial.put(meeting, subject, SWITCHES)),
        ("its notes were edited", lambda: trial.put(meeting, subject, SWITCHES, notes="edited")),
        ("it was moved", lambda: trial.put(meeting, subject, SWITCHES, hours=2)),
        ("it was deleted", lambda: trial.delete(meeting, SWITCHES)),
    ]
    return _heard(trial, meeting, steps, wait)


def _invited(trial: _Trial, aloud: str, subject: str, wait: float) -> tuple[bool, list[str]]:
    """A meeting that the guest knows of; whether that was seen, and what was heard of it later."""
    meeting = trial.meeting()
    trial.put(meeting, aloud, {})
    if not trial.arrives(meeting, wait):
        return False, []
    steps: list[tuple[str, Callable[[], None]]] = [
        ("its subject was edited", lambda: trial.put(meeting, subject, SWITCHES)),
        ("it was moved", lambda: trial.put(meeting, subject, SWITCHES, hours=2)),
        ("it was cancelled", lambda: trial.put(meeting, subject, SWITCHES, hours=2, status="CANCELLED")),
        ("it was deleted", lambda: trial.delete(meeting, SWITCHES)),
    ]
    return True, _heard(trial, meeting, steps, wait)


def _heard(trial: _Trial, meeting: _Meeting, steps: list[tuple[str, Callable[[], None]]], wait: float) -> list[str]:
    heard = []
    known = trial.settled(meeting)
    for what, step in steps:
        step()
        now = trial.seen(meeting)
        if now != known:
            heard.append(f"the guest heard that {what}")
        known = now
    end = time.monotonic() + wait
    while not heard and time.monotonic() < end:
        time.sleep(min(1.0, wait))
        if trial.seen(meeting) != known:
            heard.append("the guest heard of it some time later")
    return heard


@dataclass
class _Meeting:
    uid: str
    href: str
    #: When it was last written, so that each write is a newer one.
    sequence: int = 0
    there: bool = False


@dataclass
class _Trial:
    """The two sides, and what was made there."""

    host: Side
    guest: Side
    homes: tuple[str, ...]
    #: Addresses of host and guest.
    people: tuple[str, str]
    made: list[_Meeting] = field(default_factory=list)
    #: The guest's objects that were looked at: address and ETag -> content, "" of what was there before.
    _read: dict[tuple[str, str], str] = field(default_factory=dict)

    def begin(self) -> None:
        """What the guest has already is none of this."""
        self._read = dict.fromkeys(self._places(), "")

    def meeting(self) -> _Meeting:
        uid = f"syncd-probe-{uuid.uuid4()}"
        made = _Meeting(uid, f"{self.host.path}{uid}.ics")
        self.made.append(made)
        return made

    def put(
        self,
        meeting: _Meeting,
        subject: str,
        switches: Mapping[str, str],
        *,
        notes: str = "A trial by syncd; it is deleted in a moment.",
        hours: int = 0,
        status: str = "CONFIRMED",
    ) -> None:
        """Writes the meeting, as a calendar client does."""
        start = (datetime.now(UTC) + AHEAD).replace(hour=3, minute=0, second=0, microsecond=0) + timedelta(hours=hours)
        host, guest = self.people
        meeting.sequence += 1
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//syncd//probe//EN", "BEGIN:VEVENT", f"UID:{meeting.uid}",
                 f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}", f"SEQUENCE:{meeting.sequence}",
                 f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + timedelta(minutes=30):%Y%m%dT%H%M%SZ}",
                 f"SUMMARY:{escape(subject)}", f"DESCRIPTION:{escape(notes)}", f"STATUS:{status}", "CLASS:PRIVATE",
                 "TRANSP:TRANSPARENT", f"ORGANIZER:mailto:{host}",
                 f"ATTENDEE;PARTSTAT=ACCEPTED;ROLE=CHAIR:mailto:{host}",
                 f"ATTENDEE;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=TRUE:mailto:{guest}",
                 "END:VEVENT", "END:VCALENDAR"]  # fmt: skip
        text = "\r\n".join(fold(line) for line in lines) + "\r\n"
        condition = {} if meeting.there else {"If-None-Match": "*"}
        sent = {"Content-Type": "text/calendar; charset=utf-8", **condition, **switches}
        self.host.dav.request("PUT", quote(meeting.href), text, sent)
        meeting.there = True

    def delete(self, meeting: _Meeting, switches: Mapping[str, str]) -> None:
        self.host.dav.request("DELETE", quote(meeting.href), "", switches)
        meeting.there = False

    def seen(self, meeting: _Meeting) -> dict[str, str]:
        """What the guest has of the meeting: address -> content. A PROPFIND a collection, a GET for each object
        that is new or changed."""
        found = {}
        for place in self._places():
            if place not in self._read:
                self._read[place] = self._content(place[0])
            if meeting.uid in self._read[place].replace("\r\n ", "").replace("\n ", ""):
                found[place[0]] = self._read[place]
        return found

    def _places(self) -> list[tuple[str, str]]:
        found = []
        for folder in self._folders():
            resources, _ = self.guest.dav.multistatus("PROPFIND", quote(folder), _ETAGS, "1")
            for resource in resources:
                itself = resource.href.rstrip("/") == folder.rstrip("/")
                if resource.status == 200 and not resource.collection and not itself:
                    found.append((resource.href, resource.text("D:getetag")))
        return found

    def _content(self, href: str) -> str:
        try:
            return self.guest.dav.request("GET", quote(href)).body.decode("utf-8", "replace")
        except (Gone, Rejected):
            return ""

    def _folders(self) -> list[str]:
        found = dict.fromkeys(self.homes)
        for home in self.homes:
            resources, _ = self.guest.dav.multistatus("PROPFIND", quote(home), _ETAGS, "1")
            found |= dict.fromkeys(r.href for r in resources if r.collection)
        return list(dict.fromkeys(f.rstrip("/") + "/" for f in found))

    def settled(self, meeting: _Meeting) -> dict[str, str]:
        """What the guest has of it, once two looks a second apart show the same."""
        known = self.seen(meeting)
        for _ in range(MOST_LOOKS):
            if not known:
                break
            time.sleep(1)
            now = self.seen(meeting)
            if now == known:
                break
            known = now
        return known

    def arrives(self, meeting: _Meeting, patience: float) -> bool:
        """Waits until the guest has something of the meeting."""
        end = time.monotonic() + patience
        while not self.seen(meeting):
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def clear_up(self) -> None:
        """Takes away what the trial left on both sides; what cannot be taken away stays."""
        for meeting in self.made:
            with suppress(PortError):
                if meeting.there:
                    self.delete(meeting, SWITCHES)
            with suppress(PortError):
                for href in self.seen(meeting):
                    with suppress(PortError):
                        self.guest.dav.request("DELETE", quote(href), "", SWITCHES)
