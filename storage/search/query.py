"""Which pictures a search may find, and the rows of those that it found. Both ask the same conditions, so
that no answer of a worker can show what the person may not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from storage import gallery
from storage.gallery import Filter, Tile
from storage.schema import GRID, favourites, jobs, pictures
from storage.search.tables import picture_vectors

Name = int | tuple[str, int]  # the place of a picture's vector, or its job and index
MOST_BARE = 200  # pictures whose prompt fits and that have no vector yet


@dataclass(frozen=True)
class Candidates:
    """What is compared: places of vectors, separated by commas. first: of those whose prompt has the words;
    they are among ``places`` too. bare: (job, index) of such pictures without a vector, the newest first."""

    places: str
    first: str
    bare: tuple[tuple[str, int], ...]


def candidates(
    connection: sa.Connection, user_id: int, wanted: Filter, model: str, without: str | None = None
) -> Candidates:
    """Return what may be found by a person with filter ``wanted``. without: SHA-256 of a picture that is
    not."""
    other = () if without is None else (pictures.c.sha256 != without,)
    everything = _places(connection, user_id, replace(wanted, words=()), model, *other)
    if not wanted.words:
        return Candidates(everything, "", ())
    columns = sa.select(pictures.c.job_id, pictures.c.position)
    seen = sa.exists().where(*_vector_of(model))
    bare = _chosen(columns, _PICTURES, user_id, wanted).where(~seen, *other)
    newest = bare.order_by(jobs.c.seq.desc(), pictures.c.position).limit(MOST_BARE)
    rows = tuple((row.job_id, row.position) for row in connection.execute(newest))
    return Candidates(everything, _places(connection, user_id, wanted, model, *other), rows)


def _places(
    connection: sa.Connection, user_id: int, wanted: Filter, model: str, *more: sa.ColumnElement[bool]
) -> str:
    """Return the places as one text: a row of Python's for each of a hundred thousand would take longer than
    the search."""
    joined = sa.func.aggregate_strings(sa.cast(picture_vectors.c.place, sa.Text), ",")
    chosen = _chosen(sa.select(joined), _seen(model), user_id, wanted).where(*more)
    return connection.execute(chosen).scalar_one() or ""


def tiles(
    connection: sa.Connection, user_id: int, wanted: Filter, model: str, names: Sequence[Name]
) -> list[Tile]:
    """Return the pictures of ``names``, in that order, and only what the filter and the person's rights allow
    still. A file that several jobs have made is shown once, of the newest."""
    anything = replace(wanted, words=())
    found: dict[Name, sa.Row[Any]] = {}
    if places := [name for name in names if isinstance(name, int)]:
        columns = sa.select(*gallery.tile_columns(picture_vectors.c.place))
        chosen = _chosen(columns, _seen(model), user_id, anything)
        newest_last = chosen.where(picture_vectors.c.place.in_(places)).order_by(
            jobs.c.seq, pictures.c.position.desc()
        )
        found |= {row.place: row for row in connection.execute(newest_last)}
    if others := [name for name in names if not isinstance(name, int)]:
        these = sa.tuple_(pictures.c.job_id, pictures.c.position).in_(others)
        chosen = _chosen(sa.select(*gallery.tile_columns()), _PICTURES, user_id, anything)
        rows = connection.execute(chosen.where(these))
        found |= {(row.id, row.picture_position): row for row in rows}
    return gallery.to_tiles(found[name] for name in names if name in found)


_PICTURES = pictures.join(jobs, jobs.c.id == pictures.c.job_id)


def _vector_of(model: str) -> tuple[sa.ColumnElement[bool], ...]:
    return picture_vectors.c.sha256 == pictures.c.sha256, picture_vectors.c.model == model


def _seen(model: str) -> sa.Join:
    """Return the pictures that have a vector of ``model``, joined to it."""
    return _PICTURES.join(picture_vectors, sa.and_(*_vector_of(model)))


def _chosen(statement: sa.Select[Any], joined: sa.Join, user_id: int, wanted: Filter) -> sa.Select[Any]:
    """Return ``statement`` over what a person may find with ``wanted``."""
    kept = joined.join(favourites, gallery.kept_by(user_id), isouter=not wanted.favourite)
    return statement.select_from(kept).where(
        gallery.found_by(user_id, wanted.channels), pictures.c.position > GRID, *gallery.conditions(wanted)
    )
