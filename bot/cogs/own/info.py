"""/info: one's own usage, and what of one's own runs and waits."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui.queue_view import answer, render
from bot.ui.replies import answers_privately
from bot.wire.interactions import actor_of
from studio.account import Info as Own
from studio.texts import counted, duration


class Info(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot

    @app_commands.command(description="Show your usage, your modes and your jobs")
    @answers_privately
    async def info(self, interaction: discord.Interaction) -> None:
        own = await self.bot.studio.own.info(actor_of(interaction))
        settings = self.bot.settings
        head = _head(interaction.user.id, own, settings.user_running, settings.user_waiting)
        jobs = render(own.jobs, heading="Your jobs", show_user=False)
        await answer(interaction, [*head, *jobs])


def _head(user: int, own: Own, running: int, waiting: int) -> list[str]:
    chosen, ever, month = own.preferences, own.ever, own.month
    speed = chosen.lane.value if chosen.lane else "fast"
    kinds = (
        ", ".join(f"{count} /{kind}" for kind, count in sorted(ever.jobs.items(), key=lambda pair: -pair[1]))
        or "nothing yet"
    )
    return [
        (
            f"**<@{user}>** · {speed} ·"
            f" {'stealth' if chosen.private else 'public'}{' · remix' if chosen.remix else ''}"
        ),
        (
            f"**This month** {counted(sum(month.jobs.values()), 'job')},"
            f" {_time(month.seconds)} of drawing time,"
            f" {counted(month.pictures, 'picture')}"
        ),
        (
            f"**In all** {kinds}; {_time(ever.seconds)}, {counted(ever.pictures, 'picture')},"
            f" {counted(ever.favourites, 'favourite')}"
        ),
        f"**Limits** {counted(running, 'job')} at once, {waiting} waiting; your roles may change them",
    ]


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "0 s"


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Info(bot))
