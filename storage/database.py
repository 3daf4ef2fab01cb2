"""The database: opened, checked, backed up and migrated; transactions that end whole whatever happens to the
caller.

``write`` hands a function on rows to the one writer. What waits at the same moment shares a commit, each
function in a savepoint of its own: a durable commit costs milliseconds, so many writers would otherwise wait
in line for the disk.

On a server the answer to a commit may be lost. Nobody who asked for it is answered then until the server has
told whether it was written; what was not is written again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from cachetools import TTLCache
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import DatabaseInUse, StorageError
from core.process import Supervisor
from core.traces import Timings, timed
from storage import prompt_words
from storage.engines import base, sqlite
from storage.engines.sqlite import run_sync
from storage.migrate import migrate

if TYPE_CHECKING:  # a database in a file needs none of it
    from storage.engines.postgres import Server

MAX_BATCH = 256  # functions in one commit
MAX_ON_SERVER = 60  # PostgreSQL's sessions remember 64 savepoints; more slow all of them down
WATCH = 0.5  # seconds between two looks at whether the server answers
REST = 0.05  # seconds between two portions of older prompts
RESTART = 1.0  # seconds until the writer begins again after a failure
AT_A_TIME = 8  # callers that go on in one turn of the event loop
FOR_OTHERS = 2  # of the readers, which reads that can wait leave free
SCRUB_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, *12 * (5.0,))  # seconds
OPERATIONS = ("read", "write", "commit")  # a write from handing it in; a commit may be of many
KNOWN, KNOWN_FOR = 2000, 5.0  # answers that are kept, and the most seconds that each is
CAN_WAIT: ContextVar[bool] = ContextVar("what a task reads can wait", default=False)
T = TypeVar("T")
Work = Callable[[sa.Connection], T]


class Database:
    """Transactions on one database. Made by ``open_database``; usable until it closes.

    ``Work`` is a plain function of a SQLAlchemy connection, run by ``AsyncConnection.run_sync``: the event
    loop goes on while a statement is under way.
    """

    def __init__(
        self, engine: AsyncEngine, path: Path | None, backup_dir: Path | None, server: Server | None = None
    ) -> None:
        self.engine = engine  # its connections may be used to read
        self.path = path  # of the SQLite file, if it is one
        self.backup_dir = backup_dir
        self.taken = asyncio.Event()  # another program has the database now: this one can only end
        self.timings = Timings(OPERATIONS)
        self.server = server
        self._first: deque[base.Pending] = deque()
        self._pending: deque[base.Pending] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._reads: set[asyncio.Task[Any]] = set()
        self._readers = asyncio.Semaphore(base.READERS)  # so that the writer always finds a connection
        self._patient = asyncio.Semaphore(base.READERS - FOR_OTHERS)
        self._writing = asyncio.Lock()
        self._commits = 0
        self._known: TTLCache[Any, Any] = TTLCache(KNOWN, KNOWN_FOR)
        self.supervisor = Supervisor()  # of the writer, and of what else of this program runs for ever
        writing = self.supervisor.forever("database writer", self._write_for_ever, pauses=(RESTART,))
        self._writer = asyncio.create_task(writing, name="database writer")
        watching = self.supervisor.forever("database watch", self._watch_server) if server else None
        self._watch = asyncio.create_task(watching, name="database watch") if watching else None

    @property
    def problem(self) -> str | None:
        """What keeps the database from being used just now, or fails of what runs for ever; else None."""
        if self.taken.is_set():
            return "another Atelier has taken the database"
        if self.server is not None and self.server.pulse.is_away:
            return "the database does not answer"
        return self.supervisor.problem

    @property
    def unknown_commits(self) -> int:
        """Commits since the start whose answer was lost, so that the server had to be asked."""
        return 0 if self.server is None else self.server.unknown_commits

    @property
    def waiting(self) -> int:
        """Writes that were handed in and not begun."""
        return len(self._first) + len(self._pending)

    @timed("write")
    async def write(self, work: Work[T], *, first: bool = False) -> T:
        """Run ``work`` in a write transaction. It must do nothing but use the connection: it may be run a
        second time.

        ``first``: before all that waits without it. What moves running jobs on must not stand in line behind
        a crowd that asks. When the caller is cancelled, either all of it happens or nothing. StorageError
        when the database can't; an IntegrityError is the caller's to understand. DatabaseInUse when a server
        has let another program write.
        """
        self._check_usable()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._first if first else self._pending).append(base.Pending(work, done))
        self._wake.set()
        return await done

    async def read(self, work: Work[T], *, once: bool = False) -> T:
        """Run ``work`` on a snapshot of the data. ``once``: it sends a single statement, which needs no
        transaction around it. A cancelled read finishes unseen: its connection stays usable. Where a task has
        set ``CAN_WAIT``, others find a free connection beside its reads. StorageError when the database
        can't."""
        self._check_usable()
        reading = asyncio.create_task(self._read(work, base.ONCE if once else {}), name="database reader")
        self._reads.add(reading)
        reading.add_done_callback(self._reads.discard)
        # one whose caller was cancelled may fail unseen
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(reading)

    async def look_up(self, *works: partial[Any], once: bool = False) -> list[Any]:
        """Return what each of these finds, as of the newest commit: all that no one has asked since then is
        read in one snapshot, and kept until the next commit. Of hashable arguments, an answer that hangs on
        rows alone and that nobody changes. once: as of ``read``, each sends one statement. On a server, where
        other programs write as well, all is read."""
        self._check_usable()
        keys = [(work.func, work.args, frozenset(work.keywords.items())) for work in works]
        found = {}
        for key in keys:
            with suppress(KeyError):  # one may end between two looks
                found[key] = self._known[key]
        new = {key: work for key, work in zip(keys, works, strict=True) if key not in found}
        if new:
            commits = self._commits
            each = list(new.values())
            read = await self.read(lambda rows: [work(rows) for work in each], once=once and len(new) == 1)
            found |= zip(new, read, strict=True)
            if commits == self._commits and self.server is None:
                self._known.update({key: found[key] for key in new})
        return [found[key] for key in keys]

    async def backup(self, label: str = "") -> Path | None:
        """Copy the SQLite file to the backup folder now; None where there is nothing to copy to or from."""
        if self.path is None or self.backup_dir is None:
            return None
        return await asyncio.to_thread(sqlite.backup, self.path, self.backup_dir, label=label)

    async def index_prompts(self) -> None:
        """Add the prompts that aren't in the index of their words, a few at a time, or make the server's."""
        if self.server is not None:
            await self.server.make_index(prompt_words.NAME, prompt_words.ON_SERVER)
            return
        while prompt_words.IS_THERE and await self.write(prompt_words.add_older):  # noqa: ASYNC110
            await asyncio.sleep(REST)  # others go first

    async def scrub(self) -> None:
        """After deletions: empty the write-ahead log, so that what was deleted is on the disk no more. On a
        server, let go of it, which leaves parts of it in its files until they are written over.
        StorageError when readers of this program hold on to it for too long."""
        if self.server is not None:
            with base.our_errors():
                await self.server.vacuum()
        for pause in SCRUB_PAUSES if self.path is not None else ():
            if await self._empty_log():
                return
            await asyncio.sleep(pause)
        if self.path is not None:
            raise StorageError("the write-ahead log can't be emptied: something reads from it without end")

    async def _empty_log(self) -> bool:
        """Whether nobody was in the way. It waits for no reader: that would hold up every write."""
        with base.our_errors():
            async with self._writing, self.engine.connect() as connection:
                raw: Any = (await connection.get_raw_connection()).driver_connection
                await raw.execute_fetchall("PRAGMA busy_timeout=0")
                try:  # outside of any transaction
                    ((busy, *_),) = await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                except sqlite3.Error as error:
                    raise StorageError(f"the write-ahead log can't be emptied: {error}") from error
                finally:
                    await raw.execute_fetchall(f"PRAGMA busy_timeout={base.BUSY_TIMEOUT}")
        return not busy

    async def close(self) -> None:
        """Finish what was handed in, then let go."""
        self._closed = True
        if self.server is not None:
            self.server.closing = True
        self._wake.set()
        await self._writer
        await asyncio.gather(*self._reads, return_exceptions=True)
        if self._watch is not None:
            self._watch.cancel()
        await self.engine.dispose()

    def _check_usable(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")
        if self.taken.is_set():
            raise DatabaseInUse("another Atelier has taken the database")
        if self.server is not None and self.server.pulse.is_silent:
            raise base.ServerAway("the database does not answer")

    async def _watch_server(self) -> None:
        """While the server says nothing: make sure that it is the server, and refuse what has not begun."""
        assert self.server is not None
        while True:
            await asyncio.sleep(WATCH)
            await self.server.find_out()
            while self.server.pulse.is_silent and self.waiting:
                if not (pending := self._next()).done.done():
                    pending.done.set_exception(
                        base.ServerAway("the database does not answer; nothing was written")
                    )

    @timed("read")
    async def _read(self, work: Work[T], options: dict[str, Any]) -> T:
        try:
            return await self._read_once(work, options)
        except base.ServerAway:  # its connection was of before a restart of the server
            return await self._read_once(work, options)

    async def _read_once(self, work: Work[T], options: dict[str, Any]) -> T:
        with base.our_errors():
            patient = self._patient if CAN_WAIT.get() else nullcontext()
            async with patient, self._readers, aclosing(await self.engine.connect()) as connection:
                return await run_sync(connection, _run_one, work, options)

    async def _write_for_ever(self) -> None:
        while self.waiting or not self._closed:
            if not self.waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            most = MAX_BATCH if self.server is None else MAX_ON_SERVER
            batch = [self._next() for _ in range(min(self.waiting, most))]
            try:
                await self._write_some(batch)
            finally:  # whatever happens, nobody waits for ever
                for pending in batch:
                    if not pending.done.done():
                        pending.done.set_exception(StorageError("the database's writer failed"))

    def _next(self) -> base.Pending:
        return (self._first or self._pending).popleft()

    async def _write_some(self, batch: list[base.Pending]) -> None:
        batch = [
            pending for pending in batch if not pending.done.cancelled()
        ]  # cancelled before: nothing happened
        try:
            results = await self._commit(batch) if batch else []
        except Exception as error:
            # one of them spoilt it for all, or the disk is full: each on its own
            if len(batch) > 1 and not isinstance(error, (base.ServerAway, DatabaseInUse)):
                for pending in batch:
                    await self._write_some([pending])
                return
            results = [base.Failed(error) for _ in batch]
        for number, (pending, result) in enumerate(zip(batch, results, strict=True), 1):
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
            if pending.done.cancelled():
                continue
            if isinstance(result, base.Failed):
                why = result.error  # a future takes no StopIteration
                pending.done.set_exception(RuntimeError(why) if isinstance(why, StopIteration) else why)
            else:
                pending.done.set_result(result)

    @timed("commit")
    async def _commit(self, batch: list[base.Pending]) -> list[Any]:
        """Results in order; Failed in the place of one that failed, which alone is rolled back."""
        if self.server is not None:
            try:
                async with self._writing:
                    try:
                        return await self.server.commit(partial(base.run_bare, batch))
                    except base.Spoilt:
                        return await self.server.commit(partial(base.run_all, batch))
            except DatabaseInUse:
                self.taken.set()
                raise
        try:
            with base.our_errors():
                async with self._writing, aclosing(await self.engine.connect()) as connection:
                    work = partial(base.run_all, batch)
                    return await run_sync(connection, _run_one, work, base.ADDRESS_WRITES)
        finally:  # before anybody is told: what was known is of before
            self._commits += 1
            self._known.clear()


def _run_one(connection: sa.Connection, work: Work[T], options: dict[str, Any]) -> T:
    with connection.execution_options(**options).begin():
        return work(connection)


@asynccontextmanager
async def open_database(
    address: str | Path, backup_dir: Path | None, *, may_migrate: bool = False
) -> AsyncIterator[Database]:
    """The database at ``address``, of this program's schema. StorageError says in one sentence what stands in
    the way: another process uses it, it is damaged, or it was written by a newer Atelier. ``may_migrate``:
    whether rows on a server, of which there is no backup here, may be brought to this schema."""
    path = base.sqlite_path(address)
    opening = (
        _open_server(str(address), backup_dir, may_migrate) if path is None else _open_file(path, backup_dir)
    )
    async with opening as database:
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def _open_file(path: Path, backup_dir: Path | None) -> AsyncIterator[Database]:
    lock = sqlite.ProcessLock(path)
    await asyncio.to_thread(lock.acquire)

    def prepare() -> None:
        try:
            sqlite.finish_restore(path)
        except OSError as error:
            raise StorageError(f"a restored backup can't take its place: {error}") from error
        if path.exists() and not sqlite.ended_cleanly(path):
            sqlite.check_database(path, backup_dir)

    try:
        await asyncio.to_thread(prepare)
        engine = base.create_engine(path)
        try:
            with base.our_errors():
                async with engine.connect() as connection:
                    work = partial(migrate, path=path, backup_dir=backup_dir)
                    await connection.run_sync(work)
            yield Database(engine, path, backup_dir)
        finally:
            await engine.dispose()
            await asyncio.to_thread(sqlite.note_clean_end, path)
    finally:
        lock.release()


@asynccontextmanager
async def _open_server(address: str, backup_dir: Path | None, may_migrate: bool) -> AsyncIterator[Database]:
    from storage.engines.postgres import Server

    server = Server(address, base.READERS)
    try:
        await server.migrate(partial(migrate, path=None, backup_dir=backup_dir, may_migrate=may_migrate))
        yield Database(server.readers, None, backup_dir, server)
    finally:
        await server.close()
