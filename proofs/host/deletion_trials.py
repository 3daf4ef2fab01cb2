"""Deletion trials: a studio of many pictures is started in every way that went wrong, swept for days, and its
pictures are counted.

    python -m proofs.host.deletion_trials --pictures 10000 --store folder
    python -m proofs.host.deletion_trials --pictures 10000 --store s3
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from core.errors import StorageError
from core.settings import Settings, load_settings
from host.cli import move_database
from host.services import services
from storage import people
from storage.blobs import open_files
from storage.blobs.local import Folder
from storage.database import Database, open_database
from storage.engines import sqlite
from storage.schema import jobs, pictures, uploads
from studio.janitor import SEEN
from studio.services import Services
from tests.jobs.hand_executor import HandExecutor
from tests.storage.conftest import added
from tests.support import buckets, fresh

ANN, BEN = 7, 8  # whose pictures must stay, and who deletes what is theirs
BENS = 20  # pictures of Ben
ORPHANS = 5  # files that no row names
A_JOB = 50  # pictures
DAYS = 6  # of sweeps after a start: long enough for what is found to go, too short for anything to expire
YEARS = timedelta(days=20 * 365)
OLDEST = 340  # days since the oldest job was told; RETENTION_DAYS=365 and UPLOAD_DAYS=30 here


@dataclass
class Trial:
    """A studio below ``root`` that has been there for a year. url: FILES_URL, "" = DATA_DIR/pictures."""

    root: Path
    count: int
    url: str = ""
    keys: dict[str, str] | None = None

    @property
    def data(self) -> Path:
        return self.root / "data"

    def settings(self, **more: str) -> Settings:
        given = {"DATA_DIR": str(self.data), "DISK_FLOOR_MB": "0", "SEARCH_PICTURES": "off"}
        kept = {"RETENTION_DAYS": "365", "DEVICES": "cpu", "FILES_URL": self.url, **(self.keys or {})}
        return load_settings({**given, **kept, **more}, self.root / "none")

    @asynccontextmanager
    async def started(self, *, adopt: bool = False, **more: str) -> AsyncIterator[Services]:
        async with services(self.settings(**more), executor=HandExecutor(), adopt=adopt) as built:
            built.janitor._began -= 2 * 86_400
            yield built

    async def made(self) -> None:
        """Make the studio: half of Ann's pictures were sent in, half belong to jobs of the last year."""
        async with self.started() as built:
            names = [_data(n) for n in range(self.count + BENS + ORPHANS)]
            for page in (names[i : i + 16] for i in range(0, len(names), 16)):
                await asyncio.gather(*(_put(built, data) for data in page))
            await built.database.write(self._name_sent)
            for start in range(self.count // 2, self.count, A_JOB):
                job = await added(built.database, user=ANN)
                await built.database.write(partial(self._name_drawn, job_id=job.id, start=start))
        shutil.copytree(self.data, self.root / "as made", ignore=shutil.ignore_patterns("pictures", "cache"))

    def _name_sent(self, connection: sa.Connection) -> None:
        now = datetime.now(UTC)
        sent = [(ANN, n, n % 20) for n in range(self.count // 2)]
        sent += [(BEN, n, 1) for n in range(self.count, self.count + BENS)]
        given = [
            {"user_id": user, "sha256": _name(n), "at": now - timedelta(days=days)} for user, n, days in sent
        ]
        connection.execute(sa.insert(uploads), given)

    def _name_drawn(self, connection: sa.Connection, job_id: str, start: int) -> None:
        told = datetime.now(UTC) - timedelta(days=OLDEST * max(0, self.count - start - A_JOB) // self.count)
        over = sa.update(jobs).where(jobs.c.id == job_id)
        connection.execute(over.values(status="cancelled", delivered_at=told, created_at=told))
        one = {"job_id": job_id, "media_type": "image/png", "width": 1, "height": 1, "size": 9}
        made = range(start, min(start + A_JOB, self.count))
        given = [{**one, "position": n - start, "sha256": _name(n)} for n in made]
        connection.execute(sa.insert(pictures), given)

    def as_made(self) -> None:
        """Put DATA_DIR back, but for the pictures."""
        for path in self.data.iterdir():
            if path.name not in ("pictures", "cache"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.root / "as made", self.data, dirs_exist_ok=True)

    async def lost(self) -> int:
        """How many of Ann's pictures are gone."""
        there = {entry.sha256 async for entry in open_files(self.settings()).entries()}
        return sum(_name(n) not in there for n in range(self.count))

    async def lasts(self, *, since: timedelta = timedelta(days=2), days: int = DAYS, **more: Any) -> None:
        """Start, and sweep every six hours for days. since: by how much the clock is ahead at the start; of
        pictures that were made a moment ago all are two days old then."""
        async with self.started(**more) as built:
            await sweeps(built, since, days)

    async def refused(self, **more: Any) -> None:
        """Try to start. Raises AssertionError when that goes well."""
        try:
            async with self.started(**more):
                pass
        except StorageError as error:
            assert "Correct" in str(error) or "damaged" in str(error) or "DATABASE_URL" in str(error), error
            return
        raise AssertionError("the start wasn't refused")


async def sweeps(built: Services, since: timedelta, days: float) -> None:
    removal, now = built.privacy.removal, datetime.now(UTC) + since
    for _ in range(round(days * 4)):
        now += timedelta(hours=6)
        removal.clock = lambda now=now: now  # type: ignore[misc]
        await built.janitor.sweep()
        await removal.remove()


async def _put(built: Services, data: bytes) -> None:
    await built.files.put(data, "image/png")


def _data(n: int) -> bytes:
    return b"picture %d" % n


def _name(n: int) -> str:
    return hashlib.sha256(_data(n)).hexdigest()


# What happens to it


async def healthy(trial: Trial) -> None:
    """Nothing: what no row names goes, and what Ben deletes."""
    async with trial.started() as built:
        await sweeps(built, timedelta(days=2), DAYS)
        built.privacy.removal.clock = lambda: datetime.now(UTC) + timedelta(days=9)
        assert (await built.privacy.delete(BEN)).files == BENS
    left = {entry.sha256 async for entry in open_files(trial.settings()).entries()}
    assert len(left) == trial.count, "the janitor does its work"
    for n in range(trial.count, trial.count + BENS + ORPHANS):
        await open_files(trial.settings()).put(_data(n), "image/png")


async def empty(trial: Trial) -> None:
    """The database is lost."""
    for path in trial.data.glob("atelier.db*"):
        path.unlink()
    await trial.refused()
    await trial.lasts(adopt=True)
    for path in trial.data.glob("atelier.db*"):
        path.unlink()
    shutil.copy(trial.root / "as made" / "atelier.db", trial.data)
    await trial.refused()
    await trial.lasts(adopt=True)


async def moved_too_early(trial: Trial) -> None:
    """DATABASE_URL names a new database before the rows are there."""
    await trial.refused(DATABASE_URL=f"sqlite:///{trial.root / 'new.db'}")


async def restored(trial: Trial) -> None:
    """A backup that knows half of the pictures is put back, used for days, and the newer rows again."""
    file, backups = trial.data / "atelier.db", trial.data / "backups"
    newer = trial.root / "newer.db"
    await trial.lasts(days=1)
    shutil.copy(file, newer)
    async with open_database(file, backups) as database:
        half = sa.delete(jobs).where(jobs.c.seq % 2 == 0)
        await database.write(lambda c: (c.execute(half), c.execute(sa.delete(uploads)))[1] and None)
        await database.write(_forget_seen)
        await database.backup("of before")
    shutil.copy(newer, file)
    sqlite.restore(file, backups)
    await trial.lasts(since=timedelta(days=3), days=10)
    shutil.copy(newer, file)
    await trial.lasts(since=timedelta(days=13), days=2)


def _forget_seen(connection: sa.Connection) -> None:
    people.set_setting(connection, SEEN, time.time() - 3e5)


async def foreign(trial: Trial) -> None:
    """The database of another studio."""
    other = Trial(trial.root / "other", 0)
    async with other.started() as built:
        await added(built.database, user=ANN)
    shutil.copy(other.data / "atelier.db", trial.data / "atelier.db")
    await trial.refused()


async def damaged(trial: Trial) -> None:
    """The database is damaged, and taken away by the host."""
    file = trial.data / "atelier.db"
    file.write_bytes(file.read_bytes()[:4096] + os.urandom(40_000))
    with suppress(StorageError):
        await trial.refused()
    file.unlink()
    await trial.refused()


async def copied_env(trial: Trial) -> None:
    """A trial installation: the same FILES_URL, a DATA_DIR of its own."""
    url = trial.url or f"files:{trial.data / 'pictures'}"
    beside = Trial(trial.root / "beside", trial.count, url, trial.keys)
    for adopt in (False, True):
        await beside.refused(adopt=adopt)


async def copied_whole(trial: Trial) -> None:
    """A copy of everything but the pictures lives beside the original, which draws more; the copy keeps
    nothing for long, and both sweep."""
    url = trial.url or f"files:{trial.data / 'pictures'}"
    copy = Trial(trial.root / "copy", trial.count, url, trial.keys)
    shutil.copytree(trial.root / "as made", copy.data)
    shorter = {"UPLOAD_DAYS": "1", "RETENTION_DAYS": "1", "TRASH_DAYS": "1"}
    async with trial.started() as one, copy.started(**shorter) as other:
        names = [await one.files.put(b"another %d" % n, "image/png") for n in range(trial.count // 100)]
        for sha256 in names:
            await one.queue.people.note_upload(ANN, sha256)
        for hours in range(0, 24 * 3 * DAYS, 6):
            for built in (other, one):
                await sweeps(built, timedelta(days=2, hours=hours), 0.25)
        there = {entry.sha256 async for entry in one.files.entries()}
        assert there >= set(names), "what the original has drawn since"
        await one.privacy.delete(BEN)
    for n in range(trial.count, trial.count + BENS + ORPHANS):
        await open_files(trial.settings()).put(_data(n), "image/png")


async def clock(trial: Trial, wrong: timedelta) -> None:
    """The clock is 20 years off, for days, and right again."""
    await trial.lasts(since=wrong)
    await trial.lasts(since=timedelta(days=2), days=1)


async def not_mounted(trial: Trial) -> None:
    """The disk of the pictures isn't there, at a start and while the studio runs."""
    if trial.url:
        await trial.refused(FILES_URL=trial.url.replace("?", "-elsewhere?"))
        return
    here, away = trial.data / "pictures", trial.root / "not mounted"
    here.rename(away)
    (trial.data / "studio").unlink()
    with suppress(StorageError):
        await trial.lasts(days=1)
        raise AssertionError("the start wasn't refused")
    shutil.rmtree(here, ignore_errors=True)
    away.rename(here)
    async with trial.started() as built:
        here.rename(away)
        here.mkdir()
        await sweeps(built, timedelta(days=2), DAYS)
        assert not list(here.iterdir()), "nothing is written in its place"
        here.rmdir()
        away.rename(here)


async def moved(trial: Trial) -> None:
    """The rows are moved, used for days, and then the host starts on the old file."""
    settings, there = trial.settings(), f"sqlite:///{trial.root / 'moved.db'}"
    with redirect_stdout(io.StringIO()):
        await asyncio.to_thread(move_database, settings, there, restart=False)
    await trial.lasts(DATABASE_URL=there)
    await trial.refused()


async def undeletable(trial: Trial) -> None:
    """Some of Ben's files can't be deleted for a while."""
    stuck = {_name(trial.count + n) for n in range(5)}
    async with trial.started() as built:
        remove = type(built.files).remove

        async def refuse(files: Any, sha256: str, **options: Any) -> bool:
            if sha256 in stuck:
                raise StorageError("Permission denied")
            return await remove(files, sha256, **options)

        with mock.patch.object(type(built.files), "remove", refuse):
            assert (await built.privacy.delete(BEN)).files == BENS - len(stuck)
            await sweeps(built, timedelta(days=2), 1)
        await sweeps(built, timedelta(days=4), 1)
        left = {entry.sha256 async for entry in built.files.entries()}
        assert not left & stuck, "they are deleted once that can be done"
    for n in range(trial.count, trial.count + BENS):
        await open_files(trial.settings()).put(_data(n), "image/png")


class Full(OSError):
    """The disk is full."""


@contextmanager
def full_after(steps: int) -> Iterator[list[str]]:
    """Let so many writes go well, of files and of rows; all after them meet a full disk. Yield those that
    were tried."""
    tried = list[str]()

    def step(name: str) -> None:
        tried.append(name)
        if len(tried) > steps:
            raise Full(28, "No space left on device")

    def limited(owner: Any, name: str) -> Any:
        real = getattr(owner, name)

        def call(*given: Any, **named: Any) -> Any:
            step(name)
            return real(*given, **named)

        return mock.patch.object(owner, name, call)

    write = Database.write

    async def commits(database: Database, *given: Any, **named: Any) -> Any:
        try:
            step("write")
        except Full as error:
            raise StorageError("the disk is full") from error
        return await write(database, *given, **named)

    with ExitStack() as patches:
        for owner, name in ((os, "fsync"), (os, "replace"), (Path, "write_text"), (shutil, "copyfile")):
            patches.enter_context(limited(owner, name))
        patches.enter_context(mock.patch.object(Database, "write", commits))
        yield tried


async def full(trial: Trial) -> None:
    """The disk is full from the first, the second, … write on: at a start, in a sweep, in a deletion."""
    steps = 0
    while True:
        trial.as_made()
        with full_after(steps) as tried:
            with suppress(StorageError, OSError):
                async with trial.started() as built:
                    await sweeps(built, timedelta(days=2), 1)
                    await built.privacy.delete(BEN)
        if len(tried) <= steps:
            break
        await trial.lasts(days=1)
        assert await trial.lost() == 0, (steps, tried[steps])
        steps += 1 + steps // 8
    for n in range(trial.count, trial.count + BENS + ORPHANS):
        await open_files(trial.settings()).put(_data(n), "image/png")
    assert steps > 10, "some writes were refused"


CASES: dict[str, Callable[[Trial], Awaitable[None]]] = {
    "healthy": healthy,
    "empty database": empty,
    "DATABASE_URL too early": moved_too_early,
    "restored and back": restored,
    "another studio's database": foreign,
    "damaged database": damaged,
    "copied .env": copied_env,
    "copied DATA_DIR": copied_whole,
    "clock 20 years ahead": partial(clock, wrong=YEARS),
    "clock 20 years behind": partial(clock, wrong=-YEARS),
    "disk not mounted": not_mounted,
    "moved, then the old file": moved,
    "files that can't be deleted": undeletable,
    "disk full at each step": full,
}


async def measure(trial: Trial, told: Callable[[str], None] = lambda line: None) -> dict[str, int]:
    """Return for each case how many pictures were lost in it."""
    await trial.made()
    found = {}
    for name, happens in CASES.items():
        began = time.monotonic()
        trial.as_made()
        await happens(trial)
        found[name] = await trial.lost()
        told(f"{name:<30} {found[name]:,} of {trial.count:,} lost ({time.monotonic() - began:.1f} s)")
    return found


def main() -> int:
    """Run all cases. Return 1 if a picture was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--store", choices=("folder", "s3"), default="folder")
    given = parser.parse_args()
    logging.disable()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trials-")))
        stack.enter_context(fresh.quick())
        stack.enter_context(mock.patch.dict(Folder.__init__.__kwdefaults__, ballast_bytes=2**16))
        trial = Trial(root, given.pictures)
        if given.store == "s3":
            server = stack.enter_context(buckets.moto())
            trial.url = server.address("trial")
            trial.keys = {"AWS_ACCESS_KEY_ID": buckets.KEY, "AWS_SECRET_ACCESS_KEY": buckets.SECRET}
        found = asyncio.run(measure(trial, partial(print, flush=True)))
    print(f"{given.store}: {sum(found.values())} lost in {len(found)} cases of {given.pictures:,} pictures")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
