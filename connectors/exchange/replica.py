"""A calendar or a task list of an Exchange mailbox behind the port.

Followed by SyncFolderItems, ids only, its state kept at every page; read by GetItem in tens; written field by
field under the change key that was read. A create first looks for its key: EWS has nothing that keeps a
request from being done twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors.exchange import edit, event, task
from connectors.exchange.event import event_record, wrapped_uid
from connectors.exchange.feed import feed
from connectors.exchange.items import Items
from connectors.exchange.plan import carries
from connectors.exchange.recurring import SeriesWrites
from connectors.exchange.series import changed_occurrences
from connectors.exchange.soap import Mailbox
from connectors.exchange.watch import STREAMS
from connectors.exchange.xml import KEY, UID_THEN, Edit, T, el
from syncd.model.fields import Fields, Limit
from syncd.model.people import normal_address
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.outlook.words import PRIORITIES
from syncd.ports import (
    AuthFailed,
    Capabilities,
    CursorExpired,
    Exists,
    Gone,
    Page,
    PortError,
    Rejected,
    Stale,
    Telling,
    Transient,
    Unsupported,
    Written,
)

#: Distinguished folder and item class of each kind.
FOLDERS = {"event": "calendar", "todo": "tasks"}
KINDS = {"event": "CalendarItem", "todo": "Task"}


class ExchangeReplica:
    """A calendar (events) or task list (to-dos)."""

    def __init__(self, mailbox: Mailbox, *, kind: str = "event", folder: str = "", read_only: bool = False) -> None:
        self.mailbox = mailbox
        self.kind = kind
        self.items = Items(mailbox)
        self.series = SeriesWrites(self.items, mailbox.access.zone)
        self._named = folder
        self._folder = ""
        zone = ZoneInfo(mailbox.access.zone)
        text = Limit(length=edit.LONGEST)
        self._capabilities = Capabilities(
            kinds=frozenset({kind}),
            writable=not read_only,
            exact=False,
            limits=MappingProxyType(
                {
                    "summary": text,
                    "location": text,
                    "time": Limit(seconds=60, zone=zone),
                    "due": Limit(days_in=zone),
                    "priority": Limit(numbers=PRIORITIES),
                }
            ),
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def requests(self) -> int:
        return self.mailbox.requests

    def close(self) -> None:
        """Connections are shared: there is nothing to end."""

    def watch(self, changed: Any) -> Any:
        """See `syncd.ports.Watchable`: one thread for all mailboxes of this process."""
        return STREAMS.add(self.mailbox.access, self.place_in, changed)

    # -- following ---------------------------------------------------------------------------------------------

    def changes(self, cursor: str) -> Iterator[Page]:
        here, state = ("", "") if not cursor else cursor.split(" ", 1)
        if cursor and here != self._here:
            raise CursorExpired("this is another folder than the one that was read")
        for changes, behind, last in feed(self.mailbox, self._where_is(), state, self.kind):
            yield Page(changes, f"{self._here} {behind}", complete=last and not cursor)

    @property
    def _here(self) -> str:
        """Stands in each cursor, so that another folder's is never taken for this one's."""
        access = self.mailbox.access
        said = f"{access.endpoint} {access.mailbox.lower()} {self.kind} {self._named}"
        return hashlib.blake2b(said.encode(), digest_size=6).hexdigest()

    def _where_is(self) -> Any:
        """The folder: Exchange's own of this kind, or one of the mailbox by its name."""
        if not self._named:
            return self.mailbox.folder(FOLDERS[self.kind])
        if not self._folder:
            self._folder = self.items.folder_named(self._named)
        return self.mailbox.folder(self._folder, "t:FolderId")

    def place_in(self, mailbox: Mailbox) -> Any:
        """The same folder, asked of another opening of the mailbox: one is not for two threads."""
        return ExchangeReplica(mailbox, kind=self.kind, folder=self._named)._where_is()

    def _is_here(self, item: Any) -> bool:
        """Whether the item lies in this folder: an id is good in the whole mailbox, so that one of another
        calendar would be read, and written, as if it were of this one."""
        if not self._folder:
            self._folder = self.items.folder_id(self._where_is())
        at = item.find(T + "ParentFolderId")
        return at is None or at.get("Id") == self._folder

    # -- reading -----------------------------------------------------------------------------------------------

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        """As `look`; and what an earlier write left half done is finished, if that may be."""
        found = dict(self.look(refs))
        for ref, record in list(found.items()):
            if isinstance(record, Record) and self.kind == "event" and carries(record.native):
                if self._capabilities.writable:
                    found[ref] = self._finished(ref, record)
        return found

    def look(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        """See `syncd.ports.Finishing`."""
        module: Any = event if self.kind == "event" else task
        read = self.items.get(refs, module.URIS, module.properties())
        changed: dict[str, Any] = {}
        if self.kind == "event":
            parts = {r: [i for i, _ in changed_occurrences(e)] for r, e in read.items() if not isinstance(e, PortError)}
            changed = self.items.get([i for ids in parts.values() for i in ids], event.URIS)
            for ref, ids in parts.items():  # one that is not to be had just now is not one that cannot be read
                read[ref] = next((changed[i] for i in ids if isinstance(changed[i], Transient)), read[ref])
            changed = {i: e for i, e in changed.items() if not isinstance(e, PortError)}
        return {ref: self._record(ref, found, changed) for ref, found in read.items()}

    def _finished(self, ref: str, record: Record) -> Record | PortError:
        """The record, when all is written that a write of ours still owes to it. Where the server refuses the
        rest, that is said; unless the item has become private, which nothing may hide."""
        try:
            self.series.finish(ref)
        except (Transient, AuthFailed):
            raise
        except (Stale, Gone):  # somebody is at it just now
            return Stale("changed meanwhile")
        except PortError as error:
            if record.fields.get("sensitivity") != "public":
                return record
            return Rejected(f"the series was left half written, and the rest cannot be written: {error}")
        return self.look([ref])[ref]

    def _record(self, ref: str, found: Any, changed: Mapping[str, Any]) -> Record | PortError:
        if isinstance(found, PortError):
            return found
        if found.tag.rpartition("}")[2] != KINDS[self.kind]:
            return Gone(f"no {self.kind}")
        if not self._is_here(found):
            return Gone("it lies in another folder")
        access = self.mailbox.access
        try:
            if self.kind == "event":
                return event_record(ref, found, changed, access.zone, access.mailbox)
            return task.task_record(ref, found)
        except PortError as error:
            return error
        except (ValueError, OverflowError, RecursionError) as error:
            return Rejected(f"the item cannot be read ({type(error).__name__})")

    def find(self, key: str, uid: str) -> Record | None:
        for ref in self.items.with_key(key, self._where_is()):
            found = self.look([ref])[ref]
            if isinstance(found, Record) and found.key == key:
                return found
            if isinstance(found, PortError) and not isinstance(found, Gone | Rejected):
                raise found
        return None

    # -- writing -----------------------------------------------------------------------------------------------

    def telling(self) -> Telling:
        """See `syncd.ports.Scheduling`: SendToNone (`guard`). Nobody is invited to a task."""
        return Telling.CAN_BE_ASKED if self.kind == "event" else Telling.NOBODY

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        if not self._capabilities.writable:
            raise Unsupported("this folder is read only")
        if kind != self.kind:
            raise Unsupported(f"this folder holds no {kind}")
        if self.find(key, uid) is not None:
            raise Exists("an item with this key is there already")
        values = {n: v for n, v in fields.items() if v not in (None, "")}
        recurrence: Recurrence = values.get("recurrence") or Recurrence()
        edits = [*self._edits(values, None, series=bool(recurrence.rule)), edit.stamp(KEY, key)]
        if kind == "event":
            edits += [("calendar:UID", el("t:UID", text=wrapped_uid(uid))), edit.stamp(UID_THEN, uid)]
            if _over(fields.get("time")):
                edits.append(("item:ReminderIsSet", el("t:ReminderIsSet", text="false")))
            if not recurrence.empty:
                return self.series.create(edits, recurrence, fields["time"], self._where_is())
        ref, version = self.items.create(edit.new_item(KINDS[kind], edits), self._where_is())
        return Written(ref, version)

    def _edits(self, changes: Fields, item: Any, *, series: bool = False) -> list[Edit]:
        zone = self.mailbox.access.zone
        if self.kind == "todo":
            return list(edit.task_edits(changes, item, zone))
        return list(edit.event_edits(changes, item, zone, series=series))

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        if not self._capabilities.writable:
            raise Unsupported("this folder is read only")
        tell = tell and record.owner == normal_address(self.mailbox.access.mailbox)  # nobody answers for her
        wanted: Recurrence = changes.get("recurrence", record.fields.get("recurrence")) or Recurrence()
        if self.kind == "event" and (not wanted.empty or record.native.find(T + "Recurrence") is not None):
            return self.series.update(record, changes, wanted, tell=tell)
        edits = self._edits(changes, record.native)
        if not edits:
            return Written(record.ref, record.version)
        version = self.items.update(record.ref, record.version, KINDS[self.kind], edits, tell=tell)
        more = self.kind == "todo" and bool({"status", "percent"} & changes.keys())  # each changes the other
        return Written(record.ref, None if more else version)

    def delete(self, record: Record, *, tell: bool = False) -> None:
        """Into Deleted Items, where a person finds it again."""
        if not self._capabilities.writable:
            raise Unsupported("this folder is read only")
        self.items.check(record.ref, record.version)
        mine = record.owner == normal_address(self.mailbox.access.mailbox)
        self.items.delete(el("t:ItemId", Id=record.ref), tell=tell and mine)


def _over(span: Span | None) -> bool:
    """True for what is over already: nobody is reminded of it."""
    if span is None:
        return False
    end = span.end
    return isinstance(end, datetime) and end.tzinfo is not None and end < datetime.now(UTC)
