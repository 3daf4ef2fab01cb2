"""Answers to questions, and how many tokens each member has used on a day."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("answer", sa.Text()))
    op.create_table(
        "tokens_used",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("day", WHOLE, autoincrement=False, nullable=False),
        sa.Column("tokens", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name=op.f("pk_tokens_used")),
        sqlite_strict=True,
    )
