"""Starts a Dovecot of the tests' own: its configuration, mail and sockets lie in one folder.

It needs no rights: as root it works under the system's mail users, else under whoever runs the tests.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syncd.cli.radicale import free_port, wait_for

#: Debian puts it where only root's PATH looks.
PROGRAM = shutil.which("dovecot") or ("/usr/sbin/dovecot" if Path("/usr/sbin/dovecot").is_file() else None)

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
{tls}
disable_plaintext_auth = no
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
auth_failure_delay = 0
auth_mechanisms = plain login xoauth2 oauthbearer
auth_master_user_separator = *
mail_location = {mailbox}
mail_uid = {uid}
mail_gid = {gid}
mail_max_userip_connections = 5000
imap_idle_notify_interval = 2 mins
{extra}
service imap-login {{
  chroot =
  client_limit = 4000
  process_limit = 4
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    {tls_on}
  }}
}}
service imap {{
  client_limit = 1500
  process_limit = 64
  service_count = 0
  vsz_limit = 2G
}}
service anvil {{
  chroot =
  client_limit = 10000
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 10000
}}
service stats {{
  client_limit = 10000
}}
passdb {{
  driver = passwd-file
  master = yes
  args = {folder}/masters
}}
{oauth}
passdb {{
  driver = static
  args = password=%u
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
}}
plugin {{
}}
protocol imap {{
  imap_logout_format = in=%i out=%o
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A running server; mail lies as files that a delivery agent, or a test, may add to."""

    port: int
    folder: Path
    #: For imaps://, when it has a certificate.
    tls_port: int = 0

    @property
    def url(self) -> str:
        """As it stands in a profile."""
        return f"imap://127.0.0.1:{self.port}"

    def drop(self, user: str, mail: bytes) -> None:
        """A delivery agent puts a file into the mailbox, whatever is in it (the user has signed in before)."""
        new = next(self.folder.glob(f"home/{user}/Maildir/new"))
        owner = new.stat()
        file = new.parent / "tmp" / uuid.uuid4().hex
        file.write_bytes(mail)
        if os.getuid() == 0:
            os.chown(file, owner.st_uid, owner.st_gid)
        file.rename(new / file.name)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def commands(self, since: int = 0) -> list[str]:
        """The commands that it was given (needs rawlog); one line each, without literals."""
        found: list[str] = []
        for path in sorted((self.folder / "home").glob("*/dovecot.rawlog/*.in")):
            found += re.findall(r"^[\d.]+ (\S+ .+)$", path.read_text("utf-8", "replace"), re.MULTILINE)
        return found[since:]


@contextmanager
def dovecot(
    *,
    masters: Mapping[str, str] | None = None,
    mailbox: str = "maildir:~/Maildir",
    extra: str = "",
    tls: tuple[Path, Path] | None = None,
    introspection: str = "",
    prefix: str = "",
    separator: str = "/",
) -> Iterator[Dovecot]:
    """A server on which everybody has a mailbox, with the name as password, and with these master users
    (name -> password); it stops at the end. `tls`: certificate and key; `introspection`: where it asks
    whether an access token holds (RFC 7662). `prefix` and `separator`: what stands before and between the
    names of folders; "INBOX." and "." as Courier has it, and Cyrus without altnamespace."""
    assert PROGRAM is not None
    folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))  # sockets have short names
    folder.chmod(0o755)
    root = os.getuid() == 0
    me = pwd.getpwnam("dovecot") if root else pwd.getpwuid(os.getuid())
    names = {"internal": me.pw_name, "login": "dovenull" if root else me.pw_name}
    group = "dovecot" if root else _group()
    port = free_port()
    for name in ("home", "state"):
        (folder / name).mkdir()
        if root:
            os.chown(folder / name, me.pw_uid, me.pw_gid)
    (folder / "masters").write_text("".join(f"{u}:{{plain}}{p}\n" for u, p in (masters or {}).items()), "utf-8")
    secure = free_port() if tls else 0
    certificate = f"ssl = yes\nssl_cert = <{tls[0]}\nssl_key = <{tls[1]}" if tls else "ssl = no"
    ports = {"tls_port": secure, "tls_on": "ssl = yes" if tls else "", "tls": certificate, "oauth": ""}
    if introspection:
        (folder / "oauth2").write_text(
            f"introspection_mode = post\nintrospection_url = {introspection}\nusername_attribute = username\n"
            "active_attribute = active\nactive_value = true\nforce_introspection = yes\n",
            "utf-8",
        )
        ports["oauth"] = (
            f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {folder}/oauth2\n}}"
        )
    values = {
        "folder": folder,
        "port": port,
        **ports,
        "uid": me.pw_uid,
        "gid": me.pw_gid,
        "group": group,
        "mailbox": mailbox,
        "prefix": prefix,
        "separator": separator,
    }
    (folder / "dovecot.conf").write_text(_CONFIG.format(**values, **names, extra=extra), "utf-8")
    process = subprocess.Popen([PROGRAM, "-F", "-c", str(folder / "dovecot.conf")], stderr=subprocess.PIPE)
    try:
        try:
            wait_for(port, process)
        except RuntimeError:
            said = process.stderr.read().decode() if process.stderr and process.poll() is not None else ""
            log = (folder / "log").read_text() if (folder / "log").exists() else ""
            raise RuntimeError(f"Dovecot did not start: {said} {log[-2000:]}") from None
        yield Dovecot(port, folder, secure)
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr:
            process.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def _group() -> str:
    import grp

    return grp.getgrgid(os.getgid()).gr_name or getpass.getuser()
