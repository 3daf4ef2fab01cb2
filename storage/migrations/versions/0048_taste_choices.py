"""What people said of pictures that they were shown to rate, and which rows of a code were seen together."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "taste_choices",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("liked", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint("liked IN (0, 1)", name=op.f("ck_taste_choices_liked")),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["pictures.job_id", "pictures.position"],
            op.f("fk_taste_choices_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "job_id", "position", name=op.f("pk_taste_choices")),
        sqlite_strict=True,
    )
    op.create_index("taste_choices_picture", "taste_choices", ["job_id", "position"])
    op.add_column("taste_rows", sa.Column("page", sa.Text()))
