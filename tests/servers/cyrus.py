"""A Cyrus of the tests' own: a CalDAV server that schedules (RFC 6638), with a place for the mail that it sends.

Debian's packages cannot be installed beside Dovecot, so they are unpacked (`python -m tests.servers.cyrus`
does it) into a folder below the virtual environment, and run from there with their data in a folder of
their own. It knows nothing of what is being tested.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from imapclient import IMAPClient

from syncd.cli.radicale import Server, free_port, wait_for

#: What is unpacked, and where; it conflicts with Dovecot, so it is never installed.
PACKAGES = ("cyrus-common", "cyrus-imapd", "cyrus-caldav")
ROOT = Path(sys.prefix) / "cyrus"
_BIN, _LIB = ROOT / "usr/lib/cyrus/bin", next(iter(ROOT.glob("usr/lib/*-linux-*")), ROOT / "usr/lib")
#: Everybody's address is NAME@DOMAIN.
DOMAIN = "us.example"
_SASL = shutil.which("saslpasswd2") or "/usr/sbin/saslpasswd2"

_CONFIG = """
configdirectory: {folder}/config
partition-default: {folder}/mail
defaultpartition: default
proc_path: {folder}/run/proc
mboxname_lockpath: {folder}/run/lock
lmtpsocket: {folder}/run/lmtp
idlesocket: {folder}/run/idle
notifysocket: {folder}/run/notify
cyrus_user: {me}
admins: cyrus
altnamespace: yes
unixhierarchysep: yes
httpmodules: caldav
caldav_allowscheduling: on
caldav_create_default: yes
caldav_create_sched: yes
calendar_user_address_set: {domain}
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb
sasl_mech_list: PLAIN LOGIN
smtp_backend: host
smtp_host: 127.0.0.1:{smtp}
"""

_SERVICES = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r"
  idled cmd="{bin}/idled -C {folder}/imapd.conf"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {folder}/imapd.conf -U 30" listen="127.0.0.1:{imap}" prefork=0
  http cmd="{bin}/httpd -C {folder}/imapd.conf -U 30" listen="127.0.0.1:{http}" prefork=0
  lmtpunix cmd="{bin}/lmtpd -C {folder}/imapd.conf" listen="{folder}/run/lmtp" prefork=0
}}
"""


@cache
def available() -> bool:
    """True when it can be started here."""
    program = _BIN / "httpd"
    if not program.is_file() or not Path(_SASL).is_file():
        return False
    found = subprocess.run(["ldd", str(program)], env=_environment(), capture_output=True, text=True, check=False)
    return "not found" not in found.stdout


def unpack() -> None:
    """Brings Debian's packages into `ROOT`, once; nothing is installed."""
    if (_BIN / "master").is_file():
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True)
        shutil.copytree(folder / "root", ROOT, symlinks=True, dirs_exist_ok=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(_LIB), "CYRUS_USER": _user()}


def _user() -> str:
    """Under whom it works: as root it becomes a user who may do nothing."""
    return "nobody" if os.getuid() == 0 else getpass.getuser()


# -- where its mail goes -----------------------------------------------------------------------------------


