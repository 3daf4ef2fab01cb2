import asyncio
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.util import await_only as await_

import storage.moving.rows  # noqa: F401  all tables there are
from core.errors import StorageError
from storage import moderation
from storage.database import CAN_WAIT, Database, open_database
from storage.engine import sqlite_file
from storage.engine.migrate import MIGRATIONS
from storage.engine.sqlite_file import backups, made_at, restore
from storage.schema import metadata
from tests.storage.conftest import a_job, added, url_of


async def _put(database: Database, key: str) -> None:
    await database.write(lambda c: c.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), {"k": key}))


async def _count(database: Database) -> int:
    return await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM settings")))


async def test_the_migrations_make_the_schema_of_the_code(database: Database) -> None:
    differences = await database.read(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    assert differences == []


async def test_every_connection_has_its_pragmas(database: Database) -> None:
    async with database.engine.connect() as one, database.engine.connect() as two:
        for connection in (one, two):
            found = [
                (await connection.execute(sa.text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
            ]
            assert found == ["wal", 2, 1, 5000, 1]


async def test_a_transaction_that_fails_leaves_nothing_and_its_neighbours_everything(
    database: Database,
) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO settings VALUES ('half', '1')"))
        raise ValueError("half-way")

    results = await asyncio.gather(
        _put(database, "a"), database.write(half), _put(database, "b"), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    assert await _count(database) == 2


async def test_a_stop_iteration_ends_its_own_write_alone(database: Database) -> None:
    results = await asyncio.gather(
        _put(database, "a"), database.write(lambda c: next(iter(()))), return_exceptions=True
    )
    assert results[0] is None and isinstance(results[1], RuntimeError)
    async with asyncio.timeout(3):
        await _put(database, "b")
    assert await _count(database) == 2


async def test_a_writer_that_fails_answers_whoever_waits_and_begins_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(batch: object) -> None:
        raise KeyError("nobody has thought of it")

    async with asyncio.timeout(10):
        with monkeypatch.context() as patch:
            patch.setattr(database, "_write_some", fail)
            with pytest.raises(StorageError, match="writer failed"):
                await _put(database, "a")
        assert database.problem == "what failed is tried again: database writer"
        await _put(database, "b")


async def test_a_transaction_is_one_trip_to_the_databases_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips, threads = [], set[int]()
    send = aiosqlite.Connection._execute

    async def count(connection: aiosqlite.Connection, function: Any, *arguments: Any, **named: Any) -> Any:
        trips.append(function)
        return await send(connection, function, *arguments, **named)

    def several(connection: sa.Connection) -> int:
        threads.add(threading.get_ident())
        connection.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), [{"k": "a"}, {"k": "b"}])
        return connection.scalar(sa.text("SELECT count(*) FROM settings"))

    assert await _count(database) == 0  # the connection is there
    monkeypatch.setattr(aiosqlite.Connection, "_execute", count)
    assert await database.write(several) == 2 and len(trips) == 1
    assert await _count(database) == 2 and len(trips) == 2
    await asyncio.gather(*(_put(database, str(n)) for n in range(20)))
    assert len(trips) == 3
    assert threading.get_ident() not in threads


async def test_a_transaction_that_waits_for_something_else_is_refused_whole(database: Database) -> None:
    def waits(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO settings VALUES ('half', '1')"))
        await_(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="nothing but its connection"):
        await database.write(waits)
    await _put(database, "whole")
    assert await _count(database) == 1


async def test_what_goes_first_does_not_stand_in_line_behind_a_crowd(database: Database) -> None:
    order: list[str] = []

    def note(name: str, connection: sa.Connection) -> None:
        order.append(name)

    crowd = [asyncio.create_task(database.write(partial(note, str(i)))) for i in range(1000)]
    await crowd[0]
    await database.write(partial(note, "claim"), first=True)
    await asyncio.gather(*crowd)
    assert order.index("claim") < 600 and [name for name in order if name != "claim"] == [
        str(i) for i in range(1000)
    ]


async def test_reads_that_can_wait_leave_room_for_others(database: Database) -> None:
    go = threading.Event()

    async def patient() -> None:
        CAN_WAIT.set(True)
        await database.read(lambda _: go.wait(10))

    waiting = [asyncio.create_task(patient()) for _ in range(20)]
    await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(5):
            assert await _count(database) == 0
    finally:
        go.set()
        await asyncio.gather(*waiting)


async def test_a_cancelled_writer_leaves_all_or_nothing_and_no_lock(database: Database) -> None:
    def pair(number: int, connection: sa.Connection) -> None:
        for side in "ab":
            connection.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), {"k": f"{number}{side}"})

    chance, cancelled = random.Random(1), 0
    for number in range(60):
        task = asyncio.create_task(database.write(partial(pair, number)))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0.0005)
        task.cancel()
        cancelled += isinstance(
            (await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError
        )
    await _put(database, "last")
    keys = set(await database.read(lambda c: c.scalars(sa.text("SELECT key FROM settings")).all()))
    assert cancelled > 5
    assert all((f"{n}a" in keys) == (f"{n}b" in keys) for n in range(60))


async def test_a_cancelled_read_leaves_its_connection_usable(database: Database) -> None:
    for _ in range(20):
        task = asyncio.create_task(_count(database))
        await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.gather(*(_count(database) for _ in range(10))) == [0] * 10


async def test_many_writers_share_commits(database: Database) -> None:
    await asyncio.gather(*(_put(database, str(number)) for number in range(200)))
    assert await _count(database) == 200


async def test_what_was_handed_in_is_written_before_the_database_closes(tmp_path: Path) -> None:
    async with open_database(url_of(tmp_path), None) as database:
        tasks = [asyncio.create_task(_put(database, str(number))) for number in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    with pytest.raises(StorageError, match="closed"):
        await _put(database, "late")
    async with open_database(url_of(tmp_path), None) as database:
        assert await _count(database) == 20


async def test_two_processes_cannot_use_one_file(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom storage.database import open_database\n"
        "async def main():\n    async with open_database(sys.argv[1], None): pass\nasyncio.run(main())"
    )
    async with open_database(url_of(tmp_path), None):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, url_of(tmp_path), stderr=subprocess.PIPE
        )
        _, words = await other.communicate()
    assert other.returncode == 1 and b"Another Atelier (process" in words


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


def head() -> str:
    """The newest migration; MultipleHeads when two follow the same one."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()


def test_no_table_has_two_constraints_of_one_name() -> None:
    """SQLite takes them, PostgreSQL doesn't."""
    for table in metadata.tables.values():
        names = [one.name for one in table.constraints]
        assert len(names) == len(set(names)), table.name


def test_migrations_are_one_line() -> None:
    assert head() == max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))


