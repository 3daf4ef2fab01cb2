"""A bot of several connections, while it begins them one after another."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.support import nats
from tests.wire.discord import Discord
from tests.wire.process import BotProcess

ENDED = 8.0  # seconds


async def _ready(port: int) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        return answer.status


@pytest.mark.slow
async def test_it_is_ready_with_all_of_them_and_stops_with_some(tmp_path: Path) -> None:
    port = nats.free_port()
    discord = Discord()
    discord.shards, discord.apart = 3, 5.0
    async with discord, BotProcess(discord, tmp_path, METRICS_PORT=str(port)) as bot:
        await discord.until(lambda: discord.holding(1), 30, every=0.1)
        assert discord.holding(2) == 0 and await _ready(port) == 503
        bot.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(bot.ended(), ENDED)
        assert bot.process.returncode == 0 and "Failed to connect" not in bot.log
        await bot.start()
        await discord.until(lambda: discord.holding(2), 60, every=0.1)
        assert await _ready(port) == 200 and discord.too_soon == 0
