"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, default: str | None = "", **more: object) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default, **more)  # type: ignore[arg-type]


def _word(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=null, primary_key=key)


def _number(name: str, *, null: bool = False, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null, primary_key=key)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def upgrade() -> None:
    op.create_table(
        "feed", _word("name", key=True), _text("cursor"), _number("generation"), _word("listing"), _word("mapping")
    )
    op.create_table(
        "activity",
        _number("id", key=True),
        _word("crm"),
        _word("kind"),
        sa.Column("key", sa.String, nullable=False, unique=True),
        _word("crm_ref", null=True),
        _word("uid_digest", null=True),
        _flag("scheduled"),
        _word("origin"),
        _number("maker", null=True),
        _number("seen"),
        sa.UniqueConstraint("crm", "crm_ref"),
        sa.UniqueConstraint("crm", "uid_digest"),
    )
    op.create_table(
        "link",
        _number("id", key=True),
        _word("pairing"),
        sa.Column("activity", sa.Integer, sa.ForeignKey("activity.id"), nullable=False),
        _word("item_ref", null=True),
        _word("occurrence"),
        _word("item_version"),
        _word("crm_version"),
        _word("role"),
        _word("rest"),
        _text("item_base", "{}"),
        _text("crm_base", "{}"),
        sa.Column("texts", sa.LargeBinary),
        _text("unconfirmed", "{}"),
        _text("brought", "[]"),
        _flag("ours"),
        _flag("private_copy"),
        _number("seen"),
        sa.UniqueConstraint("pairing", "item_ref", "occurrence"),
    )
    op.create_index("link_activity", "link", ["activity"])
    op.create_table(
        "pending",
        _word("pairing", key=True),
        _word("side", key=True),
        _word("ref", key=True),
        _number("seq"),
        _word("due"),
        _flag("held"),
    )
    op.create_index("pending_order", "pending", ["pairing", "side", "seq"])
    op.create_table(
        "intent",
        _number("id", key=True),
        sa.Column("pairing", sa.String, nullable=False, index=True),
        _number("link"),
        _word("side"),
        _word("op"),
        _word("key"),
        _word("uid"),
        _word("expected"),
        _text("moves", "{}"),
        _word("after"),
    )
    op.create_table(
        "conflict",
        _number("id", key=True),
        _word("pairing"),
        _number("link"),
        _word("field"),
        _word("since"),
        sa.Column("item_value", sa.LargeBinary, nullable=False),
        sa.Column("crm_value", sa.LargeBinary, nullable=False),
        _word("word"),
        sa.UniqueConstraint("link", "field"),
    )
    op.create_table(
        "parked",
        _word("pairing", key=True),
        _word("side", key=True),
        _word("ref", key=True),
        _number("link", null=True),
        _text("reason"),
        _word("since"),
    )
    op.create_table(
        "explain",
        _number("id", key=True),
        _word("at"),
        _word("pairing"),
        _number("link"),
        sa.Column("activity", sa.Integer, nullable=False, index=True),
        _word("rule"),
        _text("detail"),
    )
    op.create_table(
        "ledger",
        _number("id", key=True),
        _word("at"),
        _word("pairing"),
        sa.Column("link", sa.Integer, nullable=False, index=True),
        _word("way"),
        _text("fields"),
        _word("rule"),
    )
    op.create_table(
        "run",
        _word("pairing", key=True),
        _word("started"),
        _word("ended"),
        _word("agreed"),
        _word("outcome"),
        _text("counts", "{}"),
        _number("approved"),
    )
    op.create_table("setting", _word("name", key=True), _text("value"))
