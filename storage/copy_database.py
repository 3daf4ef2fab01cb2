"""Moves every row from one database to another: from a file to a server, or back.

A page of rows and the note of how far it came are one transaction, so that a move goes on where it was cut
off. Until all is there and compared, the note keeps the studio from serving what is half of it. The source is
only read; in the end it is noted there, too, where its rows are now. Every start looks for both notes."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from core.errors import StorageError
from storage.database import Database
from storage.identity import CAME_FROM, LEFT, NOTE, note_of
from storage.people import set_setting, upsert
from storage.schema import metadata, settings

PAGE = 500  # rows in one transaction
_WHOLE = 1 << 256
_HAS_AUTOINCREMENT = "sqlite_sequence"  # SQLite's table of the last numbers it has given


@dataclass(frozen=True)
class Summary:
    """A table's rows: how many, and the sum of their SHA-256s, which doesn't depend on their order."""

    rows: int = 0
    digest: int = 0

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.digest:064x}"


@dataclass(frozen=True)
class Moved:
    """Table → what is there, on both sides alike. cleaned: texts of which a NUL character was left out."""

    tables: dict[str, Summary]
    cleaned: int

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(one.rows for one in self.tables.values())


async def move(
    source: Database,
    target: Database,
    name: str,
    to: str,
    *,
    restart: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Moved:
    """Bring all rows of ``source`` to ``target``, which holds none or a part of them from a move before.

    name: of the source, noted in the target. to: of the target, noted in the source. restart: forget what a
    move before has brought. tell: is given a line for each table. Both are open, so nobody else writes to
    them. Raises StorageError when the target holds other rows, or when the two differ in the end: then
    nothing serves the target.
    """
    done = await _begin(target, name, restart=restart)
    clean = target.path is None  # PostgreSQL's texts hold no NUL
    cleaned = 0
    for table in metadata.sorted_tables:
        cleaned += await _copy(source, target, table, done, name, clean=clean)
        tell(f"{table.name}: copied")
    found, differing = {}, []
    for table in metadata.sorted_tables:
        there, here = await summarise_table(source, table, clean=clean), await summarise_table(target, table)
        found[table.name] = here
        if there != here:
            differing.append(f"{table.name} ({there.rows} rows there, {here.rows} here)")
    if differing:
        raise StorageError(
            f"The two differ in {', '.join(differing)}: the source has changed since the move began. Stop"
            " Atelier and run `atelier move-database` with --restart."
        )
    numbers = await source.read(_numbers)
    await source.write(partial(set_setting, key=LEFT, value=to))
    await target.write(partial(_finish, numbers=numbers, name=name))
    return Moved(found, cleaned)


async def _begin(target: Database, name: str, *, restart: bool) -> dict[str, list[Any]]:
    """Note that a move is under way; table → key of its last row that is there already."""
    note = await target.read(note_of)
    if note is None:
        held = {table.name: (await summarise_table(target, table)).rows for table in metadata.sorted_tables}
        if full := {table: rows for table, rows in held.items() if rows}:
            told = ", ".join(f"{rows} in {table}" for table, rows in list(full.items())[:3])
            raise StorageError(f"The target holds rows already ({told}). Name an empty database.")
    elif restart:

        def empty(connection: sa.Connection) -> None:
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table))

        await target.write(empty)
    elif note["source"] != name:
        raise StorageError(
            f"The target holds a part of {note['source']}. Continue with that, or give --restart to discard"
            " it."
        )
    else:
        found: dict[str, list[Any]] = note["done"]
        return found
    await target.write(partial(write_note, name=name, done={}))
    return {}


async def _copy(
    source: Database, target: Database, table: sa.Table, done: dict[str, list[Any]], name: str, *, clean: bool
) -> int:
    """Copy what is missing of a table; how many texts had to be cleaned."""
    cleaned = 0
    async for page in _pages(source, table, done.get(table.name)):
        rows, changed = _cleaned(page) if clean else (page, 0)
        cleaned += changed
        done[table.name] = _key(table, page[-1])
        await target.write(partial(_write_page, table=table, rows=rows, name=name, done=dict(done)))
    return cleaned


async def _pages(database: Database, table: sa.Table, last: Sequence[Any] | None = None) -> Any:
    """A table's rows after the one with key ``last``, in the order of the database's own."""
    while True:
        page = await database.read(partial(_page, table=table, last=last))
        if not page:
            return
        yield page
        last = _key(table, page[-1])


def _page(connection: sa.Connection, table: sa.Table, last: Sequence[Any] | None) -> list[tuple[Any, ...]]:
    plain = _plain(table)
    keys = [plain.c[column.name] for column in table.primary_key]
    statement = sa.select(*plain.c).order_by(*keys).limit(PAGE)
    if table is settings:
        statement = statement.where(plain.c.key.not_in((NOTE, LEFT, CAME_FROM)))
    if last is not None:
        types = [_stored(column) for column in table.primary_key]
        values = [sa.literal(value, kind) for value, kind in zip(last, types, strict=True)]
        statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*values))
    return [
        tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
        for row in connection.execute(statement)
    ]


def _plain(table: sa.Table) -> sa.TableClause:
    """The table with the values as they are stored."""
    return sa.table(table.name, *(sa.column(column.name, _stored(column)) for column in table.columns))


def _stored(column: sa.Column[Any]) -> Any:
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def _key(table: sa.Table, row: Sequence[Any]) -> list[Any]:
    names = [column.name for column in table.columns]
    return [row[names.index(column.name)] for column in table.primary_key]


def _cleaned(page: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], int]:
    """The rows without NUL characters, and how many texts had some."""
    count = sum(isinstance(value, str) and "\0" in value for row in page for value in row)
    if not count:
        return page, 0
    return [tuple(v.replace("\0", "") if isinstance(v, str) else v for v in row) for row in page], count


async def summarise_table(database: Database, table: sa.Table, *, clean: bool = False) -> Summary:
    """Return how many rows a table has, and the sum of their digests. clean: without NUL characters."""
    rows = digest = 0
    async for page in _pages(database, table):
        for row in _cleaned(page)[0] if clean else page:
            rows += 1
            digest += int.from_bytes(hashlib.sha256(repr(row).encode()).digest())
    return Summary(rows, digest % _WHOLE)


def write_note(connection: sa.Connection, name: str, done: dict[str, list[Any]]) -> None:
    """Note in the target whose rows it takes, and the key of each table's last one."""
    value = {"value": json.dumps({"source": name, "done": done})}
    connection.execute(upsert(connection, settings, {"key": NOTE, **value}, value))


