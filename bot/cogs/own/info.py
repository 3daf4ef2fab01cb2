"""/info: one's own usage, and what of one's own runs and waits."""

from __future__ import annotations

from datetime import UTC, datetime

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.cogs.admin.queue import answer, render
from core.preferences import Preferences
from storage.members import Usage
from studio.asking.words import duration
from studio.authority import Action


class Info(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Your usage, your modes, and your jobs")
    async def info(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.bot.check(interaction, Action.MINE)
        user, now = interaction.user.id, datetime.now(UTC)
        ever, month = (
            await self.bot.members.usage(user),
            await self.bot.members.usage(user, now.replace(day=1, hour=0, minute=0, second=0)),
        )
        chosen = await self.bot.members.preferences(user)
        head = _head(
            user, chosen, ever, month, self.bot.settings.user_running, self.bot.settings.user_waiting
        )
        await answer(
            interaction,
            [
                *head,
                *render(await self.bot.queue.mine(user), heading="Your jobs", show_user=False, links=True),
            ],
        )


def _head(user: int, chosen: Preferences, ever: Usage, month: Usage, running: int, waiting: int) -> list[str]:
    speed = chosen.lane.value if chosen.lane else "fast"
    kinds = (
        ", ".join(f"{count} /{kind}" for kind, count in sorted(ever.jobs.items(), key=lambda pair: -pair[1]))
        or "nothing yet"
    )
    return [
        (
            f"**<@{user}>** · {speed} ·"
            f" {'stealth' if chosen.stealth else 'public'}{' · remix' if chosen.remix else ''}"
        ),
        (
            f"**This month** {_count(sum(month.jobs.values()), 'job')}, {_time(month.seconds)} of the device,"
            f" {_count(month.pictures, 'picture')}"
        ),
        (
            f"**Lifetime** {kinds}; {_time(ever.seconds)}, {_count(ever.pictures, 'picture')},"
            f" {_count(ever.favourites, 'favourite')}"
        ),
        f"**Limits** {running} jobs at once, {waiting} waiting (a role of yours may have other ones)",
    ]


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "0 s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Info(bot))
