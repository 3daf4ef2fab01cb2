"""Who may write on a PostgreSQL server: one Atelier alone, or several that share it and have one leader.

All of it is advisory locks of the writer's session, so that they end with it. Whoever has lost one writes
nothing that needed it: a session takes them before its first transaction.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from time import monotonic
from typing import Any

import sqlalchemy as sa

from core.errors import DatabaseInUse
from storage.engine.failures import ServerAway

log = logging.getLogger(__name__)
LOCK = (0x41544C52, 1)  # of a database: "ATLR", the programs that may write
LEADER = (0x41544C52, 2)  # the one of them that starts jobs
OWN = 0x41544C53  # with a number made of a program's name: its one session that writes
START_PATIENCE = 3.0  # seconds for a program that was killed just now to lose its lock
SHARING_PATIENCE = 15.0  # the same while another may be making the schema
MAY_IDLE = 10  # seconds after which a session of several that says nothing loses its locks
KNOWS_IDLE = 140_000  # the first version of PostgreSQL that ends such sessions


class Hold:
    """The locks of one program's writer. ``name``: what its sessions are called, before "writes"."""

    def __init__(self, name: str, database: str, *, several: bool) -> None:
        self.name, self.several = name, several
        self._database = database
        self._locked = False  # has had the lock
        self.leads = False  # the writer's session has the leader's lock, or takes it up again

    async def take(self, connection: Any) -> None:
        """Take the locks for a new session of the writer. Raises DatabaseInUse when another program has the
        database. A session of this program that lives on where the way to it is lost is ended, whatever it
        was doing."""
        end = monotonic() + (SHARING_PATIENCE if self.several else START_PATIENCE)
        while not await self._try(connection):
            if monotonic() > end:
                raise DatabaseInUse(await self._told_of_holder(connection))
            await asyncio.sleep(0.1)
        self._locked = True
        if self.leads and not await self._ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", LEADER):
            log.warning("another Atelier leads now")
            self.leads = False

    async def _try(self, connection: Any) -> bool:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [f"{self.name} writes"],
        )
        await connection.commit()
        if not self.several:
            return await self._ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", LOCK)
        own = OWN, int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], signed=True)
        if not await self._ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", own):
            raise ServerAway("the session before this one has not ended yet")
        if connection.info.server_version >= KNOWS_IDLE:
            await connection.execute(f"SET idle_session_timeout = '{MAY_IDLE}s'")
        return await self._ask(connection, "SELECT pg_try_advisory_lock_shared(%s, %s)", LOCK)

    async def lead(self, connection: Any) -> bool:
        """Take the leader's lock with the writer's session if nobody has it. Return whether it has it."""
        if not self.leads:
            self.leads = await self._ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", LEADER)
        else:
            await self._ask(connection, "SELECT true")  # whether the session is there still
        return self.leads

    async def resign(self, connection: Any) -> None:
        """Let another lead."""
        if self.leads:
            self.leads = False
            await self._ask(connection, "SELECT pg_advisory_unlock(%s, %s)", LEADER)

    async def alone(self, connection: Any) -> bool:
        """Have the database for oneself, if nobody else shares it now; until ``share``. Return whether."""
        return await self._ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", LOCK)

    async def share(self, connection: Any) -> None:
        """Let others in again."""
        await self._ask(connection, "SELECT pg_advisory_unlock(%s, %s)", LOCK)

    async def make_way(self, connection: Any, seconds: float) -> None:
        """Don't share the database for a while, so that another may have it for itself."""
        await self._ask(connection, "SELECT pg_advisory_unlock_shared(%s, %s)", LOCK)
        await asyncio.sleep(seconds)
        end = monotonic() + SHARING_PATIENCE
        while not await self._ask(connection, "SELECT pg_try_advisory_lock_shared(%s, %s)", LOCK):
            if monotonic() > end:
                raise DatabaseInUse(await self._told_of_holder(connection))
            await asyncio.sleep(0.1)

    async def _ask(self, connection: Any, question: str, values: tuple[int, ...] = ()) -> bool:
        cursor = await connection.execute(question, values or None)
        (answer,) = await cursor.fetchone()
        await connection.commit()
        return bool(answer)

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


def hold_keys(connection: sa.Connection, keys: Iterable[str]) -> None:
    """Wait until no other program's transaction has one of ``keys``, and keep them until this one ends. All
    at once and in one order: so no two wait for each other."""
    numbers = sorted({int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True) for key in keys})
    if numbers:
        statement = "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"
        connection.execute(sa.text(statement), {"keys": numbers})
