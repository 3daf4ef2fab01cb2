"""Styles that were made of tastes, and the pairs of pictures by which people choose whether they act."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "taste_loras",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("folder_id", sa.Text()),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("number", Int64, server_default="0", nullable=False),
        sa.Column("is_on", Int64, server_default="0", nullable=False),
        sa.CheckConstraint("is_on IN (0, 1)", name=op.f("ck_taste_loras_is_on")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_taste_loras_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folders.id"], name=op.f("fk_taste_loras_folder_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_taste_loras")),
        sqlite_strict=True,
    )
    op.create_index("taste_loras_folder", "taste_loras", ["folder_id"])
    op.create_table(
        "taste_pairs",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("position", Int64, autoincrement=False, nullable=False),
        sa.Column("with_job", sa.Text(), nullable=False),
        sa.Column("without_job", sa.Text(), nullable=False),
        sa.Column("picture", Int64, nullable=False),
        sa.Column("first", Int64, nullable=False),
        sa.Column("chosen", Int64),
        sa.CheckConstraint("first IN (0, 1)", name=op.f("ck_taste_pairs_first")),
        sa.CheckConstraint("chosen IN (0, 1)", name=op.f("ck_taste_pairs_chosen")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["taste_loras.project_id"],
            name=op.f("fk_taste_pairs_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["with_job"], ["jobs.id"], name=op.f("fk_taste_pairs_with_job"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["without_job"], ["jobs.id"], name=op.f("fk_taste_pairs_without_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "position", name=op.f("pk_taste_pairs")),
        sqlite_strict=True,
    )
    op.create_index("taste_pairs_with", "taste_pairs", ["with_job"])
    op.create_index("taste_pairs_without", "taste_pairs", ["without_job"])
