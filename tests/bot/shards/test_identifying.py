"""Connections are begun in turn, whatever process begins them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from bot.shards import identifying
from bot.shards.identifying import Identifying
from bot.wire.connections import AT_ONCE, REFILL
from storage.database import Database, open_database
from storage.several import identifies
from tests.fresh import address_in

APART = identifies.APART.total_seconds()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(address_in(tmp_path), None) as opened:
        yield opened


async def _keys(count: int) -> int:
    return count


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited for, which isn't here."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(identifying, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(identifying, "LATE", 60.0)
    return found


async def test_turns_of_one_key_are_apart_whichever_process_takes_them(
    database: Database, slept: list[float]
) -> None:
    processes = [Identifying(database, partial(_keys, 2)) for _ in range(2)]
    for shard_id in range(6):
        await processes[shard_id // 3].turn(shard_id)
    assert APART > 5
    for key in (0, 1):
        for number, waited in enumerate(slept[key::2]):
            assert max(0, number * APART - 4) <= waited <= number * APART, slept


async def test_a_turn_that_came_too_late_is_taken_again(
    database: Database, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.0, 1.0, 1.0, 1.1))
    monkeypatch.setattr(identifying, "LATE", 0.5)
    monkeypatch.setattr(identifying, "time", SimpleNamespace(monotonic=lambda: next(times)))
    await Identifying(database, partial(_keys, 1)).turn(0)
    assert len(slept) == 1 and slept[0] > 1


async def test_turns_are_forgotten_after_a_day(database: Database) -> None:
    old = datetime.now(UTC) - timedelta(days=1, seconds=60)
    await database.write(lambda c: c.execute(sa.insert(identifies.identifies).values(key=0, at=old)))
    turn = await database.write(partial(identifies.take, key=0, now=datetime.now(UTC)))
    assert turn.wait == timedelta(0) and turn.before == ()


async def test_a_bot_that_begins_too_many_in_a_day_waits(database: Database, slept: list[float]) -> None:
    def spend(connection: sa.Connection) -> None:
        for number in range(AT_ONCE):
            identifies.take(connection, number, now=datetime.now(UTC))

    await database.write(spend)
    await Identifying(database, partial(_keys, 1000)).turn(999)
    assert 0.9 * REFILL < slept[0] <= REFILL
