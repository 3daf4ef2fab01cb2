"""What members do with their pictures on the web: trash, folders, shares."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _hangs_on(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete="CASCADE")


def _picture(name: str) -> sa.ForeignKeyConstraint:
    pictures = ["pictures.job_id", "pictures.position"]
    return sa.ForeignKeyConstraint(["job_id", "position"], pictures, name=op.f(name), ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "trash",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        _picture("fk_trash_job_id"),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_trash")),
        sqlite_strict=True,
    )
    op.create_index("trash_user", "trash", ["user_id"], unique=False)
    op.create_table(
        "folders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sqlite_strict=True,
    )
    op.create_index("folders_name", "folders", ["user_id", "name"], unique=True)
    op.create_table(
        "folder_items",
        sa.Column("folder_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("added_at", WHOLE, nullable=False),
        _hangs_on("folder_items", "folder_id", "folders"),
        _picture("fk_folder_items_job_id"),
        sa.PrimaryKeyConstraint("folder_id", "job_id", "position", name=op.f("pk_folder_items")),
        sqlite_strict=True,
    )
    op.create_index("folder_items_job", "folder_items", ["job_id", "position"], unique=False)
    op.create_table(
        "shares",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("position", WHOLE, nullable=True),
        sa.Column("folder_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("words", WHOLE, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("revoked_at", WHOLE, nullable=True),
        sa.Column("views", WHOLE, nullable=False, server_default="0"),
        sa.CheckConstraint("job_id IS NOT NULL OR folder_id IS NOT NULL", name=op.f("ck_shares_something")),
        _hangs_on("shares", "job_id", "jobs"),
        _hangs_on("shares", "folder_id", "folders"),
        _picture("fk_shares_picture"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_shares")),
        sqlite_strict=True,
    )
    op.create_index("shares_user", "shares", ["user_id", "created_at"], unique=False)
    op.create_index("shares_job", "shares", ["job_id"], unique=False)
    op.create_index("shares_folder", "shares", ["folder_id"], unique=False)
