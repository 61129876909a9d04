"""What monitoring asks: is any pairing late (/health), and how much happened (/metrics).

Ids, counts and times only; never what was synced.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from syncd import __version__
from syncd.service.runner import Result

#: No more late pairings than this are named in one answer; their number is always whole.
MOST_NAMED = 50


@dataclass
class Seen:
    """What the service knows of a pairing."""

    agreed: datetime
    outcome: str = "not run yet"
    error: str = ""
    parked: int = 0
    held: int = 0
    conflicts: int = 0


class Health:
    """Keeps count. Thread-safe."""

    def __init__(self, now: Callable[[], datetime], late_after: float) -> None:
        self.now = now
        self.late_after = late_after
        self._seen: dict[str, Seen] = {}
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self._passes = Counter("syncd_passes_total", "Passes, by outcome.", ["outcome"], registry=self.registry)
        self._seconds = Histogram("syncd_pass_seconds", "Wall seconds of a pass.", registry=self.registry)
        self._records = Counter(
            "syncd_records_total", "Records written, by what and where.", ["op", "side"], registry=self.registry
        )
        self._crossings = Counter(
            "syncd_private_total", "Items withheld or taken back as private.", ["what"], registry=self.registry
        )
        self._passed = Counter(
            "syncd_passed_over_total", "Messages that are none of the CRM's business, by kind.", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        self._requests = Counter("syncd_requests_total", "Requests to servers.", ["side"], registry=self.registry)
        gauges = {
            "pairings": "Pairings in the configuration.",
            "pairings_late": "Pairings that have not agreed for longer than the configuration allows.",
            "pairings_failing": "Pairings whose last pass did not come to its end.",
            "parked": "Links that cannot go on by themselves.",
            "held": "Deletions that wait for approval.",
            "conflicts": "Fields that wait for a person's word.",
            "oldest_agreement_seconds": "For how long the pairing that is furthest behind has not agreed.",
        }
        self._gauges = {n: Gauge(f"syncd_{n}", text, registry=self.registry) for n, text in gauges.items()}
        info = Gauge("syncd_info", "The release.", ["version"], registry=self.registry)
        info.labels(__version__).set(1)

    def set(self, pairings: Iterable[str]) -> None:
        """These pairings and no others; one that is new counts as agreed now."""
        with self._lock:
            self._seen = {p: self._seen.get(p) or Seen(self.now()) for p in pairings}

    def ended(self, result: Result, seconds: float) -> None:
        """A pass has ended."""
        self._passes.labels(result.outcome.replace(" ", "-")).inc()
        self._seconds.observe(seconds)
        numbers = result.report.numbers()
        for op in ("created", "updated", "deleted"):
            for side in ("crm", "groupware"):
                self._records.labels(op, side).inc(numbers[f"{op}_{side}"])
        for what in ("withheld", "redacted"):
            self._crossings.labels(what).inc(numbers[what])
        for kind, count in result.report.passed_over.items():
            self._passed.labels(kind).inc(count)
        for side, count in zip(("groupware", "crm"), result.requests, strict=True):
            self._requests.labels(side).inc(count)
        with self._lock:
            seen = self._seen.get(result.pairing)
            if seen is None:
                return
            seen.outcome, seen.error = result.outcome, result.error
            if result.outcome == "busy":
                return
            if not result.failed:
                seen.agreed = self.now()
                seen.parked, seen.held, seen.conflicts = (numbers[n] for n in ("parked", "held", "conflicts"))

    def report(self) -> dict[str, Any]:
        """The answer of /health (docs/reference/json.md)."""
        now = self.now()
        with self._lock:
            behind = [(p, s) for p, s in self._seen.items() if (now - s.agreed).total_seconds() > self.late_after]
            count = len(self._seen)
        behind.sort(key=lambda found: found[1].agreed)
        named = [
            {"pairing": p, "agreed": s.agreed.strftime("%Y-%m-%dT%H:%M:%SZ"), "outcome": s.outcome, "error": s.error}
            for p, s in behind[:MOST_NAMED]
        ]
        status = "red" if behind else "green"
        return {"version": 1, "status": status, "pairings": count, "late": len(behind), "which": named}

    def measure(self) -> None:
        """Brings the gauges up to date."""
        now = self.now()
        with self._lock:
            seen = list(self._seen.values())
        ages = [(now - s.agreed).total_seconds() for s in seen]
        values: dict[str, float] = {
            "pairings": len(seen),
            "pairings_late": sum(age > self.late_after for age in ages),
            "pairings_failing": sum(s.outcome not in ("ok", "held", "busy", "forgotten", "not run yet") for s in seen),
            "parked": sum(s.parked for s in seen),
            "held": sum(s.held for s in seen),
            "conflicts": sum(s.conflicts for s in seen),
            "oldest_agreement_seconds": max(ages, default=0.0),
        }
        for name, value in values.items():
            self._gauges[name].set(value)


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Who asks for health is no news."""


class Listener:
    """Answers /health and /metrics on an address of this machine."""

    def __init__(self, health: Health, address: str) -> None:
        """Raises OSError when the address cannot be had."""
        host, _, port = address.rpartition(":")
        metrics = make_wsgi_app(health.registry)

        def app(environ: dict[str, Any], respond: Callable[..., Any]) -> Any:
            if environ["PATH_INFO"] == "/metrics":
                health.measure()
                return metrics(environ, respond)
            if environ["PATH_INFO"] != "/health":
                respond("404 Not Found", [("Content-Type", "text/plain")])
                return [b"here are /health and /metrics\n"]
            report = health.report()
            status = "200 OK" if report["status"] == "green" else "503 Service Unavailable"
            respond(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
            return [json.dumps(report).encode() + b"\n"]

        self._server: WSGIServer = make_server(host.strip("[]") or "127.0.0.1", int(port), app, handler_class=_Silent)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives the address back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
