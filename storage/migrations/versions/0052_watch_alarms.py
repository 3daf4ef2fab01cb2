"""When a watch's alarms are posted, what its camera has seen, and why a defect was only listed."""

import sqlalchemy as sa
from alembic import op

from storage.schema import Float64, Int64, UtcTimestamp

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("hours", "sight", "reported_on", "notice"):
        op.add_column("watches", sa.Column(name, sa.Text(), server_default="", nullable=False))
    for name, usual in {"most": "6", "silent_after": "0", "is_silent": "0", "is_changed": "0"}.items():
        op.add_column("watches", sa.Column(name, Int64, server_default=usual, nullable=False))
    for name in ("on_at", "digest_at"):
        op.add_column("watches", sa.Column(name, UtcTimestamp(), nullable=True))
    for name in ("why", "look"):
        op.add_column("watch_pictures", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("watch_pictures", sa.Column("drift", Float64, server_default="0", nullable=False))
    op.add_column("watch_pictures", sa.Column("told_at", UtcTimestamp(), nullable=True))
