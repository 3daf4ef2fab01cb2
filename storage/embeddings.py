"""Rows of vectors: which pictures have none yet, added, read, and deleted with their pictures; and their
copies as a worker reads them: float32, one file a model, in which place and offset are the same thing.
The rows are the truth: a file that is lost is written anew."""

import asyncio
import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.errors import StorageError
from core.vectors import PLACES_OF_MARK, marks_path
from storage.people import pages
from storage.schema import GRID, QUEUED, RUNNING, jobs, picture_places, picture_vectors, pictures

IN_USE = "vector_model"  # setting: the model whose vectors answer


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


def without_vector(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> list[str]:
    """Return which of these pictures have no vector of ``model``, in their order."""
    wanted = list(dict.fromkeys(sha256s))
    mine = (picture_vectors.c.model == model, picture_vectors.c.sha256.in_(wanted))
    known = set(connection.execute(sa.select(picture_vectors.c.sha256).where(*mine)).scalars())
    return [sha256 for sha256 in wanted if sha256 not in known]


def lacking(connection: sa.Connection, model: str, sha256s: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which of these pictures are ``unread``, and which ``unplaced``."""
    names = list(sha256s)
    return without_vector(connection, model, names), unplaced(connection, model, names)


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


def last_before_open(connection: sa.Connection) -> int:
    """Return the arrival number of the newest job before which none waits or runs, 0 = there is none."""
    first = [
        connection.scalar(sa.select(sa.func.min(jobs.c.seq)).where(sa.text(one))) for one in (QUEUED, RUNNING)
    ]
    if any(seq is not None for seq in first):
        return min(seq for seq in first if seq is not None) - 1
    return connection.scalar(sa.select(sa.func.max(jobs.c.seq))) or 0


def list_pictures(connection: sa.Connection, job_id: str) -> list[str]:
    """Return the SHA-256 of a job's pictures, without its overview."""
    mine = (pictures.c.job_id == job_id, pictures.c.position > GRID)
    statement = sa.select(pictures.c.sha256).where(*mine).order_by(pictures.c.position)
    return list(connection.execute(statement).scalars())


def next_place(connection: sa.Connection) -> int:
    """Return the first place behind all vectors."""
    last = sa.select(sa.func.coalesce(sa.func.max(picture_vectors.c.place), -1))
    return connection.execute(last).scalar_one() + 1


def add_vectors(connection: sa.Connection, model: str, made: Sequence[Vector]) -> list[Slot]:
    """Keep vectors of ``model`` for those pictures that are still there; return where the others lie."""
    names = [one.sha256 for one in made]
    there = set(connection.scalars(sa.select(pictures.c.sha256).where(pictures.c.sha256.in_(names))))
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


def read_vectors(connection: sa.Connection, model: str, first: int, last: int) -> dict[int, bytes]:
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
    for page in pages(found):
        connection.execute(sa.delete(picture_vectors).where(picture_vectors.c.place.in_(page)))
    return len(found)


def forget_vectors(connection: sa.Connection, sha256s: Iterable[str]) -> list[Slot]:
    """Delete the vectors of pictures that no job has made any more; return where copies of them lie."""
    gone = list[Slot]()
    made = sa.exists().where(pictures.c.sha256 == picture_vectors.c.sha256)
    size = sa.func.length(picture_vectors.c.vector)
    for page in pages(sha256s):
        statement = sa.delete(picture_vectors).where(picture_vectors.c.sha256.in_(page), ~made)
        rows = connection.execute(statement.returning(picture_vectors.c.model, picture_vectors.c.place, size))
        gone += [Slot(*row) for row in rows]
    return gone


WIDER = 2  # times as many bytes as in a row: numpy takes longer to widen float16 than to compare float32


class VectorFiles:
    """The files of vectors in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, model: str) -> Path:
        """Return where the vectors of ``model`` lie."""
        return self._folder / f"{hashlib.sha256(model.encode()).hexdigest()[:16]}.f32"

    async def put(self, model: str, vectors: Mapping[int, bytes]) -> None:
        """Write vectors of rows durably, by place. Raises StorageError when the disk is full."""
        await asyncio.to_thread(self._put, self.path(model), vectors, _wide)

    async def erase(self, slots: Iterable[Slot]) -> None:
        """Overwrite vectors that no row has any more. Raises StorageError when the disk doesn't take it."""
        await asyncio.to_thread(self._erase, list(slots))

    async def count(self, model: str, size: int) -> int:
        """Return how many vectors the file of ``model`` has room for. size: of one in a row, in bytes."""
        path = self.path(model)
        try:
            return (await asyncio.to_thread(path.stat)).st_size // (WIDER * size)
        except FileNotFoundError:
            return 0

    async def keep(self, models: Iterable[str]) -> None:
        """Remove the files of all models but these."""
        paths = {self.path(model) for model in models}

        def remove() -> None:
            for path in self._folder.glob("*.f32") if self._folder.is_dir() else ():
                if path not in paths:
                    path.unlink(missing_ok=True)
                    marks_path(path).unlink(missing_ok=True)

        await asyncio.to_thread(remove)

    def _put(
        self, path: Path, vectors: Mapping[int, bytes], packed: Callable[[bytes], bytes] = bytes
    ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            with path.open("r+b") as file:
                for place, vector in vectors.items():
                    data = packed(vector)
                    file.seek(place * len(data))
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            marks = marks_path(path)
            marks.touch()
            with marks.open("r+b") as file:
                for number in {place // PLACES_OF_MARK for place in vectors}:
                    file.seek(4 * number)
                    file.write(os.urandom(4))
        except OSError as error:
            raise StorageError(f"vectors of pictures can't be written: {error.strerror}") from error

    def _erase(self, slots: list[Slot]) -> None:
        by_path: dict[Path, dict[int, bytes]] = {}
        for slot in slots:
            by_path.setdefault(self.path(slot.model), {})[slot.place] = bytes(WIDER * slot.size)
        for path, zeros in by_path.items():
            if used := _not_empty(path, zeros):
                self._put(path, used)


def _wide(vector: bytes) -> bytes:
    """Return float16 numbers as float32."""
    count = len(vector) // 2
    return struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", vector))


def _not_empty(path: Path, zeros: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return those of ``zeros`` (by place) that would change the file."""
    found = {}
    with suppress(FileNotFoundError), path.open("rb") as file:
        for place, zero in zeros.items():
            file.seek(place * len(zero))
            if file.read(len(zero)).strip(b"\0"):
                found[place] = zero
    return found
