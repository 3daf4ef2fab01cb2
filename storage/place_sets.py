"""Which vectors are whose, and of what kind, model, shape and day their pictures are: a bit for each place of
a page, for each of these. Triggers drop a page whenever something of it changes, whatever changes it, and it
is filled again a moment later: a page that is there is right. Each database fills its own, so it is none of
the tables that are copied from one to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from core.vectors import PLACES_OF_MARK as PLACES
from storage.job_queries import model_of
from storage.schema import SHOWN, jobs, messages, picture_places, pictures, trash

BYTES = PLACES // 8  # of a page's bits
_EPOCH, _DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=1)
_LAST_DAY = 999_999
_sets = sa.table(
    "place_sets", sa.column("label", sa.Text), sa.column("page", sa.BigInteger), sa.column("bits")
)

_PLACE = f"{{row}}.place / {PLACES}"
_OF_JOB = "FROM jobs j JOIN picture_places p ON p.seq = j.seq WHERE j.id"
_JOB = f"SELECT p.place / {PLACES} {_OF_JOB} = {{row}}.{{key}}"
_COLUMNS = "user_id, guild_id, channel_id, private, kind, parameters, created_at"
_CHANGES = (  # (table, event, pages that it changes)
    ("picture_places", "INSERT", _PLACE.format(row="NEW")),
    ("picture_places", "DELETE", _PLACE.format(row="OLD")),
    ("trash", "INSERT", _JOB.format(row="NEW", key="job_id")),
    ("trash", "DELETE", _JOB.format(row="OLD", key="job_id")),
    ("messages", "INSERT", _JOB.format(row="NEW", key="job_id")),
    ("messages", "DELETE", _JOB.format(row="OLD", key="job_id")),
    ("messages", "UPDATE", _JOB.format(row="NEW", key="job_id")),
    ("pictures", "UPDATE OF width, height", _JOB.format(row="NEW", key="job_id")),
    ("jobs", f"UPDATE OF {_COLUMNS}", _JOB.format(row="NEW", key="id")),
)


def create(connection: sa.Connection) -> None:
    """Make the table and its triggers where they aren't there."""
    on_sqlite = connection.dialect.name == "sqlite"
    text, number, data, option = ("TEXT", "INTEGER", "BLOB", " WITHOUT ROWID")
    if not on_sqlite:  # labels are looked up by what they begin with, whatever the server's order of words
        text, number, data, option = ('TEXT COLLATE "C"', "BIGINT", "BYTEA", "")
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS place_sets (label {text} NOT NULL, page {number} NOT NULL,"
        f" bits {data} NOT NULL, PRIMARY KEY (label, page)){option}"
    )
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS place_sets_page ON place_sets (page)")
    for table, event, pages in _CHANGES:
        name, drop = _name(table, event), f"DELETE FROM place_sets WHERE page IN ({pages})"  # noqa: S608
        if on_sqlite:
            made = f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} BEGIN {drop}; END"
            connection.exec_driver_sql(made)
            continue
        function = f"FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        connection.exec_driver_sql(f"CREATE OR REPLACE {function} AS $$ BEGIN {drop}; RETURN NULL; END $$")
        trigger = f"TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
        connection.exec_driver_sql(f"CREATE OR REPLACE {trigger} EXECUTE FUNCTION {name}()")


def drop_triggers(connection: sa.Connection) -> None:
    """Drop the triggers: SQLite makes no table anew that a trigger reads."""
    for table, event, _ in _CHANGES if connection.dialect.name == "sqlite" else ():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_name(table, event)}")


def _name(table: str, event: str) -> str:
    return f"{table}_{event.partition(' ')[0].lower()}_places"


def of_user(user_id: int) -> str:
    """The label of what a person has made and hasn't put into the trash."""
    return f"user {user_id}"


def of_channel(channel_id: int) -> str:
    """The label of what a message in a channel of a server shows."""
    return f"channel {channel_id}"


def of_kind(kind: str) -> str:
    """The label of a kind of request."""
    return f"kind {kind}"


def of_shape(width: int, height: int) -> str:
    """The label of pictures of a size."""
    return f"{SHAPES}{width} {height}"


def of_day(day: int) -> str:
    """The label of a day, counted from 1970 in UTC."""
    return f"day {day:06}"


def _filled(model: str) -> str:
    """The label of pages that are filled, for the vectors of a model."""
    return f"filled {model}"


MODELS, SHAPES = "model ", "shape "  # begin labels


