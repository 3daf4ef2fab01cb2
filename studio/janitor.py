"""Deletes what has expired, and files that no row names: a share at a time, each step on its own, and nothing
by age while the clock is in doubt. It tells what it did and what it leaves in the log, and to ``doctor``."""

import asyncio
import json
import logging
import os
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path

import sqlalchemy as sa

from core.errors import StorageError
from storage import collections, conversations, documents, people, sessions, tokens, watches, webhooks
from storage import privacy as rows
from storage.blobs import removal
from storage.collections import pages
from storage.database import Database
from storage.engines import sqlite
from storage.identity import CAME_FROM, LEFT
from storage.privacy import Removed
from storage.schema import jobs, turns, uploads
from storage.schema import trash as trashed
from storage.turns import drop_turns
from studio.privacy import Privacy

FIRST_AFTER = 3600.0  # seconds from a start to its first sweep
SWEEP_EVERY = 6 * 3600.0  # seconds
LEFT_EVERY = 60.0  # seconds between two tries to delete files whose time has come
DAY = timedelta(days=1)
WAIT = DAY  # from the end of rows to that of their files: until then a backup can be put back
STRIKES_KEPT = timedelta(days=90)
DRAFTS_KEPT = DAY  # the question whether so many jobs are meant is answered at once, or never
DOCUMENTS_KEPT = timedelta(days=90)  # of the editor, after their last change, while nobody has named them
EVENTS_KEPT = timedelta(days=7)  # of webhooks that don't take them
SHARES_KEPT = timedelta(days=30)  # after their end, for their owner to read that they have ended
FEW, PART = 500, 20  # what expires in one sweep at most: a 20th of all, but so many if there are fewer
DOUBTFUL = timedelta(days=2)  # by which the clock may differ from the time that rows have seen
UP = DAY  # a process that has run for so long looks for orphans
SELDOM = timedelta(days=7)  # after which any does
SOON = timedelta(minutes=5)  # what goes by then is what somebody has deleted
SEEN = "seen"  # setting: the time that rows have seen, in seconds since 1970
ORPHANS_FROM = "orphans_from"  # setting: when orphans are looked for next, in seconds since 1970
REPORT = "janitor.json"  # file in DATA_DIR
_ASIDE = re.compile(r"\.(?:replaced|damaged)-(\d{8}T\d{6}Z)")
log = logging.getLogger(__name__)
Step = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True)
class Report:
    """What came of a sweep. at: seconds since 1970. seen: the same, as far as the rows know. done: sentences.
    problems: what it left alone, and why."""

    at: float
    seen: float
    done: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def last_report(folder: Path) -> Report | None:
    """Return what the last sweep has noted in DATA_DIR, None when there was none."""
    try:
        noted = json.loads((folder / REPORT).read_text())
        done, problems = tuple(map(str, noted["done"])), tuple(map(str, noted["problems"]))
        return Report(float(noted["at"]), float(noted["seen"]), done, problems)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Janitor:
    """Sweeps now and then. folder: DATA_DIR. idle: how long an unused session on the web lives."""

    def __init__(self, database: Database, privacy: Privacy, folder: Path, *, idle: timedelta) -> None:
        self._database, self._privacy, self.removal = database, privacy, privacy.removal
        self._folder, self._idle = folder, idle
        self._began = time.monotonic()

    async def run_for_ever(self) -> None:
        """Sweep FIRST_AFTER seconds after the start and then every SWEEP_EVERY; each LEFT_EVERY delete files
        whose time has come."""
        self._began = time.monotonic()
        due = self._began + FIRST_AFTER
        while True:
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + SWEEP_EVERY
                    await self.sweep()
                await self.removal.remove()
            except Exception:
                log.exception("what has expired couldn't be deleted; the next try comes by itself")
            await asyncio.sleep(LEFT_EVERY)

    async def sweep(self) -> Report:
        """Take each step, whatever becomes of the others, and report."""
        now, retention = self.removal.clock(), self._privacy.retention
        backups_before = now - timedelta(days=retention.backups)
        try:
            seen, doubt = await self._look_at_clock(now)
            await self.removal.identity.check()
            others = await self._look_for_others(now)
        except StorageError as error:
            seen, doubt, others = 0.0, f"Nothing is deleted automatically: {error}", ""
        by_age: list[Step] = [
            partial(self._drop_jobs, rows.old_jobs, retention.jobs, now),
            partial(self._drop_jobs, rows.old_videos, retention.videos, now),
            partial(self._drop_turns, retention.jobs, now),
            partial(self._drop_watched, now),
            partial(self._empty_trash, now - timedelta(days=retention.trash)),
            partial(self._drop_uploads, now - timedelta(days=retention.uploads)),
            *(partial(self._database.write, work) for work in self._small(now)),
            partial(asyncio.to_thread, self._drop_backups, backups_before.timestamp()),
            partial(self._drop_source, backups_before),
            partial(self._forget_deletions, backups_before - DAY),
            partial(self._note_orphans, now),
        ]
        done, problems = list[str](), [line for line in (doubt, others) if line]
        for step in [*([] if doubt else by_age), self._look_at_going, self._database.scrub]:
            try:
                done += [line] if (line := await step()) else []
            except StorageError as error:
                problems.append(str(error))
            except Exception as error:
                log.exception("a step of the sweep failed")
                problems.append(f"A step failed ({type(error).__name__}); the log says more.")
        for line in done:
            log.info("%s", line)
        for line in problems:
            log.warning("%s", line)
        report = Report(now.timestamp(), seen, tuple(done), tuple(problems))
        await asyncio.to_thread(self._write_report, report)
        return report

    def _write_report(self, report: Report) -> None:
        temporary = self._folder / f"{REPORT}.tmp"
        try:
            temporary.write_text(json.dumps(asdict(report), ensure_ascii=False))
            os.replace(temporary, self._folder / REPORT)
        except OSError as error:
            log.warning("what the sweep did can't be noted for `doctor`: %s", error.strerror)

    # The clock

    async def _look_at_clock(self, now: datetime) -> tuple[float, str]:
        """Return the time that the rows have seen, and why nothing is deleted by age, "" = the two agree.

        A clock is believed when it is near that time, which follows it by a day a sweep. So one that is years
        off deletes nothing, and a studio that was off for weeks continues after some days.
        """

        def work(connection: sa.Connection) -> tuple[float, timedelta]:
            seen = people.read_setting(connection, SEEN)
            if seen is None:
                newest = sa.select(jobs.c.created_at).order_by(jobs.c.seq.desc()).limit(1)
                seen = (connection.scalar(newest) or now).timestamp()
            away = now - datetime.fromtimestamp(seen, UTC)
            seen += max(-DAY, min(DAY, away)).total_seconds()
            people.set_setting(connection, SEEN, seen)
            return seen, away

        seen, away = await self._database.write(work)
        if abs(away) <= DOUBTFUL:
            return seen, ""
        days, sweeps = abs(away) / DAY, 86_400.0 / SWEEP_EVERY
        return seen, (
            f"Nothing is deleted by age: the clock is {days:,.0f} days"
            f" {'ahead of' if away > DAY else 'behind'} the latest time in the database. If the clock is"
            f" right, deletion resumes within {days / sweeps + 1:,.0f} days."
        )

    async def _look_for_others(self, now: datetime) -> str:
        """Put off for a week what no row names, and say so, when the files were swept by other rows since
        they were by these: a copy of the database lives too, or these were put back."""
        if await self.removal.identity.take_turn():
            return ""

        def work(connection: sa.Connection) -> None:
            people.set_setting(connection, ORPHANS_FROM, (now + SELDOM).timestamp())
            removal.put_off_all(connection, after=now + SOON, until=now + SELDOM)

        await self._database.write(work)
        return (
            "Another database has used these files since, so files that no row names are kept. If it was"
            " replaced, this ends in a week. If it is in use, give each its own FILES_URL."
        )

    # By age

    async def _most(self, table: sa.Table) -> int:
        """Return how many of a table's rows may go in one sweep."""
        count = sa.select(sa.func.count()).select_from(table)
        return max(FEW, await self._database.read(lambda c: c.scalar(count) or 0, once=True) // PART)

    async def _drop_jobs(self, which: Callable[..., list[str]], days: int, now: datetime) -> str:
        """Delete jobs that were told more than so many days ago; 0 = none."""
        if not days:
            return ""
        most = await self._most(jobs)
        some = partial(which, before=now - timedelta(days=days), limit=most)
        old = await self._database.read(some, once=True)
        for page in pages(old):
            work = partial(rows.delete_jobs, ids=page, now=now, unpost=False)
            await self._privacy.drop(work, wait=WAIT)
        return _told(len(old), most, f"jobs older than {days} days")

    async def _drop_watched(self, now: datetime) -> str:
        """Delete pictures of cameras that were kept for as long as their projects say."""
        most = await self._most(jobs)
        old = await self._database.read(partial(watches.list_overdue, now=now, limit=most), once=True)
        for page in pages(old):
            work = partial(watches.drop_pictures, ids=page, now=now, unpost=False)
            await self._privacy.drop(work, wait=WAIT)
        return _told(len(old), most, "pictures of cameras")

    async def _drop_turns(self, days: int, now: datetime) -> str:
        """Delete what was said more than so many days ago and no job hangs on; 0 = nothing."""
        if not days:
            return ""
        most, before = await self._most(turns), now - timedelta(days=days)
        count, dropped = 0, 1

        def work(connection: sa.Connection) -> Removed:
            nonlocal dropped
            dropped, files = drop_turns(connection, before, min(rows.PAGE, most - count))
            return Removed(files=tuple(rows.unneeded(connection, files)))

        while dropped and count < most:
            await self._privacy.drop(work, wait=WAIT)
            count += dropped
        return _told(count, most, f"turns of conversations older than {days} days")

    async def _empty_trash(self, before: datetime) -> str:
        """Delete what came into the trash before then."""
        most = await self._most(trashed)
        ended = await self._database.read(
            partial(collections.list_overdue, before=before, limit=most), once=True
        )
        for user_id, names in ended.items():
            for page in pages(names):
                work = partial(collections.delete_pictures, names=page, now=datetime.now(UTC))
                await self._privacy.drop(work, wait=WAIT, whose=user_id)
        return _told(sum(map(len, ended.values())), most, "pictures of the trash")

    async def _drop_uploads(self, before: datetime) -> str:
        """Forget pictures that were sent before then and that no job uses."""
        most, count, dropped = await self._most(uploads), 0, 1

        def work(connection: sa.Connection) -> Removed:
            nonlocal dropped
            dropped, files = rows.drop_uploads(connection, before, min(rows.PAGE, most - count))
            return Removed(files=tuple(files))

        while dropped and count < most:
            await self._privacy.drop(work, wait=WAIT)
            count += dropped
        return _told(count, most, "uploads that nothing uses")

    def _small(self, now: datetime) -> Iterator[Callable[[sa.Connection], None]]:
        """Yield what deletes rows that have no files."""
        yield partial(documents.drop_unnamed, before=now - DOCUMENTS_KEPT)
        yield partial(rows.drop_drafts, before=now - DRAFTS_KEPT)
        yield partial(collections.drop_shares, before=now - SHARES_KEPT)
        yield partial(sessions.drop_ended, idle=self._idle, now=now)
        yield partial(tokens.drop_ended_tokens, now=now)
        yield partial(webhooks.drop_old_events, before=now - EVENTS_KEPT)
        yield partial(rows.drop_strikes, before=now - STRIKES_KEPT, now=now)
        yield partial(conversations.drop_token_use, now=now)
        yield partial(conversations.drop_seconds_used, now=now)
        yield partial(removal.hasten, until=now + SELDOM)

    def _drop_backups(self, before: float) -> str:
        """Delete backups from before then, but the newest that is intact, and databases that ``restore`` has
        put aside: they hold what has been deleted since."""
        path, folder = self._database.path, self._database.backup_dir
        found = sqlite.backups(path, folder) if path and folder and folder.is_dir() else []
        # by its name: a copy of the folder has new dates, and notes of deletions end when backups do
        old = [backup for backup in found if sqlite.made_at(backup) < before]
        if old:
            newest = sorted(found, key=sqlite.made_at, reverse=True)
            intact = next((one for one in newest if one.stat().st_size and sqlite.is_sound(one)), None)
            old = [backup for backup in old if backup != intact]
        for beside in {self._folder, path.parent if path else self._folder}:
            old += [aside for aside in beside.glob("*") if _put_aside_at(aside) < before]
            torsos = beside.glob("*.db.partial*")  # of a restore that was killed
            old += [torso for torso in torsos if torso.stat().st_mtime < before]
        return _unlink(old, "old backups and databases that were put aside")

    async def _drop_source(self, before: datetime) -> str:
        """Delete the file that the rows were moved away from before then, and its backups."""
        moved = await self._database.read(partial(people.read_setting, key=CAME_FROM), once=True)
        if moved is None or moved["at"] >= before.timestamp():
            return ""
        told = await asyncio.to_thread(self._drop_source_here, Path(moved["source"]), before.timestamp())
        await self._database.write(partial(people.set_setting, key=CAME_FROM, value=None))
        return told

    def _drop_source_here(self, source: Path, before: float) -> str:
        if source == self._database.path or not source.is_file() or not _is_left(source):
            return ""
        folder = self._database.backup_dir
        found = sqlite.backups(source, folder) if folder and folder.is_dir() else []
        old = [backup for backup in found if sqlite.made_at(backup) < before]
        files = [Path(f"{source}{suffix}") for suffix in ("-wal", "-shm", "")]
        return _unlink([*old, *(file for file in files if file.exists())], "files of the database of before")

    async def _forget_deletions(self, before: datetime) -> None:
        """Forget who has deleted what, once no backup has it any more."""
        path, folder = self._database.path, self._database.backup_dir
        found = sqlite.backups(path, folder) if path and folder else []
        oldest = min([before.timestamp(), *map(sqlite.made_at, found)])
        await asyncio.to_thread(self._privacy.deletions.drop, oldest)

    # Files

    async def _note_orphans(self, now: datetime) -> str:
        """Look for files that no row names, once a day, and only in a process that has run for one."""

        def begin(connection: sa.Connection) -> float:
            due = people.read_setting(connection, ORPHANS_FROM)
            if due is None:
                people.set_setting(connection, ORPHANS_FROM, due := (now + DAY).timestamp())
            return float(due)

        wait = now - datetime.fromtimestamp(await self._database.write(begin), UTC)
        if wait < timedelta() or time.monotonic() - self._began < UP.total_seconds() and wait < SELDOM:
            return ""
        later = partial(people.set_setting, key=ORPHANS_FROM, value=(now + DAY).timestamp())
        await self._database.write(later)
        return await self.removal.note_orphans()

    async def _look_at_going(self) -> None:
        """Say why files can't be deleted. Raises StorageError."""
        if self.removal.problem:
            raise StorageError(f"Files that were deleted stay until that can be done: {self.removal.problem}")


def _told(count: int, most: int, what: str) -> str:
    rest = ", the most for one time; the rest goes later" if count == most else ""
    return f"{count:,} {what} were deleted{rest}" if count else ""


def _put_aside_at(path: Path) -> float:
    """Return when ``restore`` has put a file aside, infinity for any other file."""
    if (found := _ASIDE.search(path.name)) is not None:
        with suppress(ValueError):
            return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    return inf


def _is_left(source: Path) -> bool:
    """Return whether a database says that its rows were moved away."""
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM settings WHERE key = ?", (LEFT,)).fetchone()
    except sqlite3.Error:
        return False
    return found is not None


def _unlink(paths: list[Path], what: str) -> str:
    """Delete files, whatever becomes of the others. Raises StorageError, which names those that stay."""
    left = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            left.append(f"{path} ({error.strerror})")
    if left:
        raise StorageError(f"{what} can't be deleted: {', '.join(left[:3])}")
    return f"{len(paths)} {what} were deleted" if paths else ""
