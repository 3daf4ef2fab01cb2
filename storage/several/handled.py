"""What of Discord's events has been dealt with by one of several processes that are told the same: a picture
in a direct message, a reaction. A row is a digest, which names nobody, and is kept for a day."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import sqlalchemy as sa

from storage.people import upsert
from storage.schema import UtcTimestamp, metadata

KEPT = timedelta(days=1)

handled = sa.Table(
    "handled",
    metadata,
    sa.Column("event", sa.Text, primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Index("handled_at", "at"),
    sqlite_strict=True,
)


def take(connection: sa.Connection, event: str, *, within: timedelta, now: datetime) -> bool:
    """Note that an event is dealt with. Return False where it was ``within`` that time before. Of two
    processes that note the same at once, one is told True."""
    digest = hashlib.sha256(event.encode()).hexdigest()[:32]
    again = sa.and_(handled.c.event == digest, handled.c.at <= now - within)
    connection.execute(sa.delete(handled).where(sa.or_(handled.c.at <= now - KEPT, again)))
    return bool(connection.execute(upsert(connection, handled, {"event": digest, "at": now}, {})).rowcount)
