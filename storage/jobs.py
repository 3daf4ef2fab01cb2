"""A job's rows: every transition is one statement, fenced by the lease token of the run that may make it.

queued → running → rendered → delivered, or failed / cancelled on the way. Attempts are counted when a job is
claimed, before anything can crash. Functions here take an open connection; the caller decides what is one
transaction.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.errors import AtelierError, StorageError
from core.job import Job, Lane, Origin, Reply, Status, Surface
from core.requests import PICTURE_KINDS, from_json, to_json
from storage.people import upsert
from storage.privacy import note_unposted
from storage.schema import (
    CHILD,
    GRID,
    QUEUED,
    RUNNING,
    UNDELIVERED,
    inputs,
    jobs,
    messages,
    pictures,
)

PAGE = 200  # rows
MAX_ATTEMPTS = 3  # the table's check has the same number
log = logging.getLogger(__name__)


class UnreadableJob(StorageError):
    """A row of another version of the program."""


@dataclass(frozen=True)
class StoredPicture:
    """A file of a finished job. ``index`` from 0, -1 for the grid or chart; ``size`` in bytes, sides in
    px."""

    sha256: str
    media_type: str
    width: int
    height: int
    seed: int | None
    index: int
    size: int


@dataclass(frozen=True)
class StoredOutput:
    """What a run left behind: ``core.events.Output`` with files in the place of bytes."""

    pictures: tuple[StoredPicture, ...] = ()
    grid: StoredPicture | None = None
    captions: tuple[str, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class WaitingRow:
    """What ordering needs of a queued job, without its request."""

    id: str
    seq: int
    user_id: int
    guild_id: int | None
    lane: Lane
    front: int | None
    cost_key: str
    max_running: int
    created_at: datetime
    attempts: int = 0


_WAITING = (
    jobs.c.id,
    jobs.c.seq,
    jobs.c.user_id,
    jobs.c.guild_id,
    jobs.c.lane,
    jobs.c.front,
    jobs.c.cost_key,
    jobs.c.max_running,
    jobs.c.created_at,
    jobs.c.attempts,
)
_IS_QUEUED, _IS_RUNNING = sa.text(QUEUED), sa.text(RUNNING)
_IS_DISCORDS = jobs.c.surface == sa.literal_column(f"'{Surface.DISCORD}'")
_NO_LEASE = {"lease_token": None}


def _over(now: datetime) -> dict[str, Any]:
    """What becomes of a row when its job is over. Only on Discord somebody must still be told."""
    at = sa.literal(now, jobs.c.finished_at.type)
    return {"finished_at": at, "delivered_at": sa.case((_IS_DISCORDS, None), else_=at), **_NO_LEASE}


# Asking


def add(connection: sa.Connection, job: Job, *, cost_key: str, max_running: int) -> WaitingRow:
    """Write a queued job and the pictures it needs. IntegrityError when its interaction, request
    key or button press is there already."""
    origin, reply = job.origin, job.reply
    statement = (
        sa.insert(jobs)
        .values(
            id=job.id,
            kind=job.request.kind,
            request=to_json(job.request),
            prompt=getattr(job.request, "prompt", None),
            cost_key=cost_key,
            status=job.status.value,
            lane=job.lane.value,
            max_running=max_running,
            user_id=origin.user_id,
            channel_id=origin.channel_id,
            guild_id=origin.guild_id,
            surface=origin.surface.value,
            request_key=origin.request_key,
            press_key=origin.press_key,
            private=int(origin.private),
            roles=json.dumps(origin.roles),
            interaction_id=reply.interaction_id,
            interaction_token=reply.interaction_token,
            application_id=reply.application_id,
            message_id=reply.message_id,
            file_limit=reply.file_limit,
            parent_id=job.parent_id,
            parent_index=job.parent_index,
            created_at=job.created_at,
        )
        .returning(*_WAITING)
    )
    row = connection.execute(statement).one()
    if job.request.pictures:
        connection.execute(
            sa.insert(inputs), [{"job_id": job.id, "sha256": s} for s in dict.fromkeys(job.request.pictures)]
        )
    return _to_waiting(row)


# Running


def claim_statement(job_id: str, *, token: str, device: str, now: datetime) -> sa.Update:
    return (
        sa.update(jobs)
        .where(jobs.c.id == job_id, _IS_QUEUED, jobs.c.attempts < MAX_ATTEMPTS)
        .values(
            status=Status.RUNNING.value,
            attempts=jobs.c.attempts + 1,
            lease_token=token,
            device=device,
            started_at=now,
        )
    )


def claim(connection: sa.Connection, job_id: str, *, token: str, device: str, now: datetime) -> Job | None:
    """queued → running under ``token``; None when somebody else was quicker. UnreadableJob when that's what
    it is."""
    statement = claim_statement(job_id, token=token, device=device, now=now).returning(*jobs.c)
    row = connection.execute(statement).one_or_none()
    return None if row is None else to_job(row)


def finish(
    connection: sa.Connection,
    job_id: str,
    output: StoredOutput,
    *,
    token: str,
    now: datetime,
    run_seconds: float,
) -> bool:
    """running → rendered, with the rows of its files; → delivered at once on another surface than Discord.
    False when the run has lost its lease: then nothing is written."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.lease_token == token)
        .values(
            status=sa.case((_IS_DISCORDS, Status.RENDERED.value), else_=Status.DELIVERED.value),
            rendered_at=now,
            run_seconds=run_seconds,
            **_over(now),
            captions=json.dumps(output.captions, ensure_ascii=False) if output.captions else None,
            scores=json.dumps(output.scores, ensure_ascii=False) if output.scores else None,
            parameters=json.dumps(dict(output.parameters or {}), ensure_ascii=False, default=str),
        )
    )
    if not connection.execute(statement).rowcount:
        return False
    rows = [*output.pictures, *((output.grid,) if output.grid else ())]
    if rows:
        connection.execute(
            sa.insert(pictures),
            [
                {
                    "job_id": job_id,
                    "position": p.index,
                    "sha256": p.sha256,
                    "media_type": p.media_type,
                    "width": p.width,
                    "height": p.height,
                    "seed": p.seed,
                    "size": p.size,
                }
                for p in rows
            ],
        )
    return True


