"""The mail of an Exchange mailbox as a replica of messages. Reading marks nothing as read, nothing is ever
sent, and no read receipt leaves; what may be written is what the mapping asks for: a category, a copy, a
move, a flag, and an e-mail written in the CRM, into Sent Items.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from connectors.exchange import message
from connectors.exchange.edit import new_item
from connectors.exchange.feed import feed
from connectors.exchange.items import Items
from connectors.exchange.mark import show
from connectors.exchange.message import excluded_record, message_record
from connectors.exchange.soap import Mailbox
from connectors.exchange.watch import STREAMS
from connectors.exchange.xml import T, children, el, extended_value, said, tag_uri, written
from syncd.mail.choice import Choice
from syncd.mail.folders import chosen
from syncd.mail.headers import own_id
from syncd.mail.text import MOST_TEXT
from syncd.model.fields import Fields, Value
from syncd.model.people import People
from syncd.model.record import Record
from syncd.ports import (
    Capabilities,
    Change,
    CursorExpired,
    Exists,
    Gone,
    Page,
    PortError,
    Rejected,
    Unsupported,
    Written,
)

#: Folders that Exchange knows by a name of its own, and what other servers call such a folder (RFC 6154).
SPECIAL = {
    "inbox": "\\inbox",
    "sentitems": "\\sent",
    "drafts": "\\drafts",
    "junkemail": "\\junk",
    "deleteditems": "\\trash",
    "outbox": "\\drafts",
}
#: Seconds for which the list of folders is believed.
LISTED = 600
#: PidTagMessageFlags (MS-OXCMSG §2.2.1.6): read, and no draft.
_FLAGS, _SENT = "0x0E07", "1"


@dataclass(frozen=True)
class _Folder:
    """A folder that is read."""

    id: str
    #: As configurations write it.
    name: str
    excluded: bool


@dataclass
class ExchangeMailbox:
    """The mail of one mailbox."""

    mailbox: Mailbox
    choice: Choice = field(default_factory=Choice)
    read_only: bool = False
    today: Callable[[], date] = lambda: datetime.now(UTC).date()
    _found: dict[str, _Folder] = field(default_factory=dict)
    _listed: float = -float("inf")

    def __post_init__(self) -> None:
        self.items = Items(self.mailbox)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            kinds=frozenset({"message"}), series="none", writable=not self.read_only, limits=MappingProxyType({})
        )

    @property
    def requests(self) -> int:
        return self.mailbox.requests

    def close(self) -> None:
        """Connections are shared: there is nothing to end."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """See `syncd.ports.Watchable`: one thread for all mailboxes of this process."""
        return STREAMS.add(self.mailbox.access, lambda mailbox: mailbox.folder("inbox"), changed)

    # -- folders -------------------------------------------------------------------------------------------------

    def _folders(self) -> dict[str, _Folder]:
        """The folders that are read, by their ids; asked for again after a while."""
        if self._found and time.monotonic() - self._listed < LISTED:
            return self._found
        special = self._special()
        paths = {ref: path for path, ref in self.items.folders().items()}
        listed = []
        for ref, path in paths.items():
            use = special.get(ref, "")
            name = "INBOX" if use == "\\inbox" else path
            listed.append((frozenset({use} if use and use != "\\inbox" else ()), "/", name))
        by_name = {("INBOX" if special.get(ref) == "\\inbox" else path): ref for ref, path in paths.items()}
        picked = chosen(listed, self.choice.folders, self.choice.excluded)
        self._found = {by_name[f.name]: _Folder(by_name[f.name], f.name, f.excluded) for f in picked}
        self._listed = time.monotonic()
        return self._found

    def _special(self) -> dict[str, str]:
        """Folder id -> its special use."""
        answers = self.mailbox.call(
            el(
                "m:GetFolder",
                el("m:FolderShape", el("t:BaseShape", text="IdOnly")),
                el("m:FolderIds", *(self.mailbox.folder(name) for name in SPECIAL)),
            )
        )
        found = {}
        for use, answer in zip(SPECIAL.values(), answers, strict=False):
            if isinstance(answer, PortError):
                continue
            for folder in children(answer, "Folders"):
                at = folder.find(T + "FolderId")
                if at is not None:
                    found[at.get("Id", "")] = use
        return found

    # -- feed ----------------------------------------------------------------------------------------------------

    def changes(self, cursor: str) -> Iterator[Page]:
        states, listed = self._states(cursor), self._listed
        folders = self._folders()
        if states is not None and states.keys() - folders.keys():
            raise CursorExpired("a folder is no longer there, or no longer read")
        if states is not None and any(states[i][1] is not f.excluded for i, f in folders.items() if i in states):
            raise CursorExpired("a folder is excluded that was not, or the other way round")
        after = {**(states or {})}
        held: list[Page] = []
        went = False
        for page in self._of_folders(folders.values(), after):
            yield from held
            held, went = [page], went or any(c.gone for c in page.changes)
        if went and self._listed == listed:  # moved away, perhaps into a folder that was made just now
            self._listed = -float("inf")
            new = [f for i, f in self._folders().items() if i not in after]
            for page in self._of_folders(new, after):
                yield from held
                held = [page]
        last = held[0] if held else Page((), "")
        yield Page(last.changes, self._cursor(after), complete=states is None, there=last.there)

    def _of_folders(self, folders: Iterable[_Folder], after: dict[str, tuple[str, bool]]) -> Iterator[Page]:
        for folder in sorted(folders, key=lambda f: (f.name != "INBOX", f.name)):
            yield from self._of_folder(folder, after.get(folder.id, ("", False))[0], after)

    def _of_folder(self, folder: _Folder, state: str, after: dict[str, tuple[str, bool]]) -> Iterator[Page]:
        # of an excluded folder all is news, whatever its age: it may have been logged before it was put there
        recent = None if state or folder.excluded else self._recent(folder)
        for changes, behind, _ in feed(self.mailbox, self.mailbox.folder(folder.id, "t:FolderId"), state, "message"):
            old = [c.ref for c in changes if recent is not None and c.ref not in recent]
            news = [c for c in changes if recent is None or c.ref in recent]
            if folder.excluded:
                news = [c if c.gone else Change(c.ref, "-", kind="message") for c in news]
            after[folder.id] = (behind, folder.excluded)
            yield Page(news, self._cursor(after), there=old)

    def _recent(self, folder: _Folder) -> set[str]:
        """Ids of the messages that are not older than they may be. Not every server knows "or equal to": what
        comes after the second before says the same."""
        since = datetime.combine(self.today() - timedelta(days=self.choice.days + 1), datetime.min.time(), tzinfo=UTC)
        condition = el(
            "t:IsGreaterThan",
            el("t:FieldURI", FieldURI="item:DateTimeReceived"),
            el("t:FieldURIOrConstant", el("t:Constant", Value=written(since - timedelta(seconds=1)))),
        )
        return set(self.items.search(self.mailbox.folder(folder.id, "t:FolderId"), condition))

    def _states(self, cursor: str) -> dict[str, tuple[str, bool]] | None:
        """Folder id -> (state, excluded); None at the beginning. Raises CursorExpired."""
        if not cursor:
            return None
        try:
            read = json.loads(cursor)
            here, found = str(read["at"]), {str(i): (str(s), bool(x)) for i, (s, x) in read["folders"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CursorExpired("the cursor cannot be read") from None
        if here != self._here:
            raise CursorExpired("this is another mailbox than the one that was read")
        return found

    def _cursor(self, states: Mapping[str, tuple[str, bool]]) -> str:
        folders = {i: [s, int(x)] for i, (s, x) in sorted(states.items())}
        return json.dumps({"at": self._here, "folders": folders}, separators=(",", ":"))

    @property
    def _here(self) -> str:
        said_ = f"{self.mailbox.access.endpoint} {self.mailbox.access.mailbox.lower()}"
        return hashlib.blake2b(said_.encode(), digest_size=6).hexdigest()

    # -- reading -------------------------------------------------------------------------------------------------

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        """Which folder a message lies in is asked first where some are excluded: of what lies there nothing
        more is read."""
        folders = self._folders()
        found: dict[str, Record | PortError] = {}
        wanted = list(dict.fromkeys(refs))
        if any(f.excluded for f in folders.values()):
            for ref, item in self.items.get(wanted, message.URIS_OF_EXCLUDED).items():
                folder = folders.get(_parent(item)) if not isinstance(item, PortError) else None
                if isinstance(item, PortError):
                    found[ref] = item
                elif folder is not None and folder.excluded:
                    found[ref] = self._read(ref, item, folder)
        for ref, item in self.items.get(
            [r for r in wanted if r not in found], message.URIS, message.properties()
        ).items():
            folder = folders.get(_parent(item)) if not isinstance(item, PortError) else None
            found[ref] = item if isinstance(item, PortError) else self._read(ref, item, folder)
        return found

    def _read(self, ref: str, item: Any, folder: _Folder | None) -> Record | PortError:
        if folder is None:
            return Gone("it lies in a folder that is not read")
        try:
            if folder.excluded:
                return excluded_record(ref, item, folder.name)
            return message_record(ref, item, folder.name)
        except Exception as error:  # whatever a broken message does to a parser, the others go on
            return Rejected(f"the message cannot be read ({type(error).__name__})")

    def complete(self, records: Sequence[Record], wanted: frozenset[str]) -> Sequence[Fields | PortError]:
        """See `syncd.ports.Partial`."""
        uris = [
            *(["item:Body"] if "text" in wanted else []),
            *(["item:Attachments"] if wanted & {"attachments", "contents"} else []),
            *(["calendar:UID"] if "invitation" in wanted else []),
        ]
        most = MOST_TEXT if "text" in wanted else 0
        plain = [r.ref for r in records if "invitation" not in r.traits]
        meetings = [r.ref for r in records if "invitation" in r.traits]
        found = self.items.get(plain, [u for u in uris if u != "calendar:UID"], most=most)
        found |= self.items.get(meetings, uris, most=most)
        return [self._completed(found[r.ref], wanted) for r in records]

    def _completed(self, item: Any, wanted: frozenset[str]) -> Fields | PortError:
        if isinstance(item, PortError):
            return item
        fields: dict[str, Value] = {}
        if "text" in wanted:
            fields["text"] = message.text_of(item)
        if "invitation" in wanted:
            fields["invitation"] = message.spoken_of(item)
        if "contents" in wanted:
            fields["attachments"] = message.files_of(item, self._contents(item))
        elif "attachments" in wanted:
            fields["attachments"] = message.files_of(item)
        return fields

    def _contents(self, item: Any) -> dict[str, Sequence[bytes]]:
        """The octets of each file that is not too large, one request each."""
        found: dict[str, Sequence[bytes]] = {}
        for each in message.file_elements(item):
            at, size = each.find(T + "AttachmentId"), said(each, "Size")
            if at is None or each.tag != T + "FileAttachment" or not size.isdigit() or int(size) > self.choice.largest:
                continue
            answer = self.mailbox.one(
                el("m:GetAttachment", el("m:AttachmentIds", el("t:AttachmentId", Id=at.get("Id", ""))))
            )
            for file in children(answer, "Attachments"):
                try:
                    found[at.get("Id", "")] = [base64.b64decode(said(file, "Content"))]
                except (binascii.Error, ValueError):
                    continue
        return found

    def find(self, key: str, uid: str) -> Record | None:
        self._folders()
        sent = self.mailbox.folder("sentitems")
        for ref in self.items.search(sent, _with_message_id(own_id(key))):
            found = self.fetch([ref])[ref]
            if isinstance(found, Record) and found.key == key:
                return found
        return None

    # -- writing -------------------------------------------------------------------------------------------------

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        """Puts an e-mail written in the CRM into Sent Items, as one that was sent; nobody gets it."""
        if self.read_only:
            raise Unsupported("this mailbox is read only")
        if kind != "message":
            raise Unsupported(f"the mail of a mailbox holds no {kind}")
        if self.find(key, uid) is not None:
            raise Exists("a message with this key exists")
        people: People = fields.get("correspondents") or People()
        edits: list[tuple[Any, Any]] = [
            ("item:Subject", el("t:Subject", text=" ".join(str(fields.get("subject") or "").split())[:255])),
            ("item:Body", el("t:Body", text=str(fields.get("text") or ""), BodyType="Text")),
            ("message:InternetMessageId", el("t:InternetMessageId", text=own_id(key))),
            ("message:IsRead", el("t:IsRead", text="true")),
            _tagged(_FLAGS, "Integer", _SENT),
        ]
        if fields.get("date") is not None:  # PidTagClientSubmitTime: when it was sent
            edits.append(_tagged("0x0039", "SystemTime", written(fields["date"].start)))
            edits.append(_tagged("0x0E06", "SystemTime", written(fields["date"].start)))
        for role, name in (("to", "ToRecipients"), ("cc", "CcRecipients"), ("from", "From")):
            boxes = [_box(p.name, p.address) for p in people.values() if (p.role or "to") == role]
            if boxes:
                edits.append((f"message:{name}", el(f"t:{name}", *(boxes[:1] if name == "From" else boxes))))
        ref, version = self.items.create(new_item("Message", edits), self.mailbox.folder("sentitems"))
        return Written(ref, version or None)

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        """Only a flag can be changed: a message is what was said."""
        if self.read_only or set(changes) - {"flagged"}:
            raise Unsupported("a message cannot be changed")
        if "flagged" not in changes:
            return Written(record.ref, record.version)
        edit = _tagged(message.FLAG, "Integer", message.FLAGGED if changes["flagged"] else "0")
        return Written(record.ref, self.items.update(record.ref, record.version, "Message", [edit]))

    def delete(self, record: Record, *, tell: bool = False) -> None:
        """Only what syncd itself put into Sent Items is ever removed."""
        if self.read_only or not record.key:
            raise Unsupported("mail is never deleted")
        self.items.check(record.ref, record.version)
        self.items.delete(el("t:ItemId", Id=record.ref))

    def mark(self, refs: Sequence[str], *, logged: bool) -> None:
        """See `syncd.ports.Marking`."""
        choice = self.choice
        if self.read_only or not (choice.keyword or choice.copy or choice.move):
            return
        show(self.items, self._folders_by_name, refs, choice, logged=logged)

    def _folders_by_name(self) -> dict[str, str]:
        return self.items.folders()


def _with_message_id(text: str) -> Any:
    return el(
        "t:IsEqualTo",
        el("t:FieldURI", FieldURI="message:InternetMessageId"),
        el("t:FieldURIOrConstant", el("t:Constant", Value=text)),
    )


def _tagged(tag: str, kind: str, value: str) -> tuple[Any, Any]:
    return tag_uri(tag, kind), extended_value(tag_uri(tag, kind), value)


def _box(name: str, address: str) -> Any:
    return el("t:Mailbox", el("t:Name", text=" ".join(name.split()) or address), el("t:EmailAddress", text=address))


def _parent(item: Any) -> str:
    at = item.find(T + "ParentFolderId")
    return at.get("Id", "") if at is not None else ""
