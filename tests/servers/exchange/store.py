"""Mailboxes, folders and items of the server, its journal of changes, and its outbox."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from syncd.outlook.zones import iana_of
from tests.servers.exchange.occurrences import occurrences
from tests.servers.exchange.schema import T

#: Distinguished folders: (id, display name, element, parent).
DISTINGUISHED = (
    ("root", "Root", "Folder", ""),
    ("msgfolderroot", "Top of Information Store", "Folder", "root"),
    ("inbox", "Inbox", "Folder", "msgfolderroot"),
    ("drafts", "Drafts", "Folder", "msgfolderroot"),
    ("outbox", "Outbox", "Folder", "msgfolderroot"),
    ("sentitems", "Sent Items", "Folder", "msgfolderroot"),
    ("deleteditems", "Deleted Items", "Folder", "msgfolderroot"),
    ("junkemail", "Junk E-mail", "Folder", "msgfolderroot"),
    ("calendar", "Calendar", "CalendarFolder", "msgfolderroot"),
    ("tasks", "Tasks", "TasksFolder", "msgfolderroot"),
    ("contacts", "Contacts", "ContactsFolder", "msgfolderroot"),
    ("notes", "Notes", "Folder", "msgfolderroot"),
)
Props = dict[str, Any]


@dataclass
class Folder:
    """A folder, and the journal of what happened in it."""

    id: str
    name: str
    element: str
    parent: str
    distinguished: str = ""
    #: Item id -> (first change seen, last change): the place of the item in the feed.
    #: Of an item that is gone, only its last change.
    born: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)


@dataclass
class Item:
    """One item; its properties by path, each the element itself."""

    id: str
    kind: str
    folder: str
    props: Props
    version: int = 1
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Of a series: original start (UTC) -> the properties of an exception; and the deleted ones.
    exceptions: dict[datetime, Props] = field(default_factory=dict)
    deleted: dict[datetime, datetime] = field(default_factory=dict)
    #: Attachments: (name, type, content).
    files: list[tuple[str, str, bytes]] = field(default_factory=list)
    read: bool = True
    #: Its number in the mailbox, for IMAP's sake.
    number: int = 0

    def text(self, path: str) -> str:
        """The text of a property; "" without it."""
        found = self.props.get(path)
        return "" if found is None else (found.text or "")

    def moment(self, path: str) -> datetime:
        """A dateTime property as an instant."""
        return moment(self.text(path))

    @property
    def change_key(self) -> str:
        """The change key: opaque, and another after every change."""
        return base64.b64encode(b"\x14\x00\x00\x00" + self.version.to_bytes(8, "big") + self.id[-12:].encode()).decode()

    @property
    def series(self) -> bool:
        """True for the master of a series."""
        return self.kind == "CalendarItem" and "calendar:Recurrence" in self.props

    @property
    def zone(self) -> Any:
        """The zone in which a series repeats."""
        element = self.props.get("calendar:StartTimeZone")
        return (iana_of(element.get("Id", "")) if element is not None else None) or ZoneInfo("UTC")

    def starts(self, limit: int = 4000) -> Iterator[datetime]:
        """Original starts of a series (UTC), deleted ones included."""
        local = self.moment("calendar:Start").astimezone(self.zone)
        for each in occurrences(self.props["calendar:Recurrence"], local, limit):
            yield each.astimezone(UTC)


def moment(text: str) -> datetime:
    """A dateTime; without an offset it is UTC."""
    found = datetime.fromisoformat(text.strip())
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)).replace(microsecond=0)


def stamp(value: datetime) -> str:
    """An instant as Exchange writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def element(tag: str, text: str | None = None, **attributes: str) -> Any:
    """An element of the types' namespace."""
    made = etree.Element(T + tag, attributes)
    made.text = text
    return made


@dataclass
class Outgoing:
    """A mail that Exchange would have sent."""

    why: str
    to: tuple[str, ...]
    subject: str


