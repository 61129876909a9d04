"""Mail (scenarios M1-M7, P1, P2, P5): from real mailboxes on Dovecot into the CRM, and nothing back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need_program
from tests.scenarios.mail import MailDesk, Maker, make, message
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Dovecot]:
    need_program(PROGRAM is not None, "Dovecot")
    with dovecot({}) as server:
        yield server


@pytest.fixture
def desk_of(mail_server: Dovecot, tmp_path: Path) -> Maker:
    def made(*users: str, **more: Any) -> MailDesk:
        return make(tmp_path / uuid.uuid4().hex[:8], mail_server, *users, **more)

    return made


def test_a_customers_mail_is_an_e_mail_of_the_crm(desk_of: Maker) -> None:
    """M1: in and out by direction, at contact and account; the second pass does nothing."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Offer", "Dear Ann,\nhere is our offer.\n", files={"offer.pdf": b"x" * 3000}))
    desk.deliver("ann", message("Thanks", sender="Ann <ann@us.example>", to="Kim <kim@acme.example>"), "Sent")
    before = desk.state("ann")
    desk.sync(status=0)
    by_subject = {m["subject"]: m for m in desk.mails()}
    assert set(by_subject) == {"Offer", "Thanks"}
    offer, thanks = by_subject["Offer"], by_subject["Thanks"]
    assert (offer["direction"], offer["contact"], offer["account"]) == ("in", "kim", "acme")
    assert (thanks["direction"], thanks["contact"], thanks["account"]) == ("out", "kim", "acme")
    assert offer["notes"] == "Dear Ann,\nhere is our offer."
    assert [(f["name"], f["type"]) for f in offer["attachments"]] == [("offer.pdf", "application/pdf")]
    assert {p["address"]: p["role"] for p in offer["participants"]} == {
        "kim@acme.example": "from",
        "ann@us.example": "to",
    }
    assert offer["status"] == "completed"
    desk.quiet()
    assert desk.state("ann") == before
