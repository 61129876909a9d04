"""Meetings with guests on a server that schedules: the whole program, on Cyrus, with everybody's inbox in view."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from syncd.cli.radicale import Server
from tests.scenarios.conftest import MONDAY, Desk
from tests.servers.cyrus import Cyrus
from tests.servers.proxy import Reply, forward, proxy

MakeDesk = Callable[..., Desk]
pytestmark = pytest.mark.either
ON_CYRUS = pytest.mark.parametrize("make_desk", ["cyrus"], indirect=True)
PROBE = ("check", "--live", "--probe-guests", "ann", "bob", "--wait", "0.5")


@pytest.fixture(autouse=True)
def _nothing_left(cyrus_server: Cyrus) -> Iterator[None]:
    cyrus_server.sink.mails.clear()
    yield
    cyrus_server.sink.mails.clear()


def clean(server: Cyrus) -> bool:
    """Nothing of a trial is left in anybody's calendars and inbox."""
    return not any("probe" in href for user in ("ann", "bob") for href in server.held(user))


# -- what the CRM does to a meeting that ann organises, with bob here and carl elsewhere ------------------------

BOB, CARL = "bob@us.example", "carl@elsewhere.example"
PEOPLE = ("ORGANIZER:mailto:ann@us.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@us.example",
          f"ATTENDEE;RSVP=TRUE:mailto:{BOB}", f"ATTENDEE;RSVP=TRUE:mailto:{CARL}")  # fmt: skip


@dataclass
class Meeting:
    """The meeting, in step; the invitations have gone out and count no more."""

    desk: Desk
    server: Cyrus
    path: str
    guid: str
    policy: str

    @property
    def text(self) -> str:
        return self.desk.get("ann", self.path)

    @property
    def there(self) -> bool:
        return self.server.request("ann", "GET", self.path)[0] == 200

    def people(self) -> list[str]:
        return [x for x in self.text.split("\n") if x.startswith(("ORGANIZER", "ATTENDEE"))]

    def waits(self) -> bool:
        """`status` says that something waits for a word to the guests."""
        return "the guests must be told" in self.desk.run("status", status=None).out

    @contextmanager
    def in_silence(self) -> Iterator[None]:
        """Two passes; nobody hears of them."""
        with self.server.untouched("bob"):
            yield
            self.desk.sync()
            self.desk.quiet()


@contextmanager
def meeting(make_desk: MakeDesk, server: Cyrus, policy: str, *more: str) -> Iterator[Meeting]:
    edits = {} if policy == "wait" else {"guests": f"guests: wait\n => guests: {policy}\n"}
    desk = make_desk("ann", "bob", **edits)
    path = desk.put("ann", uuid.uuid4().hex, "SUMMARY:Review", "DESCRIPTION:Notes", *PEOPLE, *more)
    assert server.sink.told() == [(CARL, "REQUEST")]
    server.sink.mails.clear()
    desk.sync()
    made = Meeting(desk, server, path, desk.only()["guid"], policy)
    try:
        yield made
    finally:
        server.request("ann", "DELETE", path, Scheduling_Enabled="F")
        server.sink.mails.clear()


POLICIES = pytest.mark.parametrize("policy", ["wait", "quiet"])
LATER = f"{MONDAY + timedelta(hours=3):%Y-%m-%d %H:%M}", f"{MONDAY + timedelta(hours=4):%Y-%m-%d %H:%M}"


@ON_CYRUS
@POLICIES
def test_case_s1_s2_notes_that_the_crm_edits_arrive_and_nobody_is_mailed(
    make_desk: MakeDesk, cyrus_server: Cyrus, policy: str
) -> None:
    with meeting(make_desk, cyrus_server, policy) as made:
        people = made.people()
        with made.in_silence():
            made.desk.edit(made.guid, "--notes", "More notes", "--subject", "Renamed", "--category", "A")
        assert "DESCRIPTION:More notes" in made.text and "SUMMARY:Renamed" in made.text
        assert made.people() == people
        assert not made.waits()


