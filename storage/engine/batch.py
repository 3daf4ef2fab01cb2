"""Functions on rows that share one commit: each ends as if it were alone.

A savepoint around each is two more ways to a server. So there they begin without: a function that fails
before it has written anything, such as one that refuses a job, leaves nothing to undo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

Work = Callable[[sa.Connection], Any]
WRITES = "has written"  # in the info of a connection: whether what runs now has sent more than questions


@dataclass
class Pending:
    """A function that waits to be run. done: is told its result."""

    work: Work
    done: asyncio.Future[Any] = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """Stands in the place of a result."""

    error: Exception


class Spoilt(Exception):
    """A function has failed amid others without a savepoint of its own: nothing of them may be kept."""


def run_all(batch: Sequence[Pending], connection: sa.Connection) -> list[Any]:
    """Return the results in order; Failed in the place of one that failed, which alone is rolled back."""
    if len(batch) == 1:
        return [batch[0].work(connection)]  # what it raises ends the transaction
    results: list[Any] = []
    for pending in batch:
        try:
            with connection.begin_nested():
                results.append(pending.work(connection))
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            results.append(Failed(error))
    return results


def run_bare(batch: Sequence[Pending], connection: sa.Connection) -> list[Any]:
    """The same without savepoints, on a connection that ``note_writes``. Raises Spoilt when one fails that
    has written, or was refused by a constraint, amid others."""
    results: list[Any] = []
    for pending in batch:
        connection.info[WRITES] = False
        try:
            results.append(pending.work(connection))
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            if connection.info[WRITES]:
                if len(batch) == 1:
                    raise
                raise Spoilt from error
            results.append(Failed(error))
    return results


def note_writes(connection: sa.Connection, cursor: Any, statement: str, *_: Any) -> None:
    """Remember that a statement is more than a question. For SQLAlchemy's ``before_cursor_execute``."""
    if not statement.startswith("SELECT"):
        connection.info[WRITES] = True
