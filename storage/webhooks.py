"""Rows of webhooks and of the events that they are to be told. An event is written in the transaction of the
change that it tells of and stays until its webhook has taken it, so that a kill loses none. A row names the
job; what may be told of it is asked when it is sent.

Its id is made of what it tells: the same is never written twice, and whoever is told twice can know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.people import from_row, insert_into, pages
from storage.schema import api_tokens, events, jobs, projects, webhooks

JOB_ENDED, VERDICT, TRAINED = "job.ended", "verdict.given", "model.trained"
PAUSED, RESUMED, TEST = "queue.paused", "queue.resumed", "webhook.test"
_LETTERS = {JOB_ENDED: "e", VERDICT: "v", TRAINED: "t", PAUSED: "p", RESUMED: "r", TEST: "x"}
_COLUMNS = ("id", "webhook_id", "kind", "job_id", "at", "due_at")


@dataclass(frozen=True)
class Webhook:
    """An address that is told of events. name: of its person. kinds: of events, separated by spaces.
    failures: tries without success since it took something. answer: the last, a status or why there was none.
    of: what its token or its project is called. waiting, lost: events to be sent, and given up."""

    id: str
    user_id: int
    name: str
    token_id: str | None
    project_id: str | None
    url: str
    secret: str = field(repr=False)
    kinds: str
    created_at: datetime
    failures: int = 0
    rests_until: datetime | None = None
    paused_at: datetime | None = None
    answered_at: datetime | None = None
    answer: str = ""
    of: str = ""
    waiting: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Event:
    """Something that a webhook is to be told. due_at: when it is tried next, None = never again."""

    id: str
    webhook_id: str
    kind: str
    job_id: str | None
    at: datetime
    due_at: datetime | None
    tries: int


@dataclass(frozen=True)
class Tried:
    """What came of a try. due_at: when the next is, None = the event is given up. pause: its webhook gets
    nothing until somebody says so. rest: until when it gets nothing."""

    event: Event
    answer: str
    done: bool = False
    due_at: datetime | None = None
    pause: bool = False
    rest: datetime | None = None


# Events, each written with what it tells of


def note_ended(connection: sa.Connection, job_ids: Iterable[str], *, now: datetime) -> None:
    """Note that these jobs are over."""
    for page in pages(job_ids):
        mine = webhooks.c.user_id == jobs.c.user_id
        rows = sa.select(webhooks.c.id, jobs.c.id).join(webhooks, mine).where(jobs.c.id.in_(page))
        _note(connection, rows.where(webhooks.c.token_id.is_not(None)), JOB_ENDED, now)


def note_made(
    connection: sa.Connection, kind: str, job_id: str, user_id: int, project_id: str, *, now: datetime
) -> None:
    """Note what a person's job has made in a project: verdicts, or a version of its model."""
    theirs = sa.and_(webhooks.c.user_id == user_id, webhooks.c.token_id.is_not(None))
    rows = sa.select(webhooks.c.id, sa.literal(job_id)).where(
        sa.or_(theirs, webhooks.c.project_id == project_id)
    )
    _note(connection, rows, kind, now)


def note_queue(connection: sa.Connection, kind: str, *, now: datetime) -> None:
    """Note that the queue was paused or goes on, which everybody may know."""
    _note(connection, sa.select(webhooks.c.id, sa.null()), kind, now)


def _note(connection: sa.Connection, rows: sa.Select[Any], kind: str, now: datetime) -> None:
    wanted = rows.where(webhooks.c.kinds.contains(kind))
    told = [(hook, job_id) for hook, job_id in connection.execute(wanted)]
    if told:
        _add(connection, told, kind, now)


def _add(connection: sa.Connection, told: Sequence[tuple[str, str | None]], kind: str, now: datetime) -> None:
    moment = f"{int(now.timestamp() * 1e6):x}"
    rows = [
        dict(
            zip(
                _COLUMNS,
                (f"msg_{hook}_{_LETTERS[kind]}_{job or moment}", hook, kind, job, now, now),
                strict=True,
            )
        )
        for hook, job in told
    ]
    adding = insert_into(events, connection.dialect.name).on_conflict_do_nothing()
    connection.execute(adding, rows)


# Webhooks


def add_webhook(connection: sa.Connection, made: Webhook, *, most: int) -> bool:
    """Write a new webhook; False where its person has ``most`` already."""
    mine = sa.select(sa.func.count()).where(webhooks.c.user_id == made.user_id)
    if connection.execute(mine).scalar_one() >= most:
        return False
    values = {name: value for name, value in vars(made).items() if name in webhooks.c}
    connection.execute(sa.insert(webhooks).values(values))
    return True


