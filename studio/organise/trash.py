"""The trash: pictures that nothing shows any more, until their author takes them back or their time is up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from core.errors import ImageError
from jobs.queue import Queue
from storage import collections as rows
from storage.collections import Named, pick
from storage.database import Database
from studio.actor import Actor
from studio.authority import Action
from studio.privacy import Privacy
from studio.rights import Rights

AT_ONCE = 200  # pictures that are deleted in one transaction: every other write waits for it
NOTHING = "None of these pictures is there any more, or is yours."


class Trash:
    """Puts pictures away. A picture is named by its job's id and its own number from 0.

    Whatever isn't the actor's own is left out as if it weren't there.
    """

    def __init__(self, rights: Rights, database: Database, queue: Queue, privacy: Privacy) -> None:
        self._rights, self._database, self._queue, self._privacy = rights, database, queue, privacy

    @property
    def days(self) -> int:
        """For how many days pictures stay in the trash."""
        return self._privacy.retention.trash

    async def put(self, actor: Actor, names: Sequence[Named]) -> list[Named]:
        """Put pictures into the trash and return those that are there now. Raises ImageError for none."""
        found = await self._database.read(partial(pick, names=names))
        mine = await self._rights.owned(actor, Action.ORGANISE, {job.id: job for job, _ in found}.values())
        own = [(job.id, picture.index) for job, picture in found if job.id in mine]
        if not own:
            raise ImageError(NOTHING)
        put = partial(rows.trash_put, user_id=actor.user_id, names=own, now=datetime.now(UTC))
        await self._database.write(put)
        self._note(actor, own)
        return own

    async def take_back(self, actor: Actor, names: Sequence[Named]) -> list[Named]:
        """Take pictures out of the trash and return them. Raises ImageError for none."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.take_back, user_id=actor.user_id, names=names)
        back = await self._database.write(work)
        if not back:
            raise ImageError(NOTHING)
        self._note(actor, back)
        return back

    async def delete(self, actor: Actor, names: Sequence[Named]) -> int:
        """Delete pictures for good that are in the trash; return how many. Raises ImageError for none."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.among, user_id=actor.user_id, names=names)
        if not (found := await self._database.read(work)):
            raise ImageError(NOTHING)
        for start in range(0, len(found), AT_ONCE):
            await self._privacy.delete_pictures(actor.user_id, found[start : start + AT_ONCE])
        return len(found)

    async def empty(self, actor: Actor) -> int:
        """Delete for good all that is in the trash; return how many pictures that were."""
        await self._rights.check(actor, Action.MINE)
        some = partial(rows.trash_of_person, user_id=actor.user_id, limit=AT_ONCE)
        count = 0
        while names := await self._database.read(some, once=True):
            await self._privacy.delete_pictures(actor.user_id, names)
            count += len(names)
        return count

    async def count(self, actor: Actor) -> int:
        """Return how many pictures are in the trash."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(partial(rows.count, user_id=actor.user_id), once=True)

    def _note(self, actor: Actor, names: Sequence[Named]) -> None:
        self._queue.note_changed(actor.user_id, *dict.fromkeys(job_id for job_id, _ in names))
