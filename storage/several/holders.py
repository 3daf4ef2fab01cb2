"""Which connections to Discord no other living process has: by advisory locks of the session that writes,
which end with it.

https://www.postgresql.org/docs/current/view-pg-locks.html
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

HELD = 0x41544C54  # with a connection's number; beside the locks of ``storage.engine.holding``
_NOTE = sa.text(
    "SELECT pg_try_advisory_lock_shared(:held, number) FROM unnest(CAST(:numbers AS int[])) number"
)
_HOLDERS = sa.text(
    "SELECT objid::bigint AS number, bool_or(pid = pg_backend_pid()) AS ours,"
    " bool_or(pid <> pg_backend_pid()) AS others FROM pg_locks"
    " WHERE locktype = 'advisory' AND classid::bigint = :held AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY objid"
)


def alone(connection: sa.Connection, numbers: Collection[int]) -> frozenset[int]:
    """Note that this process has connections, by their numbers; return those that no other process has. With
    SQLite there is no other."""
    if connection.dialect.name != "postgresql":
        return frozenset(numbers)
    noted = {row.number for row in connection.execute(_HOLDERS, {"held": HELD}) if row.ours}
    if missing := sorted(set(numbers) - noted):
        connection.execute(_NOTE, {"held": HELD, "numbers": missing})
    others = {row.number for row in connection.execute(_HOLDERS, {"held": HELD}) if row.others}
    return frozenset(numbers) - others
