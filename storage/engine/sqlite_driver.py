"""aiosqlite's connection, less its hops between threads.

aiosqlite sends each call to the connection's thread. SQLAlchemy makes four for a statement (open a cursor,
execute, fetch all, close) and one for each commit. Here a statement is one, and what there is nothing to do
for is none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import aiosqlite


def connect(database: str, **options: Any) -> Connection:
    """An unopened connection, for SQLAlchemy's ``async_creator_fn``. ``options``: of ``sqlite3.connect``."""
    connection = Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a forgotten connection must not hold up the exit
    return connection


class Connection(aiosqlite.Connection):
    """A connection whose cursors are ``Cursor``."""

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
