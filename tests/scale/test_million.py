"""The short form of ``python -m proofs.scale.million``: whole lives among rows that the server has looked at,
and how it goes about all that a life asks of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from proofs.scale.million.lives import Studio
from proofs.scale.million.plans import send, sent, walks
from proofs.scale.million.rows import fill
from storage.database import open_database
from storage.schema import jobs
from tests.jobs.statements import STATEMENTS
from tests.support import postgres
from tests.support.fresh import address_in

pytestmark = [pytest.mark.postgres, pytest.mark.long]
HISTORY, WAITING, LIVES = 20_000, 2_000, 60


def connected(address: str) -> Any:
    return postgres.connect(str(postgres.folder()), address.partition("?")[0].rpartition("/")[2])


async def test_whole_lives_walk_through_no_large_table(tmp_path: Path) -> None:
    address = address_in(tmp_path)
    with connected(address) as connection:
        fill(connection, HISTORY, WAITING)
        ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
        async with open_database(address, None) as database:
            studio = Studio(database, pid, tmp_path)
            with sent(database) as statements:
                try:
                    async with asyncio.timeout(100):
                        start = await studio.start()
                        lives = await studio.live(4, LIVES, warm=8)
                finally:
                    await studio.queue.stop(0)
                for work in STATEMENTS.values():
                    await send(database, work)
            assert start.waiting == WAITING and lives.lives >= LIVES <= len(lives.claims)
            assert lives.trips <= 18 * lives.lives, lives
            assert len(statements) > 40 and walks(connection, statements) == []
            known = ("SELECT jobs.seq", "INSERT INTO pictures", "UPDATE jobs", "INSERT INTO messages")
            assert all(any(one.startswith(words) for one in statements) for words in known)
            with sent(database) as careless:  # the negative control
                await send(database, lambda c: c.execute(sa.select(jobs.c.id).where(jobs.c.device == "cpu")))
                await send(database, lambda c: c.execute(sa.select(sa.func.count(jobs.c.interaction_id))))
            assert len({one.partition(":")[2] for one in walks(connection, careless)}) >= 2