@dataclass
class Sink:
    """A mail server that says yes to everything and keeps what it gets."""

    port: int = 0
    #: (recipients, the message) in the order in which they came.
    mails: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def told(self) -> list[tuple[str, str]]:
        """Who was told, and what: address and the message's iTIP method ("" for other mail)."""
        found = []
        for recipients, text in self.mails:
            flat = text.replace("\r\n ", "").replace("\r\n\t", "")
            method = flat.partition("METHOD:")[2].partition("\r\n")[0] if "METHOD:" in flat else ""
            found += [(address, method) for address in recipients]
        return sorted(found)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client (RFC 5321, as far as a sender needs it)."""
        recipients: list[str] = []
        writer.write(b"220 sink\r\n")
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := (await reader.readline()).decode("utf-8", "replace").strip():
                word = line.upper()
                if word.startswith("RCPT TO:"):
                    recipients.append(line[8:].partition("<")[2].partition(">")[0].lower())
                elif word == "DATA":
                    writer.write(b"354 go on\r\n")
                    text = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                    self.mails.append((tuple(recipients), text.decode("utf-8", "replace").replace("\r\n..", "\r\n.")))
                    recipients = []
                elif word in ("RSET", "EHLO", "HELO"):
                    recipients = []
                writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 yes\r\n")
                if word == "QUIT":
                    break
        writer.close()


@contextmanager
def sink() -> Iterator[Sink]:
    """A mail server on a free port; it stops at the end."""
    made, loop, ready = Sink(), asyncio.new_event_loop(), threading.Event()

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=10_000_000)
        made.port = int(server.sockets[0].getsockname()[1])
        ready.set()
        async with server:
            with suppress(asyncio.CancelledError):
                await server.serve_forever()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)
        loop.close()


# -- the server --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cyrus(Server):
    """A running server; everybody's password is the name."""

    sink: Sink = field(default_factory=Sink)
    folder: Path = Path()

    def home(self, user: str) -> str:
        """Where a user's collections lie."""
        return f"/dav/calendars/user/{user}/"

    def calendar(self, user: str, name: str, component: str = "VEVENT") -> str:
        """Makes a calendar; returns its path."""
        path = f"{self.home(user)}{name}/"
        body = (
            '<?xml version="1.0"?><C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{name}</D:displayname><C:supported-calendar-component-set>"
            f'<C:comp name="{component}"/></C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>'
        )
        status, _ = self.request(user, "MKCALENDAR", path, body, Content_Type="application/xml")
        assert status == 201, status
        return path

    def held(self, user: str) -> dict[str, str]:
        """Every object in a user's inbox and calendars: address -> ETag."""
        body = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        found: dict[str, str] = {}
        for folder in self._folders(user):
            status, text = self.request(user, "PROPFIND", folder, body, Depth="1", Content_Type="application/xml")
            assert status == 207, (folder, status)
            for response in ElementTree.fromstring(text).iter("{DAV:}response"):  # noqa: S314 - our own server's
                href = response.findtext("{DAV:}href") or ""
                if href.endswith(".ics") or (href.rstrip("/") + "/") != folder:
                    found[href] = response.findtext(".//{DAV:}getetag") or ""
        return found

    def _folders(self, user: str) -> list[str]:
        body = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>'
        home = self.home(user)
        status, text = self.request(user, "PROPFIND", home, body, Depth="1", Content_Type="application/xml")
        assert status == 207, status
        hrefs = [r.findtext("{DAV:}href") or "" for r in ElementTree.fromstring(text).iter("{DAV:}response")]  # noqa: S314
        return sorted(h for h in hrefs if h.startswith(home) and h != home)

    @contextmanager
    def untouched(self, user: str) -> Iterator[None]:
        """Nobody is told what happens meanwhile: no mail leaves, and nothing changes in that user's calendars
        and inbox."""
        mails, before = list(self.sink.mails), self.held(user)
        yield
        assert self.sink.mails == mails, f"mail left: {self.sink.told()[len(mails) :]}"
        assert self.held(user) == before, "somebody else's calendar was touched"

    def inbox(self, user: str) -> list[str]:
        """The addresses of what lies in a user's scheduling inbox."""
        return sorted(h for h in self.held(user) if "/Inbox/" in h)


@contextmanager
def cyrus(users: Mapping[str, str]) -> Iterator[Cyrus]:
    """A server with these users (name -> password), and a sink for its mail; it stops at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cyrus-", dir="/tmp"))  # sockets have short names
    folder.chmod(0o755)
    ports = {"imap": free_port(), "http": free_port()}
    try:
        with sink() as mail:
            values = {"folder": folder, "bin": _BIN, "domain": DOMAIN, "smtp": mail.port, "me": _user(), **ports}
            _prepare(folder, values, {**users, "cyrus": "cyrus"})
            command = [str(_BIN / "master"), "-C", str(folder / "imapd.conf"), "-M", str(folder / "cyrus.conf"),
                       "-p", str(folder / "run/pid"), "-L", str(folder / "log")]  # fmt: skip
            with _running(command) as process:
                wait_for(ports["imap"], process)
                wait_for(ports["http"], process)
                _mailboxes(ports["imap"], users)
                made = Cyrus(f"http://127.0.0.1:{ports['http']}/", ports["http"], mail, folder)
                for user in users:  # calendars are made at the first visit; until then mail goes to them as elsewhere
                    made.held(user)
                yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, values: Mapping[str, object], users: Mapping[str, str]) -> None:
    for name in ("config", "mail", "run", "run/proc", "run/lock"):
        (folder / name).mkdir()
    (folder / "imapd.conf").write_text(_CONFIG.format(**values), "utf-8")
    (folder / "cyrus.conf").write_text(_SERVICES.format(**values), "utf-8")
    for user, password in users.items():
        command = [_SASL, "-p", "-c", "-u", socket.gethostname(), "-f", str(folder / "sasldb"), user]
        subprocess.run(command, input=password.encode(), check=True)
    if os.getuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, _user())


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The master, which ends its children when it is asked to end."""
    process = subprocess.Popen(command, env=_environment(), stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _mailboxes(port: int, users: Mapping[str, str]) -> None:
    """Each user gets an INBOX: without it the first request to a calendar is answered 500."""
    end = time.monotonic() + 30
    while True:
        try:
            client = IMAPClient("127.0.0.1", port, ssl=False)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    client.login("cyrus", "cyrus")
    for user in users:
        client.create_folder(f"user/{user}")
    client.logout()


if __name__ == "__main__":
    try:
        unpack()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cyrus cannot be unpacked here ({type(error).__name__})")
