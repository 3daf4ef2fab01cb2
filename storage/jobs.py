"""A job's rows: every move of ``core.job.MOVES`` is one statement, fenced by the lease token of the run that
may make it; and all that decides whether a job may be queued, read in one statement.

Attempts are counted when a job is claimed, before anything can crash. Functions here take an open connection;
the caller decides what is one transaction."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import Job, Status, Surface, moved_from
from core.requests import to_json
from core.requests.custom_models import TrainRequest
from core.requests.images import OF_SHEETS, SHEET_JOBS, ImagineRequest
from core.requests.video import VideoRequest
from storage import conversations, job_queries, pushes, webhooks
from storage import videos as videos
from storage.job_queries import PICTURE_COLUMNS, WAITING, StoredOutput, WaitingRow, to_job, to_waiting
from storage.people import RULES, Rules, fact, put, rules_asked, to_rules
from storage.privacy import note_unposted
from storage.projects import versions as own_models
from storage.schema import (
    IS_DISCORDS,
    KEYED,
    PRESSED,
    QUEUED,
    RUNNING,
    UNDELIVERED,
    inputs,
    jobs,
    messages,
    pictures,
    tokens_used,
    users,
)

MAX_ATTEMPTS = 3  # the table's check has the same number
MAX_CUT_OFF = 10  # times that the bot may end while a job runs: one that ends it each time is given up


_IS_QUEUED, _IS_RUNNING = sa.text(QUEUED), sa.text(RUNNING)
_NO_LEASE = {"lease_token": None}
_JOB = jobs.c.id == sa.bindparam("job")


def _over(now: datetime | sa.BindParameter[datetime]) -> dict[str, Any]:
    """What becomes of a row when its job is over. Only on Discord somebody must still be told."""
    at = now if isinstance(now, sa.BindParameter) else sa.literal(now, jobs.c.finished_at.type)
    return {"finished_at": at, "delivered_at": sa.case((IS_DISCORDS, None), else_=at), **_NO_LEASE}


_ORIGIN = ("user_id", "channel_id", "guild_id", "request_key", "press_key", "language")


# Statements of every job's life are built once: building one takes longer than running it
_ADD = sa.insert(jobs).returning(*WAITING)
_CLAIM = (
    sa.update(jobs)
    .where(_JOB, _IS_QUEUED, jobs.c.attempts < MAX_ATTEMPTS)
    .values(status=Status.RUNNING.value, attempts=jobs.c.attempts + 1)
    .returning(*jobs.c)
)
_FINISH = (
    sa.update(jobs)
    .where(_JOB, jobs.c.lease_token == sa.bindparam("token"))
    .values(
        status=sa.case((IS_DISCORDS, Status.RENDERED.value), else_=Status.DELIVERED.value),
        **_over(sa.bindparam("now", type_=jobs.c.finished_at.type)),
    )
    .returning(jobs.c.user_id, jobs.c.kind, jobs.c.request, jobs.c.created_at)
)
_ADD_PICTURES = sa.insert(pictures).returning(pictures.c.position)  # of all in one way to a server
_DELIVER = (
    sa.update(jobs)
    .where(
        _JOB,
        sa.text(UNDELIVERED),
        jobs.c.status.in_((Status.RENDERED.value, Status.FAILED.value, Status.CANCELLED.value)),
    )
    .values(
        status=sa.case((jobs.c.status == Status.RENDERED.value, Status.DELIVERED.value), else_=jobs.c.status),
        interaction_token=None,
        message_id=sa.func.coalesce(sa.bindparam("message", type_=jobs.c.message_id.type), jobs.c.message_id),
    )
    .returning(jobs.c.guild_id)
)


# Asking


def add_job(connection: sa.Connection, job: Job, *, cost_key: str, max_running: int) -> WaitingRow:
    """Write a queued job, the pictures it needs, and what a training is to learn from. IntegrityError when
    its interaction, request key or button press is there already."""
    origin = job.origin
    row = connection.execute(
        _ADD,
        {
            "id": job.id,
            "kind": job.request.kind,
            "request": to_json(job.request),
            "prompt": getattr(job.request, "prompt", None),
            "cost_key": cost_key,
            "status": job.status.value,
            "lane": job.lane.value,
            "max_running": max_running,
            **{name: getattr(origin, name) for name in _ORIGIN},
            "surface": origin.surface.value,
            "private": int(origin.private),
            "away": int(origin.away),
            "roles": json.dumps(origin.roles),
            **vars(job.reply),
            "parent_id": job.parent_id,
            "parent_index": job.parent_index,
            "created_at": job.created_at,
        },
    ).one()
    if job.request.pictures:
        connection.execute(
            sa.insert(inputs), [{"job_id": job.id, "sha256": sha256} for sha256 in job.request.pictures]
        )
    if isinstance(job.request, TrainRequest):
        own_models.begin_training(connection, job, job.request)
    return to_waiting(row)


# Running


def claim(connection: sa.Connection, job_id: str, *, token: str, device: str, now: datetime) -> Job | None:
    """queued → running under ``token``; None when somebody else was quicker. Raises UnreadableJob."""
    new = {"lease_token": token, "device": device, "started_at": now}
    row = connection.execute(_CLAIM, {"job": job_id, **new}).one_or_none()
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
    """running → rendered, with the rows of its files and what it used of a day's tokens or videos; →
    delivered at once on another surface than Discord. False when the run has lost its lease: then nothing is
    written."""
    answer = output.answer
    made = {
        "rendered_at": now,
        "run_seconds": run_seconds,
        "captions": json.dumps(output.captions, ensure_ascii=False) if output.captions else None,
        "scores": json.dumps(output.scores, ensure_ascii=False) if output.scores else None,
        "lines": json.dumps([line.stored() for line in output.lines], ensure_ascii=False)
        if output.lines
        else None,
        "answer": json.dumps(asdict(answer), ensure_ascii=False) if answer else None,
        "parameters": json.dumps(dict(output.parameters or {}), ensure_ascii=False, default=str),
    }
    row = connection.execute(_FINISH, {"job": job_id, "token": token, "now": now, **made}).one_or_none()
    if row is None:
        return False
    if answer is not None:
        conversations.spend_tokens(connection, row.user_id, answer.tokens_in + answer.tokens_out, now=now)
    stored = [*output.pictures, *((output.grid,) if output.grid else ())]
    if stored:
        connection.execute(
            _ADD_PICTURES,
            [dict(zip(PICTURE_COLUMNS, astuple(row), strict=True)) | {"job_id": job_id} for row in stored],
        )
    videos.add_videos(connection, job_id, output.videos)
    if row.kind == VideoRequest.kind:
        conversations.spend_seconds(connection, row.user_id, output.videos, now=now)
    if output.files or output.model or output.verdicts:
        own = (output.files, output.model, output.verdicts)
        own_models.write_results(connection, job_id, row, *own, now=now)
    _note_ended(connection, [job_id], now=now)
    return True


def _note_ended(connection: sa.Connection, job_ids: Sequence[str], *, now: datetime) -> None:
    """Note that these jobs are over, for all who are called then."""
    webhooks.note_ended(connection, job_ids, now=now)
    pushes.note_ended(connection, job_ids, now=now)


def fail(connection: sa.Connection, job_id: str, message: str, *, token: str, now: datetime) -> bool:
    """running → failed; another try would end the same. False when the run has lost its lease."""
    failed = _of_run(job_id, token).values(status=Status.FAILED.value, error=message, **_over(now))
    if not connection.execute(failed).rowcount:
        return False
    _note_ended(connection, [job_id], now=now)
    return True


def _of_run(job_id: str, token: str) -> sa.Update:
    return sa.update(jobs).where(jobs.c.id == job_id, jobs.c.lease_token == token)


def retry(
    connection: sa.Connection, job_id: str, message: str, *, token: str, now: datetime, uncounted: int = 0
) -> Status | None:
    """running → queued, or → failed with ``message`` after the last attempt. None when the run has lost its
    lease.
    ``uncounted``: attempts of before that were spared, and count now."""
    attempts = jobs.c.attempts + uncounted
    last = attempts >= MAX_ATTEMPTS
    statement = (
        _back_or_over(last, message, now)
        .values(attempts=sa.case((last, MAX_ATTEMPTS), else_=attempts))
        .where(jobs.c.id == job_id, jobs.c.lease_token == token)
        .returning(jobs.c.status)
    )
    status = connection.execute(statement).scalar_one_or_none()
    if status == Status.FAILED.value:
        _note_ended(connection, [job_id], now=now)
    return None if status is None else Status(status)


def give_back(connection: sa.Connection, job_id: str, *, token: str) -> bool:
    """running → queued with no attempt counted: we stopped it, or nobody knows whether it was its fault."""
    before = {"attempts": jobs.c.attempts - 1, "started_at": None, "device": None, **_NO_LEASE}
    back = _of_run(job_id, token).values(status=Status.QUEUED.value, **before)
    return bool(connection.execute(back).rowcount)


def recover(
    connection: sa.Connection, message: str, *, now: datetime, but: Collection[str] = ()
) -> list[tuple[str, Status]]:
    """At start: what the rows call running was cut off by a crash of ours, all ``but`` those that go on
    elsewhere. That costs no attempt; it is taken up, or ended with ``message`` the MAX_CUT_OFF-th time."""
    counted = {"attempts": jobs.c.attempts - 1, "cut_off": jobs.c.cut_off + 1}
    statement = _back_or_over(jobs.c.cut_off + 1 >= MAX_CUT_OFF, message, now).values(counted)
    statement = statement.where(_IS_RUNNING).returning(jobs.c.id, jobs.c.status)
    if but:
        statement = statement.where(jobs.c.id.not_in(but))
    found = [(row.id, Status(row.status)) for row in connection.execute(statement)]
    _note_ended(connection, [job_id for job_id, status in found if status.over], now=now)
    return found


def _back_or_over(last: sa.ColumnElement[bool], message: str, now: datetime) -> sa.Update:
    """Return running → queued, or → failed with ``message`` where it was the ``last`` time."""
    over = {name: sa.case((last, value), else_=None) for name, value in _over(now).items()}
    return sa.update(jobs).values(
        status=sa.case((last, Status.FAILED.value), else_=Status.QUEUED.value),
        error=sa.case((last, message), else_=None),
        started_at=None,
        device=None,
        **over,
    )


# Stopping


def cancel(connection: sa.Connection, job_id: str, *, now: datetime) -> bool:
    """queued or running → cancelled; the run loses its lease. False when it was over, or never was."""
    stoppable = jobs.c.status.in_([status.value for status in moved_from("cancel")])
    cancelled = sa.update(jobs).where(jobs.c.id == job_id, stoppable)
    statement = cancelled.values(status=Status.CANCELLED.value, **_over(now))
    if not connection.execute(statement).rowcount:
        return False
    _note_ended(connection, [job_id], now=now)
    return True


def cancel_waiting(
    connection: sa.Connection,
    *,
    now: datetime,
    user_id: int | None = None,
    guild_id: int | None = None,
    most: int | None = None,
) -> list[str]:
    """queued → cancelled for all, a user or a guild, the ``most`` oldest of them; return the ids."""
    which: list[sa.ColumnElement[bool] | sa.TextClause] = [_IS_QUEUED]
    if user_id is not None:
        which.append(jobs.c.user_id == user_id)
    if guild_id is not None:
        which.append(jobs.c.guild_id == guild_id)
    if most is not None:
        oldest = sa.select(jobs.c.id).where(*which).order_by(jobs.c.seq).limit(most)
        which = [_IS_QUEUED, jobs.c.id.in_(oldest)]
    statement = sa.update(jobs).where(*which).values(status=Status.CANCELLED.value, **_over(now))
    ids = list(connection.execute(statement.returning(jobs.c.id)).scalars())
    _note_ended(connection, ids, now=now)
    return ids


def set_front(connection: sa.Connection, job_id: str) -> int | None:
    """Put a queued job before all others; its place, or None when it isn't queued."""
    highest = sa.select(sa.func.coalesce(sa.func.max(jobs.c.front), 0) + 1).where(_IS_QUEUED)
    moved = sa.update(jobs).where(jobs.c.id == job_id, _IS_QUEUED).values(front=highest.scalar_subquery())
    return connection.execute(moved.returning(jobs.c.front)).scalar_one_or_none()


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
    told = {"delivered_at": now, "rung": rung}
    row = connection.execute(_DELIVER, {"job": job_id, "message": message_id, **told}).one_or_none()
    if message_id is not None and channel_id is not None:
        if row is not None:
            add_message(connection, job_id, message_id, channel_id, row.guild_id, now)
        elif (
            job_queries.read_job(connection, job_id) is None
        ):  # its author deleted it while it was being posted
            note_unposted(connection, channel_id, message_id, now=now)
    return row is not None


