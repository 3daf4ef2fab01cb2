"""Films, each beside the picture that is its poster."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "films",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", WHOLE, nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("frames", WHOLE, nullable=False),
        sa.Column("fps", REAL, nullable=False),
        sa.Column("sound", WHOLE, nullable=False),
        sa.Column("seed", WHOLE),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("ends_sha256", sa.Text()),
        sa.CheckConstraint("frames > 0 AND fps > 0", name=op.f("ck_films_length")),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["pictures.job_id", "pictures.position"],
            name=op.f("fk_films_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_films")),
        sqlite_strict=True,
    )
    op.create_index("films_sha256", "films", ["sha256"], unique=False)
    op.create_index("films_ends", "films", ["ends_sha256"], unique=False)
