"""syncd crm follow-up, attachments: what is done with an activity that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.app import ConfigOption, JsonOption, fail, print_json
from syncd.cli.crm import As, Text, crm, opened_crm, shown, values_of


@crm.command("follow-up")
def follow_up(
    guid: str,
    kind: Annotated[str, typer.Argument(help="task, call, visit, appointment, e-mail or letter")] = "task",
    config: ConfigOption = None,
    acting: As = "",
    subject: Text = None,
    due: Text = None,
    starts: Annotated[str | None, typer.Option("--from", help='2026-11-24 or "2026-11-24 10:00"')] = None,
    ends: Annotated[str | None, typer.Option("--to")] = None,
    zone: Annotated[str, typer.Option(help="The times' zone.")] = "UTC",
    owner: Annotated[str, typer.Option(help="The employee (id) who is to do it; the one who acts if left out.")] = "",
    json: JsonOption = False,
) -> None:
    """Make an activity that follows this one: same account, contact and transactions, and both show it."""
    from syncd.crm.activities import Invalid, NotFound

    opened = opened_crm(config, acting)
    try:
        before = opened.get(guid, viewer=acting)
        if before.private and not subject and owner not in ("", before.owner):
            raise fail('it is private, and so is its name: say what the colleague is to read: --subject "…"')
        given = {"subject": subject or before.subject, "due": due, "starts": starts, "ends": ends}
        values = values_of(zone, None, given)
        values |= {"owner": owner or acting or before.owner, "account": before.account, "contact": before.contact}
        values |= {"private": before.private, "transactions": before.transactions}
        if kind == "appointment" and not values.get("starts"):
            raise fail('an appointment needs its time: --from "2026-11-24 10:00" --to "2026-11-24 11:00"')
        made = opened.create(kind, values, by=acting, follows=(before.kind, guid))
    except NotFound:
        raise fail(f"no activity {guid}") from None
    except Invalid as error:
        raise fail(str(error)) from None
    finally:
        opened.close()
    print_json(shown(made)) if json else typer.echo(made.guid)


@crm.command("attachments")
def attachments(
    guid: str,
    config: ConfigOption = None,
    acting: As = "",
    save: Annotated[Path | None, typer.Option(help="Folder into which those that are here are written.")] = None,
    json: JsonOption = False,
) -> None:
    """List the files of an activity, or save them."""
    from syncd.crm.activities import NotFound
    from syncd.rights import make_folder, new_file

    opened = opened_crm(config, acting)
    try:
        found = opened.attachments(guid, viewer=acting)
        for each in found if save is not None else ():
            if each["stored"] and save is not None:
                make_folder(save)
                with os.fdopen(new_file(save / f"{each['number']}-{_safe(each['name'])}"), "wb") as file:
                    for piece in opened.attachment(guid, each["number"], viewer=acting):
                        file.write(piece)
    except NotFound:
        raise fail(f"no activity {guid}") from None
    except FileExistsError as error:
        raise fail(f"{error.filename} is there already") from None
    finally:
        opened.close()
    if json:
        print_json({"version": 1, "attachments": found})
        return
    for each in found:
        here = "" if each["stored"] else "  (by name only)"
        typer.echo(f"{each['number']:3} {each['size']:10} {each['type']:30} {each['name']}{here}")


def _safe(name: str) -> str:
    """A name that is one file in one folder."""
    kept = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in name).strip(" .")
    return kept[:120] or "file"
