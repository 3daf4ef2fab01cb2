"""What a person looks at without asking for a certain job: their pictures, page by page, what became of each,
and their newest jobs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

from core.errors import ImageError
from core.events import Progress
from core.job import Job
from jobs.queue import Queue
from storage import gallery as rows
from storage.database import Database
from storage.gallery import Cursor, Filter, Tile
from storage.lookup import StoredPicture
from studio.actor import Actor, Place
from studio.asking.new_job import picture_of
from studio.authority import Action
from studio.moderation.rules import Visibility
from studio.pictures.showing import Showing, Shown
from studio.rights import Rights

KEPT, KEPT_FOR = 5000, 60.0  # judgements on pictures, and seconds until each is asked for again


@dataclass(frozen=True)
class Page:
    """Pictures of one page. older: where the next page begins, None at the end."""

    tiles: tuple[Tile, ...]
    older: Cursor | None


@dataclass(frozen=True)
class Lineage:
    """What a picture was made from, and the jobs that were made from it; only what the person may see."""

    parent: tuple[Job, int] | None
    children: tuple[Job, ...]


class Gallery:
    """Looks at pictures for an actor, whose right every method checks."""

    def __init__(self, rights: Rights, database: Database, queue: Queue, showing: Showing) -> None:
        self._rights, self._database, self._queue, self._showing = rights, database, queue, showing
        self._judged: OrderedDict[tuple[str, str, Place], tuple[float, Visibility]] = OrderedDict()

    async def pictures(
        self, actor: Actor, wanted: Filter, *, before: Cursor | None = None, skip: int = 0, limit: int = 60
    ) -> Page:
        """Return the actor's own pictures after ``before``, or the newest. skip: leave so many out first."""
        await self._rights.check(actor, Action.MINE)
        work = partial(
            rows.tiles, user_id=actor.user_id, wanted=wanted, before=before, skip=skip, limit=limit + 1
        )
        found = await self._database.read(work, once=True)
        page = found[:limit]
        return Page(tuple(page), page[-1].cursor if len(found) > limit else None)

    async def months(self, actor: Actor) -> list[tuple[str, int]]:
        """Return ("2026-11", number of the actor's pictures) of each month that has any, newest first."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.months, user_id=actor.user_id), once=True)

    async def newest(self, actor: Actor, limit: int = 20) -> list[Job]:
        """Return the actor's newest jobs that are over, whatever came of them."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.newest, user_id=actor.user_id, limit=limit)
        return await self._database.read(work, once=True)

    async def kept(self, actor: Actor, job_id: str) -> set[int]:
        """Return which pictures (from 0) of a job are among the actor's favourites."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.kept, user_id=actor.user_id, job_id=job_id)
        return await self._database.read(work, once=True)

    async def lineage(self, actor: Actor, job_id: str, index: int) -> Lineage:
        """Return where picture ``index`` (from 0) of a job comes from and what was made from it.

        Raises ImageError or NotAllowedError.
        """
        job = await self._rights.job(actor, job_id, Action.SHOW)
        parent = await self._queue.job(job.parent_id) if job.parent_id else None
        seen = parent is not None and await self._rights.sees(actor, parent)
        work = partial(rows.made_from, job_id=job_id, index=index)
        made = await self._database.read(work, once=True)
        children = [child for child in made if await self._rights.sees(actor, child)]
        return Lineage((parent, job.parent_index or 0) if parent and seen else None, tuple(children))

    async def visibility(
        self, actor: Actor, job: Job, pictures: Sequence[StoredPicture]
    ) -> tuple[Visibility, ...]:
        """Return how pictures of a job may be shown to the actor, one for each. Raises NotAllowedError."""
        await self._rights.check(actor, Action.SHOW, job)
        return tuple([await self._judge(actor.place, job, picture) for picture in pictures])

    async def own_visibility(self, actor: Actor, tiles: Sequence[Tile]) -> tuple[Visibility, ...]:
        """Return the same of the actor's own pictures. Raises ImageError for somebody else's."""
        if any(tile.job.origin.user_id != actor.user_id for tile in tiles):
            raise ImageError("These pictures aren't yours.")
        return tuple([await self._judge(actor.place, tile.job, tile.picture) for tile in tiles])

    async def _judge(self, place: Place, job: Job, picture: StoredPicture) -> Visibility:
        """Return what moderation says, as it was within the last minute: a page asks for 60 at once."""
        key, now = (picture.sha256, job.id, place), monotonic()
        at, known = self._judged.get(key, (0.0, None))
        if known is not None and now - at < KEPT_FOR:
            return known
        found = await self._showing.visibility(place, picture, job)
        self._judged[key] = now, found
        self._judged.move_to_end(key)
        while len(self._judged) > KEPT:
            self._judged.popitem(last=False)
        return found

    async def thumbnail(
        self, actor: Actor, job_id: str, index: int, side: int, *, veiled: bool = True
    ) -> Shown:
        """Return picture ``index`` (from 0; -1 = the chart) of a job as WebP of at most ``side`` px, as it
        may be shown where the actor is. veiled: blur a spoiler. Raises ImageError or NotAllowedError."""
        result = await self._rights.result(actor, job_id, Action.SHOW)
        picture = result.grid if index < 0 else picture_of(result, index)
        if picture is None:
            raise ImageError(f"Job `{job_id}` has no overview.")
        return await self._showing.thumbnail_in(actor.place, picture, result.job, side, veiled=veiled)

    async def sent(self, actor: Actor, sha256: str) -> bytes:
        """Return a picture that the actor has sent as WebP of at most 256 px. Raises ImageError for any
        other."""
        await self._rights.check(actor, Action.MINE)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError("That picture is gone; send it again.")
        return await self._showing.small(sha256)

    async def preview(self, actor: Actor, job_id: str) -> bytes | None:
        """Return the newest preview of a job that runs, as JPEG; None when there is none, or none that may
        be shown where the actor is. Raises ImageError or NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        latest = self._queue.news(job.origin.user_id).live.get(job_id)
        if not isinstance(latest, Progress) or latest.preview is None:
            return None
        return await self._showing.preview(latest.preview, job, actor.place)
