"""What people find of answers: right or wrong. It is counted, and changes no later answer."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from core.job import Job
from jobs.queue import Queue
from storage.asking import feedback as rows
from storage.database import Database
from studio.actor import Actor
from studio.authority import Action
from studio.rights import Rights


class Feedback:
    """Notes what people find of answers that they can look at, once for each person and answer."""

    def __init__(self, rights: Rights, database: Database, queue: Queue) -> None:
        self._rights, self._database, self._queue = rights, database, queue

    async def note(self, actor: Actor, message_id: int, *, right: bool) -> bool:
        """Note that the actor finds the answer that a message shows right, or wrong; return False where it
        shows none. Raises NotAllowedError unless the actor may say so."""
        job = await self._answered(message_id)
        if job is None:
            return False
        await self._rights.check(actor, Action.RATE, job)
        now = datetime.now(UTC)
        await self._database.write(
            partial(rows.note, user_id=actor.user_id, job_id=job.id, right=right, now=now)
        )
        return True

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

    async def _answered(self, message_id: int) -> Job | None:
        """Return the question whose answer a message shows, None where it shows none, or none yet."""
        found = await self._queue.job_of_message(message_id)
        if found is None or not found[0].status.over:
            return None
        result = await self._queue.result(found[0].id)
        return found[0] if result is not None and result.answer is not None else None
