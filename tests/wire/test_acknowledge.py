"""The first three seconds of an interaction: what an acknowledgement that fails, comes late or comes twice
does to the job."""

import time
from pathlib import Path

import pytest

from tests.support.messages import text_of
from tests.wire.discord import FAULTS, GUILD, Call, Discord
from tests.wire.forked import ForkedBot

CHANNEL = GUILD + 1
UNSEEN = ("429 from Cloudflare",)  # refused for certain: nobody would see an answer
GARBLED = ("truncated", "wrong content type")


@pytest.mark.slow
async def test_a_job_whose_acknowledgement_was_hit_still_ends_with_one_result(tmp_path: Path) -> None:
    async with Discord() as discord, ForkedBot(discord, tmp_path) as bot:
        hits: dict[str, str] = {}
        discord.fault = lambda call: (
            hits.pop(call.path.split("/")[3], None) if call.path.endswith("/callback") else None
        )
        made = {}
        for number, fault in enumerate(sorted(set(FAULTS) - set(UNSEEN) - set(GARBLED))):
            made[fault] = discord.slash("imagine", CHANNEL, 500 + number, prompt="a red house")
            hits[made[fault].token] = fault
        await discord.until(lambda: all(finals(discord, 500 + number) for number in range(len(made))))
        ends = {fault: finals(discord, 500 + number) for number, fault in enumerate(made)}
        assert ends == dict.fromkeys(made, 1)
        assert not hits and len(bot.rows()) == len(made)


def finals(discord: Discord, user_id: int) -> int:
    shown = [text_of(m) for m in discord.messages.values() if m.shown]
    return sum(f"<@{user_id}>" in content and "job " in content for content in shown)


async def test_an_interaction_told_twice_or_too_late_makes_no_second_job_and_no_message(tmp_path) -> None:
    async with Discord() as discord, ForkedBot(discord, tmp_path) as bot:
        twice = discord.slash("imagine", CHANNEL, 500, prompt="a red house")
        discord.tell(twice)
        late = discord.slash("imagine", CHANNEL, 501, prompt="a red house")
        late.sent -= 10
        refused: list[Call] = []
        discord.before = lambda call: refused.append(call) if f"/{late.id}/" in call.path else None
        await discord.until(lambda: refused)
        after = discord.slash("imagine", CHANNEL, 502, prompt="a red house")
        await discord.until(lambda: all(finals(discord, user) for user in (500, 502)))
        assert [finals(discord, user) for user in (500, 501, 502)] == [1, 0, 1]
        assert set(bot.rows()) == {twice.id, after.id}


async def test_choices_that_another_process_has_offered_are_no_trouble(tmp_path: Path) -> None:
    """The owner would be told of a new problem, with a traceback in the log."""
    async with Discord() as discord, ForkedBot(discord, tmp_path) as bot:
        typing = {"name": "prompt", "type": 3, "value": "a r", "focused": True}
        data = {"id": str(discord.commands["imagine"]["id"]), "name": "imagine", "type": 1}
        data |= {"options": [typing]}
        made = discord.interaction(CHANNEL, 500, 4)
        made.acknowledged = time.monotonic()
        discord.act(made, {"data": data})
        await discord.until(lambda: made.again)
        asked = discord.slash("imagine", CHANNEL, 500, prompt="a red house")
        await discord.until(lambda: asked.acknowledged)
        assert "autocomplete" not in bot.log and "Traceback" not in bot.log
