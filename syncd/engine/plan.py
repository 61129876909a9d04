"""What is to be done about one link: the decision table of design §5, and nothing else. Pure.

Each side is in one of a few states; the table names the rule. The refinements below it are what an
administrator may choose (deletions), what a role forbids, and what a link at rest wakes up to.
"Rest" means: the link stays, both records stay, nothing crosses. A link is dropped only when both
records are gone; else the next edit of the survivor would look new and bring back, or double, what
a person had deleted. The link of a message or an invitation whose activity somebody deleted is not even
dropped then: what others sent comes back elsewhere (it was moved, it is sent once more, or a colleague
has it too), and must be known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from syncd.engine.allowed import Allowed, May
from syncd.mapping.schema import Deletions


class Item(Enum):
    """What the item's side can be."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    #: Withheld by the privacy filter, or only visible as less than it was.
    PRIVATE = "private"
    #: Outside the window, or not taken by the mapping's conditions.
    OUT = "out"


class Activity(Enum):
    """What the activity's side can be."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    #: Not this employee's any more, or private to somebody else.
    OUT = "out"


class Rule(Enum):
    """What is done."""

    NOTHING = "nothing"
    TO_ITEM = "push the fields to the item"
    TO_CRM = "push the fields to the activity"
    MERGE = "merge field by field"
    CREATE_CRM = "create the activity"
    CREATE_ITEM = "create the item"
    DELETE_ITEM = "delete the item"
    DELETE_CRM = "delete the activity"
    CANCEL = "cancel the activity"
    DECLINE = "record the answer: declined"
    REDACT = "take back what became private"
    TAKE_BACK = "take back the item that syncd made"
    UNFILE = "take back what the folder had filed"
    REST = "rest"
    WAIT = "wait: the guests must be told"
    DROP = "drop the link"


_I, _A, _R = Item, Activity, Rule

#: item \ activity        same          changed            gone               out
_GRID = {
    _I.SAME:    (_R.NOTHING,   _R.TO_ITEM,        _R.DELETE_ITEM,    _R.TAKE_BACK),
    _I.CHANGED: (_R.TO_CRM,    _R.MERGE,          _R.CREATE_CRM,     _R.REST),
    _I.GONE:    (_R.CANCEL,    _R.CREATE_ITEM,    _R.DROP,           _R.REST),
    _I.PRIVATE: (_R.REDACT,    _R.REDACT,         _R.DROP,           _R.REDACT),
    _I.OUT:     (_R.REST,      _R.REST,           _R.REST,           _R.REST),
}  # fmt: skip
TABLE = {(item, act): rule for item, line in _GRID.items() for act, rule in zip(_A, line, strict=True)}

#: Rules that a guard counts: each is a deletion, or comes of one.
GUARDED = frozenset({_R.DELETE_ITEM, _R.DELETE_CRM, _R.CANCEL, _R.DECLINE, _R.TAKE_BACK, _R.UNFILE})

#: Rules under which both sides are there and speak to each other.
SPEAKING = frozenset({_R.NOTHING, _R.TO_ITEM, _R.TO_CRM, _R.MERGE})

#: Roles of messages: "holder" has a copy of it; "filed" has one that is the CRM's business only because
#: it was put into a drop folder.
HOLDERS = ("holder", "filed")

#: Roles of what tells of an activity that did not begin with it: until something was agreed on, nobody has edited it.
_DERIVED = ("stand-in", "copy")

#: Roles of what somebody else sent: that the CRM wants nothing of it is remembered.
RECEIVERS = (*HOLDERS, "attendee", "stand-in")


@dataclass(frozen=True)
class Situation:
    """All that the decision depends on."""

    item: Item
    activity: Activity
    role: str
    #: Why the link rests, "" when it does not.
    rest: str = ""
    #: The appointment is over, the task is done.
    past: bool = False
    #: The employee is the one responsible for the activity.
    responsible: bool = True
    #: syncd made the item.
    ours: bool = False
    #: The activity's status means that it was rejected.
    rejected: bool = False
    #: Something has crossed of it that was not taken back yet, or its link was handed what had.
    brought: bool = False
    #: It was rejected, and is open again.
    reopened: bool = False
    #: The employee merely takes part in it, and has said no.
    declined: bool = False
    #: The mapping's conditions leave it out, not the window.
    left: bool = False
    #: Nothing of it was ever agreed on, or what was has been taken back.
    fresh: bool = False
    #: It was private, is shown again, and says what the CRM said when it became private.
    untouched: bool = False
    #: Its activity was there, and somebody deleted it.
    deleted: bool = False
    #: It has no activity: the one that it had was taken back, as a colleague's entry is private.
    unmade: bool = False
    #: Somebody has changed in the CRM what the item had brought there.
    edited: bool = False
    #: What may be written.
    may: Allowed | None = None
    #: Somebody's calendar shows the activity as its own: that the item is not here is not its end.
    elsewhere: bool = False
    #: A colleague's invitation shows that its organiser, who is none of ours, has not called it off.
    attended: bool = False
    #: The employee has it under another ref, here or in another calendar: that this one is gone is no answer.
    twice: bool = False
    #: And there it is the employee's own, or a colleague's to whom it was moved: a copy of it here is one too many.
    doubled: bool = False
    #: The clock went back: what rests because it was over may not be.
    anew: bool = False
    #: The activity is private, and not this employee's to see.
    hidden: bool = False
    #: It is our copy of an item that has become private, and its activity was taken back for that.
    retracted: bool = False
    #: It is, or was, a meeting with guests whom the employee invited.
    scheduled: bool = False
    #: What the CRM has changed waited until its guests were told, and then it went.
    waited: bool = False
    #: All that changed in the item are its guests' answers: nobody has edited the meeting.
    answered: bool = False
    #: All that changed in the activity is what those who take part have answered: nobody has edited it.
    replied: bool = False


@dataclass(frozen=True)
class Decision:
    """The rule, and why the link rests afterwards ("" when it does not)."""

    rule: Rule
    rest: str = ""


def decide(at: Situation, deletions: Deletions) -> Decision:
    """The decision for one link, as far as it may be carried out."""
    if at.activity is _A.GONE and at.item is _I.CHANGED and at.answered:
        at = replace(at, item=_I.SAME)  # an edit beats a deletion, and an answer is none
    if at.item is _I.GONE and at.activity is _A.CHANGED and at.replied:
        at = replace(at, activity=_A.SAME)
    return _permitted(at, _decided(at, deletions))


def _permitted(at: Situation, made: Decision) -> Decision:
    """The decision, or rest where what it asks for may not be done."""
    if at.may is None:
        return made
    ends = at.may.takes_back if made.rule is _R.TAKE_BACK and not at.rejected else at.may.ends_item
    if made.rule in (_R.DELETE_ITEM, _R.TAKE_BACK) and ends is not May.YES:
        if ends is May.WAITS and not at.past:
            return Decision(_R.WAIT)
        if at.activity is not _A.GONE:
            return Decision(_R.REST, "out")
        return Decision(_R.REST, "activity-gone" if at.past or at.may.writable else "not-allowed")
    if made.rule in (_R.CANCEL, _R.DELETE_CRM, _R.DECLINE, _R.CREATE_ITEM) and at.twice:
        return Decision(_R.DROP)  # the other link carries on: an older one would speak of what was
    if made.rule in (_R.CANCEL, _R.DELETE_CRM) and (at.elsewhere or _is_answer(at) or not at.may.ends_activity):
        return Decision(_R.REST, "item-gone")
    if made.rule is _R.DECLINE and not at.may.ends_activity:
        return Decision(_R.REST, "item-gone")
    if made.rule is _R.CREATE_CRM and not at.may.makes_activity:
        return Decision(_R.REST, "activity-gone")
    if made.rule is _R.CREATE_ITEM and ((at.ours and at.doubled) or not at.may.makes_item):
        return Decision(_R.REST, at.rest or "item-gone")
    return made


def _is_answer(at: Situation) -> bool:
    """True for our copy of what a customer organises: its end is not the meeting's, whoever answers for that."""
    return at.role == "copy" and at.attended


