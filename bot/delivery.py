"""How a job's message reaches Discord: followed while it waits and runs, its end delivered once, and copied.

A delivery is the only writer of a job's message. Its end goes to the first place that takes it, tried from
the first rung of a ladder down:

1. edit: the interaction's answer while its token lives, or a message of our own;
2. channel: a new message in the channel, with a nonce made from the job id, so that it is posted once however
   often it is sent;
3. dm: a direct message to the asker;
4. kept: nowhere; the result waits for ``/show``, as the message that is there already says then.

Stored ids are all it needs, so a job that was resumed after a crash is followed and delivered like a fresh
one. All followed messages share a ration of progress edits, so that a long queue doesn't starve the job that
runs: Discord allows 50 requests a second. Copies are a picture alone in an answer, or pictures by direct
message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

import discord

from bot.discord_api import private_api
from bot.discord_api.directory import Postable
from bot.discord_api.http import FAILURES, GONE, Transport
from bot.discord_api.interactions import PendingInteractions, file_limit, place_of
from bot.posts import Posts, is_sheet, without_result
from bot.ui import messages
from bot.ui.layout import texts_of
from bot.ui.replies import SILENT, TOO_LARGE, Post, send_fitting
from core.errors import AtelierError, FilesAway, UserError
from core.events import Cancelled, Event, Failed, Paused, Progress, Queued, Rendered
from core.job import DEFAULT_FILE_LIMIT, Job, Reply, Surface
from core.language import N_, _, speak
from core.requests.base import Answer
from jobs.feed import Wait
from jobs.queue import Queue, Result
from storage.members import Members
from studio.authority import Pace, Place
from studio.texts import duration

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
    """Where a post is."""

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
        private: makes the post that a direct message may show; None = the same. Raises one of FAILURES when
        Discord can't be reached for RESULT_PATIENCE, or refuses the files as too large."""
        rungs: dict[str, Callable[..., Awaitable[Sent]]] = {
            "edit": self.edit,
            "channel": partial(self._send, self._channel(job.origin.channel_id)),
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
        """Show ``post`` in the message that the job has already. Raises Unreachable when no such message can
        be edited, or one of FAILURES after ``patience`` seconds of pauses."""
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
        """Show ``post`` in the answer of an interaction that has no job. Raises one of FAILURES after
        TIDY_PATIENCE."""
        await self._transport.attempt(partial(self._edit_answer, reply, post), patience=TIDY_PATIENCE)

    async def _edit_answer(self, reply: Reply, post: Post) -> Sent:
        """PATCH /webhooks/{application}/{token}/messages/@original, from stored ids instead of a live
        interaction. A reply without its interaction means the private message beside it."""
        if reply.application_id is None or reply.interaction_token is None:
            raise Unreachable("there is no interaction to answer")
        beside = reply.interaction_id is None
        edit = partial(
            private_api.edit_interaction_message,
            self._client.http,
            reply.application_id,
            reply.interaction_token,
            reply.message_id if beside else None,
            content=None,
            embeds=[],
            allowed_mentions=SILENT,
        )
        data = await post.deliver(lambda view, files: edit(view=view, attachments=files))
        return Sent(int(data["id"]), int(data["channel_id"]))

    async def _edit_own(self, channel_id: int, message_id: int, post: Post) -> Sent:
        """A message that the bot sent by itself, such as the answer to a direct message."""
        edited = await post.put_in(self._channel(channel_id).get_partial_message(message_id))
        return Sent(edited.id, edited.channel.id)

    # Rungs 2 and 3: send

    async def _send_dm(
        self, private: MadeFor | None, job: Job, message: JobMessage, post: Post, *, patience: float
    ) -> Sent:
        fetch = partial(self._client.fetch_user, job.origin.user_id)
        user = await self._transport.attempt(fetch, patience=patience)
        channel = await self._transport.attempt(user.create_dm, patience=patience)
        if private is not None and job.origin.guild_id is not None:  # it was made for that server's rules
            post = await private(Place(None, channel.id))
        return await self._send(channel, job, message, post, patience=patience)

    async def _send(
        self, channel: discord.abc.Messageable, job: Job, message: JobMessage, post: Post, *, patience: float
    ) -> Sent:
        """Post once, however often it is tried: by the nonce, and where Discord may have forgotten that, by
        looking into the channel first. Its words come alone before its layout, and stay where Discord refuses
        that."""
        tried_before = message.resumed and job.finished_at is not None
        since, began = (job.finished_at if tried_before else None) or discord.utils.utcnow(), monotonic()

        async def call() -> Sent:
            sent = None
            if tried_before or monotonic() - began > NONCE_TRUST:
                sent = await self._find(channel, job, since)
            if sent is None:
                notice, nonce = post.notice(job), f"atelier-{job.id}"
                sent = await channel.send(notice, nonce=nonce, allowed_mentions=SILENT)
            if not sent.flags.components_v2:
                try:
                    sent = await post.put_in(sent)
                except discord.HTTPException as error:
                    if error.status not in REFUSED or (error.status == TOO_LARGE and post.size):
                        raise
                    log.warning("job %s: only its notice stands (%s)", job.id, error.status)
            return Sent(sent.id, sent.channel.id)

        sent = await self._transport.attempt(call, patience=patience)
        self._edited(sent)
        return sent

    async def _find(
        self, channel: discord.abc.Messageable, job: Job, since: datetime
    ) -> discord.Message | None:
        """The final message of ``job``, or its notice, if it was posted after ``since``: Discord's answer may
        have been lost, or a crash came before the row knew."""
        try:
            async for message in channel.history(limit=LOOKED_AT, after=since - CLOCKS_APART):
                mine = self._client.user is not None and message.author.id == self._client.user.id
                if mine and names_job(message, job.id):
                    return message
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


def names_job(message: discord.Message, job_id: str) -> bool:
    """Return whether a message of ours tells the end of a job: by its words, or by its files' names."""
    texts = [message.content, *texts_of(message.components)]
    told = any(f"job {job_id}" in text or f"job:{job_id}" in text for text in texts)
    return told or any(job_id in file.filename for file in message.attachments)


def token_lives(snowflake: int) -> bool:
    """Return whether the token of an interaction with this id can still be used. A private message beside an
    answer was sent moments after its interaction, so its id does as well."""
    return discord.utils.utcnow() - discord.utils.snowflake_time(snowflake) < TOKEN_LIFE


def _token_lives(job: Job) -> bool:
    began = job.reply.interaction_id or job.reply.message_id
    return bool(job.reply.interaction_token and began and token_lives(began))


async def apologise(pending: PendingInteractions, queue: Queue, ladder: Ladder) -> None:
    """Say in each answer that still says "thinking …" that the request was lost. What has a job in
    ``queue`` is left to its delivery."""
    for left in pending.take_left():
        if token_lives(left.interaction_id) and await queue.job_of_interaction(left.interaction_id) is None:
            reply = Reply(left.interaction_id, left.token, left.application_id)
            try:
                await ladder.edit_answer(reply, Post(_(messages.FORGOTTEN)))
            except FAILURES as error:  # 404 also when the acknowledgement itself never left
                log.info("interaction %d: no apology (%s)", left.interaction_id, type(error).__name__)
        pending.drop(left.interaction_id)


class Ration:
    """Allows ``rate`` edits a second, and ``burst`` at once after a silence."""

    def __init__(self, rate: float, burst: int = 1) -> None:
        self._rate, self._burst = rate, burst
        self._full_at = 0.0  # monotonic seconds when the whole burst may come again

    def free_at(self) -> float:
        """Return the monotonic time in seconds from which the next edit is allowed."""
        return self._full_at - (self._burst - 1) / self._rate

    def take(self, now: float) -> None:
        """Count one edit made at ``now``, in monotonic seconds."""
        self._full_at = max(now, self._full_at) + 1 / self._rate


@dataclass(frozen=True)
class Rations:
    """The rations of the three kinds of progress edits."""

    progress: Ration
    first_words: Ration  # the first "Waiting to start" of a job
    place_in_queue: Ration

    @classmethod
    def usual(cls) -> Rations:
        """Return full rations: 14 edits a second in all."""
        return cls(Ration(6.0), Ration(6.0, burst=12), Ration(2.0))


class Postponed:
    """The jobs whose news came when the ration had no room for it, and which get it later.

    A queue that stands still has no second event to say it with, so ``repeat`` (job id) makes the queue
    publish the latest one again. The job that waits longest here is next; with ``newest_first`` the newest,
    because its asker is looking.
    """

    def __init__(self, ration: Ration, repeat: Callable[[str], None], *, newest_first: bool = False) -> None:
        self.ration, self._repeat, self._newest_first = ration, repeat, newest_first
        self._jobs: dict[str, float] = {}  # job → monotonic seconds before which it gets nothing
        self._turn: str | None = None  # the job that is being repeated
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def has_room(self, job_id: str, now: float) -> bool:
        """Return whether the job's news may be shown now, before those who wait here."""
        in_turn = self._newest_first or not self._jobs or job_id == self._turn
        return in_turn and now >= self.ration.free_at()

    def add(self, job_id: str, not_before: float = 0.0) -> None:
        """Give the job its news as soon as the ration allows. ``not_before``: monotonic seconds."""
        self._jobs.setdefault(job_id, not_before)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.run(), name="postponed news")

    def discard(self, job_id: str) -> None:
        """Forget the job, if it waits here."""
        self._jobs.pop(job_id, None)

    async def run(self) -> None:
        """Repeat the latest event of every job that waits here."""
        while self._jobs:
            job_id = next(reversed(self._jobs) if self._newest_first else iter(self._jobs))
            pause = max(self.ration.free_at(), self._jobs[job_id]) - monotonic()
            if pause > 0:
                await asyncio.sleep(pause)  # and look again: it may have ended
                continue
            del self._jobs[job_id]
            self._turn = job_id
            self._repeat(job_id)
            await asyncio.sleep(0)  # lets the job's follower take from the ration
        self._turn = None

    def close(self) -> None:
        """Stop; the jobs that still wait get no news."""
        if self._task is not None:
            self._task.cancel()


