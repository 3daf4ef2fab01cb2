"""Deletes files that no row needs any more, also when the store is away at the time, and finds those that
none has ever named. They are noted in the transaction that takes the last name of them, and looked at again
in the one before their end: what some row names by then stays."""

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from storage import people, privacy
from storage.blobs.base import Files
from storage.database import Database
from storage.identity import ADOPTED, Identity
from storage.schema import going


class Going(NamedTuple):
    """A file that goes. at: when it was noted; written after that, it stays."""

    sha256: str
    at: datetime


def note_going(
    connection: sa.Connection, sha256s: Collection[str], *, now: datetime, wait: timedelta
) -> None:
    """Note that these files go, ``wait`` from now; one that goes sooner already keeps its time."""
    insert = people.insert_into(going, connection.dialect.name)
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=["sha256"], set_={"at": new.at, "due": new.due}, where=new.due < going.c.due
    )
    if sha256s:
        connection.execute(statement, [{"sha256": one, "at": now, "due": now + wait} for one in sha256s])


def note_orphans(
    connection: sa.Connection, sha256s: Collection[str], *, now: datetime, wait: timedelta
) -> int:
    """Note those of these files that no row names; return how many that are."""
    left = privacy.unneeded(connection, sha256s)
    note_going(connection, left, now=now, wait=wait)
    return len(left)


def find_orphans(connection: sa.Connection, sha256s: Collection[str]) -> list[str]:
    """Return those of these files that no row names and that aren't going already."""
    noted = set[str]()
    for page in people.pages(sha256s):
        noted |= set(connection.scalars(sa.select(going.c.sha256).where(going.c.sha256.in_(page))))
    left = privacy.unneeded(connection, sha256s) - noted
    return [sha256 for sha256 in sha256s if sha256 in left]


def is_due(connection: sa.Connection, *, now: datetime) -> bool:
    """Return whether files are to be deleted now."""
    return connection.scalar(sa.select(going.c.sha256).where(going.c.due <= now).limit(1)) is not None


def take_due(
    connection: sa.Connection, *, now: datetime, limit: int, among: Collection[str] | None = None
) -> list[Going]:
    """Return files whose time has come, and forget those that some row names again. among: only of these."""
    due = (
        sa.select(going.c.sha256, going.c.at).where(going.c.due <= now).order_by(going.c.due, going.c.sha256)
    )
    if among is not None:
        due = due.where(going.c.sha256.in_(list(among)))
    while rows := connection.execute(due.limit(limit)).all():
        needed = privacy.known_files(connection, [row.sha256 for row in rows])
        forget_going(connection, needed)
        if left := [Going(row.sha256, row.at) for row in rows if row.sha256 not in needed]:
            return left
    return []


def forget_going(connection: sa.Connection, sha256s: Collection[str]) -> None:
    """These files have gone, or stay."""
    for page in people.pages(sha256s):
        connection.execute(sa.delete(going).where(going.c.sha256.in_(page)))


def put_off(connection: sa.Connection, sha256s: Collection[str], *, until: datetime) -> None:
    """These files couldn't be deleted: try it again then."""
    for page in people.pages(sha256s):
        connection.execute(sa.update(going).where(going.c.sha256.in_(page)).values(due=until))


def put_off_all(connection: sa.Connection, *, after: datetime, until: datetime) -> None:
    """Let what would be deleted later than ``after`` wait until then."""
    connection.execute(sa.update(going).where(going.c.due > after).values(due=until))


def hasten(connection: sa.Connection, *, until: datetime) -> None:
    """Let no file wait longer than that: a clock that was ahead has said so."""
    connection.execute(sa.update(going).where(going.c.due > until).values(due=until))


FILES_AT_ONCE = 100  # between two looks at the rows
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
        self, database: Database, files: Files, identity: Identity, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database, self._files, self.identity = database, files, identity
        self.clock = clock
        self._is_ours = False  # as far as was seen
        self.problem = ""  # why files can't be deleted

    async def remove(self, among: Collection[str] | None = None) -> int:
        """Delete files that are noted as going and whose time has come; return how many there were. What the
        store can't delete now stays noted. among: only of these."""
        now, gone, problems = self.clock(), 0, list[str]()
        some_due = await self._database.read(partial(is_due, now=now), once=True)
        asked = [None] if among is None else people.pages(among)
        for names in asked if some_due and await self._may_delete(problems) else ():
            work = partial(take_due, now=now, limit=FILES_AT_ONCE, among=names)
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

    async def _remove(self, taken: list[Going], again: datetime, problems: list[str]) -> int:
        count, done, left = 0, list[str](), list[str]()
        for one in taken:
            try:
                count += await self._files.remove(one.sha256, unless_after=one.at.timestamp())
                done.append(one.sha256)
            except StorageError as error:
                problems.append(str(error))
                left.append(one.sha256)

        def settle(connection: sa.Connection) -> None:
            forget_going(connection, done)
            put_off(connection, left, until=again)

        await self._database.write(settle)
        return count

    async def note_orphans(self) -> str:
        """Note as going what has been in the store for a day without a row that names it: files of refused
        jobs, and of crashes between file and row. Return what was found, "" for nothing. Raises StorageError
        when the store isn't this studio's, or more than a few of all files would go; FilesAway."""
        await self.identity.check()
        now, adopted = self.clock(), await self._database.read(partial(people.read_setting, key=ADOPTED))
        since, before = adopted or 0.0, now.timestamp() - ORPHANS_KEPT
        files, found, page, kept = 0, 0, list[str](), list[str]()
        async for entry in self._files.entries():
            files += 1
            if since <= entry.written_at < before:
                page.append(entry.sha256)
            if len(page) == people.PAGE:
                orphans, page = await self._database.read(partial(find_orphans, sha256s=page)), []
                found, kept = found + len(orphans), (kept + orphans)[:MOST_ORPHANS]
        orphans = await self._database.read(partial(find_orphans, sha256s=page))
        found, kept = found + len(orphans), (kept + orphans)[:MOST_ORPHANS]
        if found > max(FEW, SHARE * files):
            raise StorageError(
                f"{found:,} of {files:,} files are named by no row, which is too many to be right, so none is"
                " deleted. Is it the right database?"
            )
        noted = 0
        for names in people.pages(kept):
            work = partial(note_orphans, sha256s=names, now=now, wait=ORPHANS_WAIT)
            noted += await self._database.write(work)
        return f"{noted:,} of {files:,} files are named by no row and go in a day" if noted else ""
