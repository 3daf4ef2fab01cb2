"""Pictures on their way into a project, or before its model: counted, read, and found."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import ImageError, LimitError
from studio.actor import Actor
from studio.asking.new_job import Source
from studio.asking.sources import Sources
from studio.asking.words import duration
from studio.pace import Pace
from studio.pictures.intake import Readable, Taken
from studio.services import Services

AT_ONCE, EVERY = 600, 2.0  # pictures of one person at once, and seconds for each one after these


class Bringing:
    """Projects take many pictures, so they are counted apart from those that are sent to be worked on."""

    def __init__(self, sources: Sources, services: Services) -> None:
        self._sources, self._queue, self._intake = sources, services.queue, services.intake
        self._pace = Pace[int](AT_ONCE, EVERY)

    async def take_all(self, actor: Actor, pictures: Sequence[Readable | str]) -> list[Source | ImageError]:
        """Return pictures that somebody sends, whose right has been checked, several read at once; ones of
        ours by their names, or, by their SHA-256, ones that they have sent. An ImageError stands in the place
        of each that isn't taken.

        Raises LimitError for too many or on a full disk, UserError for another form of name, NotAllowedError
        for somebody else's.
        """
        await self._queue.check_room()
        for _ in pictures:
            self.count(actor)
        files = [one for one in pictures if not isinstance(one, str)]
        taken = iter(await self._intake.take_all(files, actor.user_id))
        return [
            await self._named(actor, one) if isinstance(one, str) else _source(next(taken))
            for one in pictures
        ]

    async def all_of(self, actor: Actor, pictures: Sequence[Readable | str]) -> list[Source]:
        """Return the same where each has to be taken. Raises ImageError for the first that isn't, and as
        ``take_all`` does."""
        found = []
        for source in await self.take_all(actor, pictures):
            if isinstance(source, ImageError):
                raise source
            found.append(source)
        return found

    async def _named(self, actor: Actor, name: str) -> Source | ImageError:
        try:
            return await self._sources.meant(actor, name)
        except ImageError as error:
            return error

    def count(self, actor: Actor) -> None:
        """Count one picture of somebody's. Raises LimitError after too many."""
        if wait := self._pace.take(actor.user_id):
            raise LimitError(f"You have added {AT_ONCE} pictures in a short time. Go on in {duration(wait)}.")


def _source(taken: Taken | ImageError) -> Source | ImageError:
    return taken if isinstance(taken, ImageError) else Source(taken.sha256, taken.width, taken.height)
