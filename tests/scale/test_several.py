"""Several programs on one database of a server: what each may write, and what none may undo for another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import DatabaseInUse, NotLeading, StorageError
from jobs.admission import Admission
from storage import people
from storage.database import Database, open_database
from storage.engine import holding
from storage.filing.folder import Folder
from storage.members import Members
from tests import postgres
from tests.fresh import address_in
from tests.scale import asks
from tests.storage.conftest import a_job, added

pytestmark = pytest.mark.postgres
ASKS = 120


@contextlib.asynccontextmanager
async def _several(address: str, count: int = 2) -> AsyncIterator[list[Database]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_database(address, None, several=True)) for _ in range(count)
        ]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[list[Database]]:
    async with _several(address_in(tmp_path)) as opened:
        yield opened


async def _ask_through_two(folder: Path) -> asks.Figures:
    address = address_in(folder)
    await asyncio.gather(*(asks.ask(address, folder, ASKS, n, 2, lambda: None) for n in range(2)))
    return await asks.look(address, ASKS)


async def test_nobody_gets_more_than_the_limits_by_asking_two_programs_at_once(tmp_path: Path) -> None:
    figures = await _ask_through_two(tmp_path)
    assert figures.problems == 0 and figures.full >= 3, figures


async def test_programs_that_do_not_wait_for_each_other_are_found(tmp_path: Path) -> None:
    with asks.careless():
        figures = await _ask_through_two(tmp_path)
    assert figures.over > 0, figures


async def test_an_interaction_that_comes_to_two_programs_makes_one_job_and_both_hear_of_it(
    tmp_path: Path, both: list[Database]
) -> None:
    files, jobs = Folder(tmp_path, ballast_bytes=4096), [a_job(), a_job()]
    jobs[1] = replace(jobs[1], reply=jobs[0].reply)
    with asks.careless():  # so that the row of the other can't be seen before
        doors = [Admission(database, files, asks.limits(ASKS)) for database in both]
        heard = await asyncio.gather(*(door.admit(job, None) for door, job in zip(doors, jobs, strict=True)))
    assert len({admitted.job.id for admitted in heard}) == 1
    assert sum(admitted.row is not None for admitted in heard) == 1


async def test_of_two_settings_changed_at_once_both_stay(both: list[Database]) -> None:
    for number in range(5):
        await asyncio.gather(
            *(
                database.write(
                    partial(people.set_flag, user_id=1, key=f"{number} {name}", value=True), keys=["member 1"]
                )
                for database, name in zip(both, "ab", strict=True)
            ),
            Members(both[0]).change(1, version=f"v{number}"),
            Members(both[1]).change(1, stylize=number),
        )
        chosen = await Members(both[0]).preferences(1)
        assert (chosen.version, chosen.stylize) == (f"v{number}", number)
    flags = [
        await both[0].read(partial(people.flag, user_id=1, key=f"{n} {x}")) for n in range(5) for x in "ab"
    ]
    assert flags == [True] * 10


async def test_one_leads_and_another_when_its_session_has_gone(both: list[Database]) -> None:
    first, second = both
    assert await first.lead() and not await second.lead()
    job = await added(second)
    cancel = partial(_end, job_id=job.id)
    with pytest.raises(NotLeading):
        await second.write(cancel, leads=True)
    _end_session(first)
    assert await second.lead()
    with pytest.raises(NotLeading):  # written by nobody, though its program doesn't know of its loss yet
        await first.write(cancel, leads=True)
    assert not first.leads and not await first.lead()
    await second.write(cancel, leads=True)
    await second.resign()
    assert await first.lead()


async def test_a_leader_whose_session_has_gone_goes_on_leading_if_nobody_has_taken_over(
    both: list[Database],
) -> None:
    assert await both[0].lead()
    job = await added(both[0])
    _end_session(both[0])
    await both[0].write(partial(_end, job_id=job.id), leads=True)
    assert both[0].leads and not await both[1].lead()


def _end(connection: sa.Connection, job_id: str) -> None:
    connection.execute(sa.text("UPDATE jobs SET status = 'cancelled' WHERE id = :id"), {"id": job_id})


def _end_session(database: Database) -> None:
    assert database._server is not None
    with postgres.connect(str(postgres.folder())) as server:
        server.execute(
            # With a time to wait: else it answers as soon as the signal is sent, while the lock is held yet.
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = %s",
            [f"{database._server.name} writes"],
        )


async def test_one_alone_and_several_keep_each_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "START_PATIENCE", 0.2)
    monkeypatch.setattr(holding, "SHARING_PATIENCE", 0.2)
    address = address_in(tmp_path)
    for first in (False, True):
        async with open_database(address, None, several=first):
            with pytest.raises(DatabaseInUse, match="Another Atelier"):
                async with open_database(address, None, several=not first):
                    pass


async def test_two_of_several_that_make_the_schema_at_once_make_it_once(tmp_path: Path) -> None:
    address = address_in(tmp_path, migrated=False)
    async with contextlib.AsyncExitStack() as stack:
        opened = await asyncio.gather(
            *(stack.enter_async_context(open_database(address, None, several=True)) for _ in range(2))
        )
        for database in opened:
            await added(database)


async def test_a_file_is_for_one_program(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="for one Atelier"):
        async with open_database(tmp_path / "atelier.db", None, several=True):
            pass
