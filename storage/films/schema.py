"""The tables of films: those that were made, and how many seconds of them were made for whom in a day.

A film's poster, its first frame, is the row of ``pictures`` with the same job and position. So whatever
shows, finds, judges, puts away or deletes pictures does so with films without knowing of them; who knows of
films looks here for what belongs to a poster. A film goes with its poster, and a job's deletion takes both.
"""

from __future__ import annotations

import sqlalchemy as sa

from storage.schema import Float64, Int64, metadata

films = sa.Table(
    "films",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # from 0, as its poster's
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("width", Int64, nullable=False),
    sa.Column("height", Int64, nullable=False),
    sa.Column("frames", Int64, nullable=False),
    sa.Column("fps", Float64, nullable=False),
    sa.Column("sound", Int64, nullable=False),  # 0 or 1
    sa.Column("seed", Int64),
    sa.Column("size", Int64, nullable=False),  # bytes
    sa.Column("ends_sha256", sa.Text),  # latents of its first and last frames; NULL = none were kept
    sa.ForeignKeyConstraint(
        ["job_id", "position"], ["pictures.job_id", "pictures.position"], ondelete="CASCADE"
    ),
    sa.CheckConstraint("frames > 0 AND fps > 0", "length"),
    sa.Index("films_sha256", "sha256"),
    sa.Index("films_ends", "ends_sha256"),
    sqlite_strict=True,
)

films_used = sa.Table(  # made for somebody on a day, whatever was deleted since
    "films_used",
    metadata,
    sa.Column("user_id", Int64, primary_key=True, autoincrement=False),
    sa.Column("day", Int64, primary_key=True, autoincrement=False),  # since 1970, in UTC
    sa.Column("seconds", Float64, nullable=False),
    sqlite_strict=True,
)
