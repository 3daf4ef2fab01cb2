"""Jobs that were chosen for devices and are claimed in the rows, several in one commit: a disk that is slow,
or a database far away, holds up what comes after them and not each of them in turn."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import sqlalchemy as sa

from core.job import Job
from core.telemetry.tracing import Tracing
from jobs.order.fairness import Waiting
from jobs.order.placement import Placement
from jobs.order.waitlist import Turn, Waitlist
from storage import jobs as rows
from storage import people
from storage.database import Database
from storage.lookup import UnreadableJob

AT_ONCE = 16  # claims in one commit, at most
UNREADABLE = "This job was made by another version of Atelier and can't be run any more. Please ask again."
log = logging.getLogger(__name__)


@dataclass
class Claim:
    """A job that has left the list and isn't running yet. token: of its run. turn: what its member had for
    it. Once ``written``: row, None when the job waits no more; unreadable: why it can't be run, its row says
    by now that it has failed. Else error: why not."""

    waiting: Waiting
    device: str
    token: str
    turn: Turn
    written: bool = False
    row: Job | None = None
    unreadable: UnreadableJob | None = None
    error: Exception | None = None
    handed = False  # as running jobs are asked

    @property
    def cost(self) -> int:
        """What the job is counted as."""
        return self.turn.cost


class Claims:
    """Those that are under way."""

    def __init__(
        self, database: Database, waitlist: Waitlist, placement: Placement, tracing: Tracing
    ) -> None:
        self._database, self._waitlist, self._placement = database, waitlist, placement
        self._tracing = tracing
        self._claims: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._claims

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def begin(self, waiting: Waiting, device: str, own: str) -> None:
        """Take a job out of the list for a device: from now on it counts as its member's turn. own: see
        ``Waitlist.note_start``."""
        now = monotonic()
        self._waitlist.remove(waiting.job_id, now)
        turn = self._waitlist.note_start(waiting, now, own)
        self._placement.note_start(device, waiting)
        self._claims[waiting.job_id] = Claim(waiting, device, secrets.token_hex(16), turn)

    async def write(self) -> Sequence[Claim]:
        """Write all that were begun and return them. Jobs of which nothing could be written are in the list
        again."""
        claims = list(self)
        try:
            await asyncio.gather(*map(self._write_one, claims))
        finally:
            for claim in reversed(claims):  # what was counted last is taken back first
                del self._claims[claim.waiting.job_id]
                if claim.row is None:
                    self._waitlist.take_back(claim.waiting, claim.turn, monotonic())
                if not claim.written:
                    self._waitlist.add(claim.waiting, monotonic())
        return claims

    async def _write_one(self, claim: Claim) -> None:
        waiting = claim.waiting
        work = partial(self._claim, waiting, claim.token, claim.device, claim.turn.had.until)
        try:
            with self._tracing.span(waiting.job_id, "claim", device=claim.device):
                row = await self._database.write(work, first=True)
        except Exception as error:
            claim.error = error
            return
        claim.written = True
        if isinstance(row, UnreadableJob):
            log.error("%s", row)
            claim.unreadable = row
        else:
            claim.row = row

    @staticmethod
    def _claim(
        waiting: Waiting, token: str, device: str, served: int, connection: sa.Connection
    ) -> Job | UnreadableJob | None:
        """Claim a job's row for a run with ``token``, and note its asker's turn. Return None when it waits no
        more, the error when its row is another version's, which ends it."""
        try:
            job = rows.claim(connection, waiting.job_id, token=token, device=device, now=datetime.now(UTC))
        except UnreadableJob as error:
            rows.fail(connection, waiting.job_id, UNREADABLE, token=token, now=datetime.now(UTC))
            return error
        if job is not None:
            people.set_served(connection, waiting.user_id, served)
        return job
