"""A database of today's schema, made once a process and copied: making its tables took most of the time
in which a test opened its own. And what else makes databases of tests quick to use."""

import asyncio
import contextlib
import functools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite as Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from storage.database import open_database
from storage.engines import base as engines
from storage.engines.base import sqlite_path
from tests.support import REAL, postgres

DURABLE = engines.PRAGMAS
COMPILED = 3000  # statements; there are fewer


def address_in(folder: Path, *, migrated: bool = True) -> str:
    """Where a test with this folder has its database: in a file, or on the server that the tests run on.
    migrated: it is of today's schema from the start; else empty, or no file."""
    if postgres.folder() is not None:
        return postgres.url_of(folder, migrated=migrated)
    address = f"sqlite:///{folder / 'atelier.db'}"
    if migrated:
        fresh_database(address)
    return address


def fresh_database(address: str | Path) -> None:
    """Put an empty database where ``address`` says, unless there is one. Nothing for a database server, nor
    in the real profile, where the program makes its own."""
    path = sqlite_path(address)
    if path is not None and not path.exists() and not REAL:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Let commits not wait for the disk, as tests outlive a process at most, not the machine; and compile a
    statement once a process, not once a database: SQLAlchemy keeps it with the engine, by its dialect."""
    compiled: LRUCache = LRUCache(COMPILED)
    create, fast = engines.create_engine, tuple(one.replace("=FULL", "=OFF") for one in DURABLE)

    def created(path: Path) -> AsyncEngine:
        engine = create(path)
        engine.sync_engine._compiled_cache = compiled
        return engine

    with (
        mock.patch.object(engines, "PRAGMAS", fast),
        mock.patch.object(engines, "create_engine", created),
        mock.patch.object(Dialect, "__eq__", lambda one, other: type(one) is type(other)),
        mock.patch.object(Dialect, "__hash__", lambda one: hash(type(one))),
    ):
        yield


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fresh.db"
        maker = threading.Thread(target=asyncio.run, args=(_make(path),))  # the caller's loop is running
        maker.start()
        maker.join()
        return path.read_bytes()


async def _make(path: Path) -> None:
    async with open_database(path, None):
        pass
