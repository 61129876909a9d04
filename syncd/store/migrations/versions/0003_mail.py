"""Threads of messages, marks that mailboxes are to show, and what all passes together have done."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "thread",
        sa.Column("crm", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("activity", sa.Integer(), sa.ForeignKey("activity.id", ondelete="CASCADE"), nullable=False),
        sa.PrimaryKeyConstraint("crm", "digest"),
    )
    op.create_index("thread_activity", "thread", ["activity"])
    op.create_table(
        "mark",
        sa.Column("pairing", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("logged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pairing", "ref"),
    )
    op.add_column("run", sa.Column("totals", sa.Text(), nullable=False, server_default="{}"))
