"""Leases with fencing numbers: one worker at a time on a pairing, and none that was thought dead.

A lease is taken for a while and renewed; when its time is over, or its process is known to be gone,
another may take it, under the next number. Every transaction of the holder checks its number, so a
worker that was paused meanwhile writes nothing into the store, and journals no further write.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import bindparam, select, update

from syncd.store import tables as t
from syncd.store.transaction import Transaction

#: How long a lease holds without being renewed.
TERM = timedelta(minutes=5)


class Fenced(Exception):
    """The lease was lost: another worker has taken over."""


@dataclass(frozen=True)
class Lease:
    """Held by this worker, under this number."""

    name: str
    number: int


def lease_name(pairing: str) -> str:
    """The name of a pairing's lease."""
    return f"pairing {pairing}"


@cache
def this_process() -> str:
    """host:process:start, by which another process on the same host can tell whether we live."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(process: int) -> str:
    """When a process began, in clock ticks since the machine did; "" when there is none."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return text.rsplit(")", 1)[-1].split()[19]


def _gone(holder: str) -> bool:
    """True when the holder was a process of this host, and is no more."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    process, started = rest, holder.rpartition(":")[2]
    if host != socket.gethostname() or not process.isdigit() or not Path("/proc/self/stat").exists():
        return False
    return _started(int(process)) != started


def take(tx: Transaction, name: str, holder: str, now: datetime) -> Lease | str:
    """The lease; or who holds it."""
    there = tx.connection.execute(select(t.lease).where(t.lease.c.name == name).with_for_update()).mappings().first()
    number = 1
    if there is not None:
        number = there["number"] + 1
        mine = there["holder"] in ("", holder)
        if not mine and there["until"] > _text(now) and not _gone(there["holder"]):
            return str(there["holder"])
    tx.upsert(t.lease, [{"name": name, "number": number, "holder": holder, "until": _text(now + TERM)}])
    return Lease(name, number)


def renew(tx: Transaction, lease: Lease, now: datetime) -> None:
    """Holds it for another term."""
    where = (t.lease.c.name == lease.name) & (t.lease.c.number == lease.number)
    tx.connection.execute(update(t.lease).where(where).values(until=_text(now + TERM)))


def give_back(tx: Transaction, lease: Lease) -> None:
    """Done: whoever comes next need not wait."""
    where = (t.lease.c.name == lease.name) & (t.lease.c.number == lease.number)
    tx.connection.execute(update(t.lease).where(where).values(holder="", until=""))


_NUMBER = select(t.lease.c.number).where(t.lease.c.name == bindparam("name")).with_for_update(read=True)


def check(tx: Transaction, lease: Lease) -> None:
    """Raises Fenced when another has the lease; holds off whoever would take it until the commit."""
    if tx.connection.execute(_NUMBER, {"name": lease.name}).scalar() != lease.number:
        raise Fenced(f"another worker has taken over {lease.name}")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
