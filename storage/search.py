"""Which pictures a search may find, and the rows of those that it found. Both ask the same conditions, so
that no answer of a worker can show what the person may not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from storage import gallery
from storage.embeddings import next_place
from storage.gallery import Filter, Tile
from storage.schema import (
    GRID,
    SHOWN,
    favourites,
    jobs,
    messages,
    picture_places,
    picture_vectors,
    pictures,
    trash,
)

Name = int | tuple[str, int]  # the place of a picture's vector, or its job and index
MOST_NEW = 2000  # vectors that are added to places that were read before; of more, all are read anew
MOST_BARE = 200  # pictures whose prompt fits and that have no vector yet
_PICTURES = pictures.join(jobs, jobs.c.id == pictures.c.job_id)


@dataclass(frozen=True)
class Scope:
    """Whose pictures somebody may find: their own, and those that channels of servers show. The latter are of
    jobs that were asked for in that channel and aren't private."""

    user_id: int
    servers: frozenset[int] = frozenset()
    channels: frozenset[int] = frozenset()

    def parts(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of jobs, one of which has to hold, and no two of which do. Each is quick by
        an index of its own; both at once aren't."""
        own = jobs.c.user_id == self.user_id
        if not self.channels:
            return [own]
        shown = sa.and_(
            sa.text(SHOWN),
            jobs.c.guild_id.in_(self.servers),
            jobs.c.channel_id.in_(self.channels),
            jobs.c.user_id != self.user_id,
            _stands(),
        )
        return [own, shown]

    def allows(self) -> sa.ColumnElement[bool]:
        """Return the condition of jobs that are found by their pictures: a sum has no index, which would read
        all that the person may find."""
        own = jobs.c.user_id + 0 == self.user_id
        here = (jobs.c.guild_id + 0).in_(self.servers)
        shown = sa.and_(jobs.c.private == 0, here, jobs.c.channel_id.in_(self.channels), _stands())
        return sa.or_(own, shown) if self.channels else own


def _stands() -> sa.ColumnElement[bool]:
    """Return the condition that a message shows a job where it was asked for."""
    return sa.exists().where(messages.c.job_id == jobs.c.id, messages.c.channel_id == jobs.c.channel_id)


@dataclass(frozen=True)
class Known:
    """Places that were read, separated by commas. last: the last of all that there were then."""

    places: str
    last: int


@dataclass(frozen=True)
class Candidates:
    """What is compared: the places of ``known``. first: places of those whose prompt has the words, separated
    by commas; they are among the others too. bare: (job, index) of such pictures without a vector, the newest
    first."""

    known: Known
    first: str
    bare: tuple[tuple[str, int], ...]


def candidates(
    connection: sa.Connection,
    scope: Scope,
    wanted: Filter,
    model: str,
    without: str | None = None,
    known: Known | None = None,
) -> Candidates:
    """Return what may be found by a person with filter ``wanted``. without: SHA-256 of a picture that is not.
    known: what was read before; only what came since is read then."""
    everything = _everything(connection, scope, replace(wanted, words=()), model, known, without)
    if not wanted.words:
        return Candidates(everything, "", ())
    bare = _bare(connection, scope, wanted, model, without)
    return Candidates(everything, _places(connection, scope, wanted, model, without), bare)


def _places(connection: sa.Connection, scope: Scope, wanted: Filter, model: str, without: str | None) -> str:
    """Return the places as one text: a row of Python's for each of a hundred thousand would take longer than
    the search. Rows of pictures are read only where the filter asks for something of theirs."""
    joined = jobs.join(picture_places, picture_places.c.seq == jobs.c.seq)
    if not wanted.is_of_jobs:
        same = pictures.c.job_id == jobs.c.id, pictures.c.position == picture_places.c.position
        joined = joined.join(pictures, sa.and_(*same))
    if wanted.favourite:
        joined = joined.join(favourites, gallery.kept_by(scope.user_id))
    chosen = sa.select(_listed(picture_places.c.place)).select_from(joined)
    chosen = chosen.where(picture_places.c.model == model, *gallery.limits(wanted))
    if without is not None:
        mine = picture_vectors.c.sha256 == without, picture_vectors.c.model == model
        place = sa.select(picture_vectors.c.place).where(*mine).scalar_subquery()
        chosen = chosen.where(picture_places.c.place.is_distinct_from(place))
    own = trash.c.user_id == scope.user_id
    found = [
        connection.execute(chosen.where(part, _untrashed(whose))).scalar_one()
        for part, whose in zip(scope.parts(), (own, ~own), strict=False)
    ]
    return ",".join(places for places in found if places)


def _listed(place: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    return sa.func.aggregate_strings(sa.cast(place, sa.Text), ",")


def _untrashed(whose: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that a picture isn't in the trash ``whose``. The few that are there are read
    first: to look for each picture would take longer than to read the places."""
    other = jobs.alias()
    named = sa.select(other.c.seq, trash.c.position).join(trash, trash.c.job_id == other.c.id).where(whose)
    return sa.tuple_(picture_places.c.seq, picture_places.c.position).not_in(named)


def _everything(
    connection: sa.Connection,
    scope: Scope,
    wanted: Filter,
    model: str,
    known: Known | None,
    without: str | None,
) -> Known:
    """Return all places, of which ``known`` needn't be read again."""
    last = next_place(connection) - 1
    if known is None or last - known.last > MOST_NEW:
        return Known(_places(connection, scope, wanted, model, without), last)
    new = range(known.last + 1, last + 1)
    if not new:
        return known
    chosen = _chosen(sa.select(_listed(picture_vectors.c.place)), _seen(model), scope.user_id, wanted)
    found = chosen.where(picture_vectors.c.place.in_(new), scope.allows(), *_others(without))
    places = known.places, connection.execute(found).scalar_one()
    return Known(",".join(some for some in places if some), last)


def _bare(
    connection: sa.Connection, scope: Scope, wanted: Filter, model: str, without: str | None
) -> tuple[tuple[str, int], ...]:
    """Return the newest pictures that have no vector of ``model``, or whose vector isn't noted as theirs."""
    columns = sa.select(jobs.c.seq, pictures.c.job_id, pictures.c.position)
    same = picture_places.c.seq == jobs.c.seq, picture_places.c.position == pictures.c.position
    seen = sa.exists().where(*same, picture_places.c.model == model)
    found: list[sa.Row[Any]] = []
    for part in scope.parts():
        chosen = _chosen(columns, _PICTURES, scope.user_id, wanted).where(part, ~seen, *_others(without))
        found += connection.execute(_newest(chosen).limit(MOST_BARE)).all()
    found.sort(key=lambda row: (-row.seq, row.position))
    return tuple((row.job_id, row.position) for row in found[:MOST_BARE])


def newest_found(
    connection: sa.Connection, scope: Scope, wanted: Filter, *, skip: int, limit: int
) -> list[Tile]:
    """Return the newest pictures after ``skip`` others; the database walks over those."""
    found: list[Tile] = []
    for part in scope.parts():
        chosen = _chosen(sa.select(*gallery.tile_columns()), _PICTURES, scope.user_id, wanted).where(part)
        found += gallery.to_tiles(connection.execute(_newest(chosen).limit(skip + limit)))
    found.sort(key=lambda tile: (-tile.cursor.seq, tile.cursor.position))
    return found[skip : skip + limit]


def tiles(
    connection: sa.Connection, scope: Scope, wanted: Filter, model: str, names: Sequence[Name]
) -> list[Tile]:
    """Return the pictures of ``names``, in that order, and only what the filter and the person's rights allow
    still. A file that several jobs have made is shown once, of the newest."""
    anything, allowed = replace(wanted, words=()), scope.allows()
    found: dict[Name, sa.Row[Any]] = {}
    if places := [name for name in names if isinstance(name, int)]:
        columns = sa.select(*gallery.tile_columns(picture_vectors.c.place))
        chosen = _chosen(columns, _seen(model), scope.user_id, anything)
        these = chosen.where(picture_vectors.c.place.in_(places), allowed)
        last = these.order_by(jobs.c.seq, pictures.c.position.desc())
        found |= {row.place: row for row in connection.execute(last)}
    if others := [name for name in names if not isinstance(name, int)]:
        chosen = _chosen(sa.select(*gallery.tile_columns()), _PICTURES, scope.user_id, anything)
        these = chosen.where(sa.tuple_(pictures.c.job_id, pictures.c.position).in_(others), allowed)
        found |= {(row.id, row.picture_position): row for row in connection.execute(these)}
    return gallery.to_tiles(found[name] for name in names if name in found)


def _others(without: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if without is None else (pictures.c.sha256 != without,)


def _newest(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.order_by(jobs.c.seq.desc(), pictures.c.position)


def _seen(model: str) -> sa.Join:
    """Return the pictures that have a vector of ``model``, joined to it."""
    same = picture_vectors.c.sha256 == pictures.c.sha256, picture_vectors.c.model == model
    return _PICTURES.join(picture_vectors, sa.and_(*same))


def _chosen(statement: sa.Select[Any], joined: sa.Join, user_id: int, wanted: Filter) -> sa.Select[Any]:
    """Return ``statement`` over the pictures that ``wanted`` lets through, with the person's favourites if it
    asks for them."""
    if wanted.favourite or any(column.name == "kept_at" for column in statement.selected_columns):
        joined = joined.join(favourites, gallery.kept_by(user_id), isouter=not wanted.favourite)
    return statement.select_from(joined).where(pictures.c.position > GRID, *gallery.conditions(wanted))
