"""Rows of the editor's documents: each change counts a version, and is written only over the one it knows."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import new_job_id
from storage.people import from_row
from storage.schema import document_files, documents, uploads


@dataclass(frozen=True)
class Kept:
    """A document as it was saved. content: JSON, None in a list. summary: what a list shows of it."""

    id: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    summary: dict[str, Any]
    content: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Content:
    """What is saved. files: SHA-256 of every file that it names."""

    text: str = field(repr=False)
    summary: dict[str, Any]
    files: Collection[str] = ()


def list_documents(connection: sa.Connection, user_id: int) -> list[Kept]:
    """Return the person's documents without what is in them, the last changed first."""
    columns = [column for column in documents.c if column is not documents.c.content]
    mine = sa.select(*columns).where(documents.c.user_id == user_id)
    rows = connection.execute(mine.order_by(documents.c.updated_at.desc(), documents.c.id))
    return [from_row(Kept, row, summary=json.loads(row.summary), content=None) for row in rows]


def find_document(connection: sa.Connection, user_id: int, document_id: str) -> Kept | None:
    """Return a document of the person's, None when they have no such one."""
    row = connection.execute(sa.select(documents).where(*_own(user_id, document_id))).first()
    return None if row is None else from_row(Kept, row, summary=json.loads(row.summary))


def add_document(
    connection: sa.Connection, user_id: int, name: str, content: Content, *, now: datetime, most: int
) -> str | None:
    """Write a new document and return its id; None when the person has ``most``."""
    count = sa.select(sa.func.count()).where(documents.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= most:
        return None
    document_id = new_job_id()
    row = {"id": document_id, "user_id": user_id, "name": name, "version": 1}
    times = {"created_at": now, "updated_at": now}
    connection.execute(sa.insert(documents).values(**row, **times, **_columns(content)))
    _note_files(connection, user_id, document_id, content.files)
    return document_id


def save_document(
    connection: sa.Connection,
    user_id: int,
    document_id: str,
    version: int,
    content: Content,
    *,
    now: datetime,
    name: str | None = None,
) -> int | None:
    """Write a change over ``version`` of a document; return the new version, None where that isn't there."""
    same = (*_own(user_id, document_id), documents.c.version == version)
    named = {} if name is None else {"name": name}
    values = {"version": version + 1, "updated_at": now, **named, **_columns(content)}
    if not connection.execute(sa.update(documents).where(*same).values(**values)).rowcount:
        return None
    _note_files(connection, user_id, document_id, content.files)
    return version + 1


def rename_document(connection: sa.Connection, user_id: int, document_id: str, name: str) -> bool:
    """Rename a document of the person's, which is no new version; False when they have no such one."""
    named = sa.update(documents).where(*_own(user_id, document_id)).values(name=name)
    return bool(connection.execute(named).rowcount)


def delete_document(connection: sa.Connection, user_id: int, document_id: str) -> bool:
    """Delete a document of the person's; False when they have no such one."""
    return bool(connection.execute(sa.delete(documents).where(*_own(user_id, document_id))).rowcount)


def drop_unnamed(connection: sa.Connection, before: datetime) -> None:
    """Delete documents without a name that nobody has changed since then."""
    old = (documents.c.name == "", documents.c.updated_at < before)
    connection.execute(sa.delete(documents).where(*old))


def _own(user_id: int, document_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return documents.c.id == document_id, documents.c.user_id == user_id


def _columns(content: Content) -> dict[str, str]:
    return {"content": content.text, "summary": json.dumps(content.summary)}


def _note_files(connection: sa.Connection, user_id: int, document_id: str, files: Collection[str]) -> None:
    """Note which of these files the document needs: those that the person has sent, and no others."""
    sent = sa.select(uploads.c.sha256).where(uploads.c.user_id == user_id, uploads.c.sha256.in_(list(files)))
    mine = set(connection.execute(sent).scalars()) if files else set()
    noted = sa.select(document_files.c.sha256).where(document_files.c.document_id == document_id)
    before = set(connection.execute(noted).scalars())
    if gone := before - mine:
        old = (document_files.c.document_id == document_id, document_files.c.sha256.in_(gone))
        connection.execute(sa.delete(document_files).where(*old))
    if new := mine - before:
        rows = [{"document_id": document_id, "sha256": sha256} for sha256 in sorted(new)]
        connection.execute(sa.insert(document_files), rows)
