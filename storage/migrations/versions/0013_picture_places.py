"""Which vector is whose picture's, so that somebody's are found without looking at each of their pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KNOWN = """
INSERT INTO picture_places (seq, position, model, place)
SELECT jobs.seq, pictures.position, picture_vectors.model, picture_vectors.place
FROM picture_vectors
JOIN pictures ON pictures.sha256 = picture_vectors.sha256
JOIN jobs ON jobs.id = pictures.job_id
WHERE pictures.position >= 0
ORDER BY jobs.seq, pictures.position, picture_vectors.model
"""


def _link(column: str, other: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_picture_places_{column}")
    return sa.ForeignKeyConstraint([column], [other], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "picture_places",
        sa.Column("seq", WHOLE, autoincrement=False, nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("place", WHOLE, nullable=False),
        _link("seq", "jobs.seq"),
        _link("place", "picture_vectors.place"),
        sa.PrimaryKeyConstraint("seq", "position", "model", name=op.f("pk_picture_places")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("picture_places_place", "picture_places", ["place"], unique=False)
    op.execute(KNOWN)
