"""The time zone of an item: one that Windows or IANA knows, or the rules that the item brings along.

Old Outlooks write "tzone://Microsoft/Custom" or "Customized Time Zone". Such an item's time is right, as
it comes as an instant; only where its zone's name is needed the rules, else the mailbox's own zone, stand in.
"""

from __future__ import annotations

import re
from datetime import timedelta, tzinfo
from typing import Any

from connectors.exchange.xml import T, local
from syncd.model.posix import ChangeDay, PosixZone
from syncd.model.span import zone_named
from syncd.outlook.zones import iana_of

_LENGTH = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:[\d.]+S)?)?")
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def zone_in(item: Any, name: str, otherwise: tzinfo) -> tuple[tzinfo, str]:
    """The zone in an item's StartTimeZone or EndTimeZone, and Windows' name for it where that may be
    written back: "" when there is none, or one that only this item knows."""
    element = item.find(T + name)
    called = element.get("Id", "") if element is not None else ""
    known = iana_of(called)
    if known is not None:
        return known, called
    by_rules = _by_rules(element) if element is not None else None
    return by_rules or otherwise, ""


def _by_rules(element: Any) -> tzinfo | None:
    """The zone that Periods and TransitionsGroups describe, when it is one of two clocks a year."""
    periods = {p.get("Id"): _bias(p.get("Bias", "")) for p in element.iter(T + "Period")}
    groups = list(element.iter(T + "TransitionsGroup"))
    if not periods or any(b is None for b in periods.values()):
        return None
    offsets = {name: -bias for name, bias in periods.items() if bias is not None}
    if not groups:
        return zone_named(str(PosixZone(next(iter(offsets.values())))))
    changes = []
    for change in groups[-1]:
        to = change.find(T + "To")
        if to is None or to.text not in offsets:
            return None
        changes.append((offsets[to.text], _day(change) if local(change) != "Transition" else None))
    if len({o for o, _ in changes}) == 1:
        return zone_named(str(PosixZone(changes[0][0])))
    if len(changes) != 2 or any(day is None for _, day in changes):
        return None
    (standard, ends), (daylight, begins) = sorted(changes, key=lambda c: c[0])
    return zone_named(str(PosixZone(standard, daylight, begins, ends)))


def _bias(text: str) -> timedelta | None:
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    length = timedelta(days=int(found[2] or 0), hours=int(found[3] or 0), minutes=int(found[4] or 0))
    return -length if found[1] else length


def _day(change: Any) -> ChangeDay | None:
    """A RecurringDayTransition: the nth weekday of a month."""
    words = {local(child): (child.text or "").strip() for child in change}
    try:
        at = _bias(words["TimeOffset"])
        occurrence, day = int(words["Occurrence"]), _DAYS.index(words["DayOfWeek"])
        assert at is not None
        return ChangeDay(int(words["Month"]), 5 if occurrence == -1 else occurrence, day, int(at.total_seconds() // 60))
    except (KeyError, ValueError, AssertionError):
        return None
