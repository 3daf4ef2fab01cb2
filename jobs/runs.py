"""What a job's worker is handed, what is heard of it before its end, and what comes of it: files and rows,
however long writing them takes, and then rendered, failed, or queued again.

A folder, where a worker writes videos and other files, is made before a job's run if the disk has room for
what is coming, and removed when the job is over. A job that goes back to the queue keeps it, with whatever
its worker can go on from."""

import asyncio
import contextlib
import errno
import logging
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks
from typing import TypeVar

import sqlalchemy as sa

from core.errors import FilesAway, StorageError, UserError
from core.events import ChatAnswer, Event, Failed, Output, Picture, Queued, Rendered, Video
from core.job import ID_LENGTH, Status
from core.requests import Request, to_json
from core.requests.chat import about_tokens
from core.requests.custom_models import DETECT, TrainRequest
from core.results import Learned
from jobs import tastes
from jobs.admission import bytes_of, no_room
from jobs.eta import Positions
from jobs.executors.base import Executor, Lost, Outcome
from jobs.feed import ActiveJob, Feeds
from jobs.waitlist import REFUSAL_PAUSES, Placement, Waiting, Waitlist
from storage import jobs as rows
from storage.blobs.base import Files, Taken
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.projects import versions
from storage.projects.versions import StoredFile, StoredModel, Told
from storage.schema import GRID
from storage.videos import StoredVideo
from vision.chat.output_parser import NotInForm, form_answer, output_so_far, wanted_of_card
from vision.custom_models.snapshot import Item, Snapshot
from vision.protocol import Broke, Done, Fault, Run

log = logging.getLogger(__name__)

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
        """Write until it is written: the work is done, only its note is missing. None when we stop before."""
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


GAVE_UP = (
    "This job crashed the worker three times, so it was stopped. Other words or a smaller size may work."
)
CUT_OFF = (
    "The studio crashed ten times during this job, so it was stopped. Please tell the operator before you"
    " try again."
)
NOT_BEGUN = (
    "No worker could start this job after several tries. Please tell the operator, and try again later. The"
    " log has the reason."
)
NOT_SAVED = "The picture is ready but couldn't be saved. Please tell the operator. The log has the reason."
LATER = 15.0  # s until a job is handed out again of which it can't be told whether it may run
FETCH_PAUSES = (15.0, 30.0, 60.0, 120.0, 300.0)  # s until files are asked for again that couldn't be had
MOST_UNFETCHED = 40  # times in a row: three hours
NOT_FETCHED = "A model that this needs can't be downloaded right now. The studio's log has the reason."
FETCH_LOST = "The worker stopped while it downloaded the model. The part that has arrived is kept."


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
        self.held: dict[str, Waiting] = {}  # jobs that wait beside the list for a while
        self._saving, self._waitlist, self._feeds = saving, waitlist, feeds
        self._placement, self._positions, self._stopping = placement, positions, stopping

    async def end(self, live: ActiveJob, outcome: Outcome) -> None:
        """Render, fail or queue the job again; nothing for one that was cancelled or given back meanwhile."""
        job_id = live.job.id
        if live.is_begun or not isinstance(outcome, Lost):
            self._placement.note_begun(live.device)
        if job_id not in self._feeds:
            log.info("job %s had been cancelled", job_id)
        elif isinstance(outcome, Lost) and outcome.goes_on:
            log.info("job %s goes on where it is", job_id)
        elif isinstance(outcome, Done):
            await self._rendered(live, outcome.output)
        elif isinstance(outcome, Broke) and outcome.later:
            await self._wait_for_files(live, outcome.message)
        elif isinstance(outcome, Lost) and live.fetches and not self._stopping.is_set():
            await self._wait_for_files(live, FETCH_LOST, FETCH_PAUSES[0], told=FETCH_LOST)
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

    async def _wait_for_files(
        self, live: ActiveJob, message: str, pause: float = 0.0, *, told: str = NOT_FETCHED
    ) -> None:
        """Queue the job again until its model's files can be had. It fails in the end. message: why they
        can't, for the log. pause: seconds, 0 = longer each time. told: the same for those who watch."""
        count = live.waiting.unfetched = live.waiting.unfetched + 1
        if count > MOST_UNFETCHED:
            return await self._failed(live, told)
        pause = pause or FETCH_PAUSES[min(count, len(FETCH_PAUSES)) - 1]
        await self.wait_on(live, message, pause)
        if live.job.id in self.held and (feed := self._feeds.get(live.job.id)) is not None:
            feed.publish(Queued(0, pause, why=told))
        return None

    async def wait_on(self, live: ActiveJob, reason: str, pause: float = LATER) -> None:
        """Queue the job again with no attempt counted, and put it into the list ``pause`` seconds later."""
        log.info("job %s waits on: %s", live.job.id, reason)

        def later() -> None:
            self.held.pop(live.job.id, None)
            self.back_to_waiting(live)
            self._wake()

        if await self._saving.persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
            self.held[live.job.id] = live.waiting
            asyncio.get_running_loop().call_later(pause, later)

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


