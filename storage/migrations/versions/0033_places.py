"""Jobs asked for while away, how many of them a person had in a day, and whether a server was greeted."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("away", WHOLE, server_default="0", nullable=False))
    op.add_column("tokens_used", sa.Column("away_jobs", WHOLE, server_default="0", nullable=False))
    op.add_column("guilds", sa.Column("greeted_at", WHOLE))
    op.execute("UPDATE guilds SET greeted_at = COALESCE(seen_at, 0)")  # those that know the bot by now
