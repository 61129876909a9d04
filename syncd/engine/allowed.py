"""What may be written for one link: one answer for each field, each element of it, and each deletion. Pure.

Everything that limits a write meets here: the mapping's directions, the link's role, an account that is read
only, what privacy shows less of than there is, and guests who would hear of it or not. Nothing is written,
made or deleted that has not asked here, and `plan` asks the same question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from syncd.engine.pairing import Employee
from syncd.engine.roles import GUESTS
from syncd.mapping.lens import Lens
from syncd.mapping.schema import Guests
from syncd.model.fields import Fields
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import Telling
from syncd.privacy import Admission


class May(Enum):
    """The answer."""

    YES = "yes"
    #: It stays where it was made.
    NO = "no"
    #: The guests must be told first: somebody changes it in the calendar.
    WAITS = "waits"


#: What guests act on, in the item's terms.
ACTED_ON = frozenset({"time", "due", "start", "location", "recurrence", "status"})


#: What says when something is, and whether at all.
_WHEN = frozenset({"time", "due", "start", "status"})


@dataclass(frozen=True)
class Allowed:
    """What one link may write."""

    lens: Lens
    role: str
    #: The account takes writes.
    writable: bool = True
    #: All of the item is seen.
    whole: bool = True
    #: Original starts of the occurrences that are not seen, or only as less than they are.
    masked: frozenset[str] = frozenset()
    #: The occurrence that the link is about, "" for the item as a whole.
    occurrence: str = ""
    #: Somebody besides the employee, who organises it, is invited.
    guests: bool = False
    #: Asks what the server tells them, once there is something to be told.
    telling: Callable[[], Telling] = lambda: Telling.TELLS
    #: The address under which the employee answers, for an attendee's copy.
    me: str = ""
    #: The employee answers for the activity.
    responsible: bool = True
    #: The employee did so when both sides last agreed, although somebody else does now.
    lately: bool = False
    #: It has taken place, and nobody moves it to another day: no guest is told of that any more.
    over: bool = False
    #: The item says that it is private, though all of it may be seen.
    secret: bool = False
    #: Says of an original start whether that date of the series is over.
    passed: Callable[[str], bool] = lambda _key: False

    # -- fields ----------------------------------------------------------------------------------------------

    def up(self, name: str, element: str = "") -> bool:
        """True when the field (or this element of it) may go to the activity."""
        if self.lens.rules[name].direction not in ("both", "to-crm"):
            return False
        if self.role == "attendee":
            return name == "participants" and (not element or element == self.me)
        if self.role != "copy":
            return True
        item = self.lens.rules[name].item
        if self.secret and not self.responsible and item not in _WHEN:
            return False  # what is typed where its holder has made it private is read by nobody else
        if item == "sensitivity" or name == "participants":
            return self.responsible  # what a colleague hides, or whom he asks along, is his copy's affair
        return not (item == "recurrence" and self._is_private_to_copy(element))

    def _is_private_to_copy(self, element: str) -> bool:
        """Which dates a copy hides, or leaves out, is the affair of whoever holds it; the series is changed by who
        answers for it."""
        what, _, rest = element.partition(" ")
        if rest.partition(" ")[0] in self.masked:
            return True
        return not (self.responsible or self.lately) and what != "over"

    def down(self, name: str, element: str = "") -> May:
        """Whether the field (or this element of it) may go to the item."""
        if self.lens.rules[name].direction not in ("both", "to-groupware") or not self._item_is_open:
            return May.NO
        if self.role == "copy" and name == "participants":
            return May.NO
        if self._touches_masked(name, element) or self.moves_masked(name, element):
            return May.NO
        if self.guests:
            return self._with_guests(acted_on=self._acted_on(name, element), tell=self.tells(name, element))
        return May.YES

    @property
    def _item_is_open(self) -> bool:
        return self.writable and self.role not in (*GUESTS, "block") and self.occurrence not in self.masked

    def _touches_masked(self, name: str, element: str) -> bool:
        """An element of a recurrence is about one occurrence."""
        return self.lens.rules[name].item == "recurrence" and element.partition(" ")[2].partition(" ")[0] in self.masked

    def moves_masked(self, name: str, element: str = "") -> bool:
        """True for what would move, or end, a date that is private, and not over: the time of the series moves each
        of its occurrences, its rule may end them. One that is over holds nothing up: nobody is waiting for it."""
        item, what = self.lens.rules[name].item, element.partition(" ")[0]
        moves = item == "time" or (item == "recurrence" and what in ("", "rule", "rdate"))
        return moves and any(not self.passed(key) for key in self.masked)

    def _acted_on(self, name: str, element: str) -> bool:
        item = self.lens.rules[name].item
        if item == "recurrence" and element.startswith("over "):
            inner = self.lens.rules.get(element.split(" ")[2])
            item = inner.item if inner is not None else item
        return item in ACTED_ON

    def _with_guests(self, *, acted_on: bool, tell: bool) -> May:
        policy: Guests = self.lens.mapping.guests
        if tell:
            return May.YES
        if policy == "wait" and acted_on:
            return May.WAITS
        return May.WAITS if self.telling() is Telling.TELLS else May.YES

    # -- whole records ---------------------------------------------------------------------------------------

    @property
    def ends_item(self) -> May:
        """Whether the item (or the occurrence) may be deleted."""
        if self.lens.mapping.direction == "to-crm" or not self._item_is_open:
            return May.NO
        if not self.whole and (not self.occurrence or self.occurrence in self.masked):
            return May.NO
        return self._with_guests(acted_on=True, tell=self.tell) if self.guests else May.YES

    @property
    def takes_back(self) -> May:
        """Whether our copy may be taken back: the meeting goes on without the employee, and no guest is to hear of
        it."""
        if not self.guests or self.ends_item is May.NO:
            return self.ends_item
        return self._with_guests(acted_on=True, tell=False)

    @property
    def quietly(self) -> May:
        """Whether something that no guest acts on, nor is to hear of, may go to the item."""
        return self._with_guests(acted_on=False, tell=False) if self.guests else May.YES

    @property
    def makes_item(self) -> bool:
        """True when a copy may be made, or made again."""
        return self.writable and self.lens.mapping.direction != "to-crm"

    @property
    def ends_activity(self) -> bool:
        """True when the item's end may be an end, or an answer, in the CRM."""
        return self.lens.mapping.direction != "to-groupware"

    @property
    def makes_activity(self) -> bool:
        """True when the item may make an activity."""
        return self.lens.mapping.direction != "to-groupware"

    @property
    def tell(self) -> bool:
        """True when the administrator wants the server to tell the guests, and there is something to be told."""
        return self.lens.mapping.guests == "tell" and not self.over

    def tells(self, name: str, element: str = "") -> bool:
        """True when the guests are to be told of a write of this field, or of this element of it: of a date that is
        over they are not."""
        if not self.tell or self.lens.rules[name].item != "recurrence":
            return self.tell
        what, _, rest = element.partition(" ")
        return not (what in ("exdate", "rdate", "over") and self.passed(rest.partition(" ")[0]))


