"""The demo's mail: a mailbox of customer mail, newsletters and private things, on a real IMAP server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from syncd.cli.radicale import Server

if TYPE_CHECKING:
    from syncd.cli.story import Stage

_PROFILE = "  mail: {{connector: imap, url: 'imap://127.0.0.1:{port}', mapping: mail}}\nemployees:\n"
_ACCOUNT = 'calendar: /ann/work/}},\n      {{profile: mail, username: ann, password: "file:secrets/ann"}}]}}'


def configuration(text: str) -> str:
    """The demo's configuration with Ann's mailbox in it."""
    text = text.replace("employees:\n", _PROFILE, 1)
    return text.replace("calendar: /ann/work/}}]}}", _ACCOUNT, 1)


def mail(
    subject: str, body: str, *, sender: str = "Pat Meyer <pat@acme.example>", to: str = "Ann Berger <ann@example.com>",
    mid: str = "", answers: str = "", attached: str = "", **headers: str,
) -> bytes:  # fmt: skip
    """A message as a mail program writes it."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Date"] = format_datetime(datetime.now(UTC) - timedelta(hours=3))
    made["Message-ID"] = f"<{mid or subject.replace(' ', '-')}@demo.example>"
    if answers:
        made["In-Reply-To"] = made["References"] = f"<{answers}@demo.example>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(body)
    if attached:
        made.add_attachment(b"%PDF-1.7 " + b"x" * 5000, maintype="application", subtype="pdf", filename=attached)
    return made.as_bytes()


def fill(server: Server) -> None:
    """What lies in Ann's mailbox on the first day."""
    inbox = [
        mail(
            "[op1] Press line, our questions",
            "Dear Ann,\n\nplease see the plan.\n\nPat\n",
            attached="plan.pdf",
            mid="q1",
        ),
        mail("Lab results", "Nothing to worry about.\n", sender="Dr. Gray <gray@clinic.example>"),
        mail("Minutes", "From Bob, among ourselves.\n", sender="Bob Ito <bob@example.com>"),
        mail("Fifty percent off", "Buy!\n", sender="shop@shop.example", List_Id="<news.shop.example>"),
        mail("Salary talk", "Please keep this to yourself.\n", Sensitivity="Personal"),
    ]
    sent = mail("Re: [op1] Press line, our questions", "Dear Pat,\n\nhere are our answers.\n", sender="ann@example.com",
                to="Pat Meyer <pat@acme.example>", mid="a1", answers="q1")  # fmt: skip
    with _program(server) as client:
        client.create_folder("Sent")
        for message in inbox:
            client.append("INBOX", message)
        client.append("Sent", sent)


def _program(server: Server) -> Any:
    """Ann's mail program."""
    from imapclient import IMAPClient

    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=30)
    client.login("ann", "ann")
    return client


def state(server: Server) -> dict[str, Any]:
    """Every flag and number that a mail program can see."""
    with _program(server) as client:
        found = {}
        for _, _, name in client.list_folders():
            client.select_folder(name, readonly=True)
            uids = client.search()
            answers = client.fetch(uids, ["FLAGS"]) if uids else {}
            found[str(name)] = {u: sorted(set(a[b"FLAGS"]) - {b"\\Recent"}) for u, a in answers.items()}
        return found


def tell_mail(stage: Stage, server: Server, before: dict[str, Any], anywhere: Any) -> None:
    """Shows what became of the mail, and lets one more come."""
    stage.say(
        "\n— Ann's mailbox: a customer's question and her answer crossed; the rest is none of the CRM's business."
    )
    stage.run("crm", "list", "--kind", "e-mail")
    mails = [a for a in stage.activities("Press line") if a["kind"] == "e-mail"]
    stage.check("both are e-mails of the CRM, in and out", {m["direction"] for m in mails} == {"in", "out"})
    filed = {(m["account"], tuple(m["transactions"])) for m in mails}
    stage.check("at Acme and its opportunity, by address and number", filed == {("acme", ("opportunity op1",))})
    words = ("Lab results", "Minutes", "Fifty percent", "Salary talk", "clinic.example")
    stage.check("the doctor, the colleague, the shop and the private mail left no trace",
                not any(anywhere(stage, word) for word in words))  # fmt: skip
    stage.check("no flag, no message of the mailbox changed", state(server) == before)
    stage.say("\n— The CRM's user moves the first mail to another account; the next one of the thread follows.")
    first = next(m for m in mails if m["direction"] == "in")
    stage.run("crm", "edit", first["guid"], "--account", "borealis", "--contact", "kim")
    with _program(server) as client:
        client.append("INBOX", mail("One more thing", "About the plan.\n", answers="q1"))
    stage.run("sync")
    stage.check("it hangs where the thread hangs", stage.activities("One more thing")[0]["account"] == "borealis")
    task = stage.run("crm", "follow-up", first["guid"], "task", "--subject", "Answer Pat", show=True).strip()
    shown = stage.json("crm", "show", first["guid"])
    stage.check("a follow-up task, and both show each other", ["task", task] in shown["followers"])
