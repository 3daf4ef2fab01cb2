"""Rows of projects, of who may do what with them, and of their label lists; and what goes out of the rows of
custom models when pictures, people or projects do.

A version that learned from a deleted picture is tainted in the same transaction: its file and its report go,
with the jobs that show them, and its project is due for a training without that picture if it was in use."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.job import NOBODY, Status
from core.requests.custom_models import TrainRequest
from storage.people import from_row, pages
from storage.projects.versions import ACTIVE, TAINTED, owned_with
from storage.schema import (
    BUNDLES,
    UNFINISHED,
    items,
    job_files,
    jobs,
    labels,
    marks,
    project_rights,
    projects,
    training_items,
    trainings,
    verdicts,
    version_files,
    version_items,
    versions,
)

RIGHTS = ("add", "label", "train", "use", "export")
MOST_VOICES = 3
EVERYBODY = 0  # role of every member of the server


@dataclass(frozen=True)
class Project:
    """A project. guild_id: the server that it belongs to, None = it is ``user_id``'s alone. granted: (role,
    right) beside what its owner and the server's managers may. due: number of the version that must be
    trained again because what it had learned from was deleted, 0 = none. voices: people who have to agree on
    a label, 1 to MOST_VOICES."""

    id: str
    user_id: int
    guild_id: int | None
    name: str
    task: str
    created_at: datetime
    alike: str = "auto"
    words: str = ""
    due: int = 0
    voices: int = 1
    granted: frozenset[tuple[int, str]] = field(default_factory=frozenset)

    def rights_of(self, roles: Iterable[int]) -> frozenset[str]:
        """Return the rights that a member with these roles was given."""
        held = {EVERYBODY, *roles}
        return frozenset(right for role, right in self.granted if role in held)


@dataclass(frozen=True)
class Label:
    """An entry of a label book. meaning: when to use it, in a sentence."""

    name: str
    meaning: str = ""


def add_project(
    connection: sa.Connection, made: Project, names: Iterable[str], *, most: int
) -> Project | None:
    """Write a new project with the labels ``names``; None when its owner, or its server, has ``most``
    already. IntegrityError when they have one of that name."""
    theirs = owned_with(made.guild_id, made.user_id)
    if connection.execute(sa.select(sa.func.count()).where(theirs)).scalar_one() >= most:
        return None
    values = {name: getattr(made, name) for name in ("user_id", "guild_id", "name", "task", "alike", "words")}
    connection.execute(sa.insert(projects).values(id=made.id, created_at=made.created_at, **values))
    for role_id, right in made.granted:
        connection.execute(sa.insert(project_rights).values(project_id=made.id, role_id=role_id, right=right))
    for name in names:
        put_label(connection, made.id, Label(name))
    return made


def read_project(connection: sa.Connection, project_id: str) -> Project | None:
    """Return a project, None when there is none of that id."""
    return next(iter(_read(connection, projects.c.id == project_id)), None)


def list_projects(connection: sa.Connection, user_id: int, guilds: Collection[int]) -> list[Project]:
    """Return a person's own projects, then those of servers, each by name."""
    mine = sa.and_(projects.c.guild_id.is_(None), projects.c.user_id == user_id)
    found = _read(connection, sa.or_(mine, projects.c.guild_id.in_(list(guilds))))
    return sorted(found, key=lambda one: (one.guild_id is not None, one.name.casefold(), one.id))


def list_due(connection: sa.Connection) -> list[Project]:
    """Return the projects with a version that must be trained again."""
    return _read(connection, projects.c.due > 0)


