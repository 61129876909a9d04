"""Mail when things go wrong (M6, F1, F2, F4, F6), and as a service: what arrives is in the CRM at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.scenarios.conftest import ROOT
from tests.scenarios.mail import TODAY, MailDesk, Maker, message
from tests.scenarios.monsters import MEGABYTE, head, monsters
from tests.scenarios.test_service import service, until
from tests.servers.dovecot import Dovecot
from tests.servers.wire import wire

CORPUS = ROOT.parent / "shared" / "corpus" / "eml"


@pytest.mark.either
@pytest.mark.everywhere
def test_a_mail_stands_in_the_crm_seconds_after_it_arrives(desk_of: Maker) -> None:
    """IDLE: within five seconds, though the service asks once an hour."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Before"))
    with service(desk, interval=3600, quiet_interval=3600):
        until(lambda: crm_mails(desk))
        for subject in ("First", "Second"):
            began = time.monotonic()
            desk.deliver("ann", message(subject))
            until(lambda subject=subject: subject in {m["subject"] for m in crm_mails(desk)}, 15)  # type: ignore[misc]
            assert time.monotonic() - began < 5


def crm_mails(desk: MailDesk) -> list[dict[str, str]]:
    """The CRM's e-mails, asked in this process: a command takes half a second to start."""
    from syncd.crm.database import Crm

    crm = Crm.open(desk.database or f"sqlite:///{desk.folder / 'crm.db'}")
    try:
        return [{"subject": a.subject} for a in crm.search(viewer="ann", kinds=("e-mail",), limit=5000)]
    finally:
        crm.close()


@pytest.mark.either
@pytest.mark.long
def test_monsters_are_one_activity_or_one_parked_line(desk_of: Maker) -> None:
    """M6: bounded memory, and the rest goes on."""
    desk = desk_of("ann", unknown="unknown: skip => unknown: park")
    desk.deliver("ann", message("An ordinary one"))
    count = 1
    for _, mail in monsters():
        desk.drop("ann", mail)
        count += 1
    for file in sorted(CORPUS.glob("*/*")) if CORPUS.is_dir() else ():
        desk.drop("ann", file.read_bytes())
        count += 1
    result = desk.sync()["ann"]
    assert result["read"] >= count
    status = desk.run("status", "--json", status=(0, 1)).json
    parked = [p for pairing in status["pairings"] for p in pairing["parked"]]
    found = crm_mails(desk)
    assert "An ordinary one" in {m["subject"] for m in found}
    names = {m["subject"] for m in found}
    wanted = {name for name, _ in monsters()} - {"endless subject", "bad words"}
    assert wanted - names == set()
    reasons = {p["reason"] for p in parked}
    assert all(r.startswith(("none of its correspondents", "this is no message")) for r in reasons), reasons
    assert desk.sync()["ann"]["created"] == {"crm": 0, "groupware": 0}
    by_name = {m["subject"]: m for m in desk.mails()}
    assert by_name["nested"]["notes"] in ("", "deep words")
    assert by_name["only html"]["notes"] == "Hello"
    assert by_name["lying charset"]["notes"] == "Grüße"
    assert by_name["nul bytes"]["notes"].startswith("before")  # servers put something else there, or nothing
    assert "\0" not in by_name["nul bytes"]["notes"]
    assert by_name["file names"]["attachments"][0]["name"] == "passwd"
    assert by_name["message inside"]["notes"].strip() == "outer words"


