"""Who may write on a PostgreSQL server: one Atelier.

It holds an advisory lock of its writer's session, which ends with it. Whoever has lost it writes nothing
more: a session takes it before its first transaction.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from core.errors import DatabaseInUse

LOCK = (0x41544C52, 1)  # of a database: "ATLR", the program that may write
START_PATIENCE = 3.0  # seconds for a program that was killed just now to lose its lock


class Hold:
    """The lock of one program's writer. ``name``: what its sessions are called, before "writes"."""

    def __init__(self, name: str, database: str) -> None:
        self.name = name
        self._database = database
        self._locked = False  # has had the lock

    async def take(self, connection: Any) -> None:
        """Take the lock for a new session of the writer. Raises DatabaseInUse when another program has the
        database. A session of this program that lives on where the way to it is lost is ended, whatever it
        was doing."""
        end = monotonic() + START_PATIENCE
        while not await self._try(connection):
            if monotonic() > end:
                raise DatabaseInUse(await self._told_of_holder(connection))
            await asyncio.sleep(0.1)
        self._locked = True

    async def _try(self, connection: Any) -> bool:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [f"{self.name} writes"],
        )
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
        (taken,) = await cursor.fetchone()
        await connection.commit()
        return bool(taken)

    async def _told_of_holder(self, connection: Any) -> str:
        cursor = await connection.execute(
            "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.granted"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            LOCK,
        )
        row = await cursor.fetchone()
        await connection.commit()
        words = row[0].split() if row else []
        whom = (
            f" (process {words[2]} on {words[1]}, since {row[1]:%Y-%m-%d %H:%M} UTC)"
            if len(words) > 3
            else ""
        )
        advice = "This one writes no more." if self._locked else "Stop it first, or set another DATABASE_URL."
        return f"Another Atelier{whom} is using the database {self._database}. {advice}"
