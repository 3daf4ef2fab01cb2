"""Finds what isn't over, bundles, answered questions and old jobs without reading all rows."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

INDEXES = {
    "jobs_unfinished_user": ("status IN ('queued', 'running', 'rendered')", ["user_id"]),
    "jobs_bundles": ("kind = 'bundle'", ["seq"]),
    "jobs_answered": ("kind = 'ask' AND answer IS NOT NULL", ["channel_id", "created_at", "seq"]),
    "jobs_told": ("delivered_at IS NOT NULL", ["delivered_at"]),
}


def upgrade() -> None:
    for name, (condition, columns) in INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "jobs", columns, unique=False, sqlite_where=where, postgresql_where=where)