def tell(connection: sa.Connection, job_id: str) -> bool:
    """delivered → rendered: a job of the web that shall be told of by message after all. False when it has
    gone, or is told of anyway."""
    untold = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == Status.DELIVERED.value, ~IS_DISCORDS)
    now = {"status": Status.RENDERED.value, "delivered_at": None, "surface": Surface.DISCORD.value}
    return bool(connection.execute(untold.values(now)).rowcount)


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
    add_message(connection, job_id, message_id, channel_id, guild_id, now)
    return True


def add_message(
    connection: sa.Connection,
    job_id: str,
    message_id: int,
    channel_id: int,
    guild_id: int | None,
    now: datetime,
    index: int | None = None,
) -> None:
    """Note one more message that shows a job, or its picture ``index`` (from 0) alone."""
    values = {"channel_id": channel_id, "guild_id": guild_id, "job_id": job_id, "position": index}
    put(connection, messages, {"message_id": message_id, "created_at": now, **values}, *values)


@dataclass(frozen=True)
class Facts:
    """What the rows say to somebody who asks for a job.

    same_id: the job that this very interaction, this request key of the person, or an earlier press of the
    same button has made. served: the person's latest turn, 0 = never had one. has_parent: whether the job
    that it is made from is there. away_waiting, away_today: the person's jobs that they asked for while away.
    """

    same_id: str | None
    rules: Rules
    user_waiting: int
    guild_waiting: int
    videos_waiting: int
    served: int
    has_parent: bool
    away_waiting: int = 0
    away_today: int = 0


