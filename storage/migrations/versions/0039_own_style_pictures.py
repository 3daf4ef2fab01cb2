"""Codes of people's own pictures know which of them jobs have made."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    of_job = "fk_own_style_pictures_job_id"
    op.create_table(
        "own_style_pictures",
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("position", Int64, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code", "job_id", "position", name="pk_own_style_pictures"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=of_job, ondelete="CASCADE"),
    )
    op.create_index("own_style_pictures_job", "own_style_pictures", ["job_id"])