def _decided(at: Situation, deletions: Deletions) -> Decision:
    asleep = _asleep(at)
    if asleep is not None:
        return asleep
    rule = TABLE[at.item, at.activity]
    if rule is _R.DROP and at.item is _I.PRIVATE and at.role in (*RECEIVERS, "copy") and at.deleted:
        return Decision(_R.REST, "activity-gone")
    if at.role in HOLDERS:
        return _message(at, rule)
    guest = at.role in ("attendee", "stand-in")
    if at.ours and at.item in (_I.SAME, _I.CHANGED, _I.OUT) and _is_private_now(at):
        return Decision(_R.TAKE_BACK, "taken-back")  # privacy waits for no window
    if rule is _R.CANCEL:
        return _item_deleted(at, deletions, guest)
    if rule is _R.CREATE_ITEM and (guest or not (at.responsible or at.role == "block")):
        return Decision(_R.DECLINE, "declined")
    if rule is _R.CREATE_ITEM and at.elsewhere and not at.twice:
        return Decision(_R.REST, "item-gone")
    if rule is _R.CREATE_ITEM and (at.rejected or at.past):
        return Decision(_R.REST, "item-gone")
    if rule is _R.CREATE_ITEM and (at.role == "block" or (at.scheduled and not at.ours) or at.waited):
        # of a block of time nothing could be made again; and guests have been told that their meeting is off
        ended = _item_deleted(at, deletions, guest)
        return ended if ended.rule is not _R.DELETE_CRM else Decision(_R.REST, "item-gone")
    if rule is _R.CREATE_CRM and (at.role == "attendee" or (at.role in _DERIVED and at.fresh and at.deleted)):
        return Decision(_R.REST, "activity-gone")
    if rule is _R.DELETE_ITEM and (guest or deletions.activity_gone == "keep"):
        return Decision(_R.REST, "activity-gone")
    if rule is _R.TAKE_BACK or (rule is _R.REST and at.activity is _A.OUT and at.untouched):
        return Decision(_R.TAKE_BACK, "taken-back") if at.ours else Decision(_R.REST, "out")
    nothing = at.ours or (not at.brought and (at.fresh or at.role == "attendee"))
    if rule is _R.REDACT and at.activity is _A.OUT and nothing:
        return Decision(_R.REST, "private")  # of it nothing has crossed
    if rule is _R.REDACT:
        return Decision(rule, "private")
    if rule is _R.REST:
        return Decision(rule, _why(at))
    if at.ours and at.doubled and at.item is _I.SAME:
        return Decision(_R.TAKE_BACK, "taken-back")
    if _rejection_deletes(at, deletions, guest):
        return Decision(_R.TAKE_BACK, "taken-back")
    return Decision(rule)


