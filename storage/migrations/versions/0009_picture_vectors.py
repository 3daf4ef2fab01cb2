"""What pictures show, as vectors of a CLIP model."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "picture_vectors",
        sa.Column("place", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_picture_vectors")),
        sqlite_strict=True,
    )
    op.create_index("picture_vectors_sha256", "picture_vectors", ["sha256", "model"], unique=True)
