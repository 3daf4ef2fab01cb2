"""Which answers people found right, and which wrong."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("is_right", WHOLE, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.CheckConstraint("is_right IN (0, 1)", name=op.f("ck_feedback_is_right")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_feedback_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "job_id", name=op.f("pk_feedback")),
        sqlite_strict=True,
    )
    op.create_index("feedback_job", "feedback", ["job_id"], unique=False)
