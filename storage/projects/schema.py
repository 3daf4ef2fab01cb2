"""Tables of people's own models. A project is a person's alone (guild_id NULL) or a server's; all else hangs
on it and goes with it.

What a training learns from is kept as it was when it was asked for: in ``training_items`` until it is over,
in ``version_items`` for what came of it. A picture that is deleted goes out of both at once.
"""

from __future__ import annotations

import sqlalchemy as sa

from storage.schema import Float64, Int64, UtcTimestamp, metadata

PERSONAL, SHARED = "guild_id IS NULL", "guild_id IS NOT NULL"
ACTIVE, VOICE = "state = 'active'", "user_id <> 0"
_PROJECT, _JOB = "projects.id", "jobs.id"


def _project(primary_key: bool = False) -> sa.Column[str]:
    foreign = sa.ForeignKey(_PROJECT, ondelete="CASCADE")
    return sa.Column("project_id", sa.Text, foreign, nullable=False, primary_key=primary_key)


def _unique(name: str, condition: str, *columns: str) -> sa.Index:
    where = sa.text(condition)
    return sa.Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("guild_id", Int64),  # NULL = its owner's alone
    sa.Column("user_id", Int64, nullable=False),  # its owner; 0 = its server's managers alone
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("alike", sa.Text, nullable=False, server_default="auto"),
    sa.Column("words", sa.Text, nullable=False, server_default=""),  # what calls a style
    sa.Column("voices", Int64, nullable=False, server_default="1"),  # that a label takes
    sa.Column(
        "due", Int64, nullable=False, server_default="0"
    ),  # version that must be trained again; 0 = none
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("task IN ('anomaly', 'classify', 'detect', 'style')", "task"),
    sa.CheckConstraint("alike IN ('auto', 'fixture', 'turns', 'free')", "alike"),
    sa.CheckConstraint("voices BETWEEN 1 AND 3", "voices"),
    _unique("projects_own_name", PERSONAL, "user_id", "name"),
    _unique("projects_guild_name", SHARED, "guild_id", "name"),
    sa.Index("projects_user", "user_id"),
    sqlite_strict=True,
)

project_rights = sa.Table(  # beside those of its owner and the server's managers
    "project_rights",
    metadata,
    _project(primary_key=True),
    sa.Column("role_id", Int64, primary_key=True, autoincrement=False),  # 0 = every member
    sa.Column("right", sa.Text, primary_key=True),
    sa.CheckConstraint("\"right\" IN ('add', 'label', 'train', 'use', 'export')", "right"),
    sqlite_strict=True,
)

labels = sa.Table(  # the label book
    "project_labels",
    metadata,
    _project(primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("meaning", sa.Text, nullable=False, server_default=""),
    sa.Column("position", Int64, nullable=False),
    sqlite_strict=True,
)

items = sa.Table(  # pictures; the same one twice is one item
    "project_items",
    metadata,
    _project(primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),  # who brought it
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="SET NULL")),  # whose picture it is, if a job's
    sa.Column("group_key", sa.Text, nullable=False, server_default=""),  # of shots of one thing; "" = unknown
    sa.Column("label", sa.Text, nullable=False, server_default=""),  # that is agreed on; "" = none yet
    sa.Column("state", sa.Text, nullable=False, server_default="new"),
    sa.Column("added_at", UtcTimestamp, nullable=False),
    sa.Column("changed_at", UtcTimestamp, nullable=False),  # when it came, or its label last changed
    sa.CheckConstraint("state IN ('new', 'labelled', 'disputed', 'left_out')", "state"),
    sa.Index("project_items_sha256", "sha256"),
    sa.Index("project_items_user", "user_id"),
    sa.Index("project_items_job", "job_id"),
    sa.Index("project_items_order", "project_id", "added_at", "sha256"),
    sqlite_strict=True,
)

