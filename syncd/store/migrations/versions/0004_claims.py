"""What is the same meeting by more than its UID; what waits until guests have been told."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What stood there, a digest of the UID alone, stays as the claim of rows that were made before: the pass that
    # meets them next gives them their own.
    op.execute("ALTER TABLE activity RENAME COLUMN uid_digest TO claim")
    op.add_column("activity", sa.Column("uid_digest", sa.String()))
    op.execute("UPDATE activity SET uid_digest = claim")
    op.create_index("ix_activity_uid_digest", "activity", ["uid_digest"])
    op.add_column("link", sa.Column("waits", sa.String(), nullable=False, server_default=""))
    op.create_index("link_waits", "link", ["pairing", "waits"])
