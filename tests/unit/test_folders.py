"""Folders are meant by their names, whatever a server puts before and between the parts of them (RFC 2342)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.imap.session import _personal
from syncd.mail.folders import chosen, unmatched

pytestmark = pytest.mark.either
NAMES = ("INBOX", "Sent", "Private", "Private/Doctor", "CRM/Acme", "Customers/Beta")


def listed(prefix: str, delimiter: str, *more: str) -> list[tuple[frozenset[str], str, str]]:
    own = [n if n == "INBOX" else prefix + n.replace("/", delimiter) for n in NAMES]
    return [(frozenset(), delimiter, name) for name in (*own, *more)]


SERVERS = [("", "/"), ("", "."), ("INBOX.", "."), ("INBOX/", "/"), ("Mail/", "/"), ("inbox.", "."), ("INBOX\\", "\\")]


@pytest.mark.parametrize(("prefix", "delimiter"), SERVERS)
def test_case_p5_names_are_meant_without_the_prefix_and_with_any_separator(prefix: str, delimiter: str) -> None:
    wanted, excluded = ["inbox", "\\Sent", "Customers/*", "CRM/Acme"], ["private", "Private/*"]
    found = chosen(listed(prefix, delimiter), wanted, excluded, [prefix] if prefix else [])
    assert {f.plain: f.excluded for f in found} == {
        "INBOX": False, "Sent": False, "Private": True, "Private/Doctor": True, "CRM/Acme": False,
        "Customers/Beta": False,
    }  # fmt: skip
    names = [*wanted, *excluded, "Privat", "CRM/Beta", "\\Archive"]
    assert unmatched(listed(prefix, delimiter), names, [prefix] if prefix else []) == [
        "Privat",
        "CRM/Beta",
        "\\Archive",
    ]


@pytest.mark.parametrize(("prefix", "delimiter"), SERVERS)
@pytest.mark.parametrize("excluded", ["Private/Doctor", "Private.Doctor", "Private\\Doctor", "PRIVATE.*"])
def test_case_p5_what_is_excluded_is_found_however_it_is_written(prefix: str, delimiter: str, excluded: str) -> None:
    found = chosen(listed(prefix, delimiter), ["*"], [excluded], [prefix] if prefix else [])
    assert [f.plain for f in found if f.excluded] == ["Private/Doctor"]


def test_case_p5_who_wrote_the_prefix_as_a_way_round_is_understood() -> None:
    wanted = ["INBOX/CRM/Acme", "INBOX.Customers.*"]
    found = chosen(listed("INBOX.", "."), wanted, ["INBOX/Private*"], ["INBOX."])
    assert {f.plain: f.excluded for f in found} == {
        "INBOX/CRM/Acme": False, "INBOX/Customers/Beta": False, "INBOX/Private": True, "INBOX/Private/Doctor": True
    }  # fmt: skip


def test_case_p5_a_folder_of_somebody_else_keeps_its_whole_name() -> None:
    found = chosen(listed("INBOX.", ".", "user.bob.Private", "shared.Private"), ["*"], ["Private"], ["INBOX."])
    assert {f.plain for f in found if f.excluded} == {"Private", "Private/Doctor"}
    assert {"user/bob/Private", "shared/Private"} <= {f.plain for f in found}


def test_case_p5_a_folder_called_inbox_inside_the_inbox_is_not_the_inbox() -> None:
    found = chosen(listed("INBOX.", ".", "INBOX.INBOX"), ["INBOX"], [], ["INBOX."])
    assert [f.name for f in found] == ["INBOX"]


def test_case_p5_a_star_does_not_read_below_another_name_on_a_server_with_slashes() -> None:
    """Only what is excluded is compared whatever stands between the parts: nobody reads more than was asked for."""
    found = chosen(
        [(frozenset(), "/", "Customers.old"), (frozenset(), "/", "Private.old")], ["Customers/*"], ["Private/*"]
    )
    assert [(f.name, f.excluded) for f in found] == [("Private.old", True)]


@pytest.mark.parametrize(
    ("answer", "prefixes"),
    [
        (b'(("INBOX." ".")) NIL (("shared." "."))', ("INBOX.",)),  # Courier
        (b'(("" "/")) NIL NIL', ()),
        (b'(("" "/") ("#mh/" "/" "X-PARAM" ("FLAG1" "FLAG2"))) NIL NIL', ("#mh/",)),  # RFC 2342 §5, an extension
        (b'NIL NIL (("" "."))', ()),
        (b'(("INBOX/" NIL)) (("~" "/")) NIL', ("INBOX/",)),
        (b'(("Entw&APw-rfe/" "/")) NIL NIL', ("Entwürfe/",)),
        (b"", ()),
    ],
)
def test_case_p5_the_grammar_of_namespace(answer: bytes, prefixes: Sequence[str]) -> None:
    data: list[Any] = [answer] if answer else [None]
    assert _personal(data) == prefixes
