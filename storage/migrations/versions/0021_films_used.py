"""How many seconds of film each member has had made, by day."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "films_used",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("day", WHOLE, autoincrement=False, nullable=False),
        sa.Column("seconds", REAL, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name=op.f("pk_films_used")),
        sqlite_strict=True,
    )