def hear_answer(live: ActiveJob, text: str, *, whole: bool = False) -> str:
    """Take in all of an answer so far, and return what of it may be read: nothing of one that is refused.
    What grows in a form, such as a table, is read as what people will see of it."""
    live.text = text
    if live.conversation is not None and not whole:
        text = output_so_far(live.conversation.talk.answer, text)
    if live.refused is None and live.conversation is not None:
        try:
            return live.conversation.hear(text, whole)
        except UserError as error:
            log.info("job %s: its answer is refused", live.job.id)
            live.refused = error
    return ""


def see_text(live: ActiveJob, text: str) -> None:
    """Take in the text that was read in the pictures of a question."""
    if live.conversation is None:
        return
    try:
        live.conversation.see(text)
    except UserError as error:
        log.info("job %s: the text in its pictures is refused", live.job.id)
        live.refused = error


def conclude(live: ActiveJob, outcome: Outcome) -> Outcome:
    """Return how a question ends: with what there was when its asker stopped it, or refused by a rule."""
    job_id = live.job.id
    if live.conversation is None:
        return outcome
    if live.stopped and live.text and not isinstance(outcome, Done):
        answer = ChatAnswer(live.text, "stopped", tokens_out=about_tokens(live.text))
        with suppress(NotInForm):
            answer, _ = form_answer(live.conversation.talk, answer, wanted_of_card({}))
        outcome = Done(job_id, Output(answer=answer))
    if isinstance(outcome, Done):
        if outcome.output.answer is not None:
            hear_answer(live, outcome.output.answer.text, whole=True)
        parameters, conversation = outcome.output.parameters, live.conversation
        told = [*parameters.get("notes", ()), *conversation.notes]
        more = {"notes": told, "film": conversation.video}
        kept = {name: value for name, value in more.items() if value}
        outcome = Done(job_id, replace(outcome.output, parameters={**parameters, **kept}))
    return outcome if live.refused is None else Broke(job_id, Fault.USER, str(live.refused))


SNAPSHOT = "snapshot.json"


@asynccontextmanager
async def lend_inputs(
    live: ActiveJob, folder: str, database: Database, files: Files, executor: Executor, sees: tastes.Sees
) -> AsyncIterator[Run]:
    """Give what a job's worker is handed: the files that it needs stay until the block ends; of a training
    the pictures too that it learns from, which a file in its ``folder`` then tells of; of a question, those
    pictures of earlier turns that are still there. Raises StorageError when one is gone, FilesAway."""
    job, talk = live.job, live.conversation.talk if live.conversation else None
    needed = {*job.request.pictures, *job.request.files}
    if isinstance(job.request, TrainRequest):
        # The snapshot that it learns from goes into its folder. What an earlier try left there is kept,
        # unless it was told of pictures that are deleted
        lesson = await database.write(partial(versions.read_lesson, job_id=job.id), first=True)
        await asyncio.to_thread(_write, Path(folder), lesson, named=job.request.task == DETECT)
        needed |= {one.sha256 for one in lesson.items} | set(lesson.masks.values())
    earlier = {sha256 for turn in talk.turns for sha256 in turn.pictures} if talk is not None else set()
    async with files.lent(needed) as own, files.lent(earlier - needed, some=True) as more:
        paths = {name: str(path) for name, path in {**own, **more}.items()}
        if gone := earlier - paths.keys():
            log.info("%d pictures of earlier turns are gone", len(gone))
        if talk is not None:
            left = [
                turn.with_pictures(one for one in turn.timed if one[0] not in gone) for turn in talk.turns
            ]
            talk = replace(talk, turns=tuple(left))
        key = live.waiting.cost_key
        taste = await tastes.taste_of(job, database, executor, sees)
        request, extra = to_json(job.request), (live.token, live.traceparent, taste)
        yield Run(job.id, job.request.kind, request, paths, talk, folder, key, *extra)


