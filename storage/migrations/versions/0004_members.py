"""What members choose and keep: preferences, own options, favourites, drafts behind confirm buttons."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "preferences",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("choices", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_preferences")),
        sqlite_strict=True,
    )
    op.create_table(
        "options",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_options")),
        sqlite_strict=True,
    )
    op.create_table(
        "favourites",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_favourites_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "job_id", "position", name=op.f("pk_favourites")),
        sqlite_strict=True,
    )
    op.create_index("favourites_job", "favourites", ["job_id"], unique=False)
    op.create_index("favourites_user", "favourites", ["user_id", "created_at"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sqlite_strict=True,
    )
    op.create_index("drafts_user", "drafts", ["user_id"], unique=False)
