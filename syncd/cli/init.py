"""syncd init: asks, tests what it is told, writes the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli.app import app, fail
from syncd.cli.secret import read_secret

_HEAD = """\
# syncd's configuration. Check it with: syncd check
version: 1
store: sqlite:///store.db
crm:
  connector: builtin
  url: sqlite:///crm.db
profiles:
"""


@app.command()
def init(
    config: Annotated[Path, typer.Option("--config", "-c", help="The file to write.")] = Path("syncd.yaml"),
    url: Annotated[
        str,
        typer.Option(
            help="Address of the CalDAV server; of a mail server: imaps://HOST; of Exchange: https://HOST/EWS/Exchange.asmx."
        ),
    ] = "",
    username: Annotated[str, typer.Option(help="User name there.")] = "",
    name: Annotated[str, typer.Option(help="The employee's full name.")] = "",
    address: Annotated[str, typer.Option(help="The employee's e-mail address.")] = "",
    zone: Annotated[str, typer.Option(help="The employee's time zone, such as Europe/Berlin.")] = "",
    calendar: Annotated[str, typer.Option(help="The calendar's number or path; asked if there are several.")] = "",
    secret_in: Annotated[str, typer.Option("--secret-in", help="keyring or file.")] = "",
) -> None:
    """Set up the first employee: asks, tries the server, writes the configuration.

    The password is typed unseen; without a terminal it is the next line of standard input.
    """
    from syncd.settings import load_configuration

    if config.exists():
        raise fail(f"{config} exists already; add employees there, or give another file with --config")
    url = url or typer.prompt(
        "Address of the CalDAV server, imaps://HOST for mail, or https://HOST/EWS/Exchange.asmx",
        default="http://localhost:5232/",
    )
    if "://" not in url:
        url = f"https://{url}"
    username = username or typer.prompt("User name")
    password = read_secret("Password")
    if _is_exchange(url):  # whose mailbox it is must be known before it can be opened
        address = _address(address, username)
        chosen: list[tuple[str, Any]] = _outlook(url, username, password, address)
    elif url.startswith(("imap://", "imaps://")):
        chosen = [("message", _mailbox(url, username, password))]
    else:
        chosen = _choose(_find(url, username, password), calendar)
    address = _address(address, username)
    name = name or typer.prompt("The employee's name", default=address.split("@")[0])
    zone = zone or typer.prompt("Time zone", default=_local_zone())
    from syncd.rights import make_folder, narrow_if_empty
    from syncd.secrets import SecretFault, keep

    make_folder(config.resolve().parent)
    narrow_if_empty(config.resolve().parent)
    try:
        reference = keep(f"{username}@{_host(url)}", password, config.resolve().parent, place=secret_in)
    except SecretFault as error:
        raise fail(str(error)) from None
    who = "".join(c if c.isalnum() or c in "-_." else "-" for c in username.split("@")[0]) or "me"
    config.write_text(_document(url, username, reference, chosen, who, address, zone), encoding="utf-8")
    found = load_configuration(config)
    _employee(found, who, name, address)
    typer.echo(f"wrote {config}; the password is kept as {reference}")
    typer.echo("Next: syncd plan shows what would happen, syncd sync does it, syncd run keeps doing it.")


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or "server"


def _address(address: str, username: str) -> str:
    address = address or typer.prompt("The employee's e-mail address", default=username if "@" in username else None)
    if "@" not in address:
        raise fail(f'"{address}" is no e-mail address')
    return address


def _is_exchange(url: str) -> bool:
    from urllib.parse import urlsplit

    from syncd.outlook.hosts import ONLINE_MESSAGE, online

    if online(urlsplit(url).hostname or ""):
        raise fail(f"{url}: {ONLINE_MESSAGE}")
    return url.lower().endswith(".asmx")


def _outlook(url: str, username: str, password: str, address: str) -> list[tuple[str, Any]]:
    """Calendar, tasks and mail of an Exchange mailbox; ends with status 3 when it cannot be opened."""
    from connectors.exchange.open import connector
    from syncd.ports import PortError

    options = {"url": url, "username": username, "password": password, "address": address, "kind": "event"}
    try:
        found = next(iter(connector(options).changes("")), None)
    except PortError as error:
        raise fail(f"{url}: {error}", 3) from None
    count = len(found.changes) if found is not None else 0
    many = f"{count}{'' if found is None or found.complete else ' or more'} {'entry' if count == 1 else 'entries'}"
    typer.echo(f"  signed in: {many} in the calendar; calendar, tasks and mail will be kept in step")
    return [(kind, _Mailbox(exchange=True)) for kind in ("event", "todo", "message")]


def _local_zone() -> str:
    from zoneinfo import available_timezones

    try:
        zone = Path("/etc/timezone").read_text(encoding="utf-8").strip()
    except OSError:
        zone = ""
    return zone if zone in available_timezones() else "UTC"


def _find(url: str, username: str, password: str) -> list[Any]:
    """The employee's collections; ends with status 3 when the server cannot be used."""
    from connectors.caldav.dav import Dav
    from connectors.caldav.discover import discover
    from syncd.ports import PortError

    dav = Dav(url, username=username, password=password)
    try:
        found = discover(dav)
    except PortError as error:
        raise fail(f"{url}: {error}", 3) from None
    finally:
        dav.close()
    if not found:
        raise fail(f"{url}: signed in, but there is no calendar; make one in your client first", 3)
    return found


