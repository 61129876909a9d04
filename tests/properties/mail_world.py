"""Mailboxes, a CRM and people who move, mark, delete and correct, while passes crash at any call or commit.

One seed is one history. What must hold at its end: nothing twice, nothing of the CRM's business missing,
no word of what is excluded anywhere, corrections as they were made, and the next pass does nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.engine.context import Context, Report
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.mapping.lens import Lens
from syncd.mapping.loader import digest_of
from syncd.mapping.schema import MappingFile
from syncd.ports import AuthFailed, Gone, PortError, Rejected, Transient
from syncd.store.journal import parked
from tests.memory_mail import MemoryMailbox, fields, filing_crm, mailbox
from tests.properties.world import Crash
from tests.stores import close_all, new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VISIBLE, DROP, HOME = "INBOX", "CRM", "Home"
ACCOUNTS = ("acme", "beta", "other")


def lens() -> Lens:
    """A mapping with a drop folder, an excluded folder and keyword, and marks."""
    mapping = MappingFile.model_validate(
        {
            "version": 1, "item": "message", "activity": "e-mail", "direction": "to-crm",
            "mail": {
                "exclude-folders": [HOME], "exclude-keywords": ["Private"], "write-back": {"keyword": "$Logged"},
                "drop-folders": {DROP: {"account": "other", "transaction": "OPP-1"}},
            },
            "fields": {
                "subject": "subject", "notes": "text", "time": "date", "direction": "direction",
                "participants": "correspondents", "account": "account", "contact": "contact",
                "transactions": "transactions",
            },
            "conflicts": {"default": "crm"},
        }
    )  # fmt: skip
    return Lens(mapping, digest_of(mapping))


@dataclass
class Message:
    """What became of one message, for the oracles."""

    number: int
    known: bool
    word: str
    #: Box -> where its copy lies: ref, folder.
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    #: A copy was deleted, so that the CRM may keep what it has.
    deleted: bool = False
    #: Somebody deleted its log in the CRM.
    unlogged: bool = False
    #: And syncd knew that there was one: else nobody can tell it from one that was never made.
    refused: bool = False
    #: It was in the drop folder, or taken back, at some time.
    odd: bool = False
    corrected: str = ""

    @property
    def uid(self) -> str:
        return f"m{self.number}@mail"


class MailWorld:
    """One history."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = NOW
        self.armed = self.loud = False
        self.faults = self.rng.choice([0.0, 0.02, 0.06])
        self.crm = filing_crm(lambda: self.now)
        self.crm.gate = self._gate
        self.store = new_store(self._commit)
        self.messages: list[Message] = []
        self.moves = 0
        self.boxes: dict[str, MemoryMailbox] = {}
        self.pairings: list[Pairing] = []
        shared = lens()
        for name in ("ann", "bob")[: self.rng.choice([1, 2, 2])]:
            box = mailbox(name, lambda: self.now, excluded=frozenset({HOME}))
            box.gate = self._gate
            self.boxes[name] = box
            employee = Employee(name, (f"{name}@us.example",))
            self.pairings.append(Pairing(f"{name}/mail", employee, box, self.crm, "crm", shared))

    def _gate(self, when: str, call: str) -> None:
        if not self.armed or self.rng.random() >= self.faults:
            return
        faults: list[BaseException] = [Transient("lost"), Crash(), ZeroDivisionError()]
        if when == "before":
            faults += [AuthFailed("no"), *([Rejected("no")] if call in ("create", "update") else [])]
        raise self.rng.choice(faults)

    def _commit(self, moment: str) -> None:
        if self.armed and self.rng.random() < self.faults / 2:
            raise Crash

    # -- people ----------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        number = len(self.messages)
        made = Message(number, self.rng.random() < 0.7, f"word{number}x")
        sender = self.rng.choice(["kim@acme.example", "lee@beta.example"]) if made.known else "who@new.example"
        self.messages.append(made)
        self.say(f"deliver {made}")
        for name in self.rng.sample(list(self.boxes), self.rng.randint(1, len(self.boxes))):
            folder = self.rng.choice([VISIBLE, VISIBLE, VISIBLE, DROP, HOME])
            content = fields(f"Subject {made.word}", NOW - timedelta(hours=number % 40), sender=sender, text=made.word)
            self._put(made, name, folder, content, sender)

    def _put(self, message: Message, name: str, folder: str, content: dict[str, Any], sender: str) -> None:
        self.moves += 1
        ref = f"{folder}/{self.moves}"
        self.boxes[name].deliver(ref, content, folder=folder, uid=message.uid, owner=sender)
        message.places[name] = (ref, folder)
        self.say(f"  {message.uid} is at {name} {ref}")
        message.odd |= folder in (DROP, HOME)

    def _copy(self) -> tuple[Message, str] | None:
        found = [(m, name) for m in self.messages for name in m.places]
        return self.rng.choice(found) if found else None

    def move(self) -> None:
        chosen = self._copy()
        if chosen is None:
            return
        message, name = chosen
        ref, _ = message.places[name]
        record = self.boxes[name].records[ref]
        self.boxes[name].remove(ref)
        was = self.boxes[name].marked.pop(ref, False)  # flags go along with a message
        self._put(message, name, self.rng.choice([VISIBLE, VISIBLE, DROP, HOME]), dict(record.fields), record.owner)
        self.boxes[name].marked[message.places[name][0]] = was

    def mark_private(self) -> None:
        chosen = self._copy()
        if chosen is None:
            return
        message, name = chosen
        ref, _ = message.places[name]
        on = name not in message.private
        self.boxes[name].edit(ref, categories=frozenset({"Private"} if on else ()))
        message.private ^= {name}
        self.say(f"{message.uid} at {name} private {name in message.private}")
        message.odd = True

    def delete(self) -> None:
        chosen = self._copy()
        if chosen is None:
            return
        message, name = chosen
        self.boxes[name].remove(message.places.pop(name)[0])
        message.private.discard(name)
        message.deleted = True
        self.say(f"{message.uid} deleted at {name}")

    def correct(self) -> None:
        ref = self.rng.choice([*self.crm.records, ""])
        if ref:
            account = self.rng.choice(ACCOUNTS)
            self.crm.edit(ref, account=account)
            self._of(self.crm.records[ref].uid).corrected = account
            self.say(f"{self.crm.records[ref].uid} corrected to {account}")

    def unlog(self) -> None:
        ref = self.rng.choice([*self.crm.records, ""])
        if ref:
            message = self._of(self.crm.records[ref].uid)
            with self.store.reading() as tx:
                row = tx.rows_by_ref("crm", [ref]).get(ref)
                message.refused |= row is not None and not tx.open_creates(row.id)
            message.unlogged = True
            self.say(f"{self.crm.records[ref].uid} unlogged")
            self.crm.remove(ref)

    def say(self, text: str) -> None:
        """For whoever looks into a history."""
        if self.loud:
            print(text)

    def _of(self, uid: str) -> Message:
        return next(m for m in self.messages if m.uid == uid)

    # -- passes ------------------------------------------------------------------------------------------------

    def sync(self, pairing: Pairing, *, full: bool = False) -> Report | None:
        self.now += timedelta(seconds=30)
        self.say(f"pass {pairing.id} full {full} armed {self.armed}")
        ctx = Context(pairing, self.store, Moment(self.now), b"k" * 32, self.pairings, full=full, approved=10**6)
        try:
            return run_pass(ctx)
        except (Crash, ZeroDivisionError):
            return None
        except PortError as error:
            if isinstance(error, Gone):
                raise
            return None

    def step(self) -> None:
        acts = [self.deliver] * 4 + [self.move] * 3 + [self.mark_private, self.delete, self.correct, self.unlog]
        roll = self.rng.random()
        if roll < 0.6:
            self.rng.choice(acts)()
        elif roll < 0.63:
            self.rng.choice([self.crm, *self.boxes.values()]).expire()
        else:
            self.armed = True
            self.sync(self.rng.choice(self.pairings), full=self.rng.random() < 0.1)
            self.armed = False

    def run(self, steps: int) -> None:
        """The history, and what must hold at its end."""
        for _ in range(steps):
            self.step()
        for full in (False, False, True, False, False):  # what an unknown fault has parked is looked at every night
            for pairing in self.pairings:
                assert self.sync(pairing, full=full) is not None
        for pairing in self.pairings:
            report = self.sync(pairing, full=True)
            assert report is not None
            assert report.writes == 0, report
            assert report.parked == 0, self.why()
        self.check()

    def why(self) -> str:
        """What is parked, and why."""
        with self.store.reading() as tx:
            return repr([(p.pairing, p.ref, p.reason) for p in parked(tx)])

    def check(self) -> None:
        """The oracles."""
        uids = [r.uid for r in self.crm.records.values()]
        assert len(uids) == len(set(uids)), "nothing twice"
        by_uid = {r.uid: r for r in self.crm.records.values()}
        words = repr([(r.fields, self.crm.history.get(ref)) for ref, r in self.crm.records.items()])
        for message in self.messages:
            shown = {n for n, (_, folder) in message.places.items() if folder != HOME and n not in message.private}
            filed = any(message.places[n][1] == DROP for n in shown)
            if ((message.known and shown) or filed) and not message.unlogged:
                assert message.uid in by_uid, f"{message} is missing"
                assert message.word in str(by_uid[message.uid].fields["notes"])
            if message.refused:
                assert message.uid not in by_uid, f"the log of {message} came back"
            if not shown and not message.deleted:
                assert message.uid not in by_uid, f"{message} is excluded"
                assert message.word not in words
            if not message.known and not message.odd:
                assert message.uid not in by_uid, f"{message} is nobody's"
            if message.corrected and not message.odd and not message.unlogged and message.uid in by_uid:
                assert by_uid[message.uid].fields["account"] == message.corrected, message
            for name, (ref, _) in message.places.items():
                marked = self.boxes[name].marked.get(ref, False)
                if name in shown and message.known and message.uid in by_uid and not message.unlogged:
                    assert marked, f"{message} is not marked in {name}"


def run_mail_world(seed: int, steps: int) -> None:
    """One history from one seed."""
    try:
        MailWorld(seed).run(steps)
    finally:
        close_all()


__all__ = ["MailWorld", "replace", "run_mail_world"]
