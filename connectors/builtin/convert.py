"""Fields of the model <-> columns of the built-in CRM."""

from __future__ import annotations

import json
from datetime import datetime
from types import MappingProxyType
from typing import Any

from syncd.crm.activities import Activity
from syncd.model.fields import ACTIVITY_FIELDS, Fields, kind_of
from syncd.model.files import Files
from syncd.model.people import Participant, People
from syncd.model.recurrence import Recurrence
from syncd.model.span import Moment, Span, moment_key, parse_moment, zone_named


def _in_zone(key: str, zone: str) -> Moment:
    moment = parse_moment(key)
    tz = zone_named(zone)
    if isinstance(moment, datetime) and moment.tzinfo is not None and tz is not None:
        return moment.astimezone(tz)
    return moment


def fields_of(found: Activity) -> dict[str, Any]:
    """The activity's fields, as its kind has them."""
    fields: dict[str, Any] = {
        "subject": found.subject,
        "notes": found.notes,
        "status": found.status,
        "priority": found.priority,
        "private": found.private,
        "categories": frozenset(found.categories),
    }
    if found.kind == "task":
        return fields | {"due": parse_moment(found.due) if found.due else None, "completion": found.completion}
    if found.kind not in ("appointment", "task"):
        fields |= {
            "direction": found.direction,
            "account": found.account or "",
            "contact": found.contact or "",
            "transactions": frozenset(found.transactions),
            "attachments": found.attachments,
            "appointment": found.appointment,
        }
    fields |= {"location": found.location, "participants": found.participants, "recurrence": Recurrence()}
    if found.starts:
        start, end = _in_zone(found.starts, found.zone), _in_zone(found.ends or found.starts, found.zone)
        fields["time"] = Span(start, end, found.zone)
    if found.recurrence:
        fields["recurrence"] = recurrence_from(found.recurrence)
    known = ACTIVITY_FIELDS.get(found.kind)
    return fields if known is None else {n: v for n, v in fields.items() if n in known}


def columns_of(fields: Fields) -> dict[str, Any]:
    """The fields as the CRM's columns."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "time":
            span: Span = value
            zone = span.zone if zone_named(span.zone) else str(getattr(getattr(span.start, "tzinfo", None), "key", ""))
            made |= {"starts": moment_key(span.start), "ends": moment_key(span.end), "zone": zone}
        elif name == "recurrence":
            made["recurrence"] = recurrence_text(value) if value is not None and not value.empty else ""
        elif name == "due":
            made["due"] = moment_key(value) if value is not None else ""
        elif name in ("categories", "transactions"):
            made[name] = tuple(sorted(value or ()))
        elif name in ("account", "contact"):
            made[name] = value or None
        elif name == "attachments":
            made[name] = value or Files()
        else:
            made[name] = value
    return made


def recurrence_text(recurrence: Recurrence) -> str:
    """A recurrence as JSON."""
    overrides = {
        key: {name: _plain(name, value) for name, value in fields.items()}
        for key, fields in recurrence.overrides.items()
    }
    parts = {
        "rule": recurrence.rule,
        "rdates": sorted(recurrence.rdates),
        "exdates": sorted(recurrence.exdates),
        "overrides": overrides,
    }
    return json.dumps(parts, sort_keys=True, ensure_ascii=False)


def recurrence_from(text: str) -> Recurrence:
    """What `recurrence_text` made."""
    parts = json.loads(text)
    overrides = {
        key: MappingProxyType({name: _value(name, value) for name, value in fields.items()})
        for key, fields in parts["overrides"].items()
    }
    rdates, exdates = frozenset(parts["rdates"]), frozenset(parts["exdates"])
    return Recurrence(parts["rule"], rdates, exdates, MappingProxyType(overrides))


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Span):
        return [moment_key(value.start), moment_key(value.end), value.zone]
    if isinstance(value, People):
        return [[p.address, p.name, p.answer] for p in value.values()]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


def _value(name: str, value: Any) -> Any:
    kind = kind_of(name).name
    if kind == "span":
        return Span(_in_zone(value[0], value[2]), _in_zone(value[1], value[2]), value[2])
    if kind == "people":
        return People([Participant(a, n, x) for a, n, x in value])
    if kind == "words":
        return frozenset(value)
    return value
