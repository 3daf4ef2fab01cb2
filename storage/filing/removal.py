"""Deletes files that no row needs any more, also when the store is away at the time, and finds those that
none has ever named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from storage import records
from storage.database import Database
from storage.files import Files
from storage.filing import going
from storage.identity import ADOPTED, Identity

FILES_AT_ONCE = 100  # between two looks at the rows
ROWS_AT_ONCE = 500  # files that rows are asked for in one go
AGAIN = timedelta(minutes=1)  # until what the store couldn't delete is tried again
ORPHANS_KEPT = 86_400.0  # seconds; a file is written a moment before its row
ORPHANS_WAIT = timedelta(days=1)  # until an orphan that was found is deleted
FEW, SHARE = 10, 0.05  # orphans that are nothing strange, and the part of all files that is
MOST_ORPHANS = 10_000  # noted in one go, which is a day's
log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class Removal:
    """Deletes files of the store, if it is this studio's."""

    def __init__(
        self,
        database: Database,
        files: Files,
        identity: Identity,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database, self._files, self.identity = database, files, identity
        self.clock = clock
        self._is_ours = False  # as far as was seen
        self.problem = ""  # why files can't be deleted

    async def remove(self, among: Collection[str] | None = None) -> int:
        """Delete files that are noted as going and whose time has come; return how many there were. What the
        store can't delete now stays noted. among: only of these."""
        now, gone, problems = self.clock(), 0, list[str]()
        some_due = await self._database.read(partial(going.is_due, now=now), once=True)
        asked = [None] if among is None else _pages(list(among))
        for names in asked if some_due and await self._may_delete(problems) else ():
            work = partial(going.take, now=now, limit=FILES_AT_ONCE, among=names)
            while taken := await self._database.write(work):
                gone += await self._remove(taken, now + AGAIN, problems)
        if problems and not self.problem:
            log.warning("files that were deleted stay until that can be done: %s", problems[0])
        if problems or among is None:
            self.problem = problems[0] if problems else ""
        return gone

    async def _may_delete(self, problems: list[str]) -> bool:
        try:
            await self.identity.check()
        except StorageError as error:
            problems.append(str(error))
            # while a store of ours is away, what there is of its files on this machine goes
            return self._is_ours and isinstance(error, FilesAway)
        self._is_ours = True
        return True

    async def _remove(self, taken: list[going.Going], again: datetime, problems: list[str]) -> int:
        count, done, left = 0, list[str](), list[str]()
        for one in taken:
            try:
                count += await self._files.remove(one.sha256, unless_after=one.at.timestamp())
                done.append(one.sha256)
            except StorageError as error:
                problems.append(str(error))
                left.append(one.sha256)

        def settle(connection: sa.Connection) -> None:
            going.forget(connection, done)
            going.put_off(connection, left, until=again)

        await self._database.write(settle)
        return count

    async def note_orphans(self) -> str:
        """Note as going what has been in the store for a day without a row that names it: files of refused
        jobs, and of crashes between file and row. Return what was found, "" for nothing. Raises StorageError
        when the store isn't this studio's, or more than a few of all files would go; FilesAway."""
        await self.identity.check()
        now, adopted = self.clock(), await self._database.read(partial(records.setting, key=ADOPTED))
        since, before = adopted or 0.0, now.timestamp() - ORPHANS_KEPT
        files, found, page, kept = 0, 0, list[str](), list[str]()
        async for entry in self._files.entries():
            files += 1
            if since <= entry.written_at < before:
                page.append(entry.sha256)
            if len(page) == ROWS_AT_ONCE:
                orphans, page = await self._database.read(partial(going.orphans, sha256s=page)), []
                found, kept = found + len(orphans), (kept + orphans)[:MOST_ORPHANS]
        orphans = await self._database.read(partial(going.orphans, sha256s=page))
        found, kept = found + len(orphans), (kept + orphans)[:MOST_ORPHANS]
        if found > max(FEW, SHARE * files):
            raise StorageError(
                f"{found:,} of {files:,} files are named by no row, which is too many to be right, so none is"
                " deleted. Is it the right database?"
            )
        noted = 0
        for names in _pages(kept):
            work = partial(going.note_orphans, sha256s=names, now=now, wait=ORPHANS_WAIT)
            noted += await self._database.write(work)
        return f"{noted:,} of {files:,} files are named by no row and go in a day" if noted else ""


def _pages(names: list[str]) -> list[list[str]]:
    return [names[i : i + ROWS_AT_ONCE] for i in range(0, len(names), ROWS_AT_ONCE)]
