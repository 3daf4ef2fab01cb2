"""When connections to Discord were begun by any process of a bot, and when the next may be: in rows, by the
database's clock.

https://discord.com/developers/docs/events/gateway#sharding-max-concurrency: connections whose number is the
same by ``max_concurrency`` share a key, and of each key one may identify in 5 seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storage.schema import Int64, UtcTimestamp, metadata

APART = timedelta(seconds=6)  # a second more than asked: what is sent in its time may arrive late
KEPT = timedelta(days=1)

identifies = sa.Table(
    "identifies",
    metadata,
    sa.Column("seq", Int64, primary_key=True),
    sa.Column("key", Int64, nullable=False),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("identifies_key", "key", "at"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Turn:
    """wait: until then. before: when others were in the last day, oldest first."""

    wait: timedelta
    before: tuple[datetime, ...]


def take(connection: sa.Connection, key: int, *, now: datetime) -> Turn:
    """Take the next turn of a key, and note it. ``now``: where the database has no clock of its own."""
    if connection.dialect.name == "postgresql":
        now = connection.scalar(sa.text("SELECT clock_timestamp()")) or now
    connection.execute(sa.delete(identifies).where(identifies.c.at < now - KEPT))
    before = tuple(connection.execute(sa.select(identifies.c.at).order_by(identifies.c.at)).scalars())
    last = connection.scalar(sa.select(sa.func.max(identifies.c.at)).where(identifies.c.key == key))
    at = now if last is None else max(now, last + APART)
    connection.execute(sa.insert(identifies).values(key=key, at=at))
    return Turn(at - now, before)
