"""A wall of styles: what was drawn for it, who likes which style, and codes of people's own pictures."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64, UtcTimestamp

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "style_tiles",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("style", Int64, nullable=False),
        sa.Column("subject", Int64, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("model", "style", "subject", name="pk_style_tiles"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_style_tiles_job_id", ondelete="CASCADE"),
    )
    op.create_index("style_tiles_job", "style_tiles", ["job_id"])
    op.create_table(
        "style_likes",
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("style", Int64, nullable=False),
        sa.Column("at", UtcTimestamp, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "style", name="pk_style_likes"),
    )
    op.create_index("style_likes_style", "style_likes", ["style"])
    op.create_table(
        "own_styles",
        sa.Column("user_id", Int64, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("style", Int64, nullable=False),
        sa.Column("at", UtcTimestamp, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code", name="pk_own_styles"),
    )
    op.create_index("own_styles_code", "own_styles", ["code"])
