"""What all databases share: functions on rows that share one commit, each as if it were alone; their own
errors as the rest of the program knows them; and the engine of a SQLite file, with how a transaction begins.

A savepoint around each function is two more ways to a server. So there they begin without: a function
that fails before it has written anything, such as one that refuses a job, leaves nothing to undo."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import StorageError
from storage.engines import sqlite

Work = Callable[[sa.Connection], Any]
WRITES = "has written"  # in the info of a connection: whether what runs now has sent more than questions


@dataclass
class Pending:
    """A function that waits to be run. done: is told its result."""

    work: Work
    done: asyncio.Future[Any] = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """Stands in the place of a result."""

    error: Exception


class Spoilt(Exception):
    """A function has failed amid others without a savepoint of its own: nothing of them may be kept."""


def run_all(batch: Sequence[Pending], connection: sa.Connection) -> list[Any]:
    """Return the results in order; Failed in the place of one that failed, which alone is rolled back."""
    if len(batch) == 1:
        return [batch[0].work(connection)]  # what it raises ends the transaction
    results: list[Any] = []
    for pending in batch:
        try:
            with connection.begin_nested():
                results.append(pending.work(connection))
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            results.append(Failed(error))
    return results


def run_bare(batch: Sequence[Pending], connection: sa.Connection) -> list[Any]:
    """The same without savepoints, on a connection that ``note_writes``. Raises Spoilt when one fails that
    has written, or was refused by a constraint, amid others."""
    results: list[Any] = []
    for pending in batch:
        connection.info[WRITES] = False
        try:
            results.append(pending.work(connection))
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            if connection.info[WRITES]:
                if len(batch) == 1:
                    raise
                raise Spoilt from error
            results.append(Failed(error))
    return results


def note_writes(connection: sa.Connection, cursor: Any, statement: str, *_: Any) -> None:
    """Remember that a statement is more than a question. For SQLAlchemy's ``before_cursor_execute``."""
    if not statement.startswith("SELECT"):
        connection.info[WRITES] = True


CONFLICTS = ("40001", "40P01", "55P03")  # SQLSTATEs: of two transactions, one has to begin anew
LOST_STATES = ("08", "57P")  # SQLSTATEs: connection exceptions, and a server that shuts down
# of libpq, which has no SQLSTATE for what it finds itself
UNREACHABLE = ("OperationalError", "ConnectionTimeout", "InterfaceError")


class ServerAway(StorageError):
    """The database's server can't be reached, or says nothing."""


class Conflict(StorageError):
    """Another program's transaction stood in the way; nothing was written, and it may be tried again."""


class our_errors:
    """Chains the database's errors, but broken constraints, to StorageError, Conflict or ServerAway."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            words = f"the database failed: {type(error.orig).__name__}: {error.orig}"
            kind = ServerAway if is_lost(error) else StorageError
            kind = Conflict if getattr(error.orig, "sqlstate", None) in CONFLICTS else kind
            raise kind(words) from error
        if isinstance(error, UnicodeEncodeError):
            raise StorageError("a text holds half of a surrogate pair, which no database keeps") from error


def is_lost(error: DBAPIError) -> bool:
    """Return whether the connection to a server has gone, or can't be made; a file's never does."""
    if not type(error.orig).__module__.startswith("psycopg"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return error.connection_invalidated or type(error.orig).__name__ in UNREACHABLE
    return error.connection_invalidated or state.startswith(LOST_STATES)


READERS = 4  # connections beside the writer's
BUSY_TIMEOUT = 5000  # ms
CACHE = 250  # KiB of pages that each connection keeps; the system keeps them too, so that more isn't quicker
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT}",
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    f"PRAGMA cache_size=-{CACHE}",
)
# What a connection keeps prepared. One statement takes up to 35 kB, and lists of any length make new texts
# without end: 128, as Python has it, came to 10 MB. Of what is asked, 5 % isn't among 64, 3 % among 128.
STATEMENTS = 64
ADDRESS_WRITES = {"begin": "BEGIN IMMEDIATE"}  # the execution options of a transaction that writes
ONCE = {"begin": None}  # of a single statement that reads


def sqlite_path(address: str | Path) -> Path | None:
    """The SQLite file that an address (SQLAlchemy's, or its path) names, None for another database.

    StorageError for one in memory.
    """
    if isinstance(address, Path):
        return address
    parsed = make_url(address)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError("DATABASE_URL names no file; a database in memory would forget every job.")
    return Path(parsed.database)


def create_engine(path: Path) -> AsyncEngine:
    """An engine for the SQLite file at ``path``, by aiosqlite, for ``READERS`` and one writer."""
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=READERS + 1,
        max_overflow=0,
        pool_timeout=60,
        hide_parameters=True,  # they hold prompts
        pool_reset_on_return=None,  # every transaction here is ended where it was begun
        connect_args={
            "async_creator_fn": sqlite.connect,
            "isolation_level": None,  # the driver begins nothing on its own
            "cached_statements": STATEMENTS,
        },
    )

    def set_up(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    sa.event.listen(engine.sync_engine, "connect", set_up)
    sa.event.listen(engine.sync_engine, "begin", on_begin)
    return engine


def on_begin(connection: sa.Connection) -> None:
    """Begin a transaction as the connection's options say. On SQLite a deferred one that reads and then
    writes fails at once when another wrote between (SQLITE_BUSY_SNAPSHOT): hence IMMEDIATE."""
    begin = connection.get_execution_options().get("begin", "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)
