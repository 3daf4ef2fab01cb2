"""Rows of shares: links that show a picture, a job's pictures or a folder's, until they end or are ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import new_job_id
from storage.web.schema import shares
from storage.web.tokens import hash_of, new_token


@dataclass(frozen=True)
class Shared:
    """What a link shows: picture ``position`` (from 0) of a job, all of a job's (None), or a folder's."""

    job_id: str | None = None
    position: int | None = None
    folder_id: str | None = None


@dataclass(frozen=True)
class Share:
    """A link, without its secret. id: what its owner ends it by. words: prompts are shown, too."""

    id: str
    user_id: int
    what: Shared
    title: str
    words: bool
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    views: int = 0

    def ended(self, now: datetime) -> bool:
        """Return whether the link shows nothing any more."""
        return self.revoked_at is not None or self.expires_at <= now


def add(
    connection: sa.Connection,
    user_id: int,
    what: Shared,
    *,
    title: str,
    words: bool,
    now: datetime,
    expires: datetime,
    most: int,
) -> tuple[Share, str] | None:
    """Write a share and return it with its secret; None when the person has ``most`` that haven't ended."""
    live = (shares.c.user_id == user_id, shares.c.revoked_at.is_(None), shares.c.expires_at > now)
    count = sa.select(sa.func.count()).select_from(shares).where(*live)
    if connection.execute(count).scalar_one() >= most:
        return None
    token, made = new_token(), Share(new_job_id(), user_id, what, title, words, now, expires)
    row = {
        "token_hash": hash_of(token),
        "id": made.id,
        "user_id": user_id,
        "job_id": what.job_id,
        "position": what.position,
        "folder_id": what.folder_id,
        "title": title,
        "words": int(words),
        "created_at": now,
        "expires_at": expires,
    }
    connection.execute(sa.insert(shares).values(**row))
    return made, token


def find(connection: sa.Connection, token: str, now: datetime) -> Share | None:
    """Return the share that a link carries the secret of, None when there is none or it has ended."""
    row = connection.execute(sa.select(shares).where(shares.c.token_hash == hash_of(token))).first()
    found = None if row is None else _share(row)
    return None if found is None or found.ended(now) else found


def of_person(connection: sa.Connection, user_id: int) -> list[Share]:
    """Return the person's shares, the newest first."""
    statement = sa.select(shares).where(shares.c.user_id == user_id).order_by(shares.c.created_at.desc())
    return [_share(row) for row in connection.execute(statement)]


def of_folders(connection: sa.Connection, user_id: int, now: datetime) -> dict[str, int]:
    """Return how many links show each of the person's folders now, of those that any shows."""
    live = (shares.c.user_id == user_id, shares.c.revoked_at.is_(None), shares.c.expires_at > now)
    counted = sa.select(shares.c.folder_id, sa.func.count().label("links")).where(
        *live, shares.c.folder_id.is_not(None)
    )
    return {row.folder_id: row.links for row in connection.execute(counted.group_by(shares.c.folder_id))}


def revoke(connection: sa.Connection, user_id: int, share_id: str, *, now: datetime) -> bool:
    """End a share of the person's; False when there is no such one. One that has ended stays so."""
    own = (shares.c.user_id == user_id, shares.c.id == share_id)
    ended = sa.func.coalesce(shares.c.revoked_at, sa.literal(now, shares.c.revoked_at.type))
    return bool(connection.execute(sa.update(shares).where(*own).values(revoked_at=ended)).rowcount)


def count_view(connection: sa.Connection, share_id: str) -> None:
    """Count one more visit of a share's page."""
    connection.execute(sa.update(shares).where(shares.c.id == share_id).values(views=shares.c.views + 1))


def drop(connection: sa.Connection, before: datetime) -> None:
    """Delete the rows of shares that ended before then."""
    ended = sa.or_(shares.c.expires_at < before, shares.c.revoked_at < before)
    connection.execute(sa.delete(shares).where(ended))


def _share(row: sa.Row[Any]) -> Share:
    what = Shared(row.job_id, row.position, row.folder_id)
    times = (row.created_at, row.expires_at, row.revoked_at)
    return Share(row.id, row.user_id, what, row.title, bool(row.words), *times, row.views)
