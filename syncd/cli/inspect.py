"""status, conflicts, approve, explain, forget: what administrators ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli.app import ConfigOption, JsonOption, app, configuration, fail, house, print_json


@app.command()
def status(
    only: Annotated[
        list[str] | None, typer.Argument(help="Employees or pairings (employee/account); all if left out.")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show when each pairing last agreed, what is parked, held, in conflict or waits for guests, and what to do."""
    from syncd.service.explain import waiting
    from syncd.store.journal import conflicts, parked, runs

    with house(config, only) as opened, opened.store.reading() as tx:
        last = runs(tx)
        shown = []
        for pairing in opened.chosen:
            run = last.get(pairing.id)
            shown.append(
                {
                    "pairing": pairing.id,
                    "agreed": (run or {}).get("agreed") or None,
                    "last_run": (run or {}).get("ended") or None,
                    "outcome": (run or {}).get("outcome") or "never run",
                    "links": tx.count_links(pairing.id),
                    "held": tx.held(pairing.id),
                    "withheld": (run or {}).get("counts", {}).get("withheld", 0),
                    "totals": (run or {}).get("totals", {}),
                    "parked": [
                        {
                            "side": p.side,
                            "ref": p.ref,
                            "reason": p.reason,
                            "since": p.since,
                            "again": tx.has_news(pairing.id, p.side, p.ref),
                        }
                        for p in parked(tx, pairing.id)
                    ],
                    "conflicts": len(conflicts(tx, pairing.id)),
                    "waiting": [
                        {"activity": row.crm_ref, "item": link.item_ref, **waiting(link.waits)}
                        for link in tx.waiting(pairing.id)
                        if (row := tx.row(link.activity)) is not None
                    ],
                }
            )
    if json:
        print_json({"version": 1, "pairings": shown})
    else:
        for one in shown:
            _status_lines(one)
    if any(s["parked"] or s["held"] or s["conflicts"] or s["waiting"] for s in shown):
        raise typer.Exit(1)


def _status_lines(one: dict[str, Any]) -> None:
    agreed = f"in step since {one['agreed']}" if one["agreed"] else "never in step yet"
    typer.echo(f"{one['pairing']}: {agreed}; last run: {one['outcome']}; {one['links']} link(s)")
    done = {n.replace("_", " "): v for n, v in one["totals"].items() if n != "linked"}
    if done:
        typer.echo(f"  so far: {', '.join(f'{v} {n}' for n, v in sorted(done.items()))}")
    for entry in one["parked"]:
        typer.echo(f"  parked since {entry['since']}: {entry['ref']}: {entry['reason']}")
        what = "it is tried again in each pass" if entry["again"] else "mend it at its source and it goes on by itself"
        typer.echo(f"    {what}")
    for entry in one["waiting"]:
        typer.echo(f"  {', '.join(entry['fields'])} of {entry['activity'] or entry['item']}: {entry['why']}")
    if one["held"]:
        typer.echo(f"  {one['held']} deletion(s) held: if they are meant, run: syncd approve {one['pairing']}")
    if one["conflicts"]:
        typer.echo(f"  {one['conflicts']} conflict(s): syncd conflicts")


@app.command()
def conflicts(
    config: ConfigOption = None,
    number: Annotated[int | None, typer.Argument(help="The conflict to settle.")] = None,
    take: Annotated[str, typer.Option(help="Whose value counts: crm or groupware.")] = "",
    json: JsonOption = False,
) -> None:
    """List the fields that wait for a person's word, or settle one: conflicts 3 --take crm."""
    from syncd.store import journal

    with house(config) as opened:
        with opened.store.reading() as tx:
            found = journal.conflicts(tx)
        if number is None:
            if json:
                print_json({"version": 1, "conflicts": [vars(c) for c in found]})
                return
            for c in found:
                typer.echo(
                    f"{c.id}: {c.pairing}: {c.field}, since {c.since}{f' (settled: {c.word})' if c.word else ''}"
                )
                typer.echo(f"    groupware: {c.item_value}")
                typer.echo(f"    CRM:       {c.crm_value}")
            if not found:
                typer.echo("no conflicts")
            return
        if take not in ("crm", "groupware"):
            raise fail("say whose value counts: --take crm or --take groupware")
        chosen = next((c for c in found if c.id == number), None)
        if chosen is None:
            raise fail(f"there is no conflict {number}")
        with opened.store.transaction() as tx:
            journal.decide(tx, number, take)
            link = tx.link(chosen.link)
            row = tx.row(link.activity) if link else None
            if link is not None and link.item_ref is not None:
                tx.announce(link.pairing, "item", [link.item_ref])
            elif link is not None and row is not None and row.crm_ref is not None:
                tx.announce(link.pairing, "crm", [row.crm_ref])
        typer.echo(f"conflict {number}: the {take}'s value counts from the next pass on")


@app.command()
def approve(pairing: str, config: ConfigOption = None) -> None:
    """Let the deletions through that the guard holds for a pairing."""
    from syncd.store import journal

    with house(config, [pairing]) as opened:
        for each in opened.chosen:
            with opened.store.transaction() as tx:
                run = journal.runs(tx).get(each.id, {})
                number = max(tx.held(each.id), int(run.get("counts", {}).get("held", 0)) if tx.held(each.id) else 0)
                if number:
                    journal.approve(tx, each.id, number)
            typer.echo(
                f"{each.id}: {number} deletion(s) will go through in the next pass"
                if number
                else f"{each.id}: nothing is held"
            )


@app.command()
def explain(activity: str, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Say why an activity (or an item, by its address) is, or is not, in a calendar."""
    from syncd.service.explain import explain as explained

    with house(config) as opened:
        found = explained(opened, activity)
    if found is None:
        raise fail(f"neither an activity nor an item is known as {activity}")
    if json:
        print_json({"version": 1, **found})
        return
    typer.echo(f"activity {found['activity'] or '(none)'}")
    for place in found["calendars"]:
        typer.echo(f"  {place['pairing']}: {place['why']}")
    for line in found["decisions"]:
        detail = "; ".join(f"{k}: {', '.join(v) if isinstance(v, list) else v}" for k, v in line["detail"].items())
        typer.echo(f"  {line['at']} {line['pairing']}: {line['rule']}{f' ({detail})' if detail else ''}")
    for line in found["crossings"]:
        typer.echo(f"  {line['at']} {line['pairing']}: crossed {line['way']}: {line['fields']}")


@app.command()
def forget(
    employee: str,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove every trace of an employee from the store; later passes leave the person alone."""
    from syncd.database import StoreFault
    from syncd.secrets import SecretFault
    from syncd.service.assemble import pairing_id
    from syncd.service.forget import forget_employee, forgotten_mark
    from syncd.service.key import open_store

    found = configuration(config)
    entry = next((e for e in found.settings.employees if e.id == employee), None)
    if entry is None:
        raise fail(f"no employee is called {employee}")
    if not yes and not typer.confirm(f"Remove every trace of {employee} from the store?"):
        raise typer.Exit(2)
    try:
        store, key = open_store(found)
    except (SecretFault, StoreFault) as error:
        raise fail(str(error)) from None
    pairings = [pairing_id(employee, a) for a in entry.accounts]
    count = forget_employee(store, pairings, "crm", forgotten_mark(key, employee))
    store.close()
    typer.echo(f"{employee}: {count} link(s) forgotten; remove the employee from {Path(found.path).name} too")