def _write(folder: Path, told: Told, *, named: bool) -> None:
    """Write the snapshot. named: boxes have names of their own, not their picture's."""
    if told.spoilt:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    items = []
    for one in told.items:
        boxes, mask = told.boxes.get(one.sha256, ()), told.masks.get(one.sha256, "")
        names = tuple(box[0] for box in boxes) if named else ()
        sides = tuple(box[1:] for box in boxes)
        items.append(Item(one.sha256, one.label, one.group, one.part, sides, names, mask))
    snapshot = Snapshot.of(items)
    (folder / SNAPSHOT).write_text(snapshot.text(), encoding="utf-8")


LEFT = ("clips", "moving")  # folders in which others write here
_JOB = re.compile(rf"[a-z2-9]{{{ID_LENGTH}}}")


class Incoming:
    """Folders of jobs, on the disk of ``files``. floor: bytes that must stay free there."""

    def __init__(self, files: Files, floor: int) -> None:
        self._files, self._floor = files, floor
        self._root = files.incoming
        self._there: dict[str, int] = {}  # job with a folder → bytes that are expected there
        self._removals: set[asyncio.Task[None]] = set()

    async def sweep(self, waiting: Collection[str]) -> None:
        """At start: remove the folders of all jobs but those that still wait."""

        def names() -> list[str]:  # of jobs that have a folder, and what else a crash may have left
            there = self._root.iterdir() if self._root.is_dir() else ()  # other folders aren't ours
            return [path.name for path in there if path.name in LEFT or _JOB.fullmatch(path.name)]

        for job_id in await asyncio.to_thread(names):
            self._there[job_id] = 0
            if job_id not in waiting:
                log.info("job %s: what its worker had written of videos is deleted", job_id)
                self.remove(job_id)
        await self.settle()

    async def make(self, job_id: str, request: Request) -> str:
        """Return the folder of a job, made if it isn't there, "" for one whose worker writes nothing. Raises
        LimitError when the disk has no room for it beside those of other jobs."""
        coming = bytes_of(request)
        if not coming:
            return ""
        self._there[job_id] = coming
        free = await asyncio.to_thread(self._files.free_bytes) - self._floor
        if free < sum(self._there.values()):
            raise no_room(request, free - sum(self._there.values()) + coming)
        folder = self._root / job_id
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        return str(folder)

    def remove(self, job_id: str) -> None:
        """Remove the folder of a job that is over, if it has one: soon, in a thread."""
        if job_id in self._there:
            del self._there[job_id]
            task = asyncio.create_task(self._remove(job_id), name=f"folder of {job_id}")
            self._removals.add(task)
            task.add_done_callback(self._removals.discard)

    async def settle(self) -> None:
        """Wait until what is being removed has gone."""
        await asyncio.gather(*self._removals)

    async def _remove(self, job_id: str) -> None:
        folder = self._root / job_id
        try:
            await asyncio.to_thread(shutil.rmtree, folder)
        except FileNotFoundError:
            pass
        except OSError as error:  # the next start tries it again
            log.warning("the folder %s can't be removed: %s", folder, error.strerror)
