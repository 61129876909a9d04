"""The port between the engine and every system, and the words that both use.

*Replica*: a collection that we can follow and change: one calendar, one task list, the activities
of a CRM. *Ref*: where a record lives in it. *Version*: what changes when the record changes; a
version that a link already holds is our own echo. *Cursor*: how far we have read the feed; opaque
text, "" for the beginning. *Key*: what makes a create idempotent: the same key never makes a second
record, and `find` answers what became of it.

A connector promises: it raises nothing but `PortError`s; it edits the native object in place; it
sends nobody any mail; `fetch` answers for every ref it is asked for. Whoever passes
tests/conformance is a connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

from syncd.model.fields import Fields, Limit
from syncd.model.record import Record


class PortError(Exception):
    """Everything that may leave a connector. The message is for people and never quotes content."""


class Transient(PortError):
    """Try again later: back off this mailbox. `retry_after` in seconds, when the server said it."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stale(PortError):
    """The record is not at the expected version: look again and plan again."""


class Gone(PortError):
    """The record is not there: a deletion seen."""


class Rejected(PortError):
    """This record, or this write, cannot be done: park the link with the reason."""


class AuthFailed(PortError):
    """The sign-in does not hold: stop this account and say so."""


class CursorExpired(PortError):
    """The server no longer knows the cursor: compare in full."""


class Replaced(PortError):
    """The server is not the one that gave the cursor, or is an older state of it: what it says is no news, and nothing
    is done until the right one is back."""


class Unsupported(PortError):
    """The side cannot hold this: park the link."""


class Exists(Rejected):
    """A create was refused because its key exists: ask `find` and take it as recovered."""


@dataclass(frozen=True)
class Capabilities:
    """What a replica holds, so that the engine can predict what becomes of a write."""

    #: Record kinds: "event", "todo", "message"; "appointment", "task", "e-mail".
    kinds: frozenset[str]
    #: Fields it can hold; None: all of the kind's.
    fields: frozenset[str] | None = None
    limits: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))
    #: Series as such, or none of them (then the engine expands them).
    series: Literal["series", "none"] = "series"
    #: Keeps a history in which a lost value can be found again.
    history: bool = False
    writable: bool = True
    #: A write that answers with a version is held as the limits predict (RFC 4791 §5.3.4 promises it
    #: for an ETag). False: every write is read back, as the server may shape it without saying so.
    exact: bool = True
    #: Field -> the only words that it takes (a CRM's status list).
    words: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))

    def limit(self, name: str) -> Limit:
        """The limit of a field; without one, a limit that changes nothing."""
        return self.limits.get(name, Limit())


@dataclass(frozen=True)
class Change:
    """A feed's announcement that a record was made, changed or removed."""

    ref: str
    version: str = ""
    gone: bool = False
    #: CRM only: addresses of the employee responsible and all who take part, to route the change.
    people: frozenset[str] = frozenset()
    kind: str = ""


@dataclass(frozen=True)
class Page:
    """Part of a feed, and the cursor that stands behind it."""

    changes: Sequence[Change]
    cursor: str
    #: True on the last page of a listing that began at cursor "": what it did not name is not there.
    complete: bool = False
    #: In a listing: refs that are there, but no news to those who have not linked them.
    there: Sequence[str] = ()


@dataclass(frozen=True)
class Written:
    """What became of a write."""

    ref: str
    #: None when the server does not say, or more was changed than was asked (a task that is completed has 100 %); the
    #: link is then looked at once more.
    version: str | None


@runtime_checkable
class Tidying(Protocol):
    """A CRM whose files keep what was taken back for a while."""

    def tidy(self) -> bool:
        """Overwrites what was taken back; False where that has to be done once more, as somebody is reading it."""


class Replica(Protocol):
    """A collection that we can follow and change."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can hold."""

    def changes(self, cursor: str) -> Iterator[Page]:
        """What happened since `cursor`, page by page. Raises CursorExpired, Transient, AuthFailed."""

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        """Each ref's record, or why there is none: Gone, or Rejected when it cannot be read."""

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        """Make a record under an idempotent key. Raises Exists when the key is taken."""

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        """Write these fields into `record`, if it is still at its version. `tell`: the server may tell the
        guests of a meeting (see `Scheduling`); without it nobody is told, or nothing is written.
        Raises Stale, Gone; Unsupported where nothing keeps the server quiet."""

    def delete(self, record: Record, *, tell: bool = False) -> None:
        """Remove the record, if it is still at its version; `tell` as in `update`. Raises Stale, Gone,
        Unsupported."""

    def find(self, key: str, uid: str) -> Record | None:
        """The record that `create` made under the key, if it arrived."""

    @property
    def requests(self) -> int:
        """How many requests went to the server since the replica was opened."""


@runtime_checkable
class Watchable(Protocol):
    """A replica that can tell that something changed, without being asked."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed`, from a thread of the connector's, soon after something happened in the collection,
        or may have happened unseen. Returns what ends the watch. Raises nothing: a server that cannot be
        watched is asked at intervals all the same."""


class Telling(Enum):
    """What a server does with a write into a meeting that has guests."""

    #: It schedules nothing: nobody hears of it.
    NOBODY = "nobody"
    #: It schedules, and keeps quiet when it is asked to.
    CAN_BE_ASKED = "can be asked"
    #: It tells them, or nobody knows that it does not.
    TELLS = "tells"


@runtime_checkable
class Scheduling(Protocol):
    """A replica whose server may tell the guests of a meeting what is written into it (RFC 6638)."""

    def telling(self) -> Telling:
        """What its server does, by evidence that the connector's documentation names; what is unknown
        tells. Asked at most once a pass. Raises Transient, AuthFailed."""


