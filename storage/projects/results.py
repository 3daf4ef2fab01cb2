"""What jobs about own models leave in the rows: versions, verdicts, and files to be taken elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.results import Verdict
from storage.projects import versions
from storage.projects.schema import job_files, projects, verdicts
from storage.projects.versions import StoredModel


@dataclass(frozen=True)
class StoredFile:
    """A file that a job has made to be taken elsewhere. size: bytes."""

    name: str
    sha256: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Judged:
    """A verdict as its row has it. position: of its picture in the job, from 0. number: of the version.
    is_right: what somebody found it, None = nobody has said."""

    job_id: str
    position: int
    project_id: str
    number: int
    sha256: str
    score: float
    label: str
    strange: bool
    at: datetime
    is_right: bool | None = None


@dataclass(frozen=True)
class Tally:
    """Verdicts of a version: how many, how many of them strange, and how many people found right and
    wrong."""

    verdicts: int = 0
    strange: int = 0
    right: int = 0
    wrong: int = 0


def write(
    connection: sa.Connection,
    job_id: str,
    job: sa.Row[Any],
    files: Sequence[StoredFile],
    model: StoredModel | None,
    said: Sequence[Verdict],
    *,
    now: datetime,
) -> None:
    """Write what a finished job has made. job: its columns user_id, request and created_at."""
    for file in files:
        row = {"name": file.name, "sha256": file.sha256, "media_type": file.media_type, "size": file.size}
        connection.execute(sa.insert(job_files).values(job_id=job_id, **row))
    if model is not None:
        versions.learn(connection, job_id, job, model, now=now)
    if said:
        asked = json.loads(job.request)
        there = sa.select(projects.c.id).where(projects.c.id == asked["project"])
        if connection.execute(there).first() is None:
            return
        rows = [
            {
                "job_id": job_id,
                "position": position,
                "project_id": asked["project"],
                "number": asked["version"],
                "sha256": one.sha256,
                "score": one.score,
                "label": one.label,
                "strange": int(one.strange),
                "at": now,
            }
            for position, one in enumerate(said)
        ]
        connection.execute(sa.insert(verdicts), rows)


def files_of(connection: sa.Connection, job_id: str) -> list[StoredFile]:
    """Return the files that a job has made to be taken elsewhere, by name."""
    mine = sa.select(job_files).where(job_files.c.job_id == job_id).order_by(job_files.c.name)
    return [StoredFile(row.name, row.sha256, row.media_type, row.size) for row in connection.execute(mine)]


def of_job(connection: sa.Connection, job_id: str) -> list[Judged]:
    """Return a job's verdicts in the order of its pictures."""
    mine = sa.select(verdicts).where(verdicts.c.job_id == job_id).order_by(verdicts.c.position)
    return [_judged(row) for row in connection.execute(mine)]


def answer(
    connection: sa.Connection, job_id: str, position: int, is_right: bool, user_id: int
) -> Judged | None:
    """Note what somebody finds a verdict, in place of what was found before; None when there is none
    such."""
    mine = (verdicts.c.job_id == job_id, verdicts.c.position == position)
    values = {"is_right": int(is_right), "answered_by": user_id}
    row = connection.execute(sa.update(verdicts).where(*mine).values(**values).returning(*verdicts.c)).first()
    return None if row is None else _judged(row)


def tally(connection: sa.Connection, project_id: str, number: int) -> Tally:
    """Return what came of a version's verdicts."""

    def total(condition: Any) -> Any:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    mine = (verdicts.c.project_id == project_id, verdicts.c.number == number)
    row = connection.execute(
        sa.select(
            sa.func.count(),
            total(verdicts.c.strange == 1),
            total(verdicts.c.is_right == 1),
            total(verdicts.c.is_right == 0),
        ).where(*mine)
    ).one()
    return Tally(*map(int, row))


def _judged(row: sa.Row[Any]) -> Judged:
    right = None if row.is_right is None else bool(row.is_right)
    return Judged(
        row.job_id,
        row.position,
        row.project_id,
        row.number,
        row.sha256,
        row.score,
        row.label,
        bool(row.strange),
        row.at,
        right,
    )
