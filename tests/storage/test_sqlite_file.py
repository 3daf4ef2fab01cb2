"""The SQLite file: its check, its backups, and how one is put back."""

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa

import storage.copy_database  # noqa: F401  all tables there are
from core.errors import StorageError
from storage.database import Database, open_database
from storage.engines import sqlite
from storage.engines.sqlite import backups, made_at, restore
from tests.storage.conftest import added, count_settings, put_setting, url_of


async def test_a_damaged_file_is_told_with_the_last_backup_and_restored_on_request(tmp_path: Path) -> None:
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    async with open_database(url_of(tmp_path), folder) as database:
        await asyncio.gather(*(added(database) for _ in range(50)))
        saved = await database.backup()
        await database.scrub()
    data = bytearray(path.read_bytes())
    for start in range(4096 * 3, len(data) - 200, 4096):
        data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(StorageError, match="damaged") as caught:
        async with open_database(url_of(tmp_path), folder):
            pass
    assert str(saved) in str(caught.value)
    assert path.read_bytes() == data, "a damaged file is left as it is"
    assert restore(path, folder) == saved
    async with open_database(url_of(tmp_path), folder) as database:
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs"))) == 50
    assert list(tmp_path.glob("atelier.db.damaged-*"))  # noqa: ASYNC240


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a backup of an empty database at a time, in days from the first of June."""
    sqlite3.connect(tmp_path / "atelier.db").close()
    june = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # a Monday
    clock = monkeypatch.setattr

    def made(days: float, label: str = "") -> Path:
        clock(sqlite.time, "time", lambda: june + days * 86_400)
        return sqlite.backup(tmp_path / "atelier.db", tmp_path / "backups", label=label)

    return made


def _days(folder: Path) -> list[float]:
    june = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    return [(sqlite.stamped(one) - june) / 86_400 for one in backups(Path("atelier.db"), folder)]


def test_copies_by_the_hour_leave_days_and_weeks(at: Callable[..., Path], tmp_path: Path) -> None:
    for day in range(0, 40, 4):
        at(day + 0.5, "daily")
    for hour in range(16, 24):
        at(42 + hour / 24)
    assert [round(24 * day) for day in _days(tmp_path / "backups")] == [
        *(588, 684, 780, 876),  # hours: with the next, days of five and weeks of four
        *(1027, 1028, 1029, 1030, 1031),
    ]


def test_a_copy_from_before_a_migration_outlives_newer_ones(at: Callable[..., Path], tmp_path: Path) -> None:
    kept = at(0, "before-9000")
    for day in range(1, 32):
        at(day, "daily")
    assert kept in backups(tmp_path / "atelier.db", tmp_path / "backups")
    assert _days(tmp_path / "backups") == [0, 13, 20, 27, 28, 29, 30, 31]


def test_a_copy_ahead_of_the_clock_is_neither_the_newest_nor_kept_for_ever(
    at: Callable[..., Path], tmp_path: Path
) -> None:
    database, folder = tmp_path / "atelier.db", tmp_path / "backups"
    ahead = at(5000, "daily")
    os.utime(ahead, (sqlite.time.time(),) * 2)
    for day in range(20):
        newest = at(day, "daily")
    assert ahead in backups(database, folder) and sqlite.newest_backup(database, folder) == newest
    assert restore(database, folder) == newest
    assert made_at(ahead) <= sqlite.time.time()


def test_copies_by_a_clock_that_stands_behind_drop_none_of_before(at: Callable[..., Path], tmp_path) -> None:
    right = [at(day, "daily") for day in (0, 1, 2)]
    for hour in range(9):
        at(-3000 + hour / 24)
    assert set(right) < set(backups(tmp_path / "atelier.db", tmp_path / "backups"))
    assert [made_at(one) for one in right] != [sqlite.stamped(one) for one in right]
    at(3)
    assert [made_at(one) for one in right] == [sqlite.stamped(one) for one in right]


def test_an_old_copy_that_cannot_be_deleted_hinders_no_new_one(
    at: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at(0)
    stuck = tmp_path / "backups" / "atelier-20250101T000000000000Z-daily.db"
    for number in range(9):
        (tmp_path / "backups" / f"atelier-2025010{number + 1}T000000000000Z-daily.db").mkdir()
    assert at(1).is_file() and stuck.exists() and "can't be deleted" in caplog.text


async def test_a_backup_holds_what_was_committed_while_the_database_is_in_use(database: Database) -> None:
    await added(database)
    saved = await database.backup()
    connection = sqlite3.connect(saved)
    assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    connection.close()
    sqlite.check_database(saved, None)


async def _rows_at(path: Path) -> int:
    async with open_database(path, None) as database:
        return await count_settings(database)


@pytest.fixture
async def two_states(tmp_path: Path) -> tuple[Path, Path]:
    """A database with 300 settings, and a folder with a backup that has 200 of them."""
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    async with open_database(path, folder) as database:
        await asyncio.gather(*(put_setting(database, f"{number} {'x' * 2000}") for number in range(200)))
        await database.backup("before")
        await asyncio.gather(*(put_setting(database, f"{number} {'x' * 2000}") for number in range(200, 300)))
    return path, folder


@pytest.mark.parametrize("room", [0, 4096, 200_000, 400_000])  # bytes that a file may have
async def test_a_restore_without_room_leaves_the_database_as_it_is(
    two_states: tuple[Path, Path], room: int
) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    path, folder = two_states
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(StorageError):
            restore(path, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert await _rows_at(path) == 300 and not list(path.parent.glob("*.partial*"))
    restore(path, folder)
    assert await _rows_at(path) == 200


@pytest.mark.parametrize("step", range(3))  # of the renames: the copy, the old file, the new one
async def test_a_restore_that_is_cut_off_ends_with_the_next_start(
    two_states: tuple[Path, Path], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = two_states
    left, replace = [step], os.replace

    def fail(source: object, target: object) -> None:
        if Path(str(source)).exists() and not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= Path(str(source)).exists()
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.os, "replace", fail)
        with pytest.raises(StorageError, match="No space left"):
            restore(path, folder)
    assert await _rows_at(path) == (200 if step else 300)
    for kept in path.parent.glob("*.replaced-*Z"):
        assert await _rows_at(kept) == 300


def test_a_restore_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atelier.db"
    sqlite3.connect(path).close()
    sqlite.backup(path, tmp_path / "backups")
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(sqlite.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(StorageError, match="2 MB are free"):
        restore(path, tmp_path / "backups")
    assert {one.name for one in tmp_path.iterdir()} == {"atelier.db", "atelier.db.lock", "backups"}


async def test_any_backup_can_be_put_back_by_its_name(two_states: tuple[Path, Path]) -> None:
    path, folder = two_states
    older, newer = backups(path, folder)[0], sqlite.backup(path, folder)
    with pytest.raises(StorageError, match=f"no backup nowhere.db.*{older.name}, {newer.name}"):
        restore(path, folder, "nowhere.db")
    assert restore(path, folder, older.name) == older and await _rows_at(path) == 200
    assert restore(path, folder, str(newer)) == newer and await _rows_at(path) == 300
    newer.write_bytes(newer.read_bytes()[:9000])
    with pytest.raises(StorageError, match="damaged"):
        restore(path, folder, newer.name)
    assert restore(path, folder) == older


async def test_a_log_that_cannot_be_emptied_is_a_storage_error(database: Database, monkeypatch) -> None:
    async def refuse(connection: aiosqlite.Connection, statement: str, *_: Any) -> Any:
        if "wal_checkpoint" in statement:
            raise sqlite3.OperationalError("database or disk is full")
        return []

    monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", refuse)
    with pytest.raises(StorageError, match="database or disk is full"):
        await database.scrub()


async def test_a_database_is_checked_unless_it_is_as_it_was_left(tmp_path, monkeypatch) -> None:
    checked, path = list[Path](), tmp_path / "atelier.db"
    monkeypatch.setattr(sqlite, "check_database", lambda database, folder: checked.append(database))

    async def opened() -> int:
        checked.clear()
        async with open_database(path, None) as database:
            await put_setting(database, str(path.stat().st_mtime_ns))
            assert not path.with_name("atelier.db.clean").exists(), "whoever is killed now leaves no note"
        return len(checked)

    await opened()
    assert await opened() == 0
    os.utime(path)
    assert await opened() == 1
    path.with_name("atelier.db.clean").unlink()
    assert await opened() == 1
    await asyncio.to_thread(shutil.copy, path, tmp_path / "copy.db")
    os.replace(tmp_path / "copy.db", path)
    assert await opened() == 1
    assert await opened() == 0
