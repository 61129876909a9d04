"""A mail server that puts INBOX. before every folder, and a dot between, as Courier and Cyrus do (RFC 2342)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import need_program
from tests.scenarios.mail import MailDesk, message
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot

pytestmark = pytest.mark.either
Maker = Callable[..., MailDesk]


@pytest.fixture(scope="module")
def courier() -> Iterator[Dovecot]:
    need_program(PROGRAM is not None, "Dovecot")
    with dovecot(prefix="INBOX.", separator=".") as running:
        yield running


@pytest.fixture
def desk(courier: Dovecot, desk_of: Maker, request: pytest.FixtureRequest) -> MailDesk:
    return desk_of("ann", server=courier, **getattr(request, "param", {}))


EDITS: dict[str, Any] = {
    "folders": "folders: [INBOX, \\Sent] => folders: [INBOX, \\Sent, Customers/*, Nowhere]",
    "drop": "  #write-back: {keyword: $SyncdLogged} =>   drop-folders: {CRM/Deal: {transaction: OPP-1}}\n"
    "  write-back: {copy: Logged/Copies}",
}


@pytest.mark.parametrize("desk", [EDITS], indirect=True)
def test_case_p5_configured_drop_and_copy_folders_are_meant_without_the_prefix(desk: MailDesk) -> None:
    desk.deliver("ann", message("From a folder", sender="lee@beta.example"), "INBOX.Customers.Beta")
    desk.deliver("ann", message("Dropped", sender="who@new.example"), "INBOX.CRM.Deal")
    desk.deliver("ann", message("Elsewhere"), "INBOX.Other")
    desk.sync()
    found = {a["subject"]: a["transactions"] for a in desk.mails()}
    assert found == {"From a folder": [], "Dropped": ["opportunity OPP-1"]}
    with desk.mailbox("ann") as client:
        assert client.select_folder("INBOX.Logged.Copies", readonly=True)[b"EXISTS"] == 2
    desk.quiet()
    said = desk.run("check", "--live").out
    assert "ann/mail: warning: no folder is called Nowhere, Private, Privat\n" in said


def test_case_p5_a_logged_mail_that_is_moved_to_private_is_taken_back(desk: MailDesk) -> None:
    desk.deliver("ann", message("Findings", "words of the doctor"))
    desk.deliver("ann", message("At the doctor's"), "INBOX.Private.Doctor")
    result = desk.sync()["ann"]
    assert (result["created"]["crm"], result["withheld"]) == (1, 1)
    desk.move("ann", "Findings", "INBOX.Private.Letters")
    assert desk.sync()["ann"]["redacted"] == 1
    assert desk.mails() == []
    assert b"words of the doctor" not in desk.everything_written()
    assert b"Findings" not in desk.everything_written()


def test_case_p5_an_upgrade_takes_back_what_was_moved_before_the_names_were_understood(desk: MailDesk) -> None:
    """What an earlier release made of it: the folder was not read at all, so the mail had gone."""
    desk.deliver("ann", message("Findings"))
    desk.sync()
    text = (desk.folder / "syncd.yaml").read_text()
    plain = desk.folder / "own.yaml"
    from syncd.mapping.loader import shipped

    plain.write_text(shipped()["mail"].read_text().replace("[Private, Private/*, Privat, Privat/*]", "[]"))
    (desk.folder / "syncd.yaml").write_text(text.replace("mapping: mail", "mapping: own.yaml"))
    desk.move("ann", "Findings", "INBOX.Private")
    desk.sync()
    assert [a["subject"] for a in desk.mails()] == ["Findings"]
    (desk.folder / "syncd.yaml").write_text(text)
    desk.sync()
    assert desk.mails() == []
