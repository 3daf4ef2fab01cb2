"""The engine for a database address: which driver, how a connection is set up, how a transaction begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import StorageError
from storage.engine import sqlite_driver

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
WRITES = {"begin": "BEGIN IMMEDIATE"}  # the execution options of a transaction that writes
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
    """An engine for the SQLite file at ``path``, driven by aiosqlite, with connections for ``READERS`` and
    one writer."""
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=READERS + 1,
        max_overflow=0,
        pool_timeout=60,
        hide_parameters=True,  # they hold prompts
        pool_reset_on_return=None,  # every transaction here is ended where it was begun
        connect_args={
            "async_creator_fn": sqlite_driver.connect,
            "isolation_level": None,  # the driver begins nothing on its own
            "cached_statements": STATEMENTS,
        },
    )
    sa.event.listen(engine.sync_engine, "connect", _on_connect)
    sa.event.listen(engine.sync_engine, "begin", on_begin)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def on_begin(connection: sa.Connection) -> None:
    """Begin a transaction as the connection's options say. On SQLite a deferred one that reads and then
    writes fails at once when another wrote between (SQLITE_BUSY_SNAPSHOT): hence IMMEDIATE."""
    begin = connection.get_execution_options().get("begin", "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)
