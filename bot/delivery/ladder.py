"""Where a job's message goes: the ladder of places, tried from the first rung down.

1. edit: the interaction's answer while its token lives, or a message of our own;
2. channel: a new message in the channel, with a nonce made from the job id, so that it is posted once however
   often it is sent;
3. dm: a direct message to the asker;
4. kept: nowhere; the result waits for ``/show``, as the message says then that stands there already.

The ladder needs stored ids only, so a job that was resumed after a crash is delivered like a fresh one. It
also says what became of interactions that an earlier process acknowledged, and that never had a row.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

import discord

from bot.discord_api import private_api
from bot.discord_api.http import FAILURES, GONE, Transport
from bot.discord_api.interactions import PendingInteractions
from bot.ui import messages
from bot.ui.replies import SILENT, TOO_LARGE, Post
from core.job import Job, Reply
from jobs.queue import Queue
from studio.authority import Place

log = logging.getLogger(__name__)
TOKEN_LIFE = timedelta(minutes=14)  # of an interaction; Discord's is 15, one is kept for the upload
RESULT_PATIENCE = 3600.0  # seconds of pauses while Discord is down
TIDY_PATIENCE = 10.0  # seconds of pauses for what is only nice to have
NONCE_TRUST = 60.0  # seconds; Discord remembers a nonce "for the past few minutes"
LOOKED_AT = 5000  # the most messages of a channel to search for a job's; 100 to a request
CLOCKS_APART = timedelta(minutes=1)  # this machine's clock and Discord's
MadeFor = Callable[[Place], Awaitable[Post]]  # a job's end as it may be shown in a place
REFUSED = (*GONE, 400, TOO_LARGE)  # HTTP statuses after which the next rung is tried


@dataclass(frozen=True)
class Sent:
    """Where a post stands."""

    id: int
    channel_id: int


@dataclass
class JobMessage:
    """What is known of the message that shows a job. ``resumed``: an earlier process, or an earlier try, may
    have posted the job's end already."""

    resumed: bool = False
    id: int | None = None


class Unreachable(Exception):
    """A rung that can't be used for a job."""


