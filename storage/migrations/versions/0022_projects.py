"""Projects of people's own models, their pictures and labels, what was learned, and what that said."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "projects",
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
        sqlite_strict=True,
    )
    op.create_index(
        "projects_guild_name",
        "projects",
        ["guild_id", "name"],
        unique=True,
        sqlite_where=sa.text("guild_id IS NOT NULL"),
        postgresql_where=sa.text("guild_id IS NOT NULL"),
    )
    op.create_index(
        "projects_own_name",
        "projects",
        ["user_id", "name"],
        unique=True,
        sqlite_where=sa.text("guild_id IS NULL"),
        postgresql_where=sa.text("guild_id IS NULL"),
    )
    op.create_index("projects_user", "projects", ["user_id"], unique=False)
    op.create_table(
        "project_rights",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("role_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("right", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "\"right\" IN ('add', 'label', 'train', 'use', 'export')", name=op.f("ck_project_rights_right")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_rights_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "role_id", "right", name=op.f("pk_project_rights")),
        sqlite_strict=True,
    )
    op.create_table(
        "project_labels",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("meaning", sa.Text(), server_default="", nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_labels_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_project_labels")),
        sqlite_strict=True,
    )
    op.create_table(
        "project_items",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.Column("group_key", sa.Text(), server_default="", nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="new", nullable=False),
        sa.Column("added_at", WHOLE, nullable=False),
        sa.Column("changed_at", WHOLE, nullable=False),
        sa.CheckConstraint(
            "state IN ('new', 'labelled', 'disputed', 'left_out')", name=op.f("ck_project_items_state")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_items_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_project_items_job_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("project_id", "sha256", name=op.f("pk_project_items")),
        sqlite_strict=True,
    )
    op.create_index("project_items_job", "project_items", ["job_id"], unique=False)
    op.create_index(
        "project_items_order", "project_items", ["project_id", "added_at", "sha256"], unique=False
    )
    op.create_index("project_items_sha256", "project_items", ["sha256"], unique=False)
    op.create_index("project_items_user", "project_items", ["user_id"], unique=False)
    op.create_table(
        "project_marks",
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("boxes", sa.Text(), server_default="[]", nullable=False),
        sa.Column("mask", sa.Text()),
        sa.Column("at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "sha256"],
            ["project_items.project_id", "project_items.sha256"],
            name=op.f("fk_project_marks_item"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_marks_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_project_marks")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("project_marks_item", "project_marks", ["project_id", "sha256"], unique=False)
    op.create_index("project_marks_mask", "project_marks", ["mask"], unique=False)
    op.create_index("project_marks_user", "project_marks", ["user_id"], unique=False)
    op.create_index(
        "project_marks_voice",
        "project_marks",
        ["project_id", "sha256", "user_id"],
        unique=True,
        sqlite_where=sa.text("user_id <> 0"),
        postgresql_where=sa.text("user_id <> 0"),
    )
    op.create_table(
        "project_trainings",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("spoilt", WHOLE, server_default="0", nullable=False),
        sa.CheckConstraint("spoilt IN (0, 1)", name=op.f("ck_project_trainings_spoilt")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_trainings_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_project_trainings_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_project_trainings")),
        sqlite_strict=True,
    )
    op.create_index("project_trainings_project", "project_trainings", ["project_id"], unique=False)
    op.create_table(
        "training_items",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.CheckConstraint("part IN ('train', 'test')", name=op.f("ck_training_items_part")),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["project_trainings.job_id"],
            name=op.f("fk_training_items_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "sha256", name=op.f("pk_training_items")),
        sqlite_strict=True,
    )
    op.create_index("training_items_sha256", "training_items", ["sha256"], unique=False)
    op.create_table(
        "project_versions",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("job_id", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("artefact", sa.Text()),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("threshold", REAL),
        sa.Column("promise", REAL),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("asked_at", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint(
            "state IN ('candidate', 'active', 'retired', 'tainted')", name=op.f("ck_project_versions_state")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_versions_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_project_versions_job_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f("pk_project_versions")),
        sqlite_strict=True,
    )
    op.create_index(
        "project_versions_active",
        "project_versions",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("project_versions_artefact", "project_versions", ["artefact"], unique=False)
    op.create_index("project_versions_job", "project_versions", ["job_id"], unique=False)
    op.create_index("project_versions_user", "project_versions", ["user_id"], unique=False)
    op.create_table(
        "version_items",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.CheckConstraint("part IN ('train', 'test')", name=op.f("ck_version_items_part")),
        sa.ForeignKeyConstraint(
            ["project_id", "number"],
            ["project_versions.project_id", "project_versions.number"],
            name=op.f("fk_version_items_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "number", "sha256", name=op.f("pk_version_items")),
        sqlite_strict=True,
    )
    op.create_index("version_items_sha256", "version_items", ["sha256"], unique=False)
    op.create_table(
        "version_files",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "number"],
            ["project_versions.project_id", "project_versions.number"],
            name=op.f("fk_version_files_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "number", "name", name=op.f("pk_version_files")),
        sqlite_strict=True,
    )
    op.create_index("version_files_sha256", "version_files", ["sha256"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("score", REAL, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("strange", WHOLE, nullable=False),
        sa.Column("is_right", WHOLE),
        sa.Column("answered_by", WHOLE),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint("is_right IN (0, 1)", name=op.f("ck_verdicts_is_right")),
        sa.CheckConstraint("strange IN (0, 1)", name=op.f("ck_verdicts_strange")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_verdicts_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_verdicts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_verdicts")),
        sqlite_strict=True,
    )
    op.create_index("verdicts_answered_by", "verdicts", ["answered_by"], unique=False)
    op.create_index("verdicts_project", "verdicts", ["project_id", "at"], unique=False)
    op.create_index("verdicts_sha256", "verdicts", ["sha256"], unique=False)
    op.create_table(
        "job_files",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_files_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_files")),
        sqlite_strict=True,
    )
    op.create_index("job_files_sha256", "job_files", ["sha256"], unique=False)
