"""Brings what a run made to the disk and to the rows, however long that takes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from core.events import Film, Output, Picture
from core.results import Learned
from storage.blobs.base import Files, Taken
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.projects.versions import StoredFile, StoredModel
from storage.schema import GRID
from storage.videos import StoredFilm

LATENTS, MODEL = "application/x-latents", "application/x-safetensors"
REPORT = "report"  # what the output's grid is called among a version's charts
RETRY_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # s, while the database refuses to write
FULL = (errno.ENOSPC, errno.EDQUOT)
AWAY_PAUSES = (0.5, 1.0, 2.0, 5.0)  # s, while the store of files is away
log = logging.getLogger(__name__)
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
        """Write the files and return what their rows will say: of films, their posters as pictures too.
        Raises StorageError when one can't be written, FileMissing, FilesAway when nobody can wait any longer
        for a store that is away or full."""
        shown = output.pictures or tuple(film.poster for film in output.films)
        films = [await self._take_one(film, index) for index, film in enumerate(output.films)]
        pictures = [await self._save_one(picture, index) for index, picture in enumerate(shown)]
        grid = await self._save_one(output.grid, GRID) if output.grid else None
        files = [
            StoredFile(file.name, taken.sha256, file.media_type, taken.size)
            for file in output.files
            for taken in [await self._take(file.path, file.media_type)]
        ]
        model = await self._take_model(output.learned, pictures, grid) if output.learned else None
        return StoredOutput(
            tuple(pictures) if model is None else (),  # charts are a version's, and no pictures of its job
            grid,
            output.captions,
            output.scores,
            output.parameters,
            output.answer,
            output.lines,
            tuple(films),
            tuple(files),
            model,
            output.verdicts,
        )

    async def _take_model(
        self, learned: Learned, pictures: Sequence[StoredPicture], grid: StoredPicture | None
    ) -> StoredModel:
        taken = await self._take(learned.path, MODEL)
        named = [*zip(learned.charts, pictures, strict=False), *(((REPORT, grid),) if grid else ())]
        return StoredModel(
            taken.sha256,
            taken.size,
            learned.items,
            learned.threshold,
            learned.promise,
            {**learned.metrics, "sentence": learned.sentence},
            tuple((name, picture.sha256, picture.media_type) for name, picture in named),
        )

    async def _take_one(self, film: Film, index: int) -> StoredFilm:
        taken = await self._take(film.path, film.media_type)
        ends = await self._take(film.ends, LATENTS) if film.ends else None
        return StoredFilm(
            taken.sha256,
            film.media_type,
            film.width,
            film.height,
            film.frames,
            film.fps,
            film.sound,
            film.seed,
            index,
            taken.size,
            ends.sha256 if ends else None,
        )

    async def _take(self, name: str, media_type: str) -> Taken:
        """Take a file that a worker has written: a moment for any size, and nothing of it in memory."""
        path = Path(name)
        if not await asyncio.to_thread(self._is_incoming, path):
            raise FileMissing(f"there is no {path.name} in the folder of a job")
        return await self._kept(lambda: self.files.take(path, media_type))

    def _is_incoming(self, path: Path) -> bool:
        return path.is_file() and path.resolve().parent.parent == self.files.incoming.resolve()

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
            try:
                async with asyncio.timeout(pause):
                    await self.hurry.wait()
            except TimeoutError:
                continue

    async def has_room(self, floor: int) -> bool:
        """Return whether more than ``floor`` bytes are free on the disk, and no job waits for the store of
        files. When they are again, so is the ballast."""
        if self._waiting:
            return False
        free = await asyncio.to_thread(self.files.free_bytes)
        if free < floor:
            if not self.disk_full:
                log.error(
                    "%d MB are free on the disk, the floor is %d MB: no job is started",
                    free // 10**6,
                    floor // 10**6,
                )
            self.disk_full = True
            return False
        if self.disk_full:
            log.info("the disk has room again")
            await asyncio.to_thread(self.files.create_ballast)
        self.disk_full = False
        return True
