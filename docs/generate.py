"""Writes the parts of the reference that the program itself knows: ``make docs``. A test compares.

Keys come from the pydantic models, with the ``#:`` comment above each field; commands from typer;
metrics from the registry.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by make docs; edit the program instead. -->\n"


def comments_of(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the comment above it."""
    found: dict[str, str] = {}
    said: list[str] = []
    for line in inspect.getsource(model).splitlines():
        if line.startswith("    #: ") or (said and line.startswith("    #  ")):
            said.append(line.strip().removeprefix("#:").strip())
        elif field := re.match(r"    (\w+): ", line):
            found[field[1]], said = " ".join(said), []
    return found


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " \\| ".join(f"`{w}`" if w != "" else "nothing" for w in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(s) for s in schema["anyOf"] if s.get("type") != "null"))
    if "$ref" in schema:
        return f"[{schema['$ref'].rpartition('/')[2]}](#{schema['$ref'].rpartition('/')[2].lower()})"
    kind = schema.get("type", "text")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        return f"key: {_type(schema['additionalProperties'])}" if "additionalProperties" in schema else "keys"
    bounds = f" {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else ""
    bounds = bounds or (f" from {schema['minimum']}" if "minimum" in schema else "")
    return str({"string": "text", "integer": "number", "boolean": "true \\| false"}.get(kind, kind) + bounds)


def _default(info: Any) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True)
    if value is None or value in ("", [], {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    days = getattr(value, "days", None)
    return f"`{days}d`" if days is not None else f"`{value}`"


def table_of(model: type[BaseModel], title: str) -> Iterator[str]:
    """A section with a row for each key."""
    schema = model.model_json_schema()["properties"]
    said = comments_of(model)
    yield f"\n## {title}\n"
    yield inspect.cleandoc(model.__doc__ or "") + "\n"
    yield "| key | value | if left out | |"
    yield "|---|---|---|---|"
    for name, info in model.model_fields.items():
        key = info.alias or name
        assert said.get(name), f"{model.__name__}.{name} has no comment"
        yield f"| `{key}` | {_type(schema[key])} | {_default(info)} | {said[name]} |"


def configuration() -> str:
    """docs/reference/configuration.md"""
    from syncd import settings as s

    lines = ["# The configuration file", _NOTE]
    lines.append("`syncd.yaml`: given by `--config`, by `SYNCD_CONFIG`, or found here, in `~/.config/syncd/` or in")
    lines.append("`/etc/syncd/`. Relative paths count from the file. Anchors, tags and unknown keys are refused.")
    for model in (s.Settings, s.BuiltinCrm, s.Profile, s.OAuth, s.EmployeeEntry, s.Account, s.OwnMail, s.Service):
        lines += table_of(model, model.__name__)
    return "\n".join(lines) + "\n"


def mappings() -> str:
    """docs/reference/mappings.md"""
    from syncd.mapping import mail as of_mail
    from syncd.mapping import schema as m
    from syncd.mapping.loader import shipped
    from syncd.model.fields import ACTIVITY_FIELDS, ITEM_FIELDS, ITEM_WORDS

    lines = ["# Mapping files", _NOTE]
    lines.append(
        f"Shipped: {', '.join(f'`{name}`' for name in sorted(shipped()))}. `syncd check --schema FILE` writes the"
    )
    lines.append("JSON Schema for editors.")
    mail = (of_mail.Mail, of_mail.Text, of_mail.Place, of_mail.WriteBack)
    for model in (m.MappingFile, m.Window, m.Include, m.Condition, m.Privacy, m.FieldRule, m.Deletions, *mail):
        lines += table_of(model, model.__name__)
    for title, kinds in (("Item fields", ITEM_FIELDS), ("Activity fields", ACTIVITY_FIELDS)):
        lines.append(f"\n## {title}\n\n| kind | field | type | words |\n|---|---|---|---|")
        for kind, fields in kinds.items():
            for name, field in fields.items():
                words = ", ".join(ITEM_WORDS.get(kind, {}).get(name, ()))
                lines.append(f"| {kind} | `{name}` | {field.name} | {words} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """docs/reference/command-line.md"""
    from importlib import import_module

    from typer.main import get_command

    from syncd.cli.app import app
    from syncd.cli.command import COMMANDS

    for name in COMMANDS:
        import_module(f"syncd.cli.{name}")
    lines = ["# The command line", _NOTE]
    lines.append(
        "`syncd --install-completion` completes commands and options in bash, zsh and fish. Exit status: 0 done,"
    )
    lines.append(
        "1 some links parked, held or in conflict, 2 wrong use or configuration, 3 a server or sign-in failed."
    )

    def walk(command: Any, name: str) -> Iterator[str]:
        for child_name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{name} {child_name}")
        if getattr(command, "commands", None):
            return
        words = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(p.name.upper() if p.required else f"[{p.name.upper()}]" for p in words)
        yield f"\n## {name}\n\n```\n{name} {usage}".rstrip() + "\n```\n"
        yield inspect.cleandoc(command.help or "") + "\n"
        rows = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        if rows:
            yield "| option | |\n|---|---|"
            yield from (f"| `{', '.join([*p.opts, *p.secondary_opts])}` | {p.help or ''} |" for p in rows)

    lines += walk(get_command(app), "syncd")
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """docs/reference/metrics.md"""
    from syncd.service.health import Health

    lines = ["# Metrics", _NOTE]
    lines.append("At `/metrics` of `service: listen`, in Prometheus' text form. Ids and counts only, never content.\n")
    lines += ["| metric | kind | labels | |", "|---|---|---|---|"]
    registry = Health(lambda: datetime.now(UTC), 3600).registry
    labels = {"syncd_passes": "outcome", "syncd_records": "op, side", "syncd_private": "what", "syncd_requests": "side"}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        label = labels.get(family.name, "version" if name == "syncd_info" else "")
        lines.append(f"| `{name}` | {family.type} | {label} | {family.documentation} |")
    return "\n".join(lines) + "\n"


GENERATED = {
    "configuration.md": configuration,
    "mappings.md": mappings,
    "command-line.md": commands,
    "metrics.md": metrics,
}


def main() -> None:
    """Writes them all."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in GENERATED.items():
        (REFERENCE / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