def fail(connection: sa.Connection, job_id: str, message: str, *, token: str, now: datetime) -> bool:
    """running → failed; another try would end the same. False when the run has lost its lease."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.lease_token == token)
        .values(status=Status.FAILED.value, error=message, **_over(now))
    )
    return bool(connection.execute(statement).rowcount)


def retry(
    connection: sa.Connection, job_id: str, message: str, *, token: str, now: datetime, uncounted: int = 0
) -> Status | None:
    """running → queued, or → failed with ``message`` after the last attempt. None when the run has lost its
    lease.
    ``uncounted``: attempts of before that were spared, and count now."""
    statement = (
        _retry(message, now, uncounted)
        .where(jobs.c.id == job_id, jobs.c.lease_token == token)
        .returning(jobs.c.status)
    )
    status = connection.execute(statement).scalar_one_or_none()
    return None if status is None else Status(status)


def give_back(connection: sa.Connection, job_id: str, *, token: str) -> bool:
    """running → queued without counting the attempt: it was our decision to stop it, or nobody knows whether
    it was its fault."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.lease_token == token)
        .values(
            status=Status.QUEUED.value,
            attempts=jobs.c.attempts - 1,
            started_at=None,
            device=None,
            **_NO_LEASE,
        )
    )
    return bool(connection.execute(statement).rowcount)


def recover(connection: sa.Connection, message: str, *, now: datetime) -> list[tuple[str, Status]]:
    """At start: nothing runs, so what the rows call running was cut off by a crash. Takes it up, or ends
    it."""
    statement = _retry(message, now).where(_IS_RUNNING).returning(jobs.c.id, jobs.c.status)
    return [(row.id, Status(row.status)) for row in connection.execute(statement)]


def _retry(message: str, now: datetime, uncounted: int = 0) -> sa.Update:
    last = jobs.c.attempts + uncounted >= MAX_ATTEMPTS
    over = {name: sa.case((last, value), else_=None) for name, value in _over(now).items()}
    return sa.update(jobs).values(
        attempts=jobs.c.attempts + uncounted,
        status=sa.case((last, Status.FAILED.value), else_=Status.QUEUED.value),
        error=sa.case((last, message), else_=None),
        started_at=None,
        device=None,
        **over,
    )


