"""Meetings with guests on a server that schedules: the whole program, on Cyrus, with everybody's inbox in view."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.scenarios.conftest import Desk
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


# -- the trial --------------------------------------------------------------------------------------------


@contextmanager
def nameless(server: Cyrus, *, heeds: bool) -> Iterator[object]:
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
        desk.through(server)  # type: ignore[arg-type]
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
        desk.through(server)  # type: ignore[arg-type]
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
