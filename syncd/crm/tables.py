"""The built-in CRM's tables. A change here needs a revision under crm/migrations (Alembic).

Words: SAP CRM's (activity, account, contact, transaction, status, private flag).
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
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

employee = Table(
    "crm_employee",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False, unique=True),
)

account = Table(
    "crm_account",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False, default=""),
    Column("phone", String, nullable=False, default=""),
    Column("city", String, nullable=False, default=""),
)

contact = Table(
    "crm_contact",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, ForeignKey("crm_account.id")),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False, default="", index=True),
    Column("function", String, nullable=False, default=""),
    Column("phone", String, nullable=False, default=""),
)

#: Business transactions, as far as activities refer to them.
transaction = Table(
    "crm_transaction",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("description", String, nullable=False),
    Column("account", String, ForeignKey("crm_account.id")),
    Column("owner", String, ForeignKey("crm_employee.id")),
    Column("status", String, nullable=False, default="open"),
    Column("starts", String, nullable=False, default=""),
    Column("ends", String, nullable=False, default=""),
)

status = Table(
    "crm_status",
    metadata,
    Column("code", String, primary_key=True),
    Column("name", String, nullable=False),
    #: What it means for a calendar: open, completed or rejected.
    Column("meaning", String, nullable=False),
    Column("position", Integer, nullable=False),
)

activity = Table(
    "crm_activity",
    metadata,
    Column("guid", String, primary_key=True),
    #: appointment, task, call, visit, e-mail or letter (the last four are interaction logs).
    Column("kind", String, nullable=False),
    Column("direction", String, nullable=False, default=""),
    Column("subject", Text, nullable=False, default=""),
    Column("notes", Text, nullable=False, default=""),
    Column("location", Text, nullable=False, default=""),
    #: Moments as `syncd.model.span.moment_key` writes them; `zone` as its owner spells it.
    Column("starts", String, nullable=False, default=""),
    Column("ends", String, nullable=False, default=""),
    Column("zone", String, nullable=False, default=""),
    Column("recurrence", Text, nullable=False, default=""),
    Column("due", String, nullable=False, default=""),
    Column("status", String, ForeignKey("crm_status.code"), nullable=False, default="open"),
    #: 0 none, 1 high, 2 medium, 3 low.
    Column("priority", Integer, nullable=False, default=0),
    #: Percent.
    Column("completion", Integer, nullable=False, default=0),
    Column("private", Boolean, nullable=False, default=False),
    Column("categories", Text, nullable=False, default="[]"),
    Column("owner", String, ForeignKey("crm_employee.id")),
    Column("account", String, ForeignKey("crm_account.id")),
    Column("contact", String, ForeignKey("crm_contact.id")),
    #: The groupware item's UID, when it came from there.
    Column("uid", String, nullable=False, default="", index=True),
    #: Of an e-mail: UID of the appointment that it speaks of.
    Column("appointment", String, nullable=False, default="", server_default="", index=False),
    #: The idempotent key of whoever created it.
    Column("key", String, unique=True),
    Column("version", Integer, nullable=False),
    Column("created", String, nullable=False),
    Column("changed", String, nullable=False),
    Column("seq", Integer, nullable=False, unique=True),
    Index("crm_activity_time", "owner", "starts"),
    Index("crm_activity_appointment", "appointment"),
)

participant = Table(
    "crm_participant",
    metadata,
    Column("activity", String, ForeignKey("crm_activity.guid", ondelete="CASCADE"), primary_key=True),
    Column("address", String, primary_key=True),
    Column("name", String, nullable=False, default=""),
    Column("answer", String, nullable=False, default="needs-action"),
    #: In an e-mail: from, to or cc.
    Column("role", String, nullable=False, default="", server_default=""),
    Index("crm_participant_address", "address"),
)

#: Files of an activity, by name; their octets in pieces, where they were let cross.
attachment = Table(
    "crm_attachment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("activity", String, ForeignKey("crm_activity.guid", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("stored", Boolean, nullable=False),
    Index("crm_attachment_activity", "activity"),
)

attachment_piece = Table(
    "crm_attachment_piece",
    metadata,
    Column("attachment", Integer, ForeignKey("crm_attachment.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

history = Table(
    "crm_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("activity", String, ForeignKey("crm_activity.guid", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", String, nullable=False),
    #: The employee's id, or "groupware" when the synchronisation brought it: to be shown, it gives nobody access.
    Column("by", String, nullable=False),
    Column("field", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("key", String),
)

#: Document history: what came of what, both ways.
follow_up = Table(
    "crm_follow_up",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("predecessor_type", String, nullable=False),
    Column("predecessor", String, nullable=False),
    Column("follower_type", String, nullable=False),
    Column("follower", String, nullable=False),
    UniqueConstraint("predecessor_type", "predecessor", "follower_type", "follower"),
)

#: Activities that are gone, for the change feed.
gone = Table(
    "crm_gone",
    metadata,
    Column("guid", String, primary_key=True),
    Column("seq", Integer, nullable=False, unique=True),
)

counter = Table("crm_counter", metadata, Column("name", String, primary_key=True), Column("value", Integer))
