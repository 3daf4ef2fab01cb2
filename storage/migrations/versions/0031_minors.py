"""Which stored pictures are of a minor."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "picture_minors",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("of_minor", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_picture_minors")),
        sqlite_strict=True,
    )
