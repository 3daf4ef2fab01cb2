"""The rows of jobs as the program reads and notes them, whether they wait, run or are over."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from core.job import Job
from jobs.views import Result
from storage import jobs as rows
from storage import lookup
from storage.database import Database
from storage.web.trash import hidden


class JobRows:
    """What is asked of the rows alone."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def job(self, job_id: str) -> Job | None:
        """Return the job as its row has it now, None when there is none."""
        return await self.database.read(partial(lookup.get, job_id=job_id), once=True)

    async def result(self, job_id: str) -> Result | None:
        """What a finished job made; None while, or if, it made nothing."""
        found = await self.database.read(partial(lookup.output, job_id=job_id))
        if found is None:
            return None
        return Result.of(*found)

    async def trashed(self, job_id: str) -> frozenset[int]:
        """Return which pictures (from 0) of a job its author has put into the trash."""
        found = await self.database.read(partial(hidden, job_ids=[job_id]), once=True)
        return found.get(job_id, frozenset())

    async def undelivered(self) -> list[Job]:
        """Every job asked on Discord whose end nobody was told yet, in order of arrival; after a restart the
        bot goes on watching these."""
        return await self.database.read(lookup.undelivered)

    async def delivered(
        self, job_id: str, *, message_id: int | None, channel_id: int | None, rung: str
    ) -> bool:
        """The result, or the notice of a failed or cancelled job, was sent. False when that had been noted
        before."""
        return await self.database.write(
            partial(
                rows.deliver,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                rung=rung,
                now=_now(),
            ),
            first=True,
        )

    async def remember_message(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None
    ) -> bool:
        """Note the message that shows the job. False when there is no such job."""
        return await self.database.write(
            partial(
                rows.remember_message,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                guild_id=guild_id,
                now=_now(),
            ),
            first=True,
        )

    async def add_view(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None, *, index: int | None = None
    ) -> None:
        """Note one more message that shows a finished job, or its picture ``index`` (from 0) alone."""
        await self.database.write(
            partial(
                rows.add_view,
                job_id=job_id,
                message_id=message_id,
                channel_id=channel_id,
                guild_id=guild_id,
                index=index,
                now=_now(),
            )
        )

    async def children(self, job_id: str, index: int) -> int:
        """How many jobs were made from picture ``index`` (from 0) of this one."""
        return await self.database.read(partial(lookup.children, job_id=job_id, index=index), once=True)

    async def job_of_interaction(self, interaction_id: int) -> Job | None:
        """Return the job that an interaction has made, None when it made none."""
        return await self.database.read(
            partial(lookup.of_interaction, interaction_id=interaction_id), once=True
        )

    async def job_of_message(self, message_id: int) -> tuple[Job, int | None] | None:
        """The job a message shows, and which of its pictures alone (from 0), None = all."""
        return await self.database.read(partial(lookup.of_message, message_id=message_id), once=True)

    async def places(self, job_id: str) -> set[tuple[int | None, int]]:
        """(guild or None, channel) of every message that shows the job."""
        return await self.database.read(partial(lookup.places, job_id=job_id), once=True)

    async def last_picture(self, user_id: int) -> tuple[Job, int] | None:
        """The member's newest finished job that made pictures, and the index of its first."""
        job = await self.database.read(partial(lookup.last_picture, user_id=user_id), once=True)
        return None if job is None else (job, 0)

    async def recent_prompts(self, user_id: int, prefix: str, limit: int = 25) -> list[str]:
        """The member's own prompts that start with ``prefix``, newest first."""
        return await self.database.read(
            partial(lookup.recent_prompts, user_id=user_id, prefix=prefix, limit=limit), once=True
        )


def _now() -> datetime:
    return datetime.now(UTC)
