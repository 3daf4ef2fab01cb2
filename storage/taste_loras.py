"""Rows of styles that were made of tastes, and of the pairs of pictures by which their owners choose, without
knowing which was drawn with it, whether one acts. What is trained are the project's versions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.job import Status
from core.prompt.values import OWN, StoredLora, lora_name
from core.requests import ImagineRequest
from storage.people import from_row
from storage.projects.versions import ACTIVE
from storage.schema import folders, jobs, projects, taste_loras, taste_pairs, versions
from storage.tastes import Row, typed_name

RECENT = 200  # jobs of a person among which prompts are looked for


@dataclass(frozen=True)
class TasteLora:
    """A style that was made of a taste. folder_id: None = of hearts. code: of the pictures that it was last
    trained on, as ``storage.tastes.code_of`` names them. number: of the version that is compared, 0 = none
    yet."""

    project_id: str
    folder_id: str | None
    code: str
    number: int
    is_on: bool


@dataclass(frozen=True)
class Pair:
    """Two pictures of one prompt and seed. position: from 0. picture: in both jobs. first: the one with the
    LoRA is shown first. chosen: the one with it was, None = nothing was said yet."""

    position: int
    with_job: str
    without_job: str
    picture: int
    first: bool
    chosen: bool | None = None


@dataclass(frozen=True)
class Acting:
    """What acts in drawings by a taste. lora: as requests name it. model: that it was trained on, "" = not
    known."""

    lora: str
    model: str


def add(connection: sa.Connection, project_id: str, folder_id: str | None) -> None:
    """Note that a style is made of a taste."""
    connection.execute(sa.insert(taste_loras).values(project_id=project_id, folder_id=folder_id))


def of_user(connection: sa.Connection, user_id: int) -> list[TasteLora]:
    """Return what was made of somebody's tastes."""
    own = sa.select(taste_loras).join(projects, projects.c.id == taste_loras.c.project_id)
    found = connection.execute(own.where(projects.c.user_id == user_id))
    return [from_row(TasteLora, row, is_on=bool(row.is_on)) for row in found]


def of_project(connection: sa.Connection, project_id: str) -> TasteLora | None:
    """Return what a project is for a taste, None for any other project."""
    mine = sa.select(taste_loras).where(taste_loras.c.project_id == project_id)
    row = connection.execute(mine).first()
    return None if row is None else from_row(TasteLora, row, is_on=bool(row.is_on))


def change(connection: sa.Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of one."""
    mine = taste_loras.c.project_id == project_id
    connection.execute(sa.update(taste_loras).where(mine).values(**values))


def acting(connection: sa.Connection, user_id: int) -> dict[str, Acting]:
    """Return what acts in somebody's drawings, by the name of the taste as it is typed behind ``--p``."""
    joined = taste_loras.join(projects, projects.c.id == taste_loras.c.project_id)
    joined = joined.join(versions, versions.c.project_id == projects.c.id)
    joined = joined.outerjoin(folders, folders.c.id == taste_loras.c.folder_id)
    columns = (projects.c.id, projects.c.name, versions.c.artefact, versions.c.metrics)
    read = sa.select(*columns, folders.c.name.label("folder")).select_from(joined)
    usable = (versions.c.state == ACTIVE, versions.c.artefact.is_not(None), taste_loras.c.is_on == 1)
    found = connection.execute(read.where(projects.c.user_id == user_id, *usable))
    return {
        OWN if row.folder is None else typed_name(row.folder): Acting(
            str(StoredLora(lora_name(row.name), row.id, row.artefact)),
            str(json.loads(row.metrics).get("model", "")),
        )
        for row in found
    }


def own_artefacts(connection: sa.Connection, user_id: int) -> set[str]:
    """Return the files of what was made of somebody's tastes, also of what doesn't act."""
    joined = taste_loras.join(projects, projects.c.id == taste_loras.c.project_id)
    joined = joined.join(versions, versions.c.project_id == projects.c.id)
    read = sa.select(versions.c.artefact).select_from(joined)
    return set(
        connection.scalars(read.where(projects.c.user_id == user_id, versions.c.artefact.is_not(None)))
    )


def newest_first(connection: sa.Connection, rows: Sequence[Row], most: int) -> list[Row]:
    """Return those of some rows whose jobs are the newest, at most ``most``."""
    wanted = sa.select(jobs.c.id, jobs.c.seq).where(jobs.c.id.in_({row.job_id for row in rows}))
    order = {row.id: row.seq for row in connection.execute(wanted)}
    return sorted(rows, key=lambda row: (-order.get(row.job_id, 0), row))[:most]


def recent_prompts(connection: sa.Connection, user_id: int, most: int) -> list[str]:
    """Return what somebody had drawn last from words alone, each once, the newest first."""
    drawn = [Status.RENDERED.value, Status.DELIVERED.value]
    done = (jobs.c.kind == ImagineRequest.kind, jobs.c.status.in_(drawn))
    read = sa.select(jobs.c.request).where(jobs.c.user_id == user_id, *done)
    found = connection.scalars(read.order_by(jobs.c.seq.desc()).limit(RECENT))
    asked = (json.loads(request) for request in found)
    plain = (one for one in asked if not one.get("image") and not one.get("image_prompts"))
    said = (one["prompt"] for one in plain if one["prompt"].strip() and not one.get("choices"))
    return list(dict.fromkeys(said))[:most]


def begin_pairs(connection: sa.Connection, project_id: str, number: int, pairs: Sequence[Pair]) -> None:
    """Let these pairs, in the place of others, decide about a version."""
    connection.execute(sa.delete(taste_pairs).where(taste_pairs.c.project_id == project_id))
    rows = [
        {"project_id": project_id, "position": one.position, "first": int(one.first)}
        | {"with_job": one.with_job, "without_job": one.without_job, "picture": one.picture}
        for one in pairs
    ]
    connection.execute(sa.insert(taste_pairs), rows)
    change(connection, project_id, {"number": number})


def list_pairs(connection: sa.Connection, project_id: str) -> list[Pair]:
    """Return the pairs by which a person chooses, in order."""
    mine = sa.select(taste_pairs).where(taste_pairs.c.project_id == project_id)
    return [
        from_row(Pair, row, first=bool(row.first), chosen=None if row.chosen is None else bool(row.chosen))
        for row in connection.execute(mine.order_by(taste_pairs.c.position))
    ]


def put_choice(connection: sa.Connection, project_id: str, position: int, *, chosen: bool) -> None:
    """Keep whether the picture with the LoRA was chosen, where nothing was said of the pair before."""
    mine = (taste_pairs.c.project_id == project_id, taste_pairs.c.position == position)
    said = sa.update(taste_pairs).where(*mine, taste_pairs.c.chosen.is_(None))
    connection.execute(said.values(chosen=int(chosen)))


def drop_pair(connection: sa.Connection, project_id: str, position: int) -> None:
    """Delete a pair that can't be shown."""
    mine = (taste_pairs.c.project_id == project_id, taste_pairs.c.position == position)
    connection.execute(sa.delete(taste_pairs).where(*mine))