marks = sa.Table(  # what somebody calls a picture; one voice for each person who is known still
    "project_marks",
    metadata,
    sa.Column("seq", Int64, primary_key=True),
    _project(),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("user_id", Int64, nullable=False),  # 0 = somebody whose data was deleted
    sa.Column("label", sa.Text, nullable=False),
    sa.Column(
        "boxes", sa.Text, nullable=False, server_default="[]"
    ),  # JSON of [label, left, top, right, bottom], 0..1
    sa.Column("mask", sa.Text),  # SHA-256 of a black and white picture: where it is
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "sha256"],
        ["project_items.project_id", "project_items.sha256"],
        ondelete="CASCADE",
        name="fk_project_marks_item",
    ),
    _unique("project_marks_voice", VOICE, "project_id", "sha256", "user_id"),
    sa.Index("project_marks_item", "project_id", "sha256"),
    sa.Index("project_marks_user", "user_id"),
    sa.Index("project_marks_mask", "mask"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

trainings = sa.Table(  # that aren't over
    "project_trainings",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True),
    _project(),
    sa.Column(
        "spoilt", Int64, nullable=False, server_default="0"
    ),  # 1 = it was told of pictures that are deleted
    sa.CheckConstraint("spoilt IN (0, 1)", "spoilt"),
    sa.Index("project_trainings_project", "project_id"),
    sqlite_strict=True,
)

training_items = sa.Table(
    "training_items",
    metadata,
    sa.Column(
        "job_id", sa.Text, sa.ForeignKey("project_trainings.job_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("part", sa.Text, nullable=False),
    sa.CheckConstraint("part IN ('train', 'test')", "part"),
    sa.Index("training_items_sha256", "sha256"),
    sqlite_strict=True,
)

versions = sa.Table(
    "project_versions",
    metadata,
    _project(primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),  # from 1
    sa.Column("user_id", Int64, nullable=False),  # who had it trained
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="SET NULL")),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("artefact", sa.Text),  # NULL = deleted: what it had learned from was, or it is too old
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Column("threshold", Float64),  # by which an inspection judges; NULL = the model's own
    sa.Column("promise", Float64),  # share of good parts that are stopped at most; NULL = nothing is promised
    sa.Column("settings", sa.Text, nullable=False),  # JSON: of the request
    sa.Column("metrics", sa.Text, nullable=False),  # JSON: what its worker told
    sa.Column("asked_at", UtcTimestamp, nullable=False),  # what came later isn't in it
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("state IN ('candidate', 'active', 'retired', 'tainted')", "state"),
    _unique("project_versions_active", ACTIVE, "project_id"),
    sa.Index("project_versions_artefact", "artefact"),
    sa.Index("project_versions_job", "job_id"),
    sa.Index("project_versions_user", "user_id"),
    sqlite_strict=True,
)

version_items = sa.Table(
    "version_items",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("part", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "number"],
        ["project_versions.project_id", "project_versions.number"],
        ondelete="CASCADE",
    ),
    sa.CheckConstraint("part IN ('train', 'test')", "part"),
    sa.Index("version_items_sha256", "sha256"),
    sqlite_strict=True,
)

version_files = sa.Table(  # charts and other pictures of its report
    "version_files",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("number", Int64, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", Int64, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_id", "number"],
        ["project_versions.project_id", "project_versions.number"],
        ondelete="CASCADE",
    ),
    sa.Index("version_files_sha256", "sha256"),
    sqlite_strict=True,
)

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    _project(),
    sa.Column("number", Int64, nullable=False),  # of the version
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("score", Float64, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("strange", Int64, nullable=False),  # 0 or 1: over the limit; none of the labels
    sa.Column("is_right", Int64),  # 0 or 1; NULL = nobody has said
    sa.Column("answered_by", Int64),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("strange IN (0, 1)", "strange"),
    sa.CheckConstraint("is_right IN (0, 1)", "is_right"),
    sa.Index("verdicts_project", "project_id", "at"),
    sa.Index("verdicts_answered_by", "answered_by"),
    sa.Index("verdicts_sha256", "sha256"),
    sqlite_strict=True,
)

job_files = sa.Table(  # what a job made that is no picture and no film, such as a bundle
    "job_files",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Index("job_files_sha256", "sha256"),
    sqlite_strict=True,
)
