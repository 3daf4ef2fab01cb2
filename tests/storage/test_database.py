import asyncio
import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from cachetools import TTLCache
from sqlalchemy.util import await_only as await_

from core.errors import StorageError
from storage import moderation
from storage.database import CAN_WAIT, Database, open_database
from storage.migrate import MIGRATIONS
from storage.schema import metadata
from tests.storage.conftest import a_job, added, count_settings, make_first_schema, put_setting, url_of
from tests.support import postgres
from tests.support.fresh import address_in

LEFT = {"handled", "identifies"}  # that databases of before the first release may have


def _shape(connection: sa.Connection) -> dict[str, set[str]]:
    """Table → what makes it: its columns in any order, its keys, links, rules and indexes."""
    inspector, shape = sa.inspect(connection), dict[str, set[str]]()
    for table in set(inspector.get_table_names()) - LEFT:
        found = [inspector.get_pk_constraint(table), *inspector.get_columns(table)]
        found += [*inspector.get_foreign_keys(table), *inspector.get_unique_constraints(table)]
        found += [*inspector.get_check_constraints(table), *inspector.get_indexes(table)]
        shape[table] = {json.dumps(one, sort_keys=True, default=str) for one in found}
    return shape


async def test_a_database_of_the_first_schema_becomes_as_a_new_one_is(tmp_path: Path) -> None:
    """Whoever changes a table writes a migration, too."""
    address = address_in(tmp_path / "first", migrated=False)
    make_first_schema(tmp_path / "first", address)
    async with (
        open_database(address, None, may_migrate=True) as first,
        open_database(address_in(tmp_path / "new", migrated=False), None) as new,
    ):
        assert await first.read(_shape) == await new.read(_shape)