@ON_CYRUS
@POLICIES
@pytest.mark.parametrize("change", ["time", "place"])
def test_case_s1_what_guests_act_on_waits_or_goes_in_silence(
    make_desk: MakeDesk, cyrus_server: Cyrus, policy: str, change: str
) -> None:
    words = ("--from", LATER[0], "--to", LATER[1]) if change == "time" else ("--location", "Room 1")
    line = f"DTSTART:{MONDAY + timedelta(hours=3):%Y%m%dT%H%M%SZ}" if change == "time" else "LOCATION:Room 1"
    with meeting(make_desk, cyrus_server, policy) as made:
        before = made.text
        with made.in_silence():
            made.desk.edit(made.guid, *words)
        if policy == "quiet":
            assert line in made.text and not made.waits()
            return
        assert made.text == before and made.waits()
        # ann makes the same change in her calendar, where guests are told
        old = f"DTSTART:{MONDAY:%Y%m%dT%H%M%SZ}" if change == "time" else "SUMMARY:Review"
        new = line if change == "time" else "SUMMARY:Review\nLOCATION:Room 1"
        ends = f"DTEND:{MONDAY + timedelta(hours=1):%Y%m%dT%H%M%SZ}"
        later = f"DTEND:{MONDAY + timedelta(hours=4):%Y%m%dT%H%M%SZ}"
        made.desk.change("ann", made.path, old, new, *((ends, later) if change == "time" else ()))
        assert cyrus_server.sink.told() == [(CARL, "REQUEST")]
        cyrus_server.sink.mails.clear()
        with made.in_silence():
            pass
        assert not made.waits()


@ON_CYRUS
@POLICIES
@pytest.mark.parametrize("how", ["deleted", "rejected"])
def test_case_s3_an_end_in_the_crm_waits_or_goes_in_silence(
    make_desk: MakeDesk, cyrus_server: Cyrus, policy: str, how: str
) -> None:
    with meeting(make_desk, cyrus_server, policy) as made:
        with made.in_silence():
            if how == "deleted":
                made.desk.run("crm", "delete", made.guid)
            else:
                made.desk.edit(made.guid, "--status", "rejected")
        if policy == "wait":
            assert made.there and "STATUS:CANCELLED" not in made.text and made.waits()
        elif how == "deleted":
            assert not made.there
        else:
            assert "STATUS:CANCELLED" in made.text


@ON_CYRUS
def test_case_s3_where_it_is_meant_just_the_guests_are_told(make_desk: MakeDesk, cyrus_server: Cyrus) -> None:
    with meeting(make_desk, cyrus_server, "tell") as made:
        before = cyrus_server.held("bob")
        made.desk.edit(made.guid, "--from", LATER[0], "--to", LATER[1])
        made.desk.sync()
        assert cyrus_server.sink.told() == [(CARL, "REQUEST")]
        assert cyrus_server.held("bob") != before
        cyrus_server.sink.mails.clear()
        made.desk.quiet()
        assert cyrus_server.sink.mails == []
        made.desk.run("crm", "delete", made.guid)
        made.desk.sync()
        assert cyrus_server.sink.told() == [(CARL, "CANCEL")]
        assert not made.there


@ON_CYRUS
@POLICIES
def test_case_s3_on_a_server_that_would_tell_nothing_is_written(
    make_desk: MakeDesk, cyrus_server: Cyrus, policy: str
) -> None:
    with meeting(make_desk, cyrus_server, policy) as made, nameless(cyrus_server, heeds=True) as other:
        made.desk.through(other)
        before = made.text
        with made.in_silence():
            made.desk.edit(made.guid, "--notes", "More notes", "--location", "Room 1")
        assert made.text == before and made.waits()
        with made.in_silence():
            made.desk.run("crm", "delete", made.guid)
        assert made.there and made.text == before and made.waits()


