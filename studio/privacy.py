"""What a member can see, take away and delete of their data. What expires by itself, the janitor sees to.

Deleting goes: note it on this machine's disk, so that a restored backup forgets it again; stop what runs;
rows, with a note of which files go, a page of jobs at a time; the files; the write-ahead log; then the
messages on Discord. A copy is rows as JSON, and files, packed into ZIP files that fit, or into one that is
sent while it is made."""

import asyncio
import json
import logging
import os
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from core.errors import FilesAway, LimitError, StorageError
from core.job import NOBODY
from jobs.queue import Queue
from storage import collections, moderation
from storage import people as records
from storage import privacy as rows
from storage.blobs import removal
from storage.blobs.base import Files
from storage.blobs.removal import Removal
from storage.collections import Named, pages
from storage.database import Database
from storage.embeddings import VectorFiles
from storage.privacy import JOBS_AT_ONCE, Holdings, Removed
from storage.projects.projects import Gone
from studio.media.zip_stream import Archive
from studio.moderation import confusables
from studio.moderation.moderator import Moderator


@dataclass(frozen=True)
class Deletion:
    """What was deleted at a time, in seconds since 1970: a person, jobs, or single pictures."""

    at: float
    user_id: int | None = None
    jobs: tuple[str, ...] = ()
    pictures: tuple[Named, ...] = ()


