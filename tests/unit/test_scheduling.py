"""What a CalDAV server does with a write into a meeting that has guests: the table, row by row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from connectors.caldav.dav import Dav
from connectors.caldav.owner import Owner
from connectors.caldav.scheduling import CYRUS, SABRE, SWITCHES, Evidence, Manner, Probed, evidence_of, manner_of
from connectors.caldav.transport import joined, listed, offered
from syncd.ports import Telling

pytestmark = pytest.mark.either

PLAIN = frozenset({"1", "2", "calendar-access"})
AUTO = PLAIN | {"calendar-auto-schedule"}
NOBODY, TELLS = Manner(Telling.NOBODY), Manner(Telling.TELLS)
ASKED = Telling.CAN_BE_ASKED


@pytest.mark.parametrize(
    ("evidence", "manner"),
    [
        (None, TELLS),
        (Evidence(PLAIN), NOBODY),
        (Evidence(PLAIN, boxes=True), TELLS),
        (Evidence(AUTO), TELLS),
        (Evidence(AUTO, server="nginx", powered="PHP/8.2"), TELLS),
        (Evidence(AUTO, sabre="4.7.1"), Manner(ASKED, SABRE)),
        (Evidence(PLAIN, sabre="4.7.1", boxes=True), Manner(ASKED, SABRE)),
        (Evidence(AUTO, sabre="2.1.0"), Manner(ASKED, SABRE)),
        (Evidence(AUTO, sabre="2.0.9"), TELLS),
        (Evidence(AUTO, sabre="yes"), TELLS),
        (Evidence(AUTO, server="Cyrus-HTTP/3.6.1-Debian-3.6.1-4 Cyrus-SASL/2.1.28"), Manner(ASKED, CYRUS)),
        (Evidence(AUTO, server="Cyrus-HTTP/3.0.0"), Manner(ASKED, CYRUS)),
        (Evidence(AUTO, server="Cyrus-HTTP/3.10.0"), Manner(ASKED, CYRUS)),
        (Evidence(AUTO, server="Cyrus-HTTP/2.5.17"), TELLS),
        (Evidence(AUTO, server="Cyrus-HTTP"), TELLS),
        (Evidence(AUTO, server="nginx, Cyrus-HTTP/3.6.1"), TELLS),
        (Evidence(PLAIN, sabre="4.7.1"), NOBODY),
    ],
)
def test_case_s2_what_a_server_says_of_itself_decides_and_what_is_unknown_tells(
    evidence: Evidence | None, manner: Manner
) -> None:
    assert manner_of(evidence) == manner


def test_a_probe_of_just_this_server_counts_and_of_no_other() -> None:
    nextcloud = Evidence(AUTO | {"nextcloud-checksum-update"}, server="nginx")
    assert manner_of(nextcloud, Probed(nextcloud.identity, True)) == Manner(ASKED, SWITCHES)
    assert manner_of(nextcloud, Probed(nextcloud.identity, False)) == TELLS
    newer = Evidence(nextcloud.classes | {"nc-new"}, server="nginx")
    assert manner_of(newer, Probed(nextcloud.identity, True)) == TELLS
    assert manner_of(None, Probed("", True)) == TELLS


def test_what_was_seen_to_tell_is_not_believed_to_keep_quiet() -> None:
    behind_a_gateway = Evidence(AUTO, server="Cyrus-HTTP/3.6.1")
    assert manner_of(behind_a_gateway, Probed(behind_a_gateway.identity, False)) == TELLS


def test_case_s1_several_lines_are_one_list_and_what_is_no_list_is_not_joined() -> None:
    lines = [("DAV", "1, 2"), ("Dav", "calendar-access, calendar-auto-schedule"), ("DAV", ""), ("dav", "x"),
             ("ETag", '"a"'), ("ETag", '"b"'), ("Retry-After", "3"), ("Retry-After", "7")]  # fmt: skip
    found = joined(lines)
    assert listed(found["dav"]) == ["1", "2", "calendar-access", "calendar-auto-schedule", "x"]
    assert (found["etag"], found["retry-after"]) == ('"b"', "7")


@pytest.mark.parametrize(
    ("lines", "schemes"),
    [
        (['Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth"'], {"basic", "digest"}),
        (['Basic realm="a, digest b"'], {"basic"}),
        (['Basic realm="a \\", digest b"'], {"basic"}),
        (["Negotiate", "", "NTLM,"], {"negotiate", "ntlm"}),
        ([""], set()),
    ],
)
def test_case_s1_ways_to_sign_in_that_stand_in_several_lines_are_all_seen(lines: list[str], schemes: set[str]) -> None:
    assert offered(joined([("WWW-Authenticate", line) for line in lines])["www-authenticate"]) == schemes


@pytest.mark.parametrize(("header", "known"), [("1, 2, calendar-access", True), ("1, 2", False), ("", False)])
def test_whoever_answers_without_calendars_is_not_the_calendar_server(header: str, known: bool) -> None:
    """A gateway before it, or a sign-in page: what it does with a write is unknown, so it tells."""
    answer = SimpleNamespace(headers={"dav": header})
    dav = cast(Dav, SimpleNamespace(request=lambda *_: answer))
    evidence = evidence_of(dav, "/ann/", cast(Owner, SimpleNamespace(boxes=False)))
    assert (evidence is not None) is known
    assert manner_of(evidence) == (NOBODY if known else TELLS)