# Stopping


def cancel(connection: sa.Connection, job_id: str, *, now: datetime) -> bool:
    """queued or running → cancelled; the run loses its lease. False when it was over, or never was."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_((Status.QUEUED.value, Status.RUNNING.value)))
        .values(status=Status.CANCELLED.value, **_over(now))
    )
    return bool(connection.execute(statement).rowcount)


def cancel_waiting(
    connection: sa.Connection, *, now: datetime, user_id: int | None = None, guild_id: int | None = None
) -> list[str]:
    """queued → cancelled for everybody, or for one user, or in one guild; the ids."""
    statement = (
        sa.update(jobs)
        .where(_IS_QUEUED)
        .values(status=Status.CANCELLED.value, **_over(now))
        .returning(jobs.c.id)
    )
    if user_id is not None:
        statement = statement.where(jobs.c.user_id == user_id)
    if guild_id is not None:
        statement = statement.where(jobs.c.guild_id == guild_id)
    return list(connection.execute(statement).scalars())


def set_front(connection: sa.Connection, job_id: str) -> int | None:
    """Put a queued job before all others; its place, or None when it isn't queued."""
    highest = (
        sa.select(sa.func.coalesce(sa.func.max(jobs.c.front), 0) + 1).where(_IS_QUEUED).scalar_subquery()
    )
    statement = (
        sa.update(jobs).where(jobs.c.id == job_id, _IS_QUEUED).values(front=highest).returning(jobs.c.front)
    )
    return connection.execute(statement).scalar_one_or_none()


# Telling


def deliver(
    connection: sa.Connection,
    job_id: str,
    *,
    message_id: int | None,
    channel_id: int | None,
    rung: str,
    now: datetime,
) -> bool:
    """rendered → delivered; of a failed or cancelled job, that the person was told. False when that had been
    noted before, or the job has gone: then its message is noted, to be deleted."""
    statement = (
        sa.update(jobs)
        .where(
            jobs.c.id == job_id,
            sa.text(UNDELIVERED),
            jobs.c.status.in_((Status.RENDERED.value, Status.FAILED.value, Status.CANCELLED.value)),
        )
        .values(
            status=sa.case(
                (jobs.c.status == Status.RENDERED.value, Status.DELIVERED.value), else_=jobs.c.status
            ),
            delivered_at=now,
            rung=rung,
            interaction_token=None,
            message_id=sa.func.coalesce(message_id, jobs.c.message_id),
        )
        .returning(jobs.c.guild_id)
    )
    row = connection.execute(statement).one_or_none()
    if message_id is not None and channel_id is not None:
        if row is not None:
            _add_message(connection, job_id, message_id, channel_id, row.guild_id, now)
        elif get(connection, job_id) is None:  # its author deleted it while it was being posted
            note_unposted(connection, channel_id, message_id, now=now)
    return row is not None


def remember_message(
    connection: sa.Connection,
    job_id: str,
    *,
    message_id: int,
    channel_id: int,
    guild_id: int | None,
    now: datetime,
) -> bool:
    """Note the message that shows the job. False when there is no such job."""
    statement = sa.update(jobs).where(jobs.c.id == job_id).values(message_id=message_id)
    if not connection.execute(statement).rowcount:
        return False
    _add_message(connection, job_id, message_id, channel_id, guild_id, now)
    return True


def add_view(
    connection: sa.Connection,
    job_id: str,
    *,
    message_id: int,
    channel_id: int,
    guild_id: int | None,
    index: int | None,
    now: datetime,
) -> None:
    """Note one more message that shows a finished job, or its picture ``index`` (from 0) alone."""
    _add_message(connection, job_id, message_id, channel_id, guild_id, now, index)


def children(connection: sa.Connection, job_id: str, index: int) -> int:
    """How many jobs were made from picture ``index`` of this one."""
    statement = (
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(sa.text(CHILD), jobs.c.parent_id == job_id, sa.func.coalesce(jobs.c.parent_index, 0) == index)
    )
    return connection.execute(statement).scalar_one()


