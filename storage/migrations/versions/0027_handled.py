"""Which of Discord's events one of several processes has dealt with."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "handled",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_handled")),
        sqlite_strict=True,
    )
    op.create_index("handled_at", "handled", ["at"])
