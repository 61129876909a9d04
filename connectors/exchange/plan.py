"""What a write of a series still owes to its occurrences.

Exchange forgets moved and deleted occurrences when the time or the rule of their series is written, and they are
written again one by one. So the request that makes them go says, in a property of our own on the item, what is
to stand there in the end. It is taken away when all is written. Until then whoever reads the item reads the plan
with it: what is missing is not what somebody wished. A plan holds for the series that it was written with; when a
person has given it another time or rule, that person's word counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from connectors.exchange.edit import cancelled
from connectors.exchange.xml import CANCELLED, PLAN, STATE, Edit, T, el, extended, local, said, words, written, yes
from syncd.model.fields import normal_text


@dataclass(frozen=True)
class Plan:
    """What is to stand in the end."""

    #: Rule and start (its key) of the series.
    series: tuple[str, str]
    #: Original starts of the occurrences that are left out.
    without: frozenset[str] = frozenset()
    #: Original start -> in what the occurrence differs.
    differing: Mapping[str, Sequence[Edit]] = field(default_factory=lambda: MappingProxyType({}))
    #: What the series itself held before, of what is written into it: an occurrence that still holds it follows.
    before: Sequence[Edit] = ()
    #: `differing` says of its occurrences all that they are to differ in: the rest is as in the series.
    whole: bool = False

    def __bool__(self) -> bool:
        return bool(self.without or self.differing or self.before)

    def text(self) -> str:
        """As it stands in the property."""
        from lxml import etree

        rule, start = self.series
        made = etree.Element("plan", rule=rule, start=start, whole=str(int(self.whole)))
        for key in sorted(self.without):
            etree.SubElement(made, "without", at=key)
        for key, edits in sorted(self.differing.items()):
            etree.SubElement(made, "differing", at=key).extend(_kept(edits))
        etree.SubElement(made, "before").extend(_kept(self.before))
        return str(etree.tostring(made, encoding="unicode"))


def _kept(edits: Iterable[Edit]) -> Iterator[Any]:
    from lxml import etree

    for uri, value in edits:
        made = etree.Element("edit", uri=uri if isinstance(uri, str) else "")
        if value is not None:
            made.append(deepcopy(value))
        yield made


def plan_of(item: Any, series: tuple[str, str]) -> Plan | None:
    """The plan that an item carries, if it is this series'."""
    from lxml import etree

    text = extended(item).get(PLAN, "")
    if not text:
        return None
    try:
        read: Any = etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
        if (read.get("rule"), read.get("start")) != series:
            return None
        return Plan(
            series,
            frozenset(each.get("at") for each in read.findall("without")),
            {each.get("at"): _edits(each) for each in read.findall("differing")},
            _edits(read.find("before")),
            read.get("whole") == "1",
        )
    except (etree.XMLSyntaxError, ValueError, TypeError):
        return None


def carries(item: Any) -> bool:
    """True for an item with a plan, its own or one that no longer holds."""
    return bool(extended(item).get(PLAN))


def _edits(element: Any) -> list[Edit]:
    found: list[Edit] = []
    for each in element if element is not None else ():
        value: Any = each[0] if len(each) else None
        found.append((each.get("uri") or value[0], value))
    return found


def believed(plan: Plan, master: Any, there: Mapping[str, Any], deleted: Collection[str], at: Any) -> dict[str, Any]:
    """Original start -> the occurrence that differs, as it is and as the plan has it; what stands there already
    counts before the plan. `at`: original start -> (start, end) of the occurrence that does not differ."""
    found = {key: deepcopy(element) for key, element in there.items()}
    for key, element in found.items():
        apply(element, followed(plan, master, element, key))
    for key, edits in plan.differing.items():
        if key not in found and key not in deleted and edits:
            found[key] = occurrence(master, *at(key))
            apply(found[key], edits)
    return found


def held_before(item: Any, edits: Iterable[Edit]) -> list[Edit]:
    """What the series holds now of what is about to be written into it, and an occurrence may have from it."""
    found: list[Edit] = []
    for uri, value in edits:
        if not isinstance(uri, str):
            if uri.get("PropertyId") == STATE:
                found.append(("calendar:IsCancelled", el("t:IsCancelled", text=str(yes(item, "IsCancelled")).lower())))
        elif not uri.startswith("calendar:") or uri in ("calendar:Location", "calendar:LegacyFreeBusyStatus"):
            found.append((uri, item.find(tag_of(uri, value))))
    return found


def followed(plan: Plan, master: Any, element: Any, key: str) -> list[Edit]:
    """The edits that make an occurrence follow its series in what it has from it, and not by a word of its own."""
    made: list[Edit] = []
    own = {uri for uri, _ in plan.differing.get(key, ()) if isinstance(uri, str)}
    for uri, was in plan.before:
        tag = tag_of(uri, was)
        now, holds = master.find(tag), element.find(tag)
        if uri in own or not same_value(holds, was) or same_value(now, was):
            continue
        if uri == "calendar:IsCancelled":  # is written by another name
            made += cancelled(yes(master, "IsCancelled"), element)
        else:
            made.append((uri, deepcopy(now)))
    return made


def occurrence(master: Any, start: datetime, end: datetime) -> Any:
    """The element of an occurrence in which nothing differs."""
    made = deepcopy(master)
    for name in ("Recurrence", "ModifiedOccurrences", "DeletedOccurrences", "ExtendedProperty", "ItemId"):
        for each in made.findall(T + name):
            made.remove(each)
    apply(
        made, [("calendar:Start", el("t:Start", text=written(start))), ("calendar:End", el("t:End", text=written(end)))]
    )
    return made


def apply(element: Any, edits: Iterable[Edit]) -> None:
    """Makes the edits in an element that was read."""
    for uri, value in edits:
        if value is not None and local(value) == "ExtendedProperty":
            if value[0].get("PropertyId") == STATE:
                text = "true" if int(said(value, "Value") or 0) & CANCELLED else "false"
                apply(element, [("calendar:IsCancelled", el("t:IsCancelled", text=text))])
            continue
        old = element.find(tag_of(uri, value))
        if old is not None:
            element.remove(old)
        if value is not None:
            element.append(deepcopy(value))


def tag_of(uri: Any, value: Any) -> str:
    """The element of a property."""
    return str(value.tag) if value is not None else T + str(uri).partition(":")[2]


def same_value(one: Any, other: Any) -> bool:
    """True when two elements of a property say the same, or neither is there."""
    return _said(one) == _said(other)


def _said(element: Any) -> tuple[Any, ...]:
    if element is None:
        return ()
    if local(element) == "Body":
        return (normal_text(words(element)),) if words(element).strip() else ()
    text = " ".join((element.text or "").split())
    children = tuple(_said(child) for child in element if isinstance(child.tag, str))
    return (local(element), text, *children) if text or children else ()