@ON_CYRUS
def test_case_s1_a_copy_from_the_crm_tells_nobody_whatever_becomes_of_it(
    make_desk: MakeDesk, cyrus_server: Cyrus
) -> None:
    desk = make_desk("ann", "bob")
    with cyrus_server.untouched("bob"):
        file = desk.folder / "syncd.yaml"
        text = file.read_text()
        file.write_text(text[: text.index("  - id: bob")])
        guid = desk.create("--subject", "From the CRM", "--from", LATER[0], "--to", LATER[1],
                           "--participant", BOB, "--participant", CARL)  # fmt: skip
        desk.sync()
        (name,) = [href for href in cyrus_server.held("ann") if href.startswith(desk.paths["ann"])]
        text = desk.get("ann", name)
        assert "ORGANIZER" not in text and "ATTENDEE" not in text and CARL in text
        desk.edit(guid, "--subject", "Renamed", "--location", "Room 1")
        desk.sync()
        assert "SUMMARY:Renamed" in desk.get("ann", name)
        desk.run("crm", "delete", guid)
        desk.sync()
        assert name not in cyrus_server.held("ann")


@ON_CYRUS
def test_case_s3_what_an_attendee_does_in_the_crm_reaches_nobody(make_desk: MakeDesk, cyrus_server: Cyrus) -> None:
    """Bob's copy, as the server put it into his calendar: nothing is written there, nothing is answered."""
    desk = make_desk("bob")
    uid = uuid.uuid4().hex
    desk.paths["ann"] = cyrus_server.calendar("ann", f"c{uid[:10]}")
    path = desk.put("ann", uid, "SUMMARY:Review", *PEOPLE)
    (copy,) = [href for href in cyrus_server.held("bob") if uid in href and "/Inbox/" not in href]
    file = desk.folder / "syncd.yaml"
    file.write_text(file.read_text().replace(desk.paths["bob"], copy.rpartition("/")[0] + "/"))
    cyrus_server.sink.mails.clear()
    with cyrus_server.untouched("ann"), cyrus_server.untouched("bob"):
        desk.sync()
        guid = next(a["guid"] for a in desk.activities(as_="bob") if a["subject"] == "Review")
        desk.run("crm", "edit", guid, "--location", "Room 1", "--notes", "Bob's", "--as", "bob")
        desk.sync()
        desk.run("crm", "delete", guid, "--as", "bob")
        desk.sync()
    cyrus_server.request("ann", "DELETE", path)


# -- the trial --------------------------------------------------------------------------------------------


@contextmanager
def nameless(server: Cyrus, *, heeds: bool) -> Iterator[Server]:
    """The server, behind one that does not say who it is; `heeds`: it lets the switch through."""

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if not heeds:
            headers.pop("Scheduling-Enabled", None)
        status, sent, content = forward(server, method, path, headers, body)
        return status, {**{k: v for k, v in sent.items() if k != "Server"}, "Server": "nginx"}, content

    with proxy(server, rule) as made:
        yield made


@ON_CYRUS
def test_a_server_that_hides_who_it_is_is_tried_out_with_two_mailboxes(
    make_desk: MakeDesk, cyrus_server: Cyrus
) -> None:
    desk = make_desk("ann", "bob")
    with nameless(cyrus_server, heeds=True) as server:
        desk.through(server)
        assert "tells them, or nobody knows" in desk.run("check", "--live").out
        done = desk.run(*PROBE, stdin="n\n")
        assert "keeps quiet" in done.out
        assert cyrus_server.sink.mails == [] and clean(cyrus_server)
        assert "can be asked to tell nobody" in desk.run("check", "--live").out
        (found,) = json.loads((desk.folder / "guests.json").read_text()).values()
        assert found["quiet"] is True and found["identity"].startswith("nginx")
        assert (desk.folder / "guests.json").stat().st_mode & 0o777 == 0o600
        # mail that came is heard of, too; and where nobody says it, nothing is kept
        assert "nothing is kept" in desk.run(*PROBE, stdin="", status=2).err
        assert "tells the guests" in desk.run(*PROBE, stdin="y\n").out
        assert "tells them, or nobody knows" in desk.run("check", "--live").out


