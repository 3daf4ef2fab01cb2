"""Deletes files that no row needs any more, also when the store is away at the time, and finds those that
none has ever named."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from functools import partial

from core.errors import FilesAway
from storage import privacy as rows
from storage import records
from storage.database import Database
from storage.files import Files

ORPHANS_KEPT = 86_400.0  # seconds; a file is written a moment before its row
ROWS_AT_ONCE = 500  # files that rows are asked for in one go
OTHERS = (
    "no file is deleted that no row names: the bucket of FILES_URL belongs to another studio. Give each its"
    " own bucket or prefix; if there is no other (but a new database, say), delete the object `owner` in it."
)
log = logging.getLogger(__name__)


class Removal:
    """Deletes files of the store."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database, self._files = database, files
        self._left = set[str]()  # what the store has still, because it was away

    async def remove(self, sha256s: Iterable[str]) -> int:
        """Delete files that no row needs any more; return how many there were. What the store can't delete
        now is gone from this machine, and deleted there by ``remove_left``."""
        return sum([await self._remove(sha256) for sha256 in sha256s])

    async def _remove(self, sha256: str) -> bool:
        try:
            gone = await self._files.remove(sha256)
        except FilesAway as error:
            if not self._left:
                log.warning("files that were deleted stay in the store until it is back: %s", error)
            self._left.add(sha256)
            return False
        self._left.discard(sha256)
        return gone

    async def remove_left(self) -> None:
        """Delete what the store has still, unless a row names it again. After a crash, ``orphans`` has it."""
        if left := sorted(self._left):
            known = await self._known(left)
            self._left -= known
            await self.remove(sha256 for sha256 in left if sha256 not in known)

    async def orphans(self) -> list[str]:
        """Return files of refused jobs, and of crashes between file and row, if the store is this studio's:
        in another's, no row of ours would name anything. Raises FilesAway."""
        owner = await self._database.write(records.studio)
        if (marked := await self._files.owner()) is None:
            await self._files.mark(owner)
        elif marked != owner:
            log.error(OTHERS)
            return []
        before = time.time() - ORPHANS_KEPT
        old = [entry.sha256 async for entry in self._files.entries() if entry.written_at < before]
        known = await self._known(old)
        return [sha256 for sha256 in old if sha256 not in known]

    async def _known(self, sha256s: list[str]) -> set[str]:
        """Return which of these files some row names."""
        known = set[str]()
        for some in (sha256s[i : i + ROWS_AT_ONCE] for i in range(0, len(sha256s), ROWS_AT_ONCE)):
            known |= await self._database.read(partial(rows.known_files, sha256s=some))
        return known
