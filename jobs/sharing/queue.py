"""The queue as one of several programs on one database has it: it asks and watches as any queue does.

What only the leader knows is asked of it over the bus; where it doesn't answer, the rows say what they can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa

from core.events import Event, Paused, Queued
from core.job import Job
from jobs.feed import Feed, Wait, Watch
from jobs.overview import MINE
from jobs.queue import look_at_error
from jobs.sharing.feeds import ToldFeed
from jobs.sharing.leading import LeadingQueue
from jobs.sharing.messages import Answered, AskView, Jobs, Look, Placed, View
from jobs.sharing.views import by_rows, shown, told
from jobs.sharing.words import Answers
from jobs.views import Snapshot, Submitted
from storage import jobs as rows
from storage import lookup
from storage.lookup import WaitingRow
from storage.records import AuditRow, set_setting
from storage.several import unfinished
from storage.several.unfinished import DRAINING


class SharedQueue(LeadingQueue):
    """A queue beside those of other programs."""

    async def _queued(self, job: Job, row: WaitingRow, served: int) -> Submitted:
        if not self.leads:
            self._dispatcher.feeds.open(row.id, row.user_id, row.created_at)
            said = await self._words.ask("new", Jobs([job.id]), Placed)
            queued = said.queued if said is not None else None
            if queued is not None and (feed := self._dispatcher.feeds.get(job.id)) is not None:
                feed.publish(queued)
            return Submitted(job, queued.position, queued.eta) if queued else Submitted(job, 0)
        self._take_in(row, served)  # unless a look was quicker
        place = self._dispatcher.positions.announce(job.id) or Queued(0)
        return Submitted(job, place.position, place.eta)

    async def _find(self, job_id: str) -> Feed | Event | None:
        found = await super()._find(job_id)
        if not isinstance(found, Paused) or not self._started:
            return found
        job = await self.job(job_id)  # it wasn't over, and no look has met it yet
        if job is None or job.status.over:
            return await super()._find(job_id)
        self._dispatcher.feeds.open(job_id, job.origin.user_id, job.created_at)
        return self._dispatcher.feeds.get(job_id)

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return len(self._dispatcher.feeds)

    def watch(self, job_id: str, wait: Wait | None = None) -> Watch:
        """As of ``Queue``: of a job that another program has, what that tells too."""
        self._words.follow(job_id, partial(self._hear, job_id))
        return super().watch(job_id, wait)

    def _hear(self, job_id: str, event: Event | None) -> None:
        if self.leads:
            return
        feed = self._dispatcher.feeds.get(job_id)
        if event is None:
            self._look_at_end(job_id)
        elif isinstance(feed, ToldFeed):
            feed.hear(event)

    def _look_at_end(self, job_id: str) -> None:
        """Its row says how the job has ended."""
        task = asyncio.create_task(self._note_ends([job_id]), name="end elsewhere")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(look_at_error)  # a look tells of it later

    async def snapshot(self, limit: int = 25, guild_id: int | None = None) -> Snapshot:
        """As of ``Queue``, asked of the leader; without its answer, what the rows say."""
        if self.leads:
            return await super().snapshot(limit, guild_id)
        return await self._shown(AskView(limit, guild_id))

    async def mine(self, user_id: int) -> Snapshot:
        """The same of one member's jobs."""
        if self.leads:
            return await super().mine(user_id)
        return await self._shown(AskView(MINE, user_id=user_id))

    async def _shown(self, asked: AskView) -> Snapshot:
        view = await self._words.ask("view", asked, View)
        found = await self.database.read(unfinished.standing)
        if view is None:
            view = by_rows(found, asked.limit, asked.guild_id, asked.user_id)
        ids = [*(one.id for one in view.waiting), *(one.id for one in view.running)]
        return shown(view, await self.database.read(partial(lookup.get_many, ids=ids), once=True), found)

    async def _cancel(self, job_id: str) -> bool:
        if self.leads:
            return await super()._cancel(job_id)
        said = await self._words.ask("cancel", Jobs([job_id]), Answered)
        if said is not None:
            self.look_soon()
            return said.yes
        return await super()._cancel(job_id)  # its row: the leader sees that

    async def _clear(self, row: AuditRow, work: Callable[[sa.Connection], list[str]]) -> int:
        count = await super()._clear(row, work)
        self._say_look()
        return count

    def note_deleted(self, user_id: int, job_ids: Iterable[str]) -> None:
        """As of ``Queue``; the leader sees it in the rows."""
        super().note_deleted(user_id, job_ids)
        self._say_look()

    def _say_look(self) -> None:
        if not self.leads:
            self._words.say_look()

    def run_again(self, job_ids: Iterable[str]) -> None:
        """As of ``Queue``: the leader is asked until it answers. One that has gone can't: the next begins
        anew anyway, with what the rows say then."""
        if self.leads:
            super().run_again(job_ids)
        elif ids := list(job_ids):
            task = asyncio.create_task(self._ask_again(ids), name="run again")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_again(self, ids: list[str]) -> None:
        while self._started and not self.leads:
            if await self._words.ask("again", Jobs(ids), Answered) is not None:
                return
            await asyncio.sleep(self._every)
        super().run_again(ids)

    # What others ask the leader

    def _answers(self) -> Answers:
        return {
            "new": (Jobs, self._answer_new),
            "cancel": (Jobs, self._answer_cancel),
            "again": (Jobs, self._answer_again),
            "view": (AskView, self._answer_view),
            "look": (Look, self._answer_look),
        }

    async def _answer_new(self, asked: Jobs, _: str) -> Placed:
        await self.take_in(asked.ids)
        return Placed(self._dispatcher.positions.announce(asked.ids[0]) if self._has(asked.ids) else None)

    def _has(self, ids: list[str]) -> bool:
        return bool(ids) and ids[0] in self._dispatcher.feeds

    async def _answer_cancel(self, asked: Jobs, _: str) -> Answered:
        return Answered(await self.cancel(asked.ids[0]))

    async def _answer_again(self, asked: Jobs, _: str) -> Answered:
        super().run_again(asked.ids)
        return Answered(True)

    async def _answer_view(self, asked: AskView, _: str) -> View:
        if asked.user_id is not None:
            return told(await self.mine(asked.user_id))
        return told(await self.snapshot(asked.limit, asked.guild_id))

    async def _answer_look(self, _: Look, __: str) -> Answered:
        self.look_soon()
        return Answered(True)

    async def _move_to_front(self, actor_id: int, job_id: str) -> bool:
        if self.leads and job_id in self._dispatcher.waitlist:
            return await super()._move_to_front(actor_id, job_id)
        row = AuditRow(datetime.now(UTC), actor_id, "move to front", target=job_id)
        place = await self._audited(row, partial(rows.set_front, job_id=job_id))
        self._say_look()
        return place is not None

    async def drain(self, actor_id: int) -> None:
        """Take no new jobs until ``resume``, in no program; finish what is there."""
        work = partial(set_setting, key=DRAINING, value=True)
        await self._audited(AuditRow(datetime.now(UTC), actor_id, "drain"), work)
        self._admission.draining = True

    async def resume(self, actor_id: int) -> None:
        """End a pause or a drain."""
        await self.database.write(partial(set_setting, key=DRAINING, value=False))
        await super().resume(actor_id)
