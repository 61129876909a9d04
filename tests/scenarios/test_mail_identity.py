"""Messages with one Message-ID, and with odd dates, on real servers: none is lost, each is in one count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios.mail import MailDesk, message

pytestmark = pytest.mark.either
Maker = Callable[..., MailDesk]


def same_id(subject: str, text: str) -> bytes:
    """Of a program that gives each of its mails one Message-ID, in one second."""
    return message(subject, text, mid="one@shop.example")


@pytest.mark.everywhere
def test_case_l9_a_program_that_gives_every_mail_one_id_loses_none(desk_of: Maker) -> None:
    desk = desk_of("ann", "bob")
    order, invoice = same_id("Your order", "It is on its way.\n"), same_id("Your invoice", "Please pay.\n")
    by_list = same_id("[shop] Your order", "It is on its way.\n-- \nThe list\n")
    desk.deliver("ann", order)
    desk.deliver("ann", invoice)
    desk.deliver("bob", invoice)
    result = desk.sync()
    assert (result["ann"]["created"]["crm"], result["bob"]["created"]["crm"]) == (2, 0)
    desk.deliver("bob", order)
    desk.deliver("ann", by_list)
    result = desk.sync()
    assert result["ann"]["passed-over"] == {"copy": 1}
    assert sorted(a["subject"] for a in desk.mails()) == ["Your invoice", "Your order"]
    why = desk.run("explain", desk.named("ann", "[shop] Your order")).out
    assert "another copy of it in this mailbox speaks for it" in why
    desk.quiet()


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 +0000", "Fri, 01 Jan 2100 00:00:00 +0000", "yesterday"])
@pytest.mark.everywhere
def test_case_l10_a_mail_of_today_with_an_absurd_date_is_logged_by_its_arrival(desk_of: Maker, date: str) -> None:
    desk = desk_of("ann")
    head, _, body = message("Today").replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith(b"Date:")]
    desk.deliver("ann", b"\r\n".join([*lines, f"Date: {date}".encode(), b"", body]))
    assert desk.sync(status=0)["ann"]["created"]["crm"] == 1
    assert desk.mail()["starts"][:8] >= f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}"


def test_case_l10_a_mail_of_today_that_arrived_in_1970_is_logged_too(desk_of: Maker) -> None:
    """As programs leave it that copy mailboxes without their times."""
    desk = desk_of("ann")
    with desk.mailbox("ann") as client:
        client.append("INBOX", message("Copied"), (), datetime(1970, 1, 2, tzinfo=UTC))
    assert desk.sync(status=0)["ann"]["created"]["crm"] == 1
    assert desk.mail()["starts"][:8] >= f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}"


def test_case_l10_every_mail_is_in_one_count_and_explain_knows_why(desk_of: Maker) -> None:
    desk = desk_of("ann")
    desk.deliver("ann", message("Old", at=datetime.now(UTC) - timedelta(days=200)))
    desk.deliver("ann", message("New"))
    desk.deliver("ann", message("List", List_Id="<l.x>"))
    result = desk.sync(status=0)["ann"]
    assert (result["read"], result["created"]["crm"], result["passed-over"]) == (3, 1, {"list": 1, "outside-window": 1})
    assert "not taken: outside the mapping's window" in desk.run("explain", desk.named("ann", "Old")).out
