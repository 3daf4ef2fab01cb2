"""Migrations of a database that has rows in all its tables."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from core.errors import StorageError
from core.job import Status, Surface
from core.settings import ROOT
from storage import job_queries, migrate
from storage.database import open_database
from storage.migrate import MIGRATIONS
from storage.schema import metadata
from tests.storage.conftest import make_first_schema, url_of
from tests.support.fresh import fresh_database

SPECIAL = {  # where a check or a link asks for more than any value of the type
    "with_job": "job",
    "without_job": "job",
    "status": "rendered",
    "lane": "fast",
    "surface": "discord",
    "request_key": None,
    "kind": "imagine",
    "attempts": 1,
    "lease_token": None,
    "delivered_at": None,
    "parent_id": None,
    "request": '{"prompt": "a red house"}',
    "roles": "[]",
    "job_id": "job",
    "conversation": "job",
    "level": "off",
    "pictures": "block",
    "task": "anomaly",
    "alike": "auto",
    "right": "use",
    "part": "train",
    "by": "rules",
    "before_id": None,
    "waits_for": None,
    "turn_id": "1",
    "is_open": 0,
}
STATES = {"project_items": "labelled", "project_versions": "active", "watch_pictures": "good"}
KINDS = {"allowed": "role"}


def _count(connection: sqlite3.Connection, table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


def fill(path: Path) -> dict[str, int]:
    """One row in every table, written as the old version would; how many rows there are of each."""
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "alembic_version" and not name.startswith(("sqlite_", "prompt"))
        ]
        for table in sorted(tables, key=lambda name: name != "jobs"):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            values = {name: _value(table, name, kind) for _, name, kind, *_ in columns}
            marks = ", ".join("?" * len(values))
            insert = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
            connection.execute(insert, list(values.values()))
    return dict.fromkeys(tables, 1)


def _value(table: str, column: str, kind: str) -> object:
    if column == "id" and table == "jobs":
        return "job"
    if column == "kind" and table in KINDS:
        return KINDS[table]
    if column == "state" and table in STATES:
        return STATES[table]
    if (table, column) == ("webhooks", "project_id"):
        return None  # it belongs to a token
    if column in SPECIAL:
        return SPECIAL[column]
    return {"INTEGER": 1, "BIGINT": 1, "REAL": 0.5, "BLOB": b"1"}.get(kind, "1")


def _number(path: Path, schema: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the first schema."""
    make_first_schema(tmp_path, url_of(tmp_path))
    return tmp_path / "atelier.db"


async def test_a_database_of_the_first_schema_keeps_all_its_rows(path: Path) -> None:
    before = fill(path)
    async with open_database(path, path.parent / "backups") as database:
        job = await database.read(lambda c: job_queries.read_job(c, "job"))
        left = await database.read(lambda c: job_queries.undelivered(c))
    with closing(sqlite3.connect(path)) as connection:
        assert {name: _count(connection, name) for name in before} == before
    assert job.status is Status.RENDERED and job.origin.private
    assert job.origin.surface is Surface.DISCORD and job.origin.request_key is None
    assert [one.id for one in left] == ["job"], "it still waits to be told"


async def test_an_older_schema_is_refused_with_what_to_do_and_left_as_it_is(path: Path) -> None:
    fill(path)
    _number(path, "0030")
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    for may_migrate in (False, True):
        with pytest.raises(StorageError, match=r"database has schema 0030.*[Ss]tart once with commit \w{8}"):
            async with open_database(path, path.parent / "backups", may_migrate=may_migrate):
                pass
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
    assert not (path.parent / "backups").exists()


def test_a_backup_of_an_older_schema_is_told(path: Path) -> None:
    migrate.check_backup(path)
    _number(path, "0030")
    with pytest.raises(StorageError, match=r"The backup atelier\.db has schema 0030"):
        migrate.check_backup(path)


def test_a_backup_of_no_schema_or_a_newer_one_is_not_too_old(tmp_path: Path, path: Path) -> None:
    _number(path, "9999")
    migrate.check_backup(path)
    sqlite3.connect(tmp_path / "none.db").close()
    migrate.check_backup(tmp_path / "none.db")


async def test_rows_were_put_into_every_table_there_is(tmp_path: Path) -> None:
    fresh_database(tmp_path / "atelier.db")
    assert set(fill(tmp_path / "atelier.db")) == {*metadata.tables, "place_sets"}


REBUILD = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "9999", {before!r}, None, None
def upgrade():
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("file_limit", existing_type=sa.Integer(), nullable=True)
"""


def _add_migration(folder: Path, text: str) -> Path:
    """The program's migrations and one more, in ``folder``."""
    shutil.copytree(MIGRATIONS, folder)
    (folder / "versions" / "9999_more.py").write_text(text)
    return folder


def _head() -> str:
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("*.py"))


async def test_a_rebuilt_table_keeps_what_hangs_on_it(tmp_path, path: Path, monkeypatch) -> None:
    before = fill(path)
    more = _add_migration(tmp_path / "migrations", REBUILD.format(before=_head()))
    monkeypatch.setattr(migrate, "MIGRATIONS", more)
    async with open_database(url_of(tmp_path), tmp_path / "backups") as database:
        enforced = await database.write(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar_one())
    with closing(sqlite3.connect(path)) as connection:
        after = {name: _count(connection, name) for name in before}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert after == before
    assert enforced == 1, "links are enforced again"


async def test_a_migration_that_breaks_a_link_changes_nothing(tmp_path, path: Path, monkeypatch) -> None:
    before = fill(path)
    rebuild = REBUILD.format(before=_head())
    breaks = rebuild.partition("    with")[0] + '    op.execute("DELETE FROM jobs")\n'  # noqa: S608
    monkeypatch.setattr(migrate, "MIGRATIONS", _add_migration(tmp_path / "migrations", breaks))
    with pytest.raises(StorageError, match="Nothing was changed"):
        async with open_database(url_of(tmp_path), tmp_path / "backups"):
            pass
    with closing(sqlite3.connect(path)) as connection:
        after = {name: _count(connection, name) for name in before}
    assert after == before


def test_the_newest_schema_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert migrate.newest_schema() == ScriptDirectory.from_config(config).get_current_head()


async def test_a_start_on_a_current_file_spares_itself_alembic_and_psycopg(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    async with open_database(url, tmp_path / "backups"):
        pass
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from storage.database import open_database\n"
        "async def main():\n"
        "    async with open_database(sys.argv[1], Path(sys.argv[2])):\n"
        "        print({'alembic', 'psycopg'} & set(sys.modules))\n"
        "asyncio.run(main())\n"
    )
    command_line = [sys.executable, "-c", code, url, str(tmp_path / "backups")]
    run = await asyncio.to_thread(
        subprocess.run, command_line, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
