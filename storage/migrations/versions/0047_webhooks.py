"""Webhooks, and what they are to be told."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64, UtcTimestamp

revision = "0047"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("api_tokens_id", "api_tokens", ["id"], unique=True)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=True),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTimestamp(), nullable=False),
        sa.Column("failures", Int64, server_default="0", nullable=False),
        sa.Column("rests_until", UtcTimestamp(), nullable=True),
        sa.Column("paused_at", UtcTimestamp(), nullable=True),
        sa.Column("answered_at", UtcTimestamp(), nullable=True),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(token_id IS NULL) <> (project_id IS NULL)", name=op.f("ck_webhooks_of")),
        sa.ForeignKeyConstraint(
            ["token_id"], ["api_tokens.id"], name=op.f("fk_webhooks_token_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_webhooks_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sqlite_strict=True,
    )
    op.create_index("webhooks_user", "webhooks", ["user_id", "created_at"])
    op.create_index("webhooks_token", "webhooks", ["token_id"])
    op.create_index("webhooks_project", "webhooks", ["project_id"])
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("at", UtcTimestamp(), nullable=False),
        sa.Column("due_at", UtcTimestamp(), nullable=True),
        sa.Column("tries", Int64, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_events_webhook_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_webhook_events_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sqlite_strict=True,
    )
    op.create_index("webhook_events_due", "webhook_events", ["webhook_id", "due_at"])
    op.create_index("webhook_events_job", "webhook_events", ["job_id"])
    op.create_index("webhook_events_at", "webhook_events", ["at"])
