"""The section `mail` of a mapping: each key means one thing, and keys that contradict each other are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, load_text, shipped, warnings
from syncd.mapping.mail import Mail, strangers
from syncd.settings import load_configuration
from syncd.strict_yaml import BadDocument
from tests.unit.test_mail_engine import Office

pytestmark = pytest.mark.either

MAPPING = """\
version: 1
item: message
activity: e-mail
mail: {%s}
fields: {subject: subject, time: date%s}
"""


def text(mail: str, more: str = "") -> str:
    return MAPPING % (mail, more)


def lens(mail: str, more: str = "") -> Lens:
    return load_text(text(mail, more), "m.yaml")


@pytest.mark.parametrize(
    ("mail", "crosses", "leads"),
    [
        ("never: [internal, list, automatic], unknown: skip", False, False),
        ("never: [internal, list, automatic]", False, False),
        ("unknown: skip", False, False),
        ("", False, False),
        ("never: [unknown], unknown: lead", False, False),
        ("never: [unknown], unknown: park", False, False),
        ("never: [unknown], unknown: take", False, False),
        ("unknown: lead", True, True),
        ("never: [internal], unknown: lead", True, True),
        ("never: [internal], unknown: take", True, False),
    ],
)
def test_case_g7_never_and_unknown_have_one_meaning_and_the_stricter_counts(
    mail: str, crosses: bool, leads: bool
) -> None:
    office = Office(lens(mail))
    office.deliver("m1", "From a stranger", "ann", sender="who@new.example")
    office.deliver("m2", "From Kim", "ann")
    office.sync(2)
    assert set(office.logged()) == ({"From a stranger", "From Kim"} if crosses else {"From Kim"})
    assert bool(office.crm.leads) is leads


def test_case_g7_the_shipped_mappings_say_what_they_mean() -> None:
    for name in ("mail", "flagged"):
        assert list(warnings(shipped()[name])) == []
        mapping = load(shipped()[name]).mapping
        assert strangers(mapping.mail, mapping.activity) == ("skip" if name == "mail" else "take")


def test_case_g7_of_a_flagged_mail_the_flag_speaks_unless_a_key_does() -> None:
    for given, means in (
        ({}, "take"),
        ({"never": ["spam"]}, "take"),
        ({"never": ["unknown"]}, "skip"),
        ({"unknown": "skip"}, "skip"),
    ):
        assert strangers(Mail.model_validate(given), "task") == means


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        (
            "never: [unknown], unknown: lead",
            '4:26: warning: "never" names unknown correspondents: their mail is skipped',
        ),
        ("never: [unknown], unknown: park", "their mail is skipped"),
        (
            "folders: [INBOX, Private/Post], exclude-folders: [Private/*]",
            '"Private/Post" is excluded: nothing of it is read',
        ),
        ("drop-folders: {CRM: {account: a}}, exclude-folders: [crm]", '"CRM" is excluded'),
        ("block: [example.com], internal-domains: [post.example.com]", '"post.example.com" is internal and blocked'),
        ("content: headers-only, text: {quotes: cut}", "no text crosses that could be cut"),
        ("largest-attachment: 5", '"content: text": attachments cross by name only'),
        ("content: full, never: [attachment]", "mail with attachments never crosses"),
        ("by-domain: false, public-providers: [x.example]", "nothing is filed by domain anyway"),
    ],
)
def test_case_g7_check_names_keys_that_contradict_each_other(mail: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text(mail))
    (found,) = [f"{p.line}:{p.column}: warning: {p.message}" for p in warnings(path)]
    assert says in found


@pytest.mark.parametrize(
    ("mail", "more", "says"),
    [
        ("content: headers-only", ", notes: text", 'fed from "text" stays empty'),
        ("never: [invitation]", ", appointment: invitation", "but invitations never cross"),
    ],
)
def test_case_g7_a_field_that_stays_empty_is_named(mail: str, more: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text(mail, more=more))
    assert [says in p.message for p in warnings(path)] == [True]


def test_case_g7_a_condition_that_is_never_met_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text("") + "include: {any: [{kind: [list]}, {kind: [invitation]}]}\n")
    assert [p.message for p in warnings(path)] == ["mail of this kind never crosses: the condition is never met"]


@pytest.mark.parametrize(
    "mail",
    [
        "write-back: {keyword: $Done}, exclude-keywords: [$done]",
        "write-back: {move: Private/Done}, exclude-folders: [Private/*]",
        "write-back: {copy: Private}, exclude-folders: [private]",
    ],
)
def test_case_g7_what_would_take_back_what_it_logs_is_refused(mail: str) -> None:
    with pytest.raises(BadDocument, match="taken back"):
        lens(mail)


@pytest.mark.parametrize("own", ["exclude-keywords: [$done]", "exclude-folders: [logged]"])
def test_case_g7_also_where_an_employee_excludes_it(own: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text("write-back: {keyword: $Done, copy: Logged}"))
    (tmp_path / "syncd.yaml").write_text(
        "version: 1\nprofiles: {m: {connector: imap, url: 'imaps://x.example', mapping: own.yaml}}\n"
        f"employees: [{{id: ann, addresses: ann@x.example, accounts: [{{profile: m, mail: {{{own}}}}}]}}]\n"
    )
    with pytest.raises(BadDocument, match=r"syncd.yaml:3:\d+: .* is excluded too"):
        load_configuration(tmp_path / "syncd.yaml")
