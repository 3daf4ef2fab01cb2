"""A database of today's schema, made once a process and copied: running all migrations took most of the time
in which a test opened its own."""

import asyncio
import functools
import tempfile
import threading
from pathlib import Path

from storage.database import open_database
from storage.engine.address import sqlite_path


def fresh_database(address: str | Path) -> None:
    """Put an empty database where ``address`` says, unless there is one. Nothing for a database server."""
    path = sqlite_path(address)
    if path is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


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
