"""Apps in a message's menu: Describe, Classify, Vary, Cancel, DM results, Details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier
from bot.ui import messages
from bot.ui.replies import add_whisper, whisper
from core.errors import ImageError, UserError
from core.job import Job
from core.requests import ClassifyRequest, DescribeRequest
from studio.asking import actions
from studio.asking.actions import Ask, Source
from studio.authority import Action


class Menus(commands.Cog):
    def __init__(self, bot: Atelier) -> None:
        self.bot = bot
        self.menus = [
            app_commands.ContextMenu(name=name, callback=work)
            for name, work in (
                ("Describe", self.describe),
                ("Classify", self.classify),
                ("Vary", self.vary),
                ("Cancel", self.cancel),
                ("DM results", self.dm_results),
                ("Details", self.details),
            )
        ]

    async def cog_load(self) -> None:
        for menu in self.menus:
            self.bot.tree.add_menu(menu)

    async def cog_unload(self) -> None:
        for menu in self.menus:
            self.bot.tree.remove_command(menu.name, type=menu.type)

    async def describe(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self._about(
            interaction,
            message,
            Action.DESCRIBE,
            lambda s: Ask(DescribeRequest(image=s.sha256, seed=actions.new_seed())),
        )

    async def classify(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self._about(
            interaction, message, Action.CLASSIFY, lambda s: Ask(ClassifyRequest(image=s.sha256))
        )

    async def vary(self, interaction: discord.Interaction, message: discord.Message) -> None:
        chosen = await self.bot.asking.preferences(interaction.user.id)
        amount = "strong" if chosen.strong else "subtle"
        await self._about(
            interaction,
            message,
            Action.VARY,
            lambda s: actions.variation(s, amount, None, seed=actions.new_seed()),
        )

    async def cancel(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        job, _ = await self._job(interaction, message, Action.CANCEL)
        await self.bot.cancel(interaction, job.id)

    async def dm_results(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        job, index = await self._job(interaction, message, Action.DM)
        await self.bot.sharing.hand_over(
            interaction.user, await self.bot.result_of(job), None if index is None else [index]
        )
        await whisper(interaction, "It is in your direct messages.")

    async def details(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        job, index = await self._job(interaction, message, Action.DETAILS)
        result = await self.bot.queue.result(job.id)
        for page in messages.details(
            job, result.parameters if result else {}, result.pictures if result else (), index or 0
        ):
            await add_whisper(interaction, page)

    async def _job(
        self, interaction: discord.Interaction, message: discord.Message, right: Action
    ) -> tuple[Job, int | None]:
        found = await self.bot.queue.job_of_message(message.id)
        if found is None:
            raise UserError("That message shows no job of mine.")
        await self.bot.check(interaction, right, found[0])
        return found

    async def _about(
        self,
        interaction: discord.Interaction,
        message: discord.Message,
        right: Action,
        build: Callable[[Source], Ask],
    ) -> None:
        """Queue something about the message's picture: of ours the stored one, else its first attachment."""
        chosen = await self.bot.asking.preferences(interaction.user.id)
        found = await self.bot.queue.job_of_message(message.id)
        private = chosen.stealth or (found is not None and found[0].origin.private)

        async def built() -> Ask:
            source = await self._source(interaction, message, right)
            ask = build(source)
            ask = replace(ask, parent=ask.parent or source.parent, stealth=ask.stealth or source.stealth)
            return actions.with_speed(ask, chosen.lane)

        await self.bot.ask(interaction, built, ephemeral=private)

    async def _source(
        self, interaction: discord.Interaction, message: discord.Message, right: Action
    ) -> Source:
        found = await self.bot.queue.job_of_message(message.id)
        if found is not None:
            await self.bot.check(interaction, right, found[0])
            result = await self.bot.result_of(found[0])
            if result.pictures:
                return actions.source_of(result, found[1] or 0)
        await self.bot.check(interaction, Action.ASK)
        for attachment in message.attachments:
            if (attachment.content_type or "image/").startswith("image/"):
                taken = await self.bot.intake.take(attachment, interaction.user.id)
                return Source(taken.sha256, taken.width, taken.height)
        raise ImageError("That message has no picture.")


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Menus(bot))