def missing(connection: sa.Connection, model: str) -> list[int]:
    """Return the pages with places that aren't filled for the vectors of ``model``, in order."""
    last = connection.scalar(sa.select(sa.func.max(picture_places.c.place)))
    if last is None:
        return []
    there = set(connection.scalars(sa.select(_sets.c.page).where(_sets.c.label == _filled(model))))
    return [page for page in range(last // PLACES + 1) if page not in there]


def fill(connection: sa.Connection, model: str, page: int) -> None:
    """Write down whose and what a page's pictures are, of those that have vectors of ``model``."""
    posted = sa.exists().where(messages.c.job_id == jobs.c.id, messages.c.channel_id == jobs.c.channel_id)
    shown = sa.case((sa.and_(sa.text(SHOWN), posted), jobs.c.channel_id))
    away = sa.exists().where(trash.c.job_id == pictures.c.job_id, trash.c.position == pictures.c.position)
    begin = page * PLACES
    here = picture_places.c.place.between(begin, begin + PLACES - 1)
    same = pictures.c.job_id == jobs.c.id, pictures.c.position == picture_places.c.position
    joined = picture_places.join(jobs, jobs.c.seq == picture_places.c.seq).join(pictures, sa.and_(*same))
    named = (jobs.c.user_id, jobs.c.kind, jobs.c.created_at, model_of(jobs.c.parameters).label("model"))
    chosen = (
        sa.select(picture_places.c.place, *named, pictures.c.width, pictures.c.height, shown.label("channel"))
        .select_from(joined)
        .where(picture_places.c.model == model, here, ~away)
    )
    sets = defaultdict[str, int](int)
    for place, user_id, kind, at, drawn_by, width, height, channel in connection.execute(chosen):
        labels = [of_user(user_id), of_kind(kind), of_shape(width, height), of_day((at - _EPOCH) // _DAY)]
        labels += [] if channel is None else [of_channel(channel)]
        labels += [f"{MODELS}{drawn_by}"] if drawn_by else []
        for label in labels:
            sets[label] |= 1 << place - begin
    sizes = {label: -(-bits.bit_length() // 8) for label, bits in sets.items()}
    rows = [
        {"label": label, "page": page, "bits": bits.to_bytes(sizes[label], "little")}
        for label, bits in sets.items()
    ]
    connection.execute(sa.delete(_sets).where(_sets.c.page == page))
    connection.execute(sa.insert(_sets), [{"label": _filled(model), "page": page, "bits": b""}, *rows])


def union(connection: sa.Connection, labels: Iterable[str]) -> int:
    """Return the places that have any of these labels, a bit for each."""
    return _union(connection, _sets.c.label.in_(list(labels)))


def of_days(
    connection: sa.Connection, since: datetime | None, until: datetime | None
) -> tuple[int, set[int]]:
    """Return the places of pictures that were asked for from ``since`` on and before ``until``, and the
    pages that have others of the same day, so that they aren't told apart."""
    first, rest = (0, timedelta()) if since is None else divmod(since - _EPOCH, _DAY)
    last, more = (_LAST_DAY, timedelta()) if until is None else divmod(until - _EPOCH, _DAY)
    cut = [of_day(first)] * bool(rest) + [of_day(last)] * bool(more)
    pages = connection.scalars(sa.select(_sets.c.page).where(_sets.c.label.in_(cut))) if cut else ()
    return _union(connection, _sets.c.label.between(of_day(first), of_day(last - (not more)))), set(pages)


def _union(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    pages = dict[int, int]()
    for page, bits in connection.execute(sa.select(_sets.c.page, _sets.c.bits).where(which)):
        pages[page] = pages.get(page, 0) | int.from_bytes(bits, "little")
    every = (pages.get(page, 0).to_bytes(BYTES, "little") for page in range(max(pages, default=-1) + 1))
    return int.from_bytes(b"".join(every), "little")


def begun_by(connection: sa.Connection, prefix: str) -> list[str]:
    """Return what follows ``prefix`` in labels; of each it looks up the next."""
    found, label = list[str](), prefix
    after = sa.select(sa.func.min(_sets.c.label)).where(
        _sets.c.label > sa.bindparam("label"), _sets.c.label < prefix[:-1] + chr(ord(prefix[-1]) + 1)
    )
    while (label := connection.scalar(after, {"label": label})) is not None:
        found.append(label.removeprefix(prefix))
    return found


def replace_pages(bits: int, pages: Collection[int], read: Callable[[int, int], int]) -> int:
    """Return ``bits`` with those of ``pages`` as ``read`` returns them, from a first to a last place."""
    begun = [page for page in sorted(pages) if page - 1 not in pages]
    for first in begun:
        last = first
        while last + 1 in pages:
            last += 1
        size, places = PLACES * (last + 1 - first), PLACES * first
        hole = ((1 << size) - 1) << places
        bits = bits & ~hole | read(places, places + size - 1)
    return bits


def marked(places: Collection[int]) -> int:
    """Return places as bits."""
    bits = bytearray(max(places, default=-1) // 8 + 1)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(bits, "little")
