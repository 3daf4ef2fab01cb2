"""What happens before a job waits: is it known already, allowed, within the limits; then its row."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from core.errors import FilesAway, ImageError, LimitError, UserError
from core.job import NOBODY, Job
from core.requests import AskRequest, Request
from core.requests.own_models import TrainRequest
from core.requests.video import VideoRequest
from jobs.films import bytes_of, check_day, check_film, check_films_waiting, in_proportion, no_room
from jobs.limits import Limits, allowance, check_limits, check_tokens, check_trainings, tokens_a_day
from jobs.order.cost import cost_key
from storage import admission, lookup
from storage import jobs as rows
from storage.asking import chats
from storage.database import Database
from storage.files import Files
from storage.films import use
from storage.lookup import StoredOutput, WaitingRow
from storage.projects import versions

NO_DEVICE = "none"  # of a job that no worker had to run
AWAY = "The studio can't reach its pictures at the moment; nothing was queued. Try again in a minute."
log = logging.getLogger(__name__)
DISK_KNOWN = 1.0  # s for which a look at the disk holds


@dataclass(frozen=True)
class Admitted:
    """A job that is there. row: None for one that the same asking had made before. served: the person's
    latest turn."""

    job: Job
    row: WaitingRow | None = None
    served: int = 0


class Admission:
    """Writes jobs that may be queued. ``draining``: takes no new ones."""

    def __init__(self, database: Database, files: Files, limits: Limits) -> None:
        self._database, self._files, self.limits = database, files, limits
        self.draining = False
        self._disk_had_room = -DISK_KNOWN  # monotonic seconds

    async def problem_with_files(self, request: Request) -> UserError | None:
        """Return why the disk, or the limits of films, don't allow ``request``, None when they do."""
        try:
            check_film(self.limits.films, request)
        except UserError as error:
            return error
        if (full := await self.full_disk(request)) is not None or not request.pictures:
            return full
        try:
            there = [await self._files.has(sha256) for sha256 in request.pictures]
        except FilesAway:
            log.warning("a job isn't taken: its pictures can't be looked for", exc_info=True)
            return LimitError(AWAY)
        return None if all(there) else ImageError("That picture is gone. Attach it again.")

    async def full_disk(self, request: Request | None = None) -> LimitError | None:
        """Return that the disk is nearly full, None while more than its floor is free, and what a request's
        worker writes fits beside it."""
        now, coming = time.monotonic(), 0 if request is None else bytes_of(request)
        if not coming and now - self._disk_had_room < DISK_KNOWN:
            return None
        free = await asyncio.to_thread(self._files.free_bytes)
        if request is not None and coming and free < self.limits.disk_floor + coming:
            return no_room(request, free - self.limits.disk_floor)
        if free < self.limits.disk_floor:
            return LimitError(
                f"The studio's disk is nearly full (less than {self.limits.disk_floor // 10**6} MB free). "
                "Please tell the host; nothing was queued."
            )
        self._disk_had_room = now
        return None

    async def admit(self, job: Job, problem: UserError | None, made: StoredOutput | None = None) -> Admitted:
        """Write ``job`` and return it, or the one that the same asking has made. In one transaction.

        problem: raised unless the job is known already. made: what the job makes, which is written along.
        Raises LimitError, NotAllowedError or UserError.
        """
        return await self._database.write(partial(self._admit, job, problem, made))

    def _admit(
        self, job: Job, problem: UserError | None, made: StoredOutput | None, connection: sa.Connection
    ) -> Admitted:
        known = admission.facts(connection, job)
        if known.same_id is not None and (same := lookup.get(connection, known.same_id)) is not None:
            return Admitted(same)
        if self.draining:
            raise LimitError(
                "The studio takes no new jobs at the moment; what is waiting will be finished. Try again"
                " later."
            )
        if problem is not None:
            raise problem
        allowed = allowance(self.limits, known.rules.role_limits)
        check_limits(
            job.origin,
            known.rules,
            allowed,
            self.limits,
            user_waiting=known.user_waiting,
            guild_waiting=known.guild_waiting,
        )
        most = tokens_a_day(self.limits.tokens_per_day, known.rules.role_tokens)
        if isinstance(job.request, AskRequest) and most:
            used = chats.use(connection, job.origin.user_id, now=job.created_at)
            open_ones = chats.unanswered(connection, job.origin.user_id)
            coming = sum(self._tokens_of(one, connection, answered=True) for one in open_ones)
            check_tokens(most, used, coming, self._tokens_of(job, connection, answered=False))
        if isinstance(job.request, VideoRequest):
            self._check_films(job, known.films_waiting, allowed.user_waiting, connection)
        if isinstance(job.request, TrainRequest) and job.origin.user_id != NOBODY:
            check_trainings(self.limits.trainings, versions.waiting(connection, job.request.project))
        if job.parent_id is not None and not known.has_parent:
            raise UserError("The job it comes from is gone.")
        row = rows.add(connection, job, cost_key=cost_key(job.request), max_running=allowed.user_running)
        if made is not None:
            token = secrets.token_hex(16)
            rows.claim(connection, job.id, token=token, device=NO_DEVICE, now=job.created_at)
            rows.finish(connection, job.id, made, token=token, now=job.created_at, run_seconds=0.0)
        return Admitted(job, row, known.served)

    def _tokens_of(self, job: Job, connection: sa.Connection, *, answered: bool) -> int:
        """Return about how many tokens a question uses with all that is sent again with it, and with its
        answer if it counts as ``answered``."""
        limits, request = self.limits, job.request
        assert isinstance(request, AskRequest)
        answer = limits.answer_tokens
        sent = chats.about_sent(connection, request, job.parent_id, turns=limits.turns, answer=answer)
        return min(sent, max(0, limits.conversation_tokens - answer)) + answer * answered

    def _check_films(self, job: Job, waiting: int, user_waiting: int, connection: sa.Connection) -> None:
        """Raise LimitError when its asker may have no more films for now."""
        films, user_id = self.limits.films, job.origin.user_id
        check_films_waiting(in_proportion(films.waiting, user_waiting, self.limits.user_waiting), waiting)
        if films.per_day:
            made = use.used(connection, user_id, now=job.created_at)
            check_day(films, made, use.coming(connection, user_id), job.request)
