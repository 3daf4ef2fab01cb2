"""Tables of what people teach by example: sets, their examples, and the pictures that belong to each; and of
which answers they found right."""

from __future__ import annotations

import sqlalchemy as sa

from storage.schema import Int64, UtcTimestamp, metadata

_JOB = "jobs.id"

example_sets = sa.Table(
    "example_sets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("guild_id", Int64),  # whose members may use it; NULL = its owner alone
    sa.Column("conversation", sa.Text, sa.ForeignKey(_JOB, ondelete="SET NULL")),  # its first question
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("example_sets_name", "user_id", "name", unique=True),
    sa.Index("example_sets_guild", "guild_id"),
    sa.Index("example_sets_conversation", "conversation"),
    sqlite_strict=True,
)

examples = sa.Table(
    "examples",
    metadata,
    sa.Column("id", Int64, primary_key=True),  # order of arrival
    sa.Column("set_id", sa.Text, sa.ForeignKey("example_sets.id", ondelete="CASCADE"), nullable=False),
    sa.Column("question", sa.Text, nullable=False),  # "" = what the picture is called
    sa.Column("label", sa.Text, nullable=False),  # the right answer
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE")),  # where its words come from
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("examples_set", "set_id", "id"),
    sa.Index("examples_job", "job_id"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

example_pictures = sa.Table(
    "example_pictures",
    metadata,
    sa.Column("example_id", Int64, sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE")),  # whose picture it is, if a job's
    sa.Index("example_pictures_sha256", "sha256"),
    sa.Index("example_pictures_job", "job_id"),
    sqlite_strict=True,
)

feedback = sa.Table(  # on answers
    "feedback",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True),
    sa.Column("is_right", Int64, nullable=False),  # 0 or 1
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.CheckConstraint("is_right IN (0, 1)", "is_right"),
    sa.Index("feedback_job", "job_id"),
    sqlite_strict=True,
)