def telling_of(replica: object) -> Telling:
    """What the server of a replica does with a write into a meeting that has guests."""
    return replica.telling() if isinstance(replica, Scheduling) else Telling.NOBODY


@dataclass(frozen=True)
class Probe:
    """What was seen when a server was asked to keep quiet about a meeting (see `Probing`)."""

    #: What the server says of itself; the result holds for no other.
    identity: str
    #: False: an ordinary invitation was not seen to arrive either, so nothing is known.
    conclusive: bool
    #: What the guest got to see of what should have been quiet, for people.
    heard: Sequence[str] = ()


@runtime_checkable
class Probing(Protocol):
    """A replica whose server can be tried out with a meeting of two people who know of it."""

    def probe(self, guest: Replica, *, aloud: str, quiet: str, wait: float) -> Probe:
        """Makes a meeting in this calendar, invites the owner of `guest` (a replica of the same kind), edits, moves
        and deletes it with what is known to keep a server quiet, looks at everything that the guest has, and
        clears up. News may be on its way for `wait` seconds. `aloud` and `quiet`: what a meeting is called
        of which the guest may hear, and of which not. Raises Rejected where there is nothing to try,
        Transient, AuthFailed, Gone."""


@runtime_checkable
class Finishing(Protocol):
    """A replica that needs several requests for one write. Its `fetch` finishes what an earlier write of ours left
    half done, before it answers."""

    def look(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        """As `fetch`, but writes nothing: what is half done shows as if it were done."""


@runtime_checkable
class Expecting(Protocol):
    """A replica whose server can work while we do."""

    def expect(self, refs: Sequence[str]) -> None:
        """`fetch` will be called with just these refs next: its answer may be asked for already.
        Raises nothing; what goes wrong shows in `fetch`."""


@runtime_checkable
class Partial(Protocol):
    """A replica of messages: `fetch` reads headers and structure only, and what is left out is asked
    for when it is known that it may cross."""

    def complete(self, records: Sequence[Record], wanted: frozenset[str]) -> Sequence[Fields | PortError]:
        """For each record the fields of `wanted` (text, attachments, contents, invitation) that it has;
        `contents`: attachments with their octets."""


@runtime_checkable
class Marking(Protocol):
    """A replica that can show people what was logged (a keyword, a copy, a move)."""

    def mark(self, refs: Sequence[str], *, logged: bool) -> None:
        """Shows that these are logged, or no longer. Done twice it is done once; what is gone is passed
        over. Raises Transient, AuthFailed, Rejected (the server takes no such mark)."""


@runtime_checkable
class Naming(Protocol):
    """A replica in which the configuration names folders."""

    def unmatched(self) -> Sequence[str]:
        """The names that are no folder's. Raises Transient, AuthFailed."""


@dataclass(frozen=True)
class Correspondent:
    """Whom the CRM knows by an address."""

    #: employee, contact or account.
    kind: str
    contact: str = ""
    account: str = ""


@runtime_checkable
class Filing(Protocol):
    """A CRM in which messages can be filed."""

    def correspondents(self, addresses: Iterable[str]) -> Mapping[str, Correspondent]:
        """Whom the CRM knows by exactly these addresses."""

    def accounts_at(self, domains: Iterable[str]) -> Mapping[str, str]:
        """Domain -> the account to which all that the CRM knows at this domain belong; a domain of
        several accounts, or of none, is not named."""

    def transactions(self, numbers: Iterable[str]) -> Mapping[str, str]:
        """Number -> "type number" of the business transactions that there are."""

    def lead(self, address: str, name: str, key: str) -> str:
        """Makes a lead for somebody whom the CRM does not know, once for a key: "lead number"."""


@runtime_checkable
class Lasting(Protocol):
    """A CRM that can tell whether it still is what it was when it gave a cursor."""

    def recognise(self, cursor: str) -> None:
        """Raises Replaced when another CRM gave the cursor, or a newer state of this one (put back from a backup)."""


@runtime_checkable
class Knowing(Protocol):
    """A CRM that can say whether it knows others than before."""

    def people_version(self) -> str:
        """Changes whenever an address that `Crm.known` knows is added, changed or removed."""


@dataclass(frozen=True)
class Create:
    """One of several records to be made: what `create` takes."""

    fields: Fields
    key: str
    kind: str
    uid: str
    owner: str


@runtime_checkable
class Batching(Protocol):
    """A replica that makes many records in one request."""

    def create_all(self, creates: Sequence[Create]) -> Sequence[Written | PortError]:
        """Make each, or say why not, in their order; one that fails stops no other. Raises Transient
        and AuthFailed: then any of them may have arrived."""


class Crm(Replica, Protocol):
    """The hub: a replica of activities that also knows people and keeps a history."""

    def candidates(self, records: Sequence[Record], owner: str) -> Sequence[Sequence[Record]]:
        """For each record the activities in which `owner` takes part and that may be this item: the
        same UID, or the same time; the engine compares."""

    def known(self, addresses: Iterable[str]) -> Mapping[str, str]:
        """Which of the addresses the CRM knows: address -> "employee", "contact" or "account"."""

    def statuses(self) -> Mapping[str, str]:
        """Status code -> "open", "completed" or "rejected": what it means for a calendar."""

    def remember(self, ref: str, lines: Mapping[str, str], key: str) -> None:
        """Keep values that lost a conflict in the activity's history: field -> value.
        The same key is kept once (a retry adds nothing)."""

    def redact(self, record: Record, kept: Fields) -> Written | None:
        """Take the content of the record back, its history too: only `kept` stays, with the values
        given there (an appointment whose time may not stay has None, whatever its database says for it); with
        nothing kept the record itself goes. Returns None when it is gone. Raises Stale, Gone."""
