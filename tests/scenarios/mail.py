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
from tests.servers.exchange import ExchangeServer
from tests.servers.exchange.store import Item, Mailbox, element
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

    def copy(self, user: str, subject: str, target: str) -> None:
        """The employee copies a message from the inbox."""
        with self.mailbox(user) as client:
            client.select_folder("INBOX")
            client.copy(client.search(["SUBJECT", subject]), target)

    def rename(self, user: str, old: str, new: str) -> None:
        """The employee renames a folder."""
        with self.mailbox(user) as client:
            client.rename_folder(old, new)

    def remake(self, user: str, folder: str) -> None:
        """Another folder of the same name, with the same messages, takes its place."""
        with self.mailbox(user) as client:
            client.create_folder("Other")
            client.select_folder(folder)
            client.move(client.search(), "Other")
            client.unselect_folder()
            client.delete_folder(folder)
            client.rename_folder("Other", folder)

    def remove(self, user: str, subject: str) -> None:
        """The employee deletes a message for good."""
        with self.mailbox(user) as client:
            client.select_folder("INBOX")
            client.delete_messages(client.search(["SUBJECT", subject]))
            client.expunge()

    def named(self, user: str, subject: str) -> str:
        """What syncd calls a message of the inbox."""
        with self.mailbox(user) as client:
            client.select_folder("INBOX", readonly=True)
            (uid,) = client.search(["SUBJECT", subject])
            validity = client.folder_status("INBOX", ["UIDVALIDITY"])[b"UIDVALIDITY"]
        return f"INBOX;UIDVALIDITY={validity}/;UID={uid}"

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


@dataclass
class OutlookDesk(MailDesk):
    """The same with mailboxes on Exchange."""

    double: ExchangeServer = field(default_factory=ExchangeServer)

    def _box(self, user: str) -> Mailbox:
        return self.double.store.mailbox(f"{user}@us.example")

    def _folder(self, user: str, name: str) -> str:
        """The id of a folder; it is made where there is none."""
        box = self._box(user)
        known = {
            "INBOX": "inbox",
            "Sent": "sentitems",
            "Junk": "junkemail",
            "Trash": "deleteditems",
            "Drafts": "drafts",
        }
        if name in known:
            return box.distinguished(known[name]).id
        parent = box.distinguished("msgfolderroot").id
        for part in name.split("/"):
            found = next((f.id for f in box.folders.values() if (f.parent, f.name) == (parent, part)), "")
            parent = found or box.add_folder(part, "Folder", parent).id
        return parent

    def _items(self, user: str, subject: str, folder: str) -> list[Item]:
        where = self._folder(user, folder)
        return [i for i in self._box(user).items.values() if i.folder == where and subject in i.text("item:Subject")]

    def deliver(self, user: str, mail: bytes, folder: str = "INBOX", flags: tuple[bytes, ...] = ()) -> None:
        with self.double.store.lock:
            sent = folder == "Sent"
            item = self.double.deliver(f"{user}@us.example", mail, "sentitems" if sent else "inbox")
            if folder not in ("INBOX", "Sent"):
                self._box(user).move(item, self._folder(user, folder))
        for flag in flags:
            self._set(user, item.text("item:Subject"), flag, folder, True)

    def move(self, user: str, subject: str, target: str, folder: str = "INBOX") -> None:
        with self.double.store.lock:
            for item in self._items(user, subject, folder):
                self._box(user).move(item, self._folder(user, target))

    def flag(self, user: str, subject: str, flag: bytes, folder: str = "INBOX", on: bool = True) -> None:
        self._set(user, subject, flag, folder, on)

    def copy(self, user: str, subject: str, target: str) -> None:
        with self.double.store.lock:
            for item in self._items(user, subject, "INBOX"):
                self._box(user).copy(item, self._folder(user, target))

    def rename(self, user: str, old: str, new: str) -> None:
        self._box(user).folders[self._folder(user, old)].name = new

    def remake(self, user: str, folder: str) -> None:
        with self.double.store.lock:
            box, old = self._box(user), self._folder(user, folder)
            other = self._folder(user, "Other")
            for item in self._items(user, "", folder):
                box.move(item, other)
            del box.folders[old]
            box.folders[other].name = folder

    def remove(self, user: str, subject: str) -> None:
        with self.double.store.lock:
            for item in self._items(user, subject, "INBOX"):
                self._box(user).remove(item)

    def named(self, user: str, subject: str) -> str:
        (item,) = self._items(user, subject, "INBOX")
        return item.id

    def _set(self, user: str, subject: str, flag: bytes, folder: str, on: bool) -> None:
        with self.double.store.lock:
            for item in self._items(user, subject, folder):
                name = flag.decode()
                if name == "\\Seen":
                    self._box(user).mark_read(item, on)
                    continue
                if name == "$Junk":  # a filter says so in a header
                    header = element("InternetMessageHeader", "YES", HeaderName="X-Spam-Flag")
                    item.props["item:InternetMessageHeaders"].append(header)
                elif name == "\\Flagged":
                    item.props["ext:0x1090"] = tagged("0x1090", "2" if on else "0")
                elif name == "\\Draft":
                    item.props["item:IsDraft"] = element("IsDraft", "true" if on else "false")
                else:
                    have = item.props.get("item:Categories")
                    names = {c.text for c in have} if have is not None else set()
                    names = names | {name} if on else names - {name}
                    item.props["item:Categories"] = element("Categories")
                    item.props["item:Categories"].extend(element("String", n) for n in sorted(str(n) for n in names))
                self._box(user).touch(item)

    def state(self, user: str) -> dict[str, dict[int, tuple[bytes, ...]]]:
        box = self._box(user)
        names = {"inbox": "INBOX", "sentitems": "Sent"}
        name_of = {f.id: names.get(f.distinguished, f.name) for f in box.folders.values()}
        found: dict[str, dict[int, tuple[bytes, ...]]] = {name: {} for name in name_of.values()}
        for number, item in enumerate(sorted(box.items.values(), key=lambda i: i.id)):
            marks = [b"\\Seen"] if item.read else []
            marks += [str(c.text).encode() for c in item.props.get("item:Categories", ())]
            flag = item.props.get("ext:0x1090")
            marks += [b"\\Flagged"] if flag is not None and flag[1].text == "2" else []
            found[name_of[item.folder]][number] = tuple(sorted(marks))
        return found


def tagged(tag: str, value: str) -> Any:
    """An extended property."""
    made = element("ExtendedProperty")
    made.append(element("ExtendedFieldURI", PropertyTag=tag, PropertyType="Integer"))
    made.append(element("Value", value))
    return made


Maker = Callable[..., MailDesk]


def make(
    folder: Path,
    dovecot: Dovecot | ExchangeServer,
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
    desk: MailDesk
    if isinstance(dovecot, ExchangeServer):
        desk = OutlookDesk(folder, Server("", 0), database=fresh_database(), double=dovecot)
        how = f"connector: exchange, auth: basic, url: '{dovecot.url}'"
    else:
        desk = MailDesk(folder, Server("", 0), database=fresh_database(), dovecot=dovecot)
        how = f"connector: imap, url: 'imap://127.0.0.1:{port or dovecot.port}'"
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
        f"  mail: {{{how}, timeout: 5, mapping: {mapping}}}",
        *more,
        "employees:",
    ]
    people = "id,name,address\n"
    for user in users:
        box = f"box{next(_NUMBERS)}x{time.time_ns() % 10**9}"
        desk.boxes[user] = box
        if isinstance(dovecot, ExchangeServer):
            dovecot.add_user(box, address=f"{user}@us.example")
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
