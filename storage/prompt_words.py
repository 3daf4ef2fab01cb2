"""The index of what prompts say, by which words are found without reading all prompts: of SQLite its own,
FTS5, of each three characters; of PostgreSQL the same by its extension pg_trgm.

In SQLite triggers keep it in step, and take out of it what is deleted so that nothing is left (FTS5's
``secure-delete``, https://sqlite.org/fts5.html). It holds no prompts: their rows do. Prompts of before there
was an index are added while the studio runs; until then these are read. So are all where SQLite is older
than what the index needs."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from storage.schema import jobs

IS_THERE = sqlite3.sqlite_version_info >= (3, 45)  # FTS5 folds accents of three characters from then on
AT_ONCE = 1000  # jobs whose prompts are added in one transaction
MANY = 2000  # prompts: among as many a page of the newest is read quickly
_FEW = 3  # characters of which the index has nothing: words with fewer begin some that it has
LAST = "\U0010ffff"  # of all characters
_END = "  "  # behind each prompt, so that its last characters begin some, too
_index = sa.table("prompt_words", sa.column("rowid", sa.BigInteger), sa.column("prompt_words"))
_terms = sa.table("prompt_terms", sa.column("term", sa.Text))
_indexed = sa.table("prompts_indexed", sa.column("since", sa.BigInteger))

_OPTIONS = "content='', columnsize=0, tokenize='trigram case_sensitive 0 remove_diacritics 1'"
_SINCE = "(SELECT since FROM prompts_indexed)"
_ADD = f"INSERT INTO prompt_words (rowid, prompt) SELECT {{row}}.seq, {{row}}.prompt || '{_END}'"
_TAKE_OUT = (
    "INSERT INTO prompt_words (prompt_words, rowid, prompt)"
    f" SELECT 'delete', {{row}}.seq, {{row}}.prompt || '{_END}'"
)
_WHERE = f" WHERE {{row}}.prompt IS NOT NULL AND {{row}}.seq >= {_SINCE}"
_ADDED, _TAKEN_OUT = (_ADD + _WHERE).format(row="NEW"), (_TAKE_OUT + _WHERE).format(row="OLD")
NAME = "jobs_words"
ON_SERVER = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {NAME} ON jobs USING gin (prompt gin_trgm_ops)",
)
_TRIGGERS = {
    "prompts_added": f"AFTER INSERT ON jobs BEGIN {_ADDED}; END",
    "prompts_deleted": f"AFTER DELETE ON jobs BEGIN {_TAKEN_OUT}; END",
    "prompts_changed": f"AFTER UPDATE OF seq, prompt ON jobs BEGIN {_TAKEN_OUT}; {_ADDED}; END",
}


def create(connection: sa.Connection) -> None:
    """Make the index where it isn't there, for prompts that are still to come, and its triggers. On a server
    ``Database.index_prompts`` makes it, while the studio runs."""
    if connection.dialect.name != "sqlite" or not IS_THERE:
        return
    run = connection.exec_driver_sql
    if not sa.inspect(connection).has_table("prompts_indexed"):
        run("DROP TABLE IF EXISTS prompt_terms")
        run("DROP TABLE IF EXISTS prompt_words")
        run("CREATE TABLE prompts_indexed (since INTEGER NOT NULL) STRICT")
        run("INSERT INTO prompts_indexed SELECT coalesce(max(seq), -1) + 1 FROM jobs")
        run(f"CREATE VIRTUAL TABLE prompt_words USING fts5 (prompt, {_OPTIONS})")
        run("INSERT INTO prompt_words (prompt_words, rank) VALUES ('secure-delete', 1)")
        run("CREATE VIRTUAL TABLE prompt_terms USING fts5vocab (prompt_words, 'row')")
    for name, trigger in _TRIGGERS.items():
        run(f"CREATE TRIGGER IF NOT EXISTS {name} {trigger}")


def fit(connection: sa.Connection) -> None:
    """Leave an index alone that a newer SQLite has made, and make it anew where an older one has left it."""
    if connection.dialect.name != "sqlite":
        return
    with connection.begin():
        if sa.inspect(connection).has_table("prompts_indexed") == IS_THERE:
            return
    with connection.execution_options(begin="BEGIN IMMEDIATE").begin():
        if IS_THERE:
            create(connection)
        else:
            drop_triggers(connection)
            connection.exec_driver_sql("DROP TABLE prompts_indexed")


def drop_triggers(connection: sa.Connection) -> None:
    """Drop the triggers: SQLite makes no table anew that a trigger reads."""
    for name in _TRIGGERS if connection.dialect.name == "sqlite" else ():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def add_older(connection: sa.Connection) -> bool:
    """Add the newest prompts that aren't in the index of SQLite; return whether others are left."""
    since = connection.scalar(sa.select(_indexed.c.since))
    some = sa.select(jobs.c.seq).where(jobs.c.seq < since).order_by(jobs.c.seq.desc()).limit(AT_ONCE)
    first = connection.scalar(sa.select(sa.func.min(some.subquery().c.seq)))
    if first is None:
        return False
    added = _ADD.format(row="j") + " FROM jobs j WHERE j.prompt IS NOT NULL AND j.seq >= ? AND j.seq < ?"
    connection.exec_driver_sql(added, (first, since))
    connection.execute(sa.update(_indexed).values(since=first))
    return True


