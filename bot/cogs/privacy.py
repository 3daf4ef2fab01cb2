"""/privacy: what is kept of oneself, a copy of it, and its deletion."""

from __future__ import annotations

import io
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import acknowledge, actor_of, file_limit
from bot.ui.buttons import KeptItem
from bot.ui.replies import SILENT, add_whisper, answers_privately, whisper
from core.errors import NotAllowedError
from studio.texts import counted

UNPOST_NOW = 40.0  # seconds for messages, so that the whole is over within a minute
MOST_PARTS = 20  # files of an export


class DeleteButton(KeptItem, template=r"pv:(?P<user_id>[0-9]{1,20}):delete"):
    """ "Yes, delete everything": works for the one person whose id it holds, also after a restart."""

    def __init__(self, user_id: int) -> None:
        super().__init__(
            discord.ui.Button(
                label="Delete everything", style=discord.ButtonStyle.danger, custom_id=f"pv:{user_id}:delete"
            )
        )
        self.user_id = user_id

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        if interaction.user.id != self.user_id:
            raise NotAllowedError("This button belongs to somebody else.")
        deleted = await client.studio.own.delete(actor_of(interaction))
        left = await client.unpost(UNPOST_NOW) if deleted.messages else 0
        rest = f" I will delete the remaining {counted(left, 'message')} soon." if left else ""
        gone = f"{counted(deleted.jobs, 'job')}, {counted(deleted.files, 'picture')} and their messages"
        await whisper(interaction, f"Deleted: {gone}.{rest}")


class Privacy(
    AtelierCog,
    commands.GroupCog,
    name="privacy",
    description="See, copy or delete what Atelier stores about you",
):
    @app_commands.command(description="Show what Atelier stores about you, and for how long")
    @answers_privately
    async def show(self, interaction: discord.Interaction) -> None:
        own = self.bot.studio.own
        held, periods = await own.holdings(actor_of(interaction)), own.retention
        sent = "Nothing is sent to anybody else: pictures are made on the host's own machine."
        if server := self.bot.studio.talking.server:
            sent = (
                f"Questions of `/ask`, with their pictures and the conversation before, are sent to"
                f" `{server}`, which answers them; nothing else is sent to anybody."
            )
        kept = f"{periods.jobs} days" if periods.jobs else "until you delete them"
        videos = f"; those with videos: {periods.videos} days" if periods.videos else ""
        lines = (
            (
                f"**Stored** {counted(held.jobs, 'job')} with prompts and settings,"
                f" {counted(held.pictures, 'picture')} and {counted(held.videos, 'video')}"
                f" ({held.bytes / 1e6:.1f} MB),"
                f" {counted(held.uploads, 'uploaded picture')}, {counted(held.examples, 'example')} in your"
                f" sets, {counted(held.items, 'picture')} in projects of own models,"
                f" {counted(held.feedback, 'answer')} that you found right or wrong, and the ids of my"
                f" {counted(held.messages, 'message')} that show them"
            ),
            (
                f"**How long** jobs and pictures: {kept}{videos}; uploads that no job uses:"
                f" {periods.uploads} days; backups: {periods.backups} days; strikes: 90 days."
            ),
            (
                f"**Rules** {counted(held.strikes, 'strike')}, {counted(held.bans, 'ban')}. `/privacy delete`"
                " leaves these and time-outs in place until they expire or are lifted."
            ),
            f"**Also** your Discord id and name, and your settings. {sent}",
            "`/privacy export` gives you a copy, `/privacy delete` deletes it all.",
            *([f"**More** <{policy}>"] if (policy := self.bot.settings.privacy_url) else []),
        )
        await whisper(interaction, "\n".join(lines))

    @app_commands.command(description="Get a copy of everything Atelier stores about you")
    @app_commands.describe(pictures="Off: leave your pictures out and get one small file")
    @answers_privately
    async def export(self, interaction: discord.Interaction, pictures: bool = True) -> None:
        limit = file_limit(interaction) - 100_000
        count = 0
        async for part in self.bot.studio.own.export(actor_of(interaction), limit, pictures=pictures):
            count += 1
            if count > MOST_PARTS:
                await add_whisper(
                    interaction,
                    f"There are more than {MOST_PARTS} files. Get everything as one file on the web (`/web`),"
                    " under Settings, Your data; or ask the host.",
                )
                return
            file = discord.File(io.BytesIO(part), f"atelier-{count}.zip")
            if count == 1:
                text = f"Your data as JSON{', with your pictures' if pictures else ''}."
                await interaction.edit_original_response(
                    content=text, attachments=[file], allowed_mentions=SILENT
                )
            else:
                await interaction.followup.send(file=file, ephemeral=True, allowed_mentions=SILENT)

    @app_commands.command(description="Permanently delete everything Atelier stores about you")
    @answers_privately
    async def delete(self, interaction: discord.Interaction) -> None:
        held = await self.bot.studio.own.holdings(actor_of(interaction))
        view = discord.ui.View(timeout=None)
        view.add_item(DeleteButton(interaction.user.id))
        days = self.bot.studio.own.retention.backups
        text = (
            f"This stops your running jobs and permanently deletes {counted(held.jobs, 'job')},"
            f" {counted(held.pictures, 'picture')} and my {counted(held.messages, 'message')} with them. They"
            f" are gone from backups within {days} days. Messages that only you could see, and your own, stay"
            " where they are."
        )
        await interaction.edit_original_response(content=text, view=view, allowed_mentions=SILENT)


async def setup(bot: Atelier) -> None:
    bot.add_dynamic_items(DeleteButton)
    await bot.add_cog(Privacy(bot))
