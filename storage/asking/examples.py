"""Rows of what people teach by example: sets, and the examples in them.

An example that was taken from a job hangs on it, and goes with it; so does one with a picture of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from core.job import Job, new_job_id
from core.requests import TryRequest
from storage import lookup
from storage.asking.schema import example_pictures, example_sets, examples

PAGE = 500


@dataclass(frozen=True)
class ExampleSet:
    """A set. guild_id: the server that it is shared with, None = it is its owner's alone. conversation: the
    first question of the conversation that it was taught in, None for one that was made by its name."""

    id: str
    user_id: int
    name: str
    guild_id: int | None = None
    conversation: str | None = None


@dataclass(frozen=True)
class Example:
    """A picture and what it is called, or a question with its right answer.

    label: the name, or the answer. question: "" = what the picture is called. pictures: SHA-256, with the job
    that each is of, None for one that was sent. job_id: of the question that was answered.
    """

    label: str = field(repr=False)
    question: str = field(default="", repr=False)
    pictures: tuple[tuple[str, str | None], ...] = ()
    job_id: str | None = None
    id: int = 0

    @property
    def jobs(self) -> frozenset[str]:
        """Every job that it hangs on."""
        named = (self.job_id, *(job_id for _, job_id in self.pictures))
        return frozenset(job_id for job_id in named if job_id is not None)


def add_set(
    connection: sa.Connection,
    user_id: int,
    name: str,
    *,
    most: int,
    now: datetime,
    conversation: str | None = None,
) -> ExampleSet | None:
    """Write a set; None when the person has ``most`` already. IntegrityError when they have one of that
    name."""
    count = sa.select(sa.func.count()).where(example_sets.c.user_id == user_id)
    if connection.execute(count).scalar_one() >= most:
        return None
    made = ExampleSet(new_job_id(), user_id, name, None, conversation)
    values = {"id": made.id, "user_id": user_id, "name": name, "conversation": conversation}
    connection.execute(sa.insert(example_sets).values(**values, created_at=now))
    return made


def sets_for(connection: sa.Connection, user_id: int, guild_id: int | None) -> list[ExampleSet]:
    """Return the person's own sets, then those that others share with a server, each by name."""
    mine = example_sets.c.user_id == user_id
    shared = example_sets.c.guild_id == guild_id if guild_id is not None else sa.false()
    rows = connection.execute(sa.select(example_sets).where(sa.or_(mine, shared)))
    found = [_set(row) for row in rows]
    return sorted(found, key=lambda one: (one.user_id != user_id, one.name.casefold(), one.id))


def one_set(connection: sa.Connection, set_id: str) -> ExampleSet | None:
    """Return a set, None when there is none of that id."""
    row = connection.execute(sa.select(example_sets).where(example_sets.c.id == set_id)).first()
    return None if row is None else _set(row)


def taught_in(connection: sa.Connection, job_ids: Collection[str]) -> list[ExampleSet]:
    """Return the sets that were taught in conversations that begin with one of these jobs."""
    statement = sa.select(example_sets).where(example_sets.c.conversation.in_(list(job_ids)))
    return [_set(row) for row in connection.execute(statement.order_by(example_sets.c.created_at))]


def share(connection: sa.Connection, set_id: str, guild_id: int | None) -> None:
    """Share a set with a server, or (None) with nobody."""
    connection.execute(sa.update(example_sets).where(example_sets.c.id == set_id).values(guild_id=guild_id))


def of_set(connection: sa.Connection, set_id: str) -> list[Example]:
    """Return the examples of a set, the oldest first."""
    return _read(connection, sa.select(examples).where(examples.c.set_id == set_id))


def one_example(connection: sa.Connection, set_id: str, example_id: int) -> Example | None:
    """Return an example of a set, None where it has none of that id."""
    mine = examples.c.set_id == set_id, examples.c.id == example_id
    return next(iter(_read(connection, sa.select(examples).where(*mine))), None)