async def test_a_newer_schema_is_refused_and_named(tmp_path: Path) -> None:
    async with open_database(url_of(tmp_path), None):
        pass
    with sqlite3.connect(tmp_path / "atelier.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StorageError, match="schema 9999, written by a newer Atelier"):
        async with open_database(url_of(tmp_path), None):
            pass


async def test_a_migration_is_preceded_by_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(url_of(tmp_path), tmp_path / "backups") as database:
        await added(database)
    assert not (tmp_path / "backups").exists(), "a new database has nothing to lose"
    import shutil

    from storage.engine import migrate as module

    newer = tmp_path / "migrations"
    shutil.copytree(module.MIGRATIONS, newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "versions" / "9000_test.py").write_text(
        f'"""A test."""\nfrom alembic import op\nrevision, down_revision = "9000", "{head()}"\nbranch_labels'
        ' = depends_on = None\ndef upgrade():\n    op.execute("CREATE TABLE extra (x INTEGER)")\n'
    )
    monkeypatch.setattr(module, "MIGRATIONS", newer)
    async with open_database(url_of(tmp_path), tmp_path / "backups") as database:
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM extra"))) == 0
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs"))) == 1
    (saved,) = (tmp_path / "backups").iterdir()
    assert "before-9000" in saved.name


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from storage.engine import migrate as module

    async with open_database(url_of(tmp_path), None):
        pass
    newer = tmp_path / "migrations"
    shutil.copytree(module.MIGRATIONS, newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "versions" / "9000_test.py").write_text(
        f'"""A test."""\nfrom alembic import op\nrevision, down_revision = "9000", "{head()}"\nbranch_labels'
        ' = depends_on = None\ndef upgrade():\n    op.execute("CREATE TABLE extra (x INTEGER)")\n   '
        ' op.execute("CREATE TABLE jobs (x INTEGER)")\n'
    )
    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(module, "MIGRATIONS", newer)
        async with open_database(url_of(tmp_path), None):
            pass
    async with open_database(url_of(tmp_path), None) as database:
        assert "extra" not in (await database.read(lambda c: sa.inspect(c).get_table_names()))


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a backup of an empty database at a time, in days from the first of June."""
    sqlite3.connect(tmp_path / "atelier.db").close()
    june = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # a Monday
    clock = monkeypatch.setattr

    def made(days: float, label: str = "") -> Path:
        clock(sqlite_file.time, "time", lambda: june + days * 86_400)
        return sqlite_file.backup(tmp_path / "atelier.db", tmp_path / "backups", label=label)

    return made


def _days(folder: Path) -> list[float]:
    june = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    return [(sqlite_file.stamped(one) - june) / 86_400 for one in backups(Path("atelier.db"), folder)]


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
    os.utime(ahead, (sqlite_file.time.time(),) * 2)
    for day in range(20):
        newest = at(day, "daily")
    assert ahead in backups(database, folder) and sqlite_file.newest_backup(database, folder) == newest
    assert restore(database, folder) == newest
    assert made_at(ahead) <= sqlite_file.time.time()


def test_copies_by_a_clock_that_stands_behind_drop_none_of_before(
    at: Callable[..., Path], tmp_path: Path
) -> None:
    right = [at(day, "daily") for day in (0, 1, 2)]
    for hour in range(9):
        at(-3000 + hour / 24)
    assert set(right) < set(backups(tmp_path / "atelier.db", tmp_path / "backups"))
    assert [made_at(one) for one in right] != [sqlite_file.stamped(one) for one in right]
    at(3)
    assert [made_at(one) for one in right] == [sqlite_file.stamped(one) for one in right]


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
    sqlite_file.check(saved, None)


async def _rows_at(path: Path) -> int:
    async with open_database(path, None) as database:
        return await _count(database)


@pytest.fixture
async def two_states(tmp_path: Path) -> tuple[Path, Path]:
    """A database with 300 settings, and a folder with a backup that has 200 of them."""
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    async with open_database(path, folder) as database:
        await asyncio.gather(*(_put(database, f"{number} {'x' * 2000}") for number in range(200)))
        await database.backup("before")
        await asyncio.gather(*(_put(database, f"{number} {'x' * 2000}") for number in range(200, 300)))
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
        patch.setattr(sqlite_file.os, "replace", fail)
        with pytest.raises(StorageError, match="No space left"):
            restore(path, folder)
    assert await _rows_at(path) == (200 if step else 300)
    for kept in path.parent.glob("*.replaced-*Z"):
        assert await _rows_at(kept) == 300


def test_a_restore_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "atelier.db"
    sqlite3.connect(path).close()
    sqlite_file.backup(path, tmp_path / "backups")
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(sqlite_file.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(StorageError, match="2 MB are free"):
        restore(path, tmp_path / "backups")
    assert {one.name for one in tmp_path.iterdir()} == {"atelier.db", "atelier.db.lock", "backups"}


async def test_any_backup_can_be_put_back_by_its_name(two_states: tuple[Path, Path]) -> None:
    path, folder = two_states
    older, newer = backups(path, folder)[0], sqlite_file.backup(path, folder)
    with pytest.raises(StorageError, match=f"no backup nowhere.db.*{older.name}, {newer.name}"):
        restore(path, folder, "nowhere.db")
    assert restore(path, folder, older.name) == older and await _rows_at(path) == 200
    assert restore(path, folder, str(newer)) == newer and await _rows_at(path) == 300
    newer.write_bytes(newer.read_bytes()[:9000])
    with pytest.raises(StorageError, match="damaged"):
        restore(path, folder, newer.name)
    assert restore(path, folder) == older


async def test_after_a_scrub_nothing_deleted_is_left_in_any_file(database: Database) -> None:
    for number in range(50):
        await added(database, a_job(prompt=f"canary-{number:04d}-" + "x" * 300))
    await database.write(lambda c: c.execute(sa.text("DELETE FROM jobs")))
    await database.scrub()
    for path in database.path.parent.glob("atelier.db*"):
        assert b"canary-" not in path.read_bytes(), path.name


async def test_a_scrub_that_waits_for_a_reader_holds_up_no_write(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        await added(database)
        scrubbing = asyncio.create_task(database.scrub())
        for _ in range(5):
            await asyncio.sleep(0.05)
            async with asyncio.timeout(3):
                await added(database)
        assert not scrubbing.done()
        reader.execute("COMMIT")
    await scrubbing
    assert not Path(f"{database.path}-wal").stat().st_size  # noqa: ASYNC240


async def test_a_log_that_cannot_be_emptied_is_a_storage_error(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(connection: aiosqlite.Connection, statement: str, *_: Any) -> Any:
        if "wal_checkpoint" in statement:
            raise sqlite3.OperationalError("database or disk is full")
        return []

    monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", refuse)
    with pytest.raises(StorageError, match="database or disk is full"):
        await database.scrub()


async def test_scores_of_more_pictures_than_a_statement_takes_are_forgotten(database: Database) -> None:
    names = [f"{number:064x}" for number in range(250_001)]
    await database.write(lambda c: moderation.set_score(c, names[-1], "nsfw", 0.5))
    await database.write(lambda c: moderation.forget_scores(c, names))
    assert await database.read(lambda c: moderation.scores(c, names[-1:], "nsfw")) == {}


async def test_a_database_that_refuses_is_a_storage_error(database: Database) -> None:
    with pytest.raises(StorageError, match="no such table"):
        await database.write(lambda c: c.execute(sa.text("INSERT INTO nowhere VALUES (1)")))
    with pytest.raises(StorageError, match="no such table"):
        await database.read(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))


async def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StorageError, match="forget every job"):
        async with open_database("sqlite:///:memory:", None):
            pass
