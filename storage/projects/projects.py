"""Rows of projects, of who may do what with them, and of their label books."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.people import from_row
from storage.schema import labels, project_rights, projects

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
    alone = sa.and_(projects.c.guild_id.is_(None), projects.c.user_id == made.user_id)
    theirs = alone if made.guild_id is None else projects.c.guild_id == made.guild_id
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
