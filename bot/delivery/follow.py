"""The only writer of a job's message: follows a job's events, shows progress, and brings the result to the
right place.

It needs stored ids only, so a job recovered after a crash is delivered by the same lines as a fresh one. The
ladder: edit the interaction's answer while its token lives, or one's own message in a DM; else post to the
channel, with a nonce made from the job id so that it is posted once however often it is sent; else a direct
message; else it waits for ``/show``.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

import discord
from discord.http import handle_message_parameters
from discord.webhook.async_ import async_context

from bot.ui import buttons, messages
from bot.wire.pending import Promise, Promises
from bot.wire.transport import FAILURES, GONE, Transport
from core.errors import ImageError, StorageError
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Queued, Rendered, Started
from core.job import Job, Origin
from core.requests import (
    ClassifyRequest,
    DescribeRequest,
    GenerateRequest,
    OutpaintRequest,
    RegionRequest,
    ShortenRequest,
)
from core.settings import Settings
from jobs.queue import Queue
from jobs.views import Result
from storage.files import Files
from storage.jobs import StoredPicture
from studio.asking.words import aspect_ratio, plain, shorter_prompts
from studio.authority import Place
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Treatment
from studio.pictures import marks
from studio.pictures.intake import Intake

log = logging.getLogger(__name__)

TOKEN_LIFE = timedelta(minutes=14)  # Discord's is 15; one is kept for the upload
EDIT_EVERY = 1.5  # seconds between two progress edits of one message
NEWS_AFTER = 0.5  # seconds, when the second tells of a new stage: started, loading, first step
FIRST_WORDS = "first words"
# Edits a second of all messages together, so that a long queue doesn't starve the one that runs; Discord
# allows 50 requests a second
RATIONS = {"progress": 6.0, FIRST_WORDS: 6.0, "place in the queue": 2.0}
BURSTS = {
    "progress": 1,
    FIRST_WORDS: 12,
    "place in the queue": 1,
}  # edits that may come at once after a silence
RESULT_PATIENCE = 3600.0  # seconds of pauses while Discord is down
PROGRESS_PATIENCE = 0.0
TIDY_PATIENCE = 10.0  # seconds of pauses for what is only nice to have
FOLLOW_AGAIN = (
    60.0,
    300.0,
    1800.0,
    7200.0,
)  # seconds until a delivery that failed unexpectedly is taken up anew
NONCE_TRUST = 60.0  # seconds; Discord remembers a nonce "for the past few minutes"
LOOKED_AT = 5000  # messages of a channel, at most, for one that may stand there already; 100 to a request
CLOCKS_APART = timedelta(minutes=1)  # this machine's clock and Discord's
SILENT = discord.AllowedMentions.none()
MARK_BYTES = 2000  # at most, that the mark adds to a picture
_SUFFIX = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg"}


@dataclass(frozen=True)
class Post:
    """What a message is to show. ``picture``: (bytes, file name, alternative text). ``view``: its buttons,
    None = none."""

    content: str
    picture: tuple[bytes, str, str] | None = None
    view: discord.ui.View | None = None

    def files(self) -> list[discord.File]:
        if self.picture is None:
            return []
        data, name, alt = self.picture
        return [discord.File(io.BytesIO(data), name, description=alt[:1024] or None)]


@dataclass(frozen=True)
class Sent:
    """Where a post stands now."""

    id: int
    channel_id: int


class Unreachable(Exception):
    """This rung of the ladder can't be used for this job."""


