"""Rows of what members choose and keep: preferences, own options, favourites, drafts, and how much they have
used."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.job import Job, Status, new_job_id
from core.preferences import Preferences
from core.requests import PICTURE_KINDS
from storage.database import Database
from storage.lookup import readable
from storage.people import upsert
from storage.schema import drafts, favourites, jobs, options, pictures, preferences

# Built once: an interaction waits for them
_CHOICES = sa.select(preferences.c.choices).where(preferences.c.user_id == sa.bindparam("user"))
_OPTIONS = (
    sa.select(options.c.name, options.c.value)
    .where(options.c.user_id == sa.bindparam("user"))
    .order_by(options.c.name)
)


@dataclass(frozen=True)
class Favourite:
    """Picture ``position`` (from 0) of a job."""

    job_id: str
    position: int
    sha256: str
    prompt: str
    at: datetime


@dataclass(frozen=True)
class Usage:
    """jobs: kind → how many were finished. seconds: of devices. pictures: made. favourites: kept."""

    jobs: dict[str, int]
    seconds: float
    pictures: int
    favourites: int


class Members:
    """One for the program, over the database. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def preferences(self, user_id: int) -> Preferences:
        """What the member has chosen, or the defaults."""
        text = await self._scalar(_CHOICES, {"user": user_id})
        return Preferences.of_json(text) if text else Preferences()

    async def change(self, user_id: int, **values: Any) -> Preferences:
        """Change those of the preferences that are named; what they are then."""

        def work(connection: sa.Connection) -> Preferences:
            text = _scalar(connection, _CHOICES, {"user": user_id})
            new = (Preferences.of_json(text) if text else Preferences()).changed(**values)
            choices = {"choices": new.to_json()}
            connection.execute(upsert(connection, preferences, {"user_id": user_id, **choices}, choices))
            return new

        return await self._database.write(work)

    async def servers(self, user_id: int, look_back: int = 500) -> list[int]:
        """Return the ids of servers that the member's last ``look_back`` jobs were asked in."""
        recent = (
            sa.select(jobs.c.guild_id)
            .where(jobs.c.user_id == user_id)
            .order_by(jobs.c.seq.desc())
            .limit(look_back)
            .subquery()
        )
        found = await self._rows(
            sa.select(recent.c.guild_id).where(recent.c.guild_id.is_not(None)).distinct(), {}
        )
        return [row.guild_id for row in found]

    async def reset(self, user_id: int) -> None:
        """Forget what the member has chosen."""
        await self._execute(sa.delete(preferences).where(preferences.c.user_id == user_id))

    async def options(self, user_id: int) -> dict[str, str]:
        """Own --names, in order."""
        return {row.name: row.value for row in await self._rows(_OPTIONS, {"user": user_id})}

    async def set_option(self, user_id: int, name: str, value: str, *, most: int) -> bool:
        """Set it; False when there are ``most`` others already."""

        def work(connection: sa.Connection) -> bool:
            others = (
                sa.select(sa.func.count())
                .select_from(options)
                .where(options.c.user_id == user_id, options.c.name != name)
            )
            if _scalar(connection, others) >= most:
                return False
            connection.execute(
                upsert(
                    connection, options, {"user_id": user_id, "name": name, "value": value}, {"value": value}
                )
            )
            return True

        return await self._database.write(work)

    async def remove_option(self, user_id: int, name: str) -> bool:
        """Remove an option of the member's own. Return False when there was none."""
        return (
            await self._execute(
                sa.delete(options).where(options.c.user_id == user_id, options.c.name == name)
            )
            > 0
        )

    async def toggle_favourites(self, user_id: int, job_id: str, positions: Iterable[int]) -> bool:
        """Keep these pictures of a job; if all were kept already, let go of them. Whether they are kept
        now."""
        wanted = set(positions)

        def work(connection: sa.Connection) -> bool:
            mine = (
                favourites.c.user_id == user_id,
                favourites.c.job_id == job_id,
                favourites.c.position.in_(wanted),
            )
            kept = {row.position for row in _rows(connection, sa.select(favourites.c.position).where(*mine))}
            if kept == wanted:
                connection.execute(sa.delete(favourites).where(*mine))
                return False
            new = [
                {"user_id": user_id, "job_id": job_id, "position": p, "created_at": datetime.now(UTC)}
                for p in sorted(wanted - kept)
            ]
            connection.execute(sa.insert(favourites), new)
            return True

        return await self._database.write(work)

    async def remove_favourites(self, user_id: int, job_id: str, positions: Iterable[int]) -> None:
        """Keep these pictures of a job no more."""
        mine = (
            favourites.c.user_id == user_id,
            favourites.c.job_id == job_id,
            favourites.c.position.in_(list(positions)),
        )
        await self._execute(sa.delete(favourites).where(*mine))

    async def favourites(self, user_id: int, *, limit: int, offset: int = 0) -> list[Favourite]:
        """Newest first."""
        joined = favourites.join(jobs, jobs.c.id == favourites.c.job_id).join(
            pictures,
            sa.and_(pictures.c.job_id == favourites.c.job_id, pictures.c.position == favourites.c.position),
        )
        statement = (
            sa.select(favourites, pictures.c.sha256, jobs.c.prompt)
            .select_from(joined)
            .where(favourites.c.user_id == user_id)
            .order_by(favourites.c.created_at.desc(), favourites.c.job_id, favourites.c.position.desc())
            .limit(limit)
            .offset(offset)
        )
        found = await self._rows(statement)
        return [
            Favourite(row.job_id, row.position, row.sha256, row.prompt or "", row.created_at) for row in found
        ]

    async def count_favourites(self, user_id: int) -> int:
        """Return how many pictures the member keeps."""
        statement = sa.select(sa.func.count()).select_from(favourites).where(favourites.c.user_id == user_id)
        return await self._scalar(statement)

    async def add_draft(self, user_id: int, content: dict[str, Any]) -> str:
        """Its id: 12 letters and digits."""
        name = new_job_id()
        values = {
            "id": name,
            "user_id": user_id,
            "content": json.dumps(content, ensure_ascii=False),
            "created_at": datetime.now(UTC),
        }
        await self._execute(sa.insert(drafts).values(**values))
        return name

    async def draft(self, draft_id: str) -> tuple[int, dict[str, Any]] | None:
        """(user id, content)."""
        statement = sa.select(drafts.c.user_id, drafts.c.content).where(drafts.c.id == draft_id)
        found = await self._rows(statement)
        return (found[0].user_id, json.loads(found[0].content)) if found else None

    async def usage(self, user_id: int, since: datetime | None = None) -> Usage:
        """What the user had made, from ``since`` on if given."""

        def work(connection: sa.Connection) -> Usage:
            mine = [jobs.c.user_id == user_id, jobs.c.rendered_at.is_not(None)]
            if since is not None:
                mine.append(jobs.c.created_at >= since)
            by_kind = sa.select(
                jobs.c.kind, sa.func.count().label("count"), sa.func.sum(jobs.c.run_seconds).label("seconds")
            )
            rows = _rows(connection, by_kind.where(*mine).group_by(jobs.c.kind))
            made = (
                sa.select(sa.func.count())
                .select_from(pictures.join(jobs, jobs.c.id == pictures.c.job_id))
                .where(*mine, pictures.c.position >= 0)
            )
            kept = sa.select(sa.func.count()).select_from(favourites).where(favourites.c.user_id == user_id)
            return Usage(
                {row.kind: row._mapping["count"] for row in rows},
                sum(row.seconds or 0.0 for row in rows),
                _scalar(connection, made),
                _scalar(connection, kept),
            )

        return await self._database.read(work)

    async def recent(
        self, user_id: int, words: str = "", *, limit: int = 25, look_back: int = 200
    ) -> list[Job]:
        """The user's newest jobs with pictures whose prompts hold ``words``, in any case; one for each
        prompt."""
        statement = (
            sa.select(jobs)
            .where(jobs.c.user_id == user_id, jobs.c.kind.in_(PICTURE_KINDS))
            .order_by(jobs.c.seq.desc())
            .limit(look_back)
        )
        found: dict[str, Job] = {}
        for row in await self._rows(statement):
            fits = (
                row.prompt
                and row.prompt not in found
                and words.lower() in row.prompt.lower()
                and len(found) < limit
            )
            if fits and (job := readable(row)):
                found[row.prompt] = job
        return list(found.values())

    async def last_style(self, user_id: int) -> Job | None:
        """The user's newest /imagine that ended well, for sticky styles."""
        done = jobs.c.status.in_((Status.RENDERED.value, Status.DELIVERED.value))
        statement = (
            sa.select(jobs)
            .where(jobs.c.user_id == user_id, jobs.c.kind == "imagine", done)
            .order_by(jobs.c.seq.desc())
            .limit(1)
        )
        found = await self._rows(statement)
        return readable(found[0]) if found else None

    async def _rows(self, statement: Any, asked: dict[str, Any] | None = None) -> list[sa.Row[Any]]:
        return await self._database.read(partial(_rows, statement=statement, asked=asked), once=True)

    async def _scalar(self, statement: Any, asked: dict[str, Any] | None = None) -> Any:
        return await self._database.read(partial(_scalar, statement=statement, asked=asked), once=True)

    async def _execute(self, statement: Any) -> int:
        def work(connection: sa.Connection) -> int:
            return connection.execute(statement).rowcount

        return await self._database.write(work)


def _rows(
    connection: sa.Connection, statement: Any, asked: dict[str, Any] | None = None
) -> list[sa.Row[Any]]:
    return list(connection.execute(statement, asked))


def _scalar(connection: sa.Connection, statement: Any, asked: dict[str, Any] | None = None) -> Any:
    return connection.execute(statement, asked).scalar_one_or_none()