class Ladder:
    """Writes the messages of jobs. ``on_edit`` is called with the id of each message that Discord took."""

    def __init__(
        self,
        client: discord.Client,
        queue: Queue,
        transport: Transport,
        on_edit: Callable[[int], None] | None = None,
    ) -> None:
        self._client, self._queue, self._transport, self._on_edit = client, queue, transport, on_edit

    async def climb(
        self, job: Job, message: JobMessage, post: Post, kept: Post, private: MadeFor | None = None
    ) -> tuple[str, Sent | None]:
        """Show the end of ``job`` on the first rung that takes ``post``. Return the rung's name, and where
        the post stands unless it is "kept"; then ``kept`` takes the place of what the job's message said.
        private: makes the post that a direct message may show; None = the same.

        Raises one of FAILURES when Discord can't be reached for RESULT_PATIENCE, or refuses the files as too
        large.
        """
        rungs: dict[str, Callable[..., Awaitable[Sent]]] = {
            "edit": self.edit,
            "channel": self._send_to_channel,
            "dm": partial(self._send_dm, private),
        }
        if job.origin.private:
            del rungs["channel"]  # others would see it there
        for rung, send in rungs.items():
            try:
                sent = await send(job, message, post, patience=RESULT_PATIENCE)
            except discord.HTTPException as error:
                if error.status not in REFUSED or (error.status == TOO_LARGE and post.size):
                    raise
                log.warning("job %s: rung %s refused (%s, %s)", job.id, rung, error.status, error.code)
            except Unreachable as error:
                log.info("job %s: rung %s not usable: %s", job.id, rung, error)
            else:
                old = message.id or job.reply.message_id
                if rung != "edit" and old is not None:  # nobody would edit its "(Waiting …)" any more
                    await self.remove(Sent(old, job.origin.channel_id))
                return rung, sent
        await self._leave_word(job, message, kept)
        return "kept", None

    async def _leave_word(self, job: Job, message: JobMessage, post: Post) -> None:
        """Show ``post`` in the job's message, which nobody would edit any more, if it can be reached."""
        calls = [partial(self._edit_answer, job.reply, post)] if _token_lives(job) else []
        if own := message.id or job.reply.message_id:
            calls.append(partial(self._edit_own, job.origin.channel_id, own, post))
        for call in calls:
            try:
                return self._edited(await self._transport.attempt(call, patience=TIDY_PATIENCE))
            except (*FAILURES, Unreachable):
                log.info("job %s: its message can't say yet where the result is", job.id)

    # Rung 1: edit

    async def edit(self, job: Job, message: JobMessage, post: Post, *, patience: float) -> Sent:
        """Show ``post`` in the message that the job has already.

        Raises Unreachable when no such message can be edited, or one of FAILURES after ``patience`` seconds
        of pauses.
        """
        origin, reply = job.origin, job.reply
        if _token_lives(job):
            call = partial(self._edit_answer, reply, post)
        elif reply.message_id is not None and reply.interaction_token is None:
            call = partial(self._edit_own, origin.channel_id, reply.message_id, post)
        else:
            raise Unreachable("the interaction's token is too old")
        sent = await self._transport.attempt(call, patience=patience)
        if message.id is None:
            message.id = sent.id
            await self._queue.remember_message(job.id, sent.id, origin.channel_id, origin.guild_id)
        self._edited(sent)
        return sent

    async def edit_answer(self, reply: Reply, post: Post) -> None:
        """Show ``post`` in the answer of an interaction that has no job.

        Raises one of FAILURES after TIDY_PATIENCE.
        """
        await self._transport.attempt(partial(self._edit_answer, reply, post), patience=TIDY_PATIENCE)

    async def _edit_answer(self, reply: Reply, post: Post) -> Sent:
        """PATCH /webhooks/{application}/{token}/messages/@original, from stored ids instead of a live
        interaction. A reply without its interaction means the private message beside it."""
        if reply.application_id is None or reply.interaction_token is None:
            raise Unreachable("there is no interaction to answer")
        beside = reply.interaction_id is None
        data = await private_api.edit_interaction_message(
            self._client.http,
            reply.application_id,
            reply.interaction_token,
            reply.message_id if beside else None,
            content=post.content,
            attachments=post.files(),
            view=post.view,
            allowed_mentions=SILENT,
        )
        return Sent(int(data["id"]), int(data["channel_id"]))

    async def _edit_own(self, channel_id: int, message_id: int, post: Post) -> Sent:
        """A message that the bot sent by itself, such as the answer to a direct message."""
        message = self._channel(channel_id).get_partial_message(message_id)
        edited = await message.edit(
            content=post.content, attachments=post.files(), view=post.view, allowed_mentions=SILENT
        )
        return Sent(edited.id, edited.channel.id)

    # Rungs 2 and 3: send

    async def _send_to_channel(self, job: Job, message: JobMessage, post: Post, *, patience: float) -> Sent:
        return await self._send(self._channel(job.origin.channel_id), job, message, post, patience)

    async def _send_dm(
        self, private: MadeFor | None, job: Job, message: JobMessage, post: Post, *, patience: float
    ) -> Sent:
        fetch = partial(self._client.fetch_user, job.origin.user_id)
        user = await self._transport.attempt(fetch, patience=patience)
        channel = await self._transport.attempt(user.create_dm, patience=patience)
        if private is not None and job.origin.guild_id is not None:  # it was made for that server's rules
            post = await private(Place(None, channel.id))
        return await self._send(channel, job, message, post, patience)

    async def _send(
        self, channel: discord.abc.Messageable, job: Job, message: JobMessage, post: Post, patience: float
    ) -> Sent:
        """Post once, however often it is tried: by the nonce, and where Discord may have forgotten that, by
        looking into the channel first."""
        tried_before = message.resumed and job.finished_at is not None
        since, began = (job.finished_at if tried_before else None) or discord.utils.utcnow(), monotonic()

        async def call() -> Sent:
            if tried_before or monotonic() - began > NONCE_TRUST:
                if found := await self._find(channel, job, since):
                    return found
            sent = await post.send_to(channel, nonce=f"atelier-{job.id}")
            return Sent(sent.id, sent.channel.id)

        sent = await self._transport.attempt(call, patience=patience)
        self._edited(sent)
        return sent

    async def _find(self, channel: discord.abc.Messageable, job: Job, since: datetime) -> Sent | None:
        """The final message of ``job`` if it was posted after ``since``: Discord's answer may have been lost,
        or a crash came before the row knew."""
        try:
            async for message in channel.history(limit=LOOKED_AT, after=since - CLOCKS_APART):
                mine = self._client.user is not None and message.author.id == self._client.user.id
                if mine and f"job {job.id}" in message.content:
                    return Sent(message.id, message.channel.id)
        except discord.HTTPException as error:
            if error.status >= 500 or error.status == 429:
                raise  # not knowing is no reason to send it twice
            log.info("job %s: can't read back the channel (%s)", job.id, error.status)
        return None

    async def remove(self, sent: Sent) -> None:
        """Delete the message of a job that has gone or is told elsewhere, if Discord lets it."""
        message = self._channel(sent.channel_id).get_partial_message(sent.id)
        try:
            await self._transport.attempt(message.delete, patience=TIDY_PATIENCE)
        except FAILURES:
            log.info("message %d, which tells of no job any more, stays", sent.id)

    def _channel(self, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id)

    def _edited(self, sent: Sent) -> None:
        if self._on_edit is not None:
            self._on_edit(sent.id)


def token_lives(snowflake: int) -> bool:
    """Return whether the token of an interaction with this id can still be used. A private message beside an
    answer was sent moments after its interaction, so its id does as well."""
    return discord.utils.utcnow() - discord.utils.snowflake_time(snowflake) < TOKEN_LIFE


def _token_lives(job: Job) -> bool:
    began = job.reply.interaction_id or job.reply.message_id
    return bool(job.reply.interaction_token and began and token_lives(began))


async def apologise(pending: PendingInteractions, queue: Queue, ladder: Ladder) -> None:
    """Say in each answer that still stands there "thinking …" that the request was lost. What has a job in
    ``queue`` is left to its delivery."""
    for left in pending.take_left():
        if token_lives(left.interaction_id) and await queue.job_of_interaction(left.interaction_id) is None:
            reply = Reply(left.interaction_id, left.token, left.application_id)
            try:
                await ladder.edit_answer(reply, Post(messages.FORGOTTEN))
            except FAILURES as error:  # 404 also when the acknowledgement itself never left
                log.info("interaction %d: no apology (%s)", left.interaction_id, type(error).__name__)
        pending.drop(left.interaction_id)
