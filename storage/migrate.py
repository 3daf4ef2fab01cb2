"""Brings a database's schema up to this program's, after a backup."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

import storage.schema  # noqa: F401  all tables there are
from core.errors import StorageError
from storage import place_sets, prompt_words
from storage.engines import sqlite
from storage.engines.base import ADDRESS_WRITES
from storage.schema import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
LAST_BEFORE = "242ff906"  # commit: the last program that brings up what is older than the first schema here
DERIVED = (place_sets, prompt_words)  # what triggers keep in step with the tables, and no migration changes
log = logging.getLogger(__name__)


def migrate(
    connection: sa.Connection, path: Path | None, backup_dir: Path | None, *, may_migrate: bool = False
) -> None:
    """Make the tables of an empty database, or run the migrations that are missing, in one transaction of
    ``connection``, which has none open. ``path`` of a SQLite file is backed up first. StorageError for a
    schema that is too old or a newer Atelier's, and for a migration that breaks a link between rows: then
    nothing is changed. ``may_migrate``: whether rows of which there is no backup may be changed.

    Alembic is imported only when something may be missing: it takes a seventh of a start.
    """
    current = read_schema(connection)
    if current == newest_schema():
        prompt_words.fit(connection)
        return
    check_age(current, "The database")
    if current is not None and path is None and not may_migrate and current < newest_schema():
        raise StorageError(
            f"The database has schema {current}, this Atelier needs {newest_schema()}, and it backs up no"
            " server. Make a backup (pg_dump --format=custom), then run `atelier migrate --yes`, or set"
            " MIGRATE=on."
        )
    with _links_unenforced(connection), connection.execution_options(**ADDRESS_WRITES).begin():
        _upgrade(connection, path, backup_dir)


def newest_schema() -> str:
    """Return this program's schema, which is the number that its latest migration's file begins with."""
    return _schemas()[-1]


def oldest_schema() -> str:
    """Return the schema that the first migration begins with."""
    return _schemas()[0]


def _schemas() -> list[str]:
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def read_schema(connection: sa.Connection) -> str | None:
    """Return the schema of the rows, None where there are none yet."""
    with connection.begin():
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def check_age(current: str | None, what: str) -> None:
    """Raise StorageError where ``what``, of the schema ``current``, is older than the first migration."""
    if current is not None and current < oldest_schema():
        raise StorageError(
            f"{what} has schema {current}, from before release 0.1.0, and this Atelier knows schemas from"
            f" {oldest_schema()} on. Start once with commit {LAST_BEFORE}, which upgrades it, or start again"
            " with another DATA_DIR or DATABASE_URL. Nothing was changed."
        )


def check_backup(backup: Path) -> None:
    """Raise StorageError for a backup of a SQLite file that is too old to be brought up."""
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite.read_only(backup), poolclass=sa.NullPool)
    with engine.connect() as connection:
        check_age(read_schema(connection), f"The backup {backup.name}")


def _upgrade(connection: sa.Connection, path: Path | None, backup_dir: Path | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script, context = ScriptDirectory.from_config(config), MigrationContext.configure(connection)
    head, current = script.get_current_head(), context.get_current_revision()
    if current == head:
        return
    if current is None:
        _create(connection)
        context.stamp(script, "head")
    elif current in _schemas():
        if path is not None and backup_dir is not None:
            sqlite.backup(path, backup_dir, label=f"{sqlite.BEFORE}{head}")
        config.attributes["connection"] = connection
        for derived in DERIVED:
            derived.drop_triggers(connection)
        command.upgrade(config, "head")
        for derived in DERIVED:
            derived.create(connection)
        _check_links(connection)
    else:
        raise StorageError(
            f"The database has schema {current}, written by a newer Atelier; this one knows schemas up to"
            f" {head}. Update Atelier, or restore a backup in {backup_dir}."
        )
    log.info("database schema brought from %s to %s", current or "nothing", head)


def _create(connection: sa.Connection) -> None:
    """Make all tables. Indexes have an order, which ``create_all`` doesn't keep: of two that fit as well
    SQLite takes the one made last, so the smaller, partial ones come last."""
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        partial = {index: index.dialect_options["sqlite"]["where"] is not None for index in table.indexes}
        for index in sorted(partial, key=lambda one: (partial[one], str(one.name))):
            connection.execute(CreateIndex(index))
    for derived in DERIVED:
        derived.create(connection)


@contextmanager
def _links_unenforced(connection: sa.Connection) -> Iterator[None]:
    """Turn SQLite's foreign keys off within. A batch migration rebuilds a table and drops the old one: with
    foreign keys on, that deletes every row that hangs on it. The pragma does nothing in a transaction, so it
    goes to the driver, before one begins and after it ends.
    https://sqlite.org/lang_altertable.html#otheralter
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    _set_foreign_keys(connection, "OFF")
    try:
        yield
    finally:
        _set_foreign_keys(connection, "ON")


def _set_foreign_keys(connection: sa.Connection, value: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={value}")
    cursor.close()


def _check_links(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise StorageError(
            f"The migration would leave {len(broken)} rows of {tables} without the rows they belong to."
            " Nothing was changed."
        )
