"""Conversations: the chain of turns before a question, those that follow it, and the tokens that members have
used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.events import ChatAnswer
from core.job import Job
from core.requests import AskRequest
from core.requests.ask import about_tokens
from storage import lookup
from storage.people import upsert
from storage.schema import ANSWERED, UNFINISHED, Int64, jobs, tokens_used

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IS_ASKED = jobs.c.kind == sa.literal_column(f"'{AskRequest.kind}'")


class Asked(NamedTuple):
    """A question with its answer, None while, or if, there is none."""

    job: Job
    answer: ChatAnswer | None


class Use(NamedTuple):
    """Tokens that a person has used on a day, and how many questions of theirs aren't answered yet."""

    tokens: int
    open: int


def ancestors(connection: sa.Connection, job_id: str, limit: int) -> list[Asked]:
    """Return the turns before a question, the latest first, at most ``limit``; a row of another version ends
    them."""
    found = list[Asked]()
    for row in connection.execute(ancestors_statement(limit), {"job": job_id}):
        if (job := lookup.readable(row)) is None:
            break
        found.append(Asked(job, lookup.to_answer(row)))
    return found


def asked(connection: sa.Connection, job_id: str) -> Asked | None:
    """Return one question, None when there is none of that id."""
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id, _IS_ASKED)).first()
    job = None if row is None else lookup.readable(row)
    return None if row is None or job is None else Asked(job, lookup.to_answer(row))


def latest(
    connection: sa.Connection, channel_id: int, reader: int, since: datetime, *, own: bool
) -> Job | None:
    """Return the newest answered question of a channel that user ``reader`` may see, not older than
    ``since``. own: one of theirs."""
    mine = jobs.c.user_id == reader
    statement = (
        sa.select(jobs)
        .where(jobs.c.channel_id == channel_id, sa.text(ANSWERED))
        .where(jobs.c.created_at >= since, mine if own else sa.or_(mine, jobs.c.private == 0))
        .order_by(jobs.c.created_at.desc(), jobs.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return None if row is None else lookup.readable(row)


def replies(connection: sa.Connection, reader: int, job_id: str, limit: int) -> list[Asked]:
    """Return the questions that follow on directly from a job and that user ``reader`` may see, as far as
    rows tell, oldest first."""
    asked_for = {"job": job_id, "reader": reader, "limit": limit}
    rows = connection.execute(replies_statement(), asked_for)
    return [Asked(job, lookup.to_answer(row)) for row in rows if (job := lookup.readable(row))]


def newest(connection: sa.Connection, user_id: int, limit: int) -> list[Asked]:
    """Return a person's questions that no question of theirs follows on from, the newest first: where each of
    their conversations stands, once for each of its branches."""
    rows = connection.execute(newest_statement(), {"user": user_id, "limit": limit})
    return [Asked(job, lookup.to_answer(row)) for row in rows if (job := lookup.readable(row))]


def newest_statement() -> sa.Select[Any]:
    """Return the statement for the ends of the conversations of the person ``:user``."""
    later = jobs.alias("later")
    followed = sa.exists().where(
        later.c.parent_id == jobs.c.id,
        later.c.parent_id.is_not(None),
        later.c.kind == sa.literal_column(f"'{AskRequest.kind}'"),
        later.c.user_id == jobs.c.user_id,
    )
    return (
        sa.select(jobs)
        .where(jobs.c.user_id == sa.bindparam("user"), _IS_ASKED, ~followed)
        .order_by(jobs.c.seq.desc())
        .limit(sa.bindparam("limit"))
    )


def ancestors_statement(limit: int) -> sa.Select[Any]:
    """Return the statement for the ids of the turns before the job ``:job``, the latest first."""
    chain = (
        sa.select(jobs.c.parent_id.label("id"), sa.literal(1).label("depth"))
        .where(jobs.c.id == sa.bindparam("job"))
        .cte("chain", recursive=True)
    )
    step = sa.select(jobs.c.parent_id, chain.c.depth + 1).where(
        jobs.c.id == chain.c.id, _IS_ASKED, chain.c.depth < limit
    )
    chain = chain.union_all(step)
    return (
        sa.select(jobs)
        .join(chain, chain.c.id == jobs.c.id)
        .where(_IS_ASKED, chain.c.depth <= limit)
        .order_by(chain.c.depth)
    )


def replies_statement() -> sa.Select[Any]:
    """Return the statement for the questions that follow on directly from the job ``:job`` and that user
    ``:reader`` may see."""
    open_to = lookup.open_to(sa.bindparam("reader", type_=Int64))
    return (
        sa.select(jobs)
        .where(jobs.c.parent_id == sa.bindparam("job"), _IS_ASKED, open_to)
        .order_by(jobs.c.seq)
        .limit(sa.bindparam("limit"))
    )


def day_of(now: datetime) -> int:
    """Return the number of a day: whole days since 1970, in UTC."""
    return (now - _EPOCH).days


def use(connection: sa.Connection, user_id: int, *, now: datetime) -> Use:
    """Return what a person has used of today's tokens."""
    today = sa.select(tokens_used.c.tokens).where(
        tokens_used.c.user_id == user_id, tokens_used.c.day == day_of(now)
    )
    waiting = sa.select(sa.func.count()).where(
        jobs.c.user_id == user_id, _IS_ASKED, sa.text(UNFINISHED), jobs.c.rendered_at.is_(None)
    )
    tokens = connection.execute(today).scalar_one_or_none()
    return Use(tokens or 0, connection.execute(waiting).scalar_one())


def unanswered(connection: sa.Connection, user_id: int) -> list[Job]:
    """Return a person's questions that wait for their answer."""
    statement = sa.select(jobs).where(
        jobs.c.user_id == user_id, _IS_ASKED, sa.text(UNFINISHED), jobs.c.rendered_at.is_(None)
    )
    return [job for row in connection.execute(statement) if (job := lookup.readable(row))]


def about_sent(
    connection: sa.Connection, request: AskRequest, before: str | None, *, turns: int, answer: int
) -> int:
    """Return about how many tokens are sent with a question that follows on from the job ``before``: its own,
    and those of up to so many ``turns`` before it. answer: tokens of one that isn't there yet."""
    tokens = about_tokens(request.question, len(request.images))
    latest = None if before is None else asked(connection, before)
    if before is None or latest is None:
        return tokens
    for job, given in [latest, *ancestors(connection, before, turns - 1)]:
        if isinstance(job.request, AskRequest):
            tokens += about_tokens(job.request.question, len(job.request.images))
            tokens += answer if given is None else about_tokens(given.text)
    return tokens


def spend(connection: sa.Connection, user_id: int, tokens: int, *, now: datetime) -> None:
    """Count tokens that a person has used."""
    values = {"user_id": user_id, "day": day_of(now), "tokens": tokens}
    connection.execute(upsert(connection, tokens_used, values, {"tokens": tokens_used.c.tokens + tokens}))


def drop_use(connection: sa.Connection, *, now: datetime) -> None:
    """Forget what was used on days before yesterday."""
    connection.execute(sa.delete(tokens_used).where(tokens_used.c.day < day_of(now) - 1))
