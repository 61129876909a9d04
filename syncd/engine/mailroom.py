"""A mailbox as the engine sees it: every message sorted before anything else looks at it.

In this order: what is excluded is blanked, and the engine never holds it; who is inside and who outside,
and which way it went; where it is filed; whether it is the CRM's business at all; and only then the parts
that may cross are asked for. So what does not cross is not even read (design §7; facts: mail). Each message
without a link is in one count: here, by the reason for which it does not cross, or in the engine's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncd.engine.announced import Announced
from syncd.engine.digest import uid_digest
from syncd.engine.filing import Filed, file_all
from syncd.engine.identity import GONE, Identities
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
    Gone,
    Page,
    Partial,
    PortError,
    Rejected,
    Replica,
    Unsupported,
    Written,
)
from syncd.privacy import blank, excluded, is_of
from syncd.store import Link, Row

if TYPE_CHECKING:
    from syncd.engine.context import Context

#: What is shown of a message that is none of the CRM's business.
_OUTSIDE = ("date", "sensitivity", "flagged")
_STRANGERS = "none of its correspondents is known to the CRM: add a contact there, or put it into a drop folder"
_NOT_SHOWN = "the server lists it and shows nothing of it"
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
        self._feed = Announced(ctx, real)
        self._identities = Identities(ctx, real.fetch, self._words)
        #: Message -> why it does not cross (a kind of mail, or a reason); each is counted once.
        self.passed: dict[str, str] = {}

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
        return self._feed.changes(cursor)

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
        counted = dict(self.passed), dict(self._ctx.report.passed_over)
        seen = self._sorted({found.ref: found})[found.ref]
        self.passed, self._ctx.report.passed_over = counted  # who asks for our own has read nothing
        return seen if isinstance(seen, Record) else None

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        found = self._sorted(self.real.fetch(refs))
        missing = [r for r, f in found.items() if isinstance(f, Gone)]
        linked = self._linked(missing) if missing else {}
        for ref in [r for r in missing if r not in linked]:
            if self._feed.still_there(ref):
                found[ref] = Rejected(_NOT_SHOWN)
            else:
                self._pass_over(ref, "gone")
        return found

    def _linked(self, refs: Iterable[str]) -> dict[str, list[Link]]:
        """Ref -> its links, of those that have any."""
        made: dict[str, list[Link]] = {}
        with self._ctx.store.reading() as tx:
            for link in tx.links_by_item(self._ctx.pairing.id, list(refs)):
                made.setdefault(link.item_ref or "", []).append(link)
        return made

    # -- sorting -----------------------------------------------------------------------------------------------

    def _sorted(self, found: Mapping[str, Record | PortError]) -> dict[str, Record | PortError]:
        made = dict(found)
        mail = {ref: r for ref, r in found.items() if isinstance(r, Record)}
        for ref, record in mail.items():
            if self._is_excluded(record):
                made[ref] = blank(record)
        blanks = [r for r in made.values() if isinstance(r, Record) and r.ref in mail and r is not mail[r.ref]]
        self._identities.detach(mail.values(), {r.ref for r in blanks})
        for ref, uid in self._identities.of_excluded(blanks).items():
            made[ref] = replace(_record(made[ref]), uid=uid)
        mail = {ref: r for ref, r in mail.items() if made[ref] is r}
        known = self._known({a for r in mail.values() for a in (*_people(r), r.owner) if a})
        outsiders = {ref: self._outsiders(r, known) for ref, r in mail.items()}
        filed = file_all(self._ctx, self._mail, list(mail.values()), known, outsiders)
        business: list[str] = []
        linked = self._linked(mail) if mail else {}
        for ref, record in mail.items():
            seen = self._placed(record, outsiders[ref], known, filed[ref])
            if isinstance(seen, Record):
                why = self._outside(seen)
                if ref not in linked and (why or self._makes_nothing(seen)):
                    self._pass_over(ref, why or self._makes_nothing(seen))
                if why:
                    seen = replace(seen, fields=_shown_outside(seen))
                else:
                    business.append(ref)
            made[ref] = seen
        for ref, completed in zip(business, self._completed([_record(made[ref]) for ref in business]), strict=True):
            made[ref] = completed
        late = [made[ref] for ref in business if self._is_excluded(made[ref])]  # an invitation says it inside
        for ref, uid in self._identities.of_excluded([blank(_record(r)) for r in late]).items():
            made[ref] = replace(blank(_record(made[ref])), uid=uid)
        excluded_now = {_record(r).ref for r in late}
        whole = [ref for ref in business if isinstance(made[ref], Record) and ref not in excluded_now]
        self._identified(made, whole, linked)
        return made

    def _is_excluded(self, found: Record | PortError) -> bool:
        rules = (self._mail, self._ctx.pairing.own)
        return isinstance(found, Record) and excluded(found, self._ctx.pairing.privacy, rules)

    def _identified(
        self, made: dict[str, Record | PortError], business: Sequence[str], linked: Mapping[str, Sequence[Link]]
    ) -> None:
        """Gives messages that may cross the identity by which they are known, and counts what the mailbox holds
        more than once."""
        uids = self._identities.of([_record(made[ref]) for ref in business], linked)
        seen: set[str] = set()
        for ref in sorted(business, key=lambda r: r not in linked):
            record = _record(made[ref])
            row = self._identities.row_of(record, uids[ref]) if uids[ref] and not record.key else None
            if ref not in linked and (uids[ref] in seen or (row is not None and self._held(row, record))):
                self._pass_over(ref, "copy")
            seen |= {uids[ref]} - {""}
            made[ref] = replace(record, uid=uids[ref])

    def _held(self, row: Row, record: Record) -> bool:
        """True when another copy in this mailbox speaks for the message."""
        with self._ctx.store.reading() as tx:
            links = [k for k in tx.links_of_rows(self._ctx.pairing.id, [row.id]) if k.rest not in GONE]
        others = [k for k in links if k.item_ref not in (None, record.ref) and not self._feed.gone(k.item_ref or "")]
        speaking = [k.item_ref or "" for k in others if "filed" not in record.traits or k.role == "filed"]
        if not speaking or not self._feed.anew:
            return bool(speaking)
        found = self.real.fetch(speaking)  # a listing does not tell what is gone, nor what stands there instead
        return any(not isinstance(f, Gone) and not _is_another(f, record) for f in found.values())

    def _words(self, record: Record) -> tuple[str, str] | None:
        """Subject and text, as far as they may cross; None of what is excluded."""
        if self._is_excluded(record):
            return None
        fields: Mapping[str, Value] = record.fields
        if "text" not in fields and "text" in self._wanted(record) and isinstance(self.real, Partial):
            (more,) = self.real.complete([record], frozenset({"text"}))
            if isinstance(more, PortError):
                return None
            fields = self._with(record, more)
        return str(fields.get("subject") or ""), str(fields.get("text") or "")

    def _known(self, addresses: set[str]) -> Mapping[str, Correspondent]:
        crm = self._ctx.pairing.crm
        if isinstance(crm, Filing):
            return crm.correspondents(addresses) if addresses else {}
        return {a: Correspondent(kind) for a, kind in crm.known(addresses).items()}

    def _inside(self, address: str, known: Mapping[str, Correspondent]) -> bool:
        if address in self._ctx.addresses or (address in known and known[address].kind == "employee"):
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

    def _outside(self, record: Record) -> str:
        """Why it may not cross: the kind of mail it is, or what leaves it out; "" when it may."""
        passed = sorted(self._never & record.traits)
        if passed:
            return passed[0]
        if not self._inside_window(record.fields):
            return "outside-window"
        return "" if self._crosses(record.fields) else "conditions"

    def _makes_nothing(self, record: Record) -> str:
        """Why nothing is made of it although it may cross; "" when something is."""
        mapping = self._ctx.pairing.lens.mapping
        if mapping.direction == "to-groupware":
            return "direction"
        return "unflagged" if mapping.activity == "task" and not record.fields.get("flagged") else ""

    def _pass_over(self, ref: str, why: str) -> None:
        """Counts it, once a pass (lesson 30)."""
        if ref not in self.passed:
            self.passed[ref] = why
            self._ctx.report.passed_over[why] = self._ctx.report.passed_over.get(why, 0) + 1

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
        if "encrypted" in record.traits:
            return frozenset()
        inside = {"invitation"} & record.traits  # it may say there that it is private
        if level == "headers-only":
            return frozenset(inside)
        mapped = {rule.item for rule in self._ctx.pairing.lens.rules.values()}
        wanted = mapped & {"text", "attachments", "invitation"}
        if "attachments" in wanted and level == "full" and "attachment" in record.traits:
            wanted = wanted - {"attachments"} | {"contents"}
        return frozenset(wanted - {"invitation"} | inside)

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


def _is_another(found: Record | PortError, record: Record) -> bool:
    return isinstance(found, Record) and bool(found.uid) and found.uid != record.uid


def _people(record: Record) -> Iterable[str]:
    people: People = record.fields.get("correspondents") or People()
    return people.ordered()


def _shown_outside(record: Record) -> dict[str, Value]:
    """Of what does not cross: what the conditions ask, no content."""
    return {n: v for n, v in record.fields.items() if n in (*_OUTSIDE, "traits", "folder", "direction")}


__all__ = ["Mailroom", "for_mail"]
