"""What people find of answers: right or wrong. It is counted, and changes no later answer."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from core.errors import ImageError
from jobs.queue import Queue
from storage import conversations as rows
from storage.database import Database
from studio.actor import Actor
from studio.authority import Action
from studio.rights import Rights


class Feedback:
    """Notes what people find of answers that they can look at, once for each person and answer."""

    def __init__(self, rights: Rights, database: Database, queue: Queue) -> None:
        self._rights, self._database, self._queue = rights, database, queue

    async def is_about(self, message_id: int) -> bool:
        """Return whether a message shows an answer that is all there."""
        found = await self._queue.job_of_message(message_id)
        result = await self._queue.result(found[0].id) if found and found[0].status.over else None
        return result is not None and result.answer is not None

    async def note(self, actor: Actor, message_id: int, *, right: bool) -> None:
        """Note that the actor finds the answer that a message shows right, or wrong.

        Raises ImageError where it shows none, NotAllowedError unless the actor may say so.
        """
        found = await self._queue.job_of_message(message_id)
        if found is not None:
            await self._rights.check(actor, Action.RATE, found[0])
        if found is None or not await self.is_about(message_id):
            raise ImageError("That message shows no answer.")
        mine = partial(
            rows.note, user_id=actor.user_id, job_id=found[0].id, right=right, now=datetime.now(UTC)
        )
        await self._database.write(mine)

    async def withdraw(self, actor: Actor, message_id: int, *, right: bool) -> None:
        """Forget that the actor finds the answer that a message shows right, or wrong; nothing happens if
        they didn't."""
        await self._rights.check(actor, Action.MINE)
        found = await self._queue.job_of_message(message_id)
        if found is not None:
            mine = partial(rows.withdraw, user_id=actor.user_id, job_id=found[0].id, right=right)
            await self._database.write(mine)

    async def of(self, actor: Actor, job_id: str) -> rows.Feedback:
        """Return how many people found a job's answer right, and how many wrong. Raises ImageError or
        NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.DETAILS)
        return await self._database.read(partial(rows.of_answer, job_id=job.id))
