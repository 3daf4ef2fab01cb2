"""A finished job's pictures by direct message, with seed and job id."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import discord

from bot.delivery.delivery import Delivery, Post, treated
from bot.ui import buttons, messages
from bot.ui.replies import SILENT
from bot.wire.transport import FAILURES
from core.errors import AtelierError, UserError
from core.job import Job
from jobs.queue import Queue
from jobs.views import Result
from storage.members import Members
from studio.authority import Place
from studio.moderation.moderator import Moderator

log = logging.getLogger(__name__)
FILE_LIMIT = (
    10 * 2**20
)  # bytes, in direct messages: https://discord.com/developers/docs/reference#uploading-files
CLOSED = (
    "Discord doesn't let me write to you. Allow direct messages from this server's members, then try again."
)


class Sharing:
    """Sends copies; the job's own message stays where it is."""

    def __init__(
        self,
        queue: Queue,
        delivery: Delivery,
        moderator: Moderator,
        members: Members,
        find_user: Callable[[int], Awaitable[discord.User]],
    ) -> None:
        self._queue, self._delivery, self._moderator, self._members, self._find_user = (
            queue,
            delivery,
            moderator,
            members,
            find_user,
        )

    async def hand_over(
        self, user: discord.User | discord.Member, result: Result, indexes: Sequence[int] | None = None
    ) -> None:
        """Pictures of ``result`` (all, unless numbers from 0 are given) to ``user``, each in a message of its
        own with its buttons; of a job without pictures its own message. UserError when Discord refuses."""
        if not result.pictures:
            return await self.copy(user, result)
        with _told(result):
            channel = await user.create_dm()
            for index in range(len(result.pictures)) if indexes is None else indexes:
                await self._post(
                    channel, result, await self._single(result, index, user.id, channel.id), index
                )

    async def copy(self, user: discord.User | discord.Member, result: Result) -> None:
        """The job's own message, with grid and buttons, to ``user``. UserError when Discord refuses."""
        with _told(result):
            channel = await user.create_dm()
            await self._post(
                channel,
                result,
                await self._delivery.post_of(result, FILE_LIMIT, Place(None, channel.id)),
                None,
            )

    async def copy_for_asker(self, job: Job) -> None:
        """To its asker, who wants copies (``/prefer auto_dm``); not of what they have asked for in a direct
        message."""
        user_id = job.origin.user_id
        try:
            if job.origin.guild_id is None or not (await self._members.preferences(user_id)).auto_dm:
                return
            if (result := await self._queue.result(job.id)) is not None:
                await self.copy(await self._find_user(user_id), result)
        except (AtelierError, discord.HTTPException, *FAILURES) as error:
            log.info("job %s: no copy by direct message (%s)", job.id, type(error).__name__)

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


@contextmanager
def _told(result: Result) -> Iterator[None]:
    """What Discord refuses, as a UserError."""
    try:
        yield
    except discord.Forbidden as error:
        raise UserError(CLOSED) from error
    except (discord.HTTPException, *FAILURES) as error:
        log.warning("job %s: not sent by direct message (%s)", result.job.id, type(error).__name__)
        raise UserError(
            "Discord doesn't take direct messages at the moment. Try again in a minute."
        ) from error
