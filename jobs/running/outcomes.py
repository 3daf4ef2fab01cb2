"""Brings what comes of a run to the rows and to those who watch: rendered, failed, or queued again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

from core.errors import FilesAway, StorageError
from core.events import Event, Failed, Output, Rendered
from core.job import Status
from jobs.active import ActiveJob
from jobs.executor import Lost, Outcome
from jobs.feed import Feeds
from jobs.order.placement import REFUSAL_PAUSES, Placement
from jobs.order.positions import Positions
from jobs.order.waitlist import Waitlist
from jobs.running.saving import FileMissing, Saving
from storage import jobs as rows
from vision.protocol import Broke, Done, Fault

GAVE_UP = "This job stopped the worker three times and was given up. Other words or a smaller size may work."
CUT_OFF = (
    "The studio itself ended ten times while it worked on this job, so it was given up. Please tell the host"
    " before you try again."
)
NOT_BEGUN = (
    "No worker could begin this job, though several tries were made. Please tell the host, whose log says"
    " why, and try again later."
)
NOT_SAVED = "The picture is ready but could not be saved. Please tell the host, whose log says why."
LATER = 15.0  # s until a job is handed out again of which it can't be told whether it may run
log = logging.getLogger(__name__)


class Outcomes:
    """``stopping``: is set when the studio stops, so that lost workers are its own doing. on_rendered: called
    with the id of each job whose pictures are stored. wake: called when a job may be started again."""

    def __init__(
        self,
        saving: Saving,
        waitlist: Waitlist,
        feeds: Feeds,
        placement: Placement,
        positions: Positions,
        *,
        stopping: asyncio.Event,
        on_rendered: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._on_rendered, self._wake = on_rendered, wake
        self.held: set[str] = set()  # jobs that wait beside the list for a while
        self._saving, self._waitlist, self._feeds = saving, waitlist, feeds
        self._placement, self._positions, self._stopping = placement, positions, stopping

    async def end(self, live: ActiveJob, outcome: Outcome) -> None:
        """One of: rendered, failed, queued again. Nothing, when the job was cancelled or given back
        meanwhile."""
        job_id = live.job.id
        if live.is_begun or not isinstance(outcome, Lost):
            self._placement.note_begun(live.device)
        if job_id not in self._feeds:
            log.info("job %s had been cancelled", job_id)
        elif isinstance(outcome, Lost) and outcome.goes_on:
            log.info("job %s goes on where it is", job_id)
        elif isinstance(outcome, Done):
            await self._rendered(live, outcome.output)
        elif isinstance(outcome, Broke) and outcome.fault in (Fault.USER, Fault.MODEL, Fault.MEMORY):
            log.info("job %s failed: %s", job_id, outcome.fault.value)
            await self._failed(live, outcome.message)
        elif isinstance(outcome, Broke):
            log.warning("job %s broke: %s", job_id, outcome.fault.value)
            await self.retry(live, outcome.message)
        elif isinstance(outcome, Lost):
            await self._lost(live, outcome)
        else:
            log.warning("job %s stopped on its own", job_id)
            await self.retry(live, GAVE_UP)

    async def _lost(self, live: ActiveJob, lost: Lost) -> None:
        """The first loss that nobody can be blamed for costs no attempt; but then the job has a device to
        itself, and if that is lost too, both count. A machine that can't begin a job may be asked again a few
        times, with pauses; then each time costs an attempt."""
        self._placement.note_loss(live.device)
        if not self._stopping.is_set():  # else we ended it ourselves, and the row has no lease any more
            others = ", other jobs with it" if lost.shared else ""
            log.warning("job %s: worker lost: %s%s", live.job.id, lost.reason, others)
        if lost.untouched and not live.is_begun and not self._stopping.is_set():
            count, pause = self._placement.note_refusal(live.device, live.waiting, monotonic())
            asyncio.get_running_loop().call_later(pause, self._wake)
            if count >= len(REFUSAL_PAUSES):
                return await self.retry(live, NOT_BEGUN, alone=live.waiting.alone)
        if lost.untouched or lost.shared and not live.waiting.suspect:
            live.waiting.suspect = live.waiting.suspect or lost.shared
            live.waiting.be_alone(wanted=live.waiting.alone or lost.shared)
            if await self._saving.persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
                self.back_to_waiting(live)
        else:
            await self.retry(live, GAVE_UP, uncounted=int(live.waiting.suspect))

    async def _rendered(self, live: ActiveJob, output: Output) -> None:
        """Files first, then the rows and the status in one transaction: what a row names is there."""
        try:
            stored = await self._saving.save(output)
        except FileMissing:
            log.exception("job %s: its worker has not written what it says", live.job.id)
            await self.retry(live, GAVE_UP)
            return
        except FilesAway:
            log.warning("job %s goes back to the queue: its files couldn't be stored", live.job.id)
            return
        except StorageError:
            log.exception("job %s can't be saved", live.job.id)
            await self._failed(live, NOT_SAVED)
            return
        work = partial(
            rows.finish,
            job_id=live.job.id,
            output=stored,
            token=live.token,
            now=_now(),
            run_seconds=live.seconds,
        )
        if await self._saving.persist(work):
            self._positions.estimate.add(live.waiting.cost_key, live.seconds)
            log.info("job %s rendered in %.1f s", live.job.id, monotonic() - live.began)
            self.publish_end(live.job.id, Rendered())
            self._on_rendered(live.job.id)

    async def _failed(self, live: ActiveJob, message: str) -> None:
        if await self._saving.persist(
            partial(rows.fail, job_id=live.job.id, message=message, token=live.token, now=_now())
        ):
            self.publish_end(live.job.id, Failed(message))

    async def retry(self, live: ActiveJob, message: str, *, uncounted: int = 0, alone: bool = True) -> None:
        """Queue the job again, or end it with ``message`` after its last attempt. ``uncounted``: attempts
        that were spared before and count now. ``alone``: nothing else may be on its device then."""
        live.waiting.be_alone(wanted=alone)
        live.waiting.suspect = False
        work = partial(
            rows.retry, job_id=live.job.id, token=live.token, message=message, now=_now(), uncounted=uncounted
        )
        status = await self._saving.persist(work)
        if status is Status.FAILED:
            log.warning("job %s failed after %d attempts", live.job.id, live.job.attempts)
            self.publish_end(live.job.id, Failed(message))
        elif status is Status.QUEUED:
            self.back_to_waiting(live)

    async def wait_on(self, live: ActiveJob, reason: str) -> None:
        """Queue the job again with no attempt counted, and put it into the list a while later."""
        log.info("job %s waits on: %s", live.job.id, reason)

        def later() -> None:
            self.held.discard(live.job.id)
            self.back_to_waiting(live)
            self._wake()

        if await self._saving.persist(partial(rows.give_back, job_id=live.job.id, token=live.token)):
            self.held.add(live.job.id)
            asyncio.get_running_loop().call_later(LATER, later)

    def back_to_waiting(self, live: ActiveJob) -> None:
        """Put a job whose row is queued again into the list."""
        if live.job.id in self._feeds:  # else cancelled in this very moment
            self._waitlist.add(live.waiting, monotonic())
            self._positions.forget(live.job.id)

    def publish_end(self, job_id: str, event: Event) -> None:
        """Tell the watchers the job's last event."""
        self._positions.forget(job_id)
        self._feeds.end(job_id, event)


def _now() -> datetime:
    return datetime.now(UTC)
