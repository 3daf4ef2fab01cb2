"""Discord is away: at the start, and for an hour with results waiting."""

import socket
from pathlib import Path

from tests.wire.discord import GUILD, Discord
from tests.wire.forked import ForkedBot
from tests.wire.test_acknowledge import finals

CHANNEL = GUILD + 1
FASTER = 360.0  # an hour of the delivery's pauses in ten seconds
HOUR = 12.0  # seconds, a little more than that


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_bot_whose_first_connection_is_refused_comes_up_by_itself(tmp_path: Path) -> None:
    discord = Discord()
    discord.port = _free_port()
    bot = ForkedBot(discord, tmp_path)
    try:
        await bot.spawn()
        await discord.until(lambda: "no connection to Discord" in bot.log, 30, every=0.1)
        async with discord:
            await discord.until(lambda: discord.connected and discord.commands)
            discord.slash("imagine", CHANNEL, 500, prompt="a red house")
            await discord.until(lambda: finals(discord, 500))
    finally:
        await bot.kill()


async def test_results_outlive_an_hour_without_discord(tmp_path: Path) -> None:
    """The tokens are dead by then: the results go to the channel, once each."""
    people = range(500, 506)
    async with Discord() as discord, ForkedBot(discord, tmp_path, f"--haste={FASTER}") as bot:
        made = [
            discord.slash("imagine", CHANNEL, person, prompt="a slow river" if person % 2 else "a red house")
            for person in people
        ]
        await discord.until(lambda: all(one.acknowledged for one in made))
        discord.fault = lambda call: "reset before commit"  # what is under way is cut off
        await discord.__aexit__()
        await discord.until(
            lambda: all(status in ("rendered", "failed") for _, status, _ in bot.rows().values()), every=0.1
        )
        assert not any(told for _, _, told in bot.rows().values())
        await discord.until(
            lambda: bot.log.count("delivery failed, again in") >= len(made), 4 * HOUR, every=0.1
        )  # the hour's patience is over
        discord.fault, discord.token_life = (lambda call: None), 0.0
        async with discord:
            await discord.until(lambda: all(finals(discord, person) for person in people), 90)
            await discord.until(lambda: all(told for _, _, told in bot.rows().values()), every=0.1)
            assert [finals(discord, person) for person in people] == [1] * len(people)
