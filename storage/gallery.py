"""Rows of somebody's pictures, and of what channels of a server show, a page at a time: newest job first,
its pictures in their own order; and which of them a search may find. What compares pictures and what reads
the rows that it found ask the same conditions, so that no answer of a worker can show what the person may
not see."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import product
from typing import Any

import sqlalchemy as sa

from core.job import Job, Status
from core.requests import AskRequest
from storage import job_queries, place_sets
from storage import videos as videos
from storage.collections import in_trash, is_trashed, trashed_positions
from storage.job_queries import model_of
from storage.prompt_words import are_common, has, jobs_with, says
from storage.schema import (
    CHILD,
    GRID,
    SHOWN,
    favourites,
    folder_items,
    jobs,
    messages,
    picture_places,
    picture_vectors,
    pictures,
    shares,
    trash,
)

MOST = 200  # pictures of a page, and nodes of a lineage
RATIO_OFF = 3  # per cent that a picture's shape may be off a ratio: sides are multiples of 8 px
_EPOCH, _FIRST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
_CURSOR = re.compile("([0-9]{1,18})-([0-9]{1,3})")
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Cursor:
    """A picture's place: the number of its job's arrival, and its own from 0."""

    seq: int
    position: int

    def __str__(self) -> str:
        return f"{self.seq}-{self.position}"

    @classmethod
    def of(cls, text: str) -> Cursor:
        """Return the cursor that ``str`` wrote. Raises ValueError."""
        if (found := _CURSOR.fullmatch(text)) is None:
            raise ValueError("that is no cursor")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Tile:
    """A gallery's picture, with its job. favourite: of whoever looks. trashed_at: if it is in the trash."""

    job: Job
    picture: job_queries.StoredPicture
    cursor: Cursor
    favourite: bool
    trashed_at: datetime | None = None


@dataclass(frozen=True)
class Filter:
    """Which pictures are meant, of those that a person may find. words: all of them stand in the prompt, in
    any case. kind: of request. since, until: when the job was asked for, the latter excluded. model: a part
    of the name of the one that drew it. ratio: of width and height, about. trash: those in the trash, which
    are in nothing else. folder: the id of a folder that they are in."""

    words: tuple[str, ...] = ()
    kind: str | None = None
    favourite: bool = False
    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    seed: int | None = None
    ratio: tuple[int, int] | None = None
    trash: bool = False
    folder: str | None = None

    @property
    def is_of_jobs(self) -> bool:
        """Whether all pictures of a job fit or none, but for those in the trash."""
        return not (self.favourite or self.folder or self.ratio) and self.seed is None


_ANY = Filter()


def tiles(
    connection: sa.Connection,
    user_id: int,
    wanted: Filter,
    *,
    before: Cursor | None = None,
    skip: int = 0,
    limit: int,
) -> list[Tile]:
    """Return the person's pictures that come after ``before``, or the newest. skip: leave so many out first;
    the database walks over them, so it is for a jump inside a month."""
    joined = pictures.join(jobs, jobs.c.id == pictures.c.job_id)
    page = _page(connection, joined, user_id, wanted, before, limit)
    statement = page.where(jobs.c.user_id == user_id).offset(skip)
    if wanted.since or wanted.until:
        statement = statement.where(_between(user_id, wanted))
    return to_tiles(connection.execute(statement))


def _page(
    connection: sa.Connection,
    joined: sa.Join,
    reader: int,
    wanted: Filter,
    before: Cursor | None,
    limit: int,
) -> sa.Select[Any]:
    """Return the statement for a page behind ``before``, with ``reader``'s favourites. joined: with jobs."""
    joined = joined.join(favourites, kept_by(reader), isouter=not wanted.favourite)
    statement = (
        sa.select(*tile_columns()).select_from(joined).order_by(jobs.c.seq.desc(), pictures.c.position)
    )
    fit = conditions(wanted, common=are_common(connection, wanted.words))
    statement = statement.where(pictures.c.position > GRID, *fit).limit(min(limit, MOST + 1))
    if before is None:
        return statement
    later = sa.and_(jobs.c.seq == before.seq, pictures.c.position > before.position)
    return statement.where(sa.or_(jobs.c.seq < before.seq, later), jobs.c.seq <= before.seq)