class Mailbox:
    """One mailbox."""

    def __init__(self, address: str, store: Store) -> None:
        self.address = address.lower()
        self.store = store
        self._counter = store.counter
        self.bell = store.bell
        self.folders: dict[str, Folder] = {}
        self.items: dict[str, Item] = {}
        #: What happened, for subscriptions: (number, folder, item, event).
        self.events: list[tuple[int, str, str, str]] = []
        for name, shown, kind, parent in DISTINGUISHED:
            self.add_folder(shown, kind, self.distinguished(parent).id if parent else "", name)

    def new_id(self, what: str) -> str:
        """An id as opaque as Exchange's; upper and lower case count in it."""
        raw = f"{what}:{self.address}:{next(self._counter):08d}"
        return base64.b64encode(b"\x00\x01" + raw.encode() + b"\x00" * 24).decode()

    def add_folder(self, name: str, kind: str, parent: str, distinguished: str = "") -> Folder:
        """A new folder."""
        made = Folder(self.new_id("F"), name, kind, parent, distinguished)
        self.folders[made.id] = made
        return made

    def distinguished(self, name: str) -> Folder:
        """The folder that Exchange knows by this name."""
        return next(f for f in self.folders.values() if f.distinguished == name)

    # -- changes --------------------------------------------------------------------------------------------------

    def put(self, item: Item) -> Item:
        """Adds an item."""
        number = next(self._counter)
        item.version = item.number = number
        self.items[item.id] = item
        folder = self.folders[item.folder]
        folder.born[item.id] = folder.last[item.id] = number
        self._happened(number, item, "CreatedEvent")
        if item.kind not in ("CalendarItem", "Task") and folder.distinguished == "inbox":
            self._happened(next(self._counter), item, "NewMailEvent")
        return item

    def touch(self, item: Item) -> None:
        """An item has changed."""
        number = next(self._counter)
        item.version, item.modified = number, datetime.now(UTC)
        self.folders[item.folder].last[item.id] = number
        self._happened(number, item, "ModifiedEvent")

    def mark_read(self, item: Item, read: bool) -> None:
        """A person reads a mail: its change key is another, but it has not changed."""
        number = next(self._counter)
        item.version, item.read = number, read
        self.folders[item.folder].read[item.id] = number

    def remove(self, item: Item) -> None:
        """An item leaves its folder."""
        number = next(self._counter)
        folder = self.folders[item.folder]
        for table in (folder.born, folder.last, folder.read):
            table.pop(item.id, None)
        folder.gone[item.id] = number
        del self.items[item.id]
        self._happened(number, item, "DeletedEvent")

    def move(self, item: Item, to: str) -> Item:
        """Moves an item: it has another id there (no immutable ids in EWS)."""
        self.remove(item)
        moved = copy.deepcopy(item)
        moved.id, moved.folder = self.new_id("I"), to
        return self.put(moved)

    def copy(self, item: Item, to: str) -> Item:
        """Copies an item, its named properties too; a calendar item gets another UID."""
        made = copy.deepcopy(item)
        made.id, made.folder = self.new_id("I"), to
        if "calendar:UID" in made.props:
            made.props["calendar:UID"] = element("UID", self.new_uid())
        return self.put(made)

    def new_uid(self) -> str:
        """A GlobalObjectId."""
        return f"040000008200E00074C5B7101A82E00800000000{next(self._counter):032X}".ljust(112, "0")

    def _happened(self, number: int, item: Item, what: str) -> None:
        self.events.append((number, item.folder, item.id, what))
        if self.store.acting and self.address not in self.store.acting:
            self.store.meddled.append(f"{what} in the mailbox of {self.address}")
        with self.bell:
            self.bell.notify_all()

    # -- the feed -------------------------------------------------------------------------------------------------

    def feed(self, folder: Folder, state: str, most: int) -> tuple[list[tuple[str, str]], str, bool]:
        """Changes since a state: (Create, Update, Delete or ReadFlagChange, item id), the state behind them,
        and whether these are all. Raises ValueError for a state that is none."""
        since = read_state(state, self.address, folder.id) if state else 0
        happened = [
            (n, "Create" if folder.born[i] > since else "Update", i) for i, n in folder.last.items() if n > since
        ]
        if since:
            happened += [(n, "Delete", i) for i, n in folder.gone.items() if n > since]
            happened += [
                (n, "ReadFlagChange", i) for i, n in folder.read.items() if n > since and folder.last[i] <= since
            ]
        happened.sort()
        page, rest = happened[:most], happened[most:]
        behind = page[-1][0] if rest else max([since, *(n for n, _, _ in page)])
        if not since and not rest:
            behind = next(self._counter)
        return [(what, item) for _, what, item in page], write_state(behind, self.address, folder.id), not rest


def write_state(number: int, address: str, folder: str) -> str:
    """A sync state: opaque text."""
    return base64.b64encode(json.dumps({"n": number, "a": address, "f": folder}).encode()).decode()


def read_state(text: str, address: str, folder: str) -> int:
    """The number in a state. Raises ValueError for one of another folder, or none at all."""
    try:
        found = json.loads(base64.b64decode(text, validate=True))
    except ValueError:
        raise ValueError("no state") from None
    if not isinstance(found, dict) or found.get("a") != address or found.get("f") != folder:
        raise ValueError("another folder's state")
    return int(found["n"])


class Store:
    """All mailboxes of the server."""

    def __init__(self) -> None:
        self.counter = itertools.count(1000)
        self.bell = threading.Condition()
        self.lock = threading.RLock()
        self.mailboxes: dict[str, Mailbox] = {}
        self.outbox: list[Outgoing] = []
        #: Whose mailboxes the request may write that is being answered; and what happened in others because of one.
        self.acting: frozenset[str] = frozenset()
        self.meddled: list[str] = []

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox of that address; it is made when it is first asked for by a test."""
        address = address.lower()
        with self.lock:
            if address not in self.mailboxes:
                self.mailboxes[address] = Mailbox(address, self)
            return self.mailboxes[address]


SHORTEST = timedelta(0)