def facts(connection: sa.Connection, job: Job) -> Facts:
    """What decides about ``job``, which isn't written yet."""
    origin = job.origin
    asked = {
        **rules_asked(origin.user_id, origin.guild_id, origin.roles),
        "interaction": job.reply.interaction_id,
        "request_key": origin.request_key,
        "press_key": origin.press_key,
        "parent": job.parent_id,
        "day": conversations.day_of(job.created_at),
    }
    found = connection.execute(_FACTS, asked).all()
    numbers = {row.what: row.a for row in found}
    return Facts(
        same_id=next((row.text for row in found if row.what == "same"), None),
        rules=to_rules(found),
        user_waiting=numbers["user"] or 0,
        guild_waiting=numbers["guild"],
        videos_waiting=numbers["videos"],
        served=numbers.get("served", 0),
        has_parent="parent" in numbers,
        away_waiting=numbers["away"],
        away_today=numbers.get("away today", 0),
    )


def _same(*conditions: sa.ColumnElement[bool] | sa.TextClause) -> sa.Select[Any]:
    """The job that the same asking has made."""
    return fact("same", text=jobs.c.id).where(*conditions)


def _count_waiting(what: str, owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return fact(what, sa.func.count()).select_from(jobs).where(owner, sa.text(QUEUED))


_IS_VIDEO = jobs.c.kind == sa.literal_column(f"'{VideoRequest.kind}'")
_IS_SHEET = jobs.c.cost_key.like(sa.literal_column(f"'{ImagineRequest.kind}|{OF_SHEETS}%'"))
_USER: sa.BindParameter[int] = sa.bindparam("user")
_FACTS = sa.union_all(  # what wasn't asked for is NULL, which equals nothing
    _same(jobs.c.interaction_id == sa.bindparam("interaction")),  # strongest first
    _same(jobs.c.user_id == _USER, jobs.c.request_key == sa.bindparam("request_key"), sa.text(KEYED)),
    _same(jobs.c.press_key == sa.bindparam("press_key"), sa.text(PRESSED)),
    *RULES,
    fact("user", sa.func.sum(sa.case((_IS_SHEET, SHEET_JOBS), else_=1)))
    .select_from(jobs)
    .where(jobs.c.user_id == _USER, sa.text(QUEUED)),
    _count_waiting("videos", sa.and_(jobs.c.user_id == _USER, _IS_VIDEO)),
    _count_waiting("away", sa.and_(jobs.c.user_id == _USER, jobs.c.away == 1)),
    fact("away today", tokens_used.c.away_jobs).where(
        tokens_used.c.user_id == _USER, tokens_used.c.day == sa.bindparam("day")
    ),
    _count_waiting("guild", jobs.c.guild_id == sa.bindparam("guild")),
    fact("served", users.c.served).where(users.c.id == _USER),
    fact("parent").where(jobs.c.id == sa.bindparam("parent")),
)
