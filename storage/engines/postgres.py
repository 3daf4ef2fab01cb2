"""A PostgreSQL server: connections that wait for no answer for ever, and commits whose answer may be lost.

One Atelier may write there: it holds an advisory lock of its writer's session, which ends with it, and a
session takes it before its first transaction. So once another session of this program has it, the one
before has ended: what that had under way is settled, and the server tells how. psycopg is imported with
the first connection, never for a database in a file. https://www.postgresql.org/docs/current/explicit-
locking.html#ADVISORY-LOCKS"""

import asyncio
import functools
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.errors import DatabaseInUse, StorageError
from storage.engines.base import Conflict, ServerAway, note_writes, on_begin, our_errors

LOCK = (0x41544C52, 1)  # of a database: "ATLR", the program that may write
START_PATIENCE = 3.0  # seconds for a program that was killed just now to lose its lock


class Hold:
    """The lock of one program's writer. ``name``: what its sessions are called, before "writes"."""

    def __init__(self, name: str, database: str) -> None:
        self.name = name
        self._database = database
        self._locked = False  # has had the lock

    async def take(self, connection: Any) -> None:
        """Take the lock for a new session of the writer. Raises DatabaseInUse when another program has the
        database. A session of this program that lives on where the way to it is lost is ended, whatever it
        was doing."""
        end = monotonic() + START_PATIENCE
        while not await self._try(connection):
            if monotonic() > end:
                raise DatabaseInUse(await self._told_of_holder(connection))
            await asyncio.sleep(0.1)
        self._locked = True

    async def _try(self, connection: Any) -> bool:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [f"{self.name} writes"],
        )
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
        (taken,) = await cursor.fetchone()
        await connection.commit()
        return bool(taken)

    async def _told_of_holder(self, connection: Any) -> str:
        cursor = await connection.execute(
            "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.granted"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            LOCK,
        )
        row = await cursor.fetchone()
        await connection.commit()
        words = row[0].split() if row else []
        since = f"{row[1]:%Y-%m-%d %H:%M} UTC" if row else ""
        whom = f" (process {words[2]} on {words[1]}, since {since})" if len(words) > 3 else ""
        advice = "This one stops writing." if self._locked else "Stop it first, or set another DATABASE_URL."
        return f"Another Atelier{whom} is using the database {self._database}. {advice}"


