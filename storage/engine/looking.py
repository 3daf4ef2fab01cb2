"""Looks at a database and changes nothing: it takes no lock, brings no schema up, and makes no file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage.engine import sqlite_file
from storage.engine.address import sqlite_path
from storage.engine.failures import our_errors

Work = Callable[[sa.Connection], Any]
Read = Callable[[Work], Awaitable[Any]]


@asynccontextmanager
async def looking(address: str | Path) -> AsyncIterator[Read]:
    """Have what runs a function on the rows at ``address``. It raises StorageError where they can't be
    read."""
    path = sqlite_path(address)
    if path is not None:
        yield partial(asyncio.to_thread, partial(_look, path))
        return
    from storage.engine.postgres import Server

    server = Server(str(address), 1)

    async def read(work: Work) -> Any:
        with our_errors():
            async with server.readers.connect() as connection:
                return await connection.run_sync(work)

    try:
        yield read
    finally:
        await server.close()


def _look(path: Path, work: Work) -> Any:
    engine = sa.create_engine(
        "sqlite://", creator=partial(sqlite_file.read_only, path), poolclass=sa.NullPool, hide_parameters=True
    )
    with our_errors(), engine.connect() as connection:
        return work(connection)