def change_project(connection: sa.Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of a project. IntegrityError for a name that its owner or server has already."""
    connection.execute(sa.update(projects).where(projects.c.id == project_id).values(**values))


def grant(connection: sa.Connection, project_id: str, role_id: int, rights: Iterable[str]) -> None:
    """Let a role (EVERYBODY = all members) have exactly these rights."""
    mine = (project_rights.c.project_id == project_id, project_rights.c.role_id == role_id)
    connection.execute(sa.delete(project_rights).where(*mine))
    for right in sorted(set(rights)):
        row = {"project_id": project_id, "role_id": role_id, "right": right}
        connection.execute(sa.insert(project_rights).values(**row))


def read_labels(connection: sa.Connection, project_id: str) -> list[Label]:
    """Return a project's labels in their order."""
    mine = sa.select(labels).where(labels.c.project_id == project_id).order_by(labels.c.position)
    return [Label(row.name, row.meaning) for row in connection.execute(mine)]


def put_label(connection: sa.Connection, project_id: str, label: Label) -> None:
    """Add a label to the book, or change what it means."""
    mine = (labels.c.project_id == project_id, labels.c.name == label.name)
    changed = connection.execute(sa.update(labels).where(*mine).values(meaning=label.meaning))
    if not changed.rowcount:
        last = sa.select(sa.func.coalesce(sa.func.max(labels.c.position), -1) + 1)
        place = connection.execute(last.where(labels.c.project_id == project_id)).scalar_one()
        values = {"project_id": project_id, "name": label.name, "meaning": label.meaning}
        connection.execute(sa.insert(labels).values(position=place, **values))


def drop_label(connection: sa.Connection, project_id: str, name: str) -> bool:
    """Take a label out of the book; return whether it was there."""
    mine = (labels.c.project_id == project_id, labels.c.name == name)
    return bool(connection.execute(sa.delete(labels).where(*mine)).rowcount)


def _read(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Project]:
    found = connection.execute(sa.select(projects).where(condition)).all()
    granted: dict[str, set[tuple[int, str]]] = {row.id: set() for row in found}
    if granted:
        rights = sa.select(project_rights).where(project_rights.c.project_id.in_(list(granted)))
        for row in connection.execute(rights):
            granted[row.project_id].add((row.role_id, row.right))
    return [from_row(Project, row, granted=frozenset(granted[row.id])) for row in found]


@dataclass(frozen=True)
class Gone:
    """What was taken out. files: SHA-256 that it named. spoilt: jobs that aren't over and were told of what
    is gone. shown: jobs that are over and show it still, as trainings and bundles do: to be deleted."""

    files: frozenset[str] = frozenset()
    spoilt: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()

    def __or__(self, other: Gone) -> Gone:
        return Gone(self.files | other.files, self.spoilt | other.spoilt, self.shown | other.shown)


def forget_items(connection: sa.Connection, project_id: str, sha256s: Iterable[str]) -> Gone:
    """Delete pictures of a project, and taint what has learned from them."""
    gone = Gone()
    for page in pages(sha256s):
        gone |= _forget_page(connection, project_id, page)
    return gone


def _forget_page(connection: sa.Connection, project_id: str, page: list[str]) -> Gone:
    mine = (items.c.project_id == project_id, items.c.sha256.in_(page))
    files = set(connection.execute(sa.select(items.c.sha256).where(*mine)).scalars())
    theirs = (marks.c.project_id == project_id, marks.c.sha256.in_(page), marks.c.mask.is_not(None))
    files |= set(connection.execute(sa.select(marks.c.mask).where(*theirs)).scalars())
    learned = (version_items.c.project_id == project_id, version_items.c.sha256.in_(page))
    numbers = set(connection.execute(sa.select(version_items.c.number).where(*learned)).scalars())
    tainted = _taint(connection, project_id, numbers)
    connection.execute(sa.delete(version_items).where(*learned))
    ours = sa.select(trainings.c.job_id).where(trainings.c.project_id == project_id)
    told = (training_items.c.job_id.in_(ours), training_items.c.sha256.in_(page))
    spoilt = set(connection.execute(sa.select(training_items.c.job_id).where(*told)).scalars())
    connection.execute(sa.update(trainings).where(trainings.c.job_id.in_(list(spoilt))).values(spoilt=1))
    connection.execute(sa.delete(training_items).where(*told))
    connection.execute(sa.delete(items).where(*mine))
    return tainted | Gone(frozenset(files), frozenset(spoilt))


def _taint(connection: sa.Connection, project_id: str, numbers: Collection[int]) -> Gone:
    """Let nobody use these versions any more, nor see what shows them."""
    files, shown = set[str](), set[str]()
    for number in numbers:
        mine = (versions.c.project_id == project_id, versions.c.number == number)
        row = connection.execute(sa.select(versions).where(*mine)).one()
        files |= {row.artefact} - {None}
        shown |= {row.job_id} - {None}
        report = (version_files.c.project_id == project_id, version_files.c.number == number)
        files |= set(connection.execute(sa.select(version_files.c.sha256).where(*report)).scalars())
        connection.execute(sa.delete(version_files).where(*report))
        connection.execute(sa.update(versions).where(*mine).values(state=TAINTED, artefact=None))
        if row.state == ACTIVE:
            due = sa.update(projects).where(projects.c.id == project_id)
            connection.execute(due.values(due=number))
    bundled = bundles(connection, {project_id: numbers})
    return Gone(frozenset(files), bundled.spoilt, bundled.shown | shown)


def bundles(connection: sa.Connection, numbers: Mapping[str, Collection[int]]) -> Gone:
    """Return the jobs that have made, or are to make, bundles of versions. numbers: of them, by project."""
    made = sa.exists().where(job_files.c.job_id == jobs.c.id)
    statement = sa.select(jobs.c.id, jobs.c.request, jobs.c.status).where(sa.text(BUNDLES))
    shown, spoilt = set[str](), set[str]()
    found = connection.execute(statement.where(made | sa.text(UNFINISHED))) if any(numbers.values()) else ()
    for row in found:
        asked = json.loads(row.request)
        if asked["version"] in numbers.get(asked["project"], ()):
            over = row.status not in (Status.QUEUED.value, Status.RUNNING.value)
            (shown if over else spoilt).add(row.id)
    return Gone(spoilt=frozenset(spoilt), shown=frozenset(shown))


def tainted_bundles(connection: sa.Connection) -> Gone:
    """Return the jobs whose bundles hold versions that may be used no more."""
    statement = sa.select(versions.c.project_id, versions.c.number).where(versions.c.state == TAINTED)
    numbers: dict[str, set[int]] = {}
    for row in connection.execute(statement):
        numbers.setdefault(row.project_id, set()).add(row.number)
    return bundles(connection, numbers)


def forget_project(connection: sa.Connection, project_id: str) -> Gone:
    """Delete a project with all that hangs on it."""
    files = set[str]()
    for column in (items.c.sha256, marks.c.mask, versions.c.artefact, version_files.c.sha256):
        mine = column.table.c.project_id == project_id
        files |= set(connection.execute(sa.select(column).where(mine, column.is_not(None))).scalars())
    every = sa.select(versions.c.number, versions.c.job_id).where(versions.c.project_id == project_id)
    made = {row.number: row.job_id for row in connection.execute(every)}
    bundled = bundles(connection, {project_id: made})
    shown = {job_id for job_id in made.values() if job_id is not None}
    shown |= _trained_again(connection, project_id)
    ours = sa.select(trainings.c.job_id).where(trainings.c.project_id == project_id)
    spoilt = set(connection.execute(ours).scalars())
    connection.execute(sa.delete(projects).where(projects.c.id == project_id))
    return bundled | Gone(frozenset(files), frozenset(spoilt), frozenset(shown))


def _trained_again(connection: sa.Connection, project_id: str) -> set[str]:
    """Return the jobs by which the studio itself trained, or tried to train, a project's model again: they
    are nobody's, so nobody's deletion would take them, and they have the project's words."""
    over = jobs.c.status.not_in((Status.QUEUED.value, Status.RUNNING.value))
    again = (jobs.c.user_id == NOBODY, jobs.c.kind == TrainRequest.kind, over)
    found = connection.execute(sa.select(jobs.c.id, jobs.c.request).where(*again))
    return {row.id for row in found if json.loads(row.request)["project"] == project_id}


def forget_person(connection: sa.Connection, user_id: int) -> Gone:
    """Delete a person's own projects, and their pictures in others'. What they called others' pictures stays
    without their name, and so do their servers' projects, which go to the servers' managers."""
    own = sa.select(projects.c.id).where(projects.c.user_id == user_id, projects.c.guild_id.is_(None))
    gone = Gone()
    for project_id in connection.execute(own).scalars().all():
        gone |= forget_project(connection, project_id)
    brought = sa.select(items.c.project_id, items.c.sha256).where(items.c.user_id == user_id)
    return gone | _forget_found(connection, brought)


def forget_jobs(connection: sa.Connection, job_ids: Collection[str]) -> Gone:
    """Delete pictures of projects that are these jobs' pictures."""
    made = sa.select(items.c.project_id, items.c.sha256).where(items.c.job_id.in_(list(job_ids)))
    return _forget_found(connection, made)


def forget_pictures(connection: sa.Connection, job_id: str, sha256s: Collection[str]) -> Gone:
    """Delete pictures of projects that are these of a job's."""
    mine = (items.c.job_id == job_id, items.c.sha256.in_(list(sha256s)))
    return _forget_found(connection, sa.select(items.c.project_id, items.c.sha256).where(*mine))


def files_of_jobs(connection: sa.Connection, job_ids: Collection[str]) -> set[str]:
    """Return the files that these jobs have made to be taken elsewhere."""
    mine = job_files.c.job_id.in_(list(job_ids))
    return set(connection.execute(sa.select(job_files.c.sha256).where(mine)).scalars())


def _forget_found(connection: sa.Connection, statement: sa.Select[Any]) -> Gone:
    found: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.project_id, []).append(row.sha256)
    gone = Gone()
    for project_id, names in found.items():
        gone |= forget_items(connection, project_id, names)
    return gone


def selections(user_id: int) -> dict[str, sa.Select[Any]]:
    """Return, by table, a person's rows: projects, pictures, words, trainings, verdicts they answered."""
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


def count_pictures(connection: sa.Connection, user_id: int) -> int:
    """Return how many pictures a person has in projects."""
    mine = sa.select(sa.func.count()).where(items.c.user_id == user_id)
    return connection.execute(mine).scalar_one()
