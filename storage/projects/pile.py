"""Which picture of a project is asked about next: what people disagree about, then what its model is least
sure of, then what isn't like anything it knows, then the rest in the order in which it came."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.requests.custom_models import ANOMALY
from storage.projects import items
from storage.projects.items import DISPUTED, NEW, Item
from storage.projects.schema import ACTIVE, marks, projects, verdicts, versions
from storage.projects.schema import items as pictures

NEAR = 1.25  # times the limit, above or below it, that count as near
UNSURE = 0.6  # chance of its likeliest label below which a classifier isn't sure
FIRST, NEAR_LIMIT, UNLIKE, REST = range(4)


def after(
    connection: sa.Connection, project_id: str, user_id: int, sha256: str, skipped: Collection[str] = ()
) -> Item | None:
    """Return the picture that a person's label is wanted for after ``sha256`` ("" = first), from the
    beginning again behind the last one; None when there is none but those that were ``skipped``.

    Where one voice isn't enough, what they have called something already waits for others.
    """
    order = _order(connection, project_id, user_id, sha256)
    at = order.index(sha256) if sha256 in order else -1
    passed = {sha256, *skipped}
    wanted = next((name for name in (*order[at + 1 :], *order[: max(at, 0)]) if name not in passed), None)
    return None if wanted is None else items.one(connection, project_id, wanted)


def _order(connection: sa.Connection, project_id: str, user_id: int, sha256: str) -> list[str]:
    """Return the pictures that are asked about, in order, with ``sha256`` where it was before its label."""
    said = _verdicts(connection, project_id)
    mine = (marks.c.project_id == pictures.c.project_id, marks.c.sha256 == pictures.c.sha256)
    several = sa.select(sa.func.count()).where(*mine).scalar_subquery() > 1
    disputed = sa.or_(pictures.c.state == DISPUTED, sa.and_(pictures.c.sha256 == sha256, several))
    tier = sa.case((disputed, FIRST), else_=said.c.tier if said is not None else sa.literal(REST))
    source: sa.FromClause = pictures
    keys: list[Any] = [tier]
    if said is not None:
        source = pictures.outerjoin(said, said.c.sha256 == pictures.c.sha256)
        keys = [sa.func.coalesce(tier, REST), sa.func.coalesce(said.c.place, 0.0)]
    new = sa.and_(pictures.c.state == NEW, ~items.called_by(user_id))
    waiting = sa.or_(pictures.c.state == DISPUTED, new)
    chosen = (pictures.c.project_id == project_id, sa.or_(waiting, pictures.c.sha256 == sha256))
    statement = sa.select(pictures.c.sha256).select_from(source).where(*chosen)
    found = connection.execute(statement.order_by(*keys, pictures.c.added_at, pictures.c.sha256))
    return list(found.scalars())


def _verdicts(connection: sa.Connection, project_id: str) -> sa.Subquery | None:
    """Return what the version that is used has said of pictures: sha256, tier, and place within that; None
    where there is none."""
    used = sa.select(versions.c.number, versions.c.threshold, projects.c.task)
    used = used.join(projects, projects.c.id == versions.c.project_id)
    mine = (versions.c.project_id == project_id, sa.text(f"project_versions.{ACTIVE}"))
    version = connection.execute(used.where(*mine)).first()
    if version is None:
        return None
    score, strange = sa.func.max(verdicts.c.score), sa.func.max(verdicts.c.strange)
    if version.task == ANOMALY and version.threshold:
        ratio = score / version.threshold
        near = sa.and_(ratio <= NEAR, ratio >= 1 / NEAR)
        place = sa.case((near, sa.func.abs(ratio - 1)), (strange == 1, -ratio), else_=0.0)
    else:
        near = sa.and_(strange == 0, score < UNSURE)
        place = sa.case((near, score), else_=0.0)
    tier = sa.case((near, NEAR_LIMIT), (strange == 1, UNLIKE), else_=REST)
    of = (verdicts.c.project_id == project_id, verdicts.c.number == version.number)
    found = sa.select(verdicts.c.sha256, tier.label("tier"), place.label("place")).where(*of)
    return found.group_by(verdicts.c.sha256).subquery()


def unjudged(connection: sa.Connection, project_id: str, number: int, limit: int) -> list[str]:
    """Return pictures without a label that a version hasn't judged, in the order in which they came."""
    judged = sa.exists().where(
        verdicts.c.project_id == pictures.c.project_id,
        verdicts.c.sha256 == pictures.c.sha256,
        verdicts.c.number == number,
    )
    chosen = (pictures.c.project_id == project_id, pictures.c.state == NEW, ~judged)
    order = sa.select(pictures.c.sha256).where(*chosen).order_by(pictures.c.added_at, pictures.c.sha256)
    return list(connection.execute(order.limit(limit)).scalars())


def said_since(connection: sa.Connection, project_id: str, since: datetime) -> set[str]:
    """Return the pictures that anybody has called something since then."""
    mine = (marks.c.project_id == project_id, marks.c.at > since)
    return set(connection.execute(sa.select(marks.c.sha256).where(*mine)).scalars())
