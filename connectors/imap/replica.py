"""A mailbox as a replica of messages. It reads with PEEK and EXAMINE only, so no flag changes by reading,
and it never sends mail: what it may write is a keyword, a copy or a move that the mapping asks for, the
flag of a flagged mail, and an e-mail written in the CRM, into Sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from connectors.imap.faults import Garbled
from connectors.imap.feed import STATE, Feed, Watch, read_cursor
from connectors.imap.folders import parse_ref, ref_of
from connectors.imap.mark import Place, show
from connectors.imap.parts import asked_parts, body, decodable, text_of
from connectors.imap.read import (
    ITEMS,
    ITEMS_OF_EXCLUDED,
    Native,
    excluded_record,
    files_of,
    record_of,
)
from connectors.imap.session import Session, as_set, runs
from connectors.imap.watch import WATCHER
from connectors.imap.write import message_of
from syncd.mail.choice import Choice
from syncd.mail.folders import Folder, chosen, unmatched
from syncd.mail.headers import own_id
from syncd.mail.structure import Part, attachments, invitation, texts
from syncd.mail.text import MOST_TEXT, calendar_class, calendar_uid, undone
from syncd.model.fields import Fields, Value
from syncd.model.names import one_forms
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
    Stale,
    Transient,
    Unsupported,
    Written,
)

#: Messages a FETCH.
BATCH = 100
#: Octets of an attachment that are asked for at a time.
PIECE = 1024 * 1024
_ALWAYS = frozenset({"\\deleted", "\\draft", "$junk", "junk", "$notjunk", "notjunk", "nonjunk"})


@dataclass
class ImapReplica:
    """One mailbox."""

    session: Session
    choice: Choice = field(default_factory=Choice)
    read_only: bool = False
    today: Callable[[], date] = lambda: datetime.now(UTC).date()
    _names: dict[str, tuple[str, bool]] = field(default_factory=dict)
    _sent: str = ""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            kinds=frozenset({"message"}), series="none", writable=not self.read_only, limits=MappingProxyType({})
        )

    @property
    def requests(self) -> int:
        return self.session.requests

    def close(self) -> None:
        """Ends the connection."""
        self.session.close()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """See `syncd.ports.Watchable`: one thread for all mailboxes of this process."""
        return WATCHER.add(self.session.sign_in, changed)

    # -- feed ------------------------------------------------------------------------------------------------

    def changes(self, cursor: str) -> Iterator[Page]:
        places = read_cursor(cursor) if cursor else None
        folders, states = self._folders()
        feed = Feed(self.session, self._watch, self.today() - timedelta(days=self.choice.days + 1))
        yield from feed.listing(folders, states) if places is None else feed.since_then(folders, states, places)

    @property
    def _watch(self) -> Watch:
        more = {"\\flagged"} if self.choice.flagged else set()
        return Watch(_ALWAYS | one_forms(self.choice.keywords) | more)

    def _folders(self) -> tuple[list[Folder], dict[str, dict[str, int]]]:
        left_alone = self.session.is_open
        try:
            self.session.leave()
            listed, states = self.session.listed()
        except Transient:
            if not left_alone:
                raise
            listed, states = self.session.listed()  # the server had ended the connection
        found = chosen(listed, self.choice.folders, self.choice.excluded, self.session.prefixes(listed))
        self._names = {f.name: (f.plain, f.excluded) for f in found}
        self._sent = next((f.name for f in chosen(listed, ("\\Sent",), ())), "")
        missing = [f.name for f in found if f.name not in states]
        states |= self.session.status(missing)
        return [f for f in found if "UIDVALIDITY" in states.get(f.name, {})], states

    def unmatched(self) -> Sequence[str]:
        """See `syncd.ports.Naming`."""
        listed, _ = self.session.listed()
        return unmatched(listed, self.choice.named, self.session.prefixes(listed))

    # -- reading -----------------------------------------------------------------------------------------------

    def fetch(self, refs: Sequence[str]) -> Mapping[str, Record | PortError]:
        found: dict[str, Record | PortError] = {}
        for folder, validity, uids in _grouped(refs, found):
            if not self._names:
                self._folders()
            if folder not in self._names:
                found.update({ref_of(folder, validity, u): Gone("not there") for u in uids})
                continue
            try:
                there: int | None = self.session.open(folder)
            except Rejected:
                there = None
            for start in range(0, len(uids), BATCH):
                chunk = uids[start : start + BATCH]
                if there != validity:
                    found.update({ref_of(folder, validity, u): Gone("not there") for u in chunk})
                else:
                    self._read(folder, validity, chunk, found)
        return found

    def _read(self, folder: str, validity: int, uids: Sequence[int], found: dict[str, Record | PortError]) -> None:
        """Reads messages; one whose answer cannot be read does not stop the others."""
        name, excluded = self._names[folder]
        self.session.open(folder)
        try:
            answers = self.session.fetch(as_set(runs(sorted(uids))), ITEMS_OF_EXCLUDED if excluded else ITEMS)
        except (Garbled, Rejected) as error:
            if len(uids) == 1:
                found[ref_of(folder, validity, uids[0])] = Rejected(f"the message cannot be read: {error}")
                return
            middle = len(uids) // 2
            self._read(folder, validity, uids[:middle], found)
            self._read(folder, validity, uids[middle:], found)
            return
        for uid in uids:
            ref, answer = ref_of(folder, validity, uid), answers.get(uid)
            if answer is None:
                found[ref] = Gone("not there")
                continue
            version = self._watch.version_of(answer)
            try:
                if excluded:
                    found[ref] = excluded_record(ref, "-", name, answer)
                else:
                    found[ref] = record_of(ref, version, folder, name, uid, answer)
            except Exception as error:
                found[ref] = Rejected(f"the message cannot be read ({type(error).__name__})")

    def complete(self, records: Sequence[Record], wanted: frozenset[str]) -> Sequence[Fields | PortError]:
        """See `syncd.ports.Partial`."""
        made: list[Fields | PortError | None] = [None] * len(records)
        groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for at, record in enumerate(records):
            native: Native = record.native
            sections = tuple(f"BODY.PEEK[{p.section}]<0.{MOST_TEXT}>" for p in asked_parts(native.part, wanted))
            groups.setdefault((native.folder, sections), []).append(at)
        for (folder, sections), places in sorted(groups.items()):
            for start in range(0, len(places), BATCH):
                chunk = places[start : start + BATCH]
                uids = [records[at].native.uid for at in chunk]
                answers = self._sections(folder, uids, sections) if sections else {}
                for at in chunk:
                    answer = answers.get(records[at].native.uid)
                    if sections and answer is None:
                        made[at] = Gone("not there")
                        continue
                    made[at] = self._completed(records[at], wanted, answer or {})
        return [m if m is not None else Gone("not there") for m in made]

    def _sections(self, folder: str, uids: Sequence[int], sections: Sequence[str]) -> dict[int, dict[bytes, Any]]:
        self.session.open(folder)
        try:
            return self.session.fetch(as_set(runs(sorted(uids))), ["UID", *sections])
        except (Garbled, Rejected):
            if len(uids) == 1:
                return {uids[0]: {}}
            middle = len(uids) // 2
            return self._sections(folder, uids[:middle], sections) | self._sections(folder, uids[middle:], sections)

    def _completed(self, record: Record, wanted: frozenset[str], answer: Mapping[bytes, Any]) -> Fields | PortError:
        part: Part = record.native.part
        fields: dict[str, Value] = {}
        if "text" in wanted:
            fields["text"] = "\n".join(t for t in (text_of(p, answer) for p in texts(part)) if t)
        if "invitation" in wanted:
            spoken = invitation(part)
            said = text_of(spoken, answer) if spoken is not None else ""
            fields["invitation"] = calendar_uid(said)
            if calendar_class(said) != "public":
                fields["sensitivity"] = calendar_class(said)
        if "contents" in wanted:
            fields["attachments"] = files_of(part, self._contents(record, part))
        elif "attachments" in wanted:
            fields["attachments"] = files_of(part)
        return fields

    def _contents(self, record: Record, part: Part) -> dict[str, Sequence[bytes]]:
        """The octets of each attachment that is not too large, in pieces."""
        found: dict[str, Sequence[bytes]] = {}
        for each in attachments(part):
            if each.size <= self.choice.largest and not each.type.startswith("message/"):
                found[each.section] = list(self._pieces(record, each))
        return found

    def _pieces(self, record: Record, part: Part) -> Iterator[bytes]:
        step = PIECE if part.encoding != "base64" else PIECE // 76 * 78  # whole lines of 76 characters and CRLF
        rest, start, last = b"", 0, False
        while not last and start <= self.choice.largest * 2:
            self.session.open(record.native.folder)
            item = f"BODY.PEEK[{part.section}]<{start}.{step}>"
            answer = self.session.fetch(str(record.native.uid), ["UID", item]).get(record.native.uid, {})
            piece = body(answer, part.section)
            start, last = start + step, len(piece) < step  # sizes in a structure are wrong at times
            whole, rest = decodable(rest + piece, part.encoding, last=last)
            made = undone(whole, part.encoding)
            if made:
                yield made

    def find(self, key: str, uid: str) -> Record | None:
        for folder in self._sent_and_others():
            self.session.select(folder)
            for first, last in self.session.search("HEADER", "Message-ID", f'"{own_id(key)}"'):
                state = self.session.select(folder)
                found: dict[str, Record | PortError] = {}
                self._read(folder, state["UIDVALIDITY"], list(range(first, last + 1)), found)
                for record in found.values():
                    if isinstance(record, Record) and record.key == key:
                        return record
        return None

    def _sent_and_others(self) -> list[str]:
        self._folders()
        return sorted((n for n, (_, x) in self._names.items() if not x), key=lambda n: n != self._sent)

    # -- writing -----------------------------------------------------------------------------------------------

    def create(self, fields: Fields, key: str, *, kind: str, uid: str, owner: str) -> Written:
        if self.read_only:
            raise Unsupported("this mailbox is read only")
        if kind != "message":
            raise Unsupported(f"a mailbox holds no {kind}")
        if self.find(key, uid) is not None:
            raise Exists("a message with this key exists")
        if not self._sent:
            raise Unsupported("this mailbox has no folder for sent mail")
        return self._append(fields, key)

    def _append(self, fields: Fields, key: str) -> Written:
        with self.session.talking() as client:
            self.session.requests += 1
            when = fields["date"].start if fields.get("date") else None
            said = client.append(self._sent, message_of(fields, key), (b"\\Seen",), when)
        ref = _appended(self._sent, said)
        if ref is not None and self._sent in self._names:
            return Written(ref, None)
        found = self.find(key, "")
        if found is None:
            raise Rejected("the server took the message, but does not show it")
        return Written(found.ref, found.version)

    def update(self, record: Record, changes: Fields, *, tell: bool = False) -> Written:
        """Only a flag can be changed: a message is what was said."""
        if self.read_only or set(changes) - {"flagged"}:
            raise Unsupported("a message cannot be changed")
        folder, validity, uid = parse_ref(record.ref)
        self._at_version(record, folder, validity, uid)
        if "flagged" in changes:
            with self.session.talking() as client:
                self.session.requests += 1
                act = client.add_flags if changes["flagged"] else client.remove_flags
                act([uid], [b"\\Flagged"], silent=True)
        flags = self.session.fetch(str(uid), STATE).get(uid)
        if flags is None:
            raise Gone("not there")
        return Written(record.ref, self._watch.version_of(flags))

    def _at_version(self, record: Record, folder: str, validity: int, uid: int) -> None:
        if self.session.select(folder, writing=True).get("UIDVALIDITY") != validity:
            raise Gone("not there")
        found = self.session.fetch(str(uid), STATE).get(uid)
        if found is None:
            raise Gone("not there")
        if self._watch.version_of(found) != record.version:
            raise Stale("changed meanwhile")

    def delete(self, record: Record, *, tell: bool = False) -> None:
        """Only what syncd itself put into Sent is ever removed."""
        if self.read_only or not record.key:
            raise Unsupported("mail is never deleted")
        folder, validity, uid = parse_ref(record.ref)
        self._at_version(record, folder, validity, uid)
        with self.session.talking() as client:
            self.session.requests += 2
            client.delete_messages([uid], silent=True)
            if client.has_capability("UIDPLUS"):
                client.uid_expunge([uid])

    def mark(self, refs: Sequence[str], *, logged: bool) -> None:
        """See `syncd.ports.Marking`."""
        choice = self.choice
        if self.read_only or not (choice.keyword or choice.copy or choice.move):
            return
        for folder, validity, uids in _grouped(refs, {}):
            name = self._names.get(folder, (folder, False))[0]
            place = Place(folder, name, validity, uids)
            show(self.session, place, keyword=choice.keyword, copy=choice.copy, move=choice.move, logged=logged)


def _appended(folder: str, said: Any) -> str | None:
    """The ref of what was appended, when the server says it (RFC 4315 APPENDUID)."""
    import re

    found = re.search(rb"\[APPENDUID (\d+) (\d+)\]", said if isinstance(said, bytes) else b"")
    return ref_of(folder, int(found[1]), int(found[2])) if found else None


def _grouped(refs: Sequence[str], found: dict[str, Record | PortError]) -> list[tuple[str, int, list[int]]]:
    """Refs by folder and UIDVALIDITY; what is no ref of a message is not there."""
    groups: dict[tuple[str, int], list[int]] = {}
    for ref in dict.fromkeys(refs):
        try:
            folder, validity, uid = parse_ref(ref)
        except ValueError:
            found[ref] = Gone("not there")
            continue
        groups.setdefault((folder, validity), []).append(uid)
    return [(folder, validity, sorted(uids)) for (folder, validity), uids in sorted(groups.items())]


__all__ = ["Change", "Choice", "CursorExpired", "ImapReplica"]
