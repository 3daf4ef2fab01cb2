"""The files that a job is handed out with: of a training, the pictures that its project's rows name by then,
and a file in the job's folder that says what each is called."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from core.job import Job
from core.requests import to_json
from core.requests.own_models import DETECT, TrainRequest
from jobs.active import ActiveJob
from jobs.running.talking import seen_in, without
from storage.database import Database
from storage.files import Files
from storage.projects import versions
from storage.projects.versions import Told
from vision.own_models.snapshot import Item, Snapshot
from vision.protocol import Run

SNAPSHOT = "snapshot.json"


@asynccontextmanager
async def lent(live: ActiveJob, folder: str, database: Database, files: Files) -> AsyncIterator[Run]:
    """Give what a job's worker is handed: the files that it needs stay until the block ends; of a training
    the pictures too that it learns from, which a file in its ``folder`` then tells of; of a question, those
    pictures of earlier turns that are still there. Raises StorageError when one is gone, FilesAway."""
    job, talk = live.job, live.conversation.talk if live.conversation else None
    needed = {*job.request.pictures, *job.request.files}
    if isinstance(job.request, TrainRequest):
        needed |= await _lesson(job, Path(folder), database)
    earlier = set(seen_in(talk)) if talk is not None else set()
    async with files.lent(needed) as own, files.lent(earlier - needed, some=True) as more:
        paths = {name: str(path) for name, path in {**own, **more}.items()}
        told = None if talk is None else without(talk, earlier - paths.keys())
        key = live.waiting.cost_key
        request, extra = to_json(job.request), (live.token, live.traceparent)
        yield Run(job.id, job.request.kind, request, paths, told, folder, key, *extra)


async def _lesson(job: Job, folder: Path, database: Database) -> set[str]:
    """Write the snapshot that a training learns from into its folder, and return its pictures and what
    is painted on them. What an earlier try left there is kept, unless it was told of pictures that are
    deleted."""
    told = await database.write(partial(versions.told, job_id=job.id), first=True)
    named = isinstance(job.request, TrainRequest) and job.request.task == DETECT
    await asyncio.to_thread(_write, folder, told, named=named)
    return {one.sha256 for one in told.items} | set(told.masks.values())


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
