"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "allowed",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target_id", WHOLE, autoincrement=False, nullable=False),
        sa.CheckConstraint("kind IN ('channel', 'role')", name=op.f("ck_allowed_kind")),
        sa.PrimaryKeyConstraint("guild_id", "kind", "target_id", name=op.f("pk_allowed")),
        sqlite_strict=True,
    )
    op.create_table(
        "audit",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("actor_id", WHOLE, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("guild_id", WHOLE, nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("audit_actor", "audit", ["actor_id"], unique=False)
    op.create_table(
        "bans",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("actor_id", WHOLE, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_bans")),
        sqlite_strict=True,
    )
    op.create_index("bans_user", "bans", ["user_id"], unique=False)
    op.create_table(
        "guilds",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("seen_at", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guilds")),
        sqlite_strict=True,
    )
    op.create_table(
        "jobs",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("cost_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("front", WHOLE, nullable=True),
        sa.Column("max_running", WHOLE, nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("channel_id", WHOLE, nullable=False),
        sa.Column("guild_id", WHOLE, nullable=True),
        sa.Column("interaction_id", WHOLE, nullable=True),
        sa.Column("interaction_token", sa.Text(), nullable=True),
        sa.Column("application_id", WHOLE, nullable=True),
        sa.Column("press_key", sa.Text(), nullable=True),
        sa.Column("message_id", WHOLE, nullable=True),
        sa.Column("file_limit", WHOLE, nullable=False),
        sa.Column("ephemeral", WHOLE, nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("parent_index", WHOLE, nullable=True),
        sa.Column("attempts", WHOLE, server_default="0", nullable=False),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("run_seconds", REAL, nullable=True),
        sa.Column("captions", sa.Text(), nullable=True),
        sa.Column("scores", sa.Text(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("started_at", WHOLE, nullable=True),
        sa.Column("rendered_at", WHOLE, nullable=True),
        sa.Column("finished_at", WHOLE, nullable=True),
        sa.Column("delivered_at", WHOLE, nullable=True),
        sa.Column("rung", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(delivered_at IS NULL) OR status IN ('delivered', 'failed', 'cancelled')",
            name=op.f("ck_jobs_delivered"),
        ),
        sa.CheckConstraint("(status = 'delivered') <= (delivered_at IS NOT NULL)", name=op.f("ck_jobs_told")),
        sa.CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint("lane IN ('turbo', 'fast', 'relax')", name=op.f("ck_jobs_lane")),
        sa.CheckConstraint("status <> 'failed' OR error IS NOT NULL", name=op.f("ck_jobs_error")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'rendered', 'delivered', 'failed', 'cancelled')",
            name=op.f("ck_jobs_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('rendered', 'delivered') OR rendered_at IS NOT NULL",
            name=op.f("ck_jobs_rendered"),
        ),
        sa.CheckConstraint("attempts BETWEEN 0 AND 3", name=op.f("ck_jobs_attempts")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["jobs.id"], name=op.f("fk_jobs_parent_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_id")),
        sa.UniqueConstraint("interaction_id", name=op.f("uq_jobs_interaction_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("jobs_guild", "jobs", ["guild_id", "seq"], unique=False)
    op.create_index(
        "jobs_open",
        "jobs",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.create_index(
        "jobs_parent",
        "jobs",
        ["parent_id"],
        unique=False,
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "jobs_press_key",
        "jobs",
        ["press_key"],
        unique=True,
        sqlite_where=sa.text("press_key IS NOT NULL AND status IN ('queued', 'running', 'rendered')"),
        postgresql_where=sa.text("press_key IS NOT NULL AND status IN ('queued', 'running', 'rendered')"),
    )
    op.create_index(
        "jobs_queued",
        "jobs",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "jobs_queued_guild",
        "jobs",
        ["guild_id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "jobs_queued_user",
        "jobs",
        ["user_id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "jobs_running",
        "jobs",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index("jobs_user", "jobs", ["user_id", "seq"], unique=False)
    op.create_table(
        "role_limits",
        sa.Column("guild_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("role_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_running", WHOLE, nullable=False),
        sa.Column("user_waiting", WHOLE, nullable=False),
        sa.CheckConstraint("user_running >= 0 AND user_waiting >= 0", name=op.f("ck_role_limits_positive")),
        sa.PrimaryKeyConstraint("guild_id", "role_id", name=op.f("pk_role_limits")),
        sqlite_strict=True,
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
        sqlite_strict=True,
    )
    op.create_table(
        "users",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("served", WHOLE, server_default="0", nullable=False),
        sa.Column("flags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("seen_at", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sqlite_strict=True,
    )
    op.create_index("users_served", "users", ["served"], unique=False)
    op.create_table(
        "inputs",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_inputs_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "sha256", name=op.f("pk_inputs")),
        sqlite_strict=True,
    )
    op.create_index("inputs_sha256", "inputs", ["sha256"], unique=False)
    op.create_table(
        "messages",
        sa.Column("message_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("channel_id", WHOLE, nullable=False),
        sa.Column("guild_id", WHOLE, nullable=True),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_messages_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_messages")),
        sqlite_strict=True,
    )
    op.create_index("messages_job", "messages", ["job_id"], unique=False)
    op.create_table(
        "pictures",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", WHOLE, nullable=False),
        sa.Column("height", WHOLE, nullable=False),
        sa.Column("seed", WHOLE, nullable=True),
        sa.Column("size", WHOLE, nullable=False),
        sa.CheckConstraint("position >= -1", name=op.f("ck_pictures_position")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_pictures_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_pictures")),
        sqlite_strict=True,
    )
    op.create_index("pictures_sha256", "pictures", ["sha256"], unique=False)