def _write_page(
    connection: sa.Connection,
    table: sa.Table,
    rows: list[tuple[Any, ...]],
    name: str,
    done: dict[str, list[Any]],
) -> None:
    names = [column.name for column in table.columns]
    connection.execute(sa.insert(_plain(table)), [dict(zip(names, row, strict=True)) for row in rows])
    write_note(connection, name, done)


def _counted() -> Iterator[tuple[sa.Table, sa.Column[int]]]:
    """Tables whose rows the database numbers, and the column of the number."""
    for table in metadata.sorted_tables:
        if (column := table.autoincrement_column) is not None and column.autoincrement != False:  # noqa: E712
            yield table, column


def _numbers(connection: sa.Connection) -> dict[str, int]:
    """Table → the last number given, which is never given again even where its row has gone."""
    found = {}
    for table, column in _counted():
        found[table.name] = connection.scalar(sa.select(sa.func.max(column))) or 0
        if connection.dialect.name == "sqlite":
            statement = sa.text(f"SELECT seq FROM {_HAS_AUTOINCREMENT} WHERE name = :name")  # noqa: S608
            given = connection.scalar(statement, {"name": table.name})
        else:
            statement = sa.text(
                "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:t, :c) AS regclass))"
            )
            given = connection.scalar(statement, {"t": table.name, "c": column.name})
        found[table.name] = max(found[table.name], given or 0)
    return found


def _finish(connection: sa.Connection, numbers: dict[str, int], name: str) -> None:
    """Go on counting where the source has stopped, and let the studio serve what is there."""
    set_setting(connection, CAME_FROM, {"source": name, "at": time.time()})
    for table, column in _counted():
        number = numbers[table.name]
        if not number:
            continue
        if connection.dialect.name == "sqlite":
            if table.dialect_options["sqlite"]["autoincrement"]:
                asked = {"name": table.name, "number": number}
                connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), asked)
                connection.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:name, :number)"), asked)
        else:
            statement = sa.text("SELECT setval(CAST(pg_get_serial_sequence(:t, :c) AS regclass), :number)")
            connection.execute(statement, {"t": table.name, "c": column.name, "number": number})
    connection.execute(sa.delete(settings).where(settings.c.key == NOTE))
