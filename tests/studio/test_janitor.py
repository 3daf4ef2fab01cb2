"""What goes by itself, and what never does: by a wrong clock, in wrong rows, or because one step failed."""

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import StorageError
from jobs.queue import Queue
from storage import people, schema
from storage import privacy as rows
from storage.blobs import removal
from storage.blobs.local import Folder
from storage.database import open_database
from storage.engines import sqlite
from storage.identity import CAME_FROM, LEFT, TURN, Identity
from storage.schema import sessions
from storage.sessions import Sessions
from studio import janitor as module
from studio.janitor import REPORT, SEEN, Janitor, last_report
from studio.privacy import Deletions
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import privacy_of
from tests.support.fresh import fresh_database

ANN, IDLE = 7, timedelta(days=30)
YEARS = timedelta(days=20 * 365)


class Kept:
    """A studio's rows and files, their janitor, and a clock that is set by hand."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.database, self.files, self.folder = queue.database, queue.files, folder
        self.privacy = privacy_of(queue, folder)
        self.removal = self.privacy.removal
        self.janitor = Janitor(queue.database, self.privacy, folder, idle=IDLE)
        self.janitor._began -= 2 * 86_400  # it has run for days
        self.real = datetime.now(UTC)
        self.set(self.real)

    def set(self, now: datetime) -> None:
        self.now = now
        self.removal.clock = lambda: self.now

    async def sent(self, *, days: float = 0.0, named: bool = True) -> str:
        """A picture that somebody sent so long ago."""
        sha256 = await self.files.put(os.urandom(8), "image/png")
        at = self.real - timedelta(days=days)
        os.utime(self.files.path(sha256), (0, at.timestamp()))
        if named:
            await self.database.write(partial(rows.note_upload, user_id=ANN, sha256=sha256, now=at))
        return sha256

    async def later(self, **ago: float) -> module.Report:
        """Sweep and delete what has to go, so much later."""
        self.set(self.now + timedelta(**ago))
        report = await self.janitor.sweep()
        await self.removal.remove()
        return report

    async def orphans_found(self) -> None:
        """Files that no row names, as they are found once a day."""
        await self.removal.note_orphans()

    async def setting(self, key: str, value: Any) -> None:
        await self.database.write(partial(people.set_setting, key=key, value=value))

    async def count(self, table: sa.Table) -> int:
        return await self.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(table)))


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    fresh_database(tmp_path / "atelier.db")
    async with open_database(tmp_path / "atelier.db", tmp_path / "backups") as database:
        queue = Queue(database, Folder(tmp_path / "pictures", ballast_bytes=4096), HandExecutor())
        opened = Kept(queue, tmp_path)
        await Identity(database, queue.files, tmp_path).settle()
        await opened.setting(SEEN, time.time())
        yield opened


# The clock


@pytest.mark.parametrize("wrong", [YEARS, -YEARS], ids=["ahead", "behind"])
async def test_a_clock_that_is_years_off_deletes_nothing(kept: Kept, wrong: timedelta) -> None:
    old, young = await kept.sent(days=29), await kept.sent()
    backup = await kept.database.backup("daily")
    kept.set(kept.real + wrong)
    for _ in range(8):
        report = await kept.later(hours=6)
        assert any("the clock is 7," in line for line in report.problems)
    assert kept.files.exists(old) and kept.files.exists(young) and backup and backup.exists()
    assert last_report(kept.folder) == report
    kept.set(kept.real)
    for _ in range(8):
        await kept.janitor.sweep()
    assert not (await kept.janitor.sweep()).problems, "a clock that is right again is believed soon"
    assert await kept.count(schema.uploads) == 2


async def test_a_studio_that_was_off_for_weeks_goes_on_after_some_days(kept: Kept) -> None:
    await kept.sent(days=10)
    kept.set(kept.real + timedelta(days=21))
    sweeps = 0
    while (await kept.later(hours=6)).problems:
        sweeps += 1
        assert await kept.count(schema.uploads) == 1
    assert 20 <= sweeps <= 30 and await kept.count(schema.uploads) == 0


# Steps


async def test_a_step_that_fails_ends_no_other_and_is_told(kept: Kept, monkeypatch) -> None:
    async def fails() -> str:
        raise RuntimeError("a surprise")

    async def refused() -> None:
        raise StorageError("the log can't be emptied")

    await kept.sent(days=31)
    monkeypatch.setattr(kept.janitor, "_drop_jobs", lambda *given: fails())
    monkeypatch.setattr(kept.database, "scrub", refused)
    report = await kept.janitor.sweep()
    assert "RuntimeError" in report.problems[0] and "the log can't be emptied" in report.problems[-1]
    assert report.done == ("1 uploads that nothing uses were deleted",)


async def test_what_expires_in_one_sweep_is_a_part_of_all(kept: Kept, monkeypatch) -> None:
    monkeypatch.setattr(module, "FEW", 3)
    for _ in range(7):
        await kept.sent(days=31)
    report = await kept.janitor.sweep()
    assert await kept.count(schema.uploads) == 4 and "the rest goes later" in report.done[0]
    await kept.janitor.sweep()
    await kept.janitor.sweep()
    assert await kept.count(schema.uploads) == 0


async def test_files_go_a_day_after_their_rows(kept: Kept) -> None:
    sha256 = await kept.sent(days=31)
    await kept.later()
    assert await kept.count(schema.uploads) == 0 and kept.files.exists(sha256)
    await kept.later(hours=23)
    assert kept.files.exists(sha256)
    await kept.later(hours=2)
    assert not kept.files.exists(sha256) and await kept.count(schema.going) == 0


async def test_a_report_that_is_spoilt_is_none(kept: Kept) -> None:
    assert last_report(kept.folder) is None
    (kept.folder / REPORT).write_text('{"at": "soon"')
    assert last_report(kept.folder) is None
    await kept.janitor.sweep()
    assert last_report(kept.folder)


# Files


async def test_one_file_that_cannot_be_deleted_keeps_no_other(kept: Kept, monkeypatch) -> None:
    names = [await kept.sent() for _ in range(5)]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.stem == names[1]:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert (await kept.privacy.delete(ANN)).files == 4 and list(kept.files.all()) == [names[1]]
        assert any("Permission denied" in line for line in (await kept.later(hours=1)).problems)
        assert await kept.count(schema.going) == 1
    await kept.later(minutes=2)
    assert list(kept.files.all()) == [] and await kept.count(schema.going) == 0


async def test_a_file_that_is_sent_again_while_it_goes_stays(kept: Kept) -> None:
    data = b"Ann's picture"
    sha256 = await kept.files.put(data, "image/png")
    os.utime(kept.files.path(sha256), (0, kept.real.timestamp() - 2 * 86_400))
    await kept.orphans_found()
    kept.set(kept.real + timedelta(days=2))
    taken = await kept.database.write(partial(removal.take_due, now=kept.now, limit=9))
    assert [one.sha256 for one in taken] == [sha256], "no row names it when it is looked at last"
    await kept.files.put(data, "image/png")
    os.utime(kept.files.path(sha256), (0, kept.real.timestamp() + 60))
    await kept.database.write(partial(rows.note_upload, user_id=ANN, sha256=sha256, now=kept.now))
    assert await kept.removal._remove(taken, kept.now, []) == 0
    assert kept.files.exists(sha256) and await kept.count(schema.going) == 0


async def test_a_file_that_was_put_off_by_a_wrong_clock_goes_by_the_right_one(kept: Kept) -> None:
    sha256 = await kept.sent(days=3, named=False)
    await kept.database.write(partial(removal.note_going, sha256s=[sha256], now=kept.now, wait=YEARS))
    await kept.later()
    for _ in range(7):
        await kept.later(days=1, minutes=1)
    assert not kept.files.exists(sha256)


async def test_a_file_that_a_row_names_again_stays(kept: Kept) -> None:
    sha256 = await kept.sent(days=3, named=False)
    await kept.orphans_found()
    assert await kept.count(schema.going) == 1
    await kept.database.write(partial(rows.note_upload, user_id=ANN, sha256=sha256, now=kept.now))
    await kept.later(days=1, minutes=1)
    assert kept.files.exists(sha256) and await kept.count(schema.going) == 0


async def test_orphans_are_looked_for_once_a_day_and_go_a_day_later(kept: Kept) -> None:
    await kept.sent()
    orphan, young = await kept.sent(days=2, named=False), await kept.sent(days=-1, named=False)
    assert not (await kept.later()).done, "not in the first day of rows"
    assert "1 of 3 files are named by no row" in (await kept.later(hours=25)).done[0]
    assert kept.files.exists(orphan)
    await kept.later(hours=25)
    assert not kept.files.exists(orphan) and kept.files.exists(young)
    for _ in range(2):
        await kept.later(hours=25)
    assert not kept.files.exists(young)


async def test_a_process_that_began_lately_looks_for_no_orphans_unless_it_always_has(kept: Kept) -> None:
    await kept.sent(days=2, named=False)
    kept.janitor._began = time.monotonic()
    await kept.later()
    for _ in range(3):
        assert not (await kept.later(hours=25)).done
    for _ in range(5):
        report = await kept.later(hours=25)
    assert await kept.count(schema.going) == 1 or report.done


async def test_too_many_orphans_are_left_alone_and_told(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "FEW", 3)
    await kept.sent()
    names = [await kept.sent(days=2, named=False) for _ in range(4)]
    await kept.later()
    report = await kept.later(hours=25)
    assert any("4 of 5 files are named by no row, which is too many" in line for line in report.problems)
    assert await kept.count(schema.going) == 0 and all(kept.files.exists(name) for name in names)


async def test_rows_that_were_put_back_look_for_orphans_after_a_week(kept: Kept) -> None:
    await kept.sent(days=2, named=False)
    await kept.later()
    await kept.later(hours=12)
    await kept.setting(TURN, "of the day before")  # as a backup has it
    assert "Another database" in (await kept.later(hours=1)).problems[0]
    for _ in range(6):
        assert not (await kept.later(hours=25)).done
    assert (await kept.later(hours=25)).done


async def test_files_of_another_studio_are_never_deleted(kept: Kept) -> None:
    name, named = await kept.sent(days=2, named=False), await kept.sent()
    await kept.orphans_found()
    await kept.files.mark("another")
    report = await kept.later(days=1, minutes=1)
    await kept.privacy.delete(ANN)
    assert kept.files.exists(name) and kept.files.exists(named)
    assert any("belongs to studio another" in line for line in (await kept.later()).problems), report


async def test_files_from_before_an_adoption_stay_for_good(kept: Kept) -> None:
    name = await kept.sent(days=2, named=False)
    await kept.removal.identity.settle(adopt=True)
    await kept.orphans_found()
    assert await kept.count(schema.going) == 0 and kept.files.exists(name)


# Backups, and what else is kept for so long


async def test_old_backups_go_but_for_the_last_that_is_sound(kept: Kept) -> None:
    def made(days: int, data: bytes) -> Path:
        stamp = (kept.real - timedelta(days=days)).strftime(sqlite.STAMP)
        path = kept.folder / "backups" / f"atelier-{stamp}.db"
        path.write_bytes(data)
        return path

    first = await kept.database.backup()
    assert first is not None
    sound = first.read_bytes()
    first.unlink()
    oldest, last, damaged = made(40, sound), made(30, sound), made(20, b"no database")
    await kept.janitor.sweep()
    assert [path.exists() for path in (oldest, last, damaged)] == [False, True, False]
    new = made(1, sound)
    await kept.janitor.sweep()
    assert new.exists() and not last.exists()


async def test_databases_that_were_put_aside_and_moved_away_from_go_with_old_backups(kept: Kept) -> None:
    aside = [
        kept.folder / f"atelier.db.replaced-2026{day}T000000Z{end}"
        for day in ("0101",)
        for end in ("", "-wal")
    ]
    stamp = kept.real.strftime("%Y%m%dT%H%M%SZ")
    young = kept.folder / f"atelier.db.damaged-{stamp}"
    torso, of_today = kept.folder / "atelier.db.partial", kept.folder / "atelier.db.partial-journal"
    for path in (*aside, young, torso, of_today):
        path.touch()
    os.utime(torso, (time.time() - 15 * 86_400,) * 2)
    source = kept.folder / "before.db"
    fresh_database(source)
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("INSERT INTO settings VALUES (?, ?)", (LEFT, '"elsewhere"'))
    for days, there in ((13, True), (15, False)):
        await kept.setting(CAME_FROM, {"source": str(source), "at": time.time() - days * 86_400})
        await kept.janitor.sweep()
        assert source.exists() is there
    assert young.exists() and of_today.exists() and not any(path.exists() for path in (*aside, torso))


async def test_a_database_that_was_not_moved_from_stays(kept: Kept) -> None:
    source = kept.folder / "another.db"
    fresh_database(source)
    await kept.setting(CAME_FROM, {"source": str(source), "at": 0.0})
    await kept.janitor.sweep()
    assert source.exists()


async def test_sessions_that_have_ended_leave_no_row(kept: Kept) -> None:
    web = Sessions(kept.database, IDLE)
    for name in ("Ann", "Ben"):
        await web.begin(ANN, name, "Firefox on Windows")
    unused = sa.update(sessions).where(sessions.c.name == "Ann")
    ago = kept.real - IDLE - timedelta(days=1)
    await kept.database.write(lambda c: c.execute(unused.values(seen_at=ago)) and None)
    await web.offer(ANN, "Ann", timedelta(seconds=-1))
    await kept.janitor.sweep()
    assert [one.name for one in await web.of(ANN)] == ["Ben"]


# The list of deletions


def test_the_list_is_read_as_it_was_written_before_and_outlives_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "deletions.json"
    path.write_text('[{"user_id": 5, "at": 100.0}]')
    noted = Deletions(path)
    at = noted.add(jobs=["one"])
    with path.open("a") as file:
        file.write('{"at": 3')
    assert noted.add(pictures=[("two", 1)]) > at
    (person, job, picture) = Deletions(path).read()
    assert (person.user_id, job.jobs, picture.pictures) == (5, ("one",), (("two", 1),))
    noted.drop(at)
    assert [one.at for one in noted.read()] == [job.at, picture.at]


def test_a_deletion_that_cannot_be_noted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="nothing was deleted: No space left"):
        Deletions(tmp_path / "deletions.json").add(user_id=1)
