"""Whether Discord may copy a share's pictures where its link is pasted."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("shares", sa.Column("embed", WHOLE, server_default="0", nullable=False))
