"""What a CalDAV server does with a write into a meeting that has guests: the table, row by row."""

from __future__ import annotations

import pytest

from connectors.caldav.scheduling import CYRUS, SABRE, SWITCHES, Evidence, Manner, Probed, manner_of
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
