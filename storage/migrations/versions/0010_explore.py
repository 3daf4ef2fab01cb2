"""Finds what channels of a server have made, newest first, without reading the rows of other channels."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SHOWN = "private = 0 AND guild_id IS NOT NULL AND rendered_at IS NOT NULL"


def upgrade() -> None:
    op.create_index(
        "jobs_shown",
        "jobs",
        ["guild_id", "seq", "channel_id"],
        unique=False,
        sqlite_where=sa.text(SHOWN),
        postgresql_where=sa.text(SHOWN),
    )