@dataclass(frozen=True)
class _Mailbox:
    """What stands for a collection where there is but one."""

    path: str = ""
    writable: bool = True
    exchange: bool = False


def _mailbox(url: str, username: str, password: str) -> _Mailbox:
    """The mailbox; ends with status 3 when the server cannot be used."""
    from connectors.imap.connect import SignIn
    from connectors.imap.session import Session
    from syncd.mail.folders import chosen
    from syncd.ports import PortError

    session = Session(SignIn(url, username, lambda: password))
    try:
        listed, _ = session.listed()
    except PortError as error:
        raise fail(f"{url}: {error}", 3) from None
    finally:
        session.close()
    read = [f.name for f in chosen(listed, ("INBOX", "\\Sent"), ())]
    typer.echo(f"  signed in: {len(listed)} folders; {' and '.join(read)} will be read")
    return _Mailbox()


def _choose(collections: list[Any], wanted: str) -> list[tuple[str, Any]]:
    """A calendar for events and, where there is one, a list for to-dos."""
    for number, c in enumerate(collections, 1):
        rights = "" if c.writable else ", read-only"
        typer.echo(f"  {number}. {c.name} ({' and '.join(k + 's' for k in c.kinds)}{rights}) {c.path}")
    chosen: list[tuple[str, Any]] = []
    for kind, question in (("event", "Calendar to sync"), ("todo", "Task list to sync (0 for none)")):
        possible = [n for n, c in enumerate(collections, 1) if kind in c.kinds]
        if not possible:
            continue
        picked = _picked(collections, wanted) if kind == "event" and wanted else None
        if picked is None:
            same = chosen[0][1] if chosen and kind in chosen[0][1].kinds else None
            default = collections.index(same) + 1 if same is not None else possible[0]
            asked = len(possible) > 1 and not wanted
            answer = _ask(question, default, [*possible, *([0] if kind == "todo" else [])], kind) if asked else default
            if answer == 0:
                continue
            picked = collections[answer - 1]
        chosen.append((kind, picked))
    if not chosen:
        raise fail("none of these holds events or to-dos", 3)
    return chosen


def _ask(question: str, default: int, possible: list[int], kind: str) -> int:
    """A number of the list; asked again until it is one."""
    while True:
        answer: int = typer.prompt(question, default=default, type=int)
        if answer in possible:
            return answer
        typer.echo(f"  {answer} holds no {kind}s; one of: {', '.join(str(n) for n in sorted(possible))}")


def _picked(collections: list[Any], wanted: str) -> Any:
    for number, c in enumerate(collections, 1):
        if wanted in (str(number), c.path, c.path.rstrip("/"), c.name):
            return c
    raise fail(f'there is no calendar "{wanted}"')


def _document(
    url: str, username: str, reference: str, chosen: list[tuple[str, Any]], who: str, address: str, zone: str
) -> str:
    names = {"event": ("calendar", "appointments"), "todo": ("tasks", "tasks"), "message": ("mail", "mail")}
    lines = [_HEAD]
    for kind, c in chosen:
        profile, mapping = names[kind]
        connector = "imap" if kind == "message" else "caldav"
        connector = "exchange" if getattr(c, "exchange", False) else connector
        lines.append(f"  {profile}: {{connector: {connector}, url: {_quoted(url)}, mapping: {mapping}}}\n")
    lines.append(
        f"employees:\n  - id: {_quoted(who)}\n    addresses: [{_quoted(address)}]\n    zone: {zone}\n    accounts:\n"
    )
    for kind, c in chosen:
        lines.append(
            f"      - profile: {names[kind][0]}\n        username: {_quoted(username)}\n"
            f"        password: {_quoted(reference)}\n"
        )
        if c.path:
            lines.append(f"        calendar: {_quoted(c.path)}\n")
        if not c.writable:
            lines.append("        read-only: true\n")
    return "".join(lines)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _employee(found: Any, who: str, name: str, address: str) -> None:
    """The employee stands in the CRM too."""
    from sqlalchemy import insert, select

    from syncd.crm import tables as t
    from syncd.crm.database import Crm
    from syncd.model.people import normal_address

    crm = Crm.open(found.url(found.settings.crm.url))
    with crm.writing() as connection:
        e = t.employee.c
        there = connection.execute(select(e.id).where((e.address == normal_address(address)) | (e.id == who))).first()
        if there is None:
            connection.execute(insert(t.employee).values(id=who, name=name, address=normal_address(address)))
    crm.close()
