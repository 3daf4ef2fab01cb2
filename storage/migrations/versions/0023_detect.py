"""A third task of projects: boxes around things."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PERSONAL, SHARED = sa.text("guild_id IS NULL"), sa.text("guild_id IS NOT NULL")


def upgrade() -> None:
    before = sa.Table(
        "projects",
        sa.MetaData(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("guild_id", WHOLE),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("alike", sa.Text(), server_default="auto", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("due", WHOLE, server_default="0", nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.CheckConstraint("task IN ('anomaly', 'classify', 'style')", name=op.f("ck_projects_task")),
        sa.CheckConstraint("alike IN ('auto', 'fixture', 'turns', 'free')", name=op.f("ck_projects_alike")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.Index(
            "projects_guild_name",
            "guild_id",
            "name",
            unique=True,
            sqlite_where=SHARED,
            postgresql_where=SHARED,
        ),
        sa.Index(
            "projects_own_name",
            "user_id",
            "name",
            unique=True,
            sqlite_where=PERSONAL,
            postgresql_where=PERSONAL,
        ),
        sa.Index("projects_user", "user_id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("projects", copy_from=before, table_kwargs={"sqlite_strict": True}) as table:
        table.drop_constraint(op.f("ck_projects_task"), type_="check")
        table.create_check_constraint(
            op.f("ck_projects_task"), "task IN ('anomaly', 'classify', 'detect', 'style')"
        )
