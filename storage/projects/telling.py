"""What the rows of own models say about a person, for them to take away."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storage.projects.schema import (
    items,
    job_files,
    labels,
    marks,
    project_rights,
    projects,
    verdicts,
    version_files,
    versions,
)
from storage.schema import jobs


def selections(user_id: int) -> dict[str, sa.Select[Any]]:
    """Return, by table, the rows about a person: their projects, pictures and words, what they had trained,
    and what models told them."""
    own = sa.select(projects.c.id).where(projects.c.user_id == user_id)
    asked = sa.select(jobs.c.id).where(jobs.c.user_id == user_id)
    told = sa.or_(verdicts.c.job_id.in_(asked), verdicts.c.answered_by == user_id)
    alone = sa.select(projects.c.id).where(projects.c.user_id == user_id, projects.c.guild_id.is_(None))
    return {
        "projects": sa.select(projects).where(projects.c.user_id == user_id),
        "project_rights": sa.select(project_rights).where(project_rights.c.project_id.in_(own)),
        "project_labels": sa.select(labels).where(labels.c.project_id.in_(own)),
        "project_items": sa.select(items).where(items.c.user_id == user_id),
        "project_marks": sa.select(marks).where(marks.c.user_id == user_id),
        "project_versions": sa.select(versions).where(
            sa.or_(versions.c.user_id == user_id, versions.c.project_id.in_(alone))
        ),
        "version_files": sa.select(version_files).where(version_files.c.project_id.in_(alone)),
        "verdicts": sa.select(verdicts).where(told),
        "job_files": sa.select(job_files).where(job_files.c.job_id.in_(asked)),
    }


def count(connection: sa.Connection, user_id: int) -> int:
    """Return how many pictures a person has in projects."""
    mine = sa.select(sa.func.count()).where(items.c.user_id == user_id)
    return connection.execute(mine).scalar_one()
