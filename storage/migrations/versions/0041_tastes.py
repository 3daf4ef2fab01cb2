"""Codes of tastes, and the pictures that each was made of."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "taste_codes",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("guild_id", WHOLE),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_taste_codes")),
        sqlite_strict=True,
    )
    op.create_index("taste_codes_user", "taste_codes", ["user_id"])
    op.create_index("taste_codes_guild", "taste_codes", ["guild_id"])
    op.create_table(
        "taste_rows",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("liked", WHOLE, nullable=False),
        sa.CheckConstraint("liked IN (0, 1)", name=op.f("ck_taste_rows_liked")),
        sa.ForeignKeyConstraint(
            ["code"], ["taste_codes.code"], op.f("fk_taste_rows_code"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["pictures.job_id", "pictures.position"],
            op.f("fk_taste_rows_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("code", "job_id", "position", name=op.f("pk_taste_rows")),
        sqlite_strict=True,
    )
    op.create_index("taste_rows_picture", "taste_rows", ["job_id", "position"])
