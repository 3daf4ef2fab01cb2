"""When connections to Discord were begun by any process of a bot, and when the next may be: in rows, by the
database's clock.

https://discord.com/developers/docs/events/gateway#sharding-max-concurrency: connections whose number is the
same by ``max_concurrency`` share a key, and of each key one may identify in 5 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storage.schema import Int64, UtcTimestamp, metadata

APART = timedelta(seconds=6)  # a second more than asked: what is sent in its time may arrive late
KEPT = timedelta(days=1)
Pause = Callable[[Sequence[float], float], float]  # seconds since 1970, oldest first, and now → seconds

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
    """now: by the database's clock. at: when the turn is."""

    now: datetime
    at: datetime

    @property
    def wait(self) -> timedelta:
        """Return how long it is until then."""
        return self.at - self.now


def following(connection: sa.Connection, key: int, *, now: datetime, pause: Pause) -> Turn:
    """Return the next turn of a key, which isn't taken. ``now``: where the database has no clock of its own.
    ``pause``: how many seconds the budget of a day asks for, given when the last ones were and the time."""
    if connection.dialect.name == "postgresql":
        now = connection.scalar(sa.text("SELECT clock_timestamp()")) or now
    times = sa.select(identifies.c.at).where(identifies.c.at >= now - KEPT)
    before = [at.timestamp() for at in connection.execute(times.order_by(identifies.c.at)).scalars()]
    last = connection.scalar(sa.select(sa.func.max(identifies.c.at)).where(identifies.c.key == key))
    at = now if last is None else max(now, last + APART)
    return Turn(now, max(at, now + timedelta(seconds=pause(before, now.timestamp()))))


def take(connection: sa.Connection, key: int, *, now: datetime, within: timedelta, pause: Pause) -> Turn:
    """Take the next turn of a key, and note it, unless it is later than ``within``."""
    turn = following(connection, key, now=now, pause=pause)
    connection.execute(sa.delete(identifies).where(identifies.c.at < turn.now - KEPT))
    if turn.wait <= within:
        connection.execute(sa.insert(identifies).values(key=key, at=turn.at))
    return turn
