"""Tables of what people have on the web: sessions, the links that begin them, trash, folders, shares, and the
editor's documents."""

from __future__ import annotations

import sqlalchemy as sa

from storage.schema import Int64, UtcTimestamp, metadata

sessions = sa.Table(  # browsers that are signed in on the web
    "sessions",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of the cookie's value
    sa.Column("id", sa.Text, nullable=False),  # what the person ends it by
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # as the door that signed them in knew it
    sa.Column("label", sa.Text, nullable=False),  # of the browser
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("seen_at", UtcTimestamp, nullable=False),
    sa.Index("sessions_user", "user_id", "created_at"),
    sqlite_strict=True,
)

sign_ins = sa.Table(  # links that make one session each
    "sign_ins",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of what the link carries
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("expires_at", UtcTimestamp, nullable=False),
    sa.Index("sign_ins_user", "user_id"),
    sqlite_strict=True,
)


def _picture(name: str | None = None) -> sa.ForeignKeyConstraint:
    """What hangs on a picture goes with it."""
    return sa.ForeignKeyConstraint(
        ["job_id", "position"], ["pictures.job_id", "pictures.position"], name=name, ondelete="CASCADE"
    )


trash = sa.Table(  # pictures that their author has put away, until they are deleted for good
    "trash",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    _picture(),
    sa.Index("trash_user", "user_id"),
    sqlite_strict=True,
)

folders = sa.Table(
    "folders",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("query", sa.Text),  # of a smart folder: the gallery's filters, as they stand in its address
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Index("folders_name", "user_id", "name", unique=True),
    sqlite_strict=True,
)

folder_items = sa.Table(
    "folder_items",
    metadata,
    sa.Column("folder_id", sa.Text, sa.ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", Int64, primary_key=True, autoincrement=False),  # of the picture, from 0
    sa.Column("added_at", UtcTimestamp, nullable=False),
    _picture(),
    sa.Index("folder_items_job", "job_id", "position"),
    sqlite_strict=True,
)

shares = sa.Table(  # links that show something to whoever has them
    "shares",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),  # SHA-256 of what the link carries
    sa.Column("id", sa.Text, nullable=False),  # what the person ends it by
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
    sa.Column("position", Int64),  # of the one picture, from 0; NULL = all of the job's
    sa.Column("folder_id", sa.Text, sa.ForeignKey("folders.id", ondelete="CASCADE")),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("words", Int64, nullable=False),  # 0 or 1: whether prompts are shown
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("expires_at", UtcTimestamp, nullable=False),
    sa.Column("revoked_at", UtcTimestamp),
    sa.Column("views", Int64, nullable=False, server_default="0"),
    _picture("fk_shares_picture"),
    sa.CheckConstraint("job_id IS NOT NULL OR folder_id IS NOT NULL", "something"),
    sa.Index("shares_user", "user_id", "created_at"),
    sa.Index("shares_job", "job_id"),
    sa.Index("shares_folder", "folder_id"),
    sqlite_strict=True,
)

documents = sa.Table(  # of the editor, saved while somebody works
    "documents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", Int64, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # empty until somebody gives it one
    sa.Column("content", sa.Text, nullable=False),  # JSON, docs/editor.md
    sa.Column("summary", sa.Text, nullable=False),  # JSON: what a list shows of it
    sa.Column("version", Int64, nullable=False),  # counts its changes
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("updated_at", UtcTimestamp, nullable=False),
    sa.Index("documents_user", "user_id", "updated_at"),
    sqlite_strict=True,
)

document_files = sa.Table(  # files that a document needs: pictures and masks that its owner has sent
    "document_files",
    metadata,
    sa.Column("document_id", sa.Text, sa.ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Index("document_files_sha256", "sha256"),
    sqlite_strict=True,
)
