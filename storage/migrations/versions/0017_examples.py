"""Sets of examples, and the pictures that they need."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _job(table: str, column: str, on_delete: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], ["jobs.id"], name=name, ondelete=on_delete)


def upgrade() -> None:
    op.create_table(
        "example_sets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("guild_id", WHOLE),
        sa.Column("conversation", sa.Text()),
        sa.Column("created_at", WHOLE, nullable=False),
        _job("example_sets", "conversation", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_example_sets")),
        sqlite_strict=True,
    )
    op.create_index("example_sets_name", "example_sets", ["user_id", "name"], unique=True)
    op.create_index("example_sets_guild", "example_sets", ["guild_id"], unique=False)
    op.create_index("example_sets_conversation", "example_sets", ["conversation"], unique=False)
    op.create_table(
        "examples",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("set_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["set_id"], ["example_sets.id"], name=op.f("fk_examples_set_id"), ondelete="CASCADE"
        ),
        _job("examples", "job_id", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examples")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("examples_set", "examples", ["set_id", "id"], unique=False)
    op.create_index("examples_job", "examples", ["job_id"], unique=False)
    op.create_table(
        "example_pictures",
        sa.Column("example_id", WHOLE, nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_example_pictures_example_id"), ondelete="CASCADE"
        ),
        _job("example_pictures", "job_id", "CASCADE"),
        sa.PrimaryKeyConstraint("example_id", "position", name=op.f("pk_example_pictures")),
        sqlite_strict=True,
    )
    op.create_index("example_pictures_sha256", "example_pictures", ["sha256"], unique=False)
    op.create_index("example_pictures_job", "example_pictures", ["job_id"], unique=False)
