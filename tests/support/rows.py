"""Rows of a database that a program under test has open, read past that program."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from storage.engines.base import sqlite_path
from tests.support import postgres


def rows(address: str | Path, statement: str) -> list[tuple[Any, ...]]:
    """Return what a SELECT finds now: in a SQLite file, or on a server of ``tests.support.postgres``."""
    path = sqlite_path(address)
    if path is not None:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(statement).fetchall()
    with postgres.connect(*postgres.place_of(str(address))) as plain:
        found: list[tuple[Any, ...]] = plain.execute(statement).fetchall()
        return found