async def test_every_connection_has_its_pragmas(database: Database) -> None:
    async with database.engine.connect() as one, database.engine.connect() as two:
        for connection in (one, two):
            found = [
                (await connection.execute(sa.text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
            ]
            assert found == ["wal", 2, 1, 5000, 1]


async def test_a_transaction_that_fails_leaves_nothing_and_its_neighbours_everything(
    database: Database,
) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO settings VALUES ('half', '1')"))
        raise ValueError("half-way")

    results = await asyncio.gather(
        put_setting(database, "a"), database.write(half), put_setting(database, "b"), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    assert await count_settings(database) == 2


async def test_a_stop_iteration_ends_its_own_write_alone(database: Database) -> None:
    results = await asyncio.gather(
        put_setting(database, "a"), database.write(lambda c: next(iter(()))), return_exceptions=True
    )
    assert results[0] is None and isinstance(results[1], RuntimeError)
    async with asyncio.timeout(3):
        await put_setting(database, "b")
    assert await count_settings(database) == 2


async def test_a_writer_that_fails_answers_whoever_waits_and_begins_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(batch: object) -> None:
        raise KeyError("nobody has thought of it")

    async with asyncio.timeout(10):
        with monkeypatch.context() as patch:
            patch.setattr(database, "_write_some", fail)
            with pytest.raises(StorageError, match="writer failed"):
                await put_setting(database, "a")
        assert database.problem == "what failed is tried again: database writer"
        await put_setting(database, "b")


async def test_a_transaction_is_one_trip_to_the_databases_thread(database: Database, monkeypatch) -> None:
    trips, threads = [], set[int]()
    send = aiosqlite.Connection._execute

    async def count(connection: aiosqlite.Connection, function: Any, *arguments: Any, **named: Any) -> Any:
        trips.append(function)
        return await send(connection, function, *arguments, **named)

    def several(connection: sa.Connection) -> int:
        threads.add(threading.get_ident())
        connection.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), [{"k": "a"}, {"k": "b"}])
        return connection.scalar(sa.text("SELECT count(*) FROM settings"))

    assert await count_settings(database) == 0  # the connection is there
    monkeypatch.setattr(aiosqlite.Connection, "_execute", count)
    assert await database.write(several) == 2 and len(trips) == 1
    assert await count_settings(database) == 2 and len(trips) == 2
    await asyncio.gather(*(put_setting(database, str(n)) for n in range(20)))
    assert len(trips) == 3
    assert threading.get_ident() not in threads


async def test_a_transaction_that_waits_for_something_else_is_refused_whole(database: Database) -> None:
    def waits(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO settings VALUES ('half', '1')"))
        await_(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="nothing but its connection"):
        await database.write(waits)
    await put_setting(database, "whole")
    assert await count_settings(database) == 1


async def test_what_goes_first_does_not_stand_in_line_behind_a_crowd(database: Database) -> None:
    order: list[str] = []

    def note(name: str, connection: sa.Connection) -> None:
        order.append(name)

    crowd = [asyncio.create_task(database.write(partial(note, str(i)))) for i in range(1000)]
    await crowd[0]
    await database.write(partial(note, "claim"), first=True)
    await asyncio.gather(*crowd)
    assert order.index("claim") < 600
    assert [name for name in order if name != "claim"] == [str(i) for i in range(1000)]


async def test_reads_that_can_wait_leave_room_for_others(database: Database) -> None:
    go = threading.Event()

    async def patient() -> None:
        CAN_WAIT.set(True)
        await database.read(lambda _: go.wait(10))

    waiting = [asyncio.create_task(patient()) for _ in range(20)]
    await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(5):
            assert await count_settings(database) == 0
    finally:
        go.set()
        await asyncio.gather(*waiting)


async def test_a_cancelled_writer_leaves_all_or_nothing_and_no_lock(database: Database) -> None:
    def pair(number: int, connection: sa.Connection) -> None:
        for side in "ab":
            connection.execute(sa.text("INSERT INTO settings VALUES (:k, '1')"), {"k": f"{number}{side}"})

    chance, cancelled = random.Random(1), 0
    for number in range(60):
        task = asyncio.create_task(database.write(partial(pair, number)))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0.0005)
        task.cancel()
        cancelled += isinstance(
            (await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError
        )
    await put_setting(database, "last")
    keys = set(await database.read(lambda c: c.scalars(sa.text("SELECT key FROM settings")).all()))
    assert cancelled > 5
    assert all((f"{n}a" in keys) == (f"{n}b" in keys) for n in range(60))


async def test_a_cancelled_read_leaves_its_connection_usable(database: Database) -> None:
    for _ in range(20):
        task = asyncio.create_task(count_settings(database))
        await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.gather(*(count_settings(database) for _ in range(10))) == [0] * 10


async def test_many_writers_share_commits(database: Database) -> None:
    await asyncio.gather(*(put_setting(database, str(number)) for number in range(200)))
    assert await count_settings(database) == 200


async def test_what_was_handed_in_is_written_before_the_database_closes(tmp_path: Path) -> None:
    async with open_database(url_of(tmp_path), None) as database:
        tasks = [asyncio.create_task(put_setting(database, str(number))) for number in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    with pytest.raises(StorageError, match="closed"):
        await put_setting(database, "late")
    async with open_database(url_of(tmp_path), None) as database:
        assert await count_settings(database) == 20


async def test_two_processes_cannot_use_one_file(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom storage.database import open_database\n"
        "async def main():\n    async with open_database(sys.argv[1], None): pass\nasyncio.run(main())"
    )
    async with open_database(url_of(tmp_path), None):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, url_of(tmp_path), stderr=subprocess.PIPE
        )
        _, words = await other.communicate()
    assert other.returncode == 1 and b"Another Atelier (process" in words


def head() -> str:
    """The newest migration; MultipleHeads when two follow the same one."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()


def test_no_table_has_two_constraints_of_one_name() -> None:
    """SQLite takes them, PostgreSQL doesn't."""
    for table in metadata.tables.values():
        names = [one.name for one in table.constraints]
        assert len(names) == len(set(names)), table.name


def test_migrations_are_one_line() -> None:
    assert head() == max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))


async def test_a_newer_schema_is_refused_and_named(tmp_path: Path) -> None:
    async with open_database(url_of(tmp_path), None):
        pass
    with sqlite3.connect(tmp_path / "atelier.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StorageError, match="schema 9999, written by a newer Atelier"):
        async with open_database(url_of(tmp_path), None):
            pass


async def test_a_migration_is_preceded_by_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(url_of(tmp_path), tmp_path / "backups") as database:
        await added(database)
    assert not (tmp_path / "backups").exists(), "a new database has nothing to lose"

    from storage import migrate as module

    newer = tmp_path / "migrations"
    shutil.copytree(module.MIGRATIONS, newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "versions" / "9000_test.py").write_text(
        f'"""A test."""\nfrom alembic import op\nrevision, down_revision = "9000", "{head()}"\nbranch_labels'
        ' = depends_on = None\ndef upgrade():\n    op.execute("CREATE TABLE extra (x INTEGER)")\n'
    )
    monkeypatch.setattr(module, "MIGRATIONS", newer)
    async with open_database(url_of(tmp_path), tmp_path / "backups") as database:
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM extra"))) == 0
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs"))) == 1
    (saved,) = (tmp_path / "backups").iterdir()
    assert "before-9000" in saved.name


async def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch) -> None:

    from storage import migrate as module

    async with open_database(url_of(tmp_path), None):
        pass
    newer = tmp_path / "migrations"
    shutil.copytree(module.MIGRATIONS, newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "versions" / "9000_test.py").write_text(
        f'"""A test."""\nfrom alembic import op\nrevision, down_revision = "9000", "{head()}"\nbranch_labels'
        ' = depends_on = None\ndef upgrade():\n    op.execute("CREATE TABLE extra (x INTEGER)")\n   '
        ' op.execute("CREATE TABLE jobs (x INTEGER)")\n'
    )
    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(module, "MIGRATIONS", newer)
        async with open_database(url_of(tmp_path), None):
            pass
    async with open_database(url_of(tmp_path), None) as database:
        assert "extra" not in (await database.read(lambda c: sa.inspect(c).get_table_names()))


