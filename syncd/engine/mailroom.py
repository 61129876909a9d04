"""A mailbox as the engine sees it: every message sorted before anything else looks at it.

In this order: what is excluded is blanked, and the engine never holds it; who is inside and who outside,
and which way it went; where it is filed; whether it is the CRM's business at all; and only then the parts
that may cross are asked for. So what does not cross is not even read (design §7; facts: mail).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncd.engine.digest import uid_digest
from syncd.engine.filing import Filed, file_all
from syncd.engine.look import within
from syncd.engine.roles import OVERRULED
from syncd.mail.text import without_history
from syncd.mapping.conditions import taken
from syncd.mapping.mail import Mail, passed_over, strangers
from syncd.model.fields import Fields, Value
from syncd.model.people import People
from syncd.model.record import UNREAD, Record
from syncd.ports import (
    Capabilities,
    Correspondent,
    Filing,
    Page,
    Partial,
    PortError,
    Rejected,
    Replica,
    Unsupported,
    Written,
)
from syncd.privacy import blank, excluded, is_of

if TYPE_CHECKING:
    from syncd.engine.context import Context

#: What is shown of a message that is none of the CRM's business.
_OUTSIDE = ("date", "sensitivity", "flagged")
_STRANGERS = "none of its correspondents is known to the CRM: add a contact there, or put it into a drop folder"
_LEVELS = ("headers-only", "text", "full")


def for_mail(ctx: Context) -> None:
    """Puts the mailroom before a pairing of messages."""
    if "message" in ctx.pairing.replica.capabilities.kinds and not isinstance(ctx.pairing.replica, Mailroom):
        ctx.pairing = replace(ctx.pairing, replica=Mailroom(ctx, ctx.pairing.replica))


class Mailroom:
    """The replica behind it, with its messages sorted. Lives for one pass."""

    def __init__(self, ctx: Context, real: Replica) -> None:
        self.real = real
        self._ctx = ctx
        self._own = {a for p in (*ctx.everyone, ctx.pairing) for a in p.employee.addresses}

    @property
    def _mail(self) -> Mail:
        return self._ctx.pairing.lens.mapping.mail

    @property
    def _never(self) -> frozenset[str]:
        return passed_over(self._mail, self._ctx.pairing.lens.mapping.activity)

    @property
    def _strangers(self) -> str:
        return strangers(self._mail, self._ctx.pairing.lens.mapping.activity)

    @property
    def capabilities(self) -> Capabilities:
        return self.real.capabilities

    @property
    def requests(self) -> int:
        return self.real.requests

    def changes(self, cursor: str) -> Iterator[Page]:
        return self.real.changes(cursor)

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        return self.real.create(fields, key, kind=kind, uid=uid, owner=owner)

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        return self.real.update(record, changes, tell=tell)

    def delete(self, record: Record, *, tell: bool = False) -> None:
        self.real.delete(record, tell=tell)

    def find(self, key: str, uid: str) -> Record | None:
        found = self.real.find(key, uid)
        if found is None:
            return None
        seen = self._sorted({found.ref: found})[found.ref]
        return seen if isinstance(seen, Record) else None

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        return self._sorted(self.real.fetch(refs))

    # -- sorting -----------------------------------------------------------------------------------------------

    def _sorted(self, found: Mapping[str, Record | PortError]) -> dict[str, Record | PortError]:
        made = dict(found)
        mail = {ref: r for ref, r in found.items() if isinstance(r, Record)}
        rules = (self._mail, self._ctx.pairing.own)
        for ref, record in mail.items():
            if excluded(record, self._ctx.pairing.lens.mapping.privacy, rules):
                made[ref] = blank(record)
        mail = {ref: r for ref, r in mail.items() if made[ref] is r}
        known = self._known({a for r in mail.values() for a in (*_people(r), r.owner) if a})
        outsiders = {ref: self._outsiders(r, known) for ref, r in mail.items()}
        filed = file_all(self._ctx, self._mail, list(mail.values()), known, outsiders)
        business: list[str] = []
        for ref, record in mail.items():
            seen = self._placed(record, outsiders[ref], known, filed[ref])
            if isinstance(seen, Record) and self._business(seen):
                business.append(ref)
            elif isinstance(seen, Record):
                seen = replace(seen, fields=_shown_outside(seen))
            made[ref] = seen
        for ref, completed in zip(business, self._completed([_record(made[ref]) for ref in business]), strict=True):
            made[ref] = completed
        return made

    def _known(self, addresses: set[str]) -> Mapping[str, Correspondent]:
        crm = self._ctx.pairing.crm
        if isinstance(crm, Filing):
            return crm.correspondents(addresses) if addresses else {}
        return {a: Correspondent(kind) for a, kind in crm.known(addresses).items()}

    def _inside(self, address: str, known: Mapping[str, Correspondent]) -> bool:
        if address in self._own or (address in known and known[address].kind == "employee"):
            return True
        return any(is_of(address, domain) for domain in self._mail.internal_domains)

    def _outsiders(self, record: Record, known: Mapping[str, Correspondent]) -> list[str]:
        """Who of the correspondents is none of ours: the author first, then in the order of the headers."""
        people = [*([record.owner] if record.owner else ()), *_people(record)]
        return [a for a in dict.fromkeys(people) if not self._inside(a, known)]

    def _placed(
        self, record: Record, outsiders: Sequence[str], known: Mapping[str, Correspondent], filed: Filed
    ) -> Record | PortError:
        traits = set(record.traits)
        if not outsiders and UNREAD not in traits and (record.owner or _people(record)):
            traits.add("internal")
        if filed.unknown:
            traits.add("unknown")
        if filed.folder:
            if traits & OVERRULED & self._never:
                traits.add("filed")
            traits -= OVERRULED
        fields: dict[str, Value] = {
            **record.fields,
            "direction": "out" if record.owner and self._inside(record.owner, known) else "in",
            "account": filed.account,
            "contact": filed.contact,
            "transactions": frozenset(filed.transactions),
            "traits": frozenset(traits),
            "folder": record.folder,
            "outsiders": tuple(outsiders),
        }
        if "unknown" in traits and self._strangers in ("park", "lead"):
            traits.discard("unknown")
            known_to_be = {**fields, "traits": frozenset(traits)}
            if not outsiders or not self._crosses(known_to_be):  # nobody is asked about what would not cross
                traits.add("unknown")
            elif self._strangers == "park":
                return Rejected(_STRANGERS)
            else:
                fields = {**known_to_be, "transactions": frozenset({self._lead(record, outsiders[0])})}
        return replace(record, fields=fields, traits=frozenset(traits))

    def _crosses(self, fields: Fields) -> bool:
        return taken(self._ctx.pairing.lens.mapping, fields, {}) and self._inside_window(fields)

    def _lead(self, record: Record, stranger: str) -> str:
        """The lead of somebody whom the CRM does not know."""
        crm = self._ctx.pairing.crm
        if not isinstance(crm, Filing):
            raise Unsupported("this CRM takes no leads from mail: set unknown to skip or park")
        people: People = record.fields.get("correspondents") or People()
        name = people[stranger].name if stranger in people else ""
        return crm.lead(stranger, name, uid_digest(self._ctx.key, stranger, "lead"))

    def _inside_window(self, fields: Fields) -> bool:
        return within(self._ctx, {"time": fields["date"]})

    def _business(self, record: Record) -> bool:
        """True when it may cross; what is passed over is counted by its kind (lesson 30)."""
        passed = sorted(self._never & record.traits)
        if passed:
            self._ctx.report.passed_over[passed[0]] = self._ctx.report.passed_over.get(passed[0], 0) + 1
        return self._crosses(record.fields)

    # -- reading what may cross ----------------------------------------------------------------------------------

    def _completed(self, records: Sequence[Record]) -> Sequence[Record | PortError]:
        wanted = [self._wanted(r) for r in records]
        made: list[Record | PortError] = list(records)
        for want in sorted(set(wanted), key=sorted):
            if not want or not isinstance(self.real, Partial):
                continue
            places = [at for at, w in enumerate(wanted) if w == want]
            parts = self.real.complete([records[at] for at in places], want)
            for at, more in zip(places, parts, strict=True):
                record = records[at]
                made[at] = more if isinstance(more, PortError) else replace(record, fields=self._with(record, more))
        return made

    def _wanted(self, record: Record) -> frozenset[str]:
        """Which parts may cross: as the mapping and the employee say, and of encrypted mail none."""
        level = min(self._mail.content, self._ctx.pairing.own.content, key=_LEVELS.index)
        if level == "headers-only" or "encrypted" in record.traits:
            return frozenset()
        mapped = {rule.item for rule in self._ctx.pairing.lens.rules.values()}
        wanted = mapped & {"text", "attachments", "invitation"}
        if "attachments" in wanted and level == "full" and "attachment" in record.traits:
            wanted = wanted - {"attachments"} | {"contents"}
        if "invitation" not in record.traits:
            wanted -= {"invitation"}
        return frozenset(wanted)

    def _with(self, record: Record, more: Fields) -> dict[str, Any]:
        fields = {**record.fields, **more}
        text = self._mail.text
        if "text" in more:
            quotes, signature = text.quotes == "cut", text.signature == "cut"
            fields["text"] = without_history(str(more["text"]), quotes=quotes, signature=signature)
        return fields


def _record(found: Record | PortError) -> Record:
    assert isinstance(found, Record)
    return found


def _people(record: Record) -> Iterable[str]:
    people: People = record.fields.get("correspondents") or People()
    return people.ordered()


def _shown_outside(record: Record) -> dict[str, Value]:
    """Of what does not cross: what the conditions ask, no content."""
    return {n: v for n, v in record.fields.items() if n in (*_OUTSIDE, "traits", "folder", "direction")}


__all__ = ["Mailroom", "for_mail"]
