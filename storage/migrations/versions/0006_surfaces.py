"""Which surface a job was asked on, and a key that makes asking again harmless."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ALTER TABLE only: a batch copy drops the old table, and its pictures, inputs, messages and
    # favourites with it (ON DELETE CASCADE).
    op.execute("ALTER TABLE jobs RENAME COLUMN ephemeral TO private")
    op.add_column("jobs", sa.Column("surface", sa.Text(), nullable=False, server_default="discord"))
    op.add_column("jobs", sa.Column("request_key", sa.Text(), nullable=True))
    op.create_index(
        "jobs_request_key",
        "jobs",
        ["user_id", "request_key"],
        unique=True,
        sqlite_where=sa.text("request_key IS NOT NULL"),
        postgresql_where=sa.text("request_key IS NOT NULL"),
    )
