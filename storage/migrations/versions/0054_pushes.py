"""Browsers that ring when a job is over, and what they are to be told."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64, UtcTimestamp

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_subscriptions",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTimestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"],
            ["sessions.token_hash"],
            name=op.f("fk_push_subscriptions_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_push_subscriptions")),
        sqlite_strict=True,
    )
    op.create_index("push_subscriptions_user", "push_subscriptions", ["user_id"])
    op.create_index("push_subscriptions_endpoint", "push_subscriptions", ["endpoint"], unique=True)
    op.create_table(
        "pushes",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("due_at", UtcTimestamp(), nullable=False),
        sa.Column("tries", Int64, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["session"],
            ["push_subscriptions.session"],
            name=op.f("fk_pushes_session"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_pushes_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session", "job_id", name=op.f("pk_pushes")),
        sqlite_strict=True,
    )
    op.create_index("pushes_due", "pushes", ["due_at"])
    op.create_index("pushes_job", "pushes", ["job_id"])
