"""The store's tables. A change here needs a revision under store/migrations (Alembic).

Content never stands here: bases are keyed digests; only `link.texts` (fields whose mapping says
``merge: text``) and `conflict` (values that wait for a person's word) hold words.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

#: One row a feed: how far it has been read, and whether a full comparison is under way.
feed = Table(
    "feed",
    metadata,
    Column("name", String, primary_key=True),
    Column("cursor", Text, nullable=False, default=""),
    Column("generation", Integer, nullable=False, default=0),
    Column("listing", String, nullable=False, default=""),
    Column("mapping", String, nullable=False, default=""),
)

#: An activity, known once (design §5, fine print 7).
row = Table(
    "activity",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("crm", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False, unique=True),
    Column("crm_ref", String),
    #: A digest by which pairings that meet the same meeting make one activity of it.
    Column("claim", String),
    #: A digest of the UID alone, by which an item that moved to somebody else's calendar is known again.
    Column("uid_digest", String, index=True),
    Column("scheduled", Boolean, nullable=False, default=False),
    Column("origin", String, nullable=False),
    Column("maker", Integer),
    Column("seen", Integer, nullable=False, default=0),
    UniqueConstraint("crm", "crm_ref"),
    UniqueConstraint("crm", "claim"),
)

#: This item and this activity are the same thing, and what each side held when they last agreed.
link = Table(
    "link",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pairing", String, nullable=False),
    Column("activity", Integer, ForeignKey("activity.id"), nullable=False),
    Column("item_ref", String),
    Column("occurrence", String, nullable=False, default=""),
    Column("item_version", String, nullable=False, default=""),
    Column("crm_version", String, nullable=False, default=""),
    Column("role", String, nullable=False, default="own"),
    Column("rest", String, nullable=False, default=""),
    Column("item_base", Text, nullable=False, default="{}"),
    Column("crm_base", Text, nullable=False, default="{}"),
    Column("texts", LargeBinary),
    Column("unconfirmed", Text, nullable=False, default="{}"),
    Column("brought", Text, nullable=False, default="[]"),
    Column("ours", Boolean, nullable=False, default=False),
    Column("private_copy", Boolean, nullable=False, default=False),
    #: What waits until guests have been told, fields or "deletion", by comma; "" for nothing.
    Column("waits", String, nullable=False, default="", server_default=""),
    Column("seen", Integer, nullable=False, default=0),
    UniqueConstraint("pairing", "item_ref", "occurrence"),
    Index("link_activity", "activity"),
    Index("link_waits", "pairing", "waits"),
)

#: Which message, by a digest of its Message-ID, is which activity: those that answer it are filed like it.
thread = Table(
    "thread",
    metadata,
    Column("crm", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("activity", Integer, ForeignKey("activity.id", ondelete="CASCADE"), nullable=False),
    Index("thread_activity", "activity"),
)

#: Messages whose mailbox is still to show that they are logged, or no longer.
mark = Table(
    "mark",
    metadata,
    Column("pairing", String, primary_key=True),
    Column("ref", String, primary_key=True),
    Column("logged", Boolean, nullable=False),
)

#: A change that a feed has announced and no settlement has dealt with yet.
pending = Table(
    "pending",
    metadata,
    Column("pairing", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("ref", String, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("due", String, nullable=False, default=""),
    Column("held", Boolean, nullable=False, default=False),
    Index("pending_order", "pairing", "side", "seq"),
)

#: A write that we are about to make.
intent = Table(
    "intent",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pairing", String, nullable=False, index=True),
    Column("link", Integer, nullable=False),
    Column("side", String, nullable=False),
    Column("op", String, nullable=False),
    Column("key", String, nullable=False, default=""),
    Column("uid", String, nullable=False, default=""),
    Column("expected", String, nullable=False, default=""),
    Column("moves", Text, nullable=False, default="{}"),
    Column("after", String, nullable=False, default=""),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pairing", String, nullable=False),
    Column("link", Integer, nullable=False),
    Column("field", String, nullable=False),
    Column("since", String, nullable=False),
    Column("item_value", LargeBinary, nullable=False),
    Column("crm_value", LargeBinary, nullable=False),
    Column("word", String, nullable=False, default=""),
    UniqueConstraint("link", "field"),
)

parked = Table(
    "parked",
    metadata,
    Column("pairing", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("ref", String, primary_key=True),
    Column("link", Integer),
    Column("reason", Text, nullable=False),
    Column("since", String, nullable=False),
)

#: Why a decision fell as it did: rule, fields, sides; no content.
explain = Table(
    "explain",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("pairing", String, nullable=False),
    Column("link", Integer, nullable=False),
    Column("activity", Integer, nullable=False, index=True),
    Column("rule", String, nullable=False),
    Column("detail", Text, nullable=False),
    Index("explain_at", "at"),
)

#: What crossed: when, which link, which way, which fields, under which privacy rule; no content.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("pairing", String, nullable=False),
    Column("link", Integer, nullable=False, index=True),
    Column("way", String, nullable=False),
    Column("fields", Text, nullable=False),
    Column("rule", String, nullable=False),
    Index("ledger_at", "at"),
)

#: How each pairing's last pass went.
run = Table(
    "run",
    metadata,
    Column("pairing", String, primary_key=True),
    Column("started", String, nullable=False),
    Column("ended", String, nullable=False, default=""),
    Column("agreed", String, nullable=False, default=""),
    Column("outcome", String, nullable=False, default=""),
    Column("counts", Text, nullable=False, default="{}"),
    Column("approved", Integer, nullable=False, default=0),
    #: The counts of all passes together.
    Column("totals", Text, nullable=False, default="{}", server_default="{}"),
)

setting = Table(
    "setting",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

#: Numbers of announcements, where the database has sequences; SQLite keeps them in `setting`.
announcements = Sequence("announcements", metadata=metadata)

#: Who works on what: a worker that was thought dead and wakes up has an old number and cannot write.
lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("holder", String, nullable=False, default=""),
    Column("until", String, nullable=False, default=""),
)
