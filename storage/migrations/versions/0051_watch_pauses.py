"""Seconds between two looks at a camera."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Int64

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("watches", sa.Column("every", Int64, server_default="5", nullable=False))
