"""The service as IT runs it: `syncd run`, signals, the service manager's socket, /health and /metrics
(scenarios B4, F2, F6; lesson 19)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.scenarios.conftest import MONDAY, Desk
from tests.servers.proxy import Verbatim, proxy

MakeDesk = Callable[..., Desk]


@dataclass
class Running:
    """A service at work in a desk's folder."""

    desk: Desk
    process: subprocess.Popen[bytes]

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        text = (self.desk.folder / "service.log").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Lines about that."""
        return [line for line in self.lines() if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        """Asks it over HTTP."""
        port = int(self.said("running")[0]["health"].split()[-1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Waits for it, and no longer than that."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@contextmanager
def service(desk: Desk, *words: str, **settings: object) -> Iterator[Running]:
    """`syncd run`, ended by SIGTERM."""
    set_service(desk, **settings)
    with (desk.folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncd.cli.command", "run", "--json-logs", "--verbose"],
            cwd=desk.folder, stdout=log, stderr=log, env={**os.environ, **dict(w.split("=", 1) for w in words)},
        )  # fmt: skip
        running = Running(desk, process)
        try:
            until(lambda: process.poll() is not None or running.said("running"))
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert status == 0, (desk.folder / "service.log").read_text()


def set_service(desk: Desk, **settings: object) -> None:
    given = {"interval": 1, "quiet-interval": 1, "workers": 2, "listen": "127.0.0.1:0", **settings}
    file = desk.folder / "syncd.yaml"
    head = file.read_text().split("service:")[0]
    file.write_text(head + f"service: {json.dumps({k.replace('_', '-'): v for k, v in given.items()})}\n")


def test_b4_health_goes_red_when_a_pairing_is_late_and_green_when_it_recovers(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    down: list[bool] = []

    def rule(*_: object) -> tuple[int, dict[str, str], bytes] | None:
        return (503, {"Retry-After": "1"}, b"") if down else None

    desk.put("ann", "e", "SUMMARY:Xylophone")
    with proxy(desk.server, rule) as server:
        desk.through(server)
        with service(desk, late=3) as running:
            until(lambda: running.get("/health")[0] == 200 and desk.activities())
            down.append(True)
            status, text = until(lambda: (lambda found: found if found[0] == 503 else None)(running.get("/health")))
            told = json.loads(text)
            assert (told["status"], told["late"], told["which"][0]["pairing"]) == ("red", 1, "ann/cal")
            assert "503" in told["which"][0]["error"]
            assert desk.run("status", "--json").json["pairings"][0]["outcome"] == "server not ready"
            down.clear()
            until(lambda: running.get("/health")[0] == 200)
            metrics = running.get("/metrics")[1]
            for line in ('syncd_passes_total{outcome="ok"}', 'syncd_passes_total{outcome="server-not-ready"}',
                         'syncd_records_total{op="created",side="crm"} 1.0', "syncd_pairings 1.0",
                         "syncd_pairings_late 0.0", "syncd_parked 0.0"):  # fmt: skip
                assert line in metrics, line
            assert running.get("/elsewhere")[0] == 404
            assert "Xylophone" not in metrics + text
    assert status == 503


def test_f2_a_server_that_says_when_to_come_back_is_left_alone_until_then(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    asked: list[float] = []

    def rule(_method: str, path: str, *_: object) -> tuple[int, dict[str, str], bytes] | None:
        if not path.startswith("/ann/"):
            return None
        asked.append(time.monotonic())
        return 429, {"Retry-After": "4"}, b""

    desk.put("bob", "e", "SUMMARY:Bob goes on")
    with proxy(desk.server, rule) as server:
        desk.through(server)
        with service(desk):
            until(lambda: desk.activities(as_="bob"))
            until(lambda: len(asked) > 1)
    assert asked[1] - asked[0] >= 3.9


def test_f6_lesson_19_a_replaced_password_is_used_without_a_restart(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    secret = desk.folder / "secrets" / "ann"
    secret.write_text("wrong\n")
    desk.put("ann", "e", "SUMMARY:After all")
    tries: list[str] = []

    def rule(_m: str, _p: str, headers: dict[str, str], _b: bytes) -> None:
        tries.append(headers.get("Authorization", ""))

    with proxy(desk.server, rule) as server:
        desk.through(server)
        with service(desk) as running:
            until(lambda: running.said("pass failed"))
            assert running.said("pass failed")[0]["outcome"] == "sign-in failed"
            before = len(tries)
            time.sleep(2.5)
            assert len(tries) == before  # an account is not locked by trying again and again
            secret.write_text("ann\n")
            until(desk.activities)
            assert running.said("signing in anew")
    assert "wrong" not in (desk.folder / "service.log").read_text()


def test_f6_a_bad_edit_is_refused_and_the_old_configuration_stays(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", window="past: 30d => past: 31d")
    good, mapping = (desk.folder / "syncd.yaml"), desk.folder / "own.yaml"
    desk.put("ann", "e1", "SUMMARY:First")
    with service(desk) as running:
        until(lambda: len(desk.activities()) == 1)
        text = good.read_text()
        good.write_text(text.replace("employees:", "employes:"))
        running.process.send_signal(signal.SIGHUP)
        refused = until(lambda: running.said("configuration refused; the old one stays"))
        assert "syncd.yaml:" in refused[0]["fault"] and "employees" in refused[0]["fault"]
        desk_text, _ = good.read_text(), good.write_text(text)
        assert desk_text != text
        words = mapping.read_text()
        mapping.write_text(words.replace("direction: both", "direction: sideways", 1))
        running.process.send_signal(signal.SIGHUP)
        refused = until(lambda: running.said("configuration refused; the old one stays")[1:])
        assert "own.yaml:" in refused[0]["fault"]
        mapping.write_text(words)
        desk.put("ann", "e2", "SUMMARY:Second")
        until(lambda: len(desk.activities()) == 2)


def test_f6_a_good_edit_takes_effect_while_running(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob", wanted="include: => include:")
    whole = (desk.folder / "syncd.yaml").read_text()
    alone = whole[: whole.index("  - id: bob")]
    (desk.folder / "syncd.yaml").write_text(alone)
    desk.put("bob", "e", "SUMMARY:Bob has come")
    with service(desk) as running:
        until(lambda: running.said("pass"))
        assert not desk.activities(as_="bob")
        (desk.folder / "syncd.yaml").write_text(whole)
        set_service(desk)
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.said("configuration reloaded"))
        until(lambda: desk.activities(as_="bob"))
        mapping = desk.folder / "own.yaml"
        mapping.write_text(mapping.read_text().replace("direction: both", "direction: to-groupware", 1))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.said("configuration reloaded")[1:])
        desk.put("bob", "e2", "SUMMARY:Stays there")
        before = len(running.said("pass"))
        until(lambda: len(running.said("pass")) > before + 4)
        assert len(desk.activities(as_="bob")) == 1


def test_one_secret_that_is_missing_stops_nobody_else(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    (desk.folder / "secrets" / "ann").unlink()
    desk.put("bob", "e", "SUMMARY:Bob goes on")
    found = desk.sync(status=3)
    assert (found["ann"]["outcome"], found["bob"]["outcome"]) == ("sign-in failed", "ok")
    assert "secrets/ann" in found["ann"]["error"]


def test_the_service_manager_hears_of_it(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk("ann")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(60)
        with service(desk, f"NOTIFY_SOCKET={tmp_path / 'n'}") as running:
            heard: list[str] = []
            while not any("WATCHDOG=1" in text for text in heard):
                heard.append(manager.recv(4096).decode())
            assert heard[0] == "READY=1"
            assert "1 pairings" in heard[-1]
            running.process.send_signal(signal.SIGHUP)
            while not any(text.startswith("RELOADING=1\nMONOTONIC_USEC=") for text in heard):
                heard.append(manager.recv(4096).decode())
            while heard[-1] != "READY=1":
                heard.append(manager.recv(4096).decode())
        while heard[-1] != "STOPPING=1":
            heard.append(manager.recv(4096).decode())


def test_nothing_that_a_full_run_writes_quotes_what_it_synced(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    desk.put("ann", "e", "SUMMARY:Xylophone", "DESCRIPTION:Marimba", "LOCATION:Vibraphone")
    held = Verbatim(desk.server)
    broken = ("SUMMARY:Glockenspiel", "DTSTART:nonsense\\, Celesta")
    rule = ("SUMMARY:Bassoon", "DTSTART:20261201T100000Z", "RRULE:FREQ=Timpani;BYTRIANGLE=1")
    for name, lines in (("broken", broken), ("rule", rule)):
        event = ("BEGIN:VEVENT", f"UID:{name}", *lines, "END:VEVENT")
        text = "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", *event, "END:VCALENDAR", ""))
        held.keep("ann", f"{desk.paths['ann']}{name}.ics", text)
    with proxy(desk.server, held.rule) as server:
        desk.through(server)
        with service(desk) as running:
            until(lambda: len(desk.activities()) == 1 and len(running.said("pass")) > 3)
            assert "syncd_parked 2.0" in running.get("/metrics")[1]
            desk.edit(desk.only()["guid"], "--subject", "Contrabassoon")
            until(lambda: any("Contrabassoon" in text for text in desk.calendar("ann")))
            pages = running.get("/metrics")[1] + running.get("/health")[1]
    written = (desk.folder / "service.log").read_text() + pages + desk.run("status", status=(0, 1)).out
    store = desk.store_bytes().decode("utf-8", "replace")
    for word in ("ylophone", "arimba", "ibraphone", "lockenspiel", "elesta", "impani", "TRIANGLE", "assoon", "onsense"):
        assert word.lower() not in written.lower(), word
        if word != "arimba":  # the words of a field that is merged as text are kept, as the mapping says
            assert word.lower() not in store.lower(), word


def test_an_address_that_is_taken_is_said_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk("ann")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        set_service(desk, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        told = desk.run("run", status=3)
    assert "cannot listen on 127.0.0.1" in told.err


def test_p5_who_is_forgotten_while_the_service_runs_is_left_alone_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk("ann", "bob")
    hers = desk.put("ann", "e1", "SUMMARY:Of Ann")

    def subjects() -> set[str]:
        return {a["subject"] for a in desk.activities(as_="bob")}

    with service(desk) as running:
        until(lambda: len(desk.activities()) == 1)
        until(lambda: desk.ref("ann", hers).encode() in desk.store_bytes())
        desk.run("forget", "ann", "--yes")
        until(lambda: running.said("forgotten"))
        desk.put("ann", "e2", "SUMMARY:Written afterwards")
        desk.put("bob", "b1", "SUMMARY:Of Bob")
        until(lambda: "Of Bob" in subjects())
        desk.put("bob", "b2", "SUMMARY:Of Bob too", start=MONDAY + timedelta(hours=2))
        until(lambda: "Of Bob too" in subjects())
        assert "Written afterwards" not in subjects()
        status, _ = running.get("/health")
        assert status == 200
    store = desk.store_bytes()
    assert b"ann" not in store.replace(b"planned", b"")
    assert desk.ref("ann", hers).encode() not in store
