"""What a server does that no file does: it stands still, loses connections, and serves other programs."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import DatabaseInUse, LimitError, StorageError
from core.settings import ROOT
from storage import job_queries, migrate, privacy
from storage import jobs as rows
from storage.database import Database, open_database
from storage.engines import postgres
from tests.jobs.conftest import until
from tests.scale.wire import LOST, NEVER, Wire
from tests.storage.conftest import a_job, added
from tests.support import postgres as tests_postgres
from tests.support.fresh import address_in

pytestmark = pytest.mark.postgres
HOLD = """
import asyncio, sys
from storage.database import open_database
async def main():
    async with open_database(sys.argv[1], None):
        print("open", flush=True)
        await asyncio.sleep(float(sys.argv[2]))
asyncio.run(main())
"""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(address_in(tmp_path), tmp_path / "backups") as opened:
        yield opened


@pytest.fixture(scope="module")
def own_server() -> Iterator[tests_postgres.Server]:
    """A server that no other test is on."""
    server = tests_postgres.Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def _holder(address: str, seconds: float) -> asyncio.subprocess.Process:
    command = [sys.executable, "-c", HOLD, address, str(seconds)]
    return await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _end_sessions(database: Database, *, writers_only: bool = False) -> None:
    """As a failover does."""
    name = database.engine.url.database
    with tests_postgres.connect(str(tests_postgres.folder())) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name LIKE %s",
            [name, "atelier % writes" if writers_only else "%"],
        )


async def test_a_second_program_is_refused_and_told_who_has_the_database(tmp_path: Path) -> None:
    async with open_database(address_in(tmp_path), None):
        other = await _holder(address_in(tmp_path), 0)
        _, words = await other.communicate()
    assert other.returncode == 1 and b"Another Atelier (process" in words
    async with open_database(address_in(tmp_path), None):
        pass


async def test_the_next_program_may_start_when_one_was_killed(tmp_path: Path) -> None:
    holder = await _holder(address_in(tmp_path), 60)
    assert holder.stdout is not None and (await holder.stdout.readline()).strip() == b"open"
    holder.kill()
    await holder.communicate()
    async with open_database(address_in(tmp_path), None) as database:
        await added(database)


async def test_two_programs_that_make_the_schema_at_once_make_it_once(tmp_path: Path) -> None:
    address = address_in(tmp_path, migrated=False)
    both = [await _holder(address, 0) for _ in range(2)]
    ends = await asyncio.gather(*(one.communicate() for one in both))
    codes = sorted(one.returncode or 0 for one in both)
    words = b"".join(error for _, error in ends)
    assert codes == [0, 0] or codes == [0, 1] and b"Another Atelier" in words, words
    async with open_database(address, None) as database:
        await added(database)


async def test_after_a_failover_reads_and_writes_go_on(database: Database) -> None:
    job = await added(database)
    for _ in range(3):
        _end_sessions(database)
        assert await database.read(lambda c: job_queries.read_job(c, job.id)) is not None
        await added(database)
    assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs"))) == 4


async def test_a_lost_connection_costs_nothing_after_a_lost_answer_either(tmp_path: Path) -> None:
    """Each gets a second try, on a connection of its own: what is settled is not held against the next."""
    folder, name = tests_postgres.place_of(address_in(tmp_path))
    async with Wire(folder).open() as wire, open_database(wire.address(name), None) as database:
        for way in (LOST, NEVER):
            wire.cut = way
            await added(database)
            await wire.sever()
            await added(database)
        assert database.unknown_commits == 2
        assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs"))) == 4


async def test_who_has_lost_the_lock_to_another_program_writes_no_more(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "START_PATIENCE", 0.2)
    await added(database)
    _end_sessions(database, writers_only=True)
    async with open_database(address_in(tmp_path), None) as other:
        await added(other)
        with pytest.raises(DatabaseInUse, match="Another Atelier"):
            await added(database)
        assert database.taken.is_set() and database.problem is not None
        with pytest.raises(DatabaseInUse):
            await added(database)
    assert len(await _ids(tmp_path)) == 2


async def _ids(folder: Path) -> list[str]:
    name = address_in(folder).partition("?")[0].rpartition("/")[2]
    with tests_postgres.connect(str(tests_postgres.folder()), name) as plain:
        return [name for (name,) in plain.execute("SELECT id FROM jobs").fetchall()]


async def test_a_server_that_stands_still_is_told_of_refused_and_used_again(
    own_server: tests_postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SILENT", 0.5)
    monkeypatch.setattr(postgres, "LOOK", 0.2)
    monkeypatch.setattr(postgres._connection_class(), "answer", 3.0)
    with tests_postgres.connect(own_server.folder) as server:
        server.execute("CREATE DATABASE still")
    async with open_database(tests_postgres.address(own_server.folder, "still"), None) as database:
        await added(database)
        with own_server.standing_still():
            first, second = (asyncio.create_task(added(database)) for _ in range(2))
            await asyncio.sleep(0)
            late = asyncio.create_task(added(database))
            await until(lambda: database.problem)
            assert database.problem == "the database does not answer"
            with pytest.raises(StorageError, match="does not answer"):
                await database.read(lambda c: c.scalar(sa.text("SELECT 1")))
            with pytest.raises(StorageError, match="does not answer"):
                await added(database)
            await asyncio.sleep(4)
        ends = await asyncio.gather(first, second, late, return_exceptions=True)
        await until(lambda: database.problem is None)
        await added(database)
        rows = await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM jobs")))
    assert rows == 2 + sum(not isinstance(end, BaseException) for end in ends)
    assert all(isinstance(end, StorageError) for end in ends if isinstance(end, BaseException))


async def test_a_long_statement_is_no_silence(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SILENT", 1.2)
    monkeypatch.setattr(postgres, "LOOK", 0.2)
    long = asyncio.create_task(database.read(lambda c: c.scalar(sa.text("SELECT 1 FROM pg_sleep(2.5)"))))
    seen = []
    while not long.done():
        seen.append(database.problem)
        await asyncio.sleep(0.05)
    assert await long == 1 and set(seen) == {None}


async def test_a_read_is_one_snapshot_and_writes_nothing(database: Database) -> None:
    await added(database)
    loop, counts = asyncio.get_running_loop(), "SELECT count(*) FROM jobs"

    def twice(connection: sa.Connection) -> tuple[int, int]:
        before = connection.scalar(sa.text(counts))
        with tests_postgres.connect(str(tests_postgres.folder()), str(database.engine.url.database)) as other:
            other.execute("UPDATE jobs SET id = 'other'; DELETE FROM jobs")
        return before or 0, connection.scalar(sa.text(counts)) or 0

    assert loop.is_running() and await database.read(twice) == (1, 1)
    with pytest.raises(StorageError, match="read-only"):
        await database.read(lambda c: c.execute(sa.text("DELETE FROM settings")))


async def test_no_sum_is_of_another_type_than_on_sqlite(database: Database) -> None:
    await added(database, user=5)
    held = await database.read(lambda c: privacy.holdings(c, 5))
    assert not any(isinstance(value, Decimal) for value in vars(held).values())


async def test_what_was_deleted_is_let_go_of(database: Database) -> None:
    for number in range(20):
        await added(database, a_job(prompt=f"canary-{number}"))
    await database.write(lambda c: c.execute(sa.text("DELETE FROM jobs")))
    await database.scrub()
    dead = sa.text("SELECT pg_relation_size('jobs')")
    assert await database.read(lambda c: c.scalar(dead)) == 0


async def test_rows_on_a_server_are_migrated_only_when_the_host_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(address_in(tmp_path, migrated=False), None):
        pass
    monkeypatch.setattr(migrate, "newest_schema", lambda: "9998")
    with pytest.raises(StorageError, match="pg_dump"):
        async with open_database(address_in(tmp_path), None):
            pass
    async with open_database(address_in(tmp_path), None, may_migrate=True):
        pass


async def test_a_server_that_is_not_there_is_told_in_a_sentence() -> None:
    with pytest.raises(StorageError, match="the database failed"):
        async with open_database("postgresql+psycopg://atelier@/none?host=/nowhere", None):
            pass


def _sent(asked: AsyncEngine) -> list[str]:
    """What is sent from now on."""
    found: list[str] = []
    sa.event.listen(
        asked.sync_engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: found.append(statement),
    )
    return found


@pytest.mark.parametrize("spoils", (False, True))
async def test_writes_at_the_same_moment_share_a_transaction_and_fail_alone(
    database: Database, spoils: bool
) -> None:
    """Without a savepoint, as long as none of them fails after it has written."""

    def refused(connection: sa.Connection) -> None:
        job_queries.list_waiting(connection)
        raise LimitError("Not now.")

    def spoilt(connection: sa.Connection) -> None:
        rows.add_job(connection, a_job(), cost_key="", max_running=3)
        raise LimitError("Not now.")

    def twice(connection: sa.Connection) -> None:
        rows.add_job(connection, twin, cost_key="", max_running=3)

    assert database._server is not None
    twin, sent = a_job(), _sent(database._server.writer)
    works = [partial(rows.add_job, job=a_job(), cost_key="", max_running=3), refused, twice]
    works += [spoilt, twice] if spoils else []
    found = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
    assert [type(one).__name__ for one in found[:3]] == ["WaitingRow", "LimitError", "NoneType"]
    if spoils:
        assert [type(one).__name__ for one in found[3:]] == ["LimitError", "IntegrityError"]
    assert len(await database.read(job_queries.list_waiting)) == 2
    savepoints = sum("SAVEPOINT" in one for one in sent)
    assert (savepoints > 0) == spoils and sum("BEGIN" in one for one in sent) == 1 + spoils, sent


async def test_a_single_statement_that_reads_has_no_transaction_around_it(database: Database) -> None:
    job, sent = await added(database), _sent(database.engine)
    assert await database.read(partial(job_queries.read_job, job_id=job.id), once=True) == job
    assert [one.split()[0] for one in sent] == ["SELECT"]
    assert await database.read(partial(job_queries.read_job, job_id=job.id)) == job
    assert [one.split()[0] for one in sent] == ["SELECT", "BEGIN", "SELECT"]