def _add_message(
    connection: sa.Connection,
    job_id: str,
    message_id: int,
    channel_id: int,
    guild_id: int | None,
    now: datetime,
    index: int | None = None,
) -> None:
    values = {"channel_id": channel_id, "guild_id": guild_id, "job_id": job_id, "position": index}
    connection.execute(
        upsert(connection, messages, {"message_id": message_id, "created_at": now, **values}, values)
    )


# Reading


def get(connection: sa.Connection, job_id: str) -> Job | None:
    row = _first(connection, sa.select(jobs).where(jobs.c.id == job_id))
    return None if row is None else to_job(row)


def get_many(connection: sa.Connection, ids: Iterable[str]) -> dict[str, Job]:
    """Readable jobs by id. A few hundred at a time."""
    rows = connection.execute(sa.select(jobs).where(jobs.c.id.in_(list(ids))))
    return {job.id: job for row in rows if (job := readable(row))}


def of_interaction(connection: sa.Connection, interaction_id: int) -> Job | None:
    """The job that the interaction has made."""
    row = _first(connection, sa.select(jobs).where(jobs.c.interaction_id == interaction_id))
    return None if row is None else to_job(row)


def of_message(connection: sa.Connection, message_id: int) -> tuple[Job, int | None] | None:
    """The job a message shows, and which of its pictures alone (from 0), None = all."""
    joined = sa.select(jobs, messages.c.position).join(messages, messages.c.job_id == jobs.c.id)
    row = _first(connection, joined.where(messages.c.message_id == message_id))
    return None if row is None else (to_job(row), row.position)


def places(connection: sa.Connection, job_id: str) -> set[tuple[int | None, int]]:
    """(guild or None, channel) of every message that shows the job."""
    statement = (
        sa.select(messages.c.guild_id, messages.c.channel_id).where(messages.c.job_id == job_id).distinct()
    )
    return {(row.guild_id, row.channel_id) for row in connection.execute(statement)}


def output(connection: sa.Connection, job_id: str) -> tuple[Job, StoredOutput] | None:
    """A finished job with what it made; None while there is nothing."""
    row = _first(connection, sa.select(jobs).where(jobs.c.id == job_id, jobs.c.rendered_at.is_not(None)))
    if row is None:
        return None
    files = connection.execute(
        sa.select(pictures).where(pictures.c.job_id == job_id).order_by(pictures.c.position)
    )
    stored = [
        StoredPicture(p.sha256, p.media_type, p.width, p.height, p.seed, p.position, p.size) for p in files
    ]
    return to_job(row), StoredOutput(
        pictures=tuple(p for p in stored if p.index != GRID),
        grid=next((p for p in stored if p.index == GRID), None),
        captions=tuple(json.loads(row.captions or "[]")),
        scores=tuple((label, score) for label, score in json.loads(row.scores or "[]")),
        parameters=json.loads(row.parameters or "{}"),
    )


def waiting_statement() -> sa.Select[Any]:
    return sa.select(*_WAITING).where(_IS_QUEUED).order_by(jobs.c.seq)


def waiting(connection: sa.Connection) -> list[WaitingRow]:
    """Every queued job, in order of arrival."""
    return [_to_waiting(row) for row in _pages(connection, waiting_statement())]


def waiting_row(connection: sa.Connection, job_id: str) -> WaitingRow | None:
    row = _first(connection, sa.select(*_WAITING).where(jobs.c.id == job_id, _IS_QUEUED))
    return None if row is None else _to_waiting(row)


def undelivered_statement() -> sa.Select[Any]:
    return sa.select(jobs).where(sa.text(UNDELIVERED), _IS_DISCORDS).order_by(jobs.c.seq)


def undelivered(connection: sa.Connection) -> list[Job]:
    """Discord's jobs whose end nobody was told yet, in order of arrival: waiting, running, rendered, failed,
    cancelled."""
    return [job for row in _pages(connection, undelivered_statement()) if (job := readable(row))]


