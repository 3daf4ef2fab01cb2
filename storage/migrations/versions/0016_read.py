"""The text that was read in pictures, and a server's own rules in sentences."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lines", sa.Text()))
    op.add_column("policies", sa.Column("rules", sa.Text()))
