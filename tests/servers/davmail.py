"""Debian's DavMail (GPL; it runs beside the tests): a CalDAV server before an EWS server, written by others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.cli.radicale import Server, free_port, wait_for

PROGRAM = shutil.which("davmail")


@contextmanager
def davmail(folder: Path, ews: str) -> Iterator[Server]:
    """DavMail before the EWS server at this address; it stops at the end, with all that it started."""
    port = free_port()
    settings = {
        "server": "true", "mode": "EWS", "url": ews, "caldavPort": str(port), "imapPort": "", "smtpPort": "",
        "popPort": "", "ldapPort": "", "bindAddress": "127.0.0.1", "allowRemote": "false", "enableKerberos": "false",
        "disableUpdateCheck": "true", "logFilePath": str(folder / "davmail.log"),
        "timezoneId": "W. Europe Standard Time",
    }  # fmt: skip
    file = folder / "davmail.properties"
    file.write_text("".join(f"davmail.{k}={v}\n" for k, v in settings.items()) + "log4j.rootLogger=WARN\n")
    assert PROGRAM is not None
    with (folder / "davmail.out").open("w") as log:
        process = subprocess.Popen([PROGRAM, "-server", str(file)], stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(port, process, 60)
            yield Server(f"http://127.0.0.1:{port}/", port)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
