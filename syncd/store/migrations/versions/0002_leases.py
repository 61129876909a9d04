"""Leases, numbers of announcements from a sequence, and an order in which old records can go."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("explain_at", "explain", ["at"])
    op.create_index("ledger_at", "ledger", ["at"])
    connection = op.get_bind()
    if connection.dialect.supports_sequences:
        highest = connection.execute(sa.text("SELECT coalesce(max(seq), 0) + 1 FROM pending")).scalar_one()
        op.execute(sa.schema.CreateSequence(sa.Sequence("announcements", start=int(highest))))
