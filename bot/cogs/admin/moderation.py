"""/moderation: what a server lets through, its word list, and its members' strikes and time-outs."""

from __future__ import annotations

from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.replies import whisper
from core.errors import UserError
from studio.asking.words import code
from studio.authority import Action
from studio.moderation.lookalikes import check_pattern
from studio.moderation.rules import judge

MAX_WORDS = 500
Minutes = app_commands.Range[int, 0, 40_320]  # four weeks


@app_commands.guild_only()
class Moderation(
    commands.GroupCog,
    name="moderation",
    description="What may be made and shown in this server (Manage Server)",
):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="The rules that hold here")
    async def show(self, interaction: discord.Interaction) -> None:
        guild = await self._enter(interaction)
        choices, words = await self.bot.moderator.settings(guild), await self.bot.moderator.words(guild)
        after = (
            f"{choices.strikes} strikes in {choices.window} h bring a time-out of {choices.timeout} min"
            if choices.strikes
            else "none"
        )
        lines = (
            f"**Level** {choices.level}",
            (
                "**Pictures that the classifier objects to**"
                f" {'block' if choices.level == 'strict' else choices.pictures}"
            ),
            f"**Time-outs** {after}",
            f"**Own words** {len(words)}",
            "-# Sexual content with minors is stopped at every level.",
        )
        await whisper(interaction, "\n".join(lines))

    @app_commands.command(
        description=(
            "off, standard: sexual content only in age-restricted channels, strict: nowhere; default: the"
            " host's"
        )
    )
    async def level(
        self, interaction: discord.Interaction, level: Literal["off", "standard", "strict", "default"]
    ) -> None:
        guild = await self._enter(interaction)
        await self.bot.moderator.set_policy(
            interaction.user.id, guild, level=None if level == "default" else level
        )
        await whisper(interaction, f"The level here is {(await self.bot.moderator.settings(guild)).level}.")

    @app_commands.command(
        description="What happens to pictures that the classifier objects to, at level standard"
    )
    async def pictures(
        self, interaction: discord.Interaction, treatment: Literal["spoiler", "block", "default"]
    ) -> None:
        guild = await self._enter(interaction)
        await self.bot.moderator.set_policy(
            interaction.user.id, guild, pictures=None if treatment == "default" else treatment
        )
        await whisper(interaction, f"Such pictures: {(await self.bot.moderator.settings(guild)).pictures}.")

    @app_commands.command(
        description=(
            "How many strikes within how many hours bring a time-out of how many minutes; 0 strikes: none"
        )
    )
    async def limits(
        self,
        interaction: discord.Interaction,
        strikes: app_commands.Range[int, 0, 100],
        hours: app_commands.Range[int, 1, 720],
        minutes: Minutes,
    ) -> None:
        guild = await self._enter(interaction)
        await self.bot.moderator.set_policy(
            interaction.user.id, guild, strikes=strikes, window=hours, timeout=minutes
        )
        await whisper(
            interaction,
            f"{strikes} strikes in {hours} h: {minutes} min." if strikes else "Strikes bring no time-outs.",
        )

    @app_commands.command(
        description="Stop a word, a phrase, or a pattern such as knif*; look-alike spellings are caught too"
    )
    async def add(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        guild = await self._enter(interaction)
        pattern = _pattern(word)
        if len(await self.bot.moderator.words(guild)) >= MAX_WORDS:
            raise UserError(f"The list is full: {MAX_WORDS} entries fit.")
        await self.bot.moderator.add_word(interaction.user.id, guild, pattern)
        await whisper(interaction, f"{code(pattern)} is on the list.")

    @app_commands.command(description="Take a word off the list")
    async def remove(self, interaction: discord.Interaction, word: app_commands.Range[str, 2, 100]) -> None:
        guild = await self._enter(interaction)
        gone = await self.bot.moderator.remove_word(interaction.user.id, guild, _pattern(word))
        await whisper(
            interaction, f"{code(_pattern(word))} {'is off the list' if gone else 'was not on the list'}."
        )

    @app_commands.command(description="This server's own words")
    async def words(self, interaction: discord.Interaction) -> None:
        guild = await self._enter(interaction)
        found = await self.bot.moderator.words(guild)
        await whisper(interaction, ", ".join(map(code, found)) or "The list is empty.")

    @app_commands.command(
        description="Which rule would stop a text here; nothing is queued, no strike is noted"
    )
    async def test(self, interaction: discord.Interaction, text: app_commands.Range[str, 1, 1000]) -> None:
        guild = await self._enter(interaction)
        choices, words = (
            await self.bot.moderator.settings(guild),
            tuple(await self.bot.moderator.words(guild)),
        )
        plain, adult = judge(text, choices.level, words, False), judge(text, choices.level, words, True)
        await whisper(
            interaction,
            f"Here: {plain or 'let through'}. In an age-restricted channel: {adult or 'let through'}.",
        )

    @app_commands.command(description="A member's strikes of the last 90 days")
    async def strikes(self, interaction: discord.Interaction, user: discord.User) -> None:
        guild = await self._enter(interaction)
        found, until = await self.bot.moderator.strikes(user.id, guild)
        lines = [
            f"- {discord.utils.format_dt(strike.at, 'f')} {strike.rule.lower()}" for strike in found[:20]
        ]
        lines += [f"In a time-out until {discord.utils.format_dt(until, 'f')}."] if until else []
        await whisper(interaction, "\n".join([f"<@{user.id}> has {len(found)} strikes.", *lines]))

    @app_commands.command(description="Forget a member's strikes here and end their time-out")
    async def pardon(self, interaction: discord.Interaction, user: discord.User) -> None:
        guild = await self._enter(interaction)
        count = await self.bot.moderator.pardon(interaction.user.id, user.id, guild)
        await whisper(interaction, f"{count} strikes of <@{user.id}> are forgotten; they may use Atelier.")

    @app_commands.command(description="Take nothing from a member for some minutes")
    async def timeout(
        self,
        interaction: discord.Interaction,
        user: discord.User,
        minutes: app_commands.Range[int, 1, 40_320],
    ) -> None:
        guild = await self._enter(interaction)
        if self.bot.authority.is_host(user.id):
            raise UserError("The bot's owner can't be sent into a time-out.")
        until = await self.bot.moderator.time_out(interaction.user.id, user.id, guild, minutes)
        await whisper(
            interaction, f"<@{user.id}> may use Atelier again {discord.utils.format_dt(until, 'R')}."
        )

    async def _enter(self, interaction: discord.Interaction) -> int:
        """Acknowledge, check the right, return the server's id."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.MODERATE)
        if interaction.guild_id is None:
            raise UserError("These rules belong to a server; use the command there.")
        return interaction.guild_id


def _pattern(word: str) -> str:
    try:
        return check_pattern(word)
    except ValueError as error:
        raise UserError(f"`word` {error}.") from error


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Moderation(bot))
