"""/blend: four pictures between two to five others, without words."""

from typing import Literal

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.discord_api.interactions import actor_of
from bot.ui.modals import NO_JOB, Submission, Window, uploads
from core.job import new_seed
from core.language import N_, _
from studio.new_job import NewJob
from studio.requests import actions

Shape = Literal["Portrait", "Square", "Landscape"]
SHAPES: dict[str, tuple[int, int]] = {
    "Portrait": (2, 3),
    "Square": (1, 1),
    "Landscape": (3, 2),
}  # Midjourney's
CALLED = {"Square": N_("Square"), "Portrait": N_("Portrait"), "Landscape": N_("Landscape")}


class Blend(AtelierCog):
    @app_commands.command(description="Mix two to five pictures into four new ones")
    @app_commands.describe(dimensions="The shape; square if you leave it out")
    async def blend(self, interaction: discord.Interaction, dimensions: Shape | None = None) -> None:
        window = Window(_("Blend pictures"), "blend", NO_JOB, 0)
        window.add_upload(_("Pictures"), "pictures", _("Two to five"), least=2, most=5)
        window.add_choice(_("Shape"), "dimensions", CALLED, chosen=dimensions)
        await interaction.response.send_modal(window)

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue the blend of the pictures that a window brings."""
        actor, sources = actor_of(interaction), self.bot.studio.sources
        files = self.bot.links.attached(uploads(interaction, sent, "pictures"))

        async def build() -> NewJob:
            images = [(await sources.meant(actor, file)).sha256 for file in files]
            return actions.blend_pictures(images, SHAPES.get(sent.chosen("dimensions")), seed=new_seed())

        await self.bot.asking.queue(interaction, build)


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Blend(bot))