@ON_CYRUS
def test_a_result_holds_for_just_this_server(make_desk: MakeDesk, cyrus_server: Cyrus) -> None:
    desk = make_desk("ann", "bob")
    version = ["nginx/1"]

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        status, sent, content = forward(cyrus_server, method, path, headers, body)
        return status, {**{k: v for k, v in sent.items() if k != "Server"}, "Server": version[0]}, content

    with proxy(cyrus_server, rule) as server:
        desk.through(server)
        desk.run(*PROBE, stdin="n\n")
        assert "can be asked" in desk.run("check", "--live").out
        version[0] = "nginx/2"
        assert "tells them, or nobody knows" in desk.run("check", "--live").out


@ON_CYRUS
def test_a_server_that_does_not_heed_the_switch_is_seen_to_tell(make_desk: MakeDesk, cyrus_server: Cyrus) -> None:
    desk = make_desk("ann", "bob")
    with nameless(cyrus_server, heeds=False) as server:
        desk.through(server)
        done = desk.run(*PROBE)  # nobody needs to look for mail
        assert "the guest heard that a meeting was made" in done.out and "tells the guests" in done.out
        assert clean(cyrus_server)
        assert "tells them" in desk.run("check", "--live").out


@ON_CYRUS
def test_one_that_says_who_it_is_and_does_not_heed_it_is_not_believed_any_more(
    make_desk: MakeDesk, cyrus_server: Cyrus
) -> None:
    desk = make_desk("ann", "bob")

    def rule(_method: str, _path: str, headers: dict[str, str], _body: bytes) -> Reply | None:
        headers.pop("Scheduling-Enabled", None)  # a gateway that lets through what it knows
        return None

    with proxy(cyrus_server, rule) as server:
        desk.through(server)
        assert "can be asked" in desk.run("check", "--live").out
        desk.run(*PROBE)
        assert "tells them" in desk.run("check", "--live").out


@ON_CYRUS
def test_a_guest_who_hears_of_nothing_at_all_says_nothing_of_the_server(
    make_desk: MakeDesk, cyrus_server: Cyrus
) -> None:
    desk = make_desk("ann", "bob")

    def rule(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        headers["Scheduling-Enabled"] = "F"
        status, sent, content = forward(cyrus_server, method, path, headers, body)
        return status, {**{k: v for k, v in sent.items() if k != "Server"}, "Server": "nginx"}, content

    with proxy(cyrus_server, rule) as server:
        desk.through(server)
        done = desk.run(*PROBE, status=3)
        assert "nothing is known" in done.err
        assert not (desk.folder / "guests.json").exists() and clean(cyrus_server)


@ON_CYRUS
def test_what_cannot_be_tried_is_said(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob", "eve")
    file = desk.folder / "syncd.yaml"
    text = file.read_text()
    profile = text[text.index("  cal: ") : text.index("employees:")]
    before, eve = text.split("  - id: eve")
    before = before.replace(profile, profile + profile.replace("  cal: ", "  other: "))
    file.write_text(f"{before}  - id: eve{eve.replace('profile: cal', 'profile: other')}")
    for words, says in (
        (("--live", "--probe-guests", "ann", "ann"), "different people"),
        (("--live", "--probe-guests", "ann", "ann/cal"), "different people"),
        (("--live", "--probe-guests", "ann", "nobody"), "nobody"),
        (("--live", "--probe-guests", "ann", "eve"), "same profile"),
        (("--probe-guests", "ann", "bob"), "--live"),
        (("--live", "--offline"), "--offline"),
        (("--live", "--probe-guests", "ann"), ""),
    ):
        assert says in desk.run("check", *words, status=2).err
    assert not (desk.folder / "guests.json").exists()


def test_a_server_that_schedules_nothing_has_nothing_to_try(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    assert "tells nobody" in desk.run("check", "--live").out
    assert "schedules nothing" in desk.run(*PROBE, status=3).err
    file = desk.folder / "syncd.yaml"
    file.write_text(file.read_text().replace("'file:secrets/bob'", "'file:secrets/nobody'"))
    assert "cannot be tried" in desk.run(*PROBE, status=2).err