def tries(connection: sa.Connection, user_id: int, set_id: str, limit: int) -> list[Job]:
    """Return the newest jobs by which a person tried a set, the newest first."""
    return lookup.newest(connection, user_id, TryRequest.kind, set_id, limit)


def add(connection: sa.Connection, set_id: str, new: Iterable[Example], *, now: datetime) -> None:
    """Write examples of a set."""
    for example in new:
        values = {"question": example.question, "label": example.label, "job_id": example.job_id}
        made = sa.insert(examples).values(set_id=set_id, created_at=now, **values).returning(examples.c.id)
        number = connection.execute(made).scalar_one()
        for position, (sha256, job_id) in enumerate(example.pictures):
            row = {"example_id": number, "position": position, "sha256": sha256, "job_id": job_id}
            connection.execute(sa.insert(example_pictures).values(**row))


def remove(connection: sa.Connection, ids: Sequence[int]) -> set[str]:
    """Delete examples; return the files that they named."""
    files = set[str]()
    for page in (ids[i : i + PAGE] for i in range(0, len(ids), PAGE)):
        named = sa.select(example_pictures.c.sha256).where(example_pictures.c.example_id.in_(page))
        files |= set(connection.execute(named).scalars())
        connection.execute(sa.delete(examples).where(examples.c.id.in_(page)))
    return files


def remove_set(connection: sa.Connection, set_id: str) -> set[str]:
    """Delete a set; return the files that its examples named."""
    found = sa.select(examples.c.id).where(examples.c.set_id == set_id)
    files = remove(connection, list(connection.execute(found).scalars()))
    connection.execute(sa.delete(example_sets).where(example_sets.c.id == set_id))
    return files


def remove_from_jobs(connection: sa.Connection, job_ids: Sequence[str]) -> set[str]:
    """Delete every example with words or a picture of these jobs, whoever has it; return the files that they
    named."""
    shown = sa.select(example_pictures.c.example_id).where(example_pictures.c.job_id.in_(job_ids))
    some = sa.or_(examples.c.job_id.in_(job_ids), examples.c.id.in_(shown))
    return remove(connection, list(connection.execute(sa.select(examples.c.id).where(some)).scalars()))


def remove_pictures(connection: sa.Connection, job_id: str, files: Collection[str]) -> set[str]:
    """Delete every example with one of these pictures of a job; return the files that they named."""
    shown = sa.select(example_pictures.c.example_id).where(
        example_pictures.c.job_id == job_id, example_pictures.c.sha256.in_(list(files))
    )
    return remove(connection, list(connection.execute(shown).scalars()))


def files_of(connection: sa.Connection, user_id: int) -> set[str]:
    """Return the files that a person's sets name."""
    mine = sa.select(example_sets.c.id).where(example_sets.c.user_id == user_id)
    joined = example_pictures.join(examples, examples.c.id == example_pictures.c.example_id)
    named = sa.select(example_pictures.c.sha256).select_from(joined).where(examples.c.set_id.in_(mine))
    return set(connection.execute(named).scalars())


def _set(row: sa.Row[tuple[object, ...]]) -> ExampleSet:
    return ExampleSet(row.id, row.user_id, row.name, row.guild_id, row.conversation)


def _read(connection: sa.Connection, statement: sa.Select[tuple[object, ...]]) -> list[Example]:
    rows = connection.execute(statement.order_by(examples.c.id)).all()
    shown: defaultdict[int, list[tuple[str, str | None]]] = defaultdict(list)
    ids = [row.id for row in rows]
    for page in (ids[i : i + PAGE] for i in range(0, len(ids), PAGE)):
        pictures = sa.select(example_pictures).where(example_pictures.c.example_id.in_(page))
        for picture in connection.execute(pictures.order_by(example_pictures.c.position)):
            shown[picture.example_id].append((picture.sha256, picture.job_id))
    return [Example(row.label, row.question, tuple(shown[row.id]), row.job_id, row.id) for row in rows]