def _is_private_now(at: Situation) -> bool:
    """True for our copy of what may not be seen here any more: its activity is somebody else's private one, or went as
    the item that it was made of became private."""
    return (at.activity is _A.OUT and at.hidden) or (at.activity is _A.GONE and at.retracted)


def _message(at: Situation, rule: Rule) -> Decision:
    """What was said was said: mail that is deleted stays in the CRM, a log that is deleted there leaves
    the mail alone and does not come back. Only what a drop folder filed goes when it is taken out, unless somebody
    has edited the log: an edit beats a deletion."""
    if at.role == "filed" and at.activity is not _A.GONE and (at.item is _I.GONE or at.left):
        if at.edited:
            return Decision(_R.REST, "item-gone" if at.item is _I.GONE else "out")
        return Decision(_R.UNFILE, "private")
    if rule is _R.REDACT:
        return Decision(rule, "private")
    if at.item is _I.GONE:
        return _both_gone(at) if at.activity is _A.GONE else Decision(_R.REST, "item-gone")
    if at.activity is _A.GONE and at.item in (_I.SAME, _I.CHANGED) and not (at.fresh and not at.deleted):
        return Decision(_R.REST, "activity-gone")
    if rule in (_R.TAKE_BACK, _R.DELETE_ITEM):
        return Decision(_R.REST, "out")
    return Decision(rule, _why(at)) if rule is _R.REST else Decision(rule)


def _both_gone(at: Situation) -> Decision:
    """There is nothing left to keep in step. Of what others sent it is remembered that somebody wanted no activity
    of it, or that would come back with the next copy. What is kept is a row and a link, digests only, and never more
    of them than activities were deleted by hand; forgetting the employee removes them."""
    if at.rest == "declined":
        return Decision(_R.REST, at.rest)  # that stays said, if the meeting is there again
    return Decision(_R.REST, "item-gone") if at.role in RECEIVERS and at.deleted else Decision(_R.DROP)


