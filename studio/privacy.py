"""What a member can see, export and delete of their data, and what expires by itself.

Deleting goes: stop what runs, rows and files a page of jobs at a time, the write-ahead log, then the messages
on Discord. A note on disk makes a restored backup forget again what was deleted after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from core.errors import FilesAway, StorageError
from jobs.queue import Queue
from storage import moderation, records
from storage import privacy as rows
from storage.asking import chats
from storage.database import Database
from storage.engine import sqlite_file
from storage.files import Files
from storage.filing.removal import Removal
from storage.films import use
from storage.privacy import JOBS_AT_ONCE, Holdings, Removed
from storage.projects import forgetting
from storage.search.vector_files import VectorFiles
from storage.web import documents, shares, trash
from storage.web.picked import Named
from studio.moderation import lookalikes
from studio.organise.parts import Part

WITH_FILES = (
    "pictures",
    "films",
    "inputs",
    "uploads",
    "example_pictures",
    "project_items",
    "job_files",
)  # tables
STRIKES_KEPT = timedelta(days=90)
DRAFTS_KEPT = timedelta(days=1)  # the question whether so many jobs are meant is answered at once, or never
DOCUMENTS_KEPT = timedelta(days=90)  # of the editor, after their last change, while nobody has named them
SHARES_KEPT = timedelta(days=30)  # after their end, for their owner to read that they have ended
LAST_DELETION = "last_deletion"  # setting: the newest deletion that these rows have seen, seconds since 1970
TOO_LARGE = "These films are larger than what can be sent here. Get them from the web, or ask the host:"
LEFT_EVERY = 60.0  # seconds between two tries to delete what the store has still
SWEEP_EVERY = 6 * 3600.0  # seconds
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """For how many days things are kept.

    jobs: with their pictures; 0 = until somebody deletes them. uploads: sent pictures that no job uses.
    """

    jobs: int = 0
    uploads: int = 30
    backups: int = 14
    trash: int = 30  # pictures that their author has put there
    films: int = 0  # jobs that made films; 0 = as long as others


@dataclass(frozen=True)
class Deleted:
    """How much was deleted: jobs and files; and how many messages have to be deleted on Discord."""

    jobs: int
    files: int
    messages: int


class Privacy:
    """Tells, exports and deletes people's data.

    vectors: copies of what pictures show. checkpoints: folder where workers keep half-drawn jobs. notes: file
    of deletions, for restored backups.
    """

    def __init__(
        self,
        queue: Queue,
        database: Database,
        files: Files,
        vectors: VectorFiles,
        retention: Retention,
        *,
        checkpoints: Path,
        notes: Path,
    ) -> None:
        self._queue, self._database, self._files, self._vectors = queue, database, files, vectors
        self.retention, self._checkpoints, self._notes = retention, checkpoints, notes
        self._posters: list[Callable[[], None]] = []
        self._removal = Removal(database, files)
        self.cleared = asyncio.Event()  # something went since whoever waits for that has looked

    async def holdings(self, user_id: int) -> Holdings:
        """Return what is kept of a person, in numbers."""
        return await self._database.read(partial(rows.holdings, user_id=user_id))

    async def export(self, user_id: int, limit: int, *, pictures: bool = True) -> AsyncIterator[bytes]:
        """Yield ZIP files of at most about ``limit`` bytes: the rows as JSON, then (``pictures``) every
        picture and film that fits into one; the last one names those that don't."""
        data = await self._database.read(partial(rows.export, user_id=user_id))
        names = dict.fromkeys(row["sha256"] for table in WITH_FILES for row in data[table])
        names |= {row["mask"]: None for row in data["project_marks"] if row["mask"]}
        part = await asyncio.to_thread(Part.of_rows, data)  # seconds, of a big account
        too_large = list[str]()
        for sha256 in names if pictures else ():
            try:
                entry = await self._files.entry(sha256)
                size = entry.size
                if size + 200 > limit:
                    too_large.append(entry.name)
                    continue
                data_of = await self._files.get(sha256)
            except FilesAway:
                raise  # an export without pictures that are there would be none
            except StorageError:
                continue
            if part.size + size + 200 > limit and part.size:
                yield part.close()
                part = Part()
            folder = "films" if entry.extension == "mp4" else "pictures"
            await asyncio.to_thread(part.add, f"{folder}/{entry.name}", data_of)
        if too_large:
            part.add("too-large.txt", "\n".join((TOO_LARGE, *too_large, "")).encode())
        yield part.close()

    async def delete(self, user_id: int) -> Deleted:
        """Delete everything of a person except what ``storage.privacy`` says stays."""
        return await self._delete(user_id, await asyncio.to_thread(self._note, user_id))

    async def delete_job(self, user_id: int, job_id: str) -> Deleted:
        """Delete one job of a person, its pictures and its messages; stop it if it isn't over."""
        await self._queue.cancel(job_id)
        work = partial(rows.delete_jobs, ids=[job_id], now=datetime.now(UTC))
        return self._note_posted(await self._take_out(user_id, work))

    async def delete_pictures(self, user_id: int, names: Iterable[Named]) -> Deleted:
        """Delete pictures of a person's jobs for good; a job that has no other goes as a whole."""
        work = partial(trash.delete_pictures, names=names, now=datetime.now(UTC))
        return self._note_posted(await self._take_out(user_id, work))

    async def delete_examples(self, work: Callable[[sa.Connection], set[str]]) -> None:
        """Delete examples by ``work``, which returns the files that they named; then those that nobody needs
        any more, and what workers remember of all of them."""

        def whole(connection: sa.Connection) -> Removed:
            files = work(connection)
            return Removed(files=tuple(rows.unneeded(connection, files)), forgotten=tuple(files))

        await self._clear(await self._database.write(whole))

    async def delete_learned(self, work: Callable[[sa.Connection], forgetting.Gone]) -> None:
        """Delete pictures of projects by ``work``; then files that nobody needs, and what was learned."""

        def whole(connection: sa.Connection) -> Removed:
            gone = work(connection)
            removed = rows.delete_jobs(connection, gone.shown, now=datetime.now(UTC))
            left = rows.unneeded(connection, gone.files)
            return removed | Removed(
                files=tuple(left), forgotten=tuple(gone.files), spoilt=tuple(gone.spoilt)
            )

        self._note_posted(await self._clear(await self._database.write(whole)))

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
            parts.append(await self._take_out(user_id, page))
        parts.append(await self._take_out(user_id, work))  # last: only now the deletion is seen to the end
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

    async def _take_out(self, user_id: int, work: Callable[[sa.Connection], Removed]) -> Deleted:
        """Delete rows of a person in one transaction, then what they stood for."""
        removed = await self._database.write(work)
        self._queue.note_deleted(user_id, removed.jobs)
        lookalikes.read.cache_clear()  # it holds the last prompts of everybody
        return await self._clear(removed)

    async def _clear(self, removed: Removed) -> Deleted:
        """Delete what lies outside of the rows: files, scores, vectors, checkpoints, what is remembered."""
        self._queue.run_again(removed.spoilt)
        self.cleared.set()
        if names := (*removed.jobs, *removed.forgotten, *removed.files):
            self._queue.executor.forget(names)
        await self._vectors.erase(removed.vectors)
        await self._database.write(partial(moderation.forget_scores, sha256s=removed.files))
        gone = await self._removal.remove(removed.files)
        await asyncio.to_thread(self._remove_checkpoints, removed.jobs)
        return Deleted(len(removed.jobs), gone, len(removed.messages))

    def _remove_checkpoints(self, ids: Iterable[str]) -> None:
        wanted = set(ids)
        for path in self._checkpoints.glob("*") if self._checkpoints.is_dir() else ():
            if path.name.split(".")[0] in wanted:
                path.unlink(missing_ok=True)

    # Messages on Discord

    @contextmanager
    def telling(self, work: Callable[[], None]) -> Iterator[None]:
        """Call ``work`` when something was deleted that Discord shows still, until the block ends."""
        self._posters.append(work)
        try:
            yield
        finally:
            self._posters.remove(work)

    def _note_posted(self, deleted: Deleted) -> Deleted:
        for work in self._posters if deleted.messages else ():
            work()
        return deleted

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

    # By itself

    async def sweep_for_ever(self) -> None:
        """Sweep now and every SWEEP_EVERY seconds, whatever goes wrong in one of them."""
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception(
                    "what has expired couldn't be deleted; the next try is in %.0f h", SWEEP_EVERY / 3600
                )
            until = time.monotonic() + SWEEP_EVERY
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(LEFT_EVERY, left))
                try:
                    await self._removal.remove_left()
                except StorageError as error:
                    log.warning("files that the store still has couldn't be deleted: %s", error)
            await asyncio.sleep(0)

    async def sweep(self) -> None:
        """Delete what has expired, and files that no row names."""
        now = datetime.now(UTC)
        await self._drop_old(rows.old_jobs, self.retention.jobs, now)
        await self._drop_old(rows.old_films, self.retention.films, now)
        await self._empty_trash(now - timedelta(days=self.retention.trash))
        await self._database.write(partial(documents.drop_unnamed, before=now - DOCUMENTS_KEPT))
        dropped = await self._database.write(
            partial(rows.drop_uploads, before=now - timedelta(days=self.retention.uploads))
        )
        await self._clear(Removed(files=tuple(dropped)))
        await self._database.write(partial(rows.drop_drafts, before=now - DRAFTS_KEPT))
        await self._database.write(partial(shares.drop, before=now - SHARES_KEPT))
        await self._database.write(partial(rows.drop_strikes, before=now - STRIKES_KEPT, now=now))
        await self._database.write(partial(chats.drop_use, now=now))
        await self._database.write(partial(use.drop_use, now=now))
        await self._clear(Removed(files=tuple(await self._removal.orphans())))
        await asyncio.to_thread(self._drop_backups)
        await self._database.scrub()

    async def _drop_old(self, which: Callable[..., list[str]], days: int, now: datetime) -> None:
        """Delete jobs that were told more than so many days ago; 0 = none."""
        some = partial(which, before=now - timedelta(days=days))
        while days and (old := await self._database.read(some, once=True)):
            work = partial(rows.delete_jobs, ids=old, now=now, unpost=False)
            await self._clear(await self._database.write(work))

    async def _empty_trash(self, before: datetime) -> None:
        """Delete what came into the trash before then."""
        some = partial(trash.ended, before=before, limit=JOBS_AT_ONCE)
        while ended := await self._database.read(some, once=True):
            for user_id, names in ended.items():
                await self.delete_pictures(user_id, names)

    def _drop_backups(self) -> None:
        """Delete old backups: they hold what has been deleted since."""
        path, folder = self._database.path, self._database.backup_dir
        for backup in (
            sqlite_file.backups(path, folder)
            if path is not None and folder is not None and folder.is_dir()
            else ()
        ):
            # by its name: a copy of the folder has new dates, and notes of deletions end when backups do
            with contextlib.suppress(FileNotFoundError):
                if time.time() - sqlite_file.made_at(backup) > self.retention.backups * 86_400:
                    backup.unlink()

    # Backups that are put back

    def _note(self, user_id: int) -> float:
        """Note a deletion on disk, beside the database; return its time, later than all before."""
        kept = time.time() - (self.retention.backups + 1) * 86_400
        notes = [note for note in self._noted() if note["at"] > kept]
        at = max([time.time(), *(note["at"] + 0.001 for note in notes)])
        notes.append({"user_id": user_id, "at": at})
        self._notes.parent.mkdir(parents=True, exist_ok=True)
        partial_file = self._notes.with_suffix(".tmp")
        partial_file.write_text(json.dumps(notes))
        partial_file.replace(self._notes)
        return at

    def _noted(self) -> list[dict[str, float]]:
        with contextlib.suppress(OSError, ValueError):
            return list(json.loads(self._notes.read_text()))
        return []

    async def replay(self) -> int:
        """Delete again, at the start, what a restored backup has brought back; of how many people.

        The rows know the newest deletion that they have seen: every note after it is news to them.
        """
        notes = sorted(await asyncio.to_thread(self._noted), key=lambda note: note["at"])
        seen = await self._database.read(partial(records.setting, key=LAST_DELETION))
        news = [note for note in notes if await self._is_news(note, seen)]
        for note in news:
            await self._delete(int(note["user_id"]), note["at"])
        newest = max([seen or 0.0, *(note["at"] for note in notes)])
        if newest != seen:
            await self._database.write(partial(records.set_setting, key=LAST_DELETION, value=newest))
        return len({note["user_id"] for note in news})

    async def _is_news(self, note: dict[str, float], seen: float | None) -> bool:
        """Whether a deletion came after what the rows hold. seen: None in rows of before it was written."""
        if seen is not None:
            return note["at"] > seen
        since = (await self.holdings(int(note["user_id"]))).since
        return since is not None and since < datetime.fromtimestamp(note["at"], UTC)
