"""All that decides whether a job may be queued, read in one statement: an interaction waits for it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from core.job import Job
from storage.people import Rules, fact, rules_facts, to_rules
from storage.schema import KEYED, PRESSED, QUEUED, jobs, users


@dataclass(frozen=True)
class Facts:
    """What the rows say to somebody who asks for a job.

    same_id: the job that this very interaction, this request key of the person, or an earlier press of the
    same button has made. served: the person's latest turn, 0 = never had one. has_parent: whether the job
    that it is made from is there.
    """

    same_id: str | None
    rules: Rules
    user_waiting: int
    guild_waiting: int
    served: int
    has_parent: bool


def facts(connection: sa.Connection, job: Job) -> Facts:
    """What decides about ``job``, which isn't written yet."""
    origin = job.origin
    parts = [
        *(fact("same", text=jobs.c.id).where(*conditions) for conditions in _same(job)),
        *rules_facts(origin.user_id, origin.guild_id, origin.roles),
        _count_waiting("user", jobs.c.user_id == origin.user_id),
        fact("served", users.c.served).where(users.c.id == origin.user_id),
    ]
    if origin.guild_id is not None:
        parts.append(_count_waiting("guild", jobs.c.guild_id == origin.guild_id))
    if job.parent_id is not None:
        parts.append(fact("parent").where(jobs.c.id == job.parent_id))
    found = connection.execute(sa.union_all(*parts)).all()
    numbers = {row.what: row.a for row in found}
    return Facts(
        same_id=next((row.text for row in found if row.what == "same"), None),
        rules=to_rules(found),
        user_waiting=numbers["user"],
        guild_waiting=numbers.get("guild", 0),
        served=numbers.get("served", 0),
        has_parent="parent" in numbers,
    )


def _same(job: Job) -> list[tuple[sa.ColumnElement[bool] | sa.TextClause, ...]]:
    """Conditions for the job that the same asking has made, strongest first."""
    origin, reply, known = job.origin, job.reply, list[tuple[sa.ColumnElement[bool] | sa.TextClause, ...]]()
    if reply.interaction_id is not None:
        known.append((jobs.c.interaction_id == reply.interaction_id,))
    if origin.request_key is not None:
        mine = (jobs.c.user_id == origin.user_id, jobs.c.request_key == origin.request_key)
        known.append((*mine, sa.text(KEYED)))
    if origin.press_key is not None:
        known.append((jobs.c.press_key == origin.press_key, sa.text(PRESSED)))
    return known


def _count_waiting(what: str, owner: sa.ColumnElement[bool]) -> sa.Select[tuple[str, str, int, int, int]]:
    return fact(what, sa.func.count()).select_from(jobs).where(owner, sa.text(QUEUED))
