"""syncd crm: the built-in CRM from the command line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from syncd.cli.app import ConfigOption, JsonOption, app, configuration, fail, print_json

crm = typer.Typer(help="The built-in CRM: activities, people, transactions.", no_args_is_help=True)
app.add_typer(crm, name="crm")

As = Annotated[str, typer.Option("--as", envvar="SYNCD_EMPLOYEE", help="The employee (id) who acts.")]
Text = Annotated[str | None, typer.Option()]
Transactions = Annotated[
    list[str] | None, typer.Option(help="TYPE:NUMBER of a transaction to which it belongs; replaces the list")
]


def opened_crm(config: Path | None, acting: str = "") -> Any:
    """The CRM of the configuration; whoever acts must be one of its employees."""
    from syncd.crm.database import Crm
    from syncd.database import StoreFault
    from syncd.strict_yaml import nearest

    found = configuration(config)
    try:
        opened = Crm.open(found.url(found.settings.crm.url))
        known = [row["id"] for row in opened.listing("employees")] if acting else []
    except StoreFault as error:
        raise fail(str(error)) from None
    if acting and acting not in known:
        opened.close()
        raise fail(f'no employee "{acting}"{nearest(acting, known)}: syncd crm people employees lists them')
    return opened


def _moment(text: str, zone: str, *, end: bool = False) -> str:
    """``2026-11-24`` (whole day) or ``2026-11-24 10:00`` in the zone, as the CRM keeps it."""
    from datetime import date, timedelta

    from syncd.model.span import moment_key

    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return moment_key(day + timedelta(days=1) if end else day)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise fail(f'"{text}" is no date or time: write 2026-11-24 or "2026-11-24 10:00"') from None
    return moment_key(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))


def values_of(zone: str, people: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    """What was typed, as the CRM takes it."""
    from syncd.model.people import Participant, People

    values = {k: v for k, v in given.items() if v is not None}
    for name in ("starts", "ends", "due"):
        if name in values:
            values[name] = _moment(values[name], zone, end=name == "ends") if values[name] else ""
    if "starts" in values:
        values["zone"] = zone if len(given.get("starts") or "") > 10 else ""
    if "category" in values:
        values["categories"] = tuple(sorted(values.pop("category")))
    if "transaction" in values:
        values["transactions"] = tuple(sorted(t.replace(":", " ", 1) for t in values.pop("transaction")))
    if people is not None:
        values["participants"] = People([Participant(p) for p in people])
    return values


def shown(activity: Any) -> dict[str, Any]:
    """An activity in the documented form."""
    made = {k: v for k, v in vars(activity).items() if k not in ("seq", "key", "owner_address")}
    made["participants"] = [
        {"address": a, "name": p.name, "answer": p.answer, "role": p.role} for a, p in activity.participants.items()
    ]
    made["categories"] = list(activity.categories)
    made["transactions"] = list(activity.transactions)
    made["attachments"] = [{"name": f.name, "type": f.type, "size": f.size} for f in activity.attachments]
    return made


def _line(activity: Any) -> str:
    when = activity.starts or activity.due or "-"
    private = " (private)" if activity.private else ""
    return f"{activity.guid}  {activity.kind:11} {when:16} {activity.status:10} {activity.subject}{private}"


@crm.command("create")
def create(
    kind: Annotated[str, typer.Argument(help="appointment, task, call, visit, e-mail or letter")],
    config: ConfigOption = None,
    acting: As = "",
    subject: Text = None,
    starts: Annotated[str | None, typer.Option("--from", help='2026-11-24 or "2026-11-24 10:00"')] = None,
    ends: Annotated[str | None, typer.Option("--to")] = None,
    due: Text = None,
    zone: Annotated[str, typer.Option(help="The times' zone.")] = "UTC",
    location: Text = None,
    notes: Text = None,
    status: Text = None,
    direction: Annotated[str | None, typer.Option(help="in or out, of an interaction log")] = None,
    priority: Annotated[int | None, typer.Option(help="1 high, 2 medium, 3 low")] = None,
    completion: Annotated[int | None, typer.Option(help="percent")] = None,
    private: Annotated[bool | None, typer.Option("--private/--public")] = None,
    category: Annotated[list[str] | None, typer.Option()] = None,
    participant: Annotated[list[str] | None, typer.Option(help="e-mail address; once for each")] = None,
    account: Text = None,
    contact: Text = None,
    transaction: Transactions = None,
    follows: Annotated[str, typer.Option(help="TYPE:ID of what this is a follow-up of")] = "",
    json: JsonOption = False,
) -> None:
    """Create an activity; the employee who acts is responsible for it."""
    from syncd.crm.activities import Invalid

    given = {
        "subject": subject, "starts": starts, "ends": ends, "due": due, "location": location, "notes": notes,
        "status": status, "direction": direction, "priority": priority, "completion": completion,
        "private": private, "category": category or None, "account": account, "contact": contact,
        "transaction": transaction or None,
    }  # fmt: skip
    opened = opened_crm(config, acting)
    values = values_of(zone, participant, given)
    values.setdefault("owner", acting or None)
    if values.get("starts") and not values.get("ends"):
        values["ends"] = _moment(starts, zone, end=True) if starts and len(starts) == 10 else values["starts"]
    if kind == "appointment" and not values.get("starts"):
        raise fail('an appointment needs its time: --from "2026-11-24 10:00" --to "2026-11-24 11:00"')
    type_, _, id_ = follows.partition(":")
    try:
        made = opened.create(kind, values, by=acting, follows=(type_, id_) if follows else None)
    except Invalid as error:
        raise fail(str(error)) from None
    finally:
        opened.close()
    print_json(shown(made)) if json else typer.echo(made.guid)


@crm.command("edit")
def edit(
    guid: str,
    config: ConfigOption = None,
    acting: As = "",
    subject: Text = None,
    starts: Annotated[str | None, typer.Option("--from")] = None,
    ends: Annotated[str | None, typer.Option("--to")] = None,
    due: Text = None,
    zone: Annotated[str, typer.Option(help="The times' zone; the activity's own if left out.")] = "",
    location: Text = None,
    notes: Text = None,
    status: Text = None,
    direction: Text = None,
    priority: Annotated[int | None, typer.Option()] = None,
    completion: Annotated[int | None, typer.Option()] = None,
    private: Annotated[bool | None, typer.Option("--private/--public")] = None,
    category: Annotated[list[str] | None, typer.Option()] = None,
    participant: Annotated[list[str] | None, typer.Option(help="replaces the list")] = None,
    account: Text = None,
    contact: Text = None,
    transaction: Transactions = None,
    version: Annotated[int | None, typer.Option(help="refuse when it has been changed since this version")] = None,
    json: JsonOption = False,
) -> None:
    """Change an activity; what stood there before goes into its history."""
    from syncd.crm.activities import Conflict, Invalid, NotFound

    given = {
        "subject": subject, "starts": starts, "ends": ends, "due": due, "location": location, "notes": notes,
        "status": status, "direction": direction, "priority": priority, "completion": completion,
        "private": private, "category": category or None, "account": account, "contact": contact,
        "transaction": transaction or None,
    }  # fmt: skip
    opened = opened_crm(config, acting)
    try:
        zone = zone or opened.get(guid, viewer=acting).zone or "UTC"
        made = opened.edit(guid, values_of(zone, participant or None, given), by=acting, expected=version)
    except NotFound:
        raise fail(f"no activity {guid}") from None
    except Conflict:
        raise fail("it has been changed meanwhile: look again with syncd crm show") from None
    except Invalid as error:
        raise fail(str(error)) from None
    finally:
        opened.close()
    print_json(shown(made)) if json else typer.echo(f"{made.guid} version {made.version}")


@crm.command("delete")
def delete(guid: str, config: ConfigOption = None, acting: As = "") -> None:
    """Delete an activity."""
    from syncd.crm.activities import NotFound

    opened = opened_crm(config, acting)
    try:
        opened.delete(guid, by=acting)
    except NotFound:
        raise fail(f"no activity {guid}") from None
    finally:
        opened.close()
    typer.echo(f"{guid} deleted")


@crm.command("show")
def show(guid: str, config: ConfigOption = None, acting: As = "", json: JsonOption = False) -> None:
    """Show an activity with its history and document history."""
    from syncd.crm.activities import NotFound

    opened = opened_crm(config, acting)
    try:
        found = opened.get(guid, viewer=acting)
        past = opened.history(guid, viewer=acting)
        documents = opened.documents(found.kind, guid, viewer=acting)
    except NotFound:
        raise fail(f"no activity {guid}") from None
    finally:
        opened.close()
    whole = {**shown(found), "history": past, **documents}
    if json:
        print_json(whole)
        return
    for name, value in whole.items():
        if value in ("", [], None, 0, False) or name == "history":
            continue
        if name == "participants":
            value = ", ".join(f"{p['address']} ({p['role'] or p['answer']})" for p in value)
        if name in ("transactions", "categories"):
            value = ", ".join(value)
        if name in ("predecessors", "followers"):
            value = ", ".join(f"{kind} {number}" for kind, number in value)
        if name == "attachments":
            value = ", ".join(f"{f['name']} ({f['type']}, {f['size']} octets)" for f in value)
        typer.echo(f"{name:13} {value}")
    for line in past:
        typer.echo(f"before {line['at']} ({line['by'] or '-'}): {line['field']}: {line['text']}")


@crm.command("list")
def list_(
    config: ConfigOption = None,
    acting: As = "",
    kind: Annotated[list[str] | None, typer.Option(help="appointment, task, call, visit, e-mail, letter")] = None,
    status: Annotated[list[str] | None, typer.Option()] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those the employee is responsible for.")] = False,
    json: JsonOption = False,
) -> None:
    """List activities by time."""
    _print(config, json, viewer=acting, kinds=kind or (), status=status or (), owner=acting if mine else "", limit=1000)


@crm.command("search")
def search(text: str, config: ConfigOption = None, acting: As = "", json: JsonOption = False) -> None:
    """Find activities by words in subject, notes, place, people or account."""
    _print(config, json, viewer=acting, text=text)


def _print(config: Path | None, json: bool, **criteria: Any) -> None:
    opened = opened_crm(config, criteria["viewer"])
    found = opened.search(**criteria)
    opened.close()
    if json:
        print_json({"version": 1, "activities": [shown(a) for a in found]})
        return
    for activity in found:
        typer.echo(_line(activity))
    if not found:
        typer.echo("nothing found", err=True)


@crm.command("people")
def people(
    what: Annotated[str, typer.Argument(help="employees, accounts, contacts or transactions")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List employees, accounts, contacts or transactions."""
    from syncd.crm.people import SHEETS

    if what not in SHEETS:
        raise fail(f"one of: {', '.join(SHEETS)}")
    opened = opened_crm(config)
    found = opened.listing(what)
    opened.close()
    if json:
        print_json({"version": 1, what: found})
        return
    for row in found:
        typer.echo("  ".join(str(v or "-") for v in row.values()))