class Deletions:
    """The list at ``path``, a line of JSON for each deletion. Everything here blocks."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, 0.0
        self._lock = FileLock(path.with_name(path.name + ".lock"))

    def add(
        self, *, user_id: int | None = None, jobs: Iterable[str] = (), pictures: Iterable[Named] = ()
    ) -> float:
        """Note a deletion durably, before it is begun; return its time, later than all before. Raises
        StorageError."""
        what: dict[str, Any] = {"user_id": user_id, "jobs": list(jobs), "pictures": list(pictures)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._path.open("ab+") as file:
                self._last = self._last or max((one.at for one in self.read()), default=0.0)
                at = max(time.time(), self._last + 0.001)
                if file.tell():  # a torn line ends here
                    file.seek(-1, os.SEEK_END)
                    file.write(b"" if file.read() == b"\n" else b"\n")
                line = {"at": at, **{key: value for key, value in what.items() if value}}
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            text = f"the deletion can't be noted, so nothing was deleted: {error.strerror}"
            raise StorageError(text) from error
        self._last = at
        return at

    def read(self) -> list[Deletion]:
        """Return what was noted, the oldest first."""
        found = list[Deletion]()
        with suppress(OSError):
            for line in self._path.read_text(errors="replace").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    noted = json.loads(line)
                    for one in noted if isinstance(noted, list) else [noted]:  # it was one list of people
                        pictures = tuple(
                            (str(job), int(position)) for job, position in one.get("pictures", ())
                        )
                        jobs = tuple(map(str, one.get("jobs", ())))
                        found.append(Deletion(float(one["at"]), one.get("user_id"), jobs, pictures))
        return sorted(found, key=lambda one: one.at)

    def drop(self, before: float) -> None:
        """Forget what was noted before then. Raises OSError."""
        with self._lock:
            noted = self.read()
            kept = [one for one in noted if one.at >= before]
            if len(kept) == len(noted):
                return
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in kept))
            os.replace(temporary, self._path)


LAST_DELETION = "last_deletion"  # setting: the newest deletion that these rows have seen, seconds since 1970
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """For how many days objects are kept.

    jobs: with their pictures; 0 = until somebody deletes them. uploads: sent pictures that no job uses.
    """

    jobs: int = 0
    uploads: int = 30
    backups: int = 14
    trash: int = 30  # pictures that their author has put there
    videos: int = 0  # jobs that made videos; 0 = as long as others


@dataclass(frozen=True)
class Deleted:
    """How much was deleted: jobs and files; and how many messages have to be deleted on Discord."""

    jobs: int
    files: int
    messages: int


class Privacy:
    """Tells of people's data and deletes it.

    vectors: copies of what pictures show. checkpoints: folder where workers keep half-drawn jobs.
    """

    def __init__(
        self,
        queue: Queue,
        database: Database,
        files: Files,
        vectors: VectorFiles,
        removal: Removal,
        deletions: Deletions,
        retention: Retention,
        *,
        checkpoints: Path,
    ) -> None:
        self._queue, self._database, self._files, self._vectors = queue, database, files, vectors
        self.removal, self.deletions, self.retention = removal, deletions, retention
        self._checkpoints = checkpoints
        self._posters: list[Callable[[], object]] = []
        self.cleared = asyncio.Event()  # something went since whoever waits for that has looked

    async def holdings(self, user_id: int) -> Holdings:
        """Return what is kept of a person, in numbers."""
        return await self._database.read(partial(rows.holdings, user_id=user_id))

    async def delete(self, user_id: int) -> Deleted:
        """Delete everything of a person except what ``storage.privacy`` says stays. Raises StorageError."""
        return await self._delete(user_id, await asyncio.to_thread(self.deletions.add, user_id=user_id))

    async def delete_job(self, user_id: int, job_id: str) -> Deleted:
        """Delete one job of a person, its pictures and its messages; stop it if it isn't over. Raises
        StorageError."""
        await asyncio.to_thread(self.deletions.add, jobs=[job_id])
        await self._queue.cancel(job_id)
        work = partial(rows.delete_jobs, ids=[job_id], now=datetime.now(UTC))
        return await self.drop(work, whose=user_id)

    async def delete_pictures(self, user_id: int, names: Iterable[Named]) -> Deleted:
        """Delete pictures of a person's jobs for good; a job that has no other goes as a whole. Raises
        StorageError."""
        names = list(names)
        await asyncio.to_thread(self.deletions.add, pictures=names)
        work = partial(collections.delete_pictures, names=names, now=datetime.now(UTC))
        return await self.drop(work, whose=user_id)

    async def delete_examples(self, work: Callable[[sa.Connection], set[str]]) -> None:
        """Delete examples by ``work``, which returns the files that they named; then those that nobody needs
        any more, and what workers remember of all of them."""

        def whole(connection: sa.Connection) -> Removed:
            files = work(connection)
            return Removed(files=tuple(rows.unneeded(connection, files)), forgotten=tuple(files))

        await self.drop(whole)

    async def delete_learned(self, work: Callable[[sa.Connection], Gone]) -> None:
        """Delete pictures of projects by ``work``; then files that nobody needs, and what was learned."""

        def whole(connection: sa.Connection) -> Removed:
            gone = work(connection)
            removed = rows.delete_jobs(connection, gone.shown, now=datetime.now(UTC))
            left = rows.unneeded(connection, gone.files)
            return removed | Removed(
                files=tuple(left), forgotten=tuple(gone.files), spoilt=tuple(gone.spoilt)
            )

        await self.drop(whole)

    async def _delete(self, user_id: int, noted_at: float) -> Deleted:
        began = time.monotonic()
        for job_id in await self._database.read(partial(rows.unfinished, user_id=user_id)):
            await self._queue.cancel(job_id)

        def work(connection: sa.Connection) -> Removed:
            records.set_setting(connection, LAST_DELETION, noted_at)
            return rows.delete_person(connection, user_id, now=datetime.now(UTC))

        some = partial(rows.jobs_of, user_id=user_id, limit=JOBS_AT_ONCE)
        parts: list[Deleted] = []
        while len(ids := await self._database.read(some)) == JOBS_AT_ONCE:
            page = partial(rows.delete_jobs, ids=ids, now=datetime.now(UTC))
            parts.append(await self.drop(page, whose=user_id))
        parts.append(await self.drop(work, whose=user_id))  # last: only now the deletion is seen to the end
        deleted = Deleted(
            sum(part.jobs for part in parts),
            sum(part.files for part in parts),
            sum(part.messages for part in parts),
        )
        await self._database.scrub()
        log.info(
            "a person's data was deleted: %d jobs, %d files, in %.1f s",
            deleted.jobs,
            deleted.files,
            time.monotonic() - began,
        )
        return deleted

    async def drop(
        self,
        work: Callable[[sa.Connection], Removed],
        *,
        wait: timedelta = timedelta(),
        whose: int = NOBODY,
    ) -> Deleted:
        """Delete rows by ``work`` in one transaction, which notes the files that go, then what lies outside
        of the rows; messages on Discord soon. wait: until the files go. whose: the person whose jobs these
        were."""
        now = self.removal.clock()

        def whole(connection: sa.Connection) -> Removed:
            removed = work(connection)
            removal.note_going(connection, removed.files, now=now, wait=wait)
            moderation.forget_pictures(connection, removed.files)
            return removed

        removed = await self._database.write(whole)
        self._queue.note_deleted(whose, removed.jobs)
        confusables.read_text.cache_clear()  # it holds the last prompts of everybody
        self._queue.run_again(removed.spoilt)
        self.cleared.set()
        if names := (*removed.jobs, *removed.forgotten, *removed.files):
            self._queue.executor.forget(names)
        await self._vectors.erase(removed.vectors)
        gone = 0 if wait else await self.removal.remove(removed.files)
        await asyncio.to_thread(self._remove_checkpoints, set(removed.jobs))
        for poster in self._posters if removed.messages else ():
            poster()
        return Deleted(len(removed.jobs), gone, len(removed.messages))

    def _remove_checkpoints(self, ids: set[str]) -> None:
        for path in self._checkpoints.glob("*") if self._checkpoints.is_dir() else ():
            if path.name.split(".")[0] in ids:
                path.unlink(missing_ok=True)

    # Messages on Discord

    @contextmanager
    def telling(self, work: Callable[[], object]) -> Iterator[None]:
        """Call ``work`` when something was deleted that Discord shows still, until the block ends."""
        self._posters.append(work)
        try:
            yield
        finally:
            self._posters.remove(work)

    async def unpost(self, delete: Callable[[int, int], Awaitable[bool]], budget: float) -> int:
        """Delete the messages that are noted for it, for ``budget`` seconds; return how many are left.

        delete: is given channel and message, and returns whether no further try is needed.
        """
        until = time.monotonic() + budget
        failed = 0
        while time.monotonic() < until:
            noted = (await self._database.read(partial(rows.still_posted, limit=failed + 50)))[failed:]
            if not noted:
                break
            done = []
            for channel_id, message_id in noted:
                if time.monotonic() >= until:
                    break
                if await delete(channel_id, message_id):
                    done.append(message_id)
                else:
                    failed += 1
            await self._database.write(partial(rows.forget_posted, message_ids=done))
        return len(await self._database.read(partial(rows.still_posted, limit=10_000)))

    # Backups that are put back

    async def replay(self) -> int:
        """Delete again, at the start, what a restored backup has brought back; of how many people.

        The rows know the newest deletion of a person that they have seen: every later one is news to them. A
        job or picture that is noted and there is to go whenever that was: none comes back by itself.
        """
        noted = await asyncio.to_thread(self.deletions.read)
        people = [note for note in noted if note.user_id is not None]
        seen = await self._database.read(partial(records.read_setting, key=LAST_DELETION))
        news = [note for note in people if await self._is_news(note, seen)]
        for note in news:
            assert note.user_id is not None
            await self._delete(note.user_id, note.at)
        newest = max([seen or 0.0, *(note.at for note in people)])
        if newest != seen:
            await self._database.write(partial(records.set_setting, key=LAST_DELETION, value=newest))
        jobs = [job for note in noted for job in note.jobs]
        pictures = [name for note in noted for name in note.pictures]
        for page in pages(jobs):
            if there := await self._database.read(partial(rows.jobs_among, ids=page), once=True):
                await self.drop(partial(rows.delete_jobs, ids=there, now=datetime.now(UTC)))
        for some in pages(pictures):
            if back := await self._database.read(
                partial(collections.existing_pictures, names=some), once=True
            ):
                await self.drop(partial(collections.delete_pictures, names=back, now=datetime.now(UTC)))
        return len({note.user_id for note in news})

    async def _is_news(self, note: Deletion, seen: float | None) -> bool:
        """Whether a deletion came after what the rows hold. seen: None in rows of before it was written."""
        if seen is not None:
            return note.at > seen
        since = (await self.holdings(note.user_id or NOBODY)).since
        return since is not None and since < datetime.fromtimestamp(note.at, UTC)


WITH_FILES = {  # table → the column that names a file
    "pictures": "sha256",
    "films": "sha256",
    "inputs": "sha256",
    "uploads": "sha256",
    "example_pictures": "sha256",
    "turn_pictures": "sha256",
    "project_items": "sha256",
    "job_files": "sha256",
    "project_marks": "mask",
}
JSON_BYTES = 2 * 2**20  # of the rows in one file, so that one always fits and little is in memory
AROUND = 300  # bytes of a ZIP file around each file in it
TOO_LARGE = "These videos are too large to be sent here. Get them from the web, or ask the operator:"
HELD_BACK = "These pictures aren't in this copy because of the rule about minors:"
AT_ONCE = 200  # pictures that the rules are asked about
ANOTHER = "Only one copy of your data at a time. Wait until the other one is finished."


@dataclass(frozen=True)
class _Entry:
    """A file of the copy: rows as ``data``, or what lies at ``path``."""

    name: str
    size: int
    data: bytes = b""
    path: Path | None = None


class Export:
    """Packs what is kept of people. Raises LimitError while a copy of the same person's is being made,
    FilesAway while pictures that are there can't be read: without them it would be no copy."""

    def __init__(self, database: Database, files: Files, moderator: Moderator) -> None:
        self._database, self._files, self._moderator = database, files, moderator
        self._busy: set[int] = set()

    async def parts(self, user_id: int, limit: int, *, pictures: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield ZIP files of at most ``limit`` bytes: the rows, then (``pictures``) every picture and video
        that fits into one; the last names those that don't."""
        archive, packed, size = Archive(), bytearray(), 0
        too_large = list[str]()
        async with aclosing(self._entries(user_id, pictures)) as entries:
            async for entry in entries:
                needed = AROUND + (
                    entry.size if entry.path else len(await asyncio.to_thread(zlib.compress, entry.data))
                )
                if needed > limit:
                    too_large.append(entry.name.rpartition("/")[2])
                    continue
                if size + needed > limit:
                    yield bytes(packed + archive.end())
                    archive, packed, size = Archive(), bytearray(), 0
                size += needed
                async with aclosing(_added(archive, entry)) as pieces:
                    async for piece in pieces:
                        packed += piece
        if too_large:
            names = "\n".join((TOO_LARGE, *too_large, ""))
            packed += archive.add("too-large.txt", names.encode(), datetime.now(UTC))
        yield bytes(packed + archive.end())

    async def whole(self, user_id: int, *, pictures: bool = True) -> AsyncGenerator[bytes, None]:
        """Yield one ZIP file with everything, in pieces; little of it is in memory at a time."""
        archive = Archive()
        async with aclosing(self._entries(user_id, pictures)) as entries:
            async for entry in entries:
                async with aclosing(_added(archive, entry)) as pieces:
                    async for piece in pieces:
                        yield piece
        yield archive.end()

    async def _entries(self, user_id: int, pictures: bool) -> AsyncGenerator[_Entry, None]:
        if user_id in self._busy:
            raise LimitError(ANOTHER)
        self._busy.add(user_id)
        try:
            names: dict[str, None] = {}
            async with aclosing(self._rows(user_id, names)) as tables:
                async for entry in tables:
                    yield entry
            found, left_out = list(names) if pictures else [], list[str]()
            for some in (found[i : i + AT_ONCE] for i in range(0, len(found), AT_ONCE)):
                hidden = await self._moderator.shown_nowhere(some)
                left_out += [sha256 for sha256 in some if sha256 in hidden]
                for sha256 in some:
                    if sha256 not in hidden and (file := await self._file(sha256)) is not None:
                        yield file
            if left_out:
                text = "\n".join((HELD_BACK, *left_out, "")).encode()
                yield _Entry("held-back.txt", len(text), text)
        finally:
            self._busy.discard(user_id)

    async def _file(self, sha256: str) -> _Entry | None:
        """Return a picture or video; None for one that was deleted meanwhile."""
        try:
            known = await self._files.entry(sha256)
            folder = "videos" if known.extension == "mp4" else "pictures"
            return _Entry(f"{folder}/{known.name}", known.size, path=await self._files.local(sha256))
        except FilesAway:
            raise
        except StorageError:
            return None

    async def _rows(self, user_id: int, names: dict[str, None]) -> AsyncGenerator[_Entry, None]:
        """Yield files of rows by table, and put the files that they name into ``names``."""
        told: dict[str, list[dict[str, Any]]] = {}
        number, size = 1, 0
        for table in rows.personal_rows(user_id):
            after: tuple[Any, ...] | None = ()
            told[table] = []
            while after is not None:
                work = partial(rows.export, user_id=user_id, table=table, after=after)
                found, after = await self._database.read(work, once=True)
                told.setdefault(table, []).extend(found)
                size += await asyncio.to_thread(lambda page: len(json.dumps(page)), found)
                if column := WITH_FILES.get(table):
                    names.update((row[column], None) for row in found if row[column])
                if size >= JSON_BYTES:
                    yield await asyncio.to_thread(_json, number, told)
                    told, number, size = {}, number + 1, 0
        if told or number == 1:
            yield await asyncio.to_thread(_json, number, told)


def _json(number: int, told: dict[str, list[dict[str, Any]]]) -> _Entry:
    data = json.dumps(told, ensure_ascii=False, indent=1).encode()
    return _Entry("data.json" if number == 1 else f"data-{number}.json", len(data), data)


async def _added(archive: Archive, entry: _Entry) -> AsyncGenerator[bytes, None]:
    """Yield the pieces that an entry adds; none of a file that has gone meanwhile."""
    now = datetime.now(UTC)
    if entry.path is None:
        yield await asyncio.to_thread(archive.add, entry.name, entry.data, now, squeeze=True)
        return
    pieces = archive.add_file(entry.name, entry.path, now)
    try:  # it is read whole before its first piece
        piece = await asyncio.to_thread(next, pieces, None)
    except OSError:
        return
    while piece is not None:
        yield piece
        piece = await asyncio.to_thread(next, pieces, None)
