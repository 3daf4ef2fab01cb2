"""The table of vectors, and what its columns mean."""

from __future__ import annotations

import sqlalchemy as sa

from storage.schema import Int64, metadata

picture_vectors = sa.Table(  # what a picture shows, as a CLIP model sees it; it goes with the picture
    "picture_vectors",
    metadata,
    sa.Column("place", Int64, primary_key=True, autoincrement=False),  # in the model's file of vectors
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float16, little-endian, of unit length
    sa.Index("picture_vectors_sha256", "sha256", "model", unique=True),
    sqlite_strict=True,
)

picture_places = sa.Table(  # which vector is whose picture's, in the order in which somebody's are read
    "picture_places",
    metadata,
    sa.Column("seq", Int64, sa.ForeignKey("jobs.seq", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("place", Int64, sa.ForeignKey("picture_vectors.place", ondelete="CASCADE"), nullable=False),
    sa.Index("picture_places_place", "place"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
