"""Who sent which file, and which messages are to be deleted on Discord."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "sha256", name=op.f("pk_uploads")),
        sqlite_strict=True,
    )
    op.create_index("uploads_sha256", "uploads", ["sha256"], unique=False)
    op.create_table(
        "unposted",
        sa.Column("message_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("channel_id", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_unposted")),
        sqlite_strict=True,
    )
