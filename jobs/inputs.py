"""What a job is handed out with and what is heard of it before its end: files, the turns of a conversation,
the snapshot of a training, and the folder where its worker writes videos and other files.

A folder is made before a job's run if the disk has room for what is coming, and removed when the job is
over. A job that goes back to the queue keeps it, with whatever its worker can go on from."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.errors import UserError
from core.events import ChatAnswer, Output
from core.job import ID_LENGTH
from core.requests import Request, to_json
from core.requests.chat import about_tokens
from core.requests.custom_models import DETECT, TrainRequest
from jobs.admission import bytes_of, no_room
from jobs.executors.base import Outcome
from jobs.feed import ActiveJob
from storage.blobs.base import Files
from storage.database import Database
from storage.projects import versions
from storage.projects.versions import Told
from vision.chat.output_parser import NotInForm, form_answer, output_so_far, wanted_of_card
from vision.custom_models.snapshot import Item, Snapshot
from vision.protocol import Broke, Done, Fault, Run


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
async def lend_inputs(live: ActiveJob, folder: str, database: Database, files: Files) -> AsyncIterator[Run]:
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
        request, extra = to_json(job.request), (live.token, live.traceparent)
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
log = logging.getLogger(__name__)


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
