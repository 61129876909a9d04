"""The store's records as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A base: field -> digest, or for a keyed field element digest -> value digest.
Base = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """An activity, known once however many links hang on it."""

    id: int
    crm: str
    kind: str
    #: What its creates are keyed with; a UUID.
    key: str
    #: Where it lives; None while its create is open, or after it was deleted.
    crm_ref: str | None
    #: A digest by which pairings that meet the same meeting make one activity of it.
    claim: str | None
    #: A digest of the UID alone.
    uid_digest: str | None
    #: True for a meeting with invited people: their own invitation is their copy.
    scheduled: bool
    #: "crm" or "groupware": where it was made.
    origin: str
    #: The link through which it came into the CRM.
    maker: int | None


@dataclass(frozen=True)
class Link:
    """This item and this activity are the same thing."""

    id: int
    pairing: str
    activity: int
    item_ref: str | None
    #: Original start's key for one occurrence of an expanded series, else "".
    occurrence: str = ""
    item_version: str = ""
    crm_version: str = ""
    role: str = "own"
    #: Why the link rests, "" when it does not.
    rest: str = ""
    item_base: Base = field(default_factory=dict)
    crm_base: Base = field(default_factory=dict)
    #: field -> the words that both sides agreed on, for ``merge: text``.
    texts: Mapping[str, str] = field(default_factory=dict)
    #: side -> fields written and not seen since: a difference there may be the server's shaping.
    unconfirmed: Mapping[str, list[str]] = field(default_factory=dict)
    #: Fields that this link brought into the CRM.
    brought: frozenset[str] = frozenset()
    #: True when syncd made the item.
    ours: bool = False
    #: True when the item is the copy of an activity that is itself private.
    private_copy: bool = False
    #: What waits until guests have been told: fields or "deletion", by comma.
    waits: str = ""


@dataclass(frozen=True)
class Pending:
    """A change announced and not settled."""

    side: str
    ref: str
    seq: int


@dataclass(frozen=True)
class Intent:
    """A write journaled before it was made."""

    id: int
    pairing: str
    link: int
    side: str
    #: create, update, delete or redact.
    op: str
    key: str
    uid: str
    expected: str
    #: What the link becomes when the write has arrived (see engine.writes).
    moves: Mapping[str, Any]
    #: The link's rest reason afterwards.
    after: str


@dataclass(frozen=True)
class Conflict:
    """A field that waits for a person's word, with both values."""

    id: int
    pairing: str
    link: int
    field: str
    since: str
    item_value: str
    crm_value: str
    word: str


@dataclass(frozen=True)
class Parked:
    """What cannot go on by itself."""

    pairing: str
    side: str
    ref: str
    link: int | None
    reason: str
    since: str
