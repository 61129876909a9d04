"""The demo's story: two employees, a real CalDAV server, the built-in CRM, and what can go wrong.

Everything runs through the command line, as a user would; the server and all files live in a
temporary folder that is removed at the end. Each claim is checked, not only printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from syncd.cli import story_mail
from syncd.cli.pymap import pymap
from syncd.cli.radicale import Server, radicale
from syncd.cli.story_data import calendars, employees_csv, mail_free_event, notes_event

_CONFIG = """\
version: 1
store: sqlite:///store.db
crm: {{connector: builtin, url: sqlite:///crm.db}}
profiles:
  caldav: {{connector: caldav, url: {url}, mapping: demo.yaml}}
employees:
  - {{id: ann, addresses: ann@example.com, zone: Europe/Berlin, accounts: [
      {{profile: caldav, username: ann, password: "file:secrets/ann", calendar: /ann/work/}}]}}
  - {{id: bob, addresses: bob@example.com, zone: America/Los_Angeles, accounts: [
      {{profile: caldav, username: bob, password: "file:secrets/bob", calendar: /bob/notes/}}]}}
"""


@dataclass
class Stage:
    """Where the story happens."""

    folder: Path
    server: Server
    say: Callable[[str], None]
    failed: int = 0

    def run(self, *words: str, show: bool = True, status: tuple[int, ...] = (0, 1)) -> str:
        """Types a command; shows it and what it printed."""
        if show:
            self.say(f"\n$ syncd {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "syncd.cli.command", *words],
            cwd=self.folder,
            env={**os.environ, "SYNCD_CONFIG": "syncd.yaml", "SYNCD_EMPLOYEE": "ann"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        if show:
            for line in (done.stdout + done.stderr).rstrip().split("\n"):
                self.say(f"  {line}")
        if done.returncode not in status:
            self.check(f"syncd {words[0]} ends with {done.returncode}: {done.stderr[-500:]}", False)
        return done.stdout

    def json(self, *words: str) -> Any:
        """A command's JSON."""
        return json.loads(self.run(*words, "--json", show=False))

    def check(self, claim: str, holds: bool) -> None:
        """A claim, and whether it holds."""
        self.failed += not holds
        self.say(f"  {'✓' if holds else '✗ NOT SO:'} {claim}")

    def activities(self, text: str = "", as_: str = "ann") -> list[dict[str, Any]]:
        """What the CRM shows."""
        words = ("search", text) if text else ("list",)
        return list(self.json("crm", *words, "--as", as_)["activities"])

    def item(self, user: str, path: str) -> str:
        """An event as it stands on the server."""
        return self.server.request(user, "GET", path)[1].replace("\r\n ", "")

    def edit(self, user: str, path: str, old: str, new: str) -> None:
        """A person edits an event in a calendar client."""
        text = self.server.request(user, "GET", path)[1]
        assert old in text, (path, old)
        self.server.put(user, path, text.replace(old, new))


def tell(say: Callable[[str], None]) -> bool:
    """Tells the story; True when every claim held."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="syncd-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        users = {"ann": "ann", "bob": "bob"}
        with radicale(folder / "radicale", users) as server, pymap("ann", "ann") as mailbox:
            stage = Stage(folder, server, say)
            story_mail.fill(mailbox)
            before = story_mail.state(mailbox)
            _set_up(stage, mailbox)
            _first_sync(stage)
            story_mail.tell_mail(stage, mailbox, before, _anywhere)
            _both_sides_edit(stage)
            _private_and_deleted(stage)
            _crash(stage)
    say(
        f"\n{'Everything held' if not stage.failed else f'{stage.failed} claim(s) did NOT hold'}"
        f" ({time.monotonic() - began:.0f} s). Nothing is left behind; README.md shows how to begin in earnest."
    )
    return not stage.failed


def _set_up(stage: Stage, mailbox: Server) -> None:
    stage.say("A CalDAV server (Radicale) with two calendars: Ann's, as her phone writes it, and Bob's, as Lotus")
    stage.say("Notes writes it. An IMAP server (pymap) with Ann's mail. A CRM with accounts and contacts. Nothing is")
    stage.say("synced yet.")
    (stage.folder / "secrets").mkdir(mode=0o700)
    for user in ("ann", "bob"):
        file = stage.folder / "secrets" / user
        file.write_text(user + "\n", encoding="utf-8")
        file.chmod(0o600)
    configured = story_mail.configuration(_CONFIG).format(url=stage.server.url, port=mailbox.port)
    (stage.folder / "syncd.yaml").write_text(configured, encoding="utf-8")
    from syncd.mapping.loader import shipped

    text = shipped()["appointments"].read_text(encoding="utf-8")
    text = text.replace("  status: crm\n", "  status: crm\n  location: ask\n")
    (stage.folder / "demo.yaml").write_text(text, encoding="utf-8")
    for name, body in employees_csv().items():
        (stage.folder / f"{name}.csv").write_text(body, encoding="utf-8")
        stage.run("crm", "import", name, f"{name}.csv", show=False)
    stage.server.calendar("ann", "work")
    stage.server.calendar("bob", "notes")
    for user, events in calendars(datetime.now(UTC)).items():
        for path, event in events.items():
            status = stage.server.put(user, path, event)
            assert status in (201, 204), (path, status)
    monday = datetime.now(UTC) + timedelta(days=9)
    stage.run(
        "crm", "create", "appointment", "--subject", "Quarterly review with Borealis", "--zone", "Europe/Berlin",
        "--from", f"{monday:%Y-%m-%d} 14:00", "--to", f"{monday:%Y-%m-%d} 15:00", "--participant", "bob@example.com",
        "--participant", "kim@borealis.example", show=False,
    )  # fmt: skip


def _first_sync(stage: Stage) -> None:
    stage.say("\n— First: what would happen?")
    planned = stage.json("plan")
    stage.run("plan")
    stage.say("\n— Then do it, and once more: the second pass has nothing to do.")
    stage.run("sync")
    again = stage.json("sync")
    stage.run("crm", "list")
    n = sum(p["created"]["crm"] for p in planned["pairings"])
    activities = stage.activities()
    stage.check(f"the plan's {n} activities, and no more, were made", len(activities) == n + 1)
    stage.check("the second pass wrote nothing", not any(_writes(p) for p in again["pairings"]))
    stage.check("the dentist (private) is nowhere in the CRM or the store", not _anywhere(stage, "Dentist"))
    shared = [a for a in activities if a["subject"] == "Joint visit to Acme"]
    stage.check("the meeting that both attend is one appointment", len(shared) == 1)
    stage.check("its customer was found by the address", shared[0]["account"] == "acme")
    stage.check(
        "the CRM's appointment is in both calendars, and nobody was invited",
        all(
            _find(stage, u, "Quarterly review") and "ATTENDEE" not in _find(stage, u, "Quarterly review")
            for u in ("ann", "bob")
        ),
    )


def _writes(pairing: dict[str, Any]) -> int:
    return sum(sum(pairing[k].values()) for k in ("created", "updated", "deleted"))


def _anywhere(stage: Stage, word: str) -> bool:
    """True when any file of syncd holds the word (the server's own folder is left out)."""
    needle = word.encode()
    return any(
        needle in p.read_bytes() for p in stage.folder.iterdir() if p.is_file() and p.suffix in (".db", ".db-wal")
    )


def _find(stage: Stage, user: str, word: str) -> str:
    """The event in a user's calendar that holds the word."""
    path = "/ann/work/" if user == "ann" else "/bob/notes/"
    text = stage.server.request(user, "GET", path)[1].replace("\r\n ", "")
    return next((f"BEGIN:VEVENT{part}" for part in text.split("BEGIN:VEVENT")[1:] if word in part), "")


def _both_sides_edit(stage: Stage) -> None:
    stage.say(
        "\n— Both sides edit before the next pass. Ann moves a call in her calendar, the CRM adds its place: a merge."
    )
    call = stage.activities("Call with Kim")[0]
    stage.edit("ann", "/ann/work/call.ics", "T100000", "T113000")
    stage.run("crm", "edit", call["guid"], "--location", "by phone")
    stage.say(
        "\n— The place of Bob's Notes meeting changes on both sides: a conflict, and the mapping says `location: ask`."
    )
    notes = stage.activities("Forecast")[0]
    stage.edit("bob", "/bob/notes/forecast.ics", "LOCATION:Room 4", "LOCATION:Room 5")
    stage.run("crm", "edit", notes["guid"], "--location", "Auditorium")
    stage.say("\n— One occurrence of Ann's weekly series is moved.")
    stage.edit("ann", "/ann/work/weekly.ics", "END:VEVENT", mail_free_event(datetime.now(UTC)))
    stage.run("sync")
    merged = stage.activities("Call with Kim")[0]
    stage.check("the call has Ann's time and the CRM's place, on both sides",
                merged["location"] == "by phone" and merged["starts"] != call["starts"]
                and "LOCATION:by phone" in stage.item("ann", "/ann/work/call.ics"))  # fmt: skip
    series = stage.activities("Weekly stand-up")
    stage.check(
        "the series is still one appointment, with its moved occurrence",
        len(series) == 1 and "time" in series[0]["recurrence"],
    )
    stage.run("conflicts")
    number = stage.json("conflicts")["conflicts"][0]["id"]
    stage.run("conflicts", str(number), "--take", "groupware")
    stage.run("sync")
    stage.check("Bob's room counts", stage.activities("Forecast")[0]["location"] == "Room 5")
    shown = stage.json("crm", "show", notes["guid"])
    stage.check("the CRM's room is kept in the history", any(h["text"] == "Auditorium" for h in shown["history"]))
    stage.run("crm", "edit", notes["guid"], "--subject", "Forecast Q1, final")
    stage.run("sync")
    text = stage.item("bob", "/bob/notes/forecast.ics")
    kept = [
        line for line in notes_event(datetime.now(UTC)).split("\n") if line.startswith(("X-LOTUS", "DTSTART", "TZID"))
    ]
    stage.check("after the CRM changed its title, everything that Notes wrote is still there",
                "SUMMARY:Forecast Q1\\, final" in text and all(k.split(":")[0] in text for k in kept))  # fmt: skip


def _private_and_deleted(stage: Stage) -> None:
    stage.say("\n— Ann makes an event private, and deletes another.")
    interview = stage.activities("Interview")[0]["guid"]
    stage.edit("ann", "/ann/work/interview.ics", "END:VEVENT", "CLASS:PRIVATE\r\nEND:VEVENT")
    lunch = stage.activities("Lunch with Borealis")[0]
    stage.server.request("ann", "DELETE", "/ann/work/lunch.ics")
    stage.run("sync")
    stage.check("the private event was taken back, its history too", not _anywhere(stage, "Interview candidate"))
    stage.check(
        "the deleted one is a rejected appointment, not a lost one",
        stage.json("crm", "show", lunch["guid"])["status"] == "rejected",
    )
    stage.say("\n— Why?")
    stage.run("explain", lunch["guid"])
    stage.run("explain", "/ann/work/interview.ics")
    stage.check("the CRM does not know it any more", "no activity" in _error(stage, "crm", "show", interview))


def _error(stage: Stage, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "syncd.cli.command", *words],
        cwd=stage.folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "SYNCD_CONFIG": "syncd.yaml"},
    )  # fmt: skip
    return done.stderr


#: More than one batch of the engine, so that there is a middle to be killed in.
BULK = 180


def _crash(stage: Stage) -> None:
    stage.say(f"\n— {BULK} new events, and syncd is killed (kill -9) in the middle of its work.")
    begin = datetime.now(UTC) + timedelta(days=3)
    for n in range(BULK):
        at = begin + timedelta(hours=n)
        stage.server.put("ann", f"/ann/work/bulk{n}.ics", _bulk(n, at))
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd.cli.command", "sync"],
        cwd=stage.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "SYNCD_CONFIG": "syncd.yaml"},
    )  # fmt: skip
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end and _made(stage) == 0:
        time.sleep(0.005)
    process.kill()
    process.wait()
    stage.say(f"  killed when {_made(stage)} of {BULK} had arrived")
    stage.run("sync")
    found = stage.activities("Bulk visit")
    stage.check(f"all {BULK} are in the CRM, each once", len(found) == BULK == len({a["subject"] for a in found}))
    stage.check("and the next pass has nothing to do", not any(_writes(p) for p in stage.json("sync")["pairings"]))
    stage.run("status")


def _made(stage: Stage) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{stage.folder / 'crm.db'}?mode=ro", uri=True, timeout=10) as db:
        found = db.execute("SELECT count(*) FROM crm_activity WHERE subject LIKE 'Bulk visit%'").fetchone()
    db.close()
    return int(found[0])


def _bulk(number: int, at: datetime) -> str:
    return (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Phone//Calendar//EN\nBEGIN:VEVENT\n"
        f"UID:bulk-{number}@phone\nDTSTAMP:20261101T000000Z\nDTSTART:{at:%Y%m%dT%H%M%SZ}\nDURATION:PT1H\n"
        f"SUMMARY:Bulk visit {number}\nEND:VEVENT\nEND:VCALENDAR"
    )
