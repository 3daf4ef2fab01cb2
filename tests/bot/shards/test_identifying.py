"""Connections are begun in turn, whatever process begins them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from bot.shards import identifying
from bot.shards.identifying import Identifying
from bot.wire.connections import AT_ONCE, REFILL, pause_after
from storage.database import Database, open_database
from storage.several import identifies
from tests.fresh import address_in

APART, NEAR = identifies.APART.total_seconds(), identifying.NEAR.total_seconds()
_rows = identifies.identifies


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
    spent = list[int]()

    def pause(times: Sequence[float], now: float) -> float:
        spent.append(len(times))
        return 0.0

    take = partial(identifies.take, key=0, within=identifies.APART, pause=pause)
    turn = await database.write(partial(take, now=datetime.now(UTC)))
    assert turn.wait == timedelta(0) and spent == [0]


async def test_a_bot_that_begins_too_many_in_a_day_waits(database: Database, slept: list[float]) -> None:
    def spend(connection: sa.Connection) -> None:
        for number in range(AT_ONCE):
            identifies.take(
                connection, number, now=datetime.now(UTC), within=identifying.LONGEST, pause=pause_after
            )

    await database.write(spend)
    one = Identifying(database, partial(_keys, 1000))
    for _ in range(3):  # tries spend nothing, else it would wait for ever
        with pytest.raises(TimeoutError):
            await one.turn(999)
    assert slept == []
    waiting = asyncio.create_task(one.near(999))
    while not slept:  # noqa: ASYNC110  it is replaced there
        await asyncio.sleep(0)
    waiting.cancel()
    assert 0.9 * REFILL - NEAR < slept[0] <= REFILL


async def test_a_connection_is_opened_when_its_turn_is_near(
    database: Database, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Identifying(database, partial(_keys, 1))
    for _ in range(2):
        await one.near(0)
        await one.turn(0)
    await one.near(0)  # in 12 s at most
    assert len(slept) == 2
    for _ in range(4):
        await one.turn(0)
    waiting = asyncio.create_task(one.near(0))
    while len(slept) < 7:  # noqa: ASYNC110  it is replaced there
        await asyncio.sleep(0)
    waiting.cancel()
    assert APART < slept[6] < 6 * APART


async def test_a_turn_that_is_too_far_away_is_left_to_others(database: Database, slept: list[float]) -> None:
    """An open connection that hears nothing for a minute is given up; its next turn was even later."""
    one = Identifying(database, partial(_keys, 1))
    with pytest.raises(TimeoutError):
        for _ in range(20):
            await one.turn(0)
    taken = len(slept)
    assert max(slept) <= identifying.LONGEST.total_seconds() < (taken + 1) * APART
    with pytest.raises(TimeoutError):
        await one.turn(0)
    assert await database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(_rows))) == taken
