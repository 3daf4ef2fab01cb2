"""A finished job's pictures by direct message, with seed and job id."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import discord

from bot import buttons, messages
from bot.authority import Place
from bot.delivery import Delivery, Post, treated
from bot.moderation import Moderator
from bot.replies import SILENT
from bot.transport import FAILURES
from core.errors import UserError
from jobs.queue import Queue
from jobs.views import Result

log = logging.getLogger(__name__)
FILE_LIMIT = 10 * 2**20  # bytes, in direct messages: https://discord.com/developers/docs/reference#uploading-files
CLOSED = "Discord doesn't let me write to you. Allow direct messages from this server's members, then try again."


class Sharing:
    """Sends copies; the job's own message stays where it is."""

    def __init__(self, queue: Queue, delivery: Delivery, moderator: Moderator) -> None:
        self._queue, self._delivery, self._moderator = queue, delivery, moderator

    async def hand_over(self, user: discord.abc.Snowflake, result: Result, indexes: Sequence[int] | None = None) -> None:
        """Pictures of ``result`` (all, unless numbers from 0 are given) to ``user``, each in a message of its own with its buttons; of a job
        without pictures its own message. UserError when Discord refuses."""
        try:
            channel = await user.create_dm()  # type: ignore[attr-defined]
            if not result.pictures:
                post = await self._delivery.post_of(result, FILE_LIMIT, Place(None, channel.id))
                await self._post(channel, result, post, None)
            for index in range(len(result.pictures)) if indexes is None else indexes:
                await self._post(channel, result, await self._single(result, index, user.id, channel.id), index)
        except discord.Forbidden as error:
            raise UserError(CLOSED) from error
        except (discord.HTTPException, *FAILURES) as error:
            log.warning("job %s: not sent to user %d (%s)", result.job.id, user.id, type(error).__name__)
            raise UserError("Discord doesn't take direct messages at the moment. Try again in a minute.") from error

    async def _single(self, result: Result, index: int, user_id: int, channel_id: int) -> Post:
        job, stored = result.job, result.pictures[index]
        treatment = await self._moderator.treatment((stored.sha256,), job, Place(None, channel_id))
        picture, notes = await self._delivery.fitted(stored, job, FILE_LIMIT)
        content = "\n".join([messages.single(job, index, user_id), *(f"-# {note}" for note in notes)])
        return treated(Post(content, picture, buttons.for_single(job, index, stored)), treatment, job)

    async def _post(self, channel: discord.DMChannel, result: Result, post: Post, index: int | None) -> None:
        extra = {} if post.view is None else {"view": post.view}
        sent = await channel.send(post.content, files=post.files(), allowed_mentions=SILENT, **extra)
        await self._queue.add_view(result.job.id, sent.id, channel.id, None, index=index)
