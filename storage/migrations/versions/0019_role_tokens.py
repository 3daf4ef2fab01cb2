"""How many tokens members with a role may use a day."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "role_tokens",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("role_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("per_day", WHOLE, nullable=False),
        sa.CheckConstraint("per_day >= 0", name=op.f("ck_role_tokens_positive")),
        sa.PrimaryKeyConstraint("guild_id", "role_id", name=op.f("pk_role_tokens")),
        sqlite_strict=True,
    )
