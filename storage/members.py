"""Rows of what members choose and keep: preferences, own options, favourites, drafts, and how much they have
used."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.convert import Preferences
from core.job import Job, Status, new_job_id
from core.requests import PICTURE_KINDS
from storage.database import Database
from storage.job_queries import readable
from storage.people import LANGUAGE_IN, upsert
from storage.schema import drafts, favourites, jobs, options, pictures, preferences, settings

# Built once: an interaction waits for them
_CHOICES = sa.select(preferences.c.choices).where(preferences.c.user_id == sa.bindparam("user"))
_CHOICES_THERE = sa.select(
    _CHOICES.scalar_subquery().label("choices"),
    sa.select(settings.c.value)
    .where(settings.c.key == sa.bindparam("key"))
    .scalar_subquery()
    .label("language"),
)
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
        [text] = await self._database.look_up(partial(read_choices, user_id=user_id), once=True)
        return Preferences.of_json(text) if text else Preferences()

    async def choices(self, user_id: int, guild_id: int) -> tuple[Preferences, str]:
        """Return what the member has chosen, or the defaults, and the language that was chosen for a guild,
        "" for none. An id of 0 is nobody's."""
        asked = {"user": user_id, "key": LANGUAGE_IN.format(guild_id)}
        row = (await self._rows(_CHOICES_THERE, asked))[0]
        chosen = Preferences.of_json(row.choices) if row.choices else Preferences()
        return chosen, json.loads(row.language) if row.language else ""

    async def change(self, user_id: int, **values: Any) -> Preferences:
        """Change those of the preferences that are named; what they are then."""

        def work(connection: sa.Connection) -> Preferences:
            text = connection.scalar(_CHOICES, {"user": user_id})
            new = (Preferences.of_json(text) if text else Preferences()).changed(**values)
            choices = {"choices": new.to_json()}
            connection.execute(upsert(connection, preferences, {"user_id": user_id, **choices}, choices))
            return new

        return await self._database.write(work)

    async def servers(self, user_id: int) -> list[int]:
        """Return the ids of servers that the member's last 500 jobs were asked in."""
        mine = sa.select(jobs.c.guild_id).where(jobs.c.user_id == user_id)
        recent = mine.order_by(jobs.c.seq.desc()).limit(500).subquery()
        known = sa.select(recent.c.guild_id).where(recent.c.guild_id.is_not(None)).distinct()
        return [row.guild_id for row in await self._rows(known)]

    async def reset(self, user_id: int) -> None:
        """Forget what the member has chosen."""
        await self._execute(sa.delete(preferences).where(preferences.c.user_id == user_id))

    async def options(self, user_id: int) -> dict[str, str]:
        """Own --names, in order."""
        return {row.name: row.value for row in await self._rows(_OPTIONS, {"user": user_id})}

    async def set_option(self, user_id: int, name: str, value: str, *, most: int) -> bool:
        """Set it; False when there are ``most`` others already."""

        def work(connection: sa.Connection) -> bool:
            others = sa.select(sa.func.count()).where(options.c.user_id == user_id, options.c.name != name)
            if connection.execute(others).scalar_one() >= most:
                return False
            row = {"user_id": user_id, "name": name, "value": value}
            connection.execute(upsert(connection, options, row, {"value": value}))
            return True

        return await self._database.write(work)

    async def remove_option(self, user_id: int, name: str) -> bool:
        """Remove an option of the member's own. Return False when there was none."""
        mine = (options.c.user_id == user_id, options.c.name == name)
        return await self._execute(sa.delete(options).where(*mine)) > 0

    async def toggle_favourites(self, user_id: int, job_id: str, positions: Iterable[int]) -> bool:
        """Keep these pictures of a job, or let go of them if all were kept; return whether they are now."""
        wanted = set(positions)
        mine = _favourites(user_id, job_id, wanted)

        def work(connection: sa.Connection) -> bool:
            kept = set(connection.scalars(sa.select(favourites.c.position).where(*mine)))
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
        await self._execute(sa.delete(favourites).where(*_favourites(user_id, job_id, positions)))

    async def favourites(self, user_id: int, *, limit: int, offset: int = 0) -> list[Favourite]:
        """Newest first."""
        same = (pictures.c.job_id == favourites.c.job_id, pictures.c.position == favourites.c.position)
        joined = favourites.join(jobs, jobs.c.id == favourites.c.job_id).join(pictures, sa.and_(*same))
        statement = (
            sa.select(favourites, pictures.c.sha256, jobs.c.prompt)
            .select_from(joined)
            .where(favourites.c.user_id == user_id)
            .order_by(favourites.c.created_at.desc(), favourites.c.job_id, favourites.c.position.desc())
            .limit(limit)
            .offset(offset)
        )
        return [
            Favourite(row.job_id, row.position, row.sha256, row.prompt or "", row.created_at)
            for row in await self._rows(statement)
        ]

    async def count_favourites(self, user_id: int) -> int:
        """Return how many pictures the member keeps."""
        return await self._scalar(sa.select(sa.func.count()).where(favourites.c.user_id == user_id))

    async def add_draft(self, user_id: int, content: dict[str, Any]) -> str:
        """Its id: 12 letters and digits."""
        name = new_job_id()
        row = {"id": name, "user_id": user_id, "content": json.dumps(content, ensure_ascii=False)}
        await self._execute(sa.insert(drafts).values(**row, created_at=datetime.now(UTC)))
        return name

    async def draft(self, draft_id: str) -> tuple[int, dict[str, Any]] | None:
        """(user id, content)."""
        found = await self._rows(sa.select(drafts.c.user_id, drafts.c.content).where(drafts.c.id == draft_id))
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
            rows = connection.execute(by_kind.where(*mine).group_by(jobs.c.kind)).all()
            made = (
                sa.select(sa.func.count())
                .select_from(pictures.join(jobs, jobs.c.id == pictures.c.job_id))
                .where(*mine, pictures.c.position >= 0)
            )
            kept = sa.select(sa.func.count()).where(favourites.c.user_id == user_id)
            return Usage(
                {row.kind: row._mapping["count"] for row in rows},
                sum(row.seconds or 0.0 for row in rows),
                connection.execute(made).scalar_one(),
                connection.execute(kept).scalar_one(),
            )

        return await self._database.read(work)

    async def recent(self, user_id: int, *, limit: int = 25) -> list[Job]:
        """The newest of the user's last 200 jobs with pictures, one for each prompt."""
        mine = sa.select(jobs).where(jobs.c.user_id == user_id, jobs.c.kind.in_(PICTURE_KINDS))
        found: dict[str, Job] = {}
        for row in await self._rows(mine.order_by(jobs.c.seq.desc()).limit(200)):
            is_new = row.prompt and row.prompt not in found and len(found) < limit
            if is_new and (job := readable(row)):
                found[row.prompt] = job
        return list(found.values())

    async def last_style(self, user_id: int) -> Job | None:
        """The user's newest /imagine that ended well, for sticky styles."""
        done = jobs.c.status.in_((Status.RENDERED.value, Status.DELIVERED.value))
        mine = sa.select(jobs).where(jobs.c.user_id == user_id, jobs.c.kind == "imagine", done)
        found = await self._rows(mine.order_by(jobs.c.seq.desc()).limit(1))
        return readable(found[0]) if found else None

    async def _rows(self, statement: Any, asked: dict[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        return await self._database.read(lambda c: c.execute(statement, asked).all(), once=True)

    async def _scalar(self, statement: Any, asked: dict[str, Any] | None = None) -> Any:
        return await self._database.read(lambda c: c.scalar(statement, asked), once=True)

    async def _execute(self, statement: Any) -> int:
        return await self._database.write(lambda c: c.execute(statement).rowcount)


def read_choices(connection: sa.Connection, user_id: int) -> str | None:
    """Return what the member has chosen, as JSON; None for nothing."""
    return connection.scalar(_CHOICES, {"user": user_id})


def _favourites(user_id: int, job_id: str, positions: Iterable[int]) -> tuple[sa.ColumnElement[bool], ...]:
    which = favourites.c.position.in_(list(positions))
    return favourites.c.user_id == user_id, favourites.c.job_id == job_id, which
