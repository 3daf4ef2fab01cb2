"""A program of before a migration goes on working while another brings the schema up: several bots are
upgraded one after the other. So a migration adds, and what it no longer needs goes a release later."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from storage.engine.migrate import MIGRATIONS

# Migrations of before the first release that an older program's statements may not get along with
BEFORE_THE_FIRST_RELEASE = {
    "0006": ["jobs.ephemeral is gone", "jobs.private has to be given"],
    # one more kind of task, which older programs never write: harmless
    "0023": ["projects has new rules: task IN ('anomaly', 'classify', 'detect', 'style')"],
    "0024": ["projects has new rules: voices BETWEEN 1 AND 3"],
}


class Column(NamedTuple):
    """As an INSERT sees it. needed: it has to be given."""

    type: str
    needed: bool
    nullable: bool


class Shape(NamedTuple):
    """What statements can run into. unique, checks: by table."""

    columns: dict[tuple[str, str], Column]
    unique: set[tuple[str, ...]]
    checks: set[tuple[str, str]]


def shape_of(connection: sa.Connection) -> Shape:
    inspector = sa.inspect(connection)
    columns, unique, checks = dict[tuple[str, str], Column](), set[tuple[str, ...]](), set[tuple[str, str]]()
    for table in inspector.get_table_names():
        key = inspector.get_pk_constraint(table)["constrained_columns"]
        for column in inspector.get_columns(table):
            given = column["default"] is not None or column["nullable"] or key == [column["name"]]
            columns[table, column["name"]] = Column(str(column["type"]), not given, bool(column["nullable"]))
        for index in [*inspector.get_indexes(table), *inspector.get_unique_constraints(table)]:
            if index.get("unique", True):
                where = (index.get("dialect_options") or {}).get("sqlite_where", "")
                unique.add((table, *sorted(map(str, index["column_names"])), str(where)))
        unique.add((table, *sorted(key), ""))
        checks |= {
            (table, " ".join(check["sqltext"].split())) for check in inspector.get_check_constraints(table)
        }
    return Shape(columns, unique, checks)


def breaks(before: Shape, after: Shape) -> list[str]:
    """What statements that were written for ``before`` may run into on ``after``."""
    found = [f"{table}.{name} is gone" for table, name in before.columns.keys() - after.columns.keys()]
    tables = {table for table, _ in before.columns}
    for (table, name), column in after.columns.items():
        was = before.columns.get((table, name))
        if was is None:
            if table in tables and column.needed:
                found.append(f"{table}.{name} has to be given")
        elif was.type != column.type:
            found.append(f"{table}.{name} was {was.type}")
        elif was.nullable and not column.nullable:
            found.append(f"{table}.{name} can't be empty any more")
    found += [
        f"{table} has new rules: {text}" for table, text in after.checks - before.checks if table in tables
    ]
    for table, *rest in after.unique - before.unique:
        if table in tables and all((table, name) in before.columns for name in rest[:-1]):
            found.append(f"{table} takes only one of each {', '.join(rest[:-1])}")
    return sorted(found)


def test_a_migration_only_adds(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    assert len(revisions) > 20
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'steps.db'}")
    found = dict[str, list[str]]()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        before: Shape | None = None
        for revision in revisions:
            command.upgrade(config, revision)
            after = shape_of(connection)
            if before is not None and (broken := breaks(before, after)):
                found[revision] = broken
            before = after
    engine.dispose()
    assert found == BEFORE_THE_FIRST_RELEASE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE jobs ADD COLUMN hint TEXT", []),
        ("ALTER TABLE jobs ADD COLUMN hint TEXT NOT NULL DEFAULT ''", []),
        ("CREATE TABLE more (id INTEGER PRIMARY KEY, word TEXT NOT NULL)", []),
        ("CREATE INDEX fast ON jobs (lane)", []),
        ("ALTER TABLE jobs DROP COLUMN word", ["jobs.word is gone"]),
        ("ALTER TABLE jobs RENAME COLUMN word TO said", ["jobs.said has to be given", "jobs.word is gone"]),
        ("DROP TABLE jobs", ["jobs.id is gone", "jobs.lane is gone", "jobs.word is gone"]),
        ("CREATE UNIQUE INDEX once ON jobs (lane)", ["jobs takes only one of each lane"]),
    ],
)  # fmt: skip
def test_what_an_older_program_would_run_into_is_found(change: str, told: list[str]) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, lane TEXT, word TEXT NOT NULL)"
        )
        before = shape_of(connection)
        connection.exec_driver_sql(change)
        assert breaks(before, shape_of(connection)) == told
    engine.dispose()


def _table(connection: Any, text: str) -> Shape:
    connection.exec_driver_sql("DROP TABLE IF EXISTS jobs")
    connection.exec_driver_sql(f"CREATE TABLE jobs ({text})")
    return shape_of(connection)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("id INTEGER PRIMARY KEY, lane TEXT NOT NULL", ["jobs.lane can't be empty any more"]),
        ("id INTEGER PRIMARY KEY, lane INTEGER", ["jobs.lane was TEXT"]),
        ("id INTEGER PRIMARY KEY, lane TEXT, CHECK (lane <> 'x')", ["jobs has new rules: lane <> 'x'"]),
        ("id INTEGER PRIMARY KEY, lane TEXT", []),
    ],
)
def test_a_table_that_is_made_anew_with_stricter_rules_is_found(after: str, told: list[str]) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        before = _table(connection, "id INTEGER PRIMARY KEY, lane TEXT")
        assert breaks(before, _table(connection, after)) == told
    engine.dispose()
