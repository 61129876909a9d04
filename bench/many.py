"""Ten thousand quiet pairings in one process: ``syncd run``, watched from outside.

Its CPU is what the kernel says of the process, its lateness what its own /metrics says: for how long
the pairing that is furthest behind has not agreed. It is looked at over one interval in which nothing
happens, after every pairing has had its first passes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bench.desk import configure
from syncd.cli.radicale import Server, free_port

#: Seconds within which each pairing is to be looked at.
INTERVAL = 60
#: Seconds after which the first passes must be over.
SETTLED = 600


@dataclass(frozen=True)
class Seen:
    """What was seen over one interval."""

    #: Seconds that the pairing furthest behind had not agreed, at worst.
    behind: float
    #: Processor cores in use.
    cores: float
    #: Bytes of resident memory at the end.
    memory: int
    passes: int


def watch(folder: Path, server: Server, pairings: int, events: int) -> Seen:
    """Runs the service over that many calendars, each with a few events. Raises RuntimeError when the
    first passes do not come to an end."""
    port = free_port()
    service = (
        f"service: {{interval: {INTERVAL}, quiet-interval: {INTERVAL}, workers: 4, per-server: 64, "
        f"listen: '127.0.0.1:{port}'}}"
    )
    configure(folder, server.url, [(f"u{n}", f"/u{n}/cal/") for n in range(pairings)], service)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "syncd.cli.command", "run"], cwd=folder, stderr=log)
    try:
        _until_settled(port, process, pairings * events)
        time.sleep(INTERVAL)
        before, began, passes, behind = _cpu(process.pid), time.monotonic(), _metrics(port)["passes"], 0.0
        while time.monotonic() - began < INTERVAL:
            time.sleep(2)
            behind = max(behind, _metrics(port)["behind"])
        seconds = time.monotonic() - began
        cores = (_cpu(process.pid) - before) / seconds
        return Seen(behind, cores, _memory(process.pid), int(_metrics(port)["passes"] - passes))
    finally:
        process.terminate()
        process.wait(60)


def _until_settled(port: int, process: subprocess.Popen[bytes], links: int) -> None:
    end = time.monotonic() + SETTLED
    while time.monotonic() < end and process.poll() is None:
        time.sleep(1)
        try:
            if _metrics(port)["made"] >= links:
                return
        except OSError:
            continue
    raise RuntimeError("the first passes did not come to an end")


def _metrics(port: int) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, _, value in lines}
    return {
        "passes": sum(v for n, v in values.items() if n.startswith("syncd_passes_total")),
        "made": values.get('syncd_records_total{op="created",side="crm"}', 0.0),
        "behind": values["syncd_oldest_agreement_seconds"],
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
