"""/moderation: what a server lets through, its word list, and its members' strikes and time-outs."""

from __future__ import annotations

from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.messages import quote
from bot.ui.replies import answers_privately, whisper, whisper_all
from bot.wire.interactions import actor_of
from studio.texts import code, counted

Minutes = app_commands.Range[int, 0, 40_320]  # four weeks


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
class Moderation(
    commands.GroupCog,
    name="moderation",
    description="What members may make and see in this server (Manage Server)",
):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Show the moderation rules of this server")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        rules, words = await self.bot.studio.server.moderation(actor_of(interaction))
        after = (
            f"{counted(rules.strikes, 'strike')} in {rules.window} h: a time-out of {rules.timeout} min"
            if rules.strikes
            else "none"
        )
        lines = (
            f"**Level** {rules.level}",
            (
                "**Pictures that the classifier flags**"
                f" {'block' if rules.level == 'strict' else rules.pictures}"
            ),
            f"**Time-outs** {after}",
            f"**Own words** {len(words)}",
            f"**Own rules** {len(rules.rules)}",
            "-# Sexual content with minors is blocked at every level.",
        )
        await whisper(interaction, "\n".join(lines))

    @app_commands.command(
        description=(
            "Allow sexual content: off (anywhere), standard (in age-restricted channels), strict (nowhere)"
        )
    )
    @answers_privately
    async def level(
        self, interaction: discord.Interaction, level: Literal["off", "standard", "strict", "default"]
    ) -> None:
        chosen = None if level == "default" else level
        rules = await self.bot.studio.server.set_moderation(actor_of(interaction), level=chosen)
        await whisper(interaction, f"The level here is {rules.level}.")

    @app_commands.command(description="Hide or block pictures that the classifier flags, at level standard")
    @answers_privately
    async def pictures(
        self, interaction: discord.Interaction, treatment: Literal["spoiler", "block", "default"]
    ) -> None:
        chosen = None if treatment == "default" else treatment
        rules = await self.bot.studio.server.set_moderation(actor_of(interaction), pictures=chosen)
        await whisper(interaction, f"Such pictures: {rules.pictures}.")

    @app_commands.command(
        description=("Give a time-out after this many strikes within this many hours; 0 strikes turns it off")
    )
    @answers_privately
    async def limits(
        self,
        interaction: discord.Interaction,
        strikes: app_commands.Range[int, 0, 100],
        hours: app_commands.Range[int, 1, 720],
        minutes: Minutes,
    ) -> None:
        await self.bot.studio.server.set_moderation(
            actor_of(interaction), strikes=strikes, window=hours, timeout=minutes
        )
        await whisper(
            interaction,
            f"{counted(strikes, 'strike')} in {hours} h: {minutes} min."
            if strikes
            else "Strikes no longer lead to time-outs.",
        )

    @app_commands.command(
        description="Block a word, a phrase, or a pattern such as knif*, look-alike spellings included"
    )
    @answers_privately
    async def add(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        pattern = await self.bot.studio.server.add_word(actor_of(interaction), word)
        await whisper(interaction, f"{code(pattern)} is now on the list.")

    @app_commands.command(description="Remove a word from the list")
    @answers_privately
    async def remove(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        pattern, gone = await self.bot.studio.server.remove_word(actor_of(interaction), word)
        await whisper(
            interaction, f"{code(pattern)} {'is no longer on the list' if gone else 'was not on the list'}."
        )

    @app_commands.command(description="Show this server's own list of words")
    @answers_privately
    async def words(self, interaction: discord.Interaction) -> None:
        _, found = await self.bot.studio.server.moderation(actor_of(interaction))
        await whisper_all(interaction, [code(word) for word in found] or ["The list is empty."], ", ")

    @app_commands.command(
        description="Show, add or remove this server's own rules in sentences; only Check compares with them"
    )
    @answers_privately
    async def rules(
        self,
        interaction: discord.Interaction,
        add: app_commands.Range[str, 1, 200] | None = None,
        remove: app_commands.Range[int, 1, 10] | None = None,
    ) -> None:
        actor = actor_of(interaction)
        if add is not None:
            await self.bot.studio.server.add_rule(actor, add)
        if remove is not None:
            await self.bot.studio.server.remove_rule(actor, remove)
        found, _ = await self.bot.studio.server.moderation(actor)
        lines = [f"{number}. {quote(rule)}" for number, rule in enumerate(found.rules, 1)]
        await whisper_all(interaction, lines or ["There are no rules in sentences yet."])

    @app_commands.command(
        description="Check which rule would block a text here, without queuing it or giving a strike"
    )
    @answers_privately
    async def test(self, interaction: discord.Interaction, text: app_commands.Range[str, 1, 1000]) -> None:
        plain, adult = await self.bot.studio.server.judge(actor_of(interaction), text)
        await whisper(
            interaction,
            f"Here: {plain or 'allowed'}. In an age-restricted channel: {adult or 'allowed'}.",
        )

    @app_commands.command(description="Show a member's strikes of the last 90 days")
    @answers_privately
    async def strikes(self, interaction: discord.Interaction, user: discord.User) -> None:
        found, until = await self.bot.studio.server.strikes(actor_of(interaction), user.id)
        lines = [f"- {discord.utils.format_dt(strike.at, 'f')} {strike.rule.lower()}" for strike in found]
        lines += [f"In a time-out until {discord.utils.format_dt(until, 'f')}."] if until else []
        await whisper_all(interaction, [f"<@{user.id}> has {counted(len(found), 'strike')}.", *lines])

    @app_commands.command(description="Delete a member's strikes here and end their time-out")
    @answers_privately
    async def pardon(self, interaction: discord.Interaction, user: discord.User) -> None:
        count = await self.bot.studio.server.pardon(actor_of(interaction), user.id)
        await whisper(interaction, f"<@{user.id}> may use Atelier. Forgotten: {counted(count, 'strike')}.")

    @app_commands.command(description="Stop a member from using Atelier here for some minutes")
    @answers_privately
    async def timeout(
        self,
        interaction: discord.Interaction,
        user: discord.User,
        minutes: app_commands.Range[int, 1, 40_320],
    ) -> None:
        until = await self.bot.studio.server.time_out(actor_of(interaction), user.id, minutes)
        await whisper(
            interaction, f"<@{user.id}> may use Atelier again {discord.utils.format_dt(until, 'R')}."
        )


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Moderation(bot))
