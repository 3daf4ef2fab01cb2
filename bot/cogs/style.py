"""/style: a style of one's own, learned from one's own pictures, that prompts can ask for."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Atelier, AtelierCog
from bot.cogs.inspect import LINK
from bot.discord_api.interactions import actor_of
from bot.projects import views
from bot.ui.replies import answers_privately, takes_images, whisper
from core.requests.custom_models import STYLE
from storage.projects.projects import EVERYBODY


class Style(
    AtelierCog, commands.GroupCog, name="style", description="Teach me a style from 5 to 40 pictures"
):
    @app_commands.command(description="Begin a style; buttons lead you through it")
    @app_commands.describe(
        name="What it is called, and what you write behind --lora",
        words="Words that call it, which go with every picture; nothing: its name",
        only_me="Nobody else may see or use it; without it, it belongs to this server",
    )
    @answers_privately
    async def new(
        self, interaction: discord.Interaction, name: str, words: str = "", only_me: bool = False
    ) -> None:
        shelf, shared = self.bot.studio.projects, False if only_me else None
        made = await shelf.new(actor_of(interaction), name, STYLE, shared=shared, words=words)
        await self.bot.projects.cards.show(interaction, made.id)

    @app_commands.command(description="Show a style with what to do next, or which there are")
    @app_commands.describe(name="The style; none lists them all")
    @answers_privately
    async def show(self, interaction: discord.Interaction, name: str = "") -> None:
        if name.strip():
            await self.bot.projects.cards.show(interaction, name)
        else:
            await self.bot.projects.cards.show_all(interaction, (STYLE,))

    @app_commands.command(description="Put pictures into a style, also as a ZIP file")
    @app_commands.describe(name="The style", link=LINK)
    @answers_privately
    @takes_images(10, "A picture, or a ZIP file of many")
    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        images: list[discord.Attachment],
        link: str | None = None,
    ) -> None:
        given = await self.bot.projects.cards.given(actor_of(interaction), link)
        await self.bot.projects.cards.add(interaction, name, images, "", given)

    @app_commands.command(description="Train a style; it is used as --lora afterwards")
    @app_commands.describe(name="The style")
    async def train(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.making.train(interaction, name)

    @app_commands.command(description="Show the pictures that were drawn while a style was trained")
    @app_commands.describe(name="The style", version="Its number, if not the one in use")
    @answers_privately
    async def samples(
        self, interaction: discord.Interaction, name: str, version: app_commands.Range[int, 1] | None = None
    ) -> None:
        await self.bot.projects.versions.report(interaction, name, version)

    @app_commands.command(description="List the versions of a style, and choose which is used")
    @app_commands.describe(name="The style")
    @answers_privately
    async def versions(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.versions.list(interaction, name)

    @app_commands.command(description="Say what others may do with a style of this server")
    @app_commands.describe(
        name="The style",
        role="Whom it is about; nobody named: every member",
        use="They may draw with it",
        add="They may add pictures",
        train="They may train it",
        export="They may take it away",
    )
    @answers_privately
    async def share(
        self,
        interaction: discord.Interaction,
        name: str,
        role: discord.Role | None = None,
        use: bool = True,
        add: bool = False,
        train: bool = False,
        export: bool = False,
    ) -> None:
        given = {"use": use, "add": add, "train": train, "export": export}
        role_id = EVERYBODY if role is None or role.is_default() else role.id
        rights = {right for right, is_given in given.items() if is_given}
        changed = await self.bot.studio.projects.share(actor_of(interaction), name, role_id, rights)
        await whisper(interaction, views.shared(changed))

    @app_commands.command(description="Take a style away as a LoRA file")
    @app_commands.describe(name="The style", version="Its number, if not the one in use")
    async def export(
        self, interaction: discord.Interaction, name: str, version: app_commands.Range[int, 1] | None = None
    ) -> None:
        await self.bot.projects.making.bundle(interaction, name, version)

    @app_commands.command(description="Delete a style with its pictures and versions, for good")
    @app_commands.describe(name="The style")
    @answers_privately
    async def forget(self, interaction: discord.Interaction, name: str) -> None:
        await self.bot.projects.cards.ask_forget(interaction, name)

    @show.autocomplete("name")
    @add.autocomplete("name")
    @train.autocomplete("name")
    @samples.autocomplete("name")
    @versions.autocomplete("name")
    @share.autocomplete("name")
    @export.autocomplete("name")
    @forget.autocomplete("name")
    async def _names(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self.bot.projects.cards.names(actor_of(interaction), current, (STYLE,))


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Style(bot))