def has_guests(record: Record, employee: Employee) -> bool:
    """True when somebody besides the employee is invited, to the item or to one of its occurrences."""
    invited: set[str] = set(record.guests)
    invited.update(record.fields.get("attendees") or People())
    recurrence = record.fields.get("recurrence")
    if recurrence is not None:
        for changed in recurrence.overrides.values():
            invited.update(changed.get("attendees") or People())
    return bool(invited - set(employee.addresses))


def allowed(
    lens: Lens,
    employee: Employee,
    role: str,
    *,
    writable: bool,
    admission: Admission | None,
    occurrence: str,
    guests: bool,
    telling: Callable[[], Telling],
    view: Fields,
    responsible: bool,
    lately: bool = False,
    over: bool = False,
    passed: Callable[[str], bool] = lambda _key: False,
    own_dates: frozenset[str] = frozenset(),
) -> Allowed:
    """What a link with this role may write, given what is seen of its item; `view` is the item in the
    activity's terms; `own_dates` are nobody else's, although they are seen."""
    people = view.get("participants")
    return Allowed(
        lens,
        role,
        writable=writable,
        whole=admission is None or (admission.whole and not own_dates),
        masked=own_dates | (admission.masked if admission is not None else frozenset()),
        occurrence=occurrence,
        guests=guests,
        telling=telling,
        me=employee.among(people) if isinstance(people, People) else "",
        responsible=responsible,
        lately=lately,
        over=over,
        secret=bool(view.get("private")),
        passed=passed,
    )


__all__ = ["ACTED_ON", "Allowed", "May", "allowed", "has_guests"]
