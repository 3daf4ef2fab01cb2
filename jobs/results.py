"""Brings what a run made to the disk and to the rows, however long that takes, and what came of it to those
who watch: rendered, failed, or queued again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks
from typing import TypeVar

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from core.events import Event, Failed, Output, Picture, Rendered, Video
from core.job import Status
from core.results import Learned
from jobs.executors.base import Lost, Outcome
from jobs.feed import ActiveJob, Feeds
from jobs.scheduling.eta import Positions
from jobs.scheduling.placement import REFUSAL_PAUSES, Placement
from jobs.scheduling.waitlist import Waitlist
from storage import jobs as rows
from storage.blobs.base import Files, Taken
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.projects.versions import StoredFile, StoredModel
from storage.schema import GRID
from storage.videos import StoredVideo
from vision.protocol import Broke, Done, Fault

LATENTS, MODEL = "application/x-latents", "application/x-safetensors"
REPORT = "report"  # what the output's grid is called among a version's charts
RETRY_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # s, while the database refuses to write
FULL = (errno.ENOSPC, errno.EDQUOT)
AWAY_PAUSES = (0.5, 1.0, 2.0, 5.0)  # s, while the store of files is away
T = TypeVar("T")


class FileMissing(StorageError):
    """A worker has named a file that isn't in its job's folder."""


class Saving:
    """``hurry``: set when nobody can wait any longer."""

    def __init__(self, database: Database, files: Files) -> None:
        self.database, self.files = database, files
        self.hurry = asyncio.Event()
        self.disk_full = False
        self._waiting = 0  # for the store of files

    @property
    def waits(self) -> bool:
        """Whether any job waits for the store of files."""
        return self._waiting > 0

    async def save(self, output: Output) -> StoredOutput:
        """Write the files and return what their rows will say: of videos, their posters as pictures too.
        Raises StorageError when one can't be written, FileMissing, FilesAway when nobody can wait any longer
        for a store that is away or full."""
        shown = output.pictures or tuple(video.poster for video in output.videos)
        videos = [await self._take_one(video, index) for index, video in enumerate(output.videos)]
        pictures = [await self._save_one(picture, index) for index, picture in enumerate(shown)]
        grid = await self._save_one(output.grid, GRID) if output.grid else None
        files = [
            StoredFile(file.name, taken.sha256, file.media_type, taken.size)
            for file in output.files
            for taken in [await self._take(file.path, file.media_type)]
        ]
        model = await self._take_model(output.learned, pictures, grid) if output.learned else None
        own = tuple(pictures) if model is None else ()  # charts are a version's, and no pictures of its job
        told = output.captions, output.scores, output.parameters, output.answer, output.lines
        return StoredOutput(own, grid, *told, tuple(videos), tuple(files), model, output.verdicts)

    async def _take_model(
        self, learned: Learned, pictures: Sequence[StoredPicture], grid: StoredPicture | None
    ) -> StoredModel:
        taken = await self._take(learned.path, MODEL)
        named = [*zip(learned.charts, pictures, strict=False), *(((REPORT, grid),) if grid else ())]
        metrics = {**learned.metrics, "sentence": learned.sentence}
        charts = tuple((name, picture.sha256, picture.media_type) for name, picture in named)
        promised = learned.items, learned.threshold, learned.promise
        return StoredModel(taken.sha256, taken.size, *promised, metrics, charts)

    async def _take_one(self, video: Video, index: int) -> StoredVideo:
        taken = await self._take(video.path, video.media_type)
        ends = await self._take(video.ends, LATENTS) if video.ends else None
        shape = video.media_type, video.width, video.height, video.frames, video.fps, video.sound, video.seed
        return StoredVideo(taken.sha256, *shape, index, taken.size, ends.sha256 if ends else None)

    async def _take(self, name: str, media_type: str) -> Taken:
        """Take a file that a worker has written: a moment for any size, and nothing of it in memory."""
        path = Path(name)

        def is_incoming() -> bool:
            return path.is_file() and path.resolve().parent.parent == self.files.incoming.resolve()

        if not await asyncio.to_thread(is_incoming):
            raise FileMissing(f"there is no {path.name} in the folder of a job")
        return await self._kept(lambda: self.files.take(path, media_type))

    async def _save_one(self, picture: Picture, index: int) -> StoredPicture:
        sha256 = await self._kept(partial(self.files.put, picture.data, picture.media_type))
        return StoredPicture(
            sha256, picture.media_type, picture.width, picture.height, picture.seed, index, len(picture.data)
        )

    async def _kept(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have the store keep something; a disk that is full is waited for as a store that is away."""

        async def keep() -> T:
            try:
                return await work()
            except StorageError as error:
                if getattr(error.__cause__, "errno", None) not in FULL:
                    raise
                if not await asyncio.to_thread(self.files.release_ballast):
                    raise FilesAway(str(error)) from error
            log.warning("the disk is full: the ballast is given up")
            return await keep()

        return await self.until_there(keep)

    async def until_there(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what ``work`` returns, which is tried again while the store of files is away: what was made
        is in memory, only its file is missing. Raises FilesAway when nobody can wait any longer, and what
        ``work`` raises."""
        failures = 0
        try:
            while True:
                try:
                    return await work()
                except FilesAway as error:
                    if not self._waiting:
                        log.error("no job is started until files can be reached again: %s", error)
                    if self.hurry.is_set():
                        raise
                self._waiting += not failures
                pause = AWAY_PAUSES[min(failures, len(AWAY_PAUSES) - 1)]
                failures += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.hurry.wait()
        finally:
            self._waiting -= bool(failures)

    async def persist(self, work: Callable[[sa.Connection], T]) -> T | None:
        """Write until it is written: the work is done, only the note of it is missing. None when we stop
        before that."""
        failures = 0
        while True:
            try:
                return await self.database.write(work, first=True)
            except StorageError:
                log.exception("the database refuses to write; trying again")
                if await asyncio.to_thread(self.files.release_ballast):
                    continue
            if self.hurry.is_set():
                return None
            pause = RETRY_PAUSES[min(failures, len(RETRY_PAUSES) - 1)]
            failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.hurry.wait()

    async def has_room(self, floor: int) -> bool:
        """Return whether more than ``floor`` bytes are free on the disk, and no job waits for the store of
        files. When they are again, so is the ballast."""
        if self._waiting:
            return False
        free = await asyncio.to_thread(self.files.free_bytes)
        if free < floor:
            if not self.disk_full:
                told = "%d MB are free on the disk, the floor is %d MB: no job is started"
                log.error(told, free // 10**6, floor // 10**6)
            self.disk_full = True
            return False
        if self.disk_full:
            log.info("the disk has room again")
            await asyncio.to_thread(self.files.create_ballast)
        self.disk_full = False
        return True


GAVE_UP = "This job stopped the worker three times and was given up. Other words or a smaller size may work."
CUT_OFF = (
    "The studio itself ended ten times while it worked on this job, so it was given up. Please tell the host"
    " before you try again."
)
NOT_BEGUN = (
    "No worker could begin this job, though several tries were made. Please tell the host, whose log says"
    " why, and try again later."
)
NOT_SAVED = "The picture is ready but could not be saved. Please tell the host, whose log says why."
LATER = 15.0  # s until a job is handed out again of which it can't be told whether it may run
log = logging.getLogger(__name__)


class Outcomes:
    """``stopping``: is set when the studio stops, so that lost workers are its own doing. on_rendered: called
    with the id of each job whose pictures are stored. wake: called when a job may be started again."""

    def __init__(
        self,
        saving: Saving,
        waitlist: Waitlist,
        feeds: Feeds,
        placement: Placement,
        positions: Positions,
        *,
        stopping: asyncio.Event,
        on_rendered: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._on_rendered, self._wake = on_rendered, wake
        self.held: set[str] = set()  # jobs that wait beside the list for a while
        self._saving, self._waitlist, self._feeds = saving, waitlist, feeds
        self._placement, self._positions, self._stopping = placement, positions, stopping

    async def end(self, live: ActiveJob, outcome: Outcome) -> None:
        """One of: rendered, failed, queued again. Nothing, when the job was cancelled or given back
        meanwhile."""
        job_id = live.job.id
        if live.is_begun or not isinstance(outcome, Lost):
            self._placement.note_begun(live.device)
        if job_id not in self._feeds:
            log.info("job %s had been cancelled", job_id)
        elif isinstance(outcome, Lost) and outcome.goes_on:
            log.info("job %s goes on where it is", job_id)
        elif isinstance(outcome, Done):
            await self._rendered(live, outcome.output)
        elif isinstance(outcome, Broke) and outcome.fault in (Fault.USER, Fault.MODEL, Fault.MEMORY):
            log.info("job %s failed: %s", job_id, outcome.fault.value)
            await self._failed(live, outcome.message)
        elif isinstance(outcome, Broke):
            log.warning("job %s broke: %s", job_id, outcome.fault.value)
            await self.retry(live, outcome.message)
        elif isinstance(outcome, Lost):
            await self._lost(live, outcome)
        else:
            log.warning("job %s stopped on its own", job_id)
            await self.retry(live, GAVE_UP)

    async def _lost(self, live: ActiveJob, lost: Lost) -> None:
        """The first loss that nobody can be blamed for costs no attempt; but then the job has a device to
        itself, and if that is lost too, both count. A machine that can't begin a job may be asked again a few
        times, with pauses; then each time costs an attempt."""
        self._placement.note_loss(live.device)
        if not self._stopping.is_set():  # else we ended it ourselves, and the row has no lease any more
            others = ", other jobs with it" if lost.shared else ""
            log.warning("job %s: worker lost: %s%s", live.job.id, lost.reason, others)
        if lost.untouched and not live.is_begun and not self._stopping.is_set():
            count, pause = self._placement.note_refusal(live.device, live.waiting, monotonic())
            asyncio.get_running_loop().call_later(pause, self._wake)
            if count >= len(REFUSAL_PAUSES):
                return await self.retry(live, NOT_BEGUN, alone=live.waiting.alone)
        if lost.untouched or lost.shared and not live.waiting.suspect:
            live.waiting.suspect = live.waiting.suspect or lost.shared
            live.waiting.be_alone(wanted=live.waiting.alone or lost.shared)
            if await self._saving.persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
                self.back_to_waiting(live)
        else:
            await self.retry(live, GAVE_UP, uncounted=int(live.waiting.suspect))

    async def _rendered(self, live: ActiveJob, output: Output) -> None:
        """Files first, then the rows and the status in one transaction: what a row names is there."""
        try:
            stored = await self._saving.save(output)
        except FileMissing:
            log.exception("job %s: its worker has not written what it says", live.job.id)
            return await self.retry(live, GAVE_UP)
        except FilesAway:
            log.warning("job %s goes back to the queue: its files couldn't be stored", live.job.id)
            return None
        except StorageError:
            log.exception("job %s can't be saved", live.job.id)
            return await self._failed(live, NOT_SAVED)
        finish = partial(rows.finish, job_id=live.job.id, token=live.token, now=_now())
        if await self._saving.persist(partial(finish, output=stored, run_seconds=live.seconds)):
            self._positions.estimate.add(live.waiting.cost_key, live.seconds)
            log.info("job %s rendered in %.1f s", live.job.id, monotonic() - live.began)
            self.publish_end(live.job.id, Rendered())
            self._on_rendered(live.job.id)
        return None

    async def _failed(self, live: ActiveJob, message: str) -> None:
        work = partial(rows.fail, job_id=live.job.id, message=message, token=live.token, now=_now())
        if await self._saving.persist(work):
            self.publish_end(live.job.id, Failed(message))

    async def retry(self, live: ActiveJob, message: str, *, uncounted: int = 0, alone: bool = True) -> None:
        """Queue the job again, or end it with ``message`` after its last attempt. ``uncounted``: attempts
        that were spared before and count now. ``alone``: nothing else may be on its device then."""
        live.waiting.be_alone(wanted=alone)
        live.waiting.suspect = False
        work = partial(
            rows.retry, job_id=live.job.id, token=live.token, message=message, now=_now(), uncounted=uncounted
        )
        status = await self._saving.persist(work)
        if status is Status.FAILED:
            log.warning("job %s failed after %d attempts", live.job.id, live.job.attempts)
            self.publish_end(live.job.id, Failed(message))
        elif status is Status.QUEUED:
            self.back_to_waiting(live)

    async def wait_on(self, live: ActiveJob, reason: str) -> None:
        """Queue the job again with no attempt counted, and put it into the list a while later."""
        log.info("job %s waits on: %s", live.job.id, reason)

        def later() -> None:
            self.held.discard(live.job.id)
            self.back_to_waiting(live)
            self._wake()

        if await self._saving.persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
            self.held.add(live.job.id)
            asyncio.get_running_loop().call_later(LATER, later)

    def back_to_waiting(self, live: ActiveJob) -> None:
        """Put a job whose row is queued again into the list."""
        if live.job.id in self._feeds:  # else cancelled in this very moment
            self._waitlist.add(live.waiting, monotonic())
            self._positions.forget(live.job.id)

    def publish_end(self, job_id: str, event: Event) -> None:
        """Tell the watchers the job's last event."""
        self._positions.forget(job_id)
        self._feeds.end(job_id, event)


def _now() -> datetime:
    return datetime.now(UTC)
