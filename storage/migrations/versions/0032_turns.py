"""Turns of conversations with the studio, and pictures that came with them."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PARTIAL = {
    "turns_before": (["before_id"], "before_id IS NOT NULL"),
    "turns_channel": (["channel_id", "seq"], "guild_id IS NOT NULL"),
    "turns_job": (["job_id"], "job_id IS NOT NULL"),
    "turns_message": (["message_id"], "message_id IS NOT NULL"),
    "turns_number": (["root_id", "number"], "number IS NOT NULL"),
    "turns_once": (["once", "user_id"], "once IS NOT NULL"),
    "turns_open": (["seq"], "is_open = 1"),
    "turns_waits": (["waits_for"], "waits_for IS NOT NULL"),
}


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("before_id", sa.Text()),
        sa.Column("root_id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("channel_id", WHOLE, nullable=False),
        sa.Column("guild_id", WHOLE),
        sa.Column("parent_channel_id", WHOLE),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("private", WHOLE, nullable=False),
        sa.Column("once", sa.Text()),
        sa.Column("message_id", WHOLE),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), server_default="", nullable=False),
        sa.Column("number", WHOLE),
        sa.Column("is_open", WHOLE, server_default="0", nullable=False),
        sa.Column("waits_for", sa.Text()),
        sa.Column("job_id", sa.Text()),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.CheckConstraint("\"by\" IN ('rules', 'model', 'server', 'person')", name=op.f("ck_turns_by")),
        sa.CheckConstraint("is_open IN (0, 1)", name=op.f("ck_turns_is_open")),
        sa.CheckConstraint("is_open = 0 OR job_id IS NULL", name=op.f("ck_turns_queued")),
        sa.ForeignKeyConstraint(["before_id"], ["turns.id"], op.f("fk_turns_before_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["waits_for"], ["turns.id"], op.f("fk_turns_waits_for"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], op.f("fk_turns_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_turns")),
        sa.UniqueConstraint("id", name=op.f("uq_turns_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("turns_place", "turns", ["channel_id", "user_id", "seq"])
    op.create_index("turns_root", "turns", ["root_id", "seq"])
    op.create_index("turns_user", "turns", ["user_id", "seq"])
    for name, (columns, condition) in PARTIAL.items():
        where = sa.text(condition)
        unique = name in ("turns_job", "turns_once")
        op.create_index(name, "turns", columns, unique=unique, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "turn_pictures",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.Column("position", WHOLE),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], op.f("fk_turn_pictures_turn_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], op.f("fk_turn_pictures_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("turn_id", "number", name=op.f("pk_turn_pictures")),
        sqlite_strict=True,
    )
    op.create_index("turn_pictures_job", "turn_pictures", ["job_id"])
    op.create_index("turn_pictures_sha256", "turn_pictures", ["sha256"])
