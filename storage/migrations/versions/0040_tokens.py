"""Tokens of programs."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64, UtcTimestamp

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTimestamp(), nullable=False),
        sa.Column("ends_at", UtcTimestamp(), nullable=False),
        sa.Column("used_at", UtcTimestamp(), nullable=True),
        sa.Column("used_from", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_api_tokens"),
    )
    op.create_index("api_tokens_user", "api_tokens", ["user_id", "created_at"])
