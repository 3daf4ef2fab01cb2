"""/settings: a panel of one's own choices; /prefer: own options, a suffix, and the same choices as
commands."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui import messages
from bot.ui.choices import choices
from bot.ui.replies import answers_privately, whisper
from bot.wire.interactions import actor_of
from studio.asking.words import code
from studio.authority import Action


class Settings(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Change your settings for new prompts")
    @answers_privately
    async def settings(self, interaction: discord.Interaction) -> None:
        actor = actor_of(interaction)
        await self.bot.studio.rights.check(actor, Action.SETTINGS)
        chosen = await self.bot.studio.own.preferences(actor)
        await self.bot.settings_panel.show(interaction, chosen)


class Prefer(
    commands.GroupCog,
    name="prefer",
    description="Your own options, a suffix, and other settings for your prompts",
):
    option = app_commands.Group(
        name="option", description="Your own options, such as --mine, that stand for words and flags"
    )

    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @option.command(
        name="set",
        description="Make --mine, for example, stand for words and flags; leave out the value to remove it",
    )
    @app_commands.describe(
        option="Its name, such as mine",
        value="What --mine stands for, such as: cinematic, dramatic --ar 3:2 --s 250",
    )
    @answers_privately
    async def option_set(
        self, interaction: discord.Interaction, option: str, value: str | None = None
    ) -> None:
        own = self.bot.studio.own
        name, text, there = await own.set_option(actor_of(interaction), option, value)
        if text:
            await whisper(interaction, f"`--{name}` stands for {code(text, 1500)}.")
        else:
            await whisper(interaction, f"`--{name}` {'is taken away' if there else 'was not there'}.")

    @option.command(name="list", description="Show your own options")
    @answers_privately
    async def option_list(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.options(actor_of(interaction))
        lines = [f"`--{name}` {code(value, 300)}" for name, value in own.items()]
        await whisper(
            interaction,
            messages.pages(lines)[0]
            or "You have no options of your own yet. `/prefer option set` makes one.",
        )

    @option_set.autocomplete("option")
    async def _options(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        own = await self.bot.studio.own.options(actor_of(interaction))
        return choices((name, name) for name in own if name.startswith(current.lower().lstrip("-")))

    @app_commands.command(description="Add flags to every new prompt; leave out the value to stop")
    @app_commands.describe(new_value="Such as --ar 3:2 --s 250")
    @answers_privately
    async def suffix(self, interaction: discord.Interaction, new_value: str | None = None) -> None:
        text = (await self.bot.studio.own.change(actor_of(interaction), suffix=new_value or "")).suffix
        await whisper(
            interaction,
            (
                f"{code(text, 1500)} is added to each new prompt."
                if text
                else "Nothing is added to your prompts."
            ),
        )

    @app_commands.command(
        description="Turn on or off: edit the words first when you press V, re-roll, zoom or pan"
    )
    async def remix(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "remix",
            "Remix is {}: V, re-roll, Vary, Zoom and Pan {} for the words first.",
            ("ask", "don't ask"),
        )

    @app_commands.command(description="Choose how far V moves away from the picture: high or low")
    @answers_privately
    async def variability(self, interaction: discord.Interaction) -> None:
        chosen = await self.bot.studio.own.toggle(actor_of(interaction), "strong")
        await whisper(interaction, f"V makes {'strong' if chosen.strong else 'subtle'} variations.")

    @app_commands.command(description="Turn on or off: get finished jobs by direct message too")
    async def auto_dm(self, interaction: discord.Interaction) -> None:
        await self._toggle(
            interaction,
            "auto_dm",
            "Direct messages are {}: finished jobs {} to you.",
            ("are also sent", "aren't sent"),
        )

    @answers_privately
    async def _toggle(
        self, interaction: discord.Interaction, name: str, text: str, words: tuple[str, str]
    ) -> None:
        on = getattr(await self.bot.studio.own.toggle(actor_of(interaction), name), name)
        await whisper(interaction, text.format("on" if on else "off", words[0 if on else 1]))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Settings(bot))
    await bot.add_cog(Prefer(bot))