def peak(desk: MailDesk) -> int:
    """Octets of memory that a pass holds at most."""
    code = (
        "import sys; from syncd.cli.command import run\n"
        "sys.argv = ['syncd', 'sync', '--json']\n"
        "try: run()\nexcept SystemExit: pass\n"
        "print('peak', open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return int(done.stderr.rpartition("peak ")[2]) * 1024


@pytest.mark.either
@pytest.mark.parametrize("content", ["text", "full"])
def test_a_message_of_fifty_megabytes_takes_little_memory(desk_of: Maker, content: str) -> None:
    """Less than three times the largest part that crosses; here 4 MB of text's limit, or a file of 9 MB."""
    desk = desk_of("ann", content=f"content: text                   # => content: {content}  #")
    desk.deliver("ann", message("Small one", files={"a.pdf": b"x" * 1000}))
    small = peak(desk)
    files = {"crosses.pdf": random.Random(1).randbytes(9 * MEGABYTE), "stays.pdf": bytes(30 * MEGABYTE)}
    large = message("Large one", "words\n" * 200_000, files=files)
    assert len(large) > 50 * MEGABYTE
    desk.drop("ann", large)
    grown = peak(desk) - small
    assert "Large one" in {m["subject"] for m in desk.mails()}
    largest = 9 * MEGABYTE if content == "full" else 512 * 1024
    noise = 2 * MEGABYTE  # what two equal runs differ by
    assert grown < 3 * largest + noise, grown / MEGABYTE


@pytest.mark.long
@pytest.mark.everywhere
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(desk_of: Maker) -> None:
    """F1: kill -9 again and again; nothing doubled, nothing lost, every mailbox as it was."""
    desk = desk_of("ann", "bob", back="  #write-back: {keyword: $SyncdLogged} =>   write-back: {keyword: $SyncdLogged}")
    both = [message(f"Shared {n}", to="ann@us.example, bob@us.example") for n in range(60)]
    for user in ("ann", "bob"):
        for mail in both:
            desk.deliver(user, mail)
        for n in range(60):
            desk.deliver(user, message(f"Of {user} {n}"))
    before = {user: desk.state(user) for user in ("ann", "bob")}
    dice = random.Random(20261126)
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-m", "syncd.cli.command", "sync"], cwd=desk.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(dice.uniform(0.3, 1.6))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    desk.sync()
    desk.sync()
    found = sorted(m["subject"] for m in crm_mails(desk))
    expected = [f"Shared {n}" for n in range(60)] + [f"Of {u} {n}" for u in ("ann", "bob") for n in range(60)]
    assert found == sorted(expected)
    desk.quiet()
    for user in ("ann", "bob"):
        after = {f: {u: set(x) - {b"$SyncdLogged"} for u, x in m.items()} for f, m in desk.state(user).items()}
        assert after == {f: {u: set(x) for u, x in m.items()} for f, m in before[user].items()}
        assert all(b"$SyncdLogged" in x for x in desk.state(user)["INBOX"].values())


@pytest.mark.either
def test_lines_that_end_hang_or_lie_stop_one_mailbox_and_lose_nothing(desk_of: Maker, mail_server: Dovecot) -> None:
    """F2: the line ends at any point, says garbage, or nothing: the next pass goes on where it can."""
    with wire(mail_server.port) as line:
        desk = desk_of("ann", port=line.port)
        for n in range(30):
            desk.deliver("ann", message(f"Mail {n}"))
        budget = [0]

        def ends(data: bytes) -> bytes:
            budget[0] -= len(data)
            if budget[0] < 0:
                raise ConnectionError
            return data

        line.said = ends
        for octets in (0, 40, 400, 900, 2000, 5000, 9000, 14000):
            budget[0] = octets
            assert desk.sync(status=3)["ann"]["outcome"] == "server not ready"
        for garbage in (
            b"* OK [CAPABILITY IMAP4rev1] hi\r\n\0\xff)))(((\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"* BYE overloaded\r\n",
        ):
            line.said = lambda data, garbage=garbage: garbage  # type: ignore[misc]
            assert desk.sync(status=3)["ann"]["outcome"] in ("server not ready", "server failed")
        line.said = bytes
        line.dead.set()
        began = time.monotonic()
        assert "does not answer" in desk.sync(status=3)["ann"]["error"]
        assert time.monotonic() - began < 30
        line.dead.clear()
        line.cut()
        desk.sync(status=0)
        assert len(crm_mails(desk)) == 30
        desk.quiet()


def test_lesson_7_a_message_whose_answer_was_lost_is_not_put_there_again(desk_of: Maker, mail_server: Dovecot) -> None:
    """The line ends after Sent has the message and before syncd hears of it."""
    with wire(mail_server.port) as line:
        desk = desk_of("ann", port=line.port, way="direction: to-crm => direction: both")
        desk.sync()
        for n in range(3):
            words = ("--direction", "out", "--from", f"{TODAY:%Y-%m-%d %H:%M}", "--participant", "kim@acme.example")
            desk.create("--subject", f"Answer {n}", *words, kind="e-mail")

        def lost(data: bytes) -> bytes:
            if b"APPENDUID" in data:
                raise ConnectionError
            return data

        line.said = lost
        desk.sync(status=3)
        line.said = bytes
        desk.sync()
        desk.quiet()
        assert len(desk.state("ann")["Sent"]) == 3
        assert len(crm_mails(desk)) == 3


@pytest.mark.either
@pytest.mark.everywhere
def test_one_mailbox_that_refuses_the_sign_in_stops_no_other(desk_of: Maker) -> None:
    desk = desk_of("ann", "bob")
    for user in ("ann", "bob"):
        desk.deliver(user, message(f"For {user}"))
    (desk.folder / "secrets" / "ann").write_text("wrong\n")
    found = desk.sync(status=3)
    assert (found["ann"]["outcome"], found["bob"]["outcome"]) == ("sign-in failed", "ok")
    assert {m["subject"] for m in crm_mails(desk)} == {"For bob"}


@pytest.mark.either
@pytest.mark.everywhere
def test_a_password_replaced_while_running_is_used(desk_of: Maker) -> None:
    """F6: the service signs in anew by itself."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Waiting"))
    secret = desk.folder / "secrets" / "ann"
    good = secret.read_text()
    secret.write_text("wrong\n")
    with service(desk, interval=1, quiet_interval=1) as running:
        until(lambda: running.said("pass failed"))
        secret.write_text(good)
        until(lambda: running.said("signing in anew"))
        until(lambda: crm_mails(desk))


def test_nothing_that_was_logged_goes_when_the_mailbox_is_empty_or_gone(desk_of: Maker) -> None:
    """F3: an emptied mailbox, and one put back from a backup."""
    desk = desk_of("ann")
    for n in range(30):
        desk.deliver("ann", message(f"Mail {n}"))
    desk.sync(status=0)
    with desk.mailbox("ann") as client:
        client.select_folder("INBOX")
        client.delete_messages(client.search())
        client.expunge()
    desk.quiet()
    assert len(crm_mails(desk)) == 30


@pytest.mark.either
def test_memory_of_monsters_is_bounded() -> None:
    """The readers hold no more than a few times what they are given."""
    import tracemalloc

    from syncd.mail.headers import read_headers

    section = head("x") + b"X-Many: value\r\n" * 2000 + b"To: " + b"a@b.example, " * 8000 + b"\r\n"
    tracemalloc.start()
    read_headers(section)
    _, top = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert top < 60 * len(section)