@crm.command("documents")
def documents(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="opportunity, lead, sales-order, contract, ... or call, ...")
    ],
    id_: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    acting: As = "",
    json: JsonOption = False,
) -> None:
    """Show the document history of a transaction or activity: what it came of, what came of it."""
    from syncd.crm.activities import NotFound

    opened = opened_crm(config, acting)
    try:
        found = opened.documents(type_, id_, viewer=acting)
    except NotFound:
        raise fail(f"no {type_} {id_}") from None
    finally:
        opened.close()
    if json:
        print_json({"version": 1, **found})
        return
    for name, entries in found.items():
        for kind, other in entries:
            typer.echo(f"{name[:-1]}: {kind} {other}")
    if not any(found.values()):
        typer.echo("nothing came before it, and nothing of it yet", err=True)


@crm.command("import")
def import_(
    what: Annotated[str, typer.Argument(help="employees, accounts, contacts, transactions or statuses")],
    file: Path,
    config: ConfigOption = None,
) -> None:
    """Import a CSV file with a header line; an id that exists is brought up to date."""
    from syncd.crm.people import SHEETS, BadSheet, read_statuses

    if what not in (*SHEETS, "statuses"):
        raise fail(f"one of: {', '.join(SHEETS)}, statuses")
    opened = opened_crm(config)
    try:
        if what == "statuses":
            found = read_statuses(file)
            opened.set_statuses(found)
            typer.echo(f"statuses: {', '.join(code for code, _, _ in found)}")
            return
        new, changed = opened.import_csv(what, file)
    except BadSheet as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    finally:
        opened.close()
    typer.echo(f"{what}: {new} new, {changed} changed")
