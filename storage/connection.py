"""What a function that works on rows is given: one open transaction.

Such functions are coroutines, so that they read like the rest of the program and compose with ``await``, but
they never wait: a whole transaction runs through in a thread of the database's, without a hop back to the
event loop for each statement. That takes a third of the processor time of a driver that hops, and nothing a
caller does can stop a transaction half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")


class Connection:
    """SQLAlchemy's ``Connection`` with ``await``. Read the rows of a result before the transaction ends."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: sa.Executable, parameters: Any = None) -> Any:
        return self._connection.scalar(statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.exec_driver_sql(statement, parameters)

    async def run_sync(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(connection, …)`` with SQLAlchemy's own connection."""
        return function(self._connection, *arguments)


def run_through(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that awaits nothing but its connection."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise RuntimeError("a transaction may wait for nothing but its connection")