log = logging.getLogger(__name__)
T = TypeVar("T")
CONNECT = 5  # seconds to reach the server
STATEMENT = 15  # seconds that one statement may take, by the server's clock
ANSWER = 20.0  # seconds after which a connection that gives no answer at all is cut
SILENT = 5.0  # seconds without an answer after which nothing more is asked of the server
LOOK = 2.0  # seconds without an answer after which a plain question finds out whether it is the server
AWAY_PAUSES = (0.1, 0.2, 0.5, 1.0)  # seconds between two tries to reach a server that has gone
OPTIONS = {
    "statement_timeout": f"{STATEMENT}s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    # how soon the server lets go of a machine that has vanished, and of its lock
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
TRIES = 3  # of a transaction that has to begin anew because of another's
UNKNOWN_TRANSACTION = "22023"  # SQLSTATE of one that the server never began
# Begins a transaction and tells its number: a BEGIN takes in what stands before it in the same message.
# https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
BEGIN = "SELECT pg_current_xact_id()::text; BEGIN"
TRANSACTION = "transaction"  # in the info of the writer's connection: the number of its last one
READS = {"default_transaction_read_only": "on", "default_transaction_isolation": r"repeatable\ read"}
CONNECTION = {
    "connect_timeout": CONNECT,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}


class Pulse:
    """Whether the server answers: what it was asked, when it last spoke, since when it is out of reach."""

    def __init__(self) -> None:
        self._asked: dict[object, float] = {}  # question → monotonic seconds
        self._answered = monotonic()
        self._failing: float | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Take the block for one question; that it ends without an error is an answer."""
        question = object()
        self._asked[question] = monotonic()
        try:
            yield
            self._answered, self._failing = monotonic(), None
        except Exception:
            self._failing = self._failing or monotonic()
            raise
        finally:
            del self._asked[question]

    @property
    def silence(self) -> float:
        """Seconds for which the server has owed an answer and given none; 0 when nothing is asked."""
        if not self._asked:
            return 0.0
        return monotonic() - max(self._answered, min(self._asked.values()))

    @property
    def is_silent(self) -> bool:
        """Whether it has owed an answer for so long that nothing more is asked."""
        return self.silence > SILENT

    @property
    def is_doubtful(self) -> bool:
        """Whether a plain question should find out."""
        return self.silence > LOOK or self._failing is not None

    @property
    def is_away(self) -> bool:
        """Whether it has been silent, or out of reach, for long."""
        return self.is_silent or self._failing is not None and monotonic() - self._failing > SILENT


@dataclass
class _Attempt:
    """A transaction, as far as it came. results: of its work, once only the commit was left."""

    transaction: str = ""
    results: Any = None
    complete: bool = False


@functools.cache
def connection_class() -> Any:
    """Return the class of connections, which needs psycopg."""
    from psycopg import AsyncConnection

    class Connection(AsyncConnection[Any]):
        """A connection that is cut when the server, or the way to it, stands still."""

        pulse = Pulse()
        answer: float | None = ANSWER

        async def wait(self, *arguments: Any, **named: Any) -> Any:
            loop = asyncio.get_running_loop()
            timer = None if self.answer is None else loop.call_later(self.answer, self.cut)
            try:
                with self.pulse.asking():
                    return await super().wait(*arguments, **named)
            finally:
                if timer is not None:
                    timer.cancel()

        def cut(self) -> None:
            """Let whoever waits for an answer have an error. A cancel would go to the server, and wait."""
            with suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as wire:
                wire.shutdown(socket.SHUT_RDWR)

    return Connection


class Server:
    """The engines of one program on a database of a server. ``readers`` take snapshots and write nothing;
    ``writer`` has one connection, which holds the lock."""

    def __init__(self, address: str, readers: int) -> None:
        self.url = make_url(address)
        host = "".join(one for one in socket.gethostname() if one.isalnum() or one in "-.")[:24]
        self.name = f"atelier {host} {os.getpid()} {secrets.token_hex(4)}"
        self.pulse = Pulse()
        self.hold = Hold(self.name, str(self.url.database))
        self.closing = False  # nobody waits any longer
        self.unknown_commits = 0  # whose answer was lost
        self._stale = False  # the writer's connection was lost, and no other has been used since
        self._asking: asyncio.Task[None] | None = None
        self.readers = self._engine(self._connect_reader, pool_size=readers + 1)
        self.writer = self._engine(self._connect_writer, pool_size=1)
        sa.event.listen(self.readers.sync_engine, "begin", on_begin)
        sa.event.listen(self.writer.sync_engine, "begin", _begin_noted)
        sa.event.listen(self.writer.sync_engine, "before_cursor_execute", note_writes)

    def _engine(self, creator: Any, *, pool_size: int) -> AsyncEngine:
        try:
            return create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=60,
                hide_parameters=True,  # they hold prompts
                pool_reset_on_return=None,  # every transaction here is ended where it was begun
                connect_args={"async_creator_fn": creator},
            )
        except ModuleNotFoundError as error:
            raise StorageError(
                "A PostgreSQL server in DATABASE_URL needs psycopg: make setup EXTRAS=postgres."
            ) from error

    async def _connect_reader(self, *arguments: Any, **named: Any) -> Any:
        connection = await self._connect("reads", OPTIONS | READS, **named)
        await connection.set_autocommit(True)  # the driver begins nothing on its own
        return connection

    async def _connect_writer(self, *arguments: Any, **named: Any) -> Any:
        connection = await self._connect("writes", OPTIONS, **named)
        try:
            await connection.set_autocommit(True)
            await self.hold.take(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def connect_unhurried(self) -> Any:
        """Return psycopg's connection for long work that changes no row: no lock, transaction or limits."""
        _, named = self.readers.dialect.create_connect_args(self.url)
        connection = await self._connect("cares", {}, **named)
        connection.answer = None
        await connection.set_autocommit(True)
        return connection

    @asynccontextmanager
    async def unhurried(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Let statements on ``connection`` take as long as they need."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            driver.answer = None
            await driver.execute("SET statement_timeout = 0")
            await driver.commit()
            yield
            await driver.execute(f"SET statement_timeout = '{STATEMENT}s'")
            await driver.commit()
        finally:
            driver.answer = ANSWER

    async def _connect(self, does: str, options: dict[str, str], **named: Any) -> Any:
        named.pop("async_creator_fn", None)
        given = f"{named.pop('options', '')} " + " ".join(
            f"-c {key}={value}" for key, value in options.items()
        )
        chosen = {"application_name": f"{self.name} {does}", "options": given.strip(), **CONNECTION, **named}
        with self.pulse.asking():
            connection = await connection_class().connect(**chosen)
        connection.pulse = self.pulse
        return connection

    async def commit(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` in the writer's transaction. Nothing is written twice, and nobody is told that what
        was written was not: when the answer to the commit is lost, it waits until the server can be asked.
        Raises ServerAway when nothing was written, Conflict when others were in the way again and again,
        DatabaseInUse when another program has the database for itself."""
        for _ in range(TRIES):
            with suppress(Conflict):
                return await self._commit(work)
        return await self._commit(work)

    async def _commit(self, work: Callable[[sa.Connection], T]) -> T:
        while True:
            tried_before = self._stale
            attempt = _Attempt()
            try:
                with our_errors():
                    async with aclosing(await self.writer.connect()) as connection:
                        result = await connection.run_sync(_run_noted, work, attempt)
                self._stale = False
                return result
            except ServerAway:
                self._stale = True
                if not attempt.complete:
                    if tried_before:
                        raise
                    continue
                self.unknown_commits += 1
                written = await self._was_committed(attempt.transaction)
                self._stale = False  # another connection has been made
                if written:
                    log.warning("a commit was written whose answer was lost")
                    found: T = attempt.results
                    return found

    async def _was_committed(self, transaction: str) -> bool:
        """Return whether it was, once that can be known. Raises StorageError when the program ends before."""
        failures = 0
        while True:
            try:
                with our_errors(), suppress(DatabaseInUse):  # in another's hands: our session has ended too
                    async with self.writer.connect():
                        pass
                with our_errors():
                    return await self._status(transaction) == "committed"
            except StorageError:
                if self.closing:
                    raise
            if failures == 0:
                log.warning("the answer to a commit was lost, and the database can't be asked yet")
            await asyncio.sleep(AWAY_PAUSES[min(failures, len(AWAY_PAUSES) - 1)])
            failures += 1

    async def _status(self, transaction: str) -> str:
        """https://www.postgresql.org/docs/current/functions-info.html, pg_xact_status"""
        statement = sa.text("SELECT pg_xact_status(CAST(:xid AS xid8))")
        async with self.readers.connect() as connection:
            try:
                found = await connection.scalar(statement, {"xid": transaction})
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != UNKNOWN_TRANSACTION:
                    raise
                return "aborted"  # in the future of a server that was set back: it never was there
        if found == "in progress":
            raise StorageError("the database is still at work on what was asked before")
        return str(found)

    async def find_out(self) -> None:
        """Ask the server something plain, if there is doubt that it answers: a long statement isn't silence.
        It waits for nothing."""
        if self.pulse.is_doubtful and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask(), name="database question")

    async def _ask(self) -> None:
        with suppress(DBAPIError, StorageError, OSError):
            async with self.readers.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")

    async def vacuum(self) -> None:
        """Let go of rows that were deleted or changed. StorageError when the server can't."""
        import psycopg

        tables = (
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = current_schema()"
        )
        try:
            connection = await self.connect_unhurried()
            try:
                found = await (await connection.execute(tables)).fetchall()
                await connection.execute(f"VACUUM {', '.join(name for (name,) in found)}")
            finally:
                await connection.close()
        except psycopg.Error as error:
            raise StorageError(f"what was deleted can't be let go of on the server: {error}") from error

    async def make_index(self, name: str, statements: Sequence[str]) -> None:
        """Make an index, by ``statements`` of which the last makes it, while others write; one that was cut
        off before is made anew. Where the server has nothing to make it with, there is none."""
        import psycopg

        cut_off = (
            "SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relname = %s AND NOT indisvalid"
        )
        connection = await self.connect_unhurried()
        try:
            if await (await connection.execute(cut_off, [name])).fetchone() is not None:
                await connection.execute(f"DROP INDEX CONCURRENTLY {name}")
            for statement in statements:
                await connection.execute(statement)
        except psycopg.Error as error:
            log.warning("the server has no index %s, and reads all rows instead: %s", name, error)
        finally:
            await connection.close()

    async def migrate(self, work: Callable[[sa.Connection], None]) -> None:
        """Run ``work``, which brings the schema up to this program's, and raise what it raises."""
        with our_errors():
            async with self.writer.connect() as connection, self.unhurried(connection):
                await connection.run_sync(work)

    async def close(self) -> None:
        """Close all connections, and with the writer's let the lock go."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self.writer.dispose()
        await self.readers.dispose()


def _run_noted(connection: sa.Connection, work: Callable[[sa.Connection], T], attempt: _Attempt) -> T:
    with connection.begin():
        attempt.transaction = connection.info[TRANSACTION]
        result = work(connection)
        attempt.results, attempt.complete = result, True
    return result


def _begin_noted(connection: sa.Connection) -> None:
    """Begin a transaction, and note its number, in one way to the server and back."""
    connection.info[TRANSACTION] = str(connection.exec_driver_sql(BEGIN).scalar_one())
