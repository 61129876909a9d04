"""Mail, as a trial with people has found it: what each of them saw, by itself."""

from __future__ import annotations

import pytest

from syncd.mail.folders import chosen, unmatched
from syncd.mapping.conditions import met
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.mapping.mail import Mail, contradictions, faults
from syncd.mapping.schema import Condition
from tests.memory_mail import fields
from tests.unit.test_mail_engine import NOW, Office

pytestmark = pytest.mark.either
#: One name as two keyboards write it.
COMPOSED, APART = "Priv\u00e9", "Prive\u0301"


def office_of(**mail: object) -> Office:
    """An office whose mapping says this of mail."""
    mapping = load(shipped()["mail"]).mapping
    section = Mail.model_validate({**mapping.mail.model_dump(by_alias=True), **mail})
    return Office(Lens(mapping.model_copy(update={"mail": section}), "d"))


# -- names ------------------------------------------------------------------------------------------------------------

NAMES = ["[Gmail]/Private", "Home [ours]", "[a-z]", "[!x]", COMPOSED]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delimiter", ["/", "."])
def test_an_excluded_folder_is_excluded_whatever_signs_its_name_holds(name: str, delimiter: str) -> None:
    there = name.replace("/", delimiter)
    (found,) = chosen([(frozenset(), delimiter, there)], ["*"], [name])
    assert found.excluded


@pytest.mark.parametrize(("configured", "there"), [(COMPOSED, APART), (APART, COMPOSED), (COMPOSED.upper(), APART)])
def test_an_excluded_folder_is_excluded_however_its_letters_are_composed(configured: str, there: str) -> None:
    for pattern, name in ((configured, there), (f"{configured}/*", f"{there}/Doctor"), (f"?{configured[1:]}", there)):
        assert [f.excluded for f in chosen([(frozenset(), "/", name)], ["*"], [pattern])] == [True]
        assert [f.name for f in chosen([(frozenset(), "/", name)], [pattern], [])] == [name]
        assert unmatched([(frozenset(), "/", name)], [pattern]) == []


def test_brackets_are_no_pattern_that_means_other_folders() -> None:
    (found,) = chosen([(frozenset(), "/", "Home o")], ["*"], ["Home [ours]"])
    assert not found.excluded


@pytest.mark.parametrize(("configured", "there"), [("[Private]", "[private]"), (COMPOSED, APART)])
def test_conditions_keywords_and_drop_folders_mean_names_in_the_same_way(configured: str, there: str) -> None:
    assert met(Condition.model_validate({"folder": [configured]}), {"folder": there}, {})
    assert met(Condition.model_validate({"category": [configured]}), {"categories": frozenset({there})}, {})
    mail = Mail.model_validate(
        {"exclude-folders": [configured], "folders": [there], "drop-folders": {there: {"account": "a"}},
         "write-back": {"copy": there}}
    )  # fmt: skip
    assert [place for place, _ in faults(mail)] == [("write-back", "copy")]
    assert [place for place, _ in contradictions(mail, ())] == [("folders",), ("drop-folders", there)]


def test_an_excluded_keyword_and_a_drop_folder_are_known_however_they_are_composed() -> None:
    office = office_of(**{"exclude-keywords": [COMPOSED], "drop-folders": {f"CRM/{COMPOSED}": {"account": "beta"}}})
    content = fields("Private", NOW, categories=frozenset({APART}))
    office.boxes["ann"].deliver("m1", content, owner="kim@acme.example")
    office.deliver("m2", "Dropped", "ann", sender="who@new.example", folder=f"CRM/{APART}")
    office.sync()
    assert office.logged() == {"Dropped": "beta"}
