"""One person, one address: domains are compared in one form everywhere, however they are spelt."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, text

from connectors.builtin import BuiltinCrm
from syncd.crm import tables as t
from syncd.crm.access import SYSTEM
from syncd.crm.database import Crm
from syncd.database import open_engine
from syncd.mail.headers import read_headers
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.mapping.mail import Mail
from syncd.model.people import Participant, People, normal_address, normal_domain
from syncd.ports import Correspondent
from syncd.privacy import is_of
from syncd.settings import EmployeeEntry, OwnMail
from tests.memory_mail import fields
from tests.servers.postgres import fresh_database
from tests.unit.test_mail_engine import NOW, Office

pytestmark = pytest.mark.either
UNICODE, ASCII = "ärzte.example", "xn--rzte-koa.example"


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("Praxis@Ärzte.Example", f"praxis@{ASCII}"),
        ("praxis@XN--RZTE-KOA.example", f"praxis@{ASCII}"),
        ("mailto:Praxis@%C3%A4rzte.example", f"praxis@{ASCII}"),
        ("praxis@a\u0308rzte.example", f"praxis@{ASCII}"),  # the same letter in two characters
        ("praxis@ärzte。example", f"praxis@{ASCII}"),  # an ideographic full stop
        ("praxis@ärzte.example.", f"praxis@{ASCII}"),
        ("A.B@Example.Com.", "a.b@example.com"),
        ("info@straße.example", "info@xn--strae-oqa.example"),  # not strasse.example
        ("info@strasse.example", "info@strasse.example"),
        ("info@βόλος.example", "info@xn--nxasmm1c.example"),  # not with a middle sigma
        ("info@ΒΌΛΟΣ.example", "info@xn--nxasmq6b.example"),
        ("info@ＡＢＣ.example", "info@abc.example"),
        ("info@i❤.example", "info@xn--i-7iq.example"),
        ("info@ä_b.example", "info@xn--_b-uia.example"),
        ("Groß.Klein@Example.com", "gross.klein@example.com"),
        ("%41b@example.com", "%41b@example.com"),
        ("a@xn--zz--zz.example", "a@xn--zz--zz.example"),
        ("A@Ä\u2028Ä.example", "a@ä\u2028ä.example"),  # what cannot be encoded stays, case-folded
        (f"A@{'Ä' * 70}.example", f"a@{'ä' * 70}.example"),
        ("A@[192.0.2.1]", "a@[192.0.2.1]"),
        ("Nobody At All", "nobody at all"),
        ("", ""),
    ],
)
def test_case_p4_an_address_has_one_form(given: str, normal: str) -> None:
    assert normal_address(given) == normal
    assert normal_address(normal) == normal


@pytest.mark.parametrize(
    "blocked", [UNICODE, ASCII, "ÄRZTE.example", f"@{UNICODE}", f"praxis@{UNICODE}", f"praxis@{ASCII}"]
)
@pytest.mark.parametrize("sender", [f"praxis@{UNICODE}", f"praxis@{ASCII}", "praxis@ÄRZTE.EXAMPLE"])
def test_case_p4_a_block_matches_either_spelling(blocked: str, sender: str) -> None:
    office = Office(with_mail(block=[blocked]))
    office.crm.parties[normal_address(sender)] = Correspondent("contact", "doc", "doc")
    office.deliver("m1", "Findings", "ann", sender=sender)
    office.deliver("m2", "Lunch", "ann")
    office.sync()
    assert set(office.logged()) == {"Lunch"}
    (own,) = OwnMail.model_validate({"block": [blocked]}).block
    assert is_of(normal_address(sender), own)


def with_mail(**more: object) -> Lens:
    mapping = load(shipped()["mail"]).mapping
    mail = Mail.model_validate({**mapping.mail.model_dump(by_alias=True), **more})
    return Lens(mapping.model_copy(update={"mail": mail}), "d")


def test_case_p4_below_a_blocked_domain_too() -> None:
    assert is_of(normal_address("a@post.ÄRZTE.example"), normal_domain(UNICODE))
    assert not is_of("a@myacme.example", "acme.example")
    with pytest.raises(ValidationError):
        Mail.model_validate({"block": ["ärzte"]})


@pytest.mark.parametrize("spelling", [UNICODE, ASCII])
def test_case_p4_internal_domains_and_public_providers(spelling: str) -> None:
    office = Office(with_mail(**{"internal-domains": [spelling]}))
    office.deliver("m1", "Among us", "ann", sender="chief@ärzte.example")
    office.sync()
    assert office.logged() == {}
    for name, providers in (("filed", []), ("public", [spelling])):
        office = Office(with_mail(**{"public-providers": providers}))
        office.crm.parties[f"kim@{ASCII}"] = Correspondent("contact", "kim", "acme")
        office.deliver("m1", "Offer", "ann", sender=f"lee@{UNICODE}")
        office.sync()
        assert office.logged() == ({"Offer": "acme"} if name == "filed" else {})


def test_case_p4_an_employee_is_known_by_either_spelling() -> None:
    entry = {"id": "ann", "addresses": ["Ann@Ärzte.example"], "accounts": [{"profile": "p"}]}
    assert EmployeeEntry.model_validate(entry).addresses == [f"ann@{ASCII}"]
    people = People([Participant(f"Kim@{UNICODE}"), Participant(f"kim@{ASCII}", answer="accepted")])
    assert {a: p.answer for a, p in people.items()} == {f"kim@{ASCII}": "accepted"}
    assert people == People([Participant(f"kim@{UNICODE}", answer="accepted")])
    assert read_headers(f"From: Kim <kim@{UNICODE}>\r\n\r\n".encode()).sender == f"kim@{ASCII}"
    sent = fields("x", NOW - timedelta(hours=1), sender=f"kim@{UNICODE}")
    assert f"kim@{ASCII}" in sent["correspondents"]


@pytest.fixture
def crm(tmp_path: Path) -> Crm:
    made = Crm.open(fresh_database() or f"sqlite:///{tmp_path / 'crm.db'}")
    for kind, sheet in {
        "employees": f"id,name,address\nann,Ann,ann@{UNICODE}\n",
        "accounts": f"id,name,address\nacme,Acme,info@{UNICODE}\nother,Other,x@a-b.example\n",
        "contacts": f"id,name,account,address\nkim,Kim,acme,kim@{ASCII}\nlee,Lee,acme,lee@{UNICODE}\n",
    }.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(sheet, encoding="utf-8")
        made.import_csv(kind, path)
    return made


def test_case_p4_the_crm_knows_people_by_either_spelling(crm: Crm) -> None:
    box = BuiltinCrm(crm)
    for domain in (UNICODE, ASCII, "ÄRZTE.example."):
        asked = [f"{name}@{domain}" for name in ("ann", "info", "kim", "lee", "who")]
        assert list(box.known(asked).values()) == ["account", "contact", "contact", "employee"]
        assert box.accounts_at([domain]) == {domain: "acme"}
        assert crm.employees([f"ann@{domain}"]) == {f"ann@{domain}": "ann"}
        made = crm.create("visit", {"subject": "x", "participants": [f"lee@{domain}"]}, by="")
        assert (made.contact, made.account) == ("lee", "acme")
        for criteria in ({"address": f"lee@{domain}"}, {"text": f"lee@{domain}"}, {"text": domain}):
            assert made.guid in [a.guid for a in crm.search(viewer="", **criteria)], criteria
    crm.close()


def test_a_domain_with_an_underscore_is_no_pattern(crm: Crm) -> None:
    """An underscore stands for any letter in LIKE: a_b.example is not a-b.example, nor ab.example."""
    assert BuiltinCrm(crm).accounts_at(["a_b.example", "ab.example", "a-b.example", "%"]) == {"a-b.example": "other"}
    crm.close()


def test_case_p4_a_crm_of_today_is_brought_to_the_one_form(tmp_path: Path) -> None:
    """Its addresses were only case-folded; two that become one are no fault."""
    url = fresh_database() or f"sqlite:///{tmp_path / 'old.db'}"
    Crm.open(url).close()
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE crm_version SET version_num = '0002'"))
        for id_, address in (("ann", f"ann@{UNICODE}"), ("bob", f"bob@{UNICODE}"), ("bob2", f"bob@{ASCII}")):
            connection.execute(insert(t.employee).values(id=id_, name=id_, address=address))
        connection.execute(insert(t.contact).values(id="kim", name="Kim", address=f"kim@{UNICODE}"))
        stamp = {"version": 1, "created": "", "changed": "", "seq": 1}
        connection.execute(insert(t.activity).values(guid="g", kind="task", owner="ann", **stamp))
        for address in (f"kim@{UNICODE}", f"lee@{UNICODE}", f"lee@{ASCII}"):
            connection.execute(insert(t.participant).values(activity="g", address=address))
    engine.dispose()
    crm = Crm.open(url)
    assert set(BuiltinCrm(crm).known([f"ann@{UNICODE}", f"kim@{ASCII}", f"bob@{UNICODE}"])) == {
        f"ann@{UNICODE}", f"kim@{ASCII}", f"bob@{UNICODE}"
    }  # fmt: skip
    found = crm.get("g", viewer=SYSTEM)
    assert (list(found.participants), found.owner_address) == ([f"kim@{ASCII}", f"lee@{ASCII}"], f"ann@{ASCII}")
    crm.close()
