"""Rows of which answers people found right, and which wrong."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from storage.asking.schema import feedback
from storage.people import upsert


class Feedback(NamedTuple):
    """How many people found an answer right, and how many wrong."""

    right: int = 0
    wrong: int = 0


def note(connection: sa.Connection, user_id: int, job_id: str, right: bool, *, now: datetime) -> None:
    """Write what a person found an answer; what they found it before is overwritten."""
    found = {"is_right": int(right), "created_at": now}
    connection.execute(upsert(connection, feedback, {"user_id": user_id, "job_id": job_id, **found}, found))


def withdraw(connection: sa.Connection, user_id: int, job_id: str, right: bool) -> None:
    """Forget that a person found an answer right (or wrong); nothing happens if they didn't."""
    mine = feedback.c.user_id == user_id, feedback.c.job_id == job_id, feedback.c.is_right == int(right)
    connection.execute(sa.delete(feedback).where(*mine))


def of_answer(connection: sa.Connection, job_id: str) -> Feedback:
    """Return what people found an answer."""
    rights = list(
        connection.execute(sa.select(feedback.c.is_right).where(feedback.c.job_id == job_id)).scalars()
    )
    return Feedback(sum(rights), len(rights) - sum(rights))