def says(words: Sequence[str], *, common: bool = False) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that all ``words`` stand in a job's prompt, in any case; in SQLite's index also
    without their accents. common: read the prompts, see ``are_common``."""
    read = [has(jobs.c.prompt, word) for word in words]
    if common or not words or not IS_THERE:
        return read
    queries = _queries(words)
    named = {word for some in queries for word in some}
    found: list[sa.ColumnElement[bool]] = []
    found += [jobs.c.seq.in_(_numbers(query, some)) for some, query in queries.items()]
    found += [has(jobs.c.prompt, word) for word in words if word not in named]
    return [_either(sa.and_(*found), sa.and_(*read))]


def jobs_with(connection: sa.Connection, words: Sequence[str]) -> sa.SelectBase:
    """Return a query for the numbers (``seq``) of the jobs whose prompts have all ``words``; where the index
    knows them, it reads no jobs."""
    if IS_THERE and connection.dialect.name == "sqlite":
        queries = _queries(words)
        if list(queries) == [tuple(words)]:
            return _numbers(queries[tuple(words)], words)
    return sa.select(jobs.c.seq).where(*says(words))


def are_common(connection: sa.Connection, words: Sequence[str]) -> bool:
    """Return whether so many prompts have all ``words`` that a page of the newest is found soonest by reading
    them, instead of asking the index for all that there are."""
    if not words or not IS_THERE or connection.dialect.name != "sqlite":
        return False
    for query in _queries(words).values():
        some = sa.select(_index.c.rowid).where(_index.c.prompt_words.op("MATCH")(query)).limit(MANY)
        if len(connection.scalars(some).all()) < MANY:
            return False
    return True


def _queries(words: Sequence[str]) -> dict[tuple[str, ...], sa.ColumnElement[str]]:
    """Return what the index is asked for, by the words that this finds: all that are long enough at once, or
    each short one by what it begins. It doesn't have all of these as they are."""
    known = {word: sum(not _is_accent(one) for one in word) for word in words if "\0" not in word}
    if long := tuple(word for word, length in known.items() if length >= _FEW):
        return {long: sa.literal(" ".join('"' + word.replace('"', '""') + '"' for word in long))}
    found = ((word, _beginning(word)) for word in known)
    return {(word,): query for word, query in found if query is not None}


def _is_accent(character: str) -> bool:
    return "\u0300" <= character <= "\u036f"  # the index leaves out those that stand alone


def _numbers(query: sa.ColumnElement[str], words: Sequence[str]) -> sa.SelectBase:
    """Return a query for the numbers of jobs that the index finds, or that aren't in it and say them."""
    older = jobs.alias("older")
    unread = older.c.seq < sa.select(_indexed.c.since).scalar_subquery()
    read = sa.select(older.c.seq).where(unread, *(has(older.c.prompt, word) for word in words))
    known = sa.select(_index.c.rowid).where(_index.c.prompt_words.op("MATCH")(query))
    return sa.union_all(known, read)


def _beginning(word: str) -> sa.ColumnElement[str] | None:
    """Return the query for a word of one or two characters: all that the index has that begins with it. None
    for one that the index doesn't have as it is, but for its case."""
    low, parts = word.lower(), unicodedata.normalize("NFD", word)
    if len(low) != len(word) or any(map(_is_accent, parts)):
        return None
    quoted = sa.literal('"') + sa.func.replace(_terms.c.term, '"', '""') + sa.literal('"')
    every = sa.func.coalesce(sa.func.group_concat(quoted, " OR "), '""')
    return sa.select(every).where(_terms.c.term.between(low, low + LAST)).scalar_subquery()


class _ilike(sa.sql.functions.GenericFunction[bool]):
    """Whether a text matches a pattern in any case: SQLAlchemy's own lowers every text first on SQLite, whose
    LIKE minds no case of ASCII letters anyway, and a search takes half as long again."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(_ilike)
def _ilike_in_sqlite(element: _ilike, compiler: Any, **options: Any) -> str:
    text, pattern = (compiler.process(part, **options) for part in element.clauses)
    return f"({text} LIKE {pattern} ESCAPE '/')"


@compiles(_ilike, "postgresql")
def _ilike_in_postgres(element: _ilike, compiler: Any, **options: Any) -> str:
    text, pattern = (compiler.process(part, **options) for part in element.clauses)
    return f"({text} ILIKE {pattern} ESCAPE '/')"


def has(text: sa.ColumnElement[Any], word: str) -> sa.ColumnElement[bool]:
    """Return the condition that ``word`` stands in ``text``, in any case."""
    escaped = re.sub("[/%_]", r"/\g<0>", word)
    return _ilike(text, f"%{escaped}%")


class _either(sa.sql.functions.GenericFunction[bool]):
    """The first condition in SQLite, the second elsewhere."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Itself, as a condition: compared with 1, an index wouldn't be used."""
        return self


@compiles(_either)
def _either_in_sqlite(element: _either, compiler: Any, **options: Any) -> str:
    found, _ = element.clauses
    return f"({compiler.process(found, **options)})"


@compiles(_either, "postgresql")
def _either_in_postgres(element: _either, compiler: Any, **options: Any) -> str:
    _, read = element.clauses
    return f"({compiler.process(read, **options)})"
