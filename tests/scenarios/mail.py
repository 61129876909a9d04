"""A desk with mailboxes: real ones on Dovecot, and people who write, read, move and flag mail there."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from imapclient import IMAPClient

from syncd.crm.database import Crm
from syncd.mapping.loader import shipped
from tests.scenarios.conftest import Desk, Done
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import fresh_database

_NUMBERS = itertools.count(1)
TODAY = datetime.now(UTC).replace(microsecond=0)


def message(
    subject: str = "Offer",
    body: str = "Dear Ann,\nhere is our offer.\n",
    *,
    sender: str = "Kim <kim@acme.example>",
    to: str = "Ann <ann@us.example>",
    cc: str = "",
    at: datetime | None = None,
    mid: str | None = None,
    answers: str = "",
    html: str = "",
    files: dict[str, bytes] | None = None,
    invite: str = "",
    **headers: str,
) -> bytes:
    """A message as programs write it."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = sender, to
    if cc:
        made["Cc"] = cc
    made["Subject"] = subject
    made["Date"] = format_datetime(at or TODAY - timedelta(hours=2))
    if mid != "":
        made["Message-ID"] = f"<{mid or f'm{next(_NUMBERS)}@acme.example'}>"
    if answers:
        made["In-Reply-To"] = made["References"] = f"<{answers}>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(body)
    if html:
        made.add_alternative(html, subtype="html")
    if invite:
        made.add_alternative(invite, subtype="calendar", params={"method": "REQUEST"})
    for name, content in (files or {}).items():
        made.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return made.as_bytes()


@dataclass
class MailDesk(Desk):
    """A desk whose employees have mailboxes."""

    dovecot: Dovecot | None = None
    #: Employee -> name on the mail server.
    boxes: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def mailbox(self, user: str) -> Iterator[IMAPClient]:
        """The employee's mail program."""
        assert self.dovecot is not None
        client = IMAPClient("127.0.0.1", self.dovecot.port, ssl=False, timeout=60)
        client.login(self.boxes[user], self.boxes[user])
        try:
            yield client
        finally:
            client.logout()

    def deliver(self, user: str, mail: bytes, folder: str = "INBOX", flags: tuple[bytes, ...] = ()) -> None:
        """Mail arrives, or a program puts it into a folder."""
        with self.mailbox(user) as client:
            if folder != "INBOX" and not client.folder_exists(folder):
                client.create_folder(folder)
            client.append(folder, mail, flags)

    def move(self, user: str, subject: str, target: str, folder: str = "INBOX") -> None:
        """The employee moves a message."""
        with self.mailbox(user) as client:
            if not client.folder_exists(target):
                client.create_folder(target)
            client.select_folder(folder)
            client.move(client.search(["SUBJECT", subject]), target)

    def flag(self, user: str, subject: str, flag: bytes, folder: str = "INBOX", on: bool = True) -> None:
        """The employee sets or removes a flag."""
        with self.mailbox(user) as client:
            client.select_folder(folder)
            act = client.add_flags if on else client.remove_flags
            act(client.search(["SUBJECT", subject]), [flag])

    def drop(self, user: str, mail: bytes) -> None:
        """A delivery agent puts a file into the mailbox, whatever is in it."""
        assert self.dovecot is not None
        with self.mailbox(user):
            pass
        self.dovecot.drop(self.boxes[user], mail)

    def state(self, user: str) -> dict[str, dict[int, tuple[bytes, ...]]]:
        """Folder -> UID -> flags: all that a mail program can see changing."""
        found = {}
        with self.mailbox(user) as client:
            for _, _, name in client.list_folders():
                client.select_folder(name, readonly=True)
                answers = client.fetch(client.search(), ["FLAGS"]) if client.search() else {}
                found[str(name)] = {u: tuple(sorted(set(a[b"FLAGS"]) - {b"\\Recent"})) for u, a in answers.items()}
        return found

    def mails(self, as_: str = "ann") -> list[dict[str, Any]]:
        """The e-mails of the CRM."""
        return self.activities("--kind", "e-mail", as_=as_)

    def mail(self, as_: str = "ann") -> dict[str, Any]:
        """The one e-mail that there is."""
        found = self.mails(as_)
        assert len(found) == 1, [a["subject"] for a in found]
        return found[0]

    def again(self) -> Done:
        """A pass, in full."""
        return self.run("sync", "--full", status=(0, 1))


Maker = Callable[..., MailDesk]


def make(
    folder: Path,
    dovecot: Dovecot,
    *users: str,
    port: int = 0,
    mapping: str = "mail",
    own: str = "",
    more: tuple[str, ...] = (),
    accounts: Callable[[str], str] = lambda user: "",
    **edits: str,
) -> MailDesk:
    """A desk for some employees with a mailbox each. `edits` change the mapping; `own` are keys of each
    account's mail section; `more` are lines of further profiles, `accounts` further accounts."""
    from syncd.cli.radicale import Server

    (folder / "secrets").mkdir(parents=True, mode=0o700)
    desk = MailDesk(folder, Server("", 0), database=fresh_database(), dovecot=dovecot)
    if edits:
        content = shipped()[mapping].read_text(encoding="utf-8")
        for old, new in (e.split(" => ") for e in edits.values()):
            assert old in content, old
            content = content.replace(old, new)
        mapping = "own.yaml"
        (folder / mapping).write_text(content, encoding="utf-8")
    lines = ["version: 1", f"crm: {{connector: builtin, url: '{desk.database or 'sqlite:///crm.db'}'}}"]
    lines += [f"store: '{desk.database}'"] if desk.database else []
    lines += [
        "profiles:",
        f"  mail: {{connector: imap, url: 'imap://127.0.0.1:{port or dovecot.port}', timeout: 5, mapping: {mapping}}}",
        *more,
        "employees:",
    ]
    people = "id,name,address\n"
    for user in users:
        box = f"box{next(_NUMBERS)}x{time.time_ns() % 10**9}"
        desk.boxes[user] = box
        secret = folder / "secrets" / user
        secret.write_text(box + "\n")
        secret.chmod(0o600)
        lines += [
            f"  - id: {user}",
            f"    addresses: [{user}@us.example]",
            "    accounts:",
            f"      - {{profile: mail, username: {box}, password: 'file:secrets/{user}'{own}}}",
            *([accounts(user)] if accounts(user) else []),
        ]
        people += f"{user},{user.title()},{user}@us.example\n"
    (folder / "syncd.yaml").write_text("\n".join(lines) + "\n")
    sheets = {
        "employees": people,
        "accounts": "id,name\nacme,Acme\nbeta,Beta\n",
        "contacts": "id,name,account,address\nkim,Kim,acme,kim@acme.example\nlee,Lee,beta,lee@beta.example\n"
        "pat,Pat,beta,pat@gmail.com\n",
        "transactions": "id,type,description,account\nOPP-1,opportunity,Big deal,acme\nOPP-2,opportunity,Other,beta\n",
    }
    crm = Crm.open(desk.database or f"sqlite:///{folder / 'crm.db'}")
    for sheet, text in sheets.items():
        (folder / f"{sheet}.csv").write_text(text)
        crm.import_csv(sheet, folder / f"{sheet}.csv")
        (folder / f"{sheet}.csv").unlink()
    crm.close()
    return desk
