"""Which channels members of a server can't read, whose pictures don't count in its taste."""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("taste_voters", sa.Column("unread", sa.Text()))
