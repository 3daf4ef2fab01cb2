"""How often a page of places has changed, or who may find the pictures there: triggers count it, whatever
changes the rows. Who has read places knows by it which pages to read again. Each database counts its own, so
it is none of the tables that are copied from one to another."""

import sqlalchemy as sa

from core.vectors import PLACES_OF_MARK

_versions = sa.table("place_versions", sa.column("page", sa.BigInteger), sa.column("version", sa.BigInteger))
_PLACE = f"SELECT {{row}}.place / {PLACES_OF_MARK}, 1 WHERE true"
_PAGES = f"SELECT DISTINCT p.place / {PLACES_OF_MARK}, 1 FROM"
_JOB = f"{_PAGES} jobs j JOIN picture_places p ON p.seq = j.seq WHERE j.id = {{row}}.{{key}}"
_CHANGES = (  # (table, event, pages that it changes)
    ("picture_places", "INSERT", _PLACE.format(row="NEW")),
    ("picture_places", "DELETE", _PLACE.format(row="OLD")),
    ("trash", "INSERT", _JOB.format(row="NEW", key="job_id")),
    ("trash", "DELETE", _JOB.format(row="OLD", key="job_id")),
    ("messages", "INSERT", _JOB.format(row="NEW", key="job_id")),
    ("messages", "DELETE", _JOB.format(row="OLD", key="job_id")),
    ("messages", "UPDATE", _JOB.format(row="NEW", key="job_id")),
    ("jobs", "UPDATE OF user_id, guild_id, channel_id, private, prompt", _JOB.format(row="NEW", key="id")),
)


def create(connection: sa.Connection) -> None:
    """Make the table and its triggers where they aren't there."""
    on_sqlite = connection.dialect.name == "sqlite"
    number = "INTEGER" if on_sqlite else "BIGINT"
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS place_versions"
        f" (page {number} NOT NULL, version {number} NOT NULL, PRIMARY KEY (page))"
    )
    for table, event, pages in _CHANGES:
        name = _name(table, event)
        count = (
            f"INSERT INTO place_versions (page, version) {pages}"
            " ON CONFLICT (page) DO UPDATE SET version = place_versions.version + 1"
        )
        if on_sqlite:
            made = f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} BEGIN {count}; END"
            connection.exec_driver_sql(made)
            continue
        function = f"FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        connection.exec_driver_sql(f"CREATE OR REPLACE {function} AS $$ BEGIN {count}; RETURN NULL; END $$")
        trigger = f"TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
        connection.exec_driver_sql(f"CREATE OR REPLACE {trigger} EXECUTE FUNCTION {name}()")


def drop_triggers(connection: sa.Connection) -> None:
    """Drop the triggers: SQLite makes no table anew that a trigger reads."""
    for table, event, _ in _CHANGES if connection.dialect.name == "sqlite" else ():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_name(table, event)}")


def _name(table: str, event: str) -> str:
    return f"{table}_{event.partition(' ')[0].lower()}_places"


def read(connection: sa.Connection) -> dict[int, int]:
    """Return how often each page, of PLACES_OF_MARK places, has changed; one that isn't there never has."""
    return {page: version for page, version in connection.execute(sa.select(_versions))}
