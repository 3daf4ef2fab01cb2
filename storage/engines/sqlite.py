"""One SQLite file: aiosqlite's connection, less its hops between threads, and care of the file from outside
the engine: its lock, its check, its backups, all of which block.

aiosqlite sends each call to the connection's thread. SQLAlchemy makes four for a statement (open a
cursor, execute, fetch all, close) and one for each commit, and while both cores are busy every one of
them waits for a core. Here a whole function on rows goes to that thread, BEGIN and COMMIT included, and
what it calls there is done at once: one hop for a transaction."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from filelock import FileLock, Timeout
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import DatabaseInUse, StorageError

T = TypeVar("T")


async def run_sync(connection: AsyncConnection, function: Callable[..., T], *arguments: Any) -> T:
    """``AsyncConnection.run_sync``, of SQLite in a single hop to the connection's thread."""
    driver = (await connection.get_raw_connection()).driver_connection
    running = connection.run_sync(function, *arguments)
    return await (driver.run_through(running) if isinstance(driver, Connection) else running)


def connect(database: str, **options: Any) -> Connection:
    """An unopened connection, for SQLAlchemy's ``async_creator_fn``. ``options``: of ``sqlite3.connect``."""
    connection = Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a forgotten connection must not hold up the exit
    return connection


class Connection(aiosqlite.Connection):
    """A connection whose cursors are ``Cursor``."""

    async def run_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the connection's thread to its end. It may wait for nothing but this connection."""
        result: T = await self._execute(_run_through, work)
        return result

    async def _execute(self, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call ``fn`` in the connection's thread: at once for a caller that is in it."""
        if threading.get_ident() == self._thread.ident:
            return fn(*arguments, **named)
        return await super()._execute(fn, *arguments, **named)

    def cursor(self) -> Cursor:  # type: ignore[override]
        """A cursor for any number of statements, one after the other."""
        return Cursor(self)

    async def commit(self) -> None:
        """Commit the open transaction, if there is one."""
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Roll the open transaction back, if there is one."""
        if self.in_transaction:
            await super().rollback()


class Cursor:
    """A cursor as SQLAlchemy's adapter expects it: it holds its last rows, and nothing of SQLite's."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Cursor:
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        """Run a statement and fetch all its rows."""
        await self._connection._execute(self._run, "execute", statement, parameters)

    async def executemany(self, statement: str, parameters: Any) -> None:
        """Run a statement once for each of ``parameters``."""
        await self._connection._execute(self._run, "executemany", statement, parameters)

    async def fetchall(self) -> list[Any]:
        """The rows of the last statement; once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing of SQLite's is open."""

    def _run(self, method: str, statement: str, parameters: Any) -> None:
        """In the connection's thread."""
        with closing(self._connection._conn.cursor()) as cursor:
            getattr(cursor, method)(statement, parameters)
            self._rows = cursor.fetchall()
            self.description = cursor.description
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid


def _run_through(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("a transaction may wait for nothing but its connection")


COPY_CACHE = 128  # KiB, of each connection that makes a backup
SPARE = 2**24  # bytes that are free beside a backup that is put back
LATEST, DAYS, WEEKS = 5, 5, 4  # backups that are kept: the last ones, and the last of each day and week
BEFORE = "before-"  # begins the label of a copy that was made before a migration; those are kept
AHEAD = 86_400.0  # seconds that a backup's time may be before the clock; further, one of the two was wrong
STAMP = "%Y%m%dT%H%M%S%fZ"  # of UTC
log = logging.getLogger(__name__)


class ProcessLock:
    """Held while a process uses the database file; the system drops it when the process ends, however it
    ends. The holder's number stands in a file beside it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._holder = database.with_name(database.name + ".pid")
        self._lock = FileLock(database.with_name(database.name + ".lock"), timeout=0, thread_local=False)

    def acquire(self) -> None:
        """Take the lock. Raises DatabaseInUse, or StorageError when the folder can't be written to."""
        try:
            self._database.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._holder.write_text(str(os.getpid()))
        except Timeout as error:
            raise DatabaseInUse(
                f"Another Atelier (process {self._read_holder()}) is using {self._database}. Stop it first,"
                " or set another DATA_DIR."
            ) from error
        except OSError as error:
            self._lock.release()
            raise StorageError(f"can't write to {self._database.parent} ({error.strerror})") from error

    def release(self) -> None:
        """Let others use the file. Harmless when it isn't held."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def holder(self) -> str | None:
        """Return the number of the process that holds the lock, None where nobody does. It makes nothing."""
        if not Path(self._lock.lock_file).exists():
            return None
        try:
            with self._lock:
                return None
        except (Timeout, OSError):
            return self._read_holder()

    def _read_holder(self) -> str:
        try:
            return self._holder.read_text()[:20].strip() or "unknown"
        except OSError:
            return "unknown"


def check_database(database: Path, backup_dir: Path | None) -> None:
    """``PRAGMA quick_check``. StorageError for a damaged file; it says which backup to go back to."""
    if not database.is_file():  # SQLite would make one
        raise StorageError(f"There is no database at {database}.")
    first = find_flaw(database)
    if first:
        last = newest_backup(database, backup_dir)
        advice = (
            f"The last backup is {last}; `atelier restore` restores it." if last else "There is no backup."
        )
        raise StorageError(f"The database {database} is damaged ({first}). It was left as it is. {advice}")


def note_clean_end(database: Path) -> None:
    """Note beside a closed file how it was left. Nothing is noted while there is a log: it isn't closed."""
    with suppress(OSError):
        if not Path(f"{database}-wal").exists():
            _clean(database).write_text(_state(database))


def ended_cleanly(database: Path) -> bool:
    """Return whether the file is as it was closed, so that no check is due. Once: now it is in use."""
    note = _clean(database)
    try:
        was = note.read_text()
        note.unlink()
        return was == _state(database) and not Path(f"{database}-wal").exists()
    except OSError:
        return False


def _clean(database: Path) -> Path:
    return database.with_name(f"{database.name}.clean")


def _state(database: Path) -> str:
    status = database.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def read_only(database: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing: without a log SQLite would make one, even to read."""
    alone = "" if Path(f"{database}-wal").exists() else "&immutable=1"
    uri = f"{database.absolute().as_uri()}?mode=ro{alone}"
    return sqlite3.connect(uri, uri=True, timeout=5, check_same_thread=False)


def find_flaw(database: Path, connect: Callable[[Path], sqlite3.Connection] = sqlite3.connect) -> str:
    """Return what is wrong with a file that is there, in a line; "" = nothing."""
    try:
        with closing(connect(database)) as connection:
            (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if first == "ok" else " ".join(str(first).removeprefix("*** in database main ***").split())


def backup(database: Path, backup_dir: Path, *, label: str = "") -> Path:
    """Copy the file, also while in use, and drop backups that aren't kept. Raises StorageError."""
    if not database.is_file():  # SQLite would make one
        raise StorageError(f"There is no database at {database}. Is DATA_DIR right?")
    stamp = datetime.fromtimestamp(time.time(), UTC).strftime(STAMP)
    target = backup_dir / f"{database.stem}-{stamp}{'-' + label if label else ''}.db"
    try:
        backup_dir.mkdir(parents=True, exist_ok=True)
        _copy(database, target)
    except OSError as error:
        raise StorageError(f"{database} can't be backed up to {backup_dir}: {error}") from error
    with suppress(FileNotFoundError):  # another has just dropped it
        for old in _too_many(database, backup_dir):
            try:
                old.unlink(missing_ok=True)
            except OSError as error:  # open elsewhere, or somebody else's
                log.warning("the old backup %s can't be deleted: %s", old.name, error)
    log.info("database backed up to %s", target.name)
    return target


def backups(database: Path, backup_dir: Path) -> list[Path]:
    """Oldest first; before all, those whose name says a time that is still to come."""
    latest = time.time() + AHEAD
    found = sorted(backup_dir.glob(f"{database.stem}-*Z*.db"))
    return sorted(found, key=lambda backup: stamped(backup) <= latest)


def _too_many(database: Path, backup_dir: Path) -> list[Path]:
    """Return backups that aren't kept, and torsos. Those before migrations and those ahead of the clock,
    which may be what is wrong, go by their age alone."""
    now, days, weeks = time.time(), set[str](), set[str]()
    kept, gone = 0, [old for old in backup_dir.glob("*.partial*") if now - old.stat().st_mtime > AHEAD]
    for backup in reversed(backups(database, backup_dir)):
        made = stamped(backup)
        if made > now + AHEAD:
            if backup.stat().st_mtime > now:
                os.utime(backup)  # from now on its age is told from today
            continue
        if f"Z-{BEFORE}" in backup.name:
            continue
        at = datetime.fromtimestamp(made, UTC)
        day, week = at.strftime("%F"), at.strftime("%G %V")
        first_of_day = len(days) < DAYS and day not in days
        if kept < LATEST or first_of_day or len(weeks) < WEEKS and week not in weeks:
            kept += 1
        else:
            gone.append(backup)
        days.add(day)
        weeks.add(week)
    return gone


def made_at(backup: Path) -> float:
    """Return when a backup was made, in seconds since 1970: by its name, for the clock of a disk that other
    machines share may be days away from this one's; by its date where the name says a time to come."""
    now, made = time.time(), stamped(backup)
    return made if made <= now + AHEAD else min(backup.stat().st_mtime, now)


def stamped(backup: Path) -> float:
    """Return the time in a backup's name. A file that the host has renamed goes by its date."""
    stamp = backup.stem.rpartition("Z")[0].rpartition("-")[2]
    try:
        return datetime.strptime(f"{stamp}Z", STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return backup.stat().st_mtime


def newest_backup(database: Path, backup_dir: Path | None) -> Path | None:
    """Return the newest backup, None when there is none."""
    found = backups(database, backup_dir) if backup_dir else []
    return found[-1] if found else None


def is_sound(database: Path) -> bool:
    """Return whether the file is there and undamaged."""
    return database.is_file() and not find_flaw(database)


def choose_backup(database: Path, backup_dir: Path, name: str | None = None) -> Path:
    """Return the backup that ``name`` means, a file's name in the folder or a path; None = the newest that
    is intact. StorageError where there is none such."""
    found = backups(database, backup_dir)
    if name is not None:
        candidates = [path for path in (backup_dir / name, Path(name)) if path.is_file()][:1]
        if not candidates:
            there = ", ".join(path.name for path in found) or "none"
            raise StorageError(f"There is no backup {name}. In {backup_dir} there are: {there}.")
        check_database(candidates[0], None)
        return candidates[0]
    for candidate in reversed(found):
        if is_sound(candidate):
            return candidate
        log.warning("backup %s is damaged too", candidate.name)
    raise StorageError(f"There is no intact backup of {database.name} in {backup_dir}.")


def restore(database: Path, backup_dir: Path, name: str | None = None) -> Path:
    """Put a backup, as ``choose`` finds it, in the file's place; the old file stays beside it. Return the
    backup used. StorageError where that can't be done: then the old file is in its place still."""
    lock = ProcessLock(database)
    lock.acquire()
    try:
        candidate = choose_backup(database, backup_dir, name)
        size, free = candidate.stat().st_size, shutil.disk_usage(database.parent).free
        if free < size + SPARE:
            raise StorageError(
                f"{candidate.name} can't be restored: it takes {size / 10**6:,.0f} MB besides the database,"
                f" and {free / 10**6:,.0f} MB are free in {database.parent}. Free some first."
            )
        try:
            _copy(candidate, _restored(database))
            finish_restore(database)
        except OSError as error:
            raise StorageError(
                f"{candidate.name} can't be restored: {error}. The same command continues from here."
            ) from error
        return candidate
    finally:
        lock.release()


def _restored(database: Path) -> Path:
    """The whole copy that is about to be the database."""
    return database.with_name(f"{database.name}.restored")


def finish_restore(database: Path) -> None:
    """Move the database aside and what ``restore`` has copied into its place, if there is such a copy; at
    every start, for whatever was cut off between the two."""
    copy = _restored(database)
    if not copy.is_file():
        return
    word = "replaced" if is_sound(database) else "damaged"
    stamp = datetime.fromtimestamp(copy.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
    # the log and index go along: applied to another file they would damage that one
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{database}{suffix}", f"{database}.{word}-{stamp}{suffix}")
    os.replace(copy, database)


def _copy(source: Path, target: Path) -> None:
    """Copy a database, whole and checked, and only then give it its name. Raises OSError."""
    partial = target.with_suffix(".partial")
    try:
        _drop(partial)
        with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(partial)) as new:
            for connection in (old, new):  # each page passes once, and freed ones leave holes in the heap
                connection.execute(f"PRAGMA cache_size=-{COPY_CACHE}")
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        if wrong := find_flaw(partial):
            raise OSError(f"what was copied is damaged ({wrong})")
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            _drop(partial)
        raise OSError(str(error)) from error


def _drop(partial: Path) -> None:
    """The journal goes along: it would be played back into the next file of that name."""
    for path in (partial, Path(f"{partial}-journal")):
        path.unlink(missing_ok=True)
