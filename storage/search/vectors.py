"""Rows of vectors: which pictures have none yet, added, read, and deleted with their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.schema import GRID, jobs, pictures
from storage.search.tables import picture_places, picture_vectors

PAGE = 500  # SQLite limits a list's length


@dataclass(frozen=True)
class Slot:
    """Where a copy of a vector lies: in the file of ``model``, at ``place``. size: bytes in its row."""

    model: str
    place: int
    size: int


@dataclass(frozen=True)
class Vector:
    """A picture's vector, at its place among all."""

    place: int
    sha256: str
    vector: bytes


def unread(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> list[str]:
    """Return which of these pictures have no vector of ``model``, in their order."""
    wanted = list(dict.fromkeys(sha256s))
    mine = (picture_vectors.c.model == model, picture_vectors.c.sha256.in_(wanted))
    known = set(connection.execute(sa.select(picture_vectors.c.sha256).where(*mine)).scalars())
    return [sha256 for sha256 in wanted if sha256 not in known]


def lacking(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which of these pictures are ``unread``, and which ``unplaced``."""
    names = list(sha256s)
    return unread(connection, model, names), unplaced(connection, model, names)


def unplaced(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> list[str]:
    """Return which of these pictures somebody has made without their vector of ``model`` being noted as that
    picture's: the same file may be made again."""
    named = picture_vectors.c.sha256.in_(list(sha256s))
    chosen = _not_noted(picture_vectors.c.sha256).where(picture_vectors.c.model == model, named)
    return list(connection.execute(chosen.distinct()).scalars())


def note_places(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> None:
    """Note whose pictures the vectors of these files are."""
    columns = (jobs.c.seq, pictures.c.position, picture_vectors.c.model, picture_vectors.c.place)
    named = picture_vectors.c.sha256.in_(list(sha256s))
    chosen = _not_noted(*columns).where(picture_vectors.c.model == model, named)
    connection.execute(sa.insert(picture_places).from_select(["seq", "position", "model", "place"], chosen))


def _not_noted(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return a selection of pictures that have a vector and no place."""
    joined = picture_vectors.join(pictures, pictures.c.sha256 == picture_vectors.c.sha256)
    joined = joined.join(jobs, jobs.c.id == pictures.c.job_id)
    known = sa.exists().where(
        picture_places.c.seq == jobs.c.seq,
        picture_places.c.position == pictures.c.position,
        picture_places.c.model == picture_vectors.c.model,
    )
    return sa.select(*columns).select_from(joined).where(pictures.c.position > GRID, ~known)


def drop_places(connection: sa.Connection, job_id: str, positions: Iterable[int]) -> None:
    """Forget which vectors are those of a job's pictures, which are deleted."""
    seq = sa.select(jobs.c.seq).where(jobs.c.id == job_id).scalar_subquery()
    gone = (picture_places.c.seq == seq, picture_places.c.position.in_(list(positions)))
    connection.execute(sa.delete(picture_places).where(*gone))


def made_before(connection: sa.Connection, seq: int | None, limit: int) -> list[tuple[int, str]]:
    """Return (number of its job's arrival, SHA-256) of pictures, of the newest jobs before number ``seq``
    (None: of all) first. limit: of jobs that are looked at."""
    some = sa.select(jobs.c.id, jobs.c.seq).where(jobs.c.rendered_at.is_not(None))
    if seq is not None:
        some = some.where(jobs.c.seq < seq)
    newest = some.order_by(jobs.c.seq.desc()).limit(limit).subquery()
    joined = newest.join(pictures, pictures.c.job_id == newest.c.id)
    statement = (
        sa.select(newest.c.seq, pictures.c.sha256)
        .select_from(joined)
        .where(pictures.c.position > GRID)
        .order_by(newest.c.seq.desc(), pictures.c.position)
    )
    return [(row.seq, row.sha256) for row in connection.execute(statement)]


def of_job(connection: sa.Connection, job_id: str) -> list[str]:
    """Return the SHA-256 of a job's pictures, without its overview."""
    mine = (pictures.c.job_id == job_id, pictures.c.position > GRID)
    statement = sa.select(pictures.c.sha256).where(*mine).order_by(pictures.c.position)
    return list(connection.execute(statement).scalars())


def next_place(connection: sa.Connection) -> int:
    """Return the first place behind all vectors."""
    return (
        connection.execute(sa.select(sa.func.coalesce(sa.func.max(picture_vectors.c.place), -1))).scalar_one()
        + 1
    )


def add(connection: sa.Connection, model: str, made: Sequence[Vector]) -> list[Slot]:
    """Keep vectors of ``model`` for those pictures that are still there; return where the others lie."""
    names = [one.sha256 for one in made]
    there = set(
        connection.execute(sa.select(pictures.c.sha256).where(pictures.c.sha256.in_(names))).scalars()
    )
    kept = [one for one in made if one.sha256 in there]
    if kept:
        rows = [{"place": v.place, "sha256": v.sha256, "model": model, "vector": v.vector} for v in kept]
        connection.execute(sa.insert(picture_vectors), rows)
        note_places(connection, model, there)
    return [Slot(model, one.place, len(one.vector)) for one in made if one.sha256 not in there]


def vector_of(connection: sa.Connection, model: str, sha256: str) -> bytes | None:
    """Return a picture's vector, None when it has none yet."""
    mine = (picture_vectors.c.model == model, picture_vectors.c.sha256 == sha256)
    return connection.execute(sa.select(picture_vectors.c.vector).where(*mine)).scalar_one_or_none()


def places(connection: sa.Connection, model: str, after: int, limit: int) -> list[int]:
    """Return the places of a model's vectors behind ``after``, in order."""
    mine = (picture_vectors.c.model == model, picture_vectors.c.place > after)
    statement = sa.select(picture_vectors.c.place).where(*mine).order_by(picture_vectors.c.place).limit(limit)
    return list(connection.execute(statement).scalars())


def between(connection: sa.Connection, model: str, first: int, last: int) -> dict[int, bytes]:
    """Return a model's vectors from place ``first`` to ``last``, by place."""
    mine = (picture_vectors.c.model == model, picture_vectors.c.place.between(first, last))
    statement = sa.select(picture_vectors.c.place, picture_vectors.c.vector).where(*mine)
    return {row.place: row.vector for row in connection.execute(statement)}


def size_of(connection: sa.Connection, model: str) -> int | None:
    """Return how many bytes a vector of ``model`` has, None while there is none."""
    statement = sa.select(sa.func.length(picture_vectors.c.vector)).where(picture_vectors.c.model == model)
    return connection.execute(statement.limit(1)).scalar_one_or_none()


def drop_others(connection: sa.Connection, model: str, limit: int) -> int:
    """Delete at most ``limit`` vectors of other models than ``model``; return how many."""
    some = sa.select(picture_vectors.c.place).where(picture_vectors.c.model != model).limit(limit)
    found = list(connection.execute(some).scalars())
    for page in (found[i : i + PAGE] for i in range(0, len(found), PAGE)):
        connection.execute(sa.delete(picture_vectors).where(picture_vectors.c.place.in_(page)))
    return len(found)


def forget(connection: sa.Connection, sha256s: Iterable[str]) -> list[Slot]:
    """Delete the vectors of those pictures that no job has made any more; return where copies of them
    lie."""
    names, gone = list(sha256s), list[Slot]()
    made = sa.exists().where(pictures.c.sha256 == picture_vectors.c.sha256)
    for page in (names[i : i + PAGE] for i in range(0, len(names), PAGE)):
        statement = (
            sa.delete(picture_vectors)
            .where(picture_vectors.c.sha256.in_(page), ~made)
            .returning(
                picture_vectors.c.model, picture_vectors.c.place, sa.func.length(picture_vectors.c.vector)
            )
        )
        gone += [Slot(*row) for row in connection.execute(statement)]
    return gone
