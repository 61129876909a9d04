"""E-mail: what people are in a message, the appointment it speaks of, what is attached to it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("crm_participant", sa.Column("role", sa.String(), nullable=False, server_default=""))
    op.add_column("crm_activity", sa.Column("appointment", sa.String(), nullable=False, server_default=""))
    op.create_index("crm_activity_appointment", "crm_activity", ["appointment"])
    op.create_table(
        "crm_attachment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["activity"], ["crm_activity.guid"], ondelete="CASCADE"),
    )
    op.create_index("crm_attachment_activity", "crm_attachment", ["activity"])
    op.create_table(
        "crm_attachment_piece",
        sa.Column("attachment", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attachment", "number"),
        sa.ForeignKeyConstraint(["attachment"], ["crm_attachment.id"], ondelete="CASCADE"),
    )
