"""check, plan, sync, run: what IT types."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli.app import ConfigOption, JsonOption, app, configuration, fail, house, print_json

Only = Annotated[list[str] | None, typer.Argument(help="Employees or pairings (employee/account); all if left out.")]


def _now() -> datetime:
    return datetime.now(UTC)


@app.command()
def check(
    config: ConfigOption = None,
    offline: Annotated[
        bool, typer.Option("--offline/--live", help="Read the files only and sign in nowhere, or (as ever) everywhere.")
    ] = False,
    schema: Annotated[
        Path | None, typer.Option(help="Write the mappings' JSON Schema for editors to this file.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask every calendar server, too, what it tells the guests of a meeting.")
    ] = False,
    probe: Annotated[
        tuple[str, str],
        typer.Option(
            "--probe-guests",
            metavar="A B",
            show_default=False,
            help="With --live: A invites B, both your own, to see whether their server can be asked to keep quiet.",
        ),
    ] = ("", ""),
    wait: Annotated[float, typer.Option(min=0, help="Seconds for which news may be on its way to B.")] = 30,
) -> None:
    """Check configuration and mappings, and sign in to every server."""
    from syncd.mapping.loader import json_schema, locate, warnings

    if schema is not None:
        import json

        schema.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
        typer.echo(f"wrote {schema}")
        return
    if (live or any(probe)) and offline:
        raise fail("--live asks servers, --offline none: choose one")
    if any(probe):
        from syncd.cli.probe import probe_guests

        if not live:
            raise fail("--probe-guests writes into A's calendar and invites B: say --live if that is meant")
        with house(config) as opened:
            probe_guests(opened, *probe, wait)
        return
    found = configuration(config)
    typer.echo(f"{found.path}: fine, {len(found.settings.employees)} employee(s)")
    for name in dict.fromkeys(p.mapping for p in found.settings.profiles.values()):
        path = locate(name, found.folder)
        lost = list(warnings(path))
        for problem in lost:
            typer.echo(f"{problem.file}:{problem.line}:{problem.column}: warning: {problem.message}")
        if not lost:
            typer.echo(f"{path}: fine")
        for line in _of_guests(path):
            typer.echo(f"  {line}")
    for line in _too_wide(found):
        typer.echo(f"warning: {line}")
    if offline:
        return
    from syncd.ports import Naming, PortError

    bad = 0
    with house(config) as opened:
        for pairing in opened.pairings:
            try:
                next(iter(pairing.replica.changes("")), None)
                what = {"message": "mailbox", "todo": "task list"}.get(pairing.lens.mapping.item, "calendar")
                typer.echo(f"{pairing.id}: signed in, {what} is there")
                down = pairing.lens.mapping.direction != "to-crm" and pairing.lens.mapping.item != "message"
                if down and pairing.default and opened.accounts[pairing.id].read_only:
                    typer.echo(f"{pairing.id}: warning: it is read-only: what comes from the CRM goes nowhere")
                missing = pairing.replica.unmatched() if isinstance(pairing.replica, Naming) else ()
                if missing:
                    typer.echo(f"{pairing.id}: warning: no folder is called {', '.join(missing)}")
            except PortError as error:
                bad += 1
                typer.echo(f"{pairing.id}: {error}", err=True)
        if live:
            from syncd.cli.probe import say_telling

            bad += say_telling(opened)
    if bad:
        raise typer.Exit(3)


#: What the mapping's word on guests means, as an administrator reads it.
GUESTS = {
    "wait": "what guests act on (time, place, recurrence, cancellation, deletion) waits until somebody makes the "
    "change in the calendar; the rest goes where the server tells nobody",
    "quiet": "what the CRM changes goes where the server tells nobody, or can be asked not to; else it waits",
    "tell": "what the CRM changes goes, and THE SERVER TELLS THE GUESTS",
}


def _of_guests(path: Path) -> list[str]:
    from syncd.mapping.loader import load

    mapping = load(path).mapping
    if mapping.item != "event" or mapping.direction == "to-crm":
        return []
    return [f"meetings with guests ({mapping.guests}): {GUESTS[mapping.guests]}"]


def _too_wide(found: Any) -> list[str]:
    """What others may read of what syncd keeps."""
    from syncd.database import file_of
    from syncd.rights import BESIDE, inside, too_wide
    from syncd.service.key import key_path

    urls = [found.url(u) for u in (found.settings.store, found.settings.crm.url)]
    databases = dict.fromkeys(file_of(u) for u in urls if u.startswith("sqlite:///"))
    files = [f for d in databases for f in (d, *(d.with_name(d.name + more) for more in BESIDE))]
    secrets = found.folder / "secrets"
    kept = [*files, key_path(found), *inside(secrets)]
    folders = dict.fromkeys([found.state, *(d.parent for d in databases), secrets])
    return list(too_wide(kept, folders))


@app.command()
def plan(config: ConfigOption = None, only: Only = None, json: JsonOption = False) -> None:
    """Show what sync would do, without doing any of it."""
    from dataclasses import replace

    from syncd.logs import silent
    from syncd.service.explain import waiting
    from syncd.service.rehearsal import planned, rehearsed
    from syncd.service.runner import exit_status, once_more, run_one

    silent()
    with house(config, only) as opened:
        copy = opened.store.copy()
        pretending = rehearsed(opened.pairings)
        results, writes, waits = [], {}, {}
        chosen = {p.id for p in opened.chosen}
        mine = [p for p in pretending if p.id in chosen]
        for pairing in mine:
            results.append(run_one(pairing, pretending, copy, opened.key, _now()))
            writes[pairing.id] = planned(pairing)
        for pairing in once_more(results, mine):
            run_one(pairing, pretending, copy, opened.key, _now())
            writes[pairing.id] += planned(pairing)
        for pairing in mine:
            with copy.reading() as tx:
                found = [(k, tx.row(k.activity)) for k in tx.waiting(pairing.id)]
            waits[pairing.id] = [
                {"activity": row.crm_ref, "item": k.item_ref, **waiting(k.waits)} for k, row in found if row
            ]
        copy.close()
    if json:
        shown = []
        for result in results:
            steps = [vars(replace(w, title="")) for w in writes[result.pairing]]
            would = [{k: v for k, v in s.items() if k != "title"} for s in steps]
            shown.append({**result.as_json(), "would": would, "waits": waits[result.pairing]})
        print_json({"version": 1, "pairings": shown})
    else:
        for result in results:
            typer.echo(f"{result.pairing}: {summary(result, future=True)}")
            for write in writes[result.pairing]:
                what = f" ({', '.join(write.fields)})" if write.op == "update" else ""
                where = "CRM" if write.side == "crm" else "groupware"
                typer.echo(f"  {write.op:7} in the {where:9} {write.title}{what}")
            for each in waits[result.pairing]:
                typer.echo(f"  {', '.join(each['fields'])} of {each['activity'] or each['item']}: {each['why']}")
    raise typer.Exit(exit_status(results))


def summary(result: Any, *, future: bool = False) -> str:
    """A pass in one line."""
    if result.error:
        return f"{result.outcome}: {result.error}"
    n = result.report.numbers()
    parts = []
    for op in ("created", "updated", "deleted"):
        for side, where in (("crm", "in the CRM"), ("groupware", "in the groupware")):
            if n[f"{op}_{side}"]:
                parts.append(f"{n[f'{op}_{side}']} {op} {where}")
    names = {
        "linked": "linked",
        "withheld": "withheld as private",
        "redacted": "taken back as private",
        "parked": "parked (syncd status says why)",
        "conflicts": "in conflict (syncd conflicts)",
        "held": "deletions held (syncd approve)",
        "waiting": "waiting for a word to the guests (syncd status)",
    }
    parts += [f"{n[k]} {text}" for k, text in names.items() if n[k] and not (k == "linked" and n["created_crm"])]
    passed = result.report.passed_over
    if passed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(passed.items()))
        parts.append(f"{sum(passed.values())} not the CRM's business ({kinds})")
    return ("would be: " if future and parts else "") + (", ".join(parts) or "nothing to do")


@app.command()
def sync(
    config: ConfigOption = None,
    only: Only = None,
    json: JsonOption = False,
    full: Annotated[bool, typer.Option("--full", help="Compare everything, not only what changed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each pass.")] = False,
) -> None:
    """Bring every pairing into step, once."""
    from syncd.logs import set_up, silent
    from syncd.service.runner import Result, exit_status, once_more, run_one

    if verbose:
        set_up(json=False, verbose=True)
    else:
        silent()
    results: list[Result] = []
    with house(config, only) as opened, _progress(json) as note:

        def one(pairing: Any, *, full: bool) -> None:
            result = run_one(
                pairing,
                opened.pairings,
                opened.store,
                opened.key,
                _now(),
                full=full,
                progress=lambda done: note(pairing.id, done),
            )
            results.append(result)
            if not json:
                typer.echo(f"{result.pairing}: {summary(result)}", err=bool(result.error))

        for pairing in opened.chosen:
            one(pairing, full=full)
        for pairing in once_more(results, opened.chosen):
            one(pairing, full=False)
    if json:
        print_json({"version": 1, "pairings": [r.as_json() for r in results]})
    raise typer.Exit(exit_status(results))


class _progress:
    """A bar on a terminal; nothing elsewhere, where the lines of the results are enough."""

    def __init__(self, silent: bool) -> None:
        import sys

        self._bar: Any = None
        self._task: dict[str, Any] = {}
        if not silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} entries"))
            self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)

    def __enter__(self) -> Any:
        if self._bar is not None:
            self._bar.start()
        return self._note

    def _note(self, pairing: str, done: int) -> None:
        if self._bar is None:
            return
        if pairing not in self._task:
            self._task[pairing] = self._bar.add_task(pairing, total=None)
        self._bar.advance(self._task[pairing], done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


@app.command()
def run(
    config: ConfigOption = None,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Log lines as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log quiet passes too.")] = False,
) -> None:
    """Run as a service until SIGTERM; the batch in hand is finished first. SIGHUP reloads."""
    from syncd.logs import set_up
    from syncd.service.assemble import open_house
    from syncd.service.daemon import Daemon
    from syncd.settings import load_configuration

    set_up(json=json_logs, verbose=verbose)
    opened = house(config)
    if not opened.pairings:
        opened.close()
        raise fail("there is nobody to sync: add employees to the configuration")
    path = opened.configuration.path
    try:
        Daemon(opened, lambda: open_house(load_configuration(path))).run()
    except OSError as error:
        opened.close()
        listen = opened.configuration.settings.service.listen
        raise fail(f"cannot listen on {listen}: {error.strerror} (service: listen in {path})", 3) from None
