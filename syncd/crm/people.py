"""Employees, accounts, contacts and business transactions: who and what activities refer to.

Functions on an open connection; `syncd.crm.database.Crm` gives them theirs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, insert, select, update

from syncd.crm import tables as t
from syncd.model.people import normal_address, normal_domain

TRANSACTION_TYPES = ("opportunity", "lead", "sales-order", "contract", "campaign-response")


@dataclass(frozen=True)
class Party:
    """Whom an address belongs to."""

    #: employee, contact or account.
    type: str
    id: str
    name: str
    #: The contact's account.
    account: str | None = None


@dataclass(frozen=True)
class Sheet:
    """What a CSV file of one kind must and may hold."""

    table: Table
    required: tuple[str, ...]
    optional: tuple[str, ...]
    #: Column -> the sheet whose ids it names.
    refers: Mapping[str, str]


SHEETS = {
    "employees": Sheet(t.employee, ("id", "name", "address"), (), {}),
    "accounts": Sheet(t.account, ("id", "name"), ("address", "phone", "city"), {}),
    "contacts": Sheet(t.contact, ("id", "name"), ("account", "address", "function", "phone"), {"account": "accounts"}),
    "transactions": Sheet(
        t.transaction,
        ("id", "type", "description"),
        ("account", "owner", "status", "starts", "ends"),
        {"account": "accounts", "owner": "employees"},
    ),
}


STATUS_COLUMNS = ("code", "name", "meaning")
MEANINGS = ("open", "completed", "rejected")


def read_statuses(path: Path) -> list[tuple[str, str, str]]:
    """A status list from a CSV file with the columns code, name, meaning. Raises BadSheet."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != STATUS_COLUMNS:
                raise BadSheet([f"{path}:1: the columns are: {', '.join(STATUS_COLUMNS)}"])
            rows = [(reader.line_num, tuple((row[c] or "").strip() for c in STATUS_COLUMNS)) for row in reader]
    except OSError as error:
        raise BadSheet([f"{path}:1: cannot be read: {error.strerror}"]) from None
    problems = [f"{path}:{n}: code and name must not be empty" for n, r in rows if not r[0] or not r[1]]
    problems += [f"{path}:{n}: meaning is one of: {', '.join(MEANINGS)}" for n, r in rows if r[2] not in MEANINGS]
    if "open" not in {r[2] for _, r in rows}:
        problems.append(f"{path}:1: no status means open")
    if problems:
        raise BadSheet(problems)
    return [(code, name, meaning) for _, (code, name, meaning) in rows]


