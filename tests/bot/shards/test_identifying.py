"""Connections are begun in turn, whatever process begins them."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot.shards import identifying
from bot.shards.identifying import Identifying
from bot.wire.connections import AT_ONCE, REFILL
from storage.database import Database, open_database
from storage.several import identifies
from tests.fresh import address_in

NOW = datetime(2026, 11, 27, tzinfo=UTC)
APART = identifies.APART.total_seconds()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(address_in(tmp_path), None) as opened:
        yield opened


async def _keys(count: int) -> int:
    return count


async def test_turns_of_one_key_are_apart_and_those_of_others_are_not(database: Database) -> None:
    take = [partial(identifies.take, key=key, now=NOW) for key in (0, 0, 1, 0)]
    waits = [(await database.write(one)).wait.total_seconds() for one in take]
    assert waits == [0, APART, 0, 2 * APART] and APART > 5
    later = await database.write(partial(identifies.take, key=0, now=NOW + timedelta(days=1, seconds=60)))
    assert later.wait == timedelta(0) and len(later.before) == 0  # forgotten after a day


async def test_two_processes_never_begin_connections_of_one_key_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identifies, "APART", timedelta(seconds=0.05))
    processes = [Identifying(database, partial(_keys, 2)) for _ in range(2)]
    begun: list[tuple[float, int]] = []

    async def begin(process: Identifying, shard_id: int) -> None:
        await process.turn(shard_id)
        begun.append((time.monotonic(), shard_id % 2))

    await asyncio.gather(*(begin(processes[shard // 3], shard) for shard in range(6)))
    for key in (0, 1):
        times = sorted(at for at, other in begun if other == key)
        assert len(times) == 3 and all(b - a > 0.04 for a, b in zip(times, times[1:], strict=False)), times


async def test_a_bot_that_begins_too_many_in_a_day_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await database.write(
        lambda c: [identifies.take(c, number, now=datetime.now(UTC)) for number in range(AT_ONCE)][0]
    )
    monkeypatch.setattr(identifying.asyncio, "sleep", sleep)
    await Identifying(database, partial(_keys, 1000)).turn(999)
    assert 0.9 * REFILL < slept[0] <= REFILL
