"""Files that no row needs any more, until they are deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "going",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("due", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_going")),
        sqlite_strict=True,
    )
    op.create_index("going_due", "going", ["due"])
