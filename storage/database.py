"""The database: opened, checked, backed up and migrated; transactions that end whole whatever happens to the
caller.

``write`` hands a function to the one writer, a thread. What waits at the same moment shares a commit, each
function in a savepoint
of its own: a durable commit costs milliseconds, so many writers would otherwise wait in line for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.errors import StorageError
from storage import sqlite_file
from storage.connection import Connection, run_through

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT = 5000  # ms
MAX_BATCH = 256  # functions in one commit
AT_A_TIME = 8  # callers that go on in one turn of the event loop
READERS = 4
SCRUB_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)  # seconds
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT}",
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-32000",  # KiB
)
log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[Connection], Coroutine[Any, Any, T]]


@dataclass
class _Pending:
    work: Work[Any]
    done: asyncio.Future[Any] = field(repr=False)


@dataclass(frozen=True)
class _Failed:
    error: Exception


class Database:
    """Transactions on one database. Made by ``open_database``; usable until it closes."""

    def __init__(self, engine: sa.Engine, path: Path | None, backup_dir: Path | None) -> None:
        self.engine = engine
        self.path = path  # of the SQLite file, if it is one
        self.backup_dir = backup_dir
        self._first: deque[_Pending] = deque()
        self._pending: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._reads: set[asyncio.Future[Any]] = set()
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="database writer")
        self._read_threads = ThreadPoolExecutor(READERS, thread_name_prefix="database reader")
        self._writer = asyncio.create_task(self._write_for_ever(), name="database writer")

    @property
    def waiting(self) -> int:
        """Writes that were handed in and not begun."""
        return len(self._first) + len(self._pending)

    async def write(self, work: Work[T], *, first: bool = False) -> T:
        """Run ``work`` in a write transaction. It must do nothing but use the connection: it may be run a
        second time.

        ``first``: before all that waits without it. What moves running jobs on must not stand in line behind
        a crowd that asks. When the caller is cancelled, either all of it happens or nothing. StorageError
        when the database can't; an IntegrityError is the caller's to understand.
        """
        if self._closed:
            raise StorageError("the database is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._first if first else self._pending).append(_Pending(work, done))
        self._wake.set()
        return await done

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on a snapshot of the data. A cancelled read finishes unseen: its connection stays
        usable."""
        if self._closed:
            raise StorageError("the database is closed")
        reading = asyncio.get_running_loop().run_in_executor(self._read_threads, self._read, work)
        self._reads.add(reading)
        reading.add_done_callback(self._reads.discard)
        reading.add_done_callback(_look_at_error)
        return await asyncio.shield(reading)

    async def backup(self, label: str = "") -> Path | None:
        """Copy the SQLite file to the backup folder now; None where there is nothing to copy to or from."""
        if self.path is None or self.backup_dir is None:
            return None
        return await asyncio.to_thread(sqlite_file.backup, self.path, self.backup_dir, label=label)

    async def scrub(self) -> None:
        """After deletions: empty the write-ahead log, so that what was deleted is on the disk no more.
        StorageError when readers of this program hold on to it for too long."""
        for pause in SCRUB_PAUSES if self.path is not None else ():
            if await asyncio.get_running_loop().run_in_executor(self._write_thread, self._empty_log):
                return
            await asyncio.sleep(pause)
        if self.path is not None:
            raise StorageError("the write-ahead log can't be emptied: something reads from it without end")

    def _empty_log(self) -> bool:
        """Whether nobody was in the way."""
        with _our_errors(), self.engine.connect() as connection:
            busy, *_ = connection.connection.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            ).fetchone()  # outside of any transaction
        return not busy

    async def close(self) -> None:
        """Finish what was handed in, then let go."""
        self._closed = True
        self._wake.set()
        await self._writer
        await asyncio.gather(*self._reads, return_exceptions=True)
        for threads in (self._write_thread, self._read_threads):
            threads.shutdown(wait=False)  # nothing is left to do
        self.engine.dispose()

    def _read(self, work: Work[T]) -> T:
        with _our_errors(), self.engine.connect() as connection, connection.begin():
            return run_through(work(Connection(connection)))

    async def _write_for_ever(self) -> None:
        while self.waiting or not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting:
                await self._write_some([self._next() for _ in range(min(self.waiting, MAX_BATCH))])

    def _next(self) -> _Pending:
        return (self._first or self._pending).popleft()

    async def _write_some(self, batch: list[_Pending]) -> None:
        batch = [
            pending for pending in batch if not pending.done.cancelled()
        ]  # cancelled before: nothing happened
        try:
            results = await asyncio.get_running_loop().run_in_executor(
                self._write_thread, self._commit, batch
            )
        except Exception as error:
            if len(batch) > 1:  # one of them spoilt it for all, or the disk is full: each on its own
                for pending in batch:
                    await self._write_some([pending])
                return
            results = [_Failed(error)]
        for number, (pending, result) in enumerate(zip(batch, results, strict=True), 1):
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
            if pending.done.cancelled():
                continue
            if isinstance(result, _Failed):
                pending.done.set_exception(result.error)
            else:
                pending.done.set_result(result)

    def _commit(self, batch: list[_Pending]) -> list[Any]:
        """Results in order; _Failed in the place of one that failed, which alone is rolled back."""
        results: list[Any] = []
        if not batch:
            return results
        with (
            _our_errors(),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            if len(batch) == 1:
                return [run_through(batch[0].work(Connection(connection)))]
            for pending in batch:
                try:
                    with connection.begin_nested():
                        results.append(run_through(pending.work(Connection(connection))))
                except Exception as error:
                    if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                        raise
                    results.append(_Failed(error))
        return results


@asynccontextmanager
async def open_database(url: str, backup_dir: Path | None) -> AsyncIterator[Database]:
    """The database at ``url``, of this program's schema. StorageError says in one sentence what stands in the
    way: another process uses it, it is damaged, or it was written by a newer Atelier."""
    path = _sqlite_path(url)
    lock = sqlite_file.FileLock(path) if path else None
    if lock is not None:
        await asyncio.to_thread(lock.acquire)
    try:
        if path is not None and path.exists():
            await asyncio.to_thread(sqlite_file.check, path, backup_dir)
        engine = _engine(url)
        try:
            await asyncio.to_thread(_migrate, engine, path, backup_dir)
            database = Database(engine, path, backup_dir)
            try:
                yield database
            finally:
                await database.close()
        finally:
            engine.dispose()
    finally:
        if lock is not None:
            lock.release()


def _sqlite_path(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError("DATABASE_URL names no file; a database in memory would forget every job.")
    return Path(parsed.database)


def _engine(url: str) -> sa.Engine:
    path = _sqlite_path(url)
    if path is None:
        return sa.create_engine(
            url, pool_size=READERS + 1, pool_pre_ping=True, hide_parameters=True
        )  # they hold prompts
    address = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(
        address,
        poolclass=sa.QueuePool,
        pool_size=READERS + 1,
        max_overflow=0,
        pool_timeout=60,
        hide_parameters=True,
        connect_args={"check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing on its own
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    """A deferred transaction that reads and then writes fails at once when another wrote between
    (SQLITE_BUSY_SNAPSHOT)."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: sa.Engine, path: Path | None, backup_dir: Path | None) -> None:
    """Bring the schema up to this program's, in one transaction, after a backup."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    with _our_errors():
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        known = {revision.revision for revision in script.walk_revisions()}
        if current is not None and current not in known:
            raise StorageError(
                f"The database has schema {current}, written by a newer Atelier; this one knows schemas up to"
                f" {script.get_current_head()}. Update Atelier, or go back to a backup in {backup_dir}."
            )
        if current is not None and path is not None and backup_dir is not None:
            sqlite_file.backup(path, backup_dir, label=f"before-{script.get_current_head()}")
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            _upgrade(connection, config)
    log.info("database schema brought from %s to %s", current or "nothing", script.get_current_head())


def _upgrade(connection: sa.Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


class _our_errors:
    """Chains the database's own errors to a StorageError, except broken constraints."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            raise StorageError(f"the database failed: {type(error.orig).__name__}: {error.orig}") from error
        return False


def _look_at_error(reading: asyncio.Future[Any]) -> None:
    """A read whose caller was cancelled may fail unseen."""
    if not reading.cancelled():
        reading.exception()
