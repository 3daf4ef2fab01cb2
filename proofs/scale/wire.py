"""The way to a PostgreSQL server, which a test can cut at the moment a transaction is committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PORT = 5432  # in the name of the server's socket
COMMIT = b"COMMIT"
WRITES = b" writes\0"  # in the greeting of a writer's session: the end of its name
NEVER, LOST, SILENT = "never arrived", "answer lost", "answer never comes"
WAYS = (NEVER, LOST, SILENT)


class Wire:
    """Between a program and the server with its socket in ``folder``. ``cut``: how the next COMMIT of a
    writer ends, one of WAYS. ``then``: how those after it do; None comes through. ``by_way``: cuts made so
    far; the server has done then what it was told. ``closed``: no connection comes through. ``last``: so it
    is after a cut."""

    def __init__(self, folder: Path | str) -> None:
        self._socket = f"{folder}/.s.PGSQL.{PORT}"
        self.cut: str | None = None
        self.then: list[str | None] = []
        self.by_way: Counter[str] = Counter()
        self.closed = self.last = False
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def cuts(self) -> int:
        """How many were made so far."""
        return self.by_way.total()

    def address(self, database: str) -> str:
        """The address of a database by this way."""
        plain = "sslmode=disable&gssencmode=disable"
        return f"postgresql+psycopg://atelier@127.0.0.1:{self.port}/{database}?{plain}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Listen within."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.sever()
            await asyncio.sleep(0)  # a transport that was closed lets its socket go in the next turn

    async def sever(self) -> None:
        """Cut all connections, whatever they are at."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _next(self) -> str | None:
        how, self.cut = self.cut, self.then.pop(0) if self.then else None
        return how

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.closed:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):  # the streams of asyncio tell of a cancel at length
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        back = asyncio.create_task(_copy(server_reader, writer))
        try:
            greeting = await reader.read(65536)
            server_writer.write(greeting)
            writes = WRITES in greeting
            while data := await reader.read(65536):
                if writes and COMMIT in data and (how := self._next()) is not None:
                    self.closed |= self.last
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    if how != NEVER:
                        server_writer.write(data)
                        await server_reader.read(65536)
                    self.by_way[how] += 1
                    if how == SILENT:
                        await reader.read(65536)  # until the program gives up
                    return
                server_writer.write(data)
        finally:
            back.cancel()
            server_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