def _between(user_id: int, wanted: Filter) -> sa.ColumnElement[bool]:
    """Return the condition that a job arrived between the first and last of a person's in that time: all
    later ones, with what they ask for, would be read otherwise."""
    asked = jobs.alias("asked")
    span = [asked.c.user_id == user_id, *_in_time(asked, wanted)]
    first = sa.select(sa.func.min(asked.c.seq)).where(*span).scalar_subquery()
    last = sa.select(sa.func.max(asked.c.seq)).where(*span).scalar_subquery()
    return jobs.c.seq.between(first, last)


def _in_time(asked: sa.FromClause, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    since = [] if wanted.since is None else [asked.c.created_at >= wanted.since]
    return since if wanted.until is None else [*since, asked.c.created_at < wanted.until]


def kept_by(user_id: int) -> sa.ColumnElement[bool]:
    """Return the condition by which a person's favourites are joined to pictures."""
    return sa.and_(
        favourites.c.user_id == user_id,
        favourites.c.job_id == pictures.c.job_id,
        favourites.c.position == pictures.c.position,
    )


def tile_columns(*more: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[Any], ...]:
    """Return the columns that ``to_tiles`` reads, of jobs, pictures and favourites joined, and ``more``."""
    named = (column.label(f"picture_{column.name}") for column in pictures.c)
    away = sa.select(trash.c.at).where(is_trashed()).correlate(pictures).scalar_subquery()
    kept = favourites.c.created_at.label("kept_at")
    return (*jobs.c, *named, kept, away.label("trashed_at"), *more)


def to_tiles(rows: Iterable[sa.Row[Any]]) -> list[Tile]:
    """Return the pictures of rows of ``tile_columns``."""
    known: dict[str, Job | None] = {}  # reading a request costs more than all else, and pictures share theirs
    found = []
    for row in rows:
        job = known[row.id] if row.id in known else known.setdefault(row.id, job_queries.readable(row))
        if job is not None:
            cursor, kept = Cursor(row.seq, row.picture_position), row.kept_at is not None
            found.append(Tile(job, job_queries.to_picture(row, "picture_"), cursor, kept, row.trashed_at))
    return found


def _among(named: sa.Table, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition of pictures that rows of another table name. Those are few, so their jobs are
    looked up, instead of looking for each of a person's pictures whether it is among them."""
    other, both = jobs.alias(), sa.tuple_(pictures.c.job_id, pictures.c.position)
    arrived = sa.select(other.c.seq).join(named, named.c.job_id == other.c.id).where(*where)
    return sa.and_(
        jobs.c.seq.in_(arrived), both.in_(sa.select(named.c.job_id, named.c.position).where(*where))
    )


def conditions(wanted: Filter, *, common: bool = False) -> list[sa.ColumnElement[bool]]:
    """Return what a filter demands of a job and its picture, favourites left out. common: see ``says``."""
    return [_among(trash) if wanted.trash else ~in_trash(), *limits(wanted, common=common)]


def limits(wanted: Filter, *, common: bool = False) -> list[sa.ColumnElement[bool]]:
    """Return what a filter demands beside the trash. common: see ``says``."""
    found = says(wanted.words, common=common)
    if wanted.folder is not None:
        found.append(_among(folder_items, folder_items.c.folder_id == wanted.folder))
    if wanted.kind is not None:
        found.append(jobs.c.kind == wanted.kind)
    found += _in_time(jobs, wanted)
    if wanted.model is not None:
        found.append(has(model_of(jobs.c.parameters), wanted.model))
    if wanted.seed is not None:
        found.append(pictures.c.seed == wanted.seed)
    if wanted.ratio is not None:
        found.append(_is_about(wanted.ratio, pictures.c.width, pictures.c.height, sa.func.abs))
    return found


def _is_about(ratio: tuple[int, int], width: Any, height: Any, size_of: Any = abs) -> Any:
    """Return whether a picture's shape is about a ratio, of numbers or of columns."""
    off = width * ratio[1] - height * ratio[0]
    return size_of(off) * 100 <= height * ratio[0] * RATIO_OFF


@dataclass(frozen=True)
class Day:
    """A day's pictures, the newest job first. shapes: width / height in per cent, and how many pictures
    after one another have it."""

    day: str
    shapes: tuple[tuple[int, int], ...]

    @property
    def pictures(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.shapes)


def days(
    connection: sa.Connection, user_id: int, wanted: Filter = _ANY, zone: tzinfo = UTC
) -> tuple[Day, ...]:
    """Return the days of that zone on which the person asked for pictures that a filter lets through, the
    newest first, in the order of ``tiles``: by them a gallery knows where each picture lies before it has
    read one."""
    day = _local(jobs.c.created_at, zone) // sa.literal_column(str(_DAY), sa.BigInteger)
    joined = pictures.join(jobs, jobs.c.id == pictures.c.job_id)
    if wanted.favourite:
        joined = joined.join(favourites, kept_by(user_id))
    shape = (jobs.c.seq, pictures.c.width, pictures.c.height)
    first, made = sa.func.min(pictures.c.position), sa.func.count()
    statement = sa.select(day.label("day"), *shape, made.label("made")).select_from(joined)
    statement = statement.where(jobs.c.user_id == user_id, pictures.c.position > GRID, *conditions(wanted))
    found: dict[int, list[tuple[int, int]]] = {}
    for at, _, width, height, count in connection.execute(
        statement.group_by(*shape).order_by(jobs.c.seq.desc(), first)
    ):
        shapes, ratio = found.setdefault(at, []), max(1, round(100 * width / max(1, height)))
        if shapes and shapes[-1][0] == ratio:
            count += shapes.pop()[1]
        shapes.append((ratio, count))
    named = ((datetime.fromtimestamp(at * 86_400, UTC).strftime("%Y-%m-%d"), found[at]) for at in found)
    return tuple(Day(name, tuple(shapes)) for name, shapes in named)


def _local(time: sa.ColumnElement[datetime], zone: tzinfo) -> sa.ColumnElement[int]:
    """Return a column's microseconds as the clocks of a time zone show them."""
    there, shifts = sa.type_coerce(time, sa.BigInteger), _shifts(zone)
    last = _micro(shifts.pop()[1])
    if not shifts:
        return there + sa.literal_column(str(last), sa.BigInteger) if last else there
    cases = [(there < _micro(until - _EPOCH), sa.literal(_micro(shift))) for until, shift in shifts]
    return there + sa.case(*cases, else_=sa.literal(last))


def _shifts(zone: tzinfo) -> list[tuple[datetime, timedelta]]:
    """Return how far a time zone's clocks are ahead of UTC, until when, in order; the last for good."""
    found, at, end = [], _FIRST, datetime.now(UTC) + timedelta(days=400)
    while at < end:
        later = at + timedelta(days=7)
        shift = at.astimezone(zone).utcoffset() or timedelta()
        if later.astimezone(zone).utcoffset() != shift:
            low, high = at, later
            while high - low > timedelta(minutes=1):
                half = low + (high - low) / 2
                low, high = (half, high) if half.astimezone(zone).utcoffset() == shift else (low, half)
            found.append((high.replace(second=0, microsecond=0), shift))
        at = later
    return [*found, (end, at.astimezone(zone).utcoffset() or timedelta())]


def _micro(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


@dataclass(frozen=True)
class Made:
    """A job with what it made, None while that is nothing, and which of its pictures (from 0) a reader
    keeps. trashed: which of them are in the trash; they aren't in the output."""

    job: Job
    output: job_queries.StoredOutput | None
    kept: frozenset[int] = frozenset()
    trashed: frozenset[int] = frozenset()


def newest_jobs(
    connection: sa.Connection,
    user_id: int,
    limit: int,
    before: str | None = None,
    kinds: Collection[str] | None = None,
) -> list[Made]:
    """Return the person's newest jobs that are over, but those of cameras and those whose pictures are all in
    the trash; of a conversation the questions that no later one of theirs follows. before: only older ones
    than this job. kinds: only these, None = all."""
    over = jobs.c.status.not_in((Status.QUEUED.value, Status.RUNNING.value))
    later = jobs.alias("later")
    followed = sa.exists().where(
        later.c.parent_id == jobs.c.id,
        later.c.parent_id.is_not(None),
        later.c.kind == AskRequest.kind,
        later.c.user_id == user_id,
    )
    ends = sa.or_(jobs.c.kind != AskRequest.kind, ~followed)
    statement = sa.select(jobs).where(jobs.c.user_id == user_id, over, ~_is_away(), ends)
    statement = statement.where(~job_queries.of_camera())
    if before is not None:
        begins = sa.select(jobs.c.seq).where(jobs.c.id == before, jobs.c.user_id == user_id).scalar_subquery()
        statement = statement.where(jobs.c.seq < begins)
    if kinds is not None:
        statement = statement.where(jobs.c.kind.in_(kinds))
    statement = statement.order_by(jobs.c.seq.desc())
    return _made(connection, user_id, connection.execute(statement.limit(limit)).all())


def _is_away() -> sa.ColumnElement[bool]:
    """Return the condition that a job has pictures in the trash and no others."""
    left = sa.exists().where(pictures.c.job_id == jobs.c.id, pictures.c.position > GRID, ~in_trash())
    return sa.and_(sa.exists().where(trash.c.job_id == jobs.c.id), ~left)


def read_made(connection: sa.Connection, reader: int, job_id: str) -> Made | None:
    """Return a job as user ``reader`` sees it, None when there is none."""
    found = _made(connection, reader, connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).all())
    return found[0] if found else None


def _made(connection: sa.Connection, reader: int, rows: Sequence[sa.Row[Any]]) -> list[Made]:
    """The jobs of these rows, by four more statements however many they are."""
    ids = [row.id for row in rows]
    stored, away = job_queries.read_pictures(connection, ids), trashed_positions(connection, ids)
    clips = videos.videos_of_jobs(connection, ids)
    kept: dict[str, set[int]] = {job_id: set() for job_id in ids}
    mine = sa.select(favourites.c.job_id, favourites.c.position).where(
        favourites.c.user_id == reader, favourites.c.job_id.in_(ids)
    )
    for mark in connection.execute(mine):
        kept[mark.job_id].add(mark.position)
    found = []
    for row in rows:
        if (job := job_queries.readable(row)) is None:
            continue
        output, gone = None, away.get(job.id, frozenset())
        if row.rendered_at is not None:
            output = job_queries.to_output(row, stored[job.id], clips.get(job.id, ()))
            if gone:  # the overview shows what is in the trash, too
                left = tuple(picture for picture in output.pictures if picture.index not in gone)
                shown = tuple(video for video in output.videos if video.index not in gone)
                output = replace(output, pictures=left, videos=shown, grid=None)
        found.append(Made(job, output, frozenset(kept[job.id]), gone))
    return found


def made_from(
    connection: sa.Connection, reader: int, job_ids: Collection[str], index: int | None, limit: int
) -> list[Made]:
    """Return the newest jobs that were made from picture ``index`` (from 0, None = any) of these jobs and
    that user ``reader`` may see, as far as rows tell. Those whose pictures are all in the trash aren't there.
    """
    made = (sa.text(CHILD), jobs.c.parent_id.in_(job_ids), job_queries.open_to(reader), ~_is_away())
    statement = sa.select(jobs).where(*made).order_by(jobs.c.seq.desc()).limit(limit)
    if index is not None:
        statement = statement.where(sa.func.coalesce(jobs.c.parent_index, 0) == index)
    return _made(connection, reader, connection.execute(statement).all())


def read_message_place(connection: sa.Connection, job_id: str) -> tuple[int, int] | None:
    """Return (channel, message) where the whole job stands in the channel that it was asked for in."""
    whole = (messages.c.job_id == job_id, messages.c.position.is_(None))
    shown = sa.select(messages.c.channel_id, messages.c.message_id).join(jobs, jobs.c.id == messages.c.job_id)
    first = shown.where(*whole, messages.c.channel_id == jobs.c.channel_id).order_by(messages.c.message_id)
    row = connection.execute(first.limit(1)).first()
    return None if row is None else (row.channel_id, row.message_id)


def shown_tiles(
    connection: sa.Connection,
    reader: int,
    guild_id: int,
    channel_ids: Collection[int],
    wanted: Filter,
    *,
    before: Cursor | None = None,
    limit: int,
) -> list[Tile]:
    """Return pictures that a message in one of these channels shows, after ``before`` or the newest, with the
    favourites of user ``reader``. Only of jobs that were asked for in that channel, and aren't private."""
    joined = jobs.join(pictures, jobs.c.id == pictures.c.job_id)
    here = (sa.text(SHOWN), jobs.c.guild_id == guild_id, jobs.c.channel_id.in_(channel_ids), _is_posted())
    page = _page(connection, joined, reader, wanted, before, limit)
    return to_tiles(connection.execute(page.where(*here)))


def public_tiles(
    connection: sa.Connection,
    user_id: int,
    wanted: Filter,
    *,
    now: datetime,
    before: Cursor | None = None,
    limit: int,
) -> list[Tile]:
    """Return those of a person's own pictures that they let others see: that a message in a server shows, and
    that a link shows which hasn't ended."""
    joined = pictures.join(jobs, jobs.c.id == pictures.c.job_id)

    def is_meant(position: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        return sa.or_(position.is_(None), position == pictures.c.position)

    posted = sa.exists().where(
        messages.c.job_id == jobs.c.id, messages.c.guild_id.is_not(None), is_meant(messages.c.position)
    )
    live = (shares.c.user_id == user_id, shares.c.revoked_at.is_(None), shares.c.expires_at > now)
    linked = sa.exists().where(*live, shares.c.job_id == jobs.c.id, is_meant(shares.c.position))
    folders = sa.select(shares.c.folder_id).where(*live, shares.c.folder_id.is_not(None))
    statement = _page(connection, joined, user_id, wanted, before, limit).where(
        jobs.c.user_id == user_id,
        jobs.c.rendered_at.is_not(None),
        sa.or_(
            sa.and_(jobs.c.private == 0, posted),
            linked,
            _among(folder_items, folder_items.c.folder_id.in_(folders)),
        ),
    )
    return to_tiles(connection.execute(statement))


Name = int | tuple[str, int]  # the place of a picture's vector, or its job and index
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
        """Return disjoint conditions of jobs: each is quick by an index of its own; both at once aren't."""
        own = jobs.c.user_id == self.user_id
        if not self.channels:
            return [own]
        shown = sa.and_(
            sa.text(SHOWN),
            jobs.c.guild_id.in_(self.servers),
            jobs.c.channel_id.in_(self.channels),
            jobs.c.user_id != self.user_id,
            _is_posted(),
        )
        return [own, shown]

    def allows(self) -> sa.ColumnElement[bool]:
        """Return the condition of jobs that are found by their pictures: a sum has no index to be misused."""
        own = jobs.c.user_id + 0 == self.user_id
        here = (jobs.c.guild_id + 0).in_(self.servers)
        shown = sa.and_(jobs.c.private == 0, here, jobs.c.channel_id.in_(self.channels), _is_posted())
        return sa.or_(own, shown) if self.channels else own


def _is_posted() -> sa.ColumnElement[bool]:
    """Return the condition that a message shows a job where it was asked for."""
    return sa.exists().where(messages.c.job_id == jobs.c.id, messages.c.channel_id == jobs.c.channel_id)


@dataclass(frozen=True)
class Candidates:
    """What is compared: ``places``, a bit for each, the lowest first. first: the same, of those whose prompt
    has the words; they are among the others too. bare: (job, index) of such pictures without a vector, the
    newest first."""

    places: bytes
    first: bytes
    bare: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Looked:
    """Which pictures have vectors: all of jobs up to the arrival number ``seq``, but for files (SHA-256) that
    can't be read."""

    seq: int
    unread: frozenset[str] = frozenset()


def candidates(
    connection: sa.Connection,
    scope: Scope,
    wanted: Filter,
    model: str,
    without: str | None = None,
    looked: Looked | None = None,
) -> Candidates:
    """Return what may be found by a person with filter ``wanted``. without: SHA-256 of one that is not.
    looked: None = nobody knows which have vectors."""
    found = _fitting(connection, scope, replace(wanted, words=()), model)
    if without is not None:
        mine = picture_vectors.c.sha256 == without, picture_vectors.c.model == model
        found &= ~place_sets.marked(list(connection.scalars(sa.select(picture_vectors.c.place).where(*mine))))
    if not wanted.words:
        return Candidates(_packed(found), b"", ())
    of_words = sa.select(picture_places.c.place).where(
        picture_places.c.model == model, picture_places.c.seq.in_(jobs_with(connection, wanted.words))
    )  # whoever's they are: ``found`` says whose may be
    first = found & place_sets.marked(connection.scalars(of_words).all()) if found else 0
    bare = _bare(connection, scope, wanted, model, without, looked)
    return Candidates(_packed(found), _packed(first), bare)


def _packed(bits: int) -> bytes:
    return bits.to_bytes(-(-bits.bit_length() // 8), "little")


def _fitting(connection: sa.Connection, scope: Scope, wanted: Filter, model: str) -> int:
    """Return the places that fit but for their words, as bits: by sets, and by rows where these don't tell.
    Another job may have made the same file: what is shown is read by the same conditions."""
    labels = [place_sets.of_user(scope.user_id), *map(place_sets.of_channel, scope.channels)]
    found, unread = place_sets.union(connection, labels), set(place_sets.missing(connection, model))
    if wanted.kind is not None:
        found &= place_sets.union(connection, [place_sets.of_kind(wanted.kind)])
    if wanted.model is not None:
        names = place_sets.begun_by(connection, place_sets.MODELS)
        fit = [name for name in names if wanted.model.lower() in name.lower()]
        found &= place_sets.union(connection, [place_sets.MODELS + name for name in fit])
    if wanted.ratio is not None:
        sizes = (tuple(map(int, size.split())) for size in place_sets.begun_by(connection, place_sets.SHAPES))
        fit = [place_sets.of_shape(*size) for size in sizes if _is_about(wanted.ratio, *size)]
        found &= place_sets.union(connection, fit)
    if wanted.since or wanted.until:
        days, cut = place_sets.of_days(connection, wanted.since, wanted.until)
        found, unread = found & days, unread | cut
    named = Filter(favourite=wanted.favourite, seed=wanted.seed, folder=wanted.folder)
    told = replace(wanted, favourite=False, seed=None, folder=None)
    found = place_sets.replace_pages(
        found, unread, lambda first, last: _placed(connection, scope, told, model, first, last)
    )
    return found if named == _ANY or not found else found & _placed(connection, scope, named, model)


def _placed(
    connection: sa.Connection,
    scope: Scope,
    wanted: Filter,
    model: str,
    first: int = 0,
    last: int | None = None,
) -> int:
    """Return the places of all that fits, or of those from ``first`` to ``last``, read from the rows."""
    joined = jobs.join(picture_places, picture_places.c.seq == jobs.c.seq)
    if not wanted.is_of_jobs:
        same = pictures.c.job_id == jobs.c.id, pictures.c.position == picture_places.c.position
        joined = joined.join(pictures, sa.and_(*same))
    if wanted.favourite:
        joined = joined.join(favourites, kept_by(scope.user_id))
    chosen = sa.select(picture_places.c.place).select_from(joined)
    chosen = chosen.where(picture_places.c.model == model, *limits(wanted))
    if last is not None:
        other = jobs.alias()  # the few that are in the trash are read first
        named = sa.select(other.c.seq, trash.c.position).join(trash, trash.c.job_id == other.c.id)
        left = sa.tuple_(picture_places.c.seq, picture_places.c.position).not_in(named)
        here = picture_places.c.place.between(first, last), scope.allows(), left
        return place_sets.marked(connection.scalars(chosen.where(*here)).all())
    parts = [connection.scalars(chosen.where(part)).all() for part in scope.parts()]
    return place_sets.marked([place for part in parts for place in part])


def _bare(
    connection: sa.Connection,
    scope: Scope,
    wanted: Filter,
    model: str,
    without: str | None,
    looked: Looked | None,
) -> tuple[tuple[str, int], ...]:
    """Return the newest pictures that have no vector of ``model``, or whose vector isn't noted as theirs."""
    columns = sa.select(jobs.c.seq, pictures.c.job_id, pictures.c.position)
    same = picture_places.c.seq == jobs.c.seq, picture_places.c.position == pictures.c.position
    seen = sa.exists().where(*same, picture_places.c.model == model)
    others = [] if without is None else [pictures.c.sha256 != without]
    among: list[sa.ColumnElement[bool]] = [sa.true() if looked is None else jobs.c.seq > looked.seq]
    if looked is not None and looked.unread:
        among.append(sa.and_(jobs.c.seq <= looked.seq, pictures.c.sha256.in_(looked.unread)))
    found: list[sa.Row[Any]] = []
    anything = replace(wanted, words=())
    for part, some in product(scope.parts(), among):
        every = _chosen(columns, _PICTURES, scope.user_id, anything).where(part, some, ~seen, *others)
        if looked is not None and connection.execute(every.limit(1)).first() is None:  # as a rule
            continue
        chosen = _chosen(columns, _PICTURES, scope.user_id, wanted).where(part, some, ~seen, *others)
        found += connection.execute(_newest(chosen).limit(MOST_BARE)).all()
    found.sort(key=lambda row: (-row.seq, row.position))
    return tuple((row.job_id, row.position) for row in found[:MOST_BARE])


def newest_found(
    connection: sa.Connection, scope: Scope, wanted: Filter, *, skip: int, limit: int
) -> list[Tile]:
    """Return the newest pictures after ``skip`` others; the database walks over those."""
    found: list[Tile] = []
    common = are_common(connection, wanted.words)
    for part in scope.parts():
        columns = sa.select(*tile_columns())
        chosen = _chosen(columns, _PICTURES, scope.user_id, wanted, common=common).where(part)
        found += to_tiles(connection.execute(_newest(chosen).limit(skip + limit)))
    found.sort(key=lambda tile: (-tile.cursor.seq, tile.cursor.position))
    return found[skip : skip + limit]


def found_tiles(
    connection: sa.Connection, scope: Scope, wanted: Filter, model: str, names: Sequence[Name]
) -> list[Tile]:
    """Return the pictures of ``names``, in that order, and only what the filter and the person's rights allow
    still. A file that several jobs have made is shown once, of the newest."""
    anything, allowed = replace(wanted, words=()), scope.allows()
    found: dict[Name, sa.Row[Any]] = {}
    if places := [name for name in names if isinstance(name, int)]:
        columns = sa.select(*tile_columns(picture_vectors.c.place))
        chosen = _chosen(columns, _seen(model), scope.user_id, anything)
        these = chosen.where(picture_vectors.c.place.in_(places), allowed)
        last = these.order_by(jobs.c.seq, pictures.c.position.desc())
        found |= {row.place: row for row in connection.execute(last)}
    if others := [name for name in names if not isinstance(name, int)]:
        chosen = _chosen(sa.select(*tile_columns()), _PICTURES, scope.user_id, anything)
        these = chosen.where(sa.tuple_(pictures.c.job_id, pictures.c.position).in_(others), allowed)
        found |= {(row.id, row.picture_position): row for row in connection.execute(these)}
    return to_tiles(found[name] for name in names if name in found)


def _newest(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.order_by(jobs.c.seq.desc(), pictures.c.position)


def _seen(model: str) -> sa.Join:
    """Return the pictures that have a vector of ``model``, joined to it."""
    same = picture_vectors.c.sha256 == pictures.c.sha256, picture_vectors.c.model == model
    return _PICTURES.join(picture_vectors, sa.and_(*same))


def _chosen(
    statement: sa.Select[Any], joined: sa.Join, user_id: int, wanted: Filter, *, common: bool = False
) -> sa.Select[Any]:
    """Return ``statement`` over pictures that ``wanted`` lets through, with favourites if it asks so."""
    if wanted.favourite or any(column.name == "kept_at" for column in statement.selected_columns):
        joined = joined.join(favourites, kept_by(user_id), isouter=not wanted.favourite)
    fit = conditions(wanted, common=common)
    return statement.select_from(joined).where(pictures.c.position > GRID, *fit)