async def test_after_a_scrub_nothing_deleted_is_left_in_any_file(database: Database) -> None:
    for number in range(50):
        await added(database, a_job(prompt=f"canary-{number:04d}-" + "x" * 300))
    await database.write(lambda c: c.execute(sa.text("DELETE FROM jobs")))
    await database.scrub()
    for path in database.path.parent.glob("atelier.db*"):
        assert b"canary-" not in path.read_bytes(), path.name


async def test_a_scrub_that_waits_for_a_reader_holds_up_no_write(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        await added(database)
        scrubbing = asyncio.create_task(database.scrub())
        for _ in range(5):
            await asyncio.sleep(0.05)
            async with asyncio.timeout(3):
                await added(database)
        assert not scrubbing.done()
        reader.execute("COMMIT")
    await scrubbing
    assert not Path(f"{database.path}-wal").stat().st_size  # noqa: ASYNC240


async def test_scores_of_more_pictures_than_a_statement_takes_are_forgotten(database: Database) -> None:
    names = [f"{number:064x}" for number in range(250_001)]
    await database.write(lambda c: moderation.set_score(c, names[-1], "nsfw", 0.5))
    await database.write(lambda c: moderation.forget_pictures(c, names))
    assert await database.read(lambda c: moderation.scores(c, names[-1:], "nsfw")) == {}


async def test_a_database_that_refuses_is_a_storage_error(database: Database) -> None:
    with pytest.raises(StorageError, match="no such table"):
        await database.write(lambda c: c.execute(sa.text("INSERT INTO nowhere VALUES (1)")))
    with pytest.raises(StorageError, match="no such table"):
        await database.read(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))


async def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StorageError, match="forget every job"):
        async with open_database("sqlite:///:memory:", None):
            pass


def _settings(connection: sa.Connection, beside: int = 0) -> int:
    return int(connection.scalar(sa.text("SELECT count(*) FROM settings")) or 0)


@pytest.mark.skipif(postgres.folder() is not None, reason="others write to a server as well")
async def test_what_is_known_is_as_of_the_newest_commit(database: Database, monkeypatch) -> None:
    reads, read = [], database.read

    async def counted(work: Any, **options: Any) -> Any:
        reads.append(work)
        return await read(work, **options)

    monkeypatch.setattr(database, "read", counted)
    asked = partial(_settings), partial(_settings, beside=1)
    assert await database.look_up(*asked) == await database.look_up(*asked) == [0, 0]
    assert await database.look_up(partial(_settings, beside=2), *asked) == [0, 0, 0]
    assert len(reads) == 2
    await put_setting(database, "one")
    assert await database.look_up(*asked) == [1, 1]
    with pytest.raises(ValueError, match="refused"):
        await database.write(_refuse)
    assert await database.look_up(*asked) == [1, 1] and len(reads) == 4


async def test_what_was_read_beside_a_commit_is_not_known_afterwards(database: Database) -> None:
    go, asked = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> int:
        found = _settings(connection)
        asked.set()
        go.wait(10)
        return found

    work = partial(slow)
    looking = asyncio.create_task(database.look_up(work))
    await asyncio.to_thread(asked.wait, 10)
    await put_setting(database, "one")
    go.set()
    assert await looking == [0] and await database.look_up(work) == [1]


def _refuse(connection: sa.Connection) -> None:
    raise ValueError("refused")


async def test_what_was_kept_of_a_look_up_may_end_while_it_is_looked_for(tmp_path: Path, monkeypatch) -> None:
    clock = itertools.count()  # each look at it takes a second
    monkeypatch.setattr("storage.database.TTLCache", lambda size, _lives: TTLCache(size, 2, clock.__next__))
    work = partial(_settings, beside=1)
    async with open_database(address_in(tmp_path), None) as database:
        for _ in range(4):
            assert await database.look_up(work) == [0]
