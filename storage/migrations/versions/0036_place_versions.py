"""Counts of how often a page of places has changed; their triggers are made after all migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "place_versions",
        sa.Column("page", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("version", WHOLE, nullable=False),
    )
