"""The notes that a move of rows leaves: in its target until it is finished, and in its source for good. Every
start looks for both."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from core.errors import StorageError
from storage.database import Database
from storage.schema import settings

NOTE = "moving"  # key of the note in the target's settings
LEFT = "moved_to"  # of that in the source's: where the rows are now
CAME_FROM = "moved_from"  # in the target's, once it is finished: {"source": …, "at": seconds since 1970}


def note_of(connection: sa.Connection) -> Any:
    """Return what the move has noted, None when none is under way."""
    text = connection.scalar(sa.select(settings.c.value).where(settings.c.key == NOTE))
    return None if text is None else json.loads(text)


async def refuse_half_moved(database: Database) -> None:
    """Raise StorageError when a move into the database isn't finished."""
    if await database.read(note_of) is not None:
        raise StorageError(
            "A move into this database isn't finished. Run `atelier move-database` again, which goes on with"
            " it, or set DATABASE_URL back to where the rows came from."
        )
