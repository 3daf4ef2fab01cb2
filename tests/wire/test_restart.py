"""A restart or a kill: the session goes on, and what people did meanwhile is told to the next process."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.messages import text_of
from tests.wire import discord as wire
from tests.wire.discord import GUILD, OWNER, Call, Discord
from tests.wire.process import BotProcess

CHANNEL = GUILD + 1


def _killed_first(bot: BotProcess, call: Call) -> str | None:
    """The bot dies before Discord takes its acknowledgement."""
    if not call.path.endswith("/callback"):
        return None
    os.killpg(bot.process.pid, signal.SIGKILL)
    return "reset before commit"


async def test_what_people_do_while_the_bot_is_down_is_answered_without_an_identify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ACK_DEADLINE", 60.0)  # a start takes longer than 3 s on a busy machine
    async with Discord() as discord, BotProcess(discord, tmp_path) as bot:
        asked = discord.slash("imagine", CHANNEL, OWNER, prompt="a red house")
        await discord.until(lambda: asked.message and "job " in text_of(asked.message))
        job_id = bot.rows()[asked.id][0]
        single = discord.press(asked.message, f"at:{job_id}:upscale:0", OWNER)
        await discord.until(lambda: single.message and single.message.files)
        kept = discord.press(single.message, f"at:{job_id}:favourite:0", OWNER)
        await discord.until(lambda: kept.followups)
        discord.fault = lambda call: _killed_first(bot, call)
        cut_off = discord.slash("imagine", CHANNEL, OWNER, prompt="a blue boat")
        await bot.ended()
        discord.fault = lambda call: None
        missed = discord.slash("imagine", CHANNEL, OWNER, prompt="a red boat")
        await bot.start()
        await discord.until(
            lambda: all(one.message and "job " in text_of(one.message) for one in (missed, cut_off))
        )
        looked = discord.slash("favourites", CHANNEL, OWNER)
        await discord.until(lambda: looked.message and "1 of 1" in text_of(looked.message))
        assert (discord.identifies, discord.resumes) == (1, 1)
        assert set(bot.rows()) == {asked.id, cut_off.id, missed.id}
        assert len(kept.followups) == 1  # its second telling did nothing
