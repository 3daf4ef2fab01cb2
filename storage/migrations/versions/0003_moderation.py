"""What servers let through: policies, words, strikes, time-outs, scores of pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("level", sa.Text(), nullable=True),
        sa.Column("pictures", sa.Text(), nullable=True),
        sa.Column("strikes", WHOLE, nullable=True),
        sa.Column("window", WHOLE, nullable=True),
        sa.Column("timeout", WHOLE, nullable=True),
        sa.CheckConstraint("level IN ('off', 'standard', 'strict')", name=op.f("ck_policies_level")),
        sa.CheckConstraint("pictures IN ('spoiler', 'block')", name=op.f("ck_policies_pictures")),
        sa.PrimaryKeyConstraint("guild_id", name=op.f("pk_policies")),
        sqlite_strict=True,
    )
    op.create_table(
        "filter_words",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("actor_id", WHOLE, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "pattern", name=op.f("pk_filter_words")),
        sqlite_strict=True,
    )
    op.create_table(
        "strikes",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("guild_id", WHOLE, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_strikes")),
        sqlite_strict=True,
    )
    op.create_index("strikes_user", "strikes", ["user_id", "guild_id"], unique=False)
    op.create_table(
        "timeouts",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("until", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_timeouts")),
        sqlite_strict=True,
    )
    op.create_index("timeouts_user", "timeouts", ["user_id"], unique=False)
    op.create_table(
        "picture_scores",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("classifier", sa.Text(), nullable=False),
        sa.Column("nsfw", REAL, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_picture_scores")),
        sqlite_strict=True,
    )
