"""What one pass carries around: the pairing, the store, the moment, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from syncd.engine.digest import Digester
from syncd.engine.gate import Gate
from syncd.engine.pairing import Moment, Pairing, is_of_employee, item_feed
from syncd.engine.plan import HOLDERS, Decision
from syncd.model.record import Record
from syncd.ports import Transient
from syncd.store import Link, Row, Store, Transaction
from syncd.store.journal import note_crossing, note_decision

#: How many records in a row a server may not be ready for before it is left alone: of one, it may be the record.
IN_A_ROW = 3


@dataclass
class Report:
    """What a pass did, in numbers (the JSON output's shape: docs/reference/json.md)."""

    read: int = 0
    created_crm: int = 0
    created_groupware: int = 0
    updated_crm: int = 0
    updated_groupware: int = 0
    deleted_crm: int = 0
    deleted_groupware: int = 0
    linked: int = 0
    withheld: int = 0
    redacted: int = 0
    resting: int = 0
    parked: int = 0
    conflicts: int = 0
    held: int = 0
    #: Meetings with guests, and series with a private date, of which something waits until somebody changes it in the
    #: calendar.
    waiting: int = 0
    #: Pairings that have to make another pass before this one can go on with something.
    again: set[str] = field(default_factory=set)
    #: Messages that are none of the CRM's business, by the kind of mail they are.
    passed_over: dict[str, int] = field(default_factory=dict)

    def numbers(self) -> dict[str, int]:
        """Name -> count."""
        counts = {n: v for n, v in vars(self).items() if isinstance(v, int)}
        return counts | {f"passed_over_{kind}": n for kind, n in sorted(self.passed_over.items())}

    @property
    def writes(self) -> int:
        """How many records this pass wrote, on both sides."""
        return (
            self.created_crm
            + self.created_groupware
            + self.updated_crm
            + self.updated_groupware
            + self.deleted_crm
            + self.deleted_groupware
            + self.redacted
        )


@dataclass
class Context:
    """One pass over one pairing."""

    pairing: Pairing
    store: Store
    moment: Moment
    #: The key of all digests; lies outside the store.
    key: bytes
    #: Everyone who shares the CRM's feed, this pairing among them.
    everyone: Sequence[Pairing] = ()
    #: Compare everything, instead of what the feeds announce.
    full: bool = False
    report: Report = field(default_factory=Report)
    progress: Callable[[int], None] = lambda done: None
    #: An administrator let this many deletions through.
    approved: int = 0
    #: Units, in a row, for which a server was not ready; and whether it was for some.
    late: list[tuple[Any, Transient]] = field(default_factory=list)
    #: By ref, what is not asked for again in this pass.
    not_now: set[str] = field(default_factory=set)
    ready: bool = False
    #: In how many seconds the server wants to be asked again, as it said of some record.
    retry_after: float | None = None
    #: Who has asked that this calendar be read, before the pass began: setting -> pairing.
    asked: dict[str, str] = field(default_factory=dict)
    #: The CRM's feed was read a moment ago, in another pass: what it said is announced already.
    crm_just_read: bool = False
    #: Done in the transaction that ends the pass.
    at_end: Callable[[Transaction], None] = lambda tx: None
    #: Links whose write may or may not have arrived: nothing is planned for them before `recover` has
    #: asked, or our own write, read back, would look like a person's edit.
    unsure: set[int] = field(default_factory=set)
    #: Refs of items that a listing in this pass, which has come to its end, did not name.
    missing: set[str] = field(default_factory=set)
    #: Refs of linked items that the feed has named in this pass as there.
    listed: set[str] = field(default_factory=set)
    #: Links that went over to another item in this pass: whoever read them before reads them again.
    moved: set[int] = field(default_factory=set)

    #: The store's feeds were read by an earlier release: what it got wrong is mended where it can be seen.
    heal: bool = False
    #: Look at everything anew, whatever its version.
    anew: bool = False
    #: UID of our copy -> the activity that the CRM has announced (`newcomers.copied_of`); None before somebody asked.
    copies: dict[str, str] | None = None
    #: The single activities of series, for `moving.series_of`; None before somebody asked.
    series: dict[tuple[str, str], list[tuple[str, str]]] | None = None
    _gate: Gate | None = None

    def is_configured(self, pairing: str) -> bool:
        """False for a pairing that nobody reads (any more): what it was told last speaks for nobody."""
        return not self.everyone or any(p.id == pairing for p in (*self.everyone, self.pairing))

    def speaks(self, pairing: str) -> bool:
        """True for a pairing whose employee is configured: it is read, or will be under its account's other name."""
        return self.is_configured(pairing) or any(is_of_employee(pairing, p.employee.id) for p in self.everyone)

    @cached_property
    def former(self) -> frozenset[str]:
        """Pairings that were read and are not any more: their account has another name, or another employee."""
        begin = item_feed("")
        with self.store.reading() as tx:
            names = (feed.removeprefix(begin) for feed in tx.feed_mappings(begin))
            return frozenset(name for name in names if not self.is_configured(name))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """All addresses of all employees who share the CRM's feed."""
        return frozenset(a for p in (*self.everyone, self.pairing) for a in p.employee.addresses)

    @cached_property
    def siblings(self) -> frozenset[str]:
        """The other pairings of the same employee with items of the same kind, by id."""
        me, kind = self.pairing, self.pairing.lens.mapping.item
        same = [p for p in self.everyone if p.employee.id == me.employee.id and p.lens.mapping.item == kind]
        return frozenset(p.id for p in same) - {me.id}

    @property
    def activity(self) -> str:
        """The kind of activity that the pairing is about."""
        return self.pairing.lens.mapping.activity

    @property
    def items(self) -> Gate:
        """The pairing's items, behind the privacy gate."""
        if self._gate is None or not self._gate.guards(self.pairing.replica):
            self._gate = Gate(self.pairing.replica, self.pairing.privacy)
        return self._gate

    def responsible(self, organizer: str, role: str) -> str:
        """Whose a new activity is: the employee's in whose calendar it stands; but what was read from
        an attendee's copy is the organizer's, where that is one of ours (lesson 15)."""
        if role in ("stand-in", *HOLDERS):  # a sent mail is its author's, whoever reads it first
            for other in self.everyone:
                if organizer in other.employee.addresses:
                    return other.employee.addresses[0]
        return self.pairing.employee.addresses[0]

    def candidates(self, several: Sequence[Record]) -> list[list[Record]]:
        """For each of these activities-to-be those of the employee's in the CRM that may be the same (see
        `syncd.ports.Crm.candidates`), under whichever of the own addresses the employee takes part."""
        made: list[dict[str, Record]] = [{} for _ in several]
        for address in self.pairing.employee.addresses:
            for known, found in zip(made, self.pairing.crm.candidates(several, address), strict=True):
                known |= {record.ref: record for record in found}
        return [list(known.values()) for known in made]

    def of_colleagues(self, several: Sequence[Record]) -> list[list[Record]]:
        """For each of these items the activities of its UID that colleagues have who are invited too, or who organise
        it: made before the store was lost, when nobody had told the CRM that this employee takes part."""
        asked: dict[str, list[int]] = {}
        for number, record in enumerate(several):
            people = {record.owner, *record.guests, *(record.fields.get("attendees") or ())}
            for address in sorted(people & self.addresses - set(self.pairing.employee.addresses)) if record.uid else ():
                asked.setdefault(address, []).append(number)
        made: list[dict[str, Record]] = [{} for _ in several]
        for address, numbers in asked.items():
            uids = [several[number].uid for number in numbers]
            records = [Record("", "", self.pairing.lens.mapping.activity, {}, uid) for uid in uids]
            for number, uid, found in zip(numbers, uids, self.pairing.crm.candidates(records, address), strict=True):
                made[number] |= {c.ref: c for c in found if c.uid == uid}
        return [list(found.values()) for found in made]

    def digester(self, link: int) -> Digester:
        """Digests in the scope of a link."""
        return Digester(self.key, f"link {link}")

    def explain(self, tx: Transaction, link: Link, decision: Decision, **detail: Any) -> None:
        """Leaves the short record of a decision."""
        if decision.rest:
            detail["rests"] = decision.rest
        note_decision(
            tx,
            at=self.moment.text,
            pairing=self.pairing.id,
            link=link.id,
            row=link.activity,
            rule=decision.rule.value,
            detail={"role": link.role, **detail},
        )

    def crossed(self, tx: Transaction, link: Link, way: str, fields: Sequence[str], rule: str = "full") -> None:
        """Writes the ledger's line."""
        note_crossing(tx, at=self.moment.text, pairing=self.pairing.id, link=link.id, way=way, fields=fields, rule=rule)

    def doubt(self) -> None:
        """Something went wrong: takes note of the links whose intents are still open."""
        with self.store.reading() as tx:
            self.unsure |= {intent.link for intent in tx.intents(self.pairing.id)}

    def touch(self, tx: Transaction, link: Link, row: Row | None) -> None:
        """Both sides of the link are looked at again in the next settlement."""
        if link.item_ref is not None:
            tx.announce(link.pairing, "item", [link.item_ref])
        if row is not None and row.crm_ref is not None:
            tx.announce(link.pairing, "crm", [row.crm_ref])
