"""Activities are ticked in Discord's portal: it has made a command of its own to open them, and refuses a
list of commands without it with code 50240."""

from pathlib import Path

from tests.wire.discord import GUILD, OWNER, Call, Discord
from tests.wire.forked import ForkedBot


async def test_the_bot_starts_keeps_the_entry_point_and_answers_it(tmp_path: Path) -> None:
    answered: list[int] = []

    def note(call: Call) -> None:
        if call.path.endswith("/callback"):
            answered.append(call.body["type"])

    async with Discord() as discord:
        made = discord.make_entry_point()
        discord.after = note
        async with ForkedBot(discord, tmp_path) as bot:
            await discord.until(lambda: "imagine" in discord.commands)
            assert discord.commands["launch"] == made
            pressed = discord.launch(GUILD + 1, OWNER)
            await discord.until(lambda: pressed.acknowledged)
            assert answered == [12]  # LAUNCH_ACTIVITY
            await bot.kill()
            await bot.start()
            assert discord.commands["launch"] == made
            again = discord.launch(GUILD + 1, OWNER)
            await discord.until(lambda: again.acknowledged)
