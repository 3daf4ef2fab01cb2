"""When connections to Discord were begun, by any process of a bot."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "identifies",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("key", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_identifies")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("identifies_key", "identifies", ["key", "at"])
