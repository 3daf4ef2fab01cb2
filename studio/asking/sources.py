"""Which picture a person means: an attachment, a message link, a job id with a number, or their last one."""

from __future__ import annotations

import re

import discord

from core.errors import ImageError, UserError
from core.job import ID_LENGTH, Job
from core.requests import GenerateRequest
from jobs.queue import Queue
from studio.asking.actions import Source, source_of
from studio.authority import Action, Actor, Authority, Place
from studio.pictures.intake import Intake

_LINK = re.compile(
    r"<?https?://(?:\w+\.)?discord(?:app)?\.com/channels/(@me|\d+)/(\d+)/(\d+)/?>?(?:[\s#:]+(\d+))?",
    re.IGNORECASE,
)
_JOB = re.compile(rf"([a-z2-9]{{{ID_LENGTH}}})(?:[\s#:]+(\d+))?", re.IGNORECASE)


class Sources:
    """Finds pictures; checks that the person may use them."""

    def __init__(self, queue: Queue, intake: Intake, authority: Authority) -> None:
        self._queue, self._intake, self._authority = queue, intake, authority

    async def find(self, actor: Actor, image: discord.Attachment | None, source: str | None) -> Source:
        """UserError with what is wrong and what is taken."""
        if image is not None and source:
            raise UserError("Give `image` or `source`, not both.")
        if image is not None:
            taken = await self._intake.take(image, actor.user_id)
            return Source(taken.sha256, taken.width, taken.height)
        if source:
            return await self._named(actor, source.strip())
        last = await self._queue.last_picture(actor.user_id)
        if last is None:
            mine = await self._queue.mine(actor.user_id)
            if mine.running or mine.waiting:
                raise ImageError("Your first picture is still on its way. Try again when it is there.")
            raise ImageError(
                "You have no picture here yet. Attach one as `image`, or make one with `/imagine`."
            )
        job, index = last
        return await self._of_job(actor, job, index)

    async def _named(self, actor: Actor, source: str) -> Source:
        if link := _LINK.fullmatch(source):
            guild, message_id, number = link[1], int(link[3]), link[4]
            if guild != "@me" and int(guild) != actor.guild_id:
                raise UserError(
                    "That link leads to another server. Pictures are only taken from this one, or by job id."
                )
            found = await self._queue.job_of_message(message_id)
            if found is None:
                raise ImageError("Atelier made no picture in that message.")
            job, index = found
            return await self._of_job(actor, job, int(number) - 1 if number else index)
        if named := _JOB.fullmatch(source):
            job = await self._queue.job(named[1].lower())
            if job is None:
                raise ImageError(f"There is no job `{named[1].lower()}` here.")
            return await self._of_job(actor, job, int(named[2]) - 1 if named[2] else None)
        raise UserError(
            "`source` takes a link to a message of mine, or a job id with a number, such as `abcd2345efgh 2`."
        )

    async def _of_job(self, actor: Actor, job: Job, index: int | None) -> Source:
        self._authority.check(
            actor, Action.USE, job, {Place(*place) for place in await self._queue.places(job.id)}
        )
        if not isinstance(job.request, GenerateRequest):
            raise ImageError(f"Job `{job.id}` made no picture: it was a /{job.request.kind}.")
        result = await self._queue.result(job.id)
        if result is None or not result.pictures:
            raise ImageError(f"Job `{job.id}` has no picture (it is {job.status}).")
        if index is None and len(result.pictures) > 1:
            raise UserError(
                f"That job has {len(result.pictures)} pictures. Add the number, such as `{job.id} 2`."
            )
        return source_of(result, index or 0)
