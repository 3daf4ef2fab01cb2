"""What a training is handed out with: the pictures that its project's rows name by then, and a file in the
job's folder that says what each is called."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

from core.job import Job
from core.results.own_models import LearnedFrom
from storage.database import Database
from storage.files import Files
from storage.projects import versions
from vision.own_models.snapshot import Item, Snapshot

SNAPSHOT = "snapshot.json"


async def lesson(database: Database, files: Files, job: Job, folder: Path) -> dict[str, str]:
    """Write the snapshot that a training learns from into its folder, and return the files of its pictures.

    What an earlier try left there is kept, unless it was told of pictures that are deleted. Raises
    StorageError when a picture's file is gone.
    """
    found, spoilt = await database.write(partial(versions.told, job_id=job.id), first=True)
    await asyncio.to_thread(_write, folder, found, spoilt)
    return await asyncio.to_thread(lambda: {one.sha256: str(files.path(one.sha256)) for one in found})


def _write(folder: Path, found: tuple[LearnedFrom, ...], spoilt: bool) -> None:
    if spoilt:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    snapshot = Snapshot.of(Item(one.sha256, one.label, one.group, one.part) for one in found)
    (folder / SNAPSHOT).write_text(snapshot.text(), encoding="utf-8")
