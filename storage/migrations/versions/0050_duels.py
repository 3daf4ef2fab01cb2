"""Pairs of a channel's pictures that members vote on, and their votes."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "duels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("guild_id", WHOLE, nullable=False),
        sa.Column("channel_id", WHOLE, nullable=False),
        sa.Column("message_id", WHOLE),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("ended_at", WHOLE),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duels")),
        sqlite_strict=True,
    )
    op.create_index("duels_guild", "duels", ["guild_id"])
    op.create_table(
        "duel_pictures",
        sa.Column("duel_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["duel_id"], ["duels.id"], op.f("fk_duel_pictures_duel_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["pictures.job_id", "pictures.position"],
            op.f("fk_duel_pictures_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("duel_id", "number", name=op.f("pk_duel_pictures")),
        sqlite_strict=True,
    )
    op.create_index("duel_pictures_picture", "duel_pictures", ["job_id", "position"])
    op.create_table(
        "duel_votes",
        sa.Column("duel_id", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("liked", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint("liked IN (0, 1)", name=op.f("ck_duel_votes_liked")),
        sa.ForeignKeyConstraint(
            ["duel_id", "number"],
            ["duel_pictures.duel_id", "duel_pictures.number"],
            op.f("fk_duel_votes_duel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("duel_id", "user_id", "number", name=op.f("pk_duel_votes")),
        sqlite_strict=True,
    )
    op.create_index("duel_votes_user", "duel_votes", ["user_id"])
    op.create_index("duel_votes_picture", "duel_votes", ["duel_id", "number"])