def _asleep(at: Situation) -> Decision | None:
    """What a link does that settled a deletion earlier; None when it is awake."""
    if at.anew and not at.past and _kept_as_past(at):
        return None
    both = at.item is _I.GONE and at.activity is _A.GONE
    back = at.item in (_I.SAME, _I.CHANGED)
    if at.unmade and back and at.role == "stand-in":
        return Decision(_R.CREATE_CRM)
    if at.rest == "item-gone" and back and at.activity is _A.GONE and at.role in RECEIVERS and at.deleted:
        return Decision(_R.REST, "activity-gone")
    if at.rest == "item-gone" and at.item is _I.OUT and at.activity is _A.GONE:
        return Decision(_R.REST, at.rest)  # until it is taken again: that its activity went with it was no deletion
    if at.rest == "item-gone" and back and at.activity is _A.GONE and at.role not in ("attendee", "stand-in"):
        return Decision(_R.CREATE_CRM)  # brought back, before it was seen that the activity went with it
    if at.item is _I.GONE and _comes_back(at):
        return Decision(_R.CREATE_ITEM)
    if at.rest in ("item-gone", "declined") and at.item is _I.GONE and not (at.twice and at.role not in HOLDERS):
        return _both_gone(at) if both else Decision(_R.REST, at.rest)
    if at.rest == "private" and at.item is _I.GONE and at.role not in HOLDERS:  # what is left in the CRM is the CRM's
        return Decision(_R.DROP if both else _R.REST, "" if both else "item-gone")
    if at.rest == "activity-gone" and at.activity is _A.GONE and not (at.item is _I.CHANGED and _only_goes_up(at)):
        return _both_gone(at) if both else Decision(_R.REST, at.rest)
    if at.rest == "taken-back" and at.item is _I.GONE:
        if at.activity is _A.GONE:
            return Decision(_R.DROP)
        if at.activity is _A.OUT or at.rejected or at.declined:
            return Decision(_R.REST, at.rest)
        return Decision(_R.CREATE_ITEM)
    return None


def _comes_back(at: Situation) -> bool:
    """Whoever cleared a cancelled appointment away gets it again when it takes place after all, and so does who has
    declined and answers for it now: one that can be made, and that no guests were told of."""
    again = at.reopened if at.rest == "item-gone" else at.rest == "declined" and at.responsible and not at.rejected
    if not again or at.activity in (_A.GONE, _A.OUT) or at.past:
        return False
    return at.ours or (at.role not in RECEIVERS and at.role != "block" and not at.elsewhere and not at.scheduled)


def _only_goes_up(at: Situation) -> bool:
    """True where a deletion in the CRM never reaches the item, by the mapping's direction: an edit of the item makes
    the activity again."""
    return at.may is not None and at.may.lens.mapping.direction == "to-crm"


def _kept_as_past(at: Situation) -> bool:
    """A deletion that a clock which was ahead has settled as one of something that is over."""
    if at.rest == "item-gone":
        return at.item is _I.GONE and at.activity is _A.SAME and not at.rejected
    return at.rest == "activity-gone" and at.activity is _A.GONE and at.item is _I.SAME


def _item_deleted(at: Situation, deletions: Deletions, guest: bool) -> Decision:
    if at.rejected and (guest or (at.ours and not at.responsible)):
        return Decision(_R.REST, "item-gone")  # cleared away, not declined
    block = at.role == "block"  # it stands for this entry alone
    if guest or not (at.responsible or block):
        return Decision(_R.DECLINE, "declined")
    if (at.past and deletions.past == "keep") or deletions.item_gone == "keep":
        return Decision(_R.REST, "item-gone")
    if deletions.item_gone == "delete":
        return Decision(_R.DELETE_CRM, "item-gone")
    return Decision(_R.CANCEL, "item-gone")


def _rejection_deletes(at: Situation, deletions: Deletions, guest: bool) -> bool:
    """The mapping wants the item gone when the activity is rejected, and nobody edited the item."""
    unedited = at.item is _I.SAME and at.activity in (_A.SAME, _A.CHANGED)
    may = at.may is None or at.may.ends_item is May.YES
    return at.rejected and unedited and not guest and may and deletions.activity_rejected == "delete"


def _why(at: Situation) -> str:
    if at.item is _I.PRIVATE:
        return "private"
    if at.item is _I.OUT:
        return "out"
    return "item-gone" if at.item is _I.GONE else "out"
