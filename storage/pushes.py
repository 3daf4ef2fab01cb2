"""Rows of browsers that ring when a job is over or a camera of one's own sees a defect, and of what they are
to be told. A row is written in the
transaction that ends the job and goes when the push service has taken it, so that a kill loses none.

A browser's row hangs on its session: whoever signs out, or is signed out, is told nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.job import Status, Surface
from storage.people import from_row, insert_into, pages, read_setting, set_setting, upsert
from storage.schema import jobs, push_subscriptions, pushes, sessions, watch_pictures

KEY = "push_key"  # setting: the private key that the studio signs with
LONG = timedelta(seconds=10)  # from its asking: about a shorter job nobody is called


@dataclass(frozen=True)
class Subscription:
    """A browser that is told. session: SHA-256 of its session's token. endpoint: where it is reached.
    p256dh, auth: its key and its secret."""

    session: str = field(repr=False)
    user_id: int
    name: str
    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True)
class Push:
    """What a browser is to be told. tries: without success. language: of whoever asked for the job."""

    job_id: str
    language: str
    tries: int


def own_key(connection: sa.Connection, made: str) -> str:
    """Return the studio's private key, which is ``made`` where there was none: another would end every
    subscription."""
    if found := read_setting(connection, KEY):
        return str(found)
    set_setting(connection, KEY, made)
    return made


def subscribe(
    connection: sa.Connection, user_id: int, session_id: str, keys: tuple[str, str, str], *, now: datetime
) -> bool:
    """Let a person's session be told at an endpoint, by its key and secret; False when it has ended. Nobody
    else is told there any more."""
    endpoint, p256dh, auth = keys
    which = (sessions.c.user_id == user_id, sessions.c.id == session_id)
    token = connection.scalar(sa.select(sessions.c.token_hash).where(*which))
    if token is None:
        return False
    connection.execute(sa.delete(push_subscriptions).where(push_subscriptions.c.endpoint == endpoint))
    changed = {"endpoint": endpoint, "p256dh": p256dh, "auth": auth}
    row = {"session": token, "user_id": user_id, "created_at": now, **changed}
    connection.execute(upsert(connection, push_subscriptions, row, changed))
    return True


def unsubscribe(connection: sa.Connection, user_id: int, session_id: str) -> bool:
    """Tell a person's session nothing more; False when it was told nothing."""
    which = (sessions.c.user_id == user_id, sessions.c.id == session_id)
    token = sa.select(sessions.c.token_hash).where(*which).scalar_subquery()
    ended = sa.delete(push_subscriptions).where(push_subscriptions.c.session == token)
    return connection.execute(ended).rowcount > 0


def is_subscribed(connection: sa.Connection, user_id: int, session_id: str) -> bool:
    """Return whether a person's session is told."""
    mine = push_subscriptions.join(sessions, sessions.c.token_hash == push_subscriptions.c.session)
    which = (sessions.c.user_id == user_id, sessions.c.id == session_id)
    return connection.execute(sa.select(sessions.c.id).select_from(mine).where(*which)).first() is not None


def note_ended(connection: sa.Connection, job_ids: Iterable[str], *, now: datetime) -> None:
    """Note that these jobs are over, for whoever has asked for them on the web and not stopped them."""
    for page in pages(job_ids):
        told = _for_browsers(now).where(
            jobs.c.id.in_(page),
            jobs.c.surface == Surface.WEB.value,
            jobs.c.status != Status.CANCELLED.value,
            jobs.c.created_at <= now - LONG,
            ~sa.exists().where(watch_pictures.c.job_id == jobs.c.id),  # which nobody has asked for
        )
        _add(connection, told)


def note_alarm(connection: sa.Connection, job_id: str, *, now: datetime) -> None:
    """Note that a camera of somebody's own project has seen a defect, for that person."""
    told = _for_browsers(now).where(jobs.c.id == job_id, jobs.c.guild_id.is_(None))
    _add(connection, told)


def _for_browsers(now: datetime) -> sa.Select[Any]:
    """Return the rows by which people's browsers are told of their jobs."""
    row = (
        push_subscriptions.c.session,
        jobs.c.id,
        sa.literal(now, jobs.c.created_at.type),
        sa.literal(0),
    )
    return sa.select(*row).join(push_subscriptions, push_subscriptions.c.user_id == jobs.c.user_id)


def _add(connection: sa.Connection, told: sa.Select[Any]) -> None:
    columns = ("session", "job_id", "due_at", "tries")
    adding = insert_into(pushes, connection.dialect.name).from_select(columns, told)
    connection.execute(adding.on_conflict_do_nothing())


def list_due(connection: sa.Connection, *, now: datetime) -> list[str]:
    """Return the sessions that are to be told something by now."""
    return list(
        connection.execute(sa.select(pushes.c.session).where(pushes.c.due_at <= now).distinct()).scalars()
    )


def read_due(
    connection: sa.Connection, session: str, *, now: datetime
) -> tuple[Subscription | None, list[Push]]:
    """Return a browser and what it is to be told by now, the newest first."""
    asked = (
        sa.select(push_subscriptions, sessions.c.name)
        .join(sessions, sessions.c.token_hash == push_subscriptions.c.session)
        .where(push_subscriptions.c.session == session)
    )
    row = connection.execute(asked).first()
    due = (
        sa.select(pushes, jobs.c.language)
        .join(jobs, jobs.c.id == pushes.c.job_id)
        .where(pushes.c.session == session, pushes.c.due_at <= now)
        .order_by(jobs.c.seq.desc())
    )
    found = [from_row(Push, one) for one in connection.execute(due)]
    return None if row is None else from_row(Subscription, row), found


def note_told(connection: sa.Connection, session: str, told: Sequence[Push]) -> None:
    """Delete what a browser was told, or needn't be told."""
    mine = (pushes.c.session == session, pushes.c.job_id.in_([one.job_id for one in told]))
    connection.execute(sa.delete(pushes).where(*mine))


def note_untold(connection: sa.Connection, session: str, untold: Sequence[Push], *, due_at: datetime) -> None:
    """Note that what a browser couldn't be told is tried again."""
    mine = (pushes.c.session == session, pushes.c.job_id.in_([one.job_id for one in untold]))
    later = {"due_at": due_at, "tries": pushes.c.tries + 1}
    connection.execute(sa.update(pushes).where(*mine).values(later))


def drop_subscription(connection: sa.Connection, session: str, endpoint: str) -> None:
    """Forget a browser whose endpoint has ended, unless it has another by now."""
    mine = (push_subscriptions.c.session == session, push_subscriptions.c.endpoint == endpoint)
    connection.execute(sa.delete(push_subscriptions).where(*mine))
