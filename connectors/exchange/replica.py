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
from connectors.exchange.occurrences import edit_series, rewrites
from connectors.exchange.series import changed_occurrences, write_rule
from connectors.exchange.soap import Mailbox
from connectors.exchange.watch import STREAMS
from connectors.exchange.xml import KEY, RULE, UID_THEN, T, el
from syncd.model.fields import Fields, Limit
from syncd.model.record import Record
from syncd.model.recurrence import Recurrence
from syncd.model.span import Span
from syncd.outlook.words import PRIORITIES
from syncd.ports import Capabilities, CursorExpired, Exists, Gone, Page, PortError, Rejected, Unsupported, Written

#: Distinguished folder and item class of each kind.
FOLDERS = {"event": "calendar", "todo": "tasks"}
KINDS = {"event": "CalendarItem", "todo": "Task"}


class ExchangeReplica:
    """A calendar (events) or task list (to-dos)."""

    def __init__(self, mailbox: Mailbox, *, kind: str = "event", folder: str = "", read_only: bool = False) -> None:
        self.mailbox = mailbox
        self.kind = kind
        self.items = Items(mailbox)
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
        module: Any = event if self.kind == "event" else task
        read = self.items.get(refs, module.URIS, module.properties())
        changed: dict[str, Any] = {}
        if self.kind == "event":
            ids = [
                i for found in read.values() if not isinstance(found, PortError) for i, _ in changed_occurrences(found)
            ]
            changed = {i: e for i, e in self.items.get(ids, event.URIS).items() if not isinstance(e, PortError)}
        return {ref: self._record(ref, found, changed) for ref, found in read.items()}

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
            found = self.fetch([ref])[ref]
            if isinstance(found, Record) and found.key == key:
                return found
            if isinstance(found, PortError) and not isinstance(found, Gone | Rejected):
                raise found
        return None

    # -- writing -----------------------------------------------------------------------------------------------

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
            edits += self._rule(recurrence, fields["time"], None)
            if _over(fields.get("time")):
                edits.append(("item:ReminderIsSet", el("t:ReminderIsSet", text="false")))
        ref, version = self.items.create(edit.new_item(KINDS[kind], edits), self._where_is())
        if recurrence.exdates or recurrence.overrides:
            usual = {**fields, "time": self._local(fields["time"], None)}
            edit_series(self.items, ref, usual, Recurrence(recurrence.rule), recurrence, self._edits)
            return Written(ref, None)
        return Written(ref, version)

    def _edits(self, changes: Fields, item: Any, *, series: bool = False) -> list[edit.Edit]:
        zone = self.mailbox.access.zone
        if self.kind == "todo":
            return list(edit.task_edits(changes, item, zone))
        return list(edit.event_edits(changes, item, zone, series=series))

    def _rule(self, recurrence: Recurrence, span: Span, item: Any) -> list[edit.Edit]:
        """The edits that give an item this rule, or take its rule away."""
        if recurrence.rdates:
            raise Unsupported("Exchange has no series with single dates beside its rule")
        if not recurrence.rule:
            return [("calendar:Recurrence", None)] if item is not None else []
        start = self._local(span, item).start
        return [("calendar:Recurrence", write_rule(recurrence.rule, start)), edit.stamp(RULE, recurrence.rule)]

    def _local(self, span: Span, item: Any) -> Span:
        """The time of a series in the zone in which it stands: its rule counts days there."""
        where, _ = edit.zone_for(span, item, self.mailbox.access.zone, series=True)
        start, end = span.start, span.end
        if not isinstance(start, datetime) or not isinstance(end, datetime):
            return span
        if start.tzinfo is None or end.tzinfo is None:
            return Span(start.replace(tzinfo=where), end.replace(tzinfo=where), span.zone)
        return Span(start.astimezone(where), end.astimezone(where), span.zone)

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        if not self._capabilities.writable:
            raise Unsupported("this folder is read only")
        seen: Recurrence = record.fields.get("recurrence") or Recurrence()
        wanted: Recurrence = changes.get("recurrence", seen) or Recurrence()
        span = changes.get("time", record.fields.get("time"))
        edits = self._edits(changes, record.native, series=bool(wanted.rule))
        again = self.kind == "event" and rewrites(seen, wanted, moved="time" in changes)
        if again:
            edits += self._rule(wanted, span, record.native)
        version: str | None = record.version
        if edits:
            version = self.items.update(record.ref, record.version, KINDS[self.kind], edits)
        elif "recurrence" in changes:
            self.items.check(record.ref, record.version)
        if self.kind == "event" and ("recurrence" in changes or (again and (wanted.overrides or wanted.exdates))):
            before = Recurrence(wanted.rule) if again else seen
            usual = {**record.fields, **changes, "time": self._local(span, record.native)}
            if edit_series(self.items, record.ref, usual, before, wanted, self._edits):
                version = None
        return Written(record.ref, version)

    def delete(self, record: Record, *, tell: bool = False) -> None:
        """Into Deleted Items, where a person finds it again."""
        if not self._capabilities.writable:
            raise Unsupported("this folder is read only")
        self.items.check(record.ref, record.version)
        self.items.delete(record.ref)


def _over(span: Span | None) -> bool:
    """True for what is over already: nobody is reminded of it."""
    if span is None:
        return False
    end = span.end
    return isinstance(end, datetime) and end.tzinfo is not None and end < datetime.now(UTC)
