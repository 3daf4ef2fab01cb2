"""Copies of finished jobs: a picture alone in an answer, or pictures by direct message."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

import discord

from bot.delivery.render import Posts, without_result
from bot.discord_api.directory import Postable
from bot.discord_api.http import FAILURES, Transport
from bot.discord_api.interactions import file_limit, place_of
from bot.ui.replies import Post, send_fitting
from core.errors import AtelierError, UserError
from core.events import Cancelled, Failed, Paused, Rendered
from core.job import DEFAULT_FILE_LIMIT, Job
from jobs.feed import Wait
from jobs.queue import Queue, Result
from storage.members import Members
from studio.authority import Pace, Place
from studio.texts import duration

log = logging.getLogger(__name__)
ANSWER_PATIENCE = 60.0  # seconds of pauses
EDIT_EVERY = 1.5  # seconds between two edits of one answer
MESSAGES, MESSAGE_EVERY = 20, 15.0  # direct messages asked for by one person at once; seconds for each more
LIVE_FOR = 840.0  # seconds; an answer can be edited for 15 minutes
CLOSED = (
    "Discord doesn't let me write to you. Allow direct messages from this server's members, then try again."
)
Make = Callable[[int], Awaitable[Post]]  # what a message shows in at most so many bytes of files
BUSY = "Discord isn't accepting direct messages at the moment. Try again in a minute."


class Sharing:
    """Sends copies; the job's own message stays where it is. ``on_edit`` is called with the id of an answer
    that shows a picture."""

    def __init__(
        self,
        queue: Queue,
        posts: Posts,
        members: Members,
        transport: Transport,
        find_user: Callable[[int], Awaitable[discord.User]],
        on_edit: Callable[[int], None] | None = None,
        wait: Wait | None = None,
    ) -> None:
        self._queue, self._posts, self._members = queue, posts, members
        self._transport, self._find_user, self._on_edit = transport, find_user, on_edit
        self._wait = wait
        self._pace = Pace[int](MESSAGES, MESSAGE_EVERY)

    async def answer(self, interaction: discord.Interaction, result: Result, index: int) -> None:
        """Answer ``interaction`` (deferred) with picture ``index`` (from 0) alone, full size; no device is
        needed.

        Raises one of FAILURES when Discord doesn't take it.
        """
        user_id, place = interaction.user.id, place_of(interaction)
        make = partial(self._posts.single, result, index, user_id, place=place)
        await self._answer(interaction, result, index, make)

    async def answer_gif(self, interaction: discord.Interaction, result: Result, index: int) -> None:
        """Answer ``interaction`` (deferred) with video ``index`` (from 0) as a GIF. Raises ImageError for no
        such video, one of FAILURES when Discord doesn't take it."""
        user_id, place = interaction.user.id, place_of(interaction)
        make = partial(self._posts.videos.gif, result, index, user_id, place=place)
        await self._answer(interaction, result, index, make)

    async def _answer(self, interaction: discord.Interaction, result: Result, index: int, make: Make) -> None:
        async def send(post: Post) -> discord.InteractionMessage:
            return await self._transport.attempt(partial(post.answer, interaction), patience=ANSWER_PATIENCE)

        place, sent = place_of(interaction), await send_fitting(make, send, file_limit(interaction))
        await self._queue.add_view(result.job.id, sent.id, place.channel_id, place.guild_id, index=index)
        if self._on_edit is not None:
            self._on_edit(sent.id)

    async def bring_back(self, interaction: discord.Interaction, result: Result) -> None:
        """Answer ``interaction`` (deferred) with a finished job's message as it may be shown there."""
        place = place_of(interaction)
        make = partial(self._posts.result, result, place=place)
        sent = await send_fitting(make, lambda post: post.answer(interaction), file_limit(interaction))
        await self._queue.add_view(result.job.id, sent.id, place.channel_id, place.guild_id)

    async def bring_back_live(self, interaction: discord.Interaction, job: Job) -> None:
        """Show in the answer of ``interaction`` (deferred) how a job waits and runs, and then its end, as
        long as an answer can be edited."""
        began, last_edit, place = monotonic(), float("-inf"), place_of(interaction)
        told = await self._posts.told(job, place)
        async for event in self._queue.watch(job.id, self._wait):
            now = monotonic()
            if now > began + LIVE_FOR:
                return
            if isinstance(event, Rendered):
                if (result := await self._queue.result(job.id)) is not None:
                    await self.bring_back(interaction, result)
            elif isinstance(event, (Failed, Cancelled, Paused)):
                await without_result(told, event).answer(interaction)
            elif now >= last_edit + EDIT_EVERY:
                last_edit = now
                if (post := await self._posts.progress(job, event, place)) is not None:
                    await post.answer(interaction)

    async def hand_over(
        self, user: discord.User | discord.Member, result: Result, indexes: Sequence[int] | None = None
    ) -> None:
        """Send pictures of ``result`` (all, unless numbers from 0 are given) to ``user``, each in a message
        of its own with its buttons; of a job without pictures its own message.

        Raises UserError when Discord refuses.
        """
        count = max(1, len(result.pictures) if indexes is None else len(indexes))
        for wait in (self._pace.take(user.id) for _ in range(count)):
            if wait:
                raise UserError(f"I have sent you many messages. Ask again in {duration(wait)}.")
        if not result.pictures:
            return await self.copy(user, result)
        with _refused(result):
            channel = await user.create_dm()
            place = Place(None, channel.id)
            for index in [picture.index for picture in result.pictures] if indexes is None else indexes:
                make = partial(self._posts.single, result, index, user.id, place=place)
                await self._send(channel, result, make, index)

    async def copy(self, user: discord.User | discord.Member, result: Result) -> None:
        """Send the job's own message, with grid and buttons, to ``user``.

        Raises UserError when Discord refuses.
        """
        with _refused(result):
            channel = await user.create_dm()
            make = partial(self._posts.result, result, place=Place(None, channel.id))
            await self._send(channel, result, make, None)

    async def post(self, channel: Postable, result: Result, index: int, user_id: int) -> None:
        """Send picture ``index`` (from 0) to a channel of a server, as the user asked for it.

        Raises UserError when Discord refuses.
        """
        place = Place(channel.guild.id, channel.id)
        make = partial(self._posts.single, result, index, user_id, place=place)
        try:
            sent = await send_fitting(make, lambda post: post.send_to(channel), channel.guild.filesize_limit)
        except discord.Forbidden as error:
            raise UserError("Discord doesn't let the bot write there.") from error
        except (discord.HTTPException, *FAILURES) as error:
            log.warning("job %s: not posted to a channel (%s)", result.job.id, type(error).__name__)
            raise UserError("Discord didn't take the picture. Try again in a minute.") from error
        await self._queue.add_view(result.job.id, sent.id, place.channel_id, place.guild_id, index=index)

    async def copy_for_asker(self, job: Job) -> None:
        """Send a copy to the job's asker if they want copies (``/prefer auto_dm``) and didn't ask in a direct
        message."""
        user_id = job.origin.user_id
        try:
            if job.origin.guild_id is None or not (await self._members.preferences(user_id)).auto_dm:
                return
            if (result := await self._queue.result(job.id)) is not None:
                await self.copy(await self._find_user(user_id), result)
        except (AtelierError, discord.HTTPException, *FAILURES) as error:
            log.info("job %s: no copy by direct message (%s)", job.id, type(error).__name__)

    async def _send(self, channel: discord.DMChannel, result: Result, make: Make, index: int | None) -> None:
        sent = await send_fitting(make, lambda post: post.send_to(channel), DEFAULT_FILE_LIMIT)
        await self._queue.add_view(result.job.id, sent.id, channel.id, None, index=index)


@contextmanager
def _refused(result: Result) -> Iterator[None]:
    """Turn what Discord refuses into a UserError."""
    try:
        yield
    except discord.Forbidden as error:
        raise UserError(CLOSED) from error
    except (discord.HTTPException, *FAILURES) as error:
        log.warning("job %s: not sent by direct message (%s)", result.job.id, type(error).__name__)
        raise UserError(BUSY) from error
