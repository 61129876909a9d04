"""A record as one side holds it: an item of the groupware or an activity of the CRM.

The engine reads `fields` and hands the record back for an edit; `native` is the connector's own
object, in which it makes that edit, so that whatever we do not know survives (design §3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncd.model.fields import Fields

#: Begins what stands in a thread for the conversation in which a server puts its messages.
CONVERSATION = "conversation:"
#: Trait of a message: not everybody whom it names has an address that could be read, so nobody can say that all
#: of them are inside.
UNREAD = "unread-people"


@dataclass(frozen=True)
class Record:
    """One item or activity, read at one moment."""

    #: Where it lives in its replica (an href, a GUID); unique there.
    ref: str
    #: What changes whenever the record does (an ETag, a change number); "" when the side has none.
    version: str
    #: "event", "todo", "message", "appointment", "task" or "e-mail".
    kind: str
    fields: Fields
    #: iCalendar UID, a message's identity; for an activity the UID or external key that it carries, "" if none.
    uid: str = ""
    #: The key under which syncd created it, where the record can carry one.
    key: str = ""
    #: Address of the organiser (items, "" without; an organiser without an address by whatever else
    #: names him, which is no address and nobody's) or of the employee responsible (activities).
    owner: str = ""
    modified: datetime | None = None
    #: Of a message: its own Message-ID ("" without), then those that it answers, the thread's first first;
    #: then the server's own conversation, if it has such a thing.
    thread: tuple[str, ...] = ()
    #: Of a message: the folder in which it lies, and what kind of mail it is (`syncd.mail.headers`).
    folder: str = ""
    traits: frozenset[str] = frozenset()
    #: Of a message: what else its headers name that looks like an address. Nobody takes part because of it; it is
    #: there so that who is blocked is found in a broken list, too.
    mentioned: frozenset[str] = frozenset()
    #: Of an item: everybody who is invited, in its occurrences too, by address or by whatever else names
    #: him; without the calendar's owner, as far as the server says who that is.
    guests: frozenset[str] = frozenset()
    native: Any = field(default=None, compare=False, repr=False)