def last_picture(connection: sa.Connection, user_id: int) -> Job | None:
    """The user's newest finished job that made pictures."""
    statement = (
        sa.select(jobs)
        .where(jobs.c.user_id == user_id, jobs.c.kind.in_(PICTURE_KINDS), jobs.c.rendered_at.is_not(None))
        .order_by(jobs.c.seq.desc())
        .limit(1)
    )
    row = _first(connection, statement)
    return None if row is None else to_job(row)


def recent_prompts(
    connection: sa.Connection, user_id: int, prefix: str, *, limit: int, look_back: int = 500
) -> list[str]:
    """Different prompts of the user's last ``look_back`` jobs that start with ``prefix``, in any case; newest
    first."""
    statement = (
        sa.select(jobs.c.prompt).where(jobs.c.user_id == user_id).order_by(jobs.c.seq.desc()).limit(look_back)
    )
    found = (p for p in connection.execute(statement).scalars() if p and p.lower().startswith(prefix.lower()))
    return list(dict.fromkeys(found))[:limit]


def durations(connection: sa.Connection, *, look_back: int = 1000) -> list[tuple[str, float]]:
    """(cost key, seconds) of the finished ones among the last ``look_back`` jobs, oldest first."""
    last = sa.select(sa.func.max(jobs.c.seq)).scalar_subquery()
    recent = sa.select(jobs.c.cost_key, jobs.c.run_seconds).where(
        jobs.c.seq > last - look_back, jobs.c.run_seconds.is_not(None)
    )
    statement = recent.order_by(jobs.c.seq)
    return [(row.cost_key, row.run_seconds) for row in connection.execute(statement)]


def files_of(connection: sa.Connection, sha256s: Iterable[str]) -> set[str]:
    """Which of these files some job still needs."""
    names = list(sha256s)
    statement = sa.union(
        sa.select(pictures.c.sha256).where(pictures.c.sha256.in_(names)),
        sa.select(inputs.c.sha256).where(inputs.c.sha256.in_(names)),
    )
    return set(connection.execute(statement).scalars())


def _pages(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    """All rows of a statement that is ordered by seq, a page at a time: turning ten thousand rows into
    Python's values at once would hold up the event loop."""
    last = -1
    while True:
        page = connection.execute(statement.where(jobs.c.seq > last).limit(PAGE)).all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1].seq


def to_job(row: sa.Row[Any]) -> Job:
    """UnreadableJob for a row of another version of the program."""
    try:
        return Job(
            id=row.id,
            request=from_json(row.kind, row.request),
            status=Status(row.status),
            lane=Lane(row.lane),
            origin=Origin(
                user_id=row.user_id,
                channel_id=row.channel_id,
                guild_id=row.guild_id,
                roles=tuple(json.loads(row.roles)),
                private=bool(row.private),
                surface=Surface(row.surface),
                request_key=row.request_key,
                press_key=row.press_key,
            ),
            reply=Reply(
                interaction_id=row.interaction_id,
                interaction_token=row.interaction_token,
                application_id=row.application_id,
                message_id=row.message_id,
                file_limit=row.file_limit,
            ),
            created_at=row.created_at,
            parent_id=row.parent_id,
            parent_index=row.parent_index,
            attempts=row.attempts,
            started_at=row.started_at,
            rendered_at=row.rendered_at,
            finished_at=row.finished_at,
            error=row.error,
            device=row.device,
        )
    except (AtelierError, ValueError, TypeError) as error:
        raise UnreadableJob(
            f"job {row.id} was written by another version of Atelier and can't be read: {error}"
        ) from error


def readable(row: sa.Row[Any]) -> Job | None:
    """One job of another version must not hide the others."""
    try:
        return to_job(row)
    except UnreadableJob as error:
        log.warning("%s", error)
        return None


def _to_waiting(row: sa.Row[Any]) -> WaitingRow:
    return WaitingRow(
        row.id,
        row.seq,
        row.user_id,
        row.guild_id,
        Lane(row.lane),
        row.front,
        row.cost_key,
        row.max_running,
        row.created_at,
        row.attempts,
    )


def _first(connection: sa.Connection, statement: sa.Select[Any]) -> sa.Row[Any] | None:
    return connection.execute(statement).first()