class Delivery:
    """Follows jobs, one task each. ``delivered`` hooks are called after every edit that reached Discord."""

    def __init__(
        self,
        client: discord.Client,
        queue: Queue,
        files: Files,
        intake: Intake,
        moderator: Moderator,
        settings: Settings,
        transport: Transport | None = None,
    ) -> None:
        self._client, self._queue, self._files, self._intake, self._moderator, self._look = (
            client,
            queue,
            files,
            intake,
            moderator,
            settings,
        )
        self._transport = transport or Transport()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._shown: dict[str, _Shown] = {}
        self._full = dict.fromkeys(RATIONS, 0.0)  # monotonic seconds when each ration's burst may come again
        self._unsaid: dict[str, None] = {}  # jobs whose first words came too soon after another's
        self._saying: asyncio.Task[None] | None = None
        self.on_edit: list[Callable[[int], None]] = []  # called with the message's id
        self.on_delivered: list[Callable[[Job, str], None]] = []
        self.afterwards: Callable[[Job], Awaitable[None]] = _nothing  # once a job's end is told in its place

    def follow(self, job: Job, *, resumed: bool = False) -> None:
        """Watch ``job`` to its end in a task of its own; once per job. ``resumed``: an earlier process began
        it."""
        if job.id not in self._tasks:
            shown = self._shown[job.id] = _Shown(resumed=resumed)
            task = asyncio.create_task(self._guard(job, shown), name=f"deliver {job.id}")
            self._tasks[job.id] = task
            task.add_done_callback(lambda _: self._forget(job.id))

    def _forget(self, job_id: str) -> None:
        self._tasks.pop(job_id, None)
        self._unsaid.pop(job_id, None)
        self._shown.pop(job_id).once.set()

    async def shown_once(self, job_id: str) -> bool:
        """Until the job's message says something, or nothing will soon: then False. Whoever waits keeps an
        interaction in memory."""
        if job_id in self._shown:
            await self._shown[job_id].once.wait()
        return job_id not in self._unsaid

    async def resume(self) -> int:
        """Follow every job that has an end to tell; after a start. Returns how many."""
        jobs = await self._queue.undelivered()
        for job in jobs:
            self.follow(job, resumed=True)
        return len(jobs)

    async def apologise(self, promises: Promises) -> None:
        """Tell of every interaction that an earlier process acknowledged, and then was killed before a row
        stood for it."""
        left, promises.left = promises.left, ()
        for promise in left:
            if await self._queue.job_of_interaction(promise.interaction_id) is None:
                await self._apologise(promise)
            promises.drop(promise.interaction_id)

    async def _apologise(self, promise: Promise) -> None:
        origin = Origin(0, 0, None, promise.interaction_id, promise.token, promise.application_id)
        if discord.utils.utcnow() - discord.utils.snowflake_time(promise.interaction_id) > TOKEN_LIFE:
            return
        try:
            await self._transport.attempt(
                lambda: self._edit_original(origin, Post(messages.FORGOTTEN)), patience=TIDY_PATIENCE
            )
        except FAILURES as error:  # 404 also when the acknowledgement itself never left
            log.info("interaction %d: no apology (%s)", promise.interaction_id, type(error).__name__)

    async def close(self, grace: float = 10.0) -> None:
        """Let the last edits go out for ``grace`` seconds, then stop."""
        if self._saying is not None:
            self._saying.cancel()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _guard(self, job: Job, shown: _Shown) -> None:
        for pause in FOLLOW_AGAIN:
            try:
                await self._follow(job, shown)
                return
            except Exception:
                log.exception("job %s: delivery failed, again in %.0f s", job.id, pause)
            await asyncio.sleep(pause)
            shown.resumed, shown.gone = True, False
            job = await self._queue.job(job.id) or job
        log.error("job %s: its end is told after the next start", job.id)

    async def _follow(self, job: Job, shown: _Shown) -> None:
        async for event in self._queue.watch(job.id):
            match event:
                case Rendered():
                    await self._deliver(job, shown)
                case Failed(message):
                    await self._finish(
                        job, shown, Post(messages.failed(job, message), view=buttons.after_end(job))
                    )
                case Cancelled():
                    await self._finish(job, shown, Post(messages.cancelled(job), view=buttons.after_end(job)))
                case Paused():
                    await self._show(job, shown, Post(messages.paused(job)))
                case _:
                    await self._progress(job, shown, event)

    # Progress: dropped when it comes too often or fails

    async def _progress(self, job: Job, shown: _Shown, event: Event) -> None:
        """Most events end here at the first test: a long queue has many."""
        now, stage = monotonic(), type(event).__name__
        gap = EDIT_EVERY if stage == shown.stage else NEWS_AFTER
        ration = _ration(stage, shown.stage)
        if shown.gone or now < shown.last_edit + gap:
            return
        if now < self._free_at(ration):
            if ration == FIRST_WORDS:
                self._say_later(job.id)
            return
        if isinstance(event, Progress) and event.preview:
            event = replace(event, preview=await self._outgoing_preview(event.preview, job))
        post = _progress_post(job, event)
        if post is not None and (post.content != shown.content or post.picture is not None):
            self._full[ration] = max(now, self._full[ration]) + 1 / RATIONS[ration]
            shown.stage = stage
            await self._show(job, shown, post)

    def _free_at(self, ration: str) -> float:
        return self._full[ration] - (BURSTS[ration] - 1) / RATIONS[ration]

    def _say_later(self, job_id: str) -> None:
        """A queue that stands still has no second event to say it with."""
        self._unsaid[job_id] = None
        self._shown[job_id].once.set()
        if self._saying is None or self._saying.done():
            self._saying = asyncio.create_task(self._say_unsaid(), name="first words")

    async def _say_unsaid(self) -> None:
        """Newest first: who has just asked is looking."""
        while self._unsaid:
            await asyncio.sleep(max(0.0, self._free_at(FIRST_WORDS) - monotonic()))
            if self._unsaid:  # they may all have ended meanwhile
                self._queue.repeat(self._unsaid.popitem()[0])
            await asyncio.sleep(0)  # its watcher takes the turn

    async def _outgoing_preview(self, preview: bytes, job: Job) -> bytes | None:
        if not await self._moderator.shows_preview(
            preview, job, Place(job.origin.guild_id, job.origin.channel_id)
        ):
            return None
        try:
            return self._outgoing(preview, "image/jpeg", job)
        except ValueError:
            log.warning("job %s: its preview is no JPEG", job.id)
            return None

    async def _show(self, job: Job, shown: _Shown, post: Post) -> None:
        if shown.gone:
            return
        shown.content, shown.last_edit = post.content, monotonic()
        try:
            await self._edit(job, shown, post, patience=PROGRESS_PATIENCE)
        except discord.HTTPException as error:
            shown.gone = error.status in GONE
            log.info("job %s: progress not shown (%s)", job.id, error.status)
        except Unreachable:
            shown.gone = True
        except FAILURES as error:
            log.info("job %s: progress not shown (%s)", job.id, type(error).__name__)

    # The end: never dropped

    async def _deliver(self, job: Job, shown: _Shown) -> None:
        result = await self._queue.result(job.id)
        if result is None:
            raise LookupError(f"job {job.id} is rendered but has no result")
        await self._finish(job, shown, await self.post_of(result, job.origin.file_limit))

    async def _finish(self, job: Job, shown: _Shown, post: Post) -> None:
        rung, message = await self._climb(job, shown, post)
        await self._queue.delivered(
            job.id,
            message_id=message.id if message else None,
            channel_id=message.channel_id if message else None,
            rung=rung,
        )
        log.info("job %s: delivered by %s", job.id, rung)
        row = await self._queue.job(job.id) if self.on_delivered else None
        for hook in self.on_delivered if row else ():
            hook(row, rung)
        if rung in ("edit", "channel"):
            await self.afterwards(job)

    async def _climb(self, job: Job, shown: _Shown, post: Post) -> tuple[str, Sent | None]:
        """Try the rungs in order; the first that takes the post wins."""
        for rung, send in (("edit", self._edit), ("channel", self._send_to_channel), ("dm", self._send_dm)):
            if rung == "channel" and job.origin.ephemeral:
                continue  # only the asker may see it
            try:
                message = await send(job, shown, post, patience=RESULT_PATIENCE)
            except discord.HTTPException as error:
                if error.status not in (*GONE, 400, 413):
                    raise
                log.warning("job %s: rung %s refused (%s, %s)", job.id, rung, error.status, error.code)
            except Unreachable as error:
                log.info("job %s: rung %s not usable: %s", job.id, rung, error)
            else:
                if rung != "edit":
                    await self._remove_placeholder(job, shown)
                return rung, message
        return "kept", None

    def _token_lives(self, job: Job) -> bool:
        """A private message beside an answer was sent moments after its interaction."""
        began = job.origin.interaction_id or job.origin.message_id
        if not job.origin.interaction_token or not began:
            return False
        return discord.utils.utcnow() - discord.utils.snowflake_time(began) < TOKEN_LIFE

    async def _edit(self, job: Job, shown: _Shown, post: Post, *, patience: float) -> Sent:
        origin = job.origin
        if self._token_lives(job):

            def call() -> Awaitable[Sent]:
                return self._edit_original(origin, post)
        elif origin.message_id is not None and origin.interaction_token is None:
            message = self._channel(origin.channel_id).get_partial_message(origin.message_id)

            async def call() -> Sent:
                edited = await message.edit(
                    content=post.content, attachments=post.files(), view=post.view, allowed_mentions=SILENT
                )
                return Sent(edited.id, edited.channel.id)
        else:
            raise Unreachable("the interaction's token is too old")
        sent = await self._transport.attempt(call, patience=patience)
        shown.once.set()
        if shown.message_id is None:
            shown.message_id = sent.id
            await self._queue.remember_message(job.id, sent.id, origin.channel_id, origin.guild_id)
        self._edited(sent.id)
        return sent

    async def _edit_original(self, origin: Origin, post: Post) -> Sent:
        """PATCH /webhooks/{application}/{token}/messages/@original, from stored ids instead of a live
        interaction; of an origin without its interaction, the private message beside it."""
        http, adapter = self._client.http, async_context.get()
        edit = adapter.edit_original_interaction_response
        if origin.interaction_id is None and origin.message_id is not None:
            edit = partial(adapter.edit_webhook_message, message_id=origin.message_id)
        with handle_message_parameters(
            content=post.content, attachments=post.files(), view=post.view, allowed_mentions=SILENT
        ) as parameters:
            data = await edit(
                origin.application_id,
                origin.interaction_token,
                session=http._HTTPClient__session,
                proxy=http.proxy,
                proxy_auth=http.proxy_auth,
                payload=parameters.payload,
                multipart=parameters.multipart,
                files=parameters.files,
            )
        return Sent(int(data["id"]), int(data["channel_id"]))

    async def _send_to_channel(self, job: Job, shown: _Shown, post: Post, *, patience: float) -> Sent:
        return await self._send(self._channel(job.origin.channel_id), job, shown, post, patience)

    async def _sent_before(self, channel: discord.abc.Messageable, job: Job, since: datetime) -> Sent | None:
        """The final message of ``job``, if it was posted after ``since`` and the answer was lost, or a crash
        kept the row from knowing."""
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

    async def _send_dm(self, job: Job, shown: _Shown, post: Post, *, patience: float) -> Sent:
        user = await self._transport.attempt(
            lambda: self._client.fetch_user(job.origin.user_id), patience=patience
        )
        channel = await self._transport.attempt(user.create_dm, patience=patience)
        return await self._send(channel, job, shown, post, patience)

    async def _send(
        self, channel: discord.abc.Messageable, job: Job, shown: _Shown, post: Post, patience: float
    ) -> Sent:
        """Once, however often it is tried: by the nonce, and by looking before sending where Discord may have
        forgotten it."""
        tried_before = shown.resumed and job.finished_at is not None
        since, began = (job.finished_at if tried_before else None) or discord.utils.utcnow(), monotonic()

        async def call() -> Sent:
            if (tried_before or monotonic() - began > NONCE_TRUST) and (
                before := await self._sent_before(channel, job, since)
            ):
                return before
            extra = {} if post.view is None else {"view": post.view}
            sent = await channel.send(
                post.content, files=post.files(), nonce=f"atelier-{job.id}", allowed_mentions=SILENT, **extra
            )
            return Sent(sent.id, sent.channel.id)

        sent = await self._transport.attempt(call, patience=patience)
        self._edited(sent.id)
        return sent

    async def _remove_placeholder(self, job: Job, shown: _Shown) -> None:
        """The old "(Waiting …)" message would stand there for ever."""
        message_id = shown.message_id or job.origin.message_id
        if message_id is None:
            return
        message = self._channel(job.origin.channel_id).get_partial_message(message_id)
        try:
            await self._transport.attempt(message.delete, patience=TIDY_PATIENCE)
        except FAILURES:
            log.info("job %s: its old message stays", job.id)

    def _channel(self, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id)

    def _edited(self, message_id: int) -> None:
        for hook in self.on_edit:
            hook(message_id)

    async def send_single(self, interaction: discord.Interaction, result: Result, index: int) -> None:
        """Answer ``interaction`` (deferred) with picture ``index`` alone, full size; no device is needed."""
        job, stored = result.job, result.pictures[index]
        limit = interaction.filesize_limit or job.origin.file_limit
        place = Place(interaction.guild_id, interaction.channel_id or 0)
        treatment = await self._moderator.treatment((stored.sha256,), job, place)
        picture, notes = await self.fitted(stored, job, limit)
        content = "\n".join(
            [messages.single(job, index, interaction.user.id), *(f"-# {note}" for note in notes)]
        )
        post = treated(Post(content, picture, buttons.for_single(job, index, stored)), treatment, job)

        def call() -> Awaitable[discord.Message]:
            return interaction.edit_original_response(
                content=post.content, attachments=post.files(), view=post.view, allowed_mentions=SILENT
            )

        sent = await self._transport.attempt(call, patience=60.0)
        await self._queue.add_view(
            job.id, sent.id, interaction.channel_id or 0, interaction.guild_id, index=index
        )
        self._edited(sent.id)

    # What a result looks like

    async def post_of(self, result: Result, file_limit: int, place: Place | None = None) -> Post:
        """The final message of ``result``: text, picture within ``file_limit`` bytes, buttons; as it may be
        shown in ``place``, where it was asked for if none is named."""
        job, request = result.job, result.job.request
        place = place or Place(job.origin.guild_id, job.origin.channel_id)
        if isinstance(request, DescribeRequest):
            return await self._described(result, request, file_limit, place)
        if isinstance(request, ShortenRequest):
            count = len(shorter_prompts(result.scores))
            return Post(messages.shortened(job, result.scores), view=buttons.for_shortened(job, count))
        shown = result.grid if result.grid is not None else result.pictures[0]
        picture, notes = await self.fitted(shown, job, file_limit)
        if isinstance(request, ClassifyRequest):
            return Post(
                messages.classified(job, result.scores, str(result.parameters.get("model", ""))), picture
            )
        view = (
            buttons.for_grid(job, len(result.pictures))
            if len(result.pictures) > 1
            else buttons.for_single(job, 0, shown)
        )
        treatment = await self._moderator.treatment(
            tuple(picture.sha256 for picture in result.pictures), job, place
        )
        return treated(
            Post(messages.finished(job, result.parameters, notes=notes), picture, view), treatment, job
        )

    async def _described(self, result: Result, request: DescribeRequest, limit: int, place: Place) -> Post:
        """The prompts under the picture they come from; without it where it is gone, too large, or not to be
        shown."""
        job = result.job
        captions = await self._moderator.captions(result.captions, place)
        post = Post(messages.described(job, captions), view=buttons.for_captions(job, len(captions)))
        try:
            size = await self._intake.size(request.image)
            picture, _ = await self.fitted(
                StoredPicture(request.image, "image/png", *size, None, 0, 0), job, limit
            )
        except (ImageError, StorageError):
            return post
        treatment = await self._moderator.treatment((request.image,), job, place)
        if treatment is Treatment.BLOCK:
            return post
        return treated(
            replace(post, content=messages.described(job, captions, aspect_ratio(*size)), picture=picture),
            treatment,
            job,
        )

    async def fitted(
        self, stored: StoredPicture, job: Job, limit: int
    ) -> tuple[tuple[bytes, str, str] | None, list[str]]:
        """The picture's bytes, name and alternative text, made smaller when Discord would refuse it; notes
        say so."""
        data, media_type, notes = await self._files.get(stored.sha256), stored.media_type, []
        data = self._outgoing(data, media_type, job)
        if len(data) > limit:
            try:
                data, media_type, name = await self._intake.shrink(data, limit - MARK_BYTES)
                data = self._outgoing(data, media_type, job)
                notes.append(
                    f"Sent as {name}: the original is larger than the {limit / 2**20:.0f} MB that fit here."
                )
            except ImageError as error:
                return None, [str(error)]
        alt = getattr(job.request, "prompt", "") or job.request.kind
        return (data, f"atelier-{job.id}.{_SUFFIX[media_type]}", plain(alt)), notes

    def _outgoing(self, data: bytes, media_type: str, job: Job) -> bytes:
        """With the marks that the host wants, and nothing else. Charts are drawn by us, not by a model, and
        so are described pictures that come from no job."""
        described = isinstance(job.request, DescribeRequest) and job.parent_id is not None
        made = (described or isinstance(job.request, GenerateRequest)) and self._look.ai_mark
        source = (
            (marks.EXTENDED if isinstance(job.request, (OutpaintRequest, RegionRequest)) else marks.MADE)
            if made
            else None
        )
        return marks.outgoing(data, media_type, source=source, parameters=self._look.picture_parameters)


