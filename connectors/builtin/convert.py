"""Fields of the model <-> columns of the built-in CRM."""

from __future__ import annotations

from typing import Any

from syncd.crm.activities import Activity
from syncd.crm.series import recurrence_from, recurrence_text, span_of
from syncd.model.fields import ACTIVITY_FIELDS, Fields
from syncd.model.files import Files
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span, moment_key, parse_moment, zone_named


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
        fields["time"] = span_of(found.starts, found.ends, found.zone)
    if found.kind == "appointment" and len(found.starts) == len("20261124") and found.starts == found.ends:
        fields["time"] = None  # a day without length: see `redact`
    if found.recurrence:
        fields["recurrence"] = recurrence_from(found.recurrence)
    known = ACTIVITY_FIELDS.get(found.kind)
    return fields if known is None else {n: v for n, v in fields.items() if n in known}


def columns_of(fields: Fields) -> dict[str, Any]:
    """The fields as the CRM's columns."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "time" and value is None:
            continue  # of a leftover: its day stays
        if name == "time":
            span: Span = value
            zone = span.zone if zone_named(span.zone) else str(getattr(getattr(span.start, "tzinfo", None), "key", ""))
            made |= {"starts": moment_key(span.start), "ends": moment_key(span.end), "zone": zone}
        elif name == "recurrence":
            made["recurrence"] = recurrence_text(value) if value is not None else ""
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