EDIT_EVERY = 1.5  # seconds between two progress edits of one message
LONG, EDIT_LONG_EVERY = 60.0, 5.0  # seconds until a video's message is edited less often; how often then
NEWS_AFTER = 0.5  # seconds, when the second shows a new stage: started, loading, first step
PROGRESS_PATIENCE = 0.0  # seconds of pauses: the next progress comes soon enough
# Seconds until a delivery that failed unexpectedly is tried again
FOLLOW_AGAIN = (60.0, 300.0, 1800.0, 7200.0)
FILES_AGAIN = 15.0  # the same, while its files can't be reached


class Delivery:
    """Follows jobs, each in one of ``tasks``, by job.

    ``wait``: every wait for a job goes through it. ``afterwards`` is awaited when a job's end stands in its
    place. ``on_delivered`` is called with the job as it stands in its row, and the rung of the ladder that
    took its end.
    """

    def __init__(
        self,
        queue: Queue,
        posts: Posts,
        ladder: Ladder,
        *,
        rations: Rations | None = None,
        wait: Wait | None = None,
        afterwards: Callable[[Job], Awaitable[None]] | None = None,
        on_delivered: Callable[[Job, str], None] | None = None,
    ) -> None:
        self._queue, self._posts, self._ladder = queue, posts, ladder
        self._wait, self._afterwards, self._on_delivered = wait, afterwards, on_delivered
        self._followed: dict[str, _Followed] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        rations = rations or Rations.usual()
        self._progress_edits = rations.progress
        self._first_words = Postponed(rations.first_words, queue.repeat, newest_first=True)
        self._places = Postponed(rations.place_in_queue, queue.repeat)

    def follow(self, job: Job, *, resumed: bool = False) -> None:
        """Follow ``job`` to its end, once however often it is asked for. ``resumed``: an earlier process
        began it. Nobody is told by message of a job of another surface than Discord."""
        if job.id in self.tasks or job.origin.surface is not Surface.DISCORD:
            return
        followed = self._followed[job.id] = _Followed(JobMessage(resumed))

        def forget(_: asyncio.Task[None]) -> None:
            del self.tasks[job.id], self._followed[job.id]
            self._first_words.discard(job.id)
            self._places.discard(job.id)
            followed.spoken.set()

        task = self.tasks[job.id] = asyncio.create_task(
            self._follow_again(job, followed), name=f"deliver {job.id}"
        )
        task.add_done_callback(forget)

    async def shown_once(self, job_id: str) -> bool:
        """Wait until the job's message says something. Return False if it won't soon: waiting longer would
        keep the caller's interaction in memory."""
        if job_id in self._followed:
            await self._followed[job_id].spoken.wait()
        return job_id not in self._first_words

    async def resume(self) -> int:
        """Follow every job whose end was not told yet, after a start. Return how many there are."""
        jobs = list(await self._queue.undelivered())
        for job in jobs:
            self.follow(job, resumed=True)
        return len(jobs)

    async def close(self, grace: float = 10.0) -> None:
        """Let the last edits go out for ``grace`` seconds, then stop."""
        self._first_words.close()
        self._places.close()
        tasks = list(self.tasks.values())
        if tasks:
            _unused, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _follow_again(self, job: Job, followed: _Followed) -> None:
        """Follow ``job``, and once more after a pause when that fails for a reason nobody foresaw."""
        pauses = list(FOLLOW_AGAIN)
        while pauses:
            try:
                await self._follow(job, followed)
                return
            except FilesAway as error:
                pause = FILES_AGAIN
                log.warning("job %s: told when its files can be reached: %s", job.id, error)
            except Exception:
                pause = pauses.pop(0)
                log.exception("job %s: delivery failed, again in %.0f s", job.id, pause)
            await asyncio.sleep(pause)
            followed.message.resumed, followed.gone = True, False
            job = await self._queue.job(job.id) or job
        log.error("job %s: its end is told after the next start", job.id)

    async def _follow(self, job: Job, followed: _Followed) -> None:
        speak(job.origin.language)
        async for event in self._queue.watch(job.id, self._wait):
            match event:
                case Rendered():
                    if (result := await self._queue.result(job.id)) is not None:
                        await self._note(job, followed, *await self._climb(job, followed, result))
                    elif await self._queue.job(job.id) is not None:
                        raise LookupError(f"job {job.id} is rendered but has no result")
                    else:
                        log.info("job %s was deleted before it was delivered", job.id)
                case Failed() | Cancelled():
                    post = await self._posts.ended(job, event)
                    told = await self._ladder.climb(job, followed.message, post, kept=post)
                    await self._note(job, followed, *told)
                case Paused():
                    await self._show(job, followed, await self._posts.ended(job, event))
                case _:
                    await self._progress(job, followed, event)

    # Progress: dropped when it comes too often or fails, for the next comes soon. What is said to those who
    # wait comes later instead: it may be the last for long.

    async def _progress(self, job: Job, followed: _Followed, event: Event) -> None:
        """Show ``event``, unless the last edit, or those of other messages, are too recent."""
        now = monotonic()
        worded = isinstance(event, Progress) and event.text  # the first words of an answer are something new
        stage = _("Answering") if worded else type(event).__name__
        if isinstance(event, Progress) and followed.began is None:
            followed.began = now
        ran = now - (now if followed.began is None else followed.began)
        every = EDIT_LONG_EVERY if ran > LONG and job.request.answer is Answer.VIDEOS else EDIT_EVERY
        again_at = followed.last_edit + (every if stage == followed.stage else NEWS_AFTER)
        if followed.gone:
            return
        ration = self._progress_edits
        if isinstance(event, Queued):
            postponed = self._places if followed.stage else self._first_words
            ration = postponed.ration
            if now < again_at or not postponed.has_room(job.id, now):
                postponed.add(job.id, again_at)
                if postponed is self._first_words:
                    followed.spoken.set()  # nobody is to wait for that
                return
        elif now < max(again_at, ration.free_at()):
            return
        post = await self._posts.progress(job, event, ran=ran)
        if post is not None and post.differs(followed.post):
            ration.take(now)
            followed.stage = stage
            await self._show(job, followed, post)

    async def _show(self, job: Job, followed: _Followed, post: Post) -> None:
        """Edit the job's message once; a failure is only noted."""
        if followed.gone:
            return
        followed.post, followed.last_edit = post, monotonic()
        try:
            await self._ladder.edit(job, followed.message, post, patience=PROGRESS_PATIENCE)
            followed.last_edit = monotonic()  # it may have waited on its way
            followed.spoken.set()
        except discord.HTTPException as error:
            followed.gone = error.status in GONE
            log.info("job %s: progress not shown (%s)", job.id, error.status)
        except Unreachable:
            followed.gone = True
        except FAILURES as error:
            log.info("job %s: progress not shown (%s)", job.id, type(error).__name__)

    # The end: never dropped

    async def _climb(self, job: Job, followed: _Followed, result: Result) -> tuple[str, Sent | None]:
        """Show what the job made, as large as Discord takes it. Return what ``Ladder.climb`` does."""
        made: list[tuple[int, Post]] = []

        async def make(limit: int) -> Post:
            made.append((limit, await self._posts.result(result, limit)))
            return made[-1][1]

        async def climb(post: Post) -> tuple[str, Sent | None]:
            limit, fitting = made[-1]

            async def private(place: Place) -> Post:
                own = await self._posts.result(result, min(DEFAULT_FILE_LIMIT, limit), place)
                return own if post is fitting else own.without_files()

            kept = await self._posts.kept(job)
            return await self._ladder.climb(job, followed.message, post, kept, private)

        return await send_fitting(make, climb, job.reply.file_limit)

    async def _note(self, job: Job, followed: _Followed, rung: str, sent: Sent | None) -> None:
        """Note in the job's row where its end is."""
        followed.spoken.set()
        message_id, channel_id = (sent.id, sent.channel_id) if sent else (None, None)
        noted = await self._queue.delivered(job.id, message_id=message_id, channel_id=channel_id, rung=rung)
        if not noted and sent is not None and await self._queue.job(job.id) is None:
            log.info("job %s was deleted while it was posted", job.id)
            await self._ladder.remove(sent)
            return
        if not noted:
            log.info("job %s: another process told it, too", job.id)
            return
        log.info("job %s: delivered by %s", job.id, rung)
        if self._on_delivered is not None and (row := await self._queue.job(job.id)) is not None:
            self._on_delivered(row, rung)
        if self._afterwards is not None and rung in ("edit", "channel"):
            await self._afterwards(job)