async def _nothing(job: Job) -> None:
    """Nobody wants more."""


def treated(post: Post, treatment: Treatment, job: Job) -> Post:
    """``post`` as it may be shown: as it is, behind a spoiler, or without its picture and buttons."""
    if treatment is Treatment.BLOCK:
        return Post(messages.held_back(job))
    if treatment is Treatment.SPOILER and post.picture is not None:
        data, name, alt = post.picture
        return replace(post, picture=(data, f"SPOILER_{name}", alt))
    return post


@dataclass
class _Shown:
    """What a followed job's message shows by now."""

    resumed: bool = False
    content: str = ""
    stage: str = ""
    last_edit: float = float("-inf")  # monotonic seconds
    gone: bool = False
    message_id: int | None = None
    once: asyncio.Event = field(default_factory=asyncio.Event)


def _ration(stage: str, before: str) -> str:
    if stage != Queued.__name__:
        return "progress"
    return "place in the queue" if before else FIRST_WORDS


def _progress_post(job: Job, event: Event) -> Post | None:
    view = buttons.while_running(job)
    match event:
        case Queued(position, eta):
            return Post(messages.waiting(job, position, eta), view=view)
        case Loading(model, fraction):
            return Post(messages.loading(job, model, fraction), view=view)
        case Started():
            return Post(messages.running(job, None), view=view)
        case Progress(step, total, preview):
            picture = (preview, "preview.jpg", "preview") if preview else None
            return Post(messages.running(job, round(100 * step / max(1, total))), picture, view)
    return None
