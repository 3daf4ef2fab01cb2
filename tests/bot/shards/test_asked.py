"""SHARDS=auto: as many connections as Discord asks for, also where it can't be asked just now."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import discord
import pytest

from bot.shards import asked
from bot.shards.asked import FILE, with_connections
from bot.shards.pace import Pace
from core.errors import AtelierError, SettingsError
from core.settings import Settings, load
from core.sharding.settings import AUTO
from core.sharding.shards import Shards
from host.doctor import connections

TOKEN = "t" * 72


def settings(tmp_path: Path, **more: str) -> Settings:
    return load(
        {"SHARDS": "auto", "DISCORD_TOKEN": TOKEN, "DATA_DIR": str(tmp_path), **more}, Path("/nowhere")
    )


def saying(*answers: int | Exception) -> Callable[[str], Awaitable[int]]:
    """A Discord that answers so, one after the other."""
    left = list(answers)

    async def ask(token: str) -> int:
        assert token == TOKEN
        if isinstance(answer := left.pop(0), Exception):
            raise answer
        return answer

    return ask


def refused() -> discord.LoginFailure:
    return discord.LoginFailure("no")


async def test_discords_number_is_taken_and_kept_for_when_it_is_away(tmp_path: Path) -> None:
    auto, stopping = settings(tmp_path), asyncio.Event()
    assert auto.shards == AUTO
    assert (await with_connections(auto, stopping, saying(3))).sharding == Shards(3)
    assert (await with_connections(auto, stopping, saying(aiohttp.ClientError()))).shards == 3
    assert (await with_connections(auto, stopping, saying(4))).shards == 4
    assert (tmp_path / FILE).read_text() == "4"


async def test_where_it_never_answered_it_is_asked_until_it_does_or_the_program_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "PAUSES", (0.0, 0.001))
    (tmp_path / FILE).write_text("no number")
    away = (OSError(), TimeoutError(), discord.GatewayNotFound())
    assert (await with_connections(settings(tmp_path), asyncio.Event(), saying(*away, 2))).shards == 2
    monkeypatch.setattr(asked, "PAUSES", (60.0,))
    (tmp_path / FILE).unlink()
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stopping.set)
    async with asyncio.timeout(10):
        assert (await with_connections(settings(tmp_path), stopping, saying(OSError()))).shards == AUTO


async def test_a_refused_token_ends_it_and_without_one_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(AtelierError, match="DISCORD_TOKEN"):
        await with_connections(settings(tmp_path), asyncio.Event(), saying(refused()))
    plain = settings(tmp_path, DISCORD_TOKEN="")
    assert (await with_connections(plain, asyncio.Event(), saying())).shards == 1
    fixed = settings(tmp_path, SHARDS="5")
    assert (await with_connections(fixed, asyncio.Event(), saying())).shards == 5


def test_several_processes_are_told_to_write_the_number(tmp_path: Path) -> None:
    several = {"DATABASE_URL": "postgresql+psycopg://a@b/c", "BUS_URL": "nats://127.0.0.1:4222"}
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, SHARD_IDS="0-1", **several)
    assert len(caught.value.problems) == 1 and "is for one process" in str(caught.value)
    with pytest.raises(SettingsError, match="from 1 to 1000, or auto"):
        settings(tmp_path, SHARDS="many")


def test_doctor_tells_of_too_few_connections() -> None:
    assert connections(AUTO, 3).ok and connections(3, 3).ok
    assert connections(1, 3).ok is None and "SHARDS=3" in connections(1, 3).fix


async def test_requests_that_count_keep_to_the_pace_and_answers_dont() -> None:
    now, slept = 100.0, list[float]()

    async def pause(seconds: float) -> None:
        slept.append(seconds)

    pace = Pace(8, lambda: now, pause)
    for _ in range(11):
        await pace.turn()
    assert slept == [0.125, 0.25, 0.375]  # eight at once, then one each eighth of a second
    now, trace = 200.0, aiohttp.TraceConfig()
    pace.watch(trace)
    [hook] = trace.on_request_start
    slept.clear()
    for path in ["/api/v10/channels/5/messages"] * 9 + ["/api/v10/webhooks/1/token/messages/@original"] * 9:
        await hook(None, None, SimpleNamespace(url=SimpleNamespace(path=path)))  # type: ignore[misc, arg-type]
    for path in ("/api/v10/interactions/1/token/callback", "/attachments/1/2/picture.png"):
        await hook(None, None, SimpleNamespace(url=SimpleNamespace(path=path)))  # type: ignore[misc, arg-type]
    assert slept == [0.125]


def test_parts_of_all_processes_are_the_whole() -> None:
    assert sum(Shards(5, ids).part for ids in ((0, 3), (1,), (2, 4))) == pytest.approx(1.0)
    assert Shards(5).part == 1.0
