"""aiosqlite's connection, less its hops between threads.

aiosqlite sends each call to the connection's thread. SQLAlchemy makes four for a statement (open a cursor,
execute, fetch all, close) and one for each commit, and while both cores are busy every one of them waits for
a core. Here a whole function on rows goes to that thread, BEGIN and COMMIT included, and what it calls there
is done at once: one hop for a transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection

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
    """A cursor of the shape that SQLAlchemy's adapter expects. It holds the rows of its last statement, and
    nothing of SQLite's."""

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
