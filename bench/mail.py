"""Row 7: mail. A first run over 10,000 messages against mbsync (Debian's isync) on the same Dovecot mailbox,
a quiet pass in round trips as Dovecot itself logs them, and memory at 100,000 messages.

Every second message is a customer's and crosses; the others are lists and colleagues. One in ten carries
100 kB. mbsync copies them whole; we read headers, decide, file, map, link and store.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from bench.desk import Cost, run
from connectors.imap.connect import SignIn, connect
from connectors.imap.read import ITEMS
from syncd.crm.database import Crm
from tests.servers.dovecot import PROGRAM, Dovecot, dovecot

FEW, MANY = 10_000, 100_000
_WORDS = ("offer plan price visit order drawing delivery question answer contract meeting quality sample " * 4).split()


def available() -> bool:
    """True when Dovecot and mbsync are here."""
    return PROGRAM is not None and shutil.which("mbsync") is not None


def message(number: int, now: datetime, dice: random.Random) -> bytes:
    """One of the messages; the same number is the same message."""
    sender, more = f"kim{number % 50}@acme.example", ""
    if number % 2:
        sender, more = (
            ("news@shop.example", "List-Id: <news.shop.example>\r\n") if number % 4 == 1 else ("bob@us.example", "")
        )
    body = "\r\n".join(" ".join(dice.choices(_WORDS, k=10)) for _ in range(25))
    head = (
        f"Return-Path: <{sender}>\r\nReceived: from mx.example by us.example; {format_datetime(now)}\r\n"
        f"From: Sender <{sender}>\r\nTo: Ann <ann@us.example>\r\nSubject: Message {number} {dice.choice(_WORDS)}\r\n"
        f"Date: {format_datetime(now - timedelta(minutes=number % 40_000))}\r\nMessage-ID: <m{number}@acme.example>\r\n"
        f"{more}MIME-Version: 1.0\r\n"
    )
    if number % 10:
        return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()
    attached = ("QUJD" * 19 + "\r\n") * 1300
    return (
        f'{head}Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        f"Content-Type: text/plain\r\n\r\n{body}\r\n--b\r\n"
        "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="plan {number}.pdf"\r\n\r\n{attached}--b--\r\n'
    ).encode()


def fill(server: Dovecot, user: str, count: int) -> None:
    """Puts messages into a mailbox, and lets the server read each once: neither of the two pays for that."""
    sign_in = SignIn(server.url, user, lambda: user, timeout=600)
    client = connect(sign_in)
    client.select_folder("INBOX")
    client.logout()
    maildir = server.folder / "home" / user / "Maildir"
    owner, now, dice = maildir.stat(), datetime.now(UTC), random.Random(7)
    for number in range(count):
        file = maildir / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,S"
        file.write_bytes(message(number, now, dice))
        os.chown(file, owner.st_uid, owner.st_gid)
    (server.folder / "home" / user / "rawlog").mkdir()
    os.chown(server.folder / "home" / user / "rawlog", owner.st_uid, owner.st_gid)
    client = connect(sign_in)
    client.select_folder("INBOX", readonly=True)
    for start in range(1, count + 1, 1000):
        client._imap.uid("FETCH", f"{start}:{start + 999}", f"({' '.join(ITEMS)})")
    client.logout()


class MailDesk:
    """A folder with a configuration of both for one mailbox, nothing synced yet."""

    def __init__(self, folder: Path, server: Dovecot, user: str) -> None:
        folder.mkdir()
        self.folder, self.server, self.user = folder, server, user
        (folder / "secret").write_text(user + "\n")
        (folder / "secret").chmod(0o600)
        (folder / "syncd.yaml").write_text(
            f"version: 1\nprofiles:\n  mail: {{connector: imap, url: '{server.url}', mapping: mail, timeout: 600}}\n"
            "employees:\n  - {id: ann, addresses: ann@us.example, accounts: [{profile: mail, "
            f"username: {user}, password: 'file:secret'}}]}}\n"
        )
        crm = Crm.open(f"sqlite:///{folder / 'crm.db'}")
        contacts = [f"k{n},Kim {n},acme,kim{n}@acme.example\n" for n in range(50)]
        sheets = {
            "employees": "id,name,address\nann,Ann,ann@us.example\nbob,Bob,bob@us.example\n",
            "accounts": "id,name\nacme,Acme\n",
            "contacts": "id,name,account,address\n" + "".join(contacts),
        }
        for kind, text in sheets.items():
            (folder / "sheet.csv").write_text(text)
            crm.import_csv(kind, folder / "sheet.csv")
        crm.close()
        (folder / "mbsyncrc").write_text(
            f"IMAPAccount a\nHost 127.0.0.1\nPort {server.port}\nUser {user}\nPass {user}\n"
            "SSLType None\nAuthMechs LOGIN\n\n"
            f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\n"
            "SubFolders Verbatim\n\nChannel c\nFar :far:\nNear :near:\nPatterns INBOX Sent\nCreate Near\nSync Pull\n"
            f"SyncState {folder}/state/\n"
        )
        (folder / "mail").mkdir()
        (folder / "state").mkdir()

    def ours(self) -> Cost:
        """``syncd sync``."""
        return run([sys.executable, "-m", "syncd.cli.command", "sync", "--json"], self.folder)

    def theirs(self) -> Cost:
        """``mbsync``."""
        return run(["mbsync", "-q", "-c", "mbsyncrc", "c"], self.folder)

    def commands(self) -> list[str]:
        """What Dovecot was asked in the last connection of this mailbox, as it logs it."""
        logs = sorted(
            (self.server.folder / "home" / self.user / "rawlog").glob("*.in"), key=lambda p: p.stat().st_mtime
        )
        lines = logs[-1].read_text("utf-8", "replace").splitlines()
        return [line.split(" ", 2)[2] for line in lines if line.count(" ") >= 2]


def measure(folder: Path, few: int, many: int) -> list[tuple[str, float, float, float]]:
    """The bars of row 7: (name, ours, theirs, bar)."""
    found = []
    with dovecot(extra="rawlog_dir = %h/rawlog") as server:
        fill(server, "few", few)
        desks = [MailDesk(folder / f"mail{n}", server, "few") for n in range(2)]
        turns = [(desk.ours(), desk.theirs()) for desk in desks]
        ours, theirs = (min((t[n] for t in turns), key=lambda c: c.wall) for n in (0, 1))
        found.append((f"first run, {few} messages, seconds against mbsync", ours.wall, theirs.wall, 1.0))
        found.append((f"first run, {few} messages, CPU seconds against mbsync", ours.cpu, theirs.cpu, 1.0))
        time.sleep(1)
        desks[0].ours()
        asked = [c for c in desks[0].commands() if not c.startswith(("ENABLE", "CAPABILITY", "LOGOUT", "ID"))]
        found.append((f"quiet pass, {few} messages in 2 folders, round trips against 1 a folder", len(asked), 2, 1.0))
        memory = turns[0][0].memory
        if many:
            fill(server, "many", many)
            large = MailDesk(folder / "mail-many", server, "many").ours()
            found.append((f"peak memory of a first run, {many} messages against {few}", large.memory, memory, 1.1))
            found.append((f"seconds a message, {many} against {few}", large.wall / many, ours.wall / few, 1.25))
    return found


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        for line in measure(Path(name), int(sys.argv[1]), int(sys.argv[2])):
            print(line, flush=True)