@dataclass
class _Followed:
    """What a followed job's message shows by now. ``gone``: it can't be edited any more. ``spoken`` is set
    once it says something."""

    message: JobMessage
    post: Post | None = None
    stage: str = ""
    last_edit: float = float("-inf")  # monotonic seconds
    began: float | None = None  # monotonic seconds of the first step
    gone: bool = False
    spoken: asyncio.Event = field(default_factory=asyncio.Event)


ANSWER_PATIENCE = 60.0  # seconds of pauses
MESSAGES, MESSAGE_EVERY = 20, 15.0  # direct messages asked for by one person at once; seconds for each more
LIVE_FOR = 840.0  # seconds; an answer can be edited for 15 minutes
CLOSED = N_(
    "Discord doesn't let me write to you. Allow direct messages from this server's members, then try again."
)
Make = Callable[[int], Awaitable[Post]]  # what a message shows in at most so many bytes of files
BUSY = N_("Discord isn't accepting direct messages at the moment. Try again in a minute.")


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
        needed. Raises one of FAILURES when Discord doesn't take it."""
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
        of its own with its buttons; of a job without pictures, and of a whole sheet, its own message. Raises
        UserError when Discord refuses."""
        whole = not result.pictures or (indexes is None and is_sheet(result.job))
        count = 1 if whole else max(1, len(result.pictures) if indexes is None else len(indexes))
        for wait in (self._pace.take(user.id) for _unused in range(count)):
            if wait:
                raise UserError(f"I have sent you many messages. Ask again in {duration(wait)}.")
        if whole:
            return await self.copy(user, result)
        with _refused(result):
            channel = await user.create_dm()
            place = Place(None, channel.id)
            for index in [picture.index for picture in result.pictures] if indexes is None else indexes:
                make = partial(self._posts.single, result, index, user.id, place=place)
                await self._send(channel, result, make, index)

    async def copy(self, user: discord.User | discord.Member, result: Result) -> None:
        """Send the job's own message to ``user``. Raises UserError when Discord refuses."""
        with _refused(result):
            channel = await user.create_dm()
            make = partial(self._posts.result, result, place=Place(None, channel.id))
            await self._send(channel, result, make, None)

    async def post(self, channel: Postable, result: Result, index: int, user_id: int) -> None:
        """Send picture ``index`` (from 0) to a channel of a server, as the user asked for it. Raises
        UserError when Discord refuses."""
        place = Place(channel.guild.id, channel.id)
        make = partial(self._posts.single, result, index, user_id, place=place)
        try:
            sent = await announce(channel, result.job, make, channel.guild.filesize_limit)
        except discord.Forbidden as error:
            raise UserError("Discord doesn't let the bot write there.") from error
        except FAILURES as error:
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
        sent = await announce(channel, result.job, make, DEFAULT_FILE_LIMIT)
        await self._queue.add_view(result.job.id, sent.id, channel.id, None, index=index)


async def announce(channel: discord.abc.Messageable, job: Job, make: Make, limit: int) -> discord.Message:
    """Send what ``make`` makes to where nobody waits for it: its words first, which a phone shows, then the
    whole in their place. Raises what either raises."""
    notices = list[discord.Message]()

    async def send(post: Post) -> discord.Message:
        if not notices:
            notices.append(await channel.send(post.notice(job), allowed_mentions=SILENT))
        return await post.put_in(notices[0])

    return await send_fitting(make, send, limit)


@contextmanager
def _refused(result: Result) -> Iterator[None]:
    """Turn what Discord refuses into a UserError."""
    try:
        yield
    except discord.Forbidden as error:
        raise UserError(CLOSED) from error
    except FAILURES as error:
        log.warning("job %s: not sent by direct message (%s)", result.job.id, type(error).__name__)
        raise UserError(BUSY) from error
