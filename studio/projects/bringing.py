"""Pictures on their way into a project, or before its model: counted, read, and found."""

from __future__ import annotations

from core.errors import LimitError
from jobs.queue import Queue
from studio.actor import Actor
from studio.asking.new_job import Source
from studio.asking.sources import Sources
from studio.asking.words import duration
from studio.pace import Pace
from studio.pictures.intake import Readable

AT_ONCE, EVERY = 600, 2.0  # pictures of one person at once, and seconds for each one after these


class Bringing:
    """Projects take many pictures, so they are counted apart from those that are sent to be worked on."""

    def __init__(self, sources: Sources, queue: Queue) -> None:
        self._sources, self._queue = sources, queue
        self._pace = Pace[int](AT_ONCE, EVERY)

    async def take(self, actor: Actor, picture: Readable | str) -> Source:
        """Return a picture that somebody sends, whose right has been checked; one of ours by its name, or, by
        its SHA-256, one that they have sent.

        Raises ImageError for one that isn't taken, UserError for another form of name, LimitError for too
        many or on a full disk, NotAllowedError for somebody else's.
        """
        self.count(actor)
        if isinstance(picture, str):
            return await self._sources.meant(actor, picture)
        await self._queue.check_room()
        return await self._sources.read(actor, picture)

    def count(self, actor: Actor) -> None:
        """Count one picture of somebody's. Raises LimitError after too many."""
        if wait := self._pace.take(actor.user_id):
            raise LimitError(f"You have added {AT_ONCE} pictures in a short time. Go on in {duration(wait)}.")
