"""All that decides whether a job may be queued, read in one statement: an interaction waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.job import Job
from core.requests.video import VideoRequest
from storage.people import RULES, Rules, fact, rules_asked, to_rules
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
    films_waiting: int
    served: int
    has_parent: bool


def facts(connection: sa.Connection, job: Job) -> Facts:
    """What decides about ``job``, which isn't written yet."""
    origin = job.origin
    asked = {
        **rules_asked(origin.user_id, origin.guild_id, origin.roles),
        "interaction": job.reply.interaction_id,
        "request_key": origin.request_key,
        "press_key": origin.press_key,
        "parent": job.parent_id,
    }
    found = connection.execute(_FACTS, asked).all()
    numbers = {row.what: row.a for row in found}
    return Facts(
        same_id=next((row.text for row in found if row.what == "same"), None),
        rules=to_rules(found),
        user_waiting=numbers["user"],
        guild_waiting=numbers["guild"],
        films_waiting=numbers["films"],
        served=numbers.get("served", 0),
        has_parent="parent" in numbers,
    )


def _same(*conditions: sa.ColumnElement[bool] | sa.TextClause) -> sa.Select[Any]:
    """The job that the same asking has made."""
    return fact("same", text=jobs.c.id).where(*conditions)


def _count_waiting(what: str, owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return fact(what, sa.func.count()).select_from(jobs).where(owner, sa.text(QUEUED))


_IS_FILM = jobs.c.kind == sa.literal_column(f"'{VideoRequest.kind}'")
_USER: sa.BindParameter[int] = sa.bindparam("user")
_FACTS = sa.union_all(  # what wasn't asked for is NULL, which equals nothing
    _same(jobs.c.interaction_id == sa.bindparam("interaction")),  # strongest first
    _same(jobs.c.user_id == _USER, jobs.c.request_key == sa.bindparam("request_key"), sa.text(KEYED)),
    _same(jobs.c.press_key == sa.bindparam("press_key"), sa.text(PRESSED)),
    *RULES,
    _count_waiting("user", jobs.c.user_id == _USER),
    _count_waiting("films", sa.and_(jobs.c.user_id == _USER, _IS_FILM)),
    _count_waiting("guild", jobs.c.guild_id == sa.bindparam("guild")),
    fact("served", users.c.served).where(users.c.id == _USER),
    fact("parent").where(jobs.c.id == sa.bindparam("parent")),
)
