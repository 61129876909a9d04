"""The oracle itself: a trail on which it once raised a false alarm (seed 910125 of an early soak), and the fault that
it is there for.
"""

from __future__ import annotations

from random import Random

import pytest

from tests.properties.world import Broken, Choices, World


def world() -> World:
    return World(
        Random(1),  # every step is written out below: nothing is drawn but what the rest in the end draws
        Choices(
            calendars=1,
            series=True,
            cut=None,
            silent_crm=False,
            silent_items=False,
            secretly=14,
            seconds=60,
            word="groupware",
            item_gone="cancel",
            merge_notes=False,
            faults=0.0,
            history=True,
        ),
    )


def made(house: World) -> tuple[str, str]:
    """An activity of the employee's, and the copy that a pass has made of it."""
    fields = {
        "subject": house.token("s", short=True),
        "location": house.token("l", short=True),
        "notes": house.token("n", short=True),
    }
    house.crm.put("a1", "appointment", {**fields, "time": house.span(), "status": "open", "private": False,
                  "categories": frozenset()}, owner="p0@us.example")  # fmt: skip
    house.sync(house.pairings[0])
    (ref,) = house.calendars["p0"].records
    return "a1", ref


def turned(house: World, ref: str) -> None:
    """The employee leaves the copy out of the mapping, or takes it in again."""
    held = house.calendars["p0"].records[ref].fields.get("categories", frozenset())
    house.calendars["p0"].edit(ref, categories=held ^ {"Skip"})


def test_a_copy_whose_words_are_old_goes_with_the_activity_that_a_person_deleted() -> None:
    house = world()
    activity, copy = made(house)
    turned(house, copy)
    house.sync(house.pairings[0])
    for name, letter in (("location", "l"), ("notes", "n")):
        house.crm.edit(activity, **{name: house.token(letter, short=True)})
        house.sync(house.pairings[0])
    turned(house, copy)
    house.crm.edit(activity, subject=house.token("s", short=True))
    house._end(house.crm.records[activity])  # a person's deletion, as the world's own step makes it
    house.crm.remove(activity)
    house.quiesce()
    assert not house.calendars["p0"].records
    house.store.close()


def test_a_copy_that_goes_though_nobody_deleted_anything_is_a_fault() -> None:
    house = world()
    _, copy = made(house)
    marks = {id(r): len(r.log) for r in (house.crm, *house.calendars.values())}
    replica = house.calendars["p0"]
    replica.delete(replica.fetch([copy])[copy], tell=False)  # type: ignore[arg-type]
    with pytest.raises(Broken, match="nobody had deleted anything"):
        house.check_writes(marks)
    house.store.close()
