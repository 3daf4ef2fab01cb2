"""SIGTERM: what runs goes back, its message says so once, and the next life ends it."""

import signal
from pathlib import Path

from tests.wire.discord import GUILD, Discord, Interaction
from tests.wire.process import BotProcess

CHANNEL = GUILD + 1


def _said(asked: Interaction, words: str) -> int:
    return sum(words in text for _, text in asked.message.versions) if asked.message else 0


async def test_a_stopped_bot_says_paused_once_and_the_next_life_ends_its_jobs(tmp_path: Path) -> None:
    async with Discord() as discord, BotProcess(discord, tmp_path, GRACE_SECONDS="0") as bot:
        running = discord.slash("imagine", CHANNEL, 500, prompt="a slow slow river")
        await discord.until(lambda: _said(running, "%"))
        waiting = discord.slash("imagine", CHANNEL, 501, prompt="a red house")
        await discord.until(lambda: _said(waiting, "Waiting"))
        bot.process.send_signal(signal.SIGTERM)
        await bot.ended()
        assert bot.process.returncode == 0
        assert [_said(one, "aused") for one in (running, waiting)] == [1, 1]
        assert {status for _, status, _ in bot.rows().values()} == {"queued"}
        await bot.start()
        numbers = [bot.rows()[one.id][0] for one in (running, waiting)]
        await discord.until(lambda: all(discord.finals(number) for number in numbers))
        assert [len(discord.finals(number)) for number in numbers] == [1, 1]


async def test_a_second_sigterm_is_not_waited_for(tmp_path: Path) -> None:
    async with Discord() as discord, BotProcess(discord, tmp_path, GRACE_SECONDS="600") as bot:
        running = discord.slash("imagine", CHANNEL, 500, prompt="a slow slow river")
        await discord.until(lambda: _said(running, "%"))
        bot.process.send_signal(signal.SIGTERM)
        await discord.until(lambda: "stop" in bot.log.lower(), every=0.05)
        bot.process.send_signal(signal.SIGTERM)
        await bot.ended()
        assert {status for _, status, _ in bot.rows().values()} <= {"queued", "running"}
        await bot.start()
        number = bot.rows()[running.id][0]
        await discord.until(lambda: discord.finals(number))
        assert len(discord.finals(number)) == 1