def list_webhooks(connection: sa.Connection, user_id: int) -> list[Webhook]:
    """Return a person's webhooks, the newest first."""
    mine = _READ.where(webhooks.c.user_id == user_id).order_by(webhooks.c.created_at.desc())
    return [from_row(Webhook, row) for row in connection.execute(mine)]


def delete_webhook(connection: sa.Connection, user_id: int, webhook_id: str) -> bool:
    """Delete one of a person's webhooks with its events; False when there is none."""
    which = (webhooks.c.user_id == user_id, webhooks.c.id == webhook_id)
    return connection.execute(sa.delete(webhooks).where(*which)).rowcount > 0


def resume_webhook(connection: sa.Connection, user_id: int, webhook_id: str, *, now: datetime) -> bool:
    """Let one of a person's webhooks go on with all that it has missed; False when there is none."""
    which = (webhooks.c.user_id == user_id, webhooks.c.id == webhook_id)
    anew = {"paused_at": None, "failures": 0, "rests_until": None}
    if not connection.execute(sa.update(webhooks).where(*which).values(anew)).rowcount:
        return False
    left = events.c.webhook_id == webhook_id
    connection.execute(sa.update(events).where(left).values(due_at=now, tries=0))
    return True


def note_test(connection: sa.Connection, user_id: int, webhook_id: str, *, now: datetime) -> bool:
    """Note an event that tells one of a person's webhooks nothing; False when there is none."""
    which = (webhooks.c.user_id == user_id, webhooks.c.id == webhook_id)
    if connection.execute(sa.select(webhooks.c.id).where(*which)).first() is None:
        return False
    _add(connection, [(webhook_id, None)], TEST, now)
    return True


# Sending

_OF = {events.c.due_at.is_not(None): "waiting", events.c.due_at.is_(None): "lost"}
_COUNTS = [
    sa.select(sa.func.count())
    .where(events.c.webhook_id == webhooks.c.id, which)
    .scalar_subquery()
    .label(name)
    for which, name in _OF.items()
]
_CALLED = sa.func.coalesce(api_tokens.c.label, projects.c.name, "").label("of")
_READ = sa.select(webhooks, _CALLED, *_COUNTS).select_from(
    webhooks.outerjoin(api_tokens, api_tokens.c.id == webhooks.c.token_id).outerjoin(
        projects, projects.c.id == webhooks.c.project_id
    )
)


def list_due(connection: sa.Connection) -> dict[str, datetime]:
    """Return when each webhook that isn't paused is to be sent something next."""
    mine = (events.c.webhook_id == webhooks.c.id, events.c.due_at.is_not(None))
    first = sa.select(sa.func.min(events.c.due_at)).where(*mine).scalar_subquery()
    found = sa.select(webhooks.c.id, webhooks.c.rests_until, first.label("first"))
    rows = connection.execute(found.where(webhooks.c.paused_at.is_(None)))
    return {row.id: max(row.first, row.rests_until or row.first) for row in rows if row.first is not None}


def read_due(
    connection: sa.Connection, webhook_id: str, *, now: datetime, limit: int
) -> tuple[Webhook | None, list[Event]]:
    """Return a webhook and which of its events are due, the oldest first; none while it rests."""
    row = connection.execute(_READ.where(webhooks.c.id == webhook_id)).first()
    if row is None or row.paused_at is not None or row.rests_until and row.rests_until > now:
        return None, []
    due = sa.select(events).where(events.c.webhook_id == webhook_id, events.c.due_at <= now)
    found = connection.execute(due.order_by(events.c.due_at, events.c.at).limit(limit))
    return from_row(Webhook, row), [from_row(Event, one) for one in found]


def note_tries(connection: sa.Connection, webhook_id: str, tried: Sequence[Tried], *, now: datetime) -> None:
    """Note what came of events that a webhook was sent, in order."""
    which = webhooks.c.id == webhook_id
    for one in tried:
        mine = events.c.id == one.event.id
        if one.done:
            connection.execute(sa.delete(events).where(mine))
            values: dict[str, Any] = {"failures": 0, "rests_until": None}
        else:
            later = {"tries": one.event.tries + 1, "due_at": one.due_at}
            connection.execute(sa.update(events).where(mine).values(later))
            values = {"failures": webhooks.c.failures + 1, "rests_until": one.rest}
            if one.pause:
                values["paused_at"] = now
        told = {"answer": one.answer, "answered_at": now}
        connection.execute(sa.update(webhooks).where(which).values(**values, **told))


def drop_old_events(connection: sa.Connection, before: datetime) -> None:
    """Delete events from before then that were never taken."""
    connection.execute(sa.delete(events).where(events.c.at < before))
