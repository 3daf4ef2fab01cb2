"""Follows jobs to their end: shows their progress, and hands the result to the ladder.

A delivery is the only writer of a job's message. It needs stored ids only, so a job that was resumed after a
crash is followed like a fresh one. All followed messages share a ration of progress edits, so that a long
queue doesn't starve the job that runs: Discord allows 50 requests a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

import discord

from bot.delivery.ladder import JobMessage, Ladder, Sent, Unreachable
from bot.delivery.render import Posts
from bot.discord_api.http import FAILURES, GONE
from bot.ui.replies import Post, send_fitting
from core.errors import FilesAway
from core.events import Cancelled, Event, Failed, Paused, Progress, Queued, Rendered
from core.job import DEFAULT_FILE_LIMIT, Job, Surface
from core.requests.base import Answer
from jobs.feed import Wait
from jobs.queue import Queue, Result
from studio.authority import Place


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
        self._ration, self._repeat, self._newest_first = ration, repeat, newest_first
        self._jobs: dict[str, float] = {}  # job → monotonic seconds before which it gets nothing
        self._turn: str | None = None  # the job that is being repeated
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def has_room(self, job_id: str, now: float) -> bool:
        """Return whether the job's news may be shown now, before those who wait here."""
        in_turn = self._newest_first or not self._jobs or job_id == self._turn
        return in_turn and now >= self._ration.free_at()

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
            pause = max(self._ration.free_at(), self._jobs[job_id]) - monotonic()
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


log = logging.getLogger(__name__)
EDIT_EVERY = 1.5  # seconds between two progress edits of one message
LONG, EDIT_LONG_EVERY = (
    60.0,
    5.0,
)  # seconds after which a video's message is edited less often; how often then
NEWS_AFTER = 0.5  # seconds, when the second shows a new stage: started, loading, first step
PROGRESS_PATIENCE = 0.0  # seconds of pauses: the next progress comes soon enough
# Seconds until a delivery that failed unexpectedly is tried again
FOLLOW_AGAIN = (60.0, 300.0, 1800.0, 7200.0)
FILES_AGAIN = 15.0  # the same, while its files can't be reached


class Delivery:
    """Follows jobs, each in a task of its own.

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
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._rations = rations or Rations.usual()
        self._first_words = Postponed(self._rations.first_words, queue.repeat, newest_first=True)
        self._places = Postponed(self._rations.place_in_queue, queue.repeat)

    def follow(self, job: Job, *, resumed: bool = False) -> None:
        """Follow ``job`` to its end, once however often it is asked for. ``resumed``: an earlier process
        began it. Nobody is told by message of a job of another surface than Discord."""
        if job.id in self._tasks or job.origin.surface is not Surface.DISCORD:
            return
        followed = self._followed[job.id] = _Followed(JobMessage(resumed))
        task = asyncio.create_task(self._follow_again(job, followed), name=f"deliver {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._forget(job.id))

    def _forget(self, job_id: str) -> None:
        self._tasks.pop(job_id, None)
        self._first_words.discard(job_id)
        self._places.discard(job_id)
        self._followed.pop(job_id).spoken.set()

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
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
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
        stage = "Answering" if worded else type(event).__name__
        if isinstance(event, Progress) and followed.began is None:
            followed.began = now
        ran = now - (now if followed.began is None else followed.began)
        every = EDIT_LONG_EVERY if ran > LONG and job.request.answer is Answer.VIDEOS else EDIT_EVERY
        again_at = followed.last_edit + (every if stage == followed.stage else NEWS_AFTER)
        if followed.gone:
            return
        if isinstance(event, Queued):
            if not self._may_tell_place(job.id, followed, now, again_at):
                return
        elif now < max(again_at, self._rations.progress.free_at()):
            return
        post = await self._posts.progress(job, event, ran=ran)
        if post is not None and (post.content != followed.content or post.picture is not None):
            self._ration(event, followed).take(now)
            followed.stage = stage
            await self._show(job, followed, post)

    def _may_tell_place(self, job_id: str, followed: _Followed, now: float, again_at: float) -> bool:
        """Return whether a waiting job's message may be edited now; if not, it will be later."""
        postponed = self._places if followed.stage else self._first_words
        if now >= again_at and postponed.has_room(job_id, now):
            return True
        postponed.add(job_id, again_at)
        if postponed is self._first_words:
            followed.spoken.set()  # nobody is to wait for that
        return False

    def _ration(self, event: Event, followed: _Followed) -> Ration:
        if not isinstance(event, Queued):
            return self._rations.progress
        return self._rations.place_in_queue if followed.stage else self._rations.first_words

    async def _show(self, job: Job, followed: _Followed, post: Post) -> None:
        """Edit the job's message once; a failure is only noted."""
        if followed.gone:
            return
        followed.content, followed.last_edit = post.content, monotonic()
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
        """Note in the job's row where its end stands."""
        followed.spoken.set()
        noted = await self._queue.delivered(
            job.id,
            message_id=sent.id if sent else None,
            channel_id=sent.channel_id if sent else None,
            rung=rung,
        )
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
    content: str = ""
    stage: str = ""
    last_edit: float = float("-inf")  # monotonic seconds
    began: float | None = None  # monotonic seconds of the first step
    gone: bool = False
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
