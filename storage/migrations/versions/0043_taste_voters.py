"""Whose hearts count in the taste of a server, and who doesn't want that."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0041"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "taste_voters",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("counts", WHOLE, nullable=False),
        sa.CheckConstraint("counts IN (0, 1)", name=op.f("ck_taste_voters_counts")),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_taste_voters")),
        sqlite_strict=True,
    )
    op.create_index("taste_voters_user", "taste_voters", ["user_id"])
