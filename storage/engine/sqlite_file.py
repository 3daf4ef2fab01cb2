"""Care of one SQLite file from outside the engine: its lock, its check, its backups. Everything here
blocks."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import DatabaseInUse, StorageError

COPY_CACHE = 128  # KiB, of each connection that makes a backup
KEEP_BACKUPS = 5
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
        """Take the lock. Raises DatabaseInUse when another process holds it, StorageError when the folder
        can't be written to."""
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

    def _read_holder(self) -> str:
        try:
            return self._holder.read_text()[:20].strip() or "unknown"
        except OSError:
            return "unknown"


def check(database: Path, backup_dir: Path | None) -> None:
    """``PRAGMA quick_check``. StorageError for a damaged file; it says which backup to go back to."""
    if not database.is_file():  # SQLite would make one
        raise StorageError(f"There is no database at {database}.")
    try:
        with closing(sqlite3.connect(database, timeout=5)) as connection:
            first = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        first = str(error)
    if first != "ok":
        last = newest_backup(database, backup_dir)
        advice = f"The last backup is {last}; `restore` puts it back." if last else "There is no backup."
        raise StorageError(f"The database {database} is damaged ({first}). It was left as it is. {advice}")


def backup(database: Path, backup_dir: Path, *, label: str = "") -> Path:
    """Copy the file, whole and consistent, also while it is in use; keep the last ``KEEP_BACKUPS``.
    StorageError where that can't be done."""
    if not database.is_file():  # SQLite would make one
        raise StorageError(f"There is no database at {database}. Is DATA_DIR right?")
    stamp = datetime.fromtimestamp(time.time(), UTC).strftime(STAMP)
    target = backup_dir / f"{database.stem}-{stamp}{'-' + label if label else ''}.db"
    partial = target.with_suffix(".partial")
    try:
        backup_dir.mkdir(parents=True, exist_ok=True)
        with (
            closing(sqlite3.connect(database, timeout=30)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            for connection in (source, copy):  # each page passes once, and freed ones leave holes in the heap
                connection.execute(f"PRAGMA cache_size=-{COPY_CACHE}")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        os.replace(partial, target)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(f"{database} can't be backed up to {backup_dir}: {error}") from error
    for old in backups(database, backup_dir)[:-KEEP_BACKUPS]:
        old.unlink(missing_ok=True)
    log.info("database backed up to %s", target.name)
    return target


def backups(database: Path, backup_dir: Path) -> list[Path]:
    """Oldest first."""
    return sorted(backup_dir.glob(f"{database.stem}-*Z*.db"))


def made_at(backup: Path) -> float:
    """Return when a backup was made, in seconds since 1970, by its name: the clock of a disk that other
    machines share may be days away from this one's. A file that the host has renamed goes by its date."""
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
    try:
        check(database, None)
    except StorageError:
        return False
    return True


def restore(database: Path, backup_dir: Path) -> Path:
    """Put the newest sound backup in the file's place; the old file stays beside it. Return the backup
    used."""
    lock = ProcessLock(database)
    lock.acquire()
    try:
        for candidate in reversed(backups(database, backup_dir)):
            try:
                check(candidate, None)
            except StorageError:
                log.warning("backup %s is damaged too", candidate.name)
                continue
            _swap_in(candidate, database)
            return candidate
    finally:
        lock.release()
    raise StorageError(f"There is no sound backup of {database.name} in {backup_dir}.")


def _swap_in(candidate: Path, database: Path) -> None:
    """The log and index of the old file go with it: applied to another file they would damage that one."""
    word = "replaced" if is_sound(database) else "damaged"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{database}{suffix}", f"{database}.{word}-{stamp}{suffix}")
    with closing(sqlite3.connect(candidate)) as source, closing(sqlite3.connect(database)) as copy:
        source.backup(copy)
