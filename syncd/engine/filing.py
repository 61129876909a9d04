"""Where a message is filed: at which account, contact and business transactions.

In this order (the first that knows, decides): the drop folder in which a person put it; the number of a
transaction in its subject; the thread, as it is filed in the CRM now, so that a correction made there by
hand is followed by what comes later; the addresses of its correspondents; their domain, unless anybody
can have an address there. All of a batch is looked up at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from syncd.engine.digest import uid_digest
from syncd.mail.providers import PUBLIC
from syncd.mail.subject import bare_subject, is_reply
from syncd.mapping.mail import Mail
from syncd.model.names import one_form
from syncd.model.record import CONVERSATION, Record
from syncd.ports import Correspondent, Filing
from syncd.privacy import is_of

if TYPE_CHECKING:
    from syncd.engine.context import Context


@dataclass(frozen=True)
class Filed:
    """Where one message belongs."""

    account: str = ""
    contact: str = ""
    #: "type number" of each.
    transactions: tuple[str, ...] = ()
    #: A drop folder said so.
    folder: bool = False
    #: Nobody and nothing of it is known, but for what the drop folder says.
    unknown: bool = False


def file_all(
    ctx: Context,
    mail: Mail,
    records: Sequence[Record],
    known: Mapping[str, Correspondent],
    outsiders: Mapping[str, Sequence[str]],
) -> dict[str, Filed]:
    """Ref -> where it belongs. `outsiders`: ref -> its correspondents who are not employees."""
    crm = ctx.pairing.crm
    if not isinstance(crm, Filing) or not records:
        nobody = {r.ref: not any(a in known for a in outsiders[r.ref]) for r in records}
        return {ref: Filed(unknown=unknown) for ref, unknown in nobody.items()}
    numbers = {r.ref: _numbers(r, mail) for r in records}
    places = {one_form(name): place for name, place in mail.drop_folders.items()}
    asked = {n for several in numbers.values() for n in several} | {p.transaction for p in places.values()} - {""}
    transactions = crm.transactions(asked) if asked else {}
    by_domain = _by_domain(crm, mail, outsiders, known) if mail.by_domain else {}
    threads = _threads(ctx, records, outsiders)
    made: dict[str, Filed] = {}
    batch: dict[str, Filed] = {}
    for record in sorted(records, key=lambda r: (str(r.fields["date"].start), r.ref)):
        people = outsiders[record.ref]
        found = _by_address(people, known, by_domain)
        earlier = _earlier(record, threads, batch, ctx, people)
        if earlier is not None:
            contact = found.contact if found.account == earlier.account else ""
            found = replace(earlier, contact=contact or earlier.contact, unknown=False, folder=False)
        said = tuple(transactions[n] for n in numbers[record.ref] if n in transactions)
        if said:
            found = replace(found, transactions=tuple(dict.fromkeys((*said, *found.transactions))), unknown=False)
        place = places.get(one_form(record.folder))
        if place is not None:
            there = transactions.get(place.transaction, "")
            extra = (there,) if there else ()
            found = replace(
                found,
                account=place.account or found.account,
                contact=found.contact if not place.account or place.account == found.account else "",
                transactions=tuple(dict.fromkeys((*extra, *found.transactions))),
                folder=True,
            )
        made[record.ref] = found
        if not found.unknown or found.folder:
            for digest in digests(ctx, record, people):
                batch.setdefault(digest, found)
    return made


def digests(ctx: Context, record: Record, outsiders: Sequence[str]) -> list[str]:
    """Under what later messages of the thread find this one: its Message-ID; and, as a last resort, its
    subject with its correspondents."""
    known = [*record.thread[:1], *(mid for mid in record.thread[1:] if mid.startswith(CONVERSATION))]
    found = [uid_digest(ctx.key, mid, "thread") for mid in known if mid]
    subject = bare_subject(str(record.fields.get("subject") or ""))
    if subject and outsiders:
        found.append(uid_digest(ctx.key, f"{subject}\0{' '.join(sorted(outsiders))}", "subject"))
    return found


def _asked(ctx: Context, record: Record, outsiders: Sequence[str]) -> list[str]:
    """Under what this message looks for its thread: the first message of it before the others."""
    found = [uid_digest(ctx.key, mid, "thread") for mid in record.thread[1:] if mid]
    answers = any(mid and not mid.startswith(CONVERSATION) for mid in record.thread[1:])
    subject = str(record.fields.get("subject") or "")
    if not answers and is_reply(subject) and outsiders:
        key = f"{bare_subject(subject)}\0{' '.join(sorted(outsiders))}"
        found.append(uid_digest(ctx.key, key, "subject"))
    return found


def _threads(ctx: Context, records: Sequence[Record], outsiders: Mapping[str, Sequence[str]]) -> dict[str, Filed]:
    """Message digest -> where its activity is filed in the CRM now."""
    wanted = {d for r in records for d in _asked(ctx, r, outsiders[r.ref])}
    with ctx.store.reading() as tx:
        known = tx.threads(ctx.pairing.crm_name, sorted(wanted)) if wanted else {}
        rows = tx.rows(list(set(known.values()))) if known else {}
    refs = {row.id: row.crm_ref for row in rows.values() if row.crm_ref is not None}
    found = ctx.pairing.crm.fetch(sorted(set(refs.values()))) if refs else {}
    made = {}
    for digest, activity in known.items():
        record = found.get(refs.get(activity, ""))
        if isinstance(record, Record):
            fields = record.fields
            made[digest] = Filed(
                str(fields.get("account") or ""),
                str(fields.get("contact") or ""),
                tuple(sorted(fields.get("transactions") or ())),
            )
    return made


def _earlier(
    record: Record, threads: Mapping[str, Filed], batch: Mapping[str, Filed], ctx: Context, people: Sequence[str]
) -> Filed | None:
    for digest in _asked(ctx, record, people):
        found = threads.get(digest) or batch.get(digest)
        if found is not None and (found.account or found.contact or found.transactions):
            return found
    return None


def _by_address(people: Sequence[str], known: Mapping[str, Correspondent], by_domain: Mapping[str, str]) -> Filed:
    """A contact before an account, an address before a domain, the author before the others."""
    for kind in ("contact", "account"):
        for address in people:
            party = known.get(address)
            if party is not None and party.kind == kind:
                return Filed(party.account, party.contact)
    for address in people:
        account = by_domain.get(_domain(address))
        if account:
            return Filed(account)
    return Filed(unknown=True)


def _by_domain(
    crm: Filing, mail: Mail, outsiders: Mapping[str, Sequence[str]], known: Mapping[str, Correspondent]
) -> Mapping[str, str]:
    strangers = {a for people in outsiders.values() for a in people if a not in known}
    domains = {_domain(a) for a in strangers}
    own = {d for d in domains if not _public(d, mail.public_providers)}
    return crm.accounts_at(own) if own else {}


def _public(domain: str, more: Iterable[str]) -> bool:
    """True for a provider at which anybody has an address (lesson 29)."""
    return domain in PUBLIC or any(is_of(f"x@{domain}", party) for party in more)


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _numbers(record: Record, mail: Mail) -> list[str]:
    """The reference numbers in the subject."""
    subject = str(record.fields.get("subject") or "")
    return list(dict.fromkeys(n for pattern in mail.references for n in re.findall(pattern, subject)))