class BadSheet(Exception):
    """Lines of a CSV file that cannot be used; each with file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def resolve(connection: Connection, addresses: Iterable[str]) -> dict[str, Party]:
    """Address, as it was given -> whom the CRM knows by it. An employee comes before a contact, a contact
    before an account."""
    given: dict[str, list[str]] = {}
    for address in addresses:
        given.setdefault(normal_address(address), []).append(address)
    wanted = sorted(given.keys() - {""})
    found: dict[str, Party] = {}

    def listed(table: Table) -> Sequence[RowMapping]:
        statement = select(table).where(table.c.address.in_(wanted)).order_by(table.c.id)
        return connection.execute(statement).mappings().all()

    for row in listed(t.account):
        found[row["address"]] = Party("account", row["id"], row["name"], row["id"])
    for row in listed(t.contact):
        found[row["address"]] = Party("contact", row["id"], row["name"], row["account"])
    for row in listed(t.employee):
        found[row["address"]] = Party("employee", row["id"], row["name"])
    return {address: party for normal, party in found.items() for address in given[normal]}


def accounts_at(connection: Connection, domains: Iterable[str]) -> dict[str, str]:
    """Domain -> the one account to which all addresses at it belong."""
    found: dict[str, str] = {}
    for domain in domains:
        end = f"@{normal_domain(domain)}"
        contacts = select(t.contact.c.account).where(
            t.contact.c.address.endswith(end, autoescape=True), t.contact.c.account.is_not(None)
        )
        accounts = select(t.account.c.id).where(t.account.c.address.endswith(end, autoescape=True))
        several = {r[0] for r in connection.execute(contacts.union(accounts).limit(2))}
        if len(several) == 1:
            found[domain] = several.pop()
    return found


def transactions(connection: Connection, numbers: Iterable[str]) -> dict[str, str]:
    """Number -> "type number" of those that there are."""
    wanted = sorted(set(numbers))
    columns = select(t.transaction.c.id, t.transaction.c.type).where(t.transaction.c.id.in_(wanted))
    return {r.id: f"{r.type} {r.id}" for r in connection.execute(columns)} if wanted else {}


def lead(connection: Connection, address: str, name: str, key: str) -> str:
    """A lead for somebody whom nobody knows, once for a key: "lead number"."""
    number = f"LEAD-{key[:12].upper()}"
    if connection.execute(select(t.transaction.c.id).where(t.transaction.c.id == number)).first() is None:
        description = f"{name} <{address}>" if name else address
        connection.execute(insert(t.transaction).values(id=number, type="lead", description=description))
    return f"lead {number}"


def import_csv(connection: Connection, kind: str, path: Path) -> tuple[int, int]:
    """Reads a CSV file with a header line; an id that exists is brought up to date.

    Returns (new, changed). Raises BadSheet with every bad line; nothing is taken then.
    """
    sheet = SHEETS[kind]
    columns = (*sheet.required, *sheet.optional)
    problems: list[str] = []
    rows: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            problems += [f"{path}:1: unknown column {c!r}" for c in header if c not in columns]
            problems += [f"{path}:1: column {c!r} is missing" for c in sheet.required if c not in header]
            known = {
                c: {r[0] for r in connection.execute(select(SHEETS[s].table.c.id))} for c, s in sheet.refers.items()
            }
            for values in reader if not problems else ():
                row = {k: (v or "").strip() for k, v in values.items() if k in columns}
                problems += [f"{path}:{reader.line_num}: {p}" for p in _faults(sheet, row, known)]
                rows.append(row)
    except UnicodeDecodeError:
        raise BadSheet([f"{path}:1: not UTF-8"]) from None
    except OSError as error:
        raise BadSheet([f"{path}:1: cannot be read: {error.strerror}"]) from None
    if problems:
        raise BadSheet(problems)
    return _keep(connection, sheet, rows)


def _faults(sheet: Sheet, row: dict[str, Any], known: Mapping[str, set[str]]) -> list[str]:
    found = [f"{c!r} is empty" for c in sheet.required if not row.get(c)]
    for column, ids in known.items():
        if row.get(column) and row[column] not in ids:
            found.append(f"{column} {row[column]!r} does not exist")
    if sheet.table is t.transaction and row.get("type") and row["type"] not in TRANSACTION_TYPES:
        found.append(f"type {row['type']!r} is none of {', '.join(TRANSACTION_TYPES)}")
    if "address" in row:
        row["address"] = normal_address(row["address"])
        if row["address"] and "@" not in row["address"]:
            found.append("address is no e-mail address")
    return found


def _keep(connection: Connection, sheet: Sheet, rows: list[dict[str, Any]]) -> tuple[int, int]:
    new = changed = 0
    for row in rows:
        values = {k: (v or None) if k in sheet.refers else v for k, v in row.items()}
        there = connection.execute(select(sheet.table).where(sheet.table.c.id == row["id"])).mappings().first()
        if there is None:
            connection.execute(insert(sheet.table).values(**values))
            new += 1
        elif any(there[k] != v for k, v in values.items()):
            connection.execute(update(sheet.table).where(sheet.table.c.id == row["id"]).values(**values))
            changed += 1
    if new or changed:
        _note_change(connection)
    return new, changed


def _note_change(connection: Connection) -> None:
    where = t.counter.c.name == "people"
    if connection.execute(update(t.counter).where(where).values(value=t.counter.c.value + 1)).rowcount == 0:
        connection.execute(insert(t.counter).values(name="people", value=1))


def version(connection: Connection) -> int:
    """Changes whenever somebody's data do."""
    return int(connection.execute(select(t.counter.c.value).where(t.counter.c.name == "people")).scalar() or 0)


def listing(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """All employees, accounts, contacts or transactions."""
    table = SHEETS[kind].table
    return [dict(r) for r in connection.execute(select(table).order_by(table.c.id)).mappings()]
