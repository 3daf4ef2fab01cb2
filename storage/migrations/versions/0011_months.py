"""Finds where a month of somebody's jobs begins and ends without reading those of other months."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("jobs_user_asked", "jobs", ["user_id", "created_at"], unique=False)
