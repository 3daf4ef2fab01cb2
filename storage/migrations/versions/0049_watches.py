"""Watches, and the pictures that came by them."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64, UtcTimestamp

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("channel_id", Int64, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("keep_days", Int64, nullable=False),
        sa.Column("created_at", UtcTimestamp(), nullable=False),
        sa.Column("is_on", Int64, server_default="1", nullable=False),
        sa.Column("place", Int64, server_default="0", nullable=False),
        sa.Column("seen_at", UtcTimestamp(), nullable=True),
        sa.Column("quiet_until", UtcTimestamp(), nullable=True),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("is_on IN (0, 1)", name=op.f("ck_watches_is_on")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_watches_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watches")),
        sqlite_strict=True,
    )
    op.create_index("watches_camera", "watches", ["project_id", "camera"], unique=True)
    op.create_index("watches_user", "watches", ["user_id"])
    op.create_table(
        "watch_pictures",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("watch_id", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("at", UtcTimestamp(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'good', 'alarm', 'quiet', 'failed')", name=op.f("ck_watch_pictures_state")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_watch_pictures_job_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["watch_id"], ["watches.id"], name=op.f("fk_watch_pictures_watch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_watch_pictures")),
        sqlite_strict=True,
    )
    op.create_index("watch_pictures_watch", "watch_pictures", ["watch_id", "state", "at"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "watch_pictures_open",
        "watch_pictures",
        ["watch_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
