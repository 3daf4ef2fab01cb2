"""Brings what a run made to the disk and to the rows, however long that takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from core.errors import StorageError
from core.events import Output, Picture
from storage.database import Database
from storage.files import Files
from storage.lookup import StoredOutput, StoredPicture
from storage.schema import GRID

RETRY_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # s, while the database refuses to write
log = logging.getLogger(__name__)
T = TypeVar("T")


class Saving:
    """``hurry``: set when nobody can wait any longer."""

    def __init__(self, database: Database, files: Files) -> None:
        self.database, self.files = database, files
        self.hurry = asyncio.Event()
        self.disk_full = False

    async def save(self, output: Output) -> StoredOutput:
        """Write the files and return what their rows will say. Raises StorageError when the disk is full."""
        pictures = [await self._save_one(picture, index) for index, picture in enumerate(output.pictures)]
        grid = await self._save_one(output.grid, GRID) if output.grid else None
        return StoredOutput(
            tuple(pictures),
            grid,
            output.captions,
            output.scores,
            output.parameters,
            output.answer,
            output.lines,
        )

    async def _save_one(self, picture: Picture, index: int) -> StoredPicture:
        try:
            sha256 = await self.files.put(picture.data, picture.media_type)
        except StorageError:
            if not await asyncio.to_thread(self.files.release_ballast):
                raise
            log.warning("the disk is full: the ballast is given up")
            sha256 = await self.files.put(picture.data, picture.media_type)
        return StoredPicture(
            sha256, picture.media_type, picture.width, picture.height, picture.seed, index, len(picture.data)
        )

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
        """Return whether more than ``floor`` bytes are free on the disk. When they are again, so is the
        ballast."""
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
